//! Everyone else: holds every key but one, and says whatever the bytes say.

use super::Operation;
use super::member::{BASE, Member};
use super::sign::{other, others, quorum, sign_commit_vote, sign_timeout, sign_vote, slow};
use outrider_consensus::Input;
use outrider_types::block::BLOCK_VERSION;
use outrider_types::crypto::sha256;
use outrider_types::{
    Block, BlockRecord, Certificate, CommitteeId, ConsensusMessage, Height, Justification, Payload,
    PayloadId, Proposal, ProposalKind, Timestamp, Verified, View, decode, encode,
};

/// Most blocks and most certificates that it remembers.
const POOL_MAX: usize = 48;

type Just = Verified<Justification>;
pub(super) type Cert = Verified<Certificate>;

/// What it has made so far.
#[derive(Default)]
pub(super) struct Adversary {
    blocks: Vec<Block>,
    certificates: Vec<Just>,
}

impl Adversary {
    /// Do one thing.
    pub(super) fn act(&mut self, member: &mut Member, operation: Operation, args: [u8; 3]) {
        let [a, b, c] = args;
        match operation {
            Operation::Wait => wait(member, a, b),
            Operation::Propose => self.propose(member, a, b, c),
            Operation::Vote => self.vote(member, a, b, c),
            Operation::Timeout => self.timeout(member, a, b, c),
            Operation::Certify => self.certify(member, a, b, c),
            Operation::CertifyTimeouts => self.certify_timeouts(member, a, b, c),
            Operation::Deliver => {
                if let Some(justification) = pick(&self.certificates, a).cloned() {
                    member.tell(Input::Certificate { justification });
                }
            }
            Operation::Block => self.block(member, a, b),
            Operation::FetchFailed => {
                if let Some(block) = take(&mut member.fetches, a) {
                    member.tell(Input::FetchFailed { block });
                }
            }
            Operation::Payload => {
                if let Some(block) = take(&mut member.payloads, a) {
                    let valid = b % 8 != 7;
                    if b % 8 == 6 {
                        member.tell(Input::Unwelcome { block });
                    }
                    member.tell(Input::PayloadChecked { block, valid });
                }
            }
            Operation::Assembled => assembled(member, a, b),
            Operation::CaughtUp => self.caught_up(member, a, b),
            Operation::Restart => {
                let input = (a & 1 == 1).then(|| self.any_input(member, b)).flatten();
                member.crash(input, usize::from(c));
            }
            Operation::Garbage => garbage(member, a, b, c),
            Operation::Round => self.round(member, a, b, c),
        }
        for block in std::mem::take(&mut member.proposed) {
            self.keep(block);
        }
    }

    fn keep(&mut self, block: Block) {
        push(&mut self.blocks, block);
    }

    fn any_block(&self, member: &Member, at: u8) -> Block {
        pick(&self.blocks, at).copied().unwrap_or(*member.root())
    }

    /// An input for a step that never ends.
    fn any_input(&self, member: &mut Member, at: u8) -> Option<Input> {
        if at & 1 == 0
            && let Some(block) = take(&mut member.payloads, at)
        {
            return Some(Input::PayloadChecked { block, valid: true });
        }
        pick(&self.certificates, at)
            .cloned()
            .map(|justification| Input::Certificate { justification })
    }

    /// A block of a view on a parent, well formed unless the bits say otherwise.
    fn make(member: &Member, view: View, parent: &Block, justify: View, bits: u8) -> Block {
        let height = Height(parent.height.0 + 1 + u64::from(bits & 0x20 != 0));
        let last = member.last_height();
        let filler = last.is_some_and(|last| height > last);
        let names_next = (Some(height) == last) != (bits & 0x40 != 0);
        let leader = member.leader(view);
        let proposer = if leader == member.me {
            others(member).next().unwrap_or(leader)
        } else {
            leader
        };
        Block {
            roots: outrider_types::Roots::NONE,
            origin: outrider_types::Origin::NONE,
            version: BLOCK_VERSION,
            chain: member.committee.chain(),
            epoch: member.committee.epoch(),
            view,
            height,
            parent: parent.id(),
            justify,
            payload: if filler && bits & 1 == 0 {
                Payload::default().id()
            } else {
                salted(bits & 3)
            },
            timestamp: Timestamp(parent.timestamp.0 + u64::from(bits & 0x10 == 0)),
            proposer,
            next: if names_next {
                member.committee.successor().id()
            } else {
                CommitteeId::NONE
            },
        }
    }

