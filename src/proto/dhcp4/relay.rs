//! What does a relay tell about where a client is plugged in (RFC 3046)?

use std::net::Ipv4Addr;

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
            if value.is_empty() {
                continue;
            }
            match number {
                1 if found.circuit_id.is_none() => found.circuit_id = Some(value),
                2 if found.remote_id.is_none() => found.remote_id = Some(value),
                5 if found.link.is_none() => {
                    found.link = <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from);
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
