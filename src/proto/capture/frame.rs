//! Which UDP datagram or TCP segment is in a frame? Ethernet with VLAN tags, Linux's cooked header,
//! bare IP; IPv4 (RFC 791) and IPv6 (RFC 8200) without fragments. Checksums are not looked at:
//! machines that capture their own packets leave them to the card.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::Mac;
use crate::proto::capture::Link;

/// Two are in use (802.1ad); more are somebody's joke.
const TAGS_MAX: usize = 4;

/// Extension headers of IPv6 that are stepped over.
const EXTENSIONS_MAX: usize = 8;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// One UDP datagram, and where it was going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent the frame, on links that say so.
    pub mac: Option<Mac>,
    /// The outermost first.
    pub vlans: Vec<u16>,
    pub from: (IpAddr, u16),
    pub to: (IpAddr, u16),
    pub payload: &'a [u8],
    /// The datagram was longer than what is here.
    pub cut: bool,
}

/// One TCP segment (RFC 9293 section 3.1), and where it was going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Who sent the frame, on links that say so.
    pub mac: Option<Mac>,
    /// The outermost first.
    pub vlans: Vec<u16>,
    pub from: (IpAddr, u16),
    pub to: (IpAddr, u16),
    /// The number of the payload's first byte. A SYN counts as one.
    pub sequence: u32,
    pub payload: &'a [u8],
    /// The segment was longer than what is here.
    pub cut: bool,
}

/// What a frame holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<'a> {
    Udp(Datagram<'a>),
    Tcp(Segment<'a>),
}

/// Why there is no datagram in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDatagram {
    /// A link that we do not read, by its LINKTYPE.
    Link(u16),
    /// Something else than what was looked for: UDP, or UDP and TCP, over IP.
    NotUdp,
    /// A piece of a datagram: pieces are not put together.
    Fragment,
    /// The frame ends within a header.
    Short,
}

/// The datagram in one frame.
pub fn datagram(link: Link, frame: &[u8]) -> Result<Datagram<'_>, NoDatagram> {
    match content(link, frame)? {
        Content::Udp(datagram) => Ok(datagram),
        Content::Tcp(_) => Err(NoDatagram::NotUdp),
    }
}

/// The datagram or the segment in one frame.
pub fn content(link: Link, frame: &[u8]) -> Result<Content<'_>, NoDatagram> {
    let (kind, mac, vlans, packet) = opened(link, frame)?;
    let inside = match kind {
        IPV4 => ipv4(packet),
        IPV6 => ipv6(packet),
        _ => Err(NoDatagram::NotUdp),
    }?;
    match inside.protocol {
        TCP => Ok(Content::Tcp(Segment { mac, vlans, ..tcp(&inside)? })),
        _ => Ok(Content::Udp(Datagram { mac, vlans, ..udp(&inside)? })),
    }
}

/// What an IP packet carries.
struct Inside<'a> {
    /// UDP or TCP.
    protocol: u8,
    from: IpAddr,
    to: IpAddr,
    body: &'a [u8],
    /// Bytes of the body that the packet had and the capture has not.
    missing: usize,
}

type Opened<'a> = (u16, Option<Mac>, Vec<u16>, &'a [u8]);

/// Off with the link's header.
fn opened(link: Link, frame: &[u8]) -> Result<Opened<'_>, NoDatagram> {
    let at = |from: usize, to: usize| frame.get(from..to).ok_or(NoDatagram::Short);
    match link {
        Link::Ethernet => {
            let mac = Mac::from_slice(at(6, 12)?);
            let (kind, vlans, packet) = untagged(at(12, frame.len().max(12))?)?;
            Ok((kind, mac, vlans, packet))
        }
        Link::LinuxCooked => {
            // The length of the address stands before it.
            let mac = (at(4, 6)? == [0, 6]).then(|| at(6, 12)).transpose()?;
            let (kind, vlans, packet) = untagged(at(14, frame.len().max(14))?)?;
            Ok((kind, mac.and_then(Mac::from_slice), vlans, packet))
        }
        Link::LinuxCooked2 => {
            let mac = (at(11, 12)? == [6]).then(|| at(12, 18)).transpose()?;
            let kind = number(at(0, 2)?)?;
            let packet = at(20, frame.len().max(20))?;
            Ok((kind, mac.and_then(Mac::from_slice), Vec::new(), packet))
        }
        Link::Raw => Ok((version(frame)?, None, Vec::new(), frame)),
        Link::Loopback => {
            let packet = at(4, frame.len().max(4))?;
            Ok((version(packet)?, None, Vec::new(), packet))
        }
        Link::Other(other) => Err(NoDatagram::Link(other)),
    }
}

