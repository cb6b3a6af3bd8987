//! A long inventory, cut between its devices, so that several readers can work side by side. The
//! result is the same as reading it whole, or none: whatever is not plain is left to that.

use crate::complaint::Complaints;
use crate::domain::inventory::written::{self, WrittenDevice, WrittenInventory};
use crate::written::{Streamed, parse_with};

/// The text before the devices, and the devices in pieces.
pub struct Cut<'a> {
    head: &'a str,
    pub parts: Vec<Part<'a>>,
}

/// Some whole devices.
pub struct Part<'a> {
    text: &'a str,
    lines_before: u32,
}

/// Cuts a text into about `count` parts of equal size. `None` if its devices are not the last of
/// its sections, or not a list that begins in the line below `devices:`.
pub fn cut(text: &str, count: usize) -> Option<Cut<'_>> {
    let start = devices_start(text)?;
    let (head, list) = text.split_at(start);
    let first = list.lines().find(|line| !is_empty(line))?;
    let indent = first.len() - first.trim_start_matches(' ').len();
    if !first[indent..].starts_with("- ") || text.contains('\r') {
        return None;
    }
    // A line at the margin that is neither item nor comment ends the list.
    let ends = |line: &str| {
        !line.is_empty() && line != "-" && !line.starts_with([' ', '#']) && !line.starts_with("- ")
    };
    if list.split('\n').any(ends) {
        return None;
    }
    let next_item = format!("\n{}- ", " ".repeat(indent));
    let mut parts = Vec::with_capacity(count);
    let mut rest = list;
    let mut lines_before = lines(head)?;
    for left in (2..=count).rev() {
        let middle = rest.floor_char_boundary(rest.len() / left);
        let Some(distance) = rest[middle..].find(&next_item) else { break };
        let (part, others) = rest.split_at(middle + distance + 1);
        parts.push(Part { text: part, lines_before });
        lines_before = lines_before.checked_add(lines(part)?)?;
        rest = others;
    }
    parts.push(Part { text: rest, lines_before });
    Some(Cut { head, parts })
}

/// Where the line after `devices:` begins, if there is one such line.
fn devices_start(text: &str) -> Option<usize> {
    const LINE: &str = "\ndevices:\n";
    let start = match text.strip_prefix(&LINE[1..]) {
        Some(_) => LINE.len() - 1,
        None => text.find(LINE)? + LINE.len(),
    };
    (!text[start - 1..].contains(LINE)).then_some(start)
}

fn is_empty(line: &str) -> bool {
    let line = line.trim_start_matches(' ');
    line.is_empty() || line.starts_with('#')
}

fn lines(text: &str) -> Option<u32> {
    u32::try_from(text.bytes().filter(|byte| *byte == b'\n').count()).ok()
}

impl Part<'_> {
    /// The devices of this part; `None` if there is anything to complain about. A quote or a
    /// bracket that is still open at the end is such a thing, therefore a part that can be read
    /// ends where a device ends.
    pub fn read(&self) -> Option<Vec<WrittenDevice>> {
        let mut complaints = Complaints::about("");
        let mut devices = Vec::new();
        let streamed = Streamed::CutOut { lines_before: self.lines_before };
        parse_with(self.text, &mut complaints, streamed, &mut |node, complaints| {
            devices.extend(written::device(&node, complaints));
        })?;
        complaints.is_empty().then_some(devices)
    }
}

impl Cut<'_> {
    /// Reads the head and puts the devices of all parts behind it, in their order.
    pub fn join(
        &self,
        parts: impl Iterator<Item = Option<Vec<WrittenDevice>>>,
    ) -> Option<WrittenInventory> {
        let mut complaints = Complaints::about("");
        let mut inventory = written::read(self.head, &mut complaints);
        for devices in parts {
            inventory.devices.append(&mut devices?);
        }
        complaints.is_empty().then_some(inventory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "sites: { a: {} }\ndevices:\n";

    fn in_parts(text: &str, count: usize) -> Option<String> {
        let cut = cut(text, count)?;
        let inventory = cut.join(cut.parts.iter().map(Part::read))?;
        Some(format!("{inventory:?}"))
    }

    fn whole(text: &str) -> (String, usize) {
        let mut complaints = Complaints::about("");
        let inventory = written::read(text, &mut complaints);
        (format!("{inventory:?}"), complaints.finish(text).len())
    }

    #[test]
    fn parts_say_what_the_whole_says_with_the_same_places() {
        let mut text = HEAD.to_owned();
        for index in 0..40 {
            text.push_str(&format!(
                "  # number {index}\n  - name: d{index}\n    site: a\n\n    location: 'Zürich\n      \
                 - 4'\n    neighbours:\n    - x -> y, z\n  - {{ name: e{index}, site: a }}\n"
            ));
        }
        let expected = whole(&text);
        assert_eq!(expected.1, 0);
        for count in 1..60 {
            let found = in_parts(&text, count);
            assert!(found.as_ref() == Some(&expected.0), "{count}: {found:?}");
        }
        assert!(cut(&text, 7).unwrap().parts.len() == 7);
        let flat = text[HEAD.len()..].replace("\n  ", "\n");
        let flat = format!("{HEAD}{}", flat.strip_prefix("  ").unwrap());
        assert_eq!(in_parts(&flat, 3), Some(whole(&flat).0));
    }

    #[test]
    fn parts_agree_with_the_whole_or_leave_it_to_the_whole() {
        let device = "  - { name: d, site: a }\n";
        for tail in [
            "  - { name: d, site: a, nmae: d }\n",
            "  - { name: d, site: a\n  - }\n",
            "  - { name: d, site: 'a\n  - b' }\n",
            "  - { name: &x d, site: *x }\n",
            "  - { name: d, site: a }\n...\n",
            "  - { name: d, site: a }\n---\n",
            "  - { name: d, site: a }\r\n",
            "  - { name: d, site: a }\ngroups: {}\n",
            "\ndevices:\n  - { name: d, site: a }\n",
        ] {
            let text = format!("{HEAD}{device}{tail}{device}");
            for count in 1..5 {
                let found = in_parts(&text, count);
                let agreed = found.is_none_or(|found| (found, 0) == whole(&text));
                assert!(agreed, "{count} {text}");
            }
        }
        for text in ["devices:\n", "sites: {}\n", "devices: []\n", "devices:\n  x: 1\n", ""] {
            assert_eq!(in_parts(text, 2), None, "{text}");
        }
        let reversed = format!("{HEAD}{device}").replace("sites: { a: {} }", "site: {}");
        assert_eq!(in_parts(&reversed, 1), None);
    }
}
