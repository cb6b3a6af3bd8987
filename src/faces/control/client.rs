//! The command line's end of the control socket.

use std::path::Path;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::error::{Code, Error};

/// An answer longer than this is not one of ours.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Asks, and reads the whole answer.
pub async fn ask<T: DeserializeOwned>(socket: &Path, method: &str, path: &str) -> Result<T, Error> {
    let response = send(socket, method, path).await?;
    let status = response.status();
    let limited = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let body = limited.collect().await.map_err(|error| broken(&error.to_string()))?.to_bytes();
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| broken(&error.to_string()));
    }
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |key: &str| told.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let name = text("code");
    let code = Code::ALL.into_iter().find(|code| code.name() == name).unwrap_or(Code::NoServer);
    Err(Error::new(code, text("message")).hint(text("hint")))
}

/// Reads an endless answer line by line until it ends or `each` says stop.
pub async fn lines(
    socket: &Path,
    path: &str,
    mut each: impl FnMut(&str) -> bool,
) -> Result<(), Error> {
    let mut body = send(socket, "GET", path).await?.into_body();
    let mut pending = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error.to_string()))?;
        pending.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data.as_ref()));
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            if !each(String::from_utf8_lossy(&line).trim_end()) {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn send(socket: &Path, method: &str, path: &str) -> Result<Response<Incoming>, Error> {
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "ask as the user the server runs as, such as `sudo -u greenlight greenlight ...`"
            }
            _ => "start it with `greenlight serve --config FILE`, and give the same --config here",
        };
        Error::new(Code::NoServer, format!("no server answers on {}: {error}", socket.display()))
            .hint(hint)
    })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error.to_string()))?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "greenlight")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(&error.to_string()))?;
    sender.send_request(request).await.map_err(|error| broken(&error.to_string()))
}

fn broken(why: &str) -> Error {
    Error::new(Code::NoServer, format!("the server's answer broke off: {why}"))
        .hint("see the server's log")
}

/// A name as one segment of a path.
pub fn segment(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
