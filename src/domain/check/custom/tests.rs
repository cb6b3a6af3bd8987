//! Checks as an inventory writes them, against answers as devices give them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::domain::check::planned::Scene;
use crate::domain::check::{Check, Findings, all_proven};
use crate::domain::inventory::resolve::{Known, plan};

/// Findings of a device whose inventory has these checks, and which answers `show x` with this.
fn findings(checks: &str, answer: Reading<String>) -> Findings {
    let known = Known {
        languages: &[].into(),
        platforms: &BTreeSet::new(),
        templates: &BTreeSet::from(["t.j2".to_owned()]),
        canonical_port: &|_, port| port.to_owned(),
        directory: Path::new("."),
    };
    let text = format!(
        "sites: {{ s: {{}} }}\ndevices:\n  - name: d\n    site: s\n    serial: A\n    \
         platform: frr\n    template: t.j2\n    credentials: [{{ username: u, password: \
         {{ env: P }} }}]\n    checks:\n{checks}"
    );
    let (planned, complaints) = plan("i.yaml", &text, &known);
    assert!(complaints.is_empty(), "{complaints:?}");
    let mut scene = Scene::two_uplinks();
    scene.alter("acc-sw-17", |device| {
        device.expects = planned.inventory.devices[0].expects.clone();
        device.platform = "frr".to_owned();
    });
    let mut seen = scene.as_planned();
    seen.further = BTreeMap::from([("show x".to_owned(), answer)]);
    scene.judge(&seen)
}

/// One required check with these conditions.
fn check(conditions: &str) -> String {
    format!("      - {{ name: x, command: show x, says: X is wrong., {conditions} }}\n")
}

fn verdict(findings: &Findings) -> &Verdict {
    let found = findings.verdicts.iter().find(|(check, _)| *check == Check::Custom);
    &found.expect("every check is there").1
}

/// In short: `pass`, `fail: found`, `unknown: why`.
fn said(conditions: &str, answer: &str) -> String {
    match verdict(&findings(&check(conditions), Reading::Seen(answer.to_owned()))) {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Fail(problem) => {
            assert_eq!((problem.fault, &*problem.fill["says"]), (Fault::CheckUnmet, "X is wrong"));
            format!("fail: {}", problem.fill["found"])
        }
        Verdict::Unknown { why } => format!("unknown: {}", why.trim_start_matches("check x: ")),
        Verdict::NotPlanned => "not planned".to_owned(),
    }
}

#[test]
fn texts_and_patterns_are_looked_for() {
    for (conditions, answer, expected) in [
        ("contains: in sync", "clock in sync\n", "pass"),
        ("contains: in sync", "clock adrift\n", "fail: `in sync` is not in the answer"),
        ("contains: [a, b]", "b a\n", "pass"),
        ("contains: [a, b]", "a\n", "fail: `b` is not in the answer"),
        ("absent: down", "a up\n", "pass"),
        ("absent: down", "a up\nb  is down\n", "fail: `b is down`"),
        ("matches: '^up (\\d+)$'", "x\nup 12\n", "pass"),
        ("matches: '^up (\\d+)$'", "up 12 h\n", "fail: nothing is like ^up (\\d+)$"),
        ("contains: a, absent: b", "a b\n", "fail: `a b`"),
        ("absent: down", " \n", "unknown: expected an answer, found nothing"),
        ("absent: down, may_be_empty: true", "", "pass"),
    ] {
        assert_eq!(said(conditions, answer), expected, "{conditions} {answer}");
    }
}

#[test]
fn json_is_compared_at_a_pointer() {
    let answer = r#"{"ntp": {"state": "synced", "offset": 12.5, "peers": [{"up": true}]}}"#;
    for (conditions, expected) in [
        ("json: /ntp/state = synced", "pass"),
        ("json: /ntp/state != synced", "fail: /ntp/state is `synced`"),
        ("json: /ntp/offset < 13", "pass"),
        ("json: /ntp/offset >= 12.50", "pass"),
        ("json: /ntp/offset = 12.50", "pass"),
        ("json: /ntp/offset > 12.5", "fail: /ntp/offset is `12.5`"),
        ("json: /ntp/peers/0/up = true", "pass"),
        ("json: /ntp/state ~ ^sync", "pass"),
        ("json: /ntp/state !~ ^sync", "fail: /ntp/state is `synced`"),
        ("json: [/ntp/state = synced, /ntp/offset < 1]", "fail: /ntp/offset is `12.5`"),
        ("json: /ntp/drift = 0", "unknown: nothing stands at /ntp/drift"),
        ("json: /ntp/peers = 0", "unknown: nothing stands at /ntp/peers"),
        ("json: /ntp/state < 1", "unknown: /ntp/state is `synced`, which is no number"),
    ] {
        assert_eq!(said(conditions, answer), expected, "{conditions}");
    }
    let versions = r#"{"version": "4.10", "count": 4.10}"#;
    for (conditions, expected) in [
        ("json: /version = 4.1", "fail: /version is `4.10`"),
        ("json: /version != 4.1", "pass"),
        ("json: /version = 4.10", "pass"),
        ("json: /version > 4.0", "pass"),
        ("json: /count = 4.1", "pass"),
    ] {
        assert_eq!(said(conditions, versions), expected, "{conditions}");
    }
    assert!(said("json: /a = 1", "Syntax error").starts_with("unknown: expected JSON"));
}

