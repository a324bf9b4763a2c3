//! `driftline retrain`: receives requests and trains, in a process of its own, beside the services that watch.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::api::auth::{Access, Tokens};
use crate::api::health::{Build, Readiness};
use crate::api::server::{self, Tls};
use crate::api::{App, retraining_router};
use crate::config::{Config, Target, files};
use crate::metrics::Metrics;
use crate::notify::Secret;
use crate::retrain::{Audience, Parts, Retraining, Worker};
use crate::service::{Clock, holder};
use crate::store::Store;
use crate::store::lake::Lake;

/// Store, lake and declarations of a configuration, opened beside whatever else uses them.
pub struct Opened {
    pub config: Config,
    pub retraining: Retraining,
}

impl Opened {
    /// `None`: the configuration has problems, which were printed.
    pub fn of(file: &Path) -> anyhow::Result<Option<Self>> {
        let loaded = super::config::load(file).and_then(|config| {
            files::declarations(&config.rules).map(|declarations| (config, declarations))
        });
        let (config, declarations) = match loaded {
            Ok(loaded) => loaded,
            Err(problems) => {
                super::rules::print(&problems, &mut std::io::stderr())?;
                return Ok(None);
            }
        };
        let secrets = match &config.retrain.secret_file {
            Some(path) => Secret::read_file(path)?,
            None => Vec::new(),
        };
        let clock = Clock::system();
        let retraining = Retraining::new(Parts {
            store: Store::open(&config.data_dir)?,
            lake: Lake::open(&config.lake.location(&config.data_dir))?,
            declarations: Arc::new(declarations),
            audience: audience(&config),
            secrets,
            metrics: Metrics::new(env!("CARGO_PKG_VERSION"), revision()),
            now: Arc::new(move || clock.now()),
        });
        Ok(Some(Self { config, retraining }))
    }
}

/// Who is told: everyone of ended alerts, webhooks of runs and champions.
fn audience(config: &Config) -> Audience {
    let names = |is_told: fn(&Target) -> bool| {
        let told = config
            .receivers
            .iter()
            .filter(|receiver| is_told(&receiver.target));
        told.map(|receiver| receiver.name.clone()).collect()
    };
    Audience {
        alerts: names(|_| true),
        events: names(|target| matches!(target, Target::Webhook { .. })),
    }
}

fn revision() -> &'static str {
    option_env!("DRIFTLINE_REVISION").unwrap_or_default()
}

/// Runs it. Exit codes: 0 told to stop, 1 something failed, 2 the configuration has problems.
pub fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let Some(Opened { config, retraining }) = Opened::of(file)? else {
        return Ok(ExitCode::from(super::rules::PROBLEMS));
    };
    if !retraining.receives() {
        eprintln!(
            "{}: retrain.secret_file: (missing): requests must be signed; write the path of a file that holds the secret",
            file.display()
        );
        return Ok(ExitCode::from(super::rules::PROBLEMS));
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
        let (stop, stopping) = watch::channel(false);
        let until = || {
            let mut stopping = stopping.clone();
            async move {
                // An error says that the process is ending, which is a reason to stop too.
                let _ = stopping.wait_for(|stop| *stop).await;
            }
        };
        let ended = retraining.store().clone();
        let worker = Worker::new(retraining.clone(), holder::name(), holder::is_gone);
        let mut worker = tokio::spawn(worker.run(until()));
        let mut server = tokio::spawn(serve(config, retraining, until()));
        let failure = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            () = ended.ended() => Some(anyhow::anyhow!("the store's writer has ended")),
            done = &mut worker => Some(anyhow::anyhow!("the worker ended: {done:?}")),
            done = &mut server => Some(anyhow::anyhow!("the server ended: {done:?}")),
        };
        if let Some(error) = failure {
            return Err(error);
        }
        tracing::info!("stopping: a run under way is left to whoever comes next");
        let _ = stop.send(true);
        worker.await??;
        server.await??;
        Ok(ExitCode::SUCCESS)
    })
}

async fn serve(
    config: Config,
    retraining: Retraining,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let listen = config.retrain.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("listening on {listen}: is another process using it? Set `retrain.listen` to another address")
    })?;
    let tokens = match &config.auth.tokens_file {
        Some(path) => Some(Tokens::read(path)?),
        None => None,
    };
    let access = Access::of(
        listen.ip(),
        tokens,
        config.auth.tls.is_some(),
        config.auth.insecure,
    )?;
    let tls = config.auth.tls.map(|tls| Tls {
        cert: tls.cert,
        key: tls.key,
    });
    // Nobody settles here, and no partition is waited for.
    let (settle, _) = mpsc::channel(1);
    let (_ready, readiness) = watch::channel(Readiness {
        assigned: true,
        partitions: 0,
        restored: true,
    });
    let app = App {
        store: retraining.store().clone(),
        metrics: retraining.metrics().clone(),
        settle,
        readiness,
        build: Build {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: revision().to_owned(),
        },
        retraining,
    };
    let address = listener.local_addr()?;
    tracing::info!(%address, "driftline retrain is up");
    let router = retraining_router(app, access);
    Ok(server::serve(listener, router, tls.as_ref(), shutdown).await?)
}

/// What the subcommands that ask one thing run on.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

/// How the log of decisions calls whoever uses the command line.
pub const ACTOR: &str = "cli";
