//! Which socket of which device does a row speak of? By name, chassis or address the device; by
//! port id or description the socket.
//!
//! A name proves a device only if it is its whole name, with or without a domain: a name that was
//! cut may be another's. A port id proves a socket only if it is a port's name: it may as well be a
//! MAC address, a local number, or an alias that somebody wrote (IEEE 802.1AB, 8.5.3). What proves
//! nothing accuses nobody either.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::heard::Unclear;
use super::identity::same_name;
use crate::address::Mac;
use crate::domain::check::{Plan, Socket};
use crate::domain::inventory::meant::{Device, PlannedNeighbour, Unplanned};
use crate::platform::observation::Neighbour;

/// A name this short is nobody's cut one: no table has so narrow a column.
const CUT_NAME_CHARS_MIN: usize = 10;

/// The far end of one cable, as it was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FarEnd<'a> {
    row: &'a Neighbour,
    /// The device of the inventory it is, if it is one.
    pub(super) device: Option<&'a str>,
    pub(super) end: End,
}

/// One socket of one device, in one spelling: equal if and only if they are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct End {
    device: String,
    port: String,
}

impl End {
    /// Canonical.
    pub(super) fn port(&self) -> &str {
        &self.port
    }
}

/// What the plan knows of far ends.
#[derive(Debug)]
pub(super) struct Known<'a> {
    plan: Plan<'a>,
    /// The planned ports of each far device in this device's plan, canonical.
    planned: BTreeMap<String, Vec<String>>,
}

impl<'a> Known<'a> {
    pub(super) fn new(plan: &Plan<'a>) -> Self {
        let mut known = Self { plan: *plan, planned: BTreeMap::new() };
        for cable in &plan.device.neighbours {
            let End { device, port } = known.planned_end(cable);
            known.planned.entry(device).or_default().push(port);
        }
        known
    }

    pub(super) fn port_of_ours(&self, port: &str) -> String {
        canonical(&self.plan, &self.plan.device.platform, port)
    }

