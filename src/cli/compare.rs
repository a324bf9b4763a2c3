//! `driftline compare`: two files, every column, every statistic asked for, a verdict and an exit code.
//!
//! Statistics on profiles read each file once or twice and keep counts; those on rows hold the columns that they
//! look at, some at a time. Rows count as independent unless `--every` cuts the reference into windows, whose
//! differences are then what thresholds are learnt from.

mod asked;
mod judged;
mod many;
mod profiles;
mod report;
mod rows;
mod text;
mod vendor;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::compute::backend::{Choice, Compute};
use crate::event::Millis;
use crate::query::ColumnRows;
use crate::reference::two_sample::Draws;
use crate::rules::duration;
use crate::stats::compat::Vendor;
use crate::stats::score::Verdict;
use crate::stats::{Data, Statistic};

use asked::Asked;
pub use asked::statistic;
use report::Report;

/// Exit status when something drifted and `--fail-on drift` was given.
const DRIFT: u8 = 1;
/// Exit status when nothing could be judged, or the input is bad.
const NOT_JUDGED: u8 = 2;

/// What `driftline compare` takes.
#[derive(Debug, clap::Args)]
pub struct CompareArguments {
    /// What to compare with: a Parquet or CSV file, or an object (`s3://bucket/file.parquet`, also gs, az, abfss).
    #[arg(long, value_name = "FILE")]
    reference: String,
    /// What to judge.
    #[arg(long, value_name = "FILE")]
    current: String,
    /// Statistics by name, comma-separated (`driftline statistics` lists them); each one asked for decides. If none
    /// is, the standard ones are shown, and the first (psi of numbers, js of categories) decides.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    statistics: Vec<String>,
    /// Columns to compare, comma-separated, `*` and `?` as in file names; all, if not given. A name that holds a comma
    /// stands in double quotes, as in a CSV file: '"a, b",c'.
    #[arg(long, value_parser = names, value_name = "NAMES")]
    columns: Vec<Names>,
    /// Columns that are categories although they look like numbers.
    #[arg(long, value_parser = names, value_name = "NAMES")]
    categorical: Vec<Names>,
    /// Columns that are numbers although they look like categories.
    #[arg(long, value_parser = names, value_name = "NAMES")]
    numeric: Vec<Names>,
    /// Chance of a false alarm.
    #[arg(long, default_value_t = 0.05, value_parser = chance)]
    alpha: f64,
    /// What holds `alpha` for everything that decides together.
    #[arg(long, value_enum, default_value_t = Correction::Bonferroni)]
    correction: Correction,
    /// Bins, tests and thresholds of another tool, for the same numbers while migrating.
    #[arg(long, value_parser = vendor, conflicts_with_all = ["correction", "every", "alpha", "floor", "seed", "backend"])]
    compat: Option<Vendor>,
    /// A parameter of the statistics asked for, `bins=20`, or of one, `psi.bins=20`; may be repeated.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Effects up to here are left alone: `auto` (each statistic's own floor) or a number; 0 leaves the p-value alone
    /// to decide.
    #[arg(long, default_value = "auto", value_parser = floor, value_name = "FLOOR")]
    floor: Floor,
    /// The reference's time column, where it is not `ts`.
    #[arg(long, value_name = "COLUMN", requires = "every")]
    time: Option<String>,
    /// Cut the reference into windows of this length, `1d` for example, and learn thresholds from how much they
    /// differ; the current file is then taken for one window.
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    every: Option<Millis>,
    /// Seed of the random draws of statistics on rows; those on profiles draw from a seed that is the reference's own.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where rows are compared pair by pair (mmd, energy_nd): on the faster of the two, or on this one.
    #[arg(long, value_name = "auto|cpu|gpu", default_value = "auto")]
    backend: Choice,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Exit with status 1 on this verdict; 2 is for what could not be judged, and for bad input.
    #[arg(long, value_enum)]
    fail_on: Option<FailOn>,
}

/// How a chance is held for everything that decides together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Correction {
    None,
    Bonferroni,
    Holm,
    /// Benjamini–Hochberg: the share of false ones among what drifts.
    Bh,
    /// Benjamini–Yekutieli: as bh, under any dependence.
    By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Drift,
}

/// Names of one argument.
type Names = Vec<String>;

/// Where effects begin to matter; `None`: at each statistic's own floor.
type Floor = Option<f64>;

/// Compares, prints the report, and says by the exit status how it went.
pub fn run(arguments: &CompareArguments) -> anyhow::Result<ExitCode> {
    match super::retrain::block_on(judged::report(arguments)) {
        Ok(report) => {
            let mut out = io::stdout().lock();
            print(&report, arguments.format, &mut out)?;
            out.flush()?;
            Ok(ExitCode::from(status(&report, arguments.fail_on)))
        }
        Err(error) => {
            eprintln!("driftline compare: {error:#}");
            Ok(ExitCode::from(NOT_JUDGED))
        }
    }
}

