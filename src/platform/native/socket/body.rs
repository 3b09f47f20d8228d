//! The body of a refusal: what the server says about it, as far as it is short and comes soon.

use super::head::Head;
use crate::platform::{Clock, list::members};
use httparse::{Status, parse_chunk_size};
use std::{io, str, time::Duration};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    time::timeout,
};
use tokio_tungstenite::tungstenite::http::{
    StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING},
};

/// How many bytes of it are kept.
const MAX_BODY: usize = 4096;

/// How long it may take after its head. Some servers keep the connection open and do not say how long the body is.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the line before a chunk may be, with its extensions.
const MAX_LINE: u64 = 256;

/// When the session gives up the dial, and no longer hears how it was refused.
pub(super) struct Deadline {
    clock: Clock,
    within: Duration,
}

impl Deadline {
    pub(super) fn after(within: Duration) -> Self {
        Self { clock: Clock::start(), within }
    }

    fn left(&self) -> Duration {
        self.within.saturating_sub(self.clock.now().since_start())
    }
}

/// How much of the body there is.
enum Length {
    Exactly(u64),
    Chunks,
    /// All that comes.
    Open,
}

/// What comes of the body that follows this head. `None` where nothing comes, or nothing that can be read.
pub(super) async fn read(head: &Head, stream: impl AsyncRead + Unpin, deadline: &Deadline) -> Option<String> {
    let mut body = Vec::new();
    let mut stream = BufReader::new(stream);
    let reading = async {
        match length(head)? {
            Length::Exactly(length) => take(&mut stream, length, &mut body).await.ok(),
            Length::Chunks => chunks(&mut stream, &mut body).await.ok(),
            Length::Open => take(&mut stream, u64::MAX, &mut body).await.ok(),
        }
    };
    // However the reading ends, what has come counts.
    let _ = timeout(PATIENCE.min(deadline.left() / 2), reading).await;
    let cut = match str::from_utf8(&body) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => body.len(),
    };
    (cut > 0).then(|| String::from_utf8_lossy(&body[..cut]).into_owned())
}

/// RFC 9112, 6.3. `None` for a body that there is not, or that was transformed: nothing was asked for but plain text.
fn length(head: &Head) -> Option<Length> {
    let headers = head.headers();
    let has_none = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.status());
    if has_none || !members(headers, CONTENT_ENCODING).all(|coding| coding.eq_ignore_ascii_case("identity")) {
        return None;
    }
    let mut codings = members(headers, TRANSFER_ENCODING);
    if let Some(coding) = codings.next() {
        let is_chunked = coding.eq_ignore_ascii_case("chunked") && codings.next().is_none();
        return is_chunked.then_some(Length::Chunks);
    }
    let mut lengths = members(headers, CONTENT_LENGTH).map(|length| length.parse().ok());
    match lengths.next().flatten() {
        Some(length) if lengths.all(|other| other == Some(length)) => Some(Length::Exactly(length)),
        _ => Some(Length::Open),
    }
}

