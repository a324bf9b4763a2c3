//! Sequential detectors beside River's and Frouros': where they drift, where their warnings begin, what their window holds.

use std::path::Path;

use driftline::detect::{Detector, Kind, Trace};
use serde_json::Value;

use super::case::Case;
use super::found::Found;

type Check = fn(&Case, &mut Found);

/// What checks the cases of a statistic.
pub const CHECKS: &[(&str, Check)] = &[
    ("adwin_river", detector),
    ("page_hinkley_river", detector),
    ("ddm_river", detector),
    ("eddm_river", detector),
    ("hddm_a_river", detector),
    ("hddm_w_river", detector),
    ("kswin_river", kswin),
    ("adwin_frouros", detector),
    ("ddm_frouros", detector),
    ("eddm_frouros", detector),
    ("hddm_a_frouros", detector),
    ("hddm_w_frouros", detector),
    ("page_hinkley_frouros", detector),
];

/// Of longer lists the file has the beginning.
const LISTED: usize = 40;

/// The detector of a case; the statistic's last word is whose it is.
fn made(case: &Case, more: &[(&str, &str)]) -> Detector {
    let (name, contract) = case
        .statistic
        .rsplit_once('_')
        .expect("a detector and whose it is");
    let kind = Kind::parse(name).expect("a detector of ours");
    let params = case.params.as_object().expect("parameters");
    let mut given: Vec<(String, String)> = params
        .iter()
        .filter(|(name, _)| *name != "seeds")
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    if contract == "frouros" {
        given.push(("contract".to_owned(), contract.to_owned()));
    }
    let given = given
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let given: Vec<_> = given.chain(more.iter().copied()).collect();
    Detector::new(kind, &given).unwrap_or_else(|error| panic!("{}: {error}", case.id))
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn traced(detector: &mut Detector, stream: &[f64]) -> Trace {
    let mut trace = Trace::default();
    for &x in stream {
        trace.step(detector, x);
    }
    trace
}

fn detector(case: &Case, found: &mut Found) {
    let mut detector = made(case, &[]);
    let trace = traced(&mut detector, &case.stream());
    found.integer("n", trace.n as i64);
    found.integer("n_drifts", trace.drifts.len() as i64);
    found.integers(
        "drift_indices",
        &trace.drifts[..trace.drifts.len().min(LISTED)],
    );
    if found.has("warning_onset_indices") {
        let listed = trace.warnings.len().min(LISTED);
        found.integers("warning_onset_indices", &trace.warnings[..listed]);
    }
    if found.has("final_width") {
        let adwin = detector.adwin().expect("an adaptive window");
        found.number("final_width", adwin.width() as f64);
        found.number("final_total", adwin.total());
        found.number("final_estimation", adwin.estimation());
        found.number("final_variance", adwin.variance());
    }
}

/// With the seeds 0, 1, … River's draws are ours too, so the ends of its band are ours to the index.
fn kswin(case: &Case, found: &mut Found) {
    let stream = case.stream();
    let seeds = case.params["seeds"].as_u64().expect("a number of seeds");
    let traces: Vec<Trace> = (0..seeds)
        .map(|seed| traced(&mut made(case, &[("seed", &seed.to_string())]), &stream))
        .collect();
    let firsts = traces
        .iter()
        .map(|trace| *trace.drifts.first().expect("a drift"));
    let mut firsts: Vec<u64> = firsts.collect();
    found.integer("seed0_first", firsts[0] as i64);
    firsts.sort_unstable();
    found.integer("first_drift_min", firsts[0] as i64);
    found.integer("first_drift_median", firsts[firsts.len() / 2] as i64);
    found.integer("first_drift_max", firsts[firsts.len() - 1] as i64);
    let counts = traces.iter().map(|trace| trace.drifts.len() as i64);
    found.integer("n_drifts_min", counts.clone().min().expect("a seed"));
    found.integer("n_drifts_max", counts.max().expect("a seed"));
}

/// The numbers of a table of one column.
fn column(name: &str) -> Vec<f64> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/data")
        .join(name);
    let text = std::fs::read_to_string(file).expect("a stream");
    text.lines()
        .skip(1)
        .map(|line| line.parse().expect("a number"))
        .collect()
}

/// What River's documentation prints for its own streams; of warnings it prints the first one before each drift, and the first
/// one after the last.
#[track_caller]
fn documented(kind: Kind, given: &[(&str, &str)], stream: &str, warnings: &[u64], drifts: &[u64]) {
    let mut detector = Detector::new(kind, given).expect("parameters");
    let trace = traced(&mut detector, &column(stream));
    assert_eq!(trace.drifts, drifts, "{} {given:?}", kind.name());
    let begin = std::iter::once(0).chain(drifts.iter().copied());
    let first: Vec<u64> = begin
        .filter_map(|begin| {
            let end = drifts
                .iter()
                .find(|drift| **drift > begin)
                .copied()
                .unwrap_or(u64::MAX);
            trace
                .warnings
                .iter()
                .find(|at| (begin..end).contains(*at))
                .copied()
        })
        .collect();
    assert_eq!(first, warnings, "{} {given:?}", kind.name());
}

#[test]
fn the_streams_of_rivers_documentation_give_its_indices() {
    documented(Kind::Ddm, &[], "river_a.csv", &[1084, 1492], &[1334]);
    documented(Kind::HddmA, &[], "river_a.csv", &[451], &[1206]);
    documented(Kind::HddmW, &[], "river_a.csv", &[451], &[1077]);
    let given = [("alpha", "0.8"), ("beta", "0.75")];
    documented(Kind::Eddm, &given, "river_a.csv", &[1059], &[1278]);
    documented(Kind::PageHinkley, &[], "river_b.csv", &[], &[1006]);
    documented(Kind::Adwin, &[], "river_b.csv", &[], &[1023]);
    let given = [("alpha", "0.0001"), ("seed", "42")];
    documented(Kind::Kswin, &given, "river_b.csv", &[], &[1016]);
    documented(Kind::Fhddm, &[], "river_c.csv", &[], &[315]);
    documented(
        Kind::Fhddm,
        &[("short_window_size", "20")],
        "river_c.csv",
        &[],
        &[279],
    );
}
