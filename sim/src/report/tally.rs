//! Counts what happens in a run, from outside: views, commits, latencies, loads, faults.

use super::latency::Latencies;
use crate::fact::{Fact, Loss, Message, Micros, Observer, Violation};
use crate::record;
use outrider_types::{BlockId, BlockRecord, ConsensusMessage, FinalityCertificate, TransactionId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Blocks, transactions and messages whose beginning is remembered; beyond it the oldest are forgotten, and what
/// happens to them later is not timed.
const REMEMBERED_MAX: usize = 262_144;

/// Remembers when things began, the latest [`REMEMBERED_MAX`] of them.
#[derive(Clone, Debug)]
struct Beginnings<K> {
    known: BTreeMap<K, Micros>,
    order: VecDeque<K>,
}

impl<K: Ord + Copy> Beginnings<K> {
    const fn new() -> Self {
        Self {
            known: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Whether it was new; only the first time counts.
    fn begin(&mut self, key: K, at: Micros) -> bool {
        if self.known.contains_key(&key) {
            return false;
        }
        self.known.insert(key, at);
        self.order.push_back(key);
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    fn since(&self, key: &K, at: Micros) -> Option<Micros> {
        self.known.get(key).map(|begin| at.saturating_sub(*begin))
    }
}

/// What messages of one kind came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loads {
    /// Messages put on the network, one for each receiver.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Messages that did not arrive.
    pub lost: u64,
    /// Signatures that were checked for them.
    pub signatures: u64,
}

/// Counts of a run.
#[derive(Clone, Debug)]
pub struct Tally {
    hosts: u64,
    honest: BTreeSet<usize>,
    kinds: VecDeque<(u64, &'static str)>,
    proposed: Beginnings<BlockId>,
    accepted: Beginnings<TransactionId>,
    receipted: Beginnings<TransactionId>,
    heights: Beginnings<u64>,
    entered: Beginnings<(u64, u64)>,
    timed_out: Beginnings<(u64, u64)>,
    /// By kind of message.
    pub loads: BTreeMap<&'static str, Loads>,
    /// Messages lost, by why.
    pub lost: BTreeMap<&'static str, u64>,
    /// One-way delays of messages that arrived.
    pub delays: Latencies,
    /// From the first sending of a block's proposal until it was final, for each block and each honest member.
    pub finality: Latencies,
    /// From a transaction's first acceptance until its first receipt.
    pub receipts: Latencies,
    /// Views that some honest member entered.
    pub views: u64,
    /// Of these, views that some honest member left by a timeout certificate that adopts nothing, or that adopts.
    pub timeouts: u64,
    /// Greatest height final at an honest member.
    pub height: u64,
    /// Blocks final at an honest member, counted once, by how the first one learned of it: `fast`, `slow`, `range`.
    pub commits: BTreeMap<&'static str, u64>,
    /// Transactions in these blocks.
    pub transactions: u64,
    /// Transactions taken from clients, counted once.
    pub submitted: u64,
    /// Epochs that began.
    pub epochs: u64,
    /// Crashes, restarts, blames, panics, and the world's faults by the first word of their description.
    pub incidents: BTreeMap<String, u64>,
    /// When the storm was over, if it was.
    pub healed: Option<Micros>,
    sent: Beginnings<u64>,
    down: BTreeSet<usize>,
}

/// Kinds of incidents that are told apart.
const INCIDENTS_MAX: usize = 64;

impl Tally {
    /// Of a world with so many hosts, of which these keep to the rules.
    #[must_use]
    pub fn new(hosts: usize, honest: impl IntoIterator<Item = usize>) -> Self {
        Self {
            hosts: hosts as u64,
            honest: honest.into_iter().collect(),
            kinds: VecDeque::new(),
            proposed: Beginnings::new(),
            accepted: Beginnings::new(),
            receipted: Beginnings::new(),
            heights: Beginnings::new(),
            entered: Beginnings::new(),
            timed_out: Beginnings::new(),
            loads: BTreeMap::new(),
            lost: BTreeMap::new(),
            delays: Latencies::default(),
            finality: Latencies::default(),
            receipts: Latencies::default(),
            views: 0,
            timeouts: 0,
            height: 0,
            commits: BTreeMap::new(),
            transactions: 0,
            submitted: 0,
            epochs: 0,
            incidents: BTreeMap::new(),
            healed: None,
            sent: Beginnings::new(),
            down: BTreeSet::new(),
        }
    }

    /// Of a scenario.
    #[must_use]
    pub fn of(scenario: &crate::scenario::Scenario) -> Self {
        let hosts = scenario.committee.hosts;
        Self::new(hosts, (0..hosts).filter(|host| scenario.honest(*host)))
    }

    /// All kinds together.
    #[must_use]
    pub fn load(&self) -> Loads {
        let mut sum = Loads::default();
        for load in self.loads.values() {
            sum.messages += load.messages;
            sum.bytes += load.bytes;
            sum.lost += load.lost;
            sum.signatures += load.signatures;
        }
        sum
    }

    /// Blocks final at an honest member.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.commits.values().sum()
    }

    fn sent(&mut self, at: Micros, number: u64, to: Option<usize>, message: &Message) {
        let copies = if to.is_some() {
            1
        } else {
            self.hosts.saturating_sub(1)
        };
        let kind = message.kind();
        let load = self.loads.entry(kind).or_default();
        load.messages += copies;
        load.bytes += copies * message.bytes() as u64;
        self.sent.begin(number, at);
        self.kinds.push_back((number, kind));
        if self.kinds.len() > REMEMBERED_MAX {
            self.kinds.pop_front();
        }
        if let Message::Consensus(ConsensusMessage::Proposal(proposal)) = message {
            self.proposed.begin(proposal.block.id(), at);
        }
    }

    /// The kind of a recent message; numbers ascend.
    fn kind(&self, number: u64) -> Option<&'static str> {
        let place = self.kinds.binary_search_by_key(&number, |(one, _)| *one);
        let (_, kind) = self.kinds.get(place.ok()?)?;
        Some(kind)
    }

    fn committed(
        &mut self,
        at: Micros,
        record: &BlockRecord,
        transactions: usize,
        proof: Option<&FinalityCertificate>,
    ) {
        if let Some(took) = self.proposed.since(&record.block.id(), at) {
            self.finality.add(took);
        }
        let height = record.block.height.0;
        self.height = self.height.max(height);
        if self.heights.begin(height, at) {
            *self.commits.entry(record::path(proof)).or_default() += 1;
            self.transactions += transactions as u64;
        }
    }

    fn entered(&mut self, at: Micros, place: (u64, u64), by_timeout: bool) {
        let (epoch, view) = place;
        if self.entered.begin(place, at) {
            self.views += 1;
        }
        let left = (epoch, view.saturating_sub(1));
        if by_timeout && self.timed_out.begin(left, at) {
            self.timeouts += 1;
        }
    }

    fn incident(&mut self, what: &str) {
        let full = self.incidents.len() >= INCIDENTS_MAX && !self.incidents.contains_key(what);
        let what = if full { "other" } else { what };
        *self.incidents.entry(what.to_owned()).or_default() += 1;
    }

    fn travelled(&mut self, at: Micros, fact: &Fact) {
        match fact {
            Fact::Sent {
                to,
                message,
                number,
                ..
            } => self.sent(at, *number, *to, message),
            Fact::Delivered { number, .. } => {
                if let Some(took) = self.sent.since(number, at) {
                    self.delays.add(took);
                }
            }
            Fact::Lost { number, loss, .. } => self.lose(*number, *loss),
            Fact::Checked {
                number, signatures, ..
            } => {
                if let Some(kind) = self.kind(*number) {
                    let load = self.loads.entry(kind).or_default();
                    load.signatures += *signatures as u64;
                }
            }
            _ => {}
        }
    }

    fn lose(&mut self, number: u64, loss: Loss) {
        *self.lost.entry(record::loss(loss)).or_default() += 1;
        if let Some(kind) = self.kind(number) {
            self.loads.entry(kind).or_default().lost += 1;
        }
    }
}

impl Observer for Tally {
    fn see(&mut self, at: Micros, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::Committed {
                member,
                record,
                transactions,
                certificate,
                ..
            } if self.honest.contains(member) => {
                self.committed(at, record, transactions.len(), certificate.as_deref());
            }
            Fact::Entered {
                member,
                epoch,
                view,
                by_timeout,
                ..
            } if self.honest.contains(member) => self.entered(at, (*epoch, view.0), *by_timeout),
            Fact::Accepted { id, .. } => {
                if self.accepted.begin(*id, at) {
                    self.submitted += 1;
                }
            }
            Fact::Receipt { id, .. } => {
                if let Some(took) = self.accepted.since(id, at)
                    && self.receipted.begin(*id, at)
                {
                    self.receipts.add(took);
                }
            }
            Fact::Epoch { .. } => self.epochs += 1,
            Fact::Blamed { .. } => self.incident("blame"),
            Fact::Crashed { member, wiped } => {
                if self.down.insert(*member) {
                    self.incident("crash");
                }
                if *wiped {
                    self.incident("disk lost");
                }
            }
            Fact::Restarted { member, .. } => {
                // A host also starts when the world begins.
                if self.down.remove(member) {
                    self.incident("restart");
                }
            }
            Fact::Panicked { .. } => self.incident("panic"),
            Fact::Fault { what, begins: true } => {
                // Crashes are counted as what they are.
                let words = kind_of_fault(what);
                if !["crash", "crash on write", "wipe", "amnesia"].contains(&words.as_str()) {
                    self.incident(&words);
                }
            }
            Fact::Healed { .. } => self.healed = Some(at),
            _ => self.travelled(at, fact),
        }
        Ok(())
    }

    fn wants_deliveries(&self) -> bool {
        true
    }
}

/// The words of a fault before its first number or host, such as `slow disk`.
fn kind_of_fault(what: &str) -> String {
    let words = what.split_whitespace();
    let words = words.take_while(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
    let words = words.collect::<Vec<_>>().join(" ");
    words.strip_suffix(" to").unwrap_or(&words).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_named_by_its_first_words() {
        for (what, kind) in [
            ("partition m0 | m1 m2", "partition"),
            ("slow disk 200 us m1", "slow disk"),
            ("crash on write m1", "crash on write"),
            ("clock -500 us m1", "clock"),
            ("change to m0 m1", "change"),
            ("", ""),
        ] {
            assert_eq!(kind_of_fault(what), kind);
        }
    }

    #[test]
    fn only_the_latest_beginnings_are_remembered() {
        let mut beginnings = Beginnings::new();
        for key in 0..=REMEMBERED_MAX {
            assert!(beginnings.begin(key, 1));
        }
        assert_eq!(beginnings.since(&0, 5), None);
        assert_eq!(beginnings.since(&1, 5), Some(4));
        assert!(!beginnings.begin(1, 3), "only the first time counts");
        assert_eq!(beginnings.known.len(), REMEMBERED_MAX);
    }
}
