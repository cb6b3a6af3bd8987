//! Does the device answer the operator's own commands as the inventory asks?
//!
//! An answer is hostile text of bounded size. A command that was refused, an answer that cannot be
//! read and a value that is not there are unknown: never a pass, never an accusation.

mod rows;

use std::borrow::Cow;

use super::{Plan, Problem, Remarks, Verdict};
use crate::domain::fault::Fault;
use crate::domain::inventory::expected::{Comparison, Condition, CustomCheck, Operator};
use crate::platform::Platform;
use crate::platform::observation::{Observation, Reading};

/// How much of an answer is quoted.
const QUOTE_CHARS_MAX: usize = 80;
/// Answers up to here are read; what a visit brings is bounded besides.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What came of one check: met, not met with what was found, or the reason why it is not known.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    Yes,
    No { found: String },
    Unknown { why: String },
}

/// The verdict over the required checks. What is open of the optional ones is added to `open`.
pub(super) fn custom(
    plan: &Plan<'_>,
    seen: &Observation,
    remarks: &mut Remarks,
    open: &mut Vec<String>,
) -> Verdict {
    let platform = plan.platforms.get(&plan.device.platform).map(|platform| &**platform);
    let (mut problem, mut unknown, mut required) = (None, None, false);
    for check in &plan.device.expects.checks {
        required |= !check.optional;
        let name = &check.name;
        match (judged(check, seen, platform), check.optional) {
            (Met::Yes, _) => {}
            (Met::No { found }, true) => {
                remarks.add(&format!("optional check {name}: {found}"));
                open.push(super::cut(&check.says));
            }
            (Met::Unknown { why }, true) => {
                remarks.add(&format!("optional check {name} is not known: {why}"));
                open.push(super::cut(&format!("{name} could not be checked")));
            }
            (Met::No { found }, false) => {
                remarks.add(&format!("check {name}: {found}"));
                problem.get_or_insert_with(|| unmet(plan, check, &found));
            }
            (Met::Unknown { why }, false) => {
                unknown = unknown.or_else(|| Some(format!("check {name}: {why}")));
            }
        }
    }
    match (problem, unknown) {
        (Some(problem), _) => Verdict::Fail(problem),
        (None, Some(why)) => Verdict::unknown(why),
        (None, None) if required => Verdict::Pass,
        (None, None) => Verdict::NotPlanned,
    }
}

fn unmet(plan: &Plan<'_>, check: &CustomCheck, found: &str) -> Problem {
    let fill = [
        ("check", check.name.as_str()),
        ("says", check.says.trim_end_matches('.')),
        ("found", found),
        ("location", &plan.device.location),
    ];
    Problem::new(Fault::CheckUnmet, &fill)
}

fn judged(check: &CustomCheck, seen: &Observation, platform: Option<&Platform>) -> Met {
    let text = match seen.further.get(&check.command) {
        Some(Reading::Seen(text)) => text,
        Some(Reading::Unreadable { why }) => return Met::unknown(why.as_str()),
        Some(Reading::NotAsked) | None => return Met::unknown("its command was not asked"),
    };
    if text.len() > ANSWER_BYTES_MAX {
        return Met::unknown(format!("expected at most {ANSWER_BYTES_MAX} bytes, found more"));
    }
    if text.trim().is_empty() && !check.may_be_empty {
        return Met::unknown("expected an answer, found nothing");
    }
    if check.conditions.is_empty() {
        return Met::unknown("it asks for nothing");
    }
    let mut unknown = None;
    for condition in &check.conditions {
        match holds(condition, text, platform) {
            Met::Yes => {}
            Met::No { found } => return Met::No { found },
            Met::Unknown { why } => unknown = unknown.or(Some(why)),
        }
    }
    unknown.map_or(Met::Yes, |why| Met::Unknown { why })
}

