//! Redrawing: pseudo-references and pseudo-windows that differ only by chance, scored as real ones are.
//!
//! Two kinds. *Rows* redraws both sides by counts, as if rows (or clumps of φ rows) were independent.
//! *Blocks* takes a whole block as the window and the others as the reference, stretched so that it reaches beyond
//! the few blocks there are.
//!
//! **Invariant:** a draw is a function of the seed and of integer counts; the generator (PCG-64-MCG) and its use are
//! pinned. Deliberately absent: which kind is right for a column (see `null`).

use rand_distr::{Binomial, ChiSquared, Distribution};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

use super::evidence::Evidence;
use super::truth::Truth;
use crate::stats::{self, Data, Statistic, kolmogorov_smirnov, total};

/// The statistics that are drawn, in the order of the table: those of `wanted` that come from counts. The shift of the
/// mean has a closed null. The random numbers do not depend on which statistics are asked for, so a statistic has the
/// same draws in whatever company.
pub(crate) fn drawn(wanted: &[Statistic]) -> Vec<Statistic> {
    let mut drawn: Vec<Statistic> = wanted
        .iter()
        .copied()
        .filter(|statistic| {
            statistic.entry().from == Data::Profile && *statistic != Statistic::MeanShift
        })
        .collect();
    drawn.sort();
    drawn.dedup();
    drawn
}

/// Scores of one pseudo-window after another, each with a value for every statistic asked for.
pub(crate) type Scores = Vec<f64>;

/// Pseudo-windows judged against one pseudo-reference, so that the reference's draw, the dear one, is shared.
const WINDOWS_PER_REFERENCE: u32 = 4;

/// Draws of the row-level null: both sides multinomial, of `1/φ` of their sizes, with φ drawn anew for each
/// pseudo-reference from what the blocks leave possible (scaled inverse χ² on `degrees`; `None`: φ is known).
pub(crate) fn rows(
    evidence: &Evidence,
    window_rows: u64,
    phi: f64,
    degrees: Option<f64>,
    draws: u32,
    rng: &mut Pcg64Mcg,
    statistics: &[Statistic],
) -> Scores {
    let atoms = evidence.atoms();
    let n = total(atoms);
    let m = window_rows as f64;
    let chi = degrees.and_then(|degrees| ChiSquared::new(degrees).ok().map(|chi| (chi, degrees)));
    let mut truth = Truth::new(evidence, statistics, rng.next_u64());
    let (mut reference, mut window) = (vec![0; atoms.len()], vec![0; atoms.len()]);
    let (mut own, mut bins) = (evidence.bins.clone(), vec![0; evidence.bins.len()]);
    let wanted = draws as usize * statistics.len();
    let mut found = Vec::with_capacity(wanted + WINDOWS_PER_REFERENCE as usize * statistics.len());
    while found.len() < wanted {
        let phi = chi
            .map_or(phi, |(chi, degrees)| {
                phi * degrees / chi.sample(rng).max(f64::MIN_POSITIVE)
            })
            .max(1.0);
        if truth.ranked {
            truth.atoms.draw(clumps(n, phi), n, &mut reference, rng);
        }
        truth.draw_reference(phi, n, &mut own);
        for _ in 0..WINDOWS_PER_REFERENCE {
            let mut gaps = Gaps::NONE;
            if truth.ranked {
                truth.atoms.draw(clumps(m, phi), m, &mut window, rng);
                gaps = Gaps::new(evidence, &window, &reference, statistics);
            }
            truth.draw_window(phi, m, &mut bins);
            let beside = evidence
                .unseen
                .and_then(|unseen| with_fewer(&own, &bins, unseen.place));
            let reference = beside.as_deref().unwrap_or(&own);
            binned(reference, &bins, gaps, statistics, &mut found);
        }
    }
    found.truncate(wanted);
    found
}

/// The pseudo-reference with no more unseen rows than the pseudo-window has, where it expects more: as a reference is set
/// beside a window (see `stats::bins`).
fn with_fewer(reference: &[u64], window: &[u64], unseen: usize) -> Option<Vec<u64>> {
    let (n, expected) = (total(reference), reference[unseen]);
    let share = (window[unseen] as f64 / total(window).max(1.0) * n).floor();
    if share >= expected as f64 {
        return None;
    }
    let by = (n - share) / (n - expected as f64).max(1.0);
    let mut fewer: Vec<u64> = reference
        .iter()
        .map(|&count| (count as f64 * by).round() as u64)
        .collect();
    fewer[unseen] = share as u64;
    Some(fewer)
}

/// Independent units in `rows` rows: at least one.
pub(crate) fn clumps(rows: f64, phi: f64) -> u64 {
    ((rows / phi).round() as u64).max(1)
}

