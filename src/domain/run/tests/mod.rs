//! Timetables of whole runs, and what must hold for every run.

mod asking;

use std::time::Duration;

use proptest::prelude::*;

use crate::clock::Timestamp;
use crate::domain::check::{Problem, Verdict};
use crate::domain::fault::Fault;
use crate::domain::notice::Kind;
use crate::domain::run::transitions::{events, example, findings, page, phases};
use crate::domain::run::{Effect, Event, Phase, Run, Timer, Uploaded, Visit, step};

/// A run driven by a timetable. Time moves when told, and only forward.
struct Story {
    run: Run,
    now: Timestamp,
    told: Vec<(Kind, Option<Fault>)>,
    hand_offs: usize,
    visits: usize,
    deadline: Option<Timestamp>,
    /// Steps of upgrades that were to be taken.
    steps: Vec<usize>,
    /// Questions to the upstream devices: whether it was away each time.
    asks: Vec<bool>,
}

impl Story {
    fn begin() -> Self {
        let at = Timestamp::from_seconds(1000);
        let ask_by = at.plus(Duration::from_secs(180));
        let run = example(Phase::Expected { ask_by });
        Self {
            run,
            now: at,
            told: Vec::new(),
            hand_offs: 0,
            visits: 0,
            deadline: None,
            steps: Vec::new(),
            asks: Vec::new(),
        }
    }

    fn after(&mut self, seconds: u64, event: Event) -> &mut Self {
        self.now = self.now.plus(Duration::from_secs(seconds));
        let event = match event {
            // Visits answer the attempt under way.
            Event::Visited { visit, .. } => Event::Visited { attempt: self.run.attempt, visit },
            Event::UpstreamsTold { told, .. } => {
                Event::UpstreamsTold { attempt: self.run.attempt, told }
            }
            other => other,
        };
        let stepped = step(&self.run, &event, self.now);
        for effect in &stepped.effects {
            match effect {
                Effect::Tell { kind, problem } => {
                    self.told.push((*kind, problem.as_ref().map(|p| p.fault)));
                }
                Effect::HandOff { .. } => self.hand_offs += 1,
                Effect::Visit { .. } => self.visits += 1,
                Effect::Upgrade { index, .. } => self.steps.push(*index),
                Effect::Wake { timer: Timer::Deadline, at } => self.deadline = Some(*at),
                Effect::Sleep { timer: Timer::Deadline } => self.deadline = None,
                Effect::AskUpstreams { away, .. } => self.asks.push(*away),
                Effect::Wake { .. } | Effect::Sleep { .. } => {}
            }
        }
        self.run = stepped.run;
        self
    }

    fn pushes(&self) -> Vec<Kind> {
        let loud = |kind: &Kind| !matches!(kind, Kind::Progress | Kind::Cleared);
        self.told.iter().map(|(kind, _)| *kind).filter(loud).collect()
    }

    fn phase(&self) -> &'static str {
        self.run.phase.name()
    }
}

fn leased() -> Event {
    Event::LeaseBound { address: "172.29.50.18".parse().unwrap() }
}

fn asked(name: &str) -> Event {
    Event::FileAsked {
        transport: "tftp".into(),
        name: name.into(),
        address: "172.29.50.18".parse().unwrap(),
    }
}

fn ended(complete: bool) -> Event {
    Event::TransferEnded {
        complete,
        bytes: 382,
        sha256: "ab".into(),
        repeats: 0,
        why: if complete { String::new() } else { "no answer".into() },
    }
}

fn seen(running: Verdict, neighbours: Verdict) -> Event {
    let findings = findings(running, neighbours);
    Event::Visited {
        attempt: 0,
        visit: Visit::Judged { host_key: Some("SHA256:a".into()), findings },
    }
}

fn fails(fault: Fault) -> Verdict {
    Verdict::Fail(Problem { fault, fill: Default::default(), sockets: Vec::new() })
}

fn accepts() -> Event {
    Event::HookAnswered { hook: "ansible".into(), accepted: true, answer: "job 4711".into() }
}

fn due(timer: Timer) -> Event {
    Event::Due { timer }
}

fn up_to_first_visit(story: &mut Story) {
    story
        .after(0, Event::Asked)
        .after(1, leased())
        .after(1, asked("network-confg"))
        .after(1, ended(true))
        .after(30, due(Timer::Visit));
    assert_eq!(story.phase(), "connecting");
}

#[test]
fn the_transitions_page_is_true() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/transitions.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, page()).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        written == page(),
        "run the tests once with UPDATE=1 to print docs/transitions.md anew"
    );
}

