//! A model's declaration: YAML as people write it, turned into values that nothing downstream checks again.
//!
//! **Invariant:** a [`Declaration`] exists only when everything in its file was understood. What this release cannot
//! do is refused with a sentence that names what to write instead; no field is ever read and then left unused in
//! silence.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::event::{DAY, Millis, WEEK};
use crate::profile::ColumnRules;
use crate::window::WindowSpec;

use super::action::{self, Action};
use super::columns;
use super::facts::Facts;
use super::fields::{At, Checker};
use super::glob::Glob;
use super::problem::{Problem, did_you_mean};
use super::retrain::{self, RetrainPolicy};
use super::rows;
use super::rule::{self, Rule};
use super::task::{self, Task};
use super::windows;
use super::yaml;

/// Most windows or weeks that a moving reference reaches back.
const MOST_TRAILING: u64 = 1_000;
/// The first month is the reference when nothing is said.
const DEFAULT_FIRST: Millis = 30 * DAY;

/// What windows are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceSpec {
    /// Rows that the version which serves now was trained on, bound when it was promoted. Before the first promotion
    /// there is none.
    Training,
    /// Relative paths are taken from the declaration's folder.
    File(PathBuf),
    /// The whole windows that begin before the first window with enough rows to be judged + this length.
    First(Millis),
    /// So many complete windows before the one that is judged.
    Trailing(u32),
    /// The windows of the same hour of the week in so many weeks before.
    SameHourOfWeek(u32),
}

impl fmt::Display for ReferenceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReferenceSpec::Training => write!(f, "training"),
            ReferenceSpec::File(path) => write!(f, "file: {}", path.display()),
            ReferenceSpec::First(length) => write!(f, "first: {}", super::duration::show(*length)),
            ReferenceSpec::Trailing(windows) => write!(f, "trailing: {windows}"),
            ReferenceSpec::SameHourOfWeek(weeks) => write!(f, "same_hour_of_week: {weeks}"),
        }
    }
}

/// Which rows are kept in the lake; labels are kept wherever rows are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Rows {
    /// Profiles only.
    #[default]
    None,
    All,
    /// This share, in (0, 1), chosen by a hash of (model, id): all versions of an id are kept or none.
    Sample(f64),
}

/// One checked document of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// The file as the user named it, and the line where the document begins.
    pub source: String,
    pub line: usize,
    /// The model's name, or a pattern of names.
    pub model: Glob,
    pub task: Task,
    pub window: WindowSpec,
    pub reference: ReferenceSpec,
    pub columns: ColumnRules,
    pub rows: Rows,
    pub retrain: RetrainPolicy,
    /// In the order written; names are unique.
    pub rules: Vec<Rule>,
    pub actions: BTreeMap<String, Action>,
}

/// Reads and checks the documents of one file.
///
/// # Errors
/// All problems of all documents, in the order of lines.
pub fn parse(source: &str, text: &str) -> Result<Vec<Declaration>, Vec<Problem>> {
    let (documents, problems) = yaml::read(source, text);
    let mut check = Checker::new(source, problems);
    if documents.is_empty() && check.problems.is_empty() {
        check.whole(
            "nothing is declared here",
            "write at least `model: NAME` and `task: none`, or remove the file",
        );
    }
    let declarations: Vec<Option<Declaration>> = documents
        .iter()
        .map(|node| document(&mut check, source, &At::root(node)))
        .collect();
    if check.problems.is_empty() {
        return Ok(declarations.into_iter().flatten().collect());
    }
    let mut problems = check.problems;
    problems.sort_by_key(|problem| problem.line);
    Err(problems)
}

const FIELDS: [&str; 11] = [
    "model",
    "task",
    "window",
    "reference",
    "columns",
    "rows",
    "retrain",
    "rules",
    "actions",
    "features_from",
    "mapping",
];

fn document<'a>(check: &mut Checker<'a>, source: &str, at: &At<'a>) -> Option<Declaration> {
    let table = check.table(at, &FIELDS)?;
    let model = match table.get("model") {
        Some(at) => check.text(at),
        None => {
            check.missing(
                &table,
                "model",
                "write the model's name or a pattern such as `power-*`",
            );
            None
        }
    };
    let task = match table.get("task") {
        Some(at) => task::read(check, at),
        None => {
            check.missing(
                &table,
                "task",
                "write for example `{type: binary, positive: up}`, or `none`",
            );
            None
        }
    };
    let window = table
        .get("window")
        .map_or(Some(WindowSpec::default()), |at| windows::read(check, at));
    let rows = table
        .get("rows")
        .map_or(Some(Rows::default()), |at| rows::read(check, at));
    let columns = table
        .get("columns")
        .map_or(Some(ColumnRules::default()), |at| columns::read(check, at));
    let facts = Facts {
        task: task.as_ref(),
        rows,
        window: window.as_ref(),
        columns: columns.as_ref(),
    };
    let reference = match table.get("reference") {
        Some(at) => reference(check, source, at, window.as_ref(), facts),
        None => Some(ReferenceSpec::First(
            DEFAULT_FIRST.max(window.as_ref().map_or(0, |spec| spec.span)),
        )),
    };
    if let Some(at) = table.get("features_from")
        && !at.is("predictions")
    {
        check.refuse(
            at,
            "this release reads features from prediction records only",
            "write `predictions` or leave it out",
        );
    }
    if let Some(at) = table.get("mapping") {
        check.refuse(
            at,
            "this release reads driftline's own record format only",
            "leave it out and log in that format",
        );
    }
    let retrain = table
        .get("retrain")
        .map_or(Some(RetrainPolicy::default()), |at| {
            retrain::read(check, at, facts)
        });
    let actions = table
        .get("actions")
        .map(|at| actions(check, at, facts))
        .unwrap_or_default();
    let declares_domain = columns
        .as_ref()
        .is_some_and(|columns| !columns.domain.is_empty());
    let rules = match table.get("rules") {
        Some(at) => rules(check, at, &actions, facts),
        None => rule::implied(declares_domain),
    };
    unused_actions(check, &actions, &rules);
    Some(Declaration {
        source: source.to_owned(),
        line: at.node.line,
        model: Glob::new(model?),
        window: window?,
        reference: reference?,
        columns: columns?,
        rows: rows?,
        retrain: retrain?,
        task: task?,
        rules,
        actions: actions
            .into_iter()
            .filter_map(|(name, (_, action))| Some((name, action?)))
            .collect(),
    })
}

