//! One entry into its table. Each state is written so that writing it again changes nothing; what
//! counts is written once (`applied` in the schema).

use std::net::IpAddr;

use rusqlite::{CachedStatement, Connection, Error, Statement, ToSql, params};

use crate::clock::Timestamp;
use crate::domain::run::Run;
use crate::service::memory::{Binding, Holder, Lease, Lease6};
use crate::store::entry::{Entry, Wanted};
use crate::store::{rows, short};

const RUN: &str = "INSERT INTO runs (id, device, open, rev, opened, last_heard, body)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (device, opened, id) DO UPDATE SET
    open = excluded.open, rev = excluded.rev, last_heard = excluded.last_heard,
    body = excluded.body";

const LEASE: &str = "INSERT INTO leases
    (address, mac, client_id, device, relay_information, granted, expires)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (address) DO UPDATE SET
    mac = excluded.mac, client_id = excluded.client_id, device = excluded.device,
    relay_information = excluded.relay_information, granted = excluded.granted,
    expires = excluded.expires";

/// `OR FAIL`: whatever fails, the whole slice is taken back, so that SQLite need not keep copies of
/// pages for a statement of its own.
const LINES: Kind = Kind {
    insert: "INSERT OR FAIL INTO journal (run, seq, device, at, topic, text) VALUES ",
    row: "(?, ?, ?, ?, ?, ?)",
    columns: 6,
    otherwise: "",
};

const SERVED: Kind = Kind {
    insert: "INSERT OR FAIL INTO served
        (run, device, name_asked, transport, bytes, sha256, complete, at) VALUES ",
    row: "(?, ?, ?, ?, ?, ?, ?, ?)",
    columns: 8,
    otherwise: "",
};

const TIMERS: Kind = Kind {
    insert: "INSERT INTO timers (run, name, at) VALUES ",
    row: "(?, ?, ?)",
    columns: 3,
    otherwise: " ON CONFLICT (run, name) DO UPDATE SET at = excluded.at",
};

/// Rows that one statement writes: beginning and ending one costs as much as a row.
const TOGETHER: usize = 16;

/// How entries of one kind come into their table.
struct Kind {
    insert: &'static str,
    row: &'static str,
    columns: usize,
    otherwise: &'static str,
}

impl Kind {
    fn sql(&self, rows: usize) -> String {
        let rows = vec![self.row; rows].join(", ");
        format!("{}{rows}{}", self.insert, self.otherwise)
    }
}

/// Entries of one kind that wait until there are enough of them.
struct Pile<'c, 'e> {
    kind: Kind,
    entries: Vec<&'e Entry>,
    together: Option<CachedStatement<'c>>,
}

impl<'c, 'e> Pile<'c, 'e> {
    fn of(kind: Kind) -> Self {
        Self { kind, entries: Vec::with_capacity(TOGETHER), together: None }
    }

    fn add(&mut self, connection: &'c Connection, entry: &'e Entry) -> Result<(), Error> {
        self.entries.push(entry);
        if self.entries.len() < TOGETHER {
            return Ok(());
        }
        if self.together.is_none() {
            self.together = Some(connection.prepare_cached(&self.kind.sql(TOGETHER))?);
        }
        let statement = self.together.as_mut().expect("it was just put there");
        for (row, entry) in self.entries.drain(..).enumerate() {
            bind(statement, row * self.kind.columns, entry)?;
        }
        statement.raw_execute().map(drop)
    }

    /// Writes those that are too few.
    fn end(&mut self, connection: &'c Connection) -> Result<(), Error> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let mut statement = connection.prepare_cached(&self.kind.sql(1))?;
        for entry in self.entries.drain(..) {
            bind(&mut statement, 0, entry)?;
            statement.raw_execute()?;
        }
        Ok(())
    }
}

