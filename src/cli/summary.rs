//! One line about an event for people: its type, and what the usual fields say about it.

use everwire::Event;
use serde_json::Value;

/// The longest line before it is cut.
const WIDTH: usize = 110;

/// What a person wants to see of an event.
pub(crate) fn of(event: &Event) -> String {
    let text = match event.json::<Value>() {
        Ok(json) => known(&json).unwrap_or_else(|| json.to_string()),
        Err(_) => match event.text() {
            Some(text) => text.to_owned(),
            None => format!("{} bytes", event.bytes().len()),
        },
    };
    printable(&text, WIDTH)
}

/// Who did what to which thing, where the event has fields that say so: those of GitHub, and those of a chat.
fn known(json: &Value) -> Option<String> {
    let at = |path: &str| json.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let first = |paths: &[&str]| paths.iter().find_map(|path| at(path)).map(str::to_owned);
    let who = first(&["/sender/login", "/pusher/name", "/user/name", "/user/id"]);
    let what = first(&[
        "/comment/body",
        "/issue/title",
        "/pull_request/title",
        "/discussion/title",
        "/release/name",
        "/head_commit/message",
        "/check_run/name",
        "/workflow_run/name",
        "/label/name",
        "/milestone/title",
        "/ref",
        "/message/text",
        "/text",
    ]);
    let place = first(&["/repository/full_name", "/organization/login", "/cid"]);
    let parts: Vec<String> = [place, who, what.map(|what| format!("“{what}”"))].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// Text from a server as it may be shown on a terminal: on one line, without control characters, of bounded length.
pub(crate) fn printable(text: &str, width: usize) -> String {
    let mut shown: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(width.saturating_add(1)).collect();
    if shown.chars().count() > width {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_fields_that_matter_are_found() {
        let event =
            json!({"sender": {"login": "octocat"}, "repository": {"full_name": "a/b"}, "issue": {"title": "T"}});
        assert_eq!(known(&event).as_deref(), Some("a/b · octocat · “T”"));
        assert_eq!(known(&json!({"n": 1})), None);
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        assert_eq!(printable("a\x1b[2Jb\nc\u{9b}d", 20), "a [2Jb c d");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("abc", 3), "abc");
    }
}
