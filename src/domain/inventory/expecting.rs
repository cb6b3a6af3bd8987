//! From what the layers ask for to what is expected of one device. A layer that many devices share
//! is read once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use crate::complaint::{Complaints, Place};
use crate::domain::inventory::expected::{
    self, Condition, CustomCheck, Demand, Expectations, Member, PlannedInterface, RowSource,
    RowTest,
};
use crate::domain::inventory::expected_written::{
    WrittenCheck, WrittenInterface, WrittenMember, WrittenRows,
};
use crate::domain::inventory::written::{Layer, WrittenDevice};
use crate::platform::Question;
use crate::platform::observation::Duplex;
use crate::platform::parse::answer::Sheet;
use crate::platform::parse::details::megabits;
use crate::platform::parse::field::Field;
use crate::written::{At, shown};

/// Each of these is a command of every visit, and each visit has one deadline for all.
const CHECKS_MAX: usize = 32;
/// A silent address takes some seconds of the visit's deadline.
const REACHES_MAX: usize = 8;
/// More ports than the largest fixed switch has.
const INTERFACES_MAX: usize = 128;
/// The largest stack in service has sixteen; this is twice that.
const MEMBERS_MAX: usize = 32;
/// A command line as the narrowest device takes it.
const COMMAND_BYTES_MAX: usize = 250;
/// As much as a message has room for.
const SAYS_CHARS_MAX: usize = 160;

/// One for all devices of which nothing is expected.
static NOTHING: LazyLock<Arc<Expectations>> = LazyLock::new(Arc::default);

/// What one layer asks for.
#[derive(Debug, Default)]
struct Asked {
    model: Option<String>,
    interfaces: Option<Vec<PlannedInterface>>,
    reaches: Option<Vec<IpAddr>>,
    checks: Vec<Arc<CustomCheck>>,
    environment: Option<bool>,
}

/// Remembers the layers that were read.
#[derive(Debug, Default)]
pub struct Expecting {
    layers: HashMap<usize, Arc<Asked>>,
    joined: HashMap<[usize; 3], Arc<Expectations>>,
}

impl Expecting {
    /// What is expected of a device below its defaults, group and site.
    pub fn of(
        &mut self,
        device: &WrittenDevice,
        shared: [&Layer; 3],
        complaints: &mut Complaints,
    ) -> Arc<Expectations> {
        let silent = |layer: &Layer| {
            layer.model.is_none()
                && layer.interfaces.is_none()
                && layer.reaches.is_none()
                && layer.checks.is_empty()
                && layer.environment.is_none()
        };
        let own = !silent(&device.layer) || !device.members.is_empty();
        if !own && shared.iter().all(|layer| silent(layer)) {
            return NOTHING.clone();
        }
        let identity = shared.map(|layer| std::ptr::from_ref(layer).addr());
        if !own && let Some(known) = self.joined.get(&identity) {
            return known.clone();
        }
        let outer = [0, 1, 2].map(|place| {
            let known = self.layers.get(&identity[place]).cloned();
            known.unwrap_or_else(|| {
                let asked = Arc::new(asked(shared[place], complaints));
                self.layers.insert(identity[place], asked.clone());
                asked
            })
        });
        let inner = asked(&device.layer, complaints);
        let mut expected = joined(outer.iter().map(|layer| &**layer).chain([&inner]));
        expected.members = members(&device.members, complaints);
        if expected.checks.len() > CHECKS_MAX {
            let found = expected.checks.len();
            let message = format!("expected at most {CHECKS_MAX} checks, found {found}");
            complaints.at(device.place, message, "join several into one command");
        }
        let expected = Arc::new(expected);
        if !own {
            self.joined.insert(identity, expected.clone());
        }
        expected
    }
}

