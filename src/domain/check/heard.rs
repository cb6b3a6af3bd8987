//! Who is heard on which port: the rows of LLDP and CDP, joined with the inventory.
//!
//! LLDP speaks first; CDP counts on a port where LLDP lists nobody, or somebody without a name:
//! many a device in service speaks only the one or the other. Where CDP names somebody else than
//! LLDP does, LLDP is nearer, for CDP passes through switches that do not know it; or else one of
//! the two remembers a plug that is gone. That is told as a contradiction. What the far ends hear
//! of this device (`upstream`) counts where it hears nobody itself. What a row tells of the far end
//! is read in `far_end`.
//!
//! After a plug was moved, its old neighbour stays listed until its TTL ends. Such a row is not
//! believed where the port has no link, nor beside another one: of two on one port the one that was
//! heard last is there, if the other one has missed a message since; otherwise nobody can say.

use std::collections::{BTreeMap, BTreeSet};

use super::far_end::{End, FarEnd, Known};
use super::upstream::Turned;
use crate::domain::check::Plan;
use crate::platform::observation::{Interface, Neighbour, Observation, Reading};

/// Of two rows on one port the later heard one is there now if the other has missed a message
/// since: LLDP repeats itself every 30 s (IEEE 802.1AB, 9.2.5.7, `msgTxInterval`).
const LLDP_REPEATS_SECONDS: u64 = 30;
/// And CDP every 60 s, unless it was told otherwise (`cdp timer`).
const CDP_REPEATS_SECONDS: u64 = 60;

/// What is on one port now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    Nobody,
    One(FarEnd<'a>),
    /// Somebody, and nobody can say who.
    Unclear(Unclear<'a>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unclear<'a> {
    pub(super) why: String,
    /// Planned devices that it could be.
    pub(super) may_be: Vec<&'a str>,
}

/// One port of this device on which somebody is heard.
#[derive(Debug)]
pub(super) struct Port<'a> {
    /// As the device prints it.
    pub(super) printed: &'a str,
    pub(super) heard: Heard<'a>,
    /// Whom CDP names there, if that is somebody else than LLDP names. `None`: they agree, or only
    /// one of them names anybody.
    pub(super) contradiction: Option<Vec<End>>,
}

impl Port<'_> {
    /// The socket that is heard, if it can be told.
    fn end(&self) -> Option<&End> {
        match &self.heard {
            Heard::One(far) => Some(&far.end),
            Heard::Nobody | Heard::Unclear(_) => None,
        }
    }
}

/// Everything heard in one visit, by port of this device.
#[derive(Debug)]
pub(super) struct Ears<'a> {
    pub(super) known: Known<'a>,
    /// By canonical name.
    pub(super) ports: BTreeMap<String, Port<'a>>,
    links: Option<BTreeMap<String, bool>>,
}

/// The rows of one port, by protocol.
#[derive(Default)]
struct Rows<'a> {
    lldp: Vec<&'a Neighbour>,
    cdp: Vec<&'a Neighbour>,
}

impl<'a> Ears<'a> {
    /// Fails with the reason if the device could not tell its neighbours.
    pub(super) fn new(plan: &Plan<'a>, seen: &'a Observation) -> Result<Self, String> {
        Ok(Self::of(plan, rows(tables(seen)?), &seen.interfaces))
    }

