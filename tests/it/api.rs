//! The API over real HTTP, with something in it.

use std::net::SocketAddr;

use driftline::event::rfc3339;
use serde_json::{Value, json};

use crate::harness::{Answer, Kafka, config, get, settle, start, stop, until, within};
use crate::power::{MODEL, hour, produce};

async fn ok(address: SocketAddr, path: &str) -> Value {
    let answer = get(address, path).await.expect("an answer");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    assert!(
        answer.headers["content-type"].starts_with("application/json"),
        "{path}"
    );
    answer.json()
}

#[track_caller]
fn check_problem(answer: &Answer, status: u16, said: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains(said)),
        "{problem}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_known_can_be_asked_for() {
    within(120, async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kafka = Kafka::start(2);
        let rules = "
rules:
  - {name: inputs, watch: drift, on: \"*\", level: 0.001}
  - {name: nulls, watch: null_rate, on: \"*\"}
";
        let service = start(config(&kafka, folder.path()), &format!("{MODEL}{rules}")).await;
        let at = service.address;
        for number in 0..11 {
            // From hour 8 on demand is another.
            produce(&kafka, &[0, 1], number, 200, |_, row| {
                if number >= 8 {
                    row["features"]["demand"] = json!(
                        row["features"]["demand"]
                            .as_f64()
                            .map(|demand| demand / 4.0)
                    );
                }
            });
        }
        kafka.send(1, None);
        kafka.flush();
        settle(&service).await;

        until("it is ready", async || {
            (get(at, "/readyz").await.ok()?.status == 200).then_some(())
        })
        .await;
        assert_eq!(get(at, "/healthz").await.expect("an answer").status, 200);

        let models = ok(at, "/api/v1/models").await;
        assert_eq!(
            models["models"].as_array().map(Vec::len),
            Some(1),
            "{models}"
        );
        let model = ok(at, "/api/v1/models/power").await;
        assert!(model.to_string().contains("power"), "{model}");

        let windows = ok(at, "/api/v1/models/power/windows").await;
        let listed = windows["windows"].as_array().expect("a list");
        let verdicts: Vec<&str> = listed
            .iter()
            .rev()
            .filter_map(|window| window["verdict"].as_str())
            .collect();
        let mut expected = vec!["no_reference"; 6];
        expected.extend(["ok", "ok", "drift", "drift"]);
        assert_eq!(verdicts, expected);
        assert_eq!(listed[0]["start"], rfc3339(hour(9)));
        // Page by page it is the same.
        let (mut paged, mut next) = (Vec::new(), String::new());
        loop {
            let page = ok(at, &format!("/api/v1/models/power/windows?limit=3{next}")).await;
            paged.extend(page["windows"].as_array().expect("a list").clone());
            match page["next"].as_str() {
                Some(before) => next = format!("&before={before}"),
                None => break,
            }
        }
        assert_eq!(&paged, listed);

        let one = ok(
            at,
            &format!("/api/v1/models/power/windows/{}", rfc3339(hour(8))),
        )
        .await;
        let window = &one["windows"][0];
        assert_eq!(window["rows"], 200);
        let covered = window["covered"].as_array().expect("a list");
        assert_eq!(
            covered
                .iter()
                .filter_map(|covered| covered["rows"].as_u64())
                .sum::<u64>(),
            200
        );
        let scores = window["scores"].as_array().expect("a list");
        let demand = |score: &&Value| score["column"] == "demand" && score["statistic"] == "psi";
        let psi = scores.iter().find(demand).expect("a score");
        assert_eq!(psi["verdict"], "drift");
        assert!(
            psi["value"].as_f64() > psi["threshold"]["value"].as_f64(),
            "{psi}"
        );

        let history = ok(
            at,
            "/api/v1/models/power/drift?column=demand&statistic=psi&verdict=drift",
        )
        .await;
        assert_eq!(
            history["scores"].as_array().map(Vec::len),
            Some(2),
            "{history}"
        );

        let alerts = ok(at, "/api/v1/alerts?status=firing").await;
        assert_eq!(alerts["alerts"][0]["rule"], "inputs", "{alerts}");
        assert_eq!(alerts["alerts"].as_array().map(Vec::len), Some(1));
        let log = ok(at, "/api/v1/alerts/history?model=power").await;
        let fired = &log["transitions"][0];
        assert_eq!(
            (&fired["to"], &fired["window_start"]),
            (&json!("firing"), &json!(rfc3339(hour(8)))),
            "{log}"
        );

        let rejections = ok(at, "/api/v1/rejections").await;
        assert!(
            rejections.to_string().contains("null_payload"),
            "{rejections}"
        );
        let cursors = ok(at, "/api/v1/cursors").await;
        assert_eq!(
            cursors["cursors"].as_array().map(Vec::len),
            Some(2),
            "{cursors}"
        );

        let document = ok(at, "/api/v1/openapi.json").await;
        assert!(
            document["openapi"]
                .as_str()
                .is_some_and(|version| version.starts_with("3."))
        );
        for path in [
            "/api/v1/models/{model}/windows",
            "/api/v1/alerts",
            "/metrics",
        ] {
            assert!(document["paths"][path].is_object(), "{path}");
        }

        let wrong = async |path: &str| get(at, path).await.expect("an answer");
        check_problem(
            &wrong("/api/v1/models/power/windows?colour=red").await,
            400,
            "colour",
        );
        check_problem(
            &wrong("/api/v1/models/power/drift?verdict=bad").await,
            400,
            "bad",
        );
        check_problem(&wrong("/api/v1/models/nobody/windows").await, 404, "nobody");
        check_problem(&wrong("/api/v1/nothing").await, 404, "/api/v1/nothing");
        stop(service).await;
    })
    .await;
}
