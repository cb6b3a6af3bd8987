//! Both ends on one fake wire: at this millisecond this packet leaves, or silence is asserted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Output;
use super::content::{PIECE_BYTES, Source};
use super::download::{Download, Outcome, Stop, Wish};
use super::negotiate::Limits;
use super::packet::{Mode, Packet, Request, shown};
use super::transfer::{Digest, End, Transfer};
use crate::clock::Clock;

mod download;

pub(super) fn reader() -> SocketAddr {
    "10.77.0.9:40000".parse().unwrap()
}

fn listener() -> SocketAddr {
    "10.77.0.1:69".parse().unwrap()
}

/// The port of the first transfer; the next one has the next.
const FIRST_PORT: u16 = 50_001;

pub(super) fn limits() -> Limits {
    Limits {
        block_bytes_max: 65464,
        window_blocks_max: 64,
        timeout: Duration::from_secs(2),
        // The wait stays the same, so that the tables can be read.
        timeout_min: Duration::from_secs(2),
        timeout_max: Duration::from_secs(10),
        retries_max: 4,
        total_max: Duration::from_secs(3600),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Up,
    Down,
}

/// The delays after which copies of a packet arrive; none: it is lost.
pub(super) type Fate<'a> = &'a mut dyn FnMut(Way, usize, &[u8]) -> Vec<u64>;

/// Two ends, one wire, one clock that only goes forward.
pub(super) struct Room<'a> {
    began: Instant,
    now: Instant,
    content: Arc<[u8]>,
    server: Option<Transfer>,
    server_port: u16,
    pub(super) digest: Option<Digest>,
    pub(super) client: Download,
    /// When, which way, at or from which port of the server.
    wire: Vec<(Instant, Way, u16, Vec<u8>)>,
    counts: [usize; 2],
    /// The file lies on a disk that takes so many milliseconds for a piece.
    pub(super) disk_millis: Option<u64>,
    piece_due: Option<(Instant, u64)>,
    fate: Fate<'a>,
    log: Vec<String>,
    pub(super) logging: bool,
}

impl<'a> Room<'a> {
    pub(super) fn new(content: &[u8], wish: Wish, fate: Fate<'a>) -> Self {
        let now = Clock::System.instant();
        let mut out = Output::default();
        let client = Download::start(listener(), wish, now, &mut out);
        let mut room = Room {
            began: now,
            now,
            content: content.into(),
            server: None,
            server_port: FIRST_PORT,
            digest: None,
            client,
            wire: Vec::new(),
            counts: [0, 0],
            disk_millis: None,
            piece_due: None,
            fate,
            log: Vec::new(),
            logging: true,
        };
        room.put(Way::Up, &out);
        room
    }

    fn put(&mut self, way: Way, out: &Output) {
        for (to, bytes) in out.datagrams() {
            let port = if way == Way::Up { to.port() } else { self.server_port };
            let number = self.counts[way as usize];
            self.counts[way as usize] += 1;
            let delays = (self.fate)(way, number, bytes);
            if self.logging {
                let lost = if delays.is_empty() { " (lost)" } else { "" };
                let arrow = if way == Way::Up { "->" } else { "<-" };
                let at = (self.now - self.began).as_millis();
                self.log.push(format!("{at:>5} {arrow} {}{lost}", told(bytes)));
            }
            for delay in delays {
                let at = self.now + Duration::from_millis(delay);
                self.wire.push((at, way, port, bytes.to_vec()));
            }
        }
    }

    /// The next packet or deadline. False once nothing is left to happen.
    fn step(&mut self) -> bool {
        let mut out = Output::default();
        let packet = self.wire.iter().enumerate().min_by_key(|(_, p)| p.0).map(|(i, p)| (p.0, i));
        let server = self.server.as_ref().and_then(Transfer::deadline);
        let client = self.client.deadline();
        let piece = self.piece_due.map(|(at, _)| at);
        let due = [packet.map(|p| p.0), server, client, piece].into_iter().flatten().min();
        let Some(due) = due else { return false };
        assert!(due >= self.now, "time goes forward only");
        self.now = due;
        match packet {
            Some((at, index)) if at == due => {
                let (_, way, port, bytes) = self.wire.remove(index);
                self.arrive(way, port, &bytes);
            }
            Some(_) | None if piece == Some(due) => self.bring_piece(),
            Some(_) | None if server == Some(due) => {
                self.server.as_mut().unwrap().on_time(due, &mut out);
                self.put(Way::Down, &out);
            }
            Some(_) | None => {
                self.client.on_time(due, &mut out);
                self.put(Way::Up, &out);
            }
        }
        if let (Some(millis), Some(server)) = (self.disk_millis, &mut self.server)
            && let Some(index) = server.next_piece()
        {
            self.piece_due = Some((self.now + Duration::from_millis(millis), index));
        }
        self.digest =
            self.server.as_ref().and_then(Transfer::digest).cloned().or(self.digest.take());
        true
    }

