//! What a rule can look at: the one table of watches.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::condition::{Condition, Limit, Side, Unit};

/// A rate may be this much above the reference's before the default rules speak: two rows in a hundred.
const RATE_MARGIN: f64 = 0.02;
/// Half of the usual number of rows is missing.
const VOLUME_SHARE: f64 = 0.5;

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watch {
    /// The distribution of a column against the reference's, with a calibrated threshold.
    Drift,
    /// Share of rows whose value is null or absent.
    NullRate,
    /// Share of rows with a category that the layout does not know.
    Unseen,
    /// Share of rows outside the declared domain.
    OutOfDomain,
    /// Share of rows whose value has another type than the layout says.
    WrongType,
    /// Columns that came or went against the layout.
    SchemaChange,
    /// Number of rows in the window.
    Volume,
    /// Time since the newest row.
    Freshness,
    /// One metric of the predictions whose labels have come, against the reference's.
    Performance,
}

impl Watch {
    pub const ALL: [Watch; 9] = [
        Watch::Drift,
        Watch::NullRate,
        Watch::Unseen,
        Watch::OutOfDomain,
        Watch::WrongType,
        Watch::SchemaChange,
        Watch::Volume,
        Watch::Freshness,
        Watch::Performance,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Watch::Drift => "drift",
            Watch::NullRate => "null_rate",
            Watch::Unseen => "unseen",
            Watch::OutOfDomain => "out_of_domain",
            Watch::WrongType => "wrong_type",
            Watch::SchemaChange => "schema_change",
            Watch::Volume => "volume",
            Watch::Freshness => "freshness",
            Watch::Performance => "performance",
        }
    }

    /// Whether it is judged column by column; the others concern the whole window.
    pub fn per_column(self) -> bool {
        !matches!(
            self,
            Watch::SchemaChange | Watch::Volume | Watch::Freshness | Watch::Performance
        )
    }

    /// The unit of its condition; `None` where a rule has none.
    pub fn unit(self) -> Option<Unit> {
        match self {
            Watch::Drift | Watch::SchemaChange => None,
            Watch::NullRate | Watch::Unseen | Watch::OutOfDomain | Watch::WrongType => {
                Some(Unit::Share)
            }
            Watch::Volume => Some(Unit::Rows),
            Watch::Freshness => Some(Unit::Time),
            Watch::Performance => Some(Unit::Number),
        }
    }

    /// Whether what it finds may be answered by training anew. Broken or missing data would be trained on, so alerts
    /// about data never ask for it; they hold it back.
    pub fn may_retrain(self) -> bool {
        matches!(self, Watch::Drift | Watch::Performance)
    }

    /// The condition of a rule that states none. Freshness has no default: how long silence may last depends on when
    /// the model is asked, which no file says. Nor has performance: what a loss costs is a decision.
    pub fn default_condition(self) -> Option<Condition> {
        match self.unit()? {
            Unit::Share => Some(Condition {
                side: Side::Above,
                limit: Limit::ReferencePlus(RATE_MARGIN),
            }),
            Unit::Rows => Some(Condition {
                side: Side::Below,
                limit: Limit::ReferenceTimes(VOLUME_SHARE),
            }),
            Unit::Time | Unit::Number => None,
        }
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
