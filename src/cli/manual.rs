//! Completions for shells, and man pages.

use crate::{args::Cli, exit::Failure};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
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
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let Some(dir) = dir else { return print(page(program).map_err(unwritten)?.as_bytes()) };
    let commands: Vec<_> = program.get_subcommands().cloned().collect();
    let write = |command: Command| {
        let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
        fs::write(dir.join(name + ".1"), page(command)?)
    };
    let written = fs::create_dir_all(dir).and_then(|()| [program].into_iter().chain(commands).try_for_each(write));
    written.map_err(|error| Failure::local(format!("{}: {error}", dir.display())))
}

/// The man page of a command. Its exit codes stand where man pages have them.
fn page(command: Command) -> io::Result<String> {
    let mut text = Vec::new();
    Man::new(command).render(&mut text)?;
    Ok(String::from_utf8_lossy(&text).replacen(".SH EXTRA\nExit codes:\n", ".SH \"EXIT STATUS\"\n", 1))
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
