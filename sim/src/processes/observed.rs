//! What was seen from outside, and the checks of it: S1, S2, S9, S10 as facts come in; L1, L4, L5 when the storm is over.

use crate::fact::{Class, Micros, Violation};
use outrider_types::{BlockId, Height, TransactionId};
use std::collections::{BTreeMap, BTreeSet};

/// Violations that are kept; more are counted.
pub const VIOLATIONS_MAX: usize = 64;

/// Transactions that are named when they are missing; more are counted.
const NAMED_MAX: usize = 5;

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A member showed the final block of a height, possibly again.
    Block {
        /// Who.
        member: usize,
        /// Of which height.
        height: Height,
        /// Which.
        id: BlockId,
        /// What it orders.
        transactions: Vec<TransactionId>,
    },
    /// A member named its last final height, after all that it has shown before.
    Head {
        /// Who.
        member: usize,
        /// Which.
        height: Height,
    },
    /// A member took a transaction.
    Accepted {
        /// Which.
        id: TransactionId,
        /// Its number in the load.
        number: u64,
        /// By the first answer there was: then f+1 stake hold it.
        first_try: bool,
        /// Length of the list of ended members before it was sent.
        ends: usize,
    },
    /// No member took a transaction, or none had a place.
    Refused,
    /// A member said that a transaction is soft-final.
    Receipt(TransactionId, Receipt),
}

/// A receipt: a member's word that a transaction is soft-final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whose word.
    pub member: usize,
    /// In which block,
    pub height: Height,
    /// which is this one,
    pub block: BlockId,
    /// and after how many of its rollup.
    pub position: u64,
}

/// A transaction that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Its number in the load.
    pub number: u64,
    /// See [`Seen::Accepted`].
    pub first_try: bool,
    /// See [`Seen::Accepted`].
    pub ends: usize,
}

/// All that was seen. Memory grows with the blocks and transactions of the run, which its length and rate bound.
#[derive(Debug)]
pub struct Observed {
    /// Blocks of each member, from height 1 on.
    chains: Vec<Vec<BlockId>>,
    /// The first block that was seen at each height, by whom, and how many transactions it had.
    agreed: Vec<(BlockId, usize, usize)>,
    ordered: BTreeMap<TransactionId, Height>,
    accepted: BTreeMap<TransactionId, Acceptance>,
    /// Those accepted and not seen in a block.
    open: BTreeSet<TransactionId>,
    receipts: BTreeMap<TransactionId, Receipt>,
    refused: u64,
    violations: Vec<Violation>,
    /// Violations that were only counted.
    more: u64,
    now: Micros,
}

