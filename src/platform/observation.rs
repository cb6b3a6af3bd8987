//! What a device said about itself, after its output was read. No judgement here: `domain/check`
//! judges.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One question's answer. What could not be read stays visible and is never green.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// The device answered and every line found its place.
    Seen(T),
    /// The device answered something we could not read to the end, or did not answer.
    Unreadable {
        /// What was expected, what was found, where. Device text in it is raw: escape it on the way
        /// out.
        why: String,
    },
    /// The platform has no such question.
    #[default]
    NotAsked,
}

impl<T> Reading<T> {
    pub fn seen(&self) -> Option<&T> {
        match self {
            Reading::Seen(value) => Some(value),
            Reading::Unreadable { .. } | Reading::NotAsked => None,
        }
    }

    pub fn unreadable(why: impl Into<String>) -> Self {
        Reading::Unreadable { why: why.into() }
    }

    pub fn is_not_asked(&self) -> bool {
        matches!(self, Reading::NotAsked)
    }
}

/// Everything one visit to a device brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    pub facts: Reading<Facts>,
    /// By LLDP (IEEE 802.1AB).
    pub lldp: Reading<Vec<Neighbour>>,
    /// By CDP; `NotAsked` unless the platform uses it where there is no LLDP.
    pub cdp: Reading<Vec<Neighbour>>,
    /// Link state of every interface.
    pub interfaces: Reading<Vec<Interface>>,
    /// Power supplies, fans and temperatures.
    #[serde(default, skip_serializing_if = "Reading::is_not_asked")]
    pub environment: Reading<Vec<Part>>,
    /// The running configuration as text. Holds secrets.
    pub running: Reading<String>,
    /// The configuration that the next boot would take, as text. Holds secrets.
    pub saved: Reading<String>,
    /// Whether the device confirmed that it saved, in a visit that told it to.
    #[serde(default, skip_serializing_if = "Reading::is_not_asked")]
    pub save: Reading<()>,
    /// The answers to further commands of the same visit, each by its command, as text. May hold
    /// secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub further: BTreeMap<String, Reading<String>>,
}

impl Observation {
    /// Nothing was asked yet.
    pub fn empty() -> Self {
        Self {
            facts: Reading::NotAsked,
            lldp: Reading::NotAsked,
            cdp: Reading::NotAsked,
            interfaces: Reading::NotAsked,
            environment: Reading::NotAsked,
            running: Reading::NotAsked,
            saved: Reading::NotAsked,
            save: Reading::NotAsked,
            further: BTreeMap::new(),
        }
    }
}

/// Who the device says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub hostname: Option<String>,
    /// The chassis serial; of a stack, every member's.
    pub serials: Vec<String>,
    pub model: Option<String>,
    pub software: Option<String>,
}

/// One neighbour on one port, as the device lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Our side, as printed.
    pub local_port: String,
    /// The far end's system name; empty when it sends none.
    pub system_name: String,
    /// The far end's chassis id as printed (often a MAC).
    pub chassis_id: Option<String>,
    /// The far end's port id: often, not always, the interface name.
    pub port_id: String,
    /// The far end's port description: sometimes the interface name, sometimes free text.
    pub port_description: Option<String>,
    /// How long ago this neighbour first appeared on this port, in seconds, when the device tells.
    pub first_seen_seconds_ago: Option<u64>,
    /// How long ago it was last heard, in seconds, when the device tells.
    pub last_heard_seconds_ago: Option<u64>,
}

/// One interface of the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// As printed.
    pub name: String,
    /// Whether the link is up.
    pub link_up: bool,
    /// How the link runs, where the platform is asked for it.
    #[serde(default, skip_serializing_if = "Reading::is_not_asked")]
    pub details: Reading<LinkDetails>,
}

impl Interface {
    /// An interface of which only the link is known.
    pub fn new(name: impl Into<String>, link_up: bool) -> Self {
        Self { name: name.into(), link_up, details: Reading::NotAsked }
    }
}

/// A part of the device that keeps it alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// As printed.
    pub name: String,
    pub kind: PartKind,
    pub state: PartState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    Power,
    Fan,
    Temperature,
    /// None of these, or nobody can say.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    Good,
    /// There is a place for it, and nothing in it.
    Absent,
    Bad,
    /// What the device says of it cannot be read.
    Unclear {
        /// What was found. Device text in it is raw.
        why: String,
    },
}

/// How a link runs. `None` where the device does not tell, as for a port without link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkDetails {
    /// In megabits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_mbps: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplex: Option<Duplex>,
    /// Damaged frames received since the counters were cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_errors: Option<u64>,
    /// How often the link has come or gone since the counters were cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_changes: Option<u64>,
}

/// Whether both ends may send at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplex {
    Full,
    Half,
}

impl Duplex {
    pub fn name(self) -> &'static str {
        match self {
            Duplex::Full => "full",
            Duplex::Half => "half",
        }
    }
}
