// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IRestakingAdapter} from "../interfaces/IRestakingAdapter.sol";
import {
    ISymbioticDelegator,
    ISymbioticInstantSlasher,
    ISymbioticSlasher,
    ISymbioticVault,
    ISymbioticVetoSlasher
} from "../interfaces/ISymbiotic.sol";
import {Addresses, BadParameter, OnlyBy, Parameters} from "../interfaces/System.sol";

/// Stake in a vault of Symbiotic, whose collateral counts as wei; another vault is another adapter. This contract is the
/// middleware of the network: nobody else can slash for it.
///
/// A slash takes a share of what stood for the operator when the committee of the offence was taken from the stakes, or
/// as far back as the vault allows. A vault with resolvers slashes in two steps: the court asks, `finish` takes after the
/// vault's own veto time. Nothing goes to the reporter: the vault's burner gets it all.
///
/// Tested against `test/standins/SymbioticStandIn.sol`, not against Symbiotic itself.
contract SymbioticAdapter is IRestakingAdapter {
    /// Seconds that anyone has to call `finish`.
    uint48 public constant FINISH_WINDOW = 1 days;
    uint256 private constant ALL = 1e18;

    ISymbioticVault public immutable vault;
    ISymbioticDelegator public immutable delegator;
    address public immutable slasher;
    /// Whether resolvers can veto.
    bool public immutable vetoed;
    bytes32 public immutable subnetwork;
    address public immutable court;
    /// @inheritdoc IRestakingAdapter
    uint64 public immutable slashableFor;
    uint48 private immutable _epochDuration;

    struct Request {
        uint256 index;
        address operator;
        uint48 capture;
    }

    /// Slashes that wait for the vault's veto time, in the order in which they have to be executed.
    Request[] private _requests;
    uint256 private _finished;
    /// The vault refuses captures before one that was slashed.
    uint48 private _lastCapture;

    event Requested(address indexed operator, uint256 indexed slashIndex, uint256 amount, uint48 capture);
    event Finished(address indexed operator, uint256 indexed slashIndex, uint256 taken);
    /// Vetoed in the vault, or finished too late.
    event Lost(address indexed operator, uint256 indexed slashIndex);

    /// No slash is waiting.
    error NothingToFinish();
    /// The vault does not execute it yet.
    error NotYet(uint256 slashIndex);

    constructor(
        Parameters memory parameters,
        Addresses memory peers,
        ISymbioticVault vault_,
        address network,
        uint96 identifier
    ) {
        vault = vault_;
        delegator = ISymbioticDelegator(vault_.delegator());
        slasher = vault_.slasher();
        // A vault without a slasher secures nothing.
        if (slasher == address(0)) revert BadParameter("vault");
        uint64 kind = ISymbioticSlasher(slasher).TYPE();
        if (kind > 1) revert BadParameter("vault");
        vetoed = kind == 1;
        subnetwork = bytes32((uint256(uint160(network)) << 96) | identifier);
        court = peers.court;
        _epochDuration = vault_.epochDuration();
        uint256 ahead = vetoed ? uint256(ISymbioticVetoSlasher(slasher).vetoDuration()) + FINISH_WINDOW : 0;
        uint256 needed = uint256(parameters.evidenceAge) + parameters.vetoWindow;
        if (_epochDuration <= needed + ahead) revert BadParameter("slashableFor");
        slashableFor = uint64(_epochDuration - ahead);
    }

    /// @inheritdoc IRestakingAdapter
    function stakeOf(address operator) external view returns (uint256) {
        return delegator.stake(subnetwork, operator);
    }

    /// @inheritdoc IRestakingAdapter
    /// @dev Of the stake of a second ago. A slash reaches what stood for the operator at the time of its capture.
    function slashable(address operator) external view returns (uint256) {
        return ISymbioticSlasher(slasher).slashableStake(subnetwork, operator, uint48(block.timestamp - 1), "");
    }

    /// @inheritdoc IRestakingAdapter
    /// @dev With resolvers nothing is taken yet: `finish` does it.
    function slash(address operator, uint256 share, uint64 since, address)
        external
        returns (uint256 taken, uint256 reward)
    {
        if (msg.sender != court) revert OnlyBy(court, msg.sender);
        uint48 capture = _capture(since);
        uint256 amount = ISymbioticSlasher(slasher).slashableStake(subnetwork, operator, capture, "") * share / ALL;
        // The vault refuses to slash nothing.
        if (amount == 0) return (0, 0);
        _lastCapture = capture;
        if (!vetoed) {
            return (ISymbioticInstantSlasher(slasher).slash(subnetwork, operator, amount, capture, ""), 0);
        }
        uint256 index = ISymbioticVetoSlasher(slasher).requestSlash(subnetwork, operator, amount, capture, "");
        _requests.push(Request(index, operator, capture));
        emit Requested(operator, index, amount, capture);
        return (0, 0);
    }

    /// Execute the slash that has waited longest. By anyone, from the end of the vault's veto time on.
    function finish() external returns (uint256 taken) {
        if (_finished == _requests.length) revert NothingToFinish();
        Request memory one = _requests[_finished];
        // Before the call: nothing is executed twice.
        _finished += 1;
        try ISymbioticVetoSlasher(slasher).executeSlash(one.index, "") returns (uint256 some) {
            emit Finished(one.operator, one.index, some);
            return some;
        } catch {
            (,,,,, bool completed) = ISymbioticVetoSlasher(slasher).slashRequests(one.index);
            if (!completed && block.timestamp <= uint256(one.capture) + _epochDuration) revert NotYet(one.index);
            emit Lost(one.operator, one.index);
        }
    }

    /// How many slashes wait for `finish`.
    function waiting() external view returns (uint256) {
        return _requests.length - _finished;
    }

    /// The time of the stake that is slashed: as near to `since` as the vault allows.
    function _capture(uint64 since) private view returns (uint48 capture) {
        uint256 oldest = block.timestamp - slashableFor;
        uint256 time = since > oldest ? since : oldest;
        if (time < _lastCapture) time = _lastCapture;
        // A capture lies in the past.
        if (time >= block.timestamp) time = block.timestamp - 1;
        return uint48(time);
    }
}
