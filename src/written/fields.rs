//! The fields of one map, taken by name: what nobody takes is an unknown key.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::complaint::Complaints;
use crate::written::{At, Entry, Node, Value, scalar, shown};

/// A map that is being read.
pub struct Fields<'n, 'a> {
    node: &'n Node<'a>,
    entries: &'n [Entry<'a>],
    /// What the map describes, for messages: `device`.
    what: &'static str,
    asked: Vec<&'static str>,
    found: usize,
}

impl<'n, 'a> Fields<'n, 'a> {
    /// `None`, with a complaint, if it is no map. Nothing at all counts as a map without entries.
    pub fn of(node: &'n Node<'a>, what: &'static str, complaints: &mut Complaints) -> Option<Self> {
        let entries: &[Entry<'a>] = match &node.value {
            Value::Map(entries) => entries,
            Value::Scalar { text, plain: true } if is_nothing(text) => &[],
            Value::Scalar { .. } | Value::List(_) => {
                let message = format!("expected the settings of this {what}, found {}", kind(node));
                complaints.at(node.place, message, "write `key: value` lines");
                return None;
            }
        };
        Some(Self { node, entries, what, asked: Vec::with_capacity(16), found: 0 })
    }

    pub fn place(&self) -> crate::complaint::Place {
        self.node.place
    }

    pub fn get(&mut self, key: &'static str) -> Option<&'n Node<'a>> {
        self.asked.push(key);
        let found = self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node);
        self.found += usize::from(found.is_some());
        found
    }

    pub fn require(
        &mut self,
        key: &'static str,
        complaints: &mut Complaints,
    ) -> Option<&'n Node<'a>> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("this {} lacks `{key}`", self.what);
            complaints.at(self.node.place, message, format!("add a line `{key}: ...`"));
        }
        found
    }

    pub fn text(&mut self, key: &'static str, complaints: &mut Complaints) -> Option<At<String>> {
        self.get(key).and_then(|node| text(node, key, complaints))
    }

    pub fn texts(&mut self, key: &'static str, complaints: &mut Complaints) -> Vec<At<String>> {
        self.get(key).map(|node| texts(node, key, complaints)).unwrap_or_default()
    }

    pub fn boolean(&mut self, key: &'static str, complaints: &mut Complaints) -> Option<bool> {
        let node = self.get(key)?;
        match &node.value {
            Value::Scalar { text, plain: true } if text == "true" => Some(true),
            Value::Scalar { text, plain: true } if text == "false" => Some(false),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                let message = format!("`{key}` expects true or false, found {}", kind(node));
                complaints.at(node.place, message, "write `true` or `false`");
                None
            }
        }
    }

    /// A value with a spelling of its own: an address, a count.
    pub fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        complaints: &mut Complaints,
    ) -> Option<At<T>>
    where
        T: FromStr,
    {
        self.get(key).and_then(|node| parsed(node, key, expected, complaints))
    }

    /// A whole number; what is too large for the setting is told its range.
    pub fn whole<T: Whole>(
        &mut self,
        key: &'static str,
        complaints: &mut Complaints,
    ) -> Option<At<T>> {
        self.get(key).and_then(|node| whole(node, key, complaints))
    }

    pub fn duration(
        &mut self,
        key: &'static str,
        complaints: &mut Complaints,
    ) -> Option<At<Duration>> {
        self.get(key).and_then(|node| duration(node, key, complaints))
    }

    /// Complains about every key that nobody asked for, and returns those that were.
    pub fn close(self, complaints: &mut Complaints) -> Vec<&'static str> {
        if self.found < self.entries.len() {
            for entry in self.entries {
                if self.asked.contains(&entry.key.as_ref()) {
                    continue;
                }
                let message = format!("this {} has no setting `{}`", self.what, shown(&entry.key));
                let hint = complaints.look_alike(&entry.key, self.asked.iter().copied(), || {
                    format!("known are {}", listed(&self.asked))
                });
                complaints.at(entry.place, message, hint);
            }
        }
        self.asked
    }
}

