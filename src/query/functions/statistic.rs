//! Each statistic of the table that profiles are enough for, as a function of two profiles.
//!
//! What is said of a statistic, its name and its documentation come from `stats::table`: a line there is a function
//! here.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, Float64Builder};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::profile::SECTION;
use super::{FunctionError, Measure, Names};
use crate::stats::{Applies, Data, Entry, Statistic, table};

pub(super) fn all(names: &Arc<Names>, measure: Measure) -> Vec<ScalarUDF> {
    let of_profiles = table().iter().filter(|entry| entry.from == Data::Profile);
    let functions = of_profiles.map(|entry| {
        ScalarUDF::new_from_impl(StatisticFunction {
            statistic: entry.statistic,
            names: Arc::clone(names),
            measure,
            signature: Signature::exact(
                vec![DataType::Binary, DataType::Binary],
                Volatility::Stable,
            ),
            documentation: documentation(entry),
        })
    });
    functions.collect()
}

fn documentation(entry: &Entry) -> Documentation {
    let of = match entry.applies {
        Applies::Numeric => " Of numeric columns; NULL for others.",
        Applies::Categorical => " Of categorical columns; NULL for others.",
        Applies::Both => "",
    };
    Documentation::builder(
        SECTION,
        format!(
            "{}: {}. Unit: {}.{of} NULL where one of the two has no rows.",
            entry.title, entry.formula, entry.unit
        ),
        format!("{}(profile, reference)", entry.name),
    )
    .with_sql_example(format!(
        "SELECT {}(profile(temp, 'flights'), reference('flights', 'temp')) FROM t",
        entry.name
    ))
    .with_argument("profile", "The profile that is judged.")
    .with_argument(
        "reference",
        "The profile it is compared with, of the same layout; it decides the bins.",
    )
    .build()
}

#[derive(Debug)]
struct StatisticFunction {
    statistic: Statistic,
    names: Arc<Names>,
    measure: Measure,
    signature: Signature,
    documentation: Documentation,
}

impl PartialEq for StatisticFunction {
    fn eq(&self, other: &Self) -> bool {
        self.statistic == other.statistic && Arc::ptr_eq(&self.names, &other.names)
    }
}

impl Eq for StatisticFunction {}

impl Hash for StatisticFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.statistic.hash(state);
        Arc::as_ptr(&self.names).hash(state);
    }
}

impl StatisticFunction {
    fn value(&self, current: &[u8], reference: &[u8]) -> Result<Option<f64>> {
        let name = self.statistic.name();
        let (column, current) = self.names.read(name, current)?;
        let (other, reference) = self.names.read(name, reference)?;
        if current.layout != reference.layout {
            return Err(FunctionError::DifferentLayouts {
                function: name.to_owned(),
                first: column.name().to_owned(),
                second: other.name().to_owned(),
            }
            .into());
        }
        if current.rows == 0 || reference.rows == 0 {
            return Ok(None);
        }
        let value = (self.measure)(self.statistic, &column.layout, &reference, &current);
        Ok(value.filter(|value| value.is_finite()))
    }
}

impl ScalarUDFImpl for StatisticFunction {
    fn name(&self) -> &str {
        self.statistic.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [current, reference] = [
            Bytes::of(&args.args, 0, rows)?,
            Bytes::of(&args.args, 1, rows)?,
        ];
        let mut values = Float64Builder::with_capacity(rows);
        for row in 0..rows {
            values.append_option(match (current.get(row), reference.get(row)) {
                (Some(current), Some(reference)) => self.value(current, reference)?,
                _ => None,
            });
        }
        Ok(ColumnarValue::Array(Arc::new(values.finish())))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// An argument of bytes: one for each row, or the same for all.
pub(super) struct Bytes {
    array: BinaryArray,
    is_scalar: bool,
}

impl Bytes {
    pub fn of(args: &[ColumnarValue], place: usize, rows: usize) -> Result<Self> {
        let (array, is_scalar) = match args.get(place) {
            Some(ColumnarValue::Array(array)) => (Arc::clone(array), false),
            // Not made an array of `rows`: a reference has some kilobytes.
            Some(ColumnarValue::Scalar(value)) => (value.to_array()?, true),
            None => (arrow::array::new_null_array(&DataType::Binary, rows), false),
        };
        let array = array.as_binary::<i32>().clone();
        Ok(Self { array, is_scalar })
    }

    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let row = if self.is_scalar { 0 } else { row };
        self.array.is_valid(row).then(|| self.array.value(row))
    }
}