/// The nearest layer wins; checks of all layers are joined by name.
fn joined<'a>(layers: impl Iterator<Item = &'a Asked>) -> Expectations {
    let mut all = Expectations::default();
    for layer in layers {
        all.model = layer.model.clone().or(all.model);
        if let Some(interfaces) = &layer.interfaces {
            all.interfaces.clone_from(interfaces);
        }
        if let Some(reaches) = &layer.reaches {
            all.reaches.clone_from(reaches);
        }
        all.environment = layer.environment.unwrap_or(all.environment);
        for check in &layer.checks {
            match all.checks.iter_mut().find(|known| known.name == check.name) {
                Some(known) => *known = check.clone(),
                None => all.checks.push(check.clone()),
            }
        }
    }
    all
}

fn asked(layer: &Layer, complaints: &mut Complaints) -> Asked {
    let interfaces = layer.interfaces.as_ref().map(|list| {
        few(list.len(), INTERFACES_MAX, list.first().map(|first| first.place), complaints);
        list.iter().map(|written| interface(written, complaints)).collect()
    });
    let reaches = layer.reaches.as_ref().map(|list| {
        few(list.len(), REACHES_MAX, list.first().map(|first| first.place), complaints);
        list.iter().filter_map(|written| address(written, complaints)).collect()
    });
    let mut checks: Vec<Arc<CustomCheck>> = Vec::new();
    for written in &layer.checks {
        if checks.iter().any(|known| known.name == written.name.value) {
            let message = format!("two checks are named `{}`", shown(&written.name.value));
            complaints.at(written.name.place, message, "give each a name of its own");
        }
        checks.extend(check(written, complaints).map(Arc::new));
    }
    let model = layer.model.as_ref().map(|text| text.value.clone());
    Asked { model, interfaces, reaches, checks, environment: layer.environment }
}

fn few(found: usize, max: usize, place: Option<Place>, complaints: &mut Complaints) {
    if let Some(place) = place
        && found > max
    {
        let message = format!("expected at most {max} items, found {found}");
        complaints.at(place, message, "keep those that matter for green");
    }
}

fn address(written: &At<String>, complaints: &mut Complaints) -> Option<IpAddr> {
    let read = written.value.parse().ok();
    if read.is_none() {
        let message = format!("`reaches` expects addresses, found `{}`", shown(&written.value));
        complaints.at(written.place, message, "write an IPv4 or IPv6 address");
    }
    read
}

fn interface(written: &WrittenInterface, complaints: &mut Complaints) -> PlannedInterface {
    let speed_mbps = written.speed.as_ref().and_then(|text| {
        let read = megabits(&text.value);
        if read.is_none() {
            let message = format!("`speed` expects a speed, found `{}`", shown(&text.value));
            complaints.at(text.place, message, "write `1000` (megabits per second) or `10G`");
        }
        read
    });
    let duplex = written.duplex.as_ref().and_then(|text| match text.value.as_str() {
        "full" => Some(Duplex::Full),
        "half" => Some(Duplex::Half),
        other => {
            let message = format!("`duplex` expects full or half, found `{}`", shown(other));
            complaints.at(text.place, message, "write `full` or `half`");
            None
        }
    });
    if written.speed.is_none() && written.duplex.is_none() && written.up.is_none() {
        let hint = "write `up: true`, `speed: 1000` or `duplex: full`";
        complaints.at(written.place, "this interface asks for nothing", hint);
    }
    PlannedInterface { port: written.port.value.clone(), speed_mbps, duplex, up: written.up }
}

fn members(written: &[WrittenMember], complaints: &mut Complaints) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    for member in written {
        let serial = member.serial.value.trim().to_owned();
        if members.iter().any(|known| known.serial.eq_ignore_ascii_case(&serial)) {
            let message = format!("the serial `{}` stands twice here", shown(&serial));
            complaints.at(member.serial.place, message, "name each chassis once");
        }
        members.push(Member { number: member.number.as_ref().map(|n| n.value), serial });
    }
    few(members.len(), MEMBERS_MAX, written.first().map(|m| m.serial.place), complaints);
    members
}

