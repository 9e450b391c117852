//! The bug zoo: bugs that the simulator must be able to find. Each is a mutant of the production code at the one place
//! where it obeys a rule: `if zoo::is(Mutant::X) { broken } else { right }`.
//!
//! Without the feature `zoo` nothing here can be let loose: [`is`] is the constant `false`, and the compiler drops every
//! broken branch. The feature belongs to the simulator's own builds; no binary that ships has it. With it, `let_loose`
//! chooses the mutant of the calling thread. Choose it before the committee is made: its thresholds are computed once.

/// A way in which the code can be broken. The last words name the checker that must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// A vote leaves without waiting for the journal (protocol section 3): S4.
    VoteBeforeDurable = 1,
    /// The timeout is missing in the durable state (protocol section 3): S4.
    TimeoutNotDurable,
    /// `high` is not raised on a certificate (R1, R5): S6.
    HighNotRaised,
    /// `a && b || c` read as `a || b && c`: a block of rank v-1 needs no certificate of its parent (R4): S12.
    VoteRulePrecedence,
    /// A quorum certificate makes its block final (R6): S7.
    CommitOnOneCertificate,
    /// A received certificate is accepted however little stake signed it: S7.
    WeightUnchecked,
    /// A signer who stands in a certificate twice counts twice: S7.
    SignerCountedTwice,
    /// `2Q >= N + f` for `2Q > N + f`; differs only where `N + f` is even: S7.
    AtLeastForMoreThan,
    /// Every signer counts as much as any other: S7.
    HeadsCounted,
    /// After a timeout a leader extends the last final block, not that of the highest certificate (R2): L1.
    HighestIgnored,
    /// A timeout's signature covers neither `high_view` nor `voted`: S11, for altered ones blame honest members; S7.
    EntriesUnbound,
    /// A timeout may claim a certificate of its own view or of a later one: S7.
    HighViewUnchecked,
    /// No statement's signature covers the epoch (R13): S7.
    EpochNotSigned,
    /// A transaction's id does not cover its rollup: S8.
    RollupNotHashed,
    /// A vote's signature is good for a commit vote, too: S5, for that proves E5 of honest members.
    KindsConfused,
    /// After a restart the view is the one after the last final block (R1): S4.
    ViewRegresses,
    /// A restart forgets what was proposed: S4, before it comes to E1.
    ProposalsForgotten,
    /// A restart takes the first state of the journal for the last: S4.
    OldSafetyState,
    /// A final range is taken without looking at the signatures under it: S7.
    RangeUnverified,
    /// Any leader's height is believed, and nobody votes before it is reached (R11): L1.
    HighestClaimTrusted,
    /// What belongs to a later view than one's own is dropped: L1.
    FutureDropped,
    /// What belongs to later views is kept, however far ahead: R1.
    FutureUnbounded,
    /// Only a certificate of the very view one is in ends it (R1): L1, if those who miss a view are needed.
    AdvanceOnEqual,
    /// The timer of a view never grows (R12): L1.
    NoBackoff,
    /// A statement that comes again spoils all of its view: L1.
    DuplicatePoisons,
    /// A proposal after a timeout comes without the timeout certificate (R2): L1.
    ProposesWithoutTc,
    /// Followers are told of a block when it is certified: S9.
    ReceiptAtCertificate,
    /// What uncommitted ancestors hold is proposed and accepted again (F1): S10.
    IncludedTwice,
    /// A vote does not wait for the payload (R4): S8.
    VoteWithoutPayload,
    /// A leader's normal proposal beside its optimistic one is taken for E1: S11.
    LegalPairBlamed,
    /// The messages of a step leave in the order of a hash map: D1.
    MapOrderVisible,
    /// F - 1 for F (R6): S7.
    FastQuorumLow,
    /// A + 1 for A: a timeout certificate does not adopt what may be final: S7.
    AdoptionHigh,
    /// A timeout never reports a vote (R8): S5, by E4.
    TimeoutHidesVote,
    /// Commit votes in a view that was given up (R5): S4, before it comes to E5.
    CommitVoteAfterTimeout,
    /// The blocks above the last of an epoch join the ledger (R13): S2.
    FillerInLedger,
    /// Optimistic proposals although nothing was committed lately (R3): S12; under the split attack also L2.
    OptimisticAnyway,
    /// The entry certificate is neither forwarded nor kept (R1, R8): L1.
    EntryNotForwarded,
    /// What a header says of lanes, history and registry is believed (F13): S13.
    RootsUnchecked,
    /// A lane may stand in any order, whatever its policy (F14): S13.
    OrderUnchecked,
    /// Something may be ordered for a rollup that is not open (F14): S13.
    ClosedUnchecked,
    /// A block may hold some parts of a bundle only (F15): S13.
    BundlesUnchecked,
}

