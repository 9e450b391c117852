// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// What the adapter uses of Symbiotic: our own declarations of functions that it documents. A subnetwork is a network's
/// address followed by a number of 96 bits; hints only save gas, and are left empty.
interface ISymbioticVault {
    /// For how long what is captured stays slashable, seconds.
    function epochDuration() external view returns (uint48);

    function delegator() external view returns (address);

    function slasher() external view returns (address);
}

interface ISymbioticDelegator {
    /// Collateral of the vault that stands for the operator in the subnetwork.
    function stake(bytes32 subnetwork, address operator) external view returns (uint256);
}

interface ISymbioticSlasher {
    /// 0: slashes at once; 1: a resolver can veto.
    function TYPE() external view returns (uint64);

    /// What of the stake at that time can still be slashed.
    function slashableStake(bytes32 subnetwork, address operator, uint48 captureTimestamp, bytes memory hints)
        external
        view
        returns (uint256);
}

/// Type 0.
interface ISymbioticInstantSlasher is ISymbioticSlasher {
    function slash(bytes32 subnetwork, address operator, uint256 amount, uint48 captureTimestamp, bytes calldata hints)
        external
        returns (uint256 slashed);
}

/// Type 1.
interface ISymbioticVetoSlasher is ISymbioticSlasher {
    /// Seconds in which a resolver can veto a request.
    function vetoDuration() external view returns (uint48);

    function requestSlash(
        bytes32 subnetwork,
        address operator,
        uint256 amount,
        uint48 captureTimestamp,
        bytes calldata hints
    ) external returns (uint256 slashIndex);

    function executeSlash(uint256 slashIndex, bytes calldata hints) external returns (uint256 slashed);

    function slashRequests(uint256 slashIndex)
        external
        view
        returns (
            bytes32 subnetwork,
            address operator,
            uint256 amount,
            uint48 captureTimestamp,
            uint48 vetoDeadline,
            bool completed
        );
}
