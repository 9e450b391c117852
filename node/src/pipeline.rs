//! From bytes to verified events, off the core: decode, verify, hash, in parallel workers.
//!
//! Each channel has its own workers and its own bounded queue to the driver, so that a flood of transactions delays
//! no vote. A worker takes the next message only when its last event found a place: when the driver falls behind, the
//! mailbox of the network fills, and then the network drops.

use crate::metrics::{BadMessage, Metrics};
use bytes::Bytes;
use commonware_runtime::{Spawner, Supervisor};
use outrider_network::{Channel, Inbound, Inbox};
use outrider_types::message::{
    BlockRequest, ConsensusMessage, FullBlock, PayloadMessage, Range, RangeRequest, SyncMessage,
};
use outrider_types::{
    Block, BlockRecord, CommitVote, Committee, Evidence, FinalityCertificate, Invalid,
    Justification, MemberIndex, Payload, PayloadId, Proposal, Signed, TimeoutMessage, Transaction,
    TransactionId, Verified, Vote, decode,
};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// Events of one channel that may wait for the driver.
pub const EVENTS_MAX: usize = 1_024;

/// A payload that was checked by itself, with the ids of what it holds.
#[derive(Clone, Debug)]
pub struct CheckedPayload {
    /// Its commitment.
    pub id: PayloadId,
    /// What it holds.
    pub payload: Arc<Payload>,
    /// Ids of its transactions, in order.
    pub transactions: Arc<[TransactionId]>,
}

impl CheckedPayload {
    /// Check and hash a payload.
    pub fn new(payload: Payload) -> Result<Self, outrider_types::PayloadError> {
        let transactions = payload.check()?.into();
        Ok(Self {
            id: payload.id(),
            payload: Arc::new(payload),
            transactions,
        })
    }
}

/// A final range that was verified: linked, hashed and proven final.
#[derive(Debug)]
pub struct CheckedRange {
    /// Blocks with their payloads, ascending.
    pub blocks: Vec<(BlockRecord, CheckedPayload)>,
    /// Proof that the last one is final.
    pub certificate: Verified<FinalityCertificate>,
}

/// Something a peer said that has been verified.
#[derive(Debug)]
pub enum Event {
    /// A proposal.
    Proposal(Verified<Proposal>),
    /// A vote.
    Vote(Verified<Signed<Vote>>),
    /// A commit vote.
    CommitVote(Verified<Signed<CommitVote>>),
    /// A timeout.
    Timeout(Verified<TimeoutMessage>),
    /// What ended a view.
    Certificate(Verified<Justification>),
    /// A payload.
    Payload(CheckedPayload),
    /// Transactions with their ids.
    Transactions(Vec<(TransactionId, Transaction)>),
    /// A peer holds these transactions.
    Received(Vec<TransactionId>),
    /// A peer asks for a block.
    BlockRequest(BlockRequest),
    /// A block that a peer sent.
    Block(Verified<BlockRecord>, CheckedPayload),
    /// A peer asks for final blocks.
    RangeRequest(RangeRequest),
    /// Final blocks that a peer sent.
    Range(CheckedRange),
    /// Evidence that a peer sent.
    Evidence(Verified<Evidence>),
}

/// An event with the member that it came from.
#[derive(Debug)]
pub struct FromPeer {
    /// Who.
    pub from: MemberIndex,
    /// What.
    pub event: Event,
}

/// Start the workers of one channel.
pub fn spawn<E: Spawner + Supervisor>(
    context: &E,
    inbox: Inbox,
    committee: &Committee,
    metrics: &Arc<Metrics>,
    workers: usize,
) -> mpsc::Receiver<FromPeer> {
    let (sender, events) = mpsc::channel(EVENTS_MAX);
    let inbox = Arc::new(Mutex::new(inbox));
    for _ in 0..workers.max(1) {
        let (inbox, sender) = (inbox.clone(), sender.clone());
        let (committee, metrics) = (committee.clone(), metrics.clone());
        context
            .child("verify")
            .spawn(move |_| work(inbox, sender, committee, metrics));
    }
    events
}

async fn work(
    inbox: Arc<Mutex<Inbox>>,
    sender: mpsc::Sender<FromPeer>,
    committee: Committee,
    metrics: Arc<Metrics>,
) {
    loop {
        let next = inbox.lock().await.recv().await;
        let Some(inbound) = next else { return };
        metrics.received(inbound.channel);
        let from = MemberIndex(u16::try_from(inbound.from).unwrap_or(u16::MAX));
        match verify(from, inbound, &committee) {
            Ok((event, fault)) => {
                if let Some(fault) = fault {
                    blame(&metrics, from, BadMessage::Attachment, &fault.to_string());
                }
                if sender.send(FromPeer { from, event }).await.is_err() {
                    return;
                }
            }
            Err((kind, reason)) => blame(&metrics, from, kind, &reason),
        }
    }
}

fn blame(metrics: &Metrics, from: MemberIndex, kind: BadMessage, reason: &str) {
    metrics.bad_message(from, kind);
    tracing::debug!(%from, ?kind, reason, "bad message");
}

