//! Proofs for those who follow one rollup: what a block holds for it, or that it holds nothing; that nothing is missing between
//! two places of its lane; and that a block is an ancestor of a far later one.
//!
//! ```text
//! certificate --> header --roots.lanes--> lane block, or two neighbours between which there is none
//!                   |                       '--parent--> lane block --parent--> ..   (nothing is missing)
//!                   '--roots.history--> id of any earlier block                      (a skip)
//! ```

use crate::proof::{
    ProofError, Signed, check_chain, check_committee, check_signatures, hex_hashes,
};
use crate::text::{self, TextError};
use outrider_types::block::BLOCK_VERSION;
use outrider_types::merkle::{self, Hash};
use outrider_types::{
    Block, BlockId, Committee, CommitteeId, Epoch, FinalityCertificate, Height, HistoryRoot,
    LaneBlock, LaneHash, LaneHeight, LanesRoot, RollupId,
};
use serde::{Deserialize, Serialize};

/// Version of the formats of this page.
pub const LANE_PROOF_VERSION: u16 = 1;
/// Most lane blocks of one [`LaneRangeProof`].
pub const LANE_BLOCKS_PER_PROOF_MAX: usize = 4_096;
/// Most bytes of the text of any of these proofs.
pub const LANE_PROOF_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A block, and what makes it final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalHeader {
    /// The committee that signed.
    pub committee: CommitteeId,
    /// The block.
    pub block: Block,
    /// A later block that has it among its ancestors; none if the headers of `path` lead straight to the certificate.
    pub skip: Option<Skip>,
    /// Headers from there (the later block if there is one) up to the certified block, as in
    /// [`FinalityProof::path`](crate::FinalityProof::path).
    pub path: Vec<Block>,
    /// What makes the last of these blocks final, and its ancestors with it.
    pub certificate: FinalityCertificate,
}

/// That a block is among the ancestors of a later one, of the same or a later epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// The later block.
    pub to: Block,
    /// Siblings from the earlier block up to the history of the later one: at most 64.
    #[serde(with = "hex_hashes")]
    pub path: Vec<Hash>,
}

/// A block that is proven to be final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedHeader {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub block: BlockId,
    /// The epoch whose committee signed.
    pub epoch: Epoch,
    /// The highest block that is proven with it: the later one of a skip, else itself.
    pub to: Height,
    /// What the certificate says.
    pub signed: Signed,
}

impl FinalHeader {
    /// The block from which the headers lead to the certificate.
    #[must_use]
    pub fn anchor(&self) -> &Block {
        self.skip.as_ref().map_or(&self.block, |skip| &skip.to)
    }

    /// Check everything, signatures last.
    fn verify(&self, committee: &Committee) -> Result<CheckedHeader, ProofError> {
        check_committee(committee, self.committee)?;
        let anchor = self.anchor();
        check_chain(committee, anchor, &self.path, &self.certificate)?;
        let (height, block) = (self.block.height, self.block.id());
        if let Some(Skip { to, path }) = &self.skip {
            if self.block.version != BLOCK_VERSION {
                let found = self.block.version;
                return Err(ProofError::BlockVersion { height, found });
            }
            let leaf = HistoryRoot::leaf(block);
            let root = merkle::root_from_path(leaf, height.0, to.height.0, path);
            if root != Some(to.roots.history.0) {
                let to = to.height;
                return Err(ProofError::NotInHistory { height, to });
            }
        }
        Ok(CheckedHeader {
            height,
            block,
            epoch: anchor.epoch,
            to: anchor.height,
            signed: check_signatures(committee, &self.certificate)?,
        })
    }
}

/// What one block holds for one rollup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneProof {
    /// Format, [`LANE_PROOF_VERSION`].
    pub version: u16,
    /// The block.
    pub header: FinalHeader,
    /// Whose lane.
    pub rollup: RollupId,
    /// How many lane blocks the block has.
    pub lanes: u32,
    /// What it holds.
    pub claim: LaneClaim,
}

/// Whether a block holds something for a rollup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum LaneClaim {
    /// This lane block.
    Holds(LaneMember),
    /// Nothing.
    Absent(LaneGap),
}

/// A lane block and its place among those of its block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneMember {
    /// The lane block.
    pub lane: LaneBlock,
    /// Which of the block's, from 0.
    pub index: u32,
    /// Siblings up to the header.
    #[serde(with = "hex_hashes")]
    pub path: Vec<Hash>,
}

