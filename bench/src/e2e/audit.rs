//! After the load: nothing is lost, nothing is ordered twice, and all living members have the same chain.
//!
//! One member's chain is read block by block. A block's id commits to all before it and to what they order, so that the
//! others have the same one is seen by one id each.

use super::committee::Committee;
use super::failure::Failure;
use super::load::Outcome;
use outrider_client::{BlockSummary, Client};
use outrider_types::{Height, TransactionId};
use serde::Serialize;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the other members may take to reach the height at which all are compared.
const SETTLE_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Most transactions whose ids are kept, as many as a load can have.
const TRANSACTIONS_MAX: usize = 20_000_000;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Blocks that were read.
    pub blocks: u64,
    /// Transactions in them.
    pub ordered: u64,
    /// Transactions that are in them more than once.
    pub twice: u64,
    /// Living members whose chain is the same, of how many.
    pub agree: (usize, usize),
    /// Accepted by a member and not ordered, as the load saw it.
    pub lost: u64,
    /// Everything that breaks a promise.
    pub broken: Vec<String>,
}

/// Look at a committee that has had this load and nothing else.
pub async fn audit(committee: &Committee, outcome: &Outcome) -> Result<Audit, Failure> {
    let failure = |what: &str, reason: String| Failure::Audit {
        what: what.to_owned(),
        reason,
        dir: committee.dir().to_path_buf(),
    };
    let Some(first) = committee.living().next() else {
        return Err(failure("the ledger", "nobody lives".to_owned()));
    };
    let head = first.client.head().await;
    let top = head.map_err(|error| failure("the head", error.to_string()))?;
    let (mut ids, mut last) = (Vec::new(), None);
    for height in 1..=top.height.0 {
        let block = at(&first.client, height).await;
        let block = block.map_err(|reason| failure("the ledger", reason))?;
        ids.extend_from_slice(&block.transactions);
        if ids.len() > TRANSACTIONS_MAX {
            let reason = format!("it orders more than {TRANSACTIONS_MAX} transactions");
            return Err(failure("the ledger", reason));
        }
        last = Some(block.id);
    }
    let (mut same, mut living) = (0, 0);
    for member in committee.living() {
        living += 1;
        let block = settled(&member.client, top.height.0).await;
        let block = block.map_err(|reason| failure("a member's chain", reason))?;
        same += usize::from(Some(block.id) == last);
    }
    Ok(verdict(top.height.0, ids, (same, living), outcome))
}

fn verdict(
    blocks: u64,
    mut ids: Vec<TransactionId>,
    agree: (usize, usize),
    outcome: &Outcome,
) -> Audit {
    let ordered = ids.len() as u64;
    ids.sort_unstable();
    ids.dedup();
    let twice = ordered - ids.len() as u64;
    let mut broken = Vec::new();
    if twice > 0 {
        broken.push(format!("{twice} transactions are ordered twice"));
    }
    if outcome.lost > 0 {
        let lost = outcome.lost;
        broken.push(format!("{lost} accepted transactions are not ordered"));
    }
    if ordered < outcome.soft_final {
        let seen = outcome.soft_final;
        broken.push(format!("{seen} were seen as final, {ordered} are ordered"));
    }
    if agree.0 != agree.1 {
        let (same, living) = agree;
        broken.push(format!("{same} of {living} members have the same chain"));
    }
    Audit {
        blocks,
        ordered,
        twice,
        agree,
        lost: outcome.lost,
        broken,
    }
}

/// A block that the member must have.
async fn at(client: &Client, height: u64) -> Result<BlockSummary, String> {
    match client.block(Height(height)).await {
        Ok(Some(block)) => Ok(block),
        Ok(None) => Err(format!("{} has no block at height {height}", client.url())),
        Err(error) => Err(error.to_string()),
    }
}

/// A block that the member must have soon.
async fn settled(client: &Client, height: u64) -> Result<BlockSummary, String> {
    let deadline = Instant::now() + SETTLE_WITHIN;
    loop {
        let found = at(client, height).await;
        if found.is_ok() || Instant::now() >= deadline {
            return found;
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Latency;
    use super::*;
    use std::collections::BTreeMap;

    fn outcome(soft_final: u64, lost: u64) -> Outcome {
        Outcome {
            seconds: 1.0,
            sent: 10,
            accepted: soft_final + lost,
            rejected: BTreeMap::new(),
            resubmitted: 0,
            soft_final,
            lost,
            throughput_per_s: 1.0,
            latency_us: Latency::default(),
            cpu_seconds_of_load: 0.0,
        }
    }

    fn ids(numbers: &[u8]) -> Vec<TransactionId> {
        numbers.iter().map(|n| TransactionId([*n; 32])).collect()
    }

    #[test]
    fn what_is_right_breaks_nothing() {
        let audit = verdict(3, ids(&[3, 1, 2]), (4, 4), &outcome(3, 0));
        assert_eq!((audit.ordered, audit.twice), (3, 0));
        assert_eq!(audit.broken, [""; 0]);
        // Ordered though nobody acknowledged it in time: no promise was made, none is broken.
        assert!(
            verdict(3, ids(&[1, 2]), (4, 4), &outcome(1, 0))
                .broken
                .is_empty()
        );
    }

    #[test]
    fn every_broken_promise_is_named() {
        let audit = verdict(3, ids(&[1, 2, 1]), (3, 4), &outcome(4, 2));
        assert_eq!((audit.ordered, audit.twice, audit.lost), (3, 1, 2));
        assert_eq!(audit.broken.len(), 4, "{:?}", audit.broken);
    }
}
