//! What other clients write: every compression, tombstones, and a producer in Java.

use rdkafka::producer::Producer as _;

use crate::broker::Kafka;
use crate::watch::{DEAD_LETTERS, PATIENCE, Watch, producer, row, send, send_hour};

const ROWS: i64 = 400;
const HOURS: i64 = 9;
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Formats that Java and librdkafka frame in code of their own. Java chooses the partition itself, so each has a topic.
const BY_JAVA: [(&str, &str); 2] = [("java-snappy", "snappy"), ("java-lz4", "lz4")];
const JAVA_PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
const TOMBSTONES: u64 = 3;

#[test]
fn every_compression_and_a_java_client_give_the_same_windows() {
    let Some(kafka) = Kafka::start("compressions and a Java client") else {
        return;
    };
    let partitions = CODECS.len() as i32;
    let watch = Watch::new(
        &kafka,
        &[("codecs", partitions), (BY_JAVA[0].0, 1), (BY_JAVA[1].0, 1)],
    );

    // The same hours once in each compression, as a version of their own.
    for (partition, codec) in (0..partitions).zip(CODECS) {
        let producer = producer(&kafka, &[("compression.type", codec), ("linger.ms", "50")]);
        for hour in 0..HOURS {
            send_hour(&producer, "codecs", partition, (codec, hour), ROWS);
        }
        if codec != "none" {
            let bytes = |partition| kafka.file_bytes("codecs", partition);
            assert!(
                bytes(partition) * 2 < bytes(0),
                "{codec} has not compressed: {} and {} bytes",
                bytes(partition),
                bytes(0)
            );
        }
    }
    for (topic, codec) in BY_JAVA {
        let rows = (0..HOURS).flat_map(|hour| (0..ROWS).map(move |i| (hour, i)));
        let lines: String = rows
            .map(|(hour, i)| row(topic, hour, i, ROWS) + "\n")
            .collect();
        let arguments = ["--topic", topic, "--compression-codec", codec];
        let ended = kafka.run_class(JAVA_PRODUCER, &arguments, &lines);
        assert!(
            ended.status.success(),
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
    // Tombstones stand between records, and at an end.
    let plain = producer(&kafka, &[]);
    for _ in 1..TOMBSTONES {
        send(&plain, "codecs", 0, None);
    }
    send(&plain, "codecs", 0, Some(&row("none", HOURS, 0, ROWS)));
    send(&plain, "codecs", 0, None);
    plain
        .flush(PATIENCE)
        .expect("the broker takes every record");

    let mut service = watch.start();
    service.settle();
    let versions = CODECS.len() + BY_JAVA.len();
    assert_eq!(
        watch.used(),
        1 + versions as u64 * (HOURS * ROWS).cast_unsigned()
    );
    assert_eq!(watch.number("SELECT sum(late + duplicate) FROM cursors"), 0);
    let tombstones = "SELECT count(*) FROM rejections WHERE reason = 'null_payload'";
    assert_eq!(watch.number(tombstones), TOMBSTONES);
    // The hour that nothing has ended yet is not closed.
    let same = format!(
        "SELECT count(*) FROM (SELECT 1 FROM windows WHERE revision = 0 GROUP BY window_start
         HAVING count(DISTINCT version) = {versions} AND count(DISTINCT profile) = 1 AND count(DISTINCT verdict) = 1
            AND min(rows) = {ROWS} AND max(rows) = {ROWS})"
    );
    assert_eq!(watch.number(&same), HOURS.cast_unsigned() - 1);
    service.wait_until("the copies of the tombstones", || {
        let (_, end) = kafka.ends(DEAD_LETTERS, 0).unwrap_or_default();
        end.cast_unsigned() >= TOMBSTONES
    });
}
