//! Clients of the members: a load that tries again, receipts, and followers of every member's final blocks.

use super::observed::{Receipt, Seen};
use outrider_client::{Client, ClientError, Follower, Status};
use outrider_types::{Height, RollupId, TransactionId};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// The longest that a request of the load takes: a member may stand still.
const REQUEST_WITHIN: Duration = Duration::from_secs(3);
/// How many members a transaction is sent to, one after the other, before it counts as refused.
const ATTEMPTS_MAX: usize = 6;
/// Submissions without an answer; one more is not sent and counts as refused.
const IN_FLIGHT_MAX: usize = 512;
/// Transactions whose receipt is waited for at the same time; others get none.
const RECEIPTS_IN_FLIGHT_MAX: usize = 64;
/// A receipt is asked for this part of all transactions.
const RECEIPT_EVERY: u64 = 4;
/// How long a receipt is waited for. It may never come: the member may be killed.
const RECEIPT_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at what is due.
const PACE: Duration = Duration::from_millis(10);
/// Before another attempt.
const PAUSE: Duration = Duration::from_millis(100);
/// Rollups of the load, with ids from 1.
const ROLLUPS: u64 = 3;
/// Bytes of a transaction.
const TRANSACTION_BYTES: usize = 200;
/// Blocks that are read again when a member is back: they must not have changed.
const READ_AGAIN: u64 = 16;

/// What all clients share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clients {
    members: Arc<[Client]>,
    seed: u64,
    seen: mpsc::Sender<Seen>,
    /// Length of the list of members that were made to end.
    ends: Arc<AtomicUsize>,
    receipts: Arc<Semaphore>,
}

impl Clients {
    /// Of the members at these addresses.
    pub fn new(
        urls: impl Iterator<Item = String>,
        seed: u64,
        seen: mpsc::Sender<Seen>,
        ends: Arc<AtomicUsize>,
    ) -> Result<Self, ClientError> {
        let members = urls.map(|url| Client::with_timeout(&url, REQUEST_WITHIN));
        Ok(Self {
            members: members.collect::<Result<_, _>>()?,
            seed,
            seen,
            ends,
            receipts: Arc::new(Semaphore::new(RECEIPTS_IN_FLIGHT_MAX)),
        })
    }

    /// One for each member.
    #[must_use]
    pub fn members(&self) -> &[Client] {
        &self.members
    }

    /// Send transactions at a rate, for ever. Waiting for answers does not slow it down.
    pub async fn load(self, rate: u64) {
        let begin = Instant::now();
        let mut paces = interval(PACE);
        paces.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut open = JoinSet::new();
        let mut next = 0;
        loop {
            paces.tick().await;
            while open.try_join_next().is_some() {}
            let due = begin.elapsed().as_millis() * u128::from(rate) / 1_000;
            while u128::from(next) < due {
                if open.len() < IN_FLIGHT_MAX {
                    open.spawn(self.clone().submit(next));
                } else if self.seen.send(Seen::Refused).await.is_err() {
                    return;
                }
                next += 1;
            }
        }
    }

    /// Send a transaction until a member takes it, to one after the other.
    async fn submit(self, number: u64) {
        let (rollup, payload) = transaction(self.seed, number);
        let count = self.members.len();
        let mut member = usize::try_from(number).unwrap_or(0) % count;
        for attempt in 0..ATTEMPTS_MAX {
            let ends = self.ends.load(Ordering::SeqCst);
            match self.members[member].submit(rollup, &payload).await {
                Ok(id) => {
                    let accepted = Seen::Accepted {
                        id,
                        number,
                        first_try: attempt == 0,
                        ends,
                    };
                    // The run is over when nobody listens.
                    if self.seen.send(accepted).await.is_ok()
                        && number.is_multiple_of(RECEIPT_EVERY)
                        && let Ok(place) = Arc::clone(&self.receipts).try_acquire_owned()
                    {
                        self.receipt(id, member).await;
                        drop(place);
                    }
                    return;
                }
                Err(_) => {
                    sleep(PAUSE).await;
                    member = (member + 1) % count;
                }
            }
        }
        let _ = self.seen.send(Seen::Refused).await;
    }

    async fn receipt(&self, id: TransactionId, member: usize) {
        let answer = self.members[member].wait_soft(id, RECEIPT_WITHIN).await;
        if let Some(receipt) = answer.ok().and_then(|status| receipt_of(member, status)) {
            let _ = self.seen.send(Seen::Receipt(id, receipt)).await;
        }
    }

    /// Send transactions again, as a client that waits in vain would. Gives how many were taken.
    pub async fn again(self, numbers: Vec<u64>) -> u64 {
        let mut taken = 0;
        for number in numbers {
            let (rollup, payload) = transaction(self.seed, number);
            for member in 0..self.members.len() {
                let at = (member + usize::try_from(number).unwrap_or(0)) % self.members.len();
                if self.members[at].submit(rollup, &payload).await.is_ok() {
                    taken += 1;
                    break;
                }
            }
        }
        taken
    }

    /// Report the final blocks of a member, from the first one on, for ever. When the connection breaks, the last ones
    /// are read again, and the member's head is asked for.
    pub async fn follow(self, member: usize) {
        let client = &self.members[member];
        let mut follower = Follower::new(client.url(), Some(Height(1)));
        loop {
            let seen = match follower.next().await {
                Ok(block) => Seen::Block {
                    member,
                    height: block.height,
                    id: block.id,
                    transactions: block.transactions,
                },
                Err(_) => {
                    sleep(PAUSE).await;
                    let Ok(head) = client.head().await else {
                        continue;
                    };
                    let next = follower.next_height().unwrap_or(Height(1));
                    let from = Height(next.0.saturating_sub(READ_AGAIN).max(1));
                    follower = Follower::new(client.url(), Some(from));
                    Seen::Head {
                        member,
                        height: head.height,
                    }
                }
            };
            if self.seen.send(seen).await.is_err() {
                return;
            }
        }
    }
}

/// A status as a receipt, if it is one.
#[must_use]
pub const fn receipt_of(member: usize, status: Status) -> Option<Receipt> {
    match status {
        Status::Soft {
            height,
            block,
            position,
            ..
        } => Some(Receipt {
            member,
            height,
            block,
            position,
        }),
        Status::Unknown | Status::Pending => None,
    }
}

/// The transaction of a number: its rollup and bytes, which no other number has.
fn transaction(seed: u64, number: u64) -> (RollupId, Vec<u8>) {
    let mut payload = Vec::with_capacity(TRANSACTION_BYTES);
    payload.extend_from_slice(&seed.to_be_bytes());
    payload.extend_from_slice(&number.to_be_bytes());
    payload.resize(TRANSACTION_BYTES, number.to_le_bytes()[0]);
    (RollupId(1 + number % ROLLUPS), payload)
}
