//! `driftline rules check` and `driftline rules suggest`.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::config::files;
use crate::profile::Layout;
use crate::rules;

/// Exit status when all is well.
pub const FINE: u8 = 0;
/// Exit status when a file has problems; 1 is left to everything that is no fault of a file.
pub const PROBLEMS: u8 = 2;

/// Checks the declarations of files, folders and patterns, and prints every problem. Returns the exit status.
///
/// # Errors
/// When `out` cannot be written.
pub fn check(paths: &[PathBuf], out: &mut dyn Write) -> io::Result<u8> {
    match files::declarations(paths) {
        Ok(declarations) => {
            for declaration in declarations.iter() {
                writeln!(
                    out,
                    "{}:{}: {}: {} rules, windows every {}, reference {}",
                    declaration.source,
                    declaration.line,
                    declaration.model,
                    declaration.rules.len(),
                    rules::duration::show(declaration.window.every),
                    declaration.reference,
                )?;
            }
            Ok(FINE)
        }
        Err(problems) => print(&problems, out),
    }
}

/// Prints problems and how many they are. Returns the exit status.
pub fn print(problems: &[rules::Problem], out: &mut dyn Write) -> io::Result<u8> {
    for problem in problems {
        writeln!(out, "{problem}")?;
    }
    writeln!(
        out,
        "{} problem{}",
        problems.len(),
        if problems.len() == 1 { "" } else { "s" }
    )?;
    Ok(PROBLEMS)
}

/// Prints a declaration for `model` that fits a layout learned from data. `origin` says what was read: a path or a
/// topic, and how many rows. Returns the exit status.
///
/// # Errors
/// When `out` cannot be written.
pub fn suggest(model: &str, layout: &Layout, origin: &str, out: &mut dyn Write) -> io::Result<u8> {
    out.write_all(rules::suggest(model, layout, origin).as_bytes())?;
    Ok(FINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn run(text: &str, status: u8, expect: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("r.yaml"), text).expect("a file");
        let mut out = Vec::new();
        let found = check(&[folder.path().join("*.yaml")], &mut out).expect("writing to memory");
        let out = String::from_utf8(out)
            .expect("text")
            .replace(&format!("{}/", folder.path().display()), "");
        assert_eq!((found, out.as_str()), (status, expect));
    }

    #[test]
    fn what_is_declared_is_said_in_a_line() {
        run(
            "model: power\ntask: none\n---\nmodel: p*\ntask: none\nrules: []\nwindow: {every: 1w}\n",
            FINE,
            "r.yaml:1: power: 6 rules, windows every 1d, reference first: 30d\n\
             r.yaml:4: p*: 0 rules, windows every 1w, reference first: 30d\n",
        );
    }

    #[test]
    fn every_problem_is_printed_and_counted() {
        run(
            "model: power\ntaks: none\n",
            PROBLEMS,
            "r.yaml:1: task: (missing): this field is needed; write for example `{type: binary, positive: up}`, or `none`\n\
             r.yaml:2: taks: none: unknown field; did you mean `task`?\n\
             2 problems\n",
        );
    }
}
