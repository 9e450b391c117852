//! The timer of a view: how long it runs (R12), when it fires and when to say things again (R8, R1, R11).

use crate::config::Config;
use outrider_types::{MemberIndex, Timestamp, View};
use std::collections::BTreeMap;
use std::time::Duration;

/// Views without a commit before timers begin to double (R12).
const PATIENCE_VIEWS: u64 = 3;

/// Times of the current view.
#[derive(Clone, Debug)]
pub(crate) struct Pacemaker {
    config: Config,
    entered: Timestamp,
    timer: Duration,
    /// When to send the timeout again; set once it was sent.
    resend: Option<Timestamp>,
    /// Something of this view came from its leader, an optimistic proposal apart (R1).
    pub(crate) heard_leader: bool,
    /// The entry certificate was forwarded to the leader, or need not be (R1).
    forwarded: bool,
    helped: BTreeMap<MemberIndex, Timestamp>,
}

impl Pacemaker {
    pub(crate) fn new(config: Config, now: Timestamp, view: View, committed: View) -> Self {
        let timer = timer(&config, view, committed);
        let helped = BTreeMap::new();
        Self {
            config,
            entered: now,
            timer,
            resend: None,
            heard_leader: false,
            forwarded: false,
            helped,
        }
    }

    /// A new view begins: everything starts over.
    pub(crate) fn enter(&mut self, now: Timestamp, view: View, committed: View) {
        *self = Self::new(self.config, now, view, committed);
    }

    /// When the timer fires.
    fn deadline(&self) -> Timestamp {
        self.entered.after(self.timer)
    }

    /// When to forward the entry certificate to a silent leader: a quarter into the timer.
    fn forward_at(&self) -> Timestamp {
        self.entered.after(self.timer / 4)
    }

    /// Whether the timer has fired and no timeout was sent yet.
    pub(crate) fn fires(&self, now: Timestamp) -> bool {
        self.resend.is_none() && now >= self.deadline()
    }

    /// A timeout was sent, or sent again.
    pub(crate) fn timed_out(&mut self, now: Timestamp) {
        self.resend = Some(now.after(self.half_base()));
    }

    /// Whether the timeout is due to be sent again.
    pub(crate) fn resends(&self, now: Timestamp) -> bool {
        self.resend.is_some_and(|at| now >= at)
    }

    /// Whether to forward the entry certificate to the leader; says yes once.
    pub(crate) fn forwards(&mut self, now: Timestamp) -> bool {
        let due = !self.forwarded && !self.heard_leader && now >= self.forward_at();
        self.forwarded |= due;
        due
    }

    /// Nobody to forward to: this member leads.
    pub(crate) const fn leads(&mut self) {
        self.forwarded = true;
    }

    /// Whether to help this member now (R11): once per own view per base/2.
    pub(crate) fn helps(&mut self, now: Timestamp, member: MemberIndex) -> bool {
        let half = self.half_base();
        if self
            .helped
            .get(&member)
            .is_some_and(|last| now < last.after(half))
        {
            return false;
        }
        self.helped.insert(member, now);
        true
    }

    /// The next instant at which something here is due.
    pub(crate) fn wake_at(&self) -> Timestamp {
        let timeout = self.resend.unwrap_or_else(|| self.deadline());
        if self.forwarded || self.heard_leader {
            timeout
        } else {
            timeout.min(self.forward_at())
        }
    }

    fn half_base(&self) -> Duration {
        self.config.base_timeout / 2
    }
}

/// R12: `base * 2^k`, `k = max(0, view - view of the last committed block - 3)`, capped.
fn timer(config: &Config, view: View, committed: View) -> Duration {
    let doublings = view
        .0
        .saturating_sub(committed.0)
        .saturating_sub(PATIENCE_VIEWS);
    let factor = u32::try_from(doublings)
        .ok()
        .and_then(|k| 1_u32.checked_shl(k))
        .unwrap_or(u32::MAX);
    config
        .base_timeout
        .saturating_mul(factor)
        .min(config.timeout_cap.max(config.base_timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r12_timers_double_after_three_views_without_a_commit_and_are_capped() {
        let config = Config {
            base_timeout: Duration::from_millis(100),
            timeout_cap: Duration::from_millis(900),
        };
        let timers: Vec<u128> = (11..=18)
            .map(|view| timer(&config, View(view), View(10)).as_millis())
            .collect();
        assert_eq!(timers, [100, 100, 100, 200, 400, 800, 900, 900]);
        assert_eq!(
            timer(&config, View(u64::MAX), View(0)),
            Duration::from_millis(900)
        );
    }
}
