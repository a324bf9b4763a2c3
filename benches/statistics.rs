//! Speed of the statistics of one column, on one core: `cargo bench --bench statistics`.
//!
//! Both sides have n rows of a normal distribution, of which the current ones have moved by a tenth of a standard
//! deviation. The reference is ready, as the service keeps it: sorted, or counted into a profile of 256 cells. What is
//! measured of a window's side is either the statistic alone (`sorted`, `counted`) or everything from its rows on
//! (`rows`, `profiled`: the sort, or the counting). `benches/statistics-beside-numpy` sets each beside NumPy and SciPy.

use std::fmt;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use driftline::event::{Batch, Column, State};
use driftline::profile::layout::FORMAT;
use driftline::profile::{
    Cells, CompiledLayout, Field, Layout, LayoutColumn, NumericCells, NumericProfile, Profile,
};
use driftline::stats::anderson_darling::{Variant, anderson_darling};
use driftline::stats::contingency::{Correction, chi_squared};
use driftline::stats::cramer_von_mises::cramer_von_mises;
use driftline::stats::energy_distance;
use driftline::stats::ks_exact::{Method, ks};
use driftline::stats::mann_whitney::mann_whitney;
use driftline::stats::mean_shift::{Moments, shift};
use driftline::stats::multiplicity::benjamini_hochberg;
use driftline::stats::quantile_shift;
use driftline::stats::sorted::Sorted;
use driftline::stats::summation::Spread;
use driftline::stats::variance_shift::brown_forsythe;
use driftline::stats::wasserstein::{Axis, Support};
use driftline::stats::wasserstein_exact;
use driftline::stats::welch::welch;
use driftline::stats::{Applies, Data, Statistic, table};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

const SIZES: [usize; 2] = [10_000, 1_000_000];
/// The bins that the service judges in by default, and all cells of a profile.
const CELLS: [usize; 2] = [10, 256];

fn main() {
    divan::main();
}

fn normal(n: usize, seed: u64, shift: f64) -> Vec<f64> {
    let mut random = rand_pcg::Pcg64::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let x: f64 = StandardNormal.sample(&mut random);
            x + shift
        })
        .collect()
}

fn reference(n: usize) -> Vec<f64> {
    normal(n, 1, 0.0)
}

fn current(n: usize) -> Vec<f64> {
    normal(n, 2, 0.1)
}

/// A statistic of two samples of rows, under its name in the output.
#[derive(Clone, Copy)]
struct OfRows(&'static str, fn(&Sorted, &Sorted));

impl fmt::Display for OfRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const OF_ROWS: [OfRows; 9] = [
    OfRows("ks", |a, b| {
        black_box(ks(a, b));
    }),
    OfRows("wasserstein", |a, b| {
        black_box(wasserstein_exact::distance(a, b));
    }),
    OfRows("energy", |a, b| {
        black_box(energy_distance::distance(a, b));
    }),
    OfRows("cramer_von_mises", |a, b| {
        black_box(cramer_von_mises(a, b));
    }),
    OfRows("anderson_darling", |a, b| {
        black_box(anderson_darling(&[a, b], Variant::Midrank));
    }),
    OfRows("mann_whitney", |a, b| {
        black_box(mann_whitney(a, b));
    }),
    OfRows("welch_t", |a, b| {
        let spreads = Spread::of(a.finite()).zip(Spread::of(b.finite()));
        black_box(spreads.and_then(|(a, b)| welch(&a, &b, 0.95)));
    }),
    OfRows("variance_shift", |a, b| {
        black_box(brown_forsythe(a, b));
    }),
    OfRows("quantile_shift", |a, b| {
        black_box(quantile_shift::shift(a, b, 0.5, 0.95));
    }),
];

/// The walk over two sorted samples alone. Throughput counts the rows of both.
#[divan::bench(args = OF_ROWS, consts = SIZES)]
fn sorted<const N: usize>(bencher: Bencher, statistic: OfRows) {
    let (a, b) = (Sorted::new(&reference(N)), Sorted::new(&current(N)));
    bencher
        .counter(ItemsCount::new(2 * N))
        .bench(|| statistic.1(black_box(&a), black_box(&b)));
}

/// The same with the sort of the current rows: what judging a window costs.
#[divan::bench(args = OF_ROWS, consts = SIZES)]
fn rows<const N: usize>(bencher: Bencher, statistic: OfRows) {
    let (a, b) = (Sorted::new(&reference(N)), current(N));
    bencher
        .counter(ItemsCount::new(2 * N))
        .bench(|| statistic.1(black_box(&a), &Sorted::new(black_box(&b))));
}

#[divan::bench(args = SIZES)]
fn sort(bencher: Bencher, n: usize) {
    let rows = current(n);
    bencher
        .counter(ItemsCount::new(n))
        .bench(|| Sorted::new(black_box(&rows)));
}

/// What the sort of integer keys stands beside.
#[divan::bench(args = SIZES)]
fn sort_by_comparison(bencher: Bencher, n: usize) {
    let rows = current(n);
    bencher.counter(ItemsCount::new(n)).bench(|| {
        let mut rows = black_box(&rows).clone();
        rows.sort_unstable_by(f64::total_cmp);
        rows
    });
}

/// One numeric column of `cells` cells that hold equal shares of the reference.
fn layout(cells: usize) -> CompiledLayout {
    let sample = Sorted::new(&reference(100_000));
    let edges = (1..cells).map(|i| sample.values()[i * sample.len() / cells]);
    let cells = NumericCells {
        edges: edges.collect(),
        domain: None,
        center: 0.0,
        sum_shift: 40,
        square_shift: 23,
    };
    CompiledLayout::new(Arc::new(Layout {
        format: FORMAT,
        columns: vec![LayoutColumn {
            name: "x".into(),
            field: Field::Feature,
            cells: Cells::Numeric(cells),
        }],
        skipped: Vec::new(),
    }))
}

/// Decoded rows of one column, and the indices of all of them.
fn batch(rows: &[f64]) -> (Batch, Vec<u32>) {
    let batch = Batch {
        offsets: (0..rows.len() as i64).collect(),
        ts: (0..rows.len() as i64).collect(),
        columns: vec![Column {
            values: Arc::new(rows.iter().copied().collect::<arrow::array::Float64Array>()),
            states: vec![State::Value as u8; rows.len()],
        }],
        ..Batch::default()
    };
    (batch, (0..rows.len() as u32).collect())
}

fn profile(layout: &CompiledLayout, (batch, rows): &(Batch, Vec<u32>)) -> Profile {
    let mut profile = Profile::new(layout.layout());
    profile.update(layout, batch, rows);
    profile
}

/// Rows of one numeric column into cells, extremes and exact sums.
#[divan::bench(args = SIZES)]
fn count_into_profile(bencher: Bencher, n: usize) {
    let (layout, batch) = (layout(256), batch(&current(n)));
    bencher
        .counter(ItemsCount::new(n))
        .bench(|| profile(black_box(&layout), black_box(&batch)));
}

/// The statistics of a numeric column that a profile suffices for, by name.
fn of_profiles() -> impl Iterator<Item = &'static str> {
    table()
        .iter()
        .filter(|entry| entry.from == Data::Profile && entry.applies != Applies::Categorical)
        .map(|entry| entry.name)
}

