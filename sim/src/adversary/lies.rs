//! Deeds that sign what contradicts itself, and one that accuses the innocent.

use super::craft::{commit_vote, consensus, no_block, nonsense, say_to, sync, timeout, vote};
use super::memory::Memory;
use super::{Corrupted, Deed, Setup};
use crate::fact::Message;
use outrider_types::evidence::Pair;
use outrider_types::{
    BlockId, ConsensusMessage, Evidence, MemberIndex, Signed, SyncMessage, View, Vote,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Its timeouts lie: they hide its vote and its certificate, or only the vote, or claim a vote for another block; the two
/// halves of the others hear different lies. Strains R4(b) and resolve (adoption counts what timeouts report), E4 and E5.
#[derive(Debug)]
pub(super) struct Liar {
    setup: Setup,
    memory: Memory,
}

impl Liar {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
            memory: Memory::default(),
        }
    }

    /// A block of this view that it did not vote for, or one that nobody made.
    fn other_block(&self, me: &mut Corrupted<'_>, view: View, voted: Option<BlockId>) -> BlockId {
        let proposals = self.memory.proposals.iter();
        let blocks: Vec<BlockId> = proposals
            .filter(|proposal| proposal.block.view == view)
            .map(|proposal| proposal.block.id())
            .filter(|block| Some(*block) != voted)
            .collect();
        match me.stream.pick(&blocks) {
            Some(block) => *block,
            None => no_block(me),
        }
    }
}

impl Deed for Liar {
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        let Message::Consensus(ConsensusMessage::Timeout(said)) = &**message else {
            me.say(to, message.clone());
            return;
        };
        let (view, voted) = (said.timeout.view, said.timeout.voted);
        for half in 0..2 {
            let lie = match me.stream.below(3) {
                0 => timeout(me, view, None, None),
                1 => timeout(me, view, said.high.clone(), None),
                _ => {
                    let claimed = self.other_block(me, view, voted);
                    timeout(me, view, said.high.clone(), Some(claimed))
                }
            };
            let setup = &self.setup;
            let hosts = setup.audience(to).into_iter();
            let hosts = hosts.filter(|host| setup.half(view.0, *host) == half);
            if let Some(lie) = lie {
                say_to(me, hosts, &lie);
            }
        }
    }

    fn overhears(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        _: Option<usize>,
        message: &Arc<Message>,
    ) {
        if matches!(
            &**message,
            Message::Consensus(ConsensusMessage::Proposal(_))
        ) {
            self.memory.note(me.committee, message);
        }
    }
}

/// Blocks that it has voted for and still remembers.
const VOTED_MAX: usize = 256;

/// Votes and commit-votes for every block it hears of, and gives up on the view towards half of the others. Strains R4 to
/// R7 (counting distinct members) and the detection of E2 to E5.
#[derive(Debug)]
pub(super) struct DoubleVoter {
    setup: Setup,
    voted: BTreeSet<(View, BlockId)>,
}

impl DoubleVoter {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
            voted: BTreeSet::new(),
        }
    }
}

impl Deed for DoubleVoter {
    fn overhears(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        _: Option<usize>,
        message: &Arc<Message>,
    ) {
        let (view, block) = match &**message {
            Message::Consensus(ConsensusMessage::Proposal(said)) => {
                (said.block.view, said.block.id())
            }
            Message::Consensus(ConsensusMessage::Vote(said)) => (said.view, said.block),
            _ => return,
        };
        let known = self
            .voted
            .first()
            .is_some_and(|oldest| self.voted.len() >= VOTED_MAX && (view, block) < *oldest);
        if known || !self.voted.insert((view, block)) {
            return;
        }
        if self.voted.len() > VOTED_MAX {
            self.voted.pop_first();
        }
        if let Some(vote) = vote(me, view, block) {
            me.say(None, consensus(ConsensusMessage::Vote(vote)));
        }
        if let Some(vote) = commit_vote(me, view, block) {
            me.say(None, consensus(ConsensusMessage::CommitVote(vote)));
        }
        if let Some(timeout) = timeout(me, view, None, None) {
            let setup = &self.setup;
            let hosts = setup.others().into_iter();
            let half = hosts.filter(|host| setup.half(view.0, *host) == 1);
            say_to(me, half, &timeout);
        }
    }
}

