use std::collections::BTreeMap;

use super::*;
use crate::event::HOUR;

#[test]
fn the_shipped_file_states_every_default() {
    assert_eq!(
        parse("deploy/driftline.yaml", DEFAULT_FILE),
        Ok(Config::default())
    );
    for field in FIELDS {
        assert!(
            DEFAULT_FILE.contains(&format!("\n{field}:")),
            "{field} is not in the shipped file"
        );
    }
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("c.yaml", "# nothing\n"), Ok(Config::default()));
}

#[test]
fn every_field_finds_its_place() {
    let config = parse(
        "c.yaml",
        r#"
kafka:
  brokers: [kafka-1:9092, "[::1]:9093"]
  group_id: eu
  predictions: predictions.eu
  labels: [labels.eu, labels.us]
  dead_letter: none
  assignment: manual
  properties: {security.protocol: SASL_SSL, fetch.max.bytes: 1000000}
  secret_properties: {sasl.password: /run/secrets/kafka}
data_dir: /var/lib/driftline
rules: [/etc/driftline/rules, "more/*.yaml"]
listen: 0.0.0.0:8443
auth: {tokens_file: /run/tokens, tls: {cert: /tls.crt, key: /tls.key}}
commit: {every: 500ms, rows: 1000}
limits: {message_bytes: 64KiB, depth: 8, features: 10, name_bytes: 11, id_bytes: 12, models: 13, versions: 14, future_skew: 1h}
dedupe: off
idle_timeout: 2s
retention: {store: 2MiB, rejections: 15}
lake: {url: "s3://bucket/d", flush_rows: 5, flush_age: 1m, segment_rows: 6, keep: 7d, keep_bytes: 1GiB, grace: 2s}
compute: {backend: gpu}
threads: 3
receivers:
  - {name: hook, webhook: "https://hooks.example.com/drift", secret_file: /run/whsec}
  - {name: am, alertmanager: "http://alertmanager:9093/", allow_internal: true}
retrain: {secret_file: /run/retrain, listen: 0.0.0.0:8444, in_process: false}
log: {format: json, level: "info,driftline::ingest=debug"}
"#,
    );
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let expect = Config {
        kafka: Kafka {
            brokers: vec!["kafka-1:9092".to_owned(), "[::1]:9093".to_owned()],
            group_id: "eu".to_owned(),
            predictions: vec!["predictions.eu".to_owned()],
            labels: vec!["labels.eu".to_owned(), "labels.us".to_owned()],
            dead_letter: None,
            assignment: Assignment::Manual,
            properties: BTreeMap::from([
                pair("security.protocol", "SASL_SSL"),
                pair("fetch.max.bytes", "1000000"),
            ]),
            secret_properties: BTreeMap::from([(
                "sasl.password".to_owned(),
                PathBuf::from("/run/secrets/kafka"),
            )]),
        },
        data_dir: PathBuf::from("/var/lib/driftline"),
        rules: vec![
            PathBuf::from("/etc/driftline/rules"),
            PathBuf::from("more/*.yaml"),
        ],
        listen: SocketAddr::from(([0, 0, 0, 0], 8443)),
        auth: Auth {
            tokens_file: Some(PathBuf::from("/run/tokens")),
            tls: Some(Tls {
                cert: PathBuf::from("/tls.crt"),
                key: PathBuf::from("/tls.key"),
            }),
            insecure: false,
        },
        commit: Commit {
            every: 500,
            rows: 1000,
        },
        limits: Limits {
            message_bytes: 65_536,
            depth: 8,
            features: 10,
            name_bytes: 11,
            id_bytes: 12,
            models: 13,
            versions: 14,
            future_skew_ms: HOUR,
        },
        dedupe: None,
        idle_timeout: 2 * SECOND,
        retention: Retention {
            store_bytes: 2 << 20,
            rejections: 15,
        },
        lake: Lake {
            url: Some("s3://bucket/d".to_owned()),
            flush_rows: 5,
            flush_age: crate::event::MINUTE,
            segment_rows: 6,
            keep: crate::event::WEEK,
            keep_bytes: 1 << 30,
            grace: 2 * SECOND,
        },
        compute: Compute {
            backend: Backend::Gpu,
        },
        threads: NonZeroUsize::new(3),
        receivers: vec![
            Receiver {
                name: "hook".to_owned(),
                target: Target::Webhook {
                    url: "https://hooks.example.com/drift".to_owned(),
                    secret_file: PathBuf::from("/run/whsec"),
                },
                allow_internal: false,
            },
            Receiver {
                name: "am".to_owned(),
                target: Target::Alertmanager {
                    url: "http://alertmanager:9093".to_owned(),
                },
                allow_internal: true,
            },
        ],
        retrain: Retrain {
            secret_file: Some(PathBuf::from("/run/retrain")),
            listen: SocketAddr::from(([0, 0, 0, 0], 8444)),
            in_process: false,
        },
        log: Log {
            format: LogFormat::Json,
            level: "info,driftline::ingest=debug".to_owned(),
        },
    };
    assert_eq!(config, Ok(expect));
}

