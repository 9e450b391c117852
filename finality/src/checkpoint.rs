//! A checkpoint: what a member needs to go on from a final block without replaying the blocks before it.
//!
//! ```text
//! genesis committee --EpochEnd--> .. --EpochEnd--> committee of the checkpoint   (R13)
//! committee + certificate --> last block --parent hash--> .. --> first block of the window
//! header.payload --Merkle roots--> ids and places of the block's transactions
//! ```
//!
//! A snapshot is a stream of [`SnapshotItem`]s: ends of epochs in order, the [`Checkpoint`], its rollups, then blocks
//! from the checkpoint *down*, so that each item is proven by those before it and nothing has to be held.
//!
//! | part | why it is true |
//! |---|---|
//! | committees, last block | signatures, from the genesis committee on |
//! | headers of the window | hashes, from the last block down |
//! | ids of the window's transactions, and their places in their blocks | hashes: a payload commitment covers ids alone |
//! | lane blocks of the window, and so the ends of lanes that have one | hashes: a header covers its lane blocks, and each of them its place in its lane |
//! | registered rollups | a hash: the last header covers them |
//! | blocks before the window, as peaks | hashes: a header covers all blocks before it |
//! | ends of lanes that have no block in the window | proven only if the window reaches the first block; else it is the word of whoever made the snapshot, until members of stake `>= f+1` answer the same [`state_digest`] |
//!
//! A member that starts from a wrong end of a lane finds every block wrong that continues that lane: it does not vote for
//! it, and stops when such a block is final. It cannot make others accept anything.

use crate::ledger::{DUPLICATE_WINDOW_BLOCKS, length};
use bytes::BufMut;
use commonware_codec::Buf;
use outrider_types::codec::{EncodeSize, Error, FixedSize, RangeCfg, Read, ReadExt, Write};
use outrider_types::limits::{LANES_PER_PAYLOAD_MAX, TRANSACTIONS_PER_PAYLOAD_MAX};
use outrider_types::merkle::{self, Hash};
use outrider_types::registry::REGISTERED_MAX;
use outrider_types::{
    Batch, Block, BlockId, EpochEnd, FinalityCertificate, Height, LaneBlock, LaneTip, Payload,
    PayloadId, Registration, RollupId, TransactionId, crypto::sha256,
};

mod verify;

pub use verify::{SnapshotError, SnapshotVerifier, Taken};

/// Members remember the [`state_digest`] at heights that are a multiple of this.
pub const DIGEST_EVERY_BLOCKS: u64 = 1_000;
/// Blocks after which the [`Peaks`](outrider_types::merkle::Peaks) of the history are kept.
pub const HISTORY_CHUNK: u64 = 256;
/// Rollups in one item.
pub const LANES_PER_ITEM_MAX: usize = 4_096;
/// Rollups in one snapshot.
pub const LANES_PER_SNAPSHOT_MAX: usize = 1 << 20;

/// A rollup and the end of its lane, up to some block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneEnd {
    /// Which.
    pub rollup: RollupId,
    /// Where its lane ends; not at 0.
    pub tip: LaneTip,
}

impl Write for LaneEnd {
    fn write(&self, buf: &mut impl BufMut) {
        self.rollup.write(buf);
        self.tip.write(buf);
    }
}

impl EncodeSize for LaneEnd {
    fn encode_size(&self) -> usize {
        self.rollup.encode_size() + self.tip.encode_size()
    }
}

impl Read for LaneEnd {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        Ok(Self {
            rollup: RollupId::read(buf)?,
            tip: LaneTip::read_cfg(buf, &())?,
        })
    }
}

/// A final block to start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The chain.
    pub genesis: BlockId,
    /// Lowest height of the window: 1, or [`DUPLICATE_WINDOW_BLOCKS`] blocks end at `block`.
    pub first: Height,
    /// The last final block; not the last of an epoch.
    pub block: Block,
    /// What makes it final, itself.
    pub certificate: FinalityCertificate,
    /// Transactions of all rollups up to it.
    pub transactions: u64,
    /// How many rollups have transactions.
    pub rollups: u32,
    /// All blocks below [`history_begins`](Self::history_begins), as peaks.
    pub history: Vec<Hash>,
    /// The registered rollups, by id; the block does not change them.
    pub registry: Vec<Registration>,
}

