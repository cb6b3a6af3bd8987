//! One worker: its sockets, its table, its questions to the service.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::area::{Area, Part, Refused, Written};
use super::post::Post;
use super::table::{ARTIFACT_PATIENCE, Arrival, Bounds, Fetch, Job, Origin, Table, Todo};
use super::{Ports, TRANSFER_PORTS};
use crate::clock::Clock;
use crate::proto::tftp::packet::REQUEST_BYTES_MAX;
use crate::servers::files::{Files, Served};
use crate::servers::socket::tftp::batch::{Inbox, Received};
use crate::service::serving::{Ask, Refusal};

/// For reports that are still under way when the server ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// Opcode and block number of DATA.
const DATA_HEAD_BYTES: usize = 4;

/// Bytes that wait to be sent, before they are: eight of the largest windows.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// For the answer of a lone reader that is near: within this time it is looked for without sleep,
/// because to sleep and to be woken takes longer than the way to it and back.
const NEAR: Duration = Duration::from_micros(100);

/// So long a lone reader is served in turn before anything else is looked at.
const TURNS: Duration = Duration::from_millis(1);

/// Whether the reader is near. Each time it was not, it is asked half as often, down to once in a
/// thousand turns.
#[derive(Debug, Default)]
struct Nearness {
    misses: u32,
    /// Turns until it is looked for again.
    rest: u32,
}

const MISSES_MAX: u32 = 10;

impl Nearness {
    fn is_likely(&mut self) -> bool {
        let likely = self.rest == 0;
        self.rest = self.rest.saturating_sub(1);
        likely
    }

    fn learn(&mut self, near: bool) {
        if near {
            self.misses = 0;
        } else {
            self.misses = (self.misses + 1).min(MISSES_MAX);
            self.rest = 1 << self.misses;
        }
    }
}

/// What a task brings back.
#[derive(Debug)]
enum Done {
    /// Of transfers, in a batch.
    Answered(Vec<(u64, Result<Served, Refusal>)>),
    /// Of a transfer the piece of this number.
    Fetched((u64, u64), Option<Arc<Vec<u8>>>),
    Granted(u64, Result<(String, Box<Part>), Refused>),
    Written(u64, Result<Written, Refused>),
    Reported,
}

pub struct Worker {
    /// Its number among `workers`.
    index: usize,
    workers: usize,
    single_port: bool,
    ports: Ports,
    table: Table,
    files: Files,
    /// `None`: no upload is taken.
    area: Option<Area>,
    clock: Clock,
    tasks: JoinSet<Done>,
    /// Questions and reports under way at once.
    tasks_max: usize,
    inbox: Inbox,
    todo: Todo,
    post: Post,
    nearness: Nearness,
}

impl Worker {
    pub(super) fn new(
        (index, ports): (usize, Ports),
        bounds: Bounds,
        (files, area): (Files, Option<Area>),
        clock: Clock,
    ) -> Self {
        // One more byte than a packet may have, so that a longer one is recognised.
        let block_bytes = area.as_ref().map_or(0, |_| usize::from(bounds.limits.block_bytes_max));
        let buffer_bytes = REQUEST_BYTES_MAX.max(DATA_HEAD_BYTES + block_bytes) + 1;
        Self {
            index,
            workers: bounds.workers,
            single_port: bounds.single_port,
            ports,
            tasks_max: bounds.transfers_max.saturating_mul(2).max(16),
            table: Table::new(bounds),
            files,
            area,
            clock,
            tasks: JoinSet::new(),
            inbox: Inbox::new(buffer_bytes),
            todo: Todo::default(),
            post: Post::default(),
            nearness: Nearness::default(),
        }
    }

