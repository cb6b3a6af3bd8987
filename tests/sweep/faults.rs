//! What can be wrong: with the cables, and with the device on its way.

use greenlight::domain::fault::Fault;
use greenlight::entropy::Entropy;

use crate::world::{Cable, Seconds, Socket, World};

/// Chance, from the seed alone.
pub struct Dice(pub Entropy);

impl Dice {
    pub fn below(&self, count: usize) -> usize {
        (self.0.next_u64() % count.max(1) as u64) as usize
    }

    pub fn seconds(&self, from: Seconds, to: Seconds) -> Seconds {
        from + self.below((to - from + 1) as usize) as Seconds
    }

    pub fn percent(&self, share: usize) -> bool {
        self.below(100) < share
    }

    pub fn shuffled<T>(&self, mut list: Vec<T>) -> Vec<T> {
        for index in (1..list.len()).rev() {
            list.swap(index, self.below(index + 1));
        }
        list
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Nothing,
    UnplannedNeighbour,
    SwappedPair,
    SwappedAtTheFarEnd,
    SwappedWithADeadCable,
    SwappedWithAMuteOne,
    RotatedTriple,
    LongCircle,
    BlockRoundItself,
    BlockIntoAFreePort,
    BlockAtTheFarEnd,
    PlugInAFreePort,
    FarPlugOnePortOff,
    FarPlugInAnotherDevice,
    ExchangedWithAnotherSwitch,
    StrangerInOurPort,
    UnpluggedHere,
    UnpluggedThere,
    NoCable,
    DeadCable,
    MuteNeighbour,
    NamelessNeighbour,
    // With the device:
    Silent,
    NoLease,
    NoFileAsked,
    StrangeFile,
    BrokenTransfers,
    NotBack,
    LoginRefused,
    KeyChanged,
    OtherBox,
    LineMissing,
    OtherSoftware,
    TwoClaimIt,
    OurSide,
    UnreadableAnswer,
}

pub const KINDS: [Kind; 36] = [
    Kind::Nothing,
    Kind::UnplannedNeighbour,
    Kind::SwappedPair,
    Kind::SwappedAtTheFarEnd,
    Kind::SwappedWithADeadCable,
    Kind::SwappedWithAMuteOne,
    Kind::RotatedTriple,
    Kind::LongCircle,
    Kind::BlockRoundItself,
    Kind::BlockIntoAFreePort,
    Kind::BlockAtTheFarEnd,
    Kind::PlugInAFreePort,
    Kind::FarPlugOnePortOff,
    Kind::FarPlugInAnotherDevice,
    Kind::ExchangedWithAnotherSwitch,
    Kind::StrangerInOurPort,
    Kind::UnpluggedHere,
    Kind::UnpluggedThere,
    Kind::NoCable,
    Kind::DeadCable,
    Kind::MuteNeighbour,
    Kind::NamelessNeighbour,
    Kind::Silent,
    Kind::NoLease,
    Kind::NoFileAsked,
    Kind::StrangeFile,
    Kind::BrokenTransfers,
    Kind::NotBack,
    Kind::LoginRefused,
    Kind::KeyChanged,
    Kind::OtherBox,
    Kind::LineMissing,
    Kind::OtherSoftware,
    Kind::TwoClaimIt,
    Kind::OurSide,
    Kind::UnreadableAnswer,
];

impl Kind {
    pub fn is_of_cables(self) -> bool {
        self < Kind::Silent
    }

