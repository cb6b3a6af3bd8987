//! Who repairs: an installer who does what the notice says, and a network engineer. They know the
//! notice and nothing else; where the cables really are, only the plant knows.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::demo::site::Site;
use crate::domain::check::Problem;
use crate::domain::fault::Fault;
use crate::sim::cabling::{NoSuchMove, Socket};
use crate::sim::hands::read_round;

/// Notices that wait for the installer's hands: far more than a site has devices.
pub const QUEUE: usize = 256;

/// What a person does about a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Exchanges the plugs in two ports of the device.
    Exchange {
        a: Port,
        b: Port,
    },
    /// Moves one plug.
    Move {
        from: Port,
        to: Port,
    },
    /// Runs a cable.
    Plug {
        a: Port,
        b: Port,
    },
    /// The plug in each port goes where the pair says, all at once.
    ChangePlaces(Vec<(Port, Port)>),
    Unplug(Port),
    ReplaceCable,
    PowerCycle,
    /// Puts the planned box in its place.
    ExchangeBox,
    /// The network team enters what is missing.
    EnterLine,
    /// There is nothing for them to do.
    Wait,
}

/// A port as a notice names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub device: String,
    pub port: String,
}

/// A problem that somebody reads on a phone.
#[derive(Debug, Clone)]
pub struct Read {
    pub device: String,
    pub problem: Problem,
}

/// What was done, for the view.
#[derive(Debug, Clone)]
pub struct Deed {
    pub device: String,
    pub text: String,
}

/// What to do about this problem of this device, told by the notice's fillings alone.
pub fn act(device: &str, problem: &Problem) -> Act {
    let at = |device_key: &str, port_key: &str| port(&problem.fill, device_key, port_key);
    let here = |port_key: &str| {
        let port = problem.fill.get(port_key)?.clone();
        Some(Port { device: device.to_owned(), port })
    };
    let with = |a: Option<Port>, b: Option<Port>, build: fn(Port, Port) -> Act| match (a, b) {
        (Some(a), Some(b)) => build(a, b),
        // A notice that does not say which port moves nobody.
        (None, _) | (_, None) => Act::Wait,
    };
    match problem.fault {
        Fault::SwappedPair => with(here("port"), here("port_b"), |a, b| Act::Exchange { a, b }),
        Fault::WrongPort | Fault::WrongDevice => {
            let (from, to) = (at("found_device", "found_port"), at("far_device", "far_port"));
            with(from, to, |from, to| Act::Move { from, to })
        }
        Fault::NeighbourDown => {
            with(here("port"), at("far_device", "far_port"), |a, b| Act::Plug { a, b })
        }
        Fault::RotatedPlugs => match problem.fill.get("round").and_then(|list| read_round(list)) {
            Some(plugs) => {
                let ours = |port| Port { device: device.to_owned(), port };
                Act::ChangePlaces(plugs.into_iter().map(|(a, b)| (ours(a), ours(b))).collect())
            }
            None => here("port").map_or(Act::Wait, Act::Unplug),
        },
        Fault::UnplannedNeighbour => here("port").map_or(Act::Wait, Act::Unplug),
        Fault::TransferBroken => Act::ReplaceCable,
        Fault::NotBack => Act::PowerCycle,
        Fault::OtherBox => Act::ExchangeBox,
        Fault::ConfigurationDiffers => Act::EnterLine,
        Fault::Silent
        | Fault::DhcpSide
        | Fault::NoFileAsked
        | Fault::UnexpectedFile
        | Fault::UnknownDevice
        | Fault::LoginRefused
        | Fault::HostKeyChanged
        | Fault::NeighbourMute
        | Fault::NeighbourUnheard
        | Fault::MemberMissing
        | Fault::PoorCable
        | Fault::FlappingPort
        | Fault::PowerSupply
        | Fault::FanOrHeat
        | Fault::CheckUnmet
        | Fault::CannotReach
        | Fault::OtherSoftware
        | Fault::Duplicate
        | Fault::OurSide
        | Fault::Unreadable => Act::Wait,
    }
}

fn port(fill: &BTreeMap<String, String>, device_key: &str, port_key: &str) -> Option<Port> {
    let (device, port) = (fill.get(device_key)?.clone(), fill.get(port_key)?.clone());
    Some(Port { device, port })
}

/// One pair of hands: reads one notice after the other, walks to the rack, and does it.
pub async fn work(site: Site, mut notices: mpsc::Receiver<Read>, deeds: mpsc::Sender<Deed>) {
    while let Some(read) = notices.recv().await {
        site.pace.pause(Duration::from_millis(2500)).await;
        let act = act(&read.device, &read.problem);
        let text = perform(&site, &read.device, &act).await;
        if deeds.send(Deed { device: read.device, text }).await.is_err() {
            return;
        }
    }
}

