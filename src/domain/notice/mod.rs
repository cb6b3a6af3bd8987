//! What people are told: one notice per step, the same for chat, web page, terminal and hooks.
//! The sentences themselves stand in `configs/words`, a file a language; this room only fills and
//! orders them.

mod checklist;
mod clean;
mod compose;
mod languages;
mod lint;
mod sighting;
mod words;
mod written;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::domain::fault::Fault;

pub use clean::clean;
pub use compose::{Telling, compose};
pub use languages::{Languages, USUAL, remarks};
pub use sighting::SightingTold;
pub use words::{Words, WordsError};

/// How loud a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The run began: the parent message. Pushes.
    Started,
    /// A step of the checklist changed: the parent is edited. Never pushes.
    Progress,
    /// Something has to be done, or is being done by the network team: a reply. Pushes.
    ActionNeeded,
    /// The fault is gone: the reply and the parent are edited. Never pushes.
    Cleared,
    /// Its software is being changed, which takes long: a reply. Pushes, once.
    Upgrading,
    /// Said once after ten minutes of waiting: a reply.
    StillWaiting,
    /// Green: a reply. Pushes.
    Done,
    /// The run ended otherwise: cancelled, or given up with the reason. A reply.
    Ended,
}

/// One line of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistLine {
    pub state: LineState,
    /// The state as a word, for a line's sign is never alone: `done`.
    #[serde(default)]
    pub mark: String,
    /// `downloaded its config`.
    pub text: String,
    pub at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineState {
    Done,
    Working,
    Waiting,
    /// Needs somebody.
    Attention,
}

/// A notice, complete in words. Text from devices in it was cleaned and cut when it was filled in;
/// each outlet still escapes it for its own format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub run: String,
    /// Ascending within the run: `run` and `seq` are the key of every effect of this notice.
    pub seq: u64,
    pub at: Timestamp,
    pub device: String,
    pub site: String,
    pub location: String,
    pub kind: Kind,
    /// The line for the lock screen: at most 120 characters, holds the one action.
    pub headline: String,
    /// Place, fallback, end of the effort. May be empty.
    pub body: String,
    pub fault: Option<Fault>,
    /// What the hands are asked to do: equal for two notices that ask for the same. Empty without a
    /// fault.
    #[serde(default)]
    pub act: String,
    pub checklist: Vec<ChecklistLine>,
}

/// The longest headline, in characters: what a phone's lock screen shows of a message.
pub const HEADLINE_CHARS_MAX: usize = 120;

/// The longest headline and body together, in characters: more is not read at a rack.
pub const WHOLE_CHARS_MAX: usize = 400;
