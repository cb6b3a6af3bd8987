//! `inventory.yaml` as written. The comments here are what editors and `docs/configuration.md`
//! show.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value as Json};

use crate::complaint::{Complaints, Place};
use crate::domain::inventory::access::written::{
    OneOrManyJumps, WrittenCredential, WrittenJump, credentials, jumps,
};
use crate::domain::inventory::expected_written::{
    self as expected, WrittenCheck, WrittenInterface, WrittenMember,
};
use crate::domain::inventory::meant::{SecretSource, Unplanned};
use crate::domain::inventory::software_written::{self, WrittenSoftware};
use crate::written::fields::{self, Fields};
use crate::written::{At, Node, Streamed, parse_with, scalar};

/// The plan: sites, groups, and the devices with their cables.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "Inventory", deny_unknown_fields)]
pub struct WrittenInventory {
    /// What holds for every device unless its group, its site or itself says otherwise.
    pub defaults: Option<Layer>,
    /// The places where devices stand, by name.
    #[schemars(required, with = "BTreeMap<String, WrittenSite>")]
    pub sites: Vec<(At<String>, WrittenSite)>,
    /// What devices of one kind have in common, by name.
    #[schemars(with = "Option<BTreeMap<String, Layer>>")]
    pub groups: Vec<(At<String>, Layer)>,
    /// Every planned device.
    #[schemars(required)]
    pub devices: Vec<WrittenDevice>,
}

/// Settings that devices share.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "Layer", deny_unknown_fields)]
pub struct Layer {
    /// The id of a platform file, such as `cisco_ios`, `arista_eos` or `frr`.
    pub platform: Option<At<String>>,
    /// The template's file name below the template directory: `*.j2` (minijinja) or `*.tera`
    /// (tera).
    pub template: Option<At<String>>,
    /// A template of what the device must run, where `template` makes a script that only leads to
    /// it, such as that of POAP or ZTP. The running configuration is compared with it, and it is
    /// served as `conf.*`, `*.cfg` and the `configuration_names` of the platform, but for the name
    /// that DHCP told. Default: what `template` makes.
    pub configuration: Option<At<String>>,
    /// The software planned, compared exactly with what the device says: a version, or a version
    /// with its image.
    pub software: Option<WrittenSoftware>,
    /// The model planned, compared without case with what the device says.
    pub model: Option<At<String>>,
    /// How ports must run, besides having their neighbour. A list replaces that of an outer layer.
    pub interfaces: Option<Vec<WrittenInterface>>,
    /// Addresses that the device must reach by ping. A list replaces that of an outer layer.
    #[schemars(with = "Option<Vec<String>>")]
    pub reaches: Option<Vec<At<String>>>,
    /// Commands of your own, and what their answers must say. Lists of several layers are joined.
    #[schemars(with = "Option<Vec<WrittenCheck>>")]
    pub checks: Vec<WrittenCheck>,
    /// TCP port of SSH. Default 22.
    #[schemars(with = "Option<u16>")]
    pub ssh_port: Option<At<u16>>,
    /// False for what is in service already: a neighbour to be seen, never served. One that has an
    /// address, a platform and credentials is asked whom it hears when a device at the other end of
    /// its cables does not answer or does not hear; it is only read. Default true.
    pub managed: Option<bool>,
    /// What is made of somebody heard on a port for which no neighbour is planned: `ignore`,
    /// `remark` (in the journal) or `fail` (not green until it is gone). With `ignore`, others
    /// beside a planned neighbour on its port do not matter either. Default `remark`.
    pub unplanned_neighbours: Option<At<String>>,
    /// False where power supplies, fans and temperatures do not count: a second supply may be
    /// without power on purpose. Default true: a part that says of itself that it does not work
    /// keeps the device from turning green.
    pub environment: Option<bool>,
    /// Logins, in the order to be tried. A list replaces that of an outer layer; with an empty one
    /// a device in service is never asked.
    pub credentials: Option<Vec<WrittenCredential>>,
    /// The host, or the chain of at most three, through which SSH reaches the device. A list
    /// replaces that of an outer layer; an empty one stands for no jump host. Default: none.
    #[schemars(with = "Option<OneOrManyJumps>")]
    pub jump: Option<Vec<WrittenJump>>,
    /// Values for the template. Maps of several layers are joined, the nearest value wins.
    #[schemars(with = "Option<Map<String, Json>>")]
    pub variables: Map<String, Json>,
    /// Secrets for the template, read as `{{ secrets.NAME }}`, by name.
    #[schemars(with = "Option<BTreeMap<String, WrittenSecret>>")]
    pub secrets: Vec<(At<String>, WrittenSecret)>,
    #[schemars(skip)]
    pub reserved: Vec<(String, Place)>,
}

