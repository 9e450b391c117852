// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ICommitteeManager} from "./interfaces/ICommitteeManager.sol";
import {IFinalityAnchor} from "./interfaces/IFinalityAnchor.sol";
import {IForcedInbox} from "./interfaces/IForcedInbox.sol";
import {ISlashingCourt} from "./interfaces/ISlashingCourt.sol";
import {Addresses, BadParameter, OnlyBy, Parameters, WrongAddress} from "./interfaces/System.sol";
import {Attestation} from "./lib/Attestation.sol";
import {Ed25519} from "./lib/Ed25519.sol";
import {Header} from "./lib/Header.sol";
import {Roster} from "./lib/Roster.sol";
import {Statements} from "./lib/Statements.sol";
import {Thresholds} from "./lib/Thresholds.sol";

/// What of Outrider's chain is settled on L1: blocks that the committee of the current epoch signed, at rising heights,
/// none that leaves out an overdue entry of the forced inbox. The last block of an epoch names the next committee.
///
/// Anyone may call with the right signatures. Nobody can stop or undo a settlement; two conflicting certified checkpoints
/// stop all further ones for ever.
contract FinalityAnchor is IFinalityAnchor {
    /// Most headers of one native settlement.
    uint256 public constant HEADERS_MAX = 32;
    /// Most operators that `freeze` itself reports, so that its gas is bounded.
    uint256 public constant FREEZE_REPORTS_MAX = 64;

    uint64 public immutable chain;
    uint64 public immutable epochBlocks;
    uint64 public immutable firstEpoch;
    uint64 public immutable unbonding;
    uint64 public immutable evidenceAge;
    address public immutable deployer;
    ICommitteeManager public immutable manager;
    IForcedInbox public immutable inbox;
    ISlashingCourt public immutable court;

    /// One slot.
    struct Tip {
        uint64 epoch;
        uint64 height;
        uint64 inbox;
        uint64 settledAt;
    }

    /// One slot. The committee of the current epoch; `begun` is that there is one.
    struct Current {
        address blob;
        uint16 members;
        bool frozen;
        uint64 total;
    }

    Tip private _tip;
    Current private _current;
    /// The epoch that settles now, and the height that the one before it ended at. One slot.
    uint64 private _epoch;
    uint64 private _base;

    /// @inheritdoc IFinalityAnchor
    mapping(uint64 => bytes32) public blockAt;
    /// @inheritdoc IFinalityAnchor
    mapping(uint64 => uint64) public endedAt;
    /// @inheritdoc IFinalityAnchor
    mapping(uint64 => bytes32) public committeeOf;

    constructor(Parameters memory parameters, Addresses memory peers) {
        if (address(this) != peers.anchor) revert WrongAddress(peers.anchor, address(this));
        if (parameters.evidenceAge == 0) revert BadParameter("evidenceAge");
        if (parameters.epochBlocks > type(uint64).max >> 1) revert BadParameter("epochBlocks");
        chain = parameters.chain;
        epochBlocks = parameters.epochBlocks;
        firstEpoch = parameters.firstEpoch;
        unbonding = parameters.unbonding;
        evidenceAge = parameters.evidenceAge;
        deployer = msg.sender;
        manager = ICommitteeManager(peers.manager);
        inbox = IForcedInbox(peers.inbox);
        court = ISlashingCourt(peers.court);
    }

    /// @inheritdoc IFinalityAnchor
    function begin(bytes calldata header) external {
        if (msg.sender != deployer) revert OnlyBy(deployer, msg.sender);
        if (_current.blob != address(0)) revert AlreadyBegun();
        Header.check(header, chain);
        bytes32 id = Header.id(header);
        bytes32 committee = Header.payload(header);
        if (keccak256(header) != keccak256(Header.genesis(chain, firstEpoch, committee))) revert NotGenesis(id);
        // Whoever unbonded after the snapshot cannot have withdrawn yet.
        uint64 takenAt = manager.takenAt(committee);
        if (block.timestamp >= uint256(takenAt) + unbonding) revert StaleSnapshot(takenAt);
        _epoch = firstEpoch;
        _tip = Tip(firstEpoch, 0, 0, uint64(block.timestamp));
        blockAt[0] = id;
        _enter(firstEpoch, committee, bytes32(0));
        emit Begun(committee, id);
    }

    /// @inheritdoc IFinalityAnchor
    function settle(bytes calldata header, uint256 bitmap, bytes calldata signatures) external {
        Header.check(header, chain);
        Current memory current = _current;
        bytes32 id = Header.id(header);
        _requireSettleable(header, current);
        _requireQuorum(current, id, bitmap, signatures);
        _settle(header, id, false);
    }

    /// @inheritdoc IFinalityAnchor
    function settleNative(bytes[] calldata headers, uint8 kind, uint256 bitmap, bytes calldata signatures) external {
        uint256 count = headers.length;
        if (count == 0 || count > HEADERS_MAX) revert HeaderCount(count);
        if (kind > 1) revert UnknownKind(kind);
        Current memory current = _current;
        Header.check(headers[0], chain);
        _requireSettleable(headers[0], current);
        bytes32 first = Header.id(headers[0]);
        bytes32 last = first;
        for (uint256 i = 1; i < count; i++) {
            bytes calldata one = headers[i];
            Header.check(one, chain);
            if (Header.epoch(one) != _epoch) revert WrongEpoch(Header.epoch(one), _epoch);
            if (Header.parent(one) != last) revert NotChild(i);
            last = Header.id(one);
        }
        uint64 view_ = Header.viewOf(headers[count - 1]);
        bytes memory statement =
            kind == 0 ? Statements.vote(chain, _epoch, view_, last) : Statements.commitVote(chain, _epoch, view_, last);
        uint256 needed = kind == 0 ? Thresholds.fast(current.total) : Thresholds.quorum(current.total);
        uint256 weight = _weighNative(current, statement, bitmap, signatures);
        if (weight < needed) revert TooLittle(weight, needed);
        _settle(headers[0], first, true);
    }

    /// @inheritdoc IFinalityAnchor
    function freeze(
        bytes calldata headerA,
        uint256 bitmapA,
        bytes calldata signaturesA,
        bytes calldata headerB,
        uint256 bitmapB,
        bytes calldata signaturesB
    ) external {
        if (_current.blob == address(0)) revert NotBegun();
        if (_current.frozen) revert Frozen();
        Header.check(headerA, chain);
        Header.check(headerB, chain);
        uint64 epoch_ = Header.epoch(headerA);
        uint64 height = Header.height(headerA);
        bytes32 idA = Header.id(headerA);
        bytes32 idB = Header.id(headerB);
        if (idA == idB || Header.epoch(headerB) != epoch_ || Header.height(headerB) != height) {
            revert NoConflict(idA, idB);
        }
        bytes32 committee = committeeOf[epoch_];
        if (committee == bytes32(0)) revert WrongEpoch(epoch_, _epoch);
        // Keys of members that have left are worth nothing: they must not stop the chain.
        uint64 ended = endedAt[epoch_];
        if (ended != 0 && block.timestamp > uint256(ended) + evidenceAge) revert TooOld(ended);
        Current memory old;
        (, old.members, old.total,,, old.blob,) = manager.committee(committee);
        _requireQuorum(old, idA, bitmapA, signaturesA);
        _requireQuorum(old, idB, bitmapB, signaturesB);
        _current.frozen = true;
        // No epoch will end any more: evidence about this one ages from now on, and stake is free after that.
        endedAt[_epoch] = uint64(block.timestamp);
        emit Froze(epoch_, height, idA, idB);
        court.reportConflict(_named(old, bitmapA & bitmapB), epoch_, idA, idB, msg.sender);
    }

    // ---- views

    /// @inheritdoc IFinalityAnchor
    function checkpointDigest(bytes32 id) public view returns (bytes32) {
        return keccak256(abi.encodePacked("OUTRCKPT", uint64(block.chainid), address(this), id));
    }

    /// @inheritdoc IFinalityAnchor
    function epoch() external view returns (uint64) {
        return _epoch;
    }

    /// @inheritdoc IFinalityAnchor
    function committeeId() external view returns (bytes32) {
        return committeeOf[_epoch];
    }

    /// @inheritdoc IFinalityAnchor
    function settled() external view returns (uint64, uint64, bytes32, uint64, uint64) {
        Tip memory tip = _tip;
        return (tip.epoch, tip.height, blockAt[tip.height], tip.inbox, tip.settledAt);
    }

    /// @inheritdoc IFinalityAnchor
    function frozen() external view returns (bool) {
        return _current.frozen;
    }

    /// @inheritdoc IFinalityAnchor
    function begun() external view returns (bool) {
        return _current.blob != address(0);
    }

    // ---- inside

    /// Everything but the signatures.
    function _requireSettleable(bytes calldata header, Current memory current) private view {
        if (current.blob == address(0)) revert NotBegun();
        if (current.frozen) revert Frozen();
        if (Header.epoch(header) != _epoch) revert WrongEpoch(Header.epoch(header), _epoch);
        Tip memory tip = _tip;
        uint64 height = Header.height(header);
        if (height <= tip.height) revert NotAbove(height, tip.height);
        bytes32 next = Header.next(header);
        uint64 last = epochBlocks == 0 ? type(uint64).max : _base + epochBlocks;
        if (height > last) revert PastEpoch(height, last);
        if ((height == last) != (next != bytes32(0))) revert EpochEnd(height, last, next);
        _requireInbox(header, tip.inbox, next != bytes32(0));
    }

    function _requireInbox(bytes calldata header, uint64 before, bool isLast) private view {
        uint64 consumed = Header.inbox(header);
        (uint64 length, uint64 deadline) = inbox.due(consumed);
        if (consumed < before || consumed > length) revert WrongInbox(consumed, before, length);
        if (deadline == 0 || block.timestamp <= deadline) return;
        // Nothing of the epoch comes after its last block: if that could not settle because an entry became overdue
        // after it was made, nothing could ever settle again. For it, its own clock counts; the next block is bound.
        if (isLast && Header.timestamp(header) <= uint256(deadline) * 1_000_000) return;
        // And if its clock is later too: then a quorum left the entry out, and that is certified for ever. Users wait for
        // `evidenceAge`, which nobody overlooks, but not for all time.
        if (isLast && block.timestamp > uint256(deadline) + evidenceAge) return;
        revert Overdue(consumed);
    }

    function _settle(bytes calldata header, bytes32 id, bool native) private {
        uint64 epoch_ = Header.epoch(header);
        uint64 height = Header.height(header);
        uint64 consumed = Header.inbox(header);
        _tip = Tip(epoch_, height, consumed, uint64(block.timestamp));
        blockAt[height] = id;
        emit Settled(height, id, epoch_, consumed, msg.sender, native);
        bytes32 next = Header.next(header);
        if (next == bytes32(0)) return;
        endedAt[epoch_] = uint64(block.timestamp);
        (_epoch, _base) = (epoch_ + 1, height);
        emit EpochEnded(epoch_, next);
        _enter(epoch_ + 1, next, committeeOf[epoch_]);
    }

    /// Begin an epoch with a committee.
    function _enter(uint64 epoch_, bytes32 committee, bytes32 before) private {
        (address blob, uint16 members, uint64 total) = manager.activate(committee, epoch_, before);
        committeeOf[epoch_] = committee;
        _current = Current(blob, members, false, total);
    }

    function _requireQuorum(Current memory committee, bytes32 id, uint256 bitmap, bytes calldata signatures)
        private
        view
    {
        uint256 weight = Attestation.weigh(committee.blob, committee.members, checkpointDigest(id), bitmap, signatures);
        uint256 needed = Thresholds.quorum(committee.total);
        if (weight < needed) revert TooLittle(weight, needed);
    }

    /// The weight of the members in the bitmap, all of whom must have signed the statement.
    function _weighNative(Current memory committee, bytes memory statement, uint256 bitmap, bytes calldata signatures)
        private
        view
        returns (uint256 weight)
    {
        uint256 n = committee.members;
        if (bitmap >> n != 0) revert Attestation.BitmapTooLong(bitmap, n);
        bytes memory entries = Roster.entries(committee.blob, n);
        bytes memory keys = Roster.keys(committee.blob, n);
        uint256 offset;
        for (uint256 i = 0; i < n; i++) {
            if ((bitmap >> i) & 1 == 0) continue;
            if (offset + 64 > signatures.length) revert Attestation.SignatureLength(signatures.length, offset + 64);
            bytes32 r = bytes32(signatures[offset:offset + 32]);
            bytes32 s = bytes32(signatures[offset + 32:offset + 64]);
            if (!Ed25519.verify(Roster.wordAt(keys, i), r, s, statement)) revert BadSignature(i);
            (, uint64 one) = Roster.entryAt(entries, i);
            weight += one;
            offset += 64;
        }
        if (offset != signatures.length) revert Attestation.SignatureLength(signatures.length, offset);
    }

    /// The first operators of a bitmap, at most `FREEZE_REPORTS_MAX`.
    function _named(Current memory committee, uint256 bitmap) private view returns (address[] memory some) {
        bytes memory list = Roster.operators(committee.blob, committee.members);
        some = new address[](FREEZE_REPORTS_MAX);
        uint256 count;
        for (uint256 i = 0; i < committee.members && count < FREEZE_REPORTS_MAX; i++) {
            if ((bitmap >> i) & 1 == 1) some[count++] = Roster.operatorAt(list, i);
        }
        assembly ("memory-safe") { mstore(some, count) }
    }
}
