//! The recorded log: flights of 2013 as prediction records, with everything in it that a real topic has.
//!
//! **Invariant:** a log is a function of its size; its records have fixed partitions and fixed order, so that two
//! brokers that were given the same log hold the same records at the same offsets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use driftline::event::{DAY, HOUR, MINUTE, Millis};
use driftline::query::File;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Map, Value, json};

/// Monday, 31 December 2012: windows of several days are counted from 1970, the first flight leaves a day later.
const START: Millis = 1_356_912_000_000;

/// Which topic a record goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    WithPredictions,
    WithLabels,
}

/// The topic with the labels of the predictions in `topic`; it has as many partitions.
pub fn labels_topic(topic: &str) -> String {
    format!("{topic}.labels")
}

/// One record as it is produced.
#[derive(Debug, Clone)]
pub struct Record {
    goes: Goes,
    pub partition: i32,
    key: String,
    payload: Option<Vec<u8>>,
    ts: Millis,
}

/// A log in the order of production.
pub struct Log {
    pub records: Vec<Record>,
    /// How many records were written of each kind: `good`, `duplicate`, `delayed`, or what is broken about them; those of
    /// labels are called so.
    pub kinds: BTreeMap<&'static str, u64>,
}

struct Flight {
    id: String,
    ts: Millis,
    features: Map<String, Value>,
}

impl Log {
    /// The first `flights` of the year over `partitions` partitions. From `drift.0` to `drift.1` (days of the year)
    /// it is 40 degrees too warm, so that alerts fire, and resolve.
    pub fn record(flights: usize, partitions: i32, drift: (Millis, Millis)) -> Self {
        let mut rng = Pcg64::seed_from_u64(2013);
        let mut log = Self {
            records: Vec::new(),
            kinds: BTreeMap::new(),
        };
        // What comes late, with the time at which it comes, and as what: predictions, and labels, which all do.
        let mut delayed: Vec<(Millis, &'static str, Record)> = Vec::new();
        let mut flights = read_flights(flights);
        let last = flights.last().map_or(START, |flight| flight.ts);
        let change = START + (last - START) / 2;
        for flight in &mut flights {
            let day = (flight.ts - START) / DAY;
            if (drift.0..drift.1).contains(&day)
                && let Some(temp) = flight.features["temp"].as_f64()
            {
                flight.features.insert("temp".into(), json!(temp + 40.0));
            }
            // A new version takes over within two days; for so long both answer.
            let share = (flight.ts - change) as f64 / (2 * DAY) as f64;
            let version = if rng.random::<f64>() < share {
                "2"
            } else {
                "1"
            };
            let model = if rng.random_bool(0.15) {
                "departures"
            } else {
                "flights"
            };
            let record = Record::of(flight, model, version, partitions);
            delayed.sort_by_key(|(at, ..)| *at);
            let come = delayed
                .iter()
                .take_while(|(at, ..)| *at <= flight.ts)
                .count();
            for (_, kind, record) in delayed.drain(..come) {
                log.push(kind, record);
            }
            delayed.extend(labels(flight, model, partitions, &mut rng));
            match rng.random_range(0..100) {
                0..3 => {
                    log.push("good", record.clone());
                    log.push("duplicate", record);
                }
                // Between out of order, late for its window, and too late for any.
                3..5 => {
                    let by = [20 * MINUTE, 5 * HOUR, 20 * HOUR, 4 * DAY][rng.random_range(0..4)];
                    delayed.push((flight.ts + by, "delayed", record));
                }
                5..8 => {
                    let (kind, payload) = broken(&record, rng.random_range(0..KINDS));
                    log.push(kind, Record { payload, ..record });
                }
                _ => log.push("good", record),
            }
        }
        delayed.sort_by_key(|(at, ..)| *at);
        for (_, kind, record) in delayed {
            log.push(kind, record);
        }
        log
    }

    /// Somebody else's records, in order.
    pub fn given(records: Vec<Record>) -> Self {
        Self {
            records,
            kinds: BTreeMap::new(),
        }
    }

    fn push(&mut self, kind: &'static str, record: Record) {
        *self.kinds.entry(kind).or_default() += 1;
        self.records.push(record);
    }
}

impl Record {
    /// A prediction, or else a label, of `id`.
    pub fn given(
        prediction: bool,
        id: &str,
        ts: Millis,
        payload: Vec<u8>,
        partitions: i32,
    ) -> Self {
        Self {
            goes: if prediction {
                Goes::WithPredictions
            } else {
                Goes::WithLabels
            },
            partition: partition_of(id, partitions),
            key: id.to_owned(),
            payload: Some(payload),
            ts,
        }
    }

