//! The rows of TFTP: the same readers against every server, by turns.

use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

use greenlight::clock::Clock;

use super::client::{self, Load, Score};
use super::kernel::Fixed;
use super::outcome::{Against, Bar, Demand, EACH, MEGABYTES, Outcome, Role, Sample};
use super::profile::Recording;
use super::servers::{FILES, Kind, LARGE, MEDIUM, SMALL, Server};
use super::settings::Settings;

/// Work of one row of the table.
pub struct Work {
    pub id: &'static str,
    pub title: &'static str,
    pub file: &'static str,
    pub transfers: usize,
    pub at_once: usize,
    pub block_bytes: Option<u16>,
    pub window_blocks: Option<u16>,
    pub loss_per_mille: u32,
    pub servers: &'static [Kind],
    pub quick: bool,
    pub bars: &'static [Bar],
}

const fn bar(against: Against, demand: Demand) -> Bar {
    Bar { against, demand }
}

const RS: Against = Against::Named("rs-tftpd");
const DNSMASQ: Against = Against::Named("dnsmasq");
const LOOP: Against = Against::Named("bare loop");

pub const WORKS: [Work; 5] = [
    Work {
        id: "small",
        title: "20,000 transfers of 8,000 bytes, 200 at a time, no options",
        file: SMALL,
        transfers: 20_000,
        at_once: 200,
        block_bytes: None,
        window_blocks: None,
        loss_per_mille: 0,
        quick: false,
        servers: &[
            Kind::Whole,
            Kind::Engine,
            Kind::Kernel,
            Kind::Dnsmasq,
            Kind::RsTftpd,
            Kind::TftpdHpa,
            Kind::Atftpd,
            Kind::Fbtftp,
        ],
        bars: &[bar(DNSMASQ, Demand::RateAtLeast(1.4)), bar(LOOP, Demand::CpuAtMost(1.25))],
    },
    Work {
        id: "medium",
        title: "100 transfers of 4 MiB, 50 at a time, blksize 1428, windowsize 8",
        file: MEDIUM,
        transfers: 100,
        at_once: 50,
        block_bytes: Some(1428),
        window_blocks: Some(8),
        loss_per_mille: 0,
        quick: false,
        servers: WINDOWS,
        bars: &[bar(RS, Demand::RateAtLeast(2.0)), bar(RS, Demand::CpuAtMost(0.5))],
    },
    Work {
        id: "large",
        title: "one transfer of 64 MiB, blksize 1428, windowsize 16",
        file: LARGE,
        transfers: 1,
        at_once: 1,
        block_bytes: Some(1428),
        window_blocks: Some(16),
        loss_per_mille: 0,
        quick: false,
        servers: WINDOWS,
        bars: &[bar(RS, Demand::RateAtLeast(2.0))],
    },
    Work {
        id: "lockstep",
        title: "one transfer of 64 MiB, blksize 1428, windowsize 1",
        file: LARGE,
        transfers: 1,
        at_once: 1,
        block_bytes: Some(1428),
        window_blocks: None,
        loss_per_mille: 0,
        quick: false,
        servers: &[
            Kind::Whole,
            Kind::Engine,
            Kind::Kernel,
            Kind::Dnsmasq,
            Kind::RsTftpd,
            Kind::TftpdHpa,
            Kind::Atftpd,
        ],
        bars: &[bar(Against::BestPeer, Demand::RateAtLeast(1.0))],
    },
    Work {
        id: "loss",
        title: "one transfer of 4 MiB, blksize 1428, windowsize 16, 2 % lost each way",
        file: MEDIUM,
        transfers: 1,
        at_once: 1,
        block_bytes: Some(1428),
        window_blocks: Some(16),
        loss_per_mille: 20,
        quick: false,
        servers: &[Kind::Whole, Kind::Engine, Kind::RsTftpd, Kind::Atftpd],
        bars: &[bar(Against::BestPeer, Demand::RateAtLeast(3.0))],
    },
];

/// Those that know windows (RFC 7440).
const WINDOWS: &[Kind] =
    &[Kind::Whole, Kind::Engine, Kind::Kernel, Kind::KernelCut, Kind::RsTftpd, Kind::Atftpd];

/// No run takes longer; the slowest peer needs a minute for the small files.
const PATIENCE: Duration = Duration::from_secs(150);

