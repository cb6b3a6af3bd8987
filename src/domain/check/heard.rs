//! Who is heard on which port: the rows of LLDP or CDP, joined with the inventory.

use std::collections::BTreeMap;

use super::identity::same_name;
use crate::address::Mac;
use crate::domain::check::Plan;
use crate::domain::inventory::meant::{Device, PlannedNeighbour};
use crate::platform::observation::{Neighbour, Observation, Reading};

/// Of two rows on one port the later heard one is there now if the other has missed a message
/// since: LLDP repeats itself every 30 s (IEEE 802.1AB, 9.2.5.7, `msgTxInterval`).
const MISSED_SECONDS: u64 = 30;

/// What is on one port now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    Nobody,
    One(FarEnd<'a>),
    /// Somebody, and nobody can say who.
    Unclear(String),
}

/// The far end of one cable, as it was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FarEnd<'a> {
    row: &'a Neighbour,
    /// The planned device it is, if it is one.
    device: Option<&'a str>,
}

/// Everything heard in one visit, by port of this device.
#[derive(Debug)]
pub(super) struct Ears<'a> {
    plan: Plan<'a>,
    by_port: BTreeMap<String, (&'a str, Heard<'a>)>,
    links: Option<BTreeMap<String, bool>>,
}

impl<'a> Ears<'a> {
    /// Fails with the reason if the device could not tell its neighbours.
    pub(super) fn new(plan: &Plan<'a>, seen: &'a Observation) -> Result<Self, String> {
        let rows = rows(seen)?;
        let links = seen.interfaces.seen().map(|interfaces| {
            let link = |interface: &crate::platform::observation::Interface| {
                (canonical(plan, &plan.device.platform, &interface.name), interface.link_up)
            };
            interfaces.iter().map(link).collect::<BTreeMap<_, _>>()
        });
        let mut grouped: BTreeMap<String, Vec<&'a Neighbour>> = BTreeMap::new();
        for row in rows {
            let port = canonical(plan, &plan.device.platform, &row.local_port);
            // A row on a port without link is what was there before: it proves nothing.
            let stale = links.as_ref().is_some_and(|links| links.get(&port) == Some(&false));
            if !stale {
                grouped.entry(port).or_default().push(row);
            }
        }
        let by_port = grouped
            .into_iter()
            .map(|(port, rows)| (port, (rows[0].local_port.as_str(), present(plan, &rows))))
            .collect();
        Ok(Self { plan: *plan, by_port, links })
    }

    pub(super) fn on(&self, local_port: &str) -> Heard<'a> {
        let port = canonical(&self.plan, &self.plan.device.platform, local_port);
        self.by_port.get(&port).map_or(Heard::Nobody, |(_, heard)| heard.clone())
    }

    /// Whether the port has link, if the device tells.
    pub(super) fn link_up(&self, local_port: &str) -> Option<bool> {
        let port = canonical(&self.plan, &self.plan.device.platform, local_port);
        self.links.as_ref()?.get(&port).copied()
    }

    /// The ports of this device, as printed, on which the far end planned for `cable` is heard.
    pub(super) fn ports_hearing(&self, cable: &PlannedNeighbour) -> Vec<&'a str> {
        let hearing = self.by_port.values().filter_map(|(printed, heard)| match heard {
            Heard::One(far) if self.is_right(far, cable) => Some(*printed),
            Heard::One(_) | Heard::Nobody | Heard::Unclear(_) => None,
        });
        hearing.collect()
    }

    pub(super) fn same_local_port(&self, a: &str, b: &str) -> bool {
        let platform = &self.plan.device.platform;
        canonical(&self.plan, platform, a) == canonical(&self.plan, platform, b)
    }

    /// True if this far end is the planned one: device and port.
    pub(super) fn is_right(&self, far: &FarEnd<'_>, cable: &PlannedNeighbour) -> bool {
        self.is_device(far, cable) && self.is_port(far, cable)
    }

    pub(super) fn is_device(&self, far: &FarEnd<'_>, cable: &PlannedNeighbour) -> bool {
        match far.device {
            Some(device) => device.eq_ignore_ascii_case(&cable.device),
            None => same_name(&cable.device, clean_name(&far.row.system_name)),
        }
    }

    /// The far port stands in the port id, or else in the port description: the description counts
    /// only where the port id is no interface name, for people write anything into descriptions.
    fn is_port(&self, far: &FarEnd<'_>, cable: &PlannedNeighbour) -> bool {
        let platform = self.far_platform(cable);
        let planned = canonical(&self.plan, platform, &cable.port);
        let id = canonical(&self.plan, platform, &far.row.port_id);
        if id == planned {
            return true;
        }
        if shape(&id) == shape(&planned) || looks_like_port(&id) {
            return false;
        }
        let description = far.row.port_description.as_deref().unwrap_or("");
        canonical(&self.plan, platform, description) == planned
    }

    /// Who knows how the far end spells its ports; our own platform where nobody does.
    fn far_platform(&self, cable: &PlannedNeighbour) -> &'a str {
        match self.plan.inventory.device(&cable.device) {
            Some(far) if self.plan.platforms.get(&far.platform).is_some() => &far.platform,
            Some(_) | None => &self.plan.device.platform,
        }
    }

    /// The far port as the installer would look for it.
    pub(super) fn shown_port(&self, far: &FarEnd<'a>) -> &'a str {
        let description = far.row.port_description.as_deref().unwrap_or("");
        let (id, described) = (looks_like_port(&far.row.port_id), looks_like_port(description));
        if described && !id { description } else { &far.row.port_id }
    }
}

