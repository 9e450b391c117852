//! Other consensus protocols beside ours, as pure state machines, to be compared in the same worlds.
//!
//! ```text
//! lab (event heap, network, silence, outages) --start, receive, wake--> Protocol --Outbox--> sends, proposals, commits
//!        ^                                                                                        |
//!        +------------- messages arrive; every commit is checked for agreement (S1) <-------------+
//! ```
//!
//! | protocol | from | commit of a block, counted from its leader's send | blocks leave every |
//! |---|---|---|---|
//! | [`outrider::Outrider`] | docs/protocol.md, the production replica | 2d fast, 3d slow | 1d |
//! | [`hotstuff::HotStuff`] | Yin et al., "HotStuff: BFT Consensus with Linearity and Responsiveness", PODC 2019 | 7d (6d at the leader that completes the chain) | 2d |
//! | [`jolteon::Jolteon`] | Gelashvili et al., "Jolteon and Ditto: Network-Adaptive Efficient Consensus with Asynchronous Fallback", FC 2022 | 5d (4d at that leader) | 2d |
//! | [`streamlet::Streamlet`] | Chan and Shi, "Streamlet: Textbook Streamlined Blockchains", AFT 2020 | 2D + 2d | 2D |
//!
//! `d` is the delay that messages really take, `D` the bound that timers are set for.
//!
//! The peers count members, not stake, and their certificates are *mock*: lists of members, without signatures. Their
//! sizes on the wire and the signatures that they stand for are counted as if they were our own Ed25519 lists, so that
//! no protocol gains by another signature scheme. Blocks carry no payload, and what is asked of the
//! application is answered at once. A member that comes back after an outage has kept its whole state.
//!
//! What is the same for all: leaders take turns in the order of the members; view timers start at
//! [`TIMER_BOUNDS`] times D and double from the fourth view on that brings nothing
//! ([`Setting::timer`]); a block that is missed is asked for.

mod chain;
pub mod hotstuff;
pub mod jolteon;
pub mod lab;
pub mod outrider;
pub mod streamlet;
#[cfg(test)]
mod tests;
mod tree;

use crate::fact::Micros;
use crate::net::Network;
use hotstuff::HotStuff;
use jolteon::Jolteon;
use lab::{Plan, Play};
use outrider::Outrider;
use outrider_types::{BlockId, CommitteeError};
use std::fmt;
use std::str::FromStr;
use streamlet::Streamlet;

/// The timer of a view, as a multiple of the bound on delays: what R12 asks for.
pub const TIMER_BOUNDS: u64 = 5;
/// No timer grows beyond this many times its first value.
pub const TIMER_GROWTH_MAX: u64 = 8;
/// Views that bring nothing until timers begin to double.
const PATIENCE_VIEWS: u64 = 3;

/// One member's part of a protocol: what it does depends on what it was told and when, on nothing else.
pub trait Protocol {
    /// What members say to each other.
    type Message: Clone;

    /// The world begins.
    fn start(&mut self, now: Micros, out: &mut Outbox<Self::Message>);

    /// A message arrived; `from` is the member itself if it was sent to itself.
    fn receive(
        &mut self,
        now: Micros,
        from: usize,
        message: &Self::Message,
        out: &mut Outbox<Self::Message>,
    );

    /// The instant named by [`wake_at`](Self::wake_at) has come.
    fn wake(&mut self, now: Micros, out: &mut Outbox<Self::Message>);

    /// When to call [`wake`](Self::wake). Messages that arrive at that instant come first.
    fn wake_at(&self) -> Option<Micros>;

    /// The view, round or epoch that it is in.
    fn view(&self) -> u64;
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To all other members.
    Others,
    /// To one, who may be the sender: then it arrives at once and is not counted.
    One(usize),
}

/// A message on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing<M> {
    /// To whom.
    pub to: To,
    /// What.
    pub message: M,
    /// Its size on the wire.
    pub bytes: usize,
}

/// What a member did in one call.
#[derive(Clone, Debug)]
pub struct Outbox<M> {
    /// Messages, in order.
    pub sends: Vec<Outgoing<M>>,
    /// Blocks proposed: they are in one of the messages.
    pub proposed: Vec<BlockId>,
    /// Blocks that became final, with their heights, which begin at 1.
    pub commits: Vec<(u64, BlockId)>,
    /// Signatures made.
    pub signed: u64,
    /// Signatures checked; those of a certificate that the member holds already are not checked again.
    pub verified: u64,
    /// Views given up because a timer fired, or because enough others gave up.
    pub timeouts: u64,
}

