//! A session with a language model, in the manner of OpenAI's Realtime API: instructions, a question, and an answer that
//! streams in. A small server stands in for the model, so that the example runs anywhere.
//!
//! `cargo run --example openai_realtime --features server`

use everwire::{Client, Dialect, Error, ErrorKind, Preset};
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::server::{ErrorResponse, Request, Response},
};

/// What the model says.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Answer {
    #[serde(rename = "response.text.delta")]
    Delta { delta: String },
    #[serde(rename = "response.done")]
    Done,
    #[serde(rename = "error")]
    Refused { error: Refusal },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(io)?;
    let url = format!("ws://{}/v1/realtime", listener.local_addr().map_err(io)?);
    tokio::select! {
        answer = session(&url) => println!("\nthe whole answer: {}", answer?),
        result = model(listener) => result?,
    }
    Ok(())
}

/// Asks a question and puts the answer together.
async fn session(url: &str) -> Result<String, Error> {
    // Large messages, long pauses; the token is in no log and no error.
    let builder = Client::builder(Dialect::openai_realtime()).preset(Preset::LlmStream).url(url);
    let client = builder.param("model", "a-model").token("sk-secret").connect().await?;
    println!("session {}", client.connection_id().unwrap_or_default());
    let mut events = client.events();
    client.send_json(&json!({"type": "session.update", "session": {"instructions": "Be brief."}})).await?;
    client.next_event("session.updated").await?;
    client.send_json(&json!({"type": "no.such.thing"})).await?;
    client.send_json(&json!({"type": "response.create"})).await?;
    let mut whole = String::new();
    loop {
        match events.recv_json().await? {
            Answer::Delta { delta } => {
                print!("{delta}");
                whole += &delta;
            }
            Answer::Refused { error } => println!("the server complains: {}", error.message),
            Answer::Done => break,
            Answer::Other => {}
        }
    }
    client.close().await;
    Ok(whole)
}

/// Stands in for the model.
async fn model(listener: TcpListener) -> Result<(), Error> {
    loop {
        let (tcp, _) = listener.accept().await.map_err(io)?;
        // One that leaves in the middle is no reason to end.
        if let Err(error) = talk(tcp).await {
            println!("a connection ended: {error}");
        }
    }
}

async fn talk(tcp: TcpStream) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    #[allow(clippy::result_large_err)] // the signature is not ours
    let check = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        match request.headers().get("authorization").map(|value| value.as_bytes()) {
            Some(b"Bearer sk-secret") => Ok(response),
            _ => Err(ErrorResponse::new(None)),
        }
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(tcp, check).await?;
    socket.send(text(json!({"type": "session.created", "session": {"id": "sess-1"}}))).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(asked) = message? else { continue };
        let asked: Value = serde_json::from_str(&asked).unwrap_or_default();
        match asked["type"].as_str() {
            Some("session.update") => {
                socket.send(text(json!({"type": "session.updated", "session": asked["session"]}))).await?;
            }
            Some("response.create") => {
                for delta in ["Streams ", "of events ", "never end."] {
                    socket.send(text(json!({"type": "response.text.delta", "delta": delta}))).await?;
                }
                socket.send(text(json!({"type": "response.done"}))).await?;
            }
            _ => socket.send(text(json!({"type": "error", "error": {"message": "unknown type"}}))).await?,
        }
    }
    Ok(())
}

fn text(json: Value) -> Message {
    Message::text(json.to_string())
}

fn io(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Connect, "the server cannot listen").with_source(error)
}
