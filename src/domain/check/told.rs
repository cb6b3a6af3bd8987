//! What does an act mean for the hands? The fault and the fillings of its words.

use std::collections::BTreeMap;

use super::neighbours::Set;
use super::repair::{Act, Near, Repair};
use super::{Plan, Problem, Socket};
use crate::domain::fault::Fault;
use crate::domain::inventory::meant::PlannedNeighbour;

/// The longest list of plugs that change places, in characters: a message has 400, and the
/// sentences around the list want some. More are taken one after the other.
const ROUND_CHARS_MAX: usize = 240;

/// Somebody on a port of no plan.
pub(super) struct Extra<'a> {
    /// Ours, as printed.
    pub(super) port: &'a str,
    pub(super) socket: Socket,
    /// Device and port, where they can be told.
    pub(super) far: Option<(&'a str, &'a str)>,
}

/// All acts in the order in which they are told: the lowest layer first, what is at our rack
/// before what is elsewhere, and then the order of the plan.
pub(super) fn problems(set: &Set<'_>, repairs: &[Repair]) -> Vec<Problem> {
    let mut mistakes: Vec<(bool, Vec<Problem>)> = repairs
        .iter()
        .map(|repair| {
            let elsewhere = matches!(repair.acts.first(), Some(Act::MoveThere { .. }));
            (elsewhere, repair.acts.iter().map(|act| problem(set, act)).collect())
        })
        .collect();
    mistakes.sort_by_key(|(elsewhere, problems)| {
        (problems.first().map(|problem| problem.fault.layer()), *elsewhere)
    });
    let mut problems: Vec<Problem> =
        mistakes.into_iter().flat_map(|(_, problems)| problems).collect();
    let acts = repairs.iter().flat_map(|repair| &repair.acts);
    let mut left = acts.filter(|act| act.is_a_move()).count();
    let unheard = set.unheard();
    let contradicted = set.contradicted();
    for problem in &mut problems {
        if unheard > 0 {
            problem.fill.insert("unheard".to_owned(), unheard.to_string());
        }
        if contradicted {
            problem.fill.insert("contradicted".to_owned(), "CDP".to_owned());
        }
        if matches!(problem.fault, Fault::NeighbourMute | Fault::NeighbourUnheard) {
            continue;
        }
        left -= 1;
        let (key, text) = match (left, problem.fill.get("far_device")) {
            (0, Some(far)) if problem.fault == Fault::WrongPort => ("only_at", far.clone()),
            (0, _) => ("only_at", set.plan.device.name.clone()),
            (more, _) => ("follow", more.to_string()),
        };
        problem.fill.insert(key.to_owned(), text);
    }
    problems
}

fn problem(set: &Set<'_>, act: &Act) -> Problem {
    let problem = match act {
        Act::ChangePlaces(ring) => match ring.as_slice() {
            [a, b] => swapped(set, *a.min(b), *a.max(b)),
            ring => rotated(set, ring),
        },
        Act::MoveHere { from, to } => move_here(set, *from, *to),
        Act::MoveThere { near, .. } => move_there(set, *near),
        Act::Plug { near, .. } => missing(set, *near, Fault::NeighbourDown),
        Act::Mute { near, .. } => match set.light(*near) {
            Some(_) => missing(set, *near, Fault::NeighbourMute),
            None => missing(set, *near, Fault::NeighbourUnheard),
        },
    };
    problem.at_sockets(set.sockets(act))
}

fn swapped(set: &Set<'_>, a: Near, b: Near) -> Problem {
    let fill =
        [("port", set.shown(a)), ("port_b", set.shown(b)), ("location", &set.plan.device.location)];
    Problem::new(Fault::SwappedPair, &fill)
}

/// Three or more. A list that is too long to be read is begun with one plug taken out: then the
/// others find a free socket, one after the other.
fn rotated(set: &Set<'_>, ring: &[Near]) -> Problem {
    let pairs: Vec<(&str, &str)> = ring
        .iter()
        .zip(ring.iter().cycle().skip(1))
        .map(|(from, to)| (set.shown(*from), set.shown(*to)))
        .collect();
    let round = round(&pairs);
    let how = match round.chars().count() <= ROUND_CHARS_MAX {
        true => ("round", round.as_str()),
        false => ("port", set.shown(ring[0])),
    };
    let count = ring.len().to_string();
    let fill = [("count", count.as_str()), how, ("location", &set.plan.device.location)];
    Problem::new(Fault::RotatedPlugs, &fill)
}

