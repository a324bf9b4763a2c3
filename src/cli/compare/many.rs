//! Statistics of many columns at once: rows are sampled, brought to one scale, and compared together.

mod pairs;
mod sample;

use std::collections::BTreeMap;

use super::asked::Asked;
use super::rows::above_floor;
use crate::compute::backend::{Backend, Compute};
use crate::query::ColumnRows;
use crate::reference::two_sample::Draws;
use crate::stats::attribution::{Ties, ndcg};
use crate::stats::multivariate::correlation::{self, Correlation};
use crate::stats::multivariate::domain_classifier::DomainClassifier;
use crate::stats::multivariate::kernel::pooled_sigma;
use crate::stats::multivariate::pca::{Components, Pca};
use crate::stats::multivariate::pca_interval::interval;
use crate::stats::multivariate::random_fourier::{self, Frequencies};
use crate::stats::multivariate::{
    Kernel, Labels, Matrix, MultivariateError, Permuted, contribution, cross_mmd,
};
use crate::stats::score::{Digits, Score, Threshold, ThresholdSource, Verdict};
use crate::stats::{Statistic, student_tail};

use pairs::Drawn;
use sample::{Complete, Numbers, Sampled};

/// Most labellings that are drawn; a level that needs more is refused.
const MOST_PERMUTATIONS: usize = 99_999;
/// Kernels that contributions of columns may cost, some seconds: of more rows and columns some rows are left out.
const CONTRIBUTION_KERNELS: f64 = 2e8;
/// Frequencies of the linear form.
const FREQUENCIES: usize = 512;
/// Pieces of the reference that say how much quiet samples differ in their reconstruction error.
const FEWEST_CHUNKS: usize = 5;
const MOST_CHUNKS: usize = 20;

/// What was found, before it is judged.
struct Found {
    value: f64,
    effect: f64,
    /// `None`: it has no null, and the floor alone decides.
    p_value: Option<f64>,
    threshold: Option<f64>,
    draws: Option<u32>,
    moved: String,
    backend: Backend,
}

/// Computes and judges one statistic of all columns. `floor`: `None` for the statistic's own.
///
/// # Errors
/// For a parameter's value that cannot be understood.
pub fn judge(
    asked: &Asked,
    names: &[&str],
    reference: &[ColumnRows],
    current: &[ColumnRows],
    draws: &Draws,
    floor: Option<f64>,
    compute: &Compute,
) -> anyhow::Result<Score> {
    let entry = asked.statistic.entry();
    let settings = Settings::read(asked)?;
    let sampled = Sampled::new(names, reference, current, settings.rows, draws.seed);
    let mut parameters = asked.parameters.clone();
    for parameter in entry.parameters {
        parameters
            .entry(parameter.name.to_owned())
            .or_insert_with(|| parameter.default.to_owned());
    }
    let floor = floor.unwrap_or(entry.floor);
    let rows = |side: &[ColumnRows]| side.first().map_or(0, ColumnRows::len) as u64;
    let mut score = Score {
        column: String::new(),
        statistic: entry.name.to_owned(),
        verdict: Verdict::InsufficientData,
        value: None,
        effect: None,
        floor,
        threshold: None,
        p_value: None,
        error_bound: None,
        n_reference: rows(reference).min(settings.rows as u64),
        n_current: rows(current).min(settings.rows as u64),
        method: "rows".to_owned(),
        parameters: BTreeMap::new(),
        backend: Backend::Cpu.name().to_owned(),
        moved: String::new(),
        worst_slice: None,
        reason: String::new(),
    };
    let found = match permutations(&settings, draws.level) {
        Ok(permutations) => {
            parameters.insert("permutations".to_owned(), permutations.to_string());
            measure(
                asked.statistic,
                &sampled,
                &settings,
                permutations,
                draws,
                &mut parameters,
                compute,
            )
            .map_err(|error| error.to_string())
        }
        Err(reason) => Err(reason),
    };
    if entry.parameter("permutations").is_none() {
        parameters.remove("permutations");
    }
    score.parameters = parameters;
    let found = match found {
        Ok(found) => found,
        Err(reason) => {
            score.reason = reason;
            return Ok(score);
        }
    };
    (score.value, score.effect) = (Some(found.value), Some(found.effect));
    (score.p_value, score.moved) = (found.p_value, found.moved);
    score.backend = found.backend.name().to_owned();
    score.threshold = found.threshold.map(|value| Threshold {
        value,
        source: ThresholdSource::AssumesIndependence,
        level: Some(draws.level),
        overdispersion: None,
        blocks: 1,
        draws: found.draws,
        extrapolated: false,
        false_alarms_per_week: None,
    });
    let level = draws.level;
    let rare = found.p_value.is_none_or(|p| p <= level);
    let matters = above_floor(found.effect, floor);
    score.verdict = if rare && matters {
        Verdict::Drift
    } else {
        Verdict::Ok
    };
    let p = found.p_value.map_or_else(String::new, |p| {
        let sign = if rare { "not above" } else { "above" };
        format!("p {p:.1e} is {sign} {level:.2e}, and ")
    });
    let side = if matters { "above" } else { "not above" };
    score.reason = format!(
        "{} {}: {p}the effect {} is {side} the floor {floor}",
        entry.name,
        Digits(found.value, 4),
        Digits(found.effect, 4)
    );
    Ok(score)
}

