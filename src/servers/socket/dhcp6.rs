//! A UDP socket that hears what DHCPv6 clients and relays send to everybody, knows where each
//! datagram came in, and answers there.

use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard};

use nix::libc;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::config::meant::Listen;
use crate::error::{Code, Error};

/// All_DHCP_Relay_Agents_and_Servers: where clients send to (RFC 8415 section 7.1).
const EVERY_SERVER_ON_THE_LINK: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// All_DHCP_Servers: where relays may send to (RFC 8415 section 7.1).
const EVERY_SERVER_OF_THE_SITE: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3);

/// Asked of the kernel, which may give less: a thousand Solicits after a power cut are about 1 MB
/// with the kernel's own bookkeeping.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// One bound socket.
#[derive(Debug)]
pub struct Port {
    socket: UdpSocket,
    local: SocketAddrV6,
    interface: Option<String>,
    links: Mutex<Links>,
}

/// The interfaces that are heard, by the kernel's number: our routed addresses on each.
type Links = BTreeMap<u32, Vec<Ipv6Addr>>;

/// A datagram's length and where it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub length: usize,
    /// With the number of the interface if it is link-local.
    pub from: SocketAddrV6,
    /// Where it was sent to: an address of ours, or a group.
    pub sent_to: Ipv6Addr,
    /// The kernel's number of the interface that heard it.
    pub interface: u32,
    /// Our routed addresses on that interface.
    pub addresses: Vec<Ipv6Addr>,
}

impl Received {
    /// It was sent to an address of ours and not to everybody. On loopback there is no other way.
    pub fn to_us_alone(&self) -> bool {
        !self.sent_to.is_multicast() && !self.sent_to.is_loopback()
    }
}

impl Port {
    /// Binds and joins the groups of DHCPv6 on every interface that is heard; port 0 takes any free
    /// one. Must be called within a tokio runtime.
    ///
    /// A socket bound to one address hears no groups on Linux. So for an address of an interface
    /// (not of loopback) the socket is bound to that interface and to every address.
    pub fn bind(listen: &Listen) -> Result<Self, Error> {
        Self::open(listen).map_err(|error| cannot_listen(listen, &error))
    }

    fn open(listen: &Listen) -> io::Result<Self> {
        let SocketAddr::V6(wanted) = listen.address else {
            let why = "DHCPv6 needs an IPv6 address";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        };
        let special = wanted.ip().is_unspecified() || wanted.ip().is_loopback();
        let interface = match &listen.interface {
            Some(name) => Some(name.clone()),
            None if special => None,
            None => Some(interface_with(*wanted.ip())?),
        };
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_only_v6(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        if let Some(interface) = &interface {
            // Several interfaces may be heard by a socket each, on one port.
            socket.set_reuse_address(true)?;
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        let ip = if wanted.ip().is_loopback() { *wanted.ip() } else { Ipv6Addr::UNSPECIFIED };
        socket.bind(&SocketAddrV6::new(ip, wanted.port(), 0, 0).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let SocketAddr::V6(local) = socket.local_addr()? else {
            return Err(io::Error::other("an IPv6 socket has an IPv4 address"));
        };
        let port = Self { socket, local, interface, links: Mutex::default() };
        port.look_around()?;
        Ok(port)
    }

    /// Joins the groups on interfaces that have come up since, and learns their addresses anew.
    pub fn look_around(&self) -> io::Result<()> {
        if self.local.ip().is_loopback() {
            return Ok(());
        }
        let found = links(self.interface.as_deref())?;
        let mut links = self.links();
        for index in found.keys().filter(|index| !links.contains_key(index)) {
            for group in [EVERY_SERVER_ON_THE_LINK, EVERY_SERVER_OF_THE_SITE] {
                match self.socket.join_multicast_v6(&group, *index) {
                    Ok(()) => {}
                    // It was joined before the interface went away for a moment.
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                    Err(error) => {
                        tracing::warn!(%error, %group, index, "an interface is not heard");
                    }
                }
            }
        }
        *links = found;
        Ok(())
    }

    /// Where it is bound.
    pub fn local(&self) -> SocketAddrV6 {
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
        let mut control = nix::cmsg_space!(libc::in6_pktinfo);
        let message = recvmsg::<SockaddrIn6>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let from = message.address.map(SocketAddrV6::from);
        let from = from.ok_or_else(|| io::Error::other("a datagram without a sender"))?;
        let information = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv6PacketInfo(information) => Some(information),
            _ => None,
        });
        let (sent_to, interface) = match information {
            Some(found) => (Ipv6Addr::from(found.ipi6_addr.s6_addr), found.ipi6_ifindex),
            None => (*self.local.ip(), 0),
        };
        let addresses = self.links().get(&interface).cloned().unwrap_or_default();
        let length = message.bytes;
        Ok(Received { length, from, sent_to, interface, addresses })
    }

    /// Sends one datagram, from the address that was asked if it was ours alone; to a link-local
    /// address by the interface that heard the request. What the kernel cannot take now is lost, as
    /// on the wire: clients repeat.
    pub fn send(&self, bytes: &[u8], to: SocketAddrV6, asked: &Received) -> io::Result<()> {
        let source = match asked.sent_to.is_multicast() {
            true => Ipv6Addr::UNSPECIFIED,
            false => asked.sent_to,
        };
        let on_link = to.ip().is_unicast_link_local();
        let information = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
            ipi6_ifindex: if on_link { asked.interface } else { 0 },
        };
        let sent = sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(bytes)],
            &[ControlMessage::Ipv6PacketInfo(&information)],
            MsgFlags::MSG_DONTWAIT,
            Some(&SockaddrIn6::from(to)),
        )?;
        if sent == bytes.len() { Ok(()) } else { Err(io::Error::other("sent a part only")) }
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().expect("nobody panics while holding this table")
    }
}

