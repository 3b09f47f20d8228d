//! A token and when it ends: what a JWT says of itself, set against a calendar that may be wrong (N-7).
//!
//! The session has no calendar. It is told what the platform's one says ([`Input::Clock`](super::Input::Clock)), and holds
//! it against the token: nothing is issued in the future, and nobody hands out what has ended already.

use super::{decimal, json::Json, random::Random, secret::Secret, text::cut, time::Timestamp};
use std::time::Duration;

/// A token is renewed so long before its end, or when a fifth of its life is left, whichever is later.
const MARGIN: u64 = 60_000;
/// A token that seems to end soon is kept for so long all the same, or for half its life: who hands out such tokens, or has
/// a calendar that is wrong, is not asked without a pause.
const PAUSE: u64 = 60_000;

/// The token of a session, and what is known of its end. Times are milliseconds.
#[derive(Default)]
pub(super) struct Tokens {
    token: Option<Secret>,
    /// What the platform's calendar said when the session began.
    calendar: Option<u64>,
    /// What the calendar of whoever made the token said then.
    origin: u64,
    /// When the token ends, by the calendar of whoever made it.
    expires: Option<u64>,
    /// How long before its end it is renewed.
    margin: u64,
    /// It is not renewed before this. `None`: not at all.
    not_before: Option<Timestamp>,
    /// The server has found fault with a calendar.
    doubted: bool,
}

impl Tokens {
    pub(super) fn given(token: Option<Secret>) -> Self {
        Self { token, ..Self::default() }
    }

