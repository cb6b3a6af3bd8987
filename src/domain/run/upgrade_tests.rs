//! Timetables of upgrades, and what must hold for every one of them.

use std::time::Duration;

use proptest::prelude::*;

use crate::clock::Timestamp;
use crate::domain::check::{Check, Findings, Verdict};
use crate::domain::fault::Fault;
use crate::domain::notice::Kind;
use crate::domain::run::transitions::{example, findings, of_other_software, offer};
use crate::domain::run::upgrade::{OwnImage, Stage, StepEnd, TRIES_MAX, outdated};
use crate::domain::run::{Effect, Event, Phase, Run, Timer, Visit, step};

/// A run driven by hand; visits answer the attempt under way.
struct Story {
    run: Run,
    now: Timestamp,
    pushes: Vec<(Kind, Option<Fault>)>,
    /// Steps that were to be taken, and looks (`None`).
    deeds: Vec<Option<usize>>,
    deadline: Option<Timestamp>,
}

impl Story {
    fn verifying() -> Self {
        let now = Timestamp::from_seconds(1000);
        let run = example(Phase::Verifying { since: now });
        Self { run, now, pushes: Vec::new(), deeds: Vec::new(), deadline: None }
    }

    fn after(&mut self, seconds: u64, event: Event) -> &mut Self {
        self.now = self.now.plus(Duration::from_secs(seconds));
        let stepped = step(&self.run, &event, self.now);
        for effect in stepped.effects {
            match effect {
                Effect::Tell { kind: Kind::Progress | Kind::Cleared, .. }
                | Effect::HandOff { .. } => {}
                Effect::Tell { kind, problem } => {
                    self.pushes.push((kind, problem.map(|problem| problem.fault)));
                }
                Effect::Visit { .. } => self.deeds.push(None),
                Effect::Upgrade { index, .. } => self.deeds.push(Some(index)),
                Effect::Wake { timer: Timer::Deadline, at } => self.deadline = Some(at),
                Effect::Sleep { timer: Timer::Deadline } => self.deadline = None,
                Effect::Wake { .. } | Effect::Sleep { .. } | Effect::AskUpstreams { .. } => {}
            }
        }
        self.run = stepped.run;
        self
    }

    fn visit(&mut self, seconds: u64, visit: Visit) -> &mut Self {
        let attempt = self.run.attempt;
        self.after(seconds, Event::Visited { attempt, visit })
    }

    fn end(&mut self, index: usize, end: StepEnd) -> &mut Self {
        self.visit(30, Visit::Stepped { host_key: None, index, end })
    }

    fn done(&mut self, index: usize) -> &mut Self {
        self.end(index, StepEnd::Done { said: "OK".into() })
    }

    /// All three steps, up to the reload that ends the session.
    fn steps(&mut self) -> &mut Self {
        self.done(0).done(1).end(2, StepEnd::Gone { why: "closed".into() })
    }

    /// The device goes down and comes up with what the visit says.
    fn reboots(&mut self, visit: Visit) -> &mut Self {
        self.after(15, look()).visit(1, away()).after(15, look()).visit(1, visit)
    }
}

fn look() -> Event {
    Event::Due { timer: Timer::Visit }
}

fn away() -> Visit {
    Visit::Unreachable { why: "refused".into() }
}

fn old() -> Visit {
    Visit::Outdated { host_key: None, findings: of_other_software(), offer: offer() }
}

fn with_software(verdict: Verdict) -> Findings {
    let mut findings = findings(Verdict::Pass, Verdict::Pass);
    findings.verdicts.push((Check::Software, verdict));
    findings
}

fn new() -> Visit {
    Visit::Judged { host_key: None, findings: with_software(Verdict::Pass) }
}

#[test]
fn a_device_is_upgraded_and_proven_again_with_one_push() {
    let mut story = Story::verifying();
    story.visit(1, old());
    assert_eq!(story.run.phase.name(), "upgrading");
    story.steps();
    assert!(matches!(story.run.phase, Phase::Upgrading { stage: Stage::Reloading { .. }, .. }));
    assert_eq!(story.run.findings, None, "nothing is proven any more");
    story.reboots(new());
    assert_eq!(story.run.phase.name(), "handing_off");
    assert_eq!(story.deeds, [Some(0), Some(1), Some(2), None, None]);
    assert_eq!(story.pushes, [(Kind::Upgrading, None)]);
}

