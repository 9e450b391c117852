//! A proof that a transaction is final, checkable by anyone who knows the committee, offline.

use crate::ledger::length;
use bytes::Bytes;
use outrider_types::block::BLOCK_VERSION;
use outrider_types::limits::TRANSACTION_BYTES_MAX;
use outrider_types::merkle::{self, Hash};
use outrider_types::{
    Batch, Block, BlockId, Committee, CommitteeId, Epoch, FinalityCertificate, Height, Origin,
    Payload, RollupId, Roots, Stake, Transaction, TransactionId, View,
};
use serde::{Deserialize, Serialize};

mod error;

pub use error::ProofError;

/// Version of the proof's format.
pub const PROOF_VERSION: u16 = 2;
/// Most headers between the transaction's block and the certified one, that one included.
pub const PATH_HEADERS_MAX: usize = 1_024;
/// Most bytes of a proof's text: the largest proof with every part at its limit is under this.
pub const PROOF_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A transaction, the block that holds it, and what makes that block final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalityProof {
    /// Format, [`PROOF_VERSION`].
    pub version: u16,
    /// The committee that signed.
    pub committee: CommitteeId,
    /// Header of the block that holds the transaction.
    pub block: Block,
    /// Headers of its descendants in the same epoch, each the child of the one before, up to the certified block; empty
    /// if the block itself is certified. Above the last block of the epoch they are fillers (R13). At most
    /// [`PATH_HEADERS_MAX`].
    pub path: Vec<Block>,
    /// What makes the last of these blocks final, and its ancestors with it.
    pub certificate: FinalityCertificate,
    /// The transaction, and that the block's payload commitment covers it.
    pub inclusion: Inclusion,
}

/// A transaction and two Merkle paths (RFC 6962): to its batch, and from the batch to the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// Whose.
    pub rollup: RollupId,
    /// Its bytes.
    #[serde(with = "hex_data")]
    pub data: Bytes,
    /// Its id, which is the hash of the two above.
    pub transaction: TransactionId,
    /// Which batch of the payload, from 0.
    pub lane_index: u32,
    /// How many batches the payload has.
    pub lane_count: u32,
    /// Siblings from the batch up to the payload.
    #[serde(with = "hex_hashes")]
    pub lane_path: Vec<Hash>,
    /// Which transaction of the batch, from 0.
    pub index: u32,
    /// How many transactions the batch has.
    pub count: u32,
    /// Siblings from the transaction up to the batch.
    #[serde(with = "hex_hashes")]
    pub path: Vec<Hash>,
}

/// What a proof proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The transaction.
    pub transaction: TransactionId,
    /// Whose.
    pub rollup: RollupId,
    /// Height of its block.
    pub height: Height,
    /// The epoch whose committee made it final.
    pub epoch: Epoch,
    /// Its block.
    pub block: BlockId,
    /// View of the certificate.
    pub certified_view: View,
    /// By votes alone (R6), else by commit votes (R7).
    pub fast: bool,
    /// Stake that signed.
    pub signed_stake: Stake,
    /// How many members signed.
    pub signers: usize,
}

impl FinalityProof {
    /// Put together what a member holds about a committed block. None if the payload is not the block's or does not
    /// hold the transaction, if the headers do not lead to the certificate, or if there are more than
    /// [`PATH_HEADERS_MAX`]. Signatures are not checked.
    #[must_use]
    pub fn build(
        committee: &Committee,
        block: Block,
        path: Vec<Block>,
        certificate: FinalityCertificate,
        payload: &Payload,
        id: TransactionId,
    ) -> Option<Self> {
        let inclusion = Inclusion::build(payload, id)?;
        let proof = Self {
            version: PROOF_VERSION,
            committee: committee.id(),
            block,
            path,
            certificate,
            inclusion,
        };
        (proof.check_headers(committee).is_ok() && proof.check_inclusion().is_ok()).then_some(proof)
    }

