//! A driver for tests of the API: commits what is submitted at once, in a block of its own that the committee signed.

#![allow(dead_code, reason = "not every test uses all of it")]

use outrider_finality::{
    CertificatePage, CertificateStore, EvidenceFile, EvidencePage, FinalityProof, Outlook,
};
use outrider_node::api::{self, RunningApi};
use outrider_node::chain::{Chain, InUse, TakeError};
use outrider_node::config::{NodeConfig, RpcConfig};
use outrider_node::handle::{
    BlockAt, ChangeError, Command, CommittedBlock, DriverEnds, ExecutionCommand, ExecutionTaken,
    ExecutionVoteError, Finality, Head, NodeHandle, SubmitError, TransactionStatus,
};
use outrider_storage::{MemoryDisk, MemoryStore};
use outrider_types::evidence::Pair;
use outrider_types::registry::SHORT_LIVED;
use outrider_types::{
    Aggregate, Batch, Block, BlockId, BlockRecord, CheckedPayload, CommitVote, Committee,
    EpochStart, Evidence, FinalityCertificate, Height, MemberIndex, Payload, RollupId, SecretKey,
    Signed, Timestamp, Transaction, TransactionId, View, Vote, testing,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Transactions that begin with this are refused as if the mempool were full.
pub const FULL: &[u8] = b"full";
/// Transactions that begin with this stay pending.
pub const PENDING: &[u8] = b"pending";
/// Transactions that begin with this are not confirmed in time.
pub const NOT_HELD: &[u8] = b"not held";
/// The rollups that are ordered.
pub const ROLLUPS: [u64; 2] = [7, 1001];

/// The first epoch of a committee whose members are nowhere.
pub fn start(committee: &Committee) -> EpochStart {
    EpochStart {
        committee: committee.clone(),
        contacts: Vec::new(),
        base: Block::genesis(committee),
    }
}

pub struct MockDriver {
    committee: Committee,
    keys: Vec<SecretKey>,
    ends: DriverEnds,
    blocks: Vec<Arc<CommittedBlock>>,
    chain: Chain<MemoryStore>,
    status: BTreeMap<TransactionId, TransactionStatus>,
    /// Blocks that are kept.
    keep: u64,
    /// Microseconds from block to block.
    step_us: u64,
}

impl MockDriver {
    /// A handle, and the driver behind it, which runs until all handles are gone.
    pub fn spawn() -> (NodeHandle, Committee) {
        Self::spawn_as(2)
    }

    /// The same as this member of four.
    pub fn spawn_as(member: usize) -> (NodeHandle, Committee) {
        Self::spawn_keeping(member, u64::MAX)
    }

    /// The same, which forgets all but so many blocks.
    pub fn spawn_keeping(member: usize, keep: u64) -> (NodeHandle, Committee) {
        Self::spawn_stepping(member, keep, 1_000)
    }

    /// The same, with so many microseconds from block to block.
    pub fn spawn_stepping(member: usize, keep: u64, step_us: u64) -> (NodeHandle, Committee) {
        let (committee, keys) = testing::committee(&[1; 4]);
        let (handle, ends) = NodeHandle::new(
            start(&committee),
            Head::default(),
            keys[member].public_key(),
        );
        let mut driver = Self {
            committee: committee.clone(),
            keys,
            ends,
            blocks: Vec::new(),
            chain: Chain::open(MemoryDisk::new().store(), committee.clone(), Vec::new()).unwrap(),
            status: BTreeMap::new(),
            keep,
            step_us,
        };
        tokio::spawn(async move {
            while let Some(command) = driver.ends.commands.recv().await {
                driver.answer(command);
            }
        });
        (handle, committee)
    }

    fn answer(&mut self, command: Command) {
        match command {
            Command::Submit { list, reply } => {
                let answers = list.into_iter().map(|(_, one)| self.submit(one));
                let _ = reply.send(answers.collect());
            }
            Command::Status { id, reply } => {
                let status = self.status.get(&id).cloned();
                let _ = reply.send(status.unwrap_or(TransactionStatus::Unknown));
            }
            Command::Block { at, reply } => {
                let found = self.blocks.iter().find(|block| match at {
                    BlockAt::Height(height) => block.block.height == height,
                    BlockAt::Id(id) => block.id == id,
                });
                let _ = reply.send(Ok(found.cloned()));
            }
            Command::Proof { id, reply } => {
                let found = self
                    .blocks
                    .iter()
                    .find(|block| block.transactions.contains(&id));
                let proof = found.and_then(|found| {
                    let certificate = (*found.certificate).clone();
                    FinalityProof::build(
                        &self.committee,
                        found.block,
                        Vec::new(),
                        certificate,
                        &found.payload,
                        id,
                    )
                });
                let _ = reply.send(Ok(proof));
            }
            Command::SubmitChange { change, reply } => {
                let taken = change.verify(&self.committee);
                let _ = reply.send(taken.map(drop).map_err(ChangeError::Invalid));
            }
            Command::Snapshot { reply, .. } => {
                let _ = reply.send(Err(TakeError::TooYoung));
            }
            Command::StateDigest { height, reply } => {
                let _ = reply.send((height.0 == 1_000).then_some([7; 32]));
            }
            Command::EpochEnds { reply, .. } => {
                let _ = reply.send(Vec::new());
            }
            Command::Evidence { from, reply } => {
                let second = from.is_some();
                let page = EvidencePage {
                    evidence: vec![self.evidence(if second { 2 } else { 1 })],
                    next: (!second).then(|| "02ff".to_owned()),
                };
                let _ = reply.send(page);
            }
            Command::Certificates { epoch, from, reply } => {
                let known = epoch.is_none_or(|epoch| epoch == self.committee.epoch());
                let page = CertificatePage {
                    store: CertificateStore::new(self.committee.clone()),
                    next: from.is_none().then(|| "03ff".to_owned()),
                };
                let _ = reply.send(known.then_some(page));
            }
            other => self.answer_about_lanes(other),
        }
    }

    /// A member votes twice in view 5.
    fn evidence(&self, member: usize) -> EvidenceFile {
        let sign = |block| {
            let vote = Vote {
                epoch: self.committee.epoch(),
                view: View(5),
                block: BlockId([block; 32]),
            };
            let index = MemberIndex(u16::try_from(member).unwrap());
            Signed::sign(vote, self.committee.chain(), index, &self.keys[member]).into_inner()
        };
        let pair = Pair {
            first: sign(1),
            second: sign(2),
        };
        let evidence = Evidence::DoubleVote(pair).verify(&self.committee).unwrap();
        EvidenceFile::new(self.committee.clone(), evidence)
    }

    fn answer_about_lanes(&self, command: Command) {
        match command {
            Command::LaneRange {
                rollup,
                from,
                limit,
                reply,
            } => {
                let _ = reply.send(self.chain.lane_page(rollup, from, limit).unwrap());
            }
            Command::Execution(ExecutionCommand::Vote { vote, reply }) => {
                let taken = vote.verify(&self.committee);
                let taken = taken.map(|_| ExecutionTaken::New);
                let _ = reply.send(taken.map_err(ExecutionVoteError::Invalid));
            }
            Command::Execution(ExecutionCommand::Certificate { reply, .. }) => {
                let _ = reply.send(None);
            }
            Command::Execution(ExecutionCommand::Sides { reply, .. }) => {
                let _ = reply.send(Vec::new());
            }
            Command::Registry { reply } => {
                let _ = reply.send(self.chain.ledger().registry().clone());
            }
            Command::LaneProof {
                rollup,
                height,
                reply,
            } => {
                let _ = reply.send(Ok(self.chain.lane_proof(rollup, height).unwrap()));
            }
            Command::LaneRangeProof {
                rollup,
                range: (from, to),
                reply,
            } => {
                let proof = self.chain.lane_range_proof(rollup, from, to);
                let _ = reply.send(proof.unwrap());
            }
            Command::SkipProof { from, to, reply } => {
                let _ = reply.send(self.chain.skip_proof(from, to).unwrap());
            }
            other => unreachable!("answered above: {other:?}"),
        }
    }

    fn submit(&mut self, transaction: Transaction) -> Result<TransactionId, SubmitError> {
        let id = transaction.id();
        if let Some(status) = self.status.get(&id).cloned() {
            return Err(SubmitError::Duplicate { status });
        }
        let Transaction { rollup, data } = &transaction;
        if SHORT_LIVED.contains(&rollup.0) {
            return Err(SubmitError::Closed { rollup: *rollup });
        }
        if !ROLLUPS.contains(&rollup.0) {
            return Err(SubmitError::UnknownRollup { rollup: *rollup });
        }
        if data.is_empty() {
            return Err(SubmitError::Empty);
        }
        if data.starts_with(FULL) {
            return Err(SubmitError::Full {
                limit: 1,
                unit: "transactions",
                retry_after_ms: 250,
            });
        }
        if data.starts_with(NOT_HELD) {
            return Err(SubmitError::NotHeld { waited_ms: 5_000 });
        }
        if data.starts_with(PENDING) {
            self.status.insert(id, TransactionStatus::Pending);
            return Ok(id);
        }
        self.commit(transaction);
        Ok(id)
    }

    fn commit(&mut self, transaction: Transaction) {
        let id = transaction.id();
        let batch = Batch {
            rollup: transaction.rollup,
            transactions: vec![transaction.data],
        };
        let payload = Payload {
            batches: vec![batch],
        };
        let checked = CheckedPayload::new(payload).unwrap();
        let parent = *self.chain.root();
        let roots = Outlook::default().roots(self.chain.ledger(), parent.id(), &checked);
        let block = Block {
            roots: roots.unwrap(),
            origin: outrider_types::Origin::NONE,
            view: View(parent.view.0 + 1),
            height: Height(parent.height.0 + 1),
            parent: parent.id(),
            justify: parent.view,
            payload: checked.id,
            timestamp: Timestamp(parent.timestamp.0 + self.step_us),
            proposer: MemberIndex(1),
            ..parent
        };
        let statement = CommitVote {
            epoch: block.epoch,
            view: block.view,
            block: block.id(),
        };
        let votes: Vec<_> = (0..3)
            .map(|at| {
                let member = MemberIndex(at as u16);
                Signed::sign(statement, block.chain, member, &self.keys[at])
            })
            .collect();
        let certificate = FinalityCertificate::Slow(Aggregate::assemble(&votes).unwrap());
        let record = BlockRecord {
            block,
            justification: None,
        };
        self.chain.put_record(&record).unwrap();
        self.chain
            .put_payload(checked.id, &checked.payload)
            .unwrap();
        let lanes = self
            .chain
            .commit(&block, &checked, Some(&certificate))
            .unwrap();
        let in_use = InUse {
            voted: None,
            payload: &|_| false,
        };
        while self.keep < u64::MAX && self.chain.prune_due(self.keep) {
            self.chain.prune(self.keep, 1_000, &in_use).unwrap();
        }
        let committed = Arc::new(CommittedBlock {
            block,
            id: block.id(),
            payload: checked.payload,
            transactions: checked.transactions,
            lanes,
            certificate: Arc::new(certificate),
        });
        let status = TransactionStatus::Soft {
            height: block.height,
            block: block.id(),
            position: self.blocks.len() as u64,
            finality: Finality::Soft,
        };
        self.status.insert(id, status);
        self.blocks.push(committed.clone());
        self.ends.head.send_replace(Head {
            height: block.height,
            block: block.id(),
            view: block.view,
            seen: block.height,
            ..Head::default()
        });
        // Nobody may be listening.
        let _ = self.ends.committed.send(committed);
    }
}

/// The defaults on a free port, with these options set.
pub fn config(sets: &[&str]) -> NodeConfig {
    let mut all = vec!["rpc.listen=127.0.0.1:0".to_owned()];
    all.extend(sets.iter().map(|set| (*set).to_owned()));
    let nothing = toml::Table::new();
    let mut config = NodeConfig::from_parts(&nothing, [], &all, Path::new("")).unwrap();
    config.mempool.rollups = Some(BTreeSet::from(ROLLUPS.map(RollupId)));
    config
}

pub async fn serve_with(sets: &[&str]) -> (RunningApi, RpcConfig, Committee) {
    let (handle, committee) = MockDriver::spawn();
    let config = config(sets);
    let running = api::serve(handle, &config.rpc, &config.mempool)
        .await
        .unwrap();
    (running, config.rpc, committee)
}

pub async fn serve() -> RunningApi {
    serve_with(&[]).await.0
}

/// A block that orders nothing.
pub fn empty_block() -> Arc<CommittedBlock> {
    let (committee, keys) = testing::committee(&[1; 4]);
    let block = Block::genesis(&committee);
    let statement = CommitVote {
        epoch: block.epoch,
        view: block.view,
        block: block.id(),
    };
    let vote = Signed::sign(statement, block.chain, MemberIndex(0), &keys[0]);
    Arc::new(CommittedBlock {
        block,
        id: block.id(),
        payload: Arc::new(Payload::default()),
        transactions: Arc::from([]),
        lanes: Arc::from([]),
        certificate: Arc::new(FinalityCertificate::Slow(
            Aggregate::assemble(&[vote]).unwrap(),
        )),
    })
}
