//! The replica with its disk and its open questions, and the checks after everything it does.

use outrider_consensus::{
    Action, Config, Input, Replica, Restored, Seat, Step, TREE_BLOCKS_MAX, Writes,
};
use outrider_types::testing;
use outrider_types::{
    Block, BlockId, BlockRecord, CommitVote, Committee, ConsensusMessage, Height, MemberIndex,
    ProposalKind, SafetyState, SecretKey, Signed, TimeoutMessage, Timestamp, Verified, View, Vote,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::LazyLock;
use std::time::Duration;

/// Timer base, in microseconds.
pub(super) const BASE: u64 = 100_000;
/// Most actions that one input may lead to.
const ACTIONS_MAX: usize = 4_096;
/// Most open questions that are remembered.
const OPEN_MAX: usize = 64;

/// A committee and everyone's keys.
pub(super) type Keys = (Committee, Vec<SecretKey>);

/// A lone member; equal members without and with room on the fast path; weights; each with epochs of four blocks too.
static COMMITTEES: LazyLock<Vec<Keys>> = LazyLock::new(|| {
    let all: [&[u64]; 4] = [&[1; 4], &[3, 2, 2, 1, 1], &[1; 6], &[1]];
    [0, 4]
        .into_iter()
        .flat_map(|epoch_blocks| {
            all.map(|stakes| {
                let (committee, keys) = testing::committee(stakes);
                (committee.with_epoch_blocks(epoch_blocks), keys)
            })
        })
        .collect()
});

/// What the member has said, to find an offence.
#[derive(Debug, Default)]
struct Said {
    proposals: BTreeMap<(View, ProposalKind), BlockId>,
    votes: BTreeMap<View, Verified<Signed<Vote>>>,
    commit_votes: BTreeMap<View, Verified<Signed<CommitVote>>>,
    timeouts: BTreeMap<View, Verified<TimeoutMessage>>,
}

/// What survives a power cut.
#[derive(Debug)]
struct Disk {
    safety: SafetyState,
    records: BTreeMap<BlockId, BlockRecord>,
    /// Final blocks, the base first.
    ledger: Vec<Block>,
}

/// The replica under test and all that a driver would hold for it.
pub(super) struct Member {
    world: &'static Keys,
    pub(super) committee: &'static Committee,
    pub(super) keys: &'static [SecretKey],
    /// Its place; a mute one has it too, but signs nothing.
    pub(super) me: MemberIndex,
    pub(super) now: u64,
    mute: bool,
    config: Config,
    replica: Replica,
    disk: Disk,
    /// Safety states whose write has begun; a crash may lose any tail of them.
    begun: VecDeque<SafetyState>,
    said: Said,
    pub(super) payloads: Vec<BlockId>,
    pub(super) assemblies: Vec<(View, BlockId, bool)>,
    pub(super) fetches: Vec<BlockId>,
    pub(super) catching_up: bool,
    /// Blocks it proposed, for the adversary to build on.
    pub(super) proposed: Vec<Block>,
    /// The last message that left.
    pub(super) last: Option<ConsensusMessage>,
}

/// The only place that makes a replica.
fn build(
    config: Config,
    keys: &Keys,
    seat: Option<MemberIndex>,
    restored: Restored,
    now: u64,
) -> (Replica, Step) {
    let base = Block::genesis(&keys.0);
    let seat = seat.map(|member| Seat {
        member,
        key: keys.1[member.index()].clone(),
    });
    Replica::new(
        config,
        keys.0.clone(),
        seat,
        &base,
        restored,
        Timestamp(now),
    )
}

impl Member {
    pub(super) fn new(first: u8, second: u8) -> Self {
        let keys = &COMMITTEES[usize::from(first) % COMMITTEES.len()];
        let (committee, secrets) = keys;
        let me = MemberIndex(u16::from(second % 16) % u16::try_from(secrets.len()).unwrap_or(1));
        let mute = second & 0x80 != 0;
        let config = Config {
            base_timeout: Duration::from_micros(BASE),
            timeout_cap: Duration::from_micros(8 * BASE),
            dead_after_views: u64::from(second >> 4 & 0x03),
        };
        let base = Block::genesis(committee);
        let disk = Disk {
            safety: SafetyState::new(committee),
            records: BTreeMap::new(),
            ledger: vec![base],
        };
        let now = 1_000_000;
        let seat = (!mute).then_some(me);
        let (replica, step) = build(config, keys, seat, disk.restore(committee), now);
        let mut member = Self {
            world: keys,
            committee,
            keys: secrets,
            me,
            now,
            mute,
            config,
            replica,
            disk,
            begun: VecDeque::new(),
            said: Said::default(),
            payloads: Vec::new(),
            assemblies: Vec::new(),
            fetches: Vec::new(),
            catching_up: false,
            proposed: Vec::new(),
            last: None,
        };
        member.settle(step);
        member
    }

    pub(super) fn is_over(&self) -> bool {
        self.replica.is_over()
    }

    pub(super) fn view(&self) -> View {
        self.replica.view()
    }

    pub(super) fn leader(&self, view: View) -> MemberIndex {
        self.replica.leader(view)
    }

    pub(super) fn safety(&self) -> &SafetyState {
        self.replica.safety()
    }

    pub(super) fn root(&self) -> &Block {
        self.replica.committed()
    }

    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.replica.wake_at()
    }

    pub(super) fn own_vote(&self, view: View) -> Option<&Verified<Signed<Vote>>> {
        self.said.votes.get(&view)
    }

    pub(super) fn own_commit_vote(&self, view: View) -> Option<&Verified<Signed<CommitVote>>> {
        self.said.commit_votes.get(&view)
    }

    pub(super) fn own_timeout(&self, view: View) -> Option<&Verified<TimeoutMessage>> {
        self.said.timeouts.get(&view)
    }

    /// Tell it something, and check what comes of it.
    pub(super) fn tell(&mut self, input: Input) {
        if self.is_over() {
            return;
        }
        let (view, height) = (self.view(), self.root().height);
        let step = self.replica.step(Timestamp(self.now), input);
        self.settle(step);
        assert!(self.view() >= view, "the view went back");
        assert!(self.root().height >= height, "what was final is not");
    }

    /// Tell it something, and cut the power before or after the writes; then start again.
    pub(super) fn crash(&mut self, input: Option<Input>, survive: usize) {
        if let Some(input) = input.filter(|_| !self.is_over()) {
            let step = self.replica.step(Timestamp(self.now), input);
            // The write may have begun and never finished; the actions are gone.
            let _ = step.persist_with(|writes| {
                self.begin(writes);
                Err::<(), ()>(())
            });
        }
        for safety in self.begun.drain(..).take(survive) {
            self.disk.advance(safety);
        }
        let durable = self.disk.safety.view;
        self.payloads.clear();
        self.assemblies.clear();
        self.fetches.clear();
        self.catching_up = false;
        let restored = self.disk.restore(self.committee);
        let seat = (!self.mute).then_some(self.me);
        let (replica, step) = build(self.config, self.world, seat, restored, self.now);
        self.replica = replica;
        assert!(self.view() >= durable, "a restart lost the view");
        self.settle(step);
    }

    fn begin(&mut self, writes: &Writes) {
        if let Some(safety) = &writes.safety {
            self.begun.push_back((**safety).clone());
        }
    }

    fn settle(&mut self, step: Step) {
        let written = step.persist_with(|writes| {
            self.begin(writes);
            for record in &writes.records {
                self.disk.records.insert(record.block.id(), record.clone());
            }
            if writes.signed {
                for safety in self.begun.drain(..) {
                    self.disk.advance(safety);
                }
            }
            Ok::<(), ()>(())
        });
        let actions = written.unwrap_or_default();
        assert!(actions.len() <= ACTIONS_MAX, "{} actions", actions.len());
        for action in actions {
            self.take(action);
        }
        self.check();
    }

    fn check(&self) {
        let last = self.disk.ledger.last().map(Block::id);
        assert_eq!(
            Some(self.root().id()),
            last,
            "replica and ledger agree on what is final"
        );
        assert!(
            self.replica.blocks_held() <= TREE_BLOCKS_MAX,
            "{} blocks held",
            self.replica.blocks_held()
        );
        if let Some(at) = self.wake_at() {
            assert!(at.0 > self.now, "what was due at {at} was not done");
        }
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Broadcast { message } => self.sent(message),
            Action::Send { message, .. } => {
                let harmless = matches!(
                    message,
                    ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_)
                );
                assert!(harmless, "what is signed goes to all");
            }
            Action::CheckPayload { block } => remember(&mut self.payloads, block.id()),
            Action::Assemble {
                view, parent, last, ..
            } => remember(&mut self.assemblies, (view, parent, last)),
            Action::Fetch { block, from } => {
                assert!(!from.contains(&self.me) || self.mute, "it asks itself");
                remember(&mut self.fetches, block);
            }
            Action::CatchUp { .. } => self.catching_up = true,
            Action::Commit {
                blocks,
                certificate,
                fillers,
            } => {
                let ledger = &mut self.disk.ledger;
                for record in &blocks {
                    let parent = ledger.last().map(Block::id);
                    assert_eq!(Some(record.block.parent), parent, "the ledger has no gap");
                    ledger.push(record.block);
                }
                let top = fillers.last().or(ledger.last()).map(Block::id);
                assert_eq!(Some(certificate.block()), top, "the proof is of the last");
            }
            Action::Entered { .. } | Action::BadProposal { .. } => {}
        }
    }

    /// C1, C2: nothing that makes an offence with what was said before, and nothing that a restart would forget.
    fn sent(&mut self, message: ConsensusMessage) {
        let durable = &self.disk.safety;
        let mine = !matches!(
            message,
            ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_)
        );
        assert!(!mine || !self.mute, "a mute replica signed");
        match &message {
            ConsensusMessage::Proposal(proposal) => {
                let (view, kind, id) = (proposal.block.view, proposal.kind, proposal.block.id());
                let said = *self.said.proposals.entry((view, kind)).or_insert(id);
                assert_eq!(said, id, "E1: two proposals in view {view}");
                let kept = match kind {
                    ProposalKind::Normal => durable.proposed,
                    ProposalKind::Optimistic => durable.proposed_optimistic,
                };
                assert!(
                    kept.is_some_and(|kept| kept.view >= view),
                    "C2: the proposal of view {view} is not durable"
                );
                remember(&mut self.proposed, proposal.block);
            }
            ConsensusMessage::Vote(vote) => {
                let Ok(vote) = vote.verify(self.committee) else {
                    panic!("its own vote does not verify");
                };
                let (view, block) = (vote.view, vote.block);
                assert!(
                    durable.voted.is_some_and(|kept| kept.view >= view),
                    "C2: the vote of view {view} is not durable"
                );
                let known = self.disk.records.contains_key(&block)
                    || self.disk.ledger.iter().any(|held| held.id() == block);
                assert!(known, "C2: the block of the vote is not durable");
                let said = self.said.votes.entry(view).or_insert(vote).block;
                assert_eq!(said, block, "E2: two votes in view {view}");
            }
            ConsensusMessage::CommitVote(vote) => {
                let Ok(vote) = vote.verify(self.committee) else {
                    panic!("its own commit vote does not verify");
                };
                let (view, block) = (vote.view, vote.block);
                assert!(
                    durable.commit_voted.is_some_and(|kept| kept.view >= view),
                    "C2: the commit vote of view {view} is not durable"
                );
                let said = self.said.commit_votes.entry(view).or_insert(vote).block;
                assert_eq!(said, block, "E3: two commit votes in view {view}");
            }
            ConsensusMessage::Timeout(timeout) => {
                let Ok(timeout) = timeout.clone().verify(self.committee) else {
                    panic!("its own timeout does not verify");
                };
                let view = timeout.timeout.view;
                assert!(
                    durable.timed_out.is_some_and(|kept| kept.view >= view),
                    "C2: the timeout of view {view} is not durable"
                );
                let first = self.said.timeouts.entry(view).or_insert(timeout.clone());
                assert_eq!(
                    first.timeout.statement, timeout.timeout.statement,
                    "two timeouts of view {view}"
                );
            }
            ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => {}
        }
        self.check_offences();
        self.last = Some(message);
    }

    /// E4 and E5, over all that was ever said.
    fn check_offences(&self) {
        for (view, timeout) in &self.said.timeouts {
            if let Some(vote) = self.said.votes.get(view) {
                assert_eq!(
                    timeout.timeout.voted,
                    Some(vote.block),
                    "E4: the timeout of view {view} hides the vote"
                );
            }
            if let Some((committed, _)) = self.said.commit_votes.range(..=*view).next_back() {
                assert!(
                    timeout.timeout.high_view >= *committed,
                    "E5: the timeout of view {view} breaks the lock of view {committed}"
                );
            }
        }
    }

    /// A range of final blocks was stored.
    pub(super) fn append(&mut self, blocks: &[Block]) {
        self.disk.ledger.extend(blocks);
    }

    /// What it has come to, in words.
    #[cfg(test)]
    pub(super) fn deeds(&self) -> Vec<&'static str> {
        let proposed = |kind| self.said.proposals.keys().any(|(_, said)| *said == kind);
        [
            ("commit", self.disk.ledger.len() > 2),
            ("commit vote", !self.said.commit_votes.is_empty()),
            ("epoch over", self.is_over()),
            ("fetch", !self.fetches.is_empty()),
            ("normal proposal", proposed(ProposalKind::Normal)),
            ("optimistic proposal", proposed(ProposalKind::Optimistic)),
            ("timeout", !self.said.timeouts.is_empty()),
            ("vote", !self.said.votes.is_empty()),
        ]
        .into_iter()
        .filter_map(|(deed, done)| done.then_some(deed))
        .collect()
    }

    /// The height that ends the epoch.
    pub(super) fn last_height(&self) -> Option<Height> {
        self.committee.last_height(Height(0))
    }
}

