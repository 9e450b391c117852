//! L4: the vectors that every verifier runs: Rust here, WebAssembly in `client/wasm/test.mjs`, Python in
//! `client/python/verify.py`.
//!
//! They are made here, from keys that everyone knows, and stand in `client/vectors`. What is expected is stated by who
//! makes a case, not taken from what the verifier says. When a format has changed, to write them again:
//! `OUTRIDER_WRITE_VECTORS=1 cargo test -p outrider-client --test vectors`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

mod evidence;
mod finality;
mod forge;
mod handovers;
mod lanes;
mod orders;

#[allow(dead_code, reason = "shared with the tests of finality")]
#[path = "../../../finality/tests/epochs/mod.rs"]
mod epochs;
#[allow(dead_code, reason = "shared with the tests of finality")]
#[path = "../../../finality/tests/world/mod.rs"]
mod world;

use outrider_client::check;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The vectors of one kind of proof. Proofs and what is trusted are texts, so that no reader rounds their integers.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Vectors {
    about: String,
    kind: String,
    /// What is trusted, by name.
    trust: BTreeMap<String, String>,
    cases: Vec<Case>,
}

/// A proof, and what a verifier says of it.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Case {
    name: String,
    /// Name of what is trusted.
    trust: String,
    proof: String,
    /// What it proves.
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<Value>,
    /// The code with which it is rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Vectors {
    fn new(kind: &str) -> Self {
        Self {
            about: "Written by client/tests/vectors; every case has `ok` (what is proven) or `error` (the code of docs/light-client.md).".into(),
            kind: kind.into(),
            trust: BTreeMap::new(),
            cases: Vec::new(),
        }
    }

    fn trust(&mut self, name: &str, trust: &impl Serialize) {
        let text = serde_json::to_string(trust).unwrap();
        self.trust.insert(name.into(), text);
    }

    fn good(&mut self, name: &str, trust: &str, proof: &impl Serialize, ok: Value) {
        self.good_text(name, trust, serde_json::to_string(proof).unwrap(), ok);
    }

    fn good_text(&mut self, name: &str, trust: &str, proof: String, ok: Value) {
        self.cases.push(Case {
            name: name.into(),
            trust: trust.into(),
            proof,
            ok: Some(ok),
            error: None,
        });
    }

    fn bad(&mut self, name: &str, trust: &str, proof: &impl Serialize, error: &str) {
        self.bad_text(name, trust, serde_json::to_string(proof).unwrap(), error);
    }

    fn bad_text(&mut self, name: &str, trust: &str, proof: String, error: &str) {
        self.cases.push(Case {
            name: name.into(),
            trust: trust.into(),
            proof,
            ok: None,
            error: Some(error.into()),
        });
    }

    /// A case that is `proof` with one change to its JSON, at a JSON pointer.
    fn change(
        &mut self,
        (trust, proof): (&str, &Value),
        name: &str,
        pointer: &str,
        value: Value,
        error: &str,
    ) {
        let mut changed = proof.clone();
        let place = changed
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{name}: there is no {pointer}"));
        assert_ne!(place, &value, "{name} changes nothing");
        *place = value;
        self.bad(name, trust, &changed, error);
    }

    /// One such case a line: its name, the pointer, the new value (`HASH`: another hash), the code, with `|` between.
    fn changes(&mut self, base: (&str, &Value), table: &str) {
        for line in table.trim().lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [name, pointer, value, error] = cells[..] else {
                panic!("not four cells: {line}")
            };
            let value = value.replace("HASH", &format!("\"{}\"", hex::encode([7; 32])));
            let value = serde_json::from_str(&value).unwrap();
            self.change(base, name, pointer, value, error);
        }
    }

    fn path(&self) -> PathBuf {
        let file = format!("{}.json", self.kind);
        [env!("CARGO_MANIFEST_DIR"), "vectors", &file]
            .iter()
            .collect()
    }

    fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap() + "\n"
    }
}

fn all() -> [Vectors; 7] {
    [
        finality::vectors(),
        lanes::lane(),
        lanes::range(),
        lanes::skip(),
        orders::vectors(),
        handovers::vectors(),
        evidence::vectors(),
    ]
}

#[test]
fn the_files_are_current() {
    let write = std::env::var_os("OUTRIDER_WRITE_VECTORS").is_some();
    for vectors in all() {
        let path = vectors.path();
        if write {
            std::fs::write(&path, vectors.text()).unwrap();
        }
        let kept: Vectors = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for (kept, made) in kept.cases.iter().zip(&vectors.cases) {
            assert_eq!(
                kept,
                made,
                "{}: stale; main.rs says how to write it again",
                path.display()
            );
        }
        let same = std::fs::read_to_string(&path).unwrap() == vectors.text();
        assert!(
            same,
            "{}: stale; main.rs says how to write it again",
            path.display()
        );
    }
}

#[test]
fn every_case_is_judged_as_it_says() {
    for vectors in all() {
        let mut names = Vec::new();
        for case in &vectors.cases {
            let trust = &vectors.trust[&case.trust];
            let found = check(&vectors.kind, trust.as_bytes(), case.proof.as_bytes());
            let (ok, error) = match found {
                Ok(ok) => (Some(ok), None),
                Err(rejected) => (None, Some(rejected.code.to_owned())),
            };
            let name = format!("{}: {}", vectors.kind, case.name);
            assert_eq!((ok, error), (case.ok.clone(), case.error.clone()), "{name}");
            assert!(!names.contains(&name), "{name} is there twice");
            names.push(name);
        }
    }
}

/// Any one byte of a proof changed proves nothing, or the same (a space, a case of a hex digit): never something else.
#[test]
fn a_changed_byte_never_proves_another_thing() {
    let vectors = finality::vectors();
    let case = &vectors.cases[0];
    let trust = vectors.trust[&case.trust].as_bytes();
    let mut proof = case.proof.clone().into_bytes();
    for at in 0..proof.len() {
        let byte = proof[at];
        proof[at] = byte ^ 1;
        if let Ok(found) = check(&vectors.kind, trust, &proof) {
            assert_eq!(Some(found), case.ok, "byte {at}");
        }
        proof[at] = byte;
    }
}

#[test]
fn what_is_trusted_must_be_a_committee() {
    let refused = |trust: &[u8]| check("finality", trust, b"{}").unwrap_err().code;
    for trust in [&b""[..], b"null", b"{}", b"[]", b"\xff\xff"] {
        assert_eq!(refused(trust), "trust");
    }
    let (committee, _) = outrider_types::testing::committee(&[1; 4]);
    let mut unsafe_committee = json!(committee);
    unsafe_committee["byzantine"] = json!(2);
    assert_eq!(refused(unsafe_committee.to_string().as_bytes()), "trust");
    let mut small_order = json!(committee);
    small_order["members"][0]["public_key"] = json!(hex::encode(forge::IDENTITY));
    assert_eq!(refused(small_order.to_string().as_bytes()), "trust");
    let long = vec![b' '; outrider_client::TRUST_BYTES_MAX + 1];
    assert_eq!(refused(&long), "trust");
    assert_eq!(check("other", b"{}", b"{}").unwrap_err().code, "kind");
}
