// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Compact secp256k1 signatures (EIP-2098) of the members that a bitmap names, against the attester addresses of a
/// roster.
library Attestation {
    /// Half the order of secp256k1: of the two signatures that hold, the one with s up to it is taken.
    uint256 internal constant S_MAX = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// The bitmap names a member that the committee does not have.
    error BitmapTooLong(uint256 bitmap, uint256 members);
    /// 64 bytes for each bit of the bitmap.
    error SignatureLength(uint256 length, uint256 wanted);
    /// The signature of that member is not by its attester, or has a high s.
    error BadAttestation(uint256 member);

    /// The weight of those who signed. Reverts if one of them did not.
    /// @param blob roster of the committee, its first 32 bytes per member: attester 20 || weight 12
    function weigh(address blob, uint256 members, bytes32 digest, uint256 bitmap, bytes calldata signatures)
        internal
        view
        returns (uint256 weight)
    {
        // A shift by 256 is zero.
        if (bitmap >> members != 0) revert BitmapTooLong(bitmap, members);
        bool short_;
        uint256 bad = type(uint256).max;
        uint256 used;
        assembly ("memory-safe") {
            // Memory: the 128 bytes that ecrecover reads, then the entries. Scratch space takes what it returns.
            let call_ := mload(0x40)
            let entry := add(call_, 0x80)
            extcodecopy(blob, entry, 1, shl(5, members))
            mstore(call_, digest)
            let cursor := signatures.offset
            let end := add(cursor, signatures.length)
            for { let left := bitmap } left {
                left := shr(1, left)
                entry := add(entry, 0x20)
            } {
                if iszero(and(left, 1)) { continue }
                if gt(add(cursor, 64), end) {
                    short_ := 1
                    break
                }
                let ys := calldataload(add(cursor, 0x20))
                let s := shr(1, shl(1, ys))
                mstore(add(call_, 0x20), add(27, shr(255, ys)))
                mstore(add(call_, 0x40), calldataload(cursor))
                mstore(add(call_, 0x60), s)
                mstore(0, 0)
                pop(staticcall(gas(), 1, call_, 0x80, 0, 0x20))
                let found := mload(0)
                let known := mload(entry)
                if or(or(iszero(found), xor(found, shr(96, known))), gt(s, S_MAX)) {
                    bad := shr(5, sub(sub(entry, call_), 0x80))
                    break
                }
                weight := add(weight, and(known, 0xffffffffffffffffffffffff))
                cursor := add(cursor, 64)
            }
            used := sub(cursor, signatures.offset)
        }
        if (bad != type(uint256).max) revert BadAttestation(bad);
        if (short_ || used != signatures.length) revert SignatureLength(signatures.length, _ones(bitmap) * 64);
    }

    /// Who signed; zero if nobody can have.
    function signer(bytes32 digest, bytes calldata signature) internal pure returns (address) {
        if (signature.length != 64) revert SignatureLength(signature.length, 64);
        bytes32 r = bytes32(signature[0:32]);
        uint256 ys = uint256(bytes32(signature[32:64]));
        uint256 s = ys & (type(uint256).max >> 1);
        if (s > S_MAX) return address(0);
        return ecrecover(digest, uint8(27 + (ys >> 255)), r, bytes32(s));
    }

    function _ones(uint256 bitmap) private pure returns (uint256 count) {
        for (; bitmap != 0; bitmap &= bitmap - 1) {
            count++;
        }
    }
}
