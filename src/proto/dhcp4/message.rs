//! What does one DHCPv4 message say? The header of RFC 2131 section 2 and the options, joined.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::address::Mac;
use crate::proto::dhcp4::code;
use crate::proto::dhcp4::decode::{self, DecodeError};
use crate::proto::dhcp4::encode::{self, Encoded};
use crate::proto::dhcp4::relay::Information;

/// One message, as read or as to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// 1: from a client, 2: from a server.
    pub op: u8,
    /// 1 is Ethernet.
    pub htype: u8,
    /// How many bytes of `chaddr` count; at most 16.
    pub hlen: u8,
    pub hops: u8,
    pub xid: u32,
    /// Seconds since the client began to ask.
    pub secs: u16,
    /// Only [`Message::BROADCAST`] has a meaning.
    pub flags: u16,
    /// The address the client has and answers ARP for.
    pub ciaddr: Ipv4Addr,
    /// The address it is given.
    pub yiaddr: Ipv4Addr,
    /// The server of its next step.
    pub siaddr: Ipv4Addr,
    /// The relay that passed it on.
    pub giaddr: Ipv4Addr,
    pub chaddr: [u8; 16],
    /// Up to the first NUL; empty when the field held options (option 52).
    pub sname: Vec<u8>,
    /// Up to the first NUL; empty when the field held options (option 52).
    pub file: Vec<u8>,
    /// Every option but Pad, End and 52; all instances of a code joined in order (RFC 3396).
    pub options: BTreeMap<u8, Vec<u8>>,
    /// The codes in the order they came, repeats included. For diagnosis; not written.
    pub order: Vec<u8>,
    /// What could not be read, at most one per field of options; the rest stands in `options`.
    pub complaints: Vec<DecodeError>,
}

impl Default for Message {
    /// All zeroes, no options.
    fn default() -> Self {
        let none = Ipv4Addr::UNSPECIFIED;
        Self {
            op: 0,
            htype: 0,
            hlen: 0,
            hops: 0,
            xid: 0,
            secs: 0,
            flags: 0,
            ciaddr: none,
            yiaddr: none,
            siaddr: none,
            giaddr: none,
            chaddr: [0; 16],
            sname: Vec::new(),
            file: Vec::new(),
            options: BTreeMap::new(),
            order: Vec::new(),
            complaints: Vec::new(),
        }
    }
}

/// What a message is for (option 53, RFC 2132 section 9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    Discover,
    Offer,
    Request,
    Decline,
    Ack,
    Nak,
    Release,
    Inform,
    Other(u8),
}

impl MessageType {
    pub fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            8 => Self::Inform,
            other => Self::Other(other),
        }
    }

    pub fn number(self) -> u8 {
        match self {
            Self::Discover => 1,
            Self::Offer => 2,
            Self::Request => 3,
            Self::Decline => 4,
            Self::Ack => 5,
            Self::Nak => 6,
            Self::Release => 7,
            Self::Inform => 8,
            Self::Other(number) => number,
        }
    }
}

impl Message {
    pub const BOOT_REQUEST: u8 = 1;
    pub const BOOT_REPLY: u8 = 2;
    /// The client cannot take unicast before it has an address (RFC 2131 section 2, figure 2).
    pub const BROADCAST: u16 = 0x8000;

    /// A client's message with an Ethernet address, ready for [`Message::with`].
    pub fn from_client(kind: MessageType, mac: Mac, xid: u32) -> Self {
        let mut chaddr = [0; 16];
        chaddr[..6].copy_from_slice(&mac.octets());
        let message =
            Self { op: Self::BOOT_REQUEST, htype: 1, hlen: 6, xid, chaddr, ..Self::default() };
        message.with(code::MESSAGE_TYPE, [kind.number()])
    }

    /// The same message with this option, replacing an earlier one of the same code.
    pub fn with(mut self, code: u8, value: impl Into<Vec<u8>>) -> Self {
        self.options.insert(code, value.into());
        self
    }

