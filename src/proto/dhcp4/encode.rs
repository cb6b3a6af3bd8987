//! How is a message turned into bytes that every client and relay can read?

use std::net::Ipv4Addr;

use crate::proto::dhcp4::code;
use crate::proto::dhcp4::decode::{COOKIE, FILE, HEADER_BYTES, SNAME};
use crate::proto::dhcp4::message::Message;

/// BOOTP's size (RFC 951 section 3): some clients and relays drop what is shorter.
pub const MESSAGE_BYTES_LEAST: usize = 300;
/// What a path of 1500 bytes carries without fragments: less 20 of IP and 8 of UDP.
pub const PATH_BYTES_MAX: usize = 1472;

/// Each client takes datagrams of 576 bytes, headers included (RFC 2131 section 2).
const DATAGRAM_BYTES_LEAST: usize = 576;
const IP_AND_UDP_BYTES: usize = 28;
const OVERLOAD_BYTES: usize = 3;
/// Code, length and 255 bytes of value.
const INSTANCE_BYTES_MAX: usize = 257;

/// Written first, in this order: what a client with little room or patience needs.
const FIRST: [u8; 14] = [
    code::MESSAGE_TYPE,
    code::SERVER_ID,
    code::LEASE_TIME,
    code::SUBNET_MASK,
    code::ROUTER,
    code::CLIENT_ID,
    code::TFTP_SERVER_ADDRESSES,
    code::TFTP_SERVER_NAME,
    code::BOOT_FILE_NAME,
    code::VENDOR_SPECIFIC,
    code::RENEWAL_TIME,
    code::REBINDING_TIME,
    code::DOMAIN_NAME_SERVER,
    code::HOST_NAME,
];

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    /// Codes of options for which there was no room.
    pub left_out: Vec<u8>,
}

/// How long a reply to this request may be, by option 57, in bytes of UDP payload.
pub fn reply_bytes_max(request: &Message) -> usize {
    let datagram = match request.option(code::MAX_MESSAGE_SIZE) {
        Some([high, low]) => usize::from(u16::from_be_bytes([*high, *low])),
        Some(_) | None => DATAGRAM_BYTES_LEAST,
    };
    (datagram.max(DATAGRAM_BYTES_LEAST) - IP_AND_UDP_BYTES).min(PATH_BYTES_MAX)
}

pub(super) fn encode_within(message: &Message, bytes_max: usize) -> Encoded {
    let bytes_max = bytes_max.max(DATAGRAM_BYTES_LEAST - IP_AND_UDP_BYTES);
    let room = bytes_max - HEADER_BYTES - COOKIE.len();
    let plan = Plan::of(message, room);
    let mut bytes = header(message, &plan);
    bytes.extend_from_slice(&plan.main);
    bytes.resize(bytes.len().max(MESSAGE_BYTES_LEAST), code::PAD);
    Encoded { bytes, left_out: plan.left_out }
}

fn header(message: &Message, plan: &Plan) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MESSAGE_BYTES_LEAST.max(HEADER_BYTES + plan.main.len() + 4));
    bytes.extend_from_slice(&[message.op, message.htype, message.hlen.min(16), message.hops]);
    bytes.extend_from_slice(&message.xid.to_be_bytes());
    bytes.extend_from_slice(&message.secs.to_be_bytes());
    bytes.extend_from_slice(&message.flags.to_be_bytes());
    let addresses: [Ipv4Addr; 4] = [message.ciaddr, message.yiaddr, message.siaddr, message.giaddr];
    for address in addresses {
        bytes.extend_from_slice(&address.octets());
    }
    bytes.extend_from_slice(&message.chaddr);
    for (text, options, length) in
        [(&message.sname, &plan.sname, SNAME.len()), (&message.file, &plan.file, FILE.len())]
    {
        let field = if options.is_empty() { text } else { options };
        let start = bytes.len();
        bytes.extend_from_slice(&field[..field.len().min(length)]);
        bytes.resize(start + length, 0);
    }
    bytes.extend_from_slice(&COOKIE);
    bytes
}

/// Which option goes into which field. Each field but an empty one ends in End.
#[derive(Default)]
struct Plan {
    main: Vec<u8>,
    file: Vec<u8>,
    sname: Vec<u8>,
    left_out: Vec<u8>,
}

