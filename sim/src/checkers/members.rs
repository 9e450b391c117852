//! What must never go back at a member: S4 (views and what it said last, on disk and over restarts; nothing leaves
//! before it is durable) and S6 (`high`).

use super::signers::Finding;
use outrider_types::{BlockId, Justification, SafetyState, View};
use std::sync::Arc;

/// A member as it was last seen.
#[derive(Clone, Debug, Default)]
struct Member {
    durable: Option<Arc<SafetyState>>,
    /// Epoch, view and rank of `high` after its last step.
    step: Option<(u64, View, View)>,
    /// Rank of what it entered a view by, since it started.
    rank: (u64, View),
    /// The last epoch in which it signed anything.
    signed: Option<u64>,
    /// It does not know what it signed up to this epoch.
    lost: Option<u64>,
}

/// Members by host.
#[derive(Debug)]
pub struct Members {
    list: Vec<Member>,
    /// The world tells of durable states.
    tells: bool,
}

/// What a member said, for comparison with its durable state.
#[derive(Clone, Copy, Debug)]
pub enum Speech {
    /// A vote.
    Vote(BlockId),
    /// A commit vote.
    Commit(BlockId),
    /// A timeout: rank and vote.
    Timeout(View, Option<BlockId>),
    /// A normal proposal.
    Normal(BlockId),
    /// An optimistic proposal.
    Optimistic(BlockId),
}

impl Members {
    /// So many hosts.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self {
            list: vec![Member::default(); hosts],
            tells: false,
        }
    }

    fn get(&mut self, host: usize) -> Option<&mut Member> {
        self.list.get_mut(host)
    }

    /// Epoch and view of a host after its last step.
    #[must_use]
    pub fn view(&self, host: usize) -> Option<(u64, View)> {
        let step = self.list.get(host)?.step?;
        Some((step.0, step.1))
    }

    /// A host took a step.
    pub fn stepped(
        &mut self,
        host: usize,
        epoch: u64,
        view: View,
        high: View,
    ) -> Result<(), Finding> {
        let Some(member) = self.get(host) else {
            return Ok(());
        };
        if let Some((old_epoch, old_view, old_high)) = member.step {
            if (epoch, view) < (old_epoch, old_view) {
                return Err((
                    "S4",
                    format!(
                        "host {host} went back from epoch {old_epoch} view {old_view} to epoch {epoch} view {view}"
                    ),
                ));
            }
            if epoch == old_epoch && high < old_high {
                return Err((
                    "S6",
                    format!(
                        "host {host} lowered its highest certificate from rank {old_high} to {high} in epoch {epoch}"
                    ),
                ));
            }
        }
        let (entered, rank) = member.rank;
        if entered == epoch && high < rank {
            return Err((
                "S6",
                format!(
                    "host {host} entered a view of epoch {epoch} by what leads to rank {rank}, and its highest certificate has rank {high}"
                ),
            ));
        }
        member.step = Some((epoch, view, high));
        Ok(())
    }

    /// A host entered a view.
    pub fn entered(
        &mut self,
        host: usize,
        epoch: u64,
        view: View,
        entry: Option<&Justification>,
    ) -> Result<(), Finding> {
        let rank = entry.map_or(View(0), |entry| match entry {
            Justification::Certificate(certificate) => certificate.rank(),
            Justification::Timeout(timeout) => timeout
                .high
                .as_ref()
                .map_or(View(0), outrider_types::Certificate::rank),
        });
        let Some(member) = self.get(host) else {
            return Ok(());
        };
        if let Some((old_epoch, old_view, _)) = member.step
            && (epoch, view) < (old_epoch, old_view)
        {
            return Err((
                "S4",
                format!(
                    "host {host} entered view {view} of epoch {epoch} after view {old_view} of epoch {old_epoch}"
                ),
            ));
        }
        if (epoch, rank) > member.rank {
            member.rank = (epoch, rank);
        }
        Ok(())
    }

    /// What is on a host's disk now.
    pub fn durable(&mut self, host: usize, safety: &Arc<SafetyState>) -> Result<(), Finding> {
        self.tells = true;
        let Some(member) = self.get(host) else {
            return Ok(());
        };
        if let Some(old) = &member.durable {
            if old.epoch > safety.epoch {
                return Err((
                    "S4",
                    format!(
                        "host {host} made a state of epoch {} durable over one of epoch {}",
                        safety.epoch, old.epoch
                    ),
                ));
            }
            if old.epoch == safety.epoch
                && let Some(what) = regress(old, safety)
            {
                return Err(("S4", format!("durable state of host {host}: {what}")));
            }
        }
        member.durable = Some(safety.clone());
        Ok(())
    }

    /// A host signed something new in a view and said it.
    pub fn says(
        &mut self,
        host: usize,
        epoch: u64,
        view: View,
        speech: Speech,
    ) -> Result<(), Finding> {
        let tells = self.tells;
        let Some(member) = self.get(host) else {
            return Ok(());
        };
        if member.lost.is_some_and(|lost| epoch <= lost) {
            return Err((
                "S4",
                format!(
                    "host {host} lost its safety state and signs in epoch {epoch}, in which it had signed before"
                ),
            ));
        }
        member.signed = member.signed.max(Some(epoch));
        if !tells {
            return Ok(());
        }
        let covered = match member.durable.as_deref() {
            None => false,
            Some(safety) if safety.epoch.0 != epoch => safety.epoch.0 > epoch,
            Some(safety) => covers(safety, view, speech),
        };
        if covered {
            return Ok(());
        }
        Err((
            "S4",
            format!("host {host} said something of view {view} before it was durable: {speech:?}"),
        ))
    }

    /// A host went down.
    pub fn crashed(&mut self, host: usize, wiped: bool) {
        if let Some(member) = self.get(host)
            && wiped
        {
            member.lost = member.lost.max(member.signed);
            member.durable = None;
            member.step = None;
            member.rank = (0, View(0));
        }
    }

    /// A host came up.
    pub fn restarted(&mut self, host: usize, mute: bool) {
        let Some(member) = self.get(host) else {
            return;
        };
        member.rank = (0, View(0));
        if mute {
            member.lost = member.lost.max(member.signed);
            member.durable = None;
        }
        // A view alone is not durable; what is durable may not go back.
        member.step = member
            .durable
            .as_ref()
            .map(|safety| (safety.epoch.0, safety.view, safety.high_rank()));
    }
}

