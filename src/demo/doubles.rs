//! The two systems that Greenlight talks to, as small as they can be and on real sockets: a chat
//! that speaks Slack's web API, and somebody who takes devices over.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request of ours is a few kilobytes.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Both, on one port.
pub struct Doubles {
    pub address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    accepting: JoinHandle<()>,
}

/// Everything that came.
#[derive(Debug, Default, Clone)]
pub struct Heard {
    /// In the order in which they were posted.
    pub messages: Vec<Message>,
    /// Bodies of hand-offs, in order.
    pub hand_offs: Vec<Value>,
    /// Requests that no double understands: method and path.
    pub strange: Vec<String>,
}

/// One message of the chat, in its newest form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub ts: String,
    /// The message it answers; `None` begins a thread.
    pub thread: Option<String>,
    /// What a lock screen shows.
    pub text: String,
    /// What the open app shows, line by line.
    pub lines: Vec<String>,
    pub edits: u32,
}

impl Doubles {
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let heard: Arc<Mutex<Heard>> = Arc::default();
        let shared = heard.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let heard = shared.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &heard).await {
                        tracing::debug!(%error, "a client of the doubles went away");
                    }
                });
            }
        });
        Ok(Self { address, heard, accepting })
    }

    pub fn heard(&self) -> Heard {
        lock(&self.heard).clone()
    }
}

impl Drop for Doubles {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Heard {
    /// How often each of these devices was handed over.
    pub fn hand_offs_of(&self, device: &str) -> u32 {
        count(self.hand_offs.iter().filter(|body| names(body, device)))
    }

    /// How many threads of the chat belong to this device.
    pub fn parents_of(&self, device: &str) -> u32 {
        let parents = self.messages.iter().filter(|message| message.thread.is_none());
        count(parents.filter(|message| {
            mentions(&message.text, device)
                || message.lines.iter().any(|line| mentions(line, device))
        }))
    }

