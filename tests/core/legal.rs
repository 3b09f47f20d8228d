//! What is legal in JSON (`src/proto/json/legal.json`), and what each of it comes to: in a hello, in an error, in the type of an
//! event and in its document. `tests/web/legal.test.mjs` has the same of the npm package.

use super::{bed::*, test};
use everwire::{
    ErrorKind, State,
    proto::{Class, Dialect, Event as Message, Input, Payload, Settings},
};
use serde_json::{Value, json};

type Event = Message<String, Vec<u8>>;

fn table(name: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(include_str!("../../src/proto/json/legal.json")).unwrap();
    table[name].as_array().unwrap().clone()
}

/// The values: how each is written, and what it comes to, unless no float holds it.
fn values() -> Vec<(String, Option<Value>)> {
    let value = |row: &Value| (!row["beyond"].is_boolean()).then(|| row["value"].clone());
    table("values").iter().map(|row| (row["text"].as_str().unwrap().to_owned(), value(row))).collect()
}

fn deep(levels: usize) -> String {
    ["[".repeat(levels), "]".repeat(levels)].concat()
}

/// A session whose hello has its connection id anywhere, and whose errors have a message and a code.
fn before_hello() -> Bed {
    let dialect = json!({
        "name": "t",
        "hello": {"types": ["hello"], "requires": ["id"], "connection_id": "id"},
        "errors": {"types": ["error"], "code": ["code"], "message": ["message"], "default": "fatal"},
    });
    let mut bed = Bed::new(Settings::new(Dialect::from_json(&dialect.to_string()).unwrap(), url()));
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Opened { generation: 1 });
    bed
}

fn classified(text: &str) -> (Class, String) {
    let mut event = Event::from_text(text.to_owned());
    let mut names = Event::names("type", &[], false);
    (event.classify(&mut names), event.event_type().to_owned())
}

fn decoded(text: &str) -> Option<Value> {
    match Event::from_text(text.to_owned()).json() {
        Ok(value) => Some(value),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Decode);
            None
        }
    }
}

