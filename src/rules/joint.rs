//! Rules over several columns at once: `statistic: mmd` and `statistic: energy`, which compare rows, not profiles.
//!
//! What such a rule can never do is refused here: without kept rows there is nothing to compare, a category has no
//! distance, and a level below one in so many permutations cannot be reached. What only the data can tell (a column
//! that the layout has as categorical, blocks that are too few) becomes the score's reason when a window is judged.

use std::fmt::Write as _;

use crate::event::Millis;
use crate::profile::Domain;
use crate::stats::Statistic;

use super::duration;
use super::facts::Facts;
use super::fields::{At, Checker, Table};
use super::rule::Rule;

/// Rows a side that are compared where the rule says nothing: 0.1 standard deviations in each of eight columns are
/// then found nearly always, in a second on two cores.
const DEFAULT_SAMPLE: u32 = 2_000;
/// Fewer rows say little about several columns.
const LEAST_SAMPLE: u64 = 100;
/// The cost grows with the square: so many rows a side are 50 million pairs.
const MOST_SAMPLE: u64 = 5_000;
/// Permutations that a p-value of 1 % needs.
const LEAST_PERMUTATIONS: u64 = 99;
/// Most permutations; the least level is one in so many and one.
pub const MOST_PERMUTATIONS: u32 = 9_999;
/// Pairs times permutations of one test: some ten seconds on two cores, well within a lease.
const MOST_WORK: f64 = 1e11;
/// Permutations drawn for each that the level needs, so that a p-value can fall below it.
const PERMUTATIONS_PER_NEEDED: f64 = 5.0;
/// Fewest permutations where the rule says nothing.
const FEWEST_DRAWN: u32 = 199;

/// The width of the RBF kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bandwidth {
    /// The median distance between the rows of both sides.
    Median,
    /// So many standard deviations of the reference.
    Sigma(f64),
}

/// What a rule over several columns has beside the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joint {
    /// Most rows of each side.
    pub sample: u32,
    /// `None`: as many as the level needs.
    pub permutations: Option<u32>,
    pub bandwidth: Bandwidth,
}

impl Default for Joint {
    fn default() -> Self {
        Self {
            sample: DEFAULT_SAMPLE,
            permutations: None,
            bandwidth: Bandwidth::Median,
        }
    }
}

impl Joint {
    /// As many permutations as are ever drawn.
    pub fn most_permutations(&self) -> u32 {
        self.permutations.unwrap_or(MOST_PERMUTATIONS)
    }

    /// Permutations for a test at `level`; `None` where that many are not drawn.
    ///
    /// ```
    /// use driftline::rules::Joint;
    /// assert_eq!(Joint::default().drawn(0.01), Some(499));
    /// assert_eq!(Joint { permutations: Some(999), ..Joint::default() }.drawn(0.01), Some(999));
    /// assert_eq!(Joint { permutations: Some(99), ..Joint::default() }.drawn(0.001), None);
    /// ```
    pub fn drawn(&self, level: f64) -> Option<u32> {
        let most = self.most_permutations();
        // One more than a permutation: the rows as they are.
        if level.is_nan() || level * f64::from(most + 1) < 1.0 {
            return None;
        }
        Some(self.permutations.unwrap_or_else(|| {
            let wanted = (PERMUTATIONS_PER_NEEDED / level)
                .ceil()
                .min(f64::from(most)) as u32;
            wanted.saturating_sub(1).max(FEWEST_DRAWN)
        }))
    }
}

/// Whether a statistic is of rows of several columns, and can be named by a rule.
pub fn is_joint(statistic: Option<Statistic>) -> bool {
    matches!(statistic, Some(Statistic::Mmd | Statistic::EnergyNd))
}

/// The fields that only such a rule has.
pub(super) const FIELDS: [&str; 3] = ["sample", "permutations", "bandwidth"];

/// Reads the options of a rule whose other fields are read, and refuses what cannot work.
pub(super) fn read<'a>(
    check: &mut Checker<'a>,
    table: &Table<'a>,
    rule: &Rule,
    facts: Facts<'_>,
) -> Option<Joint> {
    let statistic = table.get("statistic").filter(|_| is_joint(rule.statistic));
    let Some(statistic) = statistic else {
        for at in FIELDS.iter().filter_map(|key| table.get(key)) {
            check.refuse(
                at,
                "only a drift rule with `statistic: mmd` or `statistic: energy` compares sampled rows",
                "leave it out",
            );
        }
        return None;
    };
    let mut joint = Joint::default();
    facts.rows_are_kept(
        check,
        statistic,
        "it compares rows, and none are kept",
        ", or take a statistic of single columns",
    );
    numbers_only(check, table, facts);
    if let Some(at) = table.get("sample") {
        let read = check.whole_number(at, LEAST_SAMPLE..=MOST_SAMPLE);
        joint.sample = read.map_or(joint.sample, |rows| rows as u32);
    }
    if let Some(at) = table.get("permutations") {
        let range = LEAST_PERMUTATIONS..=u64::from(MOST_PERMUTATIONS);
        joint.permutations = check.whole_number(at, range).map(|count| count as u32);
    }
    if let Some(at) = table.get("bandwidth") {
        if rule.statistic == Some(Statistic::EnergyNd) {
            check.refuse(at, "the energy distance has no kernel", "leave it out");
        } else if !at.is("median") {
            let sigma = check.number(
                at,
                1e-3..=1e6,
                "write `median`, or a width in standard deviations from 0.001 to 1000000",
            );
            joint.bandwidth = sigma.map_or(joint.bandwidth, Bandwidth::Sigma);
        }
    }
    level(check, table, statistic, rule, &joint, facts);
    Some(joint)
}

