// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

library Sha512 {
    bytes constant K =
        hex"428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc3956c25bf348b53859f111f1b605d019923f82a4af194f9bab1c5ed5da6d8118d807aa98a303024212835b0145706fbe243185be4ee4b28c550c7dc3d5ffb4e272be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235c19bf174cf692694e49b69c19ef14ad2efbe4786384f25e30fc19dc68b8cd5b5240ca1cc77ac9c652de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5983e5152ee66dfaba831c66d2db43210b00327c898fb213fbf597fc7beef0ee4c6e00bf33da88fc2d5a79147930aa72506ca6351e003826f142929670a0e6e7027b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed53380d139d95b3df650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353ba2bfe8a14cf10364a81a664bbc423001c24b8b70d0f89791c76c51a30654be30d192e819d6ef5218d69906245565a910f40e35855771202a106aa07032bbd1b819a4c116b8d2d0c81e376c085141ab532748774cdf8eeb9934b0bcb5e19b48a8391c0cb3c5c95a634ed8aa4ae3418acb5b9cca4f7763e373682e6ff3d6b2b8a3748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532bca273eceea26619cd186b8c721c0c207eada7dd6cde0eb1ef57d4f7fee6ed17806f067aa72176fba0a637dc5a2c898a6113f9804bef90dae1b710b35131c471b28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc431d67c49c100d4c4cc5d4becb3e42b6597f299cfc657e2a5fcb6fab3ad6faec6c44198c4a475817";

    /// SHA-512 over arbitrary bytes
    function hash(bytes memory m) internal pure returns (uint256 hi, uint256 lo) {
        bytes memory k = K;
        assembly ("memory-safe") {
            let M := 0xffffffffffffffff
            let len := mload(m)
            let blocks := div(add(len, 144), 128) // len + 1 + 16 rounded up
            let buf := mload(0x40)
            let W := add(buf, mul(blocks, 128)) // 80 words of 32 bytes
            // copy and pad
            calldatacopy(buf, calldatasize(), mul(blocks, 128))
            mcopy(buf, add(m, 32), len)
            mstore8(add(buf, len), 0x80)
            let e_ := sub(add(buf, mul(blocks, 128)), 32)
            mstore(e_, or(mload(e_), shl(3, len)))
            let st := add(W, 2560)
            mstore(st, 0x6a09e667f3bcc908)
            mstore(add(st, 32), 0xbb67ae8584caa73b)
            mstore(add(st, 64), 0x3c6ef372fe94f82b)
            mstore(add(st, 96), 0xa54ff53a5f1d36f1)
            mstore(add(st, 128), 0x510e527fade682d1)
            mstore(add(st, 160), 0x9b05688c2b3e6c1f)
            mstore(add(st, 192), 0x1f83d9abfb41bd6b)
            mstore(add(st, 224), 0x5be0cd19137e2179)
            for { let bend := W } lt(buf, bend) { buf := add(buf, 128) } {
                for { let i := 0 } lt(i, 16) { i := add(i, 1) } { mstore(
                    add(W, shl(5, i)),
                    shr(192, mload(add(buf, shl(3, i))))
                ) }
                for { let w := add(W, 512) } lt(w, st) { w := add(w, 32) } {
                    let x := mload(sub(w, 480))
                    x := or(x, shl(64, x))
                    let y := mload(sub(w, 64))
                    y := or(y, shl(64, y))
                    let s := and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, M))), M)
                    s := add(s, and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, M))), M))
                    mstore(w, and(add(s, add(mload(sub(w, 512)), mload(sub(w, 224)))), M))
                }
                let a := mload(st)
                let b := mload(add(st, 32))
                let c := mload(add(st, 64))
                let d := mload(add(st, 96))
                let e := mload(add(st, 128))
                let f := mload(add(st, 160))
                let g := mload(add(st, 192))
                let h := mload(add(st, 224))
                for { let i := 0 } lt(i, 640) { i := add(i, 8) } {
                    let ee := or(e, shl(64, e))
                    let t1 :=
                        add(
                            add(h, and(xor(xor(shr(14, ee), shr(18, ee)), shr(41, ee)), M)),
                            add(
                                xor(g, and(e, xor(f, g))),
                                add(shr(192, mload(add(add(k, 32), i))), mload(add(W, shl(2, i))))
                            )
                        )
                    ee := or(a, shl(64, a))
                    h := g
                    g := f
                    f := e
                    e := and(add(d, t1), M)
                    d := c
                    t1 := add(
                        t1,
                        add(and(xor(xor(shr(28, ee), shr(34, ee)), shr(39, ee)), M), or(and(a, b), and(c, or(a, b))))
                    )
                    c := b
                    b := a
                    a := and(t1, M)
                }
                mstore(st, and(add(mload(st), a), M))
                mstore(add(st, 32), and(add(mload(add(st, 32)), b), M))
                mstore(add(st, 64), and(add(mload(add(st, 64)), c), M))
                mstore(add(st, 96), and(add(mload(add(st, 96)), d), M))
                mstore(add(st, 128), and(add(mload(add(st, 128)), e), M))
                mstore(add(st, 160), and(add(mload(add(st, 160)), f), M))
                mstore(add(st, 192), and(add(mload(add(st, 192)), g), M))
                mstore(add(st, 224), and(add(mload(add(st, 224)), h), M))
            }
            hi := or(
                or(shl(192, mload(st)), shl(128, mload(add(st, 32)))),
                or(shl(64, mload(add(st, 64))), mload(add(st, 96)))
            )
            lo := or(
                or(shl(192, mload(add(st, 128))), shl(128, mload(add(st, 160)))),
                or(shl(64, mload(add(st, 192))), mload(add(st, 224)))
            )
        }
    }
}

