//! `driftline config default` and `driftline config check`.

use std::io::{self, Write};
use std::path::Path;

use crate::config;
use crate::rules::Problem;

use super::rules::{FINE, print};

/// Prints the commented default configuration. Returns the exit status.
///
/// # Errors
/// When `out` cannot be written.
pub fn default(out: &mut dyn Write) -> io::Result<u8> {
    out.write_all(config::DEFAULT_FILE.as_bytes())?;
    Ok(FINE)
}

/// Checks a configuration, and the declarations that it names; prints every problem. Returns the exit status.
///
/// # Errors
/// When `out` cannot be written.
pub fn check(file: &Path, out: &mut dyn Write) -> io::Result<u8> {
    match load(file).and_then(|config| config::files::declarations(&config.rules)) {
        Ok(declarations) => {
            let declared = declarations.len();
            writeln!(
                out,
                "{}: fine; {declared} declaration{}",
                file.display(),
                if declared == 1 { "" } else { "s" }
            )?;
            Ok(FINE)
        }
        Err(problems) => print(&problems, out),
    }
}

/// Reads a configuration file.
///
/// # Errors
/// All problems; that the file cannot be read is one.
pub fn load(file: &Path) -> Result<config::Config, Vec<Problem>> {
    config::parse(
        &file.display().to_string(),
        &config::files::read_text(file)?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::rules::PROBLEMS;

    #[track_caller]
    fn run(text: &str, status: u8, expect: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("c.yaml");
        let here = folder.path().display().to_string();
        std::fs::write(folder.path().join("r.yml"), "model: a\ntask: none\n")
            .expect("a declaration");
        std::fs::write(&file, text.replace("HERE", &here)).expect("a file");
        let mut out = Vec::new();
        let found = check(&file, &mut out).expect("writing to memory");
        let out = String::from_utf8(out).expect("text").replace(&here, "HERE");
        assert_eq!((found, out.as_str()), (status, expect));
    }

    #[test]
    fn a_configuration_is_checked_with_its_declarations() {
        run(
            "rules: [HERE/*.yml]\n",
            FINE,
            "HERE/c.yaml: fine; 1 declaration\n",
        );
        run(
            "rules: [HERE/none.yml]\n",
            PROBLEMS,
            "HERE/none.yml: cannot be read: No such file or directory (os error 2); correct the path\n1 problem\n",
        );
        run(
            "rulez: [HERE/*.yml]\n",
            PROBLEMS,
            "HERE/c.yaml:1: rulez: [HERE/*.yml]: unknown field; did you mean `rules`?\n1 problem\n",
        );
    }

    #[test]
    fn a_missing_file_is_a_problem() {
        let mut out = Vec::new();
        assert_eq!(
            check(Path::new("/nowhere/c.yaml"), &mut out).expect("writing to memory"),
            PROBLEMS
        );
    }

    #[test]
    fn the_default_is_printed_whole() {
        let mut out = Vec::new();
        assert_eq!(default(&mut out).expect("writing to memory"), FINE);
        assert!(config::parse("printed", &String::from_utf8(out).expect("text")).is_ok());
    }
}
