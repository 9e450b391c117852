// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Turns stakes and keys into committees.
interface ICommitteeManager {
    event Snapshot(uint64 indexed epoch, bytes32 indexed id, uint16 members, uint64 total, uint64 l1Block);
    event Enlisted(address indexed operator);
    event Delisted(address indexed operator);
    event Activated(uint64 indexed epoch, bytes32 indexed id);

    /// Snapshots are for that epoch now.
    error WrongEpoch(uint64 epoch, uint64 wanted);
    /// Nobody has the least stake.
    error NoMembers();
    /// No such committee.
    error UnknownCommittee(bytes32 id);
    /// Not the committee of the current epoch.
    error NotCurrent(bytes32 id);
    /// Not registered, left, or with too little stake.
    error NotEligible(address operator, uint256 stake);
    /// On the list already.
    error AlreadyListed(address operator);
    /// Not on the list.
    error NotListed(address operator);
    /// The list is full: name one on it that has less stake.
    error ListFull(uint256 members);
    /// The one on the list has as much stake.
    error NotLess(address victim, uint256 victimStake, uint256 stake);

    /// Take the committee of the next epoch (before the anchor has begun: of the first one) from the stakes of now.
    /// The same content twice changes nothing but the time it was taken. The same members with other attesters are the same
    /// committee, and have the attesters of the last snapshot before it begins.
    function snapshot(uint64 epoch) external returns (bytes32 id);

    /// Register the members of the current committee for the epoch after it.
    function successor(bytes32 id) external returns (bytes32);

    /// The id of `successor(id)`, whether it is registered or not.
    function successorOf(bytes32 id) external view returns (bytes32);

    /// Put an operator on the list of those that snapshots look at, if there is room. Registration and deposits do it.
    function enlist(address operator) external;

    /// Put an operator on the full list in place of one that has less stake, or is no longer eligible.
    function enlistInstead(address operator, address victim) external;

    /// Take one off the list that is not eligible.
    function delist(address operator) external;

    /// Like `enlist`, but nothing happens if it is not possible.
    function offer(address operator) external;

    /// The anchor says that an epoch begins with that committee, after the committee `before` (zero: the first one). If it
    /// is the successor of that, it need not have been registered.
    function activate(bytes32 id, uint64 epoch, bytes32 before)
        external
        returns (address blob, uint16 members, uint64 total);

    /// `quorum` is Q, `fast` is F (protocol section 1); `snapshotBlock` is the L1 block it was taken in.
    function committee(bytes32 id)
        external
        view
        returns (
            uint64 epoch,
            uint16 members,
            uint64 total,
            uint64 quorum,
            uint64 fast,
            address blob,
            uint64 snapshotBlock
        );

    /// When it was taken from the stakes, seconds; for a successor: when its first ancestor was.
    function takenAt(bytes32 id) external view returns (uint64);

    /// Members of a committee, in order.
    function members(bytes32 id)
        external
        view
        returns (bytes32[] memory keys, uint64[] memory weights, address[] memory attesters, address[] memory operators);

    /// The last epoch in whose committee the operator was, or for which it is in a snapshot that may still be chosen.
    function lastEpochOf(address operator) external view returns (bool ever, uint64 epoch);

    /// Wei of stake over all adapters.
    function stakeOf(address operator) external view returns (uint256);

    /// Those that the next snapshot looks at, in no order.
    function candidates() external view returns (address[] memory);

    /// Where stake comes from.
    function adapters() external view returns (address[] memory);
}