    fn propose(&mut self, member: &mut Member, a: u8, b: u8, c: u8) {
        let view = near(member.view(), a);
        let parent = self.any_block(member, b);
        let justification = pick(&self.certificates, c)
            .filter(|_| c & 0x04 != 0)
            .cloned();
        let justify = match c & 0x18 {
            0x00 => justification
                .as_ref()
                .map_or(view.previous(), |held| held.resolved().rank),
            0x08 => parent.view,
            0x10 => view.previous(),
            _ => View(u64::from(c)),
        };
        let block = Self::make(member, view, &parent, justify, a & 0xf0 | b >> 6);
        let kind = if c & 0x80 == 0 {
            ProposalKind::Normal
        } else {
            ProposalKind::Optimistic
        };
        self.say_proposal(member, block, kind, justification);
    }

    fn say_proposal(
        &mut self,
        member: &mut Member,
        block: Block,
        kind: ProposalKind,
        justification: Option<Just>,
    ) {
        if block.proposer == member.me {
            return;
        }
        self.keep(block);
        let Some(key) = member.keys.get(block.proposer.index()) else {
            return;
        };
        let proposal = Proposal::sign(block, kind, justification, key);
        member.last = Some(ConsensusMessage::Proposal((*proposal).clone()));
        member.tell(Input::Proposal { proposal });
    }

    fn vote(&self, member: &mut Member, a: u8, b: u8, c: u8) {
        let block = self.any_block(member, b);
        let view = if c & 0x7e == 0 {
            block.view
        } else {
            near(member.view(), c >> 1 & 0x3f)
        };
        let Some(signer) = other(member, a) else {
            return;
        };
        let input = if c & 1 == 0 {
            Input::Vote {
                vote: sign_vote(member, signer, view, block.id()),
            }
        } else {
            Input::CommitVote {
                vote: sign_commit_vote(member, signer, view, block.id()),
            }
        };
        member.last = match &input {
            Input::Vote { vote } => Some(ConsensusMessage::Vote(**vote)),
            Input::CommitVote { vote } => Some(ConsensusMessage::CommitVote(**vote)),
            _ => None,
        };
        member.tell(input);
    }

    fn timeout(&self, member: &mut Member, a: u8, b: u8, c: u8) {
        let view = near(member.view(), b);
        let high = self.certificate_below(view, c & 0x3f);
        let voted = (c & 0x40 != 0).then(|| self.any_block(member, c).id());
        let Some(signer) = other(member, a) else {
            return;
        };
        if let Some(timeout) = sign_timeout(member, signer, view, high, voted) {
            member.last = Some(ConsensusMessage::Timeout((*timeout).clone()));
            member.tell(Input::Timeout { timeout });
        }
    }

    /// A certificate of a rank below a view; none for 0.
    fn certificate_below(&self, view: View, at: u8) -> Option<Cert> {
        if at == 0 {
            return None;
        }
        let below: Vec<Cert> = self
            .certificates
            .iter()
            .filter_map(|held| held.verified_high())
            .filter(|certificate| certificate.rank() < view)
            .collect();
        pick(&below, at).cloned()
    }

    fn certify(&mut self, member: &mut Member, a: u8, b: u8, c: u8) {
        let block = self.any_block(member, b);
        let view = if c & 0x7c == 0 {
            block.view
        } else {
            near(member.view(), c >> 2 & 0x1f)
        };
        let certificate = if c & 1 == 0 {
            quorum(member, view, block.id(), a)
        } else {
            slow(member, view, block.id(), a).map(|proof| proof.certificate())
        };
        if let Some(certificate) = certificate {
            let justification: Just = certificate.into();
            push(&mut self.certificates, justification.clone());
            if c & 2 == 0 {
                member.tell(Input::Certificate { justification });
            }
        }
    }

    fn certify_timeouts(&mut self, member: &mut Member, a: u8, b: u8, c: u8) {
        let view = near(member.view(), a);
        let mut timeouts: Vec<_> = others(member)
            .enumerate()
            .filter_map(|(place, signer)| {
                let bit = |byte: u8| byte >> (place % 8) & 1 == 1;
                let high = self.certificate_below(view, if bit(b) { b } else { c & 0x0f });
                let voted = (c & 0x10 != 0 && !bit(c >> 5)).then(|| self.any_block(member, b).id());
                sign_timeout(member, signer, view, high, voted)
            })
            .collect();
        timeouts.extend(member.own_timeout(view).cloned());
        if let Some(justification) =
            Verified::<Justification>::timeouts(&timeouts, member.committee)
        {
            push(&mut self.certificates, justification.clone());
            if c & 0x80 != 0 {
                member.tell(Input::Certificate { justification });
            }
        }
    }

