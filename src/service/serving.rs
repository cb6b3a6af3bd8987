//! Which bytes an asker of TFTP or HTTP gets: its own, whatever generic name it asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::address::Mac;
use crate::clock::Clock;
use crate::domain::inventory::meant::Device;
use crate::domain::run::{self, Event};
use crate::platform::recognition::HeaderClues;
use crate::service::intake::{Clues, Identity, Intake};
use crate::service::memory::{Change, ServedFile};
use crate::service::plan::{InForce, Plan};
use crate::service::runner::{Input, Opening, Runs};
use crate::service::upgrade;

mod kept;

use kept::Kept;

/// Rendered files of each kept, in bytes: those of some thousand devices that are in their
/// transfers share theirs with them. What falls out is rendered again.
const KEPT_BYTES: usize = 32 << 20;

/// Downloads whose parts are remembered: devices that fetch at the same time.
const PARTS_MAX: u64 = 10_000;

/// A file request, as a server heard it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// `tftp` or `http`.
    pub transport: &'static str,
    /// With `::ffff:` removed.
    pub peer: SocketAddr,
    /// The address it asked at.
    pub local: SocketAddr,
    /// As asked, lossily decoded; hostile.
    pub name: String,
    /// From HTTP identity headers.
    pub serial: Option<String>,
    pub mac: Option<Mac>,
}

/// What is to be sent. Rendered once per device and plan, then shared.
#[derive(Debug, Clone)]
pub struct Artifact {
    pub device: String,
    pub content: Arc<[u8]>,
    /// Lower-case hex.
    pub sha256: String,
}

/// Why there is nothing for this asker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not known, or not this name: TFTP ERROR 1, HTTP 404. The text goes to the asker: it tells
    /// nothing of others.
    NotFound { why: String },
    /// Not for this asker: TFTP ERROR 2, HTTP 403.
    Forbidden { why: String },
    /// Known, and not now (template fails, store is down): TFTP ERROR 0, HTTP 503.
    Unavailable { why: String },
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    pub device: String,
    pub transport: &'static str,
    pub peer: SocketAddr,
    pub name: String,
    pub complete: bool,
    /// It was an image from the disk, and not the device's configuration.
    pub image: bool,
    /// Where in the content it began: above 0 for the rest of a download that broke off before.
    pub first_byte: u64,
    /// Bytes of content acknowledged.
    pub bytes: u64,
    pub sha256: String,
    /// Requests and blocks that came again.
    pub repeats: u32,
    /// Why it is not complete; empty otherwise.
    pub why: String,
}

/// How an upload ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    pub device: String,
    pub peer: SocketAddr,
    /// As stored, or as asked for when nothing was stored; hostile.
    pub name: String,
    pub bytes: u64,
    /// Lower-case hex; empty when nothing was stored.
    pub sha256: String,
    /// Stored. The sender hears of it after this was reported.
    pub complete: bool,
    /// Why it is not complete; empty otherwise.
    pub why: String,
}

/// The file service. Clones share everything.
#[derive(Clone)]
pub struct Serving {
    plan: InForce,
    intake: Intake,
    runs: Runs,
    clock: Clock,
    kept: Arc<Kept>,
    /// Those of devices whose first file is another one.
    kept_configurations: Arc<Kept>,
    /// How far from its beginning a device has each content, by its digest: the end alone is no
    /// download.
    reached: Cache<(String, String), u64>,
    /// Identity headers alone suffice: only where another DHCP server hands out the addresses.
    headers_suffice: bool,
}

impl Serving {
    pub fn new(
        plan: InForce,
        intake: Intake,
        runs: Runs,
        clock: Clock,
        headers_suffice: bool,
    ) -> Self {
        let kept = Arc::new(Kept::new(KEPT_BYTES));
        let kept_configurations = Arc::new(Kept::new(KEPT_BYTES));
        let reached = Cache::builder().max_capacity(PARTS_MAX).build();
        Self { plan, intake, runs, clock, kept, kept_configurations, reached, headers_suffice }
    }

