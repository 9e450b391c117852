//! From bytes to verified events, off the core: decode, verify, hash, in parallel workers.
//!
//! Each channel has its own workers and its own bounded queue to the driver, so that a flood of transactions delays
//! no vote. A worker takes the next message only when its last event found a place: when the driver falls behind, the
//! mailbox of the network fills, and then the network drops.

use crate::handle::SettlementHeard;
use crate::metrics::{BadMessage, Metrics};
use crate::seats::{Hearing, Known, PeerIndex, Seats, SharedHearing};
use bytes::Bytes;
use commonware_runtime::{Spawner, Supervisor};
use outrider_network::{Channel, Inbound, Inbox};
use outrider_types::message::{
    BatchRequest, BlockRequest, ChangeRequest, ConsensusMessage, FullBlock, PayloadMessage, Range,
    RangeRequest, Received, References, SyncMessage,
};
use outrider_types::{
    Block, BlockRecord, CheckedPayload, CommitVote, Committee, CommitteeChange, CommitteeId, Epoch,
    EpochEnd, Evidence, Execution, FinalityCertificate, Invalid, Justification, MemberIndex,
    Payload, Proposal, Signed, TimeoutMessage, Transaction, TransactionId, Verified, Vote, decode,
};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// Events of one channel that may wait for the driver.
pub const EVENTS_MAX: usize = 1_024;

/// A final range that was verified: linked, hashed and proven final.
#[derive(Debug)]
pub struct CheckedRange {
    /// Blocks with their payloads, ascending.
    pub blocks: Vec<(BlockRecord, CheckedPayload)>,
    /// Proof that the last one is final.
    pub certificate: Verified<FinalityCertificate>,
    /// If the last one ends its epoch: the proof of that.
    pub end: Option<Verified<EpochEnd>>,
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
    /// A peer holds a batch.
    Received(Received),
    /// A payload in terms of batches.
    References(References),
    /// A peer asks for batches.
    BatchRequest(BatchRequest),
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
    /// What a member executed.
    Execution(Verified<Signed<Execution>>),
    /// What a member says about the settlement chain.
    Settlement(SettlementHeard),
    /// The current epoch is over.
    EpochEnd(Verified<EpochEnd>),
    /// A peer asks for an approved change.
    ChangeRequest(ChangeRequest),
    /// A change that this epoch's committee approved of.
    Change(Verified<CommitteeChange>),
    /// A peer is in an epoch that is over here: it needs the proof of that (R11).
    Behind(Epoch),
    /// A peer is in an epoch that has not begun here.
    Ahead,
}

/// An event with the peer that it came from.
#[derive(Debug)]
pub struct FromPeer {
    /// Who.
    pub from: PeerIndex,
    /// What.
    pub event: Event,
    /// The epoch that it belongs to, if it does to one, and the committee that it was verified against: of the next epoch
    /// that is known only once its base is final.
    pub under: Option<(Epoch, CommitteeId)>,
}

/// Start the workers of one channel.
pub fn spawn<E: Spawner + Supervisor>(
    context: &E,
    inbox: Inbox,
    hearing: &SharedHearing,
    metrics: &Arc<Metrics>,
    workers: usize,
) -> mpsc::Receiver<FromPeer> {
    let (sender, events) = mpsc::channel(EVENTS_MAX);
    let inbox = Arc::new(Mutex::new(inbox));
    for _ in 0..workers.max(1) {
        let (inbox, sender) = (inbox.clone(), sender.clone());
        let (hearing, metrics) = (hearing.clone(), metrics.clone());
        context
            .child("verify")
            .spawn(move |_| work(inbox, sender, hearing, metrics));
    }
    events
}