    /// The device whose ears these are.
    pub(super) fn device_name(&self) -> &'a str {
        &self.plan.device.name
    }

    /// A port of ours as the plan spells it, if it has a planned cable.
    pub(super) fn planned_port(&self, canonical: &str) -> Option<&'a str> {
        let ports = self.plan.device.neighbours.iter().map(|cable| cable.local_port.as_str());
        ports.into_iter().find(|port| self.port_of_ours(port) == canonical)
    }

    pub(super) fn planned_end(&self, cable: &PlannedNeighbour) -> End {
        let port = canonical(&self.plan, self.platform_of(&cable.device), &cable.port);
        End { device: cable.device.to_lowercase(), port }
    }

    /// The far end that is planned on this port of ours.
    pub(super) fn planned_on(&self, local_port: &str) -> Option<End> {
        let port = self.port_of_ours(local_port);
        let mut cables = self.plan.device.neighbours.iter();
        let cable = cables.find(|cable| self.port_of_ours(&cable.local_port) == port)?;
        Some(self.planned_end(cable))
    }

    /// True if the inventory does not care who else is heard.
    pub(super) fn ignores_others(&self) -> bool {
        self.plan.device.unplanned_neighbours == Unplanned::Ignore
    }

    /// Who knows how a far device spells its ports; our own platform where nobody does.
    fn platform_of(&self, device: &str) -> &'a str {
        match self.plan.inventory.device(device) {
            Some(far) if self.plan.platforms.get(&far.platform).is_some() => &far.platform,
            Some(_) | None => &self.plan.device.platform,
        }
    }

    pub(super) fn is_nameless(&self, row: &Neighbour) -> bool {
        clean_name(row).is_empty() && matches!(self.device(row), Ok(None) | Err(_))
    }

    /// The far end that a row speaks of.
    pub(super) fn far_end(&self, row: &'a Neighbour) -> Result<FarEnd<'a>, Unclear<'a>> {
        let device = self.device(row)?;
        let Some(name) = device else {
            // Which socket of a stranger it is decides nothing.
            let device = format!("?{}", clean_name(row).to_lowercase());
            let port = row.port_id.trim().to_lowercase();
            return Ok(FarEnd { row, device: None, end: End { device, port } });
        };
        let port = self.port(name, row).map_err(|why| Unclear { why, may_be: vec![name] })?;
        let end = End { device: name.to_lowercase(), port };
        Ok(FarEnd { row, device, end })
    }

    /// The device of the inventory that a row is, by chassis, address or name; `None` for a
    /// stranger that has a name.
    fn device(&self, row: &Neighbour) -> Result<Option<&'a str>, Unclear<'a>> {
        let unclear = |why: String, may_be| Err(Unclear { why, may_be });
        let name = clean_name(row);
        let chassis = row.chassis_id.as_deref().unwrap_or("");
        let by_chassis = self.by_identifier(chassis).map(|device| device.name.as_str());
        let by_name = match self.by_name(name) {
            Some(device) => Some(device),
            None => self.by_identifier(name).map(|device| device.name.as_str()),
        };
        let port = &row.local_port;
        match (by_chassis, by_name) {
            (Some(chassis), Some(named)) if chassis != named => unclear(
                format!(
                    "the neighbour on port {port} names itself {named}, its chassis id is that \
                     of {chassis}"
                ),
                vec![chassis, named],
            ),
            (Some(device), _) | (None, Some(device)) => Ok(Some(device)),
            (None, None) if name.is_empty() => match self.by_name(chassis.trim()) {
                Some(device) => Ok(Some(device)),
                None => unclear(format!("the neighbour on port {port} gives no name"), Vec::new()),
            },
            (None, None) => {
                let may_be = self.cut_from(name);
                if may_be.is_empty() {
                    return Ok(None);
                }
                let name = super::cut(name);
                let why = format!(
                    "the neighbour on port {port} names itself {name}, which may be {} cut short",
                    may_be.join(" or ")
                );
                unclear(why, may_be)
            }
        }
    }

    /// By MAC address, management address or serial.
    fn by_identifier(&self, text: &str) -> Option<&'a Device> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let inventory = self.plan.inventory;
        let by_mac = text.parse::<Mac>().ok().and_then(|mac| inventory.with_mac(mac));
        let by_address = || match text.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => inventory.with_address(address),
            IpAddr::V6(address) => inventory.with_address6(address),
        };
        let device = by_mac.or_else(by_address).or_else(|| inventory.with_serial(text));
        device.map(|device| &**device)
    }

    /// The device of the inventory that bears this name, with or without its domain. Of the far
    /// devices of the plan also one that is planned with a domain and says none, if it is one.
    fn by_name(&self, name: &str) -> Option<&'a str> {
        let lower = name.to_lowercase();
        let short = name.split('.').next().unwrap_or(name);
        let short_lower = lower.split('.').next().unwrap_or(&lower);
        let whole = |name: &&str| self.plan.inventory.device(name);
        if let Some(device) = [name, lower.as_str()].iter().find_map(whole) {
            return Some(&device.name);
        }
        let planned = &self.plan.device.neighbours;
        let mut fitting: Vec<&'a str> = planned
            .iter()
            .map(|cable| cable.device.as_str())
            .filter(|device| same_name(device, name))
            .collect();
        fitting.dedup();
        if let [device, others @ ..] = fitting.as_slice() {
            return others.iter().all(|other| other == device).then_some(*device);
        }
        let short = [short, short_lower];
        short.iter().find_map(whole).map(|device| device.name.as_str())
    }

    /// The far devices of the plan that this may be the beginning of.
    fn cut_from(&self, name: &str) -> Vec<&'a str> {
        let name = name.trim_end_matches(['.', '…', '~', '*', '>', '+']).to_lowercase();
        if name.is_empty() {
            return Vec::new();
        }
        let long = name.chars().count() >= CUT_NAME_CHARS_MIN;
        let begins = |device: &&str| {
            let device = device.to_lowercase();
            device.strip_prefix(&name).is_some_and(|rest| long || rest.starts_with('.'))
        };
        let planned = self.plan.device.neighbours.iter().map(|cable| cable.device.as_str());
        let mut found: Vec<&'a str> = planned.filter(begins).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The socket of `device` that a row names. It stands in the port id, or else in the port
    /// description: the description counts only where the port id is no port's name, for people
    /// write anything into descriptions.
    fn port(&self, device: &str, row: &Neighbour) -> Result<String, String> {
        let platform = self.platform_of(device);
        let id = canonical(&self.plan, platform, &row.port_id);
        let described =
            canonical(&self.plan, platform, row.port_description.as_deref().unwrap_or(""));
        let Some(planned) = self.planned.get(&device.to_lowercase()) else {
            // No socket of it is in this device's plan: any of them is wrong.
            return Ok(id);
        };
        let wanted = |port: &String| planned.contains(port);
        let likely = |port: &str| {
            looks_like_port(port) || planned.iter().any(|known| shape(known) == shape(port))
        };
        // A bare number may be a port or a count of the device's own.
        let number = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let found = if likely(&id) {
            if number(&id) && id != described && wanted(&described) {
                let (local, id, said) =
                    (&row.local_port, super::cut(&row.port_id), super::cut(&described));
                return Err(format!(
                    "the neighbour on port {local} calls its port {id} and {said}; which is \
                     meant cannot be told"
                ));
            }
            id
        } else if wanted(&described) || likely(&described) {
            described
        } else {
            let (local, id) = (&row.local_port, super::cut(&row.port_id));
            return Err(format!(
                "the neighbour on port {local} is {device}, and {id} is no name of a port"
            ));
        };
        if !wanted(&found)
            && let Some(whole) = planned.iter().find(|port| differently_told(port, &found))
        {
            let local = &row.local_port;
            let found = super::cut(&found);
            return Err(format!(
                "the neighbour on port {local} is {device} port {found}, and the plan says \
                 {whole}: these may be one socket"
            ));
        }
        Ok(found)
    }

    /// The far port as the installer would look for it.
    pub(super) fn shown_port(&self, far: &FarEnd<'a>) -> &'a str {
        let description = far.row.port_description.as_deref().unwrap_or("");
        let (id, described) = (looks_like_port(&far.row.port_id), looks_like_port(description));
        if described && !id { description } else { &far.row.port_id }
    }
}

