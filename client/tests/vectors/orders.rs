//! Lane blocks that obey the ordering policy of their rollup, and some that do not.

use crate::Vectors;
use crate::world::{World, child};
use outrider_client::{FinalHeader, LaneProof};
use outrider_types::bundle;
use outrider_types::registry::Vm;
use outrider_types::{
    Batch, Block, Bytes, CheckedPayload, Height, LaneTip, LanesRoot, Payload, Policy, Registration,
    Registry, RollupId, Roots, Timestamp, Transaction, TransactionsRoot, testing,
};
use serde_json::{Value, json};

const SHUFFLED: RollupId = RollupId(20);
const CLOSED: RollupId = RollupId(30);
const PLAIN: RollupId = RollupId(40);

fn registration(rollup: RollupId, closes: u64) -> Registration {
    Registration {
        rollup,
        vm: Vm::Opaque,
        policy: Policy::Shuffled,
        owner: testing::key(1).public_key(),
        opened: Height(0),
        closes: Timestamp(closes),
    }
}

fn registered() -> Vec<Registration> {
    vec![registration(SHUFFLED, u64::MAX), registration(CLOSED, 1)]
}

/// A block on top of genesis, and one lane block of it with what its order follows from.
fn ordered(world: &World, payload: &Payload, rollup: RollupId) -> Value {
    let checked = CheckedPayload::new(payload.clone()).unwrap();
    let lanes: Vec<_> = payload
        .batches
        .iter()
        .zip(&*checked.roots)
        .map(|(batch, root)| {
            LaneTip::default().extend(batch.rollup, batch.count(), TransactionsRoot(*root))
        })
        .collect();
    let registry: Registry = registered().into_iter().collect();
    let genesis = Block::genesis(&world.committee);
    let block = Block {
        roots: Roots {
            lanes: LanesRoot::of(&lanes),
            registry: registry.root(),
            ..Roots::NONE
        },
        ..child(&genesis, payload.id())
    };
    let header = FinalHeader {
        committee: world.committee.id(),
        block,
        skip: None,
        path: Vec::new(),
        certificate: world.slow(&block, &[0, 1, 3]),
    };
    let own = payload.batches.iter().find(|batch| batch.rollup == rollup);
    json!({
        "version": 1,
        "proof": LaneProof::build(header, &lanes, rollup),
        "transactions": own.map_or_else(Vec::new, |own| in_hex(&own.transactions)),
        "registry": registered(),
        "payload": null,
    })
}

fn in_hex(list: &[Bytes]) -> Vec<String> {
    let one = |data: &Bytes| format!("0x{}", hex::encode(data));
    list.iter().map(one).collect()
}

fn whole(payload: &Payload) -> Value {
    let batch =
        |one: &Batch| json!({ "rollup": one.rollup, "transactions": in_hex(&one.transactions) });
    payload.batches.iter().map(batch).collect()
}

fn says(ordered: &Value, policy: Policy, parts: usize) -> Value {
    let header = &ordered["proof"]["header"]["block"];
    let block: Block = serde_json::from_value(header.clone()).unwrap();
    json!({
        "checked": {
            "header": {
                "height": 1,
                "block": block.id(),
                "epoch": 0,
                "to": 1,
                "signed": { "certified_view": block.view, "fast": false, "signed_stake": 3, "signers": 3 },
            },
            "rollup": ordered["proof"]["rollup"],
            "lane": ordered["proof"]["claim"]["holds"]["lane"],
        },
        "policy": policy,
        "parts": parts,
    })
}

pub fn vectors() -> Vectors {
    let mut vectors = Vectors::new("order");
    let world = World::new(1, 0);
    vectors.trust("four", &world.committee);
    let genesis = Block::genesis(&world.committee).id();
    let list: Vec<Bytes> = (0..4_u8).map(|at| Bytes::from(vec![at; 3])).collect();
    let of = |data: &Bytes| {
        Transaction {
            rollup: SHUFFLED,
            data: data.clone(),
        }
        .id()
    };
    let ids: Vec<_> = list.iter().map(of).collect();
    let places = Policy::Shuffled.arrange(genesis, &list, &ids);
    let list: Vec<Bytes> = places.into_iter().map(|at| list[at].clone()).collect();
    let lane = |rollup, transactions| Batch {
        rollup,
        transactions,
    };
    let plain = lane(
        PLAIN,
        vec![Bytes::from_static(b"b"), Bytes::from_static(b"a")],
    );
    let payload = Payload {
        batches: vec![lane(SHUFFLED, list.clone()), plain],
    };

    let good = ordered(&world, &payload, SHUFFLED);
    vectors.good("shuffled", "four", &good, says(&good, Policy::Shuffled, 0));
    let unregistered = ordered(&world, &payload, PLAIN);
    let ok = says(&unregistered, Policy::Fcfs, 0);
    vectors.good(
        "as they came, of a rollup that nobody registered",
        "four",
        &unregistered,
        ok,
    );
    vectors.changes(("four", &good), CHANGES);
    let nothing = ordered(&world, &payload, RollupId(25));
    vectors.bad("nothing of the rollup", "four", &nothing, "nothing");

    let mut swapped = payload;
    swapped.batches[0].transactions.swap(1, 2);
    vectors.bad(
        "out of order",
        "four",
        &ordered(&world, &swapped, SHUFFLED),
        "order",
    );
    let late = Payload {
        batches: vec![lane(CLOSED, list)],
    };
    vectors.bad(
        "of a rollup that closed",
        "four",
        &ordered(&world, &late, CLOSED),
        "closed",
    );
    bundles(&mut vectors, &world);
    vectors
}

fn bundles(vectors: &mut Vectors, world: &World) {
    let lane = |rollup, transactions| Batch {
        rollup,
        transactions,
    };
    let parts = [
        (PLAIN, Bytes::from_static(b"x")),
        (RollupId(41), Bytes::from_static(b"y")),
    ];
    let (_, wrapped) = bundle::wrap(&parts).unwrap();
    let bundled = |parts: &[Transaction]| Payload {
        batches: parts
            .iter()
            .map(|one| lane(one.rollup, vec![one.data.clone()]))
            .collect(),
    };
    let both = bundled(&wrapped);
    let mut bundle = ordered(world, &both, PLAIN);
    vectors.bad(
        "a bundle without the block that holds it",
        "four",
        &bundle,
        "payload",
    );
    bundle["payload"] = whole(&bundled(&wrapped[..1]));
    vectors.bad("a bundle, and another block", "four", &bundle, "payload");
    bundle["payload"] = whole(&both);
    vectors.good(
        "a whole bundle",
        "four",
        &bundle,
        says(&bundle, Policy::Fcfs, 1),
    );
    let half = bundled(&wrapped[..1]);
    let mut broken = ordered(world, &half, PLAIN);
    broken["payload"] = whole(&half);
    vectors.bad("half a bundle", "four", &broken, "bundle");
}

const CHANGES: &str = r#"
    another version | /version | 2 | version
    another transaction | /transactions/0 | "0x07" | other-transaction
    no transactions | /transactions | [] | other-transaction
    no hex | /transactions/0 | "0x0" | form
    another policy | /registry/0/policy | "fcfs" | registry
    nobody registered | /registry | [] | registry
    another parent in the header | /proof/header/block/parent | HASH | other-block
    another lane block | /proof/claim/holds/lane/height | 9 | lane
"#;
