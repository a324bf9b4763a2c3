//! The shipped declarations in `rules/` work as they are.

use std::path::Path;

use driftline::rules::{Declarations, parse};

#[test]
fn every_shipped_file_parses_and_none_contradicts_another() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut declarations = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the shipped folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        match parse(&path.display().to_string(), &text) {
            Ok(found) => declarations.extend(found),
            Err(problems) => panic!(
                "{}",
                problems
                    .iter()
                    .map(|p| format!("{p}\n"))
                    .collect::<String>()
            ),
        }
    }
    let declarations = Declarations::new(declarations).expect("no contradiction");
    for model in ["flights", "power", "churn-eu"] {
        assert!(declarations.covering(model).is_some(), "{model}");
    }
}