#[test]
fn being_away_for_an_update_is_no_fault_until_its_time_is_over() {
    let mut story = Story::verifying();
    story.visit(1, old()).steps();
    for _ in 0..38 {
        story.after(14, look()).visit(1, away());
    }
    assert_eq!(story.run.phase.name(), "upgrading", "{:?}", story.run.phase);
    assert_eq!(story.pushes, [(Kind::Upgrading, None)]);
    let overdue = Event::Due { timer: Timer::Deadline };
    assert!(story.deadline.is_some_and(|at| at > story.now));
    story.after(60, overdue);
    assert_eq!(story.pushes.last(), Some(&(Kind::ActionNeeded, Some(Fault::OtherSoftware))));
    // Slow is not lost: it turns green by itself.
    story.after(15, look()).visit(1, new());
    assert_eq!(story.run.phase.name(), "handing_off");
}

#[test]
fn what_fails_twice_is_told_once_with_its_reason_and_is_never_green() {
    let mut story = Story::verifying();
    story.visit(1, old());
    for _ in 0..TRIES_MAX {
        story.done(0).end(1, StepEnd::Refused { why: "%Error verifying".into() });
    }
    let Phase::ActionNeeded { problem, .. } = &story.run.phase else {
        panic!("{:?}", story.run.phase)
    };
    assert_eq!(problem.fault, Fault::OtherSoftware);
    assert_eq!(problem.fill["why"], "verify: %Error verifying");
    for _ in 0..20 {
        story.after(15, look()).visit(1, old());
    }
    let told = [(Kind::Upgrading, None), (Kind::ActionNeeded, Some(Fault::OtherSoftware))];
    assert_eq!(story.pushes, told);
    assert_eq!(story.run.phase.name(), "action_needed");
    let steps = story.deeds.iter().flatten().count();
    assert_eq!(steps, 4, "copy and verify, twice");
    // A person who mended it has it tried again.
    story.after(5, Event::Recheck { by: "unix:0".into() }).visit(1, old());
    assert_eq!(story.run.phase.name(), "upgrading");
}

#[test]
fn a_device_that_comes_back_with_the_old_version_is_tried_once_more() {
    let mut story = Story::verifying();
    story.visit(1, old()).steps().reboots(old());
    assert_eq!(story.run.phase.name(), "upgrading");
    assert_eq!(story.run.upgrade.as_ref().map(|upgrade| upgrade.tries), Some(2));
    story.steps().reboots(old());
    assert_eq!(story.run.phase.name(), "action_needed");
    let told = [(Kind::Upgrading, None), (Kind::ActionNeeded, Some(Fault::OtherSoftware))];
    assert_eq!(story.pushes, told);
}

#[test]
fn a_device_that_has_not_gone_down_yet_is_not_back() {
    let mut story = Story::verifying();
    story.visit(1, old()).steps();
    story.after(15, look()).visit(1, old()).after(15, look()).visit(1, old());
    assert!(matches!(story.run.phase, Phase::Upgrading { stage: Stage::Reloading { .. }, .. }));
    story.reboots(new());
    assert_eq!(story.run.phase.name(), "handing_off");
}

#[test]
fn a_step_without_an_answer_is_taken_again_and_late_answers_fall_off() {
    let mut story = Story::verifying();
    story.visit(1, old());
    let lost = story.run.attempt;
    // The process ended meanwhile: the timer takes the same step again.
    story.after(5, look());
    assert_eq!(story.deeds, [Some(0), Some(0)]);
    let late = Visit::Stepped { host_key: None, index: 0, end: StepEnd::AlreadyRuns };
    story.after(1, Event::Visited { attempt: lost, visit: late });
    assert!(matches!(story.run.phase, Phase::Upgrading { stage: Stage::Step { index: 0 }, .. }));
    // It had done it: nothing is done twice.
    story.end(0, StepEnd::AlreadyRuns);
    assert!(matches!(story.run.phase, Phase::Upgrading { stage: Stage::Reloading { .. }, .. }));
    story.after(15, look()).visit(1, new());
    assert_eq!(story.run.phase.name(), "handing_off");
}

#[test]
fn waiting_for_its_turn_costs_a_device_neither_time_nor_a_try() {
    let mut story = Story::verifying();
    story.visit(1, old());
    for _ in 0..500 {
        story.after(15, look()).end(0, StepEnd::NotYet);
        assert!(story.deadline.is_some_and(|at| at > story.now.plus(Duration::from_secs(1800))));
    }
    story.after(15, look());
    story.steps().reboots(new());
    assert_eq!(story.run.phase.name(), "handing_off");
    assert_eq!(story.run.upgrade.as_ref().map(|upgrade| upgrade.tries), Some(1));
}

#[test]
fn a_session_that_is_cut_during_a_copy_is_tried_again_within_its_time() {
    let mut story = Story::verifying();
    story.visit(1, old()).end(0, StepEnd::Gone { why: "closed".into() });
    story.after(15, look()).visit(1, away()).after(15, look()).done(0);
    assert_eq!(story.deeds, [Some(0), Some(0), Some(0), Some(1)]);
    assert_eq!(story.pushes, [(Kind::Upgrading, None)]);
}