impl End {
    /// For a person.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.device.trim_start_matches('?'), self.port)
    }

    pub(super) fn socket(&self) -> Socket {
        let device = super::cut(self.device.trim_start_matches('?'));
        Socket { device, port: super::cut(&self.port) }
    }
}

impl<'a> FarEnd<'a> {
    /// What was listed of it.
    pub(super) fn row(&self) -> &'a Neighbour {
        self.row
    }

    /// True if neither its name nor its chassis is that of a planned device.
    pub(super) fn is_stranger(&self) -> bool {
        self.device.is_none()
    }

    /// True if both are one socket, as far as can be told: a stranger is told by its name alone. A
    /// device that LLDP knows by its chassis may be a stranger by the name that CDP tells of it.
    pub(super) fn agrees_with(&self, other: &FarEnd<'_>) -> bool {
        let (name, others) = (clean_name(self.row), clean_name(other.row));
        let one_name = !name.is_empty() && name.eq_ignore_ascii_case(others);
        self.end.device == other.end.device && (self.is_stranger() || self.end == other.end)
            || other.is_stranger() && one_name
    }

    /// The name planned for it, or the one it gives itself.
    pub(super) fn shown_device(&self) -> &'a str {
        self.device.unwrap_or_else(|| clean_name(self.row))
    }
}

/// The system name without blanks, and without the serial that some put behind it in CDP:
/// `sw1(FOX12)`.
pub(super) fn clean_name(row: &Neighbour) -> &str {
    let name = row.system_name.trim();
    match name.strip_suffix(')').and_then(|open| open.rsplit_once('(')) {
        Some((before, _)) if !before.trim().is_empty() => before.trim(),
        Some(_) | None => name,
    }
}

