//! What the routes answer.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_live_process_need_not_be_ready() {
    let served = open().await;
    assert_eq!(
        served.found("/healthz").await,
        json!({"status": "alive", "version": "0.1.0", "revision": "abc"})
    );
    served
        .refused("/readyz", 503, "no partitions are assigned yet")
        .await;
    served.readiness.send_replace(Readiness {
        assigned: true,
        partitions: 2,
        restored: false,
    });
    served
        .refused(
            "/readyz",
            503,
            "the state of the assigned partitions is not restored yet",
        )
        .await;
    served.readiness.send_replace(Readiness {
        assigned: true,
        partitions: 2,
        restored: true,
    });
    assert_eq!(
        served.found("/readyz").await,
        json!({"assigned": true, "partitions": 2, "restored": true})
    );
}

#[tokio::test]
async fn prometheus_gets_its_text_format() {
    let answer = open().await.get("/metrics?from=anywhere").await;
    assert_eq!(
        answer.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert!(
        answer
            .text
            .contains("driftline_build_info{revision=\"abc\",version=\"0.1.0\"} 1"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn models_are_listed_and_shown() {
    let served = open().await;
    let listed = json!({
        "model": "delay", "declared_in": "rules/flights.yaml", "layout_hash": "layout", "reference_hash": "reference",
        "first_window": "1970-01-01T00:00:00Z", "closed_through": "1970-01-06T00:00:00Z",
    });
    assert_eq!(
        served.found("/api/v1/models").await,
        json!({"models": [listed]})
    );
    let one = served.found("/api/v1/models/delay").await;
    assert_eq!(one["model"], "delay");
    assert_eq!(one["reference"]["source"], "first: 30d");
    assert_eq!(one["reference"]["end"], "1970-01-31T00:00:00Z");
    assert_eq!(
        one["watermark"], "1970-01-02T00:00:00Z",
        "the least of the partitions'"
    );
    assert_eq!(one["rows_used"], 33);
    assert_eq!(one["firing"], json!(["inputs"]));
    assert_eq!(one["newest_window"]["start"], "1970-01-05T00:00:00Z");
}

#[tokio::test]
async fn an_unknown_model_is_not_found_anywhere() {
    let served = open().await;
    for path in ["", "/windows", "/windows/0", "/drift"] {
        let path = format!("/api/v1/models/power{path}");
        served
            .refused(
                &path,
                404,
                "no model \"power\" is watched; /api/v1/models lists those that are",
            )
            .await;
    }
}

#[tokio::test]
async fn pages_of_windows_join_without_gap_or_repetition() {
    let served = open().await;
    let whole = served.found("/api/v1/models/delay/windows").await;
    let all = whole["windows"].as_array().expect("windows").clone();
    assert_eq!(all.len() as i64, 2 * filled::DAYS);
    assert!(whole["next"].is_null());
    assert_eq!(all[0]["end"], "1970-01-06T00:00:00Z");
    assert_eq!(all[0]["verdict"], "drift");
    assert_eq!(
        (&all[8]["revision"], &all[8]["rows"]),
        (&json!(1), &json!(101)),
        "the last revision"
    );
    for limit in [1, 2, 3, 5, 9, 10] {
        let mut joined = Vec::new();
        let mut query = format!("limit={limit}");
        loop {
            let page = served
                .found(&format!("/api/v1/models/delay/windows?{query}"))
                .await;
            joined.extend(page["windows"].as_array().expect("windows").clone());
            let Some(next) = page["next"].as_str() else {
                break;
            };
            query = format!("limit={limit}&before={next}");
        }
        assert_eq!(joined, all, "limit {limit}");
    }
}

#[tokio::test]
async fn windows_of_one_version_are_listed_alone() {
    let page = open()
        .await
        .found("/api/v1/models/delay/windows?version=2&segment=&limit=2")
        .await;
    let versions: Vec<_> = page["windows"]
        .as_array()
        .expect("windows")
        .iter()
        .map(|w| &w["version"])
        .collect();
    assert_eq!(versions, ["2", "2"]);
    assert_eq!(page["next"], "1970-01-05T00:00:00Z");
}

#[tokio::test]
async fn a_window_is_found_by_its_start_in_both_forms() {
    let served = open().await;
    let by_millis = served
        .found("/api/v1/models/delay/windows/86400000?version=1")
        .await;
    assert_eq!(
        served
            .found("/api/v1/models/delay/windows/1970-01-02T00:00:00Z?version=1")
            .await,
        by_millis
    );
    assert_eq!(by_millis["windows"].as_array().map(Vec::len), Some(1));
    let window = &by_millis["windows"][0];
    assert_eq!(window["covered"][0]["to_offset"], 9);
    let scores = window["scores"].as_array().expect("scores");
    assert_eq!(scores.len(), 4);
    assert_eq!(scores[3]["column"], "temp");
    assert_eq!(scores[3]["rule"], "inputs");
    assert_eq!(scores[3]["threshold"]["source"], "blocks");
    assert_eq!(
        scores[3]["threshold"]["false_alarms_per_week"],
        json!({"mean": 0.01, "p90": 0.02})
    );
    served
        .refused(
            "/api/v1/models/delay/windows/1",
            404,
            "no window of delay that begins at 1970-01-01T00:00:00.001Z",
        )
        .await;
    served
        .refused(
            "/api/v1/models/delay/windows/soon",
            400,
            "\"soon\" is no time; write RFC 3339",
        )
        .await;
}

#[tokio::test]
async fn drift_is_a_history_of_one_column_and_statistic() {
    let served = open().await;
    let path = "/api/v1/models/delay/drift?column=temp&statistic=psi&version=1";
    let history = served.found(path).await;
    let ends: Vec<_> = history["scores"]
        .as_array()
        .expect("scores")
        .iter()
        .map(|point| &point["end"])
        .collect();
    assert_eq!(ends.len() as i64, filled::DAYS);
    assert_eq!(ends[0], "1970-01-06T00:00:00Z");
    let part = served
        .found(&format!(
            "{path}&from=1970-01-02T00:00:00Z&to=1970-01-04T00:00:00Z"
        ))
        .await;
    let values: Vec<_> = part["scores"]
        .as_array()
        .expect("scores")
        .iter()
        .map(|point| &point["end"])
        .collect();
    assert_eq!(values, ["1970-01-04T00:00:00Z", "1970-01-03T00:00:00Z"]);
    let page = served.found(&format!("{path}&limit=2")).await;
    assert_eq!(page["next"], "1970-01-05T00:00:00Z");
    let last = served
        .found(&format!("{path}&limit=3&before=1970-01-05T00:00:00Z"))
        .await;
    assert_eq!(
        (last["scores"].as_array().map(Vec::len), &last["next"]),
        (Some(3), &Value::Null)
    );
    let drifted = served
        .found("/api/v1/models/delay/drift?verdict=drift&column=dist")
        .await;
    assert_eq!(drifted["scores"], json!([]));
    served
        .refused(
            "/api/v1/models/delay/drift?limit=3",
            400,
            "the windows that end at 1970-01-06T00:00:00Z have more than 3 scores; raise limit, name a column",
        )
        .await;
}

#[tokio::test]
async fn alerts_and_their_history_are_shown() {
    let served = open().await;
    let alert = json!({
        "model": "delay", "version": "1", "segment": "", "rule": "inputs", "status": "firing",
        "since": "1970-01-03T00:00:00Z", "columns": ["temp"], "episode_start": "1970-01-02T00:00:00Z",
        "judged_through": "1970-01-06T00:00:00Z",
    });
    assert_eq!(
        served.found("/api/v1/alerts").await,
        json!({"alerts": [alert]})
    );
    assert_eq!(
        served
            .found("/api/v1/alerts?status=firing&model=delay")
            .await["alerts"][0],
        alert
    );
    assert_eq!(
        served.found("/api/v1/alerts?status=resolved").await,
        json!({"alerts": []})
    );
    let history = served.found("/api/v1/alerts/history?limit=1").await;
    let transition = &history["transitions"][0];
    assert_eq!(
        (&transition["from"], &transition["to"]),
        (&json!("pending"), &json!("firing"))
    );
    assert_eq!(transition["reason"], "temp was bad in 3 of 5 windows");
    served
        .refused(
            "/api/v1/alerts?status=on",
            400,
            "status: unknown variant `on`, expected one of `inactive`, `pending`",
        )
        .await;
}

#[tokio::test]
async fn rejections_are_listed_in_pages_with_their_totals() {
    let served = open().await;
    let mut places = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = served.found(&format!("/api/v1/rejections?{query}")).await;
        assert_eq!(
            page["totals"],
            json!({"null_payload": 1, "ts_in_seconds": 3})
        );
        for row in page["rejections"].as_array().expect("rejections") {
            places.push(json!([
                row["partition"],
                row["offset"],
                row["reason"],
                row["copied"]
            ]));
        }
        let Some(next) = page["next"].as_str() else {
            break;
        };
        query = format!("limit=2&after={next}");
    }
    assert_eq!(
        places,
        [
            json!([0, 12, "ts_in_seconds", false]),
            json!([0, 11, "ts_in_seconds", true]),
            json!([0, 10, "ts_in_seconds", false]),
            json!([1, 5, "null_payload", false]),
        ]
    );
    let one = served.found("/api/v1/rejections?reason=null_payload").await;
    assert_eq!(one["rejections"].as_array().map(Vec::len), Some(1));
    served
        .refused(
            "/api/v1/rejections?after=somewhere",
            400,
            "after: \"somewhere\" is not TOPIC/PARTITION/OFFSET",
        )
        .await;
}

#[tokio::test]
async fn cursors_add_up() {
    let cursors = open().await.found("/api/v1/cursors").await;
    assert_eq!(
        cursors["totals"],
        json!({"used": 33, "late": 1, "duplicate": 2, "rejected": 4})
    );
    assert_eq!(cursors["offsets_lost"], 4);
    let first = &cursors["cursors"][0];
    assert_eq!(
        (&first["topic"], &first["next_offset"]),
        (&json!("flights"), &json!(20))
    );
    assert_eq!(first["streams"][0]["watermark"], "1970-01-02T00:00:00Z");
}

#[tokio::test]
async fn settle_answers_when_the_service_has() {
    let answer = open().await.settle("/api/v1/settle?timeout=10s").await;
    assert_eq!(answer.json(), json!({"records": 3, "windows": 1}));
}

#[tokio::test]
async fn settle_requests_that_nobody_takes_do_not_pile_up() {
    let served = open().await;
    for _ in 0..settle::QUEUE {
        let answer = served.send("POST", "/api/v1/settle?timeout=1ms", &[]).await;
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    }
    let answer = served.send("POST", "/api/v1/settle", &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["retry-after"], "2");
    assert_eq!(
        answer.problem(),
        "16 settle requests are waiting already; ask again in a few seconds"
    );
}

#[tokio::test]
async fn settle_says_why_it_cannot() {
    let served = open().await;
    let late = served.send("POST", "/api/v1/settle?timeout=1ms", &[]).await;
    assert_eq!(late.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(
        late.problem(),
        "not settled within 0.001s; the work goes on, ask again"
    );
    drop(served.asked_to_settle().await);
    let (dropped, _) = tokio::join!(served.send("POST", "/api/v1/settle", &[]), async {
        drop(served.asked_to_settle().await)
    });
    assert_eq!(dropped.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        dropped
            .problem()
            .starts_with("the service cannot settle now")
    );
    for (timeout, says) in [
        (
            "soon",
            "timeout: \"soon\" is no length of time; write 10s, for example",
        ),
        ("1h", "timeout: \"1h\" is longer than 10m"),
    ] {
        let answer = served
            .send("POST", &format!("/api/v1/settle?timeout={timeout}"), &[])
            .await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::BAD_REQUEST, says)
        );
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_with_what_is_known() {
    let served = open().await;
    served
        .refused(
            "/api/v1/nothing",
            404,
            "nothing is served at /api/v1/nothing; /api/v1/openapi.json lists what is",
        )
        .await;
    served
        .refused(
            "/api/v1/models?limit=3",
            400,
            "limit: unknown field `limit`, there are no fields",
        )
        .await;
    served
        .refused(
            "/api/v1/models/delay/windows?form=1",
            400,
            "form: unknown field `form`, expected one of `limit`, `before`",
        )
        .await;
    served
        .refused(
            "/api/v1/models/delay/windows?limit=0",
            400,
            "limit: 0 is not between 1 and 1000",
        )
        .await;
    let answer = served.send("DELETE", "/api/v1/models", &[]).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "GET,HEAD");
    assert_eq!(
        answer.problem(),
        "/api/v1/models does not take DELETE; the Allow header says what it takes"
    );
}

#[tokio::test]
async fn a_store_that_cannot_answer_tells_no_secret() {
    let served = open().await;
    let path = served.dir.path().join(crate::store::handle::FILE_NAME);
    let store = Store::open(served.dir.path()).expect("the same store");
    store
        .write(|tx| Ok(tx.execute_batch("DROP TABLE cursors")?))
        .expect("a broken store");
    let answer = served.get("/api/v1/cursors").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        answer.problem(),
        "the store could not answer; the log of the service says why"
    );
    assert!(!answer.text.contains(&path.display().to_string()));
}
