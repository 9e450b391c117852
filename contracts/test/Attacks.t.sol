// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IBondedStake} from "../src/interfaces/IBondedStake.sol";
import {IFinalityAnchor} from "../src/interfaces/IFinalityAnchor.sol";
import {IRestakingAdapter} from "../src/interfaces/IRestakingAdapter.sol";
import {ISlashingCourt} from "../src/interfaces/ISlashingCourt.sol";
import {Addresses} from "../src/interfaces/System.sol";
import {Attestation} from "../src/lib/Attestation.sol";
import {World} from "./World.sol";

/// An adapter that works, fails, or burns all gas it gets.
contract AdapterStandIn is IRestakingAdapter {
    uint256 public mode;
    uint256 public slashes;

    function set(uint256 mode_) external {
        mode = mode_;
    }

    function stakeOf(address) external pure returns (uint256) {
        return 10 ether;
    }

    function slashable(address) external pure returns (uint256) {
        return 10 ether;
    }

    function slash(address, uint256, uint64, address) external returns (uint256, uint256) {
        require(mode != 1);
        while (mode == 2) {}
        slashes++;
        return (5 ether, 0);
    }

    function slashableFor() external pure returns (uint64) {
        return 30 days;
    }
}

/// Reports, and calls `execute` again when it is paid.
contract CallsBack {
    ISlashingCourt private immutable court;
    uint256 public calls;

    constructor(ISlashingCourt court_) {
        court = court_;
    }

    function report(bytes32 key, bytes calldata evidence) external returns (uint256) {
        return court.report(key, evidence);
    }

    receive() external payable {
        calls++;
        (bool ok,) = address(court).call(abi.encodeCall(ISlashingCourt.execute, (0)));
        require(!ok);
    }
}

