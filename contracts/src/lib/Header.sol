// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// A block header, 292 bytes, read where it lies in calldata. Integers are big-endian.
///
/// version u16 at 0, chain u64 at 2, epoch u64 at 10, view u64 at 18, height u64 at 26, parent at 34, justify u64 at 66,
/// payload at 74, timestamp u64 (us) at 106, proposer u16 at 114, next at 116, lanes at 148, history at 180, registry at 212,
/// origin number u64 at 244, origin hash at 252, inbox u64 at 284.
library Header {
    uint256 internal constant BYTES = 292;
    uint16 internal constant VERSION = 4;

    /// A header has 292 bytes.
    error HeaderLength(uint256 length);
    error HeaderVersion(uint16 version);
    /// Of another network.
    error HeaderChain(uint64 chain);

    /// Refuse what is no header of this version and chain; every other function relies on it.
    function check(bytes calldata header, uint64 wanted) internal pure {
        if (header.length != BYTES) revert HeaderLength(header.length);
        uint16 version = uint16(bytes2(header[0:2]));
        if (version != VERSION) revert HeaderVersion(version);
        uint64 chain = _u64(header, 2);
        if (chain != wanted) revert HeaderChain(chain);
    }

    /// The block id.
    function id(bytes calldata header) internal pure returns (bytes32) {
        return sha256(header);
    }

    function epoch(bytes calldata header) internal pure returns (uint64) {
        return _u64(header, 10);
    }

    function viewOf(bytes calldata header) internal pure returns (uint64) {
        return _u64(header, 18);
    }

    function height(bytes calldata header) internal pure returns (uint64) {
        return _u64(header, 26);
    }

    function parent(bytes calldata header) internal pure returns (bytes32) {
        return _word(header, 34);
    }

    /// In microseconds.
    function timestamp(bytes calldata header) internal pure returns (uint64) {
        return _u64(header, 106);
    }

    function payload(bytes calldata header) internal pure returns (bytes32) {
        return _word(header, 74);
    }

    /// The committee of the next epoch; zero except in the last block of an epoch.
    function next(bytes calldata header) internal pure returns (bytes32) {
        return _word(header, 116);
    }

    /// How many entries of the forced inbox are consumed up to and with this block.
    function inbox(bytes calldata header) internal pure returns (uint64) {
        return _u64(header, 284);
    }

    /// The header of the block that a chain starts from.
    function genesis(uint64 chain, uint64 epoch_, bytes32 committee) internal pure returns (bytes memory) {
        return abi.encodePacked(VERSION, chain, epoch_, new bytes(56), committee, new bytes(BYTES - 106));
    }

    function _u64(bytes calldata header, uint256 offset) private pure returns (uint64 value) {
        assembly ("memory-safe") { value := shr(192, calldataload(add(header.offset, offset))) }
    }

    function _word(bytes calldata header, uint256 offset) private pure returns (bytes32 value) {
        assembly ("memory-safe") { value := calldataload(add(header.offset, offset)) }
    }
}
