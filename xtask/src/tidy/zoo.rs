//! Every mutant of the bug zoo (types/src/zoo.rs) has a place in the production code where it breaks a rule.

use super::Fault;
use super::source::{self, Parts};
use super::tree::File;

const ZOO: &str = "types/src/zoo.rs";
const PRODUCTION: [&str; 5] = ["types", "mempool", "consensus", "finality", "node"];

/// Mutants that no production source asks for.
pub fn check(rust: &[File]) -> Vec<Fault> {
    let Some(zoo) = rust.iter().find(|file| file.path == ZOO) else {
        return vec![Fault::new(ZOO, "is missing")];
    };
    let mutants = mutants(&zoo.text);
    if mutants.is_empty() {
        return vec![Fault::new(ZOO, "has no `enum Mutant` with variants")];
    }
    let sites: Vec<String> = rust
        .iter()
        .filter(|file| file.path != ZOO && !file.is_test() && is_production(&file.path))
        .map(|file| without_tests(&file.text))
        .collect();
    let asked = |mutant: &str| {
        let question = format!("zoo::is(Mutant::{mutant})");
        sites.iter().any(|code| code.contains(&question))
    };
    let orphans = mutants.iter().filter(|mutant| !asked(mutant));
    orphans
        .map(|mutant| {
            let what = format!("no production code asks `zoo::is(Mutant::{mutant})`");
            Fault::new(ZOO, what)
        })
        .collect()
}

fn is_production(path: &str) -> bool {
    PRODUCTION
        .iter()
        .any(|folder| path.starts_with(&format!("{folder}/src/")))
}

fn without_tests(text: &str) -> String {
    let code = Parts::of(text).code;
    let tests = source::test_sections(&code);
    let begin = tests.iter().map(|section| section.start).min();
    code[..begin.unwrap_or(code.len())].to_owned()
}

/// The variants of `enum Mutant`.
fn mutants(text: &str) -> Vec<String> {
    let code = Parts::of(text).code;
    let Some((_, rest)) = code.split_once("enum Mutant {") else {
        return Vec::new();
    };
    let body = rest.split_once('}').map_or(rest, |(body, _)| body);
    body.split(',')
        .filter_map(|variant| variant.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    const TWO: &str = "/// All.\npub enum Mutant {\n    /// One, or more.\n    One = 1,\n    /// Two.\n    Two,\n}\n";

    fn faults(path: &str, text: &str) -> Vec<String> {
        let files = [file(ZOO, TWO), file(path, text)];
        check(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mutant_needs_a_site_in_production_code() {
        let both = "fn a() -> bool { zoo::is(Mutant::One) || zoo::is(Mutant::Two) }";
        assert!(faults("node/src/lib.rs", both).is_empty());
        let one = "fn a() -> bool { zoo::is(Mutant::One) }";
        let found = faults("node/src/lib.rs", one);
        assert!(
            found.len() == 1 && found[0].contains("Mutant::Two"),
            "{found:?}"
        );
        assert_eq!(faults("sim/src/lib.rs", both).len(), 2, "not production");
        assert_eq!(faults("node/tests/a.rs", both).len(), 2, "a test");
        let comment = "// zoo::is(Mutant::One) and zoo::is(Mutant::Two)";
        assert_eq!(faults("node/src/lib.rs", comment).len(), 2, "a comment");
        let tested = format!("#[cfg(test)]\nmod tests {{ {both} }}");
        assert_eq!(faults("node/src/lib.rs", &tested).len(), 2, "its own test");
    }

    #[test]
    fn a_zoo_that_cannot_be_read_is_a_fault() {
        assert_eq!(check(&[]).len(), 1);
        assert_eq!(check(&[file(ZOO, "pub enum Other { A }")]).len(), 1);
    }
}
