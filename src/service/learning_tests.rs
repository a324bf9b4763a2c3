use super::*;
use crate::event::{DAY, RecordKind};
use crate::ingest::partition::{Message, PartitionState};
use crate::ingest::sightings::DedupeSpec;
use crate::rules::{self, Declarations};
use crate::store::testing::scratch;
use crate::store::{CommitOutcome, load_partition};

/// A Tuesday in 2026.
const START: Millis = 1_767_657_600_000;

fn catalogue() -> Arc<Catalogue> {
    let mut declared = rules::parse("m.yaml", "model: m\ntask: none\nwindow: {every: 1d}\n")
        .expect("a declaration");
    declared[0].rows = Rows::Sample(0.7);
    Arc::new(Catalogue::new(
        Declarations::new(declared).expect("one declaration"),
    ))
}

fn partition(number: i32) -> Partition {
    Partition {
        topic: "p".to_owned(),
        partition: number,
    }
}

/// Days of records of three versions, some without id or value, over two partitions; out of order in time.
fn records(number: i32) -> Vec<String> {
    (0..6_000)
        .map(|i: i64| {
            let ts = START + i * 40_000 - (i % 7) * 900_000;
            let id = if i % 11 == 0 { "null".to_owned() } else { format!("\"{number}-{i}\"") };
            let x = if i % 13 == 0 { "null".to_owned() } else { format!("{}", (i * 31 % 997) as f64 / 8.0) };
            format!(
                r#"{{"model":"m","version":"{}","id":{id},"ts":{ts},"features":{{"x":{x},"c":"k{}"}}}}"#,
                i * 3 / 6_000,
                i % 5
            )
        })
        .collect()
}

fn read(store: &Store, catalogue: &Arc<Catalogue>, number: i32) {
    let partition = partition(number);
    let wanted = partition.clone();
    let mut state = PartitionState::load(
        partition,
        RecordKind::Predictions,
        0,
        store
            .read(move |conn| load_partition(conn, &wanted))
            .expect("reads"),
        &Limits::default(),
        &DedupeSpec::default(),
        store.clone(),
        Arc::clone(catalogue),
    );
    for (offset, record) in (0..).zip(records(number)) {
        state.push(&Message {
            offset,
            payload: Some(record.as_bytes()),
            broker_ts: None,
            latest_ts: START + 100 * DAY,
        });
        if offset % 700 == 0 {
            state.absorb().expect("absorbed");
        }
    }
    state.absorb().expect("absorbed");
    let commit = state.commit(5).expect("a commit");
    let outcome = store
        .write(move |tx| crate::store::commit(tx, &[commit]))
        .expect("written");
    assert!(
        matches!(outcome[..], [CommitOutcome::Done { .. }]),
        "{outcome:?}"
    );
}

/// What a store holds of the model: partials by their key, and the rows of the lake as text.
fn content(store: &Store) -> (Vec<String>, String) {
    store
        .read(|conn| {
            let mut statement = conn.prepare(
                "SELECT topic, partition, version, pane_start, epoch, from_offset, to_offset, rows, hex(profile)
                 FROM partials ORDER BY 1, 2, 3, 4, 5",
            )?;
            let rows = statement.query_map([], |row| {
                let cells: Vec<String> = (0..9)
                    .map(|place| row.get_ref(place).map(|cell| format!("{cell:?}")))
                    .collect::<Result<_, _>>()?;
                Ok(cells.join(" "))
            })?;
            let partials = rows.collect::<Result<_, _>>()?;
            let batches = lake::buffered(conn, lake::Kind::Rows, "m", Millis::MIN..Millis::MAX)?;
            let schema = batches[0].schema();
            let all = arrow::compute::concat_batches(&schema, &batches).map_err(StoreError::lake)?;
            Ok((partials, format!("{all:?}")))
        })
        .expect("reads")
}

#[test]
fn rows_that_waited_for_their_layout_end_as_those_that_did_not() {
    let (_dir, waiting) = scratch();
    let known = catalogue();
    for number in 0..2 {
        read(&waiting, &known, number);
    }
    let model = known.get("m").expect("declared");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let partitions = [partition(0), partition(1)];
    let limits = Limits::default();
    let made = make_layout(
        &waiting,
        &known,
        &model,
        &partitions,
        &limits,
        runtime.handle(),
    );
    assert!(made.expect("made"));
    let left = waiting
        .read(|conn| pending::size(conn, "m"))
        .expect("reads");
    assert_eq!(left.rows, 0);

    let (_dir, straight) = scratch();
    let stored = waiting.read(|conn| layouts::get(conn, "m")).expect("reads");
    let stored = stored.expect("made above");
    let again = catalogue();
    again.set_layout("m", Layout::from_json(&stored.body).expect("a layout"));
    straight
        .write(move |tx| layouts::insert_if_absent(tx, "m", &stored))
        .expect("written");
    for number in 0..2 {
        read(&straight, &again, number);
    }
    let (found, expect) = (content(&waiting), content(&straight));
    assert_eq!(found.0, expect.0);
    assert!(found.0.len() >= 10, "{}", found.0.len());
    assert_eq!(found.1, expect.1);
}
