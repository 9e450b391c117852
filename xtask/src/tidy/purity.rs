//! Levels 0 and 1 are pure: no task, clock, file, socket, thread, environment, unseeded randomness or unordered map.
//!
//! Clippy bans the same types by their real paths (the crates' clippy.toml); this check also sees the dependencies,
//! whole modules of `std`, and code that one build does not compile.

use super::Fault;
use super::levels::{Need, Package};
use super::source::{self, Parts};
use super::tree::File;

const PURE: [&str; 5] = ["types", "mempool", "consensus", "finality", "ethereum"];

/// Direct dependencies that bring in the outside world. Seeded generators (rand_chacha, rand_core) are not here.
const BANNED_DEPENDENCIES: [&str; 33] = [
    // tasks and threads
    "tokio",
    "tokio-util",
    "tokio-stream",
    "async-std",
    "async-executor",
    "async-io",
    "async-trait",
    "smol",
    "futures",
    "futures-util",
    "futures-executor",
    "crossbeam",
    "crossbeam-channel",
    "rayon",
    "parking_lot",
    "turmoil",
    // unseeded randomness and order
    "rand",
    "getrandom",
    "fastrand",
    "hashbrown",
    "ahash",
    "dashmap",
    // clocks
    "chrono",
    "time",
    "quanta",
    "instant",
    // sockets and files
    "mio",
    "socket2",
    "hyper",
    "reqwest",
    "jsonrpsee",
    "sled",
    "fs4",
];

/// Of commonware, only the codec is pure.
const COMMONWARE: &str = "commonware-";
const COMMONWARE_PURE: &str = "commonware-codec";

const BANNED_WORDS: [&str; 6] = [
    "Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "RandomState",
    "async",
];
/// The bug zoo makes disorder on purpose, in builds that have the feature `zoo`.
const EXEMPT: [(&str, &str); 1] = [("types/src/zoo.rs", "RandomState")];

const BANNED_MODULES: [&str; 5] = ["fs", "net", "thread", "env", "process"];

/// Direct dependencies of the pure crates (those of tests are free).
pub fn check_dependencies(packages: &[Package]) -> Vec<Fault> {
    let banned = |name: &str| {
        BANNED_DEPENDENCIES.contains(&name)
            || (name.starts_with(COMMONWARE) && name != COMMONWARE_PURE)
    };
    let mut faults = Vec::new();
    for package in packages
        .iter()
        .filter(|package| package.level().is_some_and(|level| level <= 1))
    {
        for (name, _) in package
            .dependencies
            .iter()
            .filter(|(name, need)| *need == Need::Ship && banned(name))
        {
            faults.push(Fault::new(
                &package.name,
                format!("is pure and must not depend on {name}"),
            ));
        }
    }
    faults
}

/// The sources of the pure crates.
pub fn check_sources(files: &[File]) -> Vec<Fault> {
    let pure = |file: &&File| {
        PURE.iter()
            .any(|folder| file.path.starts_with(&format!("{folder}/src/")))
    };
    files
        .iter()
        .filter(pure)
        .flat_map(|file| check_source(&file.path, &file.text))
        .collect()
}

fn check_source(path: &str, text: &str) -> Vec<Fault> {
    let code = Parts::of(text).code;
    let mut found: Vec<(usize, String)> = Vec::new();
    for word in BANNED_WORDS
        .into_iter()
        .filter(|word| !EXEMPT.contains(&(path, word)))
    {
        found.extend(
            source::find_words(&code, word)
                .into_iter()
                .map(|at| (at, word.to_owned())),
        );
    }
    for module in BANNED_MODULES {
        let module = format!("std::{module}");
        found.extend(
            source::find_words(&code, &module)
                .into_iter()
                .map(|at| (at, module.clone())),
        );
    }
    for (at, _) in code.match_indices("std::{") {
        let open = at + "std::".len();
        for name in group(&code[open..open + source::braces(&code[open..])]) {
            if BANNED_MODULES.contains(&name) {
                found.push((at, format!("std::{name}")));
            }
        }
    }
    found.sort();
    let what = |name: &str| {
        format!("`{name}` in a pure crate: time, randomness and the outside are arguments")
    };
    found
        .iter()
        .map(|(at, name)| Fault::at_line(path, source::line_of(&code, *at), what(name)))
        .collect()
}

