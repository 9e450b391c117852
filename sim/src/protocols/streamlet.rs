//! Streamlet: Chan and Shi, "Streamlet: Textbook Streamlined Blockchains", AFT 2020, section 3.
//!
//! Clocks agree, and epochs last 2D whatever happens. In each epoch:
//!
//! - *propose*: the leader extends one of the longest notarized chains that it has seen;
//! - *vote*: a member votes, to all, for the first proposal of the epoch's leader if it extends one of the longest notarized
//!   chains that the member has seen;
//! - a block with the votes of a `quorum` is *notarized*;
//! - *commit*: of three adjacent notarized blocks of consecutive epochs the second is final, and all before it;
//! - *implicit echoing*: a message not seen before is sent on to all others. That is what makes it cubic, and it is in the
//!   paper's model, so it is here.
//!
//! Leaders take turns, where the paper draws them by a hash of the epoch. A block that was missed is asked for, with its
//! votes; the paper's reliable network needs no such thing.
//!
//! With one delay `d` everywhere: a block every 2D; commit 2D + 2d after a block's proposal. D is the bound, so it must
//! not be too low; there are no timeouts.

use super::tree::{
    ASK_BYTES, BLOCK_BYTES, CERTIFICATE_BYTES, Header, SIGNATURE_BYTES, SIGNER_BYTES, Tree,
    VOTE_BYTES,
};
use super::{Outbox, Protocol, Setting};
use crate::fact::Micros;
use outrider_types::BlockId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Proposals and votes of epochs this far back are not heard any more; a block that matters later is asked for.
const EPOCHS_KEPT: u64 = 64;

/// A block, and who voted for it.
type Notarized = (Header, Arc<BTreeSet<usize>>);

/// What its members say.
#[derive(Clone, Debug)]
pub enum Message {
    /// A leader's block.
    Proposal(Header),
    /// A vote.
    Vote {
        /// In which epoch.
        epoch: u64,
        /// For which block.
        block: BlockId,
        /// Whose: it may have been sent on by another member.
        voter: usize,
    },
    /// A question for a notarized block and those below it, above a height.
    Ask {
        /// Which.
        block: BlockId,
        /// Above this height.
        above: u64,
    },
    /// The answer, children first.
    Give {
        /// Blocks with their votes.
        blocks: Vec<Notarized>,
    },
}

/// A member.
#[derive(Clone, Debug)]
pub struct Streamlet {
    setting: Setting,
    tree: Tree,
    epoch: u64,
    /// Epoch of the last vote.
    voted: u64,
    /// Epoch of the last proposal.
    proposed: u64,
    /// First proposal of each epoch.
    first: BTreeMap<u64, Header>,
    /// Votes by epoch and block.
    votes: BTreeMap<(u64, BlockId), BTreeSet<usize>>,
    /// Notarized blocks with their votes.
    notarized: BTreeMap<BlockId, Arc<BTreeSet<usize>>>,
    /// Notarized blocks whose ancestors are notarized too; by height and epoch.
    chained: BTreeMap<(u64, u64), Header>,
    /// Notarized blocks that wait for their parent, by parent.
    loose: BTreeMap<BlockId, BTreeMap<BlockId, Header>>,
}

impl Streamlet {
    /// A member that knows nothing but genesis.
    #[must_use]
    pub fn new(setting: Setting) -> Self {
        Self {
            setting,
            tree: Tree::new(),
            epoch: 1,
            voted: 0,
            proposed: 0,
            first: BTreeMap::new(),
            votes: BTreeMap::new(),
            notarized: BTreeMap::from([(Header::GENESIS.id, Arc::default())]),
            chained: BTreeMap::from([((0, 0), Header::GENESIS)]),
            loose: BTreeMap::new(),
        }
    }

    const fn length(&self) -> Micros {
        2 * self.setting.bound
    }

    /// The end of one of the longest notarized chains: that of the latest epoch.
    fn longest(&self) -> Header {
        let last = self.chained.last_key_value();
        last.map_or(Header::GENESIS, |(_, header)| *header)
    }

