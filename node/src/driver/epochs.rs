//! From one epoch to the next (R13): changes of the committee, the end of an epoch, and the replica of the next one.

use super::{Driver, DriverConfig, DriverError, Payloads, uncommitted};
use crate::chain::{CHANGES_MAX, Chain};
use crate::committee_file::{CommitteeFile, CommitteeFileError};
use crate::committee_source::{Approved, CommitteeSource, Opinion};
use crate::durable;
use crate::handle::ChangeError;
use crate::pipeline::FromPeer;
use crate::seats::{Hearing, Known, PeerIndex, Seats, SharedHearing, peer_of};
use outrider_consensus::{Input, Replica, Restored, Seat, Step};
use outrider_network::{Channel, Context, Peer, To, TrackError};
use outrider_storage::{Journal, Store};
use outrider_types::message::ChangeRequest;
use outrider_types::{
    Block, BlockRecord, CheckedPayload, Committee, CommitteeChange, CommitteeId, ConsensusMessage,
    Contact, Epoch, EpochEnd, FinalityCertificate, SafetyState, SyncMessage, Timestamp, Verified,
    encode,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Events of the next epoch that wait for it to begin.
const EARLY_MAX: usize = 4_096;
/// Unknown next committees, and blocks that name one of them, that wait to be explained. A block that finds no place is
/// not voted for here.
const WAITING_MAX: usize = 64;
/// A peer of an epoch that is over gets the proof of that at most this often.
const HELP_EVERY: Duration = Duration::from_millis(250);
/// A member without its journal signs nothing in an epoch that began before this long after it started: it cannot know
/// what it signed before. A block's timestamp is at most 10 s ahead of honest clocks, and those are within 5 s of ours, or
/// the network would not connect.
pub(crate) const FORGOTTEN_AFTER: Duration = Duration::from_secs(20);

/// The last block of the epoch, final but for the committee that it names, which is not known here yet.
#[derive(Debug)]
struct Ending {
    record: BlockRecord,
    payload: CheckedPayload,
    fillers: Vec<Block>,
    certificate: Verified<FinalityCertificate>,
}

/// What a driver knows of epochs.
#[derive(Debug)]
pub(super) struct Epochs {
    hearing: SharedHearing,
    /// Who sits where in this epoch.
    pub(super) seats: Arc<Seats>,
    source: Approved,
    /// When the process started, by the clock that blocks show.
    started: Timestamp,
    early: Vec<FromPeer>,
    ending: Option<Ending>,
    /// The epoch is over, and the next one begins at the end of the turn.
    over: Option<EpochEnd>,
    /// Last blocks whose next committee is not known.
    waiting: BTreeMap<CommitteeId, Vec<Block>>,
    helped: BTreeMap<PeerIndex, Timestamp>,
}

impl Epochs {
    pub(super) fn new(hearing: SharedHearing, started: Timestamp) -> Self {
        Self {
            seats: hearing.get().current,
            hearing,
            source: Approved::default(),
            started,
            early: Vec::new(),
            ending: None,
            over: None,
            waiting: BTreeMap::new(),
            helped: BTreeMap::new(),
        }
    }
}

impl Epochs {
    pub(super) fn hearing(&self) -> SharedHearing {
        self.hearing.clone()
    }

    pub(super) fn known(&self) -> &Known {
        self.hearing.known()
    }
}

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    /// Load the changes that are waiting, and connect to everyone who is or will be a member.
    pub(super) fn settle_in(&mut self) -> Result<(), DriverError> {
        let start = self.chain.epoch().clone();
        let changes = self.chain.changes(start.committee.epoch())?;
        self.epochs.source = Approved::default();
        for change in changes {
            // The disk is outside too.
            if let Ok(change) = change.verify(&start.committee) {
                self.epochs.source.add(change);
            }
        }
        self.connect(&start.contacts)?;
        let peers = self.peers_of(&start.contacts).unwrap_or_default();
        let before = self.epochs.seats.clone();
        let seats = Arc::new(Seats::new(start.committee.clone(), peers));
        let previous = (before.committee() != seats.committee()).then_some(before);
        self.epochs.seats = seats.clone();
        self.spread.new_epoch();
        self.epochs.hearing.set(Hearing {
            previous,
            current: seats,
            next: None,
        });
        self.epoch_out.send_replace(Arc::new(start));
        Ok(())
    }

    /// Connect to these and to members of approved committees.
    fn connect(&mut self, contacts: &[Contact]) -> Result<(), TrackError> {
        let ours = self.config.contact.clone();
        let more = self.epochs.source.contacts();
        let mut peers: Vec<Peer> = contacts.iter().chain(more).map(peer_of).collect();
        peers.push(ours);
        // The first entry of a key counts: a member that moves is found at its new place once the epoch has begun.
        let mut wanted: Vec<Peer> = Vec::new();
        for peer in peers {
            if wanted
                .iter()
                .all(|other| other.public_key != peer.public_key)
            {
                wanted.push(peer);
            }
        }
        if wanted != self.tracked.0 {
            let indexes = self.peers.track(&wanted)?;
            self.tracked = (wanted, indexes);
        }
        Ok(())
    }

    /// The peers of these, in their order; none unless all are connected to.
    fn peers_of(&self, contacts: &[Contact]) -> Option<Vec<PeerIndex>> {
        let (peers, indexes) = &self.tracked;
        let peer_of = |contact: &Contact| {
            let key = contact.transport_key.0;
            let at = peers.iter().position(|peer| peer.public_key == key)?;
            indexes.get(at).copied().map(PeerIndex)
        };
        contacts.iter().map(peer_of).collect()
    }

    /// The committee to name in the last block of the epoch.
    pub(super) fn next_committee(&self) -> CommitteeId {
        self.epochs.source.next(&self.chain.epoch().committee)
    }

    /// Whether the committee that a block names may follow. False while that is not known; then the block is checked again
    /// when it is.
    pub(super) fn check_next(&mut self, block: &Block) -> bool {
        if block.next == CommitteeId::NONE {
            return true;
        }
        let committee = self.chain.epoch().committee.clone();
        match self.epochs.source.judge(&committee, block.next) {
            Opinion::Welcome => {}
            Opinion::Unwelcome => self.inputs.push(Input::Unwelcome { block: block.id() }),
            Opinion::Unknown => {
                if self.epochs.waiting.len() >= WAITING_MAX {
                    self.epochs.waiting.pop_first();
                }
                let waiting = self.epochs.waiting.entry(block.next).or_default();
                if waiting.len() < WAITING_MAX {
                    waiting.push(*block);
                }
                let proposer = self.epochs.seats.peer(block.proposer);
                let to = proposer.map_or(To::All, |peer| To::One(peer.0));
                self.ask_change(block.next, to);
                return false;
            }
        }
        self.listen_ahead(block.next);
        true
    }

    fn ask_change(&mut self, next: CommitteeId, to: To) {
        let message = SyncMessage::ChangeRequest(ChangeRequest { next });
        self.send(Channel::Sync, to, encode(&message));
    }

    /// Hear members of the next epoch from now on: some cross into it before this one does.
    fn listen_ahead(&mut self, next: CommitteeId) {
        let current = self.chain.epoch().clone();
        let Some((committee, contacts)) = self.epochs.source.start(&current, next) else {
            return;
        };
        if let Some(peers) = self.peers_of(&contacts) {
            let mut hearing = self.epochs.hearing.get();
            hearing.next = Some(Arc::new(Seats::new(committee, peers)));
            self.epochs.hearing.set(hearing);
        }
    }

    /// An operator hands in a change.
    pub(super) fn submit_change(
        &mut self,
        change: CommitteeChange,
    ) -> Result<Result<(), ChangeError>, DriverError> {
        let committee = self.chain.epoch().committee.clone();
        if committee.epoch_blocks().is_none() {
            return Ok(Err(ChangeError::Endless));
        }
        let (found, expected) = (change.approvals.statement.epoch, committee.epoch());
        if found != expected {
            return Ok(Err(ChangeError::Epoch { found, expected }));
        }
        match change.verify(&committee) {
            Ok(change) => self.take_change(change),
            Err(reason) => Ok(Err(ChangeError::Invalid(reason))),
        }
    }

    /// A member hands on a change, which was verified.
    pub(super) fn on_change(
        &mut self,
        change: Verified<CommitteeChange>,
    ) -> Result<(), DriverError> {
        if let Err(reason) = self.take_change(change)? {
            tracing::warn!(%reason, "a change of the committee is not taken");
        }
        Ok(())
    }

    /// A change that this epoch's committee approved of: keep it, pass it on once, and connect to those who join.
    fn take_change(
        &mut self,
        change: Verified<CommitteeChange>,
    ) -> Result<Result<(), ChangeError>, DriverError> {
        let next = change.next.id();
        if self.epochs.source.knows(next) {
            return Ok(Ok(()));
        }
        if let Err(faults) = CommitteeFile::of_change(&change).check() {
            let faults = CommitteeFileError::Faults(faults).to_string();
            return Ok(Err(ChangeError::Contacts(faults)));
        }
        if !self.chain.put_change(&change)? {
            return Ok(Err(ChangeError::TooMany { limit: CHANGES_MAX }));
        }
        self.chain.sync()?;
        tracing::info!(%next, members = change.next.members().len(), at = ?self.last_height(), "the committee will change at the end of this epoch");
        let message = SyncMessage::Change((*change).clone());
        self.epochs.source.add(change);
        let contacts = self.chain.epoch().contacts.clone();
        if let Err(error) = self.connect(&contacts) {
            // They can wait: when the epoch begins, this member has to reach them, and ends if it cannot.
            tracing::warn!(%error, "members of the next committee cannot be connected to yet");
        }
        self.send(Channel::Sync, To::All, encode(&message));
        let now = self.clock.now();
        for block in self.epochs.waiting.remove(&next).unwrap_or_default() {
            self.check_payload(now, block)?;
        }
        if let Some(ending) = self.epochs.ending.take() {
            self.end_epoch(ending)?;
        }
        Ok(Ok(()))
    }

    fn last_height(&self) -> Option<outrider_types::Height> {
        let start = self.chain.epoch();
        start.committee.last_height(start.base.height)
    }

    /// Answer a member that does not know a next committee.
    pub(super) fn serve_change(&mut self, from: PeerIndex, request: ChangeRequest) {
        if let Some(change) = self.epochs.source.get(request.next).cloned() {
            let message = encode(&SyncMessage::Change(change));
            self.send(Channel::Sync, To::One(from.0), message);
        }
    }

    /// The last block of the epoch is final.
    pub(super) fn on_last_block(
        &mut self,
        record: &BlockRecord,
        payload: CheckedPayload,
        fillers: &[Block],
        certificate: &Verified<FinalityCertificate>,
    ) -> Result<(), DriverError> {
        self.end_epoch(Ending {
            record: record.clone(),
            payload,
            fillers: fillers.to_vec(),
            certificate: certificate.clone(),
        })
    }

    fn end_epoch(&mut self, ending: Ending) -> Result<(), DriverError> {
        let next = ending.record.block.next;
        let committee = self.chain.epoch().committee.clone();
        let change = self.epochs.source.get(next).cloned();
        if change.is_none() && committee.successor().id() != next {
            // The others voted for it, so they have it; the block is not final here before this member has it, too.
            self.ask_change(next, To::All);
            self.epochs.ending = Some(ending);
            return Ok(());
        }
        let end = EpochEnd {
            last: ending.record.block,
            fillers: ending.fillers,
            certificate: (*ending.certificate).clone(),
            change,
        };
        self.append_last(&ending.record, &ending.payload, end, &ending.certificate)
    }

    /// The last block joins the ledger, with the proof that its epoch is over.
    pub(super) fn append_last(
        &mut self,
        record: &BlockRecord,
        payload: &CheckedPayload,
        end: EpochEnd,
        certificate: &Verified<FinalityCertificate>,
    ) -> Result<(), DriverError> {
        let own = end.fillers.is_empty().then_some(&**certificate);
        self.chain.put_epoch_end(&end)?;
        self.append(record, payload, own, certificate)?;
        self.epochs.ending = None;
        self.epochs.over = Some(end);
        Ok(())
    }

    /// Ask again for a change without which the epoch cannot end here.
    pub(super) fn ask_for_ending(&mut self) {
        if let Some(next) = self
            .epochs
            .ending
            .as_ref()
            .map(|ending| ending.record.block.next)
        {
            self.ask_change(next, To::All);
        }
    }

    /// A member proves that the epoch is over: get its blocks (R11).
    pub(super) fn on_epoch_end(&mut self, end: &Verified<EpochEnd>) -> Result<(), DriverError> {
        if end.last.epoch != self.chain.epoch().committee.epoch() {
            return Ok(());
        }
        if let Some(change) = end.change.clone() {
            let committee = self.chain.epoch().committee.clone();
            if let Ok(change) = change.verify(&committee) {
                self.on_change(change)?;
            }
        }
        let now = self.clock.now();
        if end.last.height > self.chain.root().height {
            self.seen = self.seen.max(end.last.height);
            self.catch_up(now, end.last.height);
        }
        Ok(())
    }

    /// R11: a member is in an epoch that is over here.
    pub(super) fn on_behind(&mut self, from: PeerIndex, epoch: Epoch) -> Result<(), DriverError> {
        let now = self.clock.now();
        let last = self.epochs.helped.get(&from);
        if last.is_some_and(|last| now < last.after(HELP_EVERY)) {
            return Ok(());
        }
        self.epochs.helped.insert(from, now);
        if let Some(end) = self.chain.epoch_end(epoch)? {
            let message = encode(&ConsensusMessage::EpochEnd(end));
            self.send(Channel::Consensus, To::One(from.0), message);
        }
        Ok(())
    }

    /// Keep what was said in the next epoch until it begins here.
    pub(super) fn keep_early(&mut self, event: FromPeer) {
        if self.epochs.early.len() < EARLY_MAX {
            self.epochs.early.push(event);
        }
    }

    /// If the epoch is over: say so, and begin the next one. Gives what the new replica says first.
    pub(super) fn cross(&mut self) -> Result<Option<Step>, DriverError> {
        let Some(end) = self.epochs.over.take() else {
            return Ok(None);
        };
        // What is still to be said to the old replica means nothing to the new one.
        self.inputs.clear();
        self.publish()?;
        self.chain.begin_epoch()?;
        let message = ConsensusMessage::EpochEnd(end);
        self.send(Channel::Consensus, To::All, encode(&message));
        self.settle_in()?;
        self.proposal = None;
        self.sync.forget_fetches();
        self.epochs.waiting.clear();
        let now = self.clock.now();
        let (config, started) = (&self.config, self.epochs.started);
        let (replica, step, (held, outlook)) =
            new_replica(config, &self.chain, &self.journal, started, now)?;
        self.replica = replica;
        self.held.extend(held);
        self.outlook = outlook;
        self.forget_old();
        let committee = self.replica.committee();
        tracing::info!(
            epoch = %committee.epoch(),
            members = committee.members().len(),
            member = ?self.replica.member(),
            base = %self.chain.root().height,
            "a new epoch begins"
        );
        for event in std::mem::take(&mut self.epochs.early) {
            self.on_event(event)?;
        }
        Ok(Some(step))
    }
}