    /// Resolves each asker to its device and renders its file. A request is an event of the
    /// device's run; the answers wait until these events are stored, all together.
    pub async fn artifacts(&self, asks: Vec<Ask>) -> Vec<Result<Artifact, Refusal>> {
        let plan = self.plan.get();
        let mut inputs = Vec::with_capacity(asks.len());
        let mut answers: Vec<Result<Artifact, Refusal>> = asks
            .into_iter()
            .map(|ask| {
                let (artifact, input) = self.answered(&plan, ask)?;
                inputs.extend(input);
                Ok(artifact)
            })
            .collect();
        if inputs.is_empty() {
            return answers;
        }
        if let Err(refused) = self.runs.all_stored(inputs).await {
            for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                *answer = Err(unavailable("try again in a moment"));
            }
            tracing::error!(%refused, "requests could not be stored");
        }
        answers
    }

    /// What one asker gets, and the event that must be stored before. The digest of a file is no
    /// event: its configuration comes before or after.
    fn answered(&self, plan: &Plan, ask: Ask) -> Result<(Artifact, Option<Input>), Refusal> {
        let (device, address) = self.asker(&ask)?;
        if !device.managed || device.template.is_none() {
            return Err(not_found("no file is planned for this device"));
        }
        if !fits(plan, &device, &ask.name) {
            let event = Event::StrangeFileAsked { name: ask.name };
            self.runs.try_send(Input::event(&device.name, event, Opening::AfterWindow));
            return Err(not_found("this platform has no such file"));
        }
        let artifact = match self.rendered(plan, &device, &ask.name) {
            Ok(artifact) => artifact,
            Err(why) => {
                tracing::error!(device = device.name, why, "its configuration does not render");
                let event = Event::OurSideFailed { why };
                self.runs.try_send(Input::event(&device.name, event, Opening::AfterWindow));
                return Err(unavailable("the configuration is not ready"));
            }
        };
        if let Some(digest) = digest(plan, &device, &ask.name, &artifact) {
            return Ok((digest, None));
        }
        let event =
            Event::FileAsked { transport: ask.transport.to_owned(), name: ask.name, address };
        Ok((artifact, Some(Input::event(&device.name, event, Opening::AfterWindow))))
    }

    /// The device that may fetch an image by this name: whoever is known, and does not ask for its
    /// configuration by it.
    pub fn may_fetch_image(&self, ask: &Ask) -> Option<String> {
        let claimed = match self.claimed(ask) {
            Identity::Device(device) => Some(device),
            Identity::Conflict { .. } => return None,
            Identity::Stranger { .. } | Identity::Nobody => None,
        };
        let device = match (self.intake.heard_at(ask.peer), claimed) {
            (Some((holder, _)), Some(claimed)) if holder.name != claimed.name => return None,
            (Some((holder, _)), _) => holder,
            (None, claimed) => claimed.filter(|_| self.headers_suffice)?,
        };
        let configured = device.managed && device.template.is_some();
        let own = configured && fits(&self.plan.get(), &device, &ask.name);
        (!own).then(|| device.name.clone())
    }

    /// A device begins to fetch an image. Its run hears of it, if there is room.
    pub fn image_asked(&self, device: &str, name: &str) {
        let plan = self.plan.get();
        let own = plan.inventory.device(device);
        let own = own.and_then(|device| upgrade::own_image(&plan, device, name));
        let event = Event::ImageAsked { name: shortened(name.to_owned()), own };
        self.runs.try_send(Input::event(device, event, Opening::Never));
    }

    /// Who a request says it is, in the headers of any platform.
    pub fn header_clues(&self, headers: &[(String, String)]) -> HeaderClues {
        self.plan.get().platforms.identity_headers().read(headers)
    }

    /// The device that may send us this file: the one that holds the address, whatever a request
    /// says. Anybody else is a sighting.
    pub fn sender(&self, ask: &Ask) -> Result<String, Refusal> {
        if let Some((device, _)) = self.intake.heard_at(ask.peer) {
            return Ok(device.name.clone());
        }
        let address = ask.peer.ip();
        let detail = format!("sent {} by {} from {address}", shown(&ask.name), ask.transport);
        self.intake.stranger(&format!("{} {address}", ask.transport), &detail);
        Err(Refusal::Forbidden { why: "no device is known at this address".to_owned() })
    }

    /// Reports the end of an upload. Durable before this returns, unless the store is down: then it
    /// is kept and stored when the store is back.
    pub async fn uploaded(&self, end: Uploaded) {
        let Uploaded { device, peer, name, bytes, sha256, complete, why } = end;
        let open = (!complete).then_some(why.as_str());
        tracing::info!(device, %peer, name = shown(&name), bytes, complete, why = open, "upload");
        let event = Event::Uploaded(run::Uploaded { name, bytes, sha256, complete, why });
        let input = || Input::event(&device, event.clone(), Opening::Never);
        if self.runs.stored(input()).await.is_err() {
            self.runs.send(input()).await;
        }
    }

    /// Whom the headers of a request name. TFTP has none.
    fn claimed(&self, ask: &Ask) -> Identity {
        if ask.serial.is_none() && ask.mac.is_none() {
            return Identity::Nobody;
        }
        let clues = Clues { serial: ask.serial.clone(), mac: ask.mac, ..Clues::default() };
        self.intake.identify(&clues)
    }

    /// The device behind an asker, and the address by which it is reached. The address decides,
    /// because a header is only a claim; a header that contradicts the address is a conflict.
    fn asker(&self, ask: &Ask) -> Result<(Arc<Device>, IpAddr), Refusal> {
        let nobody = || not_found("no device is known at this address");
        let address = ask.peer.ip();
        let claimed = match self.claimed(ask) {
            Identity::Device(device) => Some(device),
            Identity::Conflict { detail } => {
                self.intake.stranger(&format!("http {address}"), &detail);
                return Err(nobody());
            }
            Identity::Stranger { .. } | Identity::Nobody => None,
        };
        match (self.intake.heard_at(ask.peer), claimed) {
            (Some((holder, _)), Some(claimed)) if holder.name != claimed.name => {
                let detail =
                    format!("the address is {}'s, its headers say {}", holder.name, claimed.name);
                self.intake.stranger(&format!("http {address}"), &detail);
                let event = Event::Conflict { detail };
                self.runs.try_send(Input::event(&holder.name, event, Opening::Never));
                Err(nobody())
            }
            (Some(holder), _) => Ok(holder),
            (None, Some(claimed)) if self.headers_suffice => Ok((claimed, address)),
            (None, _) => {
                let name = shown(&ask.name);
                let detail = format!("asked for {name} by {} from {address}", ask.transport);
                self.intake.stranger(&format!("{} {address}", ask.transport), &detail);
                Err(nobody())
            }
        }
    }

    /// A part counts as the whole once the bytes before it were fetched too. TFTP knows no parts.
    fn join_parts(&self, end: &mut Transferred) {
        if end.transport == "tftp" {
            return;
        }
        let key = (end.device.clone(), end.sha256.clone());
        // Whoever begins anew has nothing yet.
        let reached = match end.first_byte {
            0 => 0,
            _ => self.reached.get(&key).unwrap_or(0),
        };
        if end.first_byte > reached {
            end.complete = false;
            end.why = format!("only the bytes from {} on", end.first_byte);
        } else {
            self.reached.insert(key, reached.max(end.first_byte + end.bytes));
        }
    }

    fn rendered(&self, plan: &Plan, device: &Device, name: &str) -> Result<Artifact, String> {
        let configured = asks_configuration(plan, device, name);
        let kept = if configured { &self.kept_configurations } else { &self.kept };
        if let Some(artifact) = kept.get(&device.name, plan.generation) {
            return Ok(artifact);
        }
        // A template engine that breaks on one device must not take the others' answers along.
        let render = || match configured {
            true => plan.configuration(device),
            false => plan.first_file(device),
        };
        let rendered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(render));
        let text = rendered.map_err(|_| "the template engine broke".to_owned())??;
        let digest = Sha256::digest(text.as_bytes());
        let sha256 = hex(&digest);
        let content = Arc::from(text.into_bytes());
        let artifact = Artifact { device: device.name.clone(), content, sha256 };
        kept.put(plan.generation, artifact.clone());
        Ok(artifact)
    }

    /// Reports the ends of transfers. Durable before this returns, unless the store is down: then
    /// they are kept and stored when the store is back.
    pub async fn transferred(&self, ends: Vec<Transferred>) {
        self.runs.all_kept(ends.into_iter().map(|end| self.ended(end)).collect()).await;
    }

    fn ended(&self, mut end: Transferred) -> Input {
        let at = self.clock.now();
        self.join_parts(&mut end);
        // Images and digests come before or after the configuration and say nothing of it.
        let beside = end.image || is_digest(&self.plan.get(), &end);
        let served = Change::Served(ServedFile {
            run: None,
            device: end.device.clone(),
            name_asked: shortened(end.name),
            transport: end.transport.to_owned(),
            bytes: end.bytes,
            sha256: end.sha256.clone(),
            complete: end.complete,
            at,
        });
        if beside {
            return Input::changes(vec![served]);
        }
        let event = Event::TransferEnded {
            complete: end.complete,
            bytes: end.bytes,
            sha256: end.sha256,
            repeats: end.repeats,
            why: end.why,
        };
        let mut input = Input::event(&end.device, event, Opening::Never);
        input.changes.push(served);
        input
    }
}

