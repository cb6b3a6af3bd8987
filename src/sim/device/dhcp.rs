//! How a device gets its address: DISCOVER, OFFER, REQUEST, ACK, in the dialect of its system.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::proto::dhcp4::code;
use crate::proto::dhcp4::{Message, MessageType};
use crate::sim::chassis::{Chassis, Kind};
use crate::sim::device::Body;
use crate::sim::inside::Inside;

/// What the device was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) address: Ipv4Addr,
    /// Where files are: option 150, or 66 as an address in text, or `siaddr`.
    pub(super) server: Option<Ipv4Addr>,
    /// Option 67, or BOOTP's `file`.
    pub(super) file: String,
}

/// RFC 2131 section 4.1: the first wait is 4 s and doubles up to 64 s. A server on loopback answers
/// at once, so a simulated device waits a tenth of that.
const FIRST_WAIT: Duration = Duration::from_millis(400);
const LONGEST_WAIT: Duration = Duration::from_millis(6400);

/// Asks until it has an address.
pub(super) async fn obtain(inside: &Inside, body: &Body) -> Lease {
    let mut wait = FIRST_WAIT;
    loop {
        match try_once(&inside.chassis(), body, wait).await {
            Ok(Some(lease)) => return lease,
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, place = inside.place(), "DHCP socket"),
        }
        body.around.pace.pause(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// One exchange; `None` if somebody did not answer in time, or answered NAK.
async fn try_once(
    chassis: &Chassis,
    body: &Body,
    wait: Duration,
) -> std::io::Result<Option<Lease>> {
    let socket = UdpSocket::bind(SocketAddr::from((body.fitting.from, 0))).await?;
    let xid = (body.around.entropy.next_u64() >> 32) as u32;
    let discover = request(chassis, body, MessageType::Discover, xid);
    let Some(offer) = exchange(&socket, body, &discover, wait).await? else { return Ok(None) };
    let Some(server) = offer.server_id() else { return Ok(None) };
    let selecting = request(chassis, body, MessageType::Request, xid)
        .with_address(code::REQUESTED_ADDRESS, offer.yiaddr)
        .with_address(code::SERVER_ID, server);
    let Some(ack) = exchange(&socket, body, &selecting, wait).await? else { return Ok(None) };
    Ok((ack.message_type() == Some(MessageType::Ack)).then(|| read(&ack)))
}

async fn exchange(
    socket: &UdpSocket,
    body: &Body,
    message: &Message,
    wait: Duration,
) -> std::io::Result<Option<Message>> {
    socket.send_to(&message.encode(), body.around.dhcp).await?;
    let answer = async {
        let mut bytes = [0; 1500];
        loop {
            let (length, _) = socket.recv_from(&mut bytes).await?;
            if let Ok(reply) = Message::decode(&bytes[..length])
                && reply.op == Message::BOOT_REPLY
                && reply.xid == message.xid
            {
                return Ok(reply);
            }
        }
    };
    // Never shorter than a loaded machine needs, whatever the pace.
    let wait = wait.max(Duration::from_secs(1));
    match tokio::time::timeout(wait, answer).await {
        Ok(reply) => reply.map(Some),
        Err(_) => Ok(None),
    }
}

fn read(ack: &Message) -> Lease {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let first_of_150 = ack
        .option(code::TFTP_SERVER_ADDRESSES)
        .and_then(|list| list.first_chunk::<4>())
        .map(|octets| Ipv4Addr::from(*octets));
    let from_66 = ack.option(code::TFTP_SERVER_NAME).and_then(|name| text(name).parse().ok());
    let next = Some(ack.siaddr).filter(|address| !address.is_unspecified());
    let file = ack.option(code::BOOT_FILE_NAME).map_or_else(|| text(&ack.file), text);
    Lease { address: ack.yiaddr, server: first_of_150.or(from_66).or(next), file }
}

/// What each system sends. The sources stand with the platforms' files.
fn request(chassis: &Chassis, body: &Body, kind: MessageType, xid: u32) -> Message {
    let mac = chassis.mac;
    let [a, b, c, d, e, f] = mac.octets();
    let message = Message { flags: Message::BROADCAST, ..Message::from_client(kind, mac, xid) };
    let message = match chassis.kind {
        Kind::CiscoIos => {
            let identity =
                format!("\0cisco-{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{f:02x}-Vl1").into_bytes();
            message
                .with(code::CLIENT_ID, identity)
                .with(code::MAX_MESSAGE_SIZE, 1152_u16.to_be_bytes())
                .with(code::VENDOR_CLASS, *b"ciscopnp")
                .with(code::PARAMETER_REQUEST_LIST, [1, 66, 6, 15, 44, 3, 67, 12, 33, 150, 43, 125])
        }
        Kind::AristaEos => message
            .with(code::CLIENT_ID, [1, a, b, c, d, e, f])
            .with(code::VENDOR_CLASS, format!("Arista;{};11.00;{}", chassis.model, chassis.serial))
            .with(code::PARAMETER_REQUEST_LIST, [1, 3, 6, 15, 42, 66, 67, 143]),
        Kind::Frr => message
            .with(code::CLIENT_ID, [1, a, b, c, d, e, f])
            .with(
                code::VENDOR_CLASS,
                format!("greenlight-frr:{}:{}", chassis.model, chassis.serial),
            )
            .with(code::PARAMETER_REQUEST_LIST, [1, 3, 6, 12, 15, 66, 67, 150]),
    };
    match &body.fitting.position {
        None => message,
        Some((circuit, remote)) => {
            message.with(code::RELAY_INFORMATION, option_82(circuit, remote))
        }
    }
}

/// RFC 3046 section 2.0: sub-option 1 is the circuit, 2 the remote end.
fn option_82(circuit: &str, remote: &str) -> Vec<u8> {
    let mut value = Vec::new();
    for (sub, text) in [(1, circuit), (2, remote)] {
        value.push(sub);
        // Texts of the simulation's own making; none comes near 255 bytes.
        value.push(text.len() as u8);
        value.extend_from_slice(text.as_bytes());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_its_server_are_found_where_each_server_puts_them() {
        let text = |lease: Lease| format!("{:?} {}", lease.server, lease.file);
        let ack = Message { yiaddr: Ipv4Addr::new(127, 9, 0, 1), ..Message::default() };
        assert_eq!(text(read(&ack)), "None ");
        let ack = Message { siaddr: Ipv4Addr::new(10, 0, 0, 1), file: b"a.cfg".into(), ..ack };
        assert_eq!(text(read(&ack)), "Some(10.0.0.1) a.cfg");
        let ack = ack.with(66, *b"10.0.0.2").with(67, *b"b.cfg\0");
        assert_eq!(text(read(&ack)), "Some(10.0.0.2) b.cfg");
        let ack = ack.with(150, [10, 0, 0, 3, 10, 0, 0, 4]);
        assert_eq!(text(read(&ack)), "Some(10.0.0.3) b.cfg");
    }

    #[test]
    fn option_82_has_its_two_parts_with_their_lengths() {
        assert_eq!(option_82("ab", "c"), [1, 2, b'a', b'b', 2, 1, b'c']);
    }
}
