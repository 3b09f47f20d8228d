//! `everwire serve`: a server that logs what happens.

use crate::{
    args::ServeArgs,
    exit::Failure,
    output::{Output, one_line},
    problem,
    signal::Interrupt,
    summary,
};
use axum::Router;
use everwire::server::{Activity, End, Recorded, Replay, Running, Server};
use serde_json::{Value, json};
use std::path::Path;

/// Runs until the user ends it.
pub(crate) async fn run(args: ServeArgs) -> Result<(), Failure> {
    let recorded = recorded(args.events.as_deref(), args.rate)?;
    let output = Output::new(args.json)?;
    let mut builder = Server::builder().api_key(&args.api_key).auth_deadline(args.auth_deadline);
    builder = match args.secret.as_ref().filter(|secret| !secret.is_empty()) {
        Some(_) if args.dev => {
            return Err(Failure::usage("--dev takes any token: there must be no --secret and no EVERWIRE_SECRET"));
        }
        Some(secret) => builder.api_secret(secret),
        None if args.dev => builder.development(),
        None => {
            return Err(Failure::usage(
                "a secret is needed, --secret or EVERWIRE_SECRET; with --dev any token is taken",
            ));
        }
    };
    if let Some(www) = &args.www {
        builder = builder.www(www);
    }
    if let Some(pkg) = &args.pkg {
        builder = builder.pkg(pkg);
    }
    let log_to = output.clone();
    builder = builder.on_activity(move |activity| log(&log_to, activity));
    let server = builder.build()?;
    // Until here a signal ends the program: a file was read that may be a pipe.
    let mut interrupt = Interrupt::new()?;
    let replay = replay(&server, recorded, args.rate)?;
    let running = bind(&server, (args.addr, args.port), |router| router).await?;
    // A log that nobody reads is no reason to stop serving, nor is one that cannot be written.
    output.log(
        &format!("listening on {}", running.url()),
        || json!({"log": "listening", "url": running.url(), "port": running.local_addr().port()}),
    );
    interrupt.wait().await;
    drop(replay);
    output.log("shutting down", || json!({"log": "shutting-down"}));
    running.shutdown().await;
    output.log("stopped", || json!({"log": "stopped", "stats": server.stats()}));
    let _ = output.finish(&mut interrupt).await;
    Ok(())
}

/// The events to replay, unless the rate is 0.
pub(crate) fn recorded(events: Option<&Path>, rate: f64) -> Result<Option<Recorded>, Failure> {
    if rate == 0.0 {
        return Ok(None);
    }
    match events {
        Some(path) => Recorded::load(path).map(Some).map_err(|error| Failure::local(problem::text(&error))),
        None => Ok(Some(Recorded::built_in())),
    }
}

/// Starts to replay events, if there are any to replay.
pub(crate) fn replay(server: &Server, recorded: Option<Recorded>, rate: f64) -> Result<Option<Replay>, Failure> {
    let replay = recorded.map(|recorded| server.replay(recorded, rate)).transpose();
    replay.map_err(|error| Failure::usage(format!("--rate {rate}: {}", error.message())))
}

/// Listens, and says which address is the trouble.
pub(crate) async fn bind(
    server: &Server,
    address: (std::net::IpAddr, u16),
    more: impl FnOnce(Router) -> Router,
) -> Result<Running, Failure> {
    server.bind_with(address, more).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Failure::local(format!("cannot listen on {}: {cause}", std::net::SocketAddr::from(address)))
    })
}

fn log(output: &Output, activity: &Activity<'_>) {
    match activity {
        Activity::Connected { connection_id, user_id, protocol } => {
            let text = format!("{connection_id} connected: {} ({})", summary::printable(user_id, 60), protocol.name());
            output.log(&text, || {
                json!({
                    "log": "connected",
                    "connection_id": connection_id,
                    "user_id": user_id,
                    "dialect": protocol.name(),
                })
            });
        }
        Activity::Message { connection_id, text, .. } => {
            output.log(&format!("{connection_id} sent: {}", summary::printable(text, 200)), || {
                message(connection_id, text)
            });
        }
        Activity::Refused { connection_id, refusal, .. } => {
            output.log(&format!("{connection_id} refused: {refusal}"), || {
                json!({
                    "log": "refused",
                    "connection_id": connection_id,
                    "code": refusal.code(),
                    "message": refusal.message(),
                })
            });
        }
        Activity::Disconnected { connection_id, end, .. } => {
            let (by, code, reason) = match end {
                End::ByClient { code, reason } => (Some("client"), *code, reason.as_str()),
                End::ByServer { code, reason } => (Some("server"), Some(*code), reason.as_str()),
                _ => (None, None, ""),
            };
            let shown = code.map_or("without a code".to_owned(), |code| code.to_string());
            let text = match by {
                Some(by) => format!("{connection_id} closed by the {by}: {shown} {}", summary::printable(reason, 123)),
                None => format!("{connection_id} lost: its connection broke"),
            };
            output.log(
                text.trim_end(),
                || json!({"log": "closed", "connection_id": connection_id, "by": by, "code": code, "reason": reason}),
            );
        }
        _ => {}
    }
}

/// A message as it came, if it is JSON; it always is, as this server judges.
fn message(connection_id: &str, text: &str) -> String {
    let (name, value) = match one_line(text) {
        Some(json) => ("message", json),
        None => ("text", Value::from(text).to_string().into()),
    };
    format!(r#"{{"log":"message","connection_id":{},"{name}":{value}}}"#, Value::from(connection_id))
}
