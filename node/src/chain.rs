//! The chain on disk: blocks, payloads, certificates and indexes as typed records over a [`Store`].
//!
//! | table | key | value |
//! |---|---|---|
//! | Block | block id | [`BlockRecord`] |
//! | Payload | payload id | [`Payload`] |
//! | Height | height | block id of the final block |
//! | Certificate | height | [`FinalityCertificate`] of the final block, where it has its own |
//! | Transaction | see `chain/transactions.rs` | where final transactions are |
//! | Meta | `tip` | [`LedgerTip`], written last: what it names is there |
//! | Meta | `epoch-start`, `epoch-end` + epoch | [`EpochStart`], [`EpochEnd`](outrider_types::EpochEnd) |
//! | Meta | `change` + epoch + committee | approved changes of that epoch's committee |
//! | Lane | see `chain/lanes.rs` | lane blocks, ends of lanes, the history of blocks |
//! | Meta | `floor`, `swept` | heights, see `chain/pruning.rs` |
//! | Meta | `unfinal` + kind + id | height at which a block or payload was put that is not final |
//! | Meta | `digest` + height | [`state_digest`](outrider_finality::state_digest) at that height |
//! | Meta | `ids` + height | ids of a block's transactions, where a snapshot gave them and the payload is not here |
//! | Evidence | see `chain/evidence.rs` | evidence, and certificates kept for the evidence period |
//! | Meta | `left` | epoch and view of the last vote that was on record when the store began |

mod epochs;
mod evidence;
mod history;
mod lanes;
mod proofs;
mod pruning;
mod snapshot;
#[cfg(test)]
mod testing;
mod transactions;

pub use epochs::CHANGES_MAX;
pub use evidence::{EVIDENCE_PER_PAGE, Paged};
pub use proofs::{LANE_BLOCKS_PER_RANGE_MAX, ServedLane};
pub use pruning::{InUse, Pruned, UNFINAL_BLOCKS_KEPT};
pub use snapshot::{BLOCKS_PER_PAGE_MAX, InstallError, Installer, TakeError, lane_items};

use crate::handle::{BlockAt, CommittedBlock, Finality, TransactionStatus};
use bytes::Bytes;
use outrider_finality::{Ledger, LedgerError, LedgerTip};
use outrider_storage::{Store, StoreError, Table};
use outrider_types::codec::{Encode, Read};
use outrider_types::limits::{BLOCKS_PER_RANGE_MAX, MESSAGE_BYTES_MAX, TRANSACTIONS_PER_RANGE_MAX};
use outrider_types::message::{FullBlock, Range};
use outrider_types::registry::RegistryRecord;
use outrider_types::{
    Block, BlockId, BlockRecord, CheckedPayload, Committee, CommitteeId, Contact, DecodeError,
    EpochStart, FinalityCertificate, Height, LaneBlock, Payload, PayloadId, TransactionId,
    Verified, decode, encode,
};
use std::sync::Arc;

const TIP: &[u8] = b"tip";

/// Bytes of blocks in one answer to a range request.
const RANGE_BYTES_MAX: usize = MESSAGE_BYTES_MAX / 2;

/// Why the chain cannot be read or extended. All of these end the member.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is not what its table says.
    #[error("a stored {what} cannot be read ({error}); {ADVICE}")]
    Decode {
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        error: DecodeError,
    },
    /// An index names what is not there.
    #[error("the store names a {what} that it does not hold; {ADVICE}")]
    Missing {
        /// What.
        what: &'static str,
    },
    /// The data folder is of another network.
    #[error(
        "the store holds another chain (genesis {found}, expected {expected}); use the data folder of this network, or an empty one"
    )]
    OtherChain {
        /// Genesis in the store.
        found: BlockId,
        /// Genesis of the committee file.
        expected: BlockId,
    },
    /// A snapshot was not installed to the end.
    #[error(
        "a snapshot was being installed here and did not finish; move the store folder (not the journal) away and install it again"
    )]
    HalfInstalled,
    /// A final block does not extend the ledger.
    #[error("a final block does not extend the ledger: {0}")]
    Ledger(#[from] LedgerError),
}

