//! The tables of docs/simulation.md, printed from the tables that the simulator runs on.

use outrider_sim::adversary::DEEDS;
use outrider_sim::checkers::CHECKERS;
use outrider_sim::marks::MARKS;
use outrider_sim::record::{FACTS, MESSAGES};
use outrider_sim::scenario::KEYS;
use outrider_sim::sweep::COLUMNS;
use outrider_types::zoo::Mutant;

/// A Markdown table. A bar in a cell would end it.
fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let mut out = line(&head);
    out.push_str(&line(&vec!["---".to_owned(); head.len()]));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        out.push_str(&line(&cells));
    }
    out
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

pub fn scenario() -> String {
    let rows = KEYS.iter().map(|key| {
        vec![
            code(key.key),
            key.kind.to_owned(),
            key.default.to_owned(),
            key.help.to_owned(),
        ]
    });
    table(&["key", "type", "default", "meaning"], rows)
}

pub fn deeds() -> String {
    let rows = DEEDS
        .iter()
        .map(|(name, about)| vec![code(name), (*about).to_owned()]);
    table(&["deed", "what it does"], rows)
}

pub fn checkers() -> String {
    let rows = CHECKERS.iter().map(|(id, class, about)| {
        let class = format!("{class:?}, exit code {}", class.exit_code()).to_lowercase();
        vec![(*id).to_owned(), class, (*about).to_owned()]
    });
    table(&["id", "kind", "promise"], rows)
}

pub fn marks() -> String {
    let rows = MARKS
        .iter()
        .map(|(_, name, about)| vec![code(name), (*about).to_owned()]);
    table(&["state", "reached when"], rows)
}

pub fn zoo() -> String {
    let rows = Mutant::ALL.into_iter().map(|mutant| {
        vec![
            mutant.number().to_string(),
            code(mutant.name()),
            mutant.broken().to_owned(),
            mutant.killer().to_owned(),
            mutant.needs().to_owned(),
        ]
    });
    table(
        &["no", "mutant", "what is broken", "killed by", "seen with"],
        rows,
    )
}

pub fn columns() -> String {
    let rows = COLUMNS.iter().map(|column| {
        vec![
            code(column.name),
            column.unit.to_owned(),
            column.about.to_owned(),
        ]
    });
    table(&["column", "unit", "meaning"], rows)
}

pub fn events() -> String {
    let fields = |fields: &[(&str, &str)]| {
        let each = fields.iter().map(|(name, about)| {
            if about.is_empty() {
                code(name)
            } else {
                format!("{} ({about})", code(name))
            }
        });
        each.collect::<Vec<_>>().join(", ")
    };
    let facts = FACTS
        .iter()
        .map(|(name, list)| vec![code(name), fields(list)]);
    let messages = MESSAGES
        .iter()
        .map(|(name, list)| vec![code(name), fields(list)]);
    format!(
        "{}\n{}",
        table(&["fact", "fields"], facts),
        table(&["message", "fields of `message`"], messages)
    )
}
