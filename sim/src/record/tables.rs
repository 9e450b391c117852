//! The names that `events.jsonl` and the diagram use, and what they mean. `tests/report.rs` holds every line against them.

/// Names of the fields of something, and what they mean.
pub type Fields = &'static [(&'static str, &'static str)];

/// Kinds of messages, with the fields of each in `message` of a `sent` line. Members are host numbers.
pub const MESSAGES: [(&str, Fields); 18] = [
    (
        "proposal",
        &[
            ("epoch", ""),
            ("view", ""),
            ("height", "of the block"),
            ("block", "its id"),
            ("parent", "id of the block it extends"),
            ("optimistic", "R3; else normal, R2"),
            ("justify", "rank of the parent's certificate"),
            ("proposer", "who made it"),
            ("payload", "commitment to its transactions"),
            ("next", "the next committee, in the last block of an epoch"),
            ("justification", "what it carries: a certificate or null"),
        ],
    ),
    (
        "vote",
        &[
            ("epoch", ""),
            ("view", ""),
            ("block", "voted for"),
            ("signer", "who"),
        ],
    ),
    (
        "commit-vote",
        &[
            ("epoch", ""),
            ("view", ""),
            ("block", "voted for"),
            ("signer", "who"),
        ],
    ),
    (
        "timeout",
        &[
            ("epoch", ""),
            ("view", "given up"),
            ("signer", "who"),
            ("voted", "block voted for in this view, or null"),
            ("high_view", "rank of the best certificate held"),
            ("high", "that certificate"),
        ],
    ),
    (
        "certificate",
        &[
            ("epoch", ""),
            ("view", "ended by it"),
            ("certificate", "what it is"),
        ],
    ),
    (
        "epoch-end",
        &[
            ("epoch", ""),
            ("height", "last of the epoch"),
            ("block", "last of the epoch"),
            ("fillers", "how many above it"),
            ("certificate", "proof that they are final"),
            ("next", "committee of the change, or null for the same one"),
        ],
    ),
    (
        "payload",
        &[
            ("payload", "its commitment"),
            ("rollups", "rollup and number of transactions of each batch"),
            ("transactions", "in all"),
        ],
    ),
    (
        "transactions",
        &[("transactions", "how many"), ("ids", "the first 8")],
    ),
    (
        "received",
        &[("batch", ""), ("refused", "how many of its transactions")],
    ),
    ("references", &[("payload", ""), ("batches", "how many")]),
    ("batch-request", &[("batches", "how many")]),
    ("block-request", &[("block", "wanted")]),
    (
        "block",
        &[
            ("epoch", ""),
            ("view", ""),
            ("height", ""),
            ("block", ""),
            ("parent", ""),
            ("transactions", "in its payload"),
            ("justification", "of its parent"),
        ],
    ),
    ("range-request", &[("from", "first height wanted")]),
    (
        "range",
        &[
            ("from", "first height"),
            ("blocks", "how many"),
            ("fillers", "how many"),
            ("transactions", "in all"),
            ("certificate", "proof that they are final"),
            ("next", "committee of the change, or null"),
        ],
    ),
    ("change-request", &[("committee", "wanted")]),
    (
        "change",
        &[
            ("epoch", "that it begins"),
            ("committee", "of it"),
            ("members", "how many"),
            ("approvals", "signers"),
        ],
    ),
    (
        "evidence",
        &[
            ("epoch", ""),
            ("offence", "E1 to E5"),
            ("accused", "who"),
            ("first", "one statement: view and block"),
            ("second", "the other"),
        ],
    ),
];

