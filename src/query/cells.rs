//! What one value of a file's column is, by the rules of the JSON decoder: a number is a number, quoted `NaN`,
//! `Infinity` and `-Infinity` are numbers where numbers are expected, other text there is `wrong_type`.
//!
//! CSV has no types. A column whose every value is a number holds numbers, one whose every value is `true` or `false`
//! (any case) booleans, any other text; the whole file decides, not its first rows. A number with leading zeros
//! (`01234`) is text, as in JSON. Where a layout already says numeric, each value is taken for itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use arrow::error::ArrowError;

use crate::profile::{Cells, Observed};

/// What the values of a CSV column are, seen over the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing but empty cells so far.
    Empty,
    Numbers,
    Booleans,
    Text,
}

impl Kind {
    /// The kind once `text` is known as well.
    pub(super) fn with(self, text: &str) -> Kind {
        match self {
            Kind::Text => Kind::Text,
            Kind::Empty if number(text).is_some() => Kind::Numbers,
            Kind::Empty if boolean(text).is_some() => Kind::Booleans,
            Kind::Numbers if number(text).is_some() => Kind::Numbers,
            Kind::Booleans if boolean(text).is_some() => Kind::Booleans,
            _ => Kind::Text,
        }
    }
}

/// One column of one batch.
pub(super) enum Values {
    Numbers(Float64Array),
    Booleans(BooleanArray),
    Texts(StringArray),
    /// Text of a CSV column and what it stands for.
    Untyped(StringArray, Kind),
    /// Lists of numbers.
    Lists(ListArray),
    /// Another list, an object or bytes: nothing a profile counts beyond its presence.
    Other(ArrayRef),
}

impl Values {
    /// A column that carries its own type (Parquet). Whole numbers and decimals become the nearest `f64`, as a JSON
    /// number does; dates and times become text.
    pub(super) fn typed(array: &ArrayRef) -> Result<Values, ArrowError> {
        let data_type = match array.data_type() {
            DataType::Dictionary(_, values) => (**values).clone(),
            other => other.clone(),
        };
        Ok(if data_type.is_numeric() {
            Values::Numbers(
                cast(array, &DataType::Float64)?
                    .as_primitive::<Float64Type>()
                    .clone(),
            )
        } else if data_type == DataType::Boolean {
            Values::Booleans(cast(array, &DataType::Boolean)?.as_boolean().clone())
        } else if data_type.is_string() || data_type.is_temporal() || data_type == DataType::Null {
            Values::Texts(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
        } else if is_list_of_numbers(&data_type) {
            let item = Field::new_list_field(DataType::Float64, true);
            let lists = cast(array, &DataType::List(Arc::new(item)))?;
            Values::Lists(lists.as_list::<i32>().clone())
        } else {
            Values::Other(array.clone())
        })
    }

    /// A CSV column: `array` is text.
    pub(super) fn untyped(array: &ArrayRef, kind: Kind) -> Values {
        Values::Untyped(array.as_string::<i32>().clone(), kind)
    }

    /// The value of `row` for a sample: quoted `NaN` and infinities are numbers.
    pub(super) fn observed(&self, row: usize) -> Observed<'_> {
        match self.value(row) {
            Observed::Text(text) => {
                named_number(text).map_or(Observed::Text(text), Observed::Number)
            }
            value => value,
        }
    }

