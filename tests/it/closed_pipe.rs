//! Whoever reads a list may have had enough of it: `driftline … | head` ends quietly.

use std::process::Command;

#[test]
fn a_closed_pipe_is_no_failure() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("driftline.yaml");
    let text = format!(
        "kafka: {{brokers: [\"127.0.0.1:9\"], predictions: [p]}}\ndata_dir: {:?}\n",
        folder.path().join("data")
    );
    std::fs::write(&config, text).expect("writable");
    let config = config.to_str().expect("text");
    for arguments in [
        &["statistics"][..],
        &["cursors", "show", "--config", config],
        &["runs", "list", "--config", config],
        &["models", "list", "--config", config],
        &["sql", "SHOW FUNCTIONS"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_driftline"))
            .args(arguments)
            .stdout(writer)
            .output()
            .expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
}
