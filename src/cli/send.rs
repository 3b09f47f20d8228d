//! `everwire send`: connect to a server, send messages, and print what comes back.

use crate::{
    args::SendArgs,
    connect::{self, close},
    exit::Failure,
    output::Output,
    signal::Interrupt,
    tap::Tap,
};
use everwire::{Client, Error, ErrorKind, Message};
use std::{fs, path::Path, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

/// How long to wait before a message is offered again for which there was no room.
const AGAIN: Duration = Duration::from_millis(10);

/// Runs until everything is sent and the replies are there, or the user or the server ends it.
pub(crate) async fn run(args: Box<SendArgs>) -> Result<(), Failure> {
    let output = Output::new(args.json);
    let mut interrupt = Interrupt::new()?;
    let files = args.binary.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let hello = connect::dialect(&args.connect.dialect)?.hello.map(|hello| hello.types).unwrap_or_default();
    let client = connect::builder(&args.connect)?.build()?;
    let mut tap = Tap::new(&client, &args.filters)?;
    let _lifecycle = (!args.quiet).then(|| client.on_lifecycle(move |step| output.lifecycle(step)));
    client.connect()?;
    let work = async {
        client.ready().await?;
        send_all(&client, &args.messages, files).await?;
        replies(&mut tap, &hello, output, &args).await
    };
    let result = tokio::select! {
        () = interrupt.wait() => Ok(()),
        result = work => result,
    };
    close(&client, &mut interrupt).await;
    result
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::machine(format!("{}: {error}", path.display())))
}

/// The messages of the command line, then the files; without any, each line of stdin.
async fn send_all(client: &Client, messages: &[String], files: Vec<Vec<u8>>) -> Result<(), Failure> {
    if messages.is_empty() && files.is_empty() {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = lines.next_line().await.map_err(|error| Failure::machine(format!("stdin: {error}")))? {
            send(client, Message::Text(line)).await?;
        }
    }
    for message in messages {
        send(client, Message::Text(message.clone())).await?;
    }
    for bytes in files {
        send(client, Message::Binary(bytes)).await?;
    }
    Ok(())
}

/// Sends a message, as soon as there is room for it and a connection to take it.
async fn send(client: &Client, message: Message) -> Result<(), Error> {
    loop {
        match client.send(message.clone()).await {
            Err(error) if error.kind() == ErrorKind::Overflow => tokio::task::yield_now().await,
            Err(error) if error.kind() == ErrorKind::Closed => {
                // Lost meanwhile: the client connects again, or says why not.
                client.ready().await?;
            }
            result => return result,
        }
        // Nothing else tells when there is room again.
        let _ = timeout(AGAIN, std::future::pending::<()>()).await;
    }
}

/// Prints what comes back. What the server says to greet us is no reply.
async fn replies(tap: &mut Tap, hello: &[String], output: Output, args: &SendArgs) -> Result<(), Failure> {
    let late = || Failure::from(Error::new(ErrorKind::Timeout, "the reply did not come in time"));
    let mut left = args.replies;
    while left > 0 {
        let event = timeout(args.reply_timeout, tap.recv()).await.map_err(|_| late())?;
        let Some(event) = event else { return Err(late()) };
        if hello.iter().any(|name| name == event.event_type()) {
            continue;
        }
        left -= 1;
        if output.event(&event).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
