//! Does every link run as it should? Ports with a planned neighbour, and ports the inventory names.
//!
//! A port with a neighbour is accused only of what its device positively tells: half duplex,
//! damaged frames that rise, a link that comes and goes. What a device does not tell of such a port
//! claims nothing. Whether the cable is there at all is the neighbours' check. A port that the
//! inventory names must be proven in everything it asks for.

use std::collections::BTreeMap;

use super::counted::{Counted, Errors, Sample};
use super::{Circumstances, Plan, Problem, Remarks, Verdict};
use crate::domain::fault::Fault;
use crate::domain::inventory::expected::PlannedInterface;
use crate::platform::observation::{Duplex, Interface, LinkDetails, Observation, Reading};
use crate::platform::parse::tells_unknown_command;

/// What one port turned out to be.
enum Found {
    /// Nothing that was asked for could be said.
    Nothing,
    Good,
    Unknown(String),
    Bad(Problem),
}

/// One port that is looked at.
struct Watched<'a> {
    port: &'a str,
    planned: Option<&'a PlannedInterface>,
    /// It has a planned neighbour.
    cabled: bool,
}

/// The interfaces of the device by their one spelling.
type ByPort<'a> = BTreeMap<String, &'a Interface>;

/// The samples of earlier visits with that of this one.
pub(super) fn counted(
    plan: &Plan<'_>,
    seen: &Observation,
    circumstances: &Circumstances<'_>,
) -> Counted {
    let mut counted = circumstances.earlier.clone();
    let watched = watched(plan);
    counted.keep(|port| watched.iter().any(|watched| watched.port == port));
    let (Some(interfaces), Some(at)) = (seen.interfaces.seen(), circumstances.now) else {
        return counted;
    };
    let by_port = by_port(plan, interfaces);
    for watched in watched {
        if let Some(interface) = by_port.get(&canonical(plan, watched.port)) {
            let details = interface.details.seen();
            counted.note(
                watched.port,
                Sample {
                    at,
                    up: interface.link_up,
                    errors: details.and_then(|details| details.input_errors),
                    changes: details.and_then(|details| details.link_changes),
                },
            );
        }
    }
    counted
}

pub(super) fn interfaces(
    plan: &Plan<'_>,
    seen: &Observation,
    counted: &Counted,
    remarks: &mut Remarks,
) -> Verdict {
    let watched = watched(plan);
    let asked_for = !plan.device.expects.interfaces.is_empty();
    let interfaces = match &seen.interfaces {
        Reading::Seen(interfaces) => interfaces,
        Reading::NotAsked if asked_for => {
            return Verdict::unknown("its platform has no question for interfaces");
        }
        Reading::Unreadable { why } if !asked_for && tells_unknown_command(why) => {
            remarks.add(&format!("its links are not known: {why}"));
            return Verdict::NotPlanned;
        }
        Reading::Unreadable { why } if !watched.is_empty() => return Verdict::unknown(why),
        Reading::Unreadable { .. } | Reading::NotAsked => return Verdict::NotPlanned,
    };
    let by_port = by_port(plan, interfaces);
    let (mut problems, mut unknown, mut good) = (Vec::new(), None, false);
    for watched in &watched {
        let found = match by_port.get(&canonical(plan, watched.port)) {
            Some(interface) => port(plan, watched, interface, counted),
            None if watched.planned.is_some() => {
                Found::Unknown(format!("port {} is not among its interfaces", watched.port))
            }
            None => Found::Nothing,
        };
        match found {
            Found::Nothing => {}
            Found::Good => good = true,
            Found::Unknown(why) => unknown = unknown.or(Some(why)),
            Found::Bad(problem) => problems.push(problem),
        }
    }
    if let Some(why) = details_unoffered(&watched, &by_port, plan) {
        remarks.add(&format!("how its links run is not known: {why}"));
    }
    problems.sort_by_key(|problem| problem.fault.layer());
    for later in problems.iter().skip(1) {
        let port = later.fill.get("port").map_or("", String::as_str);
        remarks.add(&format!("also {}: port {port}", later.fault.code()));
    }
    match (problems.into_iter().next(), unknown) {
        (Some(problem), _) => Verdict::Fail(problem),
        (None, Some(why)) => Verdict::unknown(why),
        (None, None) if good => Verdict::Pass,
        (None, None) => Verdict::NotPlanned,
    }
}

