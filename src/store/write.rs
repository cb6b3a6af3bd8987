//! The writer: what is waiting becomes one transaction, and each commit gets its receipt after the
//! flush.

use std::net::IpAddr;
use std::sync::Arc;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteQueryResult;
use tokio::sync::mpsc;

use crate::domain::run::Run;
use crate::receipt::Committed;
use crate::service::memory::{
    Change, Commit, JournalLine, Lease, Lease6, NewDelivery, Refused, ServedFile,
};
use crate::store::forget::forget;
use crate::store::{rows, unavailable};

/// Commits in one transaction: enough to hide the flush, few enough that none waits long.
const GROUP: usize = 256;

type Outcome = Result<(), Refused>;

pub async fn run(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Commit>) {
    let mut batch: u64 = 0;
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        batch += 1;
        let outcomes = store(&mut connection, &group).await;
        match outcomes {
            Ok(outcomes) => {
                for (commit, outcome) in group.drain(..).zip(outcomes) {
                    let answer = outcome.map(|()| Committed::by_the_store(batch));
                    // Whoever no longer waits will ask again.
                    let _ = commit.receipt.send(answer);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the store did not take a group of {}", group.len());
                roll_back(&mut connection).await;
                for commit in group.drain(..) {
                    let _ = commit.receipt.send(Err(unavailable(&error)));
                }
            }
        }
    }
}

/// After a failed COMMIT SQLite may or may not still hold the transaction: both are fine here.
async fn roll_back(connection: &mut SqliteConnection) {
    if let Err(error) = sqlx::query("ROLLBACK").execute(connection).await {
        tracing::debug!(%error, "nothing to roll back");
    }
}

async fn store(
    connection: &mut SqliteConnection,
    group: &[Commit],
) -> Result<Vec<Outcome>, sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let mut outcomes = Vec::with_capacity(group.len());
    for commit in group {
        outcomes.push(all_or_nothing(connection, &commit.changes).await?);
    }
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(outcomes)
}

async fn all_or_nothing(
    connection: &mut SqliteConnection,
    changes: &[Change],
) -> Result<Outcome, sqlx::Error> {
    sqlx::query("SAVEPOINT one").execute(&mut *connection).await?;
    for change in changes {
        if let Err(refused) = apply(connection, change).await? {
            sqlx::query("ROLLBACK TO one").execute(&mut *connection).await?;
            sqlx::query("RELEASE one").execute(&mut *connection).await?;
            return Ok(Err(refused));
        }
    }
    sqlx::query("RELEASE one").execute(&mut *connection).await?;
    Ok(Ok(()))
}

async fn apply(connection: &mut SqliteConnection, change: &Change) -> Result<Outcome, sqlx::Error> {
    match change {
        Change::RunOpened { run, window_micros, forced } => {
            return open_run(connection, run, *window_micros, *forced).await;
        }
        Change::RunMoved { run, from_rev } => return move_run(connection, run, *from_rev).await,
        Change::Journal(line) => journal(connection, line).await?,
        Change::Lease(lease) => grant(connection, lease).await?,
        Change::Lease6(lease) => grant6(connection, lease).await?,
        Change::LeaseEnded { address, quarantined_until } => {
            let delete = match address {
                IpAddr::V4(_) => "DELETE FROM leases WHERE address = $1",
                IpAddr::V6(_) => "DELETE FROM leases6 WHERE address = $1",
            };
            let address = address.to_string();
            sqlx::query(delete).bind(&address).execute(&mut *connection).await?;
            let Some(until) = quarantined_until else { return Ok(Ok(())) };
            sqlx::query(
                "INSERT INTO quarantine (address, until) VALUES ($1, $2)
                 ON CONFLICT (address) DO UPDATE SET until = excluded.until",
            )
            .bind(address)
            .bind(until.micros())
            .execute(&mut *connection)
            .await?
        }
        Change::Timer { run, name, at: Some(at) } => {
            sqlx::query(
                "INSERT INTO timers (run, name, at) VALUES ($1, $2, $3)
                 ON CONFLICT (run, name) DO UPDATE SET at = excluded.at",
            )
            .bind(run)
            .bind(name)
            .bind(at.micros())
            .execute(&mut *connection)
            .await?
        }
        Change::Timer { run, name, at: None } => {
            sqlx::query("DELETE FROM timers WHERE run = $1 AND name = $2")
                .bind(run)
                .bind(name)
                .execute(&mut *connection)
                .await?
        }
        Change::Outbox(_)
        | Change::OutboxSuperseded { .. }
        | Change::OutboxMoved { .. }
        | Change::OutletReference { .. } => return outward(connection, change).await.map(Ok),
        Change::Served(file) => serve(connection, file).await?,
        Change::Forget { before } => return forget(connection, *before).await.map(Ok),
        Change::Stranger { key, description, at } => {
            sqlx::query(
                "INSERT INTO strangers (key, description, first, last, count)
                 VALUES ($1, $2, $3, $3, 1) ON CONFLICT (key) DO UPDATE SET
                 description = excluded.description, last = excluded.last,
                 count = strangers.count + 1",
            )
            .bind(key)
            .bind(description)
            .bind(at.micros())
            .execute(&mut *connection)
            .await?
        }
    };
    Ok(Ok(()))
}

