//! The tables, as numbered steps. A step that has shipped is never changed; a new one is added.

use rusqlite::Connection;

const STEPS: [&[&str]; 3] = [FIRST, SECOND, THIRD];

const FIRST: &[&str] = &[
    // What is confirmed and not yet in the other tables: a row per group of commits.
    "CREATE TABLE log (batch INTEGER PRIMARY KEY, format BIGINT NOT NULL, body BLOB NOT NULL)",
    // How many of the log's entries that count (lines, messages, files, strangers) are in the
    // tables already. One row.
    "CREATE TABLE applied (entries BIGINT NOT NULL)",
    "INSERT INTO applied (entries) VALUES (0)",
    // Runs. `body` is the run as JSON; the columns before it are what constraints and questions
    // need. `device, opened, id` never change.
    "CREATE TABLE runs (
        row INTEGER PRIMARY KEY, id TEXT NOT NULL, device TEXT NOT NULL, open BIGINT NOT NULL,
        rev BIGINT NOT NULL, opened BIGINT NOT NULL, last_heard BIGINT NOT NULL,
        body TEXT NOT NULL)",
    "CREATE UNIQUE INDEX runs_by_device ON runs (device, opened, id)",
    // One open run a device. The writer has decided so before; this is the guard against itself.
    "CREATE UNIQUE INDEX runs_one_open ON runs (device) WHERE open = 1",
    "CREATE TABLE journal (
        row INTEGER PRIMARY KEY, run TEXT NOT NULL, seq BIGINT NOT NULL, device TEXT NOT NULL,
        at BIGINT NOT NULL, topic TEXT NOT NULL, text TEXT NOT NULL)",
    "CREATE UNIQUE INDEX journal_by_device ON journal (device, run, seq)",
    // Addresses and MACs are numbers: a 32-bit and a 48-bit one.
    "CREATE TABLE leases (
        address INTEGER PRIMARY KEY, mac BIGINT NOT NULL, client_id TEXT NOT NULL, device TEXT,
        relay_information TEXT NOT NULL, granted BIGINT NOT NULL, expires BIGINT NOT NULL)",
    // IPv6 addresses are 16 bytes.
    "CREATE TABLE leases6 (
        address BLOB PRIMARY KEY, duid TEXT NOT NULL, iaid BIGINT NOT NULL, mac BIGINT,
        device TEXT, granted BIGINT NOT NULL, expires BIGINT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE quarantine (address TEXT PRIMARY KEY, until BIGINT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE timers (
        run TEXT NOT NULL, name TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (run, name))
        WITHOUT ROWID",
    "CREATE TABLE outbox (
        id INTEGER PRIMARY KEY, outlet TEXT NOT NULL, subject TEXT NOT NULL, key TEXT NOT NULL,
        kind TEXT NOT NULL, payload TEXT NOT NULL, state TEXT NOT NULL, attempts BIGINT NOT NULL,
        created BIGINT NOT NULL, next_at BIGINT NOT NULL, note TEXT NOT NULL)",
    "CREATE UNIQUE INDEX outbox_by_key ON outbox (outlet, key)",
    "CREATE INDEX outbox_open ON outbox (outlet, subject, id)
        WHERE state IN ('pending', 'sending', 'unclear')",
    "CREATE INDEX outbox_by_subject ON outbox (subject, id)",
    "CREATE TABLE outlet_references (
        outlet TEXT NOT NULL, subject TEXT NOT NULL, reference TEXT NOT NULL,
        PRIMARY KEY (outlet, subject)) WITHOUT ROWID",
    "CREATE TABLE served (
        row INTEGER PRIMARY KEY, run TEXT, device TEXT NOT NULL, name_asked TEXT NOT NULL,
        transport TEXT NOT NULL, bytes BIGINT NOT NULL, sha256 TEXT NOT NULL,
        complete BIGINT NOT NULL, at BIGINT NOT NULL)",
    "CREATE INDEX served_by_device ON served (device, row)",
    "CREATE TABLE strangers (
        key TEXT PRIMARY KEY, description TEXT NOT NULL, first BIGINT NOT NULL,
        last BIGINT NOT NULL, count BIGINT NOT NULL) WITHOUT ROWID",
];

/// A line is written once because what is applied is counted, and questions ask for a device's
/// newest lines: an index of the device alone is a third of the one with run and number.
const SECOND: &[&str] =
    &["DROP INDEX journal_by_device", "CREATE INDEX journal_of_device ON journal (device)"];

/// From here on `body` of `runs` is a BLOB as `short` writes it, and JSON only where an earlier
/// version wrote it, which cannot read the other: the number of this step tells that version so.
const THIRD: &[&str] = &[];

/// Why the tables could not be made.
#[derive(Debug)]
pub enum Trouble {
    Sqlite(rusqlite::Error),
    /// A step that this version does not know.
    Later {
        step: i64,
    },
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Trouble::Sqlite(error)
    }
}

/// Brings the tables to the newest step, each step in one transaction.
pub fn make(connection: &mut Connection) -> Result<(), Trouble> {
    connection
        .execute_batch("CREATE TABLE IF NOT EXISTS schema_steps (step BIGINT PRIMARY KEY)")?;
    let done: i64 =
        connection.query_row("SELECT COUNT(*) FROM schema_steps", (), |row| row.get(0))?;
    let done = usize::try_from(done).unwrap_or(0);
    if done > STEPS.len() {
        return Err(Trouble::Later { step: i64::try_from(done).unwrap_or(i64::MAX) });
    }
    for (number, statements) in STEPS.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        for statement in *statements {
            transaction.execute_batch(statement)?;
        }
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        transaction.execute("INSERT INTO schema_steps (step) VALUES (?1)", [number])?;
        transaction.commit()?;
    }
    Ok(())
}
