//! What does a client or a server call itself for ever (RFC 8415 section 11)?

use std::fmt;

use crate::address::Mac;

/// The type code included; section 11.1 allows 128 bytes after it.
pub const BYTES_MAX: usize = 130;
/// The type code and one byte.
const BYTES_LEAST: usize = 3;
/// IANA's hardware type of Ethernet, which section 11.2 takes over.
const ETHERNET: u16 = 1;

/// A DHCP unique identifier. Compared as bytes and never by what it seems to mean.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duid(Box<[u8]>);

/// What a DUID is made of. For recognising, never for comparing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Type 1 (section 11.2).
    LinkLayerTime {
        hardware: u16,
        /// Seconds since 2000-01-01 UTC, modulo 2^32.
        time: u32,
        address: &'a [u8],
    },
    /// Type 2 (section 11.3).
    Enterprise { number: u32, identifier: &'a [u8] },
    /// Type 3 (section 11.4).
    LinkLayer { hardware: u16, address: &'a [u8] },
    /// Type 4 (section 11.5, RFC 6355).
    Uuid([u8; 16]),
    /// Another type, or one of the above that is too short.
    Other { number: u16, rest: &'a [u8] },
}

impl Duid {
    /// `None` unless the length is what section 11.1 allows, 3 to 130 bytes.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (BYTES_LEAST..=BYTES_MAX).contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    /// A DUID of type 3 for Ethernet.
    pub fn link_layer(mac: Mac) -> Self {
        Self([&[0, 3, 0, 1][..], &mac.octets()].concat().into())
    }

    /// A DUID of type 4: what a server without a fixed network card calls itself.
    pub fn uuid(uuid: [u8; 16]) -> Self {
        Self([&[0, 4][..], &uuid].concat().into())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn kind(&self) -> Kind<'_> {
        let (number, rest) = self.0.split_first_chunk().expect("a DUID has at least three bytes");
        let number = u16::from_be_bytes(*number);
        match (number, rest) {
            (1, [h0, h1, t0, t1, t2, t3, address @ ..]) => Kind::LinkLayerTime {
                hardware: u16::from_be_bytes([*h0, *h1]),
                time: u32::from_be_bytes([*t0, *t1, *t2, *t3]),
                address,
            },
            (2, [n0, n1, n2, n3, identifier @ ..]) => {
                Kind::Enterprise { number: u32::from_be_bytes([*n0, *n1, *n2, *n3]), identifier }
            }
            (3, [h0, h1, address @ ..]) => {
                Kind::LinkLayer { hardware: u16::from_be_bytes([*h0, *h1]), address }
            }
            (4, uuid) if uuid.len() == 16 => {
                Kind::Uuid(uuid.try_into().expect("the guard counted sixteen bytes"))
            }
            (number, rest) => Kind::Other { number, rest },
        }
    }

    /// The Ethernet address in a DUID of type 1 or 3. It is one of the client's interfaces, and
    /// not always the one that asks.
    pub fn mac(&self) -> Option<Mac> {
        match self.kind() {
            Kind::LinkLayerTime { hardware: ETHERNET, address, .. }
            | Kind::LinkLayer { hardware: ETHERNET, address } => {
                address.try_into().ok().map(Mac::new)
            }
            Kind::LinkLayerTime { .. }
            | Kind::LinkLayer { .. }
            | Kind::Enterprise { .. }
            | Kind::Uuid(_)
            | Kind::Other { .. } => None,
        }
    }

    /// Reads what [`Display`](fmt::Display) wrote: lower-case hex.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
            _ => None,
        });
        Self::new(&pairs.collect::<Option<Vec<u8>>>()?)
    }
}

/// Lower-case hex without separators: how a lease keeps it.
impl fmt::Display for Duid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Duid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Duid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_kinds_are_read_and_others_are_kept() {
        let mac = Mac::new([0, 0x1b, 0x21, 1, 2, 3]);
        let cases: [(&str, &str, Option<Mac>); 9] = [
            ("00010001000000ff001b21010203", "LinkLayerTime { hardware: 1, time: 255", Some(mac)),
            ("0001002000000000001b21010203", "LinkLayerTime { hardware: 32", None),
            ("0002000000094142", "Enterprise { number: 9, identifier: [65, 66] }", None),
            ("00030001001b21010203", "LinkLayer { hardware: 1", Some(mac)),
            ("0003000100112233", "LinkLayer { hardware: 1, address: [0, 17, 34, 51] }", None),
            ("000400112233445566778899aabbccddeeff", "Uuid([0, 17", None),
            ("00040011", "Other { number: 4", None),
            ("000100", "Other { number: 1", None),
            ("fffe61", "Other { number: 65534, rest: [97] }", None),
        ];
        for (hex, kind, mac) in cases {
            let duid = Duid::from_hex(hex).unwrap();
            assert!(format!("{:?}", duid.kind()).starts_with(kind), "{hex}: {:?}", duid.kind());
            assert_eq!((duid.mac(), duid.to_string()), (mac, hex.to_owned()));
        }
        assert_eq!(Duid::link_layer(mac).mac(), Some(mac));
        assert_eq!(Duid::uuid([7; 16]).kind(), Kind::Uuid([7; 16]));
    }

    #[test]
    fn a_length_that_cannot_be_is_no_duid() {
        assert_eq!((Duid::new(&[]), Duid::new(&[0, 3])), (None, None));
        assert!(Duid::new(&[0; 3]).is_some() && Duid::new(&[0; 130]).is_some());
        assert_eq!(Duid::new(&[0; 131]), None);
        for text in ["0003000", "zz0300", "+1+1+1", ""] {
            assert_eq!(Duid::from_hex(text), None, "{text}");
        }
    }
}
