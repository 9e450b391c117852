//! What methods answer when they refuse: the error codes, once.

use crate::ethereum::EthereumError;
use crate::handle::SubmitError;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Value, json};

/// Error codes. They are stable, and none of them is one that JSON-RPC or the server library (-32000 to -32011) uses
/// for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// Parameters that cannot be.
    InvalidParams,
    /// A path that is no rollup, or a method that is not served there.
    WrongPath,
    /// The mempool or the rollup's share of it is full.
    Full,
    /// Too many bytes, or none.
    Size,
    /// Known already.
    Duplicate,
    /// The rollup is not ordered here.
    UnknownRollup,
    /// The rollup is closed, or was never opened.
    RollupClosed,
    /// Too few members confirmed.
    NotHeld,
    /// The member is stopping or has failed.
    Stopping,
    /// Forgotten here.
    Pruned,
    /// Not a valid Ethereum transaction for this rollup.
    BadTransaction,
    /// A method that needs the state of the rollup, and nobody to ask.
    NeedsExecution,
    /// The execution node cannot be asked now.
    ExecutionDown,
    /// A tag that has no block yet; the number is that of Ethereum's specification of its JSON-RPC.
    UnknownBlock,
    /// Ordered, and no receipt in time (EIP-7966).
    ReceiptTimeout,
    /// Ordered, and its nonce is not the next one (EIP-7966).
    NonceGap,
    /// Not with this password.
    Unauthorized,
    /// Another member may sequence now.
    NotLeader,
    /// A payload that does not follow the last one.
    NotNext,
    /// What a committee has no use for.
    NoSuchDuty,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::InvalidParams,
        Self::WrongPath,
        Self::Full,
        Self::Size,
        Self::Duplicate,
        Self::UnknownRollup,
        Self::RollupClosed,
        Self::NotHeld,
        Self::Stopping,
        Self::Pruned,
        Self::BadTransaction,
        Self::NeedsExecution,
        Self::ExecutionDown,
        Self::UnknownBlock,
        Self::ReceiptTimeout,
        Self::NonceGap,
        Self::Unauthorized,
        Self::NotLeader,
        Self::NotNext,
        Self::NoSuchDuty,
    ];

    /// Its name in the OpenRPC document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidParams => "InvalidParams",
            Self::WrongPath => "WrongPath",
            Self::Full => "Full",
            Self::Size => "Size",
            Self::Duplicate => "Duplicate",
            Self::UnknownRollup => "UnknownRollup",
            Self::RollupClosed => "RollupClosed",
            Self::NotHeld => "NotHeld",
            Self::Stopping => "Stopping",
            Self::Pruned => "Pruned",
            Self::BadTransaction => "BadTransaction",
            Self::NeedsExecution => "NeedsExecution",
            Self::ExecutionDown => "ExecutionDown",
            Self::UnknownBlock => "UnknownBlock",
            Self::ReceiptTimeout => "ReceiptTimeout",
            Self::NonceGap => "NonceGap",
            Self::Unauthorized => "Unauthorized",
            Self::NotLeader => "NotLeader",
            Self::NotNext => "NotNext",
            Self::NoSuchDuty => "NoSuchDuty",
        }
    }

    /// Number, and whether trying again helps.
    #[must_use]
    pub const fn describe(self) -> (i32, &'static str, &'static str) {
        match self {
            Self::InvalidParams => (-32_602, "parameters are missing or malformed", "no"),
            Self::WrongPath => (-32_050, "the path or the method on it is not served", "no"),
            Self::Full => (
                -32_051,
                "the mempool, or the rollup's share of it, is full",
                "yes, after data.retry_after_ms",
            ),
            Self::Size => (-32_052, "the transaction is empty or too large", "no"),
            Self::Duplicate => (
                -32_053,
                "the transaction is known already; data.status says where it is",
                "no need",
            ),
            Self::UnknownRollup => (-32_054, "the rollup is not ordered here", "no"),
            Self::RollupClosed => (
                -32_063,
                "the short-lived rollup is closed, or was never opened: nothing is ordered for it",
                "no",
            ),
            Self::NotHeld => (
                -32_055,
                "too few members confirmed that they hold it",
                "yes, it is harmless",
            ),
            Self::Stopping => (-32_056, "the member is stopping", "yes, at another member"),
            Self::Pruned => (
                -32_057,
                "what is asked for was forgotten here, or is not there yet; data.first, if given, is the lowest height that is held",
                "yes, at a member that keeps more",
            ),
            // JSON-RPC's method not found.
            Self::NeedsExecution => (
                -32_601,
                "the method needs the rollup's state, and no execution node is configured here (rpc.execution)",
                "yes, at the rollup's execution node",
            ),
            Self::ExecutionDown => (
                -32_058,
                "the rollup's execution node does not answer, or not in time, or too much",
                "yes, later",
            ),
            Self::UnknownBlock => (
                -39_001,
                "what L1 has settled was not read yet",
                "yes, later",
            ),
            // The numbers of EIP-7966.
            Self::ReceiptTimeout => (
                4,
                "the transaction is taken and has no receipt yet; data is its hash",
                "no need: ask for the receipt",
            ),
            Self::NonceGap => (
                6,
                "the transaction is ordered and its nonce is not the next one of its sender; data is the next one",
                "yes, with that nonce",
            ),
            Self::Unauthorized => (
                -32_059,
                "the rollup has no conductor here, or the password is not the one in rpc.conductor",
                "no",
            ),
            Self::NotLeader => (
                -32_060,
                "another member may sequence now; data.leader says which",
                "yes, at that member",
            ),
            Self::NotNext => (
                -32_061,
                "the payload does not follow the last committed one; data.number and data.hash say which that is",
                "yes, with one that does",
            ),
            Self::NoSuchDuty => (-32_062, "a committee has no such duty", "no"),
            // What Ethereum clients use for a transaction that is refused.
            Self::BadTransaction => (
                -32_000,
                "not a valid Ethereum transaction for this rollup",
                "no",
            ),
        }
    }

    pub(crate) fn error(self, message: impl Into<String>, data: Option<Value>) -> ErrorObjectOwned {
        ErrorObjectOwned::owned(self.describe().0, message, data)
    }
}

pub(crate) fn refused(error: &SubmitError) -> ErrorObjectOwned {
    let (code, data) = match error {
        SubmitError::Full { retry_after_ms, .. } | SubmitError::LaneFull { retry_after_ms, .. } => {
            (
                ErrorCode::Full,
                Some(json!({ "retry_after_ms": retry_after_ms })),
            )
        }
        SubmitError::TooLarge { .. } | SubmitError::Empty => (ErrorCode::Size, None),
        SubmitError::Duplicate { status } => {
            (ErrorCode::Duplicate, Some(json!({ "status": status })))
        }
        SubmitError::UnknownRollup { .. } => (ErrorCode::UnknownRollup, None),
        SubmitError::Closed { .. } => (ErrorCode::RollupClosed, None),
        SubmitError::Bundle { .. } => (ErrorCode::InvalidParams, None),
        SubmitError::NotHeld { .. } => (ErrorCode::NotHeld, None),
        SubmitError::Stopping => (ErrorCode::Stopping, None),
    };
    code.error(error.to_string(), data)
}

pub(crate) fn bad_transaction(error: &EthereumError) -> ErrorObjectOwned {
    ErrorCode::BadTransaction.error(error.to_string(), None)
}
