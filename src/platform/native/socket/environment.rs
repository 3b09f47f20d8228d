//! The proxies that the environment names, and the hosts that it excepts (`NO_PROXY`). Which proxy fits is for `hyper-util`; its
//! exceptions know neither `*` for addresses nor ports, brackets and `*.example.com`, which other programs do.

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio_tungstenite::tungstenite::http::Uri;

/// Stands for a proxy where only the exceptions are looked at.
const ANY: &str = "http://proxy";

/// What the environment said when it was read.
pub(super) struct Environment {
    /// With the exceptions that have no port.
    matcher: Matcher,
    /// Exceptions for one port.
    ports: Vec<(u16, Matcher)>,
    /// `NO_PROXY=*`: no host at all goes through a proxy.
    is_off: bool,
}

impl Environment {
    pub(super) fn read() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(get: impl Fn(&str) -> Option<String>) -> Self {
        // The name in lower case counts where the one in capitals is not set.
        let value = |name: &str| get(name).or_else(|| get(&name.to_lowercase())).unwrap_or_default();
        let (mut hosts, mut ports, mut is_off) = (Vec::new(), Vec::new(), false);
        let no = value("NO_PROXY");
        for entry in no.split(|char: char| char == ',' || char.is_whitespace()).filter(|entry| !entry.is_empty()) {
            is_off |= entry == "*";
            match with_port(entry) {
                Some((host, port)) => ports.push((port, Matcher::builder().all(ANY).no(plain(host)).build())),
                None => hosts.push(plain(entry)),
            }
        }
        // In a CGI program `HTTP_PROXY` is what a client sent as the header `Proxy`.
        let is_cgi = get("REQUEST_METHOD").is_some();
        let proxy = |name| if is_cgi { String::new() } else { value(name) };
        let matcher = Matcher::builder()
            .all(proxy("ALL_PROXY"))
            .http(proxy("HTTP_PROXY"))
            .https(proxy("HTTPS_PROXY"))
            .no(hosts.join(","))
            .build();
        Self { matcher, ports, is_off }
    }

    /// The proxy for this destination, whose port is given too.
    pub(super) fn intercept(&self, destination: &Uri, port: u16) -> Option<Intercept> {
        let is_excepted = |(only, matcher): &(u16, Matcher)| *only == port && matcher.intercept(destination).is_none();
        if self.is_off || self.ports.iter().any(is_excepted) { None } else { self.matcher.intercept(destination) }
    }
}

/// A host with a port: `example.com:8080`, `10.0.0.1:8080`, `[::1]:8080`.
fn with_port(entry: &str) -> Option<(&str, u16)> {
    let (host, port) = entry.rsplit_once(':')?;
    let is_host = !host.contains(':') || host.starts_with('[') && host.ends_with(']');
    if is_host { Some((host, port.parse().ok()?)) } else { None }
}

/// A host as `hyper-util` knows it: `.example.com` for `*.example.com`, and addresses without brackets.
fn plain(host: &str) -> &str {
    let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    host.strip_prefix('*').filter(|domain| domain.starts_with('.')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excepts(no: &str, host: &str, port: u16) -> bool {
        let environment = Environment::of(|name| match name {
            "ALL_PROXY" => Some("http://proxy.example:3128".to_owned()),
            "NO_PROXY" => Some(no.to_owned()),
            _ => None,
        });
        let uri = Uri::builder().scheme("https").authority(format!("{host}:{port}")).path_and_query("/").build();
        environment.intercept(&uri.expect("a URI"), port).is_none()
    }

    #[test]
    fn the_exceptions_of_no_proxy() {
        for (no, excepted, not) in [
            ("", &[][..], &["a.example", "10.0.0.1", "[::1]"][..]),
            ("*", &["a.example", "10.0.0.1", "[::1]", "localhost"], &[]),
            (" x.example , * ", &["a.example", "10.0.0.1"], &[]),
            ("a.example", &["a.example", "A.EXAMPLE", "b.a.example"], &["ba.example", "example", "10.0.0.1"]),
            (".a.example", &["a.example", "b.a.example"], &["ba.example"]),
            ("*.a.example", &["a.example", "b.a.example"], &["ba.example"]),
            ("x.example, a.example\ty.example", &["a.example", "y.example"], &["z.example"]),
            ("10.0.0.1", &["10.0.0.1"], &["10.0.0.10", "a.example"]),
            ("10.0.0.0/8", &["10.1.2.3"], &["11.0.0.1"]),
            ("::1", &["[::1]"], &["[::2]"]),
            ("[::1]", &["[::1]"], &["[::2]"]),
            ("fd00::/8", &["[fd12::1]"], &["[fe80::1]"]),
            (
                "a.example:443,10.0.0.1:443,[::1]:443",
                &["a.example", "b.a.example", "10.0.0.1", "[::1]"],
                &["b.example"],
            ),
            ("a.example:80,10.0.0.1:80,[::1]:80", &[], &["a.example", "10.0.0.1", "[::1]"]),
            (",,  ,", &[], &["a.example"]),
            ("a.example:http", &[], &["a.example"]),
        ] {
            for host in excepted {
                assert!(excepts(no, host, 443), "{no:?} excepts {host}");
            }
            for host in not {
                assert!(!excepts(no, host, 443), "{no:?} does not except {host}");
            }
        }
    }

    #[test]
    fn names_in_lower_case_count_where_the_others_are_not_set() {
        let uri = Uri::from_static("http://a.example/");
        let goes = |set: &[(&str, &str)]| {
            let get = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            Environment::of(get).intercept(&uri, 80).map(|proxy| proxy.uri().host().map(str::to_owned).expect("a host"))
        };
        assert_eq!(goes(&[("http_proxy", "http://low")]).as_deref(), Some("low"));
        assert_eq!(goes(&[("http_proxy", "http://low"), ("HTTP_PROXY", "http://up")]).as_deref(), Some("up"));
        assert_eq!(goes(&[("all_proxy", "http://low"), ("no_proxy", "*")]), None);
        assert_eq!(goes(&[("all_proxy", "http://low"), ("no_proxy", "*"), ("NO_PROXY", "")]).as_deref(), Some("low"));
        // What a client sent to a CGI program as the header `Proxy`.
        assert_eq!(goes(&[("HTTP_PROXY", "http://evil"), ("REQUEST_METHOD", "GET")]), None);
    }
}
