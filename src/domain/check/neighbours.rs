//! Is every cable where the plan says? One decision over the whole set of cables.
//!
//! A planned neighbour passes only if it is positively heard: the right device, the right port on
//! it, on the right port here. What else is heard is laid beside the plan, all cables at once, and
//! `repair` finds the smallest set of plugs to be moved; here each of its acts gets its name:
//!
//! 1. plugs of ours that change places: two ([`Fault::SwappedPair`]), or more
//!    ([`Fault::RotatedPlugs`]);
//! 2. a cable to be plugged: nobody is heard and there is no link ([`Fault::NeighbourDown`]);
//! 3. one plug to be moved, at our end or at the other ([`Fault::WrongPort`]), or at a device that
//!    is not the planned one ([`Fault::WrongDevice`]);
//! 4. nobody is heard, and there is link ([`Fault::NeighbourMute`]): no plug is moved on a guess;
//! 5. somebody on a port of no plan, where the inventory wants none
//!    ([`Fault::UnplannedNeighbour`]).
//!
//! One act is said, the others follow: what is true after it is found by the next visit. The words
//! are in `told`.
//!
//! Patience: a missing neighbour is no fault before the plan calls neighbours due, not even where
//! the link is down, for a port may come up late after a boot. While one is still missing and not
//! due, the others' mistakes are not named either: the two halves of a swap are seldom heard at the
//! same time. The same patience is given to a far end whose name is in no plan: it may be the right
//! device that was not given its name yet. A port where it cannot be told who is there now makes
//! the whole check Unknown, at any time: an old neighbour is listed until its TTL ends, and half of
//! a repaired swap must not read as a new fault.
//!
//! Where the device hears nobody itself, its far ends may (`upstream`): then their rows take part
//! in the same decision.

use std::collections::{BTreeSet, HashMap};

use super::far_end::{End, FarEnd, differently_told};
use super::heard::{Ears, Heard, why_cdp_alone};
use super::repair::{self, Act, Far, Near, Repair};
use super::told::{self, Extra};
use super::upstream::Turned;
use super::{Plan, Remarks, Socket, Verdict};
use crate::domain::fault::Fault;
use crate::domain::inventory::meant::{PlannedNeighbour, Unplanned};
use crate::platform::observation::Observation;

/// What is known of all cables.
pub(super) struct Neighbours {
    pub(super) verdict: Verdict,
    /// Planned ports that are proven by LLDP, each with whom else CDP names there: the proof may be
    /// of a plug that is gone.
    pub(super) contradictions: BTreeSet<String>,
}

impl Neighbours {
    fn settled(verdict: Verdict) -> Self {
        Self { verdict, contradictions: BTreeSet::new() }
    }
}

pub(super) fn neighbours(plan: &Plan<'_>, seen: &Observation, remarks: &mut Remarks) -> Neighbours {
    if nothing_planned(plan) {
        return Neighbours::settled(Verdict::NotPlanned);
    }
    match Ears::new(plan, seen) {
        Ok(ears) => match why_cdp_alone(seen) {
            Some(why) => by_cdp_alone(plan, &ears, why, remarks),
            None => decided(plan, &ears, None, remarks),
        },
        Err(why) => Neighbours::settled(Verdict::unknown(why)),
    }
}

/// CDP proves what it names, and a port without light is dark; of any other port LLDP might have
/// told more.
fn by_cdp_alone(plan: &Plan<'_>, ears: &Ears<'_>, why: &str, remarks: &mut Remarks) -> Neighbours {
    let found = decided(plan, ears, Some(why), remarks);
    let dark = matches!(&found.verdict, Verdict::Fail(it) if it.fault == Fault::NeighbourDown);
    match found.verdict == Verdict::Pass || dark {
        true => found,
        false => Neighbours::settled(Verdict::unknown(why)),
    }
}

/// The same with what the far ends hear. `deaf`: why the device itself cannot tell whom it hears.
pub(super) fn joined(
    plan: &Plan<'_>,
    (seen, deaf): (&Observation, Option<String>),
    turned: &Turned,
    remarks: &mut Remarks,
) -> Verdict {
    if nothing_planned(plan) {
        return Verdict::NotPlanned;
    }
    let ears = Ears::joined(plan, seen, turned);
    match (decided(plan, &ears, deaf.as_deref(), remarks).verdict, deaf) {
        (Verdict::Unknown { why }, Some(deaf)) => {
            Verdict::unknown(super::cut(&format!("{deaf}; {why}")))
        }
        (verdict, _) => verdict,
    }
}

