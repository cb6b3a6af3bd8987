//! Bringing a device to its planned software: when is it begun, which step is next, and what if it
//! goes wrong?
//!
//! Each step is a visit of its own, which looks first whether anything is left to do. So a step
//! that was under way when the process ended is simply taken again. Whether the upgrade took is
//! never concluded from its steps: only a later visit that reads the planned version proves it.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::domain::check::{Check, Findings, Problem, Verdict};
use crate::domain::fault::Fault;
use crate::domain::notice::Kind;
use crate::domain::run::draft::{Draft, problem, shown};
use crate::domain::run::moves::{
    asked_oddly, cancel, conflict, here_already, released, strange_file, unexpected_hook, uploaded,
};
use crate::domain::run::{Effect, Event, Phase, Timer, Visit};
use crate::platform::software::StepKind;

/// An upgrade that failed is tried once more: a transfer can break. What fails twice alike needs a
/// person.
pub const TRIES_MAX: u32 = 2;

/// A step is given this beyond its own time, for two logins and a look.
const STEP_GRACE: Duration = Duration::from_secs(120);

/// A device that was told to reload answers for a while longer. As long as it was not seen away, it
/// counts as back only after this part of the time that it is given.
const STILL_THERE_PART: u32 = 4;

/// What a device can be brought to, as of the visit that found it outdated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The version it runs.
    pub found: String,
    pub planned: String,
    /// What is to be done, the reload last.
    pub steps: Vec<Step>,
    /// How long people are told that it takes.
    pub takes: Duration,
}

/// One step as far as a run knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub kind: StepKind,
    /// For the whole step; for a reload until the device is back.
    pub timeout: Duration,
}

/// What became of the upgrades of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    pub offer: Offer,
    /// How often it was begun.
    pub tries: u32,
    /// Why the newest try failed; empty while none has.
    pub why: String,
}

/// Where an upgrade is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Stage {
    /// This step of the offer is under way.
    Step { index: usize },
    /// It was told to reload. `seen_away`: it was found unreachable since.
    Reloading { since: Timestamp, seen_away: bool },
    /// It fetched the image of its own accord and installs it.
    ByItself,
}

/// What came of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum StepEnd {
    /// Done now, or found done.
    Done { said: String },
    /// The device runs the planned version already.
    AlreadyRuns,
    /// It was not begun: others have their turn. The time of the upgrade begins anew.
    NotYet,
    /// The device did not do it.
    Refused { why: String },
    /// The session ended while the device was at it: nobody knows.
    Gone { why: String },
}

/// An image that a device fetches of its own accord, and that is the one planned for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnImage {
    pub version: String,
    pub takes: Duration,
}

/// Whether these findings call for an upgrade: it is proven to be the planned box, its
/// configuration is proven to run (an upgrade saves it), and it is proven to run another version.
/// What its cables are comes afterwards. The answer is the version it runs.
pub fn outdated(findings: &Findings) -> Option<String> {
    let of = |wanted: Check| {
        let found = findings.verdicts.iter().find(|(check, _)| *check == wanted);
        found.map_or(&Verdict::NotPlanned, |(_, verdict)| verdict)
    };
    let identity = [of(Check::Hostname), of(Check::Serial)];
    let fits = identity.iter().all(|v| matches!(v, Verdict::Pass | Verdict::NotPlanned));
    let configured = matches!(of(Check::Running), Verdict::Pass);
    if !fits || !identity.contains(&&Verdict::Pass) || !configured {
        return None;
    }
    match of(Check::Software) {
        Verdict::Fail(Problem { fault: Fault::OtherSoftware, fill, .. }) => {
            fill.get("found").cloned()
        }
        Verdict::Fail(_) | Verdict::Pass | Verdict::Unknown { .. } | Verdict::NotPlanned => None,
    }
}

