// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ICommitteeManager} from "../src/interfaces/ICommitteeManager.sol";
import {IFinalityAnchor} from "../src/interfaces/IFinalityAnchor.sol";
import {OnlyBy} from "../src/interfaces/System.sol";
import {Attestation} from "../src/lib/Attestation.sol";
import {Header} from "../src/lib/Header.sol";
import {World} from "./World.sol";

contract FinalityAnchorTest is World {
    function setUp() public {
        start(4);
    }

    // ---- begin

    function refuseBegin(Block memory b, bytes memory data) private {
        vm.expectRevert(data);
        anchor.begin(encode(b));
    }

    function test_the_chain_begins_with_its_genesis_block() public view {
        check(anchor.begun(), "begun");
        (uint64 epoch, uint64 height, bytes32 id, uint64 consumed, uint64 time) = anchor.settled();
        equal(epoch, 0, "epoch");
        equal(height, 0, "height");
        equal(id, idOf(genesis(anchor.committeeId())), "id");
        equal(anchor.blockAt(0), id, "block 0");
        equal(consumed, 0, "inbox");
        equal(time, clock(), "time");
        equal(anchor.committeeOf(0), anchor.committeeId(), "committee");
    }

    function test_the_chain_begins_once() public {
        refuseBegin(genesis(anchor.committeeId()), abi.encodeWithSelector(IFinalityAnchor.AlreadyBegun.selector));
    }

    function test_only_the_deployer_begins() public {
        deploy();
        join(0, 4, 32 ether);
        Block memory b = genesis(manager.snapshot(0));
        vm.prank(address(0xbad));
        refuseBegin(b, abi.encodeWithSelector(OnlyBy.selector, address(this), address(0xbad)));
    }

    function test_only_a_genesis_header_begins() public {
        deploy();
        join(0, 4, 32 ether);
        Block memory b = genesis(manager.snapshot(0));
        b.view_ = 1;
        refuseBegin(b, abi.encodeWithSelector(IFinalityAnchor.NotGenesis.selector, idOf(b)));
        b = genesis(bytes32("x"));
        refuseBegin(b, abi.encodeWithSelector(ICommitteeManager.UnknownCommittee.selector, bytes32("x")));
        b.version = 3;
        refuseBegin(b, abi.encodeWithSelector(Header.HeaderVersion.selector, 3));
        b.version = 4;
        b.chain = 1;
        refuseBegin(b, abi.encodeWithSelector(Header.HeaderChain.selector, 1));
    }

    function test_a_stale_snapshot_does_not_begin() public {
        deploy();
        join(0, 4, 32 ether);
        bytes32 id = manager.snapshot(0);
        uint256 taken = clock();
        vm.warp(taken + 14 days);
        refuseBegin(genesis(id), abi.encodeWithSelector(IFinalityAnchor.StaleSnapshot.selector, taken));
        manager.snapshot(0);
        anchor.begin(encode(genesis(id)));
    }

    function test_nothing_settles_before_the_beginning() public {
        deploy();
        Block memory b = make(1);
        refuse(b, 7, abi.encodeWithSelector(IFinalityAnchor.NotBegun.selector));
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.NotBegun.selector));
        anchor.freeze(encode(b), 0, "", encode(b), 0, "");
    }

    // ---- settle

    function test_a_quorum_settles_a_block() public {
        Block memory b = make(3);
        settle(b);
        (, uint64 height, bytes32 id,, uint64 time) = anchor.settled();
        equal(height, 3, "height");
        equal(id, idOf(b), "id");
        equal(anchor.blockAt(3), id, "block");
        equal(time, clock(), "time");
    }

    function test_any_quorum_settles() public {
        settle(make(1), 14);
        settle(make(2), 13);
        settle(make(3), 15);
    }

    function test_less_than_a_quorum_settles_nothing() public {
        refuse(make(1), 3, abi.encodeWithSelector(IFinalityAnchor.TooLittle.selector, 64, 86));
        refuse(make(1), 0, abi.encodeWithSelector(IFinalityAnchor.TooLittle.selector, 0, 86));
    }

    function test_heights_rise() public {
        settle(make(3));
        refuse(make(3), 7, abi.encodeWithSelector(IFinalityAnchor.NotAbove.selector, 3, 3));
        refuse(make(2), 7, abi.encodeWithSelector(IFinalityAnchor.NotAbove.selector, 2, 3));
        settle(make(4));
    }

    function test_a_block_of_another_epoch_version_or_chain_is_refused() public {
        Block memory b = make(1);
        b.epoch = 1;
        refuse(b, 7, abi.encodeWithSelector(IFinalityAnchor.WrongEpoch.selector, 1, 0));
        b = make(1);
        b.version = 5;
        refuse(b, 7, abi.encodeWithSelector(Header.HeaderVersion.selector, 5));
        b = make(1);
        b.chain = CHAIN + 1;
        refuse(b, 7, abi.encodeWithSelector(Header.HeaderChain.selector, CHAIN + 1));
    }

    function test_a_header_of_another_length_is_refused() public {
        bytes memory header = bytes.concat(encode(make(1)), hex"00");
        vm.expectRevert(abi.encodeWithSelector(Header.HeaderLength.selector, 293));
        anchor.settle(header, 7, "");
        vm.expectRevert(abi.encodeWithSelector(Header.HeaderLength.selector, 0));
        anchor.settle("", 7, "");
    }

    function test_a_bit_without_a_member_is_refused() public {
        uint256 bitmap = 7 | (1 << 4);
        refuse(make(1), bitmap, abi.encodeWithSelector(Attestation.BitmapTooLong.selector, bitmap, 4));
        bitmap = 7 | (1 << 255);
        refuse(make(1), bitmap, abi.encodeWithSelector(Attestation.BitmapTooLong.selector, bitmap, 4));
    }

    function test_signatures_have_64_bytes_each() public {
        Block memory b = make(1);
        bytes memory signatures = attest(b, 7);
        bytes memory header = encode(b);
        vm.expectRevert(abi.encodeWithSelector(Attestation.SignatureLength.selector, 193, 192));
        anchor.settle(header, 7, bytes.concat(signatures, hex"00"));
        vm.expectRevert(abi.encodeWithSelector(Attestation.SignatureLength.selector, 192, 256));
        anchor.settle(header, 15, signatures);
        vm.expectRevert(abi.encodeWithSelector(Attestation.SignatureLength.selector, 0, 192));
        anchor.settle(header, 7, "");
    }

    function test_a_wrong_signature_is_refused_though_the_others_were_enough() public {
        Block memory b = make(1);
        bytes memory signatures = bytes.concat(attest(b, 7), attest(b, 7));
        assembly ("memory-safe") { mstore(signatures, 256) }
        bytes memory header = encode(b);
        // Member 3 "signs" with the signature of member 0.
        vm.expectRevert(abi.encodeWithSelector(Attestation.BadAttestation.selector, 3));
        anchor.settle(header, 15, signatures);
    }

    function test_signatures_out_of_order_are_refused() public {
        Block memory b = make(1);
        bytes memory signatures = bytes.concat(attest(b, 2), attest(b, 1), attest(b, 4));
        bytes memory header = encode(b);
        vm.expectRevert(abi.encodeWithSelector(Attestation.BadAttestation.selector, 0));
        anchor.settle(header, 7, signatures);
    }

    function test_the_other_s_of_a_signature_is_refused() public {
        Block memory b = make(1);
        bytes memory signatures = attest(b, 7);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        uint256 ys;
        assembly ("memory-safe") { ys := mload(add(signatures, 64)) }
        // s' = order - s with the other parity recovers the same address. It fits in 255 bits only as a high s.
        uint256 other = (order - (ys & (type(uint256).max >> 1)));
        uint256 word = other | (((ys >> 255) ^ 1) << 255);
        assembly ("memory-safe") { mstore(add(signatures, 64), word) }
        bytes memory header = encode(b);
        vm.expectRevert(abi.encodeWithSelector(Attestation.BadAttestation.selector, 0));
        anchor.settle(header, 7, signatures);
    }

    function test_a_signature_for_another_anchor_or_l1_is_refused() public {
        Block memory b = make(1);
        bytes memory signatures = attest(b, 7);
        bytes memory header = encode(b);
        vm.chainId(5);
        vm.expectRevert(abi.encodeWithSelector(Attestation.BadAttestation.selector, 0));
        anchor.settle(header, 7, signatures);
        vm.chainId(31337);
        anchor.settle(header, 7, signatures);
        start(4);
        vm.expectRevert(abi.encodeWithSelector(Attestation.BadAttestation.selector, 0));
        anchor.settle(header, 7, signatures);
    }

    function testFuzz_no_altered_byte_settles(uint16 where, uint8 change) public {
        vm.assume(change != 0);
        Block memory b = make(1);
        bytes memory signatures = attest(b, 7);
        bytes memory header = encode(b);
        uint256 i = where % (header.length + signatures.length);
        if (i < header.length) header[i] ^= bytes1(change);
        else signatures[i - header.length] ^= bytes1(change);
        (bool ok,) = address(anchor).call(abi.encodeCall(IFinalityAnchor.settle, (header, 7, signatures)));
        check(!ok, "settled");
    }

    // ---- epochs

    function test_the_last_block_of_an_epoch_hands_over_to_the_next_committee() public {
        join(4, 5, 32 ether);
        bytes32 next = manager.snapshot(1);
        vm.warp(clock() + 5);
        endEpoch(next, 7);
        equal(anchor.epoch(), 1, "epoch");
        equal(anchor.committeeId(), next, "committee");
        equal(anchor.endedAt(0), clock(), "ended");
        equal(anchor.endedAt(1), 0, "not ended");
        // Quorum is now of five.
        Block memory b = make(11);
        refuse(b, 7, abi.encodeWithSelector(IFinalityAnchor.TooLittle.selector, 96, 107));
        settle(b, 30);
    }

    function test_the_successor_need_not_be_registered() public {
        bytes32 next = manager.successorOf(anchor.committeeId());
        endEpoch();
        equal(anchor.committeeId(), next, "committee");
        settle(make(11));
        manager.successor(next);
        endEpoch();
        equal(anchor.epoch(), 2, "epoch");
    }

    function test_a_committee_that_nobody_took_is_refused() public {
        Block memory b = make(10);
        b.next = bytes32("x");
        refuse(b, 7, abi.encodeWithSelector(ICommitteeManager.UnknownCommittee.selector, bytes32("x")));
    }

    function test_a_committee_of_another_epoch_is_refused() public {
        Block memory b = make(10);
        b.next = anchor.committeeId();
        refuse(b, 7, abi.encodeWithSelector(ICommitteeManager.WrongEpoch.selector, 0, 1));
    }

    function test_only_the_last_block_names_a_committee() public {
        bytes32 next = manager.successorOf(anchor.committeeId());
        Block memory b = make(9);
        b.next = next;
        refuse(b, 7, abi.encodeWithSelector(IFinalityAnchor.EpochEnd.selector, 9, 10, next));
        b = make(10);
        refuse(b, 7, abi.encodeWithSelector(IFinalityAnchor.EpochEnd.selector, 10, 10, 0));
    }

    function test_a_filler_is_refused() public {
        refuse(make(11), 7, abi.encodeWithSelector(IFinalityAnchor.PastEpoch.selector, 11, 10));
    }

    // ---- the inbox

    function test_an_overdue_entry_stops_what_skips_it() public {
        inbox.enqueue(1, "x");
        vm.warp(clock() + 1 hours);
        settle(make(1));
        vm.warp(clock() + 1);
        refuse(make(2), 7, abi.encodeWithSelector(IFinalityAnchor.Overdue.selector, 0));
        Block memory b = make(2);
        b.inbox = 1;
        settle(b);
        (,,, uint64 consumed,) = anchor.settled();
        equal(consumed, 1, "consumed");
    }

    function test_a_block_consumes_no_less_than_before_and_no_more_than_there_is() public {
        inbox.enqueue(1, "x");
        inbox.enqueue(1, "y");
        Block memory b = make(1);
        b.inbox = 3;
        refuse(b, 7, abi.encodeWithSelector(IFinalityAnchor.WrongInbox.selector, 3, 0, 2));
        b.inbox = 2;
        settle(b);
        b = make(2);
        b.inbox = 1;
        refuse(b, 7, abi.encodeWithSelector(IFinalityAnchor.WrongInbox.selector, 1, 2, 2));
    }

    function test_an_entry_that_became_overdue_later_does_not_stop_the_last_block_of_an_epoch() public {
        Block memory b = make(10);
        b.next = manager.successorOf(anchor.committeeId());
        inbox.enqueue(1, "x");
        uint64 deadline = uint64(clock()) + 1 hours;
        vm.warp(deadline + 1 days);
        b.timestampUs = deadline * 1_000_000 + 1;
        refuse(b, 7, abi.encodeWithSelector(IFinalityAnchor.Overdue.selector, 0));
        b.timestampUs = deadline * 1_000_000;
        settle(b);
        // The next epoch is bound.
        refuse(make(11), 7, abi.encodeWithSelector(IFinalityAnchor.Overdue.selector, 0));
        b = make(11);
        b.inbox = 1;
        settle(b);
    }

    // ---- native

    function chainOf(uint256 count) private view returns (Block[] memory blocks, bytes[] memory headers) {
        blocks = new Block[](count);
        headers = new bytes[](count);
        for (uint256 i = 0; i < count; i++) {
            blocks[i] = make(uint64(i + 1));
            if (i > 0) blocks[i].parent = sha256(headers[i - 1]);
            headers[i] = encode(blocks[i]);
        }
    }

    function test_commit_votes_of_a_quorum_settle() public {
        (Block[] memory blocks, bytes[] memory headers) = chainOf(1);
        anchor.settleNative(headers, 1, 7, vote(blocks[0], 1, 7));
        equal(anchor.blockAt(1), idOf(blocks[0]), "settled");
    }

    function test_votes_of_the_fast_quorum_settle() public {
        (Block[] memory blocks, bytes[] memory headers) = chainOf(1);
        bytes memory signatures = vote(blocks[0], 0, 7);
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.TooLittle.selector, 96, 128));
        anchor.settleNative(headers, 0, 7, signatures);
        anchor.settleNative(headers, 0, 15, vote(blocks[0], 0, 15));
        equal(anchor.blockAt(1), idOf(blocks[0]), "settled");
    }

    function test_a_descendant_proves_its_ancestor() public {
        (Block[] memory blocks, bytes[] memory headers) = chainOf(4);
        anchor.settleNative(headers, 1, 7, vote(blocks[3], 1, 7));
        equal(anchor.blockAt(1), idOf(blocks[0]), "the first is settled");
        equal(anchor.blockAt(4), 0, "the last is not");
    }

    function test_a_filler_proves_the_last_block_but_is_not_settled() public {
        Block memory b = make(10);
        b.next = manager.successorOf(anchor.committeeId());
        Block memory filler = make(11);
        filler.parent = idOf(b);
        bytes[] memory headers = new bytes[](1);
        headers[0] = encode(filler);
        bytes memory signatures = vote(filler, 1, 7);
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.PastEpoch.selector, 11, 10));
        anchor.settleNative(headers, 1, 7, signatures);
        headers = new bytes[](2);
        (headers[0], headers[1]) = (encode(b), encode(filler));
        anchor.settleNative(headers, 1, 7, signatures);
        equal(anchor.epoch(), 1, "next epoch");
    }

    function test_headers_that_are_no_chain_are_refused() public {
        (Block[] memory blocks, bytes[] memory headers) = chainOf(3);
        bytes memory signatures = vote(blocks[2], 1, 7);
        (headers[0], headers[1]) = (headers[1], headers[0]);
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.NotChild.selector, 1));
        anchor.settleNative(headers, 1, 7, signatures);
        blocks[1].epoch = 1;
        (headers[0], headers[1]) = (headers[1], encode(blocks[1]));
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.WrongEpoch.selector, 1, 0));
        anchor.settleNative(headers, 1, 7, signatures);
    }

    function test_1_to_32_headers_are_taken() public {
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.HeaderCount.selector, 0));
        anchor.settleNative(new bytes[](0), 1, 7, "");
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.HeaderCount.selector, 33));
        anchor.settleNative(new bytes[](33), 1, 7, "");
    }

    function test_votes_are_not_commit_votes() public {
        (Block[] memory blocks, bytes[] memory headers) = chainOf(1);
        bytes memory signatures = vote(blocks[0], 0, 7);
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.BadSignature.selector, 0));
        anchor.settleNative(headers, 1, 7, signatures);
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.UnknownKind.selector, 2));
        anchor.settleNative(headers, 2, 7, signatures);
    }

    function test_native_signatures_are_counted_exactly() public {
        (Block[] memory blocks, bytes[] memory headers) = chainOf(1);
        bytes memory signatures = vote(blocks[0], 1, 7);
        vm.expectRevert(abi.encodeWithSelector(Attestation.SignatureLength.selector, 192, 256));
        anchor.settleNative(headers, 1, 15, signatures);
        vm.expectRevert(abi.encodeWithSelector(Attestation.SignatureLength.selector, 193, 192));
        anchor.settleNative(headers, 1, 7, bytes.concat(signatures, hex"00"));
        vm.expectRevert(abi.encodeWithSelector(Attestation.BitmapTooLong.selector, 23, 4));
        anchor.settleNative(headers, 1, 23, signatures);
    }

    // ---- freeze

    function conflict() private view returns (Block memory a, Block memory b) {
        (a, b) = (make(5), make(5));
        b.lanes = bytes32("other");
    }

    function freeze(Block memory a, uint256 bitsA, Block memory b, uint256 bitsB) private {
        bytes memory signaturesA = attest(a, bitsA);
        bytes memory signaturesB = attest(b, bitsB);
        vm.prank(REPORTER);
        anchor.freeze(encode(a), bitsA, signaturesA, encode(b), bitsB, signaturesB);
    }

    function test_two_certified_checkpoints_freeze_the_chain_and_report_who_signed_both() public {
        (Block memory a, Block memory b) = conflict();
        freeze(a, 7, b, 14);
        check(anchor.frozen(), "frozen");
        equal(court.caseCount(), 2, "cases");
        (address operator, uint8 offence, uint64 epoch, address reporter,, uint8 state) = court.cases(0);
        equal(operator, person(1).operator, "1 signed both");
        equal(offence, 6, "offence");
        equal(epoch, 0, "epoch");
        equal(reporter, REPORTER, "reporter");
        equal(state, 1, "open");
        (operator,,,,,) = court.cases(1);
        equal(operator, person(2).operator, "2 signed both");
        (,,,, bool ejected,) = registry.operator(operator);
        check(ejected, "ejected");
    }

    function test_nothing_settles_on_a_frozen_chain() public {
        (Block memory a, Block memory b) = conflict();
        freeze(a, 7, b, 14);
        bytes memory frozen = abi.encodeWithSelector(IFinalityAnchor.Frozen.selector);
        refuse(make(6), 7, frozen);
        (Block[] memory blocks, bytes[] memory headers) = chainOf(1);
        bytes memory signatures = vote(blocks[0], 1, 7);
        vm.expectRevert(frozen);
        anchor.settleNative(headers, 1, 7, signatures);
        vm.expectRevert(frozen);
        anchor.freeze("", 0, "", "", 0, "");
    }

    function test_what_is_no_conflict_freezes_nothing() public {
        (Block memory a, Block memory b) = conflict();
        bytes memory none = abi.encodeWithSelector(IFinalityAnchor.NoConflict.selector, idOf(a), idOf(a));
        vm.expectRevert(none);
        anchor.freeze(encode(a), 7, "", encode(a), 7, "");
        b.height = 6;
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.NoConflict.selector, idOf(a), idOf(b)));
        anchor.freeze(encode(a), 7, "", encode(b), 7, "");
        b.height = 5;
        b.epoch = 1;
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.NoConflict.selector, idOf(a), idOf(b)));
        anchor.freeze(encode(a), 7, "", encode(b), 7, "");
        a.epoch = 1;
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.WrongEpoch.selector, 1, 0));
        anchor.freeze(encode(a), 7, "", encode(b), 7, "");
    }

    function test_both_sides_of_a_conflict_need_a_quorum() public {
        (Block memory a, Block memory b) = conflict();
        bytes memory signaturesA = attest(a, 7);
        bytes memory signaturesB = attest(b, 6);
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.TooLittle.selector, 64, 86));
        anchor.freeze(encode(a), 7, signaturesA, encode(b), 6, signaturesB);
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.TooLittle.selector, 64, 86));
        anchor.freeze(encode(b), 6, signaturesB, encode(a), 7, signaturesA);
    }

    function test_an_earlier_committee_freezes_while_its_stake_is_in_reach_and_not_later() public {
        (Block memory a, Block memory b) = conflict();
        endEpoch();
        bytes memory signaturesA = attest(a, 7);
        bytes memory signaturesB = attest(b, 7);
        uint64 ended = anchor.endedAt(0);
        vm.warp(ended + 7 days + 1);
        vm.expectRevert(abi.encodeWithSelector(IFinalityAnchor.TooOld.selector, ended));
        anchor.freeze(encode(a), 7, signaturesA, encode(b), 7, signaturesB);
        vm.warp(ended + 7 days);
        anchor.freeze(encode(a), 7, signaturesA, encode(b), 7, signaturesB);
        check(anchor.frozen(), "frozen");
        equal(anchor.endedAt(0), ended, "epoch 0 ended when it did");
        equal(anchor.endedAt(1), clock(), "epoch 1 ends now");
    }

    function test_who_has_a_case_already_does_not_stop_a_freeze() public {
        (Block memory a, Block memory b) = conflict();
        accuse(1);
        freeze(a, 7, b, 14);
        check(anchor.frozen(), "frozen");
        equal(court.caseCount(), 2, "only 2 was new");
    }
}
