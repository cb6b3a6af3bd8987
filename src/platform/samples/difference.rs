//! Two texts side by side, line by line: the longest common run of lines stays, the rest is missing
//! or new.

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Both(String),
    /// It must be there and is not.
    Expected(String),
    /// It was read and is not expected.
    Read(String),
}

/// Lines of the two texts that are compared with each other, at most; beyond that everything
/// between the common beginning and the common end is shown as exchanged. Its square is 8 MB.
const LINES_MAX: usize = 1000;

/// What has to change in `expected` to become `read`.
pub fn difference(expected: &str, read: &str) -> Vec<Line> {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), read.lines().collect());
    let begin = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (rest_old, rest_new) = (&old[begin..], &new[begin..]);
    let end = rest_old.iter().rev().zip(rest_new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_middle, tail) = rest_old.split_at(rest_old.len() - end);
    let new_middle = &rest_new[..rest_new.len() - end];
    let both = |line: &&str| Line::Both((*line).to_owned());
    let mut lines: Vec<Line> = old[..begin].iter().map(both).collect();
    lines.extend(middle(old_middle, new_middle));
    lines.extend(tail.iter().map(both));
    lines
}

fn middle(old: &[&str], new: &[&str]) -> Vec<Line> {
    let expected = |line: &&str| Line::Expected((*line).to_owned());
    let read = |line: &&str| Line::Read((*line).to_owned());
    if old.len() > LINES_MAX || new.len() > LINES_MAX {
        return old.iter().map(expected).chain(new.iter().map(read)).collect();
    }
    // The length of the longest common run from each pair of places on.
    let mut common = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i][j] = match a == b {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            lines.push(Line::Both(old[i].to_owned()));
            (i, j) = (i + 1, j + 1);
        } else if common[i + 1][j] >= common[i][j + 1] {
            lines.push(expected(&old[i]));
            i += 1;
        } else {
            lines.push(read(&new[j]));
            j += 1;
        }
    }
    lines.extend(old[i..].iter().map(expected));
    lines.extend(new[j..].iter().map(read));
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(expected: &str, read: &str) -> String {
        let line = |line: Line| match line {
            Line::Both(text) => format!(" {text}\n"),
            Line::Expected(text) => format!("-{text}\n"),
            Line::Read(text) => format!("+{text}\n"),
        };
        difference(expected, read).into_iter().map(line).collect()
    }

    #[test]
    fn what_both_have_stays() {
        assert_eq!(shown("a\nb\nc\n", "a\nx\nc\n"), " a\n-b\n+x\n c\n");
        assert_eq!(shown("a\nb\n", "a\n"), " a\n-b\n");
        assert_eq!(shown("", "a\n"), "+a\n");
        assert_eq!(shown("a\nb\nc\nd\n", "x\nb\ny\nd\n"), "-a\n+x\n b\n-c\n+y\n d\n");
    }

    proptest! {
        #[test]
        fn both_texts_are_found_in_their_difference(
            old in proptest::collection::vec("[a-c]", 0..12),
            new in proptest::collection::vec("[a-c]", 0..12),
        ) {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            for line in difference(&old.join("\n"), &new.join("\n")) {
                match line {
                    Line::Both(text) => {
                        before.push(text.clone());
                        after.push(text);
                    }
                    Line::Expected(text) => before.push(text),
                    Line::Read(text) => after.push(text),
                }
            }
            prop_assert_eq!(before, old);
            prop_assert_eq!(after, new);
        }
    }
}
