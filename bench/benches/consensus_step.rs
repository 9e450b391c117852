//! One step of a replica, with all signing it does and none of the disk: `consensus::step/input=../members=N`.
//!
//! | input | before | after |
//! |---|---|---|
//! | `proposal` | entered view 2 by the certificate of block 1 | asks for the payload of block 2 |
//! | `payload_checked` | the same, block 2 proposed | votes for block 2 (one signature) |
//! | `vote_early` | voted for block 1, no other vote yet | one vote more |
//! | `vote` | one vote short of a quorum | certificate, view 2, commit vote (one signature) |
//! | `commit_vote` | one commit vote short of a quorum | block 1 is committed |
//! | `timeout` | gave up on view 2, one timeout short | timeout certificate, view 3 |
//! | `certificate` | voted for block 1, heard of no other vote | view 2 by the certificate of block 1, commit vote (one signature) |

mod common;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use outrider_bench::{ME, MEMBERS, START, Scene, position, tell};
use outrider_consensus::{Action, Input, Replica};
use outrider_types::{
    CommitVote, ConsensusMessage, Height, Justification, PayloadId, Proposal, Signed,
    TimeoutMessage, Timestamp, Verified, View, Vote,
};
use std::hint::black_box;

/// A scene with everything said in it, signed once.
struct Script {
    scene: Scene,
    first: Verified<Proposal>,
    second: Verified<Proposal>,
    votes: Vec<Verified<Signed<Vote>>>,
    commit_votes: Vec<Verified<Signed<CommitVote>>>,
    timeouts: Vec<Verified<TimeoutMessage>>,
    certificate: Verified<Justification>,
}

impl Script {
    fn new(members: usize) -> Self {
        let scene = Scene::new(members, PayloadId([7; 32]));
        Self {
            first: scene.first_proposal(),
            second: scene.second_proposal(),
            votes: scene.votes(),
            commit_votes: scene.commit_votes(),
            timeouts: scene.timeouts(),
            certificate: scene.certificate().into(),
            scene,
        }
    }

    /// Voted for block 1; `others` more votes came.
    fn voted(&self, others: usize) -> Replica {
        let mut replica = self.scene.replica();
        let proposal = self.first.clone();
        tell(&mut replica, START, Input::Proposal { proposal });
        let (block, valid) = (self.scene.first.id(), true);
        tell(&mut replica, START, Input::PayloadChecked { block, valid });
        for member in 1..=others {
            tell(&mut replica, START, self.vote(member));
        }
        replica
    }

    /// Entered view 2, commit-voted for block 1; `others` more commit votes came.
    fn entered(&self, others: usize) -> Replica {
        let mut replica = self.voted(self.scene.quorum() - 1);
        for member in 1..=others {
            tell(&mut replica, START, self.commit_vote(member));
        }
        replica
    }

    /// Entered view 2 and holds the proposal of block 2.
    fn proposed(&self) -> Replica {
        let mut replica = self.entered(0);
        tell(&mut replica, START, self.proposal());
        replica
    }

    /// Gave up on view 2; `others` more timeouts came.
    fn timed_out(&self, others: usize) -> Replica {
        let mut replica = self.entered(0);
        tell(&mut replica, LATE, Input::Wake);
        for member in 1..=others {
            tell(&mut replica, LATE, self.timeout(member));
        }
        replica
    }

    fn proposal(&self) -> Input {
        let proposal = self.second.clone();
        Input::Proposal { proposal }
    }

    fn payload_checked(&self) -> Input {
        let (block, valid) = (self.scene.second.id(), true);
        Input::PayloadChecked { block, valid }
    }

    fn vote(&self, member: usize) -> Input {
        let vote = self.votes[member].clone();
        Input::Vote { vote }
    }

    fn commit_vote(&self, member: usize) -> Input {
        let vote = self.commit_votes[member].clone();
        Input::CommitVote { vote }
    }

    fn timeout(&self, member: usize) -> Input {
        let timeout = self.timeouts[member].clone();
        Input::Timeout { timeout }
    }

