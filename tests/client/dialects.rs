//! Where a token goes, as the server sees it, and what the handshake agreed on.

use super::peer::{Server, soon};
use everwire::{Client, Dialect, Lifecycle};
use futures::channel::oneshot;
use std::sync::Mutex;

/// Connects with this dialect; gives the request as the server saw it, and the URL and subprotocol as they are shown.
async fn request(dialect: &str, hello: Option<&str>) -> (String, Option<String>) {
    let dialect = match dialect.starts_with('{') {
        true => Dialect::from_json(dialect).unwrap(),
        false => Dialect::builtin(dialect).unwrap(),
    };
    let server = Server::start().await;
    let client = Client::builder(dialect).url(server.url()).param("model", "m").token("ek_secret").build().unwrap();
    let (sender, shown) = oneshot::channel();
    let sender = Mutex::new(Some(sender));
    client
        .on_lifecycle(move |step| {
            if let Lifecycle::Connected { url, subprotocol, .. } = step {
                let shown = (url.to_string(), subprotocol.as_deref().map(str::to_owned));
                let _ = sender.lock().unwrap().take().expect("one connection").send(shown);
            }
        })
        .detach();
    client.connect().unwrap();
    let (mut peer, request) = server.accept_with_first_protocol().await;
    if let Some(hello) = hello {
        peer.send(hello).await;
    }
    soon(client.ready()).await.unwrap();
    let (url, subprotocol) = soon(shown).await.unwrap();
    assert!(!url.contains("secret"), "{url}");
    (request, subprotocol)
}

// S1-19, S2-2
#[tokio::test]
async fn a_token_goes_by_query_header_and_subprotocol() {
    let (seen, _) = request(r#"{"name":"q","url":{"query":{"token":"${token}"}}}"#, None).await;
    assert!(seen.starts_with("/?token=ek_secret"), "{seen}");
    let (seen, _) = request(r#"{"name":"h","headers":{"Authorization":"Bearer ${token}"}}"#, None).await;
    assert!(seen.contains("authorization: Bearer ek_secret"), "{seen}");
    let (seen, chosen) = request(r#"{"name":"p","protocols":["bearer","${token}"]}"#, None).await;
    assert!(seen.contains("sec-websocket-protocol: bearer, ek_secret"), "{seen}");
    assert_eq!(chosen.as_deref(), Some("bearer"));
    // A server may choose the token: it is not shown all the same.
    let (_, chosen) = request(r#"{"name":"p","protocols":["${token}"]}"#, None).await;
    assert_eq!(chosen.as_deref(), Some("***"));
}

// S1-24
#[tokio::test]
async fn openai_realtime_by_header_and_by_subprotocol() {
    let hello = r#"{"type":"session.created","session":{"id":"s"}}"#;
    let (seen, chosen) = request("openai-realtime", Some(hello)).await;
    assert!(seen.contains("?model=m") && seen.contains("authorization: Bearer ek_secret"), "{seen}");
    assert_eq!(chosen, None);
    let (seen, chosen) = request("openai-realtime-browser", Some(hello)).await;
    assert!(seen.contains("sec-websocket-protocol: realtime, openai-insecure-api-key.ek_secret"), "{seen}");
    assert_eq!(chosen.as_deref(), Some("realtime"));
}
