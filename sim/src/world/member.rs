//! One life of a host that keeps to the rules: the production driver, its network, its clients.

use super::body::{Body, Order, WatchedJournal};
use super::scribe::now;
use super::watch::Watch;
use super::wire::{Air, Wire};
use crate::fact::Fact;
use crate::past::{Lie, LyingStore, Told};
use crate::turmoil::{Config as ContextConfig, Context};
use commonware_runtime::Supervisor as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use outrider_consensus::Config as Timers;
use outrider_mempool::Limits;
use outrider_network::{Channel, Gate, Peer, start};
use outrider_node::chain::Chain;
use outrider_node::driver::{DriverConfig, run};
use outrider_node::handle::{ChangeError, CommittedBlock, Head, NodeHandle, SubmitError};
use outrider_node::seats::peer_of;
use outrider_storage::Journal as _;
use outrider_types::message::{PayloadMessage, Transactions};
use outrider_types::{
    Committee, CommitteeId, Epoch, EpochEnd, Height, RollupId, SafetyState, SecretKey,
    TransactionId, encode,
};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// Transactions of clients that a member has not answered yet; past that a client waits.
const ASKED_MAX: usize = 1_024;

/// What all members of a world are started with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) seed: u64,
    pub(super) timers: Timers,
    pub(super) idle_block: Duration,
    pub(super) keep_blocks: u64,
    pub(super) told: Told,
    /// If there is a settlement chain: how long its blocks must have been seen.
    pub(super) l1_lag: Option<Duration>,
}

impl Settings {
    fn driver(&self, key: SecretKey, contact: Peer) -> DriverConfig {
        DriverConfig {
            key,
            contact,
            consensus: self.timers,
            mempool: Limits::default(),
            idle_block: self.idle_block,
            workers: 1,
            accept_lost_journal: false,
            evidence_views: 65_536,
            keep_blocks: self.keep_blocks,
            l1_lag: self.l1_lag,
        }
    }
}

/// One life.
pub(super) struct Life {
    pub(super) settings: Settings,
    pub(super) body: Arc<Body>,
    pub(super) air: Arc<Air>,
    pub(super) incarnation: u64,
    /// How it lies about its past.
    pub(super) lie: Option<(Lie, u64)>,
}

/// An answer to what was asked of the member.
enum Answer {
    Taken(TransactionId, RollupId),
    /// To each of what was handed in at once.
    Several(Vec<Self>),
    Refused(TransactionId),
    Ended(Option<Box<EpochEnd>>),
    /// The epoch ended while operators approved of these hosts: they do it again.
    Again(Vec<usize>),
}

/// A client's transaction, from when it is handed in to when it is final.
struct Ours {
    accepted: bool,
    height: Option<Height>,
}

impl Life {
    /// Live until the power goes.
    pub(super) async fn live(self) -> turmoil::Result {
        let control = self.body.control.clone();
        control.runs(self.lives()).await
    }

    /// A context of a host's life.
    pub(super) fn context(&self) -> Result<Context, std::num::TryFromIntError> {
        let host = u32::try_from(self.body.host)?;
        Ok(Context::new(ContextConfig {
            control: self.body.control.clone(),
            ..ContextConfig::new(self.settings.seed, host, self.incarnation)
        }))
    }

    async fn lives(self) -> turmoil::Result {
        let context = self.context()?;
        let mut panicked = std::pin::pin!(context.panicked());
        let (host, air) = (self.body.host, self.air.clone());
        let lived = AssertUnwindSafe(self.lives_in(&context)).catch_unwind();
        let mut lived = std::pin::pin!(lived);
        let reason = tokio::select! {
            biased;
            reason = &mut panicked => reason,
            ended = &mut lived => match ended {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(reason)) => format!("the member ended by itself: {reason}"),
                Err(panic) => crate::turmoil::panic_message(&*panic),
            },
        };
        // Nothing of it runs on, and the world goes on without it.
        let fact = Fact::Panicked {
            member: host,
            reason,
        };
        air.scribe.note(now(), fact);
        Ok(())
    }

    async fn lives_in(self, context: &Context) -> turmoil::Result {
        let Self {
            settings,
            body,
            air,
            lie,
            ..
        } = self;
        let (host, cast) = (body.host, &air.cast);
        let journal = WatchedJournal::open(body.clone(), air.scribe.clone(), now());
        let recorded = journal.latest().map(SafetyState::epoch_of).transpose()?;
        let store = LyingStore::new(body.disk.store(), lie, settings.told.clone());
        let genesis = cast.book.genesis.clone();
        let chain = Chain::open(store, genesis, cast.first_contacts())?;
        let epoch = chain.epoch().clone();
        let fact = Fact::Restarted {
            member: host,
            mute: is_mute(
                host,
                recorded,
                &epoch.committee,
                &cast.book.hosts_of(&epoch.committee),
            ),
            height: chain.root().height,
        };
        air.scribe.note(now(), fact);
        let config = cast.network(host, &epoch.contacts);
        let network = start(context.child("network"), config).await?;
        let wire = Wire::new(body.clone(), air.clone(), network.outbound.clone());
        let wire = Arc::new(wire);
        let gate: Arc<dyn Gate> = wire.clone();
        let key = cast.keys[host].clone();
        let (handle, mut ends) = NodeHandle::new(epoch, Head::at_rest(&chain), key.public_key());
        ends.tap = Some(Box::new(Watch {
            host,
            air: air.clone(),
        }));
        let driver = settings.driver(key, peer_of(&cast.book.contacts[host]));
        let mut commits = handle.follow();
        let running = run(
            context.child("member"),
            driver,
            (journal, chain),
            network.gated(&gate),
            ends,
            body.count_anew(),
        );
        let mut running = std::pin::pin!(running);
        let mut carried = std::pin::pin!(wire.run());
        let mut desk = Desk {
            handle,
            air: air.clone(),
            wire: wire.clone(),
            host,
            asked: FuturesUnordered::new(),
            ours: BTreeMap::new(),
        };
        loop {
            tokio::select! {
                biased;
                ended = &mut running => {
                    // The power went in a write: the world does the rest.
                    return if body.died().is_some() { Ok(()) } else { Err(format!("{ended:?}").into()) };
                }
                commit = commits.recv() => desk.committed(&*commit?),
                () = &mut carried => {}
                Some(answer) = desk.asked.next(), if !desk.asked.is_empty() => desk.answered(answer),
                order = body.next_order(), if desk.asked.len() < ASKED_MAX => desk.order(order),
            }
        }
    }
}

