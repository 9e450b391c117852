//! Settling on another chain (L1): which blocks are settled, whose signatures that takes, and who sends them there.
//!
//! ```text
//! final block --is_settlement_point--> members attest --Attestations--> quorum --turn, Cadence--> one of them sends it to L1
//! what L1 says --Tracker--> soft >= settled >= final
//! ```
//!
//! Nothing here can undo anything: a soft-final block stays so whatever L1 does.

mod record;

pub use record::{ATTESTED_MAX, AttestedBlocks};

use outrider_types::{
    Attestation, Block, BlockId, Committee, CommitteeId, Epoch, Height, MemberIndex, Stake,
    Timestamp,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Blocks of which members sign that they are final: the first in each stretch of so much time, by their timestamps.
pub const SETTLEMENT_POINT_EVERY: Duration = Duration::from_secs(2);
/// SettlementPoints that are remembered until one of them, or a later one, is settled.
pub const SETTLEMENT_POINTS_MAX: usize = 1_024;

/// Whether members attest to this block: it is the first of a stretch of [`SETTLEMENT_POINT_EVERY`], or the last of its epoch, which hands over
/// to the next committee. The same for everyone who has both blocks.
#[must_use]
pub fn is_settlement_point(parent: &Block, block: &Block) -> bool {
    let stretch =
        |block: &Block| u128::from(block.timestamp.0) / SETTLEMENT_POINT_EVERY.as_micros();
    block.next != CommitteeId::NONE || stretch(block) > stretch(parent)
}

/// A block that members attest to.
#[derive(Clone, Debug)]
pub struct SettlementPoint {
    /// The block.
    pub block: Block,
    /// Its id.
    pub id: BlockId,
    attestations: BTreeMap<MemberIndex, Attestation>,
    /// When there were enough of them.
    complete: Option<Timestamp>,
}

impl SettlementPoint {
    /// The attestations, members ascending.
    pub fn attestations(&self) -> impl Iterator<Item = &Attestation> {
        self.attestations.values()
    }

    /// Since when members of stake >= Q attest to it.
    #[must_use]
    pub const fn complete(&self) -> Option<Timestamp> {
        self.complete
    }

    fn is_enough(&self, committee: &Committee) -> bool {
        let stake = committee.stake_of(self.attestations.keys().copied());
        stake.unwrap_or(Stake(0)) >= committee.thresholds().quorum
    }
}

/// What became of an attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attested {
    /// It was not known before.
    New,
    /// It completes the quorum.
    Complete,
    /// It was known, or its block is settled or no point here.
    Known,
}

/// Attestations of the points that are not settled yet.
#[derive(Clone, Debug, Default)]
pub struct Attestations {
    points: BTreeMap<Height, SettlementPoint>,
    /// Those for blocks that are not final here yet, by signer: one each.
    early: BTreeMap<MemberIndex, Attestation>,
    /// As of the newest L1 block.
    settled: Height,
    /// As of the final L1 block: nothing up to here is needed any more, whatever L1 does.
    finalized: Height,
}

impl Attestations {
    /// A point is final here. Of too many, every second one is forgotten, but for the last of an epoch: any later one settles all before
    /// it in its epoch.
    pub fn open(&mut self, block: Block, id: BlockId) {
        if block.height <= self.finalized {
            return;
        }
        if self.points.len() >= SETTLEMENT_POINTS_MAX {
            let mut keep = false;
            self.points.retain(|_, old| {
                keep = !keep;
                keep || old.block.next != CommitteeId::NONE
            });
        }
        let point = SettlementPoint {
            block,
            id,
            attestations: BTreeMap::new(),
            complete: None,
        };
        self.points.entry(block.height).or_insert(point);
    }

    /// An attestation whose signature was checked.
    pub fn add(
        &mut self,
        attestation: Attestation,
        committee: &Committee,
        now: Timestamp,
    ) -> Attested {
        if attestation.height <= self.finalized {
            return Attested::Known;
        }
        let Some(point) = self.points.get_mut(&attestation.height) else {
            self.early.insert(attestation.signer, attestation);
            return Attested::Known;
        };
        let fits = point.id == attestation.block
            && point.block.epoch == committee.epoch()
            && attestation.epoch == committee.epoch();
        let held = &mut point.attestations;
        if !fits || held.insert(attestation.signer, attestation).is_some() {
            return Attested::Known;
        }
        if point.complete.is_none() && point.is_enough(committee) {
            point.complete = Some(now);
            return Attested::Complete;
        }
        Attested::New
    }

