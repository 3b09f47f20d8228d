//! A client of market data that misses no trade: the connection is cut again and again, and each time the session goes on
//! where it broke. What is lost beyond the server's retention is named by a gap.
//!
//! ```sh
//! cargo run --features server --example market_data
//! ```
//!
//! It brings its own server, and ends when it has seen 300 trades.

use everwire::{Client, Dialect, Error, Lifecycle, server::Server};
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;

#[derive(Serialize, Deserialize)]
struct Trade {
    #[serde(rename = "type")]
    kind: String,
    symbol: String,
    /// In cents.
    price: u64,
    volume: u64,
}

/// What the client made of the trades. One that came twice, or was missed, would show in it.
#[derive(Default)]
struct Book {
    trades: u64,
    volume: u64,
}

const TRADES: u64 = 300;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    let server = Server::builder().development().build()?;
    let running = server.bind("127.0.0.1:0").await?;

    let client = Client::builder(Dialect::everwire())
        .url(running.url())
        .param("user_id", "trader")
        .token("any token will do in development")
        .backoff(Duration::from_millis(10), Duration::from_millis(100))
        .max_attempts(0)
        .build()?;

    let book = Arc::new(Mutex::new(Book::default()));
    let (seen, mut trades) = watch::channel(0);
    let mine = book.clone();
    let _trades = client.on("trade", move |event| {
        let Ok(trade) = event.json::<Trade>() else { return };
        let mut book = mine.lock().expect("nobody panics");
        book.trades += 1;
        book.volume += trade.volume;
        seen.send_replace(book.trades);
    });
    let _steps = client.on_lifecycle(|step| match step {
        Lifecycle::Disconnected { error } => println!("lost: {error}"),
        Lifecycle::ReplayStarted { last, count, .. } => {
            println!("goes on after trade {}, {} missed", last.unwrap_or_default(), count.unwrap_or_default());
        }
        // A trader would fetch a snapshot here.
        Lifecycle::Gap { from, to } => println!("trades {from} to {to:?} are lost"),
        _ => {}
    });
    client.connect()?;
    client.ready().await?;

    let mut clock = tokio::time::interval(Duration::from_millis(2));
    for number in 1..=TRADES {
        clock.tick().await;
        let trade = Trade { kind: "trade".into(), symbol: "EVR".into(), price: 10_000 + number, volume: number };
        server.publish(&trade)?;
        if number % 60 == 0 {
            server.drop_connections();
        }
    }
    trades.wait_for(|seen| *seen == TRADES).await.expect("the listener holds the other end");
    let book = book.lock().expect("nobody panics");
    println!("{} trades, volume {}, {} resumes", book.trades, book.volume, client.stats().resumes);
    // One that was missed, or counted twice, would show here.
    assert_eq!((book.trades, book.volume), (TRADES, TRADES * (TRADES + 1) / 2));
    Ok(())
}
