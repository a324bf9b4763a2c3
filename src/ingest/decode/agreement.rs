//! The decoder against its plain definition, and what the definition cannot say: limits, batches, restarts.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::definition::{self, Cell, Row};
use super::json::{Scanner, Token};
use super::*;
use crate::event::{State, id_hash};
use crate::profile::layout::FORMAT;
use crate::profile::{CategoricalCells, Cells, Field, Layout, LayoutColumn, NumericCells};

const NOW: Millis = 1_763_613_060_123;

struct World(BTreeMap<String, Lookup>);

impl Models for World {
    fn lookup(&self, model: &str) -> Lookup {
        self.0.get(model).cloned().unwrap_or(Lookup::Undeclared)
    }
}

fn column(name: &str, field: Field, numeric: bool) -> LayoutColumn {
    let cells = if numeric {
        Cells::Numeric(NumericCells {
            edges: vec![0.0],
            domain: None,
            center: 0.0,
            sum_shift: 0,
            square_shift: 0,
        })
    } else {
        Cells::Categorical(CategoricalCells {
            categories: vec!["a".into()],
            closed: false,
        })
    };
    LayoutColumn {
        name: field.column_name(name),
        field,
        cells,
    }
}

fn lookup(columns: Vec<LayoutColumn>) -> Lookup {
    let skipped = vec![("ref".to_owned(), "excluded".to_owned())];
    Lookup::Known(Arc::new(CompiledLayout::new(Arc::new(Layout {
        format: FORMAT,
        columns,
        skipped,
    }))))
}

fn world() -> World {
    let power = vec![
        column("demand", Field::Feature, true),
        column("day", Field::Feature, false),
        column("zip", Field::Feature, false),
        column("emb", Field::Vector(2), true),
        column("", Field::Element("emb".into(), 0), true),
        column("", Field::Element("emb".into(), 1), true),
        column("", Field::Label, false),
        column("", Field::Score("up".into()), true),
        column("", Field::Latency, true),
    ];
    let price = vec![
        column("", Field::Value, true),
        column("", Field::Values("a".into()), true),
        column("day", Field::Feature, true),
        column("demand", Field::Feature, false),
    ];
    let models = [
        ("power", lookup(power)),
        ("price", lookup(price)),
        ("young", Lookup::Learning),
    ];
    World(
        models
            .map(|(name, lookup)| (name.to_owned(), lookup))
            .into(),
    )
}

fn rows(decoded: &[Decoded]) -> BTreeMap<i64, Row> {
    let mut rows = BTreeMap::new();
    for Decoded { batch, layout, .. } in decoded {
        assert!(batch.offsets.is_sorted());
        assert_eq!(
            batch.columns.len(),
            layout
                .as_ref()
                .map_or(0, |layout| layout.layout.columns.len())
        );
        for (i, offset) in batch.offsets.iter().enumerate() {
            let cell = |column: &crate::event::Column| {
                assert_eq!(arrow::array::Array::len(&column.values), batch.rows());
                let valid = arrow::array::Array::is_valid(&column.values, i);
                assert_eq!(valid, column.states[i] == State::Value as u8);
                match (column.numbers(), column.texts()) {
                    _ if !valid => Cell::Missing(column.states[i]),
                    (Some(numbers), _) => definition::number(numbers.value(i)),
                    (_, Some(texts)) => Cell::Text(texts.value(i).to_owned()),
                    _ => panic!("a column of another type"),
                }
            };
            let unknown: Vec<_> = batch
                .unknown_fields
                .iter()
                .filter(|(row, _)| *row as usize == i)
                .map(|(_, name)| name.clone())
                .collect();
            assert!(unknown.is_sorted_by(|a, b| a < b), "{unknown:?}");
            let row = Row {
                model: batch.model.to_string(),
                version: batch.version_names[batch.versions[i] as usize].clone(),
                id: batch.id_hashes[i].map(|hash| hash.to_string()),
                ts: batch.ts[i],
                cells: batch.columns.iter().map(cell).collect(),
                unknown: unknown.into_iter().collect(),
            };
            rows.insert(*offset, row);
        }
    }
    rows
}

/// Values of every kind, good for something or not.
fn value() -> impl Strategy<Value = String> {
    let plain = select(vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "7",
        "-3.25",
        "0.30000000000000004",
        "123456789.12345678",
        "1e5",
        "2E-3",
        "1e999",
        "-1e999",
        "5e-324",
        "9007199254740993",
        "12345678901234567890",
        "NaN",
        "Infinity",
        "-Infinity",
        r#""NaN""#,
        r#""Infinity""#,
        r#""-Infinity""#,
        r#""""#,
        r#""a""#,
        r#""tue""#,
        r#""\u0061\n\"\\""#,
        r#""\ud800""#,
        r#""\ud83d\ude00 \udc00""#,
        r#""é 日本""#,
        "[]",
        "[1, [2, {}]]",
        "[1, 2.5]",
        "[ -1e200,1e-7 ]",
        "[NaN, \"Infinity\"]",
        "[1, 2, 3]",
        "[1, null]",
        "[1, \"x\"]",
        "{}",
        r#"{"a":1,"a":2}"#,
        r#""1.5""#,
        " 4 ",
    ]);
    plain.prop_map(str::to_owned)
}

