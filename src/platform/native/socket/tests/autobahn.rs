//! Autobahn's fuzzing server against the native socket, all cases, compared with committed tables.
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
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/autobahn/");

/// How a case went: the behaviour, and how the connection was closed.
type Results = BTreeMap<String, [String; 2]>;

#[tokio::test]
async fn every_case_goes_as_expected() {
    check("expected.json", false, &["-x", "12.*", "-x", "13.*"]).await;
}

/// S2-9: one case of compression of each kind. All 216 are played, which takes minutes, with `EVERWIRE_AUTOBAHN=all`. The
/// table has them all: those are unimplemented in which the server wants to be asked for a smaller window, or for less
/// memory of its own, which the client does not ask for.
#[cfg(feature = "deflate")]
#[tokio::test]
async fn every_case_of_compression_goes_as_expected() {
    let all = env::var("EVERWIRE_AUTOBAHN").is_ok_and(|which| which == "all");
    let kinds = (1..=5).map(|kind| (12, kind)).chain((1..=7).map(|kind| (13, kind)));
    let some = kinds.map(|(group, kind)| format!("{group}.{kind}.5")).collect();
    let cases = if all { vec!["12.*".to_owned(), "13.*".to_owned()] } else { some };
    let options: Vec<_> = cases.iter().flat_map(|case| ["-i", case]).collect();
    check("deflate.json", true, &options).await;
}

/// Plays the cases that these options choose, and compares the results with this table.
async fn check(table: &str, compression: bool, options: &[&str]) {
    let table = [FOLDER, table].concat();
    let reports = env::temp_dir().join(format!("everwire-autobahn-{}-{compression}", std::process::id()));
    let played = timeout(Duration::from_secs(1200), play_all(&reports, compression, options));
    let played = played.await.expect("in time");
    let results = read_reports(&reports);
    assert_eq!(results.len(), played, "every case has a result");
    fs::remove_dir_all(&reports).expect("the reports are there");
    if env::var_os("EVERWIRE_BLESS").is_some() {
        fs::write(&table, to_table(&results)).expect("the table is written");
    }
    let mut expected: Results = serde_json::from_str(&fs::read_to_string(table).expect("the table")).expect("JSON");
    expected.retain(|case, _| !compression || results.contains_key(case));
    let differences = differences(&expected, &results);
    assert!(differences.is_empty(), "case: expected → got\n{differences}");
}

/// Plays every case, and tells how many there are.
async fn play_all(reports: &Path, compression: bool, options: &[&str]) -> usize {
    let free = TcpListener::bind("127.0.0.1:0").await.and_then(|free| free.local_addr());
    let port = free.expect("a free port").port();
    // It says on its standard error that it listens.
    let mut kosoku = Command::new("sh");
    kosoku.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(common::python_program("kosoku"));
    kosoku.args(["-m", "fuzzingserver", &format!("127.0.0.1:{port}"), "-o"]).arg(reports);
    kosoku.args(options);
    let mut server = Peer::start(kosoku);
    server.line_with("listening").await;
    let base = format!("ws://127.0.0.1:{port}");
    let count: usize = ask(format!("{base}/getCaseCount")).await.parse().expect("the number of cases");
    for case in 1..=count {
        echo(format!("{base}/runCase?case={case}&agent={AGENT}"), compression).await;
    }
    end(&mut open(format!("{base}/updateReports?agent={AGENT}"), false).await).await;
    // It writes the reports on its way out.
    server.ended().await;
    count
}

async fn open(url: String, compression: bool) -> Socket {
    let mut config = SocketConfig::new(64 << 20);
    config.options.compression(compression);
    if compression {
        config.options.compression_threshold(0);
    }
    let connector = SocketConnector::new(config).expect("a connector");
    connector.dial(request(url)).await.expect("a socket")
}

async fn ask(url: String) -> String {
    let mut socket = open(url, false).await;
    let answer = text_of(next_message(&mut socket).await);
    end(&mut socket).await;
    answer
}

/// Sends back what comes until the connection ends, however it does. What came before a violation is answered before it.
async fn echo(url: String, compression: bool) {
    let mut socket = open(url, compression).await;
    loop {
        let answer = match next_message(&mut socket).await {
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
