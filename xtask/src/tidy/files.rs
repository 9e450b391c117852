//! Every Rust file says in its first line what it is for, and stays small enough to be read at one sitting.

use super::Fault;
use super::tree::File;

const LINES_MAX: usize = 600;

/// Files that are too long (tests may be longer) or do not open with `//!`.
pub fn check(files: &[File]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in files {
        let lines = file.text.lines().count();
        if lines > LINES_MAX && !file.is_test() {
            faults.push(Fault::new(
                &file.path,
                format!("has {lines} lines, at most {LINES_MAX}: split it by subject"),
            ));
        }
        if !says_what_it_is_for(&file.text) {
            faults.push(Fault::at_line(
                &file.path,
                1,
                "must open with `//!` and say what the file is for",
            ));
        }
    }
    faults
}

fn says_what_it_is_for(text: &str) -> bool {
    let shebang = text.starts_with("#!") && !text.starts_with("#![");
    let first = text.lines().nth(usize::from(shebang)).unwrap_or_default();
    first
        .strip_prefix("//!")
        .is_some_and(|words| !words.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed_and_one_more_is_not() {
        let lines = |count: usize| format!("//! A file.\n{}", "\n".repeat(count - 1));
        assert_eq!(check(&[file("a/src/b.rs", &lines(LINES_MAX))]), []);
        assert_eq!(check(&[file("a/src/b.rs", &lines(LINES_MAX + 1))]).len(), 1);
        assert_eq!(check(&[file("a/tests/b.rs", &lines(LINES_MAX + 1))]), []);
        assert_eq!(
            check(&[file("a/src/b/tests.rs", &lines(LINES_MAX + 1))]),
            []
        );
    }

    #[test]
    fn the_first_line_says_what_the_file_is_for() {
        assert_eq!(
            check(&[file("a.rs", "#!/usr/bin/env cargo\n//! Words.\n")]),
            []
        );
        for text in [
            "",
            "//!\n",
            "// Words.\n",
            "\n//! Late.\n",
            "#![allow(dead_code)]\n//! Late.\n",
            "fn a() {}",
        ] {
            assert_eq!(check(&[file("a.rs", text)]).len(), 1, "{text:?}");
        }
    }
}
