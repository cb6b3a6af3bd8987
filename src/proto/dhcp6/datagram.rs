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
const MESSAGE_HEADER_BYTES: usize = 4;
/// Type, hop count and two addresses (RFC 8415 section 9).
const RELAY_HEADER_BYTES: usize = 34;

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
    /// and otherwise the one that the client's DUID is made from.
    pub fn mac(&self) -> Option<Mac> {
        let seen = self.relays.iter().rev().find_map(Relay::client_mac);
        seen.or_else(|| self.message.client_id()?.mac())
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
