//! A chain over several epochs: in each a member is replaced, or nothing changes.

use bytes::Bytes;
use outrider_finality::FinalityProof;
use outrider_types::{
    Aggregate, Approve, Batch, Block, CommitVote, Committee, CommitteeChange, CommitteeId, Contact,
    EpochEnd, FinalityCertificate, Height, Member, MemberIndex, Payload, RollupId, SecretKey,
    Signed, Stake, Timestamp, TransportKey, View, testing,
};

/// Heights of each epoch.
pub const BLOCKS: u64 = 3;

pub struct Chain {
    /// Of each epoch, one more than are over.
    pub committees: Vec<Committee>,
    pub keys: Vec<Vec<SecretKey>>,
    /// Of each epoch that is over, without its fillers.
    pub blocks: Vec<Vec<Block>>,
    pub ends: Vec<EpochEnd>,
    /// Of every block but fillers.
    pub payload: Payload,
}

impl Chain {
    /// After an even epoch a member is replaced, after an odd one the same members go on.
    pub fn new(epochs: u64, fillers: u64) -> Self {
        let (committee, keys) = testing::committee(&[1; 4]);
        let committee = committee.with_epoch_blocks(BLOCKS);
        let payload = Payload {
            batches: vec![Batch {
                rollup: RollupId(9),
                transactions: vec![Bytes::from_static(b"pay")],
            }],
        };
        let mut base = Block::genesis(&committee);
        let mut chain = Self {
            committees: vec![committee],
            keys: vec![keys],
            blocks: Vec::new(),
            ends: Vec::new(),
            payload,
        };
        for epoch in 0..epochs {
            base = chain.epoch(epoch, fillers, base);
        }
        chain
    }

    fn epoch(&mut self, epoch: u64, fillers: u64, base: Block) -> Block {
        let committee = self.committees.last().unwrap().clone();
        let keys = self.keys.last().unwrap().clone();
        let change = epoch.is_multiple_of(2).then(|| change(&committee, &keys));
        let (next, next_keys) = match &change {
            Some((change, keys)) => (change.next.clone(), keys.clone()),
            None => (committee.successor(), keys.clone()),
        };
        let mut parent = Block {
            epoch: committee.epoch(),
            view: View(0),
            next: CommitteeId::NONE,
            ..base
        };
        let mut above = base.id();
        let mut blocks = Vec::new();
        for at in 1..=BLOCKS {
            parent = Block {
                parent: above,
                payload: self.payload.id(),
                next: if at == BLOCKS {
                    next.id()
                } else {
                    CommitteeId::NONE
                },
                ..filler(&parent)
            };
            above = parent.id();
            blocks.push(parent);
        }
        let last = parent;
        let mut fill = Vec::new();
        for _ in 0..fillers {
            parent = filler(&parent);
            fill.push(parent);
        }
        self.ends.push(EpochEnd {
            last,
            fillers: fill,
            certificate: commit(&committee, &keys, &parent),
            change: change.map(|(change, _)| change),
        });
        self.blocks.push(blocks);
        self.committees.push(next);
        self.keys.push(next_keys);
        last
    }

    /// Of the transaction at the n-th height of an epoch, certified at the epoch's end.
    pub fn proof(&self, epoch: u64, height: u64) -> FinalityProof {
        let epoch = epoch as usize;
        let blocks = &self.blocks[epoch];
        let at = height as usize;
        let end = &self.ends[epoch];
        let path = [&blocks[at..], &end.fillers].concat();
        let id = self.payload.ids().next().unwrap();
        FinalityProof::build(
            &self.committees[epoch],
            blocks[at - 1],
            path,
            end.certificate.clone(),
            &self.payload,
            id,
        )
        .unwrap()
    }
}

/// An empty block on this one.
pub fn filler(parent: &Block) -> Block {
    Block {
        view: View(parent.view.0 + 2),
        height: Height(parent.height.0 + 1),
        parent: parent.id(),
        justify: parent.view,
        payload: Payload::default().id(),
        timestamp: Timestamp(parent.timestamp.0 + 1_000),
        proposer: MemberIndex(2),
        next: CommitteeId::NONE,
        ..*parent
    }
}

/// Commit votes of three members for a block.
pub fn commit(committee: &Committee, keys: &[SecretKey], block: &Block) -> FinalityCertificate {
    let statement = CommitVote {
        epoch: committee.epoch(),
        view: block.view,
        block: block.id(),
    };
    let signed: Vec<_> = (0..3)
        .map(|at| {
            Signed::sign(
                statement,
                committee.chain(),
                MemberIndex(at),
                &keys[usize::from(at)],
            )
        })
        .collect();
    FinalityCertificate::Slow(Aggregate::assemble(&signed).unwrap())
}

/// The longest-serving member leaves, another one joins, and three approve.
fn change(committee: &Committee, keys: &[SecretKey]) -> (CommitteeChange, Vec<SecretKey>) {
    let epoch = committee.epoch().next();
    let mut next_keys = keys[1..].to_vec();
    next_keys.push(testing::key(100 + epoch.0 as usize));
    let members = next_keys
        .iter()
        .map(|key| Member {
            public_key: key.public_key(),
            stake: Stake(1),
        })
        .collect();
    let next = Committee::new(committee.chain(), epoch, members, None)
        .unwrap()
        .with_epoch_blocks(BLOCKS);
    let contacts: Vec<Contact> = (0..4)
        .map(|at| Contact {
            name: format!("member {at} of {epoch}"),
            transport_key: TransportKey([at; 32]),
            address: ([10, 0, 0, at], 9_000).into(),
            rpc: None,
            attester: None,
        })
        .collect();
    let statement = Approve {
        epoch: committee.epoch(),
        change: CommitteeChange::id_of(&next, &contacts),
    };
    let signed: Vec<_> = (0..3)
        .map(|at| {
            Signed::sign(
                statement,
                committee.chain(),
                MemberIndex(at),
                &keys[usize::from(at)],
            )
        })
        .collect();
    let change = CommitteeChange {
        approvals: Aggregate::assemble(&signed).unwrap(),
        next,
        contacts,
    };
    (change, next_keys)
}
