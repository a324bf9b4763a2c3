//! Logs that are not as we left them: records deleted before they were read, and topics deleted and made anew, while
//! the service is away and under its feet.

use rdkafka::producer::Producer as _;

use crate::broker::Kafka;
use crate::watch::{PATIENCE, Watch, producer, send_hour};

const ROWS: i64 = 60;
const ALARMED: &str = "SELECT count(*) FROM cursors WHERE alarm = 'log_recreated'";
const LOST: &str = "SELECT coalesce(sum(to_offset - from_offset), 0) FROM gaps";

#[test]
fn deleted_records_are_counted_and_reading_goes_on() {
    let Some(kafka) = Kafka::start("deleted records") else {
        return;
    };
    let watch = Watch::new(&kafka, &[("kept", 2)]);
    let plain = producer(&kafka, &[]);
    let send = |hours: std::ops::Range<i64>| {
        for hour in hours {
            for partition in 0..2 {
                send_hour(&plain, "kept", partition, ("1", hour), ROWS);
            }
        }
    };
    send(0..8);
    let mut service = watch.start();
    service.settle();
    let (status, _) = service.terminate();
    assert!(status.success(), "{status}");
    assert_eq!(watch.used(), 2 * 8 * ROWS as u64);

    // While nobody reads, an hour and a half goes.
    send(8..11);
    kafka.delete_records("kept", 0, 8 * ROWS + 90);
    let mut service = watch.start();
    service.settle();
    assert_eq!(watch.number(LOST), 90);
    send(11..14);
    service.settle();
    let verdicts = watch.verdicts();
    let of = |wanted: i64| {
        let found = verdicts.iter().find(|(hour, _)| *hour == wanted);
        found.map_or("", |(_, verdict)| verdict)
    };
    // What was closed before the gap, what it touches, and what comes when nothing is missing any more.
    assert_eq!(
        [of(6), of(8), of(9), of(12)],
        ["ok", "incomplete", "incomplete", "ok"],
        "{verdicts:?}"
    );
    assert_eq!(watch.used(), 2 * 14 * ROWS as u64 - 90);

    // While it reads: an open transaction holds it where it is, and what it waits for goes.
    let bound = producer(&kafka, &[("transactional.id", "kept")]);
    bound.init_transactions(PATIENCE).expect("known");
    bound.begin_transaction().expect("none is open");
    send_hour(&bound, "kept", 0, ("1", 14), ROWS);
    send(15..17);
    kafka.delete_records("kept", 0, 15 * ROWS + 30);
    bound.commit_transaction(PATIENCE).expect("it is committed");
    let before = 2 * 14 * ROWS as u64 - 90;
    service.wait_until("the rest", || {
        watch.used() == before + 2 * 2 * ROWS as u64 - 30
    });
    assert_eq!(watch.number(LOST), 90 + ROWS as u64 + 30);
    service.settle();
}

#[test]
fn a_recreated_topic_stops_its_partition_until_its_cursor_is_reset() {
    let Some(kafka) = Kafka::start("a topic made anew") else {
        return;
    };
    let watch = Watch::new(&kafka, &[("again", 2)]);
    let plain = producer(&kafka, &[]);
    for hour in 0..8 {
        send_hour(&plain, "again", 0, ("1", hour), ROWS);
    }
    send_hour(&plain, "again", 1, ("1", 0), 50);
    let mut service = watch.start();
    service.settle();
    let (status, _) = service.terminate();
    assert!(status.success(), "{status}");
    let counted = watch.used();
    assert_eq!(counted, 8 * ROWS as u64 + 50);

    kafka.delete_topic("again");
    kafka.create_topic("again", 2);
    let plain = producer(&kafka, &[]);
    send_hour(&plain, "again", 0, ("1", 9), 30);
    let mut service = watch.start();
    service.settle();
    // Partition 1 is empty now.
    assert_eq!(watch.number(ALARMED), 2);
    assert_eq!(watch.used(), counted);
    let (status, _) = service.terminate();
    assert!(status.success(), "{status}");

    for partition in ["0", "1"] {
        let reset = [
            "cursors",
            "reset",
            "--topic",
            "again",
            "--partition",
            partition,
        ];
        let reset = watch.run(&reset);
        assert!(reset.status.success(), "{reset:?}");
    }
    let mut service = watch.start();
    service.settle();
    assert_eq!(watch.number(ALARMED), 0);
    assert_eq!(watch.used(), counted + 30);
    send_hour(&plain, "again", 1, ("1", 9), 30);
    service.settle();
    assert_eq!(watch.used(), counted + 60);

    // Once more, under its feet.
    kafka.delete_topic("again");
    kafka.create_topic("again", 2);
    let plain = producer(&kafka, &[]);
    for partition in 0..2 {
        send_hour(&plain, "again", partition, ("1", 10), 10);
    }
    service.wait_until("the alarm", || watch.number(ALARMED) == 2);
    assert_eq!(watch.used(), counted + 60);
}
