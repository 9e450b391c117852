//! The settlement chain.
pub mod abi;
pub mod account;
mod agreement;
pub mod endpoint;
pub mod endpoints;
pub mod model;
pub mod deploy;
pub mod deployment;
pub mod event;
pub mod watch;
pub mod watcher;
pub mod calls;
pub mod revert;
pub mod state;
mod fees;
pub mod sender;
pub use fees::{FeeLimits, Fees};
