//! One TFTP transfer, both ends, over a wire whose every misfortune the bytes decide: what is lost,
//! doubled or late, and what others throw in between.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenlight::clock::Clock;
use greenlight::proto::tftp::Output;
use greenlight::proto::tftp::download::{Download, Outcome, Wish};
use greenlight::proto::tftp::negotiate::{Agreed, Limits};
use greenlight::proto::tftp::packet::{Mode, Packet, Request};
use greenlight::proto::tftp::transfer::{End, Transfer};

use super::tape::Tape;
use super::tftp::limits;

/// Longer files only repeat what shorter ones show.
const CONTENT_BYTES_MAX: u16 = 6000;

/// What is under way at a time. A packet that is doubled again and again by two ends that answer
/// each other would pass it.
const WIRE_PACKETS_MAX: usize = 2000;

const READER: ([u8; 4], u16) = ([10, 0, 0, 9], 2070);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 3000);
const STRANGER: ([u8; 4], u16) = ([10, 0, 0, 66], 2070);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Reader,
}

struct Flying {
    due: Instant,
    to: Side,
    from: SocketAddr,
    bytes: Vec<u8>,
}

struct Room<'a> {
    tape: Tape<'a>,
    content: Arc<[u8]>,
    request: Request,
    agreed: Agreed,
    server: Transfer,
    reader: Download,
    wire: Vec<Flying>,
    now: Instant,
    /// Somebody spoke in the reader's name.
    forged: bool,
}

pub fn check(bytes: &[u8]) {
    let mut tape = Tape::new(bytes);
    let length = tape.number() % CONTENT_BYTES_MAX;
    let content: Arc<[u8]> = (0..length).map(|at| (at % 251) as u8).collect();
    let wish = wish(&mut tape);
    let limits = limits();
    let start = Clock::System.instant();
    let request = wish.request();
    let agreed = Agreed::new(&request, &limits, u64::from(length));
    let (mut asked, mut out) = (Output::default(), Output::default());
    let reader = Download::start(SERVER.into(), wish, start, &mut asked);
    let from = (READER.into(), &request);
    let server = Transfer::start(from, Arc::clone(&content), &limits, start, &mut out);
    let (now, wire) = (start, Vec::new());
    let mut room =
        Room { tape, content, request, agreed, server, reader, wire, now, forged: false };
    room.leave(Side::Server, &out);
    while room.goes_on() {}
    room.judge(start, &limits);
}

fn wish(tape: &mut Tape<'_>) -> Wish {
    let flags = tape.byte();
    let option = |bit: u8, value: u16| (flags & bit != 0).then_some(value);
    Wish {
        mode: if flags & 1 == 0 { Mode::Octet } else { Mode::Netascii },
        tsize: flags & 2 != 0,
        block_bytes: option(4, tape.number()),
        window_blocks: option(8, tape.byte().into()),
        timeout_seconds: option(16, 0).map(|_| tape.byte()),
        ..Wish::plain("acc-1.cfg")
    }
}

