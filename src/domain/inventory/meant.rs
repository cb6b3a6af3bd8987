//! The inventory as meant: nothing left to guess, every reference resolved, one index per way to be
//! known.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use crate::address::Mac;
pub use crate::complaint::Place;
pub use crate::domain::inventory::expected::Expectations;
pub use crate::domain::inventory::software::{Image, Install, Software};
use crate::proto::dhcp4::relay;

/// Everything that is planned. Immutable: a reload makes a new one.
#[derive(Debug, Default)]
pub struct Inventory {
    /// In the order written.
    pub devices: Vec<Arc<Device>>,
    pub sites: BTreeMap<String, Arc<Site>>,
    pub by_name: HashMap<String, usize>,
    /// Serials in upper case.
    pub by_serial: HashMap<String, usize>,
    pub by_mac: HashMap<Mac, usize>,
    pub by_position: HashMap<Position, usize>,
    pub by_address: HashMap<Ipv4Addr, usize>,
    pub by_address6: HashMap<Ipv6Addr, usize>,
    /// By name of the device: the hosts that are passed on the way to it, the first one first.
    /// Devices that are entered directly are absent.
    pub jumps: HashMap<String, Arc<[JumpReference]>>,
}

impl Inventory {
    /// These devices, found by everything that tells them. What two of them claim is the last
    /// one's.
    pub fn of<D: Into<Arc<Device>>>(devices: impl IntoIterator<Item = D>) -> Self {
        let mut inventory = Self::default();
        for (index, device) in devices.into_iter().map(Into::into).enumerate() {
            inventory.by_name.insert(device.name.clone(), index);
            let serial = device.serial.as_ref().map(|serial| (serial.to_uppercase(), index));
            inventory.by_serial.extend(serial);
            inventory.by_mac.extend(device.macs.iter().map(|mac| (*mac, index)));
            let position = device.position.clone().map(|position| (position, index));
            inventory.by_position.extend(position);
            inventory.by_address.extend(device.address.map(|address| (address, index)));
            inventory.by_address6.extend(device.address6.map(|address| (address, index)));
            inventory.devices.push(device);
        }
        inventory
    }

    /// The hosts that are passed on the way to a device; mostly none.
    pub fn jumps_to(&self, device: &str) -> &[JumpReference] {
        self.jumps.get(device).map(AsRef::as_ref).unwrap_or_default()
    }

    pub fn device(&self, name: &str) -> Option<&Arc<Device>> {
        self.by_name.get(name).map(|index| &self.devices[*index])
    }

    pub fn with_serial(&self, serial: &str) -> Option<&Arc<Device>> {
        self.by_serial.get(&serial.to_ascii_uppercase()).map(|index| &self.devices[*index])
    }

    pub fn with_mac(&self, mac: Mac) -> Option<&Arc<Device>> {
        self.by_mac.get(&mac).map(|index| &self.devices[*index])
    }

    /// The device planned at this position, which was heard: written as it is or as people read it
    /// ([`relay::readable`]), of this remote id or of any.
    pub fn at_position(&self, heard: &Position) -> Option<&Arc<Device>> {
        let Position { circuit_id, remote_id } = heard;
        let circuits = [Some(circuit_id.clone()), relay::readable(circuit_id)];
        let remote = remote_id.as_deref().and_then(relay::readable);
        let remotes = [remote_id.clone(), remote].into_iter().flatten().map(Some);
        remotes.chain([None]).find_map(|remote_id| {
            circuits.iter().flatten().find_map(|circuit_id| {
                let circuit_id = circuit_id.clone();
                let index =
                    self.by_position.get(&Position { circuit_id, remote_id: remote_id.clone() })?;
                Some(&self.devices[*index])
            })
        })
    }

    pub fn with_address(&self, address: Ipv4Addr) -> Option<&Arc<Device>> {
        self.by_address.get(&address).map(|index| &self.devices[*index])
    }

    pub fn with_address6(&self, address: Ipv6Addr) -> Option<&Arc<Device>> {
        self.by_address6.get(&address).map(|index| &self.devices[*index])
    }
}

