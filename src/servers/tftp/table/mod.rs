//! All transfers of the server, by who asks and by where its packets arrive. Bounded; no socket is
//! here.

use std::collections::{BTreeSet, HashMap};
use std::hash::RandomState;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::proto::tftp::Output;
use crate::proto::tftp::negotiate::Limits;
use crate::proto::tftp::packet::{ErrorCode, Mode, Packet, Request};
use crate::proto::tftp::transfer::{End, Transfer, tell_stranger};
use crate::proto::tftp::upload::{self, Write};
use crate::servers::files::{Content, Report, Served};
use crate::servers::images::{Image, Reading};
use crate::servers::tftp::area::Part;
use crate::service::serving::{Ask, Refusal, Uploaded};
use keys::ByNumber;
use uploads::Taking;
use waiting::Waiting;

mod begin;
mod images;
mod keys;
mod uploads;
mod waiting;

/// For the answer of the service. Devices ask again after a few seconds, for a minute or two.
pub const ARTIFACT_PATIENCE: Duration = Duration::from_secs(30);

/// One host may hold this part of the table, and [`HOST_TRANSFERS_MIN`] in any case: behind a NAT
/// a whole site is one host.
const HOST_SHARE: usize = 4;
const HOST_TRANSFERS_MIN: usize = 16;

/// What the table may grow to.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Of all workers together.
    pub transfers_max: usize,
    /// Transfers that all workers hold now.
    pub held: Arc<AtomicUsize>,
    pub workers: usize,
    /// Transfers stay on the listening port, so that a peer has one at most.
    pub single_port: bool,
    /// `None`: no upload is taken.
    pub upload_bytes_max: Option<u64>,
    pub limits: Limits,
}

/// Where a datagram arrived: the port by its number in the driver, and its two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    pub port: usize,
    pub from: SocketAddr,
    pub asked: SocketAddr,
}

/// Where answers leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub port: usize,
    pub source: IpAddr,
}

/// What calls leave to be done.
#[derive(Debug, Default)]
pub struct Todo {
    /// What a call adds is to be sent from the origin that it returns.
    pub out: Output,
    /// To be asked of the service; the answer goes to [`Table::on_answer`] with this id.
    pub asks: Vec<(u64, Ask)>,
    pub reports: Vec<Report>,
    /// Pieces of images to be read; the answer goes to [`Table::on_fetched`].
    pub fetches: Vec<Fetch>,
    /// Uploads to be asked about; the answer goes to [`Table::on_granted`] with this id.
    pub offers: Vec<(u64, Ask)>,
    /// For the disk; the answer goes to [`Table::on_written`].
    pub jobs: Vec<Job>,
    pub uploads: Vec<Uploaded>,
}

/// A piece of an image to be read.
#[derive(Debug)]
pub struct Fetch {
    pub id: u64,
    pub index: u64,
    pub image: Arc<Image>,
}

/// A piece of an upload for the disk.
#[derive(Debug)]
pub struct Job {
    pub id: u64,
    pub part: Box<Part>,
    pub write: Write,
    /// For the last piece: what is to be reported once it is known how it went.
    pub report: Option<Uploaded>,
}

#[derive(Debug)]
pub struct Table {
    bounds: Bounds,
    /// Boxed, so that the empty places of the map are small.
    slots: ByNumber<Box<Slot>>,
    /// The newest transfer by peer and the address it asked: by a hash of both, which nobody
    /// outside can aim at. The slot says whether it is meant.
    by_request: ByNumber<u64>,
    /// By a hash of its port and its peer.
    by_transfer: ByNumber<u64>,
    by_host: HashMap<IpAddr, u32>,
    waiting: Waiting,
    /// One entry for each slot, never later than its deadline: it moves when it is due, not with
    /// every ACK.
    wakes: BTreeSet<(Instant, u64)>,
    next_id: u64,
    /// The ports of ended transfers, by a hash of their peer: another one of the same peer gets
    /// another port, so that late packets of the first cannot be taken for the second's.
    left: Vec<Option<(SocketAddr, usize)>>,
    hasher: RandomState,
}

/// Ended transfers that are remembered: about a second of them under full load. 40 bytes each.
const LEFT: usize = 1024;

/// Which way the file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    ToReader,
    FromWriter,
}

