//! An HTTP answer in place of a handshake, as an error: the status, what the server said, and when to come again.

use crate::proto::{Error, ErrorKind};
use std::time::{Duration, SystemTime};
#[cfg(feature = "proxy")]
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::{
    handshake::client::Response,
    http::{
        HeaderMap, HeaderValue,
        header::{DATE, HeaderName, RETRY_AFTER},
    },
};

/// How much of the answer's body is kept.
const MAX_RESPONSE: usize = 4096;

pub(super) fn refusal(response: &Response) -> Error {
    let refused = Error::new(ErrorKind::Handshake, "the server refused the WebSocket handshake")
        .with_status(response.status().as_u16())
        .with_retry_after(retry_after(response.headers(), wall_clock()))
        .with_headers(texts(response.headers()));
    match response.body() {
        Some(body) if !body.is_empty() => {
            refused.with_response(String::from_utf8_lossy(&body[..body.len().min(MAX_RESPONSE)]))
        }
        _ => refused,
    }
}

/// What a proxy answered that refuses the tunnel. It may be no HTTP at all.
#[cfg(feature = "proxy")]
pub(super) fn of_proxy(answer: &[u8]) -> Error {
    let digits = super::head::status(answer).and_then(|status| status.get(..3));
    let status = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let Some(status) = status else { return Error::new(ErrorKind::Proxy, "the proxy did not answer with HTTP") };
    let refused = Error::new(ErrorKind::Proxy, "the proxy refused the tunnel").with_status(status);
    match Response::try_parse(answer) {
        Ok(Some((_, response))) => refused
            .with_retry_after(retry_after(response.headers(), wall_clock()))
            .with_headers(texts(response.headers())),
        _ => refused,
    }
}

/// Names and values as text. A value that is no text is left out.
fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), to_text(value)?.to_owned()));
    headers.iter().filter_map(text).collect()
}

/// How long to wait: a number of seconds, or until a date. A date is compared with the server's own clock where it tells
/// it, for ours may be wrong; one that has passed means no wait.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = to_text(headers.get(RETRY_AFTER)?)?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let date = headers.get(DATE).and_then(to_text).and_then(|date| httpdate::parse_http_date(date).ok());
    Some(until.duration_since(date.unwrap_or(now)).unwrap_or_default())
}

fn to_text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

#[allow(clippy::disallowed_methods)] // this is the place that may
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn the_wait_is_seconds_or_a_date_by_the_servers_clock() {
        let wait = |pairs: &[(HeaderName, &str)]| {
            let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect();
            retry_after(&headers, UNIX_EPOCH + Duration::from_secs(784_111_777)).map(|wait| wait.as_secs())
        };
        let at = |date| (RETRY_AFTER, date);
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[at("120")]), Some(120));
        assert_eq!(wait(&[at(" 0 ")]), Some(0));
        assert_eq!(wait(&[at("Sun, 06 Nov 1994 08:50:37 GMT")]), Some(60));
        assert_eq!(wait(&[at("Sunday, 06-Nov-94 08:50:37 GMT")]), Some(60));
        assert_eq!(wait(&[at("Sun, 06 Nov 1994 08:00:00 GMT")]), Some(0), "it has passed");
        let server_is_ahead = [at("Sun, 06 Nov 1994 10:00:05 GMT"), (DATE, "Sun, 06 Nov 1994 10:00:00 GMT")];
        assert_eq!(wait(&server_is_ahead), Some(5));
        for bad in ["", "soon", "-1", "1.5", "99999999999999999999", "Sun, 06 Nov 1994"] {
            assert_eq!(wait(&[at(bad)]), None, "{bad:?}");
        }
    }
}
