//! The tables of docs/reference.md equal what the code prints.
//!
//! Between `<!-- generated: outrider docs config -->` and `<!-- end -->` stands exactly what that command prints.

use super::Fault;
use crate::command;
use std::path::Path;

const DOCUMENT: &str = "docs/reference.md";
const COMMANDS: [&str; 3] = [
    "outrider docs config",
    "outrider docs metrics",
    "outrider docs rpc",
];

const OPEN: &str = "<!-- generated: ";
const OPEN_END: &str = " -->";
const CLOSE: &str = "<!-- end -->";

/// Compares the document with the code, or rewrites it.
pub fn run(root: &Path, fix: bool) -> Result<Vec<Fault>, String> {
    let path = root.join(DOCUMENT);
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(vec![Fault::new(
            DOCUMENT,
            "is missing: it holds the generated tables of config, metrics and API",
        )]);
    };
    let (fixed, faults) = compare(&text, print)?;
    if !fix {
        return Ok(faults);
    }
    if fixed != text {
        std::fs::write(&path, &fixed)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("rewrote {DOCUMENT}");
    }
    compare(&fixed, print).map(|(_, faults)| faults)
}

/// What one of our commands prints, from this source.
fn print(words: &str) -> Result<String, String> {
    let mut arguments = vec![
        "run",
        "--quiet",
        "--locked",
        "--package",
        "outrider-cli",
        "--bin",
        "outrider",
        "--",
    ];
    arguments.extend(words.split(' ').skip(1));
    command::output(command::cargo(&arguments))
}

/// The document with every block replaced by what its command prints, and the faults of the document as it is.
fn compare(
    text: &str,
    print: impl Fn(&str) -> Result<String, String>,
) -> Result<(String, Vec<Fault>), String> {
    let mut faults = Vec::new();
    let mut fixed = String::with_capacity(text.len());
    let mut seen = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(OPEN) {
        let line = super::source::line_of(text, text.len() - rest.len() + open);
        let after = &rest[open + OPEN.len()..];
        let block = after
            .split_once(OPEN_END)
            .and_then(|(words, body)| Some((words, body.split_once(CLOSE)?)));
        let Some((words, (body, next))) = block.filter(|(_, (body, _))| !body.contains(OPEN))
        else {
            faults.push(Fault::at_line(
                DOCUMENT,
                line,
                format!("this block is not closed by `{CLOSE}`"),
            ));
            break;
        };
        fixed.push_str(&rest[..open]);
        if COMMANDS.contains(&words) {
            let printed = print(words)?;
            if printed.trim().is_empty() {
                faults.push(Fault::at_line(
                    DOCUMENT,
                    line,
                    format!("`{words}` prints nothing"),
                ));
            } else if printed.trim() != body.trim() {
                let what = format!(
                    "differs from what `{words}` prints; to rewrite: cargo xtask tidy --fix"
                );
                faults.push(Fault::at_line(DOCUMENT, line, what));
            }
            fixed.push_str(&format!(
                "{OPEN}{words}{OPEN_END}\n\n{}\n\n{CLOSE}",
                printed.trim()
            ));
            seen.push(words);
        } else {
            faults.push(Fault::at_line(
                DOCUMENT,
                line,
                format!("`{words}` is not one of {COMMANDS:?}"),
            ));
            fixed.push_str(&format!("{OPEN}{words}{OPEN_END}{body}{CLOSE}"));
        }
        rest = next;
    }
    fixed.push_str(rest);
    let absent = COMMANDS.iter().filter(|command| !seen.contains(command));
    faults.extend(absent.map(|command| {
        Fault::new(
            DOCUMENT,
            format!("has no block `{OPEN}{command}{OPEN_END}`"),
        )
    }));
    Ok((fixed, faults))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(words: &str) -> Result<String, String> {
        Ok(format!("| table of {words} |\n"))
    }

    fn document(change: impl Fn(&str) -> String) -> String {
        let block = |command: &&str| {
            format!(
                "{OPEN}{command}{OPEN_END}\n\n{}\n\n{CLOSE}\n",
                change(command)
            )
        };
        format!(
            "# Reference\n\n{}\nThe end.\n",
            COMMANDS.iter().map(block).collect::<String>()
        )
    }

    #[test]
    fn equal_tables_are_left_alone() {
        let text = document(|command| format!("| table of {command} |"));
        assert_eq!(compare(&text, printed), Ok((text.clone(), Vec::new())));
    }

    #[test]
    fn a_stale_table_is_a_fault_and_is_rewritten() {
        let stale = document(|_| "| old |".to_owned());
        let (fixed, faults) = compare(&stale, printed).unwrap();
        assert_eq!(faults.len(), COMMANDS.len());
        assert!(
            faults[0]
                .to_string()
                .starts_with("docs/reference.md:3: differs"),
            "{}",
            faults[0]
        );
        assert_eq!(fixed, document(|command| format!("| table of {command} |")));
        assert_eq!(compare(&fixed, printed).unwrap().1, []);
    }

    #[test]
    fn a_missing_open_or_foreign_block_is_a_fault_and_loses_no_text() {
        let (fixed, faults) = compare("# Nothing\n", printed).unwrap();
        assert_eq!(
            (fixed.as_str(), faults.len()),
            ("# Nothing\n", COMMANDS.len())
        );
        let open = format!("a {OPEN}outrider docs rpc{OPEN_END} b");
        let (fixed, faults) = compare(&open, printed).unwrap();
        assert_eq!((fixed, faults.len()), (open, COMMANDS.len() + 1));
        let foreign = format!("a {OPEN}rm -r{OPEN_END} b {CLOSE} c");
        let (fixed, faults) = compare(&foreign, printed).unwrap();
        assert_eq!((fixed, faults.len()), (foreign, COMMANDS.len() + 1));
    }

    #[test]
    fn a_command_that_fails_or_prints_nothing_is_not_a_pass() {
        let text = document(|_| String::new());
        assert!(compare(&text, |_| Err("no such command".to_owned())).is_err());
        assert_eq!(
            compare(&text, |_| Ok("\n".to_owned())).unwrap().1.len(),
            COMMANDS.len()
        );
    }
}
