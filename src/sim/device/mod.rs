//! The life of one simulated device: power, address, file, configuration, login; and its faults.
//!
//! [`Device`] is what hands can do to it; what it does by itself is [`life`].

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::sim::chassis::Chassis;
use crate::sim::cli::server::SshServer;
use crate::sim::diary::{Diary, Doing};
use crate::sim::inside::Inside;

mod dhcp;
mod fetch;
mod life;

/// A device in its place. Clones are the same device.
#[derive(Debug, Clone)]
pub struct Device {
    pub inside: Inside,
    body: Arc<Body>,
    life: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// Where a device stands in the network of the simulation.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where its DHCP messages go.
    pub dhcp: SocketAddr,
    /// The port that stands for 69.
    pub tftp_port: u16,
    /// The port that stands for 22.
    pub ssh_port: u16,
    pub clock: Clock,
    pub entropy: Entropy,
    pub pace: Pace,
    pub diary: Diary,
}

/// How one device stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitting {
    /// The loopback address from which it asks before it has a lease.
    pub from: Ipv4Addr,
    /// Circuit id and remote id that the switch in front of it adds (option 82, RFC 3046).
    pub position: Option<(String, String)>,
    pub behaviour: Behaviour,
}

/// How fast simulated time runs: 2 halves every pause of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace(pub f64);

/// How the device behaves. The default is a device without faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// From power to the first DISCOVER.
    pub boot: Duration,
    /// From the end of the file to the open login.
    pub apply: Duration,
    pub asking: Asking,
    /// It breaks its first transfers off after 1 KiB, so many of them: a bad cable ([`BAD_CABLE`])
    /// never lets one through until it is replaced.
    pub breaks_off: u32,
    /// At its first boot it stands still after it took its configuration.
    pub hangs_once: bool,
    /// It does not take the first line that begins so.
    pub loses: Option<String>,
    /// How long after its door opened it turns every login away.
    pub refuses_logins: Duration,
    /// It comes up with a new host key that long after its door opened.
    pub changes_host_key: Option<Duration>,
    pub images: Images,
}

/// What goes wrong with its images. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Images {
    /// It breaks so many of its first copies off.
    pub breaks_off: u32,
    /// What it stores is not what it was sent.
    pub corrupts: bool,
    /// Whatever it is told to boot, it comes up with what it had.
    pub keeps_old: bool,
}

/// How often the device asks for the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    Once,
    /// Complete transfers of one file, one after the other, all within `within`: seen on IOS-XE
    /// 17.6, 12 of them in 6 s.
    Repeatedly {
        times: u32,
        within: Duration,
    },
    /// `network-confg`, from two UDP ports, `apart` from each other.
    FromTwoPorts {
        apart: Duration,
    },
}

/// More transfers than any story waits for.
pub const BAD_CABLE: u32 = u32::MAX;

/// Everything about a device that outlives its power.
#[derive(Debug)]
struct Body {
    around: Surroundings,
    fitting: Fitting,
    door: Mutex<Option<SshServer>>,
    /// How often a fault of limited number has happened.
    happened: std::sync::Mutex<Happened>,
}

#[derive(Debug, Default)]
struct Happened {
    broke_off: u32,
    images_broke_off: u32,
    hung: bool,
}

impl Default for Behaviour {
    /// Two seconds of boot and one to apply: a demo's device, not a real one's 3 to 8 minutes.
    fn default() -> Self {
        Self {
            boot: Duration::from_secs(2),
            apply: Duration::from_secs(1),
            asking: Asking::Once,
            breaks_off: 0,
            hangs_once: false,
            loses: None,
            refuses_logins: Duration::ZERO,
            changes_host_key: None,
            images: Images::default(),
        }
    }
}

impl Pace {
    pub async fn pause(self, span: Duration) {
        tokio::time::sleep(span.div_f64(self.0)).await;
    }
}

impl Device {
    pub fn new(inside: Inside, around: Surroundings, fitting: Fitting) -> Self {
        let (door, happened) = (Mutex::new(None), std::sync::Mutex::default());
        let body = Body { around, fitting, door, happened };
        Self { inside, body: Arc::new(body), life: Arc::default() }
    }

    pub fn place(&self) -> &str {
        self.inside.place()
    }

    /// Plugs the power in; the device lives on by itself. It has no effect on one that has power.
    pub async fn power_on(&self) {
        let mut life = self.life.lock().await;
        if life.is_some() {
            return;
        }
        self.body.around.diary.write(self.place(), Doing::PoweredOn);
        *life = Some(tokio::spawn(life::live(self.inside.clone(), self.body.clone())));
    }

    /// Pulls the power; once this returns, nothing of it answers any more.
    pub async fn power_off(&self) {
        let mut life = self.life.lock().await;
        if let Some(task) = life.take() {
            task.abort();
            // It was cancelled or had ended: either way it is over.
            let _ = task.await;
            self.body.around.diary.write(self.place(), Doing::PoweredOff);
        }
        if let Some(door) = self.body.door.lock().await.take() {
            door.stop().await;
        }
        self.inside.power_off();
    }

    /// Power off, a moment, power on.
    pub async fn power_cycle(&self) {
        self.power_off().await;
        self.body.around.pace.pause(Duration::from_millis(500)).await;
        self.power_on().await;
    }

    /// Another box takes this place, with the same cables in the same ports.
    pub async fn exchange(&self, chassis: Chassis) {
        self.power_off().await;
        self.inside.exchange(chassis);
        self.power_on().await;
    }

    /// Good cables take the place of the bad ones.
    pub fn replace_cables(&self) {
        let mut happened = self.body.happened.lock().unwrap_or_else(PoisonError::into_inner);
        happened.broke_off = self.body.fitting.behaviour.breaks_off;
    }

    /// Somebody with rights enters these lines and saves.
    pub fn enter(&self, lines: &str) {
        self.inside.apply(lines, None);
        self.inside.save();
        self.inside.speak();
    }
}

#[cfg(test)]
mod tests;
