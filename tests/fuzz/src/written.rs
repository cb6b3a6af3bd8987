//! What an operator might write: YAML with the place of each value, as plan and as settings.

use greenlight::complaint::Complaints;
use greenlight::config;
use greenlight::domain::inventory;
use greenlight::written::{Node, Value, parse};

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // A carriage return alone ends a line, too.
    let lines = text.matches(['\n', '\r']).count() + 2;
    let mut complaints = Complaints::about("plan.yaml");
    if let Some(node) = parse(text, &mut complaints) {
        walk(&node, 0, lines);
    }
    told(complaints, text);
    let mut complaints = Complaints::about("inventory.yaml");
    let _ = inventory::written::read(text, &mut complaints);
    told(complaints, text);
    let mut complaints = Complaints::about("greenlight.yaml");
    let _ = config::written::read(text, &mut complaints);
    told(complaints, text);
}

/// Each value has a place in the text, and the tree is shallow enough to walk.
fn walk(node: &Node<'_>, depth: usize, lines: usize) {
    assert!(depth <= 70, "nested {depth} deep");
    assert!((node.place.line as usize) <= lines, "line {} of {lines}", node.place.line);
    match &node.value {
        Value::Scalar { .. } => {}
        Value::List(items) => items.iter().for_each(|item| walk(item, depth + 1, lines)),
        Value::Map(entries) => {
            for entry in entries {
                assert!((entry.place.line as usize) <= lines);
                walk(&entry.node, depth + 1, lines);
            }
        }
    }
}

fn told(complaints: Complaints, text: &str) {
    for complaint in complaints.finish(text) {
        let told = complaint.to_string();
        assert!(told.len() <= 1000 + 10 * text.len(), "{told:.300}");
    }
}
