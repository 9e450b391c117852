//! Tools of the deeds: choosing by view, signing anew, and who leads.

use super::{Corrupted, Setup};
use crate::fact::Message;
use outrider_consensus::LeaderSchedule;
use outrider_types::{
    Block, BlockId, Certificate, CommitVote, CommitteeId, ConsensusMessage, Justification,
    MemberIndex, PayloadMessage, Proposal, ProposalKind, Propose, Signature, Signed, SyncMessage,
    Timeout, TimeoutMessage, View, Vote,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Blocks that a deed replaced by others, at most so many.
const RENAMED_MAX: usize = 64;

/// A number that looks random and is always the same (splitmix64).
pub(super) const fn mix(seed: u64) -> u64 {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

impl Setup {
    /// All hosts but its own.
    pub(super) fn others(&self) -> Vec<usize> {
        (0..self.hosts).filter(|host| *host != self.host).collect()
    }

    /// Those it means: one, or all others.
    pub(super) fn audience(&self, to: Option<usize>) -> Vec<usize> {
        to.map_or_else(|| self.others(), |to| vec![to])
    }

    /// A number of this run, this host and this view.
    pub(super) const fn chance(&self, view: u64) -> u64 {
        mix(self.seed ^ mix(view) ^ mix(self.host as u64 + 1))
    }

    /// In which of two halves a host is in this view.
    pub(super) const fn half(&self, view: u64, host: usize) -> usize {
        (mix(self.chance(view) ^ host as u64) & 1) as usize
    }

    /// Hosts that keep to the rules, ascending.
    pub(super) fn honest(&self) -> Vec<usize> {
        (0..self.hosts)
            .filter(|host| !self.byzantine.contains(host))
            .collect()
    }
}

/// Say this to these hosts.
pub(super) fn say_to(
    me: &mut Corrupted<'_>,
    hosts: impl IntoIterator<Item = usize>,
    message: &Arc<Message>,
) {
    for host in hosts {
        if host != me.host {
            me.say(Some(host), message.clone());
        }
    }
}

/// A consensus message, ready to be said.
pub(super) fn consensus(message: ConsensusMessage) -> Arc<Message> {
    Arc::new(Message::Consensus(message))
}

/// A sync message, ready to be said.
pub(super) fn sync(message: SyncMessage) -> Arc<Message> {
    Arc::new(Message::Sync(message))
}

/// A payload message, ready to be said.
pub(super) fn payload(message: PayloadMessage) -> Arc<Message> {
    Arc::new(Message::Payload(message))
}

/// A vote of its own, if it has a seat.
pub(super) fn vote(me: &Corrupted<'_>, view: View, block: BlockId) -> Option<Signed<Vote>> {
    let epoch = me.committee.epoch();
    me.sign(me.host, Vote { epoch, view, block })
}

/// A commit vote of its own, if it has a seat.
pub(super) fn commit_vote(
    me: &Corrupted<'_>,
    view: View,
    block: BlockId,
) -> Option<Signed<CommitVote>> {
    let epoch = me.committee.epoch();
    me.sign(me.host, CommitVote { epoch, view, block })
}

/// A timeout of its own that says this and carries this certificate, which names its rank.
pub(super) fn timeout(
    me: &Corrupted<'_>,
    view: View,
    high: Option<Certificate>,
    voted: Option<BlockId>,
) -> Option<Arc<Message>> {
    let statement = Timeout {
        epoch: me.committee.epoch(),
        view,
        high_view: high.as_ref().map_or(View(0), Certificate::rank),
        voted,
    };
    let timeout = me.sign(me.host, statement)?;
    Some(consensus(ConsensusMessage::Timeout(TimeoutMessage {
        timeout,
        high,
    })))
}

/// A proposal of its own for this block, which it signs anew; the block becomes its own.
pub(super) fn propose(
    me: &Corrupted<'_>,
    mut block: Block,
    kind: ProposalKind,
    justification: Option<Justification>,
) -> Option<Proposal> {
    block.proposer = me.member()?;
    let statement = Propose {
        epoch: block.epoch,
        view: block.view,
        kind,
        block: block.id(),
    };
    let signed = me.sign(me.host, statement)?;
    Some(Proposal {
        block,
        kind,
        signature: signed.signature,
        justification,
    })
}

/// A signature of nobody.
pub(super) fn nonsense(me: &mut Corrupted<'_>) -> Signature {
    let mut bytes = [0; 64];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&me.stream.next().to_le_bytes());
    }
    Signature(bytes)
}

