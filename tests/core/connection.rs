//! From dial to hello to the intended end.

use super::{bed::*, test};
use everwire::{
    ErrorKind, State,
    proto::{Dialect, Input, Message, Session, Settings, TokenSource},
};
use serde_json::json;
use std::time::Duration;

// S0-1, S0-2, S0-4, S0-6, S0-7
#[test]
fn connects_with_a_first_message_and_a_strict_hello() {
    let mut bed = Bed::new(with_static_token());
    bed.give(Input::Connect);
    let did = bed.drain();
    let generation = dialled(&did);
    assert_eq!(bed.session.state(), State::Connecting);
    let url = &bed.requests[0].url;
    assert_eq!(
        url,
        "wss://example.com/api/v2/connect?api_key=key&stream-auth-type=jwt&X-Stream-Client=everwire%2Ftest"
    );

    bed.give(Input::Opened { generation });
    assert_eq!(sent(&bed.drain()), [json!({"token": "static-token", "user_details": {"id": "alice"}})]);
    assert_eq!(bed.session.connection_id(), None);

    let did = bed.text(generation, HELLO);
    // The id is published before anybody hears of the connection, and the hello is an event too.
    assert_eq!(
        did,
        [Did::State(State::Connected), Did::Connected(Some("c-1".into())), Did::Event("connection.ok".into())]
    );
    assert_eq!(bed.session.connection_id().map(|id| &**id), Some("c-1"));

    bed.lost(generation, Some(1001));
    assert_eq!(bed.session.connection_id(), None);
}

// S0-6: anything else is an authentication error that carries the response; S0-16: the socket is closed.
#[test]
fn anything_but_the_hello_is_a_refusal_and_closes_the_socket() {
    for frame in [
        r#"{"type":"message.new"}"#,
        r#"{"type":"connection.ok"}"#,
        r#"{"type":"connection.ok","connection_id":null}"#,
        r#"{"hello":1}"#,
        "[1]",
        "nonsense",
    ] {
        let mut bed = Bed::new(with_static_token());
        bed.give(Input::Connect);
        let generation = dialled(&bed.drain());
        bed.give(Input::Opened { generation });
        bed.drain();
        let did = bed.text(generation, frame);
        assert!(did.contains(&Did::Abort(generation)), "{frame}: {did:?}");
        assert_eq!(ended(&did), Some("refused"), "{frame}");
        let error = bed.last_error.clone().unwrap();
        assert!(error.is_auth());
        if frame.starts_with('{') {
            let response: serde_json::Value = serde_json::from_str(error.response().unwrap()).unwrap();
            assert_eq!(response, serde_json::from_str::<serde_json::Value>(frame).unwrap());
        }
        assert_eq!(bed.session.state(), State::Failed);
        assert_eq!(bed.session.next_timeout(), None);
    }
    let mut bed = Bed::new(with_static_token());
    bed.give(Input::Connect);
    let generation = dialled(&bed.drain());
    bed.give(Input::Opened { generation });
    bed.give(Input::Message { generation, payload: Event::from_binary(vec![1, 2]) });
    assert_eq!(ended(&bed.drain()), Some("refused"));
}

// The original had no hello timeout.
#[test]
fn a_hello_that_does_not_come_is_a_failure_of_this_try() {
    let mut bed = Bed::new(with_static_token());
    bed.give(Input::Connect);
    let generation = dialled(&bed.drain());
    bed.pass(Duration::from_secs(9));
    bed.give(Input::Opened { generation });
    bed.drain();
    assert_eq!(bed.pass(Duration::from_millis(5_999)), []);
    let did = bed.pass(Duration::from_millis(1));
    assert_eq!(did[0], Did::Abort(generation));
    assert!(backed_off(&did).is_some() && bed.last_error.as_ref().unwrap().is_timeout());
}

// Pitfall 4: a timeout on the first connect does not end the retry loop.
#[test]
fn a_dial_that_takes_too_long_is_tried_again() {
    let mut bed = Bed::new(with_static_token());
    bed.give(Input::Connect);
    let first = dialled(&bed.drain());
    let did = bed.pass(Duration::from_secs(10));
    assert!(did.contains(&Did::Abort(first)) && backed_off(&did).is_some(), "{did:?}");
    let did = bed.next_timer();
    assert_eq!(dialled(&did), first + 1);
    // The first dial comes through after all: nobody wants its socket any more.
    bed.give(Input::Opened { generation: first });
    assert_eq!(bed.drain(), [Did::Abort(first)]);
    assert_eq!(bed.session.stats().stale_dropped, 1);
    bed.give(Input::Opened { generation: first + 1 });
    bed.drain();
    bed.text(first + 1, HELLO);
    assert_eq!(bed.session.state(), State::Connected);
}

