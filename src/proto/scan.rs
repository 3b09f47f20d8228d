//! Finds the type of an event in its text without decoding the document.
//!
//! The type comes first in practice, so that case is a prefix comparison. Wherever else it stands it is found too, and a
//! nested or escaped member of the same name is never mistaken for it.

use super::json::{Json, after_mark};
use serde::de::IgnoredAny;
use std::{borrow::Cow, ops::Range};

/// What a look at the text showed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The type stands at this place in the text.
    Plain(Range<usize>),
    /// The type is written with escapes; this is what they mean.
    Escaped(String),
    /// A JSON document without a type.
    Nothing,
    /// Not a JSON document.
    Malformed,
}

/// Looks for the member `field` of the top-level object. `prefix` is how a text begins whose first member it is:
/// `{"type":"`.
///
/// Of several such members the first counts: what follows it is not looked at. It is not validated beyond the last character
/// either: the decoder does that for those who decode.
pub(super) fn find_type(text: &str, prefix: &str, field: &str) -> Found {
    if let Some(rest) = text.strip_prefix(prefix)
        && let Some(len) = quote_or_escape(rest.as_bytes())
        && rest.as_bytes()[len] == b'"'
    {
        return ended(text, Found::Plain(prefix.len()..prefix.len() + len));
    }
    match walk(text, field) {
        // By its grammar alone, however deep it is and whatever numbers are in it.
        Some(Found::Nothing) | None if serde_json::from_str::<IgnoredAny>(&text[after_mark(text)..]).is_ok() => {
            Found::Nothing
        }
        Some(Found::Nothing) | None => Found::Malformed,
        Some(found) => ended(text, found),
    }
}

/// Where the first quote or backslash stands: looked for in eight bytes at a time, for every event has a type.
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    // The lowest byte that is marked is one that equals `byte`.
    let marks = |word: u64, byte: u8| {
        let equal_are_zero = word ^ u64::from_ne_bytes([byte; 8]);
        equal_are_zero.wrapping_sub(u64::from_ne_bytes([0x01; 8])) & !equal_are_zero & u64::from_ne_bytes([0x80; 8])
    };
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = marks(word, b'"') | marks(word, b'\\');
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(words.len() * 8 + at)
}

/// A text that was cut off is no document.
fn ended(text: &str, found: Found) -> Found {
    if text.trim_ascii_end().ends_with('}') { found } else { Found::Malformed }
}

/// Walks the members of the top-level object up to the wanted one. `None` where the text is no object.
fn walk(text: &str, field: &str) -> Option<Found> {
    let mut walker = Walker::at_document(text);
    walker.expect(b'{')?;
    loop {
        walker.space();
        if walker.peek()? == b'}' {
            return Some(Found::Nothing);
        }
        let key = walker.string()?;
        let wanted = unescaped(text, &key)? == field;
        walker.expect(b':')?;
        walker.space();
        if wanted {
            if walker.peek()? != b'"' {
                return Some(Found::Nothing);
            }
            let value = walker.string()?;
            return Some(match value.escaped {
                false => Found::Plain(value.span),
                true => Found::Escaped(unescaped(text, &value)?.into_owned()),
            });
        }
        walker.skip_value()?;
        walker.space();
        match walker.next()? {
            b',' => {}
            b'}' => return Some(Found::Nothing),
            _ => return None,
        }
    }
}

/// The value of the member at a path (`a.b`), as it is written. `after` is where the member before it may end, such as the
/// type: a number that follows it, or that comes last, is found without a walk.
pub(super) fn find_value<'a>(text: &'a str, after: usize, path: &str) -> Option<&'a str> {
    let quick = || number_at_the_end(text, path).or_else(|| number_after(text, after, path));
    quick().or_else(|| path.split('.').try_fold(text, value_of))
}

/// The number in `…,"field":123}`. Only a member of the top-level object can stand before its closing brace, digits
/// after a colon are the whole value, and inside a string there could be no quote before the comma.
fn number_at_the_end<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    let body = text.trim_ascii_end().strip_suffix('}')?;
    let start = body.len() - body.bytes().rev().take_while(u8::is_ascii_digit).count();
    let key = body[..start].strip_suffix("\":")?.strip_suffix(field)?.strip_suffix('"')?;
    (start < body.len() && key.ends_with([',', '{'])).then(|| &body[start..])
}

/// The number in `"type":"…","field":123,`.
fn number_after<'a>(text: &'a str, after: usize, field: &str) -> Option<&'a str> {
    let rest = text.get(after..)?.strip_prefix("\",\"")?.strip_prefix(field)?.strip_prefix("\":")?;
    let end = rest.bytes().take_while(u8::is_ascii_digit).count();
    (end > 0 && matches!(rest.as_bytes().get(end), Some(b',' | b'}'))).then(|| &rest[..end])
}

