//! A host as the world holds it, through all its lives: its disk, its clock, what is wrong with it, what clients and
//! operators want of it.

use super::lock;
use super::scribe::Scribe;
use crate::adversary::Deed;
use crate::fact::{Fact, Message, Micros};
use crate::rng::Stream;
use crate::turmoil::Control;
use outrider_finality::{InboxEntry, L1Block};
use outrider_node::metrics::Metrics;
use outrider_storage::{Journal, JournalError, MemoryDisk, MemoryJournal};
use outrider_types::{SafetyState, Transaction, decode};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// Orders that wait for a host; past that a client's transaction is not handed in.
const ORDERS_MAX: usize = 1_024;
/// What a Byzantine host overhears and has not listened to yet; the oldest is forgotten.
const OVERHEARD_MAX: usize = 65_536;

/// What is wanted of a host.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// A client hands in a transaction.
    Submit(Transaction),
    /// A client hands in several at once, such as the parts of a bundle.
    SubmitTogether(Vec<Transaction>),
    /// It spreads these to all others, whatever its member knows of them.
    Spread(Vec<Transaction>),
    /// More of the settlement chain is final there.
    SeeL1(Vec<L1Block>, Vec<InboxEntry>),
    /// An operator hands in a change of the committee to these hosts.
    Change(Vec<usize>),
}

/// Something that a Byzantine host overhears: from whom, to whom, what.
pub(super) type Overheard = (usize, Option<usize>, Arc<Message>);

/// What is wrong with a host.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What a durable write may end in: a crash with this probability, for about so long.
    pub(super) on_write: Vec<(f64, Micros)>,
    /// How much longer a durable write takes.
    pub(super) disk_delay: Micros,
    /// It is writing until then: nothing leaves before.
    busy: Micros,
    /// The power went in a write; it is back after so long.
    died: Option<Micros>,
    stream: Stream,
}

/// A host.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) host: usize,
    pub(super) disk: MemoryDisk,
    pub(super) control: Control,
    pub(super) trouble: Mutex<Trouble>,
    /// Its deed, if it is Byzantine.
    pub(super) deed: Option<Mutex<Box<dyn Deed>>>,
    /// What its member counts, in this life.
    pub(super) metrics: Mutex<Arc<Metrics>>,
    orders: Mutex<VecDeque<Order>>,
    overheard: Mutex<VecDeque<Overheard>>,
    called: Notify,
}

impl Body {
    pub(super) fn new(
        host: usize,
        disk: MemoryDisk,
        deed: Option<Box<dyn Deed>>,
        seed: u64,
    ) -> Self {
        Self {
            host,
            disk,
            control: Control::default(),
            trouble: Mutex::new(Trouble {
                on_write: Vec::new(),
                disk_delay: 0,
                busy: 0,
                died: None,
                stream: Stream::new(seed, &format!("disk {host}")),
            }),
            deed: deed.map(Mutex::new),
            metrics: Mutex::default(),
            orders: Mutex::default(),
            overheard: Mutex::default(),
            called: Notify::new(),
        }
    }

    /// Whether it keeps to the rules.
    pub(super) const fn is_honest(&self) -> bool {
        self.deed.is_none()
    }

    /// Its member begins: what it counts from now on.
    pub(super) fn count_anew(&self) -> Arc<Metrics> {
        let metrics = Arc::new(Metrics::new());
        *lock(&self.metrics) = metrics.clone();
        metrics
    }

    /// Want something of it.
    pub(super) fn order(&self, order: Order) {
        let mut orders = lock(&self.orders);
        if orders.len() < ORDERS_MAX {
            orders.push_back(order);
        }
        drop(orders);
        self.called.notify_one();
    }

    /// The next thing that is wanted. Cancel safe.
    pub(super) async fn next_order(&self) -> Order {
        loop {
            if let Some(order) = lock(&self.orders).pop_front() {
                return order;
            }
            self.called.notified().await;
        }
    }

