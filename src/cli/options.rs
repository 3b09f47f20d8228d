//! Settings of the library under the names of the options that set them: an error says what to change on the command line.

use crate::args::Cli;
use clap::CommandFactory;
use everwire::Error;

/// Settings whose option has another name. Any other has its own, with dashes.
const OPTIONS: [(&str, &str); 13] = [
    ("api_secret", "--secret"),
    ("url", "URL"),
    ("backoff.base", "--backoff-base"),
    ("backoff.cap", "--backoff-cap"),
    ("backoff.jitter", "--jitter"),
    ("breaker.failures", "--breaker"),
    ("breaker.pause", "--breaker-pause"),
    ("client_certificate", "--client-cert"),
    ("client_certificate.key", "--client-key"),
    ("outbox.ttl", "--outbox-ttl"),
    ("resume_from", "--resume-file"),
    ("root_certificate", "--ca"),
    ("root_certificate[0]", "--ca"),
];

/// The text of an error, with options in the place of settings.
pub(crate) fn named(error: &Error) -> String {
    let text = error.to_string();
    let path = error.path().unwrap_or_default();
    let (mut named, rest) = match option(path) {
        Some(option) => (option, &text[path.len()..]),
        None => (String::new(), text.as_str()),
    };
    // Settings stand between backticks.
    for (index, part) in rest.split('`').enumerate() {
        let is_setting = index % 2 == 1;
        match is_setting.then(|| option(part)) {
            Some(Some(option)) => named.push_str(&option),
            Some(None) => named.extend(["`", part, "`"]),
            None => named.push_str(part),
        }
    }
    named
}

/// The option that sets this, or the setting itself.
pub(crate) fn of(setting: &str) -> String {
    option(setting).unwrap_or_else(|| setting.to_owned())
}

/// The option that sets this, if there is one.
fn option(setting: &str) -> Option<String> {
    if setting.is_empty() {
        return None;
    }
    if let Some((_, option)) = OPTIONS.iter().find(|(name, _)| *name == setting) {
        return Some((*option).to_owned());
    }
    if let Some(name) = setting.strip_prefix("params.") {
        return Some(format!("--param {name}"));
    }
    let long = setting.replace('_', "-");
    let cli = Cli::command();
    let known =
        cli.get_subcommands().flat_map(|command| command.get_arguments()).any(|arg| arg.get_long() == Some(&long));
    known.then(|| format!("--{long}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwire::ErrorKind;

    #[test]
    fn settings_are_named_as_options() {
        for (setting, wanted) in [
            ("url", Some("URL")),
            ("max_attempts", Some("--max-attempts")),
            ("auth_deadline", Some("--auth-deadline")),
            ("backoff.jitter", Some("--jitter")),
            ("root_certificate[0]", Some("--ca")),
            ("params.user_id", Some("--param user_id")),
            ("hello.types", None),
            ("", None),
            ("sequence", None),
        ] {
            assert_eq!(option(setting).as_deref(), wanted, "{setting}");
        }
        let error = Error::new(ErrorKind::Config, "must be less than `max_attempts`, or `x`");
        assert_eq!(named(&error), "must be less than --max-attempts, or `x`");
    }

    #[test]
    fn every_option_that_is_named_is_there() {
        let cli = Cli::command();
        for (_, option) in OPTIONS {
            let mut arguments = cli.get_subcommands().flat_map(|command| command.get_arguments());
            let known = arguments.any(|arg| arg.get_long() == option.strip_prefix("--"));
            assert!(known || option == "URL", "{option}");
        }
    }
}
