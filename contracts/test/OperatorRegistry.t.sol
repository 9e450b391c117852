// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IOperatorRegistry} from "../src/interfaces/IOperatorRegistry.sol";
import {OnlyBy} from "../src/interfaces/System.sol";
import {World} from "./World.sol";

contract OperatorRegistryTest is World {
    function setUp() public {
        deploy();
    }

    function try_(Person memory one, bytes memory proof, bytes memory second, bytes memory contact) private {
        vm.prank(one.operator);
        registry.register(one.key, proof, one.attester, second, contact);
    }

    function proofs(Person memory one) private view returns (bytes memory, bytes memory) {
        return (memberProof(one.operator, one.seed), attesterProof(one.operator, one.secret));
    }

    function test_an_operator_registers_with_both_proofs() public {
        Person memory one = person(1);
        register(one);
        (bytes32 key, address attester, uint64 registeredAt, uint64 exitAt, bool ejected, bytes memory contact) =
            registry.operator(one.operator);
        equal(key, one.key, "key");
        equal(attester, one.attester, "attester");
        equal(registeredAt, clock(), "registered");
        equal(exitAt, 0, "exit");
        check(!ejected, "not ejected");
        equal(contact, "contact", "contact");
        equal(registry.operatorOf(one.key), one.operator, "key finds operator");
        equal(registry.operatorOfAttester(one.attester), one.operator, "attester finds operator");
        equal(registry.operatorCount(), 1, "count");
    }

    function test_a_proof_by_another_key_is_refused() public {
        Person memory one = person(1);
        (, bytes memory second) = proofs(one);
        bytes memory wrong = memberProof(one.operator, person(2).seed);
        refused(abi.encodeWithSelector(IOperatorRegistry.BadMemberProof.selector, one.key));
        try_(one, wrong, second, "c");
    }

    function test_a_proof_made_for_another_operator_is_refused() public {
        Person memory one = person(1);
        (bytes memory proof, bytes memory second) = proofs(one);
        one.operator = address(0xbad);
        refused(abi.encodeWithSelector(IOperatorRegistry.BadMemberProof.selector, one.key));
        try_(one, proof, second, "c");
        proof = memberProof(one.operator, one.seed);
        refused(abi.encodeWithSelector(IOperatorRegistry.BadAttesterProof.selector, one.attester));
        try_(one, proof, second, "c");
    }

    function test_a_proof_made_on_another_l1_is_refused() public {
        Person memory one = person(1);
        (bytes memory proof, bytes memory second) = proofs(one);
        vm.chainId(5);
        refused(abi.encodeWithSelector(IOperatorRegistry.BadMemberProof.selector, one.key));
        try_(one, proof, second, "c");
    }

    function test_a_proof_of_the_wrong_length_is_refused() public {
        Person memory one = person(1);
        (bytes memory proof, bytes memory second) = proofs(one);
        refused(abi.encodeWithSelector(IOperatorRegistry.BadMemberProof.selector, one.key));
        try_(one, bytes.concat(proof, hex"00"), second, "c");
        refused(abi.encodeWithSelector(IOperatorRegistry.BadAttesterProof.selector, one.attester));
        try_(one, proof, bytes.concat(second, hex"00"), "c");
    }

    function test_the_other_s_of_an_attester_proof_is_refused() public {
        Person memory one = person(1);
        (bytes memory proof,) = proofs(one);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(one.secret, registry.attesterDigest(one.operator));
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes memory second = abi.encodePacked(r, order - uint256(s), v == 27 ? uint8(28) : uint8(27));
        refused(abi.encodeWithSelector(IOperatorRegistry.BadAttesterProof.selector, one.attester));
        try_(one, proof, second, "c");
    }

    function test_attester_zero_is_refused_although_ecrecover_says_zero() public {
        Person memory one = person(1);
        (bytes memory proof,) = proofs(one);
        one.attester = address(0);
        refused(abi.encodeWithSelector(IOperatorRegistry.BadAttesterProof.selector, address(0)));
        try_(one, proof, new bytes(65), "c");
    }

    function test_a_small_order_key_is_refused() public {
        Person memory one = person(1);
        (, bytes memory second) = proofs(one);
        // The neutral element, for which R = neutral, s = 0 holds for every message.
        one.key = bytes32(uint256(1) << 248);
        refused(abi.encodeWithSelector(IOperatorRegistry.WeakKey.selector, one.key));
        try_(one, abi.encodePacked(one.key, bytes32(0)), second, "c");
    }

    function test_an_address_registers_once() public {
        Person memory one = person(1);
        register(one);
        Person memory two = person(2);
        two.operator = one.operator;
        (bytes memory proof, bytes memory second) = proofs(two);
        refused(abi.encodeWithSelector(IOperatorRegistry.AlreadyRegistered.selector, one.operator));
        try_(two, proof, second, "c");
        vm.prank(one.operator);
        registry.exit();
        refused(abi.encodeWithSelector(IOperatorRegistry.AlreadyRegistered.selector, one.operator));
        try_(two, proof, second, "c");
    }

    function test_a_key_belongs_to_one_operator_for_ever() public {
        Person memory one = person(1);
        register(one);
        Person memory two = person(2);
        (, bytes memory second) = proofs(two);
        bytes memory stolen = memberProof(two.operator, one.seed);
        two.key = one.key;
        refused(abi.encodeWithSelector(IOperatorRegistry.KeyUsed.selector, one.key, one.operator));
        try_(two, stolen, second, "c");
        // Also after it was rotated away.
        bytes memory proof = memberProof(one.operator, person(3).seed);
        vm.prank(one.operator);
        registry.rotate(person(3).key, proof);
        refused(abi.encodeWithSelector(IOperatorRegistry.KeyUsed.selector, one.key, one.operator));
        try_(two, stolen, second, "c");
        equal(registry.operatorOf(one.key), one.operator, "old key");
        equal(registry.operatorOf(person(3).key), one.operator, "new key");
    }

    function test_an_old_key_cannot_be_rotated_back() public {
        Person memory one = person(1);
        register(one);
        bytes memory proof = memberProof(one.operator, person(3).seed);
        vm.prank(one.operator);
        registry.rotate(person(3).key, proof);
        proof = memberProof(one.operator, one.seed);
        refused(abi.encodeWithSelector(IOperatorRegistry.KeyUsed.selector, one.key, one.operator));
        vm.prank(one.operator);
        registry.rotate(one.key, proof);
    }

    function test_an_attester_belongs_to_one_operator_for_ever() public {
        Person memory one = person(1);
        register(one);
        bytes memory other = attesterProof(one.operator, person(3).secret);
        vm.prank(one.operator);
        registry.rotateAttester(person(3).attester, other);
        (, address now_,,,,) = registry.operator(one.operator);
        equal(now_, person(3).attester, "rotated");
        Person memory two = person(2);
        two.attester = one.attester;
        (bytes memory proof,) = proofs(two);
        bytes memory second = attesterProof(two.operator, one.secret);
        refused(abi.encodeWithSelector(IOperatorRegistry.AttesterUsed.selector, one.attester, one.operator));
        try_(two, proof, second, "c");
    }

    function test_contacts_have_1_to_512_bytes() public {
        Person memory one = person(1);
        (bytes memory proof, bytes memory second) = proofs(one);
        refused(abi.encodeWithSelector(IOperatorRegistry.ContactLength.selector, 0));
        try_(one, proof, second, "");
        refused(abi.encodeWithSelector(IOperatorRegistry.ContactLength.selector, 513));
        try_(one, proof, second, new bytes(513));
        try_(one, proof, second, new bytes(512));
        vm.prank(one.operator);
        registry.update("x");
        (,,,,, bytes memory contact) = registry.operator(one.operator);
        equal(contact, "x", "updated");
    }

    function test_who_left_changes_nothing_any_more() public {
        Person memory one = person(1);
        register(one);
        bytes memory proof = memberProof(one.operator, person(3).seed);
        bytes memory second = attesterProof(one.operator, person(3).secret);
        vm.startPrank(one.operator);
        registry.exit();
        bytes memory inactive = abi.encodeWithSelector(IOperatorRegistry.NotActive.selector, one.operator);
        refused(inactive);
        registry.rotate(person(3).key, proof);
        refused(inactive);
        registry.rotateAttester(person(3).attester, second);
        refused(inactive);
        registry.update("x");
        refused(inactive);
        registry.exit();
        vm.stopPrank();
    }

    function test_strangers_change_nothing() public {
        refused(abi.encodeWithSelector(IOperatorRegistry.NotActive.selector, address(0xbad)));
        vm.prank(address(0xbad));
        registry.exit();
    }

    function test_only_the_court_ejects() public {
        refused(abi.encodeWithSelector(OnlyBy.selector, address(court), address(this)));
        registry.eject(person(1).operator);
    }

    function test_the_list_is_read_in_parts() public {
        for (uint256 i = 0; i < 5; i++) {
            register(person(i));
        }
        equal(registry.operators(0, 2).length, 2, "two");
        equal(registry.operators(3, type(uint256).max).length, 2, "rest");
        equal(registry.operators(9, 1).length, 0, "past the end");
        equal(registry.operators(4, 1)[0], person(4).operator, "last");
    }
}
