//! `driftline rules suggest`: a declaration from a file or a topic.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::ingest::decode::observe;
use crate::ingest::scan::scan;
use crate::profile::{ColumnRules, Layout, Sample};
use crate::query::{self, File};

/// Where the data are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    File(PathBuf),
    Topic { topic: String, brokers: String },
}

impl From {
    /// What the command line said; exactly one of the two is there.
    pub fn of(
        file: Option<PathBuf>,
        topic: Option<String>,
        brokers: Option<String>,
    ) -> anyhow::Result<Self> {
        match (file, topic, brokers) {
            (Some(file), None, _) => Ok(Self::File(file)),
            (None, Some(topic), Some(brokers)) => Ok(Self::Topic { topic, brokers }),
            _ => anyhow::bail!("name --reference FILE, or --topic T with --brokers B"),
        }
    }
}

/// Prints a declaration for `model` that fits what was found in at most `limit` records.
pub fn run(model: &str, from: &From, limit: u64) -> anyhow::Result<ExitCode> {
    let (sample, origin) = match from {
        From::File(path) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let sample = runtime.block_on(query::sample_file(&File::Path(path.clone()), None))?;
            (sample, path.display().to_string())
        }
        From::Topic { topic, brokers } => (
            sample_topic(topic, brokers, limit)?,
            format!("topic {topic}"),
        ),
    };
    let origin = format!("{origin}, {} rows", sample.rows());
    let layout = Layout::learn(&sample, &ColumnRules::default());
    Ok(ExitCode::from(super::rules::suggest(
        model,
        &layout,
        &origin,
        &mut std::io::stdout(),
    )?))
}

/// Reads the topic from its beginning to its present end, or to `limit` records.
fn sample_topic(topic: &str, brokers: &str, limit: u64) -> anyhow::Result<Sample> {
    let mut sample = Sample::new();
    scan(brokers, topic, |record| {
        observe(record.payload.unwrap_or_default(), &mut sample);
        if sample.rows() < limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    anyhow::ensure!(
        sample.rows() > 0,
        "topic {topic:?} has no record that is a JSON object"
    );
    Ok(sample)
}