const PEERS: &str = r#"{"peers": {"a": {"state": "up", "n": 3}, "b": {"state": "down", "n": 0}}}"#;

#[test]
fn rows_of_json_pass_all_any_or_counted() {
    for (rows, expected) in [
        ("all: state = up", "fail: state is `down`"),
        ("all: n >= 0", "pass"),
        ("any: state = up", "pass"),
        ("any: [state = down, n > 0]", "fail: none of 2 rows"),
        ("count: { where: state = up, at_least: 1 }", "pass"),
        ("count: { where: state = up, at_least: 2 }", "fail: 1 of 2 rows"),
        ("count: { where: state = down, at_most: 0 }", "fail: 1 of 2 rows"),
        ("count: { at_least: 2, at_most: 2 }", "pass"),
        ("all: mood = good", "unknown: a row without mood"),
        ("count: { where: mood = good, at_most: 0 }", "unknown: a row without mood"),
    ] {
        let conditions = format!("rows: {{ path: /peers/*, {rows} }}");
        assert_eq!(said(&conditions, PEERS), expected, "{rows}");
    }
    let none = r#"{"peers": {}}"#;
    let all = "rows: { path: /peers/*, all: state = up }";
    assert_eq!(said(all, none), "unknown: expected rows, found none");
    let gone = "rows: { path: /neighbours/*, count: { at_most: 0 } }";
    assert!(said(gone, PEERS).starts_with("unknown: expected neighbours in"));
}

#[test]
fn rows_come_from_a_template_or_from_the_platforms_reader() {
    let template = "      - name: x\n        command: show x\n        says: X is wrong\n        \
        rows:\n          all: state = up\n          textfsm: |\n            \
        Value PEER (\\S+)\n            Value STATE (\\w+)\n\n            Start\n              \
        ^${PEER} is ${STATE}$$ -> Record\n              ^. -> Error\n\n            EOF\n";
    let of = |answer: &str| {
        let found = findings(template, Reading::Seen(answer.to_owned()));
        verdict(&found).clone()
    };
    assert_eq!(of("a is up\nb is up\n"), Verdict::Pass);
    assert!(matches!(of("a is up\nb is down\n"), Verdict::Fail(_)));
    let Verdict::Unknown { why } = of("a is up\n?\n") else { panic!("a line has no place") };
    assert!(why.contains("line 2 has no place"), "{why}");
    let idle = template
        .replace("^${PEER} is ${STATE}$$ -> Record", "^${PEER}(?: is ${STATE})?$$ -> Record");
    for demand in ["all: state != down", "any: state != down", "all: state !~ down"] {
        let checks = idle.replace("all: state = up", demand);
        let found = findings(&checks, Reading::Seen("a\n".to_owned()));
        let Verdict::Unknown { why } = verdict(&found) else { panic!("{demand}: {found:?}") };
        assert!(why.contains("a row without state"), "{why}");
    }
    let links = r#"[{"ifname": "eth1", "flags": ["UP"]}, {"ifname": "lo", "flags": ["LOOPBACK"]}]"#;
    let reader = "rows: { reader: interfaces, any: [name = eth1, link ~ UP] }";
    assert_eq!(said(reader, links), "pass");
    assert!(said("rows: { reader: cdp, any: port_id = a }", links).contains("no reader for cdp"));
}

#[test]
fn a_refused_command_is_unknown_and_never_passes() {
    for answer in [Reading::unreadable("% Invalid input"), Reading::NotAsked] {
        for conditions in ["absent: down, may_be_empty: true", "contains: up"] {
            let found = findings(&check(conditions), answer.clone());
            assert!(matches!(verdict(&found), Verdict::Unknown { .. }), "{found:?}");
            assert!(!all_proven(&found));
        }
    }
}

#[test]
fn an_optional_check_that_is_not_met_stays_a_remark() {
    let optional = check("contains: up, optional: true");
    let found = findings(&optional, Reading::Seen("down\n".to_owned()));
    assert_eq!(*verdict(&found), Verdict::NotPlanned);
    assert!(all_proven(&found));
    assert_eq!(found.open, ["X is wrong."]);
    assert_eq!(found.remarks, ["optional check x: `up` is not in the answer"]);
    let refused = findings(&optional, Reading::unreadable("% no"));
    assert_eq!(refused.open, ["x could not be checked"]);
    assert!(all_proven(&refused));
    let good = findings(&optional, Reading::Seen("up\n".to_owned()));
    assert_eq!((good.open.len(), good.remarks.len()), (0, 0));
}

#[test]
fn of_several_the_first_unmet_speaks_and_all_are_remarked() {
    let two =
        format!("{}{}", check("contains: a"), check("contains: b").replace("name: x", "name: y"));
    let found = findings(&two, Reading::Seen("c\n".to_owned()));
    let Verdict::Fail(problem) = verdict(&found) else { panic!("{found:?}") };
    assert_eq!(problem.fill["check"], "x");
    assert_eq!(found.remarks.len(), 2);
}

proptest! {
    #[test]
    fn no_answer_makes_a_check_panic_or_pass_by_chance(answer in "\\PC{0,200}") {
        for conditions in [
            "json: /a/b = 1",
            "rows: { path: /a/*/0, all: b = 1 }",
            "rows: { reader: lldp, all: local_port = x }",
            "matches: '^exactly this and nothing else$'",
        ] {
            let found = findings(&check(conditions), Reading::Seen(answer.clone()));
            prop_assert!(*verdict(&found) != Verdict::Pass);
        }
    }
}