    /// Attestations that came before their block was final here; to be added again.
    pub fn take_early(&mut self, height: Height) -> Vec<Attestation> {
        let (due, early) = std::mem::take(&mut self.early)
            .into_iter()
            .partition(|(_, one)| one.height <= height);
        self.early = early;
        BTreeMap::into_values(due).collect()
    }

    /// What L1 has settled as of its newest block and as of its final one. Points in between are kept: L1 may reorganise, and then takes
    /// them again.
    pub fn settled(&mut self, settled: Height, finalized: Height) {
        self.settled = settled;
        self.finalized = self.finalized.max(finalized);
        self.points = self.points.split_off(&self.finalized.next());
    }

    /// Keep what is still signed by whom L1 has as a member's attester: it may have changed.
    pub fn recheck(&mut self, committee: &Committee, is_signed: impl Fn(&Attestation) -> bool) {
        let of_epoch = |point: &&mut SettlementPoint| point.block.epoch == committee.epoch();
        for point in self.points.values_mut().filter(of_epoch) {
            point.attestations.retain(|_, one| is_signed(one));
            if !point.is_enough(committee) {
                point.complete = None;
            }
        }
    }

    /// What to send to a contract that is in this epoch: the last block of the epoch once that has a quorum, for nothing of the next epoch
    /// counts there before; else the latest point that has one.
    #[must_use]
    pub fn next(&self, epoch: Epoch) -> Option<&SettlementPoint> {
        let ready = |one: &&SettlementPoint| one.complete.is_some() && one.block.epoch == epoch;
        let mut ready = self.points.values().filter(ready);
        // The last of an epoch is also its highest.
        ready.next_back()
    }

    /// This member's attestations to blocks that L1 has not settled.
    pub fn own(&self, member: MemberIndex) -> impl Iterator<Item = &Attestation> {
        let above = self.points.range(self.settled.next()..);
        above.filter_map(move |(_, one)| one.attestations.get(&member))
    }
}

/// Whether it is a member's turn to send a point, `waited` after it could be sent. Members take turns from point to point, and
/// whoever is next takes over after each `fallback`.
#[must_use]
pub fn is_turn(
    height: Height,
    member: MemberIndex,
    members: usize,
    waited: Duration,
    fallback: Duration,
) -> bool {
    let members = u64::try_from(members).unwrap_or(1).max(1);
    // Heights of points may all be even.
    let first = height.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let place = (u64::from(member.0) + members - first % members) % members;
    let passed = waited.as_micros() / fallback.as_micros().max(1);
    passed >= u128::from(place)
}

/// How often points are sent: every `target` while gas costs what it usually does, less often when it costs more, and at the latest after
/// `latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// Usual time between two.
    pub target: Duration,
    /// Longest time between two.
    pub latest: Duration,
}

/// Blocks of L1 whose base fees tell what is usual.
pub const FEES_KEPT: usize = 256;

/// What gas usually costs on L1.
#[derive(Clone, Debug, Default)]
pub struct Fees {
    last: Vec<u128>,
}

impl Fees {
    /// The base fees of L1 blocks, in wei, the newest last; of these the newest [`FEES_KEPT`] count.
    #[must_use]
    pub fn of(mut base_fees: Vec<u128>) -> Self {
        let many = base_fees.len().saturating_sub(FEES_KEPT);
        base_fees.drain(..many);
        Self { last: base_fees }
    }

    /// How many times the median the last one is, rounded up; at least 1.
    #[must_use]
    pub fn factor(&self) -> u32 {
        let mut sorted = self.last.clone();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0).max(1);
        let last = self.last.last().copied().unwrap_or(0);
        u32::try_from(last.div_ceil(median))
            .unwrap_or(u32::MAX)
            .max(1)
    }
}

impl Cadence {
    /// How long to wait after the last settlement.
    #[must_use]
    pub fn pause(&self, fees: &Fees) -> Duration {
        // Up to half more than usual is usual.
        let factor = fees.factor();
        let factor = if factor <= 2 { 1 } else { factor };
        self.target.saturating_mul(factor).min(self.latest)
    }
}

/// How far blocks have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tracker {
    soft: Height,
    settled: Height,
    #[serde(rename = "final")]
    finalized: Height,
}