/// Which IP it is, by the first four bits.
fn version(packet: &[u8]) -> Result<u16, NoDatagram> {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => Ok(IPV4),
        Some(6) => Ok(IPV6),
        Some(_) => Err(NoDatagram::NotUdp),
        None => Err(NoDatagram::Short),
    }
}

/// Steps over VLAN tags: the kind of what follows, the tags, and what follows.
fn untagged(mut rest: &[u8]) -> Result<(u16, Vec<u16>, &[u8]), NoDatagram> {
    let mut vlans = Vec::new();
    loop {
        let (kind, packet) = rest.split_at_checked(2).ok_or(NoDatagram::Short)?;
        let kind = number(kind)?;
        if !matches!(kind, 0x8100 | 0x88a8 | 0x9100) || vlans.len() == TAGS_MAX {
            return Ok((kind, vlans, packet));
        }
        let (tag, packet) = packet.split_at_checked(2).ok_or(NoDatagram::Short)?;
        vlans.push(number(tag)? & 0x0fff);
        rest = packet;
    }
}

fn ipv4(packet: &[u8]) -> Result<Inside<'_>, NoDatagram> {
    let head = packet.get(..20).ok_or(NoDatagram::Short)?;
    let head_bytes = usize::from(head[0] & 15) * 4;
    if head[0] >> 4 != 4 || head_bytes < 20 {
        return Err(NoDatagram::NotUdp);
    }
    let protocol = head[9];
    if protocol != UDP && protocol != TCP {
        return Err(NoDatagram::NotUdp);
    }
    // More fragments, or an offset: RFC 791 section 3.1.
    if number(&head[6..8])? & 0x3fff != 0 {
        return Err(NoDatagram::Fragment);
    }
    let whole = usize::from(number(&head[2..4])?);
    // Frames are padded to 60 bytes; 0 is written where the card cuts.
    let end = if whole < head_bytes { packet.len() } else { whole.min(packet.len()) };
    let body = packet.get(head_bytes..end).ok_or(NoDatagram::Short)?;
    let address =
        |at: usize| IpAddr::V4(Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]));
    let missing = whole.saturating_sub(end);
    Ok(Inside { protocol, from: address(12), to: address(16), body, missing })
}

fn ipv6(packet: &[u8]) -> Result<Inside<'_>, NoDatagram> {
    let head = packet.first_chunk::<40>().ok_or(NoDatagram::Short)?;
    if head[0] >> 4 != 6 {
        return Err(NoDatagram::NotUdp);
    }
    let long = usize::from(number(&head[4..6])?);
    let end = if long == 0 { packet.len() } else { packet.len().min(40 + long) };
    let mut body = &packet[40..end];
    let mut next = head[6];
    for _ in 0..EXTENSIONS_MAX {
        match next {
            UDP | TCP => {
                let address = |at: usize| {
                    let bytes: [u8; 16] = head[at..at + 16].try_into().expect("sixteen bytes");
                    IpAddr::V6(Ipv6Addr::from(bytes))
                };
                let missing = (40 + long).saturating_sub(packet.len());
                let (from, to) = (address(8), address(24));
                return Ok(Inside { protocol: next, from, to, body, missing });
            }
            // Hop-by-hop options, routing, destination options: RFC 8200 sections 4.3 to 4.6.
            0 | 43 | 60 => {
                let [following, units] = *body.first_chunk::<2>().ok_or(NoDatagram::Short)?;
                next = following;
                body = body.get((usize::from(units) + 1) * 8..).ok_or(NoDatagram::Short)?;
            }
            44 => return Err(NoDatagram::Fragment),
            _ => return Err(NoDatagram::NotUdp),
        }
    }
    Err(NoDatagram::NotUdp)
}

