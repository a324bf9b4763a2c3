//! Broken and odd records, as real producers send them, and what becomes of each: used, or rejected with a reason.
//!
//! The table is the point: here it is held against the decoder alone; the end-to-end test sends the same records
//! through the whole service.

use std::sync::Arc;

use driftline::event::{Limits, Millis, Reason, State};
use driftline::ingest::decode::{Decoder, Lookup, Models};
use driftline::profile::layout::FORMAT;
use driftline::profile::{
    CategoricalCells, Cells, CompiledLayout, Field, Layout, LayoutColumn, NumericCells,
};

/// The model that every record of the table names, if it names any that is declared.
pub const MODEL: &str = "power";
/// Event time of the used records, 2025-11-20T12:00:00Z; the table is judged at this time too.
pub const TS: Millis = 1_763_640_000_000;

/// One record of the table.
pub struct Case {
    pub name: &'static str,
    pub payload: Option<Vec<u8>>,
    pub expect: Expect,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expect {
    /// The record is a row; `demand` (numeric) and `day` (categorical) arrived like this.
    Used {
        demand: Demand,
        day: Day,
    },
    Rejected(Reason),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Demand {
    Is(f64),
    NaN,
    Missing(State),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Day {
    Is(&'static str),
    Missing(State),
}

/// The columns that the table speaks of: `demand` numeric, `day` categorical.
pub fn layout() -> Layout {
    let numeric = NumericCells {
        edges: vec![0.0],
        domain: None,
        center: 0.0,
        sum_shift: 0,
        square_shift: 0,
    };
    let categorical = CategoricalCells {
        categories: vec!["tue".into()],
        closed: false,
    };
    let column = |name: &str, cells| LayoutColumn {
        name: name.into(),
        field: Field::Feature,
        cells,
    };
    let columns = vec![
        column("demand", Cells::Numeric(numeric)),
        column("day", Cells::Categorical(categorical)),
    ];
    Layout {
        format: FORMAT,
        columns,
        skipped: Vec::new(),
    }
}

/// At least 25 kinds of trouble. Every record is judged by the default limits.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |name, payload: Vec<u8>, expect| {
        cases.push(Case {
            name,
            payload: Some(payload),
            expect,
        })
    };
    let rejected = Expect::Rejected;
    let used = |demand, day| Expect::Used { demand, day };
    let (one, tue) = (Demand::Is(1.0), Day::Is("tue"));
    let plain = r#""features":{"demand":1,"day":"tue"}"#;
    let text = |text: &str| text.as_bytes().to_vec();
    // A record whose envelope is good, with these members beside it.
    let with = |members: &str| format!(r#"{{"model":"{MODEL}","ts":{TS},{members}}}"#).into_bytes();
    let features =
        |demand: &str, day: &str| with(&format!(r#""features":{{"demand":{demand},"day":{day}}}"#));
    let at = |ts: &str| format!(r#"{{"model":"{MODEL}","ts":{ts},{plain}}}"#).into_bytes();

    case("a good record", with(plain), used(one, tue));

    // Not JSON, or not a record.
    case("empty message", Vec::new(), rejected(Reason::InvalidJson));
    case(
        "bad UTF-8",
        [&with(plain)[..], b"\xff\xfe"].concat(),
        rejected(Reason::NotUtf8),
    );
    case(
        "UTF-16",
        "{\"model\":1}"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect(),
        rejected(Reason::InvalidJson),
    );
    case(
        "truncated",
        with(plain)[..40].to_vec(),
        rejected(Reason::InvalidJson),
    );
    case(
        "two records in one message",
        [with(plain), with(plain)].concat(),
        rejected(Reason::InvalidJson),
    );
    case(
        "trailing garbage",
        [&with(plain)[..], b"\0"].concat(),
        rejected(Reason::InvalidJson),
    );
    case(
        "trailing comma",
        with(r#""features":{},"#),
        rejected(Reason::InvalidJson),
    );
    case(
        "single quotes",
        text("{'model':'power'}"),
        rejected(Reason::InvalidJson),
    );
    case(
        "a raw line break in a text",
        features("1", "\"tu\ne\""),
        rejected(Reason::InvalidJson),
    );
    case(
        "an unknown bare word",
        features("nan", "\"tue\""),
        rejected(Reason::InvalidJson),
    );
    case(
        "a leading zero",
        features("01", "\"tue\""),
        rejected(Reason::InvalidJson),
    );
    case(
        "a list of records",
        [b"[", &with(plain)[..], b"]"].concat(),
        rejected(Reason::NotAnObject),
    );
    case("a text", text("\"power\""), rejected(Reason::NotAnObject));
    case("null as JSON", text("null"), rejected(Reason::NotAnObject));
    case(
        "depth 1,000",
        with(&format!("\"x\":{}{}", "[".repeat(1000), "]".repeat(1000))),
        rejected(Reason::TooDeep),
    );
    case(
        "depth 1,000 of objects, never closed",
        text(&"{\"a\":".repeat(1000)),
        rejected(Reason::TooDeep),
    );
    let padding = format!("{plain},\"x\":\"{}\"", "x".repeat(2_000_000));
    case("2 MB", with(&padding), rejected(Reason::TooLarge));
    let many: Vec<_> = (0..5000).map(|i| format!("\"f{i}\":1")).collect();
    case(
        "5,000 features",
        with(&format!("\"features\":{{{}}}", many.join(","))),
        rejected(Reason::TooManyFields),
    );

    // Envelope.
    case(
        "model missing",
        text(&format!(r#"{{"ts":{TS},{plain}}}"#)),
        rejected(Reason::MissingModel),
    );
    case(
        "model null",
        text(&format!(r#"{{"model":null,"ts":{TS}}}"#)),
        rejected(Reason::MissingModel),
    );
    case(
        "model a number",
        text(&format!(r#"{{"model":7,"ts":{TS}}}"#)),
        rejected(Reason::BadModel),
    );
    case(
        "model empty",
        text(&format!(r#"{{"model":"","ts":{TS}}}"#)),
        rejected(Reason::BadModel),
    );
    case(
        "model with a control character",
        text(&format!(r#"{{"model":"po\u0000wer","ts":{TS}}}"#)),
        rejected(Reason::BadModel),
    );
    case(
        "model of 257 bytes",
        text(&format!(r#"{{"model":"{}","ts":{TS}}}"#, "m".repeat(257))),
        rejected(Reason::BadModel),
    );
    case(
        "an undeclared model",
        text(&format!(r#"{{"model":"stranger","ts":{TS}}}"#)),
        rejected(Reason::UndeclaredModel),
    );
    case(
        "version a list",
        with(&format!(r#""version":[1],{plain}"#)),
        rejected(Reason::BadVersion),
    );
    case(
        "version a whole number",
        with(&format!(r#""version":7,{plain}"#)),
        used(one, tue),
    );
    case(
        "id empty",
        with(&format!(r#""id":"",{plain}"#)),
        rejected(Reason::BadId),
    );
    case(
        "id NaN, as pandas writes a missing one",
        with(&format!(r#""id":NaN,{plain}"#)),
        rejected(Reason::BadId),
    );
    case(
        "id half of a surrogate pair",
        with(&format!(r#""id":"\ud83d",{plain}"#)),
        rejected(Reason::BadId),
    );
    case(
        "id null",
        with(&format!(r#""id":null,{plain}"#)),
        used(one, tue),
    );
    case(
        "ts missing",
        text(&format!(r#"{{"model":"{MODEL}",{plain}}}"#)),
        rejected(Reason::MissingTs),
    );
    case("ts null", at("null"), rejected(Reason::MissingTs));
    case(
        "ts in quotes",
        at("\"1763640000000\""),
        rejected(Reason::BadTs),
    );
    case(
        "ts without an offset",
        at("\"2025-11-20T12:00:00\""),
        rejected(Reason::BadTs),
    );
    case(
        "ts on 30 February",
        at("\"2025-02-30T12:00:00Z\""),
        rejected(Reason::BadTs),
    );
    case("ts zero", at("0"), rejected(Reason::BadTs));
    case(
        "ts of the year 1, Go's zero time",
        at("\"0001-01-01T00:00:00Z\""),
        rejected(Reason::BadTs),
    );
    case(
        "ts in seconds",
        at("1763640000"),
        rejected(Reason::TsInSeconds),
    );
    case(
        "ts in seconds with a fraction",
        at("1763640000.25"),
        rejected(Reason::TsInSeconds),
    );
    case(
        "ts in microseconds",
        at("1763640000000000"),
        rejected(Reason::TsInMicroseconds),
    );
    case(
        "ts in nanoseconds",
        at("1763640000000000000"),
        rejected(Reason::TsInNanoseconds),
    );
    case(
        "ts in the year 9999",
        at("\"9999-12-31T23:59:59Z\""),
        rejected(Reason::FutureTimestamp),
    );
    case(
        "ts in the year 9999 as milliseconds",
        at("253402300799000"),
        rejected(Reason::FutureTimestamp),
    );
    case(
        "ts with an offset",
        at("\"2025-11-20T22:30:00.000+10:30\""),
        used(one, tue),
    );

    // Values: never a reason to refuse the record.
    case(
        "bare NaN",
        features("NaN", "\"tue\""),
        used(Demand::NaN, tue),
    );
    case(
        "bare infinities",
        features("-Infinity", "Infinity"),
        used(Demand::Is(f64::NEG_INFINITY), Day::Is("Infinity")),
    );
    case(
        "bare NaN for a text",
        features("1", "NaN"),
        used(one, Day::Missing(State::Null)),
    );
    case(
        "quoted NaN",
        features("\"NaN\"", "\"NaN\""),
        used(Demand::NaN, Day::Is("NaN")),
    );
    case(
        "quoted number",
        features("\"1.5\"", "\"tue\""),
        used(Demand::Missing(State::WrongType), tue),
    );
    case(
        "a number beyond f64",
        features("1e999", "\"tue\""),
        used(Demand::Is(f64::INFINITY), tue),
    );
    case(
        "a number of 400 digits",
        features(&"9".repeat(400), "\"tue\""),
        used(Demand::Is(f64::INFINITY), tue),
    );
    case(
        "nulls",
        features("null", "null"),
        used(Demand::Missing(State::Null), Day::Missing(State::Null)),
    );
    case(
        "lists and objects",
        features("[1]", "{}"),
        used(
            Demand::Missing(State::WrongType),
            Day::Missing(State::WrongType),
        ),
    );
    case(
        "booleans",
        features("true", "true"),
        used(Demand::Missing(State::WrongType), Day::Is("true")),
    );
    case(
        "a number for a text",
        features("1", "7.0"),
        used(one, Day::Is("7")),
    );
    case(
        "half of a surrogate pair",
        features("1", r#""\ud83d""#),
        used(one, Day::Missing(State::WrongType)),
    );
    case(
        "no features",
        with(r#""tags":{}"#),
        used(Demand::Missing(State::Absent), Day::Missing(State::Absent)),
    );
    case(
        "features a list",
        with(r#""features":[1,2]"#),
        used(
            Demand::Missing(State::WrongType),
            Day::Missing(State::WrongType),
        ),
    );
    case(
        "features null",
        with(r#""features":null"#),
        used(Demand::Missing(State::Null), Day::Missing(State::Null)),
    );

    // Odd, but good.
    case(
        "byte order mark",
        [b"\xef\xbb\xbf", &with(plain)[..]].concat(),
        used(one, tue),
    );
    case(
        "keys in another order",
        text(&format!(r#"{{{plain},"ts":{TS},"model":"{MODEL}"}}"#)),
        used(one, tue),
    );
    case(
        "escapes in keys and model",
        text(&format!(
            r#"{{"mod\u0065l":"p\u006fwer","ts":{TS},{plain}}}"#
        )),
        used(one, tue),
    );
    case(
        "blanks everywhere",
        text(&format!(
            "\r\n{{ \"model\" :\t\"{MODEL}\" , \"ts\" : {TS} , {plain} }}\n"
        )),
        used(one, tue),
    );
    case(
        "unknown fields",
        with(&format!(r#"{plain},"extra":{{"deep":[1,{{}}]}}"#)),
        used(one, tue),
    );
    case(
        "a key twice: the last wins",
        with(r#""features":{"demand":7,"demand":1,"day":null,"day":"tue"}"#),
        used(one, tue),
    );
    case(
        "features twice: the last wins",
        with(&format!(r#""features":{{"demand":7,"other":2}},{plain}"#)),
        used(one, tue),
    );
    case(
        "model twice: the last wins",
        text(&format!(
            r#"{{"model":"stranger","ts":{TS},{plain},"model":"{MODEL}"}}"#
        )),
        used(one, tue),
    );

    cases.push(Case {
        name: "null payload (a tombstone)",
        payload: None,
        expect: rejected(Reason::NullPayload),
    });
    cases
}

struct OneModel(Arc<CompiledLayout>);

impl Models for OneModel {
    fn lookup(&self, model: &str) -> Lookup {
        if model == MODEL {
            Lookup::Known(Arc::clone(&self.0))
        } else {
            Lookup::Undeclared
        }
    }
}

fn decode(decoder: &mut Decoder, models: &OneModel, payload: Option<&[u8]>) -> Expect {
    if let Err(rejection) = decoder.push(0, payload, TS, models) {
        assert!(
            !rejection.detail.is_empty() && rejection.detail.len() <= 200,
            "{rejection}"
        );
        return Expect::Rejected(rejection.reason);
    }
    let decoded = decoder.take();
    let batch = &decoded[0].batch;
    assert_eq!((batch.rows(), batch.ts[0], &*batch.model), (1, TS, MODEL));
    let missing = |column: usize| match batch.columns[column].states[0] {
        1 => Some(State::Null),
        2 => Some(State::Absent),
        3 => Some(State::WrongType),
        _ => None,
    };
    let demand = match (
        missing(0),
        batch.columns[0].numbers().expect("numbers").value(0),
    ) {
        (Some(state), _) => Demand::Missing(state),
        (None, value) if value.is_nan() => Demand::NaN,
        (None, value) => Demand::Is(value),
    };
    let day = match (
        missing(1),
        batch.columns[1].texts().expect("texts").value(0),
    ) {
        (Some(state), _) => Day::Missing(state),
        // The table's texts live as long as the program; these few are leaked for that.
        (None, value) => Day::Is(value.to_owned().leak()),
    };
    Expect::Used { demand, day }
}

#[test]
fn each_record_of_the_table_becomes_what_it_says() {
    let models = OneModel(Arc::new(CompiledLayout::new(Arc::new(layout()))));
    // One decoder for all, so that what a record leaves behind would show; then a fresh one for each.
    let mut decoder = Decoder::new(Limits::default(), []);
    for Case {
        name,
        payload,
        expect,
    } in cases()
    {
        assert_eq!(
            decode(&mut decoder, &models, payload.as_deref()),
            expect,
            "{name}"
        );
        let mut fresh = Decoder::new(Limits::default(), []);
        assert_eq!(
            decode(&mut fresh, &models, payload.as_deref()),
            expect,
            "{name}, on its own"
        );
    }
}

#[test]
fn the_table_has_many_kinds_and_no_two_alike() {
    let cases = cases();
    let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len());
    assert!(cases.len() >= 25);
}
