// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Bytes kept as the code of an account: much cheaper to read than storage. The code begins with STOP, so that it can
/// not be run.
library Blob {
    /// More than one account's code holds, or out of gas.
    error NotStored(uint256 length);

    function store(bytes memory data) internal returns (address blob) {
        // PUSH2 size, DUP1, PUSH1 10, RETURNDATASIZE (0), CODECOPY, RETURNDATASIZE (0), RETURN; then the code.
        bytes memory init = abi.encodePacked(hex"61", uint16(data.length + 1), hex"80600a3d393df300", data);
        assembly ("memory-safe") { blob := create(0, add(init, 32), mload(init)) }
        if (blob == address(0)) revert NotStored(data.length);
    }

    /// Whether these bytes are kept there.
    function holds(address blob, bytes memory data) internal view returns (bool) {
        return blob.codehash == keccak256(abi.encodePacked(hex"00", data));
    }

    /// `length` bytes from `offset`; bytes past the end are zero.
    function load(address blob, uint256 offset, uint256 length) internal view returns (bytes memory data) {
        data = new bytes(length);
        assembly ("memory-safe") { extcodecopy(blob, add(data, 32), add(offset, 1), length) }
    }
}
