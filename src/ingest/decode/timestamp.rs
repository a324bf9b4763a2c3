//! Event time as producers write it: RFC 3339 with any offset, or whole milliseconds since 1970.
//!
//! Numbers carry no unit, so the unit is judged by size. The ranges below meet without a gap and each holds the
//! whole of any time at which a watched model can have predicted.

use crate::event::{DAY, HOUR, MINUTE, Millis, Reason, SECOND};

use super::json::Number;

/// 100,000,000 s is March 1973; smaller numbers are no time in any unit, but counters and zeros.
const FIRST_SECONDS: i64 = 100_000_000;
/// As milliseconds March 1973, as seconds the year 5138: nobody logs predictions of either, so from here on a number
/// is in milliseconds and below it in seconds.
const FIRST_MILLIS: i64 = 100_000_000_000;
/// 2000-01-01 in microseconds; as milliseconds the year 31969. Starting later than the end of the seconds' range
/// would suggest keeps the year 9999 in milliseconds, a well-known "never", a time (which lies in the future).
const FIRST_MICROS: i64 = 946_684_800_000_000;
/// 2000-01-01 in nanoseconds.
const FIRST_NANOS: i64 = 946_684_800_000_000_000;
/// 1900-01-01. The zero time of Go and .NET, `0001-01-01T00:00:00Z`, means "not set" and must not open windows.
const EARLIEST: Millis = -2_208_988_800_000;

/// Milliseconds since 1970 from a JSON number.
pub(super) fn from_number(number: &Number<'_>) -> Result<Millis, (Reason, String)> {
    let Number { literal, value } = *number;
    // A literal with a point or an exponent may still be whole, as in `1763613060000.0`.
    let whole = literal
        .parse()
        .ok()
        .or((value.fract() == 0.0 && value.abs() < i64::MAX as f64).then_some(value as i64));
    let Some(whole) = whole else {
        if (FIRST_SECONDS as f64..FIRST_MILLIS as f64).contains(&value) {
            return Err(in_unit(Reason::TsInSeconds, literal, "seconds"));
        }
        return Err((
            Reason::BadTs,
            format!("`ts` is {literal}, not a whole number of milliseconds since 1970"),
        ));
    };
    match whole {
        ..FIRST_SECONDS => Err((
            Reason::BadTs,
            format!(
                "`ts` is {literal}, no plausible milliseconds since 1970; write times before 1973 as RFC 3339"
            ),
        )),
        FIRST_SECONDS..FIRST_MILLIS => Err(in_unit(Reason::TsInSeconds, literal, "seconds")),
        FIRST_MILLIS..FIRST_MICROS => Ok(whole),
        FIRST_MICROS..FIRST_NANOS => {
            Err(in_unit(Reason::TsInMicroseconds, literal, "microseconds"))
        }
        FIRST_NANOS.. => Err(in_unit(Reason::TsInNanoseconds, literal, "nanoseconds")),
    }
}

fn in_unit(reason: Reason, literal: &str, unit: &str) -> (Reason, String) {
    (
        reason,
        format!("`ts` is {literal}, which looks like {unit} since 1970; milliseconds are expected"),
    )
}

/// Milliseconds since 1970 from a text.
pub(super) fn from_text(text: &str) -> Result<Millis, (Reason, String)> {
    let Some(ts) = rfc3339(text.as_bytes()) else {
        let hint = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            "a number in quotes; write milliseconds without them"
        } else {
            "not RFC 3339 such as 2026-11-20T04:31:00.123Z with its offset"
        };
        return Err((Reason::BadTs, format!("`ts` is {text:?}, {hint}")));
    };
    if ts < EARLIEST {
        return Err((
            Reason::BadTs,
            format!("`ts` is {text:?}; times before 1900 mean that it was not set"),
        ));
    }
    Ok(ts)
}