pub fn text(node: &Node<'_>, key: &str, complaints: &mut Complaints) -> Option<At<String>> {
    match &node.value {
        Value::Scalar { text, plain } if !(text.is_empty() || *plain && is_nothing(text)) => {
            Some(At { value: text.to_string(), place: node.place })
        }
        Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
            let message = format!("`{key}` expects text, found {}", kind(node));
            complaints.at(node.place, message, "write the text, or remove the line");
            None
        }
    }
}

/// One text, or a list of texts.
pub fn texts(node: &Node<'_>, key: &str, complaints: &mut Complaints) -> Vec<At<String>> {
    match &node.value {
        Value::List(list) => list.iter().filter_map(|node| text(node, key, complaints)).collect(),
        Value::Scalar { .. } | Value::Map(_) => text(node, key, complaints).into_iter().collect(),
    }
}

pub fn parsed<T: FromStr>(
    node: &Node<'_>,
    key: &str,
    expected: &str,
    complaints: &mut Complaints,
) -> Option<At<T>> {
    let written = text(node, key, complaints)?;
    if let Ok(value) = written.value.parse() {
        return Some(At { value, place: node.place });
    }
    let message = format!("`{key}` expects {expected}, found `{}`", shown(&written.value));
    complaints.at(node.place, message, format!("write {expected}"));
    None
}

/// A number without a sign.
pub trait Whole: FromStr + Display {
    const MOST: Self;
}

impl Whole for u8 {
    const MOST: Self = Self::MAX;
}

impl Whole for u16 {
    const MOST: Self = Self::MAX;
}

impl Whole for u32 {
    const MOST: Self = Self::MAX;
}

impl Whole for u64 {
    const MOST: Self = Self::MAX;
}

impl Whole for usize {
    const MOST: Self = Self::MAX;
}

pub fn whole<T: Whole>(node: &Node<'_>, key: &str, complaints: &mut Complaints) -> Option<At<T>> {
    const EXPECTED: &str = "a whole number";
    let written = text(node, key, complaints)?;
    let digits = written.value.strip_prefix('-').unwrap_or(&written.value);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && written.value.parse::<T>().is_err() {
        let message = format!("`{key}` cannot be {}", shown(&written.value));
        complaints.at(node.place, message, format!("write 0 to {}", T::MOST));
        return None;
    }
    parsed(node, key, EXPECTED, complaints)
}

pub fn duration(node: &Node<'_>, key: &str, complaints: &mut Complaints) -> Option<At<Duration>> {
    let written = text(node, key, complaints)?;
    if let Some(value) = scalar::duration(&written.value) {
        return Some(At { value, place: node.place });
    }
    let message =
        format!("`{key}` expects a time with its unit, found `{}`", shown(&written.value));
    complaints.at(node.place, message, "write it as in 500ms, 30s, 10m, 1h30m or 2d");
    None
}

/// The items of a list; a complaint, and none, if it is no list.
pub fn list<'n, 'a>(node: &'n Node<'a>, key: &str, complaints: &mut Complaints) -> &'n [Node<'a>] {
    match &node.value {
        Value::List(list) => list,
        Value::Scalar { text, plain: true } if is_nothing(text) => &[],
        Value::Scalar { .. } | Value::Map(_) => {
            let message = format!("`{key}` expects a list, found {}", kind(node));
            complaints.at(node.place, message, "begin each item with `- `");
            &[]
        }
    }
}

/// The entries of a map with free keys; a complaint, and none, if it is no map.
pub fn entries<'n, 'a>(
    node: &'n Node<'a>,
    key: &str,
    complaints: &mut Complaints,
) -> &'n [Entry<'a>] {
    match &node.value {
        Value::Map(entries) => entries,
        Value::Scalar { text, plain: true } if is_nothing(text) => &[],
        Value::Scalar { .. } | Value::List(_) => {
            let message = format!("`{key}` expects `name: value` lines, found {}", kind(node));
            complaints.at(node.place, message, "write `name: value` lines");
            &[]
        }
    }
}

pub fn listed(names: &[impl Display]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "~" | "null")
}

/// What was found, for messages.
fn kind(node: &Node<'_>) -> String {
    match &node.value {
        Value::Scalar { text, plain } if text.is_empty() || (*plain && is_nothing(text)) => {
            "nothing".to_owned()
        }
        Value::Scalar { text, .. } => format!("`{}`", shown(text)),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
    }
}
