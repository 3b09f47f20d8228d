//! Errors in full: what went wrong, what caused it, and what the server said about it. No sentence stands twice.

use crate::{options, summary::printable};
use everwire::{Cause, Error};
use serde_json::{Map, Value};
use std::error::Error as _;

/// How much people are shown of an error, and of a server's answer in it, in characters. Programs get all of it.
const LONGEST: usize = 2000;
const EXCERPT: usize = 200;

/// An error in words.
pub(crate) fn text(error: &Error) -> String {
    told("", error)
}

/// Why a client ended, in words.
pub(crate) fn of_cause(cause: &Cause) -> String {
    let text = cause.to_string();
    match cause.error() {
        Some(error) => told(text.strip_suffix(&error.to_string()).unwrap_or_default(), error),
        None => text,
    }
}

/// An error for programs: a member for each fact that there is.
pub(crate) fn members(error: &Error) -> Map<String, Value> {
    let text = error.to_string();
    let causes = causes(&text, error);
    let facts = [
        ("kind", Some(error.kind().as_str().into())),
        ("causes", (!causes.is_empty()).then(|| causes.into())),
        ("path", error.path().map(Value::from)),
        ("code", error.code().map(Value::from)),
        ("status", error.status().map(Value::from)),
        ("location", location(error).map(Value::from)),
        ("retry_after", error.retry_after().map(|wait| wait.as_secs_f64().into())),
        ("close_code", error.close_code().map(Value::from)),
        ("close_reason", error.close_reason().map(Value::from)),
        ("response", error.response().map(Value::from)),
    ];
    let facts = facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    [("error".to_owned(), Value::from(text))].into_iter().chain(facts).collect()
}

/// An error and what is to be known besides, after a text that it is told with.
fn told(before: &str, error: &Error) -> String {
    let mut text = before.to_owned() + &options::named(error);
    for cause in causes(&text, error) {
        text.extend([": ", &cause]);
    }
    if let Some(location) = location(error) {
        text.extend(["; it redirects to ", &location, ", which is not followed"]);
    }
    if let Some(wait) = error.retry_after() {
        text.push_str(&format!("; retry after {} s", wait.as_secs()));
    }
    // The message may have been taken from the answer.
    let answer = error.response().filter(|answer| !answer.contains(error.message())).map(excerpt);
    if let Some(answer) = answer.filter(|answer| !answer.is_empty()) {
        text.extend(["; the server says: ", &answer]);
    }
    printable(&text, LONGEST)
}

/// What is behind an error, the nearest cause first. One whose text is in what was said before is left out.
fn causes(text: &str, error: &Error) -> Vec<String> {
    let mut causes = Vec::<String>::new();
    let mut source = error.source();
    while let Some(error) = source {
        source = error.source();
        let cause = error.to_string();
        if !text.contains(&cause) && !causes.iter().any(|said| said.contains(&cause)) {
            causes.push(cause);
        }
    }
    causes
}

/// Where an answer redirects to, without the parts of the URL that may hold a secret: a server may send back what it was sent.
fn location(error: &Error) -> Option<String> {
    error.status().filter(|status| (300..400).contains(status))?;
    let (_, value) = error.headers().iter().find(|(name, _)| name == "location")?;
    let (shown, more) = value.split_at(value.find(['?', '#']).unwrap_or(value.len()));
    let mut shown = shown.to_owned();
    if let Some(start) = shown.find("//").map(|at| at + 2) {
        let end = shown[start..].find('/').map_or(shown.len(), |at| start + at);
        if let Some(at) = shown[start..end].rfind('@') {
            shown.replace_range(start..start + at, "***");
        }
    }
    if !more.is_empty() {
        shown.push_str("?…");
    }
    Some(shown)
}

/// The beginning of an answer, on one line.
fn excerpt(answer: &str) -> String {
    let words = answer.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(&words, EXCERPT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwire::ErrorKind;
    use std::{fmt, io};

    /// An error that repeats its source, as many do.
    #[derive(Debug)]
    struct Repeats(io::Error);

    impl fmt::Display for Repeats {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "IO error: {}", self.0)
        }
    }

    impl std::error::Error for Repeats {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn every_cause_is_told_once() {
        let error = Error::new(ErrorKind::Connect, "the connection broke");
        assert_eq!(text(&error), "the connection broke");
        let error = error.with_source(Repeats(io::Error::other("no\troute\x1b[2J")));
        assert_eq!(text(&error), "the connection broke: IO error: no route [2J");
        assert_eq!(
            of_cause(&Cause::Exhausted(error.clone())),
            "every try failed: the connection broke: IO error: no route [2J"
        );
        assert_eq!(members(&error)["causes"], serde_json::json!(["IO error: no\troute\x1b[2J"]));
        let same = Error::new(ErrorKind::Connect, "no name").with_source(io::Error::other("no name"));
        assert_eq!(text(&same), "no name");
    }
}
