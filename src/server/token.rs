//! Tokens: who a client is, and since when and until when that holds.

use super::refusal::Refusal;
use crate::proto::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind as JwtError};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which tokens the server takes.
pub(super) enum Tokens {
    /// Tokens signed with the API secret (HS256), with this much allowance for clocks that differ.
    Signed { decoding: DecodingKey, encoding: EncodingKey, leeway: Duration },
    /// Any token that is not empty. One that can be read must still name the user and be valid at this time, so that
    /// the refresh of a token can be tried out without a secret.
    Development,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    // Numbers with a fraction are allowed in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<f64>,
}

impl Tokens {
    pub(super) fn signed(secret: &str, leeway: Duration) -> Self {
        Tokens::Signed {
            decoding: DecodingKey::from_secret(secret.as_bytes()),
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            leeway,
        }
    }

    /// Whether this token lets this user in at this time (since 1970).
    pub(super) fn check(&self, token: &str, user_id: &str, now: Duration) -> Result<(), Refusal> {
        if token.is_empty() {
            return Err(Refusal::new(Refusal::AUTH_FAILED, "the token is empty"));
        }
        match self {
            Tokens::Signed { decoding, leeway, .. } => verify(token, decoding)?.check(user_id, now, *leeway),
            Tokens::Development => match jsonwebtoken::dangerous::insecure_decode::<Claims>(token) {
                Ok(readable) => readable.claims.check(user_id, now, Duration::ZERO),
                Err(_) => Ok(()),
            },
        }
    }

    /// Makes a token for a user, which holds for this long, or for ever.
    pub(super) fn create(&self, user_id: &str, valid_for: Option<Duration>, now: Duration) -> Result<String, Error> {
        let issued = now.as_secs();
        let claims = Claims {
            user_id: Some(user_id.to_owned()),
            exp: valid_for.map(|valid| (now + valid).as_secs_f64()),
            nbf: None,
            // A little in the past, for servers whose clock is behind.
            iat: Some(issued.saturating_sub(5) as f64),
        };
        let unsigned = EncodingKey::from_secret(b"development");
        let key = match self {
            Tokens::Signed { encoding, .. } => encoding,
            Tokens::Development => &unsigned,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, key)
            .map_err(|error| Error::new(ErrorKind::Token, "the token could not be signed").with_source(error))
    }
}

/// Checks the signature alone; times are checked by [`Claims::check`], which tells them apart as the protocol does.
fn verify(token: &str, key: &DecodingKey) -> Result<Claims, Refusal> {
    let mut signature_only = Validation::new(Algorithm::HS256);
    signature_only.required_spec_claims.clear();
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    jsonwebtoken::decode::<Claims>(token, key, &signature_only).map(|data| data.claims).map_err(|error| {
        match error.kind() {
            JwtError::InvalidSignature | JwtError::InvalidAlgorithm => {
                Refusal::new(Refusal::BAD_SIGNATURE, "the signature of the token is not valid")
            }
            _ => Refusal::new(Refusal::AUTH_FAILED, "the token is malformed"),
        }
    })
}

