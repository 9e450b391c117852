//! The list of checkers.

use crate::fact::Class;

/// All checkers: id, what kind of promise they guard, and the promise. Names before the colon can stand for the id in
/// `expect.violates`.
pub const CHECKERS: &[(&str, Class, &str)] = &[
    (
        "S1",
        Class::Safety,
        "agreement: honest members have the same block at every height, across epochs and restarts",
    ),
    (
        "S2",
        Class::Safety,
        "prefix: each ledger has no gap, extends itself, with views ascending, and holds no filler; after a restart the last blocks may be told again, but no others",
    ),
    (
        "S3",
        Class::Safety,
        "one certificate: at most one block of an epoch and view has votes of a quorum",
    ),
    (
        "S4",
        Class::Safety,
        "no way back: views, votes, commit votes, timeouts and proposals of a member only go forward, also over restarts; nothing leaves before it is durable, and a member that lost its state does not sign in that epoch",
    ),
    (
        "S5",
        Class::Safety,
        "honesty: an honest member never signs an offence E1 to E5",
    ),
    (
        "S6",
        Class::Safety,
        "lock: the highest certificate of a member never has a lower rank than before, nor than what it entered a view by",
    ),
    (
        "S7",
        Class::Safety,
        "certificates: what an honest member enters a view by, commits by or sends was really signed, by distinct members of enough stake; timeouts report ranks below their view, and adoption is right",
    ),
    (
        "S8",
        Class::Safety,
        "payloads: a block orders what its header commits to, the same at everyone, and honest members do not vote for what they were never sent",
    ),
    (
        "S9",
        Class::Safety,
        "receipts: a transaction with a soft-final receipt is in the chain at that height, and stays there",
    ),
    (
        "S10",
        Class::Safety,
        "once: a transaction stands in the chain at most once, and only if it was handed in",
    ),
    (
        "S11",
        Class::Accountability,
        "accountability: what honest members keep of a fork names stake of f+1, evidence proves an offence, and no honest member is ever blamed",
    ),
    (
        "S12",
        Class::Safety,
        "conformance: an honest member votes only for blocks whose parent a certificate can justify with the rank that the block names (R4), and proposes ahead only if a block of the last views is final at it (R3)",
    ),
    (
        "S13",
        Class::Safety,
        "lanes: the header of every final block says of lanes, history and registry what all blocks before it come to; it orders nothing for a rollup that is not open, each lane by its policy, and bundles whole (F13 to F15; the turmoil world and processes do not tell what a block holds)",
    ),
    (
        "L1",
        Class::Liveness,
        "commit: after the storm every live member commits within the bound of the scenario, and enough by the end",
    ),
    (
        "L2",
        Class::Liveness,
        "no lasso: after the storm a new block is committed at least every 40 longest timers",
    ),
    (
        "L3",
        Class::Liveness,
        "views: after the storm a live member is never 40 longest timers behind the view of another",
    ),
    (
        "L4",
        Class::Liveness,
        "laggards: after the storm a live member's ledger is never 40 longest timers behind the tip",
    ),
    (
        "L5",
        Class::Liveness,
        "inclusion: a transaction that a live member took is in the chain 40 longest timers later",
    ),
    (
        "R1",
        Class::Safety,
        "memory: a member never holds more blocks, votes and payloads than its limits add up to",
    ),
    ("R2", Class::Panic, "no panic: no member's code panics"),
    (
        "R3",
        Class::Safety,
        "work: for one message no more signatures are checked than twice those in it",
    ),
];

/// The class of a checker.
#[must_use]
pub fn class_of(checker: &str) -> Class {
    CHECKERS
        .iter()
        .find(|(id, ..)| *id == checker)
        .map_or(Class::Safety, |(_, class, _)| *class)
}

/// The id of a checker by id or by name; none if there is none.
#[must_use]
pub fn id_of(word: &str) -> Option<&'static str> {
    CHECKERS
        .iter()
        .find(|(id, _, what)| {
            let name = what.split(':').next();
            id.eq_ignore_ascii_case(word) || name.is_some_and(|name| name == word)
        })
        .map(|(id, ..)| *id)
}
