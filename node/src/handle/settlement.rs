//! How whoever watches the settlement chain (L1) talks to the driver.

use super::{Command, NodeHandle, Stopped, TransactionStatus};
use outrider_finality::{InboxEntry, L1Block, Tracker};
use outrider_types::{Approve, Attestation, Height, Signed, Verified};
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
    /// The lowest height of which L1 has settled another block than is final here, if there is one: heights of L1 stand still then.
    pub diverged: Option<Height>,
    /// What is settled and final on L1 was read there since this member started; until then both heights may be too low.
    pub known: bool,
}

/// How final an ordered transaction or block is, the weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finality {
    /// A certificate says so.
    #[default]
    Soft,
    /// L1 has settled it.
    Settled,
    /// In a block of L1 that is final there.
    Final,
}

impl SettlementReport {
    /// How final a block of this height is, which is soft-final here.
    #[must_use]
    pub fn finality(&self, height: Height) -> Finality {
        if height <= self.heights.final_height() {
            Finality::Final
        } else if height <= self.heights.settled_height() {
            Finality::Settled
        } else {
            Finality::Soft
        }
    }

    /// All but the soft-final height, to tell whether there is news.
    #[must_use]
    pub(crate) fn without_soft(&self) -> Self {
        let mut heights = Tracker::default();
        heights.l1(self.heights.settled_height(), self.heights.final_height());
        Self {
            heights,
            ..self.clone()
        }
    }

    /// The height up to which blocks are so final; none if it was not read on L1 yet.
    #[must_use]
    pub fn height_of(&self, finality: Finality) -> Option<Height> {
        let height = match finality {
            Finality::Soft => return Some(self.heights.soft_height()),
            Finality::Settled => self.heights.settled_height(),
            Finality::Final => self.heights.final_height(),
        };
        self.known.then_some(height)
    }
}

impl NodeHandle {
    /// How far blocks have come; none if this member knows of no settlement chain.
    #[must_use]
    pub fn settlement(&self) -> Option<SettlementReport> {
        self.settlement_report.borrow().clone()
    }

    /// Follow how far blocks have come; only the newest value is kept.
    #[must_use]
    pub fn watch_settlement(&self) -> watch::Receiver<Option<SettlementReport>> {
        self.settlement_report.subscribe()
    }

    /// What the driver said of a transaction, and what L1 adds to it.
    pub(super) fn settled(&self, mut status: TransactionStatus) -> TransactionStatus {
        if let TransactionStatus::Soft {
            height, finality, ..
        } = &mut status
            && let Some(report) = &*self.settlement_report.borrow()
        {
            *finality = report.finality(*height);
        }
        status
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
