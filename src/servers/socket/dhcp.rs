//! A UDP socket that hears DHCP broadcasts, knows where each datagram came in, and answers there.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::config::meant::Listen;
use crate::error::{Code, Error};

/// Asked of the kernel, which may give less: a thousand DISCOVERs after a power cut are about 1 MB
/// with the kernel's own bookkeeping.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// One bound socket.
#[derive(Debug)]
pub struct Port {
    socket: UdpSocket,
    local: SocketAddrV4,
    interface: Option<String>,
}

/// A datagram's length and where it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    pub length: usize,
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
        Ok(Self { socket, local, interface })
    }

    /// Where it is bound.
    pub fn local(&self) -> SocketAddrV4 {
        self.local
    }

    /// The only interface it hears, if it is bound to one.
    pub fn interface(&self) -> Option<&str> {
        self.interface.as_deref()
    }

    /// Waits for a datagram. What does not fit into `buffer` is cut off.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.socket.async_io(Interest::READABLE, || self.take(buffer)).await
    }

    fn take(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut slices = [IoSliceMut::new(buffer)];
        let mut control = nix::cmsg_space!(libc::in_pktinfo);
        let message = recvmsg::<SockaddrIn>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let from = message.address.map(SocketAddrV4::from);
        let from = from.ok_or_else(|| io::Error::other("a datagram without a sender"))?;
        let information = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(information) => Some(information),
            _ => None,
        });
        let address = |raw: libc::in_addr| Ipv4Addr::from(raw.s_addr.to_ne_bytes());
        let (local, sent_to, interface) = match information {
            Some(found) => {
                let index = u32::try_from(found.ipi_ifindex).unwrap_or(0);
                (address(found.ipi_spec_dst), address(found.ipi_addr), index)
            }
            None => (*self.local.ip(), *self.local.ip(), 0),
        };
        let length = message.bytes;
        Ok(Received { length, from, local, interface, to_us_alone: local == sent_to })
    }

    /// Sends one datagram from the address that was asked; a broadcast leaves by the interface that
    /// heard the request. What the kernel cannot take now is lost, as on the wire: clients repeat.
    pub fn send(&self, bytes: &[u8], to: SocketAddrV4, asked: &Received) -> io::Result<()> {
        let everybody = to.ip().is_broadcast();
        let index = if everybody { i32::try_from(asked.interface).unwrap_or(0) } else { 0 };
        let information = libc::in_pktinfo {
            ipi_ifindex: index,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(asked.local.octets()) },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let sent = sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(bytes)],
            &[ControlMessage::Ipv4PacketInfo(&information)],
            MsgFlags::MSG_DONTWAIT,
            Some(&SockaddrIn::from(to)),
        )?;
        if sent == bytes.len() { Ok(()) } else { Err(io::Error::other("sent a part only")) }
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

    #[tokio::test]
    async fn an_answer_leaves_from_the_address_that_was_asked() {
        let port = Port::bind(&listen("0.0.0.0:0")).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = SocketAddr::from(([127, 7, 0, 3], port.local().port()));
        client.send_to(b"discover", at).await.unwrap();
        let mut buffer = [0; 64];
        let heard = port.receive(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..heard.length], b"discover");
        assert_eq!((heard.local, heard.to_us_alone), (Ipv4Addr::new(127, 7, 0, 3), true));
        assert_ne!(heard.interface, 0);
        port.send(b"offer", heard.from, &heard).unwrap();
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
        let heard = port.receive(&mut [0; 8]).await.unwrap();
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
        let mut buffer = [0; 10];
        assert_eq!(port.receive(&mut buffer).await.unwrap().length, 10);
        assert_eq!(port.receive(&mut buffer).await.unwrap().length, 5);
        assert_eq!(buffer[..5], [2; 5]);
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
