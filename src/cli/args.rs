//! The command line.

use crate::{duration, exit};
use clap::{
    Args, Parser, Subcommand, ValueHint,
    builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;
use everwire::{Dialect, Preset, ResumeMode, WhenFull};
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// Real-time events over WebSockets: serve them, listen to them, see both in a demo.
#[derive(Parser)]
#[command(name = "everwire", version, after_help = exit::OF_PROGRAM, args_override_self = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a server to develop against
    ///
    /// It speaks the dialects stream (at /api/v2/connect), stream-v1 (/connect) and everwire (/everwire).
    Serve(ServeArgs),
    /// Run a server with events, a client that prints them, and a page that shows them
    ///
    /// The page is not in the program: run this in everwire's repository (`make demo`), or name the folders. The rest works without.
    Demo(DemoArgs),
    /// Connect to a server and print its events
    Listen(Box<ListenArgs>),
    /// Connect to a server, send messages, and print what comes back
    Send(Box<SendArgs>),
    /// Print the completions of a shell: `everwire completions bash > /etc/bash_completion.d/everwire`
    #[command(after_help = exit::OF_PRINTING)]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the man page: `everwire man | man -l -`; or write those of all commands
    #[command(after_help = exit::OF_PRINTING)]
    Man {
        /// Write a page for every command into this folder
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

impl Command {
    /// Whether programs read what it prints.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Command::Serve(args) => args.json,
            Command::Demo(args) => args.json,
            Command::Listen(args) => args.json,
            Command::Send(args) => args.json,
            Command::Completions { .. } | Command::Man { .. } => false,
        }
    }
}

/// What all commands say that replay events.
const EVENTS: &str = "The file with the events to replay [default: a small set that the program brings along]";
const EVENTS_LONG: &str = "The file with the events to replay, as JSON: [{\"name\": \"issues\", \"examples\": [{\"action\": \"opened\", …}, …]}, \
                           …] makes events of the type issues.opened. [default: a small set that the program brings along]";

/// What all commands say that print events.
const JSON: &str = "Print each event as one line of JSON";
const JSON_LONG: &str = "Print each event as one line of JSON: a message that is JSON as it came, any other text as {\"type\": \"unknown\", \
                         \"text\": \"…\"}, a binary one as {\"type\": \"unknown\", \"bytes\": [0, 255]}. What happens to the connection is \
                         told on stderr, as lines of JSON too; one that tells of an error has the members error, kind and, where \
                         known, causes, code, status, location, retry_after, close_code, close_reason and response";

#[derive(Args)]
#[command(after_help = exit::OF_SERVE)]
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
    /// The secret that tokens are signed with (HS256). It is needed, unless there is --dev
    #[arg(long, env = "EVERWIRE_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
    /// For development only: take any token that is not empty, signed or not
    #[arg(long)]
    pub(crate) dev: bool,
    /// Replay events, this many a second; 0 replays none
    #[arg(long, default_value_t = 0.0, value_name = "PER_SECOND", allow_negative_numbers = true)]
    pub(crate) rate: f64,
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help = EVENTS, long_help = EVENTS_LONG)]
    pub(crate) events: Option<PathBuf>,
    /// Folder to serve at /
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) www: Option<PathBuf>,
    /// Folder to serve at /pkg
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) pkg: Option<PathBuf>,
    /// How long a client may take to authenticate
    #[arg(long, default_value = "10s", value_parser = duration::parse, value_name = "TIME")]
    pub(crate) auth_deadline: Duration,
    /// Log as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = exit::OF_DEMO)]
pub(crate) struct DemoArgs {
    /// Port to listen on; 0 takes a free one [default: 8080, or a free one if that is taken]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// End after this time: seconds, or a time such as 500ms or 2m
    #[arg(long, env = "DEMO_SECONDS", value_parser = limit, value_name = "SECONDS")]
    pub(crate) seconds: Option<Interval>,
    /// Events a second; 0 for none
    #[arg(long, default_value_t = 5.0, value_name = "PER_SECOND", allow_negative_numbers = true)]
    pub(crate) rate: f64,
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help = EVENTS, long_help = EVENTS_LONG)]
    pub(crate) events: Option<PathBuf>,
    /// Folder of the page
    #[arg(long, default_value = "www", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) www: PathBuf,
    /// Folder of the package that the page imports
    #[arg(long, default_value = "pkg", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) pkg: PathBuf,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = exit::OF_LISTEN)]
