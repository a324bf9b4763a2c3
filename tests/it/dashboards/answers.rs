//! Every query of every panel is asked: a Prometheus that scraped the demo as it ran, and one that was fed with the year
//! that the demo left behind. Both tell the same of the last moment.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::DateTime;
use driftline::event::{MINUTE, Millis, rfc3339};
use driftline::metrics::{Past, TABLE};
use serde_json::Value;

use super::board::{self, Board, Query, Values};
use crate::harness::{get, until, within};
use crate::prometheus::{Process, free_address, spawn};

/// Points that a query must have over the exported year.
const FEWEST: usize = 10;
/// 2013, in seconds.
const YEAR: (u64, u64) = (1_356_998_400, 1_388_534_400);
/// What Grafana takes the scrape interval to be; the shipped data source says so.
const SCRAPE_MS: u64 = 15_000;
/// A demo of the whole year, on a machine with other things to do.
const PLAYED_SECS: u64 = 900;
/// What is read from the store for a scrape is not older than this.
const SHOWN_WITHIN_SECS: u64 = 15;

/// A Prometheus and what is asked of it.
struct Asked {
    address: SocketAddr,
    /// Begin and end of the plots, in seconds.
    span: (u64, u64),
    /// Fewest points of a query, in its longest series.
    fewest: usize,
    /// Overrides `$__rate_interval`, where scrapes came faster than Grafana would believe.
    rate_interval: Option<&'static str>,
}

/// A query that has too few points, in words.
type Failing = String;

impl Asked {
    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let query: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let answer = get(self.address, &format!("/api/v1/{path}?{}", query.join("&")))
            .await
            .map_err(|error| error.to_string())?;
        let json: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        match json["status"].as_str() {
            Some("success") => Ok(json["data"].clone()),
            _ => Err(answer.body),
        }
    }

    /// Asks every query of every dashboard; returns those that have too few points.
    async fn failing(&self, boards: &[Board]) -> Vec<Failing> {
        let mut failing = Vec::new();
        for board in boards {
            let values = match self.variables(board).await {
                Ok(values) => values,
                Err(error) => {
                    failing.push(error);
                    continue;
                }
            };
            for query in board.queries() {
                failing.extend(self.failing_query(&query, &values).await);
            }
        }
        failing
    }

    /// What each variable is replaced with; an error names one that has no value.
    async fn variables(&self, board: &Board) -> Result<BTreeMap<String, Values>, Failing> {
        let mut values: BTreeMap<String, Values> = BTreeMap::new();
        for variable in board.variables().iter().skip(1) {
            let name = board::text(variable, "name");
            let (series, label) = board::label_values(board::text(variable, "definition"));
            let series = board::substitute(series, &chosen(&values));
            let (start, end) = (self.span.0.to_string(), self.span.1.to_string());
            let parameters = [
                ("match[]", series.as_str()),
                ("start", &start),
                ("end", &end),
            ];
            let found = self
                .ask(&format!("label/{label}/values"), &parameters)
                .await;
            let found: Vec<String> = match found.map(serde_json::from_value) {
                Ok(Ok(found)) => found,
                other => return Err(format!("{}: ${name}: {other:?}", board.name)),
            };
            if found.is_empty() {
                return Err(format!("{}: ${name} has no value: {series}", board.name));
            }
            values.insert(name.to_owned(), board::choose(variable, found));
        }
        Ok(values)
    }

    async fn failing_query(
        &self,
        query: &Query,
        values: &BTreeMap<String, Values>,
    ) -> Vec<Failing> {
        // A repeated panel is drawn once for every value.
        let repeated: Vec<(String, String)> = match &query.repeat {
            Some(variable) => {
                let all = values.get(variable).map_or(&[][..], |values| &values.all);
                all.iter()
                    .map(|value| (variable.clone(), value.clone()))
                    .collect()
            }
            None => vec![(String::new(), String::new())],
        };
        let mut failing = Vec::new();
        for (variable, value) in repeated {
            let mut put_in = chosen(values);
            if !variable.is_empty() {
                put_in.insert(variable, value);
            }
            let points = self.points(query, &mut put_in).await;
            match points {
                Ok((points, _)) if points >= self.fewest => {}
                Ok((points, expr)) => failing.push(format!(
                    "{}: {:?} {}: {points} of {} points: {expr}",
                    query.board, query.panel, query.ref_id, self.fewest
                )),
                Err(error) => failing.push(format!(
                    "{}: {:?} {}: {error}",
                    query.board, query.panel, query.ref_id
                )),
            }
        }
        failing
    }

    /// The numbers in the longest series of the plot, and the expression as it was asked.
    async fn points(
        &self,
        query: &Query,
        put_in: &mut BTreeMap<String, String>,
    ) -> Result<(usize, String), String> {
        let (start, end) = self.span;
        let interval = board::interval((end - start) * 1000, query.max_points).max(SCRAPE_MS);
        let rate_interval = (interval + SCRAPE_MS).max(4 * SCRAPE_MS);
        let rate_interval = format!("{}s", rate_interval / 1000);
        put_in.insert(
            "__rate_interval".to_owned(),
            self.rate_interval.unwrap_or(&rate_interval).to_owned(),
        );
        let expr = board::substitute(&query.expr, put_in);
        // Grafana lays the points on whole steps.
        let step = interval / 1000;
        let (start, end) = ((start / step) * step, end.div_ceil(step) * step);
        let (start, end, step) = (start.to_string(), end.to_string(), step.to_string());
        let parameters = [
            ("query", expr.as_str()),
            ("start", &start),
            ("end", &end),
            ("step", &step),
        ];
        let data = self
            .ask("query_range", &parameters)
            .await
            .map_err(|error| format!("{expr}: {error}"))?;
        let series = board::list(&data, "result").iter();
        let longest = series.map(|series| {
            let values = board::list(series, "values").iter();
            values
                .filter(|pair| pair[1].as_str().is_some_and(|value| value != "NaN"))
                .count()
        });
        Ok((longest.max().unwrap_or(0), expr))
    }
}

