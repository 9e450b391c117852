// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// What is fixed when the contracts are deployed. The same for all six.
/// @param chain Outrider's chain id (not the chain id of L1)
/// @param epochBlocks heights in an epoch; 0: epochs do not end
/// @param firstEpoch the epoch that begins with `FinalityAnchor.begin`
/// @param stakeUnit wei that make one unit of a committee's stake
/// @param stakeMin least wei with which an operator counts; at least `stakeUnit`
/// @param membersMax most members of a committee, 1 to 256
/// @param unbonding seconds from `unbond` to `withdraw`; longer than `evidenceAge`
/// @param evidenceAge seconds after the end of an epoch in which evidence about it is taken
/// @param vetoWindow seconds from a report in which `vetoer` can stop it, and after which it is executed
/// @param vetoer who can veto; none if zero
/// @param inboxWindow seconds that the committee has to include a forced transaction
/// @param slashShare share of the stake that an executed case takes, 1e18 is all
/// @param rewardShare share of what is taken that goes to the reporter, below 1e18
struct Parameters {
    uint64 chain;
    uint64 epochBlocks;
    uint64 firstEpoch;
    uint256 stakeUnit;
    uint256 stakeMin;
    uint16 membersMax;
    uint64 unbonding;
    uint64 evidenceAge;
    uint64 vetoWindow;
    address vetoer;
    uint64 inboxWindow;
    uint256 slashShare;
    uint256 rewardShare;
}

/// Where the six contracts are: one account deploys them in this order, so that each knows the others' addresses.
struct Addresses {
    address registry;
    address bonded;
    address manager;
    address inbox;
    address anchor;
    address court;
}

/// A parameter is out of its range.
error BadParameter(string name);
/// The contract is not where the others will look for it: the deployer's nonce was not what was predicted.
error WrongAddress(address predicted, address actual);
/// Only that contract or account may call this.
error OnlyBy(address who, address caller);
