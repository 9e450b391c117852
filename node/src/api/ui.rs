//! The page at `/ui`: files built in, so that it needs nothing but this node.
//!
//! The page asks over the WebSocket on the same port, and checks proofs itself with the light client, which
//! `cargo xtask wasm` builds. `tests/e2e/ui.sh` uses it in a browser.

use super::get::File;
use bytes::Bytes;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Its files.
pub(super) const FILES: [File; 9] = [
    File {
        path: "/ui",
        kind: "text/html; charset=utf-8",
        body: || text(include_str!("ui/index.html")),
    },
    File {
        path: "/ui/style.css",
        kind: "text/css; charset=utf-8",
        body: || text(include_str!("ui/style.css")),
    },
    script("/ui/page.js", || text(include_str!("ui/page.js"))),
    script("/ui/socket.js", || text(include_str!("ui/socket.js"))),
    script("/ui/charts.js", || text(include_str!("ui/charts.js"))),
    script("/ui/live.js", || text(include_str!("ui/live.js"))),
    script("/ui/follow.js", || text(include_str!("ui/follow.js"))),
    script("/ui/loader.js", || {
        text(include_str!("../../../client/wasm/loader.js"))
    }),
    File {
        path: "/ui/light-client.wasm",
        kind: "application/wasm",
        body: || Bytes::from_static(include_bytes!("ui/light-client.wasm")),
    },
];

const fn script(path: &'static str, body: fn() -> Bytes) -> File {
    File {
        path,
        kind: SCRIPT,
        body,
    }
}

const fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}
