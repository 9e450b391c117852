//! Bundles: transactions of several rollups that are ordered in one block, or not at all.
//!
//! Each part is a transaction of its rollup whose data begins with 44 bytes that name the bundle:
//!
//! ```text
//! "OUTRBNDL" || bundle id [32] || parts u16 || which of them, from 0, u16 || data
//! bundle id = sha256("OUTRBNDL" || parts u16 || (rollup u64 || sha256(data)) of each part)
//! ```
//!
//! So a block shows by itself whether each bundle in it is whole, and a block in which one is not is invalid (F15). Whoever executes
//! a lane leaves these bytes away ([`inner`]).

use crate::codec::hex_id;
use crate::crypto::sha256;
use crate::ids::RollupId;
use crate::payload::{Payload, Transaction};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Most parts of a bundle.
pub const PARTS_MAX: usize = 16;
/// What a part begins with.
const MAGIC: &[u8; 8] = b"OUTRBNDL";
/// Bytes in front of a part's data.
pub const HEAD_BYTES: usize = 8 + 32 + 2 + 2;

hex_id! {
    /// SHA-256 over the rollups and data of a bundle's parts.
    BundleId
}

/// A part, as its head describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Of which bundle.
    pub bundle: BundleId,
    /// How many parts that has.
    pub parts: u16,
    /// Which of them, from 0.
    pub index: u16,
    /// The data of the rollup.
    pub inner: &'a [u8],
}

/// Data that begins as a part does, and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the transaction begins with the 8 bytes OUTRBNDL of a part of a bundle, and is none: a bundle has 2 to {PARTS_MAX} parts; use outrider_submitBundle"
)]
pub struct MalformedPart;

impl<'a> Part<'a> {
    /// The part that a transaction's data is; none if it does not begin as one.
    pub fn of(data: &'a [u8]) -> Result<Option<Self>, MalformedPart> {
        let Some(rest) = data.strip_prefix(MAGIC) else {
            return Ok(None);
        };
        let head = || {
            let (bundle, rest) = rest.split_first_chunk::<32>()?;
            let (parts, rest) = rest.split_first_chunk::<2>()?;
            let (index, inner) = rest.split_first_chunk::<2>()?;
            Some(Self {
                bundle: BundleId(*bundle),
                parts: u16::from_be_bytes(*parts),
                index: u16::from_be_bytes(*index),
                inner,
            })
        };
        let fits = |part: &Self| {
            (2..=PARTS_MAX).contains(&usize::from(part.parts)) && part.index < part.parts
        };
        head().filter(fits).map(Some).ok_or(MalformedPart)
    }
}

/// The data of the rollup: without the head, if it is a part of a bundle.
#[must_use]
pub fn inner(data: &[u8]) -> &[u8] {
    match Part::of(data) {
        Ok(Some(part)) => part.inner,
        _ => data,
    }
}

/// The transactions that make these one bundle; none if there are fewer than 2 or more than [`PARTS_MAX`].
#[must_use]
pub fn wrap(parts: &[(RollupId, Bytes)]) -> Option<(BundleId, Vec<Transaction>)> {
    if !(2..=PARTS_MAX).contains(&parts.len()) {
        return None;
    }
    let digests: Vec<_> = parts
        .iter()
        .map(|(rollup, data)| (*rollup, sha256(&[data])))
        .collect();
    let bundle = bundle_id(&digests);
    let count = u16::try_from(parts.len()).ok()?;
    let wrapped = (0..count)
        .zip(parts)
        .map(|(index, (rollup, data))| Transaction {
            rollup: *rollup,
            data: [
                &MAGIC[..],
                &bundle.0,
                &count.to_be_bytes(),
                &index.to_be_bytes(),
                data,
            ]
            .concat()
            .into(),
        });
    Some((bundle, wrapped.collect()))
}

fn bundle_id(parts: &[(RollupId, [u8; 32])]) -> BundleId {
    let count = u16::try_from(parts.len()).unwrap_or(u16::MAX);
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&count.to_be_bytes());
    for (rollup, digest) in parts {
        bytes.extend_from_slice(&rollup.0.to_be_bytes());
        bytes.extend_from_slice(digest);
    }
    BundleId(sha256(&[&bytes]))
}