/// Neighbours between which a rollup would stand. Both are none in a block without transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneGap {
    /// The last one before it; none if it would be the first.
    pub before: Option<LaneNeighbour>,
    /// The first one after it; none if it would be the last.
    pub after: Option<LaneNeighbour>,
}

/// A lane block of another rollup, as the header covers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneNeighbour {
    /// Whose.
    pub rollup: RollupId,
    /// Its hash.
    pub hash: LaneHash,
    /// Which of the block's, from 0.
    pub index: u32,
    /// Siblings up to the header.
    #[serde(with = "hex_hashes")]
    pub path: Vec<Hash>,
}

/// What a [`LaneProof`] proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedLane {
    /// The block.
    pub header: CheckedHeader,
    /// Whose lane.
    pub rollup: RollupId,
    /// What the block holds for it; none: nothing.
    pub lane: Option<LaneBlock>,
}

impl LaneProof {
    /// What a block that has these lane blocks, rollups ascending, holds for a rollup.
    #[must_use]
    pub fn build(header: FinalHeader, lanes: &[LaneBlock], rollup: RollupId) -> Self {
        let leaves: Vec<Hash> = lanes
            .iter()
            .map(|lane| LanesRoot::leaf(lane.rollup, lane.hash()))
            .collect();
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let path = |at: usize| merkle::path(&leaves, at).unwrap_or_default();
        let neighbour = |at: usize| {
            lanes.get(at).map(|lane| LaneNeighbour {
                rollup: lane.rollup,
                hash: lane.hash(),
                index: number(at),
                path: path(at),
            })
        };
        let claim = match lanes.binary_search_by_key(&rollup, |lane| lane.rollup) {
            Ok(at) => LaneClaim::Holds(LaneMember {
                lane: lanes[at],
                index: number(at),
                path: path(at),
            }),
            Err(at) => LaneClaim::Absent(LaneGap {
                before: at.checked_sub(1).and_then(neighbour),
                after: neighbour(at),
            }),
        };
        Self {
            version: LANE_PROOF_VERSION,
            header,
            rollup,
            lanes: number(lanes.len()),
            claim,
        }
    }

    fn verify(&self, committee: &Committee) -> Result<CheckedLane, ProofError> {
        check_version(self.version)?;
        let lane = self.check_claim()?;
        Ok(CheckedLane {
            header: self.header.verify(committee)?,
            rollup: self.rollup,
            lane,
        })
    }

    fn check_claim(&self) -> Result<Option<LaneBlock>, ProofError> {
        let wrong = |reason| ProofError::Lane {
            rollup: self.rollup,
            height: self.header.block.height,
            reason,
        };
        let covered = |rollup, hash, index: u32, path: &[Hash]| {
            let (index, count) = (u64::from(index), u64::from(self.lanes));
            merkle::root_from_path(LanesRoot::leaf(rollup, hash), index, count, path)
                .map(|root| LanesRoot::commitment(self.lanes, &root))
                == Some(self.header.block.roots.lanes)
        };
        match &self.claim {
            LaneClaim::Holds(LaneMember { lane, index, path }) => {
                if lane.rollup != self.rollup {
                    return Err(wrong("the lane block is of another rollup"));
                }
                if !covered(lane.rollup, lane.hash(), *index, path) {
                    return Err(wrong("the header does not cover this lane block"));
                }
                Ok(Some(*lane))
            }
            LaneClaim::Absent(LaneGap { before, after }) => {
                for neighbour in [before, after].into_iter().flatten() {
                    let LaneNeighbour {
                        rollup,
                        hash,
                        index,
                        path,
                    } = neighbour;
                    if !covered(*rollup, *hash, *index, path) {
                        return Err(wrong("the header does not cover a neighbour"));
                    }
                }
                if before.as_ref().is_some_and(|it| it.rollup >= self.rollup)
                    || after.as_ref().is_some_and(|it| it.rollup <= self.rollup)
                {
                    return Err(wrong("the rollup does not stand between the neighbours"));
                }
                let adjacent = match (before, after) {
                    (None, None) => {
                        self.lanes == 0 && self.header.block.roots.lanes == LanesRoot::of(&[])
                    }
                    (None, Some(after)) => after.index == 0,
                    (Some(before), None) => before.index.checked_add(1) == Some(self.lanes),
                    (Some(before), Some(after)) => before.index.checked_add(1) == Some(after.index),
                };
                if adjacent {
                    Ok(None)
                } else {
                    Err(wrong("something may stand between the neighbours"))
                }
            }
        }
    }

