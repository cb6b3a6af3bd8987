//! Timetables of devices that are late, hard to understand, or start anew: what is told of them,
//! and what is not told too soon.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::check::{Check, Findings, Problem, Verdict};
use crate::domain::fault::Fault;
use crate::domain::notice::Kind;
use crate::domain::run::draft::problem;
use crate::domain::run::transitions::{example, findings};
use crate::domain::run::{Effect, Event, Phase, Run, Timer, Visit, step};

/// A run driven by hand; visits answer the attempt under way.
struct Story {
    run: Run,
    now: Timestamp,
    told: Vec<Fault>,
    deadline: Option<Timestamp>,
}

impl Story {
    fn at(phase: Phase) -> Self {
        let now = Timestamp::from_seconds(1000);
        Self { run: example(phase), now, told: Vec::new(), deadline: None }
    }

    /// It should be back after 60 s; the deadline is the timer's to tell.
    fn connecting() -> Self {
        let back_by = Timestamp::from_seconds(1060);
        Self::at(Phase::Connecting { back_by, refused_since: None, broken_since: None })
    }

    fn expected() -> Self {
        let mut story = Self::at(Phase::Expected { ask_by: Timestamp::from_seconds(1180) });
        story.run.address = None;
        story
    }

    fn after(&mut self, seconds: u64, event: Event) -> &mut Self {
        self.now = self.now.plus(Duration::from_secs(seconds));
        let stepped = step(&self.run, &event, self.now);
        for effect in stepped.effects {
            match effect {
                Effect::Tell { kind: Kind::ActionNeeded, problem: Some(problem) } => {
                    self.told.push(problem.fault);
                }
                Effect::Wake { timer: Timer::Deadline, at } => self.deadline = Some(at),
                Effect::Sleep { timer: Timer::Deadline } => self.deadline = None,
                Effect::AskUpstreams { .. }
                | Effect::Tell { .. }
                | Effect::Wake { .. }
                | Effect::Sleep { .. }
                | Effect::Visit { .. }
                | Effect::Upgrade { .. }
                | Effect::HandOff { .. } => {}
            }
        }
        self.run = stepped.run;
        self
    }

    fn visit(&mut self, seconds: u64, visit: Visit) -> &mut Self {
        let attempt = self.run.attempt;
        self.after(seconds, Event::Visited { attempt, visit })
    }

    /// The deadline goes off when it is set for.
    fn deadline(&mut self) -> &mut Self {
        let at = self.deadline.expect("a deadline is set");
        assert!(at >= self.now, "time does not go back");
        self.after(at.since(self.now).as_secs(), Event::Due { timer: Timer::Deadline })
    }
}

fn nobody() -> Visit {
    Visit::Unreachable { why: "no answer".into() }
}

fn broken() -> Visit {
    Visit::Broken { why: "no prompt".into() }
}

fn good() -> Visit {
    Visit::Judged { host_key: None, findings: findings(Verdict::Pass, Verdict::Pass) }
}

fn bad() -> Visit {
    let problem = Problem { fault: Fault::OtherBox, fill: Default::default(), sockets: Vec::new() };
    Visit::Judged { host_key: None, findings: findings(Verdict::Fail(problem), Verdict::Pass) }
}

fn leased() -> Event {
    Event::LeaseBound { address: "10.0.0.17".parse().unwrap() }
}

fn asked() -> Event {
    let address = "10.0.0.17".parse().unwrap();
    Event::FileAsked { transport: "tftp".into(), name: "network-confg".into(), address }
}

fn strange() -> Event {
    Event::StrangeFileAsked { name: "other".into() }
}

fn broke() -> Event {
    let (sha256, why) = ("00".into(), "no answer".into());
    Event::TransferEnded { complete: false, bytes: 382, sha256, repeats: 0, why }
}

#[test]
fn a_visit_that_is_under_way_when_the_time_is_over_decides() {
    let due = || Event::Due { timer: Timer::Deadline };
    let mut back = Story::connecting();
    for _ in 0..5 {
        back.visit(10, nobody());
    }
    back.after(10, due()).visit(3, good());
    assert_eq!((back.told, back.run.phase.name()), (vec![], "handing_off"));
    let mut away = Story::connecting();
    for _ in 0..5 {
        away.visit(10, nobody());
    }
    away.after(10, due()).visit(3, nobody());
    assert_eq!(away.told, [], "it may have come up since, and this one was lost");
    away.visit(7, nobody());
    assert_eq!(away.told, [Fault::NotBack]);
}

#[test]
fn some_visits_that_are_lost_after_the_time_are_chance() {
    let mut story = Story::connecting();
    story.visit(70, nobody()).visit(10, nobody()).visit(10, nobody());
    assert_eq!(story.told, []);
    // Somebody is there: nobody is counted anew.
    story.visit(10, broken());
    for _ in 0..3 {
        story.visit(10, nobody());
    }
    assert_eq!(story.told, []);
    story.visit(10, nobody());
    assert_eq!(story.told, [Fault::NotBack]);
}

