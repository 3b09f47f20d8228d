//! `everwire send`: connect to a server, send messages, and print what comes back.

use crate::{
    args::SendArgs,
    connect,
    exit::{Failure, PATIENCE},
    output::{Output, elapsed, in_time},
    printer::Printer,
    signal::Interrupt,
    stdin,
    tap::Tap,
    writer::Stopped,
};
use everwire::{Client, Error, ErrorKind, Lifecycle, Message};
use std::{
    cell::Cell,
    future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long to wait before a message is offered again for which there was no room.
const AGAIN: Duration = Duration::from_millis(10);

/// Runs until everything is sent and the replies are there, or the user or the server ends it.
pub(crate) async fn run(args: Box<SendArgs>) -> Result<(), Failure> {
    let files = args.binary.iter().map(|path| connect::read(path)).collect::<Result<Vec<_>, _>>()?;
    let hello = connect::dialect(&args.connect.dialect)?.hello.map(|hello| hello.types).unwrap_or_default();
    let client = connect::builder(&args.connect)?.build()?;
    let output = Output::new(args.json)?;
    // Until here a signal ends the program: files are read that may be pipes.
    let mut interrupt = Interrupt::new()?;
    // What the server says to greet us is no reply.
    let mut printer = match args.replies {
        0 => None,
        count => Some(Printer::new(&output, Tap::new(&client, &args.filters)?, Some(count), hello)),
    };
    let loss = Loss::default();
    let (told, lost) = (output.clone(), loss.clone());
    let quiet = args.quiet;
    let _lifecycle = client.on_lifecycle(move |step| {
        lost.note(step);
        if !quiet {
            told.lifecycle(step);
        }
    });
    client.connect()?;

    let exchange = Exchange { client: &client, args: &args, loss, sent: Cell::new(false) };
    let result = tokio::select! {
        biased;
        () = interrupt.wait() => Ok(None),
        result = exchange.run(files, printer.as_mut()) => result.map(|()| None),
        cause = client.closed() => Ok(Some(cause)),
    };
    if let Some(printer) = &mut printer {
        printer.close();
    }
    client.close().await;
    // What came before the end is printed all the same, and may be the last reply.
    let rest = match &mut printer {
        Some(printer) => in_time(&mut interrupt, PATIENCE, printer.run()).await,
        None => Ok(()),
    };
    if let Err(Stopped::Failed(failure)) = rest.and(output.finish(&mut interrupt).await) {
        return Err(failure);
    }
    match result? {
        Some(cause) if !(exchange.sent.get() && printer.is_none_or(|printer| printer.is_complete())) => {
            Failure::of_cause(&cause)
        }
        _ => Ok(()),
    }
}

/// Messages one way, replies the other, at the same time.
struct Exchange<'a> {
    client: &'a Client,
    args: &'a SendArgs,
    loss: Loss,
    /// Whether everything is sent.
    sent: Cell<bool>,
}

impl Exchange<'_> {
    async fn run(&self, files: Vec<Vec<u8>>, printer: Option<&mut Printer>) -> Result<(), Failure> {
        self.connected().await;
        let mut sending = pin!(self.send_all(files));
        let Some(printer) = printer else { return sending.await };
        tokio::select! {
            sent = &mut sending => sent?,
            // All that are wanted, or nobody reads them.
            printed = printer.run() => {
                if let Err(Stopped::Failed(failure)) = printed {
                    return Err(failure);
                }
                return sending.await;
            }
        }
        while !printer.is_complete() {
            match printer.next(self.args.reply_timeout).await {
                Ok(true) => {}
                Ok(false) => return Err(self.late(printer.printed() + 1)),
                Err(Stopped::NoReader) => break,
                Err(Stopped::Failed(failure)) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The messages of the command line, then the files; without any, each line of stdin.
    async fn send_all(&self, files: Vec<Vec<u8>>) -> Result<(), Failure> {
        let messages = &self.args.messages;
        if messages.is_empty() && files.is_empty() {
            let mut lines = stdin::lines()?;
            while let Some(line) = lines.recv().await {
                self.send(Message::Text(line?)).await?;
            }
        }
        for message in messages {
            self.send(Message::Text(message.clone())).await?;
        }
        for bytes in files {
            self.send(Message::Binary(bytes)).await?;
        }
        self.sent.set(true);
        Ok(())
    }

    /// Sends a message, as soon as there is room for it and a connection to take it.
    async fn send(&self, message: Message) -> Result<(), Error> {
        loop {
            match self.client.send(message.clone()).await {
                Err(error) if error.kind() == ErrorKind::Overflow => {}
                // Lost meanwhile: the client connects again.
                Err(error) if error.kind() == ErrorKind::Closed => self.connected().await,
                result => return result,
            }
            // Nothing else tells when there is room again.
            elapsed(Some(AGAIN)).await;
        }
    }

    /// Waits for a connection. There is none after the end, whose cause is told in another place.
    async fn connected(&self) {
        if self.client.ready().await.is_err() {
            future::pending().await
        }
    }

    /// A reply has not come. What happened to the connection meanwhile explains more than that.
    fn late(&self, number: u64) -> Failure {
        let SendArgs { replies, reply_timeout, .. } = self.args;
        let late = format!("reply {number} of {replies} did not come in {reply_timeout:?}");
        let late = Error::new(ErrorKind::Timeout, late);
        match self.loss.last() {
            Some(error) => late.with_source(error),
            None => late,
        }
        .into()
    }
}

/// Why the connection was lost last.
#[derive(Clone, Default)]
struct Loss(Arc<Mutex<Option<Error>>>);

impl Loss {
    fn note(&self, step: &Lifecycle) {
        if let Lifecycle::Disconnected { error } | Lifecycle::BackingOff { error, .. } = step {
            *self.lock() = Some(error.clone());
        }
    }

    fn last(&self) -> Option<Error> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
