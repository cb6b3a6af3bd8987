//! What do the devices at the other ends of the cables hear of this one?
//!
//! They are asked where a device cannot be reached, or cannot tell whom it hears. What they list is
//! read as any device's neighbours are (`heard`, `far_end`) and turned around: where port 47 of
//! `dist-1` hears our port 49, our port 49 hears port 47 of `dist-1`. Then it is the same decision
//! as ever (`neighbours`).
//!
//! What is believed of them:
//!
//! * who answers must be proven to be the planned upstream device, by its host name;
//! * a row counts if its port has link and, where the age is told, it was heard lately;
//! * what this device hears itself comes first, and what it proves is never undone;
//! * a planned port of theirs without link means a dark cable only while they hear this device on
//!   another one: a box without power is dark everywhere, and no plug of it is to be moved;
//! * while one of them cannot tell, nothing is said of the ports on which nobody hears this device:
//!   their cables may end there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::far_end::{FarEnd, Known};
use super::heard::{Ears, Heard, why_cdp_alone};
use super::{Plan, Remarks, Verdict, identity, neighbours};
use crate::domain::inventory::meant::{Device, PlannedNeighbour};
use crate::platform::observation::{Neighbour, Observation};
use crate::platform::{Platforms, Question};

/// A row that was not heard again for this long, in seconds, has missed three messages of LLDP
/// (every 30 s, IEEE 802.1AB, 9.2.5.7): it stays listed up to its TTL, and proves nothing.
const HEARD_WITHIN_SECONDS: u64 = 95;

/// So many upstream devices of one device are asked at most: four bundles of two would be many.
const UPSTREAMS_MAX: usize = 8;

/// One upstream device, and what it told.
#[derive(Debug, Clone)]
pub struct View {
    /// Its planned name.
    pub device: String,
    /// What it listed, or why nothing is known.
    pub seen: Result<Arc<Observation>, String>,
}

/// What the upstream devices tell of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Of its cables, with what it hears itself; `None` where nothing was learned beside that.
    pub verdict: Option<Verdict>,
    /// For the journal.
    pub remarks: Vec<String>,
}

/// The devices at the other ends of its planned cables that can be asked, each once.
pub fn upstreams<'a>(plan: &Plan<'a>) -> Vec<&'a Arc<Device>> {
    let mut found: Vec<&'a Arc<Device>> = Vec::new();
    for cable in &plan.device.neighbours {
        let Some(far) = plan.inventory.device(&cable.device) else { continue };
        let known = found.iter().any(|known| known.name == far.name);
        if !known && found.len() < UPSTREAMS_MAX && not_askable(far, plan.platforms).is_none() {
            found.push(far);
        }
    }
    found
}

/// Why a device cannot be asked whom it hears, if so.
pub fn not_askable(device: &Device, platforms: &Platforms) -> Option<&'static str> {
    if device.planned_address().is_none() {
        return Some("it has no address");
    }
    if device.credentials.is_empty() {
        return Some("it has no credentials");
    }
    let Some(platform) = platforms.get(&device.platform) else {
        return Some("it has no platform");
    };
    let asks = |question: Question| platform.questions.contains_key(&question);
    if !asks(Question::Lldp) && !asks(Question::Cdp) {
        return Some("its platform has no question for neighbours");
    }
    (!asks(Question::Facts)).then_some("its platform has no question for its host name")
}

