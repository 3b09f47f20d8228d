//! JSON documents of the core: dialects, parameters, control messages. Never events.
//!
//! A reader and a writer of our own, because of what a page would have to download for a general one: numbers keep
//! their text, so that nothing here knows floating point, and members are a list, for they are few.

use super::decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use std::fmt;

/// A JSON document.
// With a tag of four bytes a document is moved in one piece: with one of one byte, `Bool` would stand in the gap behind it.
#[derive(Clone, PartialEq, Eq)]
#[repr(u32)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it is written.
    Number(Box<str>),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// The members of a JSON object in their order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Json)>);

/// How deeply documents may be nested.
const MAX_DEPTH: u8 = 128;

impl Json {
    /// Reads a document. `None` if the text is none (RFC 8259), or is nested more than 128 levels deep.
    pub fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(MAX_DEPTH)?;
        reader.space();
        (reader.at == text.len()).then_some(value)
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Json::Number(number) => decimal::read_signed(number),
            _ => None,
        }
    }

    /// Whether it is this, of true and false. `==` would compare whole documents.
    pub(super) fn is(&self, wanted: bool) -> bool {
        matches!(self, Json::Bool(value) if *value == wanted)
    }

    /// A member of an object, if it is one and has it.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.get(name),
            _ => None,
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Number(number) => out.push_str(number),
            Json::String(text) => write_text(text, out),
            Json::Array(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    out.push_str(if place > 0 { "," } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(Object(members)) => {
                out.push('{');
                for (place, (name, value)) in members.iter().enumerate() {
                    out.push_str(if place > 0 { "," } else { "" });
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// The document as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => {
                out.push('\\');
                out.push(char);
            }
            '\n' => out.push_str("\\n"),
            '\0'..='\x1f' => {
                let code = char as u8;
                out.push_str("\\u00");
                out.push(char::from(b'0' + (code >> 4)));
                out.push(char::from(b"0123456789abcdef"[usize::from(code & 15)]));
            }
            _ => out.push(char),
        }
    }
    out.push('"');
}

impl Object {
    /// No members.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// A member; of several with one name the last, as everywhere.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// Sets a member.
    pub fn insert(&mut self, name: impl Into<String>, value: Json) {
        let name = name.into();
        match self.0.iter_mut().rev().find(|(other, _)| *other == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((name, value)),
        }
    }

    /// A member, made as an object if it is not there.
    pub(super) fn entry(&mut self, name: &str) -> &mut Json {
        let place = self.0.iter().position(|(other, _)| other == name).unwrap_or(self.0.len());
        if place == self.0.len() {
            self.0.push((name.to_owned(), Json::Object(Object::new())));
        }
        &mut self.0[place].1
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(other, _)| other != name);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The values in their order.
    pub fn values(&self) -> impl Iterator<Item = &Json> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(super) fn members(&self) -> &[(String, Json)] {
        &self.0
    }

    /// The members, taken apart.
    pub fn into_members(self) -> Vec<(String, Json)> {
        self.0
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json::String(text.to_owned())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Json::parse(&value.to_string()).unwrap_or(Json::Null)
    }
}

impl From<&Json> for serde_json::Value {
    fn from(json: &Json) -> Self {
        serde_json::from_str(&json.text()).unwrap_or_default()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(value) => serializer.serialize_bool(*value),
            Json::Number(number) => match (number.parse::<i64>(), number.parse::<u64>()) {
                (Ok(number), _) => serializer.serialize_i64(number),
                (_, Ok(number)) => serializer.serialize_u64(number),
                _ => serializer.serialize_f64(number.parse().unwrap_or(f64::NAN)),
            },
            Json::String(text) => serializer.serialize_str(text),
            Json::Array(items) => serializer.collect_seq(items),
            Json::Object(members) => members.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Json::from)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    /// The next byte; 0 at the end, which no document has in that place.
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Passes over this byte, if it is the next.
    fn skip(&mut self, wanted: u8) -> bool {
        let found = self.peek() == wanted;
        self.at += usize::from(found);
        found
    }

    /// The same after space.
    fn accept(&mut self, wanted: u8) -> bool {
        self.space();
        self.skip(wanted)
    }

    fn word(&mut self, word: &str) -> bool {
        for byte in word.bytes() {
            if !self.skip(byte) {
                return false;
            }
        }
        true
    }

    fn value(&mut self, depth: u8) -> Option<Json> {
        let depth = depth.checked_sub(1)?;
        self.space();
        let (word, value) = match self.peek() {
            b'n' => ("null", Json::Null),
            b't' => ("true", Json::Bool(true)),
            b'f' => ("false", Json::Bool(false)),
            b'"' => return self.string().map(Json::String),
            opening @ (b'[' | b'{') => return self.items(depth, opening),
            _ => return self.number(),
        };
        self.word(word).then_some(value)
    }

