//! Sockets for TFTP: batches, the address that was asked, the pool of transfer ports.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage,
    recvmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::config::meant::Listen;

/// Asked of the kernel, which may give less: a thousand requests at one moment must not be dropped.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Holds some windows, so that a fast server does not lose its own blocks.
const SEND_BUFFER_BYTES: usize = 4 << 20;

/// A bound UDP socket that knows at which address each datagram arrived.
#[derive(Debug)]
pub struct Port {
    socket: UdpSocket,
    local: SocketAddr,
    interface: Option<String>,
}

/// A datagram's length and its two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    pub length: usize,
    pub from: SocketAddr,
    /// The address of ours that was asked. For a broadcast it is that of the interface.
    pub asked: SocketAddr,
}

impl Port {
    /// Binds; port 0 takes any free one. Must be called within a tokio runtime.
    pub fn bind(listen: &Listen) -> io::Result<Self> {
        match Self::bind_as(listen, false) {
            // Another socket has the IPv4 half: this one takes IPv6 only.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && listen.address.is_ipv6() => {
                Self::bind_as(listen, true)
            }
            other => other,
        }
    }

    /// One more socket at the same address and interface, with a port of its own.
    pub fn bind_beside(&self) -> io::Result<Self> {
        let address = SocketAddr::new(self.local.ip(), 0);
        Self::bind(&Listen { address, interface: self.interface.clone() })
    }

    fn bind_as(listen: &Listen, only_v6: bool) -> io::Result<Self> {
        let domain = Domain::for_address(listen.address);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        // With CAP_NET_ADMIN also beyond `net.core.rmem_max` and `wmem_max`; without, both are refused.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES);
        let _ = setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER_BYTES);
        if listen.address.is_ipv6() {
            socket.set_only_v6(only_v6)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        if let Some(interface) = &listen.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        socket.bind(&listen.address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Self { socket, local, interface: listen.interface.clone() })
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Ready once a datagram may be waiting.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_recv_ready(cx)
    }

    /// Takes one datagram if one is waiting. What does not fit into `buffer` is cut off.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.socket.try_io(Interest::READABLE, || {
            let mut slices = [IoSliceMut::new(buffer)];
            let mut control = nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
            let message = recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            )?;
            let from = message.address.as_ref().and_then(to_std);
            let from = from.ok_or_else(|| io::Error::other("a datagram without a sender"))?;
            let asked = message.cmsgs()?.find_map(|control| asked_ip(&control));
            let asked = SocketAddr::new(asked.unwrap_or(self.local.ip()), self.local.port());
            Ok(Received { length: message.bytes, from, asked })
        })
    }

    /// Sends one datagram from the address of ours that was asked. What the kernel cannot take now
    /// is lost, as on the wire: the protocol sends it again.
    pub fn send(&self, bytes: &[u8], to: SocketAddr, source: IpAddr) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        let slices = [IoSlice::new(bytes)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let v4_information;
        let v6_information;
        let information = match (self.local, source) {
            (SocketAddr::V4(_), IpAddr::V4(ip)) => {
                let spec = libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
                v4_information = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: spec,
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                [ControlMessage::Ipv4PacketInfo(&v4_information)]
            }
            (_, ip) => {
                let v6 = match ip {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                    IpAddr::V6(v6) => v6,
                };
                v6_information = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: v6.octets() },
                    ipi6_ifindex: 0,
                };
                [ControlMessage::Ipv6PacketInfo(&v6_information)]
            }
        };
        let control: &[ControlMessage<'_>] =
            if source.is_unspecified() { &[] } else { &information };
        match to {
            SocketAddr::V4(v4) => {
                sendmsg(fd, &slices, control, flags, Some(&SockaddrIn::from(v4)))?
            }
            SocketAddr::V6(v6) => {
                sendmsg(fd, &slices, control, flags, Some(&SockaddrIn6::from(v6)))?
            }
        };
        Ok(())
    }
}

fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

fn asked_ip(control: &ControlMessageOwned) -> Option<IpAddr> {
    match control {
        // `ipi_spec_dst` is an address of ours even where the destination was a broadcast.
        ControlMessageOwned::Ipv4PacketInfo(information) => {
            let octets = information.ipi_spec_dst.s_addr.to_ne_bytes();
            Some(IpAddr::from(octets))
        }
        ControlMessageOwned::Ipv6PacketInfo(information) => {
            Some(IpAddr::from(information.ipi6_addr.s6_addr))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn received(port: &Port) -> (Received, Vec<u8>) {
        let mut buffer = [0; 100];
        std::future::poll_fn(|cx| port.poll_readable(cx)).await.unwrap();
        let received = port.receive(&mut buffer).unwrap();
        (received, buffer[..received.length].to_vec())
    }

    async fn check(listen: &str, asked: &str, client: &str) {
        let listen = Listen { address: listen.parse().unwrap(), interface: None };
        let port = Port::bind(&listen).unwrap();
        let asked = SocketAddr::new(asked.parse().unwrap(), port.local().port());
        let client = UdpSocket::bind(client).await.unwrap();
        client.send_to(b"hello", asked).await.unwrap();
        let (heard, bytes) = received(&port).await;
        assert_eq!(bytes, b"hello");
        assert_eq!(heard.asked.ip().to_canonical(), asked.ip());
        assert_eq!(heard.asked.port(), asked.port());
        port.send(b"answer", heard.from, heard.asked.ip()).unwrap();
        let mut buffer = [0; 100];
        let (length, from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], from), (&b"answer"[..], asked));
    }

    #[tokio::test]
    async fn the_answer_leaves_from_the_address_that_was_asked() {
        check("127.0.0.1:0", "127.0.0.1", "127.0.0.1:0").await;
        check("0.0.0.0:0", "127.0.0.1", "127.0.0.1:0").await;
        check("0.0.0.0:0", "127.7.7.7", "127.0.0.9:0").await;
        check("[::]:0", "127.7.7.7", "127.0.0.9:0").await;
        check("[::]:0", "::1", "[::1]:0").await;
    }
    #[tokio::test]
    async fn a_broadcast_is_answered_from_an_address_of_ours() {
        let listen = Listen { address: "0.0.0.0:0".parse().unwrap(), interface: None };
        let port = Port::bind(&listen).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.set_broadcast(true).unwrap();
        let everybody = SocketAddr::from(([127, 255, 255, 255], port.local().port()));
        client.send_to(b"hello", everybody).await.unwrap();
        let (heard, _) = received(&port).await;
        assert_eq!(heard.asked.ip().to_string(), "127.0.0.1");
    }
}