/// What is to be said of a mutant.
struct Case {
    mutant: Mutant,
    name: &'static str,
    broken: &'static str,
    killer: &'static str,
    needs: &'static str,
}

const fn case(
    mutant: Mutant,
    name: &'static str,
    broken: &'static str,
    killer: &'static str,
    needs: &'static str,
) -> Case {
    Case {
        mutant,
        name,
        broken,
        killer,
        needs,
    }
}

impl Mutant {
    /// How many there are.
    pub const COUNT: usize = 42;

    /// All of them, by number.
    pub const ALL: [Self; Self::COUNT] = {
        let mut all = [Self::VoteBeforeDurable; Self::COUNT];
        let mut at = 0;
        while at < Self::COUNT {
            all[at] = CASES[at].mutant;
            at += 1;
        }
        all
    };

    /// Its number, from 1.
    #[must_use]
    pub const fn number(self) -> usize {
        self as usize
    }

    const fn case(self) -> &'static Case {
        &CASES[self.number() - 1]
    }

    /// Its name, in kebab case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.case().name
    }

    /// What is broken, in one line.
    #[must_use]
    pub const fn broken(self) -> &'static str {
        self.case().broken
    }

    /// The checker that must notice, by its id in design/simulator.md.
    #[must_use]
    pub const fn killer(self) -> &'static str {
        self.case().killer
    }

    /// What a run must have for it to be seen.
    #[must_use]
    pub const fn needs(self) -> &'static str {
        self.case().needs
    }

    /// The one of this name or number.
    #[must_use]
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|one| one.name() == word || one.number().to_string() == word)
    }
}

impl std::fmt::Display for Mutant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.number(), self.name())
    }
}

use Mutant as M;

