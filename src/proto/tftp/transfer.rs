//! The sending machine: one file to one reader (RFC 1350, with options, windows and rollover).
//!
//! It is fed with packets and time, fills an [`Output`], and says at its end what was acknowledged.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Output;
use super::content::{Content, Cursor, Source};
use super::negotiate::{Agreed, Limits};
use super::packet::{ErrorCode, Packet, Request, encode_data_head, shown};
use super::patience::Patience;

/// After so many OACKs without an ACK, a request that comes again is of a reader that does not know
/// OACK (RFC 2347 lets it ignore one) and would ask for ever.
/// Seen with an NVIDIA DGX (facebookarchive/fbtftp, issue 51).
const OACKS_IGNORED: u32 = 3;

/// For a piece of a file to come from its disk. A reader repeats its last ACK meanwhile.
const DISK_PATIENCE: Duration = Duration::from_secs(30);

/// One file on its way to one reader.
#[derive(Debug)]
pub struct Transfer {
    peer: SocketAddr,
    content: Content,
    retries_max: u32,
    timeout_min: Duration,
    agreed: Agreed,
    /// Our answer to the options; empty if none was agreed.
    oack: Box<[u8]>,
    /// Blocks acknowledged: the number of the newest, counted from 1 without rollover.
    acknowledged: u64,
    /// The place behind the acknowledged blocks.
    cursor: Cursor,
    /// The newest block that was sent.
    sent: u64,
    repeats: u32,
    /// Waits of the agreed length in a row that brought nothing; shorter ones do not count, so that
    /// a quick reader is not given up earlier than a slow one.
    retries: u32,
    patience: Patience,
    /// A piece of the file was asked of the driver.
    fetching: bool,
    /// When the newest packets left, how long their answer is awaited, and whether they were there
    /// before: then nobody knows which of them an answer is for.
    flight: Flight,
    give_up_at: Instant,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    left_at: Instant,
    wait: Duration,
    repeated: bool,
}

#[derive(Debug)]
enum Phase {
    /// The OACK was sent so many times; ACK 0 is awaited.
    Offered {
        deadline: Instant,
        oacks: u32,
    },
    /// Blocks are in flight.
    Sending {
        deadline: Instant,
        gap: Gap,
    },
    /// The next blocks are not here: the driver was asked for their piece.
    Starving {
        deadline: Instant,
        gap: Gap,
    },
    Ended(Digest),
}

/// Whether an ACK of the block before the window may send the window again at once (RFC 7440
/// section 4). It may once a flight, and not in the flight after: the reader answers the doubled
/// blocks with doubled ACKs, and these must not double the rest (Sorcerer's Apprentice, RFC 1123
/// section 4.2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    MayBeFilled,
    WasFilled,
    MustWait,
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Bytes of the file that were acknowledged.
    pub bytes: u64,
    /// Blocks that were acknowledged.
    pub blocks: u64,
    /// Requests and blocks that came or went again.
    pub repeats: u32,
    pub end: End,
}

/// Why a transfer is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The last block was acknowledged.
    Complete,
    /// The reader sent ERROR.
    Refused { code: ErrorCode, text: String },
    /// The reader was silent through all retries.
    Silent { waits: u32 },
    /// The bound for the whole transfer has passed.
    TooLong,
    /// Our side has the file no more, or waits too long for its disk.
    Unreadable,
    /// The reader has never answered, and others need its place.
    Crowded,
    /// The same reader asked anew.
    AskedAnew,
    /// The server was told to end.
    Stopped,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Complete => write!(f, "complete"),
            End::Refused { code, text } if text.is_empty() => {
                write!(f, "the reader sent error {}", code.number())
            }
            End::Refused { code, text } => {
                write!(f, "the reader sent error {}: {text}", code.number())
            }
            End::Silent { waits } => write!(f, "the reader was silent through {waits} waits"),
            End::TooLong => write!(f, "the transfer took too long"),
            End::Unreadable => write!(f, "the file cannot be read"),
            End::Crowded => write!(f, "the reader has not answered, and its place was needed"),
            End::AskedAnew => write!(f, "the reader asked anew"),
            End::Stopped => write!(f, "the server was stopped"),
        }
    }
}

