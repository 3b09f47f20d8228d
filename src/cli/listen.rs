//! `everwire listen`: connect to a server and print its events.

use crate::{
    args::ListenArgs,
    connect::{self, close, leave},
    exit::Failure,
    output::Output,
    resumption,
    signal::Interrupt,
    tap::Tap,
};
use everwire::Event;

/// Runs until the user, the count or the server ends it.
pub(crate) async fn run(args: Box<ListenArgs>) -> Result<(), Failure> {
    let output = Output::new(args.json);
    let mut interrupt = Interrupt::new()?;
    let mut builder = connect::builder(&args.connect)?;
    if let Some(path) = &args.resume_file {
        builder = resumption::resumed(builder, path)?;
    }
    let client = builder.build()?;
    let mut tap = Tap::new(&client, &args.filters)?;
    let _lifecycle = (!args.quiet).then(|| client.on_lifecycle(move |step| output.lifecycle(step)));
    client.connect()?;

    let mut printer = Printer { output, left: args.count, printed_all: true };
    let ended = tokio::select! {
        () = interrupt.wait() => None,
        () = printer.print(&mut tap) => None,
        cause = client.closed() => Some(cause),
    };
    // What came before the end is printed all the same, and may complete the count.
    let complete = printer.print_waiting(&mut tap);
    match &args.resume_file {
        Some(path) => {
            leave(&client, &mut interrupt).await;
            // What comes while it closes has come: the next run is not given it again.
            printer.print_waiting(&mut tap);
            if printer.printed_all && tap.dropped() == 0 {
                resumption::keep(client.resume_point(), path)?;
            }
        }
        None => close(&client, &mut interrupt).await,
    }
    if tap.dropped() > 0 {
        eprintln!("{} events were dropped: the output was too slow", tap.dropped());
    }
    match ended {
        Some(cause) if !complete => Failure::of_cause(&cause),
        _ => Ok(()),
    }
}

/// What prints.
struct Printer {
    output: Output,
    left: Option<u64>,
    printed_all: bool,
}

impl Printer {
    /// Prints until the count is complete, or nobody reads any more.
    async fn print(&mut self, tap: &mut Tap) {
        while let Some(event) = tap.recv().await {
            if self.one(&event) {
                return;
            }
        }
    }

    /// Prints what waits, and tells whether the count is complete or nobody reads any more.
    fn print_waiting(&mut self, tap: &mut Tap) -> bool {
        while self.left != Some(0) {
            match tap.try_recv() {
                Some(event) if !self.one(&event) => {}
                Some(_) => return true,
                None => return false,
            }
        }
        true
    }

    fn one(&mut self, event: &Event) -> bool {
        let printed = self.output.event(event);
        self.printed_all &= printed.is_ok();
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.left == Some(0) || printed.is_err()
    }
}
