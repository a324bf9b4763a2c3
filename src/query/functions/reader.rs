//! Functions that read one number from a profile.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, Int64Builder};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::Names;
use super::profile::SECTION;
use super::statistic::Bytes;
use crate::profile::{Cells, ColumnProfile, Layout, NumericCells, NumericProfile};

/// What is read.
#[derive(Debug, Clone, Copy)]
enum Reader {
    Count(fn(&ColumnProfile) -> Option<u64>),
    Number(fn(&NumericCells, &NumericProfile) -> Option<f64>),
}

/// Name, what it reads, and how.
type Line = (&'static str, &'static str, Reader);

const TABLE: [Line; 9] = [
    (
        "profile_rows",
        "Rows that were counted, with a value or without.",
        Reader::Count(|column| Some(column.rows())),
    ),
    (
        "profile_nulls",
        "Rows without a value: null, or without the field.",
        Reader::Count(|column| Some(column.missing().empty())),
    ),
    (
        "profile_wrong_type",
        "Rows whose value is of another type than the layout says.",
        Reader::Count(|column| Some(column.missing().wrong_type)),
    ),
    (
        "profile_nan",
        "Rows whose number is NaN; NULL for categories.",
        Reader::Count(|column| Some(column.numeric()?.nan)),
    ),
    (
        "profile_unseen",
        "Rows whose text is not among the layout's categories; NULL for numbers.",
        Reader::Count(|column| Some(column.categorical()?.unseen)),
    ),
    (
        "profile_min",
        "The smallest finite value; NULL for categories, and where there is none.",
        Reader::Number(|_, column| column.min),
    ),
    (
        "profile_max",
        "The largest finite value; NULL for categories, and where there is none.",
        Reader::Number(|_, column| column.max),
    ),
    (
        "profile_mean",
        "The mean of the finite values inside the declared domain; NULL for categories, and where there is none.",
        Reader::Number(|cells, column| column.mean(cells)),
    ),
    (
        "profile_variance",
        "The sample variance of the finite values inside the declared domain, divisor n − 1; NULL for categories, and \
         for fewer than two values.",
        Reader::Number(|cells, column| column.variance(cells)),
    ),
];

pub(super) fn all(names: &Arc<Names>) -> Vec<ScalarUDF> {
    let functions = TABLE.iter().map(|&(name, description, reader)| {
        let syntax = format!("{name}(profile)");
        let documentation = Documentation::builder(SECTION, description, syntax)
            .with_sql_example(format!("SELECT {name}(profile(temp, 'flights')) FROM t"))
            .with_argument("profile", "A profile.")
            .build();
        ScalarUDF::new_from_impl(ReaderFunction {
            name,
            reader,
            names: Arc::clone(names),
            signature: Signature::exact(vec![DataType::Binary], Volatility::Stable),
            documentation,
        })
    });
    functions.collect()
}

#[derive(Debug)]
struct ReaderFunction {
    name: &'static str,
    reader: Reader,
    names: Arc<Names>,
    signature: Signature,
    documentation: Documentation,
}

impl PartialEq for ReaderFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.names, &other.names)
    }
}

impl Eq for ReaderFunction {}

impl Hash for ReaderFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        Arc::as_ptr(&self.names).hash(state);
    }
}

impl ScalarUDFImpl for ReaderFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.reader {
            Reader::Count(_) => DataType::Int64,
            Reader::Number(_) => DataType::Float64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let profiles = Bytes::of(&args.args, 0, rows)?;
        let mut counts = Int64Builder::new();
        let mut numbers = Float64Builder::new();
        for row in 0..rows {
            let read = match profiles.get(row) {
                None => None,
                Some(bytes) => Some(self.names.read(self.name, bytes)?),
            };
            let column = read
                .as_ref()
                .and_then(|(one, profile)| Some((&one.layout, profile.columns.first()?)));
            match self.reader {
                Reader::Count(count) => {
                    let count = column.and_then(|(_, column)| count(column));
                    counts.append_option(count.map(u64::cast_signed));
                }
                Reader::Number(number) => {
                    let numeric = column.and_then(numeric);
                    let number = numeric.and_then(|(cells, column)| number(cells, column));
                    numbers.append_option(number.filter(|number| number.is_finite()));
                }
            }
        }
        let read: ArrayRef = match self.reader {
            Reader::Count(_) => Arc::new(counts.finish()),
            Reader::Number(_) => Arc::new(numbers.finish()),
        };
        Ok(ColumnarValue::Array(read))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

fn numeric<'a>(
    (layout, column): (&'a Layout, &'a ColumnProfile),
) -> Option<(&'a NumericCells, &'a NumericProfile)> {
    match &layout.columns.first()?.cells {
        Cells::Numeric(cells) => Some((cells, column.numeric()?)),
        Cells::Categorical(_) => None,
    }
}
