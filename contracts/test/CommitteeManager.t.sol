// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CommitteeManager} from "../src/CommitteeManager.sol";
import {ICommitteeManager} from "../src/interfaces/ICommitteeManager.sol";
import {Addresses, BadParameter, OnlyBy, Parameters} from "../src/interfaces/System.sol";
import {Sort} from "../src/lib/Sort.sol";
import {Thresholds} from "../src/lib/Thresholds.sol";
import {World} from "./World.sol";

contract CommitteeManagerTest is World {
    function setUp() public {
        deploy();
    }

    function test_a_committee_is_of_those_with_the_least_stake_in_order_of_registration() public {
        // Bonded in another order than registered; 3 has too little, 4 does not register, 5 leaves.
        deposit(person(2).operator, 9.5 ether);
        deposit(person(0).operator, 4 ether);
        deposit(person(3).operator, 4 ether - 1);
        deposit(person(4).operator, 50 ether);
        deposit(person(5).operator, 50 ether);
        deposit(person(1).operator, 6 ether);
        register(person(0));
        register(person(1));
        register(person(2));
        register(person(3));
        register(person(5));
        vm.prank(person(5).operator);
        registry.exit();
        bytes32 id = manager.snapshot(0);
        (uint64 epoch, uint16 n, uint64 total, uint64 quorum, uint64 fast,, uint64 l1Block) = manager.committee(id);
        equal(epoch, 0, "epoch");
        equal(n, 3, "members");
        equal(total, 4 + 6 + 9, "total");
        equal(quorum, 13, "quorum");
        equal(fast, 19, "fast");
        equal(l1Block, block.number, "block");
        (bytes32[] memory keys, uint64[] memory weights, address[] memory attesters, address[] memory operators) =
            manager.members(id);
        for (uint256 i = 0; i < 3; i++) {
            equal(keys[i], person(i).key, "key");
            equal(attesters[i], person(i).attester, "attester");
            equal(operators[i], person(i).operator, "operator");
        }
        equal(weights[0], 4, "weight");
        equal(weights[1], 6, "weight");
        equal(weights[2], 9, "weight, rounded down");
    }

    function test_the_same_stakes_give_the_same_committee() public {
        join(0, 4, 32 ether);
        bytes32 id = manager.snapshot(0);
        (,,,,, address blob,) = manager.committee(id);
        vm.roll(block.number + 5);
        vm.warp(clock() + 60);
        equal(manager.snapshot(0), id, "same id");
        (,,,,, address again, uint64 l1Block) = manager.committee(id);
        equal(again, blob, "same blob");
        equal(l1Block, block.number - 5, "first block");
        equal(manager.takenAt(id), clock(), "but looked at again");
    }

    function test_a_deposit_changes_the_next_committee() public {
        start(4);
        bytes32 before = manager.snapshot(1);
        deposit(person(0).operator, 1 ether);
        check(manager.snapshot(1) != before, "another committee");
        equal(before, manager.successorOf(anchor.committeeId()), "before, it was the successor");
    }

    function test_a_rotated_key_counts_from_the_next_snapshot() public {
        start(4);
        bytes memory proof = memberProof(person(0).operator, person(9).seed);
        vm.prank(person(0).operator);
        registry.rotate(person(9).key, proof);
        (bytes32[] memory keys,,,) = manager.members(anchor.committeeId());
        equal(keys[0], person(0).key, "now");
        (keys,,,) = manager.members(manager.snapshot(1));
        equal(keys[0], person(9).key, "next");
    }

    function test_an_ejected_operator_is_not_in_the_next_committee() public {
        start(5);
        accuse(2);
        (,,, address[] memory operators) = manager.members(manager.snapshot(1));
        equal(operators.length, 4, "one less");
        for (uint256 i = 0; i < 4; i++) {
            check(operators[i] != person(2).operator, "not 2");
        }
    }

    function test_snapshots_are_for_the_next_epoch() public {
        join(0, 4, 32 ether);
        refused(abi.encodeWithSelector(ICommitteeManager.WrongEpoch.selector, 1, 0));
        manager.snapshot(1);
        begin();
        refused(abi.encodeWithSelector(ICommitteeManager.WrongEpoch.selector, 0, 1));
        manager.snapshot(0);
        manager.snapshot(1);
        refused(abi.encodeWithSelector(ICommitteeManager.WrongEpoch.selector, 2, 1));
        manager.snapshot(2);
        endEpoch();
        manager.snapshot(2);
    }

    function test_a_committee_of_nobody_is_refused() public {
        refused(abi.encodeWithSelector(ICommitteeManager.NoMembers.selector));
        manager.snapshot(0);
    }

    function test_unknown_committees_are_refused() public {
        bytes memory unknown = abi.encodeWithSelector(ICommitteeManager.UnknownCommittee.selector, bytes32("x"));
        refused(unknown);
        manager.committee(bytes32("x"));
        refused(unknown);
        manager.members(bytes32("x"));
        refused(unknown);
        manager.successorOf(bytes32("x"));
    }

    function test_a_successor_is_of_the_current_committee_only() public {
        start(4);
        bytes32 first_ = anchor.committeeId();
        bytes32 second = manager.successor(first_);
        equal(second, manager.successorOf(first_), "foretold");
        (uint64 epoch, uint16 n, uint64 total,,, address blob,) = manager.committee(second);
        (,,,,, address old,) = manager.committee(first_);
        equal(epoch, 1, "epoch");
        equal(n, 4, "members");
        equal(total, 128, "total");
        equal(blob, old, "the same blob");
        refused(abi.encodeWithSelector(ICommitteeManager.NotCurrent.selector, second));
        manager.successor(second);
        endEpoch();
        refused(abi.encodeWithSelector(ICommitteeManager.NotCurrent.selector, first_));
        manager.successor(first_);
        manager.successor(second);
    }

    function test_only_the_anchor_says_which_committee_serves() public {
        bytes32 id = keccak256("x");
        refused(abi.encodeWithSelector(OnlyBy.selector, address(anchor), address(this)));
        manager.activate(id, 0, 0);
    }

    function test_the_last_epoch_of_an_operator_follows_the_committees_that_served() public {
        join(0, 5, 32 ether);
        (bool ever, uint64 epoch) = manager.lastEpochOf(person(0).operator);
        check(!ever, "never");
        begin();
        (ever, epoch) = manager.lastEpochOf(person(0).operator);
        check(ever && epoch == 0, "first");
        // Two snapshots; the earlier one, without 0, is chosen, though the later one has it.
        vm.prank(person(0).operator);
        bonded.unbond(30 ether);
        bytes32 without = manager.snapshot(1);
        deposit(person(0).operator, 30 ether);
        manager.snapshot(1);
        (ever, epoch) = manager.lastEpochOf(person(0).operator);
        check(ever && epoch == 1, "may still be chosen");
        endEpoch(without, 15);
        (ever, epoch) = manager.lastEpochOf(person(0).operator);
        check(ever && epoch == 0, "was not chosen");
        (ever, epoch) = manager.lastEpochOf(person(1).operator);
        check(ever && epoch == 1, "1 serves");
    }

    function test_the_earlier_of_two_snapshots_with_an_operator_counts_too() public {
        join(0, 5, 32 ether);
        begin();
        bytes32 chosen = manager.snapshot(1);
        deposit(person(0).operator, 1 ether);
        manager.snapshot(1);
        endEpoch(chosen, 31);
        // The chosen one goes on for three epochs.
        for (uint256 i = 0; i < 3; i++) {
            endEpoch(manager.successorOf(anchor.committeeId()), 31);
        }
        (bool ever, uint64 epoch) = manager.lastEpochOf(person(0).operator);
        check(ever && epoch == 4, "it serves");
    }

    // ---- the list

    function small() private returns (bytes memory) {
        Parameters memory p = parameters();
        p.membersMax = 3;
        Addresses memory to = predicted();
        address[] memory adapters = new address[](1);
        adapters[0] = to.bonded;
        deploy(p, to, adapters);
        return "";
    }

    function test_registering_and_bonding_list_an_operator_in_either_order() public {
        register(person(0));
        equal(manager.candidates().length, 0, "no stake");
        deposit(person(0).operator, 4 ether);
        equal(manager.candidates().length, 1, "listed by the deposit");
        deposit(person(1).operator, 4 ether);
        equal(manager.candidates().length, 1, "not registered");
        register(person(1));
        equal(manager.candidates().length, 2, "listed by registering");
    }

    function test_operators_without_stake_make_no_snapshot_dear() public {
        for (uint256 i = 0; i < 20; i++) {
            register(person(i));
        }
        equal(manager.candidates().length, 0, "none listed");
        for (uint256 i = 0; i < 20; i++) {
            manager.offer(person(i).operator);
        }
        equal(manager.candidates().length, 0, "none listed");
        refused(abi.encodeWithSelector(ICommitteeManager.NotEligible.selector, person(1).operator, 0));
        manager.enlist(person(1).operator);
    }

    function test_on_a_full_list_more_stake_replaces_less() public {
        small();
        join(0, 3, 32 ether);
        deposit(person(3).operator, 32 ether);
        register(person(3));
        equal(manager.candidates().length, 3, "full");
        refused(abi.encodeWithSelector(ICommitteeManager.ListFull.selector, 3));
        manager.enlist(person(3).operator);
        refused(abi.encodeWithSelector(ICommitteeManager.NotLess.selector, person(0).operator, 32 ether, 32 ether));
        manager.enlistInstead(person(3).operator, person(0).operator);
        deposit(person(3).operator, 1);
        manager.enlistInstead(person(3).operator, person(0).operator);
        (,,, address[] memory operators) = manager.members(manager.snapshot(0));
        equal(operators[0], person(1).operator, "1");
        equal(operators[2], person(3).operator, "3 in the place of 0");
    }

    function test_who_left_is_replaced_whatever_stake_there_is() public {
        small();
        join(0, 3, 32 ether);
        join(3, 4, 4 ether);
        vm.prank(person(0).operator);
        registry.exit();
        manager.enlistInstead(person(3).operator, person(0).operator);
        (,,, address[] memory operators) = manager.members(manager.snapshot(0));
        equal(operators[2], person(3).operator, "3");
    }

    function test_only_those_that_do_not_count_are_taken_off_the_list() public {
        join(0, 2, 32 ether);
        refused(abi.encodeWithSelector(ICommitteeManager.NotLess.selector, person(0).operator, 32 ether, 4 ether));
        manager.delist(person(0).operator);
        vm.prank(person(0).operator);
        bonded.unbond(30 ether);
        manager.delist(person(0).operator);
        refused(abi.encodeWithSelector(ICommitteeManager.NotListed.selector, person(0).operator));
        manager.delist(person(0).operator);
        equal(manager.candidates().length, 1, "one left");
        deposit(person(0).operator, 30 ether);
        equal(manager.candidates().length, 2, "back");
        refused(abi.encodeWithSelector(ICommitteeManager.AlreadyListed.selector, person(0).operator));
        manager.enlist(person(0).operator);
    }

    function test_parameters_that_make_no_committee_are_refused() public {
        Parameters memory p = parameters();
        address[] memory adapters = new address[](1);
        adapters[0] = address(bonded);
        p.membersMax = 257;
        make_(p, adapters, "membersMax");
        p.membersMax = 0;
        make_(p, adapters, "membersMax");
        p = parameters();
        p.stakeMin = p.stakeUnit - 1;
        make_(p, adapters, "stakeMin");
        p.stakeUnit = 0;
        make_(p, adapters, "stakeUnit");
        p = parameters();
        make_(p, new address[](0), "adapters");
        make_(p, new address[](9), "adapters");
        adapters = new address[](2);
        (adapters[0], adapters[1]) = (address(bonded), address(bonded));
        make_(p, adapters, "adapters");
    }

    function make_(Parameters memory p, address[] memory adapters, string memory name) private {
        Addresses memory to;
        to.bonded = address(bonded);
        to.manager = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        refused(abi.encodeWithSelector(BadParameter.selector, name));
        new CommitteeManager(p, to, adapters);
    }

    // ---- arithmetic

    function testFuzz_thresholds_keep_the_facts_of_the_proofs(uint64 n) public pure {
        n = n % (type(uint64).max >> 3) + 1;
        uint64 f = (n - 1) / 3;
        uint64 q = Thresholds.quorum(n);
        uint64 fast = Thresholds.fast(n);
        check(2 * q - n >= f + 1, "2Q - N >= f + 1");
        check(q <= n - f, "Q <= T");
        check(fast >= q, "F >= Q");
        check(fast <= n, "F <= N");
    }

    function testFuzz_sorting_sorts(uint256[] memory list) public pure {
        uint256 sum;
        for (uint256 i = 0; i < list.length; i++) {
            unchecked {
                sum += list[i];
            }
        }
        uint256[] memory sorted = Sort.ascending(list);
        equal(sorted.length, list.length, "length");
        for (uint256 i = 0; i < sorted.length; i++) {
            if (i > 0) check(sorted[i - 1] <= sorted[i], "order");
            unchecked {
                sum -= sorted[i];
            }
        }
        equal(sum, 0, "the same numbers");
    }

    function testFuzz_the_sum_of_the_weights_is_the_total(uint96[8] calldata stakes) public {
        uint256 wanted;
        uint256 n;
        for (uint256 i = 0; i < stakes.length; i++) {
            if (stakes[i] == 0) continue;
            join(i, i + 1, stakes[i]);
            if (stakes[i] < 4 ether) continue;
            wanted += stakes[i] / 1 ether;
            n++;
        }
        vm.assume(n > 0);
        bytes32 id = manager.snapshot(0);
        (, uint16 members, uint64 total,,,,) = manager.committee(id);
        equal(members, n, "members");
        equal(total, wanted, "total");
        (, uint64[] memory weights,,) = manager.members(id);
        uint256 sum;
        for (uint256 i = 0; i < weights.length; i++) {
            sum += weights[i];
        }
        equal(sum, total, "sum");
    }
}