fn tcp<'a>(inside: &Inside<'a>) -> Result<Segment<'a>, NoDatagram> {
    let Inside { from, to, body, missing, .. } = inside;
    let head = body.first_chunk::<20>().ok_or(NoDatagram::Short)?;
    let sequence = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    // The length of the header in words, then flags of which 2 is SYN.
    let payload = body.get(usize::from(head[12] >> 4) * 4..).ok_or(NoDatagram::Short)?;
    Ok(Segment {
        mac: None,
        vlans: Vec::new(),
        from: (*from, number(&head[..2])?),
        to: (*to, number(&head[2..4])?),
        sequence: sequence.wrapping_add(u32::from(head[13] >> 1 & 1)),
        payload,
        cut: *missing > 0,
    })
}

fn udp<'a>(inside: &Inside<'a>) -> Result<Datagram<'a>, NoDatagram> {
    let Inside { from, to, body, .. } = inside;
    let (head, rest) = body.split_at_checked(8).ok_or(NoDatagram::Short)?;
    let long = usize::from(number(&head[4..6])?).saturating_sub(8);
    let payload = &rest[..rest.len().min(long)];
    Ok(Datagram {
        mac: None,
        vlans: Vec::new(),
        from: (*from, number(&head[..2])?),
        to: (*to, number(&head[2..4])?),
        payload,
        cut: payload.len() < long,
    })
}