pub(super) fn upgrading(d: &mut Draft, event: &Event, stage: Stage) {
    match event {
        Event::Asked => d.repeat("asked for an address"),
        Event::LeaseBound { address } => d.address(*address),
        Event::Exchanged { address } => d.exchanged(*address),
        Event::LeaseImpossible { why } => d.note("dhcp", shown(why)),
        Event::FileAsked { transport, name, address } => d.fetching(transport, name, *address),
        Event::StrangeFileAsked { name } => strange_file(d, name),
        Event::ImageAsked { name, .. } => d.note("image", format!("fetches {}", shown(name))),
        Event::TransferEnded { complete, bytes, why, .. } => {
            d.transfer_ended(*complete, *bytes, why);
        }
        Event::Uploaded(upload) => uploaded(d, upload),
        Event::AskedOddly { what, .. } => asked_oddly(d, what),
        Event::Released { address } => released(d, *address),
        Event::Due { timer: Timer::Visit } => d.go_on(stage),
        Event::Due { timer: Timer::Deadline } => d.overdue(stage),
        Event::Due { timer: Timer::StillWaiting } => {}
        Event::Visited { attempt, visit } => {
            if d.late(*attempt) {
                d.note("late", "a visit of an earlier attempt");
            } else {
                visited(d, visit, stage);
            }
        }
        Event::UpstreamsTold { .. } => d.note("late", "the far ends, and nobody waits for them"),
        Event::HookAnswered { hook, .. } => unexpected_hook(d, hook),
        Event::Conflict { detail } => conflict(d, detail),
        Event::OurSideFailed { why } => d.note("ours", shown(why)),
        Event::Recheck { by } => {
            d.heard();
            d.note("recheck", format!("by {}: it is looked at after its update", shown(by)));
        }
        Event::Expect { by } => here_already(d, by),
        Event::Cancel { by } => cancel(d, by),
    }
}

/// What a visit means while the device is being upgraded.
fn visited(d: &mut Draft, visit: &Visit, stage: Stage) {
    match visit {
        Visit::Stepped { host_key, index, end } => {
            if d.run.host_key.is_none() {
                d.run.host_key.clone_from(host_key);
            }
            match stage {
                Stage::Step { index: under_way } if under_way == *index => d.stepped(*index, end),
                Stage::Step { .. } | Stage::Reloading { .. } | Stage::ByItself => {
                    d.note("late", "a step that is behind us");
                }
            }
        }
        Visit::Unreachable { .. }
        | Visit::LoginRefused { .. }
        | Visit::Broken { .. }
        | Visit::OurSide { .. } => {
            let away = matches!(visit, Visit::Unreachable { .. });
            if let Phase::Upgrading { stage: Stage::Reloading { seen_away, .. }, .. } =
                &mut d.run.phase
            {
                *seen_away |= away;
            }
            d.no_entry(visit);
        }
        Visit::HostKeyChanged { .. } => d.no_entry(visit),
        Visit::Judged { host_key, findings } => d.back(stage, host_key.as_ref(), findings, None),
        Visit::Outdated { host_key, findings, offer } => {
            d.back(stage, host_key.as_ref(), findings, Some(offer));
        }
    }
}

impl Draft {
    /// A visit got in and found another version than planned, and what is planned can be installed.
    pub fn outdated(&mut self, host_key: Option<&String>, findings: &Findings, offer: &Offer) {
        let tries = self.run.upgrade.as_ref().map_or(0, |upgrade| upgrade.tries);
        if tries >= TRIES_MAX || offer.steps.is_empty() {
            return self.judged(host_key, findings);
        }
        if self.run.host_key.is_none() {
            self.run.host_key = host_key.cloned();
        }
        self.run.first_visit.get_or_insert(self.now);
        self.run.missed = 0;
        self.run.findings = Some(findings.clone());
        self.reach(crate::domain::run::Milestone::Back);
        self.cleared();
        self.begin_upgrade(offer, tries);
    }

    fn begin_upgrade(&mut self, offer: &Offer, tries: u32) {
        self.run.suspected = None;
        let why = self.run.upgrade.take().map(|upgrade| upgrade.why).unwrap_or_default();
        self.run.upgrade = Some(Upgrade { offer: offer.clone(), tries: tries + 1, why });
        self.upgrade_phase(Stage::Step { index: 0 }, whole(offer));
        // What an installer needs to know does not change with the second try.
        self.tell(if tries == 0 { Kind::Upgrading } else { Kind::Progress });
        self.take_step(0);
    }

    /// It fetches the image planned for it before anybody told it to.
    pub fn upgrades_itself(&mut self, name: &str, own: &OwnImage) {
        self.begin();
        self.note("image", format!("fetches {}", shown(name)));
        let before = self.run.upgrade.take();
        let told = before.is_some();
        self.run.upgrade = Some(before.unwrap_or_else(|| Upgrade {
            offer: Offer {
                found: String::new(),
                planned: own.version.clone(),
                steps: Vec::new(),
                takes: own.takes,
            },
            tries: 0,
            why: String::new(),
        }));
        self.cleared();
        // Twice what people are told, as everywhere: slower than that is not slow any more.
        self.upgrade_phase(Stage::ByItself, own.takes * 2);
        self.tell(if told { Kind::Progress } else { Kind::Upgrading });
        self.visit_later();
    }

