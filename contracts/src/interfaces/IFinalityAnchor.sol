// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// What of Outrider's chain is settled on L1.
interface IFinalityAnchor {
    event Begun(bytes32 indexed committeeId, bytes32 indexed id);
    event Settled(uint64 indexed height, bytes32 indexed id, uint64 epoch, uint64 inbox, address relayer, bool native);
    event EpochEnded(uint64 indexed epoch, bytes32 indexed nextCommittee);
    event Froze(uint64 indexed epoch, uint64 indexed height, bytes32 a, bytes32 b);

    error AlreadyBegun();
    error NotBegun();
    /// Two certified checkpoints conflicted; nothing settles any more.
    error Frozen();
    /// Not the genesis header of a snapshot of the first epoch.
    error NotGenesis(bytes32 id);
    /// The snapshot is so old that stake in it may have been withdrawn; take it again.
    error StaleSnapshot(uint64 takenAt);
    error WrongEpoch(uint64 epoch, uint64 wanted);
    /// Settled up to a height at or above it.
    error NotAbove(uint64 height, uint64 settled);
    /// Above the last block of the epoch: a filler, which is no part of the ledger.
    error PastEpoch(uint64 height, uint64 last);
    /// The last block of an epoch, and no other, names the next committee.
    error EpochEnd(uint64 height, uint64 last, bytes32 next);
    /// It consumes less than a settled block, or more than there is.
    error WrongInbox(uint64 inbox, uint64 settled, uint64 length);
    /// The entry should have been consumed.
    error Overdue(uint64 index);
    /// Weight of the signers.
    error TooLittle(uint256 weight, uint256 needed);
    /// 1 to 32 headers.
    error HeaderCount(uint256 count);
    /// A header is not the child of the one before it.
    error NotChild(uint256 index);
    /// 0: votes, 1: commit votes.
    error UnknownKind(uint8 kind);
    /// A signature of a member does not verify.
    error BadSignature(uint256 member);
    /// Same block, or not the same epoch and height.
    error NoConflict(bytes32 a, bytes32 b);
    /// The epoch ended so long ago that its members' stake may be gone.
    error TooOld(uint64 endedAt);

    /// Start from the genesis block of a snapshot of the first epoch. Once, by the deployer.
    function begin(bytes calldata header) external;

    /// Settle a block that attesters of weight >= Q signed.
    /// @param bitmap bit i: member i of the committee signed
    /// @param signatures of those, ascending, 64 bytes each (EIP-2098, low s), over `checkpointDigest(id)`
    function settle(bytes calldata header, uint256 bitmap, bytes calldata signatures) external;

    /// Settle a block by the certificate of consensus itself: no attester is needed.
    /// @param headers the block to settle and its descendants up to the certified one
    /// @param kind 0: votes of weight >= F, 1: commit votes of weight >= Q, for the last header in its view
    /// @param signatures Ed25519, R || S, 64 bytes each
    function settleNative(bytes[] calldata headers, uint8 kind, uint256 bitmap, bytes calldata signatures) external;

    /// Show two certified checkpoints of one height: nothing settles any more. Up to 64 of those who signed both are
    /// reported to the court at once; the others with `SlashingCourt.reportCheckpoints`.
    function freeze(
        bytes calldata headerA,
        uint256 bitmapA,
        bytes calldata signaturesA,
        bytes calldata headerB,
        uint256 bitmapB,
        bytes calldata signaturesB
    ) external;

    /// What an attester signs: keccak256("OUTRCKPT" || L1 chain id u64 || this address || block id).
    function checkpointDigest(bytes32 id) external view returns (bytes32);

    /// The epoch whose blocks settle now.
    function epoch() external view returns (uint64);

    /// Its committee.
    function committeeId() external view returns (bytes32);

    /// The committee that an epoch had; zero if it has not begun.
    function committeeOf(uint64 epoch) external view returns (bytes32);

    /// The last settled block; `settledAt` in seconds.
    function settled() external view returns (uint64 epoch, uint64 height, bytes32 id, uint64 inbox, uint64 settledAt);

    /// Id of a settled block; zero if none was settled at that height.
    function blockAt(uint64 height) external view returns (bytes32);

    /// When its last block was settled, or it froze; 0 if it has not ended.
    function endedAt(uint64 epoch) external view returns (uint64);

    function frozen() external view returns (bool);

    function begun() external view returns (bool);
}
