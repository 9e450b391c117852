//! What the payloads of a lane come to: which one is the last, and who may sequence now. A pure fold over final blocks, so
//! every member comes to the same.
//!
//! A payload that is whole counts if it follows the last one that did: the next number, and its hash as parent.
//!
//! The author of the last payload keeps its turn for [`TURN`] of certified time after it, then the next member of the
//! committee has its turn for as long, and so on around.

use super::payload::{Numbered, Part, PayloadId, Seal, id_of};
use crate::handle::CommittedBlock;
use outrider_types::{Height, MemberIndex, RollupId, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long a member that commits nothing keeps its turn.
pub(super) const TURN: Duration = Duration::from_secs(10);
/// Payloads of which parts are missing.
const OPEN_MAX: usize = 8;
/// Payloads whose fate is remembered.
const DECIDED_MAX: usize = 256;

/// The last payload that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) payload: Numbered,
    pub(super) author: MemberIndex,
    pub(super) at: Timestamp,
}

/// A payload of which parts are missing.
struct Open {
    author: MemberIndex,
    id: PayloadId,
    parts: BTreeMap<usize, Vec<u8>>,
}

/// The state of a lane.
pub(super) struct Lane {
    rollup: RollupId,
    seal: Seal,
    /// Of the last block that was looked at.
    pub(super) height: Height,
    now: Timestamp,
    pub(super) last: Option<Last>,
    /// Parts by payload, the oldest first.
    open: VecDeque<Open>,
    /// Whether it counts, the oldest first.
    decided: VecDeque<(PayloadId, bool)>,
}

impl Lane {
    pub(super) fn new(rollup: RollupId, seal: Seal) -> Self {
        Self {
            rollup,
            seal,
            height: Height(0),
            now: Timestamp(0),
            last: None,
            open: VecDeque::new(),
            decided: VecDeque::new(),
        }
    }

    /// Whether a payload counts; none if its fate is not known (any more).
    pub(super) fn decision(&self, id: &PayloadId) -> Option<bool> {
        let found = self.decided.iter().find(|(decided, _)| decided == id);
        found.map(|(_, counts)| *counts)
    }

    /// Whether a payload would count now.
    pub(super) fn takes(&self, payload: &Numbered) -> bool {
        self.last.is_none_or(|last| {
            let last = last.payload;
            Some(payload.number) == last.number.checked_add(1) && payload.parent == last.hash
        })
    }

    /// Whose turn it is among so many members.
    pub(super) fn leader(&self, members: usize) -> MemberIndex {
        let (author, since) = self
            .last
            .map_or((0, Timestamp(0)), |last| (last.author.index(), last.at));
        let turns = self.now.since(since).as_micros() / TURN.as_micros();
        let members = members.max(1);
        // Less than the number of members, so it fits both times.
        let turns = usize::try_from(turns % members as u128).unwrap_or(0);
        MemberIndex(u16::try_from((author + turns) % members).unwrap_or(0))
    }

    /// The next final block. One that was looked at before changes nothing.
    pub(super) fn apply(&mut self, block: &CommittedBlock) {
        if block.block.height <= self.height && self.height.0 > 0 {
            return;
        }
        self.height = block.block.height;
        self.now = block.block.timestamp;
        let (seal, rollup) = (self.seal.clone(), self.rollup);
        let batches = block.payload.batches.iter();
        for batch in batches.filter(|batch| batch.rollup == rollup) {
            for part in batch.transactions.iter().filter_map(|data| seal.open(data)) {
                self.part(&part);
            }
        }
    }