    fn upgrade_phase(&mut self, stage: Stage, whole: Duration) {
        let done_by = self.now.plus(whole);
        let upgrade = self.run.upgrade.as_ref();
        let why = upgrade.map_or_else(String::new, |upgrade| {
            let Upgrade { offer, tries, .. } = upgrade;
            let (found, planned) = (shown(&offer.found), shown(&offer.planned));
            match stage {
                Stage::Step { .. } => format!("from {found} to {planned}, try {tries}"),
                Stage::Reloading { .. } => format!("reloads into {planned}"),
                Stage::ByItself => format!("installs {planned} by itself"),
            }
        });
        self.enter(Phase::Upgrading { since: self.now, stage, done_by }, why);
        self.wake(Timer::Deadline, done_by);
    }

    /// Takes a step. Without an address there is nowhere to go: the timer tries again.
    fn take_step(&mut self, index: usize) {
        let offer = self.run.upgrade.as_ref().map(|upgrade| &upgrade.offer);
        let step = offer.and_then(|offer| offer.steps.get(index)).copied();
        let (Some(address), Some(step)) = (self.run.address, step) else {
            return self.visit_later();
        };
        self.run.attempt += 1;
        let attempt = self.run.attempt;
        self.upgrade_step(attempt, address, index);
        // Should the answer never come, the step is taken anew, and looks first.
        self.wake(Timer::Visit, self.now.plus(step.timeout + STEP_GRACE));
    }

    fn upgrade_step(&mut self, attempt: u64, address: IpAddr, index: usize) {
        self.effect(Effect::Upgrade { attempt, address, index });
    }

    fn go_on(&mut self, stage: Stage) {
        match stage {
            Stage::Step { index } => self.take_step(index),
            Stage::Reloading { .. } | Stage::ByItself => self.visit(),
        }
    }

    fn stepped(&mut self, index: usize, end: &StepEnd) {
        let Some(offer) = self.run.upgrade.as_ref().map(|upgrade| upgrade.offer.clone()) else {
            return self.visit_later();
        };
        let kind = offer.steps.get(index).map(|step| step.kind);
        let name = kind.map_or("step", StepKind::name);
        match end {
            StepEnd::Done { said } => {
                self.note("upgrade", format!("{name}: {}", shown(said)));
                match kind {
                    Some(StepKind::Reload) | None => self.reloading(&offer),
                    Some(
                        StepKind::Copy | StepKind::Verify | StepKind::SetBoot | StepKind::Save,
                    ) => {
                        self.next_step(index + 1);
                    }
                }
            }
            StepEnd::AlreadyRuns => {
                self.note("upgrade", format!("runs {} already", shown(&offer.planned)));
                self.reloading(&offer);
            }
            StepEnd::NotYet => {
                let done_by = self.now.plus(whole(&offer));
                if let Phase::Upgrading { done_by: until, .. } = &mut self.run.phase {
                    *until = done_by;
                }
                self.wake(Timer::Deadline, done_by);
                self.visit_later();
            }
            StepEnd::Refused { why } => self.try_failed(&format!("{name}: {}", shown(why))),
            StepEnd::Gone { why } => {
                self.note("upgrade", format!("{name}: {}", shown(why)));
                match kind {
                    Some(StepKind::Reload) => self.reloading(&offer),
                    // The step is taken again until the whole is overdue.
                    Some(
                        StepKind::Copy | StepKind::Verify | StepKind::SetBoot | StepKind::Save,
                    )
                    | None => self.visit_later(),
                }
            }
        }
    }

    fn next_step(&mut self, index: usize) {
        if let Phase::Upgrading { stage, .. } = &mut self.run.phase {
            *stage = Stage::Step { index };
        }
        self.take_step(index);
    }

    fn reloading(&mut self, offer: &Offer) {
        // What was proven before the reload is not proven after it.
        self.run.findings = None;
        self.run.first_visit = None;
        self.upgrade_phase(
            Stage::Reloading { since: self.now, seen_away: false },
            back_within(offer),
        );
        self.visit_later();
    }

