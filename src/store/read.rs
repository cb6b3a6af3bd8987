//! The reader's thread: questions of the service, each its one statement.

use rusqlite::{Connection, OptionalExtension, Params, Row};
use tokio::sync::mpsc;

use crate::service::memory::{Query, Refused};
use crate::store::desk::Desk;
use crate::store::entry::Tables;
use crate::store::{rows, unavailable};

/// Questions answered from one state: what waits together asks the writer once.
const TOGETHER: usize = 64;

pub fn run(connection: &Connection, desk: &Desk, mut waiting: mpsc::Receiver<Query>) {
    let mut queries = Vec::new();
    while let Some(query) = waiting.blocking_recv() {
        queries.push(query);
        while queries.len() < TOGETHER
            && let Ok(query) = waiting.try_recv()
        {
            queries.push(query);
        }
        let state = fixed(connection, desk, &queries);
        for query in queries.drain(..) {
            answer(&state, query);
        }
        if state.is_ok()
            && let Err(error) = connection.execute_batch("COMMIT")
        {
            tracing::error!(%error, "the reader could not let go of its state");
        }
    }
}

/// What a question is answered from: a state of the tables that has everything committed before.
type State<'a> = Result<&'a Connection, Refused>;

fn fixed<'a>(connection: &'a Connection, desk: &Desk, queries: &[Query]) -> State<'a> {
    let tables = queries.iter().map(Tables::of).fold(Tables::default(), Tables::with);
    let pass = desk.up_to_date(tables)?;
    connection.execute_batch("BEGIN").map_err(|error| unavailable(&error))?;
    // The first reading fixes the state.
    let read = connection.query_row("SELECT entries FROM applied", (), |_| Ok(()));
    drop(pass);
    read.map_err(|error| {
        let _ = connection.execute_batch("ROLLBACK");
        unavailable(&error)
    })?;
    Ok(connection)
}

const LATEST: &str = "SELECT body FROM runs AS r WHERE NOT EXISTS (
    SELECT 1 FROM runs AS later WHERE later.device = r.device
    AND (later.opened > r.opened OR (later.opened = r.opened AND later.id > r.id)))
    ORDER BY device";

/// The lowest open row of each subject, if it is due: what comes later waits for it.
const DUE: &str = "SELECT * FROM outbox AS o WHERE outlet = ?1
    AND state IN ('pending', 'sending', 'unclear') AND next_at <= ?2
    AND NOT EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.outlet = o.outlet
        AND earlier.subject = o.subject AND earlier.id < o.id
        AND earlier.state IN ('pending', 'sending', 'unclear'))
    ORDER BY id LIMIT ?3";

const JOURNAL: &str = "SELECT * FROM (SELECT * FROM journal WHERE device = ?1
    ORDER BY row DESC LIMIT ?2) ORDER BY row";

/// Whoever no longer waits gets nothing.
fn answer(state: &State, query: Query) {
    match query {
        Query::OpenRuns(reply) => {
            let sql = "SELECT body FROM runs WHERE open = 1 ORDER BY opened";
            let _ = reply.send(all(state, sql, (), rows::run));
        }
        Query::LatestRuns(reply) => drop(reply.send(all(state, LATEST, (), rows::run))),
        Query::LatestRunOf { device, reply } => {
            let sql =
                "SELECT body FROM runs WHERE device = ?1 ORDER BY opened DESC, id DESC LIMIT 1";
            let _ = reply.send(one(state, sql, [device], rows::run));
        }
        Query::Journal { device, last, reply } => {
            let _ = reply.send(all(state, JOURNAL, (device, last), rows::journal_line));
        }
        Query::JournalAfter { row, limit, reply } => {
            let sql = "SELECT * FROM journal WHERE row > ?1 ORDER BY row LIMIT ?2";
            let _ = reply.send(all(state, sql, (row, limit), rows::numbered_line));
        }
        Query::Leases(reply) => {
            let _ = reply.send(all(state, "SELECT * FROM leases", (), rows::lease));
        }
        Query::Leases6(reply) => {
            let _ = reply.send(all(state, "SELECT * FROM leases6", (), rows::lease6));
        }
        Query::Quarantined(reply) => {
            let _ = reply.send(all(state, "SELECT * FROM quarantine", (), rows::resting));
        }
        Query::Timers(reply) => {
            let _ = reply.send(all(state, "SELECT * FROM timers", (), rows::timer));
        }
        Query::OutboxDue { outlet, now, limit, reply } => {
            let _ = reply.send(all(state, DUE, (outlet, now.micros(), limit), rows::delivery));
        }
        Query::OutboxOf { subject, reply } => {
            let sql = "SELECT * FROM outbox WHERE subject = ?1 ORDER BY id";
            let _ = reply.send(all(state, sql, [subject], rows::delivery));
        }
        Query::OutletReference { outlet, subject, reply } => {
            let sql = "SELECT reference FROM outlet_references WHERE outlet = ?1 AND subject = ?2";
            let _ = reply.send(one(state, sql, (outlet, subject), |row| row.get(0)));
        }
        Query::Served { device, last, reply } => {
            let sql = "SELECT * FROM served WHERE device = ?1 ORDER BY row DESC LIMIT ?2";
            let _ = reply.send(all(state, sql, (device, last), rows::served));
        }
        Query::Strangers(reply) => {
            let sql = "SELECT * FROM strangers ORDER BY last DESC LIMIT 1000";
            let _ = reply.send(all(state, sql, (), rows::stranger));
        }
    }
}

/// Reads every row or says why not.
fn all<T, C: FromIterator<T>>(
    state: &State,
    sql: &str,
    params: impl Params,
    read: fn(&Row) -> rusqlite::Result<T>,
) -> Result<C, Refused> {
    let connection = state.clone()?;
    let found = || -> rusqlite::Result<C> {
        connection.prepare_cached(sql)?.query_map(params, read)?.collect()
    };
    found().map_err(|error| unavailable(&error))
}

fn one<T>(
    state: &State,
    sql: &str,
    params: impl Params,
    read: fn(&Row) -> rusqlite::Result<T>,
) -> Result<Option<T>, Refused> {
    let connection = state.clone()?;
    let found = || connection.prepare_cached(sql)?.query_row(params, read).optional();
    found().map_err(|error| unavailable(&error))
}
