//! Logs whose last records no consumer is shown: marks of transactions, and what aborted ones have left.
//!
//! An offset is no promise of a record. A partition is read to its end when the broker says so, not when a record has
//! come for its last offset; else it would never be settled, never idle, and hold every window open.

use std::time::Instant;

use rdkafka::producer::{BaseProducer, Producer as _};

use crate::broker::Kafka;
use crate::watch::{PATIENCE, Watch, producer, row, send, send_hour};

const ROWS: i64 = 100;

fn transactional(kafka: &Kafka, id: &str) -> BaseProducer {
    let producer = producer(kafka, &[("transactional.id", id)]);
    producer
        .init_transactions(PATIENCE)
        .expect("the broker knows transactions");
    producer
}

/// One transaction with `rows` rows of an hour, all of them in the log before it ends.
fn transaction(
    producer: &BaseProducer,
    topic: &str,
    partition: i32,
    version_and_hour: (&str, i64),
    rows: i64,
    commit: bool,
) {
    producer.begin_transaction().expect("none is open");
    send_hour(producer, topic, partition, version_and_hour, rows);
    let ended = if commit {
        producer.commit_transaction(PATIENCE)
    } else {
        producer.abort_transaction(PATIENCE)
    };
    ended.expect("it ends");
}

/// Hours 0 to 2 in both partitions, of which each ends with hidden records. Returns how many rows count.
fn fill(kafka: &Kafka, topic: &str) -> u64 {
    let (plain, bound) = (producer(kafka, &[]), transactional(kafka, topic));
    for hour in 0..3 {
        transaction(&bound, topic, 0, ("1", hour), ROWS, true);
        send_hour(&plain, topic, 1, ("1", hour), ROWS);
        // Taken back: were it seen, there would be a second version.
        transaction(&bound, topic, 0, ("aborted", hour), ROWS, false);
    }
    // Nothing but the mark of an empty end.
    transaction(&bound, topic, 1, ("1", 3), ROWS, true);
    7 * ROWS as u64
}

/// The partition is read to its end, though its last offsets show nothing.
#[track_caller]
fn check_read(kafka: &Kafka, watch: &Watch, topic: &str, partition: i32) {
    let (_, end) = kafka.ends(topic, partition).expect("it is there");
    assert_eq!(watch.cursor(topic, partition), end.cast_unsigned());
    let records = watch.number(&format!(
        "SELECT used + late + duplicate + rejected FROM cursors WHERE topic = '{topic}' AND partition = {partition}"
    ));
    assert!(
        records < end.cast_unsigned(),
        "{topic}-{partition} hides nothing: {records} of {end}"
    );
}

#[test]
fn aborted_records_are_not_counted_and_marks_at_the_end_hold_up_nobody() {
    let Some(kafka) = Kafka::start("transactions") else {
        return;
    };
    let mut watch = Watch::new(&kafka, &[("bound", 2)]);
    watch.idle_timeout = "1s";
    let rows = fill(&kafka, "bound");
    let started = Instant::now();
    let mut service = watch.start();
    service.settle();
    println!("settled after {:.1?}", started.elapsed());
    assert_eq!(watch.used(), rows);
    assert_eq!(
        watch.number("SELECT sum(late + duplicate + rejected) FROM cursors"),
        0
    );
    for partition in 0..2 {
        check_read(&kafka, &watch, "bound", partition);
    }

    // Killed and started again, it reads the hidden records again, and finds nothing.
    service.kill();
    let mut service = watch.start();
    service.settle();
    assert_eq!(watch.used(), rows);

    // Partition 0 is silent from now on and must be seen to be idle, else no window closes.
    let plain = producer(&kafka, &[]);
    for hour in 4..14 {
        send_hour(&plain, "bound", 1, ("1", hour), ROWS);
    }
    service.wait_until("the windows of the busy partition", || {
        watch.number(&format!(
            "SELECT count(*) FROM windows WHERE revision = 0 AND rows = {ROWS}"
        )) >= 8
    });
    assert_eq!(
        watch.number("SELECT count(*) FROM windows WHERE version = 'aborted'"),
        0
    );
    check_read(&kafka, &watch, "bound", 0);
    println!("idle after {:.1?}", started.elapsed());

    // While a transaction is open nothing behind its beginning is read, and nobody waits for it.
    let before = watch.used();
    let bound = transactional(&kafka, "bound");
    bound.begin_transaction().expect("none is open");
    send_hour(&bound, "bound", 1, ("1", 14), ROWS);
    send_hour(&plain, "bound", 1, ("1", 15), ROWS);
    service.settle();
    assert_eq!(watch.used(), before, "read before it was committed");
    bound.commit_transaction(PATIENCE).expect("it is committed");
    service.wait_until("what was committed, and what came behind it", || {
        watch.used() == before + 2 * ROWS as u64
    });
    service.settle();
    println!("all after {:.1?}", started.elapsed());
}

#[test]
fn neither_do_they_where_several_topics_have_partitions_of_one_number() {
    let Some(kafka) = Kafka::start("transactions in several topics") else {
        return;
    };
    let mut watch = Watch::new(&kafka, &[("first", 2), ("second", 2)]);
    watch.idle_timeout = "1s";
    let rows = fill(&kafka, "first") + fill(&kafka, "second");
    let started = Instant::now();
    let mut service = watch.start();
    service.settle();
    println!("settled after {:.1?}", started.elapsed());
    // Partitions of one number may hold the same id; duplicates are found within a partition only.
    assert_eq!(watch.used(), rows);
    for topic in ["first", "second"] {
        for partition in 0..2 {
            check_read(&kafka, &watch, topic, partition);
        }
    }
    // Three of four partitions stay silent.
    let plain = producer(&kafka, &[]);
    for hour in 4..14 {
        send_hour(&plain, "second", 1, ("1", hour), ROWS);
    }
    service.wait_until("the windows of the busy partition", || {
        watch.number(&format!(
            "SELECT count(*) FROM windows WHERE revision = 0 AND rows = {ROWS}"
        )) >= 8
    });
    // A mark comes again where nothing came since.
    let bound = transactional(&kafka, "first");
    bound.begin_transaction().expect("none is open");
    send(&bound, "first", 0, Some(&row("1", 13, 0, ROWS)));
    bound.flush(PATIENCE).expect("it lies in the log");
    bound.abort_transaction(PATIENCE).expect("it is aborted");
    service.settle();
    println!("all after {:.1?}", started.elapsed());
}