/// Whether the durable state covers a statement: it is the last of its kind there, or there is a later one.
fn covers(safety: &SafetyState, view: View, speech: Speech) -> bool {
    let by_block = |held: Option<(View, BlockId)>, block: BlockId| {
        held.is_some_and(|(at, held)| at > view || (at == view && held == block))
    };
    match speech {
        Speech::Vote(block) => by_block(safety.voted.map(|one| (one.view, one.block)), block),
        Speech::Commit(block) => {
            by_block(safety.commit_voted.map(|one| (one.view, one.block)), block)
        }
        Speech::Timeout(high, voted) => safety.timed_out.is_some_and(|one| {
            one.view > view || (one.view == view && one.high_view == high && one.voted == voted)
        }),
        Speech::Normal(block) => by_block(safety.proposed.map(|one| (one.view, one.block)), block),
        Speech::Optimistic(block) => by_block(
            safety.proposed_optimistic.map(|one| (one.view, one.block)),
            block,
        ),
    }
}

/// What went back between two durable states of an epoch.
fn regress(old: &SafetyState, new: &SafetyState) -> Option<String> {
    fn slips<T: PartialEq>(old: Option<(View, T)>, new: Option<(View, T)>) -> bool {
        match (old, new) {
            (Some(old), Some(new)) => new.0 < old.0 || (new.0 == old.0 && new.1 != old.1),
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
    if new.view < old.view {
        return Some(format!("view {} after view {}", new.view, old.view));
    }
    if new.high_rank() < old.high_rank() {
        let (new, old) = (new.high_rank(), old.high_rank());
        return Some(format!(
            "highest certificate of rank {new} after rank {old}"
        ));
    }
    let votes = |state: &SafetyState| state.voted.map(|one| (one.view, one.block));
    let commits = |state: &SafetyState| state.commit_voted.map(|one| (one.view, one.block));
    let timeouts = |state: &SafetyState| {
        state
            .timed_out
            .map(|one| (one.view, (one.high_view, one.voted)))
    };
    let normal = |state: &SafetyState| state.proposed.map(|one| (one.view, one.block));
    let ahead = |state: &SafetyState| state.proposed_optimistic.map(|one| (one.view, one.block));
    let slipped = [
        (slips(votes(old), votes(new)), "the last vote"),
        (slips(commits(old), commits(new)), "the last commit vote"),
        (slips(timeouts(old), timeouts(new)), "the last timeout"),
        (slips(normal(old), normal(new)), "the last normal proposal"),
        (
            slips(ahead(old), ahead(new)),
            "the last optimistic proposal",
        ),
    ];
    if let Some((_, what)) = slipped.into_iter().find(|(slipped, _)| *slipped) {
        return Some(format!("{what} went back, or was replaced in its view"));
    }
    // R4 and R5: nothing for a view that it gave up on, or a later one.
    let gave_up = old.timed_out?.view;
    if new.voted != old.voted && new.voted.is_some_and(|vote| vote.view <= gave_up) {
        return Some(format!(
            "a new vote of a view not after {gave_up}, which it gave up on (R4)"
        ));
    }
    let late = new.commit_voted.is_some_and(|vote| vote.view <= gave_up);
    if new.commit_voted != old.commit_voted && late {
        return Some(format!(
            "a new commit vote of a view not after {gave_up}, which it gave up on (R5)"
        ));
    }
    None
}
