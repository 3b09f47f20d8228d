//! Tokens: asked for once at a time, renewed ahead of their end, never shown.

use super::{bed::*, jwt::jwt, test};
use everwire::{
    Error, ErrorKind, State,
    proto::{CloseInfo, Dialect, Input, Message, Negotiated, Output, Secret, Session, Settings, TokenSource},
};
use serde_json::json;
use std::time::Duration;

/// What the calendar says when a test begins.
const TODAY: u64 = 1_700_000_000;

/// A dialect that asks for a token and for nothing else.
fn settings(refresh: bool) -> Settings {
    let mut dialect = json!({"name": "t", "first_frame": {"token": "${token}"}});
    if refresh {
        dialect["token_refresh"] = json!({"frame": {"type": "auth", "token": "${token}"}});
    }
    let dialect = Dialect::from_json(&dialect.to_string()).unwrap();
    Settings {
        token: TokenSource::Provider,
        token_timeout: Duration::from_secs(30),
        seed: 3,
        ..Settings::new(dialect, url())
    }
}

/// A token that is good for ten minutes from this second on.
fn token(from: u64) -> String {
    jwt(&json!({"user_id": "alice", "iat": TODAY + from, "exp": TODAY + from + 600}))
}

fn tell_date(bed: &mut Bed, ahead: i64) {
    let unix = (TODAY + bed.now.since_start().as_secs()).saturating_add_signed(ahead);
    bed.give(Input::Clock { unix: Duration::from_secs(unix) });
}

/// Connected with a token that was made now; the calendar is `ahead` of the server's by so many seconds.
fn connected(settings: Settings, ahead: i64) -> Bed {
    let mut bed = Bed::new(settings);
    tell_date(&mut bed, ahead);
    bed.give(Input::Connect);
    assert_eq!(bed.drain().last(), Some(&Did::FetchToken(1)));
    let did = bed.token(1, &token(0));
    assert_eq!(did[0], Did::Token(Some(Duration::from_secs(600))));
    open(&mut bed, dialled(&did));
    bed
}

fn open(bed: &mut Bed, generation: u64) {
    bed.give(Input::Opened { generation });
    bed.drain();
    assert_eq!(bed.session.state(), State::Connected);
}

fn no_token(bed: &mut Bed, generation: u64, kind: ErrorKind) -> Vec<Did> {
    bed.give(Input::Token { generation, result: Err(Error::new(kind, "no")) });
    bed.drain()
}

// N-7: ahead of `exp` while connected, whatever the calendar here says.
#[test]
fn a_token_is_renewed_before_it_ends_and_shown_where_the_dialect_knows_how() {
    for (refresh, ahead) in [(true, 0), (false, 0), (true, 90_000), (true, -90_000)] {
        let mut bed = connected(settings(refresh), ahead);
        assert_eq!(bed.pass(Duration::from_secs(520)), []);
        assert_eq!(bed.pass(Duration::from_secs(20)), [Did::FetchToken(1)]);
        // Single flight: nothing asks again while it is asked.
        tell_date(&mut bed, ahead);
        assert_eq!(bed.pass(Duration::from_secs(9)), []);
        let did = bed.token(1, &token(540));
        match refresh {
            true => assert_eq!(sent(&did), [json!({"type": "auth", "token": token(540)})]),
            false => assert_eq!(did.len(), 1, "{did:?}"),
        }
        // The next connection has it without asking.
        bed.lost(1, None);
        let did = bed.next_timer();
        open(&mut bed, dialled(&did));
        assert_eq!(bed.session.stats().token_fetches, 2);
        // And it is renewed on that connection too.
        assert!(bed.pass(Duration::from_secs(600)).contains(&Did::FetchToken(2)));
    }
}

