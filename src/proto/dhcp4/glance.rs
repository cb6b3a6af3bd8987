//! Who sends a datagram, before it is read? Some loads and no memory, so that what is beyond a
//! limit costs next to nothing.

use std::net::Ipv4Addr;

use crate::address::Mac;
use crate::proto::dhcp4::decode::{COOKIE, HEADER_BYTES};
use crate::proto::dhcp4::message::Message;

/// What stands at fixed places of the header (RFC 2131 figure 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    pub mac: Mac,
    /// `giaddr`: the relay, if one passed this on.
    pub relay: Option<Ipv4Addr>,
}

impl Glance {
    /// What stands for all that is no request: no frame comes from the address of all zeroes.
    pub const NOBODY: Self = Self { mac: Mac::new([0; 6]), relay: None };

    /// `None` for what is no request of an Ethernet client: reading it whole says why.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let asks = header[..3] == [Message::BOOT_REQUEST, 1, 6] && rest.starts_with(&COOKIE);
        if !asks {
            return None;
        }
        let mac = Mac::from_slice(&header[28..44])?;
        let giaddr = Ipv4Addr::new(header[24], header[25], header[26], header[27]);
        Some(Self { mac, relay: Some(giaddr).filter(|giaddr| !giaddr.is_unspecified()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dhcp4::MessageType;

    #[test]
    fn a_glance_sees_what_reading_sees() {
        let mac = Mac::new([2, 0, 0, 0, 0, 9]);
        let message = Message::from_client(MessageType::Discover, mac, 7);
        assert_eq!(Glance::of(&message.encode()), Some(Glance { mac, relay: None }));
        let relay = Ipv4Addr::new(10, 0, 9, 1);
        let relayed = Message { giaddr: relay, ..message.clone() }.encode();
        assert_eq!(Glance::of(&relayed), Some(Glance { mac, relay: Some(relay) }));
        for length in 0..HEADER_BYTES + COOKIE.len() {
            assert_eq!(Glance::of(&relayed[..length]), None, "{length}");
        }
        for strange in [Message { op: 2, ..message.clone() }, Message { htype: 32, ..message }] {
            assert_eq!(Glance::of(&strange.encode()), None);
        }
    }
}
