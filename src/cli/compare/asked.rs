//! Which statistics were asked for, with which parameters.

use std::collections::BTreeMap;

use crate::stats::table::Data;
use crate::stats::{Statistic, table};

/// A statistic's parameters as they were typed.
pub type Parameters = BTreeMap<String, String>;

/// One statistic asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub statistic: Statistic,
    /// Those typed for it; what is not there is at its default.
    pub parameters: Parameters,
    /// Whether verdicts rest on it.
    pub decides: bool,
}

/// Everything asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asks {
    /// Of one column each, as named; `None`: the standard ones of the column's kind.
    named: Option<Vec<Asked>>,
    /// Of many columns at once.
    pub many: Vec<Asked>,
    parameters: Vec<Typed>,
}

/// A `--param`.
#[derive(Debug, Clone, PartialEq)]
struct Typed {
    statistic: Option<Statistic>,
    name: String,
    value: String,
}

/// Parameters of bins that are ranges of numbers. Categories have no such bins.
const OF_RANGES: [&str; 4] = ["bins", "over", "closed", "outer"];

/// Other names under which people know a statistic.
const ALIASES: &[(&str, &str)] = &[
    ("jensen_shannon", "js"),
    ("kolmogorov_smirnov", "ks"),
    ("ks_2samp", "ks"),
    ("total_variation", "tv"),
    ("tvd", "tv"),
    ("kullback_leibler", "kl"),
    ("chi2", "chi_squared"),
    ("wasserstein_distance", "wasserstein"),
    ("energy_distance", "energy"),
    ("cvm", "cramer_von_mises"),
    ("mmd2", "mmd"),
];

impl Asks {
    /// Reads `--statistics` and `--param`.
    ///
    /// # Errors
    /// For a name that no statistic has, a parameter that none of those asked for has, and text without `=`.
    pub fn read(names: &[String], parameters: &[String]) -> anyhow::Result<Self> {
        let mut statistics: Vec<Statistic> = Vec::new();
        for name in names {
            let asked = statistic(name.trim())?;
            if !statistics.contains(&asked) {
                statistics.push(asked);
            }
        }
        let parameters = parameters
            .iter()
            .map(|text| typed(text))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let asked_for = |other: Statistic| match names.is_empty() {
            true => other.entry().standard,
            false => statistics.contains(&other),
        };
        for typed in &parameters {
            let mut fits = table()
                .iter()
                .filter(|entry| asked_for(entry.statistic))
                .filter(|entry| typed.statistic.is_none_or(|only| only == entry.statistic));
            anyhow::ensure!(
                fits.any(|entry| entry.parameter(&typed.name).is_some()),
                "--param {}: no statistic asked for has this parameter; `driftline statistics NAME` lists a statistic's",
                typed.name
            );
        }
        let mut asks = Self {
            named: None,
            many: Vec::new(),
            parameters,
        };
        if !statistics.is_empty() {
            let (single, many): (Vec<_>, Vec<_>) = statistics
                .into_iter()
                .map(|statistic| asks.with_parameters(statistic, true))
                .partition(|asked| {
                    matches!(asked.statistic.entry().from, Data::Profile | Data::Rows)
                });
            (asks.named, asks.many) = (Some(single), many);
        }
        Ok(asks)
    }

    /// What to compute for a column; statistics and parameters that do not apply to its kind are left out.
    pub fn of_column(&self, numeric: bool) -> Vec<Asked> {
        let mut asked = self.of_kind(numeric);
        if !numeric {
            for asked in &mut asked {
                let parameters = &mut asked.parameters;
                parameters.retain(|name, _| !OF_RANGES.contains(&name.as_str()));
            }
        }
        asked
    }

    fn of_kind(&self, numeric: bool) -> Vec<Asked> {
        match &self.named {
            Some(named) => named
                .iter()
                .filter(|asked| asked.statistic.entry().applies.to(numeric))
                .cloned()
                .collect(),
            None => Statistic::for_column(numeric)
                .into_iter()
                .enumerate()
                .map(|(place, statistic)| self.with_parameters(statistic, place == 0))
                .collect(),
        }
    }