/// The replica of the current epoch, on what the disk holds.
pub(super) fn new_replica(
    config: &DriverConfig,
    chain: &Chain<impl Store>,
    journal: &impl Journal,
    started: Timestamp,
    now: Timestamp,
) -> Result<(Replica, Step, Payloads), DriverError> {
    let start = chain.epoch().clone();
    let (safety, recorded) = safety(journal, &start.committee)?;
    let seat = seat(
        config,
        (started, recorded),
        &start.committee,
        start.base.timestamp,
    );
    if seat.is_none() && start.committee.index_of(&config.key.public_key()).is_some() {
        tracing::warn!(
            epoch = %start.committee.epoch(),
            "this member follows and signs nothing in this epoch: its vote journal is missing or of a later epoch, so it cannot know what it has signed. It speaks again in the next epoch. If you are certain that it signed nothing in this one, start once with --set node.unsafe_accept_lost_journal=true"
        );
    }
    let (laid, blocks) = uncommitted(chain, &safety)?;
    let restored = Restored {
        root: *chain.root(),
        vote_left: durable::vote_left(chain, &safety)?,
        safety,
        blocks,
    };
    let consensus = config.consensus;
    let (replica, step) =
        Replica::new(consensus, start.committee, seat, &start.base, restored, now);
    Ok((replica, step, laid))
}

