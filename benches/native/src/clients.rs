//! The clients that are compared: each dials, greets, counts events by type until the last, and tells what it cost.

mod everwire;
mod ezsockets;
mod plain;
mod yawc;

use crate::{
    documents::{Few, Whole},
    idle::Count,
    meter::{self, Meter},
    workload::DONE,
};
use ::everwire::codec::{FastJson, Json};

/// In the order of the table; the first is what the others are compared with.
pub const NAMES: [&str; 6] =
    [plain::RAW, plain::RAW_16K, everwire::ON, everwire::STREAM, ezsockets::NAME, plain::VALUE];

/// What a program may ask of the events.
pub const LISTENERS: [&str; 13] = [
    plain::RAW,
    everwire::ONE,
    everwire::WILDCARDS,
    everwire::TEN,
    everwire::THOUSAND,
    everwire::STREAM,
    everwire::FEW,
    everwire::FEW_FAST,
    everwire::FEW_BORROWED,
    everwire::WHOLE,
    everwire::WHOLE_FAST,
    everwire::BORROWED,
    plain::VALUE,
];

/// Those who read what was compressed; the first reads the same uncompressed.
pub const INFLATERS: [&str; 3] = [plain::NOT_DEFLATED, yawc::NAME, everwire::DEFLATED];

/// Those who write.
pub const SENDERS: [&str; 4] = [plain::SEND, plain::FEED, everwire::SEND, everwire::SEND_MANY];

/// Those whose memory is compared while they are idle.
pub const IDLE_NAMES: [&str; 4] = [plain::RAW, plain::RAW_16K, everwire::ON, everwire::SMALL];

/// The first frame of the dialect `stream`.
const AUTH: &str = r#"{"token":"bench","user_details":{"id":"bench"}}"#;

pub fn run(name: &str, port: u16, workload: &str) {
    meter::pin(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let url = format!("ws://127.0.0.1:{port}/api/v2/connect?api_key={workload}&stream-auth-type=jwt");
    runtime.block_on(async {
        match name {
            plain::RAW => plain::raw(&url, plain::DEFAULT_BUFFER).await,
            plain::RAW_16K => plain::raw(&url, 16 * 1024).await,
            plain::VALUE => plain::value(&url).await,
            ezsockets::NAME => ezsockets::run(&url).await,
            plain::SEND => plain::send(&url, workload, 1).await,
            plain::FEED => plain::send(&url, workload, BATCH).await,
            everwire::STREAM => everwire::stream(port, workload).await,
            everwire::SEND => everwire::send(port, workload, 1).await,
            everwire::SEND_MANY => everwire::send(port, workload, BATCH).await,
            plain::NOT_DEFLATED => {
                plain::raw(url.replace(workload, workload.trim_end_matches('z')).as_str(), plain::DEFAULT_BUFFER).await
            }
            yawc::NAME => yawc::run(&url).await,
            everwire::FEW => everwire::typed::<Json, Few>(port, workload).await,
            everwire::FEW_FAST => everwire::typed::<FastJson, Few>(port, workload).await,
            everwire::WHOLE => everwire::typed::<Json, Whole>(port, workload).await,
            everwire::WHOLE_FAST => everwire::typed::<FastJson, Whole>(port, workload).await,
            everwire::FEW_BORROWED | everwire::BORROWED => everwire::borrowed(name, port, workload).await,
            name if everwire::LISTENING.contains(&name) => everwire::on(name, port, workload).await,
            _ => panic!("no such client: {name}"),
        }
    });
}

/// How many messages are sent before their writing is awaited, by those who send many.
const BATCH: usize = 64;

/// Holds idle connections, and counts the events that come.
pub async fn hold(name: &str, port: u16, count: Count) {
    match name {
        plain::RAW => plain::hold(port, plain::DEFAULT_BUFFER, &count).await,
        plain::RAW_16K => plain::hold(port, 16 * 1024, &count).await,
        everwire::ON => everwire::hold(port, false, &count).await,
        everwire::SMALL => everwire::hold(port, true, &count).await,
        _ => panic!("no such client: {name}"),
    }
}

/// Whether this is the last message: cheap, for clients that do not look at the type.
fn is_last(text: &str) -> bool {
    text.len() < 32 && text.contains(DONE)
}
