//! Secrets encrypted with a password: [EIP-2335](https://eips.ethereum.org/EIPS/eip-2335) for member keys, and, read only, Ethereum's
//! keystore of version 3 (the [Web3 Secret Storage](https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/)
//! that `cast wallet` and others write) for accounts on L1.
//!
//! Both are the same construction: scrypt or PBKDF2 makes 32 bytes of the password, of which 16 encrypt the secret with AES-128 in
//! counter mode, and 16 make a checksum of the result. They differ in names and in the hash of the checksum.

use super::password::Password;
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy_primitives::keccak256;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Most bytes of a keystore.
pub const KEYSTORE_BYTES_MAX: usize = 16 * 1024;
/// The cost of scrypt when writing, as EIP-2335 has it: 256 MiB.
const SCRYPT_LOG_N: u8 = 18;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;
/// The most that reading may cost: memory of scrypt, its work over all lanes, and rounds of PBKDF2.
const SCRYPT_MEMORY_MAX: u64 = 512 * 1024 * 1024;
const SCRYPT_WORK_MAX: u64 = 4 * SCRYPT_MEMORY_MAX;
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;
const SALT_BYTES_MAX: usize = 256;

/// What is written for people who find the file.
const DESCRIPTION: &str = "outrider member key";
const VERSION: u64 = 4;

