//! Whose DHCPv6 request is this, and which URL is its file at? Platform files speak of DHCPv4: what
//! a device says in DHCPv6 is held against the same rules, and the URL is made of the same answers.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use crate::address::Mac;
use crate::platform::answers::{Gaps, Value};
use crate::platform::{Platform, Platforms, Recognised};

/// What a DHCPv6 client tells of its make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Texts of options 16 and 17 (RFC 8415 sections 21.16 and 21.17), each with the number of its
    /// enterprise. Vendors send in either what they send in option 60 of DHCPv4.
    pub classes: Vec<(u32, Vec<u8>)>,
    /// The texts of option 15 (RFC 8415 section 21.15).
    pub user_classes: Vec<Vec<u8>>,
    /// What the vendor made its DUID of (RFC 8415 section 11.3): mostly the serial number.
    pub identifier: Option<Vec<u8>>,
    pub mac: Option<Mac>,
}

/// What a URL is made from.
#[derive(Debug, Clone)]
pub struct UrlFacts {
    /// Our address as the device reaches it.
    pub server: Ipv6Addr,
    /// The device's name in the inventory.
    pub device: String,
    /// Our HTTP port, where HTTP is served.
    pub http_port: Option<u16>,
    /// The image to be installed, by its name on our server.
    pub image: Option<String>,
}

/// Texts of options 16 and 17 that are looked at. Devices send one or two.
const CLASSES_MAX: usize = 8;

/// Options of DHCPv4 that hold the URL of a first file: 67, or one of a vendor's own.
const URL_OPTIONS: [u8; 5] = [67, 114, 209, 239, 240];

impl Platforms {
    /// Tells the platform from a DHCPv6 request.
    pub fn recognise6(&self, told: &Told) -> Option<Recognised> {
        // No frame comes from the address of all zeroes, so no rule asks for it.
        let mac = told.mac.unwrap_or(Mac::new([0; 6]));
        let classes = told.classes.iter().take(CLASSES_MAX).map(Some).chain([None]);
        classes.into_iter().find_map(|class| self.recognise(&as_dhcp4(told, class), mac))
    }
}

/// The same words where DHCPv4 has them: 60 and 124, 61, 77.
fn as_dhcp4(told: &Told, class: Option<&(u32, Vec<u8>)>) -> BTreeMap<u8, Vec<u8>> {
    let mut options = BTreeMap::new();
    if let Some((enterprise, text)) = class {
        options.insert(60, text.clone());
        if let Ok(length) = u8::try_from(text.len()) {
            options.insert(124, [&enterprise.to_be_bytes()[..], &[length], text].concat());
        }
    }
    if let Some(identifier) = &told.identifier {
        // Type 0: what follows is no hardware address (RFC 2132 section 9.14).
        options.insert(61, [&[0], &identifier[..]].concat());
    }
    let counted = |text: &Vec<u8>| {
        u8::try_from(text.len()).map(|length| [&[length], &text[..]].concat()).unwrap_or_default()
    };
    if !told.user_classes.is_empty() {
        options.insert(77, told.user_classes.iter().flat_map(counted).collect());
    }
    options
}

