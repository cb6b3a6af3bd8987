//! Who may write: decides about commits, brings them to the log with one flush, and gives receipts.
//! `apply` brings what is in the log to the tables.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use rusqlite::{Connection, OptionalExtension, ffi};

use crate::domain::run::Run;
use crate::error::Error;
use crate::receipt::Committed;
use crate::service::memory::{Change, Commit, Refused, UNTIL_A_NEW_START};
use crate::store::apply::SLICE;
use crate::store::backlog::Backlog;
use crate::store::desk::Questions;
use crate::store::entry::{self, Entry};
use crate::store::file::{self, Lock, trouble};
use crate::store::heads::{Denied, Head, Heads};
use crate::store::{rows, schema, unavailable};

/// Bytes of one log row, about: some milliseconds of writing, in which the next group gathers.
const GROUP_BYTES: usize = 2 << 20;

/// Bytes that may wait in memory and in the log (12 MiB: some 2,000 transfers, and most of a second
/// under full load, in which a transfer begins and ends). Beyond, the tables are brought up to date
/// while commits go on.
pub const BACKLOG_BYTES: usize = 12 << 20;

/// Beyond, commits wait until some of it is in the tables; if the tables cannot be written, they
/// are refused.
pub const BACKLOG_BYTES_MAX: usize = 4 * BACKLOG_BYTES;

pub struct Keeper {
    pub connection: Connection,
    heads: Heads,
    pub backlog: Backlog,
    /// The newest log row.
    batch: i64,
    /// The encoded group, kept for its room.
    body: Vec<u8>,
    /// `applied` in the tables.
    pub applied: u64,
    pub questions: Questions,
    /// Pages in the write-ahead log, as SQLite says after each commit.
    pub wal_pages: Arc<AtomicI32>,
    /// How many of them were copied to their places, or found to be in use.
    pub copied_pages: i32,
    /// Entries in one slice.
    pub slice_entries: usize,
    /// A commit is flushed by itself (`synchronous=FULL`); a slice need not be.
    pub flushing: bool,
    /// Why the tables could not be written; it is tried again.
    pub stuck: Option<String>,
    /// Nothing more is taken until a new start: the tables contradict what was decided, which is
    /// our own mistake, or the disk lost what it had taken.
    pub broken: Option<String>,
    /// Held as long as the connection.
    _lock: Lock,
}

