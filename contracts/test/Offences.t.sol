// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Offences} from "../src/lib/Offences.sol";
import {Libraries, OffenceVector} from "./Libraries.sol";
import {Test} from "./Vm.sol";

contract OffencesTest is Test {
    Libraries private libraries = new Libraries();

    /// True, legal, malformed, altered, of another chain, epoch or key.
    function test_evidence_is_judged_as_members_judge_it() public view {
        OffenceVector[] memory all = vectors();
        check(all.length >= 120, "few cases");
        for (uint256 i = 0; i < all.length; i++) {
            OffenceVector memory one = all[i];
            (bool ok, bytes memory out) =
                address(libraries).staticcall(abi.encodeCall(Libraries.check, (one.chain, one.evidence)));
            if (bytes(one.refusal).length > 0) {
                check(!ok, one.name);
                equal(bytes4(out), bytes4(keccak256(bytes(one.refusal))), one.name);
                continue;
            }
            check(ok, one.name);
            Offences.Case memory made = abi.decode(out, (Offences.Case));
            equal(made.offence, one.offence, one.name);
            equal(made.epoch, one.epoch, one.name);
            equal(made.view_, one.view_, one.name);
            equal(made.preimageA, one.preimageA, one.name);
            equal(made.preimageB, one.preimageB, one.name);
            equal(made.preimageA.length, 40, one.name);
            check(libraries.proves(one.chain, one.key, one.evidence) == one.proven, one.name);
        }
    }

    /// One bit of each byte of a true piece changed, and nothing is proven against anybody.
    function test_no_altered_byte_proves_anything() public view {
        OffenceVector[] memory all = vectors();
        uint256 seen = 0;
        for (uint256 i = 0; i < all.length; i++) {
            OffenceVector memory one = all[i];
            // The first of each offence is the true one.
            if (!one.proven || one.offence != seen + 1) continue;
            seen++;
            for (uint256 j = 0; j < one.evidence.length; j++) {
                bytes1 kept = one.evidence[j];
                one.evidence[j] = kept ^ bytes1(uint8(1 << (j % 8)));
                check(!proves(one), string.concat(one.name, ", byte ", vm.toString(j)));
                one.evidence[j] = kept;
            }
        }
        equal(seen, 5, "offences");
    }

    /// No panic, no empty revert: whatever comes is refused with a name, or read.
    function testFuzz_any_bytes_are_read_or_refused_with_a_name(uint8 tag, bytes memory rest) public view {
        bytes memory evidence = abi.encodePacked(uint8(tag % 7), rest);
        namedOrRead(evidence);
    }

    /// The same with the lengths that are possible, and with small numbers, which are likelier to be well formed.
    function testFuzz_bytes_of_the_right_length(uint8 tag, bytes32 seed, uint8 dense) public view {
        uint16[5] memory lengths = [uint16(231), 229, 229, 206, 238];
        bytes memory evidence = new bytes(lengths[tag % 5]);
        for (uint256 i = 0; i < evidence.length; i++) {
            uint8 byte_ = uint8(uint256(keccak256(abi.encode(seed, i))));
            evidence[i] = bytes1(byte_ % 8 <= dense % 4 ? byte_ % 3 : 0);
        }
        evidence[0] = bytes1(tag % 5 + 1 > 4 ? (seed[0] & 0x01 == 0 ? 4 : 5) : tag % 5 + 1);
        namedOrRead(evidence);
    }

    /// The same two statements are the same case, whichever comes first and whichever signatures they carry.
    function test_identity_is_that_of_the_statements() public view {
        OffenceVector[] memory all = vectors();
        bytes32 found;
        for (uint256 i = 0; i < all.length; i++) {
            if (!all[i].proven) continue;
            Offences.Case memory made = libraries.check(all[i].chain, all[i].evidence);
            bytes32 id = libraries.identity(made);
            (made.preimageA, made.preimageB) = (made.preimageB, made.preimageA);
            made.sA = bytes32(uint256(1));
            equal(libraries.identity(made), id, "swapped");
            made.preimageA[39] ^= 0x01;
            check(libraries.identity(made) != id, "another statement");
            found = id;
        }
        check(found != 0, "no case");
    }

    function test_gas_of_two_votes() public {
        OffenceVector memory one = vectors()[0];
        check(libraries.proves(one.chain, one.key, one.evidence), one.name);
        vm.snapshotGasLastCall("Libraries", "evidence of two proposals");
    }

    function proves(OffenceVector memory one) private view returns (bool) {
        (bool ok, bytes memory out) =
            address(libraries).staticcall(abi.encodeCall(Libraries.proves, (one.chain, one.key, one.evidence)));
        return ok && abi.decode(out, (bool));
    }

    function namedOrRead(bytes memory evidence) private view {
        (bool ok, bytes memory out) = address(libraries).staticcall(abi.encodeCall(Libraries.check, (7777, evidence)));
        if (ok) return;
        bytes4 name = bytes4(out);
        check(
            name == Offences.UnknownOffence.selector || name == Offences.WrongLength.selector
                || name == Offences.UnknownKind.selector || name == Offences.UnknownFlag.selector
                || name == Offences.TwoSigners.selector || name == Offences.TwoEpochs.selector
                || name == Offences.LastView.selector || name == Offences.HighView.selector
                || name == Offences.Legal.selector,
            "an error without a name"
        );
    }

    function vectors() private view returns (OffenceVector[] memory) {
        return abi.decode(vm.parseJson(vm.readFile("test/vectors/offences.json"), ".cases"), (OffenceVector[]));
    }
}
