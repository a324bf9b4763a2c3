//! The limit of a rule: `above: reference + 2pp`, `below: reference * 0.5`, `above: 2h`, `below: 0.7`.

use serde::{Deserialize, Serialize};

use crate::event::Millis;

use super::duration;

/// Percentage points in the whole.
const POINTS: f64 = 100.0;

/// A value is bad when it lies strictly beyond the limit on this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Above,
    Below,
}

/// Where the limit lies. Shares are in 0–1, times in milliseconds, counts in rows, metrics as they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    Fixed(f64),
    /// The reference's value and this much more (or less, when negative).
    ReferencePlus(f64),
    /// The reference's value, times this.
    ReferenceTimes(f64),
}

impl Limit {
    /// `None` when the reference's value is needed and not known.
    pub fn value(self, reference: Option<f64>) -> Option<f64> {
        match self {
            Limit::Fixed(value) => Some(value),
            Limit::ReferencePlus(more) => reference.map(|value| value + more),
            Limit::ReferenceTimes(factor) => reference.map(|value| value * factor),
        }
    }

    pub fn needs_reference(self) -> bool {
        !matches!(self, Limit::Fixed(_))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    pub side: Side,
    pub limit: Limit,
}

impl Condition {
    /// Whether `value` lies beyond the limit; `None` when the limit is not known.
    pub fn holds(&self, value: f64, reference: Option<f64>) -> Option<bool> {
        let limit = self.limit.value(reference)?;
        Some(match self.side {
            Side::Above => value > limit,
            Side::Below => value < limit,
        })
    }
}

impl Condition {
    /// The condition as a rule would write it: `above reference + 2pp`.
    pub fn text(&self, unit: Unit) -> String {
        let side = match self.side {
            Side::Above => "above",
            Side::Below => "below",
        };
        match self.limit {
            Limit::Fixed(value) => format!("{side} {}", amount(value, unit, "%")),
            Limit::ReferencePlus(0.0) => format!("{side} reference"),
            Limit::ReferencePlus(less) if less < 0.0 => {
                format!("{side} reference - {}", amount(-less, unit, "pp"))
            }
            Limit::ReferencePlus(more) => {
                format!("{side} reference + {}", amount(more, unit, "pp"))
            }
            Limit::ReferenceTimes(factor) => format!("{side} reference * {factor}"),
        }
    }
}

/// A number with its unit, rounded where only binary fractions are left to show.
fn amount(value: f64, unit: Unit, percent: &str) -> String {
    const SHOWN: f64 = 1e9;
    match unit {
        Unit::Share => format!("{}{percent}", (value * POINTS * SHOWN).round() / SHOWN),
        Unit::Rows | Unit::Number => format!("{value}"),
        // Lengths are whole milliseconds below 2^53.
        Unit::Time => duration::show(value as Millis),
    }
}

/// What kind of number a limit is about; it settles which units may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A share of rows: `0.02`, `2pp`, `2%` (the last only without `reference`, where it could mean two things).
    Share,
    /// A number of rows.
    Rows,
    /// A length of time: `2h`.
    Time,
    /// A metric's value: `0.35`. A limit may be negative, R² is when predictions are worse than their mean.
    Number,
}

/// Reads a limit, or says in two parts what is wrong and what to write instead.
pub fn parse(text: &str, unit: Unit) -> Result<Limit, (String, String)> {
    let example = match unit {
        Unit::Share => "reference + 2pp",
        Unit::Rows => "reference * 0.5",
        Unit::Time => "2h",
        Unit::Number => "reference + 0.05",
    };
    let wrong = |wrong: &str| Err((wrong.to_owned(), format!("write for example `{example}`")));
    let text = text.trim();
    if unit == Unit::Number && text.ends_with(['%', 'p']) {
        return wrong("a metric is a plain number");
    }
    let Some(rest) = text.strip_prefix("reference") else {
        return match number(text, unit) {
            Some(value) => in_range(value, unit),
            None if unit == Unit::Time => wrong("not a length of time"),
            None => wrong("neither a number nor `reference` with a difference or a factor"),
        };
    };
    if unit == Unit::Time {
        return wrong("a length of time has no reference");
    }
    let rest = rest.trim();
    if rest.is_empty() {
        return Ok(Limit::ReferencePlus(0.0));
    }
    let mut characters = rest.chars();
    let sign = characters.next();
    let amount = characters.as_str().trim();
    match sign {
        Some('*') => match number(amount, Unit::Rows) {
            Some(factor) if factor > 0.0 => Ok(Limit::ReferenceTimes(factor)),
            _ => wrong("after `reference *` comes a factor greater than 0"),
        },
        Some('+' | '-') if amount.ends_with('%') => {
            let percent = amount.trim_end_matches('%').trim();
            Err((
                "after `reference` a % could mean points or a factor".to_owned(),
                format!("write `{percent}pp` for percentage points, or `reference * FACTOR`"),
            ))
        }
        Some(sign @ ('+' | '-')) => match number(amount, unit) {
            Some(more) if more >= 0.0 => {
                Ok(Limit::ReferencePlus(if sign == '-' { -more } else { more }))
            }
            _ => wrong("after `reference` and a sign comes a number without one"),
        },
        _ => wrong("after `reference` comes `+`, `-` or `*`"),
    }
}

