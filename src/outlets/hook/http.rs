//! The HTTP hook: CloudEvents 1.0 in binary mode, Standard Webhooks envelope and signature.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use super::{Attempt, Settings, Target, envelope, tail};
use crate::clock::Timestamp;
use crate::outlets::call::{self, Answer, NoAnswer};
use crate::secret::Secret;
use crate::service::outbox::HandoffPayload;

/// A receiver that asks for a longer pause is asked again after this one.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

pub struct Caller {
    client: Client,
    url: String,
    /// The operator's own, secret values marked as such.
    headers: HeaderMap,
    signing: Option<Secret>,
    hook: String,
    source: String,
}

impl Caller {
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let Target::Http { url, headers, secret_headers, signing } = &settings.target else {
            return Err("not an HTTP hook".into());
        };
        reqwest::Url::parse(url).map_err(|error| format!("url: {error}"))?;
        let mut own = HeaderMap::new();
        for (name, value) in headers {
            own.insert(header(name)?, plain(value).ok_or(format!("header {name}: not text"))?);
        }
        for (name, value) in secret_headers {
            let mut value =
                plain(value.expose()).ok_or(format!("header {name}: the secret is not text"))?;
            value.set_sensitive(true);
            own.insert(header(name)?, value);
        }
        Ok(Self {
            client: call::client(settings.timeout)?,
            url: url.clone(),
            headers: own,
            signing: signing.clone(),
            hook: settings.name.clone(),
            source: settings.source.clone(),
        })
    }

    /// One request, and what its answer means.
    pub async fn call(&self, payload: &HandoffPayload, now: Timestamp) -> Attempt {
        let body = envelope(payload);
        let mut request = self.client.post(&self.url);
        for (name, value) in self.event_headers(payload, now, &body) {
            request = request.header(name, value);
        }
        // The operator's headers come last and replace ours of the same name.
        match call::call(request.headers(self.headers.clone()).body(body)).await {
            Ok(answer) => judged(&answer),
            Err(NoAnswer::Unsent(why)) => Attempt::Again { after: Duration::ZERO, why },
            Err(NoAnswer::Unclear(why)) => Attempt::Unclear(why),
        }
    }

    fn event_headers(
        &self,
        payload: &HandoffPayload,
        now: Timestamp,
        body: &[u8],
    ) -> Vec<(&'static str, String)> {
        let seconds = now.seconds().to_string();
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("ce-specversion", "1.0".to_owned()),
            ("ce-id", escaped(&payload.id)),
            ("ce-type", "greenlight.device.ready.v1".to_owned()),
            ("ce-source", escaped(&self.source)),
            ("ce-subject", escaped(&payload.subject)),
            ("ce-time", payload.at.to_string()),
            ("ce-correlationid", escaped(&payload.run)),
            ("webhook-id", escaped(&payload.id)),
            ("webhook-timestamp", seconds.clone()),
            ("idempotency-key", escaped(&format!("{}:{}", payload.id, self.hook))),
        ];
        if let Some(secret) = &self.signing {
            headers.push(("webhook-signature", signature(secret, &payload.id, &seconds, body)));
        }
        headers
    }
}

fn judged(answer: &Answer) -> Attempt {
    let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(2000)]).into_owned();
    let said = format!("HTTP {}\n{}", answer.status, tail(&text));
    let said = said.trim_end().to_owned();
    match answer.status {
        200..=299 => Attempt::Accepted(said),
        408 | 425 | 429 | 500..=599 => {
            let after = answer.retry_after.as_deref().and_then(|text| text.trim().parse().ok());
            let after = after.map_or(Duration::ZERO, Duration::from_secs).min(RETRY_AFTER_MAX);
            Attempt::Again { after, why: said }
        }
        // Redirects too: they are not followed, since they would carry our secrets elsewhere.
        _ => Attempt::Refused(said),
    }
}

/// `v1,` and the base64 HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks, "Signature
/// scheme"). A secret of the form `whsec_...` is base64; any other is taken as it is.
fn signature(secret: &Secret, id: &str, seconds: &str, body: &[u8]) -> String {
    let text = secret.expose();
    let key = text
        .strip_prefix("whsec_")
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .unwrap_or_else(|| text.as_bytes().to_vec());
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Percent-encodes what a header must not carry (CloudEvents HTTP binding 1.0 section 3.1.3.2).
fn escaped(text: &str) -> String {
    let mut header = String::new();
    for byte in text.bytes().take(512) {
        match byte {
            b' ' | b'"' | b'%' | 0..=0x1f | 0x7f..=0xff => header.push_str(&format!("%{byte:02X}")),
            printable => header.push(char::from(printable)),
        }
    }
    header
}

fn header(name: &str) -> Result<HeaderName, String> {
    name.parse().map_err(|_| format!("header {name}: not a header name"))
}

fn plain(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // The example of the specification's reference libraries.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_header_never_carries_a_line_end() {
        assert_eq!(escaped("a b\r\nx: y%\u{e4}\""), "a%20b%0D%0Ax:%20y%25%C3%A4%22");
    }
}
