//! Every placeholder in every place where a template may stand: filled in, or refused when the dialect or the client is built.

use super::{bed::*, jwt::jwt, test};
use everwire::{
    Dialect, Error, ErrorKind, Lifecycle,
    proto::{Input, Secret, Session, Settings, State, TokenSource},
};
use serde_json::{Value, json};
use std::time::Duration;

/// What a placeholder comes to in a place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Comes {
    /// It is filled in.
    To(&'static str),
    /// The same where a connection goes on where another broke; before that it is a parameter.
    Resuming(&'static str),
    /// It is a parameter: given by the user, or the client is refused. An optional one is left out.
    Parameter,
    /// It can never be known there: the dialect is refused.
    Refused,
}
use Comes::{Parameter, Refused, Resuming, To};

const NAMES: [&str; 7] = ["token", "client", "connection_id", "session", "last_sequence", "channel", "x"];
const TOKEN: Comes = To("fresh");
const CLIENT: Comes = To("everwire/test");
const ID: Comes = To("c-1");
const SESSION: Comes = Resuming("s-1");
const LAST: Comes = Resuming("7");
/// By place: what the names come to.
const TABLE: [(&str, [Comes; 7]); 11] = [
    ("url.query.v", [TOKEN, CLIENT, Refused, SESSION, LAST, Parameter, Parameter]),
    ("protocols[0]", [TOKEN, CLIENT, Refused, SESSION, LAST, Parameter, Parameter]),
    ("headers.v", [TOKEN, CLIENT, Refused, SESSION, LAST, Parameter, Parameter]),
    ("first_frame.v", [TOKEN, CLIENT, Refused, SESSION, LAST, Parameter, Parameter]),
    ("answers[0].frame.v", [TOKEN, CLIENT, ID, SESSION, LAST, Parameter, Parameter]),
    ("health_check.frame.v", [TOKEN, CLIENT, ID, SESSION, LAST, Parameter, Parameter]),
    ("token_refresh.frame.v", [TOKEN, CLIENT, ID, SESSION, LAST, Parameter, Parameter]),
    ("channels.subscribe.v", [TOKEN, CLIENT, ID, SESSION, LAST, To("news"), Parameter]),
    ("channels.unsubscribe.v", [TOKEN, CLIENT, ID, SESSION, LAST, To("news"), Parameter]),
    ("resume.request.v", [TOKEN, CLIENT, ID, To("s-1"), To("7"), Parameter, Parameter]),
    ("resume.ack.frame.v", [TOKEN, CLIENT, ID, To("s-1"), To("7"), Parameter, Parameter]),
];

/// A dialect with this template in this place.
fn dialect(place: &str, template: &str) -> Result<Dialect, Error> {
    let mut dialect = json!({
        "name": "t",
        "hello": {"types": ["hello"], "connection_id": "id"},
        "channels": {"field": "channel", "subscribe": {}},
        "resume": {"sequence": "seq", "session": "session", "resumed": "resumed"},
    });
    let frame = json!({"v": template});
    match place {
        "url.query.v" => dialect["url"]["query"] = frame,
        "protocols[0]" => dialect["protocols"] = json!([template]),
        "headers.v" => dialect["headers"] = frame,
        "first_frame.v" => dialect["first_frame"] = frame,
        "answers[0].frame.v" => dialect["answers"] = json!([{"type": "ask", "frame": frame}]),
        "health_check.frame.v" => {
            dialect["health_check"] = json!({"interval_ms": 20_000, "silence_ms": 90_000_000, "frame": frame});
        }
        "token_refresh.frame.v" => {
            dialect["token_refresh"]["frame"] = frame;
            // There is a token to renew.
            dialect["first_frame"] = json!({"token": "${token?}"});
        }
        "channels.subscribe.v" => dialect["channels"]["subscribe"] = frame,
        "channels.unsubscribe.v" => dialect["channels"]["unsubscribe"] = frame,
        "resume.request.v" => dialect["resume"]["request"] = frame,
        "resume.ack.frame.v" => dialect["resume"]["ack"] = json!({"frame": frame, "every": 1}),
        other => panic!("{other}"),
    }
    Dialect::from_json(&dialect.to_string())
}

fn settings(dialect: Dialect, parameter: Option<&str>) -> Settings {
    let mut settings = Settings::new(dialect, url());
    settings.client = "everwire/test".into();
    settings.token = TokenSource::Provider;
    if let Some(name) = parameter {
        settings.params.insert(name, json!("given").into());
    }
    settings
}

/// What stands in a place in the end, where a client goes through everything: it connects, gets an event, loses the connection,
/// goes on, is asked something, subscribes, and renews its token. `None`: it is left out.
fn filled(place: &str, settings: Settings) -> Option<String> {
    let mut bed = Bed::new(settings);
    bed.give(Input::Clock { unix: Duration::from_secs(1_000) });
    bed.give(Input::Connect);
    let mut did = Vec::new();
    let mut tried = bed.drain();
    for generation in 1..=2 {
        if tried.contains(&Did::FetchToken(generation)) {
            let token =
                if place.starts_with("token") { jwt(&json!({"iat": 1_000, "exp": 1_600})) } else { "fresh".into() };
            tried.extend(bed.token(generation, &token));
        }
        did.append(&mut tried);
        bed.give(Input::Opened { generation });
        did.extend(bed.drain());
        did.extend(bed.text(generation, r#"{"type":"hello","id":"c-1","session":"s-1","resumed":true}"#));
        assert_eq!(bed.session.state(), State::Connected, "{place}: {:?}", bed.last_error);
        if generation == 1 {
            did.extend(bed.text(1, r#"{"type":"a","seq":7}"#));
            bed.lost(1, None);
            tried = bed.next_timer();
        }
    }
    did.extend(bed.text(2, r#"{"type":"ask"}"#));
    for input in [Input::Subscribe { channel: "news".into() }, Input::Unsubscribe { channel: "news".into() }] {
        bed.give(input);
        bed.give(Input::Room { generation: 2 });
        did.extend(bed.drain());
    }
    did.extend(bed.pass(Duration::from_secs(541)));
    if did.contains(&Did::FetchToken(2)) {
        did.extend(bed.token(2, "fresh"));
    }
    assert!(!did.iter().any(|did| matches!(did, Did::Error(_))), "{place}: {did:?}");
    let request = bed.requests.last().expect("a dial");
    match place {
        "url.query.v" => request.url.split_once("v=").map(|(_, value)| value.replace("%2F", "/").replace("%3C", "<")),
        "protocols[0]" => request.protocols.first().cloned(),
        "headers.v" => request.headers.first().map(|(_, value)| value.clone()),
        _ => sent(&did).iter().rev().find_map(|frame| match &frame["v"] {
            Value::Null => None,
            value => Some(value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)),
        }),
    }
}

#[test]
fn every_placeholder_is_filled_in_or_refused_in_every_place() {
    for (place, name, comes) in TABLE
        .into_iter()
        .flat_map(|(place, row)| NAMES.into_iter().zip(row).map(move |(name, comes)| (place, name, comes)))
    {
        for (template, optional) in
            [(format!("${{{name}}}"), false), (format!("${{{name}?}}"), true), (format!("<${{{name}}}"), false)]
        {
            let what = format!("{template} in {place}");
            let dialect = match (dialect(place, &template), comes) {
                (Err(error), Refused) => {
                    assert_eq!((error.kind(), error.path()), (ErrorKind::Config, Some(place)), "{what}: {error}");
                    continue;
                }
                (dialect, Refused) => panic!("{what} is not refused: {dialect:?}"),
                (dialect, _) => dialect.unwrap_or_else(|error| panic!("{what}: {error}")),
            };
            let known = match comes {
                To(text) | Resuming(text) => Some(text),
                _ => None,
            };
            let value = |settings| filled(place, settings).map(|value| value.trim_start_matches('<').to_owned());
            let given = value(settings(dialect.clone(), Some(name)));
            assert_eq!(given.as_deref(), Some(known.unwrap_or("given")), "{what}, with a parameter");
            let needs = !optional && matches!(comes, Resuming(_) | Parameter);
            match Session::<Event>::new(settings(dialect.clone(), None)) {
                Err(error) => {
                    assert!(needs, "{what}: {error}");
                    assert_eq!(error.path(), Some(&*format!("params.{name}")), "{what}");
                }
                Ok(_) => {
                    assert!(!needs, "{what} is not missed");
                    assert_eq!(value(settings(dialect, None)).as_deref(), known, "{what}, without a parameter");
                }
            }
        }
    }
}

// A placeholder is no part of what is taken as it is.
#[test]
fn a_placeholder_in_the_url_itself_is_refused() {
    for member in ["path", "default"] {
        let dialect = json!({"name": "t", "url": {member: "/rooms/${room}"}});
        let error = Dialect::from_json(&dialect.to_string()).unwrap_err();
        assert_eq!(error.path(), Some(&*format!("url.{member}")), "{error}");
    }
}

fn connection_id_in(frame: Value, more: &str) -> Value {
    let mut dialect = json!({"name": "t", "hello": {"types": ["hello"]}, "answers": [{"type": "ask", "frame": frame}]});
    if more == "id" {
        dialect["hello"]["connection_id"] = json!("id");
    }
    dialect
}

// Where the hello has none, or a hello comes without it, there is nothing to fill in.
#[test]
fn a_connection_id_comes_with_the_hello_or_never() {
    let never = connection_id_in(json!(["${connection_id?}"]), "");
    let error = Dialect::from_json(&never.to_string()).unwrap_err();
    assert_eq!(error.path(), Some("answers[0].frame[0]"), "{error}");

    let started = |frame: Value| {
        let dialect = Dialect::from_json(&connection_id_in(frame, "id").to_string()).unwrap();
        let mut bed = Bed::new(Settings::new(dialect, url()));
        bed.give(Input::Connect);
        bed.drain();
        bed.give(Input::Opened { generation: 1 });
        bed.drain();
        bed
    };
    // Before the hello such an answer is not given, and that is told; an optional one is left out.
    let mut bed = started(json!({"id": "${connection_id}"}));
    assert_eq!(bed.text(1, r#"{"type":"ask"}"#), [Did::Error("config".into())]);
    bed.text(1, r#"{"type":"hello","id":"c-1"}"#);
    assert_eq!(sent(&bed.text(1, r#"{"type":"ask"}"#)), [json!({"id": "c-1"})]);
    let mut bed = started(json!({"id": "${connection_id?}"}));
    assert_eq!(sent(&bed.text(1, r#"{"type":"ask"}"#)), [json!({})]);
    assert_eq!(bed.text(1, r#"{"type":"hello"}"#).len(), 3);
    // A hello without it is none, where it is needed.
    let mut bed = started(json!({"id": "${connection_id}"}));
    assert_eq!(ended(&bed.text(1, r#"{"type":"hello"}"#)), Some("refused"));
}

fn asks_first(frame: Value) -> Value {
    json!({"name": "t", "answers": [{"type": "auth_required", "frame": frame}], "hello": {"types": ["auth_ok"]}})
}

// Servers that ask first, as Home Assistant's.
#[test]
fn a_token_is_fetched_before_the_dial_for_an_answer_and_for_a_health_check() {
    let health = json!({"interval_ms": 20_000, "silence_ms": 30_000, "frame": {"token": "${token}"}});
    for dialect in [
        asks_first(json!({"type": "auth", "access_token": "${token}"})),
        asks_first(json!({"type": "auth", "access_token": "${key}"})),
        json!({"name": "t", "health_check": health}),
    ] {
        let mut dialect = dialect;
        dialect["defaults"] = json!({"key": "${token}"});
        let dialect = Dialect::from_json(&dialect.to_string()).unwrap();
        let error =
            Session::<Event>::new(Settings::new(dialect.clone(), url())).err().expect("refused without a token");
        assert_eq!((error.kind(), error.path()), (ErrorKind::Config, Some("token")));
        let mut bed = Bed::new(Settings { token: TokenSource::Provider, ..Settings::new(dialect, url()) });
        bed.give(Input::Connect);
        assert_eq!(bed.drain().last(), Some(&Did::FetchToken(1)));
        let did = bed.token(1, "fresh");
        assert_eq!(dialled(&did), 1);
        bed.give(Input::Opened { generation: 1 });
        bed.drain();
        let mut did = bed.text(1, r#"{"type":"auth_required","ha_version":"2025.1"}"#);
        did.extend(bed.text(1, r#"{"type":"auth_ok"}"#));
        did.extend(bed.pass(Duration::from_secs(20)));
        assert!(sent(&did)[0].to_string().contains("fresh"), "{did:?}");
        assert_eq!(bed.session.state(), State::Connected);
    }
}

// An optional token is asked for where there is somebody to ask, and else left out.
#[test]
fn a_token_may_be_optional() {
    let dialect = Dialect::from_json(r#"{"name":"t","first_frame":{"a":1,"token":"${token?}"}}"#).unwrap();
    let mut bed = Bed::new(Settings::new(dialect.clone(), url()));
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Opened { generation: 1 });
    assert_eq!(sent(&bed.drain()), [json!({"a": 1})]);
    let mut bed = Bed::new(Settings { token: TokenSource::Provider, ..Settings::new(dialect, url()) });
    bed.give(Input::Connect);
    assert_eq!(bed.drain().last(), Some(&Did::FetchToken(1)));
}

// N-7: the token of now, not that of the hello; and no step of the life cycle has it.
#[test]
fn a_health_check_shows_the_server_the_renewed_token_and_nobody_else() {
    let dialect = json!({
        "name": "t",
        "answers": [{"type": "ask", "frame": {"token": "${token}"}}],
        "health_check": {"interval_ms": 20_000, "silence_ms": 90_000_000, "frame": {"type": "ping", "token": "${token}"}},
    });
    let dialect = Dialect::from_json(&dialect.to_string()).unwrap();
    let mut bed = Bed::new(Settings { token: TokenSource::Provider, ..Settings::new(dialect, url()) });
    bed.give(Input::Clock { unix: Duration::from_secs(1_000) });
    bed.give(Input::Connect);
    bed.drain();
    let first = jwt(&json!({"iat": 1_000, "exp": 1_600}));
    bed.token(1, &first);
    bed.give(Input::Opened { generation: 1 });
    bed.drain();
    let shown =
        |bed: &mut Bed| sent(&bed.pass(Duration::from_secs(20))).pop().expect("a health check")["token"].clone();
    assert_eq!(shown(&mut bed), json!(first));
    while !bed.pass(Duration::from_secs(1)).contains(&Did::FetchToken(1)) {}
    bed.token(1, "rene\"wed");
    assert_eq!(shown(&mut bed), json!("rene\"wed"));
    assert_eq!(sent(&bed.text(1, r#"{"type":"ask"}"#)), [json!({"token": "rene\"wed"})]);
    let steps: Vec<_> = bed
        .steps
        .iter()
        .filter_map(|step| if let Lifecycle::Ping { payload } = step { Some(&**payload) } else { None })
        .collect();
    assert!(steps.len() > 20 && steps.iter().all(|step| *step == r#"{"token":"***","type":"ping"}"#), "{steps:?}");
}

// What stands for nothing is not sent.
#[test]
fn a_health_check_of_which_nothing_is_left_is_not_sent() {
    let health = json!({"interval_ms": 20_000, "silence_ms": 30_000, "frame": "${frame?}"});
    let dialect = Dialect::from_json(&json!({"name": "t", "health_check": health}).to_string()).unwrap();
    let mut bed = Bed::connected(Settings::new(dialect, url()));
    bed.pass(Duration::from_secs(29));
    assert_eq!((bed.session.stats().health_checks, bed.session.stats().messages_out, bed.steps.len()), (0, 0, 0));
}

// S2-8: the connection that is to take the place of another is asked as the first one was.
#[test]
fn a_successor_that_is_asked_first_answers_too() {
    let mut dialect = asks_first(json!({"token": "${token}", "id": "${connection_id?}"}));
    dialect["hello"]["connection_id"] = json!("id");
    dialect["resume"] = json!({"sequence": "seq", "request": {"last": "${last_sequence}"}});
    let dialect = Dialect::from_json(&dialect.to_string()).unwrap();
    let token = TokenSource::Static(Secret::from("fresh".to_owned()));
    let max_age = Some(Duration::from_secs(60));
    let mut bed = Bed::new(Settings { token, max_age, ..Settings::new(dialect, url()) });
    bed.give(Input::Connect);
    let ask = |bed: &mut Bed, generation: u64| {
        bed.give(Input::Opened { generation });
        bed.drain();
        let did = bed.text(generation, r#"{"type":"auth_required"}"#);
        assert_eq!(sent(&did), [json!({"token": "fresh"})], "{did:?}");
        bed.text(generation, r#"{"type":"auth_ok","id":"c"}"#)
    };
    bed.drain();
    ask(&mut bed, 1);
    bed.text(1, r#"{"type":"a","seq":1}"#);
    let did = bed.pass(Duration::from_secs(60));
    assert_eq!(dialled(&did), 2);
    let did = ask(&mut bed, 2);
    assert_eq!(did[0], Did::Abort(1), "{did:?}");
    assert!(sent(&did).contains(&json!({"last": 1})), "{did:?}");
}
