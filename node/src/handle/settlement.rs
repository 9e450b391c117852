//! How whoever watches the settlement chain (L1) talks to the driver.

use super::{Command, NodeHandle, Stopped};
use outrider_finality::{InboxEntry, L1Block, Tracker};
use outrider_types::{Approve, Attestation, Signed, Verified};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::{broadcast, oneshot, watch};

/// What other members said about L1 that a slow listener may be behind before the oldest is dropped.
pub const SETTLEMENT_HEARD_MAX: usize = 4_096;

/// About the settlement chain.
#[derive(Debug)]
pub enum SettlementCommand {
    /// More of L1 is final there: entries of the inbox, in order, then blocks, in order.
    Seen {
        /// The blocks.
        blocks: Vec<L1Block>,
        /// Entries up to the last of them.
        entries: Vec<InboxEntry>,
    },
    /// What of L1 is wanted.
    Wanted {
        /// The answer.
        reply: oneshot::Sender<L1Wanted>,
    },
    /// Tell the other members.
    Attest(Attestation),
    /// Tell the other members.
    Approve(Verified<Signed<Approve>>),
}

/// What of L1 the driver has not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L1Wanted {
    /// The next entry of the forced inbox that it takes.
    pub entry: u64,
    /// The L1 block that its last final block builds on; 0: none.
    pub block: u64,
}

/// What another member said about L1.
#[derive(Clone, Debug)]
pub enum SettlementHeard {
    /// That a block is final; nothing of it was checked.
    Attestation(Attestation),
    /// That it approves of a change of the committee.
    Approval(Verified<Signed<Approve>>),
}

/// How far blocks have come, and what stands in the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SettlementReport {
    /// Heights.
    #[serde(flatten)]
    pub heights: Tracker,
    /// Number of the last L1 block that was seen.
    pub l1_block: u64,
    /// Why L1 cannot be followed now, if so.
    pub outage: Option<String>,
    /// Two certified blocks of one height were shown to the contract: it settles nothing any more.
    pub frozen: bool,
}

impl NodeHandle {
    /// How far blocks have come; none if this member knows of no settlement chain.
    #[must_use]
    pub fn settlement(&self) -> Option<SettlementReport> {
        self.settlement_report.borrow().clone()
    }

    /// Where whoever settles says how far blocks have come.
    #[must_use]
    pub fn settlement_report(&self) -> Arc<watch::Sender<Option<SettlementReport>>> {
        self.settlement_report.clone()
    }

    /// Tell the driver what is final on L1.
    pub async fn saw_l1(
        &self,
        blocks: Vec<L1Block>,
        entries: Vec<InboxEntry>,
    ) -> Result<(), Stopped> {
        self.order_settlement(SettlementCommand::Seen { blocks, entries })
            .await
    }

    /// What of L1 the driver has not seen.
    pub async fn l1_wanted(&self) -> Result<L1Wanted, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.order_settlement(SettlementCommand::Wanted { reply })
            .await?;
        answer.await.map_err(|_| Stopped)
    }

    /// Send an attestation to all members.
    pub async fn attest(&self, attestation: Attestation) -> Result<(), Stopped> {
        self.order_settlement(SettlementCommand::Attest(attestation))
            .await
    }

    /// Send an approval to all members.
    pub async fn approve(&self, approval: Verified<Signed<Approve>>) -> Result<(), Stopped> {
        self.order_settlement(SettlementCommand::Approve(approval))
            .await
    }

    /// What other members say about L1, from now on.
    #[must_use]
    pub fn heard_of_settlement(&self) -> broadcast::Receiver<SettlementHeard> {
        self.settlement_heard.subscribe()
    }

    async fn order_settlement(&self, command: SettlementCommand) -> Result<(), Stopped> {
        let command = Command::Settlement(command);
        self.commands.send(command).await.map_err(|_| Stopped)
    }
}
