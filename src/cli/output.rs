//! What is printed: events on stdout, what happens to the connection on stderr, for people or as JSON lines.

use crate::summary;
use everwire::{Event, Lifecycle};
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};

/// How to print.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    colour: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        // https://no-color.org
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, colour: !json && wanted && io::stdout().is_terminal() }
    }

    /// Prints an event. Fails when nobody reads stdout any more.
    pub(crate) fn event(self, event: &Event) -> io::Result<()> {
        let line = if self.json {
            json_line(event)
        } else {
            let name = summary::printable(event.event_type(), 60);
            let padded = format!("{name:<32}");
            let about = summary::of(event);
            if self.colour {
                format!("\x1b[1;{}m{padded}\x1b[0m {about}", colour_of(&name))
            } else {
                format!("{padded} {about}")
            }
        };
        self.line(&line)
    }

    /// Prints a line of the program's own: `text` for people, `json` for programs.
    pub(crate) fn note(self, text: &str, json: impl FnOnce() -> Value) -> io::Result<()> {
        if self.json {
            self.line(&json().to_string())
        } else if self.colour {
            self.line(&format!("\x1b[1m{text}\x1b[0m"))
        } else {
            self.line(text)
        }
    }

    fn line(self, line: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(format!("{line}\n").as_bytes())?;
        stdout.flush()
    }

    /// Tells on stderr what happens to the connection.
    pub(crate) fn lifecycle(self, step: &Lifecycle) {
        let (text, json) = match step {
            Lifecycle::Connecting { url, attempt } => (
                format!("connecting to {url} (try {attempt})"),
                json!({"lifecycle": "connecting", "url": **url, "attempt": attempt}),
            ),
            Lifecycle::Connected { connection_id, .. } => {
                let id = connection_id.as_deref();
                let text = id.map_or("connected".to_owned(), |id| format!("connected as {id}"));
                (text, json!({"lifecycle": "connected", "connection_id": id}))
            }
            Lifecycle::Disconnected { error } => {
                (format!("connection lost: {error}"), json!({"lifecycle": "disconnected", "error": error.to_string()}))
            }
            Lifecycle::BackingOff { attempt, delay, error } => (
                format!("try {attempt} in {:.1} s: {error}", delay.as_secs_f64()),
                json!({
                    "lifecycle": "backing-off",
                    "attempt": attempt,
                    "delay": delay.as_secs_f64(),
                    "error": error.to_string(),
                }),
            ),
            Lifecycle::Error(error) => {
                (format!("problem: {error}"), json!({"lifecycle": "error", "error": error.to_string()}))
            }
            Lifecycle::Clamped { setting, asked, used } => (
                format!("{setting}: {asked:?} is out of bounds, {used:?} is used"),
                json!({
                    "lifecycle": "clamped",
                    "setting": setting,
                    "asked": asked.as_secs_f64(),
                    "used": used.as_secs_f64(),
                }),
            ),
            Lifecycle::Closed(cause) => {
                (format!("closed: {cause}"), json!({"lifecycle": "closed", "cause": cause.as_str()}))
            }
            _ => return,
        };
        let line = if self.json { json.to_string() } else { summary::printable(&text, 1000) };
        // When nobody reads stderr there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

/// An event as one line of JSON: as it came where it is JSON, else wrapped.
fn json_line(event: &Event) -> String {
    match (event.json::<Value>(), event.text()) {
        (Ok(_), Some(text)) if !text.contains('\n') => text.to_owned(),
        (Ok(json), _) => json.to_string(),
        (Err(_), Some(text)) => json!({"type": event.event_type(), "text": text}).to_string(),
        (Err(_), None) => json!({"type": event.event_type(), "bytes": event.bytes()}).to_string(),
    }
}

/// A colour for a type: the same for all types that begin alike.
fn colour_of(name: &str) -> u32 {
    let family = name.split('.').next().unwrap_or_default();
    31 + family.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 6
}
