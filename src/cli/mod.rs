//! The command line: one enum, one match; each subcommand is a thin file.

pub mod bench;
pub mod broker;
pub mod compare;
pub mod config;
pub mod cursors;
pub mod demo;
pub mod detect;
pub mod export;
pub mod gpu;
pub mod models;
pub mod retrain;
pub mod rules;
pub mod runs;
pub mod score;
pub mod serve;
pub mod sql;
pub mod statistics;
pub mod suggest;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::compute::backend::Choice;
use crate::config::{Backend, LogFormat};
use crate::ingest::broker::TopicSpec;

/// Watches machine-learning models in production: exact window statistics from Kafka, drift with a stated
/// false-alarm rate, quality, signed webhooks, Prometheus metrics.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a year of real flights through an embedded broker and watch them drift; nothing else is needed.
    Demo(DemoArguments),
    /// Run the service.
    Serve {
        /// The service configuration; `driftline config default` prints one to start from.
        #[arg(long)]
        config: PathBuf,
        /// Where several columns are compared together, instead of what the configuration says.
        #[arg(long, value_name = "auto|cpu|gpu")]
        backend: Option<Choice>,
    },
    /// Receive signed requests to retrain, and train, in a process of its own.
    Retrain {
        /// The configuration of the service whose store and lake it shares.
        #[arg(long)]
        config: PathBuf,
    },
    /// Look at retraining runs, approve what they propose, or call them off.
    #[command(subcommand)]
    Runs(runs::RunsCommand),
    /// The registry: versions, who serves, promotion, rollback, cards.
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// Run a sequential detector over a column of a file, row by row.
    #[command(after_help = detect::HELP)]
    Detect(detect::DetectArguments),
    /// Score the rows of a file with a model that driftline has trained.
    Score(score::ScoreArguments),
    /// Compare two files, column by column: scores, p-values, thresholds, verdicts, and an exit status for pipelines.
    Compare(Box<compare::CompareArguments>),
    /// List the statistics of drift, or print one's formula, parameters and source.
    Statistics { name: Option<String> },
    /// Print or check a service configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check declaration and rule files, or write one from data.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Look at how far each partition is read, or begin one anew.
    #[command(subcommand)]
    Cursors(CursorsCommand),
    /// Ask one statement of SQL over files and results, with profiles and statistics as functions.
    Sql(sql::SqlArguments),
    /// Write what is known in another form.
    #[command(subcommand)]
    Export(ExportCommand),
    /// Run an embedded Kafka broker in memory, for trying things out; it prints its address and keeps nothing.
    Broker {
        /// A topic and its number of partitions, `predictions:4`; may be repeated.
        #[arg(long = "topic", value_name = "NAME:PARTITIONS", required = true)]
        topics: Vec<TopicSpec>,
    },
    /// Show the device: limits, features, what was measured, and from which sizes on it is used.
    Gpu(gpu::GpuArguments),
    /// Measure; each figure stands beside a floor measured in the same run.
    #[command(subcommand)]
    Bench(BenchCommand),
}