impl Keeper {
    /// Opens the store for writing, brings what a killed process left in the log to the tables,
    /// and learns the heads.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let lock = Lock::take(path)?;
        file::private(path)?;
        let mut connection = file::connect(path)?;
        schema::make(&mut connection).map_err(|why| match why {
            schema::Trouble::Sqlite(error) => trouble("making the tables of", path, error),
            schema::Trouble::Later { step } => {
                let why = format!("step {step} of its tables is not known to this version");
                trouble("reading", path, why).hint("start the version that wrote it")
            }
        })?;
        let wal_pages = Arc::new(AtomicI32::new(0));
        file::tell_pages(&mut connection, Arc::clone(&wal_pages))
            .map_err(|error| trouble("opening", path, error))?;
        let mut keeper = Self {
            connection,
            heads: Heads::default(),
            backlog: Backlog::default(),
            batch: 0,
            body: Vec::new(),
            applied: 0,
            questions: Questions::default(),
            wal_pages,
            copied_pages: 0,
            slice_entries: SLICE,
            flushing: true,
            stuck: None,
            broken: None,
            _lock: lock,
        };
        keeper.replay(path)?;
        keeper.learn().map_err(|error| trouble("reading the runs of", path, error))?;
        Ok(keeper)
    }

    /// Reads what is left in the log and brings it to the tables.
    fn replay(&mut self, path: &Path) -> Result<(), Error> {
        self.read_log().map_err(|why| {
            trouble("reading the log of", path, why).hint(
                "the version that wrote it reads it: start that one, stop it, and start this one; \
                 nothing in the file has been changed",
            )
        })?;
        if self.backlog.is_empty() {
            return Ok(());
        }
        self.apply_all();
        match self.broken.take().or_else(|| self.stuck.take()) {
            Some(why) => Err(trouble("bringing up to date", path, why)),
            None => {
                tracing::info!(
                    through = self.batch,
                    "what was in the store's log is in its tables"
                );
                Ok(())
            }
        }
    }

    fn read_log(&mut self) -> Result<(), String> {
        let in_sql = |error: rusqlite::Error| error.to_string();
        let skip: i64 = self
            .connection
            .query_row("SELECT entries FROM applied", (), |row| row.get(0))
            .map_err(in_sql)?;
        self.applied = u64::try_from(skip).map_err(|why| why.to_string())?;
        let mut backlog = Backlog::resuming(self.applied);
        let mut statement = self
            .connection
            .prepare("SELECT batch, format, body FROM log ORDER BY batch")
            .map_err(in_sql)?;
        let mut found = statement.query(()).map_err(in_sql)?;
        while let Some(row) = found.next().map_err(in_sql)? {
            self.batch = row.get(0).map_err(in_sql)?;
            let format = row.get(1).map_err(in_sql)?;
            let body = row.get_ref(2).map_err(in_sql)?;
            let body = body.as_blob().map_err(|why| why.to_string())?;
            let entries = entry::decode(format, body);
            let entries = entries.map_err(|why| format!("batch {}: {why}", self.batch))?;
            backlog.take(self.batch, entries, body.len());
        }
        self.backlog = backlog;
        Ok(())
    }

    fn learn(&mut self) -> rusqlite::Result<()> {
        let mut statement = self
            .connection
            .prepare("SELECT id, device, open, rev, opened, last_heard FROM runs")?;
        let mut found = statement.query(())?;
        while let Some(row) = found.next()? {
            self.heads.learn(row.get_ref("device")?.as_str()?, rows::head(row)?);
        }
        Ok(())
    }

    /// Decides about what waits, up to a group's size, flushes it and sends the receipts.
    pub fn store(&mut self, waiting: &mut VecDeque<Commit>) {
        let mut group = Vec::with_capacity(waiting.len());
        let changes = waiting.iter().map(|commit| commit.changes.len()).sum();
        let mut entries = Vec::with_capacity(changes);
        self.body.clear();
        let refused = self.refusing();
        while let Some(Commit { changes, receipt }) = waiting.pop_front() {
            let last = changes.iter().any(|change| matches!(change, Change::Forget { .. }));
            let outcome = match &refused {
                Some(why) => Err(Refused::Unavailable { why: why.clone() }),
                None => self.admit(changes, &mut entries),
            };
            group.push((receipt, outcome));
            if last || self.body.len() >= GROUP_BYTES {
                break;
            }
        }
        let failed = if entries.is_empty() { None } else { self.flush().err() };
        if let Some(error) = &failed {
            tracing::error!(%error, "the store did not take a group of {}", group.len());
            self.distrust(error);
            self.heads.back_to(Heads::START);
        } else {
            self.keep(entries);
        }
        // Numbers begin with 1 also where nothing had to be stored.
        let batch = u64::try_from(self.batch.max(1)).unwrap_or(1);
        for (receipt, outcome) in group {
            let answer = match (&failed, outcome) {
                (Some(error), Ok(())) => Err(match &self.broken {
                    Some(why) => Refused::Unavailable { why: why.clone() },
                    None => unavailable(error),
                }),
                (_, outcome) => outcome.map(|()| Committed::by_the_store(batch)),
            };
            // Whoever no longer waits will ask again.
            let _ = receipt.send(answer);
        }
    }

    /// After a failed flush the kernel takes its pages for written, and a second flush of the same
    /// pages succeeds without them being on the disk
    /// (<https://wiki.postgresql.org/wiki/Fsync_Errors>): from then on nothing is confirmed any
    /// more. A new start reads what the disk has.
    pub fn distrust(&mut self, error: &rusqlite::Error) {
        let code = error.sqlite_error().map(|error| error.extended_code);
        let flush = matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC));
        if flush && self.broken.is_none() {
            tracing::error!(
                %error,
                "the disk could not flush the store: nothing more is taken until Greenlight is \
                 started anew; look at the disk first"
            );
            self.broken =
                Some(format!("the disk could not flush it ({error}); {UNTIL_A_NEW_START}"));
            self.questions.refuse("the disk could not flush it");
        }
    }

    /// Why nothing can be taken at present.
    fn refusing(&self) -> Option<String> {
        let full = self.backlog.weight() >= BACKLOG_BYTES_MAX;
        self.broken.clone().or_else(|| self.stuck.clone().filter(|_| full))
    }

    /// All changes of a commit go to the group, or none.
    fn admit(&mut self, changes: Vec<Change>, entries: &mut Vec<Entry>) -> Result<(), Refused> {
        let Self { heads, backlog, connection, body, .. } = self;
        let mark = heads.mark();
        let find = |device: &str, id: &str| find(connection, backlog, entries, (device, id));
        heads.decide(&changes, &find).map_err(|denied| match denied {
            Denied::Stale { run } => Refused::Stale { run },
            Denied::Unread(error) => unavailable(&error),
            Denied::Standing { device, id } => {
                match standing(connection, backlog, entries, (&device, &id)) {
                    Ok(run) => Refused::AlreadyOpen { run },
                    Err(error) => within(&changes, &id).unwrap_or_else(|| unavailable(&error)),
                }
            }
        })?;
        let (first, start) = (entries.len(), body.len());
        for change in changes {
            let entry = Entry::of(change);
            if let Err(why) = entry.encode(body) {
                heads.back_to(mark);
                entries.truncate(first);
                body.truncate(start);
                return Err(Refused::Unavailable { why });
            }
            entries.push(entry);
        }
        Ok(())
    }

    /// One row, one transaction, one flush.
    fn flush(&mut self) -> rusqlite::Result<()> {
        self.flushing(true)?;
        let flushed = self
            .connection
            .prepare_cached("INSERT INTO log (batch, format, body) VALUES (?1, ?2, ?3)")?
            .execute((self.batch + 1, entry::FORMAT, &self.body));
        if flushed.is_err()
            && !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a group that failed could not be taken back");
        }
        // The first trouble is the one that tells.
        flushed.map(drop)
    }

    /// What is on disk is true from now on.
    fn keep(&mut self, entries: Vec<Entry>) {
        self.heads.keep();
        if entries.is_empty() {
            return;
        }
        self.batch += 1;
        for entry in &entries {
            if let Entry::Forget { before } = entry {
                self.heads.forget(*before);
            }
        }
        self.backlog.take(self.batch, entries, self.body.len());
        self.body.shrink_to(GROUP_BYTES);
    }
}

