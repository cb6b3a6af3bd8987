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
    MemberMissing,
    PoorCable,
    FlappingPort,
    PowerSupply,
    FanOrHeat,
    CannotReach,
    CheckUnmet,
}

pub const KINDS: [Kind; 43] = [
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
    Kind::MemberMissing,
    Kind::PoorCable,
    Kind::FlappingPort,
    Kind::PowerSupply,
    Kind::FanOrHeat,
    Kind::CannotReach,
    Kind::CheckUnmet,
];

impl Kind {
    pub fn is_of_cables(self) -> bool {
        self < Kind::Silent
    }

    /// What may be said of it; nothing for what is no fault.
    pub fn expected(self) -> &'static [Fault] {
        match self {
            Kind::Nothing | Kind::UnplannedNeighbour => &[],
            Kind::SwappedPair | Kind::SwappedAtTheFarEnd => &[Fault::SwappedPair],
            // While our own plug is not heard in the free port, the far plugs can be exchanged.
            Kind::StrangerInOurPort => &[Fault::SwappedPair, Fault::WrongDevice],
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
            Kind::MemberMissing => &[Fault::MemberMissing],
            Kind::PoorCable => &[Fault::PoorCable],
            Kind::FlappingPort => &[Fault::FlappingPort],
            Kind::PowerSupply => &[Fault::PowerSupply],
            Kind::FanOrHeat => &[Fault::FanOrHeat],
            Kind::CannotReach => &[Fault::CannotReach],
            Kind::CheckUnmet => &[Fault::CheckUnmet],
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
    let mended = cables(kind, Hand { world: &mut *world, room, dice, now });
    world.plugs = before;
    mended
}

/// Whoever makes it wrong, and what there is to be used.
struct Hand<'a> {
    world: &'a mut World,
    room: &'a mut Room,
    dice: &'a Dice,
    now: Seconds,
}

impl Hand<'_> {
    /// Planned ports that no other fault uses.
    fn some(&mut self, count: usize) -> Option<Vec<Socket>> {
        let ports = self.dice.shuffled(self.room.ports.clone());
        let taken = (ports.len() >= count).then(|| ports[..count].to_vec())?;
        self.room.ports.retain(|port| !taken.contains(port));
        Some(taken)
    }
}

fn cables(kind: Kind, mut hand: Hand<'_>) -> Option<usize> {
    match kind {
        Kind::SwappedPair | Kind::SwappedWithADeadCable | Kind::SwappedWithAMuteOne => {
            swapped(kind, &mut hand)
        }
        Kind::SwappedAtTheFarEnd => swapped_far(&mut hand),
        Kind::RotatedTriple | Kind::LongCircle | Kind::BlockRoundItself => circle(kind, &mut hand),
        Kind::BlockIntoAFreePort | Kind::PlugInAFreePort => block_near(kind, &mut hand),
        Kind::BlockAtTheFarEnd => block_far(&mut hand),
        Kind::FarPlugOnePortOff | Kind::FarPlugInAnotherDevice => far_plug(kind, &mut hand),
        Kind::ExchangedWithAnotherSwitch => exchanged(&mut hand),
        Kind::StrangerInOurPort | Kind::UnplannedNeighbour => stranger(kind, &mut hand),
        Kind::UnpluggedHere | Kind::UnpluggedThere | Kind::NoCable | Kind::DeadCable => {
            dark(kind, &mut hand)
        }
        Kind::MuteNeighbour => mute(&mut hand),
        Kind::NamelessNeighbour => nameless(&mut hand),
        _ => Some(0),
    }
}

fn swapped(kind: Kind, hand: &mut Hand<'_>) -> Option<usize> {
    let ring = hand.some(2)?;
    turn(hand.world, &ring, hand.now);
    let dead = hand.world.at_near(ring[0])?;
    match kind {
        Kind::SwappedWithADeadCable => hand.world.dies(dead, hand.now),
        Kind::SwappedWithAMuteOne => hand.world.far[hand.world.plan[ring[0]]].mute = true,
        _ => {}
    }
    Some(2 + usize::from(kind == Kind::SwappedWithADeadCable))
}

fn swapped_far(hand: &mut Hand<'_>) -> Option<usize> {
    let two = hand.some(2)?;
    let (a, b) = (hand.world.plan[two[0]], hand.world.plan[two[1]]);
    exchange_far(hand.world, a, b, hand.now);
    Some(2)
}

