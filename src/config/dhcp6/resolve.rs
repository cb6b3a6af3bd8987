//! The `dhcp6` section from written to meant: defaults filled in, contradictions found.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::Ipv6Net;

use crate::complaint::Complaints;
use crate::config::dhcp6::written::{WrittenDhcp6, WrittenPool6};
use crate::config::limits;
use crate::config::meant::{Dhcp6, Listen, Pool6};
use crate::config::resolve::{LEASE_SECONDS_MIN, hours, listen_or, not_endless, unknown};
use crate::config::written::WrittenListen;
use crate::written::{At, shown};

/// The port of servers and relays (RFC 8415 section 7.2).
const PORT: u16 = 547;

pub fn meant_dhcp6(written: WrittenDhcp6, complaints: &mut Complaints) -> Dhcp6 {
    let valid = written.valid_lifetime.map_or(hours(12), |valid| {
        if valid.value < Duration::from_secs(LEASE_SECONDS_MIN) {
            let message = "a lease this short ends before a device has asked for its file";
            complaints.at(valid.place, message, "write at least 60s");
        }
        not_endless(valid, complaints)
    });
    let preferred = written.preferred_lifetime.map_or(valid, |preferred| {
        if preferred.value > valid {
            let message = "an address cannot be preferred for longer than it is valid";
            let hint = "write a time of `valid_lifetime` at most";
            complaints.at(preferred.place, message, hint);
        }
        if preferred.value.is_zero() {
            let message = "`preferred_lifetime` cannot be nothing";
            complaints.at(preferred.place, message, "devices would not use the address");
        }
        preferred.value
    });
    reachable(&written.server_address, complaints);
    let mut pools: Vec<Pool6> = Vec::with_capacity(written.pools.len());
    for pool in written.pools {
        let place = pool.subnet.place;
        let pool = meant_pool(pool, complaints);
        let overlaps = |other: &&Pool6| {
            other.subnet.contains(&pool.subnet) || pool.subnet.contains(&other.subnet)
        };
        if let Some(other) = pools.iter().find(overlaps) {
            let message = format!("this subnet overlaps with {}", other.subnet);
            complaints.at(place, message, "give each pool a subnet of its own");
        }
        pools.push(pool);
    }
    Dhcp6 {
        listen: meant_listen(written.listen, complaints),
        server_address: written.server_address.value,
        pools,
        preferred,
        valid,
        unknown: unknown(written.unknown, complaints),
        rapid_commit: written.rapid_commit.unwrap_or(false),
        addresses_max: addresses_max(written.addresses_max, complaints),
        limits: limits::meant(written.limits, complaints),
    }
}

/// A switch asks for an address on each of a few ports.
const ADDRESSES_MAX: usize = 16;

fn addresses_max(written: Option<At<u16>>, complaints: &mut Complaints) -> usize {
    let Some(most) = written else { return ADDRESSES_MAX };
    if most.value == 0 {
        complaints.at(most.place, "`addresses_max` cannot be 0", "write 1 to 65535");
    }
    usize::from(most.value.max(1))
}

/// It stands in a URL, where a link-local address would lack its interface.
fn reachable(server: &At<Ipv6Addr>, complaints: &mut Complaints) {
    let address = server.value;
    if address.is_unspecified() || address.is_multicast() || address.is_unicast_link_local() {
        let message = format!("devices cannot reach us at {address}");
        let hint = "write a global or unique local address of ours";
        complaints.at(server.place, message, hint);
    }
}

fn meant_listen(written: Vec<WrittenListen>, complaints: &mut Complaints) -> Vec<Listen> {
    for listen in &written {
        if listen.address.value.is_ipv4() {
            let message = format!("DHCPv6 cannot be heard at {}", listen.address.value);
            complaints.at(listen.address.place, message, "write an address such as [::]:547");
        }
    }
    listen_or(written, SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)), complaints)
}

