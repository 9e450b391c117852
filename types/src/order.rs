//! Ordering policies: how a lane's transactions must stand in a block. Each is a pure function of the block alone, so that every
//! voter checks it and anyone can check it again later.

use crate::bundle;
use crate::codec::{Error, FixedSize, Read, ReadExt, Write};
use crate::crypto::sha256;
use crate::ids::{BlockId, TransactionId};
use crate::merkle::Hash;
use bytes::{BufMut, Bytes};
use commonware_codec::Buf;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::fmt;

/// How the transactions of one lane block are ordered.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// As they came to the members whose batches the block is made of. Which batch comes first is the leader's choice.
    #[default]
    Fcfs,
    /// Highest priority fee of an Ethereum transaction first; among equals as they came. What is no Ethereum transaction has fee 0.
    PriorityEthereum,
    /// The same, the fee being the first 8 bytes, big-endian; 0 if there are fewer.
    PriorityPrefix,
    /// By `sha256(parent block || transaction)`: a leader cannot choose who comes first among those that it includes.
    Shuffled,
}

impl Policy {
    /// All of them, by their byte.
    pub const ALL: [Self; 4] = [
        Self::Fcfs,
        Self::PriorityEthereum,
        Self::PriorityPrefix,
        Self::Shuffled,
    ];

    /// Its byte in encodings.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// Its name, as in configuration and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fcfs => "fcfs",
            Self::PriorityEthereum => "priority-ethereum",
            Self::PriorityPrefix => "priority-prefix",
            Self::Shuffled => "shuffled",
        }
    }

    /// Put transactions that stand in the order in which they came into the order of the policy, in a block on top of `parent`.
    /// Gives their places: the first is where the first one stood.
    #[must_use]
    pub fn arrange(
        self,
        parent: BlockId,
        transactions: &[Bytes],
        ids: &[TransactionId],
    ) -> Vec<usize> {
        let mut places: Vec<usize> = (0..transactions.len()).collect();
        match self {
            Self::Fcfs => {}
            Self::PriorityEthereum | Self::PriorityPrefix => {
                places.sort_by_cached_key(|at| {
                    Reverse(transactions.get(*at).map_or(0, |data| self.fee(data)))
                });
            }
            Self::Shuffled => {
                places.sort_by_cached_key(|at| ids.get(*at).map(|id| shuffle_key(parent, *id)));
            }
        }
        places
    }

    /// The first place at which transactions of a lane block on top of `parent` are not in the order of the policy, from 1.
    #[must_use]
    pub fn fault(
        self,
        parent: BlockId,
        transactions: &[Bytes],
        ids: &[TransactionId],
    ) -> Option<usize> {
        let unordered = match self {
            Self::Fcfs => None,
            Self::PriorityEthereum | Self::PriorityPrefix => transactions
                .windows(2)
                .position(|pair| self.fee(&pair[0]) < self.fee(&pair[1])),
            Self::Shuffled => ids
                .windows(2)
                .position(|pair| shuffle_key(parent, pair[0]) >= shuffle_key(parent, pair[1])),
        };
        unordered.map(|at| at + 1)
    }

    /// The fee that a transaction declares.
    #[must_use]
    pub fn fee(self, data: &[u8]) -> u128 {
        let data = bundle::inner(data);
        match self {
            Self::PriorityEthereum => ethereum_fee(data).unwrap_or(0),
            Self::PriorityPrefix => data
                .first_chunk::<8>()
                .map_or(0, |fee| u128::from(u64::from_be_bytes(*fee))),
            Self::Fcfs | Self::Shuffled => 0,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Policy {
    type Err = UnknownPolicy;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|policy| policy.name() == text);
        found.ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

/// Not the name of a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no ordering policy; there are fcfs, priority-ethereum, priority-prefix and shuffled"
)]
pub struct UnknownPolicy(String);

impl Write for Policy {
    fn write(&self, buf: &mut impl BufMut) {
        buf.put_u8(self.byte());
    }
}

impl FixedSize for Policy {
    const SIZE: usize = 1;
}

impl Read for Policy {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        let byte = u8::read(buf)?;
        let found = Self::ALL.into_iter().find(|policy| policy.byte() == byte);
        found.ok_or(Error::InvalidEnum(byte))
    }
}

/// Where a transaction stands in a shuffled lane block.
#[must_use]
pub fn shuffle_key(parent: BlockId, id: TransactionId) -> Hash {
    sha256(&[&parent.0, &id.0])
}

