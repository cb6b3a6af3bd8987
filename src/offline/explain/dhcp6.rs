//! One DHCPv6 message, explained.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Ground, Heard, escaped, refused, told};
use crate::config::meant::Unknown;
use crate::domain::inventory::meant::{Device, Position};
use crate::faces::cli::explained::{Explained, Fit, Told};
use crate::platform::Platform;
use crate::platform::dhcp6::{Told as Said, UrlFacts};
use crate::proto::dhcp6::answer::Outcome;
use crate::proto::dhcp6::duid::Kind;
use crate::proto::dhcp6::{Ask, Datagram, Duid, class, code, mac_within};
use crate::service::intake::{Clues, Identity};
use crate::service::leases6::{Asker, Decision, Link};

/// `None` for what is no client's message; the error for one that cannot be read.
pub fn explain(ground: &Ground, heard: &Heard) -> Result<Option<Explained>, String> {
    let datagram = Datagram::decode(heard.datagram.payload).map_err(|error| error.to_string())?;
    // Whose server name it speaks to cannot be known here: it is taken for ours.
    let server = datagram.message.server_id().unwrap_or_else(|| Duid::uuid([0; 16]));
    let ask = match Ask::of(&datagram, &server, false) {
        Ok(ask) => ask,
        Err(why) => return Err(why.to_string()),
    };
    let said = said(heard, &datagram, &ask);
    let recognised = ground.platforms.recognise6(&said);
    let position = datagram.position();
    let clues = Clues {
        serial: recognised.as_ref().and_then(|found| found.serial.clone()),
        mac: said.mac,
        position: position.map(|(circuit_id, remote_id)| Position { circuit_id, remote_id }),
        address: None,
        platform: recognised.as_ref().map(|found| found.platform.id.clone()),
    };
    let (identity, how) = ground.identify(&clues);
    let mut explained = Explained {
        what: format!("DHCPv6 {:?}", datagram.message.kind),
        seen: seen(&datagram, &ask, &said),
        platforms: recognised
            .iter()
            .map(|found| Fit {
                platform: found.platform.id.clone(),
                by: vec!["what it says of its make".to_owned()],
                serial: found.serial.clone(),
                model: found.model.clone(),
            })
            .collect(),
        identity: how,
        answer: "nothing".to_owned(),
        ..Explained::default()
    };
    if let Identity::Device(device) = &identity {
        explained.device = Some(device.name.clone());
    }
    match (&ground.plan, &identity) {
        (None, _) => explained.answer = "unknown".to_owned(),
        (Some(_), Identity::Device(device)) => {
            decided(ground, (&datagram, &ask, &said), Some(device), &mut explained);
        }
        (Some(plan), identity) => {
            explained.why.extend(refused(identity));
            let settings = plan.config.dhcp6.as_ref();
            let stranger = matches!(identity, Identity::Stranger { .. });
            if stranger && settings.is_some_and(|dhcp6| dhcp6.unknown == Unknown::Quarantine) {
                explained.why.push(
                    "strangers get an address and no file (`unknown: quarantine`)".to_owned(),
                );
                decided(ground, (&datagram, &ask, &said), None, &mut explained);
            }
        }
    }
    Ok(Some(explained))
}

fn said(heard: &Heard, datagram: &Datagram, ask: &Ask) -> Said {
    let message = &datagram.message;
    let mut classes = Vec::new();
    for found in class::vendor_classes(message) {
        classes.extend(found.classes.iter().map(|text| (found.enterprise, text.to_vec())));
    }
    for found in class::vendor_specifics(message) {
        let texts = found.options.iter();
        classes.extend(texts.map(|(_, text)| (found.enterprise, text.to_vec())));
    }
    let identifier = ask.client().and_then(|duid| match duid.kind() {
        Kind::Enterprise { identifier, .. } => Some(identifier.to_vec()),
        Kind::LinkLayerTime { .. }
        | Kind::LinkLayer { .. }
        | Kind::Uuid(_)
        | Kind::Other { .. } => None,
    });
    let near = || match heard.datagram.from.0 {
        IpAddr::V6(from) if datagram.relays.is_empty() => mac_within(from),
        IpAddr::V6(_) | IpAddr::V4(_) => None,
    };
    Said {
        classes,
        user_classes: class::user_classes(message).into_iter().map(<[u8]>::to_vec).collect(),
        identifier,
        mac: datagram.mac().or_else(near),
    }
}

