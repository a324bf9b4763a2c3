//! A partition that a reading thread owns: its state, where its log ends, and the copies that wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::{BROKER_TIMEOUT, Context, Shared};
use crate::event::{Partition, RecordKind};
use crate::ingest::dead_letter::DeadLetter;
use crate::ingest::partition::{Message, PartitionState, Tally};
use crate::metrics::{Metrics, Records};
use crate::store::PartitionCommit;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message as _, Timestamp};

/// A partition that this thread reads.
pub(super) struct Owned {
    pub(super) state: PartitionState,
    /// librdkafka told an end that may be this partition's, and it was not looked into since.
    pub(super) told_end: bool,
    /// The next offset when hidden tails were last looked for.
    pub(super) looked_at: i64,
    /// The log's end when it was last asked for, and when it was first seen there.
    pub(super) end: (i64, Instant),
    /// Everything that lay in the log at this moment has been read.
    pub(super) caught_up: Option<Instant>,
    /// The broker did not answer the last question about this partition.
    pub(super) unanswered: bool,
    pub(super) paused: bool,
    /// When the cursor last moved, or had nowhere to go.
    pub(super) moved: (i64, Instant),
    /// When each model was last seen here, or first asked about.
    pub(super) last_rows: BTreeMap<Arc<str>, (u64, Instant)>,
    /// Copies for the dead-letter topic that wait for their rejection to be durable.
    pub(super) copies: Vec<DeadLetter>,
}

impl Owned {
    /// Notes where the log ends now.
    pub(super) fn saw_end(&mut self, end: i64) {
        if self.end.0 <= self.state.covered() {
            self.caught_up = self.caught_up.max(Some(self.end.1));
        }
        if end <= self.state.covered() {
            self.caught_up = Some(Instant::now());
        }
        if self.end.0 != end {
            self.end = (end, Instant::now());
        }
    }

    /// Asks the broker where the log ends, and tells up to when everything that lay in it has been read.
    pub(super) fn caught_up(
        &mut self,
        consumer: &BaseConsumer<Context>,
        partition: &Partition,
    ) -> Option<Instant> {
        // A broker that does not answer says nothing of what lies in the log.
        let ends = consumer.fetch_watermarks(&partition.topic, partition.partition, BROKER_TIMEOUT);
        self.unanswered = ends.is_err();
        let (_, end) = ends.ok()?;
        self.saw_end(end);
        self.caught_up
    }
}

/// Tells the metrics what a commit has made durable.
pub(super) fn count(metrics: &Metrics, commit: &PartitionCommit, state: &mut PartitionState) {
    let topic = &commit.partition.topic;
    for (model, tally) in state.take_tallies() {
        metrics.declare(&model, &[]);
        let Tally {
            used,
            late,
            duplicate,
            unknown_fields,
            latencies_ms,
        } = tally;
        metrics.consumed(topic, Some(&model), used + late + duplicate);
        if commit.kind == RecordKind::Labels {
            metrics.labels(&model, used, duplicate);
            continue;
        }
        metrics.accepted(
            &model,
            Records {
                used,
                late,
                duplicate,
                unknown_fields,
            },
        );
        metrics.latencies(&model, latencies_ms);
    }
    for rejection in &commit.rejections {
        metrics.consumed(topic, rejection.model.as_deref(), 1);
        metrics.rejected(rejection.reason, 1);
    }
}

/// Hands one message to its partition and keeps the copy of a rejected one until the rejection is durable.
pub(super) fn receive(owned: &mut Owned, message: &BorrowedMessage<'_>, shared: &Shared) {
    let broker_ts = message.timestamp().to_millis();
    let latest_ts = match message.timestamp() {
        Timestamp::LogAppendTime(at) => at,
        _ => (shared.now)(),
    };
    let rejection = owned.state.push(&Message {
        offset: message.offset(),
        payload: message.payload(),
        broker_ts,
        latest_ts,
    });
    if let Some(rejection) = rejection {
        owned
            .copies
            .extend(shared.dead_letters.copy(message, &rejection));
    }
}
