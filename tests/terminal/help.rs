//! The help says what is so.

use super::{everwire, far_end::FarEnd, finish, path};
use everwire::{Client, Dialect, Preset, ResumeMode};
use std::{fs, time::Duration};

async fn help(command: &str, option: &str) -> String {
    let run = finish(everwire(&[command, option])).await;
    assert_eq!(run.code(), Some(0), "{run:?}");
    run.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn every_dialect_preset_and_mode_is_named() {
    for option in ["-h", "--help"] {
        let text = help("listen", option).await;
        let names = Dialect::builtin_names().collect::<Vec<_>>().join(", ");
        assert!(text.contains(&format!("{names}; or a file")), "{text}");
        let presets = Preset::ALL.map(Preset::as_str).join(", ");
        assert!(text.contains(&format!("[possible values: {presets}]")), "{text}");
    }
    let modes = [ResumeMode::None, ResumeMode::SequenceId, ResumeMode::FullBuffer].map(ResumeMode::as_str).join(", ");
    assert!(help("listen", "--help").await.contains(&format!("[possible values: {modes}]")));
    // And those that it names in an error.
    let run = finish(everwire(&["listen", "--dialect", "nonsense"])).await;
    for name in Dialect::builtin_names() {
        assert!(run.stderr.contains(name), "{name}: {run:?}");
    }
}

#[tokio::test]
async fn the_defaults_are_those_of_the_client() {
    let client = Client::builder(Dialect::raw()).url("ws://h").build().unwrap();
    let config = client.config();
    let time = |time: Duration| {
        if time < Duration::from_secs(1) { format!("{time:?}") } else { format!("{}s", time.as_secs()) }
    };
    let text = help("listen", "--help").await;
    for (option, default) in [
        ("max-attempts", config.backoff.max_attempts.to_string()),
        ("max-message-size", config.max_message_size.to_string()),
        ("event-capacity", config.event_capacity.to_string()),
        ("outbox-messages", config.outbox.messages.to_string()),
        ("outbox-bytes", config.outbox.bytes.to_string()),
        ("outbox-policy", config.outbox.when_full.as_str().to_owned()),
        ("jitter", config.backoff.jitter.to_string()),
        ("open-timeout", time(config.open_timeout)),
        ("close-timeout", time(config.close_timeout)),
        ("token-timeout", time(config.token_timeout)),
        ("ping-timeout", time(config.ping_timeout)),
        ("backoff-base", time(config.backoff.base)),
        ("backoff-cap", time(config.backoff.cap)),
        ("stable-after", time(config.backoff.stable_after)),
    ] {
        let about = text.split(&format!("--{option} <")).nth(1).unwrap_or_else(|| panic!("--{option}"));
        let about = about.split(" --").next().unwrap();
        assert!(about.contains(&format!("[default: {default}")), "--{option}: {about}");
    }
}

#[tokio::test]
async fn each_command_names_its_own_exit_codes_and_options() {
    for (command, codes, others) in [
        ("listen", &["--count, --seconds", "3 authentication", "4 no connection", "5 events", "130 "][..], &[][..]),
        (
            "send",
            &["every reply printed", "3 authentication", "a reply did not come in time", "130 "],
            &["--count", "--seconds"],
        ),
        ("serve", &["0 ended by the user", "1 local error", "130 "], &["3 ", "4 ", "--count", "--seconds"]),
        ("demo", &["--seconds", "1 local error", "130 "], &["3 authentication", "--count"]),
        ("man", &["0 printed", "1 local error"], &["3 ", "4 ", "130"]),
        ("completions", &["0 printed", "1 local error"], &["3 ", "4 ", "130"]),
    ] {
        let text = help(command, "--help").await;
        let (options, text) = text.split_once("Exit codes: ").unwrap();
        assert!(codes.iter().all(|code| text.contains(code)), "{command}: {text}");
        assert!(others.iter().all(|other| !text.contains(other)), "{command}: {text}");
        // What is promised is there.
        for option in ["--count", "--seconds"] {
            assert!(!text.contains(option) || options.contains(&format!("{option} <")), "{command}: {option}");
        }
    }
    // Options of a command stand under its own heading, not under that of the last group.
    let text = help("listen", "--help").await;
    let times = text.split("Times, such as").nth(1).unwrap();
    assert!(!times.contains("--filter") && !times.contains("--json"), "{times}");
}

#[tokio::test]
async fn man_pages_have_the_exit_codes_where_man_pages_have_them() {
    let folder = path("man");
    let run = finish(everwire(&["man", "--dir", folder.to_str().unwrap()])).await;
    assert_eq!(run.code(), Some(0), "{run:?}");
    for name in ["everwire", "everwire-listen", "everwire-send", "everwire-serve", "everwire-demo", "everwire-man"] {
        let page = fs::read_to_string(folder.join(format!("{name}.1"))).unwrap();
        let codes = page.split(".SH \"EXIT STATUS\"\n").nth(1).unwrap_or_else(|| panic!("{name}: {page}"));
        assert!(codes.trim_start().starts_with('0') && !page.contains(".SH EXTRA"), "{codes}");
    }
    // Each page that the program's own refers to is there.
    let page = fs::read_to_string(folder.join("everwire.1")).unwrap();
    for name in page.lines().filter_map(|line| line.strip_suffix("(1)")) {
        assert!(folder.join(format!("{}.1", name.replace("\\-", "-"))).exists(), "{name}");
    }
}

#[tokio::test]
async fn listen_ends_after_a_time() {
    for time in ["0.2", "200ms"] {
        let far_end = FarEnd::new().await;
        let args = ["listen", &far_end.url, "--dialect", "raw", "--seconds", time];
        let (run, code) = tokio::join!(finish(everwire(&args)), async {
            let mut socket = far_end.accept().await;
            socket.text("one").await;
            let code = socket.close_code().await;
            socket.close(code, "").await;
            code
        });
        assert_eq!((run.code(), code, run.stdout.lines().count()), (Some(0), 1000, 1), "{run:?}");
    }
}

#[tokio::test]
async fn compression_is_offered_when_asked_for() {
    let config = path("options.toml");
    fs::write(&config, "compression = true\ncompression-threshold = 64\n").unwrap();
    let config = config.to_str().unwrap();
    for (more, offered) in [
        (&[][..], false),
        (&["--compression"], true),
        (&["--compression", "--compression-threshold", "1"], true),
        (&["--config", config], true),
    ] {
        let far_end = FarEnd::new().await;
        let args = ["listen", &far_end.url, "--dialect", "raw", "--no-reconnect"];
        let (_, head) = tokio::join!(finish(everwire(&[&args[..], more].concat())), async {
            let (head, _) = far_end.request().await;
            head.to_ascii_lowercase()
        });
        assert_eq!(head.contains("sec-websocket-extensions: permessage-deflate"), offered, "{head}");
    }
}

#[tokio::test]
async fn variables_that_are_empty_count_as_not_set() {
    let mut command = everwire(&["demo", "--port", "0", "--rate", "50", "--seconds", "0.1"]);
    command.env("DEMO_SECONDS", "");
    assert_eq!(finish(command).await.code(), Some(0));
    let mut command = everwire(&["listen", "ws://127.0.0.1:9", "--dialect", "raw", "--no-reconnect"]);
    for name in ["EVERWIRE_CONFIG", "EVERWIRE_PROXY", "EVERWIRE_TOKEN"] {
        command.env(name, "");
    }
    let run = finish(command).await;
    assert_eq!(run.code(), Some(4), "{run:?}");
}
