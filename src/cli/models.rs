//! `driftline models`: the registry, who serves, and making a model once more.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;

use super::retrain::{ACTOR, Opened, block_on};
use crate::event::rfc3339;
use crate::retrain::decisions::Wanted;
use crate::retrain::manifest::Card;
use crate::retrain::reproduce::Reproduced;
use crate::store::registry::{self, ModelFile};

/// Exit status when a model's file could be made again, and is another one.
const DIFFERENT: u8 = 1;

/// What `driftline models` takes.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List champions and the model files of the registry.
    List {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        model: Option<String>,
    },
    /// Say who serves, where driftline does not know yet.
    Register {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        model: String,
        /// The version that its predictions are logged under.
        #[arg(long)]
        version: String,
        /// Its file, if it was trained by driftline.
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Make a model the champion: what a run proposes, or with --force any model of the registry.
    Promote {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        model: String,
        /// The challenger of this run.
        #[arg(long, conflicts_with_all = ["version", "hash"], required_unless_present_any = ["version", "hash"])]
        run: Option<String>,
        #[arg(long, conflicts_with = "hash")]
        version: Option<String>,
        #[arg(long)]
        hash: Option<String>,
        /// Without a win at the gate; it is recorded who did it.
        #[arg(long)]
        force: bool,
    },
    /// Put an earlier champion back, with its reference.
    Rollback {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        model: String,
        /// A version that served before; the one before the present one, if not given.
        #[arg(long)]
        to: Option<String>,
    },
    /// Print a model card.
    Card {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        model: String,
        /// The champion's, if not given.
        #[arg(long)]
        version: Option<String>,
        /// JSON instead of Markdown.
        #[arg(long)]
        json: bool,
    },
    /// Fit a model again from its manifest and compare: exit status 0 identical, 1 different, 2 its data is gone.
    Reproduce {
        #[arg(long)]
        config: PathBuf,
        /// The beginning of its hash.
        #[arg(long)]
        hash: String,
        #[arg(long)]
        model: Option<String>,
    },
}

pub fn run(command: &ModelsCommand) -> anyhow::Result<ExitCode> {
    match command {
        ModelsCommand::List { config, model } => list(config, model.as_deref()),
        ModelsCommand::Register {
            config,
            model,
            version,
            file,
        } => register(config, model, version, file.as_deref()),
        ModelsCommand::Promote {
            config,
            model,
            run,
            version,
            hash,
            force,
        } => {
            let wanted = match (run, version, hash) {
                (Some(run), _, _) => Wanted::Run(run.clone()),
                (None, Some(version), _) => Wanted::Version(version.clone()),
                (None, None, hash) => Wanted::Hash(hash.clone().unwrap_or_default()),
            };
            promote(config, model, &wanted, *force)
        }
        ModelsCommand::Rollback { config, model, to } => rollback(config, model, to.as_deref()),
        ModelsCommand::Card {
            config,
            model,
            version,
            json,
        } => card(config, model, version.as_deref(), *json),
        ModelsCommand::Reproduce {
            config,
            hash,
            model,
        } => reproduce(config, hash, model.as_deref()),
    }
}

