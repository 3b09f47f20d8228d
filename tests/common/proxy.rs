//! A proxy between a client and a server that does to the wire what networks do. What it does may change at any time, and
//! concerns the connections there are and those to come.

#![allow(clippy::disallowed_methods)] // the rule is for the crate

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, tcp::ReadHalf, tcp::WriteHalf},
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

/// What the wire does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// How long each byte is under way, each way.
    pub(crate) latency: Duration,
    /// Bytes a second, each way.
    pub(crate) bandwidth: Option<usize>,
    /// Nothing passes, and nobody is told.
    pub(crate) stall: bool,
    /// After so many bytes to the client, the connection ends like this.
    pub(crate) cut: Option<(usize, Cut)>,
    /// How a client is received.
    pub(crate) door: Door,
    /// Changed to end all connections with a reset.
    pub(crate) resets: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cut {
    /// RST.
    Reset,
    /// The end of the stream, without a close frame.
    End,
    /// No byte more, and no end either.
    Silence,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Door {
    #[default]
    Open,
    /// Nobody listens.
    Refuse,
    /// The connection is made, and that is all.
    Ignore,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (faults, watched) = watch::channel(Faults::default());
        let task = tokio::spawn(serve(listener, address, server, watched));
        Self { address, faults, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on the wire does this.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
    }

    /// Ends every connection with a reset.
    pub(crate) fn reset(&self) {
        self.set(|faults| faults.resets += 1);
    }

    /// The wire is sound again, for those who come.
    pub(crate) fn heal(&self) {
        self.set(|faults| *faults = Faults { resets: faults.resets, ..Faults::default() });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, address: SocketAddr, server: SocketAddr, mut faults: watch::Receiver<Faults>) {
    let mut connections = JoinSet::new();
    let mut listener = Some(listener);
    loop {
        let door = faults.borrow_and_update().door;
        if door == Door::Refuse {
            listener = None;
        } else if listener.is_none() {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_reuseaddr(true).expect("allowed");
            socket.bind(address).expect("the same port");
            listener = Some(socket.listen(64).expect("listens"));
        }
        tokio::select! {
            Ok((client, _)) = async { listener.as_ref().expect("bound").accept().await }, if listener.is_some() => {
                connections.spawn(carry(client, server, faults.clone()));
            }
            changed = faults.changed() => if changed.is_err() { return },
        }
    }
}

/// One connection, until either side or a fault ends it.
async fn carry(mut client: TcpStream, server: SocketAddr, mut faults: watch::Receiver<Faults>) {
    if faults.borrow().door == Door::Ignore {
        return std::future::pending().await;
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let resets = faults.borrow().resets;
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let watched = faults.clone();
        tokio::select! {
            end = pump(from_client, to_server, watched.clone(), false) => end,
            end = pump(from_server, to_client, watched, true) => end,
            _ = faults.wait_for(|faults| faults.resets != resets) => Cut::Reset,
        }
    };
    match end {
        Cut::Reset => client.set_zero_linger().expect("a socket"),
        Cut::End => {}
        Cut::Silence => std::future::pending().await,
    }
}

/// One direction of a connection; tells how it ended.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut faults: watch::Receiver<Faults>, down: bool) -> Cut {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let watched = faults.clone();
    let read = async move {
        let mut buffer = vec![0; 4096];
        while let Ok(size @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + watched.borrow().latency;
            if sender.send((due, buffer[..size].to_vec())).await.is_err() {
                break;
            }
        }
        // What is under way still arrives.
        drop(sender);
        std::future::pending::<Cut>().await
    };
    let write = async move {
        let mut passed = 0;
        while let Some((due, mut piece)) = pieces.recv().await {
            sleep_until(due).await;
            let _ = faults.wait_for(|faults| !faults.stall).await;
            let Faults { bandwidth, cut, .. } = *faults.borrow();
            if let Some(bandwidth) = bandwidth {
                sleep(Duration::from_secs_f64(piece.len() as f64 / bandwidth as f64)).await;
            }
            let cut = cut.filter(|(limit, _)| down && passed + piece.len() >= *limit);
            if let Some((limit, _)) = cut {
                piece.truncate(limit.saturating_sub(passed));
            }
            passed += piece.len();
            if to.write_all(&piece).await.is_err() {
                return Cut::End;
            }
            if let Some((_, how)) = cut {
                // What was written is to arrive before the reset does.
                sleep(Duration::from_millis(100)).await;
                return how;
            }
        }
        Cut::End
    };
    tokio::select! {
        end = read => end,
        end = write => end,
    }
}