/// Whether a member may sign nothing, for it cannot know what it signed (protocol section 7): its vote journal is missing,
/// or of a later epoch than its chain. (What an epoch that began long after the loss allows is not true of one that is
/// on the disk already.)
fn is_mute(host: usize, recorded: Option<Epoch>, committee: &Committee, hosts: &[usize]) -> bool {
    hosts.contains(&host) && recorded.is_none_or(|epoch| epoch > committee.epoch())
}

/// Who talks to the member: clients that hand in transactions and wait for receipts, operators with changes.
struct Desk {
    handle: NodeHandle,
    air: Arc<Air>,
    wire: Arc<Wire>,
    host: usize,
    asked: FuturesUnordered<BoxFuture<'static, Answer>>,
    ours: BTreeMap<TransactionId, Ours>,
}

impl Desk {
    fn order(&mut self, order: Order) {
        let handle = self.handle.clone();
        match order {
            Order::Submit(transaction) => self.order(Order::SubmitTogether(vec![transaction])),
            Order::SubmitTogether(list) => {
                let asked: Vec<_> = list.iter().map(|one| (one.id(), one.rollup)).collect();
                for (id, _) in &asked {
                    let ours = Ours {
                        accepted: false,
                        height: None,
                    };
                    self.ours.entry(*id).or_insert(ours);
                }
                self.asked.push(Box::pin(async move {
                    let answers = handle.submit_many(list).await.into_iter().zip(asked);
                    let answer = |(answer, (id, rollup))| match answer {
                        Ok(id) => Answer::Taken(id, rollup),
                        // Handed in here or elsewhere before: the client waits for the block.
                        Err(SubmitError::Duplicate { .. }) => Answer::Ended(None),
                        Err(_) => Answer::Refused(id),
                    };
                    Answer::Several(answers.map(answer).collect())
                }));
            }
            Order::Spread(list) => {
                let message = PayloadMessage::Transactions(Transactions { list });
                self.wire.say(None, Channel::Payload, &encode(&message));
            }
            Order::SeeL1(blocks, entries) => self.asked.push(Box::pin(async move {
                // A member that has stopped sees nothing.
                let _ = handle.saw_l1(blocks, entries).await;
                Answer::Ended(None)
            })),
            Order::Change(hosts) => {
                let committee = &self.handle.epoch().committee;
                let Some(change) = self.air.cast.change(committee, &hosts) else {
                    return;
                };
                self.asked.push(Box::pin(async move {
                    match handle.submit_change(change).await {
                        Ok(Err(ChangeError::Epoch { .. })) => Answer::Again(hosts),
                        // What else there is to say the epochs that follow tell.
                        _ => Answer::Ended(None),
                    }
                }));
            }
        }
    }

    fn answered(&mut self, answer: Answer) {
        let (at, member) = (now(), self.host);
        match answer {
            Answer::Several(answers) => {
                for answer in answers {
                    self.answered(answer);
                }
            }
            Answer::Taken(id, rollup) => {
                let fact = Fact::Accepted { member, id, rollup };
                self.air.scribe.note(at, fact);
                if let Some(ours) = self.ours.get_mut(&id) {
                    ours.accepted = true;
                    self.receipt(id);
                }
            }
            Answer::Refused(id) => drop(self.ours.remove(&id)),
            Answer::Ended(Some(end)) => {
                let end = Arc::from(end);
                self.air.scribe.note(at, Fact::EpochEnded { member, end });
            }
            Answer::Ended(None) => {}
            Answer::Again(hosts) => self.order(Order::Change(hosts)),
        }
    }

    /// A follower hears of a final block.
    fn committed(&mut self, commit: &CommittedBlock) {
        for id in &*commit.transactions {
            if let Some(ours) = self.ours.get_mut(id) {
                ours.height = Some(commit.block.height);
                self.receipt(*id);
            }
        }
        if commit.block.next != CommitteeId::NONE {
            let (handle, epoch) = (self.handle.clone(), commit.block.epoch);
            self.asked.push(Box::pin(async move {
                let ends = handle.epoch_ends(epoch).await.unwrap_or_default();
                let end = ends.into_iter().find(|end| end.last.epoch == epoch);
                Answer::Ended(end.map(Box::new))
            }));
        }
    }

    /// Accepted and final here: its client is told.
    fn receipt(&mut self, id: TransactionId) {
        if let Some(Ours {
            accepted: true,
            height: Some(height),
        }) = self.ours.get(&id)
        {
            let fact = Fact::Receipt {
                member: self.host,
                id,
                height: *height,
            };
            self.air.scribe.note(now(), fact);
            self.ours.remove(&id);
        }
    }
}
