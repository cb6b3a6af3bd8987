//! How a device is entered: with which logins, and through which jump hosts. `written` reads both
//! from the inventory; here they become what is meant. Nothing is fetched and nobody is called.

pub mod written;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::domain::inventory::meant::{
    CredentialReference, JumpReference, KeyReference, SecretSource,
};
use crate::domain::inventory::written::{Layer, WrittenSecret};
use written::{WrittenCredential, WrittenJump};

/// No chain of jump hosts is longer: each costs a login, and nobody is known to need four.
pub const JUMPS_MAX: usize = 3;

/// IANA's port of SSH (RFC 4253 §4.1).
pub const SSH_PORT: u16 = 22;

/// A secret's place; relative paths begin at `directory`.
pub(super) fn source(source: &SecretSource, directory: &Path) -> SecretSource {
    source.within(directory)
}

pub(super) fn credential(written: &WrittenCredential, directory: &Path) -> CredentialReference {
    let place = |secret: &Option<WrittenSecret>| {
        secret.as_ref().map(|secret| source(&secret.source, directory))
    };
    CredentialReference {
        username: written.username.value.clone(),
        password: place(&written.password),
        key: place(&written.key)
            .map(|text| KeyReference { text, passphrase: place(&written.passphrase) }),
        enable: place(&written.enable),
    }
}

/// Whether the device or its group names a login of its own. Defaults and sites speak of others.
pub(super) fn names_a_login([defaults, group, _, device]: &[&Layer; 4]) -> bool {
    // A device without a group has the defaults in its place.
    let group = Some(*group).filter(|group| !std::ptr::eq(*group, *defaults));
    let nearest =
        device.credentials.as_ref().or(group.and_then(|group| group.credentials.as_ref()));
    nearest.is_some_and(|list| !list.is_empty())
}

fn jump(written: &WrittenJump, directory: &Path) -> JumpReference {
    JumpReference {
        host: written.host.value.clone(),
        port: written.port.as_ref().map_or(SSH_PORT, |port| port.value),
        credentials: written.credentials.iter().map(|login| credential(login, directory)).collect(),
        host_key: written.host_key.as_ref().map(|key| key.value.clone()),
    }
}

/// The chains of jump hosts of all devices; devices of one layer share theirs.
#[derive(Default)]
pub(super) struct Chains {
    /// By the address of the written list, which is its identity while the plan is borrowed.
    known: HashMap<usize, Arc<[JumpReference]>>,
}

impl Chains {
    /// The chain of a device with these layers, the nearest last; none if it is entered directly.
    pub(super) fn of(
        &mut self,
        layers: &[&Layer],
        directory: &Path,
    ) -> Option<Arc<[JumpReference]>> {
        let list = layers.iter().rev().find_map(|layer| layer.jump.as_ref())?;
        if list.is_empty() {
            return None;
        }
        let chain = self
            .known
            .entry(list.as_ptr().addr())
            .or_insert_with(|| list.iter().map(|written| jump(written, directory)).collect());
        Some(Arc::clone(chain))
    }
}

/// `SHA256:...` of a host key that was written as such, or as a line of `known_hosts` or of a
/// `.pub` file: the digest of the key's blob in base64 without padding, as OpenSSH shows it.
pub fn fingerprint(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(digest) = text.strip_prefix("SHA256:") {
        let bytes = STANDARD_NO_PAD.decode(digest.trim_end_matches('=')).ok()?;
        let shown = STANDARD_NO_PAD.encode(&bytes);
        return (bytes.len() == 32).then(|| format!("SHA256:{shown}"));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).find_map(|pair| {
        let blob = STANDARD.decode(pair[1]).ok()?;
        let name = blob.get(4..4 + pair[0].len())?;
        // RFC 4253 §6.6: a key's blob begins with the name of its kind, after the name's length.
        let length = u32::try_from(pair[0].len()).ok()?.to_be_bytes();
        let fits = blob.starts_with(&length) && name == pair[0].as_bytes();
        fits.then(|| format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&blob))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOB: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn a_host_key_is_known_by_its_digest_or_by_its_line() {
        let expected = fingerprint(&format!("ssh-ed25519 {BLOB}")).expect("it is a key");
        assert!(expected.starts_with("SHA256:") && expected.len() == 7 + 43, "{expected}");
        for line in [
            expected.clone(),
            format!("{expected}="),
            format!("jump.example.net,192.0.2.1 ssh-ed25519 {BLOB}"),
            format!("[jump.example.net]:2222 ssh-ed25519 {BLOB} a comment"),
            format!("ssh-ed25519 {BLOB} root@jump"),
        ] {
            assert_eq!(fingerprint(&line).as_ref(), Some(&expected), "{line}");
        }
        for line in ["", "SHA256:", "SHA256:abc", "ssh-rsa", "MD5:00:11"] {
            assert_eq!(fingerprint(line), None, "{line}");
        }
        assert_eq!(fingerprint(&format!("ssh-rsa {BLOB}")), None, "the blob is of another kind");
    }
}
