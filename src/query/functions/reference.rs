//! `reference('model', 'column')`: one column of a reference that the session knows.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use super::Names;
use super::profile::SECTION;

pub(super) fn function(names: &Arc<Names>) -> ScalarUDF {
    let documentation = Documentation::builder(
        SECTION,
        "The profile of one column of a reference.",
        "reference('name', 'column')",
    )
    .with_sql_example("SELECT profile_mean(reference('flights', 'temp'))")
    .with_argument(
        "name",
        "A model of the service, for the reference that is bound to it; a reference that was named to the session; or \
         a reference's hash.",
    )
    .with_argument("column", "A column of its layout.")
    .build();
    ScalarUDF::new_from_impl(ReferenceFunction {
        names: Arc::clone(names),
        signature: Signature::exact(vec![DataType::Utf8, DataType::Utf8], Volatility::Stable),
        documentation,
    })
}

#[derive(Debug)]
struct ReferenceFunction {
    names: Arc<Names>,
    signature: Signature,
    documentation: Documentation,
}

impl PartialEq for ReferenceFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.names, &other.names)
    }
}

impl Eq for ReferenceFunction {}

impl Hash for ReferenceFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.names).hash(state);
    }
}

impl ScalarUDFImpl for ReferenceFunction {
    fn name(&self) -> &str {
        "reference"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Nearly always the same for every row: then it stays one value.
        if let [ColumnarValue::Scalar(name), ColumnarValue::Scalar(column)] = &args.args[..] {
            let found = match (name.try_as_str().flatten(), column.try_as_str().flatten()) {
                (Some(name), Some(column)) => Some(self.names.reference(name, column)?),
                _ => None,
            };
            return Ok(ColumnarValue::Scalar(ScalarValue::Binary(found)));
        }
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [names, columns] = &arrays[..] else {
            let null = ScalarValue::Binary(None);
            return Ok(ColumnarValue::Scalar(null));
        };
        let (names, columns) = (names.as_string::<i32>(), columns.as_string::<i32>());
        let mut found = BinaryBuilder::new();
        for row in 0..names.len() {
            if names.is_valid(row) && columns.is_valid(row) {
                found.append_value(self.names.reference(names.value(row), columns.value(row))?);
            } else {
                found.append_null();
            }
        }
        Ok(ColumnarValue::Array(Arc::new(found.finish()) as ArrayRef))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
