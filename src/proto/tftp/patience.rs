//! How long to wait for an answer before a packet is sent again: longer than this reader usually
//! takes, never longer than agreed (after RFC 6298, sections 2 and 5).

use std::time::Duration;

/// The wait of one transfer. 12 bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience {
    /// The usual time to an answer; zero: none was measured yet.
    usual_micros: u32,
    /// How far answers stray from it.
    stray_micros: u32,
    /// Waits in a row that brought nothing; each doubles the next.
    vain: u8,
}

impl Patience {
    /// An answer came, so long after the packet that it answers.
    pub fn measured(&mut self, span: Duration) {
        let span = u32::try_from(span.as_micros()).unwrap_or(u32::MAX / 16).clamp(1, u32::MAX / 16);
        if self.usual_micros == 0 {
            self.usual_micros = span;
            self.stray_micros = span / 2;
            return;
        }
        let off = span.abs_diff(self.usual_micros);
        self.stray_micros = self.stray_micros / 4 * 3 + off / 4;
        self.usual_micros = (self.usual_micros / 8 * 7 + span / 8).max(1);
    }

    /// The reader was heard: the next wait is not doubled.
    pub fn heard(&mut self) {
        self.vain = 0;
    }

    /// A wait brought nothing.
    pub fn waited(&mut self) {
        self.vain = self.vain.saturating_add(1);
    }

    /// The next wait. As long as nothing is measured it is the longest.
    pub fn wait(&self, shortest: Duration, longest: Duration) -> Duration {
        if self.usual_micros == 0 {
            return longest;
        }
        let micros = u64::from(self.usual_micros) + 4 * u64::from(self.stray_micros);
        let wait = Duration::from_micros(micros).max(shortest);
        wait.saturating_mul(1 << self.vain.min(16)).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(2);

    fn wait(patience: &Patience) -> u128 {
        patience.wait(SHORTEST, LONGEST).as_millis()
    }

    #[test]
    fn the_wait_follows_the_reader_within_its_bounds() {
        let mut patience = Patience::default();
        assert_eq!(wait(&patience), 2000);
        patience.measured(Duration::from_micros(80));
        assert_eq!(wait(&patience), 50);
        for _ in 0..50 {
            patience.measured(Duration::from_millis(300));
        }
        assert!((300..400).contains(&wait(&patience)), "{}", wait(&patience));
        patience.measured(Duration::from_secs(100_000));
        assert_eq!(wait(&patience), 2000);
    }

    #[test]
    fn vain_waits_double_up_to_the_longest() {
        let mut patience = Patience::default();
        patience.measured(Duration::from_micros(80));
        let mut waits = Vec::new();
        for _ in 0..8 {
            waits.push(wait(&patience));
            patience.waited();
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        patience.heard();
        assert_eq!(wait(&patience), 50);
    }
}
