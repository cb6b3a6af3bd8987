//! What does a relay tell about where a client is plugged in (RFC 3046)?
//!
//! The option is echoed as it came, whatever stands in it. Addresses are given by subnet, and no
//! VPN is told from another: a virtual subnet (RFC 6607) chooses nothing here. That is why the
//! control sub-option 152 goes back with all the rest. A server that did use the virtual subnet
//! would take 152 out, and the relay reads from it that this one did not.

use std::fmt;
use std::net::Ipv4Addr;

use crate::address::Mac;
use crate::proto::dhcp4::message::{hex, unhex};

/// A view of option 82. Sub-options of other numbers stay in the raw option, which is what is
/// echoed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Information<'a> {
    /// Sub-option 1 (RFC 3046 section 3.1).
    pub circuit_id: Option<&'a [u8]>,
    /// Sub-option 2 (RFC 3046 section 3.2).
    pub remote_id: Option<&'a [u8]>,
    /// Sub-option 5 (RFC 3527 section 3): the client's subnet, where it is not giaddr's.
    pub link: Option<Ipv4Addr>,
    /// Sub-option 9 (RFC 4243): what the maker of the relay adds, as received.
    pub vendor: Option<&'a [u8]>,
    /// Sub-option 11 (RFC 5107): the address by which clients are to know their server, so that
    /// what they send to it alone passes the relay.
    pub server_override: Option<Ipv4Addr>,
    /// Sub-option 151 (RFC 6607).
    pub virtual_subnet: Option<VirtualSubnet<'a>>,
    /// Sub-option 152 (RFC 6607), which has no value: the relay wants to know whether the virtual
    /// subnet was used.
    pub virtual_subnet_control: bool,
}

/// In which VPN a client is (RFC 6607).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VirtualSubnet<'a> {
    /// Type 0: its name, in ASCII.
    Name(&'a [u8]),
    /// Type 1: the VPN identifier of RFC 2685, an OUI of three bytes and an index.
    Id { oui: [u8; 3], index: u32 },
    /// Type 255: in none, the global one.
    Global,
    /// A type without a meaning, or one whose value has another shape than its own.
    Other { kind: u8, value: &'a [u8] },
}

impl<'a> VirtualSubnet<'a> {
    fn of(value: &'a [u8]) -> Option<Self> {
        let (kind, value) = value.split_first()?;
        Some(match (*kind, value) {
            (0, name) if !name.is_empty() => Self::Name(name),
            (1, [a, b, c, index @ ..]) if index.len() == 4 => {
                let index = index.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
                Self::Id { oui: [*a, *b, *c], index }
            }
            (255, []) => Self::Global,
            (kind, value) => Self::Other { kind, value },
        })
    }
}

impl fmt::Display for VirtualSubnet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{}", text(name)),
            Self::Id { oui, index } => write!(f, "VPN {} {index}", hex(oui)),
            Self::Global => write!(f, "the global one"),
            Self::Other { kind, value } => write!(f, "type {kind} 0x{}", hex(value)),
        }
    }
}

impl<'a> Information<'a> {
    /// Reads as far as the sub-options are whole. The first of each number counts; empty ones do
    /// not.
    pub fn of(option: &'a [u8]) -> Self {
        let mut found = Self::default();
        let mut rest = option;
        while let [number, length, tail @ ..] = rest {
            let Some((value, tail)) = tail.split_at_checked(usize::from(*length)) else { break };
            rest = tail;
            found.virtual_subnet_control |= *number == 152;
            if value.is_empty() {
                continue;
            }
            match number {
                1 if found.circuit_id.is_none() => found.circuit_id = Some(value),
                2 if found.remote_id.is_none() => found.remote_id = Some(value),
                5 if found.link.is_none() => found.link = address(value),
                9 if found.vendor.is_none() => found.vendor = Some(value),
                11 if found.server_override.is_none() => {
                    let usable = |address: &Ipv4Addr| !address.is_unspecified();
                    found.server_override = address(value).filter(usable);
                }
                151 if found.virtual_subnet.is_none() => {
                    found.virtual_subnet = VirtualSubnet::of(value);
                }
                _ => {}
            }
        }
        found
    }