impl Checkpoint {
    /// The lowest height that a window must reach which ends at `last`: a voter for the next block needs no more (F1).
    #[must_use]
    pub fn window_of(last: Height) -> Height {
        Height((last.0 + 1).saturating_sub(DUPLICATE_WINDOW_BLOCKS).max(1))
    }

    /// How many blocks, from genesis on, the checkpoint gives as peaks: the blocks of the window that are at or above this height
    /// complete the history.
    #[must_use]
    pub const fn history_begins(&self) -> u64 {
        let whole = self.block.height.0 - self.block.height.0 % HISTORY_CHUNK;
        if whole < self.first.0 {
            self.first.0
        } else {
            whole
        }
    }
}

impl Write for Checkpoint {
    fn write(&self, buf: &mut impl BufMut) {
        self.genesis.write(buf);
        self.first.write(buf);
        self.block.write(buf);
        self.certificate.write(buf);
        self.transactions.write(buf);
        self.rollups.write(buf);
        self.history.write(buf);
        self.registry.write(buf);
    }
}

impl EncodeSize for Checkpoint {
    fn encode_size(&self) -> usize {
        let numbers = BlockId::SIZE + Height::SIZE + u64::SIZE + u32::SIZE;
        numbers
            + self.block.encode_size()
            + self.certificate.encode_size()
            + self.history.encode_size()
            + self.registry.encode_size()
    }
}

impl Read for Checkpoint {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        Ok(Self {
            genesis: BlockId::read(buf)?,
            first: Height::read(buf)?,
            block: Block::read_cfg(buf, &())?,
            certificate: FinalityCertificate::read_cfg(buf, &())?,
            transactions: u64::read(buf)?,
            rollups: u32::read(buf)?,
            history: Vec::read_cfg(buf, &(RangeCfg::from(0..=64), ()))?,
            registry: Vec::read_cfg(buf, &(RangeCfg::from(0..=REGISTERED_MAX), ()))?,
        })
    }
}

/// A lane block and the ids of its transactions, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneIds {
    /// The lane block.
    pub lane: LaneBlock,
    /// Which; at least one.
    pub ids: Vec<TransactionId>,
}

impl Write for LaneIds {
    fn write(&self, buf: &mut impl BufMut) {
        self.lane.write(buf);
        self.ids.write(buf);
    }
}

impl EncodeSize for LaneIds {
    fn encode_size(&self) -> usize {
        self.lane.encode_size() + self.ids.encode_size()
    }
}

impl Read for LaneIds {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        let many = RangeCfg::from(1..=TRANSACTIONS_PER_PAYLOAD_MAX);
        Ok(Self {
            lane: LaneBlock::read_cfg(buf, &())?,
            ids: Vec::read_cfg(buf, &(many, ()))?,
        })
    }
}

/// What proves which transactions a block holds, and where in their lanes: everything but their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayloadIds {
    /// Rollups strictly ascending.
    pub lanes: Vec<LaneIds>,
}

impl PayloadIds {
    /// Of this payload, which makes these lane blocks.
    ///
    /// # Panics
    ///
    /// If there is not one lane block for each batch.
    #[must_use]
    pub fn of(payload: &Payload, lanes: &[LaneBlock]) -> Self {
        assert!(
            lanes.len() == payload.batches.len(),
            "each batch makes one lane block"
        );
        let lane = |(batch, lane): (&Batch, &LaneBlock)| LaneIds {
            lane: *lane,
            ids: batch.ids().collect(),
        };
        let batches = payload.batches.iter().zip(lanes);
        Self {
            lanes: batches.map(lane).collect(),
        }
    }

    /// The commitment to the payload that holds these and nothing else.
    #[must_use]
    pub fn commitment(&self) -> PayloadId {
        let leaf = |lane: &LaneIds| {
            let root = Batch::root(&lane.ids);
            Batch::leaf(lane.lane.rollup, length(lane.ids.len()), &root)
        };
        let lanes: Vec<Hash> = self.lanes.iter().map(leaf).collect();
        Payload::commitment(length(lanes.len()), &merkle::root(&lanes))
    }

    /// The lane blocks.
    #[must_use]
    pub fn lane_blocks(&self) -> Vec<LaneBlock> {
        self.lanes.iter().map(|lane| lane.lane).collect()
    }

