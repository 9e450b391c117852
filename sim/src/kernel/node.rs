//! One member of a simulated world, without input and output of its own: the production replica, mempool and ledger, and
//! in few lines what `node::Driver` does around them: payloads, fetching, ranges, epochs.

mod commits;
mod epochs;
mod payloads;
mod port;
mod sync;

pub use port::{Book, Clock, Died, Fate, Port};

use super::disk::{Disk, Final};
use super::envelope::{Envelope, Held};
use crate::fact::{Fact, Message};
use epochs::Epochs;
use outrider_consensus::{Action, Config, Input, Replica, Seat, Step};
use outrider_finality::Outlook;
use outrider_mempool::{Limits, Mempool};
use outrider_types::message::{BatchRequest, Transactions};
use outrider_types::zoo::{self, Mutant};
use outrider_types::{
    Block, BlockId, ConsensusMessage, PayloadMessage, Roots, SecretKey, SyncMessage, Timestamp,
    Transaction, TransactionId,
};
use payloads::Payloads;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use sync::Sync;

/// Steps of one turn; a rule that answers itself would never end.
const STEPS_MAX: usize = 10_000;

/// What all members of a world have in common.
#[derive(Clone, Copy, Debug)]
pub struct NodeConfig {
    /// Timers of the replica.
    pub timers: Config,
    /// A leader with nothing to order waits so long before it proposes an empty block.
    pub idle_block: Duration,
}

/// A member: what is on its disk, and what is in its memory while it is up.
#[derive(Debug)]
pub struct Node {
    host: usize,
    key: SecretKey,
    book: Arc<Book>,
    config: NodeConfig,
    disk: Disk,
    life: Option<Life>,
}

/// What a crash loses.
#[derive(Debug)]
struct Life {
    /// When it started, by its wall clock.
    started: Timestamp,
    replica: Replica,
    hosts: Vec<usize>,
    inputs: VecDeque<Input>,
    mempool: Mempool,
    /// Payloads of blocks above the last final one that were checked.
    held: BTreeMap<BlockId, Arc<Held>>,
    outlook: Outlook,
    payloads: Payloads,
    sync: Sync,
    epochs: Epochs,
    /// Transactions that clients handed in here.
    ours: BTreeSet<TransactionId>,
}

impl Life {
    /// What was handed in since goes to all others, as a batch.
    fn spread(&mut self, port: &mut Port<'_>) {
        while let Some(batch) = self.mempool.seal() {
            let list = batch.transactions.to_vec();
            let spread = Transactions { list };
            port.send(None, Message::Payload(PayloadMessage::Transactions(spread)));
        }
    }

    /// Somebody misses batches that this member referred to.
    fn serve_batches(&self, to: usize, request: &BatchRequest, port: &mut Port<'_>) {
        for batch in request
            .batches
            .iter()
            .filter_map(|id| self.mempool.batch(id))
        {
            let list = batch.transactions.to_vec();
            let message = PayloadMessage::Transactions(Transactions { list });
            port.send(Some(to), Message::Payload(message));
        }
    }

    /// The mutant that takes a certificate for a commit, as the driver with the same mutant does.
    fn tell_early(&mut self, member: usize, port: &mut Port<'_>) {
        let high = self.replica.safety().high_block();
        let block = high
            .and_then(|id| self.replica.record(id))
            .map(|record| record.block);
        let held = block.and_then(|block| self.held.get(&block.id()));
        let (Some(block), Some(held)) = (block, held) else {
            return;
        };
        for id in held
            .transactions
            .iter()
            .filter(|id| self.ours.contains(*id))
        {
            port.facts.push(Fact::Receipt {
                member,
                id: *id,
                height: block.height,
            });
        }
    }
}

impl Node {
    /// A member that is down.
    #[must_use]
    pub fn new(host: usize, key: SecretKey, book: Arc<Book>, config: NodeConfig) -> Self {
        Self {
            disk: Disk::new(&book.genesis),
            host,
            key,
            book,
            config,
            life: None,
        }
    }

    /// Its disk.
    #[must_use]
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Its replica, while it is up.
    #[must_use]
    pub fn replica(&self) -> Option<&Replica> {
        self.life.as_ref().map(|life| &life.replica)
    }

    /// Hosts of the members of its epoch, while it is up.
    #[must_use]
    pub fn hosts(&self) -> Option<&[usize]> {
        self.life.as_ref().map(|life| &life.hosts[..])
    }

