//! Processes that die, and what must not change: the same log gives the same store, however often the service was
//! killed, wherever in a transaction, and whoever read which partition.
//!
//! Broker, service and receiver are processes and sockets of their own, as in operation. The recorded log is real
//! flights with duplicates, late and broken records in it (`log`); a run is judged by a canonical dump of its store
//! (`dump`) against the dump of a run that nobody interrupted. Deliberately absent: disks that fail.

mod dump;
mod failpoints;
mod group;
mod kills;
mod labels;
mod log;
mod pace;
mod processes;
mod receiver;
mod retraining;
mod scene;
mod signals;

// What is told of labels, and what must come of it, is the same whoever is killed meanwhile.
#[path = "../it/clean_table.rs"]
mod clean_table;