/// What goes out to people and systems.
async fn outward(connection: &mut SqliteConnection, change: &Change) -> Result<(), sqlx::Error> {
    match change {
        Change::Outbox(delivery) => deliver(connection, delivery).await?,
        Change::OutboxSuperseded { outlet, subject, kinds } => {
            return supersede(connection, outlet, subject, kinds).await;
        }
        Change::OutboxMoved { id, state, next_at, note } => {
            sqlx::query(
                "UPDATE outbox SET state = $1, next_at = $2, note = $3,
                 attempts = attempts + (CASE WHEN $1 = 'sending' THEN 1 ELSE 0 END)
                 WHERE id = $4 AND state IN ('pending', 'sending', 'unclear')",
            )
            .bind(rows::state_name(*state))
            .bind(next_at.micros())
            .bind(note)
            .bind(id)
            .execute(&mut *connection)
            .await?
        }
        Change::OutletReference { outlet, subject, reference } => {
            sqlx::query(
                "INSERT INTO outlet_references (outlet, subject, reference) VALUES ($1, $2, $3)
                 ON CONFLICT (outlet, subject) DO UPDATE SET reference = excluded.reference",
            )
            .bind(outlet)
            .bind(subject)
            .bind(reference)
            .execute(&mut *connection)
            .await?
        }
        Change::RunOpened { .. }
        | Change::RunMoved { .. }
        | Change::Journal(_)
        | Change::Lease(_)
        | Change::Lease6(_)
        | Change::LeaseEnded { .. }
        | Change::Timer { .. }
        | Change::Served(_)
        | Change::Forget { .. }
        | Change::Stranger { .. } => unreachable!("stored by `apply`"),
    };
    Ok(())
}

fn body(run: &Run) -> Result<String, sqlx::Error> {
    serde_json::to_string(run).map_err(|why| sqlx::Error::Encode(why.into()))
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The de-duplication: no second open run (the unique index), and none within the window.
async fn open_run(
    connection: &mut SqliteConnection,
    run: &Run,
    window_micros: i64,
    forced: bool,
) -> Result<Outcome, sqlx::Error> {
    let heard_after = run.last_heard.micros().saturating_sub(window_micros);
    let inserted = sqlx::query(
        "INSERT INTO runs (id, device, open, rev, opened, last_heard, body)
         SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS (
            SELECT 1 FROM runs WHERE device = $2
            AND (open = 1 OR ($8 = 0 AND last_heard > $9)))
         ON CONFLICT DO NOTHING",
    )
    .bind(&run.id)
    .bind(&run.device)
    .bind(i64::from(run.is_open()))
    .bind(number(run.rev))
    .bind(run.opened.micros())
    .bind(run.last_heard.micros())
    .bind(body(run)?)
    .bind(i64::from(forced))
    .bind(heard_after)
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(Ok(()));
    }
    let standing = sqlx::query(
        "SELECT body FROM runs WHERE device = $1 ORDER BY open DESC, opened DESC LIMIT 1",
    )
    .bind(&run.device)
    .fetch_one(&mut *connection)
    .await?;
    Ok(Err(Refused::AlreadyOpen { run: Arc::new(rows::run(&standing)?) }))
}

