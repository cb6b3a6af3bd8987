//! Does the intended configuration run, and would it survive a reboot?

use super::{Plan, Problem, REMARKS_MAX, Remarks, Verdict};
use crate::domain::compare;
use crate::domain::fault::Fault;
use crate::platform::comparison::Comparison;
use crate::platform::observation::{Observation, Reading};

/// Lines that are on the device and not in the plan, which the journal names: enough to see what
/// they are, where a system shows hundreds of defaults.
const EXTRA_MAX: usize = 10;

/// Every line that was rendered must be running, and no other may stand where it would change a
/// list.
pub(super) fn running(plan: &Plan<'_>, seen: &Observation, remarks: &mut Remarks) -> Verdict {
    let running = match &seen.running {
        Reading::Seen(text) => text,
        Reading::Unreadable { why } => return Verdict::unknown(why),
        Reading::NotAsked => {
            return Verdict::unknown("its platform has no question for the running configuration");
        }
    };
    let rules = match rules(plan) {
        Ok(rules) => rules,
        Err(unknown) => return unknown,
    };
    if running.trim().is_empty() {
        return Verdict::unknown("expected a running configuration, found nothing");
    }
    if plan.rendered.starts_with("#!") {
        return Verdict::unknown(
            "its template is a script: `configuration:` of the inventory names what it must run",
        );
    }
    if let Err(why) = compare::readable(plan.rendered, rules) {
        return Verdict::unknown(format!("the planned configuration: {why}"));
    }
    if let Err(why) = compare::readable(running, rules) {
        return Verdict::unknown(format!("the running configuration: {why}"));
    }
    let difference = compare::configuration(plan.rendered, running, rules);
    if difference.planned_lines == 0 {
        return Verdict::unknown("expected a planned configuration, found no line in it");
    }
    if difference.unproven_secrets > 0 {
        let count = difference.unproven_secrets;
        remarks.add(&format!("secrets proven by their presence alone, as hashes: {count}"));
    }
    for line in difference.remarks(REMARKS_MAX) {
        remarks.add(&line);
    }
    for line in difference.extra_remarks(EXTRA_MAX) {
        remarks.add(&line);
    }
    if difference.is_satisfied() {
        return Verdict::Pass;
    }
    let missing = difference.missing.len() + difference.intruders.len();
    differs(plan, "running", missing, difference.planned_lines)
}

/// What runs must be saved, and nothing else may come back with the next boot. Where the platform
/// cannot show what is saved, its word counts: it confirmed that it saved, in this visit or in an
/// earlier one since which the configuration was always found running.
pub(super) fn saved(
    plan: &Plan<'_>,
    seen: &Observation,
    saved_before: bool,
    remarks: &mut Remarks,
) -> Verdict {
    let saved = match &seen.saved {
        Reading::Seen(text) => text,
        Reading::Unreadable { why } => return Verdict::unknown(why),
        Reading::NotAsked => return by_its_word(plan, seen, saved_before),
    };
    let Some(running) = seen.running.seen() else {
        return Verdict::unknown("the running configuration is not known to compare with");
    };
    let rules = match rules(plan) {
        Ok(rules) => rules,
        Err(unknown) => return unknown,
    };
    let difference = compare::same(running, saved, rules);
    if difference.is_empty() {
        return Verdict::Pass;
    }
    for line in difference.saved_remarks(REMARKS_MAX) {
        remarks.add(&line);
    }
    let others = difference.intruders.len() + difference.extra.len();
    differs(plan, "saved", difference.missing.len() + others, difference.planned_lines)
}

/// Whether it saved, where what is saved cannot be looked at.
fn by_its_word(plan: &Plan<'_>, seen: &Observation, saved_before: bool) -> Verdict {
    let must = plan.platforms.get(&plan.device.platform).is_some_and(|known| known.must_save);
    match &seen.save {
        Reading::NotAsked if !must => Verdict::NotPlanned,
        Reading::NotAsked if saved_before => Verdict::Pass,
        Reading::NotAsked => Verdict::unknown("it has not been told to save yet"),
        Reading::Seen(()) => Verdict::Pass,
        Reading::Unreadable { why } => Verdict::unknown(why),
    }
}

pub(super) fn rules<'a>(plan: &Plan<'a>) -> Result<&'a Comparison, Verdict> {
    let id = &plan.device.platform;
    match plan.platforms.get(id) {
        Some(platform) => Ok(&platform.comparison),
        None => Err(Verdict::unknown(format!("platform {id} is not known"))),
    }
}

fn differs(plan: &Plan<'_>, which: &str, missing: usize, planned: usize) -> Verdict {
    let fill = [
        ("missing_count", missing.to_string()),
        ("planned_count", planned.to_string()),
        ("found", which.to_owned()),
        ("location", plan.device.location.clone()),
    ];
    let fill: Vec<(&str, &str)> = fill.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Verdict::Fail(Problem::new(Fault::ConfigurationDiffers, &fill))
}

#[cfg(test)]
mod tests {
    use crate::domain::check::planned::Scene;
    use crate::domain::check::{Check, Findings, Verdict};
    use crate::domain::fault::Fault;
    use crate::platform::observation::Reading;

    fn findings(rendered: &str, running: &str) -> Findings {
        let mut scene = Scene::two_uplinks();
        rendered.clone_into(&mut scene.rendered);
        let mut seen = scene.as_planned();
        seen.running = Reading::Seen(running.to_owned());
        scene.judge(&seen)
    }

    fn verdict(findings: &Findings) -> &Verdict {
        &findings.verdicts.iter().find(|(check, _)| *check == Check::Running).unwrap().1
    }

    const PLANNED: &str = "hostname a\nsnmp-server community planned-one RO\n\
        enable secret planned-two\nusername x secret planned-three\n";

    #[test]
    fn another_community_is_a_difference() {
        let running = PLANNED.replace("planned-one", "public");
        let found = findings(PLANNED, &running);
        let Verdict::Fail(problem) = verdict(&found) else { panic!("{found:?}") };
        assert_eq!(problem.fault, Fault::ConfigurationDiffers);
        assert_eq!(problem.fill["missing_count"], "1");
        assert!(!format!("{found:?}").contains("public"), "{found:?}");
    }

    #[test]
    fn secrets_that_only_presence_proves_are_one_remark_and_lines_unplanned_are_remarks() {
        let running = "hostname a\nsnmp-server community planned-one RO\n\
            enable secret 9 $9$aaa\nusername x secret 5 $1$bbb\nip http server\n";
        let found = findings(PLANNED, running);
        assert_eq!(*verdict(&found), Verdict::Pass);
        let told = |start: &str| {
            found.remarks.iter().filter(|remark| remark.starts_with(start)).collect::<Vec<_>>()
        };
        assert_eq!(told("secrets"), ["secrets proven by their presence alone, as hashes: 2"]);
        assert_eq!(told("on the device"), ["on the device, not in the plan: ip http server"]);
        assert!(!format!("{found:?}").contains("$9$"), "{found:?}");
    }

    #[test]
    fn a_script_is_not_compared_with_what_runs() {
        let found = findings("#!/bin/env python\nhostname a\n", "hostname a\n");
        let Verdict::Unknown { why } = verdict(&found) else { panic!("{found:?}") };
        assert!(why.contains("`configuration:`"), "{why}");
    }
}
