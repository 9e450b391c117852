//! Proofs that a transaction is final.

use crate::world::World;
use crate::{Vectors, epochs, forge};
use outrider_client::FinalityProof;
use outrider_types::testing::{CHAIN, committee_with};
use outrider_types::{
    Block, BlockId, Bytes, FinalityCertificate, Height, LanesRoot, MemberIndex, Signature, Stake,
    Statement, Timestamp, View,
};
use serde_json::{Value, json};

pub fn vectors() -> Vectors {
    let mut vectors = Vectors::new("finality");
    let world = World::new(1, 0);
    vectors.trust("four", &world.committee);
    good(&mut vectors);
    of_epochs(&mut vectors);
    layout(&mut vectors, &world);
    headers(&mut vectors);
    certificates(&mut vectors, &world);
    signatures(&mut vectors, &world);
    inclusion(&mut vectors);
    vectors
}

/// What the proof says of itself.
fn says(proof: &FinalityProof) -> Value {
    let (fast, signers) = match &proof.certificate {
        FinalityCertificate::Fast(votes) => (true, votes.signatures.len()),
        FinalityCertificate::Slow(votes) => (false, votes.signatures.len()),
    };
    json!({
        "transaction": proof.inclusion.transaction,
        "rollup": proof.inclusion.rollup,
        "height": proof.block.height,
        "epoch": proof.block.epoch,
        "block": proof.block.id(),
        "certified_view": proof.certificate.view(),
        "fast": fast,
        "signed_stake": signers,
        "signers": signers,
    })
}

fn good(vectors: &mut Vectors) {
    for (name, lanes, descendants, at) in [
        ("one transaction, its block certified", 1, 0, 0),
        ("certified three blocks above", 1, 3, 0),
        ("in the middle of five lanes", 5, 1, 7),
        ("the last of seven lanes", 7, 0, 27),
    ] {
        let proof = World::new(lanes, descendants).proof(at);
        vectors.good(name, "four", &proof, says(&proof));
    }
    let world = World::new(2, 1);
    let fast = world.fast(&world.blocks[2], &[0, 1, 2, 3]);
    let proof = world.proof_with(1, fast).unwrap();
    vectors.good("by votes alone", "four", &proof, says(&proof));

    let mut world = World::new(1, 0);
    world.payload.batches[0].transactions[0] = Bytes::new();
    last(&mut world, |block, payload| block.payload = payload);
    let proof = world.proof(0);
    vectors.good("a transaction without bytes", "four", &proof, says(&proof));

    let mut world = World::new(1, 0);
    last(&mut world, |block, _| {
        block.timestamp = Timestamp(u64::MAX);
        block.view = View(u64::MAX - 1);
        block.height = Height((1 << 53) + 1);
    });
    let proof = world.proof(0);
    vectors.good("integers above 2^53", "four", &proof, says(&proof));

    // N = 13, f = 3, c = 1: Q = 9, F = 12.
    let (committee, keys) = committee_with(&[5, 3, 2, 2, 1], Some((Stake(3), Stake(1))));
    vectors.trust("weighted", &committee);
    let world = World {
        committee,
        keys,
        ..World::new(1, 0)
    };
    let mut world = World {
        blocks: vec![Block::genesis(&world.committee), world.blocks[1]],
        ..world
    };
    let parent = world.blocks[0].id();
    last(&mut world, |block, _| block.parent = parent);
    let block = world.blocks[1];
    for (name, certificate, ok) in [
        ("stake of exactly Q", world.slow(&block, &[0, 2, 3]), true),
        ("stake of Q less one", world.slow(&block, &[0, 1]), false),
        (
            "stake of exactly F",
            world.fast(&block, &[0, 1, 2, 3]),
            true,
        ),
        (
            "votes of Q but not of F",
            world.fast(&block, &[0, 1, 2]),
            false,
        ),
    ] {
        let proof = world.proof_with(0, certificate).unwrap();
        let mut said = says(&proof);
        said["signed_stake"] = json!(if said["fast"] == true { 12 } else { 9 });
        if ok {
            vectors.good(name, "weighted", &proof, said);
        } else {
            vectors.bad(name, "weighted", &proof, "stake");
        }
    }
    vectors.bad(
        "of another committee",
        "four",
        &world.proof_with(0, world.slow(&block, &[0, 2, 3])).unwrap(),
        "other-committee",
    );
}