/// A place where devices stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pub name: String,
    /// What people call it; the name if nothing else was written.
    pub title: String,
    /// The chat channel of this site, if it has its own.
    pub channel: Option<String>,
    /// The language of its installers, if it is not the usual one.
    pub language: Option<String>,
}

/// Where a device is plugged in, as its DHCP relay tells it: option 82 of DHCPv4 (RFC 3046), and in
/// DHCPv6 the Interface-Id (RFC 8415 section 21.18) with the Remote-Id (RFC 4649).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// Option 82 sub-option 1 or Interface-Id, as text; binary ones as lower-case hex after `0x`.
    /// A plan may also write the form of [`relay::readable`].
    pub circuit_id: String,
    /// Option 82 sub-option 2 or Remote-Id, likewise; `None` matches any.
    pub remote_id: Option<String>,
}

impl Position {
    /// The same as people write it, where that differs: `vlan 10 port 1/7` for `0x0004000a0107`.
    pub fn readable(&self) -> Option<Self> {
        let circuit_id = relay::readable(&self.circuit_id);
        let remote_id = self.remote_id.as_deref().and_then(relay::readable);
        if circuit_id.is_none() && remote_id.is_none() {
            return None;
        }
        Some(Self {
            circuit_id: circuit_id.unwrap_or_else(|| self.circuit_id.clone()),
            remote_id: remote_id.or_else(|| self.remote_id.clone()),
        })
    }

    /// Where it is, for people.
    pub fn shown(&self) -> String {
        let id = &self.circuit_id;
        relay::readable(id).map_or_else(|| id.clone(), |readable| format!("{readable} ({id})"))
    }
}

/// One planned device.
#[derive(Debug, Clone)]
pub struct Device {
    pub name: String,
    pub site: String,
    /// The id of a platform file, such as `cisco_ios`.
    pub platform: String,
    /// As written; compared without case.
    pub serial: Option<String>,
    pub macs: Vec<Mac>,
    pub position: Option<Position>,
    /// The management address: reserved for it in DHCP and used for SSH.
    pub address: Option<Ipv4Addr>,
    /// The management address of IPv6: reserved for it in DHCPv6.
    pub address6: Option<Ipv6Addr>,
    /// TCP port of SSH, 22 unless written.
    pub ssh_port: u16,
    /// False for what is in service already: a neighbour to be seen, never served.
    pub managed: bool,
    /// The template's file name below the template directory; `None` for an unmanaged device.
    pub template: Option<String>,
    /// The template of what the device must run, where the file that it fetches first is something
    /// else: a script. `None` if that file is what it must run.
    pub configuration: Option<String>,
    /// Defaults, group, site and device variables merged, the nearest last.
    pub variables: Variables,
    /// The software planned.
    pub software: Option<Arc<Software>>,
    /// What else must be proven.
    pub expects: Arc<Expectations>,
    pub neighbours: Vec<PlannedNeighbour>,
    /// What is made of somebody who is heard on a port of no plan.
    pub unplanned_neighbours: Unplanned,
    /// In the order to be tried.
    pub credentials: Vec<CredentialReference>,
    /// Where it stands, in words for the installer: `Building 2, rack 4`. May be empty.
    pub location: String,
    /// Where it is written.
    pub place: Place,
}

impl Device {
    /// A device to be provisioned of which only the name and the system are known. All else is as
    /// where nothing is written.
    pub fn named(name: &str, platform: &str) -> Self {
        Self {
            name: name.to_owned(),
            site: String::new(),
            platform: platform.to_owned(),
            serial: None,
            macs: Vec::new(),
            position: None,
            address: None,
            address6: None,
            ssh_port: crate::domain::inventory::access::SSH_PORT,
            managed: true,
            template: None,
            configuration: None,
            variables: Variables::default(),
            software: None,
            expects: Arc::default(),
            neighbours: Vec::new(),
            unplanned_neighbours: Unplanned::default(),
            credentials: Vec::new(),
            location: String::new(),
            place: Place::default(),
        }
    }

