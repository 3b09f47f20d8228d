//! The client's half of the opening handshake (RFC 6455, 4.1): the request goes out, and the answer must be what was asked
//! for. Headers are read as RFC 9110 writes them, which the WebSocket library does not do.

use super::{
    answer,
    body::Deadline,
    head::{self, Head, Unreadable},
    tls,
};
use crate::{
    platform::list::{consists_of, members},
    proto::{Error, ErrorKind, Negotiated},
};
use std::{error, fmt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::{
    handshake::{client::Request, derive_accept_key},
    http::{
        HeaderName, StatusCode, Version,
        header::{
            CONNECTION, HOST, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
            SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
        },
    },
};

/// Headers as servers know them that compare names byte by byte.
const NAMES: [(HeaderName, &str); 8] = [
    (HOST, "Host"),
    (CONNECTION, "Connection"),
    (UPGRADE, "Upgrade"),
    (SEC_WEBSOCKET_VERSION, "Sec-WebSocket-Version"),
    (SEC_WEBSOCKET_KEY, "Sec-WebSocket-Key"),
    (SEC_WEBSOCKET_PROTOCOL, "Sec-WebSocket-Protocol"),
    (SEC_WEBSOCKET_EXTENSIONS, "Sec-WebSocket-Extensions"),
    (ORIGIN, "Origin"),
];

/// Asks for a WebSocket on this connection; gives the answer that grants it.
pub(super) async fn open(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &Request,
    deadline: &Deadline,
) -> Result<Head, Error> {
    let bytes = to_bytes(request);
    let written = async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    // A server may refuse before it has read all: then it is the answer that counts, and not the failure to write.
    let _ = written.await;
    let head = head::read(stream).await.map_err(no_answer)?;
    if head.status() != StatusCode::SWITCHING_PROTOCOLS {
        let message = "the server refused the WebSocket handshake";
        return Err(answer::refusal(ErrorKind::Handshake, message, &head, stream, deadline).await);
    }
    check(request, &head)?;
    Ok(head)
}

/// What an answer that was checked agrees to.
pub(super) fn negotiated(answer: &Head) -> Negotiated {
    let list = |name| members(answer.headers(), name).collect::<Vec<_>>().join(", ");
    let told = |list: String| (!list.is_empty()).then(|| list.into());
    Negotiated {
        subprotocol: members(answer.headers(), SEC_WEBSOCKET_PROTOCOL).next().map(Box::from),
        extensions: told(list(SEC_WEBSOCKET_EXTENSIONS)),
    }
}

/// The request as it goes out. It is nowhere else, for it holds secrets.
fn to_bytes(request: &Request) -> Vec<u8> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let mut bytes = ["GET ", target, " HTTP/1.1\r\n"].concat().into_bytes();
    for (name, value) in request.headers() {
        let known = NAMES.iter().find(|(known, _)| known == name);
        bytes.extend_from_slice(known.map_or(name.as_str(), |(_, written)| written).as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Whether the answer switches to what the request asks for, and to nothing more.
fn check(request: &Request, answer: &Head) -> Result<(), Error> {
    let (asked, told) = (request.headers(), answer.headers());
    let refused = |message| Error::new(ErrorKind::Protocol, message);
    if answer.version() != Version::HTTP_11 {
        return Err(no_handshake("it is in HTTP/1.0"));
    }
    if !consists_of(told, UPGRADE, |protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return Err(no_handshake("`Upgrade` is not `websocket`"));
    }
    if !members(told, CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade")) {
        return Err(no_handshake("`Connection` does not list `Upgrade`"));
    }
    let key = asked.get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    if !consists_of(told, SEC_WEBSOCKET_ACCEPT, |accept| Some(accept) == key.as_deref()) {
        return Err(no_handshake("`Sec-WebSocket-Accept` does not fit the key"));
    }
    if !asked.contains_key(SEC_WEBSOCKET_EXTENSIONS) && members(told, SEC_WEBSOCKET_EXTENSIONS).next().is_some() {
        return Err(refused("the server agreed to an extension that was not offered"));
    }
    let Some(chosen) = members(told, SEC_WEBSOCKET_PROTOCOL).next() else {
        return match asked.contains_key(SEC_WEBSOCKET_PROTOCOL) {
            true => Err(refused("the server accepted none of the offered subprotocols")),
            false => Ok(()),
        };
    };
    let offered = members(asked, SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == chosen);
    match offered && members(told, SEC_WEBSOCKET_PROTOCOL).all(|other| other == chosen) {
        true => Ok(()),
        false => Err(refused("the server chose a subprotocol that was not offered")),
    }
}

fn no_answer(unreadable: Unreadable) -> Error {
    match unreadable {
        // A server may refuse our certificate after it has finished its part of the TLS handshake.
        Unreadable::Broken(error) if tls::is_tls(&error) => tls::failed(error),
        Unreadable::Broken(error) => {
            Error::new(ErrorKind::Connect, "the connection broke during the handshake").with_source(error)
        }
        Unreadable::NotHttp => no_handshake("it is not HTTP"),
        Unreadable::TooLong => no_handshake("its head is too long"),
    }
}

fn no_handshake(why: &'static str) -> Error {
    Error::new(ErrorKind::Protocol, "the server's answer is not a WebSocket handshake").with_source(Wrong(why))
}

/// What is wrong with an answer.
#[derive(Debug)]
struct Wrong(&'static str);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl error::Error for Wrong {}