#[derive(Debug)]
struct Slot {
    peer: SocketAddr,
    asked: SocketAddr,
    /// Of the request: the same request again has the same.
    hash: u64,
    /// As asked for; hostile.
    name: Box<[u8]>,
    /// The port that the transfer has.
    port: usize,
    /// The transfer that the same peer was in when it asked anew. Whichever goes on, the other is
    /// dropped: a late copy of the first request must not end a transfer, and a rebooted device
    /// must get its file.
    rival: Option<u64>,
    /// Its entry in [`Table::wakes`].
    wake: Instant,
    state: State,
}

/// One transfer, and what is sent in it.
#[derive(Debug)]
struct Running {
    transfer: Transfer,
    device: Box<str>,
    sha256: Box<str>,
    reading: Option<Arc<Reading>>,
    /// It is no configuration.
    image: bool,
}

/// A transfer about to begin.
struct Beginning {
    way: Way,
    /// Without its options if the reader knows no OACK.
    request: Request,
    /// Of the request as it came.
    hash: u64,
    arrival: Arrival,
    port: usize,
    rival: Option<u64>,
}

#[derive(Debug)]
enum State {
    Pending { request: Box<Request>, repeats: u32, deadline: Instant },
    Running(Box<Running>),
    Taking(Box<Taking>),
}

