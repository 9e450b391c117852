//! Proofs that a member broke the protocol.

use crate::Vectors;
use outrider_client::{EvidenceFile, offence_name};
use outrider_types::evidence::Pair;
use outrider_types::testing::{CHAIN, committee};
use outrider_types::{
    BlockId, CommitVote, Epoch, Evidence, MemberIndex, ProposalKind, Propose, SecretKey, Signed,
    Statement, Timeout, View, Vote,
};
use serde_json::{Value, json};

const EPOCH: Epoch = Epoch(0);
/// Who is accused.
const MEMBER: usize = 1;

fn sign<S: Statement>(statement: S, keys: &[SecretKey]) -> Signed<S> {
    Signed::sign(statement, CHAIN, MemberIndex(MEMBER as u16), &keys[MEMBER]).into_inner()
}

fn vote(block: u8) -> Vote {
    Vote {
        epoch: EPOCH,
        view: View(5),
        block: BlockId([block; 32]),
    }
}

fn commit(block: u8) -> CommitVote {
    CommitVote {
        epoch: EPOCH,
        view: View(5),
        block: BlockId([block; 32]),
    }
}

fn propose(block: u8) -> Propose {
    Propose {
        epoch: EPOCH,
        view: View(5),
        kind: ProposalKind::Normal,
        block: BlockId([block; 32]),
    }
}

fn timeout(view: u64) -> Timeout {
    Timeout {
        epoch: EPOCH,
        view: View(view),
        high_view: View(3),
        voted: None,
    }
}

fn pieces(keys: &[SecretKey]) -> [Evidence; 5] {
    [
        Evidence::DoubleProposal(Pair {
            first: sign(propose(1), keys),
            second: sign(propose(2), keys),
        }),
        Evidence::DoubleVote(Pair {
            first: sign(vote(1), keys),
            second: sign(vote(2), keys),
        }),
        Evidence::DoubleCommitVote(Pair {
            first: sign(commit(1), keys),
            second: sign(commit(2), keys),
        }),
        Evidence::HiddenVote(Pair {
            first: sign(vote(1), keys),
            second: sign(timeout(5), keys),
        }),
        Evidence::BrokenLock(Pair {
            first: sign(commit(1), keys),
            second: sign(timeout(6), keys),
        }),
    ]
}

pub fn vectors() -> Vectors {
    let mut vectors = Vectors::new("evidence");
    let (committee, keys) = committee(&[1; 4]);
    let (other, _) = outrider_types::testing::committee(&[2; 4]);
    vectors.trust("four", &committee);
    vectors.trust("others", &other);
    for piece in pieces(&keys) {
        let name = offence_name(piece.offence());
        let file = EvidenceFile::new(committee.clone(), piece.verify(&committee).unwrap());
        let ok = json!({
            "offence": name,
            "member": MEMBER,
            "public_key": keys[MEMBER].public_key(),
            "stake": 1,
            "total": 4,
            "epoch": 0,
            "view": 5,
            "committee": committee.id(),
        });
        vectors.good(name, "four", &file, ok);
    }
    let double: Value = serde_json::from_str(&vectors.cases[1].proof).unwrap();
    let first = double["evidence"]["double-vote"]["first"].clone();
    vectors.bad(
        "against a member of others",
        "others",
        &double,
        "other-committee",
    );
    let base = ("four", &double);
    vectors.changes(base, CHANGES);
    let second = "/evidence/double-vote/second";
    vectors.change(base, "twice the same", second, first, "legal");
    let mut two = double.clone();
    two["evidence"]["double-vote"]["second"]["signer"] = json!(2);
    let first = "/evidence/double-vote/first/signer";
    vectors.change(
        ("four", &two),
        "another signer",
        first,
        json!(2),
        "signature",
    );
    two["evidence"]["double-vote"]["second"]["signer"] = json!(4);
    vectors.change(
        ("four", &two),
        "no member",
        first,
        json!(4),
        "unknown-signer",
    );
    vectors
}

const CHANGES: &str = r#"
    another version | /version | 9 | version
    signed by two members | /evidence/double-vote/first/signer | 2 | two-signers
    another epoch | /evidence/double-vote/first/statement/epoch | 1 | other-epoch
    another view | /evidence/double-vote/first/statement/view | 6 | signature
    an unknown offence | /evidence | {"rudeness": {}} | form
"#;
