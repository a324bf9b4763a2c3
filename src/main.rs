//! The `driftline` program: reads the command line and hands over to [`driftline::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    driftline::cli::main()
}