/// Names that are declared to be no numbers, or not to be watched. Patterns take what fits them.
fn numbers_only<'a>(check: &mut Checker<'a>, table: &Table<'a>, facts: Facts<'_>) {
    let (Some(on), Some(columns)) = (table.get("on"), facts.columns) else {
        return;
    };
    let items = on.items().unwrap_or_else(|| vec![on.clone()]);
    for at in &items {
        let is = |names: &[String]| names.iter().any(|name| at.is(name));
        let categories = columns
            .domain
            .iter()
            .any(|(name, domain)| at.is(name) && matches!(domain, Domain::Categories(_)));
        if is(&columns.categorical) || categories {
            check.refuse(
                at,
                "this column is declared categorical, and categories have no distance",
                "name numeric columns only",
            );
        } else if is(&columns.exclude) {
            check.refuse(
                at,
                "this column is excluded under `columns`",
                "leave it out, or watch it again",
            );
        }
    }
}

/// Refuses a level that the permutations cannot reach, and more work than a window may cost.
fn level<'a>(
    check: &mut Checker<'a>,
    table: &Table<'a>,
    statistic: &At<'a>,
    rule: &Rule,
    joint: &Joint,
    facts: Facts<'_>,
) {
    let most = joint.most_permutations();
    let named = table.get("permutations").unwrap_or(statistic);
    let written = rule.level.zip(table.get("level"));
    let (level, at) = match (written, facts.window) {
        (Some((level, at)), _) => (Some(level), at),
        (None, Some(window)) => {
            let at = table.get("false_alarms").unwrap_or(named);
            let k = if window.is_tumbling() {
                rule.required.k
            } else {
                1
            };
            let level = most_of_budget(
                rule.false_alarms.count,
                rule.false_alarms.per,
                window.every,
                k,
            );
            (Some(level), at)
        }
        (None, None) => (None, named),
    };
    if let Some(level) = level
        && joint.drawn(level).is_none()
    {
        let wrong = match written {
            Some(_) => format!("a level of {level} needs more permutations than {most}"),
            None => {
                let mut text = format!(
                    "{} per {}",
                    rule.false_alarms.count,
                    duration::show(rule.false_alarms.per)
                );
                // Writing to a String cannot fail.
                let _ = write!(
                    text,
                    " leaves each window a level of {level:.1e}, which needs more permutations than {most}"
                );
                text
            }
        };
        let remedy = match written {
            _ if most < MOST_PERMUTATIONS => {
                format!("write more `permutations`, up to {MOST_PERMUTATIONS}, or a larger level")
            }
            Some(_) => "write 0.0001 or more".to_owned(),
            None => "write `level: 0.0001` or more, or take longer windows".to_owned(),
        };
        check.refuse(at, &wrong, &remedy);
    }
    let pairs = 2.0 * f64::from(joint.sample) * f64::from(joint.sample);
    let permutations = level
        .and_then(|level| joint.drawn(level))
        .or(joint.permutations)
        .unwrap_or(FEWEST_DRAWN);
    if pairs * f64::from(permutations) > MOST_WORK {
        let at = table.get("sample").unwrap_or(named);
        let wrong = format!(
            "{} rows a side and {permutations} permutations are too much work for every window",
            joint.sample
        );
        check.refuse(
            at,
            &wrong,
            "write a smaller `sample` or fewer `permutations`",
        );
    }
}

