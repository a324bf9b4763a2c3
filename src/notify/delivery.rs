//! One pass over the outbox, and the loop around it: claim what is due, send it, note how it went.
//!
//! **Invariant:** an attempt is counted in the store before it is made and settled after it; if the process dies in
//! between, the same notification is sent again under the same id once the claim has run out.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::task::JoinSet;

use super::event::{AlertEvent, BODY_BYTES_MAX};
use super::http::Http;
use super::receiver::{Receiver, Target};
use super::retry::{Outcome, Reply, decide};
use super::{alertmanager, signature};
use crate::event::{MINUTE, Millis, SECOND};
use crate::store::outbox::{self, OutboxRow, Settlement, Status};
use crate::store::{Result, Store, StoreError, failpoint, receivers};

/// How long a claim keeps others away: three times the time limit of an attempt.
const HOLD: Millis = MINUTE;

/// Most notifications of one receiver on their way at the same time.
const AT_ONCE: u32 = 16;

/// How often the loop looks for what has become due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One attempt, for logs and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub receiver: String,
    pub model: String,
    pub id: String,
    /// From 1.
    pub number: u32,
    /// The status, or what came instead of one; bounded.
    pub code: String,
    pub outcome: Outcome,
}

/// Notes the receivers' addresses, so that one that was disabled starts afresh when its address has changed.
pub async fn configure(store: &Store, receivers: &[Receiver]) -> Result<()> {
    let targets: Vec<(String, String)> = receivers
        .iter()
        .map(|receiver| (receiver.name.clone(), receiver.target_hash()))
        .collect();
    store
        .write_async(move |tx| {
            targets
                .iter()
                .try_for_each(|(name, hash)| receivers::configure(tx, name, hash))
        })
        .await
}

/// Sends everything that is due at `now_wall`, and returns when each attempt is settled. Notifications for receivers
/// that are not among `receivers` stay where they are.
pub async fn deliver_due(
    store: &Store,
    http: &Http,
    receivers: &[Receiver],
    now_wall: Millis,
) -> Result<Vec<Attempt>> {
    let mut attempts = Vec::new();
    let mut under_way = JoinSet::new();
    for receiver in receivers {
        let claimed = claim(store, &receiver.name, now_wall).await?;
        let receiver = Arc::new(receiver.clone());
        for row in claimed {
            let (http, receiver) = (http.clone(), Arc::clone(&receiver));
            under_way.spawn(async move {
                let reply = send(&http, &receiver, &row, now_wall).await;
                (receiver, row, reply)
            });
        }
    }
    while let Some(joined) = under_way.join_next().await {
        let (receiver, row, reply) = match joined {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(StoreError::Gone),
            },
        };
        failpoint("notify.after_send");
        let attempt = Attempt {
            receiver: row.notification.receiver.clone(),
            model: row.notification.model.clone(),
            id: row.notification.idempotency_key.clone(),
            number: row.attempts,
            code: reply.code(),
            outcome: decide(
                &reply,
                &row.notification.idempotency_key,
                row.attempts,
                now_wall,
            ),
        };
        settle(store, &receiver, row, attempt.outcome.clone(), now_wall).await?;
        failpoint("notify.after_settle");
        attempts.push(attempt);
    }
    Ok(attempts)
}

/// Reads first, so that the usual case, nothing due, writes nothing.
async fn claim(store: &Store, receiver: &str, now_wall: Millis) -> Result<Vec<OutboxRow>> {
    let name = receiver.to_string();
    let (has_due, is_open, is_disabled) = store
        .read_async(move |conn| {
            let known = receivers::get(conn, &name)?;
            let has_due = !outbox::due(conn, &name, now_wall, 1)?.is_empty();
            let is_open = known.as_ref().is_none_or(|known| known.is_open(now_wall));
            Ok((
                has_due,
                is_open,
                known.is_some_and(|known| known.disabled_wall.is_some()),
            ))
        })
        .await?;
    if has_due && is_disabled {
        // Written after the receiver had gone: they must not pile up.
        let name = receiver.to_string();
        store
            .write_async(move |tx| {
                outbox::disable_all(tx, &name, now_wall, "the receiver is disabled")
            })
            .await?;
    }
    if !has_due || !is_open {
        return Ok(Vec::new());
    }
    let name = receiver.to_string();
    let claimed = store
        .write_async(move |tx| outbox::claim_due(tx, &name, now_wall, now_wall + HOLD, AT_ONCE))
        .await?;
    failpoint("notify.after_claim");
    Ok(claimed)
}

