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

/// The hardware type of Ethernet (RFC 6939 section 4 takes IANA's numbers).
const ETHERNET: [u8; 2] = [0, 1];

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
        let (hardware, address) =
            self.filled(code::CLIENT_LINK_LAYER_ADDRESS)?.split_at_checked(2)?;
        let address = address.try_into().ok().filter(|_| hardware == ETHERNET)?;
        Some(Mac::new(address))
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
