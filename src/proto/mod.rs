//! The protocol core: no async, no clock, no randomness of its own, no I/O and no knowledge of the target.
//! Time is an argument, and what is to be done comes out as a value.
//!
//! Most programs use [`Client`](crate::Client), which drives it. It is public for those who bring their own I/O.

mod backoff;
mod breaker;
mod channels;
pub(crate) mod close_code;
pub(crate) mod decimal;
mod dialect;
mod dialect_check;
mod dialect_reader;
mod error;
mod event;
pub(crate) mod fields;
mod json;
mod lifecycle;
mod message;
mod outbox;
pub(crate) mod pattern;
pub(crate) mod queue;
mod random;
mod record;
mod requests;
mod resume;
mod scan;
mod secret;
mod server_error;
mod session;
mod state;
mod stats;
mod template;
pub(crate) mod text;
mod time;
mod timers;
mod token;
mod url;

pub use backoff::BackoffRule;
pub use breaker::BreakerRule;
pub use channels::ChannelRule;
pub use dialect::{
    Action, AnswerRule, CloseRule, CodeRule, Dialect, ErrorRule, HealthCheckRule, HelloRule, TokenRefreshRule, UrlRule,
};
pub use error::{Error, ErrorKind};
pub use event::{Event, Names, UNKNOWN};
pub use json::{Json, Object};
pub use lifecycle::{BreakerState, Cause, Lifecycle, ReplayMode, Side};
pub use message::{Class, CloseInfo, DialRequest, Message, Negotiated, Parts, Passed, Payload};
pub use outbox::{OutboxRule, SendOptions, WhenFull};
pub use record::{Reason, Reconnect};
pub use requests::RequestRule;
pub use resume::{AckRule, GapRule, OnResume, ResumeMode, ResumePoint, ResumeRule, SendsRule, Sequence};
pub use secret::Secret;
pub(crate) use session::in_use;
pub use session::{Input, NetworkChange, Output, PageChange, Session, Settings, TokenSource, control_types};
pub use state::State;
pub use stats::Stats;
pub use time::Timestamp;
pub use url::UrlParts;
