//! Everything Greenlight can find wrong, as codes, and which of two speaks first.

use serde::{Deserialize, Serialize};

/// A fault. The codes are stable: they stand in chat's context line, in hooks and in
/// `docs/errors/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// G1: it never asked for an address.
    Silent,
    /// G1b: our side of DHCP cannot serve it.
    DhcpSide,
    /// G2: it has an address and asks for no file.
    NoFileAsked,
    /// G3: it asks for a file of another model.
    UnexpectedFile,
    /// G3b: nobody planned this device.
    UnknownDevice,
    /// G4: the transfer broke more than once.
    TransferBroken,
    /// G5: it took its configuration and did not come back.
    NotBack,
    /// G6: SSH answers and refuses our login.
    LoginRefused,
    /// G6b: the host key changed within one run.
    HostKeyChanged,
    /// G7: serial or host name are another box's.
    OtherBox,
    /// G7b: a chassis of the stack is missing.
    MemberMissing,
    /// G8: lines of the configuration are missing, or it is not saved.
    ConfigurationDiffers,
    /// G9: an expected neighbour's port has no link.
    NeighbourDown,
    /// G9 mute: the link is up and nobody is heard on it.
    NeighbourMute,
    /// G9u: nobody is heard on it, and whether the link is up is not known.
    NeighbourUnheard,
    /// G10: the right device on the wrong port.
    WrongPort,
    /// G11: another device than planned.
    WrongDevice,
    /// G12: two cables exchanged.
    SwappedPair,
    /// G12r: three or more plugs have to change places.
    RotatedPlugs,
    /// G15p: somebody on a port where nobody is planned, and nobody is wanted.
    UnplannedNeighbour,
    /// G13: a link runs worse than it should: half duplex, too slow, or with damaged frames.
    PoorCable,
    /// G16: a link comes and goes.
    FlappingPort,
    /// G13b: a power supply gives no power.
    PowerSupply,
    /// G13f: a fan stands still, or it is too hot.
    FanOrHeat,
    /// G14: the software is not the planned one.
    OtherSoftware,
    /// G15: two devices claim one identity.
    Duplicate,
    /// G20: something of ours is down.
    OurSide,
    /// G22: a check of the operator's own is not met.
    CheckUnmet,
    /// G23: an address that the device must reach does not answer it.
    CannotReach,
    /// The device answers, and something it says cannot be read: not green, and for the network
    /// team.
    Unreadable,
}

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    Installer,
    NetworkTeam,
}

impl Fault {
    pub const ALL: [Fault; 30] = [
        Fault::Silent,
        Fault::DhcpSide,
        Fault::NoFileAsked,
        Fault::UnexpectedFile,
        Fault::UnknownDevice,
        Fault::TransferBroken,
        Fault::NotBack,
        Fault::LoginRefused,
        Fault::HostKeyChanged,
        Fault::OtherBox,
        Fault::MemberMissing,
        Fault::ConfigurationDiffers,
        Fault::NeighbourDown,
        Fault::NeighbourMute,
        Fault::NeighbourUnheard,
        Fault::WrongPort,
        Fault::WrongDevice,
        Fault::SwappedPair,
        Fault::RotatedPlugs,
        Fault::UnplannedNeighbour,
        Fault::PoorCable,
        Fault::FlappingPort,
        Fault::PowerSupply,
        Fault::FanOrHeat,
        Fault::OtherSoftware,
        Fault::Duplicate,
        Fault::OurSide,
        Fault::CheckUnmet,
        Fault::CannotReach,
        Fault::Unreadable,
    ];