/// True if neighbours of the plan are not heard, of whom the far ends may know more.
pub(super) fn asks_far_ends(plan: &Plan<'_>, seen: &Observation) -> bool {
    match Ears::new(plan, seen) {
        Err(_) => !plan.device.neighbours.is_empty(),
        Ok(ears) => plan.neighbours_due && Set::new(plan, &ears).unheard() > 0,
    }
}

fn nothing_planned(plan: &Plan<'_>) -> bool {
    plan.device.neighbours.is_empty() && plan.device.unplanned_neighbours != Unplanned::Fail
}

fn decided(
    plan: &Plan<'_>,
    ears: &Ears<'_>,
    deaf: Option<&str>,
    remarks: &mut Remarks,
) -> Neighbours {
    let unplanned = plan.device.unplanned_neighbours;
    let set = Set::new(plan, ears);
    if let Some(why) = set.unclear().or_else(|| set.too_early()) {
        return Neighbours::settled(Verdict::unknown(why));
    }
    let verdict = set.verdict(deaf.is_some(), remarks);
    let contradictions = match unplanned {
        Unplanned::Ignore => BTreeSet::new(),
        Unplanned::Remark | Unplanned::Fail => set.contradicted_proofs(remarks),
    };
    Neighbours { verdict, contradictions }
}

/// One cable of the plan.
pub(super) struct Cable<'a> {
    pub(super) planned: &'a PlannedNeighbour,
    /// Canonical.
    port: String,
    end: End,
}

/// All sockets that matter, with numbers: those of ours that are planned come first, in the order
/// of the plan, then those on which somebody else is heard.
pub(super) struct Set<'a> {
    pub(super) plan: Plan<'a>,
    ears: &'a Ears<'a>,
    pub(super) cables: Vec<Cable<'a>>,
    /// Ports of ours that are in no plan, by canonical name and as printed.
    others: Vec<(&'a str, &'a str)>,
    planned: Vec<(Near, Far)>,
    present: Vec<(Near, Far)>,
}

impl<'a> Set<'a> {
    /// Whether a port of ours has link, if the device tells.
    pub(super) fn light(&self, near: Near) -> Option<bool> {
        self.ears.link_up(self.port(near))
    }