    /// The same message with an option that holds one address.
    pub fn with_address(self, code: u8, address: Ipv4Addr) -> Self {
        self.with(code, address.octets())
    }

    /// Reads one datagram. What is wrong with single options stands in `complaints` and hides
    /// nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode::decode(bytes)
    }

    /// Writes the message, at least 300 bytes long, with as many options as
    /// [`decode`](Self::decode) reads.
    pub fn encode(&self) -> Vec<u8> {
        encode::encode_within(self, decode::MESSAGE_BYTES_MAX).bytes
    }

    /// Writes the message in at most `bytes_max` bytes (548 if that is less: everybody takes
    /// those), with `file` and `sname` as room for options where needed (option 52), and tells
    /// which options did not fit.
    pub fn encode_within(&self, bytes_max: usize) -> Encoded {
        encode::encode_within(self, bytes_max)
    }

    pub fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.get(&code).map(Vec::as_slice)
    }

    pub fn message_type(&self) -> Option<MessageType> {
        match self.option(code::MESSAGE_TYPE) {
            Some([number]) => Some(MessageType::from_number(*number)),
            Some(_) | None => None,
        }
    }

    /// The Ethernet address; `None` for other hardware.
    pub fn mac(&self) -> Option<Mac> {
        if self.htype == 1 && self.hlen == 6 { Mac::from_slice(&self.chaddr) } else { None }
    }

    /// Option 50.
    pub fn requested_address(&self) -> Option<Ipv4Addr> {
        self.address(code::REQUESTED_ADDRESS)
    }

    /// Option 54.
    pub fn server_id(&self) -> Option<Ipv4Addr> {
        self.address(code::SERVER_ID)
    }

    /// Option 61 as lower-case hex, empty when absent: the second half of a lease's key. What is
    /// beyond 255 bytes does not count: it is kept with every lease, and nobody sends so much.
    pub fn client_id_hex(&self) -> String {
        hex(self.instance(code::CLIENT_ID))
    }

    /// Option 82 as lower-case hex, empty when absent; cut at 255 bytes like the client id.
    pub fn relay_information_hex(&self) -> String {
        hex(self.instance(code::RELAY_INFORMATION))
    }

    /// Option 55, in the client's order.
    pub fn parameter_request_list(&self) -> &[u8] {
        self.option(code::PARAMETER_REQUEST_LIST).unwrap_or_default()
    }

    /// Option 82 as received.
    pub fn relay_information(&self) -> Option<&[u8]> {
        self.option(code::RELAY_INFORMATION)
    }

    /// The address by which this client is to know its server instead of the server's own (RFC
    /// 5107). Without giaddr no relay spoke, whatever stands in option 82.
    pub fn server_override(&self) -> Option<Ipv4Addr> {
        self.relay()?;
        Information::of(self.relay_information()?).server_override
    }

    pub fn wants_broadcast(&self) -> bool {
        self.flags & Self::BROADCAST != 0
    }

    /// The relay's address, if a relay passed this on.
    pub fn relay(&self) -> Option<Ipv4Addr> {
        Some(self.giaddr).filter(|address| !address.is_unspecified())
    }

    fn instance(&self, code: u8) -> &[u8] {
        let whole = self.option(code).unwrap_or_default();
        &whole[..whole.len().min(255)]
    }

    /// An option that holds exactly one usable address; all zeroes count as absent.
    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.option(code)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets)).filter(|address| !address.is_unspecified())
    }

    /// An option that holds four bytes of number, such as 51.
    pub fn number(&self, code: u8) -> Option<u32> {
        Some(u32::from_be_bytes(self.option(code)?.try_into().ok()?))
    }
}

