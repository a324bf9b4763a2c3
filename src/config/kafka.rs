//! Where records come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::rules::fields::{At, Checker};

/// How partitions come to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignment {
    /// The broker shares them out among the group's members.
    Group,
    /// This process takes all partitions of all topics.
    Manual,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port`, at least one.
    pub brokers: Vec<String>,
    pub group_id: String,
    /// Topics with prediction records.
    pub predictions: Vec<String>,
    /// Topics with label records; none: predictions are watched without labels.
    pub labels: Vec<String>,
    /// Takes copies of rejected records; `None`: they are stored and counted only.
    pub dead_letter: Option<String>,
    pub assignment: Assignment,
    /// Handed to librdkafka as they are.
    pub properties: BTreeMap<String, String>,
    /// Properties whose values stand in files, such as `sasl.password`.
    pub secret_properties: BTreeMap<String, PathBuf>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: vec!["localhost:9092".to_owned()],
            group_id: "driftline".to_owned(),
            predictions: vec!["predictions".to_owned()],
            labels: Vec::new(),
            dead_letter: Some("driftline.dead-letter".to_owned()),
            assignment: Assignment::Group,
            properties: BTreeMap::new(),
            secret_properties: BTreeMap::new(),
        }
    }
}

/// Set by driftline itself: another value would break what it promises.
const OWN: [&str; 10] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "client.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "auto.offset.reset",
    "isolation.level",
    "allow.auto.create.topics",
];

/// Never written into a configuration file.
const SECRET: [&str; 6] = [
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
];

/// Kafka's own limit.
const TOPIC_BYTES: usize = 249;

const FIELDS: [&str; 9] = [
    "brokers",
    "group_id",
    "predictions",
    "features",
    "labels",
    "dead_letter",
    "assignment",
    "properties",
    "secret_properties",
];

pub(super) fn read<'a>(check: &mut Checker<'a>, at: &At<'a>, kafka: &mut Kafka) {
    let Some(table) = check.table(at, &FIELDS) else {
        return;
    };
    if let Some(at) = table.get("brokers")
        && let Some(brokers) = check.texts(at)
    {
        let bad = brokers.iter().find(|broker| !is_host_and_port(broker));
        if brokers.is_empty() || bad.is_some() {
            check.refuse(
                at,
                "not a list of brokers with ports",
                "write for example `[kafka-1:9092, kafka-2:9092]`",
            );
        }
        kafka.brokers = brokers.into_iter().map(str::to_owned).collect();
    }
    if let Some(group) = table.get("group_id").and_then(|at| check.text(at)) {
        kafka.group_id = group.to_owned();
    }
    if let Some(at) = table.get("predictions")
        && let Some(topics) = check.texts(at)
    {
        if topics.is_empty() {
            check.refuse(at, "there is nothing to read", "name at least one topic");
        }
        kafka.predictions = usable(check, at, topics);
    }
    if let Some(at) = table.get("labels")
        && let Some(topics) = check.texts(at)
    {
        if topics
            .iter()
            .any(|topic| kafka.predictions.iter().any(|other| other == topic))
        {
            check.refuse(
                at,
                "a topic holds either predictions or labels",
                "log labels to a topic of their own",
            );
        }
        kafka.labels = usable(check, at, topics);
    }
    if let Some(at) = table.get("features") {
        check.refuse(
            at,
            "this release reads topics of predictions and labels only",
            "log features inside the prediction records and leave this out",
        );
    }
    if let Some(at) = table.get("dead_letter") {
        dead_letter(check, at, kafka);
    }
    if let Some(at) = table.get("assignment") {
        let words = [("group", Assignment::Group), ("manual", Assignment::Manual)];
        kafka.assignment = check.choice(at, &words).unwrap_or(kafka.assignment);
    }
    if let Some(at) = table.get("properties")
        && let Some(table) = check.open_table(at)
    {
        for (key, at) in table.entries() {
            if SECRET.contains(&key) {
                check.hidden(
                    at,
                    "a secret does not belong here",
                    "put it into a file and name that under `secret_properties`",
                );
            } else if !reserved(check, key, at)
                && let Some(value) = check.text(at)
            {
                kafka.properties.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    if let Some(at) = table.get("secret_properties")
        && let Some(table) = check.open_table(at)
    {
        for (key, at) in table.entries() {
            if !reserved(check, key, at)
                && let Some(path) = check.text(at)
            {
                kafka
                    .secret_properties
                    .insert(key.to_owned(), PathBuf::from(path));
            }
        }
    }
}

fn dead_letter<'a>(check: &mut Checker<'a>, at: &At<'a>, kafka: &mut Kafka) {
    kafka.dead_letter = match check.text(at) {
        Some("none") | None => None,
        Some(topic)
            if kafka
                .predictions
                .iter()
                .chain(&kafka.labels)
                .any(|other| other == topic) =>
        {
            check.refuse(
                at,
                "rejected records would be read again",
                "name a topic of its own, or `none`",
            );
            None
        }
        Some(topic) if !is_topic(topic) => {
            check.refuse(
                at,
                "not usable as a topic",
                "use letters, digits, `.`, `_` and `-`",
            );
            None
        }
        Some(topic) => Some(topic.to_owned()),
    };
}

fn usable(check: &mut Checker<'_>, at: &At<'_>, topics: Vec<&str>) -> Vec<String> {
    if topics.iter().any(|topic| !is_topic(topic)) {
        check.refuse(
            at,
            "not usable as a topic",
            "use letters, digits, `.`, `_` and `-`",
        );
    }
    topics.into_iter().map(str::to_owned).collect()
}

fn reserved(check: &mut Checker<'_>, key: &str, at: &At<'_>) -> bool {
    let found = OWN.contains(&key);
    if found {
        check.refuse(at, "driftline sets this itself", "leave it out");
    }
    found
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn is_topic(text: &str) -> bool {
    let usable = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty()
        && text.len() <= TOPIC_BYTES
        && text.bytes().all(usable)
        && text != "."
        && text != ".."
}
