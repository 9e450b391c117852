// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title SHA-512 (FIPS 180-4)
/// @dev Words of 64 bits lie in words of 256. A rotation to the right by n is a shift to the right by n of `w * TWICE`, which is w
/// written twice; what that leaves above the lowest 64 bits is never in the way, as sums and xors carry nothing downwards,
/// and is cut off (`and(.., M)`) where a word is kept.
library Sha512 {
    /// The 80 round constants, 8 bytes each: the first bits of the fractions of the cube roots of the first 80 primes.
    bytes private constant CONSTANTS = hex"428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc3956c25bf348b538"
        hex"59f111f1b605d019923f82a4af194f9bab1c5ed5da6d8118d807aa98a303024212835b0145706fbe"
        hex"243185be4ee4b28c550c7dc3d5ffb4e272be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235"
        hex"c19bf174cf692694e49b69c19ef14ad2efbe4786384f25e30fc19dc68b8cd5b5240ca1cc77ac9c65"
        hex"2de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5983e5152ee66dfab"
        hex"a831c66d2db43210b00327c898fb213fbf597fc7beef0ee4c6e00bf33da88fc2d5a79147930aa725"
        hex"06ca6351e003826f142929670a0e6e7027b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed"
        hex"53380d139d95b3df650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353b"
        hex"a2bfe8a14cf10364a81a664bbc423001c24b8b70d0f89791c76c51a30654be30d192e819d6ef5218"
        hex"d69906245565a910f40e35855771202a106aa07032bbd1b819a4c116b8d2d0c81e376c085141ab53"
        hex"2748774cdf8eeb9934b0bcb5e19b48a8391c0cb3c5c95a634ed8aa4ae3418acb5b9cca4f7763e373"
        hex"682e6ff3d6b2b8a3748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec"
        hex"90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532bca273eceea26619c"
        hex"d186b8c721c0c207eada7dd6cde0eb1ef57d4f7fee6ed17806f067aa72176fba0a637dc5a2c898a6"
        hex"113f9804bef90dae1b710b35131c471b28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc"
        hex"431d67c49c100d4c4cc5d4becb3e42b6597f299cfc657e2a5fcb6fab3ad6faec6c44198c4a475817";
    /// The lowest 64 bits.
    uint256 private constant M = 0xffffffffffffffff;
    /// 2^64 + 1.
    uint256 private constant TWICE = 0x10000000000000001;

    /// @notice The digest of `message`, its first and its last 32 bytes, as numbers.
    /// @dev Costs about 48k gas for each begun block of 128 bytes, counting 17 bytes of padding.
    function hash(bytes memory message) internal pure returns (uint256 first, uint256 last) {
        bytes memory constants = CONSTANTS;
        assembly ("memory-safe") {
            // In free memory: the padded message, the 80 words of a block's schedule, the 8 words of the state.
            let length := mload(message)
            let padded := shl(7, shr(7, add(length, 144)))
            let data := mload(0x40)
            let schedule := add(data, padded)
            let state := add(schedule, 2560)

            // The padding: a one, zeros, the length in bits (it fits 64 bits, the 64 above stay zero).
            calldatacopy(data, calldatasize(), padded)
            mcopy(data, add(message, 32), length)
            mstore8(add(data, length), 0x80)
            let tail := sub(schedule, 32)
            mstore(tail, or(mload(tail), shl(3, length)))

            // The first state: the fractions of the square roots of the first 8 primes.
            mstore(state, 0x6a09e667f3bcc908)
            mstore(add(state, 32), 0xbb67ae8584caa73b)
            mstore(add(state, 64), 0x3c6ef372fe94f82b)
            mstore(add(state, 96), 0xa54ff53a5f1d36f1)
            mstore(add(state, 128), 0x510e527fade682d1)
            mstore(add(state, 160), 0x9b05688c2b3e6c1f)
            mstore(add(state, 192), 0x1f83d9abfb41bd6b)
            mstore(add(state, 224), 0x5be0cd19137e2179)

            for {} lt(data, schedule) { data := add(data, 128) } {
                // Words 0 to 15 of the schedule are the block.
                for { let i := 0 } lt(i, 16) { i := add(i, 1) } {
                    mstore(add(schedule, shl(5, i)), shr(192, mload(add(data, shl(3, i)))))
                }
                // Word t is s1(word t-2) + word t-7 + s0(word t-15) + word t-16.
                for { let word := add(schedule, 512) } lt(word, state) { word := add(word, 32) } {
                    let w := mload(sub(word, 480))
                    let x := mul(w, TWICE)
                    let sum := xor(xor(shr(1, x), shr(8, x)), shr(7, w))
                    w := mload(sub(word, 64))
                    x := mul(w, TWICE)
                    sum := add(sum, xor(xor(shr(19, x), shr(61, x)), shr(6, w)))
                    mstore(word, and(add(sum, add(mload(sub(word, 512)), mload(sub(word, 224)))), M))
                }

                let a := mload(state)
                let b := mload(add(state, 32))
                let c := mload(add(state, 64))
                let d := mload(add(state, 96))
                let e := mload(add(state, 128))
                let f := mload(add(state, 160))
                let g := mload(add(state, 192))
                let h := mload(add(state, 224))
                // 80 rounds: t = h + S1(e) + Ch(e, f, g) + K + W; then all names move on by one, with e = d + t and
                // a = t + S0(a) + Maj(a, b, c). (To write eight rounds out would save the moving, but the compiler runs out of
                // stack and works things out again and again.)
                for { let i := 0 } lt(i, 640) { i := add(i, 8) } {
                    let x := mul(e, TWICE)
                    let t :=
                        add(
                            add(h, xor(xor(shr(14, x), shr(18, x)), shr(41, x))),
                            add(
                                xor(g, and(e, xor(f, g))),
                                add(shr(192, mload(add(add(constants, 32), i))), mload(add(schedule, shl(2, i))))
                            )
                        )
                    x := mul(a, TWICE)
                    h := g
                    g := f
                    f := e
                    e := and(add(d, t), M)
                    d := c
                    t := add(t, add(xor(xor(shr(28, x), shr(34, x)), shr(39, x)), or(and(a, b), and(c, or(a, b)))))
                    c := b
                    b := a
                    a := and(t, M)
                }
                mstore(state, and(add(mload(state), a), M))
                mstore(add(state, 32), and(add(mload(add(state, 32)), b), M))
                mstore(add(state, 64), and(add(mload(add(state, 64)), c), M))
                mstore(add(state, 96), and(add(mload(add(state, 96)), d), M))
                mstore(add(state, 128), and(add(mload(add(state, 128)), e), M))
                mstore(add(state, 160), and(add(mload(add(state, 160)), f), M))
                mstore(add(state, 192), and(add(mload(add(state, 192)), g), M))
                mstore(add(state, 224), and(add(mload(add(state, 224)), h), M))
            }
            first := or(
                or(shl(192, mload(state)), shl(128, mload(add(state, 32)))),
                or(shl(64, mload(add(state, 64))), mload(add(state, 96)))
            )
            last := or(
                or(shl(192, mload(add(state, 128))), shl(128, mload(add(state, 160)))),
                or(shl(64, mload(add(state, 192))), mload(add(state, 224)))
            )
        }
    }
}
