//! A UDP socket that hears DHCP broadcasts, knows where each datagram came in, and answers there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::tftp::batch::{self, Inbox, Letter, PARCEL_BYTES_MAX, SEGMENTS_MAX};
use super::tftp::raw::Arrival;
use crate::config::meant::Listen;
use crate::error::{Code, Error};

/// Asked of the kernel, which may give less. A DISCOVER takes about 1 KB with the kernel's own
/// bookkeeping: ten thousand devices after a power cut, or 40 ms of a flood that fills 1 Gbit/s, so
/// that a known device's request is not lost among it while others are being answered.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;

/// Some thousand replies that leave at once, after one flush of the store.
const SEND_BUFFER_BYTES: usize = 4 << 20;

/// One bound socket.
#[derive(Debug)]
pub struct Port {
    socket: UdpSocket,
    local: SocketAddrV4,
    interface: Option<String>,
    /// Replies are joined: the path has not refused it.
    joins: AtomicBool,
}

/// Where a datagram came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    pub from: SocketAddrV4,
    /// Our address on the interface that heard it.
    pub local: Ipv4Addr,
    /// The kernel's number of that interface.
    pub interface: u32,
    /// It was sent to `local` and not to everybody.
    pub to_us_alone: bool,
}

impl Port {
    /// Binds; port 0 takes any free one. Must be called within a tokio runtime.
    ///
    /// A socket bound to one address hears no broadcasts on Linux. So for an address of an
    /// interface (not of loopback) the socket is bound to that interface and to every address.
    pub fn bind(listen: &Listen) -> Result<Self, Error> {
        Self::open(listen).map_err(|error| cannot_listen(listen, &error))
    }

    fn open(listen: &Listen) -> io::Result<Self> {
        let SocketAddr::V4(wanted) = listen.address else {
            let why = "DHCPv4 needs an IPv4 address";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        };
        let special = wanted.ip().is_unspecified() || wanted.ip().is_loopback();
        let interface = match &listen.interface {
            Some(name) => Some(name.clone()),
            None if special => None,
            None => Some(interface_with(*wanted.ip())?),
        };
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_address(true)?;
        socket.set_broadcast(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        // With CAP_NET_ADMIN also beyond `net.core.rmem_max` and `wmem_max`; without, both are
        // refused.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES);
        let _ = setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER_BYTES);
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        if let Some(interface) = &interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        let ip = if interface.is_some() && !wanted.ip().is_loopback() {
            Ipv4Addr::UNSPECIFIED
        } else {
            *wanted.ip()
        };
        socket.bind(&SocketAddrV4::new(ip, wanted.port()).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let SocketAddr::V4(local) = socket.local_addr()? else {
            return Err(io::Error::other("an IPv4 socket has an IPv6 address"));
        };
        Ok(Self { socket, local, interface, joins: AtomicBool::new(true) })
    }

    /// The same port, known to the runtime that calls this and to no other.
    pub fn moved(self) -> io::Result<Self> {
        let socket = UdpSocket::from_std(self.socket.into_std()?)?;
        Ok(Self { socket, ..self })
    }

    /// Where it is bound.
    pub fn local(&self) -> SocketAddrV4 {
        self.local
    }

    /// The only interface it hears, if it is bound to one.
    pub fn interface(&self) -> Option<&str> {
        self.interface.as_deref()
    }

    /// Returns once a datagram may be waiting.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Takes what is waiting, up to a batch; returns how many. What does not fit into the room of
    /// the inbox is cut off.
    pub fn receive(&self, inbox: &mut Inbox) -> io::Result<usize> {
        batch::receive((&self.socket, self.local.into()), inbox)
    }

    /// One of those that the last call brought; `None` if it did not come by IPv4.
    pub fn datagram<'a>(&self, inbox: &'a Inbox, index: usize) -> Option<(Received, &'a [u8])> {
        let (SocketAddr::V4(from), arrival, bytes) = inbox.arrived(index)? else { return None };
        let IpAddr::V4(local) = arrival.ours else { return None };
        let Arrival { broadcast, interface, .. } = arrival;
        Some((Received { from, local, interface, to_us_alone: !broadcast }, bytes))
    }

    /// Sends each from the address that was asked; a broadcast leaves by the interface that heard
    /// the request. What the kernel cannot take now is lost, as on the wire: clients repeat. Tells
    /// how many were lost, and the last reason.
    ///
    /// Replies of one length to one relay leave in one piece, which the kernel cuts: most of what
    /// a datagram costs is its way through the kernel.
    pub fn send(&self, replies: &[Posted]) -> Result<(), Lost> {
        let sorted = Sorted::of(replies, self.joins.load(Ordering::Relaxed));
        let mut lost = None;
        let mut rest = &sorted.parcels[..];
        while let Some(first) = rest.first() {
            let letters = rest.iter().map(|parcel| sorted.letter(parcel));
            match batch::send((&self.socket, self.local.into()), letters) {
                Ok(sent) => rest = &rest[sent.max(1).min(rest.len())..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let count = rest.iter().map(|parcel| parcel.members.len()).sum();
                    return Err(Lost::also(lost, Lost { count, error }));
                }
                Err(_) if first.joint.is_some() => {
                    // A path that cannot cut says so; if it was something else, so does this.
                    if let Err(more) = self.send_singly(sorted.members(first)) {
                        lost = Some(Lost::also(lost, more));
                    } else {
                        self.joins.store(false, Ordering::Relaxed);
                    }
                    rest = &rest[1..];
                }
                Err(error) => {
                    lost = Some(Lost::also(lost, Lost { count: 1, error }));
                    rest = &rest[1..];
                }
            }
        }
        lost.map_or(Ok(()), Err)
    }