impl Transfer {
    /// Begins: sends the OACK, or the first block if no option was agreed. The request must be of a
    /// mode that [`Request::readable_mode`] lets pass.
    pub fn start(
        (peer, request): (SocketAddr, &Request),
        content: impl Into<Source>,
        limits: &Limits,
        now: Instant,
        out: &mut Output,
    ) -> Self {
        let content = Content::new(content, &request.mode);
        let mut agreed = Agreed::new(request, limits, content.wire_bytes());
        let oack = agreed.take_oack();
        let offered = !oack.is_empty();
        let mut transfer = Self {
            peer,
            content,
            retries_max: limits.retries_max,
            timeout_min: limits.timeout_min,
            agreed,
            oack,
            acknowledged: 0,
            cursor: Cursor::default(),
            sent: 0,
            repeats: 0,
            retries: 0,
            patience: Patience::default(),
            fetching: false,
            flight: Flight { left_at: now, wait: limits.timeout, repeated: false },
            give_up_at: now + limits.total_max,
            phase: Phase::Offered { deadline: now, oacks: 0 },
        };
        if offered {
            transfer.offer(now, out);
        } else {
            transfer.fly(Gap::MayBeFilled, now, out);
        }
        transfer
    }

    /// A datagram that came to this transfer's port.
    pub fn on_packet(&mut self, bytes: &[u8], from: SocketAddr, now: Instant, out: &mut Output) {
        let decoded = Packet::decode(bytes);
        if from != self.peer {
            if !matches!(decoded, Ok(Packet::Error { .. })) {
                tell_stranger(from, out);
            }
            return;
        }
        match decoded {
            Ok(Packet::Ack { block }) => self.on_ack(block, now, out),
            Ok(Packet::Error { code, text }) => {
                self.end(End::Refused { code, text: shown(&text) });
            }
            // Nothing else has a meaning here, and an answer could start an argument.
            Ok(
                Packet::Read(_)
                | Packet::Write(_)
                | Packet::Data { .. }
                | Packet::OptionAck(_)
                | Packet::Other { .. },
            )
            | Err(_) => {}
        }
    }

    /// The same request came again before anything was acknowledged: our first answer is sent
    /// again.
    pub fn on_repeat(&mut self, now: Instant, out: &mut Output) {
        self.count_repeats(1);
        match self.phase {
            Phase::Offered { .. } => self.offer(now, out),
            Phase::Sending { gap, .. } if self.acknowledged == 0 => self.fly(gap, now, out),
            Phase::Sending { .. } | Phase::Starving { .. } | Phase::Ended(_) => {}
        }
    }

    /// If the same request comes now, it is to be answered without options, and from another port:
    /// a reader that did take a late OACK would take the first plain block for the last one.
    pub fn options_ignored(&self) -> bool {
        match self.phase {
            Phase::Offered { oacks, .. } => oacks >= OACKS_IGNORED,
            Phase::Sending { .. } | Phase::Starving { .. } | Phase::Ended(_) => false,
        }
    }

    /// Requests that were joined before the content was there.
    pub fn count_repeats(&mut self, count: u32) {
        self.repeats = self.repeats.saturating_add(count);
        if let Phase::Ended(digest) = &mut self.phase {
            digest.repeats = self.repeats;
        }
    }

    /// Time has passed; nothing happens before [`Self::deadline`].
    pub fn on_time(&mut self, now: Instant, out: &mut Output) {
        let Some(deadline) = self.deadline() else { return };
        if now < deadline {
            return;
        }
        let waited_fully = self.flight.wait >= self.agreed.timeout;
        if now >= self.give_up_at {
            self.give_up(End::TooLong, out);
        } else if matches!(self.phase, Phase::Starving { .. }) {
            self.give_up(End::Unreadable, out);
        } else if waited_fully && self.retries >= self.retries_max {
            self.give_up(End::Silent { waits: self.retries + 1 }, out);
        } else {
            self.retries += u32::from(waited_fully);
            self.patience.waited();
            match self.phase {
                Phase::Offered { .. } => {
                    self.count_repeats(1);
                    self.offer(now, out);
                }
                Phase::Sending { .. } => self.fly_again(Gap::MayBeFilled, now, out),
                Phase::Starving { .. } | Phase::Ended(_) => {}
            }
        }
    }