/// Changes the last block of a world.
fn last(world: &mut World, change: impl FnOnce(&mut Block, outrider_types::PayloadId)) {
    let payload = world.payload.id();
    change(world.blocks.last_mut().unwrap(), payload);
}

fn of_epochs(vectors: &mut Vectors) {
    let chain = epochs::Chain::new(2, 2);
    for (epoch, name) in [(0, "epoch 0"), (1, "epoch 1")] {
        let committee = &chain.committees[epoch];
        let base = Height(epoch as u64 * epochs::BLOCKS);
        vectors.trust(name, &json!({ "committee": committee, "base": base }));
    }
    let first = chain.proof(0, 1);
    vectors.good("certified by a filler", "epoch 0", &first, says(&first));
    let second = chain.proof(1, 3);
    vectors.good("in the second epoch", "epoch 1", &second, says(&second));
    vectors.bad("of a later epoch", "epoch 0", &second, "unknown-epoch");
    vectors.bad("of an earlier epoch", "epoch 1", &first, "unknown-epoch");

    let mut full = first.clone();
    full.path[2].payload = first.block.payload;
    vectors.bad(
        "a filler that carries something",
        "epoch 0",
        &relink(full),
        "not-filler",
    );
    let mut adds = first.clone();
    adds.path[2].roots.lanes = LanesRoot([7; 32]);
    vectors.bad(
        "a filler that adds to lanes",
        "epoch 0",
        &relink(adds),
        "not-filler",
    );
    let mut names = first.clone();
    names.path[3].next = first.path[1].next;
    vectors.bad(
        "a filler that names a committee",
        "epoch 0",
        &relink(names),
        "not-filler",
    );
    let mut above = second;
    above.block.height = Height(2 * epochs::BLOCKS + 1);
    vectors.bad(
        "above the end of its epoch",
        "epoch 1",
        &above,
        "outside-epoch",
    );
    let mut below = above;
    below.block.height = Height(epochs::BLOCKS);
    vectors.bad(
        "below the start of its epoch",
        "epoch 1",
        &below,
        "outside-epoch",
    );
}

/// The headers of the path made children of each other again.
fn relink(mut proof: FinalityProof) -> FinalityProof {
    let mut parent = proof.block;
    for block in &mut proof.path {
        block.parent = parent.id();
        parent = *block;
    }
    proof
}

fn layout(vectors: &mut Vectors, world: &World) {
    let proof = world.proof(0);
    vectors.good_text("laid out for people", "four", proof.to_json(), says(&proof));
    let sorted = serde_json::to_value(&proof).unwrap();
    vectors.good("fields in another order", "four", &sorted, says(&proof));
    let text = serde_json::to_string(&proof).unwrap();
    for (name, text) in [
        ("nothing", String::new()),
        ("cut short", text[..text.len() - 1].to_owned()),
        ("something behind it", format!("{text}{{}}")),
        ("a repeated field", text.replacen("{", "{\"version\":1,", 1)),
        ("an unknown field", text.replacen("{", "{\"note\":1,", 1)),
        ("a missing field", text.replacen("\"lane_index\":0,", "", 1)),
        (
            "an integer as a text",
            text.replacen("\"count\":1", "\"count\":\"1\"", 1),
        ),
        (
            "a negative integer",
            text.replacen("\"count\":1", "\"count\":-1", 1),
        ),
        (
            "an integer with a fraction",
            text.replacen("\"count\":1", "\"count\":1.0", 1),
        ),
        (
            "an integer of 2^32",
            text.replacen("\"count\":1", "\"count\":4294967296", 1),
        ),
        ("data without 0x", text.replacen("\"0x", "\"", 1)),
        ("data of half a byte", text.replacen("\"0x", "\"0x0", 1)),
    ] {
        vectors.bad_text(name, "four", text, "form");
    }
}

