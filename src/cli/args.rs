//! The command line.

use crate::{duration, exit::EXIT_CODES};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use everwire::{Preset, ResumeMode, server::RECORDED_EVENTS};
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// Real-time events over WebSockets: serve them, listen to them, see both in a demo.
#[derive(Parser)]
#[command(name = "everwire", version, after_help = EXIT_CODES, args_override_self = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a server that speaks the dialects stream (/api/v2/connect) and stream-v1 (/connect)
    Serve(ServeArgs),
    /// Run a server with real events, a client that prints them, and a page that shows them
    Demo(DemoArgs),
    /// Connect to a server and print its events
    Listen(Box<ListenArgs>),
    /// Connect to a server, send messages, and print what comes back
    Send(Box<SendArgs>),
    /// Print the completions of a shell: `everwire completions bash > /etc/bash_completion.d/everwire`
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the man page: `everwire man | man -l -`; or write those of all commands
    Man {
        /// Write a page for every command into this folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ServeArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1", value_name = "IP")]
    pub(crate) addr: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// The api_key that clients must name
    #[arg(long, default_value = "demo", value_name = "KEY")]
    pub(crate) api_key: String,
    /// The secret that tokens are signed with (HS256)
    #[arg(long, env = "EVERWIRE_SECRET", hide_env_values = true, required_unless_present = "dev")]
    pub(crate) secret: Option<String>,
    /// For development only: take any token that is not empty, signed or not
    #[arg(long, conflicts_with = "secret")]
    pub(crate) dev: bool,
    /// Replay recorded events, this many a second; 0 replays none
    #[arg(long, default_value_t = 0.0, value_name = "PER_SECOND")]
    pub(crate) rate: f64,
    /// The file with the recorded events
    #[arg(long, default_value = RECORDED_EVENTS, value_name = "FILE")]
    pub(crate) events: PathBuf,
    /// Folder to serve at /
    #[arg(long, value_name = "DIR")]
    pub(crate) www: Option<PathBuf>,
    /// Folder to serve at /pkg
    #[arg(long, value_name = "DIR")]
    pub(crate) pkg: Option<PathBuf>,
    /// How long a client may take to authenticate
    #[arg(long, default_value = "10s", value_parser = duration::parse, value_name = "TIME")]
    pub(crate) auth_deadline: Duration,
    /// Log as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct DemoArgs {
    /// Port to listen on; 0 takes a free one. Default: 8080, or a free one if that is taken
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// End by itself after this time
    #[arg(long, env = "DEMO_SECONDS", value_name = "SECONDS")]
    pub(crate) seconds: Option<f64>,
    /// Events a second
    #[arg(long, default_value_t = 5.0, value_name = "PER_SECOND")]
    pub(crate) rate: f64,
    /// The file with the recorded events
    #[arg(long, default_value = RECORDED_EVENTS, value_name = "FILE")]
    pub(crate) events: PathBuf,
    /// Folder of the page
    #[arg(long, default_value = "www", value_name = "DIR")]
    pub(crate) www: PathBuf,
    /// Folder of the package that the page imports
    #[arg(long, default_value = "pkg", value_name = "DIR")]
    pub(crate) pkg: PathBuf,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ListenArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// Print events of this type only: message.new, message.* (one level), call.** (many). Repeatable
    #[arg(long = "filter", value_name = "PATTERN")]
    pub(crate) filters: Vec<String>,
    /// Print every event as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Go on after the last event that this file knows of, and keep in it where this run ends; needs a dialect that resumes.
    /// Whoever can read it can take the session over. After a crash, events since the last run come again
    #[arg(long, value_name = "FILE", conflicts_with = "count")]
    pub(crate) resume_file: Option<PathBuf>,
    /// Do not tell on stderr what happens to the connection
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// A text message to send. Repeatable; without any message, each line of stdin is one
    #[arg(long = "message", short, value_name = "TEXT")]
    pub(crate) messages: Vec<String>,
    /// A file to send as a binary message, after the texts. Repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Vec<PathBuf>,
    /// Wait for this many events after sending, and print them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) replies: u64,
    /// How long to wait for each of them
    #[arg(long, default_value = "10s", value_parser = duration::parse, value_name = "TIME")]
    pub(crate) reply_timeout: Duration,
    /// Only events of this type are replies. Repeatable
    #[arg(long = "filter", value_name = "PATTERN")]
    pub(crate) filters: Vec<String>,
    /// Print every event as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Do not tell on stderr what happens to the connection
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// How to connect: the same for every command that does.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// The server: ws://, wss://, http:// or https:// [default: what the dialect names]
    #[arg(value_name = "URL")]
    pub(crate) positional_url: Option<String>,
    /// The same, for the file of --config
    #[arg(long, value_name = "URL", hide = true)]
    pub(crate) url: Option<String>,
    /// A file with options, as TOML: `dialect = "raw"`, `header = ["A: 1"]`, `[param]`. What stands here wins
    #[arg(long, env = "EVERWIRE_CONFIG", value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,
    /// Settings for a kind of use: trading, llm_stream, dashboard or minimal
    #[arg(long, value_parser = preset, value_name = "NAME")]
    pub(crate) preset: Option<Preset>,
    /// Take settings from the variables WS_OPEN_TIMEOUT, WS_PING_INTERVAL and so on; what is given here wins
    #[arg(long)]
    pub(crate) env: bool,
    /// How to talk to it: stream, stream-v1, envelope, raw, or a file that describes a dialect as JSON
    #[arg(long, default_value = "stream", value_name = "NAME|FILE.json")]
    pub(crate) dialect: String,
    /// A parameter of the dialect, such as api_key=demo; name:=JSON for one that is no string
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    pub(crate) params: Vec<(String, serde_json::Value)>,
    /// The token. It cannot be refreshed, and others on this machine may see it here: prefer the variable
    #[arg(long, env = "EVERWIRE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// A shell command that prints a token; run again whenever a fresh one is needed. It wins over --token
    #[arg(long, value_name = "COMMAND")]
    pub(crate) token_command: Option<String>,
    /// Tries in a row that may fail; 0 for no end [default: 5]
    #[arg(long, value_name = "N")]
    pub(crate) max_attempts: Option<u32>,
    /// Do not connect again after a failure
    #[arg(long)]
    pub(crate) no_reconnect: bool,
    /// The share of a wait that is random, above 0 and up to 1 [default: 1]
    #[arg(long, value_name = "SHARE")]
    pub(crate) jitter: Option<f64>,
    /// The largest message to take, in bytes [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_message_size: Option<usize>,
    /// How many events may wait within the client [default: 1024]
    #[arg(long, value_name = "N", hide = true)]
    pub(crate) event_capacity: Option<usize>,
    /// The seed of all randomness, to replay a run
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) seed: Option<u64>,
    /// A subprotocol to offer. Repeatable
    #[arg(long = "protocol", value_name = "NAME")]
    pub(crate) protocols: Vec<String>,
    /// A header for the handshake. Repeatable
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// A file with root certificates to trust besides the system's (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// A certificate that says who we are, with its chain (PEM)
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub(crate) client_cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,
    /// An HTTP proxy to go through: http://user:password@host:port. Others on this machine may see it here: prefer the variable
    #[arg(long, env = "EVERWIRE_PROXY", hide_env_values = true, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Go through the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY name, but not to the hosts of NO_PROXY
    #[arg(long)]
    pub(crate) proxy_from_env: bool,
    /// How much is read at once, in bytes [default: 4096 to 65536, as much comes]
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    pub(crate) read_buffer: Option<usize>,
    /// How many messages may wait to be sent; 0: none, they fail without a connection [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) outbox_messages: Option<usize>,
    /// How many bytes of them [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    pub(crate) outbox_bytes: Option<usize>,
    /// What becomes of a message for which there is no room [default: error]
    #[arg(long, value_parser = ["error", "drop-oldest", "drop-newest", "wait"], value_name = "POLICY")]
    pub(crate) outbox_policy: Option<String>,
    /// What a new connection does about what was under way: none, sequence_id or full_buffer [default: sequence_id]
    #[arg(long, value_parser = resume, value_name = "MODE")]
    pub(crate) resume: Option<ResumeMode>,
    /// Stop trying for a while after so many failures in a row; needs more --max-attempts, or 0
    #[arg(long, value_name = "N")]
    pub(crate) breaker: Option<u32>,
    #[command(flatten)]
    pub(crate) times: Times,
}

