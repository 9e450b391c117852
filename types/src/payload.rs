//! Transactions, batches and payloads. A payload groups its transactions by rollup, rollups ascending, so that one
//! commitment proves what a block holds for a rollup, and what it does not.

use crate::codec::{EncodeSize, Error, FixedSize, RangeCfg, Read, Write, read_items};
use crate::crypto::sha256;
use crate::ids::{PayloadId, RollupId, TransactionId};
use crate::limits::{
    LANES_PER_PAYLOAD_MAX, PAYLOAD_BYTES_MAX, TRANSACTION_BYTES_MAX, TRANSACTIONS_PER_PAYLOAD_MAX,
};
use crate::merkle::{self, Hash};
use crate::zoo::{self, Mutant};
use bytes::{BufMut, Bytes};
use commonware_codec::Buf;
use std::sync::Arc;

/// A rollup's transaction: opaque bytes, ordered and never executed here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transaction {
    /// Whose.
    pub rollup: RollupId,
    /// What, at most [`TRANSACTION_BYTES_MAX`] bytes.
    pub data: Bytes,
}

impl Transaction {
    /// `sha256(rollup id || data)`.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        transaction_id(self.rollup, &self.data)
    }
}

fn transaction_id(rollup: RollupId, data: &[u8]) -> TransactionId {
    if zoo::is(Mutant::RollupNotHashed) {
        return TransactionId(sha256(&[data]));
    }
    TransactionId(sha256(&[&rollup.0.to_be_bytes(), data]))
}

impl Write for Transaction {
    fn write(&self, buf: &mut impl BufMut) {
        self.rollup.write(buf);
        self.data.write(buf);
    }
}

impl EncodeSize for Transaction {
    fn encode_size(&self) -> usize {
        RollupId::SIZE + self.data.encode_size()
    }
}

impl Read for Transaction {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        let rollup = RollupId::read_cfg(buf, &())?;
        let data = Bytes::read_cfg(buf, &RangeCfg::from(0..=TRANSACTION_BYTES_MAX))?;
        Ok(Self { rollup, data })
    }
}

/// Transactions of one rollup, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Whose.
    pub rollup: RollupId,
    /// Their bytes, in order; at least one.
    pub transactions: Vec<Bytes>,
}

impl Batch {
    /// Ids of its transactions, in order.
    pub fn ids(&self) -> impl Iterator<Item = TransactionId> + '_ {
        self.transactions
            .iter()
            .map(|data| transaction_id(self.rollup, data))
    }

    /// The leaf of this batch in the payload's tree: rollup, count and transaction root.
    #[must_use]
    pub fn leaf(rollup: RollupId, count: u32, root: &Hash) -> Hash {
        let mut leaf = [0; 8 + 4 + 32];
        leaf[..8].copy_from_slice(&rollup.0.to_be_bytes());
        leaf[8..12].copy_from_slice(&count.to_be_bytes());
        leaf[12..].copy_from_slice(root);
        merkle::leaf_hash(&leaf)
    }

    /// How many transactions it has, as it is hashed: the limits of a payload keep it far below the end of `u32`.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.transactions.len()).unwrap_or(u32::MAX)
    }

    /// Merkle root over the ids of its transactions.
    #[must_use]
    pub fn root(ids: &[TransactionId]) -> Hash {
        let leaves: Vec<Hash> = ids.iter().map(|id| merkle::leaf_hash(&id.0)).collect();
        merkle::root(&leaves)
    }
}

impl Write for Batch {
    fn write(&self, buf: &mut impl BufMut) {
        self.rollup.write(buf);
        self.transactions.write(buf);
    }
}

impl EncodeSize for Batch {
    fn encode_size(&self) -> usize {
        RollupId::SIZE + self.transactions.encode_size()
    }
}

