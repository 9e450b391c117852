//! What everyone signed, as the omniscient see it: S3 (one quorum certificate per view) and S5 (no offence of an honest
//! member). Also the record that the oracle (S7) compares certificates with.
//!
//! Per epoch a ring of the last views; what is older is forgotten, and nothing is said about it.

use super::rules::{EPOCHS_KEPT, EpochRules};
use outrider_types::{BlockId, ProposalKind, Timeout, View};

/// Statements by blocks are bits of a word; a view in which more blocks are named is not judged.
const BLOCKS_PER_VIEW: usize = 64;
/// About how many members times views are remembered of an epoch.
const CELLS: usize = 65_536;
/// Bounds on the views remembered of an epoch.
const VIEWS_KEPT: (usize, usize) = (64, 1_024);
/// A Byzantine member's statement is only remembered up to so many views after the last view of an honest one's.
const VIEWS_AHEAD: u64 = 64;
/// Locks and timeouts remembered of a member, for E5.
const LOCKS_KEPT: usize = 64;

/// Kinds of statements that name one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A vote.
    Vote,
    /// A commit vote.
    Commit,
    /// A normal proposal.
    Normal,
    /// An optimistic proposal.
    Optimistic,
}

impl From<ProposalKind> for Kind {
    fn from(kind: ProposalKind) -> Self {
        match kind {
            ProposalKind::Normal => Self::Normal,
            ProposalKind::Optimistic => Self::Optimistic,
        }
    }
}

/// Whether a statement was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was.
    Yes,
    /// It was not.
    No,
    /// The view is forgotten, or was too full.
    Unknown,
}

/// A timeout in few bytes: `high_view`, and which block it reports.
type Gave = (u64, Option<u8>);

/// What one member signed in one view: a bit per block.
#[derive(Clone, Debug, Default)]
struct Said {
    /// By [`Kind`].
    blocks: [u64; 4],
    /// Votes and commit votes that are durable, and may never have left.
    intents: [u64; 2],
    timeouts: Vec<Gave>,
    timeout_intents: Vec<Gave>,
}

/// One view.
#[derive(Clone, Debug, Default)]
struct Slot {
    view: u64,
    blocks: Vec<BlockId>,
    members: Vec<Said>,
    /// Stake of the votes for each block.
    votes: Vec<u64>,
    /// Which of them has a quorum.
    certified: Option<usize>,
    /// More blocks were named than there are bits.
    full: bool,
}

impl Slot {
    fn reset(&mut self, view: u64, members: usize) {
        self.view = view;
        self.blocks.clear();
        self.votes.clear();
        self.members.clear();
        self.members.resize(members, Said::default());
        self.certified = None;
        self.full = false;
    }

    fn find(&self, block: BlockId) -> Option<usize> {
        self.blocks.iter().position(|other| *other == block)
    }

    fn index(&mut self, block: BlockId) -> Option<usize> {
        if let Some(at) = self.find(block) {
            return Some(at);
        }
        if self.blocks.len() >= BLOCKS_PER_VIEW {
            self.full = true;
            return None;
        }
        self.blocks.push(block);
        self.votes.push(0);
        Some(self.blocks.len() - 1)
    }

    fn gave(&mut self, timeout: &Timeout) -> Option<Gave> {
        let voted = match timeout.voted {
            None => None,
            Some(block) => Some(u8::try_from(self.index(block)?).unwrap_or(u8::MAX)),
        };
        Some((timeout.high_view.0, voted))
    }
}

/// Locks and timeouts of an honest member, for E5, views ascending.
#[derive(Clone, Debug, Default)]
struct Locks {
    commits: Vec<u64>,
    timeouts: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct EpochLog {
    number: u64,
    ring: Vec<Slot>,
    locks: Vec<Locks>,
    /// The last view of an honest statement.
    top: u64,
}

impl EpochLog {
    fn slot(&self, view: u64) -> Option<&Slot> {
        let at = usize::try_from(view % self.ring.len() as u64).ok()?;
        self.ring.get(at)
    }

