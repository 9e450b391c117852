//! The list of marks.

macro_rules! marks {
    ($($mark:ident, $name:literal, $about:literal;)*) => {
        /// A rare state that runs must reach sometimes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark {
            $(#[doc = $about] $mark,)*
        }

        /// All marks: mark, name, and what it is.
        pub const MARKS: &[(Mark, &str, &str)] = &[$((Mark::$mark, $name, $about),)*];
    };
}

marks! {
    AdoptingTc, "adopting-tc", "A view is entered by a timeout certificate that adopts a block.";
    ExtendingTc, "extending-tc", "A view is entered by a timeout certificate that leads to a certificate.";
    BareTc, "bare-tc", "A view is entered by a timeout certificate that leads to the epoch's base.";
    DeepTc, "deep-tc", "A timeout certificate leads to a certificate three views older or more.";
    QcBesideTc, "qc-beside-tc", "Of one view there are a quorum certificate and a timeout certificate that adopts nothing.";
    QcBesideAdoptingTc, "qc-beside-adopting-tc", "Of one view there are a quorum certificate and a timeout certificate that adopts its block.";
    QcBesideOtherAdoption, "qc-beside-other-adoption", "Of one view there are a quorum certificate and a timeout certificate that adopts another block.";
    AdoptedCommitted, "adopted-committed", "A block is committed that a timeout certificate had adopted.";
    CommitEntry, "commit-entry", "A view is entered by a commit certificate.";
    ViewsSkipped, "views-skipped", "A member enters a view two or more after the one it was in.";
    LongTimers, "long-timers", "Eight views after its last commit a member enters another view.";
    FastCommit, "fast-commit", "A block is committed by votes (R6).";
    SlowCommit, "slow-commit", "A block is committed by commit votes (R7).";
    FastBesideSlow, "fast-beside-slow", "A block is committed by votes at one member and by commit votes at another.";
    SlowForLackOfVotes, "slow-for-lack-of-votes", "A block is committed by commit votes while votes of less than the fast quorum were given.";
    FastAfterCrash, "fast-after-crash", "A block is committed by votes at most eight views after a member crashed.";
    OptimisticVoted, "optimistic-voted", "An honest member votes for an optimistic proposal.";
    OptimisticAbandoned, "optimistic-abandoned", "A leader proposes another block normally after its optimistic proposal (R2).";
    OptimisticKept, "optimistic-kept", "A leader sends the certificate alone, for its optimistic proposal stands (R2).";
    LateVote, "late-vote", "A member votes in a view that it has left (R4).";
    VotesSplit, "votes-split", "Honest members vote for two blocks of one view.";
    LeaderSkipped, "leader-skipped", "A member gives up on a view as it enters it, and not because others did (R10).";
    Amplified, "amplified", "A member gives up before its timer could fire, for others did (R9).";
    TimeoutAgain, "timeout-again", "A member says its timeout again (R8).";
    EntryForwarded, "entry-forwarded", "A member sends a leader what its view was entered by (R1).";
    LaggardHelped, "laggard-helped", "A member sends a laggard what leads to the current view (R11).";
    Blamed, "blamed", "A member calls a proposal bad in its signed part (R4).";
    PayloadRefused, "payload-refused", "A member refuses a payload that holds a transaction twice along the chain (F1).";
    TimeRefused, "time-refused", "A member refuses a block whose clock does not go on from its parent's.";
    VoteUnsent, "vote-unsent", "A member restarts with a vote on its disk that had not left.";
    TimeoutUnsent, "timeout-unsent", "A member restarts with a timeout on its disk that had not left.";
    CommitVoteUnsent, "commit-vote-unsent", "A member restarts with a commit vote on its disk that had not left.";
    VoteAgain, "vote-again", "A member says its last vote again after a restart.";
    LeaderCrashed, "leader-crashed", "A member crashes in a view that it leads.";
    LeaderRestarted, "leader-restarted", "A member restarts in a view that it leads.";
    EveryoneDown, "everyone-down", "All honest hosts are down at once.";
    MuteRestart, "mute-restart", "A member restarts without knowing what it signed, and signs nothing.";
    MuteSpeaks, "mute-speaks", "A member that was mute signs again, in a later epoch.";
    WipedReturns, "wiped-returns", "A member that lost its disk reaches the tip of the chain.";
    LaggardCatchesUp, "laggard-catches-up", "A member that was sixteen blocks behind reaches the tip of the chain.";
    CommitInPartition, "commit-in-partition", "A block is committed during a partition.";
    CommitUnderSkew, "commit-under-skew", "A block is committed while a clock is wrong.";
    EpochEnds, "epoch-ends", "An epoch ends (R13).";
    EpochEndsInTimeout, "epoch-ends-in-timeout", "An epoch ends at a member that had given up on its view.";
    FillerProposed, "filler-proposed", "A filler is proposed above the last block of an epoch (R13).";
    FillerCommitted, "filler-committed", "An epoch ends by a certificate of a filler (R13).";
    EpochsApart, "epochs-apart", "Two honest members that are up are two epochs apart.";
    EpochEndShown, "epoch-end-shown", "A member in an old epoch is shown the proof that it is over (R11).";
    CommitteeChanged, "committee-changed", "An epoch begins with other members than the one before.";
    BlockFetched, "block-fetched", "A block is sent to a member that no proposal of it was sent to.";
    PayloadFetched, "payload-fetched", "A block is sent to a member for its payload: it was sent the proposal.";
    RangeServed, "range-served", "Final blocks are sent to a member that is behind.";
    LongRangeServed, "long-range-served", "Sixteen final blocks or more are sent at once.";
    DoubleProposal, "double-proposal", "A member proposes two blocks of a kind in one view (E1).";
    DoubleVote, "double-vote", "A member votes for two blocks in one view (E2).";
    DoubleCommitVote, "double-commit-vote", "A member commit-votes for two blocks in one view (E3).";
    HiddenVote, "hidden-vote", "A member does not report its vote in its timeout (E4).";
    BrokenLock, "broken-lock", "A member gives up with a lower certificate than it commit-voted for (E5).";
    EquivocationCommitted, "equivocation-committed", "A block is committed in a view in which its leader proposed two.";
    TransactionRetried, "transaction-retried", "A transaction is handed in at a second member.";
    TransactionSurvives, "transaction-survives", "A transaction is committed although the member that took it went down.";
}