/// The value of a member of the object that this text is.
fn value_of<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    let mut walker = Walker::at_document(text);
    walker.expect(b'{')?;
    loop {
        let key = walker.string()?;
        let wanted = unescaped(text, &key)? == field;
        walker.expect(b':')?;
        walker.space();
        let start = walker.at;
        walker.skip_value()?;
        if wanted {
            return Some(text[start..walker.at].trim_ascii_end());
        }
        walker.expect(b',')?;
    }
}

/// A whole number that is not negative, however it is written (`43`, `43.0`, `4.3e1`), and also as a string of digits.
pub(super) fn as_number(value: &str) -> Option<u64> {
    let number = value.trim_matches('"').parse().ok();
    // Beyond 2^53 a float may stand for another number.
    let whole = |float: &f64| float.fract() == 0.0 && (0.0..(1_u64 << 53) as f64).contains(float);
    number.or_else(|| value.parse().ok().filter(whole).map(|float| float as u64))
}

/// A string, with what its escapes mean.
pub(super) fn as_text(value: &str) -> Option<Cow<'_, str>> {
    let span = 1..value.strip_prefix('"')?.strip_suffix('"')?.len() + 1;
    unescaped(value, &Quoted { escaped: value.contains('\\'), span })
}

/// A string in the text, without its quotes.
struct Quoted {
    span: Range<usize>,
    escaped: bool,
}

