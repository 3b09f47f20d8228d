//! Completions for shells, and man pages.

use crate::{args::Cli, exit::Failure};
use clap::CommandFactory;
use clap_complete::{Shell, generate};
use clap_mangen::{Man, generate_to};
use std::{
    fs,
    io::{self, Write},
    path::Path,
};

/// Prints the completions of a shell.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    generate(shell, &mut Cli::command(), "everwire", &mut text);
    print(&text)
}

/// Prints the man page of the program, or writes those of all its commands.
pub(crate) fn pages(dir: Option<&Path>) -> Result<(), Failure> {
    let Some(dir) = dir else {
        let mut text = Vec::new();
        Man::new(Cli::command()).render(&mut text).map_err(unwritten)?;
        return print(&text);
    };
    let failed = |error: io::Error| Failure::local(format!("{}: {error}", dir.display()));
    fs::create_dir_all(dir).map_err(failed)?;
    generate_to(Cli::command(), dir).map_err(failed)
}

fn print(text: &[u8]) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text) {
        // The reader has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(unwritten),
    }
}

fn unwritten(error: io::Error) -> Failure {
    Failure::local(format!("cannot write to stdout: {error}"))
}
