//! The service's configuration: YAML as people write it, turned into values that nothing downstream checks again.
//!
//! **Invariant:** a [`Config`] exists only when every field of its file was understood and fits the others. The
//! shipped `deploy/driftline.yaml` states every default and is equal to [`Config::default`]. Secrets never stand in the
//! file, only paths of files that hold them; `${NAME}` is refused, because a value that depends on where the program
//! was started cannot be checked beforehand. Deliberately absent: opening anything that is named here.

pub mod files;
mod kafka;
mod lake;
mod receivers;
mod retrain;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::event::{Limits, MINUTE, Millis, SECOND};
use crate::rules::Problem;
use crate::rules::fields::{At, Checker, Table};
use crate::rules::yaml::{self, Value};

pub use kafka::{Assignment, Kafka};
pub use lake::Lake;
pub use receivers::{Receiver, Target};
pub use retrain::Retrain;

/// The commented default configuration.
pub const DEFAULT_FILE: &str = include_str!("../../deploy/driftline.yaml");

const MEBIBYTE: u64 = 1 << 20;
/// More polling threads than any machine has cores is a slip of the finger.
const MOST_THREADS: u64 = 1024;

/// Everything `driftline serve` needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub kafka: Kafka,
    /// Holds the store; made when missing.
    pub data_dir: PathBuf,
    /// Files, folders and patterns of declarations; see [`files::declarations`].
    pub rules: Vec<PathBuf>,
    pub listen: SocketAddr,
    pub auth: Auth,
    pub commit: Commit,
    pub limits: Limits,
    /// `None`: duplicates are not looked for.
    pub dedupe: Option<Dedupe>,
    /// A partition read to its end for this long is idle and no longer holds windows open.
    pub idle_timeout: Millis,
    pub retention: Retention,
    pub lake: Lake,
    pub compute: Compute,
    /// Polling threads; `None`: one for each core.
    pub threads: Option<NonZeroUsize>,
    pub receivers: Vec<Receiver>,
    pub retrain: Retrain,
    pub log: Log,
}

/// Who may call the API. An address that can be reached from outside has tokens and TLS, or says `insecure`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Auth {
    pub tokens_file: Option<PathBuf>,
    pub tls: Option<Tls>,
    pub insecure: bool,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// When counted rows are written: whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    pub every: Millis,
    pub rows: u64,
}

/// How far back an id is remembered in its partition: by event time, and at most so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dedupe {
    pub span: Millis,
    pub max_ids: u64,
}

/// What is kept; the oldest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// While more of the store is in use, profiles of windows go; their verdicts and scores stay.
    pub store_bytes: u64,
    /// Single rejections of each partition; their numbers by reason are kept for ever.
    pub rejections: u64,
}

/// Where statistics that cost the square of the rows are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compute {
    pub backend: Backend,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// On a graphics device where there is one and it is measured to be faster.
    #[default]
    Auto,
    Cpu,
    /// On any device, also one in software.
    Gpu,
}

impl Backend {
    pub const WORDS: [(&str, Backend); 3] = [
        ("auto", Backend::Auto),
        ("cpu", Backend::Cpu),
        ("gpu", Backend::Gpu),
    ];
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
    /// A level, or directives such as `info,driftline::ingest=debug`.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kafka: Kafka::default(),
            data_dir: PathBuf::from("driftline-data"),
            rules: vec![PathBuf::from("rules")],
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            auth: Auth::default(),
            commit: Commit {
                every: 5 * SECOND,
                rows: 1_000_000,
            },
            limits: Limits::default(),
            dedupe: Some(Dedupe {
                span: 10 * MINUTE,
                max_ids: 1_000_000,
            }),
            idle_timeout: MINUTE,
            retention: Retention {
                store_bytes: 10 << 30,
                rejections: 100_000,
            },
            lake: Lake::default(),
            compute: Compute::default(),
            threads: None,
            receivers: Vec::new(),
            retrain: Retrain::default(),
            log: Log {
                format: LogFormat::Text,
                level: "info".to_owned(),
            },
        }
    }
}

/// Reads and checks a configuration. What it does not say keeps its default.
///
/// # Errors
/// All problems, in the order of lines.
pub fn parse(source: &str, text: &str) -> Result<Config, Vec<Problem>> {
    let (documents, problems) = yaml::read(source, text);
    let mut check = Checker::new(source, problems);
    if let Some(second) = documents.get(1) {
        check.refuse(
            &At::root(second),
            "a configuration is one document",
            "remove the `---` and what follows it",
        );
    }
    let config = match documents.first() {
        Some(node) => {
            refuse_variables(&mut check, &At::root(node));
            read(&mut check, &At::root(node))
        }
        None => Some(Config::default()),
    };
    match config {
        Some(config) if check.problems.is_empty() => Ok(config),
        _ => {
            let mut problems = check.problems;
            problems.sort_by_key(|problem| problem.line);
            Err(problems)
        }
    }
}

