//! The test vectors of both standards, and what is refused.

use super::*;

const SECRET: &str = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";

/// The test vectors of EIP-2335.
const SCRYPT: &str = r#"{
  "crypto": {
    "kdf": {"function": "scrypt", "params": {"dklen": 32, "n": 262144, "p": 1, "r": 8,
      "salt": "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"}, "message": ""},
    "checksum": {"function": "sha256", "params": {}, "message": "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484"},
    "cipher": {"function": "aes-128-ctr", "params": {"iv": "264daa3f303d7259501c93d997d84fe6"},
      "message": "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f"}},
  "description": "This is a test keystore that uses scrypt to secure the secret.",
  "pubkey": "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07",
  "path": "m/12381/60/3141592653/589793238", "uuid": "1d85ae20-35c5-4611-98e8-aa14a633906f", "version": 4}"#;
const PBKDF2: &str = r#"{
  "crypto": {
    "kdf": {"function": "pbkdf2", "params": {"dklen": 32, "c": 262144, "prf": "hmac-sha256",
      "salt": "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"}, "message": ""},
    "checksum": {"function": "sha256", "params": {}, "message": "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1"},
    "cipher": {"function": "aes-128-ctr", "params": {"iv": "264daa3f303d7259501c93d997d84fe6"},
      "message": "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad"}},
  "description": "This is a test keystore that uses PBKDF2 to secure the secret.",
  "pubkey": "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07",
  "path": "m/12381/60/0/0", "uuid": "64625def-3331-4eea-ab6f-782f3ed16a83", "version": 4}"#;
const PASSWORD: &str = "𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑";

/// The test vectors of the Web3 Secret Storage definition.
const PBKDF2_V3: &str = r#"{
  "crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
    "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46", "kdf": "pbkdf2",
    "kdfparams": {"c": 262144, "dklen": 32, "prf": "hmac-sha256", "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
    "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
  "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3}"#;
const SCRYPT_V3: &str = r#"{
  "crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
    "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c", "kdf": "scrypt",
    "kdfparams": {"dklen": 32, "n": 262144, "r": 1, "p": 8, "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
    "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},
  "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3}"#;
/// What `cast wallet import` 1.7.1 wrote for a secret of 32 bytes of 0x11.
const CAST_V3: &str = r#"{
  "crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "22e8b0994a1498cd3b91abf0b1f6552c"},
    "ciphertext": "d0337bbc6039679b3f4c9b453063c1bbe4b0e3b6609b1e691c089b76b34f4b95", "kdf": "scrypt",
    "kdfparams": {"dklen": 32, "n": 8192, "p": 1, "r": 8, "salt": "1a952f4d47d38e8bdd727ed0033c55f44326e147544344c22545b7d200e86491"},
    "mac": "7bd8cf6688b50f6e2aebd3b1e9631db149939883e3ed70dae743551241e711d5"},
  "id": "7f637ee1-5e48-40ec-948e-11f8a5c1e6cf", "version": 3}"#;
const SECRET_V3: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

#[test]
fn vectors_of_eip_2335_open() {
    for text in [SCRYPT, PBKDF2] {
        let (secret, public) = open(text.as_bytes(), &password(PASSWORD)).unwrap();
        assert_eq!(hex::encode(*secret), SECRET);
        assert!(public.starts_with("9612d7a7"));
    }
    let wrong = open(PBKDF2.as_bytes(), &password("testpassword"));
    assert!(matches!(wrong, Err(KeystoreError::WrongPassword)));
}

#[test]
fn vectors_of_web3_secret_storage_open() {
    let secrets = [
        (PBKDF2_V3, SECRET_V3.to_owned()),
        (CAST_V3, "11".repeat(32)),
    ];
    for (text, expected) in secrets {
        let secret = open_v3(text.as_bytes(), &password("testpassword")).unwrap();
        assert_eq!(hex::encode(*secret), expected);
        let wrong = open_v3(text.as_bytes(), &password("testpasswore"));
        assert!(matches!(wrong, Err(KeystoreError::WrongPassword)));
    }
    // The other vector asks for N = 2^18 with r = 1, which RFC 7914 forbids (N below 2^(128 r / 8)); no wallet writes it.
    let outside = open_v3(SCRYPT_V3.as_bytes(), &password("testpassword"));
    assert!(matches!(outside, Err(KeystoreError::Bounds(_))));
}

#[test]
fn what_is_sealed_opens_with_its_password_only() {
    let secret = [7; 32];
    let text = seal(&secret, "ab", &password("correct horse")).unwrap();
    assert!(is_keystore(text.as_bytes()) && !text.contains(&"07".repeat(32)));
    let (found, public) = open(text.as_bytes(), &password("correct horse")).unwrap();
    assert_eq!((*found, public.as_str()), (secret, "ab"));
    let wrong = open(text.as_bytes(), &password("correct hors"));
    assert!(matches!(wrong, Err(KeystoreError::WrongPassword)));
    let again = seal(&secret, "ab", &password("correct horse")).unwrap();
    assert_ne!(text, again);
}

#[test]
fn hostile_keystores_are_refused_before_they_cost_anything() {
    let open = |text: &str| {
        open(text.as_bytes(), &password("p"))
            .unwrap_err()
            .to_string()
    };
    for (from, to, says) in [
        ("262144", "262143", "n, r and p"),
        ("262144", "1", "n, r and p"),
        ("262144", "1099511627776", "too much memory"),
        ("\"p\": 1", "\"p\": 4294967295", "too much memory"),
        ("\"r\": 8", "\"r\": 0", "n, r and p"),
        ("\"dklen\": 32", "\"dklen\": 64", "dklen"),
        ("\"scrypt\"", "\"pbkdf2\"", "pbkdf2"),
        ("sha256", "md5", "md5"),
        ("aes-128-ctr", "rot13", "rot13"),
        ("264daa", "", "the iv"),
        ("06ae90", "", "the secret"),
        ("\"version\": 4", "\"version\": 5", "version 5"),
        ("\"path\"", "\"x\"", "unknown field"),
    ] {
        assert!(SCRYPT.contains(from), "{from}");
        let error = open(&SCRYPT.replacen(from, to, 1));
        assert!(error.contains(says), "{from}: {error}");
    }
    assert!(open(&PBKDF2.replace("262144", "4000000000")).contains("rounds"));
    assert!(open(&PBKDF2.replace("hmac-sha256", "hmac-md5")).contains("hmac-md5"));
    for text in ["", "{}", "[]", "null", "nonsense"] {
        assert!(open(text).starts_with("not a keystore"));
        assert!(!is_keystore(text.as_bytes()));
    }
    let long = " ".repeat(KEYSTORE_BYTES_MAX + 1);
    assert!(open(&long).contains("too long"));
}
