//! The web: the browser's clock, timers and sockets. `platform/native` has the same names.

mod bell;
mod options;
mod page;
mod socket;
mod task;

pub(crate) use bell::{Bell, Callback, callback};
pub(crate) use options::SocketOptions;
pub use options::TlsConfig;
pub(crate) use page::{Watch, watch};
#[cfg(feature = "npm")]
pub(crate) use socket::{FromBrowser, Inbox};
pub(crate) use socket::{SocketConnector, headers_unsupported};

use crate::driver::Drive;
use crate::proto::{Dialect, Error, ErrorKind, Settings, Timestamp, UrlParts, text::pieces};
use js_sys::Function;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

/// `Send` where threads exist: nothing here.
pub trait MaybeSend {}
impl<T: ?Sized> MaybeSend for T {}

/// `Sync` where threads exist: nothing here.
pub trait MaybeSync {}
impl<T: ?Sized> MaybeSync for T {}

/// A boxed future.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// A listener.
pub(crate) type Listener<T> = Box<dyn Fn(&T)>;
/// A function that is told an answer once.
pub(crate) type Told = Box<dyn FnOnce(Result<(), Error>)>;
/// A question that may be asked again and again.
pub(crate) type Ask<T> = Box<dyn Fn() -> BoxFuture<T>>;

/// The text of a message.
pub(crate) type Text = std::rc::Rc<str>;
/// The bytes of a binary message.
pub(crate) type Bytes = std::rc::Rc<[u8]>;

/// Runs a task in the background, on the page's event loop.
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) -> Result<(), Error> {
    task::spawn(task);
    Ok(())
}

/// Starts tasks from anywhere: there is but one event loop.
#[derive(Clone)]
pub(crate) struct Spawner;

impl Spawner {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self)
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        task::spawn(task);
    }
}

/// Calls foreign code. A panic cannot be caught here: it ends the program, as everywhere in Rust on the web.
pub(crate) fn isolate<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    Ok(call())
}

/// Takes a URL apart, with the browser's own parser.
pub(crate) fn parse_url(text: &str) -> Result<UrlParts, Error> {
    let wrong = || Error::wrong("url", "is not a URL; a relative one needs a page's address");
    let parts = url_parts(text).ok_or_else(wrong)?;
    let mut parts = pieces(&parts, b'\n').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    Ok(UrlParts {
        scheme: part(),
        has_credentials: !part().is_empty(),
        authority: part(),
        path: part(),
        query: Some(part()).filter(|query| !query.is_empty()),
    })
}

/// Refuses settings that a browser cannot do (S1-15).
pub(crate) fn check(settings: &Settings) -> Result<(), Error> {
    if settings.ping_interval.is_some() {
        return Err(Error::new(ErrorKind::Unsupported, "a browser sends no pings; use the dialect's health check")
            .with_path("ping_interval"));
    }
    if settings.headers.is_empty() && settings.dialect.headers.is_empty() { Ok(()) } else { Err(headers_unsupported()) }
}

/// Runs a driver in the background, until it is done.
pub(crate) fn drive(mut driver: impl Drive) -> Result<(), Error> {
    spawn(std::future::poll_fn(move |cx| driver.poll(cx)))
}

/// Wakes this task again, after those that are due already.
pub(crate) fn wake_later(cx: &mut Context<'_>) {
    cx.waker().wake_by_ref();
}

/// A dialect that may be shared.
pub(crate) fn share(dialect: Dialect) -> Arc<Dialect> {
    Arc::new(dialect)
}

/// Entropy for a session's random numbers.
pub(crate) fn seed() -> Result<u64, Error> {
    Ok(((js_sys::Math::random() * 4_294_967_296.0) as u64) << 32 | (js_sys::Math::random() * 4_294_967_296.0) as u64)
}

#[wasm_bindgen(module = "/src/platform/web/glue.js")]
extern "C" {
    /// Milliseconds of a monotonic clock, in pages and in workers.
    #[wasm_bindgen(js_name = now)]
    fn performance_now() -> f64;

    /// Calls a function after a time, in milliseconds; gives the way to stop that.
    #[wasm_bindgen(js_name = setTimer)]
    fn set_timer(run: &JsValue, millis: u32) -> Function;

    /// Stops a timer, or a watch.
    fn stop(it: &Function);

    /// Scheme, login, host, path and query of a URL, a line each; nothing if it is none.
    #[wasm_bindgen(js_name = urlParts)]
    fn url_parts(text: &str) -> Option<String>;
}

/// The calendar: the time since 1970-01-01T00:00:00Z.
pub(crate) fn unix_time() -> Duration {
    // A float becomes a whole number without going below zero.
    Duration::from_millis(js_sys::Date::now() as u64)
}

/// Tells the time since it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(f64);

/// How long ago this moment of the browser's clock was.
#[cfg(feature = "npm")]
pub(crate) fn since(time: f64) -> Duration {
    Clock(time).now() - Timestamp::default()
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self(performance_now())
    }

    /// This moment by the browser's own clock, in milliseconds.
    pub(crate) fn at(&self, time: Timestamp) -> f64 {
        self.0 + (time - Timestamp::default()).as_secs_f64() * 1000.0
    }

    pub(crate) fn now(&self) -> Timestamp {
        // A float becomes a whole number without going below zero or over the end.
        Timestamp::after_start(Duration::from_micros(((performance_now() - self.0) * 1000.0) as u64))
    }
}

/// The longest timeout that a browser can take: above it, it fires at once.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// A timer that can be set anew.
pub(crate) struct Sleep {
    millis: u32,
    /// Set at the first poll.
    timer: Option<Timer>,
}

/// A timer of the page's, which forgets it when it is dropped.
struct Timer {
    stop: Function,
    bell: Bell,
}

impl Drop for Timer {
    fn drop(&mut self) {
        // Before the bell goes.
        stop(&self.stop);
    }
}

impl Sleep {
    pub(crate) fn until(clock: &Clock, deadline: Timestamp) -> Self {
        let wait = (deadline - clock.now()).min(LONGEST);
        // Rounded up, so that the deadline has passed when it fires.
        Self { millis: (wait.as_secs_f64() * 1000.0).ceil() as u32, timer: None }
    }

    pub(crate) fn reset(&mut self, clock: &Clock, deadline: Timestamp) {
        *self = Self::until(clock, deadline);
    }

    /// Ready once the deadline has passed, or earlier if it lies beyond what a browser's timer can do: the caller looks
    /// at the clock and sets it anew.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| {
            let bell = Bell::new();
            Timer { stop: set_timer(bell.as_js(), self.millis), bell }
        });
        timer.bell.poll(cx).map(drop)
    }
}
