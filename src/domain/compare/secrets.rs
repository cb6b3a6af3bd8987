//! No secret leaves a comparison.

use std::sync::LazyLock;

use regex::Regex;

use super::stored::{self, Stored};
use crate::platform::comparison::Comparison;

/// What stands where a secret stood.
pub const MASK: &str = "<secret>";

/// Words after which a value is hidden even where a platform's rules say nothing. Hiding too much
/// costs a word in a remark; hiding too little costs a password.
static TELLTALE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?:^|[\s-])",
        r"(?:passwords?|passphrase|secret|community|psk|key|(?:key|keyed)-?string",
        r"|auth|priv|md5|hmac\S*|sha\S*)\s+(?P<secret>\S.*)$",
    ))
    .expect("a fixed pattern, compiled by every test of this module")
});

/// The line with the platform's secrets masked.
fn by_rule(line: &str, rules: &Comparison) -> String {
    match rules.secrets.group(line, "secret") {
        Some(found) => format!("{}{MASK}{}", &line[..found.start], &line[found.end..]),
        None => line.to_owned(),
    }
}

/// What is compared of a line with a secret: the line without it, and what the secret tells.
pub fn taken_out(line: &str, rules: &Comparison) -> (String, Option<Stored>) {
    let Some(found) = rules.secrets.group(line, "secret") else {
        return (line.to_owned(), None);
    };
    let (before, after) = (&line[..found.start], &line[found.end..]);
    let told = stored::read(before, &line[found.clone()]);
    (format!("{}{MASK}{after}", stored::label(before)), Some(told))
}

/// The line as it may be shown.
pub fn shown(line: &str, rules: &Comparison) -> String {
    let masked = by_rule(line, rules);
    match TELLTALE.captures(&masked).and_then(|captures| captures.name("secret")) {
        Some(found) if !masked[found.start()..].starts_with(MASK) => {
            format!("{}{MASK}", &masked[..found.start()])
        }
        Some(_) | None => masked,
    }
}
