//! Evidence of E1 to E5: true, legal, malformed, altered, of another chain, epoch or key; and drawn ones.

use crate::draws::Draws;
use crate::hex;
use outrider_types::evidence::Pair;
use outrider_types::testing::{CHAIN, committee, key};
use outrider_types::{
    BlockId, ChainId, CommitVote, Committee, Epoch, Evidence, MemberIndex, ProposalKind, Propose,
    SecretKey, Signed, Statement, Timeout, View, Vote, decode, encode,
};
use serde::Serialize;

/// Who is accused.
const MEMBER: u16 = 1;
const EPOCH: Epoch = Epoch(3);

/// What a contract has to say of evidence, in the order of letters, as forge wants it.
#[derive(Serialize)]
pub struct Case {
    chain: u64,
    epoch: u64,
    /// The error with which it is refused unread; empty if it is read.
    error: String,
    evidence: String,
    key: String,
    name: String,
    offence: u8,
    preimage_a: String,
    preimage_b: String,
    /// Whether both signatures are the key's.
    proven: bool,
    view: u64,
}

/// The two statements of a piece of evidence, as signed bytes on a chain.
fn preimages(evidence: &Evidence, chain: ChainId) -> [String; 2] {
    fn both<A: Statement, B: Statement>(pair: &Pair<A, B>, chain: ChainId) -> [String; 2] {
        let (a, b) = (&pair.first.statement, &pair.second.statement);
        [hex(a.preimage(chain)), hex(b.preimage(chain))]
    }
    match evidence {
        Evidence::DoubleProposal(pair) => both(pair, chain),
        Evidence::DoubleVote(pair) => both(pair, chain),
        Evidence::DoubleCommitVote(pair) => both(pair, chain),
        Evidence::HiddenVote(pair) => both(pair, chain),
        Evidence::BrokenLock(pair) => both(pair, chain),
    }
}

fn view(evidence: &Evidence) -> View {
    match evidence {
        Evidence::DoubleProposal(pair) => pair.first.view,
        Evidence::DoubleVote(pair) => pair.first.view,
        Evidence::DoubleCommitVote(pair) => pair.first.view,
        Evidence::HiddenVote(pair) => pair.first.view,
        Evidence::BrokenLock(pair) => pair.first.view,
    }
}

/// The committee of four, in an epoch.
fn committee_of(epoch: Epoch) -> Committee {
    let (four, _) = committee(&[1; 4]);
    Committee::new(CHAIN, epoch, four.members().to_vec(), None).unwrap()
}

/// What members exchange, without the version byte of the frame.
fn bytes(evidence: &Evidence) -> Vec<u8> {
    encode(evidence)[1..].to_vec()
}

/// What the node makes of bytes: the evidence, if it can be read.
fn read(bytes: &[u8]) -> Option<Evidence> {
    let mut framed = encode(&0_u8)[..1].to_vec();
    framed.extend_from_slice(bytes);
    decode(framed).ok()
}

struct Cases(Vec<Case>);

impl Cases {
    /// Evidence that is read. What is expected has to be what the node says.
    fn read(&mut self, name: &str, evidence: &Evidence, proven: bool) {
        let committee = committee_of(evidence.epoch());
        assert_eq!(
            evidence.clone().verify(&committee).is_ok(),
            proven,
            "{name}"
        );
        self.elsewhere(name, evidence, (CHAIN, MEMBER), proven);
    }

    /// The same with the chain and the member of whoever asks.
    fn elsewhere(
        &mut self,
        name: &str,
        evidence: &Evidence,
        (chain, member): (ChainId, u16),
        proven: bool,
    ) {
        let [preimage_a, preimage_b] = preimages(evidence, chain);
        self.0.push(Case {
            chain: chain.0,
            epoch: evidence.epoch().0,
            error: String::new(),
            evidence: hex(bytes(evidence)),
            key: hex(key(member.into()).public_key().0),
            name: name.into(),
            offence: bytes(evidence)[0],
            preimage_a,
            preimage_b,
            proven,
            view: view(evidence).0,
        });
    }

    /// Bytes that are refused with an error. The node must refuse them too.
    fn refused(&mut self, name: &str, bytes: Vec<u8>, error: &str) {
        if let Some(evidence) = read(&bytes) {
            let committee = committee_of(evidence.epoch());
            assert!(evidence.verify(&committee).is_err(), "{name}");
        }
        self.0.push(Case {
            chain: CHAIN.0,
            epoch: 0,
            error: error.into(),
            evidence: hex(bytes),
            key: hex(key(MEMBER.into()).public_key().0),
            name: name.into(),
            offence: 0,
            preimage_a: hex([]),
            preimage_b: hex([]),
            proven: false,
            view: 0,
        });
    }
}