/// Each block as the window against all the others, sizes brought to the reference's and the window's: as many
/// scores as blocks, no random numbers.
pub(crate) fn leave_one_out(
    evidence: &Evidence,
    window_rows: u64,
    statistics: &[Statistic],
) -> Scores {
    let whole = evidence.blocks_total();
    let mut found = Vec::with_capacity(evidence.blocks.len() * statistics.len());
    for block in &evidence.blocks {
        let rest: Vec<u64> = whole
            .iter()
            .zip(block)
            .map(|(&all, &count)| all - count)
            .collect();
        let rest = scaled(&rest, total(&whole));
        let window = scaled(block, window_rows as f64);
        scores(evidence, &rest, &window, statistics, &mut found);
    }
    found
}

/// One block seen from all the others, in shares.
struct Seat {
    /// The others' counts by bin, brought to the reference's size.
    rest_bins: Vec<u64>,
    /// Square roots of shares by bin, of the others and of the block.
    rest_roots: Vec<f64>,
    roots: Vec<f64>,
    /// The others' counts by atom.
    rest: Vec<u64>,
    gaps: Gaps,
    /// What to redraw the block from, and with how many rows, where windows have fewer rows than the block.
    noise: Option<(Multinomial, u64)>,
}

impl Seat {
    fn new(
        evidence: &Evidence,
        block: &[u64],
        whole: &[u64],
        window_rows: f64,
        statistics: &[Statistic],
    ) -> Self {
        let rest: Vec<u64> = whole
            .iter()
            .zip(block)
            .map(|(&all, &count)| all - count)
            .collect();
        let rest_bins = evidence.bins_of(&scaled(&rest, total(whole)));
        Self {
            rest_roots: roots(&rest_bins),
            rest_bins,
            roots: roots(&evidence.bins_of(block)),
            gaps: Gaps::new(evidence, block, &rest, statistics),
            rest,
            noise: missing_noise(total(block), window_rows)
                .map(|rows| (Multinomial::new(block), rows)),
        }
    }
}

/// How far a block's distribution function lies from the others': at its widest, and over the whole axis.
#[derive(Debug, Clone, Copy)]
struct Gaps {
    widest: f64,
    spread: f64,
}

/// Gaps of whole blocks this wide are cut before they are stretched, so that they stay finite.
const WIDEST_GAP: f64 = 1.0 - 1e-9;

impl Gaps {
    const NONE: Self = Self {
        widest: 0.0,
        spread: 0.0,
    };

    /// Without ranks both are 0, and so is what `statistics` do not ask for.
    fn new(
        evidence: &Evidence,
        window: &[u64],
        reference: &[u64],
        statistics: &[Statistic],
    ) -> Self {
        let ranks = |of: Statistic| evidence.ranks.as_ref().filter(|_| statistics.contains(&of));
        Self {
            widest: ranks(Statistic::KolmogorovSmirnov)
                .map_or(0.0, |_| kolmogorov_smirnov::ks(reference, window).distance),
            spread: ranks(Statistic::Wasserstein)
                .map_or(0.0, |ranks| ranks.null_distance(reference, window)),
        }
    }

    /// Fisher's z keeps a stretched gap below 1, as a stretched share stays below 1.
    fn stretched(self, t: f64) -> Self {
        Self {
            widest: (t * self.widest.min(WIDEST_GAP).atanh()).tanh(),
            spread: t * self.spread,
        }
    }
}

