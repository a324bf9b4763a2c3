//! Leases: which process closes, evaluates and exports a model.
//!
//! **Invariant:** the token rises with every change of holder and is checked inside the transaction that the lease
//! protects, so a holder that slept through its lease cannot write. Here time is wall time.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::error::{Result, StoreError};
use crate::event::Millis;

/// A held lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub model: String,
    /// Unique to one run of one process.
    pub holder: String,
    pub until_wall: Millis,
    pub token: u64,
}

/// Takes a lease that is free, expired or ours already, until `now_wall + ttl`. `None`: somebody else holds it.
pub fn acquire(
    tx: &Transaction<'_>,
    model: &str,
    holder: &str,
    now_wall: Millis,
    ttl: Millis,
) -> Result<Option<Lease>> {
    tx.prepare_cached(
        "INSERT INTO leases (model, holder, until_wall, token) VALUES (?1, ?2, ?4, 1)
         ON CONFLICT DO UPDATE SET token = token + (holder <> ?2), holder = ?2, until_wall = ?4
         WHERE holder = ?2 OR until_wall <= ?3",
    )?
    .execute(params![model, holder, now_wall, now_wall + ttl])?;
    Ok(get(tx, model)?.filter(|lease| lease.holder == holder))
}

/// Prolongs a lease that is still ours. `false`: it was taken over.
pub fn renew(tx: &Transaction<'_>, lease: &Lease, now_wall: Millis, ttl: Millis) -> Result<bool> {
    let changed = tx
        .prepare_cached(
            "UPDATE leases SET until_wall = ?4 WHERE model = ?1 AND holder = ?2 AND token = ?3",
        )?
        .execute(params![
            lease.model,
            lease.holder,
            lease.token.cast_signed(),
            now_wall + ttl
        ])?;
    Ok(changed == 1)
}

/// Ends a lease at once; nothing happens if it was taken over. The token stays, so that it goes on rising.
pub fn release(tx: &Transaction<'_>, lease: &Lease) -> Result<()> {
    tx.prepare_cached(
        "UPDATE leases SET until_wall = 0, holder = '' WHERE model = ?1 AND holder = ?2 AND token = ?3",
    )?
    .execute(params![lease.model, lease.holder, lease.token.cast_signed()])?;
    Ok(())
}

/// Ends the lease of a holder that is known to be gone. Nothing happens if another one has it by now.
pub fn expire(tx: &Transaction<'_>, model: &str, holder: &str) -> Result<()> {
    tx.prepare_cached("UPDATE leases SET until_wall = 0 WHERE model = ?1 AND holder = ?2")?
        .execute(params![model, holder])?;
    Ok(())
}

/// For the transaction that the lease protects: an error unless the lease is still ours.
pub fn check(tx: &Transaction<'_>, lease: &Lease) -> Result<()> {
    match get(tx, &lease.model)? {
        Some(held) if held.token == lease.token && held.holder == lease.holder => Ok(()),
        _ => Err(StoreError::LeaseLost {
            model: lease.model.clone(),
        }),
    }
}

pub fn get(conn: &Connection, model: &str) -> Result<Option<Lease>> {
    let mut statement = conn
        .prepare_cached("SELECT model, holder, until_wall, token FROM leases WHERE model = ?1")?;
    let found = statement.query_row([model], |row| {
        Ok(Lease {
            model: row.get(0)?,
            holder: row.get(1)?,
            until_wall: row.get(2)?,
            token: row.get::<_, i64>(3)?.cast_unsigned(),
        })
    });
    Ok(found.optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::scratch;

    const TTL: Millis = 10_000;

    fn take(store: &crate::store::Store, holder: &'static str, now: Millis) -> Option<Lease> {
        store
            .write(move |tx| acquire(tx, "power", holder, now, TTL))
            .expect("the store works")
    }

    #[test]
    fn only_one_holds_it_until_it_expires() {
        let (_dir, store) = scratch();
        let first = take(&store, "a", 0).expect("free");
        assert_eq!(take(&store, "b", TTL - 1), None);
        let second = take(&store, "b", TTL).expect("expired");
        assert!(second.token > first.token);
        assert_eq!(take(&store, "a", TTL + 1), None);
    }

    #[test]
    fn taking_it_again_keeps_the_token() {
        let (_dir, store) = scratch();
        let first = take(&store, "a", 0).expect("free");
        let again = take(&store, "a", 5).expect("ours");
        assert_eq!((again.token, again.until_wall), (first.token, 5 + TTL));
    }

    #[test]
    fn who_slept_through_it_can_neither_write_renew_nor_release() {
        let (_dir, store) = scratch();
        let slept = take(&store, "a", 0).expect("free");
        let holder = take(&store, "b", TTL).expect("expired");
        let lease = slept.clone();
        assert!(matches!(
            store.write(move |tx| check(tx, &lease)),
            Err(StoreError::LeaseLost { .. })
        ));
        let lease = slept.clone();
        assert!(
            !store
                .write(move |tx| renew(tx, &lease, TTL, TTL))
                .expect("works")
        );
        store.write(move |tx| release(tx, &slept)).expect("works");
        store
            .write(move |tx| check(tx, &holder))
            .expect("the other's lease is untouched");
    }

    #[test]
    fn the_token_rises_also_over_a_release() {
        let (_dir, store) = scratch();
        let first = take(&store, "a", 0).expect("free");
        let lease = first.clone();
        store.write(move |tx| release(tx, &lease)).expect("works");
        let second = take(&store, "a", 1).expect("free again");
        assert!(
            second.token > first.token,
            "a released lease must not pass the check again"
        );
    }
}
