//! What was committed in a world, for tests that look back at a run.

use crate::fact::{Class, Fact, Micros, Observer, Violation};
use outrider_types::{BlockId, Epoch, Height, TransactionId, View};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A commit at one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// When, in simulated time.
    pub at: Duration,
    /// At whom.
    pub member: usize,
    /// Height of the block.
    pub height: Height,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its view.
    pub view: View,
    /// The block.
    pub block: BlockId,
    /// What it orders.
    pub transactions: Vec<TransactionId>,
}

/// Everything that was committed and accepted, and a first check of it: agreement (S1) and single inclusion (S10).
#[derive(Debug, Default)]
pub struct Trace {
    commits: Vec<Commit>,
    accepted: BTreeMap<TransactionId, usize>,
    chain: BTreeMap<Height, BlockId>,
    places: BTreeMap<TransactionId, Height>,
}

impl Trace {
    /// All commits, in the order in which they happened.
    #[must_use]
    pub fn commits(&self) -> &[Commit] {
        &self.commits
    }

    /// Transactions that a member accepted.
    #[must_use]
    pub fn accepted_at(&self, member: usize) -> Vec<TransactionId> {
        let at = self.accepted.iter().filter(|(_, by)| **by == member);
        at.map(|(id, _)| *id).collect()
    }

    /// How many transactions were accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.len()
    }

    /// Transactions that a member accepted and that no member has committed.
    #[must_use]
    pub fn unordered(&self) -> Vec<TransactionId> {
        let ordered: BTreeSet<_> = self.places.keys().collect();
        let accepted = self.accepted.keys();
        accepted
            .filter(|id| !ordered.contains(id))
            .copied()
            .collect()
    }

    /// S1 and S10.
    fn check(&mut self, at: Micros, commit: &Commit) -> Result<(), Violation> {
        let (member, height) = (commit.member, commit.height);
        let safety = |checker, what| Violation {
            checker,
            class: Class::Safety,
            at,
            what,
        };
        let other = *self.chain.entry(height).or_insert(commit.block);
        if other != commit.block {
            let what = format!(
                "m{member} committed {} at height {height}, another member committed {other}",
                commit.block
            );
            return Err(safety("S1", what));
        }
        for id in &commit.transactions {
            let first = *self.places.entry(*id).or_insert(height);
            if first != height {
                let what = format!("transaction {id} is ordered at heights {first} and {height}");
                return Err(safety("S10", what));
            }
        }
        Ok(())
    }
}

impl Observer for Trace {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Committed {
                member,
                record,
                transactions,
                ..
            } => {
                let block = &record.block;
                let commit = Commit {
                    at: Duration::from_micros(at),
                    member: *member,
                    height: block.height,
                    epoch: block.epoch,
                    view: block.view,
                    block: block.id(),
                    transactions: transactions.to_vec(),
                };
                self.check(at, &commit)?;
                self.commits.push(commit);
            }
            Fact::Accepted { member, id, .. } => {
                self.accepted.insert(*id, *member);
            }
            _ => {}
        }
        Ok(())
    }
}
