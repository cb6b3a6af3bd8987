//! The inventory from written to meant: names looked up, layers joined, doubles found.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::path::Path;
use std::sync::Arc;

use crate::complaint::{Complaint, Complaints, Place};
use crate::domain::inventory::access::{self, Chains, SSH_PORT};
use crate::domain::inventory::addresses::{address, address6, macs};
use crate::domain::inventory::cables;
use crate::domain::inventory::expecting::Expecting;
use crate::domain::inventory::meant::{
    Device, Inventory, Position, SecretSource, Site, Unplanned, Variables,
};
use crate::domain::inventory::written::{
    self, Layer, WrittenDevice, WrittenInventory, WrittenPosition, WrittenSite,
};
use crate::written::fields::listed;
use crate::written::{At, shown};

/// What the plan may refer to outside itself.
pub struct Known<'a> {
    /// The ids of all platforms. While it is empty, platforms are not checked.
    pub platforms: &'a BTreeSet<String>,
    /// The languages there are words for. While it is empty, languages are not checked.
    pub languages: &'a BTreeSet<String>,
    /// The templates' file names.
    pub templates: &'a BTreeSet<String>,
    /// One spelling for one port: platform id and port, as in
    /// [`crate::platform::Platform::canonical_port`].
    pub canonical_port: &'a dyn Fn(&str, &str) -> String,
    /// Where relative paths of secrets begin.
    pub directory: &'a Path,
}

/// The plan, and where the secrets of its templates stand.
#[derive(Debug, Default)]
pub struct Planned {
    pub inventory: Inventory,
    /// By device name; devices without secrets are absent, equal sets are shared.
    pub secrets: HashMap<String, Arc<SecretSet>>,
    /// Devices whose group or site is unknown: what they lack says nothing about their template.
    pub incomplete: HashSet<usize>,
    /// Devices in service for which they or their group name a login: they are to be asked.
    pub entered: Vec<usize>,
}

impl Planned {
    /// Makes room for the indexes that nearly every device is in.
    fn reserve(&mut self, devices: usize) {
        self.inventory.by_name.reserve(devices);
        self.inventory.by_serial.reserve(devices);
        self.inventory.by_mac.reserve(devices);
        self.inventory.by_address.reserve(devices);
        self.secrets.reserve(devices);
    }
}

/// The secrets of one device's template, by the name the template uses.
pub type SecretSet = BTreeMap<String, SecretSource>;

/// Reads and resolves the text of an inventory. The plan is there in any case; it may be used only
/// if there are no complaints.
pub fn plan(file: &str, text: &str, known: &Known<'_>) -> (Planned, Vec<Complaint>) {
    let mut complaints = Complaints::about(file);
    let written = written::read(text, &mut complaints);
    let planned = resolve(&written, known, &mut complaints);
    (planned, complaints.finish(text))
}

/// The same for an inventory that was read without complaints.
pub fn plan_read(
    file: &str,
    text: &str,
    written: &WrittenInventory,
    known: &Known<'_>,
) -> (Planned, Vec<Complaint>) {
    let mut complaints = Complaints::about(file);
    let planned = resolve(written, known, &mut complaints);
    (planned, complaints.finish(text))
}

fn resolve(written: &WrittenInventory, known: &Known<'_>, complaints: &mut Complaints) -> Planned {
    let nothing = Layer::default();
    let defaults = written.defaults.as_ref().unwrap_or(&nothing);
    let layers = Layers {
        defaults,
        groups: written.groups.iter().map(|(name, layer)| (name.value.as_str(), layer)).collect(),
        sites: written.sites.iter().map(|(name, site)| (name.value.as_str(), site)).collect(),
    };
    let shared = written
        .groups
        .iter()
        .map(|(_, layer)| layer)
        .chain(written.sites.iter().map(|(_, site)| &site.layer))
        .chain([defaults]);
    for layer in shared {
        references(layer, known, complaints);
    }
    let mut planned = Planned::default();
    for (name, site) in &written.sites {
        spoken(site, known, complaints);
        planned.inventory.sites.insert(name.value.clone(), Arc::new(meant_site(name, site)));
    }
    let mut sets: HashMap<[usize; 3], Arc<SecretSet>> = HashMap::new();
    let mut shared: HashMap<[usize; 3], Arc<Map>> = HashMap::new();
    planned.reserve(written.devices.len());
    let mut devices = Vec::with_capacity(written.devices.len());
    let mut seen = Seen::default();
    let mut expecting = Expecting::default();
    let mut chains = Chains::default();
    for device in &written.devices {
        references(&device.layer, known, complaints);
        let (stack, complete) = layers.of(device, complaints);
        if !complete {
            planned.incomplete.insert(devices.len());
        }
        if let Some(secrets) = secrets_of(&stack, known, &mut sets) {
            planned.secrets.insert(device.name.value.clone(), secrets);
        }
        if let Some(chain) = chains.of(&stack, known.directory) {
            planned.inventory.jumps.insert(device.name.value.clone(), chain);
        }
        let mut meant = meant_device(device, &stack, known, complaints);
        if !meant.managed && access::names_a_login(&stack) {
            planned.entered.push(devices.len());
        }
        if meant.managed {
            meant.variables = variables(&stack, &mut shared);
            let [defaults, group, site, _] = stack;
            meant.expects = expecting.of(device, [defaults, group, site], complaints);
        }
        seen.add(&mut planned.inventory, device, &meant, complaints);
        devices.push(meant);
    }
    cables::lay(written, &mut devices, &planned.inventory.by_name, known, complaints);
    planned.inventory.devices = devices.into_iter().map(Arc::new).collect();
    planned
}

