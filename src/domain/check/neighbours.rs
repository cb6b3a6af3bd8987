//! Is every cable where the plan says? One decision over the whole set of cables.
//!
//! A planned neighbour passes only if it is positively heard: the right device, the right port on
//! it, on the right port here. Everything else is sorted by what the hands have to do:
//!
//! 1. two cables exchanged ([`Fault::SwappedPair`]), before any of the two is called wrong;
//! 2. a planned far end that is heard on another port of ours: the plug moves here
//!    ([`Fault::WrongPort`]);
//! 3. the right device on another port of it: the plug moves there ([`Fault::WrongPort`]);
//! 4. another device ([`Fault::WrongDevice`]);
//! 5. nobody, without link ([`Fault::NeighbourDown`]), or with ([`Fault::NeighbourMute`]).
//!
//! Patience: a missing neighbour is no fault before the plan calls neighbours due, not even where
//! the link is down, for a port may come up late after a boot. While one is still missing and not
//! due, the others' mistakes are not named either: the two halves of a swap are seldom heard at the
//! same time. The same patience is given to a far end whose name is in no plan: it may be the right
//! device that was not given its name yet. A port where it cannot be told who is there now makes
//! the whole check Unknown, at any time: an old neighbour is listed until its TTL ends, and half of
//! a repaired swap must not read as a new fault.

use super::heard::{Ears, FarEnd, Heard};
use super::{Plan, Problem, Remarks, Verdict};
use crate::domain::fault::Fault;
use crate::domain::inventory::meant::PlannedNeighbour;
use crate::platform::observation::Observation;

/// One cable of the plan, and what is heard on its port here.
struct Cable<'a> {
    planned: &'a PlannedNeighbour,
    heard: Heard<'a>,
    /// Another port of ours where its far end is heard.
    strayed_to: Option<&'a str>,
}

pub(super) fn neighbours(plan: &Plan<'_>, seen: &Observation, remarks: &mut Remarks) -> Verdict {
    if plan.device.neighbours.is_empty() {
        return Verdict::NotPlanned;
    }
    let ears = match Ears::new(plan, seen) {
        Ok(ears) => ears,
        Err(why) => return Verdict::unknown(why),
    };
    let open = open_cables(plan, &ears);
    if open.is_empty() {
        return Verdict::Pass;
    }
    if let Some(why) = too_early(plan, &open) {
        return Verdict::unknown(why);
    }
    let mut problems = problems(plan, &ears, &open);
    // Stable: among equals the first port of the plan stays first.
    problems.sort_by_key(|problem| problem.fault.layer());
    for later in problems.iter().skip(1) {
        remarks.add(&told(later));
    }
    match problems.into_iter().next() {
        Some(problem) => Verdict::Fail(problem),
        None => Verdict::unknown("a cable is open and its fault could not be named"),
    }
}

/// The cables that are not proven.
fn open_cables<'a>(plan: &Plan<'a>, ears: &Ears<'a>) -> Vec<Cable<'a>> {
    let mut open = Vec::new();
    for planned in &plan.device.neighbours {
        let heard = ears.on(&planned.local_port);
        let right = match &heard {
            Heard::One(far) => ears.is_right(far, planned),
            Heard::Nobody | Heard::Unclear(_) => false,
        };
        let hearing = ears.ports_hearing(planned);
        if right && hearing.len() < 2 {
            continue;
        }
        let strayed_to = if right { None } else { hearing.first().copied() };
        // A plug stands in one port: of two that hear it, one remembers.
        let heard = if hearing.len() < 2 {
            heard
        } else {
            let far = in_words(planned);
            Heard::Unclear(format!("{far} is heard on ports {}", hearing.join(" and ")))
        };
        open.push(Cable { planned, heard, strayed_to });
    }
    open
}

