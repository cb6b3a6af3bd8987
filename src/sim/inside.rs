//! What one box knows at this moment: the part that its life changes and its command line reads.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::sim::cabling::{Face, Heard, Plant, Presence};
use crate::sim::chassis::{Chassis, Login};
use crate::sim::flash::{Flash, Shelf};
use crate::sim::running::Lines;

/// The inside of one box in its place. Clones are the same box.
#[derive(Debug, Clone)]
pub struct Inside {
    place: Arc<str>,
    plant: Plant,
    /// Its images.
    pub flash: Flash,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    chassis: Chassis,
    logins: Vec<Login>,
    running: Lines,
    saved: Option<Lines>,
    booted: Timestamp,
    address: Option<Ipv4Addr>,
    refuses_logins: bool,
    deaf: bool,
}

/// A still picture of a box, from which its command line answers.
#[derive(Debug, Clone)]
pub struct View {
    pub chassis: Chassis,
    pub hostname: String,
    pub running: Lines,
    pub saved: Option<Lines>,
    pub heard: Vec<Heard>,
    pub links: Vec<(String, bool)>,
    pub address: Option<Ipv4Addr>,
    pub now: Timestamp,
    pub uptime: Duration,
    pub shelf: Shelf,
    /// It does not tell whom it hears.
    pub deaf: bool,
}

impl Inside {
    pub fn new(place: &str, chassis: Chassis, logins: Vec<Login>, plant: Plant) -> Self {
        let running = Lines::new(chassis.kind, &chassis.factory_lines());
        let (mut cabling, now) = plant.look();
        cabling.install(place, &chassis.ports, now);
        drop(cabling);
        let state = State {
            chassis,
            logins,
            running,
            saved: None,
            booted: now,
            address: None,
            refuses_logins: false,
            deaf: false,
        };
        let flash = Flash::default();
        Self { place: place.into(), plant, flash, state: Arc::new(Mutex::new(state)) }
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    pub fn chassis(&self) -> Chassis {
        self.state().chassis.clone()
    }

    /// Puts another box into this place: other label, other addresses, nothing configured.
    pub fn exchange(&self, chassis: Chassis) {
        self.state().chassis = chassis;
        self.flash.empty();
        self.forget_everything();
    }

    /// Power off: the running configuration and the address are gone, the saved one stays.
    pub fn power_off(&self) {
        self.flash.disconnect();
        {
            let mut state = self.state();
            state.address = None;
            let factory = state.chassis.factory_lines();
            state.running = Lines::new(state.chassis.kind, &factory);
        }
        self.show(Presence::Off);
    }

    /// Power on: the box runs what was saved, if anything was. Answers whether there was something.
    pub fn power_on(&self) -> bool {
        let now = self.plant.clock().now();
        let configured = {
            let mut state = self.state();
            state.booted = now;
            if let Some(saved) = state.saved.clone() {
                state.running = saved;
            }
            state.saved.is_some()
        };
        self.show(Presence::Booting);
        configured
    }

    /// The box begins to speak LLDP, or speaks under its new name.
    pub fn speak(&self) {
        let face = {
            let state = self.state();
            Face {
                kind: state.chassis.kind,
                name: state.running.hostname().to_owned(),
                mac: state.chassis.mac,
                description: description(&state.chassis),
                address: state.address,
            }
        };
        self.show(Presence::Speaking(face));
    }

    /// Applies a configuration text; on systems that persist, it is the saved one, too.
    pub fn apply(&self, text: &str, losing: Option<&str>) {
        let mut state = self.state();
        state.running.merge(text, losing);
        if state.chassis.kind.persists() {
            state.saved = Some(state.running.clone());
        }
    }

    pub fn save(&self) {
        let mut state = self.state();
        state.saved = Some(state.running.clone());
    }

    /// The next boot brings what the flash says.
    pub fn boot_image(&self) {
        if let Some(version) = self.flash.next_version() {
            self.state().chassis.software = version;
        }
    }

    pub fn set_address(&self, address: Option<Ipv4Addr>) {
        self.state().address = address;
    }

    /// Makes the box turn every login away, as with an AAA server that is not there.
    pub fn refuse_logins(&self, refuse: bool) {
        self.state().refuses_logins = refuse;
    }

    /// Makes the box speak to its neighbours and not listen: it answers that nothing is running.
    pub fn deafen(&self, deaf: bool) {
        self.state().deaf = deaf;
    }

    /// The login this pair opens, if any.
    pub fn admits(&self, username: &str, password: &str) -> Option<Login> {
        use crate::sim::chassis::Kind;
        let state = self.state();
        let account = match state.chassis.kind {
            Kind::CiscoIos | Kind::AristaEos => state.running.names_user(username),
            Kind::Frr => true,
        };
        if state.refuses_logins || !account {
            return None;
        }
        let fits = |login: &&Login| login.username == username && login.password == password;
        state.logins.iter().find(fits).cloned()
    }

    pub fn view(&self) -> View {
        // One lock after the other, never both: the plant is locked by other boxes, too.
        let (heard, links, now) = {
            let (cabling, now) = self.plant.look();
            (cabling.heard_by(&self.place, now), cabling.links_of(&self.place), now)
        };
        let shelf = self.flash.shelf();
        let state = self.state();
        View {
            hostname: state.running.hostname().to_owned(),
            chassis: state.chassis.clone(),
            running: state.running.clone(),
            saved: state.saved.clone(),
            heard,
            links,
            address: state.address,
            now,
            uptime: now.since(state.booted),
            shelf,
            deaf: state.deaf,
        }
    }

    fn forget_everything(&self) {
        let mut state = self.state();
        let factory = state.chassis.factory_lines();
        state.running = Lines::new(state.chassis.kind, &factory);
        state.saved = None;
        state.address = None;
    }

    fn show(&self, presence: Presence) {
        let (mut cabling, now) = self.plant.look();
        cabling.show(&self.place, presence, now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is complete before the lock is given back, so a panic elsewhere harms
        // nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The system description of LLDP (IEEE 802.1AB section 8.5.7).
pub fn description(chassis: &Chassis) -> String {
    use crate::sim::chassis::Kind;
    match chassis.kind {
        Kind::CiscoIos => format!(
            "Cisco IOS Software [Cupertino], Catalyst L3 Switch Software (CAT9K_IOSXE), \
             Version {}, RELEASE SOFTWARE (fc3)",
            chassis.software
        ),
        Kind::AristaEos => format!(
            "Arista Networks EOS version {} running on an Arista Networks {}",
            chassis.software, chassis.model
        ),
        Kind::Frr => "Debian GNU/Linux 12 (bookworm) Linux 6.1.0 x86_64".to_owned(),
    }
}
