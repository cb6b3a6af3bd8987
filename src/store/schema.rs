//! The tables, as numbered steps. A step that has shipped is never changed; a new one is added.

use sqlx::{Connection, SqliteConnection};

const STEPS: [&[&str]; 2] = [FIRST, LEASES_6];

const LEASES_6: &[&str] = &["CREATE TABLE leases6 (
        address TEXT PRIMARY KEY, duid TEXT NOT NULL, iaid BIGINT NOT NULL, mac TEXT, device TEXT,
        granted BIGINT NOT NULL, expires BIGINT NOT NULL)"];

const FIRST: &[&str] = &[
    // Runs. `body` is the run as JSON; the columns beside it are what constraints and questions
    // need.
    "CREATE TABLE runs (
        id TEXT PRIMARY KEY, device TEXT NOT NULL, open BIGINT NOT NULL, rev BIGINT NOT NULL,
        opened BIGINT NOT NULL, last_heard BIGINT NOT NULL, body TEXT NOT NULL)",
    // One open run a device, whoever asks, on however many servers.
    "CREATE UNIQUE INDEX runs_one_open ON runs (device) WHERE open = 1",
    "CREATE INDEX runs_by_device ON runs (device, opened)",
    "CREATE TABLE journal (
        row INTEGER PRIMARY KEY, run TEXT NOT NULL, seq BIGINT NOT NULL, device TEXT NOT NULL,
        at BIGINT NOT NULL, topic TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (run, seq))",
    "CREATE INDEX journal_by_device ON journal (device, row)",
    "CREATE TABLE leases (
        address TEXT PRIMARY KEY, mac TEXT NOT NULL, client_id TEXT NOT NULL, device TEXT,
        relay_information TEXT NOT NULL, granted BIGINT NOT NULL, expires BIGINT NOT NULL)",
    "CREATE TABLE quarantine (address TEXT PRIMARY KEY, until BIGINT NOT NULL)",
    "CREATE TABLE timers (
        run TEXT NOT NULL, name TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (run, name))",
    "CREATE TABLE outbox (
        id INTEGER PRIMARY KEY, outlet TEXT NOT NULL, subject TEXT NOT NULL, key TEXT NOT NULL,
        kind TEXT NOT NULL, payload TEXT NOT NULL, state TEXT NOT NULL, attempts BIGINT NOT NULL,
        created BIGINT NOT NULL, next_at BIGINT NOT NULL, note TEXT NOT NULL,
        UNIQUE (outlet, key))",
    "CREATE INDEX outbox_open ON outbox (outlet, subject, id)
        WHERE state IN ('pending', 'sending', 'unclear')",
    "CREATE INDEX outbox_by_subject ON outbox (subject, id)",
    "CREATE TABLE outlet_references (
        outlet TEXT NOT NULL, subject TEXT NOT NULL, reference TEXT NOT NULL,
        PRIMARY KEY (outlet, subject))",
    "CREATE TABLE served (
        row INTEGER PRIMARY KEY, run TEXT, device TEXT NOT NULL, name_asked TEXT NOT NULL,
        transport TEXT NOT NULL, bytes BIGINT NOT NULL, sha256 TEXT NOT NULL,
        complete BIGINT NOT NULL, at BIGINT NOT NULL)",
    "CREATE INDEX served_by_device ON served (device, row)",
    "CREATE TABLE strangers (
        key TEXT PRIMARY KEY, description TEXT NOT NULL, first BIGINT NOT NULL,
        last BIGINT NOT NULL, count BIGINT NOT NULL)",
];

/// Brings the tables to the newest step, each step in one transaction.
pub async fn make(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_steps (step BIGINT PRIMARY KEY)")
        .execute(&mut *connection)
        .await?;
    let done: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM schema_steps").fetch_one(&mut *connection).await?;
    for (number, statements) in STEPS.iter().enumerate().skip(usize::try_from(done).unwrap_or(0)) {
        let mut transaction = connection.begin().await?;
        for statement in *statements {
            sqlx::query(*statement).execute(&mut *transaction).await?;
        }
        sqlx::query("INSERT INTO schema_steps (step) VALUES ($1)")
            .bind(i64::try_from(number).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
    }
    Ok(())
}
