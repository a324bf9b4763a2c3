//! `driftline bench power`: how often each statistic sees a change of known size.
//!
//! A fresh reference and a fresh window for every replicate, as in `driftline bench null --grid`, but that the window
//! has moved. Counted is p ≤ 5 %: the first of the two keys. Whether a change that is seen also matters is the floor's
//! business, and floors are a choice.

use std::fmt::Write as _;

use rayon::prelude::*;

use rand_pcg::rand_core::Rng as _;

use super::grid::{LEVELS, generator, of_profiles, of_windows};
use super::made_up::{Kind, Rows, Shift};
use crate::cli::compare::p_value_on_rows;
use crate::query::{ColumnRows, NumberRows};
use crate::reference::two_sample::Draws;
use crate::stats::Statistic;

/// Rows of a window; the reference has [`TIMES`] times as many.
pub const WINDOWS: [usize; 4] = [500, 2_000, 10_000, 50_000];
/// Rows of the reference over rows of the window.
pub const TIMES: usize = 5;
/// What changes: numbers by deviations, the shares of ten categories by percentage points.
pub const SHIFTS: [(Kind, Shift); 5] = [
    (Kind::Numbers, Shift::Deviations(0.1)),
    (Kind::Numbers, Shift::Deviations(0.25)),
    (Kind::Numbers, Shift::Deviations(0.5)),
    (Kind::Categories(10), Shift::Share(0.05)),
    (Kind::Categories(10), Shift::Share(0.10)),
];
/// Bins of numbers.
const BINS: usize = 10;

/// What is asked of the rows themselves.
const ON_ROWS: [Statistic; 10] = [
    Statistic::KolmogorovSmirnov,
    Statistic::Wasserstein,
    Statistic::Energy,
    Statistic::CramerVonMises,
    Statistic::AndersonDarling,
    Statistic::MannWhitney,
    Statistic::WelchT,
    Statistic::VarianceShift,
    Statistic::QuantileShift,
    Statistic::DomainClassifier,
];

