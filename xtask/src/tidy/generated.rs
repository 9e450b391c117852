//! The tables of docs/reference.md and docs/simulation.md, and the whole of docs/openrpc.json, equal what the code prints.
//!
//! Between `<!-- generated: outrider docs config -->` and `<!-- end -->` stands exactly what that command prints.

use super::Fault;
use crate::command;
use std::path::Path;

/// A document and the commands whose output it must hold.
struct Document {
    path: &'static str,
    commands: &'static [&'static str],
}

const DOCUMENTS: [Document; 2] = [
    Document {
        path: "docs/reference.md",
        commands: &[
            "outrider docs config",
            "outrider docs metrics",
            "outrider docs rpc",
        ],
    },
    Document {
        path: "docs/simulation.md",
        commands: &[
            "outrider docs sim-scenario",
            "outrider docs sim-deeds",
            "outrider docs sim-checkers",
            "outrider docs sim-marks",
            "outrider docs sim-zoo",
            "outrider docs sim-columns",
            "outrider docs sim-events",
        ],
    },
];

/// Documents that are printed as a whole, and the command that prints each.
const WHOLE: [(&str, &str); 1] = [("docs/openrpc.json", "outrider docs openrpc")];

const OPEN: &str = "<!-- generated: ";
const OPEN_END: &str = " -->";
const CLOSE: &str = "<!-- end -->";

/// Compares the documents with the code, or rewrites them.
pub fn run(root: &Path, fix: bool) -> Result<Vec<Fault>, String> {
    let mut faults = Vec::new();
    for document in &DOCUMENTS {
        faults.extend(check(root, document, fix)?);
    }
    for (path, words) in WHOLE {
        faults.extend(check_whole(root, path, words, fix)?);
    }
    Ok(faults)
}

fn check_whole(root: &Path, path: &str, words: &str, fix: bool) -> Result<Vec<Fault>, String> {
    let place = root.join(path);
    let printed = print(words)?;
    if printed.trim().is_empty() {
        return Ok(vec![Fault::new(path, format!("`{words}` prints nothing"))]);
    }
    // One that is missing is as one that is stale.
    if std::fs::read_to_string(&place).is_ok_and(|text| text == printed) {
        return Ok(Vec::new());
    }
    if fix {
        std::fs::write(&place, &printed)
            .map_err(|error| format!("cannot write {}: {error}", place.display()))?;
        println!("rewrote {path}");
        return Ok(Vec::new());
    }
    let what = format!("differs from what `{words}` prints; to rewrite: cargo xtask tidy --fix");
    Ok(vec![Fault::new(path, what)])
}

fn check(root: &Path, document: &Document, fix: bool) -> Result<Vec<Fault>, String> {
    let path = root.join(document.path);
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(vec![Fault::new(
            document.path,
            "is missing: it holds tables that the code prints",
        )]);
    };
    let (fixed, faults) = compare(document, &text, print)?;
    if !fix {
        return Ok(faults);
    }
    if fixed != text {
        std::fs::write(&path, &fixed)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("rewrote {}", document.path);
    }
    compare(document, &fixed, print).map(|(_, faults)| faults)
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
    document: &Document,
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
                document.path,
                line,
                format!("this block is not closed by `{CLOSE}`"),
            ));
            break;
        };
        fixed.push_str(&rest[..open]);
        if document.commands.contains(&words) {
            let printed = print(words)?;
            if printed.trim().is_empty() {
                faults.push(Fault::at_line(
                    document.path,
                    line,
                    format!("`{words}` prints nothing"),
                ));
            } else if printed.trim() != body.trim() {
                let what = format!(
                    "differs from what `{words}` prints; to rewrite: cargo xtask tidy --fix"
                );
                faults.push(Fault::at_line(document.path, line, what));
            }
            fixed.push_str(&format!(
                "{OPEN}{words}{OPEN_END}\n\n{}\n\n{CLOSE}",
                printed.trim()
            ));
            seen.push(words);
        } else {
            faults.push(Fault::at_line(
                document.path,
                line,
                format!("`{words}` is not one of {:?}", document.commands),
            ));
            fixed.push_str(&format!("{OPEN}{words}{OPEN_END}{body}{CLOSE}"));
        }
        rest = next;
    }
    fixed.push_str(rest);
    let absent = document
        .commands
        .iter()
        .filter(|command| !seen.contains(command));
    faults.extend(absent.map(|command| {
        Fault::new(
            document.path,
            format!("has no block `{OPEN}{command}{OPEN_END}`"),
        )
    }));
    Ok((fixed, faults))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &Document = &DOCUMENTS[0];

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
            DOCUMENT.commands.iter().map(block).collect::<String>()
        )
    }

    #[test]
    fn equal_tables_are_left_alone() {
        let text = document(|command| format!("| table of {command} |"));
        assert_eq!(
            compare(DOCUMENT, &text, printed),
            Ok((text.clone(), Vec::new()))
        );
    }

    #[test]
    fn a_stale_table_is_a_fault_and_is_rewritten() {
        let stale = document(|_| "| old |".to_owned());
        let (fixed, faults) = compare(DOCUMENT, &stale, printed).unwrap();
        assert_eq!(faults.len(), DOCUMENT.commands.len());
        assert!(
            faults[0]
                .to_string()
                .starts_with("docs/reference.md:3: differs"),
            "{}",
            faults[0]
        );
        assert_eq!(fixed, document(|command| format!("| table of {command} |")));
        assert_eq!(compare(DOCUMENT, &fixed, printed).unwrap().1, []);
    }

    #[test]
    fn a_missing_open_or_foreign_block_is_a_fault_and_loses_no_text() {
        let (fixed, faults) = compare(DOCUMENT, "# Nothing\n", printed).unwrap();
        assert_eq!(
            (fixed.as_str(), faults.len()),
            ("# Nothing\n", DOCUMENT.commands.len())
        );
        let open = format!("a {OPEN}outrider docs rpc{OPEN_END} b");
        let (fixed, faults) = compare(DOCUMENT, &open, printed).unwrap();
        assert_eq!((fixed, faults.len()), (open, DOCUMENT.commands.len() + 1));
        let foreign = format!("a {OPEN}rm -r{OPEN_END} b {CLOSE} c");
        let (fixed, faults) = compare(DOCUMENT, &foreign, printed).unwrap();
        assert_eq!(
            (fixed, faults.len()),
            (foreign, DOCUMENT.commands.len() + 1)
        );
    }

    #[test]
    fn a_command_that_fails_or_prints_nothing_is_not_a_pass() {
        let text = document(|_| String::new());
        assert!(compare(DOCUMENT, &text, |_| Err("no such command".to_owned())).is_err());
        assert_eq!(
            compare(DOCUMENT, &text, |_| Ok("\n".to_owned()))
                .unwrap()
                .1
                .len(),
            DOCUMENT.commands.len()
        );
    }
}