fn object(
    keys: &'static [&'static str],
    value: impl Strategy<Value = String> + 'static,
) -> BoxedStrategy<String> {
    let member = (select(keys), value).prop_map(|(key, value)| format!("\"{key}\":{value}"));
    prop::collection::vec(member, 0..6)
        .prop_map(|members| format!("{{{}}}", members.join(",")))
        .boxed()
}

fn mostly(good: BoxedStrategy<String>) -> BoxedStrategy<String> {
    prop_oneof![9 => good, 1 => value()].boxed()
}

fn texts(texts: &'static [&'static str]) -> BoxedStrategy<String> {
    select(texts).prop_map(str::to_owned).boxed()
}

/// A record's text: members in any order, some twice; then perhaps damaged.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let model = texts(&[
        r#""power""#,
        r#""price""#,
        r#""power""#,
        r#""young""#,
        r#""stranger""#,
        r#""po\u0077er""#,
    ]);
    let ts = texts(&[
        "1763613060123",
        r#""2025-11-20T04:31:00.5+10:00""#,
        "1763613060",
        r#""9999-12-31T00:00:00Z""#,
    ]);
    let features = object(
        &[
            "demand",
            "day",
            "zip",
            "emb",
            "em\\u0062",
            "emb[0]",
            "new",
            "ref",
            "d\\u0061y",
            "x\\ud800",
        ],
        value(),
    );
    let scores = object(&["up", "down"], value());
    let prediction = prop::collection::vec(
        prop_oneof![
            value().prop_map(|value| format!("\"label\":{value}")),
            value().prop_map(|value| format!("\"value\":{value}")),
            mostly(scores).prop_map(|value| format!("\"scores\":{value}")),
            mostly(object(&["a", "b"], value())).prop_map(|value| format!("\"values\":{value}")),
            value().prop_map(|value| format!("\"odd\":{value}")),
        ],
        0..5,
    );
    let prediction = prediction
        .prop_map(|members| format!("{{{}}}", members.join(", ")))
        .boxed();
    let rest = prop::collection::vec(
        prop_oneof![
            3 => mostly(features.clone()).prop_map(|value| format!("\"features\":{value}")),
            2 => mostly(prediction).prop_map(|value| format!("\"prediction\" : {value}")),
            1 => value().prop_map(|value| format!("\"latency_ms\":{value}")),
            1 => value().prop_map(|value| format!("\"version\":{value}")),
            1 => value().prop_map(|value| format!("\"id\":{value}")),
            1 => (select(vec!["tags", "$", "extra", "weight"]), value()).prop_map(|(key, value)| format!("\"{key}\":{value}")),
            1 => value().prop_map(|value| format!("\"model\":{value}")),
        ],
        0..6,
    );
    let members = (mostly(model), mostly(ts), rest).prop_flat_map(|(model, ts, mut rest)| {
        rest.push(format!("\"model\":{model}"));
        rest.push(format!("\"ts\":{ts}"));
        Just(rest).prop_shuffle()
    });
    let damage = prop_oneof![
        8 => Just(None),
        2 => (any::<prop::sample::Index>(), select(vec!["", ",", "\"", "}", "{", "[[[[[[[", "1", "-", "NaN", "\\", "\u{1}", "é", " "]), any::<bool>())
            .prop_map(Some),
    ];
    (members, damage).prop_map(|(members, damage)| {
        let mut text = format!("{{{}}}", members.join(","));
        if let Some((at, with, cut)) = damage {
            let mut at = at.index(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            if cut && with.is_empty() {
                text.truncate(at);
            } else if cut {
                let end = (at + 1..=text.len())
                    .find(|end| text.is_char_boundary(*end))
                    .unwrap_or(at);
                text.replace_range(at..end, with);
            } else {
                text.insert_str(at, with);
            }
        }
        text.into_bytes()
    })
}

