//! Configurations that do not say by indentation what belongs to what: each is written anew, one
//! line for each thing, indented by what it stands in. Reading trees is then the same for all.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;

use super::xml;
use crate::platform::comparison::{Comparison, Style};

/// By these an element of a list is known, wherever it stands in the list. An element without any
/// of them is known by its place.
pub(super) const NAMES: [&str; 9] =
    ["name", "id", "index", "key", "ip-prefix", "prefix", "address", "sequence-id", "vlan-id"];

/// Both texts by indentation. Where one is written as `set` lines and the other in braces, both
/// become `set` lines.
pub(super) fn shaped<'t>(one: &'t str, other: &'t str, rules: &Comparison) -> [Cow<'t, str>; 2] {
    let by_braces = rules.style == Style::Braces;
    if by_braces && (is_set(one) || is_set(other)) {
        return [one, other].map(|text| match is_set(text) {
            true => Cow::Borrowed(text),
            false => Cow::Owned(flat(text, rules)),
        });
    }
    [one, other].map(|text| shape(text, rules))
}

/// Why a text cannot be compared, if so.
pub(super) fn readable(text: &str, style: Style) -> Result<(), String> {
    match style {
        Style::Indentation | Style::Braces | Style::Edits => Ok(()),
        // The text itself may hold secrets, so nothing of it is quoted.
        Style::Json => document(text).map(drop),
        Style::Xml => xml::lines(text).map(drop),
    }
}

fn shape<'t>(text: &'t str, rules: &Comparison) -> Cow<'t, str> {
    let shaped = match rules.style {
        Style::Indentation => None,
        Style::Braces => Some(by_braces(text)),
        Style::Edits => Some(by_edits(text)),
        Style::Json => document(text).ok().map(|document| {
            let mut lines = String::new();
            json_lines(&document, 0, &mut lines);
            lines
        }),
        Style::Xml => xml::lines(text).ok(),
    };
    // What is no such document is compared line by line: it satisfies nothing by chance.
    shaped.map_or(Cow::Borrowed(text), Cow::Owned)
}

fn line(lines: &mut String, depth: usize, text: impl std::fmt::Display) {
    writeln!(lines, "{:depth$}{text}", "").expect("a string takes all that is written");
}

/// `config system interface`, `edit "port1"`, `set …`, `next`, `end`.
fn by_edits(text: &str) -> String {
    let (mut lines, mut depth) = (String::new(), 0usize);
    for raw in text.lines().map(str::trim) {
        match raw.split_whitespace().next() {
            Some("next" | "end") => depth = depth.saturating_sub(1),
            Some("config" | "edit") => {
                line(&mut lines, depth, raw);
                depth += 1;
            }
            Some(_) => line(&mut lines, depth, raw),
            None => {}
        }
    }
    lines
}

/// `header {`, `leaf;`, `}`.
fn by_braces(text: &str) -> String {
    let (mut lines, mut depth) = (String::new(), 0usize);
    for raw in text.lines().map(str::trim) {
        if raw.starts_with('}') {
            depth = depth.saturating_sub(1);
            continue;
        }
        line(&mut lines, depth, raw);
        depth += usize::from(raw.ends_with('{'));
    }
    lines
}

/// True if the first line that says something is a `set` line.
fn is_set(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(['#', '/', '*']));
    first.is_some_and(|line| {
        let word = line.split_whitespace().next().unwrap_or("");
        ["set", "delete", "deactivate", "activate"].contains(&word)
    })
}