/// How many labellings the level needs, or why it cannot be served.
fn permutations(settings: &Settings, level: f64) -> Result<usize, String> {
    let needed = (1.0 / level).ceil();
    if needed > (MOST_PERMUTATIONS + 1) as f64 {
        return Err(format!(
            "the level {level:.1e} needs {needed:.0} permutations; at most {MOST_PERMUTATIONS} are drawn"
        ));
    }
    Ok(settings.permutations.max(needed as usize - 1))
}

fn measure(
    statistic: Statistic,
    sampled: &Sampled,
    settings: &Settings,
    permutations: usize,
    draws: &Draws,
    parameters: &mut BTreeMap<String, String>,
    compute: &Compute,
) -> Result<Found, MultivariateError> {
    let numbers = sampled.numbers();
    let names = numbers.names.clone();
    match statistic {
        Statistic::DomainClassifier => domain(sampled, settings, draws.seed),
        Statistic::CorrelationChange => {
            let (n, m) = (rows_of(&numbers.reference), rows_of(&numbers.current));
            let found = correlation::compare(&numbers.reference, &numbers.current, settings.of)?;
            let pair = &found.pairs[found.largest];
            let moved = format!(
                "{} and {}: {:.2} → {:.2}",
                names[pair.columns.0], names[pair.columns.1], pair.reference, pair.current
            );
            let labels = Labels::of_rows(n, m, permutations, draws.seed)?;
            let permuted = correlation::permutation_test(
                &numbers.reference,
                &numbers.current,
                settings.of,
                &labels,
            )?
            .max_z_change;
            Ok(of_permutations(
                &permuted,
                found.max_z_change,
                draws.level,
                moved,
            ))
        }
        Statistic::AttributionNdcg => attributions(&numbers, settings.all_columns),
        Statistic::PcaReconstruction => {
            let complete = numbers.complete()?;
            left_out(&complete, parameters);
            pca(&complete, settings, parameters)
        }
        _ => {
            let numbers = if settings.standardise {
                numbers.standardised()
            } else {
                numbers
            };
            let complete = numbers.complete()?;
            left_out(&complete, parameters);
            let (a, b) = (&complete.reference, &complete.current);
            if statistic == Statistic::EnergyNd {
                let drawn = Drawn {
                    permutations,
                    seed: draws.seed,
                };
                let (permuted, unbiased, backend) = pairs::energy(compute, [a, b], drawn)?;
                Ok(Found {
                    backend,
                    ..of_permutations(&permuted, unbiased.max(0.0), draws.level, String::new())
                })
            } else {
                let drawn = Drawn {
                    permutations,
                    seed: draws.seed,
                };
                kernel(
                    [a, b],
                    &names,
                    settings,
                    (drawn, draws.level),
                    parameters,
                    compute,
                )
            }
        }
    }
}

fn rows_of(columns: &[Vec<f64>]) -> usize {
    columns.first().map_or(0, Vec::len)
}

fn left_out(complete: &Complete, parameters: &mut BTreeMap<String, String>) {
    parameters.insert("rows_left_out".to_owned(), complete.left_out.to_string());
}

fn of_permutations(permuted: &Permuted, effect: f64, level: f64, moved: String) -> Found {
    Found {
        value: permuted.value,
        effect,
        p_value: Some(permuted.p_value),
        threshold: permuted.threshold(level),
        draws: u32::try_from(permuted.draws).ok(),
        moved,
        backend: Backend::Cpu,
    }
}

