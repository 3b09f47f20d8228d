//! What the page of the demo can do to the server: get a token, and break things. Only `everwire demo` serves this.
//!
//! | | |
//! |---|---|
//! | `GET /demo/token?user_id=…` | a token for this user, which holds for ten minutes |
//! | `POST /demo/drop` | every socket is gone, without a close frame |
//! | `POST /demo/expire-token` | every client is told that its token has expired |
//! | `POST /demo/freeze?seconds=…` | the server hangs: sockets stay open, and nothing comes |
//! | `POST /demo/refuse?seconds=…` | every socket is gone, and new ones are refused with 503 |
//!
//! Everything the demo serves has the header `everwire-demo`, by which the page knows where it is. Another site that is open in the
//! same browser can do nothing of this, see [`ours`].

use axum::{
    Router,
    extract::{Query, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use everwire::server::Server;
use serde::Deserialize;
use std::time::Duration;

/// How long the tokens hold.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(600);

/// How long a freeze or a refusal lasts, in seconds, where the page does not say, and at most.
const SECONDS: f64 = 8.0;
const MOST_SECONDS: f64 = 60.0;

#[derive(Deserialize)]
struct For {
    seconds: Option<f64>,
}

#[derive(Deserialize)]
struct Whose {
    user_id: String,
}

impl For {
    fn time(&self) -> Duration {
        let seconds = self.seconds.unwrap_or(SECONDS).clamp(0.0, MOST_SECONDS);
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

/// Adds the routes to what the demo serves.
pub(crate) fn add(served: Router, server: Server) -> Router {
    // Each route has the server for itself.
    let (tokens, dropping, expiring, freezing, refusing) =
        (server.clone(), server.clone(), server.clone(), server.clone(), server);
    let controls = Router::new()
        .route("/demo/token", get(move |whose| async move { token(&tokens, whose) }))
        .route("/demo/drop", post(move || async move { told(dropping.drop_connections()) }))
        .route("/demo/expire-token", post(move || async move { told(expiring.expire_tokens()) }))
        .route(
            "/demo/freeze",
            post(move |Query(order): Query<For>| async move {
                freezing.freeze(order.time());
                told(freezing.connections())
            }),
        )
        .route(
            "/demo/refuse",
            post(move |Query(order): Query<For>| async move { told(refusing.go_offline(order.time())) }),
        )
        .layer(middleware::from_fn(only_ours));
    served.merge(controls).layer(middleware::from_fn(marked))
}

fn token(server: &Server, Query(whose): Query<Whose>) -> Response {
    match server.create_token(&whose.user_id, Some(TOKEN_LIFE)) {
        Ok(token) => ([(header::CACHE_CONTROL, "no-store")], token).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// How many connections that was about.
fn told(connections: usize) -> String {
    format!("{connections}\n")
}

async fn marked(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("everwire-demo"), HeaderValue::from_static("1"));
    // The rest of the page's policy is in the page; this cannot be said there.
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'"));
    response
}

async fn only_ours(request: Request, next: Next) -> Response {
    if ours(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "only the page of the demo may do this\n").into_response()
    }
}

/// Whether a request comes from the demo's own page, or from no browser at all. It must name this machine as its host, lest a
/// name that points here by trickery is one with its site's; and where it tells its origin, that is the page's.
fn ours(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let Some(host) = text(header::HOST) else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let here = matches!(name, "127.0.0.1" | "localhost" | "[::1]");
    let same_origin = text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
    let same_site =
        text(HeaderName::from_static("sec-fetch-site")).is_none_or(|site| matches!(site, "same-origin" | "none"));
    here && same_origin && same_site
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn only_the_page_of_the_demo_may_break_things() {
        const HOST: (&str, &str) = ("host", "127.0.0.1:8080");
        for (pairs, want) in [
            (&[HOST][..], true),
            (&[("host", "localhost:8080")], true),
            (&[HOST, ("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")], true),
            (&[], false),
            (&[("host", "evil.example:8080")], false),
            (&[("host", "evil.example"), ("origin", "http://evil.example")], false),
            (&[("host", "127.0.0.1.evil.example")], false),
            (&[HOST, ("origin", "http://evil.example")], false),
            (&[HOST, ("origin", "null")], false),
            (&[HOST, ("origin", "http://127.0.0.1:9090")], false),
            (&[HOST, ("origin", "http://localhost:8080")], false),
            (&[HOST, ("sec-fetch-site", "cross-site")], false),
            (&[HOST, ("sec-fetch-site", "same-site")], false),
        ] {
            assert_eq!(ours(&headers(pairs)), want, "{pairs:?}");
        }
    }

    #[test]
    fn no_order_lasts_for_long() {
        let time = |seconds| For { seconds }.time().as_secs_f64();
        assert_eq!(time(None), SECONDS);
        assert_eq!(time(Some(1.5)), 1.5);
        assert_eq!([time(Some(1e300)), time(Some(-1.0)), time(Some(f64::NAN))], [MOST_SECONDS, 0.0, 0.0]);
    }
}
