//! `profile(column, 'layout')`: the aggregate that counts the values of a column into a profile.
//!
//! Its state and its result are the profile's bytes, merged by the profile's own merge: the plan may cut and shuffle
//! the rows as it likes. The layout is named, not handed over: DataFusion makes an array of each argument for every
//! batch. What a value is, is decided as for files (`cells`).

use std::hash::{Hash, Hasher};
use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field as ArrowField, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, DocSection, Documentation,
    Signature, TypeSignature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::scalar::ScalarValue;

use super::names::OneColumn;
use super::{FunctionError, Names};
use crate::event::Batch;
use crate::profile::{Cells, ColumnProfile, Profile};
use crate::query::batch::{layout_column, part_of_lists};
use crate::query::cells::{Kind, Values};
use crate::query::columns::{DEFAULT_TIME, field};

/// The key of a field's metadata that says where a text comes from.
pub(in crate::query) const UNTYPED: &str = "driftline.untyped";
/// Its value for a text of a CSV file, which has no types: where a layout expects numbers, each such text that spells
/// one is one. A text of a typed source never is, but for the names of NaN and the infinities.
pub(in crate::query) const TEXT_OF_CSV: &str = "csv";

const NAME: &str = "profile";

pub(super) fn function(names: &Arc<Names>) -> AggregateUDF {
    AggregateUDF::new_from_impl(ProfileFunction {
        names: Arc::clone(names),
        signature: signature(),
        documentation: documentation(),
    })
}

/// Any column is taken as it is; the exact forms stand for what `SHOW FUNCTIONS` shows.
fn signature() -> Signature {
    let with = |column: &DataType, names: usize| {
        let names = std::iter::repeat_n(DataType::Utf8, names);
        TypeSignature::Exact(std::iter::once(column.clone()).chain(names).collect())
    };
    let columns = [DataType::Float64, DataType::Utf8, DataType::Boolean];
    let mut forms: Vec<TypeSignature> = columns
        .iter()
        .flat_map(|column| [with(column, 1), with(column, 2)])
        .collect();
    forms.extend([TypeSignature::Any(2), TypeSignature::Any(3)]);
    Signature::one_of(forms, Volatility::Stable)
}

fn documentation() -> Documentation {
    Documentation::builder(
        SECTION,
        "Counts the values of a column into a profile: bytes that `profile_…` functions read and statistics compare. \
         Null, NaN, infinities and values of the wrong type are counted, never left out; no rows give the profile of \
         no rows.",
        "profile(column, 'layout' [, 'name'])",
    )
    .with_sql_example("SELECT day, psi(profile(temp, 'flights'), reference('flights', 'temp')) FROM t GROUP BY day")
    .with_argument("column", "The values; the layout's column of the same name says how they are counted.")
    .with_argument("layout", "A model, a reference that was named to the session, or a layout's hash: a text as it stands.")
    .with_argument("name", "The layout's column, where the first argument is called otherwise.")
    .build()
}

/// Where our functions stand in documentation.
pub(super) const SECTION: DocSection = DocSection {
    include: true,
    label: "Drift",
    description: Some("Profiles of columns, and how far two of them lie apart."),
};

#[derive(Debug)]
struct ProfileFunction {
    names: Arc<Names>,
    signature: Signature,
    documentation: Documentation,
}

/// Two are one when they look names up in the same place.
impl PartialEq for ProfileFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.names, &other.names)
    }
}

impl Eq for ProfileFunction {}

impl Hash for ProfileFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.names).hash(state);
    }
}