/// A place where devices stand.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "Site", deny_unknown_fields)]
pub struct WrittenSite {
    /// What people call it. Default: its name.
    pub title: Option<At<String>>,
    /// The chat channel of this site. Default: the channel of `greenlight.yaml`.
    pub channel: Option<At<String>>,
    /// The language of its installers. Default: the language of `greenlight.yaml`.
    pub language: Option<At<String>>,
    /// What the devices of this site have in common.
    #[schemars(flatten)]
    pub layer: Layer,
}

/// One planned device.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Device", deny_unknown_fields)]
pub struct WrittenDevice {
    /// Its host name: letters, digits, `-`, `_` and `.`, at most 63 characters.
    pub name: At<String>,
    /// The name of its site.
    pub site: At<String>,
    /// The name of its group.
    pub group: Option<At<String>>,
    /// The serial number as printed on the box; compared without case.
    pub serial: Option<At<String>>,
    /// The chassis of a stack, each by its serial, or as `{ number: 2, serial: ... }`. All of them
    /// must be there.
    #[schemars(with = "Option<Vec<WrittenMember>>")]
    pub members: Vec<WrittenMember>,
    /// Its Ethernet address, or a list of them, in any of the usual spellings.
    #[schemars(with = "Option<OneOrMany>")]
    pub mac: Vec<At<String>>,
    /// Where it is plugged in, as its DHCP relay tells it (option 82, RFC 3046; in DHCPv6 the
    /// Interface-Id and Remote-Id).
    pub position: Option<WrittenPosition>,
    /// The management address: reserved for it in DHCP, and used for SSH.
    pub address: Option<At<String>>,
    /// The management address of IPv6: reserved for it in DHCPv6, and used for SSH where it comes
    /// to us over IPv6.
    pub address6: Option<At<String>>,
    /// Where it stands, in words for the installer: `Building 2, rack 4`.
    pub location: Option<At<String>>,
    /// Its cables, each as `local port -> device, port`. If the other device lists its neighbours
    /// too, it must list this cable; if it lists none, the cable is known to it from here.
    #[schemars(with = "Option<Vec<String>>")]
    pub neighbours: Vec<At<String>>,
    /// Settings of this device alone.
    #[schemars(flatten)]
    pub layer: Layer,
    #[schemars(skip)]
    pub place: Place,
}

/// Option 82 of a DHCP relay, or Interface-Id and Remote-Id of DHCPv6.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Position", deny_unknown_fields)]
pub struct WrittenPosition {
    /// Sub-option 1 or Interface-Id, as text; a binary one as lower-case hex after `0x`, or, where
    /// it is that of a Cisco switch, as `vlan 10 port 1/7`.
    pub circuit_id: At<String>,
    /// Sub-option 2 or Remote-Id, likewise; a binary one of six bytes also as a MAC address with
    /// colons. Default: any.
    pub remote_id: Option<At<String>>,
    #[schemars(skip)]
    pub place: Place,
}

/// Where a secret stands.
#[derive(Debug, Clone)]
pub struct WrittenSecret {
    pub source: SecretSource,
    pub place: Place,
}

/// Where a secret stands: `{ env: NAME }`, `{ file: PATH }` or `{ command: [PROGRAM, ...] }`. The
/// secret itself is never written down.
#[derive(JsonSchema)]
#[schemars(rename = "Secret", rename_all = "lowercase", deny_unknown_fields)]
#[expect(dead_code, reason = "describes the spelling of a secret to editors")]
enum SecretSpelling {
    /// The name of an environment variable.
    Env(String),
    /// The path of a file; a final line end is not part of the secret.
    File(String),
    /// A program and its arguments, run without a shell and with the environment of this server. It
    /// prints the secret, of at most 64 KiB, within 10 s; a final line end is not part of it. What
    /// it prints is never logged, and is kept for 5 min.
    Command(Vec<String>),
}

