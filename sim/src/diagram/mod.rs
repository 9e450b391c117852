//! The time-space diagram of a run: one HTML file that needs no network, no server and no other file.
//!
//! A lane for each host, time from left to right, an arrow for each message. The page's parts are beside this file:
//! `page.html`, `style.css`, and the scripts `model.js` (what there is), `scene.js` (what is drawn), `panel.js` (words
//! beside it) and `controls.js` (mouse, keys, buttons). `tests/e2e/diagram.sh` opens it in a browser.

mod data;

use crate::record::Recording;
use crate::report::{Run, Summary};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPTS: [&str; 4] = [
    include_str!("model.js"),
    include_str!("scene.js"),
    include_str!("panel.js"),
    include_str!("controls.js"),
];

/// The diagram of a recorded run. The same run gives the same bytes.
#[must_use]
pub fn html(run: &Run<'_>, summary: &Summary, recording: &Recording) -> String {
    let data = embedded(&data::of(run, summary, recording).line());
    let title = format!("{} seed {}", run.scenario.name, run.seed);
    let mut out = String::with_capacity(PAGE.len() + STYLE.len() + data.len());
    // The template is cut at its marks once, so that nothing in the data is taken for a mark.
    for (place, part) in PAGE.split("<!--@-->").enumerate() {
        match place {
            0 => {}
            1 => out.push_str(&escaped(&title)),
            2 => out.push_str(STYLE),
            3 => out.push_str(&data),
            4 => SCRIPTS.iter().for_each(|script| out.push_str(script)),
            _ => unreachable!("the page has four marks"),
        }
        out.push_str(part);
    }
    out
}

/// JSON that can stand in a script element: no text in it can end the element or open a comment.
fn embedded(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
