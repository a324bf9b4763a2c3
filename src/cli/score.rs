//! `driftline score`: predictions of a model of ours for the rows of a file.

use std::fs::File as OutFile;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::models;
use super::retrain::{Opened, block_on};
use crate::learn::Model;
use crate::query::File;
use crate::retrain::score::score;

/// What `driftline score` takes.
#[derive(Debug, clap::Args)]
pub struct ScoreArguments {
    /// A model file; with --config the beginning of a hash in the registry.
    #[arg(long)]
    model: String,
    /// The configuration of the service whose registry has the model.
    #[arg(long)]
    config: Option<PathBuf>,
    /// A Parquet or CSV file, a row a prediction.
    #[arg(long)]
    input: PathBuf,
    /// Where the predictions go, as CSV; the standard output, if not given.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Scores a file.
pub fn run(arguments: &ScoreArguments) -> anyhow::Result<ExitCode> {
    let ScoreArguments {
        model,
        config,
        input,
        output,
    } = arguments;
    let bytes = match config {
        None => std::fs::read(model).with_context(|| {
            format!("reading the model file {model}; for a model of the registry give `--config` and its hash")
        })?,
        Some(config) => {
            let Some(opened) = Opened::of(config)? else {
                return Ok(ExitCode::from(super::rules::PROBLEMS));
            };
            let file = models::find(&opened, model, None)?;
            let kept = opened.retraining.lake().get_model(&file.hash);
            block_on(async { Ok(kept.await?) })?.with_context(|| {
                format!("the file of version {} of {} is not with us", file.version, file.model)
            })?
        }
    };
    let model = Model::from_bytes(&bytes)?;
    let mut out: Box<dyn Write + Send> = match output.as_deref() {
        Some(path) => Box::new(BufWriter::new(
            OutFile::create(path).with_context(|| format!("writing {}", path.display()))?,
        )),
        None => Box::new(BufWriter::new(io::stdout())),
    };
    let scored =
        block_on(async { Ok(score(&model, &File::Path(input.clone()), &mut *out).await?) })?;
    out.flush()?;
    if !scored.absent.is_empty() {
        eprintln!(
            "the file lacks {}: missing in every row",
            scored.absent.join(", ")
        );
    }
    eprintln!("{} rows scored", scored.rows);
    Ok(ExitCode::SUCCESS)
}
