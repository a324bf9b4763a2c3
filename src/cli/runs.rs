//! `driftline runs`: what was asked for, what came of it, and deciding about it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::retrain::{ACTOR, Opened, block_on};
use crate::event::rfc3339;
use crate::retrain::Run;
use crate::store::runs::{self, Status};

/// What `driftline runs` takes.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List runs, the latest request first.
    List {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        model: Option<String>,
        /// queued, training, judging, proposed, promoted, lost, blocked, failed, cancelled or superseded.
        #[arg(long)]
        status: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show all that is known of a run.
    Show {
        #[arg(long)]
        config: PathBuf,
        run: String,
    },
    /// Make what a run proposes the champion.
    Approve {
        #[arg(long)]
        config: PathBuf,
        run: String,
    },
    /// Call a run off that has not ended.
    Cancel {
        #[arg(long)]
        config: PathBuf,
        run: String,
    },
}

pub fn run(command: &RunsCommand) -> anyhow::Result<ExitCode> {
    match command {
        RunsCommand::List {
            config,
            model,
            status,
            limit,
        } => list(config, model.as_deref(), status.as_deref(), *limit),
        RunsCommand::Show { config, run } => show(config, run),
        RunsCommand::Approve { config, run } => approve(config, run),
        RunsCommand::Cancel { config, run } => cancel(config, run),
    }
}

/// Prints runs, the latest request first.
fn list(
    config: &Path,
    model: Option<&str>,
    status: Option<&str>,
    limit: u32,
) -> anyhow::Result<ExitCode> {
    let status = match status {
        None => None,
        Some(name) => Some(Status::parse(name).ok_or_else(|| {
            let known = Status::ALL.map(Status::as_str).join(", ");
            anyhow::anyhow!("{name:?} is no status of a run; the statuses are {known}")
        })?),
    };
    let Some(opened) = Opened::of(config)? else {
        return Ok(ExitCode::from(super::rules::PROBLEMS));
    };
    let rows = opened
        .retraining
        .store()
        .read(|conn| runs::list(conn, model, status, limit))?;
    writeln!(
        io::stdout(),
        "{:<20} {:<24} {:<10} {:<20} {:<8} reason",
        "run",
        "model",
        "status",
        "requested",
        "made"
    )?;
    for row in rows {
        let run = Run::read(row)?;
        let made = run.body.challenger.as_ref();
        writeln!(
            io::stdout(),
            "{:<20} {:<24} {:<10} {:<20} {:<8} {}",
            run.row.id,
            run.row.model,
            run.status().as_str(),
            rfc3339(run.row.requested),
            made.map_or("-", |made| made.version.as_str()),
            run.body.reason
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints all that is known of a run, as JSON.
fn show(config: &Path, id: &str) -> anyhow::Result<ExitCode> {
    decide(config, async |opened| {
        let run = opened.retraining.run(id).await?;
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&run.body)?)?;
        Ok(run)
    })
}

/// Promotes what a run proposes.
fn approve(config: &Path, id: &str) -> anyhow::Result<ExitCode> {
    decide(config, async |opened| {
        Ok(opened.retraining.approve(id, ACTOR).await?)
    })
}

/// Calls a run off.
fn cancel(config: &Path, id: &str) -> anyhow::Result<ExitCode> {
    decide(config, async |opened| {
        Ok(opened.retraining.cancel(id, ACTOR).await?)
    })
}

fn decide(
    config: &Path,
    what: impl AsyncFnOnce(&Opened) -> anyhow::Result<Run>,
) -> anyhow::Result<ExitCode> {
    let Some(opened) = Opened::of(config)? else {
        return Ok(ExitCode::from(super::rules::PROBLEMS));
    };
    let run = block_on(what(&opened))?;
    eprintln!(
        "run {} of {} is {}: {}",
        run.row.id,
        run.row.model,
        run.status().as_str(),
        run.body.reason
    );
    Ok(ExitCode::SUCCESS)
}