fn unescaped<'a>(text: &'a str, quoted: &Quoted) -> Option<Cow<'a, str>> {
    let Range { start, end } = quoted.span;
    if !quoted.escaped {
        return Some(Cow::Borrowed(&text[start..end]));
    }
    match Json::parse(&text[start - 1..end + 1]) {
        Some(Json::String(text)) => Some(Cow::Owned(text)),
        _ => None,
    }
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    fn at_document(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: after_mark(text) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        self.space();
        (self.next()? == wanted).then_some(())
    }

    fn string(&mut self) -> Option<Quoted> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.next()? {
                b'"' => return Some(Quoted { span: start..self.at - 1, escaped }),
                b'\\' => {
                    escaped = true;
                    self.next()?;
                }
                _ => {}
            }
        }
    }

    /// Passes over a value: a string, or everything up to the comma or brace that ends it at this depth.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 0 => depth -= 1,
                b',' | b'}' if depth == 0 => return Some(()),
                b']' => return None,
                _ => {}
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    fn find(text: &str) -> Result<String, Found> {
        match find_type(text, r#"{"type":""#, "type") {
            Found::Plain(span) => Ok(text[span].to_owned()),
            Found::Escaped(name) => Ok(name),
            other => Err(other),
        }
    }

    // S0-18: the type is found wherever it stands, and only the top-level one counts.
    #[test]
    fn finds_the_type_wherever_it_stands() {
        for (text, wanted) in [
            (r#"{"type":"a.b","x":1}"#, "a.b"),
            (r#"{"type":"a"}  "#, "a"),
            (r#" { "type" : "a" } "#, "a"),
            (r#"{"x":{"type":"no"},"type":"yes"}"#, "yes"),
            (r#"{"x":[{"type":"no"}],"y":"\"type\":\"no\"","type":"yes"}"#, "yes"),
            (r#"{"x":"}","z":-1.5e3,"n":null,"type":"yes"}"#, "yes"),
            (r#"{"a\\":"x","type":"yes"}"#, "yes"),
            (r#"{"\u0074ype":"yes"}"#, "yes"),
            (r#"{"type":"caf\u00e9"}"#, "café"),
            (r#"{"type":"é"}"#, "é"),
            (r#"{"type":""}"#, ""),
        ] {
            assert_eq!(find(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn tells_a_missing_type_from_a_broken_document() {
        for text in [
            r#"{}"#,
            r#"{"x":1}"#,
            r#"{"type":1}"#,
            r#"{"type":null}"#,
            "[1]",
            "1",
            r#""type""#,
            r#"{"x":{"type":"no"}}"#,
        ] {
            assert_eq!(find(text), Err(Found::Nothing), "{text}");
        }
        for text in [
            "",
            "nonsense",
            "{",
            r#"{"type":"#,
            r#"{"type":"a"#,
            r#"{"type":"a""#,
            r#"{"type":"a","x":"#,
            r#"{"x":1,"y"}"#,
            r#"{"x":]}"#,
            r#"{"x":1 "type":"a"}"#,
            r#"{"type":"\x"}"#,
            r#"{"type" "a"}"#,
            "{'type':'a'}",
        ] {
            assert_eq!(find(text), Err(Found::Malformed), "{text}");
        }
    }

    // S2-6: a number is found wherever it stands, and only the top-level one counts.
    #[test]
    fn finds_a_number_wherever_it_stands() {
        let find = |text: &str, path: &str| {
            let after = match find_type(text, r#"{"type":""#, "type") {
                Found::Plain(span) => span.end,
                _ => 0,
            };
            find_value(text, after, path).and_then(as_number)
        };
        for (text, path, wanted) in [
            (r#"{"type":"a","seq":43}"#, "seq", Some(43)),
            (r#"{"type":"a","seq":43,"x":1}"#, "seq", Some(43)),
            (r#"{"type":"a","x":{"seq":1},"seq":43} "#, "seq", Some(43)),
            (r#"{"seq":"43","type":"a"}"#, "seq", Some(43)),
            (r#"{"x":{"seq":1}, "seq" : 43 , "y":[2]}"#, "seq", Some(43)),
            (r#"{"type":"a","d":{"m":{"seq":7}},"x":1}"#, "d.m.seq", Some(7)),
            (r#"{"type":"a","x":{"seq":43}}"#, "seq", None),
            (r#"{"type":"a","x":"\",\"seq\":43}"}"#, "seq", None),
            (r#"{"type":"a","x\",\"seq":43}"#, "seq", None),
            (r#"{"type":"a","seq":-43}"#, "seq", None),
            (r#"{"type":"a","seq":1.43}"#, "seq", None),
            (r#"{"type":"a","seq":43.0}"#, "seq", Some(43)),
            (r#"{"seq":4.3E+1,"type":"a"}"#, "seq", Some(43)),
            (r#"{"type":"a","seq":-0}"#, "seq", Some(0)),
            (r#"{"type":"a","seq":9007199254740993}"#, "seq", Some(9_007_199_254_740_993)),
            (r#"{"type":"a","seq":9007199254740993.0}"#, "seq", None),
            (r#"{"type":"a","seq":1e400}"#, "seq", None),
            ("\u{feff}{\"type\":\"a\",\"x\":[],\"seq\":43,\"y\":1}", "seq", Some(43)),
            (r#"{"type":"a","seq":99999999999999999999}"#, "seq", None),
            (r#"{"type":"a","xseq":43}"#, "seq", None),
            (r#"{"type":"a"}"#, "seq", None),
            ("{}", "seq", None),
            ("[1]", "seq", None),
            ("", "seq", None),
        ] {
            assert_eq!(find(text, path), wanted, "{text}");
        }
        assert_eq!(find_value(r#"{"a":{"id":"x\u0041"}}"#, 0, "a.id").and_then(as_text).as_deref(), Some("xA"));
        assert_eq!(find_value(r#"{"id":7}"#, 0, "id").and_then(as_text), None);
    }

    /// Whatever the bytes, the scan agrees with a full parse about the type of every document that is valid.
    #[test]
    fn agrees_with_a_full_parse_on_random_documents() {
        let mut random = crate::proto::random::Random::new(7);
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"type\"",
            "\"x\"",
            "\"a\\\"b\"",
            "1",
            "null",
            " ",
            "\"type\":\"a.b\"",
            "\"\\\\\"",
            "{\"type\":\"q\"}",
            "[{\"type\":\"q\"}]",
        ];
        let mut valid = 0;
        for _ in 0..200_000 {
            let mut text = String::from(if random.below(2) == 0 { "{" } else { "{\"x\":" });
            for _ in 0..random.below(6) {
                text.push_str(pieces[random.below(pieces.len() as u64) as usize]);
            }
            text.push('}');
            let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
            // A document with the same member twice has no one answer.
            if text.matches("\"type\":").count() > 1 {
                continue;
            }
            valid += 1;
            assert_eq!(find(&text).ok().as_deref(), value["type"].as_str(), "{text}");
        }
        assert!(valid > 500, "only {valid} valid documents");
    }

    /// The same of numbers, with the short cuts to the end and to the member after the type.
    #[test]
    fn numbers_agree_with_a_full_parse_on_random_documents() {
        let mut random = crate::proto::random::Random::new(8);
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"seq\"",
            "\"x\"",
            "\"a\\\"b\"",
            "7",
            "-7",
            "7.5",
            "1e3",
            " ",
            "\"7\"",
            "\"seq\":7",
            ",\"seq\":8",
            "\"\\\\\"",
            "\",\"seq\":9",
            "{\"seq\":5}",
            "[{\"seq\":6}]",
        ];
        let (mut valid, mut found) = (0, 0);
        for _ in 0..300_000 {
            let begin = ["{", "{\"type\":\"t\"", "{\"x\":", "{\"type\":\"t\",\"seq\":1,\"x\":"];
            let mut text = String::from(begin[random.below(begin.len() as u64) as usize]);
            for _ in 0..random.below(6) {
                text.push_str(pieces[random.below(pieces.len() as u64) as usize]);
            }
            text.push('}');
            let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
            if text.matches("\"seq\":").count() > 1 {
                continue;
            }
            valid += 1;
            let whole = |float: &f64| float.fract() == 0.0 && (0.0..9e15).contains(float);
            let float = || value["seq"].as_f64().filter(whole).map(|float| float as u64);
            let wanted = value["seq"].as_u64().or_else(float).or_else(|| value["seq"].as_str()?.parse().ok());
            found += u32::from(wanted.is_some());
            let after = match find_type(&text, r#"{"type":""#, "type") {
                Found::Plain(span) => span.end,
                _ => 0,
            };
            assert_eq!(find_value(&text, after, "seq").and_then(as_number), wanted, "{text}");
        }
        assert!(valid > 1_000 && found > 300, "only {valid} valid documents, {found} with a number");
    }
}