/// The largest level that a budget can leave a window, as for other statistics: k of n windows are met at least as
/// often as k in a row.
fn most_of_budget(count: f64, per: Millis, every: Millis, k: u32) -> f64 {
    let chance = count * every as f64 / per.max(1) as f64;
    chance.min(1.0).powf(1.0 / f64::from(k.max(1))).min(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::parse;

    #[track_caller]
    fn joint(fields: &str) -> (Rule, Joint) {
        let text = format!(
            "model: m\ntask: none\nrows: all\nrules:\n  - {{name: r, watch: drift, {fields}}}\n"
        );
        let rule = parse("r.yaml", &text)
            .expect("a rule")
            .remove(0)
            .rules
            .remove(0);
        let joint = rule.joint.expect("of several columns");
        (rule, joint)
    }

    #[test]
    fn the_words_and_their_defaults() {
        let (rule, options) = joint("statistic: mmd, on: [a, b]");
        assert_eq!(
            (rule.statistic, options),
            (Some(Statistic::Mmd), Joint::default())
        );
        assert!(rule.judges("") && !rule.judges("a") && rule.covers("a"));
        let (rule, options) = joint("statistic: energy, on: a, sample: 500, permutations: 199");
        assert_eq!(rule.statistic, Some(Statistic::EnergyNd));
        assert_eq!((options.sample, options.permutations), (500, Some(199)));
        let (_, options) = joint("statistic: mmd, bandwidth: 1.5");
        assert_eq!(options.bandwidth, Bandwidth::Sigma(1.5));
    }

    #[track_caller]
    fn refuse(text: &str, expect: &[&str]) {
        let problems = parse("r.yaml", text).expect_err("a rule that is refused");
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, expect);
    }

    #[test]
    fn without_rows_there_is_nothing_to_compare() {
        refuse(
            "\
model: m
task: none
rules:
  - {name: j, watch: drift, statistic: mmd, on: [a, b]}",
            &[
                "r.yaml:4: rules[0].statistic: mmd: it compares rows, and none are kept; write `rows: all`, or `rows: {sample: 10%}` for a share of them, or take a statistic of single columns",
            ],
        );
    }

    #[test]
    fn categories_have_no_distance() {
        refuse(
            "\
model: m
task: none
rows: all
columns: {categorical: [day], exclude: [ref], domain: {kind: {categories: [a, b]}}}
rules:
  - {name: j, watch: drift, statistic: energy, on: [day, ref, kind, x], bandwidth: 2}",
            &[
                "r.yaml:6: rules[0].on[0]: day: this column is declared categorical, and categories have no distance; name numeric columns only",
                "r.yaml:6: rules[0].on[1]: ref: this column is excluded under `columns`; leave it out, or watch it again",
                "r.yaml:6: rules[0].on[2]: kind: this column is declared categorical, and categories have no distance; name numeric columns only",
                "r.yaml:6: rules[0].bandwidth: 2: the energy distance has no kernel; leave it out",
            ],
        );
    }

    #[test]
    fn a_level_that_no_permutations_reach() {
        refuse(
            "\
model: m
task: none
rows: all
window: {every: 1m}
rules:
  - {name: a, watch: drift, statistic: mmd, level: 0.00001}
  - {name: b, watch: drift, statistic: mmd, level: 0.001, permutations: 99}
  - {name: c, watch: drift, statistic: mmd}
  - {name: d, watch: drift, statistic: mmd, for: 2 of 3, sample: 1000}
  - {name: e, watch: drift, statistic: mmd, level: 0.001, sample: 5000}",
            &[
                "r.yaml:6: rules[0].level: 0.00001: a level of 0.00001 needs more permutations than 9999; write 0.0001 or more",
                "r.yaml:7: rules[1].level: 0.001: a level of 0.001 needs more permutations than 99; write more `permutations`, up to 9999, or a larger level",
                "r.yaml:8: rules[2].statistic: mmd: 1 per 30d leaves each window a level of 2.3e-5, which needs more permutations than 9999; write `level: 0.0001` or more, or take longer windows",
                "r.yaml:10: rules[4].sample: 5000: 5000 rows a side and 4999 permutations are too much work for every window; write a smaller `sample` or fewer `permutations`",
            ],
        );
    }

    #[test]
    fn only_such_a_rule_has_a_sample() {
        refuse(
            "\
model: m
task: none
rows: all
rules:
  - {name: a, watch: drift, sample: 500}
  - {name: b, watch: volume, permutations: 199}
  - {name: c, watch: drift, statistic: mmd, sample: 5, permutations: many, bandwidth: wide}",
            &[
                "r.yaml:5: rules[0].sample: 500: only a drift rule with `statistic: mmd` or `statistic: energy` compares sampled rows; leave it out",
                "r.yaml:6: rules[1].permutations: 199: only a drift rule with `statistic: mmd` or `statistic: energy` compares sampled rows; leave it out",
                "r.yaml:7: rules[2].sample: 5: not a whole number in range; write a number from 100 to 5000",
                "r.yaml:7: rules[2].permutations: many: not a whole number in range; write a number from 99 to 9999",
                "r.yaml:7: rules[2].bandwidth: wide: not a number in range; write `median`, or a width in standard deviations from 0.001 to 1000000",
            ],
        );
    }

    #[test]
    fn as_many_permutations_as_the_level_needs() {
        let of = |level| Joint::default().drawn(level);
        assert_eq!(
            (of(0.5), of(0.05), of(0.001)),
            (Some(199), Some(199), Some(4_999))
        );
        assert_eq!(
            (of(1e-4), of(9e-5), of(f64::NAN)),
            (Some(9_998), None, None)
        );
    }
}
