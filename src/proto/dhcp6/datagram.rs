//! How does a message travel: bare, or wrapped in the messages of up to nine relays (RFC 8415
//! section 9)? Read tolerantly: a fault costs the option it is in, and no other.

use std::net::Ipv6Addr;

use crate::address::Mac;
use crate::proto::dhcp4::DecodeError;
use crate::proto::dhcp6::code;
use crate::proto::dhcp6::message::{Message, MessageType};
use crate::proto::dhcp6::options::{self, Cut, Options};
use crate::proto::dhcp6::relay::{RELAYS_MAX, Relay};

/// The longest datagram that is read: a jumbo frame. No client sends more than 1500 bytes, and a
/// relay adds some hundred.
pub const MESSAGE_BYTES_MAX: usize = 9216;

/// Type and transaction id (RFC 8415 section 8).
pub(super) const MESSAGE_HEADER_BYTES: usize = 4;
/// Type, hop count and two addresses (RFC 8415 section 9).
pub(super) const RELAY_HEADER_BYTES: usize = 34;

/// A message and its wrappings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The outermost, which is the relay that spoke to the server, first.
    pub relays: Vec<Relay>,
    /// Relay-reply instead of Relay-forward: which way the wrappings go.
    pub towards_client: bool,
    pub message: Message,
    /// What could not be read, at most one per wrapping and one of the message.
    pub complaints: Vec<DecodeError>,
}

impl Datagram {
    /// A message without a relay.
    pub fn bare(message: Message) -> Self {
        Self { relays: Vec::new(), towards_client: false, message, complaints: Vec::new() }
    }

    /// Reads one datagram. What is wrong with single options stands in `complaints` and hides
    /// nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            let expected = format!("at most {MESSAGE_BYTES_MAX} bytes");
            return Err(wrong("message", MESSAGE_BYTES_MAX, expected, bytes.len()));
        }
        let mut read = Reading { bytes, at: 0, end: bytes.len(), complaints: Vec::new() };
        let mut relays = Vec::new();
        let outermost = read.kind()?;
        let towards_client = outermost == MessageType::RelayReply;
        while let MessageType::RelayForward | MessageType::RelayReply = read.kind()? {
            relays.push(read.relay(relays.len(), outermost)?);
        }
        let message = read.message()?;
        Ok(Self { relays, towards_client, message, complaints: read.complaints })
    }

    /// Writes the message in its wrappings.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let number = u32::from(self.message.kind.number()) << 24;
        let transaction = self.message.transaction & Message::TRANSACTION_MASK;
        bytes.extend_from_slice(&(number | transaction).to_be_bytes());
        self.message.options.write_to(&mut bytes);
        let kind = match self.towards_client {
            true => MessageType::RelayReply,
            false => MessageType::RelayForward,
        };
        for relay in self.relays.iter().rev() {
            let mut wrapped = vec![kind.number(), relay.hop_count];
            wrapped.extend_from_slice(&relay.link.octets());
            wrapped.extend_from_slice(&relay.peer.octets());
            relay.options.write_to(&mut wrapped);
            options::write(&mut wrapped, code::RELAY_MESSAGE, &bytes);
            bytes = wrapped;
        }
        bytes
    }

    /// The client's link, as the relay nearest to it says; `None` when no relay knows it, so that
    /// the client stands where the datagram came in (RFC 8415 section 13.1).
    pub fn link(&self) -> Option<Ipv6Addr> {
        let links = self.relays.iter().rev().map(|relay| relay.link);
        links.into_iter().find(|link| !link.is_unspecified())
    }

    /// The client's own address as the relay nearest to it saw it; `None` without relays.
    pub fn peer(&self) -> Option<Ipv6Addr> {
        self.relays.last().map(|relay| relay.peer)
    }

    /// Where the client is plugged in, as the nearest relay says that names a port.
    pub fn position(&self) -> Option<(String, Option<String>)> {
        self.relays.iter().rev().find_map(Relay::position)
    }

    /// The interface that asks, as the relay nearest to the client saw it (option 79, RFC 6939),
    /// and otherwise the one that the client's DUID or, behind a relay, its link-local address is
    /// made from. Without relays that address is the datagram's source: see [`mac_within`].
    pub fn mac(&self) -> Option<Mac> {
        let seen = self.relays.iter().rev().find_map(Relay::client_mac);
        let named = || self.message.client_id()?.mac();
        seen.or_else(named).or_else(|| mac_within(self.peer()?))
    }
}