#[rustfmt::skip]
const CASES: [Case; Mutant::COUNT] = [
    case(M::VoteBeforeDurable, "vote-before-durable", "a vote leaves before it is durable", "S4", "crashes that lose unsynced writes, timeouts"),
    case(M::TimeoutNotDurable, "timeout-not-durable", "the timeout is not persisted", "S4", "restarts in views that were given up"),
    case(M::HighNotRaised, "high-not-raised", "`high` is not raised on a certificate", "S6", "a timeout after a commit vote"),
    case(M::VoteRulePrecedence, "vote-rule-precedence", "the vote rule's conditions in the wrong precedence", "S12", "loss or partitions: a timeout behind an optimistic proposal; a fork needs an equivocator too"),
    case(M::CommitOnOneCertificate, "commit-on-one-certificate", "a block is final on one certificate", "S7", "nothing where F > Q"),
    case(M::WeightUnchecked, "weight-unchecked", "a certificate is accepted without checking its weight", "S7", "a forger that sends a certificate of its own signature alone"),
    case(M::SignerCountedTwice, "signer-counted-twice", "a signer is counted twice", "S7", "a forger that repeats its signature in a certificate"),
    case(M::AtLeastForMoreThan, "at-least-for-more-than", "`>=` for `>` at the quorum", "S7", "N + f even, such as 5 or 8 equal members"),
    case(M::HeadsCounted, "heads-counted", "heads are counted instead of stake", "S7", "unequal stake"),
    case(M::HighestIgnored, "highest-ignored", "a leader ignores the timeout certificate's highest certificate", "L1", "a timeout while a certified block is not final"),
    case(M::EntriesUnbound, "entries-unbound", "entries of a timeout certificate are not bound to signatures", "S11", "timeouts, and a forger that alters entries of others"),
    case(M::HighViewUnchecked, "high-view-unchecked", "`high_view < view` is not checked", "S7", "a forger whose entry in a timeout certificate names that view's certificate"),
    case(M::EpochNotSigned, "epoch-not-signed", "the epoch is not in the preimage", "S7", "epochs, and a replayer that renames the epoch of what was said in the last one"),
    case(M::RollupNotHashed, "rollup-not-hashed", "the rollup is not in the preimage of a transaction's id", "S8", "transactions; two rollups with the same bytes for L5"),
    case(M::KindsConfused, "kinds-confused", "a vote is accepted as a commit vote", "S5", "a forger that sends votes of others as commit votes"),
    case(M::ViewRegresses, "view-regresses", "the view goes back at a restart", "S4", "restarts"),
    case(M::ProposalsForgotten, "proposals-forgotten", "what was proposed is forgotten at a restart", "S4", "leaders that restart within their view, a transaction or a millisecond later"),
    case(M::OldSafetyState, "old-safety-state", "the safety state is restored from an old copy", "S4", "restarts"),
    case(M::RangeUnverified, "range-unverified", "sync accepts an unverified chain", "S7", "a laggard that asks a liar for a range"),
    case(M::HighestClaimTrusted, "highest-claim-trusted", "sync trusts the highest claim and never lowers it", "L1", "a leader that proposes at a height far ahead"),
    case(M::FutureDropped, "future-dropped", "messages of future views are dropped", "L1", "jitter; a bound for commits below the base timer"),
    case(M::FutureUnbounded, "future-unbounded", "messages of future views are kept without bound", "R1", "a spammer that signs for views far ahead"),
    case(M::AdvanceOnEqual, "advance-on-equal", "a view is entered on `==` instead of `>=`", "L1", "a member that misses views and is needed afterwards"),
    case(M::NoBackoff, "no-backoff", "timers never back off", "L1", "delays of more than a third of the base timer"),
    case(M::DuplicatePoisons, "duplicate-poisons", "a duplicate vote poisons the certificate", "L1", "duplication, or a member that says everything twice"),
    case(M::ProposesWithoutTc, "proposes-without-tc", "a leader proposes without the timeout certificate", "L1", "a timeout that adopts nothing"),
    case(M::ReceiptAtCertificate, "receipt-at-certificate", "a receipt is issued at the certificate instead of the commit", "S9", "delays or crashes between certificate and commit"),
    case(M::IncludedTwice, "included-twice", "a transaction is included twice", "S10", "transactions"),
    case(M::VoteWithoutPayload, "vote-without-payload", "votes do not wait for the payload", "S8", "a withholder, or loss"),
    case(M::LegalPairBlamed, "legal-pair-blamed", "evidence blames a legal pair", "S11", "a timeout behind an optimistic proposal, whose leader proposes again"),
    case(M::MapOrderVisible, "map-order-visible", "the order of a hash map is visible", "D1", "the same run twice"),
    case(M::FastQuorumLow, "fast-quorum-low", "the fast quorum is one too low", "S7", "F > Q, and a vote that is late"),
    case(M::AdoptionHigh, "adoption-high", "the adoption threshold is one too high", "S7", "timeouts of a view in which exactly A stake voted"),
    case(M::TimeoutHidesVote, "timeout-hides-vote", "a timeout hides `voted`", "S5", "a timeout after a vote in the same view"),
    case(M::CommitVoteAfterTimeout, "commit-vote-after-timeout", "a commit vote after a timeout", "S4", "a certificate that comes after its view was given up"),
    case(M::FillerInLedger, "filler-in-ledger", "a filler enters the ledger", "S2", "epochs, and a last block that becomes final through a filler: loss or delays"),
    case(M::OptimisticAnyway, "optimistic-anyway", "optimistic proposals without the recent-commit condition", "S12", "the split attack (protocol section 8) for a livelock; delays for S12"),
    case(M::EntryNotForwarded, "entry-not-forwarded", "the entry certificate is neither forwarded nor durable", "L1", "all restart, one of them a view ahead and another dead; or the hidden-qc attack"),
    case(M::RootsUnchecked, "roots-unchecked", "a header's roots of lanes, history and registry are not checked", "S13", "a leader whose headers lie"),
    case(M::OrderUnchecked, "order-unchecked", "the order of a lane is not checked", "S13", "a lane with a policy, and a leader that breaks it"),
    case(M::ClosedUnchecked, "closed-unchecked", "whether a rollup is open is not checked", "S13", "a rollup that closes, and a leader that orders for it"),
    case(M::BundlesUnchecked, "bundles-unchecked", "whether a bundle is whole is not checked", "S13", "bundles, and a leader that leaves out a part"),
];

