//! The protocol core: no async, no clock, no randomness of its own, no I/O and no knowledge of the target.
//! Time is an argument, and what is to be done comes out as a value.

mod error;
mod message;
mod time;

pub use error::{Error, ErrorKind};
pub use message::{Class, CloseInfo, DialRequest, Message, Payload};
pub use time::Timestamp;
