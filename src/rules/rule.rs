//! One rule: what is watched, where, and when it is bad enough.

use serde::{Deserialize, Serialize};

use crate::event::{DAY, Millis};
use crate::performance::Metric;
use crate::stats::{self, Data, Statistic, tail};

use super::condition::{self, Condition, Side, Unit};
use super::facts::Facts;
use super::fields::{At, Checker, Table};
use super::glob::Glob;
use super::joint::{self, Joint};
use super::performance;
use super::watch::Watch;
use crate::window::WindowSpec;

/// Longest memory of a rule, in windows.
const MOST_WINDOWS: u32 = 100;

/// Who should look at an alert, and how soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Ticket,
    Page,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Ticket => "ticket",
            Severity::Page => "page",
        }
    }
}

/// `for: 3 of 5`: bad in at least `k` of the last `n` judged windows. `1 <= k <= n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KOfN {
    pub k: u32,
    pub n: u32,
}

/// How many false alarms a rule may raise on average: `1 per 30d`, over all its columns together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    pub count: f64,
    pub per: Millis,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            count: 1.0,
            per: 30 * DAY,
        }
    }
}

/// A checked rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Unique in its declaration.
    pub name: String,
    pub watch: Watch,
    /// Columns it looks at; `*` alone where the watch concerns the whole window.
    pub on: Vec<Glob>,
    /// What a performance rule looks at; `None` for every other watch.
    pub metric: Option<Metric>,
    /// The statistic of a drift rule; `None`: each column's primary one.
    pub statistic: Option<Statistic>,
    pub required: KOfN,
    pub severity: Severity,
    /// Always there for rates, volume, freshness and performance; never for drift and schema changes.
    pub condition: Option<Condition>,
    /// Effects up to here are left alone by a drift rule; `None`: the statistic's own floor.
    pub floor: Option<f64>,
    pub false_alarms: Budget,
    /// Chance of a false drift per window and column, instead of one derived from `false_alarms`; of a performance rule
    /// the chance of a false alarm per window.
    pub level: Option<f64>,
    /// Of a drift rule whose statistic looks at all its columns at once, and gives one score: its options.
    pub joint: Option<Joint>,
    /// Names of the declaration's actions to take when it fires.
    pub actions: Vec<String>,
}

impl Rule {
    /// A rule as the declaration would have it with nothing but these fields written.
    pub fn plain(name: &str, watch: Watch) -> Self {
        Self {
            name: name.to_owned(),
            watch,
            on: vec![Glob::new("*")],
            metric: None,
            statistic: None,
            required: KOfN { k: 1, n: 1 },
            severity: Severity::Ticket,
            condition: watch.default_condition(),
            floor: None,
            false_alarms: Budget::default(),
            level: None,
            joint: None,
            actions: Vec::new(),
        }
    }

    pub fn covers(&self, column: &str) -> bool {
        self.on.iter().any(|glob| glob.matches(column))
    }

    /// Whether it keeps a history of this column of scores. What concerns several columns at once, or the whole window,
    /// has no column's name.
    pub fn judges(&self, column: &str) -> bool {
        if self.joint.is_some() || !self.watch.per_column() {
            column.is_empty()
        } else {
            self.covers(column)
        }
    }
}

/// The rules of a declaration that states none: drift of every column in 3 of 5 windows, and per window nulls, unseen
/// categories and wrong types 2 points above the reference's share, columns that came or went, and less than half of
/// the reference's rows. With a declared domain also values outside it. All are tickets. Freshness is not implied.
pub fn implied(domain_declared: bool) -> Vec<Rule> {
    let mut rules = vec![
        Rule {
            required: KOfN { k: 3, n: 5 },
            ..Rule::plain("inputs", Watch::Drift)
        },
        Rule::plain("nulls", Watch::NullRate),
        Rule::plain("unseen", Watch::Unseen),
        Rule::plain("wrong_types", Watch::WrongType),
        Rule::plain("schema", Watch::SchemaChange),
        Rule::plain("volume", Watch::Volume),
    ];
    if domain_declared {
        rules.push(Rule::plain("domain", Watch::OutOfDomain));
    }
    rules
}

const FIELDS: [&str; 16] = [
    "name",
    "watch",
    "on",
    "statistic",
    "for",
    "severity",
    "above",
    "below",
    "floor",
    "false_alarms",
    "level",
    "actions",
    "metric",
    joint::FIELDS[0],
    joint::FIELDS[1],
    joint::FIELDS[2],
];

