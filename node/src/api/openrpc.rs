//! The OpenRPC document, made of the table of methods, the error codes and `schemas.json`.
//!
//! <https://spec.open-rpc.org>, version 1.3.2. What the format has no place for stands in extensions: `x-path` is where a
//! method is served, `x-transport` is `websocket` where HTTP is not enough. The `data.retry` of an error in the document
//! says whether trying again helps.

use super::errors::ErrorCode;
use super::table::{METHODS, Method, Parameter};
use serde_json::{Map, Value, json};

/// Shapes by name.
const SCHEMAS: &str = include_str!("schemas.json");

fn schemas() -> Map<String, Value> {
    let parsed: Result<Map<String, Value>, _> = serde_json::from_str(SCHEMAS);
    assert!(parsed.is_ok(), "schemas.json is an object: {parsed:?}");
    let mut schemas = parsed.unwrap_or_default();
    schemas.remove("$comment");
    schemas
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The document.
pub(super) fn document() -> Value {
    let schemas = schemas();
    let methods: Vec<Value> = METHODS
        .iter()
        .map(|method| described(method, &schemas))
        .collect();
    let errors: Map<String, Value> = ErrorCode::ALL
        .iter()
        .map(|code| {
            let (number, meaning, retry) = code.describe();
            let error = json!({ "code": number, "message": meaning, "data": { "retry": retry } });
            (code.name().to_owned(), error)
        })
        .collect();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Outrider",
            "description": "What a member answers to rollups, wallets and sequencers.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [server("/")],
        "methods": methods,
        "components": { "schemas": schemas, "errors": errors },
    })
}

/// The document as a file.
#[must_use]
pub fn to_json() -> String {
    let mut text = format!("{:#}", document());
    text.push('\n');
    text
}

fn server(path: &str) -> Value {
    let path = path.split(' ').next().unwrap_or(path);
    if !path.contains("{id}") {
        return json!({ "name": "member", "url": path });
    }
    let help = "The rollup's id in decimal.";
    json!({
        "name": "rollup",
        "url": path.replace("{id}", "${id}"),
        "variables": { "id": { "default": "7", "description": help } },
    })
}

fn described(method: &Method, schemas: &Map<String, Value>) -> Value {
    let parameters: Vec<Value> = method
        .parameters
        .iter()
        .map(|parameter| {
            let Parameter {
                name,
                schema: of,
                required,
            } = parameter;
            json!({ "name": name, "required": required, "schema": schema(of) })
        })
        .collect();
    let taken = (!method.parameters.is_empty()).then_some(ErrorCode::InvalidParams);
    let errors: Vec<Value> = [ErrorCode::WrongPath]
        .iter()
        .chain(&taken)
        .chain(method.errors)
        .map(|code| json!({ "$ref": format!("#/components/errors/{}", code.name()) }))
        .collect();
    let mut described = json!({
        "name": method.name,
        "summary": method.help,
        "paramStructure": "by-position",
        "params": parameters,
        "result": { "name": "result", "schema": schema(method.result) },
        "errors": errors,
        "servers": [server(method.path)],
        "x-path": method.path.split(' ').next(),
        "x-transport": if method.path.contains("WebSocket") { "websocket" } else { "http" },
    });
    let examples: Option<Vec<Value>> = method
        .parameters
        .iter()
        .map(|parameter| {
            let value = schemas.get(parameter.schema)?.get("examples")?.get(0)?;
            Some(json!({ "name": parameter.name, "value": value }))
        })
        .collect();
    if let Some(examples) = examples.filter(|examples| !examples.is_empty()) {
        described["examples"] = json!([{ "name": "a call", "params": examples }]);
    }
    described
}
