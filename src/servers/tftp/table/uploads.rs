//! The uploads of the table: from the request to the file in its place.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Arrival, Beginning, Job, Origin, State, Table, Todo, Way};
use crate::proto::tftp::packet::{ErrorCode, Request};
use crate::proto::tftp::upload::{Digest, End, Upload, Write, announced};
use crate::servers::files::canonical;
use crate::servers::tftp::area::{Part, Refused, Written};
use crate::service::serving::Uploaded;

/// One upload, and where it goes.
#[derive(Debug)]
pub(super) struct Taking {
    pub upload: Upload,
    peer: SocketAddr,
    device: String,
    name: String,
    /// `None` while the disk has it.
    part: Option<Box<Part>>,
    /// The disk has the last piece: its answer is what is reported.
    finishing: bool,
}

impl Taking {
    /// What the disk is to do now.
    pub fn next_job(&mut self, id: u64) -> Option<Job> {
        self.part.as_ref()?;
        let write = self.upload.next_write()?;
        let part = self.part.take()?;
        let report = match &write {
            Write::Append(_) => None,
            Write::Finish(_) => {
                self.finishing = true;
                Some(self.broken(0, String::new()))
            }
        };
        Some(Job { id, part, write, report })
    }

    /// The report of an upload that has ended, unless the disk reports it.
    pub fn report(&self, digest: &Digest) -> Option<Uploaded> {
        (!self.finishing).then(|| self.broken(digest.bytes, digest.end.to_string()))
    }

    fn broken(&self, bytes: u64, why: String) -> Uploaded {
        Uploaded {
            device: self.device.clone(),
            peer: canonical(self.peer),
            name: self.name.clone(),
            bytes,
            sha256: String::new(),
            complete: false,
            why,
        }
    }
}

impl Table {
    /// Joins or begins, as for reading. The port from which the answer leaves, or why there is no
    /// place.
    pub(super) fn on_write(
        &mut self,
        request: Request,
        (arrival, port): (Arrival, usize),
        now: Instant,
        todo: &mut Todo,
    ) -> Result<usize, &'static str> {
        let (way, hash) = (Way::FromWriter, self.request_hash(Way::FromWriter, &request));
        if let Some((id, slot)) = self.newest(arrival) {
            let equal = slot.hash == hash;
            match &mut slot.state {
                State::Pending { repeats, .. } if equal => {
                    *repeats = repeats.saturating_add(1);
                    return Ok(slot.port);
                }
                State::Taking(taking) if equal && !taking.upload.has_progress() => {
                    taking.upload.on_repeat(&mut todo.out);
                    return Ok(slot.port);
                }
                State::Taking(taking) if equal && taking.upload.went_on_since(now) => {
                    taking.upload.count_repeats(1);
                    return Ok(slot.port);
                }
                State::Pending { .. } | State::Running(_) | State::Taking(_) => {
                    self.ask_anew(id, todo);
                }
            }
        }
        self.begin(Beginning { way, request, hash, arrival, port, rival: None }, now, todo)
    }

    /// Whether the upload may begin, and where to. `None` if nobody waits for it any more.
    pub fn on_granted(
        &mut self,
        id: u64,
        granted: Result<(String, Box<Part>), Refused>,
        now: Instant,
        todo: &mut Todo,
    ) -> Option<Origin> {
        let slot = self.slots.get_mut(&id)?;
        let State::Pending { repeats, request, .. } = &slot.state else { return None };
        let repeats = *repeats;
        let origin = Origin { port: slot.port, source: slot.asked.ip() };
        let bytes_max = self.bounds.upload_bytes_max.unwrap_or(0);
        let (device, part) = match granted {
            Ok(granted) => granted,
            Err(Refused { code, why }) => {
                self.refuse(id, (code, &why), todo);
                return Some(origin);
            }
        };
        let name = part.name().to_owned();
        if let Some(bytes) = announced(request).filter(|bytes| *bytes > bytes_max) {
            let why = End::TooLarge { bytes_max }.to_string();
            let peer = canonical(slot.peer);
            let (sha256, told) = (String::new(), format!("{bytes} bytes were announced, {why}"));
            let complete = false;
            let report = Uploaded { device, peer, name, bytes: 0, sha256, complete, why: told };
            todo.uploads.push(report);
            self.refuse(id, (ErrorCode::DiskFull, &why), todo);
            return Some(origin);
        }
        let (asked, limits) = ((slot.peer, &**request), &self.bounds.limits);
        let mut upload = Upload::start(asked, bytes_max, limits, now, &mut todo.out);
        upload.count_repeats(repeats);
        let wake = upload.deadline().unwrap_or(now);
        let peer = slot.peer;
        let part = Some(part);
        let taking = Taking { upload, peer, device, name, part, finishing: false };
        slot.state = State::Taking(Box::new(taking));
        self.wake_at(id, wake);
        Some(origin)
    }

    /// The disk's answer to a piece. `None` if nobody waits for it any more.
    pub fn on_written(
        &mut self,
        id: u64,
        written: Result<Written, Refused>,
        now: Instant,
        todo: &mut Todo,
    ) -> Option<Origin> {
        let slot = self.slots.get_mut(&id)?;
        let origin = Origin { port: slot.port, source: slot.asked.ip() };
        let State::Taking(taking) = &mut slot.state else { return None };
        match written {
            Ok(Written::More(part)) => {
                taking.part = Some(part);
                taking.upload.on_written(now, &mut todo.out);
            }
            Ok(Written::Stored { .. }) => taking.upload.on_written(now, &mut todo.out),
            Err(Refused { code, why }) => taking.upload.on_refused(code, &why, &mut todo.out),
        }
        let wake = taking.upload.deadline().unwrap_or(now);
        self.wake_at(id, wake);
        self.settle(id, todo);
        Some(origin)
    }
}
