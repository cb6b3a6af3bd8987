//! The store's files: who may read them, and that one process writes them.

use std::fmt::Display;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::{Code, Error};

/// How long the one who had the store before may take to end: a restart overlaps.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

/// What SQLite may hold of the file in memory, in KiB and as SQLite wants it: a sweep finds the
/// pages it has just written.
const CACHE: i64 = -8192;

/// To this the write-ahead log is cut when a long question had let it grow.
const WAL_BYTES: i64 = 32 << 20;

/// Statements that SQLite keeps prepared: more than there are.
const STATEMENTS: usize = 64;

pub fn trouble(doing: &str, path: &Path, why: impl Display) -> Error {
    Error::new(Code::Store, format!("{doing} the store {}: {why}", path.display()))
        .hint("the directory must exist, be writable and have space")
}

/// Opens the file, or makes it.
pub fn connect(path: &Path) -> Result<Connection, Error> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", CACHE)?;
        connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
        // The writer checkpoints after the receipts, not before them.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        Ok(connection)
    };
    open().map_err(|error| trouble("opening", path, error))
}

/// Has SQLite say after each commit how many pages its write-ahead log has.
pub fn tell_pages(connection: &mut Connection, pages: Arc<AtomicI32>) -> rusqlite::Result<()> {
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, now| {
        pages.store(now, Ordering::Relaxed);
        Ok(())
    }))
}

/// Makes the file, if there is none. Who may read the store reads who is where: nobody but the
/// server's own user. SQLite gives the files beside it the same rights.
pub fn private(path: &Path) -> Result<(), Error> {
    // Opened only where it is new: SQLite's locks on a file are lost when the process closes it.
    let made = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    let guarded = match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        }
        made => made.map(drop),
    };
    guarded.map_err(|error| trouble("guarding", path, error))
}

/// That no other process writes this store: the heads are true only then. The system lets go of it
/// when a process ends, however it ends. It is a file of its own, because SQLite's locks on the
/// store would be lost with it.
pub struct Lock {
    _file: File,
}

impl Lock {
    pub fn take(path: &Path) -> Result<Self, Error> {
        let beside = path.with_added_extension("lock");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&beside);
        let file = file.map_err(|error| trouble("locking", path, error))?;
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(trouble("locking", path, error)),
            }
        }
        Err(trouble("opening", path, "another process uses it")
            .hint("stop the other server, or give this one a data directory of its own"))
    }
}
