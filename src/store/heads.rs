//! May this commit be stored? Each device's newest run, in memory, is enough to say so.
//!
//! A decision takes effect at once, so that the next commit of the same group sees it, and is taken
//! back when the commit is refused or the group does not reach the disk.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::clock::Timestamp;
use crate::domain::run::Run;
use crate::service::memory::Change;

/// What decides about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub id: Box<str>,
    pub rev: u64,
    pub open: bool,
    pub opened: Timestamp,
    pub last_heard: Timestamp,
}

impl Head {
    pub fn of(run: &Run) -> Self {
        Self {
            id: run.id.as_str().into(),
            rev: run.rev,
            open: run.is_open(),
            opened: run.opened,
            last_heard: run.last_heard,
        }
    }

    fn is_newer_than(&self, other: &Self) -> bool {
        (self.opened, &self.id) > (other.opened, &other.id)
    }
}

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Device {
    newest: Head,
    /// Open although a newer one exists: a run that came back, or a clock that went back.
    older_open: Option<Head>,
    /// When any of the older ones was last heard of.
    older_heard: Timestamp,
}

/// Why a commit may not be stored.
#[derive(Debug)]
pub enum Denied {
    /// This run of the device stands in the way.
    Standing {
        device: String,
        id: Box<str>,
    },
    Stale {
        run: String,
    },
    /// The tables could not be asked.
    Unread(rusqlite::Error),
}

/// Finds a run that is not its device's newest.
pub type Find<'a> = &'a dyn Fn(&str, &str) -> rusqlite::Result<Option<Head>>;

#[derive(Default)]
pub struct Heads {
    devices: HashMap<Box<str>, Device, RandomState>,
    /// What each device was before it was changed, oldest first, with a run that names it.
    before: Vec<(Arc<Run>, Before)>,
}

/// What a device was before a decision.
enum Before {
    Unknown,
    /// The same, but that its newest run stood here: revision, openness, when it was last heard of.
    NewestAt(u64, bool, Timestamp),
    Was(Device),
}

/// A moment to which the heads can go back.
#[derive(Debug, Clone, Copy)]
pub struct Mark(usize);

impl Heads {
    /// Takes in a row of the tables, in any order.
    pub fn learn(&mut self, device: &str, head: Head) {
        match self.devices.get_mut(device) {
            Some(known) => known.take(head),
            None => {
                self.devices.insert(device.into(), Device::with(head));
            }
        }
    }

    /// Where a group begins.
    pub const START: Mark = Mark(0);

    pub fn mark(&self) -> Mark {
        Mark(self.before.len())
    }

    pub fn back_to(&mut self, mark: Mark) {
        for (run, before) in self.before.drain(mark.0..).rev() {
            let device = run.device.as_str();
            match before {
                Before::Unknown => drop(self.devices.remove(device)),
                Before::NewestAt(rev, open, last_heard) => {
                    let newest = &mut self.devices.get_mut(device).expect("it was there").newest;
                    (newest.rev, newest.open, newest.last_heard) = (rev, open, last_heard);
                }
                Before::Was(was) => {
                    *self.devices.get_mut(device).expect("it was there") = was;
                }
            }
        }
    }

    /// The group is on disk: there is no way back.
    pub fn keep(&mut self) {
        self.before.clear();
    }

    /// Allows all of `changes`, or leaves everything as it was.
    pub fn decide(&mut self, changes: &[Change], find: Find) -> Result<(), Denied> {
        let mark = self.mark();
        for (index, change) in changes.iter().enumerate() {
            let earlier = &changes[..index];
            let allowed = match change {
                Change::RunOpened { run, window_micros, forced } => {
                    self.open(run, if *forced { None } else { Some(*window_micros) })
                }
                Change::RunMoved { run, from_rev } => {
                    let find = |device: &str, id: &str| match moved(earlier, id) {
                        Some(head) => Ok(Some(head)),
                        None => find(device, id),
                    };
                    self.shift(run, *from_rev, &find)
                }
                Change::Journal(_)
                | Change::Lease(_)
                | Change::Lease6(_)
                | Change::LeaseEnded { .. }
                | Change::Timer { .. }
                | Change::Outbox(_)
                | Change::OutboxSuperseded { .. }
                | Change::OutboxMoved { .. }
                | Change::OutletReference { .. }
                | Change::Served(_)
                | Change::Forget { .. }
                | Change::Stranger { .. } => Ok(()),
            };
            if let Err(denied) = allowed {
                self.back_to(mark);
                return Err(denied);
            }
        }
        Ok(())
    }