fn meant_pool(written: WrittenPool6, complaints: &mut Complaints) -> Pool6 {
    let subnet = written.subnet.value.trunc();
    if subnet != written.subnet.value {
        let message = format!("`{}` has bits behind its prefix", written.subnet.value);
        complaints.at(written.subnet.place, message, format!("write {subnet}"));
    }
    let range = written.range.and_then(|text| {
        let within = |(first, last): &(Ipv6Addr, Ipv6Addr)| {
            first <= last && subnet.contains(first) && subnet.contains(last)
        };
        let range = range(&text.value).filter(within);
        if range.is_none() {
            let message = format!("`{}` is no range of addresses of {subnet}", shown(&text.value));
            let hint = "write the first and the last address, as in 2001:db8::1000 - \
                        2001:db8::1fff, or a prefix, as in 2001:db8::8000/113";
            complaints.at(text.place, message, hint);
        }
        range
    });
    for name in &written.search {
        if !is_domain(&name.value) {
            let message = format!("`{}` is no domain name", shown(&name.value));
            let hint = "write a name such as mgmt.example.net: labels of at most 63 characters";
            complaints.at(name.place, message, hint);
        }
    }
    Pool6 {
        subnet,
        range,
        dns: written.dns.into_iter().map(|address| address.value).collect(),
        search: written.search.into_iter().map(|name| name.value).collect(),
    }
}

