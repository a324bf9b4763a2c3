//! The flights file as prediction records. Its columns are described in `tests/data/README.md`.

use anyhow::Context as _;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use serde_json::{Map, Value, json};

use crate::event::Millis;
use crate::query::File;

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

/// One flight, as its model would log it before departure.
#[derive(Debug, Clone)]
pub struct Flight {
    pub id: String,
    /// Scheduled departure.
    pub ts: Millis,
    features: Map<String, Value>,
}

impl Flight {
    /// The prediction record as JSON.
    pub fn record(&self) -> anyhow::Result<String> {
        let record = json!({"model": "flights", "version": "1", "id": self.id, "ts": self.ts, "features": self.features});
        Ok(serde_json::to_string(&record)?)
    }
}

/// Every flight of the file, in order of event time.
pub async fn read(file: &File) -> anyhow::Result<Vec<Flight>> {
    let mut rows = file.rows().await?;
    let mut flights = Vec::new();
    while let Some(batch) = rows.next().await? {
        append(&batch, &mut flights)?;
    }
    Ok(flights)
}

fn append(batch: &RecordBatch, flights: &mut Vec<Flight>) -> anyhow::Result<()> {
    let column = |name: &str, wanted: DataType| {
        let array = batch
            .column_by_name(name)
            .with_context(|| format!("the flights have no column {name:?}"))?;
        Ok::<_, anyhow::Error>(cast(array, &wanted)?)
    };
    let ids = column("id", DataType::Utf8)?;
    let times = column("ts", DataType::Int64)?;
    let texts = TEXTS
        .iter()
        .map(|name| Ok((*name, column(name, DataType::Utf8)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let numbers = NUMBERS
        .iter()
        .map(|name| Ok((*name, column(name, DataType::Float64)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for row in 0..batch.num_rows() {
        let mut features = Map::new();
        for (name, array) in &numbers {
            let array = array.as_primitive::<Float64Type>();
            let value = if array.is_null(row) {
                Value::Null
            } else {
                json!(array.value(row))
            };
            features.insert((*name).to_owned(), value);
        }
        for (name, array) in &texts {
            let array = array.as_string::<i32>();
            let value = if array.is_null(row) {
                Value::Null
            } else {
                json!(array.value(row))
            };
            features.insert((*name).to_owned(), value);
        }
        flights.push(Flight {
            id: ids.as_string::<i32>().value(row).to_owned(),
            ts: times.as_primitive::<Int64Type>().value(row),
            features,
        });
    }
    Ok(())
}
