//! The one error of the crate: opaque, cheap to clone, with a kind to match on and the facts that belong to it.

use super::{decimal, url::HIDDEN};
use std::{borrow::Cow, error, fmt, sync::Arc, time::Duration};

/// What went wrong, for `match`. New kinds may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting, dialect or URL is wrong; [`Error::path`] names it.
    Config,
    /// The call does not fit the state of the client, such as `connect` while connected.
    InvalidState,
    /// An argument of a call is wrong, such as a close code that may not be sent.
    InvalidInput,
    /// Not possible on this target, such as request headers in a browser.
    Unsupported,
    /// The connection could not be made: name, network, TLS, or a refusal the browser does not explain.
    Connect,
    /// The server answered the WebSocket handshake with an HTTP status; see [`Error::status`].
    Handshake,
    /// The proxy refused the tunnel; see [`Error::status`].
    Proxy,
    /// Authentication was rejected, or the server's first frame was not the hello; see [`Error::code`] and
    /// [`Error::response`].
    Auth,
    /// The server reported an error that is not about identity; see [`Error::code`].
    Server,
    /// The token provider failed.
    Token,
    /// The token provider says that the user is signed out, so that there will be no token: the client ends. Made by
    /// [`Error::signed_out`].
    SignedOut,
    /// The peer broke the WebSocket protocol.
    Protocol,
    /// A message was not what it should be: bad JSON, or a document that does not fit the wanted type.
    Decode,
    /// A message was larger than the configured limit.
    TooLarge,
    /// Something took too long; the message says what.
    Timeout,
    /// The connection is closed; see [`Error::close_code`] and [`Error::close_reason`].
    Closed,
    /// A bounded queue is full.
    Overflow,
    /// A listener panicked or threw.
    Listener,
}

impl ErrorKind {
    /// The kind as a short word: the `code` of an error in JavaScript, and a label in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Config => "config",
            ErrorKind::InvalidState => "invalid-state",
            ErrorKind::InvalidInput => "invalid-input",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Connect => "connect",
            ErrorKind::Handshake => "handshake",
            ErrorKind::Proxy => "proxy",
            ErrorKind::Auth => "auth",
            ErrorKind::Server => "server",
            ErrorKind::Token => "token",
            ErrorKind::SignedOut => "signed-out",
            ErrorKind::Protocol => "protocol",
            ErrorKind::Decode => "decode",
            ErrorKind::TooLarge => "too-large",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Closed => "closed",
            ErrorKind::Overflow => "overflow",
            ErrorKind::Listener => "listener",
        }
    }
}

/// How much of the server's answer an error carries, in bytes.
const MAX_RESPONSE: usize = 4096;

type Source = Arc<dyn error::Error + Send + Sync>;

/// An error of everwire. Its text never contains a token.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    path: Option<String>,
    code: Option<i64>,
    status: Option<u16>,
    close: Option<(u16, String)>,
    response: Option<String>,
    retry_after: Option<Duration>,
    headers: Option<Arc<[(String, String)]>>,
    source: Option<Source>,
}

