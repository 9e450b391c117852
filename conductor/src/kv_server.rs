//! The key-value machine over HTTP: what `outrider vm kv` runs.

use crate::kv::KvMachine;
use crate::remote::ExecuteRequest;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;

/// Most bytes of a request: an interval in hex, with room around it.
const REQUEST_BYTES_MAX: usize = 80 * 1024 * 1024;

type Machine = Arc<Mutex<KvMachine>>;

pub(crate) fn lock(machine: &Machine) -> MutexGuard<'_, KvMachine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serve a new machine until the task is dropped. Its state is in memory: after a restart its conductor executes the lane
/// again.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    serve_machine(listener, Machine::default()).await
}

/// Serve this one.
pub(crate) async fn serve_machine(listener: TcpListener, machine: Machine) -> io::Result<()> {
    let routes = Router::new()
        .route(
            "/head",
            get(async |State(machine): State<Machine>| Json(lock(&machine).head())),
        )
        .route("/block/{number}", get(block))
        .route("/value/{key}", get(value))
        .route("/execute", post(execute))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(machine);
    axum::serve(listener, routes).await
}

async fn block(State(machine): State<Machine>, Path(number): Path<u64>) -> Response {
    match lock(&machine).block(number) {
        Some(block) => Json(block).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn value(State(machine): State<Machine>, Path(key): Path<String>) -> Response {
    match lock(&machine).get(&key) {
        Some(value) => Json(json!({ "value": value })).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn execute(State(machine): State<Machine>, Json(request): Json<ExecuteRequest>) -> Response {
    match lock(&machine).execute(&request) {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => (StatusCode::CONFLICT, error.to_string()).into_response(),
    }
}
