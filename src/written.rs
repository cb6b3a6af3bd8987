//! What the operator wrote, as a tree with the place of every value. Nothing is interpreted yet:
//! a scalar keeps its text, and whether it stood in quotes, so that `no` and `010` can be asked
//! about.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use crate::complaint::{Complaints, Place};

pub mod fields;
pub mod scalar;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    pub place: Place,
    pub value: Value<'a>,
}

#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// `plain` if it stood without quotes: only then may it be a number, a boolean or nothing.
    Scalar {
        text: Cow<'a, str>,
        plain: bool,
    },
    List(Vec<Node<'a>>),
    Map(Vec<Entry<'a>>),
}

#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub key: Cow<'a, str>,
    pub place: Place,
    pub node: Node<'a>,
}

/// A value as written, with its place, for complaints that only a later look can raise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub place: Place,
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// Deeper nesting than any plan needs; it keeps recursion over the tree within the stack.
const DEPTH_MAX: usize = 64;

/// Nodes that aliases may add, so that ten lines of anchors cannot fill the memory.
const ALIASED_NODES_MAX: usize = 1_000_000;

/// Reads a YAML document. `None` if it is empty or cannot be read, with the reason among the
/// complaints.
pub fn parse<'a>(text: &'a str, complaints: &mut Complaints) -> Option<Node<'a>> {
    parse_with(text, complaints, Streamed::Nothing, &mut |_, _| {})
}

/// A list whose items are handed over one by one.
#[derive(Debug, Clone, Copy)]
pub enum Streamed {
    Nothing,
    /// The list under this key of the topmost map.
    Under(&'static str),
    /// The document is the list, cut out of a longer text. Aliases are refused in it: what they
    /// name may stand in the rest.
    CutOut {
        /// Lines of the longer text before this one.
        lines_before: u32,
    },
}

/// The same, but each item of the `streamed` list goes to `sink` as soon as it is complete, and the
/// list stays empty: a long list is never in memory as a whole.
pub fn parse_with<'a>(
    text: &'a str,
    complaints: &mut Complaints,
    streamed: Streamed,
    sink: &mut dyn FnMut(Node<'a>, &mut Complaints),
) -> Option<Node<'a>> {
    let (lines_before, depth_max) = match streamed {
        Streamed::Nothing | Streamed::Under(_) => (0, DEPTH_MAX),
        // The map around the list is missing here.
        Streamed::CutOut { lines_before } => (lines_before, DEPTH_MAX - 1),
    };
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: depth_max,
        block_nesting_limit: depth_max,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder {
        root: None,
        stack: Vec::new(),
        anchors: HashMap::new(),
        aliased: 0,
        documents: 0,
        streamed,
        sink,
    };
    while let Some(next) = parser.next_event() {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                complaints.at(place(error.marker()), error.info(), SYNTAX_HINT);
                return None;
            }
        };
        let mut place = place(&span.start);
        place.line = place.line.saturating_add(lines_before);
        if !builder.take(event, place, complaints) {
            return None;
        }
    }
    builder.root
}

/// The hint of every complaint about a text that could not be read at all.
pub const SYNTAX_HINT: &str = "this is not YAML: look at the indentation, quotes and colons here";

fn place(marker: &granit_parser::Marker) -> Place {
    let line = u32::try_from(marker.line()).unwrap_or(u32::MAX);
    let column = u32::try_from(marker.col() + 1).unwrap_or(u32::MAX);
    Place { line, column }
}

/// A collection that is still open.
enum Open<'a> {
    List(Vec<Node<'a>>),
    /// With the key whose value comes next.
    Map(Vec<Entry<'a>>, Option<(Cow<'a, str>, Place)>),
}

