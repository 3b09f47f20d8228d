//! The settings of a client that only native sockets have. In a browser `build` refuses each with
//! [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) and its name.

use super::ClientBuilder;
use crate::platform::TlsConfig;

/// Native only.
impl ClientBuilder {
    /// Root certificates to trust besides the system's, as PEM. Native only.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.socket.options.root_certificate(pem.into());
        self
    }

    /// Who the client is: a certificate with its chain, and its key, both as PEM (`client_certificate` and
    /// `client_certificate.key` in errors). A key with a password is refused. Native only.
    pub fn client_certificate(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.socket.options.client_certificate(chain.into(), key.into());
        self
    }

    /// A `rustls::ClientConfig` (0.23) of one's own, in an `Arc`: it says all about TLS, so
    /// [`root_certificate`](Self::root_certificate) and [`client_certificate`](Self::client_certificate) are refused beside
    /// it. It should name no ALPN protocol but `http/1.1`. Native only.
    pub fn tls_config(mut self, config: impl Into<TlsConfig>) -> Self {
        self.socket.options.tls_config(config.into());
        self
    }

    /// An HTTP proxy to go through, by `CONNECT`: `http://user:password@host:port`, without the credentials where it wants
    /// none, port 80 where none is named. It wins over [`proxy_from_env`](Self::proxy_from_env). The credentials are never
    /// shown. What a proxy refuses is [`ErrorKind::Proxy`](crate::ErrorKind::Proxy), with its status. Native only, and with
    /// the feature `proxy`.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.socket.options.proxy(url.into());
        self
    }

    /// Goes through the proxy that the environment names, read once by `build`: `HTTPS_PROXY` for `wss`, `HTTP_PROXY` for
    /// `ws`, else `ALL_PROXY`, but not to the hosts and networks of `NO_PROXY` (also in lower case): domains with all below them,
    /// addresses, networks such as `10.0.0.0/8`, each for one port with `:443` behind it, or `*` for everything. By default the
    /// environment does not count. Native only, and with the feature `proxy`.
    pub fn proxy_from_env(mut self) -> Self {
        self.socket.options.proxy_from_env();
        self
    }

    /// Whether to offer permessage-deflate. Where the server takes it, messages are compressed both ways; it costs processor
    /// time and some 300 KiB for each connection. Default: no. Native only, and with the feature `deflate`: a browser
    /// decides for itself.
    pub fn compression(mut self, on: bool) -> Self {
        self.socket.options.compression(on);
        self
    }

    /// Messages that are shorter, in bytes, are sent as they are, where [`compression`](Self::compression) is on. Default 128.
    /// Native only.
    pub fn compression_threshold(mut self, bytes: usize) -> Self {
        self.socket.options.compression_threshold(bytes);
        self
    }

    /// How much each connection reads at once, in bytes, from 512 to 1 MiB. By default it changes: 4 KiB while little comes,
    /// 64 KiB while much comes. A connection on which nothing comes has no buffer, and small events that a program keeps
    /// hold on to none. Native only.
    pub fn read_buffer(mut self, bytes: usize) -> Self {
        self.socket.options.read_buffer(bytes);
        self
    }

    /// The least memory, whatever comes: a [`read_buffer`](Self::read_buffer) of 1 KiB. An idle connection is as small without
    /// it. Native only.
    pub fn small_buffers(mut self) -> Self {
        self.socket.options.small_buffers();
        self
    }
}
