//! A long past, made without living it: a chain on a disk as members that ordered it would hold it, with every signature.
//! And a store that lies about it, so that a member of a world can answer others wrongly while it votes like the rest.

use outrider_finality::{HISTORY_CHUNK, Outlook};
use outrider_node::chain::{Chain, ChainError};
use outrider_node::snapshot::SnapshotFileError;
use outrider_storage::{
    Journal as _, JournalError, MemoryDisk, MemoryStore, Store, StoreError, Table,
};
use outrider_types::{
    Aggregate, Batch, Block, BlockRecord, Bytes, Certificate, CheckedPayload, CommitVote,
    Committee, FinalityCertificate, Height, Justification, MemberIndex, Payload, PayloadError,
    RollupId, SafetyState, SecretKey, Signed, Statement, Timestamp, View, Vote,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Every so many blocks one has a certificate of its own, as under load; the blocks between are final through it.
const CERTIFIED_EVERY: u64 = 64;
/// When the past began, in microseconds since 1970: before any world does.
const BEGAN: u64 = 1_600_000_000_000_000;
/// Blocks put between two syncs.
const SYNC_EVERY: u64 = 1_024;

/// Why a past cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// A payload that may stand in no block.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotFileError),
    /// Nobody signs.
    #[error("a past needs members that sign it")]
    NoSigners,
}

/// The same statement by all of these members.
fn signed<S: Statement + Copy>(
    statement: S,
    committee: &Committee,
    keys: &[SecretKey],
) -> Result<Aggregate<S>, PastError> {
    let signatures: Vec<_> = committee
        .indexes()
        .zip(keys)
        .map(|(member, key)| Signed::sign(statement, committee.chain(), member, key))
        .collect();
    Aggregate::assemble(&signatures).ok_or(PastError::NoSigners)
}

fn block_of(chain: &Chain<MemoryStore>, payload: &CheckedPayload, members: usize) -> Block {
    let parent = chain.root();
    let roots = Outlook::default().roots(chain.ledger(), parent.id(), payload);
    let view = View(parent.view.0 + 1);
    let proposer = u16::try_from(view.0 as usize % members.max(1)).unwrap_or(0);
    Block {
        view,
        height: Height(parent.height.0 + 1),
        parent: parent.id(),
        justify: parent.view,
        payload: payload.id,
        roots: roots.unwrap_or_default(),
        origin: outrider_types::Origin::NONE,
        timestamp: Timestamp(BEGAN + view.0 * 1_000),
        proposer: MemberIndex(proposer),
        ..*parent
    }
}

/// Let the first members of a committee (those whose keys are given, of stake `>= Q`) have ordered so many blocks, one
/// transaction in each, in the first epoch: chain and vote journal of each of them.
pub fn make(
    chain: &mut Chain<MemoryStore>,
    disk: &MemoryDisk,
    keys: &[SecretKey],
    blocks: u64,
) -> Result<(), PastError> {
    let committee = chain.epoch().committee.clone();
    let mut justification: Option<Justification> = None;
    let mut voted = None;
    for height in 1..=blocks {
        let payload = Payload {
            batches: vec![Batch {
                rollup: RollupId(height % 4),
                transactions: vec![format!("long ago, at {height}").into()],
            }],
        };
        let checked = CheckedPayload::new(payload)?;
        let block = block_of(chain, &checked, committee.members().len());
        let (epoch, view, id) = (block.epoch, block.view, block.id());
        let vote = Vote {
            epoch,
            view,
            block: id,
        };
        let record = BlockRecord {
            block,
            justification: justification.take(),
        };
        let certificate = if height.is_multiple_of(CERTIFIED_EVERY) || height == blocks {
            let vote = CommitVote {
                epoch,
                view,
                block: id,
            };
            let signed = signed(vote, &committee, keys)?;
            Some(FinalityCertificate::Slow(signed))
        } else {
            None
        };
        chain.put_record(&record)?;
        chain.put_payload(block.payload, &checked.payload)?;
        chain.commit(&block, &checked, certificate.as_ref())?;
        let quorum = Certificate::Quorum(signed(vote, &committee, keys)?);
        justification = Some(Justification::Certificate(quorum));
        voted = Some(vote);
        if height.is_multiple_of(SYNC_EVERY) || height == blocks {
            chain.sync()?;
        }
    }
    let mut safety = SafetyState::new(&committee);
    if let Some(Justification::Certificate(high)) = justification {
        safety.view = View(blocks + 1);
        safety.entry = Some(Justification::Certificate(high.clone()));
        safety.high = Some(high);
        safety.voted = voted;
    }
    disk.journal().append(&safety.to_bytes())?;
    Ok(())
}

