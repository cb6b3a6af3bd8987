//! Which plugs must be moved, and in which order? One decision over the whole set of cables, on
//! sockets as numbers: what they are called, and who hears what, is not known here.
//!
//! Two matchings lie over the sockets: the cables as planned, and the cables as they are. Where
//! they differ they form paths and circles in which planned and present cables take turns, and
//! each of these is one mistake. A planned cable that is not there costs one plug at least; a
//! present cable in the way costs one as well. What is found here costs no more than that:
//!
//! | the mistake | its repair | plugs |
//! |---|---|---|
//! | a circle of `k` cables | the `k` plugs at our end change places, all at once | `k` |
//! | a path that begins at a free socket of ours | one plug after the other, the free socket first | its planned cables |
//! | a path that begins at a free socket at the far end | the same there: no move of ours would do | its planned cables |
//! | a path with nothing free in it | the plugs of ours change places with what is in the way | its present cables |
//! | a planned cable that nobody hears at either end | a cable is plugged, or nobody can tell | one |

use std::collections::HashMap;

/// A socket of ours, by number.
pub(super) type Near = usize;
/// A socket of another device, by number.
pub(super) type Far = usize;

/// One thing for the hands, told in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// The plug in each socket goes into the next one, the last one's into the first.
    ChangePlaces(Vec<Near>),
    /// One plug at our end, into a socket that is free.
    MoveHere { from: Near, to: Near },
    /// One plug at the far end: that of the cable in `near`.
    MoveThere { near: Near, from: Far, to: Far },
    /// A cable is missing, or gives no light.
    Plug { near: Near, far: Far },
    /// There is light, or nobody knows, and nobody is heard: no plug is moved on a guess.
    Mute { near: Near, far: Far },
}

/// One mistake, with everything that mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repair {
    /// In the order in which hands can do them: each finds its socket free.
    pub(super) acts: Vec<Act>,
}

impl Act {
    /// How many plugs are put into a socket by it.
    #[cfg(test)]
    pub(super) fn plugs(&self) -> usize {
        match self {
            Act::ChangePlaces(ring) => ring.len(),
            Act::MoveHere { .. } | Act::MoveThere { .. } | Act::Plug { .. } => 1,
            Act::Mute { .. } => 0,
        }
    }

    /// True if it is done by hands.
    pub(super) fn is_a_move(&self) -> bool {
        !matches!(self, Act::Mute { .. })
    }
}

/// The cables as pairs of sockets. In each list a socket stands once.
#[derive(Debug, Default)]
pub(super) struct Cables<'a> {
    pub(super) planned: &'a [(Near, Far)],
    pub(super) present: &'a [(Near, Far)],
}

/// Both matchings, looked up from either end.
struct Matchings {
    planned_from: HashMap<Near, Far>,
    planned_to: HashMap<Far, Near>,
    present_from: HashMap<Near, Far>,
    present_to: HashMap<Far, Near>,
}

/// Every mistake once, in the order of the plan. `lit` tells whether a socket of ours has light,
/// where that is known.
pub(super) fn repairs(cables: &Cables<'_>, lit: impl Fn(Near) -> Option<bool>) -> Vec<Repair> {
    let by_near = |cables: &[(Near, Far)]| cables.iter().copied().collect::<HashMap<_, _>>();
    let by_far = |cables: &[(Near, Far)]| cables.iter().map(|(near, far)| (*far, *near)).collect();
    let matchings = Matchings {
        planned_from: by_near(cables.planned),
        planned_to: by_far(cables.planned),
        present_from: by_near(cables.present),
        present_to: by_far(cables.present),
    };
    let mut repairs = Vec::new();
    let mut explained = std::collections::HashSet::new();
    for (near, far) in cables.planned {
        if explained.contains(near) || matchings.present_from.get(near) == Some(far) {
            continue;
        }
        let stretch = matchings.stretch_of(*near);
        explained.extend(stretch.sockets.iter().copied());
        repairs.push(Repair { acts: matchings.acts(&stretch, &lit) });
    }
    repairs
}

/// One path or circle, as our planned sockets in it: what each should hear is heard at the next.
struct Stretch {
    sockets: Vec<Near>,
    ends: Ends,
}

enum Ends {
    /// The last one's is heard at the first.
    Circle,
    /// What the first hears is planned nowhere, or it hears nobody (`intruder`); the last one's is
    /// heard at a socket that is not planned (`astray`), or nowhere.
    Path { intruder: Option<Far>, astray: Option<Near> },
}