/// Times such as 10s or 250ms; what is not given is left to the client.
#[derive(Args)]
#[command(next_help_heading = "Times, such as 10s or 250ms")]
pub(crate) struct Times {
    /// From dialling to the open socket
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) open_timeout: Option<Duration>,
    /// From dialling to the hello
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) hello_timeout: Option<Duration>,
    /// For the closing handshake
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) close_timeout: Option<Duration>,
    /// For the token command
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) token_timeout: Option<Duration>,
    /// For a sign of life after a network change
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) probe_timeout: Option<Duration>,
    /// Between pings of the protocol; `none` sends none [default: none]
    #[arg(long, value_parser = interval, value_name = "TIME")]
    pub(crate) ping_interval: Option<Interval>,
    /// From a ping to a sign of life [default: 10s]
    #[arg(long, value_parser = duration::parse, value_name = "TIME", requires = "ping_interval")]
    pub(crate) ping_timeout: Option<Duration>,
    /// Between health checks
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) health_check_interval: Option<Duration>,
    /// Silence after which a connection is dead
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) silence_timeout: Option<Duration>,
    /// The first wait before a reconnect, at most
    #[arg(long, value_parser = duration::parse, value_name = "TIME", requires = "backoff_cap")]
    pub(crate) backoff_base: Option<Duration>,
    /// Any wait before a reconnect, at most
    #[arg(long, value_parser = duration::parse, value_name = "TIME", requires = "backoff_base")]
    pub(crate) backoff_cap: Option<Duration>,
    /// How long --breaker stops trying [default: 60s]
    #[arg(long, value_parser = duration::parse, value_name = "TIME", requires = "breaker")]
    pub(crate) breaker_pause: Option<Duration>,
    /// How long a message may wait to be sent [default: for ever]
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) outbox_ttl: Option<Duration>,
    /// The age at which a connection is replaced by a new one
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) max_age: Option<Duration>,
    /// How long a connection must last for the waits to start anew
    #[arg(long, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) stable_after: Option<Duration>,
}

