//! What a block above the tip must say of the ledger: its lane blocks follow from those of its uncommitted ancestors.

use crate::ledger::{Ahead, Ledger, LedgerError, check_roots};
use outrider_types::{Block, BlockId, CheckedPayload, LaneBlock, Roots};
use std::collections::BTreeMap;

/// Blocks above the tip whose payload was checked, with their lane blocks. As many are held as the replica holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    blocks: BTreeMap<BlockId, (Block, Vec<LaneBlock>)>,
}

impl Outlook {
    /// What a block on top of `parent` must say, if it holds this payload. None if the parent or one of its ancestors was not
    /// checked yet, or does not descend from the tip.
    #[must_use]
    pub fn roots(
        &self,
        ledger: &Ledger,
        parent: BlockId,
        payload: &CheckedPayload,
    ) -> Option<Roots> {
        let ahead = self.ahead(ledger, parent)?;
        Some(ledger.outlook(&ahead, payload).1)
    }

    /// F13: check what a block says of the ledger, and remember it if it is so. None means the same as for
    /// [`roots`](Self::roots).
    pub fn check(
        &mut self,
        ledger: &Ledger,
        block: &Block,
        payload: &CheckedPayload,
    ) -> Option<Result<(), LedgerError>> {
        let ahead = self.ahead(ledger, block.parent)?;
        let (lanes, roots) = ledger.outlook(&ahead, payload);
        let checked = check_roots(block, &roots);
        if checked.is_ok() {
            self.blocks.insert(block.id(), (*block, lanes));
        }
        Some(checked)
    }

    /// Forget a block.
    pub fn remove(&mut self, block: &BlockId) {
        self.blocks.remove(block);
    }

    /// Keep only what is of use.
    pub fn retain(&mut self, of_use: impl Fn(BlockId) -> bool) {
        self.blocks.retain(|block, _| of_use(*block));
    }

    /// From the tip up to this block, parents first.
    fn ahead(&self, ledger: &Ledger, block: BlockId) -> Option<Vec<Ahead<'_>>> {
        let tip = ledger.tip();
        let mut ahead = Vec::new();
        let mut id = block;
        while id != tip.id {
            let (block, lanes) = self.blocks.get(&id)?;
            if block.height <= tip.height {
                return None;
            }
            ahead.push(Ahead { id, lanes });
            id = block.parent;
        }
        ahead.reverse();
        Some(ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use outrider_types::{Batch, LaneHeight, Payload, RollupId, View, testing};

    fn payload(rollups: &[u64], salt: u8) -> CheckedPayload {
        let batch = |rollup: &u64| Batch {
            rollup: RollupId(*rollup),
            transactions: vec![Bytes::copy_from_slice(&[salt])],
        };
        let batches = rollups.iter().map(batch).collect();
        CheckedPayload::new(Payload { batches }).unwrap()
    }

    fn child(parent: &Block, payload: &CheckedPayload, roots: Roots) -> Block {
        Block {
            view: View(parent.view.0 + 1),
            height: parent.height.next(),
            parent: parent.id(),
            payload: payload.id,
            roots,
            ..*parent
        }
    }

    #[test]
    fn lane_blocks_follow_from_uncommitted_ancestors_as_they_will_from_the_ledger() {
        let genesis = Block::genesis(&testing::committee(&[1; 4]).0);
        let mut ledger = Ledger::new(&genesis);
        let mut outlook = Outlook::default();
        let mut branch: Vec<Block> = Vec::new();
        let payloads: Vec<_> = (0..6)
            .map(|salt| payload(&[1, 2 + u64::from(salt) % 2], salt))
            .collect();
        for payload in &payloads {
            let parent = *branch.last().unwrap_or(&genesis);
            let roots = outlook.roots(&ledger, parent.id(), payload).unwrap();
            let block = child(&parent, payload, roots);
            let checked = outlook.check(&ledger, &block, payload);
            assert_eq!(checked, Some(Ok(())));
            branch.push(block);
        }
        // The same with half of them in the ledger, and in the end in the ledger alone.
        for (at, (block, payload)) in branch.iter().zip(&payloads).enumerate() {
            assert_eq!(
                outlook.roots(&ledger, block.parent, payload),
                Some(block.roots),
                "at {at}"
            );
            ledger.append(block, payload).unwrap();
        }
        assert_eq!(ledger.lane(RollupId(1)).height, LaneHeight(6));
        assert_eq!(ledger.lane(RollupId(3)).height, LaneHeight(3));
        outlook.retain(|_| false);
        assert_eq!(outlook, Outlook::default());
    }

    #[test]
    fn wrong_roots_are_refused_and_unknown_ancestors_wait() {
        let genesis = Block::genesis(&testing::committee(&[1; 4]).0);
        let mut ledger = Ledger::new(&genesis);
        let mut outlook = Outlook::default();
        let (one, two) = (payload(&[1], 1), payload(&[1], 2));
        let roots = outlook.roots(&ledger, genesis.id(), &one).unwrap();
        let first = child(&genesis, &one, roots);
        let unchecked = outlook.roots(&ledger, first.id(), &two);
        assert_eq!(unchecked, None);
        for wrong in [
            Roots {
                lanes: Roots::NONE.lanes,
                ..roots
            },
            Roots {
                history: Roots::NONE.history,
                ..roots
            },
        ] {
            let block = child(&genesis, &one, wrong);
            let checked = outlook.check(&ledger, &block, &one);
            assert!(matches!(checked, Some(Err(LedgerError::Roots { .. }))));
            let appended = ledger.append(&block, &one);
            assert!(matches!(appended, Err(LedgerError::Roots { .. })));
        }
        assert_eq!(outlook, Outlook::default());
        assert_eq!(outlook.check(&ledger, &first, &one), Some(Ok(())));
        // Beside the tip nothing counts any more.
        let roots = outlook.roots(&ledger, genesis.id(), &two).unwrap();
        let other = child(&genesis, &two, roots);
        ledger.append(&other, &two).unwrap();
        assert_eq!(outlook.roots(&ledger, first.id(), &one), None);
    }
}
