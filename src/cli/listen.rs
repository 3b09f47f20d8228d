//! `everwire listen`: connect to a server and print its events.

use crate::{args::ListenArgs, exit::Failure, output::Output, signal::Interrupt};
use everwire::{Client, ClientBuilder, Dialect, Error, ErrorKind, Event, Subscription};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::{process::Command, sync::mpsc};

/// How many events may wait to be printed.
const WAITING: usize = 1024;

/// Runs until the user, the count or the server ends it.
pub(crate) async fn run(args: Box<ListenArgs>) -> Result<(), Failure> {
    let output = Output::new(args.json);
    let mut interrupt = Interrupt::new()?;
    let client = builder(&args)?.build()?;
    let mut tap = Tap::new(&client, &args.filters)?;
    let _lifecycle = (!args.quiet).then(|| client.on_lifecycle(move |step| output.lifecycle(step)));
    client.connect()?;

    let mut printer = Printer { output, left: args.count };
    let ended = tokio::select! {
        () = interrupt.wait() => None,
        () = printer.print(&mut tap) => None,
        cause = client.closed() => Some(cause),
    };
    // What came before the end is printed all the same, and may complete the count.
    let complete = printer.print_waiting(&mut tap);
    close(&client, &mut interrupt).await;
    if tap.dropped() > 0 {
        eprintln!("{} events were dropped: the output was too slow", tap.dropped());
    }
    match ended {
        Some(cause) if !complete => Failure::of_cause(&cause),
        _ => Ok(()),
    }
}

/// Closes with 1000 and waits for the answer, unless the user does not want to wait.
pub(crate) async fn close(client: &Client, interrupt: &mut Interrupt) {
    tokio::select! {
        () = client.close() => {}
        () = interrupt.wait() => {}
    }
}

/// The client that the command line describes.
fn builder(args: &ListenArgs) -> Result<ClientBuilder, Failure> {
    let mut builder = Client::builder(dialect(&args.dialect)?).url(&args.url);
    for (name, value) in &args.params {
        builder = builder.param(name, value);
    }
    for (name, value) in &args.headers {
        builder = builder.header(name, value);
    }
    if let Some(path) = &args.ca {
        let pem = fs::read(path).map_err(|error| Failure::machine(format!("{}: {error}", path.display())))?;
        builder = builder.root_certificate(pem);
    }
    if let Some(attempts) = args.max_attempts {
        builder = builder.max_attempts(attempts);
    }
    builder = times(builder, args);
    Ok(match (&args.token_command, &args.token) {
        (Some(command), _) => {
            let command = command.clone();
            builder.token_provider(move || token_from(command.clone()))
        }
        (None, Some(token)) => builder.token(token),
        (None, None) => builder,
    })
}

fn times(mut builder: ClientBuilder, args: &ListenArgs) -> ClientBuilder {
    let times = &args.times;
    type Setter = fn(ClientBuilder, std::time::Duration) -> ClientBuilder;
    let settings: [(_, Setter); 7] = [
        (times.open_timeout, ClientBuilder::open_timeout),
        (times.hello_timeout, ClientBuilder::hello_timeout),
        (times.close_timeout, ClientBuilder::close_timeout),
        (times.token_timeout, ClientBuilder::token_timeout),
        (times.health_check_interval, ClientBuilder::health_check_interval),
        (times.silence_timeout, ClientBuilder::silence_timeout),
        (times.stable_after, ClientBuilder::stable_after),
    ];
    for (time, set) in settings {
        if let Some(time) = time {
            builder = set(builder, time);
        }
    }
    match (times.backoff_base, times.backoff_cap) {
        (Some(base), Some(cap)) => builder.backoff(base, cap),
        _ => builder,
    }
}

/// A dialect by its name, or from a file.
fn dialect(name: &str) -> Result<Dialect, Failure> {
    if !name.ends_with(".json") {
        return Ok(Dialect::builtin(name)?);
    }
    let text = fs::read_to_string(name).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    Dialect::from_json(&text).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

/// Runs the command that prints a token. What it says on stderr is the user's to read; its output is never shown.
async fn token_from(command: String) -> Result<String, Error> {
    let failed = |message: String| Error::new(ErrorKind::Token, message);
    let run =
        Command::new("sh").arg("-c").arg(command).stderr(std::process::Stdio::inherit()).kill_on_drop(true).output();
    let output = run.await.map_err(|error| failed(format!("the token command cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("the token command failed: {}", output.status)));
    }
    let token = String::from_utf8(output.stdout).map_err(|_| failed("the token is not UTF-8".to_owned()))?;
    match token.trim() {
        "" => Err(failed("the token command printed nothing".to_owned())),
        token => Ok(token.to_owned()),
    }
}

/// The events that match a filter, each once and in order, however many filters it matches.
struct Tap {
    events: mpsc::Receiver<Event>,
    dropped: Arc<AtomicU64>,
    _subscriptions: Vec<Subscription>,
}

impl Tap {
    fn new(client: &Client, filters: &[String]) -> Result<Self, Failure> {
        let (sender, events) = mpsc::channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let everything = ["*".to_owned()];
        let filters = if filters.is_empty() { &everything } else { filters };
        // Listeners are called in the order in which they were added: the first one marks each event as new, and the
        // first filter that matches takes the mark away.
        let is_new = Arc::new(AtomicBool::new(false));
        let mark = is_new.clone();
        let mut subscriptions = vec![client.on("*", move |_| mark.store(true, Ordering::Relaxed))];
        for filter in filters {
            let (sender, dropped, is_new) = (sender.clone(), dropped.clone(), is_new.clone());
            let take = move |event: &Event| {
                if is_new.swap(false, Ordering::Relaxed) && sender.try_send(event.clone()).is_err() {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            };
            let subscription =
                client.try_on(filter, take).map_err(|error| Failure::usage(format!("--filter {filter:?}: {error}")))?;
            subscriptions.push(subscription);
        }
        Ok(Self { events, dropped, _subscriptions: subscriptions })
    }

    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Prints events up to the count.
struct Printer {
    output: Output,
    left: Option<u64>,
}

impl Printer {
    /// Prints until the count is complete, or nobody reads any more.
    async fn print(&mut self, tap: &mut Tap) {
        while let Some(event) = tap.events.recv().await {
            if self.one(&event) {
                return;
            }
        }
    }

    /// Prints what waits, and tells whether the count is complete or nobody reads any more.
    fn print_waiting(&mut self, tap: &mut Tap) -> bool {
        while self.left != Some(0) {
            match tap.events.try_recv() {
                Ok(event) if !self.one(&event) => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    fn one(&mut self, event: &Event) -> bool {
        let printed = self.output.event(event);
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.left == Some(0) || printed.is_err()
    }
}
