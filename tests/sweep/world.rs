//! The physical world: sockets, plugs, light, and what each port therefore hears. Seconds from the
//! beginning; nothing waits, nothing is drawn here but the words of the neighbours.

use greenlight::platform::observation::{Interface, Neighbour};

/// A socket of ours, or of the far side, by number.
pub type Socket = usize;
pub type Seconds = i64;

/// One cable: where its plugs are, if they are anywhere.
#[derive(Debug, Clone)]
pub struct Cable {
    pub near: Option<Socket>,
    pub far: Option<Socket>,
    /// Broken inside: plugged, and dark.
    pub dead: bool,
    /// When it was last plugged.
    pub since: Seconds,
    /// From then to the first word of the far end: at most one LLDP interval.
    pub hello: Seconds,
}

/// How a far device speaks of itself and its ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    Plain,
    Domain,
    /// No name; its chassis id is in the inventory.
    Chassis,
    /// Its management address instead of a name.
    Address,
    /// The port id is an alias, the description the name.
    Alias,
    /// The port id is a number of its own, the description the name.
    Number,
    /// The port id is a MAC address, the description the name.
    Mac,
}

pub const VOICES: [Voice; 7] = [
    Voice::Plain,
    Voice::Domain,
    Voice::Chassis,
    Voice::Address,
    Voice::Alias,
    Voice::Number,
    Voice::Mac,
];

#[derive(Debug, Clone)]
pub struct Far {
    pub name: String,
    pub voice: Voice,
    pub speaks: Speaks,
}

/// By which protocols a far device is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Lldp,
    Cdp,
    Both,
}

#[derive(Debug, Clone)]
pub struct FarSocket {
    pub device: usize,
    /// As the plan writes it, and as the device prints it.
    pub planned: String,
    pub printed: String,
    /// It sends nothing.
    pub mute: bool,
    /// It says neither its name nor its port in a way that anybody knows.
    pub nameless: bool,
}

#[derive(Debug, Clone, Default)]
pub struct World {
    pub near: Vec<String>,
    pub devices: Vec<Far>,
    pub far: Vec<FarSocket>,
    /// Which far socket each planned port leads to; the first ports are the planned ones.
    pub plan: Vec<Socket>,
    pub cables: Vec<Cable>,
    /// Neighbours stay listed after their plug has gone.
    pub lingers: bool,
    /// The device tells since when it hears a neighbour.
    pub ages: bool,
    pub booted: Seconds,
    pub ghosts: Vec<(Socket, Socket, Seconds, Seconds)>,
    /// How many plugs were put into a socket.
    pub plugs: usize,
}

/// How long a gone neighbour is listed by LLDP (IEEE 802.1AB, `txTTL`), and by CDP (its hold time).
const LLDP_LINGERS: Seconds = 120;
const CDP_LINGERS: Seconds = 180;

impl World {
    pub fn at_near(&self, socket: Socket) -> Option<usize> {
        self.cables.iter().position(|cable| cable.near == Some(socket))
    }

    pub fn at_far(&self, socket: Socket) -> Option<usize> {
        self.cables.iter().position(|cable| cable.far == Some(socket))
    }

    pub fn lit(&self, cable: &Cable) -> bool {
        cable.near.is_some() && cable.far.is_some() && !cable.dead
    }

    /// True if this planned port has its cable, with light.
    pub fn is_right(&self, port: Socket) -> bool {
        let Some(cable) = self.at_near(port) else { return false };
        let cable = &self.cables[cable];
        self.lit(cable) && self.plan.get(port).copied() == cable.far
    }

    /// True if nothing is left to be moved, and everybody can be heard, as far as a look at table
    /// and links can tell.
    pub fn seems_planned(&self, now: Seconds) -> bool {
        self.plan.iter().enumerate().all(|(port, far)| {
            let can_be_heard = !self.far[*far].mute && !self.far[*far].nameless;
            self.is_right(port) && can_be_heard || self.remembered(port, now).is_some()
        })
    }

    pub fn pull_near(&mut self, socket: Socket, now: Seconds) -> Option<usize> {
        let cable = self.at_near(socket)?;
        self.leave_ghost(cable, now);
        self.cables[cable].near = None;
        Some(cable)
    }

    pub fn pull_far(&mut self, socket: Socket, now: Seconds) -> Option<usize> {
        let cable = self.at_far(socket)?;
        self.leave_ghost(cable, now);
        self.cables[cable].far = None;
        Some(cable)
    }

    pub fn plug_near(&mut self, cable: usize, socket: Socket, now: Seconds) {
        assert!(self.at_near(socket).is_none(), "{} is taken", self.near[socket]);
        self.cables[cable].near = Some(socket);
        self.cables[cable].since = now;
        self.plugs += 1;
    }

    pub fn plug_far(&mut self, cable: usize, socket: Socket, now: Seconds) {
        assert!(self.at_far(socket).is_none(), "{} is taken", self.far[socket].planned);
        self.cables[cable].far = Some(socket);
        self.cables[cable].since = now;
        self.plugs += 1;
    }

    fn heard(&self, cable: &Cable, now: Seconds) -> Option<Socket> {
        let since = cable.since.max(self.booted) + cable.hello;
        let far = cable.far?;
        (self.lit(cable) && since <= now && !self.far[far].mute).then_some(far)
    }

