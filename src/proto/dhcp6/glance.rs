//! Who sends a datagram, before it is read? A walk over its options without memory, so that what is
//! beyond a limit costs next to nothing.

use std::net::Ipv6Addr;

use crate::address::Mac;
use crate::proto::dhcp6::code;
use crate::proto::dhcp6::datagram::{MESSAGE_HEADER_BYTES, RELAY_HEADER_BYTES, mac_within};
use crate::proto::dhcp6::duid::{self, Duid};
use crate::proto::dhcp6::message::MessageType;
use crate::proto::dhcp6::options;
use crate::proto::dhcp6::relay::{RELAYS_MAX, ethernet};

/// What a datagram tells of its sender where it stands plainly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Glance<'a> {
    /// The client's DUID as it came; empty where there is none.
    pub duid: &'a [u8],
    /// The client's Ethernet address, found as [`Datagram::mac`](super::Datagram::mac) finds it.
    pub mac: Option<Mac>,
    /// The link that the relay nearest to the client names, or else the address that this relay
    /// saw; `None` without relays.
    pub relay: Option<Ipv6Addr>,
}

impl<'a> Glance<'a> {
    /// As far as the datagram is whole; nothing of what is none.
    pub fn of(mut bytes: &'a [u8]) -> Self {
        let mut glance = Self::default();
        let (mut seen, mut peer) = (None, None);
        for _ in 0..=RELAYS_MAX {
            let relayed = bytes
                .first()
                .is_some_and(|kind| MessageType::from_number(*kind) == MessageType::RelayForward);
            if !relayed {
                glance.duid = first(bytes, MESSAGE_HEADER_BYTES, code::CLIENT_ID)
                    .filter(|duid| duid.len() <= duid::BYTES_MAX)
                    .unwrap_or_default();
                let named = || Duid::new(glance.duid)?.mac();
                glance.mac = seen.or_else(named).or_else(|| mac_within(peer?));
                return glance;
            }
            let address = |from: usize| {
                let octets: [u8; 16] = bytes.get(from..from + 16)?.try_into().ok()?;
                Some(Ipv6Addr::from(octets))
            };
            let link = address(2).filter(|link| !link.is_unspecified());
            peer = address(18);
            glance.relay = link.or(glance.relay).or(peer);
            let told = first(bytes, RELAY_HEADER_BYTES, code::CLIENT_LINK_LAYER_ADDRESS);
            seen = told.and_then(ethernet).or(seen);
            let Some(inside) = first(bytes, RELAY_HEADER_BYTES, code::RELAY_MESSAGE) else { break };
            bytes = inside;
        }
        glance
    }
}

/// The first option of this code behind a header.
fn first(bytes: &[u8], header: usize, wanted: u16) -> Option<&[u8]> {
    let field = bytes.get(header..)?;
    let mut found = None;
    // What is cut off behind is no news here.
    let _ = options::walk(field, |code, value| {
        if code == wanted && found.is_none() {
            found = Some(&field[value]);
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dhcp6::{Datagram, Message, Options, Relay};

    const CLIENT: Mac = Mac::new([0, 0x1b, 0x21, 1, 2, 3]);

    fn solicit(duid: &Duid) -> Message {
        Message::new(MessageType::Solicit, 1).with(code::CLIENT_ID, duid.bytes())
    }

    fn relay(link: &str, peer: &str, options: Options) -> Relay {
        let (link, peer) = (link.parse().unwrap(), peer.parse().unwrap());
        Relay { hop_count: 0, link, peer, options }
    }

    #[test]
    fn a_glance_sees_what_reading_sees() {
        let other = Mac::new([2, 0, 0, 0, 0, 9]);
        let option_79 = Options::default()
            .with(code::CLIENT_LINK_LAYER_ADDRESS, [&[0, 1][..], &other.octets()].concat());
        let near = "fe80::21b:21ff:fe01:203";
        let wrapped = [
            vec![],
            vec![relay("2001:db8::1", "fe80::1", Options::default())],
            vec![relay("2001:db8::1", near, Options::default())],
            vec![
                relay("2001:db8:7::1", "2001:db8::7", Options::default()),
                relay("::", near, option_79.clone()),
            ],
            vec![relay("::", near, option_79), relay("2001:db8::1", near, Options::default())],
        ];
        for relays in wrapped {
            for duid in [Duid::link_layer(CLIENT), Duid::uuid([3; 16])] {
                let datagram =
                    Datagram { relays: relays.clone(), ..Datagram::bare(solicit(&duid)) };
                let bytes = datagram.encode();
                let glance = Glance::of(&bytes);
                assert_eq!((glance.duid, glance.mac), (duid.bytes(), datagram.mac()));
                let relay = datagram.link().or(datagram.peer());
                assert_eq!(glance.relay, relay, "{relays:?}");
                for length in 0..bytes.len() {
                    let _ = Glance::of(&bytes[..length]);
                }
            }
        }
        assert_eq!(Glance::of(&[]), Glance::default());
    }
}
