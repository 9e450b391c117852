// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Sha512} from "./Sha512.sol";

library Ed25519 {
    uint256 internal constant P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed;
    uint256 internal constant D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3;
    uint256 internal constant D2 = 0x2406d9dc56dffce7198e80f2eef3d13000e0149a8283b156ebd69b9426b2f159;
    uint256 internal constant SQRTM1 = 0x2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0;
    uint256 internal constant L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed;
    uint256 internal constant R256 = 0xffffffffffffffffffffffffffffffec6ef5bf4737dcf70d6ec31748d98951d;
    uint256 internal constant BX = 0x216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a;
    uint256 internal constant BY = 0x6666666666666666666666666666666666666666666666666666666666666658;

    function swap(uint256 x) internal pure returns (uint256) {
        x = ((x >> 8) & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff)
            | ((x & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff) << 8);
        x = ((x >> 16) & 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff)
            | ((x & 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff) << 16);
        x = ((x >> 32) & 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff)
            | ((x & 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff) << 32);
        x = ((x >> 64) & 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff)
            | ((x & 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff) << 64);
        return (x >> 128) | (x << 128);
    }

    function modexp(uint256 b, uint256 e) private view returns (uint256 r) {
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, 32)
            mstore(add(m, 32), 32)
            mstore(add(m, 64), 32)
            mstore(add(m, 96), b)
            mstore(add(m, 128), e)
            mstore(add(m, 160), P)
            if iszero(staticcall(gas(), 5, m, 192, m, 32)) { revert(0, 0) }
            r := mload(m)
        }
    }

    function decompress(bytes32 enc) internal view returns (bool ok, uint256 x, uint256 y) {
        uint256 c = swap(uint256(enc));
        uint256 sign = c >> 255;
        y = (c & (type(uint256).max >> 1)) % P;
        uint256 yy = mulmod(y, y, P);
        uint256 u = addmod(yy, P - 1, P);
        uint256 v = addmod(mulmod(D, yy, P), 1, P);
        uint256 v3 = mulmod(mulmod(v, v, P), v, P);
        x = mulmod(
            mulmod(u, v3, P),
            modexp(
                mulmod(u, mulmod(mulmod(v3, v3, P), v, P), P),
                0x0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffd
            ),
            P
        );
        uint256 t = mulmod(v, mulmod(x, x, P), P);
        if (t != u) {
            if (t != (P - u) % P) return (false, 0, 0);
            x = mulmod(x, SQRTM1, P);
        }
        if ((x & 1) != sign) x = (P - x) % P;
        ok = true;
    }

    /// 2-bit joint Straus over the cached table at the free memory pointer; returns projective (X,Y,Z)
    function _straus(uint256 s, uint256 k) private pure returns (uint256 X, uint256 Y, uint256 Z) {
        assembly ("memory-safe") {
            Y := 1
            Z := 1
            // digit stream: byte i = table offset / 128 for window i (127 windows, most significant first)
            let dg := add(mload(0x40), 4096)
            for {
                let sh := 252
                let o := dg
            } 1 {
                sh := sub(sh, 2)
                o := add(o, 32)
            } {
                mstore(o, or(shl(9, and(shr(sh, s), 3)), shl(7, and(shr(sh, k), 3))))
                if iszero(sh) { break }
            }
            for { let dend := add(dg, 4064) } lt(dg, dend) { dg := add(dg, 32) } {
                {
                    let Ee := mulmod(add(X, X), Y, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    X := mulmod(X, X, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    Y := mulmod(Y, Y, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    let H := sub(0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffda, add(X, Y))
                    X := addmod(
                        Y,
                        sub(0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed, X),
                        0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed
                    ) // G
                    Y := add(
                        X,
                        sub(
                            0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed,
                            mulmod(Z, add(Z, Z), 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                        )
                    ) // F
                    Z := mulmod(Y, X, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    let y2 := Y
                    Y := mulmod(X, H, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    X := mulmod(Ee, y2, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                }
                let t := mload(dg)
                {
                    let Ee := mulmod(add(X, X), Y, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    X := mulmod(X, X, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    Y := mulmod(Y, Y, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    let H := sub(0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffda, add(X, Y))
                    X := addmod(
                        Y,
                        sub(0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed, X),
                        0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed
                    )
                    Y := add(
                        X,
                        sub(
                            0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed,
                            mulmod(Z, add(Z, Z), 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                        )
                    )
                    Z := mulmod(Y, X, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    let y2 := Y
                    Y := mulmod(X, H, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    X := mulmod(Ee, y2, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    if t {
                        t := add(mload(0x40), t)
                        H := mulmod(
                            mulmod(Ee, H, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed),
                            mload(add(t, 64)),
                            0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed
                        ) // C
                        Ee := mulmod(
                            add(Y, sub(0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed, X)),
                            mload(t),
                            0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed
                        ) // A
                        y2 := mulmod(
                            add(Y, X),
                            mload(add(t, 32)),
                            0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed
                        ) // B
                        Z := mulmod(
                            Z,
                            mload(add(t, 96)),
                            0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed
                        ) // D
                        X := add(y2, sub(0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed, Ee)) // E
                        y2 := add(y2, Ee) // H
                        Ee := add(Z, sub(0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed, H)) // F
                        H := add(Z, H) // G
                        X := mulmod(X, Ee, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                        Y := mulmod(H, y2, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                        Z := mulmod(Ee, H, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed)
                    }
                }
            }
        }
    }

    /// @return true iff the signature is valid under ZIP-215 rules
    function verify(bytes32 pk, bytes32 rEnc, bytes32 sEnc, bytes memory message) internal view returns (bool) {
        uint256 s = swap(uint256(sEnc));
        if (s >= L) return false;
        uint256 k;
        {
            (uint256 hi, uint256 lo) = Sha512.hash(abi.encodePacked(rEnc, pk, message));
            k = addmod(mulmod(swap(lo), R256, L), swap(hi), L);
        }
        (bool ok, uint256 ax, uint256 ay) = decompress(pk);
        if (!ok) return false;
        uint256 rx;
        uint256 ry;
        (ok, rx, ry) = decompress(rEnc);
        if (!ok) return false;
        assembly ("memory-safe") {
            let p := P
            let T := mload(0x40) // 16 cached points of 128 bytes: (Y-X, Y+X, 2dT, 2Z)
            let E := add(T, 2048) // 16 extended points (X,Y,Z,T)
            // generic extended addition out = a + b
            function addExt(o, a, b) {
                let q := P
                let A := mulmod(add(mload(add(a, 32)), sub(q, mload(a))), add(mload(add(b, 32)), sub(q, mload(b))), q)
                let B := mulmod(add(mload(add(a, 32)), mload(a)), add(mload(add(b, 32)), mload(b)), q)
                let C := mulmod(mulmod(mload(add(a, 96)), mload(add(b, 96)), q), D2, q)
                let Dd := mulmod(mload(add(a, 64)), add(mload(add(b, 64)), mload(add(b, 64))), q)
                let e := add(B, sub(q, A))
                let f := add(Dd, sub(q, C))
                let g := add(Dd, C)
                let h := add(B, A)
                mstore(o, mulmod(e, f, q))
                mstore(add(o, 32), mulmod(g, h, q))
                mstore(add(o, 64), mulmod(f, g, q))
                mstore(add(o, 96), mulmod(e, h, q))
            }
            function put(o, x, y) {
                mstore(o, x)
                mstore(add(o, 32), y)
                mstore(add(o, 64), 1)
                mstore(add(o, 96), mulmod(x, y, P))
            }
            // index = 4*i + j : i*B - j*A
            put(E, 0, 1)
            ax := mod(sub(p, ax), p)
            put(add(E, 128), ax, ay)
            addExt(add(E, 256), add(E, 128), add(E, 128))
            addExt(add(E, 384), add(E, 256), add(E, 128))
            put(add(E, 512), BX, BY)
            addExt(add(E, 1024), add(E, 512), add(E, 512))
            addExt(add(E, 1536), add(E, 1024), add(E, 512))
            for { let i := 512 } lt(i, 2048) { i := add(i, 512) } {
                for { let j := 128 } lt(j, 512) { j := add(j, 128) } { addExt(add(E, add(i, j)), add(E, i), add(E, j)) }
            }
            for { let i := 0 } lt(i, 2048) { i := add(i, 128) } {
                let e := add(E, i)
                let t := add(T, i)
                let X := mload(e)
                let Y := mload(add(e, 32))
                let Z := mload(add(e, 64))
                mstore(t, add(Y, sub(p, X)))
                mstore(add(t, 32), add(Y, X))
                mstore(add(t, 64), mulmod(D2, mload(add(e, 96)), p))
                mstore(add(t, 96), add(Z, Z))
            }
        }
        (uint256 X, uint256 Y, uint256 Z) = _straus(s, k);
        assembly ("memory-safe") {
            let p := P
            let E := add(mload(0x40), 2048)
            function addExt(o, a, b) {
                let q := P
                let A := mulmod(add(mload(add(a, 32)), sub(q, mload(a))), add(mload(add(b, 32)), sub(q, mload(b))), q)
                let B := mulmod(add(mload(add(a, 32)), mload(a)), add(mload(add(b, 32)), mload(b)), q)
                let C := mulmod(mulmod(mload(add(a, 96)), mload(add(b, 96)), q), D2, q)
                let Dd := mulmod(mload(add(a, 64)), add(mload(add(b, 64)), mload(add(b, 64))), q)
                let e := add(B, sub(q, A))
                let f := add(Dd, sub(q, C))
                let g := add(Dd, C)
                let h := add(B, A)
                mstore(o, mulmod(e, f, q))
                mstore(add(o, 32), mulmod(g, h, q))
                mstore(add(o, 64), mulmod(f, g, q))
                mstore(add(o, 96), mulmod(e, h, q))
            }
            function put(o, x, y) {
                mstore(o, x)
                mstore(add(o, 32), y)
                mstore(add(o, 64), 1)
                mstore(add(o, 96), mulmod(x, y, P))
            }
            // subtract R: need T; recompute in extended coordinates scaled by Z: (XZ, YZ, ZZ, XY)
            let o := E
            mstore(o, mulmod(X, Z, p))
            mstore(add(o, 32), mulmod(Y, Z, p))
            mstore(add(o, 64), mulmod(Z, Z, p))
            mstore(add(o, 96), mulmod(X, Y, p))
            put(add(E, 128), mod(sub(p, rx), p), ry)
            addExt(add(E, 256), o, add(E, 128))
            X := mload(add(E, 256))
            Y := mload(add(E, 288))
            Z := mload(add(E, 320))
            for { let i := 0 } lt(i, 3) { i := add(i, 1) } {
                let A := mulmod(X, X, p)
                let B := mulmod(Y, Y, p)
                let G := addmod(B, sub(p, A), p)
                let F := add(G, sub(p, mulmod(Z, add(Z, Z), p)))
                let Ee := mulmod(add(X, X), Y, p)
                let H := sub(0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffda, add(A, B))
                X := mulmod(Ee, F, p)
                Y := mulmod(G, H, p)
                Z := mulmod(F, G, p)
            }
            ok := and(iszero(X), and(eq(Y, Z), iszero(iszero(Z))))
        }
        return ok;
    }

    function isStrictKey(bytes32 key) internal view returns (bool) {
        (bool ok,, uint256 y) = decompress(key);
        return ok && y != 0;
    }
}
