//! How much may strangers ask of DHCP, so that they never crowd out who is known?

use crate::complaint::Complaints;
use crate::config::meant::DhcpLimits;
use crate::written::At;

pub mod written;

use written::WrittenDhcpLimits;

impl Default for DhcpLimits {
    fn default() -> Self {
        Self {
            // A client repeats after 4 s (RFC 2131 section 4.1), and the busiest seen in the field
            // sends a dozen messages in a row while it boots.
            client_rate: 10,
            // A relay with five hundred ports that wake up together, two messages each.
            relay_rate: 1000,
            // Reading that many costs a tenth of a processor.
            interface_rate: 20_000,
            // A hundred exchanges in quarantine each second: each costs a flush of the store.
            stranger_rate: 200,
            strangers_max: 1024,
            relay_strangers_max: 512,
            pool_strangers_percent: 50,
        }
    }
}

pub fn meant(written: Option<WrittenDhcpLimits>, complaints: &mut Complaints) -> DhcpLimits {
    let default = DhcpLimits::default();
    let Some(written) = written else { return default };
    let mut rate = |number: Option<At<u32>>, default: u32, key: &str| {
        let Some(number) = number else { return default };
        if number.value == 0 || number.value > RATE_MAX {
            let message = format!("`{key}` cannot be {}", number.value);
            complaints.at(number.place, message, format!("write 1 to {RATE_MAX}"));
        }
        number.value.clamp(1, RATE_MAX)
    };
    let limits = DhcpLimits {
        client_rate: rate(written.client_rate, default.client_rate, "client_rate"),
        relay_rate: rate(written.relay_rate, default.relay_rate, "relay_rate"),
        interface_rate: rate(written.interface_rate, default.interface_rate, "interface_rate"),
        stranger_rate: rate(written.stranger_rate, default.stranger_rate, "stranger_rate"),
        strangers_max: written.strangers_max.map_or(default.strangers_max, |n| n.value),
        relay_strangers_max: written
            .relay_strangers_max
            .map_or(default.relay_strangers_max, |n| n.value),
        ..default
    };
    let Some(percent) = written.pool_strangers_percent else { return limits };
    if percent.value > 100 {
        let message = format!("strangers cannot hold {} % of a pool", percent.value);
        complaints.at(percent.place, message, "write 0 to 100");
    }
    DhcpLimits { pool_strangers_percent: percent.value.min(100), ..limits }
}

/// One message each microsecond: beyond it the counting itself has no meaning.
const RATE_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::resolve::configure;

    fn limits(text: &str) -> (DhcpLimits, Vec<String>) {
        let text = format!(
            "tftp: {{}}\ndhcp:\n  server_address: 192.0.2.2\n  pools: []\n  limits: {text}\n"
        );
        let (config, complaints) = configure("g.yaml", &text, Path::new("/etc/greenlight"));
        let told = complaints.iter().map(ToString::to_string).collect();
        (config.dhcp.unwrap().limits, told)
    }

    #[test]
    fn what_is_not_written_has_its_default() {
        let (found, complaints) = limits("{ stranger_rate: 7, pool_strangers_percent: 0 }");
        assert_eq!(complaints, [""; 0]);
        let expected =
            DhcpLimits { stranger_rate: 7, pool_strangers_percent: 0, ..DhcpLimits::default() };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_has_no_meaning_is_complained_about() {
        let (found, complaints) = limits(
            "{ client_rate: 0, relay_rate: 2000000, pool_strangers_percent: 101, client_rat: 1 }",
        );
        assert_eq!((found.client_rate, found.relay_rate), (1, RATE_MAX));
        assert_eq!(found.pool_strangers_percent, 100);
        let told = complaints.join("\n");
        for expected in [
            "`client_rate` cannot be 0 (write 1 to 1000000)",
            "`relay_rate` cannot be 2000000",
            "strangers cannot hold 101 % of a pool (write 0 to 100)",
            "`client_rat`",
        ] {
            assert!(told.contains(expected), "{told}");
        }
    }
}
