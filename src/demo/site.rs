//! The site of the demo: two distribution switches in service, twelve new boxes, and their cables,
//! some of them where they should not be.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::address::Mac;
use crate::clock::{Clock, Timestamp};
use crate::demo::people::Port;
use crate::demo::stories::{LOST_LINE, Story, Twist};
use crate::entropy::Entropy;
use crate::sim::cabling::{Cabling, LldpTiming, NoSuchMove, Plant, Socket};
use crate::sim::chassis::{Chassis, Kind, Login};
use crate::sim::device::{Device, Fitting, Pace, Surroundings};
use crate::sim::diary::Diary;
use crate::sim::inside::Inside;

/// SSH on every simulated device: 22 belongs to root.
pub const SSH_PORT: u16 = 2222;
/// The account of the demo's devices.
pub const ADMIN: &str = "netops";
/// What the templates are given as time server.
pub const NTP: &str = "192.0.2.123";

/// Two bytes of 127.x.y.0/24: no two demos on one machine share their devices' addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corner {
    x: u8,
    y: u8,
}

/// The site. Clones are the same site.
#[derive(Clone)]
pub struct Site {
    pub plant: Plant,
    pub pace: Pace,
    /// What the network team enters where a line was lost.
    pub lost_line: String,
    devices: Arc<HashMap<String, Device>>,
    planned: Arc<HashMap<String, Chassis>>,
    /// In service: they only answer LLDP.
    _distribution: Arc<Vec<Inside>>,
}

/// Where the server under test listens, and what the devices need besides.
pub struct Ground {
    pub dhcp: SocketAddr,
    pub tftp_port: u16,
    pub corner: Corner,
    pub password: String,
    pub pace: Pace,
    pub clock: Clock,
    pub entropy: Entropy,
    pub diary: Diary,
}

impl Corner {
    pub fn any(entropy: &Entropy) -> Self {
        let [x, y, ..] = entropy.next_u64().to_be_bytes();
        // 127.0.0.0/16 is where other things on this machine listen.
        Self { x: x % 250 + 3, y: y % 250 + 3 }
    }

    /// The address a device is planned to have.
    pub fn planned(self, story: &Story) -> Ipv4Addr {
        Ipv4Addr::new(127, self.x, self.y, 100 + story.number)
    }

    /// The address from which it asks for that one.
    fn asking(self, story: &Story) -> Ipv4Addr {
        Ipv4Addr::new(127, self.x, self.y, 200 + story.number)
    }

    pub fn subnet(self) -> String {
        format!("127.{}.{}.0/24", self.x, self.y)
    }
}

/// The two uplink ports of a box of this kind, as the plan writes them.
pub fn uplinks(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::CiscoIos => ["GigabitEthernet1/0/49", "GigabitEthernet1/0/50"],
        Kind::AristaEos => ["Ethernet49", "Ethernet50"],
        Kind::Frr => ["swp1", "swp2"],
    }
}

/// The port of both distribution switches that is planned for this device.
pub fn distribution_port(story: &Story) -> String {
    format!("GigabitEthernet1/0/{}", story.number)
}

/// The box that is planned for this story.
pub fn planned_chassis(story: &Story) -> Chassis {
    let mac = Mac::new([0x02, 0x67, 0x6c, 0x00, 0x01, story.number]);
    let number = story.number;
    match story.kind {
        Kind::CiscoIos => Chassis::cisco(&format!("FOC2345L0{number:02}"), mac),
        Kind::AristaEos => Chassis::arista(&format!("JPE22480{number:03}"), mac),
        Kind::Frr => Chassis::frr(&format!("EB1004{number:03}"), mac),
    }
}

/// The box that stands there instead, where the story says so.
fn found_chassis(story: &Story) -> Chassis {
    let planned = planned_chassis(story);
    match story.twist {
        Twist::OtherBox => Chassis {
            serial: "FOC2199Z0QX".into(),
            mac: Mac::new([0x02, 0x67, 0x6c, 0x00, 0x09, story.number]),
            ..planned
        },
        Twist::Nothing
        | Twist::Slow
        | Twist::TwoReads
        | Twist::TwelveReads
        | Twist::SwappedUplinks
        | Twist::WrongPort
        | Twist::WrongSwitch
        | Twist::NoCable
        | Twist::LostLine
        | Twist::BadCable
        | Twist::Hangs => planned,
    }
}

/// Circuit id and remote id, for the device that is known by where it is plugged in.
pub fn position(story: &Story) -> Option<(String, String)> {
    (story.twist == Twist::OtherBox)
        .then(|| (format!("Gi1/0/{}", story.number), "dist-1".to_owned()))
}