/// The Ethernet address that a link-local address is made from, if it is (RFC 4291 appendix A).
pub fn mac_within(address: Ipv6Addr) -> Option<Mac> {
    match address.octets() {
        [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a, b, c, 0xff, 0xfe, d, e, f] => {
            Some(Mac::new([a ^ 2, b, c, d, e, f]))
        }
        _ => None,
    }
}

fn wrong(field: &str, offset: usize, expected: String, found_bytes: usize) -> DecodeError {
    let found = format!("{found_bytes} bytes");
    DecodeError { field: field.to_owned(), offset, expected, found }
}

/// A part of a datagram that is still to be read.
struct Reading<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    complaints: Vec<DecodeError>,
}

impl<'a> Reading<'a> {
    fn kind(&self) -> Result<MessageType, DecodeError> {
        let first = self.bytes[..self.end].get(self.at).copied();
        let short = || wrong("message", self.at, "at least 4 bytes".to_owned(), 0);
        first.map(MessageType::from_number).ok_or_else(short)
    }

    fn header(&self, field: &str, bytes: usize) -> Result<(&'a [u8], usize), DecodeError> {
        let rest = &self.bytes[self.at..self.end];
        let header = rest.get(..bytes);
        let short = || wrong(field, self.at, format!("at least {bytes} bytes"), rest.len());
        Ok((header.ok_or_else(short)?, self.at + bytes))
    }

    /// Reads one wrapping and goes on to what is in it.
    fn relay(&mut self, depth: usize, outermost: MessageType) -> Result<Relay, DecodeError> {
        let start = self.at;
        let (header, options_at) = self.header("relay message", RELAY_HEADER_BYTES)?;
        let octets = |from: usize| {
            let mut octets = [0; 16];
            octets.copy_from_slice(&header[from..from + 16]);
            Ipv6Addr::from(octets)
        };
        let (kind, hop_count, link, peer) = (header[0], header[1], octets(2), octets(18));
        if depth == RELAYS_MAX {
            let expected = format!("at most {RELAYS_MAX} relays");
            return Err(DecodeError {
                field: "relay message".to_owned(),
                offset: start,
                expected,
                found: "one more".to_owned(),
            });
        }
        if MessageType::from_number(kind) != outermost {
            return Err(DecodeError {
                field: "relay message".to_owned(),
                offset: start,
                expected: format!("type {}", outermost.number()),
                found: format!("type {kind}"),
            });
        }
        let mut inside = None;
        let mut options = Options::default();
        let field = &self.bytes[options_at..self.end];
        let walked = options::walk(field, |code, value| match code {
            code::RELAY_MESSAGE if inside.is_none() => inside = Some(value),
            code::RELAY_MESSAGE => {}
            code => options.push(code, &field[value]),
        });
        self.complain(walked, options_at);
        let Some(inside) = inside else {
            return Err(wrong("RelayMsg(9)", options_at, "a message".to_owned(), 0));
        };
        (self.at, self.end) = (options_at + inside.start, options_at + inside.end);
        Ok(Relay { hop_count, link, peer, options })
    }

    fn message(&mut self) -> Result<Message, DecodeError> {
        let (header, options_at) = self.header("message", MESSAGE_HEADER_BYTES)?;
        let kind = MessageType::from_number(header[0]);
        let transaction = u32::from_be_bytes([0, header[1], header[2], header[3]]);
        let mut message = Message::new(kind, transaction);
        let field = &self.bytes[options_at..self.end];
        let walked = options::walk(field, |code, value| message.options.push(code, &field[value]));
        self.complain(walked, options_at);
        Ok(message)
    }

    fn complain(&mut self, walked: Result<(), Cut>, field_at: usize) {
        let Err(Cut { code, offset, expected, found }) = walked else { return };
        self.complaints.push(DecodeError {
            field: code.map_or("option".to_owned(), code::name),
            offset: field_at + offset,
            expected: "an option within its field".to_owned(),
            found: format!("{found} of {expected} bytes"),
        });
    }
}