type Refused = (BadMessage, String);

fn verify(
    from: MemberIndex,
    inbound: Inbound,
    committee: &Committee,
) -> Result<(Event, Option<Invalid>), Refused> {
    let Inbound { channel, bytes, .. } = inbound;
    match channel {
        Channel::Consensus => consensus(from, bytes, committee),
        Channel::Payload => payload(bytes).map(|event| (event, None)),
        Channel::Sync => sync(bytes, committee).map(|event| (event, None)),
    }
}

fn invalid(error: Invalid) -> Refused {
    (BadMessage::Invalid, error.to_string())
}

fn malformed(error: impl std::fmt::Display) -> Refused {
    (BadMessage::Malformed, error.to_string())
}

/// Statements come from the member that signs them, on its own connection.
fn own(from: MemberIndex, signer: MemberIndex) -> Result<(), Refused> {
    if from == signer {
        Ok(())
    } else {
        Err((BadMessage::Foreign, format!("signed by {signer}")))
    }
}

fn consensus(
    from: MemberIndex,
    bytes: Bytes,
    committee: &Committee,
) -> Result<(Event, Option<Invalid>), Refused> {
    let event = match decode(bytes).map_err(malformed)? {
        ConsensusMessage::Proposal(proposal) => {
            own(from, proposal.block.proposer)?;
            let (proposal, fault) = proposal.verify(committee).map_err(invalid)?;
            return Ok((Event::Proposal(proposal), fault));
        }
        ConsensusMessage::Vote(vote) => {
            own(from, vote.signer)?;
            Event::Vote(vote.verify(committee).map_err(invalid)?)
        }
        ConsensusMessage::CommitVote(vote) => {
            own(from, vote.signer)?;
            Event::CommitVote(vote.verify(committee).map_err(invalid)?)
        }
        ConsensusMessage::Timeout(message) => {
            own(from, message.timeout.signer)?;
            Event::Timeout(message.verify(committee).map_err(invalid)?)
        }
        ConsensusMessage::Certificate(justification) => {
            Event::Certificate(justification.verify(committee).map_err(invalid)?)
        }
        ConsensusMessage::EpochEnd(_) => return Err(malformed("epochs do not end here")),
    };
    Ok((event, None))
}

fn payload(bytes: Bytes) -> Result<Event, Refused> {
    Ok(match decode(bytes).map_err(malformed)? {
        PayloadMessage::Payload(payload) => {
            Event::Payload(CheckedPayload::new(payload).map_err(malformed)?)
        }
        PayloadMessage::Transactions(transactions) => Event::Transactions(
            transactions
                .list
                .into_iter()
                .map(|one| (one.id(), one))
                .collect(),
        ),
        PayloadMessage::Received(received) => Event::Received(received.ids),
    })
}

fn sync(bytes: Bytes, committee: &Committee) -> Result<Event, Refused> {
    Ok(match decode(bytes).map_err(malformed)? {
        SyncMessage::BlockRequest(request) => Event::BlockRequest(request),
        SyncMessage::RangeRequest(request) => Event::RangeRequest(request),
        SyncMessage::Block(FullBlock { record, payload }) => {
            let payload = matching(&record.block, payload)?;
            Event::Block(record.verify(committee).map_err(invalid)?, payload)
        }
        SyncMessage::Evidence(evidence) => {
            let verified = evidence.verify(committee);
            Event::Evidence(verified.map_err(|error| (BadMessage::Invalid, error.to_string()))?)
        }
        SyncMessage::Range(range) => Event::Range(checked_range(range, committee)?),
        SyncMessage::ChangeRequest(_) | SyncMessage::Change(_) => {
            return Err(malformed("epochs do not end here"));
        }
    })
}

fn matching(block: &Block, payload: Payload) -> Result<CheckedPayload, Refused> {
    let payload = CheckedPayload::new(payload).map_err(malformed)?;
    if payload.id == block.payload {
        Ok(payload)
    } else {
        Err(malformed("payload of another block"))
    }
}

/// Nothing is believed but the certificate: it makes the last block final, and hashes lead down from there.
fn checked_range(range: Range, committee: &Committee) -> Result<CheckedRange, Refused> {
    let Range {
        blocks,
        certificate,
        ..
    } = range;
    let certificate = certificate.verify(committee).map_err(invalid)?;
    let mut checked = Vec::with_capacity(blocks.len());
    let mut expected = certificate.block();
    for FullBlock { record, payload } in blocks.into_iter().rev() {
        if record.block.id() != expected {
            return Err(malformed(
                "a range whose blocks do not lead to its certificate",
            ));
        }
        expected = record.block.parent;
        let payload = matching(&record.block, payload)?;
        checked.push((record, payload));
    }
    checked.reverse();
    if checked.is_empty() {
        return Err(malformed("an empty range"));
    }
    Ok(CheckedRange {
        blocks: checked,
        certificate,
    })
}
