//! Do its power supplies, fans and temperatures do what they should?
//!
//! A device is accused only of what it positively tells: a part that is there and does not work.
//! A place without a part is no fault, and a device that has no such command claims nothing. What
//! it says and nobody can read is unknown. Where the inventory says so, none of it counts.

use super::{Plan, Problem, Remarks, Verdict};
use crate::domain::fault::Fault;
use crate::platform::observation::{Observation, Part, PartKind, PartState, Reading};

pub(super) fn environment(plan: &Plan<'_>, seen: &Observation, remarks: &mut Remarks) -> Verdict {
    if !plan.device.expects.environment {
        return Verdict::NotPlanned;
    }
    let parts = match &seen.environment {
        Reading::Seen(parts) => parts,
        Reading::Unreadable { why } => return Verdict::unknown(why),
        Reading::NotAsked => return Verdict::NotPlanned,
    };
    if parts.is_empty() {
        remarks.add("it tells nothing of power supplies, fans and temperatures");
        return Verdict::NotPlanned;
    }
    let mut unclear = parts.iter().filter_map(|part| match &part.state {
        PartState::Unclear { why } => Some(why),
        PartState::Good | PartState::Absent | PartState::Bad => None,
    });
    match (bad(plan, parts, remarks), unclear.next()) {
        (Some(problem), why) => {
            if let Some(why) = why {
                remarks.add(why);
            }
            Verdict::Fail(problem)
        }
        (None, Some(why)) => Verdict::unknown(why),
        (None, None) => Verdict::Pass,
    }
}

/// The part that speaks of those which do not work; the others are remarks.
fn bad(plan: &Plan<'_>, parts: &[Part], remarks: &mut Remarks) -> Option<Problem> {
    let fault = |kind| match kind {
        PartKind::Power => Fault::PowerSupply,
        PartKind::Fan | PartKind::Temperature | PartKind::Other => Fault::FanOrHeat,
    };
    let bad = parts.iter().filter(|part| part.state == PartState::Bad);
    let mut bad: Vec<_> = bad.map(|part| (fault(part.kind), part.name.as_str())).collect();
    bad.sort_by_key(|(fault, _)| fault.layer());
    for (fault, name) in bad.iter().skip(1) {
        remarks.add(&format!("also {}: {name}", fault.code()));
    }
    let (fault, name) = bad.first()?;
    let location = plan.device.location.as_str();
    let mut problem = Problem::new(*fault, &[("part", *name), ("location", location)]);
    if *fault == Fault::PowerSupply && is_label(name) {
        problem.fill.insert("supply".to_owned(), (*name).to_owned());
    }
    Some(problem)
}

/// True for what is no name by itself: `2`, `1B`, `PS2`.
fn is_label(name: &str) -> bool {
    name.len() <= 4 && name.chars().all(|c| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::check::planned::Scene;
    use crate::domain::check::{Check, Findings, all_proven, most_urgent};
    fn part(name: &str, kind: PartKind, state: PartState) -> Part {
        Part { name: name.to_owned(), kind, state }
    }

    fn judged(scene: &Scene, environment: Reading<Vec<Part>>) -> (Verdict, Findings) {
        let findings = scene.judge(&Observation { environment, ..scene.as_planned() });
        let verdict = findings.verdicts.iter().find(|(check, _)| *check == Check::Environment);
        (verdict.expect("every check is there").1.clone(), findings)
    }

    #[test]
    fn a_supply_without_power_speaks_before_a_fan_and_keeps_the_light_from_green() {
        let scene = Scene::two_uplinks();
        let parts = vec![
            part("Fan 3", PartKind::Fan, PartState::Bad),
            part("Power supply 1", PartKind::Power, PartState::Good),
            part("Power supply 2", PartKind::Power, PartState::Bad),
        ];
        let (verdict, findings) = judged(&scene, Reading::Seen(parts));
        let Verdict::Fail(problem) = verdict else { panic!("{verdict:?}") };
        assert_eq!((problem.fault, &*problem.fill["part"]), (Fault::PowerSupply, "Power supply 2"));
        assert!(!problem.fill.contains_key("supply"), "it is a name, no label");
        assert_eq!(findings.remarks, ["also G13f: Fan 3"]);
        assert_eq!(most_urgent(&findings).map(|p| p.fault), Some(Fault::PowerSupply));
        assert!(!all_proven(&findings));
    }

    #[test]
    fn an_empty_place_is_no_fault_and_a_device_without_the_command_claims_nothing() {
        let scene = Scene::two_uplinks();
        let parts = vec![
            part("1", PartKind::Power, PartState::Good),
            part("2", PartKind::Power, PartState::Absent),
            part("Inlet", PartKind::Temperature, PartState::Good),
        ];
        let (verdict, findings) = judged(&scene, Reading::Seen(parts));
        assert_eq!(verdict, Verdict::Pass);
        assert!(all_proven(&findings));
        for silent in [Reading::NotAsked, Reading::Seen(vec![])] {
            let remarked = silent != Reading::NotAsked;
            let (verdict, findings) = judged(&scene, silent);
            assert_eq!(verdict, Verdict::NotPlanned);
            assert!(all_proven(&findings));
            assert_eq!(!findings.remarks.is_empty(), remarked);
        }
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_a_bad_part_beside_it_still_speaks() {
        let mut scene = Scene::two_uplinks();
        let why = "`PSU 1` of unknown kind `X`: `Failed`";
        let (verdict, findings) = judged(&scene, Reading::unreadable(why));
        assert_eq!(verdict, Verdict::unknown(why));
        assert!(!all_proven(&findings));
        let unclear = || {
            let state = PartState::Unclear { why: why.to_owned() };
            vec![part("1", PartKind::Power, PartState::Good), part("2", PartKind::Other, state)]
        };
        let (verdict, findings) = judged(&scene, Reading::Seen(unclear()));
        assert_eq!(verdict, Verdict::unknown(why));
        assert!(!all_proven(&findings));
        let mut parts = unclear();
        parts.push(part("3", PartKind::Power, PartState::Bad));
        let (verdict, findings) = judged(&scene, Reading::Seen(parts));
        assert!(matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
        assert_eq!(findings.remarks, [why]);
        scene.alter("acc-sw-17", |device| {
            Arc::make_mut(&mut device.expects).environment = false;
        });
        assert_eq!(judged(&scene, Reading::unreadable(why)).0, Verdict::NotPlanned);
    }

    #[test]
    fn a_bare_label_is_told_as_such() {
        let scene = Scene::two_uplinks();
        let parts = vec![part("1B", PartKind::Power, PartState::Bad)];
        let (verdict, _) = judged(&scene, Reading::Seen(parts));
        let Verdict::Fail(problem) = verdict else { panic!("{verdict:?}") };
        assert_eq!(problem.fill["supply"], "1B");
    }

    #[test]
    fn heat_is_for_the_network_team_and_an_inventory_may_let_it_be() {
        let mut scene = Scene::two_uplinks();
        let hot = || Reading::Seen(vec![part("CPU", PartKind::Temperature, PartState::Bad)]);
        let (verdict, _) = judged(&scene, hot());
        let Verdict::Fail(problem) = verdict else { panic!("{verdict:?}") };
        assert_eq!(problem.fault, Fault::FanOrHeat);
        scene.alter("acc-sw-17", |device| {
            Arc::make_mut(&mut device.expects).environment = false;
        });
        assert_eq!(judged(&scene, hot()).0, Verdict::NotPlanned);
    }
}
