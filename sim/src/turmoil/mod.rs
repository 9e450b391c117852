//! A commonware-runtime context over turmoil: production's network code, unmodified, on simulated
//! TCP and simulated time.
//!
//! ```text
//!   outrider_network::start -> commonware_p2p lookup      the bytes that ship
//!              |
//!           Context        one per node and incarnation (context.rs)
//!      clock | tasks | randomness | TCP
//!      skew  | tree  | ChaCha20   | turmoil::net
//! ```
//!
//! What makes a run repeatable, given turmoil's own `rng_seed` and `epoch`: tasks stay on turmoil's
//! one thread ([`Spawner::shared`](commonware_runtime::Spawner::shared) and `dedicated` change
//! nothing), time is turmoil's, and every node draws from its own ChaCha20 stream, seeded by run
//! seed, node and incarnation.
//!
//! The world holds a node by its [`Control`]: it can let the node stand still and put its clock off.
//!
//! A panic in a task does not tear the simulation down by itself. The host must select on
//! [`Context::panicked`] and return its message as the host's error.
//!
//! Absent: storage, thread pools, metrics output, `Handle::abort` of the task itself (it only stops
//! the waiting; end the parent task, or the host, to end its children). turmoil never retransmits,
//! so a partition ends connections: their timeouts find out.

mod context;
mod control;
mod net;
mod pool;
mod supervision;

pub use context::{Config, Context, panic_message};
pub use control::Control;
pub use net::{Listener, Sink, Stream};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks even after a panic: every critical section here leaves its value whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
