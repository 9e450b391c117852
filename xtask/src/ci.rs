//! `cargo xtask ci`: everything that must hold before a commit, cheapest first.

use crate::{command, contracts, tidy, wasm};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

/// How long one script of `tests/e2e` may take before it and its children are killed.
const SCRIPT_SECONDS_MAX: &str = "600";

/// One check: its name on the command line, and what it does.
pub struct Step {
    name: &'static str,
    about: &'static str,
    check: fn() -> Result<(), String>,
}

const STEPS: [Step; 12] = [
    Step {
        name: "fmt",
        about: "the code is formatted",
        check: fmt,
    },
    Step {
        name: "clippy",
        about: "no lint fires",
        check: clippy,
    },
    Step {
        name: "test",
        about: "all tests, those in documentation too",
        check: test,
    },
    Step {
        name: "doc",
        about: "the documentation builds without a broken link",
        check: doc,
    },
    Step {
        name: "tidy",
        about: "the house rules hold",
        check: || tidy::run(false),
    },
    Step {
        name: "bench",
        about: "every bench runs once",
        check: bench,
    },
    Step {
        name: "zoo",
        about: "the simulator finds bugs that are let loose",
        check: zoo,
    },
    Step {
        name: "wasm",
        about: "the light client of browsers builds, and passes the shared vectors in Node",
        check: wasm::check,
    },
    Step {
        name: "python",
        about: "the verifier written from docs/wire-format.md alone judges the shared vectors",
        check: python,
    },
    Step {
        name: "contracts",
        about: "the contracts are what is committed, pass their tests, and judge as the node does",
        check: contracts::check,
    },
    Step {
        name: "evm",
        about: "the simulator takes forks to the committed contracts in revm",
        check: evm,
    },
    Step {
        name: "e2e",
        about: "the scripts of tests/e2e, on real processes",
        check: e2e,
    },
];

/// The names of all steps, for messages.
pub fn step_names() -> String {
    STEPS.map(|step| step.name).join(", ")
}

/// The steps that `--only NAME` (repeated) asks for, in the order of the list; all if there is none.
pub fn steps_named(arguments: &[&str]) -> Result<Vec<&'static Step>, String> {
    let mut wanted = Vec::new();
    for pair in arguments.chunks(2) {
        match pair {
            ["--only", name] if STEPS.iter().any(|step| step.name == *name) => wanted.push(*name),
            ["--only", name] => {
                return Err(format!(
                    "no step is called `{name}`; there are: {}",
                    step_names()
                ));
            }
            ["--only"] => return Err(format!("--only needs the name of a step: {}", step_names())),
            _ => {
                return Err(format!(
                    "unknown argument `{}`; ci takes only --only STEP",
                    pair.join(" ")
                ));
            }
        }
    }
    Ok(STEPS
        .iter()
        .filter(|step| wanted.is_empty() || wanted.contains(&step.name))
        .collect())
}

