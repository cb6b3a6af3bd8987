//! What does a client tell about its make (options 15, 16 and 17)?

use crate::proto::dhcp6::code;
use crate::proto::dhcp6::message::Message;
use crate::proto::dhcp6::options::Options;

/// One vendor class (option 16, RFC 8415 section 21.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorClass<'a> {
    /// IANA's number of the vendor.
    pub enterprise: u32,
    pub classes: Vec<&'a [u8]>,
}

/// One vendor-specific option (17, RFC 8415 section 21.17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorSpecific {
    /// IANA's number of the vendor.
    pub enterprise: u32,
    pub options: Options,
}

/// Option 15 (RFC 8415 section 21.15), as far as it is whole.
pub fn user_classes(message: &Message) -> Vec<&[u8]> {
    message.options.all(code::USER_CLASS).flat_map(counted).collect()
}

/// Every option 16, as far as it is whole.
pub fn vendor_classes(message: &Message) -> Vec<VendorClass<'_>> {
    let whole = message.options.all(code::VENDOR_CLASS).filter_map(enterprise);
    whole.map(|(enterprise, rest)| VendorClass { enterprise, classes: counted(rest) }).collect()
}

/// Every option 17, as far as it is whole.
pub fn vendor_specifics(message: &Message) -> Vec<VendorSpecific> {
    let whole = message.options.all(code::VENDOR_SPECIFIC).filter_map(enterprise);
    let read = |(enterprise, rest)| VendorSpecific { enterprise, options: Options::read(rest) };
    whole.map(read).collect()
}

/// The number in front, and the rest.
pub(super) fn enterprise(value: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = value.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// Pieces behind a length of two bytes each.
fn counted(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let [high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((piece, tail)) = tail.split_at_checked(length) else { break };
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dhcp6::message::MessageType;

    #[test]
    fn every_class_that_is_whole_is_read() {
        let arista = *b"\x00\x00\x75\x71\x00\x06Arista\x00\x03DCS";
        let message = Message::new(MessageType::Solicit, 1)
            .with(code::VENDOR_CLASS, arista)
            .with(code::VENDOR_CLASS, *b"\x00\x00\x09")
            .with(code::VENDOR_CLASS, *b"\x00\x00\x00\x09\x00\x01c\x00\x09cut")
            .with(code::USER_CLASS, *b"\x00\x04iPXE\x00\x00\x00")
            .with(code::VENDOR_SPECIFIC, *b"\x00\x00\x00\x09\x00\x01\x00\x02hi\x00\x02\x00\x05");
        assert_eq!(user_classes(&message), [&b"iPXE"[..], b""]);
        let expected = [
            VendorClass { enterprise: 30065, classes: vec![b"Arista", b"DCS"] },
            VendorClass { enterprise: 9, classes: vec![b"c"] },
        ];
        assert_eq!(vendor_classes(&message), expected);
        let specific =
            VendorSpecific { enterprise: 9, options: Options::default().with(1, *b"hi") };
        assert_eq!(vendor_specifics(&message), [specific]);
    }

    #[test]
    fn an_independent_decoder_reads_the_same_classes() {
        use dhcproto::v6::{DhcpOption, VendorClass};
        use dhcproto::{Decodable, Decoder};
        let value = *b"\x00\x00\x75\x71\x00\x06Arista\x00\x03DCS";
        let bytes = Options::default().with(code::VENDOR_CLASS, value).write();
        let data = vec![b"Arista".to_vec(), b"DCS".to_vec()];
        let theirs = DhcpOption::decode(&mut Decoder::new(&bytes)).unwrap();
        assert_eq!(theirs, DhcpOption::VendorClass(VendorClass { num: 30065, data }));
    }
}