impl Matchings {
    /// The mistake that this planned socket belongs to.
    fn stretch_of(&self, near: Near) -> Stretch {
        // Back to where it begins: to the socket at which what is heard here should be heard.
        let mut first = near;
        let intruder = loop {
            let Some(heard) = self.present_from.get(&first) else { break None };
            match self.planned_to.get(heard) {
                None => break Some(*heard),
                Some(owner) if *owner == near => {
                    return Stretch { sockets: self.onward(near).0, ends: Ends::Circle };
                }
                Some(owner) => first = *owner,
            }
        };
        let (sockets, astray) = self.onward(first);
        Stretch { sockets, ends: Ends::Path { intruder, astray } }
    }

    /// From a socket to the one at which its planned far end is heard, and so on; and the socket
    /// at the end, if it is none of the plan.
    fn onward(&self, first: Near) -> (Vec<Near>, Option<Near>) {
        let mut sockets = vec![first];
        let mut at = first;
        loop {
            let Some(found) = self.present_to.get(&self.planned_from[&at]) else {
                return (sockets, None);
            };
            if *found == first {
                return (sockets, None);
            }
            if !self.planned_from.contains_key(found) {
                return (sockets, Some(*found));
            }
            sockets.push(*found);
            at = *found;
        }
    }

    fn acts(&self, stretch: &Stretch, lit: &impl Fn(Near) -> Option<bool>) -> Vec<Act> {
        let sockets = &stretch.sockets;
        let Ends::Path { intruder, astray } = &stretch.ends else {
            return vec![change_places(sockets.clone())];
        };
        let first = sockets[0];
        let last = sockets[sockets.len() - 1];
        let missing = self.planned_from[&last];
        let light = lit(first);
        match (intruder, astray) {
            (None, None) if sockets.len() == 1 => match light {
                Some(false) => vec![Act::Plug { near: first, far: missing }],
                Some(true) | None => vec![Act::Mute { near: first, far: missing }],
            },
            // A plug stands in the first socket, and nobody is heard through it: it changes
            // places with the others.
            (None, None) if light == Some(true) => vec![change_places(sockets.clone())],
            (None, Some(astray)) if light == Some(true) => {
                vec![change_places(sockets.iter().chain([astray]).copied().collect())]
            }
            (None, None) => {
                let mut acts = one_after_the_other(sockets);
                acts.push(Act::Plug { near: last, far: missing });
                acts
            }
            (None, Some(astray)) => {
                one_after_the_other(&sockets.iter().chain([astray]).copied().collect::<Vec<_>>())
            }
            (Some(_), Some(astray)) => {
                vec![change_places(sockets.iter().chain([astray]).copied().collect())]
            }
            (Some(_), None) => self.there(sockets),
        }
    }

    /// The far sockets in turn, the free one first.
    fn there(&self, sockets: &[Near]) -> Vec<Act> {
        let moved = |near: &Near| Act::MoveThere {
            near: *near,
            from: self.present_from[near],
            to: self.planned_from[near],
        };
        sockets.iter().rev().map(moved).collect()
    }
}

/// Each socket's plug belongs one back: told in the direction in which the plugs go.
fn change_places(mut sockets: Vec<Near>) -> Act {
    sockets[1..].reverse();
    Act::ChangePlaces(sockets)
}

