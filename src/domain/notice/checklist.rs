//! How far is it? Six lines that an installer can follow, from the run's milestones.

use crate::domain::notice::words::{Fill, Words};
use crate::domain::notice::written::Step;
use crate::domain::notice::{ChecklistLine, LineState};
use crate::domain::run::{Milestone, Phase, Run};

/// The order in which a device takes its steps.
const STEPS: [Milestone; 6] = [
    Milestone::Asked,
    Milestone::Addressed,
    Milestone::Downloaded,
    Milestone::Back,
    Milestone::Checked,
    Milestone::HandedOver,
];

/// The checklist of a run as it stands. Without hooks there is nobody to hand over to, and a
/// platform may ask for no file: then no line says so.
pub(super) fn checklist(run: &Run, words: &Words) -> Vec<ChecklistLine> {
    let hands_over = !run.timing.hooks_required.is_empty() || !run.timing.hooks_optional.is_empty();
    let downloads = run.timing.fetches || run.milestones.contains_key(&Milestone::Downloaded);
    let is_taken = |step: &Milestone| match step {
        Milestone::Downloaded => downloads,
        Milestone::HandedOver => hands_over,
        Milestone::Asked | Milestone::Addressed | Milestone::Back | Milestone::Checked => true,
    };
    let steps: Vec<Milestone> = STEPS.into_iter().filter(is_taken).collect();
    let ready = matches!(run.phase, Phase::Ready { .. });
    // A step that was not seen is behind us once a later one was: a device may come with its
    // address.
    let reached = steps.iter().rposition(|step| run.milestones.contains_key(step));
    let done = if ready { steps.len() } else { reached.map_or(0, |last| last + 1) };
    steps
        .iter()
        .enumerate()
        .map(|(place, step)| {
            let state = if place < done {
                LineState::Done
            } else if place == done {
                under_way(&run.phase)
            } else {
                LineState::Waiting
            };
            ChecklistLine {
                state,
                mark: match state {
                    LineState::Done => words.marks.done.clone(),
                    LineState::Working => words.marks.working.clone(),
                    LineState::Waiting => words.marks.waiting.clone(),
                    LineState::Attention => words.marks.attention.clone(),
                },
                text: text(words, run, *step, state),
                at: run.milestones.get(step).copied(),
            }
        })
        .collect()
}

/// The state of the first line that is not done.
fn under_way(phase: &Phase) -> LineState {
    match phase {
        Phase::Expected { .. }
        | Phase::Addressed { .. }
        | Phase::Fetching { .. }
        | Phase::Settling { .. }
        | Phase::Connecting { .. }
        | Phase::Verifying { .. }
        | Phase::Upgrading { .. }
        | Phase::HandingOff { .. }
        | Phase::Ready { .. } => LineState::Working,
        Phase::ActionNeeded { .. } => LineState::Attention,
        Phase::Failed { .. } | Phase::Cancelled { .. } => LineState::Waiting,
    }
}

fn text(words: &Words, run: &Run, step: Milestone, state: LineState) -> String {
    let steps = &words.checklist;
    let Step { done, working, waiting } = match step {
        Milestone::Asked => &steps.asked,
        Milestone::Addressed => &steps.addressed,
        Milestone::Downloaded => &steps.downloaded,
        Milestone::Back => &steps.back,
        Milestone::Checked => &steps.checked,
        Milestone::HandedOver => &steps.handed_over,
    };
    let comes_as_it_is = step == Milestone::Back && !run.timing.fetches;
    let template = match state {
        LineState::Done => done,
        LineState::Working if matches!(run.phase, Phase::Upgrading { .. }) => &steps.upgrading,
        // It restarts with nothing of ours.
        LineState::Working | LineState::Attention if comes_as_it_is => waiting,
        LineState::Working | LineState::Attention => working,
        LineState::Waiting => waiting,
    };
    let mut fill = Fill::default();
    let address = run.address.map_or(words.address_unknown.clone(), |known| known.to_string());
    fill.set("address", &address);
    fill.apply(template, usize::MAX).unwrap_or_else(|| template.clone())
}