/// What `driftline bench power` takes.
#[derive(Debug, clap::Args)]
pub struct PowerArguments {
    /// Fresh references and windows for each figure.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    replicates: u32,
    /// Rows of the largest window that is tried.
    #[arg(long, default_value_t = 50_000)]
    rows: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How often each statistic saw one change in windows of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Power {
    pub shift: Shift,
    pub window: usize,
    /// In the order of the table.
    pub seen: Vec<(Statistic, f64)>,
    /// Those that look at rows, of numbers alone.
    pub on_rows: Vec<(Statistic, f64)>,
}

/// p-values by statistic of one replicate, from profiles and from rows.
type PValues = Vec<(Statistic, f64)>;

/// Detection rates at a level of 5 %.
///
/// # Errors
/// When made-up rows cannot be counted.
pub fn measure(
    kind: Kind,
    shift: Shift,
    window: usize,
    replicates: u32,
    seed: u64,
) -> anyhow::Result<Power> {
    let found = (0..replicates)
        .into_par_iter()
        .map(|replicate| {
            let mut rng = generator(seed, window as u64, replicate);
            let before = kind.draw(window * TIMES, Shift::None, &mut rng);
            let now = kind.draw(window, shift, &mut rng);
            let draws = Draws::new(LEVELS[0], rng.next_u64());
            let on_rows = on_rows(&before, &now, &draws)?;
            Ok((of_windows(&[before], &now, BINS)?, on_rows))
        })
        .collect::<anyhow::Result<Vec<(PValues, PValues)>>>()?;
    let (of_profile, of_rows): (Vec<PValues>, Vec<PValues>) = found.into_iter().unzip();
    let seen = |found: &[PValues], statistic: Statistic| {
        let p_values = found.iter().flatten().filter(|one| one.0 == statistic);
        let (all, small) = p_values.fold((0_u32, 0_u32), |(all, small), one| {
            (all + 1, small + u32::from(one.1 <= LEVELS[0]))
        });
        (all > 0).then(|| (statistic, f64::from(small) / f64::from(all)))
    };
    Ok(Power {
        shift,
        window,
        seen: of_profiles()
            .into_iter()
            .filter_map(|statistic| seen(&of_profile, statistic))
            .collect(),
        on_rows: ON_ROWS
            .into_iter()
            .filter_map(|statistic| seen(&of_rows, statistic))
            .collect(),
    })
}

/// Nothing for categories: what looks at rows looks at numbers.
fn on_rows(before: &Rows, now: &Rows, draws: &Draws) -> anyhow::Result<PValues> {
    let (Rows::Numbers(before), Rows::Numbers(now)) = (before, now) else {
        return Ok(Vec::new());
    };
    let rows = |values: &[f64]| {
        ColumnRows::Numbers(NumberRows {
            values: values.to_vec(),
            ..NumberRows::default()
        })
    };
    let (before, now) = (rows(before), rows(now));
    let mut found = Vec::new();
    for statistic in ON_ROWS {
        let p_value = p_value_on_rows(statistic, &before, &now, draws)?;
        found.extend(p_value.map(|p_value| (statistic, p_value)));
    }
    Ok(found)
}

/// Prints the table as Markdown.
///
/// # Errors
/// When made-up rows cannot be counted.
pub fn run(arguments: &PowerArguments) -> anyhow::Result<()> {
    let windows: Vec<usize> = WINDOWS
        .into_iter()
        .filter(|window| *window <= arguments.rows)
        .collect();
    for (place, (kind, shift)) in SHIFTS.into_iter().enumerate() {
        let powers = windows
            .iter()
            .map(|&window| {
                // Each change has references of its own.
                let seed = arguments
                    .seed
                    .wrapping_mul(1_000)
                    .wrapping_add(place as u64);
                measure(kind, shift, window, arguments.replicates, seed)
            })
            .collect::<anyhow::Result<Vec<Power>>>()?;
        println!("{}", table(kind, shift, &powers));
    }
    Ok(())
}

/// One change: a line for each statistic, a column for each size of window.
fn table(kind: Kind, shift: Shift, powers: &[Power]) -> String {
    let what = match (kind, shift) {
        (_, Shift::None) => "no change".to_owned(),
        (_, Shift::Deviations(by)) => format!("numbers move by {by} standard deviations"),
        (Kind::Categories(all), Shift::Share(by)) => {
            format!(
                "{:.0} percentage points move between two of {all} categories",
                100.0 * by
            )
        }
        (Kind::Numbers, Shift::Share(_)) => "no change".to_owned(),
    };
    let mut text = format!(
        "**{}{}**\n\n| statistic |",
        what[..1].to_uppercase(),
        &what[1..]
    );
    for power in powers {
        let _ = write!(text, " n = {} |", power.window);
    }
    let _ = write!(text, "\n|---|{}\n", "---:|".repeat(powers.len()));
    let Some(first) = powers.first() else {
        return text;
    };
    let mut line = |name: &str, statistic: Statistic, of: fn(&Power) -> &PValues| {
        let _ = write!(text, "| {name} |");
        for power in powers {
            let rate = of(power).iter().find(|one| one.0 == statistic);
            let _ = match rate {
                Some((_, rate)) => write!(text, " {:.0} % |", 100.0 * rate),
                None => write!(text, " |"),
            };
        }
        text.push('\n');
    };
    for (statistic, _) in &first.seen {
        line(&format!("`{}`", statistic.name()), *statistic, |power| {
            &power.seen
        });
    }
    for (statistic, _) in &first.on_rows {
        line(
            &format!("`{}` on rows", statistic.name()),
            *statistic,
            |power| &power.on_rows,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_change_is_seen_and_none_is_not() {
        let rate = |shift| {
            let power = measure(Kind::Numbers, shift, 500, 12, 3).expect("counted");
            power.seen.iter().map(|one| one.1).sum::<f64>() / power.seen.len() as f64
        };
        assert!(rate(Shift::Deviations(0.5)) > 0.95);
        assert!(rate(Shift::None) < 0.3);
    }

    #[test]
    fn the_table_has_a_line_for_each_statistic_and_a_column_for_each_size() {
        let shift = Shift::Share(0.05);
        let powers: Vec<Power> = [500, 2_000]
            .map(|window| Power {
                shift,
                window,
                seen: vec![(Statistic::Psi, 0.25)],
                on_rows: vec![(Statistic::KolmogorovSmirnov, 0.5)],
            })
            .into();
        assert_eq!(
            table(Kind::Categories(10), shift, &powers),
            "**5 percentage points move between two of 10 categories**\n\n\
             | statistic | n = 500 | n = 2000 |\n|---|---:|---:|\n| `psi` | 25 % | 25 % |\n\
             | `ks` on rows | 50 % | 50 % |\n"
        );
    }
}