    /// The code as people quote it.
    pub fn code(self) -> &'static str {
        match self {
            Fault::Silent => "G1",
            Fault::DhcpSide => "G1b",
            Fault::NoFileAsked => "G2",
            Fault::UnexpectedFile => "G3",
            Fault::UnknownDevice => "G3b",
            Fault::TransferBroken => "G4",
            Fault::NotBack => "G5",
            Fault::LoginRefused => "G6",
            Fault::HostKeyChanged => "G6b",
            Fault::OtherBox => "G7",
            Fault::MemberMissing => "G7b",
            Fault::ConfigurationDiffers => "G8",
            Fault::NeighbourDown => "G9",
            Fault::NeighbourMute => "G9m",
            Fault::NeighbourUnheard => "G9u",
            Fault::WrongPort => "G10",
            Fault::WrongDevice => "G11",
            Fault::SwappedPair => "G12",
            Fault::RotatedPlugs => "G12r",
            Fault::UnplannedNeighbour => "G15p",
            Fault::PoorCable => "G13",
            Fault::FlappingPort => "G16",
            Fault::PowerSupply => "G13b",
            Fault::FanOrHeat => "G13f",
            Fault::OtherSoftware => "G14",
            Fault::Duplicate => "G15",
            Fault::OurSide => "G20",
            Fault::Unreadable => "G21",
            Fault::CheckUnmet => "G22",
            Fault::CannotReach => "G23",
        }
    }

    /// How deep in the stack the fault sits: the lowest open layer speaks, later ones are silent.
    pub fn layer(self) -> u8 {
        match self {
            Fault::OurSide => 0,
            Fault::Silent | Fault::DhcpSide => 1,
            Fault::UnknownDevice | Fault::Duplicate => 2,
            Fault::NoFileAsked | Fault::UnexpectedFile => 3,
            Fault::TransferBroken => 4,
            Fault::NotBack => 5,
            Fault::LoginRefused | Fault::HostKeyChanged => 6,
            Fault::OtherBox | Fault::MemberMissing => 7,
            Fault::ConfigurationDiffers => 8,
            // A loose plug is dark half of the time: it must not be told as dark each time.
            Fault::SwappedPair | Fault::RotatedPlugs | Fault::FlappingPort => 9,
            Fault::NeighbourDown => 10,
            Fault::WrongPort | Fault::WrongDevice => 11,
            Fault::NeighbourMute | Fault::NeighbourUnheard | Fault::UnplannedNeighbour => 12,
            Fault::PoorCable => 13,
            Fault::CannotReach => 14,
            Fault::CheckUnmet => 15,
            Fault::PowerSupply => 16,
            Fault::FanOrHeat => 17,
            Fault::OtherSoftware => 18,
            Fault::Unreadable => 19,
        }
    }

    /// True for what keeps a device from asking for its file: over once it asks for any.
    pub fn is_before_the_file(self) -> bool {
        self.layer() < Fault::TransferBroken.layer() && self != Fault::UnexpectedFile
    }

    /// True for what the neighbours tell of the cables.
    pub fn is_of_cables(self) -> bool {
        match self {
            Fault::NeighbourDown
            | Fault::NeighbourMute
            | Fault::NeighbourUnheard
            | Fault::WrongPort
            | Fault::WrongDevice
            | Fault::SwappedPair
            | Fault::RotatedPlugs
            | Fault::UnplannedNeighbour => true,
            Fault::Silent
            | Fault::DhcpSide
            | Fault::NoFileAsked
            | Fault::UnexpectedFile
            | Fault::UnknownDevice
            | Fault::TransferBroken
            | Fault::NotBack
            | Fault::LoginRefused
            | Fault::HostKeyChanged
            | Fault::OtherBox
            | Fault::MemberMissing
            | Fault::ConfigurationDiffers
            | Fault::PoorCable
            | Fault::FlappingPort
            | Fault::PowerSupply
            | Fault::FanOrHeat
            | Fault::OtherSoftware
            | Fault::Duplicate
            | Fault::OurSide
            | Fault::CheckUnmet
            | Fault::CannotReach
            | Fault::Unreadable => false,
        }
    }

    pub fn actor(self) -> Actor {
        match self {
            Fault::Silent
            | Fault::NoFileAsked
            | Fault::UnexpectedFile
            | Fault::UnknownDevice
            | Fault::TransferBroken
            | Fault::NotBack
            | Fault::OtherBox
            | Fault::MemberMissing
            | Fault::PoorCable
            | Fault::FlappingPort
            | Fault::PowerSupply
            | Fault::NeighbourDown
            | Fault::NeighbourUnheard
            | Fault::WrongPort
            | Fault::WrongDevice
            | Fault::SwappedPair
            | Fault::RotatedPlugs
            | Fault::UnplannedNeighbour => Actor::Installer,
            Fault::DhcpSide
            | Fault::LoginRefused
            | Fault::HostKeyChanged
            | Fault::ConfigurationDiffers
            | Fault::NeighbourMute
            | Fault::FanOrHeat
            | Fault::OtherSoftware
            | Fault::Duplicate
            | Fault::OurSide
            | Fault::CheckUnmet
            | Fault::CannotReach
            | Fault::Unreadable => Actor::NetworkTeam,
        }
    }
}
