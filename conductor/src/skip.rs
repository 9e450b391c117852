//! Why a transaction of the lane is not in the execution block.

use outrider_ethereum::EthereumError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most characters of what an execution node says that are kept.
pub const SAYING_CHARS_MAX: usize = 200;

/// Why a transaction was skipped. The rule is the same on every node; what it was is kept by nobody, ask the lane again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum SkipReason {
    /// No signed transaction of a kind that is executed.
    #[error("{text}")]
    Undecodable {
        /// What the decoder says.
        text: String,
    },
    /// For another chain, or for any.
    #[error("{text}")]
    WrongChain {
        /// What the decoder says.
        text: String,
    },
    /// The account has code (EIP-3607).
    #[error("the sender is a contract")]
    SenderHasCode,
    /// Used already.
    #[error("nonce {found}, the next one of the sender is {expected}")]
    NonceTooLow {
        /// In the transaction.
        found: u64,
        /// The sender's next.
        expected: u64,
    },
    /// One before it is missing.
    #[error("nonce {found}, the next one of the sender is {expected}")]
    NonceTooHigh {
        /// In the transaction.
        found: u64,
        /// The sender's next.
        expected: u64,
    },
    /// Below the base fee.
    #[error("it pays at most {max_fee} per gas, the base fee is {base_fee}")]
    FeeTooLow {
        /// In the transaction.
        max_fee: u128,
        /// Of the block.
        base_fee: u64,
    },
    /// A tip above all that it pays.
    #[error("its tip is larger than its fee")]
    TipAboveFee,
    /// Less gas than the transaction costs before it does anything.
    #[error("gas limit {limit}, it costs {intrinsic} before it does anything")]
    IntrinsicGas {
        /// In the transaction.
        limit: u64,
        /// Needed.
        intrinsic: u64,
    },
    /// Init code that is too long (EIP-3860).
    #[error("init code of {bytes} bytes")]
    InitCode {
        /// How many.
        bytes: usize,
    },
    /// More gas than a block has, or than this one has left.
    #[error("gas limit {limit}, the block has {left} left")]
    BlockGas {
        /// In the transaction.
        limit: u64,
        /// Left in the block when it was its turn.
        left: u64,
    },
    /// The sender may not be able to pay.
    #[error("it may cost {cost}, the sender surely has {available}")]
    Balance {
        /// At most.
        cost: String,
        /// At least.
        available: String,
    },
    /// Behind the limits of an interval.
    #[error("there were too many transactions in its interval")]
    Crowded,
    /// The virtual machine said no.
    #[error("{text}")]
    Refused {
        /// What it says.
        text: String,
    },
}

impl SkipReason {
    /// One word for it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Undecodable { .. } => "undecodable",
            Self::WrongChain { .. } => "wrong-chain",
            Self::SenderHasCode => "sender-has-code",
            Self::NonceTooLow { .. } => "nonce-too-low",
            Self::NonceTooHigh { .. } => "nonce-too-high",
            Self::FeeTooLow { .. } => "fee-too-low",
            Self::TipAboveFee => "tip-above-fee",
            Self::IntrinsicGas { .. } => "intrinsic-gas",
            Self::InitCode { .. } => "init-code",
            Self::BlockGas { .. } => "block-gas",
            Self::Balance { .. } => "balance",
            Self::Crowded => "crowded",
            Self::Refused { .. } => "refused",
        }
    }

    /// What an execution node says, cut to a bounded length.
    #[must_use]
    pub fn refused(text: &str) -> Self {
        let text = text.chars().take(SAYING_CHARS_MAX).collect();
        Self::Refused { text }
    }
}

impl From<EthereumError> for SkipReason {
    fn from(error: EthereumError) -> Self {
        let text = error.to_string();
        match error {
            EthereumError::NoChainId { .. } | EthereumError::ChainId { .. } => {
                Self::WrongChain { text }
            }
            _ => Self::Undecodable { text },
        }
    }
}

/// A transaction that was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its place in the interval, from 0.
    pub index: usize,
    /// Why.
    #[serde(flatten)]
    pub why: SkipReason,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.index, self.why.code(), self.why)
    }
}