impl Platform {
    /// Where a device of this platform finds its file, for option 59 (RFC 5970 section 3.1): the
    /// first URL among its answers that can be filled, or else its file name by TFTP. `None` for a
    /// platform that takes neither. Where an image is to be installed, and the platform installs by
    /// its own provisioning, that is its file.
    pub fn boot_file_url(&self, facts: &UrlFacts) -> Option<String> {
        let gaps = Gaps {
            server: format!("[{}]", facts.server),
            device: &facts.device,
            http_port: facts.http_port,
            image: facts.image.as_deref(),
        };
        let ztp = self.software.as_ref().map_or(&[][..], |software| &software.ztp);
        let answers = ztp.iter().chain(&self.answers);
        let of_a_file = answers.filter(|answer| URL_OPTIONS.contains(&answer.option));
        let texts = of_a_file.filter_map(|answer| match &answer.value {
            Value::Text(template) => template.fill(&gaps),
            Value::ServerAddress | Value::Bytes(_) | Value::SubOptions(_) => None,
        });
        let texts: Vec<String> = texts.collect();
        let url = texts.iter().find(|text| text.contains("://")).cloned();
        let name = || texts.first().map(|name| format!("tftp://{}/{name}", gaps.server));
        url.or_else(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(told: &Told) -> Option<(String, Option<String>)> {
        let found = Platforms::built_in().recognise6(told)?;
        Some((found.platform.id.clone(), found.serial))
    }

    fn some(id: &str, serial: &str) -> Option<(String, Option<String>)> {
        Some((id.to_owned(), Some(serial.to_owned())))
    }

    #[test]
    fn vendors_are_known_by_what_they_say_in_dhcpv6() {
        let class = |enterprise: u32, text: &str| Told {
            classes: vec![(enterprise, text.as_bytes().to_vec())],
            ..Told::default()
        };
        let arista = class(30065, "Arista;DCS-7050S-64;01.23;JPE12221671");
        assert_eq!(recognised(&arista), some("arista_eos", "JPE12221671"));
        let junos = class(2636, "Juniper:ex9200:JN123456");
        assert_eq!(recognised(&junos), some("juniper_junos", "JN123456"));
        let xr = class(9, "SN:FOC2048X0AB;PID:NCS-5508");
        assert_eq!(recognised(&xr), some("cisco_iosxr", "FOC2048X0AB"));
        let second = Told {
            classes: vec![(343, b"d-i".to_vec()), arista.classes[0].clone()],
            ..Told::default()
        };
        assert_eq!(recognised(&second), some("arista_eos", "JPE12221671"));
        assert_eq!(recognised(&class(311, "MSFT 5.0")), None);
        assert_eq!(recognised(&Told::default()), None);
    }

    #[test]
    fn a_user_class_and_the_vendor_s_own_duid_tell_platform_and_serial() {
        let told = Told {
            user_classes: vec![b"iPXE".to_vec(), b"exr-config".to_vec()],
            identifier: Some(b"FOC2048X0AB".to_vec()),
            ..Told::default()
        };
        assert_eq!(recognised(&told), some("cisco_iosxr", "FOC2048X0AB"));
        let long = Told { user_classes: vec![vec![b'x'; 300]], ..Told::default() };
        assert_eq!(recognised(&long), None);
    }

    #[test]
    fn each_platform_has_its_url_or_none() {
        let platforms = Platforms::built_in();
        let url = |id: &str, http_port| {
            platforms.by_id[id].boot_file_url(&UrlFacts {
                server: "2001:db8::2".parse().unwrap(),
                device: "sw1".into(),
                http_port,
                image: None,
            })
        };
        let of = |text: &str| Some(text.to_owned());
        assert_eq!(url("arista_eos", Some(8080)), of("http://[2001:db8::2]:8080/sw1.cfg"));
        assert_eq!(url("arista_eos", None), of("tftp://[2001:db8::2]/sw1.cfg"));
        assert_eq!(url("cisco_iosxe", Some(80)), of("tftp://[2001:db8::2]/sw1.cfg"));
        assert_eq!(url("cumulus_linux", None), of("tftp://[2001:db8::2]/sw1.sh"));
        assert_eq!(url("nokia_srlinux", None), of("tftp://[2001:db8::2]/sw1.py"));
        assert_eq!(url("cisco_iosxr", None), None, "it takes HTTP alone");
        assert_eq!(url("extreme_exos", Some(80)), None);
    }

    #[test]
    fn an_installer_s_url_is_that_of_the_image_and_no_other_platform_s_is() {
        let platforms = Platforms::built_in();
        let url = |id: &str, image: Option<&str>| {
            platforms.by_id[id].boot_file_url(&UrlFacts {
                server: "2001:db8::2".parse().unwrap(),
                device: "sw1".into(),
                http_port: Some(8080),
                image: image.map(str::to_owned),
            })
        };
        let at = |path: &str| Some(format!("http://[2001:db8::2]:8080/{path}"));
        assert_eq!(url("onie", Some("sonic.bin")), at("sonic.bin"));
        assert_eq!(url("onie", None), at("onie-installer"));
        for id in ["sonic", "cumulus_linux", "juniper_junos", "arista_eos"] {
            assert_eq!(url(id, Some("sonic.bin")), url(id, None), "{id}");
        }
    }
}