    /// When [`Self::on_time`] is due; `None` after the end.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Offered { deadline, .. }
            | Phase::Sending { deadline, .. }
            | Phase::Starving { deadline, .. } => Some((*deadline).min(self.give_up_at)),
            Phase::Ended(_) => None,
        }
    }

    /// Ends it from our side, with ERROR 0 to the reader.
    pub fn stop(&mut self, end: End, out: &mut Output) {
        self.give_up(end, out);
    }

    /// Ends it without a word: the reader has begun another one on this port.
    pub fn forget(&mut self, end: End) {
        self.end(end);
    }

    /// How it ended, once it has.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.phase {
            Phase::Offered { .. } | Phase::Sending { .. } | Phase::Starving { .. } => None,
            Phase::Ended(digest) => Some(digest),
        }
    }

    /// The reader has shown that it hears us: what it asks from now on is a new request.
    pub fn has_progress(&self) -> bool {
        match &self.phase {
            Phase::Offered { .. } => false,
            Phase::Sending { .. } | Phase::Starving { .. } => {
                self.acknowledged > 0 || !self.oack.is_empty()
            }
            Phase::Ended(_) => true,
        }
    }

    /// The reader went on so short a time ago that it cannot have begun anew since: a request of
    /// it is a late copy.
    pub fn went_on_since(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.flight.left_at) < self.agreed.timeout
    }

    /// Grows whenever the reader acknowledges something new.
    pub fn progress(&self) -> u64 {
        self.acknowledged + u64::from(self.has_progress())
    }

    /// The number of the piece of the file (see [`Content::wanted`]) that the driver is to bring
    /// now. One at a time: the next is named after [`Self::on_piece`].
    pub fn next_piece(&mut self) -> Option<u64> {
        if self.fetching || self.digest().is_some() {
            return None;
        }
        let index = self.content.wanted(self.cursor)?;
        self.fetching = true;
        Some(index)
    }

    /// The piece that was named, or `None` if the file cannot be read any more.
    pub fn on_piece(
        &mut self,
        index: u64,
        piece: Option<Arc<Vec<u8>>>,
        now: Instant,
        out: &mut Output,
    ) {
        self.fetching = false;
        let Some(piece) = piece else { return self.give_up(End::Unreadable, out) };
        self.content.bring(index, piece);
        if let Phase::Starving { gap, .. } = self.phase {
            self.fly(gap, now, out);
        }
    }

    fn on_ack(&mut self, block: u16, now: Instant, out: &mut Output) {
        let gap = match self.phase {
            Phase::Offered { .. } if block == 0 => {
                self.went_on(now);
                return self.fly(Gap::MayBeFilled, now, out);
            }
            // What is acknowledged now will be again, once more blocks leave.
            Phase::Offered { .. } | Phase::Starving { .. } | Phase::Ended(_) => return,
            Phase::Sending { gap, .. } => gap,
        };
        // Numbers roll over to 0 after 65535; the flight is far shorter than that.
        let ahead = u64::from(block.wrapping_sub(low_16(self.acknowledged)));
        let in_flight = self.sent - self.acknowledged;
        if ahead == 0 {
            let windowed = self.agreed.window_blocks > 1;
            if windowed && in_flight > 0 && gap == Gap::MayBeFilled {
                self.fly_again(Gap::WasFilled, now, out);
            }
        } else if ahead <= in_flight {
            self.acknowledge(ahead);
            self.went_on(now);
            if self.acknowledged == self.last_block() {
                return self.end(End::Complete);
            }
            let lost = in_flight - ahead;
            self.count_repeats(u32::try_from(lost).unwrap_or(u32::MAX));
            let next = if gap == Gap::WasFilled { Gap::MustWait } else { Gap::MayBeFilled };
            self.fly(next, now, out);
        }
    }

    fn acknowledge(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.cursor = self.content.skip(self.cursor, self.agreed.block_bytes.into());
        }
        self.acknowledged += blocks;
    }

    fn went_on(&mut self, now: Instant) {
        self.retries = 0;
        self.patience.heard();
        if !self.flight.repeated {
            self.patience.measured(now.saturating_duration_since(self.flight.left_at));
        }
    }

    /// Packets leave now; returns when their answer is due.
    fn leave(&mut self, repeated: bool, now: Instant) -> Instant {
        let longest = self.agreed.timeout;
        let shortest = if self.agreed.adapts { self.timeout_min } else { longest };
        let wait = self.patience.wait(shortest.min(longest), longest);
        self.flight = Flight { left_at: now, wait, repeated };
        now + wait
    }

    /// The first block that is not full ends the file; a full last block is followed by an empty
    /// one.
    fn last_block(&self) -> u64 {
        self.content.wire_bytes() / u64::from(self.agreed.block_bytes) + 1
    }

    fn offer(&mut self, now: Instant, out: &mut Output) {
        out.datagram(self.peer, |bytes| bytes.extend_from_slice(&self.oack));
        let oacks = match &self.phase {
            Phase::Offered { oacks, .. } => oacks.saturating_add(1),
            Phase::Sending { .. } | Phase::Starving { .. } | Phase::Ended(_) => 1,
        };
        let deadline = self.leave(oacks > 1, now);
        self.phase = Phase::Offered { deadline, oacks };
    }

    /// Sends the window behind the acknowledged blocks.
    fn fly(&mut self, gap: Gap, now: Instant, out: &mut Output) {
        let end = (self.acknowledged + u64::from(self.agreed.window_blocks)).min(self.last_block());
        let window_bytes =
            usize::from(self.agreed.window_blocks) * usize::from(self.agreed.block_bytes);
        if !self.content.has(self.cursor, window_bytes) {
            self.phase = Phase::Starving { deadline: now + DISK_PATIENCE, gap };
            return;
        }
        let mut cursor = self.cursor;
        for number in self.acknowledged + 1..=end {
            cursor = out.datagram(self.peer, |bytes| {
                encode_data_head(low_16(number), bytes);
                self.content.write(cursor, self.agreed.block_bytes.into(), bytes)
            });
        }
        let repeated = self.sent > self.acknowledged;
        self.sent = end;
        let deadline = self.leave(repeated, now);
        self.phase = Phase::Sending { deadline, gap };
    }

    fn fly_again(&mut self, gap: Gap, now: Instant, out: &mut Output) {
        let in_flight = self.sent - self.acknowledged;
        self.count_repeats(u32::try_from(in_flight).unwrap_or(u32::MAX));
        self.fly(gap, now, out);
    }

    fn give_up(&mut self, end: End, out: &mut Output) {
        if self.digest().is_none() {
            let text = end.to_string();
            out.datagram(self.peer, |bytes| {
                Packet::error(ErrorCode::Undefined, &text).encode(bytes);
            });
            self.end(end);
        }
    }

    fn end(&mut self, end: End) {
        if self.digest().is_none() {
            self.phase = Phase::Ended(Digest {
                bytes: self.cursor.file_bytes(),
                blocks: self.acknowledged,
                repeats: self.repeats,
                end,
            });
        }
    }
}

