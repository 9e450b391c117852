// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {BondedStake} from "../src/BondedStake.sol";
import {IBondedStake} from "../src/interfaces/IBondedStake.sol";
import {Addresses, BadParameter, OnlyBy, Parameters, WrongAddress} from "../src/interfaces/System.sol";
import {World} from "./World.sol";

/// Cannot be paid.
contract Refuser {
    bool private willing;

    function report(address court, bytes32 key, bytes calldata evidence) external {
        (bool ok,) = court.call(abi.encodeWithSignature("report(bytes32,bytes)", key, evidence));
        require(ok);
    }

    function collect(IBondedStake from) external {
        willing = true;
        from.collect();
    }

    receive() external payable {
        require(willing);
    }
}

/// Burns all gas it is paid with.
contract GasBurner {
    function report(address court, bytes32 key, bytes calldata evidence) external {
        (bool ok,) = court.call(abi.encodeWithSignature("report(bytes32,bytes)", key, evidence));
        require(ok);
    }

    receive() external payable {
        while (true) {}
    }
}

/// Calls `withdraw` again when it is paid.
contract Reenterer {
    IBondedStake private immutable bonded;
    uint256 public calls;

    constructor(IBondedStake bonded_) {
        bonded = bonded_;
    }

    function unbond(uint256 amount) external {
        bonded.unbond(amount);
    }

    function withdraw() external {
        bonded.withdraw();
    }

    receive() external payable {
        calls++;
        (bool ok,) = address(bonded).call(abi.encodeCall(IBondedStake.withdraw, ()));
        require(!ok);
    }
}

