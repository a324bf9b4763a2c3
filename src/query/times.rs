//! Event times of a file's rows, by the envelope's rules: whole milliseconds since 1970 or RFC 3339 text. Parquet's
//! timestamps and dates carry their unit; one without a zone is UTC.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;

use crate::event::{DAY, Millis, SECOND};

/// A value that is no event time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadTime {
    pub row: usize,
    pub value: String,
    pub why: &'static str,
    pub remedy: &'static str,
}

type Fault = (&'static str, &'static str);

const NOT_A_TIME: Fault = (
    "it is neither whole milliseconds nor RFC 3339 text",
    "write it as 1385000000000 or 2013-11-21T02:13:20Z",
);
const MISSING: Fault = ("it is missing", "fill it in or drop the row");
const SECONDS: Fault = ("it looks like seconds", "multiply by 1000");
const TOO_FINE: Fault = (
    "it looks like micro- or nanoseconds",
    "divide to milliseconds",
);

/// The event time of every row, or the first value that is none.
pub(super) fn times(array: &ArrayRef) -> Result<Result<Vec<Millis>, BadTime>, ArrowError> {
    let read: Box<dyn Fn(usize) -> Result<Millis, Fault>> = match array.data_type() {
        DataType::Timestamp(unit, _) => {
            let ticks = cast(array, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone();
            let unit = *unit;
            Box::new(move |row| Ok(to_millis(ticks.value(row), unit)))
        }
        DataType::Date32 | DataType::Date64 => {
            let days = cast(&cast(array, &DataType::Date32)?, &DataType::Int32)?;
            let days = cast(&days, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone();
            Box::new(move |row| Ok(days.value(row) * DAY))
        }
        kind if kind.is_integer() => {
            // An unsigned number beyond i64 casts to null, whose value is 0 and refused as such.
            let numbers = cast(array, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone();
            Box::new(move |row| millis(numbers.value(row)))
        }
        kind if kind.is_numeric() => {
            let numbers = cast(array, &DataType::Float64)?
                .as_primitive::<Float64Type>()
                .clone();
            Box::new(move |row| whole(numbers.value(row)).and_then(millis))
        }
        kind if kind.is_string() => {
            let texts = cast(array, &DataType::Utf8)?.as_string::<i32>().clone();
            Box::new(move |row| text_millis(texts.value(row)))
        }
        _ => Box::new(|_| Err(NOT_A_TIME)),
    };
    let row_time = |row| {
        let time = if array.is_null(row) {
            Err(MISSING)
        } else {
            read(row)
        };
        time.map_err(|(why, remedy)| {
            let value = array_value_to_string(array, row).unwrap_or_default();
            BadTime {
                row,
                value: format!("{value:?}"),
                why,
                remedy,
            }
        })
    };
    Ok((0..array.len()).map(row_time).collect())
}

fn to_millis(ticks: i64, unit: TimeUnit) -> Millis {
    match unit {
        TimeUnit::Second => ticks.saturating_mul(SECOND),
        TimeUnit::Millisecond => ticks,
        TimeUnit::Microsecond => ticks.div_euclid(1_000),
        TimeUnit::Nanosecond => ticks.div_euclid(1_000_000),
    }
}

fn whole(number: f64) -> Result<i64, Fault> {
    // Above 2^53 a float no longer holds every whole number; no time in milliseconds is that large.
    let limit = (1u64 << f64::MANTISSA_DIGITS) as f64;
    if number.fract() == 0.0 && number.abs() <= limit {
        Ok(number as i64)
    } else {
        Err(NOT_A_TIME)
    }
}

fn text_millis(text: &str) -> Result<Millis, Fault> {
    if let Ok(number) = text.parse() {
        return millis(number);
    }
    let time = chrono::DateTime::parse_from_rfc3339(text)
        .map_err(|_| NOT_A_TIME)?
        .timestamp_millis();
    if time < EARLIEST {
        Err(NOT_A_TIME)
    } else {
        Ok(time)
    }
}

// The unit of a number is judged by its size, at the same bounds as in a record's envelope.

/// 100,000,000 s is March 1973: smaller numbers are counters and zeros.
const FIRST_SECONDS: i64 = 100_000_000;
/// As milliseconds March 1973, as seconds the year 5138.
const FIRST_MILLIS: i64 = 100_000_000_000;
/// 2000-01-01 in microseconds; as milliseconds the year 31969.
const FIRST_MICROS: i64 = 946_684_800_000_000;
/// 1900-01-01: earlier texts mean that the time was not set.
const EARLIEST: Millis = -2_208_988_800_000;

fn millis(number: i64) -> Result<Millis, Fault> {
    match number {
        ..FIRST_SECONDS => Err(NOT_A_TIME),
        FIRST_SECONDS..FIRST_MILLIS => Err(SECONDS),
        FIRST_MILLIS..FIRST_MICROS => Ok(number),
        FIRST_MICROS.. => Err(TOO_FINE),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
        TimestampSecondArray,
    };

    use super::*;

    /// 2013-11-21T02:13:20Z.
    const TIME: Millis = 1_385_000_000_000;

    #[track_caller]
    fn check(array: impl Array + 'static, expect: Result<Vec<Millis>, (usize, &str, &str)>) {
        let array: ArrayRef = Arc::new(array);
        let read = times(&array).expect("Arrow can cast it");
        let read = read.map_err(|bad| (bad.row, bad.value, bad.remedy));
        assert_eq!(
            read,
            expect.map_err(|(row, value, remedy)| (row, value.to_owned(), remedy))
        );
    }

    #[test]
    fn every_way_to_write_a_time_gives_the_same_milliseconds() {
        check(Int64Array::from(vec![TIME]), Ok(vec![TIME]));
        check(Float64Array::from(vec![TIME as f64]), Ok(vec![TIME]));
        check(
            StringArray::from(vec![
                "2013-11-21T02:13:20Z",
                "2013-11-20T21:13:20-05:00",
                "1385000000000",
            ]),
            Ok(vec![TIME, TIME, TIME]),
        );
        check(
            TimestampSecondArray::from(vec![TIME / 1000]),
            Ok(vec![TIME]),
        );
        check(
            TimestampSecondArray::from(vec![TIME / 1000]).with_timezone("America/New_York"),
            Ok(vec![TIME]),
        );
        check(TimestampMicrosecondArray::from(vec![-1]), Ok(vec![-1]));
        check(Date32Array::from(vec![2]), Ok(vec![2 * DAY]));
    }

    #[test]
    fn what_is_no_time_is_named_with_its_row_and_remedy() {
        check(
            Int64Array::from(vec![TIME, 1_385_000_000]),
            Err((1, "\"1385000000\"", SECONDS.1)),
        );
        check(
            Int64Array::from(vec![TIME * 1000]),
            Err((0, "\"1385000000000000\"", TOO_FINE.1)),
        );
        check(Int64Array::from(vec![0]), Err((0, "\"0\"", NOT_A_TIME.1)));
        check(Int64Array::from(vec![None]), Err((0, "\"\"", MISSING.1)));
        check(
            Float64Array::from(vec![TIME as f64 + 0.5]),
            Err((0, "\"1385000000000.5\"", NOT_A_TIME.1)),
        );
        check(
            StringArray::from(vec!["yesterday"]),
            Err((0, "\"yesterday\"", NOT_A_TIME.1)),
        );
        check(
            StringArray::from(vec!["0001-01-01T00:00:00Z"]),
            Err((0, "\"0001-01-01T00:00:00Z\"", NOT_A_TIME.1)),
        );
        check(
            arrow::array::BooleanArray::from(vec![true]),
            Err((0, "\"true\"", NOT_A_TIME.1)),
        );
    }
}