/// What `driftline demo` takes.
#[derive(Debug, clap::Args)]
pub struct DemoArguments {
    /// End after the year instead of serving until Ctrl-C.
    #[arg(long)]
    pub exit: bool,
    /// Write the summary as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Where API and metrics are served; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where the state goes; a temporary folder that is removed at the end, if not given.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Partitions of the input topic.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=64))]
    pub partitions: i32,
    /// Reading threads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
    /// Where several columns are compared together.
    #[arg(long, value_name = "auto|cpu|gpu", default_value = "auto")]
    pub backend: Choice,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the default configuration, commented.
    Default,
    /// Check a configuration and the declarations it names.
    Check { file: PathBuf },
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Check declaration files; every problem is told with its line and remedy.
    Check {
        /// Files, folders or patterns.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Write a declaration with column types from data.
    Suggest {
        /// The model's name.
        #[arg(long, default_value = "my-model")]
        model: String,
        /// A Parquet or CSV file.
        #[arg(long, conflicts_with = "topic", required_unless_present = "topic")]
        reference: Option<PathBuf>,
        /// A topic with prediction records.
        #[arg(long, requires = "brokers")]
        topic: Option<String>,
        /// Kafka bootstrap servers for `--topic`.
        #[arg(long)]
        brokers: Option<String>,
        /// Most records read.
        #[arg(long, default_value_t = 100_000)]
        limit: u64,
    },
}

#[derive(Debug, Subcommand)]
enum CursorsCommand {
    /// Show every partition's cursor, counts and alarm.
    Show {
        #[arg(long)]
        config: PathBuf,
    },
    /// Begin a partition anew at an offset, after its topic was recreated; what was counted stays.
    Reset {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        topic: String,
        #[arg(long)]
        partition: i32,
        /// First offset of the new log to read.
        #[arg(long, default_value_t = 0)]
        offset: i64,
    },
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    /// Results and vital signs as OpenMetrics text with event timestamps, for plots of the past.
    Openmetrics(export::ExportArguments),
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Rows a second for bare polling, polling and parsing, and the whole way to committed profiles.
    Ingest(bench::IngestArguments),
    /// False-alarm shares on real flights: the whole-window threshold beside the i.i.d. one.
    Null(bench::NullArguments),
    /// Every kernel on CPU and device, beside the device's measured ceilings.
    Gpu(bench::GpuBenchArguments),
    /// How often each statistic sees a change of known size.
    Power(bench::PowerArguments),
}

/// Parses the arguments, runs the subcommand, and turns its outcome into an exit code: 0 done, 1 failed, 2 bad input.
pub fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        // `driftline … | head`: the reader has seen what it wanted.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("driftline: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether whoever read our output has gone.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(arguments) => demo::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Serve { config, backend } => serve::run(&config, backend),
        Command::Retrain { config } => retrain::run(&config),
        Command::Runs(command) => runs::run(&command),
        Command::Models(command) => models::run(&command),
        Command::Detect(arguments) => detect::run(&arguments),
        Command::Score(arguments) => score::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Statistics { name } => statistics::run(name.as_deref()),
        Command::Config(ConfigCommand::Default) => {
            Ok(ExitCode::from(config::default(&mut io::stdout())?))
        }
        Command::Config(ConfigCommand::Check { file }) => {
            Ok(ExitCode::from(config::check(&file, &mut io::stdout())?))
        }
        Command::Rules(RulesCommand::Check { paths }) => {
            Ok(ExitCode::from(rules::check(&paths, &mut io::stdout())?))
        }
        Command::Rules(RulesCommand::Suggest {
            model,
            reference,
            topic,
            brokers,
            limit,
        }) => {
            let from = suggest::From::of(reference, topic, brokers)?;
            suggest::run(&model, &from, limit)
        }
        Command::Cursors(CursorsCommand::Show { config }) => cursors::show(&config),
        Command::Cursors(CursorsCommand::Reset {
            config,
            topic,
            partition,
            offset,
        }) => cursors::reset(&config, topic, partition, offset),
        Command::Sql(arguments) => sql::run(&arguments),
        Command::Export(ExportCommand::Openmetrics(arguments)) => export::run(&arguments),
        Command::Broker { topics } => broker::run(&topics).map(|()| ExitCode::SUCCESS),
        Command::Gpu(arguments) => {
            gpu::run(&arguments, &mut io::stdout()).map(|()| ExitCode::SUCCESS)
        }
        Command::Bench(BenchCommand::Gpu(arguments)) => {
            bench::gpu(&arguments).map(|()| ExitCode::SUCCESS)
        }
        Command::Bench(BenchCommand::Ingest(arguments)) => {
            bench::ingest(&arguments).map(|()| ExitCode::SUCCESS)
        }
        Command::Bench(BenchCommand::Null(arguments)) => bench::null(&arguments),
        Command::Bench(BenchCommand::Power(arguments)) => {
            bench::power(&arguments).map(|()| ExitCode::SUCCESS)
        }
    }
}

/// What the command line says, as the configuration would.
fn backend(choice: Choice) -> Backend {
    match choice {
        Choice::Auto => Backend::Auto,
        Choice::Cpu => Backend::Cpu,
        Choice::Gpu => Backend::Gpu,
    }
}

/// Logs to standard error: `directives` as in `info,driftline::ingest=debug`; `RUST_LOG` overrides them.
fn start_logging(directives: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // An error says that logging was started before, by a test for example.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