impl<'a> FarEnd<'a> {
    /// True if neither its name nor its chassis is that of a planned device.
    pub(super) fn is_stranger(&self) -> bool {
        self.device.is_none()
    }

    /// The name planned for it, or the one it gives itself.
    pub(super) fn shown_device(&self) -> &'a str {
        self.device.unwrap_or_else(|| clean_name(&self.row.system_name))
    }
}

/// LLDP's rows; CDP's only where LLDP has none to give.
fn rows(seen: &Observation) -> Result<&Vec<Neighbour>, String> {
    match (&seen.lldp, &seen.cdp) {
        (Reading::Seen(rows), _) => Ok(rows),
        (Reading::Unreadable { .. } | Reading::NotAsked, Reading::Seen(rows)) => Ok(rows),
        (Reading::Unreadable { why }, Reading::Unreadable { .. } | Reading::NotAsked)
        | (Reading::NotAsked, Reading::Unreadable { why }) => Err(why.clone()),
        (Reading::NotAsked, Reading::NotAsked) => {
            Err("its platform has no question for neighbours".to_owned())
        }
    }
}

/// Who of the rows of one port is there now. After a cable was moved the old neighbour stays listed
/// until its TTL ends.
fn present<'a>(plan: &Plan<'a>, rows: &[&'a Neighbour]) -> Heard<'a> {
    let mut different: Vec<&'a Neighbour> = Vec::new();
    for row in rows {
        if !different.iter().any(|known| same_far_end(known, row)) {
            different.push(row);
        }
    }
    let row = match different.as_slice() {
        [] => return Heard::Nobody,
        [only] => *only,
        several => match newest(several).or_else(|| last_heard(several)) {
            Some(row) => row,
            None => {
                let names: Vec<&str> =
                    several.iter().map(|row| clean_name(&row.system_name)).collect();
                let port = &several[0].local_port;
                return Heard::Unclear(format!(
                    "port {port} lists {}; which of them is there now cannot be told",
                    names.join(" and ")
                ));
            }
        },
    };
    match identified(plan, row) {
        Ok(device) => Heard::One(FarEnd { row, device }),
        Err(why) => Heard::Unclear(why),
    }
}

fn same_far_end(a: &Neighbour, b: &Neighbour) -> bool {
    a.system_name == b.system_name
        && a.chassis_id == b.chassis_id
        && a.port_id == b.port_id
        && a.port_description == b.port_description
}

/// The row that appeared last, if every row tells when, and one is later than all others.
fn newest<'a>(rows: &[&'a Neighbour]) -> Option<&'a Neighbour> {
    let mut aged: Vec<(u64, &'a Neighbour)> = rows
        .iter()
        .map(|row| row.first_seen_seconds_ago.map(|age| (age, *row)))
        .collect::<Option<_>>()?;
    aged.sort_by_key(|(age, _)| *age);
    (aged[0].0 < aged[1].0).then_some(aged[0].1)
}

/// The row heard last, if every row tells when, and all others have missed a message since.
fn last_heard<'a>(rows: &[&'a Neighbour]) -> Option<&'a Neighbour> {
    let mut aged: Vec<(u64, &'a Neighbour)> = rows
        .iter()
        .map(|row| row.last_heard_seconds_ago.map(|age| (age, *row)))
        .collect::<Option<_>>()?;
    aged.sort_by_key(|(age, _)| *age);
    (aged[1].0.saturating_sub(aged[0].0) > MISSED_SECONDS).then_some(aged[0].1)
}

/// The planned device that a row is, by chassis id or name; `None` for a named stranger.
fn identified<'a>(plan: &Plan<'a>, row: &Neighbour) -> Result<Option<&'a str>, String> {
    let name = clean_name(&row.system_name);
    let mac = row.chassis_id.as_deref().and_then(|id| id.trim().parse::<Mac>().ok());
    let by_chassis = mac.and_then(|mac| plan.inventory.with_mac(mac)).map(|d| d.name.as_str());
    let by_name = named(plan, name).map(|device| device.name.as_str());
    match (by_chassis, by_name) {
        (Some(chassis), Some(named)) if chassis != named => Err(format!(
            "the neighbour on port {} names itself {named}, its chassis id is that of {chassis}",
            row.local_port
        )),
        (Some(device), _) | (None, Some(device)) => Ok(Some(device)),
        (None, None) if name.is_empty() => {
            Err(format!("the neighbour on port {} gives no name", row.local_port))
        }
        (None, None) => Ok(None),
    }
}

/// The device of the inventory that bears this name, with or without its domain.
fn named<'a>(plan: &Plan<'a>, name: &str) -> Option<&'a Device> {
    let lower = name.to_lowercase();
    let short = name.split('.').next().unwrap_or(name);
    let short_lower = lower.split('.').next().unwrap_or(&lower);
    [name, lower.as_str(), short, short_lower]
        .iter()
        .find_map(|name| plan.inventory.device(name))
        .map(|device| &**device)
}

/// The system name without blanks, and without the serial that some put behind it in CDP:
/// `sw1(FOX12)`.
fn clean_name(name: &str) -> &str {
    let name = name.trim();
    match name.strip_suffix(')').and_then(|open| open.rsplit_once('(')) {
        Some((before, _)) if !before.trim().is_empty() => before.trim(),
        Some(_) | None => name,
    }
}

/// One spelling of a port name, by that platform; lower case where the platform is not known.
fn canonical(plan: &Plan<'_>, platform: &str, port: &str) -> String {
    match plan.platforms.get(platform) {
        Some(platform) => platform.canonical_port(port.trim()),
        None => port.trim().to_lowercase(),
    }
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