impl Error {
    /// An error of this kind. The message must not contain a secret.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self::of(kind, message.into())
    }

    /// What a token provider answers when the user is signed out: nothing is tried again, and the client ends with
    /// [`Cause::SignedOut`](super::Cause::SignedOut); one that is connected closes at once. The message must not contain a secret.
    pub fn signed_out(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::SignedOut, message)
    }

    fn of(kind: ErrorKind, message: Cow<'static, str>) -> Self {
        Self(Box::new(Inner {
            kind,
            message,
            path: None,
            code: None,
            status: None,
            close: None,
            response: None,
            retry_after: None,
            headers: None,
            source: None,
        }))
    }

    /// A setting or a part of a dialect is wrong.
    pub(crate) fn wrong(path: &str, message: &'static str) -> Self {
        Self::new(ErrorKind::Config, message).with_path(path)
    }

    pub(crate) fn with_path(mut self, path: impl Into<String>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    pub(crate) fn with_code(mut self, code: Option<i64>) -> Self {
        self.0.code = code;
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn with_close(mut self, code: u16, reason: impl Into<String>) -> Self {
        self.0.close = Some((code, reason.into()));
        self
    }

    pub(crate) fn with_response(mut self, response: impl Into<String>) -> Self {
        self.0.response = Some(response.into());
        self
    }

    #[allow(dead_code, reason = "a browser shows no answer to a handshake")]
    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    #[allow(dead_code, reason = "a browser shows no answer to a handshake")]
    pub(crate) fn with_headers(mut self, headers: impl Into<Arc<[(String, String)]>>) -> Self {
        self.0.headers = Some(headers.into());
        self
    }

    /// The same facts as a rejected authentication.
    pub(crate) fn into_auth(mut self) -> Self {
        self.0.kind = ErrorKind::Auth;
        self
    }

    /// The same error with this secret taken out of what the server said, of which it keeps the beginning.
    pub(crate) fn without(mut self, secret: &str) -> Self {
        let inner = &mut *self.0;
        let said = [inner.response.as_mut(), inner.close.as_mut().map(|(_, reason)| reason)];
        if let Cow::Owned(message) = &mut inner.message {
            hide(message, secret);
        }
        said.into_iter().flatten().for_each(|text| hide(text, secret));
        if let Some(response) = &mut inner.response {
            response.truncate(response.floor_char_boundary(MAX_RESPONSE));
        }
        self
    }

    /// The path, the message, and the code, status or close frame, in words. Put together by hand, as everywhere in the core.
    pub(crate) fn text(&self) -> String {
        let inner = &*self.0;
        let mut text = String::new();
        if let Some(path) = &inner.path {
            text.push_str(path);
            text.push_str(": ");
        }
        text.push_str(&inner.message);
        if let Some(code) = inner.code {
            text.push_str(" (code ");
            decimal::push_signed(&mut text, code);
            text.push(')');
        }
        if let Some(status) = inner.status {
            text.push_str(" (HTTP ");
            decimal::push(&mut text, status.into());
            text.push(')');
        }
        if let Some((code, reason)) = &inner.close {
            text.push_str(" (close ");
            decimal::push(&mut text, (*code).into());
            if !reason.is_empty() {
                text.push_str(" \"");
                // What a terminal would take for a command is replaced.
                reason.chars().for_each(|char| text.push(if char.is_control() { '\u{fffd}' } else { char }));
                text.push('"');
            }
            text.push(')');
        }
        text
    }

    /// Attaches the cause. It must not print a secret either.
    pub fn with_source(mut self, source: impl error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without the facts that [`Display`](fmt::Display) adds.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The setting that is wrong, as a dotted path (`hello.types[0]`), for [`ErrorKind::Config`].
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The code the server gave, such as 40 for an expired token.
    pub fn code(&self) -> Option<i64> {
        self.0.code
    }

    /// The HTTP status of a refused handshake, or of a proxy that refused the tunnel.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// How long the server asked to be left alone (`Retry-After`), where it answered the handshake with an HTTP status.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The headers that came with [`status`](Self::status), names in lower case. They are never shown: one may hold a
    /// cookie. Empty in a browser.
    pub fn headers(&self) -> &[(String, String)] {
        self.0.headers.as_deref().unwrap_or_default()
    }

    /// The close code, where a close caused the error.
    pub fn close_code(&self) -> Option<u16> {
        self.0.close.as_ref().map(|(code, _)| *code)
    }

    /// The reason given with the close code.
    pub fn close_reason(&self) -> Option<&str> {
        self.0.close.as_ref().map(|(_, reason)| reason.as_str())
    }

    /// The server's answer that caused the error (at most 4 KiB of it): a body, or a message that is text, JSON as this crate writes
    /// it. The token is shown as `***`.
    pub fn response(&self) -> Option<&str> {
        self.0.response.as_deref()
    }

    /// Whether something took too long.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// Whether authentication was rejected.
    pub fn is_auth(&self) -> bool {
        self.0.kind == ErrorKind::Auth
    }

    /// Whether the connection was closed.
    pub fn is_closed(&self) -> bool {
        self.0.kind == ErrorKind::Closed
    }

    /// Whether the same call may work later without a change.
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Connect
            | ErrorKind::Server
            | ErrorKind::Timeout
            | ErrorKind::Closed
            | ErrorKind::Overflow
            | ErrorKind::Token
            | ErrorKind::Protocol
            | ErrorKind::TooLarge => true,
            ErrorKind::Handshake => !matches!(self.0.status, Some(401 | 403 | 404 | 410)),
            ErrorKind::Proxy => !matches!(self.0.status, Some(401 | 403 | 407)),
            _ => false,
        }
    }
}

/// The text of `Error::text`.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// By hand: the standard library's search would be a good part of what a page downloads.
fn hide(text: &mut String, secret: &str) {
    if secret.is_empty() {
        return;
    }
    let mut shown = String::new();
    let (mut from, mut at) = (0, 0);
    while let Some(rest) = text.as_bytes().get(at..) {
        if rest.starts_with(secret.as_bytes()) {
            shown.push_str(text.get(from..at).unwrap_or_default());
            shown.push_str(HIDDEN);
            at += secret.len();
            from = at;
        } else {
            at += 1;
        }
    }
    if from > 0 {
        shown.push_str(text.get(from..).unwrap_or_default());
        *text = shown;
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}: {self}", self.0.kind.as_str())?;
        if let Some(source) = &self.0.source {
            write!(f, "; caused by: {source}")?;
        }
        f.write_str(")")
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
