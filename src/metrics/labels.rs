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
}

impl Stage {
    pub const ALL: [Stage; 6] = [
        Stage::Decode,
        Stage::Profile,
        Stage::Merge,
        Stage::Calibrate,
        Stage::Compare,
        Stage::Evaluate,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Stage::Decode => "decode",
            Stage::Profile => "profile",
            Stage::Merge => "merge",
            Stage::Calibrate => "calibrate",
            Stage::Compare => "compare",
            Stage::Evaluate => "evaluate",
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
}

impl Alarm {
    pub const ALL: [Alarm; 6] = [
        Alarm::DiskFull,
        Alarm::StoreFailing,
        Alarm::CursorBeyondEnd,
        Alarm::PartitionStalled,
        Alarm::DeadLetterUnwritable,
        Alarm::ReferenceUnreadable,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Alarm::DiskFull => "disk_full",
            Alarm::StoreFailing => "store_failing",
            Alarm::CursorBeyondEnd => "cursor_beyond_end",
            Alarm::PartitionStalled => "partition_stalled",
            Alarm::DeadLetterUnwritable => "dead_letter_unwritable",
            Alarm::ReferenceUnreadable => "reference_unreadable",
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