/// Judges the cables of a device by what it hears itself (`own`; `None` if it cannot be reached)
/// and by what its upstream devices hear.
pub fn told_by_upstreams(plan: &Plan<'_>, own: Option<&Observation>, views: &[View]) -> Told {
    let turned = Turned::of(plan, views);
    let mut remarks = Remarks::default();
    let Some(seen) = own else {
        // It was away for longer than neighbours take to be heard.
        let plan = Plan { neighbours_due: true, ..*plan };
        let nothing = Observation::empty();
        let away = Some("it does not answer".to_owned());
        let verdict = neighbours::joined(&plan, (&nothing, away), &turned, &mut remarks);
        return Told { verdict: Some(verdict), remarks: remarks.into_lines() };
    };
    let deaf = Ears::new(plan, seen).err().or_else(|| why_cdp_alone(seen).map(str::to_owned));
    let hears = deaf.is_none();
    let verdict = neighbours::joined(plan, (seen, deaf), &turned, &mut remarks);
    if hears && verdict != Verdict::Pass {
        // Why they do not help; where it hears nobody at all, the verdict says it.
        let reasons: BTreeSet<&String> = turned.unclear.values().collect();
        reasons.into_iter().for_each(|why| remarks.add(&format!("the far ends: {why}")));
    }
    match verdict {
        // What it hears itself is told as it was.
        Verdict::Unknown { why } if hears => {
            Told { verdict: None, remarks: vec![super::cut(&format!("the far ends: {why}"))] }
        }
        told => Told { verdict: Some(told), remarks: remarks.into_lines() },
    }
}

/// What the far ends list of a device, as if it had listed it itself.
#[derive(Debug, Default)]
pub(super) struct Turned {
    pub(super) rows: Vec<Neighbour>,
    /// Ports of ours, canonical, on which nobody hears us, with the reason why that proves nothing.
    pub(super) unclear: BTreeMap<String, String>,
    /// Ports of ours, canonical, whose planned far port has no link.
    dark: BTreeSet<String>,
}

impl Turned {
    pub(super) fn of(plan: &Plan<'_>, views: &[View]) -> Self {
        let known = Known::new(plan);
        let mut turned = Turned::default();
        let mut by_device: BTreeMap<&str, Vec<&PlannedNeighbour>> = BTreeMap::new();
        for cable in &plan.device.neighbours {
            by_device.entry(&cable.device).or_default().push(cable);
        }
        // Where a cable may be that nobody hears, if one of them cannot tell.
        let mut anywhere: Option<String> = None;
        let mut doubts: BTreeMap<String, String> = BTreeMap::new();
        for (name, cables) in by_device {
            match listen(plan, name, views) {
                Ok(ears) => {
                    let maybe = turned.add(&known, (name, &cables), &ears, &mut doubts);
                    anywhere = anywhere.or(maybe);
                }
                Err(why) => anywhere = anywhere.or(Some(why)),
            }
        }
        let heard: BTreeSet<String> =
            turned.rows.iter().map(|row| known.port_of_ours(&row.local_port)).collect();
        for cable in &plan.device.neighbours {
            let port = known.port_of_ours(&cable.local_port);
            let why = anywhere.as_ref().or(doubts.get(&port));
            if let Some(why) = why.filter(|_| !heard.contains(&port)) {
                turned.unclear.insert(port, why.clone());
            }
        }
        turned
    }

    /// Ports of ours that have no light, as the far ends see it.
    pub(super) fn dark(&self) -> impl Iterator<Item = &String> {
        self.dark.iter().filter(|_| !self.rows.is_empty())
    }

