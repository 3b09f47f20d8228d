//! The options of a file (`--config`): a TOML document whose keys are the long options, with or without dashes.
//!
//! ```toml
//! url = "wss://feed.example.com"
//! dialect = "raw"
//! ping-interval = "20s"
//! header = ["X-One: 1", "X-Two: 2"]
//! no_reconnect = true
//!
//! [param]
//! user_id = "alice"
//! user_details = { name = "Alice" }
//! ```

use crate::exit::Failure;
use std::{ffi::OsString, fs, path::Path};
use toml::{Table, Value};

/// The options in a file, as they would stand on the command line.
pub(crate) fn options(path: &Path) -> Result<Vec<OsString>, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    // The message of the parser shows the line, which may hold a token: where it is says enough.
    let table: Table = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        Failure::usage(format!("{}: line {line}: no TOML", path.display()))
    })?;
    let mut options = Vec::new();
    for (key, value) in table {
        add(&mut options, &key.replace('_', "-"), value)
            .map_err(|what| Failure::usage(format!("{}: {key}: {what}", path.display())))?;
    }
    Ok(options)
}

fn add(options: &mut Vec<OsString>, key: &str, value: Value) -> Result<(), &'static str> {
    match value {
        Value::Array(items) => items.into_iter().try_for_each(|item| add(options, key, item)),
        Value::Table(members) => {
            for (name, value) in members {
                let text = match value {
                    Value::String(text) => format!("{name}={text}"),
                    value => {
                        let json = serde_json::to_string(&value).map_err(|_| "has no JSON")?;
                        format!("{name}:={json}")
                    }
                };
                options.push(format!("--{key}={text}").into());
            }
            Ok(())
        }
        Value::Boolean(true) => {
            options.push(format!("--{key}").into());
            Ok(())
        }
        Value::Boolean(false) => Ok(()),
        Value::String(text) => {
            options.push(format!("--{key}={text}").into());
            Ok(())
        }
        Value::Integer(number) => {
            options.push(format!("--{key}={number}").into());
            Ok(())
        }
        Value::Float(number) => {
            options.push(format!("--{key}={number}").into());
            Ok(())
        }
        Value::Datetime(_) => Err("must be a string, a number, true or false, a list or a table"),
    }
}
