// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Transactions that the committee must include.
interface IForcedInbox {
    event Enqueued(uint64 indexed index, uint64 indexed rollup, address indexed sender, uint64 enqueuedAt, bytes data);

    /// Rollups count from 1.
    error NoRollup();
    /// 1 to 131072 bytes.
    error DataLength(uint256 length);
    /// This L1 block has taken as much as it can; the next one takes more.
    error BlockFull(uint64 entries, uint64 bytesTaken);
    /// No such entry.
    error NoEntry(uint64 index, uint64 length);

    /// Put a transaction into the queue. It must be in a block `inboxWindow` seconds from now.
    function enqueue(uint64 rollup, bytes calldata data) external returns (uint64 index);

    /// How many there are, ever.
    function length() external view returns (uint64);

    /// When it came, and sha256(rollup u64 || data).
    function entry(uint64 index) external view returns (uint64 enqueuedAt, bytes32 hash);

    /// Whether an entry from `consumed` on is overdue. Deadlines are in order: only that entry matters.
    function overdue(uint64 consumed) external view returns (bool);

    /// For the anchor: how many there are, and the deadline of entry `consumed` (seconds), 0 if there is none.
    function due(uint64 consumed) external view returns (uint64 length, uint64 deadline);
}
