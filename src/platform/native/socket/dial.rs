//! Dialling a native socket: the request, TCP, TLS and the WebSocket handshake. No error shows the URL.

use super::{
    answer,
    deflate::{self, Agreed},
    head::Head,
    proxy::Proxies,
    tls::{self, Tls},
    wire::{Stream, Tcp},
};
use crate::proto::{DialRequest, Error, ErrorKind, Negotiated};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    client_async_with_config,
    tungstenite::{
        self,
        client::IntoClientRequest,
        error::{ProtocolError, SubProtocolError},
        handshake::client::Request,
        http::{
            HeaderName, HeaderValue,
            header::{CONNECTION, HOST, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
        },
        protocol::WebSocketConfig,
    },
};

pub(super) async fn dial(
    request: &DialRequest,
    config: WebSocketConfig,
    tls: &Tls,
    proxies: &Proxies,
    compresses: bool,
) -> Result<(Stream, Option<Agreed>, Negotiated), Error> {
    let mut http = http_request(request)?;
    if compresses {
        http.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, deflate::OFFER);
    }
    let (host, port, secure) = target(&http)?;
    let tcp = Tcp::new(proxies.connect(&host, port, secure).await?);
    let stream = match secure {
        true => Stream::Tls(Box::new(tls.connect(host, tcp).await?)),
        false => Stream::Plain(tcp),
    };
    let (socket, answer) =
        client_async_with_config(http, Head::new(stream, "101"), Some(config)).await.map_err(handshake_error)?;
    let told = |name: HeaderName| answer.headers().get(name)?.to_str().ok().map(Box::from);
    let negotiated =
        Negotiated { subprotocol: told(SEC_WEBSOCKET_PROTOCOL), extensions: told(SEC_WEBSOCKET_EXTENSIONS) };
    let agreed = if compresses { Agreed::read(answer.headers())? } else { None };
    Ok((socket.into_inner().inner, agreed, negotiated))
}

/// A connection over TCP.
pub(super) async fn connect(host: &str, port: u16, unreachable: &'static str) -> Result<TcpStream, Error> {
    let failed = |message, error| Error::new(ErrorKind::Connect, message).with_source(error);
    let tcp = TcpStream::connect((host, port)).await.map_err(|error| failed(unreachable, error))?;
    // Small messages must not wait for the acknowledgement of the one before.
    tcp.set_nodelay(true).map_err(|error| failed("the socket cannot be set up", error))?;
    Ok(tcp)
}

fn http_request(request: &DialRequest) -> Result<Request, Error> {
    // The parser's own error may show what it choked on.
    let mut http =
        request.url.as_str().into_client_request().map_err(|_| Error::wrong("url", "not a WebSocket URL"))?;
    if let Some(protocols) = protocols(&request.protocols)? {
        http.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocols);
    }
    for (index, (name, value)) in request.headers.iter().enumerate() {
        let (name, value) = header(name, value).map_err(|error| error.with_path(format!("headers[{index}]")))?;
        http.headers_mut().append(name, value);
    }
    Ok(http)
}

/// The offered subprotocols as one header: tokens, each once.
fn protocols(names: &[String]) -> Result<Option<HeaderValue>, Error> {
    for (index, name) in names.iter().enumerate() {
        // Header names are tokens too.
        if HeaderName::from_bytes(name.as_bytes()).is_err() || names[..index].contains(name) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a subprotocol is a word without blanks or separators, and is offered once",
            )
            .with_path(format!("protocols[{index}]")));
        }
    }
    if names.is_empty() {
        return Ok(None);
    }
    let mut value = HeaderValue::from_str(&names.join(", "))
        .map_err(|error| Error::new(ErrorKind::InvalidInput, "bad subprotocols").with_source(error))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// A header the user adds. Those of the handshake itself are not the user's.
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let refused = |message: String| Error::new(ErrorKind::InvalidInput, message);
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused("is not the name of a header".to_owned()))?;
    if [HOST, CONNECTION, UPGRADE].contains(&name) || name.as_str().starts_with("sec-websocket-") {
        return Err(refused(format!("`{name}` is set by the WebSocket handshake itself")));
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        refused(format!(
            "`{name}` would hold a line break or another control character; check the token or parameter in it"
        ))
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Host, port and whether TLS is wanted.
fn target(http: &Request) -> Result<(String, u16, bool), Error> {
    let refused = |message| Error::wrong("url", message);
    let secure = match http.uri().scheme_str() {
        Some("wss") => true,
        Some("ws") => false,
        _ => return Err(refused("a WebSocket URL begins with ws:// or wss://")),
    };
    let authority = http.uri().authority().filter(|authority| !authority.host().is_empty());
    let authority = authority.ok_or_else(|| refused("no host in the URL"))?;
    let port = match authority.port_u16() {
        Some(port) => port,
        None if authority.as_str().ends_with(authority.host()) => {
            if secure {
                443
            } else {
                80
            }
        }
        None => return Err(refused("the port is not a number up to 65535")),
    };
    Ok((authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(), port, secure))
}

/// Why TLS or the WebSocket handshake failed.
fn handshake_error(error: tungstenite::Error) -> Error {
    use tungstenite::Error as E;
    match error {
        E::Http(response) => answer::refusal(&response),
        // A server may refuse our certificate after it has finished its part of the TLS handshake.
        E::Io(error) if tls::is_tls(&error) => tls::failed(error),
        E::Protocol(ProtocolError::SecWebSocketSubProtocolError(SubProtocolError::NoSubProtocol)) => {
            Error::new(ErrorKind::Protocol, "the server accepted none of the offered subprotocols")
        }
        E::Protocol(ProtocolError::HandshakeIncomplete) | E::Io(_) | E::ConnectionClosed => {
            Error::new(ErrorKind::Connect, "the connection broke during the handshake").with_source(error)
        }
        // The URL was looked at before; its errors may show it.
        E::Url(_) => Error::wrong("url", "not a WebSocket URL"),
        error => Error::new(ErrorKind::Protocol, "the server's answer is not a WebSocket handshake").with_source(error),
    }
}