fn check(written: &WrittenCheck, complaints: &mut Complaints) -> Option<CustomCheck> {
    let command = &written.command;
    if command.value.len() > COMMAND_BYTES_MAX || command.value.contains(char::is_control) {
        let message = format!("expected one line of at most {COMMAND_BYTES_MAX} bytes");
        complaints.at(command.place, message, "write one command as it is typed");
    }
    if written.says.value.chars().count() > SAYS_CHARS_MAX {
        let message = format!("expected a sentence of at most {SAYS_CHARS_MAX} characters");
        complaints.at(written.says.place, message, "say what is wrong, in one sentence");
    }
    let mut conditions = Vec::new();
    let contains = written.contains.iter().map(|text| Condition::Contains(text.value.clone()));
    conditions.extend(contains);
    conditions.extend(written.absent.iter().map(|text| Condition::Absent(text.value.clone())));
    for text in &written.matches {
        let pattern = taken(expected::pattern(&text.value), text, complaints);
        conditions.extend(pattern.map(Condition::Matches));
    }
    for text in &written.json {
        let read =
            expected::comparison(&text.value).and_then(|(pointer, comparison)| {
                match pointer.starts_with('/') {
                    true => Ok(Condition::Json { pointer, comparison }),
                    false => {
                        Err(format!("expected a pointer that begins with `/`, found `{pointer}`"))
                    }
                }
            });
        conditions.extend(taken(read, text, complaints));
    }
    if let Some(rows) = &written.rows {
        conditions.extend(rows_conditions(rows, complaints));
    } else if conditions.is_empty() {
        let hint = "write `contains`, `absent`, `matches`, `json` or `rows`";
        complaints.at(written.place, "this check asks for nothing", hint);
    }
    Some(CustomCheck {
        name: written.name.value.clone(),
        command: command.value.clone(),
        says: written.says.value.clone(),
        optional: written.optional.unwrap_or(false),
        may_be_empty: written.may_be_empty.unwrap_or(false),
        conditions,
    })
}

fn taken<T>(read: Result<T, String>, text: &At<String>, complaints: &mut Complaints) -> Option<T> {
    let hint = "see `checks` in docs/adding/check.md";
    read.map_err(|why| complaints.at(text.place, why, hint)).ok()
}

/// At most one: a table is asked for one thing.
fn rows_conditions(written: &WrittenRows, complaints: &mut Complaints) -> Option<Condition> {
    let source = source(written, complaints);
    let mut tests = |texts: &[At<String>]| -> Vec<RowTest> {
        let mut tests = Vec::new();
        for text in texts {
            let read = expected::comparison(&text.value);
            if let Some((field, comparison)) = taken(read, text, complaints) {
                let field = field.trim_start_matches('/').to_owned();
                tests.push(RowTest { field, comparison });
            }
        }
        tests
    };
    let all = (!written.all.is_empty()).then(|| Demand::All(tests(&written.all)));
    let any = (!written.any.is_empty()).then(|| Demand::Any(tests(&written.any)));
    let count = written.count.as_ref().map(|count| Demand::Count {
        tests: tests(&count.tests),
        at_least: count.at_least.as_ref().map(|number| number.value),
        at_most: count.at_most.as_ref().map(|number| number.value),
    });
    if let Some(Demand::Count { at_least: None, at_most: None, .. }) = count {
        let hint = "write `at_least:` or `at_most:`";
        complaints.at(written.place, "this count has no bound", hint);
    }
    if let Some(Demand::Count { at_least: Some(least), at_most: Some(most), .. }) = count
        && least > most
    {
        let message = format!("no number is at least {least} and at most {most}");
        complaints.at(written.place, message, "the other way round, or leave one out");
    }
    let mut demands = all.into_iter().chain(any).chain(count);
    let (first, second) = (demands.next(), demands.next());
    if first.is_none() || second.is_some() {
        let hint = "write one of `all`, `any` and `count`";
        complaints.at(written.place, "a table is asked for one thing", hint);
    }
    let condition = Condition::Rows { source: source?, demand: first? };
    fields_exist(&condition, written.place, complaints);
    Some(condition)
}