const FIELDS: [&str; 16] = [
    "kafka",
    "data_dir",
    "rules",
    "listen",
    "auth",
    "commit",
    "limits",
    "dedupe",
    "idle_timeout",
    "retention",
    "lake",
    "compute",
    "threads",
    "receivers",
    "retrain",
    "log",
];

fn read<'a>(check: &mut Checker<'a>, at: &At<'a>) -> Option<Config> {
    let table = check.table(at, &FIELDS)?;
    let mut config = Config::default();
    if let Some(at) = table.get("kafka") {
        kafka::read(check, at, &mut config.kafka);
    }
    path(check, &table, "data_dir", &mut config.data_dir);
    if let Some(at) = table.get("rules") {
        config.rules = check
            .texts(at)
            .unwrap_or_default()
            .into_iter()
            .map(PathBuf::from)
            .collect();
        if matches!(&at.node.value, Value::List(items) if items.is_empty()) {
            check.refuse(
                at,
                "no model would be watched",
                "name a file, a folder or a pattern",
            );
        }
    }
    if let Some(at) = table.get("auth") {
        auth(check, at, &mut config.auth);
    }
    if let Some(at) = table.get("listen") {
        listen(check, at, &mut config);
    }
    if let Some(at) = table.get("commit").cloned()
        && let Some(table) = check.table(&at, &["every", "rows"])
    {
        duration(check, &table, "every", 100, &mut config.commit.every);
        whole(
            check,
            &table,
            "rows",
            1..=100_000_000,
            &mut config.commit.rows,
        );
    }
    if let Some(at) = table.get("limits") {
        limits(check, at, &mut config.limits);
    }
    if let Some(at) = table.get("dedupe") {
        dedupe(check, at, &mut config.dedupe);
    }
    duration(
        check,
        &table,
        "idle_timeout",
        SECOND,
        &mut config.idle_timeout,
    );
    if let Some(at) = table.get("retention").cloned()
        && let Some(table) = check.table(&at, &["store", "rejections"])
    {
        if let Some(at) = table.get("store")
            && let Some(number) = bytes(check, at, MEBIBYTE..=1 << 50)
        {
            config.retention.store_bytes = number;
        }
        whole(
            check,
            &table,
            "rejections",
            1..=100_000_000,
            &mut config.retention.rejections,
        );
    }
    if let Some(at) = table.get("lake") {
        lake::read(check, at, &mut config.lake);
    }
    if let Some(at) = table.get("compute").cloned()
        && let Some(table) = check.table(&at, &["backend"])
        && let Some(at) = table.get("backend")
    {
        let read = check.choice(at, &Backend::WORDS);
        config.compute.backend = read.unwrap_or(config.compute.backend);
    }
    if let Some(at) = table.get("threads") {
        config.threads = match check.text(at) {
            Some("auto") | None => None,
            Some(_) => check
                .whole_number(at, 1..=MOST_THREADS)
                .and_then(|number| NonZeroUsize::new(size(number))),
        };
    }
    if let Some(at) = table.get("receivers") {
        config.receivers = receivers::read(check, at);
    }
    if let Some(at) = table.get("retrain") {
        retrain::read(check, at, &config.auth, &mut config.retrain);
    }
    if let Some(at) = table.get("log").cloned()
        && let Some(table) = check.table(&at, &["format", "level"])
    {
        if let Some(at) = table.get("format") {
            let words = [("text", LogFormat::Text), ("json", LogFormat::Json)];
            config.log.format = check.choice(at, &words).unwrap_or(config.log.format);
        }
        if let Some(level) = table.get("level").and_then(|at| check.text(at)) {
            config.log.level = level.to_owned();
        }
    }
    Some(config)
}

fn refuse_variables(check: &mut Checker<'_>, at: &At<'_>) {
    match &at.node.value {
        Value::Scalar(text) if text.contains("${") => check.refuse(
            at,
            "variables are not filled in",
            "write the value; for a secret write the path of a file that holds it",
        ),
        Value::Scalar(_) | Value::Null => {}
        Value::List(_) => at
            .items()
            .unwrap_or_default()
            .iter()
            .for_each(|item| refuse_variables(check, item)),
        Value::Map(map) => {
            for (name, node) in map {
                refuse_variables(check, &at.child(&name.text, node));
            }
        }
    }
}

fn auth<'a>(check: &mut Checker<'a>, at: &At<'a>, auth: &mut Auth) {
    let Some(table) = check.table(at, &["tokens_file", "tls", "insecure"]) else {
        return;
    };
    auth.tokens_file = table
        .get("tokens_file")
        .and_then(|at| check.text(at))
        .map(PathBuf::from);
    auth.insecure = table
        .get("insecure")
        .and_then(|at| check.flag(at))
        .unwrap_or(false);
    let Some(at) = table.get("tls") else { return };
    let Some(table) = check.table(at, &["cert", "key"]) else {
        return;
    };
    let mut file = |key: &str| match table.get(key) {
        Some(at) => check.text(at).map(PathBuf::from),
        None => {
            check.missing(&table, key, "write the path of a PEM file");
            None
        }
    };
    let (cert, key) = (file("cert"), file("key"));
    auth.tls = cert.zip(key).map(|(cert, key)| Tls { cert, key });
}

