//! One device on its way to green: the phases, what may happen, what follows.
//!
//! [`step`] is the only maker of a phase. It is pure and total: run, event and time in; run, note
//! and effects out. No socket, store or clock is here, and no words: those are `domain/notice`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::domain::check::upstream::Told;
use crate::domain::check::{Check, Findings, Problem};
use crate::domain::notice;

mod draft;
mod endings;
mod moves;
#[cfg(test)]
mod patience_tests;
mod phases;
mod proof;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transitions;
mod unserved;
#[cfg(test)]
mod unserved_tests;
pub mod upgrade;
#[cfg(test)]
mod upgrade_tests;
pub mod upstream;
#[cfg(test)]
mod upstream_tests;

pub use phases::{begin, open, step};

/// A run of one device. A row in the store, moved by [`step`] alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub id: String,
    pub device: String,
    pub site: String,
    pub platform: String,
    pub location: String,
    pub opened: Timestamp,
    /// When the device or a person was last heard in this run; the de-duplication window counts
    /// from here.
    pub last_heard: Timestamp,
    /// Counts every stored change of this run, from 1.
    pub rev: u64,
    /// Counts every journal line and effect of this run: with `id` the key of each.
    pub seq: u64,
    pub phase: Phase,
    pub timing: Arc<Timing>,
    /// Who asked for this run, if a person did.
    pub actor: Option<String>,
    /// The address the device was last given or seen at.
    pub address: Option<IpAddr>,
    /// Requests beyond the first of their kind, joined instead of opening a run of their own.
    pub repeats: u32,
    /// Completed transfers of its configuration, aborted ones.
    pub transfers: Transfers,
    /// SHA-256 of the configuration it was served, in hex.
    pub served_sha256: Option<String>,
    /// `SHA256:...` of the SSH host key first seen in this run.
    pub host_key: Option<String>,
    /// The number of the visit or hand-off under way; answers with another number are late and
    /// dropped.
    pub attempt: u64,
    /// When the device first let us in: neighbours get their patience from here.
    pub first_visit: Option<Timestamp>,
    /// The steps done so far, for the checklist.
    pub milestones: BTreeMap<Milestone, Timestamp>,
    /// Hooks that have accepted, with what they answered.
    pub handed: BTreeMap<String, String>,
    /// The newest outcome of each check.
    pub findings: Option<Findings>,
    /// A problem seen but not said yet, and since when: some faults must be seen to last.
    pub suspected: Option<(Problem, Timestamp)>,
    /// What was said lately, so that a flickering fault pushes once. At most [`TOLD_MAX`].
    pub told: Vec<(Problem, Timestamp)>,
    /// The newest visit was told to save the running configuration first.
    pub saving: bool,
    /// A file name it asked for that its platform does not know.
    pub strange_file: Option<String>,
    /// What was odd about the way it asks, each as it was said. At most [`ODDITIES_MAX`].
    #[serde(default)]
    pub oddities: Vec<String>,
    /// Visits in a row that found nobody.
    #[serde(default)]
    pub missed: u32,
    /// When a cable problem was last left untold because its sockets were worked on for another
    /// device. Nothing of the cables is said before they had time to be heard anew.
    #[serde(default)]
    pub gave_way: Option<Timestamp>,
    /// The newest upgrade of its software, if there was one.
    #[serde(default)]
    pub upgrade: Option<upgrade::Upgrade>,
    /// What is known of the devices at the other ends of its cables.
    #[serde(default, skip_serializing_if = "upstream::Upstream::is_empty")]
    pub upstream: upstream::Upstream,
}

/// How many said problems a run remembers: more than one device can have within a minute.
pub const TOLD_MAX: usize = 16;

/// How many oddities a run says: more than a device has ports that ask, and platforms that it may
/// be taken for.
pub const ODDITIES_MAX: usize = 16;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfers {
    pub complete: u32,
    pub aborted: u32,
    /// Aborted ones since the last complete one.
    pub aborted_in_a_row: u32,
}

/// The steps an installer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    Asked,
    Addressed,
    Downloaded,
    Back,
    Checked,
    HandedOver,
}

/// How long what may take. Fixed when the run opens, from configuration and platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// From the moment it is expected, or was last heard, to its next word.
    #[serde(default = "Timing::usual_ask_patience")]
    pub ask_patience: Duration,
    pub file_patience: Duration,
    pub settle: Duration,
    pub back_deadline: Duration,
    pub recheck: Duration,
    pub neighbour_patience: Duration,
    pub login_patience: Duration,
    pub still_waiting: Duration,
    /// The platform asks for a file. One that asks for none is visited once it has an address.
    #[serde(default = "Timing::usually_fetches")]
    pub fetches: bool,
    /// The platform merges what it is served and has to be told to save.
    pub save: bool,
    /// Hooks that must accept before green, and those that need not.
    pub hooks_required: Vec<String>,
    pub hooks_optional: Vec<String>,
}

