//! How does what is in the log come into the tables? In sweeps of slices: a slice is one
//! transaction of some milliseconds, between which commits go on.
//!
//! A slice is not flushed by itself (`synchronous=NORMAL`). The log rows it brings over are on disk
//! already; they are deleted in the last slice of their sweep, so either the tables have them or
//! the log has. SQLite keeps the order of transactions in its write-ahead log and flushes that
//! before it copies from it (<https://sqlite.org/wal.html>), and the next commit flushes the slices
//! before it: what is lost with the power is a tail of slices, whose log rows are then still there.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::service::memory::UNTIL_A_NEW_START;
use crate::store::backlog::Sweep;
use crate::store::desk::Ticket;
use crate::store::forget::forget;
use crate::store::keeper::{BACKLOG_BYTES, BACKLOG_BYTES_MAX, Keeper};
use crate::store::write;

/// Entries in one slice: some 10 ms. Pages that several of them change are written once a slice.
pub const SLICE: usize = 2000;

/// Pages of 4 KiB in the write-ahead log (8 MiB) from which on they are copied to their places:
/// few enough that copying takes some milliseconds, many enough that a page which changes often is
/// copied seldom.
const CHECKPOINT_PAGES: i32 = 2048;

/// How far a slice came.
enum Step {
    /// This many entries of the sweep are in the tables, that many of them count.
    Written { written: usize, applied: u64 },
    /// The sweep is in the tables, and out of the log.
    Done,
}

impl Keeper {
    pub fn sweeping(&self) -> bool {
        !self.backlog.sweeps.is_empty() && self.broken.is_none()
    }

    pub fn has_much(&self) -> bool {
        self.backlog.weight() >= BACKLOG_BYTES
    }

    pub fn has_too_much(&self) -> bool {
        self.backlog.weight() >= BACKLOG_BYTES_MAX
    }

    /// Brings everything to the tables that is in the log, unless the disk does not take it.
    pub fn apply_all(&mut self) {
        self.backlog.seal();
        self.stuck = None;
        while self.sweeping() && self.stuck.is_none() {
            self.slice();
            self.checkpoint();
        }
    }

    /// A question waits for tables that are up to date.
    pub fn ask(&mut self, ticket: Ticket) {
        if let Some(why) = &self.broken {
            return ticket.refuse(why);
        }
        self.questions.ask(ticket, &mut self.backlog);
    }

    /// Brings some of it to the tables.
    pub fn slice(&mut self) {
        if !self.sweeping() {
            return;
        }
        self.questions.wait_for_snapshots();
        let stepped = self.flushing(false).and_then(|()| {
            let Self { backlog, connection, applied, slice_entries, .. } = self;
            let sweep = backlog.sweeps.front().expect("a sweep is under way");
            step(connection, sweep, *applied, *slice_entries)
        });
        match stepped {
            Ok(Step::Written { written, applied }) => {
                self.stuck = None;
                self.applied = applied;
                self.backlog.sweeps.front_mut().expect("just stepped").written = written;
            }
            Ok(Step::Done) => {
                self.stuck = None;
                self.applied = 0;
                self.backlog.sweeps.pop_front();
                self.questions.swept();
            }
            Err(error) => self.trouble(&error),
        }
    }

    fn trouble(&mut self, error: &rusqlite::Error) {
        let why = error.to_string();
        self.distrust(error);
        if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) {
            tracing::error!(
                why,
                "the store's tables contradict its log: nothing more is taken, and the log is kept"
            );
            self.broken =
                Some(format!("the tables contradict the log: {why}; {UNTIL_A_NEW_START}"));
        } else if self.stuck.is_none() {
            tracing::error!(why, "the store's tables cannot be written; it is tried again");
        }
        self.questions.refuse(&why);
        self.stuck = Some(why);
    }

    /// Copies the write-ahead log to its places when it has grown. While a reader looks at older
    /// pages it cannot begin anew, and grows further; then so many pages more are waited for.
    pub fn checkpoint(&mut self) {
        let pages = self.wal_pages.load(Ordering::Relaxed);
        if pages < self.copied_pages {
            // SQLite began at the front again.
            self.copied_pages = 0;
        }
        if pages - self.copied_pages < CHECKPOINT_PAGES {
            return;
        }
        self.copied_pages = pages;
        let passive = "PRAGMA wal_checkpoint(PASSIVE)";
        if let Err(error) = self.connection.query_row(passive, (), |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log was not copied to its places");
            self.distrust(&error);
        }
    }

    /// Whether transactions from now on are flushed one by one.
    pub fn flushing(&mut self, wanted: bool) -> rusqlite::Result<()> {
        if self.flushing != wanted {
            let level = if wanted { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.flushing = wanted;
        }
        Ok(())
    }
}

fn step(
    connection: &mut Connection,
    sweep: &Sweep,
    applied: u64,
    entries: usize,
) -> rusqlite::Result<Step> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let end = sweep.writes.len().min(sweep.written + entries);
    let mut count = applied;
    let mut pen = write::Pen::new(&transaction);
    for entry in &sweep.writes[sweep.written..end] {
        pen.write(entry)?;
        count += u64::from(entry.is_appended());
    }
    pen.end()?;
    let more = end < sweep.writes.len()
        || match sweep.forget {
            Some(before) => forget(&transaction, before)?,
            None => false,
        };
    if more {
        if count != applied {
            transaction
                .prepare_cached("UPDATE applied SET entries = ?1")?
                .execute([write::number(count)])?;
        }
        transaction.commit()?;
        return Ok(Step::Written { written: end, applied: count });
    }
    transaction.prepare_cached("DELETE FROM log WHERE batch <= ?1")?.execute([sweep.through])?;
    transaction.prepare_cached("UPDATE applied SET entries = 0 WHERE entries <> 0")?.execute(())?;
    transaction.commit()?;
    Ok(Step::Done)
}
