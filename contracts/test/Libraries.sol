// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Ed25519} from "../src/lib/Ed25519.sol";
import {Offences} from "../src/lib/Offences.sol";
import {Sha512} from "../src/lib/Sha512.sol";

/// A case of vectors/offences.json: the fields in the order of letters, as `parseJson` gives them.
struct OffenceVector {
    uint64 chain;
    uint64 epoch;
    string refusal;
    bytes evidence;
    bytes32 key;
    string name;
    uint8 offence;
    bytes preimageA;
    bytes preimageB;
    bool proven;
    uint64 view_;
}

/// The libraries behind calls, as tests want them: with calldata, with gas of their own, and with reverts that can be caught.
contract Libraries {
    function verify(bytes32 key, bytes32 r, bytes32 s, bytes calldata message) external view returns (bool) {
        return Ed25519.verify(key, r, s, message);
    }

    function isStrictKey(bytes32 key) external view returns (bool) {
        return Ed25519.isStrictKey(key);
    }

    function sha512(bytes calldata message) external pure returns (bytes32 first, bytes32 last) {
        (uint256 a, uint256 b) = Sha512.hash(message);
        return (bytes32(a), bytes32(b));
    }

    function check(uint64 chain, bytes calldata evidence) external pure returns (Offences.Case memory) {
        return Offences.check(chain, evidence);
    }

    function identity(Offences.Case calldata made) external pure returns (bytes32) {
        return Offences.identity(made);
    }

    /// What a court does: whether the evidence proves an offence of the holder of the key. Reverts if it is none.
    function proves(uint64 chain, bytes32 key, bytes calldata evidence) external view returns (bool) {
        Offences.Case memory made = Offences.check(chain, evidence);
        return
            Ed25519.verify(key, made.rA, made.sA, made.preimageA)
                && Ed25519.verify(key, made.rB, made.sB, made.preimageB);
    }
}