impl Timing {
    /// Boots take three to eight minutes.
    pub const ASK_PATIENCE: Duration = Duration::from_secs(8 * 60);

    fn usual_ask_patience() -> Duration {
        Self::ASK_PATIENCE
    }

    fn usually_fetches() -> bool {
        true
    }
}

/// Where a run is. Each variant holds what is true only there, its own deadline included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Phase {
    /// It is expected, or has asked and no lease was granted yet. It should be heard by `ask_by`.
    Expected { ask_by: Timestamp },
    /// It holds a lease. It should ask for its file by `fetch_by`.
    Addressed { fetch_by: Timestamp },
    /// It is reading its file. The end of the transfer should be known by `end_by`.
    Fetching { since: Timestamp, end_by: Timestamp },
    /// It has its file and is applying it or rebooting; or it asks for none and has just got its
    /// address. The first visit is at `visit_at`.
    Settling { visit_at: Timestamp, back_by: Timestamp },
    /// We try to log in. `refused_since` is set from the first refused login on, `broken_since`
    /// from the first dialogue on that broke off.
    Connecting {
        back_by: Timestamp,
        refused_since: Option<Timestamp>,
        #[serde(default)]
        broken_since: Option<Timestamp>,
    },
    /// It let us in at least once; its answers are compared with the plan.
    Verifying { since: Timestamp },
    /// Its software is being changed. It may be away for long, which is no fault until `done_by`.
    Upgrading { since: Timestamp, stage: upgrade::Stage, done_by: Timestamp },
    /// Everything is proven; the hooks named here have not accepted yet.
    HandingOff { since: Timestamp, waiting_for: Vec<String> },
    /// Green.
    Ready { at: Timestamp },
    /// Something is wrong, was said once, and is checked again by itself.
    ActionNeeded {
        problem: Problem,
        since: Timestamp,
        still_waiting_said: bool,
        #[serde(default)]
        anew: Anew,
    },
    /// Given up, with the reason.
    Failed { at: Timestamp, why: String },
    /// Ended by a person.
    Cancelled { at: Timestamp, by: String },
}

/// A device that starts anew while a fault of its first steps is open: what it does then tells more
/// than what is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anew {
    /// It did not, or it has asked for a file since.
    #[default]
    No,
    /// It asked for an address.
    Asked,
    /// It has one, and should ask for its file by then.
    Leased { fetch_by: Timestamp },
}

/// What may happen to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Event {
    /// A DHCP exchange began (DISCOVER, or REQUEST without lease).
    Asked,
    /// A lease was granted or renewed.
    LeaseBound { address: IpAddr },
    /// Both at once: a DHCP exchange began and within a moment brought a lease.
    Exchanged { address: IpAddr },
    /// It asks in a way that the plan does not expect, in words: said once in a run. `address` is
    /// what another port of it took beside the address that it holds: it counts while no other is
    /// known.
    AskedOddly { what: String, address: Option<IpAddr> },
    /// It gave its address back. What is proven of it stays proven.
    Released { address: IpAddr },
    /// Our DHCP side cannot serve it.
    LeaseImpossible { why: String },
    /// It asked for a file and is being served its configuration.
    FileAsked { transport: String, name: String, address: IpAddr },
    /// It asked for a file that its platform does not know.
    StrangeFileAsked { name: String },
    /// It fetches an image. `own`: the one that is planned for it.
    ImageAsked { name: String, own: Option<upgrade::OwnImage> },
    /// A transfer of its configuration ended.
    TransferEnded { complete: bool, bytes: u64, sha256: String, repeats: u32, why: String },
    /// A file that it sent us was stored, or broke off.
    Uploaded(Uploaded),
    /// A timer of this run went off.
    Due { timer: Timer },
    /// A visit came back.
    Visited { attempt: u64, visit: Visit },
    /// The devices at the other ends of its cables were asked.
    UpstreamsTold { attempt: u64, told: Told },
    /// A hook gave its last answer.
    HookAnswered { hook: String, accepted: bool, answer: String },
    /// Two askers claim this device.
    Conflict { detail: String },
    /// Something of ours failed while serving this device.
    OurSideFailed { why: String },
    /// A person wants it looked at now.
    Recheck { by: String },
    /// A person is about to power it on.
    Expect { by: String },
    /// A person ends the run.
    Cancel { by: String },
}

/// A file that a device sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    /// Its name as stored, or as asked for when nothing was stored; hostile.
    pub name: String,
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
    /// Stored and acknowledged.
    pub complete: bool,
    /// Why it is not complete; empty otherwise.
    pub why: String,
}