const HEADERS: &str = r#"
    another version of the proof | /version | 999 | version
    for another committee | /committee | HASH | other-committee
    another version of a header | /block/version | 1 | block-version
    another version of a path's header | /path/1/version | 999 | block-version
    another chain | /block/chain | 1 | other-chain
    another chain in the path | /path/0/chain | 1 | other-chain
    another epoch in the path | /path/0/epoch | 1 | other-epoch
    another epoch | /block/epoch | 1 | unknown-epoch
    another height | /block/height | 2 | broken-path
    another view | /block/view | 3 | broken-path
    another parent | /block/parent | HASH | broken-path
    another justification | /block/justify | 9 | broken-path
    another payload | /block/payload | HASH | broken-path
    other lanes | /block/roots/lanes | HASH | broken-path
    another history | /block/roots/history | HASH | broken-path
    another registry | /block/roots/registry | HASH | broken-path
    another timestamp | /block/timestamp | 9 | broken-path
    another proposer | /block/proposer | 3 | broken-path
    another parent in the path | /path/1/parent | HASH | broken-path
    another timestamp at the path's end | /path/2/timestamp | 9 | other-block
"#;

fn headers(vectors: &mut Vectors) {
    let proof = World::new(2, 3).proof(0);
    let json = serde_json::to_value(&proof).unwrap();
    let base = ("four", &json);
    vectors.changes(base, HEADERS);
    let cut = json!(&proof.path[..2]);
    vectors.change(base, "a path cut short", "/path", cut, "other-block");
    let hole = json!([proof.path[0], proof.path[2]]);
    vectors.change(base, "a path with a hole", "/path", hole, "broken-path");
}

const CERTIFICATES: &str = r#"
    another view certified | /certificate/slow/statement/view | 3 | other-view
    another epoch certified | /certificate/slow/statement/epoch | 1 | other-epoch
    another block certified | /certificate/slow/statement/block | HASH | other-block
    nobody signed | /certificate/slow/signatures | [] | stake
    a signer who is no member | /certificate/slow/signatures/2/0 | 4 | unknown-signer
    a signature of another member | /certificate/slow/signatures/1/0 | 2 | signature
"#;

fn certificates(vectors: &mut Vectors, world: &World) {
    let block = world.blocks[1];
    let proof = world.proof(0);
    let json = serde_json::to_value(&proof).unwrap();
    let base = ("four", &json);
    vectors.changes(base, CERTIFICATES);
    let all = json["certificate"]["slow"]["signatures"].clone();
    let at = "/certificate/slow/signatures";
    let thrice = json!([all[0], all[0], all[0]]);
    vectors.change(
        base,
        "one signer counted three times",
        at,
        thrice,
        "signer-order",
    );
    let turned = json!([all[1], all[0], all[2]]);
    vectors.change(base, "signers in another order", at, turned, "signer-order");
    let swapped = json!([[all[0][0], all[1][1]], [all[1][0], all[0][1]], all[2]]);
    vectors.change(
        base,
        "signatures of two members swapped",
        at,
        swapped,
        "signature",
    );
    let as_votes = json!({ "fast": json["certificate"]["slow"] });
    vectors.change(
        base,
        "commit votes as votes",
        "/certificate",
        as_votes,
        "stake",
    );
    let unknown = json!({ "slowly": json["certificate"]["slow"] });
    vectors.change(
        base,
        "an unknown kind of certificate",
        "/certificate",
        unknown,
        "form",
    );

    let mut with = |name: &str, block: Block, certificate, code: &str| {
        let proof = FinalityProof {
            block,
            certificate,
            ..proof.clone()
        };
        vectors.bad(name, "four", &proof, code);
    };
    with(
        "two of four signed",
        block,
        world.slow(&block, &[0, 3]),
        "stake",
    );
    with(
        "votes of three of four",
        block,
        world.fast(&block, &[0, 1, 3]),
        "stake",
    );
    let view = View(u64::MAX);
    let endless = Block { view, ..block };
    let certificate = world.slow(&endless, &[0, 1, 3]);
    with(
        "a view after which none comes",
        endless,
        certificate,
        "malformed",
    );
}

