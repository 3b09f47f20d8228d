//! Why the server turns a client away: the codes of `connection.error` and the close code that goes with each.

use super::clock;
use serde_json::json;
use std::{borrow::Cow, fmt};

/// An error as it is told to a client before its connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: i64,
    message: Cow<'static, str>,
    close_code: u16,
}

/// Told to a client where no id can be made.
pub(super) const NO_RANDOMNESS: &str = "the operating system gives no random numbers";

impl Refusal {
    /// The server has a fault.
    pub const INTERNAL: i64 = -1;
    /// The token has expired: a client with a token provider fetches a fresh one.
    pub const TOKEN_EXPIRED: i64 = 40;
    /// The token is not valid yet.
    pub const TOKEN_NOT_YET_VALID: i64 = 41;
    /// The token says that it was issued in the future.
    pub const TOKEN_BEFORE_ISSUED: i64 = 42;
    /// The token is not signed with the secret of the server.
    pub const BAD_SIGNATURE: i64 = 43;
    /// The API key is not the one of the server.
    pub const BAD_API_KEY: i64 = 2;
    /// The first message, or the `json` of the query, is not what it should be.
    pub const BAD_INPUT: i64 = 4;
    /// There is no token, it is no token, or it belongs to someone else.
    pub const AUTH_FAILED: i64 = 5;
    /// No first message came in time.
    pub const TIMED_OUT: i64 = 23;
    /// The server has as many connections as it may have.
    pub const TOO_MANY_CONNECTIONS: i64 = 71;

    /// A refusal with this code. The message must not contain a secret.
    pub fn new(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), close_code: close_code(code) }
    }

    /// The code, such as 40 for an expired token.
    pub fn code(&self) -> i64 {
        self.code
    }

    /// What is told to the client.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status that means the same.
    pub fn status(&self) -> u16 {
        match self.code {
            2 | 5 | 40..=43 => 401,
            17 | 99 => 403,
            16 => 404,
            23 => 408,
            22 => 413,
            9 | 60 | 71 => 429,
            Self::INTERNAL => 500,
            _ => 400,
        }
    }

    /// The code of the close frame that follows the error.
    pub fn close_code(&self) -> u16 {
        self.close_code
    }

    /// The `wire.error` message.
    pub(super) fn to_wire(&self) -> String {
        json!({
            "type": "wire.error",
            "code": self.code,
            "message": self.message,
            "status": self.status(),
            "unrecoverable": self.close_code == FOR_GOOD,
        })
        .to_string()
    }

    /// The `connection.error` message.
    pub(super) fn to_json(&self) -> String {
        json!({
            "type": "connection.error",
            "created_at": clock::rfc3339(clock::now()),
            "error": {
                "code": self.code,
                "message": self.message,
                "StatusCode": self.status(),
                "details": [],
                "unrecoverable": self.close_code == FOR_GOOD,
            },
        })
        .to_string()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

/// A close with 1000 tells clients of this protocol that dialling again is of no use.
const FOR_GOOD: u16 = 1000;

/// The official clients look at the close code alone once a connection was up: 1000 ends them, and anything else makes
/// them dial again. So 1000 goes only with what the same client cannot mend.
fn close_code(code: i64) -> u16 {
    match code {
        40..=42 => 3000,          // unauthorized (IANA): a fresh token may help
        23 => 1008,               // policy violation: authenticate in time
        -1 | 9 | 60 | 71 => 1013, // try again later
        _ => FOR_GOOD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn an_error_is_told_with_code_status_and_message() {
        let text = Refusal::new(Refusal::TOKEN_EXPIRED, "token expired").to_json();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["type"], "connection.error");
        assert_eq!(json["error"]["code"], 40);
        assert_eq!(json["error"]["StatusCode"], 401);
        assert_eq!(json["error"]["message"], "token expired");
        assert_eq!(json["error"]["unrecoverable"], false);
    }

    #[test]
    fn only_what_a_client_cannot_mend_closes_with_1000() {
        for code in [2, 4, 5, 43, 99] {
            assert_eq!(Refusal::new(code, "").close_code(), 1000, "{code}");
        }
        for code in [-1, 9, 23, 40, 41, 42, 60, 71] {
            assert_ne!(Refusal::new(code, "").close_code(), 1000, "{code}");
        }
    }
}
