//! The binary as it is called: what it refuses, and with which words. That this file is here also makes `cargo test` build the
//! binary, which tests/e2e/bench.sh runs.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]

use std::process::Command;

/// Exit code and standard error.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_outrider-bench"))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code(), said)
}

#[test]
fn missing_program_is_named_with_what_to_do() {
    let (code, said) = run(&["e2e", "--outrider", "/nowhere/outrider"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("/nowhere/outrider") && said.contains("cargo build"),
        "{said}"
    );
}
