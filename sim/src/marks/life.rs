//! Marks of what members do and of what is done to them.

use super::state::{Host, Seen};
use super::{Mark, Marks};
use crate::fact::{Fact, Micros};
use outrider_types::{Block, Certificate, FinalityCertificate, Justification, TransactionId, View};

/// A member so many blocks behind the tip is a laggard.
const FAR_BLOCKS: u64 = 16;
/// Views that count as soon, and as many.
const SOME_VIEWS: u64 = 8;

impl Marks {
    pub(super) fn stepped(&mut self, host: usize, epoch: u64, view: View) {
        if let Some(host) = self.state.hosts.get_mut(host) {
            (host.epoch, host.view) = (epoch, view);
            self.state.top = self.state.top.max((epoch, view));
        }
    }

    pub(super) fn entered(
        &mut self,
        at: Micros,
        host: usize,
        (epoch, view): (u64, View),
        leader: usize,
        entry: Option<&Justification>,
    ) {
        let Some(state) = self.state.hosts.get_mut(host) else {
            return;
        };
        let before = (state.epoch, state.view);
        let restarts = state.restarted && leader == host && state.entered < at;
        let committed = if state.committed.0 == epoch {
            state.committed.1
        } else {
            View(0)
        };
        let fresh = before.1 == View(0);
        (state.epoch, state.view, state.leader, state.entered) = (epoch, view, leader, at);
        self.reach_if(restarts, Mark::LeaderRestarted);
        let skips = before.0 == epoch && !fresh && view.0 > before.1.0 + 1;
        self.reach_if(skips, Mark::ViewsSkipped);
        self.reach_if(view.0 > committed.0 + SOME_VIEWS, Mark::LongTimers);
        self.state.top = self.state.top.max((epoch, view));
        if before.0 != epoch || fresh {
            let up = |host: &&Host| host.honest && !host.down && host.view > View(0);
            let epochs = self.state.hosts.iter().filter(up).map(|host| host.epoch);
            let apart = epochs.min().is_some_and(|low| self.state.top.0 >= low + 2);
            self.reach_if(apart, Mark::EpochsApart);
        }
        if let Some(entry) = entry {
            self.ended(entry);
        }
    }

    /// What ended a view.
    pub(super) fn ended(&mut self, entry: &Justification) {
        let place = (entry.epoch().0, entry.view());
        let mut reached = Vec::new();
        match entry {
            Justification::Certificate(Certificate::Quorum(_)) => {}
            Justification::Certificate(Certificate::Commit(_)) => reached.push(Mark::CommitEntry),
            Justification::Certificate(Certificate::Adopting(_)) => {
                reached.push(Mark::AdoptingTc);
            }
            Justification::Timeout(timeout) => match &timeout.high {
                None => reached.push(Mark::BareTc),
                Some(high) => {
                    reached.push(Mark::ExtendingTc);
                    if high.rank().0 + 3 <= place.1.0 {
                        reached.push(Mark::DeepTc);
                    }
                }
            },
        }
        if let Some(seen) = self.state.view(place.0, place.1) {
            match entry {
                Justification::Certificate(Certificate::Adopting(adopting)) => {
                    seen.adopted = Some(adopting.block);
                }
                Justification::Certificate(certificate) => seen.quorum = Some(certificate.block()),
                Justification::Timeout(_) => seen.extended = true,
            }
            reached.extend(beside(seen));
        }
        for mark in reached {
            self.reach(mark);
        }
    }

    pub(super) fn committed(
        &mut self,
        host: usize,
        block: &Block,
        transactions: &[TransactionId],
        certificate: Option<&FinalityCertificate>,
    ) {
        let (epoch, height) = (block.epoch.0, block.height.0);
        self.state.tip = self.state.tip.max(height);
        let tip = self.state.tip;
        let (partition, skew) = (self.state.partitions > 0, self.state.skews > 0);
        let Some(state) = self.state.hosts.get_mut(host) else {
            return;
        };
        state.height = height;
        state.committed = state.committed.max((epoch, block.view));
        let far = height + FAR_BLOCKS <= tip;
        let caught_up = height == tip && std::mem::replace(&mut state.behind, false);
        state.behind |= far;
        let returned = height == tip && std::mem::replace(&mut state.wiped, false);
        self.reach_if(caught_up, Mark::LaggardCatchesUp);
        self.reach_if(returned, Mark::WipedReturns);
        self.reach_if(partition, Mark::CommitInPartition);
        self.reach_if(skew, Mark::CommitUnderSkew);
        for id in transactions {
            let taken = self.state.waiting.remove(id);
            self.reach_if(
                taken.is_some_and(|taken| taken.down),
                Mark::TransactionSurvives,
            );
        }
        // What a range brought was committed elsewhere, and how is not its own doing.
        if let Some(certificate) = certificate.filter(|one| one.view() == block.view) {
            self.committed_by(block, certificate);
        }
    }