    /// The canonical text: two spaces a level, fields in declaration order, a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        text::canonical(self)
    }

    /// From the canonical text. Nothing is checked but the form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TextError> {
        text::read_canonical(bytes, LANE_PROOF_BYTES_MAX)
    }
}

/// That nothing is missing between two places of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneRangeProof {
    /// Format, [`LANE_PROOF_VERSION`].
    pub version: u16,
    /// The lane blocks before the last one, lane heights ascending, at most [`LANE_BLOCKS_PER_PROOF_MAX`].
    pub earlier: Vec<LaneBlock>,
    /// The last one.
    pub last: LaneProof,
}

impl LaneRangeProof {
    fn verify(&self, committee: &Committee) -> Result<(Vec<LaneBlock>, CheckedHeader), ProofError> {
        check_version(self.version)?;
        let (found, limit) = (self.earlier.len(), LANE_BLOCKS_PER_PROOF_MAX);
        if found > limit {
            return Err(ProofError::TooManyLanes { found, limit });
        }
        let rollup = self.last.rollup;
        let Some(last) = self.last.check_claim()? else {
            return Err(ProofError::Lane {
                rollup,
                height: self.last.header.block.height,
                reason: "the last block of the range holds nothing",
            });
        };
        let mut next = last;
        for lane in self.earlier.iter().rev() {
            if lane.rollup != rollup || lane.tip() != next.before() {
                let lane = LaneHeight(next.height.0.saturating_sub(1));
                return Err(ProofError::BrokenLane { rollup, lane });
            }
            next = *lane;
        }
        let header = self.last.verify(committee)?.header;
        let mut lanes = self.earlier.clone();
        lanes.push(last);
        Ok((lanes, header))
    }

    /// The canonical text.
    #[must_use]
    pub fn to_json(&self) -> String {
        text::canonical(self)
    }

    /// From the canonical text. Nothing is checked but the form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TextError> {
        text::read_canonical(bytes, LANE_PROOF_BYTES_MAX)
    }
}

/// That a block is final, and the way from it to a far later one in `O(log n)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkipProof {
    /// Format, [`LANE_PROOF_VERSION`].
    pub version: u16,
    /// The earlier block; [`FinalHeader::anchor`] is the later one.
    pub header: FinalHeader,
}

impl SkipProof {
    fn verify(&self, committee: &Committee) -> Result<CheckedHeader, ProofError> {
        check_version(self.version)?;
        self.header.verify(committee)
    }

    /// The canonical text.
    #[must_use]
    pub fn to_json(&self) -> String {
        text::canonical(self)
    }

    /// From the canonical text. Nothing is checked but the form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TextError> {
        text::read_canonical(bytes, LANE_PROOF_BYTES_MAX)
    }
}

fn check_version(found: u16) -> Result<(), ProofError> {
    if found == LANE_PROOF_VERSION {
        Ok(())
    } else {
        Err(ProofError::LaneVersion { found })
    }
}

/// Checking against the committees that a light client knows.
impl crate::Trust {
    /// Check that a block is final.
    pub fn verify_header(&self, header: &FinalHeader) -> Result<CheckedHeader, ProofError> {
        header.verify(self.committee_of(header.anchor())?)
    }

    /// Check what a block holds for a rollup.
    pub fn verify_lane(&self, proof: &LaneProof) -> Result<CheckedLane, ProofError> {
        proof.verify(self.committee_of(proof.header.anchor())?)
    }

    /// Check that nothing is missing in a lane. Gives the lane blocks, lane heights ascending, and the block that holds the last.
    pub fn verify_lane_range(
        &self,
        proof: &LaneRangeProof,
    ) -> Result<(Vec<LaneBlock>, CheckedHeader), ProofError> {
        proof.verify(self.committee_of(proof.last.header.anchor())?)
    }

    /// Check a skip: that [`FinalHeader::anchor`] is final and descends from the block.
    pub fn verify_skip(&self, proof: &SkipProof) -> Result<CheckedHeader, ProofError> {
        proof.verify(self.committee_of(proof.header.anchor())?)
    }
}
