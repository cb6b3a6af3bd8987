//! A Slack of our own for the tests: stricter than the real one, and able to fail on demand.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::outlets::wire::{Handler, Heard, Said, serve, serve_at};
use crate::proto::slack::message::{Content, oversizes};

pub const TOKEN: &str = "xoxb-test";
pub const CHANNEL: &str = "C0BMA";

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    /// 429 with a `Retry-After` of one second.
    TooFast,
    ErrorBefore,
    /// 503 after the call was carried out.
    ErrorAfter,
    HangUpBefore,
    /// The connection breaks after the call was carried out.
    HangUpAfter,
    /// `ok: false` with this name.
    Refused(&'static str),
}

#[derive(Debug, Clone)]
pub struct Message {
    pub ts: String,
    pub thread_ts: Option<String>,
    pub text: String,
    pub body: Value,
    pub key: String,
    pub edits: u32,
}

#[derive(Default)]
pub struct State {
    pub messages: Vec<Message>,
    /// One for each posting or editing call to come; then nothing goes wrong.
    pub faults: VecDeque<Fault>,
    pub calls: Vec<String>,
    pub blind: bool,
    next: u64,
}

#[derive(Clone, Default)]
pub struct Slack {
    state: Arc<Mutex<State>>,
}

impl Slack {
    pub async fn start(&self) -> SocketAddr {
        serve(self.handler()).await
    }

    pub async fn start_at(&self, address: SocketAddr) {
        serve_at(address, self.handler()).await;
    }

    fn handler(&self) -> Handler {
        let slack = self.clone();
        Arc::new(move |heard| slack.answer(&heard))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn parents(&self) -> Vec<Message> {
        self.state().messages.iter().filter(|m| m.thread_ts.is_none()).cloned().collect()
    }

    pub fn replies(&self) -> Vec<Message> {
        self.state().messages.iter().filter(|m| m.thread_ts.is_some()).cloned().collect()
    }

    fn answer(&self, heard: &Heard) -> Said {
        let mut state = self.state();
        let path = heard.target.split('?').next().unwrap().trim_start_matches("/api/").to_owned();
        state.calls.push(path.clone());
        if heard.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return refuse("invalid_auth");
        }
        assert_eq!(heard.method, "POST");
        if path.starts_with("conversations.") {
            return state.list(heard);
        }
        let fault = state.faults.pop_front().unwrap_or(Fault::Nothing);
        match fault {
            Fault::TooFast => {
                return Said::Answer {
                    status: 429,
                    headers: vec![("retry-after", "1".into())],
                    body: String::new(),
                };
            }
            Fault::ErrorBefore => return Said::text(503, "no"),
            Fault::HangUpBefore => return Said::HangUp,
            Fault::Refused(name) => return refuse(name),
            Fault::Nothing | Fault::ErrorAfter | Fault::HangUpAfter => {}
        }
        let said = match path.as_str() {
            "chat.postMessage" => state.post(heard.json()),
            "chat.update" => state.update(&heard.json()),
            other => panic!("unexpected method {other}"),
        };
        match fault {
            Fault::ErrorAfter => Said::text(503, "no"),
            Fault::HangUpAfter => Said::HangUp,
            Fault::Nothing
            | Fault::TooFast
            | Fault::ErrorBefore
            | Fault::HangUpBefore
            | Fault::Refused(_) => said,
        }
    }
}

fn refuse(name: &str) -> Said {
    Said::text(200, &json!({"ok": false, "error": name}).to_string())
}

/// Everything we promised about every message.
fn strict(body: &Value) {
    let content: Content = serde_json::from_value(body.clone()).expect("text, blocks, attachments");
    assert_eq!(oversizes(&content), Vec::<String>::new());
    assert!(!content.text.is_empty());
    assert!(!content.text.contains(['<', '>']), "{}", content.text);
    assert_eq!(body["metadata"]["event_type"], "greenlight");
}

impl State {
    fn post(&mut self, body: Value) -> Said {
        strict(&body);
        if body["channel"] != CHANNEL && body["channel"] != "#bma" {
            return refuse("channel_not_found");
        }
        let thread_ts = body["thread_ts"].as_str().map(str::to_owned);
        if let Some(thread) = &thread_ts
            && !self.messages.iter().any(|m| m.ts == *thread && m.thread_ts.is_none())
        {
            return refuse("thread_not_found");
        }
        self.next += 1;
        let ts = format!("1795261396.{:06}", self.next);
        self.messages.push(Message {
            ts: ts.clone(),
            thread_ts,
            text: body["text"].as_str().unwrap().to_owned(),
            key: body["metadata"]["event_payload"]["key"].as_str().unwrap().to_owned(),
            body,
            edits: 0,
        });
        Said::text(200, &json!({"ok": true, "channel": CHANNEL, "ts": ts}).to_string())
    }

    fn update(&mut self, body: &Value) -> Said {
        strict(body);
        if body["channel"] != CHANNEL {
            return refuse("channel_not_found");
        }
        let Some(message) = self.messages.iter_mut().find(|m| body["ts"] == m.ts.as_str()) else {
            return refuse("message_not_found");
        };
        message.text = body["text"].as_str().unwrap().to_owned();
        message.body = body.clone();
        message.edits += 1;
        let ts = message.ts.clone();
        Said::text(200, &json!({"ok": true, "channel": CHANNEL, "ts": ts}).to_string())
    }

    fn list(&self, heard: &Heard) -> Said {
        if self.blind {
            return refuse("missing_scope");
        }
        if heard.parameter("channel").as_deref() != Some(CHANNEL) {
            return refuse("channel_not_found");
        }
        assert_eq!(heard.parameter("include_all_metadata").as_deref(), Some("true"));
        let thread = heard.parameter("ts");
        // A page of two, so that paging is walked.
        let skip: usize = heard.parameter("cursor").map_or(0, |text| text.parse().unwrap());
        let all: Vec<&Message> = self
            .messages
            .iter()
            .filter(|m| match &thread {
                Some(ts) => m.ts == *ts || m.thread_ts.as_deref() == Some(ts),
                None => m.thread_ts.is_none(),
            })
            .collect();
        let page: Vec<Value> = all
            .iter()
            .skip(skip)
            .take(2)
            .map(|m| json!({"ts": m.ts, "text": m.text, "metadata": m.body["metadata"]}))
            .collect();
        let next = if skip + 2 < all.len() { (skip + 2).to_string() } else { String::new() };
        let body = json!({
            "ok": true, "messages": page, "response_metadata": {"next_cursor": next},
        });
        Said::text(200, &body.to_string())
    }
}