#[test]
fn a_device_without_an_address_is_not_back_when_its_time_is_over() {
    let mut story = Story::connecting();
    story.run.address = None;
    story.after(60, Event::Due { timer: Timer::Deadline });
    assert_eq!(story.told, [Fault::NotBack]);
}

#[test]
fn a_dialogue_that_breaks_off_is_told_when_it_does_so_on_and_on() {
    let mut late = Story::connecting();
    for _ in 0..8 {
        late.visit(10, nobody());
    }
    assert_eq!(late.told, [Fault::NotBack]);
    let mut once = Story::connecting();
    once.visit(100, broken()).visit(10, good());
    assert_eq!((once.told, once.run.phase.name()), (vec![], "handing_off"));
    // Long ago, and then nobody for long: that is another story.
    let mut away = Story::connecting();
    away.visit(1, broken()).visit(50, nobody()).visit(5, nobody()).visit(40, broken());
    assert_eq!(away.told, []);
    // After it let us in once it is told as well: patience runs from the first one.
    let mut later = Story::at(Phase::Verifying { since: Timestamp::from_seconds(1000) });
    later.visit(10, broken());
    assert_eq!(later.run.phase.name(), "connecting");
    for _ in 0..11 {
        later.visit(10, broken());
        assert_eq!(later.told, []);
    }
    later.visit(10, broken());
    assert_eq!(later.told, [Fault::Unreadable]);
    later.visit(10, bad());
    assert_eq!(later.told, [Fault::Unreadable, Fault::OtherBox]);
}

/// Runs with a fault of the first steps open, each with the fault.
fn in_trouble() -> Vec<(Fault, Story)> {
    let mut strange_file = Story::expected();
    strange_file.after(1, Event::Asked).after(1, leased()).after(1, strange()).deadline();
    let mut transfer = Story::expected();
    transfer.after(1, Event::Asked).after(1, leased());
    transfer.after(1, asked()).after(9, broke()).after(1, asked()).after(9, broke());
    let mut two = Story::expected();
    two.after(1, Event::Asked).after(1, Event::Conflict { detail: "serial and MAC".into() });
    let mut ours = Story::expected();
    ours.after(1, Event::Asked).after(1, leased());
    ours.after(1, Event::OurSideFailed { why: "template".into() });
    vec![
        (Fault::UnexpectedFile, strange_file),
        (Fault::TransferBroken, transfer),
        (Fault::Duplicate, two),
        (Fault::OurSide, ours),
    ]
}

#[test]
fn a_device_that_starts_anew_and_asks_for_no_file_is_told_as_that() {
    for (fault, mut story) in in_trouble() {
        assert_eq!(story.told, [fault]);
        story
            .after(300, Event::Asked)
            .after(2, leased())
            .after(60, Event::Asked)
            .after(1, leased());
        let asks_by = story.deadline.expect("it is waited for");
        assert_eq!(asks_by.since(story.now), Duration::from_secs(180 - 61), "from the first lease");
        story.deadline();
        assert_eq!(story.told, [fault, Fault::NoFileAsked]);
        // Asking and getting at once is the same.
        let (_, mut again) = in_trouble().into_iter().find(|(of, _)| *of == fault).unwrap();
        again.after(300, Event::Exchanged { address: "10.0.0.17".parse().unwrap() }).deadline();
        assert_eq!(again.told, [fault, Fault::NoFileAsked]);
        again.after(1, asked());
        assert_eq!(again.run.phase.name(), "fetching");
    }
}

#[test]
fn a_device_that_asks_for_anything_or_renews_its_address_stays_with_its_fault() {
    for (fault, mut story) in in_trouble() {
        let given_up = story.deadline;
        story.after(300, leased()).after(600, leased());
        assert_eq!(story.deadline, given_up, "{fault:?}: a renewal is no start");
    }
    for (fault, mut story) in in_trouble().into_iter().take(2) {
        let given_up = story.deadline;
        let again = if fault == Fault::UnexpectedFile { strange() } else { asked() };
        story.after(300, Event::Asked).after(2, leased()).after(5, again);
        assert_eq!(story.deadline, given_up, "{fault:?}");
        assert_eq!(story.told, [fault]);
        story.deadline();
        assert_eq!(story.run.phase.name(), "failed", "after a day, as every fault");
    }
}

#[test]
fn a_device_that_had_its_configuration_need_not_ask_for_it_again() {
    let mut story = Story::expected();
    story.after(1, Event::Asked).after(1, leased()).after(1, asked()).after(1, complete());
    story.after(30, Event::Due { timer: Timer::Visit }).visit(1, good());
    let refused =
        Event::HookAnswered { hook: "ansible".into(), accepted: false, answer: "".into() };
    story.after(1, refused);
    let given_up = story.deadline;
    story.after(300, Event::Asked).after(2, leased());
    assert_eq!((story.told, story.deadline), (vec![Fault::OurSide], given_up));
}

fn complete() -> Event {
    let (sha256, why) = ("00".into(), String::new());
    Event::TransferEnded { complete: true, bytes: 382, sha256, repeats: 0, why }
}

