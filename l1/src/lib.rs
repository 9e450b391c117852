//! The settlement chain.
pub mod abi;
pub mod account;
mod agreement;
pub mod endpoint;
pub mod endpoints;
pub mod model;
pub mod deploy;
pub mod event;
pub mod watch;
pub mod watcher;