contract BondedStakeTest is World {
    function setUp() public {
        deploy();
    }

    function unbond(uint256 i, uint256 amount) private {
        vm.prank(person(i).operator);
        bonded.unbond(amount);
    }

    function refuseWithdraw(uint256 i, bytes memory data) private {
        vm.expectRevert(data);
        vm.prank(person(i).operator);
        bonded.withdraw();
    }

    function withdraw(uint256 i) private {
        vm.prank(person(i).operator);
        bonded.withdraw();
    }

    function test_anyone_bonds_for_an_operator() public {
        deposit(person(1).operator, 5 ether);
        equal(bonded.stakeOf(person(1).operator), 5 ether, "counts");
        equal(bonded.totalHeld(), 5 ether, "held");
        equal(address(bonded).balance, 5 ether, "balance");
    }

    function test_nothing_and_nobody_are_refused() public {
        refused(abi.encodeWithSelector(IBondedStake.NothingToMove.selector));
        bonded.deposit(person(1).operator);
        vm.deal(address(this), 1);
        refused(abi.encodeWithSelector(IBondedStake.NothingToMove.selector));
        bonded.deposit{value: 1}(address(0));
        refused(abi.encodeWithSelector(IBondedStake.NothingToMove.selector));
        bonded.unbond(0);
        refused(abi.encodeWithSelector(IBondedStake.NothingToMove.selector));
        bonded.withdraw();
        refused(abi.encodeWithSelector(IBondedStake.NothingToMove.selector));
        bonded.collect();
    }

    function test_ether_sent_without_a_deposit_is_refused() public {
        vm.deal(address(this), 1 ether);
        (bool ok,) = address(bonded).call{value: 1 ether}("");
        check(!ok, "no receive");
    }

    function test_unbonding_stake_counts_no_more_but_is_slashable() public {
        deposit(person(1).operator, 5 ether);
        unbond(1, 2 ether);
        equal(bonded.stakeOf(person(1).operator), 3 ether, "counts");
        equal(bonded.slashable(person(1).operator), 5 ether, "slashable");
    }

    function test_more_than_is_bonded_cannot_be_unbonded() public {
        deposit(person(1).operator, 5 ether);
        refused(abi.encodeWithSelector(IBondedStake.NotBonded.selector, 5 ether, 6 ether));
        unbond(1, 6 ether);
    }

    function test_stake_of_no_committee_leaves_when_the_time_is_over() public {
        deposit(person(1).operator, 5 ether);
        unbond(1, 5 ether);
        uint64 until = uint64(clock() + 14 days);
        vm.warp(until - 1);
        refuseWithdraw(1, abi.encodeWithSelector(IBondedStake.StillUnbonding.selector, until));
        vm.warp(until);
        withdraw(1);
        equal(person(1).operator.balance, 5 ether, "paid");
        equal(bonded.totalHeld(), 0, "nothing left");
    }

    function test_unbonding_again_starts_the_wait_anew() public {
        deposit(person(1).operator, 5 ether);
        unbond(1, 1 ether);
        vm.warp(clock() + 10 days);
        unbond(1, 1 ether);
        vm.warp(clock() + 5 days);
        refuseWithdraw(1, abi.encodeWithSelector(IBondedStake.StillUnbonding.selector, clock() + 9 days));
    }

    function test_stake_of_the_current_committee_stays_however_long_it_takes() public {
        join(0, 4, 32 ether);
        begin();
        unbond(0, 32 ether);
        vm.warp(clock() + 1000 days);
        refuseWithdraw(0, abi.encodeWithSelector(IBondedStake.StillInCommittee.selector, 0, 0));
    }

    function test_stake_of_an_ended_committee_leaves_one_second_past_the_evidence_age() public {
        join(0, 5, 32 ether);
        begin();
        unbond(0, 32 ether);
        bytes32 next = manager.snapshot(1);
        vm.warp(clock() + 30 days);
        endEpoch(next, 15);
        uint64 until = uint64(clock() + 7 days);
        vm.warp(until);
        refuseWithdraw(0, abi.encodeWithSelector(IBondedStake.StillInCommittee.selector, 0, until));
        vm.warp(until + 1);
        withdraw(0);
        equal(person(0).operator.balance, 32 ether, "paid");
    }

    function test_stake_in_a_snapshot_that_may_still_be_chosen_stays() public {
        join(0, 4, 32 ether);
        begin();
        join(4, 5, 32 ether);
        manager.snapshot(1);
        unbond(4, 32 ether);
        vm.warp(clock() + 30 days);
        refuseWithdraw(4, abi.encodeWithSelector(IBondedStake.StillInCommittee.selector, 1, 0));
        // The members chose otherwise.
        endEpoch();
        withdraw(4);
    }

    function test_a_committee_that_goes_on_without_a_snapshot_keeps_its_stake() public {
        join(0, 4, 32 ether);
        begin();
        unbond(0, 32 ether);
        for (uint256 i = 0; i < 3; i++) {
            endEpoch();
        }
        vm.warp(clock() + 30 days);
        refuseWithdraw(0, abi.encodeWithSelector(IBondedStake.StillInCommittee.selector, 3, 0));
    }

    function test_a_frozen_chain_frees_the_stake_after_the_evidence_age() public {
        join(0, 4, 32 ether);
        begin();
        // Member 3 signs nothing.
        unbond(3, 32 ether);
        Block memory a = make(5);
        Block memory b = make(5);
        b.lanes = bytes32("other");
        bytes memory signaturesA = attest(a, 7);
        bytes memory signaturesB = attest(b, 7);
        vm.warp(clock() + 30 days);
        anchor.freeze(encode(a), 7, signaturesA, encode(b), 7, signaturesB);
        vm.warp(clock() + 7 days);
        refuseWithdraw(3, abi.encodeWithSelector(IBondedStake.StillInCommittee.selector, 0, clock()));
        vm.warp(clock() + 1);
        withdraw(3);
    }

    function test_an_open_case_keeps_the_stake() public {
        join(0, 5, 32 ether);
        begin();
        unbond(0, 32 ether);
        bytes memory evidence = doubleVote(0, 0, bytes32("a"), bytes32("b"));
        bytes32 next = manager.snapshot(1);
        endEpoch(next, 15);
        // On the last second that evidence is taken.
        vm.warp(clock() + 7 days);
        court.report(person(0).key, evidence);
        vm.warp(clock() + 30 days);
        refuseWithdraw(0, abi.encodeWithSelector(IBondedStake.CaseOpen.selector, person(0).operator));
        court.execute(0);
        withdraw(0);
        equal(person(0).operator.balance, 16 ether, "the other half");
    }

    function test_before_the_chain_begins_stake_leaves_after_unbonding() public {
        join(0, 4, 32 ether);
        manager.snapshot(0);
        unbond(0, 32 ether);
        vm.warp(clock() + 14 days);
        withdraw(0);
    }

    function test_only_the_court_slashes() public {
        refused(abi.encodeWithSelector(OnlyBy.selector, address(court), address(this)));
        bonded.slash(person(1).operator, 1e18, 0, REPORTER);
    }

    function test_a_slash_takes_its_share_of_bonded_and_unbonding() public {
        deposit(person(1).operator, 10 ether);
        unbond(1, 4 ether);
        vm.prank(address(court));
        (uint256 taken, uint256 reward) = bonded.slash(person(1).operator, 0.5e18, 0, REPORTER);
        equal(taken, 5 ether, "taken");
        equal(reward, 0.5 ether, "reward");
        (uint256 left, uint256 leaving,) = bonded.balanceOf(person(1).operator);
        equal(left, 3 ether, "bonded");
        equal(leaving, 2 ether, "unbonding");
        equal(REPORTER.balance, 0.5 ether, "reporter");
        equal(address(0xdead).balance, 4.5 ether, "burned");
        equal(bonded.totalHeld(), 5 ether, "held");
    }

    function test_a_reporter_that_refuses_its_reward_is_owed_it() public {
        join(0, 4, 32 ether);
        begin();
        Refuser refuser = new Refuser();
        refuser.report(address(court), person(0).key, doubleVote(0, 0, bytes32("a"), bytes32("b")));
        vm.warp(clock() + 1 days + 1);
        court.execute(0);
        equal(bonded.owed(address(refuser)), 1.6 ether, "owed");
        equal(address(bonded).balance, bonded.totalHeld() + 1.6 ether, "held");
        refuser.collect(bonded);
        equal(address(refuser).balance, 1.6 ether, "paid");
        equal(bonded.owed(address(refuser)), 0, "no more");
    }

    function test_a_reporter_that_burns_gas_stops_no_slash() public {
        join(0, 4, 32 ether);
        begin();
        GasBurner burner = new GasBurner();
        burner.report(address(court), person(0).key, doubleVote(0, 0, bytes32("a"), bytes32("b")));
        vm.warp(clock() + 1 days + 1);
        court.execute{gas: 2_000_000}(0);
        equal(bonded.owed(address(burner)), 1.6 ether, "owed");
        equal(bonded.stakeOf(person(0).operator), 16 ether, "slashed");
    }

    function test_withdrawing_again_while_being_paid_gets_nothing() public {
        Reenterer one = new Reenterer(bonded);
        deposit(address(one), 5 ether);
        deposit(person(1).operator, 5 ether);
        one.unbond(5 ether);
        vm.warp(clock() + 14 days);
        one.withdraw();
        equal(one.calls(), 1, "tried");
        equal(address(one).balance, 5 ether, "own stake only");
        equal(address(bonded).balance, 5 ether, "the other's is there");
    }

    function test_parameters_that_let_stake_escape_are_refused() public {
        Parameters memory p = parameters();
        Addresses memory to;
        to.bonded = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        p.unbonding = p.evidenceAge;
        refused(abi.encodeWithSelector(BadParameter.selector, "unbonding"));
        new BondedStake(p, to);
        p = parameters();
        p.rewardShare = 1e18;
        to.bonded = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        refused(abi.encodeWithSelector(BadParameter.selector, "rewardShare"));
        new BondedStake(p, to);
    }

    function test_a_contract_at_another_address_than_predicted_is_not_made() public {
        Addresses memory to;
        to.bonded = address(0xbad);
        address actual = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        refused(abi.encodeWithSelector(WrongAddress.selector, address(0xbad), actual));
        new BondedStake(parameters(), to);
    }

    function testFuzz_a_slash_moves_exactly_what_it_says(uint96 amount, uint96 part, uint64 share) public {
        vm.assume(amount > 0);
        uint256 leaving = part % (uint256(amount) + 1);
        uint256 of1e18 = share % (1e18 + 1);
        deposit(person(1).operator, amount);
        if (leaving > 0) unbond(1, leaving);
        vm.prank(address(court));
        (uint256 taken, uint256 reward) = bonded.slash(person(1).operator, of1e18, 0, REPORTER);
        check(taken <= uint256(amount) * of1e18 / 1e18, "not more than the share");
        check(taken + 2 >= uint256(amount) * of1e18 / 1e18, "nor less, but for rounding");
        equal(bonded.slashable(person(1).operator), amount - taken, "rest");
        equal(REPORTER.balance, reward, "reward");
        equal(address(0xdead).balance, taken - reward, "burned");
        equal(address(bonded).balance, bonded.totalHeld(), "held");
    }
}
