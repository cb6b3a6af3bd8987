//! Many readers in one thread: one socket, each reader with a loopback address of its own.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use greenlight::clock::Clock;

use super::net::{Inbox, Parcel, Socket};

/// What the readers do.
#[derive(Debug, Clone)]
pub struct Load {
    pub server: SocketAddrV4,
    pub file: String,
    pub transfers: usize,
    pub at_once: usize,
    pub block_bytes: Option<u16>,
    pub window_blocks: Option<u16>,
    /// Of a thousand packets, so many are dropped each way.
    pub loss_per_mille: u32,
    /// The drops of one seed are always the same.
    pub seed: u32,
    /// No run takes longer.
    pub patience: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Score {
    pub complete: usize,
    pub refused: usize,
    /// Of all transfers, those that did not end included.
    pub bytes: u64,
    pub elapsed: Duration,
}

/// A reader says its last packet again after this silence.
const READER_PATIENCE: Duration = Duration::from_secs(1);

/// How often silent readers are looked for.
const LOOK_MILLISECONDS: u64 = 100;

struct Reader {
    /// Where the blocks come from, once one came.
    transfer: Option<SocketAddrV4>,
    block_bytes: usize,
    window_blocks: u64,
    /// Blocks that came in order, and of those the ones acknowledged.
    got: u64,
    said: u64,
    /// The gap behind `got` was reported.
    gap_said: bool,
    bytes: u64,
    heard_at: Instant,
}

struct Crowd {
    load: Load,
    /// By number; `None` once its transfer ended.
    readers: Vec<Option<Reader>>,
    open: usize,
    score: Score,
    bytes: Vec<u8>,
    parcels: Vec<Parcel>,
    /// Of the drops.
    chance: u32,
}

/// The first reader's address is 127.1.0.1.
const FIRST: u32 = 0x7F01_0001;

pub fn reader_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(FIRST + number as u32)
}

/// Runs the load to its end.
pub fn run(load: Load) -> Score {
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    let socket = Socket::bind(any).expect("a port is free");
    let mut inbox = Inbox::new();
    let clock = Clock::System;
    let begin = clock.instant();
    let mut crowd = Crowd {
        readers: Vec::with_capacity(load.transfers),
        open: 0,
        score: Score::default(),
        bytes: Vec::new(),
        parcels: Vec::new(),
        chance: load.seed,
        load,
    };
    let mut looked = begin;
    crowd.fill(begin);
    crowd.send(&socket);
    while crowd.open > 0 {
        socket.wait(LOOK_MILLISECONDS as _);
        let count = socket.receive(&mut inbox, false);
        let now = clock.instant();
        for index in 0..count {
            let (from, to, bytes) = inbox.datagram(index);
            crowd.on_packet(bytes, from, to, now);
        }
        if now.duration_since(looked) > Duration::from_millis(LOOK_MILLISECONDS) {
            looked = now;
            crowd.on_time(now);
            if now.duration_since(begin) > crowd.load.patience {
                break;
            }
        }
        crowd.fill(now);
        crowd.send(&socket);
    }
    crowd.score.bytes += crowd.readers.iter().flatten().map(|reader| reader.bytes).sum::<u64>();
    crowd.score.elapsed = clock.instant().duration_since(begin);
    crowd.score
}

/// Opens so many transfers and acknowledges nothing; returns how many the server has answered with
/// data. The socket stays open with its return value, so that nothing is refused meanwhile.
pub fn hold_open(load: Load) -> (Socket, usize) {
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    let socket = Socket::bind(any).expect("a port is free");
    let mut inbox = Inbox::new();
    let clock = Clock::System;
    let begin = clock.instant();
    let (transfers, at_once) = (load.transfers, load.at_once);
    let request = request(&load);
    let mut answered = vec![false; transfers];
    let mut count = 0;
    let mut asked = 0;
    while count < transfers && clock.instant().duration_since(begin) < load.patience {
        let upto = (count + at_once).min(transfers);
        let parcels: Vec<Parcel> = (asked..upto)
            .map(|number| Parcel {
                to: load.server,
                source: reader_address(number),
                range: 0..request.len(),
                segment: request.len(),
            })
            .collect();
        asked = asked.max(upto);
        socket.send(&request, &parcels);
        if !socket.wait(1000) {
            // Silence: whatever was lost is asked for again.
            asked = answered.iter().position(|answered| !answered).unwrap_or(transfers);
        }
        for index in 0..socket.receive(&mut inbox, false) {
            let (_, to, bytes) = inbox.datagram(index);
            let number = number_of(to);
            let data = matches!(bytes, [0, 3, ..]);
            if let Some(seen @ false) = answered.get_mut(number).filter(|_| data) {
                *seen = true;
                count += 1;
            }
        }
    }
    (socket, count)
}

fn number_of(address: Ipv4Addr) -> usize {
    u32::from(address).wrapping_sub(FIRST) as usize
}