/// Draws of the whole-block null. The window is a random block, its distance from all the others stretched by
/// √(ν/χ²_ν) on ν = K − 1 degrees of freedom: for a mean or a share that makes Student's t, so that few blocks give
/// wide thresholds, and it reaches beyond the farthest block. Bins are stretched in square roots of shares, where
/// sampling noise is the same everywhere, gaps between distribution functions as they are. A window with fewer rows than its block
/// gets the sampling noise that it lacks. `stretch` ≥ 1 multiplies all distances. Needs two blocks.
///
/// Simulated at a nominal 5 % with 5 to 50 blocks: 3 to 8 % of quiet windows, and up to 11 % where the days' centres
/// differ by twice the spread of their rows; with two blocks 0 to 12 %.
///
/// Why not rows with both sizes divided by φ: a real window of weather sits in a few bins, all at one side. φ spreads
/// the same χ² over all bins and is then too sure of itself in the tail; with φ's own uncertainty carried it is blind.
pub(crate) fn blocks(
    evidence: &Evidence,
    window_rows: u64,
    stretch: f64,
    draws: u32,
    rng: &mut Pcg64Mcg,
    statistics: &[Statistic],
) -> Scores {
    let whole = evidence.blocks_total();
    let m = window_rows as f64;
    let seats: Vec<Seat> = evidence
        .blocks
        .iter()
        .map(|block| Seat::new(evidence, block, &whole, m, statistics))
        .collect();
    let degrees = seats.len().saturating_sub(1).max(1) as f64;
    let chi = ChiSquared::new(degrees).ok();
    let mut redrawn = vec![0; whole.len()];
    let mut found = Vec::with_capacity(draws as usize * statistics.len());
    for _ in 0..draws {
        let seat = &seats[below(rng, seats.len())];
        let t = chi.map_or(1.0, |chi| {
            (degrees / chi.sample(rng).max(f64::MIN_POSITIVE)).sqrt()
        }) * stretch;
        let (bins, gaps) = match &seat.noise {
            None => (from_roots(&seat.rest_roots, &seat.roots, t, m), seat.gaps),
            Some((source, rows)) => {
                source.draw(*rows, *rows as f64, &mut redrawn, rng);
                let own = roots(&evidence.bins_of(&redrawn));
                (
                    from_roots(&seat.rest_roots, &own, t, m),
                    Gaps::new(evidence, &redrawn, &seat.rest, statistics),
                )
            }
        };
        let gaps = gaps.stretched(t);
        binned(&seat.rest_bins, &bins, gaps, statistics, &mut found);
    }
    found
}

/// How many rows of a redraw give a window of `m` rows the noise that a block of `block` rows lacks:
/// 1/x = 1/m − 1/block. `None` where that is less than a fiftieth of the noise there is.
fn missing_noise(block: f64, m: f64) -> Option<u64> {
    let inverse = 1.0 / m.max(1.0) - 1.0 / block;
    (inverse > 0.02 / block).then(|| ((1.0 / inverse).round() as u64).max(1))
}

/// Adds every statistic of two samples by atom to `found`; without ranks the ranked ones are 0.
pub(crate) fn scores(
    evidence: &Evidence,
    reference: &[u64],
    window: &[u64],
    statistics: &[Statistic],
    found: &mut Scores,
) {
    let gaps = Gaps::new(evidence, window, reference, statistics);
    let (reference, window) = (evidence.bins_of(reference), evidence.bins_of(window));
    binned(&reference, &window, gaps, statistics, found);
}

fn binned(
    reference: &[u64],
    window: &[u64],
    gaps: Gaps,
    statistics: &[Statistic],
    found: &mut Scores,
) {
    found.extend(statistics.iter().map(|statistic| match statistic {
        Statistic::KolmogorovSmirnov => gaps.widest,
        Statistic::Wasserstein => gaps.spread,
        binned => binned.of_counts(reference, window).unwrap_or(0.0),
    }));
}

/// Counts of `rows` rows in the shares (rest + t·(own − rest))² of square roots, negative ones as empty bins.
fn from_roots(rest: &[f64], own: &[f64], t: f64, rows: f64) -> Vec<u64> {
    let squares: Vec<f64> = rest
        .iter()
        .zip(own)
        .map(|(rest, own)| (rest + t * (own - rest)).max(0.0).powi(2))
        .collect();
    let sum: f64 = squares.iter().sum();
    if sum > 0.0 {
        squares
            .iter()
            .map(|square| (square / sum * rows).round() as u64)
            .collect()
    } else {
        vec![0; rest.len()]
    }
}

fn roots(counts: &[u64]) -> Vec<f64> {
    shares(counts).into_iter().map(f64::sqrt).collect()
}

fn shares(counts: &[u64]) -> Vec<f64> {
    let n = total(counts).max(1.0);
    counts.iter().map(|&count| count as f64 / n).collect()
}

/// `counts` brought to `rows` rows, rounded bin by bin.
fn scaled(counts: &[u64], rows: f64) -> Vec<u64> {
    let by = rows / stats::total(counts).max(1.0);
    counts
        .iter()
        .map(|&count| (count as f64 * by).round() as u64)
        .collect()
}

/// A number below `n`, by multiplication; its bias is below 2⁻³².
pub(crate) fn below(rng: &mut Pcg64Mcg, n: usize) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// A uniform number in [0, 1) of 53 bits.
pub(crate) fn uniform(rng: &mut Pcg64Mcg) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Draws counts with given shares: row by row through an alias table (Vose 1991) when rows are few, else cell by
/// cell as binomials.
pub(crate) struct Multinomial {
    shares: Vec<f64>,
    keep: Vec<f64>,
    alias: Vec<usize>,
}

/// A binomial costs about as much as this many rows through the alias table.
const ROWS_PER_BINOMIAL: u64 = 6;

