//! What follows an error of the server, a handshake that it refused, and a close.

use super::Dialect;
use serde::Serialize;

/// What to do about an error or a close.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Action {
    /// Connect again.
    #[default]
    Retry,
    /// Connect again after a longer wait.
    RetrySlower,
    /// Fetch a new token and connect again; fatal with a static token.
    Refresh,
    /// The same, but fatal when it happens again before a hello.
    RefreshOnce,
    /// Give up.
    Fatal,
    /// The server wants no connection: end without an error of ours.
    Stop,
    /// Once connected, an ordinary event; before the hello, fatal.
    Event,
}

impl Action {
    pub(in crate::proto) const ALL: [Action; 7] = [
        Action::Retry,
        Action::RetrySlower,
        Action::Refresh,
        Action::RefreshOnce,
        Action::Fatal,
        Action::Stop,
        Action::Event,
    ];

    /// What an HTTP status means where the dialect says nothing of it.
    const fn of_status(status: u16) -> Self {
        match status {
            401 | 403 | 404 | 410 => Action::Fatal,
            429 | 503 => Action::RetrySlower,
            _ => Action::Retry,
        }
    }

    /// The action as it is written in a dialect.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Retry => "retry",
            Action::RetrySlower => "retry-slower",
            Action::Refresh => "refresh",
            Action::RefreshOnce => "refresh-once",
            Action::Fatal => "fatal",
            Action::Stop => "stop",
            Action::Event => "event",
        }
    }
}

/// What some error codes mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CodeRule {
    /// The codes.
    pub codes: Vec<i64>,
    /// What to do.
    pub action: Action,
}

/// What a range of close codes means. Those that can come are 1000 to 1003, 1007 to 1014 and 3000 to 4999, and 1005 for a close
/// without a code. A peer that sends any other breaks the protocol: no rule fits that, nor a connection that breaks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CloseRule {
    /// The first code.
    pub from: u16,
    /// The last code. Default: the first.
    pub to: Option<u16>,
    /// What to do.
    pub action: Action,
}

impl CloseRule {
    pub(in crate::proto) fn last(&self) -> u16 {
        self.to.unwrap_or(self.from)
    }
}

impl Dialect {
    /// What a close of the connection means; `None` for one without a code.
    pub(crate) fn close_action(&self, code: Option<u16>) -> Action {
        let Some(code) = code else { return self.close_default };
        let fits = |rule: &&CloseRule| (rule.from..=rule.last()).contains(&code);
        self.close.iter().find(fits).map_or(self.close_default, |rule| rule.action)
    }

    /// What a handshake means that the server refused with this status.
    pub(crate) fn status_action(&self, status: u16) -> Action {
        let rule = self.statuses.iter().find(|rule| rule.codes.contains(&status.into()));
        rule.map_or_else(|| Action::of_status(status), |rule| rule.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    // S2-10
    #[test]
    fn a_refused_handshake_means_what_its_status_says() {
        let mine =
            r#"{"name":"m","statuses":[{"codes":[401],"action":"refresh-once"},{"codes":[404],"action":"retry"}]}"#;
        let mine = Dialect::from_json(mine).unwrap();
        let retry = Action::Retry;
        for (status, plain, own) in [
            (401, Action::Fatal, Action::RefreshOnce),
            (403, Action::Fatal, Action::Fatal),
            (404, Action::Fatal, retry),
            (410, Action::Fatal, Action::Fatal),
            (429, Action::RetrySlower, Action::RetrySlower),
            (503, Action::RetrySlower, Action::RetrySlower),
            (301, retry, retry),
            (500, retry, retry),
        ] {
            assert_eq!((Dialect::raw().status_action(status), mine.status_action(status)), (plain, own), "{status}");
        }
    }

    // S0-11
    #[test]
    fn close_codes_follow_the_table() {
        let stream = Dialect::stream();
        assert_eq!(stream.close_action(Some(1000)), Action::Stop);
        for code in [None, Some(1001), Some(1006), Some(1008), Some(4000)] {
            assert_eq!(stream.close_action(code), Action::Retry);
        }
        assert_eq!(Dialect::envelope().close_action(Some(1008)), Action::Fatal);
        let pusher = r#"{"name":"p","close":[{"from":4000,"to":4099,"action":"fatal"},{"from":4100,"to":4199,"action":"retry-slower"}]}"#;
        let pusher = Dialect::from_json(pusher).unwrap();
        let actions = [3999, 4000, 4099, 4100, 4200].map(|code| pusher.close_action(Some(code)));
        assert_eq!(actions, [Action::Retry, Action::Fatal, Action::Fatal, Action::RetrySlower, Action::Retry]);
    }
}