fn signatures(vectors: &mut Vectors, world: &World) {
    let block = world.blocks[1];
    let proof = world.proof(0);
    let FinalityCertificate::Slow(votes) = &proof.certificate else {
        panic!("the world's proofs are slow")
    };
    let preimage = votes.statement.preimage(CHAIN);
    let forged = |signature: Signature| {
        let mut votes = votes.clone();
        votes.signatures[1] = (MemberIndex(1), signature);
        FinalityProof {
            certificate: FinalityCertificate::Slow(votes),
            ..proof.clone()
        }
    };
    let honest = votes.signatures[1].1;
    let mut flipped = honest;
    flipped.0[63] ^= 1;
    let mut elsewhere = votes.statement;
    elsewhere.block = BlockId([1; 32]);
    let other_chain = votes
        .statement
        .preimage(outrider_types::ChainId(CHAIN.0 + 1));
    let key = &world.keys[1];
    let FinalityCertificate::Fast(as_votes) = world.fast(&block, &[1]) else {
        panic!("votes make a fast one")
    };
    let replayed = forge::another_r(key, &other_chain);
    for (name, signature) in [
        ("a bit of a signature flipped", flipped),
        ("a signature of zeros", Signature([0; 64])),
        (
            "a vote's signature under a commit vote",
            as_votes.signatures[0].1,
        ),
        (
            "a signature of another block",
            forge::another_r(key, &elsewhere.preimage(CHAIN)),
        ),
        ("a signature of another chain", replayed),
        ("s + L instead of s", forge::s_too_large(&honest)),
        ("R of small order", forge::small_order_r(key, &preimage)),
        (
            "R with a part of small order",
            forge::torsion_r(key, &preimage),
        ),
    ] {
        vectors.bad(name, "four", &forged(signature), "signature");
    }
    let unusual = forged(forge::another_r(key, &preimage));
    vectors.good(
        "a signature with another R",
        "four",
        &unusual,
        says(&unusual),
    );
}

const INCLUSION: &str = r#"
    other bytes | /inclusion/data | "0x00" | other-transaction
    another rollup | /inclusion/rollup | 11 | other-transaction
    another transaction | /inclusion/transaction | HASH | other-transaction
    another lane | /inclusion/lane_index | 1 | not-included
    a lane that is not there | /inclusion/lane_index | 3 | not-included
    another number of lanes | /inclusion/lane_count | 4 | not-included
    no lanes | /inclusion/lane_count | 0 | not-included
    another place | /inclusion/index | 0 | not-included
    a place that is not there | /inclusion/index | 4294967295 | not-included
    another number of transactions | /inclusion/count | 4 | not-included
    another sibling | /inclusion/path/0 | HASH | not-included
    no siblings | /inclusion/path | [] | not-included
    another sibling of the lane | /inclusion/lane_path/0 | HASH | not-included
"#;

fn inclusion(vectors: &mut Vectors) {
    let world = World::new(3, 0);
    let mut proof = world.proof(4);
    let json = serde_json::to_value(&proof).unwrap();
    let base = ("four", &json);
    vectors.changes(base, INCLUSION);
    let mut longer = json["inclusion"]["path"].as_array().unwrap().clone();
    longer.push(json!(hex::encode([7; 32])));
    let longer = Value::from(longer);
    vectors.change(
        base,
        "a sibling too many",
        "/inclusion/path",
        longer,
        "not-included",
    );
    // In the third lane, under the path of the second.
    proof.inclusion.lane_path = world.proof(1).inclusion.lane_path;
    vectors.bad(
        "the lane path of another lane",
        "four",
        &proof,
        "not-included",
    );
}
