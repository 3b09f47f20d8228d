//! The kinds of listeners: typed, any, async, and waiting for one event.

use super::peer::{Diary, Server, soon};
use everwire::{
    ErrorKind, Event, StreamOptions, StreamPolicy,
    codec::{Codec, Json},
};
use futures::{
    StreamExt,
    channel::{mpsc, oneshot},
};
use serde::Deserialize;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

#[derive(Debug, Deserialize, PartialEq)]
struct Numbered {
    number: u64,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "type")]
enum Chat {
    #[serde(rename = "a")]
    A { number: u64 },
    #[serde(rename = "b")]
    B { text: String },
    #[serde(other)]
    Other,
}

/// A listener that passes on what it hears.
fn passing<T: Send + 'static>() -> (impl Fn(T) + Send + Sync + Clone, mpsc::UnboundedReceiver<T>) {
    let (sender, receiver) = mpsc::unbounded();
    (move |value| drop(sender.unbounded_send(value)), receiver)
}

// S0-18: typed by name and by serde type. What does not fit is reported and counted, and the connection goes on.
#[tokio::test]
async fn typed_listeners_get_values_and_what_does_not_fit_is_reported_and_counted() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let diary = Diary::of(&client);
    let (numbered, mut numbers) = passing::<Numbered>();
    let (any, mut all) = passing::<Chat>();
    let by_name = client.on_typed("a", numbered);
    let by_type = client.on_typed("*", any);
    peer.event("a", 1).await;
    peer.send(r#"{"type":"b","text":"hi"}"#).await;
    peer.send(r#"{"type":"c"}"#).await;
    peer.send(r#"{"type":"a","number":"no number"}"#).await;
    peer.event("a", 2).await;
    assert_eq!(soon(numbers.by_ref().take(2).collect::<Vec<_>>()).await, [1, 2].map(|number| Numbered { number }));
    let all: Vec<Chat> = soon(all.by_ref().take(4).collect()).await;
    let expected = [Chat::A { number: 1 }, Chat::B { text: "hi".to_owned() }, Chat::Other, Chat::A { number: 2 }];
    assert_eq!(all, expected);
    assert!(diary.until("error").await.contains("does not decode"));
    let stats = client.stats();
    assert_eq!((stats.decode_failures, stats.listener_failures), (2, 0));
    assert!(by_name.off() && by_type.off());
}

// S0-19, S1-13: a listener for everything, with the type; `off` tells whether it was there (S2-3).
#[tokio::test]
async fn an_any_listener_hears_every_type_once_until_it_is_off() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let (sender, mut heard) = mpsc::unbounded();
    let any = client.on_any(move |kind, event| drop(sender.unbounded_send((kind.to_owned(), event.is_binary()))));
    let once = client.once("a", |_| ());
    peer.event("a", 1).await;
    peer.send(r#"{"no":"type"}"#).await;
    peer.send_binary(&[1]).await;
    let heard: Vec<_> = soon(heard.by_ref().take(3).collect()).await;
    assert_eq!(heard, [("a", false), ("unknown", false), ("unknown", true)].map(|(kind, b)| (kind.to_owned(), b)));
    assert!(any.off());
    assert!(!once.off(), "it was spent");
}

// S2-3: `once`, awaited. It settles with the cause if the client ends first.
#[tokio::test]
async fn one_event_can_be_awaited_and_the_end_settles_the_wait() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let (event, ()) = soon(async {
        futures::join!(client.next_event("b.*"), async {
            peer.event("a", 1).await;
            peer.event("b.c", 2).await;
            peer.event("b.d", 3).await;
        })
    })
    .await;
    assert_eq!(event.unwrap().json::<Numbered>().unwrap(), Numbered { number: 2 });
    assert_eq!(client.next_event("b*").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let (error, ()) = soon(async { futures::join!(client.next_event("never"), client.close()) }).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(soon(client.next_event("never")).await.unwrap_err().kind(), ErrorKind::Closed);
}

// S2-3: async listeners run in order, one event after the other, while the client reads on; a panic is reported.
#[tokio::test]
async fn async_listeners_run_in_order_and_hold_up_nobody() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let diary = Diary::of(&client);
    let (pass, mut done) = passing::<u64>();
    let overlaps = Arc::new(AtomicBool::new(false));
    let (gate, open) = oneshot::channel::<()>();
    let (open, overlap) = (Arc::new(Mutex::new(Some(open))), overlaps.clone());
    let running = Arc::new(AtomicU32::new(0));
    let slow = client.on_async("n", move |event: Event| {
        let (pass, overlap, running, open) =
            (pass.clone(), overlap.clone(), running.clone(), open.lock().unwrap().take());
        async move {
            overlap.fetch_or(running.fetch_add(1, Ordering::SeqCst) > 0, Ordering::SeqCst);
            if let Some(open) = open {
                open.await.unwrap();
            }
            tokio::task::yield_now().await;
            running.fetch_sub(1, Ordering::SeqCst);
            let Numbered { number } = event.json().unwrap();
            if number == 3 {
                panic!("on purpose");
            }
            pass(number);
        }
    });
    for number in 1..=5 {
        peer.event("n", number).await;
    }
    // The listener is still at the first event; the client is not.
    let (end, ()) = soon(async { futures::join!(client.next_event("end"), peer.event("end", 0)) }).await;
    end.unwrap();
    assert!(done.try_recv().is_err());
    gate.send(()).unwrap();
    assert_eq!(soon(done.by_ref().take(4).collect::<Vec<_>>()).await, [1, 2, 4, 5]);
    assert!(!overlaps.load(Ordering::SeqCst));
    let error = diary.until("error").await;
    assert!(error.contains("on purpose") && error.contains("async listener of `n`"), "{error}");
    assert_eq!(client.stats().listener_failures, 1);
    assert!(slow.off());
    assert_eq!(soon(done.next()).await, None, "the task is gone, and what it held");
}

// S2-3, pitfall 12: an async listener stops with the client, even one that waits for ever.
#[tokio::test]
async fn an_async_listener_ends_with_the_client() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let (started, mut starts) = passing::<()>();
    client
        .on_async("*", move |_| {
            let started = started.clone();
            async move {
                started(());
                std::future::pending::<()>().await;
            }
        })
        .detach();
    peer.event("a", 1).await;
    soon(starts.next()).await.unwrap();
    drop(client);
    assert_eq!(soon(starts.next()).await, None);
}