/// Reads one rule; `None` when its name or watch cannot be read.
pub(super) fn read<'a>(check: &mut Checker<'a>, at: &At<'a>, facts: Facts<'_>) -> Option<Rule> {
    let table = check.table(at, &FIELDS)?;
    let name = check.name(&table, "name");
    let watch = watch(check, &table);
    let mut rule = Rule::plain(
        &name.clone().unwrap_or_default(),
        watch.unwrap_or(Watch::Drift),
    );
    if let Some(severity) = table.get("severity") {
        let words = [
            ("page", Severity::Page),
            ("ticket", Severity::Ticket),
            ("info", Severity::Info),
        ];
        rule.severity = check.choice(severity, &words).unwrap_or(rule.severity);
    }
    if let Some(required) = table.get("for") {
        rule.required = k_of_n(check, required).unwrap_or(rule.required);
    }
    if let Some(actions) = table.get("actions") {
        rule.actions = check
            .texts(actions)
            .unwrap_or_default()
            .into_iter()
            .map(str::to_owned)
            .collect();
    }
    // What may stand in the rule depends on what it watches; without that there is nothing more to say.
    let watch = watch?;
    rule.metric = performance::metric(check, &table, &rule, facts);
    if let Some(on) = table.get("on") {
        let globs = check.texts(on).unwrap_or_default();
        if !watch.per_column() {
            check.refuse(
                on,
                &format!("{watch} concerns the whole window, not columns"),
                "leave it out",
            );
        } else if globs.is_empty() {
            check.refuse(
                on,
                "no column is named",
                "write a column, a list of them, or \"*\"",
            );
        } else {
            rule.on = globs.into_iter().map(Glob::new).collect();
        }
    }
    if watch == Watch::Freshness
        && let Some(required) = table.get("for")
    {
        check.refuse(
            required,
            "silence is not counted in windows",
            "leave it out and set `above`",
        );
    }
    calibration(check, &table, &mut rule, facts);
    rule.joint = joint::read(check, &table, &rule, facts);
    rule.condition = condition(check, &table, &rule);
    name.map(|_| rule)
}

fn watch<'a>(check: &mut Checker<'a>, table: &Table<'a>) -> Option<Watch> {
    let words = Watch::ALL.map(|watch| (watch.as_str(), watch));
    let Some(at) = table.get("watch") else {
        check.missing(
            table,
            "watch",
            &format!("write one of: {}", words.map(|(word, _)| word).join(", ")),
        );
        return None;
    };
    check.choice(at, &words)
}

fn k_of_n<'a>(check: &mut Checker<'a>, at: &At<'a>) -> Option<KOfN> {
    let text = check.text(at)?;
    let read = text.split_once(" of ").and_then(|(k, n)| {
        let (k, n) = (k.trim().parse::<u32>().ok()?, n.trim().parse::<u32>().ok()?);
        Some(KOfN { k, n })
    });
    match read {
        Some(KOfN { k, n }) if 1 <= k && k <= n && n <= MOST_WINDOWS => read,
        Some(KOfN { n, .. }) if n > MOST_WINDOWS => {
            check.refuse(
                at,
                "too many windows",
                &format!("write at most `K of {MOST_WINDOWS}`"),
            );
            None
        }
        _ => {
            check.refuse(
                at,
                "not a number of windows out of the last ones",
                "write for example `3 of 5`",
            );
            None
        }
    }
}

fn level<'a>(check: &mut Checker<'a>, table: &Table<'a>, rule: &mut Rule) {
    if let Some(at) = table.get("level") {
        rule.level = check.number(
            at,
            tail::LEAST_LEVEL..=0.5,
            "write a chance from 0.0000002 to 0.5",
        );
    }
}

