// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ICommitteeManager} from "./interfaces/ICommitteeManager.sol";
import {IOperatorRegistry} from "./interfaces/IOperatorRegistry.sol";
import {Addresses, OnlyBy, Parameters, WrongAddress} from "./interfaces/System.sol";
import {Attestation} from "./lib/Attestation.sol";
import {Ed25519} from "./lib/Ed25519.sol";

/// Operators and their keys. An address is an operator once, a key belongs to one operator for ever: evidence signed by
/// a key that was rotated away still finds its operator, and no key can be in a committee twice.
///
/// Nobody can register, rotate or exit for somebody else. Only the court ejects.
contract OperatorRegistry is IOperatorRegistry {
    /// Most bytes of a contact.
    uint256 public constant CONTACT_BYTES_MAX = 512;

    uint64 public immutable chain;
    ICommitteeManager public immutable manager;
    address public immutable court;

    struct Operator {
        bytes32 memberKey;
        address attester;
        uint64 registeredAt;
        uint32 index;
        uint64 exitAt;
        bool ejected;
        bytes contact;
    }

    mapping(address => Operator) private _operators;
    address[] private _list;

    /// @inheritdoc IOperatorRegistry
    mapping(bytes32 => address) public operatorOf;
    /// @inheritdoc IOperatorRegistry
    mapping(address => address) public operatorOfAttester;

    constructor(Parameters memory parameters, Addresses memory peers) {
        if (address(this) != peers.registry) revert WrongAddress(peers.registry, address(this));
        chain = parameters.chain;
        manager = ICommitteeManager(peers.manager);
        court = peers.court;
    }

    /// @inheritdoc IOperatorRegistry
    function register(
        bytes32 memberKey,
        bytes calldata memberProof,
        address attester,
        bytes calldata attesterProof,
        bytes calldata contact
    ) external {
        Operator storage self = _operators[msg.sender];
        if (self.registeredAt != 0) revert AlreadyRegistered(msg.sender);
        self.registeredAt = uint64(block.timestamp);
        self.index = uint32(_list.length);
        _list.push(msg.sender);
        _take(self, memberKey, memberProof);
        _takeAttester(self, attester, attesterProof);
        _setContact(self, contact);
        emit Registered(msg.sender, memberKey, attester, contact);
        manager.offer(msg.sender);
    }

    /// @inheritdoc IOperatorRegistry
    function rotate(bytes32 memberKey, bytes calldata memberProof) external {
        _take(_active(), memberKey, memberProof);
        emit Rotated(msg.sender, memberKey);
    }

    /// @inheritdoc IOperatorRegistry
    function rotateAttester(address attester, bytes calldata attesterProof) external {
        _takeAttester(_active(), attester, attesterProof);
        emit AttesterRotated(msg.sender, attester);
    }

    /// @inheritdoc IOperatorRegistry
    function update(bytes calldata contact) external {
        _setContact(_active(), contact);
        emit Updated(msg.sender, contact);
    }

    /// @inheritdoc IOperatorRegistry
    function exit() external {
        _active().exitAt = uint64(block.timestamp);
        emit Exited(msg.sender);
    }

    /// @inheritdoc IOperatorRegistry
    function eject(address who) external {
        if (msg.sender != court) revert OnlyBy(court, msg.sender);
        Operator storage one = _operators[who];
        if (one.ejected) return;
        one.ejected = true;
        emit Ejected(who);
    }

    /// @inheritdoc IOperatorRegistry
    function operator(address who) external view returns (bytes32, address, uint64, uint64, bool, bytes memory) {
        Operator storage one = _operators[who];
        return (one.memberKey, one.attester, one.registeredAt, one.exitAt, one.ejected, one.contact);
    }

    /// @inheritdoc IOperatorRegistry
    function standing(address who) external view returns (bytes32, address, uint32, bool) {
        Operator storage one = _operators[who];
        return (one.memberKey, one.attester, one.index, _isActive(one));
    }

    /// @inheritdoc IOperatorRegistry
    function operators(uint256 from, uint256 count) external view returns (address[] memory some) {
        uint256 length = _list.length;
        if (from > length) from = length;
        if (count > length - from) count = length - from;
        some = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            some[i] = _list[from + i];
        }
    }

    /// @inheritdoc IOperatorRegistry
    function operatorCount() external view returns (uint256) {
        return _list.length;
    }

    /// @inheritdoc IOperatorRegistry
    function memberStatement(address who) public view returns (bytes memory) {
        bytes32 fields = sha256(abi.encodePacked(uint64(block.chainid), address(this), chain, who));
        return abi.encodePacked("OUTRREGI", fields);
    }

    /// @inheritdoc IOperatorRegistry
    function attesterDigest(address who) public view returns (bytes32) {
        return keccak256(abi.encodePacked("OUTRATTE", uint64(block.chainid), address(this), chain, who));
    }

    function _isActive(Operator storage one) private view returns (bool) {
        return one.registeredAt != 0 && one.exitAt == 0 && !one.ejected;
    }

    function _active() private view returns (Operator storage self) {
        self = _operators[msg.sender];
        if (!_isActive(self)) revert NotActive(msg.sender);
    }

    function _take(Operator storage self, bytes32 memberKey, bytes calldata proof) private {
        address owner = operatorOf[memberKey];
        if (owner != address(0)) revert KeyUsed(memberKey, owner);
        if (!Ed25519.isStrictKey(memberKey)) revert WeakKey(memberKey);
        if (
            proof.length != 64
                || !Ed25519.verify(memberKey, bytes32(proof[:32]), bytes32(proof[32:]), memberStatement(msg.sender))
        ) revert BadMemberProof(memberKey);
        operatorOf[memberKey] = msg.sender;
        self.memberKey = memberKey;
    }

    function _takeAttester(Operator storage self, address attester, bytes calldata proof) private {
        address owner = operatorOfAttester[attester];
        if (owner != address(0)) revert AttesterUsed(attester, owner);
        if (attester == address(0) || !_proves(attester, proof)) revert BadAttesterProof(attester);
        operatorOfAttester[attester] = msg.sender;
        self.attester = attester;
    }

    function _proves(address attester, bytes calldata proof) private view returns (bool) {
        if (proof.length != 65) return false;
        bytes32 s = bytes32(proof[32:64]);
        if (uint256(s) > Attestation.S_MAX) return false;
        return ecrecover(attesterDigest(msg.sender), uint8(proof[64]), bytes32(proof[:32]), s) == attester;
    }

    function _setContact(Operator storage self, bytes calldata contact) private {
        if (contact.length == 0 || contact.length > CONTACT_BYTES_MAX) revert ContactLength(contact.length);
        self.contact = contact;
    }
}
