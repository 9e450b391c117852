//! Who watches a world: counts every message, and opens it with the code a receiver opens it with.
//!
//! The kernel verifies a message once for all its receivers. In a real committee each receiver does, except for a certificate
//! that it holds already. So each message is opened here once for each of both cases, its time is taken, and every receiver
//! is charged with what its case costs.

use outrider_sim::fact::{Fact, Message, Micros, Observer, Violation};
use outrider_types::{
    BlockId, Certificate, Committee, ConsensusMessage, Epoch, Justification, View, decode, encode,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Certificates that a member remembers, as `node` does.
const KNOWN_MAX: usize = 256;

/// CPU time of this thread.
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanos)
}

/// Messages of a kind, each receiver counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// How many.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// What was counted since the beginning of the measurement, over all members.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By kind of message.
    pub kinds: BTreeMap<&'static str, Kind>,
    /// Bytes of the largest certificate of votes that went with a proposal.
    pub certificate_bytes: usize,
    /// Signatures that receivers check.
    pub signatures: u64,
    /// What decoding and verifying costs all receivers.
    pub opening: Duration,
    /// What verifying costs the kernel, which does it once.
    pub once: Duration,
    /// What watching took.
    pub watching: Duration,
    /// Messages that did not verify.
    pub invalid: u64,
}

/// What one receiver pays for a message.
#[derive(Clone, Copy, Debug, Default)]
struct Price {
    time: Duration,
    signatures: u64,
}

/// A message with a certificate, under way.
#[derive(Clone, Copy, Debug)]
struct Arriving {
    certificate: (Epoch, View, BlockId),
    known: Price,
    new: Price,
    receivers: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Watch {
    committee: Option<Committee>,
    /// Certificates that each host holds.
    known: Vec<BTreeSet<(Epoch, View, BlockId)>>,
    arriving: BTreeMap<u64, Arriving>,
    tally: Tally,
}

impl Watch {
    /// Of a world with so many hosts.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self {
            committee: None,
            known: vec![BTreeSet::new(); hosts],
            arriving: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// Forget what was counted, and give it.
    pub fn take(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    fn sent(&mut self, to: Option<usize>, message: &Message, number: u64) {
        let receivers = to.map_or(self.known.len() - 1, |_| 1);
        let kind = self.tally.kinds.entry(message.kind()).or_default();
        kind.messages += receivers as u64;
        kind.bytes += (receivers * message.bytes()) as u64;
        let (Message::Consensus(message), Some(committee)) = (message, &self.committee) else {
            return;
        };
        let new = price(message, committee, false);
        let Some(new) = new else {
            self.tally.invalid += 1;
            return;
        };
        self.tally.once += new.time;
        let justification = justification(message);
        if let Some(Justification::Certificate(Certificate::Quorum(votes))) = justification {
            let bytes = encode(votes).len();
            self.tally.certificate_bytes = self.tally.certificate_bytes.max(bytes);
        }
        let skippable = justification.and_then(|attached| skippable(attached, committee));
        let known = skippable.and_then(|_| price(message, committee, true));
        if let (Some(certificate), Some(known)) = (skippable, known) {
            let arriving = Arriving {
                certificate,
                known,
                new,
                receivers,
            };
            self.arriving.insert(number, arriving);
        } else {
            self.charge(new, receivers);
        }
    }

    fn charge(&mut self, price: Price, receivers: usize) {
        self.tally.opening += price.time * u32::try_from(receivers).unwrap_or(u32::MAX);
        self.tally.signatures += price.signatures * receivers as u64;
    }

    fn delivered(&mut self, to: usize, number: u64) {
        let Some(arriving) = self.arriving.get_mut(&number) else {
            return;
        };
        arriving.receivers = arriving.receivers.saturating_sub(1);
        let known = self.known[to].contains(&arriving.certificate);
        let price = if known { arriving.known } else { arriving.new };
        if arriving.receivers == 0 {
            self.arriving.remove(&number);
        }
        self.charge(price, 1);
    }

    fn entered(&mut self, member: usize, entry: Option<&Justification>) {
        let Some(Justification::Certificate(certificate)) = entry else {
            return;
        };
        if certificate.is_quorum() {
            let known = &mut self.known[member];
            known.insert((certificate.epoch(), certificate.rank(), certificate.block()));
            if known.len() > KNOWN_MAX {
                known.pop_first();
            }
        }
    }
}

impl Observer for Watch {
    fn see(&mut self, _: Micros, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Delivered { to, number, .. } => self.delivered(*to, *number),
            Fact::Sent {
                to,
                message,
                number,
                ..
            } => {
                let begin = thread_time();
                self.sent(*to, message, *number);
                self.tally.watching += thread_time().saturating_sub(begin);
            }
            Fact::Entered { member, entry, .. } => self.entered(*member, entry.as_deref()),
            Fact::Epoch { committee, .. } => self.committee = Some(committee.clone()),
            _ => {}
        }
        Ok(())
    }