#[test]
fn a_hello_is_a_hello_whatever_legal_json_is_in_it() {
    let deep = [1, 127, 128, 129, 5_000].map(|levels| (deep(levels), None));
    for (text, value) in values().into_iter().chain(deep) {
        for hello in [
            format!(r#"{{"type":"hello","id":"c","me":{text}}}"#),
            format!("\u{feff}{{\"me\":[{text}], \"id\":\"c\", \"type\":\"hello\"}}"),
        ] {
            let mut bed = before_hello();
            bed.text(1, &hello);
            assert_eq!(bed.session.connection_id().map(|id| &**id), Some("c"), "{hello:.100}");
        }
        // As a name, and as the id itself.
        if let Some(Value::String(value)) = value {
            let mut bed = before_hello();
            bed.text(1, &format!(r#"{{"type":"hello",{text}:1,"id":{text}}}"#));
            assert_eq!(bed.session.connection_id().map(|id| &**id), Some(&*value), "{text}");
        }
    }
    // Of several members with one name the last counts.
    let mut bed = before_hello();
    bed.text(1, r#"{"type":"hello","id":"a","\u0069d":"b"}"#);
    assert_eq!(bed.session.connection_id().map(|id| &**id), Some("b"));
}

#[test]
fn an_error_is_an_error_whatever_legal_json_is_in_it() {
    let deep = [127, 128, 129, 5_000].map(|levels| (deep(levels), None));
    for (text, value) in values().into_iter().chain(deep) {
        let mut bed = before_hello();
        let message = if value.as_ref().is_some_and(Value::is_string) { &*text } else { r#""no""# };
        bed.text(1, &format!(r#"{{"type":"error","code":7,"more":[{text}],"message":{message}}}"#));
        let error = bed.last_error.as_ref().expect("an error");
        let wanted = value.as_ref().and_then(Value::as_str).unwrap_or("no");
        assert_eq!((error.code(), error.message()), (Some(7), wanted), "{text:.100}");
    }
    // A whole number is whole however it is written.
    for (code, wanted) in
        [("-0", Some(0)), ("7.0", Some(7)), ("7.5", None), ("9223372036854775808", None), ("1e400", None)]
    {
        let mut bed = before_hello();
        bed.text(1, &format!(r#"{{"type":"error","code":{code}}}"#));
        assert_eq!(bed.last_error.as_ref().expect("an error").code(), wanted, "{code}");
    }
}

#[test]
fn an_event_has_its_type_whatever_legal_json_is_in_it() {
    let deep = [127, 128, 129, 100_000].map(|levels| (deep(levels), None));
    for (text, value) in values().into_iter().chain(deep) {
        for event in [format!(r#"{{"x":{text},"type":"a"}}"#), format!(r#"{{"type":"a","x":{text}}}"#)] {
            assert_eq!(classified(&event), (Class::Event, "a".to_owned()), "{event:.100}");
        }
        assert_eq!(classified(&format!(r#"{{"x":{text}}}"#)).0, Class::Untyped, "{text:.100}");
        if let Some(Value::String(value)) = value {
            for event in [format!(r#"{{"type":{text}}}"#), format!(r#"{{"x":1, "type" : {text} }}"#)] {
                assert_eq!(classified(&event), (Class::Event, value.clone()), "{event}");
            }
            // As a name before it.
            assert_eq!(classified(&format!(r#"{{{text}:1,"type":"a"}}"#)).1, "a", "{text}");
        }
    }
    for row in table("messages") {
        let text = row["text"].as_str().unwrap();
        let wanted = match row["type"].as_str() {
            Some(name) => (Class::Event, name.to_owned()),
            None => (Class::Untyped, "unknown".to_owned()),
        };
        assert_eq!(classified(text), wanted, "{text:?}");
    }
    for text in table("illegal") {
        assert_eq!(classified(text.as_str().unwrap()).0, Class::Malformed, "{text:?}");
    }
}

#[test]
fn an_event_decodes_to_what_its_legal_json_comes_to() {
    for (text, value) in values() {
        assert_eq!(decoded(&text), value, "{text}");
        assert_eq!(
            decoded(&format!("\u{feff}{{\"x\":{text}}}")),
            value.clone().map(|value| json!({"x": value})),
            "{text}"
        );
        if let Some(Value::String(value)) = value {
            assert_eq!(decoded(&format!("{{{text}:1}}")), Some(json!({value.as_str(): 1})), "{text}");
            let bytes = Event::from_binary(text.clone().into_bytes());
            assert_eq!(bytes.json::<Value>().unwrap(), value, "{text}");
        }
    }
    for row in table("messages") {
        let text = row["text"].as_str().unwrap();
        assert_eq!(decoded(text), row.get("value").cloned(), "{text:?}");
    }
    for text in table("illegal") {
        assert_eq!(decoded(text.as_str().unwrap()), None, "{text:?}");
    }
    // What is nested too deeply for a decoder is an error of it, and no overflow.
    for (levels, decodes) in [(127, true), (128, false), (100_000, false)] {
        assert_eq!(decoded(&deep(levels)).is_some(), decodes, "{levels}");
    }
}

// What is mended lives as long as the event, so that a type may still borrow from it.
#[test]
fn a_type_may_borrow_from_an_event_with_half_a_surrogate_pair() {
    #[derive(serde::Deserialize)]
    struct Borrowed<'a> {
        plain: &'a str,
        #[serde(borrow)]
        half: std::borrow::Cow<'a, str>,
    }
    let event = Event::from_text(r#"{"half":"\ud83d","plain":"text"}"#.to_owned());
    for event in [&event, &event.clone()] {
        for _ in 0..2 {
            let Borrowed { plain, half } = event.json().unwrap();
            assert_eq!((plain, &*half), ("text", "\u{fffd}"));
        }
    }
    // The text is as it came.
    assert!(event.text().unwrap().contains(r"\ud83d"));
    assert_eq!(event.json::<u8>().unwrap_err().kind(), ErrorKind::Decode);
}

// Replies and channels are found in such a message, too; a request that is nested too deeply is refused, and not cut.
#[test]
fn requests_and_their_replies_may_be_any_legal_json() {
    let dialect = r#"{"name":"t","requests":{"id":"id","error":"error"}}"#;
    let mut bed = Bed::new(Settings::new(Dialect::from_json(dialect).unwrap(), url()));
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Opened { generation: 1 });
    bed.drain();
    let request =
        |message: String| Input::Request { id: 1, message: message.as_str().into(), timeout: std::time::Duration::MAX };
    for (text, value) in values() {
        bed.give(request(format!(r#"{{"x":{text}}}"#)));
        bed.give(Input::Room { generation: 1 });
        let sent = sent_text(&bed.drain());
        if let Some(value) = value {
            assert_eq!(serde_json::from_str::<Value>(&sent).unwrap()["x"], value, "{sent}");
        }
        let reply = bed.text(1, &format!(r#"{{"id":{},"x":[{text},{}]}}"#, number(&sent), deep(500)));
        assert_eq!(reply, [Did::Reply(1, None)], "{text}");
    }
    let refused = bed.refuse(request(format!(r#"{{"x":{}}}"#, deep(128))));
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(bed.session.state(), State::Connected);
}

fn sent_text(did: &[Did]) -> String {
    let sent = did.iter().find_map(|did| if let Did::Send(_, text) = did { Some(text.clone()) } else { None });
    sent.unwrap_or_else(|| panic!("{did:?}"))
}

/// The id that was put into a request, at its end.
fn number(request: &str) -> &str {
    request.rsplit(':').next().expect("an id").trim_end_matches('}')
}
