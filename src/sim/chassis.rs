//! What a box is before anybody configures it: its kind, its label, its ports, its factory settings.

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

/// Who may log in. The account exists once the configuration names it (or, on Linux, from the start).
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
            Kind::Frr => "debian",
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

    /// What its LLDP says of the port: port id and port description.
    pub fn advertised_port(self, port: &str, mac: Mac) -> (PortId, String) {
        match self {
            Kind::CiscoIos => (PortId::Name(self.short_port(port)), port.to_owned()),
            Kind::AristaEos => (PortId::Name(port.to_owned()), String::new()),
            // lldpd's default: the port's own MAC as id, the interface name as description.
            Kind::Frr => (PortId::Mac(port_mac(mac, port)), port.to_owned()),
        }
    }
}

/// The port id of LLDP (IEEE 802.1AB section 8.5.3), by the two subtypes that the kinds here send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortId {
    /// Subtype 5, interface name.
    Name(String),
    /// Subtype 3, MAC address.
    Mac(Mac),
}

const IOS_SHORT_FORMS: [(&str, &str); 4] = [
    ("TwentyFiveGigE", "Twe"),
    ("TenGigabitEthernet", "Te"),
    ("GigabitEthernet", "Gi"),
    ("FastEthernet", "Fa"),
];

/// A port's own address: the base address plus the digits of the port's name.
fn port_mac(base: Mac, port: &str) -> Mac {
    let number = port
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0u8, |sum, digit| sum.wrapping_mul(10).wrapping_add(digit - b'0'));
    let mut octets = base.octets();
    octets[5] = octets[5].wrapping_add(number).wrapping_add(1);
    Mac::new(octets)
}

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

    /// A white box: eth0 to eth9, Linux with FRR and lldpd.
    pub fn frr(serial: &str, mac: Mac) -> Self {
        Self {
            kind: Kind::Frr,
            serial: serial.into(),
            mac,
            model: "Edge-10".into(),
            software: "10.2.1".into(),
            ports: (0..=9).map(|n| format!("eth{n}")).collect(),
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
        let mac = Mac::new([2, 0, 0, 0, 1, 0]);
        let said = |kind: Kind, port: &str| kind.advertised_port(port, mac);
        assert_eq!(
            said(Kind::CiscoIos, "GigabitEthernet1/0/47"),
            (PortId::Name("Gi1/0/47".into()), "GigabitEthernet1/0/47".into())
        );
        assert_eq!(
            said(Kind::AristaEos, "Ethernet3"),
            (PortId::Name("Ethernet3".into()), "".into())
        );
        let (id, description) = said(Kind::Frr, "eth2");
        assert_eq!(description, "eth2");
        assert_eq!(id, PortId::Mac("02:00:00:00:01:03".parse().unwrap()));
    }
}
