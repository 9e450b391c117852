//! `cargo xtask fuzz TARGET`: a target of the crate `fuzz` under libFuzzer, on the stable compiler.

use crate::command;
use std::path::{Path, PathBuf};

const TARGETS: [&str; 3] = ["decode", "step", "json"];

/// How long a search takes if nobody says.
const SECONDS: u64 = 60;
/// The longest search.
const SECONDS_MAX: u64 = 7 * 24 * 3_600;

/// What lets libFuzzer see which edges and comparisons an input reached. These are the flags of cargo-fuzz without a
/// sanitizer: there is no unsafe code of ours to sanitize, and so no nightly compiler is needed.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Ccodegen-units=1",
];

/// What to search, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    target: &'static str,
    seconds: u64,
}

impl Search {
    /// From `TARGET [--time 60s]`.
    pub fn parse(arguments: &[&str]) -> Result<Self, String> {
        let (name, seconds) = match arguments {
            [name] => (name, SECONDS),
            [name, "--time", time] => (name, seconds(time)?),
            _ => {
                return Err(format!(
                    "fuzz takes a target ({}) and --time, as 60s, 10m or 2h",
                    TARGETS.join(", ")
                ));
            }
        };
        let target = TARGETS
            .into_iter()
            .find(|target| target == name)
            .ok_or_else(|| {
                let targets = TARGETS.join(", ");
                format!("no fuzz target is called `{name}`; there are: {targets}")
            })?;
        Ok(Self { target, seconds })
    }

    /// Build it, write its seeds, search.
    pub fn run(self) -> Result<(), String> {
        let Self { target, seconds } = self;
        let triple = host()?;
        let home = command::root().join("target/fuzz");
        let corpus = home.join("corpus").join(target);
        let found = home.join("found").join(target);
        for folder in [&corpus, &found] {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        }
        let seeds = [
            "run",
            "--quiet",
            "--locked",
            "--package",
            "outrider-fuzz",
            "--bin",
            "fuzz-seeds",
            "--",
        ];
        let mut arguments = seeds.to_vec();
        let corpus_text = corpus.to_string_lossy();
        arguments.extend([target, &corpus_text]);
        command::run(command::cargo(&arguments))?;

        let binary = build(target, &triple, &home)?;
        let mut arguments = vec![
            corpus_text.into_owned(),
            format!("-max_total_time={seconds}"),
            format!("-artifact_prefix={}/", found.display()),
            // Long inputs from the start: one operation of `step` is four bytes, and a view takes several.
            "-len_control=0".to_owned(),
            format!("-max_len={}", if target == "step" { 642 } else { 16_384 }),
            "-timeout=20".to_owned(),
            "-rss_limit_mb=2048".to_owned(),
            "-print_final_stats=1".to_owned(),
        ];
        let regressions = command::root().join("fuzz/regressions").join(target);
        if regressions.is_dir() {
            arguments.insert(1, regressions.to_string_lossy().into_owned());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        command::run(command::program(&binary.to_string_lossy(), &arguments)).map_err(|reason| {
            format!(
                "{reason}\nThe input is in {}. Copy it to fuzz/regressions/{target}/, where `cargo test -p outrider-fuzz` runs it, and repair the fault.",
                found.display()
            )
        })
    }
}

/// `60s`, `10m`, `2h`; a number alone is seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(['s', 'm', 'h']);
    let factor = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 0,
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|seconds| (1..=SECONDS_MAX).contains(seconds))
        .ok_or_else(|| format!("`{text}` is not a time from 1s to 168h, as 60s, 10m or 2h"))
}

/// The triple of this machine. It is named in the build so that the flags do not reach build scripts.
fn host() -> Result<String, String> {
    let text = command::output(command::program("rustc", &["-vV"]))?;
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "`rustc -vV` names no host".to_owned())
}

fn build(target: &str, triple: &str, home: &Path) -> Result<PathBuf, String> {
    command::output(command::program("c++", &["--version"])).map_err(|reason| {
        format!("{reason}\nlibFuzzer is written in C++. On Debian: apt-get install g++")
    })?;
    let name = format!("fuzz-{target}");
    let folder = home.join("build");
    let mut cargo = command::cargo(&[
        "build",
        "--release",
        "--locked",
        "--package",
        "outrider-fuzz",
        "--features",
        "libfuzzer",
        "--bin",
        &name,
        "--target",
        triple,
    ]);
    cargo
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", FLAGS.join(" "))
        // Instrumentation is per crate; optimising over crates would only blur it.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    command::run(cargo)?;
    Ok(folder.join(triple).join("release").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_and_a_time_are_read() {
        let search = |target, seconds| Ok(Search { target, seconds });
        assert_eq!(Search::parse(&["step"]), search("step", SECONDS));
        assert_eq!(Search::parse(&["json", "--time", "90"]), search("json", 90));
        assert_eq!(
            Search::parse(&["decode", "--time", "2h"]),
            search("decode", 7_200)
        );
    }

    #[test]
    fn anything_else_is_an_error_that_says_what_there_is() {
        for arguments in [
            &[][..],
            &["nonsense"],
            &["step", "--time"],
            &["step", "--time", "0s"],
            &["step", "--time", "1d"],
            &["step", "--time", "169h"],
            &["step", "--time", "18446744073709551615h"],
            &["step", "--fast", "1s"],
        ] {
            assert!(Search::parse(arguments).is_err(), "{arguments:?}");
        }
        assert!(
            Search::parse(&["x"])
                .unwrap_err()
                .contains("decode, step, json")
        );
    }
}