    fn is_chained(&self, header: Header) -> bool {
        self.chained.get(&(header.height, header.view)) == Some(&header)
    }

    /// Take up a new epoch if one has begun, and propose if it is this member's.
    fn turn(&mut self, now: Micros, out: &mut Outbox<Message>) {
        self.epoch = self.epoch.max(now / self.length() + 1);
        let first = self.epoch.saturating_sub(EPOCHS_KEPT);
        self.first.retain(|epoch, _| *epoch >= first);
        self.votes.retain(|(epoch, _), _| *epoch >= first);
        if !self.setting.leads(self.epoch) || self.proposed >= self.epoch {
            return;
        }
        self.proposed = self.epoch;
        let header = self.longest().child(self.epoch, self.setting.member);
        out.signed += 1;
        out.proposed.push(header.id);
        self.say(Message::Proposal(header), out);
    }

    /// To all, this member included.
    fn say(&self, message: Message, out: &mut Outbox<Message>) {
        let bytes = match &message {
            Message::Proposal(_) => 1 + BLOCK_BYTES + SIGNATURE_BYTES,
            _ => VOTE_BYTES,
        };
        out.broadcast(message.clone(), bytes);
        out.send(self.setting.member, message, bytes);
    }

    /// A statement not seen before: check it, and send it on if it is another's.
    fn echo(&self, message: &Message, author: usize, out: &mut Outbox<Message>) {
        if author == self.setting.member {
            return;
        }
        out.verified += 1;
        let bytes = match message {
            Message::Proposal(_) => 1 + BLOCK_BYTES + SIGNATURE_BYTES,
            _ => VOTE_BYTES,
        };
        out.broadcast(message.clone(), bytes);
    }

    fn heard(&self, epoch: u64) -> bool {
        epoch <= self.epoch && epoch + EPOCHS_KEPT >= self.epoch
    }

    fn on_proposal(&mut self, header: Header, message: &Message, out: &mut Outbox<Message>) {
        let of_leader = header.proposer == self.setting.leader(header.view);
        if !of_leader || !self.heard(header.view) || self.tree.holds(header.id) {
            return;
        }
        self.echo(message, header.proposer, out);
        self.tree.insert(header);
        self.first.entry(header.view).or_insert(header);
        if self.notarized.contains_key(&header.id) {
            self.hang(header, out);
        }
        if let Some(votes) = self.votes.get(&(header.view, header.id)) {
            self.judge(header, Arc::new(votes.clone()), out);
        }
    }

    fn on_vote(
        &mut self,
        (epoch, block, voter): (u64, BlockId, usize),
        message: &Message,
        out: &mut Outbox<Message>,
    ) {
        if !self.heard(epoch) || voter >= self.setting.members {
            return;
        }
        let votes = self.votes.entry((epoch, block)).or_default();
        if !votes.insert(voter) {
            return;
        }
        let votes = votes.clone();
        self.echo(message, voter, out);
        if let Some(header) = self.tree.get(block) {
            self.judge(header, Arc::new(votes), out);
        }
    }

    /// Notarize a block if it has a quorum.
    fn judge(&mut self, header: Header, votes: Arc<BTreeSet<usize>>, out: &mut Outbox<Message>) {
        if votes.len() >= self.setting.quorum() && !self.notarized.contains_key(&header.id) {
            self.notarized.insert(header.id, votes);
            self.hang(header, out);
        }
    }

    /// A notarized block finds its place in a chain, and all that waited for it; three in a row commit.
    fn hang(&mut self, header: Header, out: &mut Outbox<Message>) {
        let mut next = vec![header];
        while let Some(header) = next.pop() {
            let parent = self.tree.get(header.parent);
            let Some(parent) = parent.filter(|parent| self.is_chained(*parent)) else {
                let waiting = self.loose.entry(header.parent).or_default();
                waiting.insert(header.id, header);
                continue;
            };
            if header.height != parent.height + 1 || header.view <= parent.view {
                continue;
            }
            self.chained.insert((header.height, header.view), header);
            if let Some(below) = self.tree.get(parent.parent)
                && parent.height > 0
                && header.view == parent.view + 1
                && parent.view == below.view + 1
                && parent.height > self.tree.height()
            {
                // Everything below a chained block is held.
                self.tree.commit(parent.id, out);
            }
            next.extend(
                self.loose
                    .remove(&header.id)
                    .unwrap_or_default()
                    .into_values(),
            );
        }
    }

