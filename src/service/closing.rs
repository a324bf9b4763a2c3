//! Closing windows: what is complete is merged, judged and stored, in order, by whoever holds the model's lease.
//!
//! **Invariants.** A window closes when the least *committed* watermark over the model's partitions passes its end;
//! its result is a function of the partials that were then complete, so it does not matter who closes it, when, or
//! how often someone was killed before. Results, alert states, notifications and the place in time move in one
//! transaction, fenced by the lease. Alerts are judged once, at revision 0.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;

use crate::event::{Key, Millis, Partition, Span};
use crate::ingest::catalogue::Model;
use crate::profile::{CompiledLayout, Profile};
use crate::reference::Reference;
use crate::rules::Watch;
use crate::service::alerting::{AlertChange, Occasion};
use crate::service::judging::{Case, Judge, WindowResult};
use crate::service::learning::reference_row;
use crate::service::leases::Leases;
use crate::service::references::References;
use crate::stats::score::Verdict;
use crate::store::alerts::TransitionRow;
use crate::store::leases::Lease;
use crate::store::windows::{Covered, NewWindow};
use crate::store::{
    Store, StoreError, alerts, gaps, leases, models, partials, references, streams, windows,
};
use crate::window::WindowSpec;

/// Empty windows in a row that each get a `no_data` result; after these nothing closes until there are rows again,
/// and time jumps to their window, so that neither one record of a wrong year nor a model that fell silent for good
/// costs a result for every hour.
const EMPTY_WINDOWS_SHOWN: Millis = 100;

/// A key whose model goes on without it for so many windows logs no more.
const RETIRED_AFTER: Millis = 3;

/// Closes the windows of one model.
pub struct Closing<'a> {
    pub store: &'a Store,
    pub model: &'a Model,
    pub layout: &'a Arc<CompiledLayout>,
    pub lease: &'a Lease,
    pub leases: &'a Leases,
    pub judge: &'a Judge,
    pub references: &'a References,
}

/// One closed window, as told to metrics and people.
#[derive(Debug, Clone)]
pub struct Closed {
    pub span: Span,
    pub revision: u32,
    pub results: Vec<(Key, u64, WindowResult)>,
}

/// What a version has in a window.
struct Merged {
    profile: Profile,
    covered: Vec<Covered>,
}

