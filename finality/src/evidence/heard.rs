//! What one member was heard to sign, as little of it as is needed to find every offence.

use outrider_types::evidence::Pair;
use outrider_types::zoo::{self, Mutant};
use outrider_types::{CommitVote, Evidence, ProposalKind, Propose, Signed, Timeout, View, Vote};
use std::collections::BTreeMap;

/// One statement of a view, and one that differs from it in the block it names.
#[derive(Clone, Copy, Debug)]
struct Said<S> {
    one: Signed<S>,
    other: Option<Signed<S>>,
}

impl<S: Copy> Said<S> {
    const fn new(one: Signed<S>) -> Self {
        Self { one, other: None }
    }

    fn all(&self) -> impl Iterator<Item = &Signed<S>> {
        std::iter::once(&self.one).chain(&self.other)
    }
}

/// The statements of one member.
///
/// A view keeps two votes that differ and two timeouts that report different votes: any timeout, or any vote, of that
/// view conflicts with one of them (E4). Of its timeouts it keeps the one with the lowest `high_view`, which breaks
/// every lock that any of them breaks (E5). Of commit votes older than the window the highest is kept: a later timeout
/// that breaks any of them breaks that one.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    proposals: BTreeMap<(View, ProposalKind), Signed<Propose>>,
    votes: BTreeMap<View, Said<Vote>>,
    commit_votes: BTreeMap<View, Signed<CommitVote>>,
    old_commit_vote: Option<Signed<CommitVote>>,
    timeouts: BTreeMap<View, Said<Timeout>>,
}

impl Heard {
    /// E1.
    pub(super) fn proposal(
        &mut self,
        floor: View,
        proposal: Signed<Propose>,
        out: &mut Vec<Evidence>,
    ) {
        let kind = if zoo::is(Mutant::LegalPairBlamed) {
            ProposalKind::Normal
        } else {
            proposal.kind
        };
        let first = *self
            .proposals
            .entry((proposal.view, kind))
            .or_insert(proposal);
        if first.block != proposal.block {
            out.push(Evidence::DoubleProposal(Pair {
                first,
                second: proposal,
            }));
        }
        while let Some(entry) = self.proposals.first_entry()
            && entry.key().0 < floor
        {
            entry.remove();
        }
    }

    /// E2, E4.
    pub(super) fn vote(&mut self, floor: View, vote: Signed<Vote>, out: &mut Vec<Evidence>) {
        let said = self
            .votes
            .entry(vote.view)
            .or_insert_with(|| Said::new(vote));
        if said.one.block != vote.block {
            out.push(Evidence::DoubleVote(Pair {
                first: said.one,
                second: vote,
            }));
            said.other.get_or_insert(vote);
        }
        if let Some(timeouts) = self.timeouts.get(&vote.view) {
            out.extend(
                timeouts
                    .all()
                    .filter_map(|timeout| hidden_vote(vote, *timeout)),
            );
        }
        prune(&mut self.votes, floor);
    }

    /// E3, E5.
    pub(super) fn commit_vote(
        &mut self,
        floor: View,
        vote: Signed<CommitVote>,
        out: &mut Vec<Evidence>,
    ) {
        match self.commit_votes.get(&vote.view) {
            // Its timeouts were compared when it came, and each that came later when that came.
            Some(first) if first.block == vote.block => return,
            Some(first) => {
                out.push(Evidence::DoubleCommitVote(Pair {
                    first: *first,
                    second: vote,
                }));
                return;
            }
            None if vote.view < floor => self.raise(vote),
            None => {
                self.commit_votes.insert(vote.view, vote);
            }
        }
        let broken = self
            .timeouts
            .range(vote.view..)
            .find_map(|(_, said)| broken_lock(vote, said.one));
        out.extend(broken);
        while let Some(entry) = self.commit_votes.first_entry()
            && *entry.key() < floor
        {
            let old = entry.remove();
            self.raise(old);
        }
    }

    /// E4, E5.
    pub(super) fn timeout(
        &mut self,
        floor: View,
        timeout: Signed<Timeout>,
        out: &mut Vec<Evidence>,
    ) {
        if let Some(votes) = self.votes.get(&timeout.view) {
            out.extend(votes.all().filter_map(|vote| hidden_vote(*vote, timeout)));
        }
        let locks = self
            .commit_votes
            .range(timeout.high_view.next()..=timeout.view.max(timeout.high_view.next()))
            .next_back()
            .map(|(_, vote)| *vote);
        out.extend(
            locks
                .into_iter()
                .chain(self.old_commit_vote)
                .find_map(|vote| broken_lock(vote, timeout)),
        );
        match self.timeouts.get_mut(&timeout.view) {
            None => {
                self.timeouts.insert(timeout.view, Said::new(timeout));
            }
            Some(said) if timeout.high_view < said.one.high_view => {
                let before = std::mem::replace(&mut said.one, timeout);
                if before.voted != timeout.voted {
                    said.other = Some(before);
                }
            }
            Some(said) => {
                if said.one.voted != timeout.voted {
                    said.other.get_or_insert(timeout);
                }
            }
        }
        prune(&mut self.timeouts, floor);
    }

    fn raise(&mut self, vote: Signed<CommitVote>) {
        if self
            .old_commit_vote
            .is_none_or(|held| held.view < vote.view)
        {
            self.old_commit_vote = Some(vote);
        }
    }

    /// How many statements are kept.
    pub(super) fn len(&self) -> usize {
        let votes = self.votes.values().map(|said| said.all().count());
        let timeouts = self.timeouts.values().map(|said| said.all().count());
        self.proposals.len()
            + self.commit_votes.len()
            + usize::from(self.old_commit_vote.is_some())
            + votes.chain(timeouts).sum::<usize>()
    }
}

fn prune<T>(views: &mut BTreeMap<View, T>, floor: View) {
    while let Some(entry) = views.first_entry()
        && *entry.key() < floor
    {
        entry.remove();
    }
}

fn hidden_vote(vote: Signed<Vote>, timeout: Signed<Timeout>) -> Option<Evidence> {
    (vote.view == timeout.view && timeout.voted != Some(vote.block)).then_some(
        Evidence::HiddenVote(Pair {
            first: vote,
            second: timeout,
        }),
    )
}

fn broken_lock(vote: Signed<CommitVote>, timeout: Signed<Timeout>) -> Option<Evidence> {
    (timeout.view >= vote.view && timeout.high_view < vote.view).then_some(Evidence::BrokenLock(
        Pair {
            first: vote,
            second: timeout,
        },
    ))
}
