//! The reading machine: asks for one file and takes it in (RFC 1350, 2347, 7440). Simulated devices
//! and tests are its users.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Output;
use super::content::from_netascii;
use super::negotiate::PLAIN_BLOCK_BYTES;
use super::packet::{ErrorCode, Mode, Opt, Packet, Request, shown};

/// What is asked, and how the reader behaves.
#[derive(Debug, Clone)]
pub struct Wish {
    pub name: String,
    pub mode: Mode,
    /// `blksize`, if it is to be asked for.
    pub block_bytes: Option<u16>,
    /// `windowsize`, if it is to be asked for.
    pub window_blocks: Option<u16>,
    /// `timeout`, if it is to be asked for.
    pub timeout_seconds: Option<u8>,
    pub tsize: bool,
    /// Our own wait before the last packet is sent again.
    pub patience: Duration,
    pub retries_max: u32,
    /// A longer file is refused with ERROR 3.
    pub bytes_max: usize,
    pub stop: Stop,
}

/// Whether the reader goes on to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Never,
    /// Sends ERROR once so many blocks are there.
    ErrorAfter {
        blocks: u64,
    },
    /// Says nothing any more once so many blocks are there, as if its power were cut.
    SilenceAfter {
        blocks: u64,
    },
    /// Never acknowledges an OACK; asks again instead.
    IgnoresOack,
}

impl Wish {
    /// A plain request in octet mode.
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            mode: Mode::Octet,
            block_bytes: None,
            window_blocks: None,
            timeout_seconds: None,
            tsize: false,
            patience: Duration::from_secs(1),
            retries_max: 5,
            bytes_max: 64 << 20,
            stop: Stop::Never,
        }
    }

    pub fn request(&self) -> Request {
        let options = [
            ("tsize", self.tsize.then_some(0)),
            ("blksize", self.block_bytes.map(u64::from)),
            ("windowsize", self.window_blocks.map(u64::from)),
            ("timeout", self.timeout_seconds.map(u64::from)),
        ];
        let options =
            options.into_iter().filter_map(|(name, value)| Some(Opt::new(name, value?))).collect();
        Request { name: self.name.clone().into_bytes(), mode: self.mode.clone(), options }
    }
}

/// How a download ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Complete,
    /// The server sent ERROR.
    Refused {
        code: ErrorCode,
        text: String,
    },
    /// The server was silent through all retries.
    Silent,
    /// The reader stopped by itself, as its wish says.
    Stopped,
}

/// One file on its way in.
#[derive(Debug)]
pub struct Download {
    wish: Wish,
    /// Where the request goes.
    server: SocketAddr,
    /// Where the transfer comes from, once the first answer was heard.
    transfer: Option<SocketAddr>,
    block_bytes: u16,
    window_blocks: u16,
    tsize: Option<u64>,
    wire: Vec<u8>,
    /// Blocks that are there, counted without rollover.
    received: u64,
    /// Blocks since the last ACK.
    unacknowledged: u16,
    /// The gap behind `received` was reported already.
    gap_said: bool,
    retries: u32,
    repeats: u32,
    deadline: Instant,
    outcome: Option<Outcome>,
}

impl Download {
    pub fn start(server: SocketAddr, wish: Wish, now: Instant, out: &mut Output) -> Self {
        let deadline = now + wish.patience;
        let download = Self {
            wish,
            server,
            transfer: None,
            block_bytes: PLAIN_BLOCK_BYTES,
            window_blocks: 1,
            tsize: None,
            wire: Vec::new(),
            received: 0,
            unacknowledged: 0,
            gap_said: false,
            retries: 0,
            repeats: 0,
            deadline,
            outcome: None,
        };
        download.ask(out);
        download
    }

    /// A datagram that came to our port.
    pub fn on_packet(&mut self, bytes: &[u8], from: SocketAddr, now: Instant, out: &mut Output) {
        let Ok(packet) = Packet::decode(bytes) else { return };
        if *self.transfer.get_or_insert(from) != from {
            let error = Packet::error(ErrorCode::UnknownTransfer, "another transfer is under way");
            return out.datagram(from, |bytes| error.encode(bytes));
        }
        if self.outcome.is_some() {
            // The last ACK was lost (RFC 1350 section 6): it is said again.
            if matches!(packet, Packet::Data { .. }) && self.outcome == Some(Outcome::Complete) {
                self.acknowledge(out);
            }
            return;
        }
        match packet {
            Packet::OptionAck(options) => self.on_options(&options, now, out),
            Packet::Data { block, bytes } => self.on_data(block, bytes, now, out),
            Packet::Error { code, text } => {
                self.outcome = Some(Outcome::Refused { code, text: shown(&text) });
            }
            Packet::Read(_) | Packet::Write(_) | Packet::Ack { .. } | Packet::Other { .. } => {}
        }
    }

