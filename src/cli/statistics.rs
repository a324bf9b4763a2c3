//! `driftline statistics`: the list of statistics, or one statistic's page.

use std::io::{self, Write};
use std::process::ExitCode;

use super::compare::statistic;
use crate::stats::table::{Applies, Data, Entry};
use crate::stats::{Statistic, table};

/// Exit status for a name that no statistic has.
const UNKNOWN: u8 = 2;

/// Prints the list, or one page.
pub fn run(name: Option<&str>) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match name.map(statistic) {
        None => list(&mut out)?,
        Some(Ok(statistic)) => page(statistic, &mut out)?,
        Some(Err(error)) => {
            eprintln!("driftline statistics: {error}");
            return Ok(ExitCode::from(UNKNOWN));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(out: &mut dyn Write) -> io::Result<()> {
    let width = |text: fn(&Entry) -> &str| table().iter().map(|entry| text(entry).len()).max();
    let name = width(|entry| entry.name).unwrap_or_default();
    let applies = width(|entry| applies(entry.applies)).unwrap_or_default();
    for entry in table() {
        let mark = if entry.standard { "*" } else { " " };
        writeln!(
            out,
            "{mark} {:<name$}  {:<applies$}  {:<11}  {}",
            entry.name,
            applies_to(entry),
            data(entry.from),
            entry.title
        )?;
    }
    writeln!(
        out,
        "\n* computed for every column of every window; the others where a rule or `driftline compare --statistics` names them\n\
         `driftline statistics NAME` prints a statistic's formula, parameters and source"
    )
}

fn page(statistic: Statistic, out: &mut dyn Write) -> io::Result<()> {
    let entry = statistic.entry();
    writeln!(out, "{}: {}\n", entry.name, entry.title)?;
    for (what, text) in [
        ("formula", entry.formula),
        ("range", entry.unit),
        ("effect", entry.effect),
        ("columns", applies_to(entry)),
        ("needs", needs(entry.from)),
        ("source", entry.source),
    ] {
        writeln!(out, "{what:<10} {text}")?;
    }
    writeln!(
        out,
        "{:<10} effects up to {} are left alone",
        "floor", entry.floor
    )?;
    if !entry.parameters.is_empty() {
        writeln!(
            out,
            "\nparameters of `driftline compare --param NAME=VALUE`:"
        )?;
    }
    for parameter in entry.parameters {
        writeln!(
            out,
            "  {:<12} {} (default: {})",
            parameter.name, parameter.meaning, parameter.default
        )?;
    }
    Ok(())
}

fn applies_to(entry: &Entry) -> &'static str {
    applies(entry.applies)
}

fn applies(applies: Applies) -> &'static str {
    match applies {
        Applies::Numeric => "numeric",
        Applies::Both => "any",
        Applies::Categorical => "categorical",
    }
}

fn data(from: Data) -> &'static str {
    match from {
        Data::Profile => "profile",
        Data::Rows => "rows",
        Data::Matrix => "many columns",
        Data::Attributions => "attributions",
    }
}

fn needs(from: Data) -> &'static str {
    match from {
        Data::Profile => "a profile: counts that merge; rules can name it",
        Data::Rows => "the rows of the column",
        Data::Matrix => "the rows of several columns",
        Data::Attributions => "attributions of a model's features",
    }
}