    /// Where the client is plugged in, as an inventory writes it: circuit id and remote id.
    pub fn position(&self) -> Option<(String, Option<String>)> {
        Some((text(self.circuit_id?), self.remote_id.map(text)))
    }

    /// Sub-option 9 by the enterprise numbers of IANA: each has a length of its own in front of its
    /// data. Read as far as they are whole.
    pub fn vendor_information(&self) -> Vec<(u32, &'a [u8])> {
        let mut found = Vec::new();
        let mut rest = self.vendor.unwrap_or_default();
        while let Some((enterprise, tail)) = rest.split_first_chunk::<4>() {
            let Some((length, tail)) = tail.split_first() else { break };
            let Some((data, tail)) = tail.split_at_checked(usize::from(*length)) else { break };
            found.push((u32::from_be_bytes(*enterprise), data));
            rest = tail;
        }
        found
    }
}

fn address(value: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from)
}

/// What people write for an id that [`text`] gives as hex, where its shape is known: `vlan 10 port
/// 1/7` for a circuit id and a MAC address for a remote id. `None` for all others.
pub fn readable(id: &str) -> Option<String> {
    let bytes = unhex(id.strip_prefix("0x")?)?;
    match bytes[..] {
        // No standard says so: switches of Cisco that are told nothing else put the VLAN, the
        // module (of a stack, the member) and the port behind type 0 and the length.
        [0, 4, high, low, module, port] => {
            let vlan = u16::from_be_bytes([high, low]);
            Some(format!("vlan {vlan} port {module}/{port}"))
        }
        // And their own MAC address, with type 0 and the length, or bare.
        [0, 6, a, b, c, d, e, f] | [a, b, c, d, e, f] => {
            Some(Mac::new([a, b, c, d, e, f]).to_string())
        }
        _ => None,
    }
}

/// The position told by an option 82 that was kept as hex beside a lease.
pub fn kept_position(hex: &str) -> Option<(String, Option<String>)> {
    Information::of(&unhex(hex)?).position()
}

