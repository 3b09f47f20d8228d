//! An error the server reported, read by the rules of the dialect.

use super::{
    decimal,
    dialect::{Action, ErrorRule, member},
    error::{Error, ErrorKind},
    json::Json,
};

use std::borrow::Cow;

/// What the server said, and what to do about it.
pub(super) struct ServerError {
    pub(super) action: Action,
    pub(super) error: Error,
}

pub(super) fn read(rule: &ErrorRule, document: &Json) -> ServerError {
    let first = |paths: &[String]| paths.iter().find_map(|path| member(document, path));
    let code = first(&rule.code).and_then(number);
    let status = first(&rule.status).and_then(number);
    let fatal =
        rule.unrecoverable.as_deref().and_then(|path| member(document, path)).is_some_and(|fatal| fatal.is(true));
    let by_code = || rule.codes.iter().find(|entry| code.is_some_and(|code| entry.codes.contains(&code)));
    let action = match fatal {
        true => Action::Fatal,
        false => by_code().map_or(rule.default, |entry| entry.action),
    };
    let kind = match (action, status) {
        (Action::Refresh | Action::RefreshOnce | Action::Fatal, _) | (_, Some(401 | 403)) => ErrorKind::Auth,
        _ => ErrorKind::Server,
    };
    let message = match first(&rule.message) {
        Some(Json::String(message)) => Cow::Owned(message.clone()),
        _ => Cow::Borrowed("the server reported an error"),
    };
    let mut error = Error::new(kind, message).with_code(code).with_response(document.text());
    if let Some(status) = status.and_then(|status| u16::try_from(status).ok()) {
        error = error.with_status(status);
    }
    ServerError { action, error }
}

/// A number, also one written as a string.
fn number(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| decimal::read_signed(value.as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dialect::Dialect;
    use crate::test;
    use serde_json::{Value, json};

    fn stream(error: Value) -> ServerError {
        read(Dialect::stream().errors.as_ref().unwrap(), &json!({"type": "connection.error", "error": error}).into())
    }

    // S0-12, and the code table of Stream.
    #[test]
    fn codes_mean_what_the_table_says() {
        for (codes, action) in [
            (&[40][..], Action::Refresh),
            (&[41, 42], Action::RefreshOnce),
            (&[2, 5, 43, 99], Action::Fatal),
            (&[-1, 9, 23, 60, 71], Action::RetrySlower),
            (&[4, 16, 17, 18, 22, 24, 44, 46, 69, 70], Action::Event),
            (&[1234], Action::Retry),
        ] {
            for code in codes {
                let read = stream(json!({"code": code, "message": "m", "StatusCode": 400}));
                assert_eq!((read.action, read.error.code()), (action, Some(*code)));
            }
        }
        assert_eq!(stream(json!({"code": 9, "unrecoverable": true})).action, Action::Fatal);
        assert_eq!(stream(json!({"code": "40"})).action, Action::Refresh);
        let read = stream(json!({"code": 40, "message": "token expired", "status_code": 401}));
        assert_eq!(read.error.to_string(), "token expired (code 40) (HTTP 401)");
        assert!(read.error.is_auth() && read.error.response().unwrap().contains("connection.error"));
    }

    #[test]
    fn an_answer_without_the_fields_is_still_an_error() {
        for error in [json!(null), json!("x"), json!([1]), json!({"code": {}, "message": 5})] {
            let read = stream(error);
            assert_eq!((read.action, read.error.code()), (Action::Retry, None));
        }
    }
}
