//! Timetables of runs whose upstream devices are asked.

use super::transitions::{deaf, example, far_ends, findings};
use super::upstream::Upstream;
use super::*;
use crate::domain::check::Verdict;
use crate::domain::fault::Fault;

/// A run driven by a timetable, from the moment at which it is looked for.
struct Story {
    run: Run,
    now: Timestamp,
    told: Vec<(notice::Kind, Fault)>,
    asks: Vec<(u64, bool)>,
    visits: usize,
}

impl Story {
    fn at(phase: Phase) -> Self {
        let now = Timestamp::from_seconds(1000);
        Self { run: example(phase), now, told: Vec::new(), asks: Vec::new(), visits: 0 }
    }

    /// It has its configuration and should be back within two minutes.
    fn connecting() -> Self {
        let back_by = Timestamp::from_seconds(1120);
        Self::at(Phase::Connecting { back_by, refused_since: None, broken_since: None })
    }

    fn verifying() -> Self {
        Self::at(Phase::Verifying { since: Timestamp::from_seconds(1000) })
    }

    fn after(&mut self, seconds: u64, event: Event) -> &mut Self {
        self.now = self.now.plus(Duration::from_secs(seconds));
        let event = match event {
            Event::Visited { visit, .. } => Event::Visited { attempt: self.run.attempt, visit },
            Event::UpstreamsTold { told, .. } => {
                Event::UpstreamsTold { attempt: self.run.attempt, told }
            }
            other => other,
        };
        self.take(&event)
    }

    /// The same with the attempt that the event names.
    fn take(&mut self, event: &Event) -> &mut Self {
        let stepped = step(&self.run, event, self.now);
        for effect in &stepped.effects {
            match effect {
                Effect::AskUpstreams { attempt, away } => self.asks.push((*attempt, *away)),
                Effect::Visit { .. } => self.visits += 1,
                Effect::Tell { kind, problem: Some(problem) } => {
                    self.told.push((*kind, problem.fault));
                }
                Effect::Tell { problem: None, .. }
                | Effect::Wake { .. }
                | Effect::Sleep { .. }
                | Effect::Upgrade { .. }
                | Effect::HandOff { .. } => {}
            }
        }
        self.run = stepped.run;
        self
    }

    /// One round: a visit that finds nobody, and what the far ends tell two seconds later.
    fn away(&mut self, told: Option<Verdict>) -> &mut Self {
        self.after(10, Event::Due { timer: Timer::Visit }).after(3, unreachable());
        match told {
            Some(verdict) => self.after(2, far_ends(verdict)),
            None => self.after(2, Event::Asked),
        }
    }

    /// One round of a device that does not hear by itself.
    fn deaf(&mut self, told: Verdict) -> &mut Self {
        self.after(10, Event::Due { timer: Timer::Visit }).after(3, deaf()).after(2, far_ends(told))
    }

    fn fault(&self) -> Option<Fault> {
        match &self.run.phase {
            Phase::ActionNeeded { problem, .. } => Some(problem.fault),
            _ => None,
        }
    }

    /// What made the phone ring.
    fn rung(&self) -> Vec<Fault> {
        let loud = self.told.iter().filter(|(kind, _)| *kind == notice::Kind::ActionNeeded);
        loud.map(|(_, fault)| *fault).collect()
    }
}

fn unreachable() -> Event {
    Event::Visited { attempt: 0, visit: Visit::Unreachable { why: "no route".into() } }
}

fn fails(fault: Fault) -> Verdict {
    Verdict::Fail(Problem {
        fault,
        fill: [("port".to_owned(), "49".to_owned())].into(),
        sockets: Vec::new(),
    })
}

fn unknown() -> Verdict {
    Verdict::Unknown { why: "dist-1 refuses our login".into() }
}

