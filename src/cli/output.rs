//! What is printed: events on stdout, what happens to the connection on stderr, for people or as JSON lines.

use crate::{
    exit::{Failure, PATIENCE},
    lifecycle::{self, Said},
    signal::Interrupt,
    summary,
    writer::{Room, Stopped, Writer},
};
use everwire::{Event, Lifecycle};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    future,
    io::{self, IsTerminal},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

/// How to print, and where. Clones print to the same place.
#[derive(Clone)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
    out: Writer,
    err: Writer,
    /// What people were told last of the connection.
    said: Arc<Mutex<Said>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Result<Self, Failure> {
        // https://no-color.org
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colour = !json && wanted && io::stdout().is_terminal();
        Ok(Self {
            json,
            colour,
            out: Writer::start("stdout", io::stdout())?,
            err: Writer::start("stderr", io::stderr())?,
            said: Arc::default(),
        })
    }

    /// Waits for room for a line on stdout.
    pub(crate) async fn room(&self) -> Result<Room<'_>, Stopped> {
        self.out.room().await
    }

    /// An event as a line.
    pub(crate) fn event(&self, event: &Event) -> String {
        if self.json {
            return json_line(event);
        }
        let name = summary::printable(event.event_type(), 60);
        let about = summary::of(event);
        match self.colour {
            true => format!("\x1b[1;{}m{name:<32}\x1b[0m {about}", colour_of(&name)),
            false => format!("{name:<32} {about}"),
        }
    }

    /// Prints a line of the program's own, once there is room: `text` for people, `json` for programs.
    pub(crate) async fn note(&self, text: &str, json: impl FnOnce() -> Value) -> Result<(), Stopped> {
        self.room().await?.write(self.own(text, json));
        Ok(())
    }

    /// Logs a line. It never waits: a log that nobody reads holds nothing up, and says later how much of it is missing.
    pub(crate) fn log<J: ToString>(&self, text: &str, json: impl FnOnce() -> J) {
        self.out.offer(self.own(text, json), |lines| self.missing(lines));
    }

    /// Tells on stderr what happens to the connection, as [`log`](Self::log) does.
    pub(crate) fn lifecycle(&self, step: &Lifecycle) {
        let line = match self.json {
            true => lifecycle::json(step).map(|json| json.to_string()),
            false => self.said.lock().unwrap_or_else(PoisonError::into_inner).text(step),
        };
        if let Some(line) = line {
            self.err.offer(line, |lines| self.missing(lines));
        }
    }

    /// Waits until everything is written. Once the end was asked for, a reader that does not read is not waited for.
    pub(crate) async fn finish(&self, interrupt: &mut Interrupt) -> Result<(), Stopped> {
        let written = in_time(interrupt, PATIENCE, self.out.flush()).await;
        // What happened to the connection may go unread.
        let _ = timeout(PATIENCE, self.err.flush()).await;
        written
    }

    fn own<J: ToString>(&self, text: &str, json: impl FnOnce() -> J) -> String {
        match (self.json, self.colour) {
            (true, _) => json().to_string(),
            (false, true) => format!("\x1b[1m{text}\x1b[0m"),
            (false, false) => text.to_owned(),
        }
    }

    fn missing(&self, lines: u64) -> String {
        match self.json {
            true => json!({"missing_lines": lines}).to_string(),
            false => format!("… {lines} lines are missing here: they were not read fast enough"),
        }
    }
}

/// Waits until something is printed, but no longer than this time after the end was asked for.
pub(crate) async fn in_time(
    interrupt: &mut Interrupt,
    patience: Duration,
    printing: impl Future<Output = Result<(), Stopped>>,
) -> Result<(), Stopped> {
    let too_late = async {
        interrupt.wait().await;
        elapsed(Some(patience)).await;
    };
    tokio::select! {
        biased;
        printed = printing => printed,
        () = too_late => {
            Err(Stopped::Failed(Failure::unprinted("events are lost: they were received, and the output was not read")))
        }
    }
}

/// Waits for a time; for ever, if there is none.
pub(crate) async fn elapsed(time: Option<Duration>) {
    // A timeout of a future that never ends is a sleep.
    let _ = timeout(time.unwrap_or(Duration::MAX), future::pending::<()>()).await;
}

/// The JSON of a text on one line, if it is JSON (RFC 8259): judged by its grammar alone, so that a number beyond a float or half a
/// surrogate pair makes no difference.
pub(crate) fn one_line(text: &str) -> Option<Cow<'_, str>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    // No string of JSON holds a line break as it is.
    let breaks = ['\n', '\r'];
    let text = text.trim_matches(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    Some(if text.contains(breaks) { text.replace(breaks, " ").into() } else { text.into() })
}

/// An event as one line of JSON: as it came where it is JSON, else as text or bytes in an object. The help of `--json` says so.
fn json_line(event: &Event) -> String {
    let name = event.event_type();
    match event.text() {
        Some(text) => match one_line(text) {
            Some(json) => json.into_owned(),
            None => json!({"type": name, "text": text}).to_string(),
        },
        None => json!({"type": name, "bytes": event.bytes()}).to_string(),
    }
}

/// A colour for a type: the same for all types that begin alike.
fn colour_of(name: &str) -> u32 {
    let family = name.split('.').next().unwrap_or_default();
    31 + family.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_judged_by_its_grammar() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        for text in [r#"{"a":"\ud83d"}"#, "1e999", r#"{"a":1,"a":2}"#, &deep, "123456789012345678901234567890", "null"]
        {
            assert_eq!(one_line(text).as_deref(), Some(text));
        }
        assert_eq!(one_line("\u{feff}{\"a\":\n1}\r\n").as_deref(), Some("{\"a\": 1}"));
        for text in ["", "hello", "{", "{}{}", "{\"a\":\"\n\"}", "01", "NaN", "\u{a0}1"] {
            assert_eq!(one_line(text), None, "{text:?}");
        }
        // As the clients have it.
        let table: Value = serde_json::from_str(include_str!("../proto/json/legal.json")).unwrap();
        let rows = |name: &str| table[name].as_array().unwrap().iter();
        for text in rows("values").chain(rows("messages")).map(|row| row["text"].as_str().unwrap()) {
            let line = one_line(text).unwrap_or_else(|| panic!("{text:?}"));
            assert!(!line.contains(['\n', '\r', '\u{feff}']) || text.contains("\u{2028}"), "{line:?}");
        }
        assert!(rows("illegal").all(|text| one_line(text.as_str().unwrap()).is_none()));
    }
}
