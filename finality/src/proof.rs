//! The proof that a transaction is final, and its verification, which needs the committee and nothing else.

use outrider_types::merkle::{self, Hash};
use outrider_types::{
    Batch, Block, BlockId, Committee, CommitteeId, FinalityCertificate, Height, Invalid, Payload,
    PayloadId, RollupId, Stake, Transaction, TransactionId, View,
};
use serde::{Deserialize, Serialize};

/// Version of the proof format.
pub const PROOF_VERSION: u16 = 1;
/// Most headers between the transaction's block and the certified one.
pub const PATH_HEADERS_MAX: usize = 1_024;

/// Proof that a transaction is final, and where.
///
/// The certificate makes its block final, and with it every ancestor; `path` leads from the transaction's block up to
/// the certified one by parent hashes; the inclusion leads from the transaction to the header's payload commitment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalityProof {
    /// [`PROOF_VERSION`].
    pub version: u16,
    /// The committee that it is to be checked with.
    pub committee: CommitteeId,
    /// Header of the block that holds the transaction.
    pub block: Block,
    /// Headers above it, each the child of the one before, up to the certified block; empty if it is certified itself.
    pub path: Vec<Block>,
    /// Proof that the last of these headers is final.
    pub certificate: FinalityCertificate,
    /// The transaction's place in the block.
    pub inclusion: Inclusion,
}

/// A transaction's place in a block, with the hashes that prove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// Whose transaction.
    pub rollup: RollupId,
    /// Its bytes.
    #[serde(with = "hex_bytes")]
    pub data: Vec<u8>,
    /// Its id, `sha256(rollup || data)`.
    pub transaction: TransactionId,
    /// Which of the rollup's transactions in the block, from 0.
    pub index: u32,
    /// How many transactions of the rollup the block holds.
    pub count: u32,
    /// Siblings from the transaction to the rollup's transaction root.
    #[serde(with = "hex_hashes")]
    pub path: Vec<Hash>,
    /// Which of the block's rollups, from 0.
    pub lane_index: u32,
    /// How many rollups the block holds.
    pub lane_count: u32,
    /// Siblings from the rollup to the payload commitment.
    #[serde(with = "hex_hashes")]
    pub lane_path: Vec<Hash>,
}

/// What a valid proof says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The transaction.
    pub transaction: TransactionId,
    /// Its rollup.
    pub rollup: RollupId,
    /// Height of its block.
    pub height: Height,
    /// Its block.
    pub block: BlockId,
    /// The view in which that block, or the descendant that makes it final, was committed.
    pub certified_view: View,
    /// By votes of stake >= F, instead of commit votes of stake >= Q.
    pub fast: bool,
    /// Stake that signed.
    pub signed_stake: Stake,
    /// How many members signed.
    pub signers: usize,
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a proof at all.
    #[error("not a proof: {reason}")]
    Json {
        /// What the parser says.
        reason: String,
    },
    /// Reads as a proof, but its bytes are not exactly those of the proof it reads as.
    #[error(
        "not written as a proof is written: byte {offset} differs from the canonical text; the file was changed"
    )]
    NotCanonical {
        /// Where.
        offset: usize,
    },
    /// Another format.
    #[error("proof version {found}, this build checks version {PROOF_VERSION}")]
    Version {
        /// The version found.
        found: u16,
    },
    /// Made for another committee.
    #[error("for committee {found}, the one given is {expected}")]
    Committee {
        /// In the proof.
        found: CommitteeId,
        /// Given.
        expected: CommitteeId,
    },
    /// A header of another chain or epoch.
    #[error("the header at height {height} is of another chain or epoch than the committee")]
    Foreign {
        /// Which.
        height: Height,
    },
    /// More headers than allowed.
    #[error("a path of {headers} headers, at most {PATH_HEADERS_MAX} are allowed")]
    PathLength {
        /// How many.
        headers: usize,
    },
    /// A header is not the child of the one before.
    #[error("the header at height {height} is not the child of the one before it")]
    PathBroken {
        /// Which.
        height: Height,
    },
    /// The certificate is for another block.
    #[error("the certificate is for block {found}, the headers lead to {expected}")]
    OtherBlock {
        /// In the certificate.
        found: BlockId,
        /// Where the headers lead.
        expected: BlockId,
    },
    /// The certificate is not valid.
    #[error("the certificate does not verify: {0}")]
    Certificate(#[from] Invalid),
    /// The bytes are not those of the transaction named.
    #[error("the transaction's bytes hash to {found}, the proof names {expected}")]
    Transaction {
        /// Hash of the bytes.
        found: TransactionId,
        /// Named.
        expected: TransactionId,
    },
    /// The hashes do not lead from the transaction to the block.
    #[error("the Merkle path does not lead to the payload commitment {expected} of the header")]
    Inclusion {
        /// In the header.
        expected: PayloadId,
    },
}