/// Every port once: those with a neighbour in the plan's order, then the others.
fn watched<'a>(plan: &Plan<'a>) -> Vec<Watched<'a>> {
    let planned = &plan.device.expects.interfaces;
    let same = |a: &str, b: &str| canonical(plan, a) == canonical(plan, b);
    let cabled = plan.device.neighbours.iter().map(|neighbour| {
        let port = neighbour.local_port.as_str();
        let planned = planned.iter().find(|planned| same(&planned.port, port));
        Watched { port, planned, cabled: true }
    });
    let mut all: Vec<Watched<'a>> = cabled.collect();
    for planned in planned {
        if !all.iter().any(|known| same(known.port, &planned.port)) {
            all.push(Watched { port: &planned.port, planned: Some(planned), cabled: false });
        }
    }
    all
}

fn by_port<'a>(plan: &Plan<'_>, interfaces: &'a [Interface]) -> ByPort<'a> {
    interfaces.iter().map(|interface| (canonical(plan, &interface.name), interface)).collect()
}

/// Why it is not known how the links run, if the device does not know the command.
fn details_unoffered<'a>(
    watched: &[Watched<'_>],
    by_port: &ByPort<'a>,
    plan: &Plan<'_>,
) -> Option<&'a str> {
    let interfaces = watched.iter().filter_map(|port| by_port.get(&canonical(plan, port.port)));
    interfaces.into_iter().find_map(|interface| match &interface.details {
        Reading::Unreadable { why } if tells_unknown_command(why) => Some(why.as_str()),
        Reading::Seen(_) | Reading::Unreadable { .. } | Reading::NotAsked => None,
    })
}

fn port(plan: &Plan<'_>, watched: &Watched<'_>, interface: &Interface, counted: &Counted) -> Found {
    if let Some(changes) = counted.flapping(watched.port) {
        let fill = [("port", watched.port), ("changes", &changes.to_string())];
        return Found::Bad(problem(plan, Fault::FlappingPort, &fill));
    }
    if !interface.link_up {
        return dark(plan, watched);
    }
    if let Some(planned) = watched.planned
        && planned.up == Some(false)
    {
        return Found::Bad(unmet(plan, watched.port, "up", "down"));
    }
    let asked = match watched.planned {
        Some(planned) => as_asked(plan, planned, interface),
        None => Found::Nothing,
    };
    let ran = match &interface.details {
        Reading::Seen(details) => as_it_runs(plan, watched, details, counted),
        Reading::Unreadable { why } if !tells_unknown_command(why) => Found::Unknown(why.clone()),
        Reading::Unreadable { .. } | Reading::NotAsked => Found::Nothing,
    };
    worse(asked, ran)
}

/// A port without link. Where a neighbour is planned that is the neighbours' business.
fn dark(plan: &Plan<'_>, watched: &Watched<'_>) -> Found {
    match watched.planned {
        None => Found::Nothing,
        Some(planned) if planned.up == Some(false) => Found::Good,
        Some(_) if watched.cabled => Found::Nothing,
        Some(_) if !plan.neighbours_due => {
            Found::Unknown(format!("port {} has no link yet", watched.port))
        }
        Some(_) => Found::Bad(problem(plan, Fault::NeighbourDown, &[("port", watched.port)])),
    }
}

/// Speed and duplex as the inventory asks for them.
fn as_asked(plan: &Plan<'_>, planned: &PlannedInterface, interface: &Interface) -> Found {
    if planned.speed_mbps.is_none() && planned.duplex.is_none() {
        return Found::Good;
    }
    let port = planned.port.as_str();
    let details = match &interface.details {
        Reading::Seen(details) => details,
        Reading::Unreadable { why } => return Found::Unknown(why.clone()),
        Reading::NotAsked => {
            return Found::Unknown("its platform has no question for speed and duplex".to_owned());
        }
    };
    let speed = match (planned.speed_mbps, details.speed_mbps) {
        (None, _) => Found::Good,
        (Some(_), None) => Found::Unknown(format!("the speed of port {port} is not told")),
        (Some(wanted), Some(found)) if found == wanted => Found::Good,
        (Some(wanted), Some(found)) if found < wanted => {
            Found::Bad(poor(plan, port, &found.to_string(), &wanted.to_string()))
        }
        (Some(wanted), Some(found)) => {
            Found::Bad(unmet(plan, port, &found.to_string(), &wanted.to_string()))
        }
    };
    let duplex = match (planned.duplex, details.duplex) {
        (None, _) => Found::Good,
        (Some(_), None) => Found::Unknown(format!("the duplex of port {port} is not told")),
        (Some(wanted), Some(found)) if wanted == found => Found::Good,
        (Some(Duplex::Full), Some(_)) => Found::Bad(poor(plan, port, "half duplex", "full")),
        (Some(Duplex::Half), Some(_)) => Found::Bad(unmet(plan, port, "full", "half")),
    };
    worse(speed, duplex)
}

