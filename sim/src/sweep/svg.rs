//! As much SVG as charts need. Numbers have one digit after the point, so that the same chart is the same bytes.

use std::fmt::Write as _;

/// Where a text stands relative to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// It is centred there.
    Middle,
    /// It ends there.
    End,
}

impl Anchor {
    const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A document being written.
#[derive(Debug)]
pub struct Svg(String);

type Place = (f64, f64);

const INK: &str = "#222222";

impl Svg {
    /// An empty white page.
    pub fn new(width: f64, height: f64) -> Self {
        let mut svg = Self(String::new());
        svg.put(format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="Helvetica, Arial, sans-serif" role="img">"#
        ));
        svg.put(format_args!(
            r##"<rect width="100%" height="100%" fill="#ffffff"/>"##
        ));
        svg
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{element}");
    }

    /// What it is, for those who cannot see it.
    pub fn title(&mut self, text: &str) {
        let text = escaped(text);
        self.put(format_args!("<title>{text}</title>"));
    }

    pub fn text(&mut self, place: Place, size: f64, anchor: Anchor, text: &str) {
        self.words(place, size, anchor, "", text);
    }

    pub fn bold(&mut self, place: Place, size: f64, anchor: Anchor, text: &str) {
        self.words(place, size, anchor, r#" font-weight="bold""#, text);
    }

    /// Read from below to above.
    pub fn upright(&mut self, (x, y): Place, size: f64, text: &str) {
        let turned = format!(r#" transform="rotate(-90 {x:.1} {y:.1})""#);
        self.words((x, y), size, Anchor::Middle, &turned, text);
    }

    fn words(&mut self, (x, y): Place, size: f64, anchor: Anchor, more: &str, text: &str) {
        let (anchor, text) = (anchor.name(), escaped(text));
        self.put(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size:.1}" text-anchor="{anchor}" fill="{INK}"{more}>{text}</text>"#
        ));
    }

    pub fn line(&mut self, (x1, y1): Place, (x2, y2): Place, colour: &str, width: f64) {
        self.put(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width:.1}"/>"#
        ));
    }

    pub fn frame(&mut self, (x, y): Place, (width, height): Place, colour: &str) {
        self.put(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="none" stroke="{colour}"/>"#
        ));
    }

    /// A line through these places.
    pub fn path(&mut self, places: &[Place], colour: &str, width: f64) {
        let points = points(places);
        self.put(format_args!(
            r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width:.1}" stroke-linejoin="round"/>"#
        ));
    }

    /// A pale surface.
    pub fn area(&mut self, corners: &[Place], colour: &str) {
        let points = points(corners);
        self.put(format_args!(
            r#"<polygon points="{points}" fill="{colour}" fill-opacity="0.18" stroke="none"/>"#
        ));
    }

    /// A shape, filled or hollow.
    pub fn polygon(&mut self, corners: &[Place], colour: &str, filled: bool) {
        let points = points(corners);
        let fill = if filled { colour } else { "#ffffff" };
        self.put(format_args!(
            r#"<polygon points="{points}" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>"#
        ));
    }

    pub fn circle(&mut self, (x, y): Place, radius: f64, colour: &str, filled: bool) {
        let fill = if filled { colour } else { "#ffffff" };
        self.put(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius:.1}" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>"#
        ));
    }

    /// The document.
    pub fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn points(places: &[Place]) -> String {
    let all: Vec<String> = places
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    all.join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