/// `text` is refused with exactly these problems.
#[track_caller]
fn refuse(text: &str, expect: &[&str]) {
    let problems = parse("c.yaml", text).expect_err("a configuration that is refused");
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        expect
    );
}

#[track_caller]
fn accept(text: &str) {
    assert_eq!(parse("c.yaml", text).map(|_| ()), Ok(()));
}

#[test]
fn an_address_from_outside_needs_protection_or_a_waiver() {
    accept("listen: 127.0.0.1:9000");
    accept("listen: '[::1]:9000'");
    accept("listen: 0.0.0.0:9000\nauth: {insecure: true}");
    accept("auth: {tls: {cert: a, key: b}, tokens_file: t}\nlisten: '[::]:9000'");
    const REMEDY: &str = "set `auth.tokens_file` and `auth.tls`, listen on 127.0.0.1, or write `auth: {insecure: true}` if something in front protects it";
    for (auth, lacking) in [
        ("insecure: false", "tokens and TLS"),
        ("tokens_file: t", "TLS"),
        ("tls: {cert: a, key: b}", "tokens"),
    ] {
        let wrong = "this address can be reached from outside and there is no protection by";
        refuse(
            &format!("listen: 0.0.0.0:9000\nauth: {{{auth}}}"),
            &[&format!(
                "c.yaml:1: listen: 0.0.0.0:9000: {wrong} {lacking}; {REMEDY}"
            )],
        );
    }
    refuse(
        "listen: localhost:80",
        &[
            "c.yaml:1: listen: localhost:80: not an address and port; write for example `127.0.0.1:8080` or `[::1]:8080`",
        ],
    );
}

#[test]
fn kafka_settings_that_would_break_a_promise() {
    refuse(
        "kafka:\n  brokers: kafka\n  predictions: []\n  labels: labels\n  features: [f]\n  properties: {group.id: x, enable.auto.commit: true, sasl.password: hunter2}\n  secret_properties: {client.id: x}\n  dead_letter: a b\n  assignment: sticky",
        &[
            "c.yaml:2: kafka.brokers: kafka: not a list of brokers with ports; write for example `[kafka-1:9092, kafka-2:9092]`",
            "c.yaml:3: kafka.predictions: []: there is nothing to read; name at least one topic",
            "c.yaml:5: kafka.features: [f]: this release reads topics of predictions and labels only; log features inside the prediction records and leave this out",
            "c.yaml:6: kafka.properties.group.id: x: driftline sets this itself; leave it out",
            "c.yaml:6: kafka.properties.enable.auto.commit: true: driftline sets this itself; leave it out",
            "c.yaml:6: kafka.properties.sasl.password: (hidden): a secret does not belong here; put it into a file and name that under `secret_properties`",
            "c.yaml:7: kafka.secret_properties.client.id: x: driftline sets this itself; leave it out",
            "c.yaml:8: kafka.dead_letter: a b: not usable as a topic; use letters, digits, `.`, `_` and `-`",
            "c.yaml:9: kafka.assignment: sticky: not one of the known words; write one of: group, manual",
        ],
    );
    refuse(
        "kafka: {dead_letter: predictions}",
        &[
            "c.yaml:1: kafka.dead_letter: predictions: rejected records would be read again; name a topic of its own, or `none`",
        ],
    );
    refuse(
        "kafka: {labels: [l, m], dead_letter: m}",
        &[
            "c.yaml:1: kafka.dead_letter: m: rejected records would be read again; name a topic of its own, or `none`",
        ],
    );
    refuse(
        "kafka: {predictions: [p], labels: [p]}",
        &[
            "c.yaml:1: kafka.labels: [p]: a topic holds either predictions or labels; log labels to a topic of their own",
        ],
    );
    refuse(
        "kafka: {predictions: [a/b]}",
        &[
            "c.yaml:1: kafka.predictions: [a/b]: not usable as a topic; use letters, digits, `.`, `_` and `-`",
        ],
    );
}