/// What somebody would try who wants to keep its stake, take another's, or stop everybody.
contract AttacksTest is World {
    AdapterStandIn private other;

    function setUp() public {
        vm.warp(1_800_000_000);
        vm.roll(1000);
        other = new AdapterStandIn();
        Addresses memory to = predicted();
        address[] memory adapters = new address[](2);
        (adapters[0], adapters[1]) = (to.bonded, address(other));
        deploy(parameters(), to, adapters);
        join(0, 4, 32 ether);
        begin();
    }

    function ready() private {
        accuse(0);
        vm.warp(clock() + 1 days + 1);
    }

    function state() private view returns (uint8 found) {
        (,,,,, found) = court.cases(0);
    }

    // ---- execution

    function test_an_adapter_that_fails_stops_no_other_and_can_be_tried_again() public {
        ready();
        vm.prank(person(0).operator);
        bonded.unbond(32 ether);
        other.set(1);
        vm.expectEmit(address(court));
        emit ISlashingCourt.AdapterFailed(0, address(other));
        court.execute(0);
        equal(state(), 1, "open");
        equal(bonded.slashable(person(0).operator), 16 ether, "slashed");
        refused(abi.encodeWithSelector(ISlashingCourt.NothingDone.selector, 0));
        court.execute(0);
        check(court.openCaseOf(person(0).operator), "held");
        other.set(0);
        court.execute(0);
        equal(state(), 3, "executed");
        equal(other.slashes(), 1, "once");
        equal(bonded.slashable(person(0).operator), 16 ether, "once");
    }

    function test_an_adapter_that_burns_its_gas_stops_no_other() public {
        ready();
        other.set(2);
        court.execute{gas: 5_000_000}(0);
        equal(bonded.slashable(person(0).operator), 16 ether, "slashed");
        equal(state(), 1, "open");
    }

    function test_an_adapter_that_fails_for_ever_holds_nobody_for_ever() public {
        ready();
        other.set(1);
        court.execute(0);
        vm.warp(clock() + 7 days - 1);
        refused(abi.encodeWithSelector(ISlashingCourt.NothingDone.selector, 0));
        court.execute(0);
        vm.warp(clock() + 1);
        court.execute(0);
        equal(state(), 3, "over");
        check(!court.openCaseOf(person(0).operator), "free");
    }

    /// Too little gas must not look like an adapter that fails, least of all when that would close the case.
    function test_nobody_closes_a_case_by_giving_too_little_gas() public {
        ready();
        vm.warp(clock() + 30 days);
        for (uint256 gas_ = 100_000; gas_ < 1_600_000; gas_ += 100_000) {
            (bool ok,) = address(court).call{gas: gas_}(abi.encodeCall(ISlashingCourt.execute, (0)));
            check(!ok, "refused");
        }
        // Enough for the first adapter and not for the second: all or nothing.
        refused(abi.encodeWithSelector(ISlashingCourt.TooLittleGas.selector, 1_500_000));
        court.execute{gas: 1_690_000}(0);
        equal(bonded.slashable(person(0).operator), 32 ether, "nothing happened");
        court.execute{gas: 3_500_000}(0);
        equal(bonded.slashable(person(0).operator), 16 ether, "slashed");
        equal(other.slashes(), 1, "slashed");
    }

    /// With two open cases, one that ended twice would set the operator free.
    function test_a_reporter_that_calls_back_in_ends_no_case_twice() public {
        CallsBack one = new CallsBack(court);
        one.report(person(0).key, doubleVote(0, 0, bytes32("a"), bytes32("b")));
        endEpoch();
        one.report(person(0).key, doubleVote(0, 1, bytes32("a"), bytes32("b")));
        vm.warp(clock() + 1 days + 1);
        court.execute(0);
        equal(one.calls(), 1, "tried");
        check(court.openCaseOf(person(0).operator), "the second case");
        court.execute(1);
        check(!court.openCaseOf(person(0).operator), "over");
        equal(bonded.slashable(person(0).operator), 8 ether, "twice a half");
    }

    // ---- a frozen chain

    function freeze() private {
        Block memory a = make(5);
        Block memory b = make(5);
        b.lanes = bytes32("other");
        bytes memory signaturesA = attest(a, 7);
        bytes memory signaturesB = attest(b, 7);
        anchor.freeze(encode(a), 7, signaturesA, encode(b), 7, signaturesB);
    }

    /// No epoch begins any more: a snapshot for the next one must not hold stake for ever.
    function test_a_snapshot_holds_no_stake_on_a_frozen_chain() public {
        join(4, 5, 32 ether);
        manager.snapshot(1);
        vm.prank(person(4).operator);
        bonded.unbond(32 ether);
        vm.prank(person(3).operator);
        bonded.unbond(32 ether);
        vm.warp(clock() + 14 days);
        vm.prank(person(4).operator);
        refused(abi.encodeWithSelector(IBondedStake.StillInCommittee.selector, 1, 0));
        bonded.withdraw();
        freeze();
        vm.prank(person(4).operator);
        bonded.withdraw();
        equal(person(4).operator.balance, 32 ether, "was never in a committee");
        uint64 until = uint64(clock() + 7 days);
        vm.prank(person(3).operator);
        refused(abi.encodeWithSelector(IBondedStake.StillInCommittee.selector, 0, until));
        bonded.withdraw();
        vm.warp(until + 1);
        vm.prank(person(3).operator);
        bonded.withdraw();
        equal(person(3).operator.balance, 32 ether, "when evidence is too old");
    }

    function test_nobody_takes_a_snapshot_of_a_frozen_chain() public {
        freeze();
        refused(abi.encodeWithSelector(IFinalityAnchor.Frozen.selector));
        manager.snapshot(1);
    }

    // ---- forced inbox

    /// The last block of an epoch is certified without an overdue entry: nothing else can follow, so it waits, not for ever.
    function test_an_entry_that_a_whole_epoch_left_out_stops_settlement_for_the_evidence_age() public {
        inbox.enqueue(1, "x");
        uint64 deadline = uint64(clock()) + 1 hours;
        vm.warp(deadline + 1 hours);
        Block memory b = make(10);
        b.next = manager.successorOf(anchor.committeeId());
        refuse(b, 7, abi.encodeWithSelector(IFinalityAnchor.Overdue.selector, 0));
        vm.warp(deadline + 7 days);
        refuse(b, 7, abi.encodeWithSelector(IFinalityAnchor.Overdue.selector, 0));
        vm.warp(deadline + 7 days + 1);
        Block memory before = make(9);
        refuse(before, 7, abi.encodeWithSelector(IFinalityAnchor.Overdue.selector, 0));
        settle(b);
        refuse(make(11), 7, abi.encodeWithSelector(IFinalityAnchor.Overdue.selector, 0));
    }

    // ---- attesters

    /// Whoever registers the successor first must not keep a stolen attester key in office.
    function test_a_rotated_attester_serves_in_the_next_epoch_whatever_was_registered_before() public {
        bytes32 next = manager.successor(anchor.committeeId());
        Person memory one = person(0);
        bytes memory proof = attesterProof(one.operator, 77);
        vm.prank(one.operator);
        registry.rotateAttester(vm.addr(77), proof);
        equal(manager.snapshot(1), next, "the same keys and stakes");
        endEpoch(next, 7);
        Block memory b = make(11);
        bytes32 digest = anchor.checkpointDigest(idOf(b));
        bytes memory others =
            abi.encodePacked(attestation(digest, person(1).secret), attestation(digest, person(2).secret));
        refuse(b, 7, abi.encodeWithSelector(Attestation.BadAttestation.selector, 0));
        anchor.settle(encode(b), 7, abi.encodePacked(attestation(digest, 77), others));
        // Its stake is held for the new epoch.
        (bool ever, uint64 epoch) = manager.lastEpochOf(one.operator);
        check(ever && epoch == 1, "serves");
    }

    // ---- the list

    /// Whoever fills the list with the least stake keeps nobody out.
    function test_dust_keeps_nobody_out_of_the_committee() public {
        for (uint256 i = 4; i < 256; i++) {
            join(i, i + 1, 4 ether);
        }
        equal(manager.candidates().length, 256, "full");
        join(256, 257, 5 ether);
        equal(manager.candidates().length, 256, "full");
        manager.enlistInstead(person(256).operator, person(9).operator);
        bytes32 id = manager.snapshot(1);
        (, uint16 members,,,,,) = manager.committee(id);
        equal(members, 256, "members");
        (,,, address[] memory operators) = manager.members(id);
        equal(operators[255], person(256).operator, "in");
    }

    /// However many there are and whatever they do, a snapshot fits into a transaction (EIP-7825: 2^24 gas).
    function test_the_largest_snapshot_fits_into_a_transaction() public {
        for (uint256 i = 4; i < 256; i++) {
            join(i, i + 1, 4 ether);
        }
        manager.snapshot{gas: 16_500_000}(1);
    }
}
