//! A sequence of inputs for one replica, read from bytes.
//!
//! Two bytes choose the committee and the member, then every four bytes are one thing that happens: an operation and
//! three arguments. Arguments pick from what exists already (blocks, certificates, open questions), so that almost every
//! input means something, and so that libFuzzer's small changes are small changes here.

mod adversary;
mod member;
mod sign;

use adversary::Adversary;
use member::Member;

/// Bytes of one operation.
const OPERATION_BYTES: usize = 4;
/// Most operations of one run.
const OPERATIONS_MAX: usize = 160;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Operation {
    /// Time passes.
    Wait,
    /// A leader proposes, what it should or something else.
    Propose,
    /// A member votes, or commit-votes.
    Vote,
    /// A member gives up on a view.
    Timeout,
    /// Votes or commit votes become a certificate.
    Certify,
    /// Timeouts become a certificate.
    CertifyTimeouts,
    /// A certificate arrives by itself.
    Deliver,
    /// A block arrives.
    Block,
    /// Nobody had a block.
    FetchFailed,
    /// A payload was checked.
    Payload,
    /// A payload was assembled.
    Assembled,
    /// A range of final blocks came.
    CaughtUp,
    /// The power goes and comes back.
    Restart,
    /// A message with wrong bytes.
    Garbage,
    /// A whole view as it should be.
    Round,
}

const OPERATIONS: [Operation; 15] = [
    Operation::Wait,
    Operation::Propose,
    Operation::Vote,
    Operation::Timeout,
    Operation::Certify,
    Operation::CertifyTimeouts,
    Operation::Deliver,
    Operation::Block,
    Operation::FetchFailed,
    Operation::Payload,
    Operation::Assembled,
    Operation::CaughtUp,
    Operation::Restart,
    Operation::Garbage,
    Operation::Round,
];

/// Drive one replica as the bytes say, with every key but its own in the hands of the adversary, and watch it.
///
/// # Panics
///
/// If a promise is broken.
pub fn step(data: &[u8]) {
    drop(run(data));
}

/// The member as it is in the end.
fn run(data: &[u8]) -> Option<Member> {
    let [first, second, rest @ ..] = data else {
        return None;
    };
    let mut member = Member::new(*first, *second);
    let mut adversary = Adversary::default();
    for operation in rest.chunks_exact(OPERATION_BYTES).take(OPERATIONS_MAX) {
        if let [code, a, b, c] = operation
            && !member.is_over()
        {
            let operation = OPERATIONS[usize::from(*code) % OPERATIONS.len()];
            adversary.act(&mut member, operation, [*a, *b, *c]);
        }
    }
    Some(member)
}

fn operation(operation: Operation, a: u8, b: u8, c: u8) -> [u8; OPERATION_BYTES] {
    [operation as u8, a, b, c]
}

/// Runs that get far: views that go well, views that time out, restarts, in each committee, for several members.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let good = operation(Operation::Round, 0, 0, 0);
    let slow = operation(Operation::Round, 0x0f, 1, 0);
    let wait = operation(Operation::Wait, 40, 0, 0);
    let give_up = operation(Operation::CertifyTimeouts, 0, 0, 0x80);
    let restart = operation(Operation::Restart, 0, 0, 0);
    let plans: [Vec<[u8; OPERATION_BYTES]>; 5] = [
        vec![good; 12],
        [good, slow, slow, wait, give_up].repeat(5),
        [good, restart, wait, restart].repeat(6),
        [give_up, good, wait].repeat(8),
        [
            operation(Operation::Propose, 1, 0, 0x11),
            operation(Operation::Payload, 0, 1, 0),
            operation(Operation::Vote, 1, 1, 0),
            operation(Operation::Vote, 2, 1, 1),
            operation(Operation::Certify, 0, 1, 0),
            operation(Operation::Timeout, 1, 1, 1),
            operation(Operation::Garbage, 9, 1, 0),
            operation(Operation::Assembled, 0, 0, 0),
            operation(Operation::CaughtUp, 0, 0, 0),
            operation(Operation::FetchFailed, 0, 0, 0),
            operation(Operation::Block, 1, 0, 0),
            operation(Operation::Deliver, 0, 0, 0),
        ]
        .repeat(3),
    ];
    let mut seeds = Vec::new();
    for first in 0..12 {
        for plan in &plans {
            for second in [0, 1, 0x40] {
                seeds.push([vec![first, second], plan.concat()].concat());
            }
        }
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A search that begins with runs in which nothing happens finds nothing.
    #[test]
    fn seeds_reach_everything_that_a_replica_does() {
        let mut reached = BTreeSet::new();
        for seed in seeds() {
            if let Some(member) = run(&seed) {
                reached.extend(member.deeds());
            }
        }
        let all = [
            "commit",
            "commit vote",
            "epoch over",
            "fetch",
            "normal proposal",
            "optimistic proposal",
            "timeout",
            "vote",
        ];
        assert_eq!(reached.into_iter().collect::<Vec<_>>(), all);
    }
}
