//! The light client as a WebAssembly module: three exports, no imports, no unsafe block. `loader.js` calls them.
//!
//! ```text
//! buffer(0, n) <- kind   buffer(1, n) <- trust   buffer(2, n) <- proof      the caller writes into each
//! check() -> length of the answer, answer() -> where it is                  {"ok": ..} or {"error": {code, message}}
//! ```
//!
//! Guarantees: whatever the bytes, the answer is JSON, and no call traps (`client/wasm/test.mjs`: every vector, cut and
//! changed texts). Limits: what [`outrider_client::check`] takes. One thread; what was written is used up by `check`.
//!
//! Deliberately absent: the network, time, randomness. The module imports nothing, so it can do nothing but compute.

use outrider_client::{HANDOVERS_BYTES_MAX, TRUST_BYTES_MAX};
use std::sync::{Mutex, PoisonError};

/// Most bytes of the name of a kind.
const KIND_BYTES_MAX: usize = 64;
/// Most bytes of kind, trust and proof.
const LIMITS: [usize; 3] = [KIND_BYTES_MAX, TRUST_BYTES_MAX, HANDOVERS_BYTES_MAX];

struct State {
    input: [Vec<u8>; 3],
    answer: Vec<u8>,
}

static STATE: Mutex<State> = Mutex::new(State {
    input: [const { Vec::new() }; 3],
    answer: Vec::new(),
});

fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    work(&mut STATE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Room for an input of so many bytes: 0 the kind, 1 the trust, 2 the proof. Null if there is no such input or it is too
/// large. Valid until the next call of it for the same input, or `check`.
#[allow(
    unsafe_code,
    reason = "the name must stay as it is; it is no other symbol's"
)]
#[unsafe(no_mangle)]
pub extern "C" fn buffer(input: usize, bytes: usize) -> *mut u8 {
    with(
        |state| match (state.input.get_mut(input), LIMITS.get(input)) {
            (Some(place), Some(limit)) if bytes <= *limit => {
                *place = vec![0; bytes];
                place.as_mut_ptr()
            }
            _ => std::ptr::null_mut(),
        },
    )
}

/// Check what was written; the length of the answer.
#[allow(
    unsafe_code,
    reason = "the name must stay as it is; it is no other symbol's"
)]
#[unsafe(no_mangle)]
pub extern "C" fn check() -> usize {
    with(|state| {
        let [kind, trust, proof] = std::mem::take(&mut state.input);
        state.answer = answer_to(&kind, &trust, &proof).into_bytes();
        state.answer.len()
    })
}

/// Where the last answer is. Valid until the next `check`.
#[allow(
    unsafe_code,
    reason = "the name must stay as it is; it is no other symbol's"
)]
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> *const u8 {
    with(|state| state.answer.as_ptr())
}

fn answer_to(kind: &[u8], trust: &[u8], proof: &[u8]) -> String {
    // A name that is no text is no known name.
    let kind = str::from_utf8(kind).unwrap_or_default();
    match outrider_client::check(kind, trust, proof) {
        Ok(checked) => serde_json::json!({ "ok": checked }).to_string(),
        Err(rejected) => {
            let error = serde_json::json!({ "code": rejected.code, "message": rejected.message });
            serde_json::json!({ "error": error }).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_that_are_too_large_or_unknown_have_no_room() {
        for (input, limit) in LIMITS.into_iter().enumerate() {
            assert!(!buffer(input, limit).is_null());
            assert!(buffer(input, limit + 1).is_null());
        }
        assert!(buffer(LIMITS.len(), 1).is_null());
    }

    #[test]
    fn every_answer_is_json() {
        for (kind, trust, code) in [
            (&b"nonsense"[..], &b"{}"[..], "kind"),
            (b"\xff", b"", "kind"),
            (b"finality", b"", "trust"),
            (b"epochs", b"\xff", "trust"),
        ] {
            let answer: serde_json::Value =
                serde_json::from_str(&answer_to(kind, trust, b"")).unwrap_or_default();
            assert_eq!(answer["error"]["code"], code);
        }
    }
}