/// Whether this mutant is loose: never, without the feature `zoo`.
#[cfg(not(feature = "zoo"))]
#[inline(always)]
#[must_use]
pub const fn is(_: Mutant) -> bool {
    false
}

/// Bring some elements of a list, those that `which` names, into an order of their own. Without the feature `zoo` it does
/// nothing.
#[cfg(not(feature = "zoo"))]
#[inline(always)]
pub fn disorder<T>(_: &mut [T], _: impl Fn(&T) -> bool) {}

#[cfg(feature = "zoo")]
pub use loose::{disorder, is, let_loose, loose};

#[cfg(feature = "zoo")]
mod loose {
    use super::Mutant;
    use std::cell::Cell;
    use std::hash::{BuildHasher as _, RandomState};

    thread_local! {
        static LOOSE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// From now on, this thread runs the code with this bug; with none, as it should be.
    pub fn let_loose(mutant: Option<Mutant>) {
        LOOSE.set(mutant);
    }

    /// The mutant that is loose on this thread.
    #[must_use]
    pub fn loose() -> Option<Mutant> {
        LOOSE.get()
    }

    /// Whether this mutant is loose on this thread.
    #[must_use]
    pub fn is(mutant: Mutant) -> bool {
        LOOSE.get() == Some(mutant)
    }

    /// Bring some elements of a list, those that `which` names, into an order that differs from call to call, as that of a
    /// hash map does.
    pub fn disorder<T>(list: &mut [T], which: impl Fn(&T) -> bool) {
        let places: Vec<usize> = (0..list.len()).filter(|at| which(&list[*at])).collect();
        let hash = RandomState::new();
        for (at, place) in places.iter().enumerate() {
            let other = hash.hash_one(at) % (at as u64 + 1);
            let other = usize::try_from(other).unwrap_or(0);
            list.swap(*place, places[other]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_and_names_are_unique_and_in_order() {
        let numbers: Vec<usize> = Mutant::ALL.iter().map(|one| one.number()).collect();
        assert_eq!(numbers, (1..=Mutant::COUNT).collect::<Vec<_>>());
        for one in Mutant::ALL {
            assert_eq!(one.case().mutant, one);
            assert_eq!(Mutant::find(one.name()), Some(one));
            assert_eq!(Mutant::find(&one.number().to_string()), Some(one));
            // The name is the variant's, in kebab case.
            let mut kebab = String::new();
            for letter in format!("{one:?}").chars() {
                if letter.is_uppercase() && !kebab.is_empty() {
                    kebab.push('-');
                }
                kebab.extend(letter.to_lowercase());
            }
            assert_eq!(one.name(), kebab);
        }
        let names: BTreeSet<&str> = Mutant::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(names.len(), Mutant::COUNT);
        let lines: BTreeSet<&str> = Mutant::ALL.iter().map(|one| one.broken()).collect();
        assert_eq!(lines.len(), Mutant::COUNT);
        assert_eq!(Mutant::find("43"), None);
    }

    #[cfg(not(feature = "zoo"))]
    #[test]
    fn without_the_feature_none_can_be_loose() {
        assert!(!Mutant::ALL.into_iter().any(is));
        let mut list: Vec<u8> = (0..100).collect();
        disorder(&mut list, |_| true);
        assert!(list.is_sorted());
    }

    #[cfg(feature = "zoo")]
    #[test]
    fn one_mutant_is_loose_at_a_time() {
        assert_eq!(loose(), None);
        for one in Mutant::ALL {
            let_loose(Some(one));
            assert_eq!(loose(), Some(one));
            for other in Mutant::ALL {
                assert_eq!(is(other), one == other);
            }
        }
        let_loose(None);
        assert!(!Mutant::ALL.into_iter().any(is));
    }

    #[cfg(feature = "zoo")]
    #[test]
    fn disorder_keeps_everything_and_moves_only_what_it_may() {
        let ordered: Vec<u8> = (0..100).collect();
        let mut orders = BTreeSet::new();
        for _ in 0..4 {
            let mut list = ordered.clone();
            disorder(&mut list, |one| one % 2 == 0);
            let odd = |one: &u8| one % 2 == 1;
            assert!(ordered.iter().zip(&list).all(|(a, b)| !odd(a) || a == b));
            orders.insert(list.clone());
            list.sort_unstable();
            assert_eq!(list, ordered);
        }
        assert!(orders.len() > 1, "50! orders, and four times the same one");
    }
}