/// What no link should do, whatever the plan says.
fn as_it_runs(
    plan: &Plan<'_>,
    watched: &Watched<'_>,
    details: &LinkDetails,
    counted: &Counted,
) -> Found {
    let duplex = match details.duplex {
        None => Found::Nothing,
        Some(Duplex::Full) => Found::Good,
        Some(Duplex::Half) if watched.planned.is_some_and(|p| p.duplex.is_some()) => Found::Nothing,
        Some(Duplex::Half) => Found::Bad(poor(plan, watched.port, "half duplex", "full")),
    };
    let errors = match counted.errors(watched.port) {
        Errors::NotTold => Found::Nothing,
        Errors::Steady => Found::Good,
        Errors::Rising(a_minute) => {
            let fill = [("port", watched.port), ("errors", &a_minute.to_string())];
            Found::Bad(problem(plan, Fault::PoorCable, &fill))
        }
        Errors::Undecided(count) => Found::Unknown(format!(
            "port {} has counted {count} damaged frames; whether they rise is not known yet",
            watched.port
        )),
    };
    worse(duplex, errors)
}

/// Bad before unknown, unknown before good, good before nothing.
fn worse(a: Found, b: Found) -> Found {
    match (a, b) {
        (Found::Bad(problem), _) | (_, Found::Bad(problem)) => Found::Bad(problem),
        (Found::Unknown(why), _) | (_, Found::Unknown(why)) => Found::Unknown(why),
        (Found::Good, _) | (_, Found::Good) => Found::Good,
        (Found::Nothing, Found::Nothing) => Found::Nothing,
    }
}

/// It runs, and worse than planned: nearly always the cable.
fn poor(plan: &Plan<'_>, port: &str, found: &str, planned: &str) -> Problem {
    problem(plan, Fault::PoorCable, &[("port", port), ("found", found), ("planned", planned)])
}

/// Not as planned, and nothing that hands could mend.
fn unmet(plan: &Plan<'_>, port: &str, found: &str, planned: &str) -> Problem {
    let check = format!("port {port}");
    let says = format!("port {port} is {found}, planned is {planned}");
    let fill = [
        ("check", check.as_str()),
        ("says", &says),
        ("port", port),
        ("found", found),
        ("planned", planned),
    ];
    problem(plan, Fault::CheckUnmet, &fill)
}

fn problem(plan: &Plan<'_>, fault: Fault, fill: &[(&str, &str)]) -> Problem {
    let mut problem = Problem::new(fault, fill);
    problem.fill.insert("location".to_owned(), plan.device.location.clone());
    problem
}

