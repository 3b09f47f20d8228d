//! Static files: the page at `/` and the package it imports at `/pkg`.

use super::{Shared, connection, upgrade::Upgrade};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use std::{io::ErrorKind, path::Path, sync::Arc};
use tower_http::{services::ServeDir, set_header::SetResponseHeaderLayer};

/// Adds the folders, and answers what no route takes.
pub(super) fn serve(routes: Router<Arc<Shared>>, pkg: Option<&Path>) -> Router<Arc<Shared>> {
    let routes = match pkg {
        Some(pkg) => routes.nest_service("/pkg", folder(pkg)),
        None => routes,
    };
    routes
        .fallback(page)
        // A browser asks each time whether a file has changed: a stale glue script beside a new .wasm would not run.
        .layer(default_header(header::CACHE_CONTROL, "no-cache"))
        .layer(default_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
}

/// A folder to serve: it finds out the type of a file by its name, and keeps paths inside.
pub(super) fn folder(path: &Path) -> ServeDir {
    ServeDir::new(path)
}

fn default_header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// What no route takes: a file of the page, or a WebSocket on a wrong path.
async fn page(State(server): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    if let Ok(upgrade) = Upgrade::of(&mut parts) {
        let largest = server.limits.max_message_size;
        return upgrade.accept(largest, move |socket| connection::run_on_wrong_path(server, socket));
    }
    let Some(mut www) = server.www.clone() else { return StatusCode::NOT_FOUND.into_response() };
    match www.try_call(Request::from_parts(parts, body)).await {
        Ok(response) => response.map(Body::new),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            StatusCode::NOT_FOUND.into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
