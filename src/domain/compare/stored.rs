//! What does the text of a secret tell? Its value, if it is written in clear or can be decoded;
//! else no more than that one is there.

/// A secret as a configuration writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stored {
    /// The value.
    Clear(String),
    /// A hash or a cipher of it, as written.
    Hidden(String),
}

/// Words before a secret that say that what follows is no clear text.
const HIDING: [&str; 13] = [
    "enc",
    "encrypted",
    "encrypted-password",
    "hashed-password",
    "hashed-password:",
    "cipher",
    "irreversible-cipher",
    "ciphertext",
    "hash",
    "sha1",
    "sha512",
    "localized",
    "secret-data",
];

/// Words before a secret that say that it is clear text.
const PLAIN: [&str; 5] = ["text", "clear", "simple", "plain", "plaintext"];

/// Words behind a hash (SR OS, NX-OS).
const BEHIND: [&str; 4] = ["hash", "hash2", "localizedkey", "localizedV2key"];

/// Types of secrets that are hashes or ciphers: Cisco's, NX-OS's 3 and 6, EOS's 8a, IOS-XR's 10.
const TYPES: [&str; 9] = ["3", "4", "5", "6", "7", "8", "8a", "9", "10"];

/// Reads a secret with what stands before it in its line.
pub fn read(before: &str, written: &str) -> Stored {
    let words: Vec<&str> = written.split_whitespace().map(|word| word.trim_matches('"')).collect();
    let hidden = || Stored::Hidden(words.join(" "));
    if let Some(pair) = words.windows(2).find(|pair| is_public_key(pair)) {
        // What follows is a comment, which not every system keeps.
        return Stored::Clear(pair.join(" "));
    }
    let (Some(last), false) = (words.last(), words.iter().any(|word| looks_hidden(word))) else {
        return hidden();
    };
    // `level 15` says for whom it is, and no type.
    let is_level = |at: usize| at > 0 && words[at - 1] == "level";
    let says_form = |at: &usize| {
        let word = words[*at];
        (word == "0" || TYPES.contains(&word) || hides(word)) && !is_level(*at)
    };
    let form = [0, words.len().saturating_sub(2)].into_iter().find(says_form);
    let Some(at) = form.filter(|at| at + 1 < words.len()) else {
        let named = before.split_whitespace().next_back().is_some_and(hides);
        let behind = words.len() > 1 && BEHIND.contains(last);
        return if named || behind { hidden() } else { clear(&words) };
    };
    let label = &words[..at];
    match words[at] {
        "0" => clear(&[label, &words[at + 1..]].concat()),
        // IOS-XR writes `encrypted` for type 7.
        "7" | "encrypted" => match decoded(last).filter(|_| at + 2 == words.len()) {
            Some(value) => clear(&[label, &[value.as_str()]].concat()),
            None => hidden(),
        },
        _ => hidden(),
    }
}

/// What stands before a secret, without the words that say how it is written: the plan and the
/// device may write it in two ways.
pub fn label(before: &str) -> String {
    let before = before.replace("plain-text-password-value ", "encrypted-password ");
    let trimmed = before.trim_end();
    let last = trimmed.rsplit(' ').next().unwrap_or_default();
    let says_form = ["cipher", "irreversible-cipher", "simple", "hash", "encrypted"]
        .contains(&last)
        || ["plaintext", "ciphertext", "sha1"].contains(&last);
    if says_form && last.len() < trimmed.len() {
        return trimmed[..trimmed.len() - last.len()].to_owned();
    }
    before
}

fn clear(words: &[&str]) -> Stored {
    match words {
        [first, rest @ ..] if !rest.is_empty() && PLAIN.contains(first) => {
            Stored::Clear(rest.join(" "))
        }
        all => Stored::Clear(all.join(" ")),
    }
}

fn hides(word: &str) -> bool {
    HIDING.iter().any(|hiding| word.eq_ignore_ascii_case(hiding))
}

fn is_public_key(pair: &[&str]) -> bool {
    let kind = ["ssh-", "ecdsa-", "sk-"].iter().any(|start| pair[0].starts_with(start));
    // The base64 of the length of the kind's name (RFC 4253 §6.6).
    kind && pair[1].starts_with("AAAA")
}

