//! Which UDP datagrams and TCP segments stand in a capture? Reads the files of tcpdump and
//! Wireshark: pcap, in both byte orders and both resolutions of time, and pcapng.
//!
//! A capture comes from anywhere: every length is checked against what is there, nothing is copied,
//! and a file that breaks off gives what stands before. Not here: what a datagram says.

mod frame;
pub mod http;

pub use frame::{Content, Datagram, NoDatagram, Segment, content, datagram};

/// Interfaces of one section of pcapng that are remembered; captures of whole hosts have some
/// dozens.
const INTERFACES_MAX: usize = 1024;

/// How the frames of a capture begin, by the numbers of LINKTYPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Ethernet,
    /// Linux's own header, of captures on `any`: version 1 of 16 bytes, version 2 of 20.
    LinuxCooked,
    LinuxCooked2,
    /// An IP packet and nothing before it.
    Raw,
    /// Loopback of BSD: four bytes that name the family.
    Loopback,
    Other(u16),
}

impl Link {
    fn from_number(number: u16) -> Self {
        match number {
            0 | 108 => Link::Loopback,
            1 => Link::Ethernet,
            12 | 14 | 101 | 228 | 229 => Link::Raw,
            113 => Link::LinuxCooked,
            276 => Link::LinuxCooked2,
            other => Link::Other(other),
        }
    }
}

/// One frame of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// From 1, as Wireshark counts.
    pub number: u64,
    pub link: Link,
    pub bytes: &'a [u8],
    /// The capture kept only its beginning.
    pub cut: bool,
}

/// The frames of a capture, one after the other.
#[derive(Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    big_endian: bool,
    /// `None` for pcapng, whose frames name their interface.
    link: Option<Link>,
    /// Of the section of pcapng that is being read.
    interfaces: Vec<Link>,
    number: u64,
    broken: bool,
}

impl<'a> Frames<'a> {
    /// The frames of this file; `None` if it is no capture.
    pub fn of(file: &'a [u8]) -> Option<Self> {
        let begun = |big_endian, link, rest| Frames {
            rest,
            big_endian,
            link,
            interfaces: Vec::new(),
            number: 0,
            broken: false,
        };
        match file.first_chunk::<4>()? {
            // Microseconds, then nanoseconds; the writer's byte order.
            [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => {
                let number = number32(true, file.get(20..24)?)?;
                Some(begun(true, Some(link_of(number)), file.get(24..)?))
            }
            [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => {
                let number = number32(false, file.get(20..24)?)?;
                Some(begun(false, Some(link_of(number)), file.get(24..)?))
            }
            [0x0a, 0x0d, 0x0d, 0x0a] => {
                let big_endian = order(file)?;
                Some(begun(big_endian, None, file))
            }
            _ => None,
        }
    }

    /// True once something was read that no capture holds: what follows is lost.
    pub fn broke_off(&self) -> bool {
        self.broken
    }

    fn of_pcap(&mut self, link: Link) -> Option<Frame<'a>> {
        // Seconds, fraction, bytes kept, bytes on the wire.
        let (head, rest) = self.rest.split_at_checked(16)?;
        let kept = number32(self.big_endian, &head[8..12])?;
        let long = number32(self.big_endian, &head[12..16])?;
        let (bytes, rest) = rest.split_at_checked(usize::try_from(kept).ok()?)?;
        self.rest = rest;
        self.number += 1;
        Some(Frame { number: self.number, link, bytes, cut: kept < long })
    }

    /// The next block of pcapng; `Some(None)` for one that holds no frame.
    fn block(&mut self) -> Option<Option<Frame<'a>>> {
        let kind = self.rest.first_chunk::<4>()?;
        if *kind == [0x0a, 0x0d, 0x0d, 0x0a] {
            // A section may have another byte order than the one before.
            self.big_endian = order(self.rest)?;
            self.interfaces.clear();
        }
        let kind = number32(self.big_endian, kind)?;
        let length = usize::try_from(number32(self.big_endian, self.rest.get(4..8)?)?).ok()?;
        if length < 12 || !length.is_multiple_of(4) {
            return None;
        }
        let (block, rest) = self.rest.split_at_checked(length)?;
        let body = &block[8..length - 4];
        self.rest = rest;
        Some(match kind {
            INTERFACE => {
                let number = number16(self.big_endian, body.get(..2)?)?;
                if self.interfaces.len() < INTERFACES_MAX {
                    self.interfaces.push(Link::from_number(number));
                }
                None
            }
            ENHANCED | OLD => self.framed(kind, body),
            SIMPLE => {
                let long = number32(self.big_endian, body.get(..4)?)?;
                let padded = &body[4..];
                let kept = padded.len().min(usize::try_from(long).ok()?);
                self.frame(0, &padded[..kept], long)
            }
            _ => None,
        })
    }

    fn framed(&mut self, kind: u32, body: &'a [u8]) -> Option<Frame<'a>> {
        let interface = match kind {
            OLD => u32::from(number16(self.big_endian, body.get(..2)?)?),
            _ => number32(self.big_endian, body.get(..4)?)?,
        };
        let kept = number32(self.big_endian, body.get(12..16)?)?;
        let long = number32(self.big_endian, body.get(16..20)?)?;
        let bytes = body.get(20..)?.get(..usize::try_from(kept).ok()?)?;
        self.frame(usize::try_from(interface).ok()?, bytes, long)
    }

    fn frame(&mut self, interface: usize, bytes: &'a [u8], long: u32) -> Option<Frame<'a>> {
        self.number += 1;
        let link = *self.interfaces.get(interface)?;
        let cut = u32::try_from(bytes.len()).is_ok_and(|kept| kept < long);
        Some(Frame { number: self.number, link, bytes, cut })
    }
}

/// The kinds of blocks in pcapng that are read.
const INTERFACE: u32 = 1;
const OLD: u32 = 2;
const SIMPLE: u32 = 3;
const ENHANCED: u32 = 6;

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        while !self.rest.is_empty() && !self.broken {
            let found = match self.link {
                Some(link) => self.of_pcap(link).map(Some),
                None => self.block(),
            };
            match found {
                Some(Some(frame)) => return Some(frame),
                Some(None) => {}
                None => self.broken = true,
            }
        }
        None
    }
}

