use proptest::prelude::*;

use super::*;
use crate::event::SECOND;

/// Declares every model but `stranger`.
struct Declared;

impl Models for Declared {
    fn lookup(&self, model: &str) -> Lookup {
        if model == "stranger" {
            Lookup::Undeclared
        } else {
            Lookup::Learning
        }
    }
}

const NOW: Millis = 1_763_613_060_000;

fn decode(record: &str) -> Result<Label, Rejection> {
    let mut decoder = LabelDecoder::new(Limits::default(), []);
    decoder.push(Some(record.as_bytes()), NOW, &Declared)
}

/// The members after model, id and ts, and what they say.
#[track_caller]
fn check(members: &str, label: Option<&str>, value: Option<f64>, prediction_ts: Option<Millis>) {
    let record = format!(r#"{{"model":"m","id":"a","ts":{NOW},{members}}}"#);
    let found = decode(&record).expect("accepted");
    assert_eq!(found.label.as_deref(), label, "{record}");
    assert_eq!(found.value, value, "{record}");
    assert_eq!(found.prediction_ts, prediction_ts, "{record}");
    assert_eq!((&*found.model, &*found.id, found.ts), ("m", "a", NOW));
}

#[track_caller]
fn refused(record: &str, reason: Reason, detail: &str) {
    let found = decode(record).expect_err("refused");
    assert_eq!((found.reason, &*found.detail), (reason, detail), "{record}");
}

#[test]
fn labels_are_texts_numbers_and_truth_values() {
    check(r#""label":"up""#, Some("up"), None, None);
    check(r#""label":"""#, Some(""), None, None);
    check(r#""label":1"#, Some("1"), None, None);
    check(r#""label":1.0"#, Some("1"), None, None);
    check(r#""label":-0.5e1"#, Some("-5"), None, None);
    check(r#""label":true"#, Some("true"), None, None);
    check(r#""label":"caf\u00e9""#, Some("café"), None, None);
    check(r#""value":1.3"#, None, Some(1.3), None);
    check(r#""value":-2e-3,"label":null"#, None, Some(-0.002), None);
}

#[test]
fn both_are_kept_where_both_are_given() {
    check(r#""label":"up","value":2"#, Some("up"), Some(2.0), None);
}

#[test]
fn of_a_key_that_stands_twice_the_last_counts() {
    check(r#""label":"up","label":"down""#, Some("down"), None, None);
    check(r#""label":[],"label":"down""#, Some("down"), None, None);
}

#[test]
fn the_time_of_the_prediction_is_taken_where_it_is_one() {
    let earlier = NOW - 60 * SECOND;
    let members = format!(r#""label":"up","prediction_ts":{earlier}"#);
    check(&members, Some("up"), None, Some(earlier));
    check(
        r#""label":"up","prediction_ts":"2025-11-20T04:30:00Z""#,
        Some("up"),
        None,
        Some(1_763_613_000_000),
    );
    for unusable in ["12", r#""yesterday""#, "true", "[1]"] {
        let members = format!(r#""label":"up","prediction_ts":{unusable}"#);
        check(&members, Some("up"), None, None);
    }
}

#[test]
fn what_the_contract_does_not_know_is_counted() {
    let unknown = |members: &str| {
        let record = format!(r#"{{"model":"m","id":1,"ts":{NOW},"label":1,{members}}}"#);
        decode(&record).expect("accepted").unknown_fields
    };
    assert_eq!(unknown(r#""version":"7","tags":{"a":1}"#), 0);
    assert_eq!(unknown(r#""labels":[1],"x":{"y":{}}"#), 2);
    assert_eq!(unknown(r#""prediction_ts":7"#), 1);
    assert_eq!(unknown(r#""prediction_ts":null"#), 0);
}

#[test]
fn the_envelope_is_judged_as_that_of_a_prediction() {
    refused(
        "[1]",
        Reason::NotAnObject,
        "the message is JSON, but not an object",
    );
    refused(
        r#"{"model":"m","#,
        Reason::InvalidJson,
        "the JSON ends too early",
    );
    refused(r#"{"id":1}"#, Reason::MissingModel, "`model` is not there");
    refused(
        r#"{"model":"stranger","id":1,"ts":1}"#,
        Reason::UndeclaredModel,
        "no declaration covers model \"stranger\"",
    );
    refused(
        r#"{"model":"m","ts":1763613060000,"label":1}"#,
        Reason::MissingId,
        "`id` is not there",
    );
    refused(
        r#"{"model":"m","id":"","ts":1763613060000,"label":1}"#,
        Reason::BadId,
        "`id` is empty",
    );
    refused(
        r#"{"model":"m","id":1,"label":1}"#,
        Reason::MissingTs,
        "`ts` is not there",
    );
    refused(
        r#"{"model":"m","id":1,"ts":1763613060,"label":1}"#,
        Reason::TsInSeconds,
        "`ts` is 1763613060, which looks like seconds since 1970; milliseconds are expected",
    );
    let late = decode(r#"{"model":"m","id":1,"ts":"2025-11-20T05:31:00Z","label":1}"#);
    assert_eq!(late.expect_err("refused").reason, Reason::FutureTimestamp);
    let rejection = LabelDecoder::new(Limits::default(), []).push(None, NOW, &Declared);
    assert_eq!(rejection.expect_err("refused").reason, Reason::NullPayload);
}

#[test]
fn a_label_that_says_nothing_or_nonsense_is_refused_with_its_own_reason() {
    let with = |members: &str| format!(r#"{{"model":"m","id":"a","ts":{NOW}{members}}}"#);
    for nothing in ["", r#","label":null"#, r#","label":NaN,"value":null"#] {
        refused(
            &with(nothing),
            Reason::MissingLabel,
            "neither `label` nor `value` is there",
        );
    }
    for (members, detail) in [
        (r#","label":[1]"#, "`label` is neither a text nor a number"),
        (r#","label":{}"#, "`label` is neither a text nor a number"),
        (r#","label":Infinity"#, "`label` is infinite"),
        (r#","label":1e999"#, "`label` is infinite"),
        (
            r#","label":"\ud800""#,
            "`label` has half of a surrogate pair",
        ),
        (r#","value":NaN"#, "`value` is not a finite number"),
        (r#","value":-Infinity"#, "`value` is not a finite number"),
        (r#","value":1e999"#, "`value` is not a finite number"),
        (r#","value":"1.3""#, "`value` is not a number"),
        (r#","value":"NaN","label":"up""#, "`value` is not a number"),
        (r#","value":true"#, "`value` is not a number"),
    ] {
        refused(&with(members), Reason::BadLabel, detail);
    }
    let long = "x".repeat(LABEL_BYTES + 1);
    refused(
        &with(&format!(r#","label":"{long}""#)),
        Reason::BadLabel,
        "`label` is longer than 1024 bytes",
    );
    check(
        &format!(r#""label":"{}""#, &long[1..]),
        Some(&long[1..]),
        None,
        None,
    );
}

#[test]
fn models_beyond_the_limit_are_refused_and_known_ones_stay() {
    let limits = Limits {
        models: 2,
        ..Limits::default()
    };
    let mut decoder = LabelDecoder::new(limits, ["old"]);
    let mut push = |model: &str| {
        let record = format!(r#"{{"model":"{model}","id":1,"ts":{NOW},"label":1}}"#);
        let pushed = decoder.push(Some(record.as_bytes()), NOW, &Declared);
        pushed.map(drop).map_err(|rejection| rejection.reason)
    };
    assert_eq!(push("new"), Ok(()));
    assert_eq!(push("newer"), Err(Reason::TooManyModels));
    assert_eq!(push("old"), Ok(()));
    assert_eq!(push("new"), Ok(()));
}

#[test]
fn what_a_label_says_is_part_of_its_identity() {
    let base = decode(&format!(
        r#"{{"model":"m","id":"a","ts":{NOW},"label":"1"}}"#
    ));
    let base = base.expect("accepted");
    let change = |edit: fn(&mut Label)| {
        let mut label = base.clone();
        edit(&mut label);
        label.identity()
    };
    assert_eq!(change(|_| {}), base.identity());
    assert_eq!(
        change(|label| label.prediction_ts = Some(1)),
        base.identity()
    );
    let others = [
        change(|label| label.model = "n".into()),
        change(|label| label.id = "b".into()),
        change(|label| label.ts += 1),
        change(|label| label.label = None),
        change(|label| label.label = Some(String::new())),
        change(|label| label.value = Some(1.0)),
        change(|label| (label.label, label.value) = (None, Some(1.0))),
        change(|label| (label.model, label.id) = ("ma".into(), String::new())),
    ];
    for (i, identity) in others.iter().enumerate() {
        assert_ne!(*identity, base.identity(), "{i}");
        assert!(!others[..i].contains(identity), "{i}");
    }
    let zero = |value| {
        change(if value {
            |label| label.value = Some(0.0)
        } else {
            |label| label.value = Some(-0.0)
        })
    };
    assert_eq!(zero(true), zero(false));
}

proptest! {
    /// No bytes make the decoder panic, and what a record becomes does not depend on the one before.
    #[test]
    fn a_record_is_judged_by_its_own_bytes(
        before in any::<Vec<u8>>(),
        members in prop::collection::vec(("model|id|ts|label|value|prediction_ts|x", "m|1|null|NaN|\"a\"|\\[\\]|1763613060000|-1e400"), 0..8),
    ) {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
        let record = format!("{{{}}}", members.join(","));
        let mut decoder = LabelDecoder::new(Limits::default(), []);
        drop(decoder.push(Some(&before), NOW, &Declared));
        prop_assert_eq!(decoder.push(Some(record.as_bytes()), NOW, &Declared), decode(&record));
    }
}