fn number(bytes: &[u8]) -> Result<u16, NoDatagram> {
    bytes.try_into().map(u16::from_be_bytes).map_err(|_| NoDatagram::Short)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A UDP datagram from 0.0.0.0:68 to everybody's 67.
    fn packet(payload: &[u8]) -> Vec<u8> {
        let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
        let udp = [&[0, 68, 0, 67][..], &length(payload.len() + 8), &[0, 0], payload].concat();
        let head = [&[0x45, 0][..], &length(udp.len() + 20), &[0, 0, 0, 0, 64, UDP, 0, 0]].concat();
        [&head[..], &[0; 4], &[255; 4], &udp].concat()
    }

    /// The same in an Ethernet frame with these VLAN tags, padded as the wire wants it.
    pub fn ethernet(vlans: &[u16], payload: &[u8]) -> Vec<u8> {
        let mut frame = [&[255; 6][..], &[2, 0, 0, 0, 0, 9]].concat();
        for vlan in vlans {
            frame.extend([0x81, 0]);
            frame.extend((vlan | 0x2000).to_be_bytes());
        }
        frame.extend(IPV4.to_be_bytes());
        frame.extend(packet(payload));
        frame.resize(frame.len().max(60), 0);
        frame
    }

    fn found(link: Link, frame: &[u8]) -> Datagram<'_> {
        datagram(link, frame).unwrap_or_else(|why| panic!("{why:?} in {frame:02x?}"))
    }

    #[test]
    fn a_datagram_is_found_under_every_link_s_header() {
        let mac = Some(Mac::new([2, 0, 0, 0, 0, 9]));
        let frame = ethernet(&[], b"hello");
        let plain = found(Link::Ethernet, &frame);
        assert_eq!((plain.payload, plain.mac, plain.to.1), (&b"hello"[..], mac, 67));
        let frame = ethernet(&[10, 20], b"hello");
        let tagged = found(Link::Ethernet, &frame);
        assert_eq!((tagged.payload, &tagged.vlans[..]), (&b"hello"[..], &[10, 20][..]));
        let cooked =
            [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, 8, 0][..], &packet(b"hello")].concat();
        assert_eq!(found(Link::LinuxCooked, &cooked).mac, mac);
        let cooked2 =
            [&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0][..], &packet(b"hello")]
                .concat();
        assert_eq!(found(Link::LinuxCooked2, &cooked2).mac, mac);
        assert_eq!(found(Link::Raw, &packet(b"hello")).payload, b"hello");
        let loopback = [&[2, 0, 0, 0][..], &packet(b"hello")].concat();
        assert_eq!(found(Link::Loopback, &loopback).payload, b"hello");
        assert_eq!(datagram(Link::Other(105), &loopback), Err(NoDatagram::Link(105)));
    }

    #[test]
    fn ipv6_is_read_behind_its_extensions() {
        let udp = [&[2, 34, 2, 35, 0, 13, 0, 0][..], b"hello"].concat();
        let hop = [UDP, 0, 1, 4, 0, 0, 0, 0];
        let head = [&[0x60, 0, 0, 0, 0, 21, 0, 64][..], &[0xfe; 16], &[0xff; 16]].concat();
        let packet = [&head[..], &hop, &udp].concat();
        let found = found(Link::Raw, &packet);
        assert_eq!((found.payload, found.from.1, found.to.1), (&b"hello"[..], 546, 547));
        let fragment = [&[0x60, 0, 0, 0, 0, 21, 44, 64][..], &head[8..], &hop, &udp].concat();
        assert_eq!(datagram(Link::Raw, &fragment), Err(NoDatagram::Fragment));
    }

    /// A TCP segment from port 40000 to port 80.
    pub fn segment(sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let ports = [&40_000u16.to_be_bytes()[..], &80u16.to_be_bytes()].concat();
        // Six words of header: four bytes of options.
        let head = [&ports[..], &sequence.to_be_bytes(), &[0; 4], &[0x60, flags]].concat();
        let tcp = [&head[..], &[0; 6], &[1; 4], payload].concat();
        let length = u16::try_from(tcp.len() + 20).unwrap().to_be_bytes();
        let ip = [&[0x45, 0][..], &length, &[0, 0, 0x40, 0, 64, TCP, 0, 0]].concat();
        [&ip[..], &[192, 0, 2, 21], &[192, 0, 2, 2], &tcp].concat()
    }

    #[test]
    fn a_segment_is_found_behind_its_options() {
        let raw = |bytes: &[u8]| match content(Link::Raw, bytes) {
            Ok(Content::Tcp(found)) => (found.sequence, found.payload.to_vec(), found.cut),
            other => panic!("{other:?}"),
        };
        let whole = segment(7, 0x18, b"GET / HTTP/1.1");
        assert_eq!(raw(&whole), (7, b"GET / HTTP/1.1".to_vec(), false));
        // A SYN takes a number of its own.
        assert_eq!(raw(&segment(u32::MAX, 2, b"")), (0, Vec::new(), false));
        assert_eq!(raw(&whole[..whole.len() - 4]), (7, b"GET / HTTP".to_vec(), true));
        assert_eq!(content(Link::Raw, &whole[..40]), Err(NoDatagram::Short));
    }

    #[test]
    fn fragments_and_other_protocols_are_named() {
        let mut fragment = packet(b"hello");
        fragment[6] = 0x20;
        assert_eq!(datagram(Link::Raw, &fragment), Err(NoDatagram::Fragment));
        let mut tcp = packet(b"hello");
        tcp[9] = 6;
        assert!(datagram(Link::Raw, &tcp).is_err());
        tcp[9] = 1;
        assert_eq!(content(Link::Raw, &tcp), Err(NoDatagram::NotUdp));
        assert_eq!(datagram(Link::Raw, b""), Err(NoDatagram::Short));
        let arp = [&[255; 12][..], &[8, 6], &[0; 46]].concat();
        assert_eq!(datagram(Link::Ethernet, &arp), Err(NoDatagram::NotUdp));
    }

    #[test]
    fn a_frame_cut_anywhere_is_short_or_says_that_it_is_cut() {
        let whole = ethernet(&[7], &[9; 100]);
        for cut in 0..whole.len() {
            match datagram(Link::Ethernet, &whole[..cut]) {
                Ok(found) => assert!(found.cut && found.payload.len() < 100, "{cut}"),
                Err(why) => assert_eq!(why, NoDatagram::Short, "{cut}"),
            }
        }
    }
}
