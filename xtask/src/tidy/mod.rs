//! `cargo xtask tidy`: the house rules that no compiler knows.
//!
//! One file per rule. Each rule is a function over text or parsed data that returns its faults, so that its tests can
//! prove that it fails when it should.

mod banned;
mod clippy_config;
mod files;
mod generated;
mod levels;
mod links;
mod purity;
mod rules;
mod select;
mod source;
mod tree;
mod zoo;

use crate::command;
use std::fmt;

/// Something that breaks a house rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file (and line), package or document.
    place: String,
    /// What is wrong and what to do.
    what: String,
}

impl Fault {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
        }
    }

    fn at_line(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), what)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.what)
    }
}

/// Runs every check and prints all faults; with `fix`, first rewrites the generated tables.
pub fn run(fix: bool) -> Result<(), String> {
    let root = command::root();
    let tree = tree::Tree::read(&root)?;
    let metadata = command::output(command::cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--locked",
    ]))?;
    let packages = levels::packages(&metadata)?;

    let checks: [(&str, Vec<Fault>); 10] = [
        (
            "levels: no dependency goes up or sideways",
            levels::check(&packages),
        ),
        (
            "purity: levels 0 and 1 know no clock, task, file or socket",
            [
                purity::check_dependencies(&packages),
                purity::check_sources(&tree.rust),
            ]
            .concat(),
        ),
        (
            "clippy: own clippy.toml files repeat the root's limits",
            clippy_config::check(&tree.clippy),
        ),
        (
            "files: size, and `//!` in the first line",
            files::check(&tree.rust),
        ),
        ("select: every select! is biased", select::check(&tree.rust)),
        (
            "rules: every protocol id is named by a test and by the book",
            rules::check(&tree.rust, &tree.markdown),
        ),
        (
            "banned: nothing unfinished or ignored",
            banned::check(&tree.rust),
        ),
        (
            "zoo: every mutant has its place in production code",
            zoo::check(&tree.rust),
        ),
        (
            "links: Markdown points to files that exist",
            links::check(&tree.markdown, |path| root.join(path).exists()),
        ),
        (
            "generated: tables equal the code",
            generated::run(&root, fix)?,
        ),
    ];
    report(&checks)
}

fn report(checks: &[(&str, Vec<Fault>)]) -> Result<(), String> {
    let mut count = 0;
    for (name, faults) in checks {
        println!("{} {name}", if faults.is_empty() { "ok  " } else { "FAIL" });
        for fault in faults {
            println!("       {fault}");
        }
        count += faults.len();
    }
    if count == 0 {
        Ok(())
    } else {
        Err(format!("{count} faults, listed above"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_fault_fails_the_report() {
        assert_eq!(report(&[("a", Vec::new()), ("b", Vec::new())]), Ok(()));
        let reason = report(&[
            ("a", Vec::new()),
            ("b", vec![Fault::at_line("x.rs", 3, "bad")]),
        ])
        .unwrap_err();
        assert!(reason.contains("1 fault"), "{reason}");
    }
}