impl JsonSchema for WrittenSecret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        SecretSpelling::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        SecretSpelling::json_schema(generator)
    }
}

/// One text or several.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "describes a spelling to editors")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Reads the text of an inventory. What cannot be read is among the complaints, the rest is there.
pub fn read(text: &str, complaints: &mut Complaints) -> WrittenInventory {
    let mut inventory = WrittenInventory::default();
    let mut devices = Vec::new();
    let mut sink = |node, complaints: &mut Complaints| devices.extend(device(&node, complaints));
    let root = parse_with(text, complaints, Streamed::Under("devices"), &mut sink);
    let Some(root) = root else {
        if complaints.is_empty() {
            let hint = "`greenlight init DIR` writes an example";
            complaints.at(Place { line: 1, column: 1 }, "the inventory is empty", hint);
        }
        return inventory;
    };
    inventory.devices = devices;
    let Some(mut top) = Fields::of(&root, "inventory", complaints) else { return inventory };
    inventory.defaults = top.get("defaults").and_then(|node| {
        let mut fields = Fields::of(node, "defaults section", complaints)?;
        let layer = layer(&mut fields, complaints);
        fields.close(complaints);
        Some(layer)
    });
    if let Some(node) = top.require("sites", complaints) {
        for entry in fields::entries(node, "sites", complaints) {
            let name = At { value: entry.key.to_string(), place: entry.place };
            inventory.sites.extend(site(&entry.node, complaints).map(|site| (name, site)));
        }
    }
    if let Some(node) = top.get("groups") {
        for entry in fields::entries(node, "groups", complaints) {
            let name = At { value: entry.key.to_string(), place: entry.place };
            let Some(mut fields) = Fields::of(&entry.node, "group", complaints) else { continue };
            let layer = layer(&mut fields, complaints);
            fields.close(complaints);
            inventory.groups.push((name, layer));
        }
    }
    if let Some(node) = top.require("devices", complaints) {
        // Its items were read while they came.
        fields::list(node, "devices", complaints);
    }
    top.close(complaints);
    inventory
}