/// The fields that only a drift rule has, which say how its threshold is made; a performance rule has `level` too.
fn calibration<'a>(check: &mut Checker<'a>, table: &Table<'a>, rule: &mut Rule, facts: Facts<'_>) {
    if rule.watch != Watch::Drift {
        let has_level = rule.watch == Watch::Performance;
        for key in ["statistic", "floor", "false_alarms", "level"] {
            if has_level && key == "level" {
                continue;
            }
            if let Some(at) = table.get(key) {
                check.refuse(
                    at,
                    &format!(
                        "only a drift rule has this; this one watches {}",
                        rule.watch
                    ),
                    "leave it out",
                );
            }
        }
        if has_level {
            level(check, table, rule);
        }
        return;
    }
    if let Some(at) = table.get("statistic") {
        // Windows are kept as profiles; what needs rows can be computed for several columns at once only.
        let mut words: Vec<(&str, Option<Statistic>)> = stats::table()
            .iter()
            .filter(|entry| entry.from == Data::Profile)
            .map(|entry| (entry.name, Some(entry.statistic)))
            .collect();
        words.push((Statistic::Mmd.name(), Some(Statistic::Mmd)));
        words.push(("energy", Some(Statistic::EnergyNd)));
        words.push(("auto", None));
        rule.statistic = check.choice(at, &words).flatten();
    }
    if let Some(at) = table.get("floor")
        && !matches!(check.text(at), Some("auto"))
    {
        rule.floor = check.number(at, 0.0..=f64::MAX, "write 0 or more, or `auto`");
    }
    if let Some(at) = table.get("false_alarms") {
        rule.false_alarms = check
            .rate(at)
            .map_or(rule.false_alarms, |(count, per)| Budget { count, per });
        budget(check, at, rule, facts.window);
    }
    level(check, table, rule);
    if let Some(at) = table.get("level")
        && table.get("false_alarms").is_some()
    {
        check.refuse(
            at,
            "the level follows from `false_alarms`, which is given too",
            "keep one of the two",
        );
    }
}

/// Refuses a budget so small that no number of draws serves its level, even if the rule watched one column only: k of n
/// windows are met at least as often as k windows in a row, so the level is at most the k-th root of the chance that
/// the budget leaves a window. More columns, and how much windows have in common, are known at run time only. The
/// mean's shift has a closed null, which serves any level.
fn budget<'a>(check: &mut Checker<'a>, at: &At<'a>, rule: &Rule, window: Option<&WindowSpec>) {
    let Some(window) = window else { return };
    if rule.statistic == Some(Statistic::MeanShift) || joint::is_joint(rule.statistic) {
        return;
    }
    let Budget { count, per } = rule.false_alarms;
    // Overlapping windows are tested as if one were enough.
    let k = if window.is_tumbling() {
        rule.required.k
    } else {
        1
    };
    let chance = count * window.every as f64 / per.max(1) as f64;
    let level = chance.powf(1.0 / f64::from(k.max(1)));
    if level < tail::LEAST_LEVEL {
        let wrong = format!(
            "so few false alarms need a level of {level:.1e} or less in each window, and {:.0e} random draws or more; at most {} are made, and their tail reaches down to {:.0e}",
            1.0 / level,
            tail::MAX_DRAWS,
            tail::LEAST_LEVEL,
        );
        check.refuse(at, &wrong, "write a larger number or a shorter time");
    }
}

fn condition<'a>(check: &mut Checker<'a>, table: &Table<'a>, rule: &Rule) -> Option<Condition> {
    let watch = rule.watch;
    let (above, below) = (table.get("above"), table.get("below"));
    let Some(unit) = watch.unit() else {
        for at in [above, below].into_iter().flatten() {
            if watch == Watch::Drift {
                check.refuse(
                    at,
                    "a drift rule has no fixed threshold: it is calibrated from the reference",
                    "write `floor: NUMBER` to leave smaller effects alone, or `false_alarms: 1 per 90d` to hear of fewer",
                );
            } else {
                check.refuse(at, "any change of the schema counts", "leave it out");
            }
        }
        return None;
    };
    let (side, at) = match (above, below) {
        (Some(_), Some(below)) => {
            check.refuse(
                below,
                "a rule has one limit, and `above` is given too",
                "write two rules",
            );
            return None;
        }
        (Some(at), None) => (Side::Above, at),
        (None, Some(at)) => (Side::Below, at),
        (None, None) => {
            let default = watch.default_condition();
            if unit == Unit::Number {
                performance::missing_limit(check, table, rule.metric);
            } else if default.is_none() {
                check.missing(
                    table,
                    "above",
                    "write how long silence may last, for example `above: 2h`",
                );
            }
            return default;
        }
    };
    if side == Side::Below && !matches!(unit, Unit::Rows | Unit::Number) {
        check.refuse(
            at,
            &format!("{watch} is only ever too high"),
            "write `above` instead",
        );
        return None;
    }
    let text = check.text(at)?;
    match condition::parse(text, unit) {
        Ok(limit) => {
            let condition = Condition { side, limit };
            // Without its metric there is no wrong side.
            let usable = rule
                .metric
                .is_none_or(|metric| performance::check_limit(check, at, metric, condition));
            usable.then_some(condition)
        }
        Err((wrong, remedy)) => {
            check.refuse(at, &wrong, &remedy);
            None
        }
    }
}