/// RFC 3339 §5.6, with its allowances: `t`, `z` and a blank between date and time; digits beyond milliseconds are cut
/// off; second 60 (a leap second) counts as the next second. `None` when it is anything else.
fn rfc3339(text: &[u8]) -> Option<Millis> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let number = |range: std::ops::Range<usize>| {
        date_time[range].iter().try_fold(0i64, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i64::from(byte - b'0'))
        })
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let separators = [
        date_time[4],
        date_time[7],
        date_time[10],
        date_time[13],
        date_time[16],
    ];
    if !matches!(separators, [b'-', b'-', b'T' | b't' | b' ', b':', b':']) {
        return None;
    }
    let plausible = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !plausible || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (millis, rest) = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let digit = |i: usize| {
                if i < digits {
                    i64::from(fraction[i] - b'0')
                } else {
                    0
                }
            };
            (digits > 0).then(|| {
                (
                    100 * digit(0) + 10 * digit(1) + digit(2),
                    &fraction[digits..],
                )
            })?
        }
        _ => (0, rest),
    };
    let offset = match *rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(u8::is_ascii_digit) =>
        {
            let pair = |tens: u8, ones: u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
            let (hours, minutes) = (pair(h1, h2), pair(m1, m2));
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * HOUR + minutes * MINUTE) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let time = hour * HOUR + minute * MINUTE + second * SECOND + millis;
    Some(days_since_1970(year, month, day) * DAY + time - offset)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, for years 0 to 9999 (Hinnant, "chrono-compatible low-level date
/// algorithms", `days_from_civil`): years begin in March, so that the leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_FROM_YEAR_0_TO_1970: i64 = 719_468;
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - DAYS_FROM_YEAR_0_TO_1970
}

#[cfg(test)]
mod tests {
    use super::super::json::{Bounds, Scanner, Token};
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_number(literal: &str, expect: Result<Millis, Reason>) {
        let Ok(Token::Number(number)) = Scanner::new(
            literal,
            Bounds {
                depth: 1,
                members: 1,
            },
        )
        .token() else {
            panic!("{literal} is no number")
        };
        assert_eq!(
            from_number(&number).map_err(|(reason, _)| reason),
            expect,
            "{literal}"
        );
    }

    #[test]
    fn numbers_are_judged_by_their_size() {
        check_number("1763613060123", Ok(1_763_613_060_123));
        check_number("1763613060123.0", Ok(1_763_613_060_123));
        check_number("1.763613060123e12", Ok(1_763_613_060_123));
        check_number("536457600000", Ok(536_457_600_000)); // 1987
        check_number("253402300799000", Ok(253_402_300_799_000)); // year 9999
        check_number("1763613060123.5", Err(Reason::BadTs));
        check_number("1763613060", Err(Reason::TsInSeconds));
        check_number("1763613060.123", Err(Reason::TsInSeconds));
        check_number("1763613060123000", Err(Reason::TsInMicroseconds));
        check_number("1763613060123000000", Err(Reason::TsInNanoseconds));
        for literal in [
            "0",
            "-0",
            "5",
            "-1763613060123",
            "99999999",
            "1e999",
            "18446744073709551616",
            "1e-5",
        ] {
            check_number(literal, Err(Reason::BadTs));
        }
    }

    #[track_caller]
    fn check_text(text: &str, expect: Option<Millis>) {
        assert_eq!(from_text(text).ok(), expect, "{text}");
    }

    #[test]
    fn texts_need_date_time_and_offset() {
        let noon = 1_763_640_000_000;
        check_text("2025-11-20T12:00:00Z", Some(noon));
        check_text("2025-11-20t12:00:00.000z", Some(noon));
        check_text("2025-11-20 12:00:00.123456789Z", Some(noon + 123));
        check_text("2025-11-20T12:00:00.5+00:00", Some(noon + 500));
        check_text("2025-11-20T22:30:00+10:30", Some(noon));
        check_text("2025-11-20T06:59:59-05:00", Some(noon - 1000));
        check_text("2016-12-31T23:59:60Z", Some(1_483_228_800_000));
        check_text("2024-02-29T00:00:00Z", Some(1_709_164_800_000));
        check_text("1900-01-01T00:00:00Z", Some(EARLIEST));
        for text in [
            "",
            "2025-11-20",
            "2025-11-20T12:00:00",
            "2025-11-20T12:00:00.Z",
            "2025-11-20T12:00:00+1030",
            "2025-11-20T12:00:00+24:00",
            "2025-11-20T24:00:00Z",
            "2025-13-20T12:00:00Z",
            "2025-02-29T12:00:00Z",
            "2025-11-20T12:00:00Z ",
            "+025-11-20T12:00:00Z",
            "1763613060123",
            "0001-01-01T00:00:00Z",
            "2025-11-20T12:00:0\u{660}Z",
        ] {
            check_text(text, None);
        }
    }

    proptest! {
        #[test]
        fn texts_agree_with_chrono(ts in EARLIEST..253_402_300_800_000i64, offset in -1439i32..1440) {
            let zone = chrono::FixedOffset::east_opt(offset * 60).expect("less than a day");
            let time = chrono::DateTime::from_timestamp_millis(ts).expect("in range").with_timezone(&zone);
            prop_assume!((0..=9999).contains(&chrono::Datelike::year(&time)));
            prop_assert_eq!(from_text(&time.to_rfc3339()), Ok(ts));
        }
    }
}
