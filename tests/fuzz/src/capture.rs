//! A capture of anybody's: its frames, and the datagrams in them.

use greenlight::proto::capture::{Frames, datagram};

pub fn check(bytes: &[u8]) {
    let Some(mut frames) = Frames::of(bytes) else { return };
    let within = bytes.as_ptr_range();
    let (mut last, mut held) = (0, 0);
    for frame in frames.by_ref() {
        assert!(frame.number > last, "frames are counted upwards");
        last = frame.number;
        held += frame.bytes.len();
        let part = frame.bytes.as_ptr_range();
        let inside = within.start <= part.start && part.end <= within.end;
        assert!(frame.bytes.is_empty() || inside, "a frame is a part of its capture");
        if let Ok(found) = datagram(frame.link, frame.bytes) {
            assert!(
                found.payload.len() + 8 <= frame.bytes.len(),
                "a datagram is a part of its frame"
            );
            assert!(found.vlans.len() <= 4 && found.vlans.iter().all(|vlan| *vlan < 4096));
        }
    }
    assert!(held <= bytes.len(), "no byte is in two frames");
    assert!(frames.next().is_none(), "the end is the end");
}