/// RFC 1350 section 4: a packet from elsewhere gets ERROR 5 and disturbs nobody.
pub fn tell_stranger(to: SocketAddr, out: &mut Output) {
    let error = Packet::error(ErrorCode::UnknownTransfer, "no transfer of yours is here");
    out.datagram(to, |bytes| error.encode(bytes));
}

fn low_16(number: u64) -> u16 {
    (number & 0xFFFF) as u16
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::proto::tftp::download::Wish;

    /// The pauses before each repetition, and before the end, of a reader that acknowledged one
    /// block after 80 ms and then fell silent.
    fn pauses(timeout_seconds: Option<u8>) -> Vec<u128> {
        let limits = Limits {
            block_bytes_max: 1428,
            window_blocks_max: 16,
            timeout: Duration::from_secs(2),
            timeout_min: Duration::from_millis(50),
            timeout_max: Duration::from_secs(10),
            retries_max: 2,
            total_max: Duration::from_secs(600),
        };
        let peer = SocketAddr::from(([10, 77, 0, 9], 9));
        let request = Wish { timeout_seconds, ..Wish::plain("f") }.request();
        let mut now = Clock::System.instant();
        let mut out = Output::default();
        let content = Arc::<[u8]>::from([7; 2000]);
        let mut transfer = Transfer::start((peer, &request), content, &limits, now, &mut out);
        now += Duration::from_millis(80);
        let first = if timeout_seconds.is_some() { 0 } else { 1 };
        transfer.on_packet(&[0, 4, 0, first], peer, now, &mut out);
        let mut pauses = Vec::new();
        while let Some(deadline) = transfer.deadline() {
            pauses.push(deadline.duration_since(now).as_millis());
            now = deadline;
            transfer.on_time(now, &mut out);
        }
        pauses
    }

    #[test]
    fn a_quick_reader_hears_a_lost_block_soon_and_is_not_given_up_sooner() {
        assert_eq!(pauses(None), [240, 480, 960, 1920, 2000, 2000, 2000]);
        // A reader that names its own wait gets it.
        assert_eq!(pauses(Some(1)), [1000, 1000, 1000]);
    }
}