/// Bundles of which these transactions hold some parts and not all, or parts that are not theirs. What is malformed counts as a bundle
/// of its own.
#[must_use]
pub fn incomplete<'a>(
    transactions: impl Iterator<Item = (RollupId, &'a [u8])>,
) -> BTreeSet<BundleId> {
    type Parts = BTreeMap<u16, (RollupId, [u8; 32])>;
    let mut bundles: BTreeMap<BundleId, (u16, Parts)> = BTreeMap::new();
    let mut broken = BTreeSet::new();
    for (rollup, data) in transactions {
        match Part::of(data) {
            Ok(None) => {}
            Ok(Some(part)) => {
                let (parts, found) = bundles
                    .entry(part.bundle)
                    .or_insert_with(|| (part.parts, BTreeMap::new()));
                let digest = sha256(&[part.inner]);
                let twice = found.insert(part.index, (rollup, digest)).is_some();
                if twice || *parts != part.parts {
                    broken.insert(part.bundle);
                }
            }
            Err(MalformedPart) => {
                broken.insert(BundleId(sha256(&[data])));
            }
        }
    }
    for (bundle, (parts, found)) in bundles {
        let found: Vec<_> = found.into_values().collect();
        if found.len() != usize::from(parts) || bundle_id(&found) != bundle {
            broken.insert(bundle);
        }
    }
    broken
}

/// F15: the first bundle of a payload that is not whole.
#[must_use]
pub fn fault(payload: &Payload) -> Option<BundleId> {
    let all = payload.batches.iter().flat_map(|batch| {
        let data = batch.transactions.iter();
        data.map(|data| (batch.rollup, &**data))
    });
    incomplete(all).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Batch;
    use proptest::prelude::*;

    fn parts(count: u64) -> Vec<(RollupId, Bytes)> {
        let part = |at: u64| (RollupId(1 + at % 3), Bytes::from(format!("part {at}")));
        (0..count).map(part).collect()
    }

    fn pairs(list: &[Transaction]) -> impl Iterator<Item = (RollupId, &[u8])> {
        list.iter().map(|one| (one.rollup, &*one.data))
    }

    #[test]
    fn whole_bundles_are_whole_and_their_data_is_what_went_in() {
        for count in 2..=PARTS_MAX as u64 {
            let (bundle, wrapped) = wrap(&parts(count)).unwrap();
            assert!(incomplete(pairs(&wrapped)).is_empty());
            for (one, (rollup, data)) in wrapped.iter().zip(parts(count)) {
                assert_eq!((one.rollup, inner(&one.data)), (rollup, &*data));
                assert_eq!(one.data.len(), HEAD_BYTES + data.len());
            }
            for missing in 0..wrapped.len() {
                let mut some = wrapped.clone();
                some.remove(missing);
                assert_eq!(incomplete(pairs(&some)), BTreeSet::from([bundle]));
            }
            let mut other = wrapped.clone();
            other[0].rollup = RollupId(9);
            assert_eq!(incomplete(pairs(&other)), BTreeSet::from([bundle]));
        }
        assert_eq!(wrap(&parts(1)), None);
        assert_eq!(wrap(&parts(PARTS_MAX as u64 + 1)), None);
        assert_eq!(inner(b"plain"), b"plain");
    }

    #[test]
    fn a_payload_with_half_a_bundle_is_faulty() {
        let (bundle, wrapped) = wrap(&parts(2)).unwrap();
        let batch = |one: &Transaction| Batch {
            rollup: one.rollup,
            transactions: vec![one.data.clone()],
        };
        let whole = Payload {
            batches: wrapped.iter().map(batch).collect(),
        };
        assert_eq!(fault(&whole), None);
        let half = Payload {
            batches: vec![batch(&wrapped[1])],
        };
        assert_eq!(fault(&half), Some(bundle));
    }

    proptest! {
        #[test]
        fn changed_bytes_of_a_part_never_make_another_whole_bundle(count in 2..5_u64, which: usize, at: usize, bit in 0..8_u8) {
            let (_, mut wrapped) = wrap(&parts(count)).unwrap();
            let which = which % wrapped.len();
            let mut data = wrapped[which].data.to_vec();
            let at = at % data.len();
            data[at] ^= 1 << bit;
            wrapped[which].data = data.into();
            prop_assert!(!incomplete(pairs(&wrapped)).is_empty());
        }
    }
}