    /// What one upstream device lists. The answer says why any cable of ours could be in it unseen.
    fn add(
        &mut self,
        known: &Known<'_>,
        (name, cables): (&str, &[&PlannedNeighbour]),
        ears: &Ears<'_>,
        doubts: &mut BTreeMap<String, String>,
    ) -> Option<String> {
        let us = known.device_name();
        let mut anywhere = None;
        for (port, on) in &ears.ports {
            match &on.heard {
                Heard::One(far) if far.device == Some(us) => {
                    let ours = shown(known, ears, far);
                    if is_fresh(ears, port, far) && on.contradiction.is_none() {
                        let planned =
                            cables.iter().find(|c| ears.known.port_of_ours(&c.port) == *port);
                        let port_id = planned.map_or(on.printed, |cable| &cable.port);
                        self.rows.push(row(far, &ours, (name, port_id)));
                    } else {
                        let port = known.port_of_ours(&ours);
                        let why = format!("{name} has not heard it lately on {}", on.printed);
                        doubts.entry(port).or_insert(why);
                    }
                }
                Heard::Unclear(unclear) if unclear.may_be.contains(&us) => {
                    anywhere = Some(format!("{name}: {}", unclear.why));
                }
                Heard::One(_) | Heard::Unclear(_) | Heard::Nobody => {}
            }
        }
        for cable in cables {
            let ours = known.port_of_ours(&cable.local_port);
            let theirs = ears.known.port_of_ours(&cable.port);
            if ears.link_up(&theirs) == Some(false) {
                self.dark.insert(ours.clone());
            }
            let why = match ears.on(&theirs) {
                Heard::Unclear(unclear) => format!("{name}: {}", unclear.why),
                // It may be this device under a name that it had before.
                Heard::One(far) if far.is_stranger() => {
                    let stranger = super::cut(far.shown_device());
                    format!("{name} hears {stranger} on {}, a name that is in no plan", cable.port)
                }
                Heard::One(_) | Heard::Nobody => continue,
            };
            doubts.entry(ours).or_insert(why);
        }
        anywhere
    }
}

/// What an upstream device hears, if it told it and is proven to be that device.
fn listen<'a>(plan: &Plan<'a>, name: &str, views: &'a [View]) -> Result<Ears<'a>, String> {
    let told = |why: &str| super::cut(&format!("{name}: {why}"));
    let Some(view) = views.iter().find(|view| view.device == name) else {
        return Err(format!("{name} was not asked"));
    };
    let seen = view.seen.as_ref().map_err(|why| told(why))?;
    let device = plan.inventory.device(name).ok_or_else(|| told("it left the inventory"))?;
    // What was rendered is another device's.
    let plan = Plan { device, rendered: "", ..*plan };
    match identity::hostname(&plan, seen) {
        Verdict::Pass => {}
        Verdict::Unknown { why } => return Err(told(&why)),
        Verdict::Fail(_) => return Err(told("another device answers at its address")),
        Verdict::NotPlanned => return Err(told("who answers cannot be told")),
    }
    Ears::new(&plan, seen).map_err(|why| told(&why))
}

fn is_fresh(ears: &Ears<'_>, port: &str, far: &FarEnd<'_>) -> bool {
    let age = far.row().last_heard_seconds_ago;
    let lately = age.map(|seconds| seconds <= HEARD_WITHIN_SECONDS);
    match ears.link_up(port) {
        Some(true) => lately != Some(false),
        // Without a word about the link, an old row looks like a new one.
        Some(false) | None => lately == Some(true),
    }
}

/// Our port that a far end names, as the plan spells it if it is in the plan.
fn shown(known: &Known<'_>, ears: &Ears<'_>, far: &FarEnd<'_>) -> String {
    let port = far.end.port();
    if let Some(planned) = known.planned_port(port) {
        return planned.to_owned();
    }
    let printed = ears.known.shown_port(far);
    if known.port_of_ours(printed) == port { printed.to_owned() } else { port.to_owned() }
}

