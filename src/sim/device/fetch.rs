//! How a device gets a file: TFTP, or HTTP with the headers of its system.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};

use crate::proto::tftp::Output;
use crate::proto::tftp::download::{Download, Outcome, Stop, Wish};
use crate::sim::chassis::{Chassis, Kind};
use crate::sim::device::Body;
use crate::sim::device::dhcp::Lease;

/// A configuration is text; what is longer is no configuration.
const FILE_BYTES_MAX: usize = 16 << 20;

/// Where a transfer breaks: so that something was acknowledged, and a file of more than 1 KiB is
/// not complete yet.
const BREAKS_OFF_AFTER: u64 = 2;

/// Who asks.
pub(super) struct From<'a> {
    pub(super) chassis: &'a Chassis,
    pub(super) body: &'a Body,
    pub(super) lease: &'a Lease,
}

/// Whether the device takes the file to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    ToTheEnd,
    BreaksOff,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fetched {
    Complete(Vec<u8>),
    /// The device itself ended it.
    BrokenOff,
    Failed {
        why: String,
    },
}

/// Where a file is, as a name or URL says it.
#[derive(Debug, PartialEq, Eq)]
enum Where {
    Tftp { server: Option<Ipv4Addr>, name: String },
    Http { server: SocketAddr, path: String },
}

/// Gets one file, from the address of the lease and a new port.
pub(super) async fn fetch(from: &From<'_>, name: &str, how: How) -> Fetched {
    let outcome = match place(name) {
        Where::Http { server, path } => http(from, server, &path, how).await,
        Where::Tftp { server, name } => match server.or(from.lease.server) {
            Some(server) => {
                let server = SocketAddr::from((server, from.body.around.tftp_port));
                tftp(from, server, &name, how).await
            }
            None => return Fetched::Failed { why: "no server was named".into() },
        },
    };
    outcome.unwrap_or_else(|error| Fetched::Failed { why: error.to_string() })
}

fn place(name: &str) -> Where {
    if let Some(rest) = name.strip_prefix("http://") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let server = host.parse().or_else(|_| format!("{host}:80").parse());
        if let Ok(server) = server {
            return Where::Http { server, path: format!("/{path}") };
        }
    }
    if let Some(rest) = name.strip_prefix("tftp://") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        return Where::Tftp { server: host.parse().ok(), name: path.to_owned() };
    }
    Where::Tftp { server: None, name: name.to_owned() }
}

/// Drives the reading machine. IOS sends no TFTP options; the others ask for larger blocks.
async fn tftp(
    from: &From<'_>,
    server: SocketAddr,
    name: &str,
    how: How,
) -> std::io::Result<Fetched> {
    let socket = UdpSocket::bind(SocketAddr::from((from.lease.address, 0))).await?;
    let clock = &from.body.around.clock;
    let mut wish = Wish { bytes_max: FILE_BYTES_MAX, ..Wish::plain(name) };
    match from.chassis.kind {
        Kind::CiscoIos => {}
        Kind::AristaEos | Kind::Frr => {
            wish.block_bytes = Some(if how == How::BreaksOff { 512 } else { 1428 });
        }
    }
    if how == How::BreaksOff {
        wish.stop = Stop::ErrorAfter { blocks: BREAKS_OFF_AFTER };
    }
    let mut out = Output::default();
    let mut download = Download::start(server, wish, clock.instant(), &mut out);
    let mut bytes = vec![0; 65_536];
    loop {
        for (to, datagram) in out.datagrams() {
            socket.send_to(datagram, to).await?;
        }
        out.clear();
        match download.outcome() {
            None => {}
            Some(Outcome::Complete) => return Ok(Fetched::Complete(download.into_bytes())),
            Some(Outcome::Stopped) => return Ok(Fetched::BrokenOff),
            Some(Outcome::Silent) => return Ok(Fetched::Failed { why: "timed out".into() }),
            Some(Outcome::Refused { code, text }) => {
                return Ok(Fetched::Failed { why: format!("{code:?}: {text}") });
            }
        }
        let now = clock.instant();
        let left = download.deadline().map_or(std::time::Duration::ZERO, |at| at - now.min(at));
        match tokio::time::timeout(left, socket.recv_from(&mut bytes)).await {
            Ok(received) => {
                let (length, peer) = received?;
                download.on_packet(&bytes[..length], peer, clock.instant(), &mut out);
            }
            Err(_) => download.on_time(clock.instant(), &mut out),
        }
    }
}

/// One GET by HTTP/1.0, read to the length that the server names.
async fn http(
    from: &From<'_>,
    server: SocketAddr,
    path: &str,
    how: How,
) -> std::io::Result<Fetched> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((from.lease.address, 0)))?;
    let mut stream = socket.connect(server).await?;
    let headers = identity(from.chassis);
    let request = format!("GET {path} HTTP/1.0\r\nHost: {server}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    if how == How::BreaksOff {
        stream.read_buf(&mut answer).await?;
        return Ok(Fetched::BrokenOff);
    }
    let _ = stream.take(FILE_BYTES_MAX as u64).read_to_end(&mut answer).await?;
    Ok(body(&answer))
}

fn body(answer: &[u8]) -> Fetched {
    let failed = |why: &str| Fetched::Failed { why: why.to_owned() };
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return failed("the answer has no end of headers");
    };
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let content = &answer[end + 4..];
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return failed(status);
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    match length {
        Some(length) if length == content.len() => Fetched::Complete(content.to_vec()),
        Some(_) => failed("the answer is not as long as it says"),
        None => failed("the answer names no length"),
    }
}

/// The headers by which a device says who it is.
fn identity(chassis: &Chassis) -> String {
    let Chassis { serial, mac, model, software, .. } = chassis;
    match chassis.kind {
        Kind::AristaEos => format!(
            "User-Agent: Arista-EOS/{software}\r\nX-Arista-SystemMAC: {mac}\r\n\
             X-Arista-ModelName: {model}\r\nX-Arista-HardwareVersion: 11.00\r\n\
             X-Arista-Serial: {serial}\r\nX-Arista-SoftwareVersion: {software}\r\n\
             X-Arista-Architecture: x86_64\r\n"
        ),
        Kind::CiscoIos => "User-Agent: cisco-IOS\r\n".to_owned(),
        Kind::Frr => "User-Agent: curl/7.88.1\r\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_url_or_a_path_on_the_server_that_was_told() {
        let tftp = |server: Option<Ipv4Addr>, name: &str| Where::Tftp { server, name: name.into() };
        let host = Ipv4Addr::new(10, 0, 0, 9);
        assert_eq!(place("network-confg"), tftp(None, "network-confg"));
        assert_eq!(place("tftp://10.0.0.9/a/b.cfg"), tftp(Some(host), "a/b.cfg"));
        let http = |server: &str, path: &str| Where::Http {
            server: server.parse().unwrap(),
            path: path.into(),
        };
        assert_eq!(place("http://10.0.0.9:8069/a"), http("10.0.0.9:8069", "/a"));
        assert_eq!(place("http://10.0.0.9/a"), http("10.0.0.9:80", "/a"));
    }

    #[test]
    fn only_a_whole_answer_counts() {
        let read = |text: &str| body(text.as_bytes());
        assert_eq!(
            read("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"),
            Fetched::Complete(b"abc".to_vec())
        );
        for wrong in [
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\n\r\nabc",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 3",
        ] {
            assert!(matches!(read(wrong), Fetched::Failed { .. }), "{wrong}");
        }
    }
}
