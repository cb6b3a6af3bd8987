//! Every phase against every event, as a table: `docs/transitions.md` is printed from it, and a
//! test holds that the page is true.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::check::upstream::Told;
use crate::domain::check::{Check, Findings, Problem, Verdict};
use crate::domain::fault::Fault;
use crate::domain::notice::Kind;
use crate::domain::run::upgrade::{Offer, OwnImage, Stage, Step, StepEnd, Upgrade};
use crate::domain::run::{
    Anew, Effect, Event, Phase, Run, Timer, Timing, Transfers, Uploaded, Visit, step,
};
use crate::platform::software::StepKind;

/// A run for examples, at `phase`, with an address, at time 1000 s.
pub fn example(phase: Phase) -> Run {
    let at = Timestamp::from_seconds(1000);
    let upgrading = matches!(phase, Phase::Upgrading { .. });
    let overdue = matches!(phase, Phase::Connecting { back_by, .. } if back_by <= at);
    let upgrade = upgrading.then(|| Upgrade { offer: offer(), tries: 1, why: String::new() });
    Run {
        id: "01EXAMPLE".into(),
        device: "acc-sw-17".into(),
        site: "bma".into(),
        platform: "cisco_ios".into(),
        location: "Building 2, rack 4".into(),
        opened: at,
        last_heard: at,
        rev: 1,
        seq: 0,
        phase,
        timing: Timing {
            ask_patience: Duration::from_secs(480),
            file_patience: Duration::from_secs(180),
            settle: Duration::from_secs(30),
            back_deadline: Duration::from_secs(120),
            recheck: Duration::from_secs(15),
            neighbour_patience: Duration::from_secs(65),
            login_patience: Duration::from_secs(90),
            still_waiting: Duration::from_secs(600),
            save: false,
            hooks_required: vec!["ansible".into()],
            hooks_optional: Vec::new(),
        }
        .into(),
        actor: None,
        address: Some(std::net::IpAddr::from([10, 0, 0, 17])),
        repeats: 0,
        transfers: Transfers::default(),
        served_sha256: None,
        host_key: None,
        attempt: 7,
        first_visit: None,
        milestones: BTreeMap::new(),
        handed: BTreeMap::new(),
        findings: None,
        suspected: None,
        told: Vec::new(),
        saving: false,
        strange_file: None,
        oddities: Vec::new(),
        missed: if overdue { 3 } else { 0 },
        gave_way: None,
        upgrade,
        upstream: Default::default(),
    }
}

fn problem(fault: Fault) -> Problem {
    Problem { fault, fill: BTreeMap::new(), sockets: Vec::new() }
}

/// Findings with one verdict each for the running configuration and the neighbours.
pub fn findings(running: Verdict, neighbours: Verdict) -> Findings {
    Findings {
        verdicts: vec![
            (Check::Serial, Verdict::Pass),
            (Check::Running, running),
            (Check::Neighbours, neighbours),
        ],
        ..Findings::default()
    }
}

/// One example of every phase.
pub fn phases() -> Vec<Phase> {
    let at = Timestamp::from_seconds(1000);
    let later = Timestamp::from_seconds(1060);
    let long_ago = Timestamp::from_seconds(900);
    let reloading = Stage::Reloading { since: at, seen_away: true };
    vec![
        Phase::Expected { ask_by: later },
        Phase::Addressed { fetch_by: later },
        Phase::Fetching { since: at, end_by: later },
        Phase::Settling { visit_at: later, back_by: later },
        Phase::Connecting { back_by: later, refused_since: None, broken_since: None },
        Phase::Connecting { back_by: at, refused_since: None, broken_since: Some(long_ago) },
        Phase::Verifying { since: at },
        Phase::Upgrading { since: at, stage: Stage::Step { index: 0 }, done_by: later },
        Phase::Upgrading { since: at, stage: reloading, done_by: later },
        Phase::Upgrading { since: at, stage: Stage::ByItself, done_by: later },
        Phase::HandingOff { since: at, waiting_for: vec!["ansible".into()] },
        Phase::ActionNeeded {
            problem: problem(Fault::SwappedPair),
            since: at,
            still_waiting_said: false,
            anew: Anew::No,
        },
        Phase::Ready { at },
        Phase::Failed { at, why: "no reason".into() },
        Phase::Cancelled { at, by: "unix:0".into() },
    ]
}