#[test]
fn a_device_that_does_not_hear_by_itself_is_green_by_its_far_ends() {
    let mut story = Story::verifying();
    story.after(1, deaf());
    assert_eq!((story.run.phase.name(), story.asks.len()), ("verifying", 1));
    assert!(story.run.upstream.held.is_some() && story.run.findings.is_none());
    story.after(2, far_ends(Verdict::Pass));
    assert_eq!(story.run.phase.name(), "handing_off");
    assert_eq!(story.run.score(), (3, 3));
    assert_eq!(story.run.upstream, Upstream::default());
}

#[test]
fn what_its_far_ends_see_is_said_once_it_is_seen_twice_and_asked_once_a_round() {
    let mut story = Story::verifying();
    story.deaf(fails(Fault::WrongPort));
    assert_eq!((story.fault(), story.asks.len()), (None, 1), "one look is not enough");
    for _ in 0..4 {
        story.deaf(fails(Fault::WrongPort));
    }
    assert_eq!(story.fault(), Some(Fault::WrongPort));
    assert_eq!(story.rung(), [Fault::WrongPort], "one push");
    assert_eq!((story.asks.len(), story.visits), (5, 5));
    let attempts: Vec<u64> = story.asks.iter().map(|(attempt, _)| *attempt).collect();
    assert!(attempts.is_sorted_by(|a, b| a < b), "each its own: {attempts:?}");
    story.deaf(Verdict::Pass);
    assert_eq!(story.run.phase.name(), "handing_off");
}

#[test]
fn where_they_cannot_tell_it_stays_unknown_with_their_reason() {
    let mut story = Story::verifying();
    for _ in 0..20 {
        story.deaf(unknown());
    }
    assert_eq!(story.fault(), Some(Fault::Unreadable));
    let Phase::ActionNeeded { problem, .. } = &story.run.phase else { panic!("it is told") };
    assert_eq!(problem.fill["found"], "Neighbours: dist-1 refuses our login");
    assert_eq!(story.rung(), [Fault::Unreadable]);
}

#[test]
fn an_earlier_layer_speaks_without_the_far_ends() {
    let mut story = Story::verifying();
    let Event::Visited { visit: Visit::Judged { findings: deaf, .. }, .. } = deaf() else {
        panic!("it is a judgement")
    };
    let running = findings(fails(Fault::ConfigurationDiffers), unknown());
    let findings = Findings { asks_upstreams: true, verdicts: running.verdicts, ..deaf };
    let visit = Visit::Judged { host_key: None, findings };
    for _ in 0..2 {
        story.after(15, Event::Visited { attempt: 0, visit: visit.clone() });
    }
    assert_eq!((story.fault(), story.asks.len()), (Some(Fault::ConfigurationDiffers), 0));
}

#[test]
fn what_they_tell_too_late_falls_off() {
    let mut story = Story::verifying();
    story.after(1, deaf());
    let attempt = story.run.attempt;
    let Event::UpstreamsTold { told, .. } = far_ends(Verdict::Pass) else { panic!("they told") };
    let late = Event::UpstreamsTold { attempt, told };
    // The answer does not come, and the next visit is under way.
    story.after(90, Event::Due { timer: Timer::Visit });
    assert!(story.run.upstream.held.is_none());
    let before = story.run.phase.clone();
    story.take(&late);
    assert_eq!((&story.run.phase, story.run.findings.as_ref()), (&before, None));
    // And nobody waits for a second answer.
    story.after(1, deaf()).after(1, far_ends(unknown()));
    let findings = story.run.findings.clone();
    story.after(1, far_ends(Verdict::Pass));
    assert_eq!((story.run.phase.name(), story.run.findings.clone()), ("verifying", findings));
}

#[test]
fn while_it_may_still_boot_nobody_is_asked() {
    let mut story = Story::connecting();
    for _ in 0..3 {
        story.away(None);
    }
    assert_eq!(story.asks, []);
    for _ in 0..3 {
        story.away(None);
    }
    assert!(story.asks.len() >= 2 && story.asks.iter().all(|(_, away)| *away), "{:?}", story.asks);
}

