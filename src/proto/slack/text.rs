//! How does foreign text enter a message without pinging anybody?

/// The longest text of a device inside a message, in characters.
pub const DEVICE_TEXT_CHARS_MAX: usize = 64;

/// Word joiner: prints nothing, and keeps `@here` from being a mention.
const JOINER: char = '\u{2060}';

/// Escapes exactly `&`, `<` and `>`, as Slack's mrkdwn asks; drops control characters except the
/// line end; replaces backticks; parts `@` from the word behind it.
pub fn slack_escape(text: &str) -> String {
    escape_within(text, usize::MAX)
}

/// The text of a device, escaped, cut to [`DEVICE_TEXT_CHARS_MAX`] characters and on one line.
pub fn device_text(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control())
        .take(DEVICE_TEXT_CHARS_MAX)
        .collect();
    slack_escape(&line)
}

/// Escapes as [`slack_escape`] and stops before the result is longer than `chars_max` characters;
/// no escape is cut in half. A cut is shown by an ellipsis.
pub fn escape_within(text: &str, chars_max: usize) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut count = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let start = escaped.len();
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '`' => escaped.push('\''),
            '@' => {
                escaped.push('@');
                if rest.peek().is_some_and(|next| !next.is_whitespace()) {
                    escaped.push(JOINER);
                }
            }
            '\n' => escaped.push('\n'),
            other if other.is_control() => {}
            other => escaped.push(other),
        }
        count += escaped[start..].chars().count();
        if count > chars_max || (count == chars_max && rest.peek().is_some()) {
            escaped.truncate(start);
            escaped.push('…');
            break;
        }
    }
    if chars_max == 0 { String::new() } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What Slack would take for a mention, a link or code.
    fn means_something(text: &str) -> bool {
        let lower = text.to_lowercase();
        text.contains(['<', '>', '`'])
            || ["@here", "@channel", "@everyone"].iter().any(|name| lower.contains(name))
    }

    #[test]
    fn exactly_three_characters_are_escaped() {
        assert_eq!(slack_escape("R&D <b> \"q\" 'a' *x*"), "R&amp;D &lt;b&gt; \"q\" 'a' *x*");
        assert_eq!(slack_escape("<!channel>"), "&lt;!channel&gt;");
        assert_eq!(slack_escape("&amp;"), "&amp;amp;");
        assert_eq!(slack_escape("a\u{1b}[0mb\u{7}"), "a[0mb");
        assert_eq!(slack_escape("```rm```"), "'''rm'''");
    }

    #[test]
    fn a_cut_leaves_whole_escapes() {
        assert_eq!(escape_within("a<<", 9), "a&lt;&lt;");
        assert_eq!(escape_within("a<<<", 9), "a&lt;…");
        assert_eq!(escape_within("abc", 3), "abc");
        assert_eq!(escape_within("abcd", 3), "ab…");
    }

    proptest! {
        #[test]
        fn no_device_text_pings_anybody(
            before in ".{0,40}",
            mention in prop_oneof![
                Just("<!channel>"), Just("<!here|x>"), Just("@here"), Just("@channel"),
                Just("@everyone"), Just("<@U123>"), Just("<https://x|y>"), Just("`"),
            ],
            after in ".{0,80}",
        ) {
            let raw = format!("{before}{mention}{after}");
            prop_assert!(!means_something(&slack_escape(&raw)));
            let short = device_text(&raw);
            prop_assert!(!means_something(&short));
            prop_assert!(!short.contains('\n'));
            // Each of at most 64 characters becomes at most five (`&amp;`).
            prop_assert!(short.chars().count() <= 5 * DEVICE_TEXT_CHARS_MAX);
        }

        #[test]
        fn an_escaped_text_keeps_its_limit(raw in "[a-z&<>@` ]{0,80}", limit in 1usize..90) {
            prop_assert!(escape_within(&raw, limit).chars().count() <= limit);
        }
    }
}