    /// Its planned address; that of IPv4 if it has both.
    pub fn planned_address(&self) -> Option<IpAddr> {
        self.address.map(IpAddr::V4).or(self.address6.map(IpAddr::V6))
    }

    /// The device with what it must run as its template: whoever renders it gets that, instead of
    /// the file that it fetches first.
    pub fn configured(&self) -> Cow<'_, Device> {
        match &self.configuration {
            None => Cow::Borrowed(self),
            Some(_) => Cow::Owned(Device { template: self.configuration.clone(), ..self.clone() }),
        }
    }

    /// True if its template makes what it must run and never the file that it fetches first.
    pub fn is_configured(&self) -> bool {
        self.configuration.is_some() && self.template == self.configuration
    }
}

/// What a template finds by name: what defaults, group and site say, and what the device adds.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// One for all devices of the same group and site.
    pub shared: Arc<serde_json::Map<String, serde_json::Value>>,
    /// Wins over what is shared.
    pub own: serde_json::Map<String, serde_json::Value>,
}

impl Variables {
    /// All of them: those that are shared in the order written, then those that are not.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &serde_json::Value)> {
        let nearest = |(name, value)| (name, self.own.get(name).unwrap_or(value));
        let added = self.own.iter().filter(|(name, _)| !self.shared.contains_key(*name));
        self.shared.iter().map(nearest).chain(added)
    }
}

impl From<serde_json::Map<String, serde_json::Value>> for Variables {
    fn from(own: serde_json::Map<String, serde_json::Value>) -> Self {
        Self { shared: Arc::default(), own }
    }
}

/// What is made of neighbours that nobody planned, on ports that nobody planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unplanned {
    Ignore,
    /// Written into the journal.
    #[default]
    Remark,
    /// Not green until they are gone.
    Fail,
}

impl Unplanned {
    /// As it is written in the inventory.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ignore" => Some(Unplanned::Ignore),
            "remark" => Some(Unplanned::Remark),
            "fail" => Some(Unplanned::Fail),
            _ => None,
        }
    }
}

/// One cable of the plan, seen from one end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedNeighbour {
    /// As printed on our box.
    pub local_port: String,
    pub device: String,
    /// As printed on the other box.
    pub port: String,
}

/// Where a login stands; never the login itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialReference {
    pub username: String,
    /// Absent where there is a key.
    pub password: Option<SecretSource>,
    /// Tried before the password.
    pub key: Option<KeyReference>,
    /// The enable password, where the platform asks for one.
    pub enable: Option<SecretSource>,
}

impl CredentialReference {
    /// Every secret of this login.
    pub fn sources(&self) -> impl Iterator<Item = &SecretSource> {
        let key = self.key.iter().flat_map(|key| [Some(&key.text), key.passphrase.as_ref()]);
        self.password.iter().chain(key.flatten()).chain(&self.enable)
    }
}

/// Where a private key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReference {
    pub text: SecretSource,
    pub passphrase: Option<SecretSource>,
}

/// A host that is logged in to on the way to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JumpReference {
    /// A name or an address.
    pub host: String,
    pub port: u16,
    /// In the order to be tried.
    pub credentials: Vec<CredentialReference>,
    /// `SHA256:...`; without it the key that was seen first is pinned, for ever.
    pub host_key: Option<String>,
}

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// The name of an environment variable.
    Environment(String),
    /// The path of a file; a final line end is not part of the secret.
    File(String),
    /// A program and its arguments, which prints the secret; a final line end is not part of it.
    Command(Vec<String>),
}

impl SecretSource {
    /// The same with paths that begin at `directory`: of a file, and of a program that is named by
    /// a path.
    pub fn within(&self, directory: &Path) -> Self {
        let joined = |path: &str| directory.join(path).to_string_lossy().into_owned();
        match self {
            SecretSource::Environment(name) => SecretSource::Environment(name.clone()),
            SecretSource::File(path) => SecretSource::File(joined(path)),
            SecretSource::Command(words) => {
                let mut words = words.clone();
                if let Some(program) = words.first_mut().filter(|program| program.contains('/')) {
                    *program = joined(program);
                }
                SecretSource::Command(words)
            }
        }
    }
}
