//! The leases that this process holds, kept while it works on them.
//!
//! Looking after a model may take longer than a lease runs: after an outage many windows are due, and one window may
//! have many rows. A beat prolongs what is held meanwhile, so that no other process begins the same work. Nothing is
//! kept for a process that is stuck: after [`STUCK`] without a step its leases run out, and another takes over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::event::{Millis, SECOND};
use crate::service::Clock;
use crate::store::leases::{self, Lease};
use crate::store::{Store, StoreError};

/// How long a lease runs.
pub const LEASE: Millis = 15 * SECOND;
/// Between two beats.
const BEAT: Duration = Duration::from_secs(5);
/// Longest time without a step in which leases are kept: more than one window takes, however large.
const STUCK: Duration = Duration::from_secs(1_800);

/// What is held, by model; clones share it.
#[derive(Debug, Clone)]
pub struct Leases {
    held: Arc<Mutex<Held>>,
    stopping: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Held {
    leases: BTreeMap<String, Lease>,
    stepped: Instant,
}

impl Leases {
    /// None yet. `stopping` says that this process is to end.
    pub fn new(stopping: Arc<AtomicBool>) -> Self {
        let held = Held {
            leases: BTreeMap::new(),
            stepped: Instant::now(),
        };
        Self {
            held: Arc::new(Mutex::new(held)),
            stopping,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A panic elsewhere leaves whole entries only.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, model: &str) -> Option<Lease> {
        self.held().leases.get(model).cloned()
    }

    /// Whether it was not held before.
    pub fn insert(&self, lease: Lease) -> bool {
        self.held()
            .leases
            .insert(lease.model.clone(), lease)
            .is_none()
    }

    /// Whether it was held.
    pub fn remove(&self, model: &str) -> bool {
        self.held().leases.remove(model).is_some()
    }

    pub fn models(&self) -> Vec<String> {
        self.held().leases.keys().cloned().collect()
    }

    /// All of them, which are held no longer.
    pub fn take(&self) -> Vec<Lease> {
        std::mem::take(&mut self.held().leases)
            .into_values()
            .collect()
    }

    /// Notes that work gets on; `false` when it is to end here, because the process is to end.
    pub fn step(&self) -> bool {
        self.held().stepped = Instant::now();
        !self.stopping.load(Ordering::Relaxed)
    }

    /// Prolongs what is held until told to stop.
    pub async fn keep(
        self,
        store: Store,
        clock: Clock,
        mut stopping: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                _ = stopping.wait_for(|stop| *stop) => return Ok(()),
            }
            if let Err(error) = self.beat(&store, clock.now(), Instant::now()).await {
                // The work itself meets the same trouble, and says more of it.
                tracing::warn!(%error, "leases could not be prolonged");
            }
        }
    }

    /// Lost ones are left to whoever works on them, and meets the loss when it writes.
    async fn beat(&self, store: &Store, now: Millis, at: Instant) -> Result<(), StoreError> {
        let all: Vec<Lease> = {
            let held = self.held();
            if at.saturating_duration_since(held.stepped) > STUCK {
                return Ok(());
            }
            held.leases.values().cloned().collect()
        };
        for lease in all {
            let prolonged = Lease {
                until_wall: now + LEASE,
                ..lease.clone()
            };
            let ours = store.write_async(move |tx| leases::renew(tx, &lease, now, LEASE));
            if ours.await?
                && let Some(held) = self.held().leases.get_mut(&prolonged.model)
                && held.token == prolonged.token
            {
                *held = prolonged;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::scratch;

    fn take(store: &Store, holder: &'static str, now: Millis) -> Option<Lease> {
        store
            .write(move |tx| leases::acquire(tx, "power", holder, now, LEASE))
            .expect("the store works")
    }

    #[tokio::test]
    async fn a_beat_keeps_what_is_worked_on() {
        let (_dir, store) = scratch();
        let leases = Leases::new(Arc::default());
        assert!(leases.insert(take(&store, "a", 0).expect("free")));
        let began = Instant::now();
        for beat in 1..10 {
            let beating = leases.beat(&store, beat * LEASE / 2, began);
            beating.await.expect("the store works");
        }
        assert_eq!(take(&store, "b", 5 * LEASE), None, "it was prolonged");
        let until = leases.get("power").expect("held").until_wall;
        assert_eq!(until, 9 * LEASE / 2 + LEASE);
        assert!(take(&store, "b", until).is_some(), "and runs out");
        let late = leases.beat(&store, until + 1, began);
        late.await.expect("the store works");
        assert_eq!(
            leases.get("power").expect("held").until_wall,
            until,
            "what was lost is not prolonged"
        );
    }

    #[tokio::test]
    async fn nothing_is_kept_for_who_is_stuck() {
        let (_dir, store) = scratch();
        let leases = Leases::new(Arc::default());
        leases.insert(take(&store, "a", 0).expect("free"));
        leases.step();
        let later = Instant::now() + STUCK + Duration::from_secs(1);
        leases
            .beat(&store, LEASE - 1, later)
            .await
            .expect("nothing to do");
        assert!(take(&store, "b", LEASE).is_some());
    }

    #[test]
    fn a_step_says_whether_to_go_on() {
        let stopping = Arc::new(AtomicBool::new(false));
        let leases = Leases::new(Arc::clone(&stopping));
        assert!(leases.step());
        stopping.store(true, Ordering::Relaxed);
        assert!(!leases.step());
    }
}