/// The lower 16 bits; those above say whether frames have their checksum.
fn link_of(number: u32) -> Link {
    Link::from_number(u16::try_from(number & 0xffff).unwrap_or(u16::MAX))
}

/// The byte order of a section of pcapng: its third word is 0x1a2b3c4d.
fn order(section: &[u8]) -> Option<bool> {
    match section.get(8..12)? {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(true),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(false),
        _ => None,
    }
}

fn number32(big_endian: bool, bytes: &[u8]) -> Option<u32> {
    let bytes = bytes.try_into().ok()?;
    Some(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
}

fn number16(big_endian: bool, bytes: &[u8]) -> Option<u16> {
    let bytes = bytes.try_into().ok()?;
    Some(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::frame::tests::ethernet;
    use super::*;

    /// A capture of these frames in the format of tcpdump.
    fn pcap(big_endian: bool, frames: &[&[u8]]) -> Vec<u8> {
        let n = |number: u32| match big_endian {
            true => number.to_be_bytes(),
            false => number.to_le_bytes(),
        };
        let mut file = [n(0xa1b2_c3d4), n(0x0002_0004), n(0), n(0), n(65_535), n(1)].concat();
        for frame in frames {
            let length = n(u32::try_from(frame.len()).unwrap());
            file.extend([n(1), n(2), length, length].concat());
            file.extend(*frame);
        }
        file
    }

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut padded = body.to_vec();
        padded.resize(body.len().next_multiple_of(4), 0);
        let length = u32::try_from(padded.len() + 12).unwrap().to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &padded, &length].concat()
    }

    fn pcapng(frames: &[&[u8]]) -> Vec<u8> {
        let section = [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
        let mut file = block(0x0a0d_0d0a, &section);
        file.extend(block(INTERFACE, &[1, 0, 0, 0, 0, 0, 4, 0]));
        file.extend(block(5, b"statistics"));
        for frame in frames {
            let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
            let body = [&[0; 12][..], &length, &length, frame].concat();
            file.extend(block(ENHANCED, &body));
        }
        file.extend(block(SIMPLE, &[&99u32.to_le_bytes()[..], b"abcd"].concat()));
        file
    }

    #[test]
    fn every_frame_of_a_capture_is_found_in_both_byte_orders() {
        for big_endian in [true, false] {
            let file = pcap(big_endian, &[b"one", b"", b"three"]);
            let mut frames = Frames::of(&file).unwrap();
            let found: Vec<(u64, &[u8])> =
                frames.by_ref().map(|frame| (frame.number, frame.bytes)).collect();
            assert_eq!(found, [(1, &b"one"[..]), (2, b""), (3, b"three")]);
            assert!(!frames.broke_off());
        }
    }

    #[test]
    fn blocks_of_pcapng_that_hold_no_frame_are_passed_over() {
        let file = pcapng(&[b"one", b"three"]);
        let mut frames = Frames::of(&file).unwrap();
        let found: Vec<Frame> = frames.by_ref().collect();
        let bytes: Vec<&[u8]> = found.iter().map(|frame| frame.bytes).collect();
        assert_eq!(bytes, [&b"one"[..], b"three", b"abcd"]);
        assert!(found.iter().all(|frame| frame.link == Link::Ethernet));
        assert!(!found[1].cut && found[2].cut && !frames.broke_off());
    }

    #[test]
    fn what_is_no_capture_is_none() {
        for file in [&b""[..], b"\xa1\xb2\xc3\xd4", b"GIF89a", b"\x0a\x0d\x0d\x0a\0\0\0\x1cxxxx"] {
            assert!(Frames::of(file).is_none(), "{file:?}");
        }
    }

    #[test]
    fn a_capture_cut_anywhere_gives_what_stands_before() {
        let frame = ethernet(&[], b"hello");
        for file in [pcap(false, &[&frame[..]; 3]), pcapng(&[&frame[..]; 3])] {
            let whole = Frames::of(&file).unwrap().count();
            for cut in 0..file.len() {
                let Some(frames) = Frames::of(&file[..cut]) else { continue };
                assert!(frames.count() <= whole);
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(
            flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..20),
            ng in any::<bool>(),
            cut in any::<u16>(),
        ) {
            let frame = ethernet(&[], b"hello");
            let frames = [&frame[..]; 4];
            let mut file = if ng { pcapng(&frames) } else { pcap(false, &frames) };
            for (at, byte) in flips {
                let at = usize::from(at) % file.len();
                file[at] = byte;
            }
            file.truncate(usize::from(cut) % (file.len() + 1));
            for frame in Frames::of(&file).into_iter().flatten() {
                let _ = datagram(frame.link, frame.bytes);
            }
        }

        #[test]
        fn no_frame_breaks_the_reader(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            number in prop_oneof![Just(0), Just(1), Just(101), Just(113), Just(276), 0..u16::MAX],
        ) {
            let _ = datagram(Link::from_number(number), &bytes);
        }
    }
}
