// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Stands in for a vault of Symbiotic with its delegator and slasher in one contract, by what their documentation says:
/// epochs, withdrawals that leave after the next one, captures that are slashable for an epoch and in order, and a
/// resolver that can veto. One network, no tokens, no hints.
contract SymbioticStandIn {
    uint48 public immutable epochDuration;
    uint48 public immutable vetoDuration;
    uint64 public immutable TYPE;
    uint48 public immutable startedAt;
    address public immutable delegator = address(this);
    address public immutable slasher = address(this);
    address public middleware;
    address public resolver;

    struct Checkpoint {
        uint48 time;
        uint256 amount;
    }

    struct SlashRequest {
        bytes32 subnetwork;
        address operator;
        uint256 amount;
        uint48 captureTimestamp;
        uint48 vetoDeadline;
        bool completed;
    }

    Checkpoint[] private _active;
    mapping(address operator => Checkpoint[]) private _limits;
    mapping(address operator => Checkpoint[]) private _slashed;
    mapping(uint256 epoch => uint256) public withdrawals;
    uint48 private _latestCapture;
    SlashRequest[] public slashRequests;

    error NotNetworkMiddleware();
    error InvalidCaptureTimestamp();
    error InsufficientSlash();
    error SlashRequestNotExist();
    error SlashRequestCompleted();
    error SlashPeriodEnded();
    error OutdatedCaptureTimestamp();
    error VetoPeriodNotEnded();
    error VetoPeriodEnded();
    error NotResolver();
    error WithdrawalNotMatured();

    constructor(uint48 epochDuration_, uint48 vetoDuration_, uint64 kind) {
        require(vetoDuration_ < epochDuration_);
        (epochDuration, vetoDuration, TYPE, startedAt) = (epochDuration_, vetoDuration_, kind, uint48(block.timestamp));
    }

    function setUp(address middleware_, address resolver_) external {
        (middleware, resolver) = (middleware_, resolver_);
    }

    // ---- stakers and curator

    function currentEpoch() public view returns (uint256) {
        return epochAt(uint48(block.timestamp));
    }

    function epochAt(uint48 time) public view returns (uint256) {
        return (time - startedAt) / epochDuration;
    }

    function deposit(uint256 amount) external {
        _push(_active, _latest(_active) + amount);
    }

    /// Leaves with the end of the next epoch.
    function withdraw(uint256 amount) external {
        _push(_active, _latest(_active) - amount);
        withdrawals[currentEpoch() + 1] += amount;
    }

    function claim(uint256 epoch) external returns (uint256 paid) {
        if (epoch >= currentEpoch()) revert WithdrawalNotMatured();
        paid = withdrawals[epoch];
        delete withdrawals[epoch];
    }

    function setOperatorLimit(address operator, uint256 amount) external {
        _push(_limits[operator], amount);
    }

    // ---- delegator

    function stake(bytes32 subnetwork, address operator) external view returns (uint256) {
        return stakeAt(subnetwork, operator, uint48(block.timestamp));
    }

    function stakeAt(bytes32, address operator, uint48 time) public view returns (uint256) {
        uint256 limit = _at(_limits[operator], time);
        uint256 active = _at(_active, time);
        return limit < active ? limit : active;
    }

    // ---- slasher

    function slashableStake(bytes32 subnetwork, address operator, uint48 capture, bytes memory)
        public
        view
        returns (uint256)
    {
        if (capture + epochDuration < block.timestamp || capture >= block.timestamp || capture < _latestCapture) {
            return 0;
        }
        uint256 captured = stakeAt(subnetwork, operator, capture);
        uint256 since = _latest(_slashed[operator]) - _at(_slashed[operator], capture);
        return since < captured ? captured - since : 0;
    }

    function slash(bytes32 subnetwork, address operator, uint256 amount, uint48 capture, bytes calldata)
        external
        returns (uint256)
    {
        require(TYPE == 0);
        if (msg.sender != middleware) revert NotNetworkMiddleware();
        if (capture + epochDuration < block.timestamp || capture >= block.timestamp) revert InvalidCaptureTimestamp();
        if (capture < _latestCapture) revert OutdatedCaptureTimestamp();
        amount = _min(amount, slashableStake(subnetwork, operator, capture, ""));
        if (amount == 0) revert InsufficientSlash();
        _take(operator, amount, capture);
        return amount;
    }

    function requestSlash(bytes32 subnetwork, address operator, uint256 amount, uint48 capture, bytes calldata)
        external
        returns (uint256 index)
    {
        require(TYPE == 1);
        if (msg.sender != middleware) revert NotNetworkMiddleware();
        if (capture + epochDuration < block.timestamp + vetoDuration || capture >= block.timestamp) {
            revert InvalidCaptureTimestamp();
        }
        amount = _min(amount, slashableStake(subnetwork, operator, capture, ""));
        if (amount == 0) revert InsufficientSlash();
        index = slashRequests.length;
        uint48 deadline = uint48(block.timestamp) + vetoDuration;
        slashRequests.push(SlashRequest(subnetwork, operator, amount, capture, deadline, false));
    }

    function executeSlash(uint256 index, bytes calldata) external returns (uint256 amount) {
        if (msg.sender != middleware) revert NotNetworkMiddleware();
        if (index >= slashRequests.length) revert SlashRequestNotExist();
        SlashRequest storage one = slashRequests[index];
        if (resolver != address(0) && one.vetoDeadline > block.timestamp) revert VetoPeriodNotEnded();
        if (block.timestamp - one.captureTimestamp > epochDuration) revert SlashPeriodEnded();
        if (one.captureTimestamp < _latestCapture) revert OutdatedCaptureTimestamp();
        if (one.completed) revert SlashRequestCompleted();
        one.completed = true;
        amount = _min(one.amount, slashableStake(one.subnetwork, one.operator, one.captureTimestamp, ""));
        _take(one.operator, amount, one.captureTimestamp);
    }

    function vetoSlash(uint256 index, bytes calldata) external {
        if (msg.sender != resolver) revert NotResolver();
        SlashRequest storage one = slashRequests[index];
        if (one.vetoDeadline <= block.timestamp) revert VetoPeriodEnded();
        if (one.completed) revert SlashRequestCompleted();
        one.completed = true;
    }

    // ---- inside

    /// In proportion from what is active and from withdrawals that the capture still reaches.
    function _take(address operator, uint256 amount, uint48 capture) private {
        _latestCapture = capture;
        _push(_slashed[operator], _latest(_slashed[operator]) + amount);
        uint256 epoch = currentEpoch();
        uint256 active = _latest(_active);
        uint256 current = epochAt(capture) < epoch ? withdrawals[epoch] : 0;
        uint256 next = withdrawals[epoch + 1];
        uint256 all = active + current + next;
        amount = _min(amount, all);
        if (amount == 0) return;
        uint256 fromNext = next * amount / all;
        uint256 fromCurrent = current * amount / all;
        withdrawals[epoch + 1] -= fromNext;
        withdrawals[epoch] -= fromCurrent;
        _push(_active, active - (amount - fromNext - fromCurrent));
    }

    function _push(Checkpoint[] storage list, uint256 amount) private {
        list.push(Checkpoint(uint48(block.timestamp), amount));
    }

    function _latest(Checkpoint[] storage list) private view returns (uint256) {
        return list.length == 0 ? 0 : list[list.length - 1].amount;
    }

    function _at(Checkpoint[] storage list, uint48 time) private view returns (uint256) {
        for (uint256 i = list.length; i > 0; i--) {
            if (list[i - 1].time <= time) return list[i - 1].amount;
        }
        return 0;
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