fn meant_site(name: &At<String>, site: &WrittenSite) -> Site {
    let written = |text: &Option<At<String>>| text.as_ref().map(|text| text.value.clone());
    Site {
        name: name.value.clone(),
        title: written(&site.title).unwrap_or_else(|| name.value.clone()),
        channel: written(&site.channel),
        language: written(&site.language),
    }
}

/// There must be words for the language of a site.
fn spoken(site: &WrittenSite, known: &Known<'_>, complaints: &mut Complaints) {
    let Some(language) = &site.language else { return };
    if known.languages.is_empty() || known.languages.contains(&language.value) {
        return;
    }
    let names: Vec<&str> = known.languages.iter().map(String::as_str).collect();
    let message = format!("there are no words for the language `{}`", shown(&language.value));
    complaints.at(language.place, message, format!("known are {}", names.join(", ")));
}

/// Platform and template must exist, wherever they are named.
fn references(layer: &Layer, known: &Known<'_>, complaints: &mut Complaints) {
    if let Some(platform) = &layer.platform
        && !known.platforms.is_empty()
        && !known.platforms.contains(&platform.value)
    {
        let names = || known.platforms.iter().map(String::as_str);
        let hint = complaints.look_alike(&platform.value, names(), || {
            format!("known are {}", listed(&names().collect::<Vec<_>>()))
        });
        let message = format!("there is no platform `{}`", shown(&platform.value));
        complaints.at(platform.place, message, hint);
    }
    for template in layer.template.iter().chain(&layer.configuration) {
        if known.templates.contains(&template.value) {
            continue;
        }
        let names = known.templates.iter().map(String::as_str);
        let hint = complaints.look_alike(&template.value, names, || {
            "put the file into the template directory, named *.j2 or *.tera".to_owned()
        });
        let message = format!("there is no template `{}`", shown(&template.value));
        complaints.at(template.place, message, hint);
    }
}

/// The shared layers, by name.
struct Layers<'w> {
    defaults: &'w Layer,
    groups: HashMap<&'w str, &'w Layer>,
    sites: HashMap<&'w str, &'w WrittenSite>,
}

/// Defaults, group, site and device: the nearest last.
type Stack<'w> = [&'w Layer; 4];

impl<'w> Layers<'w> {
    /// Also tells whether group and site were found.
    fn of(&self, device: &'w WrittenDevice, complaints: &mut Complaints) -> (Stack<'w>, bool) {
        let site = self.sites.get(device.site.value.as_str());
        if site.is_none() && !device.site.value.is_empty() {
            let message = format!("there is no site `{}`", shown(&device.site.value));
            let hint =
                complaints.look_alike(&device.site.value, self.sites.keys().copied(), || {
                    "describe it under `sites:`".to_owned()
                });
            complaints.at(device.site.place, message, hint);
        }
        let group = device.group.as_ref().and_then(|name| {
            let group = self.groups.get(name.value.as_str()).copied();
            if group.is_none() {
                let message = format!("there is no group `{}`", shown(&name.value));
                let hint = complaints.look_alike(&name.value, self.groups.keys().copied(), || {
                    "describe it under `groups:`".to_owned()
                });
                complaints.at(name.place, message, hint);
            }
            group
        });
        let complete = site.is_some() && (group.is_some() || device.group.is_none());
        let site = site.map_or(self.defaults, |site| &site.layer);
        ([self.defaults, group.unwrap_or(self.defaults), site, &device.layer], complete)
    }
}

/// The nearest layer that says something.
fn nearest<'w, T>(stack: &Stack<'w>, pick: impl Fn(&'w Layer) -> Option<T>) -> Option<T> {
    stack.iter().rev().find_map(|layer| pick(layer))
}

