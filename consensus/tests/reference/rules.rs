//! The arithmetic of protocol sections 1 and 2, written again: thresholds, `resolve`, leaders, timers. And the
//! mutants of section 8.

use super::words::{Proof, Report};
use outrider_types::BlockId;
use std::collections::{BTreeMap, BTreeSet};

/// A change of the protocol that section 8 lists as one that forks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    QuorumOneLess,
    TimeoutOneLess,
    FastOneLess,
    AdoptionOneMore,
    AdoptionIsByzantine,
    MissingOneMore,
    CommitVoteAfterTimeout,
    TimeoutHidesVote,
    VoteAfterTimeout,
    TwoVotesPerView,
    StateLostOnRestart,
    LowerCertificate,
}

/// All of them.
pub const MUTATIONS: [Mutation; 12] = [
    Mutation::QuorumOneLess,
    Mutation::TimeoutOneLess,
    Mutation::FastOneLess,
    Mutation::AdoptionOneMore,
    Mutation::AdoptionIsByzantine,
    Mutation::MissingOneMore,
    Mutation::CommitVoteAfterTimeout,
    Mutation::TimeoutHidesVote,
    Mutation::VoteAfterTimeout,
    Mutation::TwoVotesPerView,
    Mutation::StateLostOnRestart,
    Mutation::LowerCertificate,
];

/// What is the same for all members.
#[derive(Clone, Debug)]
pub struct Rules {
    pub stakes: Vec<u64>,
    pub quorum: u64,
    pub timeout: u64,
    pub fast: u64,
    pub adoption: u64,
    pub witness: u64,
    /// Leaders of consecutive views, from view 0.
    pub turns: Vec<usize>,
    /// Timer base and its cap, in microseconds.
    pub base: u64,
    pub cap: u64,
    /// R10: views of a quorum after which a silent leader is dead; 0: never.
    pub dead_after: u64,
    pub mutation: Option<Mutation>,
}

impl Rules {
    pub fn new(stakes: &[u64], (f, c): (u64, u64), mutation: Option<Mutation>) -> Self {
        let n: u64 = stakes.iter().sum();
        let is = |mutant| u64::from(mutation == Some(mutant));
        let p = (n - 3 * f - c - 1) / 2 + is(Mutation::MissingOneMore);
        let adoption = match mutation {
            Some(Mutation::AdoptionIsByzantine) => f,
            _ => f + p + 1 + is(Mutation::AdoptionOneMore),
        };
        Self {
            stakes: stakes.to_vec(),
            quorum: (n + f) / 2 + 1 - is(Mutation::QuorumOneLess),
            timeout: n - f - c - is(Mutation::TimeoutOneLess),
            fast: n - p - is(Mutation::FastOneLess),
            adoption,
            witness: f + 1,
            turns: turns(stakes),
            base: 100_000,
            cap: 800_000,
            dead_after: 0,
            mutation,
        }
    }

    pub fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub fn leader(&self, view: u64) -> usize {
        self.turns[(view % self.turns.len() as u64) as usize]
    }

    pub fn stake<'a>(&self, members: impl IntoIterator<Item = &'a usize>) -> u64 {
        let distinct: BTreeSet<&usize> = members.into_iter().collect();
        distinct
            .into_iter()
            .map(|member| self.stakes[*member])
            .sum()
    }

    /// `resolve`, case 1: what these timeouts adopt.
    pub fn adopted(&self, reports: &BTreeMap<usize, Report>) -> Option<BlockId> {
        let blocks: BTreeSet<BlockId> = reports.values().filter_map(|(_, voted)| *voted).collect();
        let stake = |block: &BlockId| {
            let for_it = reports.iter().filter(|(_, said)| said.1 == Some(*block));
            self.stake(for_it.map(|(member, _)| member))
        };
        let most = blocks.iter().map(stake).max()?;
        // Ascending: the first of those with the most is the smallest.
        let first = blocks.into_iter().find(|block| stake(block) == most)?;
        (most >= self.adoption).then_some(first)
    }

    /// The certificate that a proof leads to: itself, or the one embedded in a tc that adopts nothing.
    pub fn certificate(&self, proof: &Proof) -> Option<Proof> {
        match proof {
            Proof::Tc { reports, high, .. } if self.adopted(reports).is_none() => {
                high.as_deref().cloned()
            }
            _ => Some(proof.clone()),
        }
    }

    /// The block of a certificate.
    pub fn block(&self, certificate: &Proof) -> Option<BlockId> {
        match certificate {
            Proof::Qc { block, .. } | Proof::Cc { block, .. } => Some(*block),
            Proof::Tc { reports, .. } => self.adopted(reports),
        }
    }

    /// R12. The base grows to five times the median of the last 32 views that ended by votes.
    pub fn timer(&self, view: u64, committed: u64, took: &[u64]) -> u64 {
        let mut last = took[took.len().saturating_sub(32)..].to_vec();
        last.sort_unstable();
        let typical = last.get(last.len() / 2).map_or(0, |took| took * 5);
        let mut timer = typical.min(self.cap).max(self.base);
        for _ in 3..view.saturating_sub(committed).min(40) {
            timer = (timer * 2).min(self.cap);
        }
        timer
    }
}

/// Smooth weighted round robin: all gain their stake, the richest leads and pays the sum. For stakes without a
/// common divisor, or all equal.
fn turns(stakes: &[u64]) -> Vec<usize> {
    let equal = stakes.iter().all(|stake| *stake == stakes[0]);
    let weights: Vec<i64> = stakes
        .iter()
        .map(|stake| if equal { 1 } else { *stake as i64 })
        .collect();
    let sum: i64 = weights.iter().sum();
    let mut purse = vec![0; weights.len()];
    let mut turns = Vec::new();
    for _ in 0..sum {
        purse.iter_mut().zip(&weights).for_each(|(p, w)| *p += w);
        let richest = *purse.iter().max().unwrap();
        let leader = purse.iter().position(|p| *p == richest).unwrap();
        purse[leader] -= sum;
        turns.push(leader);
    }
    turns
}
