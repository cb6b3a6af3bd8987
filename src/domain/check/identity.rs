//! Is it the right box, with the right software?

use super::{Plan, Problem, Verdict};
use crate::domain::fault::Fault;
use crate::platform::observation::{Facts, Observation, Reading};

/// The host name it gives must be the device's name; case and a domain behind it do not matter.
pub(super) fn hostname(plan: &Plan<'_>, seen: &Observation) -> Verdict {
    let facts = match &seen.facts {
        Reading::Seen(facts) => facts,
        Reading::Unreadable { why } => return Verdict::unknown(why),
        Reading::NotAsked => return Verdict::NotPlanned,
    };
    let Some(found) = &facts.hostname else {
        let name = &plan.device.name;
        return Verdict::unknown(format!("expected host name {name}, found none in its facts"));
    };
    if same_name(&plan.device.name, found) {
        return Verdict::Pass;
    }
    other_box(plan, &plan.device.name, found)
}

/// The planned serial must be among those it gives.
pub(super) fn serial(plan: &Plan<'_>, seen: &Observation) -> Verdict {
    let Some(planned) = &plan.device.serial else { return Verdict::NotPlanned };
    let facts = match facts(seen) {
        Ok(facts) => facts,
        Err(unknown) => return unknown,
    };
    if facts.serials.is_empty() {
        return Verdict::unknown(format!("expected serial {planned}, found none in its facts"));
    }
    let fits = |serial: &String| serial.trim().eq_ignore_ascii_case(planned.trim());
    if facts.serials.iter().any(fits) {
        return Verdict::Pass;
    }
    other_box(plan, planned, &facts.serials.join(", "))
}

/// The version must be the planned one to the letter.
pub(super) fn software(plan: &Plan<'_>, seen: &Observation) -> Verdict {
    let Some(software) = &plan.device.software else { return Verdict::NotPlanned };
    let planned = &software.version;
    let facts = match facts(seen) {
        Ok(facts) => facts,
        Err(unknown) => return unknown,
    };
    match &facts.software {
        None => Verdict::unknown(format!("expected software {planned}, found none in its facts")),
        Some(found) if found.trim() == planned.trim() => Verdict::Pass,
        Some(found) => Verdict::Fail(Problem::new(
            Fault::OtherSoftware,
            &[("found", found), ("planned", planned)],
        )),
    }
}

fn facts(seen: &Observation) -> Result<&Facts, Verdict> {
    match &seen.facts {
        Reading::Seen(facts) => Ok(facts),
        Reading::Unreadable { why } => Err(Verdict::unknown(why)),
        Reading::NotAsked => Err(Verdict::unknown("its platform has no question for facts")),
    }
}

fn other_box(plan: &Plan<'_>, planned: &str, found: &str) -> Verdict {
    let location = &plan.device.location;
    let fill = [("found", found), ("planned", planned), ("location", location)];
    Verdict::Fail(Problem::new(Fault::OtherBox, &fill))
}

/// True if the two are one name, or one is the other with a domain behind it. Two names with
/// different domains differ.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    let a = a.trim().trim_end_matches('.').to_lowercase();
    let b = b.trim().trim_end_matches('.').to_lowercase();
    let behind = |long: &str, short: &str| {
        !short.is_empty() && long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'))
    };
    !a.is_empty() && (a == b || behind(&a, &b) || behind(&b, &a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_up_to_case_and_one_domain() {
        for (a, b, same) in [
            ("dist-1", "DIST-1", true),
            ("dist-1", "dist-1.example.com", true),
            ("dist-1.example.com.", "Dist-1", true),
            ("dist-1", "dist-10", false),
            ("acc.1", "acc.2", false),
            ("", "", false),
            ("", ".example.com", false),
        ] {
            assert_eq!(same_name(a, b), same, "{a} {b}");
            assert_eq!(same_name(b, a), same, "{b} {a}");
        }
    }
}