#[test]
fn a_proof_that_cdp_contradicts_is_green_when_it_lasts_longer_than_a_table_remembers() {
    let mut story = Story::connecting();
    for _ in 0..13 {
        story.visit(10, doubted(&["1: core-9 1"]));
        assert_eq!(story.run.phase.name(), "verifying");
    }
    story.visit(10, doubted(&["1: core-9 1"]));
    assert_eq!(story.run.phase.name(), "handing_off");
    // The one who was remembered is forgotten.
    let mut story = Story::connecting();
    story.visit(10, doubted(&["1: core-9 1"])).visit(10, good());
    assert_eq!((story.told, story.run.phase.name()), (vec![], "handing_off"));
}

#[test]
fn another_contradiction_of_a_proof_has_its_own_patience() {
    let mut story = Story::connecting();
    for _ in 0..12 {
        story.visit(10, doubted(&["1: core-9 1"]));
    }
    // A plug was exchanged elsewhere, and the first contradiction was forgotten meanwhile.
    for _ in 0..13 {
        story.visit(10, doubted(&["2: core-8 1"]));
        assert_eq!(story.run.phase.name(), "verifying");
    }
    story.visit(10, doubted(&["2: core-8 1"]));
    assert_eq!(story.run.phase.name(), "handing_off");
}

/// Everything is proven, and CDP contradicts it there.
fn doubted(contradictions: &[&str]) -> Visit {
    let contradictions = contradictions.iter().map(|text| (*text).to_owned()).collect();
    let findings = findings(Verdict::Pass, Verdict::Pass);
    Visit::Judged { host_key: None, findings: Findings { contradictions, ..findings } }
}

#[test]
fn an_accusation_that_cdp_contradicts_is_told_when_it_lasts_longer_than_a_table_remembers() {
    let wrong = |contradicted: bool| {
        let mut problem =
            Problem { fault: Fault::WrongDevice, fill: Default::default(), sockets: Vec::new() };
        if contradicted {
            problem.fill.insert("contradicted".into(), "CDP".into());
        }
        let findings = findings(Verdict::Pass, Verdict::Fail(problem));
        Visit::Judged { host_key: None, findings }
    };
    let mut story = Story::connecting();
    for _ in 0..13 {
        story.visit(10, wrong(true));
        assert_eq!(story.told, []);
    }
    story.visit(10, wrong(true));
    assert_eq!(story.told, [Fault::WrongDevice]);
    // It is one accusation, whether contradicted or not.
    let mut story = Story::connecting();
    story.visit(10, wrong(true)).visit(10, wrong(false));
    assert_eq!(story.told, [Fault::WrongDevice]);
}

/// What cannot be read is told at the first visit after 185 s; visits are 10 s apart.
const UNCLEAR_SECONDS: u64 = 190;

/// It cannot be told who is there.
fn unclear(why: &str) -> Visit {
    let neighbours = (Check::Neighbours, Verdict::Unknown { why: why.to_owned() });
    let mut findings = findings(Verdict::Pass, Verdict::Pass);
    findings.verdicts.push(neighbours);
    Visit::Judged { host_key: None, findings }
}

#[test]
fn each_plug_that_is_moved_is_remembered_for_its_own_time() {
    let mut story = Story::connecting();
    for port in ["1", "2", "3"] {
        for _ in 0..UNCLEAR_SECONDS / 10 {
            story.visit(10, unclear(port));
        }
    }
    assert_eq!(story.told, [], "none of them lasted");
    story.visit(10, unclear("3"));
    assert_eq!(story.told, [Fault::Unreadable]);
}

#[test]
fn a_hub_on_which_somebody_comes_and_goes_is_told_in_the_end() {
    let mut story = Story::connecting();
    let mut seconds = 0;
    while story.told.is_empty() && seconds < 3600 {
        story.visit(10, unclear(&seconds.to_string()));
        seconds += 10;
    }
    assert_eq!((story.told, seconds), (vec![Fault::Unreadable], 900 + UNCLEAR_SECONDS));
}

#[test]
fn while_plugs_are_moved_two_memories_follow_each_other() {
    let cables = |fault, fill: &[(&str, &str)]| {
        let problem = problem(fault, fill);
        let mut findings = findings(Verdict::Pass, Verdict::Pass);
        findings.verdicts.push((Check::Neighbours, Verdict::Fail(problem)));
        Visit::Judged { host_key: None, findings }
    };
    for (fault, fill, patience) in [
        (Fault::SwappedPair, &[][..], UNCLEAR_SECONDS + 180),
        (
            Fault::RotatedPlugs,
            &[("round", "1 → 2, 2 → 3, 3 → 1"), ("count", "3")],
            UNCLEAR_SECONDS + 180 + 3 * 40,
        ),
    ] {
        let mut story = Story::connecting();
        story.visit(10, cables(fault, fill)).visit(10, cables(fault, fill));
        assert_eq!(story.told, [fault]);
        for _ in 0..patience / 10 {
            story.visit(10, unclear("1"));
        }
        assert_eq!(story.told, [fault]);
        story.visit(10, unclear("1"));
        assert_eq!(story.told, [fault, Fault::Unreadable]);
    }
}
