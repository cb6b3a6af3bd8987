//! What a device said about itself, after its output was read. No judgement here: `domain/check`
//! judges.

use serde::{Deserialize, Serialize};

/// One question's answer. What could not be read stays visible and is never green.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The running configuration as text. Holds secrets.
    pub running: Reading<String>,
    /// The configuration that the next boot would take, as text. Holds secrets.
    pub saved: Reading<String>,
}

impl Observation {
    /// Nothing was asked yet.
    pub fn empty() -> Self {
        Self {
            facts: Reading::NotAsked,
            lldp: Reading::NotAsked,
            cdp: Reading::NotAsked,
            interfaces: Reading::NotAsked,
            running: Reading::NotAsked,
            saved: Reading::NotAsked,
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
}
