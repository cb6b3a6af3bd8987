//! What the server's feed told, counted per device.

use std::collections::HashMap;

use crate::demo::doubles::Heard;
use crate::demo::people::Read;
use crate::demo::stories::{self, Observed, Story};
use crate::domain::notice::Kind;
use crate::domain::run::Phase;
use crate::service::runner::Told;

/// The counters of all devices.
#[derive(Debug, Default)]
pub struct Watch {
    seen: HashMap<String, Observed>,
    /// Events that came faster than they were read.
    pub missed: u64,
    /// The feed ended before the demo did.
    pub server_gone: bool,
}

/// How one story ended.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub story: Story,
    pub seen: Observed,
    /// Everything that is not as it must be.
    pub result: Result<(), Vec<String>>,
}

impl Watch {
    pub fn new(stories: &[Story]) -> Self {
        let seen = stories.iter().map(|story| (story.device.clone(), Observed::default()));
        Self { seen: seen.collect(), ..Self::default() }
    }

    /// Counts one event. What somebody has to do something about is returned.
    pub fn take(&mut self, told: &Told) -> Option<Read> {
        let run = &told.run;
        let seen = self.seen.entry(run.device.clone()).or_default();
        seen.runs.insert(run.id.clone());
        seen.repeats = run.repeats;
        seen.complete_transfers = run.transfers.complete;
        seen.phase = run.phase.name().to_owned();
        let notice = told.notice.as_ref()?;
        if !notice.headline.is_empty() {
            seen.last_headline.clone_from(&notice.headline);
        }
        match notice.kind {
            Kind::Started => seen.started += 1,
            Kind::Done => seen.done += 1,
            Kind::Cleared => seen.cleared += 1,
            Kind::ActionNeeded => {
                seen.said.extend(notice.fault);
                let problem = match &run.phase {
                    Phase::ActionNeeded { problem, .. } => problem.clone(),
                    // Over before it was read: there is nothing left to do.
                    Phase::Expected { .. }
                    | Phase::Addressed { .. }
                    | Phase::Fetching { .. }
                    | Phase::Settling { .. }
                    | Phase::Connecting { .. }
                    | Phase::Verifying { .. }
                    | Phase::Upgrading { .. }
                    | Phase::HandingOff { .. }
                    | Phase::Ready { .. }
                    | Phase::Failed { .. }
                    | Phase::Cancelled { .. } => return None,
                };
                return Some(Read { device: run.device.clone(), problem });
            }
            Kind::Progress | Kind::Upgrading | Kind::StillWaiting | Kind::Ended => {}
        }
        None
    }

    pub fn of(&self, device: &str) -> Option<&Observed> {
        self.seen.get(device)
    }

    pub fn all_green(&self, stories: &[Story]) -> bool {
        stories.iter().all(|story| self.of(&story.device).is_some_and(|seen| seen.done > 0))
    }

    /// Adds what chat and hook heard.
    pub fn count(&mut self, heard: &Heard) {
        for (device, seen) in &mut self.seen {
            seen.hand_offs = heard.hand_offs_of(device);
            seen.parents = heard.parents_of(device);
        }
    }

    /// A verdict for each story, in their order.
    pub fn verdicts(&self, stories: &[Story]) -> Vec<Verdict> {
        stories
            .iter()
            .map(|story| {
                let seen = self.of(&story.device).cloned().unwrap_or_default();
                let result = stories::verdict(story, &seen);
                Verdict { story: story.clone(), seen, result }
            })
            .collect()
    }
}
