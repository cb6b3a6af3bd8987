//! Which addresses can a device have, and how are those that it cannot complained about?

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::address::Mac;
use crate::complaint::Complaints;
use crate::written::{At, shown};

pub(super) fn macs(written: &[At<String>], complaints: &mut Complaints) -> Vec<Mac> {
    let mut macs = Vec::with_capacity(written.len());
    for text in written {
        match text.value.parse() {
            Ok(mac) => macs.push(mac),
            Err(error) => {
                let error: crate::address::NotAMac = error;
                let hint = "look at the label on the box";
                complaints.at(text.place, shown_whole(&error.to_string()), hint);
            }
        }
    }
    macs
}

/// A message that quotes the operator, without control characters.
fn shown_whole(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

pub(super) fn address(
    written: Option<&At<String>>,
    complaints: &mut Complaints,
) -> Option<Ipv4Addr> {
    let text = written?;
    let parsed: Option<Ipv4Addr> = text.value.parse().ok();
    let usable = parsed.filter(|address| {
        !address.is_unspecified() && !address.is_broadcast() && !address.is_multicast()
    });
    if usable.is_none() {
        let message = format!("`{}` is no address a device can have", shown(&text.value));
        let hint = "write an IPv4 address such as 192.0.2.10, without a prefix length";
        complaints.at(text.place, message, hint);
    }
    usable
}

/// An address that a DHCPv6 server can assign and that routes: neither of one link alone nor of
/// many hosts nor a spelling of IPv4 (RFC 4291 sections 2.5 to 2.7).
pub(super) fn address6(
    written: Option<&At<String>>,
    complaints: &mut Complaints,
) -> Option<Ipv6Addr> {
    let text = written?;
    let parsed: Option<Ipv6Addr> = text.value.parse().ok();
    let usable = parsed.filter(|address| {
        let special = address.is_unspecified() || address.is_multicast();
        !special && !address.is_unicast_link_local() && address.to_ipv4_mapped().is_none()
    });
    if usable.is_none() {
        let message = format!("`{}` is no IPv6 address a device can have", shown(&text.value));
        let hint = "write an address such as 2001:db8::10, without a prefix length";
        complaints.at(text.place, message, hint);
    }
    usable
}