/// Prints the champions and the files of the registry.
fn list(config: &Path, model: Option<&str>) -> anyhow::Result<ExitCode> {
    let Some(opened) = Opened::of(config)? else {
        return Ok(ExitCode::from(super::rules::PROBLEMS));
    };
    let (champions, files) = opened.retraining.store().read(|conn| {
        let champions = registry::champions(conn)?;
        Ok((champions, registry::files_of(conn, model)?))
    })?;
    writeln!(
        io::stdout(),
        "{:<24} {:<12} {:<9} {:<20} {:<20} hash",
        "model",
        "version",
        "champion",
        "made",
        "run"
    )?;
    let asked = |name: &str| model.is_none_or(|model| model == name);
    for champion in champions.iter().filter(|champion| asked(&champion.model)) {
        let is_listed = files
            .iter()
            .any(|file| (&file.model, &file.version) == (&champion.model, &champion.version));
        if !is_listed {
            writeln!(
                io::stdout(),
                "{:<24} {:<12} {:<9} {:<20} {:<20} -",
                champion.model,
                champion.version,
                "yes",
                "-",
                "-"
            )?;
        }
    }
    for file in &files {
        let serves = champions
            .iter()
            .any(|champion| (&file.model, &file.version) == (&champion.model, &champion.version));
        writeln!(
            io::stdout(),
            "{:<24} {:<12} {:<9} {:<20} {:<20} {}",
            file.model,
            file.version,
            if serves { "yes" } else { "-" },
            rfc3339(file.created),
            file.run.as_deref().unwrap_or("-"),
            file.hash
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says who serves.
fn register(
    config: &Path,
    model: &str,
    version: &str,
    file: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let Some(opened) = Opened::of(config)? else {
        return Ok(ExitCode::from(super::rules::PROBLEMS));
    };
    let bytes = match file {
        Some(path) => {
            Some(std::fs::read(path).with_context(|| format!("reading {}", path.display()))?)
        }
        None => None,
    };
    let registered = opened.retraining.register(model, version, bytes, ACTOR);
    let hash = block_on(async { Ok(registered.await?) })?;
    match hash {
        Some(hash) => writeln!(
            io::stdout(),
            "version {version} of {model} is the champion: {hash}"
        )?,
        None => writeln!(io::stdout(), "version {version} of {model} is the champion")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Promotes: the proposal of a run, or with `force` anything that the registry has.
fn promote(config: &Path, model: &str, wanted: &Wanted, force: bool) -> anyhow::Result<ExitCode> {
    let Some(opened) = Opened::of(config)? else {
        return Ok(ExitCode::from(super::rules::PROBLEMS));
    };
    match (wanted, force) {
        (Wanted::Run(run), false) => {
            let approved = opened.retraining.approve(run, ACTOR);
            block_on(async { Ok(approved.await?) })?;
        }
        (_, true) => {
            let forced = opened.retraining.force(model, wanted, ACTOR);
            block_on(async { Ok(forced.await?) })?;
        }
        (_, false) => anyhow::bail!(
            "without a win only `--force` makes a model the champion; name the run that proposes it with `--run`"
        ),
    }
    if let Some(champion) = opened
        .retraining
        .store()
        .read(|conn| registry::champion(conn, model))?
    {
        writeln!(
            io::stdout(),
            "version {} of {model} is the champion",
            champion.version
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Goes back to an earlier champion.
fn rollback(config: &Path, model: &str, to: Option<&str>) -> anyhow::Result<ExitCode> {
    let Some(opened) = Opened::of(config)? else {
        return Ok(ExitCode::from(super::rules::PROBLEMS));
    };
    let rolled = opened.retraining.rollback(model, to, ACTOR);
    let version = block_on(async { Ok(rolled.await?) })?;
    writeln!(
        io::stdout(),
        "version {version} of {model} is the champion again"
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a model card: Markdown, or JSON.
fn card(config: &Path, model: &str, version: Option<&str>, json: bool) -> anyhow::Result<ExitCode> {
    let Some(opened) = Opened::of(config)? else {
        return Ok(ExitCode::from(super::rules::PROBLEMS));
    };
    let file = opened.retraining.store().read(|conn| {
        let version = match version {
            Some(version) => Some(version.to_owned()),
            None => registry::champion(conn, model)?.map(|champion| champion.version),
        };
        match version {
            Some(version) => registry::file_of_version(conn, model, &version),
            None => Ok(None),
        }
    })?;
    let file = file.with_context(|| {
        format!("the registry has no such version of {model}; `driftline models list` shows those it has")
    })?;
    let card: Card = serde_json::from_str(&file.card)?;
    if json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&card)?)?;
    } else {
        write!(io::stdout(), "{}", card.to_markdown())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Fits a model again and compares its hash. Exit codes: 0 identical, 1 different, 2 its data is no longer kept.
fn reproduce(config: &Path, hash: &str, model: Option<&str>) -> anyhow::Result<ExitCode> {
    let Some(opened) = Opened::of(config)? else {
        return Ok(ExitCode::from(super::rules::PROBLEMS));
    };
    let file = find(&opened, hash, model)?;
    let done = opened.retraining.reproduce(&file);
    Ok(match block_on(async { Ok(done.await?) })? {
        Reproduced::Identical => {
            writeln!(io::stdout(), "identical: {}", file.hash)?;
            ExitCode::SUCCESS
        }
        Reproduced::Different { found } => {
            writeln!(
                io::stdout(),
                "different: {} is registered, {found} was made",
                file.hash
            )?;
            ExitCode::from(DIFFERENT)
        }
        Reproduced::Gone { why } => {
            writeln!(io::stdout(), "gone: {why}")?;
            ExitCode::from(super::rules::PROBLEMS)
        }
    })
}

/// The one file whose hash begins so.
pub fn find(opened: &Opened, hash: &str, model: Option<&str>) -> anyhow::Result<ModelFile> {
    let found = opened
        .retraining
        .store()
        .read(|conn| registry::files_by_hash(conn, hash))?;
    let mut found: Vec<ModelFile> = found
        .into_iter()
        .filter(|file| model.is_none_or(|model| file.model == model))
        .collect();
    let file = found.pop().with_context(|| {
        format!("the registry has no model whose hash begins with {hash:?}; `driftline models list` shows those it has")
    })?;
    anyhow::ensure!(
        found.is_empty(),
        "{} models have a hash that begins with {hash:?}; give more of it, or `--model`",
        found.len() + 1
    );
    Ok(file)
}