pub(crate) struct ListenArgs {
    /// Print events of this type only: message.new, message.* (one level), call.** (one or more). Repeatable
    #[arg(long = "filter", value_name = "PATTERN")]
    pub(crate) filters: Vec<String>,
    #[arg(long, help = JSON, long_help = JSON_LONG)]
    pub(crate) json: bool,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after this time: seconds, or a time such as 500ms or 2m
    #[arg(long, value_parser = duration::parse, value_name = "SECONDS")]
    pub(crate) seconds: Option<Duration>,
    /// Go on after the last event that this file knows of, and keep in it where this run ends; needs a dialect that resumes. Those who
    /// can read it can take the session over. After a crash, events since the last run come again
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "count")]
    pub(crate) resume_file: Option<PathBuf>,
    /// Do not tell on stderr what happens to the connection
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Args)]
#[command(after_help = exit::OF_SEND)]
pub(crate) struct SendArgs {
    /// A text message to send. Repeatable; without any message, each line of stdin is one
    #[arg(long = "message", short, value_name = "TEXT")]
    pub(crate) messages: Vec<String>,
    /// A file to send as a binary message, after the texts. Repeatable
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) binary: Vec<PathBuf>,
    /// Print this many events as they come, and wait for them after sending
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) replies: u64,
    /// How long to wait for each of them, once everything is sent
    #[arg(long, default_value = "10s", value_parser = duration::parse, value_name = "TIME")]
    pub(crate) reply_timeout: Duration,
    /// Only events of this type are replies: message.new, message.* (one level), call.** (one or more). Repeatable
    #[arg(long = "filter", value_name = "PATTERN")]
    pub(crate) filters: Vec<String>,
    #[arg(long, help = JSON, long_help = JSON_LONG)]
    pub(crate) json: bool,
    /// Do not tell on stderr what happens to the connection
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// What names a dialect.
fn dialects() -> String {
    let names = Dialect::builtin_names().collect::<Vec<_>>().join(", ");
    format!("How to talk to the server: {names}; or a file that describes a dialect as JSON (its name ends in .json)")
}

/// How to connect: the same for every command that does.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectArgs {
    /// The server: ws://, wss://, http:// or https:// [default: what the dialect names]
    #[arg(value_name = "URL", help_heading = "Arguments", value_hint = ValueHint::Url)]
    pub(crate) positional_url: Option<String>,
    /// The same, for the file of --config
    #[arg(long, value_name = "URL", hide = true)]
    pub(crate) url: Option<String>,
    /// A file with options, as TOML: `dialect = "raw"`, `header = ["A: 1"]`, `[param]`. What stands here wins
    #[arg(long, env = "EVERWIRE_CONFIG", value_parser = any_path(), value_name = "FILE.toml", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    #[arg(long, default_value = "stream", value_name = "NAME|FILE.json", value_hint = ValueHint::FilePath, help = dialects())]
    pub(crate) dialect: String,
    /// A parameter of the dialect, such as api_key=demo; name:=JSON for one that is no string. Repeatable
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    pub(crate) params: Vec<(String, serde_json::Value)>,
    /// The token. It cannot be refreshed, and others on this machine may see it here: prefer the variable
    #[arg(long, env = "EVERWIRE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// A shell command that prints a token; run again whenever a fresh one is needed. It wins over --token. Exit status 77 means
    /// signed out: it is not run again
    #[arg(long, value_name = "COMMAND")]
    pub(crate) token_command: Option<String>,
    /// A header for the handshake. Repeatable
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// A subprotocol to offer. Repeatable
    #[arg(long = "protocol", value_name = "NAME")]
    pub(crate) protocols: Vec<String>,
    /// Offer compression (permessage-deflate)
    #[arg(long)]
    pub(crate) compression: bool,
    /// Messages that are shorter are sent as they are, in bytes [default: 128]
    #[arg(long, value_name = "BYTES", requires = "compression", hide_short_help = true)]
    pub(crate) compression_threshold: Option<usize>,
    /// Tries in a row that may fail; 0 for no end [default: 5]
    #[arg(long, value_name = "N")]
    pub(crate) max_attempts: Option<u32>,
    /// Do not connect again after a failure
    #[arg(long)]
    pub(crate) no_reconnect: bool,
    /// Settings for a kind of use
    #[arg(long, value_parser = presets(), value_name = "NAME")]
    pub(crate) preset: Option<Preset>,
    /// Take settings from the variables WS_OPEN_TIMEOUT, WS_PING_INTERVAL and so on; what is given here wins
    #[arg(long)]
    pub(crate) env: bool,
    /// A file with root certificates to trust besides the system's (PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca: Option<PathBuf>,
    /// A client certificate to authenticate with, with its chain (PEM)
    #[arg(long, value_name = "FILE", requires = "client_key", value_hint = ValueHint::FilePath)]
    pub(crate) client_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "client_cert", value_hint = ValueHint::FilePath)]
    pub(crate) client_key: Option<PathBuf>,
    /// An HTTP proxy to go through: http://user:password@host:port. Others on this machine may see it here: prefer the variable
    #[arg(long, env = "EVERWIRE_PROXY", hide_env_values = true, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Go through the proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY name, but not to the hosts of NO_PROXY
    #[arg(long)]
    pub(crate) proxy_from_env: bool,
    /// The largest message to take, in bytes [default: 1048576, or what the dialect says]
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    pub(crate) max_message_size: Option<usize>,
    /// How many events may wait to be printed; then the client stops reading for a while [default: 1024]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) event_capacity: Option<usize>,
    /// How much is read at once, in bytes [default: 4096 to 65536, as much comes]
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    pub(crate) read_buffer: Option<usize>,
    /// How many messages may wait to be sent; 0: none, they fail without a connection [default: 1000]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) outbox_messages: Option<usize>,
    /// How many bytes of them [default: 1048576]
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    pub(crate) outbox_bytes: Option<usize>,
    /// What becomes of a message for which there is no room [default: error]
    #[arg(long, value_parser = POLICIES.map(WhenFull::as_str), value_name = "POLICY", hide_short_help = true)]
    pub(crate) outbox_policy: Option<String>,
    /// What a new connection does about what was under way [default: sequence_id]
    #[arg(long, value_parser = resume_modes(), value_name = "MODE", hide_short_help = true)]
    pub(crate) resume: Option<ResumeMode>,
    /// The share of a wait before a reconnect that is random, above 0 and up to 1 [default: 1]
    #[arg(long, value_name = "SHARE", hide_short_help = true)]
    pub(crate) jitter: Option<f64>,
    /// Stop trying for a while after so many failures in a row; needs more --max-attempts, or 0 [default: never]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) breaker: Option<u32>,
    /// The seed of all randomness, to replay a run [default: a random one]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) times: Times,
}