/// Why nothing may be said yet, if so.
fn too_early(plan: &Plan<'_>, open: &[Cable<'_>]) -> Option<String> {
    let unclear = open.iter().find_map(|cable| match &cable.heard {
        Heard::Unclear(why) => Some(why.clone()),
        Heard::Nobody | Heard::One(_) => None,
    });
    if unclear.is_some() || plan.neighbours_due {
        return unclear;
    }
    open.iter().find_map(|cable| {
        let PlannedNeighbour { local_port, device, .. } = cable.planned;
        match &cable.heard {
            Heard::Nobody => Some(format!("{device} is not heard yet on port {local_port}")),
            Heard::One(far) if far.is_stranger() => {
                let name = super::cut(far.shown_device());
                Some(format!("port {local_port} hears {name}, a name that is in no plan"))
            }
            Heard::One(_) | Heard::Unclear(_) => None,
        }
    })
}

/// One problem per physical cause, in the order of the plan.
fn problems<'a>(plan: &Plan<'a>, ears: &Ears<'a>, open: &[Cable<'a>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut explained = vec![false; open.len()];
    for (index, cable) in open.iter().enumerate() {
        let partner = partner(ears, open, index);
        if let Some(other) = partner
            && other > index
        {
            problems.push(swapped(plan, cable.planned, open[other].planned));
        }
        explained[index] = partner.is_some();
    }
    let swapped_pairs = explained.clone();
    for (index, cable) in open.iter().enumerate() {
        if swapped_pairs[index] {
            continue;
        }
        let Some(from) = cable.strayed_to else { continue };
        problems.push(move_here(plan, cable.planned, from));
        explained[index] = true;
        // What stands in `from` is this cable, so it is no second mistake of the port it stands in.
        for (other, occupied) in open.iter().enumerate() {
            if ears.same_local_port(&occupied.planned.local_port, from) {
                explained[other] = true;
            }
        }
    }
    for (index, cable) in open.iter().enumerate() {
        if !explained[index] {
            problems.extend(alone(plan, ears, cable));
        }
    }
    problems
}

/// The one other cable with which this one is exchanged.
fn partner(ears: &Ears<'_>, open: &[Cable<'_>], index: usize) -> Option<usize> {
    let mine = &open[index];
    let strayed_to = mine.strayed_to?;
    open.iter().position(|other| {
        other.strayed_to.is_some_and(|theirs| {
            ears.same_local_port(strayed_to, &other.planned.local_port)
                && ears.same_local_port(theirs, &mine.planned.local_port)
        })
    })
}

/// The problem of a cable that no other cable explains.
fn alone(plan: &Plan<'_>, ears: &Ears<'_>, cable: &Cable<'_>) -> Option<Problem> {
    match &cable.heard {
        Heard::One(far) if ears.is_device(far, cable.planned) => {
            Some(move_there(plan, ears, cable.planned, far))
        }
        Heard::One(far) => Some(wrong_device(plan, ears, cable.planned, far)),
        Heard::Nobody => Some(missing(plan, ears, cable.planned)),
        Heard::Unclear(_) => None,
    }
}

fn swapped(plan: &Plan<'_>, a: &PlannedNeighbour, b: &PlannedNeighbour) -> Problem {
    let fill = [
        ("port", a.local_port.as_str()),
        ("port_b", &b.local_port),
        ("location", &plan.device.location),
    ];
    Problem::new(Fault::SwappedPair, &fill)
}

/// Its far end is right, and heard on the port `from` of ours.
fn move_here(plan: &Plan<'_>, planned: &PlannedNeighbour, from: &str) -> Problem {
    let here = &plan.device.name;
    let fill = [
        ("port", planned.local_port.as_str()),
        ("far_device", here),
        ("far_port", &planned.local_port),
        ("found_device", here),
        ("found_port", from),
        ("planned", &format!("{here} port {}", planned.local_port)),
        ("found", &format!("{here} port {from}")),
        ("location", &plan.device.location),
    ];
    Problem::new(Fault::WrongPort, &fill)
}

fn move_there(
    plan: &Plan<'_>,
    ears: &Ears<'_>,
    planned: &PlannedNeighbour,
    far: &FarEnd<'_>,
) -> Problem {
    wrong(plan, Fault::WrongPort, planned, (&planned.device, ears.shown_port(far)))
}

fn wrong_device(
    plan: &Plan<'_>,
    ears: &Ears<'_>,
    planned: &PlannedNeighbour,
    far: &FarEnd<'_>,
) -> Problem {
    wrong(plan, Fault::WrongDevice, planned, (far.shown_device(), ears.shown_port(far)))
}

