//! What a device does by itself, from power to power.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::sim::chassis::Kind;
use crate::sim::cli::server::SshServer;
use crate::sim::device::dhcp::Lease;
use crate::sim::device::fetch::{self, Fetched, From, How};
use crate::sim::device::{Asking, Behaviour, Body, Images, dhcp};
use crate::sim::diary::Doing;
use crate::sim::inside::Inside;

/// IOS goes through its names three times (nine requests in 2 to 2.5 minutes on IOS-XE 17.6) and is
/// then silent until it is reloaded.
const ROUNDS_MAX: u32 = 3;

/// One life, until the power is pulled.
pub(super) async fn live(inside: Inside, body: Arc<Body>) {
    loop {
        let configured = inside.power_on();
        body.around.pace.pause(body.fitting.behaviour.boot).await;
        inside.speak();
        write(&inside, &body, Doing::Discovering);
        let lease = dhcp::obtain(&inside, &body).await;
        inside.set_address(Some(lease.address));
        inside.speak();
        write(&inside, &body, Doing::Leased { address: lease.address, file: lease.file.clone() });
        connect(&inside, &body, &lease);
        if configured {
            open(&inside, &body, lease.address).await;
            reloaded(&inside, &body).await;
            continue;
        }
        let Some(text) = autoinstall(&inside, &body, &lease).await else {
            return write(&inside, &body, Doing::GaveUp);
        };
        let lost = body.fitting.behaviour.loses.as_deref();
        inside.apply(&text, lost);
        write(&inside, &body, Doing::Applied { lost: lost.map(str::to_owned) });
        if hangs(&body) {
            return write(&inside, &body, Doing::Hung);
        }
        if inside.chassis().kind.persists() {
            // It reloads into what it has just written.
            inside.power_off();
            continue;
        }
        inside.speak();
        body.around.pace.pause(body.fitting.behaviour.apply).await;
        open(&inside, &body, lease.address).await;
        reloaded(&inside, &body).await;
    }
}

/// It has an address from now on, and can fetch images.
fn connect(inside: &Inside, body: &Arc<Body>, lease: &Lease) {
    let (at, body, lease) = (inside.clone(), Arc::clone(body), lease.clone());
    // The flash holds this for as long as the box has power; the box holds the flash.
    inside.flash.connect(Arc::new(move |url| {
        let (inside, body, lease) = (at.clone(), Arc::clone(&body), lease.clone());
        Box::pin(async move { image(&inside, &body, &lease, &url).await })
    }));
}

async fn image(inside: &Inside, body: &Body, lease: &Lease, url: &str) -> Result<Vec<u8>, String> {
    let chassis = inside.chassis();
    let from = From { chassis: &chassis, body, lease };
    let Images { breaks_off, corrupts, .. } = body.fitting.behaviour.images;
    let how = {
        let mut happened = body.happened.lock().unwrap_or_else(PoisonError::into_inner);
        let again = happened.images_broke_off < breaks_off;
        happened.images_broke_off += u32::from(again);
        if again { How::BreaksOff } else { How::ToTheEnd }
    };
    match fetch::fetch(&from, url, how).await {
        Fetched::Complete(mut bytes) => {
            write(inside, body, Doing::Downloaded { name: url.to_owned(), bytes: bytes.len() });
            if let Some(last) = bytes.last_mut().filter(|_| corrupts) {
                *last ^= 1;
            }
            Ok(bytes)
        }
        Fetched::BrokenOff => {
            write(inside, body, Doing::BrokeOff { name: url.to_owned() });
            Err("Connection reset".to_owned())
        }
        Fetched::Failed { why } => Err(why),
    }
}

/// Waits until it is told to reload, and goes down.
async fn reloaded(inside: &Inside, body: &Body) {
    inside.flash.told_to_reload().await;
    if let Some(door) = body.door.lock().await.take() {
        door.stop().await;
    }
    inside.power_off();
    if !body.fitting.behaviour.images.keeps_old {
        inside.boot_image();
    }
    write(inside, body, Doing::Reloading { version: inside.chassis().software });
}

fn write(inside: &Inside, body: &Body, doing: Doing) {
    body.around.diary.write(inside.place(), doing);
}

/// True once, for a device that hangs once.
fn hangs(body: &Body) -> bool {
    let mut happened = body.happened.lock().unwrap_or_else(PoisonError::into_inner);
    body.fitting.behaviour.hangs_once && !std::mem::replace(&mut happened.hung, true)
}

/// True as often as the device breaks its transfers off.
fn breaks_off(body: &Body) -> bool {
    let mut happened = body.happened.lock().unwrap_or_else(PoisonError::into_inner);
    let again = happened.broke_off < body.fitting.behaviour.breaks_off;
    happened.broke_off += u32::from(again);
    again
}

