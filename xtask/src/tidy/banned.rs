//! Nothing unfinished, nothing ignored: such marks belong in an issue, not in the code.

use super::Fault;
use super::source::{self, Parts};
use super::tree::File;

const MACROS: [&str; 2] = ["todo", "unimplemented"];
const MARKS: [&str; 2] = ["FIXME", "XXX"];

/// Unfinished macros, marks in comments, ignored tests and ignored examples.
pub fn check(files: &[File]) -> Vec<Fault> {
    files
        .iter()
        .flat_map(|file| check_source(&file.path, &file.text))
        .collect()
}

fn check_source(path: &str, text: &str) -> Vec<Fault> {
    let Parts { code, comments } = Parts::of(text);
    let mut found: Vec<(usize, String)> = Vec::new();
    for name in MACROS {
        let calls = source::find_macro(&code, name);
        found.extend(calls.into_iter().map(|(at, _)| {
            (
                at,
                format!("`{name}!` is unfinished work: finish or remove it"),
            )
        }));
    }
    for mark in MARKS {
        for part in [&code, &comments] {
            let marks = source::find_words(part, mark);
            found.extend(
                marks
                    .into_iter()
                    .map(|at| (at, format!("`{mark}`: open an issue instead"))),
            );
        }
    }
    found.extend(
        ignored_tests(&code)
            .into_iter()
            .map(|at| (at, "an ignored test tests nothing".to_owned())),
    );
    let examples = comments
        .match_indices("```ignore")
        .chain(comments.match_indices("```rust,ignore"));
    found.extend(examples.map(|(at, _)| (at, "an ignored example may not compile".to_owned())));
    found.sort();
    found
        .into_iter()
        .map(|(at, what)| Fault::at_line(path, source::line_of(text, at), what))
        .collect()
}

/// Attributes that are or hold `ignore`.
fn ignored_tests(code: &str) -> Vec<usize> {
    let attributes = code
        .match_indices("#[")
        .map(|(at, _)| (at, code[at..].find(']').map_or(code.len(), |end| at + end)));
    let ignores = |attribute: &str| {
        let alone = attribute
            .trim_start_matches(['#', '[', ' '])
            .starts_with("ignore");
        (alone || attribute.contains("cfg_attr"))
            && !source::find_words(attribute, "ignore").is_empty()
    };
    attributes
        .filter(|(at, end)| ignores(&code[*at..*end]))
        .map(|(at, _)| at)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    fn faults(text: &str) -> usize {
        check(&[file("a/src/b.rs", text)]).len()
    }

    #[test]
    fn every_mark_is_found() {
        for text in [
            "todo!()",
            "unimplemented!(\"later\")",
            "#[ignore]\nfn a() {}",
            "#[ignore = \"slow\"]\nfn a() {}",
            "#[cfg_attr(not(slow), ignore)]\nfn a() {}",
            "// FIXME: soon",
            "/* XXX */",
            "/// ```ignore\n/// a\n/// ```",
        ] {
            assert_eq!(faults(text), 1, "{text}");
        }
    }

    #[test]
    fn strings_and_longer_words_are_free() {
        assert_eq!(
            faults(
                "let a = \"todo!() FIXME XXX #[ignore]\"; todo(); // ignore XXXL\n#[serde(ignore_b)]"
            ),
            0
        );
    }
}
