// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {World} from "./World.sol";

/// Gas of whole transactions by the number of members, equal stakes. Each call runs as a transaction of its own
/// (`isolate`): cold storage, 21,000, the bytes of the calldata, refunds, and the floor of EIP-7623 are in.
contract GasTest is World {
    string private constant GROUP = "Transactions";
    uint256 private n;

    function note(string memory name) private {
        vm.snapshotGasLastCall(GROUP, string.concat(name, ", n = ", pad(n)));
    }

    function note(string memory name, uint256 count) private {
        note(string.concat(name, ", ", vm.toString(count), " signatures"));
    }

    /// So that names sort as numbers do.
    function pad(uint256 number) private pure returns (string memory text) {
        text = vm.toString(number);
        while (bytes(text).length < 3) text = string.concat("0", text);
    }

    function measure(uint256 members) private {
        n = members;
        start(n);
        uint256 quorum = (n + (n - 1) / 3) / 2 + 1;
        uint256 fast = n - (n - 3 * ((n - 1) / 3) - 1) / 2;

        // The first settlement fills empty slots.
        settle(make(1), first(quorum));
        Block memory b = make(2);
        settle(b, first(quorum));
        note("settle", quorum);

        bytes[] memory headers = new bytes[](1);
        b = make(3);
        headers[0] = encode(b);
        bytes memory signatures = vote(b, 1, first(quorum));
        anchor.settleNative(headers, 1, first(quorum), signatures);
        note("settleNative by commit votes", quorum);
        b = make(4);
        headers[0] = encode(b);
        signatures = vote(b, 0, first(fast));
        anchor.settleNative(headers, 0, first(fast), signatures);
        note("settleNative by votes", fast);

        deposit(person(0).operator, 1 ether);
        bytes32 next = manager.snapshot(1);
        note("snapshot of other stakes");
        manager.snapshot(1);
        note("snapshot of the same stakes");

        bytes memory evidence = doubleVote(1, 0, bytes32("a"), bytes32("b"));
        court.report(person(1).key, evidence);
        note("report of two votes");

        b = make(10);
        b.next = next;
        settle(b, first(quorum));
        note("settle of the last block of an epoch", quorum);
    }

    /// forge-config: default.isolate = true
    function test_gas_004() public {
        measure(4);
    }

    /// forge-config: default.isolate = true
    function test_gas_016() public {
        measure(16);
    }

    /// forge-config: default.isolate = true
    function test_gas_064() public {
        measure(64);
    }

    /// forge-config: default.isolate = true
    function test_gas_100() public {
        measure(100);
    }

    /// forge-config: default.isolate = true
    function test_gas_of_the_inbox() public {
        start(4);
        inbox.enqueue(1, new bytes(1));
        uint256[3] memory lengths = [uint256(100), 1000, 100_000];
        for (uint256 i = 0; i < lengths.length; i++) {
            bytes memory data = new bytes(lengths[i]);
            for (uint256 j = 0; j < data.length; j++) {
                data[j] = 0xff;
            }
            inbox.enqueue(1, data);
            vm.snapshotGasLastCall(GROUP, string.concat("enqueue of ", vm.toString(lengths[i]), " bytes"));
        }
    }

    /// forge-config: default.isolate = true
    function test_gas_of_operators() public {
        start(4);
        Person memory one = person(9);
        bytes memory proof = memberProof(one.operator, one.seed);
        bytes memory second = attesterProof(one.operator, one.secret);
        vm.prank(one.operator);
        registry.register(one.key, proof, one.attester, second, new bytes(200));
        vm.snapshotGasLastCall(GROUP, "register");
        deposit(one.operator, 32 ether);
        vm.snapshotGasLastCall(GROUP, "deposit");
        accuse(0);
        vm.warp(clock() + 1 days + 1);
        court.execute(0);
        vm.snapshotGasLastCall(GROUP, "execute");
    }
}
