// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IForcedInbox} from "../src/interfaces/IForcedInbox.sol";
import {World} from "./World.sol";

contract ForcedInboxTest is World {
    function setUp() public {
        deploy();
    }

    function test_an_entry_is_kept_as_its_hash_and_time() public {
        equal(inbox.enqueue(3, "data"), 0, "index");
        (uint64 enqueuedAt, bytes32 hash) = inbox.entry(0);
        equal(enqueuedAt, clock(), "time");
        equal(hash, sha256(abi.encodePacked(uint64(3), "data")), "hash");
        equal(inbox.length(), 1, "length");
    }

    function test_what_is_no_entry_is_refused() public {
        refused(abi.encodeWithSelector(IForcedInbox.NoRollup.selector));
        inbox.enqueue(0, "x");
        refused(abi.encodeWithSelector(IForcedInbox.DataLength.selector, 0));
        inbox.enqueue(1, "");
        refused(abi.encodeWithSelector(IForcedInbox.DataLength.selector, 131_073));
        inbox.enqueue(1, new bytes(131_073));
        inbox.enqueue(1, new bytes(131_072));
        refused(abi.encodeWithSelector(IForcedInbox.NoEntry.selector, 1, 1));
        inbox.entry(1);
    }

    function test_an_l1_block_takes_64_entries() public {
        for (uint256 i = 0; i < 64; i++) {
            inbox.enqueue(1, "x");
        }
        refused(abi.encodeWithSelector(IForcedInbox.BlockFull.selector, 64, 64));
        inbox.enqueue(1, "x");
        vm.roll(block.number + 1);
        inbox.enqueue(1, "x");
        equal(inbox.length(), 65, "length");
    }

    function test_an_l1_block_takes_512_kib() public {
        for (uint256 i = 0; i < 4; i++) {
            inbox.enqueue(1, new bytes(131_072));
        }
        refused(abi.encodeWithSelector(IForcedInbox.BlockFull.selector, 4, 524_288));
        inbox.enqueue(1, "x");
        vm.roll(block.number + 1);
        inbox.enqueue(1, "x");
    }

    function test_an_entry_is_overdue_one_second_past_its_deadline() public {
        check(!inbox.overdue(0), "nothing there");
        inbox.enqueue(1, "x");
        uint256 deadline = clock() + 1 hours;
        vm.warp(deadline);
        check(!inbox.overdue(0), "at the deadline");
        vm.warp(deadline + 1);
        check(inbox.overdue(0), "past it");
        check(!inbox.overdue(1), "consumed");
        (uint64 length, uint64 due) = inbox.due(0);
        equal(length, 1, "length");
        equal(due, deadline, "deadline");
    }

    function testFuzz_entries_keep_their_order_and_deadlines(uint8[16] calldata gaps) public {
        uint64 last;
        for (uint256 i = 0; i < gaps.length; i++) {
            vm.warp(clock() + gaps[i]);
            vm.roll(block.number + 1);
            uint64 index = inbox.enqueue(1, abi.encodePacked(gaps[i]));
            equal(index, i, "index");
            (, uint64 deadline) = inbox.due(index);
            check(deadline >= last, "order");
            last = deadline;
        }
    }
}