const ADVICE: &str = "stop the member, move the store folder (not the journal) away and start again: it fetches the chain from the others";

/// The ledger and what is stored with it.
#[derive(Debug)]
pub struct Chain<S> {
    store: S,
    ledger: Ledger,
    epoch: EpochStart,
    genesis: Block,
    root: Block,
    /// A block was put that is not on the disk yet.
    unsynced: bool,
    pruning: pruning::PruneState,
    transactions: transactions::Transactions,
}

impl<S: Store> Chain<S> {
    /// Open the chain that begins with this committee in a store, empty or not. `contacts` say where its members are, in
    /// the same order.
    pub fn open(
        store: S,
        committee: Committee,
        contacts: Vec<Contact>,
    ) -> Result<Self, ChainError> {
        let mut chain = Self::blank(store, committee, contacts);
        if chain.half_installed()? {
            return Err(ChainError::HalfInstalled);
        }
        match chain.read::<LedgerTip>(Table::Meta, TIP, "ledger tip")? {
            None => chain.begin()?,
            Some(tip) => chain.restore(tip)?,
        }
        Ok(chain)
    }

    fn blank(store: S, committee: Committee, contacts: Vec<Contact>) -> Self {
        let genesis = Block::genesis(&committee);
        Self {
            store,
            ledger: Ledger::new(&genesis),
            epoch: EpochStart {
                committee,
                contacts,
                base: genesis,
            },
            genesis,
            root: genesis,
            unsynced: false,
            pruning: pruning::PruneState::new(),
            transactions: transactions::Transactions::new(),
        }
    }

    fn begin(&mut self) -> Result<(), ChainError> {
        self.put_first()?;
        self.store
            .put(Table::Meta, TIP, encode(self.ledger.tip()))?;
        self.store.sync()?;
        Ok(())
    }

    /// What every store of this chain begins with.
    fn put_first(&mut self) -> Result<(), ChainError> {
        self.put_votes_unknown()?;
        let id = self.genesis.id();
        let record = BlockRecord {
            block: self.genesis,
            justification: None,
        };
        self.put_record(&record)?;
        self.store.put(
            Table::Height,
            &height_key(Height(0)),
            Bytes::copy_from_slice(&id.0),
        )?;
        self.put_epoch_start(&self.epoch.clone())
    }

    fn restore(&mut self, tip: LedgerTip) -> Result<(), ChainError> {
        let found = self
            .id_at(Height(0))?
            .ok_or(ChainError::Missing { what: "genesis" })?;
        let expected = self.genesis.id();
        if found != expected {
            return Err(ChainError::OtherChain { found, expected });
        }
        self.root = self.block_at(tip.height)?.ok_or(ChainError::Missing {
            what: "last final block",
        })?;
        let (lanes, history) = (self.lane_ends(tip.height)?, self.history_to(tip.height)?);
        let rest = (history, self.registry(tip.height)?);
        self.ledger = Ledger::restore(tip, lanes, rest)?;
        self.restore_pruning()?;
        self.restore_transactions()?;
        self.restore_epoch()
    }

    /// The ledger.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The last final block.
    pub const fn root(&self) -> &Block {
        &self.root
    }

    /// The first block.
    pub const fn genesis(&self) -> &Block {
        &self.genesis
    }

    /// Keep a block with its justification.
    pub fn put_record(&mut self, record: &BlockRecord) -> Result<(), ChainError> {
        self.unsynced = true;
        self.note_block(&record.block)?;
        Ok(self
            .store
            .put(Table::Block, &record.block.id().0, encode(record))?)
    }

    /// Keep a payload.
    pub fn put_payload(&mut self, id: PayloadId, payload: &Payload) -> Result<(), ChainError> {
        if self.store.get(Table::Payload, &id.0)?.is_none() {
            self.note_payload(id)?;
            self.store.put(Table::Payload, &id.0, encode(payload))?;
        }
        Ok(())
    }

    /// Everything put so far is durable on return.
    pub fn sync(&mut self) -> Result<(), ChainError> {
        self.unsynced = false;
        self.put_notes()?;
        Ok(self.store.sync()?)
    }

