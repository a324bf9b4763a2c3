//! `driftline detect`: a sequential detector over one column of a file, row by row and in the file's order.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::retrain::block_on;
use super::rules::PROBLEMS;
use crate::detect::{Detector, Kind, Trace, table};
use crate::query::{File, Numbers};

pub const HELP: &str = "\
Indices are 0-based rows. A drift is the row after whose value the detector said so; the detector then begins anew with the
next one, as River's do. `warnings` are the rows where a warning state begins. Cells that are empty, NaN or infinite are left
out and counted as `ignored`; they keep their index. true and false are 1 and 0.

Exit status: 0 done; 1 with --fail-on drift, when there was one; 2 bad input.";

/// What `driftline detect` takes.
#[derive(Debug, clap::Args)]
pub struct DetectArguments {
    /// The detector, adwin for example; --list has all of them.
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    detector: Option<String>,
    /// A parameter, `delta=0.05` for example; may be repeated.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// A Parquet or CSV file.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    input: Option<PathBuf>,
    /// The column with the values.
    #[arg(long, value_name = "NAME", required_unless_present = "list")]
    column: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// End with status 1 when there was a drift.
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    /// Print the detectors with their parameters, ranges and defaults.
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    Drift,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write a parameter as NAME=VALUE, `delta=0.05` for example")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs the detector, and prints what it found.
pub fn run(arguments: &DetectArguments) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    if arguments.list {
        list(&mut out)?;
        return Ok(ExitCode::SUCCESS);
    }
    match found(arguments) {
        Ok((detector, trace)) => {
            match arguments.format {
                Format::Text => print_text(&detector, &trace, &mut out)?,
                Format::Json => writeln!(out, "{:#}", as_json(&detector, &trace))?,
            }
            let failed = arguments.fail_on == Some(FailOn::Drift) && !trace.drifts.is_empty();
            Ok(ExitCode::from(u8::from(failed)))
        }
        Err(error) => {
            eprintln!("driftline: {error:#}");
            Ok(ExitCode::from(PROBLEMS))
        }
    }
}

fn found(arguments: &DetectArguments) -> anyhow::Result<(Detector, Trace)> {
    let needed = |name| format!("name {name}");
    let name = arguments
        .detector
        .as_deref()
        .with_context(|| needed("--detector"))?;
    let column = arguments
        .column
        .as_deref()
        .with_context(|| needed("--column"))?;
    let input = arguments.input.clone().with_context(|| needed("--input"))?;
    let given: Vec<(&str, &str)> = arguments
        .parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut detector = Detector::new(Kind::parse(name)?, &given)?;
    let file = File::Path(input);
    let trace = block_on(read(&file, column, &mut detector))?;
    Ok((detector, trace))
}

async fn read(file: &File, column: &str, detector: &mut Detector) -> anyhow::Result<Trace> {
    let mut numbers = Numbers::open(file, column).await?;
    let mut trace = Trace::default();
    let entry = detector.kind().entry();
    while let Some(batch) = numbers.next().await? {
        for x in batch {
            // A number beyond the bounds of a loss is a mistake, not a gap.
            anyhow::ensure!(
                !x.is_finite() || detector.takes(x),
                "{}: column {column:?}, row {}: {x} is nothing that {} takes; it takes {}: name a column of such losses, or another \
                 detector",
                file.name(),
                trace.n + 1,
                entry.name,
                entry.takes.words(),
            );
            trace.step(detector, x);
        }
    }
    anyhow::ensure!(
        detector.ignored() < trace.n,
        "{}: column {column:?} has no number in {} rows; name another column",
        file.name(),
        trace.n
    );
    Ok(trace)
}

fn as_json(detector: &Detector, trace: &Trace) -> Value {
    let parameters: Map<String, Value> = detector
        .parameters()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    let mut found = json!({
        "detector": detector.kind().name(),
        "parameters": parameters,
        "n": trace.n,
        "ignored": detector.ignored(),
        "warnings": trace.warnings,
        "drifts": trace.drifts,
    });
    if let Some(process) = detector.e_process() {
        found["e_value"] = json!(process.e_value());
        found["reference_limit"] = json!(process.limit());
        found["blocks"] = json!(process.blocks());
    }
    found
}

fn print_text(detector: &Detector, trace: &Trace, out: &mut dyn Write) -> io::Result<()> {
    let parameters: Vec<String> = detector
        .parameters()
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    writeln!(out, "{} {}", detector.kind().name(), parameters.join(" "))?;
    writeln!(out, "{} values, {} ignored", trace.n, detector.ignored())?;
    writeln!(out, "warnings: {}", indices(&trace.warnings))?;
    writeln!(out, "drifts: {}", indices(&trace.drifts))?;
    if let Some(process) = detector.e_process() {
        match process.limit() {
            Some(limit) => writeln!(
                out,
                "e-value {:.4} after {} blocks; the reference risk is at most {limit:.4}",
                process.e_value(),
                process.blocks()
            )?,
            None => writeln!(
                out,
                "the stream ended before its reference did: nothing was judged"
            )?,
        }
    }
    Ok(())
}

fn indices(found: &[u64]) -> String {
    if found.is_empty() {
        return "none".to_owned();
    }
    let texts: Vec<String> = found.iter().map(u64::to_string).collect();
    texts.join(" ")
}

fn list(out: &mut dyn Write) -> io::Result<()> {
    for entry in table() {
        writeln!(out, "{}: {}", entry.name, entry.title)?;
        writeln!(out, "    takes {}", entry.takes.words())?;
        for line in entry.kind.parameters() {
            let alias = line
                .alias
                .map(|alias| format!(" (Frouros: {alias})"))
                .unwrap_or_default();
            writeln!(
                out,
                "    {} = {}: {}; {}{alias}",
                line.name, line.default, line.meaning, line.range
            )?;
        }
        writeln!(out, "    {}\n", entry.source)?;
    }
    Ok(())
}
