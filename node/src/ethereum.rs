//! Signed Ethereum transactions, as the API checks them.

pub use outrider_ethereum::{Decoded, EthereumError, decode};
