// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IForcedInbox} from "./interfaces/IForcedInbox.sol";
import {Addresses, BadParameter, Parameters, WrongAddress} from "./interfaces/System.sol";

/// Transactions put in on L1 by anyone, which the committee must include in time. Entries are never removed; a header
/// says how many are consumed, and an entry counts as consumed when that number passes it, whatever became of it: one
/// that nothing can execute holds up nobody.
contract ForcedInbox is IForcedInbox {
    /// Most bytes of an entry, as many as a transaction of Outrider has.
    uint256 public constant DATA_BYTES_MAX = 131_072;
    /// Most entries in one L1 block.
    uint32 public constant BLOCK_ENTRIES_MAX = 64;
    /// Most bytes in one L1 block.
    uint32 public constant BLOCK_BYTES_MAX = 512 * 1024;

    uint64 public immutable inboxWindow;

    struct Entry {
        uint64 enqueuedAt;
        bytes32 hash;
    }

    struct Tally {
        uint64 length;
        uint64 l1Block;
        uint32 entries;
        uint32 bytesTaken;
    }

    mapping(uint64 => Entry) private _entries;
    Tally private _tally;

    constructor(Parameters memory parameters, Addresses memory peers) {
        if (address(this) != peers.inbox) revert WrongAddress(peers.inbox, address(this));
        if (parameters.inboxWindow == 0 || parameters.inboxWindow > 3650 days) revert BadParameter("inboxWindow");
        inboxWindow = parameters.inboxWindow;
    }

    /// @inheritdoc IForcedInbox
    function enqueue(uint64 rollup, bytes calldata data) external returns (uint64 index) {
        if (rollup == 0) revert NoRollup();
        if (data.length == 0 || data.length > DATA_BYTES_MAX) revert DataLength(data.length);
        Tally memory tally = _tally;
        if (tally.l1Block != block.number) {
            (tally.l1Block, tally.entries, tally.bytesTaken) = (uint64(block.number), 0, 0);
        }
        if (tally.entries == BLOCK_ENTRIES_MAX || tally.bytesTaken + data.length > BLOCK_BYTES_MAX) {
            revert BlockFull(tally.entries, tally.bytesTaken);
        }
        index = tally.length;
        tally.length += 1;
        tally.entries += 1;
        tally.bytesTaken += uint32(data.length);
        _tally = tally;
        _entries[index] = Entry(uint64(block.timestamp), sha256(abi.encodePacked(rollup, data)));
        emit Enqueued(index, rollup, msg.sender, uint64(block.timestamp), data);
    }

    /// @inheritdoc IForcedInbox
    function length() external view returns (uint64) {
        return _tally.length;
    }

    /// @inheritdoc IForcedInbox
    function entry(uint64 index) external view returns (uint64, bytes32) {
        if (index >= _tally.length) revert NoEntry(index, _tally.length);
        Entry storage one = _entries[index];
        return (one.enqueuedAt, one.hash);
    }

    /// @inheritdoc IForcedInbox
    function overdue(uint64 consumed) external view returns (bool) {
        (, uint64 deadline) = due(consumed);
        return deadline != 0 && block.timestamp > deadline;
    }

    /// @inheritdoc IForcedInbox
    function due(uint64 consumed) public view returns (uint64 total, uint64 deadline) {
        total = _tally.length;
        if (consumed < total) deadline = _entries[consumed].enqueuedAt + inboxWindow;
    }
}