impl AggregateUDFImpl for ProfileFunction {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            let what = "it counts rows, so DISTINCT has no meaning; leave it out".to_owned();
            return Err(FunctionError::Call { what }.into());
        }
        let Some(values) = args.expr_fields.first() else {
            let what = "it needs a column and a layout's name".to_owned();
            return Err(FunctionError::Call { what }.into());
        };
        let layout = literal(&args, 1)?.unwrap_or_default();
        let (columns, remedy) = match literal(&args, 2)? {
            Some(name) => (vec![name], ""),
            None => (
                called(values),
                "; say as third argument which of them is meant",
            ),
        };
        let column = self.names.column(&layout, &columns, remedy)?;
        Ok(Box::new(ProfileAccumulator {
            untyped: values.metadata().get(UNTYPED).map(String::as_str) == Some(TEXT_OF_CSV),
            profile: Profile::new(&column.layout),
            column,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, NAME);
        Ok(vec![Arc::new(ArrowField::new(
            name,
            DataType::Binary,
            true,
        ))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// The text of the argument at `place`, the same for every row; `None`: there is no such argument.
fn literal(args: &AccumulatorArgs<'_>, place: usize) -> Result<Option<String>> {
    let Some(expr) = args.exprs.get(place) else {
        return Ok(None);
    };
    let value = expr.evaluate(&RecordBatch::new_empty(Arc::new(args.schema.clone())));
    match value {
        Ok(ColumnarValue::Scalar(value)) => match value.try_as_str() {
            Some(Some(text)) => Ok(Some(text.to_owned())),
            _ => Err(unnamed(expr)),
        },
        _ => Err(unnamed(expr)),
    }
}

fn unnamed(expr: &Arc<dyn PhysicalExpr>) -> DataFusionError {
    let what =
        format!("{expr} is no name; write the layout's name as a text, 'flights' for example");
    FunctionError::Call { what }.into()
}

/// What a layout may call a table's column: as it is called there, or as a file's column of that name is.
fn called(values: &FieldRef) -> Vec<String> {
    let own = values.name().clone();
    let numeric = values.data_type().is_numeric();
    let of_a_file =
        field(&own, DEFAULT_TIME, numeric).map(|(field, feature)| field.column_name(&feature));
    std::iter::once(own).chain(of_a_file).collect()
}

#[derive(Debug)]
struct ProfileAccumulator {
    column: Arc<OneColumn>,
    untyped: bool,
    profile: Profile,
}

impl ProfileAccumulator {
    fn bytes(&self) -> ScalarValue {
        ScalarValue::Binary(Some(self.profile.to_bytes()))
    }
}

impl Accumulator for ProfileAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (Some(array), Some(column)) = (values.first(), self.column.layout.columns.first())
        else {
            return Ok(());
        };
        let values = if self.untyped && *array.data_type() == DataType::Utf8 {
            // Numbers and booleans of a CSV file have their types already.
            Values::untyped(array, Kind::Text)
        } else {
            Values::typed(array)?
        };
        let rows = array.len();
        let counted = match (self.column.part, &values) {
            (Some(part), Values::Lists(_)) => part_of_lists(part, Some(&values), rows),
            _ => layout_column(column, Some(&values), rows),
        };
        let batch = Batch {
            ts: vec![0; rows],
            columns: vec![counted],
            ..Batch::default()
        };
        let all: Vec<u32> = (0..rows as u32).collect();
        self.profile.update(self.column.compiled(), &batch, &all);
        // The batch had to say some time; the profile must not repeat it.
        (self.profile.first_ts, self.profile.last_ts) = (None, None);
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let wrong = |cause| FunctionError::Profile {
            function: NAME.to_owned(),
            cause,
        };
        let Some(states) = states.first() else {
            return Ok(());
        };
        for bytes in states.as_binary::<i32>().iter().flatten() {
            let other = Profile::from_bytes(bytes, &self.column.layout).map_err(wrong)?;
            self.profile.merge(&other).map_err(wrong)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.bytes()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.bytes())
    }

    /// The layout is shared and not counted.
    fn size(&self) -> usize {
        let texts = self.profile.columns.iter().map(|column| match column {
            ColumnProfile::Numeric(_) => 0,
            ColumnProfile::Categorical(column) => {
                let names = column.examples.names();
                let names: usize = names.iter().map(|(name, _)| name.len()).sum();
                names + 24 * column.examples.counts().count()
            }
        });
        let cells = self.column.layout.columns.iter().map(|column| {
            size_of::<u64>()
                * match &column.cells {
                    Cells::Numeric(cells) => cells.edges.len() + 1,
                    Cells::Categorical(cells) => cells.categories.len(),
                }
        });
        size_of::<Self>() + size_of::<ColumnProfile>() + cells.sum::<usize>() + texts.sum::<usize>()
    }
}