async fn work(
    inbox: Arc<Mutex<Inbox>>,
    sender: mpsc::Sender<FromPeer>,
    hearing: SharedHearing,
    metrics: Arc<Metrics>,
) {
    loop {
        let next = inbox.lock().await.recv().await;
        let Some(inbound) = next else { return };
        metrics.received(inbound.channel);
        let from = PeerIndex(inbound.from);
        match verify(from, inbound, &hearing.get(), hearing.known()) {
            Ok(Some((event, under, fault))) => {
                if let Some(fault) = fault {
                    blame(&metrics, from, BadMessage::Attachment, &fault.to_string());
                }
                if sender.send(FromPeer { from, event, under }).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err((kind, reason)) => blame(&metrics, from, kind, &reason),
        }
    }
}

fn blame(metrics: &Metrics, from: PeerIndex, kind: BadMessage, reason: &str) {
    metrics.bad_message(kind);
    tracing::debug!(%from, ?kind, reason, "bad message");
}

type Refused = (BadMessage, String);
type Heard = Option<(Event, Option<(Epoch, CommitteeId)>, Option<Invalid>)>;

fn verify(
    from: PeerIndex,
    inbound: Inbound,
    hearing: &Hearing,
    known: &Known,
) -> Result<Heard, Refused> {
    let Inbound { channel, bytes, .. } = inbound;
    match channel {
        Channel::Consensus => consensus(from, decode(bytes).map_err(malformed)?, hearing, known),
        Channel::Payload => payload(bytes).map(|event| Some((event, None, None))),
        Channel::Sync => sync(decode(bytes).map_err(malformed)?, hearing),
    }
}

fn invalid(error: Invalid) -> Refused {
    (BadMessage::Invalid, error.to_string())
}

fn malformed(error: impl std::fmt::Display) -> Refused {
    (BadMessage::Malformed, error.to_string())
}

/// Statements come from the member that signs them, on its own connection.
fn own(seats: &Seats, from: PeerIndex, signer: MemberIndex) -> Result<(), Refused> {
    if seats.member(from) == Some(signer) {
        Ok(())
    } else {
        Err((BadMessage::Foreign, format!("signed by {signer}")))
    }
}

fn consensus(
    from: PeerIndex,
    message: ConsensusMessage,
    hearing: &Hearing,
    known: &Known,
) -> Result<Heard, Refused> {
    let epoch = message.epoch();
    let Some(seats) = hearing.of(epoch) else {
        // No message of one epoch counts in another (R13). What it shows is where its sender is.
        let ours = hearing.current.committee().epoch();
        let event = match message {
            ConsensusMessage::Timeout(_) if epoch < ours => Event::Behind(epoch),
            _ if epoch > ours => Event::Ahead,
            _ => return Ok(None),
        };
        return Ok(Some((event, None, None)));
    };
    let committee = seats.committee();
    let event = match message {
        ConsensusMessage::Proposal(mut proposal) => {
            own(seats, from, proposal.block.proposer)?;
            // What is held justifies the block as well as what is attached (R4).
            proposal
                .justification
                .take_if(|attached| known.holds(attached, committee));
            let (proposal, fault) = proposal.verify(committee).map_err(invalid)?;
            return Ok(Some((
                Event::Proposal(proposal),
                Some((epoch, committee.id())),
                fault,
            )));
        }
        ConsensusMessage::Vote(vote) => {
            own(seats, from, vote.signer)?;
            Event::Vote(vote.verify(committee).map_err(invalid)?)
        }
        ConsensusMessage::CommitVote(vote) => {
            own(seats, from, vote.signer)?;
            Event::CommitVote(vote.verify(committee).map_err(invalid)?)
        }
        ConsensusMessage::Timeout(message) => {
            own(seats, from, message.timeout.signer)?;
            Event::Timeout(message.verify(committee).map_err(invalid)?)
        }
        ConsensusMessage::Certificate(justification) if known.holds(&justification, committee) => {
            return Ok(None);
        }
        ConsensusMessage::Certificate(justification) => {
            Event::Certificate(justification.verify(committee).map_err(invalid)?)
        }
        ConsensusMessage::EpochEnd(end) => Event::EpochEnd(end.verify(committee).map_err(invalid)?),
    };
    Ok(Some((event, Some((epoch, committee.id())), None)))
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
        PayloadMessage::Received(received) => Event::Received(received),
        PayloadMessage::References(references) => Event::References(references),
        PayloadMessage::BatchRequest(request) => Event::BatchRequest(request),
    })
}