    pub(super) fn get(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// The server does not accept it any more. `doubted`: because of its date.
    pub(super) fn discard(&mut self, doubted: bool) {
        self.token = None;
        self.expires = None;
        self.doubted |= doubted;
    }

    /// What the calendar says. It may have jumped since the last time: while a machine sleeps, no timer runs.
    pub(super) fn clock(&mut self, now: Timestamp, unix: Duration) {
        let calendar = millis(unix).saturating_sub(millis(now.since_start()));
        let before = self.calendar.replace(calendar).unwrap_or(calendar);
        self.origin = self.origin.saturating_add(calendar).saturating_sub(before);
    }

    /// What the calendar says now, as far as is known.
    pub(super) fn today(&self, now: Timestamp) -> Option<Duration> {
        self.calendar.map(|calendar| Duration::from_millis(calendar) + now.since_start())
    }

    /// Keeps a token that came just now.
    pub(super) fn keep(&mut self, token: Secret) {
        self.token = Some(token);
        self.expires = None;
    }

    /// Finds out when the token that came just now ends; gives the time that is left, if it tells.
    pub(super) fn read(&mut self, now: Timestamp, random: &mut Random) -> Option<Duration> {
        let Claims { issued, expires } = claims(self.token.as_ref()?.reveal());
        let (expires, since) = (expires?, millis(now.since_start()));
        let ours = self.calendar.map(|calendar| calendar + since);
        let theirs = match (issued, ours) {
            (Some(issued), Some(ours)) if !(issued..expires).contains(&ours) => issued,
            (_, Some(ours)) => ours,
            (Some(issued), None) => issued,
            (None, None) => return None,
        };
        let left = expires.checked_sub(theirs).filter(|left| *left > 0)?;
        let life = issued.map_or(left, |issued| expires.saturating_sub(issued));
        self.origin = theirs.saturating_sub(since);
        self.expires = Some(expires);
        self.margin = MARGIN.min(life / 5) << u32::from(self.doubted);
        // Clients whose tokens were made at the same time do not ask for others at the same time.
        self.margin += random.next() % (self.margin / 4 + 1);
        self.not_before = Some(now + Duration::from_millis(PAUSE.min(life / 2)));
        Some(Duration::from_millis(left))
    }

    /// A renewal failed; the next one may be tried after this time, or not at all.
    pub(super) fn not_renewed(&mut self, now: Timestamp, wait: Option<Duration>) {
        // The less time is left, the sooner; once it has ended, the next dial will ask.
        let left = self.ends_in(now).filter(|left| !left.is_zero());
        self.not_before = wait.zip(left).map(|(wait, left)| now + wait.max(left / 4));
    }

    fn ends_in(&self, now: Timestamp) -> Option<Duration> {
        let today = self.origin.saturating_add(millis(now.since_start()));
        self.expires.map(|expires| Duration::from_millis(expires.saturating_sub(today)))
    }

    /// Whether there is one to dial with.
    pub(super) fn is_usable(&self, now: Timestamp) -> bool {
        self.token.is_some() && self.ends_in(now).is_none_or(|left| !left.is_zero())
    }

    /// When to ask for another one.
    pub(super) fn renew_at(&self, now: Timestamp) -> Option<Timestamp> {
        let wait = self.ends_in(now)?.saturating_sub(Duration::from_millis(self.margin));
        self.not_before.map(|not_before| not_before.max(now + wait))
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

/// What a JWT says of its time, in milliseconds since 1970.
#[derive(Debug, PartialEq, Eq)]
struct Claims {
    issued: Option<u64>,
    expires: Option<u64>,
}

/// Reads the claims of a token without checking its signature, which is for the server to do. A token that is no JWT has
/// none.
fn claims(token: &str) -> Claims {
    let payload = cut(token, b'.').1.map(|rest| cut(rest, b'.').0);
    let payload = payload.and_then(base64url).and_then(|text| Json::parse(&text));
    let date = |name| {
        let Some(Json::Number(number)) = payload.as_ref()?.get(name) else { return None };
        // A date may have a fraction.
        let seconds = decimal::read(cut(number, b'.').0.as_bytes())?;
        (seconds <= u64::MAX / 1_000).then(|| seconds * 1_000)
    };
    Claims { issued: date("iat"), expires: date("exp") }
}

/// Each byte as a character: only numbers are read, and only of names that are ASCII.
fn base64url(text: &str) -> Option<String> {
    let mut chars = String::new();
    let (mut held, mut bits) = (0_u32, 0);
    for char in cut(text, b'=').0.bytes() {
        let value = match char {
            b'A'..=b'Z' => char - b'A',
            b'a'..=b'z' => char - b'a' + 26,
            b'0'..=b'9' => char - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            chars.push(char::from((held >> bits) as u8));
        }
    }
    Some(chars)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    /// A JWT with this payload, and no signature to speak of.
    fn jwt(payload: &str) -> Secret {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut encoded = String::new();
        for chunk in payload.as_bytes().chunks(3) {
            let bits =
                chunk.iter().enumerate().fold(0_u32, |bits, (place, byte)| bits | u32::from(*byte) << (16 - 8 * place));
            for digit in 0..=chunk.len() {
                encoded.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
            }
        }
        Secret::from(["e30.", &encoded, ".c2ln"].concat())
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_secs(seconds))
    }

    /// A token of these seconds, kept at `at(10)` by a session whose calendar says `unix`.
    fn kept(issued: Option<u64>, expires: u64, unix: Option<u64>) -> (Tokens, Option<u64>) {
        let mut tokens = Tokens::default();
        if let Some(unix) = unix {
            tokens.clock(at(10), Duration::from_secs(unix));
        }
        let payload = match issued {
            Some(issued) => format!(r#"{{"user_id":"ÿ?","iat":{issued},"exp":{expires}}}"#),
            None => format!(r#"{{"exp":{expires}}}"#),
        };
        tokens.keep(jwt(&payload));
        let left = tokens.read(at(10), &mut Random::new(1));
        (tokens, left.map(|left| left.as_secs()))
    }

    fn renewed_in(tokens: &Tokens) -> Duration {
        tokens.renew_at(at(10)).expect("a time") - at(10)
    }

    #[test]
    fn reads_the_dates_of_a_jwt_and_of_nothing_else() {
        assert_eq!(
            claims(jwt(r#"{"exp":1700000600.75,"iat":1700000000,"user_id":"alice"}"#).reveal()),
            Claims { issued: Some(1_700_000_000_000), expires: Some(1_700_000_600_000) }
        );
        for token in [
            "",
            "opaque",
            "a.b.c",
            "a.e30.c",
            "..",
            "a.!!!.c",
            "ünï.cödé.x",
            jwt("[]").reveal(),
            jwt(r#"{"exp":"1700000600"}"#).reveal(),
            jwt(r#"{"exp":-5}"#).reveal(),
            jwt(r#"{"exp":99999999999999999999}"#).reveal(),
            jwt(r#"{"exp":18446744073709551615}"#).reveal(),
            jwt("{").reveal(),
        ] {
            assert_eq!(claims(token), Claims { issued: None, expires: None }, "{token}");
        }
        // Padding and the other alphabet do no harm.
        assert_eq!(base64url("_-8="), base64url("/+8"));
    }

    // N-7: ahead of `exp` by a minute or a fifth of the life.
    #[test]
    fn a_token_is_renewed_ahead_of_its_end() {
        for (life, margin) in [(3_600, 60), (600, 60), (100, 20), (10, 2)] {
            let (tokens, left) = kept(Some(1_000_000), 1_000_000 + life, Some(1_000_000));
            assert_eq!(left, Some(life));
            let wait = renewed_in(&tokens).as_secs_f64();
            let (latest, spread) = ((life - margin) as f64, margin as f64 / 4.0 + 0.01);
            assert!(wait <= latest && wait >= latest - spread, "{life}: {wait}");
            assert!(tokens.is_usable(at(9 + life)) && !tokens.is_usable(at(10 + life)));
        }
    }

    // N-7: corrected for a calendar that is wrong.
    #[test]
    fn a_calendar_that_is_wrong_does_no_harm() {
        let (iat, exp) = (1_000_000, 1_000_600);
        for (unix, left) in [
            // Right, and a token from somebody's cache.
            (Some(iat + 200), 400),
            // Slow: the token was issued in the future.
            (Some(iat - 86_400), 600),
            (Some(0), 600),
            // Fast: what was just handed out has ended.
            (Some(exp + 86_400), 600),
            // None at all.
            (None, 600),
        ] {
            let (tokens, found) = kept(Some(iat), exp, unix);
            assert_eq!(found, Some(left), "{unix:?}");
            assert!(renewed_in(&tokens).as_secs() <= left - 60);
        }
        // One that seems to end at once is not asked for without a pause.
        let (tokens, left) = kept(Some(iat), exp, Some(exp - 1));
        assert_eq!((left, renewed_in(&tokens)), (Some(1), Duration::from_secs(60)));
        // Without `iat` an `exp` in the past tells nothing: the server will.
        assert_eq!(kept(None, exp, Some(exp + 5)).1, None);
        assert_eq!(kept(None, exp, Some(exp)).1, None);
        assert_eq!(kept(None, exp, None).1, None);
        assert_eq!(kept(None, exp, Some(exp - 100)).1, Some(100));
    }

    // Refresh after sleep: no timer ran, the calendar did.
    #[test]
    fn a_sleep_ends_a_token() {
        let (mut tokens, _) = kept(Some(1_000_000), 1_000_600, Some(1_000_000));
        assert!(tokens.is_usable(at(20)));
        tokens.clock(at(20), Duration::from_secs(1_000_010 + 7_200));
        assert!(!tokens.is_usable(at(20)));
        // A slow calendar stays slow, and its jump counts all the same.
        let (mut tokens, _) = kept(Some(1_000_000), 1_000_600, Some(5_000));
        tokens.clock(at(20), Duration::from_secs(5_010));
        assert!(tokens.is_usable(at(20)));
        tokens.clock(at(20), Duration::from_secs(5_010 + 600));
        assert!(!tokens.is_usable(at(20)));
    }

    // N-7: clients whose tokens were made together do not ask together.
    #[test]
    fn renewals_are_spread_over_a_quarter_of_the_margin() {
        let wait = |seed| {
            let mut tokens = Tokens::default();
            tokens.keep(jwt(r#"{"iat":1000,"exp":1600}"#));
            tokens.read(at(0), &mut Random::new(seed));
            (tokens.renew_at(at(0)).expect("a time") - at(0)).as_millis()
        };
        let waits: Vec<_> = (1..200).map(wait).collect();
        let (earliest, latest) = (*waits.iter().min().expect("some"), *waits.iter().max().expect("some"));
        assert!((525_000..527_000).contains(&earliest) && (538_000..=540_000).contains(&latest), "{earliest} {latest}");
    }

    // Codes 41 and 42.
    #[test]
    fn a_doubted_date_widens_the_margin() {
        let mut tokens = Tokens::default();
        tokens.discard(true);
        tokens.keep(jwt(r#"{"iat":1000,"exp":1600}"#));
        tokens.read(at(0), &mut Random::new(1));
        let wait = tokens.renew_at(at(0)).unwrap() - at(0);
        assert!(wait <= Duration::from_secs(480) && wait >= Duration::from_secs(450), "{wait:?}");
    }
}
