//! Fetches secrets from where the operator keeps them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::complaint::Complaint;
use crate::config::meant::{Config, HookTarget, SlackAccess};
use crate::domain::inventory::meant::{CredentialReference, Inventory, SecretSource};
use crate::domain::inventory::resolve::SecretSet;
use crate::domain::template::ResolvedSecrets;
use crate::files::{command, disk};
use crate::secret::Secret;

/// A private key of any kind fits.
pub(super) const SECRET_BYTES_MAX: u64 = 64 << 10;

/// A command is not run again for each visit: devices that are being mended are visited every few
/// seconds, and a vault is asked over the network. A secret that changes is known after this time.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// A command that failed may be mended any moment, and may also cost all of its patience.
const FAILURE_KEPT: Duration = Duration::from_secs(10);

/// Commands whose output is kept; a plan names some few.
const COMMANDS_MAX: usize = 1000;

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
            without_line_end(text)
        }
        SecretSource::Command(words) => without_line_end(command::output(words)?),
    };
    if text.is_empty() {
        return Err(match source {
            SecretSource::Environment(name) => format!("the environment variable {name} is empty"),
            SecretSource::File(path) => format!("the file {path} is empty"),
            SecretSource::Command(words) => {
                format!("the command {} prints nothing", command::program(words))
            }
        });
    }
    Ok(Secret::new(text))
}

fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    text
}

/// Secrets as a server needs them, again and again. Clones share what is kept.
#[derive(Clone)]
pub struct Secrets {
    clock: Clock,
    kept: Arc<Mutex<HashMap<Vec<String>, Printed>>>,
}

/// What a command printed, or why it did not, and until when that counts.
type Printed = (Timestamp, Result<Secret, String>);

impl Secrets {
    pub fn new(clock: Clock) -> Self {
        Self { clock, kept: Arc::default() }
    }

    /// Reads a secret as [`secret`] does; what a command printed is kept for a while. May wait for
    /// a command to end: one at a time is run, so that a thousand visits run it once.
    pub fn get(&self, source: &SecretSource) -> Result<Secret, String> {
        let SecretSource::Command(words) = source else { return secret(source) };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if let Some((_, printed)) = kept.get(words).filter(|(until, _)| now < *until) {
            return printed.clone();
        }
        let printed = secret(source);
        let counts = if printed.is_ok() { KEPT } else { FAILURE_KEPT };
        if kept.len() >= COMMANDS_MAX {
            kept.clear();
        }
        kept.insert(words.clone(), (self.clock.now().plus(counts), printed.clone()));
        printed
    }
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
            SecretSource::Command(words) => format!("command {words:?}"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn shell(text: &str) -> SecretSource {
        SecretSource::Command(["sh", "-c", text].map(str::to_owned).to_vec())
    }

    #[test]
    fn a_secret_is_what_a_command_prints_without_its_line_end() {
        assert_eq!(secret(&shell("echo hunter2")).unwrap().expose(), "hunter2");
        assert_eq!(secret(&shell("printf 'a\\nb\\r\\n'")).unwrap().expose(), "a\nb");
        assert_eq!(secret(&shell("true")).unwrap_err(), "the command sh prints nothing");
    }

    #[test]
    fn a_command_is_asked_again_only_after_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let count = directory.path().join("count");
        let source = shell(&format!("echo x >>'{0}'; wc -l <'{0}'", count.display()));
        let hands = ManualClock::default();
        let secrets = Secrets::new(Clock::Manual(hands.clone()));
        let get = || secrets.get(&source).unwrap().expose().trim().to_owned();
        assert_eq!((get(), get()), ("1".to_owned(), "1".to_owned()));
        hands.advance(KEPT - Duration::from_secs(1));
        assert_eq!(get(), "1");
        hands.advance(Duration::from_secs(1));
        assert_eq!(get(), "2");
    }

    #[test]
    fn a_failure_is_told_again_without_running_and_then_tried_anew() {
        let directory = tempfile::tempdir().unwrap();
        let there = directory.path().join("there");
        let source = shell(&format!("cat '{}'", there.display()));
        let hands = ManualClock::default();
        let secrets = Secrets::new(Clock::Manual(hands.clone()));
        let why = secrets.get(&source).unwrap_err();
        assert_eq!(why, "the command sh ended with exit status: 1");
        std::fs::write(&there, "hunter2").unwrap();
        assert!(secrets.get(&source).is_err());
        hands.advance(FAILURE_KEPT);
        assert_eq!(secrets.get(&source).unwrap().expose(), "hunter2");
    }
}
