// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IBondedStake} from "./interfaces/IBondedStake.sol";
import {ICommitteeManager} from "./interfaces/ICommitteeManager.sol";
import {IFinalityAnchor} from "./interfaces/IFinalityAnchor.sol";
import {IRestakingAdapter} from "./interfaces/IRestakingAdapter.sol";
import {ISlashingCourt} from "./interfaces/ISlashingCourt.sol";
import {Addresses, BadParameter, OnlyBy, Parameters, WrongAddress} from "./interfaces/System.sol";

/// ETH that operators bond. It leaves only when the unbonding time is over, no case is open, and evidence about the last
/// epoch in whose committee the operator was would be too old: what was at stake in an epoch can be slashed for it.
///
/// The contract holds what is bonded, what is unbonding, and rewards that their owners did not take; nothing else can
/// send it ETH by a call.
contract BondedStake is IBondedStake {
    /// Where slashed ETH goes.
    address public constant BURNED = address(0xdead);
    /// Gas that a reporter's account gets with its reward; one that needs more calls `collect`.
    uint256 private constant REWARD_GAS = 30_000;
    uint256 private constant ALL = 1e18;

    uint64 public immutable unbonding;
    uint64 public immutable evidenceAge;
    uint256 public immutable rewardShare;
    ICommitteeManager public immutable manager;
    IFinalityAnchor public immutable anchor;
    ISlashingCourt public immutable court;

    struct Account {
        uint256 bonded;
        uint192 unbonding;
        uint64 withdrawableAt;
    }

    mapping(address => Account) private _accounts;
    /// @inheritdoc IBondedStake
    mapping(address => uint256) public owed;
    /// @inheritdoc IBondedStake
    uint256 public totalHeld;

    constructor(Parameters memory parameters, Addresses memory peers) {
        if (address(this) != peers.bonded) revert WrongAddress(peers.bonded, address(this));
        if (parameters.unbonding <= parameters.evidenceAge) revert BadParameter("unbonding");
        if (parameters.unbonding > 3650 days) revert BadParameter("unbonding");
        // With all of it, reporting oneself would cost nothing.
        if (parameters.rewardShare >= ALL) revert BadParameter("rewardShare");
        unbonding = parameters.unbonding;
        evidenceAge = parameters.evidenceAge;
        rewardShare = parameters.rewardShare;
        manager = ICommitteeManager(peers.manager);
        anchor = IFinalityAnchor(peers.anchor);
        court = ISlashingCourt(peers.court);
    }

    /// @inheritdoc IBondedStake
    function deposit(address operator) external payable {
        if (msg.value == 0 || operator == address(0)) revert NothingToMove();
        _accounts[operator].bonded += msg.value;
        totalHeld += msg.value;
        emit Deposited(operator, msg.sender, msg.value);
        manager.offer(operator);
    }

    /// @inheritdoc IBondedStake
    function unbond(uint256 amount) external {
        Account storage account = _accounts[msg.sender];
        if (amount == 0) revert NothingToMove();
        if (amount > account.bonded) revert NotBonded(account.bonded, amount);
        uint64 withdrawableAt = uint64(block.timestamp) + unbonding;
        account.bonded -= amount;
        // There is not that much ETH.
        account.unbonding += uint192(amount);
        account.withdrawableAt = withdrawableAt;
        emit Unbonded(msg.sender, amount, withdrawableAt);
    }

    /// @inheritdoc IBondedStake
    function withdraw() external {
        Account storage account = _accounts[msg.sender];
        uint256 amount = account.unbonding;
        if (amount == 0) revert NothingToMove();
        if (block.timestamp < account.withdrawableAt) revert StillUnbonding(account.withdrawableAt);
        if (court.openCaseOf(msg.sender)) revert CaseOpen(msg.sender);
        _requireOutOfReach(msg.sender);
        account.unbonding = 0;
        totalHeld -= amount;
        emit Withdrawn(msg.sender, amount);
        _pay(msg.sender, amount);
    }

    /// @inheritdoc IBondedStake
    function collect() external {
        uint256 amount = owed[msg.sender];
        if (amount == 0) revert NothingToMove();
        owed[msg.sender] = 0;
        emit Collected(msg.sender, amount);
        _pay(msg.sender, amount);
    }

    /// @inheritdoc IRestakingAdapter
    /// @dev `since` does not matter here: nothing that was at stake then has left.
    function slash(address operator, uint256 share, uint64, address reporter)
        external
        returns (uint256 taken, uint256 reward)
    {
        if (msg.sender != address(court)) revert OnlyBy(address(court), msg.sender);
        if (share > ALL) revert BadParameter("share");
        Account storage account = _accounts[operator];
        uint256 fromBonded = account.bonded * share / ALL;
        uint256 fromUnbonding = account.unbonding * share / ALL;
        taken = fromBonded + fromUnbonding;
        reward = taken * rewardShare / ALL;
        account.bonded -= fromBonded;
        account.unbonding -= uint192(fromUnbonding);
        totalHeld -= taken;
        emit Slashed(operator, taken, reward, reporter);
        if (taken == 0) return (0, 0);
        _pay(BURNED, taken - reward);
        _offerReward(reporter, reward);
    }

    /// @inheritdoc IRestakingAdapter
    function stakeOf(address operator) external view returns (uint256) {
        return _accounts[operator].bonded;
    }

    /// @inheritdoc IRestakingAdapter
    function slashable(address operator) external view returns (uint256) {
        Account storage account = _accounts[operator];
        return account.bonded + account.unbonding;
    }

    /// @inheritdoc IRestakingAdapter
    /// @dev Stake of a committee stays however long its epoch takes; this is only the shortest time.
    function slashableFor() external view returns (uint64) {
        return unbonding;
    }

    /// @inheritdoc IBondedStake
    function balanceOf(address operator) external view returns (uint256, uint256, uint64) {
        Account storage account = _accounts[operator];
        return (account.bonded, account.unbonding, account.withdrawableAt);
    }

    /// Refuse while evidence about an epoch in whose committee the operator was, or may come to be, can be reported.
    function _requireOutOfReach(address operator) private view {
        (bool ever, uint64 epoch) = manager.lastEpochOf(operator);
        // Before the chain begins, nobody was in a committee, and it begins from no snapshot older than `unbonding`.
        if (!ever || !anchor.begun()) return;
        uint64 ended = anchor.endedAt(epoch);
        if (ended == 0) revert StillInCommittee(epoch, 0);
        // At the very limit, evidence is still taken.
        if (block.timestamp <= ended + evidenceAge) revert StillInCommittee(epoch, ended + evidenceAge);
    }

    function _offerReward(address reporter, uint256 reward) private {
        if (reward == 0) return;
        // A reporter that fails or burns its gas can stop nothing: it is owed the reward.
        bool paid;
        assembly ("memory-safe") { paid := call(REWARD_GAS, reporter, reward, 0, 0, 0, 0) }
        if (!paid) owed[reporter] += reward;
    }

    function _pay(address to, uint256 amount) private {
        if (amount == 0) return;
        (bool paid,) = to.call{value: amount}("");
        if (!paid) revert NotPaid(to, amount);
    }
}
