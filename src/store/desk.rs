//! Between reader and writer: before a question is answered, what was committed before it must be
//! in the tables, and while the reader fixes the state it looks at, no sweep may be half done.

use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::{mpsc, oneshot};

use crate::service::memory::{Commit, Refused};
use crate::store::backlog::Backlog;
use crate::store::entry::Tables;

/// Dropped by the reader once it sees a fixed state.
pub struct Pass {
    _held: Sender<()>,
}

/// A question's wish for tables that are up to date.
pub struct Ticket {
    tables: Tables,
    answer: Sender<Result<Pass, String>>,
}

impl Ticket {
    pub fn refuse(&self, why: &str) {
        // A reader that has ended does not mind.
        let _ = self.answer.send(Err(why.to_owned()));
    }
}

/// The reader's end.
pub struct Desk {
    tickets: Sender<Ticket>,
    /// Weak: the reader does not keep the writer alive.
    commits: mpsc::WeakSender<Commit>,
}

/// A desk, and where the writer finds its tickets.
pub fn desk(commits: &mpsc::Sender<Commit>) -> (Desk, Receiver<Ticket>) {
    let (tickets, waiting) = channel();
    (Desk { tickets, commits: commits.downgrade() }, waiting)
}

impl Desk {
    /// Waits until `tables` have everything that was committed before.
    pub fn up_to_date(&self, tables: Tables) -> Result<Pass, Refused> {
        let gone = || Refused::Unavailable { why: "the store has stopped".into() };
        let (answer, waiting) = channel();
        self.tickets.send(Ticket { tables, answer }).map_err(|_| gone())?;
        // A commit of nothing wakes the writer. If its queue is full, it is awake.
        if let Some(commits) = self.commits.upgrade() {
            let (receipt, _) = oneshot::channel();
            let _ = commits.try_send(Commit { changes: Vec::new(), receipt });
        }
        waiting.recv().map_err(|_| gone())?.map_err(|why| Refused::Unavailable { why })
    }
}

/// The writer's end.
#[derive(Default)]
pub struct Questions {
    /// With how many sweeps from now on each waits for.
    waiting: Vec<(usize, Ticket)>,
    /// Closed when the reader has its state.
    passes: Vec<Receiver<()>>,
}

impl Questions {
    /// Answers a ticket at once if nothing that waits concerns it; otherwise seals what waits.
    pub fn ask(&mut self, ticket: Ticket, backlog: &mut Backlog) {
        if !backlog.touches(ticket.tables) {
            return self.let_pass(&ticket);
        }
        backlog.seal();
        self.waiting.push((backlog.sweeps.len(), ticket));
    }

    pub fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A sweep is in the tables.
    pub fn swept(&mut self) {
        for (sweeps, _) in &mut self.waiting {
            *sweeps -= 1;
        }
        let ready: Vec<_> = self.waiting.extract_if(.., |(sweeps, _)| *sweeps == 0).collect();
        for (_, ticket) in ready {
            self.let_pass(&ticket);
        }
    }

    /// The tables cannot be brought up to date.
    pub fn refuse(&mut self, why: &str) {
        for (_, ticket) in self.waiting.drain(..) {
            ticket.refuse(why);
        }
    }

    fn let_pass(&mut self, ticket: &Ticket) {
        let (held, pass) = channel();
        if ticket.answer.send(Ok(Pass { _held: held })).is_ok() {
            self.passes.push(pass);
        }
    }

    /// Called before a slice: the reader takes some microseconds from its pass to its state.
    pub fn wait_for_snapshots(&mut self) {
        for pass in self.passes.drain(..) {
            let _ = pass.recv();
        }
    }
}
