//! Letting go of what is old, so that the store does not grow without end.

use sqlx::SqliteConnection;

use crate::clock::Timestamp;

/// Strangers remembered, the newest: a flood of invented addresses leaves no more than these.
const STRANGERS_MAX: i64 = 10_000;

const OLD: [&str; 8] = [
    "DELETE FROM journal WHERE at < $1
     AND run NOT IN (SELECT id FROM runs WHERE open = 1)",
    "DELETE FROM outbox WHERE created < $1 AND state IN ('done', 'dead', 'superseded')",
    "DELETE FROM outlet_references WHERE subject IN (SELECT id FROM runs WHERE open = 0
     AND last_heard < $1)",
    "DELETE FROM served WHERE at < $1",
    "DELETE FROM strangers WHERE last < $1",
    "DELETE FROM leases WHERE expires < $1",
    "DELETE FROM leases6 WHERE expires < $1",
    "DELETE FROM runs WHERE open = 0 AND last_heard < $1 AND EXISTS (SELECT 1 FROM runs AS later
     WHERE later.device = runs.device AND later.opened > runs.opened)",
];

/// Deletes what is older than `before`.
pub async fn forget(
    connection: &mut SqliteConnection,
    before: Timestamp,
) -> Result<(), sqlx::Error> {
    for statement in OLD {
        sqlx::query(statement).bind(before.micros()).execute(&mut *connection).await?;
    }
    sqlx::query(
        "DELETE FROM strangers WHERE last < (SELECT MIN(last) FROM
         (SELECT last FROM strangers ORDER BY last DESC LIMIT $1))",
    )
    .bind(STRANGERS_MAX)
    .execute(connection)
    .await?;
    Ok(())
}
