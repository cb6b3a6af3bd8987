//! What was seen of a port from visit to visit: does it count damaged frames now, does its link
//! come and go? A counter alone tells nothing; only its rise does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Damaged frames a minute that a good cable stays below: a link that has just come up may still
/// count a few.
const ERRORS_A_MINUTE_MAX: u64 = 10;
/// What a link counts this soon after it came up says nothing about its cable.
const SETTLED: Duration = Duration::from_secs(10);
/// A link that comes or goes more often than this within [`MINUTE`] is loose.
const CHANGES_A_MINUTE_MAX: u64 = 3;
/// Hands that move plugs make a link come and go, too, but in one or two steps, not in so many.
const STEPS_OF_A_LOOSE_PLUG: usize = 3;
const MINUTE: Duration = Duration::from_secs(60);
/// What lies further back is forgotten: two of those minutes.
const WINDOW: Duration = Duration::from_secs(120);
/// Samples of one port stand at least so far apart, however often the device is visited.
const SPACING: Duration = Duration::from_secs(10);
/// Samples kept of one port.
const SAMPLES_MAX: usize = 14;
/// Ports watched of one device; a run's row stays small.
pub const PORTS_MAX: usize = 64;

/// The samples of every watched port, by its name in the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counted {
    by_port: BTreeMap<String, Vec<Sample>>,
}

/// One look at one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    pub at: Timestamp,
    pub up: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<u64>,
}

/// What the samples of one port say about its cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errors {
    /// The device counts none for this port, or the port has no link.
    NotTold,
    Steady,
    /// So many a minute.
    Rising(u64),
    /// So many were counted, and whether they rise is not known yet.
    Undecided(u64),
}

impl Counted {
    pub fn is_empty(&self) -> bool {
        self.by_port.is_empty()
    }

    /// Adds what this visit saw of a port.
    pub fn note(&mut self, port: &str, sample: Sample) {
        if self.by_port.len() >= PORTS_MAX && !self.by_port.contains_key(port) {
            return;
        }
        let samples = self.by_port.entry(port.to_owned()).or_default();
        if let [.., before, last] = samples.as_slice()
            && sample.at.since(before.at) < SPACING
            && (last.up, last.changes) == (sample.up, sample.changes)
            && (before.up, before.changes) == (sample.up, sample.changes)
        {
            samples.pop();
        }
        samples.push(sample);
        let old = samples.iter().skip(1).filter(|s| sample.at.since(s.at) >= WINDOW).count();
        let many = samples.len().saturating_sub(SAMPLES_MAX);
        samples.drain(..old.max(many));
    }

    /// Forgets every port but these.
    pub fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        self.by_port.retain(|port, _| wanted(port));
    }

    pub fn errors(&self, port: &str) -> Errors {
        let samples = self.of(port);
        let Some(last) = samples.last().filter(|last| last.up) else { return Errors::NotTold };
        let Some(now) = last.errors else { return Errors::NotTold };
        if now == 0 {
            return Errors::Steady;
        }
        let broken = |s: &Sample| {
            !s.up || s.changes != last.changes || s.errors.is_none_or(|errors| errors > now)
        };
        let start = samples.iter().rposition(broken).map_or(0, |place| place + 1);
        let unbroken = &samples[start..];
        let settled = unbroken.iter().find(|s| s.at.since(unbroken[0].at) >= SETTLED);
        let Some((base, counted)) = settled.and_then(|s| Some((s, s.errors?))) else {
            return Errors::Undecided(now);
        };
        let (rise, watched) = (now.saturating_sub(counted), last.at.since(base.at));
        let a_minute = match watched > MINUTE {
            true => rise.saturating_mul(MINUTE.as_secs()) / watched.as_secs().max(1),
            false => rise,
        };
        match a_minute > ERRORS_A_MINUTE_MAX {
            true => Errors::Rising(a_minute),
            false if watched >= SETTLED => Errors::Steady,
            false => Errors::Undecided(now),
        }
    }

    /// How often the link came or went within the last minute, if that is a loose plug.
    pub fn flapping(&self, port: &str) -> Option<u64> {
        let samples = self.of(port);
        let last = samples.last()?;
        let outside = samples.iter().rposition(|s| last.at.since(s.at) > MINUTE);
        let recent = &samples[outside.map_or(0, |place| place + 1)..];
        let steps = recent.windows(2).map(|pair| changes(&pair[0], &pair[1]));
        let steps: Vec<u64> = steps.collect();
        let moved = steps.iter().filter(|changes| **changes > 0).count();
        let total = steps.iter().fold(0u64, |sum, changes| sum.saturating_add(*changes));
        let goes_on = steps.last().is_some_and(|changes| *changes > 0);
        let loose = total > CHANGES_A_MINUTE_MAX && moved >= STEPS_OF_A_LOOSE_PLUG && goes_on;
        loose.then_some(total)
    }

    fn of(&self, port: &str) -> &[Sample] {
        self.by_port.get(port).map_or(&[], Vec::as_slice)
    }
}

