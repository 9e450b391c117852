//! `outrider-bench load`: a load that costs little itself, for rates at which `outrider load` would be what is measured.
//!
//! ```text
//! schedule (fixed) --due--> connections of a member (HTTP, one request at a time) --batch of calls--> member
//!                                  |                                                        |
//!                               Tracker <--answers--------------------------------------- +
//!                                  ^------ final blocks, followed at the first member alone
//! ```
//!
//! A connection that is free takes all that is due at its member, up to a batch: at low rates a request holds one
//! transaction, at high ones many. Latency counts from the due time to the block's announcement by the first member, not by
//! the one that took the transaction. It takes the same options and prints the same report as `outrider load --json`.
//!
//! Limits: [`TRANSACTIONS_MAX`] transactions, [`REQUEST_BYTES_MAX`] bytes of one request, one request at a time for each
//! connection.
//!
//! Deliberately absent: moving to another member when one dies. `outrider load` does that.

mod http;
mod schedule;
mod tracker;

use crate::numbers::{duration, float};
use clap::Args;
use http::{Connection, TryError};
use outrider_client::{CODE_DUPLICATE, CODE_FULL, Follower};
use schedule::{SIZE_MIN, Schedule};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tracker::Tracker;

/// Most transactions of one run, as of `outrider load`.
const TRANSACTIONS_MAX: u64 = 20_000_000;
/// `rpc.max_request_bytes` of a member, if it is not set.
const REQUEST_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of a call beside its payload, at most.
const CALL_BYTES: usize = 160;
/// How long accepted transactions may take after the end of the load until they count as lost.
const DRAIN: Duration = Duration::from_secs(15);
/// Between two looks at what is open.
const LOOK: Duration = Duration::from_millis(20);
/// How often a request is made that has no answer.
const TRIES_MAX: u32 = 50;
/// Before it is made again.
const PAUSE: Duration = Duration::from_millis(100);

/// A cheap load: batches of calls over HTTP. Prints the report of `outrider load --json`.
#[derive(Clone, Debug, Args)]
pub struct Load {
    /// Transactions per second.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Bytes of each.
    #[arg(long, value_parser = clap::value_parser!(u64).range(SIZE_MIN as u64..=131_072))]
    size: u64,
    /// For how long.
    #[arg(long, value_parser = duration)]
    duration: Duration,
    /// Over how many rollups, with ids from 1.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    rollups: u64,
    /// The members' RPC addresses, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    rpc: Vec<String>,
    /// Connections to each member.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=128))]
    clients: u16,
    /// Most calls of one request; members take 128 by default.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// The report is always JSON.
    #[arg(long, hide = true)]
    json: bool,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    schedule: Schedule,
    tracker: Tracker,
    batch: u64,
    start: Instant,
}

/// An answer to one call.
#[derive(Debug, Deserialize)]
struct Answer {
    id: u64,
    #[serde(default)]
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    code: i32,
    message: String,
}

