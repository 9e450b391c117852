//! Simulated worlds for Outrider.
pub mod turmoil;