impl Table {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            slots: ByNumber::default(),
            by_request: ByNumber::default(),
            by_transfer: ByNumber::default(),
            by_host: HashMap::new(),
            waiting: Waiting::default(),
            wakes: BTreeSet::new(),
            next_id: 0,
            left: vec![None; LEFT],
            hasher: RandomState::new(),
        }
    }

    /// A datagram on a listening port. If a transfer begins it gets one of `ports`.
    pub fn on_request(
        &mut self,
        bytes: &[u8],
        (arrival, ports): (Arrival, Range<usize>),
        now: Instant,
        todo: &mut Todo,
    ) -> Origin {
        let port = self.free_port(ports, arrival.from).unwrap_or(arrival.port);
        let place = (arrival, port);
        let answered = match Packet::decode(bytes) {
            Ok(Packet::Read(request)) => self.on_ask((Way::ToReader, request), place, now, todo),
            Ok(Packet::Write(_)) if self.bounds.upload_bytes_max.is_none() => {
                Err((ErrorCode::AccessViolation, "uploads are not taken here"))
            }
            Ok(Packet::Write(request)) => self.on_ask((Way::FromWriter, request), place, now, todo),
            Ok(
                Packet::Data { .. }
                | Packet::Ack { .. }
                | Packet::Error { .. }
                | Packet::OptionAck(_)
                | Packet::Other { .. },
            ) => Ok(port),
            Err(malformed) => {
                tracing::debug!(peer = %arrival.from, %malformed, "tftp request not understood");
                let asks = matches!(bytes, [0, 1 | 2, ..]);
                let refused = (ErrorCode::IllegalOperation, "the request is not understood");
                if asks { Err(refused) } else { Ok(port) }
            }
        };
        let port = answered.unwrap_or_else(|(code, text)| {
            todo.out.datagram(arrival.from, |bytes| Packet::error(code, text).encode(bytes));
            port
        });
        Origin { port, source: arrival.asked.ip() }
    }

    /// A datagram on a transfer port.
    pub fn on_packet(
        &mut self,
        bytes: &[u8],
        arrival: Arrival,
        now: Instant,
        todo: &mut Todo,
    ) -> Origin {
        let Arrival { port, from, asked } = arrival;
        let origin = Origin { port, source: asked.ip() };
        let found = self.by_transfer.get(&self.transfer_key(port, from)).copied();
        let found = found.and_then(|id| Some((id, self.slots.get_mut(&id)?)));
        let found = found.filter(|(_, slot)| slot.peer == from && slot.port == port);
        let Some((id, slot)) = found else {
            // RFC 1350 section 4, for those who believe to be in a transfer.
            if matches!(Packet::decode(bytes), Ok(Packet::Ack { .. } | Packet::Data { .. })) {
                tell_stranger(from, &mut todo.out);
            }
            return origin;
        };
        let transfer = match &mut slot.state {
            State::Pending { .. } => return origin,
            State::Taking(taking) => {
                let source = slot.asked.ip();
                taking.upload.on_packet(bytes, from, now, &mut todo.out);
                self.settle(id, todo);
                return Origin { port, source };
            }
            State::Running(running) => &mut running.transfer,
        };
        let before = transfer.progress();
        transfer.on_packet(bytes, from, now, &mut todo.out);
        let went_on = transfer.progress() != before;
        let source = slot.asked.ip();
        // Refused by a reader that is in the transfer of its first request.
        let unwanted = transfer.digest().is_some_and(|digest| digest.blocks == 0);
        if unwanted && let Some(other) = slot.rival.filter(|other| self.slots.contains_key(other)) {
            self.drop_rival(other, id, todo);
            return Origin { port, source };
        }
        let Some(slot) = self.slots.get_mut(&id) else { return origin };
        if went_on && let Some(rival) = slot.rival.take() {
            self.drop_rival(id, rival, todo);
        }
        self.settle(id, todo);
        Origin { port, source }
    }

    /// The service's answer for a transfer. `None` if nobody waits for it any more.
    pub fn on_answer(
        &mut self,
        id: u64,
        answer: Result<Served, Refusal>,
        now: Instant,
        todo: &mut Todo,
    ) -> Option<Origin> {
        let slot = self.slots.get_mut(&id)?;
        let State::Pending { repeats, request, .. } = &slot.state else { return None };
        let repeats = *repeats;
        let origin = Origin { port: slot.port, source: slot.asked.ip() };
        match answer {
            Ok(Served { content: Content::Image(_), .. }) if request.mode == Mode::Netascii => {
                let why = "an image goes in mode octet only";
                self.refuse(id, (ErrorCode::IllegalOperation, why), todo);
            }
            Ok(served) => {
                let (asked, limits) = ((slot.peer, &**request), &self.bounds.limits);
                let mut running = Running::start(asked, served, limits, now, &mut todo.out);
                running.transfer.count_repeats(repeats);
                let wake = running.transfer.deadline().unwrap_or(now);
                slot.state = State::Running(Box::new(running));
                self.wake_at(id, wake);
                self.settle(id, todo);
            }
            Err(refusal) => {
                let (code, why) = code_and_text(refusal);
                self.refuse(id, (code, &why), todo);
            }
        }
        Some(origin)
    }

    fn wake_at(&mut self, id: u64, wake: Instant) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        self.wakes.remove(&(slot.wake, id));
        slot.wake = wake;
        self.wakes.insert((wake, id));
    }

    /// Tells the peer why there is no transfer.
    fn refuse(&mut self, id: u64, (code, why): (ErrorCode, &str), todo: &mut Todo) {
        let Some(slot) = self.slots.get(&id) else { return };
        todo.out.datagram(slot.peer, |bytes| Packet::error(code, why).encode(bytes));
        self.remove(id);
    }

    /// The earliest moment at which [`Self::on_time`] may have something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Lets one transfer that is due go on. `None` once none is due any more.
    pub fn on_time(&mut self, now: Instant, todo: &mut Todo) -> Option<Origin> {
        let before = todo.out.len();
        loop {
            let (at, id) = *self.wakes.first()?;
            if at > now {
                return None;
            }
            self.wakes.pop_first();
            let Some(slot) = self.slots.get_mut(&id) else { continue };
            let origin = Origin { port: slot.port, source: slot.asked.ip() };
            let wake = match &mut slot.state {
                State::Pending { deadline, .. } if *deadline <= now => {
                    let why = "no answer in time, ask again";
                    self.refuse(id, (ErrorCode::Undefined, why), todo);
                    return Some(origin);
                }
                State::Pending { deadline, .. } => Some(*deadline),
                State::Running(running) => {
                    running.transfer.on_time(now, &mut todo.out);
                    running.transfer.deadline()
                }
                State::Taking(taking) => {
                    taking.upload.on_time(now, &mut todo.out);
                    taking.upload.deadline()
                }
            };
            if let Some(wake) = wake {
                slot.wake = wake;
                self.wakes.insert((wake, id));
            }
            self.settle(id, todo);
            if todo.out.len() > before {
                return Some(origin);
            }
        }
    }

    /// Ends one transfer because the server ends. `None` once the table is empty.
    pub fn stop_one(&mut self, todo: &mut Todo) -> Option<Origin> {
        let (id, slot) = self.slots.iter_mut().next()?;
        let id = *id;
        let origin = Origin { port: slot.port, source: slot.asked.ip() };
        match &mut slot.state {
            State::Pending { .. } => {
                let text = End::Stopped.to_string();
                self.refuse(id, (ErrorCode::Undefined, &text), todo);
            }
            State::Taking(taking) => {
                taking.upload.stop(upload::End::Stopped, &mut todo.out);
                self.settle(id, todo);
            }
            State::Running(running) => {
                running.transfer.stop(End::Stopped, &mut todo.out);
                self.settle(id, todo);
            }
        }
        Some(origin)
    }

    /// The peer wants something else now: the old transfer is over.
    fn ask_anew(&mut self, id: u64, todo: &mut Todo) {
        self.end_silently(id, End::AskedAnew, todo);
    }

    fn end_silently(&mut self, id: u64, end: End, todo: &mut Todo) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        match &mut slot.state {
            State::Pending { .. } => return self.remove(id),
            State::Running(running) => running.transfer.forget(end),
            State::Taking(taking) => taking.upload.forget(),
        }
        self.settle(id, todo);
    }

    /// `winner` went on, so its peer is there and not in `rival`.
    fn drop_rival(&mut self, winner: u64, rival: u64, todo: &mut Todo) {
        let Some(slot) = self.slots.get_mut(&rival) else { return };
        slot.rival = None;
        let (peer, asked) = (slot.peer, slot.asked);
        let began = match &slot.state {
            State::Pending { .. } | State::Taking(_) => false,
            State::Running(running) => {
                running.transfer.digest().is_none() && running.transfer.has_progress()
            }
        };
        if began {
            self.ask_anew(rival, todo);
            return;
        }
        // It was a late copy of the winner's request.
        self.remove(rival);
        self.by_request.insert(self.request_key(peer, asked), winner);
        if let Some(slot) = self.slots.get_mut(&winner)
            && let State::Running(running) = &mut slot.state
        {
            running.transfer.count_repeats(1);
        }
    }

    /// Takes a transfer out if it has ended, and reports it.
    fn settle(&mut self, id: u64, todo: &mut Todo) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        match &mut slot.state {
            State::Pending { .. } => {}
            State::Running(running) => {
                todo.fetches.extend(running.next_fetch(id));
                let Some(digest) = running.transfer.digest() else { return };
                todo.reports.push(running.report((slot.peer, &slot.name), digest));
                self.remove(id);
            }
            State::Taking(taking) => {
                todo.jobs.extend(taking.next_job(id));
                let Some(digest) = taking.upload.digest() else { return };
                todo.uploads.extend(taking.report(digest));
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: u64) {
        let Some(slot) = self.slots.remove(&id) else { return };
        self.bounds.held.fetch_sub(1, Ordering::Relaxed);
        let place = self.place(slot.peer);
        self.left[place] = Some((slot.peer, slot.port));
        self.wakes.remove(&(slot.wake, id));
        self.by_transfer.remove(&self.transfer_key(slot.port, slot.peer));
        let request = self.request_key(slot.peer, slot.asked);
        if self.by_request.get(&request) == Some(&id) {
            self.by_request.remove(&request);
        }
        let host = slot.peer.ip();
        if let Some(count) = self.by_host.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                self.by_host.remove(&host);
            }
        }
    }
}