    /// The value of `row` where the layout says what is expected. A text for a numeric column is of the wrong type, a
    /// NaN among categories is what pandas has for a missing text.
    pub(super) fn observed_as(&self, row: usize, cells: &Cells) -> Observed<'_> {
        match (self.value(row), cells) {
            (Observed::Text(text), Cells::Numeric(_)) => {
                let untyped = matches!(self, Values::Untyped(..));
                let number = if untyped {
                    number(text)
                } else {
                    named_number(text)
                };
                number.map_or(Observed::Text(text), Observed::Number)
            }
            (Observed::Number(number), Cells::Categorical(_)) if number.is_nan() => Observed::Null,
            (value, _) => value,
        }
    }

    /// The value of `row` where a number is needed: NaN for none, 1 and 0 for booleans; else what stands there.
    pub(super) fn number(&self, row: usize) -> Result<f64, String> {
        match self.value(row) {
            Observed::Null => Ok(f64::NAN),
            Observed::Number(number) => Ok(number),
            Observed::Bool(flag) => Ok(f64::from(flag)),
            Observed::Text(text) => {
                let found = if matches!(self, Values::Untyped(..)) {
                    number(text).or_else(|| boolean(text).map(f64::from))
                } else {
                    named_number(text)
                };
                found.ok_or_else(|| format!("{text:?}"))
            }
            Observed::Numbers(_) | Observed::Other => Err("a list, an object or bytes".to_owned()),
        }
    }

    fn value(&self, row: usize) -> Observed<'_> {
        match self {
            Values::Numbers(array) if array.is_valid(row) => Observed::Number(array.value(row)),
            Values::Booleans(array) if array.is_valid(row) => Observed::Bool(array.value(row)),
            Values::Texts(array) if array.is_valid(row) => Observed::Text(array.value(row)),
            Values::Untyped(array, kind) if array.is_valid(row) => {
                let text = array.value(row);
                let typed = match kind {
                    Kind::Numbers => number(text).map(Observed::Number),
                    Kind::Booleans => boolean(text).map(Observed::Bool),
                    Kind::Text | Kind::Empty => None,
                };
                typed.unwrap_or(Observed::Text(text))
            }
            Values::Lists(array) if array.is_valid(row) => match list(array, row) {
                Some(numbers) => Observed::Numbers(numbers),
                None => Observed::Other,
            },
            Values::Other(array) if array.is_valid(row) => Observed::Other,
            _ => Observed::Null,
        }
    }
}

fn is_list_of_numbers(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().is_numeric()
        }
        _ => false,
    }
}

/// The numbers of a row that is not null; `None` where one of them is null, or there is none.
fn list(array: &ListArray, row: usize) -> Option<&[f64]> {
    let [start, end] = [row, row + 1].map(|at| array.value_offsets()[at] as usize);
    let numbers = array.values().as_primitive::<Float64Type>();
    let whole = numbers
        .nulls()
        .is_none_or(|nulls| nulls.slice(start, end - start).null_count() == 0);
    (whole && start < end).then(|| &numbers.values()[start..end])
}

