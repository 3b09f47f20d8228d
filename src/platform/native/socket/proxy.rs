//! A tunnel through an HTTP proxy (`CONNECT`). Which proxy a destination needs and how the credentials are written is for
//! `hyper-util`; its own tunnel tells no status but 407, so the few lines of that are here.

use super::{
    answer,
    body::Deadline,
    environment::Environment,
    head::{self, Unreadable},
};
use crate::{
    platform::SocketOptions,
    proto::{Error, ErrorKind},
};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use std::{io, sync::Arc};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_tungstenite::tungstenite::http::Uri;

/// Which proxy to use, if any.
#[derive(Clone)]
pub(super) struct Proxies(Option<Arc<Source>>);

/// Where it is said.
enum Source {
    Given(Box<Matcher>),
    Environment(Box<Environment>),
}

impl Proxies {
    /// Fails with [`ErrorKind::Config`] if the given proxy is none. What the environment says is looked at once, here.
    pub(super) fn new(options: &SocketOptions) -> Result<Self, Error> {
        let source = match &options.proxy {
            Some(url) => {
                check(url)?;
                Some(Source::Given(Box::new(Matcher::builder().all(url.as_str()).build())))
            }
            None if options.proxy_from_env => Some(Source::Environment(Box::new(Environment::read()))),
            None => None,
        };
        Ok(Self(source.map(Arc::new)))
    }

    /// A connection to this place: straight, or through the proxy that it needs.
    pub(super) async fn connect(
        &self,
        host: &str,
        port: u16,
        secure: bool,
        deadline: &Deadline,
    ) -> Result<TcpStream, Error> {
        match self.of(host, port, secure)? {
            Some(proxy) => tunnel(&proxy, host, port, deadline).await,
            None => super::tcp::connect(host, port, "the server cannot be reached").await,
        }
    }

    fn of(&self, host: &str, port: u16, secure: bool) -> Result<Option<Intercept>, Error> {
        let Some(source) = &self.0 else { return Ok(None) };
        let scheme = if secure { "https" } else { "http" };
        let place = Uri::builder().scheme(scheme).authority(authority(host, port)).path_and_query("/").build();
        let place = place.map_err(|_| Error::wrong("url", "the host cannot be written in a request to a proxy"))?;
        let proxy = match &**source {
            Source::Given(matcher) => matcher.intercept(&place),
            Source::Environment(environment) => environment.intercept(&place, port),
        };
        match proxy {
            // Only the environment can name one of these.
            Some(proxy) if proxy.uri().scheme_str() != Some("http") => Err(wrong(ONLY_HTTP)),
            proxy => Ok(proxy),
        }
    }
}

const ONLY_HTTP: &str = "must be of the form http://user:password@host:port";

/// No error shows the text: it may hold a password.
fn check(text: &str) -> Result<(), Error> {
    let url = url::Url::parse(text).map_err(|_| wrong("is not a URL"))?;
    let is_proxy = url.scheme() == "http" && url.has_host() && url.query().is_none() && url.fragment().is_none();
    if is_proxy && url.path() == "/" { Ok(()) } else { Err(wrong(ONLY_HTTP)) }
}

fn wrong(message: &'static str) -> Error {
    Error::wrong("proxy", message)
}

async fn tunnel(proxy: &Intercept, host: &str, port: u16, deadline: &Deadline) -> Result<TcpStream, Error> {
    let (Some(at), default) = (proxy.uri().host(), 80) else { return Err(wrong(ONLY_HTTP)) };
    let at = at.trim_start_matches('[').trim_end_matches(']');
    let proxy_port = proxy.uri().port_u16().unwrap_or(default);
    let mut tcp = super::tcp::connect(at, proxy_port, "the proxy cannot be reached").await?;
    let place = authority(host, port);
    let mut request = ["CONNECT ", &place, " HTTP/1.1\r\nHost: ", &place, "\r\n"].concat().into_bytes();
    if let Some(credentials) = proxy.basic_auth() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(credentials.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let broken = |error| Error::new(ErrorKind::Connect, "the connection to the proxy broke").with_source(error);
    // A proxy may refuse before it has read all: then it is the answer that counts, and not the failure to write.
    let _ = tcp.write_all(&request).await;
    // What follows its answer is the server's.
    let head = match head::read(&mut tcp).await {
        Ok(head) if head.status().is_success() => return Ok(tcp),
        Ok(head) => head,
        Err(Unreadable::Broken(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(Error::new(ErrorKind::Connect, "the proxy closed the connection without an answer"));
        }
        Err(Unreadable::Broken(error)) => return Err(broken(error)),
        Err(Unreadable::NotHttp) => return Err(Error::new(ErrorKind::Proxy, "the proxy did not answer with HTTP")),
        Err(Unreadable::TooLong) => return Err(Error::new(ErrorKind::Proxy, "the proxy's answer is too long")),
    };
    Err(answer::refusal(ErrorKind::Proxy, "the proxy refused the tunnel", &head, tcp, deadline).await)
}

fn authority(host: &str, port: u16) -> String {
    let port = port.to_string();
    if host.contains(':') { ["[", host, "]:", &port].concat() } else { [host, ":", &port].concat() }
}