/// One example of every event, with the words of the page.
pub fn events() -> Vec<(&'static str, Event)> {
    let address = std::net::IpAddr::from([10, 0, 0, 17]);
    let ended = |complete| Event::TransferEnded {
        complete,
        bytes: 382,
        sha256: "00".into(),
        repeats: 0,
        why: if complete { String::new() } else { "timed out".into() },
    };
    let visited = |visit| Event::Visited { attempt: 7, visit };
    let judged = |running, neighbours| {
        visited(Visit::Judged { host_key: None, findings: findings(running, neighbours) })
    };
    let swapped = Verdict::Fail(problem(Fault::SwappedPair));
    let far_swapped = swapped.clone();
    let far_unknown = Verdict::Unknown { why: "dist-1 refuses our login".into() };
    let unknown = Verdict::Unknown { why: "not heard yet".into() };
    let file = Event::FileAsked { transport: "tftp".into(), name: "network-confg".into(), address };
    vec![
        ("asks for an address", Event::Asked),
        ("gets a lease", Event::LeaseBound { address }),
        ("asks for an address and gets it", Event::Exchanged { address }),
        ("asks oddly", Event::AskedOddly { what: "asks like onie".into(), address: None }),
        (
            "takes a second address",
            Event::AskedOddly { what: "two".into(), address: Some(address) },
        ),
        ("gives its address back", Event::Released { address }),
        ("no lease to give", Event::LeaseImpossible { why: "pool empty".into() }),
        ("asks for its file", file),
        ("asks for a strange file", Event::StrangeFileAsked { name: "x".into() }),
        ("fetches its image", image(true)),
        ("fetches another image", image(false)),
        ("transfer complete", ended(true)),
        ("transfer broken", ended(false)),
        ("sends a backup", sent(true)),
        ("backup broken", sent(false)),
        ("deadline", Event::Due { timer: Timer::Deadline }),
        ("visit is due", Event::Due { timer: Timer::Visit }),
        ("still waiting is due", Event::Due { timer: Timer::StillWaiting }),
        ("unreachable", visited(Visit::Unreachable { why: "refused".into() })),
        ("login refused", visited(Visit::LoginRefused { why: "denied".into() })),
        ("host key changed", visited(Visit::HostKeyChanged { found: "SHA256:x".into() })),
        ("dialogue broken", visited(Visit::Broken { why: "no prompt".into() })),
        ("way closed", visited(Visit::OurSide { why: "jump host".into() })),
        ("all proven", judged(Verdict::Pass, Verdict::Pass)),
        ("cables swapped", judged(Verdict::Pass, swapped)),
        ("not heard yet", judged(Verdict::Pass, unknown)),
        ("does not hear by itself", deaf()),
        ("far ends hear it as planned", far_ends(Verdict::Pass)),
        ("far ends see a swap", far_ends(far_swapped)),
        ("far ends cannot tell", far_ends(far_unknown)),
        ("other software", outdated()),
        ("step done", stepped(StepEnd::Done { said: "OK".into() })),
        ("step refused", stepped(StepEnd::Refused { why: "no room".into() })),
        ("step cut off", stepped(StepEnd::Gone { why: "closed".into() })),
        ("runs it already", stepped(StepEnd::AlreadyRuns)),
        ("hook accepts", hook(true)),
        ("hook refuses", hook(false)),
        ("two claim it", Event::Conflict { detail: "serial and MAC differ".into() }),
        ("ours failed", Event::OurSideFailed { why: "template".into() }),
        ("person rechecks", Event::Recheck { by: "unix:0".into() }),
        ("person expects it", Event::Expect { by: "unix:0".into() }),
        ("person cancels", Event::Cancel { by: "unix:0".into() }),
    ]
}

/// A visit that leaves it to the far ends to say who is where.
pub fn deaf() -> Event {
    let why = "LLDP is not running".into();
    let findings = findings(Verdict::Pass, Verdict::Unknown { why });
    let findings = Findings { asks_upstreams: true, ..findings };
    Event::Visited { attempt: 7, visit: Visit::Judged { host_key: None, findings } }
}

/// What the far ends tell of its cables.
pub fn far_ends(verdict: Verdict) -> Event {
    Event::UpstreamsTold { attempt: 7, told: Told { verdict: Some(verdict), remarks: Vec::new() } }
}

fn image(own: bool) -> Event {
    let takes = Duration::from_secs(900);
    let own = own.then(|| OwnImage { version: "17.9.5".into(), takes });
    Event::ImageAsked { name: "cat9k.bin".into(), own }
}