fn secrets_of(
    stack: &Stack<'_>,
    known: &Known<'_>,
    sets: &mut HashMap<[usize; 3], Arc<SecretSet>>,
) -> Option<Arc<SecretSet>> {
    if stack.iter().all(|layer| layer.secrets.is_empty()) {
        return None;
    }
    let join = || {
        let pairs = stack.iter().flat_map(|layer| &layer.secrets);
        pairs
            .map(|(name, secret)| {
                (name.value.clone(), access::source(&secret.source, known.directory))
            })
            .collect()
    };
    let [defaults, group, site, device] = stack;
    if !device.secrets.is_empty() {
        return Some(Arc::new(join()));
    }
    Some(sets.entry(identity([defaults, group, site])).or_insert_with(|| Arc::new(join())).clone())
}

/// The address of a layer is its identity for as long as the written inventory is borrowed.
fn identity(layers: [&Layer; 3]) -> [usize; 3] {
    layers.map(|layer| std::ptr::from_ref(layer).addr())
}

fn meant_device(
    written: &WrittenDevice,
    stack: &Stack<'_>,
    known: &Known<'_>,
    complaints: &mut Complaints,
) -> Device {
    let managed = nearest(stack, |layer| layer.managed).unwrap_or(true);
    let text = |pick: fn(&Layer) -> &Option<At<String>>| {
        nearest(stack, |layer| pick(layer).as_ref().map(|text| text.value.clone()))
    };
    let platform = text(|layer| &layer.platform);
    let template = text(|layer| &layer.template);
    let device = Device {
        name: written.name.value.clone(),
        site: written.site.value.clone(),
        platform: platform.unwrap_or_default(),
        serial: written.serial.as_ref().map(|serial| serial.value.clone()),
        macs: macs(&written.mac, complaints),
        position: written.position.as_ref().map(|position| meant_position(position, complaints)),
        address: address(written.address.as_ref(), complaints),
        address6: address6(written.address6.as_ref(), complaints),
        ssh_port: nearest(stack, |layer| layer.ssh_port.as_ref().map(|port| port.value))
            .unwrap_or(SSH_PORT),
        managed,
        configuration: text(|layer| &layer.configuration)
            .filter(|name| managed && template.as_ref() != Some(name)),
        template: template.filter(|_| managed),
        variables: Variables::default(),
        software: nearest(stack, |layer| Some(Arc::clone(&layer.software.as_ref()?.0))),
        expects: Arc::default(),
        neighbours: Vec::new(),
        unplanned_neighbours: text(|layer| &layer.unplanned_neighbours)
            .and_then(|word| Unplanned::named(&word))
            .unwrap_or_default(),
        credentials: nearest(stack, |layer| layer.credentials.as_deref())
            .map(|list| {
                list.iter().map(|login| access::credential(login, known.directory)).collect()
            })
            .unwrap_or_default(),
        location: written.location.as_ref().map(|text| text.value.clone()).unwrap_or_default(),
        place: written.place,
    };
    name_complaint(&written.name, complaints);
    if managed {
        lacks(written, &device, complaints);
    }
    device
}

/// A host name as every platform, file system and chat takes it.
fn name_complaint(name: &At<String>, complaints: &mut Complaints) {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let good = name.value.len() <= NAME_BYTES_MAX
        && name.value.chars().all(fits)
        && !name.value.starts_with(['.', '-']);
    if !good {
        let message = format!("`{}` cannot be a device's name", shown(&name.value));
        let hint = "use letters, digits, `-`, `_` and `.`, at most 63, a letter or digit first";
        complaints.at(name.place, message, hint);
    }
}

/// One label of a domain name (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 63;

/// What a device must say before it can be served and proven.
fn lacks(written: &WrittenDevice, device: &Device, complaints: &mut Complaints) {
    let mut lack = |what: &str, hint: &str| {
        let message = format!("device `{}` {what}", shown(&device.name));
        complaints.at(written.place, message, hint);
    };
    if device.platform.is_empty() {
        lack("has no platform", "write `platform:` here or in its group");
    }
    if device.template.is_none() {
        lack("has no template", "write `template:` here or in its group");
    }
    if device.credentials.is_empty() {
        lack("has no credentials", "without a login nothing can be proven; see `credentials:`");
    }
    if written.serial.is_none()
        && written.members.is_empty()
        && written.mac.is_empty()
        && written.position.is_none()
    {
        lack("cannot be recognised", "write its `serial:`, `mac:` or `position:`");
    }
}