/// The numbers that JSON can only spell as text.
fn named_number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The number that a CSV cell spells; `nan` and `inf` are what Python writes.
pub(super) fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let leading_zeros = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
    if leading_zeros {
        None
    } else {
        text.parse().ok()
    }
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Decimal128Array, DictionaryArray, FixedSizeListArray, Int64Array, LargeListArray,
        NullArray, StructArray, TimestampSecondArray,
    };
    use arrow::datatypes::{Float32Type, Int8Type, Int32Type};

    use super::*;
    use crate::profile::{CategoricalCells, NumericCells};

    fn numeric() -> Cells {
        let (edges, domain, center) = (Vec::new(), None, 0.0);
        Cells::Numeric(NumericCells {
            edges,
            domain,
            center,
            sum_shift: 0,
            square_shift: 0,
        })
    }

    fn categorical() -> Cells {
        Cells::Categorical(CategoricalCells {
            categories: Vec::new(),
            closed: false,
        })
    }

    /// NaN is not equal to itself, so values are compared as they print.
    #[track_caller]
    fn same(found: Observed<'_>, expect: Observed<'_>) {
        assert_eq!(format!("{found:?}"), format!("{expect:?}"));
    }

    #[track_caller]
    fn check_kind(texts: &[&str], expect: Kind) {
        assert_eq!(texts.iter().copied().fold(Kind::Empty, Kind::with), expect);
    }

    #[test]
    fn the_whole_csv_column_decides_its_kind() {
        check_kind(&[], Kind::Empty);
        check_kind(
            &["1", "-2.5", "1e3", "NaN", "inf", "-Infinity"],
            Kind::Numbers,
        );
        check_kind(&["1", "2", "n/a"], Kind::Text);
        check_kind(&["10001", "01234"], Kind::Text);
        check_kind(&["0", "0.5", "-0.5"], Kind::Numbers);
        check_kind(&["True", "false"], Kind::Booleans);
        check_kind(&["True", "1"], Kind::Text);
        check_kind(&["1", "true"], Kind::Text);
    }

    #[track_caller]
    fn check_csv(
        text: Option<&str>,
        kind: Kind,
        sample: Observed<'_>,
        number: Observed<'_>,
        category: Observed<'_>,
    ) {
        let values = Values::Untyped(StringArray::from(vec![text]), kind);
        same(values.observed(0), sample);
        same(values.observed_as(0, &numeric()), number);
        same(values.observed_as(0, &categorical()), category);
    }

    #[test]
    fn csv_cells_are_what_their_column_or_the_layout_says() {
        use Observed::{Bool, Null, Number, Text};
        check_csv(None, Kind::Numbers, Null, Null, Null);
        check_csv(
            Some("5.0"),
            Kind::Numbers,
            Number(5.0),
            Number(5.0),
            Number(5.0),
        );
        check_csv(
            Some("5.0"),
            Kind::Text,
            Text("5.0"),
            Number(5.0),
            Text("5.0"),
        );
        check_csv(
            Some("n/a"),
            Kind::Text,
            Text("n/a"),
            Text("n/a"),
            Text("n/a"),
        );
        check_csv(
            Some("nan"),
            Kind::Numbers,
            Number(f64::NAN),
            Number(f64::NAN),
            Null,
        );
        check_csv(
            Some("True"),
            Kind::Booleans,
            Bool(true),
            Bool(true),
            Bool(true),
        );
        check_csv(
            Some("007"),
            Kind::Text,
            Text("007"),
            Text("007"),
            Text("007"),
        );
    }

    #[track_caller]
    fn check_typed(
        array: impl Array + 'static,
        row: usize,
        sample: Observed<'_>,
        number: Observed<'_>,
    ) {
        let values = Values::typed(&(Arc::new(array) as ArrayRef)).expect("Arrow can cast it");
        same(values.observed(row), sample);
        same(values.observed_as(row, &numeric()), number);
    }

    #[test]
    fn parquet_values_keep_their_type() {
        use Observed::{Bool, Null, Number, Other, Text};
        check_typed(
            Int64Array::from(vec![Some(3), None]),
            0,
            Number(3.0),
            Number(3.0),
        );
        check_typed(Int64Array::from(vec![Some(3), None]), 1, Null, Null);
        let money = Decimal128Array::from(vec![12_345])
            .with_precision_and_scale(10, 2)
            .expect("a valid decimal");
        check_typed(money, 0, Number(123.45), Number(123.45));
        check_typed(StringArray::from(vec!["12"]), 0, Text("12"), Text("12"));
        check_typed(
            StringArray::from(vec!["NaN"]),
            0,
            Number(f64::NAN),
            Number(f64::NAN),
        );
        check_typed(BooleanArray::from(vec![true]), 0, Bool(true), Bool(true));
        check_typed(
            vec![Some("a"), None]
                .into_iter()
                .collect::<DictionaryArray<Int8Type>>(),
            0,
            Text("a"),
            Text("a"),
        );
        check_typed(
            vec![Some("a"), None]
                .into_iter()
                .collect::<DictionaryArray<Int8Type>>(),
            1,
            Null,
            Null,
        );
        check_typed(NullArray::new(1), 0, Null, Null);
        check_typed(
            TimestampSecondArray::from(vec![0]),
            0,
            Text("1970-01-01T00:00:00"),
            Text("1970-01-01T00:00:00"),
        );
        let object = StructArray::new_empty_fields(1, None);
        check_typed(object, 0, Other, Other);
    }

    #[test]
    fn lists_of_numbers_are_read_whatever_their_kind() {
        use Observed::{Null, Numbers, Other};
        let rows = || {
            [
                Some(vec![Some(1), Some(2)]),
                None,
                Some(vec![]),
                Some(vec![None]),
            ]
        };
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>(rows());
        let large = LargeListArray::from_iter_primitive::<Int32Type, _, _>(rows());
        for row in [0, 1, 2, 3] {
            let expect = [Numbers(&[1.0, 2.0]), Null, Other, Other][row];
            check_typed(list.clone(), row, expect, expect);
            check_typed(large.clone(), row, expect, expect);
            // As a batch that is cut out of a larger one.
            check_typed(list.slice(row, 1), 0, expect, expect);
        }
        let fixed = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
            [Some([Some(0.5), Some(-1.0)]), None],
            2,
        );
        let numbers = Numbers(&[0.5, -1.0]);
        check_typed(fixed.clone(), 0, numbers, numbers);
        check_typed(fixed, 1, Null, Null);
    }
}
