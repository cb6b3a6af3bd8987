//! The reader: questions of the service, each its one statement.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tokio::sync::mpsc;

use crate::service::memory::{Query, Refused};
use crate::store::{rows, unavailable};

pub async fn run(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Query>) {
    while let Some(query) = waiting.recv().await {
        answer(&mut connection, query).await;
    }
}

const LATEST: &str = "SELECT body FROM runs AS r WHERE NOT EXISTS (
    SELECT 1 FROM runs AS later WHERE later.device = r.device
    AND (later.opened > r.opened OR (later.opened = r.opened AND later.id > r.id)))
    ORDER BY device";

/// The lowest open row of each subject, if it is due: what comes later waits for it.
const DUE: &str = "SELECT * FROM outbox AS o WHERE outlet = $1
    AND state IN ('pending', 'sending', 'unclear') AND next_at <= $2
    AND NOT EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.outlet = o.outlet
        AND earlier.subject = o.subject AND earlier.id < o.id
        AND earlier.state IN ('pending', 'sending', 'unclear'))
    ORDER BY id LIMIT $3";

async fn answer(connection: &mut SqliteConnection, query: Query) {
    match query {
        Query::OpenRuns(reply) => {
            let found = sqlx::query("SELECT body FROM runs WHERE open = 1 ORDER BY opened");
            send(reply, found.fetch_all(connection).await, rows::run);
        }
        Query::LatestRuns(reply) => {
            send(reply, sqlx::query(LATEST).fetch_all(connection).await, rows::run);
        }
        Query::LatestRunOf { device, reply } => {
            let found = sqlx::query(
                "SELECT body FROM runs WHERE device = $1 ORDER BY opened DESC, id DESC LIMIT 1",
            )
            .bind(device)
            .fetch_optional(connection)
            .await;
            let run = found.and_then(|row| row.as_ref().map(rows::run).transpose());
            let _ = reply.send(run.map_err(|error| unavailable(&error)));
        }
        Query::Journal { device, last, reply } => {
            let found = sqlx::query(
                "SELECT * FROM (SELECT * FROM journal WHERE device = $1
                 ORDER BY row DESC LIMIT $2) ORDER BY row",
            )
            .bind(device)
            .bind(i64::from(last));
            send(reply, found.fetch_all(connection).await, rows::journal_line);
        }
        Query::JournalAfter { row, limit, reply } => {
            let found = sqlx::query("SELECT * FROM journal WHERE row > $1 ORDER BY row LIMIT $2")
                .bind(row)
                .bind(i64::from(limit));
            send(reply, found.fetch_all(connection).await, |row| {
                Ok((row.try_get("row")?, rows::journal_line(row)?))
            });
        }
        Query::Leases(reply) => {
            send(
                reply,
                sqlx::query("SELECT * FROM leases").fetch_all(connection).await,
                rows::lease,
            );
        }
        Query::Leases6(reply) => {
            let found = sqlx::query("SELECT * FROM leases6").fetch_all(connection).await;
            send(reply, found, rows::lease6);
        }
        Query::Quarantined(reply) => {
            let found = sqlx::query("SELECT * FROM quarantine").fetch_all(connection).await;
            send_as(reply, found, |row| {
                let address: String = row.try_get("address")?;
                let address = address.parse().map_err(|why: std::net::AddrParseError| {
                    sqlx::Error::Decode(why.to_string().into())
                })?;
                Ok((address, rows::moment(row, "until")?))
            });
        }
        Query::Timers(reply) => {
            let found = sqlx::query("SELECT * FROM timers").fetch_all(connection).await;
            send(reply, found, |row| {
                Ok((row.try_get("run")?, row.try_get("name")?, rows::moment(row, "at")?))
            });
        }
        other @ (Query::OutboxDue { .. }
        | Query::OutboxOf { .. }
        | Query::OutletReference { .. }
        | Query::Served { .. }
        | Query::Strangers(_)) => outward(connection, other).await,
    }
}

/// Questions about what goes out and who came in.
async fn outward(connection: &mut SqliteConnection, query: Query) {
    match query {
        Query::OutboxDue { outlet, now, limit, reply } => {
            let found = sqlx::query(DUE).bind(outlet).bind(now.micros()).bind(i64::from(limit));
            send(reply, found.fetch_all(connection).await, rows::delivery);
        }
        Query::OutboxOf { subject, reply } => {
            let found =
                sqlx::query("SELECT * FROM outbox WHERE subject = $1 ORDER BY id").bind(subject);
            send(reply, found.fetch_all(connection).await, rows::delivery);
        }
        Query::OutletReference { outlet, subject, reply } => {
            let found = sqlx::query_scalar(
                "SELECT reference FROM outlet_references WHERE outlet = $1 AND subject = $2",
            )
            .bind(outlet)
            .bind(subject)
            .fetch_optional(connection)
            .await;
            let _ = reply.send(found.map_err(|error| unavailable(&error)));
        }
        Query::Served { device, last, reply } => {
            let found =
                sqlx::query("SELECT * FROM served WHERE device = $1 ORDER BY row DESC LIMIT $2")
                    .bind(device)
                    .bind(i64::from(last));
            send(reply, found.fetch_all(connection).await, rows::served);
        }
        Query::Strangers(reply) => {
            let found = sqlx::query("SELECT * FROM strangers ORDER BY last DESC LIMIT 1000");
            send(reply, found.fetch_all(connection).await, rows::stranger);
        }
        Query::OpenRuns(_)
        | Query::LatestRuns(_)
        | Query::LatestRunOf { .. }
        | Query::Journal { .. }
        | Query::JournalAfter { .. }
        | Query::Leases(_)
        | Query::Leases6(_)
        | Query::Quarantined(_)
        | Query::Timers(_) => unreachable!("answered above"),
    }
}

type Found = Result<Vec<SqliteRow>, sqlx::Error>;
type Answer<T> = tokio::sync::oneshot::Sender<Result<T, Refused>>;

fn send<T>(reply: Answer<Vec<T>>, found: Found, read: fn(&SqliteRow) -> Result<T, sqlx::Error>) {
    send_as(reply, found, read);
}

/// Reads every row or says why not. Whoever no longer waits gets nothing.
fn send_as<T, C: FromIterator<T>>(
    reply: Answer<C>,
    found: Found,
    read: impl Fn(&SqliteRow) -> Result<T, sqlx::Error>,
) {
    let rows: Result<C, sqlx::Error> = found.and_then(|found| found.iter().map(read).collect());
    let _ = reply.send(rows.map_err(|error| unavailable(&error)));
}
