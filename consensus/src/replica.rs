//! The replica: state, the step, and entering views (R1).

use crate::action::Action;
use crate::config::Config;
use crate::input::{Input, Restored};
use crate::leader::LeaderSchedule;
use crate::pacemaker::Pacemaker;
use crate::presence::Presence;
use crate::step::{Step, Writes};
use crate::tree::{BlockTree, PayloadState};
use crate::votes::{VIEWS_AHEAD_MAX, Votes};
use outrider_types::zoo::{self, Mutant};
use outrider_types::{
    Block, BlockId, BlockRecord, Certificate, Committee, ConsensusMessage, FinalityCertificate,
    Height, Justification, MemberIndex, ProposalKind, SafetyState, SecretKey, TimeoutMessage,
    Timestamp, Verified, View, Vote,
};
use std::collections::{BTreeMap, BTreeSet};

/// Certificates of blocks that nothing extends are kept for this many views.
const CERTIFICATE_VIEWS: u64 = 1_024;

/// A place in the committee, and the key to speak from it.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Which member.
    pub member: MemberIndex,
    /// Its key.
    pub key: SecretKey,
}

/// One member's part of the protocol in one epoch. Pure: what it does depends on what it was told and when, on nothing
/// else.
///
/// Without a [`Seat`] it is *mute*: it follows everything and signs nothing. That is what a member does that has lost its
/// safety state, that has left the committee, or that is not in it yet.
#[derive(Clone, Debug)]
pub struct Replica {
    pub(crate) committee: Committee,
    pub(crate) schedule: LeaderSchedule,
    pub(crate) seat: Option<Seat>,
    pub(crate) safety: SafetyState,
    /// The vote in `safety` that has not been sent: its payload is still being checked (protocol section 3).
    pub(crate) intent: Option<Vote>,
    /// `safety.entry`, which was verified.
    pub(crate) entry: Option<Verified<Justification>>,
    /// `safety.high`, which was verified.
    pub(crate) high: Option<Verified<Certificate>>,
    /// The timeout sent in the current view, as it travels.
    pub(crate) timeout: Option<Verified<TimeoutMessage>>,
    pub(crate) tree: BlockTree,
    pub(crate) votes: Votes,
    /// First proposal of each kind, by view: what may be voted for.
    pub(crate) candidates: BTreeMap<(View, ProposalKind), BlockId>,
    pub(crate) pacemaker: Pacemaker,
    pub(crate) presence: Presence,
    /// How many views in a row, the current one included, were entered by votes for a block of the view before (R3).
    pub(crate) entered_by_votes: u64,
    /// The view for which the certificate alone was sent, because the optimistic proposal stands (R2).
    pub(crate) certificate_sent: View,
    pub(crate) fetching: BTreeSet<BlockId>,
    /// The height up to which ranges were asked for.
    pub(crate) catching_up: Option<Height>,
    /// The highest proof of finality whose block is not held yet.
    pub(crate) pending_finality: Option<Verified<FinalityCertificate>>,
    /// The view in which a payload was asked for.
    pub(crate) assembling: Option<(View, BlockId)>,
    /// The last block of the epoch is final: this replica has nothing left to do (R13).
    pub(crate) over: bool,
    /// `safety` has changed since it was last given out to be written.
    dirty: bool,
    /// `safety` holds a new intent, which may be written at once.
    pub(crate) intended: bool,
    out: Output,
}

/// What a step has come to so far.
#[derive(Clone, Debug, Default)]
struct Output {
    records: Vec<BlockRecord>,
    actions: Vec<Action>,
    kept: Vec<Justification>,
    signed: bool,
}