    /// What may be said of it; nothing for what is no fault.
    pub fn expected(self) -> &'static [Fault] {
        match self {
            Kind::Nothing | Kind::UnplannedNeighbour => &[],
            Kind::SwappedPair | Kind::SwappedAtTheFarEnd | Kind::StrangerInOurPort => {
                &[Fault::SwappedPair]
            }
            Kind::SwappedWithADeadCable => &[Fault::WrongPort, Fault::NeighbourDown],
            Kind::SwappedWithAMuteOne => &[Fault::SwappedPair, Fault::NeighbourMute],
            Kind::RotatedTriple | Kind::LongCircle => &[Fault::RotatedPlugs],
            // Too long for a list: one plug is taken out, the others follow.
            Kind::BlockRoundItself => {
                &[Fault::RotatedPlugs, Fault::WrongPort, Fault::NeighbourDown]
            }
            Kind::BlockIntoAFreePort | Kind::PlugInAFreePort | Kind::FarPlugOnePortOff => {
                &[Fault::WrongPort]
            }
            Kind::FarPlugInAnotherDevice => &[Fault::WrongDevice],
            Kind::BlockAtTheFarEnd | Kind::ExchangedWithAnotherSwitch => {
                &[Fault::WrongPort, Fault::WrongDevice]
            }
            Kind::UnpluggedHere | Kind::UnpluggedThere | Kind::NoCable | Kind::DeadCable => {
                &[Fault::NeighbourDown]
            }
            Kind::MuteNeighbour => &[Fault::NeighbourMute],
            Kind::NamelessNeighbour | Kind::UnreadableAnswer => &[Fault::Unreadable],
            Kind::Silent => &[Fault::Silent],
            Kind::NoLease => &[Fault::DhcpSide],
            Kind::NoFileAsked => &[Fault::NoFileAsked],
            Kind::StrangeFile => &[Fault::UnexpectedFile],
            Kind::BrokenTransfers => &[Fault::TransferBroken],
            Kind::NotBack => &[Fault::NotBack],
            Kind::LoginRefused => &[Fault::LoginRefused],
            Kind::KeyChanged => &[Fault::HostKeyChanged],
            Kind::OtherBox => &[Fault::OtherBox],
            Kind::LineMissing => &[Fault::ConfigurationDiffers],
            Kind::OtherSoftware => &[Fault::OtherSoftware],
            Kind::TwoClaimIt => &[Fault::Duplicate],
            Kind::OurSide => &[Fault::OurSide],
        }
    }
}

/// The sockets that faults may still use, so that two faults have nothing in common.
pub struct Room {
    /// Planned ports in their order.
    pub ports: Vec<Socket>,
    /// How many of them one fault may use.
    pub share: usize,
    pub free_near: Vec<Socket>,
    pub free_far: Vec<Socket>,
    /// A socket of a device that is in no inventory.
    pub strange: Vec<Socket>,
}

/// Makes it wrong. Returns how many plugs mend it at least; `None` if there is no room for it.
pub fn inflict(
    kind: Kind,
    world: &mut World,
    room: &mut Room,
    dice: &Dice,
    now: Seconds,
) -> Option<usize> {
    let before = world.plugs;
    let mended = cables(kind, world, room, dice, now);
    world.plugs = before;
    mended
}

