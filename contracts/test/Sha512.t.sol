// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Libraries} from "./Libraries.sol";
import {Test} from "./Vm.sol";

contract Sha512Test is Test {
    /// A case of vectors/sha512.json: the fields in the order of letters, as `parseJson` gives them.
    struct Case {
        bytes32 first;
        bytes32 last;
        bytes message;
    }

    Libraries private libraries = new Libraries();

    function test_the_examples_of_fips_180() public view {
        same(
            "abc",
            0xddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a,
            0x2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f
        );
        same(
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            0x8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018,
            0x501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909
        );
    }

    function test_every_length_around_the_end_of_a_block() public view {
        bytes memory cases = vm.parseJson(vm.readFile("test/vectors/sha512.json"), ".cases");
        Case[] memory all = abi.decode(cases, (Case[]));
        check(all.length >= 13, "few cases");
        for (uint256 i = 0; i < all.length; i++) {
            same(all[i].message, all[i].first, all[i].last);
        }
    }

    function test_gas_of_one_block() public {
        libraries.sha512(new bytes(104));
        vm.snapshotGasLastCall("Libraries", "SHA-512 of 104 bytes");
    }

    function same(bytes memory message, bytes32 first, bytes32 last) private view {
        (bytes32 a, bytes32 b) = libraries.sha512(message);
        equal(a, first, "first half");
        equal(b, last, "last half");
    }
}