impl Replica {
    /// A replica as it was when it last made its state durable, and what it says first: its last vote, commit vote
    /// and timeout again, byte for byte (protocol section 3). Without a seat it is mute.
    ///
    /// `base` is the epoch's base block; `restored.root` the last block that is final here.
    pub fn new(
        config: Config,
        committee: Committee,
        seat: Option<Seat>,
        base: &Block,
        restored: Restored,
        now: Timestamp,
    ) -> (Self, Step) {
        if let Some(seat) = &seat {
            let expected = committee.members().get(seat.member.index());
            assert!(
                expected.is_some_and(|member| member.public_key == seat.key.public_key()),
                "a seat is a member's, with its key"
            );
        }
        let Restored {
            root,
            safety,
            blocks,
            vote_left,
        } = restored;
        let (entry, high) = (safety.verified_entry(), safety.verified_high());
        let timeout_high = safety.timeout_high();
        let mut safety = safety.into_inner();
        assert_eq!(
            safety.committee,
            committee.id(),
            "safety state of another committee"
        );
        let last = committee.last_height(base.height);
        let tree = BlockTree::new(root, base.id(), last);
        if zoo::is(Mutant::ViewRegresses) {
            safety.view = safety.view.min(tree.root_view().next());
        }
        if zoo::is(Mutant::ProposalsForgotten) {
            (safety.proposed, safety.proposed_optimistic) = (None, None);
        }
        let mut replica = Self {
            schedule: LeaderSchedule::new(&committee),
            pacemaker: Pacemaker::new(config, now, safety.view, tree.root_view()),
            presence: Presence::new(config.dead_after_views),
            over: last.is_some_and(|last| root.height >= last),
            tree,
            committee,
            seat,
            intent: safety.voted.filter(|vote| {
                let denied = safety.timed_out.is_some_and(|timeout| {
                    timeout.view == vote.view && timeout.voted != Some(vote.block)
                });
                !vote_left || denied
            }),
            safety,
            entry,
            high,
            timeout: None,
            votes: Votes::default(),
            candidates: BTreeMap::new(),
            entered_by_votes: 0,
            certificate_sent: View(0),
            fetching: BTreeSet::new(),
            catching_up: None,
            pending_finality: None,
            assembling: None,
            dirty: false,
            intended: false,
            out: Output::default(),
        };
        if replica.seat.is_none() || replica.safety.view == View::LAST {
            replica.pacemaker.mute();
        }
        replica.restore(blocks, timeout_high, now);
        let step = replica.finish();
        (replica, step)
    }

    /// Tell the replica one thing. It never fails on hostile input, and never panics on it.
    pub fn step(&mut self, now: Timestamp, input: Input) -> Step {
        if self.over {
            return Step::default();
        }
        let (view, voted, committed) = (
            self.safety.view,
            self.safety.voted.map(|vote| vote.view),
            self.tree.root().height,
        );
        self.handle(now, input);
        self.on_time(now);
        self.advance(now);
        assert!(
            self.seat.is_some() || !self.out.signed,
            "a mute replica signs nothing"
        );
        assert!(self.safety.view >= view, "R1: the view never goes back");
        assert!(
            self.safety.voted.map(|vote| vote.view) >= voted,
            "R4: the view of the last vote never goes back"
        );
        assert!(
            self.tree.root().height >= committed,
            "what is final stays final"
        );
        self.finish()
    }