/// Opens the SSH door and keeps it as the behaviour says.
async fn open(inside: &Inside, body: &Body, address: Ipv4Addr) {
    let Behaviour { refuses_logins, changes_host_key, .. } = body.fitting.behaviour;
    inside.refuse_logins(refuses_logins > Duration::ZERO);
    unlock(inside, body, address).await;
    body.around.pace.pause(refuses_logins).await;
    inside.refuse_logins(false);
    if let Some(after) = changes_host_key {
        body.around.pace.pause(after).await;
        unlock(inside, body, address).await;
    }
}

async fn unlock(inside: &Inside, body: &Body, address: Ipv4Addr) {
    let mut door = body.door.lock().await;
    if let Some(old) = door.take() {
        old.stop().await;
    }
    let at = SocketAddr::from((address, body.around.ssh_port));
    match SshServer::start(inside.clone(), at, &body.around.entropy).await {
        Ok(server) => {
            let fingerprint = server.fingerprint().to_owned();
            write(inside, body, Doing::DoorOpen { at: server.address(), fingerprint });
            *door = Some(server);
        }
        Err(error) => tracing::warn!(%at, %error, "a simulated device cannot open its SSH port"),
    }
}

/// Asks for files until one came; `None` when the system gives up.
async fn autoinstall(inside: &Inside, body: &Body, lease: &Lease) -> Option<String> {
    let kind = inside.chassis().kind;
    let mut patience = Duration::from_secs(1);
    for _ in 0..ROUNDS_MAX {
        for name in names(kind, lease, body.fitting.behaviour.asking) {
            // A transfer that breaks is tried again by the same name, as long as it keeps breaking.
            loop {
                match ask(inside, body, lease, &name).await {
                    Fetched::Complete(bytes) => {
                        write(
                            inside,
                            body,
                            Doing::Downloaded { name: name.clone(), bytes: bytes.len() },
                        );
                        again(inside, body, lease, &name).await;
                        return Some(String::from_utf8_lossy(&bytes).into_owned());
                    }
                    Fetched::BrokenOff => {
                        write(inside, body, Doing::BrokeOff { name: name.clone() });
                        body.around.pace.pause(Duration::from_secs(1)).await;
                    }
                    Fetched::Failed { why } => {
                        write(inside, body, Doing::Refused { name: name.clone(), why });
                        break;
                    }
                }
            }
        }
        body.around.pace.pause(patience).await;
        patience *= 2;
    }
    None
}

/// The names the system asks, in its order.
fn names(kind: Kind, lease: &Lease, asking: Asking) -> Vec<String> {
    let given = (!lease.file.is_empty()).then(|| lease.file.clone());
    match (kind, asking) {
        (_, Asking::FromTwoPorts { .. }) => vec!["network-confg".to_owned()],
        (Kind::CiscoIos, Asking::Once | Asking::Repeatedly { .. }) => given
            .into_iter()
            .chain(
                ["network-confg", "cisconet.cfg", "router-confg", "ciscortr.cfg"]
                    .map(str::to_owned),
            )
            .collect(),
        (Kind::AristaEos | Kind::Frr, Asking::Once | Asking::Repeatedly { .. }) => {
            given.into_iter().collect()
        }
    }
}

async fn ask(inside: &Inside, body: &Body, lease: &Lease, name: &str) -> Fetched {
    let how = if breaks_off(body) { How::BreaksOff } else { How::ToTheEnd };
    let from = From { chassis: &inside.chassis(), body, lease };
    match body.fitting.behaviour.asking {
        Asking::FromTwoPorts { apart } => {
            let second = async {
                body.around.pace.pause(apart).await;
                fetch::fetch(&from, name, How::ToTheEnd).await
            };
            tokio::join!(fetch::fetch(&from, name, how), second).0
        }
        Asking::Once | Asking::Repeatedly { .. } => fetch::fetch(&from, name, how).await,
    }
}

/// The further transfers of a device that asks repeatedly; what they bring is what it has already.
async fn again(inside: &Inside, body: &Body, lease: &Lease, name: &str) {
    let Asking::Repeatedly { times, within } = body.fitting.behaviour.asking else { return };
    for _ in 1..times {
        body.around.pace.pause(within / times).await;
        let from = From { chassis: &inside.chassis(), body, lease };
        if let Fetched::Complete(bytes) = fetch::fetch(&from, name, How::ToTheEnd).await {
            write(inside, body, Doing::Downloaded { name: name.to_owned(), bytes: bytes.len() });
        }
    }
}