#[test]
fn a_good_run_pushes_exactly_twice_and_hands_over_once() {
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    story.after(1, seen(Verdict::Pass, Verdict::Pass));
    assert_eq!(story.phase(), "handing_off");
    story.after(1, accepts());
    assert_eq!(story.phase(), "ready");
    assert_eq!(story.pushes(), [Kind::Started, Kind::Done]);
    assert_eq!((story.hand_offs, story.visits), (1, 1));
}

#[test]
fn a_swapped_pair_is_said_once_and_turns_green_by_itself() {
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    story.after(1, seen(Verdict::Pass, fails(Fault::SwappedPair)));
    assert_eq!(story.phase(), "verifying", "one look is not enough");
    for _ in 0..4 {
        story.after(15, due(Timer::Visit));
        story.after(1, seen(Verdict::Pass, fails(Fault::SwappedPair)));
    }
    assert_eq!(story.phase(), "action_needed");
    // While the plugs move, a port is mute: nothing is said about that.
    story.after(15, due(Timer::Visit));
    story.after(1, seen(Verdict::Pass, fails(Fault::NeighbourMute)));
    story.after(15, due(Timer::Visit)).after(1, seen(Verdict::Pass, Verdict::Pass));
    story.after(1, accepts());
    assert_eq!(story.phase(), "ready");
    assert_eq!(story.pushes(), [Kind::Started, Kind::ActionNeeded, Kind::Done]);
    assert!(story.told.contains(&(Kind::Cleared, Some(Fault::SwappedPair))));
}

#[test]
fn one_broken_transfer_is_normal_and_two_are_a_fault() {
    let mut story = Story::begin();
    story.after(0, Event::Asked).after(1, leased()).after(1, asked("a")).after(5, ended(false));
    assert_eq!(story.phase(), "fetching");
    story.after(1, asked("a")).after(5, ended(false));
    assert_eq!(story.told.last(), Some(&(Kind::ActionNeeded, Some(Fault::TransferBroken))));
    story.after(1, asked("a")).after(5, ended(true));
    assert_eq!(story.phase(), "settling");
    assert_eq!(story.told.iter().filter(|(kind, _)| *kind == Kind::Cleared).count(), 1);
}

#[test]
fn a_device_that_stays_away_is_said_at_the_deadline_and_comes_back() {
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    let away = || Event::Visited { attempt: 0, visit: Visit::Unreachable { why: "x".into() } };
    for _ in 0..5 {
        story.after(1, away()).after(15, due(Timer::Visit));
    }
    assert_eq!(story.phase(), "connecting");
    story.after(10, due(Timer::Deadline));
    assert_eq!(story.phase(), "connecting", "the visit under way decides");
    story.after(1, away()).after(15, due(Timer::Visit)).after(1, away());
    assert_eq!(story.told.last(), Some(&(Kind::ActionNeeded, Some(Fault::NotBack))));
    story.after(15, due(Timer::Visit)).after(1, seen(Verdict::Pass, Verdict::Pass));
    assert!(story.told.contains(&(Kind::Cleared, Some(Fault::NotBack))));
    assert_eq!(story.phase(), "handing_off");
}

#[test]
fn a_host_key_that_changes_within_a_run_is_never_accepted() {
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    let changed =
        || Event::Visited { attempt: 0, visit: Visit::HostKeyChanged { found: "b".into() } };
    story.after(1, changed());
    for _ in 0..10 {
        story.after(15, due(Timer::Visit)).after(1, changed());
    }
    assert_eq!(story.phase(), "action_needed");
    assert_eq!(story.pushes(), [Kind::Started, Kind::ActionNeeded]);
}

#[test]
fn a_platform_that_only_merges_is_told_to_save_and_saving_is_proven() {
    use crate::domain::check::Check;
    let mut story = Story::begin();
    std::sync::Arc::make_mut(&mut story.run.timing).save = true;
    up_to_first_visit(&mut story);
    let unsaved = |verdict: Verdict| {
        let mut findings = findings(Verdict::Pass, Verdict::Pass);
        findings.verdicts.push((Check::Saved, verdict));
        Event::Visited { attempt: 0, visit: Visit::Judged { host_key: None, findings } }
    };
    story.after(1, unsaved(fails(Fault::ConfigurationDiffers)));
    assert!(story.run.saving, "the next visit saves");
    assert_eq!(story.visits, 2);
    story.after(1, unsaved(Verdict::Pass));
    assert_eq!(story.phase(), "handing_off");
    assert_eq!(story.pushes(), [Kind::Started]);
}

