//! No secret leaves a judgement: known values are masked wherever they stand, beside what the
//! platform's rules hide by its keyword.

use super::{Findings, Verdict};
use crate::domain::compare::MASK;
use crate::secret::Secret;

/// A value this short stands in ordinary words too; it is masked only as a word of its own.
const SHORT_CHARS: usize = 4;

/// The findings with every known secret masked in all that is shown.
pub(super) fn masked(mut findings: Findings, secrets: &[Secret]) -> Findings {
    let mut values: Vec<&str> = secrets.iter().map(|secret| secret.expose().trim()).collect();
    values.retain(|value| !value.is_empty());
    // The longest first: one may be a part of another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.dedup();
    if values.is_empty() {
        return findings;
    }
    let mask = |text: &mut String| {
        for value in &values {
            if text.contains(value) {
                *text = without(text, value);
            }
        }
    };
    findings.remarks.iter_mut().for_each(mask);
    findings.open.iter_mut().for_each(mask);
    let masked = |mut text: String| {
        mask(&mut text);
        text
    };
    findings.contradictions = findings.contradictions.into_iter().map(masked).collect();
    for (_, verdict) in &mut findings.verdicts {
        match verdict {
            Verdict::Fail(problem) => {
                // Ports and names of the plan are ours; what was found is the device's.
                for key in ["found", "found_device", "found_port", "says"] {
                    problem.fill.get_mut(key).into_iter().for_each(mask);
                }
            }
            Verdict::Unknown { why } => mask(why),
            Verdict::Pass | Verdict::NotPlanned => {}
        }
    }
    findings
}

fn without(text: &str, value: &str) -> String {
    if value.chars().count() >= SHORT_CHARS {
        return text.replace(value, MASK);
    }
    let part = |c: char| c.is_alphanumeric();
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(value) {
        shown.push_str(before);
        let inside = shown.ends_with(part) || after.starts_with(part);
        shown.push_str(if inside { value } else { MASK });
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::check::planned::Scene;
    use crate::domain::check::{Circumstances, judge_visit};
    use crate::platform::observation::Reading;

    #[test]
    fn a_known_secret_is_masked_where_no_keyword_stands_beside_it() {
        let mut scene = Scene::two_uplinks();
        scene.rendered += "alias exec enter hunter2-and-more\ntoken hunter2\n";
        let mut seen = scene.as_planned();
        seen.running = Reading::Seen("hostname acc-sw-17\n".to_owned());
        seen.facts = Reading::unreadable("no place: `alias enter hunter2`");
        let secrets = [Secret::new("hunter2"), Secret::new("hunter2-and-more"), Secret::new("")];
        let circumstances = Circumstances { secrets: &secrets, ..Circumstances::default() };
        let told = format!("{:?}", judge_visit(&scene.plan(), &seen, &circumstances));
        assert!(!told.contains("hunter2"), "{told}");
        assert!(told.contains("alias exec enter <secret>") && told.contains("token <secret>"));
        let open = format!("{:?}", scene.judge(&seen));
        assert!(open.contains("hunter2"), "without the value nothing could be known");
    }

    #[test]
    fn a_short_secret_is_a_word_of_its_own() {
        assert_eq!(
            without("abc xabc abc, abcd (abc)", "abc"),
            "<secret> xabc <secret>, abcd (<secret>)"
        );
        assert_eq!(without("abcabc", "abc"), "abcabc");
        assert_eq!(without("xhunter2x", "hunter2"), "x<secret>x");
    }
}
