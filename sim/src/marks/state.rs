//! What marks remember: hosts as they were last seen, the last views, and transactions that wait.

use crate::fact::Micros;
use crate::scenario::Scenario;
use outrider_types::{BlockId, Committee, ProposalKind, SafetyState, TransactionId, View};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Views that are remembered.
const VIEWS_KEPT: usize = 256;
/// Transactions that are remembered while they wait.
const WAITING_KEPT: usize = 8_192;
/// Committees that are remembered.
const EPOCHS_KEPT: usize = 3;
/// Statements of one kind that are remembered of a view: more are no new state.
pub(super) const STATEMENTS_KEPT: usize = 64;

/// A host as it was last seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) honest: bool,
    pub(super) down: bool,
    pub(super) epoch: u64,
    pub(super) view: View,
    /// When it entered its view.
    pub(super) entered: Micros,
    /// Who leads its view.
    pub(super) leader: usize,
    /// Epoch and view of the last vote, commit vote and timeout that left.
    pub(super) voted: (u64, View),
    pub(super) commit_voted: (u64, View),
    pub(super) timed_out: (u64, View),
    pub(super) durable: Option<Arc<SafetyState>>,
    /// It restarted and has not voted since.
    pub(super) restarted: bool,
    pub(super) mute: bool,
    pub(super) wiped: bool,
    /// It is far behind the tip.
    pub(super) behind: bool,
    pub(super) height: u64,
    /// Epoch and view of its last committed block.
    pub(super) committed: (u64, View),
    /// Views of its last commit votes, if it is Byzantine.
    pub(super) locks: VecDeque<(u64, View)>,
}

/// A view as it was last seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) place: (u64, View),
    pub(super) proposals: Vec<(ProposalKind, BlockId)>,
    /// Block, stake, and whether an honest member voted for it.
    pub(super) votes: Vec<(BlockId, u64, bool)>,
    /// What Byzantine members signed: host and block.
    pub(super) false_votes: Vec<(usize, BlockId)>,
    pub(super) false_commits: Vec<(usize, BlockId)>,
    pub(super) false_timeouts: Vec<(usize, Option<BlockId>)>,
    /// Stake of the timeouts that were sent first.
    pub(super) timeouts: u64,
    pub(super) quorum: Option<BlockId>,
    pub(super) adopted: Option<BlockId>,
    pub(super) extended: bool,
    pub(super) fast: bool,
    pub(super) slow: bool,
}

/// Committee and hosts of an epoch.
#[derive(Clone, Debug)]
pub(super) struct Epoch {
    pub(super) committee: Committee,
    pub(super) hosts: Vec<usize>,
    /// The last height, if it ends and its base is known.
    pub(super) last: Option<u64>,
}

impl Epoch {
    pub(super) fn stake(&self, member: usize) -> u64 {
        let members = self.committee.members();
        members.get(member).map_or(0, |member| member.stake.0)
    }
}

/// A transaction that a member took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) by: usize,
    pub(super) down: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) hosts: Vec<Host>,
    pub(super) base_timeout: Micros,
    pub(super) epochs: Vec<Epoch>,
    views: Vec<Seen>,
    /// The last epoch and view that an honest member was in.
    pub(super) top: (u64, View),
    pub(super) tip: u64,
    /// Epoch and view that the last crash happened in.
    pub(super) crashed: Option<(u64, View)>,
    pub(super) partitions: u32,
    pub(super) skews: u32,
    pub(super) waiting: BTreeMap<TransactionId, Taken>,
}

impl State {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let count = scenario.committee.hosts.max(scenario.members());
        let host = |host| Host {
            honest: scenario.honest(host),
            ..Host::default()
        };
        let base = scenario.timers.base_timeout.as_micros();
        Self {
            hosts: (0..count).map(host).collect(),
            base_timeout: u64::try_from(base).unwrap_or(u64::MAX),
            views: vec![Seen::default(); VIEWS_KEPT],
            ..Self::default()
        }
    }

    pub(super) fn begin(&mut self, committee: &Committee, hosts: &[usize]) {
        let number = committee.epoch();
        let base = self.epochs.last().map_or(Some(0), |before| {
            before
                .last
                .filter(|_| before.committee.epoch().next() == number)
        });
        if self.epochs.len() >= EPOCHS_KEPT {
            self.epochs.remove(0);
        }
        self.epochs.push(Epoch {
            last: committee
                .epoch_blocks()
                .zip(base)
                .map(|(blocks, base)| base + blocks),
            committee: committee.clone(),
            hosts: hosts.to_vec(),
        });
    }

    pub(super) fn epoch(&self, number: u64) -> Option<&Epoch> {
        let mut newest_first = self.epochs.iter().rev();
        newest_first.find(|epoch| epoch.committee.epoch().0 == number)
    }

    pub(super) fn honest(&self, host: usize) -> bool {
        self.hosts.get(host).is_some_and(|host| host.honest)
    }

    /// A view; none if a later one has its place, or it is one that only a liar would name.
    pub(super) fn view(&mut self, epoch: u64, view: View) -> Option<&mut Seen> {
        let at = usize::try_from(view.0)
            .ok()?
            .checked_rem(self.views.len())?;
        let top = self.top;
        let known = self.views.get(at)?.place == (epoch, view);
        if !known && (epoch > top.0 + 1 || (epoch >= top.0 && view.0 > top.1.0 + 64)) {
            return None;
        }
        let seen = self.views.get_mut(at)?;
        if seen.place < (epoch, view) {
            *seen = Seen {
                place: (epoch, view),
                ..Seen::default()
            };
        }
        (seen.place == (epoch, view)).then_some(seen)
    }

    pub(super) fn accepted(&mut self, host: usize, id: TransactionId) {
        if self.waiting.len() >= WAITING_KEPT {
            self.waiting.pop_first();
        }
        let taken = Taken {
            by: host,
            down: false,
        };
        self.waiting.entry(id).or_insert(taken);
    }
}

/// Remember a statement, if there is room; whether the host had made another one.
pub(super) fn another<T: PartialEq + Copy>(
    list: &mut Vec<(usize, T)>,
    host: usize,
    said: T,
) -> bool {
    let other = list
        .iter()
        .any(|(by, before)| *by == host && *before != said);
    if list.len() < STATEMENTS_KEPT && !list.contains(&(host, said)) {
        list.push((host, said));
    }
    other
}