/// Facts, with the fields of each. Every line of `events.jsonl` begins with `at` (microseconds of simulated time) and
/// `fact` (its name). A field that does not apply is null, never absent. Members are host numbers. A certificate is
/// `{kind, view, block, signers, stake, high}`: `kind` is quorum, commit, adopting or timeout; `high` is the certificate
/// embedded in a timeout certificate that adopts nothing.
pub const FACTS: [(&str, Fields); 20] = [
    (
        "epoch",
        &[
            ("epoch", "its number"),
            ("committee", "its id"),
            ("hosts", "host of each member"),
            ("stakes", "of each member"),
            ("byzantine", "f, in stake"),
            ("crashed", "c, in stake"),
            ("quorum", "Q"),
            ("fast", "F"),
        ],
    ),
    (
        "sent",
        &[
            ("number", "of the message in the run"),
            ("from", "who"),
            ("to", "to whom; null is all others"),
            ("kind", "of the message"),
            ("bytes", "of its body"),
            ("message", "its fields, by kind"),
        ],
    ),
    (
        "delivered",
        &[
            ("number", "of the message"),
            ("from", "who"),
            ("to", "whom"),
        ],
    ),
    (
        "lost",
        &[
            ("number", "of the message"),
            ("from", "who"),
            ("to", "whom it does not reach"),
            ("loss", "chance, cut or down"),
        ],
    ),
    (
        "entered",
        &[
            ("member", "who"),
            ("epoch", ""),
            ("view", "which"),
            ("leader", "of the view"),
            ("by_timeout", "whether the view before timed out"),
            ("entry", "certificate that led there"),
        ],
    ),
    (
        "durable",
        &[
            ("member", "who"),
            ("epoch", ""),
            ("view", ""),
            ("voted", "view and block of its last vote"),
            ("timed_out", "view, rank and block of its last timeout"),
            ("commit_voted", "view and block of its last commit vote"),
            ("proposed", "view and block"),
            ("proposed_optimistic", "view and block"),
            ("high", "rank and block of its highest certificate"),
        ],
    ),
    (
        "stepped",
        &[
            ("member", "who"),
            ("epoch", ""),
            ("view", ""),
            ("high", "rank of its highest certificate"),
            ("held", "blocks, votes and payloads that it holds"),
        ],
    ),
    (
        "kept",
        &[("member", "who"), ("certificate", "kept as evidence")],
    ),
    (
        "committed",
        &[
            ("member", "who"),
            ("epoch", ""),
            ("view", "of the block"),
            ("height", ""),
            ("block", "its id"),
            ("parent", "id of its parent"),
            ("proposer", "who made it"),
            ("ids", "transactions in order"),
            ("path", "fast, slow, or range"),
            ("certificate", "proof of it or of a block above it, or null"),
        ],
    ),
    (
        "epoch-ended",
        &[
            ("member", "who"),
            ("epoch", "which"),
            ("height", "its last"),
            ("block", "its last"),
            ("certificate", "the proof"),
        ],
    ),
    (
        "accepted",
        &[
            ("member", "who took it"),
            ("id", "of the transaction"),
            ("rollup", "whose"),
        ],
    ),
    (
        "receipt",
        &[
            ("member", "who gave it"),
            ("id", "of the transaction"),
            ("height", "of its block"),
        ],
    ),
    (
        "blamed",
        &[("member", "by whom"), ("leader", "who"), ("reason", "why")],
    ),
    (
        "checked",
        &[
            ("member", "who"),
            ("number", "of the message"),
            ("signatures", "how many"),
        ],
    ),
    (
        "crashed",
        &[("member", "who"), ("wiped", "whether it lost its disk")],
    ),
    (
        "restarted",
        &[
            ("member", "who"),
            ("mute", "whether it may sign nothing"),
            ("height", "of its ledger"),
        ],
    ),
    ("fault", &[("what", "in words"), ("begins", "or is over")]),
    (
        "healed",
        &[("live", "hosts that must make progress from now on")],
    ),
    (
        "panicked",
        &[("member", "who"), ("reason", "with what message")],
    ),
    (
        "violation",
        &[
            ("checker", "which"),
            (
                "class",
                "safety, liveness, accountability, panic or determinism",
            ),
            ("what", "in words"),
        ],
    ),
];