    /// Whether it is up and has no vote although its host is a member.
    #[must_use]
    pub fn mute(&self) -> bool {
        self.life
            .as_ref()
            .is_some_and(|life| life.replica.member().is_none() && life.hosts.contains(&self.host))
    }

    /// Power on.
    pub fn start(&mut self, clock: Clock, port: &mut Port<'_>) -> Result<(), Died> {
        assert!(self.life.is_none(), "it is up already");
        let (replica, hosts, first) = self.replica_of_now(clock, clock.wall);
        let mut life = Life {
            started: clock.wall,
            held: BTreeMap::new(),
            outlook: Outlook::default(),
            replica,
            hosts,
            inputs: VecDeque::new(),
            mempool: Mempool::new(Limits::default()),
            payloads: Payloads::default(),
            sync: Sync::new(clock.now),
            epochs: Epochs::default(),
            ours: BTreeSet::new(),
        };
        life.epochs.load(&self.disk, life.replica.committee());
        port.facts.push(Fact::Restarted {
            member: self.host,
            mute: life.replica.member().is_none() && life.hosts.contains(&self.host),
            height: self.disk.root().height,
        });
        if let Some(safety) = self.disk.journal() {
            // A write that was not synced may have survived.
            port.facts.push(Fact::Durable {
                member: self.host,
                safety,
            });
        }
        self.life = Some(life);
        self.announce_epoch(port);
        self.hold_restored();
        self.turn(clock, port, first)
    }

    /// Power off; every write that was not synced survives if `survives` says so.
    pub fn crash(&mut self, survives: impl FnMut() -> bool) {
        self.life = None;
        self.disk.crash(survives);
    }

    /// Its vote journal is lost; it must be down.
    pub fn lose_journal(&mut self) {
        assert!(self.life.is_none(), "a member in use keeps its disk");
        self.disk.lose_journal();
    }

    /// Its whole disk is lost; it must be down.
    pub fn wipe(&mut self) {
        self.lose_journal();
        self.disk = Disk::new(&self.book.genesis);
        self.disk.lose_journal();
    }

    /// The next instant, by its clock, at which it wants to be woken.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let life = self.life.as_ref()?;
        let due = [
            life.replica.wake_at(),
            life.payloads.wake_at(),
            Some(life.sync.wake_at()),
        ];
        due.into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn wake(&mut self, clock: Clock, port: &mut Port<'_>) -> Result<(), Died> {
        if let Some(life) = &mut self.life {
            life.inputs.push_back(Input::Wake);
        }
        self.turn(clock, port, Step::default())
    }

    /// A message came.
    pub fn receive(
        &mut self,
        clock: Clock,
        envelope: &Arc<Envelope>,
        port: &mut Port<'_>,
    ) -> Result<(), Died> {
        self.hear(clock, envelope, port);
        self.turn(clock, port, Step::default())
    }

    /// A client hands in a transaction; whether it was taken.
    pub fn submit(
        &mut self,
        clock: Clock,
        list: &[Transaction],
        port: &mut Port<'_>,
    ) -> Result<bool, Died> {
        let Some(life) = &mut self.life else {
            return Ok(false);
        };
        let mut admitted = Vec::new();
        for one in list {
            let id = one.id();
            let closed = self.disk.ledger().registry().policy(one.rollup, clock.wall);
            let unfit = closed.is_none() || self.disk.place(&id).is_some();
            if unfit || life.mempool.admit_own(clock.now, id, one.clone()).is_err() {
                break;
            }
            admitted.push(id);
        }
        let taken = admitted.len() == list.len();
        if taken {
            life.ours.extend(admitted);
            life.spread(port);
        } else {
            life.mempool.committed(&admitted);
        }
        self.turn(clock, port, Step::default())?;
        Ok(taken)
    }

    /// An operator hands in a change of the committee that members approved of.
    pub fn hand_in_change(
        &mut self,
        clock: Clock,
        change: outrider_types::CommitteeChange,
        port: &mut Port<'_>,
    ) -> Result<(), Died> {
        self.on_change(clock, change, port);
        self.turn(clock, port, Step::default())
    }

