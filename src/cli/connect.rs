//! The client that a command line describes.

use crate::{args::ConnectArgs, exit::Failure, token_command};
use everwire::{BreakerRule, Client, ClientBuilder, Dialect};
use std::{fs, path::Path};

/// The time within which a ping is answered, where only its interval is given.
const PING_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// A preset first, then the environment, then what is given one by one.
pub(crate) fn builder(args: &ConnectArgs) -> Result<ClientBuilder, Failure> {
    let mut builder = Client::builder(dialect(&args.dialect)?);
    if let Some(url) = args.positional_url.as_ref().or(args.url.as_ref()) {
        builder = builder.url(url);
    }
    if let Some(preset) = args.preset {
        builder = builder.preset(preset);
    }
    if args.env {
        builder = builder.env();
    }
    for (name, value) in &args.params {
        builder = builder.param(name, value);
    }
    for (name, value) in &args.headers {
        builder = builder.header(name, value);
    }
    for protocol in &args.protocols {
        builder = builder.protocol(protocol);
    }
    if args.compression {
        builder = builder.compression(true);
    }
    if let Some(bytes) = args.compression_threshold {
        builder = builder.compression_threshold(bytes);
    }
    if let Some(path) = &args.ca {
        builder = builder.root_certificate(read(path)?);
    }
    if let (Some(chain), Some(key)) = (&args.client_cert, &args.client_key) {
        builder = builder.client_certificate(read(chain)?, read(key)?);
    }
    if let Some(proxy) = args.proxy.as_ref().filter(|proxy| !proxy.is_empty()) {
        builder = builder.proxy(proxy);
    }
    if args.proxy_from_env {
        builder = builder.proxy_from_env();
    }
    builder = times(limits(builder, args), args);
    Ok(match (&args.token_command, &args.token) {
        (Some(command), _) => {
            let command = command.clone();
            builder.token_provider(move || token_command::run(command.clone()))
        }
        // A variable that was read from a file may end in a line break.
        (None, Some(token)) if !token.trim().is_empty() => builder.token(token.trim()),
        (None, _) => builder,
    })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::local(format!("{}: {error}", path.display())))
}

fn limits(mut builder: ClientBuilder, args: &ConnectArgs) -> ClientBuilder {
    if let Some(attempts) = args.max_attempts {
        builder = builder.max_attempts(attempts);
    }
    if args.no_reconnect {
        builder = builder.reconnect(false);
    }
    if let Some(jitter) = args.jitter {
        builder = builder.jitter(jitter);
    }
    if let Some(bytes) = args.max_message_size {
        builder = builder.max_message_size(bytes);
    }
    if let Some(events) = args.event_capacity {
        builder = builder.event_capacity(events);
    }
    if let Some(bytes) = args.read_buffer {
        builder = builder.read_buffer(bytes);
    }
    // As the variables of the environment have it: what is not given stays.
    builder = builder.vars(|name| match name {
        "WS_OUTBOX_MESSAGES" => args.outbox_messages.map(|messages| messages.to_string()),
        "WS_OUTBOX_BYTES" => args.outbox_bytes.map(|bytes| bytes.to_string()),
        "WS_OUTBOX_TTL" => args.times.outbox_ttl.map(|time| time.as_secs_f64().to_string()),
        "WS_OUTBOX_POLICY" => args.outbox_policy.clone(),
        _ => None,
    });
    if let Some(mode) = args.resume {
        builder = builder.resume(mode);
    }
    if let Some(failures) = args.breaker {
        let pause = args.times.breaker_pause.unwrap_or(BreakerRule::default().pause);
        builder = builder.breaker(BreakerRule { failures, pause });
    }
    match args.seed {
        Some(seed) => builder.seed(seed),
        None => builder,
    }
}

fn times(mut builder: ClientBuilder, args: &ConnectArgs) -> ClientBuilder {
    let times = &args.times;
    type Setter = fn(ClientBuilder, std::time::Duration) -> ClientBuilder;
    let settings: [(_, Setter); 8] = [
        (times.open_timeout, ClientBuilder::open_timeout),
        (times.hello_timeout, ClientBuilder::hello_timeout),
        (times.close_timeout, ClientBuilder::close_timeout),
        (times.token_timeout, ClientBuilder::token_timeout),
        (times.health_check_interval, ClientBuilder::health_check_interval),
        (times.silence_timeout, ClientBuilder::silence_timeout),
        (times.stable_after, ClientBuilder::stable_after),
        (times.max_age, ClientBuilder::max_connection_age),
    ];
    for (time, set) in settings {
        if let Some(time) = time {
            builder = set(builder, time);
        }
    }
    if let Some(interval) = times.ping_interval {
        builder = builder.ping(interval, times.ping_timeout.unwrap_or(PING_TIMEOUT));
    }
    match (times.backoff_base, times.backoff_cap) {
        (Some(base), Some(cap)) => builder.backoff(base, cap),
        _ => builder,
    }
}

/// A dialect by its name, or from a file.
pub(crate) fn dialect(name: &str) -> Result<Dialect, Failure> {
    if !name.ends_with(".json") {
        return Ok(Dialect::builtin(name)?);
    }
    let text = fs::read_to_string(name).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    Dialect::from_json(&text).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use everwire::{OutboxRule, WhenFull};
    use std::time::Duration;

    fn outbox(options: &[&str]) -> OutboxRule {
        let args = ["everwire", "listen", "ws://localhost", "--dialect", "raw"].iter().chain(options);
        let Command::Listen(args) = Cli::try_parse_from(args).expect("right").command else { panic!("listen") };
        let Ok(builder) = builder(&args.connect) else { panic!("a builder") };
        builder.build().expect("a client").config().outbox
    }

    // N-6
    #[tokio::test]
    async fn the_outbox_is_as_the_options_say_and_else_as_the_client_has_it() {
        assert_eq!(outbox(&[]), OutboxRule::default());
        let some = outbox(&["--outbox-ttl", "1500ms", "--outbox-policy", "drop-oldest"]);
        let ttl = Some(Duration::from_millis(1_500));
        assert_eq!(some, OutboxRule { ttl, when_full: WhenFull::DropOldest, ..OutboxRule::default() });
        assert_eq!(outbox(&["--outbox-messages", "0"]).messages, 0);
        assert_eq!(outbox(&["--outbox-bytes", "77", "--outbox-policy", "wait"]).bytes, 77);
    }
}
