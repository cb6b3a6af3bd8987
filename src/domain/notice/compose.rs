//! What is said of this step of this run?

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::check::Problem;
use crate::domain::notice::checklist::checklist;
use crate::domain::notice::clean::{TEXT_CHARS_MAX, clean};
use crate::domain::notice::words::{Fill, Words};
use crate::domain::notice::written::Entry;
use crate::domain::notice::{ChecklistLine, HEADLINE_CHARS_MAX, Kind, LineState, Notice};
use crate::domain::run::upgrade::Offer;
use crate::domain::run::{Milestone, Phase, Run};

/// Which step of which run is told, and when.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    pub run: &'a Run,
    pub kind: Kind,
    /// What is wrong; for [`Kind::Cleared`] what was.
    pub problem: Option<&'a Problem>,
    /// With the run's id the key of this notice.
    pub seq: u64,
    pub now: Timestamp,
}

/// What is open besides is told up to here; all of it stands in the journal.
const REST_CHARS_MAX: usize = 160;

/// Puts a step into words. Every text that came from a device or a person is cleaned and cut here.
pub fn compose(telling: Telling<'_>, words: &Words) -> Notice {
    let Telling { run, kind, problem, seq, now } = telling;
    let checklist = checklist(run, words);
    let mut fill = known(telling, &checklist, words);
    if kind == Kind::Upgrading {
        fill_upgrade(run, &mut fill, now);
    }
    if let Some(problem) = problem {
        // Where to act is the problem's to say: the far end may stand elsewhere.
        fill.forget("location");
        for (name, text) in &problem.fill {
            match name.as_str() {
                "round" => fill.set_whole(name, text),
                _ => fill.set(name, text),
            };
        }
        let (headline, _) = fill.message(words.of(problem.fault));
        fill.set_up_to("problem", &headline, HEADLINE_CHARS_MAX);
    }
    let (headline, body) = fill.message(entry(telling, words));
    Notice {
        run: run.id.clone(),
        seq,
        at: now,
        device: clean(&run.device, TEXT_CHARS_MAX),
        site: clean(&run.site, TEXT_CHARS_MAX),
        location: clean(&run.location, TEXT_CHARS_MAX),
        kind,
        headline,
        body,
        fault: problem.map(|problem| problem.fault),
        act: problem.map(act).unwrap_or_default(),
        checklist,
    }
}

/// What the hands are asked for, as one text.
fn act(problem: &Problem) -> String {
    problem.act().fold(problem.fault.code().to_owned(), |act, (name, place)| {
        format!("{act} {name}={}", clean(place, TEXT_CHARS_MAX))
    })
}

fn entry<'a>(telling: Telling<'_>, words: &'a Words) -> &'a Entry {
    match (telling.kind, telling.problem) {
        (Kind::Started, _) => &words.started,
        (Kind::Progress, _) | (Kind::ActionNeeded, None) => &words.progress,
        (Kind::ActionNeeded, Some(problem)) => words.of(problem.fault),
        (Kind::Cleared, _) => &words.cleared,
        (Kind::Upgrading, _) => &words.upgrading,
        (Kind::StillWaiting, None) => &words.still_waiting,
        (Kind::StillWaiting, Some(_)) => &words.still_open,
        (Kind::Done, _) if open(telling.run).is_empty() => &words.done,
        (Kind::Done, _) => &words.done_with_remarks,
        (Kind::Ended, _) if matches!(telling.run.phase, Phase::Cancelled { .. }) => {
            &words.cancelled
        }
        (Kind::Ended, _) => &words.failed,
    }
}

/// What is open of optional checks.
fn open(run: &Run) -> &[String] {
    run.findings.as_ref().map_or(&[], |findings| &findings.open)
}