/// Adds so many bytes to the body, as far as there is room.
async fn take(stream: &mut (impl AsyncRead + Unpin), length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let room = (MAX_BODY - body.len()) as u64;
    let mut stream = stream.take(length.min(room));
    while stream.limit() > 0 {
        if stream.read_buf(body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// RFC 9112, 7.1. The trailers are not waited for.
async fn chunks(stream: &mut (impl AsyncBufRead + Unpin), body: &mut Vec<u8>) -> io::Result<()> {
    let mut line = Vec::new();
    while body.len() < MAX_BODY {
        line.clear();
        (&mut *stream).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        match parse_chunk_size(&line) {
            Ok(Status::Complete((_, size @ 1..))) => take(stream, size, body).await?,
            _ => break,
        }
        (&mut *stream).take(2).read_until(b'\n', &mut line).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncWriteExt, duplex},
        time::Instant,
    };
    use tokio_tungstenite::tungstenite::http::Response;

    /// A piece of a body, and how many milliseconds it comes after the one before.
    type Piece<'a> = (u64, &'a [u8]);
    type Header<'a> = (&'a str, &'a str);
    /// Headers, status and body, and what is told of it after which time.
    type Case<'a> = (&'a [Header<'a>], u16, &'a [Piece<'a>], Option<&'a str>, Duration);

    /// What is told of a body that comes like this, and how long that takes.
    async fn told(headers: &[Header<'_>], status: u16, pieces: &[Piece<'_>]) -> (Option<String>, Duration) {
        let mut head = Response::builder().status(status);
        for (name, value) in headers {
            head = head.header(*name, *value);
        }
        let (mut write, read_from) = duplex(1 << 20);
        let writing = async {
            for (delay, piece) in pieces {
                let delay = Duration::from_millis(*delay);
                timeout(delay, std::future::pending::<()>()).await.expect_err("it takes a time");
                write.write_all(piece).await.expect("written");
            }
            // The connection stays open.
            std::future::pending::<()>().await;
        };
        let head = head.body(()).expect("a head");
        let deadline = Deadline::after(Duration::from_secs(10));
        #[allow(clippy::disallowed_methods)] // virtual time
        let start = Instant::now();
        tokio::select! {
            body = read(&head, read_from, &deadline) => (body, start.elapsed()),
            () = writing => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_of_known_length_is_not_waited_for_any_longer() {
        let chunked = [("transfer-encoding", "chunked")];
        let (ms, long) = (Duration::from_millis, "ü".repeat(5000));
        let many = [&b"1388;x=y\r\n"[..], long.as_bytes()].concat();
        let cases: [Case<'_>; 10] = [
            (&[("content-length", "4")], 403, &[(300, b"wh"), (300, b"y?")], Some("why?"), ms(600)),
            (&chunked, 403, &[(10, b"4\r\nwhy?\r\n"), (20, b"1\r\n!\r\n0\r\n")], Some("why?!"), ms(30)),
            (&[("content-length", "1000000")], 403, &[(10, long.as_bytes())], Some(&long[..4096]), ms(10)),
            (&[], 403, &[(10, long.as_bytes())], Some(&long[..4096]), ms(10)),
            (&chunked, 403, &[(10, &many)], Some(&long[..4096]), ms(10)),
            (&[("content-length", "0")], 403, &[], None, ms(0)),
            (&[], 304, &[(0, b"no body")], None, ms(0)),
            (&[("content-encoding", "gzip")], 403, &[(0, b"\x1f\x8b")], None, ms(0)),
            (&[("transfer-encoding", "gzip, chunked")], 403, &[(0, b"0\r\n")], None, ms(0)),
            (&chunked, 403, &[(10, b"4\r\nwhy?\r\n"), (20, b"no size\r\n")], Some("why?"), ms(30)),
        ];
        for (headers, status, pieces, body, time) in cases {
            let (got, took) = told(headers, status, pieces).await;
            assert_eq!((got.as_deref(), took), (body, time), "{headers:?}");
        }
        let cut = ["x", &long].concat();
        let (got, _) = told(&[], 403, &[(0, cut.as_bytes())]).await;
        assert_eq!(got.as_deref(), Some(&cut[..4095]), "cut at a character");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_waited_for_briefly() {
        let drip: Vec<Piece<'_>> = vec![(100, b"x"); 50];
        let lengths: [&[Header<'_>]; 4] =
            [&[], &[("content-length", "100")], &[("content-length", "1, 2")], &[("content-length", "x")]];
        for headers in lengths {
            let (got, took) = told(headers, 401, &drip).await;
            assert_eq!(took, PATIENCE, "{headers:?}");
            assert_eq!(got.as_deref().map(|body| body.trim_matches('x')), Some(""), "{headers:?}");
        }
        let (got, took) = told(&[("transfer-encoding", "chunked")], 401, &[(0, b"9\r\nhalf"), (5000, b" late")]).await;
        assert_eq!((got.as_deref(), took), (Some("half"), PATIENCE));
        assert_eq!(told(&[], 401, &[]).await, (None, PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_told_before_the_dial_is_given_up() {
        for (within, longest) in [(400, 200), (0, 0), (60_000, 1000)] {
            let (_stays_open, stream) = duplex(1);
            let (deadline, clock) = (Deadline::after(Duration::from_millis(within)), Clock::start());
            assert_eq!(read(&Head::default(), stream, &deadline).await, None);
            // A timer goes by whole milliseconds.
            let took = clock.now().since_start().as_millis();
            assert!((longest..=longest + 1).contains(&took), "{within}: {took}");
        }
    }
}