    fn send_singly<'a>(&self, replies: impl Iterator<Item = &'a Posted>) -> Result<(), Lost> {
        let mut lost = None;
        for reply in replies {
            let letter = std::iter::once(reply.letter());
            if let Err(error) = batch::send((&self.socket, self.local.into()), letter) {
                lost = Some(Lost::also(lost, Lost { count: 1, error }));
            }
        }
        lost.map_or(Ok(()), Err)
    }
}

/// Longer replies leave singly: what the kernel cuts must fit the path, and a path takes 1280 bytes
/// with its heads or more.
const JOINED_BYTES_MAX: usize = 1232;

/// Replies in the order in which they leave, those that can be joined side by side.
struct Sorted<'a> {
    replies: &'a [Posted],
    order: Vec<usize>,
    parcels: Vec<Parcel>,
    /// The bytes of those that are joined.
    bytes: Vec<u8>,
}

/// What leaves in one piece.
struct Parcel {
    /// Where they stand in the order.
    members: Range<usize>,
    /// Where their bytes stand, if they are several.
    joint: Option<Range<usize>>,
}

impl<'a> Sorted<'a> {
    fn of(replies: &'a [Posted], joins: bool) -> Self {
        let mut order: Vec<usize> = (0..replies.len()).collect();
        let key = |index: &usize| {
            let Posted { bytes, to, asked } = &replies[*index];
            let joins = joins && !to.ip().is_broadcast() && bytes.len() <= JOINED_BYTES_MAX;
            // Whatever is not joined stands for itself.
            (if joins { 0 } else { index + 1 }, *to, asked.local, bytes.len())
        };
        order.sort_by_key(key);
        let mut sorted = Self { replies, order, parcels: Vec::new(), bytes: Vec::new() };
        let mut start = 0;
        while start < replies.len() {
            let first = key(&sorted.order[start]);
            let most = (PARCEL_BYTES_MAX / first.3.max(1)).clamp(1, SEGMENTS_MAX);
            let same = sorted.order[start..].iter().take(most);
            let end = start + same.take_while(|index| key(index) == first).count();
            sorted.pack(start..end);
            start = end;
        }
        sorted
    }

    fn pack(&mut self, members: Range<usize>) {
        let start = self.bytes.len();
        if members.len() > 1 {
            for index in &self.order[members.clone()] {
                self.bytes.extend_from_slice(&self.replies[*index].bytes);
            }
        }
        let joint = (members.len() > 1).then_some(start..self.bytes.len());
        self.parcels.push(Parcel { members, joint });
    }

    fn members(&self, parcel: &Parcel) -> impl Iterator<Item = &'a Posted> {
        self.order[parcel.members.clone()].iter().map(|index| &self.replies[*index])
    }

    fn letter(&self, parcel: &Parcel) -> Letter<'_> {
        let first = &self.replies[self.order[parcel.members.start]];
        match &parcel.joint {
            None => first.letter(),
            Some(joint) => Letter {
                bytes: &self.bytes[joint.clone()],
                segment: Some(first.bytes.len()),
                ..first.letter()
            },
        }
    }
}

/// A reply, and the request that it answers.
#[derive(Debug, Clone)]
pub struct Posted {
    pub bytes: Vec<u8>,
    pub to: SocketAddrV4,
    pub asked: Received,
}

impl Posted {
    fn letter(&self) -> Letter<'_> {
        let everybody = self.to.ip().is_broadcast();
        Letter {
            bytes: &self.bytes,
            to: self.to.into(),
            source: self.asked.local.into(),
            interface: if everybody { self.asked.interface } else { 0 },
            segment: None,
        }
    }
}

/// Replies that did not leave.
#[derive(Debug)]
pub struct Lost {
    pub count: usize,
    pub error: io::Error,
}

impl Lost {
    fn also(before: Option<Self>, more: Self) -> Self {
        Self { count: more.count + before.map_or(0, |lost| lost.count), ..more }
    }
}

fn interface_with(address: Ipv4Addr) -> io::Result<String> {
    let has = |entry: &nix::ifaddrs::InterfaceAddress| {
        let found = entry.address.as_ref().and_then(|found| found.as_sockaddr_in());
        found.is_some_and(|found| found.ip() == address)
    };
    let none = || {
        let why = format!("no interface has the address {address}");
        io::Error::new(io::ErrorKind::AddrNotAvailable, why)
    };
    let entry = nix::ifaddrs::getifaddrs()?.find(has).ok_or_else(none)?;
    // An alias such as `eth0:1` is the same interface.
    Ok(entry.interface_name.split(':').next().unwrap_or_default().to_owned())
}

