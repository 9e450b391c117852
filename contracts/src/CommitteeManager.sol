// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ICommitteeManager} from "./interfaces/ICommitteeManager.sol";
import {IFinalityAnchor} from "./interfaces/IFinalityAnchor.sol";
import {IOperatorRegistry} from "./interfaces/IOperatorRegistry.sol";
import {IRestakingAdapter} from "./interfaces/IRestakingAdapter.sol";
import {Addresses, BadParameter, OnlyBy, Parameters, WrongAddress} from "./interfaces/System.sol";
import {Blob} from "./lib/Blob.sol";
import {Roster} from "./lib/Roster.sol";
import {Sort} from "./lib/Sort.sol";
import {Thresholds} from "./lib/Thresholds.sol";

/// Turns the stakes of the moment into committees. Anyone may ask for a snapshot; the members agree among themselves, in
/// the header of the last block of an epoch, which one is next.
///
/// A snapshot looks at a list of at most `membersMax` operators. One with the least stake comes onto it by registering or
/// depositing while there is room; on a full list, by `enlistInstead` of one with less. So the list ends up with those of
/// most stake, and nobody can make a snapshot dear by registering much.
contract CommitteeManager is ICommitteeManager {
    /// N of every committee is at most this (so that Outrider's arithmetic fits in 64 bits).
    uint64 public constant TOTAL_MAX = type(uint64).max >> 3;
    uint256 private constant ADAPTERS_MAX = 8;

    uint64 public immutable chain;
    uint64 public immutable epochBlocks;
    uint64 public immutable firstEpoch;
    uint256 public immutable stakeUnit;
    uint256 public immutable stakeMin;
    uint16 public immutable membersMax;
    /// Most units of one member; stake above it does not count, so that the sum fits.
    uint64 public immutable weightMax;
    IOperatorRegistry public immutable registry;
    IFinalityAnchor public immutable anchor;

    struct Committee {
        uint64 epoch;
        uint16 members;
        uint64 total;
        uint64 snapshotBlock;
        uint48 takenAt;
        address blob;
        /// Index in `_served` + 1, when the blob's members were first those of an epoch.
        uint32 term;
    }

    struct Mark {
        /// Index in `_served` + 1 of the last blob with it that served.
        uint32 term;
        /// Whether it was in a snapshot, and the latest epoch of one.
        bool listed;
        uint64 snapshotEpoch;
    }

    address[] private _adapters;
    address[] private _candidates;
    /// Index in `_candidates` + 1.
    mapping(address => uint256) private _place;
    mapping(bytes32 => Committee) private _committees;
    mapping(address => Mark) private _marks;
    /// The last epoch that each term served.
    uint64[] private _served;

    constructor(Parameters memory parameters, Addresses memory peers, address[] memory adapters_) {
        if (address(this) != peers.manager) revert WrongAddress(peers.manager, address(this));
        if (parameters.membersMax == 0 || parameters.membersMax > 256) revert BadParameter("membersMax");
        if (parameters.stakeUnit == 0) revert BadParameter("stakeUnit");
        if (parameters.stakeMin < parameters.stakeUnit) revert BadParameter("stakeMin");
        if (adapters_.length == 0 || adapters_.length > ADAPTERS_MAX) revert BadParameter("adapters");
        if (parameters.firstEpoch > type(uint64).max >> 1) revert BadParameter("firstEpoch");
        chain = parameters.chain;
        epochBlocks = parameters.epochBlocks;
        firstEpoch = parameters.firstEpoch;
        stakeUnit = parameters.stakeUnit;
        stakeMin = parameters.stakeMin;
        membersMax = parameters.membersMax;
        weightMax = TOTAL_MAX / parameters.membersMax;
        registry = IOperatorRegistry(peers.registry);
        anchor = IFinalityAnchor(peers.anchor);
        uint256 needed = uint256(parameters.evidenceAge) + parameters.vetoWindow;
        for (uint256 i = 0; i < adapters_.length; i++) {
            for (uint256 j = 0; j < i; j++) {
                if (adapters_[i] == adapters_[j]) revert BadParameter("adapters");
            }
            // Its own stake stays as long as it takes, see BondedStake.
            if (adapters_[i] != peers.bonded && IRestakingAdapter(adapters_[i]).slashableFor() <= needed) {
                revert BadParameter("slashableFor");
            }
        }
        _adapters = adapters_;
    }

    // ---- the list

    /// @inheritdoc ICommitteeManager
    function enlist(address operator) external {
        if (_place[operator] != 0) revert AlreadyListed(operator);
        _requireEligible(operator);
        if (_candidates.length == membersMax) revert ListFull(membersMax);
        _append(operator);
    }

    /// @inheritdoc ICommitteeManager
    function offer(address operator) external {
        if (_place[operator] != 0 || _candidates.length == membersMax) return;
        (bool eligible,) = _eligible(operator);
        if (eligible) _append(operator);
    }

    /// @inheritdoc ICommitteeManager
    function enlistInstead(address operator, address victim) external {
        if (_place[operator] != 0) revert AlreadyListed(operator);
        if (_place[victim] == 0) revert NotListed(victim);
        uint256 stake = _requireEligible(operator);
        (bool keeps, uint256 victimStake) = _eligible(victim);
        if (keeps && victimStake >= stake) revert NotLess(victim, victimStake, stake);
        _remove(victim);
        _append(operator);
    }

    /// @inheritdoc ICommitteeManager
    function delist(address operator) external {
        if (_place[operator] == 0) revert NotListed(operator);
        (bool eligible, uint256 stake) = _eligible(operator);
        if (eligible) revert NotLess(operator, stake, stakeMin);
        _remove(operator);
    }

    function _append(address operator) private {
        _candidates.push(operator);
        _place[operator] = _candidates.length;
        emit Enlisted(operator);
    }

    function _remove(address operator) private {
        uint256 place = _place[operator];
        address last = _candidates[_candidates.length - 1];
        _candidates[place - 1] = last;
        _place[last] = place;
        _candidates.pop();
        delete _place[operator];
        emit Delisted(operator);
    }

    function _requireEligible(address operator) private view returns (uint256 stake) {
        bool eligible;
        (eligible, stake) = _eligible(operator);
        if (!eligible) revert NotEligible(operator, stake);
    }

    function _eligible(address operator) private view returns (bool, uint256 stake) {
        (,,, bool active) = registry.standing(operator);
        stake = stakeOf(operator);
        return (active && stake >= stakeMin, stake);
    }

    // ---- snapshots

    /// What becomes a committee.
    struct Draft {
        uint256 n;
        uint64 total;
        bytes32[] keys;
        uint64[] weights;
        address[] attesters;
        address[] operators;
    }

    /// @inheritdoc ICommitteeManager
    function snapshot(uint64 epoch) external returns (bytes32 id) {
        if (anchor.frozen()) revert IFinalityAnchor.Frozen();
        uint64 wanted = anchor.begun() ? anchor.epoch() + 1 : firstEpoch;
        if (epoch != wanted) revert WrongEpoch(epoch, wanted);
        Draft memory draft = _draft();
        if (draft.n == 0) revert NoMembers();
        id = _id(epoch, draft.total, _pairs(draft));
        bytes memory roster = Roster.encode(draft.attesters, draft.weights, draft.keys, draft.operators);
        Committee storage one = _committees[id];
        one.takenAt = uint48(block.timestamp);
        // Attesters are not in the id: they are those of the last snapshot, also of what was registered as a successor.
        if (Blob.holds(one.blob, roster)) return id;
        one.epoch = epoch;
        one.members = uint16(draft.n);
        one.total = draft.total;
        one.snapshotBlock = uint64(block.number);
        one.blob = Blob.store(roster);
        one.term = 0;
        for (uint256 i = 0; i < draft.n; i++) {
            Mark storage mark = _marks[draft.operators[i]];
            (mark.listed, mark.snapshotEpoch) = (true, epoch);
        }
        emit Snapshot(epoch, id, uint16(draft.n), draft.total, uint64(block.number));
    }

    /// @inheritdoc ICommitteeManager
    function successor(bytes32 id) external returns (bytes32) {
        if (!anchor.begun() || id != anchor.committeeId()) revert NotCurrent(id);
        return _succeed(id);
    }

    /// @inheritdoc ICommitteeManager
    function successorOf(bytes32 id) public view returns (bytes32) {
        Committee storage old = _known(id);
        uint256 n = old.members;
        bytes memory entries = Roster.entries(old.blob, n);
        bytes memory keys = Roster.keys(old.blob, n);
        bytes memory pairs = new bytes(n * 40);
        for (uint256 i = 0; i < n; i++) {
            (, uint64 weight) = Roster.entryAt(entries, i);
            _putPair(pairs, i, Roster.wordAt(keys, i), weight);
        }
        return _id(old.epoch + 1, old.total, pairs);
    }

    /// @inheritdoc ICommitteeManager
    function activate(bytes32 id, uint64 epoch, bytes32 before)
        external
        returns (address blob, uint16 members_, uint64 total)
    {
        if (msg.sender != address(anchor)) revert OnlyBy(address(anchor), msg.sender);
        // The members of now go on if nobody has registered anything else; their id need not be registered either.
        if (_committees[id].blob == address(0) && before != bytes32(0)) _succeed(before);
        Committee storage one = _known(id);
        if (one.epoch != epoch) revert WrongEpoch(one.epoch, epoch);
        (blob, members_, total) = (one.blob, one.members, one.total);
        if (one.term == 0) {
            _served.push(epoch);
            uint32 term = uint32(_served.length);
            one.term = term;
            bytes memory operators = Roster.operators(blob, members_);
            for (uint256 i = 0; i < members_; i++) {
                _marks[Roster.operatorAt(operators, i)].term = term;
            }
        } else {
            _served[one.term - 1] = epoch;
        }
        emit Activated(epoch, id);
    }

    // ---- views

    /// @inheritdoc ICommitteeManager
    function committee(bytes32 id) external view returns (uint64, uint16, uint64, uint64, uint64, address, uint64) {
        Committee storage one = _known(id);
        return (
            one.epoch,
            one.members,
            one.total,
            Thresholds.quorum(one.total),
            Thresholds.fast(one.total),
            one.blob,
            one.snapshotBlock
        );
    }

    /// @inheritdoc ICommitteeManager
    function takenAt(bytes32 id) external view returns (uint64) {
        return _known(id).takenAt;
    }

    /// @inheritdoc ICommitteeManager
    function members(bytes32 id)
        external
        view
        returns (bytes32[] memory keys, uint64[] memory weights, address[] memory attesters, address[] memory operators)
    {
        Committee storage one = _known(id);
        uint256 n = one.members;
        bytes memory entryList = Roster.entries(one.blob, n);
        bytes memory keyList = Roster.keys(one.blob, n);
        bytes memory operatorList = Roster.operators(one.blob, n);
        (keys, weights) = (new bytes32[](n), new uint64[](n));
        (attesters, operators) = (new address[](n), new address[](n));
        for (uint256 i = 0; i < n; i++) {
            keys[i] = Roster.wordAt(keyList, i);
            (attesters[i], weights[i]) = Roster.entryAt(entryList, i);
            operators[i] = Roster.operatorAt(operatorList, i);
        }
    }

    /// @inheritdoc ICommitteeManager
    function lastEpochOf(address operator) external view returns (bool ever, uint64 epoch) {
        Mark storage mark = _marks[operator];
        if (mark.term != 0) (ever, epoch) = (true, _served[mark.term - 1]);
        // A snapshot for an epoch that has begun was taken, or never will be; on a frozen chain no other epoch begins.
        bool pending = mark.listed && !anchor.frozen() && (!anchor.begun() || mark.snapshotEpoch > anchor.epoch());
        if (pending) (ever, epoch) = (true, mark.snapshotEpoch);
    }

    /// @inheritdoc ICommitteeManager
    function stakeOf(address operator) public view returns (uint256 stake) {
        uint256 count = _adapters.length;
        for (uint256 i = 0; i < count; i++) {
            stake += IRestakingAdapter(_adapters[i]).stakeOf(operator);
        }
    }

    /// @inheritdoc ICommitteeManager
    function candidates() external view returns (address[] memory) {
        return _candidates;
    }

    /// @inheritdoc ICommitteeManager
    function adapters() external view returns (address[] memory) {
        return _adapters;
    }

    // ---- inside

    function _succeed(bytes32 id) private returns (bytes32 next) {
        Committee storage old = _known(id);
        next = successorOf(id);
        Committee storage one = _committees[next];
        if (one.blob != address(0)) return next;
        one.epoch = old.epoch + 1;
        one.members = old.members;
        one.total = old.total;
        one.snapshotBlock = old.snapshotBlock;
        one.takenAt = old.takenAt;
        one.blob = old.blob;
        one.term = old.term;
        emit Snapshot(one.epoch, next, one.members, one.total, one.snapshotBlock);
    }

    function _known(bytes32 id) private view returns (Committee storage one) {
        one = _committees[id];
        if (one.blob == address(0)) revert UnknownCommittee(id);
    }

    /// The eligible ones of the list, in order of registration.
    function _draft() private view returns (Draft memory draft) {
        address[] memory list = _candidates;
        address[] memory sources = _adapters;
        uint256 length = list.length;
        draft.keys = new bytes32[](length);
        draft.weights = new uint64[](length);
        draft.attesters = new address[](length);
        draft.operators = new address[](length);
        uint256[] memory order = new uint256[](length);
        uint256 n;
        for (uint256 i = 0; i < length; i++) {
            (bytes32 key, address attester, uint32 index, bool active) = registry.standing(list[i]);
            uint256 stake;
            for (uint256 j = 0; j < sources.length; j++) {
                stake += IRestakingAdapter(sources[j]).stakeOf(list[i]);
            }
            if (!active || stake < stakeMin) continue;
            uint256 units = stake / stakeUnit;
            uint64 weight = units > weightMax ? weightMax : uint64(units);
            order[n++] = (uint256(index) << 16) | i;
            draft.keys[i] = key;
            draft.weights[i] = weight;
            draft.attesters[i] = attester;
            draft.total += weight;
        }
        assembly ("memory-safe") { mstore(order, n) }
        _arrange(draft, list, Sort.ascending(order));
    }

    /// Put the parts into their order, and cut the lists to their length.
    function _arrange(Draft memory draft, address[] memory list, uint256[] memory order) private pure {
        uint256 n = order.length;
        bytes32[] memory keys = new bytes32[](n);
        uint64[] memory weights = new uint64[](n);
        address[] memory attesters = new address[](n);
        address[] memory operators = new address[](n);
        for (uint256 i = 0; i < n; i++) {
            uint256 from = uint16(order[i]);
            keys[i] = draft.keys[from];
            weights[i] = draft.weights[from];
            attesters[i] = draft.attesters[from];
            operators[i] = list[from];
        }
        (draft.n, draft.keys, draft.weights) = (n, keys, weights);
        (draft.attesters, draft.operators) = (attesters, operators);
    }

    function _pairs(Draft memory draft) private pure returns (bytes memory pairs) {
        pairs = new bytes(draft.n * 40);
        for (uint256 i = 0; i < draft.n; i++) {
            _putPair(pairs, i, draft.keys[i], draft.weights[i]);
        }
    }

    function _putPair(bytes memory pairs, uint256 i, bytes32 key, uint64 weight) private pure {
        assembly ("memory-safe") {
            // The weight first, as the last 8 bytes of a word; the key then overwrites what comes before it.
            let pair := add(pairs, add(32, mul(i, 40)))
            mstore(add(pair, 8), weight)
            mstore(pair, key)
        }
    }

    /// sha256("OUTRCOMM" || chain || epoch || f || c = 0 || epoch blocks || no ring || members), see types::Committee.
    function _id(uint64 epoch, uint64 total, bytes memory pairs) private view returns (bytes32) {
        uint256 n = pairs.length / 40;
        // LEB128
        bytes memory count = n < 128 ? abi.encodePacked(uint8(n)) : abi.encodePacked(uint8(n) | 0x80, uint8(n >> 7));
        return sha256(
            abi.encodePacked("OUTRCOMM", chain, epoch, (total - 1) / 3, uint64(0), epochBlocks, uint8(0), count, pairs)
        );
    }
}
