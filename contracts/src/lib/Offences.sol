// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

library Offences {
    struct Case {
        uint8 offence;
        uint64 epoch;
        uint64 view_;
        bytes preimageA;
        bytes preimageB;
        bytes32 rA;
        bytes32 sA;
        bytes32 rB;
        bytes32 sB;
    }

    function check(uint64 chain, bytes calldata evidence) internal pure returns (Case memory) {}
}