    fn with_parameters(&self, statistic: Statistic, decides: bool) -> Asked {
        let parameters = self
            .parameters
            .iter()
            .filter(|typed| typed.statistic.is_none_or(|only| only == statistic))
            .filter(|typed| statistic.entry().parameter(&typed.name).is_some())
            .map(|typed| (typed.name.clone(), typed.value.clone()))
            .collect();
        Asked {
            statistic,
            parameters,
            decides,
        }
    }
}

/// The statistic that people call so.
///
/// # Errors
/// For a name that no statistic has; the sentence lists them.
pub fn statistic(name: &str) -> anyhow::Result<Statistic> {
    let own = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, own)| own);
    Statistic::parse(own).ok_or_else(|| {
        let names: Vec<&str> = table().iter().map(|entry| entry.name).collect();
        anyhow::anyhow!(
            "{name:?} is no statistic; write one of: {}",
            names.join(", ")
        )
    })
}

fn typed(text: &str) -> anyhow::Result<Typed> {
    let Some((name, value)) = text.split_once('=') else {
        anyhow::bail!("--param {text}: write NAME=VALUE, for example bins=20 or psi.bins=20");
    };
    let (of, name) = match name.split_once('.') {
        Some((of, name)) => (Some(statistic(of)?), name),
        None => (None, name),
    };
    // What people write first where they want no approximation.
    let (name, value) = match (name, value) {
        ("exact", "true") => ("method", "exact"),
        other => other,
    };
    Ok(Typed {
        statistic: of,
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(names: &[&str], parameters: &[&str]) -> anyhow::Result<Asks> {
        let owned =
            |texts: &[&str]| -> Vec<String> { texts.iter().map(|&text| text.into()).collect() };
        Asks::read(&owned(names), &owned(parameters))
    }

    #[test]
    fn the_standard_ones_come_with_the_first_deciding() {
        let asks = read(&[], &[]).expect("nothing asked");
        let numeric = asks.of_column(true);
        assert_eq!(numeric[0].statistic, Statistic::Psi);
        assert!(numeric[0].decides && numeric[1..].iter().all(|asked| !asked.decides));
        assert_eq!(asks.of_column(false)[0].statistic, Statistic::JensenShannon);
    }

    #[test]
    fn those_named_all_decide_where_they_apply() {
        let asks = read(
            &["psi", "ks", "jensen_shannon"],
            &["psi.bins=20", "missing=drop"],
        )
        .expect("known names");
        assert_eq!(asks.of_column(true).len(), 3);
        let of_categories = asks.of_column(false);
        assert_eq!(of_categories.len(), 2);
        assert!(of_categories.iter().all(|asked| asked.decides));
        assert_eq!(asks.of_column(true)[0].parameters["bins"], "20");
        assert!(!of_categories[0].parameters.contains_key("bins"));
        assert!(!of_categories[1].parameters.contains_key("bins"));
        assert_eq!(of_categories[1].parameters["missing"], "drop");
    }

    #[track_caller]
    fn refused(names: &[&str], parameters: &[&str], sentence: &str) {
        let error = read(names, parameters)
            .expect_err("must be refused")
            .to_string();
        assert!(error.starts_with(sentence), "{error}");
    }

    #[test]
    fn what_nothing_understands_is_refused() {
        refused(
            &["psy"],
            &[],
            "\"psy\" is no statistic; write one of: psi, js, ",
        );
        refused(&["psi"], &["bins"], "--param bins: write NAME=VALUE");
        refused(
            &["psi"],
            &["colour=red"],
            "--param colour: no statistic asked for has",
        );
        refused(
            &["psi"],
            &["ks.missing=drop"],
            "--param missing: no statistic asked for has",
        );
    }
}