impl Room<'_> {
    /// Lets the next thing happen. False once nothing can happen any more.
    fn goes_on(&mut self) -> bool {
        let first = self.wire.iter().enumerate().min_by_key(|(_, flying)| flying.due);
        let first = first.map(|(index, flying)| (flying.due, index));
        let deadlines = [self.server.deadline(), self.reader.deadline()];
        let deadline = deadlines.into_iter().flatten().min();
        let mut out = Output::default();
        match (first, deadline) {
            (None, None) => return false,
            (Some((due, index)), wake) if wake.is_none_or(|wake| due <= wake) => {
                let flying = self.wire.swap_remove(index);
                self.now = self.now.max(due);
                self.arrive(&flying, &mut out);
                self.leave(flying.to, &out);
            }
            (_, wake) => {
                self.now = self.now.max(wake.unwrap_or(self.now));
                self.server.on_time(self.now, &mut out);
                self.leave(Side::Server, &out);
                out.clear();
                self.reader.on_time(self.now, &mut out);
                self.leave(Side::Reader, &out);
            }
        }
        true
    }

    fn arrive(&mut self, flying: &Flying, out: &mut Output) {
        let Flying { to, from, bytes, .. } = flying;
        if *to == Side::Reader {
            return self.reader.on_packet(bytes, *from, self.now, out);
        }
        // The table of the server knows a request that came again.
        if matches!(Packet::decode(bytes), Ok(Packet::Read(again)) if again == self.request) {
            if !self.server.has_progress() {
                self.server.on_repeat(self.now, out);
            }
            return;
        }
        let before = (self.server.progress(), self.server.digest().cloned());
        self.server.on_packet(bytes, *from, self.now, out);
        if *from == SocketAddr::from(STRANGER) {
            assert_eq!(before, (self.server.progress(), self.server.digest().cloned()));
            assert!(out.len() <= 1, "a stranger is told once");
        }
    }

    /// Puts what one end sent on the wire; the script says what becomes of each packet.
    fn leave(&mut self, side: Side, out: &Output) {
        // An ACK frees one window, and a repetition sends one again.
        let most = if side == Side::Server { usize::from(self.agreed.window_blocks) } else { 2 };
        assert!(out.len() <= most.max(1), "{} packets at once", out.len());
        for (to, bytes) in out.datagrams() {
            if side == Side::Server {
                self.is_right(bytes);
            }
            if to == SocketAddr::from(STRANGER) {
                continue;
            }
            let (from, to) = match side {
                Side::Server => (SocketAddr::from(SERVER), Side::Reader),
                Side::Reader => (SocketAddr::from(READER), Side::Server),
            };
            let fate = self.tape.byte();
            let late = u64::from(fate >> 3);
            let delays = match fate & 7 {
                0..=2 => vec![1],
                3 => vec![1 + late],
                4 => vec![],
                5 => vec![1, 1 + 10 * late],
                6 => vec![1 + 100 * late],
                _ => {
                    self.thrown_in(fate);
                    vec![1]
                }
            };
            for delay in delays {
                let due = self.now + Duration::from_millis(delay);
                self.wire.push(Flying { due, to, from, bytes: bytes.to_vec() });
            }
        }
        assert!(self.wire.len() <= WIRE_PACKETS_MAX, "the two ends multiply packets");
    }

    /// Anything, to the server, from the reader's own address or from another.
    fn thrown_in(&mut self, fate: u8) {
        let bytes = self.tape.piece().to_vec();
        let forged = fate & 8 != 0;
        self.forged |= forged;
        let from = SocketAddr::from(if forged { READER } else { STRANGER });
        let due = self.now + Duration::from_millis(u64::from(fate >> 4));
        self.wire.push(Flying { due, to: Side::Server, from, bytes });
    }

    /// A block holds what the file has there, whatever came before.
    fn is_right(&self, bytes: &[u8]) {
        assert!(bytes.len() <= 4 + usize::from(self.agreed.block_bytes).max(512));
        let Ok(Packet::Data { block, bytes }) = Packet::decode(bytes) else { return };
        assert!(bytes.len() <= usize::from(self.agreed.block_bytes));
        if self.request.mode == Mode::Octet {
            let begin = (usize::from(block) - 1) * usize::from(self.agreed.block_bytes);
            let end = (begin + usize::from(self.agreed.block_bytes)).min(self.content.len());
            assert_eq!(bytes, &self.content[begin..end], "block {block}");
        }
    }

    fn judge(self, start: Instant, limits: &Limits) {
        let digest = self.server.digest().expect("every session ends");
        let took = self.now.duration_since(start);
        assert!(took <= limits.total_max + 2 * limits.timeout_max, "{took:?}");
        let outcome = self.reader.outcome().cloned().expect("every reader ends");
        let length = self.content.len() as u64;
        assert!(digest.bytes <= length);
        if digest.end == End::Complete {
            assert_eq!(digest.bytes, length);
            // Nobody else acknowledged in the reader's name.
            assert!(self.forged || outcome == Outcome::Complete, "{outcome:?}");
        }
        if outcome == Outcome::Complete {
            assert_eq!(self.reader.into_bytes(), self.content[..], "what is complete is the file");
        }
    }
}