    fn slot_mut(&mut self, view: u64, members: usize) -> Option<&mut Slot> {
        let at = usize::try_from(view % self.ring.len() as u64).ok()?;
        let slot = self.ring.get_mut(at)?;
        if slot.view < view {
            slot.reset(view, members);
        }
        (slot.view == view).then_some(slot)
    }
}

/// What was found wrong: the checker, and what.
pub type Finding = (&'static str, String);

/// Stake that signed, or is Byzantine and may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Support {
    /// Votes for a block in a view.
    pub votes: u64,
    /// Timeouts of the view.
    pub timeouts: u64,
    /// Timeouts that report the block.
    pub reports: u64,
}

/// What everyone signed.
#[derive(Debug, Default)]
pub struct SignerLog {
    epochs: Vec<EpochLog>,
}

impl SignerLog {
    /// An epoch begins.
    pub fn begin(&mut self, rules: &EpochRules) {
        if self.epochs.iter().any(|one| one.number == rules.number) {
            return;
        }
        let members = rules.stakes.len().max(1);
        let views = (CELLS / members).clamp(VIEWS_KEPT.0, VIEWS_KEPT.1);
        if self.epochs.len() >= EPOCHS_KEPT {
            self.epochs.remove(0);
        }
        self.epochs.push(EpochLog {
            number: rules.number,
            ring: vec![Slot::default(); views],
            locks: vec![Locks::default(); members],
            top: 0,
        });
    }

    fn epoch(&self, number: u64) -> Option<&EpochLog> {
        self.epochs.iter().rev().find(|one| one.number == number)
    }

    fn epoch_mut(&mut self, number: u64) -> Option<&mut EpochLog> {
        self.epochs
            .iter_mut()
            .rev()
            .find(|one| one.number == number)
    }

    /// The slot of a view in which a member speaks; none if it is forgotten or out of reach.
    fn speak(&mut self, rules: &EpochRules, member: usize, view: View) -> Option<&mut EpochLog> {
        let log = self.epoch_mut(rules.number)?;
        if rules.is_honest(member) {
            log.top = log.top.max(view.0);
        } else if view.0 > log.top.saturating_add(VIEWS_AHEAD) {
            return None;
        }
        Some(log)
    }

    /// A statement that names a block was signed. Not new if it was signed before.
    pub fn signed(
        &mut self,
        rules: &EpochRules,
        kind: Kind,
        member: usize,
        view: View,
        block: BlockId,
    ) -> Result<bool, Finding> {
        let members = rules.stakes.len();
        let Some(log) = self.speak(rules, member, view) else {
            return Ok(true);
        };
        let Some(slot) = log.slot_mut(view.0, members) else {
            return Ok(true);
        };
        let Some(at) = slot.index(block) else {
            return Ok(true);
        };
        let Some(said) = slot.members.get_mut(member) else {
            return Ok(true);
        };
        let bits = &mut said.blocks[kind as usize];
        let bit = 1_u64 << at;
        if *bits & bit != 0 {
            return Ok(false);
        }
        let before = *bits;
        *bits |= bit;
        let honest = rules.is_honest(member);
        let hidden = said
            .timeouts
            .iter()
            .any(|(_, voted)| voted.map(usize::from) != Some(at));
        if kind == Kind::Vote
            && let Some(sum) = slot.votes.get_mut(at)
        {
            *sum += rules.stakes.get(member).copied().unwrap_or_default();
            if *sum >= rules.thresholds.quorum {
                certify(slot, at, rules)?;
            }
        }
        match kind {
            _ if !honest => Ok(true),
            _ if before != 0 => Err(("S5", double(kind, member, view))),
            Kind::Vote if hidden => Err(("S5", hides(member, view))),
            Kind::Commit => match log.locks.get_mut(member) {
                Some(locks) => locks.commit(member, view.0).map(|()| true),
                None => Ok(true),
            },
            _ => Ok(true),
        }
    }

    /// A timeout was signed. Not new if it was signed before.
    pub fn timeout(
        &mut self,
        rules: &EpochRules,
        member: usize,
        timeout: &Timeout,
    ) -> Result<bool, Finding> {
        let (members, view) = (rules.stakes.len(), timeout.view);
        let Some(log) = self.speak(rules, member, view) else {
            return Ok(true);
        };
        let Some(slot) = log.slot_mut(view.0, members) else {
            return Ok(true);
        };
        let Some(gave) = slot.gave(timeout) else {
            return Ok(true);
        };
        let Some(said) = slot.members.get_mut(member) else {
            return Ok(true);
        };
        if said.timeouts.contains(&gave) {
            return Ok(false);
        }
        let first = said.timeouts.is_empty();
        if said.timeouts.len() < BLOCKS_PER_VIEW {
            said.timeouts.push(gave);
        }
        if !rules.is_honest(member) {
            return Ok(true);
        }
        let voted = said.blocks[Kind::Vote as usize];
        let reported = gave.1.map_or(0, |at| 1_u64 << at);
        if voted & !reported != 0 {
            return Err(("S5", hides(member, view)));
        }
        if !first {
            return Err((
                "S4",
                format!("member {member} signed two different timeouts of view {view}"),
            ));
        }
        match log.locks.get_mut(member) {
            Some(locks) => locks
                .timeout(member, view.0, timeout.high_view.0)
                .map(|()| true),
            None => Ok(true),
        }
    }

