//! From one epoch to the next (R13): changes of the committee, the end of an epoch, and the replica of the next one.

use super::{Clock, Disk, Envelope, Final, Node, Port};
use crate::fact::{Fact, Message};
use outrider_consensus::{Input, Step};
use outrider_node::committee_source::{Approved, CommitteeSource as _, Opinion};
use outrider_types::message::{ChangeRequest, RangeRequest};
use outrider_types::{
    Block, Committee, CommitteeChange, CommitteeId, ConsensusMessage, Epoch, EpochEnd,
    FinalityCertificate, SyncMessage, Timestamp,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Messages of the next epoch that wait for it to begin.
const EARLY_MAX: usize = 4_096;
/// Blocks whose next committee is not known here that wait for it.
const WAITING_MAX: usize = 64;
/// A host of an epoch that is over gets the proof of that at most this often.
const HELP_EVERY: Duration = Duration::from_millis(250);
/// A member without its vote journal signs nothing in an epoch that began before this long after it started.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(20);

/// The last block of the epoch, final but for the committee that it names, which is not known here yet.
#[derive(Debug)]
struct Ending {
    block: Final,
    fillers: Vec<Block>,
    certificate: Arc<FinalityCertificate>,
}

/// What a member knows of epochs.
#[derive(Debug, Default)]
pub(super) struct Epochs {
    source: Approved,
    early: Vec<Arc<Envelope>>,
    ending: Option<Ending>,
    over: Option<EpochEnd>,
    waiting: Vec<Block>,
    helped: BTreeMap<usize, Timestamp>,
    probed: Option<Timestamp>,
}

impl Epochs {
    /// Changes that are waiting on the disk for the end of this epoch.
    pub(super) fn load(&mut self, disk: &Disk, committee: &Committee) {
        self.source = Approved::default();
        for change in disk.changes().values() {
            if let Ok(change) = change.clone().verify(committee) {
                self.source.add(change);
            }
        }
    }

    pub(super) fn next(&self, committee: &Committee) -> CommitteeId {
        self.source.next(committee)
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over.is_some()
    }

    pub(super) const fn is_ending(&self) -> bool {
        self.ending.is_some()
    }
}

/// Committee and base block of the epoch that a disk is in.
pub(super) fn of_disk(disk: &Disk, genesis: &Committee) -> (Committee, Block) {
    let mut committee = genesis.clone();
    let mut base = Block::genesis(genesis);
    for end in disk.ends() {
        committee = end.next(&committee);
        base = end.last;
    }
    (committee, base)
}

impl Node {
    /// Whether the committee that a block names may follow; false while that is not known.
    pub(super) fn check_next(&mut self, block: &Block, port: &mut Port<'_>) -> bool {
        let Some(life) = &mut self.life else {
            return false;
        };
        if block.next == CommitteeId::NONE {
            return true;
        }
        match life
            .epochs
            .source
            .judge(life.replica.committee(), block.next)
        {
            Opinion::Welcome => true,
            Opinion::Unwelcome => {
                let block = block.id();
                life.inputs.push_back(Input::Unwelcome { block });
                true
            }
            Opinion::Unknown => {
                if life.epochs.waiting.len() < WAITING_MAX {
                    life.epochs.waiting.push(*block);
                }
                let to = life.hosts.get(block.proposer.index()).copied();
                ask_change(block.next, to, port);
                false
            }
        }
    }

    /// An operator hands in a change that members approved of, or a member hands one on.
    pub(super) fn on_change(&mut self, clock: Clock, change: CommitteeChange, port: &mut Port<'_>) {
        let Some(life) = &mut self.life else {
            return;
        };
        let next = change.next.id();
        if life.epochs.source.knows(next) {
            return;
        }
        let Ok(change) = change.verify(life.replica.committee()) else {
            return;
        };
        self.disk.put_change((*change).clone());
        port.send(None, Message::Sync(SyncMessage::Change((*change).clone())));
        life.epochs.source.add(change);
        let (ready, waiting) = std::mem::take(&mut life.epochs.waiting)
            .into_iter()
            .partition(|block| block.next == next);
        life.epochs.waiting = waiting;
        let ending = life.epochs.ending.take();
        let ready: Vec<Block> = ready;
        for block in ready {
            self.check_payload(clock, block, port);
        }
        if let Some(ending) = ending {
            self.end_epoch(ending, port);
        }
    }

    /// Answer a member that does not know a next committee.
    pub(super) fn serve_change(&self, from: usize, next: CommitteeId, port: &mut Port<'_>) {
        if let Some(change) = self.disk.changes().get(&next) {
            let message = SyncMessage::Change(change.clone());
            port.send(Some(from), Message::Sync(message));
        }
    }

    /// The last block of the epoch is final.
    pub(super) fn on_last_block(
        &mut self,
        _: Clock,
        block: Final,
        fillers: Vec<Block>,
        certificate: &Arc<FinalityCertificate>,
        port: &mut Port<'_>,
    ) {
        let ending = Ending {
            block,
            fillers,
            certificate: certificate.clone(),
        };
        self.end_epoch(ending, port);
    }

    fn end_epoch(&mut self, ending: Ending, port: &mut Port<'_>) {
        let Some(life) = &mut self.life else {
            return;
        };
        let committee = life.replica.committee();
        let next = ending.block.record.block.next;
        let change = life.epochs.source.get(next).cloned();
        if change.is_none() && committee.successor().id() != next {
            // The others voted for it, so they have it.
            ask_change(next, None, port);
            life.epochs.ending = Some(ending);
            return;
        }
        let end = EpochEnd {
            last: ending.block.record.block,
            fillers: ending.fillers,
            certificate: (*ending.certificate).clone(),
            change,
        };
        self.append_last(ending.block, end, &ending.certificate, port);
    }

    /// Ask again for a change without which the epoch cannot end here.
    pub(super) fn ask_for_ending(&self, port: &mut Port<'_>) {
        let ending = self
            .life
            .as_ref()
            .and_then(|life| life.epochs.ending.as_ref());
        if let Some(ending) = ending {
            ask_change(ending.block.record.block.next, None, port);
        }
    }

    /// The last block joins the ledger, with the proof that its epoch is over.
    pub(super) fn append_last(
        &mut self,
        mut block: Final,
        end: EpochEnd,
        certificate: &Arc<FinalityCertificate>,
        port: &mut Port<'_>,
    ) {
        block.proof = end.fillers.is_empty().then(|| certificate.clone());
        self.append(block, Some(certificate), port);
        self.disk.end_epoch(end.clone());
        port.facts.push(Fact::EpochEnded {
            member: self.host,
            end: Arc::new(end.clone()),
        });
        if let Some(life) = &mut self.life {
            life.epochs.ending = None;
            life.epochs.over = Some(end);
        }
    }

    /// A member proves that the epoch is over: get its blocks (R11).
    pub(super) fn on_epoch_end(&mut self, clock: Clock, end: &EpochEnd, port: &mut Port<'_>) {
        let Some(life) = &mut self.life else {
            return;
        };
        let committee = life.replica.committee();
        if end.last.epoch != committee.epoch() || end.clone().verify(committee).is_err() {
            return;
        }
        if let Some(change) = end.change.clone() {
            self.on_change(clock, change, port);
        }
        let root = self.disk.root().height;
        if let Some(life) = &mut self.life
            && end.last.height > root
        {
            life.sync.catch_up(clock.now, end.last.height);
        }
    }

    /// R11: a member is in an epoch that is over here.
    pub(super) fn on_behind(
        &mut self,
        clock: Clock,
        from: usize,
        epoch: Epoch,
        port: &mut Port<'_>,
    ) {
        let Some(life) = &mut self.life else {
            return;
        };
        let last = life.epochs.helped.get(&from);
        if last.is_some_and(|last| clock.now < last.after(HELP_EVERY)) {
            return;
        }
        life.epochs.helped.insert(from, clock.now);
        let at = usize::try_from(epoch.0).ok();
        if let Some(end) = at.and_then(|at| self.disk.ends().get(at)) {
            let message = ConsensusMessage::EpochEnd(end.clone());
            port.send(Some(from), Message::Consensus(message));
        }
    }

    /// A member is in a later epoch: keep what it says if it is the next one, and ask it for what is missing.
    pub(super) fn on_ahead(&mut self, clock: Clock, envelope: &Arc<Envelope>, port: &mut Port<'_>) {
        let from = self.disk.root().height.next();
        let Some(life) = &mut self.life else {
            return;
        };
        if life.epochs.early.len() < EARLY_MAX {
            life.epochs.early.push(envelope.clone());
        }
        let probed = life.epochs.probed;
        if probed.is_none_or(|probed| clock.now >= probed.after(HELP_EVERY)) {
            life.epochs.probed = Some(clock.now);
            let message = SyncMessage::RangeRequest(RangeRequest { from });
            port.send(Some(envelope.from), Message::Sync(message));
        }
    }

    /// If the epoch is over: say so, and begin the next one. `step` is what the old replica still wanted; then it is what
    /// the new one says first.
    pub(super) fn cross_if_over(&mut self, clock: Clock, port: &mut Port<'_>, step: &mut Step) {
        loop {
            let Some(life) = &mut self.life else {
                return;
            };
            let Some(end) = life.epochs.over.take() else {
                return;
            };
            // What is still to be said to the old replica means nothing to the new one.
            life.inputs.clear();
            life.payloads
                .forget_proposal_before(outrider_types::View(u64::MAX));
            life.payloads.forget(&|_| false);
            life.sync.forget_fetches();
            life.epochs.waiting.clear();
            let early = std::mem::take(&mut life.epochs.early);
            let started = life.started;
            let message = ConsensusMessage::EpochEnd(end);
            port.send(None, Message::Consensus(message));
            let (replica, hosts, first) = self.replica_of_now(clock, started);
            if let Some(life) = &mut self.life {
                life.replica = replica;
                life.hosts = hosts;
                life.epochs.load(&self.disk, life.replica.committee());
                life.held.clear();
            }
            *step = first;
            self.announce_epoch(port);
            self.hold_restored();
            for envelope in early {
                self.hear(clock, &envelope, port);
            }
        }
    }
}

fn ask_change(next: CommitteeId, to: Option<usize>, port: &mut Port<'_>) {
    let message = SyncMessage::ChangeRequest(ChangeRequest { next });
    port.send(to, Message::Sync(message));
}
