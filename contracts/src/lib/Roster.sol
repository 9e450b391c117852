// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Blob} from "./Blob.sol";

/// The members of a committee in a blob: n * (attester 20 || weight 12), n * member key 32, n * operator 20.
library Roster {
    /// The bytes of the blob.
    function encode(
        address[] memory attesters,
        uint64[] memory weights,
        bytes32[] memory memberKeys,
        address[] memory accounts
    ) internal pure returns (bytes memory data) {
        uint256 n = memberKeys.length;
        data = new bytes(n * 84);
        for (uint256 i = 0; i < n; i++) {
            bytes32 entry = bytes32((uint256(uint160(attesters[i])) << 96) | weights[i]);
            bytes32 key = memberKeys[i];
            address operator = accounts[i];
            assembly ("memory-safe") {
                mstore(add(add(data, 32), mul(i, 32)), entry)
                mstore(add(add(data, 32), mul(add(n, i), 32)), key)
                // The word that ends where the operator ends: its first 12 bytes are somebody else's.
                let end := add(data, add(mul(n, 64), mul(add(i, 1), 20)))
                mstore(end, or(and(mload(end), not(0xffffffffffffffffffffffffffffffffffffffff)), operator))
            }
        }
    }

    /// The attester and weight of each member.
    function entries(address blob, uint256 n) internal view returns (bytes memory) {
        return Blob.load(blob, 0, n * 32);
    }

    /// The member keys, one after the other.
    function keys(address blob, uint256 n) internal view returns (bytes memory) {
        return Blob.load(blob, n * 32, n * 32);
    }

    /// The operators, one after the other.
    function operators(address blob, uint256 n) internal view returns (bytes memory) {
        return Blob.load(blob, n * 64, n * 20);
    }

    function entryAt(bytes memory list, uint256 i) internal pure returns (address attester, uint64 weight) {
        uint256 word = uint256(wordAt(list, i));
        return (address(uint160(word >> 96)), uint64(word));
    }

    function wordAt(bytes memory list, uint256 i) internal pure returns (bytes32 word) {
        assembly ("memory-safe") { word := mload(add(add(list, 32), mul(i, 32))) }
    }

    function operatorAt(bytes memory list, uint256 i) internal pure returns (address operator) {
        assembly ("memory-safe") { operator := shr(96, mload(add(add(list, 32), mul(i, 20)))) }
    }

    /// Whether the key is a member's.
    function hasKey(address blob, uint256 n, bytes32 key) internal view returns (bool) {
        bytes memory list = keys(blob, n);
        for (uint256 i = 0; i < n; i++) {
            if (wordAt(list, i) == key) return true;
        }
        return false;
    }

    /// Whether the address is a member's attester.
    function hasAttester(address blob, uint256 n, address attester) internal view returns (bool) {
        bytes memory list = entries(blob, n);
        for (uint256 i = 0; i < n; i++) {
            (address one,) = entryAt(list, i);
            if (one == attester) return true;
        }
        return false;
    }
}
