//! `platform test` on a terminal: a line for each sample, and where it differs.

use std::fmt::Write;

use crate::complaint::Complaint;
use crate::platform::samples::{Line, Verdict};

/// What became of one sample, or of a question that has none.
#[derive(Debug)]
pub struct Trial {
    /// `acme_os lldp/no_neighbour`.
    pub name: String,
    /// The file of the rows.
    pub file: String,
    pub end: End,
}

#[derive(Debug)]
pub enum End {
    Judged(Verdict),
    /// What was read is written down now.
    Written,
    NotWritten {
        why: String,
    },
    /// The platform has this question, and nothing proves it.
    NoSample,
}

impl Trial {
    fn passed(&self) -> bool {
        match &self.end {
            End::Judged(Verdict::AsExpected | Verdict::Unread) | End::Written => true,
            End::Judged(
                Verdict::Differs(_)
                | Verdict::Unexpected { .. }
                | Verdict::Misshapen(_)
                | Verdict::NoAnswer { .. },
            )
            | End::NotWritten { .. }
            | End::NoSample => false,
        }
    }
}

/// Whether nothing is left to mend.
pub fn passed(trials: &[Trial]) -> bool {
    !trials.is_empty() && trials.iter().all(Trial::passed)
}

/// Lines that stay, shown around one that differs.
const CONTEXT: usize = 3;

/// The lines, with a sum.
pub fn text(trials: &[Trial]) -> String {
    let mut out = String::new();
    for trial in trials {
        one(&mut out, trial);
    }
    let failed = trials.iter().filter(|trial| !trial.passed()).count();
    let unread = trials.iter().filter(|trial| match &trial.end {
        End::Judged(Verdict::Unread) | End::Written => true,
        End::Judged(_) | End::NotWritten { .. } | End::NoSample => false,
    });
    let mut sum = match (trials.len(), failed) {
        (0, _) => "no sample was found".to_owned(),
        (count, 0) => format!("{count} samples, all as expected"),
        (count, failed) => format!("{failed} of {count} failed"),
    };
    match unread.count() {
        0 => {}
        count => sum.push_str(&format!("; {count} to be read over")),
    }
    line(&mut out, &sum);
    out
}

fn one(out: &mut String, trial: &Trial) {
    let Trial { name, file, end } = trial;
    match end {
        End::Judged(Verdict::AsExpected) => line(out, &format!("ok    {name}")),
        End::Judged(Verdict::Unread) => {
            line(out, &format!("ok    {name} (nobody has read {file} over yet)"));
        }
        End::Written => line(out, &format!("wrote {file}: read it over")),
        End::Judged(Verdict::Differs(lines)) => {
            line(out, &format!("FAIL  {name}: not read as {file} says (- expected, + read)"));
            differing(out, lines);
        }
        End::Judged(Verdict::Unexpected { rows }) => {
            line(
                out,
                &format!(
                    "FAIL  {name}: nobody says what must be read; `--write` makes {file} of this:"
                ),
            );
            rows.lines().for_each(|row| line(out, &format!("      {row}")));
        }
        End::Judged(Verdict::Misshapen(complaint)) => {
            let Complaint { line: at, column, message, excerpt, hint, .. } = complaint;
            line(out, &format!("FAIL  {name}"));
            line(out, &format!("      {file}:{at}:{column}: {message}"));
            line(out, &format!("      {at} | {excerpt}"));
            line(out, &format!("      hint: {hint}"));
        }
        End::Judged(Verdict::NoAnswer { why }) => line(out, &format!("FAIL  {name}: {why}")),
        End::NotWritten { why } => line(out, &format!("FAIL  {name}: cannot write {file}: {why}")),
        End::NoSample => line(out, &format!("FAIL  {name}: no sample proves it")),
    }
}

fn differing(out: &mut String, lines: &[Line]) {
    let differs = |line: &Line| match line {
        Line::Both(_) => false,
        Line::Expected(_) | Line::Read(_) => true,
    };
    let mut left_out = false;
    for (at, shown) in lines.iter().enumerate() {
        let near = &lines[at.saturating_sub(CONTEXT)..lines.len().min(at + CONTEXT + 1)];
        if !near.iter().any(differs) {
            left_out = true;
            continue;
        }
        if std::mem::take(&mut left_out) {
            line(out, "      ...");
        }
        match shown {
            Line::Both(text) => line(out, &format!("        {text}")),
            Line::Expected(text) => line(out, &format!("      - {text}")),
            Line::Read(text) => line(out, &format!("      + {text}")),
        }
    }
}

/// One line; control characters of a device do not reach the terminal.
fn line(out: &mut String, text: &str) {
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let _ = writeln!(out, "{}", clean.collect::<String>().trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::samples::difference;

    fn trial(name: &str, end: End) -> Trial {
        Trial { name: format!("acme_os {name}"), file: format!("acme_os/{name}.yaml"), end }
    }

    #[test]
    fn trials_look_as_in_the_golden_file() {
        let read: String = (0..9).map(|port| format!("- port: e{port}\n")).collect();
        let lines = difference(&read.replace("e7", "e17"), &read);
        let misshapen = Complaint {
            file: "x".into(),
            line: 3,
            column: 5,
            message: "unknown field `port`".into(),
            hint: "remove it".into(),
            excerpt: "    port: \u{1b}[2J".into(),
        };
        let why = "line 1: expected `$ show a` above its answer".to_owned();
        let shown = text(&[
            trial("facts/a_switch", End::Judged(Verdict::AsExpected)),
            trial("facts/a_stack", End::Judged(Verdict::Unread)),
            trial("lldp/many", End::Judged(Verdict::Differs(lines))),
            trial("lldp/one", End::Judged(Verdict::Misshapen(misshapen))),
            trial("lldp/none", End::Judged(Verdict::Unexpected { rows: "seen: []\n".into() })),
            trial("facts/cut", End::Judged(Verdict::NoAnswer { why })),
            trial("saved/one", End::Written),
            trial("saved/two", End::NotWritten { why: "no space".into() }),
            trial("running", End::NoSample),
        ]);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/platform_test.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &shown).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), shown);
        assert!(!shown.contains('\u{1b}'));
    }

    #[test]
    fn only_what_is_as_expected_passes() {
        assert!(passed(&[trial("facts/a", End::Judged(Verdict::AsExpected))]));
        assert!(!passed(&[trial("facts/a", End::NoSample)]));
        assert!(!passed(&[]), "nothing was proven");
    }
}
