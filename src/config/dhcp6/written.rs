//! The `dhcp6` section as written. The comments here are what editors and `docs/configuration.md`
//! show.

use std::net::Ipv6Addr;
use std::time::Duration;

use schemars::JsonSchema;

use crate::complaint::Complaints;
use crate::config::limits::written::{WrittenDhcpLimits, limits};
use crate::config::written::{ListenSpelling, UnknownSpelling, WrittenListen, listen};
use crate::written::fields::{self, Fields};
use crate::written::{At, Node};

/// IPv6 addresses for devices (DHCPv6).
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Dhcp6", deny_unknown_fields)]
pub struct WrittenDhcp6 {
    /// Where to listen, as `[address]:port` or `{ address: "[::]:547", interface: eth0 }`.
    /// Default `[::]:547`, which hears every interface.
    #[schemars(with = "Option<Vec<ListenSpelling>>")]
    pub listen: Vec<WrittenListen>,
    /// Our own IPv6 address as devices reach it: it stands in the URL of their boot file
    /// (option 59).
    #[schemars(with = "String")]
    pub server_address: At<Ipv6Addr>,
    /// The time of a lease. Default `12h`.
    #[schemars(with = "Option<String>")]
    pub valid_lifetime: Option<At<Duration>>,
    /// How long an address is used for new connections; a device renews after half of it. Default:
    /// as long as it is valid.
    #[schemars(with = "Option<String>")]
    pub preferred_lifetime: Option<At<Duration>>,
    /// What a network device gets that nobody planned: `refuse` gives no lease, `quarantine` a
    /// short one and no file; both report it, up to 300 of them a minute. Default `refuse`.
    #[schemars(with = "Option<UnknownSpelling>")]
    pub unknown: Option<At<String>>,
    /// Answer with two messages instead of four where the device asks for it (Rapid Commit). Only
    /// sound where no other DHCPv6 server answers. Default false.
    pub rapid_commit: Option<bool>,
    /// Addresses that one device may have at a time, over all its ports and DUIDs. Default 16.
    #[schemars(with = "Option<u16>")]
    pub addresses_max: Option<At<u16>>,
    /// How much may be asked. Every limit has a default.
    #[schemars(with = "Option<WrittenDhcpLimits>")]
    pub limits: Option<WrittenDhcpLimits>,
    /// The subnets served.
    #[schemars(required)]
    pub pools: Vec<WrittenPool6>,
}

/// One IPv6 subnet.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Pool6", deny_unknown_fields)]
pub struct WrittenPool6 {
    /// Address and prefix length, such as `2001:db8:0:1::/64`.
    #[schemars(with = "String")]
    pub subnet: At<ipnet::Ipv6Net>,
    /// The addresses handed out freely: first and last, as `2001:db8:0:1::1000 -
    /// 2001:db8:0:1::1fff`, or a prefix, as `2001:db8:0:1:8000::/112`. Default: only the addresses
    /// planned in the inventory.
    pub range: Option<At<String>>,
    /// Name servers (option 23). Default: none.
    #[schemars(with = "Option<Vec<String>>")]
    pub dns: Vec<At<Ipv6Addr>>,
    /// The domains that a device searches, the nearest first (option 24). Default: none.
    #[schemars(with = "Option<Vec<String>>")]
    pub search: Vec<At<String>>,
}

pub fn dhcp6(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenDhcp6> {
    let mut fields = Fields::of(node, "dhcp6 section", complaints)?;
    let listen = listen(fields.get("listen"), complaints);
    let server_address = fields
        .require("server_address", complaints)
        .and_then(|node| fields::parsed(node, "server_address", ADDRESS, complaints));
    let valid_lifetime = fields.duration("valid_lifetime", complaints);
    let preferred_lifetime = fields.duration("preferred_lifetime", complaints);
    let unknown = fields.text("unknown", complaints);
    let rapid_commit = fields.boolean("rapid_commit", complaints);
    let addresses_max = fields.whole("addresses_max", complaints);
    let limits = fields.get("limits").and_then(|node| limits(node, complaints));
    let pools = fields
        .require("pools", complaints)
        .map(|node| {
            let nodes = fields::list(node, "pools", complaints);
            nodes.iter().filter_map(|node| pool(node, complaints)).collect()
        })
        .unwrap_or_default();
    fields.close(complaints);
    Some(WrittenDhcp6 {
        listen,
        server_address: server_address?,
        valid_lifetime,
        preferred_lifetime,
        unknown,
        rapid_commit,
        addresses_max,
        limits,
        pools,
    })
}

const ADDRESS: &str = "an IPv6 address";

fn pool(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenPool6> {
    let mut fields = Fields::of(node, "pool", complaints)?;
    let subnet = fields.require("subnet", complaints).and_then(|node| {
        fields::parsed(node, "subnet", "a subnet such as 2001:db8:0:1::/64", complaints)
    });
    let range = fields.text("range", complaints);
    let dns = match fields.get("dns") {
        None => Vec::new(),
        Some(node) => fields::list(node, "dns", complaints)
            .iter()
            .filter_map(|node| fields::parsed(node, "dns", ADDRESS, complaints))
            .collect(),
    };
    let search = fields.texts("search", complaints);
    fields.close(complaints);
    Some(WrittenPool6 { subnet: subnet?, range, dns, search })
}
