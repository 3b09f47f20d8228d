//! `everwire serve`: a server that logs what happens.

use crate::{args::ServeArgs, exit::Failure, output::Output, signal::Interrupt, summary};
use axum::Router;
use everwire::server::{Activity, End, Recorded, Replay, Running, Server};
use serde_json::{Value, json};
use std::path::Path;

/// Runs until the user ends it.
pub(crate) async fn run(args: ServeArgs) -> Result<(), Failure> {
    let output = Output::new(args.json);
    let mut interrupt = Interrupt::new()?;
    let mut builder = Server::builder().api_key(&args.api_key).auth_deadline(args.auth_deadline);
    builder = match &args.secret {
        Some(secret) => builder.api_secret(secret),
        None => builder.development(),
    };
    if let Some(www) = &args.www {
        builder = builder.www(www);
    }
    if let Some(pkg) = &args.pkg {
        builder = builder.pkg(pkg);
    }
    // A log that nobody reads is no reason to stop serving.
    builder = builder.on_activity(move |activity| drop(log(output, activity)));
    let server = builder.build()?;
    let replay = replay(&server, &args.events, args.rate)?;
    let running = bind(&server, (args.addr, args.port), |router| router).await?;
    let _ = output.note(
        &format!("listening on {}", running.url()),
        || json!({"log": "listening", "url": running.url(), "port": running.local_addr().port()}),
    );
    interrupt.wait().await;
    drop(replay);
    let _ = output.note("shutting down", || json!({"log": "shutting-down"}));
    tokio::select! {
        () = running.shutdown() => {}
        () = interrupt.wait() => {} // once more: the user does not want to wait
    }
    let _ = output.note("stopped", || json!({"log": "stopped", "stats": server.stats()}));
    Ok(())
}

/// Starts to replay recorded events, unless the rate is 0.
pub(crate) fn replay(server: &Server, events: &Path, rate: f64) -> Result<Option<Replay>, Failure> {
    if rate == 0.0 {
        return Ok(None);
    }
    let recorded = Recorded::load(events).map_err(Failure::machine)?;
    Ok(Some(server.replay(recorded, rate).map_err(|error| Failure::usage(format!("--rate {rate}: {error}")))?))
}

/// Listens, and says which address is the trouble.
pub(crate) async fn bind(
    server: &Server,
    address: (std::net::IpAddr, u16),
    more: impl FnOnce(Router) -> Router,
) -> Result<Running, Failure> {
    server.bind_with(address, more).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Failure::machine(format!("cannot listen on {}: {cause}", std::net::SocketAddr::from(address)))
    })
}

fn log(output: Output, activity: &Activity<'_>) -> std::io::Result<()> {
    match activity {
        Activity::Connected { connection_id, user_id, protocol } => {
            let text = format!("{connection_id} connected: {} ({})", summary::printable(user_id, 60), protocol.name());
            output.note(&text, || {
                json!({
                    "log": "connected",
                    "connection_id": connection_id,
                    "user_id": user_id,
                    "dialect": protocol.name(),
                })
            })
        }
        Activity::Message { connection_id, text, .. } => {
            output.note(&format!("{connection_id} sent: {}", summary::printable(text, 200)), || {
                let message = serde_json::from_str::<Value>(text).unwrap_or_default();
                json!({"log": "message", "connection_id": connection_id, "message": message})
            })
        }
        Activity::Refused { connection_id, refusal, .. } => {
            output.note(&format!("{connection_id} refused: {refusal}"), || {
                json!({
                    "log": "refused",
                    "connection_id": connection_id,
                    "code": refusal.code(),
                    "message": refusal.message(),
                })
            })
        }
        Activity::Disconnected { connection_id, end, .. } => {
            let (by, code, reason) = match end {
                End::ByClient { code, reason } => ("client", *code, reason.as_str()),
                End::ByServer { code, reason } => ("server", Some(*code), reason.as_str()),
                _ => ("nobody", None, ""),
            };
            let shown = code.map_or("without a code".to_owned(), |code| code.to_string());
            let text = format!("{connection_id} closed by {by}: {shown} {}", summary::printable(reason, 123));
            output.note(
                text.trim_end(),
                || json!({"log": "closed", "connection_id": connection_id, "by": by, "code": code, "reason": reason}),
            )
        }
        _ => Ok(()),
    }
}