    /// Every block put or made final so far, with its payload, is durable on return.
    pub fn sync_records(&mut self) -> Result<(), ChainError> {
        if self.unsynced {
            self.sync()?;
        }
        Ok(())
    }

    /// Append final blocks, parents first; the certificate is of the last one. Gives the block's lane blocks.
    pub fn commit(
        &mut self,
        block: &Block,
        payload: &CheckedPayload,
        certificate: Option<&FinalityCertificate>,
    ) -> Result<Arc<[LaneBlock]>, ChainError> {
        let id = block.id();
        let before = self.ledger.registry().clone();
        let appended = self.ledger.append(block, payload)?;
        if appended.registered {
            self.put_registry(RegistryRecord {
                height: block.height,
                now: self.ledger.registry().iter().copied().collect(),
                before: before.iter().copied().collect(),
            })?;
        }
        self.unsynced = true;
        let key = height_key(block.height);
        self.store
            .put(Table::Height, &key, Bytes::copy_from_slice(&id.0))?;
        if let Some(certificate) = certificate {
            self.put_certificate(block.height, certificate)?;
        }
        self.put_transactions(block.height, &appended.entries)?;
        let lanes = Arc::from(appended.lanes.as_slice());
        self.put_lanes(block.height, appended.lanes)?;
        self.put_history()?;
        self.unnote(block)?;
        self.put_digest()?;
        self.store
            .put(Table::Meta, TIP, encode(self.ledger.tip()))?;
        self.root = *block;
        Ok(lanes)
    }

    fn put_certificate(
        &mut self,
        height: Height,
        certificate: &FinalityCertificate,
    ) -> Result<(), ChainError> {
        let value = encode(certificate);
        Ok(self
            .store
            .put(Table::Certificate, &height_key(height), value)?)
    }

    /// A block by id, final or not.
    pub fn record(&self, id: BlockId) -> Result<Option<BlockRecord>, ChainError> {
        self.read(Table::Block, &id.0, "block")
    }

    /// A payload by id.
    pub fn payload(&self, id: PayloadId) -> Result<Option<Payload>, ChainError> {
        self.read(Table::Payload, &id.0, "payload")
    }

    /// A block with its payload, for a member that misses it.
    pub fn full(&self, id: BlockId) -> Result<Option<FullBlock>, ChainError> {
        let Some(record) = self.record(id)? else {
            return Ok(None);
        };
        Ok(self
            .payload(record.block.payload)?
            .map(|payload| FullBlock { record, payload }))
    }

    /// The height at which a transaction is final.
    pub fn height_of(&self, id: &TransactionId) -> Result<Option<Height>, ChainError> {
        Ok(self.location(id)?.map(|location| location.height))
    }

    /// Where a transaction is, as far as it is final.
    pub fn status(&self, id: &TransactionId) -> Result<Option<TransactionStatus>, ChainError> {
        let Some(location) = self.location(id)? else {
            return Ok(None);
        };
        let block = self.id_at(location.height)?.ok_or(ChainError::Missing {
            what: "final block",
        })?;
        Ok(Some(TransactionStatus::Soft {
            height: location.height,
            block,
            position: location.position,
            finality: Finality::Soft,
        }))
    }

    /// A final block with what makes it final.
    pub fn committed(&self, at: BlockAt) -> Result<Option<CommittedBlock>, ChainError> {
        let height = match at {
            BlockAt::Height(height) => height,
            BlockAt::Id(id) => match self.record(id)? {
                Some(record) if self.id_at(record.block.height)? == Some(id) => record.block.height,
                _ => return Ok(None),
            },
        };
        if height == Height(0) || self.pruned(height).is_some() {
            return Ok(None);
        }
        let Some(block) = self.block_at(height)? else {
            return Ok(None);
        };
        let Some(proofs::Proven { certificate, .. }) = self.certificate_from(&block)? else {
            return Ok(None);
        };
        let payload = self
            .payload(block.payload)?
            .ok_or(ChainError::Missing { what: "payload" })?;
        let transactions: Vec<TransactionId> = payload.ids().collect();
        Ok(Some(CommittedBlock {
            id: block.id(),
            block,
            payload: Arc::new(payload),
            transactions: transactions.into(),
            lanes: self.lane_blocks(height)?.into(),
            certificate: Arc::new(certificate),
        }))
    }

