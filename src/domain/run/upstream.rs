//! Asking the upstream devices of a device: when is it worth it, and what follows from what they
//! tell?
//!
//! Twice it is: a device lets us in and cannot tell whom it hears, then its judgement is held until
//! they have answered; or it stays away, then a plug in a wrong place may be why. Of a device that
//! is away nothing is ever proven by others: they can only turn "it is not back" into the one move
//! that brings it back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::check::upstream::Told;
use crate::domain::check::{self, Check, Findings, Problem, Verdict};
use crate::domain::fault::Fault;
use crate::domain::run::draft::{Draft, MISSED_BY_BOOTING, fill_text, shown};
use crate::domain::run::{Effect, Phase};

/// Before a device is called away, its upstream devices are asked for so many looks: a mistake must
/// be seen twice, and one look may find nobody.
const LOOKS: u32 = 3;

/// And the first of these looks may take so long, as a visit to one of them may.
const FIRST_LOOK: Duration = Duration::from_secs(20);

/// Marks the problem that only the far ends tell of.
const SEEN_FROM: &str = "seen_from";

/// What a run knows of its upstream devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// What the visit under way found, to be judged once they have answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Findings>,
    /// The newest line of the journal about them: it is written once while it stays the same.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
}

impl Upstream {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// They have answered, or could not.
pub(super) fn upstreams_told(d: &mut Draft, attempt: u64, told: &Told) {
    if d.late(attempt) {
        d.note("late", "the far ends of an earlier attempt");
        return;
    }
    match d.run.upstream.held.take() {
        Some(held) => d.conclude(joined(held, told)),
        None if d.run.missed > 0 => d.seen_from_far(told),
        None => d.note("late", "the far ends, and nobody waits for them"),
    }
}

/// What the device told, with what its far ends tell of its cables.
fn joined(mut findings: Findings, told: &Told) -> Findings {
    if let Some(verdict) = &told.verdict {
        let cables = findings.verdicts.iter_mut().find(|(check, _)| *check == Check::Neighbours);
        if let Some((_, own)) = cables {
            *own = verdict.clone();
        }
    }
    for remark in &told.remarks {
        if !findings.remarks.contains(remark) {
            findings.remarks.push(remark.clone());
        }
    }
    findings
}

impl Draft {
    /// Holds what a visit found while the far ends are asked. False if there is nothing to ask: its
    /// own word about its cables is enough, or an earlier layer speaks.
    pub fn asks_upstreams_first(&mut self, findings: &Findings) -> bool {
        let cables = Fault::SwappedPair.layer();
        let earlier =
            check::most_urgent(findings).is_some_and(|problem| problem.fault.layer() < cables);
        if !findings.asks_upstreams || earlier {
            return false;
        }
        self.run.upstream.held = Some(findings.clone());
        let attempt = self.run.attempt;
        self.effect(Effect::AskUpstreams { attempt, away: false });
        true
    }

    /// A visit found nobody: its far ends are asked if that is about to be a fault, or is one.
    pub fn ask_upstreams_while_away(&mut self) {
        let timing = &self.run.timing;
        let wanted = match &self.run.phase {
            Phase::Connecting { back_by, .. } => {
                self.now.plus(timing.recheck * LOOKS + FIRST_LOOK) >= *back_by
            }
            Phase::ActionNeeded { problem, .. } => {
                let concerned = problem.fault == Fault::NotBack || problem.fault.is_of_cables();
                concerned && self.run.missed >= MISSED_BY_BOOTING
            }
            Phase::Expected { .. }
            | Phase::Addressed { .. }
            | Phase::Fetching { .. }
            | Phase::Settling { .. }
            | Phase::Verifying { .. }
            | Phase::Upgrading { .. }
            | Phase::HandingOff { .. }
            | Phase::Ready { .. }
            | Phase::Failed { .. }
            | Phase::Cancelled { .. } => false,
        };
        if wanted {
            let attempt = self.run.attempt;
            self.effect(Effect::AskUpstreams { attempt, away: true });
        }
    }

    /// It is not back in time: the plug that its far ends see in a wrong place is named, if they
    /// have seen one for long enough.
    pub fn not_back(&mut self) {
        let lasting = self.run.suspected.take().filter(|(found, since)| {
            is_seen_from_far(found) && self.now.since(*since) >= self.patience(found)
        });
        match lasting {
            Some((found, _)) => self.action_needed(found),
            None => self.does_not_answer(),
        }
    }

    /// True while the open fault is known from the far ends alone.
    pub fn is_told_by_far_ends(&self) -> bool {
        matches!(&self.run.phase, Phase::ActionNeeded { problem, .. } if is_seen_from_far(problem))
    }

    /// What the far ends see of a device that does not answer.
    fn seen_from_far(&mut self, told: &Told) {
        self.write_down_far_ends(told);
        let found = told.verdict.as_ref().and_then(a_move);
        match &self.run.phase {
            Phase::Connecting { .. } => {
                let since = match (&self.run.suspected, &found) {
                    (Some((known, since)), Some(found)) if known.same_act(found) => *since,
                    (Some(_) | None, _) => self.now,
                };
                self.run.suspected = found.map(|found| (found, since));
            }
            Phase::ActionNeeded { problem, .. } => {
                let of_cables = problem.fault.is_of_cables();
                match found {
                    Some(found) => self.weigh(found),
                    None if of_cables && told.verdict == Some(Verdict::Pass) => self.well_cabled(),
                    None => {}
                }
            }
            Phase::Expected { .. }
            | Phase::Addressed { .. }
            | Phase::Fetching { .. }
            | Phase::Settling { .. }
            | Phase::Verifying { .. }
            | Phase::Upgrading { .. }
            | Phase::HandingOff { .. }
            | Phase::Ready { .. }
            | Phase::Failed { .. }
            | Phase::Cancelled { .. } => {}
        }
    }

    /// All its plugs are where they belong. If it is away for as long as a boot may take, that is
    /// what is wrong now.
    fn well_cabled(&mut self) {
        self.run.suspected = None;
        if self.run.timing.recheck * self.run.missed >= self.run.timing.back_deadline {
            self.cleared();
            self.does_not_answer();
        }
    }

    fn write_down_far_ends(&mut self, told: &Told) {
        let line = match &told.verdict {
            Some(Verdict::Pass) => "its far ends hear it as planned".to_owned(),
            Some(Verdict::Fail(problem)) => {
                format!("its far ends tell {} {}", problem.fault.code(), fill_text(problem))
            }
            Some(Verdict::Unknown { why }) => format!("its far ends cannot tell: {}", shown(why)),
            Some(Verdict::NotPlanned) | None => return,
        };
        if self.run.upstream.said != line {
            self.note("upstream", line.clone());
            self.run.upstream.said = line;
        }
    }
}

/// What hands can do about a device that does not answer.
fn a_move(verdict: &Verdict) -> Option<Problem> {
    let Verdict::Fail(problem) = verdict else { return None };
    let hands = problem.fault.is_of_cables()
        && !matches!(
            problem.fault,
            Fault::NeighbourMute | Fault::NeighbourUnheard | Fault::UnplannedNeighbour
        );
    hands.then(|| {
        let mut problem = problem.clone();
        problem.fill.insert(SEEN_FROM.to_owned(), "far end".to_owned());
        problem
    })
}

fn is_seen_from_far(problem: &Problem) -> bool {
    problem.fill.contains_key(SEEN_FROM)
}
