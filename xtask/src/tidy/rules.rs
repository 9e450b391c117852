//! Each protocol id is named by a test, so that no rule is only prose, and by docs/protocol.md, so that no id is
//! only known to the code.

use super::Fault;
use super::source::{self, Parts};
use super::tree::File;

/// The ids of docs/protocol.md.
const IDS: [&str; 18] = [
    "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10", "R11", "R12", "R13", "E1", "E2",
    "E3", "E4", "E5",
];

const BOOK: &str = "docs/protocol.md";

/// Files whose strings hold ids as samples, such as this one.
const SAMPLES: &str = "xtask/";

/// Ids that no test names, or that the book does not know.
pub fn check(rust: &[File], markdown: &[File]) -> Vec<Fault> {
    let tests: Vec<String> = rust
        .iter()
        .filter(|file| !file.path.starts_with(SAMPLES))
        .map(test_text)
        .collect();
    let book = markdown.iter().find(|file| file.path == BOOK);
    let mut faults = Vec::new();
    if book.is_none() {
        faults.push(Fault::new(BOOK, "is missing"));
    }
    for id in IDS {
        if !tests.iter().any(|text| names(text, id)) {
            faults.push(Fault::new(
                id,
                "is named by no test: write one, and cite the id in its comment",
            ));
        }
        if book.is_some_and(|book| !names(&book.text, id)) {
            faults.push(Fault::new(BOOK, format!("does not mention {id}")));
        }
    }
    faults
}

/// The parts of a file that are tests. What the file says about itself (`//!`) names no test.
fn test_text(file: &File) -> String {
    let code = Parts::of(&file.text).code;
    let text = if file.is_test() {
        file.text.clone()
    } else {
        source::test_sections(&code)
            .into_iter()
            .map(|section| &file.text[section])
            .collect::<Vec<_>>()
            .join("\n")
    };
    let has_tests = ["#[test]", "::test]", "proptest!"]
        .iter()
        .any(|mark| text.contains(mark));
    let lines = text
        .lines()
        .filter(|line| has_tests && !line.trim_start().starts_with("//!"));
    lines.collect::<Vec<_>>().join("\n")
}

/// True if `R5` stands alone, or as the beginning of a function's name (`fn r5_…`).
fn names(text: &str, id: &str) -> bool {
    let function = format!("fn {}_", id.to_lowercase());
    !source::find_words(text, id).is_empty() || text.contains(&function)
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    fn all() -> String {
        IDS.join(", ")
    }

    fn test_file(ids: &str) -> File {
        file(
            "consensus/tests/rules.rs",
            &format!("//! Rules.\n\n/// {ids}\n#[test]\nfn holds() {{}}\n"),
        )
    }

    #[test]
    fn ids_in_tests_and_in_the_book_are_enough() {
        assert_eq!(check(&[test_file(&all())], &[file(BOOK, &all())]), []);
        let section = format!(
            "fn a() {{}}\n#[cfg(test)]\nmod tests {{\n // {}\n #[test] fn b() {{}} }}",
            all()
        );
        assert_eq!(
            check(
                &[file("consensus/src/a.rs", &section)],
                &[file(BOOK, &all())]
            ),
            []
        );
    }

    #[test]
    fn each_missing_id_is_a_fault() {
        let without_r5 = all().replace("R5, ", "");
        let faults = check(&[test_file(&without_r5)], &[file(BOOK, &all())]);
        assert_eq!(
            faults
                .iter()
                .map(|fault| fault.place.as_str())
                .collect::<Vec<_>>(),
            ["R5"]
        );
        let faults = check(&[test_file(&all())], &[file(BOOK, &without_r5)]);
        assert_eq!(
            faults
                .iter()
                .map(|fault| fault.place.as_str())
                .collect::<Vec<_>>(),
            [BOOK]
        );
        assert_eq!(check(&[test_file(&all())], &[]).len(), 1);
    }

    #[test]
    fn ids_outside_of_tests_do_not_count() {
        let book = [file(BOOK, &all())];
        let header = file(
            "consensus/tests/rules.rs",
            &format!("//! {}\n#[test]\nfn a() {{}}", all()),
        );
        assert_eq!(check(&[header], &book).len(), IDS.len());
        assert_eq!(
            check(
                &[file("consensus/src/a.rs", &format!("// {}", all()))],
                &book
            )
            .len(),
            IDS.len()
        );
        assert_eq!(
            check(
                &[file("a/tests/no_test.rs", &format!("// {}", all()))],
                &book
            )
            .len(),
            IDS.len()
        );
        assert_eq!(
            check(
                &[file("xtask/src/tests.rs", &format!("#[test] // {}", all()))],
                &book
            )
            .len(),
            IDS.len()
        );
    }

    #[test]
    fn an_id_is_a_whole_word() {
        assert!(names("// R1: enters", "R1"));
        assert!(names("fn r1_enters_on_a_certificate() {}", "R1"));
        assert!(!names("// R11, R12 and 0xR1", "R1"));
    }
}
