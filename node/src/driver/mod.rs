//! The driver: one task that owns a replica, a mempool and a ledger, and does what the replica asks.
//!
//! ```text
//! network --workers: decode, verify--> events --+
//! API ------------------------------> commands --+--> turn: step, step, .. --one sync--> actions
//! clock ------------------------------> wake ----+                  ^                      |
//!                                                 +--- answers ------+---------------------+
//! ```
//!
//! It is generic over a commonware-runtime context and over the disk, and over nothing else: the same code runs in
//! production, and in the simulator on a simulated network and disk. It never blocks but on its own disk.

mod actions;
#[cfg(feature = "byzantine")]
mod byzantine;
mod catchup;
mod commands;
mod epochs;
mod events;
mod evidence;
mod execution;
mod payloads;
mod pruning;
mod settlement;
mod spread;
mod sync;

use crate::chain::{Chain, ChainError};
use crate::durable::{self, PersistError};
use crate::handle::{Command, CommittedBlock, DriverEnds, Head, SettlementHeard};
use crate::metrics::Metrics;
use crate::pipeline::{self, FromPeer};
use crate::seats::{Seats, SharedHearing};
use crate::tap::Tap;
pub(crate) use epochs::FORGOTTEN_AFTER;
use outrider_consensus::{Action, Config as ConsensusConfig, Input, Replica, Step};
use outrider_finality::{ExecutionVotes, Outlook};
use outrider_mempool::{Limits, Mempool, Unresolved};
use outrider_network::{Channel, Context, Network, Outbound, Peer, Peers, To, TrackError};
use outrider_storage::{Journal, JournalError, Store};
use outrider_types::safety_state::RestoreError;
use outrider_types::{
    BlockId, BlockRecord, CheckedPayload, EpochStart, RollupId, SafetyState, SecretKey, Timestamp,
    Verified, decode,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};

/// Events taken in one turn, before one sync and all their answers.
const EVENTS_PER_TURN: usize = 256;
/// Commands taken in one turn; a submission counts as many as it has transactions.
const COMMANDS_PER_TURN: usize = 1_024;
/// From one taking of commands to the next, at least: what is submitted meanwhile goes to the other members as one batch, so
/// that there are never more batches in a second than they listen to. Nothing waits when nothing was asked for so long.
const COMMANDS_EVERY: Duration = Duration::from_millis(2);
/// A member that has not connected by then is reported, with what may be the reason.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How often peers, head and disk use are looked at.
const SURVEY: Duration = Duration::from_millis(500);

/// What a driver is made with.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// The key of this member, in whichever committee it is one.
    pub key: SecretKey,
    /// Its own place in the network.
    pub contact: Peer,
    /// Timers.
    pub consensus: ConsensusConfig,
    /// What the mempool takes.
    pub mempool: Limits,
    /// A leader with nothing to order waits this long for something before it proposes an empty block. Less than a
    /// quarter of the base timeout, so that nobody thinks it silent.
    pub idle_block: Duration,
    /// Verifying workers per channel.
    pub workers: usize,
    /// Speak although the vote journal is missing: it may sign twice. Only for an operator who knows
    /// that the member signed nothing in this epoch, or that the epoch is over.
    pub accept_lost_journal: bool,
    /// Certificates are kept as evidence for this many views.
    pub evidence_views: u64,
    /// Final blocks that are kept; 0: all. More than the window of F1.
    pub keep_blocks: u64,
    /// If the network settles on another chain: blocks build on a block of that one only once it was seen here for so long.
    pub l1_lag: Option<Duration>,
}