    /// Somebody let us in during the upgrade. `offer`: the version is still not the planned one.
    fn back(
        &mut self,
        stage: Stage,
        host_key: Option<&String>,
        findings: &Findings,
        offer: Option<&Offer>,
    ) {
        let known = findings.verdicts.iter().any(|(check, verdict)| {
            *check == Check::Software && matches!(verdict, Verdict::Pass | Verdict::NotPlanned)
        });
        if known && offer.is_none() {
            self.note("upgraded", self.upgraded_words());
            return self.judged(host_key, findings);
        }
        match (stage, offer) {
            // It is asked about its steps, not visited; or it has not got to its reload yet.
            (Stage::Step { .. }, _) => self.visit_later(),
            (Stage::Reloading { since, seen_away }, _)
                if !seen_away && self.now.since(since) < self.still_there() =>
            {
                self.visit_later();
            }
            (Stage::Reloading { .. }, Some(offer)) => {
                let why = format!("it came back with {}", shown(&offer.found));
                self.try_failed(&why);
            }
            (Stage::Reloading { .. }, None) => self.judged(host_key, findings),
            (Stage::ByItself, _) => self.visit_later(),
        }
    }

    fn upgraded_words(&self) -> String {
        let offer = self.run.upgrade.as_ref().map(|upgrade| &upgrade.offer);
        offer.map_or_else(String::new, |offer| match offer.found.is_empty() {
            true => format!("to {}", shown(&offer.planned)),
            false => format!("from {} to {}", shown(&offer.found), shown(&offer.planned)),
        })
    }

    fn still_there(&self) -> Duration {
        let offer = self.run.upgrade.as_ref().map(|upgrade| &upgrade.offer);
        offer.map(back_within).unwrap_or_default() / STILL_THERE_PART
    }

    /// The time of an upgrade is over.
    fn overdue(&mut self, stage: Stage) {
        // Whatever is still under way answers too late.
        self.run.attempt += 1;
        match stage {
            Stage::Step { .. } => self.try_failed("it took too long"),
            Stage::Reloading { .. } => self.gave_up("it is not back after the update"),
            Stage::ByItself => self.gave_up("it fetched the image and did not finish"),
        }
    }

    fn try_failed(&mut self, why: &str) {
        self.note("upgrade", format!("did not work: {}", shown(why)));
        let Some(Upgrade { offer, tries, .. }) = self.run.upgrade.clone() else {
            return self.gave_up(why);
        };
        if let Some(upgrade) = &mut self.run.upgrade {
            upgrade.why = shown(why);
        }
        if tries < TRIES_MAX && !offer.steps.is_empty() {
            self.begin_upgrade(&offer, tries);
        } else {
            self.gave_up(why);
        }
    }

    /// The network team is told; the device is looked at on and on, and turns green by itself
    /// should it come to the planned version after all.
    fn gave_up(&mut self, why: &str) {
        let Some(upgrade) = &mut self.run.upgrade else {
            return self.trouble(Fault::OtherSoftware, &[("why", why)]);
        };
        upgrade.why = shown(why);
        let Upgrade { offer, why, .. } = upgrade.clone();
        let fill = [("found", offer.found.as_str()), ("planned", &offer.planned), ("why", &why)];
        let fill: Vec<(&str, &str)> =
            fill.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        self.action_needed(problem(Fault::OtherSoftware, &fill));
    }

    /// A fault of the version says why the upgrade did not mend it.
    pub fn with_reason(&self, mut findings: Findings) -> Findings {
        let why = self.run.upgrade.as_ref().map(|upgrade| upgrade.why.clone());
        if let Some(why) = why.filter(|why| !why.is_empty()) {
            for (_, verdict) in &mut findings.verdicts {
                if let Verdict::Fail(problem) = verdict
                    && problem.fault == Fault::OtherSoftware
                {
                    problem.fill.insert("why".to_owned(), why.clone());
                }
            }
        }
        findings
    }

    /// A person has mended something: the upgrade may be tried again.
    pub fn allow_upgrade(&mut self) {
        if let Some(upgrade) = &mut self.run.upgrade {
            upgrade.tries = 0;
        }
    }
}

fn whole(offer: &Offer) -> Duration {
    offer.steps.iter().map(|step| step.timeout + STEP_GRACE).sum()
}

fn back_within(offer: &Offer) -> Duration {
    offer.steps.last().map_or(offer.takes, |step| step.timeout)
}