// S0-14, N-3: what an old socket still says is never delivered, and counted.
#[test]
fn frames_of_an_old_socket_are_dropped_and_counted() {
    let mut bed = Bed::connected(with_static_token());
    bed.lost(1, None);
    let did = bed.next_timer();
    let second = dialled(&did);
    assert_eq!(bed.text(1, r#"{"type":"message.new"}"#), []);
    assert_eq!(bed.text(1, HELLO), []);
    assert_eq!(bed.lost(1, Some(1000)), []);
    bed.give(Input::DialFailed { generation: 1, error: everwire::Error::new(ErrorKind::Connect, "late") });
    bed.give(Input::Alive { generation: 1 });
    assert_eq!(bed.drain(), []);
    assert_eq!(bed.session.stats().stale_dropped, 5);
    bed.give(Input::Opened { generation: second });
    bed.drain();
    bed.text(second, HELLO);
    assert_eq!(bed.text(second, r#"{"type":"message.new"}"#), [Did::Event("message.new".into())]);
    assert_eq!(bed.text(1, r#"{"type":"message.new"}"#), []);
}

// Found by fuzzing: a dial that was told to be open twice had its own connection aborted, which then stood open without a
// socket.
#[test]
fn an_opening_that_is_told_twice_does_not_end_the_connection() {
    let mut bed = Bed::connected(with_static_token());
    bed.give(Input::Opened { generation: 1 });
    assert_eq!(bed.drain(), []);
    assert_eq!(bed.text(1, r#"{"type":"message.new"}"#), [Did::Event("message.new".into())]);
    // Of another dial nothing may stay open.
    bed.give(Input::Opened { generation: 7 });
    assert_eq!(bed.drain(), [Did::Abort(7)]);
}

// S0-18
#[test]
fn bad_json_is_counted_and_reported_and_the_connection_goes_on() {
    let mut bed = Bed::connected(with_static_token());
    assert_eq!(bed.text(1, r#"{"type":"a","#), [Did::Error("decode".into())]);
    assert_eq!(bed.text(1, ""), [Did::Error("decode".into())]);
    assert_eq!(bed.text(1, r#"{"no":"type"}"#), [Did::Event("unknown".into())]);
    assert_eq!(bed.text(1, r#"{"data":{"type":"no"},"type":"yes"}"#), [Did::Event("yes".into())]);
    bed.give(Input::Message { generation: 1, payload: Event::from_binary(vec![0xff]) });
    assert_eq!(bed.drain(), [Did::Event("unknown".into())]);
    let stats = bed.session.stats();
    assert_eq!((stats.malformed, stats.errors, stats.binary, stats.events), (2, 2, 1, 4));
    assert_eq!(bed.session.state(), State::Connected);
}

// S0-20
#[test]
fn connecting_twice_is_a_clear_error() {
    let mut bed = Bed::new(with_static_token());
    bed.give(Input::Connect);
    assert_eq!(bed.refuse(Input::Connect).kind(), ErrorKind::InvalidState);
    let mut bed = Bed::connected(with_static_token());
    let error = bed.refuse(Input::Connect);
    assert_eq!((error.kind(), error.to_string().contains("connected already")), (ErrorKind::InvalidState, true));
}

// S0-21: 1000 `client disconnect`, and a bounded wait.
#[test]
fn a_close_says_goodbye_and_waits_for_a_while() {
    let mut bed = Bed::connected(with_static_token());
    let did = bed.close();
    assert_eq!(did, [Did::State(State::Disconnecting), Did::Close(1, 1000, "client disconnect".into())]);
    assert_eq!(bed.text(1, r#"{"type":"late"}"#), []);
    let did = bed.lost(1, Some(1000));
    assert_eq!(did, [Did::State(State::Closed), Did::Closed("by-user", None)]);
    assert_eq!(bed.session.next_timeout(), None);

    let mut bed = Bed::connected(with_static_token());
    bed.close();
    let did = bed.pass(Duration::from_secs(5));
    assert_eq!(did, [Did::Abort(1), Did::State(State::Closed), Did::Closed("by-user", None)]);
    assert_eq!(bed.session.next_timeout(), None);
    // It may connect again.
    bed.give(Input::Connect);
    bed.bring_up();
}

// S0-21, pitfall 3: whatever is under way, a close ends it, and nothing follows.
#[test]
fn a_close_ends_whatever_is_under_way() {
    // Nothing at all.
    let mut bed = Bed::new(with_static_token());
    assert_eq!(bed.close(), [Did::State(State::Closed), Did::Closed("by-user", None)]);
    assert_eq!(bed.close(), []);
    // A token request.
    let mut bed = Bed::new(settings());
    bed.give(Input::Connect);
    assert_eq!(bed.drain().last(), Some(&Did::FetchToken(1)));
    let did = bed.close();
    assert!(did.contains(&Did::Abort(1)) && ended(&did) == Some("by-user"));
    assert_eq!(bed.token(1, "late"), []);
    // A dial.
    let mut bed = Bed::new(with_static_token());
    bed.give(Input::Connect);
    bed.drain();
    let did = bed.close();
    assert!(did.contains(&Did::Abort(1)) && ended(&did) == Some("by-user"));
    bed.give(Input::Opened { generation: 1 });
    assert_eq!(bed.drain(), [Did::Abort(1)]);
    // A wait.
    let mut bed = Bed::connected(with_static_token());
    bed.lost(1, None);
    assert_eq!(ended(&bed.close()), Some("by-user"));
    assert_eq!(bed.session.next_timeout(), None);
}

#[test]
fn a_close_with_an_illegal_code_or_reason_is_refused() {
    let mut bed = Bed::connected(with_static_token());
    let close = |code, reason: String| Input::Close { code, reason, dropped: false };
    for code in [0, 999, 1001, 1005, 1006, 1015, 2999, 5000, 65535] {
        assert_eq!(bed.refuse(close(code, String::new())).kind(), ErrorKind::InvalidInput, "{code}");
    }
    assert_eq!(bed.refuse(close(1000, "é".repeat(62))).kind(), ErrorKind::InvalidInput);
    assert_eq!(bed.session.state(), State::Connected);
    bed.give(close(4999, "x".repeat(123)));
    assert_eq!(bed.session.state(), State::Disconnecting);
}

// Pitfall 10: nothing of the user's is sent before the hello.
#[test]
fn a_message_goes_out_only_after_the_hello() {
    let mut bed = Bed::new(with_static_token());
    bed.close();
    assert_eq!(bed.refuse(send("x")).kind(), ErrorKind::Closed);
    bed.give(Input::Connect);
    bed.drain();
    bed.give(Input::Opened { generation: 1 });
    bed.drain();
    bed.give(send("2"));
    assert_eq!(bed.drain(), [Did::Accepted(2)]);
    bed.give(Input::Room { generation: 1 });
    assert_eq!(bed.drain(), []);
    bed.text(1, HELLO);
    bed.give(Input::Room { generation: 1 });
    assert_eq!(bed.drain(), [Did::Send(1, "2".into())]);
}

// Stream v1: the token is in the URL, and the hello is the first health check with an id and a user.
#[test]
fn the_older_stream_says_hello_with_a_health_check() {
    let settings = Settings { dialect: Dialect::stream_v1().into(), ..with_static_token() };
    let mut bed = Bed::new(settings);
    bed.give(Input::Connect);
    let generation = dialled(&bed.drain());
    assert!(bed.requests[0].url.contains("authorization=static-token"));
    assert!(!bed.requests[0].shown_url.contains("static-token"));
    assert!(!format!("{:?}", bed.requests[0]).contains("static-token"));
    bed.give(Input::Opened { generation });
    assert_eq!(bed.drain(), []);
    assert_eq!(bed.text(generation, r#"{"type":"health.check","connection_id":"c"}"#), []);
    let did = bed.text(generation, r#"{"type":"health.check","connection_id":"c","me":{"id":"alice"}}"#);
    assert_eq!(did[1], Did::Connected(Some("c".into())));
    let did = bed.pass(Duration::from_secs(25));
    assert_eq!(sent(&did), [json!([{"type": "health.check", "client_id": "c"}])]);
    assert_eq!(bed.text(generation, r#"{"type":"health.check"}"#), [Did::Event("health.check".into())]);
}

#[test]
fn a_raw_connection_is_up_as_soon_as_it_is_open() {
    let mut bed = Bed::new(raw());
    bed.give(Input::Connect);
    let generation = dialled(&bed.drain());
    bed.give(Input::Opened { generation });
    assert_eq!(bed.drain(), [Did::State(State::Connected), Did::Connected(None)]);
    assert_eq!(bed.text(generation, "plain text"), [Did::Event("unknown".into())]);
    assert_eq!(bed.session.stats().malformed, 0);
    // Without a health check there is nothing to wait for but stability.
    bed.pass(Duration::from_secs(600));
    assert_eq!(bed.session.next_timeout(), None);
}

// S3-2, S3-6, S4-9: `{type, data}`, and the server's pings are answered.
#[test]
fn the_envelope_dialect_answers_pings_and_keeps_errors_as_events() {
    let settings = Settings { dialect: Dialect::envelope().into(), ..with_static_token() };
    for hello in ["auth_success", "auth_ok", "connection_established", "connected", "connection.ok"] {
        let mut bed = Bed::new(settings.clone());
        bed.give(Input::Connect);
        let generation = dialled(&bed.drain());
        bed.give(Input::Opened { generation });
        assert_eq!(sent(&bed.drain()), [json!({"type": "auth", "data": {"token": "static-token"}})]);
        let did = bed.text(generation, r#"{"type":"ping"}"#);
        assert_eq!(sent(&did), [json!({"type": "pong", "data": null})]);
        bed.text(generation, &json!({"type": hello, "data": {"user_id": "a"}}).to_string());
        assert_eq!(bed.session.state(), State::Connected);
        let did = bed.text(generation, r#"{"type":"ping"}"#);
        assert_eq!(sent(&did), [json!({"type": "pong", "data": null})]);
        assert_eq!(
            bed.text(generation, r#"{"type":"error","data":{"code":7,"message":"x"}}"#),
            [Did::Event("error".into())]
        );
        assert_eq!(ended(&bed.lost(generation, Some(1008))), Some("by-server"));
    }
    let mut bed = Bed::new(settings);
    bed.give(Input::Connect);
    let generation = dialled(&bed.drain());
    bed.give(Input::Opened { generation });
    bed.drain();
    let did = bed.text(generation, r#"{"type":"error","data":{"code":401,"message":"bad token"}}"#);
    assert_eq!(ended(&did), Some("refused"));
    assert_eq!(bed.last_error.as_ref().unwrap().code(), Some(401));
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let refused = |change: &dyn Fn(&mut Settings)| {
        let mut settings = with_static_token();
        change(&mut settings);
        Session::<Event>::new(settings).err().map(|error| (error.kind(), error.path().unwrap_or_default().to_owned()))
    };
    let config = |path: &str| Some((ErrorKind::Config, path.to_owned()));
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|s| s.url.scheme = "ftp".into()), config("url"));
    assert_eq!(refused(&|s| s.token = TokenSource::None), config("token"));
    assert_eq!(refused(&|s| s.params.remove("api_key")), config("params.api_key"));
    assert_eq!(refused(&|s| s.params.remove("user_id")), config("params.user_id"));
    assert_eq!(refused(&|s| s.backoff.base = Duration::ZERO), config("backoff.base"));
    assert_eq!(refused(&|s| s.backoff.cap = Duration::from_millis(1)), config("backoff.cap"));
    assert_eq!(refused(&|s| s.backoff.jitter = 0.0), config("backoff.jitter"));
    assert_eq!(refused(&|s| s.backoff.jitter = f64::NAN), config("backoff.jitter"));
    assert_eq!(refused(&|s| s.open_timeout = Duration::ZERO), config("open_timeout"));
    assert_eq!(refused(&|s| s.silence = Some(Duration::ZERO)), config("silence_timeout"));
    assert_eq!(refused(&|s| std::sync::Arc::make_mut(&mut s.dialect).name.clear()), config("name"));
    let no_health_check =
        |s: &mut Settings| (s.dialect, s.health_interval) = (Dialect::raw().into(), Some(Duration::from_secs(1)));
    assert_eq!(refused(&no_health_check), config("health_check_interval"));
}

#[test]
fn no_secret_is_shown_by_debug() {
    let mut settings = with_static_token();
    settings.params.insert("api_secret", json!("hush").into());
    let shown = format!("{settings:?} {:?} {:?}", settings.token, Message::from("static-token"));
    assert!(!shown.contains("static-token") && !shown.contains("hush"), "{shown}");
}