fn sign<S: Statement>(statement: S) -> Signed<S> {
    let key: SecretKey = key(MEMBER.into());
    Signed::sign(statement, CHAIN, MemberIndex(MEMBER), &key).into_inner()
}

fn vote(epoch: Epoch, view: u64, block: u8) -> Signed<Vote> {
    sign(Vote {
        epoch,
        view: View(view),
        block: BlockId([block; 32]),
    })
}

fn commit(epoch: Epoch, view: u64, block: u8) -> Signed<CommitVote> {
    sign(CommitVote {
        epoch,
        view: View(view),
        block: BlockId([block; 32]),
    })
}

fn propose(epoch: Epoch, view: u64, kind: ProposalKind, block: u8) -> Signed<Propose> {
    sign(Propose {
        epoch,
        view: View(view),
        kind,
        block: BlockId([block; 32]),
    })
}

fn timeout(epoch: Epoch, view: u64, high_view: u64, voted: Option<u8>) -> Signed<Timeout> {
    sign(Timeout {
        epoch,
        view: View(view),
        high_view: View(high_view),
        voted: voted.map(|block| BlockId([block; 32])),
    })
}

/// One of each offence by its number, with the second half in an epoch of its own.
fn true_one(number: usize, second: Epoch) -> Evidence {
    let normal = ProposalKind::Normal;
    match number {
        1 => Evidence::DoubleProposal(Pair {
            first: propose(EPOCH, 5, normal, 1),
            second: propose(second, 5, normal, 2),
        }),
        2 => Evidence::DoubleVote(Pair {
            first: vote(EPOCH, 5, 1),
            second: vote(second, 5, 2),
        }),
        3 => Evidence::DoubleCommitVote(Pair {
            first: commit(EPOCH, 5, 1),
            second: commit(second, 5, 2),
        }),
        4 => Evidence::HiddenVote(Pair {
            first: vote(EPOCH, 5, 1),
            second: timeout(second, 5, 3, None),
        }),
        _ => Evidence::BrokenLock(Pair {
            first: commit(EPOCH, 5, 1),
            second: timeout(second, 6, 4, Some(1)),
        }),
    }
}

/// Where a half begins and ends: the tag, then the two.
fn halves(bytes: &[u8]) -> (usize, usize) {
    let first = if bytes[0] == 1 { 49 } else { 48 };
    (1, 1 + first + 66)
}

pub fn cases() -> Vec<Case> {
    let mut cases = Cases(Vec::new());
    for number in 1..=5 {
        altered(&mut cases, number);
    }
    other_truths(&mut cases);
    legal(&mut cases);
    malformed(&mut cases);
    cases.0
}

/// The true one, and what becomes of it when something is not as it was.
fn altered(cases: &mut Cases, number: usize) {
    let good = true_one(number, EPOCH);
    let name = |what: &str| format!("E{number}, {what}");
    cases.read(&name("true"), &good, true);
    let other_chain = (ChainId(CHAIN.0 + 1), MEMBER);
    cases.elsewhere(&name("another chain"), &good, other_chain, false);
    cases.elsewhere(&name("another key"), &good, (CHAIN, 2), false);

    let wire = bytes(&good);
    let (first, second) = halves(&wire);
    let change = |at: &[usize], to: u8| {
        let mut wire = wire.clone();
        at.iter().for_each(|at| wire[*at] = to);
        wire
    };
    let epochs = change(&[first + 7, second + 7], 4);
    cases.read(
        &name("replayed in another epoch"),
        &read(&epochs).unwrap(),
        false,
    );
    let blocks = change(&[second - 67], 9);
    cases.read(
        &name("another block in the first half"),
        &read(&blocks).unwrap(),
        false,
    );
    for (what, at) in [
        ("first R", second - 64),
        ("first s", second - 32),
        ("second R", wire.len() - 64),
        ("second s", wire.len() - 32),
    ] {
        let altered = change(&[at], wire[at] ^ 1);
        cases.read(
            &name(&format!("another {what}")),
            &read(&altered).unwrap(),
            false,
        );
    }
    let signer = change(&[second - 65], 2);
    cases.refused(&name("two signers"), signer, "TwoSigners(uint16,uint16)");
    let signers = read(&change(&[second - 65, wire.len() - 65], 2)).unwrap();
    assert!(signers.clone().verify(&committee_of(EPOCH)).is_err());
    cases.elsewhere(
        &name("in another's name, with their key"),
        &signers,
        (CHAIN, 2),
        false,
    );
    // The index is not signed over: whose key it is has been settled by whoever asks.
    cases.elsewhere(
        &name("in another's name, with the signer's key"),
        &signers,
        (CHAIN, MEMBER),
        true,
    );
    let two = bytes(&true_one(number, Epoch(4)));
    cases.refused(&name("two epochs"), two, "TwoEpochs(uint64,uint64)");
    cut(cases, number, &wire);
}