    fn committed_by(&mut self, block: &Block, certificate: &FinalityCertificate) {
        let id = certificate.block();
        let place = (block.epoch.0, block.view);
        let fast_quorum = self
            .state
            .epoch(place.0)
            .map_or(0, |epoch| epoch.committee.thresholds().fast.0);
        let crashed = self.state.crashed;
        let soon = crashed.is_some_and(|(epoch, view)| {
            epoch == place.0 && view < place.1 && place.1.0 <= view.0 + SOME_VIEWS
        });
        let mut reached = Vec::new();
        let fast = matches!(certificate, FinalityCertificate::Fast(_));
        if fast {
            reached.push(Mark::FastCommit);
            if soon {
                reached.push(Mark::FastAfterCrash);
            }
        } else {
            reached.push(Mark::SlowCommit);
        }
        if let Some(seen) = self.state.view(place.0, place.1) {
            seen.fast |= fast;
            seen.slow |= !fast;
            if seen.fast && seen.slow {
                reached.push(Mark::FastBesideSlow);
            }
            let votes = seen.votes.iter().find(|(block, ..)| *block == id);
            if !fast && votes.is_none_or(|(_, stake, _)| *stake < fast_quorum) {
                reached.push(Mark::SlowForLackOfVotes);
            }
            if seen.adopted == Some(id) {
                reached.push(Mark::AdoptedCommitted);
            }
            let mut proposed = seen.proposals.iter();
            if proposed.any(|(kind, other)| *other != id && seen.proposals.contains(&(*kind, id))) {
                reached.push(Mark::EquivocationCommitted);
            }
        }
        for mark in reached {
            self.reach(mark);
        }
    }

    pub(super) fn event(&mut self, fact: &Fact) {
        match fact {
            Fact::Epoch { committee, hosts } => {
                let changed = self
                    .state
                    .epochs
                    .last()
                    .is_some_and(|before| before.hosts != *hosts);
                self.reach_if(changed, Mark::CommitteeChanged);
                self.state.begin(committee, hosts);
            }
            Fact::EpochEnded { member, end } => {
                self.reach(Mark::EpochEnds);
                self.reach_if(!end.fillers.is_empty(), Mark::FillerCommitted);
                let host = self.state.hosts.get(*member);
                let given_up = host.is_some_and(|host| host.timed_out == (host.epoch, host.view));
                self.reach_if(given_up, Mark::EpochEndsInTimeout);
            }
            Fact::Blamed { reason, .. } => {
                self.reach(Mark::Blamed);
                self.reach_if(reason.contains("payload"), Mark::PayloadRefused);
                self.reach_if(reason.contains("timestamp"), Mark::TimeRefused);
            }
            Fact::Kept { justification, .. } => self.ended(justification),
            Fact::Crashed { member, wiped } => self.crashed(*member, *wiped),
            Fact::Restarted { member, mute, .. } => self.restarted(*member, *mute),
            Fact::Fault { what, begins } => {
                let counter = if what.starts_with("clock") {
                    &mut self.state.skews
                } else if what.starts_with("partition") || what.starts_with("one-way") {
                    &mut self.state.partitions
                } else {
                    return;
                };
                *counter = if *begins {
                    *counter + 1
                } else {
                    counter.saturating_sub(1)
                };
            }
            _ => {}
        }
    }

    fn crashed(&mut self, host: usize, wiped: bool) {
        for taken in self.state.waiting.values_mut() {
            taken.down |= taken.by == host;
        }
        let Some(state) = self.state.hosts.get_mut(host) else {
            return;
        };
        let leads = !state.down && state.leader == host && state.view > View(0);
        let place = (state.epoch, state.view);
        state.down = true;
        if wiped {
            state.wiped = true;
            state.durable = None;
        }
        let honest = state.honest;
        self.reach_if(honest && leads, Mark::LeaderCrashed);
        self.state.crashed = self.state.crashed.max(Some(place));
        let mut honest_hosts = self.state.hosts.iter().filter(|host| host.honest);
        let everyone = honest_hosts.all(|host| host.down);
        self.reach_if(everyone && self.state.tip > 0, Mark::EveryoneDown);
    }

    fn restarted(&mut self, host: usize, mute: bool) {
        let Some(state) = self.state.hosts.get_mut(host) else {
            return;
        };
        // The first start is none.
        state.restarted = state.view > View(0) || state.down;
        state.down = false;
        let was_mute = state.mute;
        state.mute |= mute;
        let mut unsent = Vec::new();
        if let Some(safety) = state.durable.as_ref().filter(|_| !mute && state.restarted) {
            let epoch = safety.epoch.0;
            let later = |view: Option<View>, sent: (u64, View)| {
                view.is_some_and(|view| (epoch, view) > sent)
            };
            unsent = vec![
                (
                    later(safety.voted.map(|one| one.view), state.voted),
                    Mark::VoteUnsent,
                ),
                (
                    later(safety.timed_out.map(|one| one.view), state.timed_out),
                    Mark::TimeoutUnsent,
                ),
                (
                    later(safety.commit_voted.map(|one| one.view), state.commit_voted),
                    Mark::CommitVoteUnsent,
                ),
            ];
        }
        self.reach_if(mute && !was_mute, Mark::MuteRestart);
        for (reached, mark) in unsent {
            self.reach_if(reached, mark);
        }
    }
}

/// Certificates of one view beside each other.
fn beside(seen: &Seen) -> Option<Mark> {
    match (seen.quorum, seen.adopted) {
        (Some(quorum), Some(adopted)) if quorum == adopted => Some(Mark::QcBesideAdoptingTc),
        (Some(_), Some(_)) => Some(Mark::QcBesideOtherAdoption),
        (Some(_), None) if seen.extended => Some(Mark::QcBesideTc),
        _ => None,
    }
}
