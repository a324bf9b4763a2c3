use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::compute::backend::Choice;
use crate::event::{Batch, Column, DAY};
use crate::profile::{ColumnRules, CompiledLayout, Field as Place, Observed, Profile, Sample};
use crate::reference::Block;
use crate::rules::Bandwidth;

/// Two numbers a row.
type Row = [f64; 2];

const DAYS: usize = 12;
const ROWS: usize = 300;

fn normal(rng: &mut Pcg64Mcg) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Rows with unit variances and this correlation, moved by `shift`.
fn rows(rng: &mut Pcg64Mcg, count: usize, correlation: f64, shift: f64) -> Vec<Row> {
    let row = |_| {
        let (a, b) = (normal(rng), normal(rng));
        let y = correlation * a + (1.0 - correlation * correlation).sqrt() * b;
        [a + shift, y + shift]
    };
    (0..count).map(row).collect()
}

fn layout() -> Arc<Layout> {
    let mut sample = Sample::new();
    for i in 0..1000 {
        sample.row();
        let x = f64::from(i) / 200.0 - 2.5;
        for name in ["x", "y"] {
            sample.observe(&Place::Feature, name, Observed::Number(x));
        }
    }
    let mut layout = Layout::learn(&sample, &ColumnRules::default());
    layout
        .columns
        .retain(|column| column.field == Place::Feature);
    Arc::new(layout)
}

fn arrays(rows: &[Row]) -> Vec<ArrayRef> {
    let of = |at: usize| {
        Arc::new(
            rows.iter()
                .map(|row| Some(row[at]))
                .collect::<Float64Array>(),
        )
    };
    vec![of(0) as ArrayRef, of(1) as ArrayRef]
}

fn profile(layout: &Arc<Layout>, rows: &[Row]) -> Profile {
    let columns = arrays(rows).into_iter().map(|values| Column {
        values,
        states: vec![0; rows.len()],
    });
    let batch = Batch {
        ts: vec![0; rows.len()],
        offsets: (0..rows.len() as i64).collect(),
        versions: vec![0; rows.len()],
        version_names: vec![String::new()],
        columns: columns.collect(),
        ..Batch::default()
    };
    let mut profile = Profile::new(layout);
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    profile.update(&CompiledLayout::new(Arc::clone(layout)), &batch, &all);
    profile
}

