//! Reads a JSON document (RFC 8259), and nothing that is none.

use super::{Json, Object, after_mark};

/// How deeply documents may be nested.
const MAX_DEPTH: u8 = 128;

/// `cut`: whether what is nested deeper stands as `null`, or the document is refused.
pub(super) fn read(text: &str, cut: bool) -> Option<Json> {
    let mut reader = Reader { text, at: after_mark(text), cut };
    let value = reader.value(MAX_DEPTH)?;
    reader.space();
    (reader.at == text.len()).then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    cut: bool,
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
        self.space();
        let (word, value) = match self.peek() {
            b'n' => ("null", Json::Null),
            b't' => ("true", Json::Bool(true)),
            b'f' => ("false", Json::Bool(false)),
            b'"' => return self.string().map(Json::String),
            b'[' | b'{' if depth == 0 => return self.pass_over(),
            opening @ (b'[' | b'{') => return self.items(depth - 1, opening),
            _ => return self.number(),
        };
        self.word(word).then_some(value)
    }

    /// Passes over an array or an object, without a look at its grammar.
    fn pass_over(&mut self) -> Option<Json> {
        let mut open = 0_usize;
        while self.cut {
            match self.peek() {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'[' | b'{' => open += 1,
                b']' | b'}' => open -= 1,
                0 => break,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return Some(Json::Null);
            }
        }
        None
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
                let after = self.at;
                if matches!(code, 0xd800..=0xdbff) {
                    match if self.word("\\u") { self.hex()? } else { 0 } {
                        low @ 0xdc00..=0xdfff => code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00),
                        _ => self.at = after,
                    }
                }
                // A half alone is no character: JavaScript and Python write it where they cut a text within one.
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
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
