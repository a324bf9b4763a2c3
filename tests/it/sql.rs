//! `driftline sql` as people run it: files, and what a service has left.

use std::process::{Command, Output};

use driftline::event::WEEK;

use crate::flights::{FIRST_WEEK, PATH, first_weeks};
use crate::harness::{Kafka, config, results, settle, start, stop, within};

fn sql(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_driftline"))
        .arg("sql")
        .args(arguments)
        .output()
        .expect("the program runs")
}

#[track_caller]
fn answer(arguments: &[&str]) -> String {
    let output = sql(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_csv_file_is_compared_with_a_parquet_reference() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("now.csv");
    // Hot days only, one of them without a number.
    std::fs::write(&file, "temp,carrier\n95,UA\n99,UA\n101,AA\n,UA\n").expect("a file");
    let table = format!("now={}", file.display());
    let reference = format!("f={PATH}");
    let statement =
        "SELECT profile_rows(profile(temp, 'f')) AS n, profile_nulls(profile(temp, 'f')) AS nulls,
        mean_shift(profile(temp, 'f'), reference('f', 'temp')) > 2 AS hot,
        js(profile(carrier, 'f'), reference('f', 'carrier')) BETWEEN 0 AND 1 AS js FROM now";
    let found = answer(&[
        "--table",
        &table,
        "--reference",
        &reference,
        "--format",
        "json",
        statement,
    ]);
    assert_eq!(found, "[{\"n\":4,\"nulls\":1,\"hot\":true,\"js\":true}]\n");
    let shown = answer(&["SELECT 1 AS one"]);
    assert_eq!(shown, "+-----+\n| one |\n+-----+\n| 1   |\n+-----+\n");
}

#[test]
fn what_is_wrong_is_said_in_a_sentence_and_a_code() {
    let wrong = sql(&["SELECT psi(1)"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let wrong = sql(&["DROP TABLE t"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let missing = sql(&["--table", "t=/nowhere/t.csv", "SELECT 1"]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    let said = String::from_utf8(missing.stderr).expect("text");
    assert!(
        said.starts_with("driftline: /nowhere/t.csv: cannot be opened"),
        "{said}"
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let elsewhere = sql(&[
        "--data-dir",
        &folder.path().display().to_string(),
        "SELECT 1",
    ]);
    assert_eq!(elsewhere.status.code(), Some(1), "{elsewhere:?}");
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("it is there")
        .collect();
    assert!(left.is_empty(), "nothing is made there");
}

/// The examples of `docs/sql.md` over the file that is here, as they stand.
#[test]
fn the_examples_of_the_page_run() {
    let root = env!("CARGO_MANIFEST_DIR");
    let page = std::fs::read_to_string(format!("{root}/docs/sql.md")).expect("the page");
    let mut ran = 0;
    for block in page.split("\n\n") {
        if !block.starts_with("    driftline sql") || !block.contains("tests/data/") {
            continue;
        }
        let command = block.replacen("driftline", env!("CARGO_BIN_EXE_driftline"), 1);
        let output = Command::new("sh")
            .args(["-c", &command])
            .current_dir(root)
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{block}\n{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).lines().count() > 4,
            "{block}"
        );
        ran += 1;
    }
    assert_eq!(ran, 2);
}

/// The rows that a service keeps, counted by SQL, are the windows that it counted from the stream.
#[tokio::test(flavor = "multi_thread")]
async fn sql_counts_what_the_stream_counted() {
    within(120, async {
        let declaration = "
model: flights
task: {type: binary, positive: late}
window: {every: 1w, lateness: 1h}
reference: {first: 14d}
rows: all
rules:
  - {name: inputs, watch: drift, on: \"*\", level: 0.05}
";
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(2);
        let service = start(config(&kafka, folder.path()), declaration).await;
        let flights = first_weeks(4).await;
        for rows in flights.chunk_by(|a, b| (a.ts - FIRST_WEEK) / WEEK == (b.ts - FIRST_WEEK) / WEEK) {
            for flight in rows {
                kafka.send_by_key(&flight.id, &flight.record());
            }
            kafka.flush();
            settle(&service).await;
        }
        let windows = results(&service.store, "flights").len();
        let dir = service_dir(&folder);
        stop(service).await;
        assert!(windows >= 3, "{windows}");
        let asked = tokio::task::spawn_blocking(move || {
            // A column of numbers and one of texts; windows begin where the first row of each lies or before.
            let statement = |column: &str| {
                format!(
                    "SELECT count(*) AS windows, count(*) FILTER (WHERE m.profile = r.profile) AS same
                     FROM (SELECT * FROM profile_metrics WHERE column_name = '{column}') m
                     JOIN (SELECT w.window_start AS window_start, profile(\"{column}\", 'flights') AS profile
                           FROM rows('flights') r JOIN windows w
                           ON to_timestamp_millis(r.ts) >= w.window_start AND to_timestamp_millis(r.ts) < w.window_end
                           GROUP BY w.window_start) r ON m.window_start = r.window_start"
                )
            };
            ["temp", "carrier"].map(|column| {
                answer(&["--data-dir", &dir, "--format", "csv", &statement(column)])
            })
        });
        let expect = format!("windows,same\n{windows},{windows}\n");
        assert_eq!(asked.await.expect("it ends"), [expect.clone(), expect]);
    })
    .await;
}

fn service_dir(folder: &tempfile::TempDir) -> String {
    folder.path().display().to_string()
}
