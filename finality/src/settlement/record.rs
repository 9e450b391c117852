//! What a member has attested to: it must be on its disk before the attestation leaves, or the member could attest to two blocks of one
//! height, which costs its stake.

use super::SETTLEMENT_POINTS_MAX;
use bytes::BufMut;
use commonware_codec::Buf;
use outrider_types::codec::{EncodeSize, Error, FixedSize, RangeCfg, Read, ReadExt, Write};
use outrider_types::{Block, BlockId, CommitteeId, Height, Timestamp};
use std::collections::BTreeMap;

/// Blocks that are remembered. Of too many, every second one is forgotten, but for the last of an epoch.
pub const ATTESTED_MAX: usize = 2 * SETTLEMENT_POINTS_MAX;

/// The blocks that a member has attested to.
///
/// It attests to a block that is higher than all of them, or is one of them, and to nothing else: what is forgotten is never attested
/// to again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestedBlocks {
    /// Epochs count whose base is later than this: before, the member may have attested to something that it does not know of.
    epochs_after: Timestamp,
    highest: Height,
    /// The blocks, and whether each is the last of its epoch.
    blocks: BTreeMap<Height, (BlockId, bool)>,
}

impl AttestedBlocks {
    /// Of a member that has attested to nothing in epochs whose base is later than this.
    #[must_use]
    pub const fn new(epochs_after: Timestamp) -> Self {
        Self {
            epochs_after,
            highest: Height(0),
            blocks: BTreeMap::new(),
        }
    }

    /// Whether the member may attest to this block, of an epoch with this base; it then must not attest to another one of the height.
    #[must_use]
    pub fn may_attest(&self, block: &Block, base: Timestamp) -> bool {
        match self.blocks.get(&block.height) {
            Some((known, _)) => *known == block.id(),
            None => block.height > self.highest && base >= self.epochs_after,
        }
    }

    /// Add a block that the member may attest to. Whether it is new.
    pub fn add(&mut self, block: &Block) -> bool {
        if let Some((known, _)) = self.blocks.get(&block.height) {
            assert!(*known == block.id(), "two blocks of one height");
            return false;
        }
        assert!(block.height > self.highest, "heights rise");
        if self.blocks.len() >= ATTESTED_MAX {
            let mut keep = false;
            self.blocks.retain(|_, (_, is_end)| {
                keep = !keep;
                keep || *is_end
            });
        }
        // They are all ends of epochs: the oldest is of no use to anybody.
        if self.blocks.len() >= ATTESTED_MAX {
            self.blocks.pop_first();
        }
        let is_end = block.next != CommitteeId::NONE;
        self.blocks.insert(block.height, (block.id(), is_end));
        self.highest = block.height;
        true
    }
}

impl Write for AttestedBlocks {
    fn write(&self, buf: &mut impl BufMut) {
        self.epochs_after.write(buf);
        self.highest.write(buf);
        self.blocks.write(buf);
    }
}

impl EncodeSize for AttestedBlocks {
    fn encode_size(&self) -> usize {
        Timestamp::SIZE + Height::SIZE + self.blocks.encode_size()
    }
}

impl Read for AttestedBlocks {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        Ok(Self {
            epochs_after: Timestamp::read(buf)?,
            highest: Height::read(buf)?,
            blocks: BTreeMap::read_cfg(buf, &(RangeCfg::from(0..=ATTESTED_MAX), ((), ((), ()))))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_types::{decode, encode, testing};

    const BASE: Timestamp = Timestamp(50);

    fn block(height: u64, view: u64) -> Block {
        Block {
            height: Height(height),
            view: outrider_types::View(view),
            ..Block::genesis(&testing::committee(&[1; 4]).0)
        }
    }

    #[test]
    fn a_member_never_attests_to_two_blocks_of_one_height() {
        let mut attested = AttestedBlocks::new(Timestamp(0));
        let (one, two, rival) = (block(5, 5), block(9, 9), block(5, 6));
        assert!(attested.may_attest(&one, BASE));
        assert!(attested.add(&one));
        assert!(attested.may_attest(&one, BASE), "again to the same");
        assert!(!attested.may_attest(&rival, BASE));
        assert!(!attested.may_attest(&block(4, 4), BASE), "nothing below");
        assert!(attested.may_attest(&two, BASE));
        assert!(attested.add(&two));
        assert!(!attested.add(&two));
        let read: AttestedBlocks = decode(encode(&attested)).unwrap();
        assert_eq!(read, attested);
        assert!(read.may_attest(&one, BASE) && !read.may_attest(&rival, BASE));
    }

    #[test]
    fn epochs_that_it_may_have_forgotten_do_not_count() {
        let attested = AttestedBlocks::new(Timestamp(BASE.0 + 1));
        assert!(!attested.may_attest(&block(5, 5), BASE));
        assert!(attested.may_attest(&block(5, 5), Timestamp(BASE.0 + 1)));
    }

    #[test]
    fn what_is_forgotten_is_never_attested_to_again_and_the_end_of_an_epoch_is_kept() {
        let mut attested = AttestedBlocks::new(Timestamp(0));
        let last = Block {
            next: CommitteeId([1; 32]),
            ..block(2, 2)
        };
        for height in 1..=3 * ATTESTED_MAX as u64 {
            let next = if height == 2 {
                last
            } else {
                block(height, height)
            };
            assert!(attested.may_attest(&next, BASE));
            attested.add(&next);
        }
        assert!(attested.blocks.len() <= ATTESTED_MAX);
        assert!(attested.may_attest(&last, BASE));
        let forgotten = (1..3 * ATTESTED_MAX as u64)
            .map(|height| block(height, height))
            .find(|block| !attested.blocks.contains_key(&block.height));
        assert!(!attested.may_attest(&forgotten.unwrap(), BASE));
        let bytes = encode(&attested).len();
        assert!(bytes <= 128 * 1024, "{bytes} bytes for the journal");
    }
}
