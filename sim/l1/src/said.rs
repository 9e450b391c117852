//! What one member signed, and every accusation that can be made out of it.

use outrider_sim::fact::{Fact, Message, Micros, Observer, Violation};
use outrider_types::evidence::Pair;
use outrider_types::{
    CommitVote, ConsensusMessage, Evidence, MemberIndex, Propose, Signed, Timeout, View, Vote,
};
use std::collections::BTreeSet;

/// Statements of one kind and member that are remembered; the last ones.
const STATEMENTS_MAX: usize = 512;
/// Views that the statements of a pair are apart, at most. Such of one view are the ones that could conflict.
const VIEWS_APART_MAX: u64 = 1;
/// Accusations of one offence that are made out of what one member signed: the closest pairs.
const PAIRS_MAX: usize = 24;

/// What one member signed.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// R2, R3.
    pub proposals: BTreeSet<Signed<Propose>>,
    /// R4.
    pub votes: BTreeSet<Signed<Vote>>,
    /// R5.
    pub commit_votes: BTreeSet<Signed<CommitVote>>,
    /// R8.
    pub timeouts: BTreeSet<Signed<Timeout>>,
}

fn keep<S: Ord>(set: &mut BTreeSet<S>, one: S) {
    set.insert(one);
    if set.len() > STATEMENTS_MAX {
        set.pop_first();
    }
}

/// The pairs of statements that are the closest in their views.
fn closest<A, B>(
    pairs: impl Iterator<Item = (Signed<A>, Signed<B>)>,
    views: impl Fn(&A, &B) -> (View, View),
    accuse: impl Fn(Pair<A, B>) -> Evidence,
) -> Vec<Evidence> {
    let mut near: Vec<_> = pairs
        .map(|(first, second)| {
            let (one, other) = views(&first.statement, &second.statement);
            (one.0.abs_diff(other.0), Pair { first, second })
        })
        .filter(|(apart, _)| *apart <= VIEWS_APART_MAX)
        .collect();
    near.sort_by_key(|(apart, _)| *apart);
    near.truncate(PAIRS_MAX);
    near.into_iter().map(|(_, pair)| accuse(pair)).collect()
}

/// Two different ones of a set.
fn twos<S: Copy + Ord>(set: &BTreeSet<S>) -> impl Iterator<Item = (S, S)> {
    set.iter().flat_map(|one| {
        let later = set.range((std::ops::Bound::Excluded(one), std::ops::Bound::Unbounded));
        later.map(|other| (*one, *other))
    })
}

impl Said {
    /// Every accusation E1 to E5 out of these statements, up to the limits. None is true if the member is honest.
    #[must_use]
    pub fn accusations(&self) -> Vec<Evidence> {
        let with_timeouts = |vote: &Signed<Vote>| {
            let vote = *vote;
            self.timeouts.iter().map(move |timeout| (vote, *timeout))
        };
        let commits_with_timeouts = |vote: &Signed<CommitVote>| {
            let vote = *vote;
            self.timeouts.iter().map(move |timeout| (vote, *timeout))
        };
        [
            closest(
                twos(&self.proposals),
                |a, b| (a.view, b.view),
                Evidence::DoubleProposal,
            ),
            closest(
                twos(&self.votes),
                |a, b| (a.view, b.view),
                Evidence::DoubleVote,
            ),
            closest(
                twos(&self.commit_votes),
                |a, b| (a.view, b.view),
                Evidence::DoubleCommitVote,
            ),
            closest(
                self.votes.iter().flat_map(with_timeouts),
                |a, b| (a.view, b.view),
                Evidence::HiddenVote,
            ),
            closest(
                self.commit_votes.iter().flat_map(commits_with_timeouts),
                |a, b| (a.view, b.view),
                Evidence::BrokenLock,
            ),
        ]
        .concat()
    }
}

/// Hears what every host signs.
#[derive(Debug)]
pub struct Ears {
    /// By host.
    pub said: Vec<Said>,
}

impl Ears {
    /// For so many hosts.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self {
            said: vec![Said::default(); hosts],
        }
    }
}

impl Observer for Ears {
    fn see(&mut self, _: Micros, fact: &Fact) -> Result<(), Violation> {
        // A member of the first committee has the number of its host. What it passes on of others is not its own.
        let Fact::Sent { from, message, .. } = fact else {
            return Ok(());
        };
        let own = |signer: MemberIndex| signer.index() == *from;
        let (Some(said), Message::Consensus(message)) = (self.said.get_mut(*from), &**message)
        else {
            return Ok(());
        };
        match message {
            ConsensusMessage::Proposal(proposal) if own(proposal.block.proposer) => {
                let block = &proposal.block;
                let statement = Propose {
                    epoch: block.epoch,
                    view: block.view,
                    kind: proposal.kind,
                    block: block.id(),
                };
                let signed = Signed {
                    statement,
                    signer: block.proposer,
                    signature: proposal.signature,
                };
                keep(&mut said.proposals, signed);
            }
            ConsensusMessage::Vote(vote) if own(vote.signer) => keep(&mut said.votes, *vote),
            ConsensusMessage::CommitVote(vote) if own(vote.signer) => {
                keep(&mut said.commit_votes, *vote);
            }
            ConsensusMessage::Timeout(timeout) if own(timeout.timeout.signer) => {
                keep(&mut said.timeouts, timeout.timeout);
            }
            _ => {}
        }
        Ok(())
    }
}
