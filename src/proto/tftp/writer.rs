//! The writing machine of a client, for tests: puts one file (RFC 1350, 2347, 7440).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Output;
use super::content::{Content, Cursor};
use super::packet::{ErrorCode, Mode, Opt, Packet, Request, encode_data_head, shown};

/// What is put, and how.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub name: String,
    pub mode: Mode,
    pub block_bytes: Option<u16>,
    pub window_blocks: Option<u16>,
    pub tsize: bool,
    pub patience: Duration,
    pub retries_max: u32,
}

impl Offer {
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            mode: Mode::Octet,
            block_bytes: None,
            window_blocks: None,
            tsize: false,
            patience: Duration::from_secs(5),
            retries_max: 5,
        }
    }

    pub fn request(&self, tsize: u64) -> Request {
        let options = [
            ("tsize", self.tsize.then_some(tsize)),
            ("blksize", self.block_bytes.map(u64::from)),
            ("windowsize", self.window_blocks.map(u64::from)),
        ];
        let options =
            options.into_iter().filter_map(|(name, value)| Some(Opt::new(name, value?))).collect();
        Request { name: self.name.clone().into_bytes(), mode: self.mode.clone(), options }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server acknowledged the last block.
    Complete,
    Refused {
        code: ErrorCode,
        text: String,
    },
    Silent,
}

#[derive(Debug)]
pub(crate) struct Writer {
    offer: Offer,
    server: SocketAddr,
    transfer: Option<SocketAddr>,
    content: Content,
    block_bytes: u16,
    window_blocks: u16,
    /// Some first answer was heard.
    begun: bool,
    acknowledged: u64,
    cursor: Cursor,
    sent: u64,
    /// The window was sent again for an ACK of the block before it.
    gap_filled: bool,
    retries: u32,
    deadline: Instant,
    outcome: Option<Outcome>,
}

impl Writer {
    pub fn start(
        server: SocketAddr,
        (offer, file): (Offer, &[u8]),
        now: Instant,
        out: &mut Output,
    ) -> Self {
        let content = Content::new(std::sync::Arc::<[u8]>::from(file), &offer.mode);
        let writer = Self {
            deadline: now + offer.patience,
            offer,
            server,
            transfer: None,
            content,
            block_bytes: 512,
            window_blocks: 1,
            begun: false,
            acknowledged: 0,
            cursor: Cursor::default(),
            sent: 0,
            gap_filled: false,
            retries: 0,
            outcome: None,
        };
        writer.ask(out);
        writer
    }

    pub fn on_packet(&mut self, bytes: &[u8], from: SocketAddr, now: Instant, out: &mut Output) {
        let Ok(packet) = Packet::decode(bytes) else { return };
        if self.outcome.is_some() || *self.transfer.get_or_insert(from) != from {
            return;
        }
        match packet {
            Packet::OptionAck(options) if !self.begun => {
                for option in &options {
                    let small = option.number().and_then(|n| u16::try_from(n).ok());
                    if option.is("blksize") {
                        self.block_bytes = small.unwrap_or(512);
                    } else if option.is("windowsize") {
                        self.window_blocks = small.unwrap_or(1);
                    }
                }
                self.begun = true;
                self.fly(now, out);
            }
            Packet::Ack { block: 0 } if !self.begun => {
                self.begun = true;
                self.fly(now, out);
            }
            Packet::Ack { block } if self.begun => self.on_ack(block, now, out),
            Packet::Error { code, text } => {
                self.outcome = Some(Outcome::Refused { code, text: shown(&text) });
            }
            Packet::Read(_)
            | Packet::Write(_)
            | Packet::Data { .. }
            | Packet::Ack { .. }
            | Packet::OptionAck(_)
            | Packet::Other { .. } => {}
        }
    }

    pub fn on_time(&mut self, now: Instant, out: &mut Output) {
        if self.outcome.is_some() || now < self.deadline {
            return;
        }
        if self.retries >= self.offer.retries_max {
            self.outcome = Some(Outcome::Silent);
            return;
        }
        self.retries += 1;
        self.deadline = now + self.offer.patience;
        if self.begun {
            self.fly(now, out);
        } else {
            self.ask(out);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.outcome.is_none().then_some(self.deadline)
    }

    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    fn on_ack(&mut self, block: u16, now: Instant, out: &mut Output) {
        let ahead = u64::from(block.wrapping_sub((self.acknowledged & 0xFFFF) as u16));
        if ahead == 0 {
            // In lockstep a doubled ACK sends nothing (RFC 1123 section 4.2.3.1).
            if self.window_blocks > 1 && !self.gap_filled {
                self.gap_filled = true;
                self.fly(now, out);
            }
        } else if ahead <= self.sent - self.acknowledged {
            for _ in 0..ahead {
                self.cursor = self.content.skip(self.cursor, self.block_bytes.into());
            }
            self.acknowledged += ahead;
            (self.retries, self.gap_filled) = (0, false);
            if self.acknowledged == self.last_block() {
                self.outcome = Some(Outcome::Complete);
            } else {
                self.fly(now, out);
            }
        }
    }

    fn last_block(&self) -> u64 {
        self.content.wire_bytes() / u64::from(self.block_bytes) + 1
    }

    fn ask(&self, out: &mut Output) {
        let request = Packet::Write(self.offer.request(self.content.wire_bytes()));
        out.datagram(self.server, |bytes| request.encode(bytes));
    }

    fn fly(&mut self, now: Instant, out: &mut Output) {
        let end = (self.acknowledged + u64::from(self.window_blocks)).min(self.last_block());
        let to = self.transfer.unwrap_or(self.server);
        let mut cursor = self.cursor;
        for number in self.acknowledged + 1..=end {
            cursor = out.datagram(to, |bytes| {
                encode_data_head((number & 0xFFFF) as u16, bytes);
                self.content.write(cursor, self.block_bytes.into(), bytes)
            });
        }
        self.sent = end;
        self.deadline = now + self.offer.patience;
    }
}
