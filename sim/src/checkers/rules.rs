//! The protocol's arithmetic, told a second time: thresholds, `resolve`, payload commitments. Nothing here calls the
//! code that it is there to check.

use outrider_types::{
    BatchId, BlockId, Bytes, Committee, Payload, PayloadId, RollupId, TimeoutCertificate,
    TransactionId,
};
use sha2::{Digest as _, Sha256};

/// Thresholds of protocol section 1, in stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// `f`.
    pub byzantine: u64,
    /// `Q`, certificates.
    pub quorum: u64,
    /// `T`, timeout certificates.
    pub timeout: u64,
    /// `F`, fast commit.
    pub fast: u64,
    /// `A`, adoption.
    pub adoption: u64,
}

impl Thresholds {
    /// Of so much stake with `f` Byzantine and `c` crashed.
    #[must_use]
    pub const fn of(total: u64, f: u64, c: u64) -> Self {
        // Votes of Q from two sides overlap in more than f: the least Q with 2Q > N + f.
        let mut quorum = (total.saturating_add(f)) / 2;
        while 2 * quorum <= total + f {
            quorum += 1;
        }
        // The largest p with N >= 3f + c + 2p + 1.
        let spare = total.saturating_sub(3 * f + c + 1);
        let missing = spare / 2;
        Self {
            byzantine: f,
            quorum,
            timeout: total.saturating_sub(f + c),
            fast: total - missing,
            adoption: f + missing + 1,
        }
    }
}

/// An epoch as the checkers know it.
#[derive(Clone, Debug)]
pub struct EpochRules {
    /// Its number.
    pub number: u64,
    /// For the signatures of Byzantine members, and nothing else.
    pub committee: Committee,
    /// Host of each member.
    pub hosts: Vec<usize>,
    /// Stake of each member.
    pub stakes: Vec<u64>,
    /// Whether each member keeps to the rules.
    pub honest: Vec<bool>,
    /// Thresholds.
    pub thresholds: Thresholds,
    /// More than `f` stake is Byzantine: agreement is not promised.
    pub overrun: bool,
    /// Byzantine stake is a quorum by itself, or more: not even accountability is promised.
    pub lost: bool,
    /// The last height of the epoch, if it ends and its base is known.
    pub last: Option<u64>,
}

impl EpochRules {
    fn new(
        committee: &Committee,
        hosts: &[usize],
        byzantine: &[bool],
        faults: (u64, u64),
        base: Option<u64>,
    ) -> Self {
        let stakes: Vec<u64> = committee.members().iter().map(|one| one.stake.0).collect();
        let total = stakes.iter().sum();
        let (f, c) = faults;
        let honest: Vec<bool> = hosts
            .iter()
            .map(|host| !byzantine.get(*host).copied().unwrap_or_default())
            .collect();
        let faulty: u64 = stakes
            .iter()
            .zip(&honest)
            .filter(|(_, honest)| !**honest)
            .map(|(stake, _)| *stake)
            .sum();
        let thresholds = Thresholds::of(total, f, c);
        Self {
            number: committee.epoch().0,
            committee: committee.clone(),
            hosts: hosts.to_vec(),
            stakes,
            honest,
            thresholds,
            overrun: faulty > f,
            lost: faulty >= thresholds.quorum,
            last: committee
                .epoch_blocks()
                .zip(base)
                .map(|(blocks, base)| base + blocks),
        }
    }

    /// The host of a member.
    #[must_use]
    pub fn host(&self, member: usize) -> Option<usize> {
        self.hosts.get(member).copied()
    }

    /// Whether there is such a member, and it keeps to the rules.
    #[must_use]
    pub fn is_honest(&self, member: usize) -> bool {
        self.honest.get(member).copied().unwrap_or_default()
    }

    /// What a timeout certificate adopts: the block that most stake reports, the smaller of two with the same, if that
    /// stake is at least `A`.
    #[must_use]
    pub fn adopts(&self, timeouts: &TimeoutCertificate) -> Option<BlockId> {
        let mut reported: Vec<(u64, BlockId)> = Vec::new();
        for entry in &timeouts.entries {
            let stake = self.stakes.get(entry.member.index()).copied();
            let (Some(block), Some(stake)) = (entry.voted, stake) else {
                continue;
            };
            match reported.iter_mut().find(|(_, other)| *other == block) {
                Some((sum, _)) => *sum += stake,
                None => reported.push((stake, block)),
            }
        }
        reported
            .into_iter()
            .max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)))
            .filter(|(stake, _)| *stake >= self.thresholds.adoption)
            .map(|(_, block)| block)
    }
}

/// Most epochs that are remembered.
pub const EPOCHS_KEPT: usize = 4;

/// Epochs by number, the last few.
#[derive(Debug, Default)]
pub struct Epochs {
    byzantine: Vec<bool>,
    /// `f` and `c` of the first committee, as the scenario says.
    faults: Option<(u64, u64)>,
    list: Vec<EpochRules>,
}

impl Epochs {
    /// For a world with these Byzantine hosts; `faults` is what the scenario says of the first committee.
    #[must_use]
    pub const fn new(byzantine: Vec<bool>, faults: Option<(u64, u64)>) -> Self {
        Self {
            byzantine,
            faults,
            list: Vec::new(),
        }
    }