/// Runs after [`auth`], whose outcome decides which addresses will do.
fn listen<'a>(check: &mut Checker<'a>, at: &At<'a>, config: &mut Config) {
    let Some(address) = address(check, at) else {
        return;
    };
    config.listen = address;
    let open = match (&config.auth.tokens_file, &config.auth.tls) {
        (Some(_), Some(_)) => return,
        (Some(_), None) => "TLS",
        (None, Some(_)) => "tokens",
        (None, None) => "tokens and TLS",
    };
    if address.ip().is_loopback() || config.auth.insecure {
        return;
    }
    check.refuse(
        at,
        &format!("this address can be reached from outside and there is no protection by {open}"),
        "set `auth.tokens_file` and `auth.tls`, listen on 127.0.0.1, or write `auth: {insecure: true}` if something in front protects it",
    );
}

fn address<'a>(check: &mut Checker<'a>, at: &At<'a>) -> Option<SocketAddr> {
    let address = check.text(at)?.parse().ok();
    if address.is_none() {
        check.refuse(
            at,
            "not an address and port",
            "write for example `127.0.0.1:8080` or `[::1]:8080`",
        );
    }
    address
}

fn limits<'a>(check: &mut Checker<'a>, at: &At<'a>, limits: &mut Limits) {
    const FIELDS: [&str; 8] = [
        "message_bytes",
        "depth",
        "features",
        "name_bytes",
        "id_bytes",
        "models",
        "versions",
        "future_skew",
    ];
    let Some(table) = check.table(at, &FIELDS) else {
        return;
    };
    if let Some(at) = table.get("message_bytes")
        && let Some(number) = bytes(check, at, 1024..=64 * MEBIBYTE)
    {
        limits.message_bytes = size(number);
    }
    for (key, most, limit) in [
        ("depth", 256, &mut limits.depth),
        ("features", 65_536, &mut limits.features),
        ("name_bytes", 4096, &mut limits.name_bytes),
        ("id_bytes", 4096, &mut limits.id_bytes),
        ("models", 1_000_000, &mut limits.models),
        ("versions", 10_000, &mut limits.versions),
    ] {
        // An envelope alone nests two levels.
        let least = if key == "depth" { 2 } else { 1 };
        if let Some(number) = table
            .get(key)
            .and_then(|at| check.whole_number(at, least..=most))
        {
            *limit = size(number);
        }
    }
    duration(check, &table, "future_skew", 0, &mut limits.future_skew_ms);
}

fn dedupe<'a>(check: &mut Checker<'a>, at: &At<'a>, dedupe: &mut Option<Dedupe>) {
    if at.is("off") {
        *dedupe = None;
        return;
    }
    if !matches!(at.node.value, Value::Map(_)) {
        check.refuse(
            at,
            "neither a table nor `off`",
            "write `{span: 10m, max_ids: 1000000}` or `off`",
        );
        return;
    }
    let Some(table) = check.table(at, &["span", "max_ids"]) else {
        return;
    };
    let Some(dedupe) = dedupe else { return };
    duration(check, &table, "span", SECOND, &mut dedupe.span);
    whole(
        check,
        &table,
        "max_ids",
        1..=100_000_000,
        &mut dedupe.max_ids,
    );
}

fn path<'a>(check: &mut Checker<'a>, table: &Table<'a>, key: &str, into: &mut PathBuf) {
    if let Some(text) = table.get(key).and_then(|at| check.text(at)) {
        *into = PathBuf::from(text);
    }
}

fn duration<'a>(
    check: &mut Checker<'a>,
    table: &Table<'a>,
    key: &str,
    least: Millis,
    into: &mut Millis,
) {
    if let Some(length) = table.get(key).and_then(|at| check.duration(at, least)) {
        *into = length;
    }
}

fn whole<'a>(
    check: &mut Checker<'a>,
    table: &Table<'a>,
    key: &str,
    range: std::ops::RangeInclusive<u64>,
    into: &mut u64,
) {
    if let Some(number) = table.get(key).and_then(|at| check.whole_number(at, range)) {
        *into = number;
    }
}

/// `1048576`, `1024KiB` or `1MiB`.
fn bytes<'a>(
    check: &mut Checker<'a>,
    at: &At<'a>,
    range: std::ops::RangeInclusive<u64>,
) -> Option<u64> {
    let text = check.text(at)?;
    let units = [("KiB", 1024), ("MiB", MEBIBYTE), ("GiB", 1024 * MEBIBYTE)];
    let (digits, unit) = units
        .into_iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .unwrap_or((text, 1));
    let number = digits
        .trim()
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    let number = number.filter(|number| range.contains(number));
    if number.is_none() {
        let remedy = format!(
            "write {} to {} bytes, for example `1MiB`",
            range.start(),
            range.end()
        );
        check.refuse(at, "not a size in range", &remedy);
    }
    number
}

/// Every range here ends far below 2³².
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
