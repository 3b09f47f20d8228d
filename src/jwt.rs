//! Tokens made from an API secret (S0-5). Native only: a secret never ships to a browser.

use crate::{
    ClientBuilder, platform,
    proto::{Error, ErrorKind, Secret},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use std::time::Duration;

/// A token is dated a little back, so that a server whose clock is behind takes it.
const BACKDATED: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Claims<'a> {
    user_id: &'a str,
    iat: u64,
}

impl ClientBuilder {
    /// Makes tokens for a user from the API secret: HS256 over `user_id` and `iat`, dated 5 s back. One is kept until the
    /// server says that it has expired. Sets the parameter `user_id` too.
    pub fn api_secret(self, user_id: impl Into<String>, api_secret: impl Into<String>) -> Self {
        let user_id = user_id.into();
        let secret = Secret::from(api_secret.into());
        let builder = self.param("user_id", &user_id);
        builder.token_provider(move || std::future::ready(mint(&user_id, &secret)))
    }
}

fn mint(user_id: &str, secret: &Secret) -> Result<String, Error> {
    let claims = Claims { user_id, iat: platform::unix_time().saturating_sub(BACKDATED).as_secs() };
    let key = EncodingKey::from_secret(secret.reveal().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
        .map_err(|error| Error::new(ErrorKind::Config, "no token can be made").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::Value;

    #[test]
    fn a_token_is_signed_for_its_user_and_dated_back() {
        let token = mint("alice", &Secret::from("the secret".to_owned())).unwrap();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        let key = DecodingKey::from_secret(b"the secret");
        let claims = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap().claims;
        assert_eq!(claims["user_id"], "alice");
        let age = platform::unix_time().as_secs() - claims["iat"].as_u64().unwrap();
        assert!((5..10).contains(&age), "{age}");
        let other = DecodingKey::from_secret(b"another");
        assert!(jsonwebtoken::decode::<Value>(&token, &other, &validation).is_err());
    }
}