async fn move_run(
    connection: &mut SqliteConnection,
    run: &Run,
    from_rev: u64,
) -> Result<Outcome, sqlx::Error> {
    let moved = sqlx::query(
        "UPDATE runs SET open = $1, rev = $2, last_heard = $3, body = $4
         WHERE id = $5 AND rev = $6",
    )
    .bind(i64::from(run.is_open()))
    .bind(number(run.rev))
    .bind(run.last_heard.micros())
    .bind(body(run)?)
    .bind(&run.id)
    .bind(number(from_rev))
    .execute(&mut *connection)
    .await?;
    if moved.rows_affected() == 1 {
        Ok(Ok(()))
    } else {
        Ok(Err(Refused::Stale { run: run.id.clone() }))
    }
}

async fn journal(
    connection: &mut SqliteConnection,
    line: &JournalLine,
) -> Result<SqliteQueryResult, sqlx::Error> {
    sqlx::query(
        "INSERT INTO journal (run, seq, device, at, topic, text) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (run, seq) DO NOTHING",
    )
    .bind(&line.run)
    .bind(number(line.seq))
    .bind(&line.device)
    .bind(line.at.micros())
    .bind(&line.topic)
    .bind(&line.text)
    .execute(connection)
    .await
}

async fn grant(
    connection: &mut SqliteConnection,
    lease: &Lease,
) -> Result<SqliteQueryResult, sqlx::Error> {
    sqlx::query(
        "INSERT INTO leases
         (address, mac, client_id, device, relay_information, granted, expires)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (address) DO UPDATE SET
         mac = excluded.mac, client_id = excluded.client_id, device = excluded.device,
         relay_information = excluded.relay_information, granted = excluded.granted,
         expires = excluded.expires",
    )
    .bind(lease.address.to_string())
    .bind(lease.mac.to_string())
    .bind(&lease.client_id)
    .bind(&lease.device)
    .bind(&lease.relay_information)
    .bind(lease.granted.micros())
    .bind(lease.expires.micros())
    .execute(connection)
    .await
}

async fn grant6(
    connection: &mut SqliteConnection,
    lease: &Lease6,
) -> Result<SqliteQueryResult, sqlx::Error> {
    sqlx::query(
        "INSERT INTO leases6 (address, duid, iaid, mac, device, granted, expires)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (address) DO UPDATE SET
         duid = excluded.duid, iaid = excluded.iaid, mac = excluded.mac, device = excluded.device,
         granted = excluded.granted, expires = excluded.expires",
    )
    .bind(lease.address.to_string())
    .bind(&lease.duid)
    .bind(i64::from(lease.iaid))
    .bind(lease.mac.map(|mac| mac.to_string()))
    .bind(&lease.device)
    .bind(lease.granted.micros())
    .bind(lease.expires.micros())
    .execute(connection)
    .await
}

/// A row is written once per outlet and key; a dead one comes back to life when it is wanted again.
async fn deliver(
    connection: &mut SqliteConnection,
    delivery: &NewDelivery,
) -> Result<SqliteQueryResult, sqlx::Error> {
    sqlx::query(
        "INSERT INTO outbox (outlet, subject, key, kind, payload, state, attempts, created,
         next_at, note) VALUES ($1, $2, $3, $4, $5, 'pending', 0, $6, $6, '')
         ON CONFLICT (outlet, key) DO UPDATE SET state = 'pending', attempts = 0,
         next_at = excluded.next_at WHERE outbox.state = 'dead'",
    )
    .bind(&delivery.outlet)
    .bind(&delivery.subject)
    .bind(&delivery.key)
    .bind(&delivery.kind)
    .bind(delivery.payload.to_string())
    .bind(delivery.at.micros())
    .execute(connection)
    .await
}

async fn supersede(
    connection: &mut SqliteConnection,
    outlet: &str,
    subject: &str,
    kinds: &[String],
) -> Result<(), sqlx::Error> {
    for kind in kinds {
        sqlx::query(
            "UPDATE outbox SET state = 'superseded'
             WHERE outlet = $1 AND subject = $2 AND kind = $3 AND state = 'pending'",
        )
        .bind(outlet)
        .bind(subject)
        .bind(kind)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn serve(
    connection: &mut SqliteConnection,
    file: &ServedFile,
) -> Result<SqliteQueryResult, sqlx::Error> {
    sqlx::query(
        "INSERT INTO served (run, device, name_asked, transport, bytes, sha256, complete, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&file.run)
    .bind(&file.device)
    .bind(&file.name_asked)
    .bind(&file.transport)
    .bind(number(file.bytes))
    .bind(&file.sha256)
    .bind(i64::from(file.complete))
    .bind(file.at.micros())
    .execute(connection)
    .await
}
