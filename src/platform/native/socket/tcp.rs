//! TCP to a name: looks it up without holding up the end of the program, and races its addresses (Happy Eyeballs, RFC 8305), so
//! that a dead one costs a quarter of a second and not the whole time for opening.

use crate::{
    platform::{Clock, Sleep},
    proto::{Error, ErrorKind},
};
use futures::{StreamExt, channel::oneshot, stream::FuturesUnordered};
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    task::Poll,
    thread,
    time::Duration,
};
use tokio::{net::TcpStream, sync::Semaphore};

/// How long an address has for itself before the next one is tried beside it (RFC 8305, 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// How many names may be looked up at once in one program. A lookup that was given up still takes its place until the system
/// has given up, too.
const LOOKUPS: usize = 64;

static FREE_LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS);

/// A connection to a host, by whichever of its addresses answers first. `unreachable` says what cannot be reached.
pub(super) async fn connect(host: &str, port: u16, unreachable: &'static str) -> Result<TcpStream, Error> {
    let failed = |message, error| Error::new(ErrorKind::Connect, message).with_source(error);
    let resolve = move |host: &str| Ok((host, port).to_socket_addrs()?.collect());
    let addresses = lookup(host, port, resolve).await.map_err(|error| failed(unreachable, error))?;
    let tcp = race(in_turn(addresses), TcpStream::connect).await.map_err(|error| failed(unreachable, error))?;
    // Small messages must not wait for the acknowledgement of the one before.
    tcp.set_nodelay(true).map_err(|error| failed("the socket cannot be set up", error))?;
    Ok(tcp)
}

/// The addresses of a host. The system's resolver blocks, for as long as it likes: it runs on a thread that nobody waits for.
/// One of the runtime's would hold up its end.
async fn lookup(
    host: &str,
    port: u16,
    resolve: impl FnOnce(&str) -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let free = FREE_LOOKUPS.acquire().await.map_err(io::Error::other)?;
    let (sender, resolved) = oneshot::channel();
    let host = host.to_owned();
    thread::Builder::new().name("everwire lookup".to_owned()).spawn(move || {
        // Nobody may be left who wants to know.
        let _ = sender.send(resolve(&host));
        drop(free);
    })?;
    resolved.await.map_err(io::Error::other)?
}

/// The addresses in the order in which they are tried: the families take turns, beginning with that of the first one (RFC
/// 8305, 4).
fn in_turn(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == is_v6);
    let mut ordered = VecDeque::new();
    while let Some(address) = first.pop_front() {
        ordered.push_back(address);
        ordered.extend(second.pop_front());
    }
    ordered.extend(second);
    ordered
}

/// Tries one address after the other, each as soon as one has failed or had its head start. The first that answers wins, and the
/// others are dropped. Where all fail, the error says how each did.
async fn race<T, F: Future<Output = io::Result<T>>>(
    mut addresses: VecDeque<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T> {
    let attempt = |address| {
        let connecting = connect(address);
        async move { connecting.await.map_err(|error| (address, error)) }
    };
    let clock = Clock::start();
    let mut attempts = FuturesUnordered::new();
    let mut failures = Vec::new();
    while let Some(address) = addresses.pop_front() {
        attempts.push(attempt(address));
        let mut head_start = Sleep::until(&clock, clock.now() + HEAD_START);
        let done = poll_fn(|cx| match attempts.poll_next_unpin(cx) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending if addresses.is_empty() => Poll::Pending,
            Poll::Pending => head_start.poll(cx).map(|()| None),
        });
        match done.await {
            Some(Ok(connected)) => return Ok(connected),
            Some(Err(failure)) => failures.push(failure),
            None => {}
        }
    }
    while let Some(done) = attempts.next().await {
        match done {
            Ok(connected) => return Ok(connected),
            Err(failure) => failures.push(failure),
        }
    }
    Err(all_failed(failures))
}