/// A name as it is written down: no longer than any platform's.
fn shortened(name: String) -> String {
    match name.char_indices().nth(200) {
        Some((end, _)) => name[..end].to_owned(),
        None => name,
    }
}

fn hex(digest: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Whether this device may ask for its configuration by this name: the one it was told, or one that
/// its platform is known to ask for.
fn fits(plan: &Plan, device: &Device, name: &str) -> bool {
    let platform = plan.platforms.get(&device.platform);
    platform.is_some_and(|platform| platform.may_ask(&device.name, name))
        || asks_configuration(plan, device, name)
}

/// Whether what this device must run is asked for, and not the file that leads to it.
fn asks_configuration(plan: &Plan, device: &Device, name: &str) -> bool {
    let platform = plan.platforms.get(&device.platform);
    let asks = platform.is_some_and(|known| known.asks_configuration(&device.name, name));
    device.configuration.is_some() && asks
}

/// The second file with the digest of the first, if it is asked for and the platform wants one.
fn digest(plan: &Plan, device: &Device, name: &str, of: &Artifact) -> Option<Artifact> {
    let platform = plan.platforms.get(&device.platform)?;
    let first = platform.digest_of(name)?;
    let served = std::str::from_utf8(&of.content).ok()?;
    let text = platform.checksum.as_ref()?.beside(first, served);
    let sha256 = hex(&Sha256::digest(text.as_bytes()));
    let content = Arc::from(text.into_bytes());
    Some(Artifact { device: device.name.clone(), content, sha256 })
}

/// Whether a digest was transferred, and not the file that it is of.
fn is_digest(plan: &Plan, end: &Transferred) -> bool {
    let platform = plan.inventory.device(&end.device);
    let platform = platform.and_then(|device| plan.platforms.get(&device.platform));
    platform.is_some_and(|platform| platform.digest_of(&end.name).is_some())
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn not_found(why: &str) -> Refusal {
    Refusal::NotFound { why: why.to_owned() }
}

fn unavailable(why: &str) -> Refusal {
    Refusal::Unavailable { why: why.to_owned() }
}
