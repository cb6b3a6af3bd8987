//! The installer: reads the fillings of a message, looks at the sockets, and moves plugs.

use std::collections::BTreeMap;

use greenlight::domain::check::Problem;
use greenlight::domain::fault::Fault;
use greenlight::sim::hands::read_round;

use crate::play::{Happening, Play};
use crate::world::{Cable, Seconds, Socket, World};

/// One grip.
#[derive(Debug, Clone)]
pub enum Grip {
    PullNear(Socket),
    PullFar(Socket),
    PlugNear(usize, Socket),
    PlugFar(usize, Socket),
    /// The same sockets, another cable.
    Replace(usize),
    /// A new cable between two free sockets.
    Lay(Socket, Socket),
}

/// What is done about a message, grip by grip. Empty if it moves nobody.
pub fn grips(world: &World, ours: &str, problem: &Problem) -> Vec<Grip> {
    let fill = &problem.fill;
    match problem.fault {
        Fault::SwappedPair => {
            let (a, b) = (near(world, fill, "port"), near(world, fill, "port_b"));
            change_places(world, &[(a, b), (b, a)])
        }
        Fault::RotatedPlugs => match fill.get("round") {
            Some(round) => {
                let pairs = read_round(round).expect("a list that can be read");
                let socket = |name: &String| named(world, name);
                let pairs: Vec<(Socket, Socket)> =
                    pairs.iter().map(|(from, to)| (socket(from), socket(to))).collect();
                change_places(world, &pairs)
            }
            None => vec![Grip::PullNear(near(world, fill, "port"))],
        },
        Fault::WrongPort if fill["far_device"] == ours => {
            let (from, to) = (near(world, fill, "found_port"), near(world, fill, "far_port"));
            change_places(world, &[(from, to), (to, from)])
        }
        Fault::WrongPort | Fault::WrongDevice => {
            let cable = world.at_near(near(world, fill, "port")).expect("a plug in that port");
            let from = world.cables[cable].far.expect("a far end that is heard");
            move_far(world, cable, from, far(world, fill))
        }
        Fault::NeighbourDown => plug(world, near(world, fill, "port"), far(world, fill)),
        Fault::UnplannedNeighbour => vec![Grip::PullNear(near(world, fill, "port"))],
        _ => Vec::new(),
    }
}

pub fn near(world: &World, fill: &BTreeMap<String, String>, key: &str) -> Socket {
    named(world, &fill[key])
}

fn named(world: &World, name: &str) -> Socket {
    let found = world.near.iter().position(|port| port == name);
    found.unwrap_or_else(|| panic!("no port {name} on the box"))
}

fn far(world: &World, fill: &BTreeMap<String, String>) -> Socket {
    let (device, port) = (&fill["far_device"], &fill["far_port"]);
    let found = world
        .far
        .iter()
        .position(|far| world.devices[far.device].name == *device && far.planned == *port);
    found.unwrap_or_else(|| panic!("no port {port} on {device}"))
}

fn change_places(world: &World, pairs: &[(Socket, Socket)]) -> Vec<Grip> {
    let plugs: Vec<(usize, Socket, Socket)> = pairs
        .iter()
        .filter_map(|(from, to)| world.at_near(*from).map(|cable| (cable, *from, *to)))
        .collect();
    let out = plugs.iter().map(|(_, from, _)| Grip::PullNear(*from));
    out.chain(plugs.iter().map(|(cable, _, to)| Grip::PlugNear(*cable, *to))).collect()
}

fn move_far(world: &World, cable: usize, from: Socket, to: Socket) -> Vec<Grip> {
    let mut grips = vec![Grip::PullFar(from)];
    let other = world.at_far(to);
    grips.extend(other.map(|_| Grip::PullFar(to)));
    grips.push(Grip::PlugFar(cable, to));
    grips.extend(other.map(|other| Grip::PlugFar(other, from)));
    grips
}

/// A port without light, and where its cable should go.
fn plug(world: &World, port: Socket, to: Socket) -> Vec<Grip> {
    let there = world.at_far(to);
    match (world.at_near(port), there) {
        (Some(cable), other) if other == Some(cable) => vec![Grip::Replace(cable)],
        (Some(cable), other) => match world.cables[cable].far {
            Some(from) => move_far(world, cable, from, to),
            None => {
                let mut grips: Vec<Grip> = other.map(|_| Grip::PullFar(to)).into_iter().collect();
                grips.push(Grip::PlugFar(cable, to));
                grips
            }
        },
        (None, Some(other)) => match world.cables[other].near {
            None => vec![Grip::PlugNear(other, port)],
            Some(from) => change_places(world, &[(from, port)]),
        },
        (None, None) => vec![Grip::Lay(port, to)],
    }
}

impl Grip {
    pub fn perform(&self, world: &mut World, now: Seconds) {
        match self {
            Grip::PullNear(socket) => drop(world.pull_near(*socket, now)),
            Grip::PullFar(socket) => drop(world.pull_far(*socket, now)),
            Grip::PlugNear(cable, socket) => world.plug_near(*cable, *socket, now),
            Grip::PlugFar(cable, socket) => world.plug_far(*cable, *socket, now),
            Grip::Replace(cable) => {
                world.cables[*cable].dead = false;
                world.cables[*cable].since = now;
                world.plugs += 1;
            }
            Grip::Lay(near, far) => {
                let (near, far) = (Some(*near), Some(*far));
                world.cables.push(Cable { near, far, dead: false, since: now, hello: 9 });
                world.plugs += 1;
            }
        }
    }
}

impl Play<'_> {
    /// There is one pair of hands: it does one thing after the other.
    pub(crate) fn begins(&mut self, problem: Problem) {
        if self.now < self.busy_until {
            self.at(self.busy_until, Happening::Begin(problem));
            return;
        }
        let mut at = self.now;
        for grip in grips(&self.scene.world, "acc-1", &problem) {
            at += self.dice.seconds(2, 15);
            self.at(at, Happening::Grip(grip));
        }
        self.busy_until = at;
        for (asked_for, done) in &mut self.asked_for {
            if asked_for.same_act(&problem) {
                *done = at;
            }
        }
    }

    /// What is asked for again before it is done is done once.
    pub(crate) fn is_asked_for(&self, problem: &Problem) -> bool {
        let open =
            |(known, done): &(Problem, Seconds)| self.now <= *done && known.same_act(problem);
        self.asked_for.iter().any(open)
    }
}
