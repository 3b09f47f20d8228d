//! What an event costs natively: CPU of the client process per event, as a ratio to a raw tokio-tungstenite read.
//!
//! `everwire-bench [rounds]` starts a server and, one after the other, the clients, each in a process and on a core of
//! its own. Rounds are interleaved and ratios are taken within a round, so that a machine that slows down slows all.

mod clients;
mod documents;
mod flood;
mod idle;
mod meter;
mod table;
mod workload;

use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};
use workload::Workload;

const USAGE: &str = "usage: everwire-bench [rounds | idle | decoding]";

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["server"] => flood::serve(),
        ["idle-server"] => idle::serve(),
        ["idle-client", name, port] => idle::run(name, port.parse().expect("a port")),
        ["idle"] => compare_idle(),
        ["decoding"] => documents::compare(5),
        ["client", name, port, workload] => clients::run(name, port.parse().expect("a port"), workload),
        [] => {
            compare(5);
            documents::compare(5);
            compare_idle();
        }
        [rounds] => {
            let rounds = rounds.parse().expect(USAGE);
            compare(rounds);
            documents::compare(rounds);
            compare_idle();
        }
        _ => panic!("{USAGE}"),
    }
}

fn compare(rounds: usize) {
    let (_server, port) = start_server("server");
    let (events, floods, messages) = (&Workload::EVENTS[..], &Workload::EVENTS[..2], &Workload::MESSAGES[..]);
    let deflated = &Workload::DEFLATED[..];
    let tables = [
        ("CPU of the client process per event", &clients::NAMES[..], events),
        ("What listeners, patterns and decoding add", &clients::LISTENERS[..], floods),
        ("CPU of the client process per event, with permessage-deflate", &clients::INFLATERS[..], deflated),
        ("CPU of the client process per message sent", &clients::SENDERS[..], messages),
    ];
    let mut all = tables.map(|(title, clients, workloads)| table::Results::new(title, clients, workloads));
    for round in 1..=rounds {
        for results in &mut all {
            for workload in results.workloads {
                for client in results.clients {
                    eprint!("\r\x1b[Kround {round} of {rounds}: {}, {client}", workload.title);
                    results.add(workload, client, measure(client, port, workload));
                }
            }
        }
    }
    eprint!("\r\x1b[K");
    for results in &all {
        results.print(rounds);
    }
}

/// Memory says the same each time: once is enough.
fn compare_idle() {
    println!("\nMemory of an idle connection: KiB, {} in one process\n", idle::CONNECTIONS);
    for client in clients::IDLE_NAMES {
        let (_server, port) = start_server("idle-server");
        let out = output_of(&["idle-client", client, &port.to_string()]);
        let bytes: u64 = out.trim().parse().unwrap_or_else(|_| panic!("{client} failed"));
        println!("{client:<44}{:>17.1}", bytes as f64 / 1024.0);
    }
}

/// What this program prints with these arguments.
fn output_of(args: &[&str]) -> String {
    let mut child = this_program().args(args).stdout(Stdio::piped()).spawn().expect("a client");
    let mut out = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut out).expect("its result");
    assert!(child.wait().expect("its end").success(), "{args:?} failed");
    out
}

/// The server's process, killed when it is no longer needed.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_server(kind: &str) -> (Server, u16) {
    let mut child = this_program().arg(kind).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a server");
    let stdout: ChildStdout = child.stdout.take().expect("a pipe");
    let server = Server(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("the server's port");
    (server, line.trim().parse().expect("the server's port"))
}

fn measure(client: &str, port: u16, workload: &Workload) -> meter::Measured {
    let out = output_of(&["client", client, &port.to_string(), &workload.key()]);
    let measured: meter::Measured = out.parse().expect("a result");
    assert_eq!(measured.events + measured.dropped, workload.events, "{client} lost events at {}", workload.title);
    measured
}

fn this_program() -> Command {
    Command::new(env::current_exe().expect("this program"))
}