/// Printable ASCII as it is, without a type and length in front (`00 0f Ethernet14:2001`) and
/// without NULs behind; anything else as lower-case hex of all bytes after `0x`.
pub fn text(id: &[u8]) -> String {
    let plain = match id {
        // No standard says so: relays of Cisco and Arista put a type below 32 and the length in
        // front.
        [0..=31, length, rest @ ..] if usize::from(*length) == rest.len() => rest,
        whole => whole,
    };
    let used = plain.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let plain = &plain[..used];
    if !plain.is_empty() && plain.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return plain.iter().map(|byte| char::from(*byte)).collect();
    }
    format!("0x{}", hex(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circuit_ids_seen_in_the_field_read_as_printed_on_the_box() {
        let cases: [(&[u8], &str); 9] = [
            (b"et-0/0/0:0.0", "et-0/0/0:0.0"),
            (b"ge-0/0/0.0:RANDOM", "ge-0/0/0.0:RANDOM"),
            (b"Gi1/10:2020", "Gi1/10:2020"),
            (b"\x00\x0fEthernet14:2001", "Ethernet14:2001"),
            (b"\x01\x05fa0_7", "fa0_7"),
            (b"Vlan10\0", "Vlan10"),
            (b"\x00\x04\x00\x0a\x01\x07", "0x0004000a0107"),
            (b"\x00\x06\x00\x1b\x21\xaa\xbb\xcc", "0x0006001b21aabbcc"),
            (b"\x00\x00", "0x0000"),
        ];
        for (raw, expected) in cases {
            assert_eq!(text(raw), expected, "{raw:02x?}");
        }
    }

    #[test]
    fn a_cut_sub_option_leaves_the_ones_before_it() {
        let whole = b"\x01\x03Gi1\x05\x04\x0a\x00\x09\x00\x02\x02sw";
        let found = Information::of(whole);
        assert_eq!(found.position(), Some(("Gi1".into(), Some("sw".into()))));
        assert_eq!(found.link, Some(Ipv4Addr::new(10, 0, 9, 0)));
        let cut = Information::of(&whole[..whole.len() - 1]);
        assert_eq!(cut.position(), Some(("Gi1".into(), None)));
        for end in 0..whole.len() {
            let _ = Information::of(&whole[..end]).position();
        }
    }

    #[test]
    fn binary_ids_of_cisco_have_a_form_that_people_write() {
        let cases: [(&[u8], Option<&str>); 7] = [
            (b"\x00\x04\x00\x0a\x01\x07", Some("vlan 10 port 1/7")),
            (b"\x00\x04\x0f\xfe\x00\x18", Some("vlan 4094 port 0/24")),
            (b"\x00\x06\x00\x1b\x21\xaa\xbb\xcc", Some("00:1b:21:aa:bb:cc")),
            (b"\x00\x1b\x21\xaa\xbb\xcc", Some("00:1b:21:aa:bb:cc")),
            (b"\x00\x0fEthernet14:2001", None),
            (b"\x01\x05fa0_7", None),
            (b"\x00\x03\x00\x0a\x01", None),
        ];
        for (raw, expected) in cases {
            assert_eq!(readable(&text(raw)).as_deref(), expected, "{raw:02x?}");
        }
        assert_eq!(
            (readable("0x0004000a01"), readable("0x000"), readable("Gi1")),
            Default::default()
        );
    }

    #[test]
    fn the_vendor_s_own_comes_by_enterprise_and_as_far_as_it_is_whole() {
        let whole = b"\x09\x0d\0\0\0\x09\x03abc\0\0\x0a\x4c\0";
        let told = |bytes| Information::of(bytes).vendor_information();
        assert_eq!(told(whole), [(9, &b"abc"[..]), (2636, &b""[..])]);
        assert_eq!(told(b"\x09\x09\0\0\0\x09\x03abc\0"), [(9, &b"abc"[..])]);
        for broken in [&b"\x09\x07\0\0\0\x09\x03ab"[..], b"\x09\x03\0\0\0", b"\x09\0", b""] {
            assert_eq!(told(broken), [], "{broken:02x?}");
        }
    }

    #[test]
    fn a_virtual_subnet_is_a_name_an_id_or_the_global_one() {
        let told = |bytes: &[u8]| Information::of(bytes).virtual_subnet.map(|it| it.to_string());
        assert_eq!(told(b"\x97\x05\0mgmt").as_deref(), Some("mgmt"));
        let id = b"\x97\x08\x01\0\x1b\x21\0\0\x01\x02";
        assert_eq!(told(id).as_deref(), Some("VPN 001b21 258"));
        assert_eq!(told(b"\x97\x01\xff").as_deref(), Some("the global one"));
        for (strange, shown) in [
            (&b"\x97\x01\0"[..], "type 0 0x"),
            (b"\x97\x03\x01\x02\x03", "type 1 0x0203"),
            (b"\x97\x02\xff\x01", "type 255 0x01"),
            (b"\x97\x02\x07\x01", "type 7 0x01"),
        ] {
            assert_eq!(told(strange).as_deref(), Some(shown));
        }
        assert_eq!(told(b"\x97\0"), None);
        assert!(Information::of(b"\x97\x01\xff\x98\0").virtual_subnet_control);
        assert!(!Information::of(b"\x97\x01\xff").virtual_subnet_control);
    }

    #[test]
    fn the_server_s_other_name_is_one_usable_address() {
        let told = |bytes: &[u8]| Information::of(bytes).server_override;
        assert_eq!(told(b"\x0b\x04\x0a\0\x09\x01"), Some(Ipv4Addr::new(10, 0, 9, 1)));
        for none in [&b"\x0b\x04\0\0\0\0"[..], b"\x0b\x03\x0a\0\x09", b"\x0b\0"] {
            assert_eq!(told(none), None);
        }
    }

    #[test]
    fn a_position_survives_in_hex() {
        let kept = kept_position("01034769310202ff77");
        assert_eq!(kept, Some(("Gi1".into(), Some("0xff77".into()))));
        for text in ["", "01034769zz", "0103476", "0103"] {
            assert_eq!(kept_position(text), None, "{text}");
        }
    }

    #[test]
    fn the_remote_id_alone_is_no_position() {
        assert_eq!(Information::of(b"\x02\x02sw\x01\x00").position(), None);
    }
}
