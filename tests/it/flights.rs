//! The flights of 2013 as prediction records, for tests.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use driftline::event::{Millis, Span, WEEK};
use driftline::query::File;
use serde_json::{Map, Value, json};

pub const FLIGHTS: File = File::Bytes {
    name: "flights.parquet",
    bytes: include_bytes!("../data/flights.parquet"),
};
pub const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/flights.parquet");

/// The Monday on which the first week with flights begins, 2012-12-31.
pub const FIRST_WEEK: Millis = 1_356_912_000_000;

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

pub struct Flight {
    pub id: String,
    pub ts: Millis,
    pub features: Map<String, Value>,
}

impl Flight {
    pub fn record(&self) -> Vec<u8> {
        let record = json!({"model": "flights", "version": "1", "id": self.id, "ts": self.ts, "features": self.features});
        record.to_string().into_bytes()
    }
}

/// The span of week `number`, from 0.
pub fn week(number: i64) -> Span {
    Span::new(FIRST_WEEK + number * WEEK, FIRST_WEEK + (number + 1) * WEEK)
}

/// The flights of the first `weeks` weeks, in order of event time.
pub async fn first_weeks(weeks: i64) -> Vec<Flight> {
    let mut rows = FLIGHTS.rows().await.expect("the file opens");
    let mut flights = Vec::new();
    while let Some(batch) = rows.next().await.expect("the file is whole") {
        let column = |name: &str, wanted: &DataType| -> ArrayRef {
            cast(
                batch.column_by_name(name).expect("a column of the file"),
                wanted,
            )
            .expect("its type")
        };
        let (ids, times) = (
            column("id", &DataType::Utf8),
            column("ts", &DataType::Int64),
        );
        let numbers = NUMBERS.map(|name| (name, column(name, &DataType::Float64)));
        let texts = TEXTS.map(|name| (name, column(name, &DataType::Utf8)));
        for row in 0..batch.num_rows() {
            let ts = times.as_primitive::<Int64Type>().value(row);
            if ts >= week(weeks).start {
                return flights;
            }
            let mut features = Map::new();
            for (name, array) in &numbers {
                let value = if array.is_null(row) {
                    Value::Null
                } else {
                    json!(array.as_primitive::<Float64Type>().value(row))
                };
                features.insert((*name).to_owned(), value);
            }
            for (name, array) in &texts {
                let value = if array.is_null(row) {
                    Value::Null
                } else {
                    json!(array.as_string::<i32>().value(row))
                };
                features.insert((*name).to_owned(), value);
            }
            flights.push(Flight {
                id: ids.as_string::<i32>().value(row).to_owned(),
                ts,
                features,
            });
        }
    }
    flights
}
