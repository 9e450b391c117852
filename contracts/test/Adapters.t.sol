// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {EigenLayerAdapter} from "../src/adapters/EigenLayerAdapter.sol";
import {SymbioticAdapter} from "../src/adapters/SymbioticAdapter.sol";
import {CommitteeManager} from "../src/CommitteeManager.sol";
import {IAllocationManager, OperatorSet} from "../src/interfaces/IEigenLayer.sol";
import {ISlashingCourt} from "../src/interfaces/ISlashingCourt.sol";
import {ISymbioticVault} from "../src/interfaces/ISymbiotic.sol";
import {Addresses, BadParameter, OnlyBy, Parameters} from "../src/interfaces/System.sol";
import {EigenLayerStandIn} from "./standins/EigenLayerStandIn.sol";
import {SymbioticStandIn} from "./standins/SymbioticStandIn.sol";
import {World} from "./World.sol";

/// Restaked stake against stand-ins: what counts, for how long, and what a slash takes.
abstract contract AdapterWorld is World {
    /// 1 ether bonded, so that every adapter takes part in a slash.
    uint256 internal constant BONDED = 1 ether;

    /// The six contracts, after `ahead` others of this account, with the adapter second to the bonded stake.
    function deployWith(Addresses memory to, address adapter) internal {
        address[] memory adapters = new address[](2);
        (adapters[0], adapters[1]) = (to.bonded, adapter);
        deploy(parameters(), to, adapters);
    }

    function joinRestaked(uint256 n) internal {
        for (uint256 i = 0; i < n; i++) {
            deposit(person(i).operator, BONDED);
            register(person(i));
            restake(person(i).operator, 40 ether);
            manager.enlist(person(i).operator);
        }
    }

    function restake(address operator, uint256 amount) internal virtual;

    /// A case against person 0, with the veto window over.
    function caseReady() internal returns (uint256 id) {
        id = accuse(0);
        pass(1 days + 1);
    }

    function pass(uint256 time) internal {
        vm.warp(clock() + time);
        vm.roll(vm.getBlockNumber() + time / 12);
    }
}