async fn send(http: &Http, receiver: &Receiver, row: &OutboxRow, now_wall: Millis) -> Reply {
    let (headers, body) = match request(receiver, row, now_wall) {
        Ok(request) => request,
        Err(why) => return Reply::Unreachable(why),
    };
    http.post(receiver.url(), headers, body, receiver.allow_internal)
        .await
}

/// Headers and body of one attempt.
fn request(
    receiver: &Receiver,
    row: &OutboxRow,
    now_wall: Millis,
) -> std::result::Result<(HeaderMap, String), String> {
    let mut headers = HeaderMap::new();
    let body = match &receiver.target {
        Target::Webhook { secrets, .. } => {
            let id = &row.notification.idempotency_key;
            let body = row.notification.body.clone();
            if body.len() >= BODY_BYTES_MAX {
                return Err(format!(
                    "the body has {} bytes, {BODY_BYTES_MAX} are too many",
                    body.len()
                ));
            }
            let timestamp_secs = now_wall.div_euclid(SECOND);
            let signatures = signature::sign(secrets, id, timestamp_secs, body.as_bytes());
            for (name, value) in [
                (signature::ID_HEADER, id.clone()),
                (signature::TIMESTAMP_HEADER, timestamp_secs.to_string()),
                (signature::SIGNATURE_HEADER, signatures),
            ] {
                let value =
                    HeaderValue::try_from(value).map_err(|error| format!("{name}: {error}"))?;
                headers.insert(HeaderName::from_static(name), value);
            }
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/cloudevents+json; charset=utf-8"),
            );
            body
        }
        Target::Alertmanager { .. } => {
            let event =
                AlertEvent::from_json(&row.notification.body).map_err(|error| error.to_string())?;
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            alertmanager::body(&event, now_wall).to_string()
        }
    };
    Ok((headers, body))
}

async fn settle(
    store: &Store,
    receiver: &Receiver,
    row: OutboxRow,
    outcome: Outcome,
    now_wall: Millis,
) -> Result<()> {
    let is_alertmanager = matches!(receiver.target, Target::Alertmanager { .. });
    let repeats = is_alertmanager && is_firing(&row);
    let name = receiver.name.clone();
    store
        .write_async(move |tx| {
            let resend_at = now_wall + alertmanager::RESEND;
            let how = match outcome {
                Outcome::Delivered if repeats => Settlement::Repeat { at_wall: resend_at },
                Outcome::Delivered => Settlement::Delivered,
                Outcome::Throttle { at_wall, reason } => {
                    receivers::throttle(tx, &name, at_wall)?;
                    Settlement::Retry {
                        at_wall,
                        error: reason,
                    }
                }
                Outcome::Disable { reason } => {
                    receivers::disable(tx, &name, now_wall)?;
                    outbox::disable_all(tx, &name, now_wall, &reason)?;
                    return Ok(());
                }
                // What fires is told for as long as it does, however long the receiver was away.
                Outcome::Retry { reason, .. } | Outcome::Fail { reason }
                    if row.status == Status::Repeating =>
                {
                    Settlement::Retry {
                        at_wall: resend_at,
                        error: reason,
                    }
                }
                Outcome::Retry { at_wall, reason } => Settlement::Retry {
                    at_wall,
                    error: reason,
                },
                Outcome::Fail { reason } => Settlement::Failed { error: reason },
            };
            outbox::settle(tx, &row, now_wall, &how)?;
            Ok(())
        })
        .await
}

fn is_firing(row: &OutboxRow) -> bool {
    AlertEvent::from_json(&row.notification.body).is_ok_and(|event| event.kind.is_firing())
}

/// Delivers until `shutdown` resolves. A pass under way is finished first, which takes at most the time limit of an
/// attempt. A full disk or a busy file is waited out; any other trouble with the store ends the loop.
pub async fn run(
    store: Store,
    http: Http,
    receivers: Vec<Receiver>,
    clock: impl Fn() -> Millis,
    on_attempt: impl Fn(&Attempt),
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    tokio::pin!(shutdown);
    configure(&store, &receivers).await?;
    loop {
        let pause = match deliver_due(&store, &http, &receivers, clock()).await {
            Ok(attempts) => {
                attempts.iter().for_each(&on_attempt);
                // The next in line may have become due.
                if attempts.is_empty() {
                    LOOK_EVERY
                } else {
                    Duration::ZERO
                }
            }
            Err(error) if error.is_busy() || error.is_disk_full() => {
                tracing::warn!(%error, "notifications wait");
                LOOK_EVERY
            }
            Err(error) => return Err(error),
        };
        tokio::select! {
            biased;
            () = &mut shutdown => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}