fn kernel(
    [a, b]: [&Matrix; 2],
    names: &[String],
    settings: &Settings,
    (drawn, level): (Drawn, f64),
    parameters: &mut BTreeMap<String, String>,
    compute: &Compute,
) -> Result<Found, MultivariateError> {
    let sigma = match settings.sigma {
        Some(sigma) => sigma,
        None => pooled_sigma(a, b)?,
    };
    parameters.insert("sigma".to_owned(), sigma.to_string());
    let kernel = Kernel::sigma(sigma)?;
    let moved = if settings.contributions && names.len() > 1 {
        let some = [a, b].map(|side| thinned(side, contribution_rows(names.len())));
        let shares = contribution::leave_one_out(&some[0], &some[1], kernel)?;
        let most = (0..shares.len()).max_by(|&i, &j| shares[i].total_cmp(&shares[j]));
        most.map_or_else(String::new, |at| {
            format!("most by {} ({:.4})", names[at], shares[at])
        })
    } else {
        String::new()
    };
    match settings.form {
        Form::Cross => {
            let found = cross_mmd::cross_mmd(a, b, kernel, drawn.seed)?;
            Ok(Found {
                value: found.value,
                effect: found.value.max(0.0),
                p_value: Some(found.p_value),
                threshold: None,
                draws: None,
                moved,
                backend: Backend::Cpu,
            })
        }
        Form::Exact => {
            let (permuted, backend) = pairs::mmd(compute, [a, b], sigma, drawn)?;
            let effect = permuted.value.max(0.0);
            Ok(Found {
                backend,
                ..of_permutations(&permuted, effect, level, moved)
            })
        }
        Form::Linear => {
            let labels = Labels::of_rows(a.rows(), b.rows(), drawn.permutations, drawn.seed)?;
            let frequencies = Frequencies::draw(kernel, a.columns(), FREQUENCIES, drawn.seed)?;
            let permuted = random_fourier::permutation_test(a, b, &frequencies, &labels)?;
            let effect = permuted.value.max(0.0);
            Ok(of_permutations(&permuted, effect, level, moved))
        }
    }
}

/// Rows of a side whose contributions of `columns` are within [`CONTRIBUTION_KERNELS`].
fn contribution_rows(columns: usize) -> usize {
    (CONTRIBUTION_KERNELS / columns.max(1) as f64 / 2.0).sqrt() as usize
}

/// Evenly spaced rows.
fn thinned(side: &Matrix, most: usize) -> Matrix {
    let step = side.rows().div_ceil(most.max(2)).max(1);
    let places: Vec<usize> = (0..side.rows()).step_by(step).collect();
    side.take(&places)
}

fn pca(
    complete: &Complete,
    settings: &Settings,
    parameters: &mut BTreeMap<String, String>,
) -> Result<Found, MultivariateError> {
    let (a, b) = (&complete.reference, &complete.current);
    let fitted = Pca::fit(a, settings.components)?;
    let found = fitted.score(b)?;
    parameters.insert("components".to_owned(), fitted.components().to_string());
    let pieces = (a.rows() / b.rows().max(1)).clamp(FEWEST_CHUNKS, MOST_CHUNKS);
    parameters.insert("chunks".to_owned(), pieces.to_string());
    let chunks: Vec<Matrix> = (0..pieces)
        .map(|k| a.take(&(k * a.rows() / pieces..(k + 1) * a.rows() / pieces).collect::<Vec<_>>()))
        .collect();
    // The level only moves the ends of the interval, which are not used here.
    let quiet = interval(&chunks, settings.components, 0.05)?;
    let degrees = (pieces - 1) as f64;
    let error = quiet.deviation * (1.0 + 1.0 / pieces as f64).sqrt();
    let away = found.mean_euclidean - quiet.mean;
    let p_value = if error > 0.0 {
        student_tail(away / error, degrees).clamp(f64::MIN_POSITIVE, 1.0)
    } else if away <= 0.0 {
        1.0
    } else {
        f64::MIN_POSITIVE
    };
    Ok(Found {
        value: found.mean_euclidean,
        effect: (away / quiet.mean.max(f64::MIN_POSITIVE)).clamp(0.0, f64::MAX),
        p_value: Some(p_value),
        threshold: None,
        draws: None,
        moved: format!(
            "error {} → {}",
            Digits(quiet.mean, 4),
            Digits(found.mean_euclidean, 4)
        ),
        backend: Backend::Cpu,
    })
}

fn domain(sampled: &Sampled, settings: &Settings, seed: u64) -> Result<Found, MultivariateError> {
    let (ours, theirs) = sampled.tables();
    let mut classifier = if settings.logistic {
        DomainClassifier::logistic()
    } else {
        DomainClassifier::forest()
    };
    (classifier.folds, classifier.seeds) = (settings.folds, vec![seed]);
    let found = classifier.compare(&ours, &theirs, None)?;
    Ok(Found {
        value: found.auc,
        effect: (found.auc - 0.5).max(0.0),
        p_value: Some(found.p_value),
        threshold: None,
        draws: None,
        moved: format!(
            "AUC {:.3} ({:.3} to {:.3})",
            found.auc, found.lower, found.upper
        ),
        backend: Backend::Cpu,
    })
}

/// How columns of attributions are called, in lower case.
const ATTRIBUTIONS: [&str; 2] = ["attribution", "shap"];