/// Why a member cannot start, or has to stop.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The vote journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The safety state.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// Members of the next epoch cannot be reached.
    #[error("cannot connect to the members of this epoch: {0}")]
    Track(#[from] TrackError),
    /// Somebody else signs with this member's key.
    #[error(
        "a certificate of view {view} holds a signature of this member that it never made: another process runs with its key, or its data folder is an old copy or an empty one. Stop the other process, or put the right data folder back: with two, or without its vote journal, the member can sign conflicting statements and lose its stake. If you are certain that it signs nowhere else and signed nothing in this epoch that matters, start once with --set node.unsafe_accept_lost_journal=true"
    )]
    KeyInUse {
        /// The view of the certificate.
        view: outrider_types::View,
    },
    /// A part of the network failed.
    #[error("the network has ended; see the log lines before this one")]
    NetworkEnded,
}

/// The imperative shell around one replica.
pub struct Driver<E: Context, J, S> {
    context: E,
    config: DriverConfig,
    replica: Replica,
    mempool: Mempool,
    chain: Chain<S>,
    journal: J,
    outbound: Outbound<E>,
    peers: Peers<E>,
    /// Whom the network connects to, with their indexes.
    tracked: (Vec<Peer>, Vec<usize>),
    metrics: Arc<Metrics>,
    clock: Clock,
    commands: mpsc::Receiver<Command>,
    /// When commands are taken again.
    commands_at: Timestamp,
    committed: broadcast::Sender<Arc<CommittedBlock>>,
    head: watch::Sender<Head>,
    epoch_out: watch::Sender<Arc<EpochStart>>,
    epochs: epochs::Epochs,
    /// What is known of the chain, for the head.
    seen: outrider_types::Height,
    timeouts: u64,
    /// Payloads of blocks above the last final one, by block.
    held: BTreeMap<BlockId, CheckedPayload>,
    /// Their lane blocks.
    outlook: Outlook,
    payloads: payloads::Payloads,
    sync: sync::Sync,
    spread: spread::Spread,
    /// References of leaders whose batches are on their way.
    unresolved: Unresolved,
    witness: evidence::Witness,
    /// What members executed.
    executions: ExecutionVotes,
    settlement: Option<settlement::Settlement>,
    settlement_heard: broadcast::Sender<SettlementHeard>,
    /// A proposal that waits for transactions.
    proposal: Option<payloads::Waiting>,
    /// When a block was first seen, to measure its way to finality.
    first_seen: BTreeMap<BlockId, Timestamp>,
    /// Final blocks that nobody was told of yet.
    fresh: Vec<Arc<CommittedBlock>>,
    /// Inputs for the replica that come from its own actions.
    inputs: Vec<Input>,
    surveyed: Timestamp,
    tidying: pruning::Tidying,
    /// Members reported for never having connected.
    reported: Vec<usize>,
    tap: Option<Box<dyn Tap>>,
}

/// Two clocks: one that never goes back for timers, one that is right for timestamps.
#[derive(Clone, Copy, Debug)]
struct Clock {
    started: tokio::time::Instant,
    base: Timestamp,
}

impl Clock {
    fn now(&self) -> Timestamp {
        self.base.after(self.started.elapsed())
    }
}