contract EigenLayerAdapterTest is AdapterWorld {
    address private constant STRATEGY = address(0x57a7);
    EigenLayerStandIn private eigen;
    EigenLayerAdapter private adapter;
    OperatorSet private set;

    function setUp() public {
        vm.warp(1_800_000_000);
        vm.roll(1000);
        eigen = new EigenLayerStandIn();
        Addresses memory to = predicted(1);
        adapter = make(parameters(), to);
        set = OperatorSet(address(adapter), 0);
        deployWith(to, address(adapter));
        joinRestaked(4);
        begin();
    }

    function make(Parameters memory p, Addresses memory to) private returns (EigenLayerAdapter) {
        return new EigenLayerAdapter(p, to, IAllocationManager(address(eigen)), STRATEGY, 12, "");
    }

    /// Half of what is delegated is allocated to the set.
    function restake(address operator, uint256 amount) internal override {
        eigen.deposit(operator, STRATEGY, amount * 2);
        vm.startPrank(operator);
        eigen.modifyAllocations(set, STRATEGY, 0.5e18);
        eigen.registerForOperatorSets(operator, address(adapter), ids());
        vm.stopPrank();
    }

    function ids() private pure returns (uint32[] memory list) {
        list = new uint32[](1);
    }

    function one() private pure returns (address) {
        return person(0).operator;
    }

    function allocate(uint256 magnitude) private {
        vm.prank(one());
        eigen.modifyAllocations(set, STRATEGY, magnitude);
    }

    function test_what_is_allocated_to_the_set_counts_and_no_more() public view {
        equal(adapter.stakeOf(one()), 40 ether, "half of 80");
        equal(adapter.slashable(one()), 40 ether, "slashable");
        equal(manager.stakeOf(one()), 41 ether, "with what is bonded");
        (,, uint64 total,,,,) = manager.committee(anchor.committeeId());
        equal(total, 4 * 41, "the committee's");
        equal(adapter.slashableFor(), 14 days, "window");
    }

    function test_an_adapter_whose_window_is_too_short_is_refused() public {
        Parameters memory p = parameters();
        p.evidenceAge = 13 days;
        Addresses memory to = predicted(1);
        refused(abi.encodeWithSelector(BadParameter.selector, "slashableFor"));
        make(p, to);
        p.vetoWindow = 1 days - 1;
        make(p, to);
        // The committee's contract looks again.
        p.vetoWindow = 1 days;
        address[] memory adapters = new address[](1);
        adapters[0] = address(adapter);
        to.manager = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        refused(abi.encodeWithSelector(BadParameter.selector, "slashableFor"));
        new CommitteeManager(p, to, adapters);
    }

    function test_who_is_not_registered_with_outrider_is_not_let_in() public {
        refused(abi.encodeWithSelector(EigenLayerAdapter.NotOurs.selector, address(this)));
        eigen.registerForOperatorSets(address(this), address(adapter), ids());
        refused(abi.encodeWithSelector(OnlyBy.selector, address(eigen), address(this)));
        adapter.registerOperator(one(), address(adapter), ids(), "");
    }

    function test_a_new_allocation_counts_when_it_is_in_effect() public {
        vm.prank(one());
        eigen.setAllocationDelay(100);
        allocate(1e18);
        equal(adapter.stakeOf(one()), 40 ether, "pending");
        vm.roll(vm.getBlockNumber() + 100);
        equal(adapter.stakeOf(one()), 80 ether, "in effect");
    }

    function test_an_allocation_counts_no_more_when_it_would_end_before_a_slash() public {
        allocate(0.25e18);
        equal(adapter.slashable(one()), 40 ether, "slashable to its end");
        equal(adapter.stakeOf(one()), 40 ether, "there for longer than evidence and veto take");
        // 14 days less the 8 that evidence and veto take.
        pass(6 days);
        equal(adapter.stakeOf(one()), 20 ether, "only what stays");
        equal(adapter.slashable(one()), 40 ether, "still slashable");
        pass(8 days + 12);
        equal(adapter.slashable(one()), 20 ether, "gone");
    }

    function test_who_leaves_the_set_counts_no_more_and_stays_slashable_for_14_days() public {
        vm.prank(one());
        eigen.deregisterFromOperatorSets(one(), address(adapter), ids());
        equal(adapter.stakeOf(one()), 0, "counts no more");
        pass(14 days);
        equal(adapter.slashable(one()), 40 ether, "slashable");
        pass(12);
        equal(adapter.slashable(one()), 0, "gone");
    }

    function test_a_slash_takes_its_share_of_the_magnitude() public {
        uint256 id = caseReady();
        court.execute(id);
        equal(adapter.slashable(one()), 20 ether, "half of the 40");
        equal(eigen.operatorShares(one(), STRATEGY), 60 ether, "of all shares as much");
        equal(bonded.slashable(one()), 0.5 ether, "and of what is bonded");
        equal(REPORTER.balance, 0.05 ether, "rewarded from what is bonded only");
        equal(adapter.slashable(person(1).operator), 40 ether, "nobody else");
    }

    /// EigenLayer slashes what is in its queue, and so does this.
    function test_a_withdrawal_that_is_queued_does_not_escape() public {
        eigen.queueWithdrawal(one(), STRATEGY, 80 ether);
        vm.prank(one());
        eigen.deregisterFromOperatorSets(one(), address(adapter), ids());
        pass(5 days);
        uint256 id = caseReady();
        eigen.deposit(one(), STRATEGY, 4 ether);
        court.execute(id);
        pass(9 days);
        equal(eigen.completeWithdrawal(one(), STRATEGY, 0), 60 ether, "a quarter is gone");
    }

    function test_a_slash_reaches_whoever_left_to_the_last_day() public {
        bytes memory evidence = doubleVote(0, 0, bytes32("a"), bytes32("b"));
        vm.prank(one());
        eigen.deregisterFromOperatorSets(one(), address(adapter), ids());
        manager.delist(one());
        endEpoch(manager.snapshot(1), 7);
        pass(7 days);
        court.report(person(0).key, evidence);
        pass(1 days + 1);
        court.execute(0);
        equal(adapter.slashable(one()), 20 ether, "slashed");
    }

    function test_stake_that_is_gone_does_not_stop_the_slash_of_the_rest() public {
        vm.prank(one());
        eigen.deregisterFromOperatorSets(one(), address(adapter), ids());
        pass(15 days);
        uint256 id = caseReady();
        court.execute(id);
        equal(bonded.slashable(one()), 0.5 ether, "what is bonded");
        equal(adapter.slashable(one()), 0, "nothing there");
    }

    function test_only_the_court_slashes() public {
        refused(abi.encodeWithSelector(OnlyBy.selector, address(court), address(this)));
        adapter.slash(one(), 1, 0, address(this));
    }
}

