//! Which HTTP request is in a capture? The head of a GET or any other method (RFC 9112), in one TCP
//! segment or in several that follow each other. Not here: bodies, answers, and what is encrypted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::proto::capture::Segment;

/// The longest head that is put together; the largest of a known client is below 2 KiB.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Headers that are kept of one request.
const HEADERS_MAX: usize = 64;

/// Heads that have begun and not ended, at the same time.
const BEGUN_MAX: usize = 256;

/// The head of one request, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// `GET`.
    pub method: String,
    /// Path and query, or a whole URL where a proxy is asked.
    pub target: String,
    /// In the order sent. Values that are no text are left out.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The value of the first header of this name; its case means nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The path without its query (RFC 3986 section 3.4), whichever form the target has.
    pub fn path(&self) -> &str {
        let target = match self.target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => &self.target,
        };
        target.split(['?', '#']).next().unwrap_or(target)
    }
}

/// A request that is whole, and where it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The segment that holds its first byte; its payload may be more than the head.
    pub first: Segment<'a>,
    /// The number of that segment's frame.
    pub frame: Option<u64>,
    pub head: Head,
}

/// Heads that have begun.
#[derive(Debug, Default)]
pub struct Heads<'a> {
    begun: BTreeMap<Ends, Begun<'a>>,
}

type Ends = ((IpAddr, u16), (IpAddr, u16));

#[derive(Debug)]
struct Begun<'a> {
    first: Segment<'a>,
    frame: Option<u64>,
    bytes: Vec<u8>,
    /// The number of the byte that comes next.
    next: u32,
}