/// `Gi1/0/49 → 50, 50 → 51, 51 → 49`; neighbours that go the same way are told together:
/// `Gi1/0/1..23 → 2..24, 24 → 1`. Where all ports begin alike and go on with as many numbers, the
/// beginning is told once: `Ethernet1/1 → 3/1`.
fn round(pairs: &[(&str, &str)]) -> String {
    let begin = alike(pairs);
    let mut parts: Vec<[Numbered<'_>; 2]> =
        pairs.iter().map(|(from, to)| [numbered(&from[begin..]), numbered(&to[begin..])]).collect();
    parts.sort();
    let mut runs: Vec<Vec<[Numbered<'_>; 2]>> = Vec::new();
    for part in parts {
        match runs.last_mut() {
            Some(run) if goes_on(run, &part) => run.push(part),
            Some(_) | None => runs.push(vec![part]),
        }
    }
    let mut told: Vec<String> = Vec::new();
    for run in runs {
        // Two are told sooner one by one.
        let pieces: Vec<&[[Numbered<'_>; 2]]> =
            if run.len() > 2 { vec![&run] } else { run.chunks(1).collect() };
        for piece in pieces {
            let ([from, to], [last_from, last_to]) = (piece[0], piece[piece.len() - 1]);
            told.push(format!("{} → {}", shown(from, last_from), shown(to, last_to)));
        }
    }
    format!("{}{}", &pairs[0].0[..begin], told.join(", "))
}

/// How many bytes all names have in common before their numbers begin; 0 if they are of different
/// kinds.
fn alike(pairs: &[(&str, &str)]) -> usize {
    let first = pairs[0].0;
    let names = || pairs.iter().flat_map(|(from, to)| [*from, *to]);
    let common = |name: &str| {
        first.char_indices().zip(name.chars()).take_while(|((_, a), b)| a == b).count()
    };
    let chars = names().map(common).min().unwrap_or(0);
    let shared: String = first.chars().take(chars).collect();
    let begin = shared.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let depth = |name: &str| name.chars().filter(|c| "/:.".contains(*c)).count();
    let fits = |name: &str| {
        let rest = &name[begin..];
        depth(rest) == depth(&first[begin..])
            && rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.chars().all(|c| c.is_ascii_digit() || "/:.".contains(c))
    };
    if names().all(fits) { begin } else { 0 }
}

/// A port's name and the number at its end, if there is one that is written without zeros in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Numbered<'a> {
    begin: &'a str,
    number: Option<u64>,
}

impl Numbered<'_> {
    fn is_followed_by(&self, next: &Self) -> bool {
        self.begin == next.begin
            && next.number.is_some()
            && self.number.and_then(|number| number.checked_add(1)) == next.number
    }
}

fn numbered(port: &str) -> Numbered<'_> {
    let begin = port.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &port[begin.len()..];
    match digits.parse() {
        Ok(number) if digits == "0" || !digits.starts_with('0') => {
            Numbered { begin, number: Some(number) }
        }
        Ok(_) | Err(_) => Numbered { begin: port, number: None },
    }
}

fn goes_on(run: &[[Numbered<'_>; 2]], next: &[Numbered<'_>; 2]) -> bool {
    run.last()
        .is_some_and(|last| last[0].is_followed_by(&next[0]) && last[1].is_followed_by(&next[1]))
}

fn shown(first: Numbered<'_>, last: Numbered<'_>) -> String {
    match (first.number, last.number) {
        (Some(number), Some(last)) if number < last => {
            format!("{}{number}..{last}", first.begin)
        }
        (Some(number), _) => format!("{}{number}", first.begin),
        (None, _) => first.begin.to_owned(),
    }
}

/// The plug in `from` belongs to `to`, both ours.
fn move_here(set: &Set<'_>, from: Near, to: Near) -> Problem {
    let here = &set.plan.device.name;
    let (from, to) = (set.shown(from), set.shown(to));
    let fill = [
        ("port", to),
        ("far_device", here),
        ("far_port", to),
        ("found_device", here),
        ("found_port", from),
        ("planned", &format!("{here} port {to}")),
        ("found", &format!("{here} port {from}")),
        ("location", &set.plan.device.location),
    ];
    Problem::new(Fault::WrongPort, &fill)
}

/// The far plug of a cable belongs to another socket.
fn move_there(set: &Set<'_>, near: Near) -> Problem {
    let planned = set.cables[near].planned;
    let (found_device, found_port) = set.found(near).unwrap_or_default();
    let fault = match found_device.eq_ignore_ascii_case(&planned.device) {
        true => Fault::WrongPort,
        false => Fault::WrongDevice,
    };
    let fill = [
        ("port", planned.local_port.as_str()),
        ("far_device", &planned.device),
        ("far_port", &planned.port),
        ("found_device", found_device),
        ("found_port", found_port),
        ("planned", &in_words(planned)),
        ("found", &format!("{found_device} port {found_port}")),
        ("location", far_location(&set.plan, planned)),
    ];
    Problem::new(fault, &fill)
}

/// Nobody is heard. Dark only if the device says so: without a word about the link it is called
/// mute, which sends nobody to a plug.
fn missing(set: &Set<'_>, near: Near, fault: Fault) -> Problem {
    let planned = set.cables[near].planned;
    let fill = [
        ("port", planned.local_port.as_str()),
        ("far_device", &planned.device),
        ("far_port", &planned.port),
        ("planned", &in_words(planned)),
        ("location", far_location(&set.plan, planned)),
    ];
    Problem::new(fault, &fill)
}

impl Extra<'_> {
    /// Where the inventory wants nobody else.
    pub(super) fn problem(&self, plan: &Plan<'_>) -> Problem {
        let (device, port) = self.far.unwrap_or_default();
        let fill = [
            ("port", self.port),
            ("found_device", device),
            ("found_port", port),
            ("location", &plan.device.location),
        ];
        Problem::new(Fault::UnplannedNeighbour, &fill).at_sockets(vec![self.socket.clone()])
    }

    pub(super) fn remark(&self) -> String {
        match self.far {
            Some((device, port)) => {
                format!("port {} hears {device} port {port}, which is in no plan", self.port)
            }
            None => format!("port {} hears somebody who is in no plan", self.port),
        }
    }
}

pub(super) fn in_words(planned: &PlannedNeighbour) -> String {
    format!("{} port {}", planned.device, planned.port)
}

fn far_location<'a>(plan: &Plan<'a>, planned: &PlannedNeighbour) -> &'a str {
    plan.inventory.device(&planned.device).map_or("", |device| device.location.as_str())
}

