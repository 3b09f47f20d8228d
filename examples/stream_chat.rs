//! A chat in Stream's dialect: a server, two people who write to each other, and what happens when everybody is thrown out.
//!
//! `cargo run --example stream_chat --features server`

use everwire::{
    Client, Clients, Dialect, Error, ErrorKind, Lifecycle,
    server::{Activity, Server},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// The events of the chat: the type of an event chooses the variant.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Chat {
    #[serde(rename = "message.new")]
    Message { user: String, text: String },
    #[serde(other)]
    Other,
}

/// What a person sends.
#[derive(Serialize, Deserialize)]
struct Say {
    #[serde(rename = "type")]
    kind: String,
    text: String,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    // The server passes on what somebody says. It checks the tokens that it makes.
    let (said, mut sayings) = mpsc::unbounded_channel();
    let server = Server::builder().api_key("demo").api_secret("a secret").on_activity(move |activity| {
        if let Activity::Message { user_id, text, .. } = activity {
            let _ = said.send(((*user_id).to_owned(), (*text).to_owned()));
        }
    });
    let running = server.build()?.bind("127.0.0.1:0").await?;
    let publisher = running.server().clone();
    let passing_on = async move {
        while let Some((user, text)) = sayings.recv().await {
            if let Ok(say) = serde_json::from_str::<Say>(&text) {
                publisher.publish(&json!({"type": "message.new", "user": user, "text": say.text}))?;
            }
        }
        Ok::<_, Error>(())
    };

    // Both start from the same defaults; what is given for one wins.
    let tokens = running.server().clone();
    let url = running.url();
    let clients = Clients::new(move || {
        Client::builder(Dialect::stream())
            .url(&url)
            .param("api_key", "demo")
            .backoff(Duration::from_millis(20), Duration::from_secs(1))
    });
    let tokens = Arc::new(tokens);
    let conversation = async {
        let person = |name: &'static str| {
            let tokens = tokens.clone();
            // Asked again whenever the server says that the token has expired.
            let token = move || std::future::ready(tokens.create_token(name, Some(Duration::from_secs(60))));
            clients.connect(move |builder| builder.param("user_id", name).token_provider(token))
        };
        let (alice, bob) = (person("alice").await?, person("bob").await?);
        let _log = bob.on_lifecycle(|step| match step {
            Lifecycle::Disconnected { error } => println!("        bob is thrown out: {error}"),
            Lifecycle::Connected { .. } => println!("        bob is back"),
            _ => {}
        });
        let (heard, mut hears) = mpsc::unbounded_channel();
        let _typed = bob.on_typed("*", move |event: Chat| {
            if let Chat::Message { user, text } = event {
                println!("{user}: {text}");
                let _ = heard.send(text);
            }
        });
        say(&alice, "hello, bob").await?;
        expect(hears.recv().await, "hello, bob")?;

        // Everybody is thrown out; the clients come back by themselves, and the listeners are still there.
        running.server().drop_connections();
        let (alice_back, bob_back) = tokio::join!(back(&alice), back(&bob));
        alice_back.and(bob_back)?;
        say(&bob, "still here").await?;
        expect(hears.recv().await, "still here")
    };
    tokio::select! {
        result = conversation => result?,
        result = passing_on => result?,
    }
    clients.close().await;
    running.shutdown().await;
    Ok(())
}

async fn say(client: &Client, text: &str) -> Result<(), Error> {
    client.send_json(&Say { kind: "say".to_owned(), text: text.to_owned() }).await
}

/// Waits for the hello after a loss.
async fn back(client: &Client) -> Result<(), Error> {
    client.next_event("connection.ok").await.map(drop)
}

fn expect(heard: Option<String>, text: &str) -> Result<(), Error> {
    if heard.as_deref() == Some(text) {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Protocol, "something else was heard"))
    }
}
