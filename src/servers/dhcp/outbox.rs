//! When do replies leave? Not all at once: a relay has them in front of it one by one.

use std::collections::VecDeque;

use crate::servers::socket::dhcp::Posted;

/// Replies that leave at once where few wait.
const SPURT: usize = 16;

/// Of more, this part leaves in one turn. Linux gives a socket 212,992 bytes
/// (`net.core.rmem_default`) and counts some 1,280 for a small datagram: whoever reads a relay's
/// port loses what comes after the 166th if it is held up for a moment, and one flush of the store
/// can release many hundred. So they are spread over the turns until the next flush, and a long
/// queue leaves faster than it can grow.
const PART: usize = 4;

/// Replies on their way out, in the order in which they were decided.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: VecDeque<Posted>,
}

impl Outbox {
    pub fn put(&mut self, reply: Posted) {
        self.waiting.push_back(reply);
    }

    pub fn extend(&mut self, replies: Vec<Posted>) {
        self.waiting.extend(replies);
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What may leave now. The rest waits for the next turn.
    pub fn spurt(&mut self) -> Vec<Posted> {
        let count = SPURT.max(self.waiting.len() / PART).min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::socket::dhcp::Received;

    fn outbox(replies: usize) -> Outbox {
        let from = "10.0.0.2:67".parse().unwrap();
        let local = "10.0.0.1".parse().unwrap();
        let asked = Received { from, local, interface: 2, to_us_alone: false };
        let mut outbox = Outbox::default();
        outbox.extend((0..replies).map(|_| Posted { bytes: vec![0], to: from, asked }).collect());
        outbox
    }

    #[test]
    fn what_one_flush_released_leaves_in_spurts() {
        let mut outbox = outbox(150);
        let spurts: Vec<usize> =
            std::iter::from_fn(|| Some(outbox.spurt().len()).filter(|count| *count > 0)).collect();
        assert_eq!(spurts, [37, 28, 21, 16, 16, 16, 16]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_long_queue_leaves_faster_than_it_can_grow() {
        let mut outbox = outbox(40_000);
        assert_eq!(outbox.spurt().len(), 10_000);
        let turns = std::iter::from_fn(|| Some(outbox.spurt()).filter(|left| !left.is_empty()));
        assert!(turns.count() < 50);
    }
}
