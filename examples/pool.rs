//! A pool: twenty jobs share three connections, one of which breaks on the way.
//!
//! `cargo run --example pool --features server`

use everwire::{
    Client, Dialect, Error, Pool, PoolOptions,
    server::{Activity, Server},
};
use futures::future::join_all;
use serde_json::json;
use std::time::Duration;
use tokio::{sync::mpsc, time::timeout};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Error> {
    // A server that answers each question with an event for everybody.
    let (asked, mut questions) = mpsc::unbounded_channel();
    let server = Server::builder().api_key("demo").development().on_activity(move |activity| {
        if let Activity::Message { text, .. } = activity {
            let _ = asked.send((*text).to_owned());
        }
    });
    let running = server.build()?.bind("127.0.0.1:0").await?;
    let publisher = running.server().clone();
    let answering = async move {
        while let Some(question) = questions.recv().await {
            let number = question.split('"').find_map(|word| word.strip_prefix("question.")).unwrap_or("?").to_owned();
            publisher.publish(&json!({"type": format!("answer.{number}")}))?;
        }
        Ok::<_, Error>(())
    };

    let url = running.url();
    let options = PoolOptions::new().max(3).warm(1).acquire_timeout(Duration::from_secs(5));
    let pool = Pool::new(options, move || {
        Client::builder(Dialect::stream()).url(&url).param("api_key", "demo").param("user_id", "worker").token("any")
    })?;
    pool.warm_up().await?;
    let jobs = async {
        join_all((0..20).map(|number| job(&pool, number))).await.into_iter().collect::<Result<(), Error>>()?;
        println!("{:?}", pool.stats());
        // The server throws everybody out; whoever comes next gets a connection that works.
        running.server().drop_connections();
        job(&pool, 20).await
    };
    tokio::select! {
        result = jobs => result?,
        result = answering => result?,
    }
    let stats = pool.stats();
    println!("{} connections for 21 jobs: {stats:?}", stats.created);
    pool.close().await;
    running.shutdown().await;
    Ok(())
}

/// Asks a question and waits for its answer, on whichever connection is free. One that gives no answer is put away, and the
/// question is asked on another.
async fn job(pool: &Pool, number: u32) -> Result<(), Error> {
    let wanted = format!("answer.{number}");
    loop {
        let client = pool.acquire().await?;
        // The wait begins before the question is asked.
        let answer = timeout(Duration::from_secs(1), client.next_event(&wanted));
        let question = json!({"type": format!("question.{number}")});
        match tokio::join!(answer, client.send_json(&question)) {
            (Ok(Ok(answer)), Ok(())) => {
                println!("{number}: {}", answer.event_type());
                return Ok(());
            }
            _ => client.discard(),
        }
    }
}
