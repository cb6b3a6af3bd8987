//! Does the device reach the addresses that the inventory names?

use super::{Plan, Problem, Remarks, Verdict};
use crate::domain::fault::Fault;
use crate::platform::observation::{Observation, Reading};

/// Each address must have answered at least once.
pub(super) fn reach(plan: &Plan<'_>, seen: &Observation, remarks: &mut Remarks) -> Verdict {
    let targets = &plan.device.expects.reaches;
    if targets.is_empty() {
        return Verdict::NotPlanned;
    }
    let ping = plan.platforms.get(&plan.device.platform).and_then(|known| known.ping.as_ref());
    let Some(ping) = ping else {
        return Verdict::unknown("its platform has no command to reach an address");
    };
    let (mut silent, mut unknown) = (Vec::new(), None);
    for target in targets {
        let reached = match seen.further.get(&ping.command(*target)) {
            Some(Reading::Seen(text)) => ping.reached(text),
            Some(Reading::Unreadable { why }) => Err(why.clone()),
            Some(Reading::NotAsked) | None => Err(format!("{target} was not tried")),
        };
        match reached {
            Ok(true) => {}
            Ok(false) => silent.push(target.to_string()),
            Err(why) => unknown = unknown.or(Some(why)),
        }
    }
    match (silent.split_first(), unknown) {
        (Some((first, others)), _) => {
            for other in others {
                remarks.add(&format!("also {}: {other}", Fault::CannotReach.code()));
            }
            let fill = [("target", first.as_str()), ("location", &plan.device.location)];
            Verdict::Fail(Problem::new(Fault::CannotReach, &fill))
        }
        (None, Some(why)) => Verdict::unknown(why),
        (None, None) => Verdict::Pass,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::check::planned::Scene;
    use crate::domain::check::{Check, Findings};

    const ANSWERED: &str = "Success rate is 33 percent (1/3), round-trip min/avg/max = 1/1/1 ms";
    const SILENT: &str = "Success rate is 0 percent (0/3)";

    fn judged(platform: &str, answers: &[(&str, Reading<String>)]) -> Findings {
        let mut scene = Scene::two_uplinks();
        scene.alter("acc-sw-17", |device| {
            device.platform = platform.to_owned();
            let targets = answers.iter().map(|(target, _)| target.parse().unwrap());
            Arc::make_mut(&mut device.expects).reaches = targets.collect();
        });
        let mut seen = scene.as_planned();
        for (target, answer) in answers {
            seen.further.insert(format!("ping {target} repeat 3"), answer.clone());
        }
        scene.judge(&seen)
    }

    fn verdict(findings: &Findings) -> &Verdict {
        let found = findings.verdicts.iter().find(|(check, _)| *check == Check::Reach);
        &found.expect("every check is there").1
    }

    #[test]
    fn one_answer_is_enough_and_none_is_a_fault() {
        let text = |text: &str| Reading::Seen(format!("Sending 3\n{text}\n"));
        assert_eq!(*verdict(&judged("cisco_ios", &[])), Verdict::NotPlanned);
        let good = judged("cisco_ios", &[("10.0.0.1", text(ANSWERED))]);
        assert_eq!(*verdict(&good), Verdict::Pass);
        let bad = judged(
            "cisco_ios",
            &[("10.0.0.1", text(ANSWERED)), ("10.0.0.2", text(SILENT)), ("10.0.0.3", text(SILENT))],
        );
        let Verdict::Fail(problem) = verdict(&bad) else { panic!("{bad:?}") };
        assert_eq!((problem.fault, &*problem.fill["target"]), (Fault::CannotReach, "10.0.0.2"));
        assert_eq!(bad.remarks, ["also G23: 10.0.0.3"]);
    }

    #[test]
    fn an_answer_that_says_neither_is_unknown() {
        for (platform, answer) in [
            ("cisco_ios", Reading::Seen("% Unrecognized host\n".to_owned())),
            ("cisco_ios", Reading::Seen(String::new())),
            ("cisco_ios", Reading::unreadable("% Invalid input")),
            ("onie", Reading::Seen(ANSWERED.to_owned())),
            ("nobody", Reading::Seen(ANSWERED.to_owned())),
        ] {
            let findings = judged(platform, &[("10.0.0.1", answer)]);
            assert!(matches!(verdict(&findings), Verdict::Unknown { .. }), "{findings:?}");
        }
    }
}
