//! Many subscriptions over one connection: each symbol is a channel with listeners and a queue of its own. The connection is
//! cut in the middle, and every channel is subscribed to again without a line of code here.
//!
//! `cargo run --example channels --features server`
//!
//! It brings its own server, and ends when each channel has seen its prices.

use everwire::{Client, Dialect, Error, ErrorKind, StreamOptions, StreamPolicy};
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::interval,
};
use tokio_tungstenite::tungstenite::{self, Message};

/// Where an event names its channel, and how the server is told which ones are wanted.
const DIALECT: &str = r#"{
    "name": "prices",
    "channels": {
        "field": "symbol",
        "subscribe": { "op": "subscribe", "symbol": "${channel}" },
        "unsubscribe": { "op": "unsubscribe", "symbol": "${channel}" }
    }
}"#;

/// After so many prices the server hangs up, once.
const CUT: u64 = 20;

#[derive(Deserialize)]
struct Price {
    symbol: String,
    price: u64,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(io)?;
    let url = format!("ws://{}/prices", listener.local_addr().map_err(io)?);
    tokio::select! {
        result = watch(&url) => result,
        result = market(listener) => result,
    }
}

/// Follows two symbols over one connection.
async fn watch(url: &str) -> Result<(), Error> {
    let backoff = Duration::from_millis(10);
    let builder = Client::builder(Dialect::from_json(DIALECT)?).url(url).backoff(backoff, 10 * backoff);
    let client = builder.connect().await?;

    let (gold, silver) = (client.channel("XAU")?, client.channel("XAG")?);
    // Called for each event of this channel, on the client's task.
    let _printing = gold.on("price", |event| {
        if let Ok(Price { symbol, price }) = event.json() {
            println!("{symbol} {price}");
        }
    });
    // A queue of its own: a slow reader of silver loses old prices of silver, and none of gold.
    let mut latest = silver.events_with(StreamOptions::new().capacity(1).policy(StreamPolicy::DropOldest))?;
    let mut all = gold.events();
    let mut seen = 0;
    while client.stats().reconnects == 0 || seen < CUT {
        let price: Price = all.recv_json().await?;
        assert_eq!(price.symbol, "XAU");
        seen += 1;
    }
    let price: Price = latest.recv_json().await?;
    println!("the latest price of {} is {}; {} older ones were dropped", price.symbol, price.price, latest.dropped());

    // The last handle of a channel unsubscribes. What still comes of it is counted, and nobody's.
    drop((silver, latest));
    let stats = client.stats();
    println!("{} events were routed, {} were not; {} reconnect", stats.routed, stats.unroutable, stats.reconnects);
    client.close().await;
    Ok(())
}

/// Stands in for the exchange.
async fn market(listener: TcpListener) -> Result<(), Error> {
    for connection in 0.. {
        let (tcp, _) = listener.accept().await.map_err(io)?;
        let prices = if connection == 0 { CUT } else { u64::MAX };
        if let Err(error) = serve(tcp, prices).await {
            println!("a connection ended: {error}");
        }
    }
    Ok(())
}

/// Sends so many prices of the symbols that are wanted, and hangs up without a word.
async fn serve(tcp: TcpStream, prices: u64) -> Result<(), tungstenite::Error> {
    let mut socket = tokio_tungstenite::accept_async(tcp).await?;
    let (mut wanted, mut tick, mut sent) = (BTreeSet::new(), interval(Duration::from_millis(2)), 0);
    while sent < prices {
        tokio::select! {
            message = socket.next() => {
                let Some(message) = message else { return Ok(()) };
                let Message::Text(asked) = message? else { continue };
                let asked: Value = serde_json::from_str(&asked).unwrap_or_default();
                let symbol = asked["symbol"].as_str().unwrap_or_default().to_owned();
                match asked["op"].as_str() {
                    Some("subscribe") => drop(wanted.insert(symbol)),
                    _ => drop(wanted.remove(&symbol)),
                }
            }
            _ = tick.tick() => {
                for symbol in &wanted {
                    sent += 1;
                    let price = json!({"type": "price", "symbol": symbol, "price": 1_000 + sent});
                    socket.send(Message::text(price.to_string())).await?;
                }
            }
        }
    }
    Ok(())
}

fn io(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Connect, "the server cannot listen").with_source(error)
}