/// The newest state of a run, wherever it stands: in this group, in the backlog, in its table.
fn find(
    connection: &Connection,
    backlog: &Backlog,
    group: &[Entry],
    (device, id): (&str, &str),
) -> rusqlite::Result<Option<Head>> {
    if let Some(run) = in_group(group, id).or_else(|| backlog.run(id)) {
        return Ok(Some(Head::of(run)));
    }
    connection
        .prepare_cached(
            "SELECT id, open, rev, opened, last_heard FROM runs WHERE device = ?1 AND id = ?2",
        )?
        .query_row([device, id], rows::head)
        .optional()
}

/// Of two runs that one commit opens for a device, the first stands in the way of the second.
fn within(changes: &[Change], id: &str) -> Option<Refused> {
    changes.iter().find_map(|change| match change {
        Change::RunOpened { run, .. } if run.id == *id => {
            Some(Refused::AlreadyOpen { run: Arc::clone(run) })
        }
        _ => None,
    })
}

fn standing(
    connection: &Connection,
    backlog: &Backlog,
    group: &[Entry],
    (device, id): (&str, &str),
) -> rusqlite::Result<Arc<Run>> {
    if let Some(run) = in_group(group, id).or_else(|| backlog.run(id)) {
        return Ok(Arc::clone(run));
    }
    connection
        .prepare_cached("SELECT body FROM runs WHERE device = ?1 AND id = ?2")?
        .query_row([device, id], rows::run)
        .map(Arc::new)
}

fn in_group<'a>(group: &'a [Entry], id: &str) -> Option<&'a Arc<Run>> {
    group.iter().rev().find_map(|entry| {
        if let Entry::Run(run) = entry { (run.id == id).then_some(run) } else { None }
    })
}
