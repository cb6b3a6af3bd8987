//! One HTTP request, explained: whose address it comes from, who its headers say it is, and what
//! file that device gets by this path.

use std::net::IpAddr;
use std::sync::Arc;

use super::file::{self, Words};
use super::{Ground, escaped, told};
use crate::domain::inventory::meant::Device;
use crate::faces::cli::explained::{Explained, Fit, Told};
use crate::files::Loaded;
use crate::platform::recognition::IdentityHeaders;
use crate::proto::capture::http::{Asked, Head};
use crate::servers::http::file_name;
use crate::service::intake::{Clues, Identity};

const WORDS: Words = Words { missing: "404, not found", unready: "503: not ready" };

/// Headers that tell something of any asker.
const USUAL: [&str; 4] = ["Host", "User-Agent", "Range", "Content-Length"];

pub fn explain(ground: &Ground, asked: &Asked) -> Explained {
    let head = &asked.head;
    let known = ground.platforms.identity_headers();
    let header_clues = known.read(&head.headers);
    let clues = Clues { serial: header_clues.serial, mac: header_clues.mac, ..Clues::default() };
    let (identity, how) = ground.identify(&clues);
    let mut explained = Explained {
        what: format!("HTTP {}", head.method),
        seen: seen(head, &known),
        platforms: fits(ground, head),
        identity: how,
        answer: "nothing".to_owned(),
        ..Explained::default()
    };
    match &ground.plan {
        Some(plan) => decided(plan, ground, (asked, &identity), &mut explained),
        None => {
            explained.answer = "unknown".to_owned();
            file::names(ground, &file_name(head.path()), &mut explained);
        }
    }
    explained
}

fn seen(head: &Head, known: &IdentityHeaders) -> Vec<Told> {
    let IdentityHeaders { serial, model, mac } = known;
    let telling = |name: &str| {
        let mut names = serial.iter().chain(model).chain(mac);
        USUAL.iter().any(|usual| usual.eq_ignore_ascii_case(name))
            || names.any(|known| known.eq_ignore_ascii_case(name))
    };
    let headers = head.headers.iter().filter(|(name, _)| telling(name));
    let headers =
        headers.map(|(name, value)| told(escaped(name.as_bytes()), escaped(value.as_bytes())));
    [told("path", escaped(head.target.as_bytes()))].into_iter().chain(headers).collect()
}

/// The platforms that tell who they are in headers that are here; the one with the most first.
fn fits(ground: &Ground, head: &Head) -> Vec<Fit> {
    let mut fits: Vec<Fit> = Vec::new();
    for platform in ground.platforms.by_id.values() {
        let IdentityHeaders { serial, model, mac } = &platform.identity_headers;
        let names = serial.iter().chain(model).chain(mac);
        let by: Vec<String> = names
            .filter(|name| head.header(name).is_some())
            .map(|name| format!("header {name}"))
            .collect();
        if by.is_empty() {
            continue;
        }
        let clues = platform.identity_headers.read(&head.headers);
        let platform = platform.id.clone();
        fits.push(Fit { platform, by, serial: clues.serial, model: clues.model });
    }
    fits.sort_by_key(|fit| std::cmp::Reverse(fit.by.len()));
    fits
}

/// The address decides, because a header is only a claim.
fn decided(
    plan: &Loaded,
    ground: &Ground,
    (asked, identity): (&Asked, &Identity),
    explained: &mut Explained,
) {
    let head = &asked.head;
    let address = asked.first.from.0;
    let holder = match address {
        IpAddr::V4(address) => plan.inventory.with_address(address),
        IpAddr::V6(address) => plan.inventory.with_address6(address),
    };
    let owner = holder.map_or("nobody's", |device| device.name.as_str());
    explained.identity.insert(0, format!("{address} is {owner} by the plan"));
    if plan.config.http.is_none() {
        return explained.why.push("this configuration serves no HTTP (`http:`)".to_owned());
    }
    if !["GET", "HEAD"].contains(&head.method.as_str()) {
        explained.answer = "405: only GET and HEAD are served".to_owned();
        return;
    }
    if head.header("Content-Length").is_some_and(|length| length != "0") {
        explained.answer = "413: a request may not have a body".to_owned();
        return;
    }
    match asker(plan, holder, identity) {
        Ok(device) => {
            explained.device = Some(device.name.clone());
            let name = file_name(head.path());
            file::planned(plan, ground, (&device, &name), &WORDS, explained);
        }
        Err(why) => {
            explained.answer = WORDS.missing.to_owned();
            explained.why.push(why);
        }
    }
}

/// The device that is answered, or why nobody is.
fn asker(
    plan: &Loaded,
    holder: Option<&Arc<Device>>,
    identity: &Identity,
) -> Result<Arc<Device>, String> {
    let lease = "a server that runs may know the address by a lease";
    // Where another server hands out the addresses, the headers are all there is.
    let alone = plan.config.dhcp.is_none() && plan.config.dhcp6.is_none();
    match (holder, identity) {
        (_, Identity::Conflict { detail }) => Err(format!("its headers disagree: {detail}")),
        (Some(holder), Identity::Device(claimed)) if holder.name != claimed.name => {
            let (holder, claimed) = (&holder.name, &claimed.name);
            Err(format!("the address is {holder}'s, its headers say {claimed}"))
        }
        (Some(holder), _) => Ok(Arc::clone(holder)),
        (None, Identity::Device(claimed)) if alone => Ok(Arc::clone(claimed)),
        (None, Identity::Device(claimed)) => {
            Err(format!("its headers say {}; they are only a claim, and {lease}", claimed.name))
        }
        (None, Identity::Stranger { .. } | Identity::Nobody) => Err(lease.to_owned()),
    }
}