    /// The canonical text: two spaces a level, fields in declaration order, a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        assert!(
            text.is_ok(),
            "a proof has no map and no value that JSON cannot hold"
        );
        let mut text = text.unwrap_or_default();
        text.push('\n');
        text
    }

    /// From a text, which may be laid out in any way; see [`verify_json`] for the strict reading. Nothing is checked
    /// but the form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(ProofError::TooLarge { bytes: bytes.len() });
        }
        serde_json::from_slice(bytes).map_err(|error| ProofError::NotJson {
            offset: offset_of(bytes, error.line(), error.column()),
            reason: error.to_string(),
        })
    }

    /// All headers and the certificate's statement, without signatures; the id of the transaction's block.
    fn check_headers(&self, committee: &Committee) -> Result<BlockId, ProofError> {
        check_chain(committee, &self.block, &self.path, &self.certificate)
    }

    fn check_inclusion(&self) -> Result<(), ProofError> {
        let Inclusion {
            rollup,
            data,
            transaction,
            lane_index,
            lane_count,
            lane_path,
            index,
            count,
            path,
        } = &self.inclusion;
        if data.len() > TRANSACTION_BYTES_MAX {
            return Err(ProofError::TransactionSize { bytes: data.len() });
        }
        let found = Transaction {
            rollup: *rollup,
            data: data.clone(),
        }
        .id();
        if found != *transaction {
            return Err(ProofError::OtherTransaction {
                found,
                expected: *transaction,
            });
        }
        let leaf = merkle::leaf_hash(&transaction.0);
        let commitment = merkle::root_from_path(leaf, u64::from(*index), u64::from(*count), path)
            .map(|root| Batch::leaf(*rollup, *count, &root))
            .and_then(|lane| {
                merkle::root_from_path(
                    lane,
                    u64::from(*lane_index),
                    u64::from(*lane_count),
                    lane_path,
                )
            })
            .map(|root| Payload::commitment(*lane_count, &root));
        if commitment == Some(self.block.payload) {
            Ok(())
        } else {
            Err(ProofError::NotIncluded {
                transaction: *transaction,
                block: self.block.id(),
            })
        }
    }
}

impl Inclusion {
    fn build(payload: &Payload, id: TransactionId) -> Option<Self> {
        let mut lanes = Vec::with_capacity(payload.batches.len());
        let mut found = None;
        for (lane_index, batch) in payload.batches.iter().enumerate() {
            let ids: Vec<TransactionId> = batch.ids().collect();
            let leaves: Vec<Hash> = ids.iter().map(|id| merkle::leaf_hash(&id.0)).collect();
            lanes.push(Batch::leaf(
                batch.rollup,
                length(leaves.len()),
                &merkle::root(&leaves),
            ));
            if found.is_none()
                && let Some(index) = ids.iter().position(|other| *other == id)
            {
                found = Some((lane_index, batch, index, merkle::path(&leaves, index)?));
            }
        }
        let (lane_index, batch, index, path) = found?;
        Some(Self {
            rollup: batch.rollup,
            data: batch.transactions.get(index)?.clone(),
            transaction: id,
            lane_index: length(lane_index),
            lane_count: length(lanes.len()),
            lane_path: merkle::path(&lanes, lane_index)?,
            index: length(index),
            count: length(batch.transactions.len()),
            path,
        })
    }
}

/// Headers from a block up to the certified one, and the certificate's statement, without signatures; the id of the block.
pub(crate) fn check_chain(
    committee: &Committee,
    first: &Block,
    path: &[Block],
    certificate: &FinalityCertificate,
) -> Result<BlockId, ProofError> {
    if path.len() > PATH_HEADERS_MAX {
        return Err(ProofError::PathTooLong {
            headers: path.len(),
        });
    }
    check_header(first, committee)?;
    let block = first.id();
    let (mut last, mut last_id) = (first, block);
    let mut over = first.next != CommitteeId::NONE;
    for child in path {
        check_header(child, committee)?;
        let height = last.height.next();
        if child.height != height || child.height == last.height || child.parent != last_id {
            return Err(ProofError::BrokenPath { height });
        }
        let names = child.next != CommitteeId::NONE;
        let carries = child.payload != Payload::default().id()
            || child.roots != Roots::NONE
            || child.origin != Origin::NONE;
        if over && (names || carries) {
            return Err(ProofError::NotFiller { height });
        }
        over |= names;
        (last, last_id) = (child, child.id());
    }
    let (found, view) = (certificate.block(), certificate.view());
    if found != last_id {
        return Err(ProofError::OtherBlock {
            found,
            expected: last_id,
        });
    }
    if view != last.view {
        return Err(ProofError::OtherView {
            found: view,
            expected: last.view,
        });
    }
    Ok(block)
}

/// Who signed, once the signatures are checked.
pub(crate) fn check_signatures(
    committee: &Committee,
    certificate: &FinalityCertificate,
) -> Result<Signed, ProofError> {
    let invalid = |reason| ProofError::Certificate { reason };
    let certificate = certificate.clone().verify(committee).map_err(invalid)?;
    let (fast, stake, signers) = match &*certificate {
        FinalityCertificate::Fast(votes) => (true, votes.stake(committee), votes.signatures.len()),
        FinalityCertificate::Slow(votes) => (false, votes.stake(committee), votes.signatures.len()),
    };
    Ok(Signed {
        certified_view: certificate.view(),
        fast,
        signed_stake: stake.map_err(invalid)?,
        signers,
    })
}