    /// All ids, in the order of the payload.
    pub fn ids(&self) -> impl Iterator<Item = TransactionId> + '_ {
        self.lanes.iter().flat_map(|lane| lane.ids.iter().copied())
    }
}

impl Write for PayloadIds {
    fn write(&self, buf: &mut impl BufMut) {
        self.lanes.write(buf);
    }
}

impl EncodeSize for PayloadIds {
    fn encode_size(&self) -> usize {
        self.lanes.encode_size()
    }
}

impl Read for PayloadIds {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        let many = RangeCfg::from(0..=LANES_PER_PAYLOAD_MAX);
        let lanes: Vec<LaneIds> = Vec::read_cfg(buf, &(many, ()))?;
        let all: usize = lanes.iter().map(|lane| lane.ids.len()).sum();
        if all > TRANSACTIONS_PER_PAYLOAD_MAX {
            return Err(Error::Invalid("PayloadIds", "too many transactions"));
        }
        Ok(Self { lanes })
    }
}

/// A block of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotBlock {
    /// Its header.
    pub block: Block,
    /// What it holds.
    pub holds: PayloadIds,
}

impl Write for SnapshotBlock {
    fn write(&self, buf: &mut impl BufMut) {
        self.block.write(buf);
        self.holds.write(buf);
    }
}

impl EncodeSize for SnapshotBlock {
    fn encode_size(&self) -> usize {
        self.block.encode_size() + self.holds.encode_size()
    }
}

impl Read for SnapshotBlock {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        Ok(Self {
            block: Block::read_cfg(buf, &())?,
            holds: PayloadIds::read_cfg(buf, &())?,
        })
    }
}

/// One piece of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotItem {
    /// The end of an epoch, from the first on.
    EpochEnd(Box<EpochEnd>),
    /// The block to start from.
    Checkpoint(Box<Checkpoint>),
    /// Some of its rollups, ascending.
    Lanes(Vec<LaneEnd>),
    /// A block of the window, from the checkpoint's own down to the first.
    Block(Box<SnapshotBlock>),
}

impl Write for SnapshotItem {
    fn write(&self, buf: &mut impl BufMut) {
        match self {
            Self::EpochEnd(end) => {
                buf.put_u8(1);
                end.write(buf);
            }
            Self::Checkpoint(checkpoint) => {
                buf.put_u8(2);
                checkpoint.write(buf);
            }
            Self::Lanes(lanes) => {
                buf.put_u8(3);
                lanes.write(buf);
            }
            Self::Block(block) => {
                buf.put_u8(4);
                block.write(buf);
            }
        }
    }
}

impl EncodeSize for SnapshotItem {
    fn encode_size(&self) -> usize {
        1 + match self {
            Self::EpochEnd(end) => end.encode_size(),
            Self::Checkpoint(checkpoint) => checkpoint.encode_size(),
            Self::Lanes(lanes) => lanes.encode_size(),
            Self::Block(block) => block.encode_size(),
        }
    }
}

impl Read for SnapshotItem {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        Ok(match u8::read(buf)? {
            1 => Self::EpochEnd(Box::new(EpochEnd::read_cfg(buf, &())?)),
            2 => Self::Checkpoint(Box::new(Checkpoint::read_cfg(buf, &())?)),
            3 => {
                let many = RangeCfg::from(1..=LANES_PER_ITEM_MAX);
                Self::Lanes(Vec::read_cfg(buf, &(many, ()))?)
            }
            4 => Self::Block(Box::new(SnapshotBlock::read_cfg(buf, &())?)),
            other => return Err(Error::InvalidEnum(other)),
        })
    }
}

/// SHA-256 over a block and the end of every lane up to it: the same at every honest member. Rollups ascending.
#[must_use]
pub fn state_digest(
    height: Height,
    block: BlockId,
    lanes: impl IntoIterator<Item = (RollupId, LaneTip)>,
) -> Hash {
    let mut bytes = b"OUTRSTAT".to_vec();
    height.write(&mut bytes);
    block.write(&mut bytes);
    for (rollup, tip) in lanes {
        if tip.transactions > 0 {
            LaneEnd { rollup, tip }.write(&mut bytes);
        }
    }
    sha256(&[&bytes])
}
