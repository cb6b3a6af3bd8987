//! Listening TCP sockets, each optionally bound to an interface.

use std::io;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::config::meant::Listen;

/// Connections that wait to be accepted: all devices of a site after a power cut.
const BACKLOG: i32 = 1024;

/// Binds and listens; port 0 takes any free one. Must be called within a tokio runtime.
pub fn listen(listen: &Listen) -> io::Result<TcpListener> {
    let domain = Domain::for_address(listen.address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A restart must not wait for the connections of the server before.
    socket.set_reuse_address(true)?;
    if let Some(interface) = &listen.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    socket.bind(&listen.address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
