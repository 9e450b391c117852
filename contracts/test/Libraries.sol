// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ed25519} from "../src/lib/Ed25519.sol";
import {Sha512} from "../src/lib/Sha512.sol";

/// The libraries behind calls, as tests want them: with calldata, and with gas of their own.
contract Libraries {
    function verify(bytes32 key, bytes32 r, bytes32 s, bytes calldata message) external view returns (bool) {
        return Ed25519.verify(key, r, s, message);
    }

    function isStrictKey(bytes32 key) external view returns (bool) {
        return Ed25519.isStrictKey(key);
    }

    function sha512(bytes calldata message) external pure returns (uint256, uint256) {
        return Sha512.hash(message);
    }
}
