// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {
    CreateSetParams,
    IAVSRegistrar,
    IAllocationManager,
    OperatorSet,
    SlashingParams
} from "../interfaces/IEigenLayer.sol";
import {IOperatorRegistry} from "../interfaces/IOperatorRegistry.sol";
import {IRestakingAdapter} from "../interfaces/IRestakingAdapter.sol";
import {Addresses, BadParameter, OnlyBy, Parameters} from "../interfaces/System.sol";

/// Stake that operators allocated to an operator set of EigenLayer. This contract is the AVS: nobody can slash, or change
/// the set, but as is written here. One strategy, whose shares count as wei; another strategy is another adapter.
///
/// Stake counts as far as it stays slashable for `evidenceAge + vetoWindow`, whatever its operator does: an allocation that
/// ends before that does not count. A slash takes a share of the magnitude that is allocated to the set when it is
/// executed. Nothing of it goes to the reporter: EigenLayer burns it.
///
/// Tested against `test/standins/EigenLayerStandIn.sol`, not against EigenLayer itself.
contract EigenLayerAdapter is IRestakingAdapter, IAVSRegistrar {
    /// The only set.
    uint32 public constant SET = 0;

    IAllocationManager public immutable allocations;
    address public immutable strategy;
    IOperatorRegistry public immutable registry;
    address public immutable court;
    /// @inheritdoc IRestakingAdapter
    uint64 public immutable slashableFor;
    /// Blocks after which the latest evidence about the present has been executed.
    uint32 public immutable horizon;

    /// The operator is not registered with Outrider.
    error NotOurs(address operator);

    /// @param blockSeconds least seconds from one block of L1 to the next
    constructor(
        Parameters memory parameters,
        Addresses memory peers,
        IAllocationManager allocations_,
        address strategy_,
        uint32 blockSeconds,
        string memory metadataURI
    ) {
        if (blockSeconds == 0) revert BadParameter("blockSeconds");
        uint256 needed = uint256(parameters.evidenceAge) + parameters.vetoWindow;
        uint64 delay = uint64(allocations_.DEALLOCATION_DELAY()) * blockSeconds;
        if (delay <= needed) revert BadParameter("slashableFor");
        allocations = allocations_;
        strategy = strategy_;
        registry = IOperatorRegistry(peers.registry);
        court = peers.court;
        slashableFor = delay;
        horizon = uint32(needed / blockSeconds) + 1;
        allocations_.updateAVSMetadataURI(address(this), metadataURI);
        CreateSetParams[] memory sets = new CreateSetParams[](1);
        sets[0] = CreateSetParams(SET, _one(strategy_));
        allocations_.createOperatorSets(address(this), sets);
    }

    // ---- for the committee and the court

    /// @inheritdoc IRestakingAdapter
    function stakeOf(address operator) external view returns (uint256) {
        if (!allocations.isMemberOfOperatorSet(operator, OperatorSet(address(this), SET))) return 0;
        return _slashableAt(operator, block.number + horizon);
    }

    /// @inheritdoc IRestakingAdapter
    /// @dev What is queued for withdrawal is slashed as well, but EigenLayer does not say how much that is.
    function slashable(address operator) public view returns (uint256) {
        return _slashableAt(operator, block.number);
    }

    /// @inheritdoc IRestakingAdapter
    function slash(address operator, uint256 share, uint64, address) external returns (uint256 taken, uint256 reward) {
        if (msg.sender != court) revert OnlyBy(court, msg.sender);
        uint256 before = slashable(operator);
        // EigenLayer refuses to slash nothing.
        if (before == 0) return (0, 0);
        uint256[] memory shares = new uint256[](1);
        shares[0] = share;
        allocations.slashOperator(
            address(this), SlashingParams(operator, SET, _one(strategy), shares, "an offence of Outrider's protocol")
        );
        return (before - slashable(operator), 0);
    }

    // ---- for EigenLayer

    /// @inheritdoc IAVSRegistrar
    function registerOperator(address operator, address avs, uint32[] calldata operatorSetIds, bytes calldata)
        external
        view
    {
        if (msg.sender != address(allocations)) revert OnlyBy(address(allocations), msg.sender);
        if (avs != address(this) || operatorSetIds.length != 1 || operatorSetIds[0] != SET) {
            revert BadParameter("operatorSetIds");
        }
        (,,, bool active) = registry.standing(operator);
        if (!active) revert NotOurs(operator);
    }

    /// @inheritdoc IAVSRegistrar
    /// @dev Nobody is held back: it counts for no snapshot any more, and stays slashable.
    function deregisterOperator(address, address, uint32[] calldata) external pure {}

    /// @inheritdoc IAVSRegistrar
    function supportsAVS(address avs) external view returns (bool) {
        return avs == address(this);
    }

    // ---- inside

    function _slashableAt(address operator, uint256 l1Block) private view returns (uint256) {
        OperatorSet memory set = OperatorSet(address(this), SET);
        return allocations.getMinimumSlashableStake(set, _one(operator), _one(strategy), uint32(l1Block))[0][0];
    }

    function _one(address who) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = who;
    }
}