fn cables(
    kind: Kind,
    world: &mut World,
    room: &mut Room,
    dice: &Dice,
    now: Seconds,
) -> Option<usize> {
    let some = |room: &mut Room, count: usize| {
        let ports = dice.shuffled(room.ports.clone());
        let taken = (ports.len() >= count).then(|| ports[..count].to_vec())?;
        room.ports.retain(|port| !taken.contains(port));
        Some(taken)
    };
    match kind {
        Kind::SwappedPair | Kind::SwappedWithADeadCable | Kind::SwappedWithAMuteOne => {
            let ring = some(room, 2)?;
            turn(world, &ring, now);
            let dead = world.at_near(ring[0])?;
            match kind {
                Kind::SwappedWithADeadCable => world.cables[dead].dead = true,
                Kind::SwappedWithAMuteOne => world.far[world.plan[ring[0]]].mute = true,
                _ => {}
            }
            Some(2 + usize::from(kind == Kind::SwappedWithADeadCable))
        }
        Kind::SwappedAtTheFarEnd => {
            let two = some(room, 2)?;
            let (a, b) = (world.plan[two[0]], world.plan[two[1]]);
            exchange_far(world, a, b, now);
            Some(2)
        }
        Kind::RotatedTriple | Kind::LongCircle | Kind::BlockRoundItself => {
            let count = match kind {
                Kind::RotatedTriple => 3,
                Kind::LongCircle => 4 + dice.below(5),
                _ => 3 + dice.below(room.share.saturating_sub(2)),
            };
            let mut ring = some(room, count)?;
            if kind == Kind::BlockRoundItself {
                ring.sort_unstable();
            }
            turn(world, &ring, now);
            Some(count)
        }
        Kind::BlockIntoAFreePort | Kind::PlugInAFreePort => {
            let free = room.free_near.pop()?;
            let block = 1 + dice.below(room.share);
            let block = if kind == Kind::PlugInAFreePort { 1 } else { block };
            let ports = room.ports.split_off(room.ports.len().checked_sub(block)?);
            let mut to = free;
            for port in ports.iter().rev() {
                let cable = world.pull_near(*port, now)?;
                world.plug_near(cable, to, now);
                to = *port;
            }
            Some(block)
        }
        Kind::BlockAtTheFarEnd => {
            let ports = some(room, 1 + dice.below(room.share))?;
            let mut to = room.free_far.pop()?;
            for port in &ports {
                let from = world.plan[*port];
                let cable = world.pull_far(from, now)?;
                world.plug_far(cable, to, now);
                to = from;
            }
            Some(ports.len())
        }
        Kind::FarPlugOnePortOff | Kind::FarPlugInAnotherDevice => {
            let port = some(room, 1)?[0];
            let right = world.plan[port];
            let same = kind == Kind::FarPlugOnePortOff;
            let mut sockets = dice.shuffled(room.free_far.clone());
            sockets.extend(
                room.strange.iter().filter(|_| dice.percent(50) || world.devices.len() < 3),
            );
            let device = |socket: &Socket| world.far[*socket].device;
            let to = *sockets.iter().rev().find(|to| (device(to) == device(&right)) == same)?;
            room.free_far.retain(|socket| *socket != to);
            room.strange.retain(|socket| *socket != to);
            let cable = world.pull_far(right, now)?;
            world.plug_far(cable, to, now);
            Some(1)
        }
        Kind::ExchangedWithAnotherSwitch => {
            let port = some(room, 1)?[0];
            let theirs = room.free_far.pop()?;
            let elsewhere = 10_000 + theirs;
            let cable =
                Cable { near: Some(elsewhere), far: None, dead: false, since: now, hello: 1 };
            world.cables.push(cable);
            let cable = world.cables.len() - 1;
            world.plug_far(cable, theirs, now);
            exchange_far(world, world.plan[port], theirs, now);
            Some(2)
        }
        Kind::StrangerInOurPort | Kind::UnplannedNeighbour => {
            let free = room.free_near.pop()?;
            let socket = room.strange.pop()?;
            let hello = dice.seconds(1, 30);
            let cable = Cable { near: None, far: Some(socket), dead: false, since: now, hello };
            world.cables.push(cable);
            let stranger = world.cables.len() - 1;
            if kind == Kind::UnplannedNeighbour {
                world.plug_near(stranger, free, now);
                return Some(0);
            }
            let port = some(room, 1)?[0];
            let ours = world.pull_near(port, now)?;
            world.plug_near(ours, free, now);
            world.plug_near(stranger, port, now);
            Some(2)
        }
        Kind::UnpluggedHere | Kind::UnpluggedThere | Kind::NoCable | Kind::DeadCable => {
            let port = some(room, 1)?[0];
            let cable = world.at_near(port)?;
            if matches!(kind, Kind::UnpluggedHere | Kind::NoCable) {
                world.pull_near(port, now);
            }
            if matches!(kind, Kind::UnpluggedThere | Kind::NoCable) {
                world.pull_far(world.plan[port], now);
            }
            world.cables[cable].dead = kind == Kind::DeadCable;
            Some(1)
        }
        Kind::MuteNeighbour => {
            let port = some(room, 1)?[0];
            world.far[world.plan[port]].mute = true;
            Some(0)
        }
        Kind::NamelessNeighbour => {
            let port = some(room, 1)?[0];
            world.far[world.plan[port]].nameless = true;
            Some(0)
        }
        _ => Some(0),
    }
}

/// Each plug of ours goes into the next socket of the ring.
fn turn(world: &mut World, ring: &[Socket], now: Seconds) {
    let plugs: Vec<Option<usize>> = ring.iter().map(|port| world.pull_near(*port, now)).collect();
    for (index, cable) in plugs.into_iter().enumerate() {
        if let Some(cable) = cable {
            world.plug_near(cable, ring[(index + 1) % ring.len()], now);
        }
    }
}

fn exchange_far(world: &mut World, a: Socket, b: Socket, now: Seconds) {
    let (at_a, at_b) = (world.pull_far(a, now), world.pull_far(b, now));
    for (cable, to) in [(at_a, b), (at_b, a)] {
        if let Some(cable) = cable {
            world.plug_far(cable, to, now);
        }
    }
}
