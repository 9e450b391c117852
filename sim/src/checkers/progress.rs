//! What must happen once the storm is over: L1 (a commit within the bound), L2 (commits never stop), L3 (views
//! synchronise), L4 (laggards reach the tip), L5 (transactions are included).
//!
//! Looked at every so often, not at every fact.

use super::chain::Chain;
use super::members::Members;
use super::rules::Epochs;
use super::signers::Finding;
use crate::fact::Micros;
use crate::scenario::Scenario;
use outrider_types::View;
use std::collections::VecDeque;

/// Longest timers that may pass before something that must happen has happened.
const PATIENCE_TIMERS: u64 = 40;

/// What there was at some time.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Micros,
    tip: u64,
    /// The greatest view of a live member.
    view: (u64, View),
}

/// Progress after the storm.
#[derive(Debug)]
pub struct Progress {
    /// Nothing is promised in this scenario.
    off: bool,
    timer: Micros,
    commit_within: Option<Micros>,
    commits_min: u64,
    healed: Option<Micros>,
    live: Vec<usize>,
    /// Tip when the storm ended.
    tip: u64,
    /// Height of each live member when the storm ended.
    heights: Vec<u64>,
    /// Committed by anyone for the first time.
    grown: Micros,
    next_look: Micros,
    looks: VecDeque<Look>,
}

impl Progress {
    /// For a scenario; nothing is promised of one in which a checker must fire.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let timers = &scenario.timers;
        let timer = timers.timeout_cap.max(timers.base_timeout).as_micros();
        Self {
            off: scenario.expect.violates.is_some(),
            timer: u64::try_from(timer)
                .unwrap_or(u64::MAX)
                .max(scenario.delta)
                .max(1),
            commit_within: scenario.expect.commit_within,
            commits_min: scenario.expect.commits_min,
            healed: None,
            live: Vec::new(),
            tip: 0,
            heights: Vec::new(),
            grown: 0,
            next_look: Micros::MAX,
            looks: VecDeque::new(),
        }
    }

    const fn patience(&self) -> Micros {
        self.timer.saturating_mul(PATIENCE_TIMERS)
    }

    /// The storm is over.
    pub fn healed(&mut self, at: Micros, live: &[usize], chain: &Chain) {
        self.healed = Some(at);
        self.live = live.to_vec();
        self.tip = chain.tip();
        self.heights = live.iter().map(|host| chain.height(*host)).collect();
        self.grown = self.grown.max(at);
        self.looks.clear();
        if !self.off {
            self.next_look = at + self.step();
        }
    }

    fn step(&self) -> Micros {
        let step = self.timer / 2 + 1;
        self.commit_within
            .map_or(step, |within| step.min(within + 1))
    }

    /// A block was committed that nobody had committed before.
    pub const fn grew(&mut self, at: Micros) {
        self.grown = at;
    }

    /// Whether it is time to look.
    #[must_use]
    pub const fn is_due(&self, at: Micros) -> bool {
        at >= self.next_look
    }

    /// Look.
    pub fn look(
        &mut self,
        at: Micros,
        chain: &Chain,
        members: &Members,
        epochs: &Epochs,
    ) -> Result<(), Finding> {
        let Some(healed) = self.healed.filter(|_| !self.off) else {
            return Ok(());
        };
        self.next_look = at + self.step();
        self.commits(at, healed, chain)?;
        let views = self.live.iter().filter_map(|host| members.view(*host));
        let look = Look {
            at,
            tip: chain.tip(),
            view: views.max().unwrap_or_default(),
        };
        self.looks.push_back(look);
        let patience = self.patience();
        let mut before = None;
        while let Some(first) = self.looks.front()
            && first.at + patience <= at
        {
            before = self.looks.pop_front();
        }
        match before {
            Some(before) => self.follows(before, chain, members, epochs),
            None => Ok(()),
        }
    }

    /// L1 and L2.
    fn commits(&mut self, at: Micros, healed: Micros, chain: &Chain) -> Result<(), Finding> {
        if let Some(within) = self.commit_within
            && at > healed.saturating_add(within)
        {
            self.commit_within = None;
            if chain.tip() <= self.tip {
                return Err((
                    "L1",
                    format!("no block was committed within {within} us after the storm"),
                ));
            }
            let still = self
                .live
                .iter()
                .zip(&self.heights)
                .find(|(host, before)| chain.height(**host) <= **before);
            if let Some((host, height)) = still {
                return Err((
                    "L1",
                    format!(
                        "host {host} committed nothing within {within} us after the storm; its ledger ends at height {height}"
                    ),
                ));
            }
        }
        let quiet = at.saturating_sub(self.grown);
        if quiet > self.patience() {
            return Err((
                "L2",
                format!(
                    "nobody has committed a new block for {quiet} us, {PATIENCE_TIMERS} times the longest timer; the tip is at height {}",
                    chain.tip()
                ),
            ));
        }
        Ok(())
    }

    /// L3 and L4: every live member is now at least where the first of them was a while ago.
    fn follows(
        &self,
        before: Look,
        chain: &Chain,
        members: &Members,
        epochs: &Epochs,
    ) -> Result<(), Finding> {
        for host in &self.live {
            let height = chain.height(*host);
            if height < before.tip {
                return Err((
                    "L4",
                    format!(
                        "the ledger of host {host} ends at height {height}; the chain was at height {} {PATIENCE_TIMERS} timers ago",
                        before.tip
                    ),
                ));
            }
            let seated = epochs
                .newest()
                .is_some_and(|rules| rules.hosts.contains(host));
            let view = members.view(*host).unwrap_or_default();
            if seated && view < before.view {
                return Err((
                    "L3",
                    format!(
                        "host {host} is in epoch {} view {}; another one was in epoch {} view {} {PATIENCE_TIMERS} timers ago",
                        view.0, view.1, before.view.0, before.view.1
                    ),
                ));
            }
        }
        Ok(())
    }

    /// What must have happened by the end.
    pub fn finish(
        &mut self,
        at: Micros,
        chain: &Chain,
        members: &Members,
        epochs: &Epochs,
    ) -> Result<(), Finding> {
        if self.off {
            return Ok(());
        }
        self.look(at, chain, members, epochs)?;
        if chain.tip() < self.commits_min {
            return Err((
                "L1",
                format!(
                    "{} blocks were committed, {} must be",
                    chain.tip(),
                    self.commits_min
                ),
            ));
        }
        let patience = self.patience();
        if self.healed.is_none_or(|healed| healed + patience > at) {
            return Ok(());
        }
        let forgotten = chain.waiting.iter().find(|(_, waiting)| {
            !waiting.dropped
                && waiting.at + patience <= at
                && self.live.contains(&waiting.by)
                && epochs.honest(waiting.by)
        });
        match forgotten {
            None => Ok(()),
            Some((id, waiting)) => Err((
                "L5",
                format!(
                    "transaction {id} was taken by host {} at {} us and is in no block at {at} us",
                    waiting.by, waiting.at
                ),
            )),
        }
    }
}
