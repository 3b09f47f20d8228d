//! What an idle connection takes: the memory of a process that holds thousands of them, after the hello and one event of
//! 1 KB each.

use crate::{clients, meter, workload::Workload};
use futures::{SinkExt, StreamExt, stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::{
    fs,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// How many connections a process holds.
pub const CONNECTIONS: usize = 5000;

/// How many are being made at a time.
const AT_ONCE: usize = 64;

/// The server: greets, sends one event of 1 KB, and then waits for the end.
pub fn serve() {
    meter::pin(true);
    allow_files();
    crate::flood::end_with_standard_input();
    let event = Workload::down("", 1024, 1, 0).texts().swap_remove(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address").port());
        loop {
            let (tcp, _) = listener.accept().await.expect("a client");
            tokio::spawn(greet(tcp, event.clone()));
        }
    });
}

async fn greet(tcp: TcpStream, event: String) {
    tcp.set_nodelay(true).expect("no delay");
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let Ok(mut socket) = accept_async_with_config(tcp, Some(config)).await else { return };
    socket.next().await.expect("the first frame").expect("the first frame");
    let hello = r#"{"type":"connection.ok","connection_id":"bench","me":{"id":"bench"}}"#;
    socket.send(Message::text(hello)).await.expect("sent");
    socket.send(Message::text(event)).await.expect("sent");
    while socket.next().await.is_some_and(|message| message.is_ok()) {}
}

/// What a client calls for each event.
pub type Count = Arc<AtomicUsize>;

/// The client: holds the connections, waits until each has had its event, and prints bytes per connection.
pub fn run(name: &str, port: u16) {
    meter::pin(false);
    allow_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let count = Count::default();
        let before = memory();
        clients::hold(name, port, count.clone()).await;
        while count.load(Relaxed) < CONNECTIONS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What is under way comes to rest.
        tokio::time::sleep(Duration::from_millis(300)).await;
        println!("{}", (memory() - before) / CONNECTIONS as u64);
        std::process::exit(0);
    });
}

/// Makes the connections, some at a time.
pub async fn make_all<F: Future<Output = T>, T>(make: impl Fn() -> F) -> Vec<T> {
    stream::iter(0..CONNECTIONS).map(|_| make()).buffer_unordered(AT_ONCE).collect().await
}

/// The memory of this process that is not shared, in bytes.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line for it");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") * 1024
}

fn allow_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the kernel tells");
    assert!(most > CONNECTIONS as u64 + 100, "too few open files are allowed: {most}");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("allowed");
}
