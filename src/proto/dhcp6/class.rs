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