/// Times such as 10s or 250ms.
#[derive(Args)]
#[command(next_help_heading = "Times, such as 10s or 250ms")]
pub(crate) struct Times {
    /// From dialling to the open socket [default: 10s]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) open_timeout: Option<Duration>,
    /// From dialling to the hello [default: 15s, or what the dialect says]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) hello_timeout: Option<Duration>,
    /// For the closing handshake [default: 5s]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) close_timeout: Option<Duration>,
    /// For the token command to print a token [default: 10s]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) token_timeout: Option<Duration>,
    /// Between pings of the WebSocket protocol; `none` sends none [default: none, or what the dialect says]
    #[arg(long, hide_short_help = true, value_parser = interval, value_name = "TIME")]
    pub(crate) ping_interval: Option<Interval>,
    /// From a ping to a sign of life [default: 10s]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME", requires = "ping_interval")]
    pub(crate) ping_timeout: Option<Duration>,
    /// Between health checks [default: what the dialect says]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) health_check_interval: Option<Duration>,
    /// Silence after which a connection is dead [default: what the dialect says]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) silence_timeout: Option<Duration>,
    /// The first wait before a reconnect, at most [default: 250ms]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME", requires = "backoff_cap")]
    pub(crate) backoff_base: Option<Duration>,
    /// Any wait before a reconnect, at most [default: 5s]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME", requires = "backoff_base")]
    pub(crate) backoff_cap: Option<Duration>,
    /// How long --breaker stops trying [default: 60s]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME", requires = "breaker")]
    pub(crate) breaker_pause: Option<Duration>,
    /// How long a message may wait to be sent [default: as long as it takes]
    #[arg(long, hide_short_help = true, value_parser = duration::above_zero, value_name = "TIME")]
    pub(crate) outbox_ttl: Option<Duration>,
    /// The age at which a connection is replaced by a new one [default: none]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) max_age: Option<Duration>,
    /// How long a connection must last for the waits to start anew [default: 60s]
    #[arg(long, hide_short_help = true, value_parser = duration::parse, value_name = "TIME")]
    pub(crate) stable_after: Option<Duration>,
}

/// A time, or none.
pub(crate) type Interval = Option<Duration>;

/// A path, or none: a variable that is empty counts as not set.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// A time, or none: as above.
fn limit(text: &str) -> Result<Interval, String> {
    if text.is_empty() { Ok(None) } else { duration::parse(text).map(Some) }
}

fn interval(text: &str) -> Result<Interval, String> {
    if text == "none" { Ok(None) } else { duration::parse(text).map(Some) }
}

const POLICIES: [WhenFull; 4] = [WhenFull::Error, WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Wait];
const RESUME_MODES: [ResumeMode; 3] = [ResumeMode::None, ResumeMode::SequenceId, ResumeMode::FullBuffer];

fn resume_modes() -> impl TypedValueParser<Value = ResumeMode> {
    let names = PossibleValuesParser::new(RESUME_MODES.map(ResumeMode::as_str));
    names.try_map(|name| RESUME_MODES.into_iter().find(|mode| mode.as_str() == name).ok_or("unknown"))
}

fn presets() -> impl TypedValueParser<Value = Preset> {
    PossibleValuesParser::new(Preset::ALL.map(Preset::as_str)).try_map(|name| name.parse::<Preset>())
}

fn param(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE or NAME:=JSON")?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => (name, serde_json::from_str(value).map_err(|error| format!("the value is not JSON: {error}"))?),
        None => (name, value.into()),
    };
    if name.is_empty() { Err("the name is missing".to_owned()) } else { Ok((name.to_owned(), value)) }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must be NAME: VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)) {
        return Err("a header's name has letters, digits and -, and no blanks".to_owned());
    }
    if value.contains(|char: char| char.is_control() && char != '\t') {
        return Err("a header's value has no line breaks or other control characters".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
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