fn meant_position(written: &WrittenPosition, complaints: &mut Complaints) -> Position {
    let mut text = |id: &At<String>| {
        if let Some(hex) = id.value.strip_prefix("0x")
            && (hex.is_empty()
                || hex.len() % 2 != 0
                || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            let message = format!("`{}` is no whole number of hex bytes", shown(&id.value));
            complaints.at(id.place, message, "write two hex digits for each byte after `0x`");
        }
        match id.value.strip_prefix("0x") {
            Some(hex) => format!("0x{}", hex.to_ascii_lowercase()),
            None => id.value.clone(),
        }
    };
    let circuit_id = text(&written.circuit_id);
    let remote_id = written.remote_id.as_ref().map(text);
    Position { circuit_id, remote_id }
}

type Map = serde_json::Map<String, serde_json::Value>;

fn variables(stack: &Stack<'_>, known: &mut HashMap<[usize; 3], Arc<Map>>) -> Variables {
    let [defaults, group, site, device] = stack;
    let shared = known.entry(identity([defaults, group, site])).or_insert_with(|| {
        let mut joined = defaults.variables.clone();
        for layer in [group, site] {
            // A device without group or site has the defaults in their place.
            if !std::ptr::eq(*layer, *defaults) {
                join(&mut joined, &layer.variables);
            }
        }
        Arc::new(joined)
    });
    // No larger than it has to be: there is one for each device.
    let mut own = Map::with_capacity(device.variables.len());
    for (key, value) in &device.variables {
        // What would be joined is first brought here from what is shared.
        if let Some(outer) = shared.get(key).filter(|outer| outer.is_object() && value.is_object())
        {
            own.insert(key.clone(), outer.clone());
        }
    }
    join(&mut own, &device.variables);
    Variables { shared: shared.clone(), own }
}