    /// Serves until `shutdown` turns true (or its sender is gone), then tells every reader and
    /// reports every transfer.
    pub async fn serve(mut self, mut shutdown: watch::Receiver<bool>) {
        let end = async { drop(shutdown.wait_for(|end| *end).await) };
        tokio::pin!(end);
        let alarm = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(alarm);
        // When the alarm rings; it may ring too early, and is set anew then.
        let mut rings: Option<Instant> = None;
        let mut last = 0;
        loop {
            if let Some(at) = self.table.deadline()
                && rings.is_none_or(|rings| at < rings)
            {
                rings = Some(at);
                alarm.as_mut().reset(at.into());
            }
            tokio::select! {
                () = &mut end => break,
                port = self.ports.readable(last) => {
                    last = port;
                    if self.drain(port) == 1 {
                        self.take_turns(port).await;
                    }
                }
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.on_done(done);
                }
                () = &mut alarm, if rings.is_some() => {
                    rings = None;
                    self.on_time().await;
                }
            }
            while let Some(done) = self.tasks.try_join_next() {
                self.on_done(done);
                self.flush_if_much().await;
            }
            self.flush().await;
        }
        self.stop().await;
    }

    /// Takes what waits at this port, up to a batch; how many there were.
    fn drain(&mut self, port: usize) -> usize {
        let count = match self.ports.ports[port].receive(&mut self.inbox) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return 0,
            // An error of one datagram is no reason to stop listening.
            Err(error) => {
                tracing::debug!(%error, "tftp receive");
                return 0;
            }
        };
        self.on_datagrams(port, count);
        count
    }

    fn on_datagrams(&mut self, port: usize, count: usize) {
        let now = self.clock.instant();
        for index in 0..count {
            self.on_datagram(port, index, now);
        }
        self.start_tasks();
    }

    /// A lone datagram came: its sender may wait for our answer and have the next one ready before
    /// we could fall asleep.
    async fn take_turns(&mut self, port: usize) {
        let began = self.clock.instant();
        while self.tasks.is_empty() && !self.todo.out.is_empty() && self.nearness.is_likely() {
            self.flush().await;
            let count = self.look(port);
            self.nearness.learn(count.is_some());
            let Some(count) = count else { break };
            self.on_datagrams(port, count);
            if count > 1 || self.clock.instant().saturating_duration_since(began) >= TURNS {
                break;
            }
        }
    }

    /// What comes to this port within [`NEAR`].
    fn look(&mut self, port: usize) -> Option<usize> {
        let began = self.clock.instant();
        loop {
            if let Ok(count) = self.ports.ports[port].look(&mut self.inbox) {
                return Some(count);
            }
            if self.clock.instant().saturating_duration_since(began) >= NEAR {
                return None;
            }
        }
    }

    fn on_datagram(&mut self, port: usize, index: usize, now: Instant) {
        let Some((received, bytes)) = self.inbox.datagram(index) else { return };
        let Received { from, asked, broadcast } = received;
        let listening = self.ports.listening;
        let before = self.todo.out.len();
        let arrival = Arrival { port, from, asked };
        let requests = port < listening && (!self.single_port || is_request(bytes));
        let origin = if requests {
            if broadcast && owner(from, self.workers) != self.index {
                return;
            }
            let first = listening + port * TRANSFER_PORTS;
            let ports =
                if self.single_port { port..port + 1 } else { first..first + TRANSFER_PORTS };
            self.table.on_request(bytes, (arrival, ports), now, &mut self.todo)
        } else {
            self.table.on_packet(bytes, arrival, now, &mut self.todo)
        };
        self.post.take(&self.todo.out, before, origin);
    }

    async fn on_time(&mut self) {
        let now = self.clock.instant();
        loop {
            let before = self.todo.out.len();
            let Some(origin) = self.table.on_time(now, &mut self.todo) else { break };
            self.post.take(&self.todo.out, before, origin);
            self.flush_if_much().await;
        }
        self.start_tasks();
    }

    fn on_done(&mut self, done: Result<Done, JoinError>) {
        let now = self.clock.instant();
        let before = self.todo.out.len();
        let (table, todo) = (&mut self.table, &mut self.todo);
        let origin = match done {
            Ok(Done::Answered(answers)) => return self.on_answers(answers, now),
            Ok(Done::Fetched(which, piece)) => table.on_fetched(which, piece, now, todo),
            Ok(Done::Granted(id, granted)) => table.on_granted(id, granted, now, todo),
            Ok(Done::Written(id, written)) => table.on_written(id, written, now, todo),
            Ok(Done::Reported) => None,
            // The transfer's own deadline answers its peer.
            Err(error) => {
                tracing::error!(%error, "a task of the TFTP server broke");
                None
            }
        };
        if let Some(origin) = origin {
            self.posted(before, origin);
        }
    }

    fn on_answers(&mut self, answers: Vec<(u64, Result<Served, Refusal>)>, now: Instant) {
        for (id, answer) in answers {
            let before = self.todo.out.len();
            if let Some(origin) = self.table.on_answer(id, answer, now, &mut self.todo) {
                self.post.take(&self.todo.out, before, origin);
            }
        }
        self.start_tasks();
    }

    fn posted(&mut self, before: usize, origin: Origin) {
        self.post.take(&self.todo.out, before, origin);
        self.start_tasks();
    }

    async fn flush_if_much(&mut self) {
        if self.todo.out.bytes().len() >= WAITING_BYTES_MAX {
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        self.post.send(self.todo.out.bytes(), &self.ports.ports).await;
        self.todo.out.clear();
    }

    fn start_tasks(&mut self) {
        self.start_fetches();
        self.start_questions();
        for (id, ask) in self.todo.offers.drain(..) {
            let Some(area) = self.area.clone().filter(|_| self.tasks.len() < self.tasks_max) else {
                let busy = Refused::busy();
                self.tasks.spawn(async move { Done::Granted(id, Err(busy)) });
                continue;
            };
            let sender = self.files.sender(&ask);
            self.tasks.spawn_blocking(move || Done::Granted(id, area.admit(sender, &ask.name)));
        }
        // Never refused: each transfer has one piece under way at most.
        for job in self.todo.jobs.drain(..) {
            self.tasks.spawn(write(job, self.files.clone()));
        }
        for report in self.todo.uploads.drain(..) {
            let report = self.files.uploaded(report);
            self.tasks.spawn(async move {
                report.await;
                Done::Reported
            });
        }
        if !self.todo.reports.is_empty() {
            let (files, reports) = (self.files.clone(), std::mem::take(&mut self.todo.reports));
            self.tasks.spawn(async move {
                files.transferred(reports).await;
                Done::Reported
            });
        }
    }

    /// Asks for whatever was asked of us since the last time: configurations in one question, and
    /// each image in one of its own, because its disk may be slow.
    fn start_questions(&mut self) {
        let asks = std::mem::take(&mut self.todo.asks);
        let (images, rest): (Vec<_>, Vec<_>) =
            asks.into_iter().partition(|(_, ask)| self.files.concerns_images(ask));
        for ask in images {
            self.start_question(vec![ask], true);
        }
        if !rest.is_empty() {
            self.start_question(rest, false);
        }
    }

    fn start_question(&mut self, asks: Vec<(u64, Ask)>, of_images: bool) {
        let (ids, asks): (Vec<u64>, Vec<Ask>) = asks.into_iter().unzip();
        let refused = |ids: Vec<u64>, why: &str| {
            let refusal = |id| (id, Err(Refusal::Unavailable { why: why.to_owned() }));
            Done::Answered(ids.into_iter().map(refusal).collect())
        };
        if self.tasks.len() >= self.tasks_max {
            self.tasks.spawn(async move { refused(ids, "busy, ask again") });
            return;
        }
        let files = self.files.clone();
        self.tasks.spawn(async move {
            let answers = async {
                match of_images {
                    true => files.artifacts(asks).await,
                    false => files.configurations(asks).await,
                }
            };
            match tokio::time::timeout(ARTIFACT_PATIENCE, answers).await {
                Ok(answers) => Done::Answered(ids.into_iter().zip(answers).collect()),
                Err(_) => refused(ids, "no answer in time, ask again"),
            }
        });
    }

    /// Brings the pieces of images: those that another reader has at once, others from the disk.
    fn start_fetches(&mut self) {
        while let Some(Fetch { id, index, image }) = self.todo.fetches.pop() {
            let Some(piece) = image.kept(index) else {
                self.tasks.spawn_blocking(move || {
                    let read = image.read(index);
                    let told = |error: &_| tracing::warn!(%error, "an image cannot be read");
                    Done::Fetched((id, index), read.inspect_err(told).ok())
                });
                continue;
            };
            let (now, before) = (self.clock.instant(), self.todo.out.len());
            let fetched = ((id, index), Some(piece));
            let origin = self.table.on_fetched(fetched.0, fetched.1, now, &mut self.todo);
            if let Some(origin) = origin {
                self.post.take(&self.todo.out, before, origin);
            }
        }
    }

    /// Tells every reader, reports every transfer, and waits for the reports within bounds.
    async fn stop(mut self) {
        loop {
            let before = self.todo.out.len();
            let Some(origin) = self.table.stop_one(&mut self.todo) else { break };
            self.posted(before, origin);
        }
        self.flush().await;
        let farewell = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!(
                "transfers ended with the TFTP server and could not be reported in time"
            );
        }
    }
}