fn canonical(plan: &Plan<'_>, port: &str) -> String {
    match plan.platforms.get(&plan.device.platform) {
        Some(platform) => platform.canonical_port(port),
        None => port.trim().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;
    use crate::domain::check::planned::Scene;
    use crate::domain::check::{Check, Findings, all_proven, judge_visit};

    const FULL: LinkDetails = LinkDetails {
        speed_mbps: Some(1000),
        duplex: Some(Duplex::Full),
        input_errors: Some(0),
        link_changes: None,
    };

    fn port(name: &str, link_up: bool, details: LinkDetails) -> Interface {
        Interface { details: Reading::Seen(details), ..Interface::new(name, link_up) }
    }

    fn asks(scene: &mut Scene, interfaces: Vec<PlannedInterface>) {
        scene.alter("acc-sw-17", |device| {
            Arc::make_mut(&mut device.expects).interfaces = interfaces;
        });
    }

    fn planned(port: &str) -> PlannedInterface {
        PlannedInterface { port: port.to_owned(), speed_mbps: None, duplex: None, up: None }
    }

    fn at(scene: &Scene, second: i64, ports: Vec<Interface>, earlier: &Counted) -> Findings {
        let seen = Observation { interfaces: Reading::Seen(ports), ..scene.as_planned() };
        let now = Some(Timestamp::from_seconds(1000 + second));
        let circumstances = Circumstances { now, earlier: earlier.clone(), ..Default::default() };
        judge_visit(&scene.plan(), &seen, &circumstances)
    }

    fn verdict(findings: &Findings) -> &Verdict {
        let found = findings.verdicts.iter().find(|(check, _)| *check == Check::Interfaces);
        &found.expect("every check is there").1
    }

    /// The verdict of one visit in short.
    fn seen(scene: &Scene, ports: Vec<Interface>) -> String {
        match verdict(&at(scene, 0, ports, &Counted::default())) {
            Verdict::Fail(problem) => {
                let fill = |key: &str| problem.fill.get(key).map_or("-", String::as_str);
                let (found, planned) = (fill("found"), fill("planned"));
                format!("{:?} {} {found} {planned}", problem.fault, fill("port"))
            }
            Verdict::Unknown { why } => format!("unknown: {why}"),
            Verdict::Pass => "pass".to_owned(),
            Verdict::NotPlanned => "not planned".to_owned(),
        }
    }

    #[test]
    fn a_cabled_port_is_accused_only_of_what_is_told() {
        let scene = Scene::two_uplinks();
        let p49 = |details| vec![port("GigabitEthernet1/0/49", true, details)];
        assert_eq!(seen(&scene, p49(FULL)), "pass");
        assert_eq!(seen(&scene, p49(LinkDetails::default())), "not planned");
        let slow = LinkDetails { speed_mbps: Some(100), ..FULL };
        assert_eq!(seen(&scene, p49(slow)), "pass", "no speed is planned");
        let half = LinkDetails { duplex: Some(Duplex::Half), ..FULL };
        assert_eq!(seen(&scene, p49(half.clone())), "PoorCable Gi1/0/49 half duplex full");
        assert_eq!(seen(&scene, vec![port("Gi1/0/49", false, half.clone())]), "not planned");
        assert_eq!(seen(&scene, vec![port("Gi1/0/7", true, half)]), "not planned");
        let mut mute = Interface::new("Gi1/0/49", true);
        mute.details = Reading::unreadable("`show interfaces`: `% Invalid input`");
        assert_eq!(seen(&scene, vec![mute]), "not planned");
    }

    #[test]
    fn what_the_inventory_asks_for_must_be_proven() {
        let mut scene = Scene::two_uplinks();
        let speed = PlannedInterface {
            speed_mbps: Some(1000),
            duplex: Some(Duplex::Full),
            up: Some(true),
            ..planned("Gi1/0/1")
        };
        let dark = PlannedInterface { up: Some(false), ..planned("Gi1/0/2") };
        asks(&mut scene, vec![speed, dark]);
        let with = |p1: Interface, p2: Interface| vec![p1, p2];
        let good = port("Gi1/0/1", true, FULL);
        let off = Interface::new("gigabitethernet 1/0/2", false);
        assert_eq!(seen(&scene, with(good.clone(), off.clone())), "pass");
        let slow = LinkDetails { speed_mbps: Some(100), ..FULL };
        let found = seen(&scene, with(port("Gi1/0/1", true, slow), off.clone()));
        assert_eq!(found, "PoorCable Gi1/0/1 100 1000");
        let fast = LinkDetails { speed_mbps: Some(10_000), ..FULL };
        let found = seen(&scene, with(port("Gi1/0/1", true, fast), off.clone()));
        assert_eq!(found, "CheckUnmet Gi1/0/1 10000 1000");
        let half = LinkDetails { duplex: Some(Duplex::Half), ..FULL };
        let found = seen(&scene, with(port("Gi1/0/1", true, half), off.clone()));
        assert_eq!(found, "PoorCable Gi1/0/1 half duplex full");
        let silent = LinkDetails::default();
        let found = seen(&scene, with(port("Gi1/0/1", true, silent), off.clone()));
        assert_eq!(found, "unknown: the speed of port Gi1/0/1 is not told");
        let found = seen(&scene, with(Interface::new("Gi1/0/1", true), off.clone()));
        assert!(found.starts_with("unknown: its platform has no question"), "{found}");
        let found = seen(&scene, with(good.clone(), Interface::new("Gi1/0/2", true)));
        assert_eq!(found, "CheckUnmet Gi1/0/2 up down");
        assert_eq!(seen(&scene, vec![good]), "unknown: port Gi1/0/2 is not among its interfaces");
        let down = port("Gi1/0/1", false, FULL);
        assert_eq!(seen(&scene, with(down.clone(), off.clone())), "NeighbourDown Gi1/0/1 - -");
        scene.due = false;
        assert_eq!(seen(&scene, with(down, off)), "unknown: port Gi1/0/1 has no link yet");
    }

    #[test]
    fn what_was_asked_for_and_cannot_be_read_is_unknown() {
        let mut scene = Scene::two_uplinks();
        let none = scene.judge(&scene.as_planned());
        assert_eq!(*verdict(&none), Verdict::NotPlanned);
        asks(&mut scene, vec![PlannedInterface { up: Some(true), ..planned("Gi1/0/1") }]);
        let why = "line 3 has no place";
        let mut seen = scene.as_planned();
        assert!(matches!(verdict(&scene.judge(&seen)), Verdict::Unknown { .. }));
        seen.interfaces = Reading::unreadable(why);
        assert_eq!(*verdict(&scene.judge(&seen)), Verdict::unknown(why));
    }

    #[test]
    fn links_of_planned_cables_that_cannot_be_read_are_unknown_unless_nothing_tells_them() {
        let scene = Scene::two_uplinks();
        let mut seen = scene.as_planned();
        let strange = "`show interfaces`: line 3 has no place: `What?`";
        let unknown = "`show interfaces`: `% Invalid input detected`";
        let mut with = |interfaces| {
            seen.interfaces = interfaces;
            scene.judge(&seen)
        };
        let found = with(Reading::unreadable(strange));
        assert_eq!(*verdict(&found), Verdict::unknown(strange));
        let found = with(Reading::unreadable(unknown));
        assert_eq!(*verdict(&found), Verdict::NotPlanned);
        assert!(found.remarks[0].contains("Invalid input"), "{found:?}");
        let mut detailed = |why: &str| {
            let details = Reading::unreadable(why);
            let first = Interface { details, ..Interface::new("Gi1/0/49", true) };
            with(Reading::Seen(vec![first, port("Gi1/0/50", true, FULL)]))
        };
        let found = detailed(strange);
        assert_eq!(*verdict(&found), Verdict::unknown(strange));
        assert!(!all_proven(&found));
        let found = detailed(unknown);
        assert!(!matches!(verdict(&found), Verdict::Fail(_)), "{found:?}");
        assert!(found.remarks[0].contains("Invalid input"), "{found:?}");
        let shell = "`ip -j link`: `exit status 127: bash: line 1: ip: command not found`";
        assert!(!matches!(verdict(&detailed(shell)), Verdict::Unknown { .. }));
        for why in ["`show interfaces`: `% Authorization failed`", "`x`: no row: `invalid input`"] {
            assert_eq!(*verdict(&detailed(why)), Verdict::unknown(why));
        }
    }

    #[test]
    fn errors_that_rise_from_visit_to_visit_are_a_poor_cable() {
        let scene = Scene::two_uplinks();
        let ports = |errors| {
            let details = LinkDetails { input_errors: Some(errors), ..FULL };
            vec![port("Gi1/0/49", true, details), port("Gi1/0/50", true, FULL)]
        };
        let first = at(&scene, 0, ports(12), &Counted::default());
        assert!(matches!(verdict(&first), Verdict::Unknown { .. }));
        assert!(!all_proven(&first), "old or new is not known: not green yet");
        let second = at(&scene, 15, ports(12), &first.counted);
        let third = at(&scene, 30, ports(12), &second.counted);
        assert_eq!(*verdict(&third), Verdict::Pass);
        assert!(all_proven(&third));
        let worse = at(&scene, 30, ports(324), &second.counted);
        let Verdict::Fail(problem) = verdict(&worse) else { panic!("{worse:?}") };
        assert_eq!(problem.fault, Fault::PoorCable);
        assert_eq!((&*problem.fill["port"], &*problem.fill["errors"]), ("Gi1/0/49", "312"));
    }

    #[test]
    fn a_link_that_comes_and_goes_is_a_loose_plug() {
        let scene = Scene::two_uplinks();
        let mut counted = Counted::default();
        let mut last = None;
        for (second, changes) in [(0, 0), (15, 2), (30, 4), (45, 6)] {
            let details = LinkDetails { link_changes: Some(changes), ..FULL };
            let findings = at(&scene, second, vec![port("Gi1/0/49", true, details)], &counted);
            counted = findings.counted.clone();
            last = Some(findings);
        }
        let last = last.expect("visits were made");
        let Verdict::Fail(problem) = verdict(&last) else { panic!("{last:?}") };
        assert_eq!(problem.fault, Fault::FlappingPort);
        assert_eq!(problem.fill["changes"], "6");
    }
}