/// What a visit brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Visit {
    Unreachable {
        why: String,
    },
    LoginRefused {
        why: String,
    },
    HostKeyChanged {
        found: String,
    },
    Broken {
        why: String,
    },
    /// The way to the device is closed on our side: it says nothing about the device.
    OurSide {
        why: String,
    },
    Judged {
        host_key: Option<String>,
        findings: Findings,
    },
    /// The same, with another version than planned, and the planned one can be installed.
    Outdated {
        host_key: Option<String>,
        findings: Findings,
        offer: upgrade::Offer,
    },
    /// A step of an upgrade came to its end.
    Stepped {
        host_key: Option<String>,
        index: usize,
        end: upgrade::StepEnd,
    },
}

/// A run's timers. One of each at most; setting one replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    /// The phase's own deadline.
    Deadline,
    /// The next visit.
    Visit,
    /// "Still waiting" is due.
    StillWaiting,
}

/// What follows from a step. Performed after the step is stored; each has `run` and its `seq` as
/// key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Wake {
        timer: Timer,
        at: Timestamp,
    },
    Sleep {
        timer: Timer,
    },
    /// Visit the device; the answer carries this attempt.
    Visit {
        attempt: u64,
        address: IpAddr,
        save: bool,
    },
    /// Take this step of the upgrade; the answer carries this attempt.
    Upgrade {
        attempt: u64,
        address: IpAddr,
        index: usize,
    },
    /// Ask the devices at the other ends of its cables whom they hear; the answer carries this
    /// attempt. `away`: the device itself does not answer, else it cannot tell whom it hears.
    AskUpstreams {
        attempt: u64,
        away: bool,
    },
    /// Tell people. The words are made of the run and this.
    Tell {
        kind: notice::Kind,
        problem: Option<Problem>,
    },
    /// Hand the device over to this hook, once per run.
    HandOff {
        hook: String,
    },
}

/// What [`step`] returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    pub run: Run,
    /// For the journal: topic and text.
    pub notes: Vec<(String, String)>,
    pub effects: Vec<Effect>,
}

impl Event {
    /// True if the device itself was heard on its way to green.
    pub fn is_of_the_device(&self) -> bool {
        match self {
            Event::Asked
            | Event::LeaseBound { .. }
            | Event::Exchanged { .. }
            | Event::Released { .. }
            | Event::LeaseImpossible { .. }
            | Event::FileAsked { .. }
            | Event::StrangeFileAsked { .. }
            | Event::ImageAsked { .. }
            | Event::TransferEnded { .. }
            | Event::AskedOddly { .. }
            | Event::Conflict { .. } => true,
            // A backup says nothing of the way to green, wherever a run is.
            Event::Uploaded(_)
            | Event::Due { .. }
            | Event::Visited { .. }
            | Event::UpstreamsTold { .. }
            | Event::HookAnswered { .. }
            | Event::OurSideFailed { .. }
            | Event::Recheck { .. }
            | Event::Expect { .. }
            | Event::Cancel { .. } => false,
        }
    }
}

impl Run {
    pub fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Ready { .. } | Phase::Failed { .. } | Phase::Cancelled { .. })
    }

    /// How many of the checks are proven, and how many there are.
    pub fn score(&self) -> (usize, usize) {
        use crate::domain::check::Verdict;
        let Some(findings) = &self.findings else { return (0, 0) };
        let planned: Vec<&(Check, Verdict)> =
            findings.verdicts.iter().filter(|(_, v)| *v != Verdict::NotPlanned).collect();
        (planned.iter().filter(|(_, v)| *v == Verdict::Pass).count(), planned.len())
    }
}

impl Event {
    /// True if the device asked for a file, was refused one, or got at one.
    fn tells_of_files(&self) -> bool {
        match self {
            Event::FileAsked { .. }
            | Event::StrangeFileAsked { .. }
            | Event::ImageAsked { .. }
            | Event::TransferEnded { .. }
            | Event::Conflict { .. }
            | Event::OurSideFailed { .. } => true,
            Event::Asked
            | Event::LeaseBound { .. }
            | Event::Exchanged { .. }
            | Event::AskedOddly { .. }
            | Event::Released { .. }
            | Event::LeaseImpossible { .. }
            | Event::Uploaded(_)
            | Event::Due { .. }
            | Event::Visited { .. }
            | Event::UpstreamsTold { .. }
            | Event::HookAnswered { .. }
            | Event::Recheck { .. }
            | Event::Expect { .. }
            | Event::Cancel { .. } => false,
        }
    }
}

impl Phase {
    /// The name as people and the store say it.
    pub fn name(&self) -> &'static str {
        match self {
            Phase::Expected { .. } => "expected",
            Phase::Addressed { .. } => "addressed",
            Phase::Fetching { .. } => "fetching",
            Phase::Settling { .. } => "settling",
            Phase::Connecting { .. } => "connecting",
            Phase::Verifying { .. } => "verifying",
            Phase::Upgrading { .. } => "upgrading",
            Phase::HandingOff { .. } => "handing_off",
            Phase::Ready { .. } => "ready",
            Phase::ActionNeeded { .. } => "action_needed",
            Phase::Failed { .. } => "failed",
            Phase::Cancelled { .. } => "cancelled",
        }
    }
}
