//! A JSON value whose objects keep the order of their fields, so that the same facts always give the same bytes.

use outrider_types::{Epoch, Height, View};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

/// A field of an object: its name and what it holds.
pub type Field = (&'static str, Value);

/// What can stand in a line of `events.jsonl` or in a message's description.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// There is none.
    Null,
    /// Yes or no.
    Flag(bool),
    /// A count, an id or a time.
    Number(u64),
    /// A measure.
    Measure(f64),
    /// A name, an identity in hex, words.
    Text(String),
    /// Several.
    List(Vec<Value>),
    /// Named fields in a fixed order.
    Object(Vec<Field>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Measure(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                for one in list {
                    seq.serialize_element(one)?;
                }
                seq.end()
            }
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl Value {
    /// As JSON on one line.
    #[must_use]
    pub fn line(&self) -> String {
        // Serialising to a string fails only for keys that are not text, and there are none.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As JSON over several lines.
    #[must_use]
    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Measure(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<View> for Value {
    fn from(view: View) -> Self {
        Self::Number(view.0)
    }
}

impl From<Height> for Value {
    fn from(height: Height) -> Self {
        Self::Number(height.0)
    }
}

impl From<Epoch> for Value {
    fn from(epoch: Epoch) -> Self {
        Self::Number(epoch.0)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(option: Option<T>) -> Self {
        option.map_or(Self::Null, Into::into)
    }
}

/// Fields of an object: `fields!(view: 3, block: id)`.
macro_rules! fields {
    ($($name:ident: $value:expr),* $(,)?) => {
        vec![$((stringify!($name), $crate::record::value::Value::from($value))),*]
    };
}

pub(crate) use fields;
