use super::*;
use crate::ingest::broker::{EmbeddedBroker, TopicSpec};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedHeaders, Headers};
use rdkafka::producer::BaseProducer;
use rdkafka::{Offset, TopicPartitionList};

const WAIT: Duration = Duration::from_secs(20);

/// The consumer goes first: without its broker it would wait for an answer.
struct Kafka {
    consumer: BaseConsumer,
    client: ClientConfig,
    _broker: EmbeddedBroker,
}

fn kafka() -> Kafka {
    let topics: Vec<TopicSpec> = ["source:2", "dead:1"]
        .map(|text| text.parse().expect("a topic"))
        .into();
    let broker = EmbeddedBroker::start(&topics).expect("the broker starts");
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker.bootstrap_servers());
    let consumer = client
        .clone()
        .set("group.id", "test")
        .set("enable.partition.eof", "false")
        .create()
        .expect("a consumer");
    Kafka {
        consumer,
        client,
        _broker: broker,
    }
}

impl Kafka {
    fn produce(
        &self,
        partition: i32,
        key: Option<&str>,
        payload: Option<&[u8]>,
        headers: Option<OwnedHeaders>,
    ) {
        let producer: BaseProducer = self
            .client
            .clone()
            .set("message.max.bytes", "4000000")
            .create()
            .expect("a producer");
        let mut record = BaseRecord::<str, [u8]>::to("source")
            .partition(partition)
            .timestamp(1_763_613_060_123);
        record.key = key;
        record.payload = payload;
        record.headers = headers;
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("queued");
        producer.flush(WAIT).expect("delivered");
    }

    fn assign(&self, topic: &str, partition: i32) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .expect("an offset");
        self.consumer.assign(&list).expect("assigned");
    }

    fn next(&self) -> BorrowedMessage<'_> {
        // A poll also returns for events that are no message.
        let deadline = std::time::Instant::now() + WAIT;
        while std::time::Instant::now() < deadline {
            if let Some(message) = self.consumer.poll(WAIT) {
                return message.expect("no error");
            }
        }
        panic!("no message in time");
    }

    fn letters(&self, message_bytes: usize, queue_bytes: usize) -> DeadLetters {
        let config = DeadLetterConfig {
            topic: "dead".into(),
            message_bytes,
            queue_bytes,
        };
        DeadLetters::new(config, &self.client).expect("a producer")
    }
}

fn rejection() -> Rejection {
    Rejection {
        reason: Reason::InvalidJson,
        model: None,
        detail: "the JSON ends too early".into(),
    }
}

fn header(headers: &BorrowedHeaders, key: &str) -> Option<String> {
    let header = headers.iter().find(|header| header.key == key)?;
    header
        .value
        .map(|value| String::from_utf8_lossy(value).into_owned())
}

fn source(partition: i32) -> Partition {
    Partition {
        topic: "source".into(),
        partition,
    }
}

#[test]
fn a_copy_keeps_everything_and_says_where_it_came_from() {
    let kafka = kafka();
    let theirs = OwnedHeaders::new().insert(Header {
        key: "trace",
        value: Some("abc"),
    });
    kafka.produce(1, Some("first"), Some(b"{}"), None);
    kafka.produce(1, Some("key"), Some(b"{\"mo"), Some(theirs));
    kafka.assign("source", 1);
    kafka.next();
    let letters = kafka.letters(MESSAGE_BYTES, 1 << 20);
    let copy = letters.copy(&kafka.next(), &rejection()).expect("room");
    assert!(letters.waiting_bytes() > 0);
    letters.send(copy);
    letters.flush(WAIT).expect("delivered");

    kafka.assign("dead", 0);
    let message = kafka.next();
    assert_eq!(
        (message.key(), message.payload()),
        (Some(&b"key"[..]), Some(&b"{\"mo"[..]))
    );
    let headers = message.headers().expect("headers");
    let expect = [
        ("trace", Some("abc")),
        (ORIGIN_TOPIC, Some("source")),
        (ORIGIN_PARTITION, Some("1")),
        (ORIGIN_OFFSET, Some("1")),
        (ORIGIN_TIMESTAMP, Some("1763613060123")),
        (REASON, Some("invalid_json")),
        (MESSAGE, Some("the JSON ends too early")),
        (TRUNCATED, None),
        (ORIGIN_BYTES, None),
    ];
    for (key, value) in expect {
        assert_eq!(header(headers, key).as_deref(), value, "{key}");
    }
    assert_eq!(
        letters.take_copied(),
        BTreeMap::from([(source(1), vec![1])])
    );
    assert_eq!(letters.take_copied(), BTreeMap::new());
    assert_eq!(
        letters.counts(),
        DeadLetterCounts {
            copied: 1,
            ..Default::default()
        }
    );
    assert_eq!(letters.waiting_bytes(), 0);
}

