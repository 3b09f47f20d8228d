//! How a native socket can end: one cause has many faces, and each is told as what it is.

use crate::proto::{
    CloseInfo, Error, ErrorKind,
    close_code::{NO_CODE, may_be_sent},
};
use tokio_tungstenite::tungstenite::{
    self,
    error::{CapacityError, ProtocolError},
    protocol::{CloseFrame, frame::coding::CloseCode},
};

pub(super) enum Failure {
    /// The connection is gone.
    Broken(CloseInfo),
    /// The peer did what it may not; it is to be told with this code.
    Violation(CloseInfo, CloseCode),
}

/// Sorts an error of reading.
pub(super) fn classify(error: tungstenite::Error) -> Failure {
    use tungstenite::Error as E;
    let (kind, message, code) = match &error {
        E::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return Failure::Broken(broken(Some(error))),
        E::Protocol(_) | E::AttackAttempt => {
            (ErrorKind::Protocol, "the peer broke the WebSocket protocol", CloseCode::Protocol)
        }
        E::Utf8(_) => (ErrorKind::Protocol, "the peer sent text that is not UTF-8", CloseCode::Invalid),
        E::Capacity(CapacityError::MessageTooLong { .. }) => {
            (ErrorKind::TooLarge, "a message was larger than the limit", CloseCode::Size)
        }
        _ => return Failure::Broken(broken(Some(error))),
    };
    let error = Error::new(kind, message).with_source(error);
    Failure::Violation(CloseInfo { error: Some(error), ..CloseInfo::default() }, code)
}

/// A connection that ended without a close frame, whichever way that showed: a reset, a broken pipe, or the end of
/// the stream where more had to come.
pub(super) fn broken(cause: Option<tungstenite::Error>) -> CloseInfo {
    let error = Error::new(ErrorKind::Closed, "the connection broke");
    let error = match cause {
        Some(cause) => error.with_source(cause),
        None => error,
    };
    CloseInfo { code: None, reason: String::new(), error: Some(error) }
}

/// What a failed write says about the connection: nothing, if it is closing anyway.
pub(super) fn of_writing(error: tungstenite::Error) -> Option<CloseInfo> {
    use tungstenite::Error as E;
    match error {
        E::ConnectionClosed | E::AlreadyClosed | E::Protocol(ProtocolError::SendAfterClosing) => None,
        error => Some(broken(Some(error))),
    }
}

/// The peer's close frame. One without a code counts as 1005, as in a browser; one with a code that may not be sent is a
/// violation like any other, and says nothing.
pub(super) fn closed_by_peer(frame: Option<&CloseFrame>) -> Result<CloseInfo, Failure> {
    let code = frame.map_or(NO_CODE, |frame| frame.code.into());
    if frame.is_some() && !may_be_sent(code) {
        let message = format!("the peer sent the close code {code}, which no close frame may hold");
        let error = Error::new(ErrorKind::Protocol, message);
        return Err(Failure::Violation(CloseInfo { error: Some(error), ..CloseInfo::default() }, CloseCode::Protocol));
    }
    let reason = frame.map(|frame| frame.reason.as_str().to_owned()).unwrap_or_default();
    Ok(CloseInfo { code: Some(code), reason, error: None })
}
