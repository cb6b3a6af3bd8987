//! What did Slack's answer mean, and what may be done next?

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// A message's place: the channel's id and the message's `ts`, which is its name there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Anchor {
    pub channel: String,
    pub ts: String,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.channel, self.ts)
    }
}

impl Anchor {
    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (channel, ts) = text.rsplit_once('/')?;
        (!channel.is_empty() && !ts.is_empty())
            .then(|| Self { channel: channel.to_owned(), ts: ts.to_owned() })
    }
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It happened. Webhooks give no anchor.
    Done(Option<Anchor>),
    /// It did not happen; not before this time.
    Wait(Duration),
    /// It did not happen: no byte of it left. Try again.
    Unsent(String),
    /// It may have happened: look before it is sent again.
    Unclear(String),
    /// It did not happen, since Slack does not take what we built.
    OurBug(String),
    /// The message or thread is not there any more, or cannot be edited.
    ParentLost(String),
    /// The channel or the app is not set up for this.
    SetUp(String),
    /// The token is no longer good for anything.
    OutletOff(String),
}

/// Without `Retry-After`, Slack's rate limits are counted per minute; half of it is waited.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// A longer wait is asked in portions: an answer we misread must not silence us for a day.
const WAIT_MAX: Duration = Duration::from_secs(600);

#[derive(Debug, Deserialize)]
struct Envelope {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    ts: Option<String>,
    #[serde(default)]
    channel: Option<String>,
}

/// Reads the answer of a Web API method: status, the `Retry-After` header, and the body.
pub fn of_method(status: u16, retry_after: Option<&str>, body: &[u8]) -> Outcome {
    if status == 429 {
        return Outcome::Wait(waiting_time(retry_after));
    }
    if status >= 500 {
        return Outcome::Unclear(format!("HTTP {status}"));
    }
    let Ok(envelope) = serde_json::from_slice::<Envelope>(body) else {
        // Not Slack's own voice: a proxy, or half an answer. Nobody knows what happened behind it.
        return Outcome::Unclear(format!("HTTP {status} without an answer that can be read"));
    };
    if envelope.ok {
        let anchor = envelope.channel.zip(envelope.ts);
        return Outcome::Done(anchor.map(|(channel, ts)| Anchor { channel, ts }));
    }
    refusal(envelope.error.as_deref().unwrap_or("no error name"), retry_after)
}

/// Reads the answer of an incoming webhook, which is plain text.
pub fn of_webhook(status: u16, retry_after: Option<&str>, body: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(&body[..body.len().min(100)]).trim().to_owned();
    match status {
        200..=299 => Outcome::Done(None),
        429 => Outcome::Wait(waiting_time(retry_after)),
        500..=599 => Outcome::Unclear(format!("HTTP {status}")),
        _ => match text.as_str() {
            "no_service" | "no_service_id" | "no_active_hooks" | "no_team" | "team_disabled"
            | "invalid_token" => Outcome::OutletOff(text),
            "channel_not_found"
            | "channel_is_archived"
            | "action_prohibited"
            | "posting_to_general_channel_denied" => Outcome::SetUp(text),
            "rollup_error" => Outcome::Unclear(text),
            _ if status == 400 => Outcome::OurBug(text),
            _ => Outcome::OutletOff(format!("HTTP {status}")),
        },
    }
}

fn refusal(error: &str, retry_after: Option<&str>) -> Outcome {
    let why = error.chars().filter(|c| !c.is_control()).take(60).collect::<String>();
    match error {
        "ratelimited" | "rate_limited" => Outcome::Wait(waiting_time(retry_after)),
        "fatal_error"
        | "internal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org" => Outcome::Unclear(why),
        "message_not_found"
        | "edit_window_closed"
        | "cant_update_message"
        | "is_inactive"
        | "thread_not_found"
        | "cannot_reply_to_message" => Outcome::ParentLost(why),
        "channel_not_found" | "not_in_channel" | "is_archived" => Outcome::SetUp(why),
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive"
        | "missing_scope" | "no_permission" | "ekm_access_denied" => Outcome::OutletOff(why),
        _ if error.starts_with("restricted_action") => Outcome::SetUp(why),
        // `invalid_blocks*`, `msg_blocks_too_long`, `msg_too_long`, and every name we do not know:
        // a refusal by name has posted nothing.
        _ => Outcome::OurBug(why),
    }
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3); Slack sends no dates.
fn waiting_time(header: Option<&str>) -> Duration {
    header
        .and_then(|text| text.trim().parse().ok())
        .map_or(WAIT_DEFAULT, Duration::from_secs)
        .clamp(Duration::from_secs(1), WAIT_MAX)
}

#[derive(Debug, Deserialize)]
struct Page {
    ok: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    messages: Vec<Listed>,
    #[serde(default)]
    response_metadata: Option<Cursor>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    ts: String,
    #[serde(default)]
    metadata: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Cursor {
    #[serde(default)]
    next_cursor: String,
}

/// What one page of `conversations.history` or `.replies` says about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// The post is there, under this `ts`.
    Found(String),
    /// Not on this page; the cursor of the next one, if there is one.
    NotHere(Option<String>),
    /// We may not look (the history scope is missing), or there is nothing to look into.
    Blind(String),
    /// Nothing was learned; not before this time.
    Wait(Duration),
    /// Nothing was learned.
    Unclear(String),
}