/// One spelling of a port name, by that platform; lower case where the platform is not known.
/// A logical unit 0 is the port itself (`xe-0/0/1.0`).
fn canonical(plan: &Plan<'_>, platform: &str, port: &str) -> String {
    let port = port.trim();
    let port = match port.strip_suffix(".0") {
        Some(whole) if looks_like_port(whole) => whole,
        Some(_) | None => port,
    };
    match plan.platforms.get(platform) {
        Some(platform) => platform.canonical_port(port),
        None => port.to_lowercase(),
    }
}

/// True if one may be the other: a socket split into lanes (`Ethernet49` and `Ethernet49/1`,
/// `xe-0/0/0` and `xe-0/0/0:1`), or a bare number and a name that ends in it (`47` and
/// `Gi1/0/47`).
pub(super) fn differently_told(a: &str, b: &str) -> bool {
    let lane = |long: &str, short: &str| {
        let rest = long.strip_prefix(short).and_then(|rest| rest.strip_prefix(['/', ':']));
        short.ends_with(|c: char| c.is_ascii_digit())
            && rest.is_some_and(|lane| !lane.is_empty() && lane.bytes().all(|b| b.is_ascii_digit()))
    };
    let number = |long: &str, short: &str| {
        !short.is_empty()
            && short.bytes().all(|b| b.is_ascii_digit())
            && long.strip_suffix(short).is_some_and(|rest| rest.ends_with('/'))
    };
    lane(a, b) || lane(b, a) || number(a, b) || number(b, a)
}

/// The name with every number replaced by `0`: two interfaces of one kind have one shape.
fn shape(port: &str) -> String {
    let mut shape = String::new();
    for letter in port.chars() {
        if !letter.is_ascii_digit() {
            shape.push(letter);
        } else if !shape.ends_with('0') {
            shape.push('0');
        }
    }
    shape
}

/// Letters, then numbers with a slash among them: `Gi1/0/47`, `ge-0/0/1`. Names without a slash may
/// be anything, and are compared by [`shape`].
fn looks_like_port(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let numbers = text.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '-' || c == ' ');
    numbers.contains('/')
        && numbers.starts_with(|c: char| c.is_ascii_digit())
        && numbers.chars().all(|c| c.is_ascii_digit() || "/:.".contains(c))
}

#[cfg(test)]
mod tests {
    use crate::address::Mac;
    use crate::domain::check::planned::{Scene, row};
    use crate::domain::check::{Check, Verdict};
    use crate::platform::observation::{Neighbour, Observation, Reading};

    /// What is said of the one cable to `far` if it is heard like this.
    fn judged(scene: &Scene, row: Neighbour) -> String {
        let seen = Observation { lldp: Reading::Seen(vec![row]), ..scene.as_planned() };
        let findings = scene.judge(&seen);
        let found = findings.verdicts.iter().find(|(check, _)| *check == Check::Neighbours);
        match &found.expect("every check is there").1 {
            Verdict::Pass => "pass".to_owned(),
            Verdict::Unknown { .. } => "cannot tell".to_owned(),
            Verdict::NotPlanned => "not planned".to_owned(),
            Verdict::Fail(problem) => format!("{:?}", problem.fault),
        }
    }

