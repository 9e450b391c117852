//! JSON of what leaves the system as text: it comes back the same, and unknown or missing fields are refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use common::{A, World};
use outrider_types::{Committee, Evidence, FinalityCertificate};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::Debug;

/// Every object inside `value`, by its JSON pointer.
fn objects(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            out.push(at.to_owned());
            map.iter()
                .for_each(|(key, inner)| objects(inner, &format!("{at}/{key}"), out));
        }
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(i, inner)| objects(inner, &format!("{at}/{i}"), out)),
        _ => {}
    }
}

fn comes_back_the_same_and_refuses_the_rest<T>(value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&text).unwrap(), *value);
    let json: Value = serde_json::from_str(&text).unwrap();
    let mut places = Vec::new();
    objects(&json, "", &mut places);
    assert!(!places.is_empty());
    for place in places {
        let object = json.pointer(&place).and_then(Value::as_object).unwrap();
        let mut more = json.clone();
        more.pointer_mut(&place).unwrap()["surprise"] = json!(1);
        assert!(
            serde_json::from_value::<T>(more).is_err(),
            "unknown field in {place:?}"
        );
        for key in object.keys().filter(|key| *key != "voted") {
            let mut less = json.clone();
            less.pointer_mut(&place)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(key);
            assert!(
                serde_json::from_value::<T>(less).is_err(),
                "{place}/{key} missing"
            );
        }
    }
}

#[test]
fn committee_comes_back_the_same() {
    let committee = World::new(&[3, 2, 2, 1, 1]).committee;
    comes_back_the_same_and_refuses_the_rest(&committee);
    let text = serde_json::to_string(&committee).unwrap();
    let back: Committee = serde_json::from_str(&text).unwrap();
    assert_eq!(back.id(), committee.id());
    assert_eq!(back.thresholds(), committee.thresholds());
}

#[test]
fn committee_of_json_is_checked_like_any_other() {
    let mut json = serde_json::to_value(World::six().committee).unwrap();
    json["byzantine"] = json!(2);
    let error = serde_json::from_value::<Committee>(json)
        .unwrap_err()
        .to_string();
    assert!(error.contains("N >= 3f + 2c + 1"), "{error}");
}

#[test]
fn evidence_comes_back_the_same() {
    World::six()
        .offences()
        .iter()
        .for_each(comes_back_the_same_and_refuses_the_rest::<Evidence>);
}

#[test]
fn finality_certificates_come_back_the_same() {
    let world = World::six();
    for certificate in [world.fast(5, A), world.slow(5, A)] {
        comes_back_the_same_and_refuses_the_rest::<FinalityCertificate>(&certificate);
    }
}

#[test]
fn identities_are_hex_with_or_without_0x_and_of_the_right_length() {
    let id = A.to_string();
    assert_eq!(id, "aa".repeat(32));
    assert_eq!(id.parse(), Ok(A));
    assert_eq!(format!("0x{id}").parse(), Ok(A));
    for wrong in [
        "",
        "0x",
        "aa",
        &id[2..],
        &format!("{id}00"),
        &"zz".repeat(32),
    ] {
        assert!(
            wrong.parse::<outrider_types::BlockId>().is_err(),
            "{wrong:?}"
        );
    }
}
