//! A request: does it join a transfer, or begin one, and from which port?

use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{
    ARTIFACT_PATIENCE, Arrival, Beginning, Bounds, HOST_SHARE, HOST_TRANSFERS_MIN, LEFT, Slot,
    State, Table, Todo, Way, keys,
};
use crate::proto::tftp::packet::{ErrorCode, Request};
use crate::servers::files::canonical;
use crate::service::serving::Ask;

impl Table {
    /// A request for a transfer. The port from which the answer leaves, or why there is none.
    pub(super) fn on_ask(
        &mut self,
        (way, request): (Way, Request),
        place: (Arrival, usize),
        now: Instant,
        todo: &mut Todo,
    ) -> Result<usize, (ErrorCode, &'static str)> {
        request.readable_mode()?;
        let joined = match way {
            Way::ToReader => self.on_read(request, place, now, todo),
            Way::FromWriter => self.on_write(request, place, now, todo),
        };
        joined.map_err(|busy| (ErrorCode::Undefined, busy))
    }

    /// The first port that has no transfer of this peer and had none a moment ago: what leaves from
    /// it cannot be taken for a part of one. The first and not the next in turn, because packets of
    /// one port come and go in one batch.
    pub(super) fn free_port(&self, ports: Range<usize>, peer: SocketAddr) -> Option<usize> {
        let left = self.left[self.place(peer)].filter(|(other, _)| *other == peer);
        let start = left.map_or(0, |(_, port)| port.saturating_sub(ports.start) + 1);
        let mut order = (0..ports.len()).map(|step| ports.start + (start + step) % ports.len());
        order.find(|port| !self.by_transfer.contains_key(&self.transfer_key(*port, peer)))
    }

    pub(super) fn request_key(&self, peer: SocketAddr, asked: SocketAddr) -> u64 {
        keys::of_ends(&self.hasher, &[peer, asked])
    }

    pub(super) fn transfer_key(&self, port: usize, peer: SocketAddr) -> u64 {
        keys::of_port(&self.hasher, port, peer)
    }

    /// The newest transfer of this peer at this address of ours.
    pub(super) fn newest(&mut self, arrival: Arrival) -> Option<(u64, &mut Slot)> {
        let Arrival { from, asked, .. } = arrival;
        let id = *self.by_request.get(&self.request_key(from, asked))?;
        let slot = self.slots.get_mut(&id)?;
        (slot.peer == from && slot.asked == asked).then_some((id, &mut **slot))
    }

    /// Requests with the same number are the same, as far as anybody can make it.
    pub(super) fn request_hash(&self, way: Way, request: &Request) -> u64 {
        self.hasher.hash_one((way, request))
    }

    pub(super) fn place(&self, peer: SocketAddr) -> usize {
        // The remainder is below LEFT.
        (keys::of_ends(&self.hasher, &[peer]) % LEFT as u64) as usize
    }

    /// Joins or begins. The port from which the answer leaves, or why there is no place.
    fn on_read(
        &mut self,
        request: Request,
        (arrival, port): (Arrival, usize),
        now: Instant,
        todo: &mut Todo,
    ) -> Result<usize, &'static str> {
        let (way, hash) = (Way::ToReader, self.request_hash(Way::ToReader, &request));
        let single_port = self.bounds.single_port;
        let mut beginning = Beginning { way, request, hash, arrival, port, rival: None };
        if let Some((id, slot)) = self.newest(arrival) {
            let equal = slot.hash == hash;
            match &mut slot.state {
                State::Pending { repeats, .. } if equal => {
                    *repeats = repeats.saturating_add(1);
                    return Ok(slot.port);
                }
                State::Running(running) if equal && running.transfer.options_ignored() => {
                    beginning.request = beginning.request.without_options();
                    self.remove(id);
                }
                State::Running(running) if equal && !running.transfer.has_progress() => {
                    running.transfer.on_repeat(now, &mut todo.out);
                    return Ok(slot.port);
                }
                State::Running(_) if equal && !single_port => {
                    beginning.rival = Some(id);
                }
                // Two transfers cannot share a port and a peer: one of them is decided for.
                State::Running(running) if equal && running.transfer.went_on_since(now) => {
                    running.transfer.count_repeats(1);
                    return Ok(slot.port);
                }
                // A third request takes the place of the second; the first is still the rival.
                State::Pending { .. } | State::Running(_) | State::Taking(_) => {
                    beginning.rival = slot.rival.take();
                    self.ask_anew(id, todo);
                }
            }
        }
        self.begin(beginning, now, todo)
    }

    pub(super) fn begin(
        &mut self,
        beginning: Beginning,
        now: Instant,
        todo: &mut Todo,
    ) -> Result<usize, &'static str> {
        let Beginning { way, request, hash, arrival, port, rival } = beginning;
        let Arrival { from, asked, .. } = arrival;
        let held = self.by_host.get(&from.ip()).copied().unwrap_or(0);
        let Bounds { transfers_max, workers, .. } = self.bounds;
        let host_max = (transfers_max / HOST_SHARE / workers).max(HOST_TRANSFERS_MIN);
        let no_port = port == arrival.port && !self.bounds.single_port;
        let transfer = self.transfer_key(port, from);
        if held as usize >= host_max || no_port || self.by_transfer.contains_key(&transfer) {
            return Err("busy, ask again");
        }
        let full = self.bounds.held.load(Ordering::Relaxed) >= transfers_max;
        if full && !self.make_room(now, todo) {
            return Err("busy, ask again");
        }
        self.bounds.held.fetch_add(1, Ordering::Relaxed);
        self.by_host.insert(from.ip(), held + 1);
        self.next_id += 1;
        let id = self.next_id;
        let ask = Ask {
            transport: "tftp",
            peer: canonical(from),
            local: canonical(asked),
            name: String::from_utf8_lossy(&request.name).into_owned(),
            serial: None,
            mac: None,
        };
        let wake = now + ARTIFACT_PATIENCE;
        let name = request.name.clone().into_boxed_slice();
        let request = Box::new(request);
        let state = State::Pending { request, repeats: 0, deadline: wake };
        let slot = Slot { peer: from, asked, hash, name, port, rival, wake, state };
        self.slots.insert(id, Box::new(slot));
        self.by_request.insert(self.request_key(from, asked), id);
        self.by_transfer.insert(transfer, id);
        self.wakes.insert((wake, id));
        self.waits(id, now);
        if let Some(slot) = rival.and_then(|rival| self.slots.get_mut(&rival)) {
            slot.rival = Some(id);
        }
        match way {
            Way::ToReader => todo.asks.push((id, ask)),
            Way::FromWriter => todo.offers.push((id, ask)),
        }
        Ok(port)
    }
}