/// Accuses honest members: pairs that are legal, of two signers, of one statement twice, or with signatures that are not
/// theirs. Strains the check of evidence: nobody may believe one of them (S11).
#[derive(Debug, Default)]
pub(super) struct EvidenceForger {
    memory: Memory,
    /// Views in which it has accused someone, up to this one.
    accused: View,
}

impl EvidenceForger {
    fn pair<A, B>(first: Signed<A>, second: Signed<B>) -> Pair<A, B> {
        Pair { first, second }
    }

    /// All false accusations that what was overheard allows, about this view.
    fn accusations(&self, me: &mut Corrupted<'_>, view: View) -> Vec<Evidence> {
        let mut out = Vec::new();
        let votes = |view| {
            let blocks = self.memory.votes.get(&view).into_iter();
            let votes = blocks.flat_map(|blocks| blocks.values().flat_map(|by| by.values()));
            votes.copied().collect::<Vec<Signed<Vote>>>()
        };
        let (now, before) = (votes(view), votes(view.previous()));
        let own = me.member();
        let honest = |signer: MemberIndex| Some(signer) != own;
        let Some(first) = now.iter().find(|vote| honest(vote.signer)).copied() else {
            return out;
        };
        // One statement, twice.
        out.push(Evidence::DoubleVote(Self::pair(first, first)));
        // Two views.
        if let Some(earlier) = before.iter().find(|vote| vote.signer == first.signer) {
            out.push(Evidence::DoubleVote(Self::pair(*earlier, first)));
        }
        // Two signers.
        if let Some(other) = now.iter().find(|vote| vote.signer != first.signer) {
            out.push(Evidence::DoubleVote(Self::pair(first, *other)));
        }
        // A second vote in its name, signed by nobody, and one signed by the accuser.
        let block = no_block(me);
        let mut forged = Signed {
            statement: Vote {
                block,
                ..first.statement
            },
            signer: first.signer,
            signature: nonsense(me),
        };
        out.push(Evidence::DoubleVote(Self::pair(first, forged)));
        if let Some(signed) = me.sign(me.host, forged.statement) {
            forged.signature = signed.signature;
            out.push(Evidence::DoubleVote(Self::pair(first, forged)));
        }
        self.timeouts_of(view, &now, &mut out);
        out
    }

    /// A vote and the timeout that reports it; a commit vote and a timeout that knows its certificate, or of a view before.
    fn timeouts_of(&self, view: View, votes: &[Signed<Vote>], out: &mut Vec<Evidence>) {
        for (signer, timeout) in self.memory.timeouts.get(&view).into_iter().flatten() {
            let vote = votes.iter().find(|vote| vote.signer == *signer);
            if let Some(vote) = vote.filter(|vote| timeout.timeout.voted == Some(vote.block)) {
                out.push(Evidence::HiddenVote(Self::pair(*vote, timeout.timeout)));
            }
            let commits = self.memory.commit_votes.values().flat_map(|by| by.values());
            let legal = commits.flat_map(|by| by.get(signer)).find(|commit| {
                timeout.timeout.view < commit.view || timeout.timeout.high_view >= commit.view
            });
            if let Some(commit) = legal {
                out.push(Evidence::BrokenLock(Self::pair(*commit, timeout.timeout)));
            }
        }
    }
}

impl Deed for EvidenceForger {
    fn overhears(
        &mut self,
        me: &mut Corrupted<'_>,
        _: usize,
        _: Option<usize>,
        message: &Arc<Message>,
    ) {
        self.memory.note(me.committee, message);
        // What was said in a view is complete when the next but one is spoken of.
        let Some(view) = message.view().map(|view| view.previous().previous()) else {
            return;
        };
        if view > self.accused || view.0 + 8 < self.accused.0 {
            self.accused = view;
            for evidence in self.accusations(me, view) {
                me.say(None, sync(SyncMessage::Evidence(evidence)));
            }
        }
    }
}
