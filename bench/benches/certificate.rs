//! Statements and certificates: signing, strict verification, assembling, and their bytes.
//!
//! A certificate is of exactly a quorum. `kind=proposal` and `kind=timeout` carry one, as they do in every view but
//! the first; `kind=timeout_certificate` is what ends a view that nobody certified.

#![allow(
    clippy::unwrap_used,
    reason = "what does not decode or verify is a mistake in the bench"
)]

mod common;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use outrider_bench::{COMMITTEES, MEMBERS, START, Scene, tell};
use outrider_consensus::Input;
use outrider_types::{
    ConsensusMessage, Justification, PayloadId, Signed, Verified, Vote, decode, encode, testing,
};
use std::hint::black_box;

fn scene(members: usize) -> Scene {
    Scene::new(members, PayloadId([7; 32]))
}

fn statement(criterion: &mut Criterion) {
    let scene = scene(MEMBERS[0]);
    let vote: Signed<Vote> = scene.votes()[1].clone().into_inner();
    let key = testing::key(1);
    criterion.bench_function("types::statement_sign/kind=vote", |bencher| {
        bencher.iter(|| {
            let statement = black_box(vote.statement);
            Signed::sign(statement, testing::CHAIN, vote.signer, &key)
        });
    });
    criterion.bench_function("types::statement_verify/kind=vote", |bencher| {
        bencher.iter(|| black_box(vote).verify(&scene.committee).unwrap());
    });
}

fn certificate(criterion: &mut Criterion) {
    for members in COMMITTEES {
        let scene = scene(members);
        let committee = &scene.committee;
        let votes = scene.votes();
        let quorum = &votes[..scene.quorum()];
        criterion.bench_function(
            &format!("types::certificate_assemble/members={members}"),
            |bencher| bencher.iter(|| Verified::quorum(black_box(quorum), committee).unwrap()),
        );
        let timeouts = scene.timeouts();
        let quorum = &timeouts[..scene.timeout_quorum()];
        criterion.bench_function(
            &format!("types::timeout_certificate_assemble/members={members}"),
            |bencher| bencher.iter(|| Verified::timeouts(black_box(quorum), committee).unwrap()),
        );
        let certificate = scene.certificate().into_inner();
        criterion.bench_function(
            &format!("types::certificate_verify/members={members}"),
            |bencher| {
                bencher.iter_batched(
                    || certificate.clone(),
                    |certificate| black_box(certificate).verify(committee).unwrap(),
                    BatchSize::SmallInput,
                );
            },
        );
        let justification = scene.timeout_certificate().into_inner();
        criterion.bench_function(
            &format!("types::timeout_certificate_verify/members={members}"),
            |bencher| {
                bencher.iter_batched(
                    || justification.clone(),
                    |justification| black_box(justification).verify(committee).unwrap(),
                    BatchSize::SmallInput,
                );
            },
        );
    }
}

/// Messages that a view needs, by kind.
fn messages(scene: &Scene) -> [(&'static str, ConsensusMessage); 6] {
    let vote = scene.votes()[1].clone().into_inner();
    let commit_vote = scene.commit_votes()[1].clone().into_inner();
    let quorum = Justification::Certificate(scene.certificate().into_inner());
    let proposal = scene.second_proposal().into_inner();
    let timeout = scene.timeouts()[1].clone().into_inner();
    let certificate = scene.timeout_certificate().into_inner();
    [
        ("vote", ConsensusMessage::Vote(vote)),
        ("commit_vote", ConsensusMessage::CommitVote(commit_vote)),
        ("proposal", ConsensusMessage::Proposal(proposal)),
        ("certificate", ConsensusMessage::Certificate(quorum)),
        ("timeout", ConsensusMessage::Timeout(timeout)),
        (
            "timeout_certificate",
            ConsensusMessage::Certificate(certificate),
        ),
    ]
}

fn message(criterion: &mut Criterion) {
    for members in MEMBERS {
        for (kind, message) in messages(&scene(members)) {
            let bytes = encode(&message);
            assert_eq!(decode::<ConsensusMessage>(bytes.clone()).unwrap(), message);
            let name = format!("kind={kind}/members={members}");
            let mut group = criterion.benchmark_group("types::message_encode");
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(&name, |bencher| {
                bencher.iter(|| encode(black_box(&message)))
            });
            group.finish();
            let mut group = criterion.benchmark_group("types::message_decode");
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_function(&name, |bencher| {
                bencher.iter(|| decode::<ConsensusMessage>(black_box(&bytes).clone()).unwrap());
            });
            group.finish();
        }
    }
}

/// What every step that signs hands to the journal.
fn safety_state(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("types::safety_state_encode");
    for members in MEMBERS {
        let scene = scene(members);
        let mut replica = scene.replica();
        let justification = scene.certificate().into();
        tell(&mut replica, START, Input::Certificate { justification });
        let safety = replica.safety();
        assert!(safety.entry.is_some() && safety.high.is_some());
        group.throughput(Throughput::Bytes(safety.to_bytes().len() as u64));
        group.bench_function(format!("members={members}"), |bencher| {
            bencher.iter(|| black_box(safety).to_bytes());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = common::short();
    targets = statement, certificate, message, safety_state
}
criterion_main!(benches);
