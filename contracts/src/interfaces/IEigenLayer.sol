// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// A set of operators of one AVS.
struct OperatorSet {
    address avs;
    uint32 id;
}

/// What a set is made of.
struct CreateSetParams {
    uint32 operatorSetId;
    address[] strategies;
}

/// Which operator loses which proportions (1e18 is all) of what it has allocated to the set.
struct SlashingParams {
    address operator;
    uint32 operatorSetId;
    address[] strategies;
    uint256[] wadsToSlash;
    string description;
}

/// What the adapter uses of EigenLayer's AllocationManager: our own declaration of functions that it documents.
interface IAllocationManager {
    /// Blocks for which a deallocated magnitude, or a deregistered operator, stays slashable.
    function DEALLOCATION_DELAY() external view returns (uint32);

    function updateAVSMetadataURI(address avs, string calldata metadataURI) external;

    function createOperatorSets(address avs, CreateSetParams[] calldata params) external;

    function isMemberOfOperatorSet(address operator, OperatorSet memory operatorSet) external view returns (bool);

    /// Shares by operator and strategy that are slashable now and, as far as is known now, still at `futureBlock`.
    function getMinimumSlashableStake(
        OperatorSet memory operatorSet,
        address[] memory operators,
        address[] memory strategies,
        uint32 futureBlock
    ) external view returns (uint256[][] memory);

    function slashOperator(address avs, SlashingParams calldata params) external;
}

/// What EigenLayer calls when operators come to a set and leave it.
interface IAVSRegistrar {
    function registerOperator(address operator, address avs, uint32[] calldata operatorSetIds, bytes calldata data)
        external;

    function deregisterOperator(address operator, address avs, uint32[] calldata operatorSetIds) external;

    function supportsAVS(address avs) external view returns (bool);
}