fn wrong(
    plan: &Plan<'_>,
    fault: Fault,
    planned: &PlannedNeighbour,
    found: (&str, &str),
) -> Problem {
    let (found_device, found_port) = found;
    let fill = [
        ("port", planned.local_port.as_str()),
        ("far_device", &planned.device),
        ("far_port", &planned.port),
        ("found_device", found_device),
        ("found_port", found_port),
        ("planned", &in_words(planned)),
        ("found", &format!("{found_device} port {found_port}")),
        ("location", far_location(plan, planned)),
    ];
    Problem::new(fault, &fill)
}

/// Nobody is heard. Dark only if the device says so: without a word about the link it is called
/// mute, which sends nobody to a plug.
fn missing(plan: &Plan<'_>, ears: &Ears<'_>, planned: &PlannedNeighbour) -> Problem {
    let fault = match ears.link_up(&planned.local_port) {
        Some(false) => Fault::NeighbourDown,
        Some(true) | None => Fault::NeighbourMute,
    };
    let fill = [
        ("port", planned.local_port.as_str()),
        ("far_device", &planned.device),
        ("far_port", &planned.port),
        ("planned", &in_words(planned)),
        ("location", far_location(plan, planned)),
    ];
    Problem::new(fault, &fill)
}

fn in_words(planned: &PlannedNeighbour) -> String {
    format!("{} port {}", planned.device, planned.port)
}

fn far_location<'a>(plan: &Plan<'a>, planned: &PlannedNeighbour) -> &'a str {
    plan.inventory.device(&planned.device).map_or("", |device| device.location.as_str())
}