/// Bytes that are too many, too few, or of nothing known.
fn cut(cases: &mut Cases, number: usize, wire: &[u8]) {
    let name = |what: &str| format!("E{number}, {what}");
    let long = "WrongLength(uint256)";
    let (_, second) = halves(wire);
    cases.refused(&name("a byte too many"), [wire, &[0]].concat(), long);
    cases.refused(
        &name("a byte too few"),
        wire[..wire.len() - 1].to_vec(),
        long,
    );
    cases.refused(
        &name("without the second half"),
        wire[..second].to_vec(),
        long,
    );
    cases.refused(&name("nothing but the tag"), wire[..1].to_vec(), long);
    // The version byte of a frame is the tag of E3, whose length is another.
    cases.refused(&name("in a frame"), [&[3], wire].concat(), long);
    for (what, tag) in [("no tag", 0), ("an unknown tag", 6)] {
        let mut wire = wire.to_vec();
        wire[0] = tag;
        cases.refused(&name(what), wire, "UnknownOffence(uint8)");
    }
}

/// The other forms that are true.
fn other_truths(cases: &mut Cases) {
    let optimistic = ProposalKind::Optimistic;
    let two = Pair {
        first: propose(EPOCH, 5, optimistic, 1),
        second: propose(EPOCH, 5, optimistic, 2),
    };
    cases.read("E1, both optimistic", &Evidence::DoubleProposal(two), true);
    let pair = |voted| Pair {
        first: vote(EPOCH, 5, 1),
        second: timeout(EPOCH, 5, 4, voted),
    };
    cases.read(
        "E4, voted for another",
        &Evidence::HiddenVote(pair(Some(2))),
        true,
    );
    let pair = |view, high| Pair {
        first: commit(EPOCH, 5, 1),
        second: timeout(EPOCH, view, high, None),
    };
    cases.read(
        "E5, in the same view",
        &Evidence::BrokenLock(pair(5, 4)),
        true,
    );
    cases.read("E5, far later", &Evidence::BrokenLock(pair(5000, 0)), true);
}

/// Pairs that an honest member may sign.
fn legal(cases: &mut Cases) {
    let (normal, optimistic) = (ProposalKind::Normal, ProposalKind::Optimistic);
    let proposals = |view, kind, block| {
        Evidence::DoubleProposal(Pair {
            first: propose(EPOCH, 5, normal, 1),
            second: propose(EPOCH, view, kind, block),
        })
    };
    let votes = |view, block| {
        Evidence::DoubleVote(Pair {
            first: vote(EPOCH, 5, 1),
            second: vote(EPOCH, view, block),
        })
    };
    let commits = |view, block| {
        Evidence::DoubleCommitVote(Pair {
            first: commit(EPOCH, 5, 1),
            second: commit(EPOCH, view, block),
        })
    };
    let hidden = |view, voted| {
        Evidence::HiddenVote(Pair {
            first: vote(EPOCH, 5, 1),
            second: timeout(EPOCH, view, 3, voted),
        })
    };
    let lock = |view, high| {
        Evidence::BrokenLock(Pair {
            first: commit(EPOCH, 5, 1),
            second: timeout(EPOCH, view, high, None),
        })
    };
    for (name, evidence) in [
        ("E1, legal: the same", proposals(5, normal, 1)),
        ("E1, legal: of two kinds", proposals(5, optimistic, 2)),
        ("E1, legal: in two views", proposals(6, normal, 2)),
        ("E2, legal: the same", votes(5, 1)),
        ("E2, legal: in two views", votes(6, 2)),
        ("E3, legal: the same", commits(5, 1)),
        ("E3, legal: in two views", commits(6, 2)),
        ("E4, legal: the vote is told", hidden(5, Some(1))),
        ("E4, legal: in two views", hidden(6, None)),
        ("E5, legal: the rank is the view's", lock(6, 5)),
        ("E5, legal: the rank is higher", lock(9, 7)),
        ("E5, legal: given up before", lock(4, 3)),
    ] {
        cases.refused(name, bytes(&evidence), "Legal(uint8)");
    }
}

