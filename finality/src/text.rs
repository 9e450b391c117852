//! Reading and writing the JSON files of this crate.

use crate::proof::{first_difference, offset_of};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a text is not the file that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Larger than any such file.
    #[error("{bytes} bytes, such a file has at most {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Not the JSON of such a file.
    #[error("not the JSON of such a file, near byte {offset}: {reason}")]
    NotJson {
        /// About where, from 0.
        offset: usize,
        /// What the parser says.
        reason: String,
    },
    /// It can be read, but was written by something else or changed.
    #[error(
        "not the canonical text of this file, first at byte {offset}: it was reformatted or changed"
    )]
    NotCanonical {
        /// The first byte that differs, from 0.
        offset: usize,
    },
}

/// Two spaces a level, fields in declaration order, a newline at the end.
#[must_use]
pub fn canonical(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value);
    assert!(
        text.is_ok(),
        "these files have no map and no value that JSON cannot hold"
    );
    let mut text = text.unwrap_or_default();
    text.push('\n');
    text
}

/// A text laid out in any way.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, TextError> {
    if bytes.len() > limit {
        return Err(TextError::TooLarge {
            bytes: bytes.len(),
            limit,
        });
    }
    serde_json::from_slice(bytes).map_err(|error| TextError::NotJson {
        offset: offset_of(bytes, error.line(), error.column()),
        reason: error.to_string(),
    })
}

/// A text that is the canonical one, byte for byte.
pub fn read_canonical<T: DeserializeOwned + Serialize>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, TextError> {
    let value = read(bytes, limit)?;
    match first_difference(bytes, canonical(&value).as_bytes()) {
        Some(offset) => Err(TextError::NotCanonical { offset }),
        None => Ok(value),
    }
}