impl Load {
    /// Do it. The error says what is wrong in words.
    pub async fn run(&self) -> Result<(), String> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if usize::from(self.batch) * (2 * size + CALL_BYTES) > REQUEST_BYTES_MAX {
            return Err(format!(
                "a request of {} transactions of {size} bytes has more than {REQUEST_BYTES_MAX} bytes; choose a smaller --batch",
                self.batch
            ));
        }
        let members = self.rpc.len();
        let schedule = Schedule::new(self.rate, size, self.duration, self.rollups, members);
        if schedule.transactions > TRANSACTIONS_MAX {
            return Err(format!(
                "{} transactions are more than {TRANSACTIONS_MAX}; choose a shorter --duration",
                schedule.transactions
            ));
        }
        let mut follower = Follower::new(&self.rpc[0], None);
        let connected = follower.connect().await;
        connected.map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared {
            schedule,
            tracker: Tracker::default(),
            batch: u64::from(self.batch),
            start: Instant::now(),
        });
        let following = tokio::spawn(follow(follower, Arc::clone(&shared)));
        let mut connections = JoinSet::new();
        for (member, url) in self.rpc.iter().enumerate() {
            for _ in 0..self.clients {
                let connection = Connection::new(url)?;
                connections.spawn(carry(connection, member, Arc::clone(&shared)));
            }
        }
        // They end when all is handed out and answered.
        while connections.join_next().await.is_some() {}
        let elapsed = shared.tracker.last_sent().max(self.duration);
        let deadline = Instant::now() + DRAIN;
        while shared.tracker.open() > 0 && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        following.abort();
        self.report(&shared.tracker, elapsed)
    }

    fn report(&self, tracker: &Tracker, elapsed: Duration) -> Result<(), String> {
        let outcome = tracker.finish();
        let seconds = outcome.last_soft.as_secs_f64();
        let rate = if seconds > 0.0 {
            float(outcome.soft) / seconds
        } else {
            0.0
        };
        let at = |percent| crate::numbers::percentile(&outcome.latencies, percent);
        let report = json!({
            "rate": self.rate, "size": self.size, "seconds": elapsed.as_secs_f64(),
            "sent": outcome.sent, "accepted": outcome.soft + outcome.lost, "rejected": outcome.rejected,
            "resubmitted": outcome.resubmitted, "soft_final": outcome.soft, "lost": outcome.lost,
            "throughput_per_s": rate,
            "latency_us": { "p50": at(50), "p90": at(90), "p99": at(99), "max": outcome.latencies.last() },
        });
        println!("{report:#}");
        match outcome.lost {
            0 => Ok(()),
            lost => Err(format!(
                "{lost} accepted transactions are not ordered after {DRAIN:?}"
            )),
        }
    }
}

/// One connection: take what is due at its member, submit it, wait for the answer.
async fn carry(mut connection: Connection, member: usize, shared: Arc<Shared>) {
    let Shared {
        schedule,
        tracker,
        batch,
        start,
    } = &*shared;
    loop {
        let taken = match schedule.take(member, start.elapsed(), *batch) {
            schedule::Next::Due(taken) => taken,
            schedule::Next::At(due) => {
                sleep_until(*start + due).await;
                continue;
            }
            schedule::Next::Over => return,
        };
        let mut body = Vec::new();
        let ids = schedule.request(member, taken.clone(), &mut body);
        let dues = taken.clone().map(|at| schedule.due(member, at));
        tracker.sent(&ids, dues, start.elapsed());
        let mut tries = 0;
        let answers = loop {
            match connection.ask(&body).await.and_then(|answer| read(&answer)) {
                Ok(answers) => break answers,
                Err(error) if tries >= TRIES_MAX => {
                    for id in &ids {
                        tracker.rejected(id, error.to_string());
                    }
                    break Vec::new();
                }
                Err(_) => {
                    tries += 1;
                    tracker.again(ids.len());
                    sleep(PAUSE).await;
                }
            }
        };
        for answer in answers {
            let at = answer.id.checked_sub(taken.start);
            let id = at.and_then(|at| ids.get(usize::try_from(at).ok()?));
            match (id, answer.error) {
                (Some(id), None) => tracker.accepted(id),
                (Some(id), Some(error)) if error.code == CODE_DUPLICATE => tracker.accepted(id),
                (Some(id), Some(error)) if error.code == CODE_FULL => {
                    tracker.rejected(id, "mempool full".to_owned());
                }
                (Some(id), Some(error)) => {
                    tracker.rejected(id, format!("{}: {}", error.code, error.message));
                }
                (None, _) => {}
            }
        }
    }
}

fn read(answer: &[u8]) -> Result<Vec<Answer>, TryError> {
    serde_json::from_slice(answer).map_err(|_| {
        let said = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
        TryError::Answer(said)
    })
}

/// Report the final blocks of the first member.
async fn follow(mut follower: Follower, shared: Arc<Shared>) {
    loop {
        match follower.next().await {
            Ok(block) => shared
                .tracker
                .soft(&block.transactions, shared.start.elapsed()),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_a_batch_are_read() {
        let text = br#"[{"jsonrpc":"2.0","id":3,"result":{"id":"00"}},{"jsonrpc":"2.0","id":4,"error":{"code":-1,"message":"m"}}]"#;
        let answers = read(text).unwrap();
        assert_eq!((answers[0].id, answers[0].error.is_none()), (3, true));
        assert_eq!(answers[1].error.as_ref().unwrap().code, -1);
        let whole =
            read(br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32010,"message":"too large"}}"#);
        assert!(whole.unwrap_err().to_string().contains("too large"));
    }
}