fn code_and_text(refusal: Refusal) -> (ErrorCode, String) {
    match refusal {
        Refusal::NotFound { why } => (ErrorCode::NotFound, why),
        Refusal::Forbidden { why } => (ErrorCode::AccessViolation, why),
        Refusal::Unavailable { why } => (ErrorCode::Undefined, why),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;
    use crate::proto::tftp::download::Wish;
    use crate::service::serving::{Artifact, Transferred};

    const PORTS: usize = 8;

    struct Room {
        table: Table,
        now: Instant,
        reports: Vec<Transferred>,
        asks: Vec<u64>,
    }

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::new("10.77.0.9".parse().unwrap(), port)
    }

    fn listener() -> SocketAddr {
        "10.77.0.1:69".parse().unwrap()
    }

    impl Room {
        fn new(transfers_max: usize) -> Self {
            let limits = Limits {
                block_bytes_max: 1428,
                window_blocks_max: 16,
                timeout: Duration::from_secs(2),
                timeout_min: Duration::from_secs(2),
                timeout_max: Duration::from_secs(10),
                retries_max: 3,
                total_max: Duration::from_secs(600),
            };
            let bounds = Bounds {
                transfers_max,
                held: Arc::default(),
                workers: 1,
                single_port: false,
                upload_bytes_max: None,
                limits,
            };
            let table = Table::new(bounds);
            let now = Clock::System.instant();
            Room { table, now, reports: Vec::new(), asks: Vec::new() }
        }

        fn take(&mut self, todo: Todo) -> Vec<String> {
            self.asks.extend(todo.asks.iter().map(|(id, _)| *id));
            self.reports.extend(todo.reports.iter().map(|report| report.end.clone()));
            let told = |(to, bytes): (SocketAddr, &[u8])| match Packet::decode(bytes).unwrap() {
                Packet::Data { block, .. } => format!("{} DATA {block}", to.port()),
                Packet::Error { code, .. } => format!("{} ERROR {}", to.port(), code.number()),
                Packet::OptionAck(_) => format!("{} OACK", to.port()),
                other => panic!("{other:?}"),
            };
            todo.out.datagrams().map(told).collect()
        }

        fn heard(&mut self, bytes: &[u8], from: SocketAddr) -> (usize, Vec<String>) {
            let arrival = Arrival { port: 0, from, asked: listener() };
            let mut todo = Todo::default();
            let place = (arrival, 1..PORTS + 1);
            let origin = self.table.on_request(bytes, place, self.now, &mut todo);
            (origin.port, self.take(todo))
        }

        fn asked(&mut self, wish: &Wish, from: SocketAddr) -> (usize, Vec<String>) {
            let mut bytes = Vec::new();
            Packet::Read(wish.request()).encode(&mut bytes);
            self.heard(&bytes, from)
        }

        fn acked(&mut self, block: u16, from: SocketAddr, port: usize) -> Vec<String> {
            self.sent(&Packet::Ack { block }, from, port)
        }

        fn sent(&mut self, packet: &Packet<'_>, from: SocketAddr, port: usize) -> Vec<String> {
            let mut bytes = Vec::new();
            packet.encode(&mut bytes);
            let arrival = Arrival { port, from, asked: listener() };
            let mut todo = Todo::default();
            self.table.on_packet(&bytes, arrival, self.now, &mut todo);
            self.take(todo)
        }

        fn answered(&mut self) -> Vec<String> {
            let mut told = Vec::new();
            for id in std::mem::take(&mut self.asks) {
                let mut todo = Todo::default();
                let content = vec![7; 1000].into();
                let artifact = Artifact { device: "sw1".into(), content, sha256: "ab".into() };
                self.table.on_answer(id, Ok(artifact.into()), self.now, &mut todo);
                told.extend(self.take(todo));
            }
            told
        }

        fn after(&mut self, span: Duration) -> Vec<String> {
            self.now += span;
            let mut told = Vec::new();
            let mut todo = Todo::default();
            while self.table.on_time(self.now, &mut todo).is_some() {
                told.extend(self.take(std::mem::take(&mut todo)));
            }
            told.extend(self.take(todo));
            told
        }

        fn is_empty(&self) -> bool {
            let table = &self.table;
            let maps = [table.slots.len(), table.by_request.len(), table.by_transfer.len()];
            maps == [0; 3] && table.by_host.is_empty() && table.wakes.is_empty()
        }
    }

    #[test]
    fn equal_requests_join_while_the_answer_is_awaited_and_until_the_first_ack() {
        let mut room = Room::new(100);
        let wish = Wish::plain("network-confg");
        let (port, told) = room.asked(&wish, peer(1));
        assert!(told.is_empty());
        assert_eq!(room.asked(&wish, peer(1)), (port, vec![]));
        assert_eq!(room.asks.len(), 1, "asked of the service once");
        assert_eq!(room.answered(), ["1 DATA 1"]);
        assert_eq!(room.asked(&wish, peer(1)), (port, vec!["1 DATA 1".into()]));
        assert_eq!(room.acked(1, peer(1), port), ["1 DATA 2"]);
        assert_eq!(room.acked(2, peer(1), port), [""; 0]);
        let report = &room.reports[0];
        assert_eq!((report.complete, report.bytes, report.repeats), (true, 1000, 2));
        assert!(room.is_empty());
    }

    #[test]
    fn whoever_never_answers_makes_room_for_those_who_are_there() {
        let mut room = Room::new(201);
        let wish = Wish::plain("network-confg");
        let from = |host: u16, port| {
            let [high, low] = host.to_be_bytes();
            SocketAddr::new([10, 78, high, low].into(), port)
        };
        let (there, _) = room.asked(&wish, peer(1));
        room.answered();
        assert_eq!(room.acked(1, peer(1), there), ["1 DATA 2"]);
        for silent in 0..200 {
            assert_eq!(room.asked(&wish, from(silent, 1)).1, [""; 0], "{silent}");
        }
        room.answered();
        let busy = ["7 ERROR 0"];
        assert_eq!(room.asked(&wish, from(300, 7)).1, busy, "they had no time to answer yet");
        for _ in 0..2 {
            room.after(waiting::PATIENCE);
            room.asked(&wish, peer(2));
        }
        for late in 300..400 {
            assert_eq!(room.asked(&wish, from(late, 7)).1, [""; 0], "{late}");
        }
        assert_eq!(room.reports.len(), 101, "the oldest had to go");
        assert!(room.reports.iter().all(|report| report.why.ends_with("its place was needed")));
        assert_eq!(room.acked(2, peer(1), there), [""; 0]);
        assert!(room.reports.last().unwrap().complete, "who is there is served to the end");
    }

    #[test]
    fn a_rebooted_reader_gets_a_new_transfer_from_its_old_port() {
        let mut room = Room::new(100);
        let wish = Wish::plain("network-confg");
        let (old, _) = room.asked(&wish, peer(1));
        room.answered();
        room.acked(1, peer(1), old);
        let (new, _) = room.asked(&wish, peer(1));
        assert_ne!(new, old);
        assert_eq!(room.answered(), ["1 DATA 1"]);
        room.acked(1, peer(1), new);
        assert_eq!(room.reports[0].why, "the reader asked anew");
        room.acked(2, peer(1), new);
        assert!(room.reports[1].complete);
        assert!(room.is_empty());
    }

    #[test]
    fn a_late_copy_of_the_request_does_not_end_the_transfer() {
        let mut room = Room::new(100);
        let wish = Wish::plain("network-confg");
        let (port, _) = room.asked(&wish, peer(1));
        room.answered();
        room.acked(1, peer(1), port);
        let (stray, _) = room.asked(&wish, peer(1));
        assert_eq!(room.answered(), ["1 DATA 1"]);
        assert_eq!(room.acked(2, peer(1), port), [""; 0]);
        assert_eq!(room.reports.len(), 1);
        assert_eq!((room.reports[0].complete, room.reports[0].repeats), (true, 1));
        assert!(room.is_empty());
        assert_eq!(room.acked(1, peer(1), stray), ["1 ERROR 5"]);
    }

    #[test]
    fn a_reader_that_refuses_the_answer_to_a_late_copy_stays_in_its_transfer() {
        for tsize in [false, true] {
            let mut room = Room::new(100);
            let wish = Wish { tsize, ..Wish::plain("network-confg") };
            let (port, _) = room.asked(&wish, peer(1));
            room.answered();
            if tsize {
                room.acked(0, peer(1), port);
            }
            room.acked(1, peer(1), port);
            let (stray, _) = room.asked(&wish, peer(1));
            room.answered();
            room.sent(&Packet::error(ErrorCode::UnknownTransfer, ""), peer(1), stray);
            assert!(room.reports.is_empty());
            room.acked(2, peer(1), port);
            assert_eq!((room.reports.len(), room.reports[0].complete), (1, true));
            assert!(room.is_empty());
        }
    }

    #[test]
    fn a_reader_that_asks_again_and_again_never_meets_its_own_port() {
        let mut room = Room::new(100);
        let wish = Wish::plain("network-confg");
        for _ in 0..40 {
            let (port, told) = room.asked(&wish, peer(1));
            assert!(told.is_empty());
            room.answered();
            room.acked(1, peer(1), port);
            assert!(room.table.slots.len() <= 2);
        }
    }

    #[test]
    fn a_differing_request_restarts() {
        let mut room = Room::new(100);
        room.asked(&Wish { tsize: true, ..Wish::plain("f") }, peer(1));
        assert_eq!(room.answered(), ["1 OACK"]);
        let (port, _) = room.asked(&Wish::plain("f"), peer(1));
        assert_eq!(room.answered(), ["1 DATA 1"]);
        assert_eq!(room.reports[0].why, "the reader asked anew");
        room.acked(1, peer(1), port);
        room.acked(2, peer(1), port);
        assert!(room.is_empty());
    }

    #[test]
    fn a_reader_that_knows_no_oack_is_served_plainly_from_another_port() {
        let mut room = Room::new(100);
        let wish = Wish { tsize: true, ..Wish::plain("f") };
        let (old, _) = room.asked(&wish, peer(1));
        assert_eq!(room.answered(), ["1 OACK"]);
        assert_eq!(room.asked(&wish, peer(1)), (old, vec!["1 OACK".into()]));
        assert_eq!(room.asked(&wish, peer(1)), (old, vec!["1 OACK".into()]));
        // From another port: a reader that did take a late OACK is not fed blocks of 512 bytes.
        let (port, _) = room.asked(&wish, peer(1));
        assert_ne!(port, old);
        assert_eq!(room.answered(), ["1 DATA 1"]);
        room.acked(1, peer(1), port);
        room.acked(2, peer(1), port);
        assert_eq!((room.reports.len(), room.reports[0].complete), (1, true));
        assert!(room.is_empty());
    }

    #[test]
    fn two_ports_of_one_switch_are_two_transfers() {
        let mut room = Room::new(100);
        let wish = Wish::plain("network-confg");
        room.asked(&wish, peer(1));
        room.asked(&wish, peer(2));
        assert_eq!(room.answered(), ["1 DATA 1", "2 DATA 1"]);
    }

    #[test]
    fn requests_that_are_none_of_ours_are_refused_at_once() {
        let mut room = Room::new(100);
        for (bytes, told) in [
            (&b"\0\x02f\0octet\0"[..], vec!["1 ERROR 2"]),
            (b"\0\x01f\0mail\0", vec!["1 ERROR 4"]),
            (b"\0\x01f\0image\0", vec!["1 ERROR 4"]),
            (b"\0\x01f", vec!["1 ERROR 4"]),
            (b"\0\x04\0\x01", vec![]),
            (b"\0\x05\0\x01no\0", vec![]),
            (b"\0\x09what", vec![]),
            (b"\0", vec![]),
            (b"", vec![]),
        ] {
            assert_eq!(room.heard(bytes, peer(1)).1, told, "{bytes:?}");
        }
        assert!(room.is_empty());
    }

    #[test]
    fn the_table_and_the_part_of_one_host_are_bounded() {
        let mut room = Room::new(80);
        for port in 1..=20 {
            assert!(room.asked(&Wish::plain("f"), peer(port)).1.is_empty());
        }
        assert_eq!(room.asked(&Wish::plain("f"), peer(21)).1, ["21 ERROR 0"]);
        for host in 1..=60u8 {
            let from = SocketAddr::from(([10, 1, 0, host], 9));
            assert!(room.asked(&Wish::plain("f"), from).1.is_empty());
        }
        let other: SocketAddr = "10.2.0.1:9".parse().unwrap();
        assert_eq!(room.asked(&Wish::plain("f"), other).1, ["9 ERROR 0"]);
        // What is never answered is told so, and leaves nothing behind.
        assert_eq!(room.after(ARTIFACT_PATIENCE).len(), 80);
        assert!(room.is_empty());
    }

    #[test]
    fn a_refusal_of_the_service_is_told_at_once() {
        let mut room = Room::new(100);
        let refusals = [
            (Refusal::NotFound { why: "no such file".into() }, "1 ERROR 1"),
            (Refusal::Unavailable { why: "the store is down".into() }, "1 ERROR 0"),
        ];
        for (refusal, told) in refusals {
            room.asked(&Wish::plain("f"), peer(1));
            let id = room.asks.remove(0);
            let mut todo = Todo::default();
            room.table.on_answer(id, Err(refusal), room.now, &mut todo).unwrap();
            assert_eq!(room.take(todo), [told]);
            assert!(room.is_empty() && room.reports.is_empty());
        }
    }

    #[test]
    fn a_silent_reader_is_given_up_and_reported() {
        let mut room = Room::new(100);
        room.asked(&Wish::plain("f"), peer(1));
        room.answered();
        for _ in 0..3 {
            assert_eq!(room.after(Duration::from_secs(2)), ["1 DATA 1"]);
        }
        assert_eq!(room.after(Duration::from_secs(2)), ["1 ERROR 0"]);
        assert_eq!(room.reports[0].why, "the reader was silent through 4 waits");
        assert!(room.is_empty());
    }

    #[test]
    fn an_error_of_the_reader_is_reported_with_its_words_escaped() {
        let mut room = Room::new(100);
        let (port, _) = room.asked(&Wish::plain("f"), peer(1));
        room.answered();
        room.sent(&Packet::error(ErrorCode::DiskFull, "full\x1b[2J"), peer(1), port);
        assert_eq!(room.reports[0].why, "the reader sent error 3: full\\u{1b}[2J");
        assert!(room.is_empty());
    }
    /// What may happen to a table, in any order.
    #[derive(Debug, Clone)]
    enum Happening {
        Asked { peer: u16, name: u8, tsize: bool },
        Acked { peer: u16, port: usize, block: u16 },
        Refused { peer: u16, port: usize },
        Rubbish { peer: u16, port: usize, bytes: Vec<u8> },
        Answered,
        Waited { millis: u64 },
    }

    fn happening() -> impl Strategy<Value = Happening> {
        let (peer, port) = (1u16..6, 1usize..=PORTS);
        let rubbish = prop::collection::vec(any::<u8>(), 0..8);
        prop_oneof![
            4 => (peer.clone(), 0u8..2, any::<bool>())
                .prop_map(|(peer, name, tsize)| Happening::Asked { peer, name, tsize }),
            6 => (peer.clone(), port.clone(), 0u16..4)
                .prop_map(|(peer, port, block)| Happening::Acked { peer, port, block }),
            1 => (peer.clone(), port.clone())
                .prop_map(|(peer, port)| Happening::Refused { peer, port }),
            1 => (peer, port, rubbish)
                .prop_map(|(peer, port, bytes)| Happening::Rubbish { peer, port, bytes }),
            3 => Just(Happening::Answered),
            1 => (0u64..3000).prop_map(|millis| Happening::Waited { millis }),
        ]
    }

    impl Room {
        fn happens(&mut self, happening: &Happening) {
            match happening {
                Happening::Asked { peer: port, name, tsize } => {
                    let wish = Wish { tsize: *tsize, ..Wish::plain(&name.to_string()) };
                    self.asked(&wish, peer(*port));
                }
                Happening::Acked { peer: from, port, block } => {
                    self.acked(*block, peer(*from), *port);
                }
                Happening::Refused { peer: from, port } => {
                    self.sent(&Packet::error(ErrorCode::Undefined, "no"), peer(*from), *port);
                }
                Happening::Rubbish { peer: from, port, bytes } => {
                    self.heard(bytes, peer(*from));
                    let other = Packet::Other { opcode: 9, rest: bytes };
                    self.sent(&other, peer(*from), *port);
                }
                Happening::Answered => {
                    self.answered();
                }
                Happening::Waited { millis } => {
                    self.after(Duration::from_millis(*millis));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_the_table_stays_whole_and_empties(
            happenings in prop::collection::vec(happening(), 0..200),
        ) {
            let mut room = Room::new(7);
            for happening in happenings {
                room.happens(&happening);
                let table = &room.table;
                let count = table.slots.len();
                prop_assert!(count <= 7);
                prop_assert_eq!(table.bounds.held.load(Ordering::Relaxed), count);
                prop_assert_eq!(table.by_transfer.len(), count);
                prop_assert_eq!(table.wakes.len(), count);
                prop_assert_eq!(table.by_host.values().sum::<u32>() as usize, count);
                prop_assert!(table.by_request.values().all(|id| table.slots.contains_key(id)));
            }
            for _ in 0..10 {
                room.after(ARTIFACT_PATIENCE);
            }
            prop_assert!(room.is_empty());
        }
    }
}
