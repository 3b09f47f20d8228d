//! HTTP headers that are lists, as RFC 9110 (5.3, 5.6) writes them.

use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName};

/// What stands for a line that is not ASCII: no token is like it.
const NO_TOKEN: &str = "\u{fffd}";

/// The members of a list, which may go over several lines of the same header. Empty ones are left out.
pub(crate) fn members(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().flat_map(|line| pieces(line.to_str().unwrap_or(NO_TOKEN), ','))
}

/// Whether there are members, and all of them fit: a proxy may have repeated the only one.
pub(crate) fn consists_of(headers: &HeaderMap, name: HeaderName, fits: impl Fn(&str) -> bool) -> bool {
    let mut members = members(headers, name).peekable();
    members.peek().is_some() && members.all(fits)
}

/// What stands between the separators, without blanks around it and without what is empty. A quoted string is not divided.
pub(crate) fn pieces(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let divides = move |char| {
        let is_escaped = std::mem::take(&mut escaped);
        match char {
            '"' if !is_escaped => quoted = !quoted,
            '\\' => escaped = quoted && !is_escaped,
            _ => {}
        }
        char == separator && !quoted
    };
    text.split(divides).map(trim).filter(|piece| !piece.is_empty())
}

/// Without the blanks that may stand around a value.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::http::header::CONNECTION;

    #[test]
    fn a_list_goes_over_lines_and_a_quoted_string_is_one_piece() {
        let of = |lines: &[&'static [u8]]| {
            let lines = lines.iter().map(|line| (CONNECTION, line.to_vec().try_into().expect("a value")));
            let headers: HeaderMap = lines.collect();
            members(&headers, CONNECTION).map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(of(&[]).is_empty() && of(&[b"", b" , ,\t"]).is_empty());
        assert_eq!(of(&[b"a", b"", b"b ,, \tc d\t,"]), ["a", "b", "c d"]);
        assert_eq!(of(&[b"a; x=\"b, \\\"c, \\\\\", d", b"\"e"]), ["a; x=\"b, \\\"c, \\\\\"", "d", "\"e"]);
        assert_eq!(of(&[b"upgrade, caf\xe9", b"b\\,c"]), [NO_TOKEN, "b\\", "c"]);
    }
}