    fn of(flight: &Flight, model: &str, version: &str, partitions: i32) -> Self {
        let late = flight.features["wind_speed"].as_f64().unwrap_or(0.0) / 50.0;
        let body = json!({
            "model": model, "version": version, "id": flight.id, "ts": flight.ts, "features": flight.features,
            "prediction": {"scores": {"late": late}}, "latency_ms": (flight.ts / 1000 % 700) as f64 / 100.0,
        });
        Self {
            goes: Goes::WithPredictions,
            partition: partition_of(&flight.id, partitions),
            key: flight.id.clone(),
            payload: Some(body.to_string().into_bytes()),
            ts: flight.ts,
        }
    }
}

fn partition_of(id: &str, partitions: i32) -> i32 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    i32::try_from(hash % u64::from(partitions.unsigned_abs())).expect("small")
}

/// The labels of a flight, each with its time and as what it is counted: it becomes known hours later, is often told
/// twice, sometimes corrected, sometimes never told, sometimes told of a flight that nobody predicted, or broken.
fn labels(
    flight: &Flight,
    model: &str,
    partitions: i32,
    rng: &mut Pcg64,
) -> Vec<(Millis, &'static str, Record)> {
    let known = flight.ts + rng.random_range(2 * HOUR..30 * HOUR);
    let late = flight.features["humid"].as_f64().unwrap_or(0.0) > 60.0;
    let label = |id: &str, ts: Millis, late: bool| {
        let label = if late { "late" } else { "on time" };
        let body =
            json!({"model": model, "id": id, "ts": ts, "label": label, "prediction_ts": flight.ts});
        Record {
            goes: Goes::WithLabels,
            partition: partition_of(id, partitions),
            key: id.to_owned(),
            payload: Some(body.to_string().into_bytes()),
            ts,
        }
    };
    let first = label(&flight.id, known, late);
    let mut told = vec![(known, "label", first.clone())];
    match rng.random_range(0..100) {
        0..5 => told.push((known + MINUTE, "label told twice", first)),
        5..8 => {
            let at = known + rng.random_range(HOUR..3 * DAY);
            told.push((at, "label corrected", label(&flight.id, at, !late)));
        }
        8..10 => {
            let orphan = label(&format!("{}-unknown", flight.id), known, late);
            told = vec![(known, "label of an unknown flight", orphan)];
        }
        10..12 => {
            let body = json!({"model": model, "id": flight.id, "ts": known, "value": "late"});
            let payload = Some(body.to_string().into_bytes());
            told = vec![(known, "broken label", Record { payload, ..first })];
        }
        12..15 => told.clear(),
        _ => {}
    }
    told
}

const KINDS: usize = 8;

