//! One entry into its table. Each state is written so that writing it again changes nothing; what
//! counts is written once (`applied` in the schema).

use std::net::IpAddr;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Error, params};

use crate::domain::run::Run;
use crate::service::memory::{Lease, Lease6};
use crate::store::entry::{Entry, Wanted};
use crate::store::rows;

const RUN: &str = "INSERT INTO runs (id, device, open, rev, opened, last_heard, body)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (device, opened, id) DO UPDATE SET
    open = excluded.open, rev = excluded.rev, last_heard = excluded.last_heard,
    body = excluded.body";

const LINE: &str = "INSERT INTO journal (run, seq, device, at, topic, text)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const TIMER: &str = "INSERT INTO timers (run, name, at) VALUES (?1, ?2, ?3)
    ON CONFLICT (run, name) DO UPDATE SET at = excluded.at";

const SERVED: &str = "INSERT INTO served
    (run, device, name_asked, transport, bytes, sha256, complete, at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const LEASE: &str = "INSERT INTO leases
    (address, mac, client_id, device, relay_information, granted, expires)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (address) DO UPDATE SET
    mac = excluded.mac, client_id = excluded.client_id, device = excluded.device,
    relay_information = excluded.relay_information, granted = excluded.granted,
    expires = excluded.expires";

/// What one slice writes with: the statements of the common entries are looked up once.
pub struct Pen<'c> {
    connection: &'c Connection,
    run: Option<CachedStatement<'c>>,
    line: Option<CachedStatement<'c>>,
    timer: Option<CachedStatement<'c>>,
    served: Option<CachedStatement<'c>>,
    lease: Option<CachedStatement<'c>>,
    /// The JSON of a run, kept for its room.
    json: Vec<u8>,
}

/// The statement in its place, which is looked up by the first who wants it.
fn held<'p, 'c>(
    place: &'p mut Option<CachedStatement<'c>>,
    connection: &'c Connection,
    sql: &str,
) -> Result<&'p mut CachedStatement<'c>, Error> {
    if place.is_none() {
        *place = Some(connection.prepare_cached(sql)?);
    }
    Ok(place.as_mut().expect("it was just put there"))
}

impl<'c> Pen<'c> {
    pub fn new(connection: &'c Connection) -> Self {
        let json = Vec::new();
        Self { connection, run: None, line: None, timer: None, served: None, lease: None, json }
    }

    pub fn write(&mut self, entry: &Entry) -> Result<(), Error> {
        match entry {
            Entry::Run(run) => self.run(run),
            Entry::Journal(line) => held(&mut self.line, self.connection, LINE)?
                .execute(params![
                    line.run,
                    number(line.seq),
                    line.device,
                    line.at.micros(),
                    line.topic,
                    line.text
                ])
                .map(drop),
            Entry::Lease(lease) => self.lease(lease),
            Entry::Timer { run, name, at: Some(at) } => {
                held(&mut self.timer, self.connection, TIMER)?
                    .execute(params![run, name, at.micros()])
                    .map(drop)
            }
            Entry::Served(file) => held(&mut self.served, self.connection, SERVED)?
                .execute(params![
                    file.run,
                    file.device,
                    file.name_asked,
                    file.transport,
                    number(file.bytes),
                    file.sha256,
                    file.complete,
                    file.at.micros()
                ])
                .map(drop),
            Entry::Lease6(_)
            | Entry::LeaseEnded { .. }
            | Entry::Timer { at: None, .. }
            | Entry::Outbox(_)
            | Entry::OutboxSuperseded { .. }
            | Entry::OutboxMoved { .. }
            | Entry::OutletReference { .. }
            | Entry::Stranger { .. }
            | Entry::Forget { .. } => seldom(self.connection, entry),
        }
    }

    fn run(&mut self, run: &Run) -> Result<(), Error> {
        self.json.clear();
        serde_json::to_writer(&mut self.json, run)
            .map_err(|why| Error::ToSqlConversionFailure(why.into()))?;
        held(&mut self.run, self.connection, RUN)?
            .execute(params![
                run.id,
                run.device,
                run.is_open(),
                number(run.rev),
                run.opened.micros(),
                run.last_heard.micros(),
                ToSqlOutput::Borrowed(ValueRef::Text(&self.json))
            ])
            .map(drop)
    }

    fn lease(&mut self, lease: &Lease) -> Result<(), Error> {
        held(&mut self.lease, self.connection, LEASE)?
            .execute(params![
                lease.address.to_bits(),
                rows::of_mac(lease.mac),
                lease.client_id,
                lease.device,
                lease.relay_information,
                lease.granted.micros(),
                lease.expires.micros()
            ])
            .map(drop)
    }
}