    /// Final blocks of one epoch from a height on, up to one that has its own certificate, or to the end of the epoch.
    pub fn range(&self, from: Height) -> Result<Option<Range>, ChainError> {
        let mut blocks = Vec::new();
        if self.pruned(Height(from.0.max(1))).is_some() {
            return Ok(None);
        }
        let (mut bytes, mut transactions) = (0, 0);
        let mut proven = None;
        for height in (from.0.max(1)..).map(Height).take(BLOCKS_PER_RANGE_MAX) {
            let Some(id) = self.id_at(height)? else { break };
            let full = self.full(id)?.ok_or(ChainError::Missing {
                what: "final block",
            })?;
            bytes += commonware_codec::EncodeSize::encode_size(&full);
            transactions += full.payload.len();
            if (bytes > RANGE_BYTES_MAX || transactions > TRANSACTIONS_PER_RANGE_MAX)
                && !blocks.is_empty()
            {
                break;
            }
            let block = full.record.block;
            blocks.push(full);
            if block.next != CommitteeId::NONE {
                let end = self.epoch_end(block.epoch)?;
                return Ok(end.map(|end| Range {
                    blocks,
                    fillers: end.fillers,
                    certificate: end.certificate,
                    change: end.change,
                }));
            }
            if let Some(certificate) = self.certificate(height)? {
                proven = Some((blocks.len(), certificate));
            }
        }
        Ok(proven.map(|(len, certificate)| {
            blocks.truncate(len);
            Range {
                blocks,
                fillers: Vec::new(),
                certificate,
                change: None,
            }
        }))
    }

    /// Blocks above the last final one that lead to these, parents first: what a restarting member still holds.
    pub fn uncommitted(
        &self,
        tips: &[BlockId],
    ) -> Result<Vec<(Verified<BlockRecord>, Payload)>, ChainError> {
        let root = self.root.id();
        let mut found: Vec<(Verified<BlockRecord>, Payload)> = Vec::new();
        for tip in tips {
            let mut at = *tip;
            while at != root && found.iter().all(|(record, _)| record.block.id() != at) {
                let Some(full) = self.full(at)? else { break };
                let parent = full.record.block.parent;
                if full.record.block.height <= self.root.height {
                    break;
                }
                // Its own disk is outside too; what does not verify is fetched again.
                let Ok(record) = full.record.verify(&self.epoch.committee) else {
                    break;
                };
                found.push((record, full.payload));
                at = parent;
            }
        }
        found.sort_by_key(|(record, _)| record.block.height);
        Ok(found)
    }

    /// Bytes the store takes.
    pub fn bytes_on_disk(&self) -> u64 {
        self.store.bytes_on_disk()
    }

    /// Give back space of deleted values; for quiet moments.
    pub fn reclaim(&mut self) -> Result<u64, ChainError> {
        Ok(self.store.reclaim()?)
    }

    fn id_at(&self, height: Height) -> Result<Option<BlockId>, ChainError> {
        let Some(bytes) = self.store.get(Table::Height, &height_key(height))? else {
            return Ok(None);
        };
        let id = (&*bytes)
            .try_into()
            .map_err(|_| ChainError::Missing { what: "block id" })?;
        Ok(Some(BlockId(id)))
    }

    fn block_at(&self, height: Height) -> Result<Option<Block>, ChainError> {
        let Some(id) = self.id_at(height)? else {
            return Ok(None);
        };
        Ok(self.record(id)?.map(|record| record.block))
    }

    fn certificate(&self, height: Height) -> Result<Option<FinalityCertificate>, ChainError> {
        self.read(Table::Certificate, &height_key(height), "certificate")
    }

    fn read<T: Read<Cfg = ()> + Encode>(
        &self,
        table: Table,
        key: &[u8],
        what: &'static str,
    ) -> Result<Option<T>, ChainError> {
        let Some(bytes) = self.store.get(table, key)? else {
            return Ok(None);
        };
        decode(bytes)
            .map(Some)
            .map_err(|error| ChainError::Decode { what, error })
    }
}

const fn height_key(height: Height) -> [u8; 8] {
    height.0.to_be_bytes()
}
