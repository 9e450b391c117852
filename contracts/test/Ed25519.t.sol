// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Libraries} from "./Libraries.sol";
import {Test} from "./Vm.sol";

contract Ed25519Test is Test {
    /// A case of vectors/keys.json.
    struct Key {
        bytes32 key;
        string name;
        bool strict;
    }

    /// A case of vectors/signatures.json: the fields in the order of letters, as `parseJson` gives them.
    struct Signature {
        bytes32 key;
        bytes message;
        string name;
        bytes32 r;
        bytes32 s;
        bool strict;
        bool zip215;
    }

    Libraries private libraries = new Libraries();

    /// Section 7.1, tests 1 to 3.
    function test_the_examples_of_rfc_8032() public view {
        bool ok = libraries.verify(
            0xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a,
            0xe5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155,
            0x5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b,
            ""
        );
        check(ok, "test 1");
        ok = libraries.verify(
            0x3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c,
            0x92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da,
            0x085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00,
            hex"72"
        );
        check(ok, "test 2");
        ok = libraries.verify(
            0xfc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025,
            0x6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac,
            0x18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a,
            hex"af82"
        );
        check(ok, "test 3");
    }

    /// Edge cases, the twelve of speccheck among them: exactly what ZIP-215 accepts, and with it all that members accept.
    function test_what_zip_215_accepts_is_accepted_and_nothing_else() public view {
        bytes memory cases = vm.parseJson(vm.readFile("test/vectors/signatures.json"), ".cases");
        Signature[] memory all = abi.decode(cases, (Signature[]));
        check(all.length >= 350, "few cases");
        uint256 strict = 0;
        for (uint256 i = 0; i < all.length; i++) {
            Signature memory one = all[i];
            bool accepted = libraries.verify(one.key, one.r, one.s, one.message);
            check(accepted == one.zip215, one.name);
            check(accepted || !one.strict, one.name);
            if (one.strict) strict++;
        }
        check(strict >= 10, "few that members accept");
    }

    /// The same keys that a committee takes: canonical, and not of small order.
    function test_a_key_may_register_if_a_committee_takes_it() public view {
        bytes memory cases = vm.parseJson(vm.readFile("test/vectors/keys.json"), ".cases");
        Key[] memory all = abi.decode(cases, (Key[]));
        check(all.length >= 50, "few cases");
        for (uint256 i = 0; i < all.length; i++) {
            check(libraries.isStrictKey(all[i].key) == all[i].strict, all[i].name);
        }
    }

    function testFuzz_a_signature_is_accepted_and_no_other_message_key_or_signature_with_it(
        bytes32 secret,
        bytes memory message,
        uint256 bit
    ) public view {
        (bytes32 key, bytes32 r, bytes32 s) = sign(secret, message);
        check(libraries.verify(key, r, s, message), "refused");
        check(libraries.isStrictKey(key), "no key");
        bytes32 flip = bytes32(uint256(1) << (bit % 256));
        check(!libraries.verify(key ^ flip, r, s, message), "another key");
        check(!libraries.verify(key, r ^ flip, s, message), "another R");
        check(!libraries.verify(key, r, s ^ flip, message), "another s");
        check(!libraries.verify(key, r, s, bytes.concat(message, hex"00")), "a longer message");
    }

    /// What lies in memory is neither read as something else nor overwritten.
    function test_verifying_leaves_memory_as_it_was() public view {
        (bytes32 key, bytes32 r, bytes32 s) = sign(bytes32(uint256(7)), new bytes(40));
        for (uint256 i = 0; i < 3; i++) {
            bytes memory before = abi.encodePacked(key, r, s, i);
            bytes32 hash = keccak256(before);
            check(libraries.verify(key, r, s, new bytes(40)), "refused");
            equal(keccak256(before), hash, "memory");
        }
    }

    function test_gas_of_a_verification() public {
        bytes memory message = new bytes(40);
        (bytes32 key, bytes32 r, bytes32 s) = sign(bytes32(uint256(7)), message);
        libraries.verify(key, r, s, message);
        vm.snapshotGasLastCall("Libraries", "Ed25519 verification of 40 bytes");
        libraries.isStrictKey(key);
        vm.snapshotGasLastCall("Libraries", "Ed25519 key check");
    }

    function sign(bytes32 secret, bytes memory message) private pure returns (bytes32 key, bytes32 r, bytes32 s) {
        bytes memory signature = vm.signEd25519("", message, secret);
        (r, s) = abi.decode(signature, (bytes32, bytes32));
        key = vm.publicKeyEd25519(secret);
    }
}
