//! What a request asks for and what its answer is, without a socket: name, identity, range, status.

use std::net::SocketAddr;
use std::ops::Range;

use base64::Engine as _;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_RANGE, RANGE, TRANSFER_ENCODING,
};
use hyper::{Method, Request, Response, StatusCode};

use crate::platform::recognition::HeaderClues;
use crate::servers::files::{Content, Served, canonical};
use crate::service::serving::{Ask, Refusal};

/// A piece of an artifact, as it is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Whole,
    Range(Range<usize>),
    /// The range begins behind the end.
    Nothing,
}

/// Refuses what is neither GET nor HEAD, and every request with a body.
pub fn refuse<B>(request: &Request<B>) -> Option<Response<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(last(response));
    }
    let length = request.headers().get(CONTENT_LENGTH);
    let has_body = length.is_some_and(|length| length.as_bytes() != b"0")
        || request.headers().contains_key(TRANSFER_ENCODING);
    has_body.then(|| last(text(StatusCode::PAYLOAD_TOO_LARGE, "a request may not have a body")))
}

/// Headers of a request that are looked at for who sends it. Devices send some ten.
const HEADERS_MAX: usize = 64;

/// Who asks for what. `identity` reads in the headers who that is.
pub fn ask<B>(
    request: &Request<B>,
    (peer, local): (SocketAddr, SocketAddr),
    identity: impl Fn(&[(String, String)]) -> HeaderClues,
) -> Ask {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = request.headers().iter().filter_map(text).take(HEADERS_MAX);
    let HeaderClues { serial, mac, model: _ } = identity(&headers.collect::<Vec<_>>());
    Ask {
        transport: "http",
        peer: canonical(peer),
        local: canonical(local),
        name: name(request.uri().path()),
        serial,
        mac,
    }
}

/// The answer to somebody for whom there is nothing.
pub fn refusal(refusal: &Refusal) -> Response<Bytes> {
    match refusal {
        Refusal::NotFound { why } => text(StatusCode::NOT_FOUND, why),
        Refusal::Forbidden { why } => text(StatusCode::FORBIDDEN, why),
        Refusal::Unavailable { why } => text(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

/// Status and headers for an artifact (RFC 9110 sections 8.6 and 14).
pub fn head(served: &Served, part: &Part) -> Response<()> {
    let length = length(served);
    let mut response = Response::new(());
    let (status, sent, range) = match part {
        Part::Whole => (StatusCode::OK, length, None),
        Part::Range(range) => {
            let told = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            (StatusCode::PARTIAL_CONTENT, range.len(), Some(told))
        }
        Part::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, 0, Some(format!("bytes */{length}"))),
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(sent));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(tag) = HeaderValue::try_from(entity_tag(served)) {
        headers.insert(ETAG, tag);
    }
    if let Some(digest) = digest(served) {
        headers.insert("repr-digest", digest);
    }
    if let Some(range) = range.and_then(|range| HeaderValue::try_from(range).ok()) {
        headers.insert(CONTENT_RANGE, range);
    }
    response
}

/// What of the artifact is wanted. A range that we do not understand, several ranges, or a range of
/// another version (`If-Range`) get the whole (RFC 9110 section 14.2).
pub fn part(headers: &HeaderMap, served: &Served) -> Part {
    let Some(range) = headers.get(RANGE).and_then(|range| range.to_str().ok()) else {
        return Part::Whole;
    };
    if headers.get(IF_RANGE).is_some_and(|tag| tag.as_bytes() != entity_tag(served).as_bytes()) {
        return Part::Whole;
    }
    range_of(range, length(served)).unwrap_or(Part::Whole)
}

/// Bytes of the whole. A platform of 32 bits cannot serve more than it can count.
pub fn length(served: &Served) -> usize {
    usize::try_from(served.content.bytes()).unwrap_or(usize::MAX)
}

fn entity_tag(served: &Served) -> String {
    match &served.content {
        Content::Here(_) => format!("\"{}\"", served.sha256),
        Content::Image(reading) => format!("\"{}\"", reading.image().tag()),
    }
}

/// The digest of the whole, whatever part of it is sent (RFC 9530 section 3.1). That of an image is
/// told once it is known: nobody waits for it.
fn digest(served: &Served) -> Option<HeaderValue> {
    let known = served.content.image().map(|image| image.known().map(|known| known.sha256));
    let digits = known.unwrap_or_else(|| Some(served.sha256.clone()))?;
    let bytes: Option<Vec<u8>> = (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok())
        .collect();
    let bytes = bytes.filter(|bytes| bytes.len() == 32)?;
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    HeaderValue::try_from(format!("sha-256=:{encoded}:")).ok()
}

fn range_of(range: &str, length: usize) -> Option<Part> {
    let (first, last) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
    let (start, end) = if first.is_empty() {
        let suffix = number(last)?;
        (length.saturating_sub(suffix), if suffix == 0 { 0 } else { length })
    } else {
        let start = number(first)?;
        let end = if last.is_empty() { length } else { number(last)?.saturating_add(1) };
        if !last.is_empty() && end <= start {
            return None;
        }
        (start, end.min(length))
    };
    Some(if start < end { Part::Range(start..end) } else { Part::Nothing })
}

fn number(digits: &str) -> Option<usize> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(usize::MAX))
}

