//! The timers of all runs: what goes off next, and when.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::clock::Timestamp;
use crate::domain::run::Timer;

/// One time for each kind of timer, in the order of [`place`].
type Times = [Option<Timestamp>; 3];

/// Timers by run and by time. A run's name is kept once, however often its timers are set.
#[derive(Default)]
pub(super) struct Alarms {
    of_run: HashMap<Arc<str>, Times, RandomState>,
    by_time: BTreeSet<(Timestamp, Arc<str>, Timer)>,
}

impl Alarms {
    /// Replaces the timer; `None` removes it.
    pub fn set(&mut self, run: &str, timer: Timer, at: Option<Timestamp>) {
        let (name, mut times) = match self.of_run.get_key_value(run) {
            Some((_, times)) if times[place(timer)] == at => return,
            Some((name, times)) => (Arc::clone(name), *times),
            None if at.is_none() => return,
            None => (Arc::from(run), Times::default()),
        };
        let time = &mut times[place(timer)];
        if let Some(old) = time.take() {
            self.by_time.remove(&(old, Arc::clone(&name), timer));
        }
        *time = at;
        if let Some(at) = at {
            self.by_time.insert((at, Arc::clone(&name), timer));
        }
        if times == Times::default() {
            self.of_run.remove(&name);
        } else {
            self.of_run.insert(name, times);
        }
    }

    /// Whether this timer of the run is set.
    pub fn has(&self, run: &str, timer: Timer) -> bool {
        self.of_run.get(run).is_some_and(|times| times[place(timer)].is_some())
    }

    /// When the next one goes off.
    pub fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _, _)| *at)
    }

    /// Takes one that has gone off by `now`.
    pub fn due(&mut self, now: Timestamp) -> Option<(Arc<str>, Timer)> {
        let (at, run, timer) = self.by_time.first()?.clone();
        if at > now {
            return None;
        }
        self.set(&run, timer, None);
        Some((run, timer))
    }
}

fn place(timer: Timer) -> usize {
    match timer {
        Timer::Deadline => 0,
        Timer::Visit => 1,
        Timer::StillWaiting => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_go_off_in_order_of_time_and_once() {
        let at = Timestamp::from_micros;
        let mut alarms = Alarms::default();
        alarms.set("b", Timer::Visit, Some(at(30)));
        alarms.set("a", Timer::Deadline, Some(at(20)));
        alarms.set("a", Timer::Visit, Some(at(10)));
        alarms.set("a", Timer::Visit, Some(at(40)));
        alarms.set("c", Timer::StillWaiting, Some(at(5)));
        alarms.set("c", Timer::StillWaiting, None);
        assert_eq!(alarms.next(), Some(at(20)));
        assert_eq!(alarms.due(at(19)), None);
        let mut gone = Vec::new();
        while let Some((run, timer)) = alarms.due(at(40)) {
            gone.push((run.to_string(), timer));
        }
        let expected = [("a", Timer::Deadline), ("b", Timer::Visit), ("a", Timer::Visit)];
        assert_eq!(gone, expected.map(|(run, timer)| (run.to_owned(), timer)));
        assert!(alarms.of_run.is_empty() && alarms.next().is_none());
    }
}