/// A server against which no bar stands and that takes longer takes part in one round.
const ONCE: Duration = Duration::from_secs(10);

/// What is left to do after the last packet is done by then.
const IDLE_PATIENCE: Duration = Duration::from_secs(120);

impl Work {
    /// Fewer transfers and no large file, to see that everything works.
    pub fn quick(self) -> Self {
        let transfers = if self.transfers > 1000 { 400 } else { self.transfers.min(10) };
        let file = if self.file == LARGE { MEDIUM } else { self.file };
        Self { transfers, file, at_once: self.at_once.min(transfers), quick: true, ..self }
    }

    pub fn size(&self) -> &'static str {
        if self.quick { "quick" } else { "full" }
    }

    pub fn fixed(&self, cut: bool) -> Fixed {
        let file = FILES.iter().find(|(name, _)| *name == self.file);
        Fixed {
            file_bytes: file.expect("every row asks for a file that there is").1,
            block_bytes: self.block_bytes.unwrap_or(512).into(),
            window_blocks: self.window_blocks.unwrap_or(1).into(),
            options: self.block_bytes.is_some(),
            cut,
        }
    }

    fn load(&self, server: &Server, seed: u32) -> Load {
        Load {
            server: server.address,
            file: self.file.to_owned(),
            transfers: self.transfers,
            at_once: self.at_once,
            block_bytes: self.block_bytes,
            window_blocks: self.window_blocks,
            loss_per_mille: self.loss_per_mille,
            seed,
            patience: PATIENCE,
        }
    }

    /// Whether a bar is measured against this server, so that all rounds of it are wanted.
    fn judged(&self, kind: Kind) -> bool {
        let ours = matches!(kind, Kind::Whole | Kind::Engine);
        ours || self.bars.iter().any(|bar| match bar.against {
            Against::Named(name) => name == kind.name(),
            Against::BestPeer => kind.is_peer(),
            Against::Nobody => false,
        })
    }

    fn counts_transfers(&self) -> bool {
        self.file == SMALL
    }
}

/// All rounds of one row.
pub fn measure(work: &Work, settings: &Settings) -> Outcome {
    let unit = if work.counts_transfers() { EACH } else { MEGABYTES };
    let mut outcome = Outcome::new(work.id, work.title, unit, work.bars);
    let mut absent: Vec<Kind> = Vec::new();
    for round in 0..settings.rounds {
        for (place, kind) in work.servers.iter().enumerate() {
            let ours = matches!(kind, Kind::Whole | Kind::Engine);
            if absent.contains(kind) || (settings.profile && !ours) {
                continue;
            }
            let port = 20_069 + (round * 10 + place) as u16;
            let begin = Clock::System.instant();
            match run(work, *kind, (port, round as u32 + 1), settings) {
                Ok((sample, note)) => {
                    eprintln!("{} round {}: {}: {sample:.1?}", work.id, round + 1, kind.name());
                    outcome.add(kind.name(), role(*kind), sample, note);
                    let took = Clock::System.instant().duration_since(begin);
                    if took > ONCE && !work.judged(*kind) {
                        outcome.add_note(kind.name(), "one round: slow, and no bar".to_owned());
                        absent.push(*kind);
                    }
                }
                Err(why) => {
                    eprintln!("{} round {}: {}: {why}", work.id, round + 1, kind.name());
                    outcome.skip(kind.name(), why);
                    absent.push(*kind);
                }
            }
        }
    }
    // Until the whole server can serve a row, its engine stands for it.
    if outcome.ours().is_none() {
        let engine = outcome.lines.iter_mut().find(|line| line.name == Kind::Engine.name());
        if let Some(engine) = engine {
            engine.role = Role::Ours;
            engine.notes.push("the engine alone stands for ours".to_owned());
        }
    }
    outcome
}

fn role(kind: Kind) -> Role {
    match (kind, kind.is_peer()) {
        (Kind::Whole, _) => Role::Ours,
        (_, true) => Role::Peer,
        (_, false) => Role::Beside,
    }
}

type Measured = (Sample, Option<String>);

