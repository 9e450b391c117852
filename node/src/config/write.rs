//! The table of options as a file with comments, and as a table for the docs.

use super::options::{Kind, OPTIONS, Opt};
use std::fmt::Write as _;

fn literal(option: &Opt, value: &str) -> String {
    match option.kind {
        Kind::Flag(_) => value.to_owned(),
        ref kind if kind.is_number() => value.to_owned(),
        _ => toml::Value::String(value.to_owned()).to_string(),
    }
}

/// A configuration file with a comment for every key. The given ones (`section.key`, value) are set, the others stand
/// there with their defaults, commented out, so that better defaults of later versions take effect.
#[must_use]
pub fn to_toml(given: &[(&str, String)]) -> String {
    for (key, _) in given {
        assert!(
            OPTIONS.iter().any(|option| option.key == *key),
            "{key} is an option"
        );
    }
    let mut out = String::from(
        "# Configuration of an Outrider member. Later ones win: default, this file, the environment\n# (OUTRIDER_SECTION_KEY), --set section.key=value. Unknown keys are errors.\n",
    );
    let mut section = "";
    for option in OPTIONS {
        let (table, name) = option.key.rsplit_once('.').unwrap_or(("", option.key));
        if table != section {
            let _ = write!(out, "\n[{table}]\n");
            section = table;
        }
        let Opt { help, unit, .. } = option;
        let unit = match *unit {
            "" => String::new(),
            unit => format!(" In {unit}."),
        };
        let _ = writeln!(out, "# {help}{unit} ({})", option.kind.describe());
        let _ = match given.iter().find(|(key, _)| *key == option.key) {
            Some((_, value)) => writeln!(out, "{name} = {}", literal(option, value)),
            None => writeln!(out, "#{name} = {}", literal(option, option.default)),
        };
    }
    out
}

/// The table of `outrider docs config`.
#[must_use]
pub fn to_markdown() -> String {
    let mut out = String::from(
        "| key | environment | values | default | unit | meaning |\n|---|---|---|---|---|---|\n",
    );
    for option in OPTIONS {
        let Opt {
            key,
            default,
            unit,
            help,
            ..
        } = option;
        let _ = writeln!(
            out,
            "| `{key}` | `{}` | {} | `{default}` | {unit} | {help} |",
            option.variable(),
            option.kind.describe(),
        );
    }
    out
}
