//! Which bytes an asker of TFTP or HTTP gets: its own, whatever generic name it asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::address::Mac;
use crate::clock::Clock;
use crate::domain::inventory::meant::Device;
use crate::domain::run::Event;
use crate::platform::AnswerFacts;
use crate::service::intake::{Clues, Identity, Intake};
use crate::service::memory::{Change, ServedFile};
use crate::service::plan::{InForce, Plan};
use crate::service::runner::{Input, Opening, Runs};

/// Rendered files kept, in bytes: a site's worth; what falls out is rendered again.
const KEPT_BYTES: u64 = 64 * 1024 * 1024;

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

/// The file service. Clones share everything.
#[derive(Clone)]
pub struct Serving {
    plan: InForce,
    intake: Intake,
    runs: Runs,
    clock: Clock,
    kept: Cache<(String, u64), Artifact>,
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
        let kept = Cache::builder()
            .max_capacity(KEPT_BYTES)
            .weigher(|_, artifact: &Artifact| {
                u32::try_from(artifact.content.len()).unwrap_or(u32::MAX).saturating_add(256)
            })
            .build();
        let reached = Cache::builder().max_capacity(PARTS_MAX).build();
        Self { plan, intake, runs, clock, kept, reached, headers_suffice }
    }

    /// Resolves the asker to a device and renders its file. The request is an event of the device's
    /// run; the answer waits until that event is stored.
    pub async fn artifact(&self, ask: Ask) -> Result<Artifact, Refusal> {
        let plan = self.plan.get();
        let (device, address) = self.asker(&ask)?;
        if !device.managed || device.template.is_none() {
            return Err(not_found("no file is planned for this device"));
        }
        if !fits(&plan, &device, &ask.name) {
            let event = Event::StrangeFileAsked { name: ask.name.clone() };
            self.runs.try_send(Input::event(&device.name, event, Opening::AfterWindow));
            return Err(not_found("this platform has no such file"));
        }
        let artifact = match self.rendered(&plan, &device) {
            Ok(artifact) => artifact,
            Err(why) => {
                tracing::error!(device = device.name, why, "its configuration does not render");
                let event = Event::OurSideFailed { why };
                self.runs.try_send(Input::event(&device.name, event, Opening::AfterWindow));
                return Err(unavailable("the configuration is not ready"));
            }
        };
        let event = Event::FileAsked {
            transport: ask.transport.to_owned(),
            name: ask.name.clone(),
            address,
        };
        let input = Input::event(&device.name, event, Opening::AfterWindow);
        match self.runs.stored(input).await {
            Ok(_) => Ok(artifact),
            Err(refused) => {
                tracing::error!(device = device.name, %refused, "a request could not be stored");
                Err(unavailable("try again in a moment"))
            }
        }
    }

    /// The device behind an asker, and the address by which it is reached. The address decides, because a header is only a claim; a header
    /// that contradicts the address is a conflict.
    fn asker(&self, ask: &Ask) -> Result<(Arc<Device>, IpAddr), Refusal> {
        let nobody = || not_found("no device is known at this address");
        let address = ask.peer.ip();
        let claim = Clues { serial: ask.serial.clone(), mac: ask.mac, ..Clues::default() };
        let claimed = match self.intake.identify(&claim) {
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
                let name: String = ask.name.chars().filter(|c| !c.is_control()).take(80).collect();
                let detail = format!("asked for {name} by {} from {address}", ask.transport);
                self.intake.stranger(&format!("{} {address}", ask.transport), &detail);
                Err(nobody())
            }
        }
    }

    /// A part counts as the whole once the bytes before it were fetched too.
    fn join_parts(&self, end: &mut Transferred) {
        let key = (end.device.clone(), end.sha256.clone());
        let reached = self.reached.get(&key).unwrap_or(0);
        if end.first_byte > reached {
            end.complete = false;
            end.why = format!("only the bytes from {} on", end.first_byte);
        } else {
            self.reached.insert(key, reached.max(end.first_byte + end.bytes));
        }
    }

    fn rendered(&self, plan: &Plan, device: &Device) -> Result<Artifact, String> {
        let key = (device.name.clone(), plan.generation);
        if let Some(artifact) = self.kept.get(&key) {
            return Ok(artifact);
        }
        let text = (plan.render)(device, &plan.inventory)?;
        let digest = Sha256::digest(text.as_bytes());
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let content = Arc::from(text.into_bytes());
        let artifact = Artifact { device: device.name.clone(), content, sha256 };
        self.kept.insert(key, artifact.clone());
        Ok(artifact)
    }

    /// Reports the end of a transfer. Durable before this returns, unless the store is down: then
    /// it is kept and stored when the store is back.
    pub async fn transferred(&self, mut end: Transferred) {
        let at = self.clock.now();
        self.join_parts(&mut end);
        let served = Change::Served(ServedFile {
            run: None,
            device: end.device.clone(),
            name_asked: end.name.chars().take(200).collect(),
            transport: end.transport.to_owned(),
            bytes: end.bytes,
            sha256: end.sha256.clone(),
            complete: end.complete,
            at,
        });
        let event = Event::TransferEnded {
            complete: end.complete,
            bytes: end.bytes,
            sha256: end.sha256,
            repeats: end.repeats,
            why: end.why,
        };
        let input = || {
            let mut input = Input::event(&end.device, event.clone(), Opening::Never);
            input.changes.push(served.clone());
            input
        };
        if self.runs.stored(input()).await.is_err() {
            self.runs.send(input()).await;
        }
    }
}

/// Whether this device may ask for its configuration by this name: the one it was told, or one that
/// its platform is known to ask for.
fn fits(plan: &Plan, device: &Device, name: &str) -> bool {
    let Some(platform) = plan.platforms.get(&device.platform) else { return false };
    if platform.knows_file(name) {
        return true;
    }
    let facts = AnswerFacts {
        server: std::net::Ipv4Addr::UNSPECIFIED,
        device: device.name.clone(),
        http_port: Some(80),
    };
    let asked = name.trim_start_matches('/');
    platform.dhcp_options(&facts).iter().filter(|(code, _)| *code == 67).any(|(_, value)| {
        let told = String::from_utf8_lossy(value);
        let path = told.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        let told = path.map_or(told.as_ref(), |(_, path)| path);
        told.trim_start_matches('/') == asked
    })
}

fn not_found(why: &str) -> Refusal {
    Refusal::NotFound { why: why.to_owned() }
}

fn unavailable(why: &str) -> Refusal {
    Refusal::Unavailable { why: why.to_owned() }
}