/// A further problem as a remark.
fn told(problem: &Problem) -> String {
    let fill = |key: &str| problem.fill.get(key).map_or("", String::as_str);
    let code = problem.fault.code();
    match problem.fill.get("found") {
        Some(found) => {
            format!(
                "also {code}: port {}: planned {}, found {found}",
                fill("port"),
                fill("planned")
            )
        }
        None if problem.fault == Fault::SwappedPair => {
            format!("also {code}: ports {} and {} are exchanged", fill("port"), fill("port_b"))
        }
        None => format!("also {code}: port {}: planned {}", fill("port"), fill("planned")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::address::Mac;
    use crate::domain::check::planned::{Scene, link, row};
    use crate::domain::check::{Check, Findings, most_urgent};
    use crate::platform::observation::{Neighbour, Reading};

    const P49: &str = "Gi1/0/49";
    const P50: &str = "Gi1/0/50";

    fn judged(scene: &Scene, seen: &Observation) -> Verdict {
        of(&scene.judge(seen)).clone()
    }

    fn of(findings: &Findings) -> &Verdict {
        let found = findings.verdicts.iter().find(|(check, _)| *check == Check::Neighbours);
        &found.expect("every check is there").1
    }

    fn heard(scene: &Scene, rows: Vec<Neighbour>) -> Verdict {
        judged(scene, &Observation { lldp: Reading::Seen(rows), ..scene.as_planned() })
    }

    /// The fault and the named fillings, as one line.
    fn fault(verdict: &Verdict, keys: &[&str]) -> String {
        let Verdict::Fail(problem) = verdict else { panic!("a fault expected, found {verdict:?}") };
        let mut line = format!("{:?}", problem.fault);
        for key in keys {
            line.push_str(&format!(" {key}={}", problem.fill[*key]));
        }
        line
    }

    fn unknown(verdict: &Verdict) -> &str {
        let Verdict::Unknown { why } = verdict else {
            panic!("unknown expected, found {verdict:?}")
        };
        why
    }

    #[test]
    fn two_uplinks_exchanged_are_one_swap() {
        let mut scene = Scene::two_uplinks();
        for due in [false, true] {
            scene.due = due;
            let verdict = heard(&scene, vec![row(P49, "dist-2", "48"), row(P50, "dist-1", "47")]);
            let line = fault(&verdict, &["port", "port_b", "location"]);
            let expected = "SwappedPair port=Gi1/0/49 port_b=Gi1/0/50 \
                            location=the rack of acc-sw-17";
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn two_uplinks_to_one_device_exchanged_are_a_swap_as_well() {
        let scene = Scene::cabled(&[(P49, "dist-1", "47"), (P50, "dist-1", "48")]);
        let verdict = heard(&scene, vec![row(P49, "dist-1", "48"), row(P50, "dist-1", "47")]);
        assert_eq!(
            fault(&verdict, &["port", "port_b"]),
            "SwappedPair port=Gi1/0/49 port_b=Gi1/0/50"
        );
    }

    #[test]
    fn the_right_device_on_the_wrong_port_moves_one_plug_there() {
        let scene = Scene::two_uplinks();
        let verdict = heard(&scene, vec![row(P49, "dist-1", "49"), row(P50, "dist-2", "48")]);
        assert_eq!(
            fault(&verdict, &["far_device", "found_port", "far_port", "port", "location"]),
            "WrongPort far_device=dist-1 found_port=49 far_port=47 port=Gi1/0/49 \
             location=the rack of dist-1"
        );
    }

    #[test]
    fn the_right_far_end_on_another_port_of_ours_moves_one_plug_here() {
        let mut scene = Scene::two_uplinks();
        scene.due = true;
        let rows = vec![row("Gi1/0/51", "dist-1", "47"), row(P50, "dist-2", "48")];
        assert_eq!(
            fault(&heard(&scene, rows), &["far_device", "found_port", "far_port", "port"]),
            "WrongPort far_device=acc-sw-17 found_port=Gi1/0/51 far_port=Gi1/0/49 port=Gi1/0/49"
        );
        // In the planned port of another uplink, which is thereby no second fault.
        let findings = scene.judge(&Observation {
            lldp: Reading::Seen(vec![row(P50, "dist-1", "47")]),
            ..scene.as_planned()
        });
        assert_eq!(
            fault(of(&findings), &["far_device", "found_port", "far_port"]),
            "WrongPort far_device=acc-sw-17 found_port=Gi1/0/50 far_port=Gi1/0/49"
        );
        assert_eq!(findings.remarks, Vec::<String>::new());
    }

    #[test]
    fn another_device_is_named_with_where_the_cable_belongs() {
        let scene = Scene::two_uplinks();
        let verdict = heard(&scene, vec![row(P49, "dist-3", "12"), row(P50, "dist-2", "48")]);
        assert_eq!(
            fault(&verdict, &["port", "found_device", "found_port", "far_device", "far_port"]),
            "WrongDevice port=Gi1/0/49 found_device=dist-3 found_port=12 far_device=dist-1 far_port=47"
        );
    }

    #[test]
    fn a_name_that_is_in_no_plan_is_given_time_to_change() {
        let mut scene = Scene::two_uplinks();
        let rows = || vec![row(P49, "Switch", "47"), row(P50, "dist-2", "48")];
        let verdict = heard(&scene, rows());
        assert_eq!(fault(&verdict, &["found_device"]), "WrongDevice found_device=Switch");
        scene.due = false;
        let why = "port Gi1/0/49 hears Switch, a name that is in no plan";
        assert_eq!(unknown(&heard(&scene, rows())), why);
        // A planned device on the wrong port is certain at once.
        let rows = vec![row(P49, "acc-sw-17", "3"), row(P50, "dist-2", "48")];
        assert_eq!(fault(&heard(&scene, rows), &["port"]), "WrongDevice port=Gi1/0/49");
    }

    #[test]
    fn a_missing_neighbour_is_dark_mute_or_not_due() {
        let mut scene = Scene::two_uplinks();
        let with_links = |links: &[bool]| Observation {
            lldp: Reading::Seen(vec![row(P49, "dist-1", "47")]),
            interfaces: match links {
                [] => Reading::NotAsked,
                links => Reading::Seen(links.iter().map(|up| link(P50, *up)).collect()),
            },
            ..scene.as_planned()
        };
        let (dark, light, silent) = (with_links(&[false]), with_links(&[true]), with_links(&[]));
        let keys = ["port", "far_device", "far_port", "planned", "location"];
        let rest = "port=Gi1/0/50 far_device=dist-2 far_port=48 planned=dist-2 port 48 \
                    location=the rack of dist-2";
        assert_eq!(fault(&judged(&scene, &dark), &keys), format!("NeighbourDown {rest}"));
        assert_eq!(fault(&judged(&scene, &light), &keys), format!("NeighbourMute {rest}"));
        assert_eq!(fault(&judged(&scene, &silent), &keys), format!("NeighbourMute {rest}"));
        scene.due = false;
        for seen in [dark, light, silent] {
            let why = "dist-2 is not heard yet on port Gi1/0/50";
            assert_eq!(unknown(&judged(&scene, &seen)), why);
        }
    }

    #[test]
    fn while_one_is_missing_and_not_due_the_other_accuses_nobody() {
        let mut scene = Scene::two_uplinks();
        scene.due = false;
        let rows = vec![row(P49, "dist-2", "48")];
        assert_eq!(unknown(&heard(&scene, rows)), "dist-2 is not heard yet on port Gi1/0/50");
    }

    #[test]
    fn a_neighbour_remembered_on_a_dark_port_is_no_proof() {
        let scene = Scene::two_uplinks();
        let interfaces = Reading::Seen(vec![link(P49, true), link(P50, false)]);
        let seen = Observation { interfaces, ..scene.as_planned() };
        assert_eq!(fault(&judged(&scene, &seen), &["port"]), "NeighbourDown port=Gi1/0/50");
    }

    fn aged(mut row: Neighbour, first: Option<u64>, last: Option<u64>) -> Neighbour {
        row.first_seen_seconds_ago = first;
        row.last_heard_seconds_ago = last;
        row
    }

    #[test]
    fn of_two_on_one_port_the_newest_decides() {
        let scene = Scene::two_uplinks();
        let other = row(P50, "dist-2", "48");
        let right = || row(P49, "dist-1", "47");
        let old = || row(P49, "dist-2", "12");
        let two = |a: Neighbour, b: Neighbour| heard(&scene, vec![a, b, other.clone()]);
        // The right one is new, the old one's TTL has not ended.
        let verdict = two(aged(old(), Some(900), Some(2)), aged(right(), Some(3), Some(3)));
        assert_eq!(verdict, Verdict::Pass);
        // The right one is what was there before.
        let verdict = two(aged(old(), Some(3), None), aged(right(), Some(900), None));
        assert_eq!(fault(&verdict, &["found"]), "WrongDevice found=dist-2 port 12");
        // Only the last message is known: one interval must have been missed.
        let verdict = two(aged(old(), None, Some(40)), aged(right(), None, Some(5)));
        assert_eq!(verdict, Verdict::Pass);
        let verdict = two(aged(old(), None, Some(35)), aged(right(), None, Some(5)));
        assert!(unknown(&verdict).contains("dist-2 and dist-1"), "{verdict:?}");
        let verdict = two(old(), right());
        assert!(unknown(&verdict).contains("cannot be told"), "{verdict:?}");
        // One neighbour listed twice is one neighbour.
        assert_eq!(two(right(), right()), Verdict::Pass);
    }

    #[test]
    fn one_far_end_on_two_ports_is_not_believed() {
        let scene = Scene::two_uplinks();
        let rows = vec![
            row(P49, "dist-1", "47"),
            row(P50, "dist-2", "48"),
            row("Gi1/0/7", "dist-1", "47"),
        ];
        let verdict = heard(&scene, rows);
        assert!(unknown(&verdict).starts_with("dist-1 port 47 is heard on ports"), "{verdict:?}");
    }

    #[test]
    fn the_far_port_is_in_the_id_or_else_in_the_description() {
        let scene = Scene::cabled(&[(P49, "dist-1", "Gi1/0/47")]);
        let described = |id: &str, description: &str| {
            let mut row = row(P49, "dist-1", id);
            row.port_description = Some(description.to_owned());
            heard(&scene, vec![row])
        };
        assert_eq!(described("gi1/0/47", "Uplink to acc-sw-17"), Verdict::Pass);
        assert_eq!(described("Uplink to acc-sw-17", "Gi1/0/47"), Verdict::Pass);
        assert_eq!(described("00:1b:21:aa:bb:cc", "Gi1/0/47"), Verdict::Pass);
        // An interface name in the id is the truth, whatever a person wrote beside it.
        let verdict = described("Gi1/0/49", "Gi1/0/47");
        assert_eq!(fault(&verdict, &["found_port"]), "WrongPort found_port=Gi1/0/49");
        let verdict = described("Te1/1/1", "Gi1/0/47");
        assert_eq!(fault(&verdict, &["found_port"]), "WrongPort found_port=Te1/1/1");
        let verdict = described("uplink", "Gi1/0/48");
        assert_eq!(fault(&verdict, &["found_port"]), "WrongPort found_port=Gi1/0/48");
    }

    #[test]
    fn a_device_is_known_by_name_domain_and_chassis() {
        let mut scene = Scene::cabled(&[(P49, "dist-1", "47"), (P50, "dist-2", "48")]);
        let mac = Mac::new([0, 0x1b, 0x21, 0xaa, 0xbb, 1]);
        scene.alter("dist-1", |device| device.macs = vec![mac]);
        let second = row(P50, "DIST-2.example.com", "48");
        let chassis = |name: &str| {
            let mut row = row(P49, name, "47");
            row.chassis_id = Some("001b.21aa.bb01".to_owned());
            heard(&scene, vec![row, second.clone()])
        };
        assert_eq!(chassis(""), Verdict::Pass);
        assert_eq!(chassis("Dist-1"), Verdict::Pass);
        assert_eq!(chassis("Switch"), Verdict::Pass, "its name was not given to it yet");
        assert!(unknown(&chassis("dist-2")).contains("chassis id is that of dist-1"));
        let nameless = heard(&scene, vec![row(P49, "", "47"), second.clone()]);
        assert_eq!(unknown(&nameless), "the neighbour on port Gi1/0/49 gives no name");
        let cdp = heard(&scene, vec![row(P49, "dist-1(FOX1234)", "47"), second.clone()]);
        assert_eq!(cdp, Verdict::Pass);
    }

    #[test]
    fn cdp_is_heard_only_where_lldp_has_nothing_to_say() {
        let scene = Scene::two_uplinks();
        let good = scene.as_planned();
        let cdp = good.lldp.clone();
        let dead = || Reading::unreadable("% LLDP is not enabled");
        let only_cdp = Observation { lldp: dead(), cdp: cdp.clone(), ..good.clone() };
        assert_eq!(judged(&scene, &only_cdp), Verdict::Pass);
        let lldp_empty = Observation { lldp: Reading::Seen(vec![]), cdp, ..good.clone() };
        assert_eq!(fault(&judged(&scene, &lldp_empty), &["port"]), "NeighbourMute port=Gi1/0/49");
        let neither = Observation { lldp: dead(), ..good.clone() };
        assert_eq!(unknown(&judged(&scene, &neither)), "% LLDP is not enabled");
        let never = Observation { lldp: Reading::NotAsked, ..good };
        assert!(unknown(&judged(&scene, &never)).contains("no question"));
    }

    #[test]
    fn of_several_faults_the_lowest_layer_speaks_and_the_rest_is_remarked() {
        let scene = Scene::cabled(&[
            ("1", "dist-1", "11"),
            ("2", "dist-1", "12"),
            ("3", "dist-2", "13"),
            ("4", "dist-2", "14"),
        ]);
        let findings = scene.judge(&Observation {
            lldp: Reading::Seen(vec![
                row("1", "dist-9", "1"),
                row("3", "dist-2", "14"),
                row("4", "dist-2", "13"),
            ]),
            interfaces: Reading::Seen(vec![link("2", false)]),
            ..scene.as_planned()
        });
        assert_eq!(fault(of(&findings), &["port", "port_b"]), "SwappedPair port=3 port_b=4");
        assert_eq!(
            findings.remarks,
            [
                "also G9: port 2: planned dist-1 port 12",
                "also G11: port 1: planned dist-1 port 11, found dist-9 port 1",
            ]
        );
        assert_eq!(most_urgent(&findings).map(|p| p.fault), Some(Fault::SwappedPair));
    }

    /// Cables as local port number to far end; a far end is a device number and a port number.
    type Cabling = BTreeMap<u8, (u8, u8)>;

    fn topology() -> impl Strategy<Value = Cabling> {
        proptest::collection::btree_set((1u8..=3, 1u8..=20), 1..=8)
            .prop_map(|ends| ends.into_iter().enumerate().map(|(n, e)| (n as u8 + 1, e)).collect())
    }

    fn scene_of(cabling: &Cabling) -> Scene {
        let texts: Vec<(String, String, String)> = cabling
            .iter()
            .map(|(port, (device, far))| {
                (port.to_string(), format!("dist-{device}"), far.to_string())
            })
            .collect();
        let cables: Vec<(&str, &str, &str)> =
            texts.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
        Scene::cabled(&cables)
    }

    fn see(scene: &Scene, cabling: &Cabling) -> Verdict {
        let rows = cabling.iter().map(|(port, (device, far))| {
            row(&port.to_string(), &format!("dist-{device}"), &far.to_string())
        });
        heard(scene, rows.collect())
    }

    proptest! {
        #[test]
        fn the_check_passes_if_and_only_if_the_cabling_is_the_plan(
            plan in topology(),
            moves in proptest::collection::vec((1u8..=9, 1u8..=9), 0..4),
            strangers in proptest::collection::vec((1u8..=9, (1u8..=4, 1u8..=21)), 0..2),
            pulled in proptest::collection::vec(1u8..=9, 0..2),
        ) {
            let mut real = plan.clone();
            for (a, b) in moves {
                let (at_a, at_b) = (real.remove(&a), real.remove(&b));
                real.extend(at_a.map(|end| (b, end)));
                if a != b {
                    real.extend(at_b.map(|end| (a, end)));
                }
            }
            for (port, end) in strangers {
                real.retain(|_, there| *there != end);
                real.insert(port, end);
            }
            for port in pulled {
                real.remove(&port);
            }
            let as_planned = plan.iter().all(|(port, end)| real.get(port) == Some(end));
            let verdict = see(&scene_of(&plan), &real);
            prop_assert_eq!(verdict == Verdict::Pass, as_planned, "{:?}", verdict);
            let decided = matches!(verdict, Verdict::Pass | Verdict::Fail(_));
            prop_assert!(decided, "{:?}", verdict);
        }

        #[test]
        fn whatever_a_device_lists_is_judged_without_panic_and_never_passes_by_chance(
            rows in proptest::collection::vec(
                (
                    "[Gi1/049 .-]{0,10}",
                    "\\PC{0,12}",
                    "\\PC{0,12}",
                    any::<Option<u64>>(),
                    any::<Option<u64>>(),
                ),
                0..12,
            ),
            due in any::<bool>(),
        ) {
            let mut scene = Scene::two_uplinks();
            scene.due = due;
            let rows = rows.iter().map(|(port, name, id, first, last)| {
                let mut row = aged(row(port, name, id), *first, *last);
                row.chassis_id = Some(id.clone());
                row.port_description = Some(name.clone());
                row
            });
            let verdict = heard(&scene, rows.collect());
            prop_assert!(matches!(verdict, Verdict::Fail(_)) || !unknown(&verdict).is_empty());
        }

        #[test]
        fn a_swap_of_two_is_named_with_exactly_these_two(
            plan in topology(), a in 0usize..8, b in 0usize..8,
        ) {
            let ports: Vec<u8> = plan.keys().copied().collect();
            let (a, b) = (ports[a % ports.len()], ports[b % ports.len()]);
            prop_assume!(a != b);
            let mut real = plan.clone();
            real.insert(a, plan[&b]);
            real.insert(b, plan[&a]);
            let (low, high) = (a.min(b), a.max(b));
            let line = fault(&see(&scene_of(&plan), &real), &["port", "port_b"]);
            prop_assert_eq!(line, format!("SwappedPair port={low} port_b={high}"));
        }

        #[test]
        fn three_in_a_circle_are_never_right_and_no_swap(
            plan in topology(), turn in any::<bool>(),
        ) {
            prop_assume!(plan.len() >= 3);
            let mut real = plan.clone();
            let there = [(1, 2), (2, 3), (3, 1)];
            let back = [(2, 1), (3, 2), (1, 3)];
            for (port, from) in if turn { there } else { back } {
                real.insert(port, plan[&from]);
            }
            let line = fault(&see(&scene_of(&plan), &real), &["far_device", "far_port"]);
            prop_assert_eq!(line, "WrongPort far_device=acc-sw-17 far_port=1");
        }
    }
}
