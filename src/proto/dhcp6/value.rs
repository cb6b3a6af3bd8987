//! How are the values of options written that hold more than bytes?

use std::net::Ipv6Addr;

/// A label of a domain name (RFC 1035 section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;
/// A whole domain name, as written (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;

/// Option 23 (RFC 3646 section 3).
pub fn addresses(addresses: &[Ipv6Addr]) -> Vec<u8> {
    addresses.iter().flat_map(Ipv6Addr::octets).collect()
}

/// Option 24 (RFC 3646 section 4): names in the form of RFC 1035 section 3.1, never compressed.
/// What cannot be a name is left out.
pub fn domains<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    names.into_iter().filter_map(domain).flatten().collect()
}

fn domain(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let length = u8::try_from(label.len()).ok()?;
        if !(1..=LABEL_BYTES_MAX).contains(&label.len()) || !label.is_ascii() {
            return None;
        }
        bytes.push(length);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    (bytes.len() <= NAME_BYTES_MAX).then_some(bytes)
}

/// Texts behind a length of two bytes each: option 60 (RFC 5970 section 3.2) and option 136
/// (RFC 8572 section 8.2). A text beyond 65,535 bytes is left out.
pub fn counted<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        let Ok(length) = u16::try_from(text.len()) else { continue };
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_label_by_label_and_what_is_none_is_left_out() {
        let long = "x".repeat(64);
        let far = ["abcdefghi"; 26].join(".");
        let names = ["lab.example", "", "a..b", &long, &far, "grün.example", "net."];
        assert_eq!(domains(names), b"\x03lab\x07example\0\x03net\0");
    }

    #[test]
    fn texts_and_addresses_are_written_as_their_rfcs_say() {
        assert_eq!(counted(["https://a", ""]), b"\0\x09https://a\0\0");
        assert_eq!(addresses(&["2001:db8::53".parse().unwrap()]).len(), 16);
    }
}
