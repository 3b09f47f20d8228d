//! The `everwire` program: serve real-time events, listen to them, or show both with a page in one demo.

mod args;
mod connect;
mod demo;
mod demo_controls;
mod duration;
mod exit;
mod file;
mod lifecycle;
mod listen;
mod manual;
mod options;
mod output;
mod printer;
mod problem;
mod resumption;
mod send;
mod serve;
mod signal;
mod stdin;
mod summary;
mod tap;
mod token_command;
mod writer;

use args::{Cli, Command};
use clap::Parser;
use exit::Failure;
use std::{env, process::ExitCode};
use tokio::runtime;

fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(failure) => return failure.report(false),
    };
    let json = cli.command.is_json();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::local(format!("cannot start: {error}")))?;
    let result = runtime.block_on(async {
        match command {
            Command::Serve(args) => serve::run(args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Listen(args) => listen::run(args).await,
            Command::Send(args) => send::run(args).await,
            Command::Completions { shell } => manual::completions(shell),
            Command::Man { dir } => manual::pages(dir.as_deref()),
        }
    });
    // The end waits for no thread that is blocked, such as one that asks for the address of a name.
    runtime.shutdown_background();
    token_command::kill_all();
    result
}

/// The command line, with the options of its file before its own, so that its own win.
fn parse() -> Result<Cli, Failure> {
    let cli = Cli::parse();
    let config = match &cli.command {
        Command::Listen(args) => &args.connect.config,
        Command::Send(args) => &args.connect.config,
        _ => &None,
    };
    // A variable that is empty counts as not set.
    let Some(path) = config.as_ref().filter(|path| !path.as_os_str().is_empty()) else { return Ok(cli) };
    let options = file::options(path)?;
    let mut line: Vec<_> = env::args_os().collect();
    // After the program and the command.
    line.splice(2..2, options);
    Ok(Cli::parse_from(line))
}
