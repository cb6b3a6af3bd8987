//! Seen against planned: Pass, Fail or Unknown for each check, and the one fault that speaks.
//!
//! What a [`Problem`] carries for the words, by fault. A key that is not named for a fault is not
//! there.
//!
//! | fault | keys |
//! |---|---|
//! | `OtherBox` | `found`, `planned`: serials, or host names where no serial disagrees; `location` of this device |
//! | `ConfigurationDiffers` | `missing_count` of `planned_count` lines; `found`: `running`, `saved`, or without a count the host name or model of the planned box; `location` of this device |
//! | `MemberMissing` | `serial` of the missing chassis; `member`: its number, if planned; `location` of this device |
//! | `OtherSoftware` | `found`, `planned`: versions |
//! | `PoorCable` | `port` here; `found`, `planned`: what it runs at, or `errors`: damaged frames a minute; `location` of this device |
//! | `FlappingPort` | `port` here; `changes`: how often within a minute; `location` of this device |
//! | `PowerSupply`, `FanOrHeat` | `part`: as the device prints it, and `supply` if that is a mere label; `location` of this device |
//! | `CannotReach` | `target`: the address; `location` of this device |
//! | `CheckUnmet` | `check`: its name; `says`: its sentence; `found`; `location` of this device |
//! | `SwappedPair` | `port`, `port_b`: the two plugs of this device to be exchanged; `location` of this device |
//! | `RotatedPlugs` | `count` plugs of this device change places; `round`: `Gi1/0/49 → 50, 50 → 51, 51 → 49`, all at once, or instead `port`: the first to be taken out; `location` of this device |
//! | `UnplannedNeighbour` | `port` here; `found_device`, `found_port` seen, empty where they cannot be told; `location` of this device |
//! | `NeighbourDown`, `NeighbourMute`, `NeighbourUnheard` | `port` here; where a neighbour is planned: `far_device`, `far_port` planned; `planned`: both in words; `location` of the far device |
//! | `WrongDevice` | `port` here; `far_device`, `far_port` planned; `found_device`, `found_port` seen; `planned`, `found`: the same in words; `location` of the far device |
//! | `WrongPort` | the plug to be moved: at `far_device` from `found_port` to `far_port`; `port`: where the cable belongs on this device; `found_device` equals `far_device`; `planned`, `found`: in words; `location` of `far_device` |
//!
//! Of several moves of plugs the first one is a check's problem: `follow` says how many come after
//! it; with the last one, `only_at` names the device at which it is made instead.
//!
//! `contradicted` is there where LLDP and CDP tell different stories of a cable: one of them may be
//! of a plug that is gone.
//!
//! `unheard` counts planned ports of this device that have light, or nobody knows, and hear nobody.
//!
//! `seen_from` is there if only the far ends told it, of a device that does not answer.
//!
//! In `WrongPort`, `far_device` is this very device when its own end of the cable is in the wrong
//! port. Ports and planned names are as written in the inventory; what was found is as the device
//! printed it.

mod configuration;
pub mod counted;
mod custom;
mod environment;
mod far_end;
mod heard;
mod identity;
mod interfaces;
mod masked;
mod neighbours;
#[cfg(test)]
mod planned;
mod reach;
mod repair;
mod sockets;
mod told;
pub mod upstream;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::domain::fault::Fault;
use crate::platform::observation::Observation;
use crate::secret::Secret;
use counted::Counted;
pub use sockets::Socket;

/// Text from a device is cut here before it becomes a filling or a remark: the longest system name
/// that LLDP can carry (IEEE 802.1AB, 8.5.6).
const FOUND_CHARS_MAX: usize = 255;
/// Remarks beyond these are counted, not kept: a journal line is read by a person.
const REMARKS_MAX: usize = 40;

/// One thing that must be proven before the light turns green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    Hostname,
    Serial,
    Model,
    /// The chassis of a stack.
    Members,
    Software,
    Running,
    Saved,
    Neighbours,
    Interfaces,
    /// Power supplies, fans and temperatures.
    Environment,
    /// The addresses it must reach.
    Reach,
    /// The operator's own.
    Custom,
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Proven.
    Pass,
    /// Disproven.
    Fail(Problem),
    /// Neither: never green, never an accusation.
    Unknown {
        /// What could not be read, for the log and the network team.
        why: String,
    },
    /// The plan asks for nothing here, so nothing is claimed.
    NotPlanned,
}