/// Gives a piece to the disk. What is stored is reported before the writer hears of it.
async fn write(job: Job, files: Files) -> Done {
    let Job { id, part, write, report } = job;
    let written = tokio::task::spawn_blocking(move || part.write(&write)).await;
    let written = written.unwrap_or_else(|error| {
        tracing::error!(%error, "a piece of an upload could not be written");
        Err(Refused::broken())
    });
    let Some(mut report) = report else { return Done::Written(id, written) };
    match &written {
        Ok(Written::Stored { name, bytes, sha256 }) => {
            report.complete = true;
            (report.name, report.bytes, report.sha256) = (name.clone(), *bytes, sha256.clone());
        }
        Ok(Written::More(_)) => {}
        Err(Refused { why, .. }) => report.why.clone_from(why),
    }
    files.uploaded(report).await;
    Done::Written(id, written)
}

/// RRQ or WRQ (RFC 1350 section 5).
fn is_request(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 1 | 2, ..])
}

/// The worker that answers a broadcast of this peer: each of them has a copy.
fn owner(from: SocketAddr, workers: usize) -> usize {
    usize::from(from.port()) % workers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it is looked for in so many turns.
    fn looks(nearness: &mut Nearness, turns: usize, near: bool) -> usize {
        let mut looked = 0;
        for _ in 0..turns {
            if nearness.is_likely() {
                looked += 1;
                nearness.learn(near);
            }
        }
        looked
    }

    #[test]
    fn a_far_reader_is_looked_for_ever_less_often_and_a_near_one_every_time() {
        let mut nearness = Nearness::default();
        assert_eq!(looks(&mut nearness, 100, true), 100);
        assert!(looks(&mut nearness, 10_000, false) < 20);
        assert!((looks(&mut nearness, 100_000, false)) < 100);
        // Once it is near again, that is seen within a thousand turns.
        assert!(looks(&mut nearness, 2_000, true) > 900);
    }
}
