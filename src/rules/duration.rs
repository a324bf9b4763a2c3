//! Lengths of time as people write them: `500ms`, `90s`, `5m`, `1h30m`, `1d`, `2w`.

use crate::event::{DAY, HOUR, MINUTE, Millis, SECOND, WEEK};

/// Ten years. Longer is a slip of the finger, and sums of a few such lengths must not overflow.
pub const LONGEST: Millis = 3_660 * DAY;

/// Longest name first where one begins another.
const UNITS: [(&str, Millis); 6] = [
    ("ms", 1),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", HOUR),
    ("d", DAY),
    ("w", WEEK),
];

/// Reads whole numbers with units, greatest unit first, each unit at most once; `0s` is zero.
///
/// `None` for everything else: no unit, a fraction, a sign, units out of order, more than [`LONGEST`].
pub fn parse(text: &str) -> Option<Millis> {
    let mut rest = text.trim();
    let mut total: Millis = 0;
    let mut smallest = Millis::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: Millis = rest[..digits].parse().ok()?;
        let letters = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| digits + at);
        let (_, unit) = UNITS
            .iter()
            .find(|(name, _)| *name == rest[digits..letters].trim())?;
        if *unit >= smallest {
            return None;
        }
        smallest = *unit;
        total = total.checked_add(count.checked_mul(*unit)?)?;
        rest = &rest[letters..];
    }
    (smallest != Millis::MAX && total <= LONGEST).then_some(total)
}

/// The shortest text that [`parse`] reads back: `1h30m`, `2w`, `0s`. Negative lengths do not occur in checked values.
pub fn show(length: Millis) -> String {
    if length <= 0 {
        return "0s".to_owned();
    }
    if length % WEEK != 0 && length % DAY == 0 {
        return format!("{}d", length / DAY);
    }
    let mut rest = length;
    let mut text = String::new();
    for (name, unit) in UNITS.iter().rev() {
        if rest / unit > 0 {
            text += &format!("{}{name}", rest / unit);
            rest %= unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: Option<Millis>) {
        assert_eq!(parse(text), expect, "{text:?}");
    }

    #[test]
    fn units_add_up() {
        check("1d", Some(DAY));
        check("1h30m", Some(90 * MINUTE));
        check("1h 30m", Some(90 * MINUTE));
        check("2w", Some(2 * WEEK));
        check("250ms", Some(250));
        check("1m5ms", Some(MINUTE + 5));
        check("0s", Some(0));
    }

    #[test]
    fn what_is_not_a_length_is_refused() {
        for text in [
            "",
            "1",
            "d",
            "1.5h",
            "-1h",
            "30m1h",
            "1h1h",
            "1y",
            "1 hour",
            "h1",
            "99999999999999999999d",
            "4000d",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn lengths_are_shown_as_people_write_them() {
        for text in ["1d", "30d", "1h30m", "2w", "59d", "250ms", "0s", "1m5ms"] {
            assert_eq!(parse(text).map(show).as_deref(), Some(text));
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(length in 0..LONGEST) {
            prop_assert_eq!(parse(&show(length)), Some(length));
        }
    }
}