/// What is wrong, with the words' fillings. Text from devices in here is raw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub fault: Fault,
    /// Placeholders of the notice's words: `port`, `far_device`, `far_port`, `found`, `planned`,
    /// ...
    pub fill: BTreeMap<String, String>,
    /// See [`Problem::sockets`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<Socket>,
}

/// All checks of one visit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// In the order of [`Check`]; the plan decides which are there.
    pub verdicts: Vec<(Check, Verdict)>,
    /// Remarks for the journal: differing lines with secrets masked, lines that could not be read.
    pub remarks: Vec<String>,
    /// What is open of optional checks, one sentence each: the device may turn green with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<String>,
    /// A cable problem that is not told, and whose check is Unknown therefore: its sockets are
    /// being worked on for another device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gives_way: Option<Box<Problem>>,
    /// Ports where a planned neighbour is proven by LLDP while CDP names somebody else, each with
    /// whom: the planned one may be remembered, until the very same contradictions last longer than
    /// any table remembers.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub contradictions: BTreeSet<String>,
    /// What the ports have counted, for the next visit to compare with.
    #[serde(default, skip_serializing_if = "Counted::is_empty")]
    pub counted: Counted,
    /// Neighbours are not heard, and there are upstream devices to be asked about them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks_upstreams: bool,
}

impl Findings {
    /// True if both say the same of the device, whatever its ports have counted.
    pub fn says_the_same(&self, other: &Findings) -> bool {
        self.verdicts == other.verdicts && self.remarks == other.remarks && self.open == other.open
    }
}

/// What a judgement needs besides the plan and the visit itself.
#[derive(Debug, Clone, Default)]
pub struct Circumstances<'a> {
    /// When the visit was made. Without it nothing is counted.
    pub now: Option<Timestamp>,
    /// What earlier visits of the same run have counted.
    pub earlier: Counted,
    /// The visit before found the planned configuration running, and saved.
    pub saved_before: bool,
    /// Secrets of this device: wherever one stands in a remark, a mask stands instead.
    pub secrets: &'a [Secret],
}

/// The plan for one device, as far as a visit can prove it.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub device: &'a crate::domain::inventory::meant::Device,
    pub inventory: &'a crate::domain::inventory::meant::Inventory,
    pub platforms: &'a crate::platform::Platforms,
    /// What the device was served, or would be.
    pub rendered: &'a str,
    /// Whether neighbours had the time to be heard: before that, a missing one is Unknown.
    pub neighbours_due: bool,
}

/// Judges a first visit, by itself.
pub fn judge(plan: &Plan<'_>, seen: &Observation) -> Findings {
    judge_visit(plan, seen, &Circumstances::default())
}

/// Judges one visit of several. All checks are in the result, in the order of [`Check`].
pub fn judge_visit(
    plan: &Plan<'_>,
    seen: &Observation,
    circumstances: &Circumstances<'_>,
) -> Findings {
    let mut remarks = Remarks::default();
    let mut open = Vec::new();
    let counted = interfaces::counted(plan, seen, circumstances);
    let contradictions;
    let verdicts = vec![
        (Check::Hostname, identity::hostname(plan, seen)),
        (Check::Serial, identity::serial(plan, seen)),
        (Check::Model, identity::model(plan, seen)),
        (Check::Members, identity::members(plan, seen, &mut remarks)),
        (Check::Software, identity::software(plan, seen)),
        (Check::Running, configuration::running(plan, seen, &mut remarks)),
        (Check::Saved, configuration::saved(plan, seen, circumstances.saved_before, &mut remarks)),
        (Check::Neighbours, {
            let heard = neighbours::neighbours(plan, seen, &mut remarks);
            contradictions = heard.contradictions;
            heard.verdict
        }),
        (Check::Interfaces, interfaces::interfaces(plan, seen, &counted, &mut remarks)),
        (Check::Environment, environment::environment(plan, seen, &mut remarks)),
        (Check::Reach, reach::reach(plan, seen, &mut remarks)),
        (Check::Custom, custom::custom(plan, seen, &mut remarks, &mut open)),
    ];
    let open_cables = verdicts.iter().any(|(check, verdict)| {
        let undecided = matches!(verdict, Verdict::Fail(_) | Verdict::Unknown { .. });
        *check == Check::Neighbours && undecided
    });
    let asks_upstreams = open_cables
        && !upstream::upstreams(plan).is_empty()
        && neighbours::asks_far_ends(plan, seen);
    let remarks = remarks.into_lines();
    let gives_way = None;
    let findings =
        Findings { verdicts, remarks, open, gives_way, contradictions, counted, asks_upstreams };
    masked::masked(findings, circumstances.secrets)
}

