//! A real broker: Apache Kafka, started by `deploy/kafka/run`, and what the embedded one cannot show.
//!
//! Transactions, several compressions, a Java client, topics deleted and made anew, records deleted, and a broker that
//! restarts; and a whole year through two members of a group, of which one dies, against the same year through the
//! embedded broker. Where Kafka cannot be had (no Java, no network) the tests say in words that they were not run
//! (`broker`). Deliberately absent: authentication and TLS.

mod broker;
mod clients;
mod hidden_tails;
mod log_changes;
mod watch;
mod year;

// What the crash tests have for this purpose already; each of them uses more of it than is used here.
#[path = "../crash/dump.rs"]
mod dump;
#[expect(dead_code, reason = "the crash tests use the rest")]
#[path = "../crash/log.rs"]
mod log;
#[path = "../crash/processes.rs"]
mod processes;
#[path = "../crash/receiver.rs"]
mod receiver;
#[expect(dead_code, reason = "the crash tests use the rest")]
#[path = "../crash/scene.rs"]
mod scene;