    /// A vote or commit vote is in a member's durable state; it may be in its own certificates before it leaves.
    pub fn intended(
        &mut self,
        rules: &EpochRules,
        kind: Kind,
        member: usize,
        view: View,
        block: BlockId,
    ) {
        let members = rules.stakes.len();
        let slot = self
            .speak(rules, member, view)
            .and_then(|log| log.slot_mut(view.0, members));
        let Some(slot) = slot else {
            return;
        };
        if let Some(at) = slot.index(block)
            && let Some(said) = slot.members.get_mut(member)
            && let Some(bits) = said.intents.get_mut(kind as usize)
        {
            *bits |= 1 << at;
        }
    }

    /// A timeout is in a member's durable state.
    pub fn intended_timeout(&mut self, rules: &EpochRules, member: usize, timeout: &Timeout) {
        let members = rules.stakes.len();
        let slot = self
            .speak(rules, member, timeout.view)
            .and_then(|log| log.slot_mut(timeout.view.0, members));
        let Some(slot) = slot else {
            return;
        };
        if let Some(gave) = slot.gave(timeout)
            && let Some(said) = slot.members.get_mut(member)
            && !said.timeout_intents.contains(&gave)
            && said.timeout_intents.len() < BLOCKS_PER_VIEW
        {
            said.timeout_intents.push(gave);
        }
    }

    /// A valid quorum certificate of this block was seen.
    pub fn certified(
        &mut self,
        rules: &EpochRules,
        view: View,
        block: BlockId,
    ) -> Result<(), Finding> {
        let members = rules.stakes.len();
        let slot = self
            .epoch_mut(rules.number)
            .filter(|log| view.0 <= log.top.saturating_add(VIEWS_AHEAD))
            .and_then(|log| log.slot_mut(view.0, members));
        let Some(slot) = slot else {
            return Ok(());
        };
        match slot.index(block) {
            Some(at) => certify(slot, at, rules),
            None => Ok(()),
        }
    }

    /// Whether a vote or commit vote was signed, or may have been.
    #[must_use]
    pub fn heard(
        &self,
        epoch: u64,
        kind: Kind,
        member: usize,
        view: View,
        block: BlockId,
    ) -> Heard {
        let Some(slot) = self.look(epoch, view) else {
            return Heard::Unknown;
        };
        if slot.view < view.0 {
            return Heard::No;
        }
        let said = slot.members.get(member);
        match (said, slot.find(block)) {
            (Some(said), Some(at)) => {
                let intents = said.intents.get(kind as usize).copied().unwrap_or_default();
                let bits = said.blocks[kind as usize] | intents;
                if bits & (1 << at) == 0 {
                    Heard::No
                } else {
                    Heard::Yes
                }
            }
            _ if slot.full => Heard::Unknown,
            _ => Heard::No,
        }
    }

    /// Whether a timeout was signed, or may have been.
    #[must_use]
    pub fn heard_timeout(&self, epoch: u64, member: usize, timeout: &Timeout) -> Heard {
        let Some(slot) = self.look(epoch, timeout.view) else {
            return Heard::Unknown;
        };
        if slot.view < timeout.view.0 {
            return Heard::No;
        }
        let at = timeout.voted.map(|block| slot.find(block));
        let Some(said) = slot.members.get(member) else {
            return Heard::No;
        };
        let voted = match at {
            None => None,
            Some(Some(at)) => u8::try_from(at).ok(),
            Some(None) if slot.full => return Heard::Unknown,
            Some(None) => return Heard::No,
        };
        let gave = (timeout.high_view.0, voted);
        if said.timeouts.contains(&gave) || said.timeout_intents.contains(&gave) {
            Heard::Yes
        } else {
            Heard::No
        }
    }

