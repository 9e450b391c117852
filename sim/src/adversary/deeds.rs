//! Deeds by name.

use super::forger::{Forger, Replayer};
use super::lanes::{Breach, Lawless};
use super::lies::{DoubleVoter, EvidenceForger, Liar};
use super::mutator::{Mutator, Spammer};
use super::omission::{Censor, LateLeader, SelectiveFastVotes, SelectiveVoter, Silent, Withholder};
use super::schedule::{HiddenQc, SelectiveCertifier, Splitter, Strategist};
use super::sides::{Equivocator, Forkers, Twin};
use super::syncer::LyingSyncer;
use super::{Deed, Setup};

/// All deeds: name, and what it does and which rule that strains. All but `forkers` may be done by up to f stake without any
/// promise being broken.
pub const DEEDS: &[(&str, &str)] = &[
    (
        "equivocator",
        "two sides, each heard by a part of the others that changes with the view; proposes, votes and times out twice (R4, R6, R7, E1 to E5)",
    ),
    (
        "twin",
        "two sides, each connected with two thirds of the others (R1, E1 to E5)",
    ),
    (
        "withholder",
        "payloads reach only some, no certificate is forwarded, no request answered (R4, R1, R11)",
    ),
    ("silent", "says nothing (R8, R10)"),
    (
        "liar",
        "its timeouts hide its vote and certificate or claim other ones, to each half something else (R4(b), resolve, E4, E5)",
    ),
    (
        "double-voter",
        "votes and commit-votes for every block it hears of, and times out beside (R4 to R7, E2 to E5)",
    ),
    (
        "selective-voter",
        "its votes and commit votes reach one member of a view (R5, R11)",
    ),
    (
        "selective-fast-votes",
        "protocol section 8: its votes reach one member for ever, its commit votes nobody (R5, R6)",
    ),
    (
        "forger",
        "wrong signatures, others' names, certificates with a signer twice, of too little stake or made up, altered timeouts (T3)",
    ),
    (
        "replayer",
        "says old messages of others again, as of the present epoch, or as certificates of another kind (R1, R13)",
    ),
    (
        "mutator",
        "changes one thing in a message: view, justification, parent, block; signs its own anew (R4; ByzzFuzz)",
    ),
    (
        "censor",
        "as leader leaves out the transactions of rollup 1 and does not spread them (L5)",
    ),
    (
        "late-leader",
        "proposes four fifths of the timer late (R8, R12)",
    ),
    (
        "spammer",
        "up to 200 messages a second of far views and unknown blocks (R1 to R3 of the checkers)",
    ),
    (
        "strategist",
        "before gst holds back what would complete a certificate until just before the timer; splits votes (R1, R8, R9, R12)",
    ),
    (
        "selective-certifier",
        "completes each certificate first and hands it to one member that does not lead next (R1, R11)",
    ),
    (
        "hidden-qc",
        "protocol section 8: certificates of a view do not reach the next leader (R1, R8)",
    ),
    (
        "splitter",
        "protocol section 8: completes the block ahead towards all but the next leader, whose timeouts adopt the other (R3)",
    ),
    (
        "lying-syncer",
        "answers requests with wrong blocks and payloads, unproven chains, claims far too high (R4, R11)",
    ),
    (
        "evidence-forger",
        "accuses the innocent with pairs that prove nothing (S11)",
    ),
    (
        "root-liar",
        "as leader its headers lie about lanes, history or registry (F13)",
    ),
    (
        "misorderer",
        "as leader it breaks the ordering policy of a lane; without one to break it proposes nothing (F14)",
    ),
    (
        "trespasser",
        "as leader it orders something for a rollup that is not open (F14)",
    ),
    (
        "bundle-splitter",
        "as leader it leaves out a part of a bundle; without a bundle it proposes nothing (F15)",
    ),
    (
        "forkers",
        "more than f stake together: two sides each, one for each half of the honest; two chains become final (S1, S11)",
    ),
];

/// Those that break the rules of lanes.
pub const LANE_DEEDS: &[&str] = &["root-liar", "misorderer", "trespasser", "bundle-splitter"];

/// The deed of this name, for a host; none if there is none.
#[must_use]
pub fn deed(name: &str, setup: &Setup) -> Option<Box<dyn Deed>> {
    Some(match name {
        "equivocator" => Box::new(Equivocator::new(setup)),
        "twin" => Box::new(Twin::new(setup)),
        "withholder" => Box::new(Withholder::new(setup)),
        "silent" => Box::new(Silent),
        "liar" => Box::new(Liar::new(setup)),
        "double-voter" => Box::new(DoubleVoter::new(setup)),
        "selective-voter" => Box::new(SelectiveVoter::new(setup)),
        "selective-fast-votes" => Box::new(SelectiveFastVotes::new(setup)),
        "forger" => Box::new(Forger::default()),
        "replayer" => Box::new(Replayer::default()),
        "mutator" => Box::new(Mutator::default()),
        "censor" => Box::new(Censor::default()),
        "late-leader" => Box::new(LateLeader::new(setup)),
        "spammer" => Box::new(Spammer::default()),
        "strategist" => Box::new(Strategist::new(setup)),
        "selective-certifier" => Box::new(SelectiveCertifier::new(setup)),
        "hidden-qc" => Box::new(HiddenQc::new(setup)),
        "splitter" => Box::new(Splitter::new(setup)),
        "lying-syncer" => Box::new(LyingSyncer::default()),
        "evidence-forger" => Box::new(EvidenceForger::default()),
        "root-liar" => Box::new(Lawless::new(setup, Breach::Roots)),
        "misorderer" => Box::new(Lawless::new(setup, Breach::Order)),
        "trespasser" => Box::new(Lawless::new(setup, Breach::Closed)),
        "bundle-splitter" => Box::new(Lawless::new(setup, Breach::Bundle)),
        "forkers" => Box::new(Forkers::new(setup)),
        _ => return None,
    })
}