/// Files of attributions: each column is a feature's, compared by the mean of absolute values. It has no null; the
/// convention's 0.90 decides. Columns that are not called attributions are values of features, whose sizes say nothing
/// of what mattered, unless `all` says otherwise.
fn attributions(numbers: &Numbers, all: bool) -> Result<Found, MultivariateError> {
    let named = |name: &String| {
        let name = name.to_lowercase();
        let name = name.strip_prefix("features.").unwrap_or(&name);
        ATTRIBUTIONS.iter().any(|begin| name.starts_with(begin))
    };
    let places: Vec<usize> = (0..numbers.names.len())
        .filter(|&place| all || named(&numbers.names[place]))
        .collect();
    if places.is_empty() {
        return Err(MultivariateError::NoAttributions);
    }
    let means = |columns: &[Vec<f64>]| -> Vec<f64> {
        places
            .iter()
            .map(|&place| {
                let column = &columns[place];
                let usable: Vec<f64> = column
                    .iter()
                    .copied()
                    .filter(|x| x.is_finite())
                    .map(f64::abs)
                    .collect();
                crate::stats::summation::Spread::of(&usable).map_or(0.0, |spread| spread.mean)
            })
            .collect()
    };
    let value = ndcg(
        &means(&numbers.reference),
        &means(&numbers.current),
        Ties::Given,
    )
    .ok_or(MultivariateError::NoColumns)?;
    Ok(Found {
        value,
        effect: 1.0 - value,
        p_value: None,
        threshold: None,
        draws: None,
        moved: String::new(),
        backend: Backend::Cpu,
    })
}

#[derive(Clone, Copy)]
enum Form {
    Exact,
    Linear,
    Cross,
}

struct Settings {
    rows: usize,
    permutations: usize,
    /// `None`: the median distance.
    sigma: Option<f64>,
    form: Form,
    standardise: bool,
    contributions: bool,
    components: Components,
    logistic: bool,
    folds: usize,
    of: Correlation,
    /// Whether every numeric column is an attribution.
    all_columns: bool,
}

impl Settings {
    fn read(asked: &Asked) -> anyhow::Result<Self> {
        let text = |name: &str| {
            let default = asked
                .statistic
                .entry()
                .parameter(name)
                .map(|known| known.default);
            asked.parameters.get(name).map(String::as_str).or(default)
        };
        let whole = |name: &str, least: usize, most: usize| -> anyhow::Result<usize> {
            let Some(text) = text(name) else {
                return Ok(least);
            };
            let number = text
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number));
            number.ok_or_else(|| {
                anyhow::anyhow!("{name}={text} is no whole number from {least} to {most}")
            })
        };
        let one = |name: &str, words: &[&'static str]| -> anyhow::Result<&'static str> {
            let Some(text) = text(name) else {
                return Ok(words[0]);
            };
            words
                .iter()
                .find(|word| **word == text)
                .copied()
                .ok_or_else(|| {
                    anyhow::anyhow!(
                        "{name}={text} is not understood; write one of: {}",
                        words.join(", ")
                    )
                })
        };
        let sigma = match text("sigma") {
            None | Some("median") => None,
            Some(text) => Some(
                text.parse::<f64>()
                    .ok()
                    .filter(|sigma| *sigma > 0.0 && sigma.is_finite())
                    .ok_or_else(|| {
                        anyhow::anyhow!("sigma={text} is neither median nor a number above 0")
                    })?,
            ),
        };
        let components = match text("components").unwrap_or("0.65") {
            text if text.contains('.') => text
                .parse::<f64>()
                .ok()
                .filter(|share| *share > 0.0 && *share < 1.0)
                .map(Components::Share),
            text => text
                .parse::<usize>()
                .ok()
                .filter(|count| *count > 0)
                .map(Components::Count),
        };
        Ok(Self {
            rows: whole("rows", 10, 1_000_000)?,
            permutations: whole("permutations", 19, MOST_PERMUTATIONS)?,
            sigma,
            form: match one("form", &["exact", "linear", "cross"])? {
                "linear" => Form::Linear,
                "cross" => Form::Cross,
                _ => Form::Exact,
            },
            standardise: one("standardise", &["true", "false"])? == "true",
            contributions: one("contributions", &["true", "false"])? == "true",
            components: components.ok_or_else(|| {
                anyhow::anyhow!(
                    "components={} is neither a whole number nor a share such as 0.65",
                    text("components").unwrap_or_default()
                )
            })?,
            logistic: one("learner", &["forest", "logistic"])? == "logistic",
            folds: whole("folds", 2, 20)?,
            all_columns: one("columns", &["named", "all"])? == "all",
            of: match one("of", &["pearson", "spearman"])? {
                "spearman" => Correlation::Spearman,
                _ => Correlation::Pearson,
            },
        })
    }
}