/// Runs the steps in order and stops at the first that fails.
pub fn run(steps: &[&Step]) -> Result<(), String> {
    let begin = Instant::now();
    let mut times = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        println!(
            "\n==> {} of {}: {}: {}",
            number + 1,
            steps.len(),
            step.name,
            step.about
        );
        let step_begin = Instant::now();
        let result = (step.check)();
        let seconds = step_begin.elapsed().as_secs_f64();
        if let Err(reason) = result {
            println!("<== {}: FAILED after {seconds:.1} s", step.name);
            let name = step.name;
            return Err(format!(
                "{name}: {reason}\nOnly this step again: cargo xtask ci --only {name}"
            ));
        }
        println!("<== {}: ok, {seconds:.1} s", step.name);
        times.push(format!("{} {seconds:.1} s", step.name));
    }
    println!(
        "\nAll {} steps hold: {} (together {:.1} s)",
        steps.len(),
        times.join(", "),
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

fn fmt() -> Result<(), String> {
    command::run(command::cargo(&["fmt", "--all", "--check"]))
        .map_err(|reason| format!("{reason}\nTo format: cargo fmt --all"))
}

fn clippy() -> Result<(), String> {
    command::run(command::cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

fn test() -> Result<(), String> {
    command::run(command::cargo(&["test", "--workspace", "--locked"]))
}

fn doc() -> Result<(), String> {
    let mut cargo = command::cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    cargo.env("RUSTDOCFLAGS", "-D warnings");
    command::run(cargo)
}

/// Without `--bench`, criterion runs every bench once, as a test. The whole workspace is named so that the
/// dependencies are those which the tests have built already, not a second set with fewer features.
fn bench() -> Result<(), String> {
    command::run(command::cargo(&[
        "test",
        "--workspace",
        "--bench",
        "*",
        "--locked",
    ]))
}

/// In a build of its own: nothing else has the feature.
fn zoo() -> Result<(), String> {
    command::run(command::cargo(&[
        "test",
        "-p",
        "outrider-sim",
        "--features",
        "zoo",
        "--test",
        "zoo",
        "--test",
        "regressions",
        "--locked",
    ]))
}

fn python() -> Result<(), String> {
    for judged in ["client/python/vectors.py", "client/python/contracts.py"] {
        command::run(command::program("python3", &[judged]))?;
    }
    Ok(())
}

/// A workspace of its own, so that nothing else builds revm. It shares the target folder: most of what it needs is there.
fn evm() -> Result<(), String> {
    let manifest = ["--manifest-path", "sim/l1/Cargo.toml"];
    let target = command::root().join("target");
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| target.into());
    let parts: [(&str, &[&str]); 3] = [
        ("fmt", &["--check"]),
        (
            "clippy",
            &[
                "--all-targets",
                "--no-deps",
                "--locked",
                "--",
                "-D",
                "warnings",
            ],
        ),
        ("test", &["--locked"]),
    ];
    for (verb, arguments) in parts {
        let mut cargo = command::cargo(&[&[verb], &manifest[..], arguments].concat());
        cargo.env("CARGO_TARGET_DIR", &target);
        command::run(cargo).map_err(|reason| {
            format!("{reason}\nIf only its lock file is behind: cargo update --workspace --manifest-path sim/l1/Cargo.toml")
        })?;
    }
    Ok(())
}

fn e2e() -> Result<(), String> {
    let folder = command::root().join("tests/e2e");
    if !folder.is_dir() {
        println!("there is no tests/e2e: nothing to run");
        return Ok(());
    }
    binaries()?;
    let entries = std::fs::read_dir(&folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut scripts: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .collect();
    scripts.sort();
    for script in &scripts {
        let begin = Instant::now();
        let name = script.to_string_lossy();
        println!("--> {name}");
        let mut timeout = command::program(
            "timeout",
            &["--kill-after=10", SCRIPT_SECONDS_MAX, "bash", &name],
        );
        timeout.env("PATH", path_with_tools());
        command::run(timeout).map_err(|reason| {
            format!("{reason}\n(exit code 124: more than {SCRIPT_SECONDS_MAX} s; no `cast`, `anvil` or `@ethereumjs/client`: run .ci/run setup)")
        })?;
        println!("<-- {name}: ok, {:.1} s", begin.elapsed().as_secs_f64());
    }
    Ok(())
}

/// The binary that ships, and beside it one whose members break the protocol when they are told to.
fn binaries() -> Result<(), String> {
    let folder = command::root().join("target/debug");
    let build = |features: &[&str]| {
        let mut arguments = vec!["build", "-p", "outrider-cli", "--locked"];
        arguments.extend(features);
        command::run(command::cargo(&arguments))
    };
    build(&["--features", "byzantine"])?;
    let (from, to) = (folder.join("outrider"), folder.join("outrider-byzantine"));
    std::fs::copy(&from, &to).map_err(|error| format!("cannot write {}: {error}", to.display()))?;
    build(&[])
}

/// The caller's PATH, before it the tools that `.ci/run setup` put into target/tools.
fn path_with_tools() -> OsString {
    let mut path = command::root()
        .join("target/tools/node_modules/.bin")
        .into_os_string();
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Result<Vec<&'static str>, String> {
        steps_named(arguments).map(|steps| steps.iter().map(|step| step.name).collect())
    }

    #[test]
    fn only_picks_steps_in_the_order_of_the_list() {
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert_eq!(names(&["--only", "tidy"]).unwrap(), ["tidy"]);
        assert_eq!(
            names(&["--only", "tidy", "--only", "fmt"]).unwrap(),
            ["fmt", "tidy"]
        );
    }

    #[test]
    fn unknown_steps_and_arguments_are_errors_that_name_the_steps() {
        assert!(
            names(&["--only", "nonsense"])
                .unwrap_err()
                .contains("fmt, clippy, test")
        );
        assert!(
            names(&["--only"])
                .unwrap_err()
                .contains("fmt, clippy, test")
        );
        assert!(names(&["--fast"]).unwrap_err().contains("--fast"));
    }

    #[test]
    fn a_failing_step_stops_the_run_and_is_named() {
        static GOOD: Step = Step {
            name: "good",
            about: "holds",
            check: || Ok(()),
        };
        static BAD: Step = Step {
            name: "bad",
            about: "fails",
            check: || Err("because".to_owned()),
        };
        static NEVER: Step = Step {
            name: "never",
            about: "must not run",
            check: || panic!("ran after a failure"),
        };
        assert_eq!(run(&[&GOOD]), Ok(()));
        let reason = run(&[&GOOD, &BAD, &NEVER]).unwrap_err();
        assert!(reason.starts_with("bad: because"), "{reason}");
    }
}
