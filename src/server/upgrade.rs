//! The server's side of the WebSocket handshake, as an axum extractor.

use super::socket::Socket;
use crate::platform::{self, list::members};
use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header, request::Parts},
    response::IntoResponse,
};
use hyper::upgrade::OnUpgrade;
use std::future::Future;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

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
        let lists = |name, token| members(headers, name).any(|member| member.eq_ignore_ascii_case(token));
        if parts.method != Method::GET
            // An older version cannot be upgraded (RFC 9110, 7.8).
            || parts.version < Version::HTTP_11
            || !lists(header::CONNECTION, "upgrade")
            || !lists(header::UPGRADE, "websocket")
        {
            return Err(NotAnUpgrade(StatusCode::UPGRADE_REQUIRED, "this address expects a WebSocket handshake\n"));
        }
        if !lists(header::SEC_WEBSOCKET_VERSION, "13") {
            return Err(NotAnUpgrade(
                StatusCode::UPGRADE_REQUIRED,
                "only version 13 of the WebSocket protocol is supported\n",
            ));
        }
        let key = key(headers).ok_or(NotAnUpgrade(
            StatusCode::BAD_REQUEST,
            "Sec-WebSocket-Key must be there, and hold 16 bytes in base64\n",
        ))?;
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
        max_message_size: usize,
        run: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> Response<Body>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let upgrade = self.upgrade;
        let spawned = platform::spawn(async move {
            // It fails when the client goes away before the handshake ends.
            if let Ok(upgraded) = upgrade.await {
                run(Socket::new(upgraded, max_message_size).await).await;
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

/// The client's key (RFC 6455, 4.2.1), if it is one.
fn key(headers: &HeaderMap) -> Option<&str> {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let is_key = |key: &str| {
        let digits = key.strip_suffix("==").filter(|digits| digits.len() == 22);
        digits.is_some_and(|digits| digits.bytes().all(is_digit))
    };
    let mut keys = members(headers, header::SEC_WEBSOCKET_KEY);
    let key = keys.next().filter(|key| is_key(key))?;
    keys.all(|other| other == key).then_some(key)
}
