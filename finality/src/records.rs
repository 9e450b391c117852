//! The small records that the store keeps about the ledger, fixed width.

use crate::checkpoint::HISTORY_CHUNK;
use bytes::BufMut;
use commonware_codec::Buf;
use outrider_types::codec::{EncodeSize, Error, FixedSize, RangeCfg, Read, ReadExt, Write};
use outrider_types::merkle::Hash;
use outrider_types::{Block, BlockId, Height, Timestamp, View};
use serde::{Deserialize, Serialize};

/// The end of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerTip {
    /// Height of the last block.
    pub height: Height,
    /// Its id.
    pub id: BlockId,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Its view.
    pub view: View,
    /// Transactions of all rollups up to it.
    pub transactions: u64,
}

impl LedgerTip {
    /// The ledger's end with this block as its last.
    pub(crate) fn of(block: &Block, transactions: u64) -> Self {
        Self {
            height: block.height,
            id: block.id(),
            timestamp: block.timestamp,
            view: block.view,
            transactions,
        }
    }
}

impl Write for LedgerTip {
    fn write(&self, buf: &mut impl BufMut) {
        self.height.write(buf);
        self.id.write(buf);
        self.timestamp.write(buf);
        self.view.write(buf);
        self.transactions.write(buf);
    }
}

impl FixedSize for LedgerTip {
    const SIZE: usize = Height::SIZE + BlockId::SIZE + Timestamp::SIZE + View::SIZE + u64::SIZE;
}

impl Read for LedgerTip {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        Ok(Self {
            height: Height::read(buf)?,
            id: BlockId::read(buf)?,
            timestamp: Timestamp::read(buf)?,
            view: View::read(buf)?,
            transactions: u64::read(buf)?,
        })
    }
}

/// The history at a height that is a multiple of [`HISTORY_CHUNK`], so that what a header says of all blocks before it can be
/// told again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryChunk {
    /// All blocks below that height.
    pub peaks: Vec<Hash>,
    /// The last [`HISTORY_CHUNK`] of them, lowest first; none where a snapshot began later.
    pub ids: Vec<BlockId>,
}

impl Write for HistoryChunk {
    fn write(&self, buf: &mut impl BufMut) {
        self.peaks.write(buf);
        self.ids.write(buf);
    }
}

impl EncodeSize for HistoryChunk {
    fn encode_size(&self) -> usize {
        self.peaks.encode_size() + self.ids.encode_size()
    }
}

impl Read for HistoryChunk {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        let ids = RangeCfg::from(0..=HISTORY_CHUNK as usize);
        Ok(Self {
            peaks: Vec::read_cfg(buf, &(RangeCfg::from(0..=64), ()))?,
            ids: Vec::read_cfg(buf, &(ids, ()))?,
        })
    }
}

/// Where a committed transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionLocation {
    /// Height of its block.
    pub height: Height,
    /// Which batch of the block's payload, from 0.
    pub lane_index: u32,
    /// Which transaction of the batch, from 0.
    pub index: u32,
    /// Which transaction of its rollup since genesis, from 0.
    pub position: u64,
}

impl Write for TransactionLocation {
    fn write(&self, buf: &mut impl BufMut) {
        self.height.write(buf);
        self.lane_index.write(buf);
        self.index.write(buf);
        self.position.write(buf);
    }
}

impl FixedSize for TransactionLocation {
    const SIZE: usize = Height::SIZE + u32::SIZE + u32::SIZE + u64::SIZE;
}

impl Read for TransactionLocation {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        Ok(Self {
            height: Height::read(buf)?,
            lane_index: u32::read(buf)?,
            index: u32::read(buf)?,
            position: u64::read(buf)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::{decode, encode};
    use proptest::prelude::*;

    #[test]
    fn bytes_of_the_records_are_pinned() {
        let location = TransactionLocation {
            height: Height(1),
            lane_index: 2,
            index: 3,
            position: 4,
        };
        assert_eq!(
            hex::encode(encode(&location)),
            "04000000000000000100000002000000030000000000000004"
        );
        let tip = LedgerTip {
            height: Height(1),
            id: BlockId([0xab; 32]),
            timestamp: Timestamp(2),
            view: View(3),
            transactions: 4,
        };
        let id = "ab".repeat(32);
        let expected =
            format!("040000000000000001{id}000000000000000200000000000000030000000000000004");
        assert_eq!(hex::encode(encode(&tip)), expected);
    }

    proptest! {
        #[test]
        fn records_survive_the_store(height: u64, id: [u8; 32], a: u64, b: u64, c: u64, lane_index: u32, index: u32) {
            let location = TransactionLocation { height: Height(height), lane_index, index, position: a };
            prop_assert_eq!(decode::<TransactionLocation>(encode(&location)).unwrap(), location);
            let tip = LedgerTip {
                height: Height(height),
                id: BlockId(id),
                timestamp: Timestamp(a),
                view: View(b),
                transactions: c,
            };
            prop_assert_eq!(decode::<LedgerTip>(encode(&tip)).unwrap(), tip);
        }
    }
}