/// What is written now and then.
fn seldom(connection: &Connection, entry: &Entry) -> Result<(), Error> {
    match entry {
        Entry::Lease6(lease) => lease6(connection, lease),
        Entry::LeaseEnded { address, quarantined_until } => {
            match address {
                IpAddr::V4(address) => connection
                    .prepare_cached("DELETE FROM leases WHERE address = ?1")?
                    .execute([address.to_bits()])?,
                IpAddr::V6(address) => connection
                    .prepare_cached("DELETE FROM leases6 WHERE address = ?1")?
                    .execute([address.octets()])?,
            };
            let Some(until) = quarantined_until else { return Ok(()) };
            connection
                .prepare_cached(
                    "INSERT INTO quarantine (address, until) VALUES (?1, ?2)
                     ON CONFLICT (address) DO UPDATE SET until = excluded.until",
                )?
                .execute(params![address.to_string(), until.micros()])
                .map(drop)
        }
        Entry::Timer { run, name, at: None } => connection
            .prepare_cached("DELETE FROM timers WHERE run = ?1 AND name = ?2")?
            .execute(params![run, name])
            .map(drop),
        Entry::Outbox(_)
        | Entry::OutboxSuperseded { .. }
        | Entry::OutboxMoved { .. }
        | Entry::OutletReference { .. }
        | Entry::Stranger { .. } => outward(connection, entry),
        Entry::Forget { .. } => unreachable!("a sweep ends with it and does not hold it"),
        Entry::Run(_)
        | Entry::Journal(_)
        | Entry::Lease(_)
        | Entry::Timer { at: Some(_), .. }
        | Entry::Served(_) => unreachable!("written by the pen itself"),
    }
}

/// What goes out to people and systems, and who came in.
fn outward(connection: &Connection, entry: &Entry) -> Result<(), Error> {
    match entry {
        Entry::Outbox(row) => deliver(connection, row),
        Entry::OutboxSuperseded { outlet, subject, kinds } => {
            for kind in kinds {
                connection
                    .prepare_cached(
                        "UPDATE outbox SET state = 'superseded' WHERE outlet = ?1
                         AND subject = ?2 AND kind = ?3 AND state = 'pending'",
                    )?
                    .execute(params![outlet, subject, kind])?;
            }
            Ok(())
        }
        Entry::OutboxMoved { id, state, next_at, note } => connection
            .prepare_cached(
                "UPDATE outbox SET state = ?1, next_at = ?2, note = ?3,
                 attempts = attempts + (CASE WHEN ?1 = 'sending' THEN 1 ELSE 0 END)
                 WHERE id = ?4 AND state IN ('pending', 'sending', 'unclear')",
            )?
            .execute(params![rows::state_name(*state), next_at.micros(), note, id])
            .map(drop),
        Entry::OutletReference { outlet, subject, reference } => connection
            .prepare_cached(
                "INSERT INTO outlet_references (outlet, subject, reference) VALUES (?1, ?2, ?3)
                 ON CONFLICT (outlet, subject) DO UPDATE SET reference = excluded.reference",
            )?
            .execute(params![outlet, subject, reference])
            .map(drop),
        Entry::Stranger { key, description, at } => connection
            .prepare_cached(
                "INSERT INTO strangers (key, description, first, last, count)
                 VALUES (?1, ?2, ?3, ?3, 1) ON CONFLICT (key) DO UPDATE SET
                 description = excluded.description, last = excluded.last,
                 count = strangers.count + 1",
            )?
            .execute(params![key, description, at.micros()])
            .map(drop),
        Entry::Run(_)
        | Entry::Journal(_)
        | Entry::Lease(_)
        | Entry::Lease6(_)
        | Entry::LeaseEnded { .. }
        | Entry::Timer { .. }
        | Entry::Served(_)
        | Entry::Forget { .. } => unreachable!("written before"),
    }
}

pub fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn lease6(connection: &Connection, lease: &Lease6) -> Result<(), Error> {
    connection
        .prepare_cached(
            "INSERT INTO leases6 (address, duid, iaid, mac, device, granted, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (address) DO UPDATE SET
             duid = excluded.duid, iaid = excluded.iaid, mac = excluded.mac,
             device = excluded.device, granted = excluded.granted, expires = excluded.expires",
        )?
        .execute(params![
            lease.address.octets(),
            lease.duid,
            lease.iaid,
            lease.mac.map(rows::of_mac),
            lease.device,
            lease.granted.micros(),
            lease.expires.micros()
        ])
        .map(drop)
}

/// A row is written once per outlet and key; a dead one comes back to life when it is wanted again.
fn deliver(connection: &Connection, row: &Wanted) -> Result<(), Error> {
    connection
        .prepare_cached(
            "INSERT INTO outbox (outlet, subject, key, kind, payload, state, attempts, created,
             next_at, note) VALUES (?1, ?2, ?3, ?4, ?5, 'pending', 0, ?6, ?6, '')
             ON CONFLICT (outlet, key) DO UPDATE SET state = 'pending', attempts = 0,
             next_at = excluded.next_at WHERE outbox.state = 'dead'",
        )?
        .execute(params![row.outlet, row.subject, row.key, row.kind, row.payload, row.at.micros()])
        .map(drop)
}
