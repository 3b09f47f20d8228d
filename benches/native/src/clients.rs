//! The clients that are compared: each dials, greets, counts events by type until the last, and tells what it cost.

mod everwire;
mod ezsockets;
mod plain;

use crate::{
    meter::{self, Meter},
    workload::DONE,
};

/// In the order of the table; the first is what the others are compared with.
pub const NAMES: [&str; 6] =
    [plain::RAW, plain::RAW_16K, everwire::ON, everwire::STREAM, ezsockets::NAME, plain::VALUE];

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
            everwire::ON => everwire::on(port, workload).await,
            everwire::STREAM => everwire::stream(port, workload).await,
            _ => panic!("no such client: {name}"),
        }
    });
}

/// Whether this is the last message: cheap, for clients that do not look at the type.
fn is_last(text: &str) -> bool {
    text.len() < 32 && text.contains(DONE)
}