#[test]
fn secrets_and_variables_do_not_stand_in_the_file() {
    refuse(
        "data_dir: ${HOME}/data\nreceivers:\n  - {name: a, webhook: 'https://u:p@x/', secret_file: whsec_abc}\nkafka: {properties: {a: '${B}'}}",
        &[
            "c.yaml:1: data_dir: ${HOME}/data: variables are not filled in; write the value; for a secret write the path of a file that holds it",
            "c.yaml:3: receivers[0].webhook: (hidden): the address carries credentials; leave them out; calls are signed with the secret in `secret_file`",
            "c.yaml:3: receivers[0].secret_file: (hidden): this is the secret itself; put it into a file and write the file's path",
            "c.yaml:4: kafka.properties.a: ${B}: variables are not filled in; write the value; for a secret write the path of a file that holds it",
        ],
    );
    refuse(
        "kafak: {properties: {sasl.password: hunter2}}\npassword: hunter2",
        &[
            "c.yaml:1: kafak: {properties: {sasl.password: (hidden)}}: unknown field; did you mean `kafka`?",
            "c.yaml:2: password: (hidden): unknown field; known here: kafka, data_dir, rules, listen, auth, commit, limits, dedupe, idle_timeout, retention, lake, compute, threads, receivers, retrain, log",
        ],
    );
}

#[test]
fn numbers_and_lengths_out_of_range() {
    refuse(
        "commit: {every: 5, rows: 0}\nlimits: {message_bytes: 1GB, depth: 1, future_skew: -5m}\nthreads: 0\nidle_timeout: 10ms\ndedupe: {span: 1h, ids: 5}",
        &[
            "c.yaml:1: commit.every: 5: a number without a unit; write whole numbers with units of ms, s, m, h, d, w, for example `1h30m`",
            "c.yaml:1: commit.rows: 0: not a whole number in range; write a number from 1 to 100000000",
            "c.yaml:2: limits.message_bytes: 1GB: not a size in range; write 1024 to 67108864 bytes, for example `1MiB`",
            "c.yaml:2: limits.depth: 1: not a whole number in range; write a number from 2 to 256",
            "c.yaml:2: limits.future_skew: -5m: not a length of time; write whole numbers with units of ms, s, m, h, d, w, for example `1h30m`",
            "c.yaml:3: threads: 0: not a whole number in range; write a number from 1 to 1024",
            "c.yaml:4: idle_timeout: 10ms: too short; write at least `1s`",
            "c.yaml:5: dedupe.ids: 5: unknown field; known here: span, max_ids",
        ],
    );
    refuse(
        "dedupe: false",
        &[
            "c.yaml:1: dedupe: false: neither a table nor `off`; write `{span: 10m, max_ids: 1000000}` or `off`",
        ],
    );
}

