// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Thresholds} from "../src/lib/Thresholds.sol";
import {Test} from "./Vm.sol";
import {World} from "./World.sol";

/// Operators, reporters and relayers that do anything in any order. What must never happen is written down when it does;
/// calls that are refused are part of the game.
contract Crowd is World {
    uint256 internal constant PEOPLE = 8;

    /// Who a key was accepted for; the second owner of a key is counted in `stolen`.
    mapping(bytes32 => address) private _owners;
    bytes32[] private _keys;
    bytes32[] private _committees;
    mapping(uint256 => uint256) private _seeds;
    bytes32 private _next;

    uint256 public stolen;
    uint256 public settledBelowQuorum;
    uint256 public settledFrozen;
    uint256 public wentBack;
    uint256 public escaped;
    uint256 public slashedFree;
    /// So that a run in which nothing happens is seen.
    uint256 public settlements;

    constructor() {
        deploy();
        for (uint256 i = 0; i < 5; i++) {
            join(i, i + 1, 32 ether);
            _own(person(i).key, person(i).operator);
        }
        _committees.push(manager.snapshot(0));
        anchor.begin(encode(genesis(_committees[0])));
    }

    function actions() external pure returns (bytes4[] memory list) {
        list = new bytes4[](14);
        (list[0], list[1], list[2], list[3]) =
        (this.enter.selector, this.rotate.selector, this.fund.selector, this.unbond.selector);
        (list[4], list[5], list[6], list[7]) =
        (this.withdraw.selector, this.exit.selector, this.take.selector, this.settleAny.selector);
        (list[8], list[9], list[10], list[11]) =
        (this.endAny.selector, this.accuseAny.selector, this.decide.selector, this.wait.selector);
        (list[12], list[13]) = (this.force.selector, this.freezeAny.selector);
    }

    // ---- what they do

    /// Register with a key that may be somebody else's.
    function enter(uint256 who, uint256 whose) external {
        Person memory one = person(who % PEOPLE);
        bytes32 seed = seedOf(whose % PEOPLE);
        bytes32 key = vm.publicKeyEd25519(seed);
        bytes memory proof = memberProof(one.operator, seed);
        bytes memory second = attesterProof(one.operator, one.secret);
        vm.prank(one.operator);
        try registry.register(key, proof, one.attester, second, "contact") {
            _own(key, one.operator);
        } catch {}
    }

    /// Take a new key, an old one, or somebody else's.
    function rotate(uint256 who, uint256 whose, bool fresh) external {
        Person memory one = person(who % PEOPLE);
        uint256 other = whose % PEOPLE;
        bytes32 seed = fresh ? keccak256(abi.encode("another", other, ++_seeds[other])) : seedOf(other);
        bytes32 key = vm.publicKeyEd25519(seed);
        bytes memory proof = memberProof(one.operator, seed);
        vm.prank(one.operator);
        try registry.rotate(key, proof) {
            _own(key, one.operator);
        } catch {}
    }

    function fund(uint256 who, uint96 amount) external {
        deposit(person(who % PEOPLE).operator, uint256(amount % 100 ether) + 1);
    }

    function unbond(uint256 who, uint256 amount) external {
        address operator = person(who % PEOPLE).operator;
        (uint256 held,,) = bonded.balanceOf(operator);
        if (held == 0) return;
        vm.prank(operator);
        bonded.unbond(amount % held + 1);
    }

    function withdraw(uint256 who) external {
        address operator = person(who % PEOPLE).operator;
        bool held = court.openCaseOf(operator) || _reachable(operator);
        vm.prank(operator);
        try bonded.withdraw() {
            if (held) escaped++;
        } catch {}
    }

    function exit(uint256 who, uint8 chance) external {
        if (chance % 8 != 0) return;
        vm.prank(person(who % PEOPLE).operator);
        try registry.exit() {} catch {}
    }

    /// Take a snapshot for the next epoch.
    function take() external {
        try manager.snapshot(anchor.epoch() + 1) returns (bytes32 id) {
            _next = id;
            _committees.push(id);
        } catch {}
    }

    /// Settle with any signers, by their attesters or by themselves.
    function settleAny(uint256 bitmap, uint8 step, bool native) external {
        (, uint64 height,,,) = anchor.settled();
        uint64 last = (anchor.epoch() + 1) * 10;
        uint64 to = height + 1 + step % 3;
        if (to > last) to = last;
        Block memory b = make(to);
        b.inbox = inbox.length();
        if (to == last) b.next = manager.successorOf(anchor.committeeId());
        _try(b, bitmap, native);
    }

    /// Settle the last block of the epoch, with the snapshot if there is one.
    function endAny(uint256 bitmap) external {
        Block memory b = make((anchor.epoch() + 1) * 10);
        b.inbox = inbox.length();
        b.next = manager.successorOf(anchor.committeeId());
        if (_next != 0) {
            (uint64 epoch,,,,,,) = manager.committee(_next);
            if (epoch == anchor.epoch() + 1) b.next = _next;
        }
        _try(b, bitmap | 15, false);
    }

    function accuseAny(uint256 who, uint64 back, bytes32 a, bytes32 b) external {
        uint64 epoch = anchor.epoch() - back % (anchor.epoch() + 1);
        bytes32 seed = seedOf(who % PEOPLE);
        bytes memory half = _signed(seed, epoch, a);
        bytes memory evidence = abi.encodePacked(uint8(2), half, _signed(seed, epoch, b));
        vm.prank(REPORTER);
        try court.report(vm.publicKeyEd25519(seed), evidence) {} catch {}
    }

    function decide(uint256 which, bool veto) external {
        uint256 count = court.caseCount();
        if (count == 0) return;
        (address operator,,,,,) = court.cases(which % count);
        bool open = court.openCaseOf(operator);
        uint256 before = bonded.slashable(operator);
        if (veto) vm.prank(VETOER);
        (bool ok,) = address(court)
            .call(veto ? abi.encodeCall(court.veto, (which % count)) : abi.encodeCall(court.execute, (which % count)));
        if (ok && !open && bonded.slashable(operator) != before) slashedFree++;
    }

    function wait(uint32 time) external {
        vm.warp(clock() + time % 3 days);
        vm.roll(vm.getBlockNumber() + 1);
    }

    function force(bytes calldata data) external {
        try inbox.enqueue(1, data) {} catch {}
    }

    /// Two certified blocks of one height; seldom, because nothing settles after it.
    function freezeAny(uint256 bitmap, uint8 chance) external {
        if (chance % 32 != 0) return;
        Block memory a = make(uint64(bitmap % 100));
        Block memory b = make(a.height);
        b.lanes = bytes32("other");
        (bytes memory one,, uint256 bits) = _sign(a, bitmap, false);
        (bytes memory two,,) = _sign(b, bitmap, false);
        vm.prank(REPORTER);
        try anchor.freeze(encode(a), bits, one, encode(b), bits, two) {} catch {}
    }

    // ---- what must hold

    function checkWeights() external view {
        for (uint256 i = 0; i < _committees.length; i++) {
            (, uint16 n, uint64 total, uint64 quorum, uint64 fast,,) = manager.committee(_committees[i]);
            (bytes32[] memory keys, uint64[] memory weights,, address[] memory operators) =
                manager.members(_committees[i]);
            equal(keys.length, n, "members");
            uint256 sum;
            for (uint256 j = 0; j < n; j++) {
                sum += weights[j];
                check(weights[j] >= 4, "least stake");
                equal(registry.operatorOf(keys[j]), operators[j], "a key of its operator");
                for (uint256 k = 0; k < j; k++) {
                    check(keys[j] != keys[k] && operators[j] != operators[k], "twice");
                }
            }
            equal(sum, total, "sum of the weights");
            equal(quorum, Thresholds.quorum(total), "quorum");
            check(fast >= quorum && fast <= total, "thresholds");
        }
    }

    function checkKeys() external view {
        equal(stolen, 0, "keys of two operators");
        for (uint256 i = 0; i < _keys.length; i++) {
            equal(registry.operatorOf(_keys[i]), _owners[_keys[i]], "history of a key");
        }
    }

    function checkEther() external view {
        uint256 sum;
        for (uint256 i = 0; i < PEOPLE; i++) {
            (uint256 held, uint256 unbonding,) = bonded.balanceOf(person(i).operator);
            sum += held + unbonding;
        }
        equal(bonded.totalHeld(), sum, "bonded and unbonding");
        equal(address(bonded).balance, sum + bonded.owed(REPORTER), "held");
    }

    // ---- inside

    function seedOf(uint256 i) private view returns (bytes32) {
        return _seeds[i] == 0 ? person(i).seed : keccak256(abi.encode("another", i, _seeds[i]));
    }

    function _own(bytes32 key, address operator) private {
        if (_owners[key] != address(0) && _owners[key] != operator) stolen++;
        if (_owners[key] == address(0)) _keys.push(key);
        _owners[key] = operator;
    }

    /// Whether evidence about an epoch of the operator is still taken, or will be.
    function _reachable(address operator) private view returns (bool) {
        for (uint64 epoch = 0; epoch <= anchor.epoch(); epoch++) {
            uint64 ended = anchor.endedAt(epoch);
            if (ended != 0 && clock() > ended + 7 days) continue;
            (,,, address[] memory operators) = manager.members(anchor.committeeOf(epoch));
            for (uint256 i = 0; i < operators.length; i++) {
                if (operators[i] == operator) return true;
            }
        }
        return false;
    }

    function _signed(bytes32 seed, uint64 epoch, bytes32 block_) private pure returns (bytes memory) {
        return abi.encodePacked(epoch, uint64(5), block_, uint16(0), signVote(seed, epoch, block_));
    }

    /// Signatures of the current members in the bitmap, their weight, and the bitmap cut to the members.
    function _sign(Block memory b, uint256 bitmap, bool native)
        private
        view
        returns (bytes memory signatures, uint256 weight, uint256 bits)
    {
        (bytes32[] memory keys, uint64[] memory weights,, address[] memory operators) =
            manager.members(anchor.committeeId());
        for (uint256 i = 0; i < operators.length; i++) {
            if ((bitmap >> i) & 1 == 0) continue;
            uint256 who = uint160(operators[i]) - 0x1000;
            bytes memory one = native
                ? commitVote(b, seedWith(who, keys[i]))
                : attestation(anchor.checkpointDigest(idOf(b)), person(who).secret);
            signatures = abi.encodePacked(signatures, one);
            weight += weights[i];
            bits |= 1 << i;
        }
    }

    /// The seed of one of the keys that an operator ever had.
    function seedWith(uint256 who, bytes32 key) private view returns (bytes32 seed) {
        for (uint256 i = 0; i < PEOPLE; i++) {
            seed = person(i).seed;
            if (vm.publicKeyEd25519(seed) == key) return seed;
            for (uint256 j = 1; j <= _seeds[i]; j++) {
                seed = keccak256(abi.encode("another", i, j));
                if (vm.publicKeyEd25519(seed) == key) return seed;
            }
        }
        revert NotTrue(vm.toString(who));
    }

    function _try(Block memory b, uint256 bitmap, bool native) private {
        (bytes memory signatures, uint256 weight, uint256 bits) = _sign(b, bitmap, native);
        (,, uint64 total,,,,) = manager.committee(anchor.committeeId());
        (, uint64 height,, uint64 consumed,) = anchor.settled();
        bool frozen = anchor.frozen();
        bytes[] memory headers = new bytes[](1);
        headers[0] = encode(b);
        (bool ok,) = address(anchor)
            .call(
                native
                    ? abi.encodeCall(anchor.settleNative, (headers, 1, bits, signatures))
                    : abi.encodeCall(anchor.settle, (headers[0], bits, signatures))
            );
        if (!ok) return;
        settlements++;
        if (weight < Thresholds.quorum(total)) settledBelowQuorum++;
        if (frozen) settledFrozen++;
        if (b.height <= height || b.inbox < consumed) wentBack++;
    }
}