/// The bytes of what [`hex`] wrote; `None` for any other text.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// Lower-case hex without a prefix.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_message() -> impl Strategy<Value = Message> {
        let options = proptest::collection::btree_map(
            any::<u8>()
                .prop_filter("these stand for themselves", |code| ![0, 52, 255].contains(code)),
            proptest::collection::vec(any::<u8>(), 0..600),
            0..12,
        );
        let text = |most| proptest::collection::vec(1..=255_u8, 0..=most);
        let header = (any::<[u8; 4]>(), any::<u32>(), any::<(u16, u16)>(), any::<[u32; 4]>());
        let relayed = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=255));
        (header, any::<[u8; 16]>(), (text(64), text(128)), options, relayed).prop_map(
            |((bytes, xid, (secs, flags), addresses), chaddr, texts, mut options, relayed)| {
                // One instance: a relay's option that is longer is not echoed.
                options.remove(&code::RELAY_INFORMATION);
                options.extend(relayed.map(|value| (code::RELAY_INFORMATION, value)));
                let (sname, file) = texts;
                let [op, htype, hlen, hops] = bytes;
                let [ciaddr, yiaddr, siaddr, giaddr] = addresses.map(Ipv4Addr::from);
                Message {
                    op,
                    htype,
                    hlen: hlen % 17,
                    hops,
                    xid,
                    secs,
                    flags,
                    ciaddr,
                    yiaddr,
                    siaddr,
                    giaddr,
                    chaddr,
                    sname,
                    file,
                    options,
                    ..Message::default()
                }
            },
        )
    }

    /// Without what is for diagnosis alone.
    fn meaning(message: Message) -> Message {
        Message { order: Vec::new(), complaints: Vec::new(), ..message }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(message in any_message()) {
            let bytes = message.encode();
            prop_assert!(bytes.len() >= 300);
            let read = Message::decode(&bytes).unwrap();
            prop_assert_eq!(&read.complaints, &Vec::new());
            prop_assert_eq!(meaning(read), message);
        }

        #[test]
        fn a_narrow_message_keeps_its_bound_and_loses_only_what_it_names(
            message in any_message(),
            bytes_max in 548..1500_usize,
        ) {
            let encoded = message.encode_within(bytes_max);
            prop_assert!(encoded.bytes.len() <= bytes_max);
            let read = Message::decode(&encoded.bytes).unwrap();
            prop_assert_eq!(&read.complaints, &Vec::new());
            let mut expected = message.options.clone();
            expected.retain(|code, _| !encoded.left_out.contains(code));
            prop_assert_eq!(read.options, expected);
            if let Some(value) = message.option(82) {
                let main = encoded.bytes.iter().rposition(|byte| *byte == code::END).unwrap();
                prop_assert!(encoded.bytes[..main].ends_with(value), "82 is not last");
                prop_assert!(!encoded.left_out.contains(&82));
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            let _ = Message::decode(&bytes);
            let mut framed = vec![1; 236];
            framed.extend_from_slice(&[99, 130, 83, 99]);
            framed.extend_from_slice(&bytes);
            let read = Message::decode(&framed).unwrap();
            prop_assert!(read.options.values().map(Vec::len).sum::<usize>() <= framed.len());
            prop_assert!(read.order.len() * 2 <= framed.len() && read.complaints.len() <= 3);
        }
    }

    #[test]
    fn an_absent_or_misshapen_option_is_none_and_not_zero() {
        let mac = Mac::new([2, 0, 0, 0, 0, 1]);
        let message = Message::from_client(MessageType::Request, mac, 1)
            .with(code::REQUESTED_ADDRESS, [10, 0, 0])
            .with(code::SERVER_ID, [0, 0, 0, 0]);
        assert_eq!(message.requested_address(), None);
        assert_eq!(message.server_id(), None);
        assert_eq!(message.number(code::LEASE_TIME), None);
        assert_eq!(message.mac(), Some(mac));
        assert_eq!(Message { hlen: 8, ..message }.mac(), None);
    }
}