    /// The same with what the far ends hear of this device.
    pub(super) fn joined(plan: &Plan<'a>, seen: &'a Observation, turned: &'a Turned) -> Self {
        let own = tables(seen);
        let deaf = own.is_err();
        let mut ears = Self::of(plan, rows(own.unwrap_or_default()), &seen.interfaces);
        // A plug stands in one socket: what this device hears itself is nearer.
        let proven: BTreeSet<&End> = ears.ports.values().filter_map(Port::end).collect();
        let elsewhere = |row: &&'a Neighbour| {
            ears.known.far_end(row).is_ok_and(|far| proven.contains(&far.end))
        };
        let rows: Vec<&'a Neighbour> = turned.rows.iter().filter(|row| !elsewhere(row)).collect();
        for (name, port) in Self::of(plan, (rows, Vec::new()), &seen.interfaces).ports {
            if *ears.on(&name) == Heard::Nobody {
                ears.ports.insert(name, port);
            }
        }
        for (name, why) in turned.unclear.iter().filter(|_| deaf) {
            if *ears.on(name) == Heard::Nobody {
                let heard = Heard::Unclear(Unclear { why: why.clone(), may_be: Vec::new() });
                let port = Port { printed: name, heard, contradiction: None };
                ears.ports.insert(name.clone(), port);
            }
        }
        let links = ears.links.get_or_insert_default();
        for port in turned.dark() {
            links.entry(port.clone()).or_insert(false);
        }
        ears
    }

    fn of(
        plan: &Plan<'a>,
        (lldp, cdp): (Vec<&'a Neighbour>, Vec<&'a Neighbour>),
        interfaces: &Reading<Vec<Interface>>,
    ) -> Self {
        let known = Known::new(plan);
        let links = interfaces.seen().map(|interfaces| {
            let link =
                |interface: &Interface| (known.port_of_ours(&interface.name), interface.link_up);
            interfaces.iter().map(link).collect::<BTreeMap<_, _>>()
        });
        let mut grouped: BTreeMap<String, Rows<'a>> = BTreeMap::new();
        let mut add =
            |row: &'a Neighbour,
             pick: for<'r> fn(&'r mut Rows<'a>) -> &'r mut Vec<&'a Neighbour>| {
                let port = known.port_of_ours(&row.local_port);
                // A row on a port without link is what was there before: it proves nothing.
                let stale = links.as_ref().is_some_and(|links| links.get(&port) == Some(&false));
                if !stale {
                    pick(grouped.entry(port).or_default()).push(row);
                }
            };
        lldp.into_iter().for_each(|row| add(row, |rows| &mut rows.lldp));
        cdp.into_iter().for_each(|row| add(row, |rows| &mut rows.cdp));
        let ports = grouped
            .into_iter()
            .map(|(port, rows)| {
                let first = rows.lldp.first().or(rows.cdp.first());
                let printed = first.map_or("", |row| row.local_port.as_str());
                let heard = joined(&known, &rows);
                let contradiction = contradiction(&known, &heard, &rows);
                (port, Port { printed, heard, contradiction })
            })
            .collect();
        Self { known, ports, links }
    }

    /// Who is heard on this port, by its canonical name.
    pub(super) fn on(&self, port: &str) -> &Heard<'a> {
        self.ports.get(port).map_or(&Heard::Nobody, |port| &port.heard)
    }

    /// Whom CDP names on this port beside the one that LLDP names.
    pub(super) fn contradiction(&self, port: &str) -> Option<&[End]> {
        self.ports.get(port)?.contradiction.as_deref()
    }

    /// Whether the port has link, if the device tells.
    pub(super) fn link_up(&self, port: &str) -> Option<bool> {
        self.links.as_ref()?.get(port).copied()
    }
}

/// LLDP's rows and CDP's, either of which may be missing.
type Tables<'a> = (&'a [Neighbour], &'a [Neighbour]);

fn tables(seen: &Observation) -> Result<Tables<'_>, String> {
    match (&seen.lldp, &seen.cdp) {
        (Reading::Seen(lldp), Reading::Seen(cdp)) => Ok((lldp, cdp)),
        (Reading::Seen(lldp), Reading::Unreadable { .. } | Reading::NotAsked) => Ok((lldp, &[])),
        (Reading::Unreadable { .. } | Reading::NotAsked, Reading::Seen(cdp)) => Ok((&[], cdp)),
        (Reading::Unreadable { why }, Reading::Unreadable { .. } | Reading::NotAsked)
        | (Reading::NotAsked, Reading::Unreadable { why }) => Err(why.clone()),
        (Reading::NotAsked, Reading::NotAsked) => {
            Err("its platform has no question for neighbours".to_owned())
        }
    }
}

/// Why LLDP tells nothing, where CDP speaks alone: whom CDP does not name may be heard by LLDP.
pub(super) fn why_cdp_alone(seen: &Observation) -> Option<&str> {
    match (&seen.lldp, &seen.cdp) {
        (Reading::Unreadable { why }, Reading::Seen(_)) => Some(why),
        (Reading::Unreadable { .. }, Reading::Unreadable { .. } | Reading::NotAsked)
        | (Reading::Seen(_) | Reading::NotAsked, _) => None,
    }
}

fn rows<'a>((lldp, cdp): Tables<'a>) -> (Vec<&'a Neighbour>, Vec<&'a Neighbour>) {
    (lldp.iter().collect(), cdp.iter().collect())
}

