//! How permessage-deflate is offered, and what the server makes of the offer (RFC 7692, 7.1).

use crate::{
    platform::list::{members, pieces, trim},
    proto::{Error, ErrorKind},
};
use std::borrow::Cow;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};

/// What the client offers: any window the server likes for either side. It does not say `client_no_context_takeover`, which
/// would be a promise to begin anew with each message whatever the server answers; one that wants it says so in its answer
/// (RFC 7692, 7.1.1.2), and gets it. Autobahn's server answers so only to the promise: of its cases, 13.2, 13.5 and 13.6
/// are therefore "unimplemented" here, and what they try is tested with [`Deflater`](super::Deflater).
pub(in super::super) const OFFER: HeaderValue = HeaderValue::from_static("permessage-deflate; client_max_window_bits");

/// What was agreed upon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Agreed {
    pub(super) server_keeps: bool,
    pub(super) client_keeps: bool,
    pub(super) client_bits: u8,
}

impl Agreed {
    /// What the server says to the offer: nothing, or how it will be.
    pub(in super::super) fn read(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let wrong = || Error::new(ErrorKind::Protocol, "the server agreed to an extension that was not offered");
        let mut extensions = members(headers, SEC_WEBSOCKET_EXTENSIONS);
        let Some(extension) = extensions.next() else { return Ok(None) };
        let mut parts = pieces(extension, ';');
        let is_deflate = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("permessage-deflate"));
        if !is_deflate || extensions.next().is_some() {
            return Err(wrong());
        }
        let mut agreed = Self { server_keeps: true, client_keeps: true, client_bits: 15 };
        let mut seen = Vec::new();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name, Some(unquoted(trim(value)).ok_or_else(wrong)?)),
                None => (part, None),
            };
            let name = trim(name).to_ascii_lowercase();
            let bits = || {
                let digits = value.as_ref().filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
                digits?.parse().ok().filter(|bits| (8..=15).contains(bits))
            };
            match (name.as_str(), value.is_some()) {
                _ if seen.contains(&name) => return Err(wrong()),
                ("server_no_context_takeover", false) => agreed.server_keeps = false,
                ("client_no_context_takeover", false) => agreed.client_keeps = false,
                // Our window is as large as any.
                ("server_max_window_bits", true) => _ = bits().ok_or_else(wrong)?,
                ("client_max_window_bits", true) => agreed.client_bits = bits().ok_or_else(wrong)?,
                _ => return Err(wrong()),
            }
            seen.push(name);
        }
        Ok(Some(agreed))
    }
}

/// The value of a parameter, which is a token or a quoted string.
fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = value.strip_prefix('"') else { return Some(value.into()) };
    let mut chars = quoted.strip_suffix('"')?.chars();
    let mut text = String::new();
    while let Some(char) = chars.next() {
        text.push(if char == '\\' { chars.next()? } else { char });
    }
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Deflater, tests::AGREED},
        *,
    };

    #[test]
    fn an_agreement_is_read_and_nothing_else_is_taken() {
        let read = |value: &str| {
            let value = HeaderValue::from_str(value).expect("a value");
            Agreed::read(&HeaderMap::from_iter([(SEC_WEBSOCKET_EXTENSIONS, value)]))
        };
        assert_eq!(Agreed::read(&HeaderMap::new()).expect("no extension"), None);
        assert_eq!(read("").expect("no extension"), None);
        assert_eq!(read("permessage-deflate").expect("agreed"), Some(AGREED));
        let all = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                   server_max_window_bits=10; client_max_window_bits=\"9\"";
        let agreed = Agreed { server_keeps: false, client_keeps: false, client_bits: 9 };
        assert_eq!(read(all).expect("agreed"), Some(agreed));
        let small = read("permessage-deflate; client_max_window_bits=8").expect("agreed").expect("an agreement");
        assert!(Deflater::new(small, 0).is_none());
        let more = ["x", "server_max_window_bits", "server_max_window_bits=7", "client_max_window_bits=16", "x=1"];
        for more in
            more.iter().chain(&["server_no_context_takeover=1", "client_max_window_bits=9; client_max_window_bits=9"])
        {
            assert_eq!(read(&format!("permessage-deflate; {more}")).unwrap_err().kind(), ErrorKind::Protocol, "{more}");
        }
        for other in ["x-webkit-deflate-frame", "permessage-deflate, permessage-deflate"] {
            assert_eq!(read(other).unwrap_err().kind(), ErrorKind::Protocol, "{other}");
        }
    }

    #[test]
    fn a_parameter_is_a_token_or_a_quoted_string() {
        for (value, meant) in [("10", "10"), ("\"10\"", "10"), ("\"1\\0\"", "10"), ("\"\"", ""), ("", "")] {
            assert_eq!(unquoted(value).as_deref(), Some(meant), "{value}");
        }
        for wrong in ["\"", "\"10", "\"10\\\""] {
            assert_eq!(unquoted(wrong), None, "{wrong}");
        }
    }
}