impl Observed {
    /// Of so many members, nothing yet.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self {
            chains: vec![Vec::new(); members],
            agreed: Vec::new(),
            ordered: BTreeMap::new(),
            accepted: BTreeMap::new(),
            open: BTreeSet::new(),
            receipts: BTreeMap::new(),
            refused: 0,
            violations: Vec::new(),
            more: 0,
            now: 0,
        }
    }

    /// Note something, and check it.
    pub fn see(&mut self, at: Micros, seen: Seen) {
        self.now = self.now.max(at);
        match seen {
            Seen::Block {
                member,
                height,
                id,
                transactions,
            } => self.block(member, height, id, &transactions),
            Seen::Head { member, height } => {
                let shown = self.height(member);
                if height < shown {
                    self.violate(
                        "S2",
                        Class::Safety,
                        format!("m{member} went back from height {shown} to {height}"),
                    );
                }
            }
            Seen::Accepted {
                id,
                number,
                first_try,
                ends,
            } => {
                if !self.ordered.contains_key(&id) {
                    self.open.insert(id);
                }
                let acceptance = Acceptance {
                    number,
                    first_try,
                    ends,
                };
                self.accepted.insert(id, acceptance);
            }
            Seen::Refused => self.refused += 1,
            Seen::Receipt(id, receipt) => self.receipt(id, receipt),
        }
    }

    fn block(
        &mut self,
        member: usize,
        height: Height,
        id: BlockId,
        transactions: &[TransactionId],
    ) {
        let shown = self.height(member);
        let Some(at) = height
            .0
            .checked_sub(1)
            .and_then(|at| usize::try_from(at).ok())
        else {
            return self.violate(
                "S2",
                Class::Safety,
                format!("m{member} showed a block at height {height}"),
            );
        };
        match self.chains[member].get(at) {
            Some(before) if *before != id => {
                let before = *before;
                self.violate(
                    "S2",
                    Class::Safety,
                    format!("m{member} showed {before} at height {height}, and later {id}"),
                );
            }
            Some(_) => {}
            None if at > self.chains[member].len() => {
                self.violate(
                    "S2",
                    Class::Safety,
                    format!("m{member} showed height {height} after {shown}"),
                );
                return;
            }
            None => self.chains[member].push(id),
        }
        self.agree(member, at, id, transactions);
    }

    /// S1 and S10. All heights below one that a member shows were shown by it, so `at` is at most one beyond the end.
    fn agree(&mut self, member: usize, at: usize, id: BlockId, transactions: &[TransactionId]) {
        let height = Height(at as u64 + 1);
        let Some((first, by, count)) = self.agreed.get(at).copied() else {
            assert_eq!(
                at,
                self.agreed.len(),
                "a member shows its blocks without a gap"
            );
            self.agreed.push((id, member, transactions.len()));
            for transaction in transactions {
                self.order(*transaction, height);
            }
            return;
        };
        if first != id {
            return self.violate(
                "S1",
                Class::Safety,
                format!("at height {height}, m{by} has {first} and m{member} has {id}"),
            );
        }
        let same = |id: &TransactionId| self.ordered.get(id).is_some_and(|found| *found <= height);
        if count != transactions.len() || !transactions.iter().all(same) {
            self.violate(
                "S1",
                Class::Safety,
                format!("m{by} and m{member} show different transactions in block {id}"),
            );
        }
    }

    fn order(&mut self, id: TransactionId, height: Height) {
        self.open.remove(&id);
        if let Some(before) = self.ordered.get(&id).copied() {
            return self.violate(
                "S10",
                Class::Safety,
                format!("{id} is ordered at height {before} and again at {height}"),
            );
        }
        self.ordered.insert(id, height);
        self.check_receipt(id);
    }

    fn receipt(&mut self, id: TransactionId, receipt: Receipt) {
        match self.receipts.get(&id).copied() {
            None => {
                self.receipts.insert(id, receipt);
                self.check_receipt(id);
            }
            Some(before) => {
                let same = Receipt {
                    member: receipt.member,
                    ..before
                };
                if same != receipt {
                    self.violate(
                        "S9",
                        Class::Safety,
                        format!("the receipt of {id} was {before:?} and became {receipt:?}"),
                    );
                }
            }
        }
    }

    /// S9: whatever came later, receipt or block, says the same.
    fn check_receipt(&mut self, id: TransactionId) {
        let (Some(receipt), Some(height)) = (self.receipts.get(&id), self.ordered.get(&id)) else {
            return;
        };
        if receipt.height != *height {
            let what = format!("{id} is at height {height}, its receipt said {receipt:?}");
            self.violate("S9", Class::Safety, what);
        }
    }

    /// Note a broken promise.
    pub fn violate(&mut self, checker: &'static str, class: Class, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation {
                checker,
                class,
                at: self.now,
                what,
            });
        } else {
            self.more += 1;
        }
    }

    /// Whether nothing is [`missing`](Self::missing).
    #[must_use]
    pub fn settled(&self, before: Height, blocks: u64) -> bool {
        let there = |member| self.height(member).0 >= before.0 + blocks;
        self.open.is_empty() && self.tip() > before && (0..self.chains.len()).all(there)
    }

    /// What still has to happen after the storm, whose end saw height `before`, and which promise that is.
    #[must_use]
    pub fn missing(&self, before: Height, blocks: u64) -> Vec<(&'static str, String)> {
        let mut missing = Vec::new();
        if self.tip() <= before {
            missing.push(("L1", format!("nothing was committed above height {before}")));
        }
        for member in 0..self.chains.len() {
            let height = self.height(member);
            if height.0 < before.0 + blocks {
                let what = format!(
                    "m{member} is at height {height}, not at {}",
                    before.0 + blocks
                );
                missing.push(("L4", what));
            }
        }
        missing.extend(self.open().take(NAMED_MAX).map(|(id, acceptance)| {
            let number = acceptance.number;
            let what = format!("transaction {number} ({id}) was accepted and is not ordered");
            ("L5", what)
        }));
        if self.open.len() > NAMED_MAX {
            let more = self.open.len() - NAMED_MAX;
            missing.push(("L5", format!("nor are {more} more that were accepted")));
        }
        missing
    }

    /// Accepted and not ordered.
    pub fn open(&self) -> impl Iterator<Item = (TransactionId, Acceptance)> {
        let acceptance = |id: &TransactionId| Some((*id, *self.accepted.get(id)?));
        self.open.iter().filter_map(acceptance)
    }

    /// The last height that a member showed.
    #[must_use]
    pub fn height(&self, member: usize) -> Height {
        Height(self.chains[member].len() as u64)
    }

    /// The last height that anybody showed.
    #[must_use]
    pub fn tip(&self) -> Height {
        Height(self.agreed.len() as u64)
    }

    /// How many transactions are accepted, ordered, and refused.
    #[must_use]
    pub fn counts(&self) -> [u64; 3] {
        let ordered = self.accepted.len() - self.open.len();
        [self.accepted.len() as u64, ordered as u64, self.refused]
    }

    /// All receipts, by transaction.
    #[must_use]
    pub const fn receipts(&self) -> &BTreeMap<TransactionId, Receipt> {
        &self.receipts
    }

    /// What is wrong, and how many more there were than are kept.
    #[must_use]
    pub fn violations(&self) -> (&[Violation], u64) {
        (&self.violations, self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(number: u8) -> TransactionId {
        TransactionId([number; 32])
    }

    fn block(member: usize, height: u64, id: u8, transactions: &[u8]) -> Seen {
        Seen::Block {
            member,
            height: Height(height),
            id: BlockId([id; 32]),
            transactions: transactions
                .iter()
                .map(|number| transaction(*number))
                .collect(),
        }
    }

    fn receipt(number: u8, height: u64, position: u64) -> Seen {
        let receipt = Receipt {
            member: 1,
            height: Height(height),
            block: BlockId([9; 32]),
            position,
        };
        Seen::Receipt(transaction(number), receipt)
    }

    fn accepted(number: u8) -> Seen {
        Seen::Accepted {
            id: transaction(number),
            number: u64::from(number),
            first_try: true,
            ends: 0,
        }
    }

    /// The checkers that fire, in order.
    fn fires(facts: impl IntoIterator<Item = Seen>) -> Vec<&'static str> {
        let mut observed = Observed::new(2);
        for (at, fact) in facts.into_iter().enumerate() {
            observed.see(at as u64, fact);
        }
        let (violations, more) = observed.violations();
        assert_eq!(more, 0);
        violations
            .iter()
            .map(|violation| violation.checker)
            .collect()
    }

    #[test]
    fn honest_members_break_no_promise() {
        let facts = [
            accepted(1),
            block(0, 1, 1, &[1]),
            receipt(1, 1, 0),
            block(0, 2, 2, &[2]),
            block(1, 1, 1, &[1]),
            block(1, 2, 2, &[2]),
            // Shown again after a restart.
            Seen::Head {
                member: 1,
                height: Height(2),
            },
            block(1, 1, 1, &[1]),
            receipt(1, 1, 0),
        ];
        assert_eq!(fires(facts), [""; 0]);
    }

    #[test]
    fn forks_gaps_and_changed_heights_are_seen() {
        assert_eq!(fires([block(0, 1, 1, &[]), block(1, 1, 2, &[])]), ["S1"]);
        assert_eq!(fires([block(0, 1, 1, &[1]), block(1, 1, 1, &[])]), ["S1"]);
        assert_eq!(fires([block(0, 1, 1, &[1]), block(1, 1, 1, &[2])]), ["S1"]);
        assert_eq!(fires([block(0, 1, 1, &[]), block(0, 3, 3, &[])]), ["S2"]);
        assert_eq!(fires([block(0, 0, 1, &[])]), ["S2"]);
        assert_eq!(
            fires([block(0, 1, 1, &[]), block(0, 1, 2, &[])]),
            ["S2", "S1"]
        );
        let back = Seen::Head {
            member: 0,
            height: Height(0),
        };
        assert_eq!(fires([block(0, 1, 1, &[]), back]), ["S2"]);
    }

    #[test]
    fn second_inclusions_and_revoked_receipts_are_seen() {
        let twice = [block(0, 1, 1, &[5]), block(0, 2, 2, &[5])];
        assert_eq!(fires(twice), ["S10"]);
        assert_eq!(fires([block(0, 1, 1, &[5, 5])]), ["S10"]);
        assert_eq!(fires([receipt(1, 2, 0), block(0, 1, 1, &[1])]), ["S9"]);
        assert_eq!(fires([block(0, 1, 1, &[1]), receipt(1, 2, 0)]), ["S9"]);
        assert_eq!(fires([receipt(1, 2, 0), receipt(1, 2, 1)]), ["S9"]);
    }

    #[test]
    fn what_is_missing_after_the_storm_is_named() {
        let mut observed = Observed::new(2);
        for fact in [accepted(1), block(0, 1, 1, &[]), block(1, 1, 1, &[])] {
            observed.see(1, fact);
        }
        let names = |observed: &Observed| -> Vec<&'static str> {
            let missing = observed.missing(Height(1), 1);
            assert_eq!(missing.is_empty(), observed.settled(Height(1), 1));
            missing.iter().map(|(checker, _)| *checker).collect()
        };
        assert_eq!(names(&observed), ["L1", "L4", "L4", "L5"]);
        assert_eq!(observed.open().count(), 1);
        observed.see(2, block(0, 2, 2, &[1]));
        assert_eq!(names(&observed), ["L4"]);
        observed.see(3, block(1, 2, 2, &[1]));
        assert_eq!(names(&observed), [""; 0]);
        assert_eq!(observed.counts(), [1, 1, 0]);
        // Known to be ordered before the answer was.
        observed.see(4, block(0, 3, 3, &[7]));
        observed.see(4, accepted(7));
        assert_eq!(names(&observed), [""; 0]);
    }

    #[test]
    fn violations_are_bounded() {
        let mut observed = Observed::new(1);
        for _ in 0..=VIOLATIONS_MAX {
            observed.violate("R2", Class::Panic, String::new());
        }
        assert_eq!(observed.violations().0.len(), VIOLATIONS_MAX);
        assert_eq!(observed.violations().1, 1);
    }
}
