// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Libraries} from "./Libraries.sol";
import {Test} from "./Vm.sol";

contract Ed25519Test is Test {
    Libraries private libraries = new Libraries();

    /// RFC 8032, section 7.1, tests 1 to 3.
    function test_the_examples_of_rfc_8032() public view {
        check(
            libraries.verify(
                0xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a,
                0xe5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155,
                0x5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b,
                ""
            ),
            "test 1"
        );
        check(
            libraries.verify(
                0x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c,
                0x92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da,
                0x085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00,
                hex"72"
            ),
            "test 2"
        );
    }

    function test_gas() public {
        bytes memory message = new bytes(40);
        bytes memory signature = vm.signEd25519("", message, bytes32(uint256(7)));
        bytes32 key = vm.publicKeyEd25519(bytes32(uint256(7)));
        bytes32 r;
        bytes32 s;
        assembly {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
        }
        bool ok = libraries.verify(key, r, s, message);
        check(ok, "valid");
        equal(vm.lastCallGas().gasTotalUsed, 0, "gas");
    }

    function test_gas_sha() public {
        libraries.sha512(new bytes(104));
        equal(vm.lastCallGas().gasTotalUsed, 0, "gas");
    }
}
