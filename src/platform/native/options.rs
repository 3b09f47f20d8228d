//! The settings that only native sockets have. `platform/web` has the same names, and refuses each.

/// What rustls (0.23) can be told. In a browser it stands for nothing, and is refused.
pub type TlsConfig = std::sync::Arc<rustls::ClientConfig>;

/// The size with [`small_buffers`](SocketOptions::small_buffers).
const SMALL_READ_BUFFER: usize = 1024;

/// Whom to trust, and how a socket is made.
#[derive(Clone, Default)]
pub(crate) struct SocketOptions {
    pub(super) root_certificates: Vec<Vec<u8>>,
    /// A certificate with its chain, and its key.
    pub(super) client_certificate: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) tls_config: Option<TlsConfig>,
    pub(super) proxy: Option<String>,
    pub(super) proxy_from_env: bool,
    pub(super) compression: bool,
    pub(super) compression_threshold: Option<usize>,
    /// `None`: as large as it should be.
    pub(super) read_buffer: Option<usize>,
}

impl SocketOptions {
    pub(crate) fn root_certificate(&mut self, pem: Vec<u8>) {
        self.root_certificates.push(pem);
    }

    pub(crate) fn client_certificate(&mut self, chain: Vec<u8>, key: Vec<u8>) {
        self.client_certificate = Some((chain, key));
    }

    pub(crate) fn tls_config(&mut self, config: TlsConfig) {
        self.tls_config = Some(config);
    }

    pub(crate) fn proxy(&mut self, url: String) {
        self.proxy = Some(url);
    }

    pub(crate) fn proxy_from_env(&mut self) {
        self.proxy_from_env = true;
    }

    pub(crate) fn compression(&mut self, on: bool) {
        self.compression = on;
    }

    pub(crate) fn compression_threshold(&mut self, bytes: usize) {
        self.compression_threshold = Some(bytes);
    }

    pub(crate) fn read_buffer(&mut self, bytes: usize) {
        self.read_buffer = Some(bytes);
    }

    pub(crate) fn small_buffers(&mut self) {
        self.read_buffer = Some(SMALL_READ_BUFFER);
    }
}