fn reference<'a>(
    check: &mut Checker<'a>,
    source: &str,
    at: &At<'a>,
    window: Option<&WindowSpec>,
    facts: Facts<'_>,
) -> Option<ReferenceSpec> {
    const FORMS: &str = "write one of: `training`, `file: PATH`, `first: 30d`, `trailing: 8`, `same_hour_of_week: 4`";
    if matches!(at.node.value, yaml::Value::Scalar(_)) {
        if !at.is("training") {
            check.refuse(at, "not a reference", FORMS);
            return None;
        }
        let kept = facts.rows_are_kept(
            check,
            at,
            "no rows are kept, so no model is trained here and this reference never comes",
            ", or take the first windows: `{first: 30d}`",
        );
        return kept.then_some(ReferenceSpec::Training);
    }
    let table = check.table(at, &["file", "first", "trailing", "same_hour_of_week"])?;
    let mut given = table.entries();
    let (Some((key, value)), None) = (given.next(), given.next()) else {
        check.refuse(at, "a reference is exactly one thing", FORMS);
        return None;
    };
    match key {
        "file" => {
            let folder = Path::new(source).parent().unwrap_or(Path::new(""));
            Some(ReferenceSpec::File(folder.join(check.text(value)?)))
        }
        "first" => {
            let least = window.map_or(0, |spec| spec.span);
            Some(ReferenceSpec::First(check.duration(value, least)?))
        }
        "trailing" => small(check, value).map(ReferenceSpec::Trailing),
        _ => {
            let weeks = small(check, value)?;
            let every = window?.every;
            if WEEK % every != 0 {
                let remedy = "use a window that divides a week, for example `every: 1h`";
                check.refuse(
                    value,
                    "windows of this length do not fall on the same hour each week",
                    remedy,
                );
                return None;
            }
            Some(ReferenceSpec::SameHourOfWeek(weeks))
        }
    }
}

fn small<'a>(check: &mut Checker<'a>, at: &At<'a>) -> Option<u32> {
    check
        .whole_number(at, 1..=MOST_TRAILING)
        .and_then(|number| u32::try_from(number).ok())
}

/// An action and where it stands; `None` when it cannot be read, yet rules may name it.
type Actions<'a> = BTreeMap<String, (At<'a>, Option<Action>)>;

fn actions<'a>(check: &mut Checker<'a>, at: &At<'a>, facts: Facts<'_>) -> Actions<'a> {
    let Some(table) = check.open_table(at) else {
        return BTreeMap::new();
    };
    table
        .entries()
        .map(|(name, at)| {
            let action = action::read(check, name, at, facts);
            (name.to_owned(), (at.clone(), action))
        })
        .collect()
}

fn rules<'a>(
    check: &mut Checker<'a>,
    at: &At<'a>,
    actions: &Actions<'a>,
    facts: Facts<'_>,
) -> Vec<Rule> {
    let Some(items) = at.items() else {
        check.refuse(
            at,
            "not a list of rules",
            "write each rule after a dash: `- {name: inputs, watch: drift}`",
        );
        return Vec::new();
    };
    let mut rules: Vec<Rule> = Vec::new();
    for item in items {
        let Some(rule) = rule::read(check, &item, facts) else {
            continue;
        };
        if rules.iter().any(|other| other.name == rule.name) {
            let at = item.field("name").unwrap_or(item.clone());
            check.refuse(&at, "another rule has this name", "give each rule its own");
        }
        let known: Vec<&str> = actions.keys().map(String::as_str).collect();
        for name in rule
            .actions
            .iter()
            .filter(|name| !known.contains(&name.as_str()))
        {
            let at = item.field("actions").unwrap_or(item.clone());
            let remedy = match did_you_mean(name, &known) {
                Some(word) => format!("did you mean `{word}`?"),
                None => "describe it under `actions`".to_owned(),
            };
            check.refuse(&at, &format!("there is no action `{name}`"), &remedy);
        }
        let retrains = |name: &&String| {
            let action = actions.get(*name).and_then(|(_, action)| action.as_ref());
            action.is_some_and(|action| action.mode.retrains())
        };
        if !rule.watch.may_retrain()
            && let Some(name) = rule.actions.iter().find(retrains)
        {
            let at = item.field("actions").unwrap_or(item.clone());
            let wrong = format!(
                "`{name}` asks for a new model, and {} is no reason for one: it would learn from such data",
                rule.watch
            );
            let remedy =
                "take an action with `mode: notify`; while this alert is open, nothing is trained";
            check.refuse(&at, &wrong, remedy);
        }
        rules.push(rule);
    }
    rules
}

fn unused_actions(check: &mut Checker<'_>, actions: &Actions<'_>, rules: &[Rule]) {
    for (name, (at, _)) in actions {
        if !rules.iter().any(|rule| rule.actions.contains(name)) {
            let remedy = format!("write `actions: [{name}]` in a rule, or remove it");
            check.refuse(at, "no rule takes this action", &remedy);
        }
    }
}
