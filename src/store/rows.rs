//! Rows into the service's words and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Error, Row};

use crate::address::Mac;
use crate::clock::Timestamp;
use crate::domain::run::Run;
use crate::service::memory::{
    Delivery, DeliveryState, JournalLine, Lease, Lease6, ServedFile, Stranger,
};
use crate::store::heads::Head;
use crate::store::short;

fn broken(column: &str, why: impl std::fmt::Display) -> Error {
    let why = format!("column {column}: {why}");
    Error::FromSqlConversionFailure(0, Type::Null, why.into())
}

pub fn moment(row: &Row, column: &str) -> Result<Timestamp, Error> {
    row.get(column).map(Timestamp::from_micros)
}

fn count(row: &Row, column: &str) -> Result<u64, Error> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|why| broken(column, why))
}

/// A MAC as a number of 48 bits.
pub fn of_mac(mac: Mac) -> i64 {
    mac.octets().iter().fold(0, |sum, octet| sum << 8 | i64::from(*octet))
}

fn mac(number: i64) -> Mac {
    let [_, _, octets @ ..] = number.to_be_bytes();
    Mac::new(octets)
}

pub fn run(row: &Row) -> Result<Run, Error> {
    match row.get_ref("body")? {
        ValueRef::Blob(body) => short::read(body).map_err(|why| broken("body", why)),
        // Of an earlier version.
        ValueRef::Text(json) => serde_json::from_slice(json).map_err(|why| broken("body", why)),
        other @ (ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_)) => {
            Err(broken("body", format!("expected a run, found {}", other.data_type())))
        }
    }
}

pub fn head(row: &Row) -> Result<Head, Error> {
    Ok(Head {
        id: row.get("id")?,
        rev: count(row, "rev")?,
        open: row.get("open")?,
        opened: moment(row, "opened")?,
        last_heard: moment(row, "last_heard")?,
    })
}

pub fn journal_line(row: &Row) -> Result<JournalLine, Error> {
    Ok(JournalLine {
        run: row.get("run")?,
        seq: count(row, "seq")?,
        device: row.get("device")?,
        at: moment(row, "at")?,
        topic: row.get("topic")?,
        text: row.get("text")?,
    })
}

pub fn numbered_line(row: &Row) -> Result<(i64, JournalLine), Error> {
    Ok((row.get("row")?, journal_line(row)?))
}

pub fn lease(row: &Row) -> Result<Lease, Error> {
    Ok(Lease {
        address: Ipv4Addr::from_bits(row.get("address")?),
        mac: mac(row.get("mac")?),
        client_id: row.get("client_id")?,
        device: row.get("device")?,
        relay_information: row.get("relay_information")?,
        granted: moment(row, "granted")?,
        expires: moment(row, "expires")?,
    })
}

pub fn lease6(row: &Row) -> Result<Lease6, Error> {
    Ok(Lease6 {
        address: Ipv6Addr::from(row.get::<_, [u8; 16]>("address")?),
        duid: row.get("duid")?,
        iaid: row.get("iaid")?,
        mac: row.get::<_, Option<i64>>("mac")?.map(mac),
        device: row.get("device")?,
        granted: moment(row, "granted")?,
        expires: moment(row, "expires")?,
    })
}

pub fn resting(row: &Row) -> Result<(IpAddr, Timestamp), Error> {
    let address = row.get_ref("address")?.as_str()?.parse();
    Ok((address.map_err(|why| broken("address", why))?, moment(row, "until")?))
}

pub fn timer(row: &Row) -> Result<(String, String, Timestamp), Error> {
    Ok((row.get("run")?, row.get("name")?, moment(row, "at")?))
}

pub fn delivery(row: &Row) -> Result<Delivery, Error> {
    Ok(Delivery {
        id: row.get("id")?,
        outlet: row.get("outlet")?,
        subject: row.get("subject")?,
        key: row.get("key")?,
        kind: row.get("kind")?,
        payload: serde_json::from_str(row.get_ref("payload")?.as_str()?)
            .map_err(|why| broken("payload", why))?,
        state: state_from(row.get_ref("state")?.as_str()?)?,
        attempts: u32::try_from(count(row, "attempts")?).unwrap_or(u32::MAX),
        created: moment(row, "created")?,
        next_at: moment(row, "next_at")?,
        note: row.get("note")?,
    })
}

pub fn served(row: &Row) -> Result<ServedFile, Error> {
    Ok(ServedFile {
        run: row.get("run")?,
        device: row.get("device")?,
        name_asked: row.get("name_asked")?,
        transport: row.get("transport")?,
        bytes: count(row, "bytes")?,
        sha256: row.get("sha256")?,
        complete: row.get("complete")?,
        at: moment(row, "at")?,
    })
}

pub fn stranger(row: &Row) -> Result<Stranger, Error> {
    Ok(Stranger {
        key: row.get("key")?,
        description: row.get("description")?,
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
