//! The taking machine: one file from one writer (RFC 1350, with options, windows and rollover).
//!
//! It is fed with packets, time and the word of the disk. The last block is acknowledged once the
//! driver says that the file is stored, and never before: a writer that hears success has a backup.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Output;
use super::content::FromNetascii;
use super::negotiate::{Agreed, Limits};
use super::packet::{ErrorCode, Mode, Packet, Request, shown};
use super::transfer::tell_stranger;

/// Bytes go to the disk in pieces of this size.
pub const CHUNK_BYTES: usize = 64 << 10;

/// With more bytes than this waiting for the disk, no further window is acknowledged: the writer
/// waits. Beyond it at most one window can come in.
pub const WAITING_BYTES_MAX: usize = 2 * CHUNK_BYTES;

/// For the flush to disk at the end. Writers repeat their last block meanwhile, for 15 s and more.
const STORE_PATIENCE: Duration = Duration::from_secs(30);

/// How long the last ACK can be said again (RFC 1350 section 6): two waits of the slowest client we
/// know, curl, whose first one is 5 s.
const LINGER: Duration = Duration::from_secs(10);

/// One file on its way in.
#[derive(Debug)]
pub struct Upload {
    peer: SocketAddr,
    retries_max: u32,
    agreed: Agreed,
    /// Our answer to the options; empty if none was agreed.
    oack: Box<[u8]>,
    /// Undoes netascii; `None`: octet.
    netascii: Option<FromNetascii>,
    bytes_max: u64,
    /// Bytes of the file that are here.
    bytes: u64,
    /// Blocks that are here, counted from 1 without rollover.
    received: u64,
    /// Blocks since the last ACK.
    unacknowledged: u16,
    /// The gap behind `received` was reported already.
    gap_said: bool,
    /// An ACK is due and waits for the disk.
    held: bool,
    /// Waits for the disk.
    waiting: Vec<u8>,
    /// The disk has a piece and did not answer yet.
    writing: bool,
    repeats: u32,
    retries: u32,
    /// When the writer was last heard.
    heard_at: Instant,
    give_up_at: Instant,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Blocks come in.
    Taking {
        deadline: Instant,
    },
    /// The whole file is here. `told`: the disk knows that it was the last piece.
    Storing {
        deadline: Instant,
        told: bool,
    },
    /// Stored and acknowledged.
    Lingering {
        until: Instant,
    },
    Ended(Digest),
}

/// What the disk is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Write {
    Append(Vec<u8>),
    /// The last piece: flush it, and put the file in its place.
    Finish(Vec<u8>),
}

/// How an upload ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Bytes of the file that came in.
    pub bytes: u64,
    pub blocks: u64,
    /// Requests and blocks that came again.
    pub repeats: u32,
    pub end: End,
}

/// Why an upload is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Stored, acknowledged, and long enough ago.
    Stored,
    /// The writer sent ERROR.
    Refused { code: ErrorCode, text: String },
    /// The writer was silent through all retries.
    Silent { waits: u32 },
    /// More than the bound.
    TooLarge { bytes_max: u64 },
    /// A block was larger than agreed.
    Oversized,
    /// The disk did not take it.
    NotStored { why: String },
    /// The bound for the whole transfer has passed.
    TooLong,
    /// The same writer asked anew.
    AskedAnew,
    /// The server was told to end.
    Stopped,
}

impl End {
    fn code(&self) -> ErrorCode {
        match self {
            End::TooLarge { .. } => ErrorCode::DiskFull,
            End::Oversized => ErrorCode::IllegalOperation,
            End::Stored
            | End::Refused { .. }
            | End::Silent { .. }
            | End::NotStored { .. }
            | End::TooLong
            | End::AskedAnew
            | End::Stopped => ErrorCode::Undefined,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Stored => write!(f, "stored"),
            End::Refused { code, text } if text.is_empty() => {
                write!(f, "the writer sent error {}", code.number())
            }
            End::Refused { code, text } => {
                write!(f, "the writer sent error {}: {text}", code.number())
            }
            End::Silent { waits } => write!(f, "the writer was silent through {waits} waits"),
            End::TooLarge { bytes_max } => write!(f, "more than {bytes_max} bytes are not taken"),
            End::Oversized => write!(f, "a block is larger than agreed"),
            End::NotStored { why } => write!(f, "not stored: {why}"),
            End::TooLong => write!(f, "the transfer took too long"),
            End::AskedAnew => write!(f, "the writer asked anew"),
            End::Stopped => write!(f, "the server was stopped"),
        }
    }
}