impl Closing<'_> {
    fn spec(&self) -> &WindowSpec {
        &self.model.declaration.window
    }

    fn name(&self) -> &str {
        &self.model.name
    }

    /// The least committed watermark over all of the model's partitions; `None` while one of them has none.
    pub fn watermark(&self, partitions: &[Partition]) -> Result<Option<Millis>, StoreError> {
        let streams = self
            .store
            .read(|conn| streams::of_model(conn, self.name()))?;
        let watermarks: BTreeMap<Partition, Millis> = streams
            .into_iter()
            .map(|(partition, row)| (partition, row.watermark))
            .collect();
        // A partition that the broker does not list just now still counts if rows of it were read.
        let listed = |topic: &str| partitions.iter().any(|listed| listed.topic == topic);
        let read = watermarks.keys().filter(|p| listed(&p.topic));
        let all: BTreeSet<&Partition> = partitions.iter().chain(read).collect();
        Ok(all
            .into_iter()
            .map(|p| watermarks.get(p).copied())
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().min()))
    }

    /// Closes every window that `watermark` has passed and makes the revisions that are due; `tell` hears of each.
    pub fn close_due(&self, watermark: Millis, mut tell: impl FnMut(Closed)) -> anyhow::Result<()> {
        let spec = self.spec();
        // Rows that come while windows are being closed lie behind the watermark's reach and change none of them.
        let keys = self
            .store
            .read(|conn| partials::of_model(conn, self.name()))?;
        let in_time = keys.iter().filter(|(_, key)| key.epoch == 0);
        let panes: BTreeSet<Span> = in_time.map(|(_, key)| key.pane).collect();
        loop {
            let Some(row) = self.store.read(|conn| models::get(conn, self.name()))? else {
                return Ok(());
            };
            let Some(first) = row.first_window.or(panes.first().map(|pane| pane.start)) else {
                return Ok(());
            };
            let start = row
                .closed_through
                .map_or(first, |end| end - spec.span + spec.every);
            let mut window = Span::new(start, start + spec.span);
            if watermark < window.end {
                break;
            }
            if self.is_in_long_silence(window, &panes)? {
                // A function of the rows, not of how often somebody looked while the watermark moved on.
                let next = panes.iter().find(|pane| pane.end > window.end);
                let next = next.map(|pane| Span::new(pane.end - spec.span, pane.end));
                match next.filter(|next| next.end <= watermark) {
                    Some(next) => window = next,
                    None => break,
                }
            }
            let closed = self.close(
                window,
                0,
                row.closed_through,
                row.first_window.is_none().then_some(first),
            )?;
            let Some(closed) = closed else { return Ok(()) };
            tell(closed);
            if !self.leases.step() {
                return Ok(());
            }
        }
        self.revise(watermark, tell)
    }

    /// Is `window` empty, and have enough empty ones been shown since the last window with rows?
    fn is_in_long_silence(&self, window: Span, panes: &BTreeSet<Span>) -> Result<bool, StoreError> {
        let spec = self.spec();
        if spec.panes_of(window).any(|pane| panes.contains(&pane)) {
            return Ok(false);
        }
        let last = self
            .store
            .read(|conn| windows::last_with_rows(conn, self.name()))?;
        Ok(last.is_some_and(|last| window.end - last > EMPTY_WINDOWS_SHOWN * spec.every))
    }

    /// Late rows make revisions of closed windows, each when the watermark has passed its time.
    fn revise(&self, watermark: Millis, mut tell: impl FnMut(Closed)) -> anyhow::Result<()> {
        let spec = self.spec();
        let (row, keys) = self.store.read(|conn| {
            Ok((
                models::get(conn, self.name())?,
                partials::of_model(conn, self.name())?,
            ))
        })?;
        let Some(closed_through) = row.and_then(|row| row.closed_through) else {
            return Ok(());
        };
        let mut due: BTreeSet<(Span, u32)> = BTreeSet::new();
        let mut made: BTreeMap<(&Key, Span), u32> = BTreeMap::new();
        for (_, key) in &keys {
            for window in spec
                .windows_of(key.pane)
                .filter(|window| window.end <= closed_through)
            {
                let revision = (0..=spec.last_revision())
                    .find(|r| spec.epoch_limit(window, key.pane, *r) >= key.epoch);
                if let Some(revision) =
                    revision.filter(|r| *r > 0 && watermark >= spec.complete_at(window, *r))
                {
                    let latest = match made.entry((&key.key, window)) {
                        Entry::Occupied(known) => *known.get(),
                        Entry::Vacant(unknown) => {
                            let rows = self
                                .store
                                .read(|conn| windows::revisions(conn, &key.key, window))?;
                            *unknown.insert(rows.iter().map(|row| row.revision).max().unwrap_or(0))
                        }
                    };
                    if latest < revision {
                        due.insert((window, revision));
                    }
                }
            }
        }
        for (window, revision) in due {
            if let Some(closed) = self.close(window, revision, None, None)? {
                tell(closed);
            }
        }
        // What no window will ever ask for again goes.
        let last =
            spec.complete_at(Span::new(0, 0), spec.last_revision()) + (spec.span - spec.every);
        let done = keys
            .iter()
            .any(|(_, key)| key.pane.end + last <= watermark.min(closed_through + last));
        if done {
            let (name, through) = (
                self.name().to_owned(),
                (watermark - last).min(closed_through),
            );
            self.store
                .write(move |tx| partials::delete_through(tx, &name, through))?;
        }
        Ok(())
    }

    /// Merges, judges and stores one revision of one window. `None`: it is there already, or the lease is gone.
    fn close(
        &self,
        window: Span,
        revision: u32,
        closed_through: Option<Millis>,
        first_window: Option<Millis>,
    ) -> anyhow::Result<Option<Closed>> {
        self.judge.alerting.begin();
        let mut merged = self.merge(window, revision)?;
        if revision > 0 {
            let known = self.store.read(|conn| {
                let mut known = BTreeSet::new();
                for key in merged.keys() {
                    let revisions = windows::revisions(conn, key, window)?;
                    if revisions.iter().any(|row| row.revision >= revision) {
                        known.insert(key.clone());
                    }
                }
                Ok(known)
            })?;
            merged.retain(|key, _| !known.contains(key));
            if merged.is_empty() {
                return Ok(None);
            }
        } else if merged.is_empty() {
            for key in self.silent_keys(window)? {
                let profile = Profile::new(&self.layout.layout);
                merged.insert(
                    key,
                    Merged {
                        profile,
                        covered: Vec::new(),
                    },
                );
            }
        }
        let lost = !self
            .store
            .read(|conn| gaps::touching(conn, self.name(), window))?
            .is_empty();

        let mut rows = Vec::new();
        let mut told = Vec::new();
        let mut news: Vec<(Option<Arc<Reference>>, WindowResult)> = Vec::new();
        let mut revised = Vec::new();
        let alive: BTreeSet<Key> = merged.keys().cloned().collect();
        let retired = if revision == 0 {
            self.retired(window, &alive)?
        } else {
            Vec::new()
        };
        for (key, Merged { profile, covered }) in merged {
            let reference = self.references.of(self.model, self.layout, &key, window)?;
            let anchor = self
                .references
                .anchor(self.model, self.layout, &key, window)?;
            let result = self.judge.window(Case {
                model: self.model,
                layout: self.layout,
                key: &key,
                window,
                revision,
                profile: &profile,
                reference: reference.as_deref(),
                anchor: anchor.as_deref(),
                lost,
            })?;
            if revision > 0 {
                revised.extend(self.revised(&key, window, revision, result.verdict)?);
            }
            rows.push(NewWindow {
                key: key.clone(),
                span: window,
                revision,
                verdict: result.verdict,
                rows: profile.rows,
                layout_hash: self.layout.hash().to_owned(),
                reference_hash: reference.as_ref().map(|reference| reference.hash.clone()),
                watermark: self.spec().complete_at(window, revision),
                covered,
                profile: profile.to_bytes(),
                scores: result.scores.clone(),
            });
            told.push((key, profile.rows, result.clone()));
            news.push((reference, result));
        }

        let (name, lease) = (self.name().to_owned(), self.lease.clone());
        let stored = self.store.write(move |tx| {
            leases::check(tx, &lease)?;
            if let Some(first) = first_window {
                models::set_first_window(tx, &name, first)?;
            }
            if revision == 0 && !models::advance(tx, &name, closed_through, window.end)? {
                return Ok(false);
            }
            for (reference, _) in &news {
                let Some(reference) = reference else { continue };
                references::insert(tx, &reference_row(reference), &reference.to_bytes())?;
            }
            for row in &rows {
                windows::insert(tx, row)?;
            }
            for (_, result) in &news {
                for alert in &result.alerts {
                    alert.store(tx)?;
                }
            }
            for alert in &retired {
                alert.store(tx)?;
            }
            for transition in &revised {
                alerts::log_transition(tx, transition)?;
            }
            Ok(true)
        });
        let stored = stored
            .with_context(|| format!("closing the window {window:?} of model {:?}", self.name()))?;
        Ok(stored.then_some(Closed {
            span: window,
            revision,
            results: told,
        }))
    }

    /// Firing alerts of keys that have logged nothing for a while, though others do.
    fn retired(&self, window: Span, alive: &BTreeSet<Key>) -> anyhow::Result<Vec<AlertChange>> {
        let firing = self
            .store
            .read(|conn| alerts::list(conn, Some(self.name()), Some("firing")))?;
        let mut retired = Vec::new();
        for alert in firing
            .into_iter()
            .filter(|alert| !alive.contains(&alert.key))
        {
            let rules = &self.model.declaration.rules;
            let Some(rule) = rules.iter().find(|rule| rule.name == alert.rule) else {
                continue;
            };
            if rule.watch == Watch::Freshness {
                continue;
            }
            let filter = windows::WindowFilter {
                model: Some(alert.key.model.clone()),
                version: Some(alert.key.version.clone()),
                segment: Some(alert.key.segment.clone()),
                ..windows::WindowFilter::default()
            };
            let latest = self.store.read(|conn| windows::latest(conn, &filter, 1))?;
            let silent = latest
                .first()
                .map_or(Millis::MAX, |row| window.end - row.span.end);
            if silent >= RETIRED_AFTER * self.spec().every {
                let on = Occasion {
                    model: self.model,
                    key: &alert.key,
                    window,
                    now: window.end,
                };
                retired.extend(self.judge.alerting.retire(on, rule)?);
            }
        }
        Ok(retired)
    }

    /// Late rows changed the verdict: alerts stay as they were judged, and the history says so.
    fn revised(
        &self,
        key: &Key,
        window: Span,
        revision: u32,
        verdict: Verdict,
    ) -> anyhow::Result<Option<TransitionRow>> {
        let earlier = self
            .store
            .read(|conn| windows::revisions(conn, key, window))?;
        let Some(before) = earlier
            .last()
            .map(|row| row.verdict)
            .filter(|before| *before != verdict)
        else {
            return Ok(None);
        };
        let body = serde_json::json!({
            "reason": format!("late rows of revision {revision} turned {} into {}", before.as_str(), verdict.as_str()),
        });
        Ok(Some(TransitionRow {
            idempotency_key: format!("{key}/revised/{}/{}/{revision}", window.start, window.end),
            key: key.clone(),
            rule: String::new(),
            from_status: before.as_str().to_owned(),
            to_status: "revised".to_owned(),
            at: self.spec().complete_at(window, revision),
            window,
            body: body.to_string(),
        }))
    }

    /// The rows of every version in the window, merged over panes, epochs and partitions.
    fn merge(&self, window: Span, revision: u32) -> anyhow::Result<BTreeMap<Key, Merged>> {
        let spec = self.spec();
        let found = self.store.read(|conn| {
            let mut found = Vec::new();
            for pane in spec.panes_of(window) {
                found.extend(partials::of_pane(
                    conn,
                    self.name(),
                    pane,
                    spec.epoch_limit(window, pane, revision),
                )?);
            }
            Ok(found)
        })?;
        let mut merged: BTreeMap<Key, Merged> = BTreeMap::new();
        for (partition, partial) in found {
            let profile = Profile::from_bytes(&partial.profile, &self.layout.layout)
                .with_context(|| format!("partial of {} in {partition}", partial.key))?;
            let into = merged.entry(partial.key).or_insert_with(|| Merged {
                profile: Profile::new(&self.layout.layout),
                covered: Vec::new(),
            });
            into.profile.merge(&profile)?;
            match into
                .covered
                .iter_mut()
                .find(|c| c.topic == partition.topic && c.partition == partition.partition)
            {
                Some(covered) => {
                    covered.from_offset = covered.from_offset.min(partial.from_offset);
                    covered.to_offset = covered.to_offset.max(partial.to_offset);
                    covered.rows += partial.rows;
                }
                None => into.covered.push(Covered {
                    topic: partition.topic,
                    partition: partition.partition,
                    from_offset: partial.from_offset,
                    to_offset: partial.to_offset,
                    rows: partial.rows,
                }),
            }
        }
        for merged in merged.values_mut() {
            merged
                .covered
                .sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        }
        Ok(merged)
    }

    /// Who fell silent: the keys of the window before, as they were when it was closed.
    fn silent_keys(&self, window: Span) -> Result<Vec<Key>, StoreError> {
        let through = window.end - self.spec().every;
        self.store
            .read(|conn| windows::keys_before(conn, self.name(), through))
    }
}
