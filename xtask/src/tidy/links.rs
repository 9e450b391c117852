//! Links in Markdown files point to files of the repository that exist.

use super::Fault;
use super::source;
use super::tree::File;

/// Links to files that do not exist, according to `exists` (a path from the root of the repository).
pub fn check(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in files {
        for (line, target) in targets(&file.text) {
            match resolve(&file.path, &target) {
                Some(path) if exists(&path) => {}
                Some(path) => faults.push(Fault::at_line(
                    &file.path,
                    line,
                    format!("links to {path}, which is not there"),
                )),
                None => faults.push(Fault::at_line(
                    &file.path,
                    line,
                    format!("`{target}` leads out of the repository"),
                )),
            }
        }
    }
    faults
}

/// Lines and targets of the links to files: `[a](b)`, `![a](b)`, `[a]: b`, `src="b"`.
fn targets(text: &str) -> Vec<(usize, String)> {
    let text = without_code(text);
    let mut found: Vec<(usize, String)> = Vec::new();
    for (open, close) in [
        ("](", ')'),
        ("]: ", '\n'),
        ("src=\"", '"'),
        ("href=\"", '"'),
    ] {
        for (at, _) in text.match_indices(open) {
            let rest = &text[at + open.len()..];
            let end = rest.find(close).unwrap_or(rest.len());
            let target = rest[..end].split_whitespace().next().unwrap_or_default();
            let target = target
                .trim_matches(['<', '>'])
                .split('#')
                .next()
                .unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push((source::line_of(&text, at), target.to_owned()));
            }
        }
    }
    found.sort();
    found
}

/// The text with fenced blocks emptied and `code` removed; lines keep their numbers.
fn without_code(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            fenced = !fenced;
        } else if !fenced {
            out.extend(line.split('`').step_by(2));
        }
        out.push('\n');
    }
    out
}

/// The path from the root of the repository, or nothing if it leads out of it.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if target.starts_with('/') {
        return None;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        let there = ["README.md", "docs/protocol.md", "docs/flow.svg", "docs"];
        check(&[file(path, text)], |path| there.contains(&path))
            .iter()
            .map(Fault::to_string)
            .collect()
    }

    #[test]
    fn links_to_files_that_exist_and_to_the_web_are_allowed() {
        let text = "[a](docs/protocol.md) ![b](docs/flow.svg \"title\") [c](https://example.org/x) [d](#here)\n\
            [e](docs/protocol.md#rules) [f](./docs/) `[g](nowhere)` [h]\n```\n[i](nowhere)\n```\n[h]: docs/protocol.md\n\
            <img src=\"docs/flow.svg\"> <mailto:a@b.c> [j](mailto:a@b.c)\n";
        assert_eq!(faults("README.md", text), Vec::<String>::new());
        assert_eq!(
            faults("docs/protocol.md", "[up](../README.md) [same](flow.svg)"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn links_to_nothing_are_faults_with_their_line() {
        assert_eq!(
            faults("README.md", "a\n\n[b](docs/none.md)"),
            ["README.md:3: links to docs/none.md, which is not there"]
        );
        assert_eq!(faults("docs/protocol.md", "[a](README.md)").len(), 1);
        assert_eq!(
            faults("README.md", "[a]: none.md\n<img src=\"none.svg\">").len(),
            2
        );
        assert_eq!(faults("README.md", "```\n```\n[a](none.md)").len(), 1);
        assert_eq!(
            faults("README.md", "[a](../other/x.md) [b](/etc/passwd)").len(),
            2
        );
    }
}
