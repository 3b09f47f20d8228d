//! A runtime of one's own, for programs without async.

use crate::proto::{Error, ErrorKind};
use std::{future::Future, time::Duration};

/// How long a dropped runtime may take to close its connections.
const GOODBYE: Duration = Duration::from_millis(500);

/// A runtime with one thread. It may be dropped anywhere; within async code that waits for nobody, and elsewhere for a moment, so
/// that close frames leave.
#[derive(Debug)]
pub(crate) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    pub(crate) fn new() -> Result<Self, Error> {
        refuse_async()?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(1)
            .thread_name("everwire")
            .enable_all()
            .build()
            .map_err(|error| Error::new(ErrorKind::InvalidState, "no runtime can be started").with_source(error))?;
        Ok(Self(Some(runtime)))
    }

    /// Waits for a future on this thread. Fails within async code, which it would hold up.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        refuse_async()?;
        let runtime = self.0.as_ref().expect("there until it is dropped");
        Ok(runtime.block_on(future))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            match refuse_async() {
                Ok(()) => runtime.shutdown_timeout(GOODBYE),
                Err(_) => runtime.shutdown_background(),
            }
        }
    }
}

fn refuse_async() -> Result<(), Error> {
    match tokio::runtime::Handle::try_current() {
        Ok(_) => Err(Error::new(ErrorKind::InvalidState, "a blocking call within async code; use `everwire::Client`")),
        Err(_) => Ok(()),
    }
}
