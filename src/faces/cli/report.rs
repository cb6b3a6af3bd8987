//! Complaints in a terminal: the place, what is wrong, the line with a caret, the next move.

use std::fmt::Write;

use crate::complaint::Complaint;

/// More than a person reads at once; `--format json` has them all.
const SHOWN_MAX: usize = 50;

/// For people. Ends with a sum.
pub fn text(complaints: &[Complaint]) -> String {
    let mut out = String::new();
    for complaint in complaints.iter().take(SHOWN_MAX) {
        one(&mut out, complaint);
        out.push('\n');
    }
    if let Some(more) = complaints.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        line(&mut out, &format!("... and {more} more; `--format json` lists all of them"));
    }
    let sum = match complaints.len() {
        0 => "all is well".to_owned(),
        1 => "1 complaint".to_owned(),
        count => format!("{count} complaints"),
    };
    line(&mut out, &sum);
    out
}

/// What is no complaint and deserves a look.
pub fn remarks(remarks: &[Complaint]) -> String {
    let mut out = String::new();
    for remark in remarks.iter().take(SHOWN_MAX) {
        line(&mut out, &format!("note: {}", remark.message));
    }
    out
}

/// One list, for programs.
pub fn json(complaints: &[Complaint]) -> String {
    let mut out = serde_json::to_string_pretty(complaints).expect("complaints are plain text");
    out.push('\n');
    out
}

fn one(out: &mut String, complaint: &Complaint) {
    let place = match complaint.line {
        0 => complaint.file.clone(),
        line => format!("{}:{line}:{}", complaint.file, complaint.column),
    };
    line(out, &format!("{place}: {}", complaint.message));
    if !complaint.excerpt.is_empty() {
        let number = complaint.line.to_string();
        line(out, &format!("  {number} | {}", complaint.excerpt.replace('\t', " ")));
        let caret = " ".repeat(usize::try_from(complaint.column.max(1) - 1).unwrap_or(0).min(160));
        line(out, &format!("  {} | {caret}^", " ".repeat(number.len())));
    }
    if !complaint.hint.is_empty() {
        line(out, &format!("  hint: {}", complaint.hint));
    }
}

/// One line; control characters of the operator's files do not reach the terminal.
fn line(out: &mut String, text: &str) {
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let _ = writeln!(out, "{}", clean.collect::<String>().trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_escape_in_a_file_does_not_reach_the_terminal() {
        let complaint = Complaint {
            file: "a.yaml".to_owned(),
            line: 12,
            column: 3,
            message: "the key \u{1b}[31m is unknown".to_owned(),
            hint: String::new(),
            excerpt: "a:\u{1b}[2J".to_owned(),
        };
        let shown = text(&[complaint]);
        assert!(!shown.contains('\u{1b}'));
        assert!(shown.starts_with("a.yaml:12:3: the key"), "{shown}");
        assert!(shown.contains("\n     |   ^\n"), "{shown}");
        assert!(shown.ends_with("1 complaint\n"));
    }

    #[test]
    fn complaints_look_as_in_the_golden_file() {
        use crate::domain::inventory::resolve::{Known, plan};

        let written = "\
sites:
  zurich: { title: Zürich }
devices:
  - name: access-1
    site: zürich
    seriall: FOC1
    managed: false
  - { name: access-1, site: zurich, managed: no }
";
        let known = Known {
            platforms: &[].into(),
            languages: &[].into(),
            templates: &[].into(),
            canonical_port: &|_, port| port.to_owned(),
            directory: std::path::Path::new(""),
        };
        let (_, mut complaints) = plan("inventory.yaml", written, &known);
        complaints.push(crate::complaint::Complaint {
            file: "templates".to_owned(),
            line: 0,
            column: 0,
            message: "cannot be read".to_owned(),
            hint: String::new(),
            excerpt: String::new(),
        });
        let shown = format!("{}\n{}", text(&complaints), json(&complaints));
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/check.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &shown).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), shown);
    }

    #[test]
    fn a_flood_of_complaints_is_summed_up() {
        let complaint = Complaint {
            file: "a".to_owned(),
            line: 0,
            column: 0,
            message: "wrong".to_owned(),
            hint: String::new(),
            excerpt: String::new(),
        };
        let shown = text(&vec![complaint; 60]);
        assert!(shown.contains("... and 10 more"));
        assert!(shown.ends_with("60 complaints\n"));
    }
}
