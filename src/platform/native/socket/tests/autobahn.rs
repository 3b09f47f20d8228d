//! Autobahn's fuzzing server against the native socket, all cases but compression, compared with a committed table.
//!
//! The cases are played by kosoku, which `scripts/setup test` installs. `EVERWIRE_BLESS=1` writes the table anew.

#[path = "../../../../../tests/common/mod.rs"]
mod common;

use super::*;
use common::Peer;
use serde_json::Value;
use std::{collections::BTreeMap, env, fmt::Write, fs, path::Path, process::Command};
use tokio::time::timeout;

const AGENT: &str = "everwire";
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/autobahn/expected.json");

/// How a case went: the behaviour, and how the connection was closed.
type Results = BTreeMap<String, [String; 2]>;

#[tokio::test]
async fn every_case_goes_as_expected() {
    let reports = env::temp_dir().join(format!("everwire-autobahn-{}", std::process::id()));
    let played = timeout(Duration::from_secs(180), play_all(&reports)).await.expect("within three minutes");
    let results = read_reports(&reports);
    assert_eq!(results.len(), played, "every case has a result");
    fs::remove_dir_all(&reports).expect("the reports are there");
    if env::var_os("EVERWIRE_BLESS").is_some() {
        fs::write(TABLE, to_table(&results)).expect("the table is written");
    }
    let expected: Results = serde_json::from_str(&fs::read_to_string(TABLE).expect("the table")).expect("JSON");
    let differences = differences(&expected, &results);
    assert!(differences.is_empty(), "case: expected → got\n{differences}");
}

/// Plays every case, and tells how many there are.
async fn play_all(reports: &Path) -> usize {
    let free = TcpListener::bind("127.0.0.1:0").await.and_then(|free| free.local_addr());
    let port = free.expect("a free port").port();
    // It says on its standard error that it listens.
    let mut kosoku = Command::new("sh");
    kosoku.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(common::python_program("kosoku"));
    kosoku.args(["-m", "fuzzingserver", &format!("127.0.0.1:{port}"), "-o"]).arg(reports);
    kosoku.args(["-x", "12.*", "-x", "13.*"]);
    let mut server = Peer::start(kosoku);
    server.line_with("listening").await;
    let base = format!("ws://127.0.0.1:{port}");
    let count: usize = ask(format!("{base}/getCaseCount")).await.parse().expect("the number of cases");
    for case in 1..=count {
        echo(format!("{base}/runCase?case={case}&agent={AGENT}")).await;
    }
    end(&mut open(format!("{base}/updateReports?agent={AGENT}")).await).await;
    // It writes the reports on its way out.
    server.ended().await;
    count
}

async fn open(url: String) -> Socket {
    let connector = SocketConnector::new(SocketConfig::new(64 << 20)).expect("a connector");
    connector.dial(request(url)).await.expect("a socket")
}

async fn ask(url: String) -> String {
    let mut socket = open(url).await;
    let answer = text_of(next(&mut socket).await);
    end(&mut socket).await;
    answer
}

/// Sends back what comes until the connection ends, however it does. What came before a violation is answered before it.
async fn echo(url: String) {
    let mut socket = open(url).await;
    loop {
        let answer = match next(&mut socket).await {
            Incoming::Message(event) => match event.text() {
                Some(text) => Message::from(text),
                None => event.bytes().to_vec().into(),
            },
            Incoming::Alive | Incoming::Pong => continue,
            Incoming::Closed(_) => return,
        };
        socket.send(answer).expect("there is room");
        poll_fn(|cx| socket.poll_flush(cx)).await;
    }
}

fn read_reports(reports: &Path) -> Results {
    let index = fs::read_to_string(reports.join("index.json")).expect("the index of the reports");
    let index: Value = serde_json::from_str(&index).expect("JSON");
    let word = |case: &Value, name: &str| case[name].as_str().expect("a behaviour").to_owned();
    let cases = index[AGENT].as_object().expect("our cases").iter();
    cases.map(|(id, case)| (id.clone(), [word(case, "behavior"), word(case, "behaviorClose")])).collect()
}

/// One line a case, in the order of the numbers.
fn to_table(results: &Results) -> String {
    let mut cases: Vec<_> = results.iter().collect();
    cases.sort_by_key(|(id, _)| id.split('.').map(|part| part.parse().expect("a number")).collect::<Vec<u32>>());
    let lines: Vec<_> =
        cases.iter().map(|(id, [case, close])| format!("  \"{id}\": [\"{case}\", \"{close}\"]")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn differences(expected: &Results, got: &Results) -> String {
    let mut text = String::new();
    for id in expected.keys().chain(got.keys().filter(|id| !expected.contains_key(*id))) {
        let (expected, got) = (expected.get(id), got.get(id));
        if expected != got {
            _ = writeln!(text, "{id}: {expected:?} → {got:?}");
        }
    }
    text
}
