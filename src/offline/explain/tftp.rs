//! One TFTP request, explained: whose address it comes from, and whether the name is one that its
//! platform asks for.

use std::net::IpAddr;
use std::sync::Arc;

use super::file::{self, Words};
use super::{Ground, Heard, escaped, told};
use crate::domain::inventory::meant::Device;
use crate::faces::cli::explained::Explained;
use crate::files::Loaded;
use crate::proto::tftp::packet::{Packet, Request};

const WORDS: Words = Words { missing: "ERROR 1, file not found", unready: "ERROR 0: not ready" };

/// `None` for what is no request; the error for one that cannot be read.
pub fn explain(ground: &Ground, heard: &Heard) -> Result<Option<Explained>, String> {
    let packet = Packet::decode(heard.datagram.payload).map_err(|error| error.to_string())?;
    let (what, request) = match packet {
        Packet::Read(request) => ("TFTP read", request),
        Packet::Write(request) => ("TFTP write", request),
        Packet::Data { .. }
        | Packet::Ack { .. }
        | Packet::Error { .. }
        | Packet::OptionAck(_)
        | Packet::Other { .. } => return Ok(None),
    };
    let mut explained = Explained {
        what: what.to_owned(),
        seen: vec![told("name", request.name_shown()), told("mode", format!("{:?}", request.mode))],
        answer: "nothing".to_owned(),
        ..Explained::default()
    };
    for option in &request.options {
        explained.seen.push(told(escaped(&option.name), escaped(&option.value)));
    }
    let Some(plan) = &ground.plan else {
        explained.answer = "unknown".to_owned();
        file::names(ground, &String::from_utf8_lossy(&request.name), &mut explained);
        return Ok(Some(explained));
    };
    let address = heard.datagram.from.0;
    let device = match address {
        IpAddr::V4(address) => plan.inventory.with_address(address),
        IpAddr::V6(address) => plan.inventory.with_address6(address),
    };
    let owner = device.map_or("nobody's", |device| device.name.as_str());
    explained.identity.push(format!("{address} is {owner} by the plan"));
    explained.device = device.map(|device| device.name.clone());
    match (device, what) {
        (None, _) => {
            explained.answer = "ERROR 1, file not found".to_owned();
            let why = "a server that runs may know the address by a lease";
            explained.why.push(why.to_owned());
        }
        (Some(device), "TFTP read") => read(plan, ground, (device, &request), &mut explained),
        (Some(_), _) => {
            let taken = plan.config.tftp.as_ref().is_some_and(|tftp| tftp.uploads.is_some());
            explained.answer = match taken {
                true => "the upload is taken",
                false => "ERROR 2: uploads are not taken (`tftp.uploads`)",
            }
            .to_owned();
        }
    }
    Ok(Some(explained))
}

fn read(
    plan: &Loaded,
    ground: &Ground,
    (device, request): (&Arc<Device>, &Request),
    explained: &mut Explained,
) {
    if plan.config.tftp.is_none() {
        explained.answer = "nothing".to_owned();
        return explained.why.push("this configuration serves no TFTP (`tftp:`)".to_owned());
    }
    if let Err((_, why)) = request.readable_mode() {
        explained.answer = "ERROR 4".to_owned();
        return explained.why.push(why.to_owned());
    }
    let name = String::from_utf8_lossy(&request.name);
    file::planned(plan, ground, (device, &name), &WORDS, explained);
}