fn sync(message: SyncMessage, hearing: &Hearing) -> Result<Heard, Refused> {
    // What is of an epoch that is not heard any more, or not yet, is of no use here, and nobody's fault.
    let committee = |epoch: Epoch| hearing.of(epoch).map(|seats| seats.committee());
    let (event, under) = match message {
        SyncMessage::BlockRequest(request) => (Event::BlockRequest(request), None),
        SyncMessage::RangeRequest(request) => (Event::RangeRequest(request), None),
        SyncMessage::ChangeRequest(request) => (Event::ChangeRequest(request), None),
        SyncMessage::Block(FullBlock { record, payload }) => {
            let epoch = record.block.epoch;
            let Some(committee) = committee(epoch) else {
                return Ok(None);
            };
            let payload = matching(&record.block, payload)?;
            let record = record.verify(committee).map_err(invalid)?;
            (Event::Block(record, payload), Some((epoch, committee.id())))
        }
        SyncMessage::Evidence(evidence) => {
            let Some(seats) = hearing.of_evidence(evidence.epoch()) else {
                return Ok(None);
            };
            let verified = evidence
                .verify(seats.committee())
                .map_err(|error| (BadMessage::Invalid, error.to_string()))?;
            (Event::Evidence(verified), None)
        }
        SyncMessage::Execution(vote) => {
            let Some(seats) = hearing.of_evidence(vote.statement.epoch) else {
                return Ok(None);
            };
            let vote = vote.verify(seats.committee()).map_err(invalid)?;
            (Event::Execution(vote), None)
        }
        // Whoever settles knows the keys.
        SyncMessage::Attestation(attestation) => {
            let heard = SettlementHeard::Attestation(attestation);
            (Event::Settlement(heard), None)
        }
        SyncMessage::Approval(approval) => {
            let Some(committee) = committee(approval.statement.epoch) else {
                return Ok(None);
            };
            let approval = approval.verify(committee).map_err(invalid)?;
            let heard = SettlementHeard::Approval(approval);
            (Event::Settlement(heard), None)
        }
        SyncMessage::Change(change) => {
            let epoch = change.approvals.statement.epoch;
            let Some(committee) = committee(epoch) else {
                return Ok(None);
            };
            let verified = change.verify(committee).map_err(invalid)?;
            (Event::Change(verified), Some((epoch, committee.id())))
        }
        SyncMessage::Range(range) => {
            let Some(epoch) = range.blocks.first().map(|full| full.record.block.epoch) else {
                return Err(malformed("an empty range"));
            };
            let Some(committee) = committee(epoch) else {
                return Ok(None);
            };
            let range = checked_range(range, committee)?;
            (Event::Range(range), Some((epoch, committee.id())))
        }
    };
    Ok(Some((event, under, None)))
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
        fillers,
        certificate,
        change,
    } = range;
    let Some(last) = blocks.last().map(|full| full.record.block) else {
        return Err(malformed("an empty range"));
    };
    let (certificate, end) = if last.next == CommitteeId::NONE {
        let certificate = certificate.verify(committee).map_err(invalid)?;
        if certificate.block() != last.id() {
            return Err(malformed(
                "a range whose blocks do not lead to its certificate",
            ));
        }
        (certificate, None)
    } else {
        let end = EpochEnd {
            last,
            fillers,
            certificate,
            change,
        };
        let end = end.verify(committee).map_err(invalid)?;
        (end.verified_certificate(), Some(end))
    };
    let mut checked = Vec::with_capacity(blocks.len());
    let mut expected = last.id();
    for FullBlock { record, payload } in blocks.into_iter().rev() {
        if record.block.id() != expected {
            return Err(malformed("a range whose blocks do not follow each other"));
        }
        expected = record.block.parent;
        let payload = matching(&record.block, payload)?;
        checked.push((record, payload));
    }
    checked.reverse();
    Ok(CheckedRange {
        blocks: checked,
        certificate,
        end,
    })
}
