//! Chains of hand-overs from epoch to epoch.

use crate::{Vectors, epochs};
use outrider_client::HandoverFile;
use outrider_types::{EpochEnd, Height};
use serde_json::json;

pub fn vectors() -> Vectors {
    let mut vectors = Vectors::new("epochs");
    // A member is replaced, then nothing changes, then one is replaced again.
    let chain = epochs::Chain::new(3, 2);
    vectors.trust("genesis", &chain.committees[0]);
    let later = json!({ "committee": chain.committees[1], "base": epochs::BLOCKS });
    vectors.trust("epoch 1", &later);
    let network = json!({ "committee": chain.committees[0], "members": [], "peers": null });
    vectors.trust("committee file", &network);
    let endless = chain.committees[0].with_epoch_blocks(0);
    vectors.trust("endless", &endless);
    good(&mut vectors, &chain);

    let json = |ends: &[EpochEnd]| serde_json::to_value(file(ends)).unwrap();
    let (first, later) = (json(&chain.ends[..1]), json(&chain.ends[1..]));
    vectors.bad("the first epoch again", "epoch 1", &first, "unknown-epoch");
    vectors.bad("an epoch left out", "genesis", &later, "unknown-epoch");
    vectors.bad(
        "of an epoch that does not end",
        "endless",
        &first,
        "never-ends",
    );
    let mut hole = json(&chain.ends);
    hole["ends"].as_array_mut().unwrap().remove(1);
    vectors.bad("a hole in the file", "genesis", &hole, "epoch-order");

    let base = ("genesis", &first);
    vectors.changes(base, CHANGES);
    let end = &first["ends"][0];
    let approvals = "/ends/0/change/approvals/signatures";
    let fewer = end["change"]["approvals"]["signatures"].as_array().unwrap()[..2].to_vec();
    vectors.change(
        base,
        "approved by two of four",
        approvals,
        fewer.into(),
        "stake",
    );
    let others = end["certificate"]["slow"]["signatures"].clone();
    vectors.change(
        base,
        "approvals signed elsewhere",
        approvals,
        others,
        "signature",
    );
    let twice = end["change"]["next"]["members"][0].clone();
    let member = "/ends/0/change/next/members/3";
    vectors.change(base, "a member twice", member, twice, "form");

    let all = json(&chain.ends);
    let second = "/ends/1/certificate/slow/signatures/0/0";
    let base = ("genesis", &all);
    vectors.change(
        base,
        "a signer who is no member",
        second,
        json!(7),
        "unknown-signer",
    );
    vectors
}

fn file(ends: &[EpochEnd]) -> HandoverFile {
    HandoverFile::new(ends.to_vec()).unwrap()
}

fn good(vectors: &mut Vectors, chain: &epochs::Chain) {
    for (name, trust, from, to) in [
        ("over three epochs", "genesis", 0, 3),
        ("over one epoch", "committee file", 0, 1),
        ("from the second epoch", "epoch 1", 1, 3),
        ("nothing to follow", "epoch 1", 1, 1),
    ] {
        let committee = &chain.committees[to];
        let base = Height(to as u64 * epochs::BLOCKS);
        let ok = json!({
            "epoch": to,
            "id": committee.id(),
            "trust": { "committee": committee, "base": base },
        });
        vectors.good(name, trust, &file(&chain.ends[from..to]), ok);
    }
}

const CHANGES: &str = r#"
    another version | /version | 2 | version
    another version of a header | /ends/0/last/version | 1 | block-version
    not the last height | /ends/0/last/height | 2 | outside-epoch
    another chain | /ends/0/last/chain | 1 | malformed
    names others | /ends/0/last/next | HASH | malformed
    another timestamp | /ends/0/last/timestamp | 9 | malformed
    no change | /ends/0/change | null | malformed
    another stake | /ends/0/change/next/members/3/stake | 2 | malformed
    another contact | /ends/0/change/contacts/0/name | "mallory" | malformed
    no contacts | /ends/0/change/contacts | [] | malformed
    no fillers | /ends/0/fillers | [] | other-view
    a filler that carries something | /ends/0/fillers/0/payload | HASH | malformed
    another view certified | /ends/0/certificate/slow/statement/view | 99 | other-view
    another block certified | /ends/0/certificate/slow/statement/block | HASH | malformed
    another signer | /ends/0/certificate/slow/signatures/2/0 | 3 | signature
"#;
