//! The imperative shell: driver, pipeline, API, config, metrics.
//! placeholder
pub mod chain;
pub mod driver;
pub mod handle;
pub mod metrics;
pub mod pipeline;
