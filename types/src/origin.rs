//! What a header says of the settlement chain (L1): the L1 block that it builds on, and how much of the forced inbox there is
//! consumed (F17, F18).

use crate::codec::{hex_id, wire_struct};
use serde::{Deserialize, Serialize};

hex_id! {
    /// Hash of a block of the settlement chain.
    L1BlockHash
}

/// The L1 origin of a block. It never goes back along a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Number of an L1 block that was final there; 0: none.
    pub number: u64,
    /// Its hash; zero if there is none.
    pub hash: L1BlockHash,
    /// How many entries of the forced inbox are consumed, this block included.
    pub inbox: u64,
}

wire_struct!(Origin {
    number,
    hash,
    inbox
});

impl Origin {
    /// Of genesis, of fillers (R13), and of every block of a network without a settlement chain.
    pub const NONE: Self = Self {
        number: 0,
        hash: L1BlockHash([0; 32]),
        inbox: 0,
    };

    /// F17: whether it may stand on top of a block of this origin. The same number is the same block, and nothing goes back.
    #[must_use]
    pub fn follows(&self, parent: &Self) -> bool {
        let same = self.number == parent.number && self.hash == parent.hash;
        (same || self.number > parent.number) && self.inbox >= parent.inbox
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f17_origin_never_goes_back() {
        let origin = |number, hash, inbox| Origin {
            number,
            hash: L1BlockHash([hash; 32]),
            inbox,
        };
        let parent = origin(7, 1, 3);
        for good in [parent, origin(7, 1, 4), origin(8, 2, 3), origin(9, 1, 9)] {
            assert!(good.follows(&parent), "{good:?}");
        }
        for bad in [
            origin(7, 2, 3),
            origin(6, 1, 3),
            origin(8, 2, 2),
            Origin::NONE,
        ] {
            assert!(!bad.follows(&parent), "{bad:?}");
        }
        assert!(parent.follows(&Origin::NONE));
        assert!(Origin::NONE.follows(&Origin::NONE));
    }
}
