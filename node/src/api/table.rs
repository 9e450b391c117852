//! The methods, once.

use super::errors::ErrorCode;
use super::errors::ErrorCode::{
    BadTransaction, Duplicate, ExecutionDown, Full, NeedsExecution, NoSuchDuty, NonceGap, NotHeld,
    NotLeader, NotNext, Pruned, ReceiptTimeout, RollupClosed, Size, Stopping, Unauthorized,
    UnknownBlock, UnknownRollup,
};
use std::fmt::Write as _;

/// A method as it is documented.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// Where it is served.
    pub path: &'static str,
    /// Its parameters, in order.
    pub parameters: &'static [Parameter],
    /// What it returns: a schema of the OpenRPC document.
    pub result: &'static str,
    /// How it refuses, besides [`ErrorCode::WrongPath`] and [`ErrorCode::InvalidParams`].
    pub errors: &'static [ErrorCode],
    /// What it does.
    pub help: &'static str,
    /// Whether the rollup's execution node answers it.
    pub proxied: bool,
}

/// A parameter of a method.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its schema, of the OpenRPC document; a value that fits stands there as example.
    pub schema: &'static str,
    /// Whether a call without it is refused.
    pub required: bool,
}

/// The schema of a parameter that names a block as Ethereum does: a number, or a tag that is mapped.
pub const BLOCK_TAG: &str = "BlockTag";
/// The schema of a filter of events; its `fromBlock` and `toBlock` are such parameters.
pub const EVENT_FILTER: &str = "EventFilter";

const ROOT: &str = "/";
const SOCKET: &str = "/ (WebSocket)";
const ROLLUP: &str = "/rollup/{id}";
const SUBMISSION: &str = "/rollup/{id}/submit";
const CONDUCTOR: &str = "/conductor/{id}";

const fn need(name: &'static str, schema: &'static str) -> Parameter {
    Parameter {
        name,
        schema,
        required: true,
    }
}

const fn may(name: &'static str, schema: &'static str) -> Parameter {
    Parameter {
        name,
        schema,
        required: false,
    }
}

const fn method(
    name: &'static str,
    path: &'static str,
    parameters: &'static [Parameter],
    result: &'static str,
    errors: &'static [ErrorCode],
    help: &'static str,
) -> Method {
    Method {
        name,
        path,
        parameters,
        result,
        errors,
        help,
        proxied: false,
    }
}

const fn proxied(
    name: &'static str,
    parameters: &'static [Parameter],
    result: &'static str,
    help: &'static str,
) -> Method {
    Method {
        name,
        path: ROLLUP,
        parameters,
        result,
        errors: &[
            NeedsExecution,
            ExecutionDown,
            UnknownBlock,
            Pruned,
            Stopping,
        ],
        help,
        proxied: true,
    }
}

const TAG: Parameter = may("block", BLOCK_TAG);
const ADDRESS: Parameter = need("address", "Address");
const HASH: Parameter = need("hash", "EthereumHash");
const CALL: Parameter = need("call", "EthereumCall");
const SERVER: Parameter = need("id", "Text");
const SERVER_ADDRESS: Parameter = need("addr", "Text");
const VERSION: Parameter = need("version", "Number");
const INDEX: Parameter = need("index", "Quantity");
const TAKEN: &[ErrorCode] = &[
    Full,
    Size,
    Duplicate,
    UnknownRollup,
    RollupClosed,
    NotHeld,
    Stopping,
];
const ASKED: &[ErrorCode] = &[Stopping];
const CONDUCTED: &[ErrorCode] = &[Unauthorized];
const NO_DUTY: &[ErrorCode] = &[Unauthorized, NoSuchDuty];
const KEPT: &[ErrorCode] = &[Pruned, Stopping];