    /// How much stake signed a vote for a block in a view and timeouts of it, intents counted; none if the view is forgotten
    /// or was too full.
    #[must_use]
    pub fn support(
        &self,
        rules: &EpochRules,
        view: View,
        block: Option<BlockId>,
    ) -> Option<Support> {
        let slot = self.look(rules.number, view)?;
        let mut support = Support::default();
        let current = slot.view == view.0;
        if current && slot.full {
            return None;
        }
        let at = block.filter(|_| current).and_then(|block| slot.find(block));
        for (member, stake) in rules.stakes.iter().enumerate() {
            let byzantine = !rules.is_honest(member);
            let said = slot.members.get(member).filter(|_| current);
            let voted = said.zip(at).is_some_and(|(said, at)| {
                (said.blocks[Kind::Vote as usize] | said.intents[Kind::Vote as usize]) & (1 << at)
                    != 0
            });
            let gave = |accept: &dyn Fn(&Gave) -> bool| {
                said.is_some_and(|said| {
                    said.timeouts
                        .iter()
                        .chain(&said.timeout_intents)
                        .any(accept)
                })
            };
            let reports = at.is_some() && gave(&|gave| gave.1.map(usize::from) == at);
            support.votes += if voted || byzantine { *stake } else { 0 };
            support.timeouts += if byzantine || gave(&|_| true) {
                *stake
            } else {
                0
            };
            support.reports += if reports || byzantine { *stake } else { 0 };
        }
        Some(support)
    }

    /// The slot in which a view is, or would be; none if it is forgotten.
    fn look(&self, epoch: u64, view: View) -> Option<&Slot> {
        self.epoch(epoch)?
            .slot(view.0)
            .filter(|slot| slot.view <= view.0)
    }
}

/// S3: one quorum certificate per view.
fn certify(slot: &mut Slot, at: usize, rules: &EpochRules) -> Result<(), Finding> {
    match slot.certified {
        Some(other) if other != at && !rules.overrun => {
            let name = |at: usize| {
                slot.blocks
                    .get(at)
                    .map(BlockId::to_string)
                    .unwrap_or_default()
            };
            Err((
                "S3",
                format!(
                    "blocks {} and {} of epoch {} view {} both have votes of a quorum ({} stake)",
                    name(other),
                    name(at),
                    rules.number,
                    slot.view,
                    rules.thresholds.quorum
                ),
            ))
        }
        _ => {
            slot.certified = Some(at);
            Ok(())
        }
    }
}

fn double(kind: Kind, member: usize, view: View) -> String {
    let (offence, what) = match kind {
        Kind::Vote => ("E2", "votes"),
        Kind::Commit => ("E3", "commit votes"),
        Kind::Normal => ("E1", "normal proposals"),
        Kind::Optimistic => ("E1", "optimistic proposals"),
    };
    format!("honest member {member} signed two different {what} in view {view} ({offence})")
}

fn hides(member: usize, view: View) -> String {
    format!(
        "honest member {member} voted in view {view} and signed a timeout of it that does not report the vote (E4)"
    )
}

impl Locks {
    fn commit(&mut self, member: usize, view: u64) -> Result<(), Finding> {
        let broken = self
            .timeouts
            .iter()
            .rev()
            .take_while(|(timeout, _)| *timeout >= view)
            .find(|(_, high)| *high < view);
        if let Some((timeout, high)) = broken {
            return Err(("S5", breaks(member, view, *timeout, *high)));
        }
        let at = self.commits.partition_point(|other| *other < view);
        self.commits.insert(at, view);
        if self.commits.len() > LOCKS_KEPT {
            self.commits.remove(0);
        }
        Ok(())
    }

    fn timeout(&mut self, member: usize, view: u64, high: u64) -> Result<(), Finding> {
        let broken = self
            .commits
            .iter()
            .rev()
            .take_while(|commit| **commit > high)
            .find(|commit| **commit <= view);
        if let Some(commit) = broken {
            return Err(("S5", breaks(member, *commit, view, high)));
        }
        let at = self.timeouts.partition_point(|other| other.0 < view);
        self.timeouts.insert(at, (view, high));
        if self.timeouts.len() > LOCKS_KEPT {
            self.timeouts.remove(0);
        }
        Ok(())
    }
}

fn breaks(member: usize, commit: u64, timeout: u64, high: u64) -> String {
    format!(
        "honest member {member} signed a commit vote of view {commit} and a timeout of view {timeout} with high_view {high} (E5)"
    )
}
