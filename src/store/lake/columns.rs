//! The columns of the lake's tables. A model's layout never changes, so neither does the schema of its rows.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::profile::{Cells, Layout};

/// Columns of every table of rows, before those of the layout.
pub(super) const OF_ROWS: [&str; 7] = [
    "version",
    "id",
    "ts",
    "watermark",
    "topic",
    "partition",
    "offset",
];

/// The name of a layout's column in the lake: its own, but `features.` is put in front of a feature that is called
/// as one of the lake's own columns. No layout has a column of that name already (see `Field::column_name`).
pub fn column_name(layout_column: &str) -> Cow<'_, str> {
    if OF_ROWS.contains(&layout_column) {
        Cow::Owned(format!("features.{layout_column}"))
    } else {
        Cow::Borrowed(layout_column)
    }
}

/// `version`, `id` (null where the record has none), `ts`, `watermark` (the partition's watermark of the model before
/// this record), `topic`, `partition`, `offset`, then the layout's columns in its order: `Float64` or `Utf8`, null where
/// there was no usable value; NaN and infinities are values.
pub fn rows_schema(layout: &Layout) -> SchemaRef {
    let own = own_fields(&OF_ROWS);
    let columns = layout.columns.iter().map(|column| {
        let wanted = match &column.cells {
            Cells::Numeric(_) => DataType::Float64,
            Cells::Categorical(_) => DataType::Utf8,
        };
        Field::new(column_name(&column.name), wanted, true)
    });
    Arc::new(Schema::new(
        own.into_iter().chain(columns).collect::<Vec<_>>(),
    ))
}

/// `id`, `ts`, `watermark` (of the label stream, before this record), `label` (text), `value` (finite), `prediction_ts`,
/// `topic`, `partition`, `offset`. At least one of `label` and `value` is not null.
pub fn labels_schema() -> SchemaRef {
    let columns = [
        "id",
        "ts",
        "watermark",
        "label",
        "value",
        "prediction_ts",
        "topic",
        "partition",
        "offset",
    ];
    let mut fields = own_fields(&columns);
    // A label without id is rejected.
    fields[0] = Field::new("id", DataType::Utf8, false);
    Arc::new(Schema::new(fields))
}

/// [`rows_schema`] without `topic` and `partition`, which are the same in all rows of a buffer.
pub fn columns_of_rows(layout: &Layout) -> SchemaRef {
    without_place(&rows_schema(layout))
}

/// [`labels_schema`] without `topic` and `partition`.
pub fn columns_of_labels() -> SchemaRef {
    without_place(&labels_schema())
}

fn without_place(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter();
    let kept = fields.filter(|field| field.name() != "topic" && field.name() != "partition");
    Arc::new(Schema::new(kept.cloned().collect::<Vec<_>>()))
}

fn own_fields(names: &[&str]) -> Vec<Field> {
    let field = |name: &&str| match *name {
        "ts" | "watermark" | "offset" => Field::new(*name, DataType::Int64, false),
        "partition" => Field::new(*name, DataType::Int32, false),
        "prediction_ts" => Field::new(*name, DataType::Int64, true),
        "value" => Field::new(*name, DataType::Float64, true),
        "id" | "label" => Field::new(*name, DataType::Utf8, true),
        _ => Field::new(*name, DataType::Utf8, false),
    };
    names.iter().map(field).collect()
}
