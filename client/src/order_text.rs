//! An [`OrderedLane`] as JSON: what a member's answers are put together to, so that anyone can check it.

use crate::order::OrderedLane;
use outrider_finality::LaneProof;
use outrider_types::{Batch, Bytes, Payload, Registration, RollupId};
use serde::Deserialize;

/// Version of the form.
const ORDER_VERSION: u16 = 1;
/// Most bytes of the text: the largest block, twice in hex, and every registered rollup fit.
pub const ORDER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u16,
    proof: LaneProof,
    transactions: Vec<String>,
    registry: Vec<Registration>,
    payload: Option<Vec<BatchForm>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchForm {
    rollup: RollupId,
    transactions: Vec<String>,
}

/// Why a text is no such thing.
pub(crate) enum OrderTextError {
    /// Not of the form.
    Form(String),
    /// Of another version.
    Version(u16),
}

impl OrderedLane {
    pub(crate) fn from_json(text: &[u8]) -> Result<Self, OrderTextError> {
        let form: Form = serde_json::from_slice(text)
            .map_err(|error| OrderTextError::Form(error.to_string()))?;
        if form.version != ORDER_VERSION {
            return Err(OrderTextError::Version(form.version));
        }
        let batch = |batch: BatchForm| {
            let transactions = decoded(&batch.transactions)?;
            Ok(Batch {
                rollup: batch.rollup,
                transactions,
            })
        };
        let batches = form
            .payload
            .map(|batches| batches.into_iter().map(batch).collect());
        Ok(Self {
            proof: form.proof,
            transactions: decoded(&form.transactions)?,
            registry: form.registry.into_iter().collect(),
            payload: batches.transpose()?.map(|batches| Payload { batches }),
        })
    }
}

fn decoded(texts: &[String]) -> Result<Vec<Bytes>, OrderTextError> {
    let decode = |text: &String| {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        hex::decode(digits)
            .map(Bytes::from)
            .map_err(|error| OrderTextError::Form(format!("a transaction: {error}")))
    };
    texts.iter().map(decode).collect()
}
