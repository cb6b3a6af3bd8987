//! Filters over addresses: `{{ '192.0.2.10/24' | netmask }}` and their kin.

use std::net::IpAddr;

use ipnet::IpNet;

/// Each is a filter of its own, and a query of `ipaddr`.
pub const QUERIES: [&str; 7] =
    ["address", "netmask", "hostmask", "prefix", "network", "broadcast", "subnet"];

/// Answers a query about an address or subnet. No query: the text itself, if it is one.
/// A number: the address at that place of the subnet, with the prefix length; negative from its
/// end.
pub fn ipaddr(text: &str, query: &str) -> Result<String, String> {
    let network = parse(text)?;
    if let Ok(index) = query.parse::<i64>() {
        return nth(network, index);
    }
    Ok(match query {
        "" => text.trim().to_owned(),
        "address" => network.addr().to_string(),
        "netmask" => network.netmask().to_string(),
        "hostmask" => network.hostmask().to_string(),
        "prefix" => network.prefix_len().to_string(),
        "network" => network.network().to_string(),
        "broadcast" => network.broadcast().to_string(),
        "subnet" => network.trunc().to_string(),
        other => {
            return Err(format!(
                "an address has no `{other}`; known are a number and {}",
                QUERIES.join(", ")
            ));
        }
    })
}

/// The same, for IPv4 only.
pub fn ipv4(text: &str, query: &str) -> Result<String, String> {
    match parse(text)? {
        IpNet::V4(_) => ipaddr(text, query),
        IpNet::V6(_) => Err(format!("`{text}` is an IPv6 address, IPv4 is wanted")),
    }
}

/// Address and mask as one: `'192.0.2.10' | cidr('255.255.255.0')` is `192.0.2.10/24`.
pub fn cidr(address: &str, mask: &str) -> Result<String, String> {
    let address = parse(address)?.addr();
    let network = match mask.parse::<u8>() {
        Ok(length) => IpNet::new(address, length).ok(),
        Err(_) => {
            mask.parse::<IpAddr>().ok().and_then(|mask| IpNet::with_netmask(address, mask).ok())
        }
    };
    network
        .map(|network| network.to_string())
        .ok_or_else(|| format!("`{mask}` is no mask or prefix length for {address}"))
}

/// The addresses of a subnet that hosts can have.
pub fn hosts(text: &str) -> Result<Vec<String>, String> {
    let network = parse(text)?;
    let bits = network.max_prefix_len() - network.prefix_len();
    if bits > HOST_BITS_MAX {
        return Err(format!("`{text}` has too many hosts to list; pick one by number"));
    }
    Ok(network.trunc().hosts().map(|address| address.to_string()).collect())
}

/// A /20 of IPv4; a template that lists more does not mean it.
const HOST_BITS_MAX: u8 = 12;

fn nth(network: IpNet, index: i64) -> Result<String, String> {
    let outside = || format!("{} has no address number {index}", network.trunc());
    let (base, bits) = match network.network() {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32 - network.prefix_len()),
        IpAddr::V6(address) => (address.to_bits(), 128 - network.prefix_len()),
    };
    let last = 1_u128.checked_shl(u32::from(bits)).map_or(u128::MAX, |count| count - 1);
    let distance = u128::from(index.unsigned_abs());
    let offset = match index {
        0.. => distance,
        _ => last.checked_add(1).unwrap_or(last).checked_sub(distance).ok_or_else(outside)?,
    };
    if offset > last {
        return Err(outside());
    }
    let address = match network {
        IpNet::V4(_) => {
            let bits = u32::try_from(base + offset).map_err(|_| outside())?;
            IpAddr::V4(bits.into())
        }
        IpNet::V6(_) => IpAddr::V6((base + offset).into()),
    };
    Ok(format!("{address}/{}", network.prefix_len()))
}

fn parse(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let wrong = || format!("`{}` is no address", text.chars().take(60).collect::<String>());
    match text.parse::<IpNet>() {
        Ok(network) => Ok(network),
        Err(_) => text.parse::<IpAddr>().map(IpNet::from).map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_about_an_address_is_answered() {
        for (text, query, expected) in [
            ("192.0.2.10/24", "", "192.0.2.10/24"),
            ("192.0.2.10/24", "address", "192.0.2.10"),
            ("192.0.2.10/24", "netmask", "255.255.255.0"),
            ("192.0.2.10/24", "hostmask", "0.0.0.255"),
            ("192.0.2.10/24", "prefix", "24"),
            ("192.0.2.10/24", "network", "192.0.2.0"),
            ("192.0.2.10/24", "broadcast", "192.0.2.255"),
            ("192.0.2.10/24", "subnet", "192.0.2.0/24"),
            ("192.0.2.10/24", "1", "192.0.2.1/24"),
            ("192.0.2.10/24", "-2", "192.0.2.254/24"),
            ("2001:db8::7/64", "network", "2001:db8::"),
            ("2001:db8::7/64", "-1", "2001:db8::ffff:ffff:ffff:ffff/64"),
            ("::/0", "-1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/0"),
            ("192.0.2.10", "prefix", "32"),
        ] {
            assert_eq!(ipaddr(text, query).as_deref(), Ok(expected), "{text} {query}");
        }
    }

    #[test]
    fn what_is_no_address_or_no_query_is_told() {
        for (text, query) in [
            ("192.0.2.300", ""),
            ("", ""),
            ("192.0.2.0/33", ""),
            ("192.0.2.0/24", "256"),
            ("192.0.2.0/24", "-257"),
            ("192.0.2.0/24", "gateway"),
        ] {
            assert!(ipaddr(text, query).is_err(), "{text} {query}");
        }
        assert!(ipv4("2001:db8::1", "").is_err());
        assert!(hosts("10.0.0.0/8").is_err());
        assert_eq!(hosts("192.0.2.0/30").unwrap(), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(cidr("192.0.2.10", "255.255.255.0").unwrap(), "192.0.2.10/24");
        assert_eq!(cidr("192.0.2.10", "24").unwrap(), "192.0.2.10/24");
        assert!(cidr("192.0.2.10", "255.0.255.0").is_err());
    }
}
