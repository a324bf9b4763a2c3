//! The flights file as what a model server logs: features, predictions, and labels when they are known. Its columns
//! are described in `tests/data/README.md`.

use anyhow::Context as _;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use serde_json::{Map, Value, json};

use crate::event::Millis;
use crate::learn::{Column, Table};
use crate::query::File;

/// The model's name, and its classes.
pub const MODEL: &str = "flights";
pub const LATE: &str = "late";
pub const ON_TIME: &str = "on_time";

const TEXTS: [&str; 4] = ["dow", "carrier", "origin", "dest"];
const NUMBERS: [&str; 9] = [
    "sched_dep_time",
    "distance",
    "temp",
    "dewp",
    "humid",
    "wind_speed",
    "precip",
    "visib",
    "pressure",
];

/// What becomes known of a flight.
#[derive(Debug, Clone)]
pub struct Flight {
    pub id: String,
    /// Scheduled departure.
    pub ts: Millis,
    /// When it was known whether it was late, and whether it was; `None` for a flight that never arrived.
    pub label: Option<(Millis, bool)>,
}

/// All flights in order of event time, and beside them their features in the same order.
pub struct Year {
    pub flights: Vec<Flight>,
    pub features: Table,
}

impl Year {
    /// Reads the file.
    pub async fn read(file: &File) -> anyhow::Result<Self> {
        let mut year = Self {
            flights: Vec::new(),
            features: Table {
                names: NUMBERS
                    .iter()
                    .chain(&TEXTS)
                    .map(|name| (*name).to_owned())
                    .collect(),
                columns: NUMBERS
                    .iter()
                    .map(|_| Column::Numeric(Vec::new()))
                    .chain(TEXTS.iter().map(|_| Column::Categorical(Vec::new())))
                    .collect(),
            },
        };
        let mut rows = file.rows().await?;
        while let Some(batch) = rows.next().await? {
            year.append(&batch)?;
        }
        Ok(year)
    }

    fn append(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let column = |name: &str, wanted: DataType| {
            let array = batch
                .column_by_name(name)
                .with_context(|| format!("the flights have no column {name:?}"))?;
            Ok::<_, anyhow::Error>(cast(array, &wanted)?)
        };
        let ids = column("id", DataType::Utf8)?;
        let times = column("ts", DataType::Int64)?;
        let label_times = column("label_ts", DataType::Int64)?;
        let late = column("late", DataType::Boolean)?;
        for row in 0..batch.num_rows() {
            let known = label_times.is_valid(row) && late.is_valid(row);
            let label = known.then(|| {
                let ts = label_times.as_primitive::<Int64Type>().value(row);
                (ts, late.as_boolean().value(row))
            });
            self.flights.push(Flight {
                id: ids.as_string::<i32>().value(row).to_owned(),
                ts: times.as_primitive::<Int64Type>().value(row),
                label,
            });
        }
        for (name, into) in self.features.names.iter().zip(&mut self.features.columns) {
            match into {
                Column::Numeric(values) => {
                    let array = column(name, DataType::Float64)?;
                    let array = array.as_primitive::<Float64Type>();
                    values.extend(array.iter().map(|value| value.unwrap_or(f64::NAN)));
                }
                Column::Categorical(values) => {
                    let array = column(name, DataType::Utf8)?;
                    let array = array.as_string::<i32>();
                    values.extend(array.iter().map(|value| value.map(str::to_owned)));
                }
            }
        }
        Ok(())
    }

    /// The features of some flights.
    pub fn table(&self, rows: impl IntoIterator<Item = usize>) -> Table {
        let rows: Vec<usize> = rows.into_iter().collect();
        self.features.take(&rows)
    }

    /// The features of one flight as JSON; a missing value is null.
    pub fn features_json(&self, row: usize) -> Value {
        let features = self.features.names.iter().zip(&self.features.columns);
        let value = |column: &Column| match column {
            Column::Numeric(values) if values[row].is_nan() => Value::Null,
            Column::Numeric(values) => json!(values[row]),
            Column::Categorical(values) => json!(values[row]),
        };
        Value::Object(
            features
                .map(|(name, column)| (name.clone(), value(column)))
                .collect::<Map<_, _>>(),
        )
    }
}

impl Flight {
    /// The prediction record of one version, which said that the flight is late with this probability.
    pub fn prediction(
        &self,
        version: &str,
        features: &Value,
        late: f64,
    ) -> serde_json::Result<String> {
        let label = if late >= 0.5 { LATE } else { ON_TIME };
        serde_json::to_string(&json!({
            "model": MODEL, "version": version, "id": self.id, "ts": self.ts, "features": features,
            "prediction": {"label": label, "scores": {LATE: late, ON_TIME: 1.0 - late}},
        }))
    }

    /// The label record, if there ever was a label.
    pub fn label_record(&self) -> Option<String> {
        let (ts, late) = self.label?;
        let label = if late { LATE } else { ON_TIME };
        let record = json!({"model": MODEL, "id": self.id, "ts": ts, "label": label});
        Some(record.to_string())
    }
}