    /// The answer to a question, or a block that nobody asked for, with a justification that may not be its own.
    fn block(&self, member: &mut Member, a: u8, b: u8) {
        let wanted = take(&mut member.fetches, a);
        let block = wanted
            .and_then(|id| self.blocks.iter().find(|block| block.id() == id).copied())
            .unwrap_or_else(|| self.any_block(member, a));
        let fitting = self
            .certificates
            .iter()
            .find(|held| held.resolved().block == Some(block.parent));
        let justification = match b & 3 {
            0 => fitting,
            1 => None,
            _ => pick(&self.certificates, b >> 2),
        };
        let record = BlockRecord {
            block,
            justification: justification.cloned().map(Verified::into_inner),
        };
        if let Ok(record) = record.verify(member.committee) {
            member.tell(Input::Block { record });
        }
    }

    /// A range that a driver would accept: it links to the last final block, and its end is certified.
    fn caught_up(&self, member: &mut Member, a: u8, b: u8) {
        if !member.catching_up && b & 1 == 0 {
            return;
        }
        let top = self.any_block(member, a);
        let mut branch = vec![top];
        while let Some(parent) = branch
            .last()
            .and_then(|low| self.blocks.iter().find(|block| block.id() == low.parent))
            .filter(|_| branch.len() < POOL_MAX)
        {
            branch.push(*parent);
        }
        branch.reverse();
        let root = *member.root();
        let Some(from) = branch.iter().position(|block| block.parent == root.id()) else {
            return;
        };
        let branch = &branch[from..];
        let mut parent = &root;
        for block in branch {
            let follows = block.height == parent.height.next()
                && block.view > parent.view
                && block.timestamp > parent.timestamp
                && member.last_height().is_none_or(|last| block.height <= last);
            if !follows {
                return;
            }
            parent = block;
        }
        if let Some(certificate) = slow(member, top.view, top.id(), b & !1) {
            member.append(branch);
            member.catching_up = false;
            member.tell(Input::CaughtUp {
                block: top,
                certificate,
            });
        }
    }

    /// The current view as it should go, as far as the bits let it: the leader proposes, the payload is there, the others
    /// vote and commit-vote. `a` leaves voters out, `b` and `c` steps.
    fn round(&mut self, member: &mut Member, a: u8, b: u8, c: u8) {
        let view = member.view();
        if near(view, 0) != view {
            return;
        }
        let answer_payloads = |member: &mut Member| {
            while let Some(block) = take(&mut member.payloads, 0) {
                member.tell(Input::PayloadChecked { block, valid: true });
            }
        };
        if member.leader(view) == member.me {
            assembled(member, 0, 0);
        } else {
            let entry = member.safety().entry.clone();
            let entry = entry.and_then(|entry| entry.verify(member.committee).ok());
            let (rank, parent) = entry.as_ref().map_or((View(0), None), |entry| {
                (entry.resolved().rank, entry.resolved().block)
            });
            let parent = match parent {
                None => Some(Block::genesis(member.committee)),
                Some(id) => self
                    .blocks
                    .iter()
                    .find(|block| block.id() == id)
                    .copied()
                    .or(Some(*member.root()).filter(|root| root.id() == id)),
            };
            if let Some(parent) = parent {
                let block = Self::make(member, view, &parent, rank, 0);
                self.say_proposal(member, block, ProposalKind::Normal, entry);
            }
        }
        for block in std::mem::take(&mut member.proposed) {
            self.keep(block);
        }
        if b & 2 == 0 {
            answer_payloads(member);
        }
        let Some(block) = self
            .blocks
            .iter()
            .rev()
            .find(|block| block.view == view)
            .copied()
        else {
            return;
        };
        for (place, signer) in others(member).enumerate() {
            if a >> (place % 8) & 1 == 1 && b & 1 == 1 {
                continue;
            }
            let vote = sign_vote(member, signer, view, block.id());
            member.tell(Input::Vote { vote });
            if c & 1 == 0 {
                let vote = sign_commit_vote(member, signer, view, block.id());
                member.tell(Input::CommitVote { vote });
            }
        }
        if let Some(certificate) = quorum(member, view, block.id(), 0) {
            push(&mut self.certificates, certificate.into());
        }
        answer_payloads(member);
        member.now += BASE / 10;
    }
}

