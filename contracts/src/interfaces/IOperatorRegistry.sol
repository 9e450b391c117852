// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Who the operators are, by which keys they sign, and which key was ever whose.
interface IOperatorRegistry {
    event Registered(address indexed operator, bytes32 indexed memberKey, address indexed attester, bytes contact);
    event Rotated(address indexed operator, bytes32 indexed memberKey);
    event AttesterRotated(address indexed operator, address indexed attester);
    event Updated(address indexed operator, bytes contact);
    event Exited(address indexed operator);
    event Ejected(address indexed operator);

    /// The caller has registered before; an address is an operator once.
    error AlreadyRegistered(address operator);
    /// Never registered, or has left.
    error NotActive(address operator);
    /// Small order, not canonical, or no point of the curve.
    error WeakKey(bytes32 memberKey);
    /// The key is, or was, this operator's.
    error KeyUsed(bytes32 memberKey, address operator);
    /// The attester address is, or was, this operator's.
    error AttesterUsed(address attester, address operator);
    /// The signature does not prove that the caller has the member key.
    error BadMemberProof(bytes32 memberKey);
    /// The signature does not prove that the caller has the attester key.
    error BadAttesterProof(address attester);
    /// 1 to 512 bytes.
    error ContactLength(uint256 length);

    /// Become an operator with address `msg.sender`.
    /// @param memberKey Ed25519 key that signs in consensus
    /// @param memberProof its signature over `memberStatement(msg.sender)`, R || S, 64 bytes
    /// @param attester address of the secp256k1 key that signs checkpoints
    /// @param attesterProof its signature of `attesterDigest(msg.sender)`, r || s || v, 65 bytes, low s
    /// @param contact how other members reach it; opaque here, 1 to 512 bytes
    function register(
        bytes32 memberKey,
        bytes calldata memberProof,
        address attester,
        bytes calldata attesterProof,
        bytes calldata contact
    ) external;

    /// Sign with another member key from the next snapshot on.
    function rotate(bytes32 memberKey, bytes calldata memberProof) external;

    /// Attest with another key from the next snapshot on.
    function rotateAttester(address attester, bytes calldata attesterProof) external;

    /// Be reached elsewhere.
    function update(bytes calldata contact) external;

    /// Be in no snapshot from now on. For good: a new address registers anew, with new keys.
    function exit() external;

    /// Be in no snapshot from now on, by the court. Nothing happens if it was ejected before.
    function eject(address operator) external;

    /// Whose the key is or was; zero if nobody's.
    function operatorOf(bytes32 memberKey) external view returns (address);

    /// Whose the attester address is or was; zero if nobody's.
    function operatorOfAttester(address attester) external view returns (address);

    /// All about an operator; times are seconds, zero if it has not happened.
    function operator(address who)
        external
        view
        returns (
            bytes32 memberKey,
            address attester,
            uint64 registeredAt,
            uint64 exitAt,
            bool ejected,
            bytes memory contact
        );

    /// What a snapshot needs. `index` counts registrations from 0.
    function standing(address who)
        external
        view
        returns (bytes32 memberKey, address attester, uint32 index, bool active);

    /// Operators in order of registration, those that left included; fewer than `count` at the end of the list.
    function operators(uint256 from, uint256 count) external view returns (address[] memory);

    /// How many ever registered.
    function operatorCount() external view returns (uint256);

    /// The 40 bytes that a member key signs.
    function memberStatement(address who) external view returns (bytes memory);

    /// What an attester key signs.
    function attesterDigest(address who) external view returns (bytes32);
}