fn seen(datagram: &Datagram, ask: &Ask, said: &Said) -> Vec<Told> {
    let mut seen = Vec::new();
    seen.extend(said.mac.map(|mac| told("MAC", mac.to_string())));
    seen.extend(ask.client().map(|duid| told("1 client id", duid.to_string())));
    let classes = said.classes.iter();
    seen.extend(
        classes.map(|(enterprise, text)| told(format!("class of {enterprise}"), escaped(text))),
    );
    seen.extend(said.user_classes.iter().map(|text| told("15 user class", escaped(text))));
    for relay in &datagram.relays {
        seen.push(told("relay", format!("link {}, client at {}", relay.link, relay.peer)));
        if let Some((port, remote)) = relay.position() {
            let remote = remote.map(|remote| format!(" of {remote}")).unwrap_or_default();
            seen.push(told("relay port", format!("{port}{remote}")));
        }
    }
    let wanted: Vec<String> = datagram.message.wanted().map(code::name).collect();
    if !wanted.is_empty() {
        seen.push(told("6 asks for", wanted.join(", ")));
    }
    seen.extend(datagram.complaints.iter().map(|error| told("misshapen", error.to_string())));
    seen
}

fn decided(
    ground: &Ground,
    (datagram, ask, said): (&Datagram, &Ask, &Said),
    device: Option<&Arc<Device>>,
    explained: &mut Explained,
) {
    let Some(plan) = &ground.plan else { return };
    let (Some(settings), Some(leases)) = (&plan.config.dhcp6, &ground.leases6) else {
        return explained
            .why
            .push("this configuration gives no IPv6 addresses (`dhcp6:`)".to_owned());
    };
    if let Some(device) = device
        && !device.managed
        && device.address6.is_none()
    {
        let why = "it is in service already and has no planned address: it is left alone";
        return explained.why.push(why.to_owned());
    }
    if let Ask::Release(_) | Ask::Decline(_) = ask {
        explained.answer = "a Reply that takes its addresses back".to_owned();
        return;
    }
    let asker = Asker {
        duid: ask.client().map(Duid::to_string).unwrap_or_default(),
        mac: said.mac,
        seen: None,
        wire: None,
        device: device.cloned(),
        link: Link { relay: datagram.link(), local: vec![settings.server_address] },
    };
    match leases.decide(&asker, ask, ground.now) {
        Decision::Bound(bound) => {
            for line in &bound.decided {
                match &line.outcome {
                    Outcome::Given(given) => {
                        let seconds = given.expires.since(ground.now).as_secs();
                        let text = format!("{} for {seconds} s", given.address);
                        explained.carries.push(told(format!("address of {}", line.iaid), text));
                    }
                    Outcome::NoAddress { why }
                    | Outcome::NoBinding { why }
                    | Outcome::NotOnLink { why } => explained.why.push(why.clone()),
                }
            }
            let advertise = matches!(ask, Ask::Solicit { .. });
            explained.answer = if advertise { "Advertise" } else { "Reply" }.to_owned();
        }
        Decision::OnLink(_) => explained.answer = "Reply: its addresses fit this link".to_owned(),
        Decision::NotOnLink { why } => {
            explained.answer = "Reply: its addresses are of another link".to_owned();
            explained.why.push(why);
        }
        Decision::Parameters(_) => explained.answer = "Reply with parameters".to_owned(),
        Decision::Nothing { why } => return explained.why.push(why),
    }
    let managed = device.filter(|device| device.managed);
    let recognised = ground.platforms.recognise6(said);
    let seen = recognised.as_ref().map(|found| &found.platform);
    let platform = managed.and_then(|device| ground.platforms.answering(&device.platform, seen));
    if let Some((platform, device)) = platform.zip(managed) {
        if platform.id != device.platform {
            let title = &platform.title;
            explained.why.push(format!("{title} asks: it is told where its software is"));
        }
        boot(ground, (platform, device), settings.server_address, explained);
    }
}

fn boot(
    ground: &Ground,
    (platform, device): (&Platform, &Device),
    server: std::net::Ipv6Addr,
    explained: &mut Explained,
) {
    let http = ground.plan.as_ref().and_then(|plan| plan.config.http.as_ref());
    let listen = http.and_then(|http| http.listen.iter().find(|listen| listen.address.is_ipv6()));
    let image = device.software.as_ref().and_then(|software| software.installable());
    let url = platform.boot_file_url(&UrlFacts {
        server,
        device: device.name.clone(),
        http_port: listen.map(|listen| listen.address.port()),
        image: image.map(|image| image.name.clone()),
    });
    match url {
        Some(url) => explained.carries.push(told("59 boot file", url)),
        None => explained.why.push(format!("{} takes no boot file by DHCPv6", platform.id)),
    }
}