/// Microseconds since the Unix epoch by the context's clock.
pub(crate) fn wall_clock(context: &impl commonware_runtime::Clock) -> Timestamp {
    let since = context
        .current()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

impl From<PersistError> for DriverError {
    fn from(error: PersistError) -> Self {
        match error {
            PersistError::Chain(error) => Self::Chain(error),
            PersistError::Journal(error) => Self::Journal(error),
        }
    }
}

impl<E: Context, J: Journal, S: Store> Driver<E, J, S> {
    /// Restore a member from its disk. The second value is what it says first.
    fn new(
        context: E,
        config: DriverConfig,
        (journal, mut chain): (J, Chain<S>),
        (outbound, peers): (Outbound<E>, Peers<E>),
        ends: DriverEnds,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, Step), DriverError> {
        let recorded = journal.latest().map(|record| decode(record.to_vec()));
        chain.note_votes_before(recorded.transpose().map_err(RestoreError::Decode)?.as_ref())?;
        let clock = Clock {
            started: tokio::time::Instant::now(),
            base: wall_clock(&context),
        };
        let (started, now) = (clock.base, clock.now());
        let (replica, step, (held, outlook)) =
            epochs::new_replica(&config, &chain, &journal, started, now)?;
        let committee = replica.committee().clone();
        let witness = evidence::Witness::restore(&mut chain, &committee, replica.safety())?;
        let hearing = SharedHearing::new(Seats::new(committee, Vec::new()));
        let origin = chain.root().origin;
        let settlement = config
            .l1_lag
            .map(|lag| settlement::Settlement::new(origin, lag));
        let mut driver = Self {
            mempool: Mempool::new(config.mempool.clone()),
            seen: chain.root().height,
            context,
            config,
            replica,
            chain,
            journal,
            outbound,
            peers,
            tracked: (Vec::new(), Vec::new()),
            metrics,
            clock,
            commands: ends.commands,
            commands_at: Timestamp(0),
            committed: ends.committed,
            head: ends.head,
            epoch_out: ends.epoch,
            epochs: epochs::Epochs::new(hearing, started),
            timeouts: 0,
            held,
            outlook,
            payloads: payloads::Payloads::default(),
            sync: sync::Sync::default(),
            spread: spread::Spread::default(),
            unresolved: Unresolved::default(),
            witness,
            executions: ExecutionVotes::default(),
            settlement,
            settlement_heard: ends.settlement,
            proposal: None,
            first_seen: BTreeMap::new(),
            fresh: Vec::new(),
            inputs: Vec::new(),
            surveyed: Timestamp(0),
            tidying: pruning::Tidying::default(),
            reported: Vec::new(),
            tap: ends.tap,
        };
        driver.settle_in()?;
        Ok((driver, step))
    }

    async fn run(mut self, first: Step, mut events: Events) -> Result<(), DriverError> {
        let stopped = self.context.stopped();
        tokio::pin!(stopped);
        self.turn(first)?;
        loop {
            let now = self.clock.now();
            let listens = now >= self.commands_at;
            let mut wake = self.wake_at(now);
            if !listens {
                wake = wake.min(self.commands_at);
            }
            let wake = tokio::time::sleep(wake.since(now));
            let mut weight = 0;
            tokio::select! {
                biased;
                _ = &mut stopped => return Ok(()),
                next = events.next() => match next {
                    Some(event) => self.on_event(event)?,
                    None => return Err(DriverError::NetworkEnded),
                },
                command = self.commands.recv(), if listens => if let Some(command) = command {
                    weight = command.weight();
                    self.on_command(command)?;
                } else {
                    // Nobody asks any more, and nobody will; the member goes on until it is stopped.
                    let (_, closed) = mpsc::channel(1);
                    self.commands = closed;
                },
                () = wake => self.inputs.push(Input::Wake),
            }
            for _ in 0..EVENTS_PER_TURN {
                let Some(event) = events.try_next() else {
                    break;
                };
                self.on_event(event)?;
            }
            if listens {
                self.take_commands(weight)?;
            }
            self.turn(Step::default())?;
        }
    }

    /// All commands that wait, with so much taken already.
    fn take_commands(&mut self, mut weight: usize) -> Result<(), DriverError> {
        while weight < COMMANDS_PER_TURN {
            let Ok(command) = self.commands.try_recv() else {
                break;
            };
            weight += command.weight();
            self.on_command(command)?;
        }
        if weight > 0 {
            self.commands_at = self.clock.now().after(COMMANDS_EVERY);
        }
        Ok(())
    }

    /// Step through all inputs, make everything durable with one sync, act; again while that leads to new inputs.
    fn turn(&mut self, first: Step) -> Result<(), DriverError> {
        let mut step = first;
        loop {
            for input in std::mem::take(&mut self.inputs) {
                let now = self.clock.now();
                step = step.then(self.replica.step(now, input));
            }
            if step.is_empty() {
                break;
            }
            let actions = self.persist(std::mem::take(&mut step))?;
            // The replica's tree begins above its last commit already: the ledger follows before anything is checked
            // against both.
            let (commits, others): (Vec<_>, Vec<_>) = actions
                .into_iter()
                .partition(|action| matches!(action, Action::Commit { .. }));
            for action in commits.into_iter().chain(others) {
                self.act(action)?;
            }
        }
        if let Some(first) = self.cross()? {
            return self.turn(first);
        }
        let now = self.clock.now();
        self.on_time(now)?;
        // What is due now may have led to inputs once more.
        if !self.inputs.is_empty() {
            return self.turn(Step::default());
        }
        // Last: a vote or a proposal of this turn has often synced what became final before it.
        self.publish()?;
        self.write_evidence(now)?;
        self.prune(now)?;
        self.survey(now)
    }

    /// Persist before send (C2).
    fn persist(&mut self, mut step: Step) -> Result<Vec<Action>, DriverError> {
        let kept = step.take_kept();
        if let Some(tap) = &mut self.tap {
            tap.kept(&kept);
        }
        self.witness.keep(kept);
        let (chain, journal, metrics) = (&mut self.chain, &mut self.journal, &self.metrics);
        let witness = &mut self.witness;
        let started = tokio::time::Instant::now();
        let actions = step.persist_with(|writes| {
            durable::persist(chain, journal, writes)?;
            witness.keep_records(&writes.records);
            if writes.signed {
                metrics.journal_synced(started.elapsed());
            }
            Ok::<_, DriverError>(())
        })?;
        if let Some(tap) = &mut self.tap {
            tap.stepped(&self.replica, &actions);
        }
        Ok(actions)
    }

    /// The next instant at which something is due.
    fn wake_at(&self, now: Timestamp) -> Timestamp {
        let due = [
            self.replica.wake_at(),
            self.proposal.as_ref().map(|waiting| waiting.deadline),
            self.sync.wake_at(),
            self.tidying.wake_at(),
            self.spread.wake_at(),
            self.unresolved.wake_at(),
            Some(self.surveyed.after(SURVEY)),
        ];
        due.into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| now.after(SURVEY))
    }

    /// What the driver itself has to do by now.
    fn on_time(&mut self, now: Timestamp) -> Result<(), DriverError> {
        self.ask_again(now)?;
        self.flush_spread();
        self.spread_again(now);
        self.ask_for_batches(now);
        self.try_assemble(now)?;
        Ok(())
    }

    /// Look around from time to time.
    fn survey(&mut self, now: Timestamp) -> Result<(), DriverError> {
        self.publish_head();
        if now.since(self.surveyed) < SURVEY {
            return Ok(());
        }
        self.surveyed = now;
        let connected = self.peers.connected().len();
        self.metrics
            .surveyed(connected, self.mempool.len(), self.chain.bytes_on_disk());
        let epoch = self.replica.committee().epoch();
        self.metrics
            .in_epoch(epoch, self.replica.member().is_some());
        self.mempool.forget_parts(now);
        let wall = wall_clock(&self.context);
        let registry = self.chain.ledger().registry().clone();
        let waits: Vec<RollupId> = self.mempool.lanes().map(|(rollup, ..)| rollup).collect();
        for rollup in waits {
            if registry.policy(rollup, wall).is_none() {
                let dropped = self.mempool.close(rollup);
                tracing::info!(%rollup, dropped, "what waited for a rollup that is not open was dropped");
            }
        }
        if self.clock.started.elapsed() > CONNECT_WITHIN {
            let never = self.peers.never_connected();
            if never != self.reported && !never.is_empty() {
                tracing::warn!(
                    members = ?never,
                    "never connected since start: they are down, their address or transport key in the committee file is wrong, or their clock differs from ours by more than 5 s"
                );
            }
            self.reported = never;
        }
        Ok(())
    }

    fn publish_head(&self) {
        let root = self.chain.root();
        let head = Head {
            height: root.height,
            block: root.id(),
            committed_view: root.view,
            view: self.replica.view(),
            transactions: self.chain.ledger().transactions(),
            pending: self.mempool.len() as u64,
            timeouts: self.timeouts,
            seen: self.seen.max(root.height),
        };
        self.head.send_if_modified(|old| {
            let changed = *old != head;
            *old = head;
            changed
        });
    }

    /// Send to other members; what cannot be sent is said again by those who miss it.
    fn send(&mut self, channel: Channel, to: To, bytes: bytes::Bytes) {
        if let Err(error) = self.outbound.send(channel, to, bytes) {
            tracing::error!(%error, "a message of our own could not be sent");
        }
    }
}

