//! What the rest of a declaration says that rules and actions depend on.

use super::declaration::Rows;
use super::fields::{At, Checker};
use super::task::Task;
use crate::profile::ColumnRules;
use crate::window::WindowSpec;

/// Parts of a declaration that were read before its rules; `None` where they could not be, so that nothing follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub task: Option<&'a Task>,
    pub rows: Option<Rows>,
    pub window: Option<&'a WindowSpec>,
    pub columns: Option<&'a ColumnRules>,
}

const KEEP: &str = "write `rows: all`, or `rows: {sample: 10%}` for a share of them";

impl Facts<'_> {
    /// Whether rows are kept. If not it is refused: `wrong` says what cannot be done without them.
    pub fn rows_are_kept(
        &self,
        check: &mut Checker<'_>,
        at: &At<'_>,
        wrong: &str,
        or: &str,
    ) -> bool {
        let kept = self.rows != Some(Rows::None);
        if !kept {
            check.refuse(at, wrong, &format!("{KEEP}{or}"));
        }
        kept
    }
}