#[cfg(test)]
mod tests {
    use dhcproto::v6::{self, DhcpOption, OptionCode, UnknownOption};
    use dhcproto::{Decodable, Encodable};
    use proptest::prelude::*;

    use super::*;

    fn any_options(but: &'static [u16]) -> impl Strategy<Value = Options> {
        let code = prop_oneof![0..150_u16, any::<u16>()];
        let code = code.prop_filter("stands for itself", move |code| !but.contains(code));
        let value = proptest::collection::vec(any::<u8>(), 0..60);
        proptest::collection::vec((code, value), 0..8).prop_map(|list| {
            list.into_iter().fold(Options::default(), |all, (code, value)| all.with(code, value))
        })
    }

    fn any_datagram() -> impl Strategy<Value = Datagram> {
        let addresses = (any::<u128>(), any::<u128>());
        let relay = (any::<u8>(), addresses, any_options(&[code::RELAY_MESSAGE]));
        let relays = proptest::collection::vec(relay, 0..=RELAYS_MAX);
        let kind = any::<u8>().prop_filter("relays", |kind| ![12, 13].contains(kind));
        let message = (kind, 0..=Message::TRANSACTION_MASK, any_options(&[]));
        (relays, any::<bool>(), message).prop_map(
            |(relays, reply, (kind, transaction, options))| {
                let relays = relays.into_iter().map(|(hop_count, (link, peer), options)| Relay {
                    hop_count,
                    link: Ipv6Addr::from(link),
                    peer: Ipv6Addr::from(peer),
                    options,
                });
                let relays: Vec<Relay> = relays.collect();
                let towards_client = reply && !relays.is_empty();
                let kind = MessageType::from_number(kind);
                let message = Message { kind, transaction, options };
                Datagram { relays, towards_client, message, complaints: Vec::new() }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(datagram in any_datagram()) {
            prop_assert_eq!(Datagram::decode(&datagram.encode()).unwrap(), datagram);
        }

        #[test]
        fn truncation_at_any_byte_reads_a_part_or_names_the_place(
            datagram in any_datagram(),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = datagram.encode();
            let end = cut.index(whole.len());
            match Datagram::decode(&whole[..end]) {
                Ok(read) => prop_assert!(read.relays.is_empty() && datagram.relays.is_empty()),
                Err(error) => prop_assert!(error.offset <= end, "{}", error),
            }
        }

        #[test]
        fn random_bytes_never_panic_and_cost_no_more_than_they_are(
            bytes in proptest::collection::vec(any::<u8>(), 0..700),
            front in 0..14_u8,
        ) {
            let framed = [&[front][..], &bytes].concat();
            for bytes in [&bytes, &framed] {
                let Ok(read) = Datagram::decode(bytes) else { continue };
                let all = read.relays.iter().map(|relay| &relay.options);
                let all = all.chain([&read.message.options]).flat_map(Options::iter);
                let held: usize = all.map(|(_, value)| value.len() + 4).sum();
                prop_assert!(held <= bytes.len() && read.complaints.len() <= RELAYS_MAX + 1);
                let _ = (read.link(), read.mac(), read.position(), read.message.status());
            }
        }
    }

    fn solicit() -> Message {
        Message::new(MessageType::Solicit, 0x00ab_cdef)
            .with(code::CLIENT_ID, [0, 3, 0, 1, 2, 0, 0, 0, 0, 1])
            .with(code::ELAPSED_TIME, [0, 100])
    }

    fn wrapped(link: u16, options: Options) -> Relay {
        let link = Ipv6Addr::from(u128::from(link));
        Relay { hop_count: 0, link, peer: "fe80::1".parse().unwrap(), options }
    }

    fn relayed(relays: Vec<Relay>) -> Datagram {
        Datagram { relays, ..Datagram::bare(solicit()) }
    }

    #[test]
    fn truncation_of_a_solicit_at_each_byte_reads_the_options_before_it() {
        let whole = Datagram::bare(solicit()).encode();
        for end in 0..whole.len() {
            match Datagram::decode(&whole[..end]) {
                Ok(read) => {
                    assert_eq!(read.message.client_id().is_some(), end >= 18, "{end}");
                    assert_eq!(read.complaints.is_empty(), [4, 18].contains(&end), "{end}");
                }
                Err(error) => assert!(end < 4 && error.field == "message", "{end}: {error}"),
            }
        }
    }

    #[test]
    fn an_option_beyond_its_field_is_told_and_hides_neither_earlier_ones_nor_the_message() {
        let mut bytes = relayed(vec![wrapped(1, Options::default().with(18, *b"p"))]).encode();
        bytes.extend_from_slice(&[0, 37, 0, 9, 1]);
        let read = Datagram::decode(&bytes).unwrap();
        assert_eq!((read.position(), read.message), (Some(("p".into(), None)), solicit()));
        assert_eq!(
            read.complaints[0].to_string(),
            "RemoteId(37) at byte 67: expected an option within its field, found 1 of 9 bytes"
        );
        let cut = [&Datagram::bare(solicit()).encode()[..], &[0, 16, 0]].concat();
        let read = Datagram::decode(&cut).unwrap();
        assert_eq!(read.message, solicit());
        assert_eq!(
            read.complaints[0].to_string(),
            "VendorClass(16) at byte 24: expected an option within its field, found 3 of 4 bytes"
        );
    }

    #[test]
    fn chains_to_the_hop_limit_are_read_and_longer_ones_are_not() {
        let chain = |length| relayed(vec![wrapped(1, Options::default()); length]);
        assert_eq!(Datagram::decode(&chain(9).encode()).unwrap(), chain(9));
        assert_eq!(
            Datagram::decode(&chain(10).encode()).unwrap_err().to_string(),
            "relay message at byte 342: expected at most 9 relays, found one more"
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_field_offset_and_finding() {
        let mut turned = relayed(vec![wrapped(1, Options::default()); 2]).encode();
        turned[38] = 13;
        let empty = [&[12; 34][..], &[0, 9, 0, 0]].concat();
        let cases = [
            (turned, "relay message at byte 38: expected type 12, found type 13"),
            (vec![12; 34], "RelayMsg(9) at byte 34: expected a message, found 0 bytes"),
            (empty, "message at byte 38: expected at least 4 bytes, found 0 bytes"),
            (vec![12; 33], "relay message at byte 0: expected at least 34 bytes, found 33 bytes"),
            (vec![1; 3], "message at byte 0: expected at least 4 bytes, found 3 bytes"),
            (vec![], "message at byte 0: expected at least 4 bytes, found 0 bytes"),
            (vec![1; 9217], "message at byte 9216: expected at most 9216 bytes, found 9217 bytes"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Datagram::decode(&bytes).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn the_relay_nearest_to_the_client_that_knows_is_believed() {
        let mac = [0, 1, 2, 0, 0, 0, 0, 9];
        let near = Options::default().with(18, *b"near").with(79, mac);
        let far = Options::default().with(18, *b"far");
        let relays = vec![wrapped(7, far), wrapped(8, near), wrapped(0, Options::default())];
        let read = relayed(relays);
        assert_eq!(read.link(), Some(Ipv6Addr::from(8)));
        assert_eq!(read.position(), Some(("near".into(), None)));
        assert_eq!(read.mac(), Some(Mac::new([2, 0, 0, 0, 0, 9])), "and not the DUID's");
        assert_eq!(read.peer(), Some("fe80::1".parse().unwrap()));
        let bare = Datagram::bare(solicit());
        assert_eq!((bare.link(), bare.peer(), bare.position()), (None, None, None));
        assert_eq!(bare.mac(), Some(Mac::new([2, 0, 0, 0, 0, 1])));
    }

    #[test]
    fn a_link_local_address_tells_the_interface_where_nothing_better_does() {
        let nameless = Message::new(MessageType::Solicit, 1).with(1, [0, 2, 0, 0, 0x0a, 0xb, 7]);
        let seen = |peer: &str| {
            let peer: Ipv6Addr = peer.parse().unwrap();
            let relay = Relay { peer, ..wrapped(1, Options::default()) };
            Datagram { relays: vec![relay], ..Datagram::bare(nameless.clone()) }.mac()
        };
        let mac = Some(Mac::new([0x12, 0xa7, 0x39, 0x65, 0x64, 0]));
        assert_eq!(seen("fe80::10a7:39ff:fe65:6400"), mac);
        assert_eq!(seen("fe80::10a7:39ff:fd65:6400"), None, "made by chance");
        assert_eq!(seen("2001:db8::10a7:39ff:fe65:6400"), None);
    }

    #[test]
    fn clients_and_a_relay_of_others_are_read() {
        // Sent by dhclient 4.4.3 and dhcpcd 9.4.1, the latter through dhcrelay 4.4.3 -I.
        let dhclient = "01277dc20001000e0001000132948bfd12a73965640000060008001700180027001f\
                        0008000200680003000c3965640000000e1000001518";
        let dhcpcd = "0c0020010db8000100000000000000000001fe8000000000000010a739fffe656400\
                      0012000401000000000900\
                      3a01720aab0001000e0001000132948c0812a7396564000003000c39656400000000\
                      00000000000006000a0017001800270052005300080002006d";
        let mac = Some(Mac::new([0x12, 0xa7, 0x39, 0x65, 0x64, 0]));
        for (hex, wanted, hundredths, position) in [
            (dhclient, &[23, 24, 39, 31][..], 104, None),
            (dhcpcd, &[23, 24, 39, 82, 83], 109, Some("0x01000000")),
        ] {
            let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digit).collect();
            let read = Datagram::decode(&bytes).unwrap();
            assert_eq!((read.encode(), &read.complaints), (bytes, &vec![]));
            assert_eq!((read.message.kind, read.mac()), (MessageType::Solicit, mac));
            assert_eq!(read.message.wanted().collect::<Vec<_>>(), wanted);
            assert_eq!(read.message.elapsed_hundredths(), Some(hundredths));
            assert_eq!(read.position().map(|(port, _)| port).as_deref(), position);
        }
    }

    #[test]
    fn an_independent_decoder_reads_what_we_write() {
        let ours = relayed(vec![wrapped(1, Options::default().with(18, *b"Gi1"))]);
        let theirs = v6::RelayMessage::from_bytes(&ours.encode()).unwrap();
        assert_eq!(theirs.msg_type(), v6::MessageType::RelayForw);
        assert_eq!(
            (theirs.link_addr(), theirs.peer_addr()),
            (Ipv6Addr::from(1), ours.relays[0].peer)
        );
        let id = theirs.opts().get(OptionCode::InterfaceId);
        assert_eq!(id, Some(&DhcpOption::InterfaceId(b"Gi1".to_vec())));
        let bare = v6::Message::from_bytes(&Datagram::bare(solicit()).encode()).unwrap();
        assert_eq!((bare.msg_type(), bare.xid()), (v6::MessageType::Solicit, [0xab, 0xcd, 0xef]));
        let elapsed = bare.opts().get(OptionCode::ElapsedTime);
        assert_eq!(elapsed, Some(&DhcpOption::ElapsedTime(100)));
    }

    #[test]
    fn we_read_what_an_independent_encoder_writes() {
        let mut theirs = v6::Message::new_with_id(v6::MessageType::Renew, [1, 2, 3]);
        theirs.opts_mut().insert(DhcpOption::ClientId(vec![0, 3, 0, 1, 2, 0, 0, 0, 0, 1]));
        theirs.opts_mut().insert(DhcpOption::RapidCommit);
        let inside = UnknownOption::new(OptionCode::from(900), b"model".to_vec());
        let mut opts = v6::DhcpOptions::new();
        opts.insert(DhcpOption::Unknown(inside));
        theirs.opts_mut().insert(DhcpOption::VendorOpts(v6::VendorOpts { num: 9, opts }));
        let opts = v6::ORO { opts: vec![OptionCode::DomainNameServers] };
        theirs.opts_mut().insert(DhcpOption::ORO(opts));
        let ours = Datagram::decode(&theirs.to_vec().unwrap()).unwrap().message;
        assert_eq!((ours.kind, ours.transaction), (MessageType::Renew, 0x0001_0203));
        assert!(ours.client_id().is_some() && ours.rapid_commit() && ours.wants(23));
        let specific = &crate::proto::dhcp6::class::vendor_specifics(&ours)[0];
        assert_eq!((specific.enterprise, specific.options.get(900)), (9, Some(&b"model"[..])));
    }
}
