//! A rough look at Rust source: what is code, what is comment, what is test. Byte offsets stay those of the file.

use std::ops::Range;

/// A source text taken apart. Each part is as long as the whole, with spaces in place of the rest; newlines stay.
pub struct Parts {
    /// Neither comments nor the insides of strings and characters.
    pub code: String,
    /// Comments only, with their slashes.
    pub comments: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Parts {
    pub fn of(text: &str) -> Self {
        let mut parts = Self {
            code: String::with_capacity(text.len()),
            comments: String::with_capacity(text.len()),
        };
        let mut at = 0;
        while at < text.len() {
            let (kind, length) = token(text, at);
            for letter in text[at..at + length].chars() {
                parts.push(letter, kind);
            }
            at += length;
        }
        parts
    }

    fn push(&mut self, letter: char, kind: Kind) {
        for (part, kept) in [
            (&mut self.code, Kind::Code),
            (&mut self.comments, Kind::Comment),
        ] {
            if kind == kept || letter == '\n' {
                part.push(letter);
            } else {
                part.extend(std::iter::repeat_n(' ', letter.len_utf8()));
            }
        }
    }
}

/// The kind and the length in bytes (at least one letter) of what begins at `at`.
fn token(text: &str, at: usize) -> (Kind, usize) {
    let rest = &text[at..];
    let after_word = text[..at].chars().next_back().is_some_and(in_word);
    let first = rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("//") {
        (Kind::Comment, rest.find('\n').unwrap_or(rest.len()))
    } else if rest.starts_with("/*") {
        (Kind::Comment, block_comment(rest))
    } else if rest.starts_with('"') {
        (Kind::Literal, string(rest))
    } else if rest.starts_with('\'') {
        character(rest).map_or((Kind::Code, 1), |length| (Kind::Literal, length))
    } else if let (false, Some(length)) = (after_word, raw_string(rest)) {
        (Kind::Literal, length)
    } else {
        (Kind::Code, first)
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn string(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character literal, or nothing if the quote begins a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1);
    let (_, letter) = letters.next()?;
    if letter == '\\' {
        letters.next()?;
        letters
            .find(|(_, letter)| *letter == '\'')
            .map(|(at, _)| at + 1)
    } else {
        letters
            .next()
            .filter(|(_, letter)| *letter == '\'')
            .map(|(at, _)| at + 1)
    }
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes_from = ["br", "cr", "r"]
        .into_iter()
        .find(|prefix| rest.starts_with(prefix))?
        .len();
    let hashes = rest[hashes_from..]
        .bytes()
        .take_while(|byte| *byte == b'#')
        .count();
    let inside = hashes_from + hashes + 1;
    if !rest[hashes_from + hashes..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    Some(
        rest[inside..]
            .find(&end)
            .map_or(rest.len(), |at| inside + at + end.len()),
    )
}

fn in_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Where `words` (which may hold `::`, spaces and the like) occurs with nothing of a word before or after it.
pub fn find_words(text: &str, words: &str) -> Vec<usize> {
    let whole = |at: &usize| {
        let before = text[..*at].chars().next_back();
        let after = text[*at + words.len()..].chars().next();
        !before.is_some_and(in_word) && !after.is_some_and(in_word)
    };
    text.match_indices(words)
        .map(|(at, _)| at)
        .filter(whole)
        .collect()
}

/// Where the macro `name!` is called, and where its arguments begin (after the `!`).
pub fn find_macro(code: &str, name: &str) -> Vec<(usize, usize)> {
    let call = |at: usize| {
        let after = &code[at + name.len()..];
        let bang = after.trim_start().strip_prefix('!')?;
        Some((at, code.len() - bang.len()))
    };
    find_words(code, name)
        .into_iter()
        .filter_map(call)
        .collect()
}

/// The line of a byte, counted from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The items under `#[cfg(test)]` that have a body.
pub fn test_sections(code: &str) -> Vec<Range<usize>> {
    let mut sections: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let covered = sections.last().is_some_and(|section| section.contains(&at));
        let Some(open) = code[at..].find(['{', ';']).map(|offset| at + offset) else {
            continue;
        };
        if !covered && code[open..].starts_with('{') {
            sections.push(at..open + braces(&code[open..]));
        }
    }
    sections
}

/// The length of the block in braces that `code` begins with.
pub fn braces(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in code.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_are_not_code() {
        let text = "let a = \"x // \\\" y\"; // b \"c\nlet d = /* e /* f */ g */ h; let i = r#\"j \" k\"#; 'l' '\\'' é";
        let parts = Parts::of(text);
        assert_eq!(
            (parts.code.len(), parts.comments.len()),
            (text.len(), text.len())
        );
        let words = |part: &str| {
            part.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(words(&parts.code), "let a = ; let d = h; let i = ; é");
        assert_eq!(words(&parts.comments), "// b \"c /* e /* f */ g */");
    }

    #[test]
    fn lifetimes_raw_names_and_byte_strings_are_told_from_literals() {
        let parts = Parts::of("fn a<'b>(r#c: &'b str) { var\"\"; br\"d\"; b\"e\"; b'f'; } // end");
        assert_eq!(
            parts.code.trim_end(),
            "fn a<'b>(r#c: &'b str) { var  ;      ; b   ; b   ; }"
        );
    }

    #[test]
    fn an_open_end_is_not_a_panic() {
        for text in [
            "\"a", "/* a", "r#\"a", "'", "'\\", "\"\\", "// a", "/* /*", "é'é",
        ] {
            assert_eq!(Parts::of(text).code.len(), text.len());
        }
    }

    #[test]
    fn words_and_macros_are_found_whole() {
        assert_eq!(
            find_words("HashMap MyHashMap HashMaps (HashMap)", "HashMap"),
            [0, 28]
        );
        assert_eq!(
            find_macro("select! { } tokio::select ! ( select_biased! {", "select"),
            [(0, 7), (19, 27)]
        );
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }

    #[test]
    fn test_sections_end_with_their_brace() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { } }\nfn c() {}\n#[cfg(test)]\nmod more;\nfn d() {}";
        let sections: Vec<&str> = test_sections(code)
            .into_iter()
            .map(|range| &code[range])
            .collect();
        assert_eq!(sections, ["#[cfg(test)]\nmod tests { fn b() { } }"]);
    }
}