/// Changes of the link between two looks: as the device counts them, or as far as we saw them. A
/// counter that went back was cleared.
fn changes(a: &Sample, b: &Sample) -> u64 {
    let seen = u64::from(a.up != b.up);
    match (a.changes, b.changes) {
        (Some(before), Some(after)) => after.checked_sub(before).unwrap_or(seen),
        (Some(_) | None, Some(_) | None) => seen,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(samples: &[(u64, bool, Option<u64>, Option<u64>)]) -> Counted {
        let mut counted = Counted::default();
        for (second, up, errors, changes) in samples {
            let at = Timestamp::from_seconds(1000 + *second as i64);
            counted.note("p", Sample { at, up: *up, errors: *errors, changes: *changes });
        }
        counted
    }

    fn errors(samples: &[(u64, u64)]) -> Errors {
        let samples: Vec<_> = samples.iter().map(|(s, e)| (*s, true, Some(*e), None)).collect();
        counted(&samples).errors("p")
    }

    #[test]
    fn only_a_rise_after_the_link_has_settled_is_a_poor_cable() {
        assert_eq!(errors(&[(0, 0)]), Errors::Steady, "none were ever counted");
        assert_eq!(errors(&[(0, 500)]), Errors::Undecided(500), "old or new is not known");
        // The first ten seconds do not count.
        assert_eq!(errors(&[(0, 0), (9, 500)]), Errors::Undecided(500));
        assert_eq!(errors(&[(0, 0), (15, 500)]), Errors::Undecided(500));
        assert_eq!(errors(&[(0, 0), (15, 500), (30, 500)]), Errors::Steady);
        assert_eq!(errors(&[(0, 0), (15, 500), (30, 812)]), Errors::Rising(312));
        assert_eq!(errors(&[(0, 0), (15, 500), (30, 510)]), Errors::Steady);
        assert_eq!(errors(&[(0, 0), (15, 500), (115, 520)]), Errors::Rising(12));
        // Cleared counters begin anew.
        assert_eq!(errors(&[(0, 900), (15, 900), (30, 100)]), Errors::Undecided(100));
    }

    #[test]
    fn a_cable_that_was_replaced_is_judged_anew() {
        let up = |second, errors, changes| (second, true, Some(errors), Some(changes));
        let bad = [up(0, 0, 1), up(15, 100, 1), up(30, 400, 1)];
        assert_eq!(counted(&bad).errors("p"), Errors::Rising(300));
        let mut story = bad.to_vec();
        story.push((45, false, Some(500), Some(2)));
        assert_eq!(counted(&story).errors("p"), Errors::NotTold);
        story.push(up(60, 520, 3));
        assert_eq!(counted(&story).errors("p"), Errors::Undecided(520));
        story.extend([up(75, 530, 3), up(90, 530, 3)]);
        assert_eq!(counted(&story).errors("p"), Errors::Steady);
    }

    #[test]
    fn visits_in_quick_succession_find_the_same() {
        let all: Vec<(u64, u64)> = (0..40).map(|second| (second, second * 10)).collect();
        assert!(matches!(errors(&all), Errors::Rising(_)));
        let all: Vec<(u64, u64)> = (0..40).map(|second| (second, 400)).collect();
        assert_eq!(errors(&all), Errors::Steady);
    }

    #[test]
    fn a_loose_plug_comes_and_goes_and_hands_at_work_do_not() {
        let at = |second, up, changes| (second, up, None, Some(changes));
        let loose = [at(0, true, 0), at(15, true, 2), at(30, false, 5), at(45, true, 8)];
        assert_eq!(counted(&loose).flapping("p"), Some(8));
        // One exchange of two plugs: out and in.
        let hands = [at(0, true, 0), at(15, false, 1), at(30, true, 4), at(45, true, 4)];
        assert_eq!(counted(&hands).flapping("p"), None);
        // It was loose, and is not any more.
        let mut pushed_in = loose.to_vec();
        pushed_in.push(at(60, true, 8));
        assert_eq!(counted(&pushed_in).flapping("p"), None);
        // Without a counter only what was seen counts.
        let seen: Vec<_> = (0..5).map(|n| (n * 12, n % 2 == 0, None, None)).collect();
        assert_eq!(counted(&seen).flapping("p"), Some(4));
        assert_eq!(counted(&seen[..4]).flapping("p"), None);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_bounded_and_a_silent_counter_never_accuses(
            steps in proptest::collection::vec((0u64..40, any::<bool>()), 1..80),
        ) {
            let mut counted = Counted::default();
            let mut second = 0;
            for (step, up) in steps {
                second += step;
                let at = Timestamp::from_seconds(second as i64);
                counted.note("p", Sample { at, up, errors: Some(7), changes: Some(3) });
                prop_assert!(counted.of("p").len() <= SAMPLES_MAX);
                prop_assert!(!matches!(counted.errors("p"), Errors::Rising(_)));
                prop_assert_eq!(counted.flapping("p"), None);
            }
        }
    }

    #[test]
    fn ports_are_bounded() {
        let mut counted = Counted::default();
        let at = Timestamp::from_seconds(1);
        for port in 0..100 {
            let sample = Sample { at, up: true, errors: None, changes: None };
            counted.note(&port.to_string(), sample);
        }
        assert_eq!(counted.by_port.len(), PORTS_MAX);
    }
}