/// The interfaces to be heard: one, or all that are up and take groups.
fn links(only: Option<&str>) -> io::Result<Links> {
    let mut links = Links::new();
    for entry in nix::ifaddrs::getifaddrs()? {
        let name = entry.interface_name.as_str();
        let wanted = match only {
            Some(only) => only == name,
            None => {
                let needed = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
                entry.flags.contains(needed) && !entry.flags.contains(InterfaceFlags::IFF_LOOPBACK)
            }
        };
        let Some(index) = wanted.then(|| if_nametoindex(name).ok()).flatten() else { continue };
        let addresses = links.entry(index).or_default();
        let Some(found) = entry.address.as_ref().and_then(|a| a.as_sockaddr_in6()) else {
            continue;
        };
        let ip = found.ip();
        if !ip.is_unicast_link_local() && !ip.is_loopback() && !ip.is_multicast() {
            addresses.push(ip);
        }
    }
    Ok(links)
}

fn interface_with(address: Ipv6Addr) -> io::Result<String> {
    let has = |entry: &nix::ifaddrs::InterfaceAddress| {
        let found = entry.address.as_ref().and_then(|found| found.as_sockaddr_in6());
        found.is_some_and(|found| found.ip() == address)
    };
    let none = || {
        let why = format!("no interface has the address {address}");
        io::Error::new(io::ErrorKind::AddrNotAvailable, why)
    };
    Ok(nix::ifaddrs::getifaddrs()?.find(has).ok_or_else(none)?.interface_name)
}

fn cannot_listen(listen: &Listen, error: &io::Error) -> Error {
    let interface = listen.interface.as_deref().map(|i| format!(" on {i}")).unwrap_or_default();
    let message = format!("cannot listen for DHCPv6 at {}{interface}: {error}", listen.address);
    let hint = match (error.kind(), listen.address) {
        (io::ErrorKind::PermissionDenied, _) => {
            "ports below 1024 need CAP_NET_BIND_SERVICE, interfaces CAP_NET_RAW"
        }
        (io::ErrorKind::AddrInUse, _) => "another DHCPv6 server is running: `ss -lunp` names it",
        (io::ErrorKind::AddrNotAvailable, _) => "`ip -6 address` lists the addresses there are",
        (_, SocketAddr::V4(_)) => "write an address such as [::]:547",
        (_, SocketAddr::V6(_)) => "",
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
        let port = Port::bind(&listen("[::1]:0")).unwrap();
        let client = UdpSocket::bind("[::1]:0").await.unwrap();
        let at = SocketAddr::V6(port.local());
        client.send_to(b"solicit", at).await.unwrap();
        let mut buffer = [0; 64];
        let heard = port.receive(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..heard.length], b"solicit");
        assert_eq!((heard.sent_to, heard.to_us_alone()), (Ipv6Addr::LOCALHOST, false));
        assert_ne!(heard.interface, 0);
        port.send(b"advertise", heard.from, &heard).unwrap();
        let (length, from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], from), (&b"advertise"[..], at));
    }

    #[tokio::test]
    async fn a_port_that_is_taken_and_an_address_that_is_not_ours_say_what_to_do() {
        let first = Port::bind(&listen("[::1]:0")).unwrap();
        let told = |address: &str| Port::bind(&listen(address)).unwrap_err().to_string();
        let taken = told(&first.local().to_string());
        assert!(taken.contains("another DHCPv6 server is running"), "{taken}");
        let absent = told("[2001:db8::77]:6767");
        assert!(absent.contains("no interface has the address 2001:db8::77"), "{absent}");
        assert_eq!(
            told("127.0.0.1:6767"),
            "cannot listen for DHCPv6 at 127.0.0.1:6767: DHCPv6 needs an IPv6 address (listen); \
             write an address such as [::]:547"
        );
    }
}
