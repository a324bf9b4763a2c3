//! `driftline broker`: the embedded broker as a process of its own.

use crate::ingest::broker::{TopicSpec, serve};

/// Serves until standard input closes, SIGTERM or Ctrl-C; the first line of output is the bootstrap address.
pub fn run(topics: &[TopicSpec]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(serve(topics, std::io::stdin(), &mut std::io::stdout()))?;
    // A thread may still wait for standard input; it must not hold the process.
    runtime.shutdown_background();
    Ok(())
}