fn circle(kind: Kind, hand: &mut Hand<'_>) -> Option<usize> {
    let count = match kind {
        Kind::RotatedTriple => 3,
        Kind::LongCircle => 4 + hand.dice.below(5),
        _ => 3 + hand.dice.below(hand.room.share.saturating_sub(2)),
    };
    let mut ring = hand.some(count)?;
    if kind == Kind::BlockRoundItself {
        ring.sort_unstable();
    }
    turn(hand.world, &ring, hand.now);
    Some(count)
}

fn block_near(kind: Kind, hand: &mut Hand<'_>) -> Option<usize> {
    let free = hand.room.free_near.pop()?;
    let block = 1 + hand.dice.below(hand.room.share);
    let block = if kind == Kind::PlugInAFreePort { 1 } else { block };
    let ports = hand.room.ports.split_off(hand.room.ports.len().checked_sub(block)?);
    let mut to = free;
    for port in ports.iter().rev() {
        let cable = hand.world.pull_near(*port, hand.now)?;
        hand.world.plug_near(cable, to, hand.now);
        to = *port;
    }
    Some(block)
}

fn block_far(hand: &mut Hand<'_>) -> Option<usize> {
    let ports = hand.some(1 + hand.dice.below(hand.room.share))?;
    let mut to = hand.room.free_far.pop()?;
    for port in &ports {
        let from = hand.world.plan[*port];
        let cable = hand.world.pull_far(from, hand.now)?;
        hand.world.plug_far(cable, to, hand.now);
        to = from;
    }
    Some(ports.len())
}

fn far_plug(kind: Kind, hand: &mut Hand<'_>) -> Option<usize> {
    let port = hand.some(1)?[0];
    let right = hand.world.plan[port];
    let same = kind == Kind::FarPlugOnePortOff;
    let mut sockets = hand.dice.shuffled(hand.room.free_far.clone());
    sockets.extend(
        hand.room.strange.iter().filter(|_| hand.dice.percent(50) || hand.world.devices.len() < 3),
    );
    let device = |socket: &Socket| hand.world.far[*socket].device;
    let to = *sockets.iter().rev().find(|to| (device(to) == device(&right)) == same)?;
    hand.room.free_far.retain(|socket| *socket != to);
    hand.room.strange.retain(|socket| *socket != to);
    let cable = hand.world.pull_far(right, hand.now)?;
    hand.world.plug_far(cable, to, hand.now);
    Some(1)
}

fn exchanged(hand: &mut Hand<'_>) -> Option<usize> {
    let port = hand.some(1)?[0];
    let theirs = hand.room.free_far.pop()?;
    let elsewhere = 10_000 + theirs;
    let cable = Cable { near: Some(elsewhere), far: None, dead: false, since: hand.now, hello: 1 };
    hand.world.cables.push(cable);
    let cable = hand.world.cables.len() - 1;
    hand.world.plug_far(cable, theirs, hand.now);
    exchange_far(hand.world, hand.world.plan[port], theirs, hand.now);
    Some(2)
}

fn stranger(kind: Kind, hand: &mut Hand<'_>) -> Option<usize> {
    let free = hand.room.free_near.pop()?;
    let socket = hand.room.strange.pop()?;
    let hello = hand.dice.seconds(1, 30);
    let cable = Cable { near: None, far: Some(socket), dead: false, since: hand.now, hello };
    hand.world.cables.push(cable);
    let stranger = hand.world.cables.len() - 1;
    if kind == Kind::UnplannedNeighbour {
        hand.world.plug_near(stranger, free, hand.now);
        return Some(0);
    }
    let port = hand.some(1)?[0];
    let ours = hand.world.pull_near(port, hand.now)?;
    hand.world.plug_near(ours, free, hand.now);
    hand.world.plug_near(stranger, port, hand.now);
    Some(2)
}

fn dark(kind: Kind, hand: &mut Hand<'_>) -> Option<usize> {
    let port = hand.some(1)?[0];
    let cable = hand.world.at_near(port)?;
    if matches!(kind, Kind::UnpluggedHere | Kind::NoCable) {
        hand.world.pull_near(port, hand.now);
    }
    if matches!(kind, Kind::UnpluggedThere | Kind::NoCable) {
        hand.world.pull_far(hand.world.plan[port], hand.now);
    }
    if kind == Kind::DeadCable {
        hand.world.dies(cable, hand.now);
    }
    Some(1)
}

fn mute(hand: &mut Hand<'_>) -> Option<usize> {
    let port = hand.some(1)?[0];
    hand.world.far[hand.world.plan[port]].mute = true;
    Some(0)
}

fn nameless(hand: &mut Hand<'_>) -> Option<usize> {
    let port = hand.some(1)?[0];
    hand.world.far[hand.world.plan[port]].nameless = true;
    Some(0)
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