/// What is known of every run.
fn known(telling: Telling<'_>, checklist: &[ChecklistLine], words: &Words) -> Fill {
    let Telling { run, now, .. } = telling;
    let mut fill = Fill::default();
    let done = checklist.iter().filter(|line| line.state == LineState::Done).count();
    let step = checklist.iter().find(|line| line.state != LineState::Done);
    fill.set("device", &run.device)
        .set("location", &run.location)
        .set("done", &done.to_string())
        .set("steps", &checklist.len().to_string())
        .set("step", step.map_or(&*words.ready, |line| line.text.as_str()))
        .set("took", &in_words(now.since(run.opened)))
        .set("minutes", &minutes(run.timing.still_waiting));
    if !open(run).is_empty() {
        fill.set_up_to("rest", &open(run).join(" "), REST_CHARS_MAX);
    }
    if now.since(run.opened) >= Duration::from_secs(60) {
        fill.set("waited", &minutes(now.since(run.opened)));
    }
    if run.transfers.aborted > 1 {
        fill.set("aborted", &run.transfers.aborted.to_string());
    }
    if !run.handed.is_empty() {
        let hooks: Vec<&str> = run.handed.keys().map(String::as_str).collect();
        let at = run.milestones.get(&Milestone::HandedOver).copied().unwrap_or(now);
        let clock = at.time_of_day();
        fill.set("hooks", &hooks.join(", "))
            .set("handed_at", clock.rsplit_once(':').map_or(&clock, |(hours, _)| hours));
    }
    match &run.phase {
        Phase::Cancelled { by, .. } => fill.set("by", by),
        Phase::Failed { why, .. } => fill.set("why", why.trim_end_matches('.')),
        Phase::Expected { .. }
        | Phase::Addressed { .. }
        | Phase::Fetching { .. }
        | Phase::Settling { .. }
        | Phase::Connecting { .. }
        | Phase::Verifying { .. }
        | Phase::Upgrading { .. }
        | Phase::HandingOff { .. }
        | Phase::Ready { .. }
        | Phase::ActionNeeded { .. } => &mut fill,
    };
    fill
}

/// From which version to which, and how long the power has to stay on.
fn fill_upgrade(run: &Run, fill: &mut Fill, now: Timestamp) {
    let Some(upgrade) = &run.upgrade else { return };
    let Offer { found, planned, takes, .. } = &upgrade.offer;
    let ready = now.plus(*takes).time_of_day();
    fill.set("found", found)
        .set("planned", planned)
        .set("minutes", &minutes(*takes))
        .set("ready_at", ready.rsplit_once(':').map_or(&ready, |(hours, _)| hours));
}

/// `5 min 12 s`, `48 s`, `1 h 3 min`.
fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

