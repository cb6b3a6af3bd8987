//! Are the words of a language fit for somebody at a rack with a phone? Short, plain, one thing to
//! do.

use std::collections::BTreeSet;

use crate::domain::fault::Fault;
use crate::domain::notice::clean::TEXT_CHARS_MAX;
use crate::domain::notice::words::{Fill, Words};
use crate::domain::notice::written::Rules;
use crate::domain::notice::{HEADLINE_CHARS_MAX, WHOLE_CHARS_MAX};

/// Every placeholder, with a text as it usually is.
const SAMPLES: [(&str, &str); 41] = [
    ("device", "acc-sw-17"),
    ("location", "12"),
    ("port", "Gi1/0/49"),
    ("port_b", "Gi1/0/50"),
    ("round", "Gi1/0/49 → 50, 50 → 51, 51 → 49"),
    ("count", "12"),
    ("follow", "12"),
    ("only_at", "acc-sw-17"),
    ("our_port", "Gi1/0/51"),
    ("far_device", "dist-1"),
    ("far_port", "Te1/0/47"),
    ("found_device", "dist-1"),
    ("found_port", "Te1/0/47"),
    ("planned", "12"),
    ("found", "12"),
    ("missing_count", "12"),
    ("planned_count", "12"),
    ("aborted", "12"),
    ("done", "12"),
    ("steps", "12"),
    ("step", "checking cables"),
    ("took", "5 min 12 s"),
    ("hooks", "12"),
    ("handed_at", "12"),
    ("by", "12"),
    ("why", "12"),
    ("waited", "12"),
    ("problem", "acc-sw-17: port 49 has no light. Push its plug in until it clicks."),
    ("address", "12"),
    ("minutes", "12"),
    ("ready_at", "12"),
    ("member", "2"),
    ("serial", "FOC2345L0AB"),
    ("errors", "312"),
    ("changes", "5"),
    ("check", "clock"),
    ("says", "The clock is not in step"),
    ("target", "192.0.2.1"),
    ("part", "Fan 3"),
    ("supply", "2"),
    ("rest", "The clock is not in step."),
];

/// Numbers: these stay short.
const COUNTS: [&str; 6] = ["missing_count", "planned_count", "aborted", "done", "steps", "waited"];

/// What is always known.
const ALWAYS: [&str; 6] = ["device", "done", "steps", "took", "problem", "rest"];

/// Messages that never push, or say whether to leave: they need not ask for anything.
const CALM: [&str; 5] = ["progress", "cleared", "done", "done_with_remarks", "still_open"];

/// What is wrong with these words, a sentence each; empty for good words.
pub fn lint(words: &Words) -> Vec<String> {
    let mut found = Vec::new();
    for (name, entry) in words.entries() {
        for text in entry.headline.iter().chain(&entry.body) {
            found.extend(unknown_placeholders(&name, text));
            found.extend(jargon(&name, text, &words.rules));
        }
        for fill in [sample(), extreme(), bare()] {
            let (headline, body) = fill.message(entry);
            found.extend(too_long(&name, &headline, &body));
        }
        for variant in &entry.headline {
            found.extend(acts(&name, variant, &words.rules));
        }
    }
    let checklist = words.checklist.steps();
    let of_steps = checklist.into_iter().flat_map(|s| [&s.done, &s.working, &s.waiting]);
    for text in of_steps.chain([&words.checklist.upgrading]) {
        found.extend(unknown_placeholders("checklist", text));
        found.extend(jargon("checklist", text, &words.rules));
    }
    // Three fillings can tell the same.
    let mut seen = BTreeSet::new();
    found.retain(|text| seen.insert(text.clone()));
    found
}

fn unknown_placeholders(name: &str, text: &str) -> Vec<String> {
    text.split('{')
        .skip(1)
        .filter_map(|part| part.split_once('}'))
        .filter(|(wanted, _)| SAMPLES.iter().all(|(known, _)| known != wanted))
        .map(|(wanted, _)| format!("{name}: `{{{wanted}}}` is no placeholder"))
        .collect()
}

fn too_long(name: &str, headline: &str, body: &str) -> Option<String> {
    let characters = headline.chars().count();
    let whole = characters + 1 + body.chars().count();
    if headline.is_empty() || headline.contains(['{', '}']) {
        Some(format!("{name}: no headline can be said when little is known"))
    } else if characters > HEADLINE_CHARS_MAX {
        Some(format!("{name}: {characters} characters do not fit a lock screen: {headline:?}"))
    } else if whole > WHOLE_CHARS_MAX {
        Some(format!("{name}: {whole} characters are more than a glance: {headline:?}"))
    } else {
        None
    }
}

/// A headline that pushes holds one thing to do, or says that there is nothing.
fn acts(name: &str, variant: &str, rules: &Rules) -> Option<String> {
    let text = sample().apply(variant, TEXT_CHARS_MAX)?;
    if name != "still_open" && text.chars().count() > HEADLINE_CHARS_MAX {
        return Some(format!("{name}: never said, it is too long for a lock screen: {text:?}"));
    }
    if CALM.contains(&name) {
        return None;
    }
    let calm = text.to_lowercase().contains(&rules.calm);
    let count = instructions(&text, rules);
    let calls = if calm { 0 } else { 1 };
    (count != calls).then(|| format!("{name}: {count} instructions in {text:?}"))
}

/// The sentences and parts of sentences that begin with something to do.
fn instructions(text: &str, rules: &Rules) -> usize {
    text.split(". ")
        .flat_map(|sentence| sentence.split(": "))
        .filter(|part| {
            let first = part.split([' ', '.']).next().unwrap_or("").to_lowercase();
            rules.instructions.contains(&first)
        })
        .count()
}

fn jargon(name: &str, text: &str, rules: &Rules) -> Vec<String> {
    // The placeholders' own names are not read by anybody.
    let plain: String =
        text.split('{').map(|part| part.split('}').next_back().unwrap_or(part)).collect();
    let spaced = plain.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " ");
    let lower = format!(" {spaced} ");
    let unsaid = rules.unsaid.iter().filter(|word| lower.contains(&format!(" {word} ")));
    let codes = Fault::ALL.into_iter().map(Fault::code).filter(|code| plain.contains(code));
    unsaid
        .map(|word| format!("{name}: `{word}` in {text:?}"))
        .chain(codes.map(|code| format!("{name}: the code {code} in {text:?}")))
        .collect()
}

fn sample() -> Fill {
    let mut fill = Fill::default();
    for (name, text) in SAMPLES {
        fill.set_up_to(name, text, HEADLINE_CHARS_MAX);
    }
    fill.set_whole("round", "Gi1/0/49 → 50, 50 → 51, 51 → 49");
    fill
}

/// Names as long as they can be.
fn extreme() -> Fill {
    let mut fill = Fill::default();
    for (name, text) in SAMPLES {
        let long = match name {
            _ if COUNTS.contains(&name) => "99999".to_owned(),
            "problem" => format!("{text} {}", "x".repeat(HEADLINE_CHARS_MAX)),
            _ => "W".repeat(TEXT_CHARS_MAX),
        };
        fill.set_up_to(name, &long, HEADLINE_CHARS_MAX);
    }
    fill.set_whole("round", &"W → W, ".repeat(34));
    fill
}

/// The least that is always known.
fn bare() -> Fill {
    let mut fill = Fill::default();
    for (name, text) in SAMPLES.into_iter().filter(|(name, _)| ALWAYS.contains(name)) {
        fill.set_up_to(name, text, HEADLINE_CHARS_MAX);
    }
    fill
}
