//! What do relays tell about where a client is plugged in (RFC 8415 section 9)?

use std::net::Ipv6Addr;

use crate::address::Mac;
use crate::proto::dhcp4::relay::text;
use crate::proto::dhcp6::class::enterprise;
use crate::proto::dhcp6::code;
use crate::proto::dhcp6::options::Options;

/// Wrappings around one message: hop counts go from 0 to HOP_COUNT_LIMIT, which is 8 (RFC 8415
/// section 7.6). The count that a relay writes is echoed and not believed.
pub const RELAYS_MAX: usize = 9;

/// One wrapping around a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Relays between this one and the client.
    pub hop_count: u8,
    /// The client's link; unspecified where the relay leaves it to another one.
    pub link: Ipv6Addr,
    /// Who the relay had the message from: the client, or another relay.
    pub peer: Ipv6Addr,
    /// Everything but the message itself (option 9).
    pub options: Options,
}

/// The hardware type of Ethernet (RFC 6939 takes IANA's numbers).
const ETHERNET: [u8; 2] = [0, 1];

/// The inside of option 79, if it is of Ethernet.
pub(super) fn ethernet(value: &[u8]) -> Option<Mac> {
    let (hardware, address) = value.split_at_checked(2)?;
    address.try_into().ok().filter(|_| hardware == ETHERNET).map(Mac::new)
}

impl Relay {
    /// Option 18: the relay's port towards the client.
    pub fn interface_id(&self) -> Option<&[u8]> {
        self.filled(code::INTERFACE_ID)
    }

    /// Option 37 (RFC 4649): IANA's number of the relay's vendor, and what the vendor says.
    pub fn remote_id(&self) -> Option<(u32, &[u8])> {
        enterprise(self.filled(code::REMOTE_ID)?).filter(|(_, id)| !id.is_empty())
    }

    /// Option 38 (RFC 4580).
    pub fn subscriber_id(&self) -> Option<&[u8]> {
        self.filled(code::SUBSCRIBER_ID)
    }

    /// Option 79 (RFC 6939), for Ethernet.
    pub fn client_mac(&self) -> Option<Mac> {
        ethernet(self.filled(code::CLIENT_LINK_LAYER_ADDRESS)?)
    }

    /// Option 135 (RFC 8357): the relay wants its answer at the port that it sent from, or at this
    /// port of a relay behind it.
    pub fn source_port(&self) -> Option<u16> {
        Some(u16::from_be_bytes(self.filled(code::RELAY_SOURCE_PORT)?.try_into().ok()?))
    }

    /// Where the client is plugged in, as an inventory writes it: Interface-Id and Remote-Id.
    pub fn position(&self) -> Option<(String, Option<String>)> {
        Some((text(self.interface_id()?), self.remote_id().map(|(_, id)| text(id))))
    }

    /// What the relay finds again in its answer: options 18 (RFC 8415 section 19.3) and 135
    /// (RFC 8357 section 5), and whatever option 43 names (RFC 4994).
    pub(super) fn echoed(&self) -> Options {
        let asked = self.options.get(code::ECHO_REQUEST).unwrap_or_default().chunks_exact(2);
        let asked: Vec<u16> = asked.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let mut echoed = Options::default();
        for (code, value) in self.options.iter() {
            let always = code == code::INTERFACE_ID || code == code::RELAY_SOURCE_PORT;
            if always || asked.contains(&code) {
                echoed.push(code, value);
            }
        }
        echoed
    }

    fn filled(&self, code: u16) -> Option<&[u8]> {
        self.options.get(code).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(options: Options) -> Relay {
        let none = Ipv6Addr::UNSPECIFIED;
        Relay { hop_count: 0, link: none, peer: none, options }
    }

    #[test]
    fn a_relay_tells_port_switch_subscriber_hardware_and_its_own_port() {
        let told = relay(
            Options::default()
                .with(code::INTERFACE_ID, *b"Gi1/0/7")
                .with(code::REMOTE_ID, *b"\x00\x00\x00\x09sw-1")
                .with(code::SUBSCRIBER_ID, *b"rack 4")
                .with(code::CLIENT_LINK_LAYER_ADDRESS, [0, 1, 2, 0, 0, 0, 0, 9])
                .with(code::RELAY_SOURCE_PORT, [0x1f, 0x90]),
        );
        assert_eq!(told.position(), Some(("Gi1/0/7".into(), Some("sw-1".into()))));
        assert_eq!(told.remote_id(), Some((9, &b"sw-1"[..])));
        assert_eq!(told.subscriber_id(), Some(&b"rack 4"[..]));
        assert_eq!(told.client_mac(), Some(Mac::new([2, 0, 0, 0, 0, 9])));
        assert_eq!(told.source_port(), Some(8080));
    }

    #[test]
    fn a_misshapen_word_of_a_relay_is_none() {
        let told = relay(
            Options::default()
                .with(code::INTERFACE_ID, [])
                .with(code::REMOTE_ID, [0, 0, 0, 9])
                .with(code::SUBSCRIBER_ID, [])
                .with(code::CLIENT_LINK_LAYER_ADDRESS, [0, 1, 2, 0, 0, 0, 0])
                .with(code::RELAY_SOURCE_PORT, [9]),
        );
        assert_eq!((told.position(), told.remote_id(), told.subscriber_id()), (None, None, None));
        assert_eq!((told.client_mac(), told.source_port()), (None, None));
        let infiniband = [0, 32, 2, 0, 0, 0, 0, 9];
        let told = Options::default().with(code::CLIENT_LINK_LAYER_ADDRESS, infiniband);
        assert_eq!(relay(told).client_mac(), None);
    }

    #[test]
    fn a_relay_gets_back_its_port_and_what_it_asks_for() {
        let told = Options::default()
            .with(code::INTERFACE_ID, *b"p")
            .with(code::REMOTE_ID, *b"\x00\x00\x00\x09r")
            .with(code::RELAY_SOURCE_PORT, [0, 0]);
        let plain = Options::default().with(18, *b"p").with(135, [0, 0]);
        assert_eq!(relay(told.clone()).echoed(), plain);
        let asking = told.with(code::ECHO_REQUEST, [0, 37, 0]);
        let named = [18, 37, 135];
        assert_eq!(relay(asking).echoed().iter().map(|option| option.0).collect::<Vec<_>>(), named);
    }
}
