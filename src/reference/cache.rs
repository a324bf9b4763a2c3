//! Calibrations made so far: a threshold costs thousands of draws and serves every window of its size.
//!
//! **Invariant:** the cache changes no result; what it forgets is made again, the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget;
use super::column::Prepared;
use super::null::{Calibration, calibrate};
use crate::event::Millis;
use crate::stats::Statistic;
use crate::stats::bins::DEFAULT_BINS;
use crate::stats::score::FalseAlarms;

/// Numbers kept at most, 8 bytes each: 64 MiB. Beyond it everything is forgotten.
const MAX_NUMBERS: usize = 8 << 20;

/// Calibrations made so far, shared by all windows of a service. Cheap to make, `Sync`, bounded.
#[derive(Debug)]
pub struct NullCache {
    bins: usize,
    inner: Mutex<Kept>,
}

impl Default for NullCache {
    fn default() -> Self {
        Self::with_bins(DEFAULT_BINS)
    }
}

#[derive(Debug, Default)]
struct Kept {
    columns: HashMap<(String, usize), Arc<Prepared>>,
    calibrations: HashMap<CalibrationKey, Arc<Calibration>>,
    alarms: HashMap<AlarmKey, FalseAlarms>,
    numbers: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CalibrationKey {
    reference: String,
    column: usize,
    window_size: u64,
    level: u64,
    statistics: Vec<Statistic>,
}

/// What an expected rate of false alarms depends on; floats by their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct AlarmKey {
    level: u64,
    of: (u32, u32),
    every: Millis,
    ratio: u64,
    degrees: u64,
    scale_degrees: Option<u64>,
}

impl NullCache {
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`NullCache::new`], for numeric columns cut into at most `bins` bins: what is remembered depends on it.
    pub fn with_bins(bins: usize) -> Self {
        Self {
            bins,
            inner: Mutex::default(),
        }
    }

    /// Most bins of a numeric column.
    pub(crate) fn bins(&self) -> usize {
        self.bins
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves whole entries only: they are inserted ready made.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The column as the reference says, made once.
    pub(crate) fn column(
        &self,
        reference_hash: &str,
        column: usize,
        make: impl FnOnce() -> Option<Prepared>,
    ) -> Option<Arc<Prepared>> {
        let key = (reference_hash.to_owned(), column);
        if let Some(found) = self.kept().columns.get(&key) {
            return Some(Arc::clone(found));
        }
        let made = Arc::new(make()?);
        let size = made.size();
        let mut kept = self.kept();
        kept.make_room(size);
        kept.columns.insert(key, Arc::clone(&made));
        Some(made)
    }

    /// The null distribution of a column for windows of one size, made once. `statistics` as `redraw::drawn` has them.
    pub(crate) fn calibration(
        &self,
        reference_hash: &str,
        column: usize,
        prepared: &Prepared,
        window_size: u64,
        level: f64,
        statistics: Vec<Statistic>,
    ) -> Arc<Calibration> {
        let key = CalibrationKey {
            reference: reference_hash.to_owned(),
            column,
            window_size,
            level: level.to_bits(),
            statistics,
        };
        if let Some(found) = self.kept().calibrations.get(&key) {
            return Arc::clone(found);
        }
        let made = calibrate(
            &prepared.evidence,
            prepared.overdispersion.as_ref(),
            window_size,
            level,
            prepared.seed,
            &key.statistics,
        );
        let made = Arc::new(made);
        let mut kept = self.kept();
        kept.make_room(made.size().max(ENTRY_NUMBERS));
        kept.calibrations.insert(key, Arc::clone(&made));
        made
    }

    pub(crate) fn false_alarms(
        &self,
        level: f64,
        of: (u32, u32),
        every: Millis,
        ratio: f64,
        degrees: f64,
        scale_degrees: Option<f64>,
    ) -> FalseAlarms {
        let key = AlarmKey {
            level: level.to_bits(),
            of,
            every,
            ratio: ratio.to_bits(),
            degrees: degrees.to_bits(),
            scale_degrees: scale_degrees.map(f64::to_bits),
        };
        if let Some(found) = self.kept().alarms.get(&key) {
            return *found;
        }
        let made = budget::false_alarms(level, of, every, ratio, degrees, scale_degrees);
        let mut kept = self.kept();
        kept.make_room(ENTRY_NUMBERS);
        kept.alarms.insert(key, made);
        made
    }
}

/// An entry that holds little more than its key, in numbers.
const ENTRY_NUMBERS: usize = 16;

impl Kept {
    fn make_room(&mut self, more: usize) {
        if self.numbers + more > MAX_NUMBERS {
            *self = Self::default();
        }
        self.numbers += more;
    }
}
