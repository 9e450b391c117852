//! The signer log: every statement that left a member, and the checkers over it. The arithmetic is restated here on
//! its own; nothing is asked of the replicas.

use outrider_types::{
    BlockId, Certificate, ConsensusMessage, Epoch, Justification, MemberIndex, View,
};
use std::collections::{BTreeMap, BTreeSet};

/// Thresholds from `N` and `f` (with `c` = 0), as protocol section 1 writes them.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic {
    pub f: u64,
    pub quorum: u64,
    pub timeout: u64,
    pub fast: u64,
    pub adoption: u64,
}

impl Arithmetic {
    pub fn of(stakes: &[u64]) -> Self {
        let n: u64 = stakes.iter().sum();
        let f = (n - 1) / 3;
        let p = (n - 3 * f - 1) / 2;
        Self {
            f,
            quorum: (n + f) / 2 + 1,
            timeout: n - f,
            fast: n - p,
            adoption: f + p + 1,
        }
    }
}

/// Views of all epochs in one order, so that what is said of one epoch clashes with nothing of another.
const fn slot(epoch: Epoch, view: View) -> u64 {
    epoch.0 << 40 | view.0
}

/// What one member signed, by [`slot`].
#[derive(Clone, Debug, Default)]
struct Said {
    proposals: BTreeMap<(u64, u8), BlockId>,
    votes: BTreeMap<u64, BlockId>,
    commits: BTreeMap<u64, BlockId>,
    timeouts: BTreeMap<u64, (u64, Option<BlockId>)>,
}

#[derive(Clone, Debug)]
pub struct Log {
    pub stakes: Vec<u64>,
    pub honest: BTreeSet<usize>,
    said: Vec<Said>,
    votes: BTreeMap<(u64, BlockId), BTreeSet<usize>>,
    certified: BTreeMap<u64, BlockId>,
    /// Final blocks by height, whoever committed them first.
    pub chain: BTreeMap<u64, BlockId>,
}

impl Log {
    pub fn new(stakes: &[u64], honest: BTreeSet<usize>) -> Self {
        Self {
            stakes: stakes.to_vec(),
            honest,
            said: vec![Said::default(); stakes.len()],
            votes: BTreeMap::new(),
            certified: BTreeMap::new(),
            chain: BTreeMap::new(),
        }
    }

    pub fn voted(&self, member: usize, view: u64) -> Option<BlockId> {
        self.said[member].votes.get(&view).copied()
    }

    pub fn commit_voted(&self, member: usize, view: u64) -> bool {
        self.said[member].commits.contains_key(&view)
    }

    pub fn timed_out(&self, member: usize, view: u64) -> bool {
        self.said[member].timeouts.contains_key(&view)
    }

    /// A statement left its member. An honest one never makes an offence with what it said before.
    pub fn record(&mut self, message: &ConsensusMessage) {
        match message {
            ConsensusMessage::Proposal(proposal) => {
                let member = proposal.block.proposer.index();
                let (slot, id) = (
                    (
                        slot(proposal.block.epoch, proposal.block.view),
                        proposal.kind.byte(),
                    ),
                    proposal.block.id(),
                );
                let first = *self.said[member].proposals.entry(slot).or_insert(id);
                self.rule(member, first == id, "E1: two proposals in one view", slot.0);
            }
            ConsensusMessage::Vote(vote) => {
                let (member, view) = (vote.signer.index(), slot(vote.epoch, vote.view));
                let first = *self.said[member].votes.entry(view).or_insert(vote.block);
                self.rule(member, first == vote.block, "E2: two votes", view);
                let timeout = self.said[member].timeouts.get(&view).copied();
                let told = timeout.is_none_or(|(_, voted)| voted == Some(vote.block));
                self.rule(member, told, "E4: a vote its timeout hides", view);
                self.count(member, view, vote.block);
            }
            ConsensusMessage::CommitVote(vote) => {
                let (member, view) = (vote.signer.index(), slot(vote.epoch, vote.view));
                let first = *self.said[member].commits.entry(view).or_insert(vote.block);
                self.rule(member, first == vote.block, "E3: two commit votes", view);
                let kept = self.said[member]
                    .timeouts
                    .range(view..)
                    .all(|(_, (high, _))| *high >= view);
                self.rule(member, kept, "E5: a commit vote after the timeout", view);
            }
            ConsensusMessage::Timeout(message) => {
                let timeout = &message.timeout;
                let (epoch, member) = (timeout.epoch, timeout.signer.index());
                let view = slot(epoch, timeout.view);
                let says = (slot(epoch, timeout.high_view), timeout.voted);
                let first = *self.said[member].timeouts.entry(view).or_insert(says);
                self.rule(member, first == says, "two timeouts of one view", view);
                let voted = self.said[member].votes.get(&view).copied();
                let told = voted.is_none() || voted == timeout.voted;
                self.rule(member, told, "E4: a timeout that hides a vote", view);
                let kept = self.said[member]
                    .commits
                    .range(..=view)
                    .all(|(committed, _)| says.0 >= *committed);
                self.rule(member, kept, "E5: a broken lock", view);
            }
            ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => {}
        }
    }