    /// Vote in the current epoch, if the rules allow it; ask for what is missing to see whether they do.
    fn consider(&mut self, now: Micros, out: &mut Outbox<Message>) {
        let Some(header) = self.first.get(&self.epoch).copied() else {
            return;
        };
        if self.voted >= self.epoch {
            return;
        }
        let parent = self.tree.get(header.parent);
        let Some(parent) = parent.filter(|parent| self.is_chained(*parent)) else {
            self.ask(header.parent, header.proposer, now, out);
            return;
        };
        if header.height == parent.height + 1 && parent.height == self.longest().height {
            self.voted = self.epoch;
            out.signed += 1;
            let vote = Message::Vote {
                epoch: self.epoch,
                block: header.id,
                voter: self.setting.member,
            };
            self.say(vote, out);
        }
    }

    /// Ask for a block and its votes, unless that was done.
    fn ask(&mut self, block: BlockId, whom: usize, now: Micros, out: &mut Outbox<Message>) {
        // A block that is held but not notarized is missed all the same: it comes back with its votes.
        let missed = self.loose_end(block);
        if whom != self.setting.member && self.tree.asks(missed, now, &self.setting) {
            let above = self.tree.height();
            let ask = Message::Ask {
                block: missed,
                above,
            };
            out.send(whom, ask, ASK_BYTES);
        }
    }

    /// The first block, from this one down, that is not notarized here.
    fn loose_end(&self, block: BlockId) -> BlockId {
        let mut at = block;
        while self.notarized.contains_key(&at) {
            match self.tree.get(at) {
                Some(header) if header.height > self.tree.height() => at = header.parent,
                _ => break,
            }
        }
        at
    }

    fn on_ask(&self, (block, above): (BlockId, u64), to: usize, out: &mut Outbox<Message>) {
        let below = self.tree.below(block, above).into_iter();
        let blocks: Vec<Notarized> = below
            .filter_map(|header| Some((header, self.notarized.get(&header.id)?.clone())))
            .collect();
        if !blocks.is_empty() {
            let size = |(_, votes): &Notarized| {
                BLOCK_BYTES + SIGNATURE_BYTES + CERTIFICATE_BYTES + SIGNER_BYTES * votes.len()
            };
            let bytes = 1 + blocks.iter().map(size).sum::<usize>();
            out.send(to, Message::Give { blocks }, bytes);
        }
    }

    fn on_give(&mut self, blocks: &[Notarized], out: &mut Outbox<Message>) {
        for (header, votes) in blocks.iter().rev() {
            if self.notarized.contains_key(&header.id) || votes.len() < self.setting.quorum() {
                continue;
            }
            out.verified += votes.len() as u64 + 1;
            self.tree.insert(*header);
            self.judge(*header, votes.clone(), out);
        }
    }
}

impl Protocol for Streamlet {
    type Message = Message;

    fn start(&mut self, now: Micros, out: &mut Outbox<Message>) {
        self.turn(now, out);
    }

    fn receive(&mut self, now: Micros, from: usize, message: &Message, out: &mut Outbox<Message>) {
        match message {
            Message::Proposal(header) => self.on_proposal(*header, message, out),
            Message::Vote {
                epoch,
                block,
                voter,
            } => self.on_vote((*epoch, *block, *voter), message, out),
            Message::Ask { block, above } => self.on_ask((*block, *above), from, out),
            Message::Give { blocks } => self.on_give(blocks, out),
        }
        self.consider(now, out);
    }

    fn wake(&mut self, now: Micros, out: &mut Outbox<Message>) {
        self.turn(now, out);
        self.consider(now, out);
    }

    fn wake_at(&self) -> Option<Micros> {
        Some(self.epoch * self.length())
    }

    fn view(&self) -> u64 {
        self.epoch
    }
}
