//! Signatures, good and bad, and what the two rules say of them.

use crate::draws::Draws;
use crate::hex;
use crate::keys::{is_strict, non_canonical, secret, small_order};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::VerifyingKey;
use serde::Serialize;
use sha2::{Digest, Sha512};

/// The order of the base point, little-endian.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[derive(Clone, Copy)]
struct Signature {
    key: [u8; 32],
    r: [u8; 32],
    s: [u8; 32],
    message: [u8; 40],
}

#[derive(Serialize)]
pub struct Case {
    key: String,
    message: String,
    name: String,
    r: String,
    s: String,
    /// What members accept.
    strict: bool,
    /// What L1 accepts.
    zip215: bool,
}

impl Signature {
    fn bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.r);
        bytes[32..].copy_from_slice(&self.s);
        bytes
    }

    fn is_strict(&self) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&self.bytes());
        is_strict(&self.key)
            && VerifyingKey::from_bytes(&self.key)
                .is_ok_and(|key| key.verify_strict(&self.message, &signature).is_ok())
    }

    fn is_zip215(&self) -> bool {
        let signature = ed25519_zebra::Signature::from_bytes(&self.bytes());
        ed25519_zebra::VerificationKey::try_from(self.key)
            .is_ok_and(|key| key.verify(&signature, &self.message).is_ok())
    }

    fn challenge(&self) -> Scalar {
        let hash = Sha512::new()
            .chain_update(self.r)
            .chain_update(self.key)
            .chain_update(self.message);
        Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
    }

    /// With the `s` that the signer of secret `a` and nonce `r` answers.
    fn answered(mut self, a: Scalar, r: Scalar) -> Self {
        self.s = (r + self.challenge() * a).to_bytes();
        self
    }

    fn case(&self, name: String, strict: bool, zip215: bool) -> Case {
        assert_eq!(
            (self.is_strict(), self.is_zip215()),
            (strict, zip215),
            "{name}"
        );
        Case {
            key: hex(self.key),
            message: hex(self.message),
            name,
            r: hex(self.r),
            s: hex(self.s),
            strict,
            zip215,
        }
    }
}

/// A signature by someone who knows the key and adds points of small order to it and to R.
fn mixed(draws: &mut Draws, in_key: usize, in_r: usize) -> Signature {
    let (a, r) = (secret(draws), secret(draws));
    let point = |scalar: &Scalar, torsion: usize| {
        let point = EdwardsPoint::mul_base(scalar) + EIGHT_TORSION[torsion];
        point.compress().to_bytes()
    };
    let open = Signature {
        key: point(&a, in_key),
        r: point(&r, in_r),
        s: [0; 32],
        message: draws.bytes(),
    };
    open.answered(a, r)
}

/// Whether the equation holds for a `mixed` one without multiplying by 8.
fn holds_without_cofactor(signature: &Signature, in_key: usize, in_r: usize) -> bool {
    let rest = EIGHT_TORSION[in_r] + EIGHT_TORSION[in_key] * signature.challenge();
    rest == EIGHT_TORSION[0]
}

