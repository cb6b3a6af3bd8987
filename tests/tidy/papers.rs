//! Do the papers agree with the code: error pages, standards, licences, and what we publish?

use std::collections::BTreeSet;

/// Complaints about codes without a page and pages without a code.
pub fn pages(codes: &[&str], files: &[String]) -> Vec<String> {
    let mut complaints = Vec::new();
    for code in codes {
        let page = format!("{code}.md");
        if !files.contains(&page) {
            complaints.push(format!(
                "docs/errors/{page} is missing; write what happened, why, and what now"
            ));
        }
    }
    for file in files {
        let known = file.strip_suffix(".md").is_some_and(|name| codes.contains(&name));
        if !known && file != "README.md" {
            complaints.push(format!("docs/errors/{file} belongs to no code; take it out"));
        }
    }
    complaints
}

/// Complaints about a page that leaves one of the three questions open.
pub fn unanswered(name: &str, text: &str) -> Vec<String> {
    ["## What happened", "## Why", "## What now"]
        .iter()
        .filter(|heading| {
            let Some((_, after)) = text.split_once(**heading) else { return true };
            let answer = after.split("\n## ").next().unwrap_or_default();
            answer.trim().is_empty()
        })
        .map(|heading| format!("docs/errors/{name}: nothing stands under `{heading}`"))
        .collect()
}

/// The numbers of all RFCs that a text cites.
pub fn standards(text: &str) -> BTreeSet<u32> {
    text.match_indices("RFC")
        .filter_map(|(at, _)| {
            let rest = text[at + 3..].trim_start_matches([' ', '-', '\u{a0}']);
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        })
        .collect()
}

/// The texts of one list of strings in a TOML file: `allow = ["a", "b"]`.
pub fn list(toml: &str, key: &str) -> Vec<String> {
    let start = format!("{key} = [");
    let Some(at) = toml.find(&start) else { return Vec::new() };
    let body = &toml[at + start.len()..];
    let body = &body[..body.find("\n]").or_else(|| body.find(']')).unwrap_or(body.len())];
    body.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// Whether the allowed licences satisfy an SPDX expression.
pub fn licensed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut tokens: Vec<&str> = spaced.split_whitespace().rev().collect();
    let answer = any(&mut tokens, allowed);
    answer && tokens.is_empty()
}

fn any(tokens: &mut Vec<&str>, allowed: &[String]) -> bool {
    let mut answer = all(tokens, allowed);
    while tokens.last() == Some(&"OR") {
        tokens.pop();
        answer |= all(tokens, allowed);
    }
    answer
}

fn all(tokens: &mut Vec<&str>, allowed: &[String]) -> bool {
    let mut answer = one(tokens, allowed);
    while tokens.last() == Some(&"AND") {
        tokens.pop();
        answer &= one(tokens, allowed);
    }
    answer
}

fn one(tokens: &mut Vec<&str>, allowed: &[String]) -> bool {
    let Some(name) = tokens.pop() else { return false };
    if name == "(" {
        let answer = any(tokens, allowed);
        return tokens.pop() == Some(")") && answer;
    }
    let mut full = name.to_owned();
    if tokens.last() == Some(&"WITH") {
        tokens.pop();
        full = format!("{name} WITH {}", tokens.pop().unwrap_or_default());
    }
    allowed.contains(&full)
}

/// What must not be published: paths of the machine it was made on, and pages nobody else has.
/// Each is written in two halves, so that this list does not find itself.
const OURS_ALONE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/", "wt"),
    concat!("shared/", "facts"),
    concat!("design", ".md"),
    concat!("style", ".md"),
    concat!("feedback", ".md"),
    concat!("brief", ".md"),
    concat!("sub", "agent"),
    concat!("work", "tree"),
];

/// Complaints about traces of the workplace in one published file.
pub fn traces(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for trace in OURS_ALONE {
            if names(line, trace) {
                complaints.push(format!(
                    "{path}:{}: `{trace}` means nothing to a reader elsewhere; say it in full",
                    at + 1
                ));
            }
        }
    }
    complaints
}

/// Whether the line has this trace as a word of its own, and not as the end of another.
fn names(line: &str, trace: &str) -> bool {
    line.match_indices(trace)
        .any(|(at, _)| !line[..at].chars().next_back().is_some_and(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_without_a_page_and_a_page_without_a_code_are_seen() {
        let files = vec!["G1.md".to_owned(), "G99.md".to_owned()];
        let complaints = pages(&["G1", "G2"], &files);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
    }

    #[test]
    fn a_page_answers_all_three_questions() {
        let full = "## What happened\na\n## Why\nb\n## What now\nc\n";
        assert_eq!(unanswered("G1.md", full).len(), 0);
        assert_eq!(unanswered("G1.md", "## What happened\n\n## Why\nb\n").len(), 2);
    }

    #[test]
    fn cited_standards_are_found_however_they_are_written() {
        let found = standards("RFC 2131 section 3.1, RFC-2132, RFC3046; RFCs are many");
        assert_eq!(found, BTreeSet::from([2131, 2132, 3046]));
    }

    #[test]
    fn licences_are_judged_by_their_expression() {
        let allowed = list("allow = [\n  \"MIT\", # yes\n  \"A WITH B\",\n]\n", "allow");
        assert_eq!(allowed, ["MIT", "A WITH B"]);
        assert!(licensed("MIT OR GPL-3.0", &allowed));
        assert!(licensed("GPL-3.0/MIT", &allowed));
        assert!(licensed("(GPL-3.0 OR MIT) AND A WITH B", &allowed));
        assert!(!licensed("MIT AND GPL-3.0", &allowed));
        assert!(!licensed("GPL-3.0", &allowed));
        assert!(!licensed("", &allowed));
    }

    #[test]
    fn a_path_of_this_machine_is_seen() {
        assert_eq!(traces("a.md", concat!("see /wo", "rk/x")).len(), 1);
        assert_eq!(traces("a.md", "see docs/errors").len(), 0);
    }
}