    fn hear(&mut self, clock: Clock, envelope: &Arc<Envelope>, port: &mut Port<'_>) {
        let Some(life) = &mut self.life else {
            return;
        };
        let from = envelope.from;
        match &*envelope.message {
            Message::Consensus(ConsensusMessage::EpochEnd(end)) => {
                self.on_epoch_end(clock, end, port);
            }
            Message::Consensus(message) => {
                let (here, there) = (life.replica.committee().epoch(), message.epoch());
                if there == here {
                    if let Some(input) = envelope.input(life.replica.committee()) {
                        life.inputs.push_back(input);
                    }
                } else if there > here {
                    self.on_ahead(clock, envelope, port);
                } else if matches!(message, ConsensusMessage::Timeout(_)) {
                    self.on_behind(clock, from, there, port);
                }
            }
            Message::Payload(PayloadMessage::Payload(_)) => {
                if let Some(held) = envelope.held() {
                    self.on_payload(from, held);
                }
            }
            Message::Payload(PayloadMessage::Transactions(spread)) => {
                self.on_batch(clock, from, spread);
            }
            Message::Payload(PayloadMessage::Received(_)) => {}
            Message::Payload(PayloadMessage::References(references)) => {
                self.on_references(clock, from, references.clone());
            }
            Message::Payload(PayloadMessage::BatchRequest(request)) => {
                life.serve_batches(from, request, port);
            }
            Message::Sync(message) => match message {
                SyncMessage::BlockRequest(request) => self.serve_block(from, request.block, port),
                SyncMessage::Block(_) => self.on_block(envelope),
                SyncMessage::RangeRequest(request) => self.serve_range(from, request.from, port),
                SyncMessage::Range(range) => self.on_range(clock, from, range, port),
                SyncMessage::ChangeRequest(request) => self.serve_change(from, request.next, port),
                SyncMessage::Change(change) => self.on_change(clock, change.clone(), port),
                SyncMessage::Evidence(_)
                | SyncMessage::Execution(_)
                | SyncMessage::Attestation(_)
                | SyncMessage::Approval(_) => {}
            },
        }
    }

    /// Step through all inputs, make everything durable, act; again while that leads to new inputs.
    fn turn(&mut self, clock: Clock, port: &mut Port<'_>, first: Step) -> Result<(), Died> {
        let mut step = first;
        let mut steps = 0;
        loop {
            self.cross_if_over(clock, port, &mut step);
            while let Some(life) = &mut self.life
                && let Some(input) = life.inputs.pop_front()
            {
                steps += 1;
                assert!(steps < STEPS_MAX, "a turn that does not end");
                step = step.then(life.replica.step(clock.now, input));
            }
            if step.is_empty() {
                self.on_time(clock, port);
                let Some(life) = &self.life else {
                    break;
                };
                if life.inputs.is_empty() && !life.epochs.is_over() {
                    break;
                }
                continue;
            }
            self.settle(clock, port, std::mem::take(&mut step))?;
        }
        if let Some(life) = &self.life {
            let safety = life.replica.safety();
            port.facts.push(Fact::Stepped {
                member: self.host,
                epoch: safety.epoch.0,
                view: safety.view,
                high: safety.high_rank(),
                held: life.replica.blocks_held()
                    + life.replica.statements_held()
                    + life.held.len()
                    + life.payloads.len(),
            });
        }
        Ok(())
    }

    /// Persist before send (C2), then act; what became final first, for the tree begins above it already.
    fn settle(&mut self, clock: Clock, port: &mut Port<'_>, mut step: Step) -> Result<(), Died> {
        let member = self.host;
        let kept = step.take_kept();
        let disk = &mut self.disk;
        let mut after = false;
        let actions = step.persist_with(|writes| {
            let fate = if writes.signed {
                port.syncs += 1;
                (port.fate)()
            } else {
                Fate::Done
            };
            if fate == Fate::DiesBefore {
                return Err(Died);
            }
            if let Some(safety) = disk.write(writes) {
                port.facts.push(Fact::Durable { member, safety });
            }
            after = fate == Fate::DiesAfter;
            Ok(())
        })?;
        if after {
            return Err(Died);
        }
        for justification in kept {
            let justification = Arc::new(justification);
            port.facts.push(Fact::Kept {
                member,
                justification,
            });
        }
        let (commits, others): (Vec<_>, Vec<_>) = actions
            .into_iter()
            .partition(|action| matches!(action, Action::Commit { .. }));
        let forget = !commits.is_empty();
        for action in commits {
            self.act(clock, port, action);
        }
        if forget {
            self.forget_old();
        }
        for action in others {
            self.act(clock, port, action);
        }
        Ok(())
    }