struct Builder<'a, 's> {
    root: Option<Node<'a>>,
    stack: Vec<(Open<'a>, Place, usize)>,
    anchors: HashMap<usize, (Node<'a>, usize)>,
    aliased: usize,
    documents: usize,
    streamed: Streamed,
    sink: &'s mut dyn FnMut(Node<'a>, &mut Complaints),
}

impl<'a> Builder<'a, '_> {
    /// False if reading must end here.
    fn take(&mut self, event: Event<'a>, place: Place, complaints: &mut Complaints) -> bool {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    complaints.at(place, "a second document begins here", "remove the `---`");
                    return false;
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                tag_complaint(tag.as_deref(), place, complaints);
                let node = Node { place, value: Value::Scalar { text, plain } };
                return self.place(node, anchor, complaints);
            }
            Event::SequenceStart(_, anchor, tag) => {
                tag_complaint(tag.as_deref(), place, complaints);
                self.stack.push((Open::List(Vec::new()), place, anchor));
            }
            Event::MappingStart(_, anchor, tag) => {
                tag_complaint(tag.as_deref(), place, complaints);
                self.stack.push((Open::Map(Vec::new(), None), place, anchor));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((open, place, anchor)) = self.stack.pop() {
                    let value = match open {
                        Open::List(list) => Value::List(list),
                        Open::Map(entries, _) => Value::Map(unique(entries, complaints)),
                    };
                    return self.place(Node { place, value }, anchor, complaints);
                }
            }
            Event::Alias(id) => return self.alias(id, place, complaints),
            // A foreign enum that may grow; what remains are the ends of documents and the stream.
            _ => {}
        }
        true
    }

    fn alias(&mut self, id: usize, place: Place, complaints: &mut Complaints) -> bool {
        if matches!(self.streamed, Streamed::CutOut { .. }) {
            complaints.at(place, "an alias stands in a text that was cut out", "");
            return false;
        }
        let Some((node, size)) = self.anchors.get(&id) else {
            complaints.at(place, "this alias names an anchor that contains it", "");
            return false;
        };
        self.aliased += size;
        if self.aliased > ALIASED_NODES_MAX {
            complaints.at(place, "aliases repeat too much", "write fewer aliases of aliases");
            return false;
        }
        let node = node.clone();
        self.place(node, 0, complaints)
    }

    /// Whether the node that is complete now is an item of the streamed list.
    fn is_streamed(&self) -> bool {
        match self.streamed {
            Streamed::Nothing => false,
            Streamed::Under(name) => match self.stack.as_slice() {
                [(Open::Map(_, Some((key, _))), ..), (Open::List(_), ..)] => key == name,
                _ => false,
            },
            Streamed::CutOut { .. } => matches!(self.stack.as_slice(), [(Open::List(_), ..)]),
        }
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node<'a>, anchor: usize, complaints: &mut Complaints) -> bool {
        if anchor != 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        if self.is_streamed() {
            (self.sink)(node, complaints);
            return true;
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some((Open::List(list), ..)) => list.push(node),
            Some((Open::Map(entries, waiting), ..)) => match waiting.take() {
                Some((key, place)) if key == "<<" => merge(entries, node, place, complaints),
                Some((key, place)) => entries.push(Entry { key, place, node }),
                None => match node.value {
                    Value::Scalar { text, .. } => *waiting = Some((text, node.place)),
                    Value::List(_) | Value::Map(_) => {
                        let hint = "quote the text: braces and brackets begin a map or a list";
                        complaints.at(node.place, "a list or a map cannot be a key", hint);
                        return false;
                    }
                },
            },
        }
        true
    }
}

/// `<<: *other` brings the other map's entries; those written here win, wherever they stand.
fn merge<'a>(
    entries: &mut Vec<Entry<'a>>,
    node: Node<'a>,
    place: Place,
    complaints: &mut Complaints,
) {
    match node.value {
        Value::Map(others) => entries.extend(others.into_iter().map(|mut entry| {
            entry.place = MERGED;
            entry
        })),
        Value::List(list) => {
            for node in list {
                merge(entries, node, place, complaints);
            }
        }
        Value::Scalar { .. } => {
            complaints.at(place, "`<<` merges a map, and this is none", "write `<<: *name`");
        }
    }
}

/// Marks an entry that a merge brought until its map is closed.
const MERGED: Place = Place { line: 0, column: 0 };

/// Complains about a key that stands twice, and lets written entries win over merged ones.
fn unique<'a>(entries: Vec<Entry<'a>>, complaints: &mut Complaints) -> Vec<Entry<'a>> {
    let distinct = |(index, entry): (usize, &Entry<'_>)| {
        entry.place != MERGED && entries[..index].iter().all(|other| other.key != entry.key)
    };
    if entries.len() <= PAIRWISE_MAX && entries.iter().enumerate().all(distinct) {
        return entries;
    }
    let mut first: HashMap<&str, Place> = HashMap::with_capacity(entries.len());
    let mut dropped = HashSet::new();
    for (index, entry) in entries.iter().enumerate() {
        if entry.place == MERGED {
            continue;
        }
        if let Some(before) = first.insert(&entry.key, entry.place) {
            let message = format!("the key `{}` stands here a second time", shown(&entry.key));
            complaints.at(entry.place, message, format!("first in line {}", before.line));
            first.insert(&entry.key, before);
            dropped.insert(index);
        }
    }
    for (index, entry) in entries.iter().enumerate() {
        if entry.place == MERGED && first.insert(&entry.key, entry.node.place).is_some() {
            dropped.insert(index);
        }
    }
    drop(first);
    let mut index = 0;
    let mut kept = entries;
    kept.retain(|_| {
        index += 1;
        !dropped.contains(&(index - 1))
    });
    for entry in &mut kept {
        if entry.place == MERGED {
            entry.place = entry.node.place;
        }
    }
    kept
}