fn chosen(values: &BTreeMap<String, Values>) -> BTreeMap<String, String> {
    let chosen = |(name, values): (&String, &Values)| (name.clone(), values.chosen.clone());
    values.iter().map(chosen).collect()
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Starts a Prometheus on `folder`; with a target it scrapes that every second.
fn prometheus(folder: &Path, target: Option<SocketAddr>) -> (Process, SocketAddr) {
    let address = free_address();
    let file = folder.join("prometheus.yml");
    let scrapes = target.map_or_else(String::new, |target| {
        format!("scrape_configs:\n  - job_name: driftline\n    static_configs: [{{targets: [\"{target}\"]}}]\n")
    });
    let text = format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n{scrapes}");
    std::fs::write(&file, text).expect("the folder is writable");
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("tsdb").display()
        ))
        // The year that is looked at is long ago.
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address={address}"))
        .arg("--log.level=warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    (spawn(&mut command), address)
}

/// Plays the year; ends when all of it is played, with the demo still serving.
async fn play(address: SocketAddr, data: &Path) -> Process {
    let errors = data.with_extension("log");
    let log = std::fs::File::create(&errors).expect("the folder is writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftline"));
    command
        .arg("demo")
        .arg(format!("--listen={address}"))
        .arg("--data-dir")
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    let mut demo = spawn(&mut command);
    let out = demo.0.stdout.take().expect("piped");
    let serving = tokio::task::spawn_blocking(move || {
        let mut seen = Vec::new();
        for line in BufReader::new(out).lines() {
            let line = line.expect("text");
            if line.starts_with("Serving") {
                return Ok(());
            }
            seen.push(line);
        }
        Err(seen.join("\n"))
    });
    let played = serving.await.expect("the reading thread ends");
    played.unwrap_or_else(|seen| {
        let said = std::fs::read_to_string(&errors).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(15).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        panic!(
            "the demo ended before it served:\n{seen}\n{}",
            last.join("\n")
        )
    });
    demo
}

/// Runs to the end; returns what was said on standard error.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Exports to `file`; returns the last moment of event time that the store knows.
fn export(data: &Path, file: &Path, more: &[&str]) -> Millis {
    let output = run(Command::new(env!("CARGO_BIN_EXE_driftline"))
        .args(["export", "openmetrics", "--data-dir"])
        .arg(data)
        .arg("--output")
        .arg(file)
        .args(more));
    // "… samples from X to Y, one every …"
    let last = output
        .split_once(" to ")
        .and_then(|(_, rest)| rest.split_once(','));
    let (last, _) = last.unwrap_or_else(|| panic!("not what was expected: {output}"));
    let last = DateTime::parse_from_rfc3339(last).unwrap_or_else(|error| panic!("{last}: {error}"));
    last.timestamp_millis()
}