/// Looks for the post that carries `key` in its metadata.
pub fn search(key: &str, status: u16, retry_after: Option<&str>, body: &[u8]) -> Search {
    if status == 429 {
        return Search::Wait(waiting_time(retry_after));
    }
    let page = match serde_json::from_slice::<Page>(body) {
        Ok(page) if status < 500 => page,
        // Something in between does not know the method: it will not know it later either.
        Err(_) if (400..500).contains(&status) => return Search::Blind(format!("HTTP {status}")),
        Ok(_) | Err(_) => return Search::Unclear(format!("HTTP {status}")),
    };
    if !page.ok {
        let error = page.error.unwrap_or_default();
        return match refusal(&error, retry_after) {
            Outcome::Wait(time) => Search::Wait(time),
            Outcome::Unclear(why) => Search::Unclear(why),
            // A thread that is gone holds no post of ours.
            Outcome::ParentLost(_) => Search::NotHere(None),
            Outcome::Done(_)
            | Outcome::Unsent(_)
            | Outcome::OurBug(_)
            | Outcome::SetUp(_)
            | Outcome::OutletOff(_) => Search::Blind(error),
        };
    }
    let found = page.messages.into_iter().find(|message| {
        message.metadata.as_ref().is_some_and(|data| data["event_payload"]["key"] == key)
    });
    match found {
        Some(message) => Search::Found(message.ts),
        None => Search::NotHere(
            page.response_metadata.map(|cursor| cursor.next_cursor).filter(|c| !c.is_empty()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: &str) -> Outcome {
        let body = serde_json::json!({"ok": false, "error": error}).to_string();
        of_method(200, None, body.as_bytes())
    }

    #[test]
    fn a_post_gives_its_anchor() {
        let body = br#"{"ok":true,"channel":"C1","ts":"1795261396.000100","message":{"x":1}}"#;
        let Outcome::Done(Some(anchor)) = of_method(200, None, body) else { panic!("not done") };
        assert_eq!(anchor.to_string(), "C1/1795261396.000100");
        assert_eq!(Anchor::parse("C1/1795261396.000100"), Some(anchor));
        assert_eq!(Anchor::parse("nonsense"), None);
    }

    #[test]
    fn every_refusal_has_its_class() {
        for name in ["ratelimited", "rate_limited"] {
            assert_eq!(refused(name), Outcome::Wait(Duration::from_secs(30)));
        }
        for name in [
            "fatal_error",
            "internal_error",
            "service_unavailable",
            "request_timeout",
            "team_added_to_org",
        ] {
            assert_eq!(refused(name), Outcome::Unclear(name.into()));
        }
        for name in
            ["invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"]
        {
            assert_eq!(refused(name), Outcome::OurBug(name.into()));
        }
        for name in
            ["message_not_found", "edit_window_closed", "cant_update_message", "is_inactive"]
        {
            assert_eq!(refused(name), Outcome::ParentLost(name.into()));
        }
        for name in [
            "channel_not_found",
            "not_in_channel",
            "is_archived",
            "restricted_action_read_only_channel",
        ] {
            assert_eq!(refused(name), Outcome::SetUp(name.into()));
        }
        for name in
            ["invalid_auth", "token_revoked", "token_expired", "account_inactive", "missing_scope"]
        {
            assert_eq!(refused(name), Outcome::OutletOff(name.into()));
        }
    }

    #[test]
    fn the_status_speaks_before_the_body() {
        let ok = br#"{"ok":true,"channel":"C1","ts":"1.2"}"#;
        assert_eq!(of_method(429, Some("7"), ok), Outcome::Wait(Duration::from_secs(7)));
        assert_eq!(of_method(429, Some("soon"), ok), Outcome::Wait(Duration::from_secs(30)));
        assert_eq!(of_method(429, Some("999999"), ok), Outcome::Wait(Duration::from_secs(600)));
        assert!(matches!(of_method(503, None, ok), Outcome::Unclear(_)));
        assert!(matches!(of_method(200, None, b"<html>"), Outcome::Unclear(_)));
        assert!(matches!(of_method(200, None, br#"{"ok":tr"#), Outcome::Unclear(_)));
    }

    #[test]
    fn a_webhook_answers_in_plain_text() {
        assert_eq!(of_webhook(200, None, b"ok"), Outcome::Done(None));
        assert_eq!(
            of_webhook(400, None, b"invalid_payload"),
            Outcome::OurBug("invalid_payload".into())
        );
        assert_eq!(of_webhook(404, None, b"no_service"), Outcome::OutletOff("no_service".into()));
        assert_eq!(
            of_webhook(410, None, b"channel_is_archived"),
            Outcome::SetUp("channel_is_archived".into())
        );
        assert_eq!(of_webhook(429, Some("1"), b""), Outcome::Wait(Duration::from_secs(1)));
        assert!(matches!(of_webhook(502, None, b"ok"), Outcome::Unclear(_)));
    }

    #[test]
    fn a_lost_post_is_found_by_its_key() {
        let ours = serde_json::json!({
            "event_type": "greenlight", "event_payload": {"key": "R/7"},
        });
        let page = serde_json::json!({
            "ok": true,
            "messages": [{"ts": "1.1"}, {"ts": "1.2", "metadata": ours}],
            "response_metadata": {"next_cursor": "more"},
        })
        .to_string();
        assert_eq!(search("R/7", 200, None, page.as_bytes()), Search::Found("1.2".into()));
        assert_eq!(search("R/8", 200, None, page.as_bytes()), Search::NotHere(Some("more".into())));
        let blind = br#"{"ok":false,"error":"missing_scope"}"#;
        assert_eq!(search("R/7", 200, None, blind), Search::Blind("missing_scope".into()));
        assert_eq!(search("R/7", 404, None, b"{}"), Search::Blind("HTTP 404".into()));
        assert!(matches!(search("R/7", 500, None, b""), Search::Unclear(_)));
        assert_eq!(search("R/7", 429, Some("3"), b""), Search::Wait(Duration::from_secs(3)));
    }
}
