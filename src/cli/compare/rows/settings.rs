//! Values of parameters: text to meaning, with a sentence for what is not understood.

use super::super::asked::Asked;
use crate::stats::Statistic;
use crate::stats::contingency::Correction;
use crate::stats::histogram::{Closed, Missing, Outer, Rule, Unseen};
use crate::stats::ks_exact::Method;
use crate::stats::shares::{Base, Direction, Smoothing};
use crate::stats::table::Data;

/// All parameters of statistics on rows; each statistic looks at its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub bins: Bins,
    /// Edges are made of both samples together.
    pub over_both: bool,
    pub closed: Closed,
    pub outer: Outer,
    pub missing: Missing,
    pub unseen: Unseen,
    pub smoothing: Smoothing,
    pub base: Base,
    pub divergence: bool,
    pub direction: Direction,
    pub method: Method,
    pub robust: bool,
    pub scale: Scale,
    pub correction: Correction,
    pub merge: bool,
    pub quantile: f64,
}

/// Where edges come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Bins {
    Rule(Rule),
    Edges(Vec<f64>),
}

/// What a Wasserstein distance is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Reference,
    Evidently,
    None,
}

/// The first is what every statistic with a scale has.
const SCALES: [(&str, Scale); 3] = [
    ("reference", Scale::Reference),
    ("evidently", Scale::Evidently),
    ("none", Scale::None),
];

impl Settings {
    /// # Errors
    /// A sentence that names the parameter, its value and what may be written.
    pub fn read(asked: &Asked) -> anyhow::Result<Self> {
        let word = Words(asked);
        // `method` of a statistic on profiles says where it is computed, `p` how its p-value is found.
        let p_value = match asked.statistic.entry().from {
            Data::Profile => "p",
            _ => "method",
        };
        if p_value == "p" {
            word.one("method", (), &[("exact", ()), ("rank-binned", ())])?;
        }
        let number = |name, default| share(name, word.text(name), default);
        let scales = match asked.statistic {
            Statistic::Wasserstein => SCALES.as_slice(),
            _ => &SCALES[..1],
        };
        Ok(Self {
            bins: bins(word.text("bins"))?,
            over_both: word.one("over", false, &[("reference", false), ("both", true)])?,
            closed: word.one(
                "closed",
                Closed::Right,
                &[("right", Closed::Right), ("left", Closed::Left)],
            )?,
            outer: word.one(
                "outer",
                Outer::Open,
                &[
                    ("open", Outer::Open),
                    ("extra", Outer::Extra),
                    ("nowhere", Outer::Nowhere),
                ],
            )?,
            missing: word.one(
                "missing",
                Missing::Bin,
                &[
                    ("bin", Missing::Bin),
                    ("rank", Missing::Bin),
                    ("drop", Missing::Drop),
                ],
            )?,
            unseen: word.one(
                "unseen",
                Unseen::Together,
                &[("together", Unseen::Together), ("apart", Unseen::Apart)],
            )?,
            smoothing: smoothing(word.text("smoothing"))?,
            base: word.one("base", Base::Two, &[("2", Base::Two), ("e", Base::E)])?,
            divergence: word.one("form", false, &[("distance", false), ("divergence", true)])?,
            direction: word.one(
                "direction",
                Direction::CurrentFromReference,
                &[
                    ("current_from_reference", Direction::CurrentFromReference),
                    ("reference_from_current", Direction::ReferenceFromCurrent),
                ],
            )?,
            method: word.one(
                p_value,
                Method::Auto,
                &[
                    ("auto", Method::Auto),
                    ("exact", Method::Exact),
                    ("asymptotic", Method::Asymptotic),
                ],
            )?,
            robust: word.one("robust", false, &[("none", false), ("deequ", true)])?,
            scale: word.one("scale", Scale::Reference, scales)?,
            correction: word.one(
                "yates",
                Correction::None,
                &[("false", Correction::None), ("true", Correction::Yates)],
            )?,
            merge: word.one("merge", false, &[("none", false), ("cochran", true)])?,
            quantile: number("quantile", 0.5)?,
        })
    }
}

struct Words<'a>(&'a Asked);

impl Words<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.parameters.get(name).map(String::as_str)
    }

    /// One of a few words.
    fn one<T: Copy>(&self, name: &str, default: T, words: &[(&str, T)]) -> anyhow::Result<T> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        let known = words.iter().find(|(word, _)| *word == text);
        known.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            anyhow::anyhow!(
                "{name}={text} is not understood; write one of: {}",
                words.join(", ")
            )
        })
    }
}

/// A number strictly between 0 and 1.
fn share(name: &str, text: Option<&str>, default: f64) -> anyhow::Result<f64> {
    let Some(text) = text else { return Ok(default) };
    let number = text
        .parse::<f64>()
        .ok()
        .filter(|number| *number > 0.0 && *number < 1.0);
    number.ok_or_else(|| anyhow::anyhow!("{name}={text} is no number between 0 and 1"))
}

/// Most bins that may be asked for.
const MOST_BINS: usize = 10_000;
/// Bins where nothing is asked for.
const DEFAULT_BINS: &str = "10";

