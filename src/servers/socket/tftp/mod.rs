//! Sockets for TFTP: the address that was asked, the pool of transfer ports, one listening socket
//! for each worker. Batches stand in [`batch`].

pub mod batch;
pub mod raw;

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
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

/// Who else may have the address of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Nobody,
    /// The other workers of this server (SO_REUSEPORT): the kernel gives each peer to one of them.
    Workers,
}

impl Port {
    /// Binds `workers` sockets to one address; port 0 takes any free one. Must be called within a
    /// tokio runtime.
    pub fn bind_listening(listen: &Listen, workers: usize) -> io::Result<Vec<Self>> {
        // A server that runs already shares with its own workers only: alone, the bind tells.
        let alone = Self::bind_as(listen, Share::Nobody)?;
        if workers <= 1 {
            return Ok(vec![alone]);
        }
        let listen = Listen { address: alone.local, interface: listen.interface.clone() };
        drop(alone);
        (0..workers).map(|_| Self::bind_as(&listen, Share::Workers)).collect()
    }

    /// One more socket at the same address and interface, with a port of its own.
    pub fn bind_beside(&self) -> io::Result<Self> {
        let address = SocketAddr::new(self.local.ip(), 0);
        Self::bind_as(&Listen { address, interface: self.interface.clone() }, Share::Nobody)
    }

    fn bind_as(listen: &Listen, share: Share) -> io::Result<Self> {
        match Self::bind_family(listen, share, false) {
            // Another socket has the IPv4 half: this one takes IPv6 only.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && listen.address.is_ipv6() => {
                Self::bind_family(listen, share, true)
            }
            other => other,
        }
    }

    fn bind_family(listen: &Listen, share: Share, only_v6: bool) -> io::Result<Self> {
        let domain = Domain::for_address(listen.address);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_port(share == Share::Workers)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        // With CAP_NET_ADMIN also beyond `net.core.rmem_max` and `wmem_max`; without, both are
        // refused.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES);
        let _ = setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER_BYTES);
        if listen.address.is_ipv6() {
            socket.set_only_v6(only_v6)?;
        }
        // A socket of one address knows where it was asked, and hears no broadcast.
        let anywhere = listen.address.ip().is_unspecified();
        if anywhere && listen.address.is_ipv6() {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        if anywhere && !only_v6 {
            // Also on a dual-stack socket: only this one tells our address when a broadcast came.
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

    /// Returns once the kernel may take more.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::batch::{Inbox, Parcel, Received};

    async fn received(port: &Port) -> (Received, Vec<u8>) {
        let mut inbox = Inbox::new(100);
        std::future::poll_fn(|cx| port.poll_readable(cx)).await.unwrap();
        assert_eq!(port.receive(&mut inbox).unwrap(), 1);
        let (received, bytes) = inbox.datagram(0).unwrap();
        (received, bytes.to_vec())
    }

    fn bound(listen: &str) -> Port {
        let listen = Listen { address: listen.parse().unwrap(), interface: None };
        Port::bind_listening(&listen, 1).unwrap().remove(0)
    }

    async fn check(listen: &str, asked: &str, client: &str) {
        let port = bound(listen);
        let asked = SocketAddr::new(asked.parse().unwrap(), port.local().port());
        let client = UdpSocket::bind(client).await.unwrap();
        client.send_to(b"hello", asked).await.unwrap();
        let (heard, bytes) = received(&port).await;
        assert_eq!(bytes, b"hello");
        assert_eq!(heard.asked.ip().to_canonical(), asked.ip());
        assert_eq!(heard.asked.port(), asked.port());
        let parcel =
            Parcel { port: 0, to: heard.from, source: heard.asked.ip(), range: 0..6, segment: 6 };
        assert_eq!(port.send(b"answer", &[parcel]).unwrap(), 1);
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

    async fn check_broadcast(listen: &str) {
        let port = bound(listen);
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.set_broadcast(true).unwrap();
        let everybody = SocketAddr::from(([127, 255, 255, 255], port.local().port()));
        client.send_to(b"hello", everybody).await.unwrap();
        let (heard, _) = received(&port).await;
        assert_eq!(heard.asked.ip().to_canonical().to_string(), "127.0.0.1");
        assert!(heard.broadcast);
    }

    #[tokio::test]
    async fn a_broadcast_is_answered_from_an_address_of_ours() {
        check_broadcast("0.0.0.0:0").await;
        check_broadcast("[::]:0").await;
    }

    #[tokio::test]
    async fn a_window_leaves_in_one_call_and_arrives_as_its_blocks() {
        let port = bound("0.0.0.0:0");
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (to, source) = (client.local_addr().unwrap(), "127.3.3.3".parse().unwrap());
        let bytes: Vec<u8> = (0..250u8).collect();
        let parcel = Parcel { port: 0, to, source, range: 0..250, segment: 100 };
        assert_eq!(port.send(&bytes, &[parcel]).unwrap(), 1);
        let mut buffer = [0; 300];
        for expected in bytes.chunks(100) {
            let (length, from) = client.recv_from(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..length], from.ip()), (expected, source));
        }
    }

    #[tokio::test]
    async fn workers_share_an_address_that_nobody_else_gets() {
        let listen = Listen { address: "127.0.0.1:0".parse().unwrap(), interface: None };
        let ours = Port::bind_listening(&listen, 3).unwrap();
        let listen = Listen { address: ours[2].local(), interface: None };
        assert_eq!(ours[0].local(), ours[2].local());
        let refused = Port::bind_listening(&listen, 3).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }
}