// S2-6: bounded, with a policy: an async listener that is too slow is turned off, and that is reported.
#[tokio::test]
async fn an_async_listener_that_is_too_slow_may_be_turned_off() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let diary = Diary::of(&client);
    let options = StreamOptions::new().capacity(2).policy(StreamPolicy::Error).pattern("n");
    client.on_async_with(options, |_| std::future::pending()).unwrap().detach();
    for number in 0..8 {
        peer.event("n", number).await;
    }
    assert!(diary.until("error").await.contains("too slow"));
    assert!(client.stats().overflows > 0);
    let none = StreamOptions::new().capacity(0);
    assert_eq!(client.on_async_with(none, |_| async {}).unwrap_err().path(), Some("capacity"));
}

// Pitfall 17: listeners of every kind come and go inside listeners.
#[tokio::test]
async fn listeners_of_every_kind_may_be_added_and_removed_inside_listeners() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let (pass, mut heard) = passing::<String>();
    let once = Mutex::new(Some(client.clone()));
    client
        .on("add", move |_| {
            let Some(client) = once.lock().unwrap().take() else { return };
            let (typed, awaited, any) = (pass.clone(), pass.clone(), pass.clone());
            client.on_typed("n", move |n: Numbered| typed(format!("typed {}", n.number))).detach();
            let note = move |event: Event| {
                let awaited = awaited.clone();
                async move { awaited(format!("async {}", event.event_type())) }
            };
            client.on_async("n", note).detach();
            let own = Arc::new(Mutex::new(None));
            let slot = own.clone();
            let removed = client.on_any(move |kind, _| {
                if let Some(own) = slot.lock().unwrap().take() {
                    any(format!("any {kind} {}", everwire::Subscription::off(own)));
                }
            });
            *own.lock().unwrap() = Some(removed);
        })
        .detach();
    peer.event("add", 0).await;
    peer.event("n", 1).await;
    peer.event("n", 2).await;
    let mut heard: Vec<String> = soon(heard.by_ref().take(5).collect()).await;
    heard.sort();
    assert_eq!(heard, ["any n true", "async n", "async n", "typed 1", "typed 2"]);
}

/// A codec that reads a number of the whole message and writes it with a mark.
struct Marked;

