//! The methods and error codes, once.

use crate::ethereum::EthereumError;
use crate::handle::SubmitError;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A method as it is documented.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// Where it is served.
    pub path: &'static str,
    /// Its parameters.
    pub parameters: &'static str,
    /// What it returns.
    pub result: &'static str,
    /// What it does.
    pub help: &'static str,
}

const fn method(
    name: &'static str,
    path: &'static str,
    parameters: &'static str,
    result: &'static str,
    help: &'static str,
) -> Method {
    Method {
        name,
        path,
        parameters,
        result,
        help,
    }
}

/// Every method there is.
pub const METHODS: &[Method] = &[
    method(
        "outrider_submit",
        "/",
        "rollup, payload (hex)",
        "{id}",
        "Order an opaque transaction of a rollup. Answers when members of stake f+1 hold it.",
    ),
    method(
        "outrider_submitMany",
        "/",
        "rollup, payloads ([hex])",
        "[{id} or {error: {code, message, data}}], in order",
        "Order transactions of a rollup, at most 1,024 in a request of rpc.max_request_bytes. Each is taken or refused as by `outrider_submit`, whatever becomes of the others; answers when all are decided.",
    ),
    method(
        "outrider_submitBytes",
        "/rollup/{id}/submit",
        "",
        "{taken, refused: [{index, error: {code, message, data}}]}",
        "The same without hex: an HTTP POST of application/octet-stream is this call, without parameters. Its body is, for each transaction, the length (4 bytes, big-endian) and the bytes; at most 1,024 in rpc.max_request_bytes. Who sends them knows their ids: SHA-256 of the rollup's id (8 bytes, big-endian) and the bytes.",
    ),
    method(
        "outrider_transactionStatus",
        "/",
        "id",
        "{stage: unknown, pending or soft, height, block, position}",
        "Where a transaction is. An Ethereum hash that this member took since it started is an id too.",
    ),
    method(
        "outrider_transactionProof",
        "/",
        "id",
        "proof or null",
        "Proof that a transaction is final, for `outrider verify`; null while it is not.",
    ),
    method(
        "outrider_evidence",
        "/",
        "from (start)",
        "{evidence: [{version, committee, evidence}], next}",
        "Proven offences of members, for `outrider evidence verify`, a page at a time; pass next as from.",
    ),
    method(
        "outrider_certificates",
        "/",
        "epoch (current), from (start)",
        "{store: {version, committee, headers, certificates}, next}",
        "Certificates kept for the evidence period, for `outrider forensics`, a page at a time; pass next as from.",
    ),
    method(
        "outrider_epochEnds",
        "/",
        "from",
        "[{last, fillers, certificate, change}]",
        "How epochs ended, from this one on, at most 64: the chain of committees that a light client follows.",
    ),
    method(
        "outrider_submitChange",
        "/",
        "{next, contacts, approvals}",
        "committee id",
        "Take a change of the committee that members of a quorum have approved of; it happens at the end of this epoch.",
    ),
    method(
        "outrider_head",
        "/",
        "",
        "{height, block, committed_view, view, transactions, pending, timeouts, seen}",
        "The chain as this member sees it.",
    ),
    method(
        "outrider_block",
        "/",
        "height or id, with_data (false)",
        "{id, header, certificate, transactions} or null",
        "A final block.",
    ),
    method(
        "outrider_committee",
        "/",
        "",
        "committee and its thresholds",
        "Who orders.",
    ),
    method(
        "outrider_snapshot",
        "/",
        "from height, first height; or none",
        "items of a snapshot (hex), each",
        "What `outrider snapshot create` fetches: a checkpoint and its rollups, or a page of blocks from a height down.",
    ),
    method(
        "outrider_stateDigest",
        "/",
        "height",
        "digest (hex) or null",
        "SHA-256 of the ledger at a height that is a multiple of 1,000, for `outrider snapshot verify --against`; the last 64 are remembered.",
    ),
    method(
        "outrider_limits",
        "/",
        "",
        "limits",
        "What a submission may be.",
    ),
    method(
        "outrider_health",
        "/",
        "",
        "{member, height, view, syncing}",
        "Whether this member keeps up.",
    ),
    method(
        "outrider_subscribe",
        "/ (WebSocket)",
        "\"blocks\"",
        "{height, id, timestamp, transactions} each",
        "Follow final blocks. A reader that is too slow gets {lagged}, then an error notification ends the subscription.",
    ),
    method(
        "outrider_unsubscribe",
        "/ (WebSocket)",
        "subscription",
        "true or false",
        "Stop following.",
    ),
    method(
        "rpc.discover",
        "/",
        "",
        "OpenRPC document",
        "This table for machines.",
    ),
    method(
        "eth_chainId",
        "/rollup/{id}",
        "",
        "quantity",
        "The rollup's id, which is its Ethereum chain id.",
    ),
    method(
        "net_version",
        "/rollup/{id}",
        "",
        "decimal text",
        "The same.",
    ),
    method(
        "eth_sendRawTransaction",
        "/rollup/{id}",
        "signed transaction (hex)",
        "Ethereum hash",
        "Order a signed Ethereum transaction after checking its chain id and signature. Answers when members of stake f+1 hold it.",
    ),
    method(
        "eth_getTransactionReceipt",
        "/rollup/{id}",
        "hash",
        "null",
        "Always null: a receipt needs execution. Use `cast publish --async`, and ask the rollup's execution node for the receipt.",
    ),
];