    /// An epoch begins.
    pub fn begin(&mut self, committee: &Committee, hosts: &[usize]) {
        let number = committee.epoch().0;
        if self.get(number).is_some() {
            return;
        }
        let total: u64 = committee.members().iter().map(|one| one.stake.0).sum();
        let faults = if number == 0 {
            self.faults.unwrap_or((total.saturating_sub(1) / 3, 0))
        } else {
            // What a later committee assumes is its own choice.
            let stated = committee.thresholds();
            (stated.byzantine.0, stated.crashed.0)
        };
        let base = if number == 0 {
            Some(0)
        } else {
            self.get(number - 1).and_then(|before| before.last)
        };
        let rules = EpochRules::new(committee, hosts, &self.byzantine, faults, base);
        if self.list.len() >= EPOCHS_KEPT {
            self.list.remove(0);
        }
        self.list.push(rules);
    }

    /// An epoch, if it has begun and is not forgotten.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&EpochRules> {
        self.list.iter().rev().find(|one| one.number == number)
    }

    /// The last epoch that began.
    #[must_use]
    pub fn newest(&self) -> Option<&EpochRules> {
        self.list.last()
    }

    /// Whether a host keeps to the rules.
    #[must_use]
    pub fn honest(&self, host: usize) -> bool {
        !self.byzantine.get(host).copied().unwrap_or_default()
    }

    /// Whether any host breaks them.
    #[must_use]
    pub fn any_byzantine(&self) -> bool {
        self.byzantine.contains(&true)
    }
}

pub(super) fn sha(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// RFC 6962, section 2.1, over hashed leaves.
pub(super) fn merkle(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => sha(&[]),
        [leaf] => *leaf,
        _ => {
            let mut half = 1;
            while half * 2 < leaves.len() {
                half *= 2;
            }
            let (left, right) = leaves.split_at(half);
            sha(&[&[1], &merkle(left), &merkle(right)])
        }
    }
}

pub(super) fn count(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// The commitment to these transactions, which stand in order and grouped by rollup.
#[must_use]
pub fn payload_id(transactions: &[(RollupId, TransactionId)]) -> PayloadId {
    let lanes: Vec<[u8; 32]> = transactions
        .chunk_by(|one, next| one.0 == next.0)
        .map(|lane| {
            let leaves: Vec<[u8; 32]> = lane.iter().map(|(_, id)| sha(&[&[0], &id.0])).collect();
            let rollup = lane.first().map_or(0, |(rollup, _)| rollup.0);
            let parts: [&[u8]; 4] = [
                &[0],
                &rollup.to_be_bytes(),
                &count(leaves.len()),
                &merkle(&leaves),
            ];
            sha(&parts)
        })
        .collect();
    PayloadId(sha(&[&[2], &count(lanes.len()), &merkle(&lanes)]))
}

/// A transaction's id is the hash of its rollup and its bytes.
#[must_use]
pub fn transaction_id(rollup: RollupId, data: &Bytes) -> TransactionId {
    TransactionId(sha(&[&rollup.0.to_be_bytes(), data.as_ref()]))
}

/// The name of a spread batch of these transactions.
#[must_use]
pub fn batch_id(transactions: &[(RollupId, TransactionId, Bytes)]) -> BatchId {
    let mut parts: Vec<&[u8]> = vec![b"outrider/batch"];
    parts.extend(transactions.iter().map(|(_, id, _)| id.0.as_slice()));
    BatchId(sha(&parts))
}

/// The commitment to a payload, counted from its bytes.
#[must_use]
pub fn payload_of(payload: &Payload) -> PayloadId {
    let pairs: Vec<(RollupId, TransactionId)> = payload
        .batches
        .iter()
        .flat_map(|batch| {
            let rollup = batch.rollup;
            let pair = move |data| (rollup, transaction_id(rollup, data));
            batch.transactions.iter().map(pair)
        })
        .collect();
    payload_id(&pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::Batch;

    #[test]
    fn thresholds_are_those_of_the_specification() {
        let of = |n, f, c| {
            let t = Thresholds::of(n, f, c);
            (t.quorum, t.timeout, t.fast, t.adoption)
        };
        assert_eq!(of(4, 1, 0), (3, 3, 4, 2));
        assert_eq!(of(6, 1, 0), (4, 5, 5, 3));
        assert_eq!(of(100, 20, 15), (61, 65, 88, 33));
    }

    #[test]
    fn payload_ids_are_those_of_the_specification() {
        let batch = |rollup, many: u8| Batch {
            rollup: RollupId(rollup),
            transactions: (0..many).map(|one| Bytes::from(vec![one; 5])).collect(),
        };
        for batches in [vec![], vec![batch(1, 1)], vec![batch(1, 5), batch(9, 3)]] {
            let payload = Payload { batches };
            let pairs: Vec<_> = payload
                .batches
                .iter()
                .flat_map(|batch| batch.ids().map(|id| (batch.rollup, id)))
                .collect();
            assert_eq!(payload_id(&pairs), payload.id());
            assert_eq!(payload_of(&payload), payload.id());
        }
    }
}