fn source(written: &WrittenRows, complaints: &mut Complaints) -> Option<RowSource> {
    let readers = [Question::Lldp, Question::Cdp, Question::Interfaces];
    match (&written.textfsm, &written.path, &written.reader) {
        (Some(template), None, None) => {
            taken(Sheet::new(&template.value), template, complaints).map(RowSource::Template)
        }
        (None, Some(path), None) => match path.value.strip_prefix('/') {
            Some(steps) => Some(RowSource::Json(steps.split('/').map(str::to_owned).collect())),
            None => {
                let message = "a path into JSON begins with `/`";
                complaints.at(path.place, message, "write it like `/peers/*`");
                None
            }
        },
        (None, None, Some(name)) => {
            let question = readers.into_iter().find(|question| question.name() == name.value);
            if question.is_none() {
                let message = format!("no reader `{}`", shown(&name.value));
                complaints.at(name.place, message, "known are `lldp`, `cdp` and `interfaces`");
            }
            question.map(RowSource::Reader)
        }
        _ => {
            let hint = "write one of `textfsm`, `path` and `reader`";
            complaints.at(written.place, "a table is read in one way", hint);
            None
        }
    }
}

/// A misspelt field would make every row unknown.
fn fields_exist(condition: &Condition, place: Place, complaints: &mut Complaints) {
    let Condition::Rows { source, demand } = condition else { return };
    let (what, names): (&str, Vec<&str>) = match source {
        RowSource::Template(sheet) => {
            ("the template has no value", sheet.names().iter().map(String::as_str).collect())
        }
        RowSource::Reader(question) => {
            ("the reader has no field", Field::of(*question).iter().map(|f| f.name()).collect())
        }
        RowSource::Json(_) => return,
    };
    let (Demand::All(tests) | Demand::Any(tests) | Demand::Count { tests, .. }) = demand;
    for test in tests {
        if !names.iter().any(|name| name.eq_ignore_ascii_case(&test.field)) {
            let message = format!("{what} `{}`", shown(&test.field));
            complaints.at(place, message, format!("it has {}", names.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::domain::inventory::meant::Inventory;
    use crate::domain::inventory::resolve::{Known, plan};

    fn planned(lines: &str) -> (Inventory, Vec<String>) {
        let known = Known {
            languages: &[].into(),
            platforms: &BTreeSet::new(),
            templates: &BTreeSet::from(["t.j2".to_owned()]),
            canonical_port: &|_, port| port.to_lowercase(),
            directory: Path::new("."),
        };
        let text = format!("{HEAD}{lines}");
        let (planned, complaints) = plan("i.yaml", &text, &known);
        (planned.inventory, complaints.iter().map(ToString::to_string).collect())
    }

    const HEAD: &str = "\
defaults:
  credentials: [{ username: u, password: { env: P } }]
  platform: frr
  template: t.j2
  model: C9300-48P
  reaches: [10.0.0.1, '2001:db8::1']
  checks:
    - { name: ntp, command: show ntp, says: the clock is wrong, contains: synchronised }
    - { name: log, command: show log, says: the log is full, absent: full, optional: true }
sites: { zurich: { title: Zürich } }
devices:
  - { name: plain, site: zurich, serial: A }
";

    #[test]
    fn the_layers_are_joined_and_the_nearest_wins() {
        let own = "  - name: own\n    site: zurich\n    serial: B\n    model: other\n    \
            members: [B, { number: 2, serial: C }]\n    reaches: []\n    \
            interfaces: [{ port: eth1, speed: 10G, duplex: full, up: true }]\n    \
            checks:\n      - { name: ntp, command: x, says: y, matches: '^ok$' }\n";
        let (inventory, complaints) = planned(own);
        assert_eq!(complaints, [""; 0]);
        let plain = &inventory.device("plain").unwrap().expects;
        assert_eq!(plain.model.as_deref(), Some("C9300-48P"));
        assert_eq!(plain.reaches.len(), 2);
        assert_eq!(plain.checks.len(), 2);
        let own = &inventory.device("own").unwrap().expects;
        assert_eq!((own.model.as_deref(), own.reaches.len()), (Some("other"), 0));
        let names: Vec<&str> = own.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["ntp", "log"]);
        assert!(matches!(own.checks[0].conditions[0], Condition::Matches(_)));
        assert!(Arc::ptr_eq(&own.checks[1], &plain.checks[1]), "a shared layer is read once");
        assert_eq!(own.members[1], Member { number: Some(2), serial: "C".to_owned() });
        let port = PlannedInterface {
            port: "eth1".to_owned(),
            speed_mbps: Some(10_000),
            duplex: Some(Duplex::Full),
            up: Some(true),
        };
        assert_eq!(own.interfaces, [port]);
        assert_eq!(inventory.with_serial("c").unwrap().name, "own", "a member is the device");
    }

    #[test]
    fn each_complaint_names_its_place_and_the_next_move() {
        for (wrong, part) in [
            ("reaches: [gateway]", "expects addresses, found `gateway`"),
            (
                "reaches: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4, 1.1.1.5, 1.1.1.6, 1.1.1.7, 1.1.1.8, \
              1.1.1.9]",
                "at most 8 items, found 9",
            ),
            ("interfaces: [{ port: a }]", "asks for nothing"),
            ("interfaces: [{ port: a, speed: fast }]", "`speed` expects"),
            ("interfaces: [{ port: a, duplex: both }]", "`duplex` expects"),
            ("interfaces: [{ speed: 100 }]", "lacks `port`"),
            ("members: [A, a]", "stands twice"),
            ("members: [{ number: 1 }]", "lacks `serial`"),
            ("checks: [{ name: a, command: b, says: c }]", "asks for nothing"),
            ("checks: [{ name: a, command: b, contains: c }]", "lacks `says`"),
            ("checks: [{ name: a, command: \"b\\nc\", says: c, contains: c }]", "one line"),
            ("checks: [{ name: a, command: b, says: c, matches: '(' }]", "unclosed group"),
            ("checks: [{ name: a, command: b, says: c, json: 'a = 1' }]", "begins with `/`"),
            ("checks: [{ name: a, command: b, says: c, json: '/a is 1' }]", "operator"),
            ("checks: [{ name: a, command: b, says: c, rows: { all: 'x = 1' } }]", "one way"),
            ("checks: [{ name: a, command: b, says: c, rows: { path: /a } }]", "one thing"),
            (
                "checks: [{ name: a, command: b, says: c, rows: { path: a, any: 'x = 1' } }]",
                "begins with `/`",
            ),
            (
                "checks: [{ name: a, command: b, says: c, rows: { reader: bgp, any: 'x = 1' } }]",
                "no reader `bgp`",
            ),
            (
                "checks: [{ name: a, command: b, says: c, rows: { textfsm: x, any: 'x = 1' } }]",
                "docs/adding/check.md",
            ),
            (
                "checks: [{ name: a, command: b, says: c, rows: { path: /a, count: {} } }]",
                "no bound",
            ),
            (
                "checks: [{ name: a, command: b, says: c, contains: c }, { name: a, command: b, \
              says: c, contains: c }]",
                "two checks are named `a`",
            ),
        ] {
            let device = format!("  - {{ name: d, site: zurich, serial: D, {wrong} }}\n");
            let (_, complaints) = planned(&device);
            let found = complaints.join("|");
            assert!(found.contains("i.yaml:13:") && found.contains(part), "{wrong}: {found}");
        }
    }
}
