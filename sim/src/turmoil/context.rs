//! The context: names, tasks, clock, randomness, metrics. TCP is in `net.rs`.

use super::{
    Control, lock,
    pool::Pool,
    supervision::{AbortOnDrop, Branch},
};
use commonware_runtime::{
    Clock, Error, Handle, Metrics, Name, Spawner, Supervisor,
    signal::{Signal, Stopper},
    telemetry::metrics::{Metric, Registered, add_attribute, validate_label},
};
use futures::{
    FutureExt as _,
    future::{AbortHandle, Abortable},
};
use governor::clock::{Clock as GovernorClock, ReasonablyRealtime};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _, TryCryptoRng, TryRng};
use sha2::{Digest as _, Sha256};
use std::{
    any::Any,
    convert::Infallible,
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

/// One node in one incarnation (a crash and restart make the next).
#[derive(Clone, Debug)]
pub struct Config {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the node.
    pub node: u32,
    /// How often the node has been started before.
    pub incarnation: u64,
    /// Wall time at simulated time zero; turmoil's `epoch`, the same for all nodes.
    pub epoch: SystemTime,
    /// Added to this node's wall clock, in milliseconds; negative is slow.
    pub skew_ms: i64,
    /// Limit of a TCP connect.
    pub connect_timeout: Duration,
    /// Limit of one read and of one write.
    pub read_write_timeout: Duration,
    /// The world's hand on this node.
    pub control: Control,
}

impl Config {
    /// A node with a true clock and production's timeouts.
    #[must_use]
    pub fn new(seed: u64, node: u32, incarnation: u64) -> Self {
        Self {
            seed,
            node,
            incarnation,
            epoch: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            skew_ms: 0,
            connect_timeout: Duration::from_secs(1),
            read_write_timeout: Duration::from_secs(2),
            control: Control::default(),
        }
    }

    /// Seed of the node's random stream. Hashed, so that no two (seed, node, incarnation) share one.
    fn rng_seed(&self) -> [u8; 32] {
        Sha256::new()
            .chain_update(b"outrider sim context rng v1")
            .chain_update(self.seed.to_le_bytes())
            .chain_update(self.node.to_le_bytes())
            .chain_update(self.incarnation.to_le_bytes())
            .finalize()
            .into()
    }

    /// Wall time now, as this node sees it. A skew beyond what `SystemTime` holds is ignored.
    fn wall(&self) -> SystemTime {
        let now = self.epoch + turmoil::sim_elapsed().unwrap_or_default();
        let skew = Duration::from_millis(self.skew_ms.unsigned_abs());
        let skewed = if self.skew_ms < 0 {
            now.checked_sub(skew)
        } else {
            now.checked_add(skew)
        };
        skewed.unwrap_or(now)
    }
}

/// What all contexts of a node share.
struct Shared {
    config: Config,
    /// Wall time at `boot`.
    wall_at_boot: SystemTime,
    boot: Instant,
    rng: Mutex<ChaCha20Rng>,
    stopper: Mutex<Stopper>,
    panic: Mutex<Option<String>>,
    panicked: Notify,
    pool: Pool,
}

/// A commonware-runtime context inside a turmoil host.
pub struct Context {
    name: String,
    attributes: Vec<(String, String)>,
    shared: Arc<Shared>,
    branch: Arc<Branch>,
}

impl Context {
    /// The root context of a node. Call it inside the turmoil host, once per incarnation.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            name: String::new(),
            attributes: Vec::new(),
            branch: Arc::default(),
            shared: Arc::new(Shared {
                wall_at_boot: config.wall(),
                boot: Instant::now(),
                rng: Mutex::new(ChaCha20Rng::from_seed(config.rng_seed())),
                stopper: Mutex::default(),
                panic: Mutex::default(),
                panicked: Notify::new(),
                pool: Pool::default(),
                config,
            }),
        }
    }

    /// Resolves with the message of the first task of this node that panics. The host selects on
    /// it and fails with it; without that a panic goes unnoticed.
    pub fn panicked(&self) -> impl Future<Output = String> + Send + 'static + use<> {
        let shared = self.shared.clone();
        async move {
            loop {
                let notified = shared.panicked.notified();
                if let Some(message) = lock(&shared.panic).clone() {
                    return message;
                }
                notified.await;
            }
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.shared.config
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("name", &self.name)
            .field("config", self.config())
            .finish_non_exhaustive()
    }
}