fn malformed(cases: &mut Cases) {
    cases.refused("no bytes", Vec::new(), "WrongLength(uint256)");
    for high in [5, 6] {
        let pair = Pair {
            first: vote(EPOCH, 5, 1),
            second: timeout(EPOCH, 5, high, None),
        };
        let wire = bytes(&Evidence::HiddenVote(pair));
        let name = format!("E4, a timeout of view 5 and rank {high}");
        cases.refused(&name, wire, "HighView(uint64,uint64)");
    }
    let last = u64::MAX;
    let two = Evidence::DoubleVote(Pair {
        first: vote(EPOCH, last, 1),
        second: vote(EPOCH, last, 2),
    });
    cases.refused("E2, in the last view", bytes(&two), "LastView()");
    let pair = Pair {
        first: commit(EPOCH, 5, 1),
        second: timeout(EPOCH, last, 3, None),
    };
    let wire = bytes(&Evidence::BrokenLock(pair));
    cases.refused("E5, a timeout of the last view", wire, "LastView()");
    let mut wire = bytes(&true_one(1, EPOCH));
    wire[17] = 2;
    cases.refused("E1, of an unknown kind", wire, "UnknownKind(uint8)");
    let mut wire = bytes(&true_one(4, EPOCH));
    let (_, second) = halves(&wire);
    wire[second + 24] = 2;
    cases.refused("E4, an unknown flag", wire.clone(), "UnknownFlag(uint8)");
    wire[second + 24] = 1;
    cases.refused("E4, a flag without a block", wire, "WrongLength(uint256)");
}

/// A statement that may be signed with another key, or as another kind of statement.
fn drawn<S: Statement>(draws: &mut Draws, statement: S) -> Signed<S> {
    let mut signed = sign(statement);
    match draws.below(24) {
        0 => signed.signer = MemberIndex(2),
        1 => signed.signature.0[33] ^= 4,
        2 => signed.signature = vote(EPOCH, 2, 1).signature,
        _ => {}
    }
    signed
}

fn drawn_evidence(draws: &mut Draws) -> Evidence {
    // Mostly one epoch and one view, so that many pairs conflict.
    let epoch = |draws: &mut Draws| Epoch(draws.below(12) / 11 + EPOCH.0);
    let view = |draws: &mut Draws| View(draws.of(&[1, 2, 2, 2, 2, 2, 2, 2, 2, 3, u64::MAX]));
    let block = |draws: &mut Draws| BlockId([draws.of(&[1, 2, 3]); 32]);
    let vote = |draws: &mut Draws| Vote {
        epoch: epoch(draws),
        view: view(draws),
        block: block(draws),
    };
    let commit = |draws: &mut Draws| {
        let Vote { epoch, view, block } = vote(draws);
        CommitVote { epoch, view, block }
    };
    let propose = |draws: &mut Draws| {
        let Vote { epoch, view, block } = vote(draws);
        let kind = draws.of(&[ProposalKind::Normal, ProposalKind::Optimistic]);
        Propose {
            epoch,
            view,
            kind,
            block,
        }
    };
    let timeout = |draws: &mut Draws| Timeout {
        epoch: epoch(draws),
        view: view(draws),
        high_view: View(draws.of(&[0, 1, 1, 2, 3])),
        voted: (draws.below(2) == 1).then(|| block(draws)),
    };
    macro_rules! pair {
        ($kind:ident, $first:ident, $second:ident) => {{
            let (first, second) = ($first(draws), $second(draws));
            let first = drawn(draws, first);
            let second = drawn(draws, second);
            Evidence::$kind(Pair { first, second })
        }};
    }
    match draws.below(5) {
        0 => pair!(DoubleProposal, propose, propose),
        1 => pair!(DoubleVote, vote, vote),
        2 => pair!(DoubleCommitVote, commit, commit),
        3 => pair!(HiddenVote, vote, timeout),
        _ => pair!(BrokenLock, commit, timeout),
    }
}

/// So many drawn pieces of evidence; what the node says of each is its `proven`, and no error is named.
pub fn rows(draws: &mut Draws, count: usize) -> Vec<Case> {
    let mut cases = Cases(Vec::new());
    for row in 0..count {
        let evidence = drawn_evidence(draws);
        let committee = committee_of(evidence.epoch());
        let member = evidence.accused().0;
        let proven = evidence.clone().verify(&committee).is_ok();
        cases.elsewhere(&format!("row {row}"), &evidence, (CHAIN, member), proven);
    }
    let proven = cases.0.iter().filter(|case| case.proven).count();
    println!("{proven} of {count} pieces of evidence prove an offence");
    assert!(proven * 10 > count && proven < count, "too few of one kind");
    cases.0
}