fn in_range(value: f64, unit: Unit) -> Result<Limit, (String, String)> {
    let range = match unit {
        Unit::Share => 0.0..=1.0,
        Unit::Number => f64::MIN..=f64::MAX,
        Unit::Rows | Unit::Time => 0.0..=f64::MAX,
    };
    if range.contains(&value) {
        return Ok(Limit::Fixed(value));
    }
    Err(match unit {
        Unit::Share => (
            "a share lies between 0 and 1".to_owned(),
            "write for example `0.02` or `2%`".to_owned(),
        ),
        Unit::Rows | Unit::Time | Unit::Number => (
            "a limit is not negative".to_owned(),
            "write 0 or more".to_owned(),
        ),
    })
}

fn number(text: &str, unit: Unit) -> Option<f64> {
    let (text, scale) = match unit {
        // No length of time exceeds 2^53 ms, so the number is exact.
        Unit::Time => return duration::parse(text).map(|length| length as f64),
        Unit::Share => match (text.strip_suffix("pp"), text.strip_suffix('%')) {
            (Some(points), _) | (_, Some(points)) => (points.trim_end(), POINTS),
            _ => (text, 1.0),
        },
        Unit::Rows | Unit::Number => (text, 1.0),
    };
    text.parse::<f64>()
        .ok()
        .map(|value| value / scale)
        .filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, unit: Unit, expect: Limit) {
        assert_eq!(parse(text, unit), Ok(expect), "{text}");
    }

    #[track_caller]
    fn refuse(text: &str, unit: Unit, expect: &str) {
        let (wrong, remedy) = parse(text, unit).expect_err("a limit that is refused");
        assert_eq!(format!("{wrong}; {remedy}"), expect);
    }

    #[test]
    fn limits_are_read_in_their_unit() {
        check("reference + 2pp", Unit::Share, Limit::ReferencePlus(0.02));
        check("reference+0.05", Unit::Share, Limit::ReferencePlus(0.05));
        check("reference - 5pp", Unit::Share, Limit::ReferencePlus(-0.05));
        check("reference * 0.5", Unit::Rows, Limit::ReferenceTimes(0.5));
        check("reference", Unit::Share, Limit::ReferencePlus(0.0));
        check("5%", Unit::Share, Limit::Fixed(0.05));
        check("5 pp", Unit::Share, Limit::Fixed(0.05));
        check("0.1", Unit::Share, Limit::Fixed(0.1));
        check("1000", Unit::Rows, Limit::Fixed(1000.0));
        check("2h", Unit::Time, Limit::Fixed(7_200_000.0));
        check("-0.5", Unit::Number, Limit::Fixed(-0.5));
        check("reference + 0.05", Unit::Number, Limit::ReferencePlus(0.05));
        check("reference * 1.1", Unit::Number, Limit::ReferenceTimes(1.1));
    }

    #[test]
    fn limits_that_cannot_be_meant_are_refused() {
        refuse(
            "reference + 2%",
            Unit::Share,
            "after `reference` a % could mean points or a factor; write `2pp` for percentage points, or `reference * FACTOR`",
        );
        refuse(
            "reference + 2h",
            Unit::Time,
            "a length of time has no reference; write for example `2h`",
        );
        refuse(
            "2",
            Unit::Time,
            "not a length of time; write for example `2h`",
        );
        refuse(
            "1.5",
            Unit::Share,
            "a share lies between 0 and 1; write for example `0.02` or `2%`",
        );
        refuse(
            "nan",
            Unit::Share,
            "neither a number nor `reference` with a difference or a factor; write for example `reference + 2pp`",
        );
        refuse(
            "reference / 2",
            Unit::Rows,
            "after `reference` comes `+`, `-` or `*`; write for example `reference * 0.5`",
        );
        refuse(
            "reference * 0",
            Unit::Rows,
            "after `reference *` comes a factor greater than 0; write for example `reference * 0.5`",
        );
        refuse(
            "reference + -1",
            Unit::Share,
            "after `reference` and a sign comes a number without one; write for example `reference + 2pp`",
        );
        refuse(
            "reference + 5pp",
            Unit::Number,
            "a metric is a plain number; write for example `reference + 0.05`",
        );
        refuse("-5", Unit::Rows, "a limit is not negative; write 0 or more");
    }

    #[test]
    fn a_limit_on_an_unknown_reference_holds_nothing() {
        let condition = Condition {
            side: Side::Above,
            limit: Limit::ReferencePlus(0.02),
        };
        assert_eq!(condition.holds(0.5, None), None);
        assert_eq!(condition.holds(0.5, Some(0.1)), Some(true));
        assert_eq!(
            condition.holds(0.12, Some(0.1)),
            Some(false),
            "the limit itself is not beyond it"
        );
    }

    #[test]
    fn conditions_are_shown_as_rules_write_them() {
        for (text, unit) in [
            ("reference + 2pp", Unit::Share),
            ("reference - 7pp", Unit::Share),
            ("reference", Unit::Share),
            ("0.1%", Unit::Share),
            ("reference * 0.5", Unit::Rows),
            ("1000", Unit::Rows),
            ("1h30m", Unit::Time),
            ("reference - 0.05", Unit::Number),
            ("-0.25", Unit::Number),
        ] {
            let condition = Condition {
                side: Side::Above,
                limit: parse(text, unit).expect("a limit"),
            };
            assert_eq!(condition.text(unit), format!("above {text}"));
        }
    }
}
