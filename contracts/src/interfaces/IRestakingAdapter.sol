// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Where stake comes from. Amounts are wei, times seconds.
interface IRestakingAdapter {
    /// Stake that counts for the next committee.
    function stakeOf(address operator) external view returns (uint256);

    /// Stake that a slash now would reach, what is on its way out included.
    function slashable(address operator) external view returns (uint256);

    /// Take a share of what is slashable. Only the court.
    /// @param share 1e18 is all
    /// @param since when the committee in which the offence happened was taken from the stakes
    /// @param reporter who gets the reward, if the adapter can pay one
    /// @return taken wei taken, the reward included
    /// @return reward wei for the reporter
    function slash(address operator, uint256 share, uint64 since, address reporter)
        external
        returns (uint256 taken, uint256 reward);

    /// For how long stake stays slashable after it began to leave. Above `evidenceAge + vetoWindow`.
    function slashableFor() external view returns (uint64);
}