fn bins(text: Option<&str>) -> anyhow::Result<Bins> {
    let text = text.unwrap_or(DEFAULT_BINS);
    let count = |digits: &str| {
        let number = digits
            .parse::<usize>()
            .ok()
            .filter(|bins| (2..=MOST_BINS).contains(bins));
        number.ok_or_else(|| {
            anyhow::anyhow!("bins={text} wants a whole number of bins, 2 to {MOST_BINS}")
        })
    };
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    Ok(match (kind, rest) {
        ("quantile", digits) => Bins::Rule(Rule::Quantiles(count(digits)?)),
        ("width", digits) => Bins::Rule(Rule::EqualWidth(count(digits)?)),
        ("sturges", "") => Bins::Rule(Rule::Sturges),
        ("doane", "") => Bins::Rule(Rule::Doane),
        ("fd", "") => Bins::Rule(Rule::FreedmanDiaconis),
        ("auto", "") => Bins::Rule(Rule::Auto),
        ("edges", list) => {
            let edges: Option<Vec<f64>> = list
                .split(';')
                .map(|edge| edge.trim().parse().ok())
                .collect();
            let usable = edges.filter(|edges| {
                edges.iter().all(|edge| edge.is_finite()) && edges.is_sorted_by(|a, b| a < b)
            });
            Bins::Edges(usable.ok_or_else(|| {
                anyhow::anyhow!("bins={text} wants ascending finite numbers, edges:1;2.5;4")
            })?)
        }
        (digits, "") if digits.chars().all(|digit| digit.is_ascii_digit()) => {
            Bins::Rule(Rule::Quantiles(count(digits)?))
        }
        _ => anyhow::bail!(
            "bins={text} is not understood; write a number, quantile:N, width:N, sturges, doane, fd, auto or edges:1;2;3"
        ),
    })
}

fn smoothing(text: Option<&str>) -> anyhow::Result<Smoothing> {
    let text = text.unwrap_or("half_row");
    let mut parts = text.split(':');
    let found = match (parts.next(), parts.next(), parts.next()) {
        (Some("half_row"), None, None) => Some(Smoothing::HalfRow),
        (Some("none"), None, None) => Some(Smoothing::None),
        (Some("one_row"), None, None) => Some(Smoothing::OneRow),
        (Some("least_number"), None, None) => Some(Smoothing::LeastNumber),
        (Some("evidently"), None, None) => Some(Smoothing::Evidently),
        (Some("floor"), Some(floor), then @ (None | Some("renormalise"))) => floor
            .parse()
            .ok()
            .filter(|floor: &f64| *floor > 0.0 && *floor < 1.0)
            .map(|floor| Smoothing::Floor {
                floor,
                renormalise: then.is_some(),
            }),
        _ => None,
    };
    found.ok_or_else(|| {
        anyhow::anyhow!(
            "smoothing={text} is not understood; write half_row, none, one_row, least_number, evidently, floor:1e-4 or floor:1e-4:renormalise"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(statistic: Statistic, parameters: &[(&str, &str)]) -> anyhow::Result<Settings> {
        let parameters = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::read(&Asked {
            statistic,
            parameters: parameters.collect(),
            decides: true,
        })
    }

    #[test]
    fn parameters_are_read() {
        let typed = [
            ("bins", "edges:1;2.5"),
            ("smoothing", "floor:1e-4"),
            ("closed", "left"),
            ("missing", "drop"),
        ];
        let found = read(Statistic::Psi, &typed).expect("known words");
        assert_eq!(found.bins, Bins::Edges(vec![1.0, 2.5]));
        let (floor, renormalise) = (1e-4, false);
        assert_eq!(found.smoothing, Smoothing::Floor { floor, renormalise });
        assert_eq!((found.closed, found.missing), (Closed::Left, Missing::Drop));
        let found = read(Statistic::Psi, &[]).expect("defaults");
        assert_eq!(found.bins, Bins::Rule(Rule::Quantiles(10)));
    }

    #[track_caller]
    fn refused(parameters: &[(&str, &str)], sentence: &str) {
        let error = read(Statistic::Psi, parameters)
            .expect_err("must be refused")
            .to_string();
        assert!(error.contains(sentence), "{error}");
    }

    #[test]
    fn what_is_not_understood_is_refused_with_what_may_be_written() {
        refused(
            &[("bins", "many")],
            "bins=many is not understood; write a number, quantile:N",
        );
        refused(
            &[("bins", "1")],
            "bins=1 wants a whole number of bins, 2 to 10000",
        );
        refused(&[("bins", "edges:2;1")], "wants ascending finite numbers");
        refused(
            &[("smoothing", "floor")],
            "smoothing=floor is not understood",
        );
        assert!(read(Statistic::Wasserstein, &[("scale", "none")]).is_ok());
        let shift = read(Statistic::MeanShift, &[("scale", "none")]);
        let error = shift.expect_err("it is always scaled").to_string();
        assert_eq!(
            error,
            "scale=none is not understood; write one of: reference"
        );
        refused(
            &[("missing", "ignore")],
            "missing=ignore is not understood; write one of: bin, rank, drop",
        );
    }
}
