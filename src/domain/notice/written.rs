//! The words file as it is written. Unknown keys are refused: a misspelt fault would stay silent.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::complaint::Place;
use crate::domain::fault::Fault;

/// A whole words file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The language's own name for itself.
    pub language: String,
    pub rules: Rules,
    pub ready: String,
    pub this_switch: String,
    pub marks: Marks,
    pub started: Entry,
    pub progress: Entry,
    pub cleared: Entry,
    pub upgrading: Entry,
    pub still_waiting: Entry,
    pub still_open: Entry,
    pub done: Entry,
    pub done_with_remarks: Entry,
    pub cancelled: Entry,
    pub failed: Entry,
    pub checklist: Checklist,
    pub address_unknown: String,
    pub faults: BTreeMap<Fault, Entry>,
}

/// By what the words of a language are judged, see [`super::lint`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// In small letters, as all that follows.
    pub calm: String,
    pub instructions: Vec<String>,
    pub unsaid: Vec<String>,
}

/// The word beside the sign of a line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    pub done: String,
    pub working: String,
    pub waiting: String,
    pub attention: String,
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

impl Checklist {
    pub fn steps(&self) -> [&Step; 6] {
        let Self { asked, addressed, downloaded, back, checked, handed_over, upgrading: _ } = self;
        [asked, addressed, downloaded, back, checked, handed_over]
    }
}

/// One step of the checklist.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub done: String,
    pub working: String,
    pub waiting: String,
}

/// Reads a words file. What is wrong comes with line and column, zero where none can be named.
pub fn read(text: &str) -> Result<File, (Place, String)> {
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map_or(Place::default(), |at| Place {
            line: u32::try_from(at.line()).unwrap_or(u32::MAX),
            column: u32::try_from(at.column()).unwrap_or(u32::MAX),
        });
        (place, error.without_snippet().to_string())
    })
}