impl Codec for Marked {
    fn decode<'de, T: Deserialize<'de>>(event: &'de Event) -> Result<T, everwire::Error> {
        let text = event.text().and_then(|text| text.strip_prefix('#')).unwrap_or_default();
        serde_json::from_str(text).map_err(|_| everwire::Error::new(ErrorKind::Decode, "no mark"))
    }

    fn encode<T: serde::Serialize + ?Sized>(value: &T) -> Result<everwire::Message, everwire::Error> {
        Ok(format!("#{}", serde_json::to_string(value).unwrap()).into())
    }
}

// S2-9: a codec of one's own, both ways; S1-13: send_json and recv_json.
#[tokio::test]
async fn a_codec_of_ones_own_decodes_and_encodes() {
    let server = Server::start().await;
    let client = everwire::Client::builder(everwire::Dialect::raw()).url(server.url()).build().unwrap();
    client.connect().unwrap();
    let mut peer = server.accept().await;
    soon(client.ready()).await.unwrap();
    let (pass, mut numbers) = passing::<u64>();
    client.on_decoded::<Marked, u64>("*", pass).detach();
    let mut plain = client.events();
    let mut typed = Box::pin(client.events().typed::<u64, Marked>());
    peer.send("#7").await;
    peer.send(r#"{"number":8}"#).await;
    assert_eq!(soon(numbers.next()).await, Some(7));
    assert_eq!(soon(typed.next()).await.unwrap().unwrap(), 7);
    assert_eq!(soon(typed.next()).await.unwrap().unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(soon(plain.recv_json::<Numbered>()).await.unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(soon(plain.recv_json::<Numbered>()).await.unwrap().number, 8);
    client.send_encoded::<Marked, _>(&[1, 2]).await.unwrap();
    client.send_json(&serde_json::json!({"a": 1})).await.unwrap();
    assert_eq!((peer.text().await, peer.text().await), ("#[1,2]".to_owned(), r#"{"a":1}"#.to_owned()));
    let none = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert_eq!(client.send_json(&none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(Json::encode(&none).unwrap_err().kind(), ErrorKind::InvalidInput);
    soon(client.close()).await;
    assert!(plain.recv_timeout(Duration::ZERO).await.is_err());
}

#[derive(Debug, Deserialize, PartialEq)]
struct Borrowed<'a> {
    text: &'a str,
    #[serde(borrow)]
    html: std::borrow::Cow<'a, str>,
}

// S2-9: what is decoded may borrow from the event.
#[tokio::test]
async fn a_document_may_borrow_from_its_event() {
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let (pass, mut heard) = passing::<(String, bool)>();
    let note = move |event: &Event| {
        let Borrowed { text, html } = event.json().unwrap();
        pass((format!("{text} {html}"), event.bytes().as_ptr_range().contains(&text.as_ptr())));
    };
    let _listening = client.on("b", note);
    peer.send(r#"{"type":"b","text":"hi","html":"a\nb"}"#).await;
    assert_eq!(soon(heard.next()).await.unwrap(), ("hi a\nb".to_owned(), true));
}

// S2-9: the fast decoder gives the same values, and its errors show nothing of the text.
#[cfg(feature = "sonic")]
#[tokio::test]
async fn the_fast_decoder_gives_the_same_and_shows_nothing() {
    use everwire::codec::FastJson;
    let server = Server::start().await;
    let (client, mut peer) = server.connect(server.builder()).await;
    let mut events = client.events();
    peer.send(r#"{"type":"b","text":"gr\u00fc\u00dfe \" \\ 😀"}"#).await;
    let event = soon(events.recv()).await.unwrap();
    assert_eq!(FastJson::decode::<Chat>(&event).unwrap(), Json::decode::<Chat>(&event).unwrap());
    peer.send(r#"{"type":"b","text":"hi","html":"a\nb"}"#).await;
    let event = soon(events.recv()).await.unwrap();
    let borrowed = FastJson::decode::<Borrowed<'_>>(&event).unwrap();
    assert_eq!((borrowed.text, &*borrowed.html), ("hi", "a\nb"));
    peer.send(r#"{"type":"a","number":"s3cret"}"#).await;
    let event = soon(events.recv()).await.unwrap();
    let error = FastJson::decode::<Chat>(&event).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(!format!("{error:?} {error}").contains("s3cret"), "{error:?}");
    assert_eq!(FastJson::encode("a\"b").unwrap(), Json::encode("a\"b").unwrap());
}
