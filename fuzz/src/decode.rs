//! Every type that is read from the wire or the disk.

use crate::alphabet::{self, Words};
use outrider_types::codec::{Encode, Read, WIRE_VERSION};
use outrider_types::limits::{DECODE_BYTES_MAX, MESSAGE_BYTES_MAX};
use outrider_types::{
    BlockRecord, Bytes, Committee, CommitteeChange, ConsensusMessage, EpochEnd, Evidence,
    FinalityCertificate, Justification, Payload, PayloadMessage, SafetyState, SyncMessage,
};
use std::sync::LazyLock;

/// Most heap that a byte of input may take: the handle of an empty transaction in a batch of its own, twice while a list
/// grows. The checked keys of a committee come near it as well.
const BYTES_PER_BYTE_MAX: usize = 160;
/// Heap that the shortest input may take: errors and empty lists.
const BYTES_AT_LEAST: usize = 4_096;

static WORDS: LazyLock<Words> = LazyLock::new(Words::new);

/// Decode bytes as everything. A value that comes out must encode to the same bytes, and its verification must not
/// panic.
///
/// # Panics
///
/// If a promise is broken.
pub fn decode(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let words = &*WORDS;
    if let Some(message) = one::<ConsensusMessage>(&bytes) {
        verify(message, &words.committee);
    }
    one::<PayloadMessage>(&bytes);
    one::<SyncMessage>(&bytes);
    one::<SafetyState>(&bytes);
    one::<Committee>(&bytes);
    if let Some(payload) = one::<Payload>(&bytes) {
        let _ = payload.id();
    }
    if let Some(record) = one::<BlockRecord>(&bytes) {
        let _ = record.verify(&words.committee);
    }
    if let Some(evidence) = one::<Evidence>(&bytes) {
        let _ = evidence.verify(&words.committee);
    }
    if let Some(certificate) = one::<FinalityCertificate>(&bytes) {
        let _ = certificate.verify(&words.committee);
    }
    if let Some(justification) = one::<Justification>(&bytes) {
        let _ = justification.verify(&words.committee);
    }
    if let Some(change) = one::<CommitteeChange>(&bytes) {
        let _ = change.verify(&words.committee);
    }
    if let Some(end) = one::<EpochEnd>(&bytes) {
        let _ = end.verify(&words.committee);
    }
    let _ = SafetyState::restore(data, &words.committee);
}

fn verify(message: ConsensusMessage, committee: &Committee) {
    let _valid = match message {
        ConsensusMessage::Proposal(proposal) => proposal.verify(committee).is_ok(),
        ConsensusMessage::Vote(vote) => vote.verify(committee).is_ok(),
        ConsensusMessage::CommitVote(vote) => vote.verify(committee).is_ok(),
        ConsensusMessage::Timeout(timeout) => timeout.verify(committee).is_ok(),
        ConsensusMessage::Certificate(justification) => justification.verify(committee).is_ok(),
        ConsensusMessage::EpochEnd(end) => end.verify(committee).is_ok(),
    };
}

fn one<T: Read<Cfg = ()> + Encode>(bytes: &Bytes) -> Option<T> {
    let mut value = None;
    let heap =
        allocation_counter::measure(|| value = outrider_types::decode::<T>(bytes.clone()).ok());
    let peak = usize::try_from(heap.bytes_max).unwrap_or(usize::MAX);
    let bound = bytes.len() * BYTES_PER_BYTE_MAX + BYTES_AT_LEAST;
    assert!(
        peak <= bound.min(DECODE_BYTES_MAX),
        "{} bytes made {peak} bytes of heap as {}",
        bytes.len(),
        std::any::type_name::<T>()
    );
    if let Some(value) = &value {
        assert!(bytes.len() <= MESSAGE_BYTES_MAX, "longer than any message");
        assert_eq!(
            outrider_types::encode(value),
            bytes,
            "a value has one encoding only"
        );
    }
    value
}

/// Length prefixes at the limits, and what messages begin with.
pub(crate) fn words() -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = alphabet::CLAIMS
        .iter()
        .map(|claim| claim.to_vec())
        .collect();
    words.extend((0..6).map(|tag| vec![WIRE_VERSION, tag]));
    words.push(vec![0; 32]);
    words
}
