//! What a terminal shows that is neither answer nor prompt, on any platform: questions before the
//! first prompt, pagers that the platform's file does not know, and messages over the prompt.

use std::sync::OnceLock;

use regex::Regex;

/// Behind how many lines a prompt still counts as the last thing the device said.
const LINES_OVER_PROMPT_MAX: usize = 8;
/// What a yes-or-no question is about stands in so many lines above it.
const LINES_ABOVE_QUESTION: usize = 10;

struct Patterns {
    any_key: Regex,
    return_key: Regex,
    pager: Regex,
    pager_end: Regex,
    yes_or_no: Regex,
    new_password: Regex,
    about_password: Regex,
}

fn patterns() -> &'static Patterns {
    static PATTERNS: OnceLock<Patterns> = OnceLock::new();
    let regex = |text: &str| Regex::new(text).expect("the patterns of this file are tested");
    PATTERNS.get_or_init(|| Patterns {
        any_key: regex(r"(?i)\b(?:press|hit|strike)\s+(?:any|a)\s+key\b|\bpress\s+<?space"),
        return_key: regex(r"(?i)\b(?:press|hit|strike)\s+(?:the\s+)?<?(?:return|enter)\b"),
        pager: regex(r"(?i)^\s*<?-{1,5}\s*\(?\s*more\b[^#$]*$"),
        pager_end: regex(r"^\s*(?:lines \d+-\d+(?:/\d+)? )?\(END\)$"),
        yes_or_no: regex(r"(?i)[\[(]\s*y(?:es)?\s*[/|]\s*n(?:o)?\s*[\])]\s*[:?]*$"),
        new_password: regex(concat!(
            r"(?i)\b(?:new|retype|re-enter|reenter|confirm)\b.{0,30}\bpassword\b.{0,30}[:?]\s*$",
            r"|\bold\b.{0,20}\bpassword\b.{0,10}[:?]\s*$",
        )),
        about_password: regex(concat!(
            r"(?i)\bpassword\b.{0,60}\b(?:expired|chang(?:e|ed|ing))\b",
            r"|\bchang(?:e|ing)\b.{0,40}\bpassword\b",
        )),
    })
}

/// True if a server's question is for a new password: then the login is of no use.
pub fn wants_new_password(question: &str) -> bool {
    let patterns = patterns();
    patterns.new_password.is_match(question.trim_end())
        || patterns.about_password.is_match(question)
}

/// What the unfinished line of a session without a prompt so far asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Key(&'static str),
    NewPassword,
}

/// `line` is unfinished, `above` are the lines before it.
pub(super) fn before_first_prompt(line: &str, above: &str) -> Option<Request> {
    let patterns = patterns();
    if patterns.new_password.is_match(line) {
        return Some(Request::NewPassword);
    }
    if patterns.yes_or_no.is_match(line) {
        let mut said = above.lines().rev().take(LINES_ABOVE_QUESTION).chain([line]);
        let about = said.any(|line| patterns.about_password.is_match(line));
        return about.then_some(Request::NewPassword);
    }
    if patterns.return_key.is_match(line) {
        return Some(Request::Key("\n"));
    }
    patterns.any_key.is_match(line).then_some(Request::Key(" "))
}

/// The key that makes a pager go on which the platform's file does not name.
pub(super) fn pager(line: &str) -> Option<&'static str> {
    let patterns = patterns();
    if patterns.pager.is_match(line) {
        return Some(" ");
    }
    patterns.pager_end.is_match(line).then_some("q")
}

/// Lines that a device shows unasked, and its prompt.
pub(super) struct Chatter<'a> {
    pub(super) patterns: &'a [Regex],
    pub(super) prompt: &'a str,
}

