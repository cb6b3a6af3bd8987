//! Which number means which option (RFC 8415 section 21 unless another RFC is named).

/// Section 21.2. A [`Duid`](crate::proto::dhcp6::Duid).
pub const CLIENT_ID: u16 = 1;
/// Section 21.3. A [`Duid`](crate::proto::dhcp6::Duid).
pub const SERVER_ID: u16 = 2;
/// Section 21.4: an identity association for non-temporary addresses.
pub const IA_NA: u16 = 3;
/// Section 21.5: an identity association for temporary addresses.
pub const IA_TA: u16 = 4;
/// Section 21.6: an address within an identity association.
pub const IA_ADDRESS: u16 = 5;
/// Section 21.7: the codes that a client wants to hear.
pub const OPTION_REQUEST: u16 = 6;
/// Section 21.8: which server a client shall prefer, 255 being the strongest.
pub const PREFERENCE: u16 = 7;
/// Section 21.9, in hundredths of a second.
pub const ELAPSED_TIME: u16 = 8;
/// Section 21.10: what a relay passes on.
pub const RELAY_MESSAGE: u16 = 9;
/// Section 21.11.
pub const AUTHENTICATION: u16 = 11;
/// Section 21.12. We never send it: clients speak to everybody.
pub const SERVER_UNICAST: u16 = 12;
/// Section 21.13.
pub const STATUS_CODE: u16 = 13;
/// Section 21.14: two messages instead of four.
pub const RAPID_COMMIT: u16 = 14;
/// Section 21.15.
pub const USER_CLASS: u16 = 15;
/// Section 21.16.
pub const VENDOR_CLASS: u16 = 16;
/// Section 21.17.
pub const VENDOR_SPECIFIC: u16 = 17;
/// Section 21.18: the relay's port towards the client.
pub const INTERFACE_ID: u16 = 18;
/// Section 21.19.
pub const RECONFIGURE_MESSAGE: u16 = 19;
/// Section 21.20.
pub const RECONFIGURE_ACCEPT: u16 = 20;
/// RFC 3646 section 3: addresses of DNS servers.
pub const DNS_SERVERS: u16 = 23;
/// RFC 3646 section 4: domains to search.
pub const DOMAIN_LIST: u16 = 24;
/// Section 21.21: an identity association for prefixes.
pub const IA_PD: u16 = 25;
/// Section 21.23, in seconds: when parameters are asked for anew.
pub const INFORMATION_REFRESH_TIME: u16 = 32;
/// RFC 4649: who the relay says the client is.
pub const REMOTE_ID: u16 = 37;
/// RFC 4580: whom the relay says the client belongs to.
pub const SUBSCRIBER_ID: u16 = 38;
/// RFC 4994: the codes that a relay wants to find in its answer.
pub const ECHO_REQUEST: u16 = 43;
/// RFC 5970 section 3.1.
pub const BOOT_FILE_URL: u16 = 59;
/// RFC 5970 section 3.2.
pub const BOOT_FILE_PARAMETERS: u16 = 60;
/// RFC 6939: the client's hardware address, as the first relay saw it.
pub const CLIENT_LINK_LAYER_ADDRESS: u16 = 79;
/// Section 21.24, in seconds: the longest wait between two Solicits.
pub const SOL_MAX_RT: u16 = 82;
/// Section 21.25, in seconds: the longest wait between two Information-requests.
pub const INF_MAX_RT: u16 = 83;
/// RFC 8357 section 4: the relay listens at another port than 547.
pub const RELAY_SOURCE_PORT: u16 = 135;
/// RFC 8572 section 8.2: bootstrap servers of secure zero touch provisioning. DHCPv4 has it at
/// 143.
pub const SZTP_REDIRECT: u16 = 136;

/// The name of an option for logs: `ClientId(1)`.
pub fn name(code: u16) -> String {
    match dhcproto::v6::OptionCode::from(code) {
        dhcproto::v6::OptionCode::Unknown(_) => format!("option {code}"),
        known => format!("{known:?}({code})"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_holds_the_number_whether_known_or_not() {
        assert_eq!(super::name(1), "ClientId(1)");
        assert_eq!(super::name(65_000), "option 65000");
    }
}
