//! `cargo xtask`: the checks and chores of this repository, in Rust, the same on every machine.
//!
//! `cargo xtask ci` runs everything that must hold before a commit; `cargo xtask tidy` runs only the house rules
//! that no compiler knows; `cargo xtask fuzz` lets libFuzzer search; `cargo xtask wasm` builds the light client of
//! browsers, `cargo xtask contracts` the contracts on L1. All print what failed, where, and what to do, and end with
//! exit code 1.

mod ci;
mod command;
mod contracts;
mod fuzz;
mod gas;
mod tidy;
mod wasm;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <VERB>

Verbs:
  ci [--only STEP]...   every check in order; stops at the first that fails
  tidy [--fix]          the house rules; --fix rewrites the generated tables of docs/reference.md
  fuzz TARGET [--time T]
                        search for inputs that break a promise (docs/fuzzing.md); T as 60s, 10m or 2h
  wasm                  build the light client of browsers, test it in Node, and keep it for the node to embed
  contracts [--check | --gas]
                        compile and test the contracts, and keep artifacts and gas; --check compares with what is
                        kept; --gas prints what transactions cost
  help                  this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ci", rest @ ..] => ci::run(&ci::steps_named(rest)?),
        ["fuzz", rest @ ..] => fuzz::Search::parse(rest)?.run(),
        ["wasm"] => wasm::keep(),
        ["contracts"] => contracts::keep(),
        ["contracts", "--check"] => contracts::check(),
        ["contracts", "--gas"] => gas::print(),
        ["tidy"] => tidy::run(false),
        ["tidy", "--fix"] => tidy::run(true),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}\nSteps of ci: {}\n", ci::step_names());
            Ok(())
        }
        _ => Err(format!("unknown arguments: {}\n\n{USAGE}", words.join(" "))),
    }
}
