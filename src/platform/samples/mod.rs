//! Is a raw answer of a device read as it must be? A sample is what one device said to one
//! question, and beside it what must be read from that. Files belong to whoever calls.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::complaint::Complaint;
use crate::platform::observation::Reading;
use crate::platform::{Output, Platform, Question};

mod difference;
mod written;

pub use difference::{Line, difference};

/// The first line of an expectation that no person has read yet.
pub const MARK: &str = "# Written by `greenlight platform test --write`: read it over, then remove \
                        this line.\n";

/// The expectation of one sample.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// What the file is called in complaints.
    pub file: &'a str,
    pub text: &'a str,
}

/// What became of one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    AsExpected,
    /// As expected, by rows that no person has read over.
    Unread,
    /// What must be read and what was read, line by line.
    Differs(Vec<Line>),
    /// Nobody has said what must be read. The rows that were, as they would be written.
    Unexpected {
        rows: String,
    },
    /// The expectation cannot be read.
    Misshapen(Complaint),
    /// The raw text is no answer to this question; the reason.
    NoAnswer {
        why: String,
    },
}

/// The outputs in the raw text of one sample, one for each command of its question.
///
/// A question of several commands holds their answers one after the other, each below a line `$
/// command`; a first line `% refused: why` in an answer stands for one that the device refused.
pub fn outputs(platform: &Platform, question: Question, raw: &str) -> Result<Vec<Output>, String> {
    let Some(asked) = platform.questions.get(&question) else {
        return Err(format!("{} has no question `{}`", platform.id, question.name()));
    };
    let commands = &asked.commands;
    let mut answers: Vec<String> = Vec::new();
    if commands.len() == 1 {
        answers.push(raw.to_owned());
    }
    for (line, number) in raw.split_inclusive('\n').zip(1..) {
        let called = line.trim_end().strip_prefix("$ ");
        if called.is_some_and(|called| commands.get(answers.len()).is_some_and(|c| c == called)) {
            answers.push(String::new());
        } else if commands.len() > 1 {
            let Some(answer) = answers.last_mut() else {
                let first = &commands[0];
                return Err(format!("line {number}: expected `$ {first}` above its answer"));
            };
            answer.push_str(line);
        }
    }
    if let Some(missing) = commands.get(answers.len()) {
        return Err(format!("expected a line `$ {missing}` and its answer below it, found none"));
    }
    let output = |answer: String| match answer.trim_end().strip_prefix("% refused: ") {
        Some(why) => Output::Refused { why: why.to_owned() },
        None => Output::Text(answer),
    };
    Ok(answers.into_iter().map(output).collect())
}

/// Reads one sample and holds it against its expectation.
pub fn judge(
    platform: &Platform,
    question: Question,
    raw: &str,
    expected: Option<Expected<'_>>,
) -> Verdict {
    let outputs = match outputs(platform, question, raw) {
        Ok(outputs) => outputs,
        Err(why) => return Verdict::NoAnswer { why },
    };
    if question == Question::Save {
        return held(&platform.read_save(&outputs), expected);
    }
    let seen = platform.read(&BTreeMap::from([(question, outputs)]));
    match question {
        Question::Facts => held(&seen.facts, expected),
        Question::Lldp => held(&seen.lldp, expected),
        Question::Cdp => held(&seen.cdp, expected),
        Question::Interfaces => held(&seen.interfaces, expected),
        Question::Environment => held(&seen.environment, expected),
        Question::Running => held(&whole(seen.running, raw), expected),
        Question::Saved => held(&whole(seen.saved, raw), expected),
        Question::Save => Verdict::NoAnswer { why: "it is read on its own".to_owned() },
    }
}

/// What stands for a whole answer in expectations.
const THE_ANSWER: &str = "(the answer)";

fn whole(reading: Reading<String>, raw: &str) -> Reading<String> {
    match reading {
        Reading::Seen(text) if !raw.is_empty() && text == raw => Reading::Seen(THE_ANSWER.into()),
        Reading::Seen(_) | Reading::Unreadable { .. } | Reading::NotAsked => reading,
    }
}

fn held<T>(read: &Reading<T>, expected: Option<Expected<'_>>) -> Verdict
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    let rows = written::write(read);
    let Some(Expected { file, text }) = expected else { return Verdict::Unexpected { rows } };
    match written::read::<T>(file, text) {
        Ok(expected) if expected == *read && text.starts_with(MARK) => Verdict::Unread,
        Ok(expected) if expected == *read => Verdict::AsExpected,
        Ok(expected) => Verdict::Differs(difference(&written::write(&expected), &rows)),
        Err(complaint) => Verdict::Misshapen(complaint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Platforms;

    const RAW: &str = "Building configuration...\nCurrent configuration : 9 bytes\n!\nhostname a\n\
                       end\n";

    fn judged(question: Question, raw: &str, text: Option<&str>) -> Verdict {
        let platforms = Platforms::built_in();
        let expected = text.map(|text| Expected { file: "a.yaml", text });
        judge(&platforms.by_id["cisco_ios"], question, raw, expected)
    }

    #[test]
    fn a_sample_is_as_expected_or_shows_where_it_differs() {
        let running = |text| judged(Question::Running, RAW, text);
        assert_eq!(running(Some("seen: (the answer)\n")), Verdict::AsExpected);
        let marked = format!("{MARK}seen: (the answer)\n");
        assert_eq!(running(Some(&marked)), Verdict::Unread);
        let Verdict::Unexpected { rows } = running(None) else { panic!("nobody said it") };
        assert_eq!(running(Some(&rows)), Verdict::AsExpected);
        let Verdict::Differs(lines) = running(Some("seen: nothing\n")) else { panic!("it does") };
        let minus = Line::Expected("seen: nothing".to_owned());
        assert_eq!(lines, [minus, Line::Read("seen: (the answer)".to_owned())]);
    }

    #[test]
    fn a_misshapen_expectation_is_told_by_its_place() {
        let text = "seen:\n  - local_port: a\n    port: b\n";
        let Verdict::Misshapen(complaint) = judged(Question::Lldp, "", Some(text)) else {
            panic!("`port` is no field")
        };
        assert_eq!(complaint.file, "a.yaml");
        assert!(complaint.line >= 2 && complaint.column >= 1, "{complaint}");
    }

    #[test]
    fn what_is_no_answer_says_what_is_wrong_with_it() {
        let platforms = Platforms::built_in();
        let nxos = &platforms.by_id["cisco_nxos"];
        let why = |question, raw| outputs(nxos, question, raw).unwrap_err();
        assert_eq!(
            why(Question::Facts, "{}\n"),
            "line 1: expected `$ show version | json` above its answer"
        );
        assert_eq!(
            why(Question::Facts, "$ show version | json\n{}\n"),
            "expected a line `$ show inventory | json` and its answer below it, found none"
        );
        let onie = &platforms.by_id["onie"];
        let why = outputs(onie, Question::Lldp, "").unwrap_err();
        assert_eq!(why, "onie has no question `lldp`");
    }
}
