//! Is it the right box, with the right software?

use super::{Plan, Problem, Remarks, Verdict, configuration};
use crate::domain::fault::Fault;
use crate::domain::inventory::expected::Member;
use crate::platform::observation::{Facts, Observation, Reading};

/// The host name it gives must be the one that was rendered, or the device's name where none was;
/// case and a domain behind it do not matter.
pub(super) fn hostname(plan: &Plan<'_>, seen: &Observation) -> Verdict {
    let facts = match &seen.facts {
        Reading::Seen(facts) => facts,
        Reading::Unreadable { why } => return Verdict::unknown(why),
        Reading::NotAsked => return Verdict::NotPlanned,
    };
    let rules = configuration::rules(plan).ok();
    let rendered = rules.and_then(|rules| rules.host_name(plan.rendered));
    let name = rendered.unwrap_or(&plan.device.name);
    let Some(found) = &facts.hostname else {
        return Verdict::unknown(format!("expected host name {name}, found none in its facts"));
    };
    if same_name(name, found) {
        return Verdict::Pass;
    }
    match has_planned_serial(plan, facts) {
        true => other_setting(plan, &format!("host name {found}, planned {name}")),
        false => other_box(plan, name, found),
    }
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
    if has_planned_serial(plan, facts) {
        return Verdict::Pass;
    }
    other_box(plan, planned, &facts.serials.join(", "))
}

/// True if its serial proves that it is the planned box, whatever else it says of itself.
fn has_planned_serial(plan: &Plan<'_>, facts: &Facts) -> bool {
    let Some(planned) = &plan.device.serial else { return false };
    let fits = |serial: &String| serial.trim().eq_ignore_ascii_case(planned.trim());
    facts.serials.iter().any(fits)
}

/// The model must be the planned one; case does not matter.
pub(super) fn model(plan: &Plan<'_>, seen: &Observation) -> Verdict {
    let Some(planned) = &plan.device.expects.model else { return Verdict::NotPlanned };
    let facts = match facts(seen) {
        Ok(facts) => facts,
        Err(unknown) => return unknown,
    };
    match &facts.model {
        None => Verdict::unknown(format!("expected model {planned}, found none in its facts")),
        Some(found) if found.trim().eq_ignore_ascii_case(planned.trim()) => Verdict::Pass,
        Some(found) if has_planned_serial(plan, facts) => {
            other_setting(plan, &format!("model {found}, planned {planned}"))
        }
        Some(found) => other_box(plan, planned, found),
    }
}

/// Every planned chassis of the stack must be there. One that nobody planned is a remark.
pub(super) fn members(plan: &Plan<'_>, seen: &Observation, remarks: &mut Remarks) -> Verdict {
    let planned = &plan.device.expects.members;
    if planned.is_empty() {
        return Verdict::NotPlanned;
    }
    let facts = match facts(seen) {
        Ok(facts) => facts,
        Err(unknown) => return unknown,
    };
    if facts.serials.is_empty() {
        return Verdict::unknown("expected the serials of a stack, found none in its facts");
    }
    let is = |serial: &str, other: &str| serial.trim().eq_ignore_ascii_case(other.trim());
    let known = |serial: &String| planned.iter().any(|member| is(&member.serial, serial));
    for extra in facts.serials.iter().filter(|serial| !known(serial)) {
        remarks.add(&format!("serial {extra} is in the stack and not planned"));
    }
    let there = |member: &&Member| facts.serials.iter().any(|found| is(found, &member.serial));
    let mut missing = planned.iter().filter(|member| !there(member));
    let Some(first) = missing.next() else { return Verdict::Pass };
    for other in missing {
        let code = Fault::MemberMissing.code();
        remarks.add(&format!("also {code}: serial {} is missing", other.serial));
    }
    let number = first.number.map(|number| number.to_string());
    let mut fill = vec![("serial", first.serial.as_str()), ("location", &plan.device.location)];
    fill.extend(number.as_deref().map(|number| ("member", number)));
    Verdict::Fail(Problem::new(Fault::MemberMissing, &fill))
}

/// The version must be the planned one; zeros before a number do not matter: IOS-XE calls one
/// version 17.09.04a and 17.9.4a.
pub(super) fn software(plan: &Plan<'_>, seen: &Observation) -> Verdict {
    let Some(software) = &plan.device.software else { return Verdict::NotPlanned };
    let planned = &software.version;
    let facts = match facts(seen) {
        Ok(facts) => facts,
        Err(unknown) => return unknown,
    };
    match &facts.software {
        None => Verdict::unknown(format!("expected software {planned}, found none in its facts")),
        Some(found) if same_version(found, planned) => Verdict::Pass,
        Some(found) => Verdict::Fail(Problem::new(
            Fault::OtherSoftware,
            &[("found", found), ("planned", planned)],
        )),
    }
}

/// True if both name one version, however long their numbers are written.
fn same_version(a: &str, b: &str) -> bool {
    plain_version(a) == plain_version(b)
}

fn plain_version(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.trim().chars().peekable();
    let mut inside = false;
    while let Some(c) = characters.next() {
        let leads = c == '0' && !inside && characters.peek().is_some_and(char::is_ascii_digit);
        if !leads {
            plain.push(c);
            inside = c.is_ascii_digit();
        }
    }
    plain
}

fn facts(seen: &Observation) -> Result<&Facts, Verdict> {
    match &seen.facts {
        Reading::Seen(facts) => Ok(facts),
        Reading::Unreadable { why } => Err(Verdict::unknown(why)),
        Reading::NotAsked => Err(Verdict::unknown("its platform has no question for facts")),
    }
}

/// The planned box, as it should not be.
fn other_setting(plan: &Plan<'_>, found: &str) -> Verdict {
    let fill = [("found", found), ("location", plan.device.location.as_str())];
    Verdict::Fail(Problem::new(Fault::ConfigurationDiffers, &fill))
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
    fn a_version_is_the_same_however_long_its_numbers_are_written() {
        for (a, b, same) in [
            ("17.09.04a", "17.9.4a", true),
            (" 4.28.0F ", "4.28.0F", true),
            ("15.2(7)E4", "15.2(07)E4", true),
            ("17.9.4", "17.9.40", false),
            ("17.9.4a", "17.9.4", false),
            ("10.2", "1.02", false),
        ] {
            assert_eq!(same_version(a, b), same, "{a} {b}");
        }
    }

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
