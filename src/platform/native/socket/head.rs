//! Reads the head of an HTTP answer and not one byte of what follows it: the reader of frames then begins with a buffer of
//! the wanted size, whatever the handshake needed, and all frames come from the same place. The same for a tunnel.

use httparse::{EMPTY_HEADER, ParserConfig};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response, StatusCode, Version};

/// The head of an answer.
pub(super) type Head = Response<()>;

/// How many bytes the head of an answer may have, interim answers before it included.
const MAX_HEAD: usize = 64 * 1024;

/// How every answer begins.
const PROTOCOL: &[u8] = b"HTTP/1.";

/// Why there is no head.
pub(super) enum Unreadable {
    /// The connection broke, or ended before all of it was there.
    Broken(io::Error),
    NotHttp,
    TooLong,
}

/// The head of the final answer. Interim ones are passed over (RFC 9110, 15.2); 101 is final.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Head, Unreadable> {
    let mut left = MAX_HEAD;
    loop {
        let bytes = bytes(stream, &mut left).await?;
        let head = parse(&bytes).ok_or(Unreadable::NotHttp)?;
        if !head.status().is_informational() || head.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(head);
        }
    }
}

/// One head, up to the empty line that ends it.
async fn bytes(stream: &mut (impl AsyncRead + Unpin), left: &mut usize) -> Result<Vec<u8>, Unreadable> {
    let mut head = Vec::new();
    // Lines may end without a carriage return.
    while !head.ends_with(b"\n\r\n") && !head.ends_with(b"\n\n") {
        // Never more than the least that is missing.
        let missing = if head.ends_with(b"\n") || head.ends_with(b"\n\r") { 1 } else { 2 };
        let mut piece = [0; 2];
        let came = stream.read(&mut piece[..missing]).await.map_err(Unreadable::Broken)?;
        if came == 0 {
            return Err(Unreadable::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        *left = left.checked_sub(came).ok_or(Unreadable::TooLong)?;
        head.extend_from_slice(&piece[..came]);
        // Empty lines may stand before it.
        let empty = head.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        head.drain(..empty);
        // One that speaks another protocol may wait for us.
        let known = head.len().min(PROTOCOL.len());
        if head[..known] != PROTOCOL[..known] {
            return Err(Unreadable::NotHttp);
        }
    }
    Ok(head)
}

/// Lines that are no headers are left out, and a header that was folded is unfolded (RFC 9112, 5.2).
fn parse(bytes: &[u8]) -> Option<Head> {
    let mut lines = vec![EMPTY_HEADER; bytes.iter().filter(|byte| **byte == b'\n').count()];
    let mut answer = httparse::Response::new(&mut lines);
    let mut parser = ParserConfig::default();
    parser
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    if !parser.parse_response(&mut answer, bytes).ok()?.is_complete() {
        return None;
    }
    let mut head = Head::default();
    *head.status_mut() = StatusCode::from_u16(answer.code?).ok()?;
    *head.version_mut() = if answer.version? == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    for line in answer.headers {
        let value: Vec<u8> =
            line.value.iter().map(|byte| if byte.is_ascii_whitespace() { b' ' } else { *byte }).collect();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(line.name.as_bytes()), HeaderValue::from_bytes(&value)) {
            head.headers_mut().append(name, value);
        }
    }
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, duplex};

    #[tokio::test]
    async fn what_follows_a_head_is_left() {
        for end in ["\r\n", "\n"] {
            let head = format!("HTTP/1.1 101 Switching{end}Upgrade: websocket{end}{end}");
            for (before, size) in [("", 1), ("", 2), ("", 3), ("", 7), ("", 1000), ("\n", 2), ("\r\n\r\n", 3)] {
                let (mut write, mut inner) = duplex(1);
                let sent = format!("{before}{head}\n\nframes");
                let writing = async move {
                    for piece in sent.as_bytes().chunks(size) {
                        write.write_all(piece).await.expect("written");
                    }
                };
                let reading = async {
                    let head = read(&mut inner).await;
                    let mut rest = String::new();
                    inner.read_to_string(&mut rest).await.expect("the rest");
                    (head.ok().map(|head| head.headers().len()), rest)
                };
                assert_eq!(tokio::join!(writing, reading).1, (Some(1), "\n\nframes".into()), "{before:?} {size}");
            }
        }
    }
}