fn range(text: &str) -> Option<(Ipv6Addr, Ipv6Addr)> {
    if let Ok(prefix) = text.trim().parse::<Ipv6Net>() {
        return (prefix.trunc() == prefix).then(|| (prefix.network(), prefix.broadcast()));
    }
    let (first, last) = text.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

/// RFC 1035 section 3.1: labels of 1 to 63 octets, 255 with their length bytes and the root.
fn is_domain(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::meant::{DhcpLimits, Unknown};
    use crate::config::resolve::configure;

    fn configured(text: &str) -> (Option<Dhcp6>, String) {
        let (config, complaints) = configure("g.yaml", text, Path::new("/etc"));
        let complaints: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        (config.dhcp6, complaints.join("|").replace("g.yaml:", ""))
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let text = "dhcp6: { server_address: '2001:db8::2', pools: [{ subnet: 'fd00::/64' }] }\n";
        let (dhcp6, complaints) = configured(text);
        assert_eq!(complaints, "");
        let Dhcp6 {
            listen, server_address, pools, preferred, valid, unknown, rapid_commit, ..
        } = dhcp6.clone().unwrap();
        let Dhcp6 { addresses_max, limits, .. } = dhcp6.unwrap();
        assert_eq!((addresses_max, limits), (16, DhcpLimits::default()));
        let everywhere = Listen { address: "[::]:547".parse().unwrap(), interface: None };
        assert_eq!(listen, [everywhere]);
        assert_eq!(server_address, "2001:db8::2".parse::<Ipv6Addr>().unwrap());
        assert_eq!((preferred, valid), (hours(12), hours(12)));
        assert_eq!((unknown, rapid_commit), (Unknown::Refuse, false));
        let both = configure("g.yaml", &format!("{text}tftp:\nhttp:\n"), Path::new("/etc")).0;
        let heard = |listen: &[Listen]| listen[0].address.to_string();
        assert_eq!(heard(&both.tftp.unwrap().listen), "[::]:69");
        assert_eq!(heard(&both.http.unwrap().listen), "[::]:80");
        assert_eq!((pools[0].range, pools[0].dns.len(), pools[0].search.len()), (None, 0, 0));
    }

    #[test]
    fn a_range_is_two_addresses_or_a_prefix() {
        let ip = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        let ranges = [
            ("fd00::10 - fd00::1f", (ip("fd00::10"), ip("fd00::1f"))),
            ("fd00::10-fd00::10", (ip("fd00::10"), ip("fd00::10"))),
            ("fd00::8000/113", (ip("fd00::8000"), ip("fd00::ffff"))),
        ];
        for (text, expected) in ranges {
            let text = format!(
                "dhcp6: {{ server_address: 'fd00::2', valid_lifetime: 2h, \
                 pools: [{{ subnet: 'fd00::/64', range: '{text}' }}] }}\n"
            );
            let (dhcp6, complaints) = configured(&text);
            assert_eq!(complaints, "", "{text}");
            let dhcp6 = dhcp6.unwrap();
            assert_eq!(dhcp6.pools[0].range, Some(expected));
            assert_eq!(dhcp6.preferred, hours(2), "preferred as long as valid");
        }
    }

    /// What stands behind the server's address, and all that is said about it.
    const COMPLAINTS: &[(&str, &str)] = &[
        (
            "pools: [], valid_lifetime: 5s",
            "2:19: a lease this short ends before a device has asked for its file (write at least \
             60s)",
        ),
        (
            "pools: [], valid_lifetime: 1h, preferred_lifetime: 2h",
            "3:23: an address cannot be preferred for longer than it is valid (write a time of \
             `valid_lifetime` at most)",
        ),
        (
            "pools: [], preferred_lifetime: 0s",
            "2:23: `preferred_lifetime` cannot be nothing (devices would not use the address)",
        ),
        (
            "pools: [], listen: ['0.0.0.0:547']",
            "2:12: DHCPv6 cannot be heard at 0.0.0.0:547 (write an address such as [::]:547)",
        ),
        ("pools: [], addresses_max: 0", "2:18: `addresses_max` cannot be 0 (write 1 to 65535)"),
        (
            "pools: [], limits: { pool_strangers_percent: 101 }",
            "2:37: strangers cannot hold 101 % of a pool (write 0 to 100)",
        ),
        (
            "pools: [], unknown: quarantin",
            "2:12: `unknown` cannot be `quarantin` (did you mean `quarantine`?)",
        ),
        (
            "pools: [], rapid_commit: 'perhaps'",
            "2:17: `rapid_commit` expects true or false, found `perhaps` (write `true` or `false`)",
        ),
        (
            "pools: [{ subnet: 'fd00::1/64' }]",
            "1:55: `fd00::1/64` has bits behind its prefix (write fd00::/64)",
        ),
        (
            "pools: [{ subnet: 192.0.2.0/24 }]",
            "1:55: `subnet` expects a subnet such as 2001:db8:0:1::/64, found `192.0.2.0/24` \
             (write a subnet such as 2001:db8:0:1::/64)",
        ),
        (
            "pools: [{ subnet: 'fd00::/64' }, { subnet: 'fd00::/32' }]",
            "1:80: this subnet overlaps with fd00::/64 (give each pool a subnet of its own)",
        ),
        (
            "pools: [{ subnet: 'fd00::/64', range: 'fd00:1::/112' }]",
            "1:75: `fd00:1::/112` is no range of addresses of fd00::/64 (write the first and the \
             last address, as in 2001:db8::1000 - 2001:db8::1fff, or a prefix, as in \
             2001:db8::8000/113)",
        ),
        (
            "pools: [{ subnet: 'fd00::/64', search: ['a..b'] }]",
            "1:77: `a..b` is no domain name (write a name such as mgmt.example.net: labels of at \
             most 63 characters)",
        ),
        (
            "pools: [{ subnet: 'fd00::/64', dns: [192.0.2.53] }]",
            "1:74: `dns` expects an IPv6 address, found `192.0.2.53` (write an IPv6 address)",
        ),
    ];

    #[test]
    fn each_complaint_names_its_place_and_the_next_move() {
        let mut wrong = String::new();
        for (text, expected) in COMPLAINTS {
            let written = text.replace("], ", "],\n  ").replace("1h, ", "1h,\n  ");
            let written = format!("dhcp6: {{ server_address: 'fd00::2', {written} }}\n");
            let found = configured(&written).1;
            if found != *expected {
                wrong += &format!("{written}  expected {expected}\n  found    {found}\n");
            }
        }
        assert_eq!(wrong, "");
        for address in ["::", "fe80::2", "ff02::1:2"] {
            let text = format!("dhcp6: {{ server_address: '{address}', pools: [] }}\n");
            let expected = format!(
                "1:26: devices cannot reach us at {address} (write a global or unique local \
                 address of ours)"
            );
            assert_eq!(configured(&text).1, expected);
        }
    }
}
