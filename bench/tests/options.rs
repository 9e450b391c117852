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

#[test]
fn load_without_a_member_says_so() {
    // Nobody listens on port 1.
    let load = |size| {
        let line = format!("load --rate 10 --size {size} --duration 1s --rpc http://127.0.0.1:1");
        run(&line.split(' ').collect::<Vec<_>>())
    };
    let (code, said) = load(100);
    assert_eq!(code, Some(1));
    assert!(said.contains("127.0.0.1:1"), "{said}");
    // 64 of them do not fit into a request.
    let (code, said) = load(100_000);
    assert_eq!(code, Some(1));
    assert!(said.contains("--batch"), "{said}");
}
