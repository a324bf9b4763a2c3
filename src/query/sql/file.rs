//! A file as a table of SQL: the types that it has, or for CSV those that its columns show.
//!
//! A CSV column whose every value is a whole number holds whole numbers, one of other numbers floats, one of `true` and
//! `false` booleans, any other text; the whole file decides (see `cells`). Its texts are marked as untyped, so that
//! `profile` takes each for what it spells.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::SessionContext;

use crate::query::cells::{Kind, boolean, number};
use crate::query::file::{Format, unreadable};
use crate::query::{File, QueryError};

pub(super) async fn table(
    session: &SessionContext,
    file: &File,
) -> Result<Arc<dyn TableProvider>, QueryError> {
    let (format, frame) = file.frame(session).await?;
    let frame = match format {
        Format::Parquet => frame,
        Format::Csv => {
            let held = held(file).await?;
            let fields = frame.schema().fields().clone();
            let columns = fields.iter().zip(held).map(|(field, held)| {
                let column = Expr::Column(Column::from_name(field.name()));
                match held.data_type() {
                    DataType::Utf8 => column,
                    other => Spelled::of(other).call(vec![column]).alias(field.name()),
                }
            });
            let typed = frame.select(columns.collect::<Vec<_>>());
            typed.map_err(|cause| unreadable(&file.name(), format, cause))?
        }
    };
    Ok(frame.into_view())
}

/// What the values of a CSV column are.
#[derive(Debug, Clone, Copy)]
struct Held {
    kind: Kind,
    whole: bool,
}

impl Held {
    fn with(self, text: &str) -> Self {
        Self {
            kind: self.kind.with(text),
            whole: self.whole && text.parse::<i64>().is_ok(),
        }
    }

    fn data_type(self) -> DataType {
        match self.kind {
            Kind::Numbers if self.whole => DataType::Int64,
            Kind::Numbers => DataType::Float64,
            Kind::Booleans => DataType::Boolean,
            Kind::Empty | Kind::Text => DataType::Utf8,
        }
    }
}

async fn held(file: &File) -> Result<Vec<Held>, QueryError> {
    let mut rows = file.rows().await?;
    let nothing = Held {
        kind: Kind::Empty,
        whole: true,
    };
    let mut held = vec![nothing; rows.schema().fields().len()];
    while let Some(batch) = rows.next().await? {
        for (held, column) in held.iter_mut().zip(batch.columns()) {
            let texts = column.as_string::<i32>().iter().flatten();
            *held = texts.fold(*held, Held::with);
        }
    }
    Ok(held)
}

/// Turns texts into what they spell; what spells nothing of the type is null, which the whole file said cannot be.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Spelled {
    data_type: DataType,
    signature: Signature,
}

impl Spelled {
    fn of(data_type: DataType) -> ScalarUDF {
        ScalarUDF::new_from_impl(Self {
            data_type,
            signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable),
        })
    }
}

impl ScalarUDFImpl for Spelled {
    fn name(&self) -> &str {
        "spelled"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let texts = arrays.first().map(|array| array.as_string::<i32>());
        let texts = texts.into_iter().flatten();
        let spelled: ArrayRef = match self.data_type {
            DataType::Int64 => {
                Arc::new(texts.map(|text| text?.parse().ok()).collect::<Int64Array>())
            }
            DataType::Boolean => {
                Arc::new(texts.map(|text| boolean(text?)).collect::<BooleanArray>())
            }
            _ => Arc::new(texts.map(|text| number(text?)).collect::<Float64Array>()),
        };
        Ok(ColumnarValue::Array(spelled))
    }
}
