//! Both ends of an upload on one fake wire, with a disk that takes its time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Output;
use super::packet::{ErrorCode, Packet, shown};
use super::timetable::{Fate, Way, limits};
use super::upload::{Digest, End, Upload, Write, announced};
use super::writer::{Offer, Outcome, Writer};
use crate::clock::Clock;

const BYTES_MAX: u64 = 2_000_000;

pub(super) fn writer() -> SocketAddr {
    "10.77.0.9:40000".parse().unwrap()
}

fn server() -> SocketAddr {
    "10.77.0.1:50001".parse().unwrap()
}

/// What happens at a moment.
enum Due {
    Packet(Way, Vec<u8>),
    /// The disk is done with a piece.
    Disk,
}

pub(super) struct Room<'a> {
    began: Instant,
    now: Instant,
    pub(super) client: Writer,
    upload: Option<Upload>,
    pub(super) digest: Option<Digest>,
    agenda: Vec<(Instant, Due)>,
    counts: [usize; 2],
    fate: Fate<'a>,
    pub(super) disk_millis: u64,
    disk_fails: bool,
    /// What the disk has.
    pub(super) file: Vec<u8>,
    pub(super) stored: bool,
    /// The file was stored when the writer heard of success.
    pub(super) honest: bool,
    log: Vec<String>,
    logging: bool,
    waiting_most: usize,
}

impl<'a> Room<'a> {
    pub(super) fn new(file: &[u8], offer: Offer, fate: Fate<'a>) -> Self {
        let now = Clock::System.instant();
        let mut out = Output::default();
        let client = Writer::start(server(), (offer, file), now, &mut out);
        let mut room = Room {
            began: now,
            now,
            client,
            upload: None,
            digest: None,
            agenda: Vec::new(),
            counts: [0, 0],
            fate,
            disk_millis: 20,
            disk_fails: false,
            file: Vec::new(),
            stored: false,
            honest: true,
            log: Vec::new(),
            logging: true,
            waiting_most: 0,
        };
        room.put(Way::Up, &out);
        room
    }

    fn put(&mut self, way: Way, out: &Output) {
        for (_, bytes) in out.datagrams() {
            let number = self.counts[way as usize];
            self.counts[way as usize] += 1;
            let delays = (self.fate)(way, number, bytes);
            if self.logging {
                let lost = if delays.is_empty() { " (lost)" } else { "" };
                let arrow = if way == Way::Up { "->" } else { "<-" };
                self.note(&format!("{arrow} {}{lost}", told(bytes)));
            }
            for delay in delays {
                let at = self.now + Duration::from_millis(delay);
                self.agenda.push((at, Due::Packet(way, bytes.to_vec())));
            }
        }
    }

    fn note(&mut self, text: &str) {
        if self.logging {
            self.log.push(format!("{} {text}", (self.now - self.began).as_millis()));
        }
    }

    fn step(&mut self) -> bool {
        let mut out = Output::default();
        let next = self.agenda.iter().enumerate().min_by_key(|(_, (at, _))| *at);
        let next = next.map(|(index, (at, _))| (*at, index));
        let upload = self.upload.as_ref().and_then(Upload::deadline);
        let client = self.client.deadline();
        let Some(due) = [next.map(|n| n.0), upload, client].into_iter().flatten().min() else {
            return false;
        };
        assert!(due >= self.now, "time goes forward only");
        self.now = due;
        match next {
            Some((at, index)) if at == due => match self.agenda.remove(index).1 {
                Due::Packet(way, bytes) => self.arrive(way, &bytes),
                Due::Disk => self.on_disk(),
            },
            Some(_) | None if upload == Some(due) => {
                self.upload.as_mut().unwrap().on_time(due, &mut out);
                self.put(Way::Down, &out);
            }
            Some(_) | None => {
                self.client.on_time(due, &mut out);
                self.put(Way::Up, &out);
            }
        }
        self.write();
        self.digest = self.upload.as_ref().and_then(Upload::digest).cloned();
        true
    }

