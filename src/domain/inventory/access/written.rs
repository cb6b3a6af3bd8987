//! Logins and jump hosts as written.

use schemars::JsonSchema;

use crate::complaint::Complaints;
use crate::domain::inventory::access::{JUMPS_MAX, fingerprint};
use crate::domain::inventory::written::{WrittenSecret, secret};
use crate::written::fields::{self, Fields};
use crate::written::{At, Node, Value, shown};

/// One login. It has a `key`, a `password`, or both.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Credential", deny_unknown_fields)]
pub struct WrittenCredential {
    /// The user's name.
    pub username: At<String>,
    /// Where its password stands; also the answer to keyboard-interactive questions.
    pub password: Option<WrittenSecret>,
    /// Where its private key stands: Ed25519, ECDSA or RSA, as OpenSSH writes it or as PEM
    /// (PKCS#1, PKCS#8, SEC 1). It is tried before the password.
    pub key: Option<WrittenSecret>,
    /// Where the passphrase of the private key stands, if it has one.
    pub passphrase: Option<WrittenSecret>,
    /// Where the enable password stands, for platforms that ask for one.
    pub enable: Option<WrittenSecret>,
}

/// A host that is logged in to on the way to a device.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Jump", deny_unknown_fields)]
pub struct WrittenJump {
    /// Its name or address.
    pub host: At<String>,
    /// TCP port of SSH. Default 22.
    #[schemars(with = "Option<u16>")]
    pub port: Option<At<u16>>,
    /// Logins on the jump host, in the order to be tried.
    pub credentials: Vec<WrittenCredential>,
    /// Its host key: `SHA256:...`, or its line of `known_hosts`. Default: the key that it showed
    /// first, which is kept over restarts.
    pub host_key: Option<At<String>>,
}

/// One jump host, or several in the order they are passed.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "describes a spelling to editors")]
pub(in crate::domain::inventory) enum OneOrManyJumps {
    One(WrittenJump),
    Many(Vec<WrittenJump>),
}

pub(in crate::domain::inventory) fn credentials(
    node: &Node<'_>,
    complaints: &mut Complaints,
) -> Vec<WrittenCredential> {
    let nodes = fields::list(node, "credentials", complaints);
    nodes.iter().filter_map(|node| credential(node, complaints)).collect()
}

fn credential(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenCredential> {
    let mut fields = Fields::of(node, "credential", complaints)?;
    let username = fields
        .require("username", complaints)
        .and_then(|node| fields::text(node, "username", complaints));
    let nodes = ["password", "key", "passphrase", "enable"].map(|name| fields.get(name));
    let place = fields.place();
    fields.close(complaints);
    let [password, key, passphrase, _] = nodes;
    if password.is_none() && key.is_none() {
        let message = "this credential has neither `password` nor `key`";
        complaints.at(place, message, "add a line `password: { env: NAME }` or `key: ...`");
    }
    if let (Some(node), None) = (passphrase, key) {
        let message = "a passphrase belongs to a `key`, and this credential has none";
        complaints.at(node.place, message, "add the key, or write `password:`");
    }
    let [password, key, passphrase, enable] =
        nodes.map(|node| node.and_then(|node| secret(node, complaints)));
    Some(WrittenCredential { username: username?, password, key, passphrase, enable })
}

/// One map, or a list of them; an empty list is for a device that is entered directly.
pub(in crate::domain::inventory) fn jumps(
    node: &Node<'_>,
    complaints: &mut Complaints,
) -> Vec<WrittenJump> {
    let nodes = match &node.value {
        Value::List(list) => list.as_slice(),
        Value::Map(_) | Value::Scalar { .. } => std::slice::from_ref(node),
    };
    if let Some(extra) = nodes.get(JUMPS_MAX) {
        let message = format!("a chain has at most {JUMPS_MAX} jump hosts, found {}", nodes.len());
        complaints.at(extra.place, message, "name only those that must be passed");
    }
    nodes.iter().filter_map(|node| jump(node, complaints)).collect()
}

fn jump(node: &Node<'_>, complaints: &mut Complaints) -> Option<WrittenJump> {
    let mut fields = Fields::of(node, "jump", complaints)?;
    let host =
        fields.require("host", complaints).and_then(|node| fields::text(node, "host", complaints));
    let port: Option<At<u16>> = fields.parsed("port", "a port from 1 to 65535", complaints);
    let logins = fields.require("credentials", complaints);
    let host_key = fields.text("host_key", complaints);
    fields.close(complaints);
    let credentials = logins.map(|node| credentials(node, complaints));
    if let (Some(node), Some([])) = (logins, credentials.as_deref()) {
        let message = "a jump host without credentials lets nobody through";
        complaints.at(node.place, message, "write a login, as for devices");
    }
    if let Some(port) = port.as_ref().filter(|port| port.value == 0) {
        let message = "`port` expects a port from 1 to 65535, found `0`";
        complaints.at(port.place, message, "remove the line for port 22");
    }
    if let Some(host) = host.as_ref().filter(|host| !is_host(&host.value)) {
        let message = format!("`{}` is no name or address of a host", shown(&host.value));
        complaints.at(host.place, message, "write the port, if not 22, in a line `port:`");
    }
    Some(WrittenJump {
        host: host?,
        port,
        credentials: credentials.unwrap_or_default(),
        host_key: host_key.map(|key| pinned(key, complaints)),
    })
}

/// A domain name (RFC 1035 §2.3.4: at most 255 octets) or an address without brackets.
fn is_host(text: &str) -> bool {
    let address = text.parse::<std::net::IpAddr>().is_ok();
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    address || text.len() <= 255 && !text.starts_with('-') && text.chars().all(letter)
}

/// The host key as a digest, however it is written.
fn pinned(key: At<String>, complaints: &mut Complaints) -> At<String> {
    let place = key.place;
    let value = fingerprint(&key.value).unwrap_or_else(|| {
        let message = format!("`{}` is no host key", shown(&key.value));
        let hint = "write `SHA256:...` as `ssh-keygen -lf` shows it, or its line of known_hosts";
        complaints.at(place, message, hint);
        key.value
    });
    At { value, place }
}