/// What a certificate that was checked says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Signed {
    /// View of the certificate.
    pub certified_view: View,
    /// By votes alone (R6), else by commit votes (R7).
    pub fast: bool,
    /// Stake that signed.
    pub signed_stake: Stake,
    /// How many members signed.
    pub signers: usize,
}

/// The committee that a proof names is this one.
pub(crate) fn check_committee(committee: &Committee, found: CommitteeId) -> Result<(), ProofError> {
    let expected = committee.id();
    if found == expected {
        Ok(())
    } else {
        Err(ProofError::OtherCommittee { found, expected })
    }
}

fn check_header(block: &Block, committee: &Committee) -> Result<(), ProofError> {
    let Block {
        version,
        chain,
        epoch,
        height,
        ..
    } = *block;
    if version != BLOCK_VERSION {
        return Err(ProofError::BlockVersion {
            height,
            found: version,
        });
    }
    if chain != committee.chain() {
        return Err(ProofError::OtherChain {
            height,
            found: chain,
            expected: committee.chain(),
        });
    }
    if epoch != committee.epoch() {
        return Err(ProofError::OtherEpoch {
            height,
            found: epoch,
            expected: committee.epoch(),
        });
    }
    Ok(())
}

/// Check a proof against a committee that the caller trusts. Cheap checks come first, signatures last.
pub fn verify(committee: &Committee, proof: &FinalityProof) -> Result<Checked, ProofError> {
    if proof.version != PROOF_VERSION {
        return Err(ProofError::Version {
            found: proof.version,
        });
    }
    check_committee(committee, proof.committee)?;
    let block = proof.check_headers(committee)?;
    proof.check_inclusion()?;
    let Signed {
        certified_view,
        fast,
        signed_stake,
        signers,
    } = check_signatures(committee, &proof.certificate)?;
    Ok(Checked {
        transaction: proof.inclusion.transaction,
        rollup: proof.inclusion.rollup,
        height: proof.block.height,
        epoch: proof.block.epoch,
        block,
        certified_view,
        fast,
        signed_stake,
        signers,
    })
}

/// Check a proof's text. The text must be the canonical one, so that not a byte of it can be changed, not even white
/// space or the case of a hex digit.
pub fn verify_json(committee: &Committee, bytes: &[u8]) -> Result<Checked, ProofError> {
    verify(committee, &read_canonical(bytes)?)
}

/// A proof from its canonical text.
pub(crate) fn read_canonical(bytes: &[u8]) -> Result<FinalityProof, ProofError> {
    let proof = FinalityProof::from_json(bytes)?;
    let canonical = proof.to_json();
    match first_difference(bytes, canonical.as_bytes()) {
        Some(offset) => Err(ProofError::NotCanonical { offset }),
        None => Ok(proof),
    }
}

/// Where two texts first differ; for one that is cut short, its end.
pub(crate) fn first_difference(left: &[u8], right: &[u8]) -> Option<usize> {
    if left == right {
        return None;
    }
    let same = left
        .iter()
        .zip(right)
        .take_while(|(left, right)| left == right)
        .count();
    Some(same)
}

/// The byte at which a parser stopped, from its line and column (both from 1; column 0 is the line's end before).
pub(crate) fn offset_of(bytes: &[u8], line: usize, column: usize) -> usize {
    let before: usize = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .take(line.saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    (before + column.saturating_sub(1)).min(bytes.len())
}

/// Bytes of a transaction as `0x` and lower-case hex.
mod hex_data {
    use super::{Bytes, TRANSACTION_BYTES_MAX};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(data: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{}", hex::encode(data)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| D::Error::custom("data does not begin with 0x"))?;
        if digits.len() > 2 * TRANSACTION_BYTES_MAX {
            return Err(D::Error::custom(format!(
                "data of over {TRANSACTION_BYTES_MAX} bytes"
            )));
        }
        hex::decode(digits)
            .map(Bytes::from)
            .map_err(D::Error::custom)
    }
}

/// Hashes as lower-case hex, without `0x` as ids are.
pub(crate) mod hex_hashes {
    use super::Hash;
    use outrider_types::merkle::PATH_MAX;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        hashes: &[Hash],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(hashes.iter().map(hex::encode))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Hash>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        if texts.len() > PATH_MAX {
            return Err(D::Error::custom(format!(
                "a path of over {PATH_MAX} hashes"
            )));
        }
        let hash = |text: &String| {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash)
                .map(|()| hash)
                .map_err(D::Error::custom)
        };
        texts.iter().map(hash).collect()
    }
}
