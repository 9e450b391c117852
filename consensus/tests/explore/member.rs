//! One honest member: the real replica, what it has said, and a driver that answers it at once.

use crate::support::lab::Lab;
use crate::support::open;
use outrider_consensus::{Action, Input, Replica, Step};
use outrider_types::crypto::sha256;
use outrider_types::{
    BlockId, BlockRecord, Certificate, CommitteeId, ConsensusMessage, FinalityCertificate,
    Justification, PayloadId, Timestamp, Verified, encode,
};
use std::collections::BTreeMap;

/// Longer than any timer.
const FOREVER: u64 = 100_000_000;

/// An input by its place in the table.
pub type InputId = usize;

/// Inputs, each once, and blocks by id.
#[derive(Default)]
pub struct Inputs {
    list: Vec<Input>,
    places: BTreeMap<[u8; 32], InputId>,
    pub blocks: BTreeMap<BlockId, BlockRecord>,
}

impl Inputs {
    pub fn get(&self, id: InputId) -> Input {
        self.list[id].clone()
    }

    pub fn message(&mut self, message: &ConsensusMessage, lab: &Lab) -> InputId {
        let place = sha256(&[&encode(message)]);
        if let Some(id) = self.places.get(&place) {
            return *id;
        }
        if let ConsensusMessage::Proposal(proposal) = message {
            let justification = proposal.justification.clone();
            let block = proposal.block;
            let record = BlockRecord {
                block,
                justification,
            };
            self.blocks.entry(block.id()).or_insert(record);
        }
        let input = open(message, &lab.committee).expect("only what is valid is said here");
        self.list.push(input);
        self.places.insert(place, self.list.len() - 1);
        self.list.len() - 1
    }

    pub fn certificate(&mut self, certificate: &Certificate, lab: &Lab) -> InputId {
        let certificate = Justification::Certificate(certificate.clone());
        self.message(&ConsensusMessage::Certificate(certificate), lab)
    }

    /// Whether a block is another one or descends from it.
    pub fn descends(&self, mut block: BlockId, ancestor: BlockId) -> bool {
        loop {
            if block == ancestor {
                return true;
            }
            match self.blocks.get(&block) {
                Some(record) => block = record.block.parent,
                None => return false,
            }
        }
    }
}

/// What a member said, by view, and what it comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub votes: BTreeMap<u64, (BlockId, InputId)>,
    pub commit_votes: BTreeMap<u64, (BlockId, InputId)>,
    pub timeouts: BTreeMap<u64, (u64, Option<BlockId>, InputId)>,
    pub proposals: BTreeMap<BlockId, (u64, InputId)>,
    pub ledger: Vec<BlockId>,
    pub fast: bool,
    pub slow: bool,
    /// E1 to E5.
    pub offence: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub struct Member {
    pub replica: Replica,
    pub said: Said,
    clock: u64,
}

impl Member {
    pub fn new(lab: &Lab) -> Self {
        Self {
            replica: lab.replica.clone(),
            said: Said::default(),
            clock: lab.now,
        }
    }

    /// What tells two states of a member apart: everything in the replica and everything it said. Left out is what
    /// cannot matter here: times, for timers fire whenever they may; who was heard, for no leader is dead so soon
    /// (R10); which members signed a certificate, but for their number, for all have the same stake; and who reported
    /// what in a timeout certificate, beside what it resolves to.
    pub fn digest(&self) -> [u8; 32] {
        let whole = format!("{:?}", self.replica);
        let (before, rest) = whole.split_once("pacemaker: ").expect("a field of Replica");
        let (_, after) = rest
            .split_once("entered_by_votes: ")
            .expect("a field of Replica");
        let text = summed(&format!("{before}{after}"), "signatures: [");
        // What is not yet on the disk, for nobody restarts here.
        let text = summed(&text, "entries: [").replace("dirty: true", "dirty: false");
        let said = &self.said;
        let votes: Vec<_> = said
            .votes
            .iter()
            .map(|(view, (block, _))| (view, block))
            .collect();
        let commits = said
            .commit_votes
            .iter()
            .map(|(view, (block, _))| (view, block));
        let commits: Vec<_> = commits.collect();
        let timeouts = said
            .timeouts
            .iter()
            .map(|(view, (high, voted, _))| (view, high, voted));
        let timeouts: Vec<_> = timeouts.collect();
        let proposals: Vec<_> = said.proposals.keys().collect();
        let rest = (&said.ledger, said.fast, said.slow, said.offence);
        let said = format!("{votes:?} {commits:?} {timeouts:?} {proposals:?} {rest:?}");
        sha256(&[text.as_bytes(), said.as_bytes()])
    }
    pub fn entry(&self) -> Option<ConsensusMessage> {
        let entry = self.replica.safety().entry.clone();
        entry.map(ConsensusMessage::Certificate)
    }