impl Read for Batch {
    /// Most transactions that it may hold.
    type Cfg = usize;
    fn read_cfg(buf: &mut impl Buf, max: &usize) -> Result<Self, Error> {
        let rollup = RollupId::read_cfg(buf, &())?;
        let count = usize::read_cfg(buf, &RangeCfg::from(1..=*max))?;
        let bytes = RangeCfg::from(0..=TRANSACTION_BYTES_MAX);
        Ok(Self {
            rollup,
            transactions: read_items(buf, count, |buf| Bytes::read_cfg(buf, &bytes))?,
        })
    }
}

/// Everything one block orders: batches, rollups strictly ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// One batch per rollup that has transactions in the block.
    pub batches: Vec<Batch>,
}

impl Write for Payload {
    fn write(&self, buf: &mut impl BufMut) {
        self.batches.write(buf);
    }
}

impl EncodeSize for Payload {
    fn encode_size(&self) -> usize {
        self.batches.encode_size()
    }
}

impl Read for Payload {
    type Cfg = ();
    /// Refuses more than [`TRANSACTIONS_PER_PAYLOAD_MAX`] over all batches: an empty transaction is one byte on the
    /// wire and a whole handle in memory.
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        let lanes = usize::read_cfg(buf, &RangeCfg::from(0..=LANES_PER_PAYLOAD_MAX))?;
        let mut left = TRANSACTIONS_PER_PAYLOAD_MAX;
        let batches = read_items(buf, lanes, |buf| {
            let batch = Batch::read_cfg(buf, &left)?;
            left = left.saturating_sub(batch.transactions.len());
            Ok(batch)
        })?;
        Ok(Self { batches })
    }
}

/// Why a payload may not stand in a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Rollups out of order, or one of them twice.
    #[error("rollups are not strictly ascending at rollup {rollup}")]
    LaneOrder {
        /// The first out of place.
        rollup: RollupId,
    },
    /// A batch of nothing.
    #[error("rollup {rollup} has an empty batch")]
    EmptyBatch {
        /// Whose.
        rollup: RollupId,
    },
    /// A single transaction is over its limit.
    #[error(
        "a transaction of rollup {rollup} has {bytes} bytes, at most {TRANSACTION_BYTES_MAX} are allowed"
    )]
    TransactionSize {
        /// Whose.
        rollup: RollupId,
        /// How large.
        bytes: usize,
    },
    /// More transactions than a block may hold.
    #[error("{count} transactions, at most {TRANSACTIONS_PER_PAYLOAD_MAX} are allowed")]
    TransactionCount {
        /// How many.
        count: usize,
    },
    /// More rollups than a block may hold.
    #[error("{count} rollups, at most {LANES_PER_PAYLOAD_MAX} are allowed")]
    LaneCount {
        /// How many.
        count: usize,
    },
    /// More bytes than a block may hold.
    #[error("{bytes} bytes, at most {PAYLOAD_BYTES_MAX} are allowed")]
    Size {
        /// How many.
        bytes: usize,
    },
    /// The same transaction twice.
    #[error("transaction {id} stands in it twice")]
    Duplicate {
        /// Which.
        id: TransactionId,
    },
}

impl Payload {
    /// The commitment to its batches, rollups ascending.
    #[must_use]
    pub fn id(&self) -> PayloadId {
        self.id_of(&self.batch_roots(&self.ids().collect::<Vec<_>>()))
    }

