//! Rules over several columns at once, end to end: what no single column shows is found, a quiet day is not, and the
//! scores are the same to the last bit however the log is read, flushed, and interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use driftline::compute::device::Gpu;
use driftline::config::{Backend, Config};
use driftline::event::{DAY, Key, Millis, Span};
use driftline::service::Service;
use driftline::stats::score::Verdict;
use driftline::store::scores::RuleScore;
use rand::SeedableRng as _;
use rand_distr::{Distribution as _, StandardNormal};
use rand_pcg::Pcg64;
use serde_json::json;
use statrs::distribution::{ContinuousCDF as _, Normal};

use crate::harness::{
    Kafka, PlainResult, config, get, plain_results, results, settle, start, stop, totals, within,
};

const MODEL: &str = "pair";
/// 2026-01-01.
const START: Millis = 1_767_225_600_000;
const ROWS: i64 = 300;
/// Days of the reference, then quiet ones, then ones on which two columns go together, then ones on which one column
/// moves in one corner.
const REFERENCE: i64 = 10;
const TOGETHER: i64 = 14;
const CORNER: i64 = 16;
/// The last day is closed by nothing that comes after it.
const DAYS: i64 = CORNER + 1;

/// Numbers of the vector.
const EMBEDDING: usize = 12;

const DECLARATION: &str = "
model: pair
task: none
window: {every: 1d, lateness: 1h}
reference: {first: 10d}
rows: all
rules:
  - {name: inputs, watch: drift, on: \"*\", level: 0.001, floor: 0.05}
  - {name: joint, watch: drift, statistic: mmd, on: [x, y], level: 0.005, sample: 500, severity: page}
  - {name: apart, watch: drift, statistic: energy, on: [x, y, z], level: 0.005, sample: 500}
  - {name: meaning, watch: drift, statistic: mmd, on: emb, level: 0.005, sample: 500}
";

struct Row {
    id: String,
    payload: Vec<u8>,
}

/// Each column looks the same every day before [`CORNER`]; x and y are one number from [`TOGETHER`] on.
fn log() -> Vec<Vec<Row>> {
    let mut rng = Pcg64::seed_from_u64(20_260_101);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let quantiles = Normal::standard();
    let vector = || {
        let mut vector: Vec<f64> = (0..EMBEDDING).map(|_| normal()).collect();
        vector[0] += 1.0;
        vector
    };
    let vectors: Vec<Vec<f64>> = std::iter::repeat_with(vector).take(ROWS as usize).collect();
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let mut days = Vec::new();
    for day in 0..DAYS {
        let mut rows = Vec::new();
        for i in 0..ROWS {
            let (x, own) = (normal(), normal());
            // The same 300 values every day, in another order.
            let place = (i * 77 + day * 13) % ROWS;
            let mut z = quantiles.inverse_cdf((place as f64 + 0.5) / ROWS as f64);
            let y = if (TOGETHER..CORNER).contains(&day) {
                0.95 * x + 0.312_25 * own
            } else {
                own
            };
            let (city, shop) = (
                ["ulm", "bonn", "kiel"][i as usize % 3],
                ["a", "b"][i as usize / 3 % 2],
            );
            if day >= CORNER && city == "ulm" && shop == "b" {
                z += 8.0;
            }
            // The same vectors every day, in another order; then they turn, and their lengths stay.
            let mut emb = vectors[place as usize].clone();
            if (TOGETHER..CORNER).contains(&day) {
                emb.swap(0, 1);
            }
            let emb = match i % 50 {
                7 => json!(null),
                8 => json!([1.0, 2.0]),
                _ => json!(emb),
            };
            let id = format!("{day}-{i}");
            let record = json!({
                "model": MODEL, "version": "1", "id": id, "ts": START + day * DAY + i * (DAY / ROWS),
                "features": {"x": x, "y": y, "z": z, "city": city, "shop": shop, "emb": emb},
            });
            rows.push(Row {
                id,
                payload: record.to_string().into_bytes(),
            });
        }
        days.push(rows);
    }
    // What closes the last day.
    let after = json!({"model": MODEL, "version": "1", "id": "after", "ts": START + DAYS * DAY + DAY / 2,
        "features": {"x": 0.0, "y": 0.0, "z": 0.0, "city": "ulm", "shop": "a", "emb": vec![0.0; EMBEDDING]}});
    days.push(vec![Row {
        id: "after".to_owned(),
        payload: after.to_string().into_bytes(),
    }]);
    days
}

/// One way to read the same log.
#[derive(Debug, Clone, Copy)]
struct Way {
    partitions: i32,
    threads: usize,
    commit_rows: u64,
    flush_rows: u64,
    /// The service ends and begins anew after so many days.
    restart_every: i64,
    backend: Backend,
}

const PLAIN: Way = Way {
    partitions: 1,
    threads: 1,
    commit_rows: 1_000_000,
    flush_rows: 1_000_000,
    restart_every: i64::MAX,
    backend: Backend::Cpu,
};

fn configured(kafka: &Kafka, folder: &std::path::Path, way: Way) -> Config {
    let mut config = config(kafka, folder);
    config.threads = NonZeroUsize::new(way.threads);
    config.commit.rows = way.commit_rows;
    config.lake.flush_rows = way.flush_rows;
    config.lake.flush_age = 400;
    config.compute.backend = way.backend;
    config
}

/// Plays the log, a day at a time; with one partition each row's neighbours are the same, with more they are not.
async fn play(way: Way) -> (Service, Kafka, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kafka = Kafka::start(way.partitions);
    let mut service = start(configured(&kafka, folder.path(), way), DECLARATION).await;
    let mut sent = 0;
    for (day, rows) in (0..).zip(log()) {
        for row in &rows {
            kafka.send_by_key(&row.id, &row.payload);
        }
        if day == DAYS {
            // Every partition must learn that the last day is over.
            for partition in 0..way.partitions {
                kafka.send(partition, Some(&rows[0].payload));
            }
        }
        kafka.flush();
        settle(&service).await;
        sent += rows.len() as u64;
        if day % way.restart_every == way.restart_every - 1 {
            stop(service).await;
            service = start(configured(&kafka, folder.path(), way), DECLARATION).await;
        }
    }
    assert!(totals(&service.store).used >= sent, "{way:?}");
    (service, kafka, folder)
}

fn day(number: i64) -> Span {
    Span::new(START + number * DAY, START + (number + 1) * DAY)
}

fn of<'a>(
    found: &'a BTreeMap<(Key, Span, u32), PlainResult>,
    number: i64,
    rule: &str,
) -> Vec<&'a RuleScore> {
    let result = found
        .iter()
        .find(|((_, span, revision), _)| *span == day(number) && *revision == 0);
    let (_, result) = result.unwrap_or_else(|| panic!("day {number} is closed"));
    result
        .scores
        .iter()
        .filter(|score| score.rule == rule)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_column_shows_is_found_and_explained() {
    within(120, async {
        let (service, _kafka, _folder) = play(PLAIN).await;
        let found = plain_results(&service.store, MODEL);
        for number in 0..REFERENCE {
            let [joint] = of(&found, number, "joint")[..] else {
                panic!("one score for all columns")
            };
            assert_eq!(joint.score.verdict, Verdict::NoReference, "{joint:?}");
        }
        for rule in ["joint", "apart", "meaning"] {
            let verdicts: Vec<Verdict> = (REFERENCE..CORNER)
                .map(|number| of(&found, number, rule)[0].score.verdict)
                .collect();
            let expect: Vec<Verdict> = (REFERENCE..CORNER)
                .map(|number| {
                    if number < TOGETHER {
                        Verdict::Ok
                    } else {
                        Verdict::Drift
                    }
                })
                .collect();
            assert_eq!(verdicts, expect, "{rule}");
        }
        // No column of its own has drifted on those days.
        for number in TOGETHER..CORNER {
            let own = of(&found, number, "inputs");
            assert!(own.len() > 10);
            let drifted = own
                .iter()
                .find(|score| score.score.verdict == Verdict::Drift);
            assert!(drifted.is_none(), "{drifted:?}");
        }
        let joint = &of(&found, TOGETHER, "joint")[0].score;
        assert_eq!(
            (joint.statistic.as_str(), joint.backend.as_str()),
            ("mmd", "cpu")
        );
        assert_eq!((joint.n_reference, joint.n_current), (500, 300));
        assert!(joint.p_value.expect("a p-value") <= 0.005);
        assert!(
            joint.value.expect("a value") > joint.threshold.as_ref().expect("a threshold").value
        );
        assert!(
            joint.moved.starts_with("most by x") || joint.moved.starts_with("most by y"),
            "{}",
            joint.moved
        );
        for (name, value) in [
            ("columns", "x, y"),
            ("sample", "500"),
            ("rows_reference", "3000"),
            ("rows_window", "300"),
        ] {
            assert_eq!(joint.parameters[name], value);
        }
        assert!(joint.parameters["sigma"].parse::<f64>().expect("a width") > 0.0);
        assert!(joint.worst_slice.is_some(), "the alert fires");
        let meaning = &of(&found, TOGETHER, "meaning")[0].score;
        assert_eq!(meaning.parameters["columns"], "emb");
        // Six of 300 rows have no vector, and six one of another length.
        assert_eq!(meaning.parameters["incomplete_rows_window"], "12");
        assert!(
            ["most by emb[0]", "most by emb[1]"]
                .iter()
                .any(|said| meaning.moved.starts_with(said)),
            "{}",
            meaning.moved
        );
        // By itself only its length is judged.
        let judged: BTreeSet<&str> = of(&found, TOGETHER, "inputs")
            .iter()
            .map(|score| score.score.column.as_str())
            .filter(|column| column.starts_with("emb"))
            .collect();
        assert_eq!(judged, BTreeSet::from(["emb"]));
        assert!(
            of(&found, REFERENCE, "joint")[0]
                .score
                .worst_slice
                .is_none()
        );

        // The corner: told of the column that drifted, in the API and to whoever is told of the alert.
        let corner = of(&found, CORNER, "inputs");
        let told: Vec<_> = corner
            .iter()
            .filter_map(|score| {
                Some((
                    score.score.column.as_str(),
                    score.score.worst_slice.as_ref()?,
                ))
            })
            .collect();
        let [(column, worst)] = told[..] else {
            panic!("one column is explained: {told:?}")
        };
        assert_eq!(column, "z");
        let first = worst.slices.first().expect("a slice");
        let mut parts: Vec<(&str, &str)> = first
            .parts
            .iter()
            .map(|part| (part.column.as_str(), part.bin.as_str()))
            .collect();
        parts.sort_unstable();
        assert_eq!(parts, [("city", "ulm"), ("shop", "b")], "{worst:?}");
        assert!(
            first.share_of_shift > 0.8 && first.share_of_rows < 0.2,
            "{worst:?}"
        );

        let path = format!("/api/v1/models/{MODEL}/drift?column=z&verdict=drift");
        let answer = get(service.address, &path).await.expect("an answer").json();
        let shown = answer["scores"]
            .as_array()
            .expect("scores")
            .iter()
            .find(|score| !score["worst_slice"].is_null());
        let shown = shown.expect("one is explained");
        assert_eq!(shown["worst_slice"]["text"], json!(worst.text));
        assert!(
            worst.text.contains("city = ulm") && worst.text.contains("shop = b"),
            "{}",
            worst.text
        );

        let metrics = get(service.address, "/metrics")
            .await
            .expect("an answer")
            .body;
        for line in [
            "driftline_feature_drift_score{feature=\"joint\",method=\"mmd\"",
            "driftline_compute_seconds_count{backend=\"cpu\",stage=\"together\"}",
            "driftline_compute_seconds_count{backend=\"cpu\",stage=\"slice\"}",
        ] {
            assert!(metrics.contains(line), "{line} in {metrics}");
        }
        stop(service).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_threads_nor_restarts_change_a_bit() {
    within(240, async {
        let (service, _kafka, _folder) = play(PLAIN).await;
        let one = plain_results(&service.store, MODEL);
        stop(service).await;
        let other = Way {
            partitions: 3,
            threads: 2,
            commit_rows: 97,
            flush_rows: 500,
            restart_every: 4,
            ..PLAIN
        };
        let (service, _kafka, _folder) = play(other).await;
        let found = plain_results(&service.store, MODEL);
        assert!(!results(&service.store, MODEL).is_empty());
        stop(service).await;
        let days =
            |found: &BTreeMap<(Key, Span, u32), PlainResult>| -> Vec<(Span, Vec<RuleScore>)> {
                let known = found
                    .iter()
                    .filter(|((_, span, _), _)| span.start < START + DAYS * DAY);
                known
                    .map(|((_, span, _), result)| (*span, result.scores.clone()))
                    .collect()
            };
        for (one, other) in days(&one).iter().zip(days(&found).iter()) {
            assert_eq!(one, other);
        }
        assert_eq!(days(&one).len(), DAYS as usize);
        assert_eq!(days(&found).len(), DAYS as usize);
    })
    .await;
}

/// The libraries of this process that have to do with devices.
fn drivers() -> BTreeSet<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux says what is mapped");
    let files = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    let of_devices = |file: &&str| {
        ["vulkan", "nvidia", "EGL"]
            .iter()
            .any(|part| file.contains(part))
    };
    files.filter(of_devices).map(str::to_owned).collect()
}

/// On any device, a software one too; `GPU_TESTS` says what its absence means, as for the tests in `tests/gpu`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_gives_the_same_verdicts() {
    let wish = std::env::var("GPU_TESTS").unwrap_or_default();
    if wish == "skip" {
        eprintln!("SKIPPED: GPU_TESTS says skip");
        return;
    }
    match Gpu::open(true) {
        Ok(gpu) => {
            eprintln!("on {} ({})", gpu.facts().name, gpu.facts().driver);
            let drivers = drivers();
            assert_ne!(drivers, BTreeSet::new());
            drop(gpu);
            assert_eq!(
                self::drivers(),
                drivers,
                "threads still hold what is theirs"
            );
        }
        Err(why) if wish == "require" => panic!("GPU_TESTS says require: {why}"),
        Err(why) => {
            eprintln!("SKIPPED: {why}");
            return;
        }
    }
    within(600, async {
        let mut found = Vec::new();
        for backend in [Backend::Cpu, Backend::Gpu] {
            let (service, _kafka, _folder) = play(Way { backend, ..PLAIN }).await;
            found.push(plain_results(&service.store, MODEL));
            let metrics = get(service.address, "/metrics")
                .await
                .expect("an answer")
                .body;
            let fallbacks = "driftline_compute_fallbacks_total 0";
            assert!(metrics.contains(fallbacks), "{fallbacks} in {metrics}");
            stop(service).await;
        }
        for rule in ["joint", "apart", "meaning"] {
            for number in REFERENCE..=CORNER {
                let [cpu, gpu] = [0, 1].map(|at| of(&found[at], number, rule)[0].score.clone());
                assert_eq!((&*cpu.backend, &*gpu.backend), ("cpu", "gpu"));
                assert_eq!(cpu.verdict, gpu.verdict, "{rule} {number}");
                let [one, other] = [&cpu, &gpu].map(|score| score.value.expect("a value"));
                // A thousandth of a quiet day's.
                assert!((one - other).abs() < 1e-5, "{rule} {number}: {one} {other}");
                // A permutation that comes as near as that may fall on the other side.
                let [one, other] = [&cpu, &gpu].map(|score| score.p_value.expect("a p-value"));
                assert!((one - other).abs() < 5e-3, "{rule} {number}: {one} {other}");
            }
        }
    })
    .await;
}

/// Too small a share of the rows leaves a reason, not a verdict.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_too_few_rows_there_is_a_reason() {
    within(120, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(1);
        // One row in twenty is kept: 15 a day are too few.
        let declaration = DECLARATION.replace("rows: all", "rows: {sample: 5%}");
        let service = start(configured(&kafka, folder.path(), PLAIN), &declaration).await;
        for rows in log().iter().take(REFERENCE as usize + 3) {
            for row in rows {
                kafka.send_by_key(&row.id, &row.payload);
            }
        }
        kafka.flush();
        settle(&service).await;
        let found = plain_results(&service.store, MODEL);
        let score = &of(&found, REFERENCE, "joint")[0].score;
        assert_eq!(score.verdict, Verdict::InsufficientData, "{score:?}");
        assert!(score.reason.contains(", 20 are needed"), "{}", score.reason);
        assert!(score.value.is_none() && score.p_value.is_none());
        stop(service).await;
    })
    .await;
}

