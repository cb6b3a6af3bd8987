//! Where does the echo of what we typed end, and the answer begin? Devices echo plainly, behind a
//! prompt drawn anew, folded at the width they believe our terminal has, or scrolled sideways.

/// The echo of a command stands in the first lines of its answer, after what the device still had
/// to say.
const LINES_MAX: usize = 50;
/// An echo is folded into at most so many lines: a long command at a narrow width.
const FOLDS_MAX: usize = 16;
/// Widths that devices believe in, whatever the terminal said.
const WIDTHS: [usize; 2] = [80, 132];
/// The same for an echo that is folded: whoever folds at less shows no prompt either.
const FOLD_COLUMNS_MIN: usize = 16;

/// What an echo is looked for with.
pub(super) struct Typed<'a> {
    pub(super) text: &'a str,
    /// The device's own prompt, where it is known.
    pub(super) prompt: Option<&'a str>,
}

impl Typed<'_> {
    /// The length of the finished lines up to the end of the echo, if it is there.
    pub(super) fn end(&self, finished: &str, is_prompt: impl Fn(&str) -> bool) -> Option<usize> {
        let folded = self.folded_over_itself();
        let mut end = 0;
        let lines: Vec<&str> = finished.split_inclusive('\n').take(LINES_MAX).collect();
        for (index, line) in lines.iter().enumerate() {
            end += line.len();
            let line = line.trim();
            if self.is_plain(line, &is_prompt)
                || self.is_scrolled(line)
                || folded.iter().any(|folded| folded == line)
            {
                return Some(end);
            }
            if let Some(more) = self.folds_after(line, &lines[index + 1..]) {
                let rest: usize = lines[index + 1..].iter().take(more).map(|line| line.len()).sum();
                return Some(end + rest);
            }
        }
        None
    }

    fn is_plain(&self, line: &str, is_prompt: impl Fn(&str) -> bool) -> bool {
        let Some(before) = line.strip_suffix(self.text) else { return false };
        let before = before.trim_end();
        before.is_empty() || is_prompt(before)
    }

    /// A line editor that scrolls sideways shows `$` in place of what no longer fits.
    fn is_scrolled(&self, line: &str) -> bool {
        let Some(prompt) = self.prompt else { return false };
        let rest = line.strip_prefix(prompt).map(str::trim_start);
        let shown = rest.and_then(|rest| rest.strip_prefix('$'));
        shown.is_some_and(|shown| !shown.is_empty() && self.text.ends_with(shown))
    }

    /// How many more lines an echo takes that begins in `line` and is cut by line ends.
    fn folds_after(&self, line: &str, next: &[&str]) -> Option<usize> {
        if line.chars().count() < FOLD_COLUMNS_MIN {
            return None;
        }
        let whole = squeezed(self.text);
        let rest = self.prompt.and_then(|prompt| line.strip_prefix(prompt));
        let mut joined = squeezed(rest.unwrap_or(line));
        for (index, line) in next.iter().enumerate().take(FOLDS_MAX) {
            if joined.is_empty() || !whole.starts_with(&joined) {
                return None;
            }
            joined.push_str(&squeezed(line));
            if joined == whole {
                return Some(index + 1);
            }
        }
        None
    }

    /// A shell ends a full row with a blank and a carriage return: on a terminal that is wider than
    /// it believes, the next row is written over the first.
    fn folded_over_itself(&self) -> Vec<String> {
        let Some(prompt) = self.prompt else { return Vec::new() };
        let mut all = Vec::new();
        for gap in ["", " "] {
            let shown: Vec<char> = [prompt, gap, self.text].concat().chars().collect();
            for width in WIDTHS.into_iter().filter(|width| shown.len() > *width) {
                let mut row = vec![' '; width];
                for part in shown.chunks(width) {
                    row[..part.len()].copy_from_slice(part);
                }
                let row: String = row.into_iter().collect();
                all.push(row.trim().to_owned());
            }
        }
        all
    }
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "show interfaces status | include connected | exclude notconnect | count \
                        1234567890";

    fn end(finished: &str, text: &str) -> Option<&'static str> {
        let typed = Typed { text, prompt: Some("sw1#") };
        let end = typed.end(finished, |line| line == "sw1#" || line == "new>")?;
        Some(match &finished[end..] {
            "row\n" => "before the row",
            _ => "elsewhere",
        })
    }

    #[test]
    fn an_echo_is_found_however_it_is_drawn() {
        let rest = |at: usize| &LONG[at..];
        let over = {
            let shown = format!("sw1# {LONG}");
            format!("{}{}", &shown[80..], &shown[shown.len() - 80..80])
        };
        let cases = [
            format!("{LONG}\nrow\n"),
            format!("sw1#{LONG}\nrow\n"),
            format!("new> {LONG}\nrow\n"),
            format!("late news\nsw1#{LONG}\nrow\n"),
            format!("{}\n{}\nrow\n", &LONG[..40], rest(40)),
            format!("sw1#{}\n{}\nrow\n", &LONG[..15], rest(15)),
            format!("sw1#{}\n{}\n{}\nrow\n", &LONG[..20], &LONG[20..50], rest(50)),
            format!("sw1#${}\nrow\n", rest(30)),
            format!("{over}\nrow\n"),
        ];
        for case in cases {
            assert_eq!(end(&case, LONG), Some("before the row"), "{case}");
        }
    }

    #[test]
    fn what_is_no_echo_is_not_taken_for_one() {
        let cases = [
            "row\n".to_owned(),
            format!("{LONG} and more\nrow\n"),
            format!("data {LONG}\nrow\n"),
            format!("{}\nrow\n", &LONG[..40]),
            format!("{}\nother\n{}\nrow\n", &LONG[..40], &LONG[40..]),
            "sw1#$\nrow\n".to_owned(),
        ];
        for case in cases {
            assert_eq!(end(&case, LONG), None, "{case}");
        }
    }
}
