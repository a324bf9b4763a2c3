//! From paths as the user gives them to checked declarations.
//!
//! A path is a file, a folder (its `*.yaml` and `*.yml`, not those below) or a pattern with `*` and `?` in any part.
//! **Invariant:** a path that leads to no file is a problem, never an empty answer.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::rules::{self, Declaration, Declarations, Glob, Problem};

/// Reads the declarations of all paths. Files named twice are read once.
///
/// # Errors
/// All problems: of paths, of files, and between declarations that claim the same model.
pub fn declarations(paths: &[PathBuf]) -> Result<Declarations, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut files = BTreeSet::new();
    for path in paths {
        match expand(path) {
            Ok(found) => files.extend(found),
            Err(found) => problems.extend(found),
        }
    }
    let mut declarations: Vec<Declaration> = Vec::new();
    for file in &files {
        match read(file) {
            Ok(found) => declarations.extend(found),
            Err(found) => problems.extend(found),
        }
    }
    match Declarations::new(declarations) {
        Ok(declarations) if problems.is_empty() => Ok(declarations),
        Ok(_) => Err(problems),
        Err(found) => {
            problems.extend(found);
            Err(problems)
        }
    }
}

fn read(file: &Path) -> Result<Vec<Declaration>, Vec<Problem>> {
    let text = read_text(file)?;
    rules::parse(&file.display().to_string(), &text)
}

/// The text of a file, or why it cannot be read.
pub fn read_text(file: &Path) -> Result<String, Vec<Problem>> {
    std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))
}

/// The files that a path stands for, by name.
pub fn expand(path: &Path) -> Result<Vec<PathBuf>, Vec<Problem>> {
    if !path.to_string_lossy().contains(['*', '?']) {
        if !path.is_dir() {
            return match path.metadata() {
                Ok(_) => Ok(vec![path.to_owned()]),
                Err(error) => Err(unreadable(path, &error)),
            };
        }
        let found: Vec<PathBuf> = entries(path)
            .map_err(|error| unreadable(path, &error))?
            .into_iter()
            .filter(|entry| {
                entry.is_file()
                    && entry
                        .extension()
                        .is_some_and(|end| end == "yaml" || end == "yml")
            })
            .collect();
        return if found.is_empty() {
            Err(problem(
                path,
                "the folder holds no `*.yaml`".to_owned(),
                "put a declaration there or name another folder",
            ))
        } else {
            Ok(found)
        };
    }
    let mut found = vec![PathBuf::new()];
    for component in path.components() {
        found = match component {
            Component::Normal(part) if part.to_string_lossy().contains(['*', '?']) => {
                let glob = Glob::new(part.to_string_lossy());
                found
                    .iter()
                    .flat_map(|folder| matching(folder, &glob))
                    .collect()
            }
            part => found
                .into_iter()
                .map(|folder| folder.join(part))
                .filter(|path| path.exists())
                .collect(),
        };
    }
    found.retain(|path| path.is_file());
    if found.is_empty() {
        return Err(problem(
            path,
            "the pattern matches no file".to_owned(),
            "correct it or add a file",
        ));
    }
    Ok(found)
}

/// Entries of a folder that match; none of a folder that cannot be listed.
fn matching(folder: &Path, glob: &Glob) -> Vec<PathBuf> {
    let found = entries(folder).unwrap_or_default();
    let name = |path: &PathBuf| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    found
        .into_iter()
        .filter(|path| glob.matches(&name(path)))
        .collect()
}

/// What stands in a folder, by name, without hidden entries.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let here = folder.as_os_str().is_empty();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(if here { Path::new(".") } else { folder })? {
        let name = entry?.file_name();
        if !name.to_string_lossy().starts_with('.') {
            found.push(folder.join(name));
        }
    }
    found.sort();
    Ok(found)
}

fn unreadable(path: &Path, error: &io::Error) -> Vec<Problem> {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "correct the path",
        io::ErrorKind::InvalidData => "save the file as UTF-8",
        _ => "make it readable",
    };
    problem(path, format!("cannot be read: {error}"), remedy)
}

fn problem(path: &Path, wrong: String, remedy: &str) -> Vec<Problem> {
    vec![Problem {
        source: path.display().to_string(),
        line: 0,
        field: String::new(),
        value: String::new(),
        wrong,
        remedy: remedy.to_owned(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder below");
            std::fs::write(path, text).expect("a file");
        }
        folder
    }

    #[track_caller]
    fn check(pattern: &str, expect: &[&str]) {
        let files = [
            ("a.yaml", ""),
            ("b.yml", ""),
            ("c.txt", ""),
            (".d.yaml", ""),
            ("eu/e.yaml", ""),
            ("us/e.yaml", ""),
        ];
        let folder = folder(&files);
        let found = expand(&folder.path().join(pattern)).map(|found| {
            let short = |path: &PathBuf| {
                path.strip_prefix(folder.path())
                    .map(|path| path.display().to_string())
            };
            found
                .iter()
                .map(|path| short(path).expect("below the folder"))
                .collect::<Vec<_>>()
        });
        match found {
            Ok(found) => assert_eq!(found, expect),
            Err(problems) => assert_eq!(
                expect,
                [problems[0]
                    .to_string()
                    .rsplit_once(": ")
                    .expect("a sentence")
                    .1]
            ),
        }
    }

    #[test]
    fn paths_lead_to_files() {
        check("", &["a.yaml", "b.yml"]);
        check("a.yaml", &["a.yaml"]);
        check("*.y*ml", &["a.yaml", "b.yml"]);
        check("*/e.yaml", &["eu/e.yaml", "us/e.yaml"]);
        check(
            "*.json",
            &["the pattern matches no file; correct it or add a file"],
        );
        check(
            "none.yaml",
            &["No such file or directory (os error 2); correct the path"],
        );
    }

    #[test]
    fn all_files_and_paths_are_read_before_anything_is_said() {
        let folder = folder(&[
            ("a.yaml", "model: a\n"),
            ("b.yaml", "model: b\ntask: nothing\n"),
            ("c/x", ""),
        ]);
        let paths = [
            folder.path().join("*.yaml"),
            folder.path().join("a.yaml"),
            folder.path().join("c"),
        ];
        let problems = declarations(&paths).expect_err("three problems");
        let words: Vec<&str> = problems
            .iter()
            .map(|problem| problem.wrong.as_str())
            .collect();
        assert_eq!(
            words,
            [
                "the folder holds no `*.yaml`",
                "this field is needed",
                "not one of the known words"
            ]
        );
    }
}
