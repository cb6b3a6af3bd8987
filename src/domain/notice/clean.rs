//! What may a text from a device or a person bring into a sentence? Visible characters, and few.

/// The longest text a device or a person may place into one of our sentences, in characters.
/// A host name has 63 at most (RFC 1123 section 2.1), a port name far fewer.
pub const TEXT_CHARS_MAX: usize = 64;

/// Takes terminal escapes, control characters, invisible and direction-changing characters and
/// backticks away, joins lines and blanks, and cuts to `chars_max` characters.
pub fn clean(text: &str, chars_max: usize) -> String {
    let mut kept = String::new();
    let mut count = 0;
    let mut blank = false;
    let mut rest = text.chars();
    // Hostile input may be long: no more is read than could still matter.
    let mut budget = chars_max.saturating_mul(16).max(1024);
    while let Some(c) = rest.next() {
        budget = budget.saturating_sub(1);
        if budget == 0 || count > chars_max {
            break;
        }
        if c == '\u{1b}' {
            skip_escape(&mut rest);
        } else if c.is_whitespace() {
            blank = true;
        } else if !hidden(c) {
            if blank && !kept.is_empty() {
                kept.push(' ');
                count += 1;
            }
            blank = false;
            kept.push(c);
            count += 1;
        }
    }
    cut(&kept, chars_max)
}

/// The text itself, or its beginning with an ellipsis, at most `chars_max` characters.
pub fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

/// A terminal's control sequence: `ESC [`, parameters, one final letter (ECMA-48 section 5.4).
/// Any other escape is two characters.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    if rest.next() == Some('[') {
        for c in rest.by_ref().take(32) {
            if ('\u{40}'..='\u{7e}').contains(&c) {
                break;
            }
        }
    }
}

/// Characters that print nothing or turn the reading direction, and the backtick, which opens code
/// in every chat.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '`'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_can_be_seen_is_kept() {
        for (raw, shown) in [
            ("dist-1", "dist-1"),
            ("  dist-1\r\n port 47\t", "dist-1 port 47"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a`b``c", "abc"),
            ("evil\u{202e}gpj", "evilgpj"),
            ("\u{7}bell\0", "bell"),
            ("", ""),
        ] {
            assert_eq!(clean(raw, TEXT_CHARS_MAX), shown, "{raw:?}");
        }
        assert_eq!(clean(&"x".repeat(70), TEXT_CHARS_MAX), format!("{}…", "x".repeat(63)));
        assert_eq!(clean(&"x".repeat(64), TEXT_CHARS_MAX), "x".repeat(64));
    }

    proptest! {
        #[test]
        fn no_text_is_too_long_or_hides_anything(raw in ".{0,300}", cap in 1usize..80) {
            let shown = clean(&raw, cap);
            prop_assert!(shown.chars().count() <= cap);
            prop_assert!(!shown.chars().any(hidden), "{:?}", shown);
            prop_assert!(!shown.contains('\n'));
        }
    }
}