abstract contract SymbioticWorld is AdapterWorld {
    address internal constant NETWORK = address(0x5e7);
    address internal constant RESOLVER = address(0x7e5);
    SymbioticStandIn internal vault;
    SymbioticAdapter internal adapter;

    function setUpWith(uint48 vetoDuration, uint64 kind) internal {
        vm.warp(1_800_000_000);
        vm.roll(1000);
        vault = new SymbioticStandIn(14 days, vetoDuration, kind);
        Addresses memory to = predicted(1);
        adapter = make(parameters(), to, vault);
        vault.setUp(address(adapter), kind == 1 ? RESOLVER : address(0));
        deployWith(to, address(adapter));
        joinRestaked(4);
        begin();
        pass(12);
    }

    function make(Parameters memory p, Addresses memory to, SymbioticStandIn one) internal returns (SymbioticAdapter) {
        return new SymbioticAdapter(p, to, ISymbioticVault(address(one)), NETWORK, 3);
    }

    function restake(address operator, uint256 amount) internal override {
        vault.deposit(amount);
        vault.setOperatorLimit(operator, amount);
    }

    function captured(uint256 i) internal view returns (uint256) {
        return adapter.slashable(person(i).operator);
    }
}

contract SymbioticAdapterTest is SymbioticWorld {
    function setUp() public {
        setUpWith(0, 0);
    }

    function test_stake_in_the_vault_counts() public view {
        equal(adapter.stakeOf(person(0).operator), 40 ether, "stake");
        equal(manager.stakeOf(person(0).operator), 41 ether, "with what is bonded");
        equal(adapter.slashableFor(), 14 days, "window");
        equal(uint256(adapter.subnetwork()), (uint256(uint160(NETWORK)) << 96) + 3, "subnetwork");
    }

    function test_a_vault_that_cannot_wait_for_evidence_and_veto_is_refused() public {
        Parameters memory p = parameters();
        Addresses memory to = predicted(1);
        SymbioticStandIn short_ = new SymbioticStandIn(8 days, 0, 0);
        refused(abi.encodeWithSelector(BadParameter.selector, "slashableFor"));
        make(p, to, short_);
        make(p, to, new SymbioticStandIn(8 days + 1, 0, 0));
        // With resolvers the vault's own veto counts, and a day to finish.
        short_ = new SymbioticStandIn(11 days, 2 days, 1);
        refused(abi.encodeWithSelector(BadParameter.selector, "slashableFor"));
        make(p, to, short_);
        make(p, to, new SymbioticStandIn(11 days + 1, 2 days, 1));
        short_ = new SymbioticStandIn(20 days, 0, 2);
        refused(abi.encodeWithSelector(BadParameter.selector, "vault"));
        make(p, to, short_);
    }

    function test_a_slash_takes_its_share_of_what_was_captured() public {
        uint256 id = caseReady();
        court.execute(id);
        equal(vault.withdrawals(0), 0, "nothing was leaving");
        equal(captured(1), 40 ether, "nobody else");
        pass(1);
        equal(adapter.stakeOf(person(0).operator), 40 ether, "the vault's curator still stands for it");
        equal(vault.stakeAt(0, person(0).operator, uint48(clock())), 40 ether, "with less behind it");
        equal(bonded.slashable(person(0).operator), 0.5 ether, "and of what is bonded");
        equal(REPORTER.balance, 0.05 ether, "rewarded from what is bonded only");
    }

    /// What stood for an operator at the snapshot is slashed, though it does no longer.
    function test_a_capture_reaches_what_left_since() public {
        vault.setOperatorLimit(person(0).operator, 0);
        vault.withdraw(160 ether);
        uint256 id = caseReady();
        equal(adapter.stakeOf(person(0).operator), 0, "counts no more");
        court.execute(id);
        equal(vault.withdrawals(1), 140 ether, "half of its 40, from what is leaving");
    }

    function test_two_operators_of_one_committee_are_slashed_one_after_the_other() public {
        accuse(0);
        accuse(1);
        pass(1 days + 1);
        vault.withdraw(160 ether);
        court.execute(1);
        pass(1 days);
        court.execute(0);
        equal(vault.withdrawals(1), 120 ether, "20 each");
    }

    /// A committee that was taken longer ago than the vault remembers.
    function test_an_old_committee_is_slashed_by_the_oldest_capture() public {
        pass(30 days);
        uint256 id = caseReady();
        vault.withdraw(160 ether);
        court.execute(id);
        equal(vault.withdrawals(vault.currentEpoch() + 1), 140 ether, "slashed");
    }

    function test_only_the_court_slashes() public {
        refused(abi.encodeWithSelector(OnlyBy.selector, address(court), address(this)));
        adapter.slash(person(0).operator, 1, 0, address(this));
    }
}