fn holds(condition: &Condition, text: &str, platform: Option<&Platform>) -> Met {
    match condition {
        Condition::Contains(wanted) => {
            Met::or(text.contains(wanted.as_str()), || format!("`{wanted}` is not in the answer"))
        }
        Condition::Absent(unwanted) => Met::or(!text.contains(unwanted.as_str()), || {
            let line = text.lines().find(|line| line.contains(unwanted.as_str()));
            quote(line.unwrap_or(unwanted))
        }),
        Condition::Matches(pattern) => {
            Met::or(pattern.is_match(text), || format!("nothing is like {pattern}"))
        }
        Condition::Json { pointer, comparison } => json(pointer, comparison, text),
        Condition::Rows { source, demand } => match rows::read(source, text, platform) {
            Ok(rows) => rows::demanded(demand, &rows),
            Err(why) => Met::Unknown { why },
        },
    }
}

fn json(pointer: &str, comparison: &Comparison, text: &str) -> Met {
    let document: serde_json::Value = match serde_json::from_str(text.trim()) {
        Ok(document) => document,
        Err(error) => {
            return Met::unknown(format!("expected JSON ({error}), found {}", quote(text.trim())));
        }
    };
    let Some(value) = document.pointer(pointer).and_then(scalar) else {
        return Met::unknown(format!("nothing stands at {pointer}"));
    };
    match compares(&value, comparison) {
        Some(truth) => Met::or(truth, || format!("{pointer} is {}", quote(value.text()))),
        None => Met::unknown(format!("{pointer} is {}, which is no number", quote(value.text()))),
    }
}

/// One value of an answer.
#[derive(Debug)]
enum Scalar<'a> {
    Text(Cow<'a, str>),
    /// A number of JSON, as it is written.
    Number(String),
}

impl Scalar<'_> {
    fn text(&self) -> &str {
        match self {
            Scalar::Text(text) => text,
            Scalar::Number(number) => number,
        }
    }
}

/// Nothing but one value can be compared.
fn scalar(value: &serde_json::Value) -> Option<Scalar<'_>> {
    match value {
        serde_json::Value::String(text) => Some(Scalar::Text(text.as_str().into())),
        serde_json::Value::Number(number) => Some(Scalar::Number(number.to_string())),
        serde_json::Value::Bool(truth) => Some(Scalar::Text(truth.to_string().into())),
        serde_json::Value::Null => Some(Scalar::Text("null".into())),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
    }
}

/// `None` if an order is asked of what is no number. Equal are numbers of one value and texts of
/// one spelling: version 4.10 is not 4.1.
fn compares(value: &Scalar<'_>, comparison: &Comparison) -> Option<bool> {
    let found = value.text().trim();
    let equal = || match (value, number(found), number(&comparison.value)) {
        (Scalar::Number(_), Some(a), Some(b)) => a == b,
        (Scalar::Number(_) | Scalar::Text(_), Some(_) | None, Some(_) | None) => {
            found == comparison.value
        }
    };
    let ordered =
        |wanted: fn(f64, f64) -> bool| Some(wanted(number(found)?, number(&comparison.value)?));
    let matches = || Some(comparison.pattern.as_ref()?.is_match(found));
    match comparison.operator {
        Operator::Equals => Some(equal()),
        Operator::Differs => Some(!equal()),
        Operator::Less => ordered(|a, b| a < b),
        Operator::AtMost => ordered(|a, b| a <= b),
        Operator::Greater => ordered(|a, b| a > b),
        Operator::AtLeast => ordered(|a, b| a >= b),
        Operator::Matches => matches(),
        Operator::MatchesNot => matches().map(|found| !found),
    }
}

/// Digits with a sign and a point: not `inf`, not `1e3`, not a version.
fn number(text: &str) -> Option<f64> {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.');
    text.chars().all(plain).then(|| text.parse().ok()).flatten()
}

impl Met {
    fn or(truth: bool, found: impl FnOnce() -> String) -> Self {
        if truth { Met::Yes } else { Met::No { found: found() } }
    }

    fn unknown(why: impl Into<String>) -> Self {
        Met::Unknown { why: why.into() }
    }
}

/// The beginning of a device's text, on one line.
fn quote(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(QUOTE_CHARS_MAX).collect();
    let words = words.join(" ");
    let short: String = words.chars().filter(|c| !c.is_control()).take(QUOTE_CHARS_MAX).collect();
    let more = if short.len() < words.len() { "…" } else { "" };
    format!("`{short}{more}`")
}

#[cfg(test)]
mod tests;
