//! What is wrong with something the operator wrote: where, what was found, and the next move.
//! Complaints about one input are gathered and shown together.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A line and column of a file, both from 1; zero where a complaint is about the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Place {
    pub line: u32,
    /// In characters.
    pub column: u32,
}

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Complaint {
    pub file: String,
    pub line: u32,
    pub column: u32,
    /// Begins small, ends without a stop, never holds a secret.
    pub message: String,
    /// The next move; may be empty.
    pub hint: String,
    /// The line itself, where whoever complains has the text; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub excerpt: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

/// The complaints about one file, while it is read.
#[derive(Debug)]
pub struct Complaints {
    file: Arc<str>,
    list: Vec<Complaint>,
}

impl Complaints {
    pub fn about(file: &str) -> Self {
        Self { file: file.into(), list: Vec::new() }
    }

    pub fn at(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.list.push(Complaint {
            file: self.file.to_string(),
            line: place.line,
            column: place.column,
            message: message.into(),
            hint: hint.into(),
            excerpt: String::new(),
        });
    }

    /// [`did_you_mean`], while there are few complaints: comparing every wrong name of a large file
    /// with every right one would take minutes, and nobody reads that many hints.
    pub fn look_alike<'a>(
        &self,
        written: &str,
        known: impl IntoIterator<Item = &'a str>,
        else_hint: impl FnOnce() -> String,
    ) -> String {
        if self.list.len() < LOOK_ALIKES_MAX {
            did_you_mean(written, known, else_hint)
        } else {
            else_hint()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them in the order of the file, each with its line of `text`.
    pub fn finish(mut self, text: &str) -> Vec<Complaint> {
        if self.list.is_empty() {
            return self.list;
        }
        self.list.sort();
        let mut lines = lines(text).zip(1..);
        let mut current = lines.next();
        for complaint in &mut self.list {
            while current.is_some_and(|(_, number)| number < complaint.line) {
                current = lines.next();
            }
            if let Some((line, number)) = current
                && number == complaint.line
            {
                complaint.excerpt = line.chars().take(EXCERPT_CHARACTERS_MAX).collect();
            }
        }
        self.list
    }
}

/// The lines of a text as YAML counts them: a lone carriage return ends one, too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Twice as many complaints as a terminal is given.
const LOOK_ALIKES_MAX: usize = 100;

/// A wide terminal shows it whole.
const EXCERPT_CHARACTERS_MAX: usize = 160;

/// ``did you mean `serial`?`` if one of `known` looks like `written`, and otherwise `else_hint`.
pub fn did_you_mean<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
    else_hint: impl FnOnce() -> String,
) -> String {
    match nearest(written, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => else_hint(),
    }
}

/// The look-alike among `known`: at most a third of its letters differ.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written: Vec<char> = written.chars().take(NAME_CHARACTERS_MAX).collect();
    known
        .into_iter()
        .map(|name| (distance(&written, name), name))
        .filter(|(distance, name)| *distance <= name.chars().count().div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

/// Longer names are not compared to their end: suggestions are a courtesy, not a search.
const NAME_CHARACTERS_MAX: usize = 64;

/// Insertions, removals, replacements and swaps of neighbours that turn one into the other,
/// without regard to case.
fn distance(written: &[char], name: &str) -> usize {
    let name: Vec<char> = name.chars().take(NAME_CHARACTERS_MAX).collect();
    let same = |a: char, b: char| a.eq_ignore_ascii_case(&b);
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=name.len()).collect();
    for (row, &left) in written.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &right) in name.iter().enumerate() {
            let replaced = above[column] + usize::from(!same(left, right));
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0
                && column > 0
                && same(left, name[column - 1])
                && same(written[row - 1], right);
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word_and_another_word_does_not() {
        let known = ["serial", "site", "software", "mac"];
        for (written, expected) in [
            ("seriall", Some("serial")),
            ("sreial", Some("serial")),
            ("Serial", Some("serial")),
            ("mca", Some("mac")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known), expected, "{written}");
        }
    }

    #[test]
    fn complaints_come_in_the_order_of_the_file_with_their_lines() {
        let mut complaints = Complaints::about("a.yaml");
        complaints.at(Place { line: 3, column: 1 }, "second", "");
        complaints.at(Place { line: 1, column: 2 }, "first", "do this");
        let list = complaints.finish("one\ntwo\nthree\n");
        assert_eq!(list[0].to_string(), "a.yaml:1:2: first (do this)");
        assert_eq!(list[0].excerpt, "one");
        assert_eq!(list[1].excerpt, "three");
    }

    #[test]
    fn a_carriage_return_ends_a_line_as_it_does_in_yaml() {
        assert_eq!(lines("a\rb\r\nc\n\r\nd").collect::<Vec<_>>(), ["a", "b", "c", "", "d"]);
        let mut complaints = Complaints::about("a.yaml");
        complaints.at(Place { line: 3, column: 1 }, "wrong", "");
        assert_eq!(complaints.finish("one\rtwo\rthree\nfour\n")[0].excerpt, "three");
    }
}
