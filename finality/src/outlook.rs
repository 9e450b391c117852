//! What a block above the tip must say of the ledger: its lane blocks follow from those of its uncommitted ancestors.

use crate::ledger::{Ahead, Ledger, LedgerError, check_roots};
use outrider_types::bundle;
use outrider_types::zoo::{self, Mutant};
use outrider_types::{Block, BlockId, CheckedPayload, LaneBlock, Registry, Roots};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Blocks above the tip whose payload was checked, with their lane blocks. As many are held as the replica holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    blocks: BTreeMap<BlockId, Laid>,
}

/// What a block makes of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Laid {
    block: Block,
    lanes: Vec<LaneBlock>,
    registry: Arc<Registry>,
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

    /// The registry as a block on top of `parent` finds it. None means the same as for [`roots`](Self::roots).
    #[must_use]
    pub fn registry(&self, ledger: &Ledger, parent: BlockId) -> Option<Arc<Registry>> {
        let ahead = self.ahead(ledger, parent)?;
        Some(ledger.registry_ahead(&ahead).clone())
    }

    /// F13, F14, F15: check what a block says of the ledger, that every rollup in it is open and its transactions in the order of its
    /// policy, and that bundles are whole; and remember it if all is well. None means the same as for [`roots`](Self::roots).
    pub fn check(
        &mut self,
        ledger: &Ledger,
        block: &Block,
        payload: &CheckedPayload,
    ) -> Option<Result<(), LedgerError>> {
        let ahead = self.ahead(ledger, block.parent)?;
        let (lanes, roots) = ledger.outlook(&ahead, payload);
        let registry = ledger.registry_after(&ahead, block, payload);
        let checked = check_roots(block, &roots)
            .and_then(|()| check_order(ledger.registry_ahead(&ahead), block, payload));
        if checked.is_ok() {
            let block = *block;
            let laid = Laid {
                block,
                lanes,
                registry,
            };
            self.blocks.insert(block.id(), laid);
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
            let Laid {
                block,
                lanes,
                registry,
            } = self.blocks.get(&id)?;
            if block.height <= tip.height {
                return None;
            }
            ahead.push(Ahead {
                id,
                lanes,
                registry,
            });
            id = block.parent;
        }
        ahead.reverse();
        Some(ahead)
    }
}

/// F14, F15: every rollup in the block is open, its transactions are in the order of its policy, and bundles are whole.
fn check_order(
    registry: &Registry,
    block: &Block,
    payload: &CheckedPayload,
) -> Result<(), LedgerError> {
    let height = block.height;
    let mut ids = &*payload.transactions;
    for batch in &payload.payload.batches {
        let rollup = batch.rollup;
        let (own, rest) = ids.split_at(batch.transactions.len());
        ids = rest;
        let policy = match registry.policy(rollup, block.timestamp) {
            Some(policy) => policy,
            None if zoo::is(Mutant::ClosedUnchecked) => continue,
            None => return Err(LedgerError::Closed { height, rollup }),
        };
        if zoo::is(Mutant::OrderUnchecked) {
            continue;
        }
        if let Some(place) = policy.fault(block.parent, &batch.transactions, own) {
            return Err(LedgerError::Order {
                height,
                rollup,
                place,
                policy,
            });
        }
    }
    match bundle::fault(&payload.payload) {
        Some(bundle) if !zoo::is(Mutant::BundlesUnchecked) => {
            Err(LedgerError::Bundle { height, bundle })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use outrider_types::registry::{Open, REGISTRY, RegistryCommand, SHORT_LIVED, Vm};
    use outrider_types::{Batch, LaneHeight, Payload, Policy, RollupId, Timestamp, View, testing};

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

    fn on(outlook: &Outlook, ledger: &Ledger, parent: &Block, payload: &CheckedPayload) -> Block {
        let roots = outlook.roots(ledger, parent.id(), payload).unwrap();
        let timestamp = Timestamp(parent.timestamp.0 + 1_000_000);
        Block {
            timestamp,
            ..child(parent, payload, roots)
        }
    }

    fn of(batches: Vec<(RollupId, Vec<Bytes>)>) -> CheckedPayload {
        let batch = |(rollup, transactions)| Batch {
            rollup,
            transactions,
        };
        let batches = batches.into_iter().map(batch).collect();
        CheckedPayload::new(Payload { batches }).unwrap()
    }

    #[test]
    fn f14_registered_rollup_is_ordered_by_its_policy_and_only_while_it_is_open() {
        let genesis = Block::genesis(&testing::committee(&[1; 4]).0);
        let mut ledger = Ledger::new(&genesis);
        let mut outlook = Outlook::default();
        let rollup = RollupId(SHORT_LIVED.start);
        let open = RegistryCommand::Open(Open {
            rollup,
            vm: Vm::Kv,
            policy: Policy::PriorityPrefix,
            owner: testing::key(1).public_key(),
            ttl: 3,
        });
        let fee = |fee: u64| Bytes::copy_from_slice(&fee.to_be_bytes());
        let (low, high) = (vec![fee(1), fee(2)], vec![fee(2), fee(1)]);
        let check = |outlook: &mut Outlook, ledger: &Ledger, block: &Block, payload| {
            outlook.check(ledger, block, payload).unwrap()
        };

        let early = of(vec![(rollup, high.clone())]);
        let block = on(&outlook, &ledger, &genesis, &early);
        let refused = check(&mut outlook, &ledger, &block, &early).unwrap_err();
        assert!(matches!(refused, LedgerError::Closed { .. }));

        let registers = of(vec![(REGISTRY, vec![open.to_data()])]);
        let first = on(&outlook, &ledger, &genesis, &registers);
        check(&mut outlook, &ledger, &first, &registers).unwrap();
        // Its uncommitted child may use it, in the right order alone.
        let wrong = of(vec![(rollup, low)]);
        let block = on(&outlook, &ledger, &first, &wrong);
        let refused = check(&mut outlook, &ledger, &block, &wrong).unwrap_err();
        assert!(
            matches!(refused, LedgerError::Order { place: 1, .. }),
            "{refused}"
        );
        let right = of(vec![(rollup, high)]);
        let second = on(&outlook, &ledger, &first, &right);
        check(&mut outlook, &ledger, &second, &right).unwrap();
        assert_ne!(second.roots.registry, first.roots.registry);

        assert!(ledger.append(&first, &registers).unwrap().registered);
        assert!(!ledger.append(&second, &right).unwrap().registered);
        // Three seconds after it was opened it is closed.
        let third = of(vec![(rollup, vec![fee(9)])]);
        let mut block = on(&outlook, &ledger, &second, &third);
        assert!(check(&mut outlook, &ledger, &block, &third).is_ok());
        block.timestamp.0 += 1_000_000;
        let refused = check(&mut outlook, &ledger, &block, &third).unwrap_err();
        assert!(matches!(refused, LedgerError::Closed { .. }));
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
