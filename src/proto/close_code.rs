//! The codes of close frames (RFC 6455, 7.4, and IANA's registry of close codes): which a peer may send, and which a client
//! may choose.

use super::{
    decimal::decimal,
    error::{Error, ErrorKind},
};
use std::ops::RangeInclusive;

/// What stands for a close frame without a code.
pub(crate) const NO_CODE: u16 = 1005;

/// The longest reason a close frame has room for, in bytes.
pub(crate) const MAX_REASON: usize = 123;

/// The codes that a close frame may hold. 1004 means nothing, 1005, 1006 and 1015 stand for what no frame says, and 1016 to 2999
/// are kept for the protocol and its extensions.
const SENT: [RangeInclusive<u16>; 3] = [1000..=1003, 1007..=1014, 3000..=4999];

/// Whether a close frame may hold this code.
#[cfg_attr(web, allow(dead_code, reason = "a browser checks what comes"))]
pub(crate) fn may_be_sent(code: u16) -> bool {
    one_may_be_sent(&(code..=code))
}

/// Whether a close frame may hold one of these codes.
pub(crate) fn one_may_be_sent(codes: &RangeInclusive<u16>) -> bool {
    SENT.iter().any(|sent| codes.start() <= sent.end() && sent.start() <= codes.end())
}

/// Checks what a client wants to say in a close frame: a browser allows no other codes (see the WebSocket API's `close`).
pub(crate) fn check_close(code: u16, reason: &str) -> Result<(), Error> {
    if code != 1000 && !(3000..=4999).contains(&code) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            ["close code ", &decimal(code.into()), " is not 1000 or 3000 to 4999"].concat(),
        ));
    }
    if reason.len() > MAX_REASON {
        return Err(Error::new(ErrorKind::InvalidInput, "a close reason has at most 123 bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn a_close_frame_holds_what_the_registry_has_and_what_programs_may_choose() {
        for code in 0..=u16::MAX {
            assert_eq!(may_be_sent(code), matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999), "{code}");
            assert_eq!(
                (one_may_be_sent(&(0..=code)), one_may_be_sent(&(code..=u16::MAX))),
                (code >= 1000, code < 5000)
            );
        }
        assert!(!one_may_be_sent(&(1004..=1006)) && !one_may_be_sent(&(1015..=2999)));
    }

    #[test]
    fn a_client_chooses_among_the_codes_that_a_browser_allows() {
        for code in 0..=u16::MAX {
            let allowed = check_close(code, "").is_ok();
            assert_eq!(allowed, matches!(code, 1000 | 3000..=4999), "{code}");
            assert!(may_be_sent(code) || !allowed, "{code}");
        }
        assert!(check_close(1000, &"x".repeat(123)).is_ok() && check_close(1000, &"ü".repeat(62)).is_err());
    }
}