impl Tracker {
    /// The last soft-final height. It never goes back.
    pub fn soft(&mut self, height: Height) {
        self.soft = self.soft.max(height);
    }

    /// What L1 says: settled in its latest block, and in its last final one. Settled goes back when L1 reorganises; what is final there does
    /// not, and false says that L1 took it back all the same.
    pub fn l1(&mut self, latest: Height, finalized: Height) -> bool {
        let kept = finalized >= self.finalized;
        self.finalized = self.finalized.max(finalized);
        self.settled = latest.max(self.finalized);
        kept
    }

    /// Up to here, blocks are final by certificate.
    #[must_use]
    pub const fn soft_height(&self) -> Height {
        self.soft
    }

    /// Up to here, L1 knows them.
    #[must_use]
    pub const fn settled_height(&self) -> Height {
        self.settled
    }

    /// Up to here, L1 knows them in a block that is final there.
    #[must_use]
    pub const fn final_height(&self) -> Height {
        self.finalized
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::{AttesterSignature, testing};

    fn block(height: u64, seconds: u64) -> Block {
        Block {
            height: Height(height),
            timestamp: Timestamp(seconds * 1_000_000),
            ..Block::genesis(&testing::committee(&[1; 4]).0)
        }
    }

    fn attest(block: &Block, signer: u16) -> Attestation {
        Attestation {
            epoch: block.epoch,
            height: block.height,
            block: block.id(),
            signer: MemberIndex(signer),
            signature: AttesterSignature([7; 64]),
        }
    }

    #[test]
    fn one_block_in_each_stretch_of_time_is_a_point_and_the_last_of_an_epoch() {
        assert!(!is_settlement_point(&block(1, 2), &block(2, 3)));
        assert!(is_settlement_point(&block(1, 3), &block(2, 4)));
        assert!(is_settlement_point(&block(1, 3), &block(2, 400)));
        let last = Block {
            next: CommitteeId([1; 32]),
            ..block(2, 3)
        };
        assert!(is_settlement_point(&block(1, 2), &last));
    }

    #[test]
    fn quorum_of_attestations_completes_a_point_once() {
        let committee = testing::committee(&[1; 4]).0;
        let (one, two) = (block(1, 2), block(2, 4));
        let mut all = Attestations::default();
        all.open(one, one.id());
        let add = |all: &mut Attestations, attestation, at| {
            all.add(attestation, &committee, Timestamp(at))
        };
        assert_eq!(add(&mut all, attest(&one, 0), 1), Attested::New);
        assert_eq!(add(&mut all, attest(&one, 0), 2), Attested::Known);
        assert_eq!(add(&mut all, attest(&block(1, 3), 1), 2), Attested::Known);
        assert_eq!(add(&mut all, attest(&one, 1), 3), Attested::New);
        assert!(all.next(one.epoch).is_none());
        assert_eq!(add(&mut all, attest(&one, 3), 4), Attested::Complete);
        assert_eq!(add(&mut all, attest(&one, 2), 5), Attested::New);
        let next = all.next(one.epoch).unwrap();
        assert_eq!((next.id, next.complete()), (one.id(), Some(Timestamp(4))));
        assert_eq!(next.attestations().count(), 4);
        assert!(all.next(one.epoch.next()).is_none());

        // Before its block is final here, an attestation waits.
        assert_eq!(add(&mut all, attest(&two, 1), 6), Attested::Known);
        all.open(two, two.id());
        assert!(all.take_early(one.height).is_empty());
        assert_eq!(all.take_early(two.height), [attest(&two, 1)]);
    }

    #[test]
    fn attestations_stay_until_their_block_is_settled_in_a_final_block_of_l1() {
        let committee = testing::committee(&[1; 4]).0;
        let last = Block {
            next: CommitteeId([1; 32]),
            ..block(1, 2)
        };
        let mut all = Attestations::default();
        all.open(last, last.id());
        for signer in [0, 1, 2] {
            all.add(attest(&last, signer), &committee, Timestamp(1));
        }
        assert_eq!(all.own(MemberIndex(0)).count(), 1);
        all.settled(last.height, Height(0));
        assert_eq!(all.own(MemberIndex(0)).count(), 0, "said often enough");
        // L1 reorganises: the end of the epoch is settled no more, and must be sent again.
        all.settled(Height(0), Height(0));
        assert_eq!(all.own(MemberIndex(0)).count(), 1);
        assert_eq!(all.next(last.epoch).map(|one| one.id), Some(last.id()));
        all.settled(last.height, last.height);
        assert!(all.next(last.epoch).is_none());
        let late = all.add(attest(&last, 3), &committee, Timestamp(7));
        assert_eq!(late, Attested::Known);
        all.open(last, last.id());
        assert!(all.points.is_empty());
    }

    #[test]
    fn attestations_of_an_attester_that_was_replaced_on_l1_count_no_more() {
        let committee = testing::committee(&[1; 4]).0;
        let one = block(1, 2);
        let mut all = Attestations::default();
        all.open(one, one.id());
        for signer in [0, 1, 2] {
            all.add(attest(&one, signer), &committee, Timestamp(1));
        }
        all.recheck(&committee, |_| true);
        assert!(all.next(one.epoch).is_some());
        all.recheck(&committee, |one| one.signer != MemberIndex(1));
        assert!(all.next(one.epoch).is_none());
        let again = all.add(attest(&one, 1), &committee, Timestamp(9));
        assert_eq!(again, Attested::Complete);
        let next = all.next(one.epoch).unwrap();
        assert_eq!(next.complete(), Some(Timestamp(9)));
    }

    #[test]
    fn of_many_points_some_are_forgotten_but_never_the_end_of_an_epoch() {
        let mut all = Attestations::default();
        for height in 1..=3 * SETTLEMENT_POINTS_MAX as u64 {
            let next = CommitteeId([u8::from(height == 2); 32]);
            let block = Block {
                next,
                ..block(height, height)
            };
            all.open(block, block.id());
        }
        assert!(all.points.len() <= SETTLEMENT_POINTS_MAX);
        assert!(all.points.contains_key(&Height(2)));
        assert!(
            all.points
                .contains_key(&Height(3 * SETTLEMENT_POINTS_MAX as u64))
        );
    }

    #[test]
    fn members_take_turns_and_take_over_one_after_the_other() {
        let fallback = Duration::from_secs(5);
        let turn = |height, member, waited| {
            is_turn(
                Height(height),
                MemberIndex(member),
                4,
                Duration::from_secs(waited),
                fallback,
            )
        };
        let mut first = [0; 4];
        for height in 0..400 {
            for waited in [0, 5, 10, 15] {
                let able = (0..4).filter(|member| turn(height * 2, *member, waited));
                let able: Vec<u16> = able.collect();
                assert_eq!(able.len() as u64, 1 + waited / 5);
                if waited == 0 {
                    first[usize::from(able[0])] += 1;
                }
            }
        }
        assert!(first.iter().all(|count| *count > 50), "{first:?}");
    }

    #[test]
    fn dear_gas_makes_settlements_rarer_up_to_a_limit() {
        let cadence = Cadence {
            target: Duration::from_secs(10),
            latest: Duration::from_secs(60),
        };
        let pause = |last: &[u128]| {
            let mut fees = vec![100; FEES_KEPT];
            fees.extend(last);
            cadence.pause(&Fees::of(fees))
        };
        assert_eq!(cadence.pause(&Fees::default()), cadence.target);
        assert_eq!(pause(&[]), cadence.target);
        assert_eq!(pause(&[150]), cadence.target);
        assert_eq!(pause(&[400]), Duration::from_secs(40));
        assert_eq!(pause(&[100_000]), cadence.latest);
        assert_eq!(pause(&[100_000, 100]), cadence.target);
        // What is dear for long enough is usual, and what was before is forgotten.
        assert_eq!(pause(&[400; FEES_KEPT / 2 - 1]), Duration::from_secs(40));
        assert_eq!(pause(&[400; FEES_KEPT / 2]), cadence.target);
        assert_eq!(Fees::of(vec![1; 2 * FEES_KEPT]).last.len(), FEES_KEPT);
    }

    #[test]
    fn settled_goes_back_with_l1_and_soft_and_final_never() {
        let mut tracker = Tracker::default();
        tracker.soft(Height(50));
        assert!(tracker.l1(Height(40), Height(20)));
        assert!(tracker.l1(Height(30), Height(20)));
        tracker.soft(Height(45));
        let heights = |tracker: &Tracker| {
            [
                tracker.soft_height().0,
                tracker.settled_height().0,
                tracker.final_height().0,
            ]
        };
        assert_eq!(heights(&tracker), [50, 30, 20]);
        assert!(!tracker.l1(Height(10), Height(10)));
        assert_eq!(heights(&tracker), [50, 20, 20]);
    }
}
