//! The house as a test: which room may call which, which rooms are pure, and which room owns an outside library.
//!
//! Every `use` line and every qualified path under `src/` is read (`layering/paths.rs`), also in tests beside the
//! code; files of tests alone (`tests.rs`, `*_tests.rs`, `tests/`) are left out. A new
//! dependency between rooms is a change of the design: it is made here, in one line, and said in the commit.

mod paths;

use std::fmt::Write as _;
use std::path::Path;

use paths::{Found, found_in};

/// The rooms in the order of the flow, whether they are pure (no clock, network, disk, runtime, metrics or log), and
/// what they may call besides themselves and `event`. Every impure room may also call `metrics`; `*` is every room.
const MAP: &str = "
    main         impure  *
    cli          impure  *
    service      impure  *
    config       impure  rules
    event        pure
    ingest       impure  window profile rules store
    window       pure
    profile      pure
    stats        pure    profile learn
    detect       pure
    learn        pure
    performance  pure    stats learn
    compute      impure  stats
    reference    impure  window profile stats rules store query compute
    query        impure  window profile stats performance compute store
    rules        pure    window profile stats detect performance
    notify       impure  stats rules store
    retrain      impure  window profile stats query store reference rules performance learn notify
    store        impure  profile stats rules
    metrics      impure  stats
    api          impure  profile stats store query rules reference retrain notify
    console      impure  api
";

struct Room {
    name: &'static str,
    pure: bool,
    may_call: Vec<&'static str>,
}

fn rooms() -> Vec<Room> {
    let lines = MAP.lines().filter(|line| !line.trim().is_empty());
    let room = |line: &'static str| {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a line of the map has a room");
        let pure = match words.next() {
            Some("pure") => true,
            Some("impure") => false,
            other => panic!("{name} is {other:?}, neither pure nor impure"),
        };
        Room {
            name,
            pure,
            may_call: words.collect(),
        }
    };
    lines.map(room).collect()
}

/// Outside libraries that one room only may name.
const OWNED: &[(&str, &str)] = &[
    ("axum", "api"),
    ("datafusion", "query"),
    ("linfa", "learn"),
    ("linfa_elasticnet", "learn"),
    ("linfa_ensemble", "learn"),
    ("linfa_logistic", "learn"),
    ("linfa_trees", "learn"),
    ("ndarray", "learn"),
    ("parquet", "store"),
    ("prometheus", "metrics"),
    ("rdkafka", "ingest"),
    ("rusqlite", "store"),
    ("wgpu", "compute"),
];

/// What a pure room must not name. Naming `std::time` itself would let `time::Instant` pass unseen, so a module that
/// holds something forbidden is forbidden as a whole path too.
const IMPURE_PATHS: &[&str] = &[
    "axum",
    "prometheus",
    "rdkafka",
    "reqwest",
    "rusqlite",
    "std::fs",
    "std::net",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
    "tracing",
];

#[test]
fn every_room_calls_only_the_rooms_it_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    assert!(
        files.len() > 20,
        "only {} files found under {}",
        files.len(),
        root.join("src").display()
    );

    let mut violations = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source file can be read");
        if is_test_file(&file) {
            continue;
        }
        let file = file
            .strip_prefix(root)
            .expect("the file lies below the root")
            .display()
            .to_string();
        for (line, violation) in violations_in(&file, &text) {
            let _ = writeln!(violations, "{file}:{line}: {violation}");
        }
    }
    assert!(
        violations.is_empty(),
        "the layering is broken:\n{violations}"
    );
}

/// Tests may set up what the room itself must not name, a real web server for example.
fn is_test_file(file: &Path) -> bool {
    let name = file.file_stem().is_some_and(|stem| {
        let stem = stem.to_string_lossy();
        stem == "tests" || stem.ends_with("_tests")
    });
    name || file.components().any(|part| part.as_os_str() == "tests")
}

fn rust_files(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("a source folder can be listed");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a readable entry").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// `file` is relative to the root, such as `src/stats/psi.rs`.
fn violations_in(file: &str, text: &str) -> Vec<(usize, String)> {
    let module = module_of(file);
    let Some(first) = module.first() else {
        return lib_violations(text);
    };
    let rooms = rooms();
    let Some(room) = rooms.iter().find(|room| room.name == first) else {
        return vec![(
            1,
            format!("{first} is not a room of the map in tests/it/layering.rs"),
        )];
    };
    let mut violations = Vec::new();
    for Found { line, path } in found_in(text, &module) {
        violations.extend(violation(&rooms, room, &path).map(|violation| (line, violation)));
    }
    violations
}

/// `src/stats/psi.rs` is the module `stats::psi`; `src/lib.rs` is the root, with no name.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if module
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        module.pop();
    }
    module
}

/// The root is a map: it declares rooms and nothing else.
fn lib_violations(text: &str) -> Vec<(usize, String)> {
    let logic = found_in(text, &[]).into_iter();
    logic
        .map(|found| {
            (
                found.line,
                format!("lib.rs is a map, but names {}", found.path.join("::")),
            )
        })
        .collect()
}

fn violation(rooms: &[Room], room: &Room, path: &[String]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let name = path.join("::");
    if first == "crate" {
        let called = rest.first()?.as_str();
        let exists = rooms.iter().any(|room| room.name == called);
        let allowed = called == room.name
            || called == "event"
            || (called == "metrics" && !room.pure)
            || room.may_call.contains(&called)
            || (room.may_call.contains(&"*") && exists);
        let may = [&["event"], &room.may_call[..]].concat().join(", ");
        return (!allowed).then(|| format!("{} calls {name}; it may call {may}", room.name));
    }
    let owned = OWNED
        .iter()
        .find(|(library, owner)| first == library && *owner != room.name);
    if let Some((library, owner)) = owned {
        return Some(format!(
            "{} names {name}; only {owner} may name {library}",
            room.name
        ));
    }
    (room.pure && is_impure(path)).then(|| format!("{} is pure, but names {name}", room.name))
}

