//! Which sockets are being worked on, and for whom? Two runs never tell acts at one socket at the
//! same time: following both would undo the first.
//!
//! Nothing of this is stored: it follows from the runs, so that it is the same after a restart. The
//! one loop of the runner decides, one visit after the other, and so no two decide at once.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::domain::check::{Findings, Problem, Socket};
use crate::domain::run::{Event, Phase, Run, Visit};
use crate::service::runner::Runner;
use crate::service::runner::stage::Staged;

/// The sockets of the acts that are told and open, by the device they were told for.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    of_device: HashMap<String, Vec<Socket>>,
    devices: HashMap<Socket, BTreeSet<String>>,
}

/// The act that a run has told and waits for.
fn told(run: &Run) -> Option<&Problem> {
    match &run.phase {
        Phase::ActionNeeded { problem, .. } => Some(problem),
        Phase::Expected { .. }
        | Phase::Addressed { .. }
        | Phase::Fetching { .. }
        | Phase::Settling { .. }
        | Phase::Connecting { .. }
        | Phase::Verifying { .. }
        | Phase::Upgrading { .. }
        | Phase::HandingOff { .. }
        | Phase::Ready { .. }
        | Phase::Failed { .. }
        | Phase::Cancelled { .. } => None,
    }
}

fn held(run: &Run) -> &[Socket] {
    told(run).map_or(&[], Problem::sockets)
}

impl Sockets {
    /// `run` is the newest of its device as of now.
    pub fn learn(&mut self, run: &Run) {
        let sockets = held(run);
        if self.of_device.get(&run.device).map_or(&[][..], Vec::as_slice) == sockets {
            return;
        }
        self.forget(&run.device);
        if sockets.is_empty() {
            return;
        }
        for socket in sockets {
            self.devices.entry(socket.clone()).or_default().insert(run.device.clone());
        }
        self.of_device.insert(run.device.clone(), sockets.to_vec());
    }

    /// This device has no run.
    pub fn forget(&mut self, device: &str) {
        for socket in self.of_device.remove(device).unwrap_or_default() {
            if let Some(devices) = self.devices.get_mut(&socket) {
                devices.remove(device);
                if devices.is_empty() {
                    self.devices.remove(&socket);
                }
            }
        }
    }

    /// For whom else than `device` this socket is worked on. `staged` are the runs as they will be.
    fn holder<'a>(
        &'a self,
        socket: &Socket,
        device: &str,
        staged: &'a HashMap<String, Arc<Run>, RandomState>,
    ) -> Option<&'a str> {
        let known = self.devices.get(socket).into_iter().flatten();
        let known = known.map(String::as_str).filter(|holder| !staged.contains_key(*holder));
        let new = staged.values().filter(|run| held(run).contains(socket));
        known.chain(new.map(|run| run.device.as_str())).find(|holder| *holder != device)
    }
}

impl Runner {
    /// The event as `run` may act upon it: a cable problem at sockets that are worked on for
    /// another device is not decided.
    pub(super) fn considerate<'a>(
        &self,
        staged: &Staged,
        run: &Run,
        event: &'a Event,
    ) -> Cow<'a, Event> {
        let given_way = |findings: &Findings| {
            let problem = findings.urgent_of_cables()?;
            if told(run).is_some_and(|told| told.same_act(problem)) {
                return None;
            }
            let (socket, holder) = problem.sockets().iter().find_map(|socket| {
                Some((socket, self.sockets.holder(socket, &run.device, &staged.runs)?))
            })?;
            Some(findings.giving_way(format!("{socket} is being worked on for {holder}")))
        };
        let Event::Visited { attempt, visit } = event else { return Cow::Borrowed(event) };
        let visit = match visit {
            Visit::Judged { host_key, findings } => given_way(findings)
                .map(|findings| Visit::Judged { host_key: host_key.clone(), findings }),
            Visit::Outdated { host_key, findings, offer } => given_way(findings).map(|findings| {
                Visit::Outdated { host_key: host_key.clone(), findings, offer: offer.clone() }
            }),
            Visit::Unreachable { .. }
            | Visit::LoginRefused { .. }
            | Visit::HostKeyChanged { .. }
            | Visit::Broken { .. }
            | Visit::OurSide { .. }
            | Visit::Stepped { .. } => None,
        };
        visit.map_or(Cow::Borrowed(event), |visit| {
            Cow::Owned(Event::Visited { attempt: *attempt, visit })
        })
    }
}