/// The p-value of a statistic of one column's rows, `None` where it has none. What profiles hold too is asked for exactly.
///
/// # Errors
/// Never for a statistic whose parameters are at their defaults.
pub(super) fn p_value_on_rows(
    statistic: Statistic,
    reference: &ColumnRows,
    current: &ColumnRows,
    draws: &Draws,
) -> anyhow::Result<Option<f64>> {
    let exact = statistic.entry().from == Data::Profile;
    let method = ("method".to_owned(), "exact".to_owned());
    let asked = Asked {
        statistic,
        parameters: exact.then_some(method).into_iter().collect(),
        decides: true,
    };
    let score = if statistic.entry().from == Data::Matrix {
        let (ours, theirs) = (
            std::slice::from_ref(reference),
            std::slice::from_ref(current),
        );
        many::judge(
            &asked,
            &["x"],
            ours,
            theirs,
            draws,
            None,
            &Compute::new(Choice::Cpu),
        )?
    } else {
        let pair = rows::Pair {
            name: "x",
            reference,
            current,
        };
        rows::judge(&asked, pair, draws, None)?
    };
    Ok(score.p_value)
}

fn print(report: &Report, format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
    match format {
        Format::Text => text::text(report, out)?,
        Format::Markdown => text::markdown(report, out)?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, report)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

fn status(report: &Report, fail_on: Option<FailOn>) -> u8 {
    match report.verdict {
        Verdict::Ok => 0,
        Verdict::Drift if fail_on == Some(FailOn::Drift) => DRIFT,
        Verdict::Drift => 0,
        _ => NOT_JUDGED,
    }
}

impl Correction {
    fn name(self) -> &'static str {
        match self {
            Correction::None => "none",
            Correction::Bonferroni => "bonferroni",
            Correction::Holm => "holm",
            Correction::Bh => "bh",
            Correction::By => "by",
        }
    }
}

fn chance(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    number
        .filter(|number| *number > 0.0 && *number < 1.0)
        .ok_or_else(|| {
            format!("{text} is no chance; write a number between 0 and 1, for example 0.05")
        })
}

/// Comma-separated names, quoted as in a CSV file where they hold commas or quotes.
fn names(text: &str) -> Result<Names, String> {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = match rest.trim_start().strip_prefix('"') {
            None => match rest.split_once(',') {
                None => (rest.trim().to_owned(), None),
                Some((name, after)) => (name.trim().to_owned(), Some(after)),
            },
            Some(quoted) => {
                let (name, after) = unquoted(quoted)
                    .ok_or_else(|| format!("{text}: a quote is opened and not closed"))?;
                let after = after.trim_start();
                let more = after.strip_prefix(',');
                if more.is_none() && !after.is_empty() {
                    return Err(format!(
                        "{text}: after the quoted name {name} comes neither a comma nor the end"
                    ));
                }
                (name, more)
            }
        };
        if name.is_empty() {
            return Err(format!("{text}: a name is empty"));
        }
        names.push(name);
        match after {
            Some(after) => rest = after,
            None => return Ok(names),
        }
    }
}

/// What stands before the closing quote, and what comes after it; two quotes are one that does not close.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Some((name, after)),
        }
    }
}

fn floor(text: &str) -> Result<Floor, String> {
    if text == "auto" {
        return Ok(None);
    }
    let number = text.parse::<f64>().ok();
    number
        .filter(|number| *number >= 0.0 && number.is_finite())
        .map(Some)
        .ok_or_else(|| format!("{text} is no floor; write auto, or a number from 0 on"))
}

fn vendor(text: &str) -> Result<Vendor, String> {
    Vendor::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Vendor::ALL.into_iter().map(Vendor::name).collect();
        format!(
            "{text} is no tool that is known here; write one of: {}",
            known.join(", ")
        )
    })
}

fn length(text: &str) -> Result<Millis, String> {
    duration::parse(text)
        .filter(|length| *length > 0)
        .ok_or_else(|| format!("{text} is no length of time; write for example 6h or 7d"))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        assert_eq!(names(text).expect("names"), expect);
    }

    #[test]
    fn names_are_split_as_csv_is() {
        check("a,b*", &["a", "b*"]);
        check(" a , b", &["a", "b"]);
        check(r#""a, b",c"#, &["a, b", "c"]);
        check(r#"c,"say ""x"", twice""#, &["c", r#"say "x", twice"#]);
        check(r#"5" screen"#, &[r#"5" screen"#]);
    }

    #[test]
    fn what_cannot_be_split_is_refused() {
        let refused = |text: &str| names(text).expect_err("refused");
        assert_eq!(
            refused(r#""a,b"#),
            r#""a,b: a quote is opened and not closed"#
        );
        assert_eq!(
            refused(r#""a"b"#),
            r#""a"b: after the quoted name a comes neither a comma nor the end"#
        );
        assert_eq!(refused("a,,b"), "a,,b: a name is empty");
        assert_eq!(refused(""), ": a name is empty");
    }
}