/// Payloads by block, and their lane blocks.
type Payloads = (BTreeMap<BlockId, CheckedPayload>, Outlook);
/// Payloads by block, and the records of those blocks, parents first.
type Uncommitted = (Payloads, Vec<Verified<BlockRecord>>);

/// Blocks above the last final one that this member voted for or holds a certificate of.
fn uncommitted<S: Store>(
    chain: &Chain<S>,
    safety: &SafetyState,
) -> Result<Uncommitted, DriverError> {
    let mut tips = Vec::new();
    tips.extend(safety.voted.map(|vote| vote.block));
    tips.extend(safety.high_block());
    let found = chain.uncommitted(&tips)?;
    let EpochStart {
        committee, base, ..
    } = chain.epoch();
    let last = committee.last_height(base.height);
    let (mut held, mut outlook) = (BTreeMap::new(), Outlook::default());
    let mut blocks: Vec<Verified<BlockRecord>> = Vec::new();
    for (record, payload) in found {
        let Ok(payload) = CheckedPayload::new(payload) else {
            continue;
        };
        // Its payload may be here for another block's sake, so what this one says is checked again.
        let checked = outlook.check(chain.ledger(), &record.block, &payload);
        let filler = last.is_some_and(|last| record.block.height > last);
        if filler || matches!(checked, Some(Ok(()))) {
            held.insert(record.block.id(), payload);
            blocks.push(record);
        }
    }
    Ok(((held, outlook), blocks))
}