/// The commands of a visit beyond the platform's own questions, each once.
pub fn further_commands(plan: &Plan<'_>) -> Vec<String> {
    let expects = &plan.device.expects;
    let ping = plan.platforms.get(&plan.device.platform).and_then(|known| known.ping.as_ref());
    let pings = expects.reaches.iter().filter_map(|target| Some(ping?.command(*target)));
    let own = expects.checks.iter().map(|check| check.command.clone());
    let mut commands = Vec::new();
    for command in pings.chain(own) {
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    commands
}

/// The problem of the lowest layer; among equals, of the first check.
pub fn most_urgent(findings: &Findings) -> Option<&Problem> {
    let problems = findings.verdicts.iter().filter_map(|(_, verdict)| match verdict {
        Verdict::Fail(problem) => Some(problem),
        Verdict::Pass | Verdict::Unknown { .. } | Verdict::NotPlanned => None,
    });
    problems.min_by_key(|problem| problem.fault.layer())
}

/// The first check that could not be decided, and why.
pub fn first_unknown(findings: &Findings) -> Option<(Check, &str)> {
    findings.verdicts.iter().find_map(|(check, verdict)| match verdict {
        Verdict::Unknown { why } => Some((*check, why.as_str())),
        Verdict::Pass | Verdict::Fail(_) | Verdict::NotPlanned => None,
    })
}

/// True if this visit leaves nothing open: nothing failed, nothing is unknown, the box is proven to
/// be the planned one by its host name or its serial, and the configuration is proven to run.
pub fn all_proven(findings: &Findings) -> bool {
    let passed = |wanted: Check| {
        findings
            .verdicts
            .iter()
            .any(|(check, verdict)| *check == wanted && *verdict == Verdict::Pass)
    };
    let nothing_open = findings.verdicts.iter().all(|(_, verdict)| match verdict {
        Verdict::Pass | Verdict::NotPlanned => true,
        Verdict::Fail(_) | Verdict::Unknown { .. } => false,
    });
    nothing_open && (passed(Check::Hostname) || passed(Check::Serial)) && passed(Check::Running)
}

/// True if the planned configuration was found running, and saved.
pub fn runs_and_is_saved(findings: &Findings) -> bool {
    [Check::Running, Check::Saved].into_iter().all(|wanted| {
        let found = findings.verdicts.iter().find(|(check, _)| *check == wanted);
        found.is_some_and(|(_, verdict)| *verdict == Verdict::Pass)
    })
}

impl Problem {
    /// True if both ask for the same of the same people.
    pub fn same_act(&self, other: &Problem) -> bool {
        self.fault == other.fault && self.act().eq(other.act())
    }

    /// Where the act is, in the order of its names: without what may differ from look to look.
    pub fn act(&self) -> impl Iterator<Item = (&str, &str)> {
        let lasting = self.fill.iter().filter(|(key, _)| !MEASURED.contains(&key.as_str()));
        lasting.map(|(key, text)| (key.as_str(), text.as_str()))
    }

    /// How many moves of plugs come after this one.
    pub fn follow(&self) -> usize {
        self.fill.get("follow").and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    fn new(fault: Fault, fill: &[(&str, &str)]) -> Self {
        let fill = fill.iter().map(|(key, value)| ((*key).to_owned(), cut(value))).collect();
        Self { fault, fill, sockets: Vec::new() }
    }
}

/// What is counted or found anew at each look, and what is told beside the act itself: the same
/// neighbour may be found in other words.
const MEASURED: [&str; 10] = [
    "contradicted",
    "seen_from",
    "follow",
    "only_at",
    "found",
    "unheard",
    "errors",
    "changes",
    "missing_count",
    "planned_count",
];

impl Verdict {
    fn unknown(why: impl Into<String>) -> Self {
        Verdict::Unknown { why: why.into() }
    }
}

/// Remarks under way, bounded in number and length.
#[derive(Debug, Default)]
struct Remarks {
    lines: Vec<String>,
    more: usize,
}

impl Remarks {
    fn add(&mut self, line: &str) {
        if self.lines.len() < REMARKS_MAX {
            self.lines.push(cut(line));
        } else {
            self.more += 1;
        }
    }

    fn into_lines(self) -> Vec<String> {
        let mut lines = self.lines;
        if self.more > 0 {
            lines.push(format!("and {} more remarks", self.more));
        }
        lines
    }
}

fn cut(text: &str) -> String {
    text.chars().take(FOUND_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::planned::{Scene, row};
    use std::sync::Arc;

    use super::*;
    use crate::domain::inventory::expected::Member;
    use crate::platform::observation::Reading;

    fn verdict(findings: &Findings, wanted: Check) -> &Verdict {
        let found = findings.verdicts.iter().find(|(check, _)| *check == wanted);
        &found.expect("every check is there").1
    }

    #[test]
    fn a_device_as_planned_is_proven() {
        let scene = Scene::two_uplinks();
        let findings = scene.judge(&scene.as_planned());
        let good = |v: &Verdict| matches!(v, Verdict::Pass | Verdict::NotPlanned);
        assert!(findings.verdicts.iter().all(|(_, v)| good(v)), "{findings:#?}");
        let passed = findings.verdicts.iter().filter(|(_, v)| *v == Verdict::Pass).count();
        assert_eq!(passed, 6);
        assert!(all_proven(&findings));
        assert_eq!((most_urgent(&findings), first_unknown(&findings)), (None, None));
        let order: Vec<Check> = findings.verdicts.iter().map(|(check, _)| *check).collect();
        assert!(order.is_sorted() && order.len() == 12);
    }

    #[test]
    fn whatever_cannot_be_read_is_unknown_and_never_proven() {
        let scene = Scene::two_uplinks();
        let good = scene.as_planned();
        let why = "line 3: expected a column, found `?`";
        let cases = [
            Observation { facts: Reading::unreadable(why), ..good.clone() },
            Observation { lldp: Reading::unreadable(why), ..good.clone() },
            Observation { running: Reading::unreadable(why), ..good.clone() },
            Observation { saved: Reading::unreadable(why), ..good.clone() },
        ];
        for seen in cases {
            let findings = scene.judge(&seen);
            assert!(!all_proven(&findings), "{seen:#?}");
            assert_eq!(most_urgent(&findings), None);
            let (_, found) = first_unknown(&findings).expect("one is unknown");
            assert!(found == why || found.contains("not known"), "{found}");
        }
    }

    #[test]
    fn nothing_seen_proves_nothing() {
        let scene = Scene::two_uplinks();
        let findings = scene.judge(&Observation::empty());
        assert!(!all_proven(&findings));
        for check in [Check::Serial, Check::Software, Check::Running, Check::Neighbours] {
            assert!(matches!(verdict(&findings, check), Verdict::Unknown { .. }), "{check:?}");
        }
    }

    #[test]
    fn another_box_is_told_by_serial_or_else_by_name() {
        for (hostname, serial, planned_serial, found, planned) in [
            ("acc-sw-17.example.com", "FDO9999", Some("FDO1234"), "FDO9999", "FDO1234"),
            ("acc-sw-18", "fdo1234", None, "acc-sw-18", "acc-sw-17"),
        ] {
            let mut scene = Scene::two_uplinks();
            scene.alter("acc-sw-17", |device| device.serial = planned_serial.map(str::to_owned));
            let mut seen = scene.as_planned();
            let Reading::Seen(facts) = &mut seen.facts else { panic!("facts are there") };
            facts.hostname = Some(hostname.to_owned());
            facts.serials = vec![serial.to_owned()];
            let findings = scene.judge(&seen);
            let problem = most_urgent(&findings).expect("it is another box");
            assert_eq!(problem.fault, Fault::OtherBox);
            assert_eq!((&*problem.fill["found"], &*problem.fill["planned"]), (found, planned));
        }
    }

    #[test]
    fn a_box_with_the_planned_serial_and_another_name_is_the_planned_box_configured_otherwise() {
        let mut scene = Scene::two_uplinks();
        let named = |scene: &Scene, hostname: &str| {
            let mut seen = scene.as_planned();
            let Reading::Seen(facts) = &mut seen.facts else { panic!("facts are there") };
            facts.hostname = Some(hostname.to_owned());
            verdict(&scene.judge(&seen), Check::Hostname).clone()
        };
        let Verdict::Fail(problem) = named(&scene, "Switch") else { panic!("another name") };
        assert_eq!(problem.fault, Fault::ConfigurationDiffers);
        assert_eq!(problem.fill["found"], "host name Switch, planned acc-sw-17");
        scene.rendered = scene.rendered.replace("acc-sw-17", "acc17-harbour");
        assert_eq!(named(&scene, "ACC17-harbour.example.com"), Verdict::Pass);
        assert!(matches!(named(&scene, "acc-sw-17"), Verdict::Fail(_)));
        scene.rendered = "interface Gi1/0/49\n hostname x\n".to_owned();
        assert_eq!(named(&scene, "acc-sw-17"), Verdict::Pass);
    }

    #[test]
    fn any_member_of_a_stack_may_bear_the_serial() {
        let scene = Scene::two_uplinks();
        let mut seen = scene.as_planned();
        let Reading::Seen(facts) = &mut seen.facts else { panic!("facts are there") };
        facts.serials = vec!["FDO0001".to_owned(), "fdo1234".to_owned()];
        assert_eq!(*verdict(&scene.judge(&seen), Check::Serial), Verdict::Pass);
    }

    #[test]
    fn another_model_is_no_pass_and_none_at_all_is_unknown() {
        let mut scene = Scene::two_uplinks();
        scene.alter("acc-sw-17", |device| {
            Arc::make_mut(&mut device.expects).model = Some("C9300-48P".to_owned());
        });
        let with = |model: Option<&str>| {
            let mut seen = scene.as_planned();
            let Reading::Seen(facts) = &mut seen.facts else { panic!("facts are there") };
            facts.model = model.map(str::to_owned);
            scene.judge(&seen)
        };
        assert_eq!(*verdict(&with(Some("c9300-48p ")), Check::Model), Verdict::Pass);
        assert!(all_proven(&with(Some("C9300-48P"))));
        let other = with(Some("C9300-24P"));
        let problem = most_urgent(&other).expect("another model");
        let found = "model C9300-24P, planned C9300-48P";
        assert_eq!((problem.fault, &*problem.fill["found"]), (Fault::ConfigurationDiffers, found));
        let mut unproven = scene.as_planned();
        let Reading::Seen(facts) = &mut unproven.facts else { panic!("facts are there") };
        facts.model = Some("C9300-24P".to_owned());
        facts.serials.clear();
        let found = scene.judge(&unproven);
        assert_eq!(most_urgent(&found).map(|problem| problem.fault), Some(Fault::OtherBox));
        let untold = with(None);
        assert!(matches!(verdict(&untold, Check::Model), Verdict::Unknown { .. }));
        assert!(!all_proven(&untold));
    }

    #[test]
    fn every_planned_member_of_a_stack_must_be_there() {
        let mut scene = Scene::two_uplinks();
        scene.alter("acc-sw-17", |device| {
            let member = |number, serial: &str| Member { number, serial: serial.to_owned() };
            Arc::make_mut(&mut device.expects).members =
                vec![member(Some(1), "FDO1234"), member(Some(2), "FDO5678")];
        });
        let with = |serials: &[&str]| {
            let mut seen = scene.as_planned();
            let Reading::Seen(facts) = &mut seen.facts else { panic!("facts are there") };
            facts.serials = serials.iter().map(|serial| (*serial).to_owned()).collect();
            scene.judge(&seen)
        };
        assert!(all_proven(&with(&["FDO1234", "fdo5678"])));
        let one = with(&["FDO1234"]);
        let problem = most_urgent(&one).expect("a member is missing");
        assert_eq!(problem.fault, Fault::MemberMissing);
        assert_eq!((&*problem.fill["serial"], &*problem.fill["member"]), ("FDO5678", "2"));
        let extra = with(&["FDO1234", "FDO5678", "FDO9999"]);
        assert!(all_proven(&extra));
        assert_eq!(extra.remarks, ["serial FDO9999 is in the stack and not planned"]);
        let silent = with(&[]);
        assert!(matches!(verdict(&silent, Check::Members), Verdict::Unknown { .. }));
        assert!(!all_proven(&silent));
    }

    #[test]
    fn another_version_speaks_after_everything_else() {
        let scene = Scene::two_uplinks();
        let mut seen = scene.as_planned();
        let Reading::Seen(facts) = &mut seen.facts else { panic!("facts are there") };
        facts.software = Some("17.6.3".to_owned());
        let findings = scene.judge(&seen);
        assert_eq!(most_urgent(&findings).map(|p| p.fault), Some(Fault::OtherSoftware));
        seen.lldp =
            Reading::Seen(vec![row("Gi1/0/49", "dist-9", "1"), row("Gi1/0/50", "dist-2", "48")]);
        let findings = scene.judge(&seen);
        assert_eq!(most_urgent(&findings).map(|p| p.fault), Some(Fault::WrongDevice));
    }

    #[test]
    fn a_lost_line_is_counted_and_its_secret_stays_here() {
        let scene = Scene::two_uplinks();
        let mut seen = scene.as_planned();
        let lost = "username ops secret hunter2\n";
        assert!(scene.rendered.contains(lost));
        seen.running = Reading::Seen(scene.rendered.replace(lost, ""));
        let findings = scene.judge(&seen);
        let problem = most_urgent(&findings).expect("a line is lost");
        assert_eq!(problem.fault, Fault::ConfigurationDiffers);
        assert_eq!((&*problem.fill["missing_count"], &*problem.fill["found"]), ("1", "running"));
        assert!(!format!("{findings:?}").contains("hunter2"), "{findings:?}");
    }

    #[test]
    fn what_is_not_saved_would_be_lost() {
        let scene = Scene::two_uplinks();
        let mut seen = scene.as_planned();
        seen.saved = Reading::Seen("hostname Switch\n".to_owned());
        let findings = scene.judge(&seen);
        assert_eq!(*verdict(&findings, Check::Running), Verdict::Pass);
        let Verdict::Fail(problem) = verdict(&findings, Check::Saved) else { panic!("not saved") };
        assert_eq!(problem.fill["found"], "saved");
        assert!(!all_proven(&findings));
    }

    #[test]
    fn where_what_is_saved_cannot_be_shown_the_word_of_the_device_counts() {
        let mut scene = Scene::two_uplinks();
        scene.alter("acc-sw-17", |device| device.platform = "nokia_sros".to_owned());
        let judged = |save: Reading<()>, saved_before: bool| {
            let seen = Observation { saved: Reading::NotAsked, save, ..scene.as_planned() };
            let circumstances = Circumstances { saved_before, ..Circumstances::default() };
            let findings = judge_visit(&scene.plan(), &seen, &circumstances);
            verdict(&findings, Check::Saved).clone()
        };
        assert_eq!(judged(Reading::Seen(()), false), Verdict::Pass);
        assert_eq!(judged(Reading::NotAsked, true), Verdict::Pass);
        for save in [Reading::NotAsked, Reading::unreadable("no room")] {
            assert!(matches!(judged(save, false), Verdict::Unknown { .. }));
        }
        assert!(matches!(judged(Reading::unreadable("no room"), true), Verdict::Unknown { .. }));
        scene.alter("acc-sw-17", |device| device.platform = "juniper_junos".to_owned());
        let seen = Observation { saved: Reading::NotAsked, ..scene.as_planned() };
        assert_eq!(*verdict(&scene.judge(&seen), Check::Saved), Verdict::NotPlanned);
    }

    #[test]
    fn an_empty_plan_proves_no_configuration() {
        let mut scene = Scene::two_uplinks();
        let seen = scene.as_planned();
        scene.rendered = "!\n\n! nothing\n".to_owned();
        assert!(matches!(verdict(&scene.judge(&seen), Check::Running), Verdict::Unknown { .. }));
    }

    #[test]
    fn a_count_that_changes_from_look_to_look_is_the_same_act() {
        let of = |fault, errors: &str, port: &str| {
            Problem::new(fault, &[("port", port), ("errors", errors)])
        };
        let first = of(Fault::PoorCable, "312", "1");
        assert!(first.same_act(&of(Fault::PoorCable, "298", "1")));
        assert!(!first.same_act(&of(Fault::PoorCable, "312", "2")));
        assert!(!first.same_act(&of(Fault::FlappingPort, "312", "1")));
    }

    #[test]
    fn text_from_a_device_is_cut_and_remarks_are_counted() {
        let scene = Scene::two_uplinks();
        let mut seen = scene.as_planned();
        let long = "x".repeat(100_000);
        let lines: String = (0..500).map(|n| format!("line{n} {long}\n")).collect();
        seen.running = Reading::Seen(format!("{}{lines}", scene.rendered));
        seen.lldp =
            Reading::Seen(vec![row("Gi1/0/49", &long, &long), row("Gi1/0/50", "dist-2", "48")]);
        let findings = scene.judge(&seen);
        assert!(format!("{findings:?}").len() < 20_000);
        let last = findings.remarks.last().map_or("", String::as_str);
        assert!(last.starts_with("and ") && last.contains(" more"), "{last}");
    }
}
