// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CreateSetParams, IAVSRegistrar, OperatorSet, SlashingParams} from "../../src/interfaces/IEigenLayer.sol";

/// Stands in for EigenLayer's AllocationManager and DelegationManager, by what their documentation says: operator sets,
/// magnitudes of 1e18 per operator and strategy, delays in blocks, and slashes that take a proportion of a magnitude, from
/// shares and from withdrawals that are on their way. No tokens move, and one account is one staker.
contract EigenLayerStandIn {
    uint32 public constant DEALLOCATION_DELAY = 100_800;
    uint32 public constant WITHDRAWAL_DELAY = 100_800;
    uint256 private constant WAD = 1e18;

    struct Allocation {
        uint256 current;
        int256 pendingDiff;
        uint256 effectBlock;
    }

    struct Withdrawal {
        uint256 shares;
        uint256 completableAt;
    }

    struct Membership {
        bool registered;
        uint256 slashableUntil;
    }

    mapping(address avs => bool) public hasMetadata;
    mapping(bytes32 set => address[]) private _strategies;
    mapping(address operator => mapping(bytes32 set => Membership)) private _memberships;
    mapping(address operator => mapping(bytes32 set => mapping(address strategy => Allocation))) private _allocations;
    mapping(address operator => mapping(address strategy => uint256)) private _slashedMagnitude;
    mapping(address operator => mapping(address strategy => uint256)) public encumbered;
    mapping(address operator => mapping(address strategy => uint256)) public operatorShares;
    mapping(address operator => mapping(address strategy => Withdrawal[])) private _queued;
    mapping(address operator => uint32) public allocationDelay;

    error InvalidCaller();
    error InvalidOperatorSet();
    error OperatorNotSlashable();
    error InvalidWadToSlash();
    error StrategyNotInOperatorSet();
    error ModificationAlreadyPending();
    error InsufficientMagnitude();
    error StillSlashable();
    error TooEarly();

    // ---- AVS

    function updateAVSMetadataURI(address avs, string calldata) external {
        if (msg.sender != avs) revert InvalidCaller();
        hasMetadata[avs] = true;
    }

    function createOperatorSets(address avs, CreateSetParams[] calldata params) external {
        if (msg.sender != avs || !hasMetadata[avs]) revert InvalidCaller();
        for (uint256 i = 0; i < params.length; i++) {
            bytes32 set = key(OperatorSet(avs, params[i].operatorSetId));
            if (_strategies[set].length != 0) revert InvalidOperatorSet();
            _strategies[set] = params[i].strategies;
        }
    }

    // ---- stakers

    function deposit(address operator, address strategy, uint256 shares) external {
        operatorShares[operator][strategy] += shares;
    }

    function queueWithdrawal(address operator, address strategy, uint256 shares) external {
        operatorShares[operator][strategy] -= shares;
        _queued[operator][strategy].push(Withdrawal(shares, block.number + WITHDRAWAL_DELAY));
    }

    function completeWithdrawal(address operator, address strategy, uint256 index) external returns (uint256 paid) {
        Withdrawal storage one = _queued[operator][strategy][index];
        if (block.number <= one.completableAt) revert TooEarly();
        paid = one.shares;
        delete one.shares;
    }

    // ---- operators

    function registerForOperatorSets(address operator, address avs, uint32[] calldata ids) external {
        if (msg.sender != operator) revert InvalidCaller();
        for (uint256 i = 0; i < ids.length; i++) {
            bytes32 set = key(OperatorSet(avs, ids[i]));
            Membership storage one = _memberships[operator][set];
            if (_strategies[set].length == 0 || one.registered) revert InvalidOperatorSet();
            if (one.slashableUntil != 0 && block.number <= one.slashableUntil) revert StillSlashable();
            one.registered = true;
        }
        IAVSRegistrar(avs).registerOperator(operator, avs, ids, "");
    }

    function deregisterFromOperatorSets(address operator, address avs, uint32[] calldata ids) external {
        if (msg.sender != operator && msg.sender != avs) revert InvalidCaller();
        for (uint256 i = 0; i < ids.length; i++) {
            Membership storage one = _memberships[operator][key(OperatorSet(avs, ids[i]))];
            if (!one.registered) revert InvalidOperatorSet();
            (one.registered, one.slashableUntil) = (false, block.number + DEALLOCATION_DELAY);
        }
        IAVSRegistrar(avs).deregisterOperator(operator, avs, ids);
    }

    function setAllocationDelay(uint32 delay) external {
        allocationDelay[msg.sender] = delay;
    }

    function modifyAllocations(OperatorSet memory set, address strategy, uint256 magnitude) external {
        Allocation memory one = _updated(msg.sender, key(set), strategy);
        if (one.effectBlock != 0) revert ModificationAlreadyPending();
        if (magnitude > one.current) {
            uint256 more = magnitude - one.current;
            if (encumbered[msg.sender][strategy] + more > maxMagnitude(msg.sender, strategy)) {
                revert InsufficientMagnitude();
            }
            encumbered[msg.sender][strategy] += more;
            (one.pendingDiff, one.effectBlock) = (int256(more), block.number + allocationDelay[msg.sender]);
        } else if (isOperatorSlashable(msg.sender, set)) {
            one.pendingDiff = -int256(one.current - magnitude);
            one.effectBlock = block.number + DEALLOCATION_DELAY + 1;
        } else {
            encumbered[msg.sender][strategy] -= one.current - magnitude;
            one.current = magnitude;
        }
        _allocations[msg.sender][key(set)][strategy] = one;
    }

    // ---- slashing

    function slashOperator(address avs, SlashingParams calldata params) external {
        if (msg.sender != avs) revert InvalidCaller();
        OperatorSet memory set = OperatorSet(avs, params.operatorSetId);
        if (_strategies[key(set)].length == 0) revert InvalidOperatorSet();
        if (!isOperatorSlashable(params.operator, set)) revert OperatorNotSlashable();
        for (uint256 i = 0; i < params.strategies.length; i++) {
            if (params.wadsToSlash[i] == 0 || params.wadsToSlash[i] > WAD) revert InvalidWadToSlash();
            if (!_inSet(key(set), params.strategies[i])) revert StrategyNotInOperatorSet();
            _slash(params.operator, key(set), params.strategies[i], params.wadsToSlash[i]);
        }
    }

    function _slash(address operator, bytes32 set, address strategy, uint256 wad) private {
        Allocation memory one = _updated(operator, set, strategy);
        if (one.current == 0) return;
        uint256 before = maxMagnitude(operator, strategy);
        uint256 taken = _mulUp(one.current, wad);
        one.current -= taken;
        // What is being deallocated shrinks with the rest.
        if (one.pendingDiff < 0) one.pendingDiff += int256(_mulUp(uint256(-one.pendingDiff), wad));
        _allocations[operator][set][strategy] = one;
        encumbered[operator][strategy] -= taken;
        _slashedMagnitude[operator][strategy] += taken;
        uint256 left = before - taken;
        operatorShares[operator][strategy] = operatorShares[operator][strategy] * left / before;
        Withdrawal[] storage queued = _queued[operator][strategy];
        for (uint256 i = 0; i < queued.length; i++) {
            if (block.number <= queued[i].completableAt) queued[i].shares = queued[i].shares * left / before;
        }
    }

    // ---- views

    function key(OperatorSet memory set) public pure returns (bytes32) {
        return keccak256(abi.encode(set));
    }

    function maxMagnitude(address operator, address strategy) public view returns (uint256) {
        return WAD - _slashedMagnitude[operator][strategy];
    }

    function isMemberOfOperatorSet(address operator, OperatorSet memory set) external view returns (bool) {
        return _memberships[operator][key(set)].registered;
    }

    function isOperatorSlashable(address operator, OperatorSet memory set) public view returns (bool) {
        Membership storage one = _memberships[operator][key(set)];
        return one.registered || block.number <= one.slashableUntil;
    }

    function getMinimumSlashableStake(
        OperatorSet memory set,
        address[] memory operators,
        address[] memory strategies,
        uint32 futureBlock
    ) external view returns (uint256[][] memory stake) {
        stake = new uint256[][](operators.length);
        for (uint256 i = 0; i < operators.length; i++) {
            stake[i] = new uint256[](strategies.length);
            if (!isOperatorSlashable(operators[i], set)) continue;
            for (uint256 j = 0; j < strategies.length; j++) {
                Allocation memory one = _updated(operators[i], key(set), strategies[j]);
                uint256 magnitude = one.current;
                // Of what is pending, only what makes it less.
                if (one.pendingDiff < 0 && one.effectBlock <= futureBlock) magnitude -= uint256(-one.pendingDiff);
                uint256 max = maxMagnitude(operators[i], strategies[j]);
                if (max == 0) continue;
                stake[i][j] = operatorShares[operators[i]][strategies[j]] * magnitude / max;
            }
        }
    }

    // ---- inside

    /// The allocation with what took effect meanwhile.
    function _updated(address operator, bytes32 set, address strategy) private view returns (Allocation memory one) {
        one = _allocations[operator][set][strategy];
        if (one.effectBlock == 0 || block.number < one.effectBlock) return one;
        one.current = uint256(int256(one.current) + one.pendingDiff);
        (one.pendingDiff, one.effectBlock) = (0, 0);
    }

    function _inSet(bytes32 set, address strategy) private view returns (bool) {
        address[] storage list = _strategies[set];
        for (uint256 i = 0; i < list.length; i++) {
            if (list[i] == strategy) return true;
        }
        return false;
    }

    function _mulUp(uint256 a, uint256 wad) private pure returns (uint256) {
        return (a * wad + WAD - 1) / WAD;
    }
}