fn cannot_listen(listen: &Listen, error: &io::Error) -> Error {
    let interface = listen.interface.as_deref().map(|i| format!(" on {i}")).unwrap_or_default();
    let message = format!("cannot listen for DHCP at {}{interface}: {error}", listen.address);
    let hint = match (error.kind(), listen.address.ip()) {
        (io::ErrorKind::PermissionDenied, _) => {
            "ports below 1024 need CAP_NET_BIND_SERVICE, interfaces CAP_NET_RAW"
        }
        (io::ErrorKind::AddrInUse, _) => "another DHCP server is running: `ss -lunp` names it",
        (io::ErrorKind::AddrNotAvailable, _) => "`ip -4 address` lists the addresses there are",
        (_, IpAddr::V6(_)) => "write an address such as 0.0.0.0:67",
        (_, IpAddr::V4(_)) => "",
    };
    Error::new(Code::Listen, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str) -> Listen {
        Listen { address: address.parse().unwrap(), interface: None }
    }

    /// Everything that one call brings, at least one datagram.
    async fn heard(port: &Port, room: usize) -> Vec<(Received, Vec<u8>)> {
        let mut inbox = Inbox::new(room);
        port.readable().await.unwrap();
        let count = port.receive(&mut inbox).unwrap();
        let datagram = |index| port.datagram(&inbox, index).unwrap();
        (0..count).map(datagram).map(|(heard, bytes)| (heard, bytes.to_vec())).collect()
    }

    #[tokio::test]
    async fn an_answer_leaves_from_the_address_that_was_asked() {
        let port = Port::bind(&listen("0.0.0.0:0")).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = SocketAddr::from(([127, 7, 0, 3], port.local().port()));
        client.send_to(b"discover", at).await.unwrap();
        let (asked, bytes) = heard(&port, 64).await.remove(0);
        assert_eq!(bytes, b"discover");
        assert_eq!((asked.local, asked.to_us_alone), (Ipv4Addr::new(127, 7, 0, 3), true));
        assert_ne!(asked.interface, 0);
        port.send(&[Posted { bytes: b"offer".to_vec(), to: asked.from, asked }]).unwrap();
        let mut buffer = [0; 64];
        let (length, from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], from), (&b"offer"[..], at));
    }

    #[tokio::test]
    async fn a_broadcast_is_known_as_one() {
        let port = Port::bind(&listen("0.0.0.0:0")).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.set_broadcast(true).unwrap();
        // The broadcast address of 127.0.0.0/8, as Linux sets it up on its loopback interface.
        let at = SocketAddr::from(([127, 255, 255, 255], port.local().port()));
        client.send_to(b"x", at).await.unwrap();
        let (heard, _) = heard(&port, 8).await.remove(0);
        assert!(!heard.to_us_alone, "{heard:?}");
        assert_eq!(heard.local, Ipv4Addr::LOCALHOST);
    }

    #[tokio::test]
    async fn a_datagram_longer_than_the_buffer_is_cut_and_the_next_one_is_whole() {
        let port = Port::bind(&listen("127.0.0.1:0")).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for bytes in [&[1; 100][..], &[2; 5][..]] {
            client.send_to(bytes, SocketAddr::V4(port.local())).await.unwrap();
        }
        let heard = heard(&port, 10).await;
        let bytes: Vec<&[u8]> = heard.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        assert_eq!(bytes, [&[1; 10][..], &[2; 5]]);
    }

    #[tokio::test]
    async fn a_reply_that_cannot_leave_holds_up_no_other() {
        let port = Port::bind(&listen("127.0.0.1:0")).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.send_to(b"x", SocketAddr::V4(port.local())).await.unwrap();
        let (asked, _) = heard(&port, 8).await.remove(0);
        let posted = |byte, to| Posted { bytes: vec![byte], to, asked };
        // From loopback no datagram leaves the machine.
        let nowhere = "192.0.2.1:68".parse().unwrap();
        let mut replies: Vec<Posted> = (0..100).map(|byte| posted(byte, asked.from)).collect();
        replies.insert(40, posted(200, nowhere));
        let lost = port.send(&replies).unwrap_err();
        assert_eq!(lost.count, 1, "{lost:?}");
        let mut buffer = [0; 8];
        for byte in 0..100 {
            assert_eq!(client.recv(&mut buffer).await.unwrap(), 1);
            assert_eq!(buffer[0], byte);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_bound_says_why_and_what_to_do() {
        let told = |address: &str| Port::bind(&listen(address)).unwrap_err().to_string();
        assert_eq!(
            told("[::1]:6767"),
            "cannot listen for DHCP at [::1]:6767: DHCPv4 needs an IPv4 address (listen); \
             write an address such as 0.0.0.0:67"
        );
        let absent = told("192.0.2.77:6767");
        assert!(absent.contains("no interface has the address 192.0.2.77"), "{absent}");
        assert!(absent.contains("`ip -4 address`"), "{absent}");
    }
}