/// What a liar answers to those who ask for the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Nothing.
    Silent,
    /// Final blocks from before the height that was asked for, as far as there are any.
    Stale,
    /// Final blocks from after it.
    Gap,
    /// Those, under the certificate of the blocks that were asked for.
    Mixed,
    /// A certificate with a signature that nobody made.
    Forged,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Silent,
        Self::Stale,
        Self::Gap,
        Self::Mixed,
        Self::Forged,
    ];
}

/// How far off stale and later blocks are: more than an answer holds.
pub const LIE_BLOCKS: u64 = 8 * CERTIFIED_EVERY;

/// How often something was asked that was answered with a lie.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<AtomicU64>);

impl Told {
    /// How often.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A store that lies about heights below one, and is honest above and in everything else. Its owner serves the lies.
#[derive(Debug)]
pub struct LyingStore {
    inner: MemoryStore,
    /// The lie and the end of the past; none: an honest store.
    lie: Option<(Lie, u64)>,
    told: Told,
}

impl LyingStore {
    /// A store that lies about heights below one, if a lie is given.
    #[must_use]
    pub const fn new(inner: MemoryStore, lie: Option<(Lie, u64)>, told: Told) -> Self {
        Self { inner, lie, told }
    }

    /// The lie, and the height that is asked for.
    fn lied(&self, table: Table, key: &[u8]) -> Option<(Lie, u64)> {
        let (lie, end) = self.lie?;
        let asked = matches!(table, Table::Height | Table::Certificate);
        let height = u64::from_be_bytes(key.try_into().ok()?);
        // The liar itself starts from the last block of the past, and from the last chunk of its history.
        let lies = 1..end.saturating_sub(HISTORY_CHUNK);
        (asked && lies.contains(&height)).then_some((lie, height))
    }
}

impl Store for LyingStore {
    fn put(&mut self, table: Table, key: &[u8], value: Bytes) -> Result<(), StoreError> {
        self.inner.put(table, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.inner.delete(table, key)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let Some((lie, height)) = self.lied(table, key) else {
            return self.inner.get(table, key);
        };
        self.told.0.fetch_add(1, Ordering::Relaxed);
        let honest = |height: u64| self.inner.get(table, &height.to_be_bytes());
        match (lie, table) {
            (Lie::Silent, _) => Ok(None),
            (Lie::Stale, _) if height > LIE_BLOCKS => honest(height - LIE_BLOCKS),
            (Lie::Mixed, Table::Certificate) | (Lie::Stale, _) => honest(height),
            (Lie::Gap | Lie::Mixed, _) => honest(height + LIE_BLOCKS),
            (Lie::Forged, Table::Certificate) => Ok(honest(height)?.map(|certificate| {
                let mut bytes = certificate.to_vec();
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
                bytes.into()
            })),
            (Lie::Forged, _) => honest(height),
        }
    }

    fn range(
        &self,
        table: Table,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.inner.range(table, from, limit)
    }

    fn last(&self, table: Table) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        self.inner.last(table)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.inner.sync()
    }

    fn bytes_on_disk(&self) -> u64 {
        self.inner.bytes_on_disk()
    }
}