impl Site {
    /// Builds the site: everything is cabled, the distribution switches run, the rest has no power.
    pub fn build(stories: &[Story], ground: &Ground) -> Self {
        let timing = LldpTiming {
            hello: Duration::from_secs(1).div_f64(ground.pace.0),
            linger: Duration::from_secs(3).div_f64(ground.pace.0),
        };
        let plant = Plant::new(ground.clock.clone(), timing);
        let distribution = [1, 2].map(|number| distribution_switch(number, &plant));
        let around = Surroundings {
            dhcp: ground.dhcp,
            tftp_port: ground.tftp_port,
            ssh_port: SSH_PORT,
            clock: ground.clock.clone(),
            entropy: ground.entropy.clone(),
            pace: ground.pace,
            diary: ground.diary.clone(),
        };
        let login =
            Login { username: ADMIN.into(), password: ground.password.clone(), enable: None };
        let mut devices = HashMap::new();
        for story in stories {
            let logins = vec![login.clone()];
            let inside = Inside::new(&story.device, found_chassis(story), logins, plant.clone());
            let fitting = Fitting {
                from: ground.corner.asking(story),
                position: position(story),
                behaviour: story.twist.behaviour(),
            };
            devices.insert(story.device.clone(), Device::new(inside, around.clone(), fitting));
            let (mut cabling, now) = plant.look();
            for (a, b) in cables(story) {
                cabling.connect(a, b, now).expect("every port of the plan is there and free");
            }
        }
        let planned =
            stories.iter().map(|story| (story.device.clone(), planned_chassis(story))).collect();
        Self {
            plant,
            pace: ground.pace,
            lost_line: format!("{LOST_LINE} {NTP}\n"),
            devices: Arc::new(devices),
            planned: Arc::new(planned),
            _distribution: Arc::new(distribution.into()),
        }
    }

    /// Powers one device after the other on, as somebody walks along the rack.
    pub async fn power_on_all(&self, stories: &[Story]) {
        for story in stories {
            self.device(&story.device, async |device| device.power_on().await).await;
            self.pace.pause(Duration::from_millis(900)).await;
        }
    }

    pub async fn power_off_all(&self) {
        for device in self.devices.values() {
            device.power_off().await;
        }
    }

    /// Does something with a device, if there is one of this name.
    pub async fn device(&self, name: &str, deed: impl AsyncFnOnce(&Device)) {
        if let Some(device) = self.devices.get(name) {
            deed(device).await;
        }
    }

    pub fn planned_chassis(&self, name: &str) -> Option<Chassis> {
        self.planned.get(name).cloned()
    }

    /// Does something with two sockets that are named as a notice names them.
    pub fn move_plugs(
        &self,
        a: &Port,
        b: &Port,
        deed: impl FnOnce(&mut Cabling, Socket, Socket, Timestamp) -> Result<(), NoSuchMove>,
    ) -> Result<(), NoSuchMove> {
        let (mut cabling, now) = self.plant.look();
        let (a, b) = (a.socket(&cabling)?, b.socket(&cabling)?);
        deed(&mut cabling, a, b, now)
    }
}

impl Site {
    /// Takes the plugs out and puts each where its pair says.
    pub fn change_places(&self, plugs: &[(Port, Port)]) -> Result<(), NoSuchMove> {
        let (mut cabling, now) = self.plant.look();
        let pairs = plugs
            .iter()
            .map(|(from, to)| Ok((from.socket(&cabling)?, to.socket(&cabling)?)))
            .collect::<Result<Vec<_>, NoSuchMove>>()?;
        cabling.change_places(&pairs, now)
    }
}

fn distribution_switch(number: u8, plant: &Plant) -> Inside {
    let mac = Mac::new([0x02, 0x67, 0x6c, 0x00, 0x00, number]);
    let name = format!("dist-{number}");
    let chassis = Chassis::cisco(&format!("FOC2000D00{number}"), mac);
    let inside = Inside::new(&name, chassis, Vec::new(), plant.clone());
    inside.power_on();
    inside.apply(&format!("hostname {name}\n"), None);
    inside.speak();
    inside
}

/// The cables of one device as they really are.
fn cables(story: &Story) -> Vec<(Socket, Socket)> {
    let [first, second] = uplinks(story.kind).map(|port| Socket::new(&*story.device, port));
    let there = |switch: &str, port: String| Socket::new(switch, port);
    let planned = distribution_port(story);
    let stray = format!("GigabitEthernet1/0/{}", story.number + 30);
    match story.twist {
        Twist::SwappedUplinks => {
            vec![(second, there("dist-1", planned.clone())), (first, there("dist-2", planned))]
        }
        Twist::WrongPort => {
            vec![(first, there("dist-1", stray)), (second, there("dist-2", planned))]
        }
        Twist::WrongSwitch => {
            vec![(first, there("dist-2", stray)), (second, there("dist-2", planned))]
        }
        Twist::NoCable => vec![(first, there("dist-1", planned))],
        Twist::Nothing
        | Twist::Slow
        | Twist::TwoReads
        | Twist::TwelveReads
        | Twist::OtherBox
        | Twist::LostLine
        | Twist::BadCable
        | Twist::Hangs => {
            vec![(first, there("dist-1", planned.clone())), (second, there("dist-2", planned))]
        }
    }
}
