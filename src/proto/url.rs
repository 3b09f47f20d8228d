//! The URL to dial (S0-1, S0-2), made from the parts a real parser found, and the same URL as it may be shown.

use super::{
    dialect::Dialect,
    error::Error,
    fields::Mistake,
    template::{self, Params},
    text::{cut, pieces},
};

/// A URL taken apart by the platform's own parser, which has normalised and encoded its parts.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlParts {
    /// Lower case, without the colon.
    pub scheme: String,
    /// Whether the URL has a user name or a password.
    pub has_credentials: bool,
    /// Host and, where it is not the scheme's default, port.
    pub authority: String,
    /// The path, beginning with `/`.
    pub path: String,
    /// The query without the question mark.
    pub query: Option<String>,
}

/// What stands for a value that may be a secret.
pub(super) const HIDDEN: &str = "***";

/// A URL, and what may be shown of it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct DialUrl {
    pub(super) full: String,
    pub(super) shown: String,
}

/// Checks what a parser cannot know.
pub(super) fn check(base: &UrlParts, mistake: &Mistake) {
    mistake.when(base.has_credentials, "url", "must hold no user name or password");
    let foreign = !matches!(base.scheme.as_str(), "ws" | "wss" | "http" | "https");
    mistake.when(foreign, "url", "must begin with ws, wss, http or https");
    mistake.when(base.authority.is_empty(), "url", "needs a host");
}

impl DialUrl {
    fn add(&mut self, text: &str) {
        self.add_or(text, text);
    }

    fn add_or(&mut self, text: &str, shown: &str) {
        self.full.push_str(text);
        self.shown.push_str(shown);
    }
}

pub(super) fn dial_url(base: &UrlParts, dialect: &Dialect, params: &Params<'_>) -> Result<DialUrl, Error> {
    let mut url = DialUrl { full: String::new(), shown: String::new() };
    url.add(if matches!(base.scheme.as_str(), "https" | "wss") { "wss://" } else { "ws://" });
    url.add(&base.authority);
    url.add(dialect.url.path.as_ref().unwrap_or(&base.path));
    let mut separator = "?";
    if let Some(query) = base.query.as_deref().filter(|query| dialect.url.keep_query && !query.is_empty()) {
        for pair in pieces(query, b'&') {
            let (name, value) = cut(pair, b'=');
            url.add(separator);
            url.add(name);
            url.add_or(if value.is_some() { "=" } else { "" }, "=");
            url.add_or(value.unwrap_or_default(), HIDDEN);
            separator = "&";
        }
    }
    for (name, template) in dialect.url.query.iter() {
        if let Some(value) = params.fill(template)? {
            let value = encode(&template::plain(&value));
            url.add(separator);
            url.add(&encode(name));
            url.add("=");
            url.add_or(&value, if template::asks_for(template, None) { HIDDEN } else { &value });
            separator = "&";
        }
    }
    Ok(url)
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => {
                encoded.push('%');
                for digit in [byte >> 4, byte & 15] {
                    encoded.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::json::Json;
    use crate::test;
    use serde_json::{Value, json};

    fn parts(scheme: &str, authority: &str, path: &str, query: Option<&str>) -> UrlParts {
        UrlParts {
            scheme: scheme.into(),
            has_credentials: false,
            authority: authority.into(),
            path: path.into(),
            query: query.map(Into::into),
        }
    }

    fn checked(base: &UrlParts) -> Result<(), Error> {
        let mistake = Mistake::default();
        check(base, &mistake);
        mistake.result()
    }

    fn url(dialect: &Dialect, base: &UrlParts, given: Value) -> DialUrl {
        let Json::Object(given) = given.into() else { unreachable!() };
        let params = Params {
            token: Some("s3cret/+"),
            connection_id: None,
            point: None,
            client: "me/1 (abc)",
            channel: None,
            given: &given,
            defaults: &dialect.defaults,
        };
        dial_url(base, dialect, &params).unwrap()
    }

    // S0-1, S0-2
    #[test]
    fn stream_forces_the_path_and_drops_query_and_fragment() {
        let given = json!({"api_key": "k&y", "user_id": "a"});
        let made = url(&Dialect::stream(), &parts("https", "example.com:8443", "/other", Some("x=1")), given);
        assert_eq!(
            made.full,
            "wss://example.com:8443/api/v2/connect?api_key=k%26y&stream-auth-type=jwt&X-Stream-Client=me%2F1%20%28abc%29"
        );
        assert_eq!(
            made.shown,
            "wss://example.com:8443/api/v2/connect?api_key=***&stream-auth-type=***&X-Stream-Client=***"
        );
        assert!(
            url(&Dialect::stream(), &parts("http", "h", "/", None), json!({"api_key": 1}))
                .full
                .starts_with("ws://h/api")
        );
    }

    #[test]
    fn a_token_in_the_url_is_sent_but_never_shown() {
        let made = url(&Dialect::stream_v1(), &parts("wss", "h", "/", None), json!({"api_key": "k", "user_id": "a"}));
        assert!(
            made.full.contains("authorization=s3cret%2F%2B")
                && made.full.contains("%22user_token%22%3A%22s3cret%2F%2B%22")
        );
        assert!(!made.shown.contains("s3cret"), "{}", made.shown);
        let made = url(&Dialect::raw(), &parts("ws", "h", "/p", Some("token=abc&flag&room=1")), json!({}));
        assert_eq!(made.full, "ws://h/p?token=abc&flag&room=1");
        assert_eq!(made.shown, "ws://h/p?token=***&flag=***&room=***");
    }

    #[test]
    fn refuses_what_is_no_websocket_url() {
        for scheme in ["ftp", "file", "wsx"] {
            assert_eq!(checked(&parts(scheme, "h", "/", None)).unwrap_err().path(), Some("url"));
        }
        assert!(checked(&parts("ws", "", "/", None)).is_err());
        let mut with_credentials = parts("ws", "h", "/", None);
        with_credentials.has_credentials = true;
        assert!(checked(&with_credentials).is_err());
        assert!(checked(&parts("wss", "h", "/", None)).is_ok());
    }
}