fn wait(member: &mut Member, a: u8, b: u8) {
    match b % 4 {
        // Exactly when something is due.
        0 => {
            if let Some(at) = member.wake_at() {
                member.now = member.now.max(at.0);
            }
        }
        1 => member.now += u64::from(a),
        2 => member.now += u64::from(a) * BASE / 8,
        _ => member.now += u64::from(a) * 60 * BASE,
    }
    member.tell(Input::Wake);
}

fn assembled(member: &mut Member, a: u8, b: u8) {
    if let Some((view, parent, last)) = take(&mut member.assemblies, a) {
        let next = if last {
            member.committee.successor().id()
        } else {
            CommitteeId::NONE
        };
        let timestamp = Timestamp(if b & 0x80 == 0 { member.now } else { 0 });
        member.tell(Input::Assembled {
            view,
            parent,
            timestamp,
            content: outrider_types::Content {
                payload: salted(b & 3),
                roots: outrider_types::Roots::NONE,
                origin: outrider_types::Origin::NONE,
                next,
            },
        });
    }
}

/// The last message with a byte changed, as a driver would treat it: decode, verify, and only then tell.
fn garbage(member: &mut Member, a: u8, b: u8, c: u8) {
    let Some(message) = &member.last else { return };
    let mut bytes = encode(message).to_vec();
    let at = (usize::from(a) << 8 | usize::from(b)) % bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= c;
    }
    let Ok(message) = decode::<ConsensusMessage>(bytes) else {
        return;
    };
    let committee = member.committee;
    let signer = match &message {
        ConsensusMessage::Proposal(proposal) => Some(proposal.block.proposer),
        ConsensusMessage::Vote(vote) => Some(vote.signer),
        ConsensusMessage::CommitVote(vote) => Some(vote.signer),
        ConsensusMessage::Timeout(timeout) => Some(timeout.timeout.signer),
        ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => None,
    };
    // A driver stops when it meets its own key elsewhere.
    if signer == Some(member.me) {
        return;
    }
    let input = match message {
        ConsensusMessage::Proposal(proposal) => proposal
            .verify(committee)
            .ok()
            .map(|(proposal, _)| Input::Proposal { proposal }),
        ConsensusMessage::Vote(vote) => {
            vote.verify(committee).ok().map(|vote| Input::Vote { vote })
        }
        ConsensusMessage::CommitVote(vote) => vote
            .verify(committee)
            .ok()
            .map(|vote| Input::CommitVote { vote }),
        ConsensusMessage::Timeout(timeout) => timeout
            .verify(committee)
            .ok()
            .map(|timeout| Input::Timeout { timeout }),
        ConsensusMessage::Certificate(justification) => justification
            .verify(committee)
            .ok()
            .map(|justification| Input::Certificate { justification }),
        ConsensusMessage::EpochEnd(_) => None,
    };
    if let Some(input) = input {
        member.tell(input);
    }
}

fn salted(salt: u8) -> PayloadId {
    PayloadId(sha256(&[&[salt]]))
}

/// The current view for 0, then some after and before it, and now and then one near the end of time. The last view of all
/// is left out: no certificate can lead out of it, and it takes more than f Byzantine stake to lead into it.
fn near(view: View, at: u8) -> View {
    let offset = u64::from(at & 0x0f);
    let view = match offset {
        0..=7 => View(view.0.saturating_add(offset)),
        8..=11 => View(view.0.saturating_sub(offset - 7).max(1)),
        12 => View(view.0.saturating_add(64)),
        13 => View(view.0.saturating_add(65)),
        14 => View(u64::MAX - 1),
        _ => View(u64::MAX - 100),
    };
    view.min(View(u64::MAX - 1))
}

pub(super) fn pick<T>(list: &[T], at: u8) -> Option<&T> {
    // Small numbers are the newest.
    let len = list.len().max(1);
    list.get((len - 1).wrapping_sub(usize::from(at) % len))
}

fn take<T>(list: &mut Vec<T>, at: u8) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(usize::from(at) % list.len()))
}

fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= POOL_MAX {
        list.remove(0);
    }
    list.push(item);
}
