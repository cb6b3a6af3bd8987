//! The cables of the plan: each is seen from both ends, and both ends must agree.

use std::collections::HashMap;

use crate::complaint::{Complaints, Place};
use crate::domain::inventory::meant::{Device, PlannedNeighbour};
use crate::domain::inventory::resolve::Known;
use crate::domain::inventory::written::WrittenInventory;
use crate::written::{At, shown};

/// One end as written: which device says it, what it says, and where.
struct End {
    from: usize,
    to: usize,
    neighbour: PlannedNeighbour,
    place: Place,
}

/// Fills every device's neighbours. A device that states none gets those that others state about
/// it.
pub fn lay(
    written: &WrittenInventory,
    devices: &mut [Device],
    by_name: &HashMap<String, usize>,
    known: &Known<'_>,
    complaints: &mut Complaints,
) {
    let mut ends = Vec::new();
    for (from, device) in written.devices.iter().enumerate() {
        for text in &device.neighbours {
            let Some(neighbour) = spelled(text, complaints) else { continue };
            match by_name.get(&neighbour.device) {
                Some(&to) if to == from => {
                    let message = "a device cannot be its own neighbour";
                    complaints.at(text.place, message, "name the device at the other end");
                }
                Some(&to) => ends.push(End { from, to, neighbour, place: text.place }),
                None => unknown(text, &neighbour, devices, complaints),
            }
        }
    }
    let states: Vec<bool> =
        written.devices.iter().map(|device| !device.neighbours.is_empty()).collect();
    let mut ports =
        Ports { ends: &ends, devices, stated: HashMap::new(), spellings: Spellings::of(known) };
    ports.one_cable_each(complaints);
    for end in ends.iter().filter(|end| states[end.to]) {
        ports.symmetric(end, complaints);
    }
    for end in ends {
        if !states[end.to] {
            let reverse = PlannedNeighbour {
                local_port: end.neighbour.port.clone(),
                device: devices[end.from].name.clone(),
                port: end.neighbour.local_port.clone(),
            };
            devices[end.to].neighbours.push(reverse);
        }
        devices[end.from].neighbours.push(end.neighbour);
    }
    // Most devices have one or two, and a list that grows begins with room for four.
    devices.iter_mut().for_each(|device| device.neighbours.shrink_to_fit());
}

/// Reads `local port -> device, port`.
fn spelled(text: &At<String>, complaints: &mut Complaints) -> Option<PlannedNeighbour> {
    let parts = text.value.split_once("->").and_then(|(local, far)| {
        let (device, port) = far.split_once(',')?;
        Some([local.trim(), device.trim(), port.trim()])
    });
    match parts {
        Some([local_port, device, port]) if ![local_port, device, port].contains(&"") => {
            Some(PlannedNeighbour {
                local_port: local_port.to_owned(),
                device: device.to_owned(),
                port: port.to_owned(),
            })
        }
        Some(_) | None => {
            let message = format!("`{}` is no cable", shown(&text.value));
            let hint = "write `local port -> device, port`, as in `Ethernet1 -> core-1, Ethernet7`";
            complaints.at(text.place, message, hint);
            None
        }
    }
}

fn unknown(
    text: &At<String>,
    neighbour: &PlannedNeighbour,
    devices: &[Device],
    complaints: &mut Complaints,
) {
    let message = format!("this neighbour names no device: `{}`", shown(&neighbour.device));
    let names = devices.iter().take(SUGGESTIONS_AMONG).map(|device| device.name.as_str());
    let hint = complaints.look_alike(&neighbour.device, names, || {
        "plan it under `devices:`, with `managed: false` if it is in service already".to_owned()
    });
    complaints.at(text.place, message, hint);
}

/// Names that are compared to find a look-alike.
const SUGGESTIONS_AMONG: usize = 5_000;

/// All ends, and the one that each port states: by device and canonical port.
struct Ports<'a> {
    ends: &'a [End],
    devices: &'a [Device],
    stated: HashMap<Port, usize>,
    spellings: Spellings<'a>,
}

/// A device, and the number of its port's canonical spelling.
type Port = (usize, usize);

/// Every spelling of a port, looked at once: plans repeat few of them many times.
struct Spellings<'a> {
    known: &'a Known<'a>,
    /// By platform and text.
    written: HashMap<(&'a str, &'a str), usize>,
    canonical: HashMap<String, usize>,
}

impl<'a> Spellings<'a> {
    fn of(known: &'a Known<'a>) -> Self {
        Self { known, written: HashMap::new(), canonical: HashMap::new() }
    }

    fn number(&mut self, platform: &'a str, port: &'a str) -> usize {
        *self.written.entry((platform, port)).or_insert_with(|| {
            let next = self.canonical.len();
            let canonical = (self.known.canonical_port)(platform, port);
            *self.canonical.entry(canonical).or_insert(next)
        })
    }
}

impl<'a> Ports<'a> {
    fn canonical(&mut self, device: usize, port: &'a str) -> Port {
        (device, self.spellings.number(&self.devices[device].platform, port))
    }

    /// Finds ports with two cables, seen from either end.
    fn one_cable_each(&mut self, complaints: &mut Complaints) {
        let ends = self.ends;
        self.stated.reserve(ends.len());
        let mut claimed: HashMap<Port, usize> = HashMap::with_capacity(ends.len());
        for (index, end) in ends.iter().enumerate() {
            let near = self.canonical(end.from, &end.neighbour.local_port);
            let far = self.canonical(end.to, &end.neighbour.port);
            let before = match self.stated.get(&near) {
                Some(first) => Some((first, &end.neighbour.local_port, end.from)),
                None => claimed.get(&far).map(|first| (first, &end.neighbour.port, end.to)),
            };
            if let Some((first, port, device)) = before {
                let name = &self.devices[device].name;
                let message = format!("port `{}` of `{}` has two cables", shown(port), shown(name));
                let line = self.ends[*first].place.line;
                complaints.at(end.place, message, format!("the other one is in line {line}"));
            }
            self.stated.entry(near).or_insert(index);
            claimed.entry(far).or_insert(index);
        }
    }

    /// The far device lists neighbours of its own, so it must list this cable.
    fn symmetric(&mut self, end: &'a End, complaints: &mut Complaints) {
        let neighbour = &end.neighbour;
        let far = self.canonical(end.to, &neighbour.port);
        let ends = self.ends;
        let Some(reverse) = self.stated.get(&far).map(|index| &ends[*index]) else {
            let message =
                format!("`{}` lists its neighbours, and not this cable", shown(&neighbour.device));
            let from = &self.devices[end.from].name;
            let hint = format!(
                "add `{} -> {from}, {}` to it, or remove its list",
                shown(&neighbour.port),
                shown(&neighbour.local_port)
            );
            complaints.at(end.place, message, hint);
            return;
        };
        let same_port = self.canonical(reverse.to, &reverse.neighbour.port)
            == self.canonical(end.from, &neighbour.local_port);
        if reverse.to != end.from || !same_port {
            let message = format!(
                "`{}` says that this port leads to `{}`, `{}`",
                shown(&neighbour.device),
                shown(&reverse.neighbour.device),
                shown(&reverse.neighbour.port)
            );
            let line = reverse.place.line;
            complaints.at(end.place, message, format!("make this line and line {line} agree"));
        }
    }
}
