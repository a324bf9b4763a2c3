//! A real Prometheus scrapes the running service, and `promtool` finds nothing to say about its metrics.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{Kafka, config, get, settle, start, stop, until, within};
use crate::power::{MODEL, produce, quiet};

/// Ends with the test, whatever becomes of it.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program, one of Debian's package `prometheus` most often.
pub fn spawn(command: &mut Command) -> Process {
    match command.spawn() {
        Ok(child) => Process(child),
        Err(error) => panic!(
            "{:?} does not start ({error}): run `tests/run`, which installs the Debian package prometheus",
            command.get_program()
        ),
    }
}

/// For a program that does not tell which port it took: one that was free a moment ago.
pub fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("an address")
}

fn scraper(folder: &Path, target: SocketAddr) -> (Process, SocketAddr) {
    let address = free_address();
    let file = folder.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n  - job_name: driftline\n    static_configs: [{{targets: [\"{target}\"]}}]\n"
    );
    std::fs::write(&file, text).expect("the folder is writable");
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("tsdb").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .arg("--log.level=warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    (spawn(&mut command), address)
}

/// The series of an instant query; empty while there are none or nobody answers yet.
async fn query(prometheus: SocketAddr, expression: &str) -> Vec<Value> {
    let Ok(answer) = get(prometheus, &format!("/api/v1/query?query={expression}")).await else {
        return Vec::new();
    };
    match serde_json::from_str::<Value>(&answer.body) {
        Ok(body) => body["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_scrapes_what_promtool_approves() {
    within(120, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(2);
        let service = start(config(&kafka, &folder.path().join("data")), MODEL).await;
        for number in 0..10 {
            produce(&kafka, &[0, 1], number, 200, quiet);
        }
        // Something of every kind: a broken record, too.
        kafka.send(0, Some(b"not JSON"));
        kafka.flush();
        settle(&service).await;

        let metrics = get(service.address, "/metrics").await.expect("metrics");
        assert_eq!(metrics.status, 200);
        assert!(
            metrics.headers["content-type"].starts_with("text/plain"),
            "{:?}",
            metrics.headers
        );
        let mut promtool = Command::new("promtool");
        promtool
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut promtool = spawn(&mut promtool);
        let mut input = promtool.0.stdin.take().expect("piped");
        input
            .write_all(metrics.body.as_bytes())
            .expect("promtool reads");
        drop(input);
        let status = promtool.0.wait().expect("promtool ends");
        let mut said = String::new();
        for pipe in [
            promtool
                .0
                .stdout
                .take()
                .map(|p| Box::new(p) as Box<dyn std::io::Read>),
            promtool
                .0
                .stderr
                .take()
                .map(|p| Box::new(p) as Box<dyn std::io::Read>),
        ] {
            std::io::Read::read_to_string(&mut pipe.expect("piped"), &mut said).expect("text");
        }
        assert!(status.success() && said.is_empty(), "{status}: {said}");

        let (_prometheus, address) = scraper(folder.path(), service.address);
        let windows = until("Prometheus has scraped", async || {
            let found = query(address, "driftline_windows_total").await;
            (!found.is_empty()).then_some(found)
        })
        .await;
        let number = |series: &Value| {
            series["value"][1]
                .as_str()
                .expect("a number")
                .parse::<f64>()
                .expect("a number")
        };
        let of = |verdict: &str| {
            let series = windows
                .iter()
                .find(|series| series["metric"]["verdict"] == verdict);
            number(series.unwrap_or_else(|| panic!("no {verdict} in {windows:?}")))
        };
        assert!(
            windows
                .iter()
                .all(|series| series["metric"]["model"] == "power")
        );
        assert_eq!((of("no_reference"), of("ok"), of("drift")), (6.0, 3.0, 0.0));

        let scores = query(address, "driftline_feature_drift_score").await;
        let features: Vec<&str> = scores
            .iter()
            .filter_map(|series| series["metric"]["feature"].as_str())
            .collect();
        assert!(
            features.contains(&"demand") && features.contains(&"day"),
            "{scores:?}"
        );
        // Each score has a threshold of the same labels.
        let thresholds = query(address, "driftline_feature_drift_threshold").await;
        let labels = |series: &Value| {
            let mut labels = series["metric"].as_object().expect("labels").clone();
            labels.remove("__name__");
            Value::Object(labels).to_string()
        };
        for score in &scores {
            assert!(
                thresholds
                    .iter()
                    .any(|threshold| labels(threshold) == labels(score)),
                "{score}"
            );
        }
        let rejected = query(address, "driftline_records_rejected_total").await;
        assert_eq!(rejected.iter().map(number).sum::<f64>(), 1.0);
        let used = query(address, "driftline_records_used_total").await;
        assert_eq!(used.iter().map(number).sum::<f64>(), 2_000.0);
        assert_eq!(
            query(address, "up")
                .await
                .iter()
                .map(number)
                .collect::<Vec<_>>(),
            [1.0]
        );
        eprintln!(
            "{} windows series, {} scores, {} bytes of metrics",
            windows.len(),
            scores.len(),
            metrics.body.len()
        );
        stop(service).await;
    })
    .await;
}
