//! The lines of stdin, read by a thread of their own, which nothing waits for: stdin may stay open for ever.

use crate::exit::Failure;
use std::{
    io::{self, BufRead, Read},
    thread,
};
use tokio::sync::mpsc;

/// How many lines may wait to be sent.
const WAITING: usize = 64;

/// The longest line, in bytes.
const MAX_LINE: u64 = 64 << 20;

/// The lines, without their ends; after one that cannot be read nothing follows.
pub(crate) fn lines() -> Result<mpsc::Receiver<Result<String, Failure>>, Failure> {
    let (sender, lines) = mpsc::channel(WAITING);
    let run = move || {
        let mut input = io::stdin().lock();
        let mut number = 1_u64;
        while let Some(line) = next(&mut input).transpose() {
            let is_last = line.is_err();
            let line = line.map_err(|error| Failure::local(format!("stdin, line {number}: {error}")));
            if sender.blocking_send(line).is_err() || is_last {
                return;
            }
            number += 1;
        }
    };
    let started = thread::Builder::new().name("stdin".to_owned()).spawn(run);
    started.map_err(|error| Failure::local(format!("cannot start a thread: {error}")))?;
    Ok(lines)
}

/// The next line; `None` at the end.
fn next(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let size = input.take(MAX_LINE + 1).read_until(b'\n', &mut line)?;
    if size == 0 {
        return Ok(None);
    }
    if size as u64 > MAX_LINE {
        return Err(io::Error::other(format!("longer than {MAX_LINE} bytes")));
    }
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    String::from_utf8(line).map(Some).map_err(|_| io::Error::other("not UTF-8: send it with --binary"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_every_way_that_lines_end() {
        let mut input = &b"a\nb\r\n\nc"[..];
        let mut lines = Vec::new();
        while let Some(line) = next(&mut input).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, ["a", "b", "", "c"]);
        assert!(next(&mut &b"a\xff\n"[..]).unwrap_err().to_string().contains("--binary"));
    }
}
