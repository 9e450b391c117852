//! What this crate says of the contracts is what their committed artifacts say.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]

use alloy_primitives::{B256, keccak256};
use alloy_sol_types::{SolEventInterface, SolInterface, SolStruct as _};
use outrider_l1::abi;
use serde_json::Value;
use std::collections::BTreeMap;

/// Reads of a contract that nobody needs: what was given to its constructor, and limits.
const UNUSED: [&str; 27] = [
    "BLOCK_BYTES_MAX()",
    "BLOCK_ENTRIES_MAX()",
    "BURNED()",
    "CHECKPOINT_CONFLICT()",
    "CONTACT_BYTES_MAX()",
    "DATA_BYTES_MAX()",
    "FREEZE_REPORTS_MAX()",
    "HEADERS_MAX()",
    "TOTAL_MAX()",
    "anchor()",
    "chain()",
    "court()",
    "deployer()",
    "epochBlocks()",
    "evidenceAge()",
    "firstEpoch()",
    "inbox()",
    "inboxWindow()",
    "manager()",
    "registry()",
    "rewardShare()",
    "slashShare()",
    "stakeMin()",
    "stakeUnit()",
    "unbonding()",
    "offer(address)",
    "attesterDigest(address)",
];

fn type_of(input: &Value) -> String {
    let name = input["type"].as_str().unwrap();
    let Some(array) = name.strip_prefix("tuple") else {
        return name.to_owned();
    };
    let parts: Vec<String> = input["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(type_of)
        .collect();
    format!("({}){array}", parts.join(","))
}

fn signature(entry: &Value) -> String {
    let inputs: Vec<String> = entry["inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(type_of)
        .collect();
    format!("{}({})", entry["name"].as_str().unwrap(), inputs.join(","))
}

/// Signatures of one kind in an artifact, by their hash.
fn entries(artifact: &Value, kind: &str) -> BTreeMap<B256, String> {
    let all = artifact["abi"].as_array().unwrap().iter();
    let signatures = all.filter(|entry| entry["type"] == kind).map(signature);
    signatures.map(|one| (keccak256(&one), one)).collect()
}

fn selectors(entries: &BTreeMap<B256, String>) -> BTreeMap<[u8; 4], String> {
    let four = |hash: &B256| [hash[0], hash[1], hash[2], hash[3]];
    entries
        .iter()
        .map(|(hash, name)| (four(hash), name.clone()))
        .collect()
}

fn compare<Calls: SolInterface, Errors: SolInterface, Events: SolEventInterface>(
    text: &str,
    topics: &[[u8; 32]],
    also: &[[u8; 4]],
) {
    let artifact: Value = serde_json::from_str(text).unwrap();
    let functions = selectors(&entries(&artifact, "function"));
    for selector in Calls::selectors() {
        assert!(
            functions.contains_key(&selector),
            "no function {selector:02x?} on L1"
        );
    }
    for (selector, name) in &functions {
        let known = Calls::valid_selector(*selector);
        assert!(
            known || UNUSED.contains(&name.as_str()),
            "{name} is missing"
        );
    }
    let errors = selectors(&entries(&artifact, "error"));
    for selector in Errors::selectors() {
        assert!(
            errors.contains_key(&selector),
            "no error {selector:02x?} on L1"
        );
    }
    for (selector, name) in &errors {
        let known = Errors::valid_selector(*selector) || also.contains(selector);
        assert!(known, "{name} is missing");
    }
    let events = entries(&artifact, "event");
    let wanted: Vec<B256> = events.keys().copied().collect();
    let mut topics: Vec<B256> = topics.iter().map(B256::from).collect();
    topics.sort_unstable();
    assert_eq!(topics, wanted, "events of {:?}", events.values());
    assert_eq!(Events::COUNT, wanted.len());
}

#[test]
fn calls_events_and_errors_are_those_of_the_artifacts() {
    let shared: Vec<[u8; 4]> = abi::System::SystemErrors::selectors().collect();
    macro_rules! check {
        ($name:ident, $calls:ident, $errors:ident, $events:ident) => {
            compare::<abi::$name::$calls, abi::$name::$errors, abi::$name::$events>(
                include_str!(concat!(
                    "../../contracts/artifacts/",
                    stringify!($name),
                    ".json"
                )),
                abi::$name::$events::SELECTORS,
                &shared,
            );
        };
    }
    check!(
        OperatorRegistry,
        OperatorRegistryCalls,
        OperatorRegistryErrors,
        OperatorRegistryEvents
    );
    check!(
        BondedStake,
        BondedStakeCalls,
        BondedStakeErrors,
        BondedStakeEvents
    );
    check!(
        CommitteeManager,
        CommitteeManagerCalls,
        CommitteeManagerErrors,
        CommitteeManagerEvents
    );
    check!(
        ForcedInbox,
        ForcedInboxCalls,
        ForcedInboxErrors,
        ForcedInboxEvents
    );
    check!(
        FinalityAnchor,
        FinalityAnchorCalls,
        FinalityAnchorErrors,
        FinalityAnchorEvents
    );
    check!(
        SlashingCourt,
        SlashingCourtCalls,
        SlashingCourtErrors,
        SlashingCourtEvents
    );
}

#[test]
fn constructors_take_the_structs_of_this_crate() {
    let text = include_str!("../../contracts/artifacts/CommitteeManager.json");
    let artifact: Value = serde_json::from_str(text).unwrap();
    let all = artifact["abi"].as_array().unwrap();
    let constructor = all
        .iter()
        .find(|entry| entry["type"] == "constructor")
        .unwrap();
    let inputs = constructor["inputs"].as_array().unwrap();
    // As EIP-712 writes a struct: `Name(type name,..)`.
    let written = |value: &Value| -> String {
        let fields = value["components"].as_array().unwrap().iter();
        let fields: Vec<String> = fields
            .map(|field| {
                format!(
                    "{} {}",
                    field["type"].as_str().unwrap(),
                    field["name"].as_str().unwrap()
                )
            })
            .collect();
        let name = value["internalType"]
            .as_str()
            .unwrap()
            .strip_prefix("struct ")
            .unwrap();
        format!("{name}({})", fields.join(","))
    };
    assert_eq!(written(&inputs[0]), abi::Parameters::eip712_root_type());
    assert_eq!(written(&inputs[1]), abi::Addresses::eip712_root_type());
    assert_eq!(inputs[2]["type"], "address[]");
}