/// The id of a block that nobody made.
pub(super) fn no_block(me: &mut Corrupted<'_>) -> BlockId {
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&me.stream.next().to_le_bytes());
    }
    BlockId(bytes)
}

/// Any member but itself.
pub(super) fn another(me: &mut Corrupted<'_>) -> Option<MemberIndex> {
    let own = me.member();
    let all: Vec<MemberIndex> = me
        .committee
        .indexes()
        .filter(|member| Some(*member) != own)
        .collect();
    me.stream.pick(&all).copied()
}

/// Who leads which view, as all members compute it.
#[derive(Debug, Default)]
pub(super) struct Leaders(Option<(CommitteeId, LeaderSchedule)>);

impl Leaders {
    /// The host that leads this view of the committee of now.
    pub(super) fn host(&mut self, me: &Corrupted<'_>, view: View) -> Option<usize> {
        let id = me.committee.id();
        if self.0.as_ref().is_none_or(|(held, _)| *held != id) {
            self.0 = Some((id, LeaderSchedule::new(me.committee)));
        }
        let (_, schedule) = self.0.as_ref()?;
        me.hosts.get(schedule.leader(view).index()).copied()
    }
}

/// Views whose next leaders are remembered.
const NEXT_MAX: usize = 64;

/// Hosts that lead the view after another one, for those who may not ask the committee.
#[derive(Debug, Default)]
pub(super) struct NextLeaders {
    leaders: Leaders,
    committee: Option<CommitteeId>,
    known: BTreeMap<View, usize>,
}

impl NextLeaders {
    /// The host that leads after this view, which is remembered.
    pub(super) fn after(&mut self, me: &Corrupted<'_>, view: View) -> Option<usize> {
        if self.committee != Some(me.committee.id()) {
            self.committee = Some(me.committee.id());
            self.known.clear();
        }
        let host = self.leaders.host(me, view.next())?;
        self.known.insert(view, host);
        while self.known.len() > NEXT_MAX {
            self.known.pop_first();
        }
        Some(host)
    }

    /// Whether this host is known to lead after this view.
    pub(super) fn is(&self, view: View, host: usize) -> bool {
        self.known.get(&view) == Some(&host)
    }
}

/// Blocks of one's own that left as others: votes for the one leave as votes for the other.
#[derive(Debug, Default)]
pub(super) struct Renamed {
    names: BTreeMap<BlockId, BlockId>,
    order: VecDeque<BlockId>,
}

impl Renamed {
    /// From now on `from` is called `to`.
    pub(super) fn insert(&mut self, from: BlockId, to: BlockId) {
        if self.names.insert(from, to).is_none() {
            self.order.push_back(from);
        }
        if self.order.len() > RENAMED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }

    /// A vote, commit vote or timeout that names a renamed block, signed anew with its new name.
    pub(super) fn apply(&self, me: &Corrupted<'_>, message: &Arc<Message>) -> Arc<Message> {
        let Message::Consensus(said) = &**message else {
            return message.clone();
        };
        let renamed = match said {
            ConsensusMessage::Vote(said) => self
                .names
                .get(&said.block)
                .and_then(|block| vote(me, said.view, *block))
                .map(|vote| consensus(ConsensusMessage::Vote(vote))),
            ConsensusMessage::CommitVote(said) => self
                .names
                .get(&said.block)
                .and_then(|block| commit_vote(me, said.view, *block))
                .map(|vote| consensus(ConsensusMessage::CommitVote(vote))),
            ConsensusMessage::Timeout(said) => said
                .timeout
                .voted
                .and_then(|voted| self.names.get(&voted).copied())
                .and_then(|voted| timeout(me, said.timeout.view, said.high.clone(), Some(voted))),
            _ => None,
        };
        renamed.unwrap_or_else(|| message.clone())
    }
}