#[test]
fn a_hook_that_refuses_is_our_fault_and_a_person_may_try_again() {
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    story.after(1, seen(Verdict::Pass, Verdict::Pass)).after(
        1,
        Event::HookAnswered { hook: "ansible".into(), accepted: false, answer: "500".into() },
    );
    assert_eq!(story.told.last(), Some(&(Kind::ActionNeeded, Some(Fault::OurSide))));
    story.after(60, Event::Recheck { by: "unix:0".into() });
    story.after(1, seen(Verdict::Pass, Verdict::Pass)).after(1, accepts());
    assert_eq!(story.phase(), "ready");
}

#[test]
fn a_closed_way_is_our_fault_and_the_device_is_not_blamed() {
    let closed = || Event::Visited { attempt: 0, visit: Visit::OurSide { why: "jump".into() } };
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    let back_deadline = story.run.timing.back_deadline.as_secs();
    let patience = story.run.timing.login_patience.as_secs();
    story.after(1, closed()).after(back_deadline, due(Timer::Deadline));
    assert_eq!(story.phase(), "connecting", "nobody is told that the device is away");
    story.after(patience, closed());
    assert_eq!(story.told.last(), Some(&(Kind::ActionNeeded, Some(Fault::OurSide))));
    let visits = story.visits;
    story.after(30, due(Timer::Visit)).after(1, closed());
    assert_eq!(story.visits, visits + 1, "it looks whether the way is open");
    let mut away = Story::begin();
    away.run = story.run.clone();
    away.now = story.now;
    story.after(30, seen(Verdict::Pass, Verdict::Pass)).after(1, accepts());
    assert_eq!(story.phase(), "ready");
    let gone = || Event::Visited { attempt: 0, visit: Visit::Unreachable { why: "x".into() } };
    away.after(30, gone());
    assert_eq!(away.phase(), "connecting");
    away.after(back_deadline, due(Timer::Deadline));
    for _ in 0..4 {
        away.after(15, due(Timer::Visit)).after(1, gone());
    }
    assert_eq!(away.told.last(), Some(&(Kind::ActionNeeded, Some(Fault::NotBack))));
}

#[test]
fn late_answers_of_an_earlier_attempt_fall_off() {
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    let old = Event::Visited {
        attempt: story.run.attempt - 1,
        visit: Visit::Judged { host_key: None, findings: findings(Verdict::Pass, Verdict::Pass) },
    };
    let stepped = step(&story.run, &old, story.now);
    assert_eq!(stepped.run.phase, story.run.phase);
    assert!(stepped.effects.is_empty());
}

proptest! {
    #[test]
    fn green_is_only_entered_with_everything_proven_and_handed_over(
        moves in prop::collection::vec((0usize..events().len(), 0u64..120), 1..60),
    ) {
        let all = events();
        let mut story = Story::begin();
        let mut greens = 0;
        for (index, seconds) in moves {
            let before = story.run.clone();
            story.after(seconds, all[index].1.clone());
            let entered = matches!(story.run.phase, Phase::Ready { .. })
                && !matches!(before.phase, Phase::Ready { .. });
            if entered {
                greens += 1;
                let proven = story.run.findings.as_ref().is_some_and(|findings| {
                    findings.verdicts.iter().all(|(_, v)| *v == Verdict::Pass)
                });
                prop_assert!(proven);
                // After an upgrade the proof is of a visit that came later than its steps.
                let stepped = matches!(before.phase, Phase::Upgrading { .. });
                let judged =
                    matches!(&all[index].1, Event::Visited { visit: Visit::Judged { .. }, .. });
                prop_assert!(!stepped || judged);
                prop_assert!(story.run.handed.contains_key("ansible"));
            }
            prop_assert_eq!(story.run.rev, before.rev + 1);
            prop_assert!(story.run.told.len() <= crate::domain::run::TOLD_MAX);
        }
        let done = story.told.iter().filter(|(kind, _)| *kind == Kind::Done).count();
        prop_assert_eq!(done, greens);
    }
}

