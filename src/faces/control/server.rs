//! The server's end: routes to operations and nothing more.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use hyper::body::Frame;
use serde::Deserialize;
use tokio::net::UnixListener;
use tokio::sync::{broadcast, mpsc, watch};

use crate::error::Error;
use crate::service::operations::{Context, Operations};
use crate::service::runner::Told;

/// Journal lines in one answer; more is a question for the store's file itself.
const LINES_MAX: u32 = 10_000;

/// Takes the socket. A file left by a server that is gone is replaced; a living server is not.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another server answers on this socket",
            ));
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until `shutdown`.
pub async fn serve(
    listener: UnixListener,
    operations: Operations,
    mut shutdown: watch::Receiver<bool>,
) {
    let ending = shutdown.clone();
    let state = Shared { operations, ending };
    let router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/devices/{device}/log", get(log))
        .route("/v1/devices/{device}/expect", post(expect))
        .route("/v1/devices/{device}/rerun", post(rerun))
        .route("/v1/devices/{device}/cancel", post(cancel))
        .route("/v1/events", get(events))
        .with_state(state);
    let served = axum::serve(listener, router.into_make_service_with_connect_info::<Caller>())
        .with_graceful_shutdown(async move {
            let _ = shutdown.wait_for(|stop| *stop).await;
        })
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the control socket ended");
    }
}

#[derive(Clone)]
struct Shared {
    operations: Operations,
    ending: watch::Receiver<bool>,
}

/// The process at the other end, as the kernel names it.
#[derive(Debug, Clone)]
struct Caller(Option<u32>);

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|credentials| credentials.uid()))
    }
}

impl Caller {
    fn context(&self) -> Context {
        let actor = self.0.map_or_else(|| "unix:unknown".into(), |uid| format!("unix:{uid}"));
        Context { actor }
    }
}

/// An error as this socket tells it.
struct Refusal(Error);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::json!({
            "code": self.0.code.name(), "message": self.0.message, "hint": self.0.hint,
        });
        (status, Json(body)).into_response()
    }
}

type Answer<T> = Result<Json<T>, Refusal>;
type From = ConnectInfo<Caller>;

async fn status(
    State(shared): State<Shared>,
    ConnectInfo(caller): From,
) -> Answer<crate::service::operations::Status> {
    shared.operations.status(&caller.context()).await.map(Json).map_err(Refusal)
}

#[derive(Deserialize)]
struct Last {
    #[serde(default = "Last::usual")]
    last: u32,
}

impl Last {
    fn usual() -> u32 {
        50
    }
}

async fn log(
    State(shared): State<Shared>,
    ConnectInfo(caller): From,
    UrlPath(device): UrlPath<String>,
    Query(last): Query<Last>,
) -> Answer<crate::service::operations::Log> {
    let last = last.last.min(LINES_MAX);
    shared.operations.log(&caller.context(), &device, last).await.map(Json).map_err(Refusal)
}

async fn expect(
    State(shared): State<Shared>,
    ConnectInfo(caller): From,
    UrlPath(device): UrlPath<String>,
) -> Answer<serde_json::Value> {
    let cx = caller.context();
    shared.operations.expect(&cx, &device).await.map_err(Refusal)?;
    Ok(Json(serde_json::json!({ "device": device, "done": "is expected from now on" })))
}

async fn rerun(
    State(shared): State<Shared>,
    ConnectInfo(caller): From,
    UrlPath(device): UrlPath<String>,
) -> Answer<serde_json::Value> {
    let cx = caller.context();
    shared.operations.rerun(&cx, &device).await.map_err(Refusal)?;
    Ok(Json(serde_json::json!({ "device": device, "done": "a new run has begun" })))
}

async fn cancel(
    State(shared): State<Shared>,
    ConnectInfo(caller): From,
    UrlPath(device): UrlPath<String>,
) -> Answer<serde_json::Value> {
    let cx = caller.context();
    shared.operations.cancel(&cx, &device).await.map_err(Refusal)?;
    Ok(Json(serde_json::json!({ "device": device, "done": "its run is cancelled" })))
}

/// The event stream: one JSON object a line, from now on, until the caller hangs up.
async fn events(State(shared): State<Shared>, ConnectInfo(caller): From) -> Response {
    let mut feed = shared.operations.watch(&caller.context());
    let mut ending = shared.ending.clone();
    let (lines, waiting) = mpsc::channel(256);
    tokio::spawn(async move {
        loop {
            let told = tokio::select! {
                _ = ending.wait_for(|stop| *stop) => return,
                told = feed.recv() => told,
            };
            let line = match told {
                Ok(told) => event_line(&told),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    serde_json::json!({ "missed": missed })
                }
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if lines.send(format!("{line}\n")).await.is_err() {
                return;
            }
        }
    });
    let mut response = Response::new(Body::new(Lines(waiting)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

/// One event as it leaves us: in the stream, and in the demo's `--json`.
pub fn event_line(told: &Told) -> serde_json::Value {
    let notes: Vec<serde_json::Value> = told
        .notes
        .iter()
        .map(|(topic, text)| serde_json::json!({ "topic": topic, "text": text }))
        .collect();
    serde_json::json!({
        "at": told.notice.as_ref().map_or(told.run.last_heard, |notice| notice.at).to_string(),
        "device": told.run.device,
        "site": told.run.site,
        "run": told.run.id,
        "rev": told.run.rev,
        "phase": told.run.phase,
        "repeats": told.run.repeats,
        "notes": notes,
        "notice": told.notice,
    })
}

/// A body that is written line by line.
struct Lines(mpsc::Receiver<String>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|line| line.map(|line| Ok(Frame::data(Bytes::from(line)))))
    }
}
