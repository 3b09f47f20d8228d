//! An HTTP answer that refuses, as an error: the status, the headers, what it says, and when to come again.

use super::{
    body::{self, Deadline},
    head::Head,
};
use crate::proto::{Error, ErrorKind};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncRead;
use tokio_tungstenite::tungstenite::http::{
    HeaderMap, HeaderValue,
    header::{DATE, HeaderName, RETRY_AFTER},
};

/// A refusal of this kind. Its body is still to come.
pub(super) async fn refusal(
    kind: ErrorKind,
    message: &'static str,
    head: &Head,
    stream: impl AsyncRead + Unpin,
    deadline: &Deadline,
) -> Error {
    let refused = Error::new(kind, message)
        .with_status(head.status().as_u16())
        .with_retry_after(retry_after(head.headers(), wall_clock()))
        .with_headers(texts(head.headers()));
    match body::read(head, stream, deadline).await {
        Some(body) => refused.with_response(body),
        None => refused,
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