    fn wants_deliveries(&self) -> bool {
        true
    }
}

/// The certificate that a message carries beside what its sender signed.
const fn justification(message: &ConsensusMessage) -> Option<&Justification> {
    match message {
        ConsensusMessage::Proposal(proposal) => proposal.justification.as_ref(),
        ConsensusMessage::Certificate(justification) => Some(justification),
        _ => None,
    }
}

/// What names the certificate if a receiver that holds one for the same block need not look at it: not if it shows more, the
/// fast path, or is of another kind.
fn skippable(attached: &Justification, committee: &Committee) -> Option<(Epoch, View, BlockId)> {
    let Justification::Certificate(Certificate::Quorum(votes)) = attached else {
        return None;
    };
    let fast = votes
        .stake(committee)
        .is_ok_and(|stake| stake >= committee.thresholds().fast);
    let vote = &votes.statement;
    (!fast).then_some((vote.epoch, vote.view, vote.block))
}

/// Open a message from its bytes as `node`'s workers do, by a receiver that holds its certificate or not. None if it does
/// not verify.
fn price(message: &ConsensusMessage, committee: &Committee, known: bool) -> Option<Price> {
    let bytes = encode(message);
    let begin = thread_time();
    let opened = decode::<ConsensusMessage>(bytes).ok()?;
    let valid = match opened {
        ConsensusMessage::Proposal(mut proposal) => {
            if known {
                proposal.justification = None;
            }
            proposal.verify(committee).is_ok()
        }
        ConsensusMessage::Certificate(justification) => {
            known || justification.verify(committee).is_ok()
        }
        ConsensusMessage::Vote(vote) => vote.verify(committee).is_ok(),
        ConsensusMessage::CommitVote(vote) => vote.verify(committee).is_ok(),
        ConsensusMessage::Timeout(timeout) => timeout.verify(committee).is_ok(),
        ConsensusMessage::EpochEnd(end) => end.verify(committee).is_ok(),
    };
    let time = thread_time().saturating_sub(begin);
    valid.then(|| Price {
        time,
        signatures: signatures(message, known),
    })
}

fn signatures(message: &ConsensusMessage, known: bool) -> u64 {
    let attached = if known {
        0
    } else {
        justification(message).map_or(0, of_justification)
    };
    match message {
        ConsensusMessage::Vote(_) | ConsensusMessage::CommitVote(_) => 1,
        ConsensusMessage::Proposal(_) => 1 + attached,
        ConsensusMessage::Timeout(timeout) => 1 + timeout.high.as_ref().map_or(0, of_certificate),
        // Epochs do not end in a calm world.
        ConsensusMessage::Certificate(_) | ConsensusMessage::EpochEnd(_) => attached,
    }
}

fn of_justification(justification: &Justification) -> u64 {
    match justification {
        Justification::Certificate(certificate) => of_certificate(certificate),
        Justification::Timeout(timeout) => {
            let high = timeout.high.as_ref().map_or(0, of_certificate);
            timeout.timeouts.entries.len() as u64 + high
        }
    }
}

fn of_certificate(certificate: &Certificate) -> u64 {
    let signatures = match certificate {
        Certificate::Quorum(votes) => votes.signatures.len(),
        Certificate::Commit(votes) => votes.signatures.len(),
        Certificate::Adopting(adopting) => adopting.timeouts.entries.len(),
    };
    signatures as u64
}
