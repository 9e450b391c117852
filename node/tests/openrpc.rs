//! The OpenRPC document: its form, and whether the server does what it says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in its helpers"
)]

mod mock;

use jsonrpsee::core::client::{ClientT, Error, SubscriptionClientT};
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::http_client::HttpClientBuilder;
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::WsClientBuilder;
use mock::serve;
use outrider_node::api::{self, ErrorCode, METHODS, RunningApi};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn document() -> Value {
    serde_json::from_str(&api::to_openrpc()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Where `#/a/b` points.
fn resolve<'a>(document: &'a Value, reference: &str) -> &'a Value {
    let pointer = reference.strip_prefix('#').unwrap();
    document
        .pointer(pointer)
        .unwrap_or_else(|| panic!("{reference} is not there"))
}

/// All values of `$ref`.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("$ref", Value::String(reference)) => {
                        found.insert(reference.clone());
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The part of JSON Schema that the document uses; what else there is makes it panic.
fn matches(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let fault = |what: &str| Err(format!("{value} is not {what} of {schema}"));
    let Some(rules) = schema.as_object() else {
        return Ok(());
    };
    for (rule, with) in rules {
        let holds = match rule.as_str() {
            "$ref" => return matches(document, resolve(document, with.as_str().unwrap()), value),
            "description" | "examples" => true,
            "type" => {
                let is = |kind: &Value| match kind.as_str().unwrap() {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("no type {other}"),
                };
                is_one_of(with, is)
            }
            "enum" => list(with).contains(value),
            "minimum" => value
                .as_f64()
                .is_none_or(|found| found >= with.as_f64().unwrap()),
            "maximum" => value
                .as_f64()
                .is_none_or(|found| found <= with.as_f64().unwrap()),
            "minItems" => list(value).len() as u64 >= with.as_u64().unwrap(),
            "maxItems" => list(value).len() as u64 <= with.as_u64().unwrap(),
            // Of patterns only the prefix and the alphabet.
            "pattern" => value.as_str().is_none_or(|text| {
                let digits = text.strip_prefix("0x");
                let wants = with.as_str().unwrap().starts_with("^0x");
                let digits = if wants { digits } else { digits.or(Some(text)) };
                digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            }),
            "required" => {
                value.is_null()
                    || list(with)
                        .iter()
                        .all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "properties" => {
                for (name, schema) in with.as_object().unwrap() {
                    if let Some(field) = value.get(name) {
                        matches(document, schema, field)?;
                    }
                }
                true
            }
            "items" => {
                for item in list(value) {
                    matches(document, with, item)?;
                }
                true
            }
            "anyOf" => list(with)
                .iter()
                .any(|one| matches(document, one, value).is_ok()),
            other => panic!("the test does not know {other}"),
        };
        if !holds {
            return fault(rule);
        }
    }
    Ok(())
}

fn is_one_of(kinds: &Value, is: impl Fn(&Value) -> bool) -> bool {
    match kinds.as_array() {
        Some(kinds) => kinds.iter().any(is),
        None => is(kinds),
    }
}

fn only(value: &Value, allowed: &[&str]) {
    for name in value.as_object().unwrap().keys() {
        assert!(
            allowed.contains(&name.as_str()) || name.starts_with("x-"),
            "{name} in {value}"
        );
    }
}

#[test]
fn document_keeps_the_rules_of_the_meta_schema() {
    let document = document();
    only(
        &document,
        &["openrpc", "info", "servers", "methods", "components"],
    );
    assert!(document["openrpc"].as_str().unwrap().starts_with("1."));
    only(&document["info"], &["title", "description", "version"]);
    only(&document["components"], &["schemas", "errors"]);
    let mut names = BTreeSet::new();
    for method in list(&document["methods"]) {
        let allowed = [
            "name",
            "summary",
            "paramStructure",
            "params",
            "result",
            "errors",
            "servers",
            "examples",
        ];
        only(method, &allowed);
        assert!(
            names.insert(method["name"].as_str().unwrap()),
            "{} twice",
            method["name"]
        );
        let mut parameters = BTreeSet::new();
        let mut optional = false;
        for parameter in list(&method["params"]) {
            only(parameter, &["name", "required", "schema"]);
            assert!(parameters.insert(parameter["name"].as_str().unwrap()));
            let required = parameter["required"].as_bool().unwrap();
            assert!(
                !(optional && required),
                "{}: one that may be left out comes last",
                method["name"]
            );
            optional |= !required;
        }
        only(&method["result"], &["name", "schema"]);
        for server in list(&method["servers"]) {
            only(server, &["name", "url", "variables"]);
        }
        for example in list(&method["examples"]) {
            assert_eq!(list(&example["params"]).len(), parameters.len());
            for (example, parameter) in list(&example["params"]).iter().zip(list(&method["params"]))
            {
                matches(&document, &parameter["schema"], &example["value"]).unwrap();
            }
        }
    }
    assert_eq!(names, METHODS.iter().map(|method| method.name).collect());
    for error in document["components"]["errors"]
        .as_object()
        .unwrap()
        .values()
    {
        only(error, &["code", "message", "data"]);
        assert!(error["code"].is_i64() && error["message"].is_string());
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_shape_is_used() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        resolve(&document, reference);
    }
    for kind in ["schemas", "errors"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(
                found.contains(&format!("#/components/{kind}/{name}")),
                "{name} is used nowhere"
            );
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for example in list(&schema["examples"]) {
            matches(&document, schema, example).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
    }
}

#[test]
fn every_method_and_code_is_in_the_table_for_people() {
    let markdown = api::to_markdown();
    for method in METHODS {
        assert!(markdown.contains(&format!("| `{}` |", method.name)));
    }
    for code in ErrorCode::ALL {
        assert!(markdown.contains(&format!("\n| {} |", code.describe().0)));
    }
}

/// Call a method with the parameters of its example.
async fn call(api: &RunningApi, method: &Value, params: ArrayParams) -> Result<Value, Error> {
    let name = method["name"].as_str().unwrap();
    let path = method["x-path"].as_str().unwrap().replace("{id}", "7");
    if method["x-transport"] == "websocket" {
        let url = format!("ws://{}{path}", api.local_addr());
        let socket = WsClientBuilder::default().build(url).await.unwrap();
        if name.ends_with("_subscribe") {
            let subscribed = socket.subscribe::<Value, _>(name, params, "outrider_unsubscribe");
            return subscribed.await.map(|_| json!(1));
        }
        return socket.request(name, params).await;
    }
    let url = format!("http://{}{path}", api.local_addr());
    HttpClientBuilder::default()
        .build(url)
        .unwrap()
        .request(name, params)
        .await
}

#[tokio::test]
async fn calls_with_the_example_are_taken_and_answers_have_the_shape_that_is_said() {
    let api = serve().await;
    let document = document();
    for method in list(&document["methods"]) {
        let name = &method["name"];
        let mut params = ArrayParams::new();
        let examples = list(&method["examples"]);
        if examples.is_empty() && !list(&method["params"]).is_empty() {
            // Approvals and executions are made with keys of members.
            assert!(name == "outrider_submitChange" || name == "outrider_executionVote");
            continue;
        }
        for example in examples.iter().flat_map(|example| list(&example["params"])) {
            params.insert(&example["value"]).unwrap();
        }
        match call(&api, method, params).await {
            Ok(result) => matches(&document, &method["result"]["schema"], &result)
                .unwrap_or_else(|fault| panic!("{name}: {fault}")),
            Err(Error::Call(error)) => {
                let known = list(&method["errors"]).iter().any(|reference| {
                    let error_of = resolve(&document, reference["$ref"].as_str().unwrap());
                    error_of["code"] == error.code()
                });
                assert!(known, "{name} does not say that it may refuse so: {error}");
                assert_ne!(
                    error.code(),
                    ErrorCode::InvalidParams.describe().0,
                    "{name}: {error}"
                );
                // One call is a body of bytes, not JSON.
                let bytes = name == "outrider_submitBytes";
                let wrong_path = error.code() == ErrorCode::WrongPath.describe().0;
                assert_eq!(wrong_path, bytes, "{name}: {error}");
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
}

/// What GET, or another method without a body, answers: status, headers, body.
async fn get(api: &RunningApi, method: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(api.local_addr()).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn document_is_served_by_discover_and_as_a_file() {
    let api = serve().await;
    let url = format!("http://{}", api.local_addr());
    let client = HttpClientBuilder::default().build(url).unwrap();
    let served: Value = client.request("rpc.discover", rpc_params![]).await.unwrap();
    assert_eq!(served, document());

    let (status, head, body) = get(&api, "GET", "/openrpc.json").await;
    assert_eq!((status, body), (200, api::to_openrpc()));
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(
        head.contains("content-security-policy: default-src 'none'"),
        "{head}"
    );
    let (status, head, body) = get(&api, "HEAD", "/openrpc.json").await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains("content-type: application/json"), "{head}");
    for path in [
        "/",
        "/nothing",
        "/openrpc.json/",
        "/rollup/7",
        "//openrpc.json",
        "/../openrpc.json",
    ] {
        assert_eq!(get(&api, "GET", path).await.0, 405, "{path}");
    }
}