    /// A block of one's own is proposed: its payload is held like that of any other. A filler has none (R13).
    fn hold_own(&mut self, block: &Block) {
        let Some(life) = self.life.as_mut().filter(|_| block.roots != Roots::NONE) else {
            return;
        };
        if let Some(held) = life.payloads.claim(block.payload) {
            let said = life.outlook.check(self.disk.ledger(), block, &held);
            assert!(
                !matches!(said, Some(Err(_))),
                "a member proposes only what it holds valid: {said:?}"
            );
            life.held.insert(block.id(), held);
            self.check_waiting(block.id());
        }
    }

    fn act(&mut self, clock: Clock, port: &mut Port<'_>, action: Action) {
        let Some(life) = &mut self.life else {
            return;
        };
        match action {
            Action::Broadcast { message } => {
                if let ConsensusMessage::Proposal(proposal) = &message {
                    self.hold_own(&proposal.block);
                }
                port.send(None, Message::Consensus(message));
            }
            Action::Send { to, message } => {
                if let Some(host) = life.hosts.get(to.index()) {
                    port.send(Some(*host), Message::Consensus(message));
                }
            }
            Action::CheckPayload { block } => self.check_payload(clock, block, port),
            Action::Assemble {
                view,
                parent,
                after,
                last,
                ..
            } => {
                let deadline = clock.now.after(self.config.idle_block);
                life.payloads.ask((view, parent, after, last), deadline);
            }
            Action::Fetch { block, from } => {
                let hosts = &life.hosts;
                let from = from
                    .iter()
                    .filter_map(|member| hosts.get(member.index()))
                    .copied()
                    .collect();
                life.sync.fetch(clock.now, block, from, true);
            }
            Action::CatchUp { to } => life.sync.catch_up(clock.now, to),
            Action::Commit {
                blocks,
                fillers,
                certificate,
            } => self.commit(clock, &blocks, fillers, &certificate, port),
            Action::Entered {
                view,
                leader,
                by_timeout,
            } => {
                life.payloads.forget_proposal_before(view);
                if zoo::is(Mutant::ReceiptAtCertificate) {
                    life.tell_early(self.host, port);
                }
                let entry = life.replica.safety().entry.clone();
                port.facts.push(Fact::Entered {
                    member: self.host,
                    epoch: life.replica.committee().epoch().0,
                    view,
                    leader: life
                        .hosts
                        .get(leader.index())
                        .copied()
                        .unwrap_or(usize::MAX),
                    by_timeout,
                    // A step may lead through several views; only the last one's way is known.
                    entry: entry.filter(|_| view == life.replica.view()).map(Arc::new),
                });
            }
            Action::BadProposal { leader, reason, .. } => port.facts.push(Fact::Blamed {
                member: self.host,
                leader: life
                    .hosts
                    .get(leader.index())
                    .copied()
                    .unwrap_or(usize::MAX),
                reason,
            }),
        }
    }

    /// What this member has to do by now.
    fn on_time(&mut self, clock: Clock, port: &mut Port<'_>) {
        self.ask_again(clock, port);
        self.ask_for_batches(clock, port);
        self.try_assemble(clock, port);
    }

    /// The replica of the epoch that the disk is in, and what it says first.
    fn replica_of_now(&self, clock: Clock, started: Timestamp) -> (Replica, Vec<usize>, Step) {
        let (committee, base) = epochs::of_disk(&self.disk, &self.book.genesis);
        let member = committee.index_of(&self.key.public_key());
        let may = match self.disk.recorded() {
            Some(epoch) => epoch <= committee.epoch(),
            None => base.timestamp > started.after(epochs::FORGOTTEN_AFTER),
        };
        let seat = member.filter(|_| may).map(|member| Seat {
            member,
            key: self.key.clone(),
        });
        let restored = self.disk.restore(&committee);
        let hosts = self.book.hosts_of(&committee);
        let (replica, step) = Replica::new(
            self.config.timers,
            committee,
            seat,
            &base,
            restored,
            clock.now,
        );
        (replica, hosts, step)
    }

    /// Payloads of the blocks that the replica was restored with.
    fn hold_restored(&mut self) {
        let Some(life) = &mut self.life else {
            return;
        };
        let blocks;
        (blocks, life.outlook) = self.disk.blocks_above(life.replica.committee());
        for record in blocks {
            if let Some(held) = self.disk.payload(record.block.payload) {
                life.held.insert(record.block.id(), held);
            }
        }
    }

    fn announce_epoch(&self, port: &mut Port<'_>) {
        if let Some(life) = &self.life {
            port.facts.push(Fact::Epoch {
                committee: life.replica.committee().clone(),
                hosts: life.hosts.clone(),
            });
        }
    }
}