/// `$1$…` and its like, VRP's `%^%#…`, NX-OS's `0x…`, and what a system shows in a secret's stead.
fn looks_hidden(word: &str) -> bool {
    let scheme = word.strip_prefix('$').and_then(|rest| rest.split_once('$'));
    let is_scheme = scheme.is_some_and(|(scheme, _)| {
        (1..=8).contains(&scheme.len())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    });
    let marks: Vec<char> = word.chars().take(4).collect();
    let is_vrp = matches!(marks[..], ['%', a, '%', b]
        if a.is_ascii_punctuation() && b.is_ascii_punctuation());
    let hex = word.strip_prefix("0x").unwrap_or_default();
    let is_hex = hex.len() >= 16 && hex.chars().all(|c| c.is_ascii_hexdigit());
    let is_masked = word == "<removed>" || word.len() > 2 && word.chars().all(|c| c == '*');
    is_scheme || is_vrp || is_hex || is_masked
}

/// The fixed text with which Cisco's type 7 is made and unmade; it has been public since 1995.
const TYPE_7: &[u8; 53] = b"dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87";

/// The value of a type 7, if it is one: other systems write other ciphers with the same digit.
fn decoded(written: &str) -> Option<String> {
    if !written.is_ascii() || written.len() < 4 || written.len() % 2 == 1 {
        return None;
    }
    let (start, cipher) = written.split_at(2);
    let start: usize = start.parse().ok().filter(|start| *start < TYPE_7.len())?;
    let byte = |at: usize| u8::from_str_radix(cipher.get(at * 2..at * 2 + 2)?, 16).ok();
    let plain = |at: usize| Some(char::from(byte(at)? ^ TYPE_7[(start + at) % TYPE_7.len()]));
    let value: String = (0..cipher.len() / 2).map(plain).collect::<Option<_>>()?;
    value.chars().all(|c| c.is_ascii_graphic() || c == ' ').then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_is_its_value_however_it_is_labelled() {
        for (before, written, value) in [
            ("snmp-server community ", "public", "public"),
            ("username x password ", "0 wrong", "wrong"),
            ("password ", "7 094F471A1A0A", "cisco"),
            ("password ", "7 02050D480809", "cisco"),
            ("message-digest-key 1 md5 ", "encrypted 094F471A1A0A", "cisco"),
            ("standby 1 authentication ", "md5 key-string 7 094F471A1A0A", "md5 key-string cisco"),
            ("standby 1 authentication ", "text abc", "abc"),
            ("enable password ", "level 15 abc", "level 15 abc"),
            ("password simple ", "abc", "abc"),
            ("set snmp community ", "\"a b\"", "a b"),
            ("password ", "12 monkeys", "12 monkeys"),
            ("tacacs-server key ", "hash", "hash"),
            ("key ", "a$b$c", "a$b$c"),
            ("username x ssh-key ", "ssh-rsa AAAAB3Nz me@here", "ssh-rsa AAAAB3Nz"),
        ] {
            assert_eq!(read(before, written), Stored::Clear(value.to_owned()), "{before}{written}");
        }
    }

    #[test]
    fn hashes_and_ciphers_tell_no_value() {
        for (before, written) in [
            ("enable secret ", "5 $1$abcd$stored"),
            ("enable secret ", "9 $9$abc"),
            ("username x secret ", "sha512 $6$abc"),
            ("username x password ", "$5$abc"),
            ("encrypted-password ", "\"$6$abc\""),
            ("encrypted-password ", "abc"),
            ("key ", "6 JDYkqyIFWeBvzpljSfWmRZrmRSRE8"),
            ("key ", "7 \"fewhg\""),
            ("neighbor 10.0.0.1 password ", "7 Ixk0HZ5vY0c="),
            ("enable password ", "7 b125455cf679b208"),
            ("enable secret ", "level 15 5 $1$abc"),
            ("set password ", "ENC AK1x"),
            ("password cipher ", "%^%#abc%^%#"),
            ("password irreversible-cipher ", "abc"),
            ("authentication-key ", "\"abc\" hash2"),
            ("snmp-server user a b auth md5 ", "0x0123456789abcdef0123 localizedkey"),
            ("password ", "<removed>"),
            ("\"passkey\": ", "\"********\""),
        ] {
            let stored = read(before, written);
            assert!(matches!(stored, Stored::Hidden(_)), "{before}{written}: {stored:?}");
        }
    }

    #[test]
    fn the_form_is_no_part_of_the_label() {
        for (before, without) in [
            ("password simple ", "password "),
            ("password hash ", "password "),
            ("snmp-agent community read cipher ", "snmp-agent community read "),
            ("plain-text-password-value ", "encrypted-password "),
            ("snmp-server community ", "snmp-server community "),
            ("cipher ", "cipher "),
        ] {
            assert_eq!(label(before), without);
        }
    }
}
