//! What a box is before anybody configures it: its kind, its label, its ports, its factory
//! settings.

use crate::address::Mac;

/// The operating system in the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    CiscoIos,
    AristaEos,
    Frr,
}

/// One box, as it leaves the factory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chassis {
    pub kind: Kind,
    /// As on the label.
    pub serial: String,
    /// The base address: BOOTP's `chaddr`, and the chassis id of LLDP.
    pub mac: Mac,
    pub model: String,
    /// As `show version` prints it.
    pub software: String,
    /// In the order of the front, as the configuration prints them.
    pub ports: Vec<String>,
}

/// Who may log in. The account exists once the configuration names it (or, on Linux, from the
/// start).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    pub password: String,
    /// When set, a session begins unprivileged and `enable` asks for this.
    pub enable: Option<String>,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::CiscoIos, Kind::AristaEos, Kind::Frr];

    /// The id of its platform file.
    pub fn id(self) -> &'static str {
        match self {
            Kind::CiscoIos => "cisco_ios",
            Kind::AristaEos => "arista_eos",
            Kind::Frr => "frr",
        }
    }

    /// The host name of a box that has no configuration.
    pub fn factory_name(self) -> &'static str {
        match self {
            Kind::CiscoIos => "Switch",
            Kind::AristaEos => "localhost",
            Kind::Frr => "switch",
        }
    }

    /// True if a downloaded configuration becomes the startup configuration by itself.
    pub fn persists(self) -> bool {
        match self {
            Kind::AristaEos => true,
            Kind::CiscoIos | Kind::Frr => false,
        }
    }

    /// The name of a port as its tables print it, where that differs from the configuration's.
    pub fn short_port(self, port: &str) -> String {
        match self {
            Kind::CiscoIos => {
                for (long, short) in IOS_SHORT_FORMS {
                    if let Some(rest) = port.strip_prefix(long) {
                        return format!("{short}{rest}");
                    }
                }
                port.to_owned()
            }
            Kind::AristaEos => port.replacen("Ethernet", "Et", 1).replacen("Management", "Ma", 1),
            Kind::Frr => port.to_owned(),
        }
    }

    /// What its LLDP says of the port: the port id (subtype 5, interface name; IEEE 802.1AB section
    /// 8.5.3) and the port description, empty where none is sent.
    pub fn advertised_port(self, port: &str) -> (String, String) {
        match self {
            Kind::CiscoIos => (self.short_port(port), port.to_owned()),
            Kind::AristaEos => (port.to_owned(), String::new()),
            Kind::Frr => (port.to_owned(), port.to_owned()),
        }
    }
}

const IOS_SHORT_FORMS: [(&str, &str); 4] = [
    ("TwentyFiveGigE", "Twe"),
    ("TenGigabitEthernet", "Te"),
    ("GigabitEthernet", "Gi"),
    ("FastEthernet", "Fa"),
];

impl Chassis {
    /// A C9300-48P: 48 ports and two uplink ports, GigabitEthernet1/0/1 to 1/0/50.
    pub fn cisco(serial: &str, mac: Mac) -> Self {
        Self {
            kind: Kind::CiscoIos,
            serial: serial.into(),
            mac,
            model: "C9300-48P".into(),
            software: "17.9.4a".into(),
            ports: (1..=50).map(|n| format!("GigabitEthernet1/0/{n}")).collect(),
        }
    }

    /// A DCS-7010TX-48: Ethernet1 to Ethernet52 and Management1.
    pub fn arista(serial: &str, mac: Mac) -> Self {
        let mut ports: Vec<String> = (1..=52).map(|n| format!("Ethernet{n}")).collect();
        ports.push("Management1".into());
        Self {
            kind: Kind::AristaEos,
            serial: serial.into(),
            mac,
            model: "DCS-7010TX-48".into(),
            software: "4.32.2F".into(),
            ports,
        }
    }

    /// A white box: swp1 to swp10 and mgmt0, Linux with FRR and lldpd.
    pub fn frr(serial: &str, mac: Mac) -> Self {
        let mut ports: Vec<String> = (1..=10).map(|n| format!("swp{n}")).collect();
        ports.push("mgmt0".into());
        Self {
            kind: Kind::Frr,
            serial: serial.into(),
            mac,
            model: "Edge-10".into(),
            software: "10.2.1".into(),
            ports,
        }
    }

    /// The lines it runs before anybody configured it.
    pub fn factory_lines(&self) -> String {
        let name = self.kind.factory_name();
        match self.kind {
            Kind::CiscoIos => {
                let mut text = format!(
                    "version 17.9\nservice timestamps debug datetime msec\n\
                     service timestamps log datetime msec\nhostname {name}\nno aaa new-model\n\
                     lldp run\n"
                );
                for port in &self.ports {
                    text.push_str(&format!("interface {port}\n"));
                }
                text.push_str(
                    "interface Vlan1\n no ip address\nip forward-protocol nd\nip http server\n\
                     line con 0\n stopbits 1\nline vty 0 4\n login\nline vty 5 15\n login\n",
                );
                text
            }
            Kind::AristaEos => {
                let mut text = String::from("no aaa root\nspanning-tree mode mstp\n");
                for port in &self.ports {
                    text.push_str(&format!("interface {port}\n"));
                }
                text.push_str("no ip routing\n");
                text
            }
            Kind::Frr => {
                format!(
                    "frr version {}\nfrr defaults traditional\nhostname {name}\n",
                    self.software
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_speaks_of_its_ports_in_its_own_way() {
        for (kind, port, id, description) in [
            (Kind::CiscoIos, "GigabitEthernet1/0/47", "Gi1/0/47", "GigabitEthernet1/0/47"),
            (Kind::CiscoIos, "TenGigabitEthernet1/1/1", "Te1/1/1", "TenGigabitEthernet1/1/1"),
            (Kind::AristaEos, "Ethernet3", "Ethernet3", ""),
            (Kind::Frr, "swp2", "swp2", "swp2"),
        ] {
            assert_eq!(kind.advertised_port(port), (id.to_owned(), description.to_owned()));
        }
    }
}