fn minutes(span: Duration) -> String {
    (span.as_secs() / 60).max(1).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::fault::Fault;
    use crate::domain::run::{Anew, Timing, Transfers};

    const T0: Timestamp = Timestamp::from_seconds(1_795_261_396);

    fn run(phase: Phase, milestones: &[(Milestone, u64)]) -> Run {
        let timing = Timing {
            ask_patience: Duration::from_secs(480),
            file_patience: Duration::from_secs(180),
            settle: Duration::from_secs(10),
            back_deadline: Duration::from_secs(120),
            recheck: Duration::from_secs(15),
            neighbour_patience: Duration::from_secs(65),
            login_patience: Duration::from_secs(90),
            still_waiting: Duration::from_secs(600),
            fetches: true,
            save: false,
            hooks_required: vec!["ansible".into()],
            hooks_optional: vec![],
        };
        let at = |seconds| T0.plus(Duration::from_secs(seconds));
        Run {
            id: "01RUN".into(),
            device: "acc-sw-17".into(),
            site: "bma".into(),
            platform: "cisco_ios".into(),
            location: "Building 2, rack 4".into(),
            opened: T0,
            last_heard: T0,
            rev: 1,
            seq: 1,
            phase,
            timing: timing.into(),
            actor: None,
            address: Some("172.29.50.18".parse().unwrap()),
            repeats: 12,
            transfers: Transfers::default(),
            served_sha256: None,
            host_key: None,
            attempt: 0,
            first_visit: None,
            milestones: milestones.iter().map(|(step, s)| (*step, at(*s))).collect(),
            handed: BTreeMap::new(),
            findings: None,
            suspected: None,
            told: Vec::new(),
            saving: false,
            strange_file: None,
            oddities: Vec::new(),
            missed: 0,
            gave_way: None,
            upgrade: None,
            upstream: Default::default(),
        }
    }

    const EXPECTED: Phase = Phase::Expected { ask_by: T0 };

    fn problem(fault: Fault, fill: &[(&str, &str)]) -> Problem {
        let fill = fill.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Problem { fault, fill, sockets: Vec::new() }
    }

    fn say(run: &Run, kind: Kind, problem: Option<&Problem>) -> Notice {
        let now = T0.plus(Duration::from_secs(312));
        compose(Telling { run, kind, problem, seq: 7, now }, &Words::english())
    }

    #[test]
    fn ready_says_that_the_installer_can_leave_and_who_has_it_now() {
        let mut run =
            run(Phase::Ready { at: T0 }, &[(Milestone::Asked, 0), (Milestone::HandedOver, 164)]);
        run.handed.insert("ansible".into(), "job 4711".into());
        let notice = say(&run, Kind::Done, None);
        assert_eq!(notice.headline, "acc-sw-17 is ready. You can close the rack and leave.");
        assert_eq!(notice.body, "6 of 6, took 5 min 12 s. Handed to ansible at 11:46 UTC.");
        assert!(notice.checklist.iter().all(|line| line.state == LineState::Done));
    }

    #[test]
    fn ready_with_remarks_says_that_the_rest_is_ours() {
        let mut run = run(Phase::Ready { at: T0 }, &[(Milestone::Asked, 0)]);
        let open = vec!["The clock is wrong.".to_owned(), "The log is full.".to_owned()];
        run.findings = Some(crate::domain::check::Findings { open, ..Default::default() });
        let notice = say(&run, Kind::Done, None);
        let headline = "acc-sw-17 is ready, you can leave. We mend the rest from here.";
        assert_eq!(notice.headline, headline);
        let body = notice.body;
        assert!(body.starts_with("The clock is wrong. The log is full. 6 of 6"), "{body}");
    }

    #[test]
    fn the_checklist_marks_what_is_done_and_what_is_under_way() {
        let phase = Phase::Verifying { since: T0 };
        let run = run(phase, &[(Milestone::Asked, 0), (Milestone::Back, 200)]);
        let notice = say(&run, Kind::Progress, None);
        let lines: Vec<(LineState, &str)> =
            notice.checklist.iter().map(|line| (line.state, line.text.as_str())).collect();
        assert_eq!(
            lines,
            [
                (LineState::Done, "powered on, asked for an address"),
                (LineState::Done, "got 172.29.50.18"),
                (LineState::Done, "downloaded its config"),
                (LineState::Done, "is back and answers SSH"),
                (LineState::Working, "checking cables"),
                (LineState::Waiting, "hand over to the network team"),
            ]
        );
        assert_eq!(notice.headline, "acc-sw-17: 4 of 6, checking cables.");
    }

    #[test]
    fn without_hooks_nobody_is_promised_a_hand_over() {
        let mut run = run(EXPECTED, &[]);
        std::sync::Arc::make_mut(&mut run.timing).hooks_required.clear();
        assert_eq!(say(&run, Kind::Started, None).checklist.len(), 5);
    }

    #[test]
    fn each_fault_names_its_one_act_with_and_without_its_details() {
        for (fault, fill, headline) in [
            (
                Fault::NeighbourDown,
                &[("port", "50"), ("far_device", "dist-2"), ("far_port", "48")][..],
                "acc-sw-17: port 50 has no light. Plug a cable from it to dist-2 port 48.",
            ),
            (
                Fault::NeighbourDown,
                &[("port", "50")],
                "acc-sw-17: port 50 has no light. Push its plug in until it clicks.",
            ),
            (
                Fault::WrongPort,
                &[
                    ("port", "49"),
                    ("far_device", "dist-1"),
                    ("far_port", "47"),
                    ("found_port", "49"),
                ],
                "Move one plug: at dist-1, from port 49 to port 47.",
            ),
            (
                Fault::WrongPort,
                &[("port", "49"), ("our_port", "51"), ("far_device", "dist-1"), ("far_port", "47")],
                "Move one plug: at acc-sw-17, from port 51 to port 49.",
            ),
            (
                // Our own end is in the wrong port: then we are the far device of this act.
                Fault::WrongPort,
                &[
                    ("port", "49"),
                    ("far_device", "acc-sw-17"),
                    ("far_port", "49"),
                    ("found_port", "51"),
                ],
                "Move one plug: at acc-sw-17, from port 51 to port 49.",
            ),
            (
                Fault::SwappedPair,
                &[("port", "49"), ("port_b", "50")],
                "acc-sw-17: the two uplinks are swapped. Exchange the plugs in ports 49 and 50.",
            ),
            (
                Fault::ConfigurationDiffers,
                &[("missing_count", "3"), ("planned_count", "214")],
                "acc-sw-17: 3 of 214 config lines did not stick. Nothing for you to do.",
            ),
            (
                Fault::ConfigurationDiffers,
                &[],
                "acc-sw-17: a part of its config did not stick. Nothing for you to do.",
            ),
        ] {
            let problem = problem(fault, fill);
            let phase = Phase::ActionNeeded {
                problem: problem.clone(),
                since: T0,
                still_waiting_said: false,
                anew: Anew::No,
            };
            let notice =
                say(&run(phase, &[(Milestone::Back, 5)]), Kind::ActionNeeded, Some(&problem));
            assert_eq!(notice.headline, headline);
            assert_eq!(notice.fault, Some(fault));
            assert_eq!(notice.checklist[4].state, LineState::Attention);
        }
    }

    #[test]
    fn the_place_of_an_act_is_never_guessed() {
        let fill = [("port", "49"), ("far_device", "dist-1"), ("far_port", "47")];
        let silent = problem(Fault::WrongPort, &fill);
        let notice = say(&run(EXPECTED, &[]), Kind::ActionNeeded, Some(&silent));
        let belongs = "That cable belongs to port 49 of acc-sw-17.";
        assert_eq!(
            notice.body,
            format!("{belongs} Is a plug in that port already? Exchange the two.")
        );
        let mut known = silent.clone();
        known.fill.insert("location".into(), "rack 1, top".into());
        let notice = say(&run(EXPECTED, &[]), Kind::ActionNeeded, Some(&known));
        assert!(notice.body.contains("dist-1 is at rack 1, top."), "{}", notice.body);
    }

    #[test]
    fn still_waiting_repeats_what_has_to_be_done() {
        let problem = problem(Fault::Silent, &[]);
        let notice = say(&run(EXPECTED, &[]), Kind::StillWaiting, Some(&problem));
        assert_eq!(
            notice.headline,
            "Still waiting. acc-sw-17 is silent. Push in its uplink plug until it clicks."
        );
        let calm = say(&run(EXPECTED, &[]), Kind::StillWaiting, None);
        assert!(calm.headline.contains("still waiting, 5 min now. Nothing for you to do"));
    }

    #[test]
    fn names_from_devices_are_cleaned_and_never_push_the_act_off_the_screen() {
        let evil = format!("\u{1b}[2J<!channel>\n`rm`{}", "x".repeat(300));
        let fill = [("port", "49"), ("far_device", evil.as_str()), ("far_port", "47")];
        let problem = problem(Fault::WrongDevice, &fill);
        let notice = say(&run(EXPECTED, &[]), Kind::ActionNeeded, Some(&problem));
        assert!(notice.headline.chars().count() <= HEADLINE_CHARS_MAX, "{}", notice.headline);
        assert!(notice.headline.contains("Move its far end"), "{}", notice.headline);
        let whole = format!("{}{}", notice.headline, notice.body);
        assert!(!whole.contains(['\u{1b}', '\n', '`']), "{whole:?}");
    }

    #[test]
    fn an_update_says_how_long_the_power_has_to_stay_on() {
        let stage = crate::domain::run::upgrade::Stage::Step { index: 0 };
        let phase = Phase::Upgrading { since: T0, stage, done_by: T0 };
        let mut run = run(phase, &[(Milestone::Back, 5)]);
        let offer = Offer {
            found: "17.6.3".into(),
            planned: "17.9.5".into(),
            steps: Vec::new(),
            takes: Duration::from_secs(900),
        };
        run.upgrade =
            Some(crate::domain::run::upgrade::Upgrade { offer, tries: 1, why: String::new() });
        let notice = say(&run, Kind::Upgrading, None);
        assert_eq!(
            notice.headline,
            "acc-sw-17 updates its software. Nothing for you to do, keep the power on for 15 min."
        );
        assert_eq!(notice.body, "From 17.6.3 to 17.9.5. Ready at about 12:03 UTC.");
        assert_eq!(notice.checklist[4].state, LineState::Working);
        assert_eq!(notice.checklist[4].text, "updating its software");
    }

    #[test]
    fn an_end_by_a_person_names_that_person() {
        let phase = Phase::Cancelled { at: T0, by: "unix:0".into() };
        let notice = say(&run(phase, &[]), Kind::Ended, None);
        assert!(notice.headline.starts_with("acc-sw-17 was stopped by unix:0."));
        let phase = Phase::Failed { at: T0, why: "no answer for 24 h.".into() };
        let notice = say(&run(phase, &[]), Kind::Ended, None);
        assert!(notice.body.ends_with("For the network team: no answer for 24 h."));
    }
}