/// Up to here comparing every pair of keys costs less than a table.
const PAIRWISE_MAX: usize = 24;

fn size(node: &Node<'_>) -> usize {
    match &node.value {
        Value::Scalar { .. } => 1,
        Value::List(list) => 1 + list.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
    }
}

fn tag_complaint(tag: Option<&Tag>, place: Place, complaints: &mut Complaints) {
    if let Some(tag) = tag
        && !tag.is_yaml_core_schema_tag("str")
    {
        let message = format!("the tag `{}` means nothing here", shown(&tag.original()));
        complaints.at(place, message, "remove it");
    }
}

/// What is wrong with a pattern: the last line of a complaint, without the picture above it.
pub fn last_line(complaint: &str) -> String {
    let last = complaint.lines().last().unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

/// Text of the operator inside a message: bounded, and without control characters.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Enough to find it again in the file.
const SHOWN_CHARACTERS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> (String, String) {
        let mut complaints = Complaints::about("x");
        let tree = parse(text, &mut complaints).map(|node| print(&node)).unwrap_or_default();
        let list: Vec<String> =
            complaints.finish(text).iter().map(|complaint| complaint.to_string()).collect();
        (tree, list.join("\n"))
    }

    fn print(node: &Node<'_>) -> String {
        match &node.value {
            Value::Scalar { text, plain: true } => text.to_string(),
            Value::Scalar { text, plain: false } => format!("'{text}'"),
            Value::List(list) => {
                format!("[{}]", list.iter().map(print).collect::<Vec<_>>().join(" "))
            }
            Value::Map(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|entry| format!("{}={}", entry.key, print(&entry.node)))
                    .collect();
                format!("{{{}}}", entries.join(" "))
            }
        }
    }

    #[test]
    fn a_document_keeps_its_text_and_its_quotes() {
        let (tree, complaints) = outcome("a: no\nb: '010'\nc: [1, {d: !!str 2}]\n");
        assert_eq!(tree, "{a=no b='010' c=[1 {d='2'}]}");
        assert_eq!(complaints, "");
    }

    #[test]
    fn anchors_and_merges_are_followed() {
        let (tree, complaints) = outcome("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\nz: *x\n");
        assert_eq!(tree, "{x={a=1 b=2} y={a=1 b=3} z={a=1 b=2}}");
        assert_eq!(complaints, "");
    }

    #[test]
    fn what_is_no_plain_document_is_complained_about_in_its_place() {
        for (text, expected) in [
            (
                "a: 1\nb: 2\na: 3\n",
                "x:3:1: the key `a` stands here a second time (first in line 1)",
            ),
            ("a: 1\n---\nb: 2\n", "x:2:1: a second document begins here (remove the `---`)"),
            ("a: !!int 3\n", "x:1:10: the tag `!!int` means nothing here (remove it)"),
            (
                "{a: 1}: 2\n",
                "x:1:1: a list or a map cannot be a key (quote the text: braces and \
              brackets begin a map or a list)",
            ),
            ("<<: 3\n", "x:1:1: `<<` merges a map, and this is none (write `<<: *name`)"),
            ("a: &a [*a]\n", "x:1:8: this alias names an anchor that contains it"),
        ] {
            assert_eq!(outcome(text).1, expected, "{text}");
        }
        assert!(outcome("a:\n\t- b\n").1.starts_with("x:2:"), "{:?}", outcome("a:\n\t- b\n"));
        assert!(outcome("a: 'b\n").1.contains("this is not YAML"));
    }

    #[test]
    fn ten_lines_of_aliases_do_not_fill_the_memory() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let before = level - 1;
            let aliases = vec![format!("*a{before}"); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(outcome(&text).1.contains("aliases repeat too much"));
    }
}