/// The first words of the members of `{a, b::c, d::{e, f}}`.
fn group(braced: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let mut names = Vec::new();
    let mut begin = 0;
    for (at, letter) in braced.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let first_brace = at == 0;
        let ends = (letter == ',' && depth == 1) || depth == 0;
        if first_brace || ends {
            if ends {
                names.push(braced[begin..at].trim());
            }
            begin = at + 1;
        }
    }
    names
        .into_iter()
        .filter_map(|member| member.split([':', ' ', '\n']).next())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    fn dependency(package: &str, name: &str, need: Need) -> usize {
        let package = Package {
            name: format!("outrider-{package}"),
            dependencies: vec![(name.to_owned(), need)],
        };
        check_dependencies(&[package]).len()
    }

    #[test]
    fn pure_crates_do_not_depend_on_the_outside() {
        assert_eq!(dependency("consensus", "tokio", Need::Ship), 1);
        assert_eq!(dependency("types", "rand", Need::Ship), 1);
        assert_eq!(dependency("finality", "commonware-runtime", Need::Ship), 1);
        assert_eq!(dependency("types", "commonware-codec", Need::Ship), 0);
        assert_eq!(dependency("consensus", "thiserror", Need::Ship), 0);
        assert_eq!(dependency("consensus", "tokio", Need::Test), 0);
        assert_eq!(dependency("node", "tokio", Need::Ship), 0);
    }

    #[test]
    fn every_banned_word_is_found() {
        for line in [
            "use std::time::Instant;",
            "use std::time::{Duration, SystemTime};",
            "let a: HashMap<u8, u8>;",
            "use std::collections::{BTreeMap, HashSet};",
            "std::fs::read(path)",
            "use std::net::SocketAddr;",
            "std::thread::spawn(work)",
            "std::env::var(name)",
            "async fn f() {}",
            "use std::{fmt, net::SocketAddr};",
            "use std::{collections::{BTreeMap, VecDeque}, fs};",
        ] {
            assert_eq!(
                check_sources(&[file("mempool/src/lib.rs", line)]).len(),
                1,
                "{line}"
            );
        }
    }

    #[test]
    fn pure_code_comments_and_other_crates_are_free() {
        let pure = "// no HashMap\nuse std::{collections::BTreeMap, fmt};\nconst A: &str = \"async\"; env!(\"X\");";
        assert_eq!(check_sources(&[file("types/src/lib.rs", pure)]), []);
        assert_eq!(
            check_sources(&[file("node/src/lib.rs", "async fn f() {}")]),
            []
        );
        assert_eq!(
            check_sources(&[file("consensus/tests/a.rs", "use std::env;")]),
            []
        );
    }

    #[test]
    fn only_the_zoo_may_make_disorder() {
        let text = "use std::hash::RandomState;";
        let faults = |path: &str, text: &str| check_sources(&[file(path, text)]).len();
        assert_eq!(faults("types/src/zoo.rs", text), 0);
        assert_eq!(faults("types/src/zoo.rs", "async fn f() {}"), 1);
        assert_eq!(faults("types/src/ids.rs", text), 1);
    }

    #[test]
    fn the_fault_names_the_line() {
        let faults = check_sources(&[file("types/src/a.rs", "fn a() {}\n\nasync fn b() {}\n")]);
        assert!(
            faults[0]
                .to_string()
                .starts_with("types/src/a.rs:3: `async`"),
            "{}",
            faults[0]
        );
    }
}