impl<'a> Heads<'a> {
    /// Takes the next segment of a capture, and gives the request that it completes. Only segments
    /// that follow each other are put together: one that is lost or comes late ends the try.
    pub fn take(&mut self, segment: Segment<'a>, frame: Option<u64>) -> Option<Asked<'a>> {
        if segment.payload.is_empty() {
            return None;
        }
        let ends = (segment.from, segment.to);
        let length = u32::try_from(segment.payload.len()).ok()?;
        let begun = match self.begun.remove(&ends) {
            Some(mut begun) if begun.next == segment.sequence => {
                begun.bytes.extend(segment.payload);
                begun.next = begun.next.wrapping_add(length);
                begun
            }
            // The same came again, or a keep-alive's byte.
            Some(begun) if segment.sequence.wrapping_sub(begun.next) > u32::MAX / 2 => {
                self.begun.insert(ends, begun);
                return None;
            }
            Some(_) | None if !begins(segment.payload) => return None,
            Some(_) | None => {
                let bytes = segment.payload.to_vec();
                let next = segment.sequence.wrapping_add(length);
                Begun { first: segment, frame, bytes, next }
            }
        };
        match head(&begun.bytes) {
            Some(head) => Some(Asked { first: begun.first, frame: begun.frame, head }),
            None => {
                let room = self.begun.len() < BEGUN_MAX && begun.bytes.len() < HEAD_BYTES_MAX;
                if room && begins(&begun.bytes) {
                    self.begun.insert(ends, begun);
                }
                None
            }
        }
    }

    /// The frames of requests that begin in this capture and do not end in it.
    pub fn unended(&self) -> Vec<u64> {
        let mut frames: Vec<u64> = self.begun.values().filter_map(|begun| begun.frame).collect();
        frames.sort_unstable();
        frames
    }
}

/// True if these bytes begin like a request: a method of capital letters, a space, and no answer.
fn begins(bytes: &[u8]) -> bool {
    let Some(at) = bytes.iter().position(|byte| *byte == b' ') else { return false };
    let method = (3..=7).contains(&at) && bytes[..at].iter().all(u8::is_ascii_uppercase);
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let ended = line.len() < bytes.len();
    method && (!ended || version(line.trim_ascii_end()).is_some())
}

/// The request line without its version.
fn version(line: &[u8]) -> Option<&[u8]> {
    line.strip_suffix(b" HTTP/1.1").or_else(|| line.strip_suffix(b" HTTP/1.0"))
}

/// The head of a request, if it is here to its end.
pub fn head(bytes: &[u8]) -> Option<Head> {
    if !begins(bytes) {
        return None;
    }
    let bytes = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().filter(|line| line.ends_with(b"\n"))?;
    let request = std::str::from_utf8(version(first.trim_ascii_end())?).ok()?;
    let (method, target) = request.split_once(' ')?;
    let (mut headers, mut whole) = (Vec::new(), false);
    for line in lines {
        let line = line.strip_suffix(b"\n")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            whole = true;
            break;
        }
        let text = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'));
        if let Some((name, value)) = text.filter(|_| headers.len() < HEADERS_MAX) {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    let head = || Head { method: method.to_owned(), target: target.to_owned(), headers };
    whole.then(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: &[u8] = b"GET /acc-1.cfg?x=1 HTTP/1.1\r\nHost: 192.0.2.2\r\n\
        x-arista-serial:  JPE12345678 \r\nNo-Value:\r\n\r\nbody";

    fn at(sequence: u32, payload: &[u8]) -> Segment<'_> {
        Segment {
            mac: None,
            vlans: Vec::new(),
            from: ([192, 0, 2, 21].into(), 40_000),
            to: ([192, 0, 2, 2].into(), 80),
            sequence,
            payload,
            cut: false,
        }
    }

    #[test]
    fn a_request_is_read_with_its_headers() {
        let head = head(REQUEST).unwrap();
        assert_eq!((head.method.as_str(), head.path()), ("GET", "/acc-1.cfg"));
        assert_eq!(head.header("X-Arista-Serial"), Some("JPE12345678"));
        assert_eq!((head.header("no-value"), head.header("none")), (Some(""), None));
        let proxied = Head { target: "http://192.0.2.2:80/a/b?c".to_owned(), ..head.clone() };
        assert_eq!(proxied.path(), "/a/b");
        let bare = Head { target: "http://192.0.2.2".to_owned(), ..head };
        assert_eq!(bare.path(), "/");
    }

    #[test]
    fn what_is_no_request_is_none() {
        for bytes in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"GET /\r\n\r\n",
            b"get / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"GET / HTTP/1.1\r\nHost: unended",
        ] {
            assert_eq!(head(bytes), None, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn segments_that_follow_each_other_are_put_together() {
        let (one, two) = REQUEST.split_at(20);
        let mut heads = Heads::default();
        let begin = u32::MAX - 5;
        assert_eq!(heads.take(at(begin, one), Some(4)), None);
        assert_eq!(heads.unended(), [4]);
        assert_eq!(heads.take(at(begin, one), Some(5)), None, "the same came again");
        assert_eq!(heads.take(at(begin.wrapping_add(20), b""), Some(6)), None, "an ACK alone");
        let asked = heads.take(at(begin.wrapping_add(20), two), Some(7)).unwrap();
        assert_eq!((asked.frame, asked.head), (Some(4), head(REQUEST).unwrap()));
        assert!(heads.unended().is_empty());
    }

    #[test]
    fn a_gap_ends_the_try_and_a_new_request_begins_another() {
        let (one, two) = REQUEST.split_at(20);
        let mut heads = Heads::default();
        assert_eq!(heads.take(at(0, one), Some(1)), None);
        assert_eq!(heads.take(at(30, &two[10..]), Some(2)), None);
        assert!(heads.unended().is_empty());
        assert_eq!(heads.take(at(0, REQUEST), Some(3)).unwrap().frame, Some(3));
    }

    proptest! {
        #[test]
        fn a_request_is_the_same_however_it_is_cut(
            cuts in proptest::collection::btree_set(1..REQUEST.len(), 0..6),
            begin in any::<u32>(),
        ) {
            let ends = cuts.iter().copied().chain([REQUEST.len()]);
            let (mut heads, mut from, mut found) = (Heads::default(), 0, None);
            for end in ends {
                let sequence = begin.wrapping_add(u32::try_from(from).unwrap());
                let asked = heads.take(at(sequence, &REQUEST[from..end]), Some(1));
                found = found.or(asked);
                from = end;
            }
            // Two letters of a method say nothing yet.
            if cuts.first().is_none_or(|first| *first > 4) {
                prop_assert_eq!(found.map(|asked| asked.head), head(REQUEST));
            }
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = head(&bytes);
            let mut heads = Heads::default();
            for (number, piece) in bytes.chunks(7).enumerate() {
                let sequence = u32::try_from(number * 7).unwrap();
                let _ = heads.take(at(sequence, piece), None);
            }
        }
    }
}
