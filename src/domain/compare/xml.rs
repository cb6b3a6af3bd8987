//! An XML configuration as lines: elements, their text and what they are known by. Attributes,
//! comments and instructions mean nothing in a configuration.

use std::fmt::Write;

use super::shape::NAMES;

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 64;

#[derive(Debug, Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

/// One line for each element, indented by those around it.
pub(super) fn lines(text: &str) -> Result<String, String> {
    let root = read(text)?;
    let mut lines = String::new();
    for child in &root.children {
        write(child, &header(child, &root.children), 0, &mut lines);
    }
    Ok(lines)
}

/// The elements of a text below one without a name.
fn read(text: &str) -> Result<Element, String> {
    let mut open = vec![Element::default()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        let place = text.len() - rest.len() + before.len();
        let wrong = |what: &str| format!("expected XML, found {what} at byte {place}");
        let depth = open.len();
        let inside = open.last_mut().expect("the root stays open");
        inside.text.push_str(&plain(before));
        rest = if let Some(after) = after.strip_prefix("!--") {
            after.split_once("-->").ok_or_else(|| wrong("an open comment"))?.1
        } else if let Some(after) = after.strip_prefix("![CDATA[") {
            let (data, after) = after.split_once("]]>").ok_or_else(|| wrong("open data"))?;
            inside.text.push_str(data);
            after
        } else if let Some(after) = after.strip_prefix('?') {
            after.split_once("?>").ok_or_else(|| wrong("an open instruction"))?.1
        } else if let Some(after) = after.strip_prefix('/') {
            let (name, after) = after.split_once('>').ok_or_else(|| wrong("an open tag"))?;
            let closed = open.pop().filter(|closed| closed.name == name.trim());
            let parent = open.last_mut().ok_or_else(|| wrong("an end without a beginning"))?;
            parent.children.push(closed.ok_or_else(|| wrong("the end of another element"))?);
            after
        } else {
            let (tag, after) = after.split_once('>').ok_or_else(|| wrong("an open tag"))?;
            let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            let name = tag.split_whitespace().next().unwrap_or("");
            if name.is_empty() || name.starts_with('!') || depth > DEPTH_MAX {
                return Err(wrong("no element"));
            }
            let element = Element { name: name.to_owned(), ..Element::default() };
            match empty {
                true => inside.children.push(element),
                false => open.push(element),
            }
            after
        };
    }
    let root = open.pop().filter(|_| open.is_empty() && rest.trim().is_empty());
    let root = root.filter(|root| !root.children.is_empty() && root.text.trim().is_empty());
    root.ok_or_else(|| "expected XML, found no whole document".to_owned())
}

fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

fn write(element: &Element, header: &str, depth: usize, lines: &mut String) {
    writeln!(lines, "{:depth$}{header}", "").expect("a string takes all that is written");
    for child in &element.children {
        let header = self::header(child, &element.children);
        write(child, &header, depth + 1, lines);
    }
}

/// A leaf with its text; a branch with what it is known by: one of its leaves, or its place among
/// branches of the same name that have no such leaf.
fn header(element: &Element, beside: &[Element]) -> String {
    let Element { name, text, children } = element;
    let words: Vec<&str> = text.split_whitespace().collect();
    if children.is_empty() {
        return format!("<{name}>{}</{name}>", words.join(" "));
    }
    let known_by = |element: &Element| {
        NAMES.iter().find_map(|wanted| {
            let leaf = element.children.iter().find(|child| child.name == *wanted)?;
            Some((*wanted, leaf.text.trim().to_owned()))
        })
    };
    let mine = known_by(element);
    let alike = |other: &&Element| {
        other.name == *name && !other.children.is_empty() && known_by(other) == mine
    };
    let before = beside.iter().take_while(|other| !std::ptr::eq(*other, element));
    let place = before.filter(alike).count();
    let mark = mine.map(|(wanted, value)| format!(" {wanted}={value}")).unwrap_or_default();
    let twin = if place > 0 { format!(" #{}", place + 1) } else { String::new() };
    format!("<{name}{mark}{twin}>")
}