/// An upgrade of three steps.
pub fn offer() -> Offer {
    let step = |kind| Step { kind, timeout: Duration::from_secs(600) };
    Offer {
        found: "17.6.3".into(),
        planned: "17.9.5".into(),
        steps: [StepKind::Copy, StepKind::Verify, StepKind::Reload].map(step).to_vec(),
        takes: Duration::from_secs(900),
    }
}

/// What `findings` says, and another version than planned.
pub fn of_other_software() -> Findings {
    let fill = [("found", "17.6.3"), ("planned", "17.9.5")];
    let fill = fill.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let mut findings = findings(Verdict::Pass, Verdict::Pass);
    let fails = Verdict::Fail(Problem { fault: Fault::OtherSoftware, fill, sockets: Vec::new() });
    findings.verdicts.push((Check::Software, fails));
    findings
}

fn outdated() -> Event {
    let (findings, offer) = (of_other_software(), offer());
    Event::Visited { attempt: 7, visit: Visit::Outdated { host_key: None, findings, offer } }
}

fn stepped(end: StepEnd) -> Event {
    Event::Visited { attempt: 7, visit: Visit::Stepped { host_key: None, index: 0, end } }
}

fn sent(complete: bool) -> Event {
    let why = if complete { String::new() } else { "the disk is full".into() };
    let (name, sha256) = ("sw1-confg".into(), "00".into());
    Event::Uploaded(Uploaded { name, bytes: 512, sha256, complete, why })
}

fn hook(accepted: bool) -> Event {
    Event::HookAnswered { hook: "ansible".into(), accepted, answer: "job 4711".into() }
}

/// The page.
pub fn page() -> String {
    let mut page = String::from(
        "# Transitions\n\nPrinted by a test from `domain/run`: every phase against every event. \
         A cell names the phase after the step; `push` is a message that makes the phone ring, \
         `edit` one that does not, `visit` a login, `hand` the hand-off. An empty cell changes \
         nothing but the journal. `step` is a login that takes one step of an \
         upgrade. `ask` asks the devices at the other ends of its cables whom they hear.\n",
    );
    for phase in phases() {
        let run = example(phase);
        let title = title(&run.phase);
        page.push_str(&format!("\n## {title}\n\n| event | leads to |\n|---|---|\n"));
        for (name, event) in events() {
            let stepped = step(&run, &event, Timestamp::from_seconds(1030));
            let mut cell = Vec::new();
            if stepped.run.phase.name() != run.phase.name() {
                cell.push(fault_or_name(&stepped.run.phase));
            }
            cell.extend(stepped.effects.iter().filter_map(effect_word));
            page.push_str(&format!("| {name} | {} |\n", cell.join(", ")));
        }
    }
    page
}

fn title(phase: &Phase) -> String {
    match phase {
        Phase::Upgrading { stage: Stage::Step { .. }, .. } => "upgrading, at its first step".into(),
        Phase::Upgrading { stage: Stage::Reloading { .. }, .. } => "upgrading, reloading".into(),
        Phase::Upgrading { stage: Stage::ByItself, .. } => "upgrading by itself".into(),
        Phase::Connecting { broken_since: Some(_), .. } => {
            "connecting, after its time, with two visits lost or broken off before".into()
        }
        other => other.name().to_owned(),
    }
}

fn fault_or_name(phase: &Phase) -> String {
    match phase {
        Phase::ActionNeeded { problem, .. } => {
            format!("**action_needed** ({})", problem.fault.code())
        }
        other => format!("**{}**", other.name()),
    }
}

fn effect_word(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Wake { .. } | Effect::Sleep { .. } => None,
        Effect::Visit { save, .. } => Some(if *save { "visit and save" } else { "visit" }.into()),
        Effect::Upgrade { index, .. } => Some(format!("step {}", index + 1)),
        Effect::HandOff { .. } => Some("hand".into()),
        Effect::AskUpstreams { .. } => Some("ask".into()),
        Effect::Tell { kind, .. } => Some(
            match kind {
                Kind::Progress | Kind::Cleared => "edit",
                Kind::Started
                | Kind::Upgrading
                | Kind::ActionNeeded
                | Kind::StillWaiting
                | Kind::Done
                | Kind::Ended => "push",
            }
            .into(),
        ),
    }
}
