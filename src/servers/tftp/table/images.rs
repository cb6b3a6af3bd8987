//! Transfers to readers: what is sent, and the pieces of images that it takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::{Fetch, Origin, Running, State, Table, Todo};
use crate::proto::tftp::Output;
use crate::proto::tftp::content::Source;
use crate::proto::tftp::negotiate::Limits;
use crate::proto::tftp::packet::Request;
use crate::proto::tftp::transfer::{Digest, End, Transfer};
use crate::servers::files::{Content, Report, Served, canonical};
use crate::service::serving::Transferred;

impl Running {
    pub(super) fn start(
        asked: (SocketAddr, &Request),
        served: Served,
        limits: &Limits,
        now: Instant,
        out: &mut Output,
    ) -> Self {
        let Served { device, content, sha256, image } = served;
        let (source, reading) = match content {
            Content::Here(bytes) => (Source::Whole(bytes), None),
            Content::Image(reading) => {
                (Source::Pieces { bytes: reading.image().bytes() }, Some(reading))
            }
        };
        let transfer = Transfer::start(asked, source, limits, now, out);
        let (device, sha256) = (device.into_boxed_str(), sha256.into_boxed_str());
        Self { transfer, device, sha256, reading, image }
    }

    /// The piece of the image that is to be read now.
    pub(super) fn next_fetch(&mut self, id: u64) -> Option<Fetch> {
        let image = self.reading.as_ref()?.image();
        let index = self.transfer.next_piece()?;
        Some(Fetch { id, index, image })
    }

    pub(super) fn report(&self, (peer, name): (SocketAddr, &[u8]), digest: &Digest) -> Report {
        let complete = digest.end == End::Complete;
        let end = Transferred {
            device: self.device.to_string(),
            transport: "tftp",
            peer: canonical(peer),
            name: String::from_utf8_lossy(name).into_owned(),
            complete,
            image: self.image,
            first_byte: 0,
            bytes: digest.bytes,
            sha256: self.sha256.to_string(),
            repeats: digest.repeats,
            why: if complete { String::new() } else { digest.end.to_string() },
        };
        Report { end, image: self.reading.as_ref().map(|reading| reading.image()) }
    }
}

impl Table {
    /// A piece of an image, or `None` if it cannot be read. `None` if nobody waits for it any more.
    pub fn on_fetched(
        &mut self,
        (id, index): (u64, u64),
        piece: Option<Arc<Vec<u8>>>,
        now: Instant,
        todo: &mut Todo,
    ) -> Option<Origin> {
        let slot = self.slots.get_mut(&id)?;
        let origin = Origin { port: slot.port, source: slot.asked.ip() };
        let State::Running(running) = &mut slot.state else { return None };
        running.transfer.on_piece(index, piece, now, &mut todo.out);
        let wake = running.transfer.deadline().unwrap_or(now);
        if wake < slot.wake {
            self.wake_at(id, wake);
        }
        self.settle(id, todo);
        Some(origin)
    }
}
