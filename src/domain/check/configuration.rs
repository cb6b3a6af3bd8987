//! Does the intended configuration run, and would it survive a reboot?

use std::collections::BTreeSet;

use super::{Plan, Problem, Remarks, Verdict};
use crate::domain::fault::Fault;
use crate::platform::Platform;
use crate::platform::observation::{Observation, Reading};

/// What one configuration lacks of another.
struct Lacking {
    /// How many lines were asked for.
    planned: usize,
    /// The missing ones, safe to be shown.
    missing: Vec<String>,
}

/// Every line that was rendered must be running.
pub(super) fn running(plan: &Plan<'_>, seen: &Observation, remarks: &mut Remarks) -> Verdict {
    let running = match &seen.running {
        Reading::Seen(text) => text,
        Reading::Unreadable { why } => return Verdict::unknown(why),
        Reading::NotAsked => {
            return Verdict::unknown("its platform has no question for the running configuration");
        }
    };
    if running.trim().is_empty() {
        return Verdict::unknown("expected a running configuration, found nothing");
    }
    let lacking = lacking(plan.rendered, running, platform(plan));
    if lacking.planned == 0 {
        return Verdict::unknown("expected a planned configuration, found no line in it");
    }
    verdict(plan, &lacking, "running", remarks)
}

/// Every line that runs must be saved. A platform without that question has nothing to save.
pub(super) fn saved(plan: &Plan<'_>, seen: &Observation, remarks: &mut Remarks) -> Verdict {
    let saved = match &seen.saved {
        Reading::Seen(text) => text,
        Reading::Unreadable { why } => return Verdict::unknown(why),
        Reading::NotAsked => return Verdict::NotPlanned,
    };
    let Some(running) = seen.running.seen() else {
        return Verdict::unknown("the running configuration is not known to compare with");
    };
    // Both ways: what runs must be saved, and nothing else may come back with the next boot.
    let unsaved = lacking(running, saved, platform(plan));
    if !unsaved.missing.is_empty() {
        return verdict(plan, &unsaved, "saved", remarks);
    }
    let left_over = lacking(saved, running, platform(plan));
    verdict(plan, &left_over, "saved", remarks)
}

fn platform<'a>(plan: &Plan<'a>) -> Option<&'a Platform> {
    plan.platforms.get(&plan.device.platform).map(|platform| &**platform)
}

fn verdict(plan: &Plan<'_>, lacking: &Lacking, which: &str, remarks: &mut Remarks) -> Verdict {
    if lacking.missing.is_empty() {
        return Verdict::Pass;
    }
    for line in &lacking.missing {
        remarks.add(&format!("{which} configuration differs at: {line}"));
    }
    let missing = lacking.missing.len().to_string();
    let planned = lacking.planned.to_string();
    Verdict::Fail(Problem::new(
        Fault::ConfigurationDiffers,
        &[
            ("missing_count", &missing),
            ("planned_count", &planned),
            ("found", which),
            ("location", &plan.device.location),
        ],
    ))
}

/// Which lines of `wanted` are not in `found`, each below its own parents.
fn lacking(wanted: &str, found: &str, platform: Option<&Platform>) -> Lacking {
    let _ = platform;
    let found: BTreeSet<Vec<&str>> = paths(found).into_iter().collect();
    let wanted = paths(wanted);
    let missing =
        wanted.iter().filter(|path| !found.contains(*path)).map(|path| shown(path)).collect();
    Lacking { planned: wanted.len(), missing }
}

/// Each line with the less indented lines it stands under; comments and empty lines fall away.
fn paths(text: &str) -> Vec<Vec<&str>> {
    let mut stack: Vec<(usize, &str)> = Vec::new();
    let mut paths = Vec::new();
    for line in text.lines() {
        let words = line.trim();
        if words.is_empty() || words.starts_with(['!', '#']) || words == "end" {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        while stack.last().is_some_and(|(above, _)| *above >= indent) {
            stack.pop();
        }
        stack.push((indent, words));
        paths.push(stack.iter().map(|(_, words)| *words).collect());
    }
    paths
}

/// The first word only: the rest may be a secret.
fn shown(path: &[&str]) -> String {
    let first = path.last().and_then(|line| line.split_whitespace().next()).unwrap_or("");
    format!("`{first} ...`")
}