contract SymbioticVetoAdapterTest is SymbioticWorld {
    function setUp() public {
        setUpWith(2 days, 1);
    }

    function leaving() private view returns (uint256) {
        return vault.withdrawals(vault.currentEpoch() + 1);
    }

    function test_a_slash_is_asked_for_and_taken_after_the_vaults_veto_time() public {
        uint256 id = caseReady();
        vault.withdraw(160 ether);
        court.execute(id);
        equal(leaving(), 160 ether, "nothing yet");
        equal(adapter.waiting(), 1, "asked for");
        pass(2 days - 1);
        refused(abi.encodeWithSelector(SymbioticAdapter.NotYet.selector, 0));
        adapter.finish();
        pass(1);
        vm.prank(address(0xabc));
        equal(adapter.finish(), 20 ether, "taken");
        equal(leaving(), 140 ether, "from what is leaving");
        refused(abi.encodeWithSelector(SymbioticAdapter.NothingToFinish.selector));
        adapter.finish();
    }

    function test_what_the_vaults_resolver_vetoes_is_lost_and_holds_up_nobody() public {
        accuse(0);
        accuse(1);
        pass(1 days + 1);
        vault.withdraw(160 ether);
        court.execute(0);
        court.execute(1);
        vm.prank(RESOLVER);
        vault.vetoSlash(0, "");
        equal(adapter.finish(), 0, "lost");
        pass(2 days);
        equal(adapter.finish(), 20 ether, "the other");
        equal(leaving(), 140 ether, "20 in all");
    }

    /// A later slash that were executed first would make the vault refuse the earlier one.
    function test_slashes_are_finished_in_order() public {
        accuse(0);
        pass(1 days + 1);
        court.execute(0);
        endEpoch();
        accuse(1);
        pass(1 days + 1);
        court.execute(1);
        equal(adapter.waiting(), 2, "two");
        vault.withdraw(160 ether);
        pass(2 days);
        equal(adapter.finish(), 20 ether, "the first");
        equal(adapter.finish(), 20 ether, "the second");
    }

    function test_a_slash_that_nobody_finished_in_time_is_lost() public {
        uint256 id = caseReady();
        court.execute(id);
        pass(14 days);
        equal(adapter.finish(), 0, "too late");
        equal(adapter.waiting(), 0, "gone");
    }

    function test_to_the_last_second_of_evidence_there_is_a_day_to_finish() public {
        bytes memory evidence = doubleVote(0, 0, bytes32("a"), bytes32("b"));
        vault.setOperatorLimit(person(0).operator, 0);
        endEpoch();
        pass(7 days);
        court.report(person(0).key, evidence);
        pass(1 days + 1);
        court.execute(0);
        pass(3 days);
        vault.withdraw(100 ether);
        equal(adapter.finish(), 20 ether, "taken");
    }
}