    /// No second open run, and none within the window unless a person forces it.
    fn open(&mut self, run: &Arc<Run>, window_micros: Option<i64>) -> Result<(), Denied> {
        let Some(known) = self.devices.get(run.device.as_str()) else {
            self.before.push((Arc::clone(run), Before::Unknown));
            self.devices.insert(run.device.as_str().into(), Device::with(Head::of(run)));
            return Ok(());
        };
        let too_soon = window_micros.is_some_and(|window| {
            known.heard().micros() > run.last_heard.micros().saturating_sub(window)
        });
        if known.open().is_some() || too_soon || *known.newest.id == *run.id {
            return Err(known.standing(&run.device));
        }
        self.change(run).take(Head::of(run));
        Ok(())
    }

    fn shift(&mut self, run: &Arc<Run>, from_rev: u64, find: Find) -> Result<(), Denied> {
        let stale = || Denied::Stale { run: run.id.clone() };
        let known = self.devices.get_mut(run.device.as_str()).ok_or_else(stale)?;
        let rev = match known.named(&run.id) {
            Some(head) => head.rev,
            None => find(&run.device, &run.id).map_err(Denied::Unread)?.ok_or_else(stale)?.rev,
        };
        if rev != from_rev {
            return Err(stale());
        }
        if run.is_open() && known.open().is_some_and(|open| *open.id != *run.id) {
            return Err(known.standing(&run.device));
        }
        let newest = &mut known.newest;
        if *newest.id == *run.id && newest.opened == run.opened {
            let before = Before::NewestAt(newest.rev, newest.open, newest.last_heard);
            self.before.push((Arc::clone(run), before));
            (newest.rev, newest.open, newest.last_heard) = (run.rev, run.is_open(), run.last_heard);
            return Ok(());
        }
        let head = Head::of(run);
        let known = self.change(run);
        if known.newest.id == head.id {
            known.newest = head;
        } else {
            known.older_open.take_if(|older| older.id == head.id);
            known.take(head);
        }
        Ok(())
    }

    /// The device of this run, with what it was kept for [`Heads::back_to`].
    fn change(&mut self, run: &Arc<Run>) -> &mut Device {
        let known = self.devices.get_mut(run.device.as_str()).expect("looked up by the caller");
        self.before.push((Arc::clone(run), Before::Was(known.clone())));
        known
    }

    /// Runs that closed before this and are not the newest are no longer in the tables.
    pub fn forget(&mut self, before: Timestamp) {
        for device in self.devices.values_mut() {
            if device.older_heard < before {
                device.older_heard = NEVER;
            }
        }
    }
}

/// The run of this id as the last of these changes leaves it.
fn moved(changes: &[Change], id: &str) -> Option<Head> {
    changes.iter().rev().find_map(|change| match change {
        Change::RunOpened { run, .. } | Change::RunMoved { run, .. } if *run.id == *id => {
            Some(Head::of(run))
        }
        _ => None,
    })
}

const NEVER: Timestamp = Timestamp::from_micros(i64::MIN);

impl Device {
    fn with(newest: Head) -> Self {
        Self { newest, older_open: None, older_heard: NEVER }
    }

    fn take(&mut self, head: Head) {
        let older = if head.is_newer_than(&self.newest) {
            std::mem::replace(&mut self.newest, head)
        } else {
            head
        };
        self.older_heard = self.older_heard.max(older.last_heard);
        if older.open {
            self.older_open = Some(older);
        }
    }

    fn open(&self) -> Option<&Head> {
        if self.newest.open { Some(&self.newest) } else { self.older_open.as_ref() }
    }

    fn named(&self, id: &str) -> Option<&Head> {
        [Some(&self.newest), self.older_open.as_ref()]
            .into_iter()
            .flatten()
            .find(|head| *head.id == *id)
    }

    fn heard(&self) -> Timestamp {
        self.newest.last_heard.max(self.older_heard)
    }

    /// The open run, or else the newest.
    fn standing(&self, device: &str) -> Denied {
        let id = self.open().unwrap_or(&self.newest).id.clone();
        Denied::Standing { device: device.to_owned(), id }
    }
}
