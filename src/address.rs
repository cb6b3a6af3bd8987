//! Ethernet addresses in every spelling the field uses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A 48-bit Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

impl Mac {
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// The first six bytes, as in BOOTP's `chaddr`; `None` if there are fewer.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.get(..6)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text was not an Ethernet address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAMac(String);

impl fmt::Display for NotAMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected a MAC address such as 00:1b:21:aa:bb:cc, 00-1b-21-aa-bb-cc, \
             001b.21aa.bbcc, 001b-21aa-bbcc, 001b21-aabbcc or 001b21aabbcc, found `{}`",
            self.0
        )
    }
}

impl std::error::Error for NotAMac {}

impl FromStr for Mac {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let wrong = || NotAMac(text.chars().take(40).collect());
        let (separator, group) = match text.len() {
            12 => (None, 12),
            13 => (Some('-'), 6),
            14 if text.contains('-') => (Some('-'), 4),
            14 => (Some('.'), 4),
            17 if text.contains('-') => (Some('-'), 2),
            17 => (Some(':'), 2),
            _ => return Err(wrong()),
        };
        let digits: String = match separator {
            None => text.to_owned(),
            Some(separator) => {
                let groups: Vec<&str> = text.split(separator).collect();
                if groups.iter().any(|part| part.len() != group) {
                    return Err(wrong());
                }
                groups.concat()
            }
        };
        if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let value = u64::from_str_radix(&digits, 16).map_err(|_| wrong())?;
        let [_, _, octets @ ..] = value.to_be_bytes();
        Ok(Self(octets))
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_one_address() {
        for text in [
            "00:1b:21:AA:bb:cc",
            "00-1b-21-aa-bb-cc",
            "001b.21aa.bbcc",
            "001b-21aa-bbcc",
            "001b21-aabbcc",
            "001b21aabbcc",
        ] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), "00:1b:21:aa:bb:cc");
        }
        for text in
            ["", "001b21aabbc", "00:1b:21:aa:bb:cg", "00:1b:21:aa:bbcc0", "0:01b:21:aa:bb:cc"]
        {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }
}