/// What wallets ask besides, and only an execution node can answer: refused with a text that says so.
pub const EXECUTION_METHODS: &[&str] = &[
    "eth_accounts",
    "eth_blobBaseFee",
    "eth_blockNumber",
    "eth_call",
    "eth_coinbase",
    "eth_createAccessList",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getBlockTransactionCountByHash",
    "eth_getBlockTransactionCountByNumber",
    "eth_getCode",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_getLogs",
    "eth_getProof",
    "eth_getStorageAt",
    "eth_getTransactionByBlockHashAndIndex",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_maxPriorityFeePerGas",
    "eth_newBlockFilter",
    "eth_newFilter",
    "eth_newPendingTransactionFilter",
    "eth_sendTransaction",
    "eth_sign",
    "eth_signTransaction",
    "eth_simulateV1",
    "eth_subscribe",
    "eth_syncing",
    "eth_uninstallFilter",
    "eth_unsubscribe",
    "web3_clientVersion",
    "web3_sha3",
];

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
    /// Too few members confirmed.
    NotHeld,
    /// The member is stopping or has failed.
    Stopping,
    /// Forgotten here.
    Pruned,
    /// Not a valid Ethereum transaction for this rollup.
    BadTransaction,
    /// A method that needs the state of the rollup.
    NeedsExecution,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::InvalidParams,
        Self::WrongPath,
        Self::Full,
        Self::Size,
        Self::Duplicate,
        Self::UnknownRollup,
        Self::NotHeld,
        Self::Stopping,
        Self::Pruned,
        Self::BadTransaction,
        Self::NeedsExecution,
    ];

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
                "the method needs the rollup's state, which a sequencer does not have",
                "yes, at the rollup's execution node",
            ),
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
        SubmitError::NotHeld { .. } => (ErrorCode::NotHeld, None),
        SubmitError::Stopping => (ErrorCode::Stopping, None),
    };
    code.error(error.to_string(), data)
}

pub(crate) fn bad_transaction(error: &EthereumError) -> ErrorObjectOwned {
    ErrorCode::BadTransaction.error(error.to_string(), None)
}

/// The tables as Markdown.
#[must_use]
pub fn to_markdown() -> String {
    let mut out = String::from(
        "| method | path | parameters | result | what it does |\n|---|---|---|---|---|\n",
    );
    for Method {
        name,
        path,
        parameters,
        result,
        help,
    } in METHODS
    {
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "| `{name}` | `{path}` | {parameters} | {result} | {help} |"
        );
    }
    out.push_str("\n| code | meaning | try again |\n|---|---|---|\n");
    for code in ErrorCode::ALL {
        let (number, meaning, again) = code.describe();
        let _ = writeln!(out, "| {number} | {meaning} | {again} |");
    }
    out
}

/// The OpenRPC document.
pub(crate) fn discover() -> Value {
    let methods: Vec<Value> = METHODS
        .iter()
        .map(|method| {
            let parameters: Vec<Value> = method
                .parameters
                .split(", ")
                .filter(|parameter| !parameter.is_empty())
                .map(|parameter| json!({ "name": parameter, "schema": true }))
                .collect();
            json!({
                "name": method.name,
                "summary": method.help,
                "description": format!("served at {}", method.path),
                "params": parameters,
                "result": { "name": method.result, "schema": true },
            })
        })
        .collect();
    json!({
        "openrpc": "1.3.2",
        "info": { "title": "Outrider", "version": env!("CARGO_PKG_VERSION") },
        "methods": methods,
    })
}
