//! What a platform's configuration text means when two of them are compared. Only the rules:
//! `domain/compare` does the comparing.

use regex::Regex;

use crate::platform::ports::Ports;

/// The rules of one platform. Each pattern meets a line without its indentation, inner spaces
/// joined to one.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Lines that mean nothing: comments, counters, time stamps, versions.
    pub ignored: Vec<Regex>,
    /// Headers of blocks that mean nothing, with everything indented below them: certificates.
    pub ignored_blocks: Vec<Regex>,
    /// Lines that only close a block: indentation already says where it ends.
    pub closers: Vec<Regex>,
    /// Lines with a secret in the group `secret`: the device stores a hash or a cipher of what it
    /// was given, so only its presence can be compared with the plan.
    pub secrets: Vec<Regex>,
    /// Planned lines that leave no trace in a running configuration, such as `no shutdown`. When
    /// such a line begins with `no `, its opposite in the same block is still a difference.
    pub traceless: Vec<Regex>,
    /// Headers of blocks in which the order of lines matters, and where a line nobody planned is a
    /// fault.
    pub ordered: Vec<Regex>,
    /// Lines that form such a block without a header; the group `list` names the block.
    pub ordered_lines: Vec<Regex>,
    /// What the device adds or forgets, in the group `drop`: taken away on both sides before
    /// comparing.
    pub dropped: Vec<Regex>,
    /// Headers that name a port in the group `port`, which is brought to one spelling.
    pub port_headers: Vec<Regex>,
    /// Texts that run over several lines up to a mark, such as banners.
    pub delimited: Vec<Delimited>,
    /// The platform's spelling of ports.
    pub ports: Ports,
}

/// A text over several lines.
#[derive(Debug)]
pub struct Delimited {
    /// Its first line. The group `mark`, if there is one, is the mark that ends the text.
    pub start: Regex,
    /// The line that ends the text, where the first line does not say it.
    pub end: Option<String>,
}