    fn bring_piece(&mut self) {
        let mut out = Output::default();
        let (Some((_, index)), Some(server)) = (self.piece_due.take(), &mut self.server) else {
            return;
        };
        let start = index as usize * PIECE_BYTES;
        let end = self.content.len().min(start + PIECE_BYTES);
        let piece = Arc::new(self.content[start..end].to_vec());
        server.on_piece(index, Some(piece), self.now, &mut out);
        self.put(Way::Down, &out);
    }

    fn arrive(&mut self, way: Way, port: u16, bytes: &[u8]) {
        let mut out = Output::default();
        match (way, Packet::decode(bytes).unwrap()) {
            (Way::Up, Packet::Read(request)) => {
                match &mut self.server {
                    Some(server) if server.options_ignored() => {
                        self.server_port += 1;
                        self.start(&request.without_options(), &mut out);
                    }
                    Some(server) if !server.has_progress() => server.on_repeat(self.now, &mut out),
                    Some(_) => {}
                    None => self.start(&request, &mut out),
                }
                self.put(Way::Down, &out);
            }
            (Way::Up, _) if port != self.server_port => {}
            (Way::Up, _) => {
                let server = self.server.as_mut().unwrap();
                server.on_packet(bytes, reader(), self.now, &mut out);
                self.put(Way::Down, &out);
            }
            (Way::Down, _) => {
                let from = SocketAddr::new(listener().ip(), port);
                self.client.on_packet(bytes, from, self.now, &mut out);
                self.put(Way::Up, &out);
            }
        }
    }

    fn start(&mut self, request: &Request, out: &mut Output) {
        let source = match self.disk_millis {
            Some(_) => Source::Pieces { bytes: self.content.len() as u64 },
            None => Source::Whole(self.content.clone()),
        };
        self.piece_due = None;
        let asked = (reader(), request);
        self.server = Some(Transfer::start(asked, source, &limits(), self.now, out));
    }

    pub(super) fn run(&mut self) {
        for _ in 0..2_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the two ends never come to rest");
    }

    pub(super) fn end(&self) -> End {
        self.digest.clone().expect("the transfer has ended").end
    }

    pub(super) fn millis(&self) -> u128 {
        (self.now - self.began).as_millis()
    }
}

fn told(bytes: &[u8]) -> String {
    let words = |options: &[super::packet::Opt]| {
        let word = |o: &super::packet::Opt| format!(" {}={}", shown(&o.name), shown(&o.value));
        options.iter().map(word).collect::<String>()
    };
    match Packet::decode(bytes).unwrap() {
        Packet::Read(r) => format!("RRQ {}{}", r.name_shown(), words(&r.options)),
        Packet::Write(_) => "WRQ".into(),
        Packet::Data { block, bytes } => format!("DATA {block} ({})", bytes.len()),
        Packet::Ack { block } => format!("ACK {block}"),
        Packet::Error { code, text } => format!("ERROR {} {}", code.number(), shown(&text)),
        Packet::OptionAck(options) => format!("OACK{}", words(&options)),
        Packet::Other { opcode, .. } => format!("opcode {opcode}"),
    }
}

pub(super) fn windowed(block_bytes: u16, window_blocks: u16) -> Wish {
    Wish {
        block_bytes: Some(block_bytes),
        window_blocks: Some(window_blocks),
        patience: Duration::from_secs(5),
        ..Wish::plain("network-confg")
    }
}

/// Every packet takes 5 ms, but those named (way, number from 0) are lost.
fn check(content: &[u8], wish: Wish, lost: &[(Way, usize)], timetable: &str) -> Digest {
    let mut fate = |way, n, _: &[u8]| if lost.contains(&(way, n)) { vec![] } else { vec![5] };
    let mut room = Room::new(content, wish, &mut fate);
    room.run();
    let told: Vec<&str> = room.log.iter().map(|line| line.trim_start()).collect();
    let expected: Vec<&str> = timetable.trim().lines().map(str::trim).collect();
    assert_eq!(told, expected, "\n{}", room.log.join("\n"));
    let digest = room.digest.clone().expect("the transfer has ended");
    if digest.end == End::Complete {
        assert_eq!(room.client.outcome(), Some(&Outcome::Complete));
        assert_eq!(room.client.into_bytes(), content);
    }
    digest
}
