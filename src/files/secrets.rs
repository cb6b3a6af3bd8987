//! Fetches secrets from where the operator keeps them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use crate::complaint::Complaint;
use crate::config::meant::{Config, HookTarget, SlackAccess};
use crate::domain::inventory::meant::{CredentialReference, Inventory, SecretSource};
use crate::domain::inventory::resolve::SecretSet;
use crate::domain::template::ResolvedSecrets;
use crate::files::disk;
use crate::secret::Secret;

/// A private key of any kind fits.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Reads a secret; the reason names its place, never its value.
pub fn secret(source: &SecretSource) -> Result<Secret, String> {
    let text = match source {
        SecretSource::Environment(name) => std::env::var(name)
            .map_err(|_| format!("the environment variable {name} is not set"))?,
        SecretSource::File(path) => {
            let told = |error: std::io::Error| format!("the file {path} cannot be read: {error}");
            let file = std::fs::File::open(path).map_err(told)?;
            let mut text = String::new();
            file.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(told)?;
            if text.ends_with('\n') {
                text.pop();
            }
            if text.ends_with('\r') {
                text.pop();
            }
            text
        }
    };
    if text.is_empty() {
        return Err(match source {
            SecretSource::Environment(name) => format!("the environment variable {name} is empty"),
            SecretSource::File(path) => format!("the file {path} is empty"),
        });
    }
    Ok(Secret::new(text))
}

/// Each source read once.
#[derive(Default)]
pub struct Fetched {
    templates: BTreeMap<String, Result<Secret, String>>,
}

impl Fetched {
    /// The secrets of all devices; sets that were shared stay shared.
    pub fn all(
        &mut self,
        sets: HashMap<String, Arc<SecretSet>>,
    ) -> HashMap<String, Arc<ResolvedSecrets>> {
        // Keeps each set, so that its address stays its own.
        let mut done: HashMap<usize, (Arc<SecretSet>, Arc<ResolvedSecrets>)> = HashMap::new();
        let mut all = HashMap::with_capacity(sets.len());
        for (device, set) in sets {
            let (_, shared) = done.entry(Arc::as_ptr(&set).addr()).or_insert_with(|| {
                let fetch = |(name, source): (&String, &SecretSource)| {
                    (name.clone(), self.fetch(source).clone())
                };
                let resolved = set.iter().map(fetch).collect();
                (set, Arc::new(resolved))
            });
            all.insert(device, Arc::clone(shared));
        }
        all
    }

    fn fetch(&mut self, source: &SecretSource) -> &Result<Secret, String> {
        let key = match source {
            SecretSource::Environment(name) => format!("env {name}"),
            SecretSource::File(path) => format!("file {path}"),
        };
        self.templates.entry(key).or_insert_with(|| secret(source))
    }

    /// One remark for each secret that cannot be read here and now.
    pub fn remarks(mut self, config: &Config, inventory: &Inventory) -> Vec<Complaint> {
        let mut before: &[CredentialReference] = &[];
        for device in &inventory.devices {
            // Mostly those of the defaults again.
            if device.credentials == before {
                continue;
            }
            before = &device.credentials;
            for source in device.credentials.iter().flat_map(CredentialReference::sources) {
                self.fetch(source);
            }
        }
        // Most devices share one chain.
        let mut seen = HashSet::new();
        let chains =
            inventory.jumps.values().filter(|chain| seen.insert(Arc::as_ptr(chain).addr()));
        for jump in chains.flat_map(|chain| chain.iter()) {
            for source in jump.credentials.iter().flat_map(CredentialReference::sources) {
                self.fetch(source);
            }
        }
        if let Some(slack) = &config.slack {
            match &slack.access {
                SlackAccess::BotToken(source) | SlackAccess::Webhook(source) => self.fetch(source),
            };
        }
        for hook in &config.hooks {
            match &hook.target {
                HookTarget::Http { secret_headers, signing_secret, .. } => {
                    for source in secret_headers.values().chain(signing_secret) {
                        self.fetch(source);
                    }
                }
                HookTarget::Exec { .. } => {}
            }
        }
        let hint = "the server needs it; `check` and `render` go on without";
        let remark = |why: String| disk::complaint(&config.inventory, why, hint);
        self.templates.into_values().filter_map(Result::err).map(remark).collect()
    }
}