/// The rows of a reference file, with the times of its first days.
fn reference_file(path: &std::path::Path, shift: f64) {
    let mut text = "ts,x,y,z,city,shop\n".to_owned();
    for row in log().iter().take(REFERENCE as usize).flatten() {
        let record: serde_json::Value = serde_json::from_slice(&row.payload).expect("JSON");
        let number = |name: &str| record["features"][name].as_f64().expect("a number");
        let word = |name: &str| {
            record["features"][name]
                .as_str()
                .expect("a word")
                .to_owned()
        };
        text.push_str(&format!(
            "{},{},{},{},{},{}\n",
            record["ts"],
            number("x") + shift,
            number("y"),
            number("z"),
            word("city"),
            word("shop"),
        ));
    }
    std::fs::write(path, text).expect("written");
}

/// Windows are compared with the rows of the file that the reference was made of: kept once they were asked for, and
/// with none of another file of its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_another_one_by_now_is_not_compared_with() {
    within(240, async {
        for (another, first, then) in [
            (false, Verdict::Ok, Verdict::Drift),
            (true, Verdict::InsufficientData, Verdict::InsufficientData),
        ] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let file = folder.path().join("reference.csv");
            reference_file(&file, 0.0);
            let kafka = Kafka::start(1);
            let declared = format!("reference: {{file: {}}}", file.display());
            let declaration = DECLARATION.replace("reference: {first: 10d}", &declared);
            let service = start(configured(&kafka, folder.path(), PLAIN), &declaration).await;
            let log = log();
            let send = async |days: std::ops::Range<i64>| {
                for row in log[days.start as usize..days.end as usize].iter().flatten() {
                    kafka.send_by_key(&row.id, &row.payload);
                }
                kafka.flush();
                settle(&service).await;
            };
            // Reads the file and makes the layout; no window is closed.
            send(REFERENCE..REFERENCE + 1).await;
            if another {
                reference_file(&file, 1.0);
            }
            send(REFERENCE + 1..TOGETHER).await;
            // What was asked for is kept.
            std::fs::remove_file(&file).expect("removed");
            send(TOGETHER..DAYS + 1).await;
            let found = plain_results(&service.store, MODEL);
            let quiet = &of(&found, REFERENCE, "joint")[0].score;
            assert_eq!(quiet.verdict, first, "{quiet:?}");
            let moved = &of(&found, TOGETHER, "joint")[0].score;
            assert_eq!(moved.verdict, then, "{moved:?}");
            let says = "is not what it was when the reference was made of it";
            assert_eq!(moved.reason.contains(says), another, "{}", moved.reason);
            stop(service).await;
        }
    })
    .await;
}