/// What workers give to the driver, channel by channel, consensus first.
struct Events {
    consensus: mpsc::Receiver<FromPeer>,
    sync: mpsc::Receiver<FromPeer>,
    payload: mpsc::Receiver<FromPeer>,
}

impl Events {
    async fn next(&mut self) -> Option<FromPeer> {
        tokio::select! {
            biased;
            event = self.consensus.recv() => event,
            event = self.sync.recv() => event,
            event = self.payload.recv() => event,
        }
    }

    fn try_next(&mut self) -> Option<FromPeer> {
        let next = self.consensus.try_recv().or_else(|_| self.sync.try_recv());
        next.or_else(|_| self.payload.try_recv()).ok()
    }
}

/// Run a member over a network that has been started, until the context is stopped or its disk fails.
pub async fn run<E: Context, J: Journal + 'static, S: Store + 'static>(
    context: E,
    config: DriverConfig,
    disk: (J, Chain<S>),
    network: Network<E>,
    ends: DriverEnds,
    metrics: Arc<Metrics>,
) -> Result<(), DriverError> {
    let Network {
        outbound,
        consensus,
        payload,
        sync,
        peers,
        ..
    } = network;
    let workers = config.workers;
    let child = context.child("driver");
    let (driver, first) = Driver::new(
        child,
        config,
        disk,
        (outbound, peers),
        ends,
        metrics.clone(),
    )?;
    let hearing = driver.epochs.hearing();
    let events = Events {
        consensus: pipeline::spawn(&context, consensus, &hearing, &metrics, workers),
        sync: pipeline::spawn(&context, sync, &hearing, &metrics, 1),
        payload: pipeline::spawn(&context, payload, &hearing, &metrics, workers),
    };
    driver.run(first, events).await
}
