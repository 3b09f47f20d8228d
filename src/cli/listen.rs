//! `everwire listen`: connect to a server and print its events.

use crate::{
    args::ListenArgs,
    connect,
    exit::{Failure, PATIENCE},
    output::{Output, elapsed, in_time},
    printer::Printer,
    resumption,
    signal::Interrupt,
    tap::Tap,
    writer::Stopped,
};
use everwire::{Cause, Client};
use std::pin::pin;

/// What ended the listening.
enum End {
    /// The user, or the time.
    Asked,
    /// The count is complete, or nothing can be printed any more.
    Printed(Result<(), Stopped>),
    Closed(Cause),
}

/// Runs until the user, the count, the time or the server ends it.
pub(crate) async fn run(args: Box<ListenArgs>) -> Result<(), Failure> {
    let mut builder = connect::builder(&args.connect)?;
    if let Some(path) = &args.resume_file {
        builder = resumption::resumed(builder, path)?;
    }
    let client = builder.build()?;
    let output = Output::new(args.json)?;
    // Until here a signal ends the program: files are read that may be pipes.
    let mut interrupt = Interrupt::new()?;
    let mut printer = Printer::new(&output, Tap::new(&client, &args.filters)?, args.count, Vec::new());
    let told = output.clone();
    let _lifecycle = (!args.quiet).then(|| client.on_lifecycle(move |step| told.lifecycle(step)));
    client.connect()?;

    let end = tokio::select! {
        () = interrupt.wait() => End::Asked,
        () = elapsed(args.seconds) => End::Asked,
        printed = printer.run() => End::Printed(printed),
        cause = client.closed() => End::Closed(cause),
    };
    let (printed, cause) = match end {
        End::Asked => (Ok(()), None),
        End::Printed(result) => (result, None),
        End::Closed(cause) => (Ok(()), Some(cause)),
    };
    // What came before the end is printed all the same, and may complete the count.
    let rest = match &args.resume_file {
        Some(_) => {
            let patience = client.config().close_timeout + PATIENCE;
            in_time(&mut interrupt, patience, leave(&client, &mut printer)).await
        }
        None => {
            printer.close();
            client.close().await;
            in_time(&mut interrupt, PATIENCE, printer.run()).await
        }
    };
    let written = output.finish(&mut interrupt).await;
    match (printed.and(rest).and(written), &args.resume_file) {
        (Err(Stopped::Failed(failure)), _) => return Err(failure),
        (Ok(()), Some(path)) => resumption::keep(client.resume_point(), path)?,
        _ => {}
    }
    match cause {
        Some(cause) if !printer.is_complete() => Failure::of_cause(&cause),
        _ => Ok(()),
    }
}

/// Closes for a while: the server keeps the session for the next run. What comes meanwhile has come, and is printed: the next run
/// is not given it again.
async fn leave(client: &Client, printer: &mut Printer) -> Result<(), Stopped> {
    // The code and the reason are right.
    let mut leaving = pin!(client.close_with(4000, "client will be back"));
    tokio::select! {
        _ = &mut leaving => printer.close(),
        printed = printer.run() => {
            let _ = leaving.await;
            printed?;
        }
    }
    printer.run().await
}