fn limits() -> Limits {
    Limits {
        depth: 6,
        ..Limits::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every record becomes what the definition says, whatever came before it and wherever batches are cut.
    #[test]
    fn the_decoder_agrees_with_its_definition(
        records in prop::collection::vec((record(), prop::bool::weighted(0.2)), 1..12),
    ) {
        let (world, limits) = (world(), limits());
        let mut decoder = Decoder::new(limits.clone(), []);
        let (mut found, mut expected) = (BTreeMap::new(), BTreeMap::new());
        for (offset, (record, cut)) in records.iter().enumerate() {
            let offset = offset as i64;
            let shown = String::from_utf8_lossy(record);
            let pushed = decoder.push(offset, Some(record), NOW, &world);
            match definition::decode(record, &limits, NOW, &world) {
                Ok(mut row) => {
                    prop_assert!(pushed.is_ok(), "{} is {:?}", shown, pushed);
                    row.id = row.id.map(|id| id_hash(&row.model, &row.version, &id).to_string());
                    expected.insert(offset, row);
                }
                Err(reason) => prop_assert_eq!(pushed.map_err(|rejection| rejection.reason), Err(reason), "{}", shown),
            }
            if *cut {
                found.extend(rows(&decoder.take()));
            }
        }
        found.extend(rows(&decoder.take()));
        for (offset, row) in &expected {
            prop_assert_eq!(found.get(offset), Some(row), "{}", String::from_utf8_lossy(&records[*offset as usize].0));
        }
        prop_assert_eq!(found.len(), expected.len());
    }

    /// Numbers are rounded as the standard library rounds them.
    #[test]
    fn numbers_are_exact(value in any::<f64>().prop_filter("finite", |value| value.is_finite()), digits in 0usize..20) {
        for literal in [format!("{value:?}"), format!("{value:e}"), format!("{:.digits$}", value % 1e9)] {
            let Ok(Token::Number(number)) = Scanner::new(&literal, Bounds { depth: 1, members: 1 }).token() else {
                panic!("{literal} is no number")
            };
            prop_assert_eq!(number.value.to_bits(), literal.parse::<f64>().expect("a number").to_bits(), "{}", literal);
        }
    }

    /// A refusal is the same whatever the decoder has seen before.
    #[test]
    fn a_refusal_depends_on_the_record_alone(before in record(), record in record()) {
        let world = world();
        let fresh = Decoder::new(limits(), []).push(0, Some(&record), NOW, &world).err();
        let mut used = Decoder::new(limits(), []);
        let _ = used.push(0, Some(&before), NOW, &world);
        prop_assert_eq!(used.push(1, Some(&record), NOW, &world).err(), fresh);
    }
}

fn simple(model: &str) -> Vec<u8> {
    format!(r#"{{"model":"{model}","ts":{NOW},"features":{{"demand":1}}}}"#).into_bytes()
}

#[test]
fn models_beyond_the_limit_are_refused_also_after_a_restart() {
    let world = world();
    let limits = Limits {
        models: 2,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(limits.clone(), []);
    let refused = |decoder: &mut Decoder, model| {
        decoder
            .push(0, Some(&simple(model)), NOW, &world)
            .err()
            .map(|rejection| rejection.reason)
    };
    assert_eq!(refused(&mut decoder, "power"), None);
    assert_eq!(refused(&mut decoder, "young"), None);
    assert_eq!(refused(&mut decoder, "price"), Some(Reason::TooManyModels));
    assert_eq!(
        refused(&mut decoder, "stranger"),
        Some(Reason::UndeclaredModel)
    );
    assert_eq!(refused(&mut decoder, "power"), None);
    let mut restarted = Decoder::new(limits, ["young", "power"]);
    assert_eq!(
        refused(&mut restarted, "price"),
        Some(Reason::TooManyModels)
    );
    assert_eq!(refused(&mut restarted, "power"), None);
}

#[test]
fn a_layout_made_between_batches_is_used_from_the_next_one_on() {
    let mut world = world();
    let mut decoder = Decoder::new(Limits::default(), []);
    assert!(
        decoder
            .push(0, Some(&simple("young")), NOW, &world)
            .expect("accepted")
            .learning
    );
    world.0.insert(
        "young".into(),
        lookup(vec![column("demand", Field::Feature, true)]),
    );
    assert!(
        decoder
            .push(1, Some(&simple("young")), NOW, &world)
            .expect("accepted")
            .learning
    );
    let first = decoder.take();
    assert_eq!(
        (first[0].batch.rows(), first[0].batch.columns.len()),
        (2, 0)
    );
    assert!(
        !decoder
            .push(2, Some(&simple("young")), NOW, &world)
            .expect("accepted")
            .learning
    );
    let second = decoder.take();
    assert_eq!(second[0].model, first[0].model);
    assert_eq!(
        second[0].batch.columns[0]
            .numbers()
            .expect("numbers")
            .values()
            .to_vec(),
        [1.0]
    );
    assert!(decoder.take().is_empty());
}

#[test]
fn only_names_of_accepted_records_take_up_room() {
    struct Anything;
    impl Models for Anything {
        fn lookup(&self, _: &str) -> Lookup {
            Lookup::Learning
        }
    }
    let mut decoder = Decoder::new(Limits::default(), []);
    for i in 0..100 {
        let record = format!(
            r#"{{"model":"m{i}","ts":{}}}"#,
            if i % 10 == 0 { NOW } else { 0 }
        );
        let _ = decoder.push(i, Some(record.as_bytes()), NOW, &Anything);
    }
    assert_eq!(
        (decoder.models.len(), decoder.places.len(), decoder.rows()),
        (10, 10, 10)
    );
}

#[test]
fn observed_values_reach_the_sample_once() {
    let mut sample = crate::profile::Sample::new();
    assert!(observe(
        br#"{"features":{"a":1,"a":NaN,"b":"x"},"prediction":{"scores":{"up":0.5}},"latency_ms":2}"#,
        &mut sample
    ));
    assert!(observe(b"{}", &mut sample));
    for broken in [&b"[]"[..], b"{", b"\xff", b"{}x"] {
        assert!(!observe(broken, &mut sample));
    }
    assert_eq!(sample.rows(), 2);
}