    /// An array or an object.
    fn items(&mut self, depth: u8, opening: u8) -> Option<Json> {
        // As ASCII has them.
        let closing = opening + 2;
        let (mut items, mut members) = (Vec::new(), Vec::new());
        self.at += 1;
        let mut more = !self.accept(closing);
        while more {
            if opening == b'{' {
                self.space();
                let name = self.string()?;
                if !self.accept(b':') {
                    return None;
                }
                members.push((name, self.value(depth)?));
            } else {
                items.push(self.value(depth)?);
            }
            more = !self.accept(closing);
            if more && !self.accept(b',') {
                return None;
            }
        }
        Some(if opening == b'{' { Json::Object(Object(members)) } else { Json::Array(items) })
    }

    /// Whether there is at least one.
    fn digits(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        self.at > start
    }

    fn number(&mut self) -> Option<Json> {
        let start = self.at;
        self.skip(b'-');
        let mut right = self.skip(b'0') || self.digits();
        if self.skip(b'.') {
            right &= self.digits();
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _ = self.skip(b'+') || self.skip(b'-');
            right &= self.digits();
        }
        right.then(|| Json::Number(self.text[start..self.at].into()))
    }

    fn string(&mut self) -> Option<String> {
        if !self.skip(b'"') {
            return None;
        }
        let mut string = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), b'"' | b'\\' | 0..=0x1f) {
                self.at += 1;
            }
            string.push_str(&self.text[start..self.at]);
            if self.skip(b'"') {
                return Some(string);
            }
            if !self.skip(b'\\') {
                return None;
            }
            string.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Option<char> {
        let kind = self.peek();
        self.at += 1;
        Some(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut code = self.hex()?;
                // The second half of a pair must follow.
                if matches!(code, 0xd800..=0xdbff) && self.word("\\u") {
                    let low = self.hex()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    code = 0x10000 + ((code - 0xd800) << 10) + low;
                }
                // A half alone is no character.
                char::from_u32(code)?
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let mut code = 0;
        for _ in 0..4 {
            code = code * 16 + char::from(self.peek()).to_digit(16)?;
            self.at += 1;
        }
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{proto::random::Random, test};
    use serde_json::Value;

    fn agrees(text: &str) -> bool {
        let ours = Json::parse(text);
        let theirs = serde_json::from_str::<Value>(text).ok();
        assert_eq!(ours.is_some(), theirs.is_some(), "{text:?}");
        if let (Some(ours), Some(theirs)) = (&ours, &theirs) {
            assert_eq!(&serde_json::from_str::<Value>(&ours.text()).unwrap(), theirs, "{text:?}");
        }
        ours.is_some()
    }

    #[test]
    fn reads_and_writes_what_serde_json_does() {
        for text in [
            "null",
            "true",
            "false",
            " [ ] ",
            "{}",
            "0",
            "-0",
            "10.25e-3",
            "1E+5",
            "[1,[2,{}]]",
            r#""""#,
            r#""a\"\\\/\b\f\n\r\té\u00e9\ud83d\ude80""#,
            r#"{"a":1,"b":{"c":[null]},"":""}"#,
            "\"\u{7f}\u{2028}\"",
            "18446744073709551615",
            r#""\u0000\u001f""#,
        ] {
            assert!(agrees(text), "{text}");
        }
        for text in [
            "",
            " ",
            "nul",
            "nulll",
            "tru",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            "{a:1}",
            "01",
            "1.",
            ".5",
            "-",
            "1e",
            "+1",
            "\"",
            r#""\x""#,
            r#""\u12""#,
            r#""\ud800""#,
            r#""\ud800\u0041""#,
            r#""\udc00""#,
            "\"\n\"",
            "[1]]",
            "'a'",
            "[",
            "{",
            "\"\\",
        ] {
            assert!(!agrees(text), "{text}");
        }
        assert_eq!(Json::parse(r#"{"a":1,"a":2}"#).unwrap().get("a").unwrap().as_i64(), Some(2));
        assert_eq!(Json::parse("1.5").unwrap().as_i64(), None);
    }

    #[test]
    fn agrees_with_serde_json_on_random_texts() {
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"\\n\"",
            "1",
            "-2.5",
            "null",
            "true",
            " ",
            "e-0",
            "\"\\u00e9\"",
            "\"",
            "\\",
            "0",
        ];
        let mut random = Random::new(11);
        let mut valid = 0;
        for _ in 0..200_000 {
            let text: String =
                (0..1 + random.below(9)).map(|_| pieces[random.below(pieces.len() as u64) as usize]).collect();
            valid += u32::from(agrees(&text));
        }
        assert!(valid > 5_000, "only {valid} valid");
    }

    #[test]
    fn a_document_that_is_nested_too_deeply_is_refused_and_does_not_overflow_the_stack() {
        assert!(Json::parse(&("[".repeat(127) + "1" + &"]".repeat(127))).is_some());
        assert!(Json::parse(&"[".repeat(100_000)).is_none());
        assert!(Json::parse(&("[".repeat(129) + &"]".repeat(129))).is_none());
    }
}