    fn new(plan: &Plan<'a>, ears: &'a Ears<'a>) -> Self {
        let known = &ears.known;
        let cable = |planned: &'a PlannedNeighbour| Cable {
            planned,
            port: known.port_of_ours(&planned.local_port),
            end: known.planned_end(planned),
        };
        let cables: Vec<Cable<'a>> = plan.device.neighbours.iter().map(cable).collect();
        let mut near: HashMap<&str, Near> = HashMap::new();
        let mut far: HashMap<&End, Far> = HashMap::new();
        let mut planned = Vec::new();
        for (index, cable) in cables.iter().enumerate() {
            near.insert(&cable.port, index);
            let number = far.len();
            planned.push((index, *far.entry(&cable.end).or_insert(number)));
        }
        let (mut others, mut present) = (Vec::new(), Vec::new());
        for (name, port) in &ears.ports {
            let Heard::One(heard) = &port.heard else { continue };
            let socket = near.get(name.as_str()).copied().unwrap_or_else(|| {
                others.push((name.as_str(), port.printed));
                cables.len() + others.len() - 1
            });
            let number = far.len();
            present.push((socket, *far.entry(&heard.end).or_insert(number)));
        }
        Self { plan: *plan, ears, cables, others, planned, present }
    }

    /// `deaf`: only its far ends tell.
    fn verdict(&self, deaf: bool, remarks: &mut Remarks) -> Verdict {
        let repairs = self.repairs();
        let extra = self.extra(&repairs);
        let mut problems = told::problems(self, &repairs);
        if deaf {
            // That no far end hears it either is no word about its cables.
            let mute = problems.len();
            let silent = [Fault::NeighbourMute, Fault::NeighbourUnheard];
            problems.retain(|problem| !silent.contains(&problem.fault));
            if problems.is_empty() && mute > 0 {
                return Verdict::unknown("nobody hears it at the far end");
            }
            if problems.is_empty() && self.plan.device.unplanned_neighbours == Unplanned::Fail {
                return Verdict::unknown("whether somebody else is plugged in cannot be told");
            }
        }
        match self.plan.device.unplanned_neighbours {
            Unplanned::Ignore => {}
            Unplanned::Remark => extra.iter().for_each(|extra| remarks.add(&extra.remark())),
            Unplanned::Fail => {
                problems.extend(extra.iter().map(|extra| extra.problem(&self.plan)));
            }
        }
        let mut problems = problems.into_iter();
        let first = problems.next();
        for later in problems {
            remarks.add(&told::remark(&later));
        }
        first.map_or(Verdict::Pass, Verdict::Fail)
    }

    /// The planned ports that LLDP proves and CDP contradicts, each with whom CDP names.
    fn contradicted_proofs(&self, remarks: &mut Remarks) -> BTreeSet<String> {
        let proven = |cable: &&Cable<'a>| match self.ears.on(&cable.port) {
            Heard::One(far) => far.end == cable.end,
            Heard::Nobody | Heard::Unclear(_) => false,
        };
        let mut contradicted = BTreeSet::new();
        for cable in self.cables.iter().filter(proven) {
            let Some(ends) = self.ears.contradiction(&cable.port) else { continue };
            let PlannedNeighbour { local_port, device, .. } = cable.planned;
            remarks
                .add(&format!("port {local_port} hears {device} by LLDP and somebody else by CDP"));
            let mut others: Vec<String> = ends.iter().map(End::shown).collect();
            others.sort_unstable();
            contradicted.insert(super::cut(&format!("{local_port}: {}", others.join(", "))));
        }
        contradicted
    }

    /// True if LLDP and CDP tell different stories of a cable that is not proven: then one of them
    /// may be of a plug that is gone. That concerns the port where a neighbour is missing, every
    /// port where CDP hears one that is planned, and whoever LLDP hears on a port of no plan.
    pub(super) fn contradicted(&self) -> bool {
        let planned = |end: &End| self.cables.iter().any(|cable| cable.end == *end);
        let open: BTreeSet<&str> = self.open().map(|cable| cable.port.as_str()).collect();
        self.ears.ports.iter().any(|(name, port)| match (&port.contradiction, &port.heard) {
            (Some(ends), Heard::One(far)) => {
                let astray = || !self.cables.iter().any(|cable| cable.port == *name);
                open.contains(name.as_str())
                    || ends.iter().any(planned)
                    || astray() && planned(&far.end)
            }
            (Some(_), Heard::Nobody | Heard::Unclear(_)) | (None, _) => false,
        })
    }

    fn repairs(&self) -> Vec<Repair> {
        let cables = repair::Cables { planned: &self.planned, present: &self.present };
        repair::repairs(&cables, |near| self.ears.link_up(self.port(near)))
    }

    /// The cables that are not proven.
    fn open(&self) -> impl Iterator<Item = &Cable<'a>> {
        self.cables.iter().filter(|cable| match self.ears.on(&cable.port) {
            Heard::One(far) => far.end != cable.end,
            Heard::Nobody | Heard::Unclear(_) => true,
        })
    }

    /// How many planned ports have light, or nobody knows, and hear nobody.
    pub(super) fn unheard(&self) -> usize {
        let silent = |cable: &&Cable<'a>| {
            *self.ears.on(&cable.port) == Heard::Nobody
                && self.ears.link_up(&cable.port) != Some(false)
        };
        self.cables.iter().filter(silent).count()
    }

    /// Why it cannot be told who is where, if so.
    fn unclear(&self) -> Option<String> {
        let mut hearing: HashMap<&End, Vec<&str>> = HashMap::new();
        for port in self.ears.ports.values() {
            if let Heard::One(far) = &port.heard {
                hearing.entry(&far.end).or_default().push(port.printed);
            }
        }
        // A plug stands in one socket: of two ports that hear it, one remembers.
        let twice = self.cables.iter().find_map(|cable| {
            let ports = hearing.get(&cable.end).filter(|ports| ports.len() > 1)?;
            let far = told::in_words(cable.planned);
            Some(format!("{far} is heard on ports {}", ports.join(" and ")))
        });
        let unclear = |cable: &Cable<'a>| match self.ears.on(&cable.port) {
            Heard::Unclear(unclear) => Some(unclear.why.clone()),
            Heard::Nobody | Heard::One(_) => None,
        };
        twice
            .or_else(|| self.open().find_map(unclear))
            .or_else(|| self.open().find_map(|cable| self.elsewhere(cable, &hearing)))
    }

    /// Why this cable could as well be in a port that is not planned, if so.
    fn elsewhere(&self, cable: &Cable<'a>, hearing: &HashMap<&End, Vec<&str>>) -> Option<String> {
        let planned = |port: &str| self.cables.iter().any(|cable| cable.port == port);
        let others = self.ears.ports.iter().filter(|(port, _)| !planned(port));
        for (name, port) in others {
            if differently_told(name, &cable.port) {
                let (printed, planned) = (port.printed, &cable.planned.local_port);
                return Some(format!(
                    "somebody is heard on port {printed}, and the plan says {planned}: these may \
                     be one socket"
                ));
            }
            if let Heard::Unclear(unclear) = &port.heard
                && !hearing.contains_key(&cable.end)
                && unclear.may_be.iter().any(|may| may.eq_ignore_ascii_case(&cable.planned.device))
            {
                return Some(unclear.why.clone());
            }
        }
        None
    }

    /// Why nothing may be said yet, if so.
    fn too_early(&self) -> Option<String> {
        if self.plan.neighbours_due {
            return None;
        }
        self.open().find_map(|cable| {
            let PlannedNeighbour { local_port, device, .. } = cable.planned;
            match self.ears.on(&cable.port) {
                Heard::Nobody => Some(format!("{device} is not heard yet on port {local_port}")),
                Heard::One(far) if far.is_stranger() => {
                    let name = super::cut(far.shown_device());
                    Some(format!("port {local_port} hears {name}, a name that is in no plan"))
                }
                Heard::One(_) | Heard::Unclear(_) => None,
            }
        })
    }

    /// Those who are heard where nobody is planned, and have nothing to do with a planned cable.
    fn extra(&self, repairs: &[Repair]) -> Vec<Extra<'a>> {
        let concerned: BTreeSet<&str> = repairs
            .iter()
            .flat_map(|repair| &repair.acts)
            .flat_map(|act| match act {
                Act::ChangePlaces(ring) => ring.clone(),
                Act::MoveHere { from, .. } => vec![*from],
                Act::MoveThere { .. } | Act::Plug { .. } | Act::Mute { .. } => Vec::new(),
            })
            .map(|near| self.port(near))
            .chain(self.cables.iter().map(|cable| cable.port.as_str()))
            .collect();
        let others = self.ears.ports.iter().filter(|(name, _)| !concerned.contains(name.as_str()));
        others
            .filter_map(|(name, port)| {
                let far = match &port.heard {
                    Heard::One(far) => Some(self.found_end(far)),
                    Heard::Unclear(_) => None,
                    Heard::Nobody => return None,
                };
                Some(Extra { port: port.printed, socket: self.socket_of_ours(name), far })
            })
            .collect()
    }

    /// The sockets that an act touches.
    pub(super) fn sockets(&self, act: &Act) -> Vec<Socket> {
        let ours = |near: &Near| self.socket_of_ours(self.port(*near));
        match act {
            Act::ChangePlaces(ring) => ring.iter().map(ours).collect(),
            Act::MoveHere { from, to } => vec![ours(from), ours(to)],
            Act::MoveThere { near, .. } => {
                let found = match self.ears.on(self.port(*near)) {
                    Heard::One(far) => Some(far.end.socket()),
                    Heard::Nobody | Heard::Unclear(_) => None,
                };
                found.into_iter().chain([self.cables[*near].end.socket()]).collect()
            }
            Act::Plug { near, .. } => vec![self.cables[*near].end.socket()],
            Act::Mute { .. } => Vec::new(),
        }
    }

    fn socket_of_ours(&self, port: &str) -> Socket {
        Socket { device: self.plan.device.name.to_lowercase(), port: super::cut(port) }
    }

    /// The canonical name of a socket of ours.
    fn port(&self, near: Near) -> &str {
        match self.cables.get(near) {
            Some(cable) => &cable.port,
            None => self.others[near - self.cables.len()].0,
        }
    }

    /// A socket of ours as the installer looks for it.
    pub(super) fn shown(&self, near: Near) -> &'a str {
        match self.cables.get(near) {
            Some(cable) => &cable.planned.local_port,
            None => self.others[near - self.cables.len()].1,
        }
    }

    /// Device and port of the far end that is heard on a socket of ours, as shown.
    pub(super) fn found(&self, near: Near) -> Option<(&'a str, &'a str)> {
        match self.ears.on(self.port(near)) {
            Heard::One(far) => Some(self.found_end(far)),
            Heard::Nobody | Heard::Unclear(_) => None,
        }
    }

    fn found_end(&self, far: &FarEnd<'a>) -> (&'a str, &'a str) {
        (far.shown_device(), self.ears.known.shown_port(far))
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
        assert_eq!(fault(of(&findings), &["follow"]), "WrongPort follow=1");
        assert_eq!(findings.remarks, ["also G9: port Gi1/0/50: planned dist-2 port 48"]);
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
        assert_eq!(fault(&judged(&scene, &silent), &keys), format!("NeighbourUnheard {rest}"));
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
        let mut scene = Scene::two_uplinks();
        let interfaces = Reading::Seen(vec![link(P49, true), link(P50, false)]);
        let seen = Observation { interfaces, ..scene.as_planned() };
        assert_eq!(fault(&judged(&scene, &seen), &["port"]), "NeighbourDown port=Gi1/0/50");
        // Nor is it a fault before neighbours are due: the link may come up late after a boot.
        scene.due = false;
        assert_eq!(unknown(&judged(&scene, &seen)), "dist-2 is not heard yet on port Gi1/0/50");
        // By CDP, and beside the right one that is remembered as well.
        let mut rows = vec![row(P49, "dist-1", "47")];
        let lldp = Reading::Seen(rows.clone());
        rows.extend([row(P50, "dist-2", "48"), row(P50, "dist-3", "1")]);
        scene.due = true;
        let seen = Observation { lldp, cdp: Reading::Seen(rows), ..seen };
        assert_eq!(fault(&judged(&scene, &seen), &["port"]), "NeighbourDown port=Gi1/0/50");
    }

    fn aged(mut row: Neighbour, first: Option<u64>, last: Option<u64>) -> Neighbour {
        row.first_seen_seconds_ago = first;
        row.last_heard_seconds_ago = last;
        row
    }

    #[test]
    fn of_two_on_one_port_the_one_that_was_heard_last_is_there_if_the_other_fell_silent() {
        let mut scene = Scene::two_uplinks();
        let other = row(P50, "dist-2", "48");
        let right = || row(P49, "dist-1", "47");
        let old = || row(P49, "dist-2", "12");
        let two = |scene: &Scene, a, b| heard(scene, vec![a, b, other.clone()]);
        // One interval must have been missed.
        let verdict = two(&scene, aged(old(), None, Some(40)), aged(right(), None, Some(5)));
        assert_eq!(verdict, Verdict::Pass);
        let verdict = two(&scene, aged(old(), None, Some(5)), aged(right(), None, Some(40)));
        assert_eq!(fault(&verdict, &["found"]), "WrongDevice found=dist-2 port 12");
        // Both speak: a hub is between, or the one has gone just now.
        for (first, last) in [((900, 35), (3, 5)), ((3, 5), (900, 35)), ((900, 2), (3, 3))] {
            let a = aged(old(), Some(first.0), Some(first.1));
            let b = aged(right(), Some(last.0), Some(last.1));
            let verdict = two(&scene, a, b);
            assert!(unknown(&verdict).contains("dist-2 and dist-1"), "{verdict:?}");
        }
        // Which of them appeared last says nothing: the other may be plugged again, and remembered.
        for (first, last) in [(900, 3), (3, 900)] {
            let verdict =
                two(&scene, aged(old(), Some(first), None), aged(right(), Some(last), None));
            assert!(unknown(&verdict).contains("cannot be told"), "{verdict:?}");
        }
        let verdict = two(&scene, old(), right());
        assert!(unknown(&verdict).contains("cannot be told"), "{verdict:?}");
        // One neighbour listed twice is one neighbour, in whatever words.
        assert_eq!(two(&scene, right(), right()), Verdict::Pass);
        let fully = row(P49, "DIST-1.example.com", "47");
        assert_eq!(two(&scene, fully, right()), Verdict::Pass);
        // The inventory may say that others do not matter; who fell silent is gone all the same.
        scene.alter("acc-sw-17", |device| device.unplanned_neighbours = Unplanned::Ignore);
        assert_eq!(two(&scene, old(), right()), Verdict::Pass);
        let verdict = two(&scene, old(), row(P49, "dist-1", "46"));
        assert!(unknown(&verdict).contains("cannot be told"), "{verdict:?}");
        let verdict = two(&scene, aged(old(), None, Some(5)), aged(right(), None, Some(40)));
        assert_eq!(fault(&verdict, &["found"]), "WrongDevice found=dist-2 port 12");
    }

    #[test]
    fn cdp_speaks_half_as_often_so_it_is_missed_twice_as_late() {
        let scene = Scene::cabled(&[(P49, "dist-1", "47")]);
        let by_cdp = |ago| Observation {
            lldp: Reading::Seen(Vec::new()),
            cdp: Reading::Seen(vec![
                aged(row(P49, "dist-2", "12"), None, Some(ago)),
                aged(row(P49, "dist-1", "47"), None, Some(5)),
            ]),
            ..scene.as_planned()
        };
        assert!(unknown(&judged(&scene, &by_cdp(60))).contains("cannot be told"));
        assert_eq!(judged(&scene, &by_cdp(70)), Verdict::Pass);
    }

    /// What LLDP and CDP list on the two planned ports and on a third.
    fn both(scene: &Scene, lldp: Vec<Neighbour>, cdp: Vec<Neighbour>) -> Findings {
        let (lldp, cdp) = (Reading::Seen(lldp), Reading::Seen(cdp));
        scene.judge(&Observation { lldp, cdp, ..scene.as_planned() })
    }

    #[test]
    fn where_cdp_names_somebody_else_than_lldp_the_accusation_is_marked() {
        let scene = Scene::two_uplinks();
        let second = || row(P50, "dist-2", "48");
        let marked = |findings: &Findings| {
            let Verdict::Fail(problem) = of(findings) else { panic!("{findings:?}") };
            problem.fill.contains_key("contradicted")
        };
        let lldp = || vec![row(P49, "visitor", "7"), second()];
        let findings = both(&scene, lldp(), vec![row(P49, "dist-1", "47")]);
        assert_eq!(fault(of(&findings), &["found"]), "WrongDevice found=visitor port 7");
        assert!(marked(&findings), "what LLDP lists may be gone");
        assert!(marked(&both(&scene, lldp(), vec![row(P49, "core-9", "1")])));
        let same = vec![row(P49, "visitor(FOX12)", "GigabitEthernet7")];
        assert!(!marked(&both(&scene, lldp(), same)), "a stranger is told by its name");
        assert!(!marked(&both(&scene, lldp(), vec![])));
        // A port that has nothing to do with it.
        let mut beside = lldp();
        beside.push(row("Gi1/0/7", "phone", "1"));
        assert!(!marked(&both(&scene, beside, vec![row("Gi1/0/7", "core-9", "1")])));
        // LLDP remembers the right one of the second port, where CDP hears that of the first.
        let due = Scene { due: true, ..Scene::two_uplinks() };
        let missing = both(&due, vec![second()], vec![row(P50, "dist-1", "47")]);
        assert!(marked(&missing), "CDP hears what is missing");
        // A port of no plan, where CDP hears what is missed elsewhere.
        let astray = vec![row("Gi1/0/7", "visitor", "7"), second()];
        assert!(marked(&both(&scene, astray, vec![row("Gi1/0/7", "dist-1", "47")])));
    }

    #[test]
    fn where_cdp_names_somebody_else_than_lldp_the_proof_is_marked() {
        let mut scene = Scene::two_uplinks();
        let good = || vec![row(P49, "dist-1", "47"), row(P50, "dist-2", "48")];
        let marked = |scene: &Scene, cdp| {
            let findings = both(scene, good(), cdp);
            assert_eq!(*of(&findings), Verdict::Pass, "LLDP is nearer");
            assert_eq!(findings.remarks.len(), findings.contradictions.len());
            !findings.contradictions.is_empty()
        };
        assert!(!marked(&scene, vec![]));
        assert!(!marked(&scene, good()));
        assert!(marked(&scene, vec![row(P49, "core-9", "1")]));
        assert!(marked(&scene, vec![row(P50, "dist-2", "12")]));
        assert!(marked(&scene, vec![row(P49, "core-9", "1"), row(P49, "core-8", "1")]));
        assert!(!marked(&scene, vec![row(P49, "dist-1", "uplink")]), "its port is told in words");
        scene.alter("acc-sw-17", |device| device.unplanned_neighbours = Unplanned::Ignore);
        assert!(!marked(&scene, vec![row(P49, "core-9", "1")]));
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
    fn cdp_is_heard_where_lldp_has_nothing_to_say() {
        let scene = Scene::two_uplinks();
        let good = scene.as_planned();
        let cdp = good.lldp.clone();
        let dead = || Reading::unreadable("% LLDP is not enabled");
        let only_cdp = Observation { lldp: dead(), cdp: cdp.clone(), ..good.clone() };
        assert_eq!(judged(&scene, &only_cdp), Verdict::Pass);
        // One of two switches in service speaks only CDP.
        let both = |lldp: Vec<Neighbour>| {
            let lldp = Reading::Seen(lldp);
            judged(&scene, &Observation { lldp, cdp: cdp.clone(), ..good.clone() })
        };
        assert_eq!(both(vec![row(P50, "dist-2", "48")]), Verdict::Pass);
        assert_eq!(both(vec![row(P50, "dist-2", "48"), row(P49, "", "x")]), Verdict::Pass);
        // What LLDP says is nearer: CDP passes through switches that do not know it.
        let verdict = both(vec![row(P50, "dist-2", "48"), row(P49, "dist-3", "1")]);
        assert_eq!(fault(&verdict, &["found"]), "WrongDevice found=dist-3 port 1");
        let neither = Observation { lldp: dead(), ..good.clone() };
        assert_eq!(unknown(&judged(&scene, &neither)), "% LLDP is not enabled");
        let never = Observation { lldp: Reading::NotAsked, ..good };
        assert!(unknown(&judged(&scene, &never)).contains("no question"));
    }

    #[test]
    fn what_cdp_does_not_prove_is_unknown_where_lldp_cannot_be_read() {
        let scene = Scene::two_uplinks();
        let why = "`show lldp neighbors detail`: line 3 has no place: `?`";
        let seen = |cdp: Vec<Neighbour>| Observation {
            lldp: Reading::unreadable(why),
            cdp: Reading::Seen(cdp),
            ..scene.as_planned()
        };
        let proven = || row("Gi1/0/49", "dist-1", "47");
        let both = vec![proven(), row("Gi1/0/50", "dist-2", "48")];
        assert_eq!(judged(&scene, &seen(both)), Verdict::Pass);
        let strange = vec![proven(), row("Gi1/0/50", "dist-9", "48")];
        for cdp in [vec![proven()], strange, Vec::new()] {
            assert_eq!(judged(&scene, &seen(cdp)), Verdict::unknown(why));
        }
        let mut dark = seen(vec![proven()]);
        dark.interfaces = Reading::Seen(vec![link("Gi1/0/49", true), link("Gi1/0/50", false)]);
        let Verdict::Fail(problem) = judged(&scene, &dark) else { panic!("no light is a fact") };
        assert_eq!(problem.fault, Fault::NeighbourDown);
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

    #[test]
    fn a_block_shifted_into_a_free_port_is_mended_from_the_free_port() {
        let cables = [("1", "dist-1", "11"), ("2", "dist-1", "12"), ("3", "dist-2", "13")];
        let scene = Scene::cabled(&cables);
        let rows =
            vec![row("2", "dist-1", "11"), row("3", "dist-1", "12"), row("4", "dist-2", "13")];
        let seen = Observation { lldp: Reading::Seen(rows), ..scene.as_planned() };
        let findings = scene.judge(&seen);
        let keys = ["found_port", "far_port", "far_device", "follow"];
        let line = "WrongPort found_port=2 far_port=1 far_device=acc-sw-17 follow=2";
        assert_eq!(fault(of(&findings), &keys), line);
        assert_eq!(findings.remarks.len(), 2, "{findings:?}");
    }

    #[test]
    fn a_plug_that_nobody_hears_changes_places_where_it_stands_in_the_way() {
        let scene = Scene::two_uplinks();
        let with_light = |light| Observation {
            lldp: Reading::Seen(vec![row(P50, "dist-1", "47")]),
            interfaces: Reading::Seen(vec![link(P49, light), link(P50, true)]),
            ..scene.as_planned()
        };
        let lit = judged(&scene, &with_light(true));
        assert_eq!(fault(&lit, &["port", "port_b"]), "SwappedPair port=Gi1/0/49 port_b=Gi1/0/50");
        let dark = judged(&scene, &with_light(false));
        let line = "WrongPort found_port=Gi1/0/50 far_port=Gi1/0/49";
        assert_eq!(fault(&dark, &["found_port", "far_port"]), line);
    }

    #[test]
    fn somebody_on_a_port_of_no_plan_is_ignored_remarked_or_unplugged() {
        let mut scene = Scene::two_uplinks();
        let mut seen = scene.as_planned();
        let Reading::Seen(rows) = &mut seen.lldp else { panic!("rows are there") };
        rows.push(row("Gi1/0/7", "phone-3", "port 1"));
        let mut told = |policy| {
            scene.alter("acc-sw-17", |device| device.unplanned_neighbours = policy);
            scene.judge(&seen)
        };
        let ignored = told(Unplanned::Ignore);
        assert_eq!((of(&ignored), ignored.remarks.len()), (&Verdict::Pass, 0));
        let remarked = told(Unplanned::Remark);
        assert_eq!(*of(&remarked), Verdict::Pass);
        let remark = "port Gi1/0/7 hears phone-3 port port 1, which is in no plan";
        assert_eq!(remarked.remarks, [remark]);
        let failed = told(Unplanned::Fail);
        let line = "UnplannedNeighbour port=Gi1/0/7 found_device=phone-3";
        assert_eq!(fault(of(&failed), &["port", "found_device"]), line);
        // A planned port is concerned: then it is a matter of that port, whatever the policy.
        let mut seen = scene.as_planned();
        let Reading::Seen(rows) = &mut seen.lldp else { panic!("rows are there") };
        rows[0] = row(P49, "phone-3", "1");
        rows.push(row("Gi1/0/7", "dist-1", "47"));
        for policy in [Unplanned::Ignore, Unplanned::Remark, Unplanned::Fail] {
            scene.alter("acc-sw-17", |device| device.unplanned_neighbours = policy);
            let findings = scene.judge(&seen);
            let line = "SwappedPair port=Gi1/0/49 port_b=Gi1/0/7";
            assert_eq!(fault(of(&findings), &["port", "port_b"]), line);
            assert_eq!(findings.remarks, [""; 0]);
        }
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
        fn three_in_a_circle_are_one_act(plan in topology(), turn in any::<bool>()) {
            prop_assume!(plan.len() >= 3);
            let mut real = plan.clone();
            let there = [(1, 2), (2, 3), (3, 1)];
            let back = [(2, 1), (3, 2), (1, 3)];
            for (port, from) in if turn { there } else { back } {
                real.insert(port, plan[&from]);
            }
            let line = fault(&see(&scene_of(&plan), &real), &["count", "round", "only_at"]);
            let round = if turn { "1 → 2, 2 → 3, 3 → 1" } else { "1 → 3, 2 → 1, 3 → 2" };
            let line_expected = format!("RotatedPlugs count=3 round={round} only_at=acc-sw-17");
            prop_assert_eq!(line, line_expected);
        }
    }
}
