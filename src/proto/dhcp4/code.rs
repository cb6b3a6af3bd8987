//! Which number means which option (RFC 2132 unless another RFC is named).

/// Section 3.1. Fills space, has no length.
pub const PAD: u8 = 0;
/// Section 3.3.
pub const SUBNET_MASK: u8 = 1;
/// Section 3.5.
pub const ROUTER: u8 = 3;
/// Section 3.8.
pub const DOMAIN_NAME_SERVER: u8 = 6;
/// Section 3.14.
pub const HOST_NAME: u8 = 12;
/// Section 3.17.
pub const DOMAIN_NAME: u8 = 15;
/// Section 8.4. Its meaning depends on the vendor.
pub const VENDOR_SPECIFIC: u8 = 43;
/// Section 9.1.
pub const REQUESTED_ADDRESS: u8 = 50;
/// Section 9.2, in seconds.
pub const LEASE_TIME: u8 = 51;
/// Section 9.3. Says that `file`, `sname` or both hold options.
pub const OVERLOAD: u8 = 52;
/// Section 9.6.
pub const MESSAGE_TYPE: u8 = 53;
/// Section 9.7.
pub const SERVER_ID: u8 = 54;
/// Section 9.8.
pub const PARAMETER_REQUEST_LIST: u8 = 55;
/// Section 9.9. The reason of a NAK or DECLINE, for people.
pub const MESSAGE: u8 = 56;
/// Section 9.10. The longest message the client takes, IP and UDP headers included.
pub const MAX_MESSAGE_SIZE: u8 = 57;
/// Section 9.11, in seconds: T1.
pub const RENEWAL_TIME: u8 = 58;
/// Section 9.12, in seconds: T2.
pub const REBINDING_TIME: u8 = 59;
/// Section 9.13.
pub const VENDOR_CLASS: u8 = 60;
/// Section 9.14, answered as RFC 6842 asks.
pub const CLIENT_ID: u8 = 61;
/// Section 9.4.
pub const TFTP_SERVER_NAME: u8 = 66;
/// Section 9.5.
pub const BOOT_FILE_NAME: u8 = 67;
/// RFC 3004.
pub const USER_CLASS: u8 = 77;
/// RFC 3046.
pub const RELAY_INFORMATION: u8 = 82;
/// RFC 3925 section 3.
pub const VENDOR_IDENTIFYING_CLASS: u8 = 124;
/// RFC 5859: a list of TFTP server addresses.
pub const TFTP_SERVER_ADDRESSES: u8 = 150;
/// Section 3.2. Ends a field of options, has no length.
pub const END: u8 = 255;

/// The name of an option for logs: `ClassIdentifier(60)`.
pub fn name(code: u8) -> String {
    match dhcproto::v4::OptionCode::from(code) {
        dhcproto::v4::OptionCode::Unknown(_) => format!("option {code}"),
        known => format!("{known:?}({code})"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_holds_the_number_whether_known_or_not() {
        assert_eq!(super::name(60), "ClassIdentifier(60)");
        assert_eq!(super::name(226), "option 226");
    }
}
