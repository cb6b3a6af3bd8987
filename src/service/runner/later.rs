//! What the store did not take: kept within a bound and tried anew, and said at most once a second.

use std::time::{Duration, Instant};

use crate::service::memory::Refused;
use crate::service::runner::{Bundle, Input, Otherwise};

/// How long an input waits that the store would not take, before it is tried again. There is no
/// more than one line about refusals in this time.
const RETRY: Duration = Duration::from_secs(1);

/// Inputs that are kept while the store refuses: some for each of five thousand devices (a timer, a
/// transfer, a visit), in some tens of megabytes. The timers that are lost beyond it are still rows
/// of the store, and go off after the next start.
const KEPT_MAX: usize = 16_384;

/// The inputs that nobody brings again, oldest first, and what is to be said about all others.
#[derive(Default)]
pub(super) struct Later {
    kept: Vec<Input>,
    try_at: Option<Instant>,
    said_at: Option<Instant>,
    tally: Tally,
}

/// What became of refused inputs since the last line about them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    /// Whoever waits for them was told.
    answered: usize,
    /// They are tried again.
    put_off: usize,
    /// They come again anyway.
    dropped: usize,
    /// They would have been kept, had there been room.
    lost: usize,
}

impl Later {
    /// Answers those who wait, keeps what nobody would bring again, and drops the rest.
    pub(super) fn put_off(&mut self, group: Vec<Bundle>, why: &str, now: Instant) {
        let refused = Refused::Unavailable { why: why.to_owned() };
        for Bundle { inputs, receipt, otherwise } in group {
            if let Some(receipt) = receipt {
                // Whoever no longer waits does not hear it.
                let _ = receipt.send(Err(refused.clone()));
            }
            match otherwise {
                Otherwise::Told => self.tally.answered += inputs.len(),
                Otherwise::Dropped => self.tally.dropped += inputs.len(),
                Otherwise::Kept => self.keep(inputs),
            }
        }
        self.try_at.get_or_insert(now + RETRY);
        if let Some(tally) = self.speakable(now) {
            let Tally { answered, put_off, dropped, lost } = tally;
            let kept = self.kept.len();
            tracing::error!(
                why,
                answered,
                put_off,
                dropped,
                lost,
                kept,
                "the store did not take events"
            );
        }
    }

    fn keep(&mut self, inputs: Vec<Input>) {
        let room = KEPT_MAX.saturating_sub(self.kept.len());
        let kept = inputs.len().min(room);
        self.tally.put_off += kept;
        self.tally.lost += inputs.len() - kept;
        self.kept.extend(inputs.into_iter().take(room));
    }

    /// What there is to say, unless something was said a moment ago.
    fn speakable(&mut self, now: Instant) -> Option<Tally> {
        if self.said_at.is_some_and(|said| now.saturating_duration_since(said) < RETRY) {
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.tally))
    }

    /// How long until something is to be tried again, if anything is.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        self.try_at.map(|at| at.saturating_duration_since(now))
    }

    /// Everything that waits, once its time has come.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Bundle> {
        match self.try_at {
            Some(at) if at <= now => self.take(),
            Some(_) | None => Vec::new(),
        }
    }

    /// Everything that waits, whether its time has come or not.
    pub(super) fn take(&mut self) -> Vec<Bundle> {
        self.try_at = None;
        self.kept.drain(..).map(Bundle::from).collect()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::domain::run::Event;
    use crate::service::runner::{About, Opening};

    fn asked(device: usize) -> Bundle {
        Input::event(&device.to_string(), Event::Asked, Opening::Unproven).into()
    }

    fn device(bundle: &Bundle) -> &str {
        match &bundle.inputs[0].event {
            Some((About::Device(device), _)) => device,
            Some((About::Run(_), _)) | None => "",
        }
    }

    #[test]
    fn what_comes_again_is_dropped_and_what_does_not_is_tried_again_a_second_later() {
        let (mut later, now) = (Later::default(), Clock::System.instant());
        let again = Bundle { otherwise: Otherwise::Dropped, ..asked(2) };
        later.put_off(vec![asked(1), again, asked(3)], "full", now);
        assert!(later.due(now + RETRY / 2).is_empty());
        let due = later.due(now + RETRY);
        assert_eq!(due.iter().map(device).collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!((later.len(), later.pause(now)), (0, None));
    }

    #[test]
    fn whoever_waits_is_told_and_nothing_of_it_is_kept() {
        let (mut later, now) = (Later::default(), Clock::System.instant());
        let (receipt, mut answer) = tokio::sync::oneshot::channel();
        let told = Bundle { receipt: Some(receipt), otherwise: Otherwise::Told, ..asked(1) };
        later.put_off(vec![told], "full", now);
        assert!(matches!(answer.try_recv(), Ok(Err(Refused::Unavailable { .. }))));
        assert_eq!(later.len(), 0);
    }

    #[test]
    fn what_nobody_brings_again_is_kept_though_somebody_waited_for_it() {
        let (mut later, now) = (Later::default(), Clock::System.instant());
        let (receipt, mut answer) = tokio::sync::oneshot::channel();
        later.put_off(vec![Bundle { receipt: Some(receipt), ..asked(1) }], "full", now);
        assert!(matches!(answer.try_recv(), Ok(Err(Refused::Unavailable { .. }))));
        assert_eq!(later.due(now + RETRY).iter().map(device).collect::<Vec<_>>(), ["1"]);
    }

    #[test]
    fn while_the_store_refuses_the_oldest_are_kept_within_the_bound() {
        let (mut later, mut now) = (Later::default(), Clock::System.instant());
        for device in 0..KEPT_MAX + 100 {
            later.put_off(vec![asked(device)], "full", now);
        }
        assert_eq!((later.len(), later.tally.lost), (KEPT_MAX, 100));
        for _ in 0..5 {
            now += RETRY;
            let due = later.due(now);
            later.put_off(due, "full", now);
            assert_eq!(later.len(), KEPT_MAX);
        }
        let due = later.due(now + RETRY);
        assert_eq!((device(&due[0]), due.len()), ("0", KEPT_MAX));
        assert_eq!(device(&due[KEPT_MAX - 1]), (KEPT_MAX - 1).to_string());
    }

    #[test]
    fn refusals_are_said_once_a_second_and_counted_together() {
        let (mut later, now) = (Later::default(), Clock::System.instant());
        assert!(later.speakable(now).is_some());
        for device in 0..50 {
            later.put_off(vec![asked(device)], "full", now);
        }
        assert_eq!(later.speakable(now + RETRY / 2), None);
        let said = later.speakable(now + RETRY).unwrap();
        assert_eq!(said, Tally { put_off: 50, ..Tally::default() });
    }
}
