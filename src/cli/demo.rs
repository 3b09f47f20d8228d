//! `everwire demo`: a server that replays real events, a native client that prints them, and a page that shows the same.

use crate::{
    args::DemoArgs,
    demo_controls,
    exit::{Failure, PATIENCE},
    output::{Output, elapsed, in_time},
    printer::Printer,
    serve::{bind, recorded, replay},
    signal::Interrupt,
    tap::Tap,
    writer::Stopped,
};
use everwire::{
    Client, Dialect,
    server::{Activity, Running, Server},
};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    future,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// The port when none is asked for.
const PORT: u16 = 8080;

/// How long the pages may take to tell their last count: they do so every second.
const LAST_REPORTS: Duration = Duration::from_millis(1500);

/// Runs until the user or the clock ends it.
pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let recorded = recorded(args.events.as_deref(), args.rate)?;
    let output = Output::new(args.json)?;
    // Until here a signal ends the program: a file was read that may be a pipe.
    let mut interrupt = Interrupt::new()?;
    let pages = Pages::default();
    let server = server(&args, &pages)?;
    let running = listen_somewhere(&server, args.port).await?;
    announce(&output, &running, args.www.join("index.html").is_file());

    let client = tokio::select! {
        () = interrupt.wait() => return Ok(()),
        client = native_client(&running) => client?,
    };
    // Signs of life are not what the page counts either.
    let ignored = vec!["health.check".to_owned()];
    let mut printer = Printer::new(&output, Tap::new(&client, &[])?, None, ignored);
    let replay = replay(&server, recorded, args.rate)?;
    let lost = tokio::select! {
        () = interrupt.wait() => None,
        () = elapsed(args.seconds.flatten()) => None,
        _ = printer.run() => None, // nobody reads any more
        cause = client.closed() => Some(cause),
    };
    drop(replay);
    let reported = pages.last_reports().await;
    printer.close();
    client.close().await;
    running.shutdown().await;
    let finish = async {
        printer.run().await?;
        summarise(&output, printer.printed(), &reported).await
    };
    let printed = in_time(&mut interrupt, PATIENCE, finish).await;
    if let Err(Stopped::Failed(failure)) = printed.and(output.finish(&mut interrupt).await) {
        return Err(failure);
    }
    match lost {
        Some(cause) => Failure::of_cause(&cause),
        None => Ok(()),
    }
}

/// Only this machine can reach it, and the page has no secret to sign tokens with: so it takes any token.
fn server(args: &DemoArgs, pages: &Pages) -> Result<Server, Failure> {
    let pages = pages.clone();
    let builder = Server::builder().api_key("demo").development().www(&args.www).pkg(&args.pkg);
    Ok(builder.on_activity(move |activity| pages.observe(activity)).build()?)
}

/// Listens on the port that was asked for; else on the usual one, or a free one where that is taken.
async fn listen_somewhere(server: &Server, port: Option<u16>) -> Result<Running, Failure> {
    let here = IpAddr::from(Ipv4Addr::LOCALHOST);
    let more = |router| demo_controls::add(router, server.clone());
    match port {
        Some(port) => bind(server, (here, port), more).await,
        None => match bind(server, (here, PORT), more).await {
            Ok(running) => Ok(running),
            Err(_) => bind(server, (here, 0), more).await,
        },
    }
}

fn announce(output: &Output, running: &Running, has_page: bool) {
    let url = running.url();
    let text = if has_page {
        format!("The same events live in a browser: {url}/")
    } else {
        format!(
            "Serving {url} without the page: run this in everwire's repository, or name its folders by --www and --pkg"
        )
    };
    output.log(&text, || json!({"demo": "listening", "url": url, "page": has_page}));
}

async fn native_client(running: &Running) -> Result<Client, Failure> {
    let builder =
        Client::builder(Dialect::stream()).url(running.url()).param("api_key", "demo").param("user_id", "native");
    let server = running.server().clone();
    let token = move || future::ready(server.create_token("native", Some(demo_controls::TOKEN_LIFE)));
    // Whatever the page breaks, this client survives as the page does.
    Ok(builder.token_provider(token).max_attempts(0).connect().await?)
}