impl<M> Default for Outbox<M> {
    fn default() -> Self {
        Self {
            sends: Vec::new(),
            proposed: Vec::new(),
            commits: Vec::new(),
            signed: 0,
            verified: 0,
            timeouts: 0,
        }
    }
}

impl<M> Outbox<M> {
    /// Send to all others.
    pub fn broadcast(&mut self, message: M, bytes: usize) {
        let to = To::Others;
        self.sends.push(Outgoing { to, message, bytes });
    }

    /// Send to one member.
    pub fn send(&mut self, to: usize, message: M, bytes: usize) {
        let to = To::One(to);
        self.sends.push(Outgoing { to, message, bytes });
    }
}

/// A member's place, and the bound that its timers are set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Which member.
    pub member: usize,
    /// Of how many.
    pub members: usize,
    /// D: messages are assumed to take at most this long.
    pub bound: Micros,
}

impl Setting {
    /// Members that may be Byzantine: the largest `f` with `n >= 3f + 1`.
    #[must_use]
    pub const fn faulty(&self) -> usize {
        self.members.saturating_sub(1) / 3
    }

    /// Any two sets of this many members share `f + 1`: `floor((n + f) / 2) + 1`, which is `2f + 1` if `n = 3f + 1`.
    #[must_use]
    pub const fn quorum(&self) -> usize {
        (self.members + self.faulty()) / 2 + 1
    }

    /// Who leads a view.
    #[must_use]
    pub const fn leader(&self, view: u64) -> usize {
        (view % self.members as u64) as usize
    }

    /// Whether this member leads a view.
    #[must_use]
    pub const fn leads(&self, view: u64) -> bool {
        self.leader(view) == self.member
    }

    /// How long to wait in a view if the last one that brought anything is `good`: as R12 does.
    #[must_use]
    pub fn timer(&self, view: u64, good: u64) -> Micros {
        let doublings = view.saturating_sub(good).saturating_sub(PATIENCE_VIEWS);
        let growth = 1_u64
            .checked_shl(u32::try_from(doublings).unwrap_or(u32::MAX))
            .unwrap_or(TIMER_GROWTH_MAX)
            .min(TIMER_GROWTH_MAX);
        self.bound * TIMER_BOUNDS * growth
    }
}

/// Those that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// Ours.
    Outrider,
    /// Chained HotStuff.
    HotStuff,
    /// Jolteon.
    Jolteon,
    /// Streamlet.
    Streamlet,
}

impl Contender {
    /// All, in the order of tables and legends.
    pub const ALL: [Self; 4] = [
        Self::Outrider,
        Self::HotStuff,
        Self::Jolteon,
        Self::Streamlet,
    ];

    /// Its name on the command line and in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outrider => "outrider",
            Self::HotStuff => "hotstuff",
            Self::Jolteon => "jolteon",
            Self::Streamlet => "streamlet",
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No protocol of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no protocol {0:?}: choose from outrider, hotstuff, jolteon, streamlet")]
pub struct UnknownProtocol(pub String);

impl FromStr for Contender {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|one| one.name() == text)
            .ok_or_else(|| UnknownProtocol(text.to_owned()))
    }
}

/// Run so many equal members of a protocol against each other. Timers are set for `bound`.
///
/// # Errors
///
/// If no committee can have so many members.
pub fn compete(
    contender: Contender,
    plan: &Plan,
    network: Network,
    members: usize,
    bound: Micros,
) -> Result<Play, CommitteeError> {
    let (committee, keys) = outrider::committee(members)?;
    let settings = (0..members).map(|member| Setting {
        member,
        members,
        bound,
    });
    Ok(match contender {
        Contender::Outrider => {
            let all = settings.zip(&keys);
            let all = all.map(|(setting, key)| Outrider::new(setting, &committee, key));
            lab::play(plan, network, all.collect())
        }
        Contender::HotStuff => lab::play(plan, network, settings.map(HotStuff::new).collect()),
        Contender::Jolteon => lab::play(plan, network, settings.map(Jolteon::new).collect()),
        Contender::Streamlet => lab::play(plan, network, settings.map(Streamlet::new).collect()),
    })
}