/// A read request (RFC 1350 section 5, RFC 2347 section 2).
fn request(load: &Load) -> Vec<u8> {
    let mut bytes = vec![0, 1];
    let mut put = |text: &str| {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    };
    put(&load.file);
    put("octet");
    for (name, value) in [("blksize", load.block_bytes), ("windowsize", load.window_blocks)] {
        if let Some(value) = value {
            put(name);
            put(&value.to_string());
        }
    }
    bytes
}

impl Crowd {
    fn fill(&mut self, now: Instant) {
        while self.open < self.load.at_once && self.readers.len() < self.load.transfers {
            let address = reader_address(self.readers.len());
            self.readers.push(Some(Reader {
                transfer: None,
                block_bytes: 512,
                window_blocks: 1,
                got: 0,
                said: 0,
                gap_said: false,
                bytes: 0,
                heard_at: now,
            }));
            self.open += 1;
            self.ask(address);
        }
    }

    fn ask(&mut self, address: Ipv4Addr) {
        let request = request(&self.load);
        self.say(&request, self.load.server, address);
    }

    fn acknowledge(&mut self, block: u16, to: SocketAddrV4, source: Ipv4Addr) {
        let [high, low] = block.to_be_bytes();
        self.say(&[0, 4, high, low], to, source);
    }

    fn say(&mut self, packet: &[u8], to: SocketAddrV4, source: Ipv4Addr) {
        if self.dropped() {
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(packet);
        let range = start..self.bytes.len();
        self.parcels.push(Parcel { to, source, range, segment: packet.len() });
    }

    fn send(&mut self, socket: &Socket) {
        socket.send(&self.bytes, &self.parcels);
        self.parcels.clear();
        self.bytes.clear();
    }

    fn on_packet(&mut self, bytes: &[u8], from: SocketAddrV4, to: Ipv4Addr, now: Instant) {
        if self.dropped() {
            return;
        }
        let Some(place) = self.readers.get_mut(number_of(to)) else { return };
        let Some(reader) = place else { return };
        if reader.transfer.is_some_and(|transfer| transfer != from) {
            return;
        }
        match bytes {
            [0, 3, high, low, bytes @ ..] => {
                reader.transfer = Some(from);
                reader.heard_at = now;
                let block = u16::from_be_bytes([*high, *low]);
                let ended = reader.take(block, bytes.len());
                let owes = ended || reader.owes_ack(block);
                let (block, size) = (reader.got as u16, reader.bytes);
                if owes {
                    reader.said = reader.got;
                }
                if ended {
                    *place = None;
                    self.open -= 1;
                    self.score.complete += 1;
                    self.score.bytes += size;
                }
                if owes {
                    self.acknowledge(block, from, to);
                }
            }
            [0, 6, options @ ..] => {
                reader.transfer = Some(from);
                reader.heard_at = now;
                reader.agree(options);
                self.acknowledge(0, from, to);
            }
            [0, 5, ..] => {
                *place = None;
                self.open -= 1;
                self.score.refused += 1;
            }
            _ => {}
        }
    }

    /// Silent readers speak again.
    fn on_time(&mut self, now: Instant) {
        let mut again = Vec::new();
        for (number, reader) in self.readers.iter_mut().enumerate() {
            let Some(reader) = reader else { continue };
            if now.duration_since(reader.heard_at) > READER_PATIENCE {
                reader.heard_at = now;
                again.push((reader_address(number), reader.transfer, reader.got as u16));
            }
        }
        for (address, transfer, block) in again {
            match transfer {
                Some(transfer) => self.acknowledge(block, transfer, address),
                None => self.ask(address),
            }
        }
    }

    fn dropped(&mut self) -> bool {
        if self.load.loss_per_mille == 0 {
            return false;
        }
        // The generator of Numerical Recipes.
        self.chance = self.chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.chance >> 8) % 1000 < self.load.loss_per_mille
    }
}

impl Reader {
    /// Takes a block if it is the next one; true once the file has ended.
    fn take(&mut self, block: u16, length: usize) -> bool {
        let next = block == (self.got + 1) as u16;
        if next {
            self.got += 1;
            self.gap_said = false;
            self.bytes += length as u64;
        }
        next && length < self.block_bytes
    }

    /// At the end of a window, at the first sign of a gap, and for a block that came again at the
    /// end of a window (RFC 7440 section 4).
    fn owes_ack(&mut self, block: u16) -> bool {
        if block == self.got as u16 {
            return self.got - self.said >= self.window_blocks || self.got == self.said;
        }
        let gap = !self.gap_said;
        self.gap_said = true;
        gap
    }

    /// Takes over what the server agreed to (RFC 2347 section 4).
    fn agree(&mut self, options: &[u8]) {
        let mut words = options.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let Ok(value) = value.parse::<u64>() else { continue };
            match name.to_ascii_lowercase().as_str() {
                "blksize" => self.block_bytes = value as usize,
                "windowsize" => self.window_blocks = value,
                _ => {}
            }
        }
    }
}