fn site(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenSite> {
    let mut fields = Fields::of(node, "site", complaints)?;
    let site = WrittenSite {
        title: fields.text("title", complaints),
        channel: fields.text("channel", complaints),
        language: fields.text("language", complaints),
        layer: layer(&mut fields, complaints),
    };
    fields.close(complaints);
    Some(site)
}

pub(super) fn device(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenDevice> {
    let mut fields = Fields::of(node, "device", complaints)?;
    let name =
        fields.require("name", complaints).and_then(|node| fields::text(node, "name", complaints));
    let site =
        fields.require("site", complaints).and_then(|node| fields::text(node, "site", complaints));
    let nothing = || At { value: String::new(), place: node.place };
    let device = WrittenDevice {
        name: name.unwrap_or_else(nothing),
        site: site.unwrap_or_else(nothing),
        group: fields.text("group", complaints),
        serial: fields.text("serial", complaints),
        members: fields
            .get("members")
            .map(|node| expected::members(node, complaints))
            .unwrap_or_default(),
        mac: fields.texts("mac", complaints),
        position: fields.get("position").and_then(|node| position(node, complaints)),
        address: fields.text("address", complaints),
        address6: fields.text("address6", complaints),
        location: fields.text("location", complaints),
        neighbours: neighbours(fields.get("neighbours"), complaints),
        layer: layer(&mut fields, complaints),
        place: node.place,
    };
    fields.close(complaints);
    Some(device)
}

fn neighbours(node: Option<&Node<'_>>, complaints: &mut Complaints) -> Vec<At<String>> {
    let Some(node) = node else { return Vec::new() };
    fields::list(node, "neighbours", complaints)
        .iter()
        .filter_map(|node| fields::text(node, "neighbours", complaints))
        .collect()
}

fn position(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenPosition> {
    let mut fields = Fields::of(node, "position", complaints)?;
    let circuit_id = fields
        .require("circuit_id", complaints)
        .and_then(|node| fields::text(node, "circuit_id", complaints));
    let remote_id = fields.text("remote_id", complaints);
    fields.close(complaints);
    Some(WrittenPosition { circuit_id: circuit_id?, remote_id, place: node.place })
}

fn layer(fields: &mut Fields<'_, '_>, complaints: &mut Complaints) -> Layer {
    let mut layer = Layer {
        platform: fields.text("platform", complaints),
        template: fields.text("template", complaints),
        configuration: fields.text("configuration", complaints),
        software: fields.get("software").and_then(|node| software_written::read(node, complaints)),
        model: fields.text("model", complaints),
        interfaces: fields.get("interfaces").map(|node| expected::interfaces(node, complaints)),
        reaches: fields.get("reaches").map(|node| fields::texts(node, "reaches", complaints)),
        checks: fields
            .get("checks")
            .map(|node| expected::checks(node, complaints))
            .unwrap_or_default(),
        ssh_port: fields.parsed("ssh_port", "a port from 1 to 65535", complaints),
        managed: fields.boolean("managed", complaints),
        unplanned_neighbours: fields.text("unplanned_neighbours", complaints),
        environment: fields.boolean("environment", complaints),
        credentials: fields.get("credentials").map(|node| credentials(node, complaints)),
        jump: fields.get("jump").map(|node| jumps(node, complaints)),
        ..Layer::default()
    };
    if let Some(port) = layer.ssh_port.take_if(|port| port.value == 0) {
        let message = "`ssh_port` expects a port from 1 to 65535, found `0`";
        complaints.at(port.place, message, "remove the line for port 22");
    }
    if let Some(word) = layer.unplanned_neighbours.take_if(|w| Unplanned::named(&w.value).is_none())
    {
        let found = crate::written::shown(&word.value);
        let message =
            format!("`unplanned_neighbours` expects ignore, remark or fail, found `{found}`");
        complaints.at(word.place, message, "remove the line for remark");
    }
    if let Some(node) = fields.get("variables") {
        for entry in fields::entries(node, "variables", complaints) {
            if RESERVED.contains(&entry.key.as_ref()) {
                layer.reserved.push((entry.key.to_string(), entry.place));
                continue;
            }
            let value = scalar::json(&entry.node, complaints);
            layer.variables.insert(entry.key.to_string(), value);
        }
    }
    if let Some(node) = fields.get("secrets") {
        for entry in fields::entries(node, "secrets", complaints) {
            let name = At { value: entry.key.to_string(), place: entry.place };
            layer.secrets.extend(secret(&entry.node, complaints).map(|secret| (name, secret)));
        }
    }
    for (name, place) in &layer.reserved {
        let message = format!("templates know `{name}` already, it cannot be a variable");
        complaints.at(*place, message, "give the variable another name");
    }
    layer
}

/// Names that every template finds at its top level besides the variables.
pub const RESERVED: [&str; 4] = ["device", "site", "secrets", "software"];

/// Reads `{ env: NAME }`, `{ file: PATH }` or `{ command: [...] }`. A secret written down is
/// refused, and not repeated.
pub fn secret(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenSecret> {
    if matches!(node.value, crate::written::Value::Scalar { .. }) {
        let message = "a secret is named here, never written down";
        complaints.at(node.place, message, "write `{ env: NAME }` or `{ file: PATH }`");
        return None;
    }
    let mut fields = Fields::of(node, "secret", complaints)?;
    let environment = fields.text("env", complaints);
    let file = fields.text("file", complaints);
    let command = fields.get("command").map(|node| argv(node, complaints));
    fields.close(complaints);
    let source = match (environment, file, command) {
        (Some(name), None, None) => SecretSource::Environment(name.value),
        (None, Some(path), None) => SecretSource::File(path.value),
        (None, None, Some(argv)) => SecretSource::Command(argv?),
        _ => {
            let message = "a secret stands in one place: an environment variable, a file or a command's output";
            let hint = "write `{ env: NAME }`, `{ file: PATH }` or `{ command: [PROGRAM] }`";
            complaints.at(node.place, message, hint);
            return None;
        }
    };
    Some(WrittenSecret { source, place: node.place })
}

/// The program and its arguments.
fn argv(node: &Node<'_>, complaints: &mut Complaints) -> Option<Vec<String>> {
    let nodes = fields::list(node, "command", complaints);
    let words: Option<Vec<_>> =
        nodes.iter().map(|word| fields::text(word, "command", complaints)).collect();
    let words: Vec<String> = words?.into_iter().map(|word| word.value).collect();
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        let hint =
            "write the program and its arguments: `[vault, kv, get, ...]`; no shell reads them";
        complaints.at(node.place, "`command` names no program", hint);
        return None;
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written_secret(text: &str) -> (Option<SecretSource>, String) {
        let mut complaints = Complaints::about("i.yaml");
        let secrets = format!("secrets: {{ x: {text} }}");
        let text = format!("sites: {{ s: }}\ndevices: [{{ name: a, site: s, {secrets} }}]\n");
        let read = read(&text, &mut complaints);
        let secrets = read.devices.into_iter().flat_map(|device| device.layer.secrets);
        let source = secrets.map(|(_, secret)| secret.source).next();
        let told = complaints.finish(&text);
        (source, told.iter().map(|one| one.message.clone()).collect())
    }

    #[test]
    fn a_secret_may_be_what_a_program_prints() {
        let (source, told) = written_secret("{ command: [bin/secret, --of, a] }");
        let words = ["bin/secret", "--of", "a"].map(str::to_owned).to_vec();
        assert_eq!((source, told.as_str()), (Some(SecretSource::Command(words)), ""));
        for (text, why) in [
            ("{ command: [] }", "`command` names no program"),
            ("{ command: [' '] }", "`command` names no program"),
            ("{ command: ['', x] }", "`command` expects text, found nothing"),
        ] {
            assert_eq!(written_secret(text), (None, why.to_owned()), "{text}");
        }
        let (source, told) = written_secret("{ command: [x], env: X }");
        assert!(source.is_none() && told.starts_with("a secret stands in one place"), "{told}");
        let (source, told) = written_secret("{ command: vault }");
        assert!(source.is_none() && told.contains("expects a list"), "{told}");
    }

    #[test]
    fn paths_of_programs_and_files_begin_at_the_directory() {
        let there = std::path::Path::new("/plan");
        let command = |words: &[&str]| {
            SecretSource::Command(words.iter().map(|word| (*word).to_owned()).collect())
        };
        assert_eq!(command(&["./get", "x/y"]).within(there), command(&["/plan/./get", "x/y"]));
        assert_eq!(command(&["/bin/get"]).within(there), command(&["/bin/get"]));
        assert_eq!(command(&["vault", "a/b"]).within(there), command(&["vault", "a/b"]));
    }

    /// Every kind of map with a key that nobody knows, so that each complaint lists what is known.
    const STRANGE: &str = "\
defaults: { zzzzzzzz: 1 }
sites: { a: { zzzzzzzz: 1 } }
devices:
  - { name: a, site: a, zzzzzzzz: 1 }
  - { name: a, site: a, position: { circuit_id: x, zzzzzzzz: 1 } }
  - name: a
    site: a
    credentials: [{ username: a, password: { env: A }, zzzzzzzz: 1 }]
    jump: { host: a, credentials: [{ username: a, password: { env: A } }], zzzzzzzz: 1 }
zzzzzzzz: 1
";

    #[test]
    fn the_schema_and_the_reader_know_the_same_settings() {
        let mut complaints = Complaints::about("i.yaml");
        read(STRANGE, &mut complaints);
        let mut known: Vec<Vec<String>> = complaints
            .finish(STRANGE)
            .iter()
            .map(|complaint| {
                let mut names: Vec<String> =
                    complaint.hint.split('`').skip(1).step_by(2).map(str::to_owned).collect();
                names.sort();
                names
            })
            .collect();
        let schema = schemars::schema_for!(WrittenInventory).to_value();
        let properties = |value: &serde_json::Value| {
            let mut names: Vec<String> =
                value["properties"].as_object().unwrap().keys().cloned().collect();
            names.sort();
            names
        };
        let definition = |name: &str| properties(&schema["$defs"][name]);
        let mut expected: Vec<_> =
            ["Layer", "Site", "Device", "Position", "Credential", "Jump"].map(definition).to_vec();
        expected.push(properties(&schema));
        known.sort();
        expected.sort();
        assert_eq!(known, expected);
    }
}
