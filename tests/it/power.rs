//! A made-up model, hour by hour: `demand` is numeric, `day` a category. Quiet unless a test says otherwise.

use driftline::event::{HOUR, Millis};
use serde_json::{Value, json};

use crate::harness::Kafka;

/// Hour 0, 2025-06-15T16:00:00Z.
pub const START: Millis = 1_750_003_200_000;

/// The declaration's beginning; rules follow.
pub const MODEL: &str = "
model: power
task: none
window: {every: 1h, lateness: 5m, late_horizon: 1h, min_rows: 50}
reference: {first: 6h}
columns: {numeric: [demand], categorical: [day]}
";

pub fn hour(number: i64) -> Millis {
    START + number * HOUR
}

/// Row `i` of `rows` of an hour, as it usually is.
pub fn row(number: i64, i: i64, rows: i64) -> Value {
    // A fixed scatter: neighbours differ, hours do not.
    let demand = (i * 7_919 % 1_000) as f64 / 10.0;
    let day = ["mon", "tue", "wed", "thu"][(i * 31 % 4) as usize];
    json!({
        "model": "power", "version": "1", "id": format!("{number}-{i}"), "ts": hour(number) + i * HOUR / rows,
        "features": {"demand": demand, "day": day},
    })
}

/// Produces `rows` rows of an hour in order of time, in turn to each of `partitions`, changed as `change` says.
pub fn produce(
    kafka: &Kafka,
    partitions: &[i32],
    number: i64,
    rows: i64,
    change: impl Fn(i64, &mut Value),
) {
    for i in 0..rows {
        let mut row = row(number, i, rows);
        change(i, &mut row);
        kafka.send(
            partitions[i as usize % partitions.len()],
            Some(row.to_string().as_bytes()),
        );
    }
    kafka.flush();
}

/// No change.
pub fn quiet(_: i64, _: &mut Value) {}