/// The size that a write request announces (RFC 2349), if it does.
pub fn announced(request: &Request) -> Option<u64> {
    request.options.iter().find(|option| option.is("tsize")).and_then(super::packet::Opt::number)
}

impl Upload {
    /// Begins: sends the OACK, or ACK 0 if no option was agreed. The place for the file is open
    /// already. The request must be of a mode that [`Request::readable_mode`] lets pass, and must
    /// not announce more than `bytes_max`.
    pub fn start(
        (peer, request): (SocketAddr, &Request),
        bytes_max: u64,
        limits: &Limits,
        now: Instant,
        out: &mut Output,
    ) -> Self {
        let mut agreed = Agreed::new(request, limits, announced(request).unwrap_or(0));
        let netascii = match request.mode {
            Mode::Netascii => Some(FromNetascii::default()),
            Mode::Octet | Mode::Mail | Mode::Other(_) => None,
        };
        let deadline = now + agreed.timeout;
        let mut upload = Self {
            peer,
            retries_max: limits.retries_max,
            oack: agreed.take_oack(),
            agreed,
            netascii,
            bytes_max,
            bytes: 0,
            received: 0,
            unacknowledged: 0,
            gap_said: false,
            held: false,
            waiting: Vec::new(),
            writing: false,
            repeats: 0,
            retries: 0,
            heard_at: now,
            give_up_at: now + limits.total_max,
            phase: Phase::Taking { deadline },
        };
        upload.say_received(out);
        upload
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
            Ok(Packet::Data { block, bytes }) => self.on_data(block, bytes, now, out),
            Ok(Packet::Error { code, text }) => match self.phase {
                Phase::Taking { .. } | Phase::Storing { .. } => {
                    self.end(End::Refused { code, text: shown(&text) });
                }
                // What is stored stays stored.
                Phase::Lingering { .. } | Phase::Ended(_) => {}
            },
            // Nothing else has a meaning here, and an answer could start an argument.
            Ok(
                Packet::Read(_)
                | Packet::Write(_)
                | Packet::Ack { .. }
                | Packet::OptionAck(_)
                | Packet::Other { .. },
            )
            | Err(_) => {}
        }
    }

    /// The same request came again before the first block: our first answer is sent again.
    pub fn on_repeat(&mut self, out: &mut Output) {
        self.count_repeats(1);
        if self.received == 0 {
            self.say_received(out);
        }
    }

    /// Requests that were joined before the place was open.
    pub fn count_repeats(&mut self, count: u32) {
        self.repeats = self.repeats.saturating_add(count);
    }

    /// Time has passed; nothing happens before [`Self::deadline`].
    pub fn on_time(&mut self, now: Instant, out: &mut Output) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.phase {
            Phase::Taking { .. } if now >= self.give_up_at => self.give_up(End::TooLong, out),
            // The disk keeps the writer waiting, not the other way round.
            Phase::Taking { .. } if self.held => self.expect_more(now),
            Phase::Taking { .. } if self.retries >= self.retries_max => {
                self.give_up(End::Silent { waits: self.retries + 1 }, out);
            }
            Phase::Taking { .. } => {
                self.retries += 1;
                self.count_repeats(1);
                self.gap_said = false;
                self.say_received(out);
                self.expect_more(now);
            }
            Phase::Storing { .. } => {
                self.give_up(End::NotStored { why: "the disk takes too long".into() }, out);
            }
            Phase::Lingering { .. } => self.end(End::Stored),
            Phase::Ended(_) => {}
        }
    }

    /// When [`Self::on_time`] is due; `None` after the end.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Taking { deadline } => Some(deadline.min(self.give_up_at)),
            Phase::Storing { deadline, .. } => Some(deadline),
            Phase::Lingering { until } => Some(until),
            Phase::Ended(_) => None,
        }
    }

    /// What is to be written now. The next piece comes after [`Self::on_written`].
    pub fn next_write(&mut self) -> Option<Write> {
        if self.writing {
            return None;
        }
        let write = match &mut self.phase {
            Phase::Taking { .. } if self.waiting.len() >= CHUNK_BYTES => {
                Write::Append(std::mem::take(&mut self.waiting))
            }
            Phase::Storing { told, .. } if !*told => {
                *told = true;
                Write::Finish(std::mem::take(&mut self.waiting))
            }
            Phase::Taking { .. }
            | Phase::Storing { .. }
            | Phase::Lingering { .. }
            | Phase::Ended(_) => return None,
        };
        self.writing = true;
        Some(write)
    }

    /// A piece is with the disk. If it was the last one, the file is in its place and will survive
    /// a power cut.
    pub fn on_written(&mut self, now: Instant, out: &mut Output) {
        self.writing = false;
        match self.phase {
            Phase::Storing { told: true, .. } => {
                self.say_received(out);
                self.phase = Phase::Lingering { until: now + LINGER };
            }
            Phase::Taking { .. } if self.held && self.waiting.len() < WAITING_BYTES_MAX => {
                self.held = false;
                self.acknowledge(out);
                self.expect_more(now);
            }
            Phase::Taking { .. }
            | Phase::Storing { .. }
            | Phase::Lingering { .. }
            | Phase::Ended(_) => {}
        }
    }

    /// The disk refused a piece.
    pub fn on_refused(&mut self, code: ErrorCode, why: &str, out: &mut Output) {
        self.writing = false;
        if self.digest().is_none() {
            out.datagram(self.peer, |bytes| Packet::error(code, why).encode(bytes));
            self.end(End::NotStored { why: why.to_owned() });
        }
    }

    /// Ends it from our side, with an ERROR to the writer. What is stored stays stored.
    pub fn stop(&mut self, end: End, out: &mut Output) {
        match self.phase {
            Phase::Lingering { .. } => self.end(End::Stored),
            Phase::Taking { .. } | Phase::Storing { .. } => self.give_up(end, out),
            Phase::Ended(_) => {}
        }
    }

    /// Ends it without a word: the writer has begun another one on this port.
    pub fn forget(&mut self) {
        match self.phase {
            Phase::Lingering { .. } => self.end(End::Stored),
            Phase::Taking { .. } | Phase::Storing { .. } => self.end(End::AskedAnew),
            Phase::Ended(_) => {}
        }
    }

    /// How it ended, once it has.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.phase {
            Phase::Taking { .. } | Phase::Storing { .. } | Phase::Lingering { .. } => None,
            Phase::Ended(digest) => Some(digest),
        }
    }

    /// The file is stored and acknowledged: a request that comes now is a new one.
    pub fn is_stored(&self) -> bool {
        matches!(self.phase, Phase::Lingering { .. })
    }

    /// A first block came: what the writer asks from now on is a new request, or a late copy.
    pub fn has_progress(&self) -> bool {
        self.received > 0
    }

    /// The writer went on so short a time ago, or waits for our disk, that it cannot have begun
    /// anew since: a request of it is a late copy.
    pub fn went_on_since(&self, now: Instant) -> bool {
        let recent = now.saturating_duration_since(self.heard_at) < self.agreed.timeout;
        match self.phase {
            Phase::Taking { .. } => recent || self.held,
            Phase::Storing { .. } => true,
            Phase::Lingering { .. } | Phase::Ended(_) => false,
        }
    }

    fn on_data(&mut self, block: u16, bytes: &[u8], now: Instant, out: &mut Output) {
        let newest = low_16(self.received);
        match self.phase {
            Phase::Taking { .. } => {}
            Phase::Lingering { .. } if block == newest => {
                self.count_repeats(1);
                return self.say_received(out);
            }
            Phase::Storing { .. } | Phase::Lingering { .. } | Phase::Ended(_) => return,
        }
        if block != newest.wrapping_add(1) {
            return self.on_other_block(block.wrapping_sub(newest), out);
        }
        let block_bytes = usize::from(self.agreed.block_bytes);
        if bytes.len() > block_bytes {
            return self.give_up(End::Oversized, out);
        }
        if self.held {
            // It was told to wait, and sends this again later.
            return;
        }
        self.take(bytes);
        if self.bytes > self.bytes_max {
            return self.give_up(End::TooLarge { bytes_max: self.bytes_max }, out);
        }
        (self.retries, self.gap_said, self.heard_at) = (0, false, now);
        self.received += 1;
        self.unacknowledged += 1;
        self.expect_more(now);
        if bytes.len() < block_bytes {
            let rest = self.netascii.as_mut().and_then(FromNetascii::finish);
            self.bytes += u64::from(rest.is_some());
            self.waiting.extend(rest);
            self.phase = Phase::Storing { deadline: now + STORE_PATIENCE, told: false };
        } else if self.unacknowledged >= self.agreed.window_blocks {
            self.held = self.waiting.len() >= WAITING_BYTES_MAX;
            if !self.held {
                self.acknowledge(out);
            }
        }
    }

    /// A block that is not the next one; `ahead` of the newest one here, in the ring of numbers.
    fn on_other_block(&mut self, ahead: u16, out: &mut Output) {
        self.count_repeats(1);
        if self.held {
            return;
        }
        // A block again whose ACK was lost: it is said again, for the last one of a window only. A
        // block too far: what is missing is said once (RFC 7440 section 4), so that doubled blocks
        // do not double the rest (Sorcerer's Apprentice, RFC 1123 section 4.2.3.1).
        let again = ahead == 0 && self.received > 0;
        let gap = (1..0x8000).contains(&ahead) && self.agreed.window_blocks > 1;
        if again || gap && !self.gap_said {
            self.gap_said |= gap;
            self.acknowledge(out);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let before = self.waiting.len();
        match &mut self.netascii {
            Some(netascii) => netascii.take(bytes, &mut self.waiting),
            None => self.waiting.extend_from_slice(bytes),
        }
        self.bytes += (self.waiting.len() - before) as u64;
    }

    fn expect_more(&mut self, now: Instant) {
        if let Phase::Taking { deadline } = &mut self.phase {
            *deadline = now + self.agreed.timeout;
        }
    }

    fn acknowledge(&mut self, out: &mut Output) {
        self.unacknowledged = 0;
        let block = low_16(self.received);
        out.datagram(self.peer, |bytes| Packet::Ack { block }.encode(bytes));
    }

    /// The newest thing that we have to say: the OACK, or an ACK.
    fn say_received(&mut self, out: &mut Output) {
        if self.received == 0 && !self.oack.is_empty() {
            out.datagram(self.peer, |bytes| bytes.extend_from_slice(&self.oack));
        } else {
            self.acknowledge(out);
        }
    }

    fn give_up(&mut self, end: End, out: &mut Output) {
        if self.digest().is_none() {
            let (code, text) = (end.code(), end.to_string());
            out.datagram(self.peer, |bytes| Packet::error(code, &text).encode(bytes));
            self.end(end);
        }
    }

    fn end(&mut self, end: End) {
        if self.digest().is_none() {
            self.waiting = Vec::new();
            self.phase = Phase::Ended(Digest {
                bytes: self.bytes,
                blocks: self.received,
                repeats: self.repeats,
                end,
            });
        }
    }
}

fn low_16(number: u64) -> u16 {
    (number & 0xFFFF) as u16
}