    fn rule(&self, member: usize, holds: bool, what: &str, view: u64) {
        assert!(
            holds || !self.honest.contains(&member),
            "honest member {member} in view {view}: {what}"
        );
    }

    /// At most one block of a view ever has votes of a quorum.
    fn count(&mut self, member: usize, view: u64, block: BlockId) {
        let voters = self.votes.entry((view, block)).or_default();
        voters.insert(member);
        let stake: u64 = voters.iter().map(|voter| self.stakes[*voter]).sum();
        let total: u64 = self.stakes.iter().sum();
        let f = (total - 1) / 3;
        if 2 * stake > total + f {
            let first = *self.certified.entry(view).or_insert(block);
            assert_eq!(first, block, "two quorum certificates in view {view}");
        }
    }

    /// S1: one block per height.
    pub fn commit(&mut self, member: usize, height: u64, block: BlockId) {
        let first = *self.chain.entry(height).or_insert(block);
        assert_eq!(
            first, block,
            "S1: member {member} committed another block at height {height}"
        );
    }

    /// What ended a view has the stake it needs, and a timeout certificate is used as what its entries make it.
    pub fn check_entry(&self, entry: &Justification, rules: &Arithmetic) {
        let (timeouts, adopted) = match entry {
            Justification::Certificate(Certificate::Quorum(votes)) => {
                let stake = self.stake_of(votes.signatures.iter().map(|(member, _)| *member));
                assert!(stake >= rules.quorum, "a certificate of stake {stake}");
                return;
            }
            Justification::Certificate(Certificate::Commit(votes)) => {
                let stake = self.stake_of(votes.signatures.iter().map(|(member, _)| *member));
                assert!(stake >= rules.quorum, "a commit certificate of {stake}");
                return;
            }
            Justification::Certificate(Certificate::Adopting(adopting)) => {
                (&adopting.timeouts, Some(adopting.block))
            }
            Justification::Timeout(timeout) => (&timeout.timeouts, None),
        };
        let stake = self.stake_of(timeouts.entries.iter().map(|entry| entry.member));
        assert!(stake >= rules.timeout, "a timeout certificate of {stake}");
        let mut reported: BTreeMap<BlockId, u64> = BTreeMap::new();
        for entry in &timeouts.entries {
            assert!(entry.high_view < timeouts.view, "a malformed timeout");
            if let Some(block) = entry.voted {
                *reported.entry(block).or_default() += self.stakes[entry.member.index()];
            }
        }
        let most = reported.values().copied().max().unwrap_or(0);
        let expected = reported
            .into_iter()
            .find(|(_, stake)| *stake == most && most >= rules.adoption)
            .map(|(block, _)| block);
        assert_eq!(adopted, expected, "resolve of view {}", timeouts.view);
        if let Justification::Timeout(timeout) = entry {
            let best = timeouts.entries.iter().map(|entry| entry.high_view).max();
            let high = timeout.high.as_ref().map(Certificate::rank);
            assert_eq!(best.unwrap_or_default(), high.unwrap_or_default());
        }
    }

    /// Stake of distinct members, ascending.
    pub fn stake_of(&self, members: impl IntoIterator<Item = MemberIndex>) -> u64 {
        let distinct: BTreeSet<usize> = members.into_iter().map(MemberIndex::index).collect();
        distinct.iter().map(|member| self.stakes[*member]).sum()
    }
}