    fn certificate(&self) -> Input {
        let justification = self.certificate.clone();
        Input::Certificate { justification }
    }
}

/// After the timer of view 2, before the timeout is due again.
const LATE: Timestamp = Timestamp(START.0 + 1_100_000);

/// A bench: its name, where the replica stands, what it is told, and what must come of it.
struct Case<'a> {
    input: &'static str,
    now: Timestamp,
    before: Box<dyn Fn() -> (Replica, Input) + 'a>,
    after: (View, Height),
    action: fn(&Action) -> bool,
}

fn cases(script: &Script) -> Vec<Case<'_>> {
    let (quorum, timeouts) = (script.scene.quorum(), script.scene.timeout_quorum());
    let case = |input, now, before, after: (u64, u64), action| Case {
        input,
        now,
        before,
        after: (View(after.0), Height(after.1)),
        action,
    };
    vec![
        case(
            "proposal",
            START,
            Box::new(|| (script.entered(0), script.proposal())),
            (2, 0),
            |action| matches!(action, Action::CheckPayload { .. }),
        ),
        case(
            "payload_checked",
            START,
            Box::new(|| (script.proposed(), script.payload_checked())),
            (2, 0),
            |action| {
                said(action, |message| {
                    matches!(message, ConsensusMessage::Vote(_))
                })
            },
        ),
        case(
            "vote_early",
            START,
            Box::new(|| (script.voted(0), script.vote(1))),
            (1, 0),
            |_| true,
        ),
        case(
            "vote",
            START,
            Box::new(move || (script.voted(quorum - 2), script.vote(quorum - 1))),
            (2, 0),
            commit_voted,
        ),
        case(
            "commit_vote",
            START,
            Box::new(move || (script.entered(quorum - 2), script.commit_vote(quorum - 1))),
            (2, 1),
            |action| matches!(action, Action::Commit { .. }),
        ),
        case(
            "timeout",
            LATE,
            Box::new(move || (script.timed_out(timeouts - 2), script.timeout(timeouts - 1))),
            (3, 0),
            |action| {
                matches!(
                    action,
                    Action::Entered {
                        by_timeout: true,
                        ..
                    }
                )
            },
        ),
        case(
            "certificate",
            START,
            Box::new(|| (script.voted(0), script.certificate())),
            (2, 0),
            commit_voted,
        ),
    ]
}

fn commit_voted(action: &Action) -> bool {
    said(action, |message| {
        matches!(message, ConsensusMessage::CommitVote(_))
    })
}

fn said(action: &Action, is: impl Fn(&ConsensusMessage) -> bool) -> bool {
    matches!(action, Action::Broadcast { message } if is(message))
}

impl Case<'_> {
    /// The step does what its name says.
    fn check(&self) {
        let (mut replica, input) = (self.before)();
        let before = position(&replica);
        let actions = tell(&mut replica, self.now, input);
        let Self {
            input,
            after,
            action,
            ..
        } = self;
        assert_eq!(
            position(&replica),
            *after,
            "{input} from {before:?}: {actions:?}"
        );
        let nothing = *input == "vote_early";
        assert_eq!(actions.is_empty(), nothing, "{input}: {actions:?}");
        assert!(
            nothing || actions.iter().any(action),
            "{input}: {actions:?}"
        );
    }
}

fn step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("consensus::step");
    for members in MEMBERS {
        let script = Script::new(members);
        assert_ne!(
            script.scene.second.proposer, ME,
            "the replica measured does not lead"
        );
        for case in cases(&script) {
            case.check();
            group.bench_function(
                format!("input={}/members={members}", case.input),
                |bencher| {
                    bencher.iter_batched(
                        &case.before,
                        |(mut replica, input)| {
                            let actions = tell(&mut replica, case.now, black_box(input));
                            (replica, actions)
                        },
                        BatchSize::LargeInput,
                    );
                },
            );
        }
    }
    group.finish();
}

criterion_group! { name = benches; config = common::short(); targets = step }
criterion_main!(benches);
