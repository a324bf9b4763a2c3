//! From the log to counted rows: reading, decoding, telling each record's fate, and committing.
//!
//! **Invariant:** each record ends as used, late, duplicate or rejected, a function of its own partition's log;
//! the cursor moves in the same transaction as everything the records before it caused.

pub mod broker;
pub mod catalogue;
pub mod dead_letter;
pub mod decode;
pub mod kept;
pub mod partition;
pub mod producer;
pub mod scan;
pub mod sightings;
pub mod source;
mod stream;
pub mod topics;

/// Connection properties, as librdkafka names them; other rooms name the type through here.
pub use rdkafka::ClientConfig;