/// A record that cannot be used, and what is broken about it.
fn broken(record: &Record, kind: usize) -> (&'static str, Option<Vec<u8>>) {
    let whole = record.payload.clone().unwrap_or_default();
    let with_ts = |ts: String| {
        let mut body: Value = serde_json::from_slice(&whole).expect("we wrote it");
        body["ts"] = serde_json::from_str(&ts).expect("a JSON value");
        Some(body.to_string().into_bytes())
    };
    match kind {
        0 => ("null payload", None),
        1 => ("truncated", Some(whole[..whole.len() / 2].to_vec())),
        2 => ("bad UTF-8", Some([&whole[..], b"\xff"].concat())),
        3 => ("a list", Some([b"[", &whole[..], b"]"].concat())),
        4 => ("ts in seconds", with_ts((record.ts / 1000).to_string())),
        5 => ("ts in the year 9999", with_ts("253402300799000".into())),
        6 => ("ts missing", with_ts("null".into())),
        _ => (
            "an undeclared model",
            Some(format!(r#"{{"model":"stranger","ts":{}}}"#, record.ts).into_bytes()),
        ),
    }
}

/// Produces records in order, labels to a topic of their own ([`labels_topic`]), and returns when the broker has them all.
pub fn produce(brokers: &str, topic: &str, records: &[Record]) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("queue.buffering.max.messages", "200000")
        // Else what a real broker takes only at the second try comes behind what was sent after it.
        .set("enable.idempotence", "true")
        // A broker hands out whole batches.
        .set("batch.num.messages", "40")
        .create()
        .expect("a producer");
    let labels = labels_topic(topic);
    for Record {
        goes,
        partition,
        key,
        payload,
        ts,
    } in records
    {
        let topic = match goes {
            Goes::WithPredictions => topic,
            Goes::WithLabels => &labels,
        };
        let mut message = BaseRecord::to(topic)
            .key(key)
            .partition(*partition)
            .timestamp(*ts);
        if let Some(payload) = payload {
            message = message.payload(payload);
        }
        producer
            .send(message)
            .map_err(|(error, _)| error)
            .expect("the queue holds a whole log");
    }
    producer
        .flush(Duration::from_secs(60))
        .expect("the broker takes everything");
}

fn data_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/flights.parquet")
}

const TEXTS: [&str; 3] = ["carrier", "origin", "dow"];
const NUMBERS: [&str; 6] = [
    "sched_dep_time",
    "distance",
    "temp",
    "humid",
    "wind_speed",
    "pressure",
];

/// The first flights of the file, with some of their columns.
fn read_flights(count: usize) -> Vec<Flight> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut rows = File::Path(data_file())
            .rows()
            .await
            .expect("the data file opens");
        let mut flights = Vec::new();
        while flights.len() < count {
            let Some(batch) = rows.next().await.expect("the data file is whole") else {
                break;
            };
            let column = |name: &str, wanted: &DataType| {
                cast(
                    batch
                        .column_by_name(name)
                        .expect("a column of the data file"),
                    wanted,
                )
                .expect("its type")
            };
            let (ids, times) = (
                column("id", &DataType::Utf8),
                column("ts", &DataType::Int64),
            );
            let texts = TEXTS.map(|name| (name, column(name, &DataType::Utf8)));
            let numbers = NUMBERS.map(|name| (name, column(name, &DataType::Float64)));
            for row in 0..batch.num_rows().min(count - flights.len()) {
                let mut features = Map::new();
                for (name, values) in &texts {
                    features.insert((*name).into(), json!(values.as_string::<i32>().value(row)));
                }
                for (name, values) in &numbers {
                    let values = values.as_primitive::<Float64Type>();
                    features.insert(
                        (*name).into(),
                        values
                            .is_valid(row)
                            .then(|| json!(values.value(row)))
                            .into(),
                    );
                }
                flights.push(Flight {
                    id: ids.as_string::<i32>().value(row).to_owned(),
                    ts: times.as_primitive::<Int64Type>().value(row),
                    features,
                });
            }
        }
        flights
    })
}

/// A table of flights, as a reference file in CSV for the model `departures`.
pub fn reference_csv(count: usize) -> String {
    let mut text = format!(
        "ts,{},{},prediction.scores.late,latency_ms\n",
        TEXTS.join(","),
        NUMBERS.join(",")
    );
    for (place, flight) in read_flights(count).iter().enumerate() {
        let cell = |name: &str| match &flight.features[name] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let cells: Vec<String> = TEXTS
            .iter()
            .chain(&NUMBERS)
            .map(|name| cell(name))
            .collect();
        let (late, latency) = (place % 10, place % 7);
        let _ = writeln!(
            text,
            "{},{},0.{late},{latency}.5",
            flight.ts,
            cells.join(",")
        );
    }
    text
}
