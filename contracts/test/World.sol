// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {BondedStake} from "../src/BondedStake.sol";
import {CommitteeManager} from "../src/CommitteeManager.sol";
import {FinalityAnchor} from "../src/FinalityAnchor.sol";
import {ForcedInbox} from "../src/ForcedInbox.sol";
import {OperatorRegistry} from "../src/OperatorRegistry.sol";
import {SlashingCourt} from "../src/SlashingCourt.sol";
import {Addresses, Parameters} from "../src/interfaces/System.sol";
import {Statements} from "../src/lib/Statements.sol";
import {Test} from "./Vm.sol";

/// The six contracts, operators with keys, headers and signatures. This contract is the deployer.
abstract contract World is Test {
    /// Fields of a header that tests set; the rest is zero, or what `encode` fills in.
    struct Block {
        uint16 version;
        uint64 chain;
        uint64 epoch;
        uint64 view_;
        uint64 height;
        bytes32 parent;
        bytes32 payload;
        uint64 timestampUs;
        bytes32 next;
        uint64 inbox;
        /// To make another block that is the same in all else.
        bytes32 lanes;
    }

    struct Person {
        address operator;
        bytes32 seed;
        bytes32 key;
        uint256 secret;
        address attester;
    }

    uint64 internal constant CHAIN = 77;
    address internal constant VETOER = address(0x7e70);
    address internal constant REPORTER = address(0x4e90);

    OperatorRegistry internal registry;
    BondedStake internal bonded;
    CommitteeManager internal manager;
    ForcedInbox internal inbox;
    FinalityAnchor internal anchor;
    SlashingCourt internal court;

    function parameters() internal pure virtual returns (Parameters memory) {
        return Parameters({
            chain: CHAIN,
            epochBlocks: 10,
            firstEpoch: 0,
            stakeUnit: 1 ether,
            stakeMin: 4 ether,
            membersMax: 256,
            unbonding: 14 days,
            evidenceAge: 7 days,
            vetoWindow: 1 days,
            vetoer: VETOER,
            inboxWindow: 1 hours,
            slashShare: 0.5e18,
            rewardShare: 0.1e18
        });
    }

    /// Where the contracts will be, if this contract deploys nothing else before them.
    function predicted() internal view returns (Addresses memory) {
        return predicted(0);
    }

    /// The same, if it deploys so many others first.
    function predicted(uint64 others) internal view returns (Addresses memory) {
        uint64 nonce = vm.getNonce(address(this)) + others;
        return Addresses({
            registry: vm.computeCreateAddress(address(this), nonce),
            bonded: vm.computeCreateAddress(address(this), nonce + 1),
            manager: vm.computeCreateAddress(address(this), nonce + 2),
            inbox: vm.computeCreateAddress(address(this), nonce + 3),
            anchor: vm.computeCreateAddress(address(this), nonce + 4),
            court: vm.computeCreateAddress(address(this), nonce + 5)
        });
    }

    function deploy(Parameters memory p, Addresses memory to, address[] memory adapters) internal {
        registry = new OperatorRegistry(p, to);
        bonded = new BondedStake(p, to);
        manager = new CommitteeManager(p, to, adapters);
        inbox = new ForcedInbox(p, to);
        anchor = new FinalityAnchor(p, to);
        court = new SlashingCourt(p, to);
    }

    function deploy() internal {
        vm.warp(1_800_000_000);
        vm.roll(1000);
        Addresses memory to = predicted();
        address[] memory adapters = new address[](1);
        adapters[0] = to.bonded;
        deploy(parameters(), to, adapters);
    }

    /// The time now. Not `block.timestamp`, which the optimizer takes for a constant of a test though it warps.
    function clock() internal view returns (uint64) {
        return uint64(vm.getBlockTimestamp());
    }

    // ---- people

    function person(uint256 i) internal pure returns (Person memory one) {
        one.operator = address(uint160(0x1000 + i));
        one.seed = keccak256(abi.encode("member", i));
        one.key = vm.publicKeyEd25519(one.seed);
        one.secret = uint256(keccak256(abi.encode("attester", i)));
        one.attester = vm.addr(one.secret);
    }

    function memberProof(address operator, bytes32 seed) internal view returns (bytes memory) {
        return vm.signEd25519("", registry.memberStatement(operator), seed);
    }

    function attesterProof(address operator, uint256 secret) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, registry.attesterDigest(operator));
        return abi.encodePacked(r, s, v);
    }

    function register(Person memory one) internal {
        bytes memory proof = memberProof(one.operator, one.seed);
        bytes memory second = attesterProof(one.operator, one.secret);
        vm.prank(one.operator);
        registry.register(one.key, proof, one.attester, second, "contact");
    }

    function deposit(address operator, uint256 amount) internal {
        vm.deal(address(this), address(this).balance + amount);
        bonded.deposit{value: amount}(operator);
    }

    /// Operators `from` to `to` register and bond.
    function join(uint256 from, uint256 to, uint256 amount) internal {
        for (uint256 i = from; i < to; i++) {
            deposit(person(i).operator, amount);
            register(person(i));
        }
    }

    /// `n` operators of equal stake, and the chain has begun.
    function start(uint256 n) internal {
        deploy();
        join(0, n, 32 ether);
        begin();
    }

    function begin() internal {
        bytes32 id = manager.snapshot(0);
        anchor.begin(encode(genesis(id)));
    }

    // ---- blocks

    function genesis(bytes32 committee) internal pure returns (Block memory one) {
        (one.version, one.chain, one.payload) = (4, CHAIN, committee);
    }

    /// A block of the current epoch.
    function make(uint64 height) internal view returns (Block memory one) {
        one.version = 4;
        one.chain = CHAIN;
        one.epoch = anchor.epoch();
        one.view_ = height;
        one.height = height;
        one.timestampUs = uint64(clock()) * 1_000_000;
        (,,, one.inbox,) = anchor.settled();
    }

    function encode(Block memory b) internal pure returns (bytes memory) {
        bytes memory front = abi.encodePacked(b.version, b.chain, b.epoch, b.view_, b.height, b.parent, uint64(0));
        bytes memory middle = abi.encodePacked(b.payload, b.timestampUs, uint16(0), b.next, b.lanes);
        return abi.encodePacked(front, middle, new bytes(64 + 8 + 32), b.inbox);
    }

    function idOf(Block memory b) internal pure returns (bytes32) {
        return sha256(encode(b));
    }

    /// The lowest `count` members.
    function first(uint256 count) internal pure returns (uint256) {
        return count == 256 ? type(uint256).max : (1 << count) - 1;
    }

    /// Checkpoint signatures of the persons in the bitmap (person i is member i).
    function attest(Block memory b, uint256 bitmap) internal view returns (bytes memory signatures) {
        bytes32 digest = anchor.checkpointDigest(idOf(b));
        for (uint256 i = 0; i < 256; i++) {
            if ((bitmap >> i) & 1 == 0) continue;
            signatures = abi.encodePacked(signatures, attestation(digest, person(i).secret));
        }
    }

    function attestation(bytes32 digest, uint256 secret) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 vs) = vm.signCompact(secret, digest);
        return abi.encodePacked(r, vs);
    }

    /// Votes (0) or commit votes (1) of the persons in the bitmap.
    function vote(Block memory b, uint8 kind, uint256 bitmap) internal pure returns (bytes memory signatures) {
        bytes memory statement = kind == 0
            ? Statements.vote(b.chain, b.epoch, b.view_, idOf(b))
            : Statements.commitVote(b.chain, b.epoch, b.view_, idOf(b));
        for (uint256 i = 0; i < 256; i++) {
            if ((bitmap >> i) & 1 == 0) continue;
            signatures = abi.encodePacked(signatures, vm.signEd25519("", statement, person(i).seed));
        }
    }

    /// Settle with the first three of four.
    function settle(Block memory b) internal {
        settle(b, 7);
    }

    function settle(Block memory b, uint256 bitmap) internal {
        bytes memory signatures = attest(b, bitmap);
        anchor.settle(encode(b), bitmap, signatures);
    }

    /// Settle the last block of the current epoch, which `next` follows.
    function endEpoch(bytes32 next, uint256 bitmap) internal {
        Block memory b = make((anchor.epoch() + 1) * 10);
        b.next = next;
        settle(b, bitmap);
    }

    /// The same members go on.
    function endEpoch() internal {
        endEpoch(manager.successorOf(anchor.committeeId()), 7);
    }

    // ---- evidence

    /// Evidence E2: two votes of a person in a view.
    function doubleVote(uint256 i, uint64 epoch, bytes32 a, bytes32 b) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(2), signedVote(i, epoch, a), signedVote(i, epoch, b));
    }

    function signVote(bytes32 seed, uint64 epoch, bytes32 block_) internal pure returns (bytes memory) {
        return vm.signEd25519("", Statements.vote(CHAIN, epoch, 5, block_), seed);
    }

    function commitVote(Block memory b, bytes32 seed) internal pure returns (bytes memory) {
        return vm.signEd25519("", Statements.commitVote(b.chain, b.epoch, b.view_, idOf(b)), seed);
    }

    function signedVote(uint256 i, uint64 epoch, bytes32 block_) internal pure returns (bytes memory) {
        bytes memory signature = signVote(person(i).seed, epoch, block_);
        return abi.encodePacked(epoch, uint64(5), block_, uint16(i), signature);
    }

    function accuse(uint256 i) internal returns (uint256) {
        bytes memory evidence = doubleVote(i, anchor.epoch(), bytes32("a"), bytes32("b"));
        vm.prank(REPORTER);
        return court.report(person(i).key, evidence);
    }

    // ---- what must fail

    /// Settling the block with these members' signatures reverts with exactly this.
    function refuse(Block memory b, uint256 bitmap, bytes memory data) internal {
        bytes memory header = encode(b);
        bytes memory signatures = attest(b, bitmap);
        vm.expectRevert(data);
        anchor.settle(header, bitmap, signatures);
    }

    /// The next call reverts with exactly this.
    function refused(bytes memory data) internal {
        vm.expectRevert(data);
    }
}