impl Chatter<'_> {
    fn is_chatter(&self, line: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.is_match(line))
    }

    /// The prompt alone, or with a message behind it.
    fn is_prompt(&self, line: &str) -> bool {
        let line = line.trim_end();
        let behind = line.strip_prefix(self.prompt).map(str::trim_start);
        behind.is_some_and(|behind| behind.is_empty() || self.is_chatter(behind))
    }

    /// True if the prompt was shown and something was printed over it: nothing but a keystroke
    /// brings it back.
    pub(super) fn covers_prompt(&self, finished: &str) -> bool {
        let last = finished.lines().rev().take(4 * LINES_OVER_PROMPT_MAX);
        let mut shown = last.filter(|line| !line.trim().is_empty()).take(LINES_OVER_PROMPT_MAX);
        shown.any(|line| self.is_prompt(line))
    }

    /// The answer without the prompts and messages behind its end. A line of data that only looks
    /// like the prompt stays, unless we typed a line end (`nudged`) or messages follow it.
    pub(super) fn without_tail(&self, mut text: String, nudged: bool) -> String {
        let mut keep = text.len();
        let (mut end, mut messages) = (text.len(), nudged);
        for line in text.split_inclusive('\n').rev() {
            let begin = end - line.len();
            let shown = line.trim();
            let prompt = self.is_prompt(shown);
            let message = self.is_chatter(shown) || prompt && shown.len() > self.prompt.len();
            if !(shown.is_empty() || prompt || message) {
                break;
            }
            messages |= message;
            if prompt {
                keep = begin;
            }
            end = begin;
        }
        if messages {
            text.truncate(keep);
        }
        text
    }

    /// The answer without messages between its lines.
    pub(super) fn without_messages(&self, text: String) -> String {
        if self.patterns.is_empty() {
            return text;
        }
        text.split_inclusive('\n').filter(|line| !self.is_chatter(line.trim_end())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_before_the_first_prompt_are_told_apart() {
        let key = |key| Some(Request::Key(key));
        let new = Some(Request::NewPassword);
        let cases = [
            ("", "Press any key to continue", key(" ")),
            ("", "Press RETURN to get started.", key("\n")),
            ("", "Hit <Enter> to go on", key("\n")),
            ("", "Enter new password:", new.clone()),
            ("", "New UNIX password:", new.clone()),
            ("", "Please confirm the new password:", new.clone()),
            ("", "Enter old password:", new.clone()),
            (
                "Warning: the initial password poses a risk.\nThe password needs to be changed.\n",
                "Change now? [Y/N]:",
                new.clone(),
            ),
            ("", "Your password has expired. Change it now? (yes/no)", new),
            ("", "Password:", None),
            ("", "Continue? [Y/N]:", None),
            ("Change your password every 90 days.\n", "sw1>", None),
            ("You must change your password soon.\n", "sw1#", None),
        ];
        for (above, line, expected) in cases {
            assert_eq!(before_first_prompt(line, above), expected, "{above}{line}");
        }
    }

    #[test]
    fn pagers_of_any_make_are_known_and_prompts_are_not() {
        for line in [
            "--More--",
            " --More-- ",
            "-- MORE --, next page: Space",
            "---- More ----",
            "<--- More --->",
            "---(more)---",
            "---(more 45%)---",
            "--More-- (q to quit)",
        ] {
            assert_eq!(pager(line), Some(" "), "{line}");
        }
        assert_eq!(pager("(END)"), Some("q"));
        assert_eq!(pager("lines 1-20/100 (END)"), Some("q"));
        for line in ["sw1#", "more", "-more#", "description --more or less", "-", "---"] {
            assert_eq!(pager(line), None, "{line}");
        }
    }

    #[test]
    fn a_new_password_is_recognised_in_a_servers_question() {
        for question in [
            "New password: ",
            "You are required to change your password immediately (administrator enforced).",
            "Your password has expired; choose another:",
        ] {
            assert!(wants_new_password(question), "{question}");
        }
        for question in ["Password: ", "ops@sw1's password:", "Verification code:", ""] {
            assert!(!wants_new_password(question), "{question}");
        }
    }

    #[test]
    fn only_what_stands_behind_the_end_of_an_answer_is_cut_off() {
        let log = Regex::new(r"^%[A-Z]+-\d-").unwrap();
        let chatter = Chatter { patterns: &[log], prompt: "sw1#" };
        let cases = [
            ("row\n", false, "row\n"),
            ("row\nsw1#\n", false, "row\nsw1#\n"),
            ("row\nsw1#\n\n", true, "row\n"),
            ("row\nsw1#\n%LINK-3-UP: x\n\n", false, "row\n"),
            ("row\nsw1#%LINK-3-UP: x\n", false, "row\n"),
            ("row\nsw1#\nsw1#\n%LINK-3-UP: x\n", false, "row\n"),
            ("sw1#\nrow\n%LINK-3-UP: x\n", false, "sw1#\nrow\n%LINK-3-UP: x\n"),
            ("", true, ""),
        ];
        for (text, nudged, expected) in cases {
            assert_eq!(chatter.without_tail(text.to_owned(), nudged), expected, "{text}");
        }
        let kept = chatter.without_messages("a\n%LINK-3-UP: x\nb %LINK-3-\n".to_owned());
        assert_eq!(kept, "a\nb %LINK-3-\n");
        assert!(chatter.covers_prompt("row\nsw1#\n%LINK-3-UP: x\n\n"));
        assert!(!chatter.covers_prompt("row\nsw1# show\nmore rows\n"));
    }
}
