// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Sha512} from "./Sha512.sol";

/// @title Ed25519 signatures, checked as ZIP-215 says
/// @notice A signature is accepted if and only if `S < L` and `8 * (S*B - k*A - R) = 0`, with `k = SHA-512(R || A || M)` over
/// the bytes as they were given, and `R` and `A` decoded without any demand that their encodings be canonical.
///
/// Members verify more strictly (`verify_strict` of ed25519-dalek: no cofactor, no `R` of small order). Whatever they
/// accept satisfies the equation without the 8 and therefore with it, so that whatever makes a member vote can also be
/// held against the signer here. The other way round it does not hold: only the signer can make a signature that is
/// accepted here and not there.
///
/// Sources: RFC 8032 (curve, encodings), ZIP-215 (what is accepted), Hisil, Wong, Carter, Dawson, "Twisted Edwards Curves
/// Revisited" (2008; the formulas `add-2008-hwcd-3` and `dbl-2008-hwcd` of the EFD, complete on this curve: they have no
/// exceptional inputs).
///
/// Coordinates are numbers modulo `P`. `(X, Y, Z)` stands for the point `(X/Z, Y/Z)`; an extended point in memory is four words
/// `(X, Y, Z, T)` with `T = XY/Z`. As `P < 2^255`, the sum of two reduced numbers fits a word, and so does `a + (P - b)`; sums are
/// reduced by the next `mulmod`, which takes any words.
library Ed25519 {
    /// The field: 2^255 - 19.
    uint256 private constant P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed;
    /// 2 * P, which no sum of two reduced numbers reaches.
    uint256 private constant P_TWICE = 0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffda;
    /// (P - 5) / 8: the exponent of the square root (RFC 8032, 5.1.3).
    uint256 private constant ROOT_EXPONENT = 0x0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffd;
    /// 2^((P - 1) / 4): a square root of -1.
    uint256 private constant ROOT_OF_MINUS_ONE = 0x2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0;
    /// The constant d of the curve -x^2 + y^2 = 1 + d x^2 y^2.
    uint256 private constant D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3;
    /// 2 * d.
    uint256 private constant D_TWICE = 0x2406d9dc56dffce7198e80f2eef3d13000e0149a8283b156ebd69b9426b2f159;
    /// The order of the base point.
    uint256 private constant L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed;
    /// 2^256 modulo L.
    uint256 private constant WORD_MOD_L = 0xffffffffffffffffffffffffffffffec6ef5bf4737dcf70d6ec31748d98951d;
    /// The base point B.
    uint256 private constant BASE_X = 0x216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a;
    uint256 private constant BASE_Y = 0x6666666666666666666666666666666666666666666666666666666666666658;

    /// Bytes of a point in memory.
    uint256 private constant POINT = 128;
    /// Bytes of working memory: 16 points to add, 16 extended points, 127 digits.
    uint256 private constant WORKING = 8192;

    /// @notice Whether `r || s` is a signature of `message` by `key`.
    /// @dev With a message of at most 47 bytes, `R || A || M` is one block of SHA-512; every further block costs about 50k gas.
    /// @param key The public key A, as RFC 8032 encodes it.
    /// @param r The first 32 bytes of the signature, as they are.
    /// @param s The last 32 bytes of the signature, as they are (little-endian).
    function verify(bytes32 key, bytes32 r, bytes32 s, bytes memory message) internal view returns (bool) {
        uint256 scalar = _reverse(uint256(s));
        if (scalar >= L) return false;
        (bool decoded, uint256 ax, uint256 ay) = _decode(key);
        if (!decoded) return false;
        uint256 rx;
        uint256 ry;
        (decoded, rx, ry) = _decode(r);
        if (!decoded) return false;

        uint256 working;
        assembly ("memory-safe") {
            working := mload(0x40)
            mstore(0x40, add(working, WORKING))
        }
        uint256 k = _challenge(r, key, message);
        _fillTable(working, _negated(ax), ay);
        (uint256 x, uint256 y, uint256 z) = _straus(working, scalar, k);

        // Minus R. Its sum with (X, Y, Z) needs T: scaled by Z, the point is (XZ, YZ, ZZ) with T = XY.
        _put(working, mulmod(x, z, P), mulmod(y, z, P), mulmod(z, z, P), mulmod(x, y, P));
        rx = _negated(rx);
        unchecked {
            _put(working + POINT, rx, ry, 1, mulmod(rx, ry, P));
            _add(working, working, working + POINT);
        }
        assembly ("memory-safe") {
            x := mload(working)
            y := mload(add(working, 32))
            z := mload(add(working, 64))
            // Nothing refers to the working memory any more: it is given back.
            mstore(0x40, working)
        }
        return _isSmallOrder(x, y, z);
    }

    /// @notice Whether a member may have this key: `PublicKey::checked` of the crate outrider-types. It is the canonical
    /// encoding of a point on the curve, and that point is not of small order (anyone could sign for it). A point that is
    /// the sum of one of order L and one of small order is allowed, as it is there.
    function isStrictKey(bytes32 key) internal view returns (bool) {
        uint256 word = _reverse(uint256(key));
        (bool decoded, uint256 x, uint256 y) = _decode(key);
        // y below P, and no sign on x = 0: the only two ways in which a point has a second encoding.
        if (!decoded || (word & (type(uint256).max >> 1)) != y || (x == 0 && word >> 255 == 1)) return false;
        return !_isSmallOrder(x, y, 1);
    }

    /// SHA-512(R || A || M), a little-endian number of 512 bits, modulo L.
    function _challenge(bytes32 r, bytes32 key, bytes memory message) private pure returns (uint256) {
        (uint256 first, uint256 second) = Sha512.hash(abi.encodePacked(r, key, message));
        return addmod(mulmod(_reverse(second), WORD_MOD_L, L), _reverse(first), L);
    }

    /// The point that 32 bytes encode (RFC 8032, 5.1.3, without its demands that y be below P and that zero have no sign).
    function _decode(bytes32 encoded) private view returns (bool ok, uint256 x, uint256 y) {
        uint256 word = _reverse(uint256(encoded));
        y = (word & (type(uint256).max >> 1)) % P;
        // x^2 = u/v with u = y^2 - 1 and v = d y^2 + 1; v is never zero, as -1/d is no square.
        uint256 yy = mulmod(y, y, P);
        uint256 u = addmod(yy, P - 1, P);
        uint256 v = addmod(mulmod(D, yy, P), 1, P);
        // The candidate u v^3 (u v^7)^((P - 5) / 8).
        uint256 v3 = mulmod(mulmod(v, v, P), v, P);
        x = _power(mulmod(u, mulmod(mulmod(v3, v3, P), v, P), P), ROOT_EXPONENT);
        x = mulmod(mulmod(u, v3, P), x, P);
        uint256 vxx = mulmod(v, mulmod(x, x, P), P);
        if (vxx != u) {
            if (vxx != _negated(u)) return (false, 0, 0);
            x = mulmod(x, ROOT_OF_MINUS_ONE, P);
        }
        if ((x & 1) != word >> 255) x = _negated(x);
        ok = true;
    }

    /// Writes the 16 points `i*B + j*M`, i and j from 0 to 3, M = (mx, my), to `table + (4i + j) * POINT`, each in the form that
    /// `_straus` adds: (Y - X, Y + X, 2dT, 2Z). Uses the 16 points after them.
    function _fillTable(uint256 table, uint256 mx, uint256 my) private pure {
        // Addresses in memory: nothing overflows.
        unchecked {
            uint256 points = table + 16 * POINT;
            uint256 row = 4 * POINT;
            _put(points, 0, 1, 1, 0);
            _put(points + POINT, mx, my, 1, mulmod(mx, my, P));
            _add(points + 2 * POINT, points + POINT, points + POINT);
            _add(points + 3 * POINT, points + 2 * POINT, points + POINT);
            _put(points + row, BASE_X, BASE_Y, 1, mulmod(BASE_X, BASE_Y, P));
            _add(points + 2 * row, points + row, points + row);
            _add(points + 3 * row, points + 2 * row, points + row);
            for (uint256 i = points + row; i <= points + 3 * row; i += row) {
                for (uint256 j = POINT; j < row; j += POINT) {
                    _add(i + j, i, points + j);
                }
            }
        }
        assembly ("memory-safe") {
            for { let offset := 0 } lt(offset, 2048) { offset := add(offset, 128) } {
                let to := add(table, offset)
                let from := add(to, 2048)
                let x := mload(from)
                let y := mload(add(from, 32))
                let z := mload(add(from, 64))
                mstore(to, add(y, sub(P, x)))
                mstore(add(to, 32), add(y, x))
                mstore(add(to, 64), mulmod(D_TWICE, mload(add(from, 96)), P))
                mstore(add(to, 96), add(z, z))
            }
        }
    }

    /// @dev `s*B + k*M` with the table of B and M: both scalars (below 2^254) are read two bits at a time, the highest first
    /// (Straus). Every step doubles twice and adds a point of the table, unless that is the neutral one. The doubling is
    /// written out twice, and the addition into the loop, because calls would cost some 8k gas in all.
    /// @return X Projective, as Y and Z.
    function _straus(uint256 table, uint256 s, uint256 k) private pure returns (uint256 X, uint256 Y, uint256 Z) {
        assembly ("memory-safe") {
            // The neutral point.
            Y := 1
            Z := 1
            // 127 digits, each the offset of a point in the table. They are worked out beforehand, because the loop has no
            // place left on the stack for s and k.
            let digit := add(table, 4096)
            for {
                let shift := 252
                let to := digit
            } 1 {
                shift := sub(shift, 2)
                to := add(to, 32)
            } {
                mstore(to, or(shl(9, and(shr(shift, s), 3)), shl(7, and(shr(shift, k), 3))))
                if iszero(shift) { break }
            }
            for { let end := add(digit, 4064) } lt(digit, end) { digit := add(digit, 32) } {
                // Doubling: E = 2XY, H = -(X^2 + Y^2), G = Y^2 - X^2, F = G - 2Z^2; (EF, GH, FG), and T = EH.
                {
                    let E := mulmod(add(X, X), Y, P)
                    X := mulmod(X, X, P)
                    Y := mulmod(Y, Y, P)
                    let H := sub(P_TWICE, add(X, Y))
                    let G := addmod(Y, sub(P, X), P)
                    let F := add(G, sub(P, mulmod(Z, add(Z, Z), P)))
                    X := mulmod(E, F, P)
                    Y := mulmod(G, H, P)
                    Z := mulmod(F, G, P)
                }
                // The same again. E and H are kept for T, which only the addition needs.
                let E := mulmod(add(X, X), Y, P)
                X := mulmod(X, X, P)
                Y := mulmod(Y, Y, P)
                let H := sub(P_TWICE, add(X, Y))
                {
                    let G := addmod(Y, sub(P, X), P)
                    let F := add(G, sub(P, mulmod(Z, add(Z, Z), P)))
                    X := mulmod(E, F, P)
                    Y := mulmod(G, H, P)
                    Z := mulmod(F, G, P)
                }
                let point := mload(digit)
                // The point at offset 0 is the neutral one.
                if point {
                    point := add(table, point)
                    // Addition: A = (Y - X)(Y' - X'), B = (Y + X)(Y' + X'), C = T 2dT', D = Z 2Z'; E = B - A, F = D - C,
                    // G = D + C, H = B + A; (EF, GH, FG).
                    let C := mulmod(mulmod(E, H, P), mload(add(point, 64)), P)
                    let A := mulmod(add(Y, sub(P, X)), mload(point), P)
                    let B := mulmod(add(Y, X), mload(add(point, 32)), P)
                    Z := mulmod(Z, mload(add(point, 96)), P)
                    E := add(B, sub(P, A))
                    H := add(B, A)
                    let F := add(Z, sub(P, C))
                    let G := add(Z, C)
                    X := mulmod(E, F, P)
                    Y := mulmod(G, H, P)
                    Z := mulmod(F, G, P)
                }
            }
        }
    }

    /// Whether 8 times the point is the neutral one.
    function _isSmallOrder(uint256 X, uint256 Y, uint256 Z) private pure returns (bool yes) {
        assembly ("memory-safe") {
            // Three doublings, as in _straus.
            for { let i := 0 } lt(i, 3) { i := add(i, 1) } {
                let E := mulmod(add(X, X), Y, P)
                X := mulmod(X, X, P)
                Y := mulmod(Y, Y, P)
                let H := sub(P_TWICE, add(X, Y))
                let G := addmod(Y, sub(P, X), P)
                let F := add(G, sub(P, mulmod(Z, add(Z, Z), P)))
                X := mulmod(E, F, P)
                Y := mulmod(G, H, P)
                Z := mulmod(F, G, P)
            }
            // (0, 1). That Z is zero cannot happen with complete formulas; if it did, nothing would be proven.
            yes := and(iszero(X), and(eq(Y, Z), gt(Z, 0)))
        }
    }

    /// Writes the sum of the extended points at `a` and `b` to `to`, which may be one of them.
    function _add(uint256 to, uint256 a, uint256 b) private pure {
        assembly ("memory-safe") {
            // The addition of _straus, of two points that are not prepared for it.
            let A := mulmod(add(mload(add(a, 32)), sub(P, mload(a))), add(mload(add(b, 32)), sub(P, mload(b))), P)
            let B := mulmod(add(mload(add(a, 32)), mload(a)), add(mload(add(b, 32)), mload(b)), P)
            let C := mulmod(mulmod(mload(add(a, 96)), mload(add(b, 96)), P), D_TWICE, P)
            let Z := mulmod(mload(add(a, 64)), add(mload(add(b, 64)), mload(add(b, 64))), P)
            let E := add(B, sub(P, A))
            let F := add(Z, sub(P, C))
            let G := add(Z, C)
            let H := add(B, A)
            mstore(to, mulmod(E, F, P))
            mstore(add(to, 32), mulmod(G, H, P))
            mstore(add(to, 64), mulmod(F, G, P))
            mstore(add(to, 96), mulmod(E, H, P))
        }
    }

    function _put(uint256 to, uint256 x, uint256 y, uint256 z, uint256 t) private pure {
        assembly ("memory-safe") {
            mstore(to, x)
            mstore(add(to, 32), y)
            mstore(add(to, 64), z)
            mstore(add(to, 96), t)
        }
    }

    /// -a, reduced.
    function _negated(uint256 a) private pure returns (uint256) {
        unchecked {
            return a == 0 ? 0 : P - a;
        }
    }

    /// base^exponent modulo P, by the precompile of EIP-198.
    function _power(uint256 base, uint256 exponent) private view returns (uint256 result) {
        assembly ("memory-safe") {
            // Three lengths, three numbers, in free memory.
            let input := mload(0x40)
            mstore(input, 32)
            mstore(add(input, 32), 32)
            mstore(add(input, 64), 32)
            mstore(add(input, 96), base)
            mstore(add(input, 128), exponent)
            mstore(add(input, 160), P)
            // It fails only without gas.
            if iszero(staticcall(gas(), 5, input, 192, input, 32)) { revert(0, 0) }
            result := mload(input)
        }
    }

    /// The bytes of a word in reverse order: from and to little-endian. Neighbours change places, first bytes, at last halves.
    function _reverse(uint256 x) private pure returns (uint256) {
        uint256 mask = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
        x = ((x >> 8) & mask) | ((x & mask) << 8);
        mask = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
        x = ((x >> 16) & mask) | ((x & mask) << 16);
        mask = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
        x = ((x >> 32) & mask) | ((x & mask) << 32);
        mask = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
        x = ((x >> 64) & mask) | ((x & mask) << 64);
        return (x >> 128) | (x << 128);
    }
}