fn is_impure(path: &[String]) -> bool {
    // Whatever a clock is called: `Utc::now`, `Instant::now`.
    let reads_clock = path.len() > 1 && path.last().is_some_and(|last| last == "now");
    reads_clock || IMPURE_PATHS.iter().any(|forbidden| covers(path, forbidden))
}

/// `path` is inside `forbidden`, or is a module around it.
fn covers(path: &[String], forbidden: &str) -> bool {
    let forbidden: Vec<&str> = forbidden.split("::").collect();
    let path: Vec<&str> = path
        .iter()
        .map(String::as_str)
        .filter(|part| *part != "*")
        .collect();
    let shared = path.len().min(forbidden.len());
    shared > 0 && path[..shared] == forbidden[..shared]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, text: &str, expect: &[(usize, &str)]) {
        let found = violations_in(file, text);
        let found: Vec<(usize, &str)> = found
            .iter()
            .map(|(line, text)| (*line, text.as_str()))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn a_room_may_call_what_the_map_lists() {
        check(
            "src/stats/psi.rs",
            "use crate::profile::Profile;\nuse crate::event::Span;\nuse crate::stats::x;",
            &[],
        );
        check(
            "src/cli/mod.rs",
            "use crate::store::Store; fn f() { crate::api::run() }",
            &[],
        );
        check(
            "src/store/mod.rs",
            "use crate::metrics::X; use rusqlite::Connection;",
            &[],
        );
    }

    #[test]
    fn a_call_upwards_is_found_with_its_line() {
        let expect = "stats calls crate::store::Store; it may call event, profile, learn";
        check(
            "src/stats/psi.rs",
            "//! Role.\n\nuse crate::store::Store;",
            &[(3, expect)],
        );
        check(
            "src/stats/psi.rs",
            "fn f() {\n    let x = crate::store::Store::open();\n}",
            &[(
                2,
                "stats calls crate::store::Store::open; it may call event, profile, learn",
            )],
        );
        check(
            "src/stats/psi.rs",
            "use crate::{\n    event::Span,\n    store::{Store, Row},\n};",
            &[
                (3, expect),
                (
                    3,
                    "stats calls crate::store::Row; it may call event, profile, learn",
                ),
            ],
        );
        check(
            "src/stats/mod.rs",
            "use super::store::Store;",
            &[(1, expect)],
        );
        check(
            "src/stats/psi.rs",
            "use super::super::store::Store;",
            &[(1, expect)],
        );
        check(
            "src/stats/psi.rs",
            "use driftline::store::Store;",
            &[(1, expect)],
        );
    }

    #[test]
    fn super_in_an_inline_module_stays_in_the_room() {
        check(
            "src/stats/mod.rs",
            "mod tests {\n use super::store::Store;\n}",
            &[],
        );
        check(
            "src/stats/mod.rs",
            "mod tests {\n}\nuse super::store::Store;",
            &[(
                3,
                "stats calls crate::store::Store; it may call event, profile, learn",
            )],
        );
    }

    #[test]
    fn a_pure_room_names_nothing_impure() {
        check(
            "src/window/mod.rs",
            "use std::time::Duration;\nuse std::collections::BTreeMap;",
            &[],
        );
        check(
            "src/window/mod.rs",
            "use std::time::{Duration, Instant};",
            &[(1, "window is pure, but names std::time::Instant")],
        );
        check(
            "src/window/mod.rs",
            "use std::{fmt, time};",
            &[(1, "window is pure, but names std::time")],
        );
        check(
            "src/window/mod.rs",
            "use std::*;",
            &[(1, "window is pure, but names std::*")],
        );
        check(
            "src/rules/mod.rs",
            "fn f() { let t = Utc::now(); }",
            &[(1, "rules is pure, but names Utc::now")],
        );
        check(
            "src/rules/mod.rs",
            "#[tokio::test]\nasync fn f() {}",
            &[(1, "rules is pure, but names tokio::test")],
        );
        check(
            "src/rules/mod.rs",
            "use crate::metrics::X;",
            &[(
                1,
                "rules calls crate::metrics::X; it may call event, window, profile, stats, detect, performance",
            )],
        );
    }

    #[test]
    fn an_outside_library_has_one_room() {
        check("src/query/mod.rs", "use datafusion::prelude::*;", &[]);
        check(
            "src/api/mod.rs",
            "fn f() -> ::datafusion::Error {}",
            &[(
                1,
                "api names datafusion::Error; only query may name datafusion",
            )],
        );
    }

    #[test]
    fn an_unknown_room_and_logic_in_the_map_are_found() {
        check(
            "src/utils/mod.rs",
            "",
            &[(1, "utils is not a room of the map in tests/it/layering.rs")],
        );
        check(
            "src/lib.rs",
            "pub mod event;\npub use event::Span;",
            &[(2, "lib.rs is a map, but names event::Span")],
        );
    }

    #[test]
    fn the_map_names_rooms_that_exist_in_it() {
        let rooms = rooms();
        let exists = |name: &str| rooms.iter().any(|room| room.name == name);
        for room in &rooms {
            for called in room.may_call.iter().filter(|called| **called != "*") {
                assert!(exists(called), "{} may call {called}?", room.name);
            }
        }
        for (library, owner) in OWNED {
            assert!(exists(owner), "{library} is owned by {owner}?");
        }
    }
}