    /// Breaks inside, where it is.
    pub fn dies(&mut self, cable: usize, now: Seconds) {
        self.leave_ghost(cable, now);
        self.cables[cable].dead = true;
    }

    /// Since when this port is not what it seems: what the table says of it is what was planned,
    /// and is gone, and there is light, and the new far end has said nothing yet. Nobody who reads
    /// the table and the links can know better.
    pub fn remembered(&self, port: Socket, now: Seconds) -> Option<Seconds> {
        let cable = &self.cables[self.at_near(port)?];
        if !self.lit(cable) || self.heard(cable, now).is_some() {
            return None;
        }
        let listed = self.ghosts.iter().filter(|(near, far, _, gone)| {
            let by_lldp = self.speaks(*far) != Speaks::Cdp && now < gone + LLDP_LINGERS;
            let by_cdp = self.speaks(*far) != Speaks::Lldp && now < gone + CDP_LINGERS;
            *near == port && (by_lldp || by_cdp)
        });
        let mut listed = listed.map(|(_, far, _, gone)| (*far, *gone));
        let (far, gone) = listed.next()?;
        let (planned, alone) = (self.plan.get(port) == Some(&far), listed.next().is_none());
        (planned && alone && !self.far[far].nameless).then_some(gone)
    }

    fn leave_ghost(&mut self, cable: usize, now: Seconds) {
        let cable = &self.cables[cable];
        let lingers = self.lingers && cable.near.is_some_and(|near| near < self.near.len());
        if let (Some(near), Some(far), true) = (cable.near, self.heard(cable, now), lingers) {
            let first = cable.since.max(self.booted) + cable.hello;
            self.ghosts.push((near, far, first, now));
        }
    }

    pub fn boot(&mut self, now: Seconds) {
        self.booted = now;
        self.ghosts.clear();
    }

    /// Everything the device lists: LLDP, CDP, links.
    pub fn look(&self, now: Seconds) -> (Vec<Neighbour>, Vec<Neighbour>, Vec<Interface>) {
        let (mut lldp, mut cdp) = (Vec::new(), Vec::new());
        let mut links = Vec::new();
        let mut list = |near: Socket, far: Socket, first: Seconds, last: Seconds| {
            let row = self.row(near, far, now - first, now - last);
            if self.speaks(far) != Speaks::Cdp && now < last + LLDP_LINGERS {
                lldp.push(row.clone());
            }
            if self.speaks(far) != Speaks::Lldp && now < last + CDP_LINGERS {
                cdp.push(row);
            }
        };
        for (near, far, first, gone) in &self.ghosts {
            let here =
                |cable: &Cable| cable.near == Some(*near) && self.heard(cable, now) == Some(*far);
            if !self.cables.iter().any(here) {
                list(*near, *far, *first, *gone);
            }
        }
        for (near, name) in self.near.iter().enumerate() {
            let cable = self.at_near(near).map(|cable| &self.cables[cable]);
            let link_up = cable.is_some_and(|cable| self.lit(cable));
            links.push(Interface { name: name.clone(), link_up, details: Default::default() });
            if let Some(cable) = cable
                && let Some(far) = self.heard(cable, now)
            {
                let first = cable.since.max(self.booted) + cable.hello;
                list(near, far, first, now - (now - first) % 30);
            }
        }
        (lldp, cdp, links)
    }

    fn speaks(&self, far: Socket) -> Speaks {
        self.devices[self.far[far].device].speaks
    }

    fn row(&self, near: Socket, far: Socket, first: Seconds, last: Seconds) -> Neighbour {
        let socket = &self.far[far];
        let device = &self.devices[socket.device];
        let (mut name, mut chassis) = (device.name.clone(), None);
        let (mut id, mut description) = (socket.printed.clone(), None);
        match device.voice {
            Voice::Plain => {}
            Voice::Domain => name = format!("{}.Example.net", name.to_uppercase()),
            Voice::Chassis => {
                name = String::new();
                chassis = Some(mac_of(socket.device));
            }
            Voice::Address => name = address_of(socket.device),
            Voice::Alias => {
                description = Some(std::mem::replace(&mut id, format!("uplink number {far}")));
            }
            Voice::Number => {
                description = Some(std::mem::replace(&mut id, (500 + far).to_string()));
            }
            Voice::Mac => {
                let mac = format!("02:00:00:00:99:{far:02x}");
                description = Some(std::mem::replace(&mut id, mac));
            }
        }
        if socket.nameless {
            (name, chassis, id, description) = (String::new(), None, "x".into(), None);
        }
        let age = |seconds: Seconds| self.ages.then(|| u64::try_from(seconds).unwrap_or(0));
        Neighbour {
            local_port: self.near[near].clone(),
            system_name: name,
            chassis_id: chassis,
            port_id: id,
            port_description: description,
            first_seen_seconds_ago: age(first),
            last_heard_seconds_ago: age(last),
        }
    }
}

pub fn mac_of(device: usize) -> String {
    format!("02:00:00:00:01:{device:02x}")
}

pub fn address_of(device: usize) -> String {
    format!("192.0.2.{}", 100 + device)
}
