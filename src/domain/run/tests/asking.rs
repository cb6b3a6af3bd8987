//! Timetables of devices that ask: once, often, oddly, again, or not at all.

use super::*;

fn exchanged() -> Event {
    Event::Exchanged { address: "172.29.50.18".parse().unwrap() }
}

#[test]
fn asking_and_getting_at_once_leads_where_one_after_the_other_leads() {
    let (mut once, mut twice) = (Story::begin(), Story::begin());
    once.after(1, exchanged());
    twice.after(1, Event::Asked).after(0, leased());
    assert_eq!(once.phase(), "addressed");
    assert_eq!(once.pushes(), [Kind::Started]);
    let steps = |story: &Story| (story.phase(), story.run.milestones.clone(), story.run.address);
    assert_eq!(steps(&once), steps(&twice));
    once.after(1, asked("network-confg")).after(1, ended(true)).after(1, exchanged());
    assert_eq!((once.phase(), once.run.repeats), ("settling", 1));
}

#[test]
fn a_released_address_is_written_down_and_moves_nothing() {
    let mut story = Story::begin();
    story.after(0, Event::Asked).after(1, leased());
    let before = story.run.phase.clone();
    let released = Event::Released { address: "172.29.50.18".parse().unwrap() };
    let step = step(&story.run, &released, Timestamp::from_seconds(1100));
    assert_eq!(step.run.phase, before);
    let note = ("dhcp".to_owned(), "released its address 172.29.50.18".to_owned());
    assert_eq!((step.notes, step.effects), (vec![note], vec![]));
}

#[test]
fn what_is_odd_is_written_down_once_in_a_run_and_moves_nothing() {
    let odd = |what: &str| Event::AskedOddly { what: what.to_owned(), address: None };
    let mut story = Story::begin();
    story.after(0, Event::Asked).after(1, leased());
    let before = story.run.phase.clone();
    let now = Timestamp::from_seconds(1100);
    let first = step(&story.run, &odd("planned as sonic, and asks like onie"), now);
    let note = ("dhcp".to_owned(), "planned as sonic, and asks like onie".to_owned());
    assert_eq!((first.notes, first.effects), (vec![note], vec![]));
    assert_eq!(first.run.phase, before);
    let again = step(&first.run, &odd("planned as sonic, and asks like onie"), now);
    assert_eq!(again.notes, []);
    let mut run = again.run;
    for number in 0..40 {
        run = step(&run, &odd(&format!("oddity {number}")), now).run;
    }
    assert_eq!(run.oddities.len(), 16, "hostile askers fill no journal");
}

#[test]
fn the_address_of_a_second_port_counts_while_no_other_is_known() {
    let second: std::net::IpAddr = "172.29.50.99".parse().unwrap();
    let odd = || Event::AskedOddly { what: "two ports".into(), address: Some(second) };
    let mut story = Story::begin();
    story.after(0, odd());
    assert_eq!((story.phase(), story.run.address), ("addressed", Some(second)));
    let mut story = Story::begin();
    story.after(0, Event::Asked).after(1, leased());
    let first = story.run.address;
    story.after(1, odd());
    assert_eq!((story.phase(), story.run.address), ("addressed", first));
    assert_ne!(first, Some(second));
    let mut story = Story::begin();
    story.run.address = None;
    story.after(180, Event::Due { timer: Timer::Deadline }).after(1, odd());
    assert_eq!((story.phase(), story.run.address), ("addressed", Some(second)), "silent no more");
}

#[test]
fn two_reads_from_two_ports_are_one_run() {
    let mut story = Story::begin();
    story
        .after(0, Event::Asked)
        .after(1, leased())
        .after(1, asked("network-confg"))
        .after(0, asked("network-confg"))
        .after(0, ended(true))
        .after(0, ended(true));
    assert_eq!(story.phase(), "settling");
    assert_eq!(story.run.repeats, 1);
    assert_eq!(story.run.transfers.complete, 2);
    assert_eq!(story.pushes(), [Kind::Started]);
}

#[test]
fn twelve_transfers_in_six_seconds_are_one_run_with_eleven_repeats() {
    let mut story = Story::begin();
    story.after(0, Event::Asked).after(1, leased());
    for transfer in 0..12 {
        story.after(transfer % 2, asked("network-confg")).after(0, ended(true));
    }
    assert_eq!(story.run.repeats, 11);
    story.after(30, due(Timer::Visit)).after(1, seen(Verdict::Pass, Verdict::Pass));
    story.after(1, accepts());
    assert_eq!(story.pushes(), [Kind::Started, Kind::Done]);
    assert_eq!(story.hand_offs, 1);
}

#[test]
fn a_cancelled_run_is_not_prolonged_by_a_device_that_goes_on_asking() {
    let mut story = Story::begin();
    story.after(0, Event::Asked).after(1, Event::Cancel { by: "unix:0".into() });
    let heard = story.run.last_heard;
    for _ in 0..200 {
        story.after(3, Event::Asked).after(1, asked("network-confg"));
    }
    assert_eq!((story.phase(), story.run.last_heard), ("cancelled", heard));
}

/// A run before its first event.
fn opened() -> Story {
    let mut story = Story::begin();
    story.run.rev = 0;
    story
}

fn is_told_as_silent(story: &Story) -> bool {
    matches!(&story.run.phase, Phase::ActionNeeded { problem, .. }
        if problem.fault == Fault::Silent)
}

#[test]
fn a_device_that_asks_and_falls_silent_is_told_and_any_word_of_it_ends_that() {
    let mut story = opened();
    story.after(0, Event::Asked).after(100, Event::Asked);
    assert_eq!(story.deadline, Some(story.now.plus(story.run.timing.ask_patience)));
    story.after(480, due(Timer::Deadline));
    assert!(is_told_as_silent(&story));
    assert_eq!(story.pushes(), [Kind::Started, Kind::ActionNeeded]);
    for (name, event) in events() {
        let cleared = (Kind::Cleared, Some(Fault::Silent));
        let mut heard = opened();
        heard.after(0, Event::Asked).after(480, due(Timer::Deadline));
        heard.after(60, event.clone());
        if event.is_of_the_device() {
            assert!(!is_told_as_silent(&heard) && heard.told.contains(&cleared), "{name}");
        }
        if heard.phase() == "expected" {
            assert_eq!(heard.deadline, Some(heard.now.plus(heard.run.timing.ask_patience)));
        }
    }
}

#[test]
fn a_device_that_is_expected_and_never_heard_is_told_once_its_time_is_over() {
    let mut story = opened();
    story.after(0, Event::Expect { by: "unix:0".into() });
    assert_eq!(story.deadline, Some(story.now.plus(story.run.timing.ask_patience)));
    assert_eq!(story.pushes(), []);
    story.after(480, due(Timer::Deadline));
    assert!(is_told_as_silent(&story));
    story.after(60, Event::Asked);
    assert_eq!(story.phase(), "expected");
    story.after(1, leased());
    assert_eq!(story.phase(), "addressed");
    assert_eq!(story.pushes(), [Kind::ActionNeeded, Kind::Started]);
}