    fn part(&mut self, part: &Part<'_>) {
        if self.decision(&part.id).is_some() {
            return;
        }
        let is_it = |open: &Open| open.author == part.author && open.id == part.id;
        let place = match self.open.iter().position(is_it) {
            Some(place) => place,
            None => {
                if self.open.len() >= OPEN_MAX {
                    self.open.pop_front();
                }
                self.open.push_back(Open {
                    author: part.author,
                    id: part.id,
                    parts: BTreeMap::new(),
                });
                self.open.len() - 1
            }
        };
        let Some(Open { parts, .. }) = self.open.get_mut(place) else {
            return;
        };
        parts.insert(part.at, part.data.to_vec());
        if parts.len() < part.of {
            return;
        }
        let text: Vec<u8> = parts.values().flatten().copied().collect();
        self.open.remove(place);
        let counts = match Numbered::read(&text) {
            Ok(payload) if id_of(&text) == part.id && self.takes(&payload) => {
                self.last = Some(Last {
                    payload,
                    author: part.author,
                    at: self.now,
                });
                true
            }
            _ => false,
        };
        if self.decided.len() >= DECIDED_MAX {
            self.decided.pop_front();
        }
        self.decided.push_back((part.id, counts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Lane {
        let rollup = RollupId(7);
        Lane::new(rollup, Seal::new(rollup, "a password of some length"))
    }

    fn text(number: u64, hash: u8, parent: u8) -> String {
        let word = |byte: u8| format!("0x{}", hex::encode([byte; 32]));
        format!(
            r#"{{"executionPayload":{{"blockNumber":"{number:#x}","blockHash":"{}","parentHash":"{}"}}}}"#,
            word(hash),
            word(parent)
        )
    }

    /// Order a payload in parts of so many bytes, in this order.
    fn order(lane: &mut Lane, author: u16, text: &str, bytes: usize, backwards: bool) -> bool {
        let parts = lane
            .seal
            .clone()
            .seal(MemberIndex(author), text.as_bytes(), bytes);
        let mut parts = parts.unwrap();
        if backwards {
            parts.reverse();
        }
        for data in parts {
            let seal = lane.seal.clone();
            lane.part(&seal.open(&data).unwrap());
        }
        lane.decision(&id_of(text.as_bytes())).unwrap()
    }

    #[test]
    fn payload_counts_if_it_follows_the_last_one() {
        let mut lane = lane();
        assert!(
            order(&mut lane, 0, &text(5, 5, 4), 1_000, false),
            "the first one may be any"
        );
        assert!(
            !order(&mut lane, 0, &text(7, 7, 5), 1_000, false),
            "a number is left out"
        );
        assert!(
            !order(&mut lane, 0, &text(6, 6, 4), 1_000, false),
            "another parent"
        );
        assert!(
            order(&mut lane, 1, &text(6, 6, 5), 100, true),
            "in parts, in any order"
        );
        assert!(
            !order(&mut lane, 0, &text(6, 9, 5), 1_000, false),
            "that number is taken"
        );
        assert!(!order(&mut lane, 0, "no payload", 1_000, false));
        assert_eq!(lane.last.unwrap().payload.number, 6);
        assert_eq!(lane.last.unwrap().author, MemberIndex(1));
    }

    #[test]
    fn payloads_that_are_never_whole_are_forgotten() {
        let mut lane = lane();
        for number in 0..100 {
            let sealed = lane
                .seal
                .seal(MemberIndex(0), text(number, 1, 0).as_bytes(), 100);
            let sealed = sealed.unwrap();
            let seal = lane.seal.clone();
            lane.part(&seal.open(&sealed[0]).unwrap());
            assert!(lane.open.len() <= OPEN_MAX);
        }
        for number in 0..2 * DECIDED_MAX as u64 {
            order(&mut lane, 0, &text(number, 1, 0), 1_000, false);
        }
        assert_eq!(lane.decided.len(), DECIDED_MAX);
    }

    #[test]
    fn turn_stays_with_the_author_and_moves_around_when_nothing_comes() {
        let mut lane = lane();
        lane.now = Timestamp(1_000_000);
        order(&mut lane, 2, &text(5, 5, 4), 1_000, false);
        for (seconds, leader) in [(0, 2), (9, 2), (10, 3), (19, 3), (20, 0), (30, 1), (40, 2)] {
            lane.now = Timestamp(1_000_000).after(Duration::from_secs(seconds));
            assert_eq!(lane.leader(4), MemberIndex(leader), "{seconds}");
        }
        lane.now = Timestamp(u64::MAX);
        assert!(lane.leader(4).index() < 4 && lane.leader(0).index() == 0);
    }
}