/// Every method there is.
#[rustfmt::skip]
pub const METHODS: &[Method] = &[
    method("outrider_submit", ROOT, &[need("rollup", "RollupId"), need("payload", "Payload")], "Submitted", TAKEN,
        "Order an opaque transaction of a rollup. Answers when members of stake f+1 hold it."),
    method("outrider_submitMany", ROOT, &[need("rollup", "RollupId"), need("payloads", "Payloads")], "SubmittedMany", ASKED,
        "Order transactions of a rollup, at most 1,024 in a request of rpc.max_request_bytes. Each is taken or refused as by `outrider_submit`, whatever becomes of the others; answers, in order, when all are decided."),
    method("outrider_submitBytes", SUBMISSION, &[], "SubmittedBytes", ASKED,
        "The same without hex: an HTTP POST of application/octet-stream is this call, without parameters. Its body is, for each transaction, the length (4 bytes, big-endian) and the bytes; at most 1,024 in rpc.max_request_bytes. Who sends them knows their ids: SHA-256 of the rollup's id (8 bytes, big-endian) and the bytes."),
    method("outrider_submitBundle", ROOT, &[need("parts", "Parts")], "SubmittedBundle", TAKEN,
        "Order transactions of several rollups in one block, or none of them: 2 to 16 parts. What stands in a lane is a part's payload behind 44 bytes that name the bundle. It is ordered within a minute or forgotten."),
    method("outrider_transactionStatus", ROOT, &[need("id", "Hash")], "TransactionStatus", ASKED,
        "Where a transaction is; `finality` says what the settlement chain adds once it is soft. An Ethereum hash that this member took since it started is an id too."),
    method("outrider_transactionProof", ROOT, &[need("id", "Hash")], "FinalityProof", KEPT,
        "Proof that a transaction is final, for `outrider verify`; null while it is not."),
    method("outrider_evidence", ROOT, &[may("from", "Cursor")], "EvidencePage", ASKED,
        "Proven offences of members, for `outrider evidence verify`, a page at a time; pass next as from."),
    method("outrider_certificates", ROOT, &[may("epoch", "Epoch"), may("from", "Cursor")], "CertificatePage", ASKED,
        "Certificates kept for the evidence period, by default of the current epoch, for `outrider forensics`, a page at a time; pass next as from."),
    method("outrider_epochEnds", ROOT, &[need("from", "Number")], "EpochEnds", ASKED,
        "How epochs ended, from this one on, at most 64: the chain of committees that a light client follows."),
    method("outrider_submitChange", ROOT, &[need("change", "CommitteeChange")], "Hash", ASKED,
        "Take a change of the committee that members of a quorum have approved of; it happens at the end of this epoch. Answers with the id of the next committee."),
    method("outrider_head", ROOT, &[], "Head", &[],
        "The chain as this member sees it."),
    method("outrider_block", ROOT, &[need("at", "BlockAt"), may("with_data", "Flag")], "Block", KEPT,
        "A final block by height or id; null if there is none yet."),
    method("outrider_lane", ROOT, &[need("rollup", "RollupId")], "LaneTip", ASKED,
        "Where a lane ends: how many lane blocks it has, the hash of the last, and how many transactions."),
    method("outrider_laneRange", ROOT, &[need("rollup", "RollupId"), need("from", "Number"), may("limit", "Number")], "LaneRange", KEPT,
        "Lane blocks of a rollup from a lane height on, with their transactions, as many as fit, at most 256; and where the lane ends."),
    method("outrider_laneProof", ROOT, &[need("rollup", "RollupId"), need("height", "Number")], "LaneProof", KEPT,
        "Proof of what the block at a height holds for a rollup: a lane block, or nothing; null if there is no proof here yet."),
    method("outrider_laneRangeProof", ROOT, &[need("rollup", "RollupId"), need("from", "Number"), need("to", "Number")], "LaneProof", ASKED,
        "Proof that nothing is missing between two lane heights; null if there is none here."),
    method("outrider_skipProof", ROOT, &[need("from", "SkipFrom"), may("to", "Height")], "LaneProof", ASKED,
        "Proof that a block, by its height or as a header, is an ancestor of a later one, by default of the last final one; null if there is none here."),
    method("outrider_rollups", ROOT, &[], "Registrations", ASKED,
        "Every registered rollup, by id; see docs/rollups.md."),
    method("outrider_rollup", ROOT, &[need("rollup", "RollupId")], "Rollup", ASKED,
        "What the registry says of a rollup, whether something can be ordered for it now, and where its lane ends."),
    method("outrider_executionVote", ROOT, &[need("vote", "ExecutionVote")], "ExecutionTaken", ASKED,
        "Take what a member says that it executed, signed with its key, and pass it on to the other members; of this epoch or the one before. Conductors call it."),
    method("outrider_executionCertificate", ROOT, &[need("rollup", "RollupId"), need("lane", "Number")], "ExecutionCertificate", ASKED,
        "Executions of a lane block by members of stake Q that came to the same; null if there are none here, or it is one of long ago."),
    method("outrider_executionConflict", ROOT, &[need("rollup", "RollupId"), need("lane", "Number")], "ExecutionConflict", ASKED,
        "Who says what of a lane block, if members do not all say the same; null if they do."),
    method("outrider_settlement", ROOT, &[], "Settlement", &[],
        "How far blocks have come on the settlement chain; null if this member knows of none."),
    method("outrider_committee", ROOT, &[], "CommitteeNow", &[],
        "Who orders."),
    method("outrider_snapshot", ROOT, &[may("from", "Height"), may("first", "Height")], "SnapshotItems", KEPT,
        "What `outrider snapshot create` fetches: a checkpoint and its rollups, or a page of blocks from a height down."),
    method("outrider_stateDigest", ROOT, &[need("height", "Number")], "Digest", ASKED,
        "SHA-256 of the ledger at a height that is a multiple of 1,000, for `outrider snapshot verify --against`; the last 64 are remembered."),
    method("outrider_limits", ROOT, &[], "Limits", &[],
        "What a submission may be."),
    method("outrider_health", ROOT, &[], "Health", &[],
        "Whether this member keeps up."),
    method("outrider_subscribe", SOCKET, &[need("topic", "Topic"), may("lane", "LaneTopic")], "SubscriptionId", &[],
        "Follow final blocks with `\"blocks\"`: {height, id, timestamp, transactions} each; a reader that is too slow gets {lagged}, then an error notification ends the subscription. Follow a lane with `\"lane\", {rollup, from, stage}`: a LaneEvent each, as at GET /rollup/{id}/stream. Follow the settlement chain with `\"settlement\"`: a Settlement at once, and again whenever something but soft has changed; who is slow gets the newest."),
    method("outrider_unsubscribe", SOCKET, &[need("subscription", "SubscriptionId")], "Flag", &[],
        "Stop following."),
    method("rpc.discover", ROOT, &[], "OpenRpc", &[],
        "This table for machines, as docs/openrpc.json and at GET /openrpc.json."),

    method("eth_chainId", ROLLUP, &[], "Quantity", &[],
        "The rollup's id, which is its Ethereum chain id."),
    method("net_version", ROLLUP, &[], "Text", &[],
        "The same, in decimal."),
    method("eth_accounts", ROLLUP, &[], "Addresses", &[],
        "None: keys stay in wallets."),
    method("eth_sendRawTransaction", ROLLUP, &[need("transaction", "Payload")], "EthereumHash", &[BadTransaction, Full, Size, UnknownRollup, RollupClosed, NotHeld, Stopping],
        "Order a signed Ethereum transaction after checking its chain id and signature. Answers when members of stake f+1 hold it."),
    method("eth_sendRawTransactionSync", ROLLUP, &[need("transaction", "Payload"), may("timeout_ms", "Timeout")], "EthereumObject", &[BadTransaction, Full, Size, UnknownRollup, RollupClosed, NotHeld, Stopping, NeedsExecution, ExecutionDown, ReceiptTimeout, NonceGap],
        "The same, and wait for the receipt (EIP-7966), by default for 2,000 ms, at most for half of rpc.request_timeout_ms."),
    proxied("eth_blobBaseFee", &[], "Quantity", "Price of blob gas."),
    proxied("eth_blockNumber", &[], "Quantity", "Number of the last executed block."),
    proxied("eth_call", &[CALL, TAG, may("state_overrides", "EthereumObject"), may("block_overrides", "EthereumObject")], "HexBytes", "Run a call without ordering it."),
    proxied("eth_createAccessList", &[CALL, TAG], "EthereumObject", "What a call touches."),
    proxied("eth_estimateGas", &[CALL, TAG, may("state_overrides", "EthereumObject")], "Quantity", "Gas that a call needs."),
    proxied("eth_feeHistory", &[need("blocks", "Quantity"), need("newest", BLOCK_TAG), may("percentiles", "Percentiles")], "EthereumObject", "Fees of the last blocks."),
    proxied("eth_gasPrice", &[], "Quantity", "Price of gas."),
    proxied("eth_getBalance", &[ADDRESS, TAG], "Quantity", "Balance of an account."),
    proxied("eth_getBlockByHash", &[HASH, need("full", "Flag")], "EthereumObject", "An executed block."),
    proxied("eth_getBlockByNumber", &[need("block", BLOCK_TAG), need("full", "Flag")], "EthereumObject", "An executed block."),
    proxied("eth_getBlockReceipts", &[need("block", BLOCK_TAG)], "EthereumList", "All receipts of an executed block."),
    proxied("eth_getBlockTransactionCountByHash", &[HASH], "Quantity", "How many transactions an executed block has."),
    proxied("eth_getBlockTransactionCountByNumber", &[need("block", BLOCK_TAG)], "Quantity", "How many transactions an executed block has."),
    proxied("eth_getCode", &[ADDRESS, TAG], "HexBytes", "Code of an account."),
    proxied("eth_getLogs", &[need("filter", EVENT_FILTER)], "EthereumList", "Events."),
    proxied("eth_getProof", &[ADDRESS, need("keys", "EthereumHashes"), TAG], "EthereumObject", "Merkle proof of an account."),
    proxied("eth_getStorageAt", &[ADDRESS, need("slot", "Quantity"), TAG], "HexBytes", "A word of storage."),
    proxied("eth_getTransactionByBlockHashAndIndex", &[HASH, INDEX], "EthereumObject", "An executed transaction."),
    proxied("eth_getTransactionByBlockNumberAndIndex", &[need("block", BLOCK_TAG), INDEX], "EthereumObject", "An executed transaction."),
    proxied("eth_getTransactionByHash", &[HASH], "EthereumObject", "An executed transaction."),
    proxied("eth_getTransactionCount", &[ADDRESS, TAG], "Quantity", "The next nonce of an account."),
    proxied("eth_getTransactionReceipt", &[HASH], "EthereumObject", "The receipt of an executed transaction; null until then."),
    proxied("eth_maxPriorityFeePerGas", &[], "Quantity", "A tip that should do."),
    proxied("eth_simulateV1", &[need("calls", "EthereumObject"), TAG], "EthereumList", "Run calls in blocks that are not ordered."),
    proxied("eth_syncing", &[], "Syncing", "Whether the execution node catches up."),
    proxied("web3_clientVersion", &[], "Text", "Name of the execution node."),
    proxied("web3_sha3", &[need("data", "HexBytes")], "EthereumHash", "Keccak-256."),


    method("conductor_active", CONDUCTOR, &[], "Flag", CONDUCTED,
        "Whether the conductor is neither paused nor stopped."),
    method("conductor_leader", CONDUCTOR, &[], "Flag", CONDUCTED,
        "Whether this member may sequence now, or was told to say so by `conductor_overrideLeader`."),
    method("conductor_leaderOverridden", CONDUCTOR, &[], "Flag", CONDUCTED,
        "Whether `conductor_overrideLeader` holds here."),
    method("conductor_leaderWithID", CONDUCTOR, &[], "ConductorServer", CONDUCTED,
        "Who may sequence now."),
    method("conductor_sequencerHealthy", CONDUCTOR, &[], "Flag", CONDUCTED,
        "Whether this member keeps up."),
    method("conductor_paused", CONDUCTOR, &[], "Flag", CONDUCTED,
        "Whether the conductor is paused."),
    method("conductor_stopped", CONDUCTOR, &[], "Flag", CONDUCTED,
        "Whether the conductor is stopped."),
    method("conductor_pause", CONDUCTOR, &[], "Nothing", CONDUCTED,
        "Say so: `conductor_active` is false until `conductor_resume`. Nothing else changes: there is no loop here that would start and stop a sequencer."),
    method("conductor_resume", CONDUCTOR, &[], "Nothing", &[Unauthorized, Stopping],
        "Go on after `conductor_pause`."),
    method("conductor_stop", CONDUCTOR, &[], "Nothing", CONDUCTED,
        "Take no payloads here until the member is started again."),
    method("conductor_overrideLeader", CONDUCTOR, &[may("override", "Flag")], "Nothing", CONDUCTED,
        "Let `conductor_leader` and `conductor_leaderWithID` say that it is this member; who may sequence stays as it is. By default true."),
    method("conductor_commitUnsafePayload", CONDUCTOR, &[need("payload", "PayloadEnvelope")], "Nothing", &[Unauthorized, NotLeader, NotNext, Full, Size, UnknownRollup, RollupClosed, NotHeld, Stopping],
        "Order a payload of the sequencer; answers when it is soft-final. Refused if it is another member's turn, or if it does not follow the last one."),
    method("conductor_clusterMembership", CONDUCTOR, &[], "ConductorMembership", CONDUCTED,
        "The committee."),
    method("conductor_addServerAsVoter", CONDUCTOR, &[SERVER, SERVER_ADDRESS, VERSION], "Nothing", NO_DUTY,
        "Refused: members change by `outrider committee propose`, at the end of an epoch."),
    method("conductor_addServerAsNonvoter", CONDUCTOR, &[SERVER, SERVER_ADDRESS, VERSION], "Nothing", NO_DUTY,
        "Refused: whoever runs a member with node.follow follows."),
    method("conductor_removeServer", CONDUCTOR, &[SERVER, VERSION], "Nothing", NO_DUTY,
        "Refused: members change by `outrider committee propose`, at the end of an epoch."),
    method("conductor_transferLeader", CONDUCTOR, &[], "Nothing", NO_DUTY,
        "Refused: who may sequence follows from the chain."),
    method("conductor_transferLeaderToServer", CONDUCTOR, &[SERVER, SERVER_ADDRESS], "Nothing", NO_DUTY,
        "Refused: who may sequence follows from the chain."),
];

/// The tables as Markdown.
#[must_use]
pub fn to_markdown() -> String {
    let mut out = String::from(
        "| method | path | parameters | result | what it does |\n|---|---|---|---|---|\n",
    );
    for method in METHODS {
        let parameters: Vec<_> = method
            .parameters
            .iter()
            .map(|parameter| {
                let Parameter {
                    name,
                    schema,
                    required,
                } = parameter;
                let optional = if *required { "" } else { "?" };
                format!("{name}{optional}: {schema}")
            })
            .collect();
        let Method {
            name,
            path,
            result,
            help,
            ..
        } = method;
        let parameters = parameters.join(", ");
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
