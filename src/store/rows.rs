//! Rows into the service's words and back.

use sqlx::sqlite::SqliteRow;
use sqlx::{Error, Row};

use crate::clock::Timestamp;
use crate::domain::run::Run;
use crate::service::memory::{
    Delivery, DeliveryState, JournalLine, Lease, Lease6, ServedFile, Stranger,
};

fn broken(column: &str, why: impl std::fmt::Display) -> Error {
    Error::Decode(format!("column {column}: {why}").into())
}

pub fn moment(row: &SqliteRow, column: &str) -> Result<Timestamp, Error> {
    row.try_get::<i64, _>(column).map(Timestamp::from_micros)
}

fn count(row: &SqliteRow, column: &str) -> Result<u64, Error> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|why| broken(column, why))
}

fn parsed<T: std::str::FromStr>(row: &SqliteRow, column: &str) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    row.try_get::<String, _>(column)?.parse().map_err(|why: T::Err| broken(column, why))
}

pub fn run(row: &SqliteRow) -> Result<Run, Error> {
    serde_json::from_str(row.try_get::<&str, _>("body")?).map_err(|why| broken("body", why))
}

pub fn journal_line(row: &SqliteRow) -> Result<JournalLine, Error> {
    Ok(JournalLine {
        run: row.try_get("run")?,
        seq: count(row, "seq")?,
        device: row.try_get("device")?,
        at: moment(row, "at")?,
        topic: row.try_get("topic")?,
        text: row.try_get("text")?,
    })
}

pub fn lease(row: &SqliteRow) -> Result<Lease, Error> {
    Ok(Lease {
        address: parsed(row, "address")?,
        mac: parsed(row, "mac")?,
        client_id: row.try_get("client_id")?,
        device: row.try_get("device")?,
        relay_information: row.try_get("relay_information")?,
        granted: moment(row, "granted")?,
        expires: moment(row, "expires")?,
    })
}

pub fn lease6(row: &SqliteRow) -> Result<Lease6, Error> {
    let mac = row.try_get::<Option<String>, _>("mac")?;
    Ok(Lease6 {
        address: parsed(row, "address")?,
        duid: row.try_get("duid")?,
        iaid: u32::try_from(count(row, "iaid")?).map_err(|why| broken("iaid", why))?,
        mac: mac.map(|mac| mac.parse()).transpose().map_err(|why| broken("mac", why))?,
        device: row.try_get("device")?,
        granted: moment(row, "granted")?,
        expires: moment(row, "expires")?,
    })
}

pub fn delivery(row: &SqliteRow) -> Result<Delivery, Error> {
    Ok(Delivery {
        id: row.try_get("id")?,
        outlet: row.try_get("outlet")?,
        subject: row.try_get("subject")?,
        key: row.try_get("key")?,
        kind: row.try_get("kind")?,
        payload: serde_json::from_str(row.try_get::<&str, _>("payload")?)
            .map_err(|why| broken("payload", why))?,
        state: state_from(row.try_get("state")?)?,
        attempts: u32::try_from(count(row, "attempts")?).unwrap_or(u32::MAX),
        created: moment(row, "created")?,
        next_at: moment(row, "next_at")?,
        note: row.try_get("note")?,
    })
}

pub fn served(row: &SqliteRow) -> Result<ServedFile, Error> {
    Ok(ServedFile {
        run: row.try_get("run")?,
        device: row.try_get("device")?,
        name_asked: row.try_get("name_asked")?,
        transport: row.try_get("transport")?,
        bytes: count(row, "bytes")?,
        sha256: row.try_get("sha256")?,
        complete: row.try_get::<i64, _>("complete")? == 1,
        at: moment(row, "at")?,
    })
}

pub fn stranger(row: &SqliteRow) -> Result<Stranger, Error> {
    Ok(Stranger {
        key: row.try_get("key")?,
        description: row.try_get("description")?,
        first: moment(row, "first")?,
        last: moment(row, "last")?,
        count: count(row, "count")?,
    })
}

pub fn state_name(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "pending",
        DeliveryState::Sending => "sending",
        DeliveryState::Unclear => "unclear",
        DeliveryState::Done => "done",
        DeliveryState::Dead => "dead",
        DeliveryState::Superseded => "superseded",
    }
}

fn state_from(name: &str) -> Result<DeliveryState, Error> {
    match name {
        "pending" => Ok(DeliveryState::Pending),
        "sending" => Ok(DeliveryState::Sending),
        "unclear" => Ok(DeliveryState::Unclear),
        "done" => Ok(DeliveryState::Done),
        "dead" => Ok(DeliveryState::Dead),
        "superseded" => Ok(DeliveryState::Superseded),
        other => Err(broken("state", format!("expected a delivery state, found `{other}`"))),
    }
}