/// Why a keystore does not open, or is not made.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The system has no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(getrandom::Error),
    /// It is something else.
    #[error("not a keystore: {0}")]
    Malformed(String),
    /// It is made in a way that is not known here.
    #[error(
        "the keystore uses {0}, which is not known here; known are scrypt or pbkdf2 with hmac-sha256, and aes-128-ctr"
    )]
    Unknown(String),
    /// It would take too long, or too much memory.
    #[error("the keystore's parameters are out of bounds: {0}")]
    Bounds(&'static str),
    /// The checksum differs.
    #[error("the password is wrong, or the keystore is damaged")]
    WrongPassword,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Module<P> {
    function: String,
    params: P,
    message: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Iv {
    iv: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Of scrypt or PBKDF2; which fields there are says which.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum KdfParams {
    Scrypt {
        dklen: u32,
        n: u64,
        p: u32,
        r: u32,
        salt: String,
    },
    Pbkdf2 {
        dklen: u32,
        c: u32,
        prf: String,
        salt: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Crypto {
    kdf: Module<KdfParams>,
    checksum: Module<Nothing>,
    cipher: Module<Iv>,
}

/// EIP-2335.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keystore {
    crypto: Crypto,
    #[serde(default)]
    description: String,
    #[serde(default)]
    pubkey: String,
    path: String,
    uuid: String,
    version: u64,
}

#[derive(Deserialize)]
struct CryptoV3 {
    cipher: String,
    cipherparams: Iv,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

/// Ethereum's version 3. Wallets add fields of their own.
#[derive(Deserialize)]
struct KeystoreV3 {
    #[serde(alias = "Crypto")]
    crypto: CryptoV3,
    version: u64,
}

fn malformed(error: impl ToString) -> KeystoreError {
    KeystoreError::Malformed(error.to_string().chars().take(200).collect())
}

fn bytes<const N: usize>(what: &str, text: &str) -> Result<[u8; N], KeystoreError> {
    let mut out = [0; N];
    hex::decode_to_slice(text.trim_start_matches("0x"), &mut out)
        .map_err(|_| malformed(format!("{what} is not {N} bytes in hex")))?;
    Ok(out)
}

/// The 32 bytes that a password makes.
fn derive(params: &KdfParams, password: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let (KdfParams::Scrypt { dklen, salt, .. } | KdfParams::Pbkdf2 { dklen, salt, .. }) = params;
    if *dklen != 32 {
        return Err(KeystoreError::Bounds("dklen is not 32"));
    }
    if salt.len() > 2 * SALT_BYTES_MAX {
        return Err(KeystoreError::Bounds("the salt is too long"));
    }
    let salt = hex::decode(salt).map_err(|_| malformed("the salt is not hex"))?;
    let mut key = Zeroizing::new([0; 32]);
    match params {
        KdfParams::Scrypt { n, p, r, .. } => {
            if !n.is_power_of_two() || *n < 2 || *r == 0 || *p == 0 {
                return Err(KeystoreError::Bounds("n, r and p of scrypt"));
            }
            let memory = n.saturating_mul(u64::from(*r)).saturating_mul(128);
            let work = memory.saturating_mul(u64::from(*p));
            if memory > SCRYPT_MEMORY_MAX || work > SCRYPT_WORK_MAX {
                return Err(KeystoreError::Bounds(
                    "scrypt would take too much memory or time",
                ));
            }
            let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
            let params = scrypt::Params::new(log_n, *r, *p, 32)
                .map_err(|_| KeystoreError::Bounds("n, r and p of scrypt"))?;
            scrypt::scrypt(password, &salt, &params, &mut *key)
                .map_err(|_| KeystoreError::Bounds("the length of scrypt's output"))?;
        }
        KdfParams::Pbkdf2 { c, prf, .. } => {
            if prf != "hmac-sha256" {
                return Err(KeystoreError::Unknown(prf.chars().take(40).collect()));
            }
            if *c == 0 || *c > PBKDF2_ROUNDS_MAX {
                return Err(KeystoreError::Bounds("the rounds of PBKDF2"));
            }
            pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, *c, &mut *key);
        }
    }
    Ok(key)
}

/// Encrypts and decrypts.
fn apply(key: &[u8; 32], iv: &[u8; 16], secret: &mut [u8; 32]) {
    let (key, _) = key.split_at(16);
    ctr::Ctr128BE::<aes::Aes128>::new(key.into(), iv.into()).apply_keystream(secret);
}

/// What the checksum is of.
fn checked(key: &[u8; 32], ciphertext: &[u8; 32]) -> Zeroizing<[u8; 48]> {
    let mut out = Zeroizing::new([0; 48]);
    out[..16].copy_from_slice(&key[16..]);
    out[16..].copy_from_slice(ciphertext);
    out
}

fn expect_function(found: &str, expected: &[&str]) -> Result<(), KeystoreError> {
    if expected.contains(&found) {
        return Ok(());
    }
    Err(KeystoreError::Unknown(found.chars().take(40).collect()))
}

/// Whether a file that was read is a keystore rather than a plain key file. Opening may still fail.
#[must_use]
pub fn is_keystore(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Looks {
        #[serde(alias = "Crypto", rename = "crypto")]
        _crypto: serde::de::IgnoredAny,
    }
    serde_json::from_slice::<Looks>(text).is_ok()
}

/// Encrypt a secret, as EIP-2335. `public` stands in the file for all to see.
pub fn seal(secret: &[u8; 32], public: &str, password: &Password) -> Result<String, KeystoreError> {
    let mut random = [0; 64];
    getrandom::fill(&mut random).map_err(KeystoreError::Random)?;
    let (salt, rest) = random.split_at(32);
    let (iv, uuid) = rest.split_at(16);
    let params = KdfParams::Scrypt {
        dklen: 32,
        n: 1 << SCRYPT_LOG_N,
        p: SCRYPT_P,
        r: SCRYPT_R,
        salt: hex::encode(salt),
    };
    let iv: [u8; 16] = bytes("the iv", &hex::encode(iv))?;
    let mut uuid: [u8; 16] = bytes("the uuid", &hex::encode(&uuid[..16]))?;
    // A random one, by RFC 9562.
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let uuid = hex::encode(uuid);
    let key = derive(&params, &password.normalized())?;
    let mut sealed = Zeroizing::new(*secret);
    apply(&key, &iv, &mut sealed);
    let checksum = Sha256::digest(*checked(&key, &sealed));
    let keystore = Keystore {
        crypto: Crypto {
            kdf: Module {
                function: "scrypt".to_owned(),
                params,
                message: String::new(),
            },
            checksum: Module {
                function: "sha256".to_owned(),
                params: Nothing {},
                message: hex::encode(checksum),
            },
            cipher: Module {
                function: "aes-128-ctr".to_owned(),
                params: Iv {
                    iv: hex::encode(iv),
                },
                message: hex::encode(*sealed),
            },
        },
        description: DESCRIPTION.to_owned(),
        pubkey: public.to_owned(),
        path: String::new(),
        uuid: format!(
            "{}-{}-{}-{}-{}",
            &uuid[..8],
            &uuid[8..12],
            &uuid[12..16],
            &uuid[16..20],
            &uuid[20..]
        ),
        version: VERSION,
    };
    let mut text = serde_json::to_string_pretty(&keystore).map_err(malformed)?;
    text.push('\n');
    Ok(text)
}

/// A secret out of an EIP-2335 keystore, and the public key that it states (perhaps nothing).
pub fn open(
    text: &[u8],
    password: &Password,
) -> Result<(Zeroizing<[u8; 32]>, String), KeystoreError> {
    if text.len() > KEYSTORE_BYTES_MAX {
        return Err(KeystoreError::Bounds("the file is too long"));
    }
    let keystore: Keystore = serde_json::from_slice(text).map_err(malformed)?;
    if keystore.version != VERSION {
        return Err(malformed(format!(
            "version {} instead of {VERSION}",
            keystore.version
        )));
    }
    let crypto = &keystore.crypto;
    let kdf = match crypto.kdf.params {
        KdfParams::Scrypt { .. } => "scrypt",
        KdfParams::Pbkdf2 { .. } => "pbkdf2",
    };
    expect_function(&crypto.kdf.function, &[kdf])?;
    expect_function(&crypto.checksum.function, &["sha256"])?;
    expect_function(&crypto.cipher.function, &["aes-128-ctr"])?;
    let checksum: [u8; 32] = bytes("the checksum", &crypto.checksum.message)?;
    let iv: [u8; 16] = bytes("the iv", &crypto.cipher.params.iv)?;
    let sealed: [u8; 32] = bytes("the secret", &crypto.cipher.message)?;
    let key = derive(&crypto.kdf.params, &password.normalized())?;
    if <[u8; 32]>::from(Sha256::digest(*checked(&key, &sealed))) != checksum {
        return Err(KeystoreError::WrongPassword);
    }
    let mut secret = Zeroizing::new(sealed);
    apply(&key, &iv, &mut secret);
    Ok((secret, keystore.pubkey))
}

/// A secret out of one of Ethereum's keystores of version 3.
pub fn open_v3(text: &[u8], password: &Password) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    if text.len() > KEYSTORE_BYTES_MAX {
        return Err(KeystoreError::Bounds("the file is too long"));
    }
    let keystore: KeystoreV3 = serde_json::from_slice(text).map_err(malformed)?;
    if keystore.version != 3 {
        return Err(malformed(format!(
            "version {} instead of 3",
            keystore.version
        )));
    }
    let crypto = &keystore.crypto;
    let kdf = match crypto.kdfparams {
        KdfParams::Scrypt { .. } => "scrypt",
        KdfParams::Pbkdf2 { .. } => "pbkdf2",
    };
    expect_function(&crypto.kdf, &[kdf])?;
    expect_function(&crypto.cipher, &["aes-128-ctr"])?;
    let mac: [u8; 32] = bytes("the mac", &crypto.mac)?;
    let iv: [u8; 16] = bytes("the iv", &crypto.cipherparams.iv)?;
    let sealed: [u8; 32] = bytes("the secret", &crypto.ciphertext)?;
    let key = derive(&crypto.kdfparams, password.as_typed())?;
    if keccak256(*checked(&key, &sealed)).0 != mac {
        return Err(KeystoreError::WrongPassword);
    }
    let mut secret = Zeroizing::new(sealed);
    apply(&key, &iv, &mut secret);
    Ok(secret)
}

#[cfg(test)]
mod tests;