    #[test]
    fn a_port_is_known_by_its_name_alone_and_what_is_none_accuses_nobody() {
        for (platform, planned, id, description, told) in [
            ("cisco_ios", "Gi1/0/47", "GigabitEthernet1/0/47", "", "pass"),
            ("cisco_ios", "Gi1/0/47", "00:1b:21:aa:bb:cc", "", "cannot tell"),
            ("cisco_ios", "Gi1/0/47", "517", "Uplink to acc", "cannot tell"),
            ("cisco_ios", "Gi1/0/47", "517", "GigabitEthernet1/0/47", "pass"),
            ("cisco_ios", "Gi1/0/47", "517", "GigabitEthernet1/0/48", "WrongPort"),
            ("cisco_ios", "Gi1/0/47", "Uplink to acc", "GigabitEthernet1/0/47", "pass"),
            ("cisco_ios", "47", "Gi1/0/47", "", "cannot tell"),
            ("cisco_ios", "47", "Gi1/0/48", "", "WrongPort"),
            ("cisco_ios", "47", "48", "", "WrongPort"),
            ("cisco_ios", "47", "517", "47", "cannot tell"),
            ("arista_eos", "Ethernet1/1", "Et1/1", "", "pass"),
            ("arista_eos", "Et49/1", "Ethernet49", "", "cannot tell"),
            ("cisco_nxos", "Ethernet1/49/1", "Eth1/49/1", "", "pass"),
            ("cisco_nxos", "Ethernet1/49", "Eth1/49/1", "", "cannot tell"),
            ("cisco_nxos", "Ethernet1/1/1", "Ethernet1/1/2", "", "WrongPort"),
            ("juniper_junos", "xe-0/0/0:1", "xe-0/0/0:1", "", "pass"),
            ("juniper_junos", "xe-0/0/0:1", "xe-0/0/0:1.0", "", "pass"),
            ("juniper_junos", "xe-0/0/0:1", "xe-0/0/0:2", "", "WrongPort"),
            ("juniper_junos", "xe-0/0/0:1", "xe-0/0/0", "", "cannot tell"),
            ("juniper_junos", "xe-0/0/1", "513", "xe-0/0/1", "pass"),
            ("frr", "swp1", "swp2", "", "WrongPort"),
            ("frr", "swp1", "swp1", "to acc", "pass"),
        ] {
            let mut scene = Scene::cabled(&[("Gi1/0/49", "dist-1", planned)]);
            scene.alter("dist-1", |device| device.platform = platform.to_owned());
            let mut row = row("Gi1/0/49", "dist-1", id);
            row.port_description = Some(description.to_owned());
            assert_eq!(judged(&scene, row), told, "{platform} {planned}: {id} {description:?}");
        }
    }

    #[test]
    fn a_device_is_known_by_a_whole_name_a_chassis_or_an_address() {
        const LONG: &str = "dist-switch-building-4-north";
        for (planned, name, chassis, told) in [
            (LONG, LONG, "", "pass"),
            (LONG, "DIST-SWITCH-BUILDING-4-NORTH.example.com", "", "pass"),
            (LONG, "dist-switch-building", "", "cannot tell"),
            (LONG, "dist-switch-build...", "", "cannot tell"),
            (LONG, "dist-switch-building", "001b.21aa.bb01", "pass"),
            (LONG, "dist", "", "WrongDevice"),
            (LONG, "dist-switch-building-5", "", "WrongDevice"),
            ("dist-1.example.com", "dist-1", "", "pass"),
            ("dist-1.example.com", "dist-1.example.org", "", "WrongDevice"),
            ("dist-1", "", "00:1b:21:aa:bb:01", "pass"),
            ("dist-1", "", "192.0.2.9", "pass"),
            ("dist-1", "", "dist-1", "pass"),
            ("dist-1", "", "FOX1234", "cannot tell"),
            ("dist-1", "192.0.2.9", "", "pass"),
            ("dist-1", "2001:db8::9", "", "pass"),
            ("dist-1", "192.0.2.10", "", "WrongDevice"),
            ("dist-1", "001b.21aa.bb01", "", "pass"),
            ("dist-1", "", "", "cannot tell"),
        ] {
            let mut scene = Scene::cabled(&[("Gi1/0/49", planned, "Gi1/0/47")]);
            let mac = Mac::new([0, 0x1b, 0x21, 0xaa, 0xbb, 1]);
            scene.alter(planned, |device| device.macs = vec![mac]);
            scene.inventory.by_address.insert([192, 0, 2, 9].into(), 1);
            scene.inventory.by_address6.insert("2001:db8::9".parse().unwrap(), 1);
            let mut row = row("Gi1/0/49", name, "Gi1/0/47");
            row.chassis_id = Some(chassis.to_owned());
            assert_eq!(judged(&scene, row), told, "{planned}: {name:?} {chassis:?}");
        }
    }

    #[test]
    fn a_name_that_two_could_bear_is_neither() {
        let cables = [("Gi1/0/49", "dist.example.com", "1"), ("Gi1/0/50", "dist.example.org", "1")];
        let scene = Scene::cabled(&cables);
        assert_eq!(judged(&scene, row("Gi1/0/49", "dist", "1")), "cannot tell");
    }
}
