//! S13: lanes, history and registry of the agreed chain, counted again from the bytes of its blocks; the order of each lane by its
//! policy, and bundles (F13 to F15). Nothing here calls the ledger.

use super::rules::{count, merkle, payload_of, sha, transaction_id};
use super::signers::Finding;
use outrider_types::registry::{Open, RegistryCommand, SHORT_LIVED};
use outrider_types::{
    Block, BlockId, Bytes, HistoryRoot, LanesRoot, Payload, Policy, RollupId, TransactionId,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;

type Hash = [u8; 32];

/// Bytes of a head of a part of a bundle: magic, bundle, parts, which.
const HEAD: usize = 44;
/// Seconds for which a rollup that closed is remembered.
const REMEMBERED: u64 = 24 * 3_600;
/// Longest life of a short-lived rollup, in seconds.
const LIFE_MAX: u64 = 30 * 24 * 3_600;
/// Registered rollups that live for a while, and others.
const REGISTERED_MAX: (usize, usize) = (4_096, 1_024);

/// The end of a lane.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    height: u64,
    hash: Hash,
    transactions: u64,
}

/// A rollup of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Registered {
    open: Open,
    height: u64,
    closes: u64,
}

/// What the chain comes to so far.
#[derive(Debug, Default)]
pub struct Lanes {
    /// Height of the last block.
    height: u64,
    ends: BTreeMap<RollupId, End>,
    /// All blocks so far: sizes and roots of perfect trees, largest first.
    trees: Vec<(u64, Hash)>,
    registry: BTreeMap<RollupId, Registered>,
    /// A block was not told, or does what is not counted here: nothing is said from then on.
    lost: bool,
}

impl Lanes {
    /// A block joined the agreed chain, and holds this if it is told.
    pub fn grew(&mut self, block: &Block, payload: Option<&Payload>) -> Result<(), Finding> {
        let follows = block.height.0 == self.height + 1;
        let Some(payload) = payload.filter(|_| follows && !self.lost) else {
            self.lost = true;
            return Ok(());
        };
        if self.height == 0 {
            self.block(block.parent);
        }
        self.height = block.height.0;
        let wrong = |what: String| ("S13", format!("block at height {}: {what}", block.height));
        if payload_of(payload) != block.payload {
            return Err(wrong("its payload is another one".to_owned()));
        }
        let lanes: Vec<Lane<'_>> = payload
            .batches
            .iter()
            .map(|batch| Lane::new(batch.rollup, &batch.transactions))
            .collect();
        self.header(block, &lanes).map_err(wrong)?;
        self.order(block, &lanes).map_err(wrong)?;
        whole(&lanes).map_err(wrong)?;
        self.register(block, &lanes);
        for lane in &lanes {
            let end = self.end_with(lane);
            self.ends.insert(lane.rollup, end);
        }
        self.block(block.id());
        Ok(())
    }

    /// One more block of the history.
    fn block(&mut self, id: BlockId) {
        let mut tree = (1, sha(&[&[0], &id.0]));
        while let Some((size, left)) = self.trees.pop() {
            if size != tree.0 {
                self.trees.push((size, left));
                break;
            }
            tree = (size * 2, sha(&[&[1], &left, &tree.1]));
        }
        self.trees.push(tree);
    }

    fn history(&self) -> HistoryRoot {
        let mut trees = self.trees.iter().rev().map(|(_, root)| *root);
        let last = trees.next().unwrap_or_else(|| sha(&[]));
        HistoryRoot(trees.fold(last, |right, left| sha(&[&[1], &left, &right])))
    }

    /// The end of a lane once this is its last block.
    fn end_with(&self, lane: &Lane<'_>) -> End {
        let end = self.ends.get(&lane.rollup).copied().unwrap_or_default();
        let (height, many) = (end.height + 1, lane.ids.len());
        let leaves: Vec<Hash> = lane.ids.iter().map(|id| sha(&[&[0], &id.0])).collect();
        let hash = sha(&[
            b"OUTRLANE",
            &lane.rollup.0.to_be_bytes(),
            &height.to_be_bytes(),
            &end.hash,
            &end.transactions.to_be_bytes(),
            &count(many),
            &merkle(&leaves),
        ]);
        End {
            height,
            hash,
            transactions: end.transactions + many as u64,
        }
    }

    /// F13.
    fn header(&self, block: &Block, lanes: &[Lane<'_>]) -> Result<(), String> {
        let leaf = |lane: &Lane<'_>| {
            let hash = self.end_with(lane).hash;
            sha(&[&[0], &lane.rollup.0.to_be_bytes(), &hash])
        };
        let leaves: Vec<Hash> = lanes.iter().map(leaf).collect();
        let root = LanesRoot(sha(&[&[3], &count(leaves.len()), &merkle(&leaves)]));
        let roots = &block.roots;
        if roots.lanes != root {
            return Err(format!(
                "its header says lanes {}, they are {root}",
                roots.lanes
            ));
        }
        let history = self.history();
        if roots.history != history {
            return Err(format!(
                "its header says history {}, it is {history}",
                roots.history
            ));
        }
        let registry = self.registry_root();
        if roots.registry.0 != registry {
            return Err(format!(
                "its header says registry {}, which it is not",
                roots.registry
            ));
        }
        Ok(())
    }

    fn registry_root(&self) -> Hash {
        let leaf = |it: &Registered| {
            sha(&[
                &[0],
                &it.open.rollup.0.to_be_bytes(),
                &[it.open.vm as u8, it.open.policy as u8],
                &it.open.owner.0,
                &it.height.to_be_bytes(),
                &it.closes.to_be_bytes(),
            ])
        };
        let leaves: Vec<Hash> = self.registry.values().map(leaf).collect();
        sha(&[&[4], &count(leaves.len()), &merkle(&leaves)])
    }

