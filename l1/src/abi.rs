//! The contracts as their callers see them: calls, events and errors, with the names that they have in Solidity
//! (contracts/src/interfaces, where they are explained).
//!
//! `tests/artifacts.rs` compares every selector and every topic with the committed artifacts.

#![allow(
    missing_docs,
    clippy::too_many_arguments,
    reason = "generated from the Solidity below, which has its documentation in contracts/"
)]

use alloy_sol_types::sol;

sol! {
    #![sol(all_derives)]

    struct Parameters {
        uint64 chain;
        uint64 epochBlocks;
        uint64 firstEpoch;
        uint256 stakeUnit;
        uint256 stakeMin;
        uint16 membersMax;
        uint64 unbonding;
        uint64 evidenceAge;
        uint64 vetoWindow;
        address vetoer;
        uint64 inboxWindow;
        uint256 slashShare;
        uint256 rewardShare;
    }

    struct Addresses {
        address registry;
        address bonded;
        address manager;
        address inbox;
        address anchor;
        address court;
    }

    /// Errors of all of them.
    interface System {
        error BadParameter(string name);
        error WrongAddress(address predicted, address actual);
        error OnlyBy(address who, address caller);
        error Frozen();
        error HeaderChain(uint64 chain);
        error HeaderLength(uint256 length);
        error HeaderVersion(uint16 version);
        error SignatureLength(uint256 length, uint256 wanted);
        error UnknownKind(uint8 kind);
    }

    /// Who operates members, with which keys.
    interface OperatorRegistry {
        event Registered(address indexed operator, bytes32 indexed memberKey, address indexed attester, bytes contact);
        event Rotated(address indexed operator, bytes32 indexed memberKey);
        event AttesterRotated(address indexed operator, address indexed attester);
        event Updated(address indexed operator, bytes contact);
        event Exited(address indexed operator);
        event Ejected(address indexed operator);
        error AlreadyRegistered(address operator);
        error NotActive(address operator);
        error WeakKey(bytes32 memberKey);
        error KeyUsed(bytes32 memberKey, address operator);
        error AttesterUsed(address attester, address operator);
        error BadMemberProof(bytes32 memberKey);
        error BadAttesterProof(address attester);
        error ContactLength(uint256 length);
        function register(bytes32 memberKey, bytes memberProof, address attester, bytes attesterProof, bytes contact) external;
        function rotate(bytes32 memberKey, bytes memberProof) external;
        function rotateAttester(address attester, bytes attesterProof) external;
        function update(bytes contact) external;
        function exit() external;
        function eject(address operator) external;
        function operatorOf(bytes32 memberKey) external view returns (address);
        function operatorOfAttester(address attester) external view returns (address);
        function operator(address who) external view returns (bytes32 memberKey, address attester, uint64 registeredAt, uint64 exitAt, bool ejected, bytes contact);
        function standing(address who) external view returns (bytes32 memberKey, address attester, uint32 index, bool active);
        function operators(uint256 from, uint256 count) external view returns (address[]);
        function operatorCount() external view returns (uint256);
        function memberStatement(address who) external view returns (bytes);
        function attesterDigest(address who) external view returns (bytes32);
    }

    /// Where stake comes from.
    interface RestakingAdapter {
        function stakeOf(address operator) external view returns (uint256);
        function slashable(address operator) external view returns (uint256);
        function slash(address operator, uint256 share, uint64 since, address reporter) external returns (uint256 taken, uint256 reward);
        function slashableFor() external view returns (uint64);
    }

    /// Stake in ETH, held by the contract.
    interface BondedStake {
        event Deposited(address indexed operator, address indexed from, uint256 amount);
        event Unbonded(address indexed operator, uint256 amount, uint64 withdrawableAt);
        event Withdrawn(address indexed operator, uint256 amount);
        event Slashed(address indexed operator, uint256 taken, uint256 reward, address indexed reporter);
        event Collected(address indexed reporter, uint256 amount);
        error NothingToMove();
        error NotBonded(uint256 bonded, uint256 asked);
        error StillUnbonding(uint64 until);
        error StillInCommittee(uint64 epoch, uint64 until);
        error CaseOpen(address operator);
        error NotPaid(address to, uint256 amount);
        function deposit(address operator) external payable;
        function unbond(uint256 amount) external;
        function withdraw() external;
        function collect() external;
        function balanceOf(address operator) external view returns (uint256 bonded, uint256 unbonding, uint64 withdrawableAt);
        function owed(address reporter) external view returns (uint256);
        function totalHeld() external view returns (uint256);
        function stakeOf(address operator) external view returns (uint256);
        function slashable(address operator) external view returns (uint256);
        function slash(address operator, uint256 share, uint64 since, address reporter) external returns (uint256 taken, uint256 reward);
        function slashableFor() external view returns (uint64);
    }

    /// Committees out of registered operators and their stake.
    interface CommitteeManager {
        event Snapshot(uint64 indexed epoch, bytes32 indexed id, uint16 members, uint64 total, uint64 l1Block);
        event Enlisted(address indexed operator);
        event Delisted(address indexed operator);
        event Activated(uint64 indexed epoch, bytes32 indexed id);
        error WrongEpoch(uint64 epoch, uint64 wanted);
        error NoMembers();
        error NotStored(uint256 length);
        error UnknownCommittee(bytes32 id);
        error NotCurrent(bytes32 id);
        error NotEligible(address operator, uint256 stake);
        error AlreadyListed(address operator);
        error NotListed(address operator);
        error ListFull(uint256 members);
        error NotLess(address victim, uint256 victimStake, uint256 stake);
        function snapshot(uint64 epoch) external returns (bytes32 id);
        function successor(bytes32 id) external returns (bytes32);
        function successorOf(bytes32 id) external view returns (bytes32);
        function enlist(address operator) external;
        function enlistInstead(address operator, address victim) external;
        function delist(address operator) external;
        function offer(address operator) external;
        function activate(bytes32 id, uint64 epoch, bytes32 before) external returns (address blob, uint16 members, uint64 total);
        function committee(bytes32 id) external view returns (uint64 epoch, uint16 members, uint64 total, uint64 quorum, uint64 fast, address blob, uint64 snapshotBlock);
        function takenAt(bytes32 id) external view returns (uint64);
        function members(bytes32 id) external view returns (bytes32[] keys, uint64[] weights, address[] attesters, address[] operators);
        function lastEpochOf(address operator) external view returns (bool ever, uint64 epoch);
        function stakeOf(address operator) external view returns (uint256);
        function firstEpoch() external view returns (uint64);
        function epochBlocks() external view returns (uint64);
        function stakeMin() external view returns (uint256);
        function stakeUnit() external view returns (uint256);
        function membersMax() external view returns (uint16);
        function weightMax() external view returns (uint64);
        function candidates() external view returns (address[]);
        function adapters() external view returns (address[]);
    }

    /// What the committee must include.
    interface ForcedInbox {
        event Enqueued(uint64 indexed index, uint64 indexed rollup, address indexed sender, uint64 enqueuedAt, bytes data);
        error NoRollup();
        error DataLength(uint256 length);
        error BlockFull(uint64 entries, uint64 bytesTaken);
        error NoEntry(uint64 index, uint64 length);
        function enqueue(uint64 rollup, bytes data) external returns (uint64 index);
        function length() external view returns (uint64);
        function inboxWindow() external view returns (uint64);
        function entry(uint64 index) external view returns (uint64 enqueuedAt, bytes32 hash);
        function overdue(uint64 consumed) external view returns (bool);
        function due(uint64 consumed) external view returns (uint64 length, uint64 deadline);
    }

    /// Where checkpoints settle.
    interface FinalityAnchor {
        event Begun(bytes32 indexed committeeId, bytes32 indexed id);
        event Settled(uint64 indexed height, bytes32 indexed id, uint64 epoch, uint64 inbox, address relayer, bool native);
        event EpochEnded(uint64 indexed epoch, bytes32 indexed nextCommittee);
        event Froze(uint64 indexed epoch, uint64 indexed height, bytes32 a, bytes32 b);
        error AlreadyBegun();
        error NotBegun();
        error NotGenesis(bytes32 id);
        error StaleSnapshot(uint64 takenAt);
        error WrongEpoch(uint64 epoch, uint64 wanted);
        error NotAbove(uint64 height, uint64 settled);
        error PastEpoch(uint64 height, uint64 last);
        error EpochEnd(uint64 height, uint64 last, bytes32 next);
        error WrongInbox(uint64 inbox, uint64 settled, uint64 length);
        error Overdue(uint64 index);
        error TooLittle(uint256 weight, uint256 needed);
        error HeaderCount(uint256 count);
        error NotChild(uint256 index);
        error BadAttestation(uint256 member);
        error BitmapTooLong(uint256 bitmap, uint256 members);
        error BadSignature(uint256 member);
        error NoConflict(bytes32 a, bytes32 b);
        error TooOld(uint64 endedAt);
        function begin(bytes header) external;
        function settle(bytes header, uint256 bitmap, bytes signatures) external;
        function settleNative(bytes[] headers, uint8 kind, uint256 bitmap, bytes signatures) external;
        function freeze(bytes headerA, uint256 bitmapA, bytes signaturesA, bytes headerB, uint256 bitmapB, bytes signaturesB) external;
        function checkpointDigest(bytes32 id) external view returns (bytes32);
        function epoch() external view returns (uint64);
        function committeeId() external view returns (bytes32);
        function committeeOf(uint64 epoch) external view returns (bytes32);
        function settled() external view returns (uint64 epoch, uint64 height, bytes32 id, uint64 inbox, uint64 settledAt);
        function blockAt(uint64 height) external view returns (bytes32);
        function endedAt(uint64 epoch) external view returns (uint64);
        function frozen() external view returns (bool);
        function begun() external view returns (bool);
    }

    /// Where offences are punished.
    interface SlashingCourt {
        event Reported(uint256 indexed caseId, address indexed operator, uint8 offence, uint64 indexed epoch, address reporter);
        event Vetoed(uint256 indexed caseId);
        event Executed(uint256 indexed caseId, uint256 taken, uint256 reward);
        event AdapterFailed(uint256 indexed caseId, address indexed adapter);
        error NoOperator(bytes32 memberKey);
        error NoAttester(address attester);
        error NotAnOffence();
        error TooLittleGas(uint256 each);
        error HighView(uint64 view_, uint64 highView);
        error LastView();
        error Legal(uint8 offence);
        error TwoEpochs(uint64 first, uint64 second);
        error TwoSigners(uint16 first, uint16 second);
        error UnknownFlag(uint8 flag);
        error UnknownOffence(uint8 tag);
        error WrongLength(uint256 length);
        error BadSignature(uint8 index);
        error TooOld(uint64 endedAt);
        error EpochNotBegun(uint64 epoch);
        error NotAMember(address operator, uint64 epoch);
        error AlreadyReported(uint256 caseId);
        error AlreadyVetoed(bytes32 conflict);
        error NoCase(uint256 caseId);
        error NotOpen(uint256 caseId, uint8 state);
        error VetoOpen(uint64 until);
        error VetoClosed(uint64 since);
        error NothingDone(uint256 caseId);
        function report(bytes32 memberKey, bytes evidence) external returns (uint256 caseId);
        function reportCheckpoints(bytes headerA, bytes signatureA, bytes headerB, bytes signatureB) external returns (uint256 caseId);
        function reportConflict(address[] operators, uint64 epoch, bytes32 idA, bytes32 idB, address reporter) external;
        function veto(uint256 caseId) external;
        function execute(uint256 caseId) external;
        function cases(uint256 caseId) external view returns (address operator, uint8 offence, uint64 epoch, address reporter, uint64 reportedAt, uint8 state);
        function caseCount() external view returns (uint256);
        function openCaseOf(address operator) external view returns (bool);
        function vetoer() external view returns (address);
        function vetoWindow() external view returns (uint64);
    }
}
