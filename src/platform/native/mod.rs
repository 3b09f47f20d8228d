//! Native: tokio's tasks and clock, tokio-tungstenite's sockets. `platform/web` has the same names.

pub(crate) mod list;
mod options;
mod progress;
#[cfg(feature = "blocking")]
mod runtime;
mod socket;

pub(crate) use options::SocketOptions;
pub use options::TlsConfig;
#[cfg(feature = "server")]
pub(crate) use progress::{Counted, Progress};
#[cfg(feature = "blocking")]
pub(crate) use runtime::Runtime;
pub(crate) use socket::SocketConnector;
#[cfg(feature = "server")]
pub(crate) use socket::{Reader, Received};

use crate::driver::Drive;
use crate::proto::{Dialect, Error, ErrorKind, Settings, Timestamp, UrlParts};
use crate::shared::Surroundings;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Poll},
};
use tokio::time::Instant;

/// `Send` where threads exist.
pub trait MaybeSend: Send {}
impl<T: Send + ?Sized> MaybeSend for T {}

/// `Sync` where threads exist.
pub trait MaybeSync: Sync {}
impl<T: Sync + ?Sized> MaybeSync for T {}

/// A boxed future that may be moved to another thread.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A listener that may be called from any thread.
pub(crate) type Listener<T> = Box<dyn Fn(&T) + Send + Sync>;
/// A function that is told an answer once.
pub(crate) type Told = Box<dyn FnOnce(Result<(), Error>) + Send>;
/// A question that may be asked again and again.
pub(crate) type Ask<T> = Box<dyn Fn() -> BoxFuture<T> + Send + Sync>;

/// The text of a message: a shared slice of what came off the socket.
pub(crate) type Text = tokio_tungstenite::tungstenite::Utf8Bytes;
/// The bytes of a binary message.
pub(crate) type Bytes = tokio_tungstenite::tungstenite::Bytes;

/// Runs a task in the background, on the tokio runtime the caller is in.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
    Spawner::new()?.spawn(task);
    Ok(())
}

/// Runs a driver in the background. A runtime that is shut down drops it in the middle of its work.
pub(crate) fn drive(driver: impl Drive) -> Result<(), Error> {
    spawn(Driven(driver))
}

struct Driven<D: Drive>(D);

impl<D: Drive> Future for Driven<D> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().0.poll(cx)
    }
}

impl<D: Drive> Unpin for Driven<D> {}

impl<D: Drive> Drop for Driven<D> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Starts tasks from anywhere, on the runtime in which it was made.
#[derive(Clone)]
pub(crate) struct Spawner(tokio::runtime::Handle);

impl Spawner {
    pub(crate) fn new() -> Result<Self, Error> {
        tokio::runtime::Handle::try_current().map(Self).map_err(no_runtime)
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}

fn no_runtime(error: tokio::runtime::TryCurrentError) -> Error {
    Error::new(ErrorKind::InvalidState, "a tokio runtime is needed").with_source(error)
}

/// Would tell what happens to the page; native programs tell it themselves.
pub(crate) struct Watch;

pub(crate) fn watch(_: impl Fn(Surroundings) + Send + 'static) -> Watch {
    Watch
}

/// Wakes this task once all others have had their turn. Waking it at once would not do: tokio would run it again and
/// again before it looks at the program's main task, and a reader of events there would lose most of a flood.
pub(crate) fn wake_later(cx: &mut Context<'_>) {
    let _ = std::pin::pin!(tokio::task::yield_now()).poll(cx);
}

/// Calls foreign code; a panic in it comes back as its message.
pub(crate) fn isolate<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("no message").to_owned()
    })
}

/// Takes a URL apart.
pub(crate) fn parse_url(text: &str) -> Result<UrlParts, Error> {
    let wrong = |error| {
        let message = match error {
            url::ParseError::RelativeUrlWithoutBase => "must begin with ws, wss, http or https".to_owned(),
            // The parser's message says what is wrong without the text, which may hold a token.
            error => error.to_string(),
        };
        Error::new(ErrorKind::Config, message).with_path("url")
    };
    let url = url::Url::parse(text.trim()).map_err(wrong)?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(UrlParts {
        scheme: url.scheme().to_owned(),
        has_credentials: !url.username().is_empty() || url.password().is_some(),
        authority: url.host_str().map(|host| format!("{host}{port}")).unwrap_or_default(),
        path: url.path().to_owned(),
        query: url.query().map(str::to_owned),
    })
}

/// Refuses settings that this target cannot do. Native can do them all; what a header or a subprotocol may look like is
/// for the connector to check.
pub(crate) fn check(_: &Settings) -> Result<(), Error> {
    Ok(())
}

/// One copy of the dialects that are equal: a program may have thousands of clients that speak the same.
pub(crate) fn share(dialect: Dialect) -> Arc<Dialect> {
    static KNOWN: Mutex<Vec<Weak<Dialect>>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|known| known.strong_count() > 0);
    if let Some(same) = known.iter().filter_map(Weak::upgrade).find(|known| **known == dialect) {
        return same;
    }
    let shared = Arc::new(dialect);
    known.push(Arc::downgrade(&shared));
    shared
}

/// Entropy for a session's random numbers.
pub(crate) fn seed() -> Result<u64, Error> {
    random().map(u64::from_le_bytes)
}

/// Random bytes of the operating system: what is made of them is a secret.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    let failed =
        |error| Error::new(ErrorKind::InvalidState, "the operating system gives no random numbers").with_source(error);
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The calendar: the time since 1970-01-01T00:00:00Z.
#[allow(clippy::disallowed_methods)] // this is the place that may
pub(crate) fn unix_time() -> std::time::Duration {
    use std::time::{SystemTime, UNIX_EPOCH};
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Tells the time since it was made. Follows tokio's clock, so tests may pause it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    #[allow(clippy::disallowed_methods)] // this is the place that may
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::after_start(self.0.elapsed())
    }
}

/// A timer that can be set anew.
pub(crate) struct Sleep(Pin<Box<tokio::time::Sleep>>);

impl Sleep {
    pub(crate) fn until(clock: &Clock, deadline: Timestamp) -> Self {
        Self(Box::pin(tokio::time::sleep_until(clock.0 + deadline.since_start())))
    }

    pub(crate) fn reset(&mut self, clock: &Clock, deadline: Timestamp) {
        self.0.as_mut().reset(clock.0 + deadline.since_start());
    }

    /// Ready once the deadline has passed (it may be early by the precision of the timer; the caller looks at the clock).
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_dialects_are_one() {
        let (one, another) = (share(Dialect::stream()), share(Dialect::stream()));
        assert!(Arc::ptr_eq(&one, &another));
        let mut changed = Dialect::stream();
        changed.name.push('!');
        assert_eq!(share(changed).name, "stream!");
    }
}
