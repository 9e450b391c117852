//! The token of the Engine API: JWT with HS256 over a shared secret, good for one minute.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt;

/// `{"alg":"HS256","typ":"JWT"}` in base64url.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// 32 bytes that conductor and execution node share.
#[derive(Clone, PartialEq, Eq)]
pub struct JwtSecret([u8; 32]);

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(..)")
    }
}

/// Why a text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a JWT secret is 32 bytes in hex, as `openssl rand -hex 32` prints")]
pub struct NotASecret;

impl JwtSecret {
    /// From hex, as execution clients keep it in a file.
    pub fn from_hex(text: &str) -> Result<Self, NotASecret> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut secret = [0; 32];
        hex::decode_to_slice(digits, &mut secret).map_err(|_| NotASecret)?;
        Ok(Self(secret))
    }

    /// A token issued at this second since the Unix epoch.
    #[must_use]
    pub fn token(&self, issued_at: u64) -> String {
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"iat":{issued_at}}}"#));
        let signed = format!("{HEADER}.{claims}");
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.0) {
            Ok(mac) => mac,
            Err(_) => unreachable!("HMAC takes keys of any length"),
        };
        mac.update(signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        format!("{signed}.{signature}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_32_bytes_in_hex_and_is_not_shown() {
        let digits = "07".repeat(32);
        let secret = JwtSecret::from_hex(&format!("0x{digits}\n")).unwrap();
        assert_eq!(JwtSecret::from_hex(&digits), Ok(secret.clone()));
        assert!(!format!("{secret:?}").contains('7'));
        for wrong in ["", "07", &"07".repeat(33), &"0g".repeat(32)] {
            assert_eq!(JwtSecret::from_hex(wrong), Err(NotASecret));
        }
    }

    /// Computed with Python: hmac.new(bytes([7] * 32), b"header.claims", hashlib.sha256).
    #[test]
    fn token_is_that_of_another_implementation() {
        let secret = JwtSecret::from_hex(&"07".repeat(32)).unwrap();
        assert_eq!(
            secret.token(1_700_000_000),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3MDAwMDAwMDB9.q7vdxvYJozZ6UoScEnMgFSivYb-nzMGBXN-k-GD5t_8"
        );
    }
}