    fn arrive(&mut self, way: Way, bytes: &[u8]) {
        let mut out = Output::default();
        match (way, Packet::decode(bytes).unwrap()) {
            (Way::Up, Packet::Write(request)) => match &mut self.upload {
                Some(upload) if !upload.has_progress() => upload.on_repeat(&mut out),
                Some(_) => {}
                None => {
                    assert!(announced(&request).is_none_or(|bytes| bytes <= BYTES_MAX));
                    let asked = (writer(), &request);
                    let upload = Upload::start(asked, BYTES_MAX, &limits(), self.now, &mut out);
                    self.upload = Some(upload);
                }
            },
            (Way::Up, _) => {
                if let Some(upload) = &mut self.upload {
                    upload.on_packet(bytes, writer(), self.now, &mut out);
                }
            }
            (Way::Down, _) => {
                self.client.on_packet(bytes, server(), self.now, &mut out);
                if self.client.outcome() == Some(&Outcome::Complete) {
                    self.honest &= self.stored;
                }
                return self.put(Way::Up, &out);
            }
        }
        self.put(Way::Down, &out);
    }

    fn write(&mut self) {
        let Some(write) = self.upload.as_mut().and_then(Upload::next_write) else { return };
        let (piece, last) = match write {
            Write::Append(piece) => (piece, false),
            Write::Finish(piece) => (piece, true),
        };
        self.waiting_most = self.waiting_most.max(piece.len());
        self.file.extend_from_slice(&piece);
        self.stored = last;
        self.note(if last { "disk finishes" } else { "disk writes" });
        self.agenda.push((self.now + Duration::from_millis(self.disk_millis), Due::Disk));
    }

    fn on_disk(&mut self) {
        let mut out = Output::default();
        let Some(upload) = &mut self.upload else { return };
        if self.disk_fails {
            self.stored = false;
            upload.on_refused(ErrorCode::DiskFull, "the disk is full", &mut out);
        } else {
            upload.on_written(self.now, &mut out);
        }
        self.put(Way::Down, &out);
    }

    pub(super) fn run(&mut self) {
        for _ in 0..2_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the two ends never come to rest");
    }

    fn end(&self) -> End {
        self.digest.clone().expect("the upload has ended").end
    }
}

fn told(bytes: &[u8]) -> String {
    match Packet::decode(bytes).unwrap() {
        Packet::Write(request) => {
            let word = |o: &super::packet::Opt| format!(" {}={}", shown(&o.name), shown(&o.value));
            let options: String = request.options.iter().map(word).collect();
            format!("WRQ {}{options}", request.name_shown())
        }
        Packet::Data { block, bytes } => format!("DATA {block} ({})", bytes.len()),
        Packet::Ack { block } => format!("ACK {block}"),
        Packet::Error { code, text } => format!("ERROR {} {}", code.number(), shown(&text)),
        Packet::OptionAck(options) => {
            let word = |o: &super::packet::Opt| format!(" {}={}", shown(&o.name), shown(&o.value));
            format!("OACK{}", options.iter().map(word).collect::<String>())
        }
        Packet::Read(_) | Packet::Other { .. } => panic!("nobody sends this"),
    }
}

/// Every packet takes 5 ms and the disk 20 ms, but those named (way, number from 0) are lost.
fn check(file: &[u8], offer: Offer, lost: &[(Way, usize)], timetable: &str) -> Digest {
    let mut fate = |way, n, _: &[u8]| if lost.contains(&(way, n)) { vec![] } else { vec![5] };
    let mut room = Room::new(file, offer, &mut fate);
    room.run();
    let expected: Vec<&str> = timetable.trim().lines().map(str::trim).collect();
    assert_eq!(room.log, expected, "\n{}", room.log.join("\n"));
    if room.client.outcome() == Some(&Outcome::Complete) {
        assert!(room.honest && room.stored);
        assert!(room.file == file);
    }
    room.digest.clone().expect("the upload has ended")
}

