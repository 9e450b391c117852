//! Members that break the rules, named by their deeds. One interface for all worlds.
//!
//! A Byzantine host runs one or more *sides*: complete members with the same key, each of which keeps to the rules by
//! itself. Its [`Deed`] decides which side hears what, and what becomes of what a side says; it can also say things of its
//! own. It reads everything that is sent in the world, signs only with keys of Byzantine hosts (that is all that
//! [`Corrupted`] offers), and may hold back any message of the world before `gst`.

mod craft;
mod deeds;
mod forger;
mod lanes;
mod lies;
mod memory;
mod mutator;
mod omission;
mod schedule;
mod sides;
mod syncer;
#[cfg(test)]
mod tests;

pub use deeds::{DEEDS, LANE_DEEDS, deed};
pub use sides::halves;

use crate::fact::{Message, Micros};
use crate::rng::Stream;
use crate::scenario::Scenario;
use outrider_types::{ChainId, Committee, MemberIndex, SecretKey, Signed, Statement, Verified};
use std::sync::Arc;

/// What a deed knows when the world begins.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its host.
    pub host: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Hosts, members of the first committee first.
    pub hosts: usize,
    /// Stakes of the members of the first committee.
    pub stakes: Vec<u64>,
    /// Hosts that break the rules, itself among them.
    pub byzantine: Vec<usize>,
    /// When the network becomes calm.
    pub gst: Micros,
    /// Longest delay after that.
    pub delta: Micros,
    /// Least timer of a view, in microseconds.
    pub base_timeout: Micros,
}

impl Setup {
    /// For a host of a scenario.
    #[must_use]
    pub fn of(scenario: &Scenario, host: usize, seed: u64) -> Self {
        let base = scenario.timers.base_timeout.as_micros();
        Self {
            host,
            seed,
            hosts: scenario.committee.hosts.max(scenario.members()),
            stakes: scenario.committee.stakes.clone(),
            byzantine: scenario.byzantine.iter().map(|one| one.host).collect(),
            gst: scenario.gst,
            delta: scenario.delta,
            base_timeout: u64::try_from(base).unwrap_or(u64::MAX),
        }
    }
}

/// What a deed says.
#[derive(Clone, Debug)]
pub struct Said {
    /// To which host; none: to all others.
    pub to: Option<usize>,
    /// What.
    pub message: Arc<Message>,
    /// How much later than now it leaves.
    pub after: Micros,
}

/// What a Byzantine host has to work with.
#[derive(Debug)]
pub struct Corrupted<'a> {
    /// Now.
    pub now: Micros,
    /// Its host.
    pub host: usize,
    /// The committee of the epoch that its first side is in.
    pub committee: &'a Committee,
    /// Host of each member of that committee.
    pub hosts: &'a [usize],
    /// The view of its first side.
    pub view: u64,
    /// Its randomness.
    pub stream: &'a mut Stream,
    /// Keys of all Byzantine hosts, by host.
    pub keys: &'a [(usize, SecretKey)],
    /// What it says.
    pub said: &'a mut Vec<Said>,
}

impl Corrupted<'_> {
    /// Its place in the committee of now.
    #[must_use]
    pub fn member(&self) -> Option<MemberIndex> {
        self.member_of(self.host)
    }

    /// A host's place in the committee of now.
    #[must_use]
    pub fn member_of(&self, host: usize) -> Option<MemberIndex> {
        let at = self.hosts.iter().position(|other| *other == host)?;
        u16::try_from(at).ok().map(MemberIndex)
    }

    /// Sign as a Byzantine host; none for any other host: what is not corrupted cannot be signed for.
    #[must_use]
    pub fn sign<S: Statement + Copy>(&self, host: usize, statement: S) -> Option<Signed<S>> {
        let (_, key) = self.keys.iter().find(|(owner, _)| *owner == host)?;
        let chain: ChainId = self.committee.chain();
        let signed: Verified<Signed<S>> =
            Signed::sign(statement, chain, self.member_of(host)?, key);
        Some(signed.into_inner())
    }

    /// Say this now.
    pub fn say(&mut self, to: Option<usize>, message: Arc<Message>) {
        self.say_after(0, to, message);
    }

    /// Say this later.
    pub fn say_after(&mut self, after: Micros, to: Option<usize>, message: Arc<Message>) {
        self.said.push(Said { to, message, after });
    }
}

/// A way to break the rules. Every method has a default that keeps to them.
pub trait Deed: std::fmt::Debug + Send {
    /// How many sides it runs.
    fn sides(&self) -> usize {
        1
    }

    /// Whether a side hears this message from that host.
    fn hears(&mut self, _me: &mut Corrupted<'_>, _side: usize, _from: usize, _: &Message) -> bool {
        true
    }

    /// A side would say this: what leaves is what the deed says.
    fn speaks(
        &mut self,
        me: &mut Corrupted<'_>,
        _side: usize,
        to: Option<usize>,
        message: &Arc<Message>,
    ) {
        me.say(to, message.clone());
    }

    /// Anyone said something, to whomever: it reads everything.
    fn overhears(
        &mut self,
        _me: &mut Corrupted<'_>,
        _from: usize,
        _to: Option<usize>,
        _: &Arc<Message>,
    ) {
    }

    /// How long it holds back a message of anyone before `gst`.
    fn holds_back(&mut self, _now: Micros, _from: usize, _to: usize, _: &Message) -> Micros {
        0
    }
}
