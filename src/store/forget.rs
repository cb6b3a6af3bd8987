//! Letting go of what is old, so that the store does not grow without end.

use rusqlite::{Connection, Error, params};

use crate::clock::Timestamp;

/// Strangers remembered, the newest: a flood of invented addresses leaves no more than these.
const STRANGERS_MAX: i64 = 10_000;

/// Rows deleted in one transaction: some milliseconds, in which commits wait.
const ROWS_MAX: i64 = 2_000;

/// What is old by `?1`, at most `?2` rows of it. Journal, served files and outbox are walked in
/// the order of their rows and only up to the first that is not old, because they grow with time.
const OLD: [&str; 9] = [
    "DELETE FROM journal WHERE row IN (SELECT row FROM journal WHERE at < ?1
     AND row < COALESCE((SELECT row FROM journal WHERE at >= ?1 ORDER BY row LIMIT 1),
        9223372036854775807)
     AND run NOT IN (SELECT id FROM runs WHERE open = 1) ORDER BY row LIMIT ?2)",
    "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE created < ?1
     AND id < COALESCE((SELECT id FROM outbox WHERE created >= ?1 ORDER BY id LIMIT 1),
        9223372036854775807)
     AND state IN ('done', 'dead', 'superseded') ORDER BY id LIMIT ?2)",
    "DELETE FROM outlet_references WHERE (outlet, subject) IN (SELECT outlet, subject
     FROM outlet_references WHERE subject IN (SELECT id FROM runs WHERE open = 0
     AND last_heard < ?1) LIMIT ?2)",
    "DELETE FROM served WHERE row IN (SELECT row FROM served WHERE at < ?1
     AND row < COALESCE((SELECT row FROM served WHERE at >= ?1 ORDER BY row LIMIT 1),
        9223372036854775807) ORDER BY row LIMIT ?2)",
    "DELETE FROM strangers WHERE key IN (SELECT key FROM strangers WHERE last < ?1 LIMIT ?2)",
    "DELETE FROM leases WHERE address IN (SELECT address FROM leases WHERE expires < ?1 LIMIT ?2)",
    "DELETE FROM leases6 WHERE address IN
     (SELECT address FROM leases6 WHERE expires < ?1 LIMIT ?2)",
    "DELETE FROM quarantine WHERE address IN
     (SELECT address FROM quarantine WHERE until < ?1 LIMIT ?2)",
    "DELETE FROM runs WHERE row IN (SELECT row FROM runs AS old WHERE open = 0 AND last_heard < ?1
     AND EXISTS (SELECT 1 FROM runs AS later
     WHERE later.device = old.device AND later.opened > old.opened) LIMIT ?2)",
];

const FLOOD: &str = "DELETE FROM strangers WHERE last < (SELECT MIN(last) FROM
     (SELECT last FROM strangers ORDER BY last DESC LIMIT ?1))";

/// Deletes some of what is older than `before`, and says whether there may be more. Doing it again
/// changes nothing.
pub fn forget(connection: &Connection, before: Timestamp) -> Result<bool, Error> {
    for statement in OLD {
        let params = params![before.micros(), ROWS_MAX];
        if connection.prepare_cached(statement)?.execute(params)? > 0 {
            return Ok(true);
        }
    }
    connection.prepare_cached(FLOOD)?.execute([STRANGERS_MAX])?;
    Ok(false)
}