/// The row that this device would list of the far end.
fn row(far: &FarEnd<'_>, ours: &str, (name, port): (&str, &str)) -> Neighbour {
    Neighbour {
        local_port: ours.to_owned(),
        system_name: name.to_owned(),
        chassis_id: None,
        port_id: port.to_owned(),
        port_description: None,
        first_seen_seconds_ago: far.row().first_seen_seconds_ago,
        last_heard_seconds_ago: far.row().last_heard_seconds_ago,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::Mac;
    use crate::domain::check::planned::{Scene, link, row as listed};
    use crate::domain::fault::Fault;
    use crate::domain::inventory::meant::{CredentialReference, SecretSource};
    use crate::platform::observation::{Facts, Reading};

    const P49: &str = "Gi1/0/49";
    const P50: &str = "Gi1/0/50";

    /// Both distribution switches can be asked.
    fn scene() -> Scene {
        let mut scene = Scene::two_uplinks();
        for (number, name) in [(1, "dist-1"), (2, "dist-2")] {
            scene.alter(name, |device| {
                device.managed = false;
                device.address = Some([192, 0, 2, number].into());
                device.credentials = vec![CredentialReference {
                    username: "reader".to_owned(),
                    password: Some(SecretSource::Environment("P".to_owned())),
                    key: None,
                    enable: None,
                }];
            });
            // Known from its other end, as `cables` lays it.
            let theirs = scene.inventory.devices[0].neighbours.iter().find(|c| c.device == name);
            let theirs = theirs.expect("it is planned").clone();
            scene.alter(name, |device| {
                device.neighbours = vec![PlannedNeighbour {
                    local_port: theirs.port,
                    device: "acc-sw-17".to_owned(),
                    port: theirs.local_port,
                }];
            });
        }
        scene
    }

    /// What a device lists: its rows, and the link of its ports.
    fn view(device: &str, rows: Vec<Neighbour>, links: &[(&str, bool)]) -> View {
        let facts = Facts { hostname: Some(device.to_owned()), ..Facts::default() };
        let interfaces = links.iter().map(|(port, up)| link(port, *up)).collect();
        let seen = Observation {
            facts: Reading::Seen(facts),
            lldp: Reading::Seen(rows),
            interfaces: Reading::Seen(interfaces),
            ..Observation::empty()
        };
        View { device: device.to_owned(), seen: Ok(Arc::new(seen)) }
    }

    fn us(on: &str, ours: &str) -> Neighbour {
        listed(on, "acc-sw-17", ours)
    }

    fn lost(device: &str, why: &str) -> View {
        View { device: device.to_owned(), seen: Err(why.to_owned()) }
    }

    const LIT: [(&str, bool); 4] = [("47", true), ("48", true), ("49", true), ("50", true)];

    /// The two as they should hear us.
    fn as_planned() -> [View; 2] {
        [view("dist-1", vec![us("47", P49)], &LIT), view("dist-2", vec![us("48", P50)], &LIT)]
    }

    fn away(scene: &Scene, views: &[View]) -> Verdict {
        told_by_upstreams(&scene.plan(), None, views).verdict.expect("it is judged")
    }

    /// A device that lets us in, and says that its LLDP is off.
    fn deaf(scene: &Scene, views: &[View]) -> Verdict {
        let lldp = Reading::unreadable("LLDP is not running");
        let seen = Observation { lldp, ..scene.as_planned() };
        told_by_upstreams(&scene.plan(), Some(&seen), views).verdict.expect("it is judged")
    }

    fn fault(verdict: &Verdict, keys: &[&str]) -> String {
        let Verdict::Fail(problem) = verdict else { panic!("a fault expected, found {verdict:?}") };
        let filled = keys.iter().map(|key| format!(" {key}={}", problem.fill[*key]));
        format!("{:?}{}", problem.fault, filled.collect::<String>())
    }

    fn unknown(verdict: &Verdict) -> &str {
        let Verdict::Unknown { why } = verdict else { panic!("unknown expected: {verdict:?}") };
        why
    }

    #[test]
    fn what_the_far_ends_hear_is_turned_around() {
        let scene = scene();
        assert_eq!(deaf(&scene, &as_planned()), Verdict::Pass);
        assert_eq!(away(&scene, &as_planned()), Verdict::Pass);
        let [_, second] = as_planned();
        let wrong = [view("dist-1", vec![us("49", "GigabitEthernet1/0/49")], &LIT), second.clone()];
        let line = "WrongPort far_device=dist-1 found_port=49 far_port=47 port=Gi1/0/49";
        let ours = [view("dist-1", vec![us("47", "Gi1/0/51")], &LIT), second];
        let ours_line =
            "WrongPort far_device=acc-sw-17 found_port=Gi1/0/51 far_port=Gi1/0/49 port=Gi1/0/49";
        let swapped =
            [view("dist-1", vec![us("47", P50)], &LIT), view("dist-2", vec![us("48", P49)], &LIT)];
        for judge in [deaf, away] {
            let keys = ["far_device", "found_port", "far_port", "port"];
            assert_eq!(fault(&judge(&scene, &wrong), &keys), line);
            assert_eq!(fault(&judge(&scene, &ours), &keys), ours_line);
            let told = fault(&judge(&scene, &swapped), &["port", "port_b"]);
            assert_eq!(told, "SwappedPair port=Gi1/0/49 port_b=Gi1/0/50");
        }
        let other = [
            view("dist-1", vec![], &LIT),
            view("dist-2", vec![us("48", P50), us("50", P49)], &LIT),
        ];
        let told = fault(&away(&scene, &other), &["port", "found_device", "found_port"]);
        assert_eq!(told, "WrongDevice port=Gi1/0/49 found_device=dist-2 found_port=50");
    }

    #[test]
    fn a_device_under_another_name_is_known_by_its_chassis() {
        let mut scene = scene();
        let mac = Mac::new([0, 0x1b, 0x21, 0xaa, 0xbb, 1]);
        scene.alter("acc-sw-17", |device| device.macs = vec![mac]);
        let factory = |on: &str, ours: &str, chassis: &str| Neighbour {
            chassis_id: Some(chassis.to_owned()),
            ..listed(on, "Switch", ours)
        };
        let seen = |chassis: &str| {
            let rows = vec![factory("49", P49, chassis)];
            [view("dist-1", rows, &LIT), view("dist-2", vec![us("48", P50)], &LIT)]
        };
        let told = fault(&away(&scene, &seen("001b.21aa.bb01")), &["found_port", "far_port"]);
        assert_eq!(told, "WrongPort found_port=49 far_port=47");
        // CDP tells its name alone, which contradicts nothing; another name does.
        for (name, told) in [("Switch", true), ("dist-9", false)] {
            let mut views = seen("001b.21aa.bb01");
            let first = Arc::make_mut(views[0].seen.as_mut().expect("it told"));
            first.cdp = Reading::Seen(vec![listed("49", name, P49)]);
            let verdict = away(&scene, &views);
            assert_eq!(matches!(verdict, Verdict::Fail(_)), told, "{name}: {verdict:?}");
        }
        assert!(matches!(away(&scene, &seen("001b.21aa.bb02")), Verdict::Unknown { .. }));
        // On the planned port a stranger may be the device itself.
        let rows = vec![factory("47", P49, "001b.21aa.bb02")];
        let views = [view("dist-1", rows, &LIT), view("dist-2", vec![us("48", P50)], &LIT)];
        let why = "it does not answer; dist-1 hears Switch on 47, a name that is in no plan";
        assert_eq!(unknown(&away(&scene, &views)), why);
    }

    #[test]
    fn a_far_port_without_light_is_a_dark_cable_only_while_the_device_is_heard() {
        let scene = scene();
        let dark = |port: &str| LIT.map(|(name, up)| (name, up && name != port));
        let [first, _] = as_planned();
        let views = [first, view("dist-2", vec![], &dark("48"))];
        let keys = ["port", "far_device", "far_port"];
        let line = "NeighbourDown port=Gi1/0/50 far_device=dist-2 far_port=48";
        assert_eq!(fault(&away(&scene, &views), &keys), line);
        assert_eq!(fault(&deaf(&scene, &views), &keys), line);
        // Light, and nobody heard: that sends nobody to a plug.
        let [first, _] = as_planned();
        let views = [first, view("dist-2", vec![], &LIT)];
        let why = "it does not answer; nobody hears it at the far end";
        assert_eq!(unknown(&away(&scene, &views)), why);
        // Without power it is dark everywhere.
        let off = [
            view("dist-1", vec![us("47", P49)], &dark("47")),
            view("dist-2", vec![us("48", P50)], &dark("48")),
        ];
        assert_eq!(unknown(&away(&scene, &off)), why);
        // Its own word about its port is nearer.
        let lldp = Reading::unreadable("LLDP is not running");
        let interfaces = Reading::Seen(vec![link(P49, true), link(P50, true)]);
        let seen = Observation { lldp, interfaces, ..scene.as_planned() };
        let [first, _] = as_planned();
        let views = [first, view("dist-2", vec![], &dark("48"))];
        let told = told_by_upstreams(&scene.plan(), Some(&seen), &views);
        let verdict = told.verdict.expect("it is judged");
        assert!(unknown(&verdict).contains("nobody hears it"), "{verdict:?}");
    }

    #[test]
    fn while_one_cannot_tell_nothing_is_said_of_what_nobody_hears() {
        let scene = scene();
        let [first, second] = as_planned();
        let refused = "it refuses our login";
        for views in [vec![first.clone(), lost("dist-2", refused)], vec![first.clone()]] {
            for judge in [deaf, away] {
                let verdict = judge(&scene, &views);
                assert!(unknown(&verdict).contains("dist-2"), "{verdict:?}");
            }
        }
        // Half of a swap: the other half may be where nobody looks.
        let half = [view("dist-1", vec![us("47", P50)], &LIT), lost("dist-2", refused)];
        let why = "LLDP is not running; dist-2: it refuses our login";
        assert_eq!(unknown(&deaf(&scene, &half)), why);
        // Somebody else at its address, or somebody who does not say who it is.
        let Ok(seen) = &second.seen else { panic!("it told") };
        let named = |hostname: Option<&str>| {
            let hostname = hostname.map(str::to_owned);
            let facts = Reading::Seen(Facts { hostname, ..Facts::default() });
            let seen = Arc::new(Observation { facts, ..(**seen).clone() });
            [first.clone(), View { device: "dist-2".to_owned(), seen: Ok(seen) }]
        };
        assert!(unknown(&deaf(&scene, &named(Some("dist-9")))).contains("another device"));
        assert!(unknown(&deaf(&scene, &named(None))).contains("found none in its facts"));
        assert_eq!(deaf(&scene, &named(Some("DIST-2.example.com"))), Verdict::Pass);
        let Ok(seen) = &second.seen else { panic!("it told") };
        let lldp = Reading::unreadable("line 3: ?");
        let seen = Arc::new(Observation { lldp, ..(**seen).clone() });
        let views = [first, View { device: "dist-2".to_owned(), seen: Ok(seen) }];
        assert!(unknown(&deaf(&scene, &views)).ends_with("dist-2: line 3: ?"));
    }

    #[test]
    fn a_row_that_was_not_heard_lately_proves_nothing() {
        let scene = scene();
        let aged = |seconds| Neighbour { last_heard_seconds_ago: seconds, ..us("47", P49) };
        let with = |row: Neighbour, links: Option<&[(&str, bool)]>| {
            let [_, second] = as_planned();
            let mut first = view("dist-1", vec![row], links.unwrap_or_default());
            if links.is_none() {
                let seen = Arc::make_mut(first.seen.as_mut().expect("it told"));
                seen.interfaces = Reading::unreadable("% Invalid input");
            }
            deaf(&scene, &[first, second])
        };
        assert_eq!(with(aged(Some(60)), Some(&LIT)), Verdict::Pass);
        assert_eq!(with(aged(Some(60)), None), Verdict::Pass);
        let why = "LLDP is not running; dist-1 has not heard it lately on 47";
        assert_eq!(unknown(&with(aged(Some(110)), Some(&LIT))), why);
        assert_eq!(unknown(&with(aged(None), None)), why);
        assert_eq!(unknown(&with(aged(Some(110)), None)), why);
        // After a move the old row stays listed for a while: the one heard last decides, or nobody.
        let two = |old: Option<u64>, new: Option<u64>| {
            let row = |on: &str, last| Neighbour { last_heard_seconds_ago: last, ..us(on, P49) };
            let rows = vec![row("49", old), row("47", new)];
            let [_, second] = as_planned();
            deaf(&scene, &[view("dist-1", rows, &LIT), second])
        };
        assert_eq!(two(Some(90), Some(4)), Verdict::Pass);
        assert!(matches!(two(None, None), Verdict::Unknown { .. }));
        assert_eq!(fault(&two(Some(4), Some(90)), &["found_port"]), "WrongPort found_port=49");
    }

    /// Port 49 hears nobody, though it has light; port 50 hears dist-2.
    fn half_deaf(scene: &Scene) -> Observation {
        Observation {
            lldp: Reading::Seen(vec![listed(P50, "dist-2", "48")]),
            interfaces: Reading::Seen(vec![link(P49, true), link(P50, true)]),
            ..scene.as_planned()
        }
    }

    #[test]
    fn where_it_hears_nobody_its_far_ends_tell_and_what_it_hears_is_never_undone() {
        let scene = scene();
        let seen = half_deaf(&scene);
        let told = |views: &[View]| told_by_upstreams(&scene.plan(), Some(&seen), views).verdict;
        assert_eq!(told(&as_planned()), Some(Verdict::Pass));
        let [_, second] = as_planned();
        let wrong = told(&[view("dist-1", vec![us("49", P49)], &LIT), second]).expect("judged");
        assert_eq!(
            fault(&wrong, &["found_port", "far_port"]),
            "WrongPort found_port=49 far_port=47"
        );
        // What an upstream device says of ports that are proven is not even looked at.
        let lies = [
            view("dist-1", vec![us("47", P49), us("50", P50)], &LIT),
            view("dist-2", vec![us("48", P49)], &LIT),
        ];
        assert_eq!(told(&lies), Some(Verdict::Pass));
        // Where nobody knows more, what it hears itself is told as it was.
        for views in [
            vec![],
            vec![lost("dist-1", "it is not reached"), lost("dist-2", "it is not reached")],
            vec![view("dist-1", vec![], &LIT)],
        ] {
            let verdict = told(&views).expect("judged");
            assert_eq!(fault(&verdict, &["port"]), "NeighbourMute port=Gi1/0/49");
        }
        let views = [lost("dist-1", "it is not reached"), view("dist-2", vec![], &LIT)];
        let told = told_by_upstreams(&scene.plan(), Some(&seen), &views);
        assert_eq!(told.remarks, ["the far ends: dist-1: it is not reached"]);
    }

    #[test]
    fn only_a_device_that_does_not_hear_all_and_has_somebody_to_ask_asks() {
        let mut scene = scene();
        let asks = |scene: &Scene, seen: &Observation| scene.judge(seen).asks_upstreams;
        let lldp = Reading::unreadable("LLDP is not running");
        let deaf = Observation { lldp, ..scene.as_planned() };
        let half = half_deaf(&scene);
        let dark = Observation {
            interfaces: Reading::Seen(vec![link(P49, false), link(P50, true)]),
            ..half.clone()
        };
        assert!(!asks(&scene, &scene.as_planned()));
        assert!(asks(&scene, &deaf) && asks(&scene, &half));
        assert!(!asks(&scene, &dark), "a dark port of its own says all there is to say");
        scene.due = false;
        assert!(asks(&scene, &deaf));
        assert!(!asks(&scene, &half), "it may still hear them itself");
        scene.due = true;
        let names = |scene: &Scene| {
            let plan = scene.plan();
            upstreams(&plan).iter().map(|device| device.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&scene), ["dist-1", "dist-2"]);
        scene.alter("dist-1", |device| device.address = None);
        assert_eq!(names(&scene), ["dist-2"]);
        scene.alter("dist-2", |device| device.platform = "onie".to_owned());
        assert_eq!(names(&scene), [""; 0]);
        assert!(!asks(&scene, &deaf));
    }

    #[test]
    fn a_policy_that_wants_nobody_else_is_not_met_by_far_ends_that_see_only_theirs() {
        use crate::domain::inventory::meant::Unplanned;
        let mut scene = scene();
        scene.alter("acc-sw-17", |device| device.unplanned_neighbours = Unplanned::Fail);
        assert!(matches!(deaf(&scene, &as_planned()), Verdict::Unknown { .. }));
    }

    /// A cable as it is: a port of ours from 1, and whether it ends at dist-1 or dist-2, on which
    /// port.
    type Real = BTreeMap<u8, (u8, u8)>;

    fn real() -> impl Strategy<Value = Real> {
        proptest::collection::btree_map(1u8..=4, (1u8..=2, 1u8..=4), 1..=4).prop_map(|cables| {
            let mut taken = BTreeSet::new();
            cables.into_iter().filter(|(_, end)| taken.insert(*end)).collect()
        })
    }

    proptest! {
        /// Seen from the other ends, the cabling is what it is seen from this one.
        #[test]
        fn both_ends_of_the_cables_tell_the_same(plan in real(), there in real()) {
            let name = |device: u8| format!("dist-{device}");
            let texts: Vec<[String; 3]> = plan
                .iter()
                .map(|(port, (device, far))| [port.to_string(), name(*device), far.to_string()])
                .collect();
            let cables: Vec<(&str, &str, &str)> =
                texts.iter().map(|[a, b, c]| (a.as_str(), b.as_str(), c.as_str())).collect();
            let mut scene = Scene::cabled(&cables);
            for device in [1u8, 2] {
                let theirs = plan.iter().filter(|(_, (there, _))| *there == device);
                let theirs = theirs.map(|(port, (_, far))| PlannedNeighbour {
                    local_port: far.to_string(),
                    device: "acc-sw-17".to_owned(),
                    port: port.to_string(),
                });
                let theirs: Vec<PlannedNeighbour> = theirs.collect();
                if !theirs.is_empty() {
                    scene.alter(&name(device), |device| device.neighbours = theirs);
                }
            }
            // Both switches must be in the plan to be asked; every planned port has somebody.
            let planned = |device: u8| plan.values().any(|(there, _)| *there == device);
            prop_assume!(there.values().all(|(device, _)| planned(*device)));
            let complete = plan.keys().all(|port| there.contains_key(port));
            let own = there.iter().map(|(port, (device, far))| {
                listed(&port.to_string(), &name(*device), &far.to_string())
            });
            let lldp = Reading::Seen(own.collect());
            let seen = Observation { lldp, ..scene.as_planned() };
            let findings = scene.judge(&seen);
            let direct = findings.verdicts.iter().find_map(|(check, verdict)| {
                (*check == crate::domain::check::Check::Neighbours).then_some(verdict)
            });
            let views: Vec<View> = [1u8, 2]
                .into_iter()
                .filter(|device| planned(*device))
                .map(|device| {
                    let rows = there.iter().filter(|(_, (there, _))| *there == device);
                    let rows = rows.map(|(port, (_, far))| us(&far.to_string(), &port.to_string()));
                    let lit: Vec<String> = (1..=4).map(|port: u8| port.to_string()).collect();
                    let lit: Vec<(&str, bool)> =
                        lit.iter().map(|port| (port.as_str(), true)).collect();
                    view(&name(device), rows.collect(), &lit)
                })
                .collect();
            let turned = away(&scene, &views);
            let passes = direct == Some(&Verdict::Pass);
            prop_assert_eq!(passes, turned == Verdict::Pass);
            if complete {
                prop_assert_eq!(Some(&turned), direct);
            }
            if let Verdict::Fail(problem) = &turned {
                let silent = [Fault::NeighbourMute, Fault::NeighbourUnheard];
                prop_assert!(!silent.contains(&problem.fault));
            }
        }
    }
}
