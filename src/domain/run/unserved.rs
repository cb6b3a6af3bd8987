//! What of a device whose platform asks for no file? It brings its configuration along, from its
//! maker's own system or from hands: once it has an address it is visited, and then proven like any
//! other.

use crate::clock::Timestamp;
use crate::domain::fault::Fault;
use crate::domain::run::draft::Draft;
use crate::domain::run::{Phase, Timer};

impl Draft {
    /// It has its address: leave it the time that its platform takes until it answers.
    pub fn waits_for_a_visit(&mut self, why: &str) {
        let timing = &self.run.timing;
        let visit_at = self.now.plus(timing.settle);
        let back_by = self.now.plus(timing.back_deadline.max(timing.settle));
        self.enter(Phase::Settling { visit_at, back_by }, why);
        self.wake(Timer::Visit, visit_at);
        self.wake(Timer::Deadline, back_by);
    }

    /// By when a device that starts anew while a fault is open has shown that the fault is over: it
    /// asks for its file, or was claimed by nobody else until it can be visited.
    pub fn shows_by(&self) -> Timestamp {
        let timing = &self.run.timing;
        self.now.plus(if timing.fetches { timing.file_patience } else { timing.settle })
    }

    /// True if it asks for no file and the open fault is tried by visits already.
    pub fn is_visited_anyway(&self) -> bool {
        !self.run.timing.fetches && self.way_is_closed()
    }

    /// Nobody answers where it should. One that fetched nothing is told by its address, for it may
    /// never have been away.
    pub fn does_not_answer(&mut self) {
        match self.run.address.filter(|_| !self.run.timing.fetches) {
            Some(address) => {
                self.trouble(Fault::NotBack, &[("address", &address.to_string())]);
            }
            None => self.trouble(Fault::NotBack, &[]),
        }
    }
}