impl Disk {
    fn advance(&mut self, new: SafetyState) {
        let old = &self.safety;
        assert!(new.view >= old.view, "the durable view went back");
        assert!(
            new.high_rank() >= old.high_rank(),
            "the durable `high` went back"
        );
        let views = |state: &SafetyState| {
            [
                state.voted.map(|vote| vote.view),
                state.commit_voted.map(|vote| vote.view),
                state.timed_out.map(|timeout| timeout.view),
                state.proposed.map(|propose| propose.view),
                state.proposed_optimistic.map(|propose| propose.view),
            ]
        };
        for (old, new) in views(old).into_iter().zip(views(&new)) {
            assert!(new >= old, "something durable went back: {new:?} < {old:?}");
        }
        self.safety = new;
    }

    /// What a restarting member finds, the safety state through its bytes.
    fn restore(&self, committee: &Committee) -> Restored {
        let root = self
            .ledger
            .last()
            .copied()
            .unwrap_or_else(|| Block::genesis(committee));
        let Ok(safety) = SafetyState::restore(&self.safety.to_bytes(), committee) else {
            panic!("the safety state that was written is not valid");
        };
        let mut blocks: Vec<&BlockRecord> = self
            .records
            .values()
            .filter(|record| record.block.height > root.height)
            .collect();
        blocks.sort_by_key(|record| record.block.height);
        let final_ids: BTreeSet<BlockId> = self.ledger.iter().map(Block::id).collect();
        let vote_left = self.safety.voted.is_none_or(|vote| {
            self.records.contains_key(&vote.block) || final_ids.contains(&vote.block)
        });
        Restored {
            root,
            safety,
            blocks: blocks
                .into_iter()
                .filter_map(|record| record.clone().verify(committee).ok())
                .collect(),
            vote_left,
        }
    }
}

/// Keep the newest few.
fn remember<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        if list.len() >= OPEN_MAX {
            list.remove(0);
        }
        list.push(item);
    }
}