#[test]
fn receivers_are_one_thing_each() {
    refuse(
        "receivers:\n  - {name: a, webhook: 'https://x'}\n  - {name: b}\n  - {name: c, alertmanager: 'http://am:9093', secret_file: s}\n  - {name: c, alertmanager: 'am:9093'}\n  - {name: c, alertmanager: 'http://am'}\n  - {alertmanager: 'http://am'}",
        &[
            "c.yaml:2: receivers[0].secret_file: (missing): this field is needed; write the path of a file that holds a `whsec_…` secret",
            "c.yaml:3: receivers[1]: {name: b}: a receiver is one of the two; write `webhook: ADDRESS` or `alertmanager: ADDRESS`",
            "c.yaml:4: receivers[2].secret_file: s: calls to an Alertmanager are not signed; leave it out",
            "c.yaml:5: receivers[3].alertmanager: am:9093: not an http or https address; write for example `https://hooks.example.com/drift`",
            "c.yaml:6: receivers[4].name: c: another receiver has this name; give each receiver its own",
            "c.yaml:7: receivers[5].name: (missing): this field is needed; write a short name, for example `inputs`",
        ],
    );
    refuse(
        "receivers: {name: a}",
        &["c.yaml:1: receivers: {name: a}: not a list of receivers; write each one after a dash"],
    );
}

#[test]
fn the_lake_is_somewhere_and_keeps_something() {
    assert_eq!(
        Lake::default().location(&PathBuf::from("data")),
        "data/lake"
    );
    let elsewhere = Lake {
        url: Some("s3://b".to_owned()),
        ..Lake::default()
    };
    assert_eq!(elsewhere.location(&PathBuf::from("data")), "s3://b");
    accept("lake: {url: /var/lake}");
    accept("lake: {url: 'file:///var/lake'}");
    refuse(
        "lake: {url: 'hdfs://name/x', flush_rows: 0, keep: 1h, keep_bytes: 1}",
        &[
            "c.yaml:1: lake.url: hdfs://name/x: no object store that this release knows; write a folder, or a URL that begins with s3://, gs://, az:// or abfss://",
            "c.yaml:1: lake.flush_rows: 0: not a whole number in range; write a number from 1 to 100000000",
            "c.yaml:1: lake.keep: 1h: too short; write at least `1d`",
            "c.yaml:1: lake.keep_bytes: 1: not a size in range; write 1048576 to 1152921504606846976 bytes, for example `1MiB`",
        ],
    );
}

#[test]
fn retrain_requests_come_over_a_protected_way_and_their_secret_is_in_a_file() {
    accept("retrain: {listen: '[::1]:9000'}");
    accept("retrain: {listen: 0.0.0.0:9000}\nauth: {insecure: true}");
    accept("retrain: {listen: 0.0.0.0:9000}\nauth: {tls: {cert: a, key: b}}");
    refuse(
        "retrain: {listen: 0.0.0.0:9000, secret_file: whsec_abc}",
        &[
            "c.yaml:1: retrain.secret_file: (hidden): this is the secret itself; put it into a file and write the file's path",
            "c.yaml:1: retrain.listen: 0.0.0.0:9000: this address can be reached from outside and there is no protection by TLS; set `auth.tls`, listen on 127.0.0.1, or write `auth: {insecure: true}` if something in front protects it",
        ],
    );
}

#[test]
fn the_rest() {
    refuse(
        "rules: []\nauth: {tls: {cert: a}, insecure: yes}\nlog: {format: xml, level: ''}",
        &[
            "c.yaml:1: rules: []: no model would be watched; name a file, a folder or a pattern",
            "c.yaml:2: auth.insecure: yes: not one of the known words; write one of: true, false",
            "c.yaml:2: auth.tls.key: (missing): this field is needed; write the path of a PEM file",
            "c.yaml:3: log.format: xml: not one of the known words; write one of: text, json",
            "c.yaml:3: log.level: \"\": the text is empty; write one or leave the field out",
        ],
    );
    refuse(
        "listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2",
        &[
            "c.yaml:3: {listen: 127.0.0.1:2}: a configuration is one document; remove the `---` and what follows it",
        ],
    );
    refuse(
        "[kafka]",
        &["c.yaml:1: [kafka]: not a table of fields; write `field: value` lines"],
    );
}