/// A text in braces as `set` lines.
fn flat(text: &str, rules: &Comparison) -> String {
    let mut lines = String::new();
    let mut headers: Vec<String> = Vec::new();
    // Whether something stood inside each open block.
    let mut filled: Vec<bool> = Vec::new();
    for raw in text.lines().map(str::trim) {
        if raw.is_empty() || rules.ignored.any(raw) {
            continue;
        }
        if raw.starts_with('}') {
            if filled.pop() == Some(false) {
                line(&mut lines, 0, format_args!("set {}", headers.join(" ")));
            }
            headers.pop();
            continue;
        }
        filled.last_mut().into_iter().for_each(|filled| *filled = true);
        let mut said = raw.to_owned();
        while let Some(drop) = rules.dropped.group(&said, "drop").filter(|drop| !drop.is_empty()) {
            said.replace_range(drop, "");
        }
        if let Some(header) = said.strip_suffix('{') {
            headers.push(header.trim().to_owned());
            filled.push(false);
            continue;
        }
        let leaf = said.trim_end_matches(';').trim();
        let path: String = headers.iter().flat_map(|header| [header.as_str(), " "]).collect();
        match leaf.strip_suffix(']').and_then(|open| open.split_once(" [")) {
            Some((name, values)) => {
                for value in values.split_whitespace() {
                    line(&mut lines, 0, format_args!("set {path}{name} {value}"));
                }
            }
            None => line(&mut lines, 0, format_args!("set {path}{leaf}")),
        }
    }
    lines
}

fn document(text: &str) -> Result<Value, String> {
    serde_json::from_str(text.trim()).map_err(|error| {
        format!("expected JSON, found none at line {} column {}", error.line(), error.column())
    })
}

