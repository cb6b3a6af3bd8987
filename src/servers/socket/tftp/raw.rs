//! Addresses and control messages as the kernel writes them (ip(7), ipv6(7), udp(7), cmsg(3)).
//!
//! They are read and written as bytes, so that only the two system calls of `batch` are unsafe.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use nix::libc;

/// `sockaddr_in6` is the larger of the two that we meet.
pub const NAME_BYTES: usize = size_of::<libc::sockaddr_in6>();

/// Holds one packet information of each family, or one and a segment size.
pub const CONTROL_BYTES: usize = 96;

const HEAD_BYTES: usize = size_of::<libc::cmsghdr>();

/// A socket address, and how much of it counts.
pub fn name(address: SocketAddr) -> ([u8; NAME_BYTES], usize) {
    let mut bytes = [0; NAME_BYTES];
    bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            bytes[..2].copy_from_slice(&family(libc::AF_INET));
            bytes[4..8].copy_from_slice(&v4.ip().octets());
            (bytes, size_of::<libc::sockaddr_in>())
        }
        SocketAddr::V6(v6) => {
            bytes[..2].copy_from_slice(&family(libc::AF_INET6));
            bytes[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
            bytes[8..24].copy_from_slice(&v6.ip().octets());
            bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
            (bytes, NAME_BYTES)
        }
    }
}

fn family(number: libc::c_int) -> [u8; 2] {
    libc::sa_family_t::try_from(number).expect("address families are small").to_ne_bytes()
}

/// The address in `bytes`; `None` if it is of another family.
pub fn address(bytes: &[u8; NAME_BYTES]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    let kind = [bytes[0], bytes[1]];
    if kind == family(libc::AF_INET) {
        let ip = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
        return Some(SocketAddrV4::new(ip, port).into());
    }
    if kind != family(libc::AF_INET6) {
        return None;
    }
    let (flow, rest) = bytes[4..].split_first_chunk::<4>()?;
    let (ip, rest) = rest.split_first_chunk::<16>()?;
    let scope = u32::from_ne_bytes(*rest.first_chunk::<4>()?);
    let ip = Ipv6Addr::from(*ip);
    Some(SocketAddrV6::new(ip, port, u32::from_be_bytes(*flow), scope).into())
}

/// The control messages of one send, written one behind the other.
#[derive(Debug, Clone, Copy)]
pub struct Control {
    pub bytes: [u8; CONTROL_BYTES],
    pub length: usize,
}

impl Control {
    pub const EMPTY: Self = Self { bytes: [0; CONTROL_BYTES], length: 0 };

    /// The datagram leaves from this address of ours and, unless that is 0, by this interface.
    /// `v6` is the family of the socket.
    pub fn source(&mut self, source: IpAddr, interface: u32, v6: bool) {
        match (source, v6) {
            (IpAddr::V4(ip), false) => {
                // in_pktinfo: interface, our address, no destination.
                let mut data = [0; 12];
                data[..4].copy_from_slice(&interface.to_ne_bytes());
                data[4..8].copy_from_slice(&ip.octets());
                self.put(libc::IPPROTO_IP, libc::IP_PKTINFO, &data);
            }
            (ip, _) => {
                let ip = match ip {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                    IpAddr::V6(v6) => v6,
                };
                let mut data = [0; 20];
                data[..16].copy_from_slice(&ip.octets());
                data[16..].copy_from_slice(&interface.to_ne_bytes());
                self.put(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data);
            }
        }
    }

    /// The kernel cuts the bytes into datagrams of this size (UDP_SEGMENT).
    pub fn segment(&mut self, bytes: u16) {
        self.put(libc::SOL_UDP, libc::UDP_SEGMENT, &bytes.to_ne_bytes());
    }

    fn put(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let place = &mut self.bytes[self.length..];
        let word = size_of::<usize>();
        place[..word].copy_from_slice(&(HEAD_BYTES + data.len()).to_ne_bytes());
        place[word..word + 4].copy_from_slice(&level.to_ne_bytes());
        place[word + 4..word + 8].copy_from_slice(&kind.to_ne_bytes());
        place[HEAD_BYTES..HEAD_BYTES + data.len()].copy_from_slice(data);
        self.length += aligned(HEAD_BYTES + data.len());
    }
}

/// Where a datagram arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Our address that was asked. For a broadcast it is that of the interface.
    pub ours: IpAddr,
    pub broadcast: bool,
    /// The kernel's number of the interface.
    pub interface: u32,
}

/// Where a datagram arrived. On a dual-stack socket IPv4 is told twice, and only the IPv4 form
/// tells our own address of a broadcast.
pub fn arrival(control: &[u8]) -> Option<Arrival> {
    let mut rest = control;
    let mut found = None;
    while rest.len() >= HEAD_BYTES {
        let word = size_of::<usize>();
        let length = usize::from_ne_bytes(*rest.first_chunk()?);
        let level = libc::c_int::from_ne_bytes(*rest[word..].first_chunk()?);
        let kind = libc::c_int::from_ne_bytes(*rest[word + 4..].first_chunk()?);
        let data = rest.get(HEAD_BYTES..length)?;
        if (level, kind) == (libc::IPPROTO_IP, libc::IP_PKTINFO) {
            // The interface, an address of ours, the destination as sent.
            let ours: [u8; 4] = *data.get(4..)?.first_chunk()?;
            let sent_to: [u8; 4] = *data.get(8..)?.first_chunk()?;
            let interface = u32::from_ne_bytes(*data.first_chunk()?);
            let ours_alone = ours == sent_to;
            return Some(Arrival { ours: IpAddr::from(ours), broadcast: !ours_alone, interface });
        }
        if (level, kind) == (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) {
            let ours: [u8; 16] = *data.first_chunk()?;
            let interface = u32::from_ne_bytes(*data.get(16..)?.first_chunk()?);
            found = Some(Arrival { ours: IpAddr::from(ours), broadcast: false, interface });
        }
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    found
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(size_of::<usize>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_from_its_bytes() {
        for text in ["10.1.2.3:69", "[::1]:1069", "[fe80::1%7]:9", "[::ffff:10.1.2.3]:65535"] {
            let given: SocketAddr = text.parse().unwrap();
            assert_eq!(address(&name(given).0), Some(given), "{text}");
        }
        assert_eq!(address(&[9; NAME_BYTES]), None);
    }

    #[test]
    fn control_messages_come_back_wherever_they_are_cut() {
        for (text, v6) in [("10.1.2.3", false), ("2001:db8::1", true), ("10.1.2.3", true)] {
            let source: IpAddr = text.parse().unwrap();
            let mut control = Control::EMPTY;
            control.segment(1432);
            control.source(source, 7, v6);
            let whole = &control.bytes[..control.length];
            // What is sent names no destination, so the IPv4 form reads as one to everybody.
            let found = arrival(whole).unwrap();
            assert_eq!((found.ours.to_canonical(), found.broadcast), (source, !v6));
            assert_eq!(found.interface, 7);
            for length in 0..whole.len() {
                let _ = arrival(&whole[..length]);
            }
        }
    }
}
