//! Do its power supplies, fans and temperatures do what they should?
//!
//! A device is accused only of what it positively tells: a part that is there and does not work.
//! A place without a part is no fault, and what a device does not tell claims nothing. Where the
//! inventory says so, none of it counts.

use super::{Plan, Problem, Remarks, Verdict};
use crate::domain::fault::Fault;
use crate::platform::observation::{Observation, PartKind, PartState};

pub(super) fn environment(plan: &Plan<'_>, seen: &Observation, remarks: &mut Remarks) -> Verdict {
    let parts = match seen.environment.seen() {
        Some(parts) if plan.device.expects.environment && !parts.is_empty() => parts,
        Some(_) | None => return Verdict::NotPlanned,
    };
    let fault = |kind| match kind {
        PartKind::Power => Fault::PowerSupply,
        PartKind::Fan | PartKind::Temperature => Fault::FanOrHeat,
    };
    let bad = parts.iter().filter(|part| part.state == PartState::Bad);
    let mut bad: Vec<_> = bad.map(|part| (fault(part.kind), part.name.as_str())).collect();
    bad.sort_by_key(|(fault, _)| fault.layer());
    for (fault, name) in bad.iter().skip(1) {
        remarks.add(&format!("also {}: {name}", fault.code()));
    }
    match bad.first() {
        Some((fault, name)) => {
            let location = plan.device.location.as_str();
            let mut problem = Problem::new(*fault, &[("part", *name), ("location", location)]);
            if *fault == Fault::PowerSupply && is_label(name) {
                problem.fill.insert("supply".to_owned(), (*name).to_owned());
            }
            Verdict::Fail(problem)
        }
        None => Verdict::Pass,
    }
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
    use crate::platform::observation::{Part, Reading};

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
    fn an_empty_place_is_no_fault_and_silence_claims_nothing() {
        let scene = Scene::two_uplinks();
        let parts = vec![
            part("1", PartKind::Power, PartState::Good),
            part("2", PartKind::Power, PartState::Absent),
            part("Inlet", PartKind::Temperature, PartState::Good),
        ];
        let (verdict, findings) = judged(&scene, Reading::Seen(parts));
        assert_eq!(verdict, Verdict::Pass);
        assert!(all_proven(&findings));
        for silent in [Reading::NotAsked, Reading::unreadable("% Invalid"), Reading::Seen(vec![])] {
            let (verdict, findings) = judged(&scene, silent);
            assert_eq!(verdict, Verdict::NotPlanned);
            assert!(all_proven(&findings));
        }
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