    /// Let it overhear something.
    pub(super) fn hear(&self, overheard: Overheard) {
        let mut list = lock(&self.overheard);
        if list.len() >= OVERHEARD_MAX {
            list.pop_front();
        }
        list.push_back(overheard);
        drop(list);
        self.called.notify_one();
    }

    /// For a Byzantine host: wait until there is an order or something was overheard. Cancel safe.
    pub(super) async fn called(&self) {
        self.called.notified().await;
    }

    /// The next order, if there is one.
    pub(super) fn try_order(&self) -> Option<Order> {
        lock(&self.orders).pop_front()
    }

    /// The next thing overheard, if there is one.
    pub(super) fn try_overheard(&self) -> Option<Overheard> {
        lock(&self.overheard).pop_front()
    }

    /// The power is gone: what was wanted of it and what it overheard is lost.
    pub(super) fn forget(&self) {
        lock(&self.orders).retain(|order| matches!(order, Order::Change(_)));
        lock(&self.overheard).clear();
        let mut trouble = lock(&self.trouble);
        trouble.busy = 0;
        trouble.died = None;
    }

    /// Whether the power went in a write, and how long it is down.
    pub(super) fn died(&self) -> Option<Micros> {
        lock(&self.trouble).died
    }

    /// Until when it is writing.
    pub(super) fn busy(&self) -> Micros {
        lock(&self.trouble).busy
    }
}

/// The vote journal of a member, watched: what is durable is known, and a write may be slow or the last thing that happens.
#[derive(Debug)]
pub(super) struct WatchedJournal {
    inner: MemoryJournal,
    begun: Option<Vec<u8>>,
    body: Arc<Body>,
    scribe: Scribe,
}

impl WatchedJournal {
    /// Open the journal of a host.
    pub(super) fn open(body: Arc<Body>, scribe: Scribe, now: Micros) -> Self {
        let inner = body.disk.journal();
        let journal = Self {
            inner,
            begun: None,
            body,
            scribe,
        };
        if let Some(record) = journal.inner.latest() {
            journal.durable(now, record);
        }
        journal
    }

    fn durable(&self, now: Micros, record: &[u8]) {
        // What is not a safety state is the member's to find out.
        if let Ok(safety) = decode::<SafetyState>(record.to_vec()) {
            let fact = Fact::Durable {
                member: self.body.host,
                safety: Arc::new(safety),
            };
            self.scribe.note(now, fact);
        }
    }

    /// The power goes in this write: before it (`Some(true)`) or after it (`Some(false)`).
    fn fate(&self) -> Option<bool> {
        let mut trouble = lock(&self.body.trouble);
        let Trouble {
            on_write, stream, ..
        } = &mut *trouble;
        let (_, restart) = on_write
            .iter()
            .find(|(probability, _)| stream.chance(*probability))?;
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "microseconds of a run"
        )]
        let down_for = stream.exponential(*restart as f64) as Micros;
        let before = stream.chance(0.5);
        trouble.died = Some(down_for.max(1_000));
        Some(before)
    }
}

impl Journal for WatchedJournal {
    fn begin(&mut self, record: &[u8]) -> Result<(), JournalError> {
        self.inner.begin(record)?;
        self.begun = Some(record.to_vec());
        Ok(())
    }

    fn settle(&mut self) -> Result<(), JournalError> {
        let Some(record) = self.begun.take() else {
            return self.inner.settle();
        };
        let dies_before = self.fate();
        if dies_before == Some(true) {
            return Err(JournalError::Crashed);
        }
        self.inner.settle()?;
        let now = super::scribe::now();
        self.durable(now, &record);
        let mut trouble = lock(&self.body.trouble);
        if trouble.disk_delay > 0 {
            // The member does not wait, so what it writes meanwhile does not queue up behind this.
            trouble.busy = trouble.busy.max(now + trouble.disk_delay);
        }
        match dies_before {
            None => Ok(()),
            Some(_) => Err(JournalError::Crashed),
        }
    }

    fn latest(&self) -> Option<&[u8]> {
        self.inner.latest()
    }
}