/// One error for all addresses.
fn all_failed(mut failures: Vec<(SocketAddr, io::Error)>) -> io::Error {
    match (failures.len(), failures.pop()) {
        (_, None) => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
        (1, Some((_, error))) => error,
        (_, Some(last)) => {
            let kind = last.1.kind();
            failures.push(last);
            let each: Vec<String> = failures.iter().map(|(address, error)| format!("{address}: {error}")).collect();
            io::Error::new(kind, each.join("; "))
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests look at the clock
mod tests {
    use super::*;
    use std::{
        future::pending,
        sync::{Arc, Mutex, mpsc},
    };
    use tokio::{
        net::{TcpListener, TcpSocket},
        time::Instant,
    };

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|ip| SocketAddr::new(ip.parse().expect("an address"), 80)).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_resolvers_first() {
        for (given, wanted) in [
            (&[][..], &[][..]),
            (&["1.1.1.1"], &["1.1.1.1"]),
            (&["1.1.1.1", "1.1.1.2"], &["1.1.1.1", "1.1.1.2"]),
            (&["::1", "::2", "1.1.1.1", "1.1.1.2", "1.1.1.3"], &["::1", "1.1.1.1", "::2", "1.1.1.2", "1.1.1.3"]),
            (&["1.1.1.1", "::1", "::2", "::3"], &["1.1.1.1", "::1", "::2", "::3"]),
            (&["::1", "::2", "1.1.1.1"], &["::1", "1.1.1.1", "::2"]),
        ] {
            assert_eq!(in_turn(addresses(given)), addresses(wanted), "{given:?}");
        }
    }

    /// How an address behaves.
    #[derive(Clone, Copy)]
    enum Is {
        Dead,
        Refusing,
        /// Answers after so many milliseconds.
        Good(u64),
    }

    /// Races addresses that behave so. Gives who won, or the failure; when each was dialled, in milliseconds; and how long it took.
    async fn raced(how: &[Is]) -> (Result<usize, String>, Vec<u128>, u128) {
        let began = Instant::now();
        let list: VecDeque<_> = (0..how.len() as u8).map(|n| SocketAddr::new([10, 0, 0, n].into(), 80)).collect();
        let dialled = Mutex::new(Vec::new());
        let alive = Arc::new(());
        let outcome = race(list.clone(), |address| {
            let held = alive.clone();
            let place = list.iter().position(|known| *known == address).expect("one of them");
            dialled.lock().expect("whole").push(began.elapsed().as_millis());
            let how = how[place];
            async move {
                let _held = held;
                match how {
                    Is::Dead => pending().await,
                    Is::Refusing => Err(io::ErrorKind::ConnectionRefused.into()),
                    Is::Good(millis) => {
                        tokio::time::sleep(Duration::from_millis(millis)).await;
                        Ok(place)
                    }
                }
            }
        })
        .await;
        assert_eq!(Arc::strong_count(&alive), 1, "the losers are dropped");
        (outcome.map_err(|error| error.to_string()), dialled.into_inner().expect("whole"), began.elapsed().as_millis())
    }

    // RFC 8305, on virtual time.
    #[tokio::test(start_paused = true)]
    async fn the_next_address_follows_after_a_quarter_of_a_second_or_a_failure() {
        use Is::{Dead, Good, Refusing};
        let quick = |took: u128, wanted: u128| (wanted..wanted + 5).contains(&took);
        for (how, winner, dialled, took) in [
            (&[Good(10)][..], 0, &[0][..], 10),
            (&[Good(200), Good(0)], 0, &[0], 200),
            (&[Dead, Good(10)], 1, &[0, 250], 260),
            (&[Refusing, Good(10)], 1, &[0, 0], 10),
            (&[Dead, Refusing, Dead, Good(1)], 3, &[0, 250, 250, 500], 501),
            // The first may still win after the second was begun.
            (&[Good(300), Good(300)], 0, &[0, 250], 300),
            (&[Good(900), Good(100)], 1, &[0, 250], 350),
        ] {
            let (won, at, all) = raced(how).await;
            assert_eq!((won, at.len()), (Ok(winner), dialled.len()));
            assert!(at.iter().zip(dialled).all(|(at, wanted)| quick(*at, *wanted)), "{at:?} {dialled:?}");
            assert!(quick(all, took), "{all} {took}");
        }
        let (failed, ..) = raced(&[Refusing, Refusing]).await;
        assert_eq!(failed, Err("10.0.0.0:80: connection refused; 10.0.0.1:80: connection refused".into()));
        assert_eq!(raced(&[Refusing]).await.0, Err("connection refused".into()));
        assert_eq!(raced(&[]).await.0, Err("the name has no address".into()));
        assert!(tokio::time::timeout(Duration::from_secs(3600), raced(&[Dead, Dead])).await.is_err());
    }

    /// An address whose queue of connections is full, so that the system drops what asks for one.
    async fn dead() -> (SocketAddr, Vec<TcpStream>, TcpListener) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
        let listener = socket.listen(0).expect("listening");
        let address = listener.local_addr().expect("bound");
        let mut fill = Vec::new();
        while let Ok(Ok(tcp)) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            fill.push(tcp);
        }
        (address, fill, listener)
    }

    #[tokio::test]
    async fn a_real_address_that_swallows_syns_is_passed_over() {
        let (dead, _fill, _queue) = dead().await;
        let good = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = good.local_addr().expect("bound");
        let began = Instant::now();
        let racing = race([dead, address].into(), TcpStream::connect);
        let tcp = tokio::time::timeout(Duration::from_secs(20), racing).await.expect("in time").expect("connected");
        assert_eq!(tcp.peer_addr().expect("an address"), address);
        assert!(began.elapsed() >= HEAD_START);
    }

    // A dead resolver holds up neither the time for opening nor the end of the runtime.
    #[test]
    fn a_resolver_that_hangs_holds_up_nobody() {
        for flavour in 0..2 {
            let ((hang, hung), (done, ended)) = (mpsc::channel::<()>(), mpsc::channel());
            let hung = Mutex::new(hung);
            thread::spawn(move || {
                let mut builder = match flavour {
                    0 => tokio::runtime::Builder::new_current_thread(),
                    _ => tokio::runtime::Builder::new_multi_thread(),
                };
                let runtime = builder.enable_all().build().expect("a runtime");
                let resolve = move |_: &str| {
                    let _ = hung.lock().expect("whole").recv();
                    Ok(Vec::new())
                };
                runtime.block_on(async {
                    let looking = lookup("dead.example", 80, resolve);
                    assert!(tokio::time::timeout(Duration::from_millis(50), looking).await.is_err());
                });
                drop(runtime);
                done.send(()).expect("the test waits");
            });
            ended.recv_timeout(Duration::from_secs(20)).expect("the runtime has ended while the resolver hangs");
            drop(hang);
        }
    }

    #[tokio::test]
    async fn an_address_needs_no_lookup() {
        for host in ["127.0.0.1", "::1"] {
            let found = lookup(host, 80, |_| panic!("looked up")).await.expect("an address");
            assert_eq!(found, addresses(&[host]));
        }
        let failed = lookup("no.such.example", 80, |_| Err(io::Error::other("no such name"))).await;
        assert_eq!(failed.expect_err("no address").to_string(), "no such name");
    }
}