impl Plan {
    fn of(message: &Message, room: usize) -> Self {
        let special = [code::PAD, code::OVERLOAD, code::RELAY_INFORMATION, code::END];
        let rest = message.options.keys().filter(|code| !FIRST.contains(code));
        let codes = FIRST.iter().chain(rest).filter(|code| !special.contains(code));
        // RFC 3046 section 2.2: last, because a relay may cut off what follows it.
        // The reply must stay useful beside it, so more than one instance of 255 bytes is not
        // echoed.
        let relayed = message.options.get(&code::RELAY_INFORMATION).map(Vec::as_slice);
        let oversized = relayed.is_some_and(|value| written_bytes(value) > INSTANCE_BYTES_MAX);
        let relayed = relayed.filter(|_| !oversized);
        let relayed_bytes = relayed.map_or(0, written_bytes);
        let present = codes.filter_map(|code| Some((*code, message.options.get(code)?.as_slice())));
        let total: usize = present.clone().map(|(_, value)| written_bytes(value)).sum();
        let crowded = total + relayed_bytes + 1 > room;
        let reserved = relayed_bytes + 1 + if crowded { OVERLOAD_BYTES } else { 0 };
        let main = Vec::with_capacity((total + relayed_bytes + 1).min(room));
        let mut plan = Self { main, ..Self::default() };
        if oversized {
            plan.left_out.push(code::RELAY_INFORMATION);
        }
        let free = room.saturating_sub(reserved);
        for (code, value) in present {
            plan.place(code, value, free);
        }
        plan.close(relayed);
        plan
    }

    /// Puts one whole option into the first field that has room for it and a closing End.
    fn place(&mut self, code: u8, value: &[u8], free: usize) {
        let bytes = written_bytes(value);
        if self.main.len() + bytes <= free {
            write(code, value, &mut self.main);
        } else if self.file.len() + bytes < FILE.len() {
            write(code, value, &mut self.file);
        } else if self.sname.len() + bytes < SNAME.len() {
            write(code, value, &mut self.sname);
        } else {
            self.left_out.push(code);
        }
    }

    fn close(&mut self, relayed: Option<&[u8]>) {
        let which = u8::from(!self.file.is_empty()) | u8::from(!self.sname.is_empty()) << 1;
        if which != 0 {
            self.main.extend_from_slice(&[code::OVERLOAD, 1, which]);
        }
        for field in [&mut self.file, &mut self.sname] {
            if !field.is_empty() {
                field.push(code::END);
            }
        }
        if let Some(value) = relayed {
            write(code::RELAY_INFORMATION, value, &mut self.main);
        }
        self.main.push(code::END);
    }
}

/// Code, length and value; values beyond 255 bytes as several instances (RFC 3396).
fn write(code: u8, value: &[u8], field: &mut Vec<u8>) {
    if value.is_empty() {
        field.extend_from_slice(&[code, 0]);
    }
    for part in value.chunks(255) {
        let length = u8::try_from(part.len()).expect("a chunk has at most 255 bytes");
        field.extend_from_slice(&[code, length]);
        field.extend_from_slice(part);
    }
}

/// How many bytes [`write`] puts down.
fn written_bytes(value: &[u8]) -> usize {
    value.len() + 2 * value.len().div_ceil(255).max(1)
}

#[cfg(test)]
mod tests {
    use dhcproto::v4::{DhcpOption, OptionCode, relay};
    use dhcproto::{Decodable, Encodable};

    use super::*;
    use crate::address::Mac;
    use crate::proto::dhcp4::message::MessageType;

    fn discover() -> Message {
        Message::from_client(MessageType::Discover, Mac::new([0, 0x1b, 0x21, 0xaa, 0xbb, 0xcc]), 7)
    }

