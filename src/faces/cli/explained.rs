//! `explain` on a terminal: one paragraph for each request.

use std::fmt::Write;

use serde::Serialize;

/// What was found in one input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The file, or `one message`.
    pub source: String,
    /// What is explained against: the configuration, or that there is none.
    pub ground: String,
    pub requests: Vec<Explained>,
    /// What else is to be known: frames that were passed over, and why.
    pub notes: Vec<String>,
}

/// One request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Its number in the capture, from 1.
    pub frame: Option<u64>,
    /// `DHCPv4 Discover`.
    pub what: String,
    pub from: String,
    /// How often the same message came again.
    pub repeats: u32,
    /// What it says. Text of strangers, every byte outside printable ASCII escaped.
    pub seen: Vec<Told>,
    /// Platforms whose rules fit, the one that counts first.
    pub platforms: Vec<Fit>,
    /// The planned device, if it is one.
    pub device: Option<String>,
    /// How that was found, or why there is none.
    pub identity: Vec<String>,
    /// `OFFER 192.0.2.21 for 43200 s`, or `nothing`.
    pub answer: String,
    /// What the answer carries.
    pub carries: Vec<Told>,
    pub why: Vec<String>,
}

/// A name and a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    pub name: String,
    pub value: String,
}

impl Told {
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// A platform whose rule holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fit {
    pub platform: String,
    /// What its rule looked at.
    pub by: Vec<String>,
    pub serial: Option<String>,
    pub model: Option<String>,
}

/// For people.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    line(&mut out, &format!("{}, against {}", report.source, report.ground));
    for request in &report.requests {
        out.push('\n');
        one(&mut out, request);
    }
    if report.requests.is_empty() {
        line(&mut out, "no request was found");
    }
    if !report.notes.is_empty() {
        out.push('\n');
    }
    report.notes.iter().for_each(|note| line(&mut out, &format!("note: {note}")));
    out
}

fn one(out: &mut String, request: &Explained) {
    let frame = request.frame.map(|number| format!("frame {number}: ")).unwrap_or_default();
    let again = match request.repeats {
        0 => String::new(),
        1 => " (the same came again)".to_owned(),
        count => format!(" (the same came {count} times more)"),
    };
    line(out, &format!("{frame}{} from {}{again}", request.what, request.from));
    pairs(out, "it says", &request.seen);
    let mut head = "looks like";
    for fit in &request.platforms {
        let clue = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!(", {name} {value}")).unwrap_or_default()
        };
        let clues = format!("{}{}", clue("serial", &fit.serial), clue("model", &fit.model));
        item(out, head, &format!("{} by {}{clues}", fit.platform, fit.by.join(" + ")));
        head = "and like";
    }
    if request.platforms.is_empty() {
        item(out, head, "no platform");
    }
    item(out, "is", request.device.as_deref().unwrap_or("no planned device"));
    request.identity.iter().for_each(|line| item(out, "", line));
    item(out, "answer", &request.answer);
    request.why.iter().for_each(|line| item(out, "", line));
    pairs(out, "it carries", &request.carries);
}

fn pairs(out: &mut String, head: &str, pairs: &[Told]) {
    let mut head = head;
    for Told { name, value } in pairs {
        item(out, head, &format!("{name:<24} {value}"));
        head = "";
    }
}

fn item(out: &mut String, head: &str, text: &str) {
    line(out, &format!("  {head:<11} {text}"));
}

/// One line; control characters of strangers do not reach the terminal.
fn line(out: &mut String, text: &str) {
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let _ = writeln!(out, "{}", clean.collect::<String>().trim_end());
}
