//! A capture of anybody's: its frames, the datagrams in them, and the heads of HTTP requests.

use greenlight::proto::capture::http::Heads;
use greenlight::proto::capture::{Content, Frames, content};

pub fn check(bytes: &[u8]) {
    let Some(mut frames) = Frames::of(bytes) else { return };
    let within = bytes.as_ptr_range();
    let (mut last, mut held) = (0, 0);
    let mut heads = Heads::default();
    for frame in frames.by_ref() {
        assert!(frame.number > last, "frames are counted upwards");
        last = frame.number;
        held += frame.bytes.len();
        let part = frame.bytes.as_ptr_range();
        let inside = within.start <= part.start && part.end <= within.end;
        assert!(frame.bytes.is_empty() || inside, "a frame is a part of its capture");
        let Ok(found) = content(frame.link, frame.bytes) else { continue };
        let (payload, vlans, header) = match &found {
            Content::Udp(datagram) => (datagram.payload, &datagram.vlans, 8),
            Content::Tcp(segment) => (segment.payload, &segment.vlans, 20),
        };
        assert!(payload.len() + header <= frame.bytes.len(), "a payload is a part of its frame");
        assert!(vlans.len() <= 4 && vlans.iter().all(|vlan| *vlan < 4096));
        if let Content::Tcp(segment) = found
            && let Some(asked) = heads.take(segment, Some(frame.number))
        {
            let head = &asked.head;
            assert!(head.target.len() <= bytes.len() && head.path().len() <= head.target.len());
            assert!(asked.frame.is_some_and(|first| first <= frame.number));
        }
    }
    assert!(held <= bytes.len(), "no byte is in two frames");
    assert!(frames.next().is_none(), "the end is the end");
}