pub(super) fn windowed(block_bytes: u16, window_blocks: u16) -> Offer {
    Offer {
        block_bytes: Some(block_bytes),
        window_blocks: Some(window_blocks),
        ..Offer::plain("sw1-confg")
    }
}

#[test]
fn the_last_block_is_acknowledged_when_the_disk_has_the_file() {
    let digest = check(
        &[7; 600],
        Offer::plain("sw1-confg"),
        &[],
        "0 -> WRQ sw1-confg
         5 <- ACK 0
         10 -> DATA 1 (512)
         15 <- ACK 1
         20 -> DATA 2 (88)
         25 disk finishes
         45 <- ACK 2",
    );
    assert_eq!((digest.bytes, digest.blocks, digest.end), (600, 2, End::Stored));
}

#[test]
fn an_empty_file_and_one_of_exactly_one_block_are_whole() {
    let digest = check(
        &[],
        Offer { tsize: true, ..Offer::plain("f") },
        &[],
        "0 -> WRQ f tsize=0
         5 <- OACK tsize=0
         10 -> DATA 1 (0)
         15 disk finishes
         35 <- ACK 1",
    );
    assert_eq!((digest.bytes, digest.end), (0, End::Stored));
    let digest = check(
        &[7; 512],
        Offer::plain("f"),
        &[],
        "0 -> WRQ f
         5 <- ACK 0
         10 -> DATA 1 (512)
         15 <- ACK 1
         20 -> DATA 2 (0)
         25 disk finishes
         45 <- ACK 2",
    );
    assert_eq!((digest.bytes, digest.repeats), (512, 0));
}

#[test]
fn a_lost_last_ack_is_said_again() {
    let digest = check(
        &[7; 10],
        Offer::plain("f"),
        &[(Way::Down, 1)],
        "0 -> WRQ f
         5 <- ACK 0
         10 -> DATA 1 (10)
         15 disk finishes
         35 <- ACK 1 (lost)
         5010 -> DATA 1 (10)
         5015 <- ACK 1",
    );
    assert_eq!((digest.repeats, digest.end), (1, End::Stored));
}

#[test]
fn a_window_is_acknowledged_at_its_end_and_a_gap_at_once() {
    check(
        &[7; 8 * 5],
        windowed(8, 4),
        &[(Way::Up, 3)],
        "0 -> WRQ sw1-confg blksize=8 windowsize=4
         5 <- OACK blksize=8 windowsize=4
         10 -> DATA 1 (8)
         10 -> DATA 2 (8)
         10 -> DATA 3 (8) (lost)
         10 -> DATA 4 (8)
         15 <- ACK 2
         20 -> DATA 3 (8)
         20 -> DATA 4 (8)
         20 -> DATA 5 (8)
         20 -> DATA 6 (0)
         25 disk finishes
         45 <- ACK 6",
    );
}

#[test]
fn a_doubled_ack_doubles_nothing_after_it() {
    // Every packet towards the writer comes twice: the writer sends each block once all the same.
    let mut fate = |way, _, _: &[u8]| if way == Way::Down { vec![5, 9] } else { vec![5] };
    let mut room = Room::new(&[7; 512 * 20], Offer::plain("f"), &mut fate);
    room.run();
    let blocks = room.log.iter().filter(|line| line.contains("DATA")).count();
    assert_eq!(blocks, 21, "{}", room.log.join("\n"));
    // And with doubled blocks each is acknowledged twice, not four times.
    let mut fate = |way, _, _: &[u8]| if way == Way::Up { vec![5, 9] } else { vec![5] };
    let mut room = Room::new(&[7; 512 * 20], Offer::plain("f"), &mut fate);
    room.run();
    let acks = room.log.iter().filter(|line| line.contains("ACK")).count();
    assert!((21..=44).contains(&acks), "{acks}\n{}", room.log.join("\n"));
    assert_eq!(room.end(), End::Stored);
}

