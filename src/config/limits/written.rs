//! The limits of DHCP as written.

use schemars::JsonSchema;

use crate::complaint::Complaints;
use crate::written::fields::Fields;
use crate::written::{At, Node};

/// How much DHCP may be asked. What the inventory knows by its hardware address counts for
/// `client_rate` only: the other limits are for strangers, so that a flood of invented addresses
/// leaves planned devices served. What is beyond them is counted in the log: messages every ten
/// seconds, addresses refused to strangers every minute.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "DhcpLimits", deny_unknown_fields)]
pub struct WrittenDhcpLimits {
    /// Messages each second from one hardware address, or in DHCPv6 from one DUID; twice as many at
    /// once. Default 10.
    #[schemars(with = "Option<u32>")]
    pub client_rate: Option<At<u32>>,
    /// Messages of strangers each second through one relay. Default 1000.
    #[schemars(with = "Option<u32>")]
    pub relay_rate: Option<At<u32>>,
    /// Messages of strangers that are read each second on one interface; a device known only by
    /// its serial or its port is found among these. Default 20000.
    #[schemars(with = "Option<u32>")]
    pub interface_rate: Option<At<u32>>,
    /// Messages each second of network devices that nobody planned that are reported and, in
    /// quarantine, answered. Whatever this says, 300 of them are written down and told to people in
    /// a minute, and the rest is counted in the log. Default 200.
    #[schemars(with = "Option<u32>")]
    pub stranger_rate: Option<At<u32>>,
    /// Addresses that strangers may hold at a time. Default 1024.
    #[schemars(with = "Option<u32>")]
    pub strangers_max: Option<At<usize>>,
    /// Addresses that strangers behind one relay, or on our own links, may hold. Default 512.
    #[schemars(with = "Option<u32>")]
    pub relay_strangers_max: Option<At<usize>>,
    /// The part of each pool's range that strangers may hold, in percent. Default 50.
    #[schemars(with = "Option<u8>")]
    pub pool_strangers_percent: Option<At<u8>>,
}

pub fn limits(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenDhcpLimits> {
    let mut fields = Fields::of(node, "limits section", complaints)?;
    let limits = WrittenDhcpLimits {
        client_rate: fields.whole("client_rate", complaints),
        relay_rate: fields.whole("relay_rate", complaints),
        interface_rate: fields.whole("interface_rate", complaints),
        stranger_rate: fields.whole("stranger_rate", complaints),
        strangers_max: fields.whole("strangers_max", complaints),
        relay_strangers_max: fields.whole("relay_strangers_max", complaints),
        pool_strangers_percent: fields.whole("pool_strangers_percent", complaints),
    };
    fields.close(complaints);
    Some(limits)
}
