//! What the reference replica counts: certificates out of statements, and commits (R6, R7).

use super::replica::Reference;
use super::words::Proof;
use outrider_types::BlockId;
use std::collections::{BTreeMap, BTreeSet};

impl Reference {
    pub fn count_votes(&mut self, now: u64, view: u64, block: BlockId) {
        let by = voters(&self.votes, view, block);
        if self.rules.stake(&by) >= self.rules.quorum {
            self.learn(now, Proof::Qc { view, block, by });
        }
    }

    pub fn count_commit_votes(&mut self, now: u64, view: u64, block: BlockId) {
        let by = voters(&self.commit_votes, view, block);
        if self.rules.stake(&by) >= self.rules.quorum {
            self.learn(now, Proof::Cc { view, block, by });
        }
    }

    pub fn timeouts_of(&self, view: u64) -> BTreeMap<usize, (Option<Proof>, Option<BlockId>)> {
        let all = self.timeouts.range((view, 0)..=(view, usize::MAX));
        all.map(|((_, by), said)| (*by, said.clone())).collect()
    }

    /// Section 2: a tc, with the certificate of the greatest rank in it, of the first member that names one.
    pub fn count_timeouts(&mut self, now: u64, view: u64) {
        let all = self.timeouts_of(view);
        if view >= self.safety.view && self.rules.stake(all.keys()) >= self.rules.timeout {
            let rank = |high: &Option<Proof>| high.as_ref().map_or(0, Proof::view);
            let best = all.values().map(|(high, _)| rank(high)).max();
            let highs = all.values().map(|(high, _)| high);
            let high = highs
                .clone()
                .find(|high| Some(rank(high)) == best)
                .cloned()
                .flatten();
            let reports = all
                .iter()
                .map(|(by, said)| (*by, (rank(&said.0), said.1)))
                .collect();
            let adopts = self.rules.adopted(&reports).is_some();
            let high = high.filter(|_| !adopts).map(Box::new);
            self.learn(
                now,
                Proof::Tc {
                    view,
                    reports,
                    high,
                },
            );
        }
    }

    /// R6 and R7.
    pub fn commit(&mut self) {
        let fast = |by: &BTreeSet<usize>| self.rules.stake(by) >= self.rules.fast;
        let by_votes = self.votes.iter().filter(|((view, _), block)| {
            let by = voters(&self.votes, *view, **block);
            fast(&by)
        });
        let by_certificate = self.certificates.iter().filter_map(|proof| match proof {
            Proof::Qc { view, block, by } if fast(by) => Some((*view, *block)),
            Proof::Cc { view, block, .. } => Some((*view, *block)),
            _ => None,
        });
        let all = by_votes
            .map(|((view, _), block)| (*view, *block))
            .chain(by_certificate);
        let last = all.filter(|(view, _)| *view > self.root.view.0).max();
        if let Some((_, id)) = last
            && let Some(branch) = self.branch(id)
            && !branch.is_empty()
            && self.all_valid(&branch)
        {
            self.make_final(self.blocks[&id]);
        }
    }
}

fn voters(votes: &BTreeMap<(u64, usize), BlockId>, view: u64, block: BlockId) -> BTreeSet<usize> {
    let all = votes.range((view, 0)..=(view, usize::MAX));
    all.filter(|(_, voted)| **voted == block)
        .map(|((_, by), _)| *by)
        .collect()
}