async fn summarise(output: &Output, received: u64, reported: &BTreeMap<String, u64>) -> Result<(), Stopped> {
    let pages = match reported.len() {
        0 => "no page was open".to_owned(),
        1 => format!("{} by the page", reported.values().sum::<u64>()),
        count => format!("{} by {count} pages", reported.values().sum::<u64>()),
    };
    let text = format!("{received} events received natively, {pages}");
    let json = || {
        json!({
            "demo": "summary",
            "native": received,
            "pages": reported.len(),
            "page": reported.values().sum::<u64>(),
        })
    };
    output.note(&text, json).await
}

/// What the pages say they have received.
///
/// A page sends `{"type":"demo.report","received":N}` over its connection once a second: N counts from when it was opened,
/// across reconnects, and each page has a user id of its own.
#[derive(Clone, Default)]
struct Pages {
    reports: Arc<Mutex<Reports>>,
    all_reported: Arc<Notify>,
}

#[derive(Default)]
struct Reports {
    /// The last count of every page, by its user.
    received: BTreeMap<String, u64>,
    /// The pages that are connected.
    open: BTreeSet<String>,
    /// Those of them whose last report is awaited.
    awaited: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Report {
    #[serde(rename = "type")]
    kind: String,
    received: u64,
}

impl Pages {
    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observe(&self, activity: &Activity<'_>) {
        let mut reports = self.lock();
        match activity {
            Activity::Message { user_id, text, .. } => {
                let report = serde_json::from_str::<Report>(text).ok().filter(|report| report.kind == "demo.report");
                let Some(report) = report else { return };
                reports.received.insert((*user_id).to_owned(), report.received);
                reports.open.insert((*user_id).to_owned());
                reports.awaited.remove(*user_id);
            }
            Activity::Disconnected { user_id: Some(user_id), .. } => {
                reports.open.remove(*user_id);
                reports.awaited.remove(*user_id);
            }
            _ => return,
        }
        if reports.awaited.is_empty() {
            self.all_reported.notify_one();
        }
    }

    /// What all pages have received, once nothing more is published: the next report of each page that is open counts
    /// everything.
    async fn last_reports(&self) -> BTreeMap<String, u64> {
        let wait = {
            let mut reports = self.lock();
            reports.awaited = reports.open.clone();
            !reports.awaited.is_empty()
        };
        let all = async {
            while wait && !self.lock().awaited.is_empty() {
                self.all_reported.notified().await;
            }
        };
        // A page in a hidden tab may be too slow: then its last count must do.
        let _ = tokio::time::timeout(LAST_REPORTS, all).await;
        self.lock().received.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(pages: &Pages, user_id: &str, text: &str) {
        pages.observe(&Activity::Message { connection_id: "c", user_id, text });
    }

    #[tokio::test]
    async fn the_last_count_of_each_page_is_kept() {
        let pages = Pages::default();
        report(&pages, "a", r#"{"type":"demo.report","received":3}"#);
        report(&pages, "a", r#"{"type":"demo.report","received":5}"#);
        report(&pages, "b", r#"{"received":7,"type":"demo.report"}"#);
        for other in ["{", "[]", r#"{"type":"other","received":9}"#, r#"{"type":"demo.report","received":-1}"#] {
            report(&pages, "a", other);
        }
        let last = async {
            tokio::task::yield_now().await;
            report(&pages, "a", r#"{"type":"demo.report","received":6}"#);
            let end = everwire::server::End::Broken;
            pages.observe(&Activity::Disconnected { connection_id: "c", user_id: Some("b"), end: &end });
        };
        let (reported, ()) = tokio::join!(pages.last_reports(), last);
        assert_eq!(reported, [("a".to_owned(), 6), ("b".to_owned(), 7)].into());
    }
}
