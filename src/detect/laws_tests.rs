//! What holds for every detector: it survives any value, and a restored one goes on as if nothing had happened.

use proptest::prelude::*;

use super::*;

/// Parameters with which 600 values make every detector speak.
const LIVELY: [(Kind, &[(&str, &str)]); 16] = [
    (
        Kind::Adwin,
        &[("delta", "0.3"), ("clock", "1"), ("max_buckets", "2")],
    ),
    (
        Kind::Adwin,
        &[("delta", "0.3"), ("clock", "1"), ("contract", "frouros")],
    ),
    (Kind::Ddm, &[]),
    (Kind::Ddm, &[("contract", "frouros")]),
    (Kind::Eddm, &[]),
    (Kind::Eddm, &[("contract", "frouros")]),
    (Kind::HddmA, &[("two_sided_test", "true")]),
    (Kind::HddmA, &[("contract", "frouros")]),
    (Kind::HddmW, &[("two_sided_test", "true")]),
    (Kind::HddmW, &[("contract", "frouros")]),
    (
        Kind::Fhddm,
        &[
            ("confidence_level", "0.1"),
            ("sliding_window_size", "20"),
            ("short_window_size", "5"),
        ],
    ),
    (
        Kind::Kswin,
        &[
            ("alpha", "0.05"),
            ("window_size", "40"),
            ("stat_size", "15"),
        ],
    ),
    (Kind::PageHinkley, &[("threshold", "5")]),
    (Kind::Cusum, &[]),
    (Kind::Ewma, &[("min_instances", "20")]),
    (
        Kind::EProcess,
        &[("block", "3"), ("reference_blocks", "20")],
    ),
];

/// A stream whose level changes, in the detector's domain.
fn stream(kind: Kind, levels: &[f64], draws: &[f64]) -> Vec<f64> {
    let part = draws.len().div_ceil(levels.len());
    let value = |(i, &draw): (usize, &f64)| {
        let level = levels[i / part];
        match kind.entry().takes {
            Domain::Numbers => level * 3.0 + draw,
            Domain::Unit if i % 2 == 0 => level * draw,
            Domain::Unit | Domain::Bits => f64::from(draw < level),
        }
    };
    draws.iter().enumerate().map(value).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_detector_goes_on_bit_for_bit(
        levels in prop::collection::vec(0.02..0.98_f64, 1..6),
        draws in prop::collection::vec(0.0..1.0_f64, 600),
        cut in 0_usize..600,
    ) {
        for (kind, given) in LIVELY {
            let values = stream(kind, &levels, &draws);
            let mut whole = Detector::new(kind, given).expect("parameters");
            let mut first = whole.clone();
            for &x in &values[..cut] {
                whole.update(x);
                first.update(x);
            }
            let text = serde_json::to_string(&first).expect("a state");
            let mut restored: Detector = serde_json::from_str(&text).expect("the same state");
            prop_assert_eq!(&restored, &first);
            for &x in &values[cut..] {
                prop_assert_eq!(whole.update(x), restored.update(x), "{}", kind.name());
            }
            let end = serde_json::to_string(&whole).expect("a state");
            prop_assert_eq!(end, serde_json::to_string(&restored).expect("a state"));
        }
    }

    #[test]
    fn no_value_breaks_a_detector(values in prop::collection::vec(
        prop_oneof![
            any::<f64>(),
            Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(-0.0), Just(1.0), Just(1e100), Just(-1e100), Just(5e-324),
            0.0..1.0_f64,
        ],
        0..400,
    )) {
        for (kind, given) in LIVELY {
            let mut detector = Detector::new(kind, given).expect("parameters");
            for &x in &values {
                detector.update(x);
            }
            // JSON has no NaN and no infinity: as null they would not come back as numbers.
            let text = serde_json::to_string(&detector).expect("a state");
            let restored: Detector = serde_json::from_str(&text).expect("a finite state");
            prop_assert_eq!(restored, detector);
        }
    }
}

#[test]
fn these_streams_make_every_detector_speak() {
    let mut draw = 0.0_f64;
    let draws: Vec<f64> = (0..600)
        .map(|_| {
            draw = (draw + 0.618_033_988_75).fract();
            draw
        })
        .collect();
    for (kind, given) in LIVELY {
        let rising = stream(kind, &[0.05, 0.9], &draws);
        let falling = stream(kind, &[0.95, 0.1], &draws);
        let drifts = [rising, falling].iter().any(|values| {
            let mut detector = Detector::new(kind, given).expect("parameters");
            values.iter().any(|&x| detector.update(x) == Signal::Drift)
        });
        assert!(drifts, "{} {given:?}", kind.name());
    }
}