/// The path without its first slash, percent decoding undone. It is a name and never a path on a
/// disk.
pub fn name(path: &str) -> String {
    let path = path.strip_prefix('/').unwrap_or(path).as_bytes();
    let mut bytes = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        let hex = path.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = hex.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match escaped.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(value) if byte == b'%' => {
                bytes.push(value);
                at += 3;
            }
            Some(_) | None => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn text(status: StatusCode, why: &str) -> Response<Bytes> {
    let body = Bytes::from(format!("{why}\n"));
    let mut response = Response::new(body.clone());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    response
}

/// What follows on this connection is not read.
fn last(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::Mac;
    use crate::platform::Platforms;
    use crate::platform::recognition::IdentityHeaders;

    thread_local! {
        static NAMES: IdentityHeaders = Platforms::built_in().identity_headers();
    }

    fn asked(path: &str, headers: &[(&str, &str)]) -> Ask {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = "[::ffff:10.77.0.9]:40000".parse().unwrap();
        let request = request.body(()).unwrap();
        let local = "10.77.0.1:80".parse().unwrap();
        NAMES.with(|names| ask(&request, (peer, local), |headers| names.read(headers)))
    }

    #[test]
    fn the_identity_of_each_vendor_is_heard_whatever_the_case() {
        let mac = Some("00:1b:21:aa:bb:cc".parse().unwrap());
        type Headers = &'static [(&'static str, &'static str)];
        let cases: [(Headers, Option<&str>, Option<Mac>); 9] = [
            (
                &[("X-Arista-Serial", "JPE1"), ("X-Arista-SystemMAC", "00:1b:21:aa:bb:cc")],
                Some("JPE1"),
                mac,
            ),
            (&[("x-CISCO-serial", "UTF-8''FOC2145")], Some("FOC2145"), None),
            (
                &[
                    ("CUMULUS-SERIAL", "MT1"),
                    ("CUMULUS-BASE-MAC", "00:1b:21:00:00:00"),
                    ("CUMULUS-MGMT-MAC", "00:1B:21:AA:BB:CC"),
                ],
                Some("MT1"),
                mac,
            ),
            (
                &[("ONIE-SERIAL-NUMBER", "AB9"), ("ONIE-ETH-ADDR", "001b.21aa.bbcc")],
                Some("AB9"),
                mac,
            ),
            (
                &[("SERIAL-NUMBER", "S1"), ("BASE-MAC-ADDRESS", "00-1b-21-aa-bb-cc")],
                Some("S1"),
                mac,
            ),
            (&[("serial-number", "")], None, None),
            (&[("serial-number", "two words")], None, None),
            (&[("onie-eth-addr", "not a mac"), ("base-mac-address", "001b21aabbcc")], None, mac),
            (&[], None, None),
        ];
        for (headers, serial, mac) in cases {
            let ask = asked("/ztp", headers);
            assert_eq!((ask.serial.as_deref(), ask.mac), (serial, mac), "{headers:?}");
            assert_eq!(ask.peer.to_string(), "10.77.0.9:40000");
        }
        assert_eq!(asked("/", &[("serial-number", &"x".repeat(65))]).serial, None);
    }

    #[test]
    fn a_path_is_a_name() {
        for (path, name) in [
            ("/network-confg", "network-confg"),
            ("/a%20b%2Fc?x=1", "a b/c"),
            ("/../../etc/passwd", "../../etc/passwd"),
            ("//etc/passwd", "/etc/passwd"),
            ("/%zz%4%+1", "%zz%4%+1"),
            ("/%ff", "\u{fffd}"),
            ("/", ""),
            ("http://host/boot.cfg", "boot.cfg"),
        ] {
            assert_eq!(asked(path, &[]).name, name, "{path}");
        }
    }

    #[test]
    fn ranges_are_understood_or_passed_over() {
        for (range, part) in [
            ("bytes=0-0", Some(Part::Range(0..1))),
            ("bytes=2-4", Some(Part::Range(2..5))),
            ("bytes=8-99999999999999999999999", Some(Part::Range(8..10))),
            ("bytes=7-", Some(Part::Range(7..10))),
            ("bytes=-3", Some(Part::Range(7..10))),
            ("bytes=-30", Some(Part::Range(0..10))),
            ("bytes=-0", Some(Part::Nothing)),
            ("bytes=10-", Some(Part::Nothing)),
            ("bytes=10-12", Some(Part::Nothing)),
            ("bytes=5-4", None),
            ("bytes=1-2,4-5", None),
            ("bytes=+1-2", None),
            ("bytes=-", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(range_of(range, 10), part, "{range}");
        }
        assert_eq!(range_of("bytes=0-", 0), Some(Part::Nothing));
    }

    proptest! {
        #[test]
        fn random_ranges_and_paths_never_panic(
            range in ".{0,30}", numbers in "bytes=[0-9]{0,25}-[0-9]{0,25}",
            length in 0usize..50, path in ".{0,40}",
        ) {
            for range in [range, numbers] {
                if let Some(Part::Range(range)) = range_of(&range, length) {
                    prop_assert!(range.start < range.end && range.end <= length);
                }
            }
            name(&path);
        }
    }
}
