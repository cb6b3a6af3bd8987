//! A configuration as a tree of lines, by indentation.

use std::collections::HashMap;

use crate::domain::compare::stored::Stored;
use crate::domain::compare::{Line, secrets};
use crate::platform::comparison::Comparison;

/// Deepest nesting that is followed; no platform goes beyond six. What is deeper hangs on the last
/// level.
pub const DEPTH_MAX: usize = 16;

/// How lines with secrets are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// The same value, where both sides tell it; else one is there: the device shows a hash of
    /// what it was given.
    ByMeaning,
    /// The same text.
    ByValue,
}

/// Nodes in the order of the text; the first is the root, which is no line.
#[derive(Debug)]
pub struct Tree {
    pub nodes: Vec<Node>,
}

#[derive(Debug, Default)]
pub struct Node {
    /// What is compared. May hold secrets: never shown.
    pub key: String,
    /// The line as written. May hold secrets: masked by [`Tree::line`].
    text: String,
    /// The secret that was taken out of the key, compared beside it.
    pub secret: Option<Stored>,
    pub traceless: bool,
    /// Stands for a list without a header: no line of the text.
    pub synthetic: bool,
    /// The order of its children counts.
    pub ordered: bool,
    pub parent: usize,
    pub children: Vec<usize>,
}

impl Node {
    /// A line with a secret: what is compared of it.
    pub fn with_secret(&self) -> Option<(&str, &Stored)> {
        Some((self.key.as_str(), self.secret.as_ref()?))
    }

    /// True for a line that has to be found.
    pub fn is_proof(&self) -> bool {
        !self.traceless && !self.synthetic
    }
}

impl Tree {
    pub const ROOT: usize = 0;

    pub fn read(text: &str, secrets: Secrets, rules: &Comparison) -> Self {
        let mut builder = Builder {
            tree: Tree { nodes: vec![Node::default()] },
            known: HashMap::new(),
            secrets,
            rules,
        };
        builder.lines(text);
        builder.tree
    }

    /// The line of a node with the headers above it, all masked.
    pub fn line(&self, node: usize, rules: &Comparison) -> Line {
        let shown = |node: usize| secrets::shown(&self.nodes[node].text, rules);
        let mut parents = Vec::new();
        let mut above = self.nodes[node].parent;
        while above != Self::ROOT {
            parents.push(shown(above));
            above = self.nodes[above].parent;
        }
        parents.reverse();
        Line { parents, text: shown(node) }
    }

    /// A node and everything below it.
    pub fn below(&self, node: usize) -> Vec<usize> {
        let mut all = vec![node];
        let mut next = 0;
        while let Some(node) = all.get(next) {
            all.extend(&self.nodes[*node].children);
            next += 1;
        }
        all
    }
}

struct Builder<'a> {
    tree: Tree,
    /// Lines of unordered blocks, to join what is said twice.
    known: HashMap<(usize, String, Option<Stored>), usize>,
    secrets: Secrets,
    rules: &'a Comparison,
}

impl Builder<'_> {
    fn lines(&mut self, text: &str) {
        // The open blocks: indentation and node.
        let mut open: Vec<(usize, usize)> = Vec::new();
        let mut skipped: Option<usize> = None;
        let mut lines = text.lines();
        while let Some(raw) = lines.next() {
            let mut line = raw.split_whitespace().collect::<Vec<_>>().join(" ");
            if line.is_empty() {
                continue;
            }
            let indent = raw.len() - raw.trim_start().len();
            if skipped.is_some_and(|header| indent > header) {
                continue;
            }
            skipped = self.rules.ignored_blocks.any(&line).then_some(indent);
            if skipped.is_some() || self.rules.ignored.any(&line) || self.rules.closers.any(&line) {
                continue;
            }
            self.delimited(&mut line, &mut lines);
            open.retain(|(other, _)| *other < indent);
            open.truncate(DEPTH_MAX);
            let parent = open.last().map_or(Tree::ROOT, |(_, node)| *node);
            let node = self.add(parent, &line);
            open.push((indent, node));
        }
    }

    /// Joins a banner into one line, without the marks around it.
    fn delimited<'t>(&self, line: &mut String, lines: &mut impl Iterator<Item = &'t str>) {
        let rules = &self.rules.delimited;
        let found = rules.iter().find_map(|rule| Some((rule, rule.start.captures(line)?)));
        let Some((rule, captures)) = found else { return };
        let mark = captures.name("mark");
        let end = mark.map(|mark| mark.as_str().to_owned()).or_else(|| rule.end.clone());
        let Some(end) = end else { return };
        let mut whole = match mark {
            None => line.clone(),
            Some(mark) => {
                let rest = &line[mark.end()..];
                let head = line[..mark.start()].to_owned();
                if let Some((inside, _)) = rest.split_once(&end) {
                    *line = format!("{head}{inside}");
                    return;
                }
                format!("{head}{rest}")
            }
        };
        for next in lines {
            let inside = match mark {
                None if next.trim() == end => break,
                None => Some(next),
                Some(_) => next.split_once(&end).map_or(Some(next), |(inside, _)| {
                    whole.push('\n');
                    whole.push_str(inside.trim_end());
                    None
                }),
            };
            let Some(inside) = inside else { break };
            whole.push('\n');
            whole.push_str(inside.trim_end());
        }
        *line = whole.trim_end().to_owned();
    }

    /// Adds a line below a header, or joins it to the same line already there.
    fn add(&mut self, parent: usize, line: &str) -> usize {
        let list = self.rules.ordered_lines.group(line, "list").map(|list| line[list].to_owned());
        if let Some(list) = list {
            let block = self.node(parent, (list.clone(), None), list);
            self.tree.nodes[block].ordered = true;
            self.tree.nodes[block].synthetic = true;
            return self.leaf(block, line);
        }
        self.leaf(parent, line)
    }

    fn leaf(&mut self, parent: usize, line: &str) -> usize {
        let dropped = self.dropped(line);
        let key = match self.secrets {
            Secrets::ByMeaning => {
                let (masked, secret) = secrets::taken_out(&dropped, self.rules);
                (self.port(masked), secret)
            }
            Secrets::ByValue => (dropped.clone(), None),
        };
        let traceless = self.rules.traceless.any(&dropped);
        let ordered = self.rules.ordered.any(&dropped);
        let node = self.node(parent, key, dropped);
        self.tree.nodes[node].traceless = traceless;
        self.tree.nodes[node].ordered |= ordered;
        node
    }

    /// `told` is what is compared: the line without its secret, and the secret.
    fn node(&mut self, parent: usize, told: (String, Option<Stored>), text: String) -> usize {
        let place = (parent, told.0, told.1);
        let joins = !self.tree.nodes[parent].ordered;
        if let Some(node) = self.known.get(&place).filter(|_| joins) {
            return *node;
        }
        let node = self.tree.nodes.len();
        let (_, key, secret) = place.clone();
        self.tree.nodes.push(Node { key, secret, text, parent, ..Node::default() });
        self.tree.nodes[parent].children.push(node);
        self.known.insert(place, node);
        node
    }

    fn dropped(&self, line: &str) -> String {
        match self.rules.dropped.group(line, "drop") {
            Some(found) => format!("{}{}", &line[..found.start], &line[found.end..]),
            None => line.to_owned(),
        }
    }

    fn port(&self, line: String) -> String {
        match self.rules.port_headers.group(&line, "port") {
            Some(found) => {
                let port = self.rules.ports.canonical(&line[found.clone()]);
                format!("{}{port}{}", &line[..found.start], &line[found.end..])
            }
            None => line,
        }
    }
}