#[test]
fn another_box_or_an_unknown_version_is_never_upgraded() {
    let mut another = of_other_software();
    another.verdicts[0].1 = of_other_software().verdicts[3].1.clone();
    assert_eq!(outdated(&another), None, "its serial is another");
    let unknown = with_software(Verdict::Unknown { why: "no line".into() });
    assert_eq!(outdated(&unknown), None);
    assert_eq!(outdated(&with_software(Verdict::Pass)), None);
    for running in [Verdict::Unknown { why: "cut".into() }, Verdict::NotPlanned] {
        let mut unproven = of_other_software();
        let found = unproven.verdicts.iter_mut().find(|(check, _)| *check == Check::Running);
        found.expect("it is among them").1 = running;
        assert_eq!(outdated(&unproven), None, "an upgrade would save what is not proven");
    }
    let mut nobody = of_other_software();
    nobody.verdicts[0].1 = Verdict::NotPlanned;
    assert_eq!(outdated(&nobody), None, "nothing says who it is");
    assert_eq!(outdated(&of_other_software()).as_deref(), Some("17.6.3"));
}

#[test]
fn an_image_fetched_of_its_own_accord_gives_a_device_its_time() {
    let mut story = Story::verifying();
    let fetch_by = story.now.plus(Duration::from_secs(180));
    story.run.phase = Phase::Addressed { fetch_by };
    let own = OwnImage { version: "17.9.5".into(), takes: Duration::from_secs(900) };
    let fetches = |own| Event::ImageAsked { name: "junos.tgz".into(), own };
    story.after(5, fetches(None));
    assert_eq!(story.run.phase.name(), "addressed", "another image says nothing");
    story.after(5, fetches(Some(own.clone())));
    assert_eq!(story.run.phase.name(), "upgrading");
    story.after(30, fetches(Some(own)));
    assert_eq!(story.pushes, [(Kind::Started, None), (Kind::Upgrading, None)]);
    assert!(story.deadline.is_some_and(|at| at > story.now.plus(Duration::from_secs(1700))));
    // It reloads and asks for its configuration.
    story.after(600, Event::Asked);
    let address = std::net::IpAddr::from([10, 0, 0, 17]);
    story.after(1, Event::FileAsked { transport: "http".into(), name: "a".into(), address });
    assert_eq!(story.run.phase.name(), "fetching");
}

#[test]
fn another_host_key_after_the_reload_is_never_accepted() {
    let mut story = Story::verifying();
    story.visit(1, old()).steps();
    story.after(15, look()).visit(1, Visit::HostKeyChanged { found: "b".into() });
    assert_eq!(story.pushes.last(), Some(&(Kind::ActionNeeded, Some(Fault::HostKeyChanged))));
}

proptest! {
    /// Whatever the steps say and whenever the device comes and goes: at most two tries, one push
    /// about the update, and green only after a visit that read the planned version.
    #[test]
    fn no_order_of_events_ends_green_with_the_wrong_version(
        moves in prop::collection::vec((0usize..10, 1u64..900), 1..60),
    ) {
        let mut story = Story::verifying();
        story.run.timing = {
            let mut timing = (*story.run.timing).clone();
            timing.hooks_required.clear();
            timing.into()
        };
        story.visit(1, old());
        let mut begun = 1;
        for (kind, seconds) in moves {
            let before = story.run.clone();
            let index = match before.phase {
                Phase::Upgrading { stage: Stage::Step { index }, .. } => index,
                _ => 0,
            };
            let stepped = |end| Visit::Stepped { host_key: None, index, end };
            let attempt = before.attempt;
            let answered = |visit| Event::Visited { attempt, visit };
            let event = match kind {
                0 => answered(old()),
                1 => answered(new()),
                2 => answered(away()),
                3 => answered(stepped(StepEnd::Done { said: "OK".into() })),
                4 => answered(stepped(StepEnd::Refused { why: "no".into() })),
                5 => answered(stepped(StepEnd::Gone { why: "cut".into() })),
                6 => answered(stepped(StepEnd::AlreadyRuns)),
                7 => Event::Due { timer: Timer::Deadline },
                8 => answered(stepped(StepEnd::NotYet)),
                _ => look(),
            };
            let read_the_version = kind == 1;
            story.after(seconds, event);
            let tries = |run: &Run| run.upgrade.as_ref().map_or(0, |upgrade| upgrade.tries);
            begun += u32::from(tries(&story.run) > tries(&before));
            prop_assert!(begun <= TRIES_MAX);
            if matches!(story.run.phase, Phase::Ready { .. })
                && !matches!(before.phase, Phase::Ready { .. })
            {
                prop_assert!(read_the_version);
            }
        }
        let about = story.pushes.iter().filter(|(kind, _)| *kind == Kind::Upgrading).count();
        prop_assert_eq!(about, 1);
    }
}
