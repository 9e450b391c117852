// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ICommitteeManager} from "./interfaces/ICommitteeManager.sol";
import {IFinalityAnchor} from "./interfaces/IFinalityAnchor.sol";
import {IOperatorRegistry} from "./interfaces/IOperatorRegistry.sol";
import {IRestakingAdapter} from "./interfaces/IRestakingAdapter.sol";
import {ISlashingCourt} from "./interfaces/ISlashingCourt.sol";
import {Addresses, BadParameter, OnlyBy, Parameters, WrongAddress} from "./interfaces/System.sol";
import {Attestation} from "./lib/Attestation.sol";
import {Ed25519} from "./lib/Ed25519.sol";
import {Header} from "./lib/Header.sol";
import {Offences} from "./lib/Offences.sol";
import {Roster} from "./lib/Roster.sol";

/// Two statements of one member that no honest member signs together cost it its place at once, and stake after the veto
/// window. Anyone can report, the vetoer can only stop a case in its window, anyone can execute one after it.
///
/// An operator is slashed at most once for an epoch. A case names the epoch in whose committee the key was: a key that
/// was not a member's then proves nothing.
contract SlashingCourt is ISlashingCourt {
    uint8 private constant OPEN = 1;
    uint8 private constant VETOED = 2;
    uint8 private constant EXECUTED = 3;
    /// Gas that each adapter gets, so that none can take that of the others; eight of them fit into a transaction.
    uint256 private constant ADAPTER_GAS = 1_500_000;
    /// The offence that is not in consensus: two checkpoints of one height.
    uint8 public constant CHECKPOINT_CONFLICT = 6;
    uint256 private constant ALL = 1e18;

    uint64 public immutable chain;
    uint64 public immutable evidenceAge;
    uint64 public immutable vetoWindow;
    address public immutable vetoer;
    uint256 public immutable slashShare;
    IOperatorRegistry public immutable registry;
    ICommitteeManager public immutable manager;
    IFinalityAnchor public immutable anchor;

    /// Three slots.
    struct Case {
        address operator;
        uint8 offence;
        uint64 epoch;
        uint8 state;
        /// Bit i: adapter i has slashed.
        uint8 done;
        address reporter;
        uint64 reportedAt;
        /// Names the two statements, in whichever order.
        bytes32 conflict;
    }

    Case[] private _cases;
    /// Index + 1 of the open or executed case, by operator and epoch.
    mapping(address => mapping(uint64 => uint256)) private _caseOf;
    mapping(address => uint256) private _open;
    mapping(bytes32 => bool) private _vetoed;

    constructor(Parameters memory parameters, Addresses memory peers) {
        if (address(this) != peers.court) revert WrongAddress(peers.court, address(this));
        if (parameters.slashShare == 0 || parameters.slashShare > ALL) revert BadParameter("slashShare");
        if (parameters.vetoWindow > 3650 days) revert BadParameter("vetoWindow");
        chain = parameters.chain;
        evidenceAge = parameters.evidenceAge;
        vetoWindow = parameters.vetoWindow;
        vetoer = parameters.vetoer;
        slashShare = parameters.slashShare;
        registry = IOperatorRegistry(peers.registry);
        manager = ICommitteeManager(peers.manager);
        anchor = IFinalityAnchor(peers.anchor);
    }

    // ---- reports

    /// @inheritdoc ISlashingCourt
    function report(bytes32 memberKey, bytes calldata evidence) external returns (uint256 caseId) {
        address operator = registry.operatorOf(memberKey);
        if (operator == address(0)) revert NoOperator(memberKey);
        Offences.Case memory found = Offences.check(chain, evidence);
        (address blob, uint16 members) = _requireTimely(found.epoch);
        bytes32 conflict = _conflict(operator, found.epoch, Offences.identity(found));
        _requireNew(operator, found.epoch, conflict);
        if (!Roster.hasKey(blob, members, memberKey)) revert NotAMember(operator, found.epoch);
        if (!Ed25519.verify(memberKey, found.rA, found.sA, found.preimageA)) revert BadSignature(0);
        if (!Ed25519.verify(memberKey, found.rB, found.sB, found.preimageB)) revert BadSignature(1);
        return _openCase(operator, found.offence, found.epoch, conflict, msg.sender);
    }

    /// @inheritdoc ISlashingCourt
    function reportCheckpoints(
        bytes calldata headerA,
        bytes calldata signatureA,
        bytes calldata headerB,
        bytes calldata signatureB
    ) external returns (uint256 caseId) {
        Header.check(headerA, chain);
        Header.check(headerB, chain);
        uint64 epoch = Header.epoch(headerA);
        if (epoch != Header.epoch(headerB) || Header.height(headerA) != Header.height(headerB)) revert NotAnOffence();
        (bytes32 idA, bytes32 idB) = (Header.id(headerA), Header.id(headerB));
        if (idA == idB) revert NotAnOffence();
        address attester = Attestation.signer(anchor.checkpointDigest(idA), signatureA);
        if (attester == address(0)) revert BadSignature(0);
        if (Attestation.signer(anchor.checkpointDigest(idB), signatureB) != attester) revert BadSignature(1);
        address operator = registry.operatorOfAttester(attester);
        if (operator == address(0)) revert NoAttester(attester);
        (address blob, uint16 members) = _requireTimely(epoch);
        bytes32 conflict = _conflict(operator, epoch, _pair(idA, idB));
        _requireNew(operator, epoch, conflict);
        if (!Roster.hasAttester(blob, members, attester)) revert NotAMember(operator, epoch);
        return _openCase(operator, CHECKPOINT_CONFLICT, epoch, conflict, msg.sender);
    }

    /// @inheritdoc ISlashingCourt
    /// @dev The anchor has checked signatures, membership and age.
    function reportConflict(address[] calldata operators, uint64 epoch, bytes32 idA, bytes32 idB, address reporter)
        external
    {
        if (msg.sender != address(anchor)) revert OnlyBy(address(anchor), msg.sender);
        for (uint256 i = 0; i < operators.length; i++) {
            address operator = operators[i];
            bytes32 conflict = _conflict(operator, epoch, _pair(idA, idB));
            if (_caseOf[operator][epoch] != 0 || _vetoed[conflict]) continue;
            _openCase(operator, CHECKPOINT_CONFLICT, epoch, conflict, reporter);
        }
    }

    // ---- decisions

    /// @inheritdoc ISlashingCourt
    function veto(uint256 caseId) external {
        if (msg.sender != vetoer) revert OnlyBy(vetoer, msg.sender);
        Case storage one = _opened(caseId);
        uint64 until = one.reportedAt + vetoWindow;
        if (block.timestamp > until) revert VetoClosed(until);
        one.state = VETOED;
        _vetoed[one.conflict] = true;
        _open[one.operator] -= 1;
        // Another offence of the epoch can still be reported.
        delete _caseOf[one.operator][one.epoch];
        emit Vetoed(caseId);
    }

    /// @inheritdoc ISlashingCourt
    function execute(uint256 caseId) external {
        Case storage one = _opened(caseId);
        uint256 until = uint256(one.reportedAt) + vetoWindow;
        if (block.timestamp <= until) revert VetoOpen(uint64(until));
        address[] memory adapters = manager.adapters();
        uint256 all = (1 << adapters.length) - 1;
        uint256 before = one.done;
        // A reporter that calls back in while it is paid finds the case executed, and its operator still held.
        one.state = EXECUTED;
        (uint256 done, uint256 taken, uint256 reward) = _slash(caseId, one, adapters, before);
        one.done = uint8(done);
        // An adapter that fails for that long has nothing to take any more; it must not hold the others' stake for ever.
        bool over = block.timestamp > until + evidenceAge;
        if (done == all || over) {
            _open[one.operator] -= 1;
        } else if (done == before) {
            revert NothingDone(caseId);
        } else {
            one.state = OPEN;
        }
        emit Executed(caseId, taken, reward);
    }

    // ---- views

    /// @inheritdoc ISlashingCourt
    function cases(uint256 caseId) external view returns (address, uint8, uint64, address, uint64, uint8) {
        if (caseId >= _cases.length) revert NoCase(caseId);
        Case storage one = _cases[caseId];
        return (one.operator, one.offence, one.epoch, one.reporter, one.reportedAt, one.state);
    }

    /// @inheritdoc ISlashingCourt
    function caseCount() external view returns (uint256) {
        return _cases.length;
    }

    /// @inheritdoc ISlashingCourt
    function openCaseOf(address operator) external view returns (bool) {
        return _open[operator] != 0;
    }

    // ---- inside

    function _opened(uint256 caseId) private view returns (Case storage one) {
        if (caseId >= _cases.length) revert NoCase(caseId);
        one = _cases[caseId];
        if (one.state != OPEN) revert NotOpen(caseId, one.state);
    }

    /// Of the committee of an epoch that has begun and has not ended too long ago.
    function _requireTimely(uint64 epoch) private view returns (address blob, uint16 members) {
        bytes32 committee = anchor.committeeOf(epoch);
        if (committee == bytes32(0)) revert EpochNotBegun(epoch);
        uint64 ended = anchor.endedAt(epoch);
        if (ended != 0 && block.timestamp > uint256(ended) + evidenceAge) revert TooOld(ended);
        (, members,,,, blob,) = manager.committee(committee);
    }

    function _requireNew(address operator, uint64 epoch, bytes32 conflict) private view {
        uint256 other = _caseOf[operator][epoch];
        if (other != 0) revert AlreadyReported(other - 1);
        if (_vetoed[conflict]) revert AlreadyVetoed(conflict);
    }

    /// The same for both orders of two blocks.
    function _pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function _conflict(address operator, uint64 epoch, bytes32 identity) private pure returns (bytes32) {
        return keccak256(abi.encode(operator, epoch, identity));
    }

    function _openCase(address operator, uint8 offence, uint64 epoch, bytes32 conflict, address reporter)
        private
        returns (uint256 caseId)
    {
        caseId = _cases.length;
        _cases.push(
            Case({
                operator: operator,
                offence: offence,
                epoch: epoch,
                state: OPEN,
                done: 0,
                reporter: reporter,
                reportedAt: uint64(block.timestamp),
                conflict: conflict
            })
        );
        _caseOf[operator][epoch] = caseId + 1;
        _open[operator] += 1;
        emit Reported(caseId, operator, offence, epoch, reporter);
        registry.eject(operator);
    }

    /// Slash at every adapter that has not. One that fails, or burns its gas, does not stop the others.
    function _slash(uint256 caseId, Case storage one, address[] memory adapters, uint256 before)
        private
        returns (uint256 done, uint256 taken, uint256 reward)
    {
        done = before;
        uint64 since = manager.takenAt(anchor.committeeOf(one.epoch));
        for (uint256 i = 0; i < adapters.length; i++) {
            if ((done >> i) & 1 == 1) continue;
            // With less, a caller could make an adapter fail. A call is given at most 63/64 of what there is.
            if (gasleft() < ADAPTER_GAS * 64 / 63 + 100_000) revert TooLittleGas(ADAPTER_GAS);
            try IRestakingAdapter(adapters[i]).slash{gas: ADAPTER_GAS}(
                one.operator, slashShare, since, one.reporter
            ) returns (
                uint256 some, uint256 rewarded
            ) {
                done |= 1 << i;
                taken += some;
                reward += rewarded;
            } catch {
                emit AdapterFailed(caseId, adapters[i]);
            }
        }
    }
}