fn sample(blocks: &[Vec<Row>]) -> RowSample {
    let rows: Vec<Row> = blocks.iter().flatten().copied().collect();
    let fields = ["x", "y"].map(|name| Field::new(name, DataType::Float64, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    // One row of each block in turn, as a sample by hash would have them.
    let most = blocks.iter().map(Vec::len).max().unwrap_or(0);
    let mut spans = Vec::new();
    let mut mixed: Vec<Row> = Vec::with_capacity(rows.len());
    for place in 0..most {
        for (block, rows) in (0..).zip(blocks) {
            mixed.extend(rows.get(place));
            spans.extend(rows.get(place).map(|_| block));
        }
    }
    RowSample {
        rows: RecordBatch::try_new(schema, arrays(&mixed)).expect("two columns"),
        spans,
        found: blocks.iter().map(|rows| rows.len() as u64).collect(),
    }
}

struct Known {
    layout: Arc<Layout>,
    reference: Reference,
    rows: RowSample,
}

/// A reference of days, each moved by what `shift` says.
fn known(days: usize, mut shift: impl FnMut(&mut Pcg64Mcg) -> f64) -> Known {
    let rng = &mut Pcg64Mcg::new(11);
    let layout = layout();
    let blocks: Vec<Vec<Row>> = (0..days)
        .map(|_| {
            let shift = shift(rng);
            rows(rng, ROWS, 0.0, shift)
        })
        .collect();
    let profiles = (0..).zip(&blocks).map(|(day, rows)| Block {
        span: Some(Span::new(day * DAY, (day + 1) * DAY)),
        profile: profile(&layout, rows),
    });
    let reference = Reference::from_blocks("m", "first: 12d", &layout, profiles.collect());
    Known {
        reference: reference.expect("blocks"),
        rows: sample(&blocks),
        layout,
    }
}

fn judged(known: &Known, statistic: Statistic, joint: Joint, day: i64, window: Vec<Row>) -> Score {
    let compute = Compute::new(Choice::Cpu);
    let plan = Together {
        layout: &known.layout,
        statistic,
        columns: &[0, 1],
        joint: &joint,
        rows: 10_000,
        reference: &known.reference,
        window: Span::new(day * DAY, (day + 1) * DAY),
        level: 0.01,
        for_k: 1,
        for_n: 1,
        every: DAY,
        cache: &NullCache::new(),
        compute: &compute,
    };
    together(&plan, &known.rows, &sample(&[window]))
}

/// Cheap enough to be asked often.
const FEW: Joint = Joint {
    sample: 100,
    permutations: None,
    bandwidth: Bandwidth::Median,
};

const BOTH: [Statistic; 2] = [Statistic::Mmd, Statistic::EnergyNd];

#[test]
fn a_correlation_that_no_column_shows_is_found_and_a_quiet_window_is_not() {
    let known = known(DAYS, |_| 0.0);
    assert_eq!(
        units(&known.reference, &known.layout, &[0, 1], &NullCache::new()).0,
        Units::Rows
    );
    let rng = &mut Pcg64Mcg::new(5);
    for statistic in BOTH {
        let moved = judged(
            &known,
            statistic,
            Joint::default(),
            40,
            rows(rng, ROWS, 0.9, 0.0),
        );
        assert_eq!(moved.verdict, Verdict::Drift, "{moved:?}");
        assert_eq!((moved.n_reference, moved.n_current), (2_000, ROWS as u64));
        let threshold = moved.threshold.as_ref().expect("a threshold");
        assert!(moved.value.expect("a value") > threshold.value, "{moved:?}");
        assert_eq!(threshold.source, ThresholdSource::Resampled);
        assert!(moved.moved.starts_with("most by "), "{moved:?}");
        let quiet = judged(
            &known,
            statistic,
            Joint::default(),
            41,
            rows(rng, ROWS, 0.0, 0.0),
        );
        assert_eq!(quiet.verdict, Verdict::Ok, "{quiet:?}");
    }
}

/// Days that differ by a tenth of a deviation: exchanging rows would cry wolf over each of them.
#[test]
fn windows_that_differ_are_exchanged_whole() {
    let wandering = |rng: &mut Pcg64Mcg| 0.5 * normal(rng);
    let known = known(DAYS, wandering);
    let (found, phi) = units(&known.reference, &known.layout, &[0, 1], &NullCache::new());
    assert_eq!(found, Units::Windows);
    assert!(phi.expect("blocks") > 5.0);
    let rng = &mut Pcg64Mcg::new(6);
    for statistic in BOTH {
        let mut alarms = 0;
        for day in 40..60 {
            let shift = wandering(rng);
            let score = judged(&known, statistic, FEW, day, rows(rng, ROWS, 0.0, shift));
            alarms += u32::from(score.p_value.expect("judged") <= 0.05);
        }
        // 1 expected of 20; 6 have a chance below 0.1 % with independent windows.
        assert!(alarms <= 5, "{} raised {alarms} of 20", statistic.name());
        let far = judged(&known, statistic, FEW, 200, rows(rng, ROWS, 0.0, 4.0));
        assert_eq!(far.verdict, Verdict::Drift, "{far:?}");
        let threshold = far.threshold.expect("a threshold");
        assert_eq!(threshold.source, ThresholdSource::Overdispersion);
        assert_eq!(far.parameters["exchanged"], "windows");
    }
}

/// The level holds where nothing changes.
#[test]
fn quiet_windows_exceed_the_level_as_often_as_promised() {
    let known = known(DAYS, |_| 0.0);
    let rng = &mut Pcg64Mcg::new(7);
    let joint = Joint {
        sample: 200,
        permutations: Some(99),
        ..Joint::default()
    };
    let mut alarms = 0;
    for day in 40..70 {
        let score = judged(&known, Statistic::Mmd, joint, day, rows(rng, 200, 0.0, 0.0));
        alarms += u32::from(score.p_value.expect("judged") <= 0.05);
    }
    // 1.5 expected of 30 with one reference for all, whose own luck doubles the spread.
    assert!(alarms <= 6, "{alarms} of 30");
}

#[test]
fn the_same_rows_give_the_same_bits() {
    let known = known(DAYS, |_| 0.0);
    let window = rows(&mut Pcg64Mcg::new(8), ROWS, 0.3, 0.0);
    for statistic in BOTH {
        let score = |_| judged(&known, statistic, FEW, 40, window.clone());
        let [one, other] = [0, 1].map(score);
        assert_eq!(one, other);
    }
}

#[test]
fn what_is_missing_is_left_out_and_said() {
    let known = known(DAYS, |_| 0.0);
    let mut window = rows(&mut Pcg64Mcg::new(9), 100, 0.0, 0.0);
    for (row, bad) in window.iter_mut().zip([f64::NAN, f64::INFINITY, f64::MAX]) {
        row[1] = bad;
    }
    let score = judged(&known, Statistic::Mmd, FEW, 40, window);
    assert_eq!(score.parameters["incomplete_rows_window"], "2");
    assert_eq!(score.n_current, 98);
    assert!(score.value.is_some_and(f64::is_finite), "{score:?}");
    // Of most rows missing, the others are no picture.
    let mut window = rows(&mut Pcg64Mcg::new(9), 100, 0.0, 0.0);
    for row in &mut window[..51] {
        row[1] = f64::NAN;
    }
    let half = judged(&known, Statistic::Mmd, FEW, 40, window);
    assert_eq!(half.verdict, Verdict::InsufficientData);
    assert_eq!(
        half.reason,
        "of the 100 rows of the window's sample 49 have a number in every column, 50 are needed; leave out a column that is often empty"
    );
    let few = judged(&known, Statistic::EnergyNd, FEW, 40, vec![[0.0; 2]; 7]);
    assert_eq!(few.verdict, Verdict::InsufficientData);
    assert_eq!(few.reason, "the window's sample has 7 rows, 20 are needed");
    let constant = judged(&known, Statistic::Mmd, FEW, 40, vec![[0.0; 2]; 50]);
    assert_eq!(constant.verdict, Verdict::Drift);
}
