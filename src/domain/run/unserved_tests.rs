//! Timetables of devices that ask for no file: from their address to green, and what is told of
//! them on the way.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::check::Verdict;
use crate::domain::fault::Fault;
use crate::domain::notice::Kind;
use crate::domain::run::transitions::{example, findings};
use crate::domain::run::{Effect, Event, Milestone, Phase, Run, Timer, Timing, Visit, step};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 17));

/// A run of a device that asks for no file. Its timers go off by themselves; visits find `finds`.
struct Story {
    run: Run,
    now: Timestamp,
    timers: Vec<(Timer, Timestamp)>,
    told: Vec<(Kind, Option<Fault>)>,
    finds: Visit,
    /// When it was visited.
    visits: Vec<Timestamp>,
}

impl Story {
    fn begin(finds: Visit) -> Self {
        let now = Timestamp::from_seconds(1000);
        let mut run = example(Phase::Expected { ask_by: now.plus(Duration::from_secs(480)) });
        run.address = None;
        run.timing = Arc::new(Timing { fetches: false, ..(*run.timing).clone() });
        Self { run, now, timers: Vec::new(), told: Vec::new(), finds, visits: Vec::new() }
    }

    fn step(&mut self, event: &Event) -> &mut Self {
        let stepped = step(&self.run, event, self.now);
        self.run = stepped.run;
        let mut answer = None;
        for effect in stepped.effects {
            match effect {
                Effect::Tell { kind, problem } => self.told.push((kind, problem.map(|p| p.fault))),
                Effect::Wake { timer, at } => {
                    self.timers.retain(|(other, _)| *other != timer);
                    self.timers.push((timer, at));
                }
                Effect::Sleep { timer } => self.timers.retain(|(other, _)| *other != timer),
                Effect::Visit { attempt, address, .. } => {
                    assert_eq!(address, ADDRESS);
                    self.visits.push(self.now);
                    answer = Some(Event::Visited { attempt, visit: self.finds.clone() });
                }
                Effect::HandOff { .. } | Effect::Upgrade { .. } | Effect::AskUpstreams { .. } => {}
            }
        }
        if let Some(answer) = answer {
            self.step(&answer);
        }
        self
    }

    /// All timers that go off within these seconds, each at its time.
    fn wait(&mut self, seconds: u64) -> &mut Self {
        let until = self.now.plus(Duration::from_secs(seconds));
        while let Some((timer, at)) = self.timers.iter().copied().min_by_key(|(_, at)| *at)
            && at <= until
        {
            self.timers.retain(|(other, _)| *other != timer);
            self.now = self.now.max(at);
            self.step(&Event::Due { timer });
        }
        self.now = until;
        self
    }

    fn pushed(&self) -> Vec<(Kind, Option<Fault>)> {
        let loud =
            |told: &&(Kind, Option<Fault>)| !matches!(told.0, Kind::Progress | Kind::Cleared);
        self.told.iter().filter(loud).copied().collect()
    }
}

fn exchanged() -> Event {
    Event::Exchanged { address: ADDRESS }
}

fn good() -> Visit {
    Visit::Judged { host_key: None, findings: findings(Verdict::Pass, Verdict::Pass) }
}

fn nobody() -> Visit {
    Visit::Unreachable { why: "no answer".into() }
}

const STARTED: (Kind, Option<Fault>) = (Kind::Started, None);

#[test]
fn a_device_that_asks_for_no_file_is_visited_once_it_settled_and_proven() {
    let mut story = Story::begin(good());
    story.step(&Event::Asked).wait(2).step(&Event::LeaseBound { address: ADDRESS });
    assert_eq!(story.run.phase.name(), "settling");
    let leased = story.now;
    story.wait(29);
    assert!(story.visits.is_empty(), "it has the time of its platform");
    story.wait(1);
    assert_eq!(story.visits, [leased.plus(Duration::from_secs(30))]);
    assert_eq!(story.run.phase.name(), "handing_off");
    assert!(!story.run.milestones.contains_key(&Milestone::Downloaded));
    let accepts =
        Event::HookAnswered { hook: "ansible".into(), accepted: true, answer: "4711".into() };
    story.step(&accepts);
    assert_eq!(story.pushed(), [STARTED, (Kind::Done, None)]);
}

#[test]
fn a_device_that_asks_for_no_file_is_never_told_as_that() {
    let mut story = Story::begin(nobody());
    story.step(&exchanged()).wait(100);
    assert_eq!(story.pushed(), [STARTED], "it may still boot");
    // Between the deadline (120 s) and the visit after it.
    story.wait(40);
    assert_eq!(story.pushed(), [STARTED, (Kind::ActionNeeded, Some(Fault::NotBack))]);
    let Phase::ActionNeeded { problem, .. } = &story.run.phase else { panic!("it is told") };
    assert_eq!(problem.fill["address"], ADDRESS.to_string());
    // It starts anew, for which it has the time of any other; and then it answers.
    story.wait(60).step(&exchanged()).wait(200);
    story.finds = good();
    story.wait(15);
    assert_eq!(story.run.phase.name(), "handing_off");
    assert!(story.told.iter().all(|(_, fault)| *fault != Some(Fault::NoFileAsked)));
}

#[test]
fn a_fault_before_the_visit_is_over_when_it_started_anew_and_nobody_else_claims_it() {
    let claimed = || Event::Conflict { detail: "serial and MAC".into() };
    let ours = || Event::OurSideFailed { why: "disk".into() };
    for (event, fault) in [(claimed(), Fault::Duplicate), (ours(), Fault::OurSide)] {
        let mut story = Story::begin(good());
        story.step(&Event::Asked).step(&event).wait(300);
        assert_eq!((story.run.phase.name(), story.visits.len()), ("action_needed", 0));
        // Still claimed by two, or failing: it stays.
        story.step(&Event::Asked).step(&event).step(&Event::LeaseBound { address: ADDRESS });
        story.wait(300);
        assert_eq!(story.visits.len(), 0, "{fault:?}");
        story.step(&exchanged()).wait(61);
        assert_eq!(story.run.phase.name(), "handing_off", "{fault:?}");
        let still = (Kind::StillWaiting, None);
        assert_eq!(story.pushed(), [STARTED, (Kind::ActionNeeded, Some(fault)), still]);
        assert!(story.told.contains(&(Kind::Cleared, Some(fault))));
    }
}

#[test]
fn a_file_that_it_asks_for_all_the_same_is_served_as_to_any_other() {
    let mut story = Story::begin(good());
    story.step(&exchanged());
    let asked =
        Event::FileAsked { transport: "http".into(), name: "script.rsc".into(), address: ADDRESS };
    // In its settling it is one more request, as it is of a device that has its file.
    story.step(&asked);
    assert_eq!((story.run.phase.name(), story.run.repeats), ("settling", 1));
    let ended = Event::TransferEnded {
        complete: true,
        bytes: 9,
        sha256: "00".into(),
        repeats: 0,
        why: String::new(),
    };
    story.step(&ended).wait(30);
    assert_eq!(story.run.phase.name(), "handing_off");
    assert!(story.run.milestones.contains_key(&Milestone::Downloaded));
}