#[test]
fn a_backup_is_written_down_in_every_phase_and_moves_none() {
    for phase in phases() {
        let run = example(phase.clone());
        let upload = Uploaded {
            name: "sw1\u{1b}[2J-confg".into(),
            bytes: 512,
            sha256: "ab".into(),
            complete: true,
            why: String::new(),
        };
        let stepped = step(&run, &Event::Uploaded(upload), run.opened);
        let text = "received sw1 [2J-confg, 512 bytes, SHA-256 ab".to_owned();
        assert_eq!(stepped.notes, [("backup".to_owned(), text)], "{phase:?}");
        assert_eq!((&stepped.run.phase, stepped.effects), (&phase, vec![]));
        assert_eq!(stepped.run.last_heard, run.last_heard);
    }
}

#[test]
fn every_phase_meets_every_event_without_a_panic() {
    for phase in phases() {
        for (_, event) in events() {
            let run = example(phase.clone());
            let stepped = step(&run, &event, Timestamp::from_seconds(1030));
            assert_eq!(stepped.run.rev, run.rev + 1);
        }
    }
}

#[test]
fn the_planned_box_that_takes_another_ones_place_brings_its_own_key() {
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    story.after(1, seen(fails(Fault::OtherBox), Verdict::Pass));
    assert!(story.told.contains(&(Kind::ActionNeeded, Some(Fault::OtherBox))));
    assert!(story.run.host_key.is_some(), "the other box's key is pinned");
    story.after(60, asked("network-confg"));
    assert_eq!(story.run.host_key, None);
    // For every other fault the key stays pinned: a device that only reboots keeps it.
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    for _ in 0..2 {
        story.after(1, seen(fails(Fault::ConfigurationDiffers), Verdict::Pass));
        story.after(15, due(Timer::Visit));
    }
    assert_eq!(story.phase(), "action_needed");
    story.after(60, asked("network-confg"));
    assert!(story.run.host_key.is_some());
}

#[test]
fn a_green_device_that_asks_for_its_configuration_again_is_proven_again_in_the_same_run() {
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    story.after(1, seen(Verdict::Pass, Verdict::Pass)).after(1, accepts());
    assert_eq!(story.phase(), "ready");
    let (id, heard) = (story.run.id.clone(), story.run.last_heard);
    story.after(60, Event::Asked).after(1, leased());
    assert_eq!(story.phase(), "ready", "a lease alone is a renewal or a reboot");
    assert_eq!(story.run.last_heard, heard, "and does not prolong the window");
    story.after(1, asked("network-confg"));
    assert_eq!(story.phase(), "fetching");
    assert!(story.run.findings.is_none(), "nothing is proven any more");
    story.after(1, ended(true)).after(30, due(Timer::Visit));
    story.after(1, seen(Verdict::Pass, fails(Fault::SwappedPair)));
    story.after(15, due(Timer::Visit)).after(1, seen(Verdict::Pass, fails(Fault::SwappedPair)));
    assert_eq!(story.phase(), "action_needed");
    story.after(15, due(Timer::Visit)).after(1, seen(Verdict::Pass, Verdict::Pass));
    assert_eq!((story.phase(), story.run.id), ("ready", id));
    assert_eq!(story.hand_offs, 1, "it was handed over already");
}

fn crossed(gives_way: bool) -> Event {
    let mut findings = findings(Verdict::Pass, fails(Fault::WrongPort));
    if gives_way {
        findings = findings.giving_way("dist-1 port 2 is being worked on for acc-1".into());
    }
    Event::Visited { attempt: 0, visit: Visit::Judged { host_key: None, findings } }
}

#[test]
fn who_gives_way_is_silent_for_hours_and_speaks_only_once_neighbours_had_their_time() {
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    for _ in 0..1000 {
        story.after(15, crossed(true));
    }
    assert_eq!((story.phase(), story.pushes()), ("verifying", vec![Kind::Started]));
    story.after(15, crossed(false)).after(40, crossed(false));
    assert_eq!(story.pushes(), [Kind::Started]);
    story.after(40, crossed(false));
    assert_eq!(story.told.last(), Some(&(Kind::ActionNeeded, Some(Fault::WrongPort))));
}

#[test]
fn who_gives_way_lets_go_of_what_was_told_so_that_nobody_waits_in_turn() {
    let mut story = Story::begin();
    up_to_first_visit(&mut story);
    let dark = || seen(Verdict::Pass, fails(Fault::NeighbourDown));
    story.after(15, dark()).after(15, dark());
    assert_eq!(story.phase(), "action_needed");
    story.after(15, crossed(true));
    assert_eq!(story.phase(), "action_needed", "its plug may be in somebody's hand");
    story.after(70, crossed(true));
    assert_eq!(story.phase(), "verifying");
    assert!(story.told.contains(&(Kind::Cleared, Some(Fault::NeighbourDown))));
}