    /// The threads, each with its answers.
    pub fn threads(&self) -> Vec<(&Message, Vec<&Message>)> {
        let mut answers: BTreeMap<&str, Vec<&Message>> = BTreeMap::new();
        for message in &self.messages {
            if let Some(thread) = &message.thread {
                answers.entry(thread).or_default().push(message);
            }
        }
        let parents = self.messages.iter().filter(|message| message.thread.is_none());
        parents.map(|parent| (parent, answers.remove(&*parent.ts).unwrap_or_default())).collect()
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// True if the name stands in the text and is not a part of a longer name.
fn mentions(text: &str, device: &str) -> bool {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(device).any(|(at, _)| {
        !text[..at].ends_with(part_of_name) && !text[at + device.len()..].starts_with(part_of_name)
    })
}

/// True if some value of the document is the name.
fn names(document: &Value, device: &str) -> bool {
    match document {
        Value::String(text) => text == device,
        Value::Array(items) => items.iter().any(|item| names(item, device)),
        Value::Object(fields) => fields.values().any(|item| names(item, device)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    // Every change is one push or one assignment.
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request, one answer, and the connection ends: HTTP/1.1 with `connection: close`.
async fn converse(mut stream: TcpStream, heard: &Mutex<Heard>) -> io::Result<()> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 || bytes.len() > REQUEST_BYTES_MAX {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .unwrap_or(0)
        .min(REQUEST_BYTES_MAX);
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
    let body = &bytes[head_end..head_end + length];
    let mut request = head.split_whitespace();
    let (method, path) = (request.next().unwrap_or(""), request.next().unwrap_or(""));
    let (status, answer) = take(&mut lock(heard), method, path, body);
    let answer = answer.to_string();
    let reply = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{answer}",
        answer.len()
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

/// What a request does, and its answer.
fn take(heard: &mut Heard, method: &str, path: &str, body: &[u8]) -> (&'static str, Value) {
    let asked: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let path = path.split('?').next().unwrap_or("");
    match (method, path) {
        ("POST", "/handover") => {
            heard.hand_offs.push(asked);
            let job = 4700 + heard.hand_offs.len();
            ("202 Accepted", json!({ "job": format!("demo job {job}") }))
        }
        ("POST", "/api/chat.postMessage") => ("200 OK", post(heard, &asked)),
        ("POST", "/api/chat.update") => ("200 OK", update(heard, &asked)),
        ("POST", "/api/auth.test") => (
            "200 OK",
            json!({ "ok": true, "team": "Demo", "team_id": "T0", "user": "greenlight",
                    "user_id": "U0", "bot_id": "B0" }),
        ),
        ("GET" | "POST", "/api/conversations.history" | "/api/conversations.replies") => {
            ("200 OK", json!({ "ok": true, "messages": [], "has_more": false }))
        }
        _ => {
            heard.strange.push(format!("{method} {path}"));
            ("404 Not Found", json!({ "ok": false, "error": "unknown_method" }))
        }
    }
}

fn post(heard: &mut Heard, asked: &Value) -> Value {
    let ts = format!("1795261396.{:06}", heard.messages.len() + 1);
    let thread = asked["thread_ts"].as_str().map(str::to_owned);
    let (text, lines) = content(asked);
    heard.messages.push(Message { ts: ts.clone(), thread, text, lines, edits: 0 });
    json!({ "ok": true, "channel": "C0DEMO", "ts": ts, "message": { "text": asked["text"] } })
}

fn update(heard: &mut Heard, asked: &Value) -> Value {
    let wanted = asked["ts"].as_str().unwrap_or_default();
    let Some(message) = heard.messages.iter_mut().find(|message| message.ts == wanted) else {
        return json!({ "ok": false, "error": "message_not_found" });
    };
    (message.text, message.lines) = content(asked);
    message.edits += 1;
    json!({ "ok": true, "channel": "C0DEMO", "ts": wanted, "text": message.text })
}

/// The lock-screen text, and the lines of all blocks as the app would show them.
fn content(asked: &Value) -> (String, Vec<String>) {
    let text = plain(asked["text"].as_str().unwrap_or_default());
    let mut lines = Vec::new();
    for block in asked["blocks"].as_array().into_iter().flatten() {
        let own = block["text"]["text"].as_str().into_iter().map(str::to_owned);
        let elements = block["elements"].as_array().into_iter().flatten();
        let small: Vec<&str> = elements.filter_map(|element| element["text"].as_str()).collect();
        let small = (!small.is_empty()).then(|| format!("({})", small.join(" · ")));
        for shown in own.chain(small) {
            lines.extend(shown.lines().map(plain));
        }
    }
    if lines.is_empty() {
        lines.extend(text.lines().map(str::to_owned));
    }
    (text, lines)
}

/// Slack's markup as a reader sees it: no stars, dates by their fallback, entities as letters.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('<') {
        out.push_str(before);
        let Some((inside, after)) = from.split_once('>') else {
            rest = from;
            continue;
        };
        out.push_str(inside.rsplit('|').next().unwrap_or(inside).trim_start_matches('!'));
        rest = after;
    }
    out.push_str(rest);
    out.replace('*', "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(heard: &mut Heard, path: &str, body: &Value) -> Value {
        take(heard, "POST", path, body.to_string().as_bytes()).1
    }

    #[test]
    fn the_chat_keeps_threads_and_the_newest_form_of_each_message() {
        let mut heard = Heard::default();
        let parent =
            ask(&mut heard, "/api/chat.postMessage", &json!({ "text": "acc-sw-1 begins" }));
        let ts = parent["ts"].as_str().unwrap().to_owned();
        let reply = json!({ "text": "move a plug", "thread_ts": ts });
        ask(&mut heard, "/api/chat.postMessage", &reply);
        let shown = "*acc-sw-1* &lt;ok&gt;\nready <!date^17^{time}|11:41 UTC>";
        let blocks = json!([
            { "type": "section", "text": { "type": "mrkdwn", "text": shown } },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": "G17" }] },
        ]);
        let edit = json!({ "ts": ts, "text": "acc-sw-1 is ready", "blocks": blocks });
        assert_eq!(ask(&mut heard, "/api/chat.update", &edit)["ok"], true);
        let threads = heard.threads();
        assert_eq!(threads.len(), 1);
        let (parent, answers) = &threads[0];
        assert_eq!((parent.text.as_str(), parent.edits), ("acc-sw-1 is ready", 1));
        assert_eq!(parent.lines, ["acc-sw-1 <ok>", "ready 11:41 UTC", "(G17)"]);
        assert_eq!(answers[0].text, "move a plug");
        assert_eq!((heard.parents_of("acc-sw-1"), heard.parents_of("acc-sw-11")), (1, 0));
        let unknown = json!({ "ts": "1.2", "text": "" });
        assert_eq!(ask(&mut heard, "/api/chat.update", &unknown)["error"], "message_not_found");
    }

    #[test]
    fn a_hand_off_is_counted_for_the_device_that_it_names_wherever_it_stands() {
        let mut heard = Heard::default();
        ask(&mut heard, "/handover", &json!({ "data": { "device": { "name": "acc-sw-1" } } }));
        ask(&mut heard, "/handover", &json!({ "device": "acc-sw-11" }));
        assert_eq!((heard.hand_offs_of("acc-sw-1"), heard.hand_offs_of("acc-sw-11")), (1, 1));
        let (status, _) = take(&mut heard, "DELETE", "/handover", b"");
        assert_eq!((status, heard.strange.len()), ("404 Not Found", 1));
    }

    #[tokio::test]
    async fn a_request_over_a_socket_is_answered_in_full() {
        let doubles = Doubles::start().await.unwrap();
        let mut stream = TcpStream::connect(doubles.address).await.unwrap();
        let body = r#"{"device":"acc-sw-1"}"#;
        let head = format!("POST /handover HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202 Accepted\r\n"), "{answer}");
        assert!(answer.ends_with(r#"{"job":"demo job 4701"}"#), "{answer}");
        assert_eq!(doubles.heard().hand_offs_of("acc-sw-1"), 1);
    }
}