// N-7: a server that finds fault with the date gets the next tokens earlier; one that finds fault with the token does not.
#[test]
fn a_date_that_was_doubted_is_given_more_room() {
    for (action, earliest, latest) in [("refresh", 520, 540), ("refresh-once", 440, 480)] {
        let mut dialect = json!({"name": "t", "first_frame": {"token": "${token}"}});
        dialect["errors"] = json!({"types": ["error"], "code": ["code"], "codes": [{"codes": [41], "action": action}]});
        let dialect = Dialect::from_json(&dialect.to_string()).unwrap();
        let mut bed = connected(Settings { dialect: dialect.into(), ..settings(false) }, 0);
        bed.text(1, r#"{"type":"error","code":41}"#);
        assert_eq!(bed.next_timer().last(), Some(&Did::FetchToken(2)), "{action}");
        let came = bed.now.since_start().as_secs();
        let did = bed.token(2, &token(came));
        open(&mut bed, dialled(&did));
        assert_eq!(bed.pass(Duration::from_secs(earliest)), [], "{action}");
        assert_eq!(bed.pass(Duration::from_secs(latest - earliest)), [Did::FetchToken(2)], "{action}");
    }
}

// N-7: without a calendar the dates of the token itself must do.
#[test]
fn a_platform_without_a_calendar_renews_too() {
    let mut bed = Bed::new(settings(true));
    bed.give(Input::Connect);
    bed.drain();
    let did = bed.token(1, &token(0));
    open(&mut bed, dialled(&did));
    assert_eq!(bed.pass(Duration::from_secs(541)), [Did::FetchToken(1)]);
    // A token that is no JWT is used until the server refuses it.
    bed.token(1, "opaque");
    assert_eq!((bed.pass(Duration::from_secs(90_000)), bed.session.next_timeout()), (vec![], None));
}

// Pitfall 11: a refresh missed in sleep.
#[test]
fn a_token_that_ended_in_a_sleep_is_not_dialled_with() {
    let mut bed = connected(settings(false), 0);
    bed.lost(1, None);
    // The machine slept for an hour, and no timer noticed.
    tell_date(&mut bed, 3_600);
    assert_eq!(bed.next_timer().last(), Some(&Did::FetchToken(2)));
    let did = bed.token(2, &token(3_600));
    open(&mut bed, dialled(&did));
    // Connected, it is renewed as soon as the calendar is seen to have jumped.
    tell_date(&mut bed, 7_200);
    assert_eq!(bed.pass(Duration::from_secs(60)), [Did::FetchToken(2)]);
}

// N-7: time-out and retry of the provider itself.
#[test]
fn a_renewal_that_fails_is_tried_again_and_the_connection_stays() {
    let token_timeout = Duration::from_secs(2);
    let mut bed = connected(Settings { token_timeout, ..settings(true) }, 0);
    bed.pass(Duration::from_secs(61));
    assert_eq!(bed.next_timer(), [Did::FetchToken(1)]);
    let mut asked = 1;
    while bed.session.next_timeout().is_some() {
        // One that hangs is given up like one that fails.
        let did = if asked % 2 == 0 { bed.next_timer() } else { no_token(&mut bed, 1, ErrorKind::Token) };
        assert_eq!(did[0].clone(), Did::Error(if asked % 2 == 0 { "timeout" } else { "token" }.into()));
        if bed.session.next_timeout().is_some() {
            assert_eq!(bed.next_timer(), [Did::FetchToken(1)]);
            asked += 1;
        }
    }
    assert!((2..30).contains(&asked), "{asked}");
    assert_eq!(bed.session.state(), State::Connected);
    assert!(bed.now.since_start() < Duration::from_secs(620), "{:?}", bed.now);
    // A late answer is nobody's any more.
    assert_eq!(bed.token(1, &token(600)), []);
    assert_eq!(bed.session.stats().stale_dropped, 1);
    // The next dial asks first, for what there is has ended.
    bed.lost(1, None);
    assert_eq!(bed.next_timer().last(), Some(&Did::FetchToken(2)));
}

#[test]
fn a_provider_that_refuses_is_not_asked_again_while_connected() {
    let mut bed = connected(settings(true), 0);
    bed.pass(Duration::from_secs(541));
    assert_eq!(no_token(&mut bed, 1, ErrorKind::Auth), [Did::Error("auth".into())]);
    assert_eq!((bed.session.state(), bed.session.next_timeout()), (State::Connected, None));
}

/// The provider says that the user is signed out.
fn signed_out(bed: &mut Bed, generation: u64) -> Vec<Did> {
    bed.give(Input::Token { generation, result: Err(Error::signed_out("no user")) });
    bed.drain()
}

// S0-13: before the first dial, when the server wants another token, and ahead of the end of a token while connected.
#[test]
fn signed_out_ends_the_client_at_once() {
    let over = |bed: &mut Bed, did: &[Did]| {
        assert_eq!(ended(did), Some("signed-out"), "{did:?}");
        assert!(!did.iter().any(|did| matches!(did, Did::BackingOff(..) | Did::Error(_))), "{did:?}");
        let error = bed.last_error.as_ref().expect("an error");
        assert_eq!((error.kind(), error.is_retryable(), error.message()), (ErrorKind::SignedOut, false, "no user"));
        assert_eq!((bed.session.state(), bed.session.next_timeout()), (State::Failed, None));
        // The user may sign in and connect anew: a token is asked for.
        bed.give(Input::Connect);
        assert!(matches!(bed.drain().last(), Some(Did::FetchToken(_))));
    };
    let mut bed = Bed::new(settings(true));
    bed.give(Input::Connect);
    bed.drain();
    let did = signed_out(&mut bed, 1);
    over(&mut bed, &did);

    let mut dialect = json!({"name": "t", "first_frame": {"token": "${token}"}});
    dialect["errors"] = json!({"types": ["error"], "default": "refresh"});
    let dialect = Dialect::from_json(&dialect.to_string()).unwrap();
    let mut bed = connected(Settings { dialect: dialect.into(), reconnect: true, ..settings(false) }, 0);
    bed.text(1, r#"{"type":"error"}"#);
    assert_eq!(bed.next_timer().last(), Some(&Did::FetchToken(2)));
    bed.give(send("1"));
    let did = signed_out(&mut bed, 2);
    assert!(did.contains(&Did::Settled(1, ErrorKind::Closed)), "{did:?}");
    over(&mut bed, &did);

    let mut bed = connected(settings(true), 0);
    bed.pass(Duration::from_secs(541));
    let did = signed_out(&mut bed, 1);
    assert!(did.contains(&Did::Abort(1)) && did.contains(&Did::Disconnected), "{did:?}");
    over(&mut bed, &did);
}

// A session of the server belongs to the user: who signs in next must not go on with it.
#[test]
fn signed_out_leaves_nothing_to_resume() {
    let mut settings = Settings { token: TokenSource::Provider, ..Settings::new(Dialect::everwire(), url()) };
    settings.params.insert("user_id", json!("alice").into());
    let mut bed = Bed::new(settings);
    bed.give(Input::Connect);
    bed.drain();
    bed.token(1, &token(0));
    bed.give(Input::Opened { generation: 1 });
    bed.text(1, r#"{"type":"wire.hello","session":"s","resumed":false,"last":0}"#);
    bed.text(1, r#"{"type":"a","seq":1}"#);
    assert_eq!(bed.session.resume_point().and_then(|point| point.session).as_deref(), Some("s"));
    while !bed.pass(Duration::from_secs(20)).contains(&Did::FetchToken(1)) {
        bed.text(1, r#"{"type":"wire.pong"}"#);
    }
    signed_out(&mut bed, 1);
    assert_eq!(bed.session.resume_point(), Some(Default::default()));
}

// N-3, pitfall 12: a renewal ends with its connection.
#[test]
fn a_renewal_ends_with_its_connection() {
    let mut bed = connected(settings(true), 0);
    bed.pass(Duration::from_secs(541));
    let did = bed.lost(1, None);
    assert!(did.contains(&Did::Abort(1)), "{did:?}");
    assert_eq!(bed.token(1, &token(541)), []);
    // What is left of the old token is enough for a dial, and the renewal follows.
    let did = bed.next_timer();
    open(&mut bed, dialled(&did));
    assert_eq!(bed.next_timer(), [Did::FetchToken(2)]);
    bed.close();
    let did = bed.lost(2, Some(1000));
    assert!(did.contains(&Did::Abort(2)) && ended(&did) == Some("by-user"), "{did:?}");
    assert_eq!((bed.token(2, "late"), bed.session.next_timeout()), (vec![], None));
}

// S0-13
#[test]
fn a_static_token_is_not_renewed_and_dialled_with_though_it_seems_to_have_ended() {
    let token = TokenSource::Static(Secret::from(token(0)));
    let mut bed = Bed::new(Settings { token, ..settings(true) });
    tell_date(&mut bed, 90_000);
    bed.give(Input::Connect);
    let generation = dialled(&bed.drain());
    open(&mut bed, generation);
    bed.pass(Duration::from_secs(90_000));
    assert_eq!(bed.session.stats().token_fetches, 0);
}

/// Everything that a session shows, with a token that comes by this way and goes out by that.
fn shown_of(place: serde_json::Value, provided: bool, end: usize) -> (String, String) {
    const TOKEN: &str = "very-secret-token";
    let mut dialect = place;
    dialect["name"] = json!("t");
    dialect["hello"] = json!({"types": ["hello"]});
    dialect["errors"] = json!({"types": ["error"], "message": ["message"], "code": ["code"]});
    dialect["token_refresh"] = json!({"frame": {"again": "${token}"}});
    let mut settings = Settings::new(Dialect::from_json(&dialect.to_string()).unwrap(), url());
    let secret = || Secret::from(TOKEN.to_owned());
    settings.token = if provided { TokenSource::Provider } else { TokenSource::Static(secret()) };
    let mut shown = format!("{settings:?} {:?}", secret());
    let mut session = Session::<Event>::new(settings).unwrap();
    let (mut on_wire, mut generation) = (String::new(), 0);
    let now = Default::default();
    let echo = format!(r#"{{"type":"error","code":{end},"message":"{TOKEN} is wrong"}}"#);
    let inputs = [
        Input::Connect,
        Input::Token { generation: 1, result: Ok(secret()) },
        Input::Negotiated {
            generation: 1,
            negotiated: Negotiated { subprotocol: Some(TOKEN.into()), extensions: None },
        },
        Input::Opened { generation: 1 },
        Input::Message { generation: 1, payload: Event::from_text(r#"{"type":"hello"}"#.to_owned()) },
        match end {
            0 => Input::Message { generation: 1, payload: Event::from_text(echo) },
            1 => Input::Closed {
                generation: 1,
                info: CloseInfo { code: Some(4000), reason: format!("bad {TOKEN}"), error: None },
            },
            _ => send(TOKEN),
        },
    ];
    for input in inputs {
        if !matches!(input, Input::Closed { .. }) {
            shown += &format!("{input:?}");
        }
        if let Err(error) = session.handle(now, input) {
            shown += &format!("{error} {error:?}");
        }
        while let Some(output) = session.poll() {
            match &output {
                Output::Dial { request, generation: dialled } => {
                    generation = *dialled;
                    on_wire += &format!("{} {:?} {:?}", request.url, request.protocols, request.headers);
                    shown += &request.shown_url;
                }
                Output::Send { message: Message::Text(text), .. } => on_wire += text,
                Output::Lifecycle(step) => shown += &format!("{step:?}"),
                _ => {}
            }
            shown += &format!("{output:?}");
        }
    }
    assert_eq!(generation, 1);
    assert!(shown.contains("Connected") && (end > 1 || shown.contains("***")), "{shown}");
    assert!(on_wire.contains(TOKEN), "{on_wire}");
    (shown, TOKEN.to_owned())
}

// N-7: in no Debug, lifecycle step, error or URL, wherever the token goes; a server that sends it back changes nothing.
#[test]
fn a_token_is_nowhere_to_be_seen() {
    for place in [
        json!({"first_frame": {"token": "${token}"}}),
        json!({"url": {"query": {"token": "${token}"}}}),
        json!({"headers": {"Authorization": "Bearer ${token}"}}),
        json!({"protocols": ["bearer", "${token}"]}),
    ] {
        for provided in [false, true] {
            for end in 0..3 {
                let (shown, token) = shown_of(place.clone(), provided, end);
                assert!(!shown.contains(&token), "{place} {provided} {end}: {shown}");
            }
        }
    }
}

// What a server says instead of a hello is told, whatever it is: without the token, and not more than 4 KiB of it.
#[test]
fn the_answer_of_a_server_that_is_not_the_right_one_is_told() {
    const TOKEN: &str = "very-secret-token";
    let refused = |payload: Event| {
        let dialect = json!({"name": "t", "first_frame": {"token": "${token}"}, "hello": {"types": ["hello"]}});
        let token = TokenSource::Static(Secret::from(TOKEN.to_owned()));
        let mut bed =
            Bed::new(Settings { token, ..Settings::new(Dialect::from_json(&dialect.to_string()).unwrap(), url()) });
        bed.give(Input::Connect);
        bed.give(Input::Opened { generation: 1 });
        bed.give(Input::Message { generation: 1, payload });
        assert_eq!(ended(&bed.drain()), Some("refused"));
        let error = bed.last_error.expect("an error");
        assert_eq!(error.kind(), ErrorKind::Auth);
        (error.message().to_owned(), error.response().map(ToOwned::to_owned))
    };
    let text = |text: &str| refused(Event::from_text(text.to_owned())).1;
    let plain = "the first frame of the server is not the hello";
    assert_eq!(refused(Event::from_text("go away".to_owned())), (plain.to_owned(), Some("go away".to_owned())));
    assert_eq!(text(r#"{"type":"other"}"#).as_deref(), Some(r#"{"type":"other"}"#));
    assert_eq!(text(r#"{"type":"#).as_deref(), Some(r#"{"type":"#));
    assert_eq!(text("no very-secret-token here").as_deref(), Some("no *** here"));
    assert_eq!(text(&"é".repeat(5_000)).map(|text| text.len()), Some(4_096));
    // It is taken out before the answer is cut.
    for document in [false, true] {
        for at in 4_070..4_100 {
            let long = ["x".repeat(at), TOKEN.to_owned(), "y".repeat(50)].concat();
            let said = text(&if document { json!({"type": long}).to_string() } else { long }).expect("an answer");
            assert!(said.len() <= 4_096 && !said.contains("very"), "{at}: {}", &said[4_000..]);
        }
    }
    let binary = |bytes: &[u8]| refused(Event::from_binary(bytes.to_vec()));
    let what = |size: usize| format!("{plain}, but a binary message of {size} bytes");
    assert_eq!(binary(b"go away"), (what(7), Some("go away".to_owned())));
    assert_eq!(binary(&[0xff, 0, 1]), (what(3), None));
}

#[test]
fn the_error_in_a_reply_has_no_token() {
    let dialect =
        json!({"name": "t", "first_frame": {"token": "${token}"}, "requests": {"id": "id", "error": "error"}});
    let token = TokenSource::Static(Secret::from("very-secret-token".to_owned()));
    let mut session = Session::<Event>::new(Settings {
        token,
        ..Settings::new(Dialect::from_json(&dialect.to_string()).unwrap(), url())
    })
    .unwrap();
    let message = Message::from("{}");
    let reply = r#"{"id":1,"error":{"message":"very-secret-token is wrong"}}"#;
    for input in [
        Input::Connect,
        Input::Opened { generation: 1 },
        Input::Request { id: 1, message, timeout: Duration::from_secs(9) },
        Input::Room { generation: 1 },
        Input::Message { generation: 1, payload: Event::from_text(reply.to_owned()) },
    ] {
        session.handle(Default::default(), input).unwrap();
    }
    let error = std::iter::from_fn(|| session.poll())
        .find_map(|output| if let Output::Reply { reply, .. } = output { reply.err() } else { None })
        .expect("an error");
    assert_eq!(
        (error.message(), error.response()),
        ("*** is wrong", Some(r#"{"id":1,"error":{"message":"*** is wrong"}}"#))
    );
}
