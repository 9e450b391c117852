// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ISlashingCourt} from "../src/interfaces/ISlashingCourt.sol";
import {OnlyBy} from "../src/interfaces/System.sol";
import {Header} from "../src/lib/Header.sol";
import {Offences} from "../src/lib/Offences.sol";
import {Statements} from "../src/lib/Statements.sol";
import {World} from "./World.sol";

contract SlashingCourtTest is World {
    function setUp() public {
        start(4);
    }

    function evidence(uint256 i, uint64 epoch) private pure returns (bytes memory) {
        return doubleVote(i, epoch, bytes32("a"), bytes32("b"));
    }

    function refuseReport(uint256 i, bytes memory what, bytes memory data) private {
        vm.expectRevert(data);
        court.report(person(i).key, what);
    }

    // ---- reports

    function test_a_true_report_opens_a_case_and_ejects() public {
        equal(accuse(2), 0, "case");
        (address operator, uint8 offence, uint64 epoch, address reporter, uint64 reportedAt, uint8 state) =
            court.cases(0);
        equal(operator, person(2).operator, "operator");
        equal(offence, 2, "offence");
        equal(epoch, 0, "epoch");
        equal(reporter, REPORTER, "reporter");
        equal(reportedAt, clock(), "time");
        equal(state, 1, "open");
        check(court.openCaseOf(operator), "open");
        (,,,, bool ejected,) = registry.operator(operator);
        check(ejected, "ejected");
        equal(bonded.stakeOf(operator), 32 ether, "not slashed yet");
    }

    /// E1, E3, E4 and E5; E2 is above. What each of them is exactly, `Offences.t.sol` tests with the node's vectors.
    function test_every_offence_is_taken() public {
        bytes32 seed = person(0).seed;
        (bytes32 a, bytes32 b) = (bytes32("a"), bytes32("b"));
        bytes memory one = abi.encodePacked(
            uint64(0), uint64(5), uint8(0), a, uint16(0), signEd(Statements.propose(CHAIN, 0, 5, 0, a), seed)
        );
        bytes memory two = abi.encodePacked(
            uint64(0), uint64(5), uint8(0), b, uint16(0), signEd(Statements.propose(CHAIN, 0, 5, 0, b), seed)
        );
        court.report(person(0).key, abi.encodePacked(uint8(1), one, two));

        seed = person(1).seed;
        one = abi.encodePacked(uint64(0), uint64(5), a, uint16(1), signEd(Statements.commitVote(CHAIN, 0, 5, a), seed));
        two = abi.encodePacked(uint64(0), uint64(5), b, uint16(1), signEd(Statements.commitVote(CHAIN, 0, 5, b), seed));
        court.report(person(1).key, abi.encodePacked(uint8(3), one, two));

        seed = person(2).seed;
        one = signedVote(2, 0, a);
        two = abi.encodePacked(
            uint64(0),
            uint64(5),
            uint64(4),
            uint8(0),
            uint16(2),
            signEd(Statements.timeout(CHAIN, 0, 5, 4, false, bytes32(0)), seed)
        );
        court.report(person(2).key, abi.encodePacked(uint8(4), one, two));

        seed = person(3).seed;
        one = abi.encodePacked(uint64(0), uint64(5), a, uint16(3), signEd(Statements.commitVote(CHAIN, 0, 5, a), seed));
        two = abi.encodePacked(
            uint64(0),
            uint64(6),
            uint64(4),
            uint8(1),
            b,
            uint16(3),
            signEd(Statements.timeout(CHAIN, 0, 6, 4, true, b), seed)
        );
        court.report(person(3).key, abi.encodePacked(uint8(5), one, two));
        for (uint256 i = 0; i < 4; i++) {
            (address operator, uint8 offence,,,,) = court.cases(i);
            equal(operator, person(i).operator, "operator");
            equal(offence, [1, 3, 4, 5][i], "offence");
        }
    }

    function signEd(bytes memory statement, bytes32 seed) private pure returns (bytes memory) {
        return vm.signEd25519("", statement, seed);
    }

    function test_an_unknown_key_is_refused() public {
        refuseReport(9, evidence(9, 0), abi.encodeWithSelector(ISlashingCourt.NoOperator.selector, person(9).key));
    }

    function test_another_members_key_is_refused() public {
        refuseReport(1, evidence(2, 0), abi.encodeWithSelector(ISlashingCourt.BadSignature.selector, 0));
    }

    function test_either_signature_must_hold() public {
        bytes memory what = abi.encodePacked(
            uint8(2), signedVote(2, 0, bytes32("a")), uint64(0), uint64(5), bytes32("b"), uint16(2), new bytes(64)
        );
        refuseReport(2, what, abi.encodeWithSelector(ISlashingCourt.BadSignature.selector, 1));
    }

    function test_legal_pairs_are_refused() public {
        bytes memory what = doubleVote(2, 0, bytes32("a"), bytes32("a"));
        refuseReport(2, what, abi.encodeWithSelector(Offences.Legal.selector, 2));
    }

    function test_a_statement_of_another_chain_is_refused() public {
        bytes32 seed = person(2).seed;
        bytes memory one = abi.encodePacked(
            uint64(0), uint64(5), bytes32("a"), uint16(2), signEd(Statements.vote(CHAIN + 1, 0, 5, bytes32("a")), seed)
        );
        bytes memory what = abi.encodePacked(uint8(2), one, signedVote(2, 0, bytes32("b")));
        refuseReport(2, what, abi.encodeWithSelector(ISlashingCourt.BadSignature.selector, 0));
    }

    function test_an_epoch_that_has_not_begun_is_refused() public {
        refuseReport(2, evidence(2, 1), abi.encodeWithSelector(ISlashingCourt.EpochNotBegun.selector, 1));
    }

    function test_nothing_is_reported_before_the_chain_begins() public {
        deploy();
        join(0, 4, 32 ether);
        refuseReport(2, evidence(2, 0), abi.encodeWithSelector(ISlashingCourt.EpochNotBegun.selector, 0));
    }

    function test_who_was_no_member_in_the_epoch_is_refused() public {
        join(4, 5, 32 ether);
        bytes memory none = abi.encodeWithSelector(ISlashingCourt.NotAMember.selector, person(4).operator, 0);
        refuseReport(4, evidence(4, 0), none);
        bytes32 next = manager.snapshot(1);
        endEpoch(next, 7);
        refuseReport(4, evidence(4, 0), none);
        court.report(person(4).key, evidence(4, 1));
    }

    function test_a_key_that_was_rotated_away_is_still_good_for_evidence_about_its_epochs() public {
        bytes memory proof = memberProof(person(2).operator, person(9).seed);
        vm.prank(person(2).operator);
        registry.rotate(person(9).key, proof);
        bytes32 next = manager.snapshot(1);
        endEpoch(next, 7);
        // Whoever has the old key now can say nothing about the new epoch with it.
        refuseReport(
            2, evidence(2, 1), abi.encodeWithSelector(ISlashingCourt.NotAMember.selector, person(2).operator, 1)
        );
        uint256 caseId = court.report(person(2).key, evidence(2, 0));
        (address operator,,,,,) = court.cases(caseId);
        equal(operator, person(2).operator, "found");
    }

    function test_evidence_is_taken_to_the_last_second_of_its_age() public {
        endEpoch();
        uint64 ended = anchor.endedAt(0);
        vm.warp(ended + 7 days + 1);
        refuseReport(2, evidence(2, 0), abi.encodeWithSelector(ISlashingCourt.TooOld.selector, ended));
        vm.warp(ended + 7 days);
        court.report(person(2).key, evidence(2, 0));
    }

    function test_evidence_about_an_epoch_that_goes_on_does_not_age() public {
        vm.warp(clock() + 1000 days);
        court.report(person(2).key, evidence(2, 0));
    }

    function test_an_operator_has_one_case_in_an_epoch() public {
        accuse(2);
        bytes memory again = abi.encodeWithSelector(ISlashingCourt.AlreadyReported.selector, 0);
        refuseReport(2, evidence(2, 0), again);
        refuseReport(2, doubleVote(2, 0, bytes32("b"), bytes32("a")), again);
        refuseReport(2, doubleVote(2, 0, bytes32("c"), bytes32("d")), again);
        vm.warp(clock() + 1 days + 1);
        court.execute(0);
        refuseReport(2, evidence(2, 0), again);
    }

    function test_another_epoch_is_another_case() public {
        accuse(2);
        endEpoch();
        equal(accuse(2), 1, "second case");
    }

    // ---- vetoes

    function veto(uint256 caseId) private {
        vm.prank(VETOER);
        court.veto(caseId);
    }

    function test_a_veto_stops_the_slash_but_not_the_ejection() public {
        accuse(2);
        vm.warp(clock() + 1 days);
        veto(0);
        check(!court.openCaseOf(person(2).operator), "closed");
        (,,,, bool ejected,) = registry.operator(person(2).operator);
        check(ejected, "ejected");
        vm.warp(clock() + 30 days);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.NotOpen.selector, 0, 2));
        court.execute(0);
    }

    function test_only_the_vetoer_vetoes_and_only_in_the_window() public {
        accuse(2);
        vm.expectRevert(abi.encodeWithSelector(OnlyBy.selector, VETOER, address(this)));
        court.veto(0);
        uint64 until = uint64(clock() + 1 days);
        vm.warp(until + 1);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.VetoClosed.selector, until));
        veto(0);
        court.execute(0);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.NotOpen.selector, 0, 3));
        veto(0);
    }

    function test_vetoed_statements_are_never_a_case_again_in_whatever_form() public {
        accuse(2);
        veto(0);
        for (uint256 i = 0; i < 2; i++) {
            bytes memory what = i == 0 ? evidence(2, 0) : doubleVote(2, 0, bytes32("b"), bytes32("a"));
            vm.expectPartialRevert(ISlashingCourt.AlreadyVetoed.selector);
            court.report(person(2).key, what);
        }
        // Another offence is.
        court.report(person(2).key, doubleVote(2, 0, bytes32("a"), bytes32("c")));
    }

    // ---- execution

    function test_after_the_window_anyone_executes() public {
        accuse(2);
        uint64 until = uint64(clock() + 1 days);
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.VetoOpen.selector, until));
        court.execute(0);
        vm.warp(until + 1);
        vm.prank(address(0xabc));
        court.execute(0);
        equal(bonded.stakeOf(person(2).operator), 16 ether, "half");
        equal(REPORTER.balance, 1.6 ether, "reward");
        equal(address(0xdead).balance, 14.4 ether, "burned");
        (,,,,, uint8 state) = court.cases(0);
        equal(state, 3, "executed");
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.NotOpen.selector, 0, 3));
        court.execute(0);
    }

    function test_an_operator_that_left_is_slashed_all_the_same() public {
        vm.startPrank(person(2).operator);
        registry.exit();
        bonded.unbond(32 ether);
        vm.stopPrank();
        accuse(2);
        vm.warp(clock() + 1 days + 1);
        court.execute(0);
        equal(bonded.slashable(person(2).operator), 16 ether, "half of what is leaving");
    }

    function test_cases_that_are_none_are_refused() public {
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.NoCase.selector, 0));
        court.cases(0);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.NoCase.selector, 0));
        court.execute(0);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.NoCase.selector, 0));
        veto(0);
    }

    // ---- checkpoints

    function checkpoints() private view returns (bytes memory a, bytes memory b) {
        Block memory one = make(5);
        a = encode(one);
        one.lanes = bytes32("other");
        b = encode(one);
    }

    function sign(uint256 i, bytes memory header) private view returns (bytes memory) {
        return attestation(anchor.checkpointDigest(sha256(header)), person(i).secret);
    }

    function test_two_checkpoints_of_one_height_are_an_offence() public {
        (bytes memory a, bytes memory b) = checkpoints();
        bytes memory one = sign(1, a);
        bytes memory two = sign(1, b);
        vm.prank(REPORTER);
        uint256 caseId = court.reportCheckpoints(a, one, b, two);
        (address operator, uint8 offence,, address reporter,,) = court.cases(caseId);
        equal(operator, person(1).operator, "operator");
        equal(offence, 6, "offence");
        equal(reporter, REPORTER, "reporter");
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.AlreadyReported.selector, 0));
        court.reportCheckpoints(b, two, a, one);
    }

    function test_checkpoints_that_do_not_conflict_are_no_offence() public {
        (bytes memory a,) = checkpoints();
        bytes memory other = encode(make(6));
        bytes memory one = sign(1, a);
        bytes memory two = sign(1, other);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.NotAnOffence.selector));
        court.reportCheckpoints(a, one, a, one);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.NotAnOffence.selector));
        court.reportCheckpoints(a, one, other, two);
        vm.expectRevert(abi.encodeWithSelector(Header.HeaderLength.selector, 0));
        court.reportCheckpoints(a, one, "", two);
    }

    function test_checkpoints_of_two_attesters_are_no_offence() public {
        (bytes memory a, bytes memory b) = checkpoints();
        bytes memory one = sign(1, a);
        bytes memory two = sign(2, b);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.BadSignature.selector, 1));
        court.reportCheckpoints(a, one, b, two);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.BadSignature.selector, 0));
        court.reportCheckpoints(a, new bytes(64), b, two);
    }

    function test_an_attester_of_nobody_or_of_no_member_is_refused() public {
        (bytes memory a, bytes memory b) = checkpoints();
        bytes memory one = sign(9, a);
        bytes memory two = sign(9, b);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.NoAttester.selector, person(9).attester));
        court.reportCheckpoints(a, one, b, two);
        join(9, 10, 32 ether);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.NotAMember.selector, person(9).operator, 0));
        court.reportCheckpoints(a, one, b, two);
    }

    function test_old_checkpoints_are_too_old() public {
        (bytes memory a, bytes memory b) = checkpoints();
        bytes memory one = sign(1, a);
        bytes memory two = sign(1, b);
        endEpoch();
        uint64 ended = anchor.endedAt(0);
        vm.warp(ended + 7 days + 1);
        vm.expectRevert(abi.encodeWithSelector(ISlashingCourt.TooOld.selector, ended));
        court.reportCheckpoints(a, one, b, two);
        vm.warp(ended + 7 days);
        court.reportCheckpoints(a, one, b, two);
    }

    function test_only_the_anchor_reports_without_signatures() public {
        address[] memory operators = new address[](1);
        operators[0] = person(1).operator;
        vm.expectRevert(abi.encodeWithSelector(OnlyBy.selector, address(anchor), address(this)));
        court.reportConflict(operators, 0, bytes32("a"), bytes32("b"), address(this));
    }
}
