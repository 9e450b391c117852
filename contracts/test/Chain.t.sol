// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Addresses, Parameters} from "../src/interfaces/System.sol";
import {Header} from "../src/lib/Header.sol";
import {World} from "./World.sol";

/// The library of headers behind calls.
contract Headers {
    function numbers(bytes calldata header, uint64 chain)
        external
        pure
        returns (uint64 epoch, uint64 view_, uint64 height, uint64 timestamp, uint64 inbox)
    {
        Header.check(header, chain);
        return (
            Header.epoch(header),
            Header.viewOf(header),
            Header.height(header),
            Header.timestamp(header),
            Header.inbox(header)
        );
    }

    function words(bytes calldata header)
        external
        pure
        returns (bytes32 id, bytes32 parent, bytes32 payload, bytes32 next)
    {
        return (Header.id(header), Header.parent(header), Header.payload(header), Header.next(header));
    }
}

/// What the node says committees and headers are (vectors of client/tests/contracts).
contract ChainTest is World {
    string private json;
    string private place;

    function number(string memory name) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(place, name));
    }

    function word(string memory name) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(place, name));
    }

    function text(string memory name) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat(place, name));
    }

    function test_committees_have_the_ids_and_thresholds_of_the_node() public {
        json = vm.readFile("test/vectors/committees.json");
        uint256[5] memory sizes = [uint256(1), 4, 127, 128, 200];
        for (uint256 i = 0; i < sizes.length; i++) {
            place = string.concat(".cases[", vm.toString(i), "].");
            sameCommittee(sizes[i]);
        }
    }

    function sameCommittee(uint256 n) private {
        bytes memory keys = text("keys");
        bytes memory stakes = text("stakes");
        equal(keys.length, 32 * n, "members");
        vm.warp(1_800_000_000);
        Parameters memory p = parameters();
        equal(number("chain"), CHAIN, "chain");
        p.epochBlocks = uint64(number("epoch_blocks"));
        p.firstEpoch = uint64(number("epoch"));
        address[] memory adapters = new address[](1);
        Addresses memory to = predicted();
        adapters[0] = to.bonded;
        deploy(p, to, adapters);
        for (uint256 i = 0; i < n; i++) {
            Person memory one = person(i);
            one.seed = sha256(abi.encodePacked("committee", uint64(i)));
            one.key = vm.publicKeyEd25519(one.seed);
            bytes32 key;
            uint64 stake;
            assembly ("memory-safe") {
                key := mload(add(add(keys, 32), mul(i, 32)))
                stake := shr(192, mload(add(add(stakes, 32), mul(i, 8))))
            }
            equal(one.key, key, "key");
            deposit(one.operator, uint256(stake) * 1 ether);
            register(one);
        }
        bytes32 id = manager.snapshot(p.firstEpoch);
        equal(id, word("id"), "id");
        (uint64 epoch, uint16 members, uint64 total, uint64 quorum, uint64 fast,,) = manager.committee(id);
        equal(epoch, p.firstEpoch, "epoch");
        equal(members, n, "members");
        equal(total, number("total"), "total");
        equal(quorum, number("quorum"), "quorum");
        equal(fast, number("fast"), "fast");
        anchor.begin(text("genesis"));
        equal(anchor.committeeId(), id, "begun");
    }

    function test_headers_are_read_as_the_node_writes_them() public {
        Headers headers = new Headers();
        json = vm.readFile("test/vectors/headers.json");
        for (uint256 i = 0; i < 16; i++) {
            place = string.concat(".cases[", vm.toString(i), "].");
            bytes memory header = text("header");
            (uint64 epoch, uint64 view_, uint64 height, uint64 timestamp, uint64 inbox_) =
                headers.numbers(header, uint64(number("chain")));
            equal(epoch, number("epoch"), "epoch");
            equal(view_, number("view"), "view");
            equal(height, number("height"), "height");
            equal(timestamp, number("timestamp"), "timestamp");
            equal(inbox_, number("inbox"), "inbox");
            (bytes32 id, bytes32 parent, bytes32 payload, bytes32 next) = headers.words(header);
            equal(id, word("id"), "id");
            equal(parent, word("parent"), "parent");
            equal(payload, word("payload"), "payload");
            equal(next, word("next"), "next");
        }
        check(!vm.keyExistsJson(json, ".cases[16]"), "more cases than are read");
    }
}
