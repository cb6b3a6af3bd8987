//! Transfers whose peer has never answered: who of them makes room in a full table?
//!
//! Whoever only sends requests, or lies about where it is, leaves its place to those who are there.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{State, Table, Todo};
use crate::proto::tftp::transfer::End;

/// So long a peer may take for its first answer, and up to twice as long.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What ended or was answered in the meantime is taken out in passing, so many at a time.
const PASSED_AT_ONCE: usize = 4;

/// Begun transfers by number, the oldest first; some of them have ended or were answered since.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    begun: VecDeque<u64>,
    /// Numbers up to here had their time.
    had_time: u64,
    /// Numbers up to here have it once [`PATIENCE`] is over.
    next: Option<(Instant, u64)>,
}

impl Waiting {
    fn tick(&mut self, last: u64, now: Instant) {
        let Some((since, number)) = self.next else {
            self.next = Some((now, last));
            return;
        };
        if now.saturating_duration_since(since) >= PATIENCE {
            self.had_time = number;
            self.next = Some((now, last));
        }
    }
}

impl Table {
    /// The newest transfer waits for its first answer.
    pub(super) fn waits(&mut self, id: u64, now: Instant) {
        self.waiting.tick(id, now);
        self.pass(PASSED_AT_ONCE);
        if self.waiting.begun.len() > 64 + self.slots.len() * 3 / 2 {
            let mut begun = std::mem::take(&mut self.waiting.begun);
            begun.retain(|id| self.is_unheard(*id));
            self.waiting.begun = begun;
        }
        self.waiting.begun.push_back(id);
    }

    /// Ends the oldest transfer whose peer has never answered, if it had its time. Whether one was.
    pub(super) fn make_room(&mut self, now: Instant, todo: &mut Todo) -> bool {
        self.waiting.tick(self.next_id, now);
        self.pass(usize::MAX);
        let oldest = self.waiting.begun.front().copied();
        let Some(id) = oldest.filter(|id| *id <= self.waiting.had_time) else { return false };
        self.waiting.begun.pop_front();
        self.end_silently(id, End::Crowded, todo);
        true
    }

    fn pass(&mut self, at_most: usize) {
        for _ in 0..at_most {
            match self.waiting.begun.front() {
                Some(id) if !self.is_unheard(*id) => self.waiting.begun.pop_front(),
                Some(_) | None => return,
            };
        }
    }

    fn is_unheard(&self, id: u64) -> bool {
        self.slots.get(&id).is_some_and(|slot| match &slot.state {
            State::Pending { .. } => true,
            State::Running(running) => !running.transfer.has_progress(),
            State::Taking(taking) => !taking.upload.has_progress(),
        })
    }
}
