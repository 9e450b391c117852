//! The timer of a view: how long it runs (R12), when it fires and when to say things again (R8, R1, R11).

use crate::config::Config;
use outrider_types::zoo::{self, Mutant};
use outrider_types::{MemberIndex, Timestamp, View};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Views without a commit before timers begin to double (R12).
const PATIENCE_VIEWS: u64 = 3;

/// Views whose duration is remembered.
const MEASURED_VIEWS: usize = 32;
/// The base timer is at least this many times the median of those views, which f Byzantine leaders cannot move: a view of
/// a pipeline takes one delay, or two without optimistic proposals, and the timer must leave room for five.
const MEASURED_FACTOR: u32 = 5;

/// Times of the current view.
#[derive(Clone, Debug)]
pub(crate) struct Pacemaker {
    config: Config,
    /// How long the last views took that ended by votes, oldest first (R12).
    measured: VecDeque<Duration>,
    /// `config.base_timeout`, or more if views take longer than that allows.
    base: Duration,
    /// A mute replica waits for nobody and says nothing.
    mute: bool,
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
        let base = config.base_timeout;
        Self {
            timer: timer(&config, base, view, committed),
            config,
            measured: VecDeque::new(),
            base,
            mute: false,
            entered: now,
            resend: None,
            heard_leader: false,
            forwarded: false,
            helped: BTreeMap::new(),
        }
    }

    /// No timers from now on.
    pub(crate) const fn mute(&mut self) {
        self.mute = true;
    }

    /// The current view ends; `by_votes` if it ended as a view should, and the next one follows it.
    pub(crate) fn leaves(&mut self, now: Timestamp, by_votes: bool) {
        if !by_votes {
            return;
        }
        if self.measured.len() >= MEASURED_VIEWS {
            self.measured.pop_front();
        }
        self.measured.push_back(now.since(self.entered));
        let mut sorted: Vec<Duration> = self.measured.iter().copied().collect();
        sorted.sort_unstable();
        let typical = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        self.base = (typical * MEASURED_FACTOR)
            .min(self.config.timeout_cap)
            .max(self.config.base_timeout);
    }

    /// A new view begins: everything starts over but what was measured.
    pub(crate) fn enter(&mut self, now: Timestamp, view: View, committed: View) {
        self.timer = timer(&self.config, self.base, view, committed);
        self.entered = now;
        self.resend = None;
        self.heard_leader = false;
        self.forwarded = false;
        self.helped.clear();
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
        !self.mute && self.resend.is_none() && now >= self.deadline()
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
        let due = !self.mute && !self.forwarded && !self.heard_leader && now >= self.forward_at();
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
    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        if self.mute {
            return None;
        }
        let timeout = self.resend.unwrap_or_else(|| self.deadline());
        Some(if self.forwarded || self.heard_leader {
            timeout
        } else {
            timeout.min(self.forward_at())
        })
    }

    fn half_base(&self) -> Duration {
        self.config.base_timeout / 2
    }
}

/// R12: `base * 2^k`, `k = max(0, view - view of the last committed block - 3)`, capped.
fn timer(config: &Config, base: Duration, view: View, committed: View) -> Duration {
    let doublings = view
        .0
        .saturating_sub(committed.0)
        .saturating_sub(PATIENCE_VIEWS);
    let factor = u32::try_from(doublings)
        .ok()
        .map(|k| if zoo::is(Mutant::NoBackoff) { 0 } else { k })
        .and_then(|k| 1_u32.checked_shl(k))
        .unwrap_or(u32::MAX);
    base.saturating_mul(factor)
        .min(config.timeout_cap.max(config.base_timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            base_timeout: Duration::from_millis(100),
            timeout_cap: Duration::from_millis(900),
            dead_after_views: 0,
        }
    }

    #[test]
    fn r12_timers_double_after_three_views_without_a_commit_and_are_capped() {
        let config = config();
        let timer = |view| timer(&config, config.base_timeout, View(view), View(10));
        let timers: Vec<u128> = (11..=18).map(|view| timer(view).as_millis()).collect();
        assert_eq!(timers, [100, 100, 100, 200, 400, 800, 900, 900]);
        assert_eq!(timer(u64::MAX), Duration::from_millis(900));
    }

    /// Views that take `took` each, all committed at once.
    fn views(pacemaker: &mut Pacemaker, count: u64, took: Duration) {
        for _ in 0..count {
            let now = pacemaker.entered.after(took);
            pacemaker.leaves(now, true);
            pacemaker.enter(now, View(5), View(4));
        }
    }

    #[test]
    fn r12_base_grows_with_slow_views_and_comes_back_after_overload() {
        let mut pacemaker = Pacemaker::new(config(), Timestamp(0), View(1), View(0));
        views(&mut pacemaker, 40, Duration::from_millis(10));
        assert_eq!(
            pacemaker.timer,
            Duration::from_millis(100),
            "the least timer"
        );
        views(&mut pacemaker, 40, Duration::from_millis(60));
        assert_eq!(
            pacemaker.timer,
            Duration::from_millis(300),
            "five times a view"
        );
        views(&mut pacemaker, 40, Duration::from_secs(5));
        assert_eq!(
            pacemaker.timer,
            Duration::from_millis(900),
            "never over the cap"
        );
        // A few slow views among fast ones change nothing.
        views(&mut pacemaker, 32, Duration::from_millis(10));
        views(&mut pacemaker, 4, Duration::from_secs(5));
        views(&mut pacemaker, 4, Duration::from_millis(10));
        assert_eq!(
            pacemaker.timer,
            Duration::from_millis(100),
            "back to normal"
        );
    }

    #[test]
    fn r12_views_that_timed_out_are_not_measured() {
        let mut pacemaker = Pacemaker::new(config(), Timestamp(0), View(1), View(0));
        for _ in 0..40 {
            let now = pacemaker.entered.after(Duration::from_secs(1));
            pacemaker.leaves(now, false);
            pacemaker.enter(now, View(5), View(4));
        }
        assert_eq!(pacemaker.timer, Duration::from_millis(100));
    }
}
