//! The commits of a member of ours, as its subscription announces them.
//!
//! A block carries its proposer's clock in microseconds, and all clocks of a run are one. So the time from proposal to
//! commit is known as for the peers, and counts the way of the announcement too, which theirs does not.

use crate::commits::{Commit, Commits};
use crate::error::CompareError;
use crate::numbers::now_us;
use jsonrpsee::core::client::{Subscription, SubscriptionClientT as _};
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Bytes of one announcement: a full block has 65,536 ids.
const ANSWER_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Announcements that wait; more are not counted.
const WAITING_MAX: usize = 1_024;
/// Before a member that does not answer is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// A subscription that is read.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<Commits>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Subscribe to the blocks of a member.
    pub async fn start(rpc: &str) -> Result<Self, CompareError> {
        let (client, mut blocks) = subscribe(rpc).await?;
        let seen = Arc::<Mutex<Commits>>::default();
        let sink = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            // It ends with the member.
            while let Some(item) = blocks.next().await {
                if let Some(commit) = item.ok().and_then(|item| commit_of(&item, now_us())) {
                    let mut seen = sink.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.0.push(commit);
                }
            }
            drop(client);
        });
        Ok(Self { seen, task })
    }

    /// What was seen.
    #[must_use]
    pub fn end(self) -> Commits {
        self.task.abort();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *seen)
    }
}

/// Wait for a member to answer and commit a block.
pub async fn first_block(rpc: &str) {
    loop {
        if let Ok((_client, mut blocks)) = subscribe(rpc).await
            && let Some(Ok(_)) = blocks.next().await
        {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn subscribe(rpc: &str) -> Result<(WsClient, Subscription<Value>), CompareError> {
    let refused = |error: jsonrpsee::core::ClientError| CompareError::Command {
        command: "start",
        said: format!("{rpc} does not announce blocks: {error}"),
    };
    let url = rpc.replacen("http", "ws", 1);
    let client = WsClientBuilder::default()
        .max_response_size(ANSWER_BYTES_MAX)
        .max_buffer_capacity_per_subscription(WAITING_MAX)
        .build(url)
        .await
        .map_err(refused)?;
    let blocks = client
        .subscribe(
            "outrider_subscribe",
            jsonrpsee::core::rpc_params!["blocks"],
            "outrider_unsubscribe",
        )
        .await
        .map_err(refused)?;
    Ok((client, blocks))
}

fn commit_of(item: &Value, at_us: u64) -> Option<Commit> {
    let transactions = item["transactions"].as_array()?.len();
    Some(Commit {
        at_us,
        proposed_us: item["timestamp"].as_u64()?,
        transactions: u64::try_from(transactions).unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_become_commits_and_other_items_do_not() {
        let item = serde_json::json!({"height": 5, "id": "00", "timestamp": 7, "transactions": ["a", "b"]});
        let commit = Commit {
            at_us: 9,
            proposed_us: 7,
            transactions: 2,
        };
        assert_eq!(commit_of(&item, 9), Some(commit));
        assert_eq!(commit_of(&serde_json::json!({"skipped": 3}), 9), None);
    }
}