    /// Time has passed; nothing happens before [`Self::deadline`].
    pub fn on_time(&mut self, now: Instant, out: &mut Output) {
        if self.outcome.is_some() || now < self.deadline {
            return;
        }
        if self.retries >= self.wish.retries_max {
            self.outcome = Some(Outcome::Silent);
            return;
        }
        self.retries += 1;
        self.repeats += 1;
        self.deadline = now + self.wish.patience;
        if self.transfer.is_none() || self.wish.stop == Stop::IgnoresOack && self.received == 0 {
            self.transfer = None;
            self.ask(out);
        } else {
            self.acknowledge(out);
        }
    }

    /// When [`Self::on_time`] is due; `None` after the end.
    pub fn deadline(&self) -> Option<Instant> {
        self.outcome.is_none().then_some(self.deadline)
    }

    /// Ends it with ERROR 0.
    pub fn abort(&mut self, text: &str, out: &mut Output) {
        if let (Some(to), None) = (self.transfer, &self.outcome) {
            let error = Packet::error(ErrorCode::Undefined, text);
            out.datagram(to, |bytes| error.encode(bytes));
        }
        self.outcome.get_or_insert(Outcome::Stopped);
    }

    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// What the server says the transfer will be, in bytes on the wire.
    pub fn tsize(&self) -> Option<u64> {
        self.tsize
    }

    /// Blocks that are there.
    pub fn blocks(&self) -> u64 {
        self.received
    }

    /// Packets of ours that were sent again.
    pub fn repeats(&self) -> u32 {
        self.repeats
    }

    /// The file as far as it is there, netascii undone.
    pub fn into_bytes(self) -> Vec<u8> {
        match self.wish.mode {
            Mode::Netascii => from_netascii(&self.wire),
            Mode::Octet | Mode::Mail | Mode::Other(_) => self.wire,
        }
    }

    fn on_options(&mut self, options: &[Opt], now: Instant, out: &mut Output) {
        if self.received > 0 || self.wish.stop == Stop::IgnoresOack {
            return;
        }
        for option in options {
            let number = option.number();
            let small = number.and_then(|n| u16::try_from(n).ok());
            if option.is("blksize") {
                self.block_bytes = small.unwrap_or(self.block_bytes);
            } else if option.is("windowsize") {
                self.window_blocks = small.unwrap_or(1).max(1);
            } else if option.is("tsize") {
                self.tsize = number;
            }
        }
        self.deadline = now + self.wish.patience;
        if !self.stops(out) {
            self.acknowledge(out);
        }
    }

    fn on_data(&mut self, block: u16, bytes: &[u8], now: Instant, out: &mut Output) {
        let newest = (self.received & 0xFFFF) as u16;
        if block != newest.wrapping_add(1) {
            if block == newest {
                // A whole window came again: its ACK was lost.
                self.acknowledge(out);
            } else if block.wrapping_sub(newest) < 0x8000 && !self.gap_said {
                self.gap_said = true;
                self.acknowledge(out);
            }
            return;
        }
        self.deadline = now + self.wish.patience;
        (self.retries, self.gap_said) = (0, false);
        if self.wire.len() + bytes.len() > self.wish.bytes_max {
            let error = Packet::error(ErrorCode::DiskFull, "the file is too large");
            out.datagram(self.transfer.unwrap_or(self.server), |bytes| error.encode(bytes));
            self.outcome = Some(Outcome::Stopped);
            return;
        }
        self.wire.extend_from_slice(bytes);
        self.received += 1;
        self.unacknowledged += 1;
        let last = bytes.len() < usize::from(self.block_bytes);
        if self.stops(out) {
            return;
        }
        if last {
            self.outcome = Some(Outcome::Complete);
        }
        if last || self.unacknowledged >= self.window_blocks {
            self.acknowledge(out);
        }
    }

    fn stops(&mut self, out: &mut Output) -> bool {
        match self.wish.stop {
            Stop::ErrorAfter { blocks } if self.received >= blocks => {
                self.abort("stopped by the reader", out);
                true
            }
            Stop::SilenceAfter { blocks } if self.received >= blocks => {
                self.outcome = Some(Outcome::Stopped);
                true
            }
            Stop::Never
            | Stop::ErrorAfter { .. }
            | Stop::SilenceAfter { .. }
            | Stop::IgnoresOack => false,
        }
    }

    fn ask(&self, out: &mut Output) {
        let request = Packet::Read(self.wish.request());
        out.datagram(self.server, |bytes| request.encode(bytes));
    }

    fn acknowledge(&mut self, out: &mut Output) {
        self.unacknowledged = 0;
        let block = (self.received & 0xFFFF) as u16;
        let to = self.transfer.unwrap_or(self.server);
        out.datagram(to, |bytes| Packet::Ack { block }.encode(bytes));
    }
}