/// The first is free: the second one's plug goes there, then the third one's into the second.
fn one_after_the_other(sockets: &[Near]) -> Vec<Act> {
    sockets.windows(2).map(|pair| Act::MoveHere { from: pair[1], to: pair[0] }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet, VecDeque};

    use proptest::prelude::*;

    use super::*;

    const DARK: Option<bool> = Some(false);

    fn acts(planned: &[(Near, Far)], present: &[(Near, Far)], light: Option<bool>) -> Vec<Act> {
        let repairs = repairs(&Cables { planned, present }, |_| light);
        repairs.into_iter().flat_map(|repair| repair.acts).collect()
    }

    const FOUR: [(Near, Far); 4] = [(1, 10), (2, 20), (3, 30), (4, 40)];

    #[test]
    fn a_circle_is_one_act_whatever_its_length() {
        let present = [(1, 20), (2, 10), (3, 30), (4, 40)];
        assert_eq!(acts(&FOUR, &present, DARK), [Act::ChangePlaces(vec![1, 2])]);
        // What 1 hears belongs to 2, what 2 hears to 3, what 3 hears to 1.
        let present = [(1, 20), (2, 30), (3, 10), (4, 40)];
        assert_eq!(acts(&FOUR, &present, DARK), [Act::ChangePlaces(vec![1, 2, 3])]);
        let present = [(1, 20), (2, 10), (3, 40), (4, 30)];
        let both = [Act::ChangePlaces(vec![1, 2]), Act::ChangePlaces(vec![3, 4])];
        assert_eq!(acts(&FOUR, &present, DARK), both);
    }

    #[test]
    fn a_block_shifted_into_a_free_socket_is_mended_from_there() {
        let present = [(2, 10), (3, 20), (4, 30), (5, 40)];
        let steps = [(2, 1), (3, 2), (4, 3), (5, 4)];
        let steps = steps.map(|(from, to)| Act::MoveHere { from, to });
        assert_eq!(acts(&FOUR, &present, DARK), steps);
        // At the far end: 50 is not planned, 10 is free.
        let present = [(1, 20), (2, 30), (3, 40), (4, 50)];
        let steps = [(1, 20, 10), (2, 30, 20), (3, 40, 30), (4, 50, 40)];
        let steps = steps.map(|(near, from, to)| Act::MoveThere { near, from, to });
        assert_eq!(acts(&FOUR, &present, DARK), steps);
    }

    #[test]
    fn a_missing_cable_is_plugged_only_where_there_is_no_light() {
        let present = [(1, 10), (2, 20), (3, 30)];
        assert_eq!(acts(&FOUR, &present, DARK), [Act::Plug { near: 4, far: 40 }]);
        for light in [Some(true), None] {
            assert_eq!(acts(&FOUR, &present, light), [Act::Mute { near: 4, far: 40 }]);
        }
        // Its socket is wanted by nobody else, and another plug stands in the way of that one.
        let present = [(1, 10), (2, 20), (3, 40)];
        let steps = [Act::MoveHere { from: 3, to: 4 }, Act::Plug { near: 3, far: 30 }];
        assert_eq!(acts(&FOUR, &present, DARK), steps);
        assert_eq!(acts(&FOUR, &present, Some(true)), [Act::ChangePlaces(vec![4, 3])]);
    }

    #[test]
    fn what_is_in_the_way_changes_places_with_what_belongs_there() {
        let present = [(1, 10), (2, 20), (3, 30), (4, 99), (7, 40)];
        assert_eq!(acts(&FOUR, &present, DARK), [Act::ChangePlaces(vec![4, 7])]);
        let present = [(1, 10), (2, 20), (3, 30), (4, 99)];
        let step = Act::MoveThere { near: 4, from: 99, to: 40 };
        assert_eq!(acts(&FOUR, &present, DARK), [step]);
    }

    /// Where the two plugs of each of up to eight cables are, six bits a cable: a socket each, or a
    /// hand, or nowhere yet.
    type Site = u64;
    const HAND: u64 = 6;
    const ABSENT: u64 = 7;
    /// Two plugs are all that one person can hold.
    const HANDS: usize = 2;

    fn plug(site: Site, place: usize) -> u64 {
        site >> (3 * place) & 7
    }

    fn with(site: Site, place: usize, socket: u64) -> Site {
        site & !(7 << (3 * place)) | socket << (3 * place)
    }

    /// Every plug is in a socket, and every planned cable is there.
    fn done(site: Site, count: usize, planned: &[(Near, Far)]) -> bool {
        let ends: Vec<(u64, u64)> =
            (0..count).map(|c| (plug(site, 2 * c), plug(site, 2 * c + 1))).collect();
        ends.iter().all(|(near, far)| *near != HAND && *far != HAND)
            && planned.iter().all(|(n, f)| ends.contains(&(*n as u64, *f as u64)))
    }

    /// The least number of plugs that have to be put into a socket, by trying everything that two
    /// hands can do. Pulling a plug costs nothing; a new cable counts as one.
    fn by_trying(planned: &[(Near, Far)], present: &[(Near, Far)], sockets: u64) -> usize {
        let count = planned.len() + present.len();
        let mut start = 0;
        for cable in 0..count {
            let ends = present.get(cable).map_or((ABSENT, ABSENT), |(n, f)| (*n as u64, *f as u64));
            start = with(with(start, 2 * cable, ends.0), 2 * cable + 1, ends.1);
        }
        let mut queue = VecDeque::from([(start, 0)]);
        let mut seen: HashSet<Site> = HashSet::new();
        while let Some((site, cost)) = queue.pop_front() {
            if !seen.insert(site) {
                continue;
            }
            if done(site, count, planned) {
                return cost;
            }
            let taken =
                |end: usize, socket: u64| (0..count).any(|c| plug(site, 2 * c + end) == socket);
            let held = (0..2 * count).filter(|place| plug(site, *place) == HAND).count();
            for place in 0..2 * count {
                match plug(site, place) {
                    ABSENT => {}
                    HAND => {
                        for socket in (0..sockets).filter(|socket| !taken(place % 2, *socket)) {
                            queue.push_back((with(site, place, socket), cost + 1));
                        }
                    }
                    _ if held < HANDS => queue.push_front((with(site, place, HAND), cost)),
                    _ => {}
                }
            }
            let new = (0..count).find(|c| plug(site, 2 * c) == ABSENT);
            for (n, f) in planned {
                let (n, f) = (*n as u64, *f as u64);
                if let Some(c) = new
                    && !taken(0, n)
                    && !taken(1, f)
                {
                    queue.push_back((with(with(site, 2 * c, n), 2 * c + 1, f), cost + 1));
                }
            }
        }
        unreachable!("every plan can be plugged")
    }

    /// Does what it says, one act after the other, and checks that each finds its socket free.
    fn carried_out(acts: &[Act], present: &[(Near, Far)]) -> BTreeSet<(Near, Far)> {
        let mut site: BTreeSet<(Near, Far)> = present.iter().copied().collect();
        for act in acts {
            let at = |site: &BTreeSet<(Near, Far)>, near: Near| {
                *site.iter().find(|(n, _)| *n == near).expect("a plug is there")
            };
            match act {
                Act::ChangePlaces(ring) => {
                    let before: Vec<(Near, Far)> = ring.iter().map(|n| at(&site, *n)).collect();
                    for cable in &before {
                        site.remove(cable);
                    }
                    for (index, (_, far)) in before.iter().enumerate() {
                        site.insert((ring[(index + 1) % ring.len()], *far));
                    }
                }
                Act::MoveHere { from, to } => {
                    let (_, far) = at(&site, *from);
                    assert!(site.iter().all(|(near, _)| near != to), "{act:?} finds a plug");
                    site.remove(&(*from, far));
                    site.insert((*to, far));
                }
                Act::MoveThere { near, from, to } => {
                    assert!(site.iter().all(|(_, far)| far != to), "{act:?} finds a plug");
                    assert!(site.remove(&(*near, *from)));
                    site.insert((*near, *to));
                }
                Act::Plug { near, far } | Act::Mute { near, far } => {
                    assert!(site.iter().all(|(n, f)| n != near && f != far), "{act:?}");
                    site.insert((*near, *far));
                }
            }
        }
        site
    }

    /// Sockets 0 to `count` at both ends, with some of them cabled.
    fn matching(count: usize, cables: usize) -> impl Strategy<Value = Vec<(Near, Far)>> {
        let numbers = || Just((0..count).collect::<Vec<usize>>()).prop_shuffle();
        (numbers(), numbers(), 0..=cables)
            .prop_map(|(near, far, some)| near.into_iter().zip(far).take(some).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_smaller_number_of_plugs_would_do_for_three_cables(
            planned in matching(4, 3),
            present in matching(4, 3),
        ) {
            let plugs: usize = acts(&planned, &present, DARK).iter().map(Act::plugs).sum();
            prop_assert_eq!(plugs, by_trying(&planned, &present, 4));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn no_smaller_number_of_plugs_would_do_for_four_cables(
            planned in matching(5, 4),
            present in matching(5, 4),
        ) {
            let plugs: usize = acts(&planned, &present, DARK).iter().map(Act::plugs).sum();
            prop_assert_eq!(plugs, by_trying(&planned, &present, 5));
        }
    }

    proptest! {
        #[test]
        fn the_acts_in_their_order_make_the_plan_true(
            planned in matching(60, 48),
            present in matching(60, 56),
            light in prop_oneof![Just(None), Just(Some(false))],
        ) {
            let acts = acts(&planned, &present, light);
            let site = carried_out(&acts, &present);
            for cable in &planned {
                prop_assert!(site.contains(cable), "{:?} is missing", cable);
            }
            // As many as are in no planned place, and no cable is touched twice for nothing.
            let wrong = planned.iter().filter(|cable| !present.contains(cable)).count();
            let plugs: usize = acts.iter().map(Act::plugs).sum();
            let mute = acts.iter().filter(|act| !act.is_a_move()).count();
            let ousted = acts.iter().filter(|act| matches!(act, Act::ChangePlaces(ring)
                if ring.iter().any(|n| planned.iter().all(|(near, _)| near != n)))).count();
            prop_assert_eq!(plugs + mute, wrong + ousted);
        }
    }
}