impl FinalityProof {
    /// Build a proof. None if the payload does not hold the transaction.
    #[must_use]
    pub fn build(
        committee: &Committee,
        block: Block,
        path: Vec<Block>,
        certificate: FinalityCertificate,
        payload: &Payload,
        id: TransactionId,
    ) -> Option<Self> {
        let mut found = None;
        let mut lanes = Vec::with_capacity(payload.batches.len());
        for (lane, batch) in payload.batches.iter().enumerate() {
            let ids: Vec<TransactionId> = batch.ids().collect();
            let leaves: Vec<Hash> = ids.iter().map(|id| merkle::leaf_hash(&id.0)).collect();
            let count = u32::try_from(leaves.len()).ok()?;
            lanes.push(Batch::leaf(batch.rollup, count, &merkle::root(&leaves)));
            if let Some(index) = ids.iter().position(|one| *one == id) {
                found = Some((lane, batch, index, count, merkle::path(&leaves, index)?));
            }
        }
        let (lane, batch, index, count, siblings) = found?;
        let inclusion = Inclusion {
            rollup: batch.rollup,
            data: batch.transactions.get(index)?.to_vec(),
            transaction: id,
            index: u32::try_from(index).ok()?,
            count,
            path: siblings,
            lane_index: u32::try_from(lane).ok()?,
            lane_count: u32::try_from(lanes.len()).ok()?,
            lane_path: merkle::path(&lanes, lane)?,
        };
        Some(Self {
            version: PROOF_VERSION,
            committee: committee.id(),
            block,
            path,
            certificate,
            inclusion,
        })
    }

    /// The one text that stands for this proof: pretty JSON and a line feed.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        assert!(text.is_ok(), "a proof is made of maps with text keys");
        let mut text = text.unwrap_or_default();
        text.push('\n');
        text
    }

    /// Read a proof. Its bytes must be exactly those that [`to_json`](Self::to_json) writes.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProofError> {
        let proof: Self = serde_json::from_slice(bytes).map_err(|error| ProofError::Json {
            reason: error.to_string(),
        })?;
        let canonical = proof.to_json();
        if canonical.as_bytes() != bytes {
            let same = canonical
                .as_bytes()
                .iter()
                .zip(bytes)
                .take_while(|(a, b)| a == b)
                .count();
            return Err(ProofError::NotCanonical { offset: same });
        }
        Ok(proof)
    }

    fn check_path(&self, committee: &Committee) -> Result<BlockId, ProofError> {
        if self.path.len() > PATH_HEADERS_MAX {
            return Err(ProofError::PathLength {
                headers: self.path.len(),
            });
        }
        let mut below: Option<(BlockId, Height)> = None;
        for header in std::iter::once(&self.block).chain(&self.path) {
            let height = header.height;
            if header.chain != committee.chain() || header.epoch != committee.epoch() {
                return Err(ProofError::Foreign { height });
            }
            if below.is_some_and(|(id, below)| header.parent != id || height != below.next()) {
                return Err(ProofError::PathBroken { height });
            }
            below = Some((header.id(), height));
        }
        Ok(below.map_or_else(BlockId::default, |(id, _)| id))
    }
}

impl Inclusion {
    fn check(&self, commitment: PayloadId) -> Result<(), ProofError> {
        let found = Transaction {
            rollup: self.rollup,
            data: self.data.clone().into(),
        }
        .id();
        if found != self.transaction {
            return Err(ProofError::Transaction {
                found,
                expected: self.transaction,
            });
        }
        let leaf = merkle::leaf_hash(&found.0);
        let root =
            merkle::root_from_path(leaf, self.index as usize, self.count as usize, &self.path);
        let top = root.and_then(|root| {
            let lane = Batch::leaf(self.rollup, self.count, &root);
            merkle::root_from_path(
                lane,
                self.lane_index as usize,
                self.lane_count as usize,
                &self.lane_path,
            )
        });
        if top == Some(commitment.0) {
            Ok(())
        } else {
            Err(ProofError::Inclusion {
                expected: commitment,
            })
        }
    }
}

/// Check a proof with the committee alone: headers, certificate (distinct stake, strict Ed25519), Merkle paths.
pub fn verify(committee: &Committee, proof: &FinalityProof) -> Result<Checked, ProofError> {
    if proof.version != PROOF_VERSION {
        return Err(ProofError::Version {
            found: proof.version,
        });
    }
    if proof.committee != committee.id() {
        return Err(ProofError::Committee {
            found: proof.committee,
            expected: committee.id(),
        });
    }
    let expected = proof.check_path(committee)?;
    let certificate = proof.certificate.clone().verify(committee)?;
    if certificate.block() != expected {
        return Err(ProofError::OtherBlock {
            found: certificate.block(),
            expected,
        });
    }
    proof.inclusion.check(proof.block.payload)?;
    let (fast, signed_stake, signers) = match &*certificate {
        FinalityCertificate::Fast(votes) => (true, votes.stake(committee)?, votes.signatures.len()),
        FinalityCertificate::Slow(votes) => {
            (false, votes.stake(committee)?, votes.signatures.len())
        }
    };
    Ok(Checked {
        transaction: proof.inclusion.transaction,
        rollup: proof.inclusion.rollup,
        height: proof.block.height,
        block: proof.block.id(),
        certified_view: certificate.view(),
        fast,
        signed_stake,
        signers,
    })
}

/// Check the bytes of a proof file. Any changed byte is an error.
pub fn verify_json(committee: &Committee, bytes: &[u8]) -> Result<Checked, ProofError> {
    verify(committee, &FinalityProof::from_json(bytes)?)
}

mod hex_bytes {
    //! Bytes as `0x` and lower-case hex.
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{}", hex::encode(bytes)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text.strip_prefix("0x").unwrap_or(&text)).map_err(D::Error::custom)
    }
}

mod hex_hashes {
    //! A list of hashes as hex.
    use outrider_types::merkle::{Hash, PATH_MAX};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        hashes: &[Hash],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(hashes.iter().map(hex::encode))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Hash>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        if texts.len() > PATH_MAX {
            return Err(D::Error::custom(format!(
                "a path of {} hashes, at most {PATH_MAX}",
                texts.len()
            )));
        }
        let parse = |text: &String| {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash)
                .map(|()| hash)
                .map_err(D::Error::custom)
        };
        texts.iter().map(parse).collect()
    }
}
