//! The `everwire` program: serve real-time events, listen to them, or show both with a page in one demo.

mod args;
mod demo;
mod duration;
mod exit;
mod listen;
mod output;
mod serve;
mod signal;
mod summary;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Listen(args) => listen::run(args).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
