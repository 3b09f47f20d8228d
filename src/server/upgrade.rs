//! The server's side of the WebSocket handshake, as an axum extractor, on the same WebSocket library as the client's.

use crate::platform::{self, Counted};
use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts},
    response::IntoResponse,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::future::Future;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

/// A WebSocket that a client opened.
pub(super) type Socket = WebSocketStream<Counted<TokioIo<Upgraded>>>;

/// A request that asks for a WebSocket.
pub(super) struct Upgrade {
    accept: HeaderValue,
    upgrade: OnUpgrade,
}

/// A request that asks for no WebSocket, or not as RFC 6455 says.
pub(super) struct NotAnUpgrade(StatusCode, &'static str);

impl IntoResponse for NotAnUpgrade {
    fn into_response(self) -> Response<Body> {
        let headers =
            [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_VERSION, "13")];
        (self.0, headers, self.1).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = NotAnUpgrade;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotAnUpgrade> {
        Self::of(parts)
    }
}

impl Upgrade {
    /// Takes the upgrade out of a request that asks for one.
    pub(super) fn of(parts: &mut Parts) -> Result<Self, NotAnUpgrade> {
        let headers = &parts.headers;
        if parts.method != Method::GET
            || !lists(headers, header::CONNECTION, "upgrade")
            || !lists(headers, header::UPGRADE, "websocket")
        {
            return Err(NotAnUpgrade(StatusCode::UPGRADE_REQUIRED, "this address speaks WebSocket\n"));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(NotAnUpgrade(
                StatusCode::UPGRADE_REQUIRED,
                "only version 13 of the WebSocket protocol is spoken here\n",
            ));
        }
        let key = headers
            .get(header::SEC_WEBSOCKET_KEY)
            .ok_or(NotAnUpgrade(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing\n"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).expect("base64 is a header value");
        let upgrade = parts
            .extensions
            .remove::<OnUpgrade>()
            .ok_or(NotAnUpgrade(StatusCode::BAD_REQUEST, "this connection cannot be upgraded\n"))?;
        Ok(Self { accept, upgrade })
    }

    /// Accepts, and runs the connection in a task of its own.
    pub(super) fn accept<F>(
        self,
        config: WebSocketConfig,
        run: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> Response<Body>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let upgrade = self.upgrade;
        let spawned = platform::spawn(async move {
            // It fails when the client goes away before the handshake ends.
            if let Ok(upgraded) = upgrade.await {
                let io = Counted::new(TokioIo::new(upgraded));
                run(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await).await;
            }
        });
        if spawned.is_err() {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, self.accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}

/// Whether a header is a list that contains this word.
fn lists(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(word))
}