fn joined<'a>(known: &Known<'a>, rows: &Rows<'a>) -> Heard<'a> {
    let by_cdp = || present(known, &rows.cdp, CDP_REPEATS_SECONDS);
    match present(known, &rows.lldp, LLDP_REPEATS_SECONDS) {
        Heard::Nobody => by_cdp(),
        Heard::Unclear(unclear) => {
            let nameless = rows.lldp.iter().all(|row| known.is_nameless(row));
            match by_cdp() {
                Heard::One(far) if nameless => Heard::One(far),
                Heard::One(_) | Heard::Nobody | Heard::Unclear(_) => Heard::Unclear(unclear),
            }
        }
        Heard::One(far) => Heard::One(far),
    }
}

/// Whom CDP names beside the far end that LLDP names: sockets where they can be told. A device that
/// speaks both may call its port differently in each.
fn contradiction<'a>(known: &Known<'a>, heard: &Heard<'a>, rows: &Rows<'a>) -> Option<Vec<End>> {
    let Heard::One(far) = heard else { return None };
    if rows.lldp.is_empty() {
        return None;
    }
    let (mut ends, mut others) = (Vec::new(), false);
    for row in &rows.cdp {
        match known.far_end(row) {
            Ok(other) if far.agrees_with(&other) => {}
            Ok(other) => {
                others = true;
                ends.push(other.end);
            }
            Err(unclear) => others |= !far.device.is_some_and(|far| unclear.may_be.contains(&far)),
        }
    }
    others.then_some(ends)
}

/// Who of the rows of one port is there now.
fn present<'a>(known: &Known<'a>, rows: &[&'a Neighbour], repeats_seconds: u64) -> Heard<'a> {
    let mut different: Vec<&'a Neighbour> = Vec::new();
    for row in rows {
        if !different.iter().any(|known| same_far_end(known, row)) {
            different.push(row);
        }
    }
    let row = match different.as_slice() {
        [] => return Heard::Nobody,
        [only] => *only,
        several => {
            let found = one_socket(known, several)
                .or_else(|| last_heard(several, repeats_seconds))
                .or_else(|| planned_one(known, several));
            match found {
                Some(row) => row,
                None => return Heard::Unclear(one_of(known, several)),
            }
        }
    };
    known.far_end(row).map_or_else(Heard::Unclear, Heard::One)
}

fn one_of<'a>(known: &Known<'a>, rows: &[&'a Neighbour]) -> Unclear<'a> {
    let names: Vec<&str> = rows.iter().map(|row| super::far_end::clean_name(row)).collect();
    let port = &rows[0].local_port;
    let mut may_be = Vec::new();
    for row in rows {
        match known.far_end(row) {
            Ok(far) => may_be.extend(far.device),
            Err(unclear) => may_be.extend(unclear.may_be),
        }
    }
    let names = names.join(" and ");
    let why = format!("port {port} lists {names}; which of them is there now cannot be told");
    Unclear { why, may_be }
}

fn same_far_end(a: &Neighbour, b: &Neighbour) -> bool {
    a.system_name == b.system_name
        && a.chassis_id == b.chassis_id
        && a.port_id == b.port_id
        && a.port_description == b.port_description
}

/// Any of the rows, if all of them speak of one socket of a known device in different words.
fn one_socket<'a>(known: &Known<'a>, rows: &[&'a Neighbour]) -> Option<&'a Neighbour> {
    let first = known.far_end(rows[0]).ok().filter(|far| !far.is_stranger())?;
    let same = |row: &&'a Neighbour| known.far_end(row).is_ok_and(|far| far.end == first.end);
    rows.iter().all(same).then_some(rows[0])
}

/// The row of the far end that is planned here, where the inventory does not care who else is
/// heard. That one of two appeared last proves nothing: its predecessor may be there again.
fn planned_one<'a>(known: &Known<'a>, rows: &[&'a Neighbour]) -> Option<&'a Neighbour> {
    let planned = known.planned_on(&rows[0].local_port).filter(|_| known.ignores_others())?;
    rows.iter().find(|row| known.far_end(row).is_ok_and(|far| far.end == planned)).copied()
}

/// The row heard last, if every row tells when, and all others have missed a message since.
fn last_heard<'a>(rows: &[&'a Neighbour], repeats_seconds: u64) -> Option<&'a Neighbour> {
    let mut aged: Vec<(u64, &'a Neighbour)> = rows
        .iter()
        .map(|row| row.last_heard_seconds_ago.map(|age| (age, *row)))
        .collect::<Option<_>>()?;
    aged.sort_by_key(|(age, _)| *age);
    (aged[1].0.saturating_sub(aged[0].0) > repeats_seconds).then_some(aged[0].1)
}