/// Does it, and says so.
async fn perform(site: &Site, device: &str, act: &Act) -> String {
    match act {
        Act::Exchange { a, b } => moved(
            site.move_plugs(a, b, |cabling, a, b, now| cabling.swap(&a, &b, now)),
            format!("the installer exchanges the plugs in ports {} and {}", a.port, b.port),
        ),
        Act::Move { from, to } => moved(
            site.move_plugs(from, to, |cabling, from, to, now| cabling.move_plug(&from, &to, now)),
            format!(
                "the installer moves a plug from {} port {} to {} port {}",
                from.device, from.port, to.device, to.port
            ),
        ),
        Act::Plug { a, b } => moved(
            site.move_plugs(a, b, |cabling, a, b, now| cabling.connect(a, b, now)),
            format!(
                "the installer plugs a cable from port {} to {} port {}",
                a.port, b.device, b.port
            ),
        ),
        Act::ChangePlaces(plugs) => {
            let told: Vec<String> =
                plugs.iter().map(|(from, to)| format!("{} to {}", from.port, to.port)).collect();
            moved(site.change_places(plugs), format!("the installer moves {}", told.join(", ")))
        }
        Act::Unplug(port) => moved(
            site.move_plugs(port, port, |cabling, port, _, now| cabling.unplug(&port, now)),
            format!("the installer takes the plug out of port {}", port.port),
        ),
        Act::ReplaceCable => {
            site.device(device, async |device| device.replace_cables()).await;
            "the installer replaces the uplink cable".to_owned()
        }
        Act::PowerCycle => {
            site.device(device, async |device| device.power_cycle().await).await;
            "the installer switches it off and on again".to_owned()
        }
        Act::ExchangeBox => {
            let planned = site.planned_chassis(device);
            site.device(device, async |device| match planned {
                Some(chassis) => device.exchange(chassis).await,
                None => device.power_cycle().await,
            })
            .await;
            "the installer brings the planned box".to_owned()
        }
        Act::EnterLine => {
            let line = site.lost_line.clone();
            site.device(device, async |device| device.enter(&line)).await;
            format!("the network team enters `{}`", site.lost_line.trim())
        }
        Act::Wait => "nobody has to do anything".to_owned(),
    }
}

fn moved(result: Result<(), NoSuchMove>, done: String) -> String {
    match result {
        Ok(()) => done,
        Err(why) => format!("{done}, but {why}"),
    }
}

impl Port {
    /// The socket that this name means on the box.
    pub fn socket(&self, cabling: &crate::sim::cabling::Cabling) -> Result<Socket, NoSuchMove> {
        cabling
            .socket_called(&self.device, &self.port)
            .ok_or_else(|| NoSuchMove::NoSuchPort(Socket::new(&*self.device, &*self.port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(fault: Fault, fill: &[(&str, &str)]) -> Problem {
        let fill = fill.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Problem { fault, fill, sockets: Vec::new() }
    }

    fn port(device: &str, port: &str) -> Port {
        Port { device: device.into(), port: port.into() }
    }

    #[test]
    fn the_hands_do_what_the_notice_says_and_no_more() {
        let swapped = problem(Fault::SwappedPair, &[("port", "Gi1/0/49"), ("port_b", "Gi1/0/50")]);
        assert_eq!(
            act("acc", &swapped),
            Act::Exchange { a: port("acc", "Gi1/0/49"), b: port("acc", "Gi1/0/50") }
        );
        let wrong = [
            ("port", "49"),
            ("found_device", "dist-2"),
            ("found_port", "7"),
            ("far_device", "dist-1"),
            ("far_port", "3"),
        ];
        for fault in [Fault::WrongPort, Fault::WrongDevice] {
            assert_eq!(
                act("acc", &problem(fault, &wrong)),
                Act::Move { from: port("dist-2", "7"), to: port("dist-1", "3") }
            );
        }
        let down = [("port", "50"), ("far_device", "dist-2"), ("far_port", "3")];
        assert_eq!(
            act("acc", &problem(Fault::NeighbourDown, &down)),
            Act::Plug { a: port("acc", "50"), b: port("dist-2", "3") }
        );
        assert_eq!(act("acc", &problem(Fault::LoginRefused, &[])), Act::Wait);
        assert_eq!(act("acc", &problem(Fault::WrongPort, &[("port", "49")])), Act::Wait);
    }
}