/// Maps are joined key by key, anything else is replaced.
fn join(outer: &mut Map, inner: &Map) {
    for (key, value) in inner {
        match (outer.get_mut(key), value) {
            (Some(serde_json::Value::Object(outer)), serde_json::Value::Object(inner)) => {
                join(outer, inner);
            }
            _ => {
                outer.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Where each name, serial, MAC, position and address was seen first.
#[derive(Default)]
struct Seen {
    places: Vec<Place>,
}

impl Seen {
    fn add(
        &mut self,
        inventory: &mut Inventory,
        written: &WrittenDevice,
        device: &Device,
        complaints: &mut Complaints,
    ) {
        let index = self.places.len();
        self.places.push(written.place);
        let mut once = Once { places: &self.places, index, complaints };
        if !device.name.is_empty() {
            once.only(&mut inventory.by_name, device.name.clone(), &written.name.place, "name");
        }
        if let Some(serial) = &written.serial {
            let key = serial.value.to_ascii_uppercase();
            once.only(&mut inventory.by_serial, key, &serial.place, "serial");
        }
        // Any chassis of a stack may ask for the whole.
        for member in &written.members {
            let key = member.serial.value.trim().to_ascii_uppercase();
            if device.serial.as_ref().is_none_or(|serial| !serial.eq_ignore_ascii_case(&key)) {
                once.only(&mut inventory.by_serial, key, &member.serial.place, "serial");
            }
        }
        for mac in &written.mac {
            if let Ok(key) = mac.value.parse() {
                once.only(&mut inventory.by_mac, key, &mac.place, "MAC address");
            }
        }
        if let (Some(key), Some(position)) = (&device.position, &written.position) {
            once.only(&mut inventory.by_position, key.clone(), &position.place, "position");
            // The other way to write it, so that it is nobody else's.
            if let Some(readable) = key.readable() {
                once.only(&mut inventory.by_position, readable, &position.place, "position");
            }
        }
        if let (Some(key), Some(address)) = (device.address, &written.address) {
            once.only(&mut inventory.by_address, key, &address.place, "address");
        }
        if let (Some(key), Some(address)) = (device.address6, &written.address6) {
            once.only(&mut inventory.by_address6, key, &address.place, "IPv6 address");
        }
    }
}

/// Puts a device into an index, or complains that another one is there.
struct Once<'c> {
    places: &'c [Place],
    index: usize,
    complaints: &'c mut Complaints,
}

impl Once<'_> {
    fn only<K: Hash + Eq>(
        &mut self,
        index: &mut HashMap<K, usize>,
        key: K,
        place: &Place,
        what: &str,
    ) {
        match index.entry(key) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(self.index);
            }
            std::collections::hash_map::Entry::Occupied(occupied) => {
                let first = self.places[*occupied.get()];
                let message = format!("two devices have this {what}");
                let hint = match *occupied.get() == self.index {
                    true => "it stands twice on this device".to_owned(),
                    false => format!("the other device begins in line {}", first.line),
                };
                self.complaints.at(*place, message, hint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A sound plan; the cases below put lines after it.
    const SOUND: &str = "\
defaults:
  credentials: [{ username: u, password: { env: P } }]
sites:
  zurich: { title: Zürich }
groups:
  access: { platform: cisco_ios, template: access.j2, variables: { a: { x: 1, y: 2 } } }
devices:
  - { name: dist-1, site: zurich, managed: false, address6: '2001:db8::1' }
  - name: access-1
    site: zurich
    group: access
    serial: FOC1
    mac: 00:1b:21:aa:00:01
    address: 192.0.2.1
    position: { circuit_id: 0x0A0B }
    neighbours: ['Gi1/0/1 -> dist-1, Gi1/0/9']
";

    fn planned(text: &str) -> (Planned, Vec<String>) {
        let known = Known {
            languages: &["de".to_owned(), "en".to_owned()].into(),
            platforms: &["cisco_ios", "frr"].map(str::to_owned).into(),
            templates: &["access.j2".to_owned()].into(),
            canonical_port: &|_, port| port.to_ascii_lowercase().replace("gigabitethernet", "gi"),
            directory: Path::new("/plan"),
        };
        let (planned, complaints) = plan("i.yaml", text, &known);
        (planned, complaints.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_sound_plan_is_known_by_every_name() {
        let (Planned { inventory, .. }, complaints) = planned(SOUND);
        assert_eq!(complaints, [""; 0]);
        let device = inventory.device("access-1").unwrap();
        assert_eq!(device.platform, "cisco_ios");
        assert_eq!(device.ssh_port, 22);
        assert_eq!(inventory.with_serial("foc1").unwrap().name, "access-1");
        assert_eq!(inventory.with_address([192, 0, 2, 1].into()).unwrap().name, "access-1");
        let address6 = "2001:db8:0::1".parse().unwrap();
        assert_eq!(inventory.with_address6(address6).unwrap().name, "dist-1");
        let mac = "001b.21aa.0001".parse().unwrap();
        assert_eq!(inventory.with_mac(mac).unwrap().name, "access-1");
        let position = Position { circuit_id: "0x0a0b".to_owned(), remote_id: None };
        assert_eq!(inventory.at_position(&position).unwrap().name, "access-1");
        assert_eq!(inventory.sites["zurich"].title, "Zürich");
    }

    #[test]
    fn a_binary_position_is_found_as_hex_and_as_people_read_it() {
        let text = format!(
            "{SOUND}  - {{ name: b, site: zurich, managed: false, \
             position: {{ circuit_id: vlan 10 port 1/7, remote_id: '00:1b:21:aa:bb:cc' }} }}\n  \
             - {{ name: c, site: zurich, managed: false, \
             position: {{ circuit_id: '0x0004000a0108' }} }}\n"
        );
        let (Planned { inventory, .. }, complaints) = planned(&text);
        assert_eq!(complaints, [""; 0]);
        let at = |circuit: &str, remote: Option<&str>| {
            let position =
                Position { circuit_id: circuit.into(), remote_id: remote.map(str::to_owned) };
            inventory.at_position(&position).map(|device| device.name.clone())
        };
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(at("0x0004000a0107", Some("0x0006001b21aabbcc")), named("b"));
        assert_eq!(at("0x0004000a0107", Some("0x001b21aabbcc")), named("b"));
        assert_eq!(at("vlan 10 port 1/7", Some("00:1b:21:aa:bb:cc")), named("b"));
        assert_eq!(at("0x0004000a0107", Some("0x0006001b21aabbcd")), None, "another switch");
        assert_eq!(at("0x0004000a0107", None), None);
        assert_eq!(at("0x0004000a0108", Some("sw")), named("c"));
        assert_eq!(at("0x0004000b0108", Some("sw")), None, "another VLAN");
        let shown = Position { circuit_id: "0x0004000a0108".into(), remote_id: None }.shown();
        assert_eq!(shown, "vlan 10 port 1/8 (0x0004000a0108)");
    }

    #[test]
    fn a_device_without_a_list_knows_its_cables_from_the_other_ends() {
        let (Planned { inventory, .. }, _) = planned(SOUND);
        let cables = |name: &str| format!("{:?}", inventory.device(name).unwrap().neighbours);
        assert!(cables("access-1").contains(r#"local_port: "Gi1/0/1", device: "dist-1""#));
        assert!(
            cables("dist-1")
                .contains(r#"local_port: "Gi1/0/9", device: "access-1", port: "Gi1/0/1""#)
        );
    }

    #[test]
    fn both_ends_agree_whatever_the_spelling_of_the_port() {
        let text = SOUND.replace(
            "managed: false }",
            "managed: false, platform: frr,\n      \
             neighbours: ['GigabitEthernet1/0/9 -> access-1, GigabitEthernet1/0/1'] }",
        );
        let (Planned { inventory, .. }, complaints) = planned(&text);
        assert_eq!(complaints, [""; 0]);
        assert_eq!(inventory.device("dist-1").unwrap().neighbours.len(), 1);
    }

    #[test]
    fn the_nearest_layer_wins_and_maps_are_joined() {
        let text = format!("{SOUND}    variables: {{ a: {{ y: 3 }}, b: '010' }}\n");
        let (Planned { inventory, .. }, complaints) = planned(&text);
        assert_eq!(complaints, [""; 0]);
        let variables = &inventory.device("access-1").unwrap().variables;
        assert_eq!(
            serde_json::json!(variables.iter().collect::<BTreeMap<_, _>>()).to_string(),
            r#"{"a":{"x":1,"y":3},"b":"010"}"#
        );
    }

    #[test]
    fn secrets_keep_their_place_and_files_begin_beside_the_plan() {
        let text = SOUND.replace(
            "defaults:\n",
            "defaults:\n  secrets: { one: { env: ONE }, two: { file: two.txt } }\n",
        );
        let (Planned { secrets, .. }, complaints) = planned(&text);
        assert_eq!(complaints, [""; 0]);
        assert_eq!(secrets["access-1"]["one"], SecretSource::Environment("ONE".to_owned()));
        assert_eq!(secrets["access-1"]["two"], SecretSource::File("/plan/two.txt".to_owned()));
    }

    #[test]
    fn a_chain_of_jump_hosts_is_shared_by_those_who_pass_it() {
        let login = "credentials: [{ username: j, key: { file: id }, passphrase: { env: PASS } }]";
        let text = SOUND
            .replace(
                "defaults:\n",
                &format!("defaults:\n  jump: {{ host: a, port: 7, {login} }}\n"),
            )
            .replace("managed: false,", "managed: false, jump: [],")
            + "  - { name: b, site: zurich, managed: false }\n"
            + &format!(
                "  - {{ name: c, site: zurich, managed: false, jump: [{{ host: a, {login} }}, \
               {{ host: '2001:db8::9', {login} }}] }}\n"
            );
        let (Planned { inventory, .. }, complaints) = planned(&text);
        assert_eq!(complaints, [""; 0]);
        let [jump] = inventory.jumps_to("access-1") else { panic!("it is behind one") };
        assert_eq!((jump.host.as_str(), jump.port, &jump.host_key), ("a", 7, &None));
        let sources: Vec<String> =
            jump.credentials[0].sources().map(|source| format!("{source:?}")).collect();
        assert_eq!(sources, [r#"File("/plan/id")"#, r#"Environment("PASS")"#]);
        assert!(Arc::ptr_eq(&inventory.jumps["access-1"], &inventory.jumps["b"]));
        assert!(inventory.jumps_to("dist-1").is_empty(), "an empty list stands for no jump host");
        let hosts: Vec<&str> = inventory.jumps_to("c").iter().map(|j| j.host.as_str()).collect();
        assert_eq!(hosts, ["a", "2001:db8::9"]);
    }

    /// Each kind of complaint: lines after the sound plan, and what is said about line 17 on.
    const COMPLAINTS: &[(&str, &str)] = &[
        ("    seriall: X\n", "17:5: this device has no setting `seriall` (did you mean `serial`?)"),
        (
            "    location: [a]\n",
            "17:15: `location` expects text, found a list (write the text, or \
          remove the line)",
        ),
        (
            "    managed: yes\n",
            "17:14: `managed` expects true or false, found `yes` (write `true` \
          or `false`)",
        ),
        (
            "    ssh_port: 70000\n",
            "17:15: `ssh_port` expects a port from 1 to 65535, found `70000` \
          (write a port from 1 to 65535)",
        ),
        (
            "    ssh_port: 0\n",
            "17:15: `ssh_port` expects a port from 1 to 65535, found `0` (remove \
          the line for port 22)",
        ),
        ("    site: bern\n", "17:5: the key `site` stands here a second time (first in line 10)"),
        (
            "  - { name: access-1, site: zurich, managed: false }\n",
            "17:13: two devices have this \
          name (the other device begins in line 9)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, serial: foc1 }\n",
            "17:54: two devices have \
          this serial (the other device begins in line 9)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, mac: 001b.21aa.0001 }\n",
            "17:51: two \
          devices have this MAC address (the other device begins in line 9)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, address: 192.0.2.1 }\n",
            "17:55: two \
          devices have this address (the other device begins in line 9)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, address6: '2001:DB8:0::1' }\n",
            "17:56: two devices have this IPv6 address (the other device begins in line 8)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, address6: 'fe80::1' }\n",
            "17:56: `fe80::1` is no IPv6 address a device can have (write an address such as \
          2001:db8::10, without a prefix length)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, position: { circuit_id: 0x0a0b } }\n",
            "17:56: two devices have this position (the other device begins in line 9)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, \
             position: { circuit_id: 0x0004000a0107 } }\n  \
             - { name: c, site: zurich, managed: false, \
             position: { circuit_id: vlan 10 port 1/7 } }\n",
            "18:56: two devices have this position (the other device begins in line 17)",
        ),
        (
            "  - { name: b, site: zurrich, managed: false }\n",
            "17:22: there is no site `zurrich` \
          (did you mean `zurich`?)",
        ),
        (
            "  - { name: b, site: zurich, group: acess, managed: false }\n",
            "17:37: there is no group \
          `acess` (did you mean `access`?)",
        ),
        (
            "    platform: cisco_oss\n",
            "17:15: there is no platform `cisco_oss` (did you mean \
          `cisco_ios`?)",
        ),
        (
            "    template: acces.j2\n",
            "17:15: there is no template `acces.j2` (did you mean \
          `access.j2`?)",
        ),
        (
            "    address: 192.0.2.300\n",
            "17:5: the key `address` stands here a second time (first \
          in line 14)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, address: 192.0.2.300 }\n",
            "17:55: \
          `192.0.2.300` is no address a device can have (write an IPv4 address such as 192.0.2.10, \
          without a prefix length)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, mac: 00:1b }\n",
            "17:51: expected a MAC \
          address such as 00:1b:21:aa:bb:cc, 00-1b-21-aa-bb-cc, 001b.21aa.bbcc, \
          001b-21aa-bbcc, 001b21-aabbcc or 001b21aabbcc, found `00:1b` (look at the label on the box)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, position: { circuit_id: 0xabc } }\n",
            "17:70: `0xabc` is no whole number of hex bytes (write two hex digits for each byte \
          after `0x`)",
        ),
        (
            "  - { name: a b, site: zurich, managed: false }\n",
            "17:13: `a b` cannot be a device's \
          name (use letters, digits, `-`, `_` and `.`, at most 63, a letter or digit first)",
        ),
        (
            "  - { name: b, site: zurich, serial: B }\n",
            "17:5: device `b` has no platform (write \
          `platform:` here or in its group)|17:5: device `b` has no template (write `template:` \
          here or in its group)",
        ),
        (
            "  - { name: b, site: zurich, group: access }\n",
            "17:5: device `b` cannot be recognised \
          (write its `serial:`, `mac:` or `position:`)",
        ),
        (
            "  - { name: b, site: zurich, group: access, serial: B, credentials: [] }\n",
            "17:5: \
          device `b` has no credentials (without a login nothing can be proven; see \
          `credentials:`)",
        ),
        (
            "  - { site: zurich, managed: false }\n",
            "17:5: this device lacks `name` (add a line \
          `name: ...`)",
        ),
        (
            "    variables: { a: no, b: 010 }\n",
            "17:21: some readers of YAML take `no` for false, \
          others for text (write false, or \"no\" if it is text)|17:28: `010` begins with a zero: \
          some readers of YAML would make it 10, others an octal number (quote it if it is text: \
          \"010\")",
        ),
        (
            "    variables: { device: x }\n",
            "17:18: templates know `device` already, it cannot be a \
          variable (give the variable another name)",
        ),
        (
            "    secrets: { a: hunter2 }\n",
            "17:19: a secret is named here, never written down \
          (write `{ env: NAME }` or `{ file: PATH }`)",
        ),
        (
            "    secrets: { a: { env: A, file: B } }\n",
            "17:19: a secret stands in one place: an environment variable, a file or a command's \
          output (write `{ env: NAME }`, `{ file: PATH }` or `{ command: [PROGRAM] }`)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, neighbours: [x] }\n",
            "17:59: `x` is no \
          cable (write `local port -> device, port`, as in `Ethernet1 -> core-1, Ethernet7`)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, neighbours: ['1 -> dist-2, 1'] }\n",
            "17:59: this neighbour names no device: `dist-2` (did you mean `dist-1`?)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, neighbours: ['1 -> b, 1'] }\n",
            "17:59: a \
          device cannot be its own neighbour (name the device at the other end)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, \
             neighbours: ['1 -> access-1, Gi1/0/7'] }\n",
            "17:59: `access-1` lists its neighbours, and not this cable (add `Gi1/0/7 -> b, 1` to \
          it, or remove its list)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, \
             neighbours: ['1 -> access-1, Gi1/0/1'] }\n",
            "17:59: `access-1` says that this port leads to `dist-1`, `Gi1/0/9` (make this line \
             and \
          line 16 agree)",
        ),
        (
            "  - { name: b, site: zurich, managed: false, neighbours: ['1 -> dist-1, Gi1/0/9'] }\n",
            "17:59: port `Gi1/0/9` of `dist-1` has two cables (the other one is in line 16)",
        ),
        (
            "colour: red\n",
            "17:1: this inventory has no setting `colour` (known are `defaults`, \
          `sites`, `groups`, `devices`)",
        ),
        (
            "  - x\n",
            "17:5: expected the settings of this device, found `x` (write `key: value` lines)",
        ),
        (
            "    credentials: [{ username: u }]\n",
            "17:19: this credential has neither `password` nor `key` (add a line `password: \
          { env: NAME }` or `key: ...`)",
        ),
        (
            "    credentials: [{ username: u, password: { env: P }, passphrase: { env: P } }]\n",
            "17:68: a passphrase belongs to a `key`, and this credential has none (add the key, \
          or write `password:`)",
        ),
        (
            "    credentials: [{ username: u, key: BEGIN }]\n",
            "17:39: a secret is named here, never written down (write `{ env: NAME }` or \
          `{ file: PATH }`)",
        ),
        (
            "    jump: { host: j, port: 0, credentials: [], host_key: 'SHA256:x' }\n",
            "17:28: `port` expects a port from 1 to 65535, found `0` (remove the line for port \
          22)|17:44: a jump host without credentials lets nobody through (write a login, as for \
          devices)|17:58: `SHA256:x` is no host key (write `SHA256:...` as `ssh-keygen -lf` \
          shows it, or its line of known_hosts)",
        ),
        (
            "    jump: { host: 'j:22', credentials: [{ username: u, password: { env: P } }] }\n",
            "17:19: `j:22` is no name or address of a host (write the port, if not 22, in a line \
          `port:`)",
        ),
        (
            "    jump: { host: j }\n",
            "17:11: this jump lacks `credentials` (add a line \
          `credentials: ...`)",
        ),
        (
            "    jump: [{ host: j, credentials: [{ username: u, key: { env: K } }] }, \
             { host: j, credentials: [{ username: u, key: { env: K } }] }, \
             { host: j, credentials: [{ username: u, key: { env: K } }] }, \
             { host: j, credentials: [{ username: u, key: { env: K } }] }]\n",
            "17:198: a chain has at most 3 jump hosts, found 4 (name only those that must be \
          passed)",
        ),
        (
            "    jump: j\n",
            "17:11: expected the settings of this jump, found `j` (write \
          `key: value` lines)",
        ),
        ("\t- x\n", "17:2: ..."),
    ];

    #[test]
    fn each_complaint_names_its_place_and_the_next_move() {
        let mut wrong = String::new();
        for (lines, expected) in COMPLAINTS {
            let found = planned(&format!("{SOUND}{lines}")).1.join("|").replace("i.yaml:", "");
            let matches = match expected.strip_suffix("...") {
                Some(start) => found.starts_with(start),
                None => found == *expected,
            };
            if !matches {
                wrong += &format!("{lines}  expected {expected}\n  found    {found}\n");
            }
        }
        assert_eq!(wrong, "");
    }

    #[test]
    fn all_complaints_come_at_once() {
        let text = COMPLAINTS
            .iter()
            .map(|(lines, _)| *lines)
            .filter(|lines| lines.starts_with("  - {"))
            .fold(SOUND.to_owned(), |text, lines| text + lines);
        let (_, complaints) = planned(&text);
        assert!(complaints.len() >= 20, "{complaints:#?}");
    }

    #[test]
    fn an_empty_file_is_told_apart_from_an_empty_plan() {
        assert!(planned("").1[0].contains("the inventory is empty"));
        assert_eq!(planned("sites: {}\ndevices: []\n").1, [""; 0]);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just("devices:\n".to_owned()), Just("  - name: a\n".to_owned()),
                    Just("    site: *x\n".to_owned()), Just("<<: &x {a: 1}\n".to_owned()),
                    Just("    neighbours: [a -> a, a]\n".to_owned()), Just("sites:\n".to_owned()),
                    Just("    variables: {a: [0x1, 1e999]}\n".to_owned()), ".{0,20}\n",
                    "[ \\-:{}\\[\\],&*!|>'\"%@`#?a-c0-9\n\t]{0,30}",
                ],
                0..12,
            ),
        ) {
            let text = pieces.concat();
            let (_, complaints) = planned(&text);
            for complaint in complaints {
                prop_assert!(complaint.starts_with("i.yaml:"));
            }
        }
    }
}