impl Supervisor for Context {
    fn name(&self) -> Name {
        Name {
            label: self.name.clone(),
            attributes: self.attributes.clone(),
        }
    }

    fn child(&self, label: &'static str) -> Self {
        validate_label(label);
        let name = if self.name.is_empty() {
            label.to_owned()
        } else {
            format!("{}_{label}", self.name)
        };
        Self {
            name,
            attributes: self.attributes.clone(),
            shared: self.shared.clone(),
            branch: Branch::child(&self.branch),
        }
    }

    fn with_attribute(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        validate_label(key);
        add_attribute(&mut self.attributes, key, value);
        self
    }
}

impl Spawner for Context {
    fn shared(self, _blocking: bool) -> Self {
        self // nothing leaves the simulation's thread
    }

    fn dedicated(self) -> Self {
        self
    }

    fn spawn<F, Fut, T>(mut self, f: F) -> Handle<T>
    where
        F: FnOnce(Self) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let parent = self.branch.clone();
        let Some(child) = Branch::live_child(&parent) else {
            return Handle::ready(Err(Error::Closed));
        };
        self.branch = child;
        let shared = self.shared.clone();
        let future = AssertUnwindSafe(f(self)).catch_unwind();
        let (abort, registration) = AbortHandle::new_pair();
        parent.register(abort);
        let guard = AbortOnDrop(parent);
        let (sender, receiver) = oneshot::channel();
        let tasks = shared.clone();
        let control = &tasks.config.control;
        tasks.pool.spawn(
            control,
            Box::pin(async move {
                let _guard = guard;
                // An aborted task drops its sender: the handle resolves to `Error::Closed`.
                if let Ok(outcome) = Abortable::new(future, registration).await {
                    let outcome = outcome.map_err(|payload| {
                        lock(&shared.panic).get_or_insert_with(|| panic_message(payload.as_ref()));
                        shared.panicked.notify_waiters();
                        Error::Exited
                    });
                    // The handle may be gone; then nobody wants to know.
                    drop(sender.send(outcome));
                }
            }),
        );
        Handle::from_receiver(receiver)
    }

    async fn stop(self, value: i32, timeout: Option<Duration>) -> Result<(), Error> {
        let done = lock(&self.shared.stopper).stop(value);
        match timeout {
            None => done.await.map_err(|_| Error::Closed),
            Some(limit) => match tokio::time::timeout(limit, done).await {
                Ok(result) => result.map_err(|_| Error::Closed),
                Err(_) => Err(Error::Timeout),
            },
        }
    }

    fn stopped(&self) -> Signal {
        lock(&self.shared.stopper).stopped()
    }
}

/// The text of a panic.
#[must_use]
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "panic without a text".to_owned()
    }
}

impl Metrics for Context {
    fn register<N: Into<String>, H: Into<String>, M: Metric>(
        &self,
        _name: N,
        _help: H,
        metric: M,
    ) -> Registered<M> {
        Registered::detached(metric)
    }

    fn encode(&self) -> String {
        String::new()
    }
}

impl Clock for Context {
    fn current(&self) -> SystemTime {
        let now = self.shared.wall_at_boot + self.shared.boot.elapsed();
        let skew = self.config().control.skew_us();
        let off = Duration::from_micros(skew.unsigned_abs());
        if skew < 0 {
            now.checked_sub(off).unwrap_or(now)
        } else {
            now + off
        }
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static + use<> {
        tokio::time::sleep(duration)
    }

    fn sleep_until(
        &self,
        deadline: SystemTime,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        tokio::time::sleep(deadline.duration_since(self.current()).unwrap_or_default())
    }
}

impl GovernorClock for Context {
    type Instant = SystemTime;

    fn now(&self) -> SystemTime {
        self.current()
    }
}

impl ReasonablyRealtime for Context {}

impl TryRng for Context {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(lock(&self.shared.rng).next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(lock(&self.shared.rng).next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        lock(&self.shared.rng).fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Context {}