/// A further problem as a remark.
pub(super) fn remark(problem: &Problem) -> String {
    let fill = |key: &str| filled(&problem.fill, key);
    let code = problem.fault.code();
    if problem.fault == Fault::SwappedPair {
        return format!("also {code}: ports {} and {} are exchanged", fill("port"), fill("port_b"));
    }
    if problem.fault == Fault::RotatedPlugs {
        return format!("also {code}: {} plugs change places: {}", fill("count"), fill("round"));
    }
    let port = fill("port");
    match (problem.fill.get("planned"), problem.fill.get("found")) {
        (Some(planned), Some(found)) => {
            format!("also {code}: port {port}: planned {planned}, found {found}")
        }
        (Some(planned), None) => format!("also {code}: port {port}: planned {planned}"),
        (None, _) => format!("also {code}: port {port}: found {}", fill("found_device")),
    }
}

fn filled<'a>(fill: &'a BTreeMap<String, String>, key: &str) -> &'a str {
    fill.get(key).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_told_as_short_as_it_can_be() {
        for (pairs, told) in [
            (
                &[("Gi1/0/49", "Gi1/0/50"), ("Gi1/0/50", "Gi1/0/51"), ("Gi1/0/51", "Gi1/0/49")][..],
                "Gi1/0/49 → 50, 50 → 51, 51 → 49",
            ),
            (&[("49", "51"), ("51", "50"), ("50", "49")], "49 → 51, 50 → 49, 51 → 50"),
            (&[("e1", "e2"), ("e2", "e3"), ("e3", "e4"), ("e4", "e1")], "e1..3 → 2..4, 4 → 1"),
            (
                &[("Te1/1/1", "Gi1/0/1"), ("Gi1/0/1", "eth"), ("eth", "Te1/1/1")],
                "Gi1/0/1 → eth, Te1/1/1 → Gi1/0/1, eth → Te1/1/1",
            ),
            (
                &[("swp01", "swp02"), ("swp02", "swp3"), ("swp3", "swp01")],
                "swp3 → 01, 01 → 02, 02 → 3",
            ),
        ] {
            assert_eq!(round(pairs), told);
        }
    }
}