    /// F14.
    fn order(&self, block: &Block, lanes: &[Lane<'_>]) -> Result<(), String> {
        for lane in lanes {
            let rollup = lane.rollup;
            let policy = match self.registry.get(&rollup) {
                Some(found) if block.timestamp.0 < found.closes => found.open.policy,
                None if !SHORT_LIVED.contains(&rollup.0) => Policy::Fcfs,
                _ => return Err(format!("rollup {rollup} is not open")),
            };
            let mut sorted: Vec<_> = lane
                .ids
                .iter()
                .zip(lane.data)
                .map(|(id, data)| (rollup, *id, data.clone()))
                .collect();
            arrange(policy, block.parent, &mut sorted);
            let same = sorted.iter().zip(&lane.ids).all(|(one, id)| one.1 == *id);
            if !same {
                return Err(format!("rollup {rollup} is not in the order of {policy}"));
            }
        }
        Ok(())
    }

    /// What the registry's lane makes of the registry.
    fn register(&mut self, block: &Block, lanes: &[Lane<'_>]) {
        let Some(lane) = lanes.first().filter(|lane| lane.rollup.0 == 0) else {
            return;
        };
        let at = block.timestamp.0;
        self.registry.retain(|_, it| {
            it.closes == u64::MAX || it.closes.saturating_add(REMEMBERED * 1_000_000) > at
        });
        for data in lane.data {
            match RegistryCommand::from_data(data) {
                Some(RegistryCommand::Open(open)) => self.open(block, open),
                // No world closes a rollup by command.
                Some(RegistryCommand::Close(_)) => self.lost = true,
                None => {}
            }
        }
    }

    fn open(&mut self, block: &Block, open: Open) {
        let short = |rollup: &RollupId| SHORT_LIVED.contains(&rollup.0);
        let many = |short_lived| {
            let same = |rollup: &&RollupId| short(rollup) == short_lived;
            self.registry.keys().filter(same).count()
        };
        let (fits, closes) = if short(&open.rollup) {
            let fits = (1..=LIFE_MAX).contains(&open.ttl) && many(true) < REGISTERED_MAX.0;
            let life = open.ttl.saturating_mul(1_000_000);
            (fits, block.timestamp.0.saturating_add(life))
        } else {
            (open.ttl == 0 && many(false) < REGISTERED_MAX.1, u64::MAX)
        };
        let known = self.registry.contains_key(&open.rollup);
        let used = self.ends.contains_key(&open.rollup);
        if fits && !known && !used && open.rollup.0 != 0 {
            let registered = Registered {
                open,
                height: block.height.0,
                closes,
            };
            self.registry.insert(open.rollup, registered);
        }
    }
}

/// What a block holds of one rollup.
struct Lane<'a> {
    rollup: RollupId,
    data: &'a [Bytes],
    ids: Vec<TransactionId>,
}

impl<'a> Lane<'a> {
    fn new(rollup: RollupId, data: &'a [Bytes]) -> Self {
        let ids = data.iter().map(|data| transaction_id(rollup, data));
        Self {
            rollup,
            data,
            ids: ids.collect(),
        }
    }
}

/// Put transactions of a lane into the order of a policy; among equals they stay as they stand. What an Ethereum transaction pays is
/// not counted here: such lanes stay as they are.
pub fn arrange(policy: Policy, parent: BlockId, lane: &mut [(RollupId, TransactionId, Bytes)]) {
    match policy {
        Policy::Fcfs | Policy::PriorityEthereum => {}
        Policy::PriorityPrefix => lane.sort_by_key(|(.., data)| Reverse(fee(data))),
        Policy::Shuffled => lane.sort_by_key(|(_, id, _)| sha(&[&parent.0, &id.0])),
    }
}

/// The first eight bytes, behind the head of a part of a bundle.
fn fee(data: &[u8]) -> u64 {
    let data = if data.starts_with(b"OUTRBNDL") {
        data.get(HEAD..).unwrap_or_default()
    } else {
        data
    };
    data.first_chunk::<8>()
        .map_or(0, |fee| u64::from_be_bytes(*fee))
}

/// F15: every bundle has all of its parts.
fn whole(lanes: &[Lane<'_>]) -> Result<(), String> {
    type Parts<'a> = Vec<(&'a [u8], Vec<u8>)>;
    let mut bundles: BTreeMap<&[u8], Parts<'_>> = BTreeMap::new();
    for lane in lanes {
        for data in lane.data {
            let Some(rest) = data.strip_prefix(b"OUTRBNDL") else {
                continue;
            };
            let (Some(name), Some(numbers), Some(inner)) =
                (rest.get(..32), rest.get(32..36), data.get(HEAD..))
            else {
                return Err("a part of a bundle without a head".to_owned());
            };
            let part = [&lane.rollup.0.to_be_bytes()[..], &sha(&[inner])].concat();
            bundles.entry(name).or_default().push((numbers, part));
        }
    }
    for (name, mut parts) in bundles {
        parts.sort();
        let many = u16::try_from(parts.len()).unwrap_or(u16::MAX);
        let numbered = (0..many).all(|which| {
            let numbers = [many.to_be_bytes(), which.to_be_bytes()].concat();
            parts
                .get(usize::from(which))
                .is_some_and(|(found, _)| *found == numbers)
        });
        let mut hashed: Vec<&[u8]> = vec![b"OUTRBNDL"];
        let length = many.to_be_bytes();
        hashed.push(&length);
        hashed.extend(parts.iter().map(|(_, part)| part.as_slice()));
        if many < 2 || !numbered || sha(&hashed) != *name {
            return Err(format!("it holds {many} parts of a bundle that has others"));
        }
    }
    Ok(())
}
