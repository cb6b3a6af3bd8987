//! The words file as it is written. Unknown keys are refused: a misspelt fault would stay silent.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::fault::Fault;

/// A whole words file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub started: Entry,
    pub progress: Entry,
    pub cleared: Entry,
    pub upgrading: Entry,
    pub still_waiting: Entry,
    pub still_open: Entry,
    pub done: Entry,
    pub cancelled: Entry,
    pub failed: Entry,
    pub checklist: Checklist,
    pub address_unknown: String,
    pub faults: BTreeMap<Fault, Entry>,
}

/// One message.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Variants, the best first.
    pub headline: Vec<String>,
    /// Sentences.
    pub body: Vec<String>,
}

/// The steps, in their order.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checklist {
    pub asked: Step,
    pub addressed: Step,
    pub downloaded: Step,
    pub back: Step,
    pub checked: Step,
    pub handed_over: Step,
    /// In the place of a step under way while the software is being changed.
    pub upgrading: String,
}

/// One step of the checklist.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub done: String,
    pub working: String,
    pub waiting: String,
}

/// Reads a words file; the complaint names line and column.
pub fn read(text: &str) -> Result<File, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}
