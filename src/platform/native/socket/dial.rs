//! Dialling a native socket: the request, TCP, TLS and the WebSocket handshake. No error shows the URL.

use super::{
    body::Deadline,
    deflate::{self, Agreed},
    handshake,
    proxy::Proxies,
    tls::Tls,
    wire::{Stream, Tcp},
};
use crate::proto::{DialRequest, Error, ErrorKind, Negotiated};
use tokio_tungstenite::tungstenite::{
    client::IntoClientRequest,
    handshake::client::Request,
    http::{
        HeaderName, HeaderValue,
        header::{CONNECTION, HOST, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
    },
};

pub(super) async fn dial(
    request: &DialRequest,
    tls: &Tls,
    proxies: &Proxies,
    compresses: bool,
) -> Result<(Stream, Option<Agreed>, Negotiated), Error> {
    let deadline = Deadline::after(request.within);
    let mut http = http_request(request)?;
    if compresses {
        http.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, deflate::OFFER);
    }
    let (host, port, secure) = target(&http)?;
    let tcp = Tcp::new(proxies.connect(&host, port, secure, &deadline).await?);
    let mut stream = match secure {
        true => Stream::Tls(Box::new(tls.connect(host, tcp).await?)),
        false => Stream::Plain(tcp),
    };
    let answer = handshake::open(&mut stream, &http, &deadline).await?;
    let agreed = Agreed::read(answer.headers())?;
    Ok((stream, agreed, handshake::negotiated(&answer)))
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
