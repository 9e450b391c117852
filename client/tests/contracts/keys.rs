//! Keys, good and bad, and whether a member may have them.

use crate::draws::Draws;
use crate::hex;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use outrider_types::{Committee, Epoch, Member, PublicKey, Stake, testing::CHAIN};
use serde::Serialize;

/// 2^255 - 19, little-endian.
const P: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed;
    bytes[31] = 0x7f;
    bytes
};

#[derive(Serialize)]
pub struct Case {
    key: String,
    name: String,
    /// Whether a member may have it.
    strict: bool,
}

/// What the node says: whether a committee takes it.
pub fn is_strict(key: &[u8; 32]) -> bool {
    let member = Member {
        public_key: PublicKey(*key),
        stake: Stake(1),
    };
    Committee::new(CHAIN, Epoch(0), vec![member], Some((Stake(0), Stake(0)))).is_ok()
}

pub fn secret(draws: &mut Draws) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&draws.wide())
}

/// All 32 bytes that are not the canonical encoding of a point, yet decode to one: y from P to 2^255 - 1, and a sign on
/// x = 0.
pub fn non_canonical() -> Vec<[u8; 32]> {
    let mut found = Vec::new();
    for above in 0..19 {
        for sign in [0, 0x80] {
            let mut bytes = P;
            bytes[0] += above;
            bytes[31] |= sign;
            if CompressedEdwardsY(bytes).decompress().is_some() {
                found.push(bytes);
            }
        }
    }
    for y in [EIGHT_TORSION[0], EIGHT_TORSION[4]] {
        let mut bytes = y.compress().to_bytes();
        bytes[31] |= 0x80;
        found.push(bytes);
    }
    found
}

/// All encodings, canonical or not, of the points of small order.
pub fn small_order() -> Vec<[u8; 32]> {
    let canonical = EIGHT_TORSION.map(|point| point.compress().to_bytes());
    let others = non_canonical().into_iter().filter(|bytes| {
        let point = CompressedEdwardsY(*bytes).decompress().unwrap();
        point.is_small_order()
    });
    canonical.into_iter().chain(others).collect()
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, key: [u8; 32], strict: bool| {
        assert_eq!(is_strict(&key), strict, "{name}");
        cases.push(Case {
            key: hex(key),
            name,
            strict,
        });
    };
    let mut draws = Draws::new("keys");
    for at in 0..8 {
        let point = EdwardsPoint::mul_base(&secret(&mut draws));
        let key = point.compress().to_bytes();
        add(format!("a key, {at}"), key, true);
        let torsion = EIGHT_TORSION[1 + at % 7];
        let key = (point + torsion).compress().to_bytes();
        add(format!("with a part of small order, {at}"), key, true);
    }
    let small = small_order();
    assert_eq!(
        small.len(),
        14,
        "eight points, six of which have a second encoding"
    );
    for (at, key) in small.into_iter().enumerate() {
        add(format!("small order, {at}"), key, false);
    }
    for (at, key) in non_canonical().into_iter().enumerate() {
        add(format!("second encoding, {at}"), key, false);
    }
    let mut off = 0;
    while off < 8 {
        let mut key: [u8; 32] = draws.bytes();
        key[31] &= 0x7f;
        if CompressedEdwardsY(key).decompress().is_none() {
            add(format!("not on the curve, {off}"), key, false);
            off += 1;
        }
    }
    for (name, key) in [("zero", [0; 32]), ("all ones", [0xff; 32]), ("P", P)] {
        add(name.into(), key, false);
    }
    cases
}