#[test]
fn a_large_value_is_cut_and_a_null_one_stays_null() {
    let kafka = kafka();
    kafka.produce(0, None, Some(&vec![b'x'; 2_000_000]), None);
    kafka.produce(0, Some("gone"), None, None);
    kafka.assign("source", 0);
    let letters = kafka.letters(100_000, 1 << 20);
    for _ in 0..2 {
        letters.send(letters.copy(&kafka.next(), &rejection()).expect("room"));
    }
    letters.flush(WAIT).expect("delivered");
    kafka.assign("dead", 0);
    let large = kafka.next();
    let length = large.payload().map_or(0, <[u8]>::len);
    assert!((90_000..100_000).contains(&length), "{length}");
    let headers = large.headers().expect("headers");
    assert_eq!(header(headers, TRUNCATED).as_deref(), Some("true"));
    assert_eq!(header(headers, ORIGIN_BYTES).as_deref(), Some("2000000"));
    let tombstone = kafka.next();
    assert_eq!(
        (tombstone.key(), tombstone.payload()),
        (Some(&b"gone"[..]), None)
    );
    assert_eq!(letters.counts().copied, 2);
}

#[test]
fn copies_that_wait_are_bounded() {
    let kafka = kafka();
    kafka.produce(0, None, Some(&[b'x'; 1_000]), None);
    kafka.assign("source", 0);
    let message = kafka.next();
    let letters = kafka.letters(MESSAGE_BYTES, 10_000);
    let held: Vec<_> = (0..5)
        .filter_map(|_| letters.copy(&message, &rejection()))
        .collect();
    assert_eq!((held.len(), letters.counts().no_room), (3, 2));
    assert!(letters.waiting_bytes() <= 10_000);
    drop(held);
    assert_eq!(letters.waiting_bytes(), 0);
}

#[test]
fn an_unwritable_topic_is_counted_and_blocks_nobody() {
    let kafka = kafka();
    kafka.produce(0, None, Some(b"x"), None);
    kafka.assign("source", 0);
    let message = kafka.next();
    let config = DeadLetterConfig {
        topic: "no such name!".into(),
        message_bytes: MESSAGE_BYTES,
        queue_bytes: 1 << 20,
    };
    let mut nowhere = kafka.client.clone();
    nowhere.set("bootstrap.servers", "127.0.0.1:1");
    let letters = DeadLetters::new(config, &nowhere).expect("a producer");
    letters.send(letters.copy(&message, &rejection()).expect("room"));
    assert!(
        letters.flush(Duration::from_millis(50)).is_err(),
        "it is still being tried"
    );
    assert!(letters.waiting_bytes() > 0);
    assert_eq!(letters.take_copied(), BTreeMap::new());
}

#[test]
fn what_was_not_copied_is_replayed_from_the_source() {
    let kafka = kafka();
    for i in 0..6 {
        kafka.produce(i % 2, None, Some(format!("record {i}").as_bytes()), None);
    }
    let letters = kafka.letters(MESSAGE_BYTES, 1 << 20);
    let uncopied = |partition, offset| Uncopied {
        partition: source(partition),
        offset,
        reason: Reason::MissingTs,
        detail: "`ts` is not there".into(),
    };
    let wanted = [
        uncopied(0, 1),
        uncopied(1, 0),
        uncopied(1, 2),
        uncopied(1, 77),
    ];
    let replayed = letters
        .replay(&wanted, &kafka.client, WAIT)
        .expect("replayed");
    assert_eq!(
        replayed,
        Replayed {
            sent: 3,
            gone: vec![(source(1), 77)]
        }
    );
    letters.flush(WAIT).expect("delivered");
    kafka.assign("dead", 0);
    let found: Vec<_> = (0..3)
        .map(|_| {
            let message = kafka.next();
            let headers = message.headers().expect("headers");
            let place = [ORIGIN_PARTITION, ORIGIN_OFFSET, REASON]
                .map(|key| header(headers, key).unwrap_or_default());
            (
                place.join(" "),
                String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned(),
            )
        })
        .collect();
    let expect = [
        ("0 1 missing_ts", "record 2"),
        ("1 0 missing_ts", "record 1"),
        ("1 2 missing_ts", "record 5"),
    ];
    assert_eq!(
        found,
        expect.map(|(place, payload)| (place.to_owned(), payload.to_owned()))
    );
    let copied: BTreeMap<_, _> = letters.take_copied();
    assert_eq!(
        copied,
        BTreeMap::from([(source(0), vec![1]), (source(1), vec![0, 2])])
    );
}

#[test]
fn without_a_topic_nothing_is_made() {
    let letters = DeadLetters::none();
    assert_eq!(letters.counts(), DeadLetterCounts::default());
    assert_eq!(
        letters
            .replay(&[], &ClientConfig::new(), WAIT)
            .expect("nothing to do"),
        Replayed::default()
    );
}
