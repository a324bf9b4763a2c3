//! `driftline export openmetrics`: what the store knows, with event timestamps, for plots of the past.
//!
//! It reads what is there, also while a service writes. Nothing is invented: a gauge keeps its value from the moment at
//! which it was decided until the next one, and nothing is written for times that the store has not seen.

mod replay;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::event::{Millis, Span, rfc3339};
use crate::metrics::{History, MOST_SAMPLES, STEPS};
use crate::rules::duration;
use crate::store::{Store, handle, models, vitals};

/// What `driftline export openmetrics` takes.
#[derive(Debug, clap::Args)]
pub struct ExportArguments {
    /// The service configuration, which names the data folder.
    #[arg(
        long,
        conflicts_with = "data_dir",
        required_unless_present = "data_dir"
    )]
    pub config: Option<PathBuf>,
    /// The data folder itself.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// First moment of event time, `2013-01-01` or RFC 3339; the first that is known, if not given.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub from: Option<Millis>,
    /// Last moment of event time; the last that is known, if not given.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub to: Option<Millis>,
    /// Event time between two samples of a series, `1h` for example; if not given, 5m to 1d, so that a series has some
    /// hundred of them.
    #[arg(long, value_name = "LENGTH", value_parser = length)]
    pub step: Option<Millis>,
    /// Only this model; may be repeated. Vital signs of processes are then left out.
    #[arg(long = "model", value_name = "MODEL")]
    pub models: Vec<String>,
    /// Where to write; standard output, if not given.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Writes the export, and to standard error what it is and what to do with it.
