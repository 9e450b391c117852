//! Reads a TOML document key by key and collects everything that is wrong with it, so that all faults are reported at once.

use super::keys::KEYS;
use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use toml::{Table, Value};

/// What is wrong with a document so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    problems: RefCell<Vec<String>>,
    /// Keys that the parser asked for, for the test that the table of keys is complete.
    #[cfg(test)]
    pub(super) asked: RefCell<std::collections::BTreeSet<String>>,
}

impl Log {
    /// One more problem at this place.
    pub(super) fn blame(&self, place: &str, reason: impl Display) {
        self.problems
            .borrow_mut()
            .push(format!("{place}: {reason}"));
    }

    /// All of them.
    pub(super) fn into_problems(self) -> Vec<String> {
        self.problems.into_inner()
    }
}

/// A table of the document of which keys are taken one by one.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    table: Table,
    /// Where it is, for messages: `fault[2].`, or nothing.
    place: String,
    /// Where it is in the table of keys: `fault.`, or nothing.
    section: String,
    log: &'a Log,
}

impl<'a> Reader<'a> {
    /// The whole document.
    pub(super) fn new(table: Table, log: &'a Log) -> Self {
        Self {
            table,
            place: String::new(),
            section: String::new(),
            log,
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        #[cfg(test)]
        self.log
            .asked
            .borrow_mut()
            .insert(format!("{}{key}", self.section));
        self.table.remove(key)
    }

    /// Whether a key is there and was not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of a key, if it is there and right.
    pub(super) fn get<T>(
        &mut self,
        key: &str,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take(key)?;
        match read(&value) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.blame(key, reason);
                None
            }
        }
    }

    /// The same for a key that must be there; `fallback` only serves to go on reading.
    pub(super) fn must<T>(
        &mut self,
        key: &str,
        fallback: T,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> T {
        if !self.has(key) {
            self.blame(key, "is missing");
        }
        self.get(key, read).unwrap_or(fallback)
    }

    /// Something is wrong with a key.
    pub(super) fn blame(&self, key: &str, reason: impl Display) {
        self.log.blame(&format!("{}{key}", self.place), reason);
    }

    /// A table in it; an empty one if it is not there.
    pub(super) fn section(&mut self, key: &str) -> Self {
        let table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.blame(
                    key,
                    format!("is {}; write it as a section [{key}]", article(&other)),
                );
                Table::new()
            }
        };
        self.inner(table, format!("{key}."), key)
    }

    /// The tables of a list in it.
    pub(super) fn sections(&mut self, key: &str) -> Vec<Self> {
        let list = match self.table.remove(key) {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.blame(
                    key,
                    format!("is {}; write each as [[{key}]]", article(&other)),
                );
                Vec::new()
            }
        };
        let mut readers = Vec::with_capacity(list.len());
        for (at, one) in list.into_iter().enumerate() {
            let place = format!("{key}[{at}]");
            match one {
                Value::Table(table) => readers.push(self.inner(table, place + ".", key)),
                other => {
                    let reason = format!("is {}; write it as [[{key}]]", article(&other));
                    self.blame(&place, reason);
                }
            }
        }
        readers
    }

    fn inner(&self, table: Table, place: String, key: &str) -> Self {
        Self {
            table,
            place,
            section: format!("{key}."),
            log: self.log,
        }
    }

    /// What was not taken does not belong here.
    pub(super) fn finish(self) {
        let here = |key: &str| {
            let rest = key.strip_prefix(self.section.as_str())?;
            (!rest.contains('.')).then(|| rest.to_owned())
        };
        let known: Vec<String> = KEYS.iter().filter_map(|key| here(key.key)).collect();
        for (key, _) in &self.table {
            if known.contains(key) {
                self.blame(key, "does not go with this kind; leave it out");
            } else {
                self.blame(
                    key,
                    format!("unknown key; known here are {}", known.join(", ")),
                );
            }
        }
    }
}

fn article(value: &Value) -> String {
    let kind = value.type_str();
    match kind {
        "array" | "integer" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

/// A text that `parse` understands.
pub(super) fn text<T>(
    parse: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&Value) -> Result<T, String> {
    move |value| match value {
        Value::String(text) => parse(text),
        other => Err(format!(
            "is {}, but must be a text in quotes",
            article(other)
        )),
    }
}

/// One of these words.
pub(super) fn word<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&Value) -> Result<T, String> {
    text(move |text| {
        let found = words.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is none of {}", names.join(", "))
        })
    })
}

/// A whole number.
pub(super) fn whole(range: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<u64, String> {
    move |value| {
        let number = match value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            other => return Err(format!("is {}, but must be a whole number", article(other))),
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                format!(
                    "is {value}, but must be from {} to {}",
                    range.start(),
                    range.end()
                )
            })
    }
}

/// A whole number that counts things.
pub(super) fn count(range: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<usize, String> {
    let read = whole(range);
    move |value| read(value).and_then(|number| usize::try_from(number).map_err(|e| e.to_string()))
}

/// A number.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(&Value) -> Result<f64, String> {
    move |value| {
        #[allow(clippy::cast_precision_loss, reason = "the range is far below 2^53")]
        let number = match value {
            Value::Float(number) => *number,
            Value::Integer(number) => *number as f64,
            other => return Err(format!("is {}, but must be a number", article(other))),
        };
        // A number that is not one is in no range.
        if range.contains(&number) {
            Ok(number)
        } else {
            Err(format!(
                "is {value}, but must be from {} to {}",
                range.start(),
                range.end()
            ))
        }
    }
}

/// `true` or `false`.
pub(super) fn flag(value: &Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| format!("is {}, but must be true or false", article(value)))
}

/// A list.
pub(super) fn list<T>(
    read: impl Fn(&Value) -> Result<T, String>,
) -> impl Fn(&Value) -> Result<Vec<T>, String> {
    move |value| match value {
        Value::Array(list) => list.iter().map(&read).collect(),
        other => Err(format!("is {}, but must be a list", article(other))),
    }
}
