//! The `everwire` program: serve real-time events, listen to them, or show both with a page in one demo.

mod args;
mod connect;
mod demo;
mod demo_controls;
mod duration;
mod exit;
mod file;
mod listen;
mod manual;
mod output;
mod resumption;
mod send;
mod serve;
mod signal;
mod summary;
mod tap;

use args::{Cli, Command};
use clap::Parser;
use exit::Failure;
use std::{env, process::ExitCode};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(failure) => return failure.report(),
    };
    let result = match cli.command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Listen(args) => listen::run(args).await,
        Command::Send(args) => send::run(args).await,
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { dir } => manual::pages(dir.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// The command line, with the options of its file before its own, so that its own win.
fn parse() -> Result<Cli, Failure> {
    let cli = Cli::parse();
    let config = match &cli.command {
        Command::Listen(args) => &args.connect.config,
        Command::Send(args) => &args.connect.config,
        _ => &None,
    };
    let Some(path) = config else { return Ok(cli) };
    let options = file::options(path)?;
    let mut line: Vec<_> = env::args_os().collect();
    // After the program and the command.
    line.splice(2..2, options);
    Ok(Cli::parse_from(line))
}
