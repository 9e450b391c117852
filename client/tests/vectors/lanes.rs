//! Proofs of lanes: what a block holds for a rollup, that nothing is missing in a lane, and skips.

use crate::Vectors;
use crate::world::{World, child};
use outrider_client::{FinalHeader, LaneProof, LaneRangeProof, Skip, SkipProof};
use outrider_types::merkle::{self, Hash};
use outrider_types::{
    Block, Height, HistoryRoot, LaneBlock, LaneTip, LanesRoot, Payload, Registry, RollupId, Roots,
    TransactionsRoot,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Blocks above genesis.
const BLOCKS: usize = 21;
/// Rollups that ever have transactions.
const ROLLUPS: [u64; 4] = [10, 20, 30, 40];
const VERSION: u16 = 1;

/// A chain whose n-th block has transactions of those rollups whose place divides n; every seventh block has none.
struct Lanes {
    world: World,
    /// Genesis first.
    blocks: Vec<Block>,
    lanes: Vec<Vec<LaneBlock>>,
}

impl Lanes {
    fn new() -> Self {
        let world = World::new(1, 0);
        let mut blocks = vec![Block::genesis(&world.committee)];
        let mut lanes = vec![Vec::new()];
        let mut tips: BTreeMap<u64, LaneTip> = BTreeMap::new();
        for at in 1..=BLOCKS {
            let has = |place: usize| at % 7 != 0 && at % (place + 1) == 0;
            let mut own = Vec::new();
            for (place, rollup) in ROLLUPS
                .into_iter()
                .enumerate()
                .filter(|(place, _)| has(*place))
            {
                let tip = tips.entry(rollup).or_default();
                let root = TransactionsRoot([place as u8; 32]);
                let lane = tip.extend(RollupId(rollup), at as u32, root);
                *tip = lane.tip();
                own.push(lane);
            }
            let parent = blocks.last().unwrap();
            let block = Block {
                roots: Roots {
                    lanes: LanesRoot::of(&own),
                    history: HistoryRoot(merkle::root(&history(&blocks))),
                    registry: Registry::default().root(),
                },
                ..child(parent, Payload::default().id())
            };
            blocks.push(block);
            lanes.push(own);
        }
        Self {
            world,
            blocks,
            lanes,
        }
    }

    /// Certified by the second block above it, if there is one.
    fn header(&self, at: usize, skip_to: Option<usize>) -> FinalHeader {
        let anchor = skip_to.unwrap_or(at);
        let end = (anchor + 2).min(BLOCKS);
        FinalHeader {
            committee: self.world.committee.id(),
            block: self.blocks[at],
            skip: skip_to.map(|to| Skip {
                to: self.blocks[to],
                path: merkle::path(&history(&self.blocks[..to]), at).unwrap(),
            }),
            path: self.blocks[anchor + 1..=end].to_vec(),
            certificate: self.world.slow(&self.blocks[end], &[0, 1, 3]),
        }
    }

    fn proof(&self, at: usize, rollup: u64, skip_to: Option<usize>) -> LaneProof {
        let header = self.header(at, skip_to);
        LaneProof::build(header, &self.lanes[at], RollupId(rollup))
    }

    fn range(&self, rollup: u64, from: u64, to: u64) -> LaneRangeProof {
        let of = |lanes: &Vec<LaneBlock>| lanes.iter().find(|it| it.rollup.0 == rollup).copied();
        let all: Vec<LaneBlock> = self.lanes.iter().filter_map(of).collect();
        let wanted = |lane: &LaneBlock| (from..to).contains(&lane.height.0);
        let at = self
            .lanes
            .iter()
            .position(|lanes| of(lanes).is_some_and(|lane| lane.height.0 == to));
        LaneRangeProof {
            version: VERSION,
            earlier: all.into_iter().filter(wanted).collect(),
            last: self.proof(at.unwrap(), rollup, None),
        }
    }
}

fn history(blocks: &[Block]) -> Vec<Hash> {
    blocks
        .iter()
        .map(|block| HistoryRoot::leaf(block.id()))
        .collect()
}

/// What a header's proof says.
fn says(header: &FinalHeader) -> Value {
    json!({
        "height": header.block.height,
        "block": header.block.id(),
        "epoch": 0,
        "to": header.anchor().height,
        "signed": {
            "certified_view": header.certificate.view(),
            "fast": false,
            "signed_stake": 3,
            "signers": 3,
        },
    })
}

pub fn lane() -> Vectors {
    let mut vectors = Vectors::new("lane");
    let chain = Lanes::new();
    vectors.trust("four", &chain.world.committee);
    for (name, at, rollup, skip_to) in [
        ("the only lane of its block", 1, 10, None),
        ("the second of four lanes", 12, 20, None),
        ("the last of three lanes, by a skip", 4, 40, Some(20)),
        ("nothing between two lanes", 12, 25, None),
        ("nothing before the first", 12, 5, None),
        ("nothing behind the last", 12, 50, None),
        ("nothing in an empty block", 14, 10, None),
        ("nothing, by a skip", 3, 20, Some(17)),
    ] {
        let proof = chain.proof(at, rollup, skip_to);
        let lane = chain.lanes[at].iter().find(|lane| lane.rollup.0 == rollup);
        let ok = json!({ "header": says(&proof.header), "rollup": rollup, "lane": lane });
        vectors.good(name, "four", &proof, ok);
    }
    let holds = serde_json::to_value(chain.proof(12, 20, None)).unwrap();
    vectors.changes(("four", &holds), HOLDS);
    let absent = serde_json::to_value(chain.proof(12, 25, None)).unwrap();
    let base = ("four", &absent);
    vectors.changes(base, ABSENT);
    let neighbour = |rollup: u64| {
        let proof = serde_json::to_value(chain.proof(12, rollup + 1, None)).unwrap();
        proof["claim"]["absent"]["before"].clone()
    };
    let (before, after) = ("/claim/absent/before", "/claim/absent/after");
    vectors.change(
        base,
        "a neighbour too far before",
        before,
        neighbour(10),
        "lane",
    );
    vectors.change(
        base,
        "a neighbour too far behind",
        after,
        neighbour(40),
        "lane",
    );
    vectors.change(base, "both on one side", before, neighbour(30), "lane");
    let mut hides = absent;
    hides["rollup"] = json!(20);
    hides["claim"]["absent"]["before"] = neighbour(10);
    vectors.bad(
        "a lane hidden between its neighbours",
        "four",
        &hides,
        "lane",
    );
    let empty = serde_json::to_value(chain.proof(14, 10, None)).unwrap();
    let claims = json!({ "absent": { "before": null, "after": null } });
    let mut full = serde_json::to_value(chain.proof(12, 20, None)).unwrap();
    full["claim"] = claims;
    vectors.bad("a full block said to be empty", "four", &full, "lane");
    full["lanes"] = empty["lanes"].clone();
    vectors.bad("a full block said to have no lanes", "four", &full, "lane");
    vectors
}

const HOLDS: &str = r#"
    another version | /version | 9 | version
    another rollup | /rollup | 10 | lane
    of another number of lanes | /lanes | 3 | lane
    another lane height | /claim/holds/lane/height | 99 | lane
    another parent | /claim/holds/lane/parent | HASH | lane
    another number before it | /claim/holds/lane/first | 99 | lane
    another number of transactions | /claim/holds/lane/count | 99 | lane
    other transactions | /claim/holds/lane/transactions | HASH | lane
    another place | /claim/holds/index | 2 | lane
    another sibling | /claim/holds/path/0 | HASH | lane
    no siblings | /claim/holds/path | [] | lane
    other lanes | /header/block/roots/lanes | HASH | lane
    another history | /header/block/roots/history | HASH | broken-path
    another height | /header/block/height | 99 | broken-path
    another committee | /header/committee | HASH | other-committee
    another epoch | /header/block/epoch | 1 | unknown-epoch
    a path cut short | /header/path | [] | other-block
    too little stake | /header/certificate/slow/signatures | [] | stake
    another signer | /header/certificate/slow/signatures/2/0 | 2 | signature
    an unknown claim | /claim | {"hides": {}} | form
    an unknown field | /claim/holds/lane | {} | form
"#;

const ABSENT: &str = r#"
    nothing said of before | /claim/absent/before | null | lane
    nothing said of behind | /claim/absent/after | null | lane
    another rollup before | /claim/absent/before/rollup | 21 | lane
    another hash before | /claim/absent/before/hash | HASH | lane
    another place before | /claim/absent/before/index | 0 | lane
    another sibling behind | /claim/absent/after/path/0 | HASH | lane
    not for that rollup | /rollup | 35 | lane
"#;

pub fn range() -> Vectors {
    let mut vectors = Vectors::new("lane-range");
    let chain = Lanes::new();
    vectors.trust("four", &chain.world.committee);
    for (name, rollup, from, to) in [
        ("the whole lane", 10, 1, 18),
        ("a part of it", 20, 3, 7),
        ("one lane block", 30, 2, 2),
    ] {
        let proof = chain.range(rollup, from, to);
        let ours =
            |lane: &&LaneBlock| lane.rollup.0 == rollup && (from..=to).contains(&lane.height.0);
        let lanes: Vec<&LaneBlock> = chain.lanes.iter().flatten().filter(ours).collect();
        assert_eq!(lanes.len() as u64, to - from + 1, "{name}");
        let ok = json!({ "header": says(&proof.last.header), "lanes": lanes });
        vectors.good(name, "four", &proof, ok);
    }
    let proof = chain.range(20, 3, 7);
    let json = serde_json::to_value(&proof).unwrap();
    let base = ("four", &json);
    vectors.changes(base, RANGE);
    let earlier = json["earlier"].as_array().unwrap().clone();
    let hole = json!([earlier[0], earlier[1], earlier[3]]);
    vectors.change(base, "one left out", "/earlier", hole, "broken-lane");
    let twice = json!([earlier[0], earlier[1], earlier[2], earlier[3], earlier[3]]);
    vectors.change(base, "one twice", "/earlier", twice, "broken-lane");
    let turned = json!([earlier[1], earlier[0], earlier[2], earlier[3]]);
    vectors.change(base, "in another order", "/earlier", turned, "broken-lane");
    let other = json!(chain.range(10, 3, 7).earlier);
    vectors.change(base, "of another lane", "/earlier", other, "broken-lane");
    let nothing = json!(chain.proof(13, 20, None));
    vectors.change(
        base,
        "the last block holds nothing",
        "/last",
        nothing,
        "lane",
    );
    vectors
}

const RANGE: &str = r#"
    another version | /version | 9 | version
    another version of the last | /last/version | 9 | version
    another rollup | /earlier/0/rollup | 10 | broken-lane
    another height | /earlier/0/height | 99 | broken-lane
    another parent | /earlier/1/parent | HASH | broken-lane
    another parent of the first | /earlier/0/parent | HASH | broken-lane
    another number before it | /earlier/1/first | 99 | broken-lane
    another number of transactions | /earlier/2/count | 99 | broken-lane
    other transactions | /earlier/3/transactions | HASH | broken-lane
    another last lane block | /last/claim/holds/lane/count | 99 | lane
    another signer | /last/header/certificate/slow/signatures/2/0 | 2 | signature
"#;

pub fn skip() -> Vectors {
    let mut vectors = Vectors::new("skip");
    let chain = Lanes::new();
    vectors.trust("four", &chain.world.committee);
    let proof = |at, to| SkipProof {
        version: VERSION,
        header: chain.header(at, to),
    };
    for (name, at, to) in [
        ("from genesis", 0, Some(19)),
        ("to the parent", 9, Some(10)),
        ("over eleven blocks", 8, Some(19)),
        ("no skip", 8, None),
    ] {
        let proof = proof(at, to);
        vectors.good(name, "four", &proof, says(&proof.header));
    }
    for (name, height) in [
        ("to height 2^40 + 1", (1 << 40) + 1),
        ("to the last height", u64::MAX),
    ] {
        let far = far(&chain, height);
        vectors.good(name, "four", &far, says(&far.header));
    }
    let mut deep = far(&chain, u64::MAX);
    let skip = deep.header.skip.as_mut().unwrap();
    skip.path.push([7; 32]);
    vectors.bad("a path of 65 hashes", "four", &deep, "form");

    let json = serde_json::to_value(proof(8, Some(19))).unwrap();
    let base = ("four", &json);
    vectors.changes(base, SKIP);
    let mut longer = json["header"]["skip"]["path"].as_array().unwrap().clone();
    longer.push(json!(hex::encode([7; 32])));
    vectors.change(
        base,
        "a sibling too many",
        "/header/skip/path",
        longer.into(),
        "not-in-history",
    );
    let other = json!(chain.blocks[18]);
    vectors.change(
        base,
        "to another block",
        "/header/skip/to",
        other,
        "broken-path",
    );
    let itself = json!(chain.blocks[19]);
    vectors.change(
        base,
        "from the later block itself",
        "/header/block",
        itself,
        "not-in-history",
    );
    vectors
}

/// From block 8 to one so high that 32 bits do not hold the height; the siblings are of blocks that nobody made.
fn far(chain: &Lanes, height: u64) -> SkipProof {
    let block = chain.blocks[8];
    let path: Vec<Hash> = (0..64 - (height - 1).leading_zeros())
        .map(|at| [at as u8; 32])
        .collect();
    let leaf = HistoryRoot::leaf(block.id());
    let root = merkle::root_from_path(leaf, 8, height, &path).unwrap();
    let mut to = child(&block, Payload::default().id());
    to.height = Height(height);
    to.roots.history = HistoryRoot(root);
    SkipProof {
        version: VERSION,
        header: FinalHeader {
            skip: Some(Skip { to, path }),
            path: Vec::new(),
            certificate: chain.world.slow(&to, &[0, 1, 3]),
            ..chain.header(8, None)
        },
    }
}

const SKIP: &str = r#"
    another version | /version | 9 | version
    another version of the header | /header/block/version | 1 | block-version
    another height | /header/block/height | 7 | not-in-history
    another view | /header/block/view | 7 | not-in-history
    another payload | /header/block/payload | HASH | not-in-history
    other lanes | /header/block/roots/lanes | HASH | not-in-history
    another registry | /header/block/roots/registry | HASH | not-in-history
    another sibling | /header/skip/path/0 | HASH | not-in-history
    no siblings | /header/skip/path | [] | not-in-history
    another history of the later block | /header/skip/to/roots/history | HASH | broken-path
    the skip left out | /header/skip | null | broken-path
    another committee | /header/committee | HASH | other-committee
    another signer | /header/certificate/slow/signatures/2/0 | 2 | signature
"#;