    pub fn gave_up(&self, view: u64) -> bool {
        let timed_out = self.replica.safety().timed_out;
        timed_out.is_some_and(|timeout| timeout.view.0 >= view)
    }

    pub fn hear(&mut self, input: Input, inputs: &mut Inputs, lab: &Lab) {
        let step = self.replica.step(Timestamp(self.clock), input);
        self.settle(step, inputs, lab);
    }

    pub fn fire(&mut self, inputs: &mut Inputs, lab: &Lab) {
        self.clock += FOREVER;
        self.hear(Input::Wake, inputs, lab);
    }

    fn settle(&mut self, step: Step, inputs: &mut Inputs, lab: &Lab) {
        let actions: Result<Vec<Action>, ()> = step.persist_with(|_| Ok(()));
        for action in actions.unwrap() {
            match action {
                Action::Broadcast { message } => self.say(&message, inputs, lab),
                Action::CheckPayload { block } => {
                    let block = block.id();
                    self.hear(Input::PayloadChecked { block, valid: true }, inputs, lab);
                }
                Action::Assemble { view, parent, .. } => {
                    let payload = PayloadId(sha256(&[&view.0.to_be_bytes(), &parent.0]));
                    let answer = Input::Assembled {
                        view,
                        parent,
                        content: outrider_types::Content {
                            payload,
                            roots: outrider_types::Roots::NONE,
                            origin: outrider_types::Origin::NONE,
                            next: CommitteeId::NONE,
                        },
                        timestamp: Timestamp(0),
                    };
                    self.hear(answer, inputs, lab);
                }
                Action::Fetch { block, .. } => {
                    let mut record = inputs.blocks[&block].clone();
                    if record.justification.is_none() && record.block.view.0 > 1 {
                        // It was proposed ahead: those who hold it hold its parent's certificate.
                        let parent = inputs.blocks[&record.block.parent].block;
                        record.justification =
                            Some(Justification::Certificate(lab.qc(&parent).into_inner()));
                    }
                    let record: Verified<BlockRecord> = record.verify(&lab.committee).unwrap();
                    self.hear(Input::Block { record }, inputs, lab);
                }
                Action::Commit {
                    blocks,
                    certificate,
                    ..
                } => {
                    let ids = blocks.iter().map(|record| record.block.id());
                    self.said.ledger.extend(ids);
                    match *certificate {
                        FinalityCertificate::Fast(_) => self.said.fast = true,
                        FinalityCertificate::Slow(_) => self.said.slow = true,
                    }
                }
                _ => {}
            }
        }
    }

    fn say(&mut self, message: &ConsensusMessage, inputs: &mut Inputs, lab: &Lab) {
        let id = match message {
            ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => return,
            _ => inputs.message(message, lab),
        };
        let said = &mut self.said;
        let mut rule = |holds: bool, offence| {
            if !holds {
                said.offence = Some(offence);
            }
        };
        match message {
            ConsensusMessage::Proposal(proposal) => {
                let (view, block) = (proposal.block.view.0, proposal.block.id());
                let twice = said
                    .proposals
                    .iter()
                    .any(|(other, (of, _))| *of == view && *other != block);
                rule(!twice, "E1");
                said.proposals.insert(block, (view, id));
            }
            ConsensusMessage::Vote(vote) => {
                let (view, block) = (vote.view.0, vote.block);
                rule(
                    said.votes
                        .get(&view)
                        .is_none_or(|(first, _)| *first == block),
                    "E2",
                );
                let timeout = said.timeouts.get(&view);
                rule(
                    timeout.is_none_or(|(_, told, _)| *told == Some(block)),
                    "E4",
                );
                said.votes.insert(view, (block, id));
            }
            ConsensusMessage::CommitVote(vote) => {
                let (view, block) = (vote.view.0, vote.block);
                rule(
                    said.commit_votes
                        .get(&view)
                        .is_none_or(|(first, _)| *first == block),
                    "E3",
                );
                let kept = said
                    .timeouts
                    .range(view..)
                    .all(|(_, (high, ..))| *high >= view);
                rule(kept, "E5");
                said.commit_votes.insert(view, (block, id));
            }
            ConsensusMessage::Timeout(message) => {
                let timeout = &message.timeout;
                let (view, high) = (timeout.view.0, timeout.high_view.0);
                let vote = said.votes.get(&view);
                rule(
                    vote.is_none_or(|(block, _)| timeout.voted == Some(*block)),
                    "E4",
                );
                rule(
                    said.commit_votes.range(..=view).all(|(of, _)| high >= *of),
                    "E5",
                );
                said.timeouts.insert(view, (high, timeout.voted, id));
            }
            _ => {}
        }
    }
}

/// A text with each list of this name replaced by the number of members named in it.
fn summed(text: &str, list: &str) -> String {
    let mut parts = text.split(list);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inside, rest) = part.split_once(']').expect("a list ends");
        let members = inside.matches("MemberIndex").count();
        out.push_str(&format!("{list}{members} members]{rest}"));
    }
    out
}
