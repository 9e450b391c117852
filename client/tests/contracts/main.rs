//! The vectors of the contracts (`contracts/test/vectors`), and rows of random ones: what the node says of signatures, keys,
//! evidence, committees and headers, for forge to compare with what the contracts say.
//!
//! The node's word is that of `outrider-types`; ed25519-zebra says what ZIP-215 accepts, which is the rule on L1. Cases are made
//! here from keys that everyone knows, and what is expected of the named ones is stated by who makes them. To write the
//! files again: `OUTRIDER_WRITE_VECTORS=1 cargo test -p outrider-client --test contracts`.
//!
//! `OUTRIDER_CONTRACT_ROWS=10000` also writes so many random signatures, and a tenth as many random pieces of evidence, to
//! `target/contracts/rows`, where `cargo xtask contracts --check` lets forge read them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod chain;
mod draws;
mod keys;
mod offences;
mod signatures;

use draws::Draws;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha512};
use std::path::{Path, PathBuf};

/// How many random signatures are judged if nobody asks for more.
const ROWS: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `0x` and hex, which forge reads as bytes.
fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn text(cases: &[impl Serialize]) -> String {
    let about = "Written by client/tests/contracts; read by forge.";
    serde_json::to_string_pretty(&json!({ "about": about, "cases": cases })).unwrap() + "\n"
}

#[derive(Serialize)]
struct Hashed {
    first: String,
    last: String,
    message: String,
}

/// Messages around the ends of blocks: 111 bytes are the most that fit one block with the padding.
fn hashes() -> Vec<Hashed> {
    [0, 1, 104, 110, 111, 112, 127, 128, 129, 239, 240, 256, 1000]
        .map(|length| {
            let message: Vec<u8> = (0..length).map(|at: usize| at.to_le_bytes()[0]).collect();
            let digest = Sha512::digest(&message);
            Hashed {
                first: hex(&digest[..32]),
                last: hex(&digest[32..]),
                message: hex(message),
            }
        })
        .into()
}

#[test]
fn the_files_are_current() {
    let files = [
        ("sha512", text(&hashes())),
        ("committees", text(&chain::committees())),
        ("headers", text(&chain::headers())),
        ("keys", text(&keys::cases())),
        ("signatures", text(&signatures::cases())),
        ("offences", text(&offences::cases())),
    ];
    for (name, text) in files {
        let path = root().join(format!("contracts/test/vectors/{name}.json"));
        if std::env::var_os("OUTRIDER_WRITE_VECTORS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let same = std::fs::read_to_string(&path).is_ok_and(|kept| kept == text);
        assert!(
            same,
            "{}: stale; main.rs says how to write it again",
            path.display()
        );
    }
}

/// Whatever the members' rule accepts, that of L1 accepts; and the drawn rows hold both kinds of everything.
#[test]
fn random_rows_are_judged_by_both_rules() {
    let asked = std::env::var("OUTRIDER_CONTRACT_ROWS").ok();
    let rows = asked.as_ref().map_or(ROWS, |rows| rows.parse().unwrap());
    let signatures = signatures::rows(&mut Draws::new("signatures"), rows);
    let evidence = offences::rows(&mut Draws::new("evidence"), rows / 10);
    if asked.is_some() {
        let folder = root().join("target/contracts/rows");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("signatures.bin"), signatures).unwrap();
        std::fs::write(folder.join("offences.json"), text(&evidence)).unwrap();
    }
}