/// The statistic called `name` over the cells of two profiles, as a function of both columns' profiles.
fn of_profile(
    name: &str,
    layout: &CompiledLayout,
) -> impl Fn(&NumericProfile, &NumericProfile) -> Option<f64> + Sync {
    let entry = table().iter().find(|entry| entry.name == name);
    let statistic = entry.expect("a name of the table").statistic;
    let Cells::Numeric(cells) = layout.layout().columns[0].cells.clone() else {
        unreachable!("the layout has one numeric column");
    };
    move |a, b| match statistic {
        Statistic::MeanShift => Some(shift(&moments(a, &cells)?, &moments(b, &cells)?)),
        Statistic::Wasserstein => {
            let axis = Axis::new(&cells.edges, support(a)?, support(b)?);
            let scale = a.variance(&cells)?.sqrt();
            Some(axis.distance(&a.cells, &b.cells, scale).value)
        }
        _ => statistic.of_counts(&a.cells, &b.cells),
    }
}

fn moments(profile: &NumericProfile, cells: &NumericCells) -> Option<Moments> {
    Some(Moments {
        n: profile.summed() as f64,
        mean: profile.mean(cells)?,
        deviation: profile.variance(cells)?.sqrt(),
    })
}

fn support(profile: &NumericProfile) -> Option<Support> {
    let (min, max) = profile.min.zip(profile.max)?;
    Some(Support { min, max })
}

fn column(profile: &Profile) -> &NumericProfile {
    profile.columns[0].numeric().expect("a numeric column")
}

/// A statistic of two profiles that are there already; how many rows they hold makes no difference.
#[divan::bench(args = of_profiles(), consts = CELLS)]
fn counted<const N: usize>(bencher: Bencher, name: &str) {
    let layout = layout(N);
    let [a, b] = [reference, current].map(|rows| profile(&layout, &batch(&rows(100_000))));
    let statistic = of_profile(name, &layout);
    bencher.bench(|| statistic(black_box(column(&a)), black_box(column(&b))));
}

/// The same with the counting of the current rows, in 256 cells. Throughput counts those.
#[divan::bench(args = of_profiles(), consts = SIZES)]
fn profiled<const N: usize>(bencher: Bencher, name: &str) {
    let layout = layout(256);
    let (a, rows) = (profile(&layout, &batch(&reference(N))), batch(&current(N)));
    let statistic = of_profile(name, &layout);
    bencher.counter(ItemsCount::new(N)).bench(|| {
        let b = profile(black_box(&layout), black_box(&rows));
        statistic(black_box(column(&a)), column(&b))
    });
}

#[divan::bench(args = SIZES)]
fn ks_p_asymptotic(bencher: Bencher, n: usize) {
    let found = ks(&Sorted::new(&reference(n)), &Sorted::new(&current(n)));
    bencher.bench(|| black_box(&found).map(|found| found.p_value(Method::Asymptotic)));
}

#[divan::bench(args = [1_000, 10_000])]
fn ks_p_exact_of_unequal_sizes(bencher: Bencher, n: usize) {
    let found = ks(&Sorted::new(&reference(n)), &Sorted::new(&current(n - 1)));
    bencher.bench(|| black_box(&found).map(|found| found.p_value(Method::Exact)));
}

/// A table of two samples of categories.
#[divan::bench(args = [10, 1000])]
fn chi_squared_of_categories(bencher: Bencher, categories: usize) {
    let a: Vec<u64> = (0..categories as u64)
        .map(|i| 1000 + i * 37 % 101)
        .collect();
    let b: Vec<u64> = (0..categories as u64).map(|i| 1000 + i * 53 % 97).collect();
    bencher.bench(|| chi_squared(black_box(&a), black_box(&b), Correction::Yates));
}

#[divan::bench(args = [50, 10_000])]
fn benjamini_hochberg_of_columns(bencher: Bencher, columns: usize) {
    let p: Vec<f64> = (0..columns)
        .map(|i| ((i * 7919) % columns) as f64 / columns as f64)
        .collect();
    bencher.bench(|| benjamini_hochberg(black_box(&p)));
}