    /// The Merkle root of each batch, from the ids of all transactions in order: no transaction is hashed again.
    fn batch_roots(&self, ids: &[TransactionId]) -> Vec<Hash> {
        assert!(ids.len() == self.len(), "each transaction has one id");
        let mut rest = ids;
        let mut roots = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            let (own, others) = rest.split_at(batch.transactions.len());
            rest = others;
            roots.push(Batch::root(own));
        }
        roots
    }

    /// Its commitment, from the Merkle root of each batch.
    fn id_of(&self, roots: &[Hash]) -> PayloadId {
        let leaves: Vec<Hash> = self
            .batches
            .iter()
            .zip(roots)
            .map(|(batch, root)| Batch::leaf(batch.rollup, batch.count(), root))
            .collect();
        let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
        Self::commitment(count, &merkle::root(&leaves))
    }

    /// `sha256(0x02 || count || root)` of so many batches with this Merkle root. A root alone does not say how many
    /// leaves are under it: one path can fit trees of several sizes.
    #[must_use]
    pub fn commitment(count: u32, root: &Hash) -> PayloadId {
        PayloadId(sha256(&[&[2], &count.to_be_bytes(), root]))
    }

    /// How many transactions it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batches
            .iter()
            .map(|batch| batch.transactions.len())
            .sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches
            .iter()
            .all(|batch| batch.transactions.is_empty())
    }

    /// Ids of all transactions, in order.
    pub fn ids(&self) -> impl Iterator<Item = TransactionId> + '_ {
        self.batches.iter().flat_map(Batch::ids)
    }

    /// Check everything that needs no history: order, sizes, counts, duplicates inside. Returns the ids, in order.
    pub fn check(&self) -> Result<Vec<TransactionId>, PayloadError> {
        CheckedPayload::new(self.clone()).map(|checked| checked.transactions.to_vec())
    }

    /// Check order, sizes and counts, which needs no hash.
    fn check_sizes(&self) -> Result<(), PayloadError> {
        if self.batches.len() > LANES_PER_PAYLOAD_MAX {
            return Err(PayloadError::LaneCount {
                count: self.batches.len(),
            });
        }
        let count = self.len();
        if count > TRANSACTIONS_PER_PAYLOAD_MAX {
            return Err(PayloadError::TransactionCount { count });
        }
        let bytes = self.encode_size();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(PayloadError::Size { bytes });
        }
        let mut last = None;
        for Batch {
            rollup,
            transactions,
        } in &self.batches
        {
            if last.is_some_and(|last| last >= *rollup) {
                return Err(PayloadError::LaneOrder { rollup: *rollup });
            }
            last = Some(*rollup);
            if transactions.is_empty() {
                return Err(PayloadError::EmptyBatch { rollup: *rollup });
            }
            if let Some(large) = transactions
                .iter()
                .find(|data| data.len() > TRANSACTION_BYTES_MAX)
            {
                return Err(PayloadError::TransactionSize {
                    rollup: *rollup,
                    bytes: large.len(),
                });
            }
        }
        Ok(())
    }
}

/// A payload that may stand in a block, with its commitment and the ids of what it holds: made only by a check, so that
/// nothing is hashed or checked twice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckedPayload {
    /// Its commitment.
    pub id: PayloadId,
    /// What it holds.
    pub payload: Arc<Payload>,
    /// Ids of its transactions, in order.
    pub transactions: Arc<[TransactionId]>,
    /// Merkle root of each batch, in order.
    pub roots: Arc<[Hash]>,
}

impl CheckedPayload {
    /// Check and hash a payload.
    pub fn new(payload: Payload) -> Result<Self, PayloadError> {
        payload.check_sizes()?;
        let ids = payload.ids().collect();
        Self::from_ids(payload, ids)
    }

    /// Check a payload whose transactions were hashed when they came: these are their ids, in order.
    ///
    /// # Panics
    ///
    /// If there are not as many of them as transactions.
    pub fn from_ids(payload: Payload, ids: Vec<TransactionId>) -> Result<Self, PayloadError> {
        payload.check_sizes()?;
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        if let Some(id) = sorted
            .windows(2)
            .find(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
        {
            return Err(PayloadError::Duplicate { id });
        }
        let roots = payload.batch_roots(&ids);
        Ok(Self {
            id: payload.id_of(&roots),
            payload: Arc::new(payload),
            transactions: ids.into(),
            roots: roots.into(),
        })
    }
}

impl Default for CheckedPayload {
    /// The empty payload.
    fn default() -> Self {
        let payload = Payload::default();
        Self {
            id: payload.id(),
            payload: Arc::new(payload),
            transactions: Arc::new([]),
            roots: Arc::new([]),
        }
    }
}
