//! `driftline serve`: the service until SIGTERM or Ctrl-C.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::compute::backend::Choice;
use crate::config::files;
use crate::service::{Clock, Service};

/// Runs the service; `backend` takes the place of the configuration's. Exit codes: 0 told to stop, 1 something failed, 2 the configuration has problems.
pub fn run(file: &Path, backend: Option<Choice>) -> anyhow::Result<ExitCode> {
    let loaded = super::config::load(file).and_then(|config| {
        files::declarations(&config.rules).map(|declarations| (config, declarations))
    });
    let (mut config, declarations) = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => {
            return Ok(ExitCode::from(super::rules::print(
                &problems,
                &mut std::io::stderr(),
            )?));
        }
    };
    if let Some(choice) = backend {
        config.compute.backend = super::backend(choice);
    }
    super::start_logging(&config.log.level, config.log.format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Before anything is started, so that no signal is missed.
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let mut service = Service::start(config, declarations, Clock::system()).await?;
        let failure = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            error = service.failed() => Some(error),
        };
        match failure {
            Some(error) => Err(error),
            None => {
                tracing::info!("stopping: the last commit, then leaving the group");
                service.stop().await.map(|()| ExitCode::SUCCESS)
            }
        }
    })
}
