// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Takes evidence, ejects at once, slashes after the veto window.
interface ISlashingCourt {
    event Reported(
        uint256 indexed caseId, address indexed operator, uint8 offence, uint64 indexed epoch, address reporter
    );
    event Vetoed(uint256 indexed caseId);
    event Executed(uint256 indexed caseId, uint256 taken, uint256 reward);
    /// An adapter could not slash; `execute` can be called again.
    event AdapterFailed(uint256 indexed caseId, address indexed adapter);

    /// The key was never registered.
    error NoOperator(bytes32 memberKey);
    /// The attester was never registered.
    error NoAttester(address attester);
    /// The two statements may both be signed.
    error NotAnOffence();
    /// Number 0 or 1 of the signatures does not verify.
    error BadSignature(uint8 index);
    /// The epoch ended that long ago.
    error TooOld(uint64 endedAt);
    /// The epoch has not begun on L1.
    error EpochNotBegun(uint64 epoch);
    /// It was not in the committee of the epoch with that key.
    error NotAMember(address operator, uint64 epoch);
    /// The operator has an open or executed case for the epoch.
    error AlreadyReported(uint256 caseId);
    /// The same two statements were vetoed.
    error AlreadyVetoed(bytes32 conflict);
    /// No such case.
    error NoCase(uint256 caseId);
    /// Executed or vetoed.
    error NotOpen(uint256 caseId, uint8 state);
    /// Until then only a veto is possible.
    error VetoOpen(uint64 until);
    /// Since then a veto is no longer possible.
    error VetoClosed(uint64 since);
    /// Every adapter that is left failed again.
    error NothingDone(uint256 caseId);
    /// Call with more: every adapter gets that much.
    error TooLittleGas(uint256 each);

    /// Open a case and eject the operator.
    /// @param memberKey the Ed25519 key that signed both statements
    /// @param evidence wire bytes of `outrider_types::Evidence`
    function report(bytes32 memberKey, bytes calldata evidence) external returns (uint256 caseId);

    /// Open a case against an attester that signed two checkpoints of one epoch and height (offence 6).
    function reportCheckpoints(
        bytes calldata headerA,
        bytes calldata signatureA,
        bytes calldata headerB,
        bytes calldata signatureB
    ) external returns (uint256 caseId);

    /// The anchor found them in two conflicting certificates. Those with a case already are passed over.
    function reportConflict(address[] calldata operators, uint64 epoch, bytes32 idA, bytes32 idB, address reporter)
        external;

    /// Stop a case, within the window. The operator stays ejected.
    function veto(uint256 caseId) external;

    /// Slash, after the window. By anyone.
    function execute(uint256 caseId) external;

    /// `state`: 1 open, 2 vetoed, 3 executed. `reportedAt` in seconds.
    function cases(uint256 caseId)
        external
        view
        returns (address operator, uint8 offence, uint64 epoch, address reporter, uint64 reportedAt, uint8 state);

    function caseCount() external view returns (uint256);

    function openCaseOf(address operator) external view returns (bool);
}