fn run(
    work: &Work,
    kind: Kind,
    (port, seed): (u16, u32),
    settings: &Settings,
) -> Result<Measured, String> {
    let place = &settings.place;
    let mut server = Server::start(kind, port, work, place)?;
    warm(&mut server, kind, work)?;
    let recording = match (&settings.profile, kind) {
        (true, Kind::Whole | Kind::Engine) => Some(Recording::start(server.process.id(), place)?),
        (_, _) => None,
    };
    server.process.until_idle(IDLE_PATIENCE);
    let before = server.process.cpu();
    let score = client::run(work.load(&server, seed));
    let last = server.process.cpu().saturating_sub(before);
    if score.complete == 0 && score.refused > 0 {
        return Err(format!("it refuses {}", work.file));
    }
    let after = server.process.until_idle(IDLE_PATIENCE);
    let idle = server.process.cpu().saturating_sub(before);
    if let Some(recording) = recording {
        let name = format!("{}-{}", work.id, if kind == Kind::Whole { "whole" } else { "engine" });
        recording.end(&name, place)?;
    }
    let mut notes = Vec::new();
    if score.complete < work.transfers {
        notes.push(format!("{} of {} transfers complete", score.complete, work.transfers));
    }
    match after {
        Some(after) if kind == Kind::Whole && after > Duration::from_secs(1) => {
            notes.push(format!("idle {:.0} s after the last transfer", after.as_secs_f64()));
        }
        Some(_) => {}
        None => notes.push(format!("still busy {IDLE_PATIENCE:?} after the last transfer")),
    }
    if kind == Kind::Whole {
        notes.extend(unproven(work, settings));
    }
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    Ok((sample(work, score, last, idle), note))
}

fn sample(work: &Work, score: Score, last: Duration, idle: Duration) -> Sample {
    let seconds = score.elapsed.as_secs_f64();
    let complete = score.complete as f64;
    let megabytes = score.bytes as f64 / 1e6;
    let each = |cpu: Duration| match work.counts_transfers() {
        true => cpu.as_secs_f64() * 1e6 / complete.max(1.0),
        false => cpu.as_secs_f64() * 1e3 / megabytes.max(1.0),
    };
    let count = if work.counts_transfers() { complete } else { megabytes };
    Sample { rate: count / seconds, cpu_last: each(last), cpu_idle: each(idle) }
}

/// One transfer of the small file, once the server is up.
fn warm(server: &mut Server, kind: Kind, work: &Work) -> Result<(), String> {
    for _ in 0..300 {
        let load = Load {
            file: SMALL.to_owned(),
            transfers: 1,
            at_once: 1,
            loss_per_mille: 0,
            patience: Duration::from_millis(300),
            ..work.load(server, 1)
        };
        let score = client::run(load);
        // The bare loop has one file, which may be a large one.
        let loops = matches!(kind, Kind::Kernel | Kind::KernelCut);
        if score.complete == 1 || (loops && score.bytes > 0) {
            return Ok(());
        }
        if !server.process.is_alive() {
            return Err("it ended: see its log in the directory of this run".to_owned());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err("it does not serve the small file".to_owned())
}

/// Asks ours what it has stored: for every transfer a run, which knows the digest of what was
/// served; no two devices were served the same.
fn unproven(work: &Work, settings: &Settings) -> Option<String> {
    let place = &settings.place;
    let output = Command::new(&place.greenlight)
        .args(["status", "--json", "--config"])
        .arg(place.directory.join("greenlight.yaml"))
        .output();
    let output = output.ok().filter(|output| output.status.success());
    let status: Option<serde_json::Value> =
        output.and_then(|output| serde_json::from_slice(&output.stdout).ok());
    let Some(devices) = status.as_ref().and_then(|status| status["devices"].as_array()) else {
        return Some("`greenlight status` gives no answer".to_owned());
    };
    let complete = |device: &&serde_json::Value| device["run"]["transfers"]["complete"] != 0;
    let digests = devices.iter().filter(complete);
    let digests = digests.filter_map(|device| device["run"]["served_sha256"].as_str());
    let digests: Vec<&str> = digests.collect();
    // A rendered file is each device's own, an image is the same for all.
    let proven = if work.counts_transfers() {
        digests.into_iter().collect::<HashSet<_>>().len()
    } else {
        digests.len()
    };
    let missing = work.transfers.checked_sub(proven).filter(|missing| *missing > 0)?;
    Some(format!("{missing} of {} transfers are not in the store", work.transfers))
}