/// `a + b` as numbers of 32 bytes; none if it does not fit.
fn sum(a: [u8; 32], b: [u8; 32]) -> Option<[u8; 32]> {
    let mut carry = 0;
    let mut out = [0; 32];
    for (at, byte) in out.iter_mut().enumerate() {
        let sum = u16::from(a[at]) + u16::from(b[at]) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    (carry == 0).then_some(out)
}

pub fn cases() -> Vec<Case> {
    let mut draws = Draws::new("edges");
    let mut cases = plain(&mut draws);
    cases.extend(cofactor(&mut draws));
    cases.extend(speccheck(&mut draws));
    cases.extend(small(&mut draws));
    cases
}

/// Good ones, and good ones altered.
fn plain(draws: &mut Draws) -> Vec<Case> {
    let mut cases = Vec::new();
    for at in 0..4 {
        let good = mixed(draws, 0, 0);
        cases.push(good.case(format!("good, {at}"), true, true));
        let mut bad = good;
        bad.message[at * 13] ^= 1;
        cases.push(bad.case(format!("another message, {at}"), false, false));
        let mut bad = good;
        bad.s[at * 7] ^= 1;
        cases.push(bad.case(format!("another s, {at}"), false, false));
        let mut bad = good;
        bad.r[31] ^= 0x80;
        cases.push(bad.case(format!("R negated, {at}"), false, false));
        let mut bad = good;
        bad.key[31] ^= 0x80;
        cases.push(bad.case(format!("key negated, {at}"), false, false));
        let mut bad = good;
        bad.key = mixed(draws, 0, 0).key;
        cases.push(bad.case(format!("another key, {at}"), false, false));
        // s + L and on, as long as it fits 256 bits: the same number modulo L.
        let mut large = good;
        for times in 1..16 {
            let Some(s) = sum(large.s, L) else { break };
            large.s = s;
            cases.push(large.case(format!("s + {times} L, {at}"), false, false));
        }
    }
    let mut open = mixed(draws, 0, 0);
    for (name, s) in [
        ("s = L", L),
        ("s = 2^256 - 1", [0xff; 32]),
        ("s = 0", [0; 32]),
    ] {
        open.s = s;
        cases.push(open.case(name.into(), false, false));
    }
    // The order is not to be compared by its first bytes only.
    open.s = L;
    open.s[0] -= 1;
    cases.push(open.case("s = L - 1".into(), false, false));
    for (name, bytes) in [("zero", [0; 32]), ("ones", [0xff; 32])] {
        let mut bad = mixed(draws, 0, 0);
        bad.r = bytes;
        let on_curve = bad.is_zip215();
        cases.push(bad.case(format!("R of {name}"), false, on_curve));
        let mut bad = mixed(draws, 0, 0);
        bad.key = bytes;
        cases.push(bad.case(format!("key of {name}"), false, false));
    }
    cases
}

/// Every pair of small parts in key and R: L1 accepts all, members those where the parts cancel.
fn cofactor(draws: &mut Draws) -> Vec<Case> {
    let mut cases = Vec::new();
    for in_key in 0..8 {
        for in_r in 0..8 {
            let signature = mixed(draws, in_key, in_r);
            let strict = holds_without_cofactor(&signature, in_key, in_r);
            let name = format!("parts of small order: {in_key} in the key, {in_r} in R");
            cases.push(signature.case(name, strict, true));
        }
    }
    cases
}

/// The twelve kinds of Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs" (2020), table 5, made anew.
fn speccheck(draws: &mut Draws) -> Vec<Case> {
    let zero = Scalar::ZERO;
    let encoded = |torsion: usize| EIGHT_TORSION[torsion].compress().to_bytes();
    let second = *small_order().last().unwrap();
    let with = |signature: Signature, key: Option<[u8; 32]>, r: Option<[u8; 32]>| Signature {
        key: key.unwrap_or(signature.key),
        r: r.unwrap_or(signature.r),
        ..signature
    };
    let mut cases = Vec::new();
    let mut add = |number: usize, signature: Signature, strict: bool, zip215: bool| {
        cases.push(signature.case(format!("speccheck {number}"), strict, zip215));
    };

    // 0: s = 0, key and R small. 1: key small. 2: R small.
    let both = with(mixed(draws, 0, 0), Some(encoded(3)), Some(encoded(5)));
    add(0, both.answered(zero, zero), false, true);
    let r = secret(draws);
    let point = (EdwardsPoint::mul_base(&r) + EIGHT_TORSION[1])
        .compress()
        .to_bytes();
    let key_small = with(mixed(draws, 0, 0), Some(encoded(3)), Some(point));
    add(1, key_small.answered(zero, r), false, true);
    let a = secret(draws);
    let point = (EdwardsPoint::mul_base(&a) + EIGHT_TORSION[1])
        .compress()
        .to_bytes();
    let r_small = with(mixed(draws, 0, 0), Some(point), Some(encoded(3)));
    add(2, r_small.answered(a, zero), false, true);
    // 3: both mixed, the parts cancel. 4 and 5: they do not (5: nor if 8 k is reduced modulo L first).
    let mut cancelling = mixed(draws, 1, 3);
    while !holds_without_cofactor(&cancelling, 1, 3) {
        cancelling = mixed(draws, 1, 3);
    }
    add(3, cancelling, true, true);
    for number in [4, 5] {
        let mut open = mixed(draws, 1, 3);
        while holds_without_cofactor(&open, 1, 3) {
            open = mixed(draws, 1, 3);
        }
        add(number, open, false, true);
    }
    // 6: s above L. 7: far above.
    let good = mixed(draws, 0, 0);
    let mut large = good;
    large.s = sum(good.s, L).unwrap();
    add(6, large, false, false);
    while let Some(s) = sum(large.s, L) {
        large.s = s;
    }
    add(7, large, false, false);
    // 8 and 9: R in a second encoding, hashed as it stands, or in its first. 10 and 11: so the key.
    let r_second = with(r_small, None, Some(second));
    add(8, r_second.answered(a, zero), false, true);
    let mut first = with(r_second, None, Some(encoded(4))).answered(a, zero);
    first.r = second;
    add(9, first, false, false);
    let key_second = with(key_small, Some(second), None);
    add(10, key_second.answered(zero, r), false, true);
    let mut first = with(key_second, Some(encoded(4)), None).answered(zero, r);
    first.key = second;
    add(11, first, false, true);
    cases
}

/// Every encoding of every small point as key and as R, with s = 0; and R or key in a second encoding of a large one.
fn small(draws: &mut Draws) -> Vec<Case> {
    let mut cases = Vec::new();
    for (i, key) in small_order().into_iter().enumerate() {
        for (j, r) in small_order().into_iter().enumerate() {
            let signature = Signature {
                key,
                r,
                s: [0; 32],
                message: draws.bytes(),
            };
            cases.push(signature.case(format!("small key {i}, small R {j}"), false, true));
        }
    }
    for (at, bytes) in non_canonical().into_iter().enumerate() {
        let mut signature = mixed(draws, 0, 0);
        signature.r = bytes;
        let accepted = signature.is_zip215();
        cases.push(signature.case(format!("R in second encoding {at}"), false, accepted));
    }
    cases
}

/// A good signature, or one with a fault.
fn drawn(draws: &mut Draws) -> Signature {
    let torsion = |draws: &mut Draws| draws.of(&[0, 0, 1, 2, 3, 4, 5, 6, 7]);
    let faulty = draws.below(2) == 1;
    let mut signature = if faulty {
        let (in_key, in_r) = (torsion(draws), torsion(draws));
        mixed(draws, in_key, in_r)
    } else {
        mixed(draws, 0, 0)
    };
    let bit = 1 << draws.below(8);
    let at = usize::try_from(draws.below(32)).unwrap();
    match if faulty { draws.below(9) } else { 8 } {
        0 => signature.key[at] ^= bit,
        1 => signature.r[at] ^= bit,
        2 => signature.s[at] ^= bit,
        3 => signature.message[at] ^= bit,
        4 => signature.s = sum(signature.s, L).unwrap(),
        5 => signature.key = draws.bytes(),
        6 => signature.r = draws.bytes(),
        _ => {}
    }
    signature
}

/// So many rows of 137 bytes: what the rules say (1: members accept, 2: L1 accepts), key, R, s, message.
pub fn rows(draws: &mut Draws, count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut counts = [0_usize; 4];
    for row in 0..count {
        let signature = drawn(draws);
        let (strict, zip215) = (signature.is_strict(), signature.is_zip215());
        assert!(
            zip215 || !strict,
            "row {row}: members accept what L1 does not"
        );
        let said = u8::from(strict) | u8::from(zip215) << 1;
        counts[usize::from(said)] += 1;
        out.push(said);
        for part in [
            &signature.key[..],
            &signature.r,
            &signature.s,
            &signature.message,
        ] {
            out.extend_from_slice(part);
        }
    }
    println!(
        "{} refused by both, {} by members only, {} by none",
        counts[0], counts[2], counts[3]
    );
    for said in [0, 2, 3] {
        assert!(counts[said] * 20 > count, "{counts:?}: too few of one kind");
    }
    out
}
