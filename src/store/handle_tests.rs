use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::store::testing::{moved, partial, partition, scratch};
use crate::store::{CommitOutcome, commit, load_partition, ticks};

fn tick(store: &Store) -> Option<i64> {
    store.read(|conn| ticks::last(conn, "m")).expect("reads")
}

#[tokio::test]
async fn a_panic_in_a_write_ends_the_writer_and_everybody_hears_of_it() {
    let (dir, store) = scratch();
    store.write(|tx| ticks::record(tx, "m", 1)).expect("writes");
    let panicked: Result<()> = store.write(|tx| {
        ticks::record(tx, "m", 2)?;
        panic!("as written in the test");
    });
    assert!(matches!(panicked, Err(StoreError::Gone)));
    store.ended().await;
    assert!(matches!(store.write(|_| Ok(())), Err(StoreError::Gone)));
    assert!(matches!(
        store.write_async(|_| Ok(())).await,
        Err(StoreError::Gone)
    ));
    let again = Store::open(dir.path()).expect("opens");
    assert_eq!(
        tick(&again),
        Some(1),
        "the panicking transaction was rolled back"
    );
}

#[test]
fn a_reader_keeps_its_snapshot_and_holds_nobody_up() {
    let (_dir, store) = scratch();
    store.write(|tx| ticks::record(tx, "m", 1)).expect("writes");
    let seen = store.read(|conn| {
        let before = ticks::last(conn, "m")?;
        store.write(|tx| ticks::record(tx, "m", 2))?;
        Ok((before, ticks::last(conn, "m")?))
    });
    assert_eq!(seen.expect("reads"), (Some(1), Some(1)));
    assert_eq!(tick(&store), Some(2));
}

#[test]
fn a_reader_cannot_write() {
    let (_dir, store) = scratch();
    let refused = store.read(|conn| Ok(conn.execute("INSERT INTO ticks VALUES ('m', 1)", [])?));
    assert!(
        refused
            .expect_err("read-only")
            .to_string()
            .contains("readonly")
    );
}

#[test]
fn panicking_readers_do_not_use_the_pool_up() {
    let (_dir, store) = scratch();
    for _ in 0..3 * READERS {
        let read = AssertUnwindSafe(|| store.read::<(), _>(|_| panic!("as written in the test")));
        catch_unwind(read).expect_err("panics");
    }
    assert_eq!(tick(&store), None);
}

#[test]
fn more_readers_than_connections_all_get_their_turn() {
    let (_dir, store) = scratch();
    std::thread::scope(|scope| {
        for _ in 0..4 * READERS {
            scope.spawn(|| assert_eq!(tick(&store), None));
        }
    });
}

/// As two processes would: each has a writer of its own, and only the compare-and-set keeps them apart.
#[test]
fn two_writers_on_one_file_lose_and_double_nothing() {
    let (dir, first) = scratch();
    let second = Store::open(dir.path()).expect("opens a second time");
    const COMMITS: usize = 25;
    let run = |store: &Store| {
        let mut conflicts = 0;
        let mut done = 0;
        while done < COMMITS {
            let found = store
                .read(|conn| load_partition(conn, &partition(0)))
                .expect("reads");
            let (seq, next) = found.map_or((0, 0), |found| (found.seq, found.next_offset));
            let mut one = moved(0, seq, next + 1);
            one.partials = vec![partial(next + 1)];
            match store
                .write(move |tx| commit(tx, &[one]))
                .expect("writes")
                .remove(0)
            {
                CommitOutcome::Done { .. } => done += 1,
                CommitOutcome::Conflict { .. } => conflicts += 1,
            }
        }
        conflicts
    };
    let conflicts = std::thread::scope(|scope| {
        let threads = [scope.spawn(|| run(&first)), scope.spawn(|| run(&second))];
        threads.map(|thread| thread.join().expect("no panic"))
    });
    let found = first
        .read(|conn| load_partition(conn, &partition(0)))
        .expect("reads")
        .expect("committed");
    let commits = 2 * COMMITS as u64;
    assert_eq!(
        (
            found.seq,
            found.next_offset.cast_unsigned(),
            found.partials[0].rows
        ),
        (commits, commits, commits)
    );
    // Not asserted: how often they met depends on the machine.
    println!("conflicts: {conflicts:?}");
}

/// What lies in the folder at any moment is what a killed process leaves behind.
#[test]
fn what_was_committed_is_there_after_the_process_is_gone() {
    let (dir, store) = scratch();
    for i in 0..50 {
        let mut one = moved(0, i, (i.cast_signed() + 1) * 10);
        one.partials = vec![partial(one.next_offset)];
        store.write(move |tx| commit(tx, &[one])).expect("writes");
    }
    let left = tempfile::tempdir().expect("a temporary folder");
    for file in std::fs::read_dir(dir.path()).expect("lists") {
        let file = file.expect("lists");
        // The shared memory file is rebuilt from the log.
        if !file.path().to_string_lossy().ends_with("-shm") {
            std::fs::copy(file.path(), left.path().join(file.file_name())).expect("copies");
        }
    }
    std::mem::forget(store);
    let found = Store::open(left.path())
        .expect("opens")
        .read(|conn| load_partition(conn, &partition(0)));
    let found = found.expect("reads").expect("committed");
    assert_eq!(
        (found.seq, found.next_offset, found.partials[0].rows),
        (50, 500, 500)
    );
}

#[test]
fn the_last_handle_folds_the_log_into_the_file() {
    let (dir, store) = scratch();
    store.write(|tx| ticks::record(tx, "m", 1)).expect("writes");
    let clone = store.clone();
    drop(store);
    assert_eq!(tick(&clone), Some(1));
    drop(clone);
    // Whoever copies the file alone has everything.
    let left = tempfile::tempdir().expect("a folder");
    std::fs::copy(dir.path().join(FILE_NAME), left.path().join(FILE_NAME)).expect("copies");
    assert_eq!(tick(&Store::open(left.path()).expect("opens")), Some(1));
}

#[test]
fn a_newer_file_is_not_opened() {
    let (dir, store) = scratch();
    store
        .write(|tx| {
            Ok(tx.execute(
                "UPDATE meta SET value = '99' WHERE key = 'schema_version'",
                [],
            )?)
        })
        .expect("writes");
    drop(store);
    assert!(matches!(
        Store::open(dir.path()),
        Err(StoreError::Newer {
            found: 99,
            known: 3
        })
    ));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let (dir, _store) = scratch();
    let inside_a_file = dir.path().join(FILE_NAME).join("deeper");
    let error = Store::open(&inside_a_file)
        .map(|_| ())
        .expect_err("not a folder")
        .to_string();
    assert!(
        error.starts_with(&format!(
            "cannot open the store at {}",
            inside_a_file.display()
        )),
        "{error}"
    );
}