    #[test]
    fn an_independent_decoder_reads_what_we_write() {
        let ours =
            Message { file: b"boot.cfg".to_vec(), giaddr: [10, 0, 9, 1].into(), ..discover() }
                .with(code::RELAY_INFORMATION, *b"\x01\x03Gi1\x02\x02sw")
                .with(code::HOST_NAME, *b"core1")
                .with(code::LEASE_TIME, 3600_u32.to_be_bytes())
                .with(code::BOOT_FILE_NAME, vec![b'x'; 300]);
        let theirs = dhcproto::v4::Message::from_bytes(&ours.encode()).unwrap();
        assert_eq!(theirs.xid(), 7);
        assert_eq!(theirs.chaddr(), [0, 0x1b, 0x21, 0xaa, 0xbb, 0xcc]);
        assert_eq!(theirs.giaddr(), Ipv4Addr::new(10, 0, 9, 1));
        assert_eq!(theirs.fname(), Some(&b"boot.cfg\0"[..]), "the oracle keeps the NUL");
        let get = |code| theirs.opts().get(code).cloned();
        assert_eq!(get(OptionCode::AddressLeaseTime), Some(DhcpOption::AddressLeaseTime(3600)));
        assert_eq!(get(OptionCode::Hostname), Some(DhcpOption::Hostname("core1".into())));
        assert_eq!(get(OptionCode::BootfileName), Some(DhcpOption::BootfileName(vec![b'x'; 300])));
        let Some(DhcpOption::RelayAgentInformation(info)) = get(OptionCode::RelayAgentInformation)
        else {
            panic!("no option 82")
        };
        assert_eq!(
            info.get(relay::RelayCode::AgentCircuitId),
            Some(&relay::RelayInfo::AgentCircuitId(b"Gi1".to_vec()))
        );
    }

    #[test]
    fn we_read_what_an_independent_encoder_writes() {
        let mut theirs = dhcproto::v4::Message::default();
        theirs.set_xid(9).set_chaddr(&[2, 0, 0, 0, 0, 1]);
        theirs.opts_mut().insert(DhcpOption::MessageType(dhcproto::v4::MessageType::Request));
        theirs.opts_mut().insert(DhcpOption::ClassIdentifier(b"Arista;x".to_vec()));
        theirs.opts_mut().insert(DhcpOption::BootfileName(vec![b'y'; 600]));
        theirs.opts_mut().insert(DhcpOption::RequestedIpAddress([10, 0, 0, 9].into()));
        let ours = Message::decode(&theirs.to_vec().unwrap()).unwrap();
        assert_eq!(ours.message_type(), Some(MessageType::Request));
        assert_eq!(ours.requested_address(), Some(Ipv4Addr::new(10, 0, 0, 9)));
        assert_eq!(ours.option(60), Some(&b"Arista;x"[..]));
        assert_eq!(ours.option(67), Some(&[b'y'; 600][..]));
        assert_eq!(ours.mac(), Some(Mac::new([2, 0, 0, 0, 0, 1])));
    }

    #[test]
    fn the_type_comes_first_the_relay_last_and_the_whole_is_300_bytes() {
        let message =
            discover().with(82, *b"\x01\x01p").with(255, *b"x").with(224, *b"site").with(3, *b"r");
        let bytes = message.encode();
        assert_eq!(bytes.len(), 300);
        let expected = b"\x35\x01\x01\x03\x01r\xe0\x04site\x52\x03\x01\x01p\xff\0\0";
        assert_eq!(&bytes[240..][..expected.len()], expected);
    }

    #[test]
    fn a_crowded_reply_uses_file_and_sname_and_keeps_the_relay_in_the_options() {
        let message = Message { file: b"f".to_vec(), ..discover() }
            .with(82, *b"\x01\x01p")
            .with(43, [7; 200])
            .with(67, [b'b'; 90])
            .with(125, [5; 120])
            .with(224, [4; 60])
            .with(225, [3; 100]);
        let encoded = message.encode_within(548);
        assert_eq!(encoded.left_out, [225]);
        let read = Message::decode(&encoded.bytes).unwrap();
        assert_eq!(read.order, [53, 67, 43, 52, 82, 125, 224]);
        assert_eq!(read.option(125), Some(&[5; 120][..]));
    }

    #[test]
    fn option_57_counts_the_headers_and_cannot_ask_for_less_than_576() {
        let cases: [(&[u8], usize); 5] = [
            (&[0x05, 0xdc], 1472),
            (&[0x02, 0x40], 548),
            (&[0, 1], 548),
            (&[0xff, 0xff], 1472),
            (&[9], 548),
        ];
        for (value, expected) in cases {
            assert_eq!(reply_bytes_max(&discover().with(57, value)), expected, "{value:?}");
        }
        assert_eq!(reply_bytes_max(&discover()), 548);
    }
}
