//! An installed program does what the README shows, wherever it runs.

use super::{everwire, finish, path, soon};
use serde_json::Value;
use std::{fs, path::PathBuf};
use tokio::io::{AsyncBufReadExt, BufReader};

/// A folder without anything of the repository.
fn elsewhere() -> PathBuf {
    let folder = path("elsewhere");
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn the_commands_of_the_readme_work_outside_the_repository() {
    let readme = include_str!("../../README.md");
    let commands: Vec<Vec<&str>> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("everwire "))
        .map(|line| line.split(" #").next().unwrap().split_whitespace().collect())
        .collect();
    let command = |name: &str| commands.iter().find(|words| words[0] == name).unwrap_or_else(|| panic!("{name}"));
    // As it stands there, but for the port, which another may have, and the pace.
    let serve = [command("serve"), &["--port", "0", "--json", "--rate", "50"][..]].concat();
    let mut server = everwire(&serve).current_dir(elsewhere()).spawn().unwrap();
    let mut log = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = soon(log.next_line()).await.unwrap().expect("it listens");
    let url = serde_json::from_str::<Value>(&line).unwrap()["url"].as_str().unwrap().to_owned();
    let listen: Vec<_> = command("listen")
        .iter()
        .map(|word| if *word == "http://127.0.0.1:8080" { &*url } else { word.trim_matches('\'') })
        .chain(["--count", "3"])
        .collect();
    assert!(listen.contains(&&*url), "{listen:?}");
    let run = finish_elsewhere(&listen).await;
    assert_eq!(run.code(), Some(0), "{run:?}");
    for line in run.stdout.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["type"].as_str().unwrap().starts_with("issues."), "{event}");
    }
    assert_eq!(run.stdout.lines().count(), 3);
    let run = finish_elsewhere(command("completions")).await;
    assert_eq!(run.code(), Some(0));
}

async fn finish_elsewhere(args: &[&str]) -> super::Run {
    let mut command = everwire(args);
    command.current_dir(elsewhere());
    finish(command).await
}

#[tokio::test]
async fn the_demo_runs_without_its_page_and_says_where_it_is() {
    let run = finish_elsewhere(&["demo", "--port", "0", "--seconds", "1", "--rate", "50"]).await;
    assert_eq!(run.code(), Some(0), "{run:?}");
    let lines: Vec<_> = run.stdout.lines().collect();
    assert!(lines[0].contains("without the page") && lines[0].contains("--www"), "{}", lines[0]);
    assert!(lines.iter().any(|line| line.starts_with("issues.opened")), "{run:?}");
    assert!(lines.last().unwrap().contains("events received natively"), "{run:?}");
}

#[tokio::test]
async fn events_of_a_file_take_the_place_of_its_own() {
    let events = path("events.json");
    fs::write(&events, r#"[{"name":"tide","examples":[{"action":"in"},{"action":"out"}]}]"#).unwrap();
    let args = ["demo", "--port", "0", "--seconds", "1", "--rate", "50", "--events", events.to_str().unwrap()];
    let run = finish_elsewhere(&args).await;
    assert!(run.stdout.contains("\ntide.in ") && run.stdout.contains("\ntide.out "), "{run:?}");
    assert!(!run.stdout.contains("issues."), "{run:?}");
    let missing = ["demo", "--port", "0", "--events", "/nowhere.json"];
    let run = finish_elsewhere(&missing).await;
    assert_eq!(run.code(), Some(1));
    assert!(run.stderr.contains("/nowhere.json: No such file"), "{run:?}");
}
