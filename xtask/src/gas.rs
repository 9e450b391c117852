//! `cargo xtask contracts --gas`: the kept gas of whole transactions (`contracts/gas/Transactions.json`) as a table, beside what was
//! planned. `cargo xtask contracts --check` fails when the kept figures are not those of the contracts.

use crate::command;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

const KEPT: &str = "contracts/gas/Transactions.json";
/// Sizes of committees that are measured.
const MEMBERS: [&str; 4] = ["004", "016", "064", "100"];
/// Measured with prototypes before the contracts were written.
const PLANNED: [(&str, [&str; 4]); 2] = [
    ("settle", ["62,700", "98,700", "242,000", "350,000"]),
    ("report of two votes", ["419,000"; 4]),
];

/// Prints the table.
pub fn print() -> Result<(), String> {
    let path = command::root().join(KEPT);
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {KEPT}: {error}"))?;
    let kept: BTreeMap<String, String> = serde_json::from_str(&text)
        .map_err(|error| format!("{KEPT} is no table of gas: {error}"))?;
    print!("{}", table(&kept));
    Ok(())
}

/// Calls by the number of members, and after them those that do not depend on it.
fn table(kept: &BTreeMap<String, String>) -> String {
    let mut sized: BTreeMap<&str, [String; 4]> = BTreeMap::new();
    let mut others = String::new();
    for (name, gas) in kept {
        let sizes = name.rsplit_once(", n = ").and_then(|(call, n)| {
            let column = MEMBERS.iter().position(|members| *members == n)?;
            Some((call, column))
        });
        let Some((call, column)) = sizes else {
            let _ = writeln!(others, "| {name} | {} |", grouped(gas));
            continue;
        };
        let (call, signatures) = match call.rsplit_once(", ") {
            Some((call, count)) => (call, format!(" ({count})")),
            None => (call, String::new()),
        };
        sized.entry(call).or_default()[column] =
            grouped(gas) + &signatures.replace(" signatures", "");
    }
    let mut out =
        "| gas (signatures) | n = 4 | n = 16 | n = 64 | n = 100 |\n|---|---|---|---|---|\n"
            .to_owned();
    for (call, cells) in &sized {
        let _ = writeln!(out, "| {call} | {} |", cells.join(" | "));
        if let Some((_, planned)) = PLANNED.iter().find(|(planned, _)| planned == call) {
            let _ = writeln!(out, "| {call}, planned | {} |", planned.join(" | "));
        }
    }
    out + "\n| gas | |\n|---|---|\n" + &others
}

/// `1234567` as `1,234,567`.
fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_stand_in_the_column_of_their_members() {
        let kept = [
            ("settle, 3 signatures, n = 004", "61000"),
            ("settle, 67 signatures, n = 100", "350000"),
            ("snapshot, n = 016", "1234567"),
            ("execute", "900"),
        ];
        let kept = kept.map(|(name, gas)| (name.to_owned(), gas.to_owned()));
        let table = table(&kept.into());
        for line in [
            "| settle | 61,000 (3) |  |  | 350,000 (67) |",
            "| settle, planned | 62,700 | 98,700 | 242,000 | 350,000 |",
            "| snapshot |  | 1,234,567 |  |  |",
            "| execute | 900 |",
        ] {
            assert!(
                table.lines().any(|found| found == line),
                "{line}\nin\n{table}"
            );
        }
    }
}
