//! The `software` section of a platform file, as written and as meant.

use serde::Deserialize;

use super::Desk;
use crate::platform::software::{self, Software, Step, StepKind};
use crate::platform::written::{Answer, Spanned, Text};

/// The section as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSoftware {
    takes: Text,
    #[serde(default)]
    steps: Vec<WrittenStep>,
    #[serde(default)]
    ztp: Vec<Answer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    #[serde(rename = "do")]
    kind: Spanned<StepKind>,
    look: Option<WrittenLook>,
    commands: Vec<Text>,
    #[serde(default)]
    answers: Vec<WrittenAnswer>,
    #[serde(default)]
    success: Vec<Text>,
    #[serde(default)]
    failure: Vec<Text>,
    timeout: Text,
    /// Unless written the whole time of the step.
    silence: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLook {
    command: Text,
    shows: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAnswer {
    line: Text,
    keys: String,
}

impl Desk<'_> {
    pub(super) fn software(&mut self, written: WrittenSoftware) -> Option<Software> {
        let last = written.steps.last().map(|step| &step.kind);
        if let Some(kind) = last.filter(|kind| kind.value != StepKind::Reload) {
            let hint = "the new software runs only after a `reload` step";
            self.complain(kind, "the last step is no reload", hint);
        }
        if written.steps.is_empty() && written.ztp.is_empty() {
            let hint = "write `steps` for its command line, or `ztp` for its own provisioning";
            self.complain(&written.takes, "nothing is said of how it is upgraded", hint);
        }
        Some(Software {
            takes: self.duration(&written.takes)?,
            steps: written.steps.iter().filter_map(|step| self.step(step)).collect(),
            ztp: written.ztp.iter().filter_map(|answer| self.answer(answer)).collect(),
        })
    }

    fn step(&mut self, written: &WrittenStep) -> Option<Step> {
        let gaps = |text: &Text| software::Text::read(&text.value);
        let shows = written.look.as_ref().map(|look| &look.shows);
        for pattern in written.success.iter().chain(shows) {
            // With something in its gaps it must be a pattern.
            self.regex(&Spanned { value: neutral(&pattern.value), ..pattern.clone() });
        }
        if written.commands.is_empty() {
            let hint = "write what is typed under `commands`";
            self.complain(&written.kind, "a step without a command", hint);
        }
        let timeout = self.duration(&written.timeout)?;
        let silence = written.silence.as_ref().and_then(|text| self.duration(text));
        Some(Step {
            kind: written.kind.value,
            look: written.look.as_ref().map(|look| (gaps(&look.command), gaps(&look.shows))),
            commands: written.commands.iter().map(gaps).collect(),
            answers: written
                .answers
                .iter()
                .filter_map(|answer| Some((self.regex(&answer.line)?, answer.keys.clone())))
                .collect(),
            success: written.success.iter().map(gaps).collect(),
            failure: self.regexes(&written.failure),
            timeout,
            silence: silence.unwrap_or(timeout),
        })
    }
}

fn neutral(pattern: &str) -> String {
    ["{image_url}", "{tftp_url}", "{image}", "{version}", "{sha256}", "{md5}"]
        .iter()
        .fold(pattern.to_owned(), |text, gap| text.replace(gap, "x"))
}

#[cfg(test)]
mod tests {
    use crate::platform::Platforms;

    const EMPTY: &str = "title: T\nsettle: 1s\nmust_save: false\n\
        cli: { channel: exec, command_timeout: 1s }\nquestions: {}\n";

    fn complaints(software: &str) -> String {
        let file = ("x.yaml".to_owned(), format!("{EMPTY}software: {software}\n"));
        match Platforms::with_overlay(&[file]) {
            Ok(_) => String::new(),
            Err(complaints) => complaints.iter().map(|told| format!("{told}\n")).collect(),
        }
    }

    #[test]
    fn a_section_that_could_not_upgrade_is_complained_about() {
        for (software, complaint) in [
            ("{ takes: 5m }", "nothing is said of how it is upgraded"),
            (
                "{ takes: 5m, steps: [{ do: copy, commands: [c], timeout: 1m }] }",
                "the last step is no reload",
            ),
            (
                "{ takes: 5m, steps: [{ do: reload, commands: [], timeout: 1m }] }",
                "a step without a command",
            ),
            (
                "{ takes: 5m, steps: [{ do: reload, commands: [r], success: ['('], timeout: 1m }]}",
                "unclosed group",
            ),
            (
                "{ takes: soon, steps: [{ do: reload, commands: [r], timeout: 1m }] }",
                "expected a time with its unit",
            ),
            ("{ takes: 1m, steps: [{ do: fly, commands: [r], timeout: 1m }] }", "fly"),
        ] {
            let told = complaints(software);
            assert!(told.contains(complaint), "{software}: {told}");
        }
        let good = "{ takes: 5m, steps: [{ do: reload, commands: [r], timeout: 1m }] }";
        assert_eq!(complaints(good), "");
    }
}
