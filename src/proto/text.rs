//! Texts cut and put together, without the standard library's search and formatting, which a page would have to download.

use super::decimal::decimal;

/// The path of an item: `close[2].to`.
pub(crate) fn indexed(list: &str, index: usize, rest: &str) -> String {
    [list, "[", &decimal(index as u64), "]", rest].concat()
}

/// What stands before the first such byte, and what after it, if there is one. The byte is ASCII.
pub(crate) fn cut(text: &str, at: u8) -> (&str, Option<&str>) {
    for (place, byte) in text.bytes().enumerate() {
        if byte == at {
            return (&text[..place], Some(&text[place + 1..]));
        }
    }
    (text, None)
}

/// The pieces between such bytes, as `split` would give them.
pub(crate) fn pieces(text: &str, at: u8) -> Pieces<'_> {
    Pieces { rest: Some(text), at }
}

pub(crate) struct Pieces<'a> {
    rest: Option<&'a str>,
    at: u8,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (piece, rest) = cut(self.rest?, self.at);
        self.rest = rest;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn cuts_where_the_standard_library_would() {
        for text in ["", ".", "a", "a.b", ".a..b.", "é.ü", "no dot"] {
            assert!(pieces(text, b'.').eq(text.split('.')), "{text}");
            let (before, after) = cut(text, b'.');
            assert_eq!(after.map(|after| (before, after)), text.split_once('.'), "{text}");
            assert!(after.is_some() || before == text);
        }
    }
}