/// The year in a folder of Prometheus' own.
fn feed(data: &Path, folder: &Path) {
    let text = folder.join("year.om");
    export(data, &text, &["--from", "2013-01-01", "--to", "2014-01-01"]);
    run(Command::new("promtool")
        .args([
            "tsdb",
            "create-blocks-from",
            "--max-block-duration=8760h",
            "-q",
            "openmetrics",
        ])
        .arg(&text)
        .arg(folder.join("tsdb")));
}

/// The series that tell of results, with their last values; only those that end last, where there are timestamps.
fn results(text: &str) -> BTreeMap<String, String> {
    let of_results = |line: &&str| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let entry = TABLE.iter().find(|entry| entry.name == name);
        entry.is_some_and(|entry| entry.past == Past::Results)
    };
    let mut found: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut latest = String::new();
    for line in text.lines().filter(of_results) {
        let (series, sample) = line.rsplit_once("} ").expect("results have labels");
        let (name, labels) = series.split_once('{').expect("labels");
        // No value of the demo has a comma in it.
        let mut labels: Vec<&str> = labels.split(',').collect();
        labels.sort_unstable();
        let (value, at) = sample.split_once(' ').unwrap_or((sample, ""));
        latest = latest.max(at.to_owned());
        found.insert(
            format!("{name}{{{}}}", labels.join(",")),
            (value.to_owned(), at.to_owned()),
        );
    }
    found
        .into_iter()
        .filter(|(_, (_, at))| *at == latest)
        .map(|(series, (value, _))| (series, value))
        .collect()
}

/// What a scrape sees is what an export says of the last moment, once what is read from the store has been read again.
async fn the_same(served: SocketAddr, data: &Path, folder: &Path) {
    let mut differing = Vec::new();
    for _ in 0..SHOWN_WITHIN_SECS {
        differing = differences(served, data, folder).await;
        if differing.is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    panic!("scraped and exported differ:\n{}", differing.join("\n"));
}

async fn differences(served: SocketAddr, data: &Path, folder: &Path) -> Vec<String> {
    let scraped = get(served, "/metrics").await.expect("metrics");
    let scraped = results(&scraped.body);
    let file = folder.join("end.om");
    let last = export(data, &file, &["--step", "1d"]);
    export(
        data,
        &file,
        &["--from", &rfc3339(last - 10 * MINUTE), "--step", "1m"],
    );
    let exported = results(&std::fs::read_to_string(&file).expect("readable"));
    assert!(scraped.len() > 500, "{}", scraped.len());
    scraped
        .keys()
        .chain(exported.keys())
        .filter(|series| scraped.get(*series) != exported.get(*series))
        .map(|series| {
            format!(
                "{series}: {:?} {:?}",
                scraped.get(series),
                exported.get(series)
            )
        })
        .collect()
}

async fn ready(address: SocketAddr) {
    until("Prometheus is ready", async || {
        let answer = get(address, "/-/ready").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_every_panel_has_an_answer() {
    within(PLAYED_SECS, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (live, fed) = (folder.path().join("live"), folder.path().join("fed"));
        for folder in [&live, &fed] {
            std::fs::create_dir(folder).expect("writable");
        }
        let data = folder.path().join("data");
        let boards = board::all();
        let asked: usize = boards.iter().map(|board| board.queries().len()).sum();

        let served = free_address();
        let (_scraping, address) = prometheus(&live, Some(served));
        let begun = now();
        let _demo = play(served, &data).await;
        ready(address).await;
        let mut left = Vec::new();
        // The last scrape may still be on its way.
        for _ in 0..5 {
            let asked = Asked {
                address,
                span: (begun, now()),
                fewest: 1,
                rate_interval: Some("10m"),
            };
            left = asked.failing(&boards).await;
            if left.is_empty() {
                break;
            }
            until("Prometheus has scraped again", async || {
                (now() > asked.span.1 + 1).then_some(())
            })
            .await;
        }
        assert!(
            left.is_empty(),
            "no data from a live scrape:\n{}",
            left.join("\n")
        );

        the_same(served, &data, &fed).await;
        feed(&data, &fed);
        let (_fed, address) = prometheus(&fed, None);
        ready(address).await;
        let year = Asked {
            address,
            span: YEAR,
            fewest: FEWEST,
            rate_interval: None,
        };
        let failing = year.failing(&boards).await;
        assert!(
            failing.is_empty(),
            "too little of the exported year:\n{}",
            failing.join("\n")
        );
        eprintln!("{asked} queries of {} dashboards answered", boards.len());
    })
    .await;
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}
