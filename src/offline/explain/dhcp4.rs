//! One DHCPv4 request, explained.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use super::{Ground, Heard, escaped, refused, told};
use crate::address::Mac;
use crate::config::meant::{Dhcp, Unknown};
use crate::domain::inventory::meant::{Device, Position};
use crate::faces::cli::explained::{Explained, Fit, Told};
use crate::platform::card::option_name;
use crate::platform::{AnswerFacts, Platform, Recognised};
use crate::proto::dhcp4::answer::{Answer, Facts, Given, Network, Verdict, Ways, answer};
use crate::proto::dhcp4::relay::{self, Information};
use crate::proto::dhcp4::{Ask, Message, MessageType, code};
use crate::service::intake::{Clues, Identity};
use crate::service::leases::{Asker, Decision, Link};

/// `None` for what is no client's message; the error for one that cannot be read.
pub fn explain(ground: &Ground, heard: &Heard) -> Result<Option<Explained>, String> {
    let message = Message::decode(heard.datagram.payload).map_err(|error| error.to_string())?;
    if message.op != Message::BOOT_REQUEST {
        return Ok(None);
    }
    let Some(mac) = message.mac() else {
        return Err(format!("hardware of type {}, not Ethernet", message.htype));
    };
    let kind = message.message_type().map_or("BOOTP".to_owned(), |kind| format!("{kind:?}"));
    let explanation = ground.platforms.explain(&message.options, mac);
    let recognised = ground.platforms.recognise(&message.options, mac);
    let clues = clues(recognised.as_ref(), &message, mac);
    let (identity, how) = ground.identify(&clues);
    let mut explained = Explained {
        what: format!("DHCPv4 {kind}"),
        seen: seen(&message, explanation.seen),
        platforms: explanation
            .fits
            .into_iter()
            .map(|fit| Fit {
                platform: fit.id,
                by: fit.by,
                serial: fit.clues.serial,
                model: fit.clues.model,
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
        (None, _) => without_a_plan(ground, &clues, &mut explained),
        (Some(_), Identity::Device(device)) => {
            decided(ground, heard, (&message, mac), Some(device), &mut explained);
        }
        (Some(plan), identity) => {
            explained.why.extend(refused(identity));
            let quarantined = matches!(identity, Identity::Stranger { .. })
                && plan
                    .config
                    .dhcp
                    .as_ref()
                    .is_some_and(|dhcp| dhcp.unknown == Unknown::Quarantine);
            if quarantined {
                explained.why.push(
                    "strangers get a short lease and no file (`unknown: quarantine`)".to_owned(),
                );
                decided(ground, heard, (&message, mac), None, &mut explained);
            }
        }
    }
    Ok(Some(explained))
}

fn clues(recognised: Option<&Recognised>, message: &Message, mac: Mac) -> Clues {
    let position =
        message.relay_information().and_then(|option| Information::of(option).position());
    Clues {
        serial: recognised.and_then(|found| found.serial.clone()),
        mac: Some(mac),
        position: position.map(|(circuit_id, remote_id)| Position { circuit_id, remote_id }),
        address: None,
        platform: recognised.map(|found| found.platform.id.clone()),
    }
}

fn seen(message: &Message, looked_at: Vec<(String, String)>) -> Vec<Told> {
    let mut seen: Vec<Told> =
        looked_at.into_iter().map(|(name, value)| told(name, value)).collect();
    for (name, address) in [("its address", message.ciaddr), ("relay", message.giaddr)] {
        if !address.is_unspecified() {
            seen.push(told(name, address.to_string()));
        }
    }
    if let Some(option) = message.relay_information() {
        seen.extend(relayed(&Information::of(option)));
    }
    for code in [50, 54, 55, 57] {
        seen.extend(message.option(code).map(|value| option(code, value)));
    }
    seen.extend(message.complaints.iter().map(|error| told("misshapen", error.to_string())));
    seen
}

/// What option 82 says.
fn relayed(information: &Information) -> Vec<Told> {
    let id = |id: &[u8]| {
        let text = relay::text(id);
        relay::readable(&text).map_or(text.clone(), |readable| format!("{readable} ({text})"))
    };
    let Information { circuit_id, remote_id, link, server_override, virtual_subnet, .. } =
        information;
    let mut seen = Vec::new();
    seen.extend(circuit_id.map(|it| told("82 relay port", id(it))));
    seen.extend(remote_id.map(|it| told("82 relay", id(it))));
    seen.extend(link.map(|link| told("82 client's subnet", link.to_string())));
    seen.extend(server_override.map(|it| told("82 server to be named", it.to_string())));
    for (enterprise, data) in information.vendor_information() {
        seen.push(told(format!("82 of enterprise {enterprise}"), relay::text(data)));
    }
    if let Some(subnet) = virtual_subnet {
        let note = match information.virtual_subnet_control {
            true => "not used, and the relay reads that from 152, which is echoed",
            false => "not used",
        };
        seen.push(told("82 virtual subnet", format!("{subnet} ({note})")));
    }
    seen
}

/// What its platform would be told, whoever it is.
fn without_a_plan(ground: &Ground, clues: &Clues, explained: &mut Explained) {
    explained.answer = "unknown".to_owned();
    let platform = clues.platform.as_ref().and_then(|id| ground.platforms.get(id));
    if let Some(platform) = platform {
        explained.why.push(format!("a planned device of {} is told what follows", platform.id));
        let card = platform.card();
        explained.carries = card
            .answers
            .iter()
            .map(|answer| told(named(answer.option), answer.value.clone()))
            .collect();
    }
}

fn decided(
    ground: &Ground,
    heard: &Heard,
    (message, mac): (&Message, Mac),
    device: Option<&Arc<Device>>,
    explained: &mut Explained,
) {
    let Some(plan) = &ground.plan else { return };
    let (Some(settings), Some(leases)) = (&plan.config.dhcp, &ground.leases) else {
        explained.why.push("this configuration gives no IPv4 addresses (`dhcp:`)".to_owned());
        return;
    };
    if let Some(device) = device
        && !device.managed
        && device.address.is_none()
    {
        let why = "it is in service already and has no planned address: it is left alone";
        explained.why.push(why.to_owned());
        return;
    }
    let to_us_alone = match heard.datagram.to.0 {
        IpAddr::V4(to) => !to.is_broadcast() && !to.is_unspecified(),
        IpAddr::V6(_) => false,
    };
    let ask = match Ask::of(message, to_us_alone) {
        Ok(ask) => ask.renamed(message.server_override(), settings.server_address),
        Err(why) => return explained.why.push(why.to_string()),
    };
    if let Ask::Decline { .. } | Ask::Release { .. } = ask {
        return explained.why.push("it gives an address back, which is not answered".to_owned());
    }
    let link = message.relay_information().and_then(|option| Information::of(option).link);
    let managed = device.filter(|device| device.managed);
    let planned = managed.and_then(|device| ground.platforms.get(&device.platform));
    let recognised = ground.platforms.recognise(&message.options, mac);
    let seen = recognised.as_ref().map(|found| &found.platform);
    let platform = managed.and_then(|device| ground.platforms.answering(&device.platform, seen));
    if let (Some(planned), Some(platform)) = (planned, platform)
        && planned.id != platform.id
    {
        let title = &platform.title;
        explained.why.push(format!("{title} asks: it is told where its software is"));
    }
    let asker = Asker {
        mac,
        client_id: message.client_id_hex(),
        device: device.cloned(),
        relay_information: message.relay_information_hex(),
        lease_at_least: planned.and_then(|platform| platform.lease_at_least),
        link: Link {
            relay: message.relay().map(|giaddr| link.unwrap_or(giaddr)),
            local: settings.server_address,
        },
    };
    let decision = leases.decide(&asker, ask, ground.now);
    let forced =
        platform.zip(device).map(|(platform, device)| forced(ground, settings, platform, device));
    let facts = Facts {
        server: settings.server_address,
        verdict: verdict(decision, ground),
        host_name: device.map(|device| device.name.clone()),
        forced: forced.unwrap_or_default(),
        to_us_alone,
        ways: Ways::STANDARD,
    };
    answered(message, &facts, ground, explained);
}

fn forced(
    ground: &Ground,
    settings: &Dhcp,
    platform: &Platform,
    device: &Device,
) -> Vec<(u8, Vec<u8>)> {
    let http = ground.plan.as_ref().and_then(|plan| plan.config.http.as_ref());
    let facts = AnswerFacts {
        server: settings.server_address,
        device: device.name.clone(),
        http_port: http.and_then(|http| http.listen.first()).map(|listen| listen.address.port()),
    };
    let image = device.software.as_ref().and_then(|software| software.installable());
    platform.dhcp_options_with(&facts, image.map(|image| image.name.as_str()))
}

fn verdict(decision: Decision, ground: &Ground) -> Verdict {
    let network = |pool: &crate::config::meant::Pool| Network {
        mask: pool.subnet.netmask(),
        router: pool.router,
        dns: pool.dns.clone(),
        domain: pool.domain.clone(),
    };
    match decision {
        Decision::Granted(grant) => Verdict::Given(Given {
            address: grant.lease.address,
            expires: grant.lease.expires,
            network: network(&grant.pool),
        }),
        Decision::Parameters(pool) => Verdict::Given(Given {
            address: Ipv4Addr::UNSPECIFIED,
            expires: ground.now,
            network: network(&pool),
        }),
        Decision::Wrong { why } => Verdict::Wrong { why },
        Decision::Nothing { why } | Decision::Occupied { why } => Verdict::Nothing { why },
    }
}

fn answered(message: &Message, facts: &Facts, ground: &Ground, explained: &mut Explained) {
    let given = |name: &str| match &facts.verdict {
        Verdict::Given(Given { address, expires, .. }) => {
            format!("{name} {address} for {} s", expires.since(ground.now).as_secs())
        }
        Verdict::Wrong { .. } | Verdict::Nothing { .. } => name.to_owned(),
    };
    if let Verdict::Wrong { why } | Verdict::Nothing { why } = &facts.verdict {
        explained.why.push(why.clone());
    }
    let reply = match answer(message, facts, ground.now) {
        Answer::Offer(reply) => {
            explained.answer = given("OFFER");
            reply
        }
        // What an ACK says is sealed until its lease is stored. It carries what the OFFER does.
        Answer::Ack(_) => {
            explained.answer = given("ACK");
            let discover =
                message.clone().with(code::MESSAGE_TYPE, [MessageType::Discover.number()]);
            match answer(&discover, facts, ground.now) {
                Answer::Offer(reply) => reply,
                Answer::Ack(_) | Answer::Informed(_) | Answer::Nak(_) | Answer::Silence(_) => {
                    return;
                }
            }
        }
        Answer::Informed(reply) => {
            explained.answer = "ACK of parameters, without an address".to_owned();
            reply
        }
        Answer::Nak(_) => {
            explained.answer = "NAK: it must begin anew".to_owned();
            return;
        }
        Answer::Silence(why) => {
            let why = why.to_string();
            if !explained.why.contains(&why) {
                explained.why.push(why);
            }
            return;
        }
    };
    let to = |to: SocketAddrV4| format!("it goes to {to}");
    explained.why.push(to(reply.to));
    if let Ok(reply) = Message::decode(&reply.bytes) {
        let told = reply.options.iter().filter(|(code, _)| **code != code::MESSAGE_TYPE);
        explained.carries = told.map(|(code, value)| option(*code, value)).collect();
    }
    let left_out: Vec<String> = reply.left_out.iter().map(u8::to_string).collect();
    if !left_out.is_empty() {
        let why = format!("options without room in its longest message: {}", left_out.join(", "));
        explained.why.push(why);
    }
}

fn named(code: u8) -> String {
    format!("{code} {}", option_name(code)).trim_end().to_owned()
}

/// An option as a person reads it.
fn option(code: u8, value: &[u8]) -> Told {
    let (quads, rest) = value.as_chunks::<4>();
    let whole = rest.is_empty() && !quads.is_empty();
    let text = match code {
        1 | 3 | 6 | 28 | 50 | 54 | 150 if whole => {
            let addresses = quads.iter().map(|quad| Ipv4Addr::from(*quad).to_string());
            addresses.collect::<Vec<_>>().join(", ")
        }
        51 | 58 | 59 if whole => format!("{} s", u32::from_be_bytes(quads[0])),
        55 => value.iter().map(u8::to_string).collect::<Vec<_>>().join(", "),
        57 => value
            .iter()
            .fold(0u64, |sum, byte| sum << 8 & 0xffff_ffff | u64::from(*byte))
            .to_string(),
        _ if value.iter().all(|byte| (b' '..=b'~').contains(byte)) => escaped(value),
        _ => value.iter().fold("0x".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
    };
    told(named(code), text)
}
