//! One TFTP request, explained: whose address it comes from, and whether the name is one that its
//! platform asks for.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Ground, Heard, escaped, told};
use crate::domain::inventory::meant::Device;
use crate::faces::cli::explained::Explained;
use crate::files::Loaded;
use crate::proto::tftp::packet::{Packet, Request};

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
        names(ground, &request, &mut explained);
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
    explained.answer = "ERROR 1, file not found".to_owned();
    if plan.config.tftp.is_none() {
        explained.answer = "nothing".to_owned();
        return explained.why.push("this configuration serves no TFTP (`tftp:`)".to_owned());
    }
    if let Err((_, why)) = request.readable_mode() {
        explained.answer = "ERROR 4".to_owned();
        return explained.why.push(why.to_owned());
    }
    if !device.managed || device.template.is_none() {
        return explained.why.push("no file is planned for this device".to_owned());
    }
    let Some(platform) = ground.platforms.get(&device.platform) else { return };
    let name = String::from_utf8_lossy(&request.name);
    let configured =
        device.configuration.is_some() && platform.asks_configuration(&device.name, &name);
    if !configured && !platform.may_ask(&device.name, &name) {
        let why =
            format!("{} asks for no such file; an image of this name may be there", platform.id);
        return explained.why.push(why);
    }
    let (asked, flag) = match configured {
        true => (device.configured(), " --configuration"),
        false => (Cow::Borrowed(device.as_ref()), ""),
    };
    if let Err(error) = plan.renderer.render_masked(&asked, &plan.inventory) {
        explained.answer = "ERROR 0: not ready".to_owned();
        return explained.why.push(format!("its configuration does not render: {error}"));
    }
    explained.answer = match platform.digest_of(&name) {
        Some(of) => format!("the digest of {of}"),
        None => {
            format!("its configuration, as `greenlight render {}{flag}` shows it", device.name)
        }
    };
    explained.why.push(format!("{} may ask for it by this name", platform.id));
}

/// Who asks by such a name, where there is no plan.
fn names(ground: &Ground, request: &Request, explained: &mut Explained) {
    let name = String::from_utf8_lossy(&request.name);
    let platforms = ground.platforms.by_id.values().filter(|platform| platform.knows_file(&name));
    let ids: Vec<&str> = platforms.map(|platform| platform.id.as_str()).collect();
    explained.why.push(match ids.is_empty() {
        true => "no platform asks by such a name of itself".to_owned(),
        false => format!("asked by such a name: {}", ids.join(", ")),
    });
}