contract InvariantsTest is Test {
    /// What forge asks for.
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Crowd private crowd;

    function setUp() public {
        crowd = new Crowd();
    }

    function targetContracts() public view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(crowd);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory list) {
        list = new FuzzSelector[](1);
        list[0] = FuzzSelector(address(crowd), crowd.actions());
    }

    function invariant_weights_add_up_and_keys_are_their_operators() public view {
        crowd.checkWeights();
    }

    function invariant_a_key_never_belongs_to_two_operators() public view {
        crowd.checkKeys();
    }

    function invariant_nothing_settles_below_the_quorum_on_a_frozen_chain_or_backwards() public view {
        equal(crowd.settledBelowQuorum(), 0, "below the quorum");
        equal(crowd.settledFrozen(), 0, "frozen");
        equal(crowd.wentBack(), 0, "backwards");
    }

    function invariant_stake_leaves_only_when_evidence_would_be_too_old() public view {
        equal(crowd.escaped(), 0, "escaped");
        equal(crowd.slashedFree(), 0, "slashed without a case");
    }

    function invariant_what_is_held_is_bonded_unbonding_or_owed() public view {
        crowd.checkEther();
    }

    /// The crowd does something: in most runs blocks settle.
    function test_the_crowd_settles() public {
        crowd.settleAny(31, 0, false);
        crowd.settleAny(31, 0, true);
        crowd.endAny(31);
        equal(crowd.settlements(), 3, "settlements");
        crowd.settleAny(1, 0, false);
        equal(crowd.settlements(), 3, "too little weight");
    }
}
