//! Places where a test may let the process die, between all steps of all transactions.
//!
//! Active in debug builds only: `DRIFTLINE_FAILPOINT=name:nth` aborts the process when the point `name` is passed
//! for the `nth` time (from 1). Deliberately absent: failpoints that return errors; a crash is the harder case.

/// Every failpoint, in the order in which the flow passes them, so that a crash test can run through all of them.
pub const NAMES: &[&str] = &[
    "store.begin",
    "commit.before_partition",
    "commit.after_cursor",
    "commit.after_streams",
    "commit.after_partials",
    "commit.after_pending",
    "commit.after_lake",
    "commit.after_rejections",
    "commit.after_gaps",
    "commit.after_partition",
    "layouts.before_insert",
    "layouts.after_insert",
    "pending.before_delete",
    "pending.after_delete",
    "references.before_insert",
    "references.after_insert",
    "references.after_bind",
    "references.before_insert_rows",
    "references.after_insert_rows",
    "models.before_advance",
    "models.after_advance",
    "windows.before_insert",
    "windows.after_insert",
    "scores.after_insert",
    "performance.after_advance",
    "performance.before_insert",
    "performance.after_insert",
    "alerts.before_save",
    "alerts.after_save",
    "alerts.before_transition",
    "alerts.after_transition",
    "outbox.before_insert",
    "outbox.after_insert",
    "retrain.before_insert",
    "retrain.after_insert",
    "retrain.after_take",
    "retrain.after_file",
    "retrain.before_finish",
    "retrain.after_finish",
    "retrain.before_model",
    "retrain.after_model",
    "retrain.before_move",
    "retrain.after_move",
    "retrain.after_log",
    "partials.before_delete",
    "partials.after_delete",
    "store.before_commit",
    "store.after_commit",
    "lake.before_put",
    "lake.after_put",
    "lake.before_catalogue",
    "lake.after_catalogue",
    "lake.after_buffers",
    "lake.compact_before_put",
    "lake.compact_after_put",
    "lake.compact_before_catalogue",
    "lake.compact_after_catalogue",
    "lake.compact_after_drop",
    "lake.before_expire",
    "lake.after_expire",
    "lake.sweep_before_delete",
    "lake.sweep_after_delete",
    "lake.sweep_after_forget",
    "notify.after_claim",
    "notify.after_send",
    "notify.after_settle",
];

#[cfg(debug_assertions)]
const VARIABLE: &str = "DRIFTLINE_FAILPOINT";

/// Aborts the process if the environment asks for it at this point; otherwise does nothing.
#[cfg(debug_assertions)]
pub fn failpoint(name: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ARMED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    debug_assert!(
        NAMES.contains(&name),
        "the failpoint {name} is missing in NAMES"
    );
    let armed = ARMED.get_or_init(|| std::env::var(VARIABLE).ok().and_then(|text| parse(&text)));
    if let Some((armed, nth)) = armed
        && armed == name
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *nth
    {
        eprintln!("failpoint {name}: aborting at passage {nth}");
        std::process::abort();
    }
}

/// Release builds have no failpoints.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn failpoint(_name: &'static str) {}

#[cfg(debug_assertions)]
fn parse(text: &str) -> Option<(String, u64)> {
    let (name, nth) = text.rsplit_once(':').unwrap_or((text, "1"));
    let nth = nth.parse().ok()?;
    // A misspelt name would make a crash test that never crashes.
    if !NAMES.contains(&name) || nth == 0 {
        eprintln!(
            "{VARIABLE}={text}: no such failpoint; known: {}",
            NAMES.join(", ")
        );
        std::process::exit(2);
    }
    Some((name.to_string(), nth))
}