#[test]
fn a_plug_in_the_wrong_port_is_told_instead_of_a_device_that_is_not_back() {
    let mut story = Story::connecting();
    for _ in 0..10 {
        let seen = (!story.asks.is_empty()).then(|| fails(Fault::WrongPort));
        story.away(seen);
    }
    assert_eq!(story.rung(), [Fault::WrongPort]);
    // The plug is moved, the device answers: what it says itself decides.
    story.after(15, Event::Due { timer: Timer::Visit });
    let findings = findings(Verdict::Pass, Verdict::Pass);
    story
        .after(1, Event::Visited { attempt: 0, visit: Visit::Judged { host_key: None, findings } });
    assert_eq!(story.run.phase.name(), "handing_off");
    assert_eq!(story.told.last(), Some(&(notice::Kind::Cleared, Fault::WrongPort)));
}

#[test]
fn a_plug_seen_later_takes_the_place_of_not_back_and_gives_it_back() {
    let mut story = Story::connecting();
    for _ in 0..10 {
        story.away(Some(unknown()));
    }
    assert_eq!(story.rung(), [Fault::NotBack], "they cannot tell: its own words stay");
    story.away(Some(fails(Fault::SwappedPair)));
    assert_eq!(story.fault(), Some(Fault::NotBack));
    story.away(Some(fails(Fault::SwappedPair)));
    assert_eq!(story.fault(), Some(Fault::SwappedPair));
    story.away(Some(unknown())).away(None);
    assert_eq!(story.fault(), Some(Fault::SwappedPair), "silence is no news");
    story.away(Some(Verdict::Pass));
    assert_eq!(story.fault(), Some(Fault::NotBack), "well cabled, and still away");
    assert_eq!(story.rung(), [Fault::NotBack, Fault::SwappedPair, Fault::NotBack]);
    // However good the far ends find it: nobody who is away is green.
    for _ in 0..20 {
        story.away(Some(Verdict::Pass));
    }
    assert_eq!((story.fault(), story.run.findings.as_ref()), (Some(Fault::NotBack), None));
}

#[test]
fn what_hands_cannot_mend_is_not_told_of_a_device_that_is_away() {
    let mut story = Story::connecting();
    let silent = [Fault::NeighbourMute, Fault::NeighbourUnheard, Fault::UnplannedNeighbour];
    for fault in silent {
        for _ in 0..9 {
            story.away(Some(fails(fault)));
        }
    }
    assert_eq!(story.rung(), [Fault::NotBack]);
}

#[test]
fn a_device_that_comes_back_and_refuses_the_login_is_not_accused_of_its_cables() {
    let mut story = Story::connecting();
    for _ in 0..10 {
        story.away(Some(fails(Fault::WrongPort)));
    }
    assert_eq!(story.fault(), Some(Fault::WrongPort));
    story.after(10, Event::Due { timer: Timer::Visit });
    let refused = Visit::LoginRefused { why: "denied".into() };
    story.after(1, Event::Visited { attempt: 0, visit: refused });
    assert_eq!(story.run.phase.name(), "connecting");
}

#[test]
fn what_the_far_ends_say_is_written_down_once_while_it_stays_the_same() {
    let mut story = Story::connecting();
    let mut lines = 0;
    for _ in 0..12 {
        story.away(None);
        let event = far_ends(unknown());
        let Event::UpstreamsTold { told, .. } = event else { panic!("they told") };
        let event = Event::UpstreamsTold { attempt: story.run.attempt, told };
        let stepped = step(&story.run, &event, story.now);
        lines += stepped.notes.iter().filter(|(topic, _)| topic == "upstream").count();
        story.run = stepped.run;
    }
    assert_eq!(lines, 1);
    assert_eq!(story.run.upstream.said, "its far ends cannot tell: dist-1 refuses our login");
}