impl Multinomial {
    pub(crate) fn new(counts: &[u64]) -> Self {
        let shares = shares(counts);
        let cells = shares.len();
        let mut keep: Vec<f64> = shares.iter().map(|share| share * cells as f64).collect();
        let mut alias: Vec<usize> = (0..cells).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..cells).partition(|&cell| keep[cell] < 1.0);
        while let (Some(&low), Some(&high)) = (small.last(), large.last()) {
            small.pop();
            alias[low] = high;
            keep[high] -= 1.0 - keep[low];
            if keep[high] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        // What is left is 1 up to rounding; a cell without rows never is, unless there are no rows at all.
        for cell in small.into_iter().chain(large) {
            keep[cell] = 1.0;
        }
        Self {
            shares,
            keep,
            alias,
        }
    }

    /// Draws `units` independent units and writes them, brought to `rows` rows, into `out`.
    pub(crate) fn draw(&self, units: u64, rows: f64, out: &mut [u64], rng: &mut Pcg64Mcg) {
        out.fill(0);
        let cells = self.shares.len();
        if cells == 0 {
            return;
        }
        if units <= ROWS_PER_BINOMIAL * cells as u64 {
            for _ in 0..units {
                let cell = below(rng, cells);
                let cell = if uniform(rng) < self.keep[cell] {
                    cell
                } else {
                    self.alias[cell]
                };
                out[cell] += 1;
            }
        } else {
            binomials(&self.shares, units, out, rng);
        }
        bring(out, units, rows);
    }
}

/// Draws `units` independent units, bin by bin as binomials.
pub(crate) fn binomials(shares: &[f64], units: u64, out: &mut [u64], rng: &mut Pcg64Mcg) {
    out.fill(0);
    let (mut left, mut share_left) = (units, 1.0);
    for (out, &share) in out.iter_mut().zip(shares) {
        if left == 0 || share <= 0.0 {
            continue;
        }
        let p = (share / share_left).clamp(0.0, 1.0);
        *out = if p >= 1.0 {
            left
        } else {
            Binomial::new(left, p)
                .map_or(0, |d| d.sample(rng))
                .min(left)
        };
        left -= *out;
        share_left = (share_left - share).max(f64::MIN_POSITIVE);
    }
}

/// `units` drawn units, brought to `rows` rows.
pub(crate) fn bring(counts: &mut [u64], units: u64, rows: f64) {
    if units as f64 != rows {
        let by = rows / (units as f64).max(1.0);
        counts
            .iter_mut()
            .for_each(|count| *count = (*count as f64 * by).round() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_shares(counts: &[u64], units: u64) {
        let source = Multinomial::new(counts);
        let mut rng = Pcg64Mcg::new(7);
        let (mut sum, mut out) = (vec![0_u64; counts.len()], vec![0; counts.len()]);
        for _ in 0..400 {
            source.draw(units, units as f64, &mut out, &mut rng);
            assert_eq!(out.iter().sum::<u64>(), units);
            sum.iter_mut()
                .zip(&out)
                .for_each(|(sum, count)| *sum += count);
        }
        let drawn = 400.0 * units as f64;
        for (&count, &sum) in counts.iter().zip(&sum) {
            let share = count as f64 / total(counts);
            let error = (share * (1.0 - share) / drawn).sqrt();
            assert!(
                (sum as f64 / drawn - share).abs() <= 5.0 * error,
                "{sum} of {drawn} for {share}"
            );
        }
    }

    #[test]
    fn both_ways_of_drawing_have_the_right_shares() {
        check_shares(&[1, 0, 5, 94], 20);
        check_shares(&[1, 0, 5, 94], 2000);
        check_shares(&[3], 5);
        check_shares(&[0, 0, 9], 500);
    }

    /// Thresholds are stored and compared across machines: the generator and its use must not change unnoticed.
    #[test]
    fn the_same_seed_gives_the_same_rows_for_ever() {
        let source = Multinomial::new(&[1, 2, 3, 4]);
        let mut rng = Pcg64Mcg::new(2013);
        let mut draw = |units: u64| {
            let mut out = [0; 4];
            source.draw(units, units as f64, &mut out, &mut rng);
            out
        };
        assert_eq!([draw(10), draw(1000)], [[1, 3, 4, 2], [97, 185, 306, 412]]);
    }

    #[test]
    fn a_window_as_long_as_its_block_needs_no_more_noise() {
        assert_eq!(missing_noise(1000.0, 1000.0), None);
        assert_eq!(missing_noise(1000.0, 2000.0), None);
        assert_eq!(missing_noise(1000.0, 500.0), Some(1000));
    }
}