/// The priority fee of an Ethereum transaction (EIP-1559, EIP-4844, EIP-7702: `max_priority_fee_per_gas`; before them: `gas_price`);
/// none if it is not encoded as one. No signature is checked here.
fn ethereum_fee(data: &[u8]) -> Option<u128> {
    let (rlp, field) = match data.first()? {
        0x02..=0x04 => (&data[1..], 2),
        0x01 => (&data[1..], 2),
        0xc0..=0xff => (data, 1),
        _ => return None,
    };
    let (list, fields, _) = rlp_item(rlp)?;
    if !list {
        return None;
    }
    let mut rest = fields;
    for _ in 0..field {
        rest = rlp_item(rest)?.2;
    }
    let (list, value, _) = rlp_item(rest)?;
    let canonical = !list && value.len() <= 16 && value.first() != Some(&0);
    canonical.then(|| {
        value
            .iter()
            .fold(0, |sum, byte| sum << 8 | u128::from(*byte))
    })
}

/// The first item of an RLP sequence: whether it is a list, what it holds, and what follows it.
fn rlp_item(data: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let (first, rest) = data.split_first()?;
    let long = |size: u8| {
        let size = usize::from(size);
        let length = rest.get(..size).filter(|_| size <= 4)?;
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        Some((size, length))
    };
    let (list, skip, length) = match first {
        0x00..=0x7f => return Some((false, &data[..1], rest)),
        0x80..=0xb7 => (false, 0, usize::from(first - 0x80)),
        0xb8..=0xbf => long(first - 0xb7).map(|(skip, length)| (false, skip, length))?,
        0xc0..=0xf7 => (true, 0, usize::from(first - 0xc0)),
        0xf8..=0xff => long(first - 0xf7).map(|(skip, length)| (true, skip, length))?,
    };
    let end = skip.checked_add(length)?;
    Some((list, rest.get(skip..end)?, rest.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RollupId;
    use crate::payload::Transaction;
    use proptest::prelude::*;

    const PARENT: BlockId = BlockId([7; 32]);

    fn ids(list: &[Bytes]) -> Vec<TransactionId> {
        let id = |data: &Bytes| {
            Transaction {
                rollup: RollupId(1),
                data: data.clone(),
            }
            .id()
        };
        list.iter().map(id).collect()
    }

    #[test]
    fn fees_of_ethereum_transactions_are_read() {
        // A legacy transaction: nonce 9, gas price 20 gwei (the example of EIP-155).
        let legacy = hex::decode("f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83").unwrap();
        assert_eq!(ethereum_fee(&legacy), Some(20_000_000_000));
        // chain 1, nonce 0, priority 5, max 9.
        assert_eq!(ethereum_fee(&[0x02, 0xc4, 0x01, 0x80, 0x05, 0x09]), Some(5));
        assert_eq!(ethereum_fee(&[0x02, 0xc4, 0x01, 0x80, 0x80, 0x09]), Some(0));
        for broken in [
            &[][..],
            &[0x02],
            &[0x02, 0xc3, 0x01, 0x80],
            &[0x05, 0xc1, 0x01],
            &[0xf9, 0xff],
            &[0x02, 0x83, 1, 2, 3],
        ] {
            assert_eq!(ethereum_fee(broken), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_arranged_has_no_fault_and_nothing_else_but_equals_has_none(
            list in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 8..12), 0..12),
            policy in 0..4_usize,
            swap in any::<(usize, usize)>(),
        ) {
            let policy = Policy::ALL[policy];
            let list: Vec<Bytes> = list.into_iter().map(Bytes::from).collect();
            let places = policy.arrange(PARENT, &list, &ids(&list));
            let arranged: Vec<Bytes> = places.iter().map(|at| list[*at].clone()).collect();
            prop_assert_eq!(policy.fault(PARENT, &arranged, &ids(&arranged)), None);
            if list.len() > 1 && policy != Policy::Fcfs {
                let mut wrong = arranged;
                let (one, two) = (swap.0 % list.len(), swap.1 % list.len());
                wrong.swap(one, two);
                let same = policy != Policy::Shuffled && policy.fee(&wrong[one]) == policy.fee(&wrong[two]);
                let fault = policy.fault(PARENT, &wrong, &ids(&wrong));
                prop_assert_eq!(fault.is_none(), one == two || same);
            }
        }

        #[test]
        fn any_bytes_have_a_fee(data in prop::collection::vec(any::<u8>(), 0..64)) {
            for policy in Policy::ALL {
                let _ = policy.fee(&data);
            }
        }
    }
}
