//! What a platform's configuration text means when two of them are compared. Only the rules:
//! `domain/compare` does the comparing.

use std::ops::Range;

use regex::{Regex, RegexSet};

use crate::platform::ports::Ports;

/// The rules of one platform. Each pattern meets a line without its indentation, inner spaces
/// joined to one.
#[derive(Debug, Default)]
pub struct Comparison {
    /// How a configuration says what belongs to what.
    pub style: Style,
    /// Lines that mean nothing: comments, counters, time stamps, versions.
    pub ignored: Patterns,
    /// Headers of blocks that mean nothing, with everything indented below them: certificates.
    pub ignored_blocks: Patterns,
    /// Lines that only close a block: indentation already says where it ends.
    pub closers: Patterns,
    /// Lines with a secret in the group `secret`: never shown, and compared by value only where
    /// both sides tell it; of a hash or a cipher only the presence is.
    pub secrets: Patterns,
    /// Planned lines that leave no trace in a running configuration, such as `no shutdown`. When
    /// such a line begins with `no `, its opposite in the same block is still a difference.
    pub traceless: Patterns,
    /// Headers of blocks in which the order of lines matters, and where a line nobody planned is a
    /// fault.
    pub ordered: Patterns,
    /// Lines that form such a block without a header; the group `list` names the block.
    pub ordered_lines: Patterns,
    /// Lines that make a planned block another one when nobody planned them, such as `shutdown`. A
    /// pattern for lines that stand in no block names the words of its block in the group `block`.
    pub unwanted: Patterns,
    /// What the device adds or forgets, in the group `drop`: taken away on both sides before
    /// comparing.
    pub dropped: Patterns,
    /// Headers that name a port in the group `port`, which is brought to one spelling.
    pub port_headers: Patterns,
    /// Lines that give the device its name, in the group `host`; with their indentation.
    pub host_names: Patterns,
    /// Texts that run over several lines up to a mark, such as banners.
    pub delimited: Vec<Delimited>,
    /// The platform's spelling of ports.
    pub ports: Ports,
}

impl Comparison {
    /// The host name that a configuration gives; of several the last, as a device takes them.
    pub fn host_name<'a>(&self, configuration: &'a str) -> Option<&'a str> {
        let name = |line: &'a str| {
            let line = line.trim_end();
            Some(&line[self.host_names.group(line, "host")?])
        };
        configuration.lines().rev().find_map(name)
    }
}

/// How a configuration says what belongs to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// By indentation; without any, every line stands for itself, as `set` lines do.
    #[default]
    Indentation,
    /// By braces, the leaves ending in `;`. The plan may be written as `set` lines instead.
    Braces,
    /// `config`, `edit`, `next` and `end`.
    Edits,
    Json,
    Xml,
}

/// Patterns of one meaning. A line is tried against all of them in one pass: a device may send a
/// hundred thousand lines.
#[derive(Debug, Default)]
pub struct Patterns {
    /// `None` if together they are too large for one automaton; then each is tried.
    set: Option<RegexSet>,
    each: Vec<Regex>,
}

impl Patterns {
    pub fn new(each: Vec<Regex>) -> Self {
        Self { set: RegexSet::new(each.iter().map(Regex::as_str)).ok(), each }
    }

    /// True if one of them matches.
    pub fn any(&self, line: &str) -> bool {
        match &self.set {
            Some(set) => set.is_match(line),
            None => self.each.iter().any(|pattern| pattern.is_match(line)),
        }
    }

    /// Where the group of the first matching pattern stands in the line.
    pub fn group(&self, line: &str, name: &str) -> Option<Range<usize>> {
        if !self.any(line) {
            return None;
        }
        self.each.iter().find_map(|pattern| Some(pattern.captures(line)?.name(name)?.range()))
    }
}

/// A text over several lines.
#[derive(Debug)]
pub struct Delimited {
    /// Its first line. The group `mark`, if there is one, is the mark that ends the text.
    pub start: Regex,
    /// The line that ends the text, where the first line does not say it.
    pub end: Option<String>,
}