pub fn run(arguments: &ExportArguments) -> anyhow::Result<ExitCode> {
    let data_dir = match (&arguments.data_dir, &arguments.config) {
        (Some(data_dir), _) => data_dir.clone(),
        (None, Some(config)) => match super::config::load(config) {
            Ok(config) => config.data_dir,
            Err(problems) => {
                return Ok(ExitCode::from(super::rules::print(
                    &problems,
                    &mut io::stderr(),
                )?));
            }
        },
        (None, None) => anyhow::bail!(
            "name the service configuration with --config, or the data folder with --data-dir"
        ),
    };
    let file = data_dir.join(handle::FILE_NAME);
    anyhow::ensure!(
        file.is_file(),
        "{} is not there: {} is not the data folder of a service that has run",
        file.display(),
        data_dir.display()
    );
    let store = Store::open(&data_dir)?;
    let (from, to) = (
        arguments.from.unwrap_or(Millis::MIN),
        arguments.to.unwrap_or(Millis::MAX),
    );
    anyhow::ensure!(
        from <= to,
        "--from {} is after --to {}: exchange them",
        rfc3339(from),
        rfc3339(to)
    );
    let history = read(&store, &arguments.models, Span::new(from, to))?;
    let known = history.known().with_context(|| {
        format!(
            "{} has no results yet: nothing to export",
            data_dir.display()
        )
    })?;
    let span = Span::new(known.start.max(from), known.end.min(to));
    anyhow::ensure!(
        span.start <= span.end,
        "nothing is known from {} to {}: the store has seen {} to {}",
        rfc3339(from),
        rfc3339(to),
        rfc3339(known.start),
        rfc3339(known.end)
    );
    let step = step(&history, span, arguments.step)?;
    let written = match &arguments.output {
        Some(path) => to_file(&history, span, step, path)?,
        None => {
            let mut out = BufWriter::new(io::stdout().lock());
            let written = history.write(span, step, &mut out)?;
            out.flush()?;
            written
        }
    };
    eprintln!(
        "{written} samples from {} to {}, one every {} of event time",
        rfc3339(span.start),
        rfc3339(span.end),
        duration::show(step)
    );
    if let Some(path) = &arguments.output {
        // By default promtool makes blocks of two hours and reads the whole text for each.
        eprintln!(
            "For a Prometheus: promtool tsdb create-blocks-from --max-block-duration=8760h openmetrics {} FOLDER",
            path.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that is known in `span`, of these models or of all.
fn read(store: &Store, only: &[String], span: Span) -> anyhow::Result<History> {
    let known: Vec<String> = store
        .read(models::all)?
        .into_iter()
        .map(|model| model.model)
        .collect();
    if let Some(missing) = only.iter().find(|model| !known.contains(model)) {
        anyhow::bail!(
            "the store knows no model {missing:?}; it knows {}",
            known.join(", ")
        );
    }
    let mut history = History::default();
    for model in known {
        if only.is_empty() || only.contains(&model) {
            history.merge(replay::results(store, &model, span)?);
        }
    }
    if only.is_empty() {
        history.merge(vital_signs(store, span)?);
    }
    Ok(history)
}

/// The journal of vital signs. A process that speaks no more has ended when another one speaks next.
fn vital_signs(store: &Store, span: Span) -> anyhow::Result<History> {
    let mut rows = Vec::new();
    store.read(|conn| vitals::between(conn, span.start, span.end, |row| rows.push(row)))?;
    let last: BTreeMap<String, Millis> = rows
        .iter()
        .map(|row| (row.holder.clone(), row.at))
        .collect();
    let mut history = History::default();
    let mut gone: Vec<&str> = Vec::new();
    for row in &rows {
        for holder in std::mem::take(&mut gone) {
            if holder == row.holder {
                continue;
            }
            history.ended(row.at, instance(holder));
        }
        history
            .vitals(row.at, instance(&row.holder), &row.body)
            .with_context(|| format!("the vital signs of {}", rfc3339(row.at)))?;
        if last.get(&row.holder) == Some(&row.at) {
            gone.push(&row.holder);
        }
    }
    Ok(history)
}

/// Host and process of a lease holder's name.
fn instance(holder: &str) -> &str {
    let end = holder
        .match_indices('/')
        .nth(1)
        .map_or(holder.len(), |(at, _)| at);
    &holder[..end]
}

/// The step that was asked for, if it stays within the bound; else the finest that does.
fn step(history: &History, span: Span, wanted: Option<Millis>) -> anyhow::Result<Millis> {
    let Some(step) = wanted else {
        let [.., coarsest] = STEPS;
        return history.step(span).with_context(|| {
            format!(
                "even one sample every {} would be more than {MOST_SAMPLES} samples: choose a shorter span with --from \
                 and --to, or one --model",
                duration::show(coarsest)
            )
        });
    };
    let samples = history.samples(span, step);
    anyhow::ensure!(
        samples <= MOST_SAMPLES,
        "one sample every {} would be {samples} samples, of at most {MOST_SAMPLES}: choose a longer --step, a shorter span \
         with --from and --to, or one --model",
        duration::show(step)
    );
    Ok(step)
}

fn to_file(history: &History, span: Span, step: Millis, path: &Path) -> anyhow::Result<u64> {
    let writing = || format!("writing {}", path.display());
    let file = std::fs::File::create(path).with_context(writing)?;
    let mut out = BufWriter::new(file);
    let written = history.write(span, step, &mut out).with_context(writing)?;
    out.flush().with_context(writing)?;
    Ok(written)
}

/// A day in UTC or a moment in RFC 3339.
fn time(text: &str) -> Result<Millis, String> {
    let day = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .map(|time| time.and_utc().timestamp_millis());
    let moment = || {
        chrono::DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| time.timestamp_millis())
    };
    day.or_else(moment).ok_or_else(|| {
        "neither a day nor a moment: write 2013-01-31 or 2013-01-31T12:00:00Z".to_owned()
    })
}

fn length(text: &str) -> Result<Millis, String> {
    duration::parse(text)
        .filter(|length| *length > 0)
        .ok_or_else(|| "not a length of time: write 15m, 1h or 1d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DAY, HOUR};

    #[test]
    fn times_are_days_or_moments() {
        assert_eq!(time("1970-01-02"), Ok(DAY));
        assert_eq!(time("1970-01-01T01:00:00Z"), Ok(HOUR));
        assert_eq!(time("1970-01-01T02:00:00+01:00"), Ok(HOUR));
        for wrong in ["", "yesterday", "1970-01-01T00:00:00", "1970-13-01"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert_eq!(length("90m"), Ok(90 * 60_000));
        assert!(length("0s").is_err() && length("5").is_err());
    }

    #[test]
    fn an_instance_is_host_and_process() {
        assert_eq!(instance("host/17/99/0/table"), "host/17");
        assert_eq!(instance("host"), "host");
    }
}
