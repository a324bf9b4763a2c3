//! The closed sets that become label values. Call sites name a variant, never a label.

/// A step of the work whose time is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Messages to Arrow batches.
    Decode,
    /// Batches into profiles.
    Profile,
    /// Partial profiles into the profile of a window.
    Merge,
    /// The null distribution of a reference.
    Calibrate,
    /// A window against its reference.
    Compare,
    /// Rules over scores.
    Evaluate,
    /// Buffered rows and labels into a segment of the lake.
    Flush,
    /// Rows and their labels out of the lake.
    Query,
    /// Predictions against their labels.
    Measure,
    /// A challenger out of its training set.
    Train,
    /// Challenger against champion.
    Gate,
    /// Several columns of a window together.
    Together,
    /// Where a drift is concentrated.
    Slice,
}

impl Stage {
    pub const ALL: [Stage; 13] = [
        Stage::Decode,
        Stage::Profile,
        Stage::Merge,
        Stage::Calibrate,
        Stage::Compare,
        Stage::Evaluate,
        Stage::Flush,
        Stage::Query,
        Stage::Measure,
        Stage::Train,
        Stage::Gate,
        Stage::Together,
        Stage::Slice,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Stage::Decode => "decode",
            Stage::Profile => "profile",
            Stage::Merge => "merge",
            Stage::Calibrate => "calibrate",
            Stage::Compare => "compare",
            Stage::Evaluate => "evaluate",
            Stage::Flush => "flush",
            Stage::Query => "query",
            Stage::Measure => "measure",
            Stage::Train => "train",
            Stage::Gate => "gate",
            Stage::Together => "together",
            Stage::Slice => "slice",
        }
    }
}

/// Trouble that does not end the process but needs a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// The disk is full: cursors stand still until there is room.
    DiskFull,
    /// The store refuses to commit for another reason.
    StoreFailing,
    /// A cursor lies beyond its partition's end, as when a topic was made anew; the partition is not read.
    CursorBeyondEnd,
    /// A partition does not move although its end does.
    PartitionStalled,
    /// Copies of rejected records cannot be written.
    DeadLetterUnwritable,
    /// The reference file of a model cannot be read: its windows wait.
    ReferenceUnreadable,
    /// Segments cannot be written to the lake: rows and labels stay in the store.
    LakeUnwritable,
}

impl Alarm {
    pub const ALL: [Alarm; 7] = [
        Alarm::DiskFull,
        Alarm::StoreFailing,
        Alarm::CursorBeyondEnd,
        Alarm::PartitionStalled,
        Alarm::DeadLetterUnwritable,
        Alarm::ReferenceUnreadable,
        Alarm::LakeUnwritable,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Alarm::DiskFull => "disk_full",
            Alarm::StoreFailing => "store_failing",
            Alarm::CursorBeyondEnd => "cursor_beyond_end",
            Alarm::PartitionStalled => "partition_stalled",
            Alarm::DeadLetterUnwritable => "dead_letter_unwritable",
            Alarm::ReferenceUnreadable => "reference_unreadable",
            Alarm::LakeUnwritable => "lake_unwritable",
        }
    }
}

/// What came of one attempt to deliver a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver answered with this HTTP status.
    Answered(u16),
    Timeout,
    /// No connection, or one that broke.
    Unreachable,
    /// The address guard refused the receiver's address.
    Guarded,
}

impl Delivery {
    pub(super) fn code(self) -> String {
        match self {
            Delivery::Answered(status @ 100..=599) => status.to_string(),
            Delivery::Answered(_) => "invalid".to_owned(),
            Delivery::Timeout => "timeout".to_owned(),
            Delivery::Unreachable => "unreachable".to_owned(),
            Delivery::Guarded => "guarded".to_owned(),
        }
    }
}

/// What came of writing a segment of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Buffered rows became a segment.
    Written,
    /// Small segments became one.
    Compacted,
    /// Another process had written the same rows: the file is dropped.
    Conflict,
    /// The object store or the catalogue refused.
    Failed,
}

impl Flush {
    pub const ALL: [Flush; 4] = [
        Flush::Written,
        Flush::Compacted,
        Flush::Conflict,
        Flush::Failed,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Flush::Written => "written",
            Flush::Compacted => "compacted",
            Flush::Conflict => "conflict",
            Flush::Failed => "failed",
        }
    }
}

/// How a retraining run ended: the statuses in which the store leaves it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunOutcome {
    /// The challenger is the champion.
    Promoted,
    /// It won, and a person is asked.
    Proposed,
    /// It did not win.
    Lost,
    /// The gate could not judge: too few rows, labels that cover the classes unevenly.
    Blocked,
    Failed,
    Cancelled,
    /// Something newer came before it was decided upon.
    Superseded,
}

impl RunOutcome {
    pub const ALL: [RunOutcome; 7] = [
        RunOutcome::Promoted,
        RunOutcome::Proposed,
        RunOutcome::Lost,
        RunOutcome::Blocked,
        RunOutcome::Failed,
        RunOutcome::Cancelled,
        RunOutcome::Superseded,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            RunOutcome::Promoted => "promoted",
            RunOutcome::Proposed => "proposed",
            RunOutcome::Lost => "lost",
            RunOutcome::Blocked => "blocked",
            RunOutcome::Failed => "failed",
            RunOutcome::Cancelled => "cancelled",
            RunOutcome::Superseded => "superseded",
        }
    }

    /// The outcome of a stored status; `None` while the run is active.
    pub fn of_status(status: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == status)
    }
}

/// What was decided on a request to retrain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    Accepted,
    /// The same key again: it gets the answer it got before.
    Repeated,
    BadSignature,
    /// Signed too long ago, or for the future.
    Stale,
    Malformed,
    UnknownModel,
    /// A run of the model is active.
    Busy,
    CoolingDown,
    OverLimit,
    /// An open quality alert on a used column.
    Inhibited,
    /// The model's declaration allows no retraining.
    NotAllowed,
}

impl RequestOutcome {
    pub const ALL: [RequestOutcome; 11] = [
        RequestOutcome::Accepted,
        RequestOutcome::Repeated,
        RequestOutcome::BadSignature,
        RequestOutcome::Stale,
        RequestOutcome::Malformed,
        RequestOutcome::UnknownModel,
        RequestOutcome::Busy,
        RequestOutcome::CoolingDown,
        RequestOutcome::OverLimit,
        RequestOutcome::Inhibited,
        RequestOutcome::NotAllowed,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            RequestOutcome::Accepted => "accepted",
            RequestOutcome::Repeated => "repeated",
            RequestOutcome::BadSignature => "bad_signature",
            RequestOutcome::Stale => "stale",
            RequestOutcome::Malformed => "malformed",
            RequestOutcome::UnknownModel => "unknown_model",
            RequestOutcome::Busy => "busy",
            RequestOutcome::CoolingDown => "cooling_down",
            RequestOutcome::OverLimit => "over_limit",
            RequestOutcome::Inhibited => "inhibited",
            RequestOutcome::NotAllowed => "not_allowed",
        }
    }
}
