// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRestakingAdapter} from "./IRestakingAdapter.sol";

/// ETH that operators bond here.
interface IBondedStake is IRestakingAdapter {
    event Deposited(address indexed operator, address indexed from, uint256 amount);
    event Unbonded(address indexed operator, uint256 amount, uint64 withdrawableAt);
    event Withdrawn(address indexed operator, uint256 amount);
    event Slashed(address indexed operator, uint256 taken, uint256 reward, address indexed reporter);
    event Collected(address indexed reporter, uint256 amount);

    /// Nothing is deposited, unbonded, withdrawn or collected.
    error NothingToMove();
    /// Less is bonded.
    error NotBonded(uint256 bonded, uint256 asked);
    /// Wait until then.
    error StillUnbonding(uint64 until);
    /// In the committee of the epoch, or in a snapshot for it; `until` is when evidence about it is too old, 0 if the
    /// epoch has not ended.
    error StillInCommittee(uint64 epoch, uint64 until);
    /// The court has a case open against the operator.
    error CaseOpen(address operator);
    /// The receiver refused the ETH.
    error NotPaid(address to, uint256 amount);

    /// Bond `msg.value` for an operator. Only the operator can take it out.
    function deposit(address operator) external payable;

    /// Stop counting `amount`. It can be withdrawn `unbonding` seconds later, and stays slashable until it is. What
    /// is unbonding already starts its wait anew.
    function unbond(uint256 amount) external;

    /// Take out all that is unbonded.
    function withdraw() external;

    /// Take out rewards that could not be paid when they were due.
    function collect() external;

    /// Wei.
    function balanceOf(address operator)
        external
        view
        returns (uint256 bonded, uint256 unbonding, uint64 withdrawableAt);

    /// Wei that `collect` pays.
    function owed(address reporter) external view returns (uint256);

    /// All that is bonded and unbonding, wei.
    function totalHeld() external view returns (uint256);
}