    /// When to call [`step`](Self::step) with [`Input::Wake`] if nothing else happens before.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        if self.over {
            None
        } else {
            self.pacemaker.wake_at()
        }
    }

    /// Whether the last block of the epoch is final: the next epoch needs a new replica (R13).
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Its place in the committee; none if it is mute.
    #[must_use]
    pub fn member(&self) -> Option<MemberIndex> {
        self.seat.as_ref().map(|seat| seat.member)
    }

    /// The committee of its epoch.
    #[must_use]
    pub const fn committee(&self) -> &Committee {
        &self.committee
    }

    /// The last vote, if it was sent: an intent is not a vote yet.
    #[must_use]
    pub fn voted(&self) -> Option<Vote> {
        self.safety.voted.filter(|vote| self.intent != Some(*vote))
    }

    /// The current view.
    #[must_use]
    pub const fn view(&self) -> View {
        self.safety.view
    }

    /// The last final block.
    #[must_use]
    pub const fn committed(&self) -> &Block {
        self.tree.root()
    }

    /// The safety state, as it will be written with the next signature.
    #[must_use]
    pub const fn safety(&self) -> &SafetyState {
        &self.safety
    }

    /// The leader of a view.
    #[must_use]
    pub fn leader(&self, view: View) -> MemberIndex {
        self.schedule.leader(view)
    }

    /// Headers above the last final block up to this one; none if a block between is not held.
    #[must_use]
    pub fn branch(&self, id: BlockId) -> Option<Vec<Block>> {
        let branch = self.tree.branch(id)?;
        Some(
            branch
                .iter()
                .filter_map(|id| self.tree.get(id))
                .map(|node| node.block)
                .collect(),
        )
    }

    /// Whether a block above the last final one is held.
    #[must_use]
    pub fn holds(&self, id: BlockId) -> bool {
        self.tree.get(&id).is_some()
    }

    /// A block above the last final one with its justification, for a member that misses it.
    #[must_use]
    pub fn record(&self, id: BlockId) -> Option<BlockRecord> {
        self.record_of(&id)
    }

    /// Votes, commit votes and timeouts held.
    #[must_use]
    pub fn statements_held(&self) -> usize {
        self.votes.len()
    }

    /// Blocks held above the last final one.
    #[must_use]
    pub fn blocks_held(&self) -> usize {
        self.tree.len()
    }

    fn restore(
        &mut self,
        blocks: Vec<Verified<BlockRecord>>,
        timeout_high: Option<Verified<Certificate>>,
        now: Timestamp,
    ) {
        for record in blocks {
            self.keep_record(&record);
            if let Some(node) = self.tree.get_mut(&record.block.id()) {
                node.payload = PayloadState::Valid;
                node.stored = true;
            }
        }
        for certificate in [
            self.high.clone(),
            self.entry.as_ref().and_then(|entry| entry.verified_high()),
        ]
        .into_iter()
        .flatten()
        {
            self.note_certificate(certificate);
        }
        self.out.actions.push(self.entered(false));
        if self.over {
            return;
        }
        if self.leads() {
            self.pacemaker.leads();
        }
        if let Some(seat) = self.seat.clone() {
            self.say_again(&seat, timeout_high, now);
        }
        self.out.signed = false;
        self.advance(now);
    }

    /// What was said last, byte for byte. It is durable already, so saying it again signs nothing new.
    fn say_again(
        &mut self,
        seat: &Seat,
        timeout_high: Option<Verified<Certificate>>,
        now: Timestamp,
    ) {
        // Whether a vote of a view before the timeout's ever left cannot be known, and nobody needs it any more.
        let over = |vote: &Vote| {
            self.safety
                .timed_out
                .is_some_and(|timeout| timeout.view > vote.view)
        };
        if let Some(vote) = self.voted().filter(|vote| !over(vote)) {
            self.say_vote(vote);
        }
        if let Some(vote) = self.safety.commit_voted {
            self.say_commit_vote(vote);
        }
        if let Some(timeout) = self.safety.timed_out {
            let signed = outrider_types::Signed::sign(
                timeout,
                self.committee.chain(),
                seat.member,
                &seat.key,
            );
            let message = TimeoutMessage::assemble(signed, timeout_high);
            assert!(
                message.is_some(),
                "the safety state keeps the certificate that its timeout names"
            );
            if let Some(message) = message {
                self.broadcast(ConsensusMessage::Timeout((*message).clone()));
                if timeout.view == self.safety.view {
                    self.pacemaker.timed_out(now);
                    self.timeout = Some(message.clone());
                }
                self.votes.timeout(message);
            }
        }
    }

    /// R1: a justification of the current view or a later one ends it; an older one changes nothing but `high`.
    pub(crate) fn on_justification(
        &mut self,
        now: Timestamp,
        justification: Verified<Justification>,
    ) {
        let ended = justification.view();
        if zoo::is(Mutant::AdvanceOnEqual) && ended > self.safety.view {
            return;
        }
        if let Some(certificate) = justification.verified_high() {
            self.note_certificate(certificate);
        }
        if ended >= self.safety.view {
            self.raise_high(&justification);
            self.enter(now, ended.next(), justification);
        } else {
            self.raise_high(&justification);
        }
    }

    fn enter(&mut self, now: Timestamp, view: View, entry: Verified<Justification>) {
        assert!(view > self.safety.view, "R1: a view is entered once");
        let by_timeout = matches!(
            *entry,
            Justification::Timeout(_) | Justification::Certificate(Certificate::Adopting(_))
        );
        let next = self.safety.view.next() == view;
        self.entered_by_votes = match (by_timeout, next) {
            (true, _) => 0,
            (false, true) => self.entered_by_votes.saturating_add(1),
            (false, false) => 1,
        };
        self.presence.left(&self.committee);
        self.pacemaker.leaves(now, !by_timeout && next);
        self.safety.view = view;
        self.safety.entry = Some((*entry).clone());
        self.out.kept.push((*entry).clone());
        self.entry = Some(entry);
        self.timeout = None;
        // A payload that was asked for ahead of the view serves the normal proposal as well (R3).
        self.assembling = self.assembling.filter(|(asked, _)| *asked >= view);
        self.dirty = true;
        let committed = self.tree.root_view();
        self.pacemaker.enter(now, view, committed);
        if view == View::LAST {
            self.pacemaker.mute();
        }
        if self.leads() {
            self.pacemaker.leads();
        }
        self.votes.forget(view, committed);
        self.candidates
            .retain(|(candidate, _), _| *candidate >= view);
        self.tree
            .forget_certificates_before(View(view.0.saturating_sub(CERTIFICATE_VIEWS)));
        let heard = self.candidates.contains_key(&(view, ProposalKind::Normal));
        self.pacemaker.heard_leader = heard;
        self.out.actions.push(self.entered(by_timeout));
    }

    fn entered(&self, by_timeout: bool) -> Action {
        let view = self.safety.view;
        Action::Entered {
            view,
            leader: self.schedule.leader(view),
            by_timeout,
        }
    }

    /// Raise `high` to what a justification resolves to (R1).
    fn raise_high(&mut self, justification: &Verified<Justification>) {
        let Some(certificate) = justification.verified_high() else {
            return;
        };
        if certificate.rank() <= self.safety.high_rank() || zoo::is(Mutant::HighNotRaised) {
            return;
        }
        let before = self.safety.high.take();
        if self.safety.timed_out_high.is_none()
            && self.safety.timed_out.is_some_and(|timeout| {
                timeout.high_view == before.as_ref().map_or(View(0), Certificate::rank)
                    && timeout.high_view > View(0)
            })
        {
            self.safety.timed_out_high = before;
        }
        self.safety.high = Some((*certificate).clone());
        self.high = Some(certificate);
        self.dirty = true;
    }

    /// Keep a certificate, and fetch its block if it is not known (R11).
    pub(crate) fn note_certificate(&mut self, certificate: Verified<Certificate>) {
        let (block, view) = (certificate.block(), certificate.rank());
        if view <= self.tree.root_view() && block != self.tree.root_id() {
            return;
        }
        let holders = certificate.holders();
        if let Some(proof) = certificate.finality(&self.committee) {
            self.note_finality(proof);
        }
        self.tree.certify(certificate);
        if self.tree.header(&block).is_none() {
            self.fetch(block, holders);
        }
    }

    /// Ask for a block once; the caller tries again until it has it.
    pub(crate) fn fetch(&mut self, block: BlockId, from: Vec<MemberIndex>) {
        let from: Vec<MemberIndex> = from
            .into_iter()
            .filter(|member| self.member() != Some(*member))
            .collect();
        if !from.is_empty() && self.fetching.insert(block) {
            self.out.actions.push(Action::Fetch { block, from });
        }
    }

    /// Whether a message of this view is worth keeping.
    pub(crate) fn in_window(&self, view: View) -> bool {
        let ahead = if zoo::is(Mutant::FutureDropped) {
            0
        } else if zoo::is(Mutant::FutureUnbounded) {
            u64::MAX
        } else {
            VIEWS_AHEAD_MAX
        };
        view.0 <= self.safety.view.0.saturating_add(ahead)
            && view.0 >= self.safety.view.0.saturating_sub(VIEWS_AHEAD_MAX)
    }

    /// R1: something of the current view came from its leader, so it knows that its view began.
    pub(crate) fn heard(&mut self, member: MemberIndex, view: View) {
        if view == self.safety.view && member == self.schedule.leader(view) {
            self.pacemaker.heard_leader = true;
        }
    }

    pub(crate) fn leads(&self) -> bool {
        self.member() == Some(self.schedule.leader(self.safety.view))
    }

    /// Mark the safety state as changed.
    pub(crate) const fn changed(&mut self) {
        self.dirty = true;
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.out.actions.push(action);
    }

    /// To be kept for the evidence period (protocol section 6).
    pub(crate) fn keep_as_evidence(&mut self, certificate: &Verified<Certificate>) {
        let certificate = Justification::Certificate((**certificate).clone());
        if self.out.kept.last() != Some(&certificate) {
            self.out.kept.push(certificate);
        }
    }

    pub(crate) fn store(&mut self, record: BlockRecord) {
        self.out.records.push(record);
    }

    /// Say something signed: the safety state goes to disk first.
    pub(crate) fn say(&mut self, message: ConsensusMessage) {
        let vote = matches!(message, ConsensusMessage::Vote(_));
        self.out.signed |= !(vote && zoo::is(Mutant::VoteBeforeDurable));
        if let Some(me) = self.member() {
            self.presence.heard(me);
        }
        self.broadcast(message);
    }

    pub(crate) fn broadcast(&mut self, message: ConsensusMessage) {
        self.out.actions.push(Action::Broadcast { message });
    }

    /// The safety state for the journal.
    fn recorded(&self) -> SafetyState {
        let mut safety = self.safety.clone();
        if zoo::is(Mutant::TimeoutNotDurable) {
            safety.timed_out = None;
        }
        if zoo::is(Mutant::EntryNotForwarded) {
            safety.entry = None;
        }
        safety
    }

    fn finish(&mut self) -> Step {
        let Output {
            records,
            mut actions,
            kept,
            signed,
        } = std::mem::take(&mut self.out);
        if zoo::is(Mutant::MapOrderVisible) {
            zoo::disorder(&mut actions, |one| matches!(one, Action::Broadcast { .. }));
        }
        // A new view alone needs no write: nothing was said under it yet.
        let intended = std::mem::take(&mut self.intended);
        let safety = ((signed || intended) && std::mem::take(&mut self.dirty))
            .then(|| Box::new(self.recorded()));
        let writes = Writes {
            records,
            safety,
            signed,
        };
        Step::new(writes, actions, kept)
    }
}