/// A time, or none.
pub(crate) type Interval = Option<Duration>;

fn interval(text: &str) -> Result<Interval, String> {
    if text == "none" { Ok(None) } else { duration::parse(text).map(Some) }
}

fn resume(name: &str) -> Result<ResumeMode, String> {
    let modes = [ResumeMode::None, ResumeMode::SequenceId, ResumeMode::FullBuffer];
    let known = modes.into_iter().find(|mode| mode.as_str() == name);
    known.ok_or_else(|| "must be none, sequence_id or full_buffer".to_owned())
}

fn preset(name: &str) -> Result<Preset, String> {
    name.parse().map_err(|error: everwire::Error| error.message().to_owned())
}

fn param(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE or NAME:=JSON is needed")?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => (name, serde_json::from_str(value).map_err(|error| format!("no JSON: {error}"))?),
        None => (name, value.into()),
    };
    if name.is_empty() { Err("the name is missing".to_owned()) } else { Ok((name.to_owned(), value)) }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("\"Name: value\" is needed")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use serde_json::json;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn parameters_are_strings_unless_asked_for_otherwise() {
        assert_eq!(param("user_id=7"), Ok(("user_id".to_owned(), json!("7"))));
        assert_eq!(param("a=b=c"), Ok(("a".to_owned(), json!("b=c"))));
        assert_eq!(param(r#"user_details:={"id":"a"}"#), Ok(("user_details".to_owned(), json!({"id": "a"}))));
        for wrong in ["a", "=b", ":=1", "a:={"] {
            assert!(param(wrong).is_err(), "{wrong}");
        }
    }
}
