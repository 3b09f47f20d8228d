//! The settings that only native sockets have: a browser has none of them, and each is refused by its name.

use crate::proto::{Error, ErrorKind};

/// What rustls can be told: natively an `Arc<rustls::ClientConfig>` (0.23). In a browser it stands for nothing, and is
/// refused.
#[derive(Clone, Debug)]
pub struct TlsConfig;

/// The first setting that was made and is not possible here.
#[derive(Clone, Default)]
pub(crate) struct SocketOptions(Option<&'static str>);

impl SocketOptions {
    pub(crate) fn root_certificate(&mut self, _: Vec<u8>) {
        self.refuse("root_certificate");
    }

    pub(crate) fn client_certificate(&mut self, _: Vec<u8>, _: Vec<u8>) {
        self.refuse("client_certificate");
    }

    pub(crate) fn tls_config(&mut self, _: TlsConfig) {
        self.refuse("tls_config");
    }

    pub(crate) fn proxy(&mut self, _: String) {
        self.refuse("proxy");
    }

    pub(crate) fn proxy_from_env(&mut self) {
        self.refuse("proxy_from_env");
    }

    /// A browser decides for itself; only what it may do anyway can be asked for.
    pub(crate) fn compression(&mut self, on: bool) {
        if on {
            self.refuse("compression");
        }
    }

    pub(crate) fn compression_threshold(&mut self, _: usize) {
        self.refuse("compression_threshold");
    }

    pub(crate) fn read_buffer(&mut self, _: usize) {
        self.refuse("read_buffer");
    }

    pub(crate) fn small_buffers(&mut self) {
        self.refuse("small_buffers");
    }

    fn refuse(&mut self, path: &'static str) {
        self.0.get_or_insert(path);
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        match self.0 {
            None => Ok(()),
            Some(path) => {
                Err(Error::new(ErrorKind::Unsupported, "a browser does not let a page set this").with_path(path))
            }
        }
    }
}
