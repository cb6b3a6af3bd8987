//! Many readers in one thread: one socket, each reader with a loopback address of its own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use greenlight::clock::Clock;
use greenlight::config::meant::Listen;
use greenlight::proto::tftp::Output;
use greenlight::proto::tftp::packet::{Mode, Opt, Packet, Request};
use greenlight::servers::socket::tftp::Port;
use greenlight::servers::socket::tftp::batch::{Inbox, Parcel};

/// What the readers do.
#[derive(Debug, Clone)]
pub struct Load {
    pub server: SocketAddr,
    pub file: String,
    pub transfers: usize,
    pub at_once: usize,
    pub block_bytes: Option<u16>,
    pub window_blocks: Option<u16>,
    /// Of a thousand packets, so many are dropped each way.
    pub loss_per_mille: u32,
    /// No run takes longer.
    pub patience: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Score {
    pub complete: usize,
    pub refused: usize,
    pub bytes: u64,
    pub elapsed: Duration,
}

/// A reader says its last packet again after this silence.
const READER_PATIENCE: Duration = Duration::from_secs(1);

struct Reader {
    /// Where the blocks come from, once one came.
    transfer: Option<SocketAddr>,
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
    readers: HashMap<Ipv4Addr, Reader>,
    begun: usize,
    score: Score,
    out: Output,
    bytes: Vec<u8>,
    parcels: Vec<Parcel>,
    /// Of the drops.
    chance: u32,
}

/// The address of a reader: 127.1.0.1 and on.
pub fn reader_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x7F01_0001 + number as u32)
}

/// Runs the load to its end.
pub async fn run(load: Load) -> Score {
    let listen = Listen { address: "0.0.0.0:0".parse().expect("an address"), interface: None };
    let port = Port::bind_listening(&listen, 1).expect("a port is free").remove(0);
    let mut inbox = Inbox::new(1500);
    let clock = Clock::System;
    let begin = clock.instant();
    let mut crowd = Crowd {
        load,
        readers: HashMap::new(),
        begun: 0,
        score: Score::default(),
        out: Output::default(),
        bytes: Vec::new(),
        parcels: Vec::new(),
        chance: 1,
    };
    crowd.fill(begin);
    crowd.send(&port).await;
    let mut checked = begin;
    while !crowd.readers.is_empty() {
        let ready = std::future::poll_fn(|cx| port.poll_readable(cx));
        let ready = tokio::time::timeout(Duration::from_millis(100), ready).await;
        let now = clock.instant();
        if ready.is_ok() {
            let count = port.receive(&mut inbox).unwrap_or(0);
            for index in 0..count {
                if let Some((received, bytes)) = inbox.datagram(index) {
                    crowd.on_packet(bytes, received.from, received.asked.ip(), now);
                }
            }
        }
        if now.duration_since(checked) > Duration::from_millis(100) {
            checked = now;
            crowd.on_time(now);
            if now.duration_since(begin) > crowd.load.patience {
                break;
            }
        }
        crowd.fill(now);
        crowd.send(&port).await;
    }
    crowd.score.elapsed = clock.instant().duration_since(begin);
    crowd.score
}

impl Crowd {
    fn fill(&mut self, now: Instant) {
        while self.readers.len() < self.load.at_once && self.begun < self.load.transfers {
            let address = reader_address(self.begun);
            self.begun += 1;
            let reader = Reader {
                transfer: None,
                block_bytes: 512,
                window_blocks: 1,
                got: 0,
                said: 0,
                gap_said: false,
                bytes: 0,
                heard_at: now,
            };
            self.readers.insert(address, reader);
            self.ask(address);
        }
    }

    fn ask(&mut self, address: Ipv4Addr) {
        let options = [("blksize", self.load.block_bytes), ("windowsize", self.load.window_blocks)];
        let options =
            options.into_iter().filter_map(|(name, value)| Some(Opt::new(name, value?.into())));
        let request = Request {
            name: self.load.file.clone().into_bytes(),
            mode: Mode::Octet,
            options: options.collect(),
        };
        self.say(&Packet::Read(request), self.load.server, address);
    }

    fn say(&mut self, packet: &Packet<'_>, to: SocketAddr, source: Ipv4Addr) {
        if self.dropped() {
            return;
        }
        let start = self.bytes.len();
        packet.encode(&mut self.bytes);
        let range = start..self.bytes.len();
        let (segment, source) = (range.len(), IpAddr::V4(source));
        self.parcels.push(Parcel { port: 0, to, source, range, segment });
    }

    async fn send(&mut self, port: &Port) {
        let mut next = 0;
        while next < self.parcels.len() {
            match port.send(&self.bytes, &self.parcels[next..]) {
                Ok(sent) => next += sent,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    port.writable().await.expect("the socket lives");
                }
                // Nobody listens yet: the reader asks again.
                Err(_) => next += 1,
            }
        }
        self.parcels.clear();
        self.bytes.clear();
        self.out.clear();
    }

    fn on_packet(&mut self, bytes: &[u8], from: SocketAddr, to: IpAddr, now: Instant) {
        let IpAddr::V4(address) = to else { return };
        if self.dropped() {
            return;
        }
        let Some(reader) = self.readers.get_mut(&address) else { return };
        if reader.transfer.is_some_and(|transfer| transfer != from) {
            return;
        }
        match Packet::decode(bytes) {
            Ok(Packet::Data { block, bytes }) => {
                reader.transfer = Some(from);
                reader.heard_at = now;
                let ended = reader.take(block, bytes);
                let acknowledge = ended || reader.owes_ack(block);
                let (block, size) = (reader.got as u16, reader.bytes);
                if acknowledge {
                    reader.said = reader.got;
                    self.say(&Packet::Ack { block }, from, address);
                }
                if ended {
                    self.readers.remove(&address);
                    self.score.complete += 1;
                    self.score.bytes += size;
                }
            }
            Ok(Packet::OptionAck(options)) => {
                reader.transfer = Some(from);
                reader.heard_at = now;
                for option in options {
                    let Some(value) = option.number() else { continue };
                    if option.is("blksize") {
                        reader.block_bytes = value as usize;
                    } else if option.is("windowsize") {
                        reader.window_blocks = value;
                    }
                }
                self.say(&Packet::Ack { block: 0 }, from, address);
            }
            Ok(Packet::Error { .. }) => {
                self.readers.remove(&address);
                self.score.refused += 1;
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// Silent readers speak again.
    fn on_time(&mut self, now: Instant) {
        let silent = |reader: &Reader| now.duration_since(reader.heard_at) > READER_PATIENCE;
        let late = self.readers.iter_mut().filter(|(_, reader)| silent(reader));
        let mut again = Vec::new();
        for (address, reader) in late {
            reader.heard_at = now;
            again.push((*address, reader.transfer, reader.got as u16));
        }
        for (address, transfer, block) in again {
            match transfer {
                Some(transfer) => self.say(&Packet::Ack { block }, transfer, address),
                None => self.ask(address),
            }
        }
    }

    fn dropped(&mut self) -> bool {
        if self.load.loss_per_mille == 0 {
            return false;
        }
        // The generator of Numerical Recipes: the same drops in every run.
        self.chance = self.chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.chance >> 8) % 1000 < self.load.loss_per_mille
    }
}

impl Reader {
    /// Takes a block if it is the next one; true once the file has ended.
    fn take(&mut self, block: u16, bytes: &[u8]) -> bool {
        let next = block == (self.got + 1) as u16;
        if next {
            self.got += 1;
            self.gap_said = false;
            self.bytes += bytes.len() as u64;
        }
        next && bytes.len() < self.block_bytes
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
}
