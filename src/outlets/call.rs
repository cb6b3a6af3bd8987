//! One HTTP request, made once: no retry, no redirect, a bounded answer, and an honest account of
//! how far it came.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, redirect, retry};

/// An answer is read up to here: nothing we ask for is longer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// At most one MiB.
    pub body: Vec<u8>,
}

/// Why no answer came back. The texts hold no URL, since a URL may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The connection was never made: nothing happened.
    Unsent(String),
    /// The request may have arrived.
    Unclear(String),
}

/// A client for calls that must not be made twice. Connections are not kept: one that is closed
/// while idle would make a request's fate unclear.
pub fn client(timeout: Duration) -> Result<Client, String> {
    Client::builder()
        .user_agent(concat!("greenlight/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|error| told(error.without_url()))
}

/// Makes the call.
pub async fn call(request: RequestBuilder) -> Result<Answer, NoAnswer> {
    let mut response = request.send().await.map_err(|error| {
        let unsent = error.is_connect() || error.is_builder();
        let why = told(error.without_url());
        if unsent { NoAnswer::Unsent(why) } else { NoAnswer::Unclear(why) }
    })?;
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                let room = ANSWER_BYTES_MAX - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if body.len() == ANSWER_BYTES_MAX {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => return Err(NoAnswer::Unclear(told(error.without_url()))),
        }
    }
    Ok(Answer { status, retry_after, body })
}

/// The error with its causes, in one line.
fn told(error: reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
