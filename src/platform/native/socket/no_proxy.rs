//! Without the feature `proxy`: no connection goes through one, and whoever wants that is told.

use super::body::Deadline;
use crate::{
    platform::SocketOptions,
    proto::{Error, ErrorKind},
};
use tokio::net::TcpStream;

/// Which proxy to use: none.
#[derive(Clone)]
pub(super) struct Proxies;

impl Proxies {
    pub(super) fn new(options: &SocketOptions) -> Result<Self, Error> {
        let path = match options {
            options if options.proxy.is_some() => "proxy",
            options if options.proxy_from_env => "proxy_from_env",
            _ => return Ok(Self),
        };
        Err(Error::new(ErrorKind::Unsupported, "everwire was built without its feature `proxy`").with_path(path))
    }

    pub(super) async fn connect(&self, host: &str, port: u16, _: bool, _: &Deadline) -> Result<TcpStream, Error> {
        super::tcp::connect(host, port, "the server cannot be reached").await
    }
}