/// Gives a statement the columns of an entry, behind so many that it has.
fn bind(statement: &mut Statement, before: usize, entry: &Entry) -> Result<(), Error> {
    let mut all = |columns: &[&dyn ToSql]| {
        let mut places = columns.iter().zip(before + 1..);
        places.try_for_each(|(column, place)| statement.raw_bind_parameter(place, column))
    };
    match entry {
        Entry::Journal(line) => all(params![
            line.run,
            number(line.seq),
            line.device,
            line.at.micros(),
            line.topic,
            line.text
        ]),
        Entry::Served(file) => all(params![
            file.run,
            file.device,
            file.name_asked,
            file.transport,
            number(file.bytes),
            file.sha256,
            file.complete,
            file.at.micros()
        ]),
        Entry::Timer { run, name, at } => all(params![run, name, at.map(Timestamp::micros)]),
        Entry::Run(_)
        | Entry::Lease(_)
        | Entry::Lease6(_)
        | Entry::LeaseEnded { .. }
        | Entry::Outbox(_)
        | Entry::OutboxSuperseded { .. }
        | Entry::OutboxMoved { .. }
        | Entry::OutletReference { .. }
        | Entry::Stranger { .. }
        | Entry::Forget { .. } => unreachable!("it is on no pile"),
    }
}

/// What one slice writes with: the statements of the common entries are looked up once.
pub struct Pen<'c, 'e> {
    connection: &'c Connection,
    lines: Pile<'c, 'e>,
    served: Pile<'c, 'e>,
    timers: Pile<'c, 'e>,
    run: Option<CachedStatement<'c>>,
    lease: Option<CachedStatement<'c>>,
    /// A run as its table holds it, kept for its room.
    body: Vec<u8>,
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

impl<'c, 'e> Pen<'c, 'e> {
    pub fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            lines: Pile::of(LINES),
            served: Pile::of(SERVED),
            timers: Pile::of(TIMERS),
            run: None,
            lease: None,
            body: Vec::new(),
        }
    }

    /// Writes an entry, at once or with its like by [`Pen::end`]. Those of one table keep their
    /// order.
    pub fn write(&mut self, entry: &'e Entry) -> Result<(), Error> {
        match entry {
            Entry::Run(run) => self.run(run),
            Entry::Journal(_) => self.lines.add(self.connection, entry),
            Entry::Lease(lease) => self.lease(lease),
            Entry::Timer { at: Some(_), .. } => self.timers.add(self.connection, entry),
            Entry::Served(_) => self.served.add(self.connection, entry),
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

    /// Writes what still waits for its like.
    pub fn end(mut self) -> Result<(), Error> {
        self.lines.end(self.connection)?;
        self.served.end(self.connection)?;
        self.timers.end(self.connection)
    }

    fn run(&mut self, run: &Run) -> Result<(), Error> {
        self.body.clear();
        short::write(&mut self.body, run)
            .map_err(|why| Error::ToSqlConversionFailure(why.into()))?;
        held(&mut self.run, self.connection, RUN)?
            .execute(params![
                run.id,
                run.device,
                run.is_open(),
                number(run.rev),
                run.opened.micros(),
                run.last_heard.micros(),
                self.body
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
        Entry::LeaseEnded { address, binding, quarantined_until } => {
            match binding {
                Some(binding) => ended(connection, *address, binding)?,
                None => gone(connection, *address)?,
            }
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

/// Deletes this binding of an address, or an earlier one of its holder.
fn ended(connection: &Connection, address: IpAddr, binding: &Binding) -> Result<(), Error> {
    let until = binding.until.micros();
    match (address, &binding.holder) {
        (IpAddr::V4(address), Holder::Port(mac)) => connection
            .prepare_cached("DELETE FROM leases WHERE address = ?1 AND mac = ?2 AND expires <= ?3")?
            .execute(params![address.to_bits(), rows::of_mac(*mac), until])
            .map(drop),
        (IpAddr::V6(address), Holder::Association(duid, iaid)) => connection
            .prepare_cached(
                "DELETE FROM leases6 WHERE address = ?1 AND duid = ?2 AND iaid = ?3
                 AND expires <= ?4",
            )?
            .execute(params![address.octets(), duid, iaid, until])
            .map(drop),
        // Nobody holds an address of the one family by the name of the other.
        (IpAddr::V4(_), Holder::Association(..)) | (IpAddr::V6(_), Holder::Port(_)) => Ok(()),
    }
}

fn gone(connection: &Connection, address: IpAddr) -> Result<(), Error> {
    match address {
        IpAddr::V4(address) => connection
            .prepare_cached("DELETE FROM leases WHERE address = ?1")?
            .execute([address.to_bits()]),
        IpAddr::V6(address) => connection
            .prepare_cached("DELETE FROM leases6 WHERE address = ?1")?
            .execute([address.octets()]),
    }
    .map(drop)
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