/// The safety state of an epoch, and the epoch of what the journal holds. A state of an epoch before is of no use any more;
/// one of an epoch after waits until the chain is there.
fn safety(
    journal: &impl Journal,
    committee: &Committee,
) -> Result<(Verified<SafetyState>, Option<Epoch>), DriverError> {
    let Some(record) = journal.latest() else {
        return Ok((Verified::fresh(committee), None));
    };
    let epoch = SafetyState::epoch_of(record)?;
    let safety = if epoch == committee.epoch() {
        SafetyState::restore(record, committee)?
    } else {
        Verified::fresh(committee)
    };
    Ok((safety, Some(epoch)))
}

/// The seat of a member in an epoch, if it may speak in it (protocol section 7). `base` is the timestamp of the epoch's base
/// block.
fn seat(
    config: &DriverConfig,
    (started, recorded): (Timestamp, Option<Epoch>),
    committee: &Committee,
    base: Timestamp,
) -> Option<Seat> {
    let member = committee.index_of(&config.key.public_key())?;
    let may = match recorded {
        Some(epoch) => epoch <= committee.epoch(),
        None => base > started.after(FORGOTTEN_AFTER),
    };
    let seat = Seat {
        member,
        key: config.key.clone(),
    };
    (may || config.accept_lost_journal).then_some(seat)
}
