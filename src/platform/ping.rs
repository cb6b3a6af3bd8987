//! How a device is told to reach an address, and how its answer is read.

use std::net::IpAddr;

use regex::Regex;

use crate::platform::parse::quote;

/// A platform's ping.
#[derive(Debug)]
pub struct Ping {
    /// Holds `{target}`.
    command: String,
    /// The group `received` is the number of answers.
    received: Regex,
}

/// Where the address stands in the command.
pub const TARGET: &str = "{target}";

impl Ping {
    pub fn new(command: String, received: Regex) -> Self {
        Self { command, received }
    }

    /// The command with its gap.
    pub fn template(&self) -> &str {
        &self.command
    }

    pub fn command(&self, target: IpAddr) -> String {
        self.command.replace(TARGET, &target.to_string())
    }

    /// True if at least one answer came. The first packet may be lost to the search for the next
    /// hop's address.
    pub fn reached(&self, answer: &str) -> Result<bool, String> {
        let captures = self.received.captures_iter(answer).last();
        let received =
            captures.and_then(|captures| captures.name("received")?.as_str().parse().ok());
        let received: Option<u64> = received;
        match received {
            Some(number) => Ok(number > 0),
            None => Err(format!("expected the number of answers, found {}", quote(answer.trim()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::platform::Platforms;

    #[test]
    fn each_platform_reads_its_own_answer() {
        let target = "10.0.0.1".parse().unwrap();
        let platforms = Platforms::built_in();
        let ios = "Sending 3, 100-byte ICMP Echos to 10.0.0.1, timeout is 2 seconds:\n.!!\n\
                   Success rate is 66 percent (2/3), round-trip min/avg/max = 1/2/4 ms\n";
        let ios_silent = "...\nSuccess rate is 0 percent (0/3)\n";
        let linux = "PING 10.0.0.1 (10.0.0.1) 72(100) bytes of data.\n\n--- 10.0.0.1 ping \
                     statistics ---\n3 packets transmitted, 2 received, 33% packet loss, time 2ms\n";
        let linux_silent = "3 packets transmitted, 0 received, +3 errors, 100% packet loss\n";
        let os9 = "Sending 3, 100-byte ICMP Echos to 10.0.0.1, timeout is 2 seconds:\n!!!\n\
                   Success rate is 100.0 percent (3/3), round-trip min/avg/max = 0/0/0 (ms)\n";
        let os9_silent = "...\nSuccess rate is 0.0 percent (0/3)\n";
        let unix = "3 packets transmitted, 3 packets received, 0.00% packet loss\n";
        let unix_silent = "3 packets transmitted, 0 packets received, 100.00% packet loss\n";
        let exos = "3 packets transmitted, 2 packets received, 33% loss\n";
        let exos_silent = "3 packets transmitted, 0 packets received, 100% loss\n";
        let vrp = "    3 packet(s) transmitted\n    3 packet(s) received\n    0.00% packet loss\n";
        let vrp_silent = "    3 packet(s) transmitted\n    0 packet(s) received\n";
        let comware = "3 packets transmitted, 3 packets received, 0.0% packet loss\n";
        let comware_silent = "3 packet(s) transmitted, 0 packet(s) received, 100.0% packet loss\n";
        let routeros = "  SEQ HOST      SIZE TTL TIME  STATUS\n    0 10.0.0.1    56  64 0ms\n    \
                        sent=3 received=1 packet-loss=66% min-rtt=0ms\n";
        let routeros_silent = "    sent=3 received=0 packet-loss=100%\n";
        let junos = "3 packets transmitted, 3 packets received, 0% packet loss\n";
        let junos_silent = "3 packets transmitted, 0 packets received, 100% packet loss\n";
        for (id, command, good, silent) in [
            ("cisco_ios", "ping 10.0.0.1 repeat 3", ios, ios_silent),
            ("cisco_iosxe", "ping 10.0.0.1 repeat 3", ios, ios_silent),
            ("arista_eos", "ping 10.0.0.1 repeat 3", linux, linux_silent),
            ("juniper_junos", "ping 10.0.0.1 count 3", junos, junos_silent),
            ("frr", "ping -n -c 3 -W 2 10.0.0.1 || true", linux, linux_silent),
            ("sonic", "ping -n -c 3 -W 2 10.0.0.1 || true", linux, linux_silent),
            ("cumulus_linux", "ping -n -c 3 -W 2 10.0.0.1 || true", linux, linux_silent),
            ("dell_os10", "ping -c 3 10.0.0.1", linux, linux_silent),
            ("aruba_aoscx", "ping 10.0.0.1 repetitions 3", linux, linux_silent),
            ("cisco_iosxr", "ping 10.0.0.1 count 3", ios, ios_silent),
            ("dell_os9", "ping 10.0.0.1 count 3", os9, os9_silent),
            ("cisco_nxos", "ping 10.0.0.1 count 3", unix, unix_silent),
            ("nokia_sros", "ping 10.0.0.1 count 3", unix, unix_silent),
            ("extreme_exos", "ping count 3 10.0.0.1", exos, exos_silent),
            ("aruba_aosswitch", "ping 10.0.0.1 repetitions 3", junos, junos_silent),
            ("fortinet_fortios", "execute ping 10.0.0.1", junos, junos_silent),
            ("huawei_vrp", "ping -c 3 10.0.0.1", vrp, vrp_silent),
            ("hpe_comware", "ping -c 3 10.0.0.1", vrp, vrp_silent),
            ("hpe_comware", "ping -c 3 10.0.0.1", comware, comware_silent),
            ("mikrotik_routeros", "/ping 10.0.0.1 count=3", routeros, routeros_silent),
        ] {
            let ping = platforms.by_id[id].ping.as_ref().expect(id);
            assert_eq!(ping.command(target), command);
            assert_eq!(ping.reached(good), Ok(true), "{id}");
            assert_eq!(ping.reached(silent), Ok(false), "{id}");
            for neither in ["", "% Unrecognized host", "ping: connect: Network is unreachable"] {
                assert!(ping.reached(neither).is_err(), "{id} {neither}");
            }
        }
    }
}
