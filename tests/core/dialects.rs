//! Dialects at work: where a token goes, OpenAI's service, pings of the application started by either side.

use super::{bed::*, test};
use everwire::{
    Dialect, Lifecycle, State,
    proto::{Input, Secret, Session, Settings, TokenSource},
};
use serde_json::json;
use std::time::Duration;

fn with(dialect: Dialect, token: &str) -> Settings {
    Settings { token: TokenSource::Static(Secret::from(token.to_owned())), ..Settings::new(dialect, url()) }
}

fn dialled_with(settings: Settings) -> Bed {
    let mut bed = Bed::new(settings);
    bed.give(Input::Connect);
    bed.drain();
    bed
}

// S1-19: by query, header and subprotocol.
#[test]
fn a_token_goes_where_the_dialect_says() {
    let read = |json: serde_json::Value| Dialect::from_json(&json.to_string()).unwrap();
    let bed =
        dialled_with(with(read(json!({"name": "q", "url": {"query": {"token": "${token}", "x": "${x?}"}}})), "t/1"));
    assert_eq!(bed.requests[0].url, "wss://example.com/?token=t%2F1");
    assert_eq!(bed.requests[0].shown_url, "wss://example.com/?token=***");
    let headers = json!({"name": "h", "headers": {"Authorization": "Bearer ${token}", "Beta": "${beta?}"}});
    let bed = dialled_with(with(read(headers), "t1"));
    assert_eq!(bed.requests[0].headers, [("Authorization".to_owned(), "Bearer t1".to_owned())]);
    let bed = dialled_with(with(read(json!({"name": "p", "protocols": ["bearer", "${token}", "${beta?}"]})), "t1"));
    assert_eq!(bed.requests[0].protocols, ["bearer", "t1"]);
}

// S1-24
#[test]
fn openai_realtime_takes_the_key_in_a_header_and_says_hello_first() {
    let mut settings = with(Dialect::openai_realtime(), "sk-1");
    settings.params.insert("model", json!("gpt-realtime").into());
    settings.params.insert("beta", json!("realtime=v1").into());
    let mut bed = dialled_with(settings);
    let request = &bed.requests[0];
    assert_eq!(request.url, "wss://example.com/?model=gpt-realtime");
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(request.headers, [header("Authorization", "Bearer sk-1"), header("OpenAI-Beta", "realtime=v1")]);
    bed.give(Input::Opened { generation: 1 });
    // No first frame of the client.
    assert_eq!(bed.drain(), []);
    let did = bed.text(1, r#"{"type":"session.created","event_id":"e","session":{"id":"sess_1"}}"#);
    assert_eq!(did[1], Did::Connected(Some("sess_1".into())));
    // An error is an event.
    let error = r#"{"type":"error","error":{"type":"invalid_request_error","code":"bad","message":"no"}}"#;
    assert_eq!(bed.text(1, error), [Did::Event("error".into())]);
    assert_eq!(
        bed.text(1, r#"{"type":"response.audio.delta","delta":""}"#),
        [Did::Event("response.audio.delta".into())]
    );
    assert_eq!(bed.session.state(), State::Connected);
    // Before the hello it is a refusal.
    let mut bed = dialled_with(with(Dialect::openai_realtime(), "sk-1"));
    bed.give(Input::Opened { generation: 1 });
    bed.drain();
    assert_eq!(ended(&bed.text(1, error)), Some("refused"));
}

// S1-24: in a browser the key is in a subprotocol, and must be one that may be seen.
#[test]
fn openai_realtime_in_a_browser_shows_ephemeral_keys_alone() {
    let browser = |token: &str| with(Dialect::openai_realtime_browser(), token);
    let bed = dialled_with(browser("ek_1"));
    assert_eq!(bed.requests[0].protocols, ["realtime", "openai-insecure-api-key.ek_1"]);
    assert!(bed.requests[0].headers.is_empty());
    let refused = Session::<Event>::new(browser("sk-1")).err().expect("refused");
    assert!(refused.path() == Some("token") && !refused.to_string().contains("sk-1"), "{refused}");
    let mut allowed = browser("sk-1");
    allowed.params.insert("any_token", json!(true).into());
    assert_eq!(dialled_with(allowed).requests[0].protocols[1], "openai-insecure-api-key.sk-1");
    // A provider's is looked at before it is shown.
    let mut bed = dialled_with(Settings { token: TokenSource::Provider, ..browser("") });
    assert_eq!(ended(&bed.token(1, "sk-1")), Some("fatal"));
    assert!(bed.requests.is_empty());
}

// S3-6: either side may start it.
#[test]
fn pings_of_the_application_work_both_ways() {
    let mut bed = dialled_with(with(Dialect::envelope(), "t"));
    bed.give(Input::Opened { generation: 1 });
    bed.drain();
    bed.text(1, r#"{"type":"auth_ok"}"#);
    let did = bed.pass(Duration::from_secs(30));
    assert_eq!(sent(&did), [json!({"type": "ping"})]);
    bed.pass(Duration::from_millis(25));
    assert_eq!(bed.text(1, r#"{"type":"pong"}"#), [Did::Event("pong".into())]);
    assert!(matches!(bed.steps.last(), Some(Lifecycle::Pong { latency }) if latency.as_millis() == 25));
    let did = bed.text(1, r#"{"type":"ping"}"#);
    assert_eq!(sent(&did), [json!({"type": "pong", "data": null})]);
    // What is not answered ends the connection.
    assert!(bed.pass(Duration::from_secs(39)).iter().all(|did| !matches!(did, Did::Abort(_))));
    assert!(bed.pass(Duration::from_secs(2)).contains(&Did::Abort(1)));
}

// N-2: the documented examples are what they say: dialects.
#[test]
fn every_example_of_the_documentation_is_a_dialect() {
    let text = include_str!("../../docs/DIALECTS.md");
    let examples: Vec<&str> = text.split("```json").skip(1).filter_map(|part| part.split("```").next()).collect();
    assert!(examples.len() >= 7);
    for example in examples {
        let dialect = Dialect::from_json(example).unwrap_or_else(|error| panic!("{error}: {example}"));
        assert_eq!(Dialect::from_json(&dialect.to_json()).unwrap(), dialect);
    }
    // And every member of a dialect is in the table.
    let json: serde_json::Value = serde_json::from_str(&Dialect::stream().to_json()).unwrap();
    for name in json.as_object().unwrap().keys() {
        assert!(text.contains(&format!("| `{name}")), "{name} is not documented");
    }
    for name in Dialect::builtin_names() {
        assert!(text.contains(&format!("| `{name}` |")), "{name} is not documented");
    }
}
