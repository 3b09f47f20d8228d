//! Patterns of event types (S0-19): `message.new`, `message.*` one level, `call.**` many levels, `*` everything.

use super::{
    error::{Error, ErrorKind},
    text::{cut, pieces},
};

/// Whether a pattern is a plain type.
pub(crate) fn is_exact(pattern: &str) -> bool {
    cut(pattern, b'*').1.is_none()
}

/// Checks a pattern: a star stands alone in its level, and `**` only at the end.
pub(crate) fn check(pattern: &str) -> Result<(), Error> {
    let wrong = |message: &'static str| Err(Error::new(ErrorKind::InvalidInput, message));
    if pattern.is_empty() {
        return wrong("an event type must not be empty");
    }
    let mut levels = pieces(pattern, b'.').peekable();
    while let Some(level) = levels.next() {
        match level {
            "**" if levels.peek().is_some() => return wrong("`**` stands at the end of a pattern only"),
            "*" | "**" => {}
            _ if !is_exact(level) => return wrong("a star in a pattern stands alone between dots"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a type fits a pattern. `*` alone is everything; elsewhere it is exactly one level, and `**` one or more.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    if pattern == "*" || pattern == "**" {
        return true;
    }
    let mut names = pieces(name, b'.');
    for level in pieces(pattern, b'.') {
        match (level, names.next()) {
            ("**", Some(_)) => return true,
            ("*", Some(_)) => {}
            (level, Some(name)) if level == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{proto::Json, test};

    /// What the patterns of the package in JavaScript (`src/js/listeners.js`) are tested with, too.
    fn cases() -> Json {
        Json::parse(include_str!("patterns.json")).unwrap()
    }

    fn list<'a>(value: &'a Json, name: &str) -> &'a [Json] {
        let Some(Json::Array(list)) = value.get(name) else { panic!("no list {name}") };
        list
    }

    // S0-19
    #[test]
    fn stars_stand_for_levels() {
        let cases = cases();
        for case in list(&cases, "levels") {
            let pattern = case.get("pattern").and_then(Json::as_str).unwrap();
            assert!(check(pattern).is_ok());
            for (names, fit) in [("fits", true), ("fits_not", false)] {
                for name in list(case, names).iter().filter_map(Json::as_str) {
                    assert_eq!(matches(pattern, name), fit, "{pattern} {name}");
                }
            }
        }
    }

    #[test]
    fn refuses_patterns_that_would_never_do_what_they_seem_to() {
        let cases = cases();
        for pattern in list(&cases, "refused").iter().filter_map(Json::as_str) {
            assert_eq!(check(pattern).unwrap_err().kind(), ErrorKind::InvalidInput, "{pattern}");
        }
    }
}