impl Claims {
    fn check(&self, user_id: &str, now: Duration, leeway: Duration) -> Result<(), Refusal> {
        let (now, leeway) = (now.as_secs_f64(), leeway.as_secs_f64());
        let refuse = |code, message: &'static str| Err(Refusal::new(code, message));
        if self.exp.is_some_and(|exp| now >= exp + leeway) {
            return refuse(Refusal::TOKEN_EXPIRED, "the token has expired");
        }
        if self.nbf.is_some_and(|nbf| now + leeway < nbf) {
            return refuse(Refusal::TOKEN_NOT_YET_VALID, "the token is not valid yet");
        }
        if self.iat.is_some_and(|iat| now + leeway < iat) {
            return refuse(Refusal::TOKEN_BEFORE_ISSUED, "the token is used before it was issued");
        }
        match &self.user_id {
            Some(owner) if owner == user_id => Ok(()),
            Some(_) => refuse(Refusal::AUTH_FAILED, "the token belongs to another user"),
            None => refuse(Refusal::AUTH_FAILED, "the token has no user_id"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn sign(claims: Value, secret: &str) -> String {
        jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    fn code(tokens: &Tokens, token: &str) -> Option<i64> {
        tokens.check(token, "alice", NOW).err().map(|refusal| refusal.code())
    }

    #[test]
    fn every_way_a_signed_token_can_be_wrong_has_its_code() {
        let tokens = Tokens::signed("secret", Duration::ZERO);
        let now = NOW.as_secs();
        for (claims, want) in [
            (json!({"user_id": "alice"}), None),
            (json!({"user_id": "alice", "exp": now + 1, "nbf": now, "iat": now}), None),
            (json!({"user_id": "alice", "exp": now as f64 + 0.5}), None),
            (json!({"user_id": "alice", "exp": now}), Some(40)),
            (json!({"user_id": "alice", "nbf": now + 1}), Some(41)),
            (json!({"user_id": "alice", "iat": now + 1}), Some(42)),
            (json!({"user_id": "bob"}), Some(5)),
            (json!({"server": true}), Some(5)),
            (json!({"user_id": 7}), Some(5)),
        ] {
            assert_eq!(code(&tokens, &sign(claims.clone(), "secret")), want, "{claims}");
        }
        assert_eq!(code(&tokens, &sign(json!({"user_id": "alice"}), "other")), Some(43));
        assert_eq!(code(&tokens, ""), Some(5));
        assert_eq!(code(&tokens, "gibberish"), Some(5));
        assert_eq!(code(&tokens, "a.b.c"), Some(5));
    }

    #[test]
    fn an_unsigned_token_is_refused() {
        let tokens = Tokens::signed("secret", Duration::ZERO);
        // {"alg":"none","typ":"JWT"} . {"user_id":"alice"} . nothing
        let token = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJ1c2VyX2lkIjoiYWxpY2UifQ.";
        assert!(matches!(code(&tokens, token), Some(5 | 43)));
    }

    #[test]
    fn another_algorithm_is_refused_although_the_secret_is_right() {
        let tokens = Tokens::signed("secret", Duration::ZERO);
        let claims = json!({"user_id": "alice"});
        let key = EncodingKey::from_secret(b"secret");
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap();
        assert_eq!(code(&tokens, &token), Some(43));
    }

    #[test]
    fn leeway_allows_for_clocks_that_differ() {
        let tokens = Tokens::signed("secret", Duration::from_secs(5));
        let now = NOW.as_secs();
        let token = |shift: u64| sign(json!({"user_id": "alice", "nbf": now + shift, "iat": now + shift}), "secret");
        assert_eq!(code(&tokens, &token(5)), None);
        assert_eq!(code(&tokens, &token(6)), Some(41));
        assert_eq!(code(&tokens, &sign(json!({"user_id": "alice", "exp": now - 4}), "secret")), None);
        assert_eq!(code(&tokens, &sign(json!({"user_id": "alice", "exp": now - 5}), "secret")), Some(40));
    }

    #[test]
    fn development_takes_what_it_cannot_read_and_checks_what_it_can() {
        let tokens = Tokens::Development;
        assert_eq!(code(&tokens, "anything"), None);
        assert_eq!(code(&tokens, ""), Some(5));
        // As stream-chat's devToken makes it: a header and claims, and "devtoken" for a signature.
        assert_eq!(code(&tokens, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyX2lkIjoiYWxpY2UifQ.devtoken"), None);
        assert_eq!(code(&tokens, &sign(json!({"user_id": "bob"}), "whatever")), Some(5));
        assert_eq!(code(&tokens, &sign(json!({"user_id": "alice", "exp": 1}), "whatever")), Some(40));
    }

    #[test]
    fn a_token_of_our_own_is_taken_until_it_expires() {
        for tokens in [Tokens::signed("secret", Duration::ZERO), Tokens::Development] {
            let token = tokens.create("alice", Some(Duration::from_secs(60)), NOW).unwrap();
            assert_eq!(code(&tokens, &token), None);
            let later = tokens.check(&token, "alice", NOW + Duration::from_secs(60));
            assert_eq!(later.unwrap_err().code(), 40);
            assert_eq!(code(&tokens, &tokens.create("alice", None, NOW).unwrap()), None);
        }
    }
}