#[test]
fn a_silent_writer_is_given_up() {
    let digest = check(
        &[7; 600],
        Offer { retries_max: 0, ..Offer::plain("f") },
        &[(Way::Down, 1), (Way::Down, 2), (Way::Down, 3), (Way::Down, 4), (Way::Down, 5)],
        "0 -> WRQ f
         5 <- ACK 0
         10 -> DATA 1 (512)
         15 <- ACK 1 (lost)
         2015 <- ACK 1 (lost)
         4015 <- ACK 1 (lost)
         6015 <- ACK 1 (lost)
         8015 <- ACK 1 (lost)
         10015 <- ERROR 0 the writer was silent through 5 waits",
    );
    assert_eq!((digest.bytes, digest.end), (512, End::Silent { waits: 5 }));
}

#[test]
fn a_disk_that_refuses_is_no_success() {
    let mut fate = |_, _, _: &[u8]| vec![5];
    let mut room = Room::new(&[7; 600], Offer::plain("f"), &mut fate);
    room.disk_fails = true;
    room.run();
    let text = "the disk is full".to_owned();
    let refused = Outcome::Refused { code: ErrorCode::DiskFull, text };
    assert_eq!(room.client.outcome(), Some(&refused));
    assert_eq!(room.end(), End::NotStored { why: "the disk is full".into() });
}

#[test]
fn more_than_the_bound_is_refused_while_it_comes_in() {
    let mut fate = |_, _, _: &[u8]| vec![1];
    let file = vec![7; 2_000_001];
    let mut room = Room::new(&file, windowed(1428, 8), &mut fate);
    room.logging = false;
    room.run();
    let text = "more than 2000000 bytes are not taken".to_owned();
    let refused = Outcome::Refused { code: ErrorCode::DiskFull, text };
    assert_eq!(room.client.outcome(), Some(&refused));
    assert!(!room.stored);
}

#[test]
fn a_slow_disk_holds_the_writer_back_and_memory_stays_bounded() {
    let mut fate = |_, _, _: &[u8]| vec![1];
    let file: Vec<u8> = (0..1_900_000u32).map(|i| (i % 251) as u8).collect();
    let mut room = Room::new(&file, windowed(1428, 16), &mut fate);
    room.disk_millis = 900;
    room.logging = false;
    room.run();
    assert_eq!(room.client.outcome(), Some(&Outcome::Complete));
    assert!(room.file == file);
    let most = super::upload::WAITING_BYTES_MAX + 16 * 1428;
    assert!(room.waiting_most <= most, "{}", room.waiting_most);
}

#[test]
fn block_numbers_roll_over_to_zero() {
    let file: Vec<u8> = (0..8 * 70_000u32 + 3).map(|i| (i / 8 % 251) as u8).collect();
    for window in [1, 16] {
        let mut fate = |_, n: usize, _: &[u8]| if n % 9973 == 9972 { vec![] } else { vec![1] };
        let mut room = Room::new(&file, windowed(8, window), &mut fate);
        room.logging = false;
        room.run();
        assert_eq!(room.end(), End::Stored, "window {window}");
        assert_eq!(room.digest.as_ref().unwrap().blocks, 70_001);
        assert!(room.file == file, "window {window}");
    }
}

#[test]
fn a_stranger_leaves_the_upload_alone() {
    let now = Clock::System.instant();
    let mut out = Output::default();
    let request = Offer::plain("f").request(0);
    let mut upload = Upload::start((writer(), &request), 100, &limits(), now, &mut out);
    let stranger: SocketAddr = "10.77.0.66:40000".parse().unwrap();
    out.clear();
    upload.on_packet(b"\0\x03\0\x01evil", stranger, now, &mut out);
    let told: Vec<_> = out.datagrams().map(|(to, bytes)| (to, bytes[3])).collect();
    assert_eq!(told, [(stranger, 5)]);
    out.clear();
    upload.on_packet(b"\0\x05\0\0\0", stranger, now, &mut out);
    assert!(out.is_empty() && upload.digest().is_none() && !upload.has_progress());
}
