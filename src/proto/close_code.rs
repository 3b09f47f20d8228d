//! The codes of close frames (RFC 6455, 7.4, and IANA's registry of close codes): which a peer may send, and which a client
//! may choose.

use super::{
    decimal::decimal,
    error::{Error, ErrorKind},
};

/// What stands for a close frame without a code.
#[cfg_attr(web, allow(dead_code, reason = "a browser says it by itself"))]
pub(crate) const NO_CODE: u16 = 1005;

/// The longest reason a close frame has room for, in bytes.
pub(crate) const MAX_REASON: usize = 123;

/// Whether a close frame may hold this code. 1004 means nothing, 1005, 1006 and 1015 stand for what no frame says, and 1016 to
/// 2999 are kept for the protocol and its extensions.
#[cfg_attr(web, allow(dead_code, reason = "a browser checks what comes"))]
pub(crate) const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Whether none of these codes can come: neither in a close frame, nor as what stands for a frame without a code.
pub(crate) const fn none_can_come(from: u16, to: u16) -> bool {
    matches!((from, to), (_, ..1000) | (1004, 1004) | (1006, 1006) | (1015.., ..3000) | (5000.., _))
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
        let can_come = |code| may_be_sent(code) || code == NO_CODE;
        let ends = [0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1014, 1015, 2999, 3000, 4999, 5000, u16::MAX];
        for from in ends {
            let mut one_can_come = false;
            for to in from..=u16::MAX {
                one_can_come |= can_come(to);
                assert_eq!(none_can_come(from, to), !one_can_come, "{from}..={to}");
            }
        }
        for code in 0..=u16::MAX {
            assert_eq!(none_can_come(code, code), !can_come(code), "{code}");
        }
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