fn json_lines(value: &Value, depth: usize, lines: &mut String) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key = Value::String(key.clone());
                match value {
                    Value::Object(_) => line(lines, depth, format_args!("{key}: {{")),
                    Value::Array(_) => line(lines, depth, format_args!("{key}: [")),
                    scalar => line(lines, depth, format_args!("{key}: {scalar}")),
                }
                json_lines(value, depth + 1, lines);
            }
        }
        Value::Array(list) => {
            let mut known: Vec<String> = Vec::new();
            for (place, value) in list.iter().enumerate() {
                if !(value.is_object() || value.is_array()) {
                    line(lines, depth, value);
                    continue;
                }
                let name = NAMES.iter().find_map(|name| Some((name, scalar(value.get(name)?)?)));
                let mut header = match name {
                    Some((name, value)) => format!("[{name}={value}]"),
                    None => format!("[{place}]"),
                };
                if known.contains(&header) {
                    header = format!("[{place}]");
                }
                line(lines, depth, &header);
                known.push(header);
                json_lines(value, depth + 1, lines);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use crate::domain::compare::{Difference, configuration, readable, same};
    use crate::platform::Platforms;
    use crate::platform::comparison::{Comparison, Style};

    static PLATFORMS: LazyLock<Platforms> = LazyLock::new(Platforms::built_in);

    fn check(platform: &str, planned: &str, running: &str) -> Difference {
        configuration(planned, running, &PLATFORMS.by_id[platform].comparison)
    }

    fn missing(difference: &Difference) -> Vec<String> {
        difference.missing.iter().map(ToString::to_string).collect()
    }

    const SONIC: &str = r#"{
        "PORT": {"Ethernet0": {"admin_status": "up", "speed": "25000"}},
        "NTP_SERVER": {"10.0.0.1": {}},
        "DEVICE_METADATA": {"localhost": {"hostname": "leaf1", "password": "a\"b"}}}"#;

    #[test]
    fn json_is_compared_whatever_its_order_and_its_lines() {
        let compact: serde_json::Value = serde_json::from_str(SONIC).unwrap();
        assert!(check("sonic", SONIC, &compact.to_string()).is_empty());
        let slow = SONIC.replace("25000", "10000");
        let difference = check("sonic", SONIC, &slow);
        assert_eq!(missing(&difference), [r#""PORT": { > "Ethernet0": { > "speed": "25000""#]);
        assert_eq!(difference.extra.len(), 1, "and what stands there instead: {difference:?}");
        let gone = SONIC.replace(r#""10.0.0.1": {}"#, "");
        assert_eq!(missing(&check("sonic", SONIC, &gone)), [r#""NTP_SERVER": { > "10.0.0.1": {"#]);
        let bare = r#"{"DEVICE_METADATA": {"localhost": {"hostname": "leaf1"}}}"#;
        let told = format!("{:?}", check("sonic", SONIC, bare));
        assert!(told.contains("<secret>") && !told.contains("a\\"), "{told}");
    }

    #[test]
    fn an_element_of_a_list_is_known_by_its_name() {
        let json = Comparison { style: Style::Json, ..Comparison::default() };
        let of = |mtu_a: u32, mtu_b: u32| {
            format!(
                r#"{{"interface": [{{"name": "e1", "mtu": {mtu_a}}},
                {{"name": "e2", "mtu": {mtu_b}}}]}}"#
            )
        };
        let turned =
            r#"{"interface": [{"mtu": 2, "name": "e2", "x": 1}, {"name": "e1", "mtu": 1}]}"#;
        assert!(configuration(&of(1, 2), turned, &json).is_satisfied());
        assert!(!configuration(&of(2, 1), turned, &json).is_satisfied(), "the two are exchanged");
        assert!(!same(&of(1, 2), turned, &json).is_empty());
        let nameless = r#"{"rule": [{"a": 1, "b": 1}, {"a": 2, "b": 2}]}"#;
        let mixed = r#"{"rule": [{"a": 1, "b": 2}, {"a": 2, "b": 1}]}"#;
        assert!(!configuration(nameless, mixed, &json).is_satisfied());
        let twins = r#"{"rule": [{"id": 1, "b": 1}, {"id": 1, "b": 2}]}"#;
        let one = r#"{"rule": [{"id": 1, "b": 1}]}"#;
        assert!(!configuration(twins, one, &json).is_satisfied());
    }

    #[test]
    fn xml_is_compared_by_its_elements() {
        let xml = Comparison { style: Style::Xml, ..Comparison::default() };
        let planned = "<configuration><system><host-name>r1</host-name></system><interfaces>\
            <interface><name>ge-0/0/0</name><mtu>9000</mtu></interface>\
            <interface><name>ge-0/0/1</name><mtu>1500</mtu></interface></interfaces></configuration>";
        let running = "<?xml version=\"1.0\"?>\n<configuration xmlns=\"u\">\n<!-- x -->\
            <interfaces>\n <interface>\n  <name>ge-0/0/1</name> <mtu>1500</mtu><unit/>\n </interface>\
            <interface><name>ge-0/0/0</name><mtu>9000</mtu></interface></interfaces>\
            <system><host-name><![CDATA[r1]]></host-name></system></configuration>";
        assert!(configuration(planned, running, &xml).is_satisfied());
        let wrong = running.replace("9000", "9001");
        let difference = configuration(planned, &wrong, &xml);
        assert_eq!(difference.missing.len(), 1, "{difference:?}");
        assert!(missing(&difference)[0].ends_with("<interface name=ge-0/0/0> > <mtu>9000</mtu>"));
        assert!(readable("<a><b></a>", &xml).is_err() && readable(running, &xml).is_ok());
    }

    #[test]
    fn what_is_no_document_is_not_compared() {
        let json = &PLATFORMS.by_id["sonic"].comparison;
        let why = readable("{\"a\": hunter2}", json).unwrap_err();
        assert!(why.contains("line 1") && !why.contains("hunter2"), "{why}");
        assert!(!configuration(SONIC, "{", json).is_satisfied());
    }

    const JUNOS: &str = "## Last commit: x\nsystem {\n    host-name r1;\n    root-authentication {\n        \
        encrypted-password \"$6$abc\"; ## SECRET-DATA\n    }\n}\ninterfaces {\n    protect: ge-0/0/1 {\n        \
        unit 0;\n    }\n    lo0 {\n        unit 0 {\n            family inet {\n            }\n        }\n    }\n}\n\
        protocols {\n    bgp {\n        import [ one two ];\n    }\n}\npolicy-options {\n    \
        policy-statement p {\n        term a {\n            then accept;\n        }\n        term b {\n            \
        then reject;\n        }\n    }\n}\n";

    const SETS: &str = "set system host-name r1\n\
        set system root-authentication encrypted-password \"$6$planned\"\n\
        set interfaces ge-0/0/1 unit 0\nset interfaces lo0 unit 0 family inet\n\
        set protocols bgp import one\nset protocols bgp import two\n\
        set policy-options policy-statement p term a then accept\n\
        set policy-options policy-statement p term b then reject\n";

    #[test]
    fn set_lines_are_found_in_a_configuration_with_braces() {
        let found = check("juniper_junos", SETS, JUNOS);
        assert!(found.is_empty(), "{found:?}");
        let deleted = format!("delete interfaces ge-0/0/7\n{SETS}");
        assert!(check("juniper_junos", &deleted, JUNOS).is_satisfied());
        for (lost, left, line) in [
            ("host-name r1;", "", "set system host-name r1"),
            ("one two", "one", "set protocols bgp import two"),
            (
                "encrypted-password \"$6$abc\"; ## SECRET-DATA",
                "",
                "set system root-authentication encrypted-password <secret>",
            ),
        ] {
            let difference = check("juniper_junos", SETS, &JUNOS.replace(lost, left));
            assert!(missing(&difference).contains(&line.to_owned()), "{lost}: {difference:?}");
            assert!(!format!("{difference:?}").contains("$6$"), "{difference:?}");
        }
        // Terms in another order mean something else.
        let turned = SETS.replace("term a then accept", "term b then reject").replacen(
            "term b then reject\nset policy-options policy-statement p term b then reject",
            "term b then reject\nset policy-options policy-statement p term a then accept",
            1,
        );
        assert!(!check("juniper_junos", &turned, JUNOS).is_satisfied());
    }

    #[test]
    fn braces_count_and_not_indentation() {
        let flush: String = JUNOS.lines().map(|line| format!("{}\n", line.trim())).collect();
        assert!(check("juniper_junos", JUNOS, &flush).is_empty());
        let moved =
            flush.replace("host-name r1;\n", "").replace("bgp {\n", "bgp {\nhost-name r1;\n");
        assert!(!check("juniper_junos", JUNOS, &moved).is_satisfied());
    }

    const FORTI: &str = "config system interface\nedit \"port1\"\nset ip 10.0.0.1 255.255.255.0\n\
        set mtu 1500\nnext\nedit \"port2\"\nset mtu 9000\nnext\nend\nconfig system global\n\
        set hostname \"fw1\"\nend\n";

    #[test]
    fn edits_are_blocks_whatever_their_indentation() {
        let printed = "#config-version=FGT60F-7.4\nconfig system global\n    set hostname \"fw1\"\n    \
            set timezone 26\nend\nconfig system interface\n    edit \"port1\"\n        \
            set ip 10.0.0.1 255.255.255.0\n        set mtu 1500\n    next\n    edit \"port2\"\n        \
            set mtu 9000\n    next\nend\n";
        assert!(check("fortinet_fortios", FORTI, printed).is_satisfied());
        let exchanged =
            printed.replace("1500", "x").replace("9000", "1500").replace("mtu x", "mtu 9000");
        assert_eq!(check("fortinet_fortios", FORTI, &exchanged).missing.len(), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_compared_without_panic_and_itself_is_the_same(
            text in "(?s)[{}\\[\\]<>/a-c\"=: ;\n]{0,120}",
            other in "(?s).{0,80}",
        ) {
            for style in [Style::Braces, Style::Edits, Style::Json, Style::Xml] {
                let rules = Comparison { style, ..Comparison::default() };
                prop_assert!(same(&text, &text, &rules).is_empty());
                let _ = configuration(&text, &other, &rules);
                let _ = configuration(&other, &text, &rules);
            }
        }
    }
}
